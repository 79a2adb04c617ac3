//! [`Verdict`]: what the evidence comes to.

use std::fmt;

use serde::Serialize;

/// What a look comes to. The order is that of the worst: failing, degraded, unknown, healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Verdict {
    /// Every required record holds at every server that was asked, and through at least one resolver.
    Healthy,
    /// Too little was seen to say.
    Unknown,
    /// A validator may fail by chance.
    Degraded,
    /// A validator fails, or the provider has given the identity up.
    Failing,
}

impl Verdict {
    /// The verdict in the JSON: `healthy`, `unknown`, `degraded`, `failing`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Healthy => "healthy",
            Self::Unknown => "unknown",
            Self::Degraded => "degraded",
            Self::Failing => "failing",
        }
    }
}

impl fmt::Display for Verdict {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Of the addresses that a validator may be sent to, how many would fail it at least one required record now.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize)]
pub struct Exposure {
    /// Those that would.
    pub bad: usize,
    /// All that were looked at; a server name without an address counts as one.
    pub of: usize,
}
