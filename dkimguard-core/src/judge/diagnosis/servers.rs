//! The servers: what single addresses of the delegated name servers do wrong.

use super::evidence::{AddressSight, Evidence};
use super::{Cause, Certainty, Diagnosis, count_records, names_list, remedy_here};
use crate::judge::finding::{Finding, State, Trouble};
use crate::judge::{RecordReport, Verdict};
use crate::look::{AddressLookup, Basis};
use crate::name::Name;

/// Some servers hold a record, others answer otherwise, with authority.
pub(super) fn servers_disagree(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut records: Vec<Name> = Vec::new();
    let mut lines = Vec::new();
    let mut wrong_addresses: Vec<String> = Vec::new();
    let mut certainty = Certainty::Certain;
    let mut lacking_only = true;
    for record in evidence.records {
        let witnesses = evidence.witnesses(record);
        let (holding, wrong): (Vec<&Finding>, Vec<&Finding>) =
            witnesses.into_iter().partition(|finding| finding.state == State::Holds);
        let (Some(good), false) = (holding.first(), wrong.is_empty()) else { continue };
        records.push(record.expected.name.clone());
        for finding in wrong {
            lacking_only &= finding.state == State::Absent;
            let vantage = finding.observation.vantage.to_string();
            if !finding.observation.vantage.is_authoritative() {
                certainty = Certainty::Likely;
            }
            if !wrong_addresses.contains(&vantage) {
                wrong_addresses.push(vantage);
            }
            lines.push(evidence.full_line(&finding.observation));
        }
        lines.push(evidence.full_line(&good.observation));
    }
    if records.is_empty() {
        return Vec::new();
    }
    let places = if certainty == Certainty::Certain { "name server addresses" } else { "resolvers" };
    let of = if certainty == Certainty::Certain {
        evidence.exposure().of
    } else {
        evidence.survey.resolvers.len()
    };
    let counted = count_records(records.len(), evidence.records.len());
    let bad = wrong_addresses.len();
    let verb = match (lacking_only, bad == 1) {
        (true, true) => "lacks",
        (true, false) => "lack",
        (false, true) => "has a wrong answer for",
        (false, false) => "have a wrong answer for",
    };
    vec![Diagnosis {
        cause: Cause::ServersDisagree,
        certainty,
        impact: Verdict::Degraded,
        summary: format!("{bad} of {of} {places} {verb} {counted}"),
        detail: format!(
            "What a validator sees depends on the server that it is sent to: {} {} otherwise than the others.",
            wrong_addresses.join(" and "),
            if bad == 1 { "answers" } else { "answer" }
        ),
        remedy: remedy_here(
            Cause::ServersDisagree,
            &format!(
                "Here: {}. The serials above show which servers are behind.",
                wrong_addresses.join(" and ")
            ),
            [],
        ),
        records,
        evidence: lines,
        changed_by: None,
    }]
}

/// A delegated server that doesn't serve the zone, or whose name has no address.
pub(super) fn server_lame(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut found = troubled(evidence, Trouble::Lame);
    for (zone, server) in &evidence.nameless {
        found.places.push(server.name.to_string());
        found.lines.push(match &server.lookup {
            AddressLookup::Unresolvable(rcode) => {
                format!("{}: resolvers answer {rcode} for its address", server.name)
            }
            _ => format!("{}: the name has no address", server.name),
        });
        for record in evidence.records.iter().filter(|record| record.expected.name.is_at_or_below(&zone.zone))
        {
            found.add(&record.expected.name);
        }
        if matches!(server.lookup, AddressLookup::Unresolvable(_)) {
            found.certainty = Certainty::Likely;
        }
    }
    let zone = zones(evidence);
    found.diagnosis(
        evidence,
        Cause::ServerLame,
        "does not serve the zone",
        "do not serve the zone",
        |places| match evidence.survey.basis {
            Basis::World => {
                format!(
                    "The parent delegates {zone} to {places}, which does not answer for it with authority."
                )
            }
            _ => format!(
                "{zone} is not answered for with authority by {places}; it must be before the domain is delegated there."
            ),
        },
    )
}

/// A server that answers with a failure, or with what is no answer.
pub(super) fn server_failing(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let found = troubled(evidence, Trouble::Failing);
    found.diagnosis(evidence, Cause::ServerFailing, "fails", "fail", |places| {
        format!("{places} is reached and gives no usable answer.")
    })
}

/// A server from which nothing comes back.
pub(super) fn server_unreachable(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let found = troubled(evidence, Trouble::Unreachable);
    found.diagnosis(evidence, Cause::ServerUnreachable, "cannot be reached", "cannot be reached", |places| {
        format!("Nothing comes back from {places}, while other servers can be reached from here.")
    })
}

