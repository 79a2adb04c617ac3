//! The delegation: the world is sent to other servers than those that hold the records.

use jiff::Timestamp;

use super::evidence::Evidence;
use super::{Cause, Certainty, Diagnosis, count_records, names_list, remedy_here};
use crate::identity::{Expected, ExpectedValue};
use crate::judge::finding::State;
use crate::judge::{RecordReport, Verdict};
use crate::key_record::KeyRecord;
use crate::look::{Delegation, Rcode, Vantage};
use crate::name::Name;
use crate::record::{RecordData, RecordKind};
use crate::zone::{HostedZone, Visibility};

/// Name servers of services that park domains: who is sent there owns no zone any more.
const PARKING: &[&str] = &[
    "above.com",
    "afternic.com",
    "bodis.com",
    "cashparking.com",
    "dan.com",
    "dsredirection.com",
    "fastpark.net",
    "namebrightdns.com",
    "parklogic.com",
    "parkingcrew.net",
    "pendingrenewaldeletion.com",
    "sedoparking.com",
    "uniregistrymarket.link",
    "voodoo.com",
];

/// The registry doesn't know the registered domain, or sends everybody to a parking service.
pub(super) fn domain_gone(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let Some(domain) = evidence.identity.domain().registered_domain() else { return Vec::new() };
    let unknown = evidence.survey.everything().find(|observation| {
        let response = observation.outcome.as_ref().ok();
        observation.question.name == domain
            && observation.vantage.is_authoritative()
            && response.is_some_and(|response| response.authoritative && response.rcode == Rcode::NXDOMAIN)
    });
    let delegation = evidence.survey.zones.iter().find(|zone| zone.zone == domain);
    let lost = evidence.lost_records();
    let (what, line) = match (unknown, delegation) {
        // The zone's own servers know best whether it is there.
        (Some(observation), None) => ("is not registered", evidence.full_line(observation)),
        (_, Some(delegation)) if !lost.is_empty() => {
            let Some(server) = delegation.given_by_parent.iter().find(|server| is_parking(server)) else {
                return Vec::new();
            };
            ("is parked", format!("{domain} is delegated to {server}"))
        }
        _ => return Vec::new(),
    };
    vec![diagnosis(
        Cause::DomainGone,
        Certainty::Certain,
        &evidence.records.iter().collect::<Vec<_>>(),
        format!("the domain {domain} {what}"),
        format!("The registry's own servers say that {domain} {what}: nothing in any zone helps."),
        "A domain in its redemption period can still be had back.",
        vec![line],
    )]
}

fn is_parking(server: &Name) -> bool {
    PARKING.iter().any(|parking| parking.parse::<Name>().is_ok_and(|parking| server.is_at_or_below(&parking)))
}

/// The records are in one of several public zones of the name, and not in the delegated one.
pub(super) fn several_zones(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let Some(held) = held_elsewhere(evidence, Visibility::Public) else { return Vec::new() };
    let others: Vec<&HostedZone> = evidence
        .witnesses
        .zones
        .iter()
        .filter(|zone| zone.name == held.zone.name && zone.visibility == Visibility::Public)
        .collect();
    if others.len() < 2 {
        return Vec::new();
    }
    let delegated = others.iter().find(|zone| zone.is_served_by(&held.delegated));
    let target = delegated.map_or_else(
        || "the zone that the parent delegates to".to_owned(),
        |zone| format!("{} {}", zone.host, zone.id),
    );
    let mut lines: Vec<String> = others.iter().map(|zone| zone_words(zone)).collect();
    lines.push(held.delegation_words());
    vec![diagnosis(
        Cause::SeveralZones,
        Certainty::Certain,
        &held.records,
        format!(
            "{} zones of {} are kept, and the records are in the wrong one",
            others.len(),
            held.zone.name
        ),
        format!(
            "{} holds {} public zones of the name {}, and the records are in {}, which nobody is sent to.",
            held.zone.host,
            others.len(),
            held.zone.name,
            held.zone.id
        ),
        &format!("Here that is {target}. Delete the other zone once nothing needs it."),
        lines,
    )]
}

