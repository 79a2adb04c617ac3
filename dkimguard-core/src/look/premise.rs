//! [`Premise`]: what the world might be tomorrow, to be looked at today.

use std::net::{IpAddr, SocketAddr};
use std::slice;

use async_trait::async_trait;
use futures_util::future::{join, join_all};

use super::delegation::{Delegation, Descent, Guide};
use super::survey::{add_unknown, ask_all, control_question, random_sibling, survey_zones, targets};
use super::{
    Authoritative, Basis, DNS_PORT, Observation, Places, Question, Rcode, Response, Survey, Vantage,
};
use crate::error::LookupError;
use crate::identity::Expected;
use crate::judge::Witnesses;
use crate::name::Name;
use crate::ports::DnsLookup;
use crate::record::{Record, RecordData, RecordKind};
use crate::zone::{HostedZone, Visibility, Zone, answer};

/// What is supposed instead of asking the parent zone: who serves the domain's zone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Premise {
    /// The domain is delegated to these servers.
    Servers(Vec<PremiseServer>),
    /// The domain's zone is this one, on whatever servers.
    Zone(UnservedZone),
}

/// A server that the domain is supposed to be delegated to. Without a port, the port of [`Places`] counts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum PremiseServer {
    /// By its name, whose addresses the resolvers tell.
    Named {
        /// The name.
        name: Name,
        /// The port, if another than that of all servers.
        port: Option<u16>,
    },
    /// By its address.
    At {
        /// The address.
        address: IpAddr,
        /// The port, if another than that of all servers.
        port: Option<u16>,
    },
}

/// A zone that no server serves yet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnservedZone {
    title: String,
    zone: Zone,
    notes: Vec<String>,
}

impl UnservedZone {
    /// A zone, and what it is called in a report: the path of its file.
    pub fn new(title: impl Into<String>, zone: Zone) -> Self {
        Self { title: title.into(), zone, notes: Vec::new() }
    }

    /// The same, with something that whoever reads the report should know of it: a sentence without its full stop.
    #[must_use]
    pub fn with_note(mut self, note: impl Into<String>) -> Self {
        self.notes.push(note.into());
        self
    }

    /// The name of the zone.
    pub fn apex(&self) -> &Name {
        self.zone.apex()
    }

    /// What it is called in a report.
    pub fn title(&self) -> &str {
        &self.title
    }

    /// What whoever reads the report should know of it.
    pub fn notes(&self) -> impl Iterator<Item = &str> {
        self.notes.iter().map(String::as_str)
    }

    /// The zone.
    pub fn zone(&self) -> &Zone {
        &self.zone
    }
}

impl Premise {
    /// What an unserved zone holds at the records' names, whatever it would answer.
    pub(super) fn witnesses(&self, expected: &[Expected]) -> Witnesses {
        let Self::Zone(unserved) = self else { return Witnesses::default() };
        let is_expected = |record: &&Record| expected.iter().any(|expected| expected.name == record.name);
        let zone = HostedZone {
            id: unserved.title.clone(),
            host: "unserved".to_owned(),
            name: unserved.apex().clone(),
            visibility: Visibility::Public,
            servers: Vec::new(),
            records: unserved.zone.records().filter(is_expected).cloned().collect(),
        };
        Witnesses { zones: vec![zone], ..Witnesses::default() }
    }
}

/// Asks each expected record of the servers that the premise names, and of those that they refer to.
pub(super) async fn survey_supposing(
    dns: &dyn DnsLookup,
    places: &Places,
    premise: &Premise,
    domain: &Name,
    expected: &[Expected],
    seed: u64,
) -> Survey {
    let port = match places.authoritative {
        Authoritative::Ask { port } => port,
        Authoritative::Skip => DNS_PORT,
    };
    let sibling = random_sibling(expected, seed);
    let mut survey = match premise {
        Premise::Servers(servers) => {
            let guide = Guide::new(dns, &places.resolvers, port);
            // Whether anything can be reached from here shows at the resolvers too.
            let controls =
                places.resolvers.iter().map(|resolver| ask_all(dns, resolver, vec![control_question()]));
            let (start, controls) = join(delegation(&guide, servers, domain, port), join_all(controls)).await;
            let mut survey = survey_from(dns, guide, &start, domain, expected, sibling.as_ref()).await;
            survey.steps.extend(controls.into_iter().flatten());
            survey.basis = Basis::Servers;
            survey
        }
        Premise::Zone(unserved) => {
            let dns = WithZone { unserved, dns };
            let vantage = Vantage::Zone { title: unserved.title.clone() };
            let start = Delegation::supposed(domain.clone(), vec![vantage.clone()]);
            let guide = Guide::new(&dns, &places.resolvers, port);
            let mut survey = survey_from(&dns, guide, &start, domain, expected, sibling.as_ref()).await;
            survey.observations.extend(ask_all(&dns, &vantage, questions_beside(unserved, expected)).await);
            survey.basis = Basis::Zone { title: unserved.title.clone(), notes: unserved.notes.clone() };
            survey
        }
    };
    survey.sibling = sibling;
    survey.asks_servers = true;
    survey
}

