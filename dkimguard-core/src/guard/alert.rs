//! [`Alert`]: what somebody is to be told, once.

use std::fmt;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::judge::{Report, Verdict};
use crate::name::Name;

/// The version of an alert's JSON; it changes only when a field changes its meaning.
const SCHEMA: u32 = 1;

/// What somebody is to be told, once.
///
/// An incident is told of when it [opens](AlertEvent::Opened), when it [worsens](AlertEvent::Worsened), now and then
/// while it lasts, and when it is [over](AlertEvent::Recovered). Delivery is at least once; [`key`](Self::key) tells
/// a repetition.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Alert {
    /// The incident, the same for all of its alerts.
    pub incident: IncidentId,
    /// Which alert of the incident this is, from 1.
    pub number: u32,
    /// What has happened to the incident.
    pub event: AlertEvent,
    /// What sort of incident it is.
    pub kind: IncidentKind,
    /// How pressing it is.
    pub severity: Severity,
    /// When the alert was raised.
    pub at: Timestamp,
    /// When the incident was opened.
    pub opened_at: Timestamp,
    /// The identity, as [`IdentityId`](crate::IdentityId) is written; `guard` where it is the guard's own affair.
    pub id: String,
    /// The domain; none where it is the guard's own affair.
    pub domain: Option<Name>,
    /// The verdict at that time.
    pub verdict: Verdict,
    /// What is so, in one line.
    pub summary: String,
    /// What mends it, where something is wrong that has a remedy; with the edit that does, where the report has a plan.
    pub remedy: Option<String>,
    /// The codes of the causes, the best explanation first.
    pub causes: Vec<String>,
    /// Until when it must be mended, by the working clock, while one runs.
    pub deadline: Option<Timestamp>,
    /// Until when by the promised clock.
    pub deadline_promised: Option<Timestamp>,
    /// The look that it rests on; none where it is the guard's own affair.
    pub report: Option<ReportJson>,
}

impl Alert {
    /// A key that no other alert has, and that a repeated delivery has again.
    pub fn key(&self) -> String {
        format!("{}#{}", self.incident, self.number)
    }

    /// The alert as JSON, schema 1: the fields of this type and the whole report, times as RFC 3339.
    pub fn to_json(&self) -> String {
        #[derive(Serialize)]
        struct Body<'a> {
            schema: u32,
            #[serde(flatten)]
            alert: &'a Alert,
        }
        serde_json::to_string(&Body { schema: SCHEMA, alert: self })
            .expect("its keys are texts, and no field's own serialisation fails")
    }
}

/// Event, domain and reason in one line: `opened: example.com is failing: …`.
impl fmt::Display for Alert {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: ", self.event)?;
        match &self.domain {
            Some(domain) => write!(f, "{} is {}: {}", domain.to_unicode(), self.verdict, self.summary),
            None => f.write_str(&self.summary),
        }
    }
}

/// Names an incident, and no other: the identity and the time at which it was opened.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct IncidentId(String);

impl IncidentId {
    pub(super) fn new(id: &str, kind: IncidentKind, opened_at: Timestamp) -> Self {
        Self(format!("{id}:{kind}:{opened_at}"))
    }

    /// The id as text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for IncidentId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// What has happened to an incident.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum AlertEvent {
    /// It has begun.
    Opened,
    /// It has become graver.
    Worsened,
    /// It still lasts.
    Reminder,
    /// It is over.
    Recovered,
}

impl AlertEvent {
    /// The event in the JSON: `opened`, `worsened`, `reminder`, `recovered`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Opened => "opened",
            Self::Worsened => "worsened",
            Self::Reminder => "reminder",
            Self::Recovered => "recovered",
        }
    }
}

impl fmt::Display for AlertEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What sort of incident it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum IncidentKind {
    /// Something is wrong with the records, the servers, the zone or the provider.
    Dkim,
    /// For too long nothing could be known.
    Blind,
    /// What the guard remembers can't be stored.
    Store,
}

impl fmt::Display for IncidentKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Dkim => "dkim",
            Self::Blind => "blind",
            Self::Store => "store",
        })
    }
}

/// How pressing an alert is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Severity {
    /// A validator may fail by chance, or nothing is known.
    Warning,
    /// Mail goes unsigned, or a validator fails.
    Critical,
}

impl Severity {
    /// The severity in the JSON: `warning`, `critical`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }
}

impl fmt::Display for Severity {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// A report as its JSON: an alert outlives the look that it rests on, and the process too.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(transparent)]
pub struct ReportJson(Box<RawValue>);

impl ReportJson {
    /// The JSON, one object without line breaks.
    pub fn as_str(&self) -> &str {
        self.0.get()
    }
}

impl From<&Report> for ReportJson {
    fn from(report: &Report) -> Self {
        let json = serde_json::value::to_raw_value(report)
            .expect("its keys are texts, and no field's own serialisation fails");
        Self(json)
    }
}

impl PartialEq for ReportJson {
    fn eq(&self, other: &Self) -> bool {
        self.as_str() == other.as_str()
    }
}
