//! Every cause whose remedy is an edit, from broken to the provider's success without a hand.

use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

use dkimguard_core::testing::PUBLIC_KEY;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::world::{HOME, Run, TOKENS, World, alias, aliases, key_in_strings, record};
use crate::{PUT, TestResult, lines_of, strange_calls};

/// How many domains are repaired at once.
const AT_ONCE: usize = 8;

/// What happens where one batch is all that is needed.
const ONE_BATCH: &[&str] = &["plan", "published", "in-sync", "verified", "done"];
/// What happens where the provider is asked to start again, and wants no other records.
const STARTED_AGAIN: &[&str] = &["verified", "rearming", "rearmed", "done"];
/// The same where it wants others.
const WITH_OTHERS: &[&str] =
    &["verified", "rearming", "rearmed", "plan", "published", "in-sync", "verified", "done"];
/// The same where records are missing and it has given up.
const BATCH_THEN_STARTED: &[&str] =
    &["plan", "published", "in-sync", "verified", "rearming", "rearmed", "done"];
/// The same where there were no tokens before.
const STARTED_THEN_BATCH: &[&str] =
    &["rearming", "rearmed", "plan", "published", "in-sync", "verified", "done"];

/// One broken domain.
struct Case {
    /// The code of the cause, which a check tells.
    cause: &'static str,
    zone: String,
    /// What stands in the zone beside the stranger's.
    holds: Vec<Value>,
    /// The names that the repair edits, by the label before `_domainkey`.
    edited: Vec<&'static str>,
    status: &'static str,
    /// The identity's tokens; its selector where the key is the owner's.
    tokens: &'static [&'static str],
    is_owners: bool,
    /// What starting again does.
    restart: Value,
    /// Zones beside the delegated one, as the peer takes them.
    others: Vec<Value>,
    /// What CloudTrail has recorded.
    history: Vec<Value>,
    /// Where the edit is made, if not in the zone.
    child: Option<&'static str>,
    events: &'static [&'static str],
}

/// A case in which the CNAME of `aaa` isn't as it must be, and this stands in the zone beside the other two.
fn case(zone: &str, cause: &'static str, instead: impl IntoIterator<Item = Value>) -> Case {
    let zone = format!("{zone}.dktest");
    Case {
        cause,
        holds: aliases(&["bbb", "ccc"], &zone).into_iter().chain(instead).collect(),
        zone,
        edited: vec!["aaa"],
        status: "PENDING",
        tokens: &TOKENS,
        is_owners: false,
        restart: Value::Null,
        others: Vec::new(),
        history: Vec::new(),
        child: None,
        events: ONE_BATCH,
    }
}

/// A case of a key of the owner's, with these texts at its selector.
fn owners(zone: &str, cause: &'static str, texts: &[&str]) -> Case {
    let case = case(zone, cause, []);
    let name = format!("s1._domainkey.{}", case.zone);
    let holds = match texts {
        [] => vec![],
        texts => vec![json!({ "name": name, "type": "TXT", "ttl": 1, "values": texts })],
    };
    Case { holds, edited: vec!["s1"], tokens: &["s1"], is_owners: true, ..case }
}

