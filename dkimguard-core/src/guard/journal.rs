//! [`Journal`]: what was done to mend an identity, and when something may be done.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::identity::ProviderStatus;
use crate::judge::{Depth, Report};
use crate::repair::Step;

/// How many entries are kept.
const MOST_ENTRIES: usize = 32;
/// The steps of entries, as [`Step::as_str`] names them.
const PUBLISH: &str = "publish";
const REARM: &str = "rearm";
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
    lines: VecDeque<Line>,
}

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Wanted {
    what: String,
    /// The first of the looks that agree, and the last.
    since: Timestamp,
    last: Timestamp,
}

/// An entry, and how far it has come.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Line {
    state: LineState,
    entry: Entry,
}

/// How far a step has come. Of two that are told of the same step, the later one in this order is the surer.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum LineState {
    /// It was begun. So it stays where the process ended within it.
    Begun,
    /// It failed, and may have been taken all the same.
    Doubtful,
    /// It was taken.
    Taken,
    /// It failed, and surely nothing was done.
    Void,
}

/// What came of a step, in words too.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Ending {
    /// It was taken.
    Taken(String),
    /// It failed, and surely nothing was done: it may be taken again the same day.
    Void(String),
    /// It failed, and may have been taken all the same. A later look may tell.
    Doubtful(String),
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
    /// What came of it; none while it is under way, and where the process ended within it until a look shows that it
    /// was done.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub result: Option<String>,
}

impl Journal {
    pub(super) fn is_empty(&self) -> bool {
        self.wanted.is_none() && self.lines.is_empty()
    }

    /// The entries, the earliest first.
    pub(super) fn entries(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.lines.iter().map(|line| &line.entry)
    }

    /// Takes into account which step a look asks for, if it asks for one that can be taken here, and says whether it is
    /// due: full looks in a row agree in it, as far apart as looks are that confirm each other and each going on from
    /// the one before, and it wasn't taken within a day.
    ///
    /// Within a day records are published once, the provider is started again once, and what it then wants is published
    /// once, if it isn't the same again.
    pub(super) fn consider(&mut self, step: Option<&Step>, report: &Report, policy: &Policy) -> bool {
        let at = report.at;
        let before = self.wanted.take();
        // A glance says nothing of every server.
        let step = step.filter(|_| report.depth == Depth::Full);
        let Some((step, what)) = step.and_then(|step| Some((step, what(step)?))) else { return false };
        let before = before.filter(|before| before.what == what && policy.goes_on(before.last, at));
        let since = before.map_or(at, |before| before.since);
        self.wanted = Some(Wanted { what, since, last: at });
        since < at && policy.are_apart(since, at) && self.allows(step, at)
    }

    /// Adds the entry of a step that was due, unless by now another instance has begun it, or has looked and asks for
    /// something else; whether it did.
    pub(super) fn begin(&mut self, step: &Step, reason: &str, at: Timestamp, policy: &Policy) -> bool {
        let Some(what) = what(step) else { return false };
        let is_wanted =
            |wanted: &Wanted| wanted.what == what && policy.goes_on(wanted.last, at.max(wanted.last));
        if !self.wanted.as_ref().is_some_and(is_wanted) || !self.allows(step, at) {
            return false;
        }
        // Of what is tried again and again the last time is enough.
        let is_earlier_try = |line: &Line| line.state == LineState::Void && line.entry.what == what;
        self.lines.retain(|line| !is_earlier_try(line));
        self.note(Entry {
            at,
            step: step.as_str().to_owned(),
            what,
            reason: reason.to_owned(),
            result: None,
        });
        true
    }

    /// Adds an entry.
    pub(super) fn note(&mut self, entry: Entry) {
        let state = if entry.result.is_some() { LineState::Taken } else { LineState::Begun };
        self.add(Line { state, entry });
    }

    /// Completes the entry of the step that was begun then.
    pub(super) fn end(&mut self, at: Timestamp, step: &str, ending: Ending) {
        let (state, result) = match ending {
            Ending::Taken(result) => (LineState::Taken, result),
            Ending::Void(result) => (LineState::Void, result),
            Ending::Doubtful(result) => (LineState::Doubtful, result),
        };
        let begun = self.lines.iter_mut().rev().find(|line| line.entry.at == at && line.entry.step == step);
        // What a look has shown meanwhile is surer than a lost answer.
        if let Some(begun) = begun.filter(|begun| state >= begun.state) {
            begun.state = state;
            begun.entry.result = Some(result);
        }
        if state == LineState::Void {
            // The world isn't as it was seen, or can't be changed now: two more looks are to agree.
            self.wanted = None;
        }
    }

