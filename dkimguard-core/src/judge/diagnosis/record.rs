//! The record: what stands at an expected name instead of what must.

use super::evidence::{Evidence, shortened};
use super::{Cause, Certainty, Diagnosis, count_records, is_or_are, remedy_here};
use crate::identity::{Expected, ExpectedValue};
use crate::judge::finding::{Finding, Sight, State, trouble};
use crate::judge::{RecordReport, Verdict};
use crate::key_record::{KeyRecord, PublicKey};
use crate::look::{Response, Vantage, doubled_name, without_underscore};
use crate::name::Name;
use crate::record::{RecordData, RecordKind};

/// The causes in the order in which they are tried: the first that fits is a record's cause at a server.
const FAULTS: &[(Cause, Fits)] = &[
    (Cause::ConflictingRecords, is_conflict),
    (Cause::ValueDoubled, is_value_doubled),
    (Cause::MalformedValue, is_malformed),
    (Cause::WildcardAnswer, is_wildcard),
    (Cause::WrongTarget, is_other_target),
    (Cause::CnameFlattened, is_flattened),
    (Cause::TxtInsteadOfCname, is_text),
    (Cause::SeveralKeys, |at| at.finding.sight == Sight::Key(Cause::SeveralKeys)),
    (Cause::KeyRevoked, |at| at.finding.sight == Sight::Key(Cause::KeyRevoked)),
    (Cause::KeyUnreadable, |at| at.finding.sight == Sight::Key(Cause::KeyUnreadable)),
    (Cause::KeyWeak, |at| at.finding.sight == Sight::Key(Cause::KeyWeak)),
    (Cause::KeyMismatch, |at| at.finding.sight == Sight::Key(Cause::KeyMismatch)),
    (Cause::NameDoubled, is_name_doubled),
    (Cause::UnderscoreLost, is_underscore_lost),
    (Cause::RecordMissing, |at| at.finding.state == State::Absent),
];

type Fits = fn(&Place<'_>) -> bool;

/// One record at one vantage point.
struct Place<'a> {
    evidence: &'a Evidence<'a>,
    expected: &'a Expected,
    finding: &'a Finding,
}

/// What is wrong with each record, one diagnosis a cause.
pub(super) fn record_causes(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let wrong: Vec<(Cause, &RecordReport, &Finding)> = evidence
        .records
        .iter()
        .flat_map(|record| evidence.witnesses(record).into_iter().map(move |finding| (record, finding)))
        .filter(|(_, finding)| finding.state != State::Holds)
        .filter_map(|(record, finding)| {
            let place = Place { evidence, expected: &record.expected, finding };
            let (cause, _) = FAULTS.iter().find(|(_, fits)| fits(&place))?;
            Some((*cause, record, finding))
        })
        .collect();
    // What is wrong everywhere is one diagnosis, what holds at some servers another.
    let (somewhere, everywhere): (Vec<_>, Vec<_>) =
        wrong.into_iter().partition(|(_, record, _)| holds_somewhere(evidence, record));
    let diagnose = |wrong: &[(Cause, &RecordReport, &Finding)]| -> Vec<Diagnosis> {
        FAULTS.iter().filter_map(|&(cause, _)| diagnosis(evidence, cause, wrong)).collect()
    };
    [diagnose(&everywhere), diagnose(&somewhere)].concat()
}

fn diagnosis(
    evidence: &Evidence<'_>,
    cause: Cause,
    wrong: &[(Cause, &RecordReport, &Finding)],
) -> Option<Diagnosis> {
    let mine: Vec<_> = wrong
        .iter()
        .filter(|(other, record, _)| {
            // Where some servers hold the record, its absence at others is told by `servers-disagree`.
            *other == cause && !(cause == Cause::RecordMissing && holds_somewhere(evidence, record))
        })
        .collect();
    let mut records: Vec<&RecordReport> = Vec::new();
    for (_, record, _) in &mine {
        if !records.iter().any(|known| known.expected.name == record.expected.name) {
            records.push(record);
        }
    }
    let first = records.first()?;
    let somewhere = records.iter().all(|record| holds_somewhere(evidence, record));
    let by_servers = mine.iter().all(|(_, _, finding)| finding.observation.vantage.is_authoritative());
    let zone = evidence.survey.zone_of(&first.expected.name).map(|delegation| &delegation.zone);
    let names: Vec<Name> = records.iter().map(|record| record.expected.name.clone()).collect();
    let counted = count_records(names.len(), evidence.records.len());
    Some(Diagnosis {
        cause,
        certainty: if by_servers { Certainty::Certain } else { Certainty::Likely },
        impact: if somewhere { Verdict::Degraded } else { Verdict::Failing },
        summary: format!("{counted} {}", short(cause, names.len())),
        detail: detail(evidence, cause, &records, zone),
        remedy: remedy(cause, &records),
        records: names,
        evidence: mine
            .iter()
            .flat_map(|(_, record, finding)| lines(evidence, cause, record, finding))
            .collect(),
        changed_by: None,
    })
}

