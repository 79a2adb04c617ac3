//! [`Verdict`]: what the evidence comes to.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::diagnosis::{Evidence, count_records};
use super::finding::State;
use super::{Cause, Depth, Diagnosis};
use crate::identity::ProviderStatus;
use crate::look::Basis;
use crate::name::Name;

/// What a look comes to. The order is that of the worst: failing, degraded, unknown, healthy.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
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

/// The verdict and its reason in one line. Healthy needs proof; without a cause and without proof it is unknown.
pub(super) fn verdict(evidence: &Evidence<'_>, causes: &[Diagnosis], depth: Depth) -> (Verdict, String) {
    let worst = causes.iter().map(|cause| cause.impact).max().unwrap_or(Verdict::Healthy);
    if worst != Verdict::Healthy {
        let first = causes.iter().find(|cause| cause.impact != Verdict::Healthy);
        let summary =
            first.map(|cause| loss(evidence, causes, cause).unwrap_or_else(|| cause.summary.clone()));
        return (worst, summary.unwrap_or_default());
    }
    if evidence.records.is_empty() {
        return (Verdict::Unknown, "the provider names no records to look for".to_owned());
    }
    if let Some(doubt) = doubt(evidence, depth) {
        return (Verdict::Unknown, doubt);
    }
    let sound = soundness(evidence, depth);
    if evidence.survey.basis != Basis::World {
        // What the provider says of today is no part of the question.
        return (Verdict::Healthy, sound);
    }
    match &evidence.identity.status {
        ProviderStatus::Success => (Verdict::Healthy, sound),
        ProviderStatus::Unknown => {
            (Verdict::Unknown, format!("{sound}; what the provider says is not known"))
        }
        status => (
            Verdict::Unknown,
            format!("{sound}; the provider says {status}, which this version does not know"),
        ),
    }
}

/// What would be lost if the premise were so, where there is one.
fn loss(evidence: &Evidence<'_>, causes: &[Diagnosis], first: &Diagnosis) -> Option<String> {
    let by = match &evidence.survey.basis {
        Basis::World => return None,
        Basis::Servers => "would be lost by the move".to_owned(),
        Basis::Zone { title, .. } => format!("would be lost if {title} were served"),
    };
    let mut names: Vec<&Name> = Vec::new();
    for cause in causes.iter().filter(|cause| cause.impact >= Verdict::Degraded) {
        for name in &cause.records {
            if !names.contains(&name) {
                names.push(name);
            }
        }
    }
    let counted = count_records(names.len(), evidence.records.len());
    let Exposure { bad, of } = evidence.exposure();
    let at = match first.impact {
        Verdict::Failing => String::new(),
        Verdict::Degraded => format!(" at {bad} of {of} name server addresses"),
        Verdict::Healthy | Verdict::Unknown => return None,
    };
    let reason = match first.cause {
        Cause::ServerLame
        | Cause::ServerFailing
        | Cause::ServerUnreachable
        | Cause::TxtUnanswerable
        | Cause::TcpUnanswerable => first.summary.clone(),
        _ => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
    };
    Some(format!("{counted} {by}{at}: {reason}"))
}

/// Why the records can't be called sound although no cause was found.
fn doubt(evidence: &Evidence<'_>, depth: Depth) -> Option<String> {
    let asks_servers = depth == Depth::Full && evidence.survey.asks_servers;
    for record in evidence.records {
        let name = &record.expected.name;
        let holds = |authoritative: bool| {
            record.findings.iter().any(|finding| {
                finding.observation.vantage.is_authoritative() == authoritative
                    && finding.state == State::Holds
            })
        };
        if asks_servers && !holds(true) {
            return Some(format!("no name server could be asked for {name}"));
        }
        // Nobody's resolver knows what isn't so yet.
        if evidence.survey.basis == Basis::World && !holds(false) {
            return Some(format!("no resolver confirms {name}"));
        }
    }
    if let Some((record, vantage)) = evidence.unseen_for_no_fault().next() {
        return Some(format!("{} could not be judged at {vantage}", record.expected.name));
    }
    if evidence.unlooked_servers().next().is_some() {
        return Some("not every name server could be found".to_owned());
    }
    None
}

fn soundness(evidence: &Evidence<'_>, depth: Depth) -> String {
    let records = match evidence.records.len() {
        1 => "the DKIM record holds".to_owned(),
        count => format!("all {count} DKIM records hold"),
    };
    match (&evidence.survey.basis, evidence.exposure().of) {
        (Basis::World, _) => {}
        (Basis::Servers, 1) => return format!("{records} at the one name server address"),
        (Basis::Servers, of) => return format!("{records} at all {of} name server addresses"),
        (Basis::Zone { title, .. }, _) => return format!("{records} in {title}"),
    }
    let resolvers = evidence
        .survey
        .resolvers
        .iter()
        .filter(|&resolver| {
            evidence.records.iter().all(|record| {
                record
                    .findings
                    .iter()
                    .any(|finding| finding.observation.vantage == *resolver && finding.state == State::Holds)
            })
        })
        .count();
    let resolvers = match resolvers {
        // Each record has its own, and none has all.
        0 => "several resolvers together".to_owned(),
        1 => "1 resolver".to_owned(),
        count => format!("{count} resolvers"),
    };
    match (depth, evidence.exposure().of) {
        (Depth::Full, 1) => format!("{records} at the one name server address and through {resolvers}"),
        (Depth::Full, of) if of > 0 => {
            format!("{records} at all {of} name server addresses and through {resolvers}")
        }
        _ => format!("{records} through {resolvers}"),
    }
}
