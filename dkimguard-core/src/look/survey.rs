//! [`Survey`]: every expected record, asked at every vantage point.

use std::net::SocketAddr;

use futures_util::future::{BoxFuture, FutureExt, join, join_all};
use futures_util::stream::{FuturesUnordered, StreamExt, iter};

use super::delegation::{AddressLookup, Delegation, Guide};
use super::{Authoritative, Observation, Places, Question, Rcode, Vantage};
use crate::error::LookupError;
use crate::identity::{Expected, ExpectedValue};
use crate::name::Name;
use crate::ports::DnsLookup;
use crate::record::{RecordData, RecordKind};

/// How many questions one server has before it at a time; enough for all about one identity, so that a silent
/// server costs one time-out and not several.
const PER_SERVER: usize = 64;
/// How many of the parent's addresses of a family get a control question.
const CONTROLS: usize = 2;

/// What was asked and what came back, at every vantage point. Nothing in it is judged.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Survey {
    /// The zones in which the expected records lie, and the servers that they are delegated to.
    pub zones: Vec<Delegation>,
    /// The resolvers that were asked.
    pub resolvers: Vec<Vantage>,
    /// Whether the zones' servers were to be asked.
    pub asks_servers: bool,
    /// A name beside the expected ones that nobody has published; only a wildcard answers for it.
    pub sibling: Option<Name>,
    /// What was asked about the records.
    pub observations: Vec<Observation>,
    /// What was asked of servers above and on the way down; they show what can be reached from here.
    pub steps: Vec<Observation>,
    /// Why a delegation could not be found.
    pub lost: Vec<String>,
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
        let asked = |observation: &&Observation| {
            let question = &observation.question;
            observation.vantage == *vantage
                && question.kind == kind
                && question.name == *name
                && !question.checking_disabled
                && !question.dnssec_ok
        };
        let mut all = self.observations.iter().filter(asked).rev();
        let last = all.next()?;
        if last.outcome.is_ok() {
            return Some(last);
        }
        Some(all.find(|observation| observation.outcome.is_ok()).unwrap_or(last))
    }

    /// The question about a name with the CD bit, at a resolver.
    pub fn unchecked_at(&self, vantage: &Vantage, name: &Name, kind: RecordKind) -> Option<&Observation> {
        self.observations.iter().find(|observation| {
            let question = &observation.question;
            observation.vantage == *vantage
                && question.checking_disabled
                && question.kind == kind
                && question.name == *name
        })
    }

    /// All observations, those on the way down included.
    pub fn everything(&self) -> impl Iterator<Item = &Observation> {
        self.observations.iter().chain(&self.steps)
    }
}

