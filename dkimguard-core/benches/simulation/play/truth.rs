//! The ground truth: what warrants an alert, from which moment on, and when one is due. It is read off the timeline and
//! knows of no look. Each number stands here with its reason, and none was chosen by what the guard does with it.

use std::collections::BTreeMap;
use std::fmt;

use dkimguard_core::identity::ProviderStatus;

use super::chance::{DAY, HOUR, MINUTE};
use super::sky::Sky;
use super::timeline::Timeline;

/// A server that is bad for ten minutes is degraded, and a warning is right; what is shorter passes, and any alert is
/// false: servers restart, and zones take their time to reach the last of them.
const DEGRADED: i64 = 10 * MINUTE;
/// What no server gives for a minute is a critical incident, not a passing fault: no retry at another server helps, every
/// validator fails, and the provider may look at any moment.
const FAILING: i64 = MINUTE;
/// Blind for an hour is an incident: for shorter, the last verdict is still a good guess.
const BLIND: i64 = HOUR;
/// What is bad again within five minutes wasn't mended in between.
const JOINED: i64 = 5 * MINUTE;
/// A glimpse between two looks isn't sight: the guard promises a look every interval, with its jitter.
const INTERVAL: i64 = 15 * MINUTE + 90;
/// Three times within a day, for a minute each, is no coincidence any more: the server comes and goes.
const FLAPS: usize = 3;
const FLAP: i64 = MINUTE;
/// What a warning about a server that comes and goes may take. It is bad for a quarter of the time, so a look meets it
/// that often, and three times are needed.
const FLAPPING_DUE: i64 = 12 * HOUR;

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
    BlindNetwork,
    BlindResolvers,
    BlindProvider,
}

impl Kind {
    pub(crate) fn concern(self) -> Concern {
        match self {
            Self::ServerDown | Self::ServerStale | Self::Behind | Self::Flapping => Concern::Warning,
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
    /// From when on an alert is right.
    pub(crate) right_from: i64,
    /// Whether an alert must come: it is visible from here for long enough in one piece.
    pub(crate) is_due: bool,
}

/// What a guard that works as promised takes at most until it tells.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Promise {
    /// Until it has looked at every place, in seconds: the interval, or where the domain is one of many, six hours and
    /// an interval.
    pub(crate) look: i64,
    /// What a server that comes and goes may take beyond [`FLAPPING_DUE`].
    pub(crate) flapping: i64,
}

impl Promise {
    pub(crate) const FEW: Self = Self { look: INTERVAL, flapping: 0 };
    pub(crate) const MANY: Self = Self { look: 6 * HOUR + INTERVAL, flapping: DAY };

