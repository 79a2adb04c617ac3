//! [`Survey`]: every expected record, asked at every vantage point.

use std::collections::BTreeSet;

use futures_util::future::{BoxFuture, FutureExt, join, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt, iter};

use super::delegation::{AddressLookup, Delegation, FoundAddresses, Guide};
use super::{Authoritative, Observation, Observations, Places, Question, Rcode, Vantage};
use crate::error::LookupError;
use crate::identity::{Expected, ExpectedValue, Identity};
use crate::key_record::KeyRecord;
use crate::name::Name;
use crate::ports::DnsLookup;
use crate::record::{RecordData, RecordKind};

/// How many questions one server has before it at a time; enough for all about one identity, so that a silent
/// server costs one time-out and not several.
const PER_SERVER: usize = 64;
/// How many name servers are read of one server's answer about its zone.
const MOST_NAMED: usize = 64;
/// How many of the parent's addresses of a family get a control question.
const CONTROLS: usize = 2;

/// What was asked and what came back, at every vantage point. Nothing in it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// What is taken for the servers of the domain.
    pub basis: Basis,
    /// The zones in which the expected records lie, and the servers that they are delegated to.
    pub zones: Vec<Delegation>,
    /// The resolvers that were asked.
    pub resolvers: Vec<Vantage>,
    /// Whether the zones' servers were to be asked.
    pub asks_servers: bool,
    /// A name beside the expected ones that nobody has published; only a wildcard answers for it.
    pub sibling: Option<Name>,
    /// What was asked about the records.
    pub observations: Observations,
    /// What was asked of servers above and on the way down; they show what can be reached from here.
    pub steps: Vec<Observation>,
    /// Why a delegation could not be found.
    pub lost: Vec<String>,
}

/// What a survey takes for the servers of the domain.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Basis {
    /// Those that the world is sent to.
    #[default]
    World,
    /// Those that somebody named, whether or not anything is delegated to them.
    Servers,
    /// None yet: a zone answers that isn't served.
    Zone {
        /// What the zone is called.
        title: String,
        /// What whoever reads the report should know of it.
        notes: Vec<String>,
    },
}

impl Survey {
    /// The zone in which a name lies, the deepest that was found.
    pub fn zone_of(&self, name: &Name) -> Option<&Delegation> {
        self.zones
            .iter()
            .filter(|delegation| name.is_at_or_below(&delegation.zone))
            .max_by_key(|delegation| delegation.zone.label_count())
    }

    /// The plain question about a name at a vantage point: the last that was answered, else the last.
    pub fn at(&self, vantage: &Vantage, name: &Name, kind: RecordKind) -> Option<&Observation> {
        self.observations.at(vantage, name, kind)
    }

    /// The question about a name with the CD bit, at a resolver.
    pub fn unchecked_at(&self, vantage: &Vantage, name: &Name, kind: RecordKind) -> Option<&Observation> {
        self.observations.of(vantage).find(|observation| {
            let question = &observation.question;
            question.checking_disabled && question.kind == kind && question.name == *name
        })
    }

    /// All observations, those on the way down included.
    pub fn everything(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter().chain(self.steps.iter())
    }
}

/// Asks each expected record at every place.
pub(super) async fn survey(
    dns: &dyn DnsLookup,
    places: &Places,
    identity: &Identity,
    expected: &[Expected],
    seed: u64,
) -> Survey {
    let domain = identity.domain();
    let beside = questions_beside(identity);
    let sibling = random_sibling(expected, seed);
    // Without servers, the resolvers must tell the causes apart too; the zone is most likely the domain.
    let clues = match places.authoritative {
        Authoritative::Ask { .. } => None,
        Authoritative::Skip => Some((domain, sibling.as_ref())),
    };
    let through_resolvers = survey_resolvers(dns, &places.resolvers, expected, &beside, clues);
    let mut survey = match places.authoritative {
        Authoritative::Skip => {
            Survey { observations: through_resolvers.await.into_iter().collect(), ..Survey::default() }
        }
        Authoritative::Ask { port } => {
            let guide = Guide::new(dns, &places.resolvers, port);
            let at_servers = guide.accompany(survey_servers(dns, &guide, domain, expected, sibling.as_ref()));
            let (mut survey, through_resolvers) = join(at_servers, through_resolvers).await;
            survey.observations.extend(through_resolvers);
            survey.steps.extend(guide.into_steps());
            survey.asks_servers = true;
            survey
        }
    };
    survey.sibling = sibling;
    survey.resolvers.clone_from(&places.resolvers);
    survey
}

