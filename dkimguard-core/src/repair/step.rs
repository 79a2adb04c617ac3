//! [`Step`]: what is to be done next, as a look shows it.

use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::plan::{Refusal, RepairPlan, check_look};
use super::standing::{Standing, seen_at_servers};
use crate::identity::{KeyMaker, ProviderStatus};
use crate::judge::{Finding, RecordReport, Report, State, Verdict};
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
        let status = &report.identity.status;
        if let Err(refusal) = check_look(report) {
            return Self::Refuse(refusal);
        }
        // Without tokens there is nothing to publish before the provider has made some.
        if report.identity.selectors.is_empty() && is_idle(status) {
            return Self::rearm(report);
        }
        let plan = match RepairPlan::between(report, sight) {
            Ok(plan) => plan,
            Err(refusal) => return Self::Refuse(refusal),
        };
        if !plan.is_empty() {
            return Self::Publish(plan);
        }
        let servers = places(report.records.iter().flat_map(|record| {
            seen_at_servers(record, sight).filter(|finding| finding.state != State::Holds)
        }));
        if !servers.is_empty() {
            return Self::AwaitServers { servers };
        }
        let behind: Vec<&Finding> = report.records.iter().flat_map(behind).collect();
        if !behind.is_empty() {
            let until = behind.iter().filter_map(|finding| kept_until(finding, report.at)).max();
            return Self::AwaitResolvers { resolvers: places(behind), until };
        }
        if report.verdict == Verdict::Healthy {
            return Self::Done;
        }
        if let Some(what) = report.records.iter().find_map(|record| unproven(record, sight)) {
            return Self::Refuse(Refusal::NotSeen { what });
        }
        match status {
            ProviderStatus::Success => {
                let left = Refusal::beyond_edits(report).filter(|_| report.verdict > Verdict::Unknown);
                Self::Refuse(left.unwrap_or_else(|| Refusal::NotSeen { what: report.summary.clone() }))
            }
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

/// What the resolvers show that don't show a record as every server has it. One that fails by itself says nothing of
/// the record, and this machine's own may serve a private view: it doesn't count where another sees the record.
fn behind(record: &RecordReport) -> impl Iterator<Item = &Finding> {
    let is_confirmed = is_confirmed(record);
    record.findings.iter().filter(move |finding| {
        let vantage = &finding.observation.vantage;
        let is_private = matches!(vantage, Vantage::System { .. }) && is_confirmed;
        let is_definite = !matches!(finding.state, State::Holds | State::Unseen);
        vantage.is_recursive() && is_definite && !is_private
    })
}

/// Whether a resolver shows the record as it must be.
fn is_confirmed(record: &RecordReport) -> bool {
    record
        .findings
        .iter()
        .any(|finding| finding.observation.vantage.is_recursive() && finding.state == State::Holds)
}

/// What is missing for a proof that a record holds, although nothing speaks against it.
fn unproven(record: &RecordReport, sight: &Sight) -> Option<String> {
    match Standing::of(record, sight) {
        Standing::Unseen(what) => Some(what),
        _ if !is_confirmed(record) => Some(format!("no resolver confirms {}", record.expected.name)),
        _ => None,
    }
}

/// Where these were found, each place once.
fn places<'a>(findings: impl IntoIterator<Item = &'a Finding>) -> Vec<Vantage> {
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
