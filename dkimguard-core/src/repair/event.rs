//! [`Event`]: what happens in a repair, as it happens.

use std::fmt;

use jiff::Timestamp;
use serde::Serialize;
use serde::ser::{SerializeMap, Serializer};

use super::{Edit, Refusal, RepairPlan};
use crate::identity::{Identity, ProviderStatus};
use crate::judge::Report;
use crate::look::Vantage;
use crate::ports::Published;

/// What happens in a repair. [`fmt::Display`] is a line or some for people; as JSON it is what stands beside `schema`,
/// `event` and `at`.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// This is to be published.
    Planned(RepairPlan),
    /// It is published.
    Published {
        /// What.
        plan: RepairPlan,
        /// What the host says.
        published: Published,
    },
    /// The host says that all of its servers have it.
    InSync,
    /// Every name server and resolver was asked, and the records hold.
    Verified {
        /// The verdict's reason in one line.
        summary: String,
    },
    /// The provider is about to be asked to start again.
    Rearming,
    /// The provider was asked to start again.
    Rearmed {
        /// The identity as it is now.
        identity: Box<Identity>,
        /// Whether the provider now wants other records.
        has_changed: bool,
    },
    /// Something is waited for.
    Waiting(Waiting),
    /// The records hold everywhere, and the provider has seen them.
    Done,
    /// Nothing is done, for this reason.
    Refused(Refusal),
    /// A port failed, and waiting doesn't help.
    Failed(String),
}

/// What is waited for.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Waiting {
    /// These name servers don't answer rightly yet.
    Servers {
        /// Which.
        servers: Vec<Vantage>,
    },
    /// These resolvers don't show the records yet.
    Resolvers {
        /// Which.
        resolvers: Vec<Vantage>,
        /// When what they have kept is over, where they say so.
        until: Option<Timestamp>,
    },
    /// The provider is to look by itself.
    Provider {
        /// What it says now.
        status: ProviderStatus,
        /// Until when it must have looked.
        deadline: Option<Timestamp>,
    },
    /// Somebody must ask the provider to start again.
    Rearm,
    /// Too little could be seen to decide, for a reason that may pass; it is looked at again.
    Look(Refusal),
    /// A port failed, and it is gone on all the same, after a while: why.
    Port(String),
}

impl Event {
    /// The event in the JSON: `plan`, `published`, `in-sync`, `verified`, `rearming`, `rearmed`, `waiting`, `done`, `refused`,
    /// `error`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Planned(_) => "plan",
            Self::Published { .. } => "published",
            Self::InSync => "in-sync",
            Self::Verified { .. } => "verified",
            Self::Rearming => "rearming",
            Self::Rearmed { .. } => "rearmed",
            Self::Waiting(_) => "waiting",
            Self::Done => "done",
            Self::Refused(_) => "refused",
            Self::Failed(_) => "error",
        }
    }
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Planned(plan) => plan.fmt(f),
            Self::Published { published, .. } => match &published.change {
                Some(change) => write!(f, "Published, as change {change}."),
                None => f.write_str("The zone is already as the plan makes it."),
            },
            Self::InSync => f.write_str("The host's name servers all have it."),
            Self::Verified { summary } => write!(f, "Verified: {summary}."),
            Self::Rearming => f.write_str("Asking the provider to start again."),
            Self::Rearmed { identity, has_changed } => {
                write!(f, "The provider starts again, and says {}.", identity.status)?;
                if *has_changed { f.write_str(" It wants other records than before.") } else { Ok(()) }
            }
            Self::Waiting(waiting) => waiting.fmt(f),
            Self::Done => f.write_str("Done: the records hold everywhere, and the provider has seen them."),
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Failed(what) => f.write_str(what),
        }
    }
}