/// A name beside the expected ones that nobody has published.
pub(super) fn random_sibling(expected: &[Expected], seed: u64) -> Option<Name> {
    let keys = expected.first()?.name.parent()?;
    keys.child(format!("x{seed:016x}")).ok()
}

/// Asks each expected record once, of one resolver; and where that gives nothing, a control question.
pub(super) async fn glance(dns: &dyn DnsLookup, places: &Places, expected: &[Expected], seed: u64) -> Survey {
    let mut survey = Survey::default();
    let count = u64::try_from(places.resolvers.len()).unwrap_or(u64::MAX);
    let turn = seed.checked_rem(count).and_then(|turn| usize::try_from(turn).ok());
    let Some(resolver) = turn.and_then(|turn| places.resolvers.get(turn)) else { return survey };
    let questions =
        expected.iter().map(|expected| Question::new(expected.name.clone(), expected.value.kind()));
    survey.observations.extend(ask_all(dns, resolver, questions.collect()).await);
    if !survey.observations.iter().any(is_definite) {
        survey.observations.extend(ask_all(dns, resolver, vec![control_question()]).await);
    }
    survey.resolvers.push(resolver.clone());
    survey
}

/// Whether an answer came that says that something is there, or that it isn't.
fn is_definite(observation: &Observation) -> bool {
    let is_definite = |rcode| matches!(rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
    observation.outcome.as_ref().is_ok_and(|response| is_definite(response.rcode))
}

/// What anybody who answers at all can answer.
pub(super) fn control_question() -> Question {
    Question::new(Name::root(), RecordKind::Ns)
}

pub(super) async fn ask_all(
    dns: &dyn DnsLookup,
    vantage: &Vantage,
    questions: Vec<Question>,
) -> Vec<Observation> {
    iter(questions)
        .map(|question| async move {
            let outcome = dns.ask(&question, vantage).await;
            Observation { question, vantage: vantage.clone(), outcome }
        })
        .buffered(PER_SERVER)
        .collect()
        .await
}

/// Asks every server of the names' zones these questions; where servers aren't asked, the resolvers.
pub(super) async fn seek(
    dns: &dyn DnsLookup,
    survey: &Survey,
    questions: impl IntoIterator<Item = Question>,
) -> Vec<Observation> {
    let asks = questions.into_iter().flat_map(|question| {
        let servers = survey.zone_of(&question.name).map(Delegation::vantages).unwrap_or_default();
        let places = if survey.asks_servers { servers } else { survey.resolvers.clone() };
        places.into_iter().map(move |place| (question.clone(), place))
    });
    dns.ask_many(iter(asks.collect::<Vec<_>>()).boxed()).collect().await
}

async fn survey_servers(
    dns: &dyn DnsLookup,
    guide: &Guide<'_>,
    domain: &Name,
    expected: &[Expected],
    sibling: Option<&Name>,
) -> Survey {
    let mut zones: Vec<Delegation> = Vec::new();
    let mut reasons = Vec::new();
    for found in join_all(targets(domain, expected).iter().map(|target| guide.find(target))).await {
        match found {
            Ok(found) => add_unknown(&mut zones, found),
            Err(lost) => reasons.push(lost.reason),
        }
    }
    Survey { lost: reasons, ..survey_zones(dns, guide, zones, expected, sibling).await }
}

/// The names whose zones are sought: those right above the records.
pub(super) fn targets(domain: &Name, expected: &[Expected]) -> Vec<Name> {
    let mut targets: Vec<Name> = expected.iter().filter_map(|expected| expected.name.parent()).collect();
    if targets.is_empty() {
        targets.push(domain.clone());
    }
    targets.sort();
    targets.dedup();
    targets
}

/// Surveys these zones, and those into which a record is referred on.
pub(super) async fn survey_zones(
    dns: &dyn DnsLookup,
    guide: &Guide<'_>,
    zones: Vec<Delegation>,
    expected: &[Expected],
    sibling: Option<&Name>,
) -> Survey {
    let mut survey = Survey::default();
    let surveys = zones.into_iter().map(|delegation| survey_zone(dns, guide, delegation, expected, sibling));
    for (delegation, observations) in join_all(surveys).await {
        survey.zones.push(delegation);
        survey.observations.extend(observations);
    }
    // A record may be a zone of its own; only its zone's servers know, and they have just said so.
    let mut cuts: Vec<Name> =
        expected.iter().filter_map(|expected| cut_at(&survey, &expected.name)).collect();
    cuts.sort();
    cuts.dedup();
    let mut deeper: Vec<Delegation> = Vec::new();
    for found in join_all(cuts.iter().map(|cut| guide.find(cut))).await.into_iter().flatten() {
        add_unknown(&mut deeper, found);
    }
    deeper.retain(|found| survey.zones.iter().all(|known| known.zone != found.zone));
    let surveys = deeper.into_iter().map(|delegation| survey_zone(dns, guide, delegation, expected, sibling));
    for (delegation, observations) in join_all(surveys).await {
        survey.zones.push(delegation);
        survey.observations.extend(observations);
    }
    survey
}

pub(super) fn add_unknown(zones: &mut Vec<Delegation>, found: Vec<Delegation>) {
    for delegation in found {
        if zones.iter().all(|known| known.zone != delegation.zone) {
            zones.push(delegation);
        }
    }
}

/// The deeper zone that a server of the record's zone refers to.
fn cut_at(survey: &Survey, name: &Name) -> Option<Name> {
    let zone = &survey.zone_of(name)?.zone;
    survey.observations.iter().filter(|observation| observation.question.name == *name).find_map(
        |observation| {
            let (cut, _) = observation.outcome.as_ref().ok()?.referral()?;
            (cut.is_below(zone) && name.is_at_or_below(cut)).then(|| cut.clone())
        },
    )
}

/// What one of the things under way has come to.
enum Event {
    Addresses(Name, FoundAddresses),
    Surveyed(Vec<Observation>),
}

/// Surveys every address of every server of a zone, and of those that the parent's servers name beside them.
async fn survey_zone(
    dns: &dyn DnsLookup,
    guide: &Guide<'_>,
    mut delegation: Delegation,
    expected: &[Expected],
    sibling: Option<&Name>,
) -> (Delegation, Vec<Observation>) {
    let zone = delegation.zone.clone();
    let expected: Vec<&Expected> =
        expected.iter().filter(|expected| expected.name.is_at_or_below(&zone)).collect();
    // What servers say that only the zone names is not followed further, or a hostile zone would lead on for ever.
    let given: BTreeSet<Name> = delegation.servers.iter().map(|server| server.name.clone()).collect();
    let look_up = |name: Name| -> BoxFuture<'_, Event> {
        async move {
            let found = guide.addresses(&name).await;
            Event::Addresses(name, found)
        }
        .boxed()
    };
    let ask = |vantage: Vantage| -> BoxFuture<'_, Event> {
        let silence = guide.silence_of(vantage.address());
        survey_server(dns, vantage, silence, &zone, &expected, sibling).map(Event::Surveyed).boxed()
    };
    let mut under_way: FuturesUnordered<BoxFuture<'_, Event>> = FuturesUnordered::new();
    for server in &delegation.servers {
        if server.lookup == AddressLookup::Open {
            under_way.push(look_up(server.name.clone()));
        }
    }
    under_way.extend(delegation.vantages().into_iter().map(ask));
    under_way.extend(controls(&delegation).into_iter().map(|(question, vantage)| {
        async move { Event::Surveyed(ask_all(dns, &vantage, vec![question]).await) }.boxed()
    }));
    let mut observations = Vec::new();
    while let Some(event) = under_way.next().await {
        match event {
            Event::Addresses(name, found) => {
                under_way.extend(delegation.take_addresses(&name, found).into_iter().map(ask));
            }
            Event::Surveyed(surveyed) => {
                for name in servers_given(&surveyed, &zone, &given) {
                    if delegation.given_by_zone.contains(&name) {
                        continue;
                    }
                    delegation.given_by_zone.push(name.clone());
                    // Of a supposed delegation, the servers that somebody named are the whole question.
                    if !delegation.supposed && delegation.add_server(&name) {
                        under_way.push(look_up(name));
                    }
                }
                observations.extend(surveyed);
            }
        }
    }
    drop(under_way);
    (delegation, observations)
}