/// What was seen of a record at a place, and what else there gives the cause away.
fn lines(evidence: &Evidence<'_>, cause: Cause, record: &RecordReport, finding: &Finding) -> Vec<String> {
    let expected = &record.expected;
    let place = Place { evidence, expected, finding };
    let kind = expected.value.kind();
    let found_at = match cause {
        Cause::NameDoubled => doubled_name(&expected.name, place.zone()).map(|name| (name, kind)),
        Cause::UnderscoreLost => without_underscore(&expected.name).map(|name| (name, kind)),
        Cause::WildcardAnswer => evidence.survey.sibling.clone().and_then(|sibling| {
            let kinds = [RecordKind::Cname, RecordKind::Txt, RecordKind::A, RecordKind::Aaaa];
            let kind = kinds.into_iter().find(|&kind| !place.data_at(&sibling, kind).is_empty())?;
            Some((sibling, kind))
        }),
        Cause::ConflictingRecords => {
            let kinds = [RecordKind::Txt, RecordKind::A, RecordKind::Aaaa, RecordKind::Mx, RecordKind::Ns];
            let beside = kinds.into_iter().find(|&kind| !place.data_at(&expected.name, kind).is_empty());
            let elsewhere = || kinds.into_iter().find(|&kind| place.leads_elsewhere(kind));
            beside.or_else(elsewhere).map(|kind| (expected.name.clone(), kind))
        }
        Cause::CnameFlattened | Cause::TxtInsteadOfCname => {
            [RecordKind::A, RecordKind::Aaaa, RecordKind::Txt]
                .into_iter()
                .find(|&kind| !place.data_at(&expected.name, kind).is_empty())
                .map(|kind| (expected.name.clone(), kind))
        }
        _ => None,
    };
    let mut line = evidence.full_line(&finding.observation);
    if cause == Cause::KeyWeak {
        line.push_str(&format!(" ({} bits)", bits(finding.values.first().map_or("", String::as_str))));
    }
    let clue = found_at.and_then(|(name, kind)| evidence.survey.at(place.vantage(), &name, kind));
    std::iter::once(line).chain(clue.map(|clue| evidence.full_line(clue))).collect()
}

fn holds_somewhere(evidence: &Evidence<'_>, record: &RecordReport) -> bool {
    evidence.witnesses(record).iter().any(|finding| finding.state == State::Holds)
}

/// What follows "1 of 3 DKIM records" in a summary.
fn short(cause: Cause, count: usize) -> String {
    let verb = is_or_are(count);
    match cause {
        Cause::NameDoubled => format!("{verb} at the name with the zone appended twice"),
        Cause::UnderscoreLost => format!("{verb} at a name without the underscore"),
        Cause::ValueDoubled => format!("{verb} pointed at a target with the zone appended"),
        Cause::WrongTarget => format!("{verb} pointed at another target"),
        Cause::CnameFlattened => format!("{verb} proxied or flattened"),
        Cause::TxtInsteadOfCname => format!("{verb} TXT instead of CNAME"),
        Cause::MalformedValue => format!("{verb} malformed"),
        Cause::ConflictingRecords => format!("{verb} in conflict with other records at the name"),
        Cause::WildcardAnswer => format!("{verb} missing, and a wildcard answers"),
        Cause::KeyRevoked => format!("{verb} a revoked key"),
        Cause::KeyUnreadable => format!("{verb} no usable key"),
        Cause::KeyWeak => format!("{verb} a key under 1024 bits"),
        Cause::KeyMismatch => format!("{verb} another key than expected"),
        Cause::SeveralKeys => format!("{verb} published as several TXT records"),
        _ => format!("{verb} missing"),
    }
}

