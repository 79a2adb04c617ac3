//! [`Delivery`]: alerts on their way to the notifiers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

#[cfg(feature = "guard")]
use super::IncidentId;
use super::policy::{Policy, after};
use super::{Alert, AlertEvent};

/// How many alerts of one identity wait at most. Beyond that reminders give way first, then the oldest.
const MOST_WAITING: usize = 16;
/// The longest time for which a notifier that fails is left alone.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Alerts on their way to the notifiers. Each notifier gets them in their order.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Delivery {
    #[serde(skip_serializing_if = "Vec::is_empty")]
    waiting: Vec<Waiting>,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pauses: Vec<Pause>,
    /// Until when the instance that has begun to deliver is left alone.
    #[serde(skip_serializing_if = "Option::is_none")]
    claimed_until: Option<Timestamp>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Waiting {
    alert: Alert,
    /// The notifiers that have it.
    delivered_to: Vec<String>,
}

/// A notifier that failed is left alone for a while.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Pause {
    notifier: String,
    failures: u32,
    until: Timestamp,
}

/// What one notifier is to be given now, in this order.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Batch {
    pub(super) notifier: String,
    pub(super) alerts: Vec<Alert>,
}

/// What came of a batch: how many of its alerts were delivered, and whether the next one failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Outcome {
    pub(super) notifier: String,
    pub(super) delivered: Vec<String>,
    pub(super) has_failed: bool,
}

impl Delivery {
    pub(super) fn waiting(&self) -> impl Iterator<Item = &Alert> {
        self.waiting.iter().map(|waiting| &waiting.alert)
    }

    pub(super) fn add(&mut self, alert: Alert) {
        self.waiting.push(Waiting { alert, delivered_to: Vec::new() });
        self.keep_few();
    }

    /// Takes over what waits elsewhere, but for what waits here already.
    #[cfg(feature = "guard")]
    pub(super) fn take_over(&mut self, other: Self) {
        for waiting in other.waiting {
            if !self.waiting.iter().any(|known| known.alert.key() == waiting.alert.key()) {
                self.waiting.push(waiting);
                self.keep_few();
            }
        }
        self.waiting.sort_by_key(|waiting| waiting.alert.at);
    }

    /// Keeps of what waits only these alerts.
    #[cfg(feature = "guard")]
    pub(super) fn retain(&mut self, mut is_kept: impl FnMut(&Alert) -> bool) {
        self.waiting.retain(|waiting| is_kept(&waiting.alert));
    }

    /// Whether the opening of this incident waits here, and no notifier has it.
    #[cfg(feature = "guard")]
    pub(super) fn has_told_nobody_of(&self, incident: &IncidentId) -> bool {
        let opening = |waiting: &&Waiting| {
            waiting.alert.incident == *incident && waiting.alert.event == AlertEvent::Opened
        };
        self.waiting.iter().find(opening).is_some_and(|waiting| waiting.delivered_to.is_empty())
    }

    /// Lets go of alerts that nobody is to be given.
    pub(super) fn drop_all(&mut self, alerts: &[Alert]) {
        self.waiting.retain(|waiting| !alerts.contains(&waiting.alert));
    }

    /// When something can be delivered, if anything waits. What lies further ahead than it ever would comes from a
    /// clock that was wrong, and doesn't count.
    pub(super) fn due(&self, notifiers: &[String], policy: &Policy, at: Timestamp) -> Option<Timestamp> {
        let within = |time: Timestamp, most: Duration| if time > after(at, most) { at } else { time };
        let earliest = notifiers.iter().filter_map(|notifier| {
            let waits = self.waiting.iter().any(|waiting| !waiting.delivered_to.contains(notifier));
            let until = self.pause(notifier).map_or(at, |pause| within(pause.until, LONGEST_PAUSE));
            waits.then_some(until)
        });
        let earliest = earliest.min()?;
        let claimed_until = self.claimed_until.map(|until| within(until, policy.delivery_lease));
        Some(claimed_until.map_or(earliest, |until| until.max(earliest)))
    }

