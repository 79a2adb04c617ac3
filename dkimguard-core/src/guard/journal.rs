//! [`Journal`]: what was done to mend an identity, and when something may be done.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::judge::{Depth, Report};
use crate::repair::Step;

/// How many entries are kept.
const MOST_ENTRIES: usize = 32;
/// Within how long one identity is repaired once.
const DAY: SignedDuration = SignedDuration::from_hours(24);

/// What was done to mend an identity.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(super) struct Journal {
    /// What the last full look asked for, and since when looks agree in that.
    #[serde(skip_serializing_if = "Option::is_none")]
    wanted: Option<Wanted>,
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    entries: VecDeque<Entry>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    what: String,
    since: Timestamp,
}

/// One entry of the journal: written before a step is taken, and completed after it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Entry {
    /// When the step was begun.
    pub at: Timestamp,
    /// Which step: `publish`, `rearm`.
    pub step: String,
    /// What was to be done, in words: a plan's difference.
    pub what: String,
    /// Why: the summary of the look that asked for it.
    pub reason: String,
    /// What came of it; none while it is under way, and for ever where the process ended within it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl Journal {
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_none() && self.entries.is_empty()
    }

    /// The entries, the earliest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.entries.iter()
    }

    /// Takes into account which step a look asks for, if it asks for one that can be taken here, and says whether it is
    /// to be taken now: two full looks in a row agree in it, a minute or more apart, and it wasn't taken within a day. If
    /// so it is in the journal already.
    ///
    /// Within a day records are published once, the provider is started again once, and what it then wants is published
    /// once.
    pub(super) fn consider(&mut self, step: Option<&Step>, report: &Report, policy: &Policy) -> bool {
        let at = report.at;
        let (step, what) = match step {
            // A glance says nothing of every server.
            Some(step @ Step::Publish(plan)) if report.depth == Depth::Full => (step, plan.to_string()),
            Some(step @ Step::Rearm) if report.depth == Depth::Full => {
                (step, "the provider is asked to start again".to_owned())
            }
            _ => {
                self.wanted = None;
                return false;
            }
        };
        let since = self.wanted.as_ref().filter(|wanted| wanted.what == what && wanted.since <= at);
        let since = since.map(|wanted| wanted.since);
        self.wanted = Some(Wanted { what: what.clone(), since: since.unwrap_or(at) });
        let agrees = since.is_some_and(|since| policy.are_apart(since, at));
        if !agrees || !self.allows(step, at) {
            return false;
        }
        self.note(Entry {
            at,
            step: step.as_str().to_owned(),
            what,
            reason: report.summary.clone(),
            result: None,
        });
        true
    }

    /// Adds an entry.
    pub(super) fn note(&mut self, entry: Entry) {
        self.entries.push_back(entry);
        while self.entries.len() > MOST_ENTRIES {
            self.entries.pop_front();
        }
    }

    /// Completes the entry of the step that was begun then.
    pub(super) fn complete(&mut self, at: Timestamp, step: &str, result: String) {
        let begun = self.entries.iter_mut().rev().find(|entry| entry.at == at && entry.step == step);
        if let Some(begun) = begun {
            begun.result = Some(result);
        }
    }

    /// Takes out the entry of a step that was begun then and not taken.
    pub(super) fn retract(&mut self, at: Timestamp, step: &str) {
        self.entries.retain(|entry| entry.at != at || entry.step != step);
    }

    /// What two instances have in their journals, as one; what looks agree in begins anew.
    pub(super) fn joined(self, other: Self) -> Self {
        let mut entries: Vec<Entry> = self.entries.into();
        for entry in other.entries {
            if !entries.iter().any(|known| known.at == entry.at && known.step == entry.step) {
                entries.push(entry);
            }
        }
        entries.sort_by_key(|entry| entry.at);
        let mut joined = Self::default();
        entries.into_iter().for_each(|entry| joined.note(entry));
        joined
    }

    fn allows(&self, step: &Step, at: Timestamp) -> bool {
        let last = |step: &str| {
            let entries = self.entries.iter().rev();
            entries
                .filter(|entry| entry.step == step && at.duration_since(entry.at).abs() < DAY)
                .map(|entry| entry.at)
                .collect::<Vec<_>>()
        };
        let (published, rearmed) = (last("publish"), last("rearm"));
        match (step, published.first(), rearmed.first()) {
            (Step::Rearm, _, rearmed) => rearmed.is_none(),
            (_, None, _) => true,
            (_, Some(published), Some(rearmed)) => rearmed > published,
            (_, Some(_), None) => false,
        }
    }
}

