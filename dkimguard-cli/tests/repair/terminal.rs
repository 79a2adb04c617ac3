//! Somebody at a terminal, who is asked.

use serde_json::json;

use crate::peer::Peer;
use crate::world::{HOME, TOKENS, World, aliases};
use crate::{TestResult, writes};

const EDIT: &str = "Make this edit? [y/N]";
const AGAIN: &str = "Ask the provider to start again? [y/N]";

#[test]
fn no_and_an_interruption_at_the_question_leave_everything_as_it_was() -> TestResult {
    let zone = "asked.dktest";
    let world = World::start(&[zone])?;
    let account = "502000000001";
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    // (keys, exit code, what is said): 3 is Ctrl-C, 4 the end of the input.
    for (keys, code, said) in [
        ("n\n", 1, "nothing was done"),
        ("\n", 1, "nothing was done"),
        ("\u{4}", 1, "nothing was done"),
        ("\u{3}", 3, "interrupted; nothing was done"),
    ] {
        let mut terminal = world.at_terminal(account, zone, &["--apply"]);
        terminal.wait_for(EDIT, 1);
        terminal.press(keys);
        let (ended, shown) = terminal.end();
        assert_eq!(ended, code, "{keys:?}: {shown}");
        assert!(shown.contains(said), "{keys:?}: {shown}");
        assert_eq!(shown.matches("+ aaa._domainkey.asked.dktest.").count(), 1, "told once: {shown}");
        assert_eq!(writes(account), 0, "{shown}");
        assert!(!world.state(account).exists(), "{shown}");
    }
    Ok(())
}

#[test]
fn each_write_is_agreed_to_by_itself_whenever_it_comes() -> TestResult {
    let zone = "agreed.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "502000000002");
    world.identity(account, zone, &TOKENS, "FAILED");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    peer.set_restart(account, HOME, zone, json!({ "tokens": ["ddd", "eee", "fff"] }));
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);

    let mut terminal = world.at_terminal(account, zone, &["--apply"]);
    terminal.wait_for(EDIT, 1);
    assert_eq!(writes(account), 0, "{}", terminal.shown());
    terminal.press("y\n");
    terminal.wait_for(AGAIN, 1);
    assert_eq!(writes(account), 1, "{}", terminal.shown());
    terminal.press("yes\n");
    // The plan that comes of the provider's other tokens is a write of its own.
    terminal.wait_for(EDIT, 2);
    assert_eq!(writes(account), 2, "{}", terminal.shown());
    terminal.press("y\n");
    let (code, shown) = terminal.end();
    assert_eq!(code, 0, "{shown}");
    assert_eq!(writes(account), 3, "{shown}");
    assert!(shown.contains("for all of the host's servers to have it ("), "what is waited for: {shown}");
    assert_eq!(shown.matches("Done: ").count(), 1, "{shown}");
    Ok(())
}

#[test]
fn plan_after_a_wait_is_asked_for() -> TestResult {
    let zone = "later.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "502000000003");
    world.identity(account, zone, &TOKENS, "PENDING");
    let id = world.host(account, zone, &aliases(&TOKENS, zone));
    let mut terminal = world.at_terminal(account, zone, &["--apply"]);
    terminal.wait_for("waiting for the provider, usually minutes to hours (", 1);
    terminal.wait_for("h 59m left)", 1);
    // Somebody takes a record away meanwhile.
    peer.edit_zone(account, &id, &json!([{ "name": format!("aaa._domainkey.{zone}"), "type": "CNAME" }]));
    terminal.wait_for(EDIT, 1);
    assert_eq!(writes(account), 0, "{}", terminal.shown());
    terminal.press("n\n");
    let (code, shown) = terminal.end();
    assert_eq!((code, writes(account)), (1, 0), "{shown}");
    Ok(())
}
