//! [`Delivery`]: alerts on their way to the notifiers.

use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::{Policy, after};
use super::{Alert, AlertEvent};

/// How many alerts of one identity wait at most. Beyond that reminders give way first, then the oldest.
const MOST_WAITING: usize = 16;
/// After the first failure a notifier is left alone for so long, and for twice as long after each further one.
const FIRST_PAUSE: Duration = Duration::from_secs(30);
/// The longest pause.
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
        if self.waiting.len() > MOST_WAITING {
            let is_reminder = |waiting: &Waiting| waiting.alert.event == AlertEvent::Reminder;
            self.waiting.remove(self.waiting.iter().position(is_reminder).unwrap_or(0));
        }
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
    pub(super) fn note(&mut self, outcomes: &[Outcome], notifiers: &[String], at: Timestamp) {
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
                let pause = FIRST_PAUSE.saturating_mul(1 << failures.min(16)).min(LONGEST_PAUSE);
                let until = after(at, pause);
                self.pauses.push(Pause { notifier: outcome.notifier.clone(), failures: failures + 1, until });
            }
        }
        let has_all =
            |waiting: &Waiting| notifiers.iter().all(|notifier| waiting.delivered_to.contains(notifier));
        self.waiting.retain(|waiting| !has_all(waiting));
    }

    fn pause(&self, notifier: &str) -> Option<&Pause> {
        self.pauses.iter().find(|pause| pause.notifier == notifier)
    }
}
