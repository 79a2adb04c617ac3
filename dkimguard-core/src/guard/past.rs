//! [`Past`]: how the records stood at the looks of the last day, as far as that changed.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use super::Policy;
use crate::judge::{Depth, PastState, Report, State};
use crate::look::Vantage;
use crate::name::Name;

/// For how long changes are remembered.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many states are remembered at most; beyond that the oldest give way.
const MOST_STATES: usize = 64;
/// How often within a day a record must have been bad at a server before a look is told so. A question that fails and
/// a server that is started anew, twice on the day of its maintenance, are passing faults.
const SPELLS: usize = 3;

/// How the records stood at the servers at the looks of the last day, as far as that changed. Where nothing is
/// remembered of a record at a server, it held there.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub(super) struct Past(VecDeque<Stood>);

#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Stood {
    at: Timestamp,
    record: Name,
    vantage: Vantage,
    state: State,
    /// Whether a second look has confirmed it, if it needs that: what one look alone finds bad may be one question that
    /// got lost.
    is_sure: bool,
}

impl Past {
    /// The states at the places where the record was bad again and again, in the order of time.
    pub(super) fn states(&self) -> Vec<PastState> {
        let told = self.0.iter().filter(|stood| stood.is_sure && self.spells(stood) >= SPELLS);
        let states = told.map(|Stood { at, record, vantage, state, .. }| PastState {
            at: *at,
            record: record.clone(),
            vantage: vantage.clone(),
            state: *state,
        });
        states.collect()
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Adds what a look shows that is otherwise than before, and forgets what is older than a day, but for the last
    /// state of each place. Only full looks count, since they see each server; and only servers do: what one resolver
    /// answers now and then is its own affair.
    pub(super) fn add(&mut self, report: &Report, policy: &Policy) {
        // What lies ahead comes from a clock that was wrong.
        self.0.retain(|stood| stood.at <= report.at);
        if report.depth == Depth::Full {
            for record in &report.records {
                for finding in &record.findings {
                    let vantage = &finding.observation.vantage;
                    if vantage.is_authoritative() {
                        self.note(report.at, &record.expected.name, vantage, finding.state, policy);
                    }
                }
            }
        }
        self.forget(report.at);
    }

    fn note(&mut self, at: Timestamp, record: &Name, vantage: &Vantage, state: State, policy: &Policy) {
        let is_good = state == State::Holds;
        let last = self.0.iter().rposition(|stood| stood.is_at(record, vantage));
        let is_sure = match last.map(|index| (index, &mut self.0[index])) {
            None if is_good => return,
            None => false,
            Some((index, last)) if !last.is_sure => {
                if is_good {
                    self.0.remove(index);
                } else if policy.are_apart(last.at, at) {
                    last.is_sure = true;
                }
                return;
            }
            Some((_, last)) if last.state == state => return,
            // From one fault into another.
            Some((_, last)) => is_good || last.state != State::Holds,
        };
        self.0.push_back(Stood { at, record: record.clone(), vantage: vantage.clone(), state, is_sure });
    }

    /// How often the record went bad at the place of this state, for more than one look.
    fn spells(&self, place: &Stood) -> usize {
        let mut was_good = true;
        let mut spells = 0;
        for stood in self.0.iter().filter(|stood| stood.is_sure && stood.is_at(&place.record, &place.vantage))
        {
            let is_good = stood.state == State::Holds;
            spells += usize::from(was_good && !is_good);
            was_good = is_good;
        }
        spells
    }

    fn forget(&mut self, at: Timestamp) {
        let is_old = |stood: &Stood| at.duration_since(stood.at) > DAY;
        let mut kept = VecDeque::with_capacity(self.0.len());
        while let Some(stood) = self.0.pop_front() {
            let is_followed =
                self.0.iter().any(|later| later.is_sure && later.is_at(&stood.record, &stood.vantage));
            let says_nothing = stood.state == State::Holds && !is_followed;
            if is_old(&stood) && (is_followed || says_nothing) {
                continue;
            }
            kept.push_back(stood);
        }
        self.0 = kept;
        while self.0.len() > MOST_STATES {
            self.0.pop_front();
        }
    }
}

impl Stood {
    fn is_at(&self, record: &Name, vantage: &Vantage) -> bool {
        self.record == *record && self.vantage == *vantage
    }
}
