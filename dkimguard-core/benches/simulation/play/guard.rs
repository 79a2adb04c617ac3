//! The guard at work on a timeline: real looks at real worlds, and the real memory and policy. Only healthy looks at a
//! clear sky are left out, since they change nothing but times.

use std::collections::HashMap;
use std::sync::Arc;

use dkimguard_core::guard::{Alert, Memory, Policy};
use dkimguard_core::judge::{Deadline, DeadlineBasis, Depth, Report, State, Witnesses};
use dkimguard_core::look::{Look, Places, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::FakeDns;
use futures_util::FutureExt;
use jiff::{SignedDuration, Timestamp};

use super::chance::of_look;
use super::fault::{LOST_QUESTION, QUESTIONS};
use super::sky::{How, Lost, RECORDS, RESOLVERS, Sky, resolver_address, resolvers};
use super::timeline::Timeline;

/// When a life begins.
const START: i64 = 1_800_000_000;
/// For how long a resolver keeps an absence, in seconds: what DNS hosts give in a zone's SOA record; each domain has one.
const NEGATIVE_TTLS: [f64; 3] = [900.0, 1800.0, 3600.0];
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
    /// Which server the resolvers ask first.
    first: u8,
    /// Which absences each resolver still has in its cache, as bits.
    held: [u8; RESOLVERS as usize],
    earlier: Vec<Name>,
    /// What is remembered of how records stood within the last day, but for the times.
    past: Vec<(Name, Vantage, &'static str)>,
}

/// Reports of looks, kept by their circumstances.
#[derive(Debug, Default)]
pub(crate) struct Reports {
    kept: HashMap<Circumstances, Report>,
    taken: u64,
}

/// What a guard did in a domain's life.
#[derive(Debug)]
pub(crate) struct Watched {
    /// When, in seconds from the start, and what it told.
    pub(crate) alerts: Vec<(f64, Alert)>,
    /// When it looked, and how thoroughly, but for the looks that were left out.
    pub(crate) looks: Vec<(f64, Depth)>,
    /// All looks, those that were left out included.
    pub(crate) all_looks: u64,
    /// How many of them were full ones.
    pub(crate) full_looks: u64,
    pub(crate) memory: Memory,
}

/// Until when, in seconds from the start, each resolver has the absence of each record in its cache.
#[derive(Clone, Debug, Default)]
struct Caches {
    /// The generation of the records.
    generation: u8,
    until: [[f64; RECORDS as usize]; RESOLVERS as usize],
}

impl Caches {
    /// Which are held, as bits.
    fn held(&self, now: f64) -> [u8; RESOLVERS as usize] {
        self.until
            .map(|of| (0..RECORDS).filter(|&r| of[usize::from(r)] > now).fold(0, |bits, r| bits | 1 << r))
    }

    /// Takes over what resolvers answered at a look.
    fn note(&mut self, report: &Report, now: f64, ttl: f64) {
        if !report.is_unexpected() {
            return;
        }
        for (resolver, vantage) in resolvers().iter().enumerate() {
            for (record, until) in report.records.iter().zip(&mut self.until[resolver]) {
                let mut findings =
                    record.findings.iter().filter(|found| found.observation.vantage == *vantage);
                if *until <= now && findings.any(|finding| finding.state == State::Absent) {
                    *until = now + ttl;
                }
            }
        }
    }
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
        let mut watched = Watched {
            alerts: Vec::new(),
            looks: Vec::new(),
            all_looks: 0,
            full_looks: 0,
            memory: Memory::default(),
        };
        let (mut cursor, mut caches) = (0, Caches::default());
        let ttl = NEGATIVE_TTLS[(of_look(self.seed ^ 6, 0) * NEGATIVE_TTLS.len() as f64) as usize];
        let mut now = at(of_look(self.seed, u64::MAX) * 900.0);
        while now < end {
            let (sky, until) = self.timeline.at(seconds(now), &mut cursor);
            let sky = sky.clone();
            if caches.generation != sky.wanted {
                caches = Caches { generation: sky.wanted, ..Caches::default() };
            }
            if self.pace == Pace::Jump && sky.is_clear() && caches.held(seconds(now)) == [0; _] {
                let before = watched.all_looks;
                let full;
                (now, watched.all_looks, full) = self.jump(&watched.memory, &sky, until, now, before);
                watched.full_looks += if self.is_few() { watched.all_looks - before } else { full };
            }
            let lost = self.lost(&sky, watched.all_looks);
            let depth = self.policy.depth(&watched.memory, self.domains, now);
            let turn = of_look(self.seed ^ 1, watched.all_looks);
            let turn = (turn * f64::from(RESOLVERS)) as u64;
            let first = of_look(self.seed ^ 4, watched.all_looks);
            let first = (first * f64::from(sky.servers)) as u8;
            let meet = |depth, caches: &Caches| {
                Circumstances::of(&sky, lost, depth, (turn, first), caches.held(seconds(now)))
            };
            let mut report = reports.take(meet(depth, &caches), now, &watched.memory);
            caches.note(report, seconds(now), ttl);
            if depth == Depth::Quick && report.is_unexpected() {
                report = reports.take(meet(Depth::Full, &caches), now, &watched.memory);
                caches.note(report, seconds(now), ttl);
            }
            let depth = report.depth;
            watched.full_looks += u64::from(depth == Depth::Full);
            let (memory, alerts) = std::mem::take(&mut watched.memory).advance(report, self.policy);
            watched.alerts.extend(alerts.into_iter().map(|alert| (seconds(now), alert)));
            watched.memory = memory;
            watched.looks.push((seconds(now), depth));
            let chance = self.chance(watched.all_looks);
            watched.all_looks += 1;
            now = self.policy.next_look(&watched.memory, chance).expect("a look was taken");
        }
        watched
    }

    /// The last look, from this one on, of those that would only show again that all is well, or before it the last
    /// full one, which is remembered as such; and how many full ones lie before that.
    fn jump(
        &self,
        memory: &Memory,
        sky: &Sky,
        until: i64,
        mut now: Timestamp,
        mut look: u64,
    ) -> (Timestamp, u64, u64) {
        let is_settled = memory.looked_at().is_some() && !memory.is_unsettled();
        if !is_settled || memory.was_bad_lately(now) {
            return (now, look, 0);
        }
        let full_interval =
            SignedDuration::try_from(self.policy.full_interval).expect("an interval is short");
        let mut full_at = memory.full_look_at();
        let (mut last_full, mut full) = (None, 0_u64);
        while self.lost(sky, look).is_none() {
            if !self.is_few() && full_at.is_none_or(|last| last + full_interval <= now) {
                full_at = Some(now);
                last_full = Some((now, look));
                full += 1;
            }
            let next = now + self.lengthened(look);
            if next >= at(until as f64) || self.lost(sky, look + 1).is_some() {
                break;
            }
            (now, look) = (next, look + 1);
        }
        let (now, look) = last_full.unwrap_or((now, look));
        (now, look, full.saturating_sub(1))
    }

    fn is_few(&self) -> bool {
        self.domains <= self.policy.full_up_to
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

impl Circumstances {
    fn of(
        sky: &Sky,
        lost: Option<Lost>,
        depth: Depth,
        (turn, first): (u64, u8),
        held: [u8; RESOLVERS as usize],
    ) -> Self {
        Self {
            sky: sky.clone(),
            lost,
            depth,
            turn: if depth == Depth::Quick { turn } else { 0 },
            // Where all servers say the same it is all one which of them is asked.
            first: if sky.any_server_stale() { first } else { 0 },
            held,
            earlier: Vec::new(),
            past: Vec::new(),
        }
    }
}

impl Reports {
    /// The report of a look: a kept one with the time set, where what is remembered plays no other part.
    fn take(&mut self, met: Circumstances, now: Timestamp, memory: &Memory) -> &Report {
        let witnesses = memory.witnesses(&met.sky.identity());
        let since = witnesses.status_first_seen;
        let lately = witnesses.past.iter().filter(|past| past.at >= now - SignedDuration::from_hours(24));
        let past =
            lately.map(|past| (past.record.clone(), past.vantage.clone(), past.state.as_str())).collect();
        let met = Circumstances { earlier: witnesses.earlier_selectors.clone(), past, ..met };
        if self.kept.len() >= MOST_KEPT {
            self.kept.clear();
        }
        let taken = &mut self.taken;
        let report = self.kept.entry(met).or_insert_with_key(|met| {
            *taken += 1;
            take(met, witnesses, now)
        });
        report.at = now;
        if report.deadline.is_some() {
            report.deadline = Deadline::counted_from(since.unwrap_or(now), DeadlineBasis::FirstSeen);
        }
        report
    }
}

/// Takes a look, through the whole pipeline.
fn take(met: &Circumstances, witnesses: Witnesses, now: Timestamp) -> Report {
    let Circumstances { sky, lost, depth, turn, first, held, .. } = met;
    let mut world = sky.world(*lost);
    if !sky.offline {
        for resolver in 0..RESOLVERS {
            let held = held[usize::from(resolver)];
            let resolver =
                world.resolver(resolver_address(resolver)).prefer_server(usize::from(first + resolver));
            for owner in
                (0..RECORDS).filter(|record| held & (1 << record) != 0).map(|record| sky.owner(record))
            {
                resolver.cache_absence(&owner, 300);
            }
        }
    }
    let look = Look::new(Arc::new(FakeDns::new(world)), Places::new(resolvers()));
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
            let met = Circumstances::of(sky, None, depth, (turn, 1), [index as u8 % 2, 0, 0]);
            let kept = reports.take(met.clone(), now, &memory).clone();
            let real = take(&met, memory.witnesses(&sky.identity()), now);
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

/// How many questions a full look and a quick one at a healthy domain of so many servers ask.
pub(crate) fn questions(servers: u8) -> [usize; 2] {
    [Depth::Full, Depth::Quick].map(|depth| {
        let sky = Sky::clear(servers);
        let dns = Arc::new(FakeDns::new(sky.world(None)));
        let look = Look::new(dns.clone(), Places::new(resolvers()));
        let taken = look.take_with(sky.identity(), Witnesses::default(), depth, at(0.0), 0);
        taken.now_or_never().expect("a world in memory answers at once");
        dns.asked().len()
    })
}
