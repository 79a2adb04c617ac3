//! What is told where nothing is written: plans, refusals, histories.

use std::fs::File;
use std::io::Read as _;

use dkimguard_core::guard::{Entry, Memory, Sqlite};
use dkimguard_core::ports::Store as _;
use dkimguard_core::testing::PUBLIC_KEY;
use jiff::Timestamp;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::world::{HOME, Run, TOKENS, World, aliases, record, wait_until};
use crate::{CHANGE, TestResult, lines_of, strange_calls, writes};

const ALL: [&str; 4] = ["--apply", "--yes", "--format", "json"];
const JSON: [&str; 2] = ["--format", "json"];

/// Asserts the exit code, that nothing was written to AWS, and that no state file was made.
fn assert_only_told(world: &World, account: &str, run: &Run, code: i32) {
    assert_eq!(run.code, code, "{run:?}");
    assert_eq!(writes(account), 0, "{run:?}");
    assert!(!world.state(account).exists(), "nothing was done that could be written down: {run:?}");
}

#[test]
fn without_leave_the_plan_is_printed_and_nothing_is_written() -> TestResult {
    let zone = "told.dktest";
    let world = World::start(&[zone])?;
    let account = "500200000001";
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));

    let run = world.repair(account, zone, &[]);
    assert_only_told(&world, account, &run, 1);
    assert!(run.stdout.contains("+ aaa._domainkey.told.dktest"), "{run:?}");
    assert!(run.stdout.contains("route53:ChangeResourceRecordSets"), "{run:?}");
    assert!(run.stdout.contains("--apply"), "{run:?}");

    let run = world.repair(account, zone, &JSON);
    assert_only_told(&world, account, &run, 1);
    let events = run.events();
    assert_eq!(events.len(), 1, "{run:?}");
    assert_eq!(events[0]["schema"], 1);
    assert_eq!(events[0]["event"], "plan");
    assert_eq!(events[0]["id"], format!("ses:{account}:{HOME}:{zone}"));
    assert_eq!(events[0]["domain"], zone);
    assert!(events[0]["at"].is_string());
    assert_eq!(events[0]["edits"][0]["name"], format!("aaa._domainkey.{zone}"));

    // Nobody is at a terminal.
    let run = world.repair(account, zone, &["--apply", "--format", "json"]);
    assert_only_told(&world, account, &run, 3);
    let events = run.events();
    assert_eq!(events.len(), 2, "{run:?}");
    assert_eq!(events[0]["event"], "plan", "{run:?}");
    assert_eq!(events[1]["error"]["code"], "not-agreed", "{run:?}");
    let run = world.repair(account, zone, &["--apply"]);
    assert_only_told(&world, account, &run, 3);
    assert_eq!(run.stdout.matches("+ aaa._domainkey.told.dktest").count(), 1, "{run:?}");
    assert!(run.stderr.contains("hint: --yes"), "{run:?}");

    // There is nothing to tell of.
    let run = world.history(account, zone);
    assert_only_told(&world, account, &run, 3);
    Ok(())
}

#[test]
fn a_plan_needs_no_state_file_and_a_repair_does() -> TestResult {
    let zone = "stateless.dktest";
    let world = World::start(&[zone])?;
    let account = "500200000008";
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    let strange = "this is no database, and somebody may want it";
    std::fs::write(world.state(account), strange)?;

    let run = world.repair(account, zone, &JSON);
    assert_eq!((run.code, &run.events()[0]["event"]), (1, &json!("plan")), "{run:?}");
    assert!(run.stderr.contains("warning: "), "{run:?}");
    let run = world.repair(account, zone, &ALL);
    assert_eq!((run.code, writes(account)), (3, 0), "{run:?}");
    assert_eq!(std::fs::read_to_string(world.state(account))?, strange);
    Ok(())
}