/// The causes of the catalogue whose remedy is an edit of the zone that the world is sent to.
fn cases() -> Vec<Case> {
    let at = |label: &str, zone: &str| format!("{label}._domainkey.{zone}.dktest");
    let aaa = |zone: &str, kind: &str, value: &str| [record(&at("aaa", zone), kind, value)];
    let right = "aaa.dkim.amazonses.com";
    let (first, rest) = PUBLIC_KEY.split_at(200);
    let weighted = |identifier: &str, value: &str| {
        json!({ "name": at("aaa", "several"), "type": "CNAME", "ttl": 1,
        "values": [value], "identifier": identifier, "weight": 1 })
    };
    let weak = "\"k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOyyLaddsIQM9J+y4i0cZAeIt7qinkuGywvL2xogaSoZZ6Ty83+zljz/Pl46s7+\
                vSbJxuw5x9leK6YI+t1v1vWUCAwEAAQ==\"";
    let ed25519 = "\"v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=\"";
    let of = |zone: &str, tokens: &[&str]| aliases(tokens, &format!("{zone}.dktest"));
    let all = |zone: &str, cause: &'static str| Case {
        holds: of(zone, &TOKENS),
        edited: vec![],
        status: "FAILED",
        events: STARTED_AGAIN,
        ..case(zone, cause, [])
    };
    let others: &'static [&'static str] = &["ddd", "eee", "fff"];
    let elsewhere = json!(["ns1.elsewhere.dktest", "ns2.elsewhere.dktest"]);
    vec![
        case("missing", "record-missing", []),
        Case { status: "TEMPORARY_FAILURE", ..case("lost", "record-missing", []) },
        Case { holds: vec![], edited: TOKENS.to_vec(), ..case("bare", "record-missing", []) },
        case(
            "name-doubled",
            "name-doubled",
            [record(&format!("{}.name-doubled.dktest", at("aaa", "name-doubled")), "CNAME", right)],
        ),
        case("underscore", "underscore-lost", [record("aaa.domainkey.underscore.dktest", "CNAME", right)]),
        case(
            "value-doubled",
            "value-doubled",
            aaa("value-doubled", "CNAME", &format!("{right}.value-doubled.dktest")),
        ),
        case("other-token", "wrong-target", aaa("other-token", "CNAME", "ddd.dkim.amazonses.com")),
        case(
            "other-region",
            "wrong-target",
            aaa("other-region", "CNAME", "aaa.dkim.eu-north-1.amazonses.com"),
        ),
        case(
            "by-way-of",
            "wrong-target",
            [
                record(&at("aaa", "by-way-of"), "CNAME", "own.by-way-of.dktest"),
                record("own.by-way-of.dktest", "CNAME", right),
            ],
        ),
        case("flattened", "cname-flattened", aaa("flattened", "TXT", &format!("\"p={first}\" \"{rest}\""))),
        case("text", "txt-instead-of-cname", aaa("text", "TXT", &format!("\"{right}\""))),
        case("malformed", "malformed-value", aaa("malformed", "CNAME", &format!("http://{right}"))),
        case("several", "wrong-target", [weighted("one", "old.dkim.amazonses.com"), weighted("two", right)]),
        case(
            "wildcard",
            "wildcard-answer",
            [record("*._domainkey.wildcard.dktest", "TXT", "\"v=spf1 -all\"")],
        ),
        Case {
            holds: of("renewed", &["ggg", "hhh", "iii"]),
            edited: TOKENS.to_vec(),
            history: vec![json!({
                "eventSource": "ses.amazonaws.com", "eventName": "PutEmailIdentityDkimSigningAttributes",
                "requestParameters": { "emailIdentity": "renewed.dktest" },
                "responseElements": { "dkimTokens": ["ggg", "hhh", "iii"] },
            })],
            ..case("renewed", "tokens-changed", [])
        },
        owners("own-missing", "record-missing", &[]),
        owners("own-revoked", "key-revoked", &["\"v=DKIM1; p=\""]),
        owners("own-unreadable", "key-unreadable", &["\"v=DKIM1; k=rsa; p=MIIBIjAN\""]),
        owners("own-weak", "key-weak", &[weak]),
        owners("own-other", "key-mismatch", &[ed25519]),
        owners("own-several", "several-keys", &[&key_in_strings(), ed25519]),
        Case {
            holds: vec![
                json!({ "name": "_domainkey.cut.dktest", "type": "NS", "ttl": 1,
                        "values": ["ns1._domainkey.cut.dktest", "ns2._domainkey.cut.dktest"] }),
                alias("aaa", "cut.dktest"),
            ],
            child: Some("_domainkey.cut.dktest"),
            ..case("cut", "zone-cut", [])
        },
        Case {
            others: vec![
                json!({ "name": "two.dktest", "id": "ZOTHER", "servers": elsewhere, "records": of("two", &TOKENS) }),
            ],
            holds: vec![],
            edited: TOKENS.to_vec(),
            ..case("two", "several-zones", [])
        },
        Case {
            others: vec![
                json!({ "name": "inside.dktest", "id": "ZINSIDE", "private": true, "records": of("inside", &TOKENS) }),
            ],
            holds: vec![],
            edited: TOKENS.to_vec(),
            ..case("inside", "private-zone", [])
        },
        all("gave-up", "provider-gave-up"),
        Case { restart: json!({ "refuses_length": true }), ..all("length", "provider-gave-up") },
        Case {
            restart: json!({ "tokens": others }),
            edited: others.to_vec(),
            events: WITH_OTHERS,
            ..all("others", "provider-gave-up")
        },
        Case { status: "FAILED", events: BATCH_THEN_STARTED, ..case("both", "record-missing", []) },
        Case {
            holds: vec![],
            edited: TOKENS.to_vec(),
            status: "NOT_STARTED",
            tokens: &[],
            restart: json!({ "tokens": TOKENS }),
            events: STARTED_THEN_BATCH,
            ..case("new", "not-started", [])
        },
    ]
}

