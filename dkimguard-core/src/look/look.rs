//! [`Look`]: one look at one identity, from question to report.

use std::sync::Arc;

use jiff::Timestamp;

use super::Places;
use super::survey::{glance, survey};
use crate::identity::{Identity, ProviderStatus};
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
    pub async fn take(&self, mut identity: Identity, depth: Depth, at: Timestamp, seed: u64) -> Report {
        let expected = match identity.expected() {
            Ok(expected) => expected,
            Err(error) => {
                let detail = format!("a selector makes no DNS name: {error}");
                identity.status = ProviderStatus::Unknown;
                let gap = Gap { port: Port::IdentitySource, detail, transient: false };
                return Report::without_identity(identity.id, at, depth, vec![gap]);
            }
        };
        let dns = &*self.dns;
        let survey = match depth {
            Depth::Quick => glance(dns, &self.places, &expected, seed).await,
            Depth::Full => survey(dns, &self.places, identity.domain(), &expected, seed).await,
        };
        Report::judge(identity, expected, &survey, depth, at)
    }
}
