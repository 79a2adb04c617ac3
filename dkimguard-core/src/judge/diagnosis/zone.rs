//! The zone: what happens between the servers and those who ask.

use super::evidence::{Evidence, shortened};
use super::{Cause, Certainty, Diagnosis, count_records, remedy_here};
use crate::judge::finding::{Finding, State, Trouble, trouble};
use crate::judge::{RecordReport, Verdict};
use crate::look::{ExtendedError, Observation, Rcode, Response, Vantage};
use crate::name::Name;
use crate::record::RecordKind;

/// The extended errors by which a resolver says that validation failed (RFC 8914).
const BOGUS: &[u16] = &[6, 7, 8, 9, 10, 12];

/// A validating resolver answers SERVFAIL, and an answer once checking is disabled.
pub(super) fn dnssec_bogus(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut records: Vec<Name> = Vec::new();
    let mut lines = Vec::new();
    let mut reasons: Vec<String> = Vec::new();
    let mut certainty = Certainty::Likely;
    for record in evidence.records {
        let name = &record.expected.name;
        let kind = record.expected.value.kind();
        for resolver in &evidence.survey.resolvers {
            let Some((observation, errors)) = refusal(evidence, resolver, name, kind) else { continue };
            let unchecked = evidence.survey.unchecked_at(resolver, name, kind);
            let answers = unchecked.is_some_and(|unchecked| unchecked.outcome.as_ref().is_ok_and(is_answer));
            let says_so = errors.iter().any(|error| BOGUS.contains(&error.code));
            if !(answers || says_so) || is_exonerated(evidence, name, kind) {
                continue;
            }
            if !records.contains(name) {
                records.push(name.clone());
            }
            lines.push(evidence.full_line(observation));
            lines.extend(
                unchecked
                    .map(|unchecked| format!("{}, with checking disabled", evidence.full_line(unchecked))),
            );
            for error in errors.iter().filter(|error| BOGUS.contains(&error.code)) {
                if answers {
                    certainty = Certainty::Certain;
                }
                let reason = shortened(&error.to_string());
                if !reasons.contains(&reason) {
                    reasons.push(reason);
                }
            }
        }
    }
    if records.is_empty() {
        return Vec::new();
    }
    let because = if reasons.is_empty() {
        String::new()
    } else {
        format!(" The resolver says: {}.", reasons.join("; "))
    };
    vec![Diagnosis {
        cause: Cause::DnssecBogus,
        certainty,
        impact: Verdict::Failing,
        summary: format!(
            "DNSSEC validation fails for {}",
            count_records(records.len(), evidence.records.len())
        ),
        detail: format!(
            "A validating resolver refuses what the name servers answer; everybody behind such a resolver sees no \
             record at all.{because}"
        ),
        remedy: Cause::DnssecBogus.remedy().to_owned(),
        records,
        evidence: lines,
        changed_by: None,
    }]
}

/// The SERVFAIL with which a resolver ended, and the extended errors of all its SERVFAILs about this record: the
/// first answer often says more than the next.
fn refusal<'a>(
    evidence: &'a Evidence<'_>,
    resolver: &Vantage,
    name: &Name,
    kind: RecordKind,
) -> Option<(&'a Observation, Vec<&'a ExtendedError>)> {
    let observation = evidence.survey.at(resolver, name, kind)?;
    // A resolver that fails on the root too (its clock is wrong, say) is no witness.
    let control = evidence.survey.at(resolver, &Name::root(), RecordKind::Ns);
    if control.is_some_and(|control| !control.outcome.as_ref().is_ok_and(is_answer)) {
        return None;
    }
    let failed = |observation: &Observation| {
        observation.outcome.as_ref().is_ok_and(|response| response.rcode == Rcode::SERVFAIL)
    };
    if !failed(observation) {
        return None;
    }
    let errors = evidence
        .survey
        .observations
        .iter()
        .filter(|other| other.vantage == *resolver && other.question.name == *name && failed(other))
        .filter_map(|other| other.outcome.as_ref().ok())
        .flat_map(|response| &response.extended_errors)
        .collect();
    Some((observation, errors))
}

fn is_answer(response: &Response) -> bool {
    matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
}

/// Whether as many resolvers that validate give the record as refuse it: then one of them is broken, or remembers what
/// was. A resolver validates if it says so of the root.
fn is_exonerated(evidence: &Evidence<'_>, name: &Name, kind: RecordKind) -> bool {
    let survey = evidence.survey;
    let gives = |resolver: &Vantage| {
        survey
            .at(resolver, name, kind)
            .is_some_and(|observation| observation.outcome.as_ref().is_ok_and(is_answer))
    };
    let validates = |resolver: &Vantage| {
        survey.observations.of(resolver).any(|observation| {
            observation.question.dnssec_ok
                && (observation.question.name.is_root() || observation.question.name == *name)
                && observation
                    .outcome
                    .as_ref()
                    .is_ok_and(|response| response.authentic && is_answer(response))
        })
    };
    let good = survey.resolvers.iter().filter(|resolver| gives(resolver) && validates(resolver)).count();
    let bad =
        survey.resolvers.iter().filter(|resolver| refusal(evidence, resolver, name, kind).is_some()).count();
    good > 0 && good >= bad
}