/// The records are only in a private zone: this network sees them, the world doesn't.
pub(super) fn private_zone(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    if let Some(held) = held_elsewhere(evidence, Visibility::Private) {
        return vec![diagnosis(
            Cause::PrivateZone,
            Certainty::Certain,
            &held.records,
            format!("{} only in a private zone", counted(evidence, &held.records, "is", "are")),
            format!(
                "The private zone {} of {} holds the records; the world is not shown a private zone.",
                held.zone.id, held.zone.host
            ),
            "",
            vec![zone_words(held.zone), held.delegation_words()],
        )];
    }
    let own_view: Vec<&RecordReport> = evidence
        .lost_records()
        .into_iter()
        .filter(|record| {
            record.findings.iter().any(|finding| {
                finding.state == State::Holds && matches!(finding.observation.vantage, Vantage::System { .. })
            }) && !record.findings.iter().any(|finding| {
                finding.state == State::Holds
                    && !matches!(finding.observation.vantage, Vantage::System { .. })
            })
        })
        .collect();
    if own_view.is_empty() {
        return Vec::new();
    }
    let lines = own_view
        .iter()
        .flat_map(|record| &record.findings)
        .filter(|finding| finding.state == State::Holds)
        .map(|finding| evidence.full_line(&finding.observation))
        .collect();
    vec![diagnosis(
        Cause::PrivateZone,
        Certainty::Likely,
        &own_view,
        format!("{} seen by this machine's resolver alone", counted(evidence, &own_view, "is", "are")),
        "This machine's own resolver gives the records, and no name server of the world does: they are in a private \
         zone, or in this resolver's memory."
            .to_owned(),
        "",
        lines,
    )]
}

/// The records are in a zone that the parent doesn't delegate to: the name servers were moved.
pub(super) fn wrong_nameservers(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    if !several_zones(evidence).is_empty() || !domain_gone(evidence).is_empty() {
        return Vec::new();
    }
    if let Some(held) = held_elsewhere(evidence, Visibility::Public) {
        let mut lines = vec![zone_words(held.zone), held.delegation_words()];
        lines.extend(provider_words(evidence));
        return vec![diagnosis(
            Cause::WrongNameservers,
            Certainty::Certain,
            &held.records,
            format!("the records are in a zone at {} that the world is not sent to", held.zone.host),
            format!(
                "{} {} holds {}, and the parent delegates {} to other servers: the name servers were moved. What is \
                 edited in that zone has no effect, and a move at the registrar leaves no trace in its change \
                 history.",
                held.zone.host,
                held.zone.id,
                counted_records(evidence, &held.records),
                held.zone.name
            ),
            "",
            lines,
        )];
    }
    // Servers that the zone itself names, and the parent doesn't, hold what the parent's servers lack.
    let lost: Vec<&RecordReport> =
        evidence.records.iter().filter(|record| is_at_old_servers(evidence, record)).collect();
    if lost.len() == evidence.records.len() && !lost.is_empty() {
        let lines = lost
            .iter()
            .flat_map(|record| &record.findings)
            .filter(|finding| {
                finding.observation.vantage.is_authoritative() && finding.state != State::Unseen
            })
            .map(|finding| evidence.full_line(&finding.observation))
            .collect();
        return vec![diagnosis(
            Cause::WrongNameservers,
            Certainty::Certain,
            &lost,
            "the records are at name servers that the world is not sent to".to_owned(),
            "The servers that the zone names itself hold the records, and those that the parent delegates to do not: \
             the name servers were moved."
                .to_owned(),
            "",
            lines,
        )];
    }
    // The provider reached another zone than the delegated one, and all is missing in this.
    let lost = evidence.lost_records();
    if lost.len() == evidence.records.len() && !lost.is_empty() && moved_since(evidence).is_some() {
        return vec![diagnosis(
            Cause::WrongNameservers,
            Certainty::Likely,
            &lost,
            "the records are missing where the world is sent, and the provider had reached another zone".to_owned(),
            "The zone that the provider reached is not the one that the parent delegates to now, and in this one \
             every record is missing: the name servers were moved."
                .to_owned(),
            "",
            provider_words(evidence).into_iter().collect(),
        )];
    }
    Vec::new()
}

