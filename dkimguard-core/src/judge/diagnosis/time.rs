//! Time, and this machine's own place in the network.

use jiff::SignedDuration;

use super::evidence::Evidence;
use super::{Cause, Certainty, Diagnosis, count_records};
use crate::judge::Verdict;
use crate::judge::finding::State;
use crate::name::Name;

/// Nothing at all comes back, the control question's answer included.
pub(super) fn offline(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    if evidence.heard_anything() {
        return Vec::new();
    }
    let mut places = Vec::new();
    let mut lines = Vec::new();
    for observation in evidence.survey.everything() {
        if !places.contains(&&observation.vantage) {
            places.push(&observation.vantage);
            lines.push(evidence.full_line(observation));
        }
    }
    let count = lines.len();
    let silent = evidence.survey.everything().all(|observation| observation.outcome.is_err());
    vec![Diagnosis {
        cause: Cause::Offline,
        certainty: if silent { Certainty::Certain } else { Certainty::Likely },
        impact: Verdict::Unknown,
        summary: "nothing can be reached from here".to_owned(),
        detail: match count {
            0 => "There is no place to ask: no resolver is configured and none was given.".to_owned(),
            _ => "No resolver and no name server gives an answer, not even about the root. The fault is here, and \
                  nothing is known about the domain."
                .to_owned(),
        },
        remedy: Cause::Offline.remedy().to_owned(),
        records: evidence.records.iter().map(|record| record.expected.name.clone()).collect(),
        evidence: lines,
        changed_by: None,
    }]
}

/// How often a record must change at one place to be flapping.
const FLAPS: usize = 3;
/// Within which time.
const FLAP_HOURS: i64 = 24;

/// The same record at the same place changed its state again and again.
pub(super) fn flapping(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let since = evidence.at - SignedDuration::from_hours(FLAP_HOURS);
    let mut records: Vec<Name> = Vec::new();
    let mut lines = Vec::new();
    for record in evidence.records {
        for finding in &record.findings {
            let vantage = &finding.observation.vantage;
            // That a resolver is silent now and then is its own affair.
            let counts = |state: State| vantage.is_authoritative() || state != State::Unseen;
            let mut states: Vec<State> = evidence
                .witnesses
                .past
                .iter()
                .filter(|past| {
                    past.record == record.expected.name && past.vantage == *vantage && past.at >= since
                })
                .map(|past| past.state)
                .filter(|&state| counts(state))
                // What one look alone doesn't see may be one question that got lost.
                .chain(Some(finding.state).filter(|&state| state != State::Unseen))
                .collect();
            states.dedup();
            let changes = states.len().saturating_sub(1);
            if changes < FLAPS {
                continue;
            }
            if !records.contains(&record.expected.name) {
                records.push(record.expected.name.clone());
            }
            lines.push(format!("{} at {vantage}: {changes} changes within a day", record.expected.name));
        }
    }
    if records.is_empty() {
        return Vec::new();
    }
    vec![Diagnosis {
        cause: Cause::Flapping,
        certainty: Certainty::Certain,
        impact: Verdict::Degraded,
        summary: format!("{} comes and goes", count_records(records.len(), evidence.records.len())),
        detail: "What one place answers changed again and again within a day; whether mail is verified depends on \
                 the moment."
            .to_owned(),
        remedy: Cause::Flapping.remedy().to_owned(),
        records,
        evidence: lines,
        changed_by: None,
    }]
}
