//! The ground truth: what is an incident, and from which moment on an alert is right. It is read off the timeline, knows
//! of no look and of no guard, and follows the design and the catalogue of causes:
//!
//! - critical: some record is given by no server, for a minute without a break; or the provider says that it doesn't find
//!   the records, however shortly;
//! - degraded: one server is bad for ten minutes without a break of a minute or more;
//! - flapping: what a server answers about a record changes three times within a day, however shortly each time; silence is
//!   no answer. A server is flapping too that is bad in whatever way three times within a day, silence counting from a
//!   minute on. Two silences within a day are a server's maintenance; the catalogue's letter would count them, and so
//!   they are counted apart;
//! - cached: every server holds a record, and a resolver keeps its absence for an hour;
//! - blind: nothing can be known for an hour.
//!
//! All else passes, and any alert about it is false.

use std::collections::BTreeMap;
use std::fmt;

use dkimguard_core::identity::ProviderStatus;
use dkimguard_core::judge::State;

use super::chance::{DAY, HOUR, MINUTE};
use super::sky::{RECORDS, Sky};
use super::timeline::Timeline;

/// Servers restart, and zones take their time to reach the last of them.
const DEGRADED: i64 = 10 * MINUTE;
/// A shorter break is none: whoever looks each minute doesn't see it.
const BREAK: i64 = MINUTE;
/// No retry at another server helps, every validator fails, and the provider may look at any moment; but the design takes
/// what is over within a minute for passing.
const FAILING: i64 = MINUTE;
/// For shorter, the last verdict is still a good guess.
const BLIND: i64 = HOUR;
/// Blindness is of whoever looks: sight between two looks, once in so long, ends none.
pub(crate) const INTERVAL: i64 = 15 * MINUTE + 90;
/// How many changes, or how many spells, within a day.
const FLAPS: usize = 3;
/// Silence for less may be questions that got lost.
const SILENCE: i64 = MINUTE;

/// What is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Kind {
    Deleted,
    OneLost,
    WrongTarget,
    Moved,
    HostDown,
    Bogus,
    NewTokens,
    NoServer,
    Provider,
    ServerDown,
    ServerStale,
    Behind,
    Flapping,
    Changing,
    BlindNetwork,
    BlindResolvers,
    BlindProvider,
}

impl Kind {
    pub(crate) fn concern(self) -> Concern {
        match self {
            Self::ServerDown | Self::ServerStale | Self::Behind | Self::Flapping | Self::Changing => {
                Concern::Warning
            }
            Self::BlindNetwork | Self::BlindResolvers | Self::BlindProvider => Concern::Blind,
            _ => Concern::Critical,
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Deleted => "records deleted",
            Self::OneLost => "one record lost",
            Self::WrongTarget => "wrong target",
            Self::Moved => "name servers moved",
            Self::HostDown => "all servers down",
            Self::Bogus => "DNSSEC bogus",
            Self::NewTokens => "tokens changed",
            Self::NoServer => "no server gives a record",
            Self::Provider => "lost at the provider",
            Self::ServerDown => "one server down",
            Self::ServerStale => "one server stale",
            Self::Behind => "provider behind",
            Self::Flapping => "a server comes and goes",
            Self::Changing => "answers come and go",
            Self::BlindNetwork => "blind: own network",
            Self::BlindResolvers => "blind: resolvers",
            Self::BlindProvider => "blind: provider",
        })
    }
}

/// What sort of alert is warranted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) enum Concern {
    Warning,
    Critical,
    Blind,
}

/// Something that is wrong from one time until another.
#[derive(Clone, Debug)]
pub(crate) struct Stretch {
    pub(crate) kind: Kind,
    pub(crate) from: i64,
    pub(crate) until: i64,
    /// For how long it must last until an alert is right.
    pub(crate) lasts: i64,
    /// The server, where it is one's.
    pub(crate) server: Option<u8>,
    /// The last change, where it is about changes.
    pub(crate) last_change: i64,
}

impl Stretch {
    /// Whether whoever looks under this sky may see it.
    pub(crate) fn is_visible(&self, sky: &Sky) -> bool {
        match self.kind {
            Kind::BlindNetwork | Kind::BlindResolvers | Kind::BlindProvider => true,
            Kind::Provider | Kind::Behind => !sky.offline && !sky.unheard,
            _ => !sky.offline && sky.resolvers_down != 0b111,
        }
    }

    pub(crate) fn is_about_changes(&self) -> bool {
        matches!(self.kind, Kind::Flapping | Kind::Changing)
    }

    /// Whether one resolver shows it, so that no look at each server is needed.
    pub(crate) fn is_plain(&self) -> bool {
        self.kind.concern() != Concern::Warning || self.kind == Kind::Behind
    }
}

/// All that warrants an alert in a domain's life.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) stretches: Vec<Stretch>,
    /// When the provider lost the identity, and until when.
    pub(crate) lost_at_provider: Vec<(i64, i64)>,
    /// Two silences of a server within a day, which the catalogue's letter calls flapping.
    pub(crate) flapping_by_letter: u64,
}