#[test]
fn what_a_guard_has_begun_is_not_ended_by_the_command() -> TestResult {
    let zone = "guarded.dktest";
    let world = World::start(&[zone])?;
    let account = "500200000009";
    world.identity(account, zone, &TOKENS, "SUCCESS");
    world.host(account, zone, &aliases(&TOKENS, zone));
    let id = dkimguard_core::IdentityId {
        provider: "ses".to_owned(),
        account: Some(account.to_owned()),
        region: Some(HOME.to_owned()),
        domain: zone.parse()?,
    };
    let entry = Entry {
        at: Timestamp::now(),
        step: "publish".to_owned(),
        what: "an edit".to_owned(),
        reason: "3 records are missing".to_owned(),
        result: None,
    };
    let store = Sqlite::open(world.state(account))?;
    tokio::runtime::Runtime::new()?.block_on(store.save(&id, &Memory::default().with_entry(entry), None))?;

    let run = world.repair(account, zone, &ALL);
    assert_eq!((run.code, &run.last()["event"]), (0, &json!("done")), "{run:?}");
    let run = world.history(account, zone);
    assert_eq!((run.events().len(), &run.last()["step"]), (1, &json!("publish")), "{run:?}");
    Ok(())
}

#[test]
fn where_the_account_cannot_be_told_it_is_repaired_all_the_same() -> TestResult {
    let zone = "unnamed.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500200000002");
    peer.add_fault(
        account,
        json!({ "operation": "GetCallerIdentity", "status": 403, "code": "AccessDenied", "message": "no" }),
    );
    world.identity(account, zone, &TOKENS, "FAILED");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    peer.set_changes(account, json!({ "sync_asks": 1 }));

    let run = world.repair(account, zone, &ALL);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.events().iter().all(|event| event["id"] == format!("ses:-:{HOME}:{zone}")), "{run:?}");
    assert!(run.events().iter().any(|event| event["event"] == "rearmed"), "{run:?}");
    let run = world.history(account, zone);
    assert_eq!((run.code, &run.last()["step"]), (0, &json!("done")), "{run:?}");
    Ok(())
}

#[test]
fn where_nothing_is_to_be_edited_it_ends_well_and_says_what_the_provider_says() -> TestResult {
    let zone = "sound.dktest";
    let world = World::start(&[zone])?;
    // (account, SES's status, exit code, event, what is waited for)
    for (account, status, code, event, awaited) in [
        ("500300000001", "SUCCESS", 0, "done", Value::Null),
        ("500300000002", "PENDING", 0, "waiting", json!("provider")),
        ("500300000003", "TEMPORARY_FAILURE", 0, "waiting", json!("provider")),
        ("500300000004", "FAILED", 1, "waiting", json!("rearm")),
    ] {
        world.identity(account, zone, &TOKENS, status);
        world.host(account, zone, &aliases(&TOKENS, zone));
        let run = world.repair(account, zone, &JSON);
        assert_only_told(&world, account, &run, code);
        let events = run.events();
        assert_eq!(events.len(), 1, "{status}: {run:?}");
        assert_eq!((&events[0]["event"], &events[0]["for"]), (&json!(event), &awaited), "{run:?}");
        if awaited == "provider" {
            assert_eq!(events[0]["status"], status.to_lowercase().replace('_', "-"), "{run:?}");
            assert!(events[0]["until"].is_string(), "{run:?}");
        }
    }
    Ok(())
}