impl fmt::Display for Waiting {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Servers { servers } => write!(f, "Waiting for {}.", places(servers)),
            Self::Resolvers { resolvers, until: Some(until) } => {
                write!(f, "Waiting for what {} has kept to be over, at {until:.0}.", places(resolvers))
            }
            Self::Resolvers { resolvers, until: None } => write!(f, "Waiting for {}.", places(resolvers)),
            Self::Provider { status, deadline: Some(deadline) } => write!(
                f,
                "Waiting for the provider to look, which it does by itself; it says {status}, and must have looked by \
                 {deadline:.0}."
            ),
            Self::Provider { status, deadline: None } => {
                write!(f, "Waiting for the provider to look, which it does by itself; it says {status}.")
            }
            Self::Rearm => f.write_str("Waiting for somebody to ask the provider to start again."),
            Self::Look(refusal) => write!(f, "Waiting to look again. {refusal}"),
            Self::Port(why) => write!(f, "Waiting to try again: {why}."),
        }
    }
}

fn places(places: &[Vantage]) -> String {
    let names: Vec<String> = places.iter().map(ToString::to_string).collect();
    names.join(", ")
}

/// The fields of the event, `event` included.
impl Serialize for Event {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.as_str())?;
        match self {
            Self::Planned(plan) => plan.write_fields(&mut map)?,
            Self::Published { plan, published } => {
                plan.write_fields(&mut map)?;
                map.serialize_entry("change", &published.change)?;
            }
            Self::Rearmed { identity, has_changed } => {
                map.serialize_entry("status", identity.status.as_str())?;
                map.serialize_entry("changed", has_changed)?;
            }
            Self::Waiting(waiting) => {
                map.serialize_entry("for", waiting.as_str())?;
                match waiting {
                    Waiting::Resolvers { until, .. } => map.serialize_entry("until", until)?,
                    Waiting::Provider { status, deadline } => {
                        map.serialize_entry("status", status.as_str())?;
                        map.serialize_entry("until", deadline)?;
                    }
                    Waiting::Servers { .. } | Waiting::Rearm | Waiting::Look(_) | Waiting::Port(_) => {}
                }
            }
            Self::Refused(refusal) => {
                map.serialize_entry("code", refusal.code())?;
                map.serialize_entry("records", &refusal.records())?;
            }
            Self::InSync | Self::Rearming | Self::Verified { .. } | Self::Done | Self::Failed(_) => {}
        }
        map.serialize_entry("message", &self.to_string())?;
        map.end()
    }
}

impl RepairPlan {
    fn write_fields<M: SerializeMap>(&self, map: &mut M) -> Result<(), M::Error> {
        map.serialize_entry("zone", &self.zone)?;
        map.serialize_entry("edits", &self.edits)
    }
}

/// `zone`, as `{id, host, name}`, and `edits`.
impl Serialize for RepairPlan {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(2))?;
        self.write_fields(&mut map)?;
        map.end()
    }
}

impl Waiting {
    /// The provider is to look by itself, or to say that it does: what it said when this look was taken.
    pub fn for_provider(report: &Report) -> Self {
        let deadline = report.deadline.map(|deadline| deadline.working);
        Self::Provider { status: report.identity.status.clone(), deadline }
    }

    /// The places that are waited for; empty where something else is.
    #[cfg(feature = "guard")]
    pub(super) fn places(&self) -> String {
        match self {
            Self::Servers { servers: all } | Self::Resolvers { resolvers: all, .. } => places(all),
            _ => String::new(),
        }
    }

    /// What is waited for in the JSON: `servers`, `resolvers`, `provider`, `rearm`, `look`, `retry`.
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Servers { .. } => "servers",
            Self::Resolvers { .. } => "resolvers",
            Self::Provider { .. } => "provider",
            Self::Rearm => "rearm",
            Self::Look(_) => "look",
            Self::Port(_) => "retry",
        }
    }
}

/// `name`, `before`, `after`, `reason`; a record as `{type, ttl, value}`.
impl Serialize for Edit {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        struct Line {
            r#type: String,
            ttl: u32,
            value: String,
        }
        let line = |record: &crate::record::Record| Line {
            r#type: record.kind().to_string(),
            ttl: record.ttl,
            value: record.data.to_string(),
        };
        let mut map = serializer.serialize_map(Some(4))?;
        map.serialize_entry("name", &self.name)?;
        map.serialize_entry("before", &self.before.iter().map(line).collect::<Vec<_>>())?;
        map.serialize_entry("after", &self.after.as_ref().map(line))?;
        map.serialize_entry("reason", &self.reason)?;
        map.end()
    }
}