#[cfg(all(test, feature = "guard"))]
mod tests {
    use super::*;
    use crate::identity::IdentityId;
    use crate::name::Name;
    use crate::repair::{RepairPlan, TargetZone};

    fn name(text: &str) -> Name {
        text.parse().expect("a name")
    }

    fn at(minute: i64) -> Timestamp {
        Timestamp::from_second(1_800_000_000 + 60 * minute).expect("a time")
    }

    /// A full look at this minute.
    fn look(minute: i64) -> Report {
        let domain = name("example.com");
        let id = IdentityId { provider: "ses".to_owned(), account: None, region: None, domain };
        Report::without_identity(id, at(minute), Depth::Full, Vec::new())
    }

    fn publish(zone: &str) -> Step {
        let zone = TargetZone { id: zone.to_owned(), host: "a host".to_owned(), name: name("example.com") };
        Step::Publish(RepairPlan { zone, edits: Vec::new() })
    }

    /// At which of these looks the step is taken.
    fn taken(looks: &[(i64, Option<Step>)]) -> Vec<i64> {
        let mut journal = Journal::default();
        let policy = Policy::default();
        let is_taken =
            |(minute, step): &&(i64, Option<Step>)| journal.consider(step.as_ref(), &look(*minute), &policy);
        looks.iter().filter(is_taken).map(|&(minute, _)| minute).collect()
    }

    #[test]
    fn a_step_is_taken_once_two_looks_in_a_row_agree_in_it_and_once_a_day() {
        let wanted = || Some(publish("Z1"));
        let day = 24 * 60;
        for (case, looks, minutes) in [
            ("one look", vec![(0, wanted())], vec![]),
            ("two looks", vec![(0, wanted()), (1, wanted())], vec![1]),
            ("too near each other", vec![(0, wanted()), (0, wanted())], vec![]),
            ("another plan", vec![(0, wanted()), (1, Some(publish("Z2"))), (2, wanted())], vec![]),
            ("nothing in between", vec![(0, wanted()), (1, None), (2, wanted()), (3, wanted())], vec![3]),
            (
                "it fails and is wanted on",
                vec![(0, wanted()), (1, wanted()), (2, wanted()), (day, wanted())],
                vec![1],
            ),
            (
                "a day later",
                vec![(0, wanted()), (1, wanted()), (2, wanted()), (day + 1, wanted())],
                vec![1, day + 1],
            ),
            (
                "the provider starts again and wants other records",
                vec![
                    (0, wanted()),
                    (1, wanted()),
                    (2, Some(Step::Rearm)),
                    (3, Some(Step::Rearm)),
                    (4, Some(publish("Z2"))),
                    (5, Some(publish("Z2"))),
                    (6, Some(Step::Rearm)),
                    (7, Some(Step::Rearm)),
                    (8, wanted()),
                    (9, wanted()),
                ],
                vec![1, 3, 5],
            ),
            ("a clock set back", vec![(9, wanted()), (1, wanted()), (2, wanted())], vec![2]),
        ] {
            assert_eq!(taken(&looks), minutes, "{case}");
        }
    }

    #[test]
    fn a_glance_decides_nothing() {
        let mut journal = Journal::default();
        let glance = |minute| Report { depth: Depth::Quick, ..look(minute) };
        let policy = Policy::default();
        assert!(!journal.consider(Some(&publish("Z1")), &look(0), &policy));
        assert!(!journal.consider(Some(&publish("Z1")), &glance(1), &policy));
        assert!(!journal.consider(Some(&publish("Z1")), &look(2), &policy), "it begins anew");
        assert!(journal.consider(Some(&publish("Z1")), &look(3), &policy));
    }

    #[test]
    fn what_came_of_a_step_stands_beside_it_and_old_entries_go() {
        let mut journal = Journal::default();
        let policy = Policy::default();
        for minute in [0, 1] {
            journal.consider(Some(&publish("Z1")), &look(minute), &policy);
        }
        assert_eq!(journal.entries().next().map(|entry| entry.result.clone()), Some(None));
        journal.complete(at(1), "publish", "published".to_owned());
        assert_eq!(
            journal.entries().next().and_then(|entry| entry.result.clone()).as_deref(),
            Some("published")
        );
        let entry = journal.entries().next().expect("it is there").clone();
        for _ in 0..100 {
            journal.note(entry.clone());
        }
        assert_eq!(journal.entries().count(), MOST_ENTRIES);
    }
}
