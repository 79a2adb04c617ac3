//! [`Change`]: who changed what, as a change history tells it.

use jiff::Timestamp;
use serde::Serialize;

use crate::name::Name;

/// What a change history is asked about. One topic is one question to it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Topic {
    /// What was done to a zone and its records.
    Zone {
        /// The host's id of the zone.
        id: String,
        /// Which kind of change is sought.
        sought: ZoneChange,
    },
    /// What was done to the delegation of a domain at its registrar.
    Delegation {
        /// The registered domain.
        domain: Name,
    },
    /// What was done to an identity at its mail provider.
    Identity {
        /// The domain.
        domain: Name,
        /// The region, where the provider has regions.
        region: Option<String>,
        /// Which kind of change is sought.
        sought: IdentityChange,
    },
}

/// The changes of a zone that explain something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ZoneChange {
    /// Records were written or deleted.
    Records,
    /// Signing was stopped, or a key of it.
    Signing,
}

/// The changes of an identity that explain something.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum IdentityChange {
    /// It was deleted; if it exists today, it was made anew.
    Deleted,
    /// Its DKIM was set up anew, which may change its tokens.
    SetUpAnew,
    /// Signing was switched on or off.
    SigningSwitched,
}

/// What a history tells of a topic.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The changes, the latest first.
    pub changes: Vec<Event>,
    /// Where the reading stopped before the end: how far it went, in words.
    pub bound: Option<String>,
}

/// One change, and what it was done to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Event {
    /// Who, when, with what.
    pub change: Change,
    /// What was done.
    pub effect: Effect,
}

/// What a change did.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Effect {
    /// Records were written.
    Records {
        /// The names whose records were created or replaced.
        written: Vec<Name>,
        /// The names whose records were deleted.
        deleted: Vec<Name>,
    },
    /// A zone was made.
    ZoneCreated,
    /// A zone was deleted.
    ZoneDeleted,
    /// Signing of a zone was switched off, or a key of it.
    SigningOfZoneStopped,
    /// A domain's name servers were replaced, or the domain was moved to another registrar or account.
    NameServersMoved {
        /// The domain.
        domain: Name,
    },
    /// An identity was made.
    IdentityCreated,
    /// An identity was deleted.
    IdentityDeleted,
    /// DKIM of an identity was set up anew.
    DkimSetUp {
        /// The tokens, where the history tells them.
        tokens: Vec<Name>,
    },
    /// Signing of an identity was switched on or off.
    SigningSwitched,
}

/// Who changed something, when, and with what.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Who: the last part of an ARN, a user's name.
    pub actor: String,
    /// Which call.
    pub action: String,
    /// With which tool, where the call names one: `Terraform`, `AWS console`.
    pub tool: Option<String>,
    /// Which history tells it: `CloudTrail us-east-1`.
    pub source: String,
    /// The event's id there.
    pub event_id: String,
}