#[test]
fn what_may_not_be_edited_is_refused_with_the_way_out() -> TestResult {
    let zones = ["refused.dktest", "blocked.dktest", "twice.dktest"];
    let world = World::start(&zones)?;
    let refused = |account: &str, zone: &str, code: &str| {
        let run = world.repair(account, zone, &ALL);
        assert_only_told(&world, account, &run, 2);
        let events = run.events();
        let told = &events[0];
        assert_eq!(events.len(), 1, "{run:?}");
        assert_eq!((&told["event"], &told["code"]), (&json!("refused"), &json!(code)), "{run:?}");
        assert_eq!(told["domain"], zone, "{run:?}");
        let text = world.repair(account, zone, &[]);
        assert_only_told(&world, account, &text, 2);
        (told.clone(), text.stdout)
    };

    // SES doesn't know it.
    let (told, text) = refused("500400000001", "stranger.dktest", "unknown-domain");
    assert!(told["id"].as_str().is_some_and(|id| id.starts_with("ses:")), "{told}");
    assert!(text.contains("--region"), "{text}");

    // Another host, or another account, has the zone.
    let account = "500400000002";
    world.identity(account, "refused.dktest", &TOKENS, "PENDING");
    world.hold("500400000009", "refused.dktest", &[]);
    let (told, text) = refused(account, "refused.dktest", "held-elsewhere");
    for token in TOKENS {
        let line = format!("{token}._domainkey.refused.dktest. CNAME {token}.dkim.amazonses.com.");
        assert!(told["records"].as_array().is_some_and(|lines| lines.contains(&json!(line))), "{told}");
        assert!(text.contains(&line), "{text}");
    }

    // A record of another type.
    let account = "500400000003";
    world.identity(account, "blocked.dktest", &TOKENS, "PENDING");
    let address = record("aaa._domainkey.blocked.dktest", "A", "192.0.2.1");
    world.host(account, "blocked.dktest", &[address]);
    let (_, text) = refused(account, "blocked.dktest", "in-the-way");
    assert!(text.contains("by hand"), "{text}");

    // Two zones that answer to the delegation.
    let account = "500400000004";
    world.identity(account, "twice.dktest", &TOKENS, "PENDING");
    let id = world.host(account, "twice.dktest", &[]);
    let servers = json!(["ns1.twice.dktest", "ns2.twice.dktest"]);
    Peer::shared()
        .add_zones(account, &json!([{ "name": "twice.dktest", "id": "ZSECOND", "servers": servers }]));
    let (_, text) = refused(account, "twice.dktest", "several-zones");
    assert!(text.contains(&id) && text.contains("ZSECOND"), "{text}");
    Ok(())
}

#[test]
fn plan_that_the_zone_has_outrun_is_made_anew() -> TestResult {
    let zone = "outrun.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500600000001");
    world.identity(account, zone, &TOKENS, "PENDING");
    let id = world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    let theirs = json!([record(&format!("aaa._domainkey.{zone}"), "CNAME", "theirs.example.net")]);
    peer.add_fault(
        account,
        json!({ "operation": CHANGE, "times": 1, "edit": { "id": id, "records": theirs } }),
    );
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);

    let run = world.repair(account, zone, &ALL);
    assert_eq!(run.code, 0, "{run:?}");
    let events = run.events();
    let plans: Vec<&Value> = events.iter().filter(|event| event["event"] == "plan").collect();
    assert_eq!(plans.len(), 2, "{run:?}");
    assert_eq!(plans[1]["edits"][0]["before"][0]["value"], "theirs.example.net", "{run:?}");
    assert_eq!(peer.changes(account).len(), 1);
    Ok(())
}

