//! [`Report`]: one look, complete.

use std::collections::HashSet;
use std::fmt;
use std::net::SocketAddr;

use jiff::{Span, Timestamp};
use serde::Serialize;

use super::advice::{Advice, advise};
use super::diagnosis::{Evidence, diagnose, topic};
use super::finding::compare;
use super::gap::gaps;
use super::text::Text;
use super::verdict::verdict;
use super::{Diagnosis, Exposure, Finding, Gap, Paint, Port, State, Verdict, Witnesses};
use crate::history::Topic;
use crate::identity::{Expected, Identity, IdentityId, ProviderStatus, Targets};
use crate::look::{Basis, Delegation, Response, Survey, Vantage};
use crate::name::Name;
use crate::repair::RepairPlan;

/// The working deadline, in hours from the basis: the identity's own verification is given up after that.
pub const WORKING_HOURS: i64 = 72;
/// The promised deadline, in hours from the basis: what the provider's notice says, five days.
pub const PROMISED_HOURS: i64 = 120;

/// One look at one identity, complete. [`fmt::Display`] is the text for people, [`Serialize`] the JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the provider claims.
    pub identity: Identity,
    /// When the look was taken.
    pub at: Timestamp,
    /// What was taken for the servers of the domain: those that the world is sent to, or a premise.
    pub basis: Basis,
    /// How much was looked at.
    pub depth: Depth,
    /// What it comes to.
    pub verdict: Verdict,
    /// The verdict's reason in one line.
    pub summary: String,
    /// Until when it must be mended, while the provider's clock runs.
    pub deadline: Option<Deadline>,
    /// How many servers would fail a validator.
    pub exposure: Exposure,
    /// What is wrong, the best explanation first.
    pub causes: Vec<Diagnosis>,
    /// Each expected record, and how it stands at each vantage point.
    pub records: Vec<RecordReport>,
    /// What would be better otherwise; it changes no verdict.
    pub advice: Vec<Advice>,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
    /// The edit that mends the records, where somebody asked for one and there is one.
    pub plan: Option<RepairPlan>,
}

/// One expected record, and how it stands at each vantage point.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordReport {
    /// What must be there.
    pub expected: Expected,
    /// The zone in which the world looks for it, where that was found.
    pub zone: Option<Name>,
    /// What each vantage point shows.
    pub findings: Vec<Finding>,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Each expected record, one question, through one resolver.
    Quick,
    /// Every vantage point.
    Full,
}

/// Until when the records must be mended, by the provider's two clocks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Deadline {
    /// The one to work by: [`WORKING_HOURS`] from the basis.
    pub working: Timestamp,
    /// The one that the provider's notice promises: [`PROMISED_HOURS`] from the basis.
    pub promised: Timestamp,
    /// From what both are counted.
    pub basis: DeadlineBasis,
}

impl Deadline {
    /// Both deadlines, counted from `from`; none if they lie beyond the end of time.
    pub fn counted_from(from: Timestamp, basis: DeadlineBasis) -> Option<Self> {
        let after = |hours| from.checked_add(Span::new().hours(hours)).ok();
        Some(Self { working: after(WORKING_HOURS)?, promised: after(PROMISED_HOURS)?, basis })
    }
}

/// From what a deadline is counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DeadlineBasis {
    /// Since when the status holds.
    StatusSince,
    /// When the provider's notice was sent.
    Notice,
    /// When the provider last saw the records.
    LastSuccess,
    /// When the status was first seen here.
    FirstSeen,
}

impl Report {
    /// Judges what a look has seen. Pure: the same arguments give the same report.
    pub fn judge(
        identity: Identity,
        expected: &[Expected],
        survey: &Survey,
        witnesses: &Witnesses,
        depth: Depth,
        at: Timestamp,
    ) -> Self {
        let records = compare_all(&identity, expected, survey);
        let evidence = Evidence::new(&identity, &records, survey, witnesses, at);
        let causes = diagnose(&evidence);
        let (verdict, summary) = verdict(&evidence, &causes, depth);
        let advice = if depth == Depth::Full { advise(&evidence, verdict) } else { Vec::new() };
        let mut gaps_seen = identity.gaps.clone();
        if depth == Depth::Full {
            gaps_seen.extend(gaps(&evidence));
        }
        let exposure = evidence.exposure();
        Self {
            deadline: if survey.basis == Basis::World { deadline(&identity, witnesses, at) } else { None },
            at,
            basis: survey.basis.clone(),
            depth,
            verdict,
            summary,
            exposure,
            causes,
            advice,
            gaps: gaps_seen,
            plan: None,
            records,
            identity,
        }
    }

