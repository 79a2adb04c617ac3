//! [`Past`]: how the records stood at the looks of the last day, as far as that changed.

use std::collections::VecDeque;

use jiff::{SignedDuration, Timestamp};
use serde::{Deserialize, Serialize};

use crate::judge::{Depth, PastState, Report, State};
use crate::look::Vantage;
use crate::name::Name;

/// For how long changes are remembered.
const DAY: SignedDuration = SignedDuration::from_hours(24);
/// How many states are remembered at most; beyond that the oldest give way.
const MOST_STATES: usize = 64;

/// How the records stood at the looks of the last day, as far as that changed. Where nothing is remembered of a record
/// at a place, it held there.
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
}

impl Past {
    /// The states, in the order of time.
    pub(super) fn states(&self) -> Vec<PastState> {
        let states = self.0.iter().map(|Stood { at, record, vantage, state }| PastState {
            at: *at,
            record: record.clone(),
            vantage: vantage.clone(),
            state: *state,
        });
        states.collect()
    }

    /// Adds what a look shows that is otherwise than before, and forgets what is older than a day, but for the last
    /// state of each place. Only full looks count: they see each place.
    pub(super) fn add(&mut self, report: &Report) {
        if report.depth != Depth::Full {
            return;
        }
        for record in &report.records {
            for finding in &record.findings {
                let vantage = &finding.observation.vantage;
                // That a resolver is silent now and then is its own affair.
                if vantage.is_recursive() && finding.state == State::Unseen {
                    continue;
                }
                let name = &record.expected.name;
                let last = self.0.iter().rev().find(|stood| stood.is_at(name, vantage));
                let before = last.map_or(State::Holds, |stood| stood.state);
                if before == finding.state {
                    continue;
                }
                if last.is_none() {
                    self.push(report.at, name, vantage, before);
                }
                self.push(report.at, name, vantage, finding.state);
            }
        }
        self.forget(report.at);
    }

    fn push(&mut self, at: Timestamp, record: &Name, vantage: &Vantage, state: State) {
        self.0.push_back(Stood { at, record: record.clone(), vantage: vantage.clone(), state });
    }

    fn forget(&mut self, at: Timestamp) {
        let is_old = |stood: &Stood| at.duration_since(stood.at) > DAY;
        let mut kept = VecDeque::with_capacity(self.0.len());
        while let Some(stood) = self.0.pop_front() {
            let is_followed = self.0.iter().any(|later| later.is_at(&stood.record, &stood.vantage));
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
