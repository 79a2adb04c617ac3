//! `dkimguard repair` as a black box: the built binary against a peer that speaks AWS, and real name servers that serve
//! the zone that its Route 53 holds.

#[path = "../../../dkimguard-aws/tests/peer/mod.rs"]
mod peer;
#[path = "../tree/mod.rs"]
mod tree;
mod world;

use std::error::Error;

use peer::Peer;
use serde_json::{Value, json};
use world::{HOME, Run, World, record};

type TestResult = Result<(), Box<dyn Error>>;

/// The calls that one of the two policies allows, and that of the account's number, which nothing has to allow.
const ALLOWED: [&str; 11] = [
    "GetCallerIdentity",
    "ListEmailIdentities",
    "GetEmailIdentity",
    "GetIdentityDkimAttributes",
    "GetAccount",
    "ListHostedZonesByName",
    "GetHostedZone",
    "ListResourceRecordSets",
    "LookupEvents",
    "ChangeResourceRecordSets",
    "GetChange",
];
/// The calls that write.
const WRITING: [&str; 2] = ["ChangeResourceRecordSets", "PutEmailIdentityDkimSigningAttributes"];

/// The zone, and what stands there in place of the CNAME of `aaa`.
fn broken() -> Vec<(&'static str, Vec<Value>)> {
    let at = |zone: &str| format!("aaa._domainkey.{zone}");
    let missing = "missing.dktest";
    let doubled = "name-doubled.dktest";
    let value = "value-doubled.dktest";
    let wrong = "wrong-target.dktest";
    let txt = "txt.dktest";
    let wildcard = "wildcard.dktest";
    vec![
        (missing, vec![]),
        (doubled, vec![record(&format!("{}.{doubled}", at(doubled)), "CNAME", "aaa.dkim.amazonses.com")]),
        (value, vec![record(&at(value), "CNAME", &format!("aaa.dkim.amazonses.com.{value}"))]),
        (wrong, vec![record(&at(wrong), "CNAME", "bbb.dkim.amazonses.com")]),
        (txt, vec![record(&at(txt), "TXT", "\"aaa.dkim.amazonses.com\"")]),
        (wildcard, vec![record(&format!("*._domainkey.{wildcard}"), "TXT", "\"v=spf1 -all\"")]),
    ]
}

#[test]
fn each_broken_domain_is_repaired_by_one_write_and_proven() -> TestResult {
    let cases = broken();
    let names: Vec<&str> = cases.iter().map(|(zone, _)| *zone).collect();
    let world = World::start(&names)?;
    let wrong: Vec<String> = std::thread::scope(|scope| {
        let threads: Vec<_> = cases
            .iter()
            .enumerate()
            .map(|(number, (zone, instead))| {
                let world = &world;
                scope.spawn(move || {
                    let account = format!("5001000000{number:02}");
                    repaired(world, &account, zone, instead)
                })
            })
            .collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("no panic in a case")).collect()
    });
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n"));
    Ok(())
}

/// What isn't as it must be once this domain is repaired.
fn repaired(world: &World, account: &str, zone: &str, instead: &[Value]) -> Vec<String> {
    let peer = Peer::shared();
    let id = world.host(account, zone, instead, "PENDING");
    let before = others(&peer.zone_file(account, &id));
    peer.set_changes(account, json!({ "sync_after": 1.0 }));
    world.follow(account, zone, &id);
    // Later than the first look after the write, so that it is waited for.
    peer.verify_at(account, HOME, zone, &world.servers(zone), 15.0);
    let run = world.repair(account, zone, &["--apply", "--yes", "--format", "json"]);
    let mut wrong = Vec::new();
    let mut expect = |is_so: bool, what: String| {
        if !is_so {
            wrong.push(format!("{zone}: {what}\n{run:?}"));
        }
    };
    expect(run.code == 0, format!("exit {}", run.code));
    let mut events = run.events();
    // The servers may be looked at before all have the zone.
    events.retain(|event| event["for"] != "servers" && event["for"] != "resolvers");
    let names: Vec<&str> = events.iter().filter_map(|event| event["event"].as_str()).collect();
    expect(names == ["plan", "published", "in-sync", "verified", "waiting", "done"], format!("{names:?}"));
    let writes = peer.count(account, WRITING[0]) + peer.count(account, WRITING[1]);
    expect(writes == 1, format!("{writes} writes"));
    let calls: Vec<String> = peer.calls(account).into_iter().map(|call| call.operation).collect();
    let strange: Vec<&String> = calls.iter().filter(|call| !ALLOWED.contains(&call.as_str())).collect();
    expect(strange.is_empty(), format!("calls {strange:?}"));
    let after = peer.zone_file(account, &id);
    let ours = format!("aaa._domainkey.{zone}. ");
    let held: Vec<&str> = after.lines().filter(|line| line.starts_with(&ours)).collect();
    let is_right = |line: &&str| line.ends_with(" IN CNAME aaa.dkim.amazonses.com.");
    expect(held.len() == 1 && held.iter().all(is_right), format!("holds {held:?}"));
    let is_ours = |line: &String| line.starts_with(&ours);
    let rest = |lines: Vec<String>| lines.into_iter().filter(|line| !is_ours(line)).collect::<Vec<_>>();
    let (before, after) = (rest(before), rest(others(&after)));
    expect(before == after, format!("other records: {before:?} became {after:?}"));
    wrong
}

/// The lines of a zone file but the SOA, whose serial grows.
fn others(text: &str) -> Vec<String> {
    text.lines().filter(|line| !line.contains(" IN SOA ")).map(str::to_owned).collect()
}