/// What is wrong, in whole sentences.
fn detail(evidence: &Evidence<'_>, cause: Cause, records: &[&RecordReport], zone: Option<&Name>) -> String {
    let seen = records
        .first()
        .and_then(|record| evidence.witnesses(record).into_iter().find(|finding| !finding.values.is_empty()))
        .and_then(|finding| finding.values.first().cloned())
        .unwrap_or_default();
    let shown = shortened(&seen);
    let expected = records.first().map(|record| record.expected.value.to_string()).unwrap_or_default();
    let zone = zone.map_or_else(|| "the zone".to_owned(), ToString::to_string);
    match cause {
        Cause::NameDoubled => format!("The record exists at its name with {zone} appended once more: the form of the DNS host \
                     takes each name for one relative to {zone}."),
        Cause::UnderscoreLost => "The record exists at the name with domainkey in place of _domainkey.".to_owned(),
        Cause::ValueDoubled => format!("The CNAME points at {shown}: the right target with the zone appended."),
        Cause::WrongTarget => format!("The CNAME points at {shown}, and must point at {expected}; the provider compares the value, \
                     so a detour to the right place does not do."),
        Cause::CnameFlattened => "Asked for the CNAME, the server says there is none, and answers with what lies behind it: the DNS \
             host proxies or flattens the record."
                .to_owned(),
        Cause::TxtInsteadOfCname => "A TXT record stands at the name, and no CNAME.".to_owned(),
        Cause::MalformedValue => format!("The CNAME points at {shown}, which is the right target but for stray characters."),
        Cause::ConflictingRecords => "More than one CNAME stands at the name, or a CNAME beside other records; a CNAME must be alone \
             (RFC 1034 §3.6.2)."
                .to_owned(),
        Cause::WildcardAnswer => "A name that nobody has published gets the same answer: only a wildcard answers, and the record \
             itself does not exist."
                .to_owned(),
        Cause::KeyRevoked => "The key record has an empty p= tag, which says that the key is withdrawn (RFC 6376 §3.6.1).".to_owned(),
        Cause::KeyUnreadable => format!("The TXT at the selector is no key that mail can be verified with{}.", unreadable(&seen)),
        Cause::KeyWeak => format!("The RSA key has {} bits; verifiers do not accept keys under 1024 (RFC 8301 §3.2).", bits(&seen)),
        Cause::KeyMismatch => "A usable key is published, and it is not the expected one: signatures will not verify.".to_owned(),
        Cause::SeveralKeys => "More than one TXT record stands at the selector; which one a verifier takes is left to chance \
             (RFC 6376 §3.6.2.2)."
                .to_owned(),
        _ => "Every place that answers with authority says that the record is not there.".to_owned(),
    }
}

/// The catalogue's remedy and the records to publish.
fn remedy(cause: Cause, records: &[&RecordReport]) -> String {
    let expected = records.iter().map(|record| &record.expected);
    if cause == Cause::KeyWeak {
        // What is expected may be the weak key itself.
        let anew = |expected: &Expected| Expected { value: ExpectedValue::AnyKey, ..expected.clone() };
        return remedy_here(cause, "", &expected.map(anew).collect::<Vec<_>>());
    }
    remedy_here(cause, "", expected)
}

fn unreadable(seen: &str) -> String {
    KeyRecord::parse(seen.as_bytes()).err().map_or_else(String::new, |error| format!(": {error}"))
}

fn bits(seen: &str) -> String {
    match KeyRecord::parse(seen.as_bytes()).as_ref().map(KeyRecord::key) {
        Ok(PublicKey::Rsa { bits }) => bits.to_string(),
        _ => "too few".to_owned(),
    }
}