    /// What a change history is to be asked about what was seen.
    pub(crate) fn topic(
        identity: &Identity,
        expected: &[Expected],
        survey: &Survey,
        witnesses: &Witnesses,
        at: Timestamp,
    ) -> Topic {
        let records = compare_all(identity, expected, survey);
        let evidence = Evidence::new(identity, &records, survey, witnesses, at);
        topic(&diagnose(&evidence), identity, &witnesses.zones)
    }

    /// The names under which earlier selectors of the identity would be published, where none of today's records is:
    /// whether they are tells whether the identity was set up anew.
    pub(crate) fn earlier_names(
        identity: &Identity,
        expected: &[Expected],
        survey: &Survey,
        witnesses: &Witnesses,
        at: Timestamp,
    ) -> Vec<Name> {
        // Each full look asks this; where nobody tells of earlier selectors there is nothing to judge.
        if witnesses.earlier_selectors.is_empty() && witnesses.changes.is_empty() {
            return Vec::new();
        }
        let records = compare_all(identity, expected, survey);
        let evidence = Evidence::new(identity, &records, survey, witnesses, at);
        if evidence.has_lost_all() { evidence.earlier_names() } else { Vec::new() }
    }

    /// The names of the records that the identity had before and that were surely its own alone.
    pub(crate) fn removable_names(expected: &[Expected], witnesses: &Witnesses) -> Vec<Name> {
        let Some(keys) = expected.first().and_then(|record| record.name.parent()) else { return Vec::new() };
        let labels = witnesses.removable_selectors.iter();
        let mut names: Vec<Name> = labels
            .filter_map(|label| label.appended(&keys).ok())
            .filter(|name| !expected.iter().any(|record| record.name == *name))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The addresses of name servers whose silence may be this machine's own fault.
    pub(crate) fn excused_addresses(
        identity: &Identity,
        expected: &[Expected],
        survey: &Survey,
        witnesses: &Witnesses,
        at: Timestamp,
    ) -> Vec<SocketAddr> {
        let records = compare_all(identity, expected, survey);
        let evidence = Evidence::new(identity, &records, survey, witnesses, at);
        let excused = evidence.addresses.iter().filter(|address| address.excused);
        excused.map(|address| address.vantage.address()).collect()
    }

    /// The report on a domain of which no identity could be learnt: unknown, with the gaps that say why.
    pub fn without_identity(id: IdentityId, at: Timestamp, depth: Depth, gaps: Vec<Gap>) -> Self {
        let mut identity = Identity::new(id, Vec::new());
        identity.status = ProviderStatus::Unknown;
        let summary = gaps
            .iter()
            .find(|gap| gap.port == Port::IdentitySource)
            .map_or_else(|| "nothing is known about this domain".to_owned(), |gap| gap.detail.clone());
        Self {
            identity,
            at,
            basis: Basis::World,
            depth,
            verdict: Verdict::Unknown,
            summary,
            deadline: None,
            exposure: Exposure::default(),
            causes: Vec::new(),
            records: Vec::new(),
            advice: Vec::new(),
            gaps,
            plan: None,
        }
    }

    /// Whether anything but plain health was seen, so that a quick look is worth a full one.
    pub fn is_unexpected(&self) -> bool {
        self.verdict != Verdict::Healthy || !self.causes.is_empty()
    }

    /// The text for people, 80 columns wide, plain or in colour.
    pub fn text(&self, paint: Paint) -> Text<'_> {
        Text::new(self, paint)
    }

    /// Domain, verdict and reason in one line.
    pub fn line(&self, paint: Paint) -> String {
        self.text(paint).headline()
    }
}