/// A server that gives the CNAME and no answer to TXT at the same name.
pub(super) fn txt_unanswerable(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut found = Found::default();
    found.add_textless(evidence, |why| why != Trouble::Tcp);
    found.diagnosis(
        evidence,
        Cause::TxtUnanswerable,
        "does not answer TXT at the CNAME",
        "do not answer TXT at the CNAME",
        |places| {
            format!(
                "{places} gives the CNAME and no answer to TXT at the same name; the provider and every \
                     receiver ask for TXT."
            )
        },
    )
}

/// A server whose long answers can't be had.
pub(super) fn tcp_unanswerable(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut found = troubled(evidence, Trouble::Tcp);
    found.add_textless(evidence, |why| why == Trouble::Tcp);
    found.diagnosis(
        evidence,
        Cause::TcpUnanswerable,
        "does not answer over TCP",
        "do not answer over TCP",
        |places| format!("The answer of {places} over UDP is truncated, and over TCP none comes."),
    )
}

/// What a rule has found at some servers.
struct Found {
    places: Vec<String>,
    records: Vec<Name>,
    lines: Vec<String>,
    certainty: Certainty,
}

impl Default for Found {
    fn default() -> Self {
        Self { places: Vec::new(), records: Vec::new(), lines: Vec::new(), certainty: Certainty::Certain }
    }
}

/// The addresses with this trouble, those aside whose silence may be this machine's fault.
fn troubled(evidence: &Evidence<'_>, kind: Trouble) -> Found {
    let mut found = Found::default();
    for address in evidence.addresses.iter().filter(|address| !address.excused) {
        let troubled: Vec<(&RecordReport, &Finding)> = address.troubled(kind);
        if troubled.is_empty() {
            continue;
        }
        found.places.push(address.vantage.to_string());
        for (record, _) in &troubled {
            found.add(&record.expected.name);
        }
        found.lines.extend(troubled_lines(evidence, address, &troubled));
    }
    found
}

/// One line where all questions ended alike, else one a question.
fn troubled_lines(
    evidence: &Evidence<'_>,
    address: &AddressSight<'_>,
    troubled: &[(&RecordReport, &Finding)],
) -> Vec<String> {
    let mut short: Vec<String> =
        troubled.iter().map(|(_, finding)| evidence.line(&finding.observation)).collect();
    short.dedup();
    if short.len() == 1 && troubled.len() == address.findings.len() {
        return short;
    }
    troubled.iter().map(|(_, finding)| evidence.full_line(&finding.observation)).collect()
}

impl Found {
    /// Adds the addresses that give a CNAME and don't answer TXT, for such a reason.
    fn add_textless(&mut self, evidence: &Evidence<'_>, for_reason: impl Fn(Trouble) -> bool) {
        for address in &evidence.addresses {
            let here: Vec<_> = address.textless.iter().filter(|(.., why)| for_reason(*why)).collect();
            let place = address.vantage.to_string();
            if here.is_empty() || self.places.contains(&place) {
                continue;
            }
            self.places.push(place);
            for (record, observation, _) in here {
                self.add(&record.expected.name);
                self.lines.push(evidence.full_line(observation));
            }
        }
    }

    fn add(&mut self, record: &Name) {
        if !self.records.contains(record) {
            self.records.push(record.clone());
        }
    }

    fn diagnosis(
        self,
        evidence: &Evidence<'_>,
        cause: Cause,
        one: &str,
        several: &str,
        detail: impl FnOnce(&str) -> String,
    ) -> Vec<Diagnosis> {
        if self.places.is_empty() {
            return Vec::new();
        }
        let places = self.places.join(" and ");
        // As in the exposure, servers on the way that only lead to others aren't counted.
        let of = evidence.exposure().of;
        // One record that no server gives fails the identity, whatever the others do.
        let all = self.records.iter().any(|record| evidence.no_address_serves(record));
        vec![Diagnosis {
            cause,
            certainty: self.certainty,
            impact: if all { Verdict::Failing } else { Verdict::Degraded },
            summary: format!(
                "{} of {of} name server addresses {}",
                self.places.len(),
                if self.places.len() == 1 { one } else { several }
            ),
            detail: detail(&places),
            remedy: remedy_here(cause, &format!("Here: {places}."), []),
            records: self.records,
            evidence: self.lines,
            changed_by: None,
        }]
    }
}

fn zones(evidence: &Evidence<'_>) -> String {
    let zones: Vec<Name> = evidence.survey.zones.iter().map(|delegation| delegation.zone.clone()).collect();
    names_list(&zones)
}