impl Place<'_> {
    fn vantage(&self) -> &Vantage {
        &self.finding.observation.vantage
    }

    /// What this vantage point answers about a name, if that proves anything.
    fn answer(&self, name: &Name, kind: RecordKind) -> Option<&Response> {
        let survey = self.evidence.survey;
        let observation = survey.at(self.vantage(), name, kind)?;
        if trouble(observation, survey).is_some() {
            return None;
        }
        observation.outcome.as_ref().ok()
    }

    /// The records of this type that this vantage point has at a name itself.
    fn data_at(&self, name: &Name, kind: RecordKind) -> Vec<&RecordData> {
        self.answer(name, kind).map_or_else(Vec::new, |response| {
            response
                .answers
                .iter()
                .filter(|record| record.name == *name && record.kind() == kind)
                .map(|record| &record.data)
                .collect()
        })
    }

    /// Whether a question of this type is led by another CNAME than the question of type CNAME.
    fn leads_elsewhere(&self, kind: RecordKind) -> bool {
        let name = &self.expected.name;
        let aliases = |kind| self.answer(name, kind).map(|response| response.cnames(name));
        aliases(kind).is_some_and(|other| !other.is_empty() && Some(other) != aliases(RecordKind::Cname))
    }

    /// Whether a wildcard answers with the same records for a name that nobody has published.
    fn is_by_wildcard(&self, name: &Name, kind: RecordKind) -> bool {
        let here = self.data_at(name, kind);
        let Some(sibling) = &self.evidence.survey.sibling else { return false };
        let there = self.data_at(sibling, kind);
        !here.is_empty() && here.len() == there.len() && here.iter().all(|data| there.contains(data))
    }

    /// Whether the expected record is there at a variant of the name; a wildcard's answer is another.
    fn exists_at(&self, name: Option<Name>) -> bool {
        let kind = self.expected.value.kind();
        let is_expected = |data: &&RecordData| match (data, &self.expected.value) {
            (RecordData::Cname(seen), ExpectedValue::Cname(target)) => {
                seen == target
                    || self
                        .suffixes()
                        .any(|suffix| target.appended(suffix).is_ok_and(|doubled| doubled == *seen))
            }
            (RecordData::Txt(txt), _) => KeyRecord::parse(&txt.joined()).is_ok(),
            _ => false,
        };
        name.is_some_and(|name| {
            self.data_at(&name, kind).iter().any(is_expected) && !self.is_by_wildcard(&name, kind)
        })
    }

    fn only_target(&self) -> Option<&Name> {
        match &self.finding.sight {
            Sight::Targets(targets) if targets.len() == 1 => targets.first(),
            _ => None,
        }
    }

    /// The zone in which the record lies; where no server was asked, the domain, which it most likely is.
    fn zone(&self) -> &Name {
        let delegation = self.evidence.survey.zone_of(&self.expected.name);
        delegation.map_or(self.evidence.identity.domain(), |delegation| &delegation.zone)
    }

    /// The zones that a form may have appended.
    fn suffixes(&self) -> impl Iterator<Item = &Name> {
        [self.zone(), self.evidence.identity.domain()].into_iter()
    }
}

fn is_conflict(at: &Place<'_>) -> bool {
    match &at.finding.sight {
        Sight::Conflict => true,
        Sight::Targets(targets) => targets.len() > 1,
        _ => false,
    }
}

fn is_value_doubled(at: &Place<'_>) -> bool {
    let (Some(seen), Some(target)) = (at.only_target(), at.expected.value.target()) else { return false };
    // A zone file may have an origin right above the record.
    let origin = at.expected.name.parent();
    at.suffixes().chain(&origin).any(|suffix| target.appended(suffix).is_ok_and(|doubled| doubled == *seen))
}

/// Characters that find their way into values from mails and web pages, and the dashes that look like one.
fn is_malformed(at: &Place<'_>) -> bool {
    let (Some(seen), Some(target)) = (at.only_target(), at.expected.value.target()) else { return false };
    let raw = seen.labels().map(String::from_utf8_lossy).collect::<Vec<_>>().join(".");
    let unicode = seen.to_unicode();
    [raw, unicode].iter().any(|text| {
        let plain: String = text
            .chars()
            .filter(|character| {
                !character.is_whitespace() && !matches!(character, '"' | '\'' | '\\' | '“' | '”' | '`')
            })
            .map(|character| match character {
                '\u{2010}'..='\u{2015}' | '\u{2212}' | '\u{fe58}' | '\u{fe63}' | '\u{ff0d}' => '-',
                other => other,
            })
            .collect();
        let plain =
            plain.trim_start_matches("http://").trim_start_matches("https://").trim_end_matches(['/', '.']);
        let Ok(cleaned) = plain.parse::<Name>() else { return false };
        cleaned == *target
            || at.suffixes().any(|suffix| target.appended(suffix).is_ok_and(|doubled| doubled == cleaned))
    })
}

fn is_wildcard(at: &Place<'_>) -> bool {
    let name = &at.expected.name;
    match at.expected.value.kind() {
        RecordKind::Cname if at.finding.state == State::Differs => at.is_by_wildcard(name, RecordKind::Cname),
        RecordKind::Cname => [RecordKind::Txt, RecordKind::A, RecordKind::Aaaa]
            .iter()
            .any(|&kind| at.is_by_wildcard(name, kind)),
        _ => at.is_by_wildcard(name, RecordKind::Txt),
    }
}

