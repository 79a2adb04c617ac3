//! [`Look`]: one look at one identity, from question to report.

use std::sync::Arc;

use jiff::Timestamp;

use super::Places;
use crate::identity::Identity;
use crate::judge::{Depth, Report};
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

    /// Takes one look. `seed` makes the random sibling name and, at [`Depth::Quick`], chooses the resolver.
    pub async fn take(&self, identity: Identity, depth: Depth, at: Timestamp, seed: u64) -> Report {
        let _ = (&self.dns, &self.places, seed);
        Report::without_identity(identity.id, at, depth, Vec::new())
    }
}