    /// Completes entries of which it isn't known what came of them, where a look shows that they were done: that the
    /// zone holds all that it must, or that the provider has started again.
    pub(super) fn prove(&mut self, step: &Step, report: &Report) {
        let identity = &report.identity;
        let is_published = match step {
            Step::Publish(_) | Step::Refuse(_) => false,
            // Of one without records the zone says nothing.
            _ => !identity.selectors.is_empty(),
        };
        let has_started = matches!(identity.status, ProviderStatus::Pending | ProviderStatus::Success);
        for line in self.lines.iter_mut().filter(|line| line.is_open() && line.entry.at <= report.at) {
            let is_done = match line.entry.step.as_str() {
                PUBLISH => is_published,
                REARM => has_started,
                _ => false,
            };
            if is_done {
                let earlier = line.entry.result.take().map(|result| format!("; {result}"));
                let shown = format!("done, as the look at {:.0} shows", report.at);
                line.entry.result = Some(shown + &earlier.unwrap_or_default());
                line.state = LineState::Taken;
            }
        }
    }

    /// The entry of which it isn't known what came of it, if there is one within a day that nothing came after.
    pub(super) fn open(&self, at: Timestamp) -> Option<&Entry> {
        let known = |line: &&Line| line.state != LineState::Void && line.is_within_a_day(at);
        let last = self.lines.iter().rev().find(known);
        last.filter(|line| line.is_open()).map(|line| &line.entry)
    }

    /// What two instances have in their journals, as one; what looks agree in begins anew.
    pub(super) fn joined(self, other: Self) -> Self {
        let mut lines: Vec<Line> = self.lines.into();
        for line in other.lines {
            let is_same =
                |known: &&mut Line| known.entry.at == line.entry.at && known.entry.step == line.entry.step;
            match lines.iter_mut().find(is_same) {
                Some(known) if known.state < line.state => *known = line,
                Some(_) => {}
                None => lines.push(line),
            }
        }
        lines.sort_by_key(|line| line.entry.at);
        let mut joined = Self::default();
        lines.into_iter().for_each(|line| joined.add(line));
        joined
    }

    fn add(&mut self, line: Line) {
        self.lines.push_back(line);
        while self.lines.len() > MOST_ENTRIES {
            // Those that count for the day stay longest.
            let void = self.lines.iter().position(|line| line.state == LineState::Void);
            self.lines.remove(void.unwrap_or(0));
        }
    }

    fn allows(&self, step: &Step, at: Timestamp) -> bool {
        let last = |step: &str| {
            let counts = |line: &&Line| {
                line.entry.step == step && line.state != LineState::Void && line.is_within_a_day(at)
            };
            self.lines.iter().rev().find(counts).map(|line| &line.entry)
        };
        match (step, last(PUBLISH), last(REARM)) {
            (Step::Rearm, _, rearmed) => rearmed.is_none(),
            (_, None, _) => true,
            // Who takes back what was published undoes the same again.
            (_, Some(published), Some(rearmed)) => {
                rearmed.at > published.at && what(step).is_some_and(|what| what != published.what)
            }
            (_, Some(_), None) => false,
        }
    }
}

impl Line {
    /// Whether it isn't known what came of it.
    fn is_open(&self) -> bool {
        matches!(self.state, LineState::Begun | LineState::Doubtful)
    }

    fn is_within_a_day(&self, at: Timestamp) -> bool {
        at.duration_since(self.entry.at).abs() < DAY
    }
}

/// What a step does, in words; none where it only waits or refuses.
fn what(step: &Step) -> Option<String> {
    match step {
        Step::Publish(plan) => Some(plan.to_string()),
        Step::Rearm => Some("the provider is asked to start again".to_owned()),
        _ => None,
    }
}

