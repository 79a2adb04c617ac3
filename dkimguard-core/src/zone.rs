//! [`HostedZone`]: a zone as its host holds it, delegated or not; [`Zone`]: the records of one, as a server has them.

mod answer;
mod records;

pub(crate) use answer::answer;
pub use records::Zone;
#[cfg(all(test, feature = "testing"))]
pub(crate) use {answer::MAX_ALIASES, records::DS};

use crate::name::Name;
use crate::record::Record;

/// A zone as a DNS host holds it. Whether the world is sent there is another question: the parent decides.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostedZone {
    /// The host's own id of the zone: `Z0123456789ABCDEFGHIJ`.
    pub id: String,
    /// The host, as people call it: `Route 53`.
    pub host: String,
    /// The zone.
    pub name: Name,
    /// Who can see it.
    pub visibility: Visibility,
    /// The name servers that the host has assigned to it; none for a private zone.
    pub servers: Vec<Name>,
    /// The records at the names that were asked for and below them, others left out.
    pub records: Vec<Record>,
}

/// Who can see a hosted zone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Visibility {
    /// Everybody, once it is delegated.
    Public,
    /// Only the networks that it is attached to.
    Private,
}

impl HostedZone {
    /// The records of this name.
    pub fn at<'a>(&'a self, name: &'a Name) -> impl Iterator<Item = &'a Record> {
        self.records.iter().filter(move |record| record.name == *name)
    }

    /// Whether these are the servers that the host has assigned to the zone, in whatever order.
    pub fn is_served_by(&self, servers: &[Name]) -> bool {
        !self.servers.is_empty()
            && self.servers.len() == servers.len()
            && self.servers.iter().all(|server| servers.contains(server))
    }
}
