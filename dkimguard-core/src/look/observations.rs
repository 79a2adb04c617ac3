//! [`Observations`]: what was asked and answered, found again by place.

use std::collections::HashMap;

use super::{Observation, Vantage};
use crate::name::Name;
use crate::record::RecordKind;

/// Observations in the order in which they were made, found again by vantage point.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Observations {
    all: Vec<Observation>,
    by_vantage: HashMap<Vantage, Vec<usize>>,
}

impl Observations {
    /// All of them.
    pub fn iter(&self) -> impl Iterator<Item = &Observation> {
        self.all.iter()
    }

    /// Those of one vantage point.
    pub fn of(&self, vantage: &Vantage) -> impl DoubleEndedIterator<Item = &Observation> {
        let places = self.by_vantage.get(vantage).map(Vec::as_slice).unwrap_or_default();
        places.iter().filter_map(|&place| self.all.get(place))
    }

    /// The plain question about a name at a vantage point: the last that was answered, else the last.
    pub fn at(&self, vantage: &Vantage, name: &Name, kind: RecordKind) -> Option<&Observation> {
        let asked = |observation: &&Observation| {
            let question = &observation.question;
            question.kind == kind
                && !question.checking_disabled
                && !question.dnssec_ok
                && question.name == *name
        };
        let mut all = self.of(vantage).rev().filter(asked);
        let last = all.next()?;
        if last.outcome.is_ok() {
            return Some(last);
        }
        Some(all.find(|observation| observation.outcome.is_ok()).unwrap_or(last))
    }
}

impl Extend<Observation> for Observations {
    fn extend<T: IntoIterator<Item = Observation>>(&mut self, observations: T) {
        for observation in observations {
            self.by_vantage.entry(observation.vantage.clone()).or_default().push(self.all.len());
            self.all.push(observation);
        }
    }
}

impl FromIterator<Observation> for Observations {
    fn from_iter<T: IntoIterator<Item = Observation>>(observations: T) -> Self {
        let mut collected = Self::default();
        collected.extend(observations);
        collected
    }
}
