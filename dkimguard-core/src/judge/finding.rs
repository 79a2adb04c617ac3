//! [`Finding`]: what one vantage point shows of one expected record.

use std::fmt;

use serde::{Deserialize, Serialize};

use super::diagnosis::Cause;
use crate::error::LookupError;
use crate::identity::{Expected, ExpectedValue, Targets};
use crate::key_record::{KeyRecord, PublicKey};
use crate::look::{Observation, Rcode, Response, Survey, Vantage};
use crate::name::Name;
use crate::record::{RecordData, RecordKind, Txt};

/// The numbers of the types RRSIG and NSEC (RFC 4034 §3, §4).
const RRSIG: u16 = 46;
const NSEC: u16 = 47;

/// How one expected record stands at one vantage point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there and says what it must.
    Holds,
    /// Something else is there.
    Differs,
    /// It is not there, and the answer proves it.
    Absent,
    /// It could not be seen; nothing is known.
    Unseen,
}

impl State {
    /// The state in the JSON: `holds`, `differs`, `absent`, `unseen`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Unseen => "unseen",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one vantage point shows of one expected record.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How the record stands there.
    pub state: State,
    /// The values found there, as text; empty where none was.
    pub values: Vec<String>,
    /// What was asked and what came back.
    pub observation: Observation,
    /// What exactly was seen.
    pub(super) sight: Sight,
}

/// What exactly was seen of a record.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Sight {
    /// The record as it must be.
    Holds,
    /// CNAMEs that aren't the one that must be there.
    Targets(Vec<Name>),
    /// A CNAME, and at the same name records of other types, or another CNAME to a question of another type.
    Conflict,
    /// TXT records that aren't as they must be, and what is wrong with them.
    Key(Cause),
    /// Proof that there is no such record.
    Absent,
    /// Nothing that proves anything.
    Nothing(Trouble),
}

/// Why a response, or the lack of one, proves nothing.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trouble {
    /// The server doesn't serve the zone.
    Lame,
    /// The server answers with a failure, or with something that is no answer.
    Failing,
    /// The server couldn't be reached.
    Unreachable,
    /// The answer was truncated, and TCP failed.
    Tcp,
    /// The record is an alias into another zone, of which too little is seen.
    Elsewhere,
    /// The question couldn't be sent from here.
    Here,
    /// What must be there is itself only assumed.
    Assumed,
}

/// Compares an expected record with what a vantage point answered; none if it wasn't asked there.
pub(super) fn compare(
    expected: &Expected,
    targets: Targets,
    vantage: &Vantage,
    survey: &Survey,
) -> Option<Finding> {
    let observation = survey.at(vantage, &expected.name, expected.value.kind())?;
    let sight = match trouble(observation, survey) {
        Some(trouble) => Sight::Nothing(trouble),
        None => {
            observation.outcome.as_ref().map_or(Sight::Nothing(Trouble::Here), |response| {
                match &expected.value {
                    ExpectedValue::Cname(target) => {
                        let sight = see_cname(expected, target, response, vantage, survey);
                        if targets == Targets::Assumed { without_assumption(sight, target) } else { sight }
                    }
                    ExpectedValue::Key(_) | ExpectedValue::AnyKey => {
                        see_key(expected, response, vantage, survey)
                    }
                }
            })
        }
    };
    let state = match &sight {
        Sight::Holds => State::Holds,
        Sight::Targets(_) | Sight::Conflict | Sight::Key(_) => State::Differs,
        Sight::Absent => State::Absent,
        Sight::Nothing(_) => State::Unseen,
    };
    let values =
        observation.outcome.as_ref().map_or_else(|_| Vec::new(), |response| values(expected, response));
    Some(Finding { state, values, observation: observation.clone(), sight })
}

/// Whether data is what must stand at a record's name.
pub(crate) fn fits(expected: &ExpectedValue, data: &RecordData) -> bool {
    match (expected, data) {
        (ExpectedValue::Cname(target), RecordData::Cname(found)) => target == found,
        (ExpectedValue::Key(_) | ExpectedValue::AnyKey, RecordData::Txt(text)) => {
            judge_text(expected, text) == Sight::Holds
        }
        _ => false,
    }
}

/// The CNAMEs, or the texts, that a response gives for the record.
fn values(expected: &Expected, response: &Response) -> Vec<String> {
    let name = &expected.name;
    match expected.value.kind() {
        RecordKind::Cname => response.cnames(name).iter().map(ToString::to_string).collect(),
        _ => response.texts(name).iter().map(ToString::to_string).collect(),
    }
}

/// Why an observation proves nothing about the record, if it doesn't.
pub(super) fn trouble(observation: &Observation, survey: &Survey) -> Option<Trouble> {
    let response = match &observation.outcome {
        Ok(response) => response,
        Err(error) => return Some(trouble_of(error)),
    };
    let name = &observation.question.name;
    let is_server = observation.vantage.is_authoritative();
    match response.rcode {
        Rcode::NOERROR | Rcode::NXDOMAIN => {}
        Rcode::REFUSED | Rcode::NOTAUTH if is_server => return Some(Trouble::Lame),
        _ => return Some(Trouble::Failing),
    }
    // Some servers clear AA once they have followed a CNAME; that they have authority their SOA shows.
    let has_followed = !response.cnames(name).is_empty() && has_authority(&observation.vantage, name, survey);
    if is_server && !response.authoritative && !has_followed {
        return Some(Trouble::Lame);
    }
    let proves_something = response.rcode == Rcode::NXDOMAIN
        || !response.answers.is_empty()
        || response.proof_of_absence().is_some();
    (!proves_something).then_some(Trouble::Failing)
}