/// The parent's NS set and the zone's own differ, and the records hold at all of them.
pub(super) fn delegation_mismatch(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let all_hold = !evidence.records.is_empty()
        && evidence.records.iter().all(|record| {
            let witnesses = evidence.witnesses(record);
            !witnesses.is_empty() && witnesses.iter().all(|finding| finding.state == State::Holds)
        });
    if !all_hold {
        return Vec::new();
    }
    evidence
        .survey
        .zones
        .iter()
        .filter(|zone| evidence.is_of_a_record(zone))
        .filter_map(|zone| {
            let only_parent = without(&zone.given_by_parent, &zone.given_by_zone);
            let only_zone = without(&zone.given_by_zone, &zone.given_by_parent);
            let both_known = !zone.given_by_parent.is_empty() && !zone.given_by_zone.is_empty();
            if !both_known || (only_parent.is_empty() && only_zone.is_empty()) {
                return None;
            }
            let mut differences = Vec::new();
            if !only_parent.is_empty() {
                differences.push(format!("only the parent names {}", names_list(&only_parent)));
            }
            if !only_zone.is_empty() {
                differences.push(format!("only the zone names {}", names_list(&only_zone)));
            }
            let mut diagnosis = diagnosis(
                Cause::DelegationMismatch,
                Certainty::Certain,
                &evidence.records.iter().collect::<Vec<_>>(),
                format!("the parent and {} name different servers", zone.zone),
                format!(
                    "The parent's NS set and the zone's own differ: {}. The records hold at all of them today; an edit \
                     that reaches only some will not.",
                    differences.join(", ")
                ),
                &format!("Here: the NS records at the top of {}.", zone.zone),
                vec![
                    format!("the parent gives {}", names_list(&zone.given_by_parent)),
                    format!("{} gives {}", zone.zone, names_list(&zone.given_by_zone)),
                ],
            );
            diagnosis.impact = Verdict::Degraded;
            Some(diagnosis)
        })
        .collect()
}

/// A delegation lies between the zone and the records, which were put above it.
pub(super) fn zone_cut(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let domain = evidence.identity.domain();
    let lost: Vec<(&RecordReport, &Delegation)> = evidence
        .lost_records()
        .into_iter()
        .filter_map(|record| {
            let zone = evidence.survey.zone_of(&record.expected.name)?;
            let absent = evidence.witnesses(record).iter().all(|finding| finding.state == State::Absent);
            (absent && zone.zone.is_below(domain)).then_some((record, zone))
        })
        .collect();
    let Some((_, cut)) = lost.first() else { return Vec::new() };
    let records: Vec<&RecordReport> = lost.iter().map(|(record, _)| *record).collect();
    let above = evidence.witnesses.zones.iter().find(|zone| {
        cut.zone.is_below(&zone.name) && records.iter().any(|record| is_held(zone, &record.expected))
    });
    let parent = cut.parent.as_ref().unwrap_or(domain);
    let mut lines = vec![format!("{parent} delegates {} to {}", cut.zone, names_list(&cut.given_by_parent))];
    lines.extend(above.map(zone_words));
    vec![diagnosis(
        Cause::ZoneCut,
        if above.is_some() { Certainty::Certain } else { Certainty::Likely },
        &records,
        format!("{} is a zone of its own, and the records are not in it", cut.zone),
        format!(
            "{parent} delegates {} to servers of its own, and these do not hold the records; what {parent} holds \
             below that cut is never seen.",
            cut.zone
        ),
        &format!("Here: the zone {}, which {parent} delegates.", cut.zone),
        lines,
    )]
}

/// A hosted zone that holds records which the delegated servers lack.
struct Held<'a> {
    zone: &'a HostedZone,
    records: Vec<&'a RecordReport>,
    /// The servers that the parent gives for the zone.
    delegated: Vec<Name>,
}

impl Held<'_> {
    fn delegation_words(&self) -> String {
        if self.delegated.is_empty() {
            return format!("the delegation of {} was not seen", self.zone.name);
        }
        format!("the parent delegates {} to {}", self.zone.name, names_list(&self.delegated))
    }
}

/// The hosted zone, of this visibility and not delegated, that holds records while the delegated servers hold none.
fn held_elsewhere<'a>(evidence: &Evidence<'a>, visibility: Visibility) -> Option<Held<'a>> {
    let lost = evidence.lost_records();
    // A zone in which some of the records hold is the one in use, and the others are missing in it.
    if lost.is_empty() || lost.len() < evidence.records.len() {
        return None;
    }
    evidence.witnesses.zones.iter().filter(|zone| zone.visibility == visibility).find_map(|zone| {
        let delegation = evidence.survey.zones.iter().find(|delegation| delegation.zone == zone.name);
        let delegated = delegation.map_or_else(Vec::new, |delegation| delegation.given_by_parent.clone());
        if visibility == Visibility::Public && (delegated.is_empty() || zone.is_served_by(&delegated)) {
            return None;
        }
        let records: Vec<&RecordReport> =
            lost.iter().copied().filter(|record| is_held(zone, &record.expected)).collect();
        (!records.is_empty()).then_some(Held { zone, records, delegated })
    })
}