#[test]
fn each_broken_domain_is_repaired_by_one_write_and_proven() -> TestResult {
    let cases = cases();
    let zones: Vec<&str> = cases.iter().map(|case| case.zone.as_str()).collect();
    let children = cases.iter().filter_map(|case| case.child);
    let world = World::start(&zones.iter().copied().chain(children).collect::<Vec<_>>())?;
    let wrong = Mutex::new(Vec::new());
    let next = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some((number, case)) =
                    Some(next.fetch_add(1, Ordering::Relaxed)).and_then(|at| Some((at, cases.get(at)?)))
                {
                    let found = repaired(&world, &format!("5001000000{number:02}"), case);
                    wrong.lock().expect("no panic in a case").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner()?;
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    Ok(())
}

/// What isn't as it must be once this domain is repaired.
fn repaired(world: &World, account: &str, case: &Case) -> Vec<String> {
    let (peer, zone) = (Peer::shared(), case.zone.as_str());
    let key = world.file("key.txt", &format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}"));
    let mut arguments = vec!["--apply", "--yes", "--format", "json"];
    if case.is_owners {
        let dkim =
            json!({ "Tokens": case.tokens, "Status": case.status, "SigningAttributesOrigin": "EXTERNAL" });
        peer.add_identities(account, HOME, &json!([{ "name": zone, "DkimAttributes": dkim }]));
        arguments.extend(["--public-key", &key]);
        let text = format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}");
        peer.verify_key_at(account, HOME, zone, &world.servers(zone), &text);
    } else {
        world.identity(account, zone, case.tokens, case.status);
        peer.verify_at(account, HOME, zone, &world.servers(case.child.unwrap_or(zone)), 0.0);
    }
    if !case.restart.is_null() {
        peer.set_restart(account, HOME, zone, case.restart.clone());
    }
    let mut id = world.host(account, zone, &case.holds);
    let edited = case.child.unwrap_or(zone);
    if let Some(child) = case.child {
        let records = ["bbb", "ccc"].map(|token| alias(token, zone));
        id = world.host(account, child, &records);
    }
    if case.cause == "tokens-changed" {
        // A stranger's beside them leaves it open which are the earlier ones.
        peer.edit_zone(account, &id, &json!([{ "name": format!("xyz._domainkey.{zone}"), "type": "CNAME" }]));
    }
    peer.add_zones(account, &json!(case.others));
    peer.add_events(account, HOME, &json!(case.history));
    // A while in which the provider can look.
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    let before = lines_of(account, &id);
    let mut wrong = Vec::new();
    let said = world.check(account, zone);
    let mut expect = |is_so: bool, what: String, run: Option<&Run>| {
        if !is_so {
            wrong.push(format!("{zone}: {what}\n{run:?}"));
        }
    };
    let is_of_catalogue =
        !case.is_owners || matches!(case.cause, "key-revoked" | "key-unreadable" | "several-keys");
    if is_of_catalogue {
        expect(said.contains(&case.cause.to_owned()), format!("{} isn't among {said:?}", case.cause), None);
    }
    let seen = peer.calls(account).len();
    let run = world.repair(account, zone, &arguments);

    expect(run.code == 0, format!("exit {}", run.code), Some(&run));
    let events = run.events();
    let names = events.iter().filter_map(|event| event["event"].as_str()).filter(|name| *name != "waiting");
    let names: Vec<&str> = names.collect();
    expect(names == case.events, format!("{names:?}"), Some(&run));
    let batches = usize::from(case.events.contains(&"plan"));
    expect(peer.changes(account).len() == batches, format!("{:?}", peer.changes(account)), Some(&run));
    let calls: Vec<String> = peer.calls(account)[seen..].iter().map(|call| call.operation.clone()).collect();
    let strange = strange_calls(account, zone);
    expect(strange.is_empty(), format!("calls {strange:?}"), Some(&run));
    // Where SES refuses the key's length it is asked once more.
    let puts = calls.iter().filter(|call| *call == PUT).count();
    let meant = usize::from(case.events.contains(&"rearmed"))
        + usize::from(!case.restart["refuses_length"].is_null());
    expect(puts == meant, format!("{puts} calls of {PUT}"), Some(&run));

    let names: Vec<String> = case.edited.iter().map(|label| format!("{label}._domainkey.{zone}. ")).collect();
    let is_edited = |line: &String| names.iter().any(|name| line.starts_with(name));
    let mut meant: Vec<String> = before.into_iter().filter(|line| !is_edited(line)).collect();
    meant.extend(case.edited.iter().map(|label| match case.is_owners {
        true => format!("{label}._domainkey.{zone}. 300 IN TXT {}", key_in_strings()),
        false => format!("{label}._domainkey.{zone}. 300 IN CNAME {label}.dkim.amazonses.com."),
    }));
    meant.sort();
    let after = lines_of(account, &id);
    expect(
        after == meant,
        format!("{edited} is\n{}\nand not\n{}", after.join("\n"), meant.join("\n")),
        Some(&run),
    );

    // Again: nothing is left to do.
    let run = world.repair(account, zone, &["--format", "json"]);
    expect(run.code == 0 && run.last()["event"] == "done", format!("again: exit {}", run.code), Some(&run));
    wrong
}