    /// Takes what can be delivered now, and keeps the other instances from doing so for a while.
    pub(super) fn claim(&mut self, notifiers: &[String], policy: &Policy, at: Timestamp) -> Vec<Batch> {
        self.let_go(notifiers);
        if self.due(notifiers, policy, at).is_none_or(|due| due > at) {
            return Vec::new();
        }
        self.claimed_until = Some(after(at, policy.delivery_lease));
        let is_paused = |pause: &Pause| pause.until > at && pause.until <= after(at, LONGEST_PAUSE);
        let can_take = |notifier: &&String| !self.pause(notifier).is_some_and(is_paused);
        let batch = |notifier: &String| {
            let alerts = self.waiting.iter().filter(|waiting| !waiting.delivered_to.contains(notifier));
            Batch {
                notifier: notifier.clone(),
                alerts: alerts.map(|waiting| waiting.alert.clone()).collect(),
            }
        };
        let batches = notifiers.iter().filter(can_take).map(batch);
        batches.filter(|batch| !batch.alerts.is_empty()).collect()
    }

    /// Notes what came of the batches, and lets go of what every notifier has.
    pub(super) fn note(
        &mut self,
        outcomes: &[Outcome],
        notifiers: &[String],
        policy: &Policy,
        at: Timestamp,
    ) {
        self.claimed_until = None;
        for outcome in outcomes {
            for waiting in &mut self.waiting {
                let is_delivered = outcome.delivered.contains(&waiting.alert.key());
                if is_delivered && !waiting.delivered_to.contains(&outcome.notifier) {
                    waiting.delivered_to.push(outcome.notifier.clone());
                }
            }
            let failures = self.pause(&outcome.notifier).map_or(0, |pause| pause.failures);
            self.pauses.retain(|pause| pause.notifier != outcome.notifier);
            if outcome.has_failed {
                // Whoever took an alert before it failed is alive.
                let failures = if outcome.delivered.is_empty() { failures } else { 0 };
                let pause = policy.delivery_pause.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
                let until = after(at, pause);
                self.pauses.push(Pause { notifier: outcome.notifier.clone(), failures: failures + 1, until });
            }
        }
        self.let_go(notifiers);
    }

    /// Lets go of what every notifier has, and of what is kept for those that there were once.
    fn let_go(&mut self, notifiers: &[String]) {
        let has_all =
            |waiting: &Waiting| notifiers.iter().all(|notifier| waiting.delivered_to.contains(notifier));
        self.waiting.retain(|waiting| !has_all(waiting));
        self.pauses.retain(|pause| notifiers.contains(&pause.notifier));
    }

    fn keep_few(&mut self) {
        if self.waiting.len() > MOST_WAITING {
            let is_reminder = |waiting: &Waiting| waiting.alert.event == AlertEvent::Reminder;
            self.waiting.remove(self.waiting.iter().position(is_reminder).unwrap_or(0));
        }
    }

    fn pause(&self, notifier: &str) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.notifier == notifier)
    }
}

