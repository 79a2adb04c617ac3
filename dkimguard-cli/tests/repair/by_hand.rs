//! What somebody else does, and a repair waits for.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, ChildStdout};

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::world::{HOME, TOKENS, World, aliases};
use crate::{TestResult, writes};

const WAIT: [&str; 4] = ["--wait", "5m", "--format", "json"];

/// A run whose events are read as they come.
struct Waiter {
    child: Child,
    lines: BufReader<ChildStdout>,
}

impl Waiter {
    fn start(world: &World, account: &str, domain: &str, arguments: &[&str]) -> Self {
        let mut child = world.command(account, domain, arguments).spawn().expect("the binary starts");
        let lines = BufReader::new(child.stdout.take().expect("the output is piped"));
        Self { child, lines }
    }

    /// The next event; none once it has ended.
    fn next(&mut self) -> Option<Value> {
        let mut line = String::new();
        self.lines.read_line(&mut line).expect("the output is text");
        (!line.is_empty()).then(|| serde_json::from_str(&line).expect("an object a line"))
    }

    /// The names of the events to come, and the exit code.
    fn end(mut self) -> (Vec<Value>, Option<i32>) {
        let mut names = Vec::new();
        while let Some(event) = self.next() {
            names.push(event["event"].clone());
        }
        (names, self.child.wait().expect("the process is known").code())
    }
}

impl Drop for Waiter {
    fn drop(&mut self) {
        // One that has ended by now is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[test]
fn records_at_another_host_are_waited_for_and_proven() -> TestResult {
    let zone = "byhand.dktest";
    let world = World::start(&[zone])?;
    world.publish_elsewhere(zone, "");
    let account = "501000000001";
    let identities = world.file(
        "byhand.toml",
        "[[identity]]\ndomain = \"byhand.dktest\"\ntokens = [\"aaa\", \"bbb\", \"ccc\"]\n",
    );
    let source = format!("file:{identities}");
    let mut waiter = Waiter::start(&world, account, zone, &[&["--source", &source][..], &WAIT].concat());
    let told = waiter.next().expect("an event");
    assert_eq!((&told["event"], &told["code"]), (&json!("refused"), &json!("held-elsewhere")), "{told}");
    assert_eq!(told["id"], format!("file:{zone}"), "{told}");
    // Published as told.
    let lines = told["records"].as_array().expect("the records").iter();
    let lines: String = lines.map(|line| format!("{}\n", line.as_str().expect("a line"))).collect();
    world.publish_elsewhere(zone, &lines);
    let (names, code) = waiter.end();
    assert_eq!((names, code), (vec![json!("verified"), json!("done")], Some(0)));
    assert!(!world.state(account).exists());
    Ok(())
}

#[test]
fn edit_in_route53_is_waited_for_without_leave_to_make_it() -> TestResult {
    let zone = "watched.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "501000000002");
    world.identity(account, zone, &TOKENS, "PENDING");
    let id = world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    let mut waiter = Waiter::start(&world, account, zone, &WAIT);
    let told = waiter.next().expect("an event");
    assert_eq!(told["event"], "plan", "{told}");
    peer.edit_zone(account, &id, &json!(aliases(&["aaa"], zone)));
    let (names, code) = waiter.end();
    let names: Vec<Value> = names.into_iter().filter(|name| name != "waiting").collect();
    assert_eq!((names, code), (vec![json!("verified"), json!("done")], Some(0)));
    assert_eq!(writes(account), 0);
    assert!(!world.state(account).exists());
    Ok(())
}

#[test]
fn what_nobody_does_in_time_is_not_proven() -> TestResult {
    let zone = "waited.dktest";
    let world = World::start(&[zone])?;
    let account = "501000000003";
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&TOKENS, zone));
    let run = world.repair(account, zone, &["--wait", "2s", "--format", "json"]);
    assert_eq!(run.code, 2, "{run:?}");
    let last = run.last();
    assert_eq!((&last["event"], &last["status"]), (&json!("waiting"), &json!("pending")), "{run:?}");
    assert!(last["until"].is_string(), "{run:?}");
    assert!(run.stderr.contains("not proven"), "{run:?}");
    Ok(())
}