#[test]
fn earlier_records_go_only_when_asked_and_only_once_todays_are_proven() -> TestResult {
    let zone = "renewing.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500700000001");
    world.identity(account, zone, &TOKENS, "FAILED");
    let id = world.host(account, zone, &aliases(&TOKENS, zone));
    peer.set_restart(account, HOME, zone, json!({ "tokens": ["ddd", "eee", "fff"] }));
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    let before = lines_of(account, &id);

    let run = world.repair(account, zone, &["--apply", "--yes", "--remove-old", "--format", "json"]);
    assert_eq!(run.code, 0, "{run:?}");
    let names: Vec<Value> = run.events().iter().map(|event| event["event"].clone()).collect();
    assert_eq!(names.iter().filter(|name| *name == "done").count(), 1, "{run:?}");
    let batches = peer.changes(account);
    assert_eq!(batches.len(), 2, "{run:?}");
    let actions = |batch: &Value| -> Vec<String> {
        let changes = batch["changes"].as_array().expect("changes").iter();
        changes.map(|change| format!("{} {}", change["action"], change["name"])).collect()
    };
    assert!(actions(&batches[0]).iter().all(|action| action.starts_with("\"CREATE\"")), "{batches:?}");
    assert!(actions(&batches[1]).iter().all(|action| action.starts_with("\"DELETE\"")), "{batches:?}");
    let is_token =
        |line: &&String| TOKENS.iter().any(|token| line.starts_with(&format!("{token}._domainkey.")));
    let mut meant: Vec<String> = before.iter().filter(|line| !is_token(line)).cloned().collect();
    meant.extend(
        ["ddd", "eee", "fff"]
            .map(|token| format!("{token}._domainkey.{zone}. 300 IN CNAME {token}.dkim.amazonses.com.")),
    );
    meant.sort();
    assert_eq!(lines_of(account, &id), meant, "a stranger's stay");
    assert!(strange_calls(account, zone).is_empty());

    // What was done can be read afterwards, by people too.
    let run = world.history(account, zone);
    assert_eq!(run.code, 0, "{run:?}");
    let steps: Vec<Value> = run.events().into_iter().map(|entry| entry["step"].clone()).collect();
    let meant = ["rearm", "rearmed", "publish", "published", "publish", "published", "done"];
    assert_eq!(steps, meant, "{run:?}");
    for entry in run.events() {
        assert_eq!(
            (&entry["schema"], &entry["id"]),
            (&json!(1), &json!(format!("ses:{account}:{HOME}:{zone}")))
        );
        assert!(entry["at"].is_string() && entry["reason"].is_string(), "{entry}");
    }
    let run = world.repair(account, zone, &["--history"]);
    assert!(run.stdout.contains("- aaa._domainkey.renewing.dktest"), "{run:?}");
    Ok(())
}

#[test]
fn public_key_that_is_not_the_one_awaited_is_refused_before_anything_is_asked() -> TestResult {
    let zone = "keys.dktest";
    let world = World::start(&[zone])?;
    let account = "500800000001";
    let pem =
        |label: &str, octets: &str| format!("-----BEGIN {label}-----\n{octets}\n-----END {label}-----\n");
    let ed25519 = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
    let good = world.file("good.pem", &pem("PUBLIC KEY", PUBLIC_KEY));
    let private = world.file("private.pem", &pem("PRIVATE KEY", "MIIBVQIBADANBgkqhkiG9w0BAQEFAASCAT8"));
    let other = world.file("other.pem", &pem("PUBLIC KEY", ed25519));
    let none = world.file("none.pem", "nothing");
    let own = json!({ "Tokens": ["s1"], "Status": "PENDING", "SigningAttributesOrigin": "EXTERNAL" });
    Peer::shared().add_identities(account, HOME, &json!([{ "name": zone, "DkimAttributes": own }]));
    world.identity(account, "easy.dktest", &TOKENS, "PENDING");
    world.host(account, zone, &[]);
    for (domain, path, code, message) in [
        (zone, &private, "key-file", "private key"),
        (zone, &none, "key-file", "no public key"),
        (zone, &"/nonexistent".to_owned(), "key-file", "cannot be read"),
        (zone, &other, "key-file", "RSA"),
        ("easy.dktest", &good, "usage", "provider's own"),
    ] {
        let run = world.repair(account, domain, &["--public-key", path, "--format", "json"]);
        assert_only_told(&world, account, &run, 3);
        let error = &run.last()["error"];
        assert_eq!(error["code"], code, "{run:?}");
        assert!(error["message"].as_str().is_some_and(|told| told.contains(message)), "{run:?}");
    }
    // Without it the way out is told.
    let run = world.repair(account, zone, &JSON);
    assert_only_told(&world, account, &run, 2);
    assert_eq!(run.last()["code"], "key-unknown", "{run:?}");
    let run = world.repair(account, zone, &["--public-key", &good, "--format", "json"]);
    assert_only_told(&world, account, &run, 1);

    // Of a file: two that await a key, and a provider that takes Ed25519.
    let identities = world.file(
        "keys.toml",
        "[[identity]]\ndomain = \"two.dktest\"\nselectors = [{ label = \"s1\" }, { label = \"s2\" }]\n\
         [[identity]]\ndomain = \"keys.dktest\"\nselectors = [{ label = \"s1\" }]\n",
    );
    let source = format!("file:{identities}");
    let run = world.repair(
        account,
        "two.dktest",
        &["--source", &source, "--public-key", &good, "--format", "json"],
    );
    assert_only_told(&world, account, &run, 3);
    assert!(run.last()["error"]["message"].as_str().is_some_and(|told| told.contains("s1, s2")), "{run:?}");
    let run = world.repair(account, zone, &["--source", &source, "--public-key", &other, "--format", "json"]);
    assert_only_told(&world, account, &run, 2);
    let records = run.last()["records"].to_string();
    assert!(records.contains("k=ed25519; p=Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE="), "{run:?}");
    Ok(())
}

