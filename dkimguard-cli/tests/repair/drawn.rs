//! Faults drawn from a seed, at every step of a repair, which is run again until it is done.

use std::collections::BTreeSet;
use std::env;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::peer::Peer;
use crate::world::{HOME, Run, TOKENS, World, alias, aliases, record};
use crate::{CHANGE, PUT, TestResult, lines_of, strange_calls};

const ALL: [&str; 6] = ["--apply", "--yes", "--wait", "3m", "--format", "json"];
/// How many rounds are drawn, unless DKIMGUARD_REPAIR_ROUNDS says otherwise.
const ROUNDS: u64 = 12;
/// The seed of the first round, unless DKIMGUARD_REPAIR_SEED says otherwise; each takes the next.
const SEED: u64 = 20_261_124;
/// How many rounds are played at once.
const AT_ONCE: usize = 12;
/// How often a round is run again.
const MOST_RUNS: usize = 8;
/// The calls of a repair.
const CALLS: [&str; 8] = [
    "GetEmailIdentity",
    "ListHostedZonesByName",
    "GetHostedZone",
    "ListResourceRecordSets",
    "LookupEvents",
    CHANGE,
    "GetChange",
    PUT,
];

fn from_environment(name: &str) -> Option<u64> {
    env::var(name).ok()?.parse().ok()
}

#[test]
fn whatever_fails_on_the_way_the_end_is_right_once_it_is_run_again() -> TestResult {
    let rounds = from_environment("DKIMGUARD_REPAIR_ROUNDS").unwrap_or(ROUNDS);
    let seed = from_environment("DKIMGUARD_REPAIR_SEED").unwrap_or(SEED);
    let zones: Vec<String> = (0..AT_ONCE).map(|number| format!("drawn{number}.dktest")).collect();
    let world = World::start(&zones.iter().map(String::as_str).collect::<Vec<_>>())?;
    let (next, met, wrong) = (AtomicU64::new(0), AtomicUsize::new(0), Mutex::new(Vec::new()));
    thread::scope(|scope| {
        for zone in &zones {
            let (world, next, met, wrong) = (&world, &next, &met, &wrong);
            scope.spawn(move || {
                loop {
                    let round = next.fetch_add(1, Ordering::Relaxed);
                    if round >= rounds {
                        break;
                    }
                    let account = format!("5040{round:08}");
                    let found = play(world, zone, &account, seed.wrapping_add(round));
                    let calls = Peer::shared().calls(&account);
                    let faults = calls.iter().filter(|call| call.outcome == "fault").count();
                    met.fetch_add(faults, Ordering::Relaxed);
                    wrong.lock().expect("no panic in a round").extend(found);
                }
            });
        }
    });
    let wrong = wrong.into_inner()?;
    assert!(wrong.is_empty(), "\n{}", wrong.join("\n\n"));
    let met = met.into_inner();
    assert!(met as u64 >= rounds / 2, "only {met} faults were met in {rounds} rounds");
    Ok(())
}

/// Numbers that follow from a seed (SplitMix64).
struct Draw(u64);