/// Whether a server gives the SOA of the name's zone with authority.
fn has_authority(vantage: &Vantage, name: &Name, survey: &Survey) -> bool {
    let zone = survey.zone_of(name).map(|delegation| &delegation.zone);
    zone.and_then(|zone| survey.at(vantage, zone, RecordKind::Soa))
        .and_then(|observation| observation.outcome.as_ref().ok())
        .is_some_and(|response| response.authoritative)
}

fn trouble_of(error: &LookupError) -> Trouble {
    match error {
        LookupError::Malformed(_) | LookupError::Tls(_) => Trouble::Failing,
        LookupError::TruncatedThenTcp(inner) if !inner.is_local() => Trouble::Tcp,
        // No route is the server's affair as long as other addresses of its family can be reached from here;
        // that is decided where all of them are in view.
        LookupError::Timeout { .. }
        | LookupError::PortClosed
        | LookupError::Unreachable
        | LookupError::NoRoute => Trouble::Unreachable,
        _ => Trouble::Here,
    }
}

fn see_cname(
    expected: &Expected,
    target: &Name,
    response: &Response,
    vantage: &Vantage,
    survey: &Survey,
) -> Sight {
    match response.cnames(&expected.name)[..] {
        [] => Sight::Absent,
        [_] if has_data_beside(expected, vantage, survey) => Sight::Conflict,
        [only] if vantage.is_authoritative() && has_another_alias(expected, only, vantage, survey) => {
            Sight::Conflict
        }
        [only] if only == target => Sight::Holds,
        ref targets => Sight::Targets(targets.iter().map(|&target| target.clone()).collect()),
    }
}

/// What is left of a sight where the target's zone is only assumed: the same token in another zone may be right.
fn without_assumption(sight: Sight, target: &Name) -> Sight {
    match &sight {
        Sight::Targets(seen) if seen.len() == 1 && seen[0].labels().next() == target.labels().next() => {
            Sight::Nothing(Trouble::Assumed)
        }
        _ => sight,
    }
}

/// Whether other records stand at the very name that has a CNAME, as far as they were asked for; those of DNSSEC may.
fn has_data_beside(expected: &Expected, vantage: &Vantage, survey: &Survey) -> bool {
    survey
        .observations
        .of(vantage)
        .filter(|observation| observation.question.name == expected.name)
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .flat_map(|response| &response.answers)
        .any(|record| {
            let may_be = matches!(record.kind(), RecordKind::Cname | RecordKind::Other(RRSIG | NSEC));
            record.name == expected.name && !may_be
        })
}

/// Whether a server leads questions of other types elsewhere: it has two CNAMEs, or two copies of the zone behind one
/// address. A resolver may do so for a while after a change, out of its cache.
fn has_another_alias(expected: &Expected, target: &Name, vantage: &Vantage, survey: &Survey) -> bool {
    let name = &expected.name;
    survey
        .observations
        .of(vantage)
        .filter(|observation| observation.question.name == *name)
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .flat_map(|response| response.cnames(name))
        .any(|other| other != target)
}

fn see_key(expected: &Expected, response: &Response, vantage: &Vantage, survey: &Survey) -> Sight {
    let name = &expected.name;
    let leads_away = response.chain_end(name) != name;
    if leads_away && vantage.is_authoritative() && response.texts(name).is_empty() {
        return see_key_through_resolvers(expected, survey);
    }
    judge_key(expected, response)
}

/// What the resolvers see of a selector that is an alias into another zone, whose servers aren't asked. One that sees
/// the key is enough; that it isn't there is known once all that answer say so, and of several more than one.
fn see_key_through_resolvers(expected: &Expected, survey: &Survey) -> Sight {
    let mut sights = survey
        .resolvers
        .iter()
        .filter_map(|resolver| survey.at(resolver, &expected.name, RecordKind::Txt))
        .filter(|observation| trouble(observation, survey).is_none())
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .map(|response| judge_key(expected, response));
    let Some(first) = sights.next() else { return Sight::Nothing(Trouble::Elsewhere) };
    if first == Sight::Holds {
        return first;
    }
    let others: Vec<Sight> = sights.collect();
    if others.contains(&Sight::Holds) {
        return Sight::Holds;
    }
    let is_one_of_several = others.is_empty() && survey.resolvers.len() > 1;
    if !is_one_of_several && others.iter().all(|other| *other == first) {
        first
    } else {
        Sight::Nothing(Trouble::Elsewhere)
    }
}

fn judge_key(expected: &Expected, response: &Response) -> Sight {
    let texts = response.texts(&expected.name);
    let text = match texts[..] {
        [] => return Sight::Absent,
        [text] => text,
        _ => return Sight::Key(Cause::SeveralKeys),
    };
    judge_text(&expected.value, text)
}

fn judge_text(expected: &ExpectedValue, text: &Txt) -> Sight {
    let Ok(record) = KeyRecord::parse(&text.joined()) else { return Sight::Key(Cause::KeyUnreadable) };
    match (record.key(), expected) {
        (PublicKey::Revoked, _) => Sight::Key(Cause::KeyRevoked),
        (PublicKey::Other { .. }, ExpectedValue::AnyKey) => Sight::Key(Cause::KeyUnreadable),
        _ if !record.serves_email() => Sight::Key(Cause::KeyUnreadable),
        _ if record.is_weak() => Sight::Key(Cause::KeyWeak),
        (_, ExpectedValue::Key(key)) if !record.same_key(key) => Sight::Key(Cause::KeyMismatch),
        _ => Sight::Holds,
    }
}
