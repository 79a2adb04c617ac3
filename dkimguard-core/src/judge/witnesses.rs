//! [`Witnesses`]: who else can tell something, beside DNS and the provider.

use jiff::Timestamp;

use super::State;
use crate::history::Event;
use crate::look::Vantage;
use crate::name::Name;
use crate::zone::HostedZone;

/// What others tell, beside DNS and the provider. Each may be missing.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Witnesses {
    /// The zones that the DNS host holds.
    pub zones: Vec<HostedZone>,
    /// What was changed, the latest first.
    pub changes: Vec<Event>,
    /// How the records stood at earlier looks, in the order of time.
    pub past: Vec<PastState>,
    /// Selectors that the identity had before, whoever made them.
    pub earlier_selectors: Vec<Name>,
    /// Those of them that the provider surely made for this identity, and for no other: their records may be removed.
    /// A replica's are its parent's, and may be in use there.
    pub removable_selectors: Vec<Name>,
    /// When the provider's present status was first seen.
    pub status_first_seen: Option<Timestamp>,
    /// When the provider's notice was sent that it no longer finds the records.
    pub notice: Option<Timestamp>,
}

/// How a record stood at a vantage point at an earlier look.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PastState {
    /// When.
    pub at: Timestamp,
    /// Which record.
    pub record: Name,
    /// Where.
    pub vantage: Vantage,
    /// How it stood.
    pub state: State,
}
