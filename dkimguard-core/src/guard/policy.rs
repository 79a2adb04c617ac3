//! [`Policy`]: how often to look, and when to tell. Each number has its unit, its default and its reason.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};

use super::Memory;
use crate::judge::Depth;

/// How often to look, how thoroughly, and when to tell.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct Policy {
    /// Between two looks at a healthy identity. Default 15 minutes: a fault is seen hours before the provider acts
    /// on it, and a domain costs a hundred small questions an hour.
    pub interval: Duration,
    /// Between two looks while an identity isn't healthy or nothing is known: the first after the first such look,
    /// and so on; the last one repeats, and none counts that is longer than `interval`. Default 1, 2, 5 and 15
    /// minutes: soon enough to confirm, and soon quiet again. Until it is decided whether what is degraded lasts, looks are
    /// [`confirmation_gap`](Self::confirmation_gap) apart.
    pub unhealthy_intervals: Vec<Duration>,
    /// By which share an interval is lengthened at most, so that instances and domains drift apart. Default 0.1.
    pub jitter: f64,
    /// How thoroughly an identity is looked at. Default [`Depths::Auto`].
    pub depths: Depths,
    /// With [`Depths::Auto`], up to how many identities each look is a full one. Default 20.
    pub full_up_to: usize,
    /// With [`Depths::Auto`], how long ago the last full look at a healthy identity may be. Default 1 hour: a
    /// server that alone is stale or silent shows in no quick look for which the resolver asks another. That costs a
    /// third of the questions of a guard that always looks fully.
    pub full_interval: Duration,
    /// How many failing looks that agree open an incident. Default 2: one may have met a passing fault.
    pub confirmations: u32,
    /// How far apart looks are that confirm each other. Default 1 minute: most passing faults are over by then.
    pub confirmation_gap: Duration,
    /// For how long an identity is degraded before that alone opens an incident. Default 10 minutes: servers restart,
    /// and zones take their time to reach the last of them.
    pub degraded_after: Duration,
    /// For how long a resolver keeps an absence in its cache, while each server holds the record, before that alone opens
    /// an incident. Default 1 hour: most zones let it be kept for less, and nothing can be done but wait.
    pub cached_after: Duration,
    /// For how long nothing is known before that is an incident. Default 1 hour.
    pub blind_after: Duration,
    /// Between two reminders of an incident that lasts. Default 24 hours.
    pub reminder: Duration,
    /// How many looks are under way at once. Default 8.
    pub looks_at_once: usize,
    /// About how many domains the identity source is asked for in a minute. Default 1,200: ten thousand, the most that
    /// a region of SES holds, are asked for within nine minutes.
    pub source_budget: u32,
    /// Where every domain of the source is watched, how often they are listed. Default 1 hour.
    pub list_interval: Duration,
    /// What is done about records that are wrong. Default [`RepairMode::Off`]: nothing.
    pub repair: RepairMode,
    /// For how long an instance that has begun to deliver alerts is left alone by the others. Default 2 minutes: a
    /// delivery takes up to one, and what a dead instance had begun is delivered by another after that.
    pub delivery_lease: Duration,
    /// For how long a notifier that has failed is left alone; twice as long after each further failure in a row, up to
    /// an hour. Default 30 seconds: most failures are over by then, and an alert comes soon enough all the same.
    pub delivery_pause: Duration,
}

/// How thoroughly identities are looked at.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Depths {
    /// Few identities from every place; many through one resolver, and from every place where that shows anything
    /// unexpected, where something was wrong before, and now and then.
    #[default]
    Auto,
    /// From every place.
    Full,
    /// Through one resolver.
    Quick,
}

/// What a guard does about records that are wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RepairMode {
    /// It tells.
    #[default]
    Off,
    /// It tells, and the report and the alert's remedy have the edit that would mend it.
    Propose,
    /// It makes the edit, through the publisher that it was given, and asks the provider to start again where that has
    /// given up: once full looks in a row agree in it, [`confirmation_gap`](Policy::confirmation_gap) or more apart and
    /// each within three intervals of the one before, and at most once a day for an identity. What it does is in the
    /// [journal](super::Memory::journal) before it is done. It leaves alone what the provider wasn't heard about at that
    /// look, what was never set up or is switched off, and the records of earlier tokens.
    Apply,
}