fn is_other_target(at: &Place<'_>) -> bool {
    at.only_target().is_some()
}

fn is_flattened(at: &Place<'_>) -> bool {
    let name = &at.expected.name;
    let Some(target) = at.expected.value.target() else { return false };
    if at.finding.state != State::Absent {
        return false;
    }
    if [RecordKind::A, RecordKind::Aaaa].iter().any(|&kind| !at.data_at(name, kind).is_empty()) {
        return true;
    }
    let here = at.data_at(name, RecordKind::Txt);
    let behind: Vec<RecordData> = target_texts(at.evidence, target);
    !here.is_empty() && here.len() == behind.len() && here.iter().all(|data| behind.contains(data))
}

/// The TXT records of a target as the resolvers see them.
fn target_texts(evidence: &Evidence<'_>, target: &Name) -> Vec<RecordData> {
    evidence
        .survey
        .resolvers
        .iter()
        .filter_map(|resolver| evidence.survey.at(resolver, target, RecordKind::Txt))
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .map(|response| response.texts(target).into_iter().cloned().map(RecordData::Txt).collect::<Vec<_>>())
        .find(|texts| !texts.is_empty())
        .unwrap_or_default()
}

fn is_text(at: &Place<'_>) -> bool {
    let Some(target) = at.expected.value.target() else { return false };
    at.finding.state == State::Absent
        && at.data_at(&at.expected.name, RecordKind::Txt).iter().any(|data| match data {
            RecordData::Txt(txt) => {
                let text = txt.joined();
                let is_target = String::from_utf8_lossy(&text)
                    .trim()
                    .trim_matches('"')
                    .parse::<Name>()
                    .is_ok_and(|name| name == *target);
                is_target || KeyRecord::parse(&text).is_ok()
            }
            _ => false,
        })
}

fn is_name_doubled(at: &Place<'_>) -> bool {
    at.finding.state == State::Absent && at.exists_at(doubled_name(&at.expected.name, at.zone()))
}

fn is_underscore_lost(at: &Place<'_>) -> bool {
    at.finding.state == State::Absent && at.exists_at(without_underscore(&at.expected.name))
}

/// Earlier tokens of the identity are published, and today's aren't.
pub(super) fn tokens_changed(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    if !evidence.has_lost_all() {
        return Vec::new();
    }
    let lost = evidence.lost_records();
    let Some(keys) = lost.first().and_then(|record| record.expected.name.parent()) else { return Vec::new() };
    let mut published = evidence.earlier_names();
    published.retain(|name| is_published(evidence, name));
    let mut certainty = Certainty::Certain;
    if published.is_empty() {
        // By their shape alone, tokens may be another account's; only as many as an identity has are a hint.
        published = alike_in_zone(evidence, &keys);
        certainty = Certainty::Likely;
        if published.len() != evidence.records.len() {
            return Vec::new();
        }
    }
    vec![Diagnosis {
        cause: Cause::TokensChanged,
        certainty,
        impact: Verdict::Failing,
        summary: "earlier tokens are published, and not today's".to_owned(),
        detail: "The identity has new tokens: those that are published were its tokens before, and the provider looks \
                 for today's."
            .to_owned(),
        remedy: remedy_here(Cause::TokensChanged, "", lost.iter().map(|record| &record.expected)),
        records: lost.iter().map(|record| record.expected.name.clone()).collect(),
        evidence: published.iter().map(|name| format!("{name} is published")).collect(),
        changed_by: None,
    }]
}

/// Whether a name has a CNAME, in a hosted zone or at a name server, or where servers aren't asked through a resolver.
fn is_published(evidence: &Evidence<'_>, name: &Name) -> bool {
    let in_zone = evidence
        .witnesses
        .zones
        .iter()
        .any(|zone| zone.at(name).any(|record| record.kind() == RecordKind::Cname));
    let survey = evidence.survey;
    let resolvers = survey.resolvers.iter().filter(|_| !survey.asks_servers);
    let mut places = evidence.addresses.iter().map(|address| &address.vantage).chain(resolvers);
    in_zone
        || places.any(|place| {
            survey
                .at(place, name, RecordKind::Cname)
                .and_then(|observation| observation.outcome.as_ref().ok())
                .is_some_and(|response| !response.cnames(name).is_empty())
        })
}

