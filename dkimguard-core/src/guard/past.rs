//! [`Past`]: how the records stood at the looks of the last day, as far as that changed.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::judge::{Depth, PastState, Report, State};
use crate::look::Vantage;
use crate::name::Name;

/// For how long changes are remembered.
pub(super) const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many states are remembered at most; beyond that the oldest give way.
const MOST_STATES: usize = 64;
/// How often within a day a server must have been silent, or bad in whatever way, before a look is told so. A question
/// that fails and a server that is started anew, twice on the day of its maintenance, are passing faults.
const SPELLS: usize = 3;
/// How many changes between what a server answered make a look worth telling: it may show the third, and then the
/// record comes and goes.
const CHANGES: usize = 2;

/// How the records stood at the servers at the looks of the last day, as far as that changed. Where nothing is
/// remembered of a record at a server, it held there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Past(VecDeque<Stood>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stood {
    /// The first look that showed it so, and the last.
    since: Timestamp,
    at: Timestamp,
    record: Name,
    vantage: Vantage,
    state: State,
    /// Whether a second look has confirmed it, if it needs that: a question that one look alone finds unanswered may
    /// have been lost on the way. An answer with authority needs none.
    is_sure: bool,
}

impl Past {
    /// The states at the places where the record changed again and again, in the order of time. What was answered
    /// counts by itself: not seeing is no state of a record, until a server has not been seen again and again.
    pub(super) fn states(&self) -> Vec<PastState> {
        let told = self.0.iter().filter(|stood| {
            let often = || self.spells(stood) >= SPELLS;
            stood.is_sure && (often() || stood.is_answer() && self.changes(stood) >= CHANGES)
        });
        let states = told.map(|Stood { at, record, vantage, state, .. }| PastState {
            at: *at,
            record: record.clone(),
            vantage: vantage.clone(),
            state: *state,
        });
        states.collect()
    }

    /// Adds what a look shows that is otherwise than at the full look before, if something was known then, and forgets
    /// what is older than a day. Only full looks count, since they see each server; and only servers do: what one
    /// resolver answers now and then is its own affair.
    pub(super) fn add(&mut self, report: &Report, before: Option<Timestamp>, policy: &Policy) {
        // What lies ahead comes from a clock that was wrong.
        self.0.retain(|stood| stood.at <= report.at);
        self.forget(report.at);
        if report.depth == Depth::Full {
            let before = before.filter(|&before| before < report.at);
            for record in &report.records {
                for finding in &record.findings {
                    let vantage = &finding.observation.vantage;
                    if vantage.is_authoritative() {
                        let (since, at) = (report.at, report.at);
                        let (record, state) = (record.expected.name.clone(), finding.state);
                        let vantage = vantage.clone();
                        self.note(
                            Stood { since, at, record, vantage, state, is_sure: false },
                            before,
                            policy,
                        );
                    }
                }
            }
            self.forget(report.at);
        }
    }

    fn note(&mut self, mut now: Stood, before: Option<Timestamp>, policy: &Policy) {
        let mut last = self.0.iter().rposition(|stood| stood.is_at(&now));
        if let Some(index) = last.filter(|&index| !self.0[index].is_sure) {
            let unsure = &mut self.0[index];
            let is_confirmed = !now.is_good() && policy.are_apart(unsure.since, now.at);
            unsure.is_sure = is_confirmed;
            if !is_confirmed && now.state == unsure.state {
                return;
            }
            if !is_confirmed {
                self.0.remove(index);
                last = self.0.iter().rposition(|stood| stood.is_at(&now));
            }
        }
        let last = last.map(|index| &mut self.0[index]);
        match last {
            None if now.is_good() => {}
            Some(last) if last.state == now.state => last.at = now.at,
            last => {
                let was_bad = last.as_ref().is_some_and(|last| !last.is_good());
                now.is_sure = now.is_answer() || was_bad;
                if let (None, Some(before)) = (last, before) {
                    let held = Stood {
                        since: before,
                        at: before,
                        state: State::Holds,
                        is_sure: true,
                        ..now.clone()
                    };
                    self.0.push_back(held);
                }
                self.0.push_back(now);
            }
        }
    }

    /// How often the record went bad at the place of this state.
    fn spells(&self, place: &Stood) -> usize {
        let mut was_good = true;
        let mut spells = 0;
        for stood in self.0.iter().filter(|stood| stood.is_sure && stood.is_at(place)) {
            spells += usize::from(was_good && !stood.is_good());
            was_good = stood.is_good();
        }
        spells
    }

    /// How often the place of this state answered otherwise than before about the record.
    fn changes(&self, place: &Stood) -> usize {
        let answers = self.0.iter().filter(|stood| stood.is_answer() && stood.is_at(place));
        let mut states: Vec<State> = answers.map(|stood| stood.state).collect();
        states.dedup();
        states.len().saturating_sub(1)
    }

    /// Forgets what was last seen more than a day ago, and that it holds where nothing else is remembered.
    fn forget(&mut self, at: Timestamp) {
        self.0.retain(|stood| at.duration_since(stood.at) <= DAY);
        while self.0.len() > MOST_STATES {
            self.0.pop_front();
        }
        let bad: Vec<Stood> = self.0.iter().filter(|stood| !stood.is_good()).cloned().collect();
        self.0.retain(|stood| bad.iter().any(|bad| bad.is_at(stood)));
    }
}

impl Stood {
    fn is_at(&self, other: &Self) -> bool {
        self.record == other.record && self.vantage == other.vantage
    }

    fn is_good(&self) -> bool {
        self.state == State::Holds
    }

    /// Whether it was answered, with authority.
    fn is_answer(&self) -> bool {
        self.state != State::Unseen
    }
}
