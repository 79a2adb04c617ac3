//! Alerts as a guard raises them: a domain in memory breaks, and heals.

// Each test binary uses its part of this module.
#![allow(dead_code)]

use std::sync::Arc;

use dkimguard_core::guard::{Alert, Memory, Policy};
use dkimguard_core::look::Vantage;
use dkimguard_core::testing::{FakeDns, World, easy_dkim_identity};
use dkimguard_core::{Depth, Look, Places};
use jiff::{SignedDuration, Timestamp};

/// The time of the first look.
pub(crate) const START: &str = "2026-11-24T02:00:00Z";

/// The alerts of one incident: `opened`, then `recovered`.
pub(crate) async fn incident() -> (Alert, Alert) {
    let dns = FakeDns::new(World::easy_dkim("example.com"));
    let dns = Arc::new(dns);
    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    let look = Look::new(dns.clone(), places);
    let start: Timestamp = START.parse().expect("it is a time");
    let (mut memory, mut raised) = (Memory::default(), Vec::new());
    for minute in 0..6 {
        dns.change(|world| match minute {
            0 => drop(world.remove("bbb._domainkey.example.com")),
            3 => drop(world.publish("bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com")),
            _ => {}
        });
        let at = start + SignedDuration::from_mins(2 * minute);
        let report = look.take(easy_dkim_identity("example.com"), Depth::Full, at, 1).await;
        let (next, alerts) = memory.advance(&report, &Policy::default());
        memory = next;
        raised.extend(alerts);
    }
    let [opened, recovered] = raised.try_into().expect("an incident opens and is over");
    (opened, recovered)
}

/// An error with its causes, in one line.
pub(crate) fn chain(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
