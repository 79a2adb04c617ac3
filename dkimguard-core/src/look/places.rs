//! [`Places`]: from where to look.

use super::Vantage;

/// From where to look.
#[derive(Clone, Debug)]
pub struct Places {
    /// The recursive resolvers. The delegation is found through them, and each is asked for each record.
    pub resolvers: Vec<Vantage>,
    /// Whether the name servers themselves are asked.
    pub authoritative: Authoritative,
}

/// Whether the name servers themselves are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authoritative {
    /// Every address of each delegated name server is asked on this port, 53 outside of labs.
    Ask {
        /// The port.
        port: u16,
    },
    /// None is asked: port 53 is closed on the way out. The report has a gap.
    Skip,
}
