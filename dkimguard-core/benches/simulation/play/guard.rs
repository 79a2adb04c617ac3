//! The guard at work on a timeline: real looks at real worlds, and the real memory and policy. Only healthy looks at a
//! clear sky are left out, since they change nothing but times.

use std::collections::HashMap;
use std::sync::Arc;

use dkimguard_core::guard::{Alert, Memory, Policy};
use dkimguard_core::judge::{Deadline, DeadlineBasis, Depth, Report, Witnesses};
use dkimguard_core::look::{Look, Places};
use dkimguard_core::name::Name;
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::FakeDns;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};

use super::chance::of_look;
use super::fault::{LOST_QUESTION, QUESTIONS};
use super::sky::{How, Lost, RECORDS, RESOLVERS, Sky, resolvers};
use super::timeline::Timeline;

/// When a life begins.
const START: i64 = 1_800_000_000;
/// How many reports are kept.
const MOST_KEPT: usize = 4096;

/// Whether looks that change nothing are left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    Jump,
    Step,
}

/// What is left of a look's reports: all that they depend on, but for the time.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Circumstances {
    sky: Sky,
    lost: Option<Lost>,
    depth: Depth,
    turn: u64,
    earlier: Vec<Name>,
}

/// Reports of looks, kept by their circumstances.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    kept: HashMap<Circumstances, Report>,
    own: Option<Report>,
    taken: u64,
}

/// What a guard did in a domain's life.
#[derive(Debug)]
pub(crate) struct Watched {
    /// When, in seconds from the start, and what it told.
    pub(crate) alerts: Vec<(f64, Alert)>,
    /// When it looked, but for the looks that were left out.
    pub(crate) looks: Vec<f64>,
    /// All looks, those that were left out included.
    pub(crate) all_looks: u64,
    pub(crate) memory: Memory,
}

/// A guard of one domain among so many.
pub(crate) struct Watch<'a> {
    pub(crate) timeline: &'a Timeline,
    pub(crate) policy: &'a Policy,
    pub(crate) domains: usize,
    pub(crate) seed: u64,
    pub(crate) pace: Pace,
}

impl Watch<'_> {
    pub(crate) fn play(&self, reports: &mut Reports) -> Watched {
        let end = at(self.timeline.end as f64);
        let mut watched =
            Watched { alerts: Vec::new(), looks: Vec::new(), all_looks: 0, memory: Memory::default() };
        let mut cursor = 0;
        let mut now = at(of_look(self.seed, u64::MAX) * 900.0);
        while now < end {
            let (sky, until) = self.timeline.at(seconds(now), &mut cursor);
            let sky = sky.clone();
            if self.pace == Pace::Jump && sky.is_clear() {
                (now, watched.all_looks) = self.jump(&watched.memory, &sky, until, now, watched.all_looks);
            }
            let lost = self.lost(&sky, watched.all_looks);
            let depth = self.policy.depth(&watched.memory, self.domains, now);
            let turn = of_look(self.seed ^ 1, watched.all_looks);
            let turn = (turn * f64::from(RESOLVERS)) as u64;
            let mut report = reports.take(&sky, lost, depth, turn, now, &watched.memory);
            if depth == Depth::Quick && report.is_unexpected() {
                report = reports.take(&sky, lost, Depth::Full, turn, now, &watched.memory);
            }
            let (memory, alerts) = std::mem::take(&mut watched.memory).advance(report, self.policy);
            watched.alerts.extend(alerts.into_iter().map(|alert| (seconds(now), alert)));
            watched.memory = memory;
            watched.looks.push(seconds(now));
            let chance = self.chance(watched.all_looks);
            watched.all_looks += 1;
            now = self.policy.next_look(&watched.memory, chance).expect("a look was taken");
        }
        watched
    }

    /// The last look, from this one on, of those that would only show again that all is well.
    fn jump(
        &self,
        memory: &Memory,
        sky: &Sky,
        until: i64,
        mut now: Timestamp,
        mut look: u64,
    ) -> (Timestamp, u64) {
        let is_settled = memory.looked_at().is_some() && !memory.is_unsettled();
        if !is_settled || !memory.witnesses(&sky.identity()).past.is_empty() {
            return (now, look);
        }
        let is_full_anyway = self.policy.depth(memory, self.domains, now) == Depth::Full
            && self.domains <= self.policy.full_up_to;
        let changes_nothing = |now: Timestamp, look: u64| {
            let is_quick = || self.policy.depth(memory, self.domains, now) == Depth::Quick;
            self.lost(sky, look).is_none() && (is_full_anyway || is_quick())
        };
        while changes_nothing(now, look) {
            let next = now + self.lengthened(look);
            if next >= at(until as f64) || !changes_nothing(next, look + 1) {
                break;
            }
            (now, look) = (next, look + 1);
        }
        (now, look)
    }

    /// The interval after a healthy look, as the policy makes it.
    fn lengthened(&self, look: u64) -> SignedDuration {
        let interval = self.policy.interval.mul_f64(1.0 + self.policy.jitter * self.chance(look));
        SignedDuration::try_from(interval).expect("an interval is short")
    }

    fn chance(&self, look: u64) -> f64 {
        of_look(self.seed ^ 2, look)
    }

    /// The question that gets lost at a look, if one does.
    fn lost(&self, sky: &Sky, look: u64) -> Option<Lost> {
        let places = sky.servers + RESOLVERS;
        let questions = f64::from(places) * f64::from(QUESTIONS);
        let drawn = of_look(self.seed ^ 3, look) / LOST_QUESTION;
        if drawn >= questions {
            return None;
        }
        let question = drawn as u8;
        let (place, question) = (question / QUESTIONS, question % QUESTIONS);
        let kind = if question < RECORDS { RecordKind::Cname } else { RecordKind::Txt };
        let how = if drawn.fract() < 0.5 { How::Silence } else { How::Servfail };
        Some(Lost { place, record: question % RECORDS, kind, how })
    }
}

