//! Years of many domains: what goes wrong is drawn, the guard looks, and what it tells is held against what is true.
//!
//! [`timeline`] draws, [`truth`] says what warrants an alert, [`guard`] plays the guard and [`naive`] the rule of today,
//! [`score`] compares.

// The test and the benchmark each use their part.
#![allow(dead_code)]

pub(crate) mod chance;
mod fault;
pub(crate) mod guard;
mod naive;
pub(crate) mod score;
mod sky;
pub(crate) mod timeline;
pub(crate) mod truth;

use dkimguard_core::guard::Policy;

use chance::YEAR;
use guard::{Pace, Reports, Watch};
use score::Score;
use timeline::Timeline;
use truth::Truth;

/// How many domains the guard of a domain has in all: it looks at few from every place each time, and at many through
/// one resolver in between.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Guarded {
    Few,
    Many,
}

/// Lives of domains, from one seed.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Lives {
    pub(crate) seed: u64,
    pub(crate) domains: u64,
    pub(crate) years: i64,
    pub(crate) guarded: Guarded,
}

impl Lives {
    /// Plays them under the default policy, on all processors.
    pub(crate) fn play(self) -> Score {
        self.play_under(&Policy::default())
    }

    pub(crate) fn play_under(self, policy: &Policy) -> Score {
        let threads = std::thread::available_parallelism().map_or(1, |count| count.get() as u64);
        std::thread::scope(|scope| {
            let parts: Vec<_> =
                (0..threads).map(|first| scope.spawn(move || self.part(policy, first, threads))).collect();
            let mut score = Score::default();
            for part in parts {
                score.merge(part.join().expect("no life panics"));
            }
            score
        })
    }

    fn part(self, policy: &Policy, first: u64, step: u64) -> Score {
        let (mut reports, mut answers) = (Reports::default(), naive::Answers::default());
        let mut score = Score::default();
        for domain in (first..self.domains).step_by(usize::try_from(step).unwrap_or(1)) {
            let timeline = self.timeline(domain);
            let truth = Truth::of(&timeline);
            let watched = self.watch(&timeline, policy, domain, Pace::Jump).play(&mut reports);
            let alarms = naive::play(&timeline, self.seed ^ domain, &mut answers);
            score.add(&timeline, &truth, &watched, &alarms);
        }
        score
    }

    pub(crate) fn timeline(self, domain: u64) -> Timeline {
        Timeline::draw(&mut chance::rng(self.seed, domain), self.years * YEAR)
    }

    pub(crate) fn watch<'a>(
        self,
        timeline: &'a Timeline,
        policy: &'a Policy,
        domain: u64,
        pace: Pace,
    ) -> Watch<'a> {
        let domains = if self.guarded == Guarded::Few { 1 } else { 1000 };
        let seed = chance::rng(self.seed, domain ^ (1 << 40)).u64(..);
        Watch { timeline, policy, domains, seed, pace }
    }
}