/// Every server holds the record, and a resolver still answers that it is absent.
pub(super) fn negative_cached(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut records: Vec<Name> = Vec::new();
    let mut lines = Vec::new();
    let mut longest = 0;
    let mut certainty = Certainty::Certain;
    for record in evidence.records.iter().filter(|record| holds_at_all_servers(evidence, record)) {
        for finding in &record.findings {
            // A machine's own resolver may serve a private view, which is nobody else's affair.
            let vantage = &finding.observation.vantage;
            let is_public = !vantage.is_authoritative() && !matches!(vantage, Vantage::System { .. });
            if finding.state != State::Absent || !is_public {
                continue;
            }
            // Without the zone's SOA it is no memory, but an answer of the resolver's own.
            let Some(left) = remembered_for(finding) else { continue };
            if fresh_absence(evidence, record).is_none_or(|fresh| left >= fresh) {
                certainty = Certainty::Likely;
            }
            longest = longest.max(left);
            if !records.contains(&record.expected.name) {
                records.push(record.expected.name.clone());
            }
            lines.push(format!("{}, for {left} s more", evidence.full_line(&finding.observation)));
        }
    }
    if records.is_empty() {
        return Vec::new();
    }
    vec![Diagnosis {
        cause: Cause::NegativeCached,
        certainty,
        impact: Verdict::Degraded,
        summary: format!(
            "a resolver still remembers that {} {} absent",
            count_records(records.len(), evidence.records.len()),
            if records.len() == 1 { "was" } else { "were" }
        ),
        detail: "Every name server holds the record; a resolver has asked before it did, and remembers the \
                 absence (RFC 2308)."
            .to_owned(),
        remedy: remedy_here(Cause::NegativeCached, &format!("Here: {longest} s more."), []),
        records,
        evidence: lines,
        changed_by: None,
    }]
}

/// For how many seconds more a resolver remembers an absence, by the SOA of the name's zone that it gives.
fn remembered_for(finding: &Finding) -> Option<u32> {
    let response = finding.observation.outcome.as_ref().ok()?;
    let (proof, soa) = response.proof_of_absence()?;
    let encloses = finding.observation.question.name.is_at_or_below(&proof.name);
    (encloses && proof.ttl > 0).then(|| proof.ttl.min(soa.minimum))
}

fn holds_at_all_servers(evidence: &Evidence<'_>, record: &RecordReport) -> bool {
    let mut at_servers = evidence
        .addresses
        .iter()
        .filter(|address| !address.excused)
        .flat_map(|address| &address.findings)
        .filter(|(other, _)| other.expected.name == record.expected.name)
        .map(|(_, finding)| finding.state)
        .peekable();
    at_servers.peek().is_some() && at_servers.all(|state| state == State::Holds)
}

/// For how long an absence is remembered that has just been learnt, by the zone's SOA.
fn fresh_absence(evidence: &Evidence<'_>, record: &RecordReport) -> Option<u32> {
    let zone = &evidence.survey.zone_of(&record.expected.name)?.zone;
    evidence
        .addresses
        .iter()
        .filter_map(|address| evidence.survey.at(&address.vantage, zone, RecordKind::Soa))
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .flat_map(|response| &response.answers)
        .find_map(|answer| match &answer.data {
            crate::record::RecordData::Soa(soa) => Some(answer.ttl.min(soa.minimum)),
            _ => None,
        })
}

/// A resolver fails, or answers otherwise, while the servers all hold the records.
pub(super) fn resolver_failing(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let servers_serve = evidence.exposure().bad == 0 && !evidence.addresses.is_empty();
    let asks_servers = evidence.survey.asks_servers;
    if (asks_servers && !servers_serve) || !evidence.heard_anything() || !dnssec_bogus(evidence).is_empty() {
        return Vec::new();
    }
    evidence
        .survey
        .resolvers
        .iter()
        .filter_map(|resolver| {
            let here: Vec<_> = evidence
                .records
                .iter()
                .filter_map(|record| {
                    let finding =
                        record.findings.iter().find(|finding| finding.observation.vantage == *resolver)?;
                    Some((record, finding))
                })
                .filter(|(record, finding)| match finding.state {
                    State::Unseen => trouble(&finding.observation, evidence.survey)
                        .is_some_and(|trouble| trouble != Trouble::Here),
                    State::Differs => holds_at_all_servers(evidence, record),
                    State::Absent => {
                        holds_at_all_servers(evidence, record) && remembered_for(finding).is_none()
                    }
                    State::Holds => false,
                })
                .collect();
            let (_, first) = here.first()?;
            let others_hold = here.iter().all(|(record, _)| {
                record.findings.iter().any(|finding| {
                    finding.state == State::Holds && !finding.observation.vantage.is_authoritative()
                })
            });
            let (detail, more) = if others_hold {
                (
                    format!(
                        "{resolver} does not give what the others give; that is the resolver's fault and not your \
                         zone's."
                    ),
                    "Nothing is wrong with your zone.",
                )
            } else {
                (
                    format!("{resolver} gives no usable answer, and no other resolver confirms the records."),
                    "",
                )
            };
            Some(Diagnosis {
                cause: Cause::ResolverFailing,
                certainty: if others_hold { Certainty::Certain } else { Certainty::Likely },
                impact: Verdict::Healthy,
                summary: format!("{resolver} fails"),
                detail,
                remedy: remedy_here(Cause::ResolverFailing, more, []),
                records: here.iter().map(|(record, _)| record.expected.name.clone()).collect(),
                evidence: vec![evidence.full_line(&first.observation)],
                changed_by: None,
            })
        })
        .collect()
}