impl Truth {
    pub(crate) fn of(timeline: &Timeline) -> Self {
        let mut stretches = Vec::new();
        let mut add = |gap: i64, lasts: i64, server: Option<u8>, is: &dyn Fn(&Sky) -> Option<Kind>| {
            for (kind, from, until) in joined(timeline, gap, is) {
                // The provider's word needs no time.
                let lasts = if kind == Kind::Provider { 0 } else { lasts };
                if until - from >= lasts {
                    stretches.push(Stretch { kind, from, until, lasts, server, last_change: from });
                }
            }
        };
        add(0, FAILING, None, &critical_by);
        add(0, DEGRADED, None, &|sky: &Sky| is_behind(sky).then_some(Kind::Behind));
        add(INTERVAL, BLIND, None, &blind_by);
        let servers = timeline.skies.first().map_or(0, |(_, sky)| sky.servers);
        for server in 0..servers {
            add(BREAK - 1, DEGRADED, Some(server), &|sky: &Sky| {
                let kind = if sky.down & (1 << server) != 0 { Kind::ServerDown } else { Kind::ServerStale };
                (sky.is_bad(server) && !sky.host_down).then_some(kind)
            });
        }
        let mut flapping_by_letter = 0;
        for server in 0..servers {
            let mut windows = Vec::new();
            let mut by_letter = Vec::new();
            for record in 0..RECORDS {
                let mut course = Course::default();
                for (from, until, sky) in timeline.spans().filter(|(from, until, _)| until > from) {
                    if let Some(state) = sky.state(server, record) {
                        course.add(state, sky.wanted, from, until);
                    }
                }
                windows.extend(course.windows());
                by_letter.extend(course.windows_by_letter());
            }
            let flapping = merged(windows);
            let is_apart = |letter: &&Window| {
                flapping.iter().all(|window| letter.until < window.from || window.until < letter.from)
            };
            flapping_by_letter += merged(by_letter).iter().filter(is_apart).count() as u64;
            stretches.extend(flapping.into_iter().map(|window| Stretch {
                kind: if window.is_answers { Kind::Changing } else { Kind::Flapping },
                from: window.from,
                until: window.until,
                lasts: 0,
                server: Some(server),
                last_change: window.last_change,
            }));
        }
        stretches.sort_by_key(|stretch| stretch.from);
        let lost = joined(timeline, 0, |sky| {
            (sky.status == ProviderStatus::TemporaryFailure).then_some(Kind::Provider)
        });
        let lost_at_provider = lost.into_iter().map(|(_, from, until)| (from, until)).collect();
        Self { stretches, lost_at_provider, flapping_by_letter }
    }

    /// Whether an alert of this sort is right at this time. What is critical warrants a warning too.
    pub(crate) fn warrants(&self, concern: Concern, at: f64, sky: &Sky) -> bool {
        let is_told = is_lost(sky) && concern != Concern::Blind;
        is_told
            || self.stretches.iter().any(|stretch| {
                let is_meant = match concern {
                    Concern::Warning => stretch.kind.concern() != Concern::Blind,
                    _ => stretch.kind.concern() == concern,
                };
                let right_from = stretch.from + stretch.lasts;
                is_meant && right_from as f64 <= at && at <= stretch.until as f64
            })
    }

    /// Whether nothing can be known under this sky.
    pub(crate) fn is_blind(sky: &Sky) -> bool {
        blind_by(sky).is_some()
    }

    /// Whether it is wrong to say that all is well again.
    pub(crate) fn is_bad(sky: &Sky) -> bool {
        critical_by(sky).is_some() || sky.any_server_bad()
    }
}

fn is_lost(sky: &Sky) -> bool {
    matches!(sky.status, ProviderStatus::TemporaryFailure | ProviderStatus::Failed)
}

/// Critical: some record is given by no server, or the provider has stopped signing. Nothing less is: while one server
/// answers rightly, mail is verified by chance.
fn critical_by(sky: &Sky) -> Option<Kind> {
    let kind = if sky.moved {
        Kind::Moved
    } else if sky.wanted != sky.published {
        Kind::NewTokens
    } else if sky.bogus {
        Kind::Bogus
    } else if sky.lost == super::sky::ALL_RECORDS {
        Kind::Deleted
    } else if sky.lost != 0 {
        Kind::OneLost
    } else if sky.wrong != 0 {
        Kind::WrongTarget
    } else if sky.host_down {
        Kind::HostDown
    } else if sky.dns_fails() {
        Kind::NoServer
    } else if is_lost(sky) {
        Kind::Provider
    } else {
        return None;
    };
    Some(kind)
}

/// The records are there, and the provider hasn't found them after a new set-up: mail isn't signed.
fn is_behind(sky: &Sky) -> bool {
    sky.status == ProviderStatus::Pending && critical_by(sky).is_none()
}