/// The text for people, without colour.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.text(Paint::Plain).fmt(f)
    }
}

/// Each expected record, compared with what each vantage point answered.
fn compare_all(identity: &Identity, expected: &[Expected], survey: &Survey) -> Vec<RecordReport> {
    let compare_with = |targets: Targets| -> Vec<RecordReport> {
        let reports = expected.iter().map(|expected| {
            let findings = places_of(expected, survey)
                .filter_map(|vantage| compare(expected, targets, &vantage, survey))
                .filter(|finding| !is_of_no_account(finding, expected, identity.domain(), survey));
            let zone = survey.zone_of(&expected.name).map(|delegation| delegation.zone.clone());
            RecordReport { findings: findings.collect(), zone, expected: expected.clone() }
        });
        reports.collect()
    };
    let records = compare_with(identity.targets);
    // One record that holds confirms the zone that was assumed for all of them.
    let is_confirmed =
        records.iter().flat_map(|record| &record.findings).any(|finding| finding.state == State::Holds);
    match identity.targets {
        Targets::Assumed if is_confirmed => compare_with(Targets::Told),
        Targets::Assumed | Targets::Told => records,
    }
}

/// The servers of the record's zone, those of the zones above that were asked too, and the resolvers; no address twice.
fn places_of(expected: &Expected, survey: &Survey) -> impl Iterator<Item = Vantage> {
    let mut zones: Vec<&Delegation> =
        survey.zones.iter().filter(|zone| expected.name.is_at_or_below(&zone.zone)).collect();
    zones.sort_by_key(|zone| std::cmp::Reverse(zone.zone.label_count()));
    let mut seen = HashSet::new();
    zones
        .into_iter()
        .flat_map(Delegation::vantages)
        .chain(survey.resolvers.iter().cloned())
        .filter(move |vantage| vantage.is_recursive() || seen.insert(vantage.address()))
}

/// Whether what a server of a zone above shows says nothing about the record: it refers to a deeper zone that was
/// looked at, as it must; or it is silent or fails, and its zone lies above the domain, whose affair that isn't.
fn is_of_no_account(finding: &Finding, expected: &Expected, domain: &Name, survey: &Survey) -> bool {
    let address = finding.observation.vantage.address();
    let own_zone = survey
        .zones
        .iter()
        .filter(|zone| expected.name.is_at_or_below(&zone.zone))
        .filter(|zone| zone.vantages().iter().any(|vantage| vantage.address() == address))
        .max_by_key(|zone| zone.zone.label_count());
    let Some(own_zone) = own_zone else { return false };
    let cut = finding.observation.outcome.as_ref().ok().and_then(Response::referral).map(|(cut, _)| cut);
    match cut {
        Some(cut) => cut.is_below(&own_zone.zone) && survey.zones.iter().any(|zone| zone.zone == *cut),
        None => {
            let is_record_zone =
                survey.zone_of(&expected.name).is_some_and(|zone| zone.zone == own_zone.zone);
            let is_above = domain.is_below(&own_zone.zone) && !is_record_zone;
            is_above && finding.state == State::Unseen
        }
    }
}

/// The clock that runs while the provider still looks and doesn't find.
fn deadline(identity: &Identity, witnesses: &Witnesses, at: Timestamp) -> Option<Deadline> {
    let is_lost = identity.status == ProviderStatus::TemporaryFailure;
    if !is_lost && identity.status != ProviderStatus::Pending {
        return None;
    }
    let last_success = identity.verification.as_ref().and_then(|verification| verification.last_success);
    let told = [
        (identity.status_since, DeadlineBasis::StatusSince),
        (witnesses.notice.filter(|_| is_lost), DeadlineBasis::Notice),
        (last_success.filter(|_| is_lost), DeadlineBasis::LastSuccess),
    ];
    let told = told.into_iter().find_map(|(from, basis)| Some((from?, basis)));
    let first_seen = witnesses.status_first_seen.unwrap_or(at);
    let (from, basis) = told.unwrap_or((first_seen, DeadlineBasis::FirstSeen));
    Deadline::counted_from(from, basis)
}