impl Reports {
    /// The report of a look: a kept one with the time set, where what is remembered plays no other part.
    fn take(
        &mut self,
        sky: &Sky,
        lost: Option<Lost>,
        depth: Depth,
        turn: u64,
        now: Timestamp,
        memory: &Memory,
    ) -> &Report {
        let witnesses = memory.witnesses(&sky.identity());
        let since = witnesses.status_first_seen;
        let turn = if depth == Depth::Quick { turn } else { 0 };
        let earlier = witnesses.earlier_selectors.clone();
        let circumstances = Circumstances { sky: sky.clone(), lost, depth, turn, earlier };
        if !witnesses.past.is_empty() {
            // The past is told with its own times, so this report is nobody else's.
            self.taken += 1;
            return self.own.insert(take(&circumstances, witnesses, now));
        }
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        let taken = &mut self.taken;
        let report = self.kept.entry(circumstances).or_insert_with_key(|circumstances| {
            *taken += 1;
            take(circumstances, witnesses, now)
        });
        report.at = now;
        if report.deadline.is_some() {
            report.deadline = Deadline::counted_from(since.unwrap_or(now), DeadlineBasis::FirstSeen);
        }
        report
    }
}

/// Takes a look, through the whole pipeline.
fn take(circumstances: &Circumstances, witnesses: Witnesses, now: Timestamp) -> Report {
    let Circumstances { sky, lost, depth, turn, .. } = circumstances;
    let look = Look::new(Arc::new(FakeDns::new(sky.world(*lost))), Places::new(resolvers()));
    let report = look.take_with(sky.identity(), witnesses, *depth, now, *turn);
    report.now_or_never().expect("a world in memory answers at once")
}

/// Whether kept reports are those that a look would give now: `None`, or where they differ.
pub(crate) fn difference(timeline: &Timeline, seed: u64) -> Option<String> {
    let mut reports = Reports::default();
    let memory = Memory::default();
    for (index, (from, sky)) in timeline.skies.iter().enumerate() {
        let depth = if index % 3 == 0 { Depth::Quick } else { Depth::Full };
        let turn = (index as u64 + seed) % u64::from(RESOLVERS);
        for minute in [0.0, 7.0] {
            let now = at(*from as f64 + 60.0 * minute);
            let kept = reports.take(sky, None, depth, turn, now, &memory).clone();
            let turn = if depth == Depth::Quick { turn } else { 0 };
            let circumstances =
                Circumstances { sky: sky.clone(), lost: None, depth, turn, earlier: Vec::new() };
            let real = take(&circumstances, memory.witnesses(&sky.identity()), now);
            if kept != real {
                return Some(format!("{sky:?}\n{kept:#?}\n{real:#?}"));
            }
        }
    }
    let counts = (reports.taken as usize) < timeline.skies.len();
    (!counts).then(|| "no report was kept".to_owned())
}

fn at(second: f64) -> Timestamp {
    Timestamp::from_second(START).expect("it is a time") + SignedDuration::from_secs_f64(second)
}

fn seconds(at: Timestamp) -> f64 {
    at.duration_since(Timestamp::from_second(START).expect("it is a time")).as_secs_f64()
}