/// Blind: nothing can be seen from here, no resolver confirms what is seen, or no record fails and whether the provider
/// signs isn't known.
fn blind_by(sky: &Sky) -> Option<Kind> {
    let no_resolver = sky.resolvers_down == 0b111;
    if sky.offline {
        Some(Kind::BlindNetwork)
    } else if no_resolver {
        Some(Kind::BlindResolvers)
    } else if sky.unheard && !sky.dns_fails() {
        Some(Kind::BlindProvider)
    } else {
        None
    }
}

/// When something is so; what is so again within `gap` seconds was so throughout. The kind is the first.
fn joined(timeline: &Timeline, gap: i64, is: impl Fn(&Sky) -> Option<Kind>) -> Vec<(Kind, i64, i64)> {
    let mut found: Vec<(Kind, i64, i64)> = Vec::new();
    for (from, until, sky) in timeline.spans().filter(|(from, until, _)| until > from) {
        let Some(kind) = is(sky) else { continue };
        match found.last_mut() {
            Some((_, _, last)) if from - *last <= gap => *last = until,
            _ => found.push((kind, from, until)),
        }
    }
    found
}

/// When something changed three times within a day, from the third time on.
#[derive(Clone, Copy, Debug)]
struct Window {
    from: i64,
    until: i64,
    last_change: i64,
    /// Whether it is answers that changed.
    is_answers: bool,
}

/// The windows in the order of time, those that overlap as one.
fn merged(mut windows: Vec<Window>) -> Vec<Window> {
    windows.sort_by_key(|window| window.from);
    let mut merged: Vec<Window> = Vec::new();
    for window in windows {
        match merged.last_mut() {
            Some(last) if window.from <= last.until => {
                last.until = last.until.max(window.until);
                last.last_change = last.last_change.max(window.last_change);
                last.is_answers |= window.is_answers;
            }
            _ => merged.push(window),
        }
    }
    merged
}

/// How a record stood at a server, as far as that changed: what is answered, when spells of any fault began and ended,
/// and every change of state, silence included.
#[derive(Debug, Default)]
pub(crate) struct Course {
    generation: u8,
    /// How it stands, and how it was last answered, until when.
    state: Option<(State, i64)>,
    answer: Option<(State, i64)>,
    /// Between which times it changed; they are one where every moment is known.
    answers: Vec<(i64, i64)>,
    states: Vec<(i64, i64)>,
    spells: Vec<Spell>,
}

/// From when until when a record was bad at a server, and whether that was answered.
#[derive(Debug)]
struct Spell {
    from: i64,
    until: i64,
    is_answered: bool,
}

impl Course {
    /// Adds how it stood next, from one time until another.
    pub(crate) fn add(&mut self, state: State, generation: u8, from: i64, until: i64) {
        if generation != self.generation {
            // Other records: they have changed in nothing yet.
            (self.generation, self.state, self.answer) = (generation, None, None);
        }
        self.states.extend(self.state.filter(|&(before, _)| before != state).map(|(_, last)| (last, from)));
        if state != State::Unseen {
            self.answers
                .extend(self.answer.filter(|&(before, _)| before != state).map(|(_, last)| (last, from)));
            self.answer = Some((state, until));
        }
        if state != State::Holds {
            match self.spells.last_mut() {
                Some(spell) if self.state.is_some_and(|(before, _)| before != State::Holds) => {
                    spell.until = until;
                    spell.is_answered |= state != State::Unseen;
                }
                _ => self.spells.push(Spell { from, until, is_answered: state != State::Unseen }),
            }
        }
        self.state = Some((state, until));
    }

    pub(crate) fn is_new(&self) -> bool {
        self.state.is_none()
    }

    pub(crate) fn is_flapping(&self) -> bool {
        self.windows().next().is_some()
    }

    fn windows(&self) -> impl Iterator<Item = Window> {
        let counts = |spell: &&Spell| spell.is_answered || spell.until - spell.from >= SILENCE;
        let spells: Vec<&Spell> = self.spells.iter().filter(counts).collect();
        let times = |of: &[&Spell]| (of[0].until, of[FLAPS - 1].from, false);
        let spells: Vec<_> = spells.windows(FLAPS).map(times).collect();
        let changes = self.answers.windows(FLAPS).map(|of| (of[0].0, of[FLAPS - 1].1, true));
        within_a_day(spells.into_iter().chain(changes))
    }

    fn windows_by_letter(&self) -> impl Iterator<Item = Window> {
        within_a_day(self.states.windows(FLAPS).map(|of| (of[0].0, of[FLAPS - 1].1, false)))
    }
}

/// The windows that these first and third times make.
fn within_a_day(times: impl Iterator<Item = (i64, i64, bool)>) -> impl Iterator<Item = Window> {
    times.filter(|(first, third, _)| third - first <= DAY).map(|(first, third, is_answers)| Window {
        from: third,
        until: first + DAY,
        last_change: third,
        is_answers,
    })
}

/// How many of each kind, for counting.
pub(crate) type PerKind<T> = BTreeMap<Kind, T>;
