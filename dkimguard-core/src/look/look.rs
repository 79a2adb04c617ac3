//! [`Look`]: one look at one identity, from question to report.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::sync::Arc;

use jiff::Timestamp;

use super::premise::survey_supposing;
use super::survey::{Survey, glance, seek, survey};
use super::{Delegation, Places, Premise, Question};
use crate::error::ParseNameError;
use crate::identity::{Expected, Identity};
use crate::judge::{Depth, Gap, Port, Report, Witnesses};
use crate::name::Name;
use crate::ports::{ChangeHistory, DnsLookup, ZoneView};
use crate::record::RecordKind;
use crate::zone::HostedZone;

/// How many records of earlier selectors are asked for.
const MOST_EARLIER: usize = 12;

/// Looks at identities, from the same places.
#[derive(Clone, Debug)]
pub struct Look {
    dns: Arc<dyn DnsLookup>,
    places: Places,
    zones: Option<Arc<dyn ZoneView>>,
    history: Option<Arc<dyn ChangeHistory>>,
}

/// What a full look saw beside what a [`Report`] tells: what a repair rests on.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Sight {
    /// The records that must be in DNS.
    pub expected: Vec<Expected>,
    /// The zones that the DNS host holds.
    pub zones: Vec<HostedZone>,
    /// The zones in which the records lie, and where the world is sent for them.
    pub delegations: Vec<Delegation>,
    /// The names of the identity's earlier selectors that were surely made for it, and for no other.
    pub earlier: Vec<Name>,
    /// The names that have no record at the DNS host, and for which every server answers as for any name beside them.
    pub wildcard: Vec<Name>,
    /// The addresses of name servers whose silence may be this machine's own fault.
    pub excused: Vec<SocketAddr>,
    /// Why a delegation could not be found.
    pub lost: Vec<String>,
}

impl Look {
    /// A look through this engine, from these places.
    pub fn new(dns: Arc<dyn DnsLookup>, places: Places) -> Self {
        Self { dns, places, zones: None, history: None }
    }

    /// Looks at the zones that the DNS host holds too, at [`Depth::Full`].
    #[must_use]
    pub fn with_zones(mut self, zones: Arc<dyn ZoneView>) -> Self {
        self.zones = Some(zones);
        self
    }

    /// Asks the change history too, at [`Depth::Full`]: one question a look, about what explains most.
    #[must_use]
    pub fn with_history(mut self, history: Arc<dyn ChangeHistory>) -> Self {
        self.history = Some(history);
        self
    }

    /// Takes one look. It changes nothing, and ends within the engine's own time limits.
    ///
    /// `seed` makes the random name beside the records and, at [`Depth::Quick`], chooses the resolver; give
    /// another for each look. At [`Depth::Full`] a healthy domain costs about five questions a record and place.
    pub async fn take(&self, identity: Identity, depth: Depth, at: Timestamp, seed: u64) -> Report {
        self.take_with(identity, Witnesses::default(), depth, at, seed).await
    }

    /// Takes one look, in the light of what others tell: how the records stood before, the selectors of earlier.
    pub async fn take_with(
        &self,
        identity: Identity,
        witnesses: Witnesses,
        depth: Depth,
        at: Timestamp,
        seed: u64,
    ) -> Report {
        if depth == Depth::Full {
            return self.take_closely(identity, witnesses, at, seed).await.0;
        }
        match identity.expected() {
            Ok(expected) => {
                let survey = glance(&*self.dns, &self.places, &expected, seed).await;
                Report::judge(identity, &expected, &survey, &witnesses, depth, at)
            }
            Err(error) => without_names(identity, &error, depth, at),
        }
    }

    /// Takes one full look, and gives beside the report what a repair needs of what was seen.
    pub async fn take_closely(
        &self,
        identity: Identity,
        mut witnesses: Witnesses,
        at: Timestamp,
        seed: u64,
    ) -> (Report, Sight) {
        let depth = Depth::Full;
        let expected = match identity.expected() {
            Ok(expected) => expected,
            Err(error) => return (without_names(identity, &error, depth, at), Sight::default()),
        };
        let dns = &*self.dns;
        let mut survey = survey(dns, &self.places, &identity, &expected, seed).await;
        self.seek_earlier(&mut survey, &witnesses, &identity, &expected, at).await;
        let gaps = self.hear(&mut witnesses, &identity, &expected, &survey, at).await;
        self.seek_earlier(&mut survey, &witnesses, &identity, &expected, at).await;
        let wildcard = self.seek_wildcard(&mut survey, &witnesses.zones, &expected).await;
        let excused = Report::excused_addresses(&identity, &expected, &survey, &witnesses, at);
        let earlier = Report::removable_names(&expected, &witnesses);
        let mut report = Report::judge(identity, &expected, &survey, &witnesses, depth, at);
        report.gaps.extend(gaps);
        let Survey { zones: delegations, lost, .. } = survey;
        (report, Sight { expected, zones: witnesses.zones, delegations, earlier, wildcard, excused, lost })
    }

    /// Takes one look at what would be so if the premise were: before a move, not after it.
    ///
    /// Only the servers of the premise are judged, and those that they refer to. What resolvers see and where the
    /// provider stands today isn't part of it, and the report has a gap for each; the zone's host and the change
    /// history aren't asked. A zone that isn't served costs no question to anybody, unless it delegates the names of
    /// the records on.
    pub async fn take_supposing(
        &self,
        identity: Identity,
        premise: &Premise,
        at: Timestamp,
        seed: u64,
    ) -> Report {
        let expected = match identity.expected() {
            Ok(expected) => expected,
            Err(error) => return without_names(identity, &error, Depth::Full, at),
        };
        let domain = identity.domain();
        let survey = survey_supposing(&*self.dns, &self.places, premise, domain, &expected, seed).await;
        Report::judge(identity, &expected, &survey, &premise.witnesses(&expected), Depth::Full, at)
    }