/// Asserts the exit code, and that nothing was written.
fn assert_only_told(account: &str, run: &Run, code: i32) {
    assert_eq!(run.code, code, "{run:?}");
    let calls = Peer::shared().calls(account);
    let writes: Vec<_> = calls.iter().filter(|call| WRITING.contains(&call.operation.as_str())).collect();
    assert!(writes.is_empty(), "{writes:?}");
}

#[test]
fn without_leave_the_plan_is_printed_and_nothing_is_written() -> TestResult {
    let zone = "told.dktest";
    let world = World::start(&[zone])?;
    let account = "500200000001";
    let id = world.host(account, zone, &[], "PENDING");
    world.follow(account, zone, &id);

    let run = world.repair(account, zone, &[]);
    assert_only_told(account, &run, 1);
    assert!(run.stdout.contains("+ aaa._domainkey.told.dktest"), "{run:?}");
    assert!(run.stdout.contains("route53:ChangeResourceRecordSets"), "{run:?}");

    let run = world.repair(account, zone, &["--format", "json"]);
    assert_only_told(account, &run, 1);
    let events = run.events();
    assert_eq!(events.len(), 1, "{run:?}");
    assert_eq!(events[0]["event"], "plan");
    assert_eq!(events[0]["id"], format!("ses:{account}:{HOME}:{zone}"));
    assert_eq!(events[0]["edits"][0]["name"], format!("aaa._domainkey.{zone}"));

    // Nobody is at a terminal.
    let run = world.repair(account, zone, &["--apply", "--format", "json"]);
    assert_only_told(account, &run, 3);
    assert_eq!(run.events()[0]["event"], "plan", "{run:?}");
    assert!(run.stdout.contains("--yes"), "{run:?}");
    Ok(())
}

#[test]
fn where_nothing_is_to_be_edited_it_ends_well_and_says_what_the_provider_says() -> TestResult {
    let zone = "sound.dktest";
    let world = World::start(&[zone])?;
    let sound = [record("aaa._domainkey.sound.dktest", "CNAME", "aaa.dkim.amazonses.com")];
    // (account, SES's status, event)
    for (account, status, event) in [
        ("500300000001", "SUCCESS", "done"),
        ("500300000002", "PENDING", "waiting"),
        ("500300000003", "TEMPORARY_FAILURE", "waiting"),
    ] {
        let id = world.host(account, zone, &sound, status);
        world.serve(account, zone, &id)?;
        let run = world.repair(account, zone, &["--format", "json"]);
        assert_only_told(account, &run, 0);
        let last = run.events().pop().expect("an event");
        assert_eq!(last["event"], event, "{status}: {run:?}");
        if event == "waiting" {
            assert_eq!(last["status"], status.to_lowercase().replace('_', "-"), "{run:?}");
            assert!(last["until"].is_string(), "{run:?}");
        }
    }
    Ok(())
}

#[test]
fn what_may_not_be_edited_is_refused_with_the_way_out() -> TestResult {
    let (zone, blocked) = ("refused.dktest", "blocked.dktest");
    let world = World::start(&[zone, blocked])?;

    // SES doesn't know it.
    let account = "500400000001";
    let run = world.repair(account, "stranger.dktest", &[]);
    assert_only_told(account, &run, 2);
    assert!(run.stdout.contains("--region"), "{run:?}");

    // Another host has the zone.
    let account = "500400000002";
    world.identity(account, zone, "PENDING");
    let run = world.repair(account, zone, &["--apply", "--yes", "--format", "json"]);
    assert_only_told(account, &run, 2);
    let refused = run.events().pop().expect("an event");
    assert_eq!(refused["event"], "refused", "{run:?}");
    assert!(refused["records"].to_string().contains("aaa._domainkey.refused.dktest"), "{refused}");

    // A record of another type.
    let account = "500400000003";
    let address = record("aaa._domainkey.blocked.dktest", "A", "192.0.2.1");
    let id = world.host(account, blocked, &[address], "PENDING");
    world.serve(account, blocked, &id)?;
    let run = world.repair(account, blocked, &["--apply", "--yes"]);
    assert_only_told(account, &run, 2);
    Ok(())
}

#[test]
fn after_a_lost_answer_and_a_kill_it_is_done_with_one_net_change() -> TestResult {
    let zone = "killed.dktest";
    let world = World::start(&[zone])?;
    let peer = Peer::shared();
    let account = "500500000001";
    let id = world.host(account, zone, &[], "PENDING");
    world.follow(account, zone, &id);
    let all = ["--apply", "--yes", "--format", "json"];
    // Held in each call in turn, and killed there.
    for operation in ["ListResourceRecordSets", "ChangeResourceRecordSets", "GetChange"] {
        peer.add_fault(account, json!({ "operation": operation, "times": 1, "delay": 600.0 }));
        let seen = peer.count(account, operation);
        let mut child = world.command(account, zone, &all).spawn()?;
        let begun = std::time::Instant::now();
        while peer.count(account, operation) == seen {
            assert!(begun.elapsed().as_secs() < 60, "{operation} isn't called");
            std::thread::sleep(std::time::Duration::from_millis(20));
        }
        child.kill()?;
        child.wait()?;
        peer.heal(account);
    }
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    let run = world.repair(account, zone, &all);
    assert_eq!(run.code, 0, "{run:?}");
    assert_eq!(peer.changes(account).len(), 1, "{:?}", peer.changes(account));

    let run = world.repair(account, zone, &["--history", "--format", "json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let steps: Vec<Value> = run.events().into_iter().map(|entry| entry["step"].clone()).collect();
    assert_eq!(steps.first(), Some(&json!("publish")), "{run:?}");
    assert_eq!(steps.last(), Some(&json!("done")), "{run:?}");
    Ok(())
}