/// Whether a hosted zone holds a record as it must be.
fn is_held(zone: &HostedZone, expected: &Expected) -> bool {
    let mut there = zone.at(&expected.name).map(|record| &record.data);
    match &expected.value {
        ExpectedValue::Cname(target) => {
            there.any(|data| matches!(data, RecordData::Cname(seen) if seen == target))
        }
        ExpectedValue::Key(key) => there.any(|data| match data {
            RecordData::Txt(txt) => KeyRecord::parse(&txt.joined()).is_ok_and(|seen| seen.same_key(key)),
            _ => false,
        }),
        ExpectedValue::AnyKey => there.any(|data| data.kind() == RecordKind::Txt),
    }
}

/// Whether servers that only the zone names hold a record, while the parent's servers all lack it.
fn is_at_old_servers(evidence: &Evidence<'_>, record: &RecordReport) -> bool {
    let Some(zone) = evidence.survey.zone_of(&record.expected.name) else { return false };
    if zone.given_by_parent.is_empty() {
        return false;
    }
    let mut at_parents = Vec::new();
    let mut at_others = Vec::new();
    for finding in &record.findings {
        if let Vantage::Authoritative { server: Some(server), .. } = &finding.observation.vantage {
            let states = if zone.given_by_parent.contains(server) { &mut at_parents } else { &mut at_others };
            states.push(finding.state);
        }
    }
    let seen = |states: &[State]| states.iter().any(|state| *state != State::Unseen);
    seen(&at_parents) && !at_parents.contains(&State::Holds) && at_others.contains(&State::Holds)
}

/// When the provider reached a zone of other servers than those that are delegated now.
fn moved_since(evidence: &Evidence<'_>) -> Option<Option<Timestamp>> {
    let verification = evidence.identity.verification.as_ref()?;
    let reached: Name = verification.soa.as_ref()?.primary.parse().ok()?;
    let zone = evidence.survey.zones.first()?;
    let (soa, _) = evidence.soa_of(&zone.zone)?;
    let is_other = soa.primary != reached && zone.servers.iter().all(|server| server.name != reached);
    is_other.then_some(verification.last_checked)
}

/// What the provider reached, beside what is delegated.
pub(super) fn provider_words(evidence: &Evidence<'_>) -> Option<String> {
    let soa = evidence.identity.verification.as_ref()?.soa.as_ref()?;
    let checked = moved_since(evidence)?;
    let when = checked.map_or_else(String::new, |at| format!(" at {at:.0}"));
    let zone = evidence.survey.zones.first()?;
    Some(format!(
        "the provider reached a zone on {}, serial {}{when}; the parent delegates to {}",
        soa.primary,
        soa.serial,
        names_list(&zone.given_by_parent)
    ))
}

fn zone_words(zone: &HostedZone) -> String {
    let visibility = match zone.visibility {
        Visibility::Public => "public",
        Visibility::Private => "private",
    };
    let servers = if zone.servers.is_empty() {
        String::new()
    } else {
        format!(", served by {}", names_list(&zone.servers))
    };
    format!("{} zone {} of {} ({visibility}){servers}", zone.host, zone.id, zone.name)
}

fn counted_records(evidence: &Evidence<'_>, records: &[&RecordReport]) -> String {
    count_records(records.len(), evidence.records.len())
}

fn counted(evidence: &Evidence<'_>, records: &[&RecordReport], one: &str, several: &str) -> String {
    let verb = if records.len() == 1 { one } else { several };
    format!("{} {verb}", counted_records(evidence, records))
}

fn without(names: &[Name], others: &[Name]) -> Vec<Name> {
    names.iter().filter(|name| !others.contains(name)).cloned().collect()
}

fn diagnosis(
    cause: Cause,
    certainty: Certainty,
    records: &[&RecordReport],
    summary: String,
    detail: String,
    here: &str,
    evidence: Vec<String>,
) -> Diagnosis {
    let names: Vec<Name> = records.iter().map(|record| record.expected.name.clone()).collect();
    let published = records.iter().map(|record| &record.expected).filter(|_| cause.publishes());
    let remedy = remedy_here(cause, here, published);
    Diagnosis {
        cause,
        certainty,
        impact: Verdict::Failing,
        summary,
        detail,
        remedy,
        records: names,
        evidence,
        changed_by: None,
    }
}