#[cfg(all(test, feature = "guard", feature = "testing"))]
mod tests {
    use super::*;
    use crate::identity::IdentityId;
    use crate::name::Name;
    use crate::repair::{Refusal, RepairPlan, TargetZone};
    use crate::testing::easy_dkim_identity;

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

    /// Whether the step that a look asks for is taken; it stands in the journal then.
    fn takes(journal: &mut Journal, step: Option<&Step>, report: &Report) -> bool {
        let policy = Policy::default();
        let is_due = journal.consider(step, report, &policy);
        is_due && step.is_some_and(|step| journal.begin(step, "a reason", report.at, &policy))
    }

    /// A journal in which publishing was begun at the first minute.
    fn begun() -> Journal {
        let mut journal = Journal::default();
        let taken = [0, 1].map(|minute| takes(&mut journal, Some(&publish("Z1")), &look(minute)));
        assert_eq!(taken, [false, true]);
        journal
    }

    fn results(journal: &Journal) -> Vec<Option<&str>> {
        journal.entries().map(|entry| entry.result.as_deref()).collect()
    }

    /// At which of these looks the step is taken.
    fn taken(looks: &[(i64, Option<Step>)]) -> Vec<i64> {
        let mut journal = Journal::default();
        let is_taken =
            |(minute, step): &&(i64, Option<Step>)| takes(&mut journal, step.as_ref(), &look(*minute));
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
            ("three intervals apart", vec![(0, wanted()), (45, wanted())], vec![45]),
            ("further apart", vec![(0, wanted()), (46, wanted()), (47, wanted())], vec![47]),
            ("another plan", vec![(0, wanted()), (1, Some(publish("Z2"))), (2, wanted())], vec![]),
            ("nothing in between", vec![(0, wanted()), (1, None), (2, wanted()), (3, wanted())], vec![3]),
            (
                "it is wanted on",
                vec![(0, wanted()), (1, wanted()), (2, wanted()), (day - 1, wanted()), (day, wanted())],
                vec![1],
            ),
            (
                "a day later",
                vec![(0, wanted()), (1, wanted()), (2, wanted()), (day, wanted()), (day + 1, wanted())],
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
            (
                "the provider starts again, and the zone is put back to what it was",
                vec![
                    (0, wanted()),
                    (1, wanted()),
                    (2, Some(Step::Rearm)),
                    (3, Some(Step::Rearm)),
                    (4, None),
                    (5, wanted()),
                    (6, wanted()),
                    (7, Some(publish("Z2"))),
                    (8, Some(publish("Z2"))),
                ],
                vec![1, 3, 8],
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
        let mut takes = |report: &Report| takes(&mut journal, Some(&publish("Z1")), report);
        assert!(!takes(&look(0)));
        assert!(!takes(&glance(1)));
        assert!(!takes(&look(2)), "it begins anew");
        assert!(takes(&look(3)));
    }

    #[test]
    fn what_another_instance_has_begun_or_no_longer_wants_is_not_begun() {
        let policy = Policy::default();
        let mut due = Journal::default();
        due.consider(Some(&publish("Z1")), &look(0), &policy);
        assert!(due.consider(Some(&publish("Z1")), &look(1), &policy));
        assert!(due.clone().begin(&publish("Z1"), "", at(1), &policy));
        assert!(!due.clone().begin(&publish("Z2"), "", at(1), &policy), "another plan");
        assert!(!due.clone().begin(&publish("Z1"), "", at(47), &policy), "too long ago");
        let mut begun = due.clone();
        assert!(begun.begin(&publish("Z1"), "", at(1), &policy));
        assert!(!begun.begin(&publish("Z1"), "", at(2), &policy), "another instance has begun it");
        due.consider(None, &look(2), &policy);
        assert!(!due.begin(&publish("Z1"), "", at(2), &policy), "another instance sees nothing to do");
    }

    #[test]
    fn what_did_nothing_leaves_the_day_free_once_two_more_looks_agree() {
        let wanted = publish("Z1");
        let void = || Ending::Void("denied".to_owned());
        for (ending, minutes) in [
            (Ending::Taken("published".to_owned()), vec![]),
            (Ending::Doubtful("not known".to_owned()), vec![]),
            (void(), vec![3]),
        ] {
            let mut journal = begun();
            journal.end(at(1), "publish", ending.clone());
            let again =
                [2, 3, 4].into_iter().filter(|&minute| takes(&mut journal, Some(&wanted), &look(minute)));
            assert_eq!(again.collect::<Vec<_>>(), minutes, "{ending:?}");
        }
        // However often it is tried, the last time is what is kept.
        let mut journal = begun();
        for minute in 1..100 {
            journal.end(at(minute - minute % 2), "publish", void());
            takes(&mut journal, Some(&wanted), &look(minute));
        }
        assert_eq!(journal.entries().count(), 1);
    }

    #[test]
    fn a_look_shows_what_came_of_a_step() {
        let whole = |minute| {
            let mut report = look(minute);
            report.identity.selectors = easy_dkim_identity("example.com").selectors;
            report.identity.status = ProviderStatus::TemporaryFailure;
            report
        };
        for (ending, result) in [
            (None, "done, as the look at 2027-01-15T08:02:00Z shows"),
            (
                Some(Ending::Doubtful("not known: no answer".to_owned())),
                "done, as the look at 2027-01-15T08:02:00Z shows; not known: no answer",
            ),
            (Some(Ending::Taken("published".to_owned())), "published"),
        ] {
            let mut journal = begun();
            if let Some(ending) = ending {
                journal.end(at(1), "publish", ending);
            }
            let before = journal.clone();
            assert_eq!(journal.open(at(2)).is_some(), result != "published");
            journal.prove(&publish("Z1"), &whole(2));
            journal.prove(&Step::Refuse(Refusal::Replica), &whole(2));
            journal.prove(&Step::AwaitProvider, &whole(0));
            assert_eq!(journal, before, "such looks show nothing of it");
            journal.prove(&Step::AwaitProvider, &whole(2));
            assert_eq!(results(&journal), [Some(result)]);
            assert_eq!(journal.open(at(2)), None);
            // The answer comes after all, or is lost.
            journal.end(at(1), "publish", Ending::Doubtful("not known".to_owned()));
            assert_eq!(results(&journal), [Some(result)]);
            journal.end(at(1), "publish", Ending::Taken("published as change C1".to_owned()));
            assert_eq!(results(&journal), [Some("published as change C1")]);
        }
        let mut journal = Journal::default();
        for minute in [0, 1] {
            takes(&mut journal, Some(&Step::Rearm), &look(minute));
        }
        journal.prove(&Step::AwaitProvider, &whole(2));
        assert_eq!(results(&journal), [None], "the provider has not started again");
        let mut pending = whole(3);
        pending.identity.status = ProviderStatus::Pending;
        journal.prove(&Step::AwaitProvider, &pending);
        assert_eq!(results(&journal), [Some("done, as the look at 2027-01-15T08:03:00Z shows")]);
    }

    #[test]
    fn of_two_journals_the_surer_result_of_each_entry_is_kept() {
        let ended = |ending: Ending| {
            let mut journal = begun();
            journal.end(at(1), "publish", ending);
            journal
        };
        let unsure = ended(Ending::Doubtful("unsure".to_owned()));
        let taken = ended(Ending::Taken("taken".to_owned()));
        let void = ended(Ending::Void("void".to_owned()));
        for (one, other, result) in [
            (begun(), begun(), None),
            (begun(), unsure.clone(), Some("unsure")),
            (begun(), taken.clone(), Some("taken")),
            (begun(), void.clone(), Some("void")),
            (unsure.clone(), taken.clone(), Some("taken")),
            (unsure, void.clone(), Some("void")),
            (taken, void, Some("void")),
        ] {
            assert_eq!(results(&one.clone().joined(other.clone())), [result]);
            assert_eq!(results(&other.joined(one)), [result]);
        }
    }

    #[test]
    fn old_entries_go_and_those_that_count_last() {
        let mut journal = begun();
        let counts = journal.entries().next().expect("it is there").clone();
        for minute in 2..100 {
            let what = minute.to_string();
            journal.add(Line {
                state: LineState::Void,
                entry: Entry { at: at(minute), what, ..counts.clone() },
            });
        }
        assert_eq!(journal.entries().count(), MOST_ENTRIES);
        assert_eq!(journal.entries().next(), Some(&counts));
        for _ in 0..100 {
            journal.note(counts.clone());
        }
        assert_eq!(journal.entries().count(), MOST_ENTRIES);
    }
}