impl Draw {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut drawn = self.0;
        drawn = (drawn ^ (drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        drawn = (drawn ^ (drawn >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (drawn ^ (drawn >> 31)) % bound
    }

    fn one_of<T: Clone>(&mut self, choices: &[T]) -> T {
        choices[usize::try_from(self.below(choices.len() as u64)).expect("few choices")].clone()
    }
}

/// What a round is.
#[derive(Debug)]
struct Round {
    /// What stands in the zone beside the stranger's.
    holds: Vec<Value>,
    status: &'static str,
    restart: Value,
    changes: Value,
    faults: Vec<Value>,
    /// After which call the first run is killed, if it is.
    kill: Option<u64>,
    /// After how many seconds the provider looks.
    look: f64,
}

fn draw(seed: u64, zone: &str, id: &str) -> Round {
    let mut draw = Draw(seed);
    let at = |token: &str| format!("{token}._domainkey.{zone}");
    let instead = [
        vec![],
        vec![alias("bbb", zone)],
        vec![alias("aaa", zone), record(&at("bbb"), "CNAME", "eee.dkim.amazonses.com"), alias("ccc", zone)],
        vec![record(&at("aaa"), "TXT", "\"aaa.dkim.amazonses.com\""), alias("bbb", zone), alias("ccc", zone)],
        vec![record(&format!("{}.{zone}", at("aaa")), "CNAME", "aaa.dkim.amazonses.com"), alias("ccc", zone)],
        aliases(&TOKENS, zone),
    ];
    let holds = draw.one_of(&instead);
    let status = draw.one_of(&["PENDING", "PENDING", "TEMPORARY_FAILURE", "FAILED", "FAILED", "NOT_STARTED"]);
    let restart = draw.one_of(&[
        json!({}),
        json!({ "tokens": ["bbb", "ddd", "eee"] }),
        json!({ "tokens": ["ddd", "eee", "fff"], "answer": { "DkimTokens": null } }),
        json!({ "refuses_length": true }),
    ]);
    let changes = draw.one_of(&[
        json!({ "sync_asks": 1 }),
        json!({ "sync_asks": 2 }),
        json!({ "sync_after": 12.0 }),
        json!({ "sync_asks": 1, "one_at_a_time": true }),
    ]);
    let edits = [
        json!([record(&format!("other.{zone}"), "CNAME", "elsewhere.example.net")]),
        json!([record(&format!("xyz._domainkey.{zone}"), "CNAME", "uvw.dkim.amazonses.com")]),
        json!([record(&at("aaa"), "CNAME", "theirs.example.net")]),
        json!([record(&at("ccc"), "TXT", "\"theirs\"")]),
    ];
    let faults = (0..draw.below(5)).map(|_| {
        let mut fault = json!({ "operation": draw.one_of(&CALLS), "times": 1 + draw.below(2), "skip": draw.below(3) });
        let what = match draw.below(8) {
            0 => json!({ "status": 400, "code": "Throttling", "message": "Rate exceeded" }),
            1 => json!({ "status": 503, "code": "ServiceUnavailable", "message": "try again" }),
            2 => json!({ "status": 500, "code": "InternalFailure", "message": "oh" }),
            3 => json!({ "status": 403, "code": "AccessDenied", "message": "not authorized" }),
            4 => json!({ "drop": "at once" }),
            5 => json!({ "drop": "when done" }),
            6 => json!({ "delay": 1.5 }),
            _ => json!({ "operation": CHANGE, "times": 1, "skip": 0, "edit": { "id": id, "records": draw.one_of(&edits) } }),
        };
        for (field, value) in what.as_object().expect("an object") {
            fault[field] = value.clone();
        }
        fault
    });
    let faults = faults.collect();
    let kill = (draw.below(3) == 0).then(|| draw.below(25));
    Round { holds, status, restart, changes, faults, kill, look: draw.one_of(&[0.0, 0.0, 0.0, 20.0]) }
}

/// Plays a round; what isn't as it must be at its end.
fn play(world: &World, zone: &str, account: &str, seed: u64) -> Vec<String> {
    let peer = Peer::shared();
    let id = format!("Z{}{account}", zone.replace('.', "").to_uppercase());
    let round = draw(seed, zone, &id);
    world.identity(account, zone, &TOKENS, round.status);
    let held = world.host(account, zone, &round.holds);
    assert_eq!(held, id, "the id that the faults name");
    peer.set_changes(account, round.changes.clone());
    peer.set_restart(account, HOME, zone, round.restart.clone());
    peer.verify_at(account, HOME, zone, &world.servers(zone), round.look);
    for fault in &round.faults {
        peer.add_fault(account, fault.clone());
    }
    let before = lines_of(account, &id);
    let mut runs: Vec<Run> = Vec::new();
    if let Some(call) = round.kill {
        run_and_kill(world, account, zone, call);
    }
    let is_done = |runs: &[Run]| runs.last().is_some_and(|run| run.code == 0);
    while !is_done(&runs) && runs.len() < MOST_RUNS {
        runs.push(world.repair(account, zone, &ALL));
    }
    let mut wrong = Vec::new();
    let mut expect = |is_so: bool, what: String| {
        if !is_so {
            wrong.push(format!("seed {seed}: {what}\n{round:?}\n{runs:?}"));
        }
    };
    expect(is_done(&runs), format!("not done after {} runs", runs.len()));
    expect(strange_calls(account, zone).is_empty(), format!("calls {:?}", strange_calls(account, zone)));

    // Today's tokens, which starting again may have changed.
    let is_restarted = peer.calls(account).iter().any(|call| call.operation == PUT);
    let renewed: Vec<&str> = round.restart["tokens"]
        .as_array()
        .map_or(vec![], |tokens| tokens.iter().filter_map(Value::as_str).collect());
    let after = lines_of(account, &id);
    let wants: &[&str] = if is_restarted && !renewed.is_empty() { &renewed } else { &TOKENS };
    for token in wants {
        let start = format!("{token}._domainkey.{zone}. ");
        let end = format!(" IN CNAME {token}.dkim.amazonses.com.");
        let held: Vec<&String> = after.iter().filter(|line| line.starts_with(&start)).collect();
        expect(held.len() == 1 && held[0].ends_with(&end), format!("{token} is {held:?}"));
    }
    // All else is as it was, or as somebody else has made it.
    let ours: BTreeSet<String> =
        TOKENS.iter().chain(&renewed).map(|token| format!("{token}._domainkey.{zone}.")).collect();
    let theirs = |lines: &[String], edited: &BTreeSet<String>| -> Vec<String> {
        let owner = |line: &String| line.split(' ').next().unwrap_or_default().to_owned();
        lines
            .iter()
            .filter(|line| !ours.contains(&owner(line)) && !edited.contains(&owner(line)))
            .cloned()
            .collect()
    };
    let edited: BTreeSet<String> = round
        .faults
        .iter()
        .filter_map(|fault| Some(format!("{}.", fault["edit"]["records"][0]["name"].as_str()?)))
        .collect();
    expect(theirs(&before, &edited) == theirs(&after, &edited), format!("{before:?} became {after:?}"));
    for change in peer.changes(account) {
        // A record that is right is never taken away: each deletion is of one that says something else.
        for made in change["changes"].as_array().expect("changes") {
            let name = made["name"].as_str().unwrap_or_default().trim_end_matches('.');
            let right = format!("{}.dkim.amazonses.com", name.split('.').next().unwrap_or_default());
            let is_right = made["type"] == "CNAME"
                && made["values"][0].as_str().is_some_and(|value| value.trim_end_matches('.') == right);
            expect(made["action"] != "DELETE" || !is_right, format!("{made} was healthy"));
            expect(ours.contains(&format!("{name}.")), format!("{made} is nobody's business"));
        }
    }
    let edits = round.faults.iter().filter(|fault| !fault["edit"].is_null()).count();
    let most = 1 + usize::from(is_restarted && !renewed.is_empty()) + edits;
    expect(peer.changes(account).len() <= most, format!("{} batches", peer.changes(account).len()));
    wrong
}

/// Starts a repair, and kills it once this call has done its work, if it comes to that.
fn run_and_kill(world: &World, account: &str, zone: &str, call: u64) {
    let peer = Peer::shared();
    peer.add_fault(account, json!({ "operation": "*", "skip": call, "times": 1, "hold": 3600.0 }));
    let mut child = world.command(account, zone, &ALL).spawn().expect("the binary starts");
    let begun = Instant::now();
    while begun.elapsed() < Duration::from_secs(200) && child.try_wait().is_ok_and(|status| status.is_none())
    {
        if peer.calls(account).iter().any(|call| call.is_held) {
            break;
        }
        thread::sleep(Duration::from_millis(50));
    }
    // One that has ended by now is as good.
    let _ = child.kill();
    child.wait().expect("it is ours");
}
