//! [`Look`]: one look at one identity, from question to report.

use std::sync::Arc;

use jiff::Timestamp;

use super::premise::survey_supposing;
use super::survey::{glance, survey};
use super::{Places, Premise};
use crate::error::ParseNameError;
use crate::identity::Identity;
use crate::judge::{Depth, Gap, Port, Report};
use crate::ports::DnsLookup;

/// Looks at identities, from the same places.
#[derive(Clone, Debug)]
pub struct Look {
    dns: Arc<dyn DnsLookup>,
    places: Places,
}

impl Look {
    /// A look through this engine, from these places.
    pub fn new(dns: Arc<dyn DnsLookup>, places: Places) -> Self {
        Self { dns, places }
    }

    /// Takes one look. It changes nothing, and ends within the engine's own time limits.
    ///
    /// `seed` makes the random name beside the records and, at [`Depth::Quick`], chooses the resolver; give
    /// another for each look. At [`Depth::Full`] a healthy domain costs about five questions a record and place.
    pub async fn take(&self, identity: Identity, depth: Depth, at: Timestamp, seed: u64) -> Report {
        let expected = match identity.expected() {
            Ok(expected) => expected,
            Err(error) => return without_names(identity, &error, depth, at),
        };
        let dns = &*self.dns;
        let survey = match depth {
            Depth::Quick => glance(dns, &self.places, &expected, seed).await,
            Depth::Full => survey(dns, &self.places, identity.domain(), &expected, seed).await,
        };
        Report::judge(identity, expected, &survey, depth, at)
    }

    /// Takes one look at what would be so if the premise were: before a move, not after it.
    ///
    /// Only the servers of the premise are judged, and those that they refer to. What resolvers see and where the
    /// provider stands today isn't part of it, and the report has a gap for each. A zone that isn't served costs no
    /// question to anybody, unless it delegates the names of the records on.
    pub async fn take_supposing(
        &self,
        identity: Identity,
        premise: &Premise,
        at: Timestamp,
        seed: u64,
    ) -> Report {
        let expected = match identity.expected() {
            Ok(expected) => expected,
            Err(error) => return without_names(identity, &error, Depth::Full, at),
        };
        let domain = identity.domain();
        let survey = survey_supposing(&*self.dns, &self.places, premise, domain, &expected, seed).await;
        Report::judge(identity, expected, &survey, Depth::Full, at)
    }
}

/// The report on an identity whose selectors make no names.
fn without_names(identity: Identity, error: &ParseNameError, depth: Depth, at: Timestamp) -> Report {
    let detail = format!("a selector makes no DNS name: {error}");
    let gap = Gap { port: Port::IdentitySource, detail, transient: false };
    Report::without_identity(identity.id, at, depth, vec![gap])
}
