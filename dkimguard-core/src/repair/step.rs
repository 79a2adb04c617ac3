//! [`Step`]: what is to be done next, as a look shows it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::plan::{Refusal, RepairPlan, holds_at_servers};
use crate::identity::{KeyMaker, ProviderStatus};
use crate::judge::{Finding, Report, State, Verdict};
use crate::look::{Sight, Vantage};

/// What is to be done next to mend an identity. It follows from one full look and not from what was done before.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Step {
    /// Nothing may be done, for this reason.
    Refuse(Refusal),
    /// The records are to be published.
    Publish(RepairPlan),
    /// The zone holds all that it must, and these name servers don't answer so yet.
    AwaitServers {
        /// Where a record doesn't hold.
        servers: Vec<Vantage>,
    },
    /// Every name server holds the records, and these resolvers don't show them yet.
    AwaitResolvers {
        /// Where a record doesn't hold.
        resolvers: Vec<Vantage>,
        /// When the absence that they have kept is over, where they say so.
        until: Option<Timestamp>,
    },
    /// The records hold, and the provider no longer looks: it is to be asked to start again.
    Rearm,
    /// The records hold, and the provider is to look again by itself.
    AwaitProvider,
    /// The records hold and the provider has seen them.
    Done,
}

impl Step {
    /// What is to be done next.
    pub fn next(report: &Report, sight: &Sight) -> Self {
        let identity = &report.identity;
        // Without tokens there is nothing to publish before the provider has made some.
        if identity.selectors.is_empty() && is_idle(&identity.status) {
            return Self::rearm(report);
        }
        let plan = match RepairPlan::between(report, sight) {
            Ok(plan) => plan,
            Err(refusal) => return Self::Refuse(refusal),
        };
        if !plan.is_empty() {
            return Self::Publish(plan);
        }
        let lacking = |is_meant: fn(&Vantage) -> bool| -> Vec<&Finding> {
            let findings = report.records.iter().flat_map(|record| &record.findings);
            findings
                .filter(|finding| is_meant(&finding.observation.vantage) && finding.state != State::Holds)
                .collect()
        };
        let servers = lacking(Vantage::is_authoritative);
        if !servers.is_empty() || !report.records.iter().all(holds_at_servers) {
            return Self::AwaitServers { servers: places(&servers) };
        }
        // One that fails by itself says nothing of the records.
        let mut resolvers = lacking(|vantage| !vantage.is_authoritative());
        resolvers.retain(|finding| finding.state != State::Unseen);
        if !resolvers.is_empty() {
            let until = resolvers.iter().filter_map(|finding| kept_until(finding, report.at)).max();
            return Self::AwaitResolvers { resolvers: places(&resolvers), until };
        }
        match identity.status {
            ProviderStatus::Success => Self::done(report),
            ProviderStatus::Pending | ProviderStatus::TemporaryFailure => Self::AwaitProvider,
            _ => Self::rearm(report),
        }
    }

    /// The step in the JSON: `publish`, `await-servers`, …
    pub fn as_str(&self) -> &'static str {
        match self {
            Self::Refuse(_) => "refuse",
            Self::Publish(_) => "publish",
            Self::AwaitServers { .. } => "await-servers",
            Self::AwaitResolvers { .. } => "await-resolvers",
            Self::Rearm => "rearm",
            Self::AwaitProvider => "await-provider",
            Self::Done => "done",
        }
    }

    /// Whether the provider can be asked to start again.
    fn rearm(report: &Report) -> Self {
        match report.identity.keys {
            KeyMaker::Provider => Self::Rearm,
            KeyMaker::Parent => Self::Refuse(Refusal::Replica),
            KeyMaker::Owner | KeyMaker::Unknown => Self::Refuse(Refusal::ProviderNeedsKey),
        }
    }

    /// The records are as they must be; what is left is another's affair.
    fn done(report: &Report) -> Self {
        let left = report.causes.iter().find(|cause| cause.impact > Verdict::Unknown);
        match left {
            Some(cause) if report.verdict > Verdict::Healthy => {
                Self::Refuse(Refusal::NoEdit { cause: cause.cause, remedy: cause.remedy.clone() })
            }
            _ => Self::Done,
        }
    }
}

impl Serialize for Step {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.as_str())
    }
}

/// Whether the provider isn't looking for the records.
fn is_idle(status: &ProviderStatus) -> bool {
    matches!(status, ProviderStatus::Failed | ProviderStatus::NotStarted)
}

fn places(findings: &[&Finding]) -> Vec<Vantage> {
    let mut places: Vec<Vantage> = Vec::new();
    for finding in findings {
        if !places.contains(&finding.observation.vantage) {
            places.push(finding.observation.vantage.clone());
        }
    }
    places
}

/// When what a resolver has kept is over (RFC 2308 §5): the TTL of the SOA that it gives with an absence, or that of the
/// record.
fn kept_until(finding: &Finding, at: Timestamp) -> Option<Timestamp> {
    let response = finding.observation.outcome.as_ref().ok()?;
    let absence = response.proof_of_absence().map(|(record, _)| record.ttl);
    let record = response.answers.iter().map(|record| record.ttl).min();
    let ttl = absence.or(record)?;
    at.checked_add(SignedDuration::from_secs(i64::from(ttl))).ok()
}