/// Asks each expected record at every place.
pub(super) async fn survey(
    dns: &dyn DnsLookup,
    places: &Places,
    domain: &Name,
    expected: &[Expected],
    seed: u64,
) -> Survey {
    let sibling = expected
        .first()
        .and_then(|expected| expected.name.parent())
        .and_then(|keys| keys.child(format!("x{seed:016x}")).ok());
    // Without servers, the resolvers must tell the causes apart too; the zone is most likely the domain.
    let clues = match places.authoritative {
        Authoritative::Ask { .. } => None,
        Authoritative::Skip => Some((domain, sibling.as_ref())),
    };
    let through_resolvers = survey_resolvers(dns, &places.resolvers, expected, clues);
    let mut survey = match places.authoritative {
        Authoritative::Skip => Survey { observations: through_resolvers.await, ..Survey::default() },
        Authoritative::Ask { port } => {
            let guide = Guide::new(dns, &places.resolvers, port);
            let at_servers = survey_servers(dns, &guide, domain, expected, sibling.as_ref());
            let at_servers = guide.accompany(at_servers);
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

/// Asks each expected record once, of one resolver; and where that gives nothing, a control question.
pub(super) async fn glance(dns: &dyn DnsLookup, places: &Places, expected: &[Expected], seed: u64) -> Survey {
    let mut survey = Survey::default();
    let count = u64::try_from(places.resolvers.len()).unwrap_or(u64::MAX);
    let turn = seed.checked_rem(count).and_then(|turn| usize::try_from(turn).ok());
    let Some(resolver) = turn.and_then(|turn| places.resolvers.get(turn)) else { return survey };
    let questions =
        expected.iter().map(|expected| Question::new(expected.name.clone(), expected.value.kind()));
    survey.observations = ask_all(dns, resolver, questions.collect()).await;
    if survey.observations.iter().all(|observation| observation.outcome.is_err()) {
        survey.observations.extend(ask_all(dns, resolver, vec![control_question()]).await);
    }
    survey.resolvers.push(resolver.clone());
    survey
}

/// What anybody who answers at all can answer.
fn control_question() -> Question {
    Question::new(Name::root(), RecordKind::Ns)
}

async fn ask_all(dns: &dyn DnsLookup, vantage: &Vantage, questions: Vec<Question>) -> Vec<Observation> {
    iter(questions)
        .map(|question| async move {
            let outcome = dns.ask(&question, vantage).await;
            Observation { question, vantage: vantage.clone(), outcome }
        })
        .buffered(PER_SERVER)
        .collect()
        .await
}

async fn survey_servers(
    dns: &dyn DnsLookup,
    guide: &Guide<'_>,
    domain: &Name,
    expected: &[Expected],
    sibling: Option<&Name>,
) -> Survey {
    let mut survey = Survey::default();
    let mut targets: Vec<Name> = expected.iter().filter_map(|expected| expected.name.parent()).collect();
    if targets.is_empty() {
        targets.push(domain.clone());
    }
    targets.sort();
    targets.dedup();
    for found in join_all(targets.iter().map(|target| guide.find(target))).await {
        match found {
            Ok(delegation) if survey.zones.iter().any(|known| known.zone == delegation.zone) => {}
            Ok(delegation) => survey.zones.push(delegation),
            Err(lost) => survey.lost.push(lost.reason),
        }
    }
    let zones = std::mem::take(&mut survey.zones);
    let surveys = zones.iter().map(|delegation| {
        let deepest = |name: &Name| {
            zones
                .iter()
                .filter(|zone| name.is_at_or_below(&zone.zone))
                .map(|zone| zone.zone.label_count())
                .max()
        };
        let here: Vec<&Expected> = expected
            .iter()
            .filter(|expected| {
                expected.name.is_at_or_below(&delegation.zone)
                    && deepest(&expected.name) == Some(delegation.zone.label_count())
            })
            .collect();
        survey_zone(dns, guide, delegation.clone(), here, sibling)
    });
    for (delegation, observations) in join_all(surveys).await {
        survey.zones.push(delegation);
        survey.observations.extend(observations);
    }
    // A record may be a zone of its own; only its zone's servers know, and they have just said so.
    let known: Vec<Name> = survey.zones.iter().map(|delegation| delegation.zone.clone()).collect();
    let known = &known;
    let cuts = expected.iter().filter_map(|expected| Some((expected, cut_at(&survey, &expected.name)?)));
    let looks = cuts.map(|(expected, cut)| async move {
        let delegation = guide.find(&cut).await.ok()?;
        if known.contains(&delegation.zone) {
            return None;
        }
        Some(survey_zone(dns, guide, delegation, vec![expected], sibling).await)
    });
    for (delegation, observations) in join_all(looks).await.into_iter().flatten() {
        if survey.zones.iter().all(|known| known.zone != delegation.zone) {
            survey.zones.push(delegation);
            survey.observations.extend(observations);
        }
    }
    survey
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
    Addresses(Name, Vec<SocketAddr>, AddressLookup),
    Surveyed(Vec<Observation>),
}

/// Surveys every address of every server of a zone, those included that come up on the way.
async fn survey_zone(
    dns: &dyn DnsLookup,
    guide: &Guide<'_>,
    mut delegation: Delegation,
    expected: Vec<&Expected>,
    sibling: Option<&Name>,
) -> (Delegation, Vec<Observation>) {
    let zone = delegation.zone.clone();
    let look_up = |name: Name| -> BoxFuture<'_, Event> {
        async move {
            let (addresses, lookup) = guide.addresses(&name).await;
            Event::Addresses(name, addresses, lookup)
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
            Event::Addresses(name, addresses, lookup) => {
                delegation.set_lookup(&name, lookup);
                under_way.extend(delegation.add_addresses(&name, addresses).into_iter().map(ask));
            }
            Event::Surveyed(surveyed) => {
                for name in servers_given(&surveyed, &zone) {
                    if !delegation.given_by_zone.contains(&name) {
                        delegation.given_by_zone.push(name.clone());
                    }
                    if delegation.add_server(&name) {
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

/// The zone's own NS set, where an authoritative answer in these observations gives it.
fn servers_given(observations: &[Observation], zone: &Name) -> Vec<Name> {
    observations
        .iter()
        .filter(|observation| {
            observation.question.kind == RecordKind::Ns && observation.question.name == *zone
        })
        .filter_map(|observation| observation.outcome.as_ref().ok())
        .filter(|response| response.authoritative)
        .flat_map(|response| &response.answers)
        .filter(|record| record.name == *zone)
        .filter_map(|record| match &record.data {
            RecordData::Ns(name) => Some(name.clone()),
            _ => None,
        })
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
    if let Some(error) = silence {
        let silent =
            |question| Observation { question, vantage: vantage.clone(), outcome: Err(error.clone()) };
        return questions.into_iter().map(silent).collect();
    }
    let mut observations = ask_all(dns, &vantage, questions).await;
    let lost: Vec<Question> = observations
        .iter()
        .filter(|observation| matches!(observation.outcome, Err(LookupError::Timeout { .. })))
        .map(|observation| observation.question.clone())
        .collect();
    if lost.len() < observations.len() {
        // The server answers, so what was lost was lost on the way, or is what it never answers.
        observations.extend(ask_all(dns, &vantage, lost).await);
    }
    let clues = clue_questions(expected.iter().copied(), &observations, zone, sibling);
    observations.extend(ask_all(dns, &vantage, clues).await);
    observations
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
                ExpectedValue::Key(_) | ExpectedValue::AnyKey => !response.texts(&expected.name).is_empty(),
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
            let addresses = [RecordKind::A, RecordKind::Aaaa];
            questions.extend(addresses.map(|kind| Question::new(expected.name.clone(), kind)));
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

/// Asks each resolver each record, and what tells a broken signature from a broken server.
async fn survey_resolvers(
    dns: &dyn DnsLookup,
    resolvers: &[Vantage],
    expected: &[Expected],
    clues: Option<(&Name, Option<&Name>)>,
) -> Vec<Observation> {
    let looks = resolvers.iter().map(|resolver| {
        let mut questions = vec![control_question()];
        for expected in expected {
            questions.extend(record_questions(expected));
            let target = expected.value.target();
            questions.extend(target.map(|target| Question::new(target.clone(), RecordKind::Txt)));
        }
        ask_all(dns, resolver, questions)
    });
    let first: Vec<Vec<Observation>> = join_all(looks).await;
    let mut failed_anywhere: Vec<Question> = Vec::new();
    for question in first.iter().flat_map(|observations| failed_at(observations, expected)) {
        if !failed_anywhere.contains(&question) {
            failed_anywhere.push(question);
        }
    }
    let failed_anywhere = &failed_anywhere;
    let looks = resolvers.iter().zip(first).map(|(resolver, mut observations)| async move {
        let failed: Vec<Question> = failed_at(&observations, expected).collect();
        let unchecked = failed.iter().cloned().map(Question::with_checking_disabled);
        // Once more without the bit: a failure that passes is not a broken signature.
        let mut questions: Vec<Question> = unchecked.chain(failed.iter().cloned()).collect();
        if !is_silent(&observations) {
            // Whether this resolver has validated what another calls broken.
            questions.extend(failed_anywhere.iter().cloned().map(Question::with_dnssec_ok));
        }
        // All at once: a resolver that cannot reach the servers takes its time for each.
        observations.extend(ask_all(dns, resolver, questions).await);
        if let Some((zone, sibling)) = clues {
            let clues = clue_questions(expected.iter(), &observations, zone, sibling);
            observations.extend(ask_all(dns, resolver, clues).await);
        }
        observations
    });
    join_all(looks).await.into_iter().flatten().collect()
}

/// Whether a place gave nothing but time-outs.
fn is_silent(observations: &[Observation]) -> bool {
    observations.iter().all(|observation| matches!(observation.outcome, Err(LookupError::Timeout { .. })))
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
