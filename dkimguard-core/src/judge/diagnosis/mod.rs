//! [`Diagnosis`]: what is wrong, how sure that is, and what mends it.
//!
//! A rule is a small pure function from the [evidence](evidence::Evidence) to diagnoses; `RULES` is the table of
//! them, one file a family.

mod cause;
mod changed_by;
mod delegation;
mod evidence;
mod provider;
mod record;
mod servers;
mod time;
mod zone;

use serde::Serialize;

pub use cause::Cause;
pub(in crate::judge) use changed_by::topic;
pub(in crate::judge) use evidence::Evidence;

use super::{Exposure, Verdict};
use crate::history::Change;
use crate::identity::{Expected, ProviderStatus};
use crate::look::Basis;
use crate::name::Name;
use crate::publish::zone_line;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which row of the catalogue.
    pub cause: Cause,
    /// How sure it is.
    pub certainty: Certainty,
    /// What it comes to by itself; [`Verdict::Healthy`] for one that is only listed.
    pub impact: Verdict,
    /// What is wrong here, in one short line with numbers.
    pub summary: String,
    /// What is wrong here, in whole sentences.
    pub detail: String,
    /// What to do about it here: [`Cause::remedy`], and behind it what is specific; lines that are to be published
    /// stand by themselves.
    pub remedy: String,
    /// The records that it affects.
    pub records: Vec<Name>,
    /// What was seen, a line each: where, and what came back.
    pub evidence: Vec<String>,
    /// Who brought it about, where the change history names them.
    pub changed_by: Option<Change>,
}

/// How sure a diagnosis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It explains what was seen; something else might too.
    Likely,
    /// Nothing else explains what was seen.
    Certain,
}

type Rule = fn(&Evidence<'_>) -> Vec<Diagnosis>;
type ProviderRule = fn(&Evidence<'_>, &[Diagnosis]) -> Option<Diagnosis>;

/// The rules about DNS, those first whose causes explain the causes behind them.
const DNS_RULES: &[Rule] = &[
    time::offline,
    delegation::domain_gone,
    delegation::several_zones,
    delegation::private_zone,
    delegation::wrong_nameservers,
    delegation::zone_cut,
    record::tokens_changed,
    zone::dnssec_bogus,
    servers::servers_disagree,
    record::record_causes,
    servers::server_lame,
    servers::server_failing,
    servers::server_unreachable,
    servers::txt_unanswerable,
    servers::tcp_unanswerable,
    delegation::delegation_mismatch,
    zone::negative_cached,
    time::flapping,
    record::no_active_key,
    zone::resolver_failing,
    record::key_testing,
];

/// The rules about the provider. They are told what is wrong in DNS, since a sound zone is evidence too.
const PROVIDER_RULES: &[ProviderRule] = &[
    provider::not_started,
    provider::signing_disabled,
    provider::replica_broken,
    provider::recreated,
    provider::gave_up,
    provider::behind,
];

/// Causes that explain why records aren't where they are sought; what the record itself looks like is a consequence.
const REASONS: &[Cause] = &[
    Cause::DomainGone,
    Cause::SeveralZones,
    Cause::PrivateZone,
    Cause::WrongNameservers,
    Cause::ZoneCut,
    Cause::TokensChanged,
];

/// Causes that lie in where the world is sent today.
const OF_TODAY: &[Cause] = &[
    Cause::DomainGone,
    Cause::SeveralZones,
    Cause::PrivateZone,
    Cause::WrongNameservers,
    Cause::DelegationMismatch,
];

/// All diagnoses, the best explanation first.
pub(in crate::judge) fn diagnose(evidence: &Evidence<'_>) -> Vec<Diagnosis> {
    let mut causes: Vec<Diagnosis> = DNS_RULES.iter().flat_map(|rule| rule(evidence)).collect();
    if evidence.survey.basis != Basis::World {
        // Where the world is sent today, and where the provider stands, are no part of what would be.
        causes.retain(|cause| !OF_TODAY.contains(&cause.cause));
        leave_out_consequences(&mut causes);
        causes.sort_by_key(rank);
        return causes;
    }
    leave_out_consequences(&mut causes);
    if evidence.identity.status == ProviderStatus::TemporaryFailure {
        // The provider signs nothing meanwhile, so what is a matter of chance otherwise is certain now.
        for cause in causes.iter_mut().filter(|cause| cause.impact == Verdict::Degraded) {
            cause.impact = Verdict::Failing;
        }
    }
    let providers: Vec<Diagnosis> =
        PROVIDER_RULES.iter().filter_map(|rule| rule(evidence, &causes)).collect();
    causes.extend(providers);
    causes.sort_by_key(rank);
    changed_by::attribute(&mut causes, &evidence.witnesses.changes);
    causes
}

/// Leaves out what is only the consequence of a reason that is listed: the first of the reasons stays, and what says
/// of the same records that they are missing, wrong or differ goes.
fn leave_out_consequences(causes: &mut Vec<Diagnosis>) {
    let Some(reason) = causes.iter().find(|cause| REASONS.contains(&cause.cause)).cloned() else { return };
    causes.retain(|cause| {
        let is_consequence = REASONS.contains(&cause.cause)
            || cause.cause == Cause::ServersDisagree
            || cause.cause == Cause::NegativeCached
            || cause.cause == Cause::RecordMissing
            // What answers for every name, where the records aren't, was never meant for them.
            || cause.cause == Cause::WildcardAnswer;
        let explained = cause.records.iter().all(|record| reason.records.contains(record));
        cause.cause == reason.cause || !is_consequence || !explained
    });
}

/// What is worse comes first, and a consequence behind its reason; otherwise the order of the rules stands.
fn rank(diagnosis: &Diagnosis) -> u8 {
    match (diagnosis.cause, diagnosis.impact) {
        (Cause::Offline, _) => 0,
        (Cause::ProviderGaveUp, _) => 4,
        (Cause::ProviderBehind, _) => 5,
        (Cause::NotStarted | Cause::SigningDisabled | Cause::ReplicaBroken, _) => 2,
        (_, Verdict::Failing) => 1,
        (_, Verdict::Degraded | Verdict::Unknown) => 3,
        (_, Verdict::Healthy) => 6,
    }
}

/// "1 of 3 DKIM records", "the DKIM record", "all 3 DKIM records".
pub(in crate::judge) fn count_records(some: usize, all: usize) -> String {
    match (some, all) {
        (_, 1) => "the DKIM record".to_owned(),
        (some, all) if some == all => format!("all {all} DKIM records"),
        (some, all) => format!("{some} of {all} DKIM records"),
    }
}

/// The catalogue's remedy, what is specific to the case, if anything, and the records to publish as lines of a zone
/// file.
fn remedy_here<'a>(cause: Cause, here: &str, publish: impl IntoIterator<Item = &'a Expected>) -> String {
    let mut remedy = cause.remedy().to_owned();
    if !here.is_empty() {
        remedy.push(' ');
        remedy.push_str(here);
    }
    for record in publish {
        remedy.push('\n');
        remedy.push_str(&zone_line(record));
    }
    remedy
}

/// "is" behind one, "are" behind several.
fn is_or_are(count: usize) -> &'static str {
    if count == 1 { "is" } else { "are" }
}

/// Names one after the other.
fn names_list(names: &[Name]) -> String {
    names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")
}
