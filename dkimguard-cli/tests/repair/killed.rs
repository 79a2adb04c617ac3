//! Killed after each call to AWS in turn, and run again.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::world::{HOME, TOKENS, World, aliases, record, wait_until};
use crate::{TestResult, lines_of, strange_calls};

const ALL: [&str; 4] = ["--apply", "--yes", "--format", "json"];
/// How many are killed at once.
const AT_ONCE: usize = 6;
/// More calls than a repair makes.
const MOST_CALLS: usize = 200;

#[test]
fn killed_after_any_call_it_goes_on_when_run_again() -> TestResult {
    let zones: Vec<String> = (0..AT_ONCE).map(|number| format!("killed{number}.dktest")).collect();
    let world = World::start(&zones.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (next, last) = (AtomicUsize::new(0), AtomicUsize::new(MOST_CALLS));
    std::thread::scope(|scope| {
        for zone in &zones {
            let (world, next, last) = (&world, &next, &last);
            scope.spawn(move || {
                loop {
                    let call = next.fetch_add(1, Ordering::Relaxed);
                    if call >= last.load(Ordering::Relaxed) {
                        break;
                    }
                    if !killed_after(world, zone, call) {
                        last.fetch_min(call, Ordering::Relaxed);
                    }
                }
            });
        }
    });
    let calls = last.into_inner();
    // Account, identity, zones, their servers, records, history; then the batch and what proves it.
    assert!((10..MOST_CALLS).contains(&calls), "{calls} calls");
    Ok(())
}

/// Kills a repair once this call has done its work, and has another go on. False where it ended before.
fn killed_after(world: &World, zone: &str, call: usize) -> bool {
    let (peer, account) = (Peer::shared(), format!("5030{call:08}"));
    let account = account.as_str();
    world.identity(account, zone, &TOKENS, "FAILED");
    let wrong = record(&format!("aaa._domainkey.{zone}"), "CNAME", "ddd.dkim.amazonses.com");
    let id = world.host(account, zone, &[vec![wrong], aliases(&["bbb"], zone)].concat());
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    peer.set_restart(account, HOME, zone, json!({ "tokens": ["bbb", "ccc", "ddd"] }));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    let before = lines_of(account, &id);

    peer.add_fault(account, json!({ "operation": "*", "skip": call, "times": 1, "hold": 3600.0 }));
    let mut child = world.command(account, zone, &ALL).spawn().expect("the binary starts");
    let is_held = || peer.calls(account).iter().any(|call| call.is_held);
    wait_until("the call is held, or it ends", || {
        is_held() || child.try_wait().expect("the process is known").is_some()
    });
    let was_held = is_held();
    child.kill().expect("it is ours");
    child.wait().expect("it is ours");
    peer.heal(account);

    if was_held {
        let run = world.repair(account, zone, &ALL);
        assert_eq!(run.code, 0, "killed after call {call}: {run:?}");
    }
    let of_ours = |line: &String| {
        ["aaa", "bbb", "ccc", "ddd"].iter().any(|token| line.starts_with(&format!("{token}._domainkey.")))
    };
    let mut meant: Vec<String> = before.iter().filter(|line| !of_ours(line)).cloned().collect();
    // What the provider wants no longer is left alone, and what was healthy is untouched.
    let line = |token: &str, ttl: u32| {
        format!("{token}._domainkey.{zone}. {ttl} IN CNAME {token}.dkim.amazonses.com.")
    };
    meant.extend([line("aaa", 300), line("bbb", 1), line("ccc", 300), line("ddd", 300)]);
    meant.sort();
    let changes = peer.changes(account);
    assert_eq!(lines_of(account, &id), meant, "killed after call {call}: {changes:?}");
    assert_eq!(changes.len(), 2, "one batch for each set of tokens, call {call}: {changes:?}");
    let deleted = changes.iter().flat_map(|batch| batch["changes"].as_array().expect("changes"));
    let deleted: Vec<&Value> = deleted.filter(|change| change["action"] == "DELETE").collect();
    assert_eq!(deleted.len(), 1, "only the wrong record is replaced, call {call}: {deleted:?}");
    assert_eq!(strange_calls(account, zone), Vec::<String>::new());
    let run = world.history(account, zone);
    assert_eq!(run.last()["step"], "done", "call {call}: {run:?}");
    was_held
}