/// The names in a hosted zone whose CNAMEs look like this identity's: `<token>._domainkey…` to the same token in the
/// same zone of targets.
fn alike_in_zone(evidence: &Evidence<'_>, keys: &Name) -> Vec<Name> {
    let zones_of_targets: Vec<Name> =
        evidence.records.iter().filter_map(|record| record.expected.value.target()?.parent()).collect();
    let today: Vec<&Name> = evidence.records.iter().map(|record| &record.expected.name).collect();
    evidence
        .witnesses
        .zones
        .iter()
        .flat_map(|zone| &zone.records)
        .filter(|record| match &record.data {
            RecordData::Cname(target) => {
                record.name.parent().as_ref() == Some(keys)
                    && record.name.labels().next() == target.labels().next()
                    && target.parent().is_some_and(|zone| zones_of_targets.contains(&zone))
            }
            _ => false,
        })
        .filter(|record| !today.contains(&&record.name))
        .map(|record| record.name.clone())
        .collect()
}

/// No target holds a key, at any place, and every target was seen.
pub(super) fn no_active_key(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let all_hold = evidence.records.iter().all(|record| {
        let witnesses = evidence.witnesses(record);
        !witnesses.is_empty() && witnesses.iter().all(|finding| finding.state == State::Holds)
    });
    let targets: Vec<&Name> =
        evidence.records.iter().filter_map(|record| record.expected.value.target()).collect();
    if !all_hold || targets.is_empty() || targets.len() < evidence.records.len() {
        return Vec::new();
    }
    let mut lines = Vec::new();
    for (record, target) in evidence.records.iter().zip(&targets) {
        let mut seen = false;
        for observation in evidence.survey.observations.iter() {
            let question = &observation.question;
            let about = question.name == **target || question.name == record.expected.name;
            if !about || question.kind != RecordKind::Txt || observation.vantage.is_authoritative() {
                continue;
            }
            if trouble(observation, evidence.survey).is_some() {
                continue;
            }
            let Ok(response) = &observation.outcome else { continue };
            let holds_key = response.texts(&question.name).iter().any(|text| {
                KeyRecord::parse(&text.joined()).is_ok_and(|record| *record.key() != PublicKey::Revoked)
            });
            if holds_key {
                return Vec::new();
            }
            if question.name == **target && !seen {
                seen = true;
                lines.push(evidence.full_line(observation));
            }
        }
        if !seen {
            return Vec::new();
        }
    }
    vec![Diagnosis {
        cause: Cause::NoActiveKey,
        certainty: Certainty::Certain,
        impact: Verdict::Degraded,
        summary: "all CNAMEs hold, and none of their targets holds a key".to_owned(),
        detail: "All CNAMEs are right, and not one of the names that they point at holds a key, so that no \
                 signature can be verified. Normally one of them does, and the others are idle."
            .to_owned(),
        remedy: Cause::NoActiveKey.remedy().to_owned(),
        records: evidence.records.iter().map(|record| record.expected.name.clone()).collect(),
        evidence: lines,
        changed_by: None,
    }]
}

/// A key that is published as being tested.
pub(super) fn key_testing(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let testing: Vec<(&RecordReport, &Finding)> = evidence
        .records
        .iter()
        .filter(|record| record.expected.value.kind() == RecordKind::Txt)
        .filter_map(|record| {
            let is_testing = |finding: &&Finding| {
                finding.state == State::Holds
                    && finding
                        .values
                        .iter()
                        .any(|text| KeyRecord::parse(text.as_bytes()).is_ok_and(|record| record.is_testing()))
            };
            Some((record, record.findings.iter().find(is_testing)?))
        })
        .collect();
    if testing.is_empty() {
        return Vec::new();
    }
    vec![Diagnosis {
        cause: Cause::KeyTesting,
        certainty: Certainty::Certain,
        impact: Verdict::Healthy,
        summary: format!("{} in testing", count_records(testing.len(), evidence.records.len())),
        detail: "The key record carries t=y: receivers may treat the mail as though it were not signed \
                 (RFC 6376 §3.6.1)."
            .to_owned(),
        remedy: Cause::KeyTesting.remedy().to_owned(),
        records: testing.iter().map(|(record, _)| record.expected.name.clone()).collect(),
        evidence: testing.iter().map(|(_, finding)| evidence.full_line(&finding.observation)).collect(),
        changed_by: None,
    }]
}