#[test]
fn output_that_nobody_reads_does_not_stop_a_repair() -> TestResult {
    let zone = "unread.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500900000001");
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    let mut child = world.command(account, zone, &ALL).spawn()?;
    let mut output = child.stdout.take().expect("the output is piped");
    let mut octet = [0];
    output.read_exact(&mut octet)?;
    drop(output);
    let mut status = None;
    wait_until("the command ends", || {
        status = child.try_wait().expect("the process is known");
        status.is_some()
    });
    assert_eq!(status.and_then(|status| status.code()), Some(0));
    assert_eq!(peer.changes(account).len(), 1);
    let run = world.history(account, zone);
    assert_eq!(run.last()["step"], "done", "{run:?}");
    Ok(())
}

#[test]
fn what_cannot_be_written_down_or_told_is_not_done() -> TestResult {
    let zone = "unwritten.dktest";
    let world = World::start(&[zone])?;
    let account = "500900000003";
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    let run = world.repair(account, zone, &[&ALL[..], &["--state", "/dev/null/state.sqlite"]].concat());
    assert_only_told(&world, account, &run, 3);
    assert_eq!(run.events()[0]["event"], "plan", "{run:?}");
    assert_eq!(run.last()["error"]["code"], "state", "{run:?}");

    let full = File::options().write(true).open("/dev/full")?;
    let code = world.command(account, zone, &ALL).stdout(full).status()?.code();
    assert_eq!((code, writes(account)), (Some(3), 0));
    Ok(())
}

#[test]
fn domain_of_several_identities_is_repaired_one_by_one() -> TestResult {
    let zone = "several.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500900000004");
    world.identity(account, zone, &TOKENS, "PENDING");
    peer.add_identities(account, "eu-west-1", &json!([{ "name": zone }]));
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    let both = ["--region", HOME, "--region", "eu-west-1"];
    let run = world.repair(account, zone, &[&ALL[..], &both].concat());
    assert_only_told(&world, account, &run, 3);
    let error = run.last()["error"].to_string();
    assert!(error.contains("eu-west-1") && error.contains("--region"), "{run:?}");
    let run = world.repair(account, zone, &["--region", HOME, "--format", "json"]);
    assert_only_told(&world, account, &run, 1);
    Ok(())
}

#[test]
fn absence_that_a_resolver_keeps_is_waited_out_and_its_end_told() -> TestResult {
    let zone = "kept.dktest";
    let world = World::start(&[zone])?;
    let (peer, account) = (Peer::shared(), "500900000002");
    world.identity(account, zone, &TOKENS, "PENDING");
    world.host(account, zone, &aliases(&["bbb", "ccc"], zone));
    peer.verify_at(account, HOME, zone, &world.servers(zone), 0.0);
    // Its first look has the resolver keep the absence.
    let run = world.repair(account, zone, &[&ALL[..], &["--resolver", &world.remembering()]].concat());
    assert_eq!(run.code, 0, "{run:?}");
    let events = run.events();
    let waits: Vec<&Value> = events.iter().filter(|event| event["for"] == "resolvers").collect();
    assert!(!waits.is_empty(), "{run:?}");
    for wait in waits {
        let time = |value: &Value| value.as_str().expect("a time").parse::<Timestamp>().expect("a time");
        let left = time(&wait["until"]).duration_since(time(&wait["at"]));
        assert!((-1..=20).contains(&left.as_secs()), "{run:?}");
    }
    assert_eq!(run.last()["event"], "done", "{run:?}");
    Ok(())
}