#[cfg(all(test, feature = "guard"))]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use jiff::SignedDuration;
    use proptest::prelude::*;

    use super::*;
    use crate::guard::{IncidentId, IncidentKind, Severity};
    use crate::judge::Verdict;

    fn at(second: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + second).expect("it is a time")
    }

    fn alert(number: u32, event: AlertEvent) -> Alert {
        Alert {
            incident: IncidentId::new("ses:example.com", IncidentKind::Dkim, at(0)),
            number,
            event,
            kind: IncidentKind::Dkim,
            severity: Severity::Warning,
            at: at(0),
            opened_at: at(0),
            id: "ses:example.com".to_owned(),
            domain: None,
            verdict: Verdict::Degraded,
            summary: String::new(),
            remedy: None,
            causes: Vec::new(),
            deadline: None,
            deadline_promised: None,
            report: None,
        }
    }

    fn names(names: &[&str]) -> Vec<String> {
        names.iter().map(|&name| name.to_owned()).collect()
    }

    fn numbers(alerts: &[Alert]) -> Vec<u32> {
        alerts.iter().map(|alert| alert.number).collect()
    }

    fn claim(delivery: &mut Delivery, second: i64) -> Vec<(String, Vec<u32>)> {
        let batches = delivery.claim(&names(&["a", "b"]), &Policy::default(), at(second));
        batches.into_iter().map(|batch| (batch.notifier, numbers(&batch.alerts))).collect()
    }

    /// What a notifier took of the alerts with these numbers.
    fn took(notifier: &str, taken: &[u32], has_failed: bool) -> Outcome {
        let delivered = taken.iter().map(|&number| alert(number, AlertEvent::Opened).key()).collect();
        Outcome { notifier: notifier.to_owned(), delivered, has_failed }
    }

    fn waiting_for_both() -> Delivery {
        let mut delivery = Delivery::default();
        delivery.add(alert(1, AlertEvent::Opened));
        delivery.add(alert(2, AlertEvent::Worsened));
        delivery
    }

    #[test]
    fn whoever_fails_gets_the_rest_later_and_holds_nobody_up() {
        let both = names(&["a", "b"]);
        let mut delivery = waiting_for_both();
        assert_eq!(claim(&mut delivery, 0), [("a".to_owned(), vec![1, 2]), ("b".to_owned(), vec![1, 2])]);
        assert_eq!(claim(&mut delivery, 1), [], "they are under way");
        delivery.note(&[took("a", &[1], true), took("b", &[1, 2], false)], &both, &Policy::default(), at(2));
        assert_eq!(claim(&mut delivery, 3), [], "a is left alone for a while, and b has all");
        assert_eq!(delivery.due(&both, &Policy::default(), at(3)), Some(at(32)));
        delivery.add(alert(3, AlertEvent::Recovered));
        assert_eq!(claim(&mut delivery, 4), [("b".to_owned(), vec![3])]);
        delivery.note(&[took("b", &[3], false)], &both, &Policy::default(), at(4));
        assert_eq!(claim(&mut delivery, 32), [("a".to_owned(), vec![2, 3])]);
        delivery.note(&[took("a", &[2, 3], false)], &both, &Policy::default(), at(33));
        assert_eq!(delivery, Delivery::default());
    }

    #[test]
    fn pauses_double_up_to_an_hour_and_end_with_success() {
        let both = names(&["a", "b"]);
        for (first, expected) in
            [(30, [30, 60, 120, 240, 480, 960, 1920, 3600, 3600]), (1, [1, 2, 4, 8, 16, 32, 64, 128, 256])]
        {
            let policy = Policy { delivery_pause: Duration::from_secs(first), ..Policy::default() };
            let mut delivery = waiting_for_both();
            let mut now = 0;
            let mut pauses = Vec::new();
            for _ in 0..9 {
                assert_eq!(claim(&mut delivery, now).len(), if now == 0 { 2 } else { 1 });
                let outcomes = [took("a", &[], true), took("b", &[1, 2], false)];
                delivery.note(&outcomes, &both, &policy, at(now));
                let due = delivery.due(&both, &policy, at(now)).expect("a waits");
                pauses.push(due.duration_since(at(now)).as_secs());
                now += due.duration_since(at(now)).as_secs();
            }
            assert_eq!(pauses, expected);
            claim(&mut delivery, now);
            delivery.note(&[took("a", &[1], true)], &both, &policy, at(now));
            let again = at(now) + SignedDuration::try_from(policy.delivery_pause).expect("it is short");
            assert_eq!(delivery.due(&both, &policy, at(now)), Some(again), "it is alive");
        }
        assert_eq!(Policy::default().delivery_pause, Duration::from_secs(30));
    }

    #[test]
    fn what_a_dead_instance_had_begun_is_delivered_by_another_after_the_lease() {
        let mut delivery = waiting_for_both();
        claim(&mut delivery, 0);
        assert_eq!(claim(&mut delivery, 119), []);
        assert_eq!(claim(&mut delivery, 120).len(), 2);
        // The clock of the dead one was years ahead.
        let mut delivery = waiting_for_both();
        claim(&mut delivery, 100_000_000);
        assert_eq!(claim(&mut delivery, 0).len(), 2);
        delivery.note(
            &[took("a", &[], true), took("b", &[], true)],
            &names(&["a", "b"]),
            &Policy::default(),
            at(100_000_000),
        );
        assert_eq!(claim(&mut delivery, 1).len(), 2);
    }

    #[test]
    fn nothing_waits_for_a_notifier_that_there_is_no_more() {
        let mut delivery = waiting_for_both();
        claim(&mut delivery, 0);
        delivery.note(
            &[took("a", &[1, 2], false), took("b", &[], true)],
            &names(&["a", "b"]),
            &Policy::default(),
            at(1),
        );
        assert_eq!(delivery.waiting().count(), 2);
        assert_eq!(delivery.claim(&names(&["a"]), &Policy::default(), at(2)), []);
        assert_eq!(delivery, Delivery::default());

        let mut delivery = waiting_for_both();
        assert_eq!(delivery.claim(&[], &Policy::default(), at(0)), []);
        assert_eq!(delivery, Delivery::default(), "nobody is to be told");
    }

    #[test]
    fn of_too_many_that_wait_reminders_give_way_first() {
        let mut delivery = Delivery::default();
        delivery.add(alert(1, AlertEvent::Opened));
        for number in 2..=40 {
            delivery.add(alert(number, AlertEvent::Reminder));
        }
        delivery.add(alert(41, AlertEvent::Recovered));
        let waiting: Vec<u32> = delivery.waiting().map(|alert| alert.number).collect();
        assert_eq!(waiting, [&[1][..], &(27..=41).collect::<Vec<_>>()].concat());
        assert_eq!(waiting.len(), MOST_WAITING);
    }

    proptest! {
        /// Each step adds an alert or not, and lets each notifier take so many of what it is given before it fails.
        #[test]
        fn every_notifier_gets_every_alert_once_and_in_order_whatever_fails(
            steps in proptest::collection::vec((any::<bool>(), 0_usize..4, 0_usize..4, 0_i64..4000), 1..60),
        ) {
            let both = names(&["a", "b"]);
            let policy = Policy::default();
            let mut delivery = Delivery::default();
            let mut got: BTreeMap<String, Vec<u32>> = BTreeMap::new();
            let (mut now, mut last) = (at(0), 0);
            // After the last step everything works, and time passes.
            let mending = std::iter::repeat_n((false, usize::MAX, usize::MAX, 3600), 3);
            for (adds, a, b, seconds) in steps.into_iter().chain(mending) {
                // More than may wait is another test's affair.
                if adds && delivery.waiting().count() < MOST_WAITING {
                    last += 1;
                    delivery.add(alert(last, AlertEvent::Opened));
                }
                now += SignedDuration::from_secs(seconds);
                let batches = delivery.claim(&both, &policy, now);
                let asked: BTreeSet<&String> = batches.iter().map(|batch| &batch.notifier).collect();
                prop_assert_eq!(asked.len(), batches.len());
                let mut outcomes = Vec::new();
                for Batch { notifier, alerts } in &batches {
                    let takes = if notifier == "a" { a } else { b };
                    let taken = &numbers(alerts)[..alerts.len().min(takes)];
                    got.entry(notifier.clone()).or_default().extend(taken);
                    outcomes.push(took(notifier, taken, taken.len() < alerts.len()));
                }
                if !outcomes.is_empty() {
                    delivery.note(&outcomes, &both, &policy, now);
                }
                prop_assert!(delivery.waiting().count() <= MOST_WAITING);
            }
            let all: Vec<u32> = (1..=last).collect();
            for notifier in &both {
                prop_assert_eq!(got.get(notifier).cloned().unwrap_or_default(), all.clone());
            }
            prop_assert_eq!(delivery, Delivery::default());
        }
    }
}
