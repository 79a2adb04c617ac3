//! [`Timeline`]: what becomes of a domain, fault by fault, and what the provider makes of it on its own clock. Nothing
//! here knows of the guard.

use dkimguard_core::identity::ProviderStatus;
use fastrand::Rng;

use super::chance::{HOUR, until_next};
use super::fault::{Fault, What, draw};
use super::sky::Sky;

/// How often the provider looks for the records on average: while it finds them, and while it doesn't. Its interval is
/// unpublished.
const CHECKS: [i64; 2] = [6 * HOUR, HOUR];
/// How long it looks for what it doesn't find.
pub(crate) const GRACE: i64 = 72 * HOUR;
/// When somebody sets up again what was given up, in hours after the records are there again.
const SET_UP: std::ops::Range<i64> = 1..12;

/// The skies one after another, each from a time in seconds on.
#[derive(Debug)]
pub(crate) struct Timeline {
    pub(crate) skies: Vec<(i64, Sky)>,
    pub(crate) end: i64,
}

impl Timeline {
    pub(crate) fn draw(rng: &mut Rng, end: i64) -> Self {
        let servers = rng.u8(2..=4);
        let faults = draw(rng, servers, end);
        let mut skies = vec![(0, Sky::clear(servers))];
        let mut clock = Provider { status: ProviderStatus::Success, since: 0, wanted: 0, mends_at: None };
        let changes = changes(servers, &faults, end);
        for (index, (from, mut sky)) in changes.iter().cloned().enumerate() {
            let until = changes.get(index + 1).map_or(end, |(next, _)| *next);
            clock.set_up(&sky, from);
            sky.status = clock.status.clone();
            skies.push((from, sky.clone()));
            let mut at = from;
            while let Some(next) = clock.next(&sky, at, rng).filter(|next| *next < until) {
                at = next;
                clock.look(&sky, at, rng);
                if clock.status != sky.status {
                    sky.status = clock.status.clone();
                    skies.push((at, sky.clone()));
                }
            }
        }
        Self { skies, end }
    }

    /// The sky at a time, searched from the cursor on, and when the next one begins.
    pub(crate) fn at(&self, time: f64, cursor: &mut usize) -> (&Sky, i64) {
        while self.skies.get(*cursor + 1).is_some_and(|(next, _)| *next as f64 <= time) {
            *cursor += 1;
        }
        let next = self.skies.get(*cursor + 1).map_or(self.end, |(next, _)| *next);
        (&self.skies[*cursor].1, next.min(self.end))
    }

    /// Each sky with the times from and until which it holds.
    pub(crate) fn spans(&self) -> impl Iterator<Item = (i64, i64, &Sky)> {
        let ends = self.skies.iter().skip(1).map(|(next, _)| *next).chain([self.end]);
        self.skies.iter().zip(ends).map(|((from, sky), until)| (*from, until, sky))
    }
}

/// The provider's own view and clock.
struct Provider {
    status: ProviderStatus,
    since: i64,
    wanted: u8,
    /// When what was given up is set up again.
    mends_at: Option<i64>,
}

impl Provider {
    /// Other tokens: the set-up begins anew.
    fn set_up(&mut self, sky: &Sky, at: i64) {
        if sky.wanted != self.wanted {
            self.wanted = sky.wanted;
            self.turn(ProviderStatus::Pending, at);
        }
    }

    fn turn(&mut self, status: ProviderStatus, at: i64) {
        (self.status, self.since, self.mends_at) = (status, at, None);
    }

    /// When it next does something that may change its mind, under this sky.
    fn next(&mut self, sky: &Sky, at: i64, rng: &mut Rng) -> Option<i64> {
        let is_sound = !sky.zone_fails() && !sky.any_server_bad();
        match self.status {
            ProviderStatus::Success if is_sound => None,
            ProviderStatus::Success => Some(at + until_next(rng, CHECKS[0] as f64)),
            ProviderStatus::Failed if !is_sound => {
                self.mends_at = None;
                None
            }
            ProviderStatus::Failed => {
                let mends_at = self.mends_at.unwrap_or(at + HOUR * rng.i64(SET_UP));
                self.mends_at = Some(mends_at);
                Some(mends_at.max(at))
            }
            _ => Some((at + until_next(rng, CHECKS[1] as f64)).min((self.since + GRACE).max(at + 1))),
        }
    }

    fn look(&mut self, sky: &Sky, at: i64, rng: &mut Rng) {
        match self.status {
            ProviderStatus::Success if !finds(sky, rng) => self.turn(ProviderStatus::TemporaryFailure, at),
            ProviderStatus::Success => {}
            ProviderStatus::Failed => self.turn(ProviderStatus::Success, at),
            _ if at >= self.since + GRACE => self.turn(ProviderStatus::Failed, at),
            _ if finds(sky, rng) => self.turn(ProviderStatus::Success, at),
            _ => {}
        }
    }
}

/// Whether the provider finds the records: it asks one of the servers that answer.
fn finds(sky: &Sky, rng: &mut Rng) -> bool {
    let up: Vec<u8> = (0..sky.servers).filter(|server| sky.down & (1 << server) == 0).collect();
    let asked = rng.choice(&up);
    !sky.zone_fails() && asked.is_some_and(|&server| sky.stale[usize::from(server)] == 0)
}

/// The skies as the faults make them, where one differs from the one before.
fn changes(servers: u8, faults: &[Fault], end: i64) -> Vec<(i64, Sky)> {
    let mut times: Vec<i64> = faults.iter().flat_map(|fault| [fault.from, fault.until]).collect();
    times.sort_unstable();
    times.dedup();
    let (mut begun, mut under_way, mut published) = (0, Vec::<Fault>::new(), 0);
    let mut changes = Vec::new();
    for time in times.into_iter().filter(|time| *time < end) {
        let mut wanted = 0;
        while let Some(fault) = faults.get(begun).filter(|fault| fault.from <= time) {
            under_way.push(*fault);
            begun += 1;
        }
        under_way.retain(|fault| {
            let is_over = fault.until <= time;
            published += u8::from(is_over && fault.what == What::NewTokens);
            !is_over
        });
        let mut sky = Sky { published, ..Sky::clear(servers) };
        for fault in &under_way {
            match fault.what {
                What::ServerDown(server) => sky.down |= 1 << server,
                What::Stale(server, records) => sky.stale[usize::from(server)] |= records,
                What::ResolverDown(resolver) => sky.resolvers_down |= 1 << resolver,
                What::Offline => sky.offline = true,
                What::Unheard => sky.unheard = true,
                What::Lost(records) => sky.lost |= records,
                What::Wrong(records) => sky.wrong |= records,
                What::Moved => sky.moved = true,
                What::HostDown => sky.host_down = true,
                What::Bogus => sky.bogus = true,
                What::NewTokens => wanted += 1,
            }
        }
        sky.wanted = published + wanted;
        changes.push((time, sky));
    }
    changes
}
