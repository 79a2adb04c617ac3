//! [`Gap`]: what could not be looked at.

use std::fmt;

use serde::Serialize;

/// Something that could not be looked at. It lowers certainty and is never read as an absence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Gap {
    /// Through which port it would have been seen.
    pub port: Port,
    /// What, why, and where it helps, what to do about it.
    pub detail: String,
    /// Whether it may heal by itself.
    pub transient: bool,
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.port, self.detail)
    }
}

/// The port through which something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Port {
    /// The mail provider.
    IdentitySource,
    /// DNS.
    DnsLookup,
    /// The zone's host.
    ZoneView,
    /// Who changed what.
    ChangeHistory,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::IdentitySource => "identity-source",
            Self::DnsLookup => "dns-lookup",
            Self::ZoneView => "zone-view",
            Self::ChangeHistory => "change-history",
        })
    }
}