/// Control questions to the parent's IPv6 addresses. Many networks have no IPv6, or one that leads nowhere; without
/// a control, that would pass for a fault of the zone's servers.
fn controls(delegation: &Delegation) -> Vec<(Question, Vantage)> {
    let Some(parent) = &delegation.parent else { return Vec::new() };
    delegation
        .parent_addresses
        .iter()
        .filter(|address| address.is_ipv6())
        .take(CONTROLS)
        .map(|&address| {
            let question = Question::new(parent.clone(), RecordKind::Soa);
            (question, Vantage::Authoritative { server: None, address })
        })
        .collect()
}

/// The zone's own NS set, where servers that the parent names give it with authority.
fn servers_given(observations: &[Observation], zone: &Name, by: &BTreeSet<Name>) -> Vec<Name> {
    observations
        .iter()
        .filter(|observation| {
            let is_by = match &observation.vantage {
                Vantage::Authoritative { server: Some(server), .. } => by.contains(server),
                _ => false,
            };
            is_by && observation.question.kind == RecordKind::Ns && observation.question.name == *zone
        })
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .filter(|response| response.authoritative)
        .flat_map(|response| &response.answers)
        .filter(|record| record.name == *zone)
        .filter_map(|record| match &record.data {
            RecordData::Ns(name) => Some(name.clone()),
            _ => None,
        })
        .take(MOST_NAMED)
        .collect()
}