/// The supposed delegation of the domain, with every address of each server.
async fn delegation(guide: &Guide<'_>, servers: &[PremiseServer], domain: &Name, port: u16) -> Delegation {
    let found = join_all(servers.iter().map(|server| async move {
        match server {
            PremiseServer::Named { name, port: own } => {
                Ok((name, guide.addresses(name).await, own.unwrap_or(port)))
            }
            PremiseServer::At { address, port: own } => {
                let address = SocketAddr::new(*address, own.unwrap_or(port));
                Err(Vantage::Authoritative { server: None, address })
            }
        }
    }))
    .await;
    let mut delegation = Delegation::supposed(domain.clone(), Vec::new());
    for server in found {
        match server {
            Ok((name, found, port)) => delegation.suppose_server(name, found, port),
            Err(unnamed) => delegation.unnamed.push(unnamed),
        }
    }
    delegation
}

/// Finds the zones from the supposed servers on down, and surveys them.
async fn survey_from(
    dns: &dyn DnsLookup,
    guide: Guide<'_>,
    start: &Delegation,
    domain: &Name,
    expected: &[Expected],
    sibling: Option<&Name>,
) -> Survey {
    let targets = targets(domain, expected);
    // Each server names the zone in which a name lies by that zone's SOA, in its answer or beside it.
    let mut names: Vec<Name> = targets.iter().flat_map(Name::ancestors).collect();
    names.retain(|name| name.registered_domain().is_some() || name == domain);
    names.sort();
    names.dedup();
    let questions: Vec<Question> =
        names.into_iter().map(|name| Question::new(name, RecordKind::Soa)).collect();
    let vantages = start.vantages();
    let asked = join_all(vantages.iter().map(|vantage| ask_all(dns, vantage, questions.clone()))).await;
    let steps: Vec<Observation> = asked.into_iter().flatten().collect();
    guide.keep_steps(steps.iter().cloned());
    let is_heard = steps.iter().any(|step| step.outcome.is_ok());
    let mut zones: Vec<Delegation> = Vec::new();
    for target in &targets {
        let zone = enclosing_zone(&steps, target).unwrap_or_else(|| domain.clone());
        let start = Delegation { zone, ..start.clone() };
        if is_heard {
            let Descent { passed, reached, .. } = guide.descend(start, target).await;
            add_unknown(&mut zones, passed.into_iter().chain([reached]).collect());
        } else {
            add_unknown(&mut zones, vec![start]);
        }
    }
    if !is_heard {
        // Silence is theirs if name servers can be reached from here at all.
        guide.control(domain).await;
    }
    let mut survey = survey_zones(dns, &guide, zones, expected, sibling).await;
    survey.steps.extend(guide.into_steps());
    survey
}

/// The deepest zone that holds the target, by the SOAs that were given with authority.
fn enclosing_zone(steps: &[Observation], target: &Name) -> Option<Name> {
    let responses = steps.iter().filter_map(|step| step.outcome.as_ref().ok());
    responses
        .filter(|response| {
            response.authoritative && matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
        })
        .flat_map(|response| response.answers.iter().chain(&response.authority))
        .filter(|record| record.kind() == RecordKind::Soa && target.is_at_or_below(&record.name))
        .map(|record| &record.name)
        .max_by_key(|name| name.label_count())
        .cloned()
}

/// Questions about whatever else an unserved zone holds at the name of a CNAME, where nothing else may be.
fn questions_beside(unserved: &UnservedZone, expected: &[Expected]) -> Vec<Question> {
    let mut questions = Vec::new();
    for expected in expected.iter().filter(|expected| expected.value.target().is_some()) {
        for record in unserved.zone.records().filter(|record| record.name == expected.name) {
            let question = Question::new(record.name.clone(), record.kind());
            if !matches!(record.data, RecordData::Cname(_)) && !questions.contains(&question) {
                questions.push(question);
            }
        }
    }
    questions
}

/// An engine that answers for an unserved zone too, as a server of it would.
#[derive(Debug)]
struct WithZone<'a> {
    unserved: &'a UnservedZone,
    dns: &'a dyn DnsLookup,
}

#[async_trait]
impl DnsLookup for WithZone<'_> {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        match vantage {
            Vantage::Zone { .. } => Ok(answer(slice::from_ref(&self.unserved.zone), question)),
            _ => self.dns.ask(question, vantage).await,
        }
    }
}