impl Default for Policy {
    fn default() -> Self {
        let minutes = |count: u64| Duration::from_secs(60 * count);
        Self {
            interval: minutes(15),
            unhealthy_intervals: [1, 2, 5, 15].map(minutes).to_vec(),
            jitter: 0.1,
            depths: Depths::Auto,
            full_up_to: 20,
            full_interval: minutes(60),
            confirmations: 2,
            confirmation_gap: minutes(1),
            degraded_after: minutes(10),
            cached_after: minutes(60),
            blind_after: minutes(60),
            reminder: minutes(24 * 60),
            looks_at_once: 8,
            source_budget: 1200,
            list_interval: minutes(60),
            repair: RepairMode::Off,
            delivery_lease: minutes(2),
            delivery_pause: Duration::from_secs(30),
        }
    }
}

impl Policy {
    /// How thorough the next look at one of so many identities is to be.
    pub fn depth(&self, memory: &Memory, identities: usize, at: Timestamp) -> Depth {
        match self.depths {
            Depths::Full => Depth::Full,
            Depths::Quick => Depth::Quick,
            Depths::Auto if identities <= self.full_up_to => Depth::Full,
            Depths::Auto if memory.is_unsettled() || memory.was_bad_lately(at) => Depth::Full,
            Depths::Auto => match memory.full_look_at() {
                // One that lies ahead comes from a clock that was wrong.
                Some(last) if last <= at && after(last, self.full_interval) > at => Depth::Quick,
                _ => Depth::Full,
            },
        }
    }

    /// When to look again; at once where no look was taken yet. `chance`, from 0 up to 1, makes the jitter.
    pub fn next_look(&self, memory: &Memory, chance: f64) -> Option<Timestamp> {
        let last = memory.looked_at()?;
        let interval = self.interval_after(memory);
        let lengthened = interval.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0) * chance.clamp(0.0, 1.0));
        let regular = after(last, lengthened);
        // What waits to be decided is decided in time.
        let decision = memory.decision_due(self).map(|due| due.max(after(last, self.confirmation_gap)));
        Some(decision.map_or(regular, |decision| decision.min(regular)))
    }

    fn interval_after(&self, memory: &Memory) -> Duration {
        if !memory.is_unsettled() {
            return self.interval;
        }
        self.unhealthy_interval(memory.unhealthy_looks())
    }

    /// The interval after so many times in a row that something was wrong.
    pub(super) fn unhealthy_interval(&self, times: u32) -> Duration {
        let ladder = &self.unhealthy_intervals;
        let step = ladder.get(times.saturating_sub(1) as usize).or(ladder.last());
        step.copied().unwrap_or(self.interval).min(self.interval)
    }

    /// When a verdict is too old to be believed: three intervals after its look.
    pub fn stale_at(&self, looked_at: Timestamp) -> Timestamp {
        after(looked_at, self.stale_after())
    }

    /// Whether a look of this depth sees less than one that this policy asks for where something is wrong.
    pub(super) fn is_glance(&self, depth: Depth) -> bool {
        depth == Depth::Quick && self.depths != Depths::Quick
    }

    /// How thoroughly to look again at what a look of this depth found unexpected.
    #[cfg(feature = "guard")]
    pub(super) fn closer(&self, depth: Depth) -> Depth {
        if self.is_glance(depth) { Depth::Full } else { depth }
    }

    /// Whether a time is no further ahead than one instance's clock may be before another's.
    #[cfg(feature = "guard")]
    pub(super) fn is_near(&self, ahead: Timestamp, at: Timestamp) -> bool {
        after(at, self.interval) >= ahead
    }

    /// The furthest time ahead that a next look may have.
    #[cfg(feature = "guard")]
    pub(super) fn furthest(&self, now: Timestamp) -> Timestamp {
        after(now, self.interval.mul_f64(1.0 + self.jitter.clamp(0.0, 1.0)))
    }

    /// Whether a look is still so recent that one at `at` goes on from it. What lies ahead isn't: its clock was wrong.
    pub(super) fn goes_on(&self, last: Timestamp, at: Timestamp) -> bool {
        // Looks that confirm each other are further apart than others where the interval is short.
        let longest = self.stale_after().max(self.confirmation_gap.saturating_mul(3));
        last <= at && after(last, longest) >= at
    }

    /// Whether so much lies between two looks that they confirm each other.
    pub(super) fn are_apart(&self, last: Timestamp, at: Timestamp) -> bool {
        after(last, self.confirmation_gap) <= at
    }

    fn stale_after(&self) -> Duration {
        self.interval.saturating_mul(3)
    }
}

/// The time so much later; the end of time where that lies beyond it.
pub(super) fn after(from: Timestamp, duration: Duration) -> Timestamp {
    SignedDuration::try_from(duration)
        .ok()
        .and_then(|duration| from.checked_add(duration).ok())
        .unwrap_or(Timestamp::MAX)
}