/// Asks one address everything: the zone's SOA and NS, each record, and, where a record isn't as it must be, what
/// tells one cause from another.
async fn survey_server(
    dns: &dyn DnsLookup,
    vantage: Vantage,
    silence: Option<LookupError>,
    zone: &Name,
    expected: &[&Expected],
    sibling: Option<&Name>,
) -> Vec<Observation> {
    let mut questions =
        vec![Question::new(zone.clone(), RecordKind::Soa), Question::new(zone.clone(), RecordKind::Ns)];
    questions.extend(expected.iter().flat_map(|expected| record_questions(expected)));
    // A CNAME must be alone; an address beside it shows only when it is asked for.
    let aliases = expected.iter().filter(|expected| expected.value.target().is_some());
    questions.extend(aliases.map(|expected| Question::new(expected.name.clone(), RecordKind::A)));
    if let Some(error) = silence {
        let silent =
            |question| Observation { question, vantage: vantage.clone(), outcome: Err(error.clone()) };
        return questions.into_iter().map(silent).collect();
    }
    let mut observations = ask_all(dns, &vantage, questions).await;
    // What was lost on the way is asked again. What a server never answers isn't: that would cost another time-out.
    let lost: Vec<Question> = observations
        .iter()
        .filter(|observation| {
            is_lost(observation) && !is_silent_about(&observations, observation.question.kind)
        })
        .map(|observation| observation.question.clone())
        .collect();
    observations.extend(ask_all(dns, &vantage, lost).await);
    let mut clues = clue_questions(expected.iter().copied(), &observations, zone, sibling);
    clues.retain(|question| !is_silent_about(&observations, question.kind));
    observations.extend(ask_all(dns, &vantage, clues).await);
    observations
}

fn is_lost(observation: &Observation) -> bool {
    matches!(observation.outcome, Err(LookupError::Timeout { .. }))
}

/// Whether a server lets several questions of a type go without an answer, and all of them.
fn is_silent_about(observations: &[Observation], kind: RecordKind) -> bool {
    let mut of_kind = observations.iter().filter(|observation| observation.question.kind == kind).peekable();
    let all_lost = of_kind.clone().all(is_lost);
    all_lost && of_kind.by_ref().nth(1).is_some() || observations.iter().all(is_lost)
}

/// What is asked about a record: its own type; and for a CNAME TXT as well, since the provider and receivers ask that.
fn record_questions(expected: &Expected) -> impl Iterator<Item = Question> {
    let cname = expected.value.target().map(|_| Question::new(expected.name.clone(), RecordKind::Cname));
    cname.into_iter().chain([Question::new(expected.name.clone(), RecordKind::Txt)])
}

/// Whether a place that can know doesn't show the record as it must be.
fn wants_clues(expected: &Expected, observations: &[Observation]) -> bool {
    let kind = expected.value.kind();
    observations
        .iter()
        .filter(|observation| observation.question.name == expected.name && observation.question.kind == kind)
        .filter_map(|observation| Some((&observation.vantage, observation.outcome.as_ref().ok()?)))
        .any(|(vantage, response)| {
            let can_know = (response.authoritative || !vantage.is_authoritative())
                && matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN);
            let is_there = match &expected.value {
                ExpectedValue::Cname(target) => response.cnames(&expected.name) == [target],
                ExpectedValue::Key(_) | ExpectedValue::AnyKey => match response.texts(&expected.name)[..] {
                    [text] => KeyRecord::parse(&text.joined()).is_ok(),
                    _ => false,
                },
            };
            can_know && !is_there
        })
}

