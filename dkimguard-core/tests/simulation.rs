//! The simulation, small: no false alarm and no missed incident, and faults that are real. The whole one is the benchmark
//! of the same name.

#[path = "../benches/simulation/play/mod.rs"]
mod play;

use std::time::Duration;

use dkimguard_core::guard::Policy;

use play::guard::{Pace, Reports, difference};
use play::score::{OfKind, Score, percentile};
use play::{Guarded, Lives};

const FEW: Lives = Lives { seed: 7, domains: 20, years: 1, guarded: Guarded::Few };
const SOME: Lives = Lives { domains: 6, ..FEW };

fn assert_no_false_alarm_and_none_missed(score: &Score) {
    assert_eq!(
        (score.false_count(), score.sum(|of| of.missed)),
        (0, 0),
        "{score}\n{}",
        score.examples.join("\n")
    );
    assert!(score.sum(OfKind::due) > 10, "too little goes wrong to show anything:\n{score}");
    assert!(percentile(&score.critical_looks(), 50) <= 2.0, "{score}");
    assert!(!score.grace().is_empty() && percentile(&score.grace(), 0) >= 0.95, "{score}");
}

#[test]
fn a_guard_of_few_domains_raises_no_false_alarm_and_misses_nothing() {
    let score = FEW.play();
    assert_no_false_alarm_and_none_missed(&score);
    assert!(percentile(&score.looks_since_due(), 50) <= 2.0, "{score}");
    // The faults are real: the rule of today stumbles over them.
    assert!(score.naive_false_count() > 50, "{score}");
    assert!(score.sum(|of| of.naive_missed) > 10, "{score}");
}

#[test]
fn a_guard_of_many_domains_raises_no_false_alarm_and_misses_nothing() {
    assert_no_false_alarm_and_none_missed(&Lives { domains: 12, guarded: Guarded::Many, ..FEW }.play());
}

#[test]
fn a_hasty_guard_raises_false_alarms() {
    let mut hasty = Policy::default();
    hasty.degraded_after = Duration::from_secs(60);
    hasty.blind_after = Duration::from_secs(60);
    let score = SOME.play_under(&hasty);
    assert!(score.false_alarms.get("warning") > Some(&3), "{score}");
    assert!(score.false_alarms.get("blind") > Some(&3), "{score}");
}

#[test]
fn a_slow_guard_misses_incidents() {
    let mut slow = Policy::default();
    slow.interval = Duration::from_secs(24 * 3600);
    slow.unhealthy_intervals = vec![slow.interval];
    slow.confirmations = 4;
    slow.degraded_after = 4 * slow.interval;
    slow.blind_after = slow.interval;
    let score = SOME.play_under(&slow);
    assert!(score.sum(|of| of.told) * 2 < score.sum(|of| of.all), "{score}");
}

#[test]
fn leaving_out_looks_changes_nothing() {
    let policy = Policy::default();
    let mut alerts = 0;
    for guarded in [Guarded::Few, Guarded::Many] {
        let lives = Lives { guarded, ..FEW };
        for domain in 0..2 {
            // A quarter of a year is enough for most passing faults.
            let mut timeline = lives.timeline(domain);
            timeline.end /= 4;
            let [jumped, stepped] = [Pace::Jump, Pace::Step]
                .map(|pace| lives.watch(&timeline, &policy, domain, pace).play(&mut Reports::default()));
            assert!(jumped.looks.len() * 2 < stepped.looks.len(), "few were left out");
            assert_eq!(jumped.all_looks, stepped.all_looks);
            alerts += jumped.alerts.len();
            assert_eq!(jumped.alerts, stepped.alerts);
            assert_eq!(jumped.memory.looked_at(), stepped.memory.looked_at());
            assert_eq!(jumped.memory.to_json(), stepped.memory.to_json());
        }
    }
    assert!(alerts > 0, "nothing went wrong");
}

#[test]
fn kept_reports_are_those_that_a_look_would_give() {
    let timeline = FEW.timeline(3);
    assert_eq!(difference(&timeline, 3), None);
}
