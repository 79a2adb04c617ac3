//! Time, and this machine's own place in the network.

use super::evidence::Evidence;
use super::{Cause, Certainty, Diagnosis};
use crate::judge::Verdict;

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
    vec![Diagnosis {
        cause: Cause::Offline,
        certainty: Certainty::Certain,
        impact: Verdict::Unknown,
        summary: "nothing can be reached from here".to_owned(),
        detail: match count {
            0 => "There is no place to ask: no resolver is configured and none was given.".to_owned(),
            _ => "No resolver and no name server gives an answer, not even about the root. The fault is here, and \
                  nothing is known about the domain."
                .to_owned(),
        },
        remedy: "Check this machine's network: UDP and TCP port 53 to the resolvers, or name others with --resolver."
            .to_owned(),
        records: evidence.records.iter().map(|record| record.expected.name.clone()).collect(),
        evidence: lines,
        changed_by: None,
    }]
}