/// The questions that tell the causes of missing or wrong records apart.
fn clue_questions<'a>(
    expected: impl Iterator<Item = &'a Expected>,
    observations: &[Observation],
    zone: &Name,
    sibling: Option<&Name>,
) -> Vec<Question> {
    let mut questions = Vec::new();
    for expected in expected.filter(|expected| wants_clues(expected, observations)) {
        let kind = expected.value.kind();
        let names = doubled_name(&expected.name, zone).into_iter().chain(without_underscore(&expected.name));
        questions.extend(names.map(|name| Question::new(name, kind)));
        if kind == RecordKind::Cname {
            questions.extend(
                [RecordKind::A, RecordKind::Aaaa].map(|kind| Question::new(expected.name.clone(), kind)),
            );
        }
    }
    if let (Some(sibling), false) = (sibling, questions.is_empty()) {
        let kinds = [RecordKind::Cname, RecordKind::Txt, RecordKind::A, RecordKind::Aaaa];
        questions.extend(kinds.map(|kind| Question::new(sibling.clone(), kind)));
    }
    questions
}

/// The name with the zone appended, as a form makes it that takes every name for a relative one.
pub(crate) fn doubled_name(name: &Name, zone: &Name) -> Option<Name> {
    name.appended(zone).ok()
}

/// The name with `domainkey` in place of `_domainkey`, as a form makes it that refuses underscores.
pub(crate) fn without_underscore(name: &Name) -> Option<Name> {
    Name::from_labels(name.labels().map(|label| if label == b"_domainkey" { b"domainkey" } else { label }))
        .ok()
}

/// What is asked for advice: the MAIL FROM domain's MX and SPF, and the DMARC policy of the domain and of its
/// organisational domain.
fn questions_beside(identity: &Identity) -> Vec<Question> {
    let mut questions = Vec::new();
    if let Some(mail_from) = &identity.mail_from {
        questions.extend(
            [RecordKind::Mx, RecordKind::Txt].map(|kind| Question::new(mail_from.domain.clone(), kind)),
        );
    }
    let domain = identity.domain();
    let organisation = domain.registered_domain().filter(|organisation| organisation != domain);
    let places = [Some(domain.clone()), organisation];
    let policies = places.into_iter().flatten().filter_map(|place| place.child("_dmarc").ok());
    questions.extend(policies.map(|name| Question::new(name, RecordKind::Txt)));
    questions
}

/// Asks each resolver each record, and what tells a broken signature from a broken server.
async fn survey_resolvers(
    dns: &dyn DnsLookup,
    resolvers: &[Vantage],
    expected: &[Expected],
    beside: &[Question],
    clues: Option<(&Name, Option<&Name>)>,
) -> Vec<Observation> {
    let looks = resolvers.iter().map(|resolver| {
        let mut questions = vec![control_question()];
        questions.extend_from_slice(beside);
        for expected in expected {
            questions.extend(record_questions(expected));
            let target = expected.value.target();
            questions.extend(target.map(|target| Question::new(target.clone(), RecordKind::Txt)));
        }
        ask_all(dns, resolver, questions)
    });
    let first: Vec<Vec<Observation>> = join_all(looks).await;
    let mut signed: Vec<Question> =
        first.iter().flat_map(|observations| failed_at(observations, expected)).collect();
    signed.sort_by(|one, other| one.name.cmp(&other.name));
    signed.dedup();
    if !signed.is_empty() {
        // Who validates at all, and whether one of those has validated what another calls broken.
        signed.push(control_question());
    }
    let signed: &Vec<Question> = &signed.into_iter().map(Question::with_dnssec_ok).collect();
    let looks = resolvers.iter().zip(first).map(|(resolver, mut observations)| async move {
        let failed: Vec<Question> = failed_at(&observations, expected).collect();
        let unchecked = failed.iter().cloned().map(Question::with_checking_disabled);
        // Once more without the bit: a failure that passes is not a broken signature.
        let mut questions: Vec<Question> = unchecked.chain(failed.iter().cloned()).collect();
        if observations.iter().any(|observation| observation.outcome.is_ok()) {
            questions.extend_from_slice(signed);
        }
        // All at once: a resolver that reaches no server takes its time for each.
        observations.extend(ask_all(dns, resolver, questions).await);
        if let Some((zone, sibling)) = clues {
            let clues = clue_questions(expected.iter(), &observations, zone, sibling);
            observations.extend(ask_all(dns, resolver, clues).await);
        }
        observations
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// The questions about expected records that a resolver answered with SERVFAIL.
fn failed_at(observations: &[Observation], expected: &[Expected]) -> impl Iterator<Item = Question> {
    observations
        .iter()
        .filter(|observation| {
            let question = &observation.question;
            !question.checking_disabled
                && observation.outcome.as_ref().is_ok_and(|response| response.rcode == Rcode::SERVFAIL)
                && expected
                    .iter()
                    .any(|expected| expected.name == question.name && expected.value.kind() == question.kind)
        })
        .map(|observation| observation.question.clone())
}
