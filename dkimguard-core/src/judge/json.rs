//! The JSON of a [`Report`], schema 1.

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{
    Advice, Certainty, DeadlineBasis, Depth, Diagnosis, Exposure, Finding, Gap, RecordReport, Report, Verdict,
};
use crate::history::Change;
use crate::identity::{ExpectedValue, IdentityId, VerificationSoa};
use crate::look::{Basis, Vantage};
use crate::name::Name;
use crate::repair::RepairPlan;

/// The version of the schema; it changes only when a field changes its meaning.
const SCHEMA: u32 = 1;

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let identity = &self.identity;
        let verification = identity.verification.as_ref();
        ReportJson {
            schema: SCHEMA,
            id: &identity.id,
            domain: identity.domain(),
            at: to_second(self.at),
            premise: match self.basis {
                Basis::World => None,
                Basis::Servers => Some("servers"),
                Basis::Zone { .. } => Some("zone"),
            },
            depth: self.depth,
            verdict: self.verdict,
            summary: &self.summary,
            deadline: self.deadline.map(|deadline| to_second(deadline.working)),
            deadline_promised: self.deadline.map(|deadline| to_second(deadline.promised)),
            deadline_basis: self.deadline.map(|deadline| deadline.basis),
            exposure: self.exposure,
            causes: self.causes.iter().map(cause).collect(),
            records: self.records.iter().map(record).collect(),
            provider: ProviderJson {
                name: &identity.id.provider,
                account: identity.id.account.as_deref(),
                region: identity.id.region.as_deref(),
                status: identity.status.as_str(),
                signing_enabled: identity.signing_enabled,
                last_checked: verification.and_then(|verification| verification.last_checked).map(to_second),
                last_success: verification.and_then(|verification| verification.last_success).map(to_second),
                error: verification.and_then(|verification| verification.error.as_deref()),
                soa: verification.and_then(|verification| verification.soa.as_ref()),
            },
            advice: self.advice.iter().map(advice).collect(),
            gaps: &self.gaps,
            plan: self.plan.as_ref(),
        }
        .serialize(serializer)
    }
}

#[derive(Serialize)]
struct ReportJson<'a> {
    schema: u32,
    id: &'a IdentityId,
    domain: &'a Name,
    at: Timestamp,
    premise: Option<&'static str>,
    depth: Depth,
    verdict: Verdict,
    summary: &'a str,
    deadline: Option<Timestamp>,
    deadline_promised: Option<Timestamp>,
    deadline_basis: Option<DeadlineBasis>,
    exposure: Exposure,
    causes: Vec<CauseJson<'a>>,
    records: Vec<RecordJson<'a>>,
    provider: ProviderJson<'a>,
    advice: Vec<AdviceJson<'a>>,
    gaps: &'a [Gap],
    #[serde(skip_serializing_if = "Option::is_none")]
    plan: Option<&'a RepairPlan>,
}

#[derive(Serialize)]
struct CauseJson<'a> {
    code: &'static str,
    certainty: Certainty,
    title: &'static str,
    detail: &'a str,
    remedy: &'a str,
    records: &'a [Name],
    evidence: &'a [String],
    changed_by: Option<&'a Change>,
}

fn cause(diagnosis: &Diagnosis) -> CauseJson<'_> {
    CauseJson {
        code: diagnosis.cause.code(),
        certainty: diagnosis.certainty,
        title: diagnosis.cause.title(),
        detail: &diagnosis.detail,
        remedy: &diagnosis.remedy,
        records: &diagnosis.records,
        evidence: &diagnosis.evidence,
        changed_by: diagnosis.changed_by.as_ref(),
    }
}

#[derive(Serialize)]
struct AdviceJson<'a> {
    code: &'static str,
    title: &'static str,
    detail: &'a str,
}

fn advice(advice: &Advice) -> AdviceJson<'_> {
    AdviceJson { code: advice.code(), title: advice.title(), detail: &advice.detail }
}

#[derive(Serialize)]
struct RecordJson<'a> {
    name: &'a Name,
    purpose: &'static str,
    expected: ExpectedJson,
    observations: Vec<ObservationJson<'a>>,
}

#[derive(Serialize)]
struct ExpectedJson {
    #[serde(rename = "type")]
    kind: String,
    value: Option<String>,
}

fn record(record: &RecordReport) -> RecordJson<'_> {
    let value = &record.expected.value;
    RecordJson {
        name: &record.expected.name,
        purpose: "dkim",
        expected: ExpectedJson {
            kind: value.kind().to_string(),
            value: (*value != ExpectedValue::AnyKey).then(|| value.to_string()),
        },
        observations: record.findings.iter().map(observation).collect(),
    }
}

#[derive(Serialize)]
struct ObservationJson<'a> {
    vantage: VantageJson<'a>,
    state: &'static str,
    rcode: Option<String>,
    value: &'a [String],
    ttl: Option<u32>,
    elapsed_ms: Option<f64>,
    transport: Option<&'static str>,
    extended_error: Option<ExtendedErrorJson<'a>>,
    /// Why nothing came back.
    error: Option<String>,
}

#[derive(Serialize)]
struct VantageJson<'a> {
    kind: &'static str,
    server: Option<&'a Name>,
    address: String,
}

#[derive(Serialize)]
struct ExtendedErrorJson<'a> {
    code: u16,
    name: String,
    text: &'a str,
}

fn observation(finding: &Finding) -> ObservationJson<'_> {
    let observation = &finding.observation;
    let response = observation.outcome.as_ref().ok();
    // What was read from a zone has come over no network.
    let came = response.filter(|_| !matches!(observation.vantage, Vantage::Zone { .. }));
    let name = &observation.question.name;
    ObservationJson {
        vantage: VantageJson {
            kind: observation.vantage.kind(),
            server: match &observation.vantage {
                Vantage::Authoritative { server, .. } => server.as_ref(),
                _ => None,
            },
            address: match &observation.vantage {
                Vantage::Zone { title } => title.clone(),
                vantage => vantage.address().to_string(),
            },
        },
        state: finding.state.as_str(),
        rcode: response.map(|response| response.rcode.to_string()),
        value: &finding.values,
        ttl: response.and_then(|response| {
            response.answers.iter().filter(|record| record.name == *name).map(|record| record.ttl).min()
        }),
        elapsed_ms: came.map(|response| (response.elapsed.as_secs_f64() * 1e6).round() / 1e3),
        transport: came.map(|response| response.transport.as_str()),
        extended_error: response
            .and_then(|response| response.extended_errors.first())
            .map(|error| ExtendedErrorJson { code: error.code, name: error.name(), text: &error.text }),
        error: observation.outcome.as_ref().err().map(ToString::to_string),
    }
}

#[derive(Serialize)]
struct ProviderJson<'a> {
    name: &'a str,
    account: Option<&'a str>,
    region: Option<&'a str>,
    status: &'a str,
    signing_enabled: Option<bool>,
    last_checked: Option<Timestamp>,
    last_success: Option<Timestamp>,
    error: Option<&'a str>,
    soa: Option<&'a VerificationSoa>,
}

/// Without the part of a second, which says nothing here.
fn to_second(at: Timestamp) -> Timestamp {
    Timestamp::from_second(at.as_second()).unwrap_or(at)
}