    /// Where no record holds, asks for those of the selectors that the identity had before, as far as they are known and
    /// weren't asked for yet.
    async fn seek_earlier(
        &self,
        survey: &mut Survey,
        witnesses: &Witnesses,
        identity: &Identity,
        expected: &[Expected],
        at: Timestamp,
    ) {
        let mut names = Report::earlier_names(identity, expected, survey, witnesses, at);
        names.truncate(MOST_EARLIER);
        names
            .retain(|name| !survey.observations.iter().any(|observation| observation.question.name == *name));
        let questions = names.into_iter().map(|name| Question::new(name, RecordKind::Cname));
        let found = seek(&*self.dns, survey, questions).await;
        survey.observations.extend(found);
    }

    /// Where servers answer for a name at which their host holds nothing, asks for a name beside it that nobody has
    /// published: what answers for that too is a wildcard. Gives the names for which it is so.
    async fn seek_wildcard(
        &self,
        survey: &mut Survey,
        held: &[HostedZone],
        expected: &[Expected],
    ) -> Vec<Name> {
        let Some(sibling) = survey.sibling.clone() else { return Vec::new() };
        let lacks = |zone: &HostedZone, name: &Name| {
            name.is_at_or_below(&zone.name) && zone.at(name).next().is_none()
        };
        let unheld: Vec<&Expected> =
            expected.iter().filter(|record| held.iter().any(|zone| lacks(zone, &record.name))).collect();
        let kinds: BTreeSet<RecordKind> = unheld
            .iter()
            .filter(|record| !answers_at_servers(survey, &record.name, record.value.kind()).is_empty())
            .map(|record| record.value.kind())
            .collect();
        let questions = kinds.into_iter().map(|kind| Question::new(sibling.clone(), kind));
        let found = seek(&*self.dns, survey, questions).await;
        survey.observations.extend(found);
        let is_wildcards = |record: &&Expected| {
            let kind = record.value.kind();
            let answers = answers_at_servers(survey, &record.name, kind);
            !answers.is_empty() && answers == answers_at_servers(survey, &sibling, kind)
        };
        unheld.into_iter().filter(is_wildcards).map(|record| record.name.clone()).collect()
    }

    /// Asks the zone's host, then the history, whose topic follows from what is wrong.
    async fn hear(
        &self,
        witnesses: &mut Witnesses,
        identity: &Identity,
        expected: &[Expected],
        survey: &Survey,
        at: Timestamp,
    ) -> Vec<Gap> {
        let mut gaps = Vec::new();
        if let Some(zones) = &self.zones {
            for zone in zones_of_interest(identity.domain(), survey) {
                let below =
                    identity.domain().child("_domainkey").unwrap_or_else(|_| identity.domain().clone());
                match zones.zones(&zone, &below).await {
                    Ok(found) => witnesses.zones.extend(found),
                    Err(error) => gaps.push(Gap::of_failure(Port::ZoneView, &error)),
                }
            }
        }
        if let Some(history) = &self.history {
            let topic = Report::topic(identity, expected, survey, witnesses, at);
            match history.changes(&topic).await {
                Ok(told) => {
                    witnesses.changes.extend(told.changes);
                    gaps.extend(told.bound.map(|bound| {
                        let detail = format!("the change history was read in part: {bound}");
                        Gap { port: Port::ChangeHistory, detail, transient: false }
                    }));
                }
                Err(error) => gaps.push(Gap::of_failure(Port::ChangeHistory, &error)),
            }
        }
        gaps
    }
}

/// What stands at a name, at each server of its zone that shows anything there.
fn answers_at_servers(
    survey: &Survey,
    name: &Name,
    kind: RecordKind,
) -> BTreeMap<SocketAddr, BTreeSet<String>> {
    let servers = survey.zone_of(name).map(Delegation::vantages).unwrap_or_default();
    let answers = servers.iter().filter_map(|server| {
        let response = survey.at(server, name, kind)?.outcome.as_ref().ok()?;
        let at_name = response.answers.iter().filter(|record| record.name == *name);
        let data: BTreeSet<String> =
            at_name.map(|record| format!("{} {}", record.kind(), record.data)).collect();
        (!data.is_empty()).then(|| (server.address(), data))
    });
    answers.collect()
}

/// The report on an identity whose selectors make no names.
fn without_names(identity: Identity, error: &ParseNameError, depth: Depth, at: Timestamp) -> Report {
    let detail = format!("a selector makes no DNS name: {error}");
    let gap = Gap { port: Port::IdentitySource, detail, transient: false };
    Report::without_identity(identity.id, at, depth, vec![gap])
}

/// The zones whose host is asked: those in which the records lie, the zone above a cut below the domain, and the
/// domain itself where no delegation was found.
fn zones_of_interest(domain: &Name, survey: &Survey) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for delegation in &survey.zones {
        let above = delegation.parent.iter().filter(|_| delegation.zone.is_below(domain));
        for zone in std::iter::once(&delegation.zone).chain(above) {
            // A registry's zone is nobody's hosted zone.
            if zone.registered_domain().is_some() && !names.contains(zone) {
                names.push(zone.clone());
            }
        }
    }
    if names.is_empty() {
        names.push(domain.clone());
    }
    names
}