    /// What is visible for so long in one piece must be told. A minute is for looks to confirm each other, and one for
    /// what a single lost question may cost.
    fn due(self, concern: Concern) -> i64 {
        2 * MINUTE
            + match concern {
                Concern::Critical => self.look + FAILING,
                Concern::Warning => self.look + DEGRADED,
                Concern::Blind => INTERVAL + BLIND,
            }
    }
}

/// All that warrants an alert in a domain's life.
#[derive(Debug)]
pub(crate) struct Truth {
    pub(crate) stretches: Vec<Stretch>,
    /// When a server goes bad for the third time within a day, and until when that is so.
    flaps: Vec<(i64, i64)>,
    /// When the provider lost the identity, and until when.
    pub(crate) lost_at_provider: Vec<(i64, i64)>,
}

impl Truth {
    pub(crate) fn of(timeline: &Timeline, promise: Promise) -> Self {
        let unseen: Vec<(i64, i64)> = joined(timeline, 0, |sky| {
            (blind_by(sky).is_some() || sky.unheard).then_some(Kind::BlindProvider)
        })
        .into_iter()
        .map(|(_, from, until)| (from, until))
        .collect();
        let mut stretches = Vec::new();
        let mut add = |gap: i64, lasts: i64, is: &dyn Fn(&Sky) -> Option<Kind>| {
            let pieces = joined(timeline, 0, is);
            stretches.extend(joined(timeline, gap, is).into_iter().map(|(kind, from, until)| {
                let concern = kind.concern();
                // What was well in between may have been seen so, however shortly.
                let within = pieces.iter().filter(|(_, begin, end)| from <= *begin && *end <= until);
                let longest = within.map(|&(_, begin, end)| match concern {
                    Concern::Blind => end - begin,
                    _ => longest_piece(begin, end, &unseen),
                });
                let is_due = longest.max().is_some_and(|longest| longest >= promise.due(concern));
                Stretch { kind, from, until, right_from: from + lasts, is_due }
            }));
        };
        add(JOINED, FAILING, &critical_by);
        let servers = timeline.skies.first().map_or(0, |(_, sky)| sky.servers);
        let mut flaps = Vec::new();
        for server in 0..servers {
            let bad = |sky: &Sky| {
                let kind = if sky.down & (1 << server) != 0 { Kind::ServerDown } else { Kind::ServerStale };
                (sky.is_bad(server) && !sky.host_down).then_some(kind)
            };
            add(JOINED, DEGRADED, &bad);
            let spells: Vec<i64> = joined(timeline, 0, |sky| sky.is_bad(server).then_some(Kind::ServerDown))
                .into_iter()
                .filter(|(_, from, until)| until - from >= FLAP)
                .map(|(_, from, _)| from)
                .collect();
            let often = spells.windows(FLAPS).filter(|window| window[FLAPS - 1] - window[0] <= DAY);
            flaps.extend(often.map(|window| (window[FLAPS - 1] + FLAP, window[0] + DAY)));
        }
        add(JOINED, DEGRADED, &|sky: &Sky| is_behind(sky).then_some(Kind::Behind));
        add(INTERVAL, BLIND, &blind_by);
        for flapping in &timeline.flapping {
            let within = |at: i64| at >= flapping.from && at < flapping.until;
            let Some(&(from, _)) = flaps.iter().find(|(from, _)| within(*from)) else { continue };
            let until = flapping.until.min(timeline.end);
            let is_due = longest_piece(from, until, &unseen) >= FLAPPING_DUE + promise.flapping;
            stretches.push(Stretch { kind: Kind::Flapping, from, until, right_from: from, is_due });
        }
        stretches.sort_by_key(|stretch| stretch.from);
        let lost = joined(timeline, 0, |sky| {
            (sky.status == ProviderStatus::TemporaryFailure).then_some(Kind::Provider)
        });
        let lost_at_provider = lost.into_iter().map(|(_, from, until)| (from, until)).collect();
        Self { stretches, flaps, lost_at_provider }
    }

    /// Whether an alert of this sort is right at this time. What is critical warrants a warning too.
    pub(crate) fn warrants(&self, concern: Concern, at: f64, sky: &Sky) -> bool {
        let is_told = is_lost(sky) && concern != Concern::Blind;
        let flaps = || self.flaps.iter().any(|&(from, until)| from as f64 <= at && at <= until as f64);
        let lasts = || {
            self.stretches.iter().any(|stretch| {
                let is_meant = match concern {
                    Concern::Warning => stretch.kind.concern() != Concern::Blind,
                    _ => stretch.kind.concern() == concern,
                };
                is_meant && stretch.right_from as f64 <= at && at < stretch.until as f64
            })
        };
        is_told || lasts() || (concern == Concern::Warning && flaps())
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

/// Blind: nothing can be seen from here, no resolver confirms what is seen, or all that is seen is well and whether the
/// provider signs isn't known.
fn blind_by(sky: &Sky) -> Option<Kind> {
    let no_resolver = sky.resolvers_down == 0b111;
    let is_wrong = sky.dns_fails() || sky.any_server_bad();
    if sky.offline {
        Some(Kind::BlindNetwork)
    } else if no_resolver {
        Some(Kind::BlindResolvers)
    } else if sky.unheard && !is_wrong {
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

/// The longest piece of a stretch in which it can be seen.
fn longest_piece(from: i64, until: i64, unseen: &[(i64, i64)]) -> i64 {
    let mut at = from;
    let mut longest = 0;
    let first = unseen.partition_point(|(_, end)| *end <= from);
    for &(begin, end) in unseen[first..].iter().take_while(|(begin, _)| *begin < until) {
        longest = longest.max(begin - at);
        at = end;
    }
    longest.max(until - at)
}

/// How many of each kind, for counting.
pub(crate) type PerKind<T> = BTreeMap<Kind, T>;
