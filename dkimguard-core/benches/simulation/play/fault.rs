//! What goes wrong, how often and for how long: the one table of distributions.

use fastrand::Rng;

use super::chance::{MINUTE, YEAR, lasting, until_next};
use super::sky::{ALL_RECORDS, RECORDS, RESOLVERS};

/// How many questions of a look are lost for good: of 20,000 one survives the engine's second attempt unanswered, or as
/// SERVFAIL. It is drawn for each look, so it has no duration.
pub(crate) const LOST_QUESTION: f64 = 1.0 / 20_000.0;
/// How many questions a look asks at each place about the records: CNAME and TXT for each.
pub(crate) const QUESTIONS: u8 = 2 * RECORDS;

/// What is wrong from one time until another, in seconds.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fault {
    pub(crate) from: i64,
    pub(crate) until: i64,
    pub(crate) what: What,
}

/// What is wrong. Servers and resolvers by number, records as bits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum What {
    /// The server answers nothing.
    ServerDown(u8),
    /// The server's copy of the zone lacks these records.
    Stale(u8, u8),
    /// The resolver answers nothing.
    ResolverDown(u8),
    /// The guard's own network is cut off.
    Offline,
    /// The provider throttles, or can't be reached.
    Unheard,
    /// The zone lacks these records.
    Lost(u8),
    /// These records have another target.
    Wrong(u8),
    /// The domain is delegated to another host, which holds the zone without the records.
    Moved,
    /// The host of all the domain's servers is down.
    HostDown,
    /// DNSSEC validation fails.
    Bogus,
    /// The provider wants other tokens than are published.
    NewTokens,
}

/// Of what there are how many.
#[derive(Clone, Copy)]
enum Of {
    Domain,
    Server,
    Resolver,
}

/// One line of the table.
struct Row {
    what: fn(&mut Rng, u8) -> What,
    of: Of,
    /// How often a year, of each.
    per_year: f64,
    /// The median of its duration.
    minutes: f64,
    /// The standard deviation of the duration's logarithm: 1 is a factor of 2.7 either way, 1.5 one of 4.5.
    spread: f64,
}

/// What passes or doesn't, by its duration; and what is always an incident. Durations are lognormal, times between
/// faults exponential. Rates are higher than most domains ever see: the more faults, the more that can go wrong here.
#[rustfmt::skip]
const TABLE: &[Row] = &[
    // Passing, most of them.
    Row { what: |_, server| What::ServerDown(server), of: Of::Server, per_year: 3.0, minutes: 8.0, spread: 1.5 },
    Row { what: |rng, _| What::Stale(rng.u8(0..4), some(rng)), of: Of::Domain, per_year: 12.0, minutes: 2.0, spread: 1.0 },
    Row { what: |_, resolver| What::ResolverDown(resolver), of: Of::Resolver, per_year: 6.0, minutes: 10.0, spread: 1.5 },
    Row { what: |_, _| What::Offline, of: Of::Domain, per_year: 4.0, minutes: 10.0, spread: 1.5 },
    Row { what: |_, _| What::Unheard, of: Of::Domain, per_year: 12.0, minutes: 5.0, spread: 1.3 },
    // Incidents.
    Row { what: |_, _| What::Lost(ALL_RECORDS), of: Of::Domain, per_year: 0.1, minutes: 1440.0, spread: 1.2 },
    Row { what: |rng, _| What::Lost(one(rng)), of: Of::Domain, per_year: 0.1, minutes: 1440.0, spread: 1.2 },
    Row { what: |rng, _| What::Wrong(one(rng)), of: Of::Domain, per_year: 0.05, minutes: 1440.0, spread: 1.2 },
    Row { what: |_, _| What::Moved, of: Of::Domain, per_year: 0.05, minutes: 2880.0, spread: 1.0 },
    Row { what: |rng, _| What::Stale(rng.u8(0..4), some(rng)), of: Of::Domain, per_year: 0.1, minutes: 2880.0, spread: 1.0 },
    Row { what: |_, _| What::HostDown, of: Of::Domain, per_year: 0.1, minutes: 180.0, spread: 1.0 },
    Row { what: |_, _| What::Bogus, of: Of::Domain, per_year: 0.05, minutes: 720.0, spread: 1.0 },
    Row { what: |_, _| What::NewTokens, of: Of::Domain, per_year: 0.05, minutes: 720.0, spread: 1.0 },
];

/// How often a year a domain has a server that comes and goes, or that lacks records every now and then, and for how
/// many minutes that lasts.
const FLAPPING: (f64, f64, f64) = (0.1, 2880.0, 0.5);
/// For how many minutes such a server is bad, and then well.
const FLAPS: [(f64, f64); 2] = [(5.0, 0.5), (15.0, 0.5)];

/// All that goes wrong with a domain of so many servers.
pub(crate) fn draw(rng: &mut Rng, servers: u8, end: i64) -> Vec<Fault> {
    let mut faults = Vec::new();
    for row in TABLE {
        let count = match row.of {
            Of::Domain => 1,
            Of::Server => servers,
            Of::Resolver => RESOLVERS,
        };
        for number in 0..count {
            let mut from = until_next(rng, YEAR as f64 / row.per_year);
            while from < end {
                let until = from + lasting(rng, row.minutes, row.spread);
                let what = match (row.what)(rng, number) {
                    What::Stale(server, records) => What::Stale(server % servers, records),
                    what => what,
                };
                faults.push(Fault { from, until, what });
                from = until + until_next(rng, YEAR as f64 / row.per_year);
            }
        }
    }
    let (per_year, minutes, spread) = FLAPPING;
    let mut from = until_next(rng, YEAR as f64 / per_year);
    while from < end {
        let until = from + lasting(rng, minutes, spread);
        let server = rng.u8(0..servers);
        let what = if rng.bool() { What::ServerDown(server) } else { What::Stale(server, some(rng)) };
        let mut at = from;
        while at < until {
            let [down, up] = FLAPS.map(|(minutes, spread)| lasting(rng, minutes, spread).max(MINUTE));
            faults.push(Fault { from: at, until: at + down, what });
            at += down + up;
        }
        from = until + until_next(rng, YEAR as f64 / per_year);
    }
    faults.sort_by_key(|fault| fault.from);
    faults
}

/// One record.
fn one(rng: &mut Rng) -> u8 {
    1 << rng.u8(0..RECORDS)
}

/// One record, or all.
fn some(rng: &mut Rng) -> u8 {
    if rng.bool() { ALL_RECORDS } else { one(rng) }
}
