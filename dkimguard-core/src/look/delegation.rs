//! [`Delegation`]: which servers a zone is delegated to, found from the parent's side.
//!
//! Resolvers guide the way to the top-level domain's servers; from there on each zone's own servers are asked, and
//! their referrals are followed, so that what the parent says is seen as the parent says it.

use std::collections::{BTreeMap, BTreeSet};
use std::net::{IpAddr, SocketAddr};
use std::pin::pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::Poll;

use futures_util::future::{BoxFuture, FutureExt, Shared, join_all, poll_fn};
use futures_util::stream::{FuturesUnordered, StreamExt};

use super::{Observation, Question, Rcode, Response, Vantage};
use crate::error::LookupError;
use crate::name::Name;
use crate::ports::DnsLookup;
use crate::record::{Record, RecordData, RecordKind};

/// How many servers of the top-level domain are looked up; two that answer would do.
const GUIDES_ABOVE: usize = 4;
/// How many servers of one zone are looked at; the largest delegations in use have 13.
const MOST_SERVERS: usize = 32;
/// How many addresses of one server are looked at.
const MOST_ADDRESSES: usize = 16;

/// The servers that a zone is delegated to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delegation {
    /// The zone.
    pub zone: Name,
    /// The zone above, whose servers gave the delegation; none where only a resolver could be asked.
    pub parent: Option<Name>,
    /// The addresses of the parent's servers that were looked up, for control questions.
    pub parent_addresses: Vec<SocketAddr>,
    /// The name servers that the parent gives.
    pub given_by_parent: Vec<Name>,
    /// The name servers that the zone itself gives, all its servers' answers together.
    pub given_by_zone: Vec<Name>,
    /// The servers, first the parent's in the parent's order, then those that only the zone gives.
    pub servers: Vec<Server>,
    /// How many servers and addresses were left out, because there were too many.
    pub left_out: usize,
    /// Where else the zone is asked, without a server's name; only where the delegation is supposed.
    pub unnamed: Vec<Vantage>,
    /// Whether nobody has delegated the zone so, and it is looked at as though.
    pub supposed: bool,
}

/// One name server and its addresses.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Server {
    /// Its name.
    pub name: Name,
    /// Its addresses: the parent's glue, then those that were looked up.
    pub addresses: Vec<SocketAddr>,
    /// What the look-up of its addresses came to, glue aside.
    pub lookup: AddressLookup,
}

/// What the look-up of a server's addresses came to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AddressLookup {
    /// It isn't finished.
    Open,
    /// There are addresses.
    Found,
    /// A resolver says that the name has none.
    None,
    /// Resolvers answer, and cannot resolve the name.
    Unresolvable(Rcode),
    /// Nothing is known.
    Unseen,
}

impl Delegation {
    pub(super) fn new(zone: Name, names: impl IntoIterator<Item = Name>) -> Self {
        let mut delegation = Self {
            zone,
            parent: None,
            parent_addresses: Vec::new(),
            given_by_parent: Vec::new(),
            given_by_zone: Vec::new(),
            servers: Vec::new(),
            left_out: 0,
            unnamed: Vec::new(),
            supposed: false,
        };
        for name in names {
            delegation.add_server(&name);
        }
        delegation
    }

    /// A delegation that nobody has made, to these places and to servers that are added.
    pub(super) fn supposed(zone: Name, unnamed: Vec<Vantage>) -> Self {
        Self { unnamed, supposed: true, ..Self::new(zone, []) }
    }

    /// Every address, with the name of its server, then the places without a name; an address of two names comes
    /// once.
    pub fn vantages(&self) -> Vec<Vantage> {
        let mut seen = BTreeSet::new();
        self.servers
            .iter()
            .flat_map(|server| server.addresses.iter().map(move |address| (server, *address)))
            .map(|(server, address)| Vantage::Authoritative { server: Some(server.name.clone()), address })
            .chain(self.unnamed.iter().cloned())
            .filter(|vantage| seen.insert(vantage.address()))
            .collect()
    }

    /// Adds a server unless it is there; whether it was added.
    pub(super) fn add_server(&mut self, name: &Name) -> bool {
        if self.servers.iter().any(|server| server.name == *name) {
            return false;
        }
        if self.servers.len() >= MOST_SERVERS {
            self.left_out += 1;
            return false;
        }
        self.servers.push(Server { name: name.clone(), addresses: Vec::new(), lookup: AddressLookup::Open });
        true
    }

    /// Adds addresses to a server; those that no server of the zone had before are given back.
    pub(super) fn add_addresses(
        &mut self,
        name: &Name,
        addresses: impl IntoIterator<Item = SocketAddr>,
    ) -> Vec<Vantage> {
        let known: BTreeSet<SocketAddr> =
            self.servers.iter().flat_map(|server| server.addresses.clone()).collect();
        let Some(server) = self.servers.iter_mut().find(|server| server.name == *name) else {
            return Vec::new();
        };
        let mut added = Vec::new();
        for address in addresses {
            if !server.addresses.contains(&address) {
                if server.addresses.len() >= MOST_ADDRESSES {
                    self.left_out += 1;
                    continue;
                }
                server.addresses.push(address);
                if !known.contains(&address) {
                    added.push(Vantage::Authoritative { server: Some(name.clone()), address });
                }
            }
        }
        added
    }
}

/// Finds delegations, and the addresses of servers. Keeps what it heard on the way.
#[derive(Debug)]
pub(super) struct Guide<'a> {
    dns: &'a dyn DnsLookup,
    resolvers: Arc<Resolvers<'a>>,
    port: u16,
    /// The servers whose addresses are known or being looked up.
    lookups: Mutex<BTreeMap<Name, Lookup<'a>>>,
    /// Those being looked up.
    under_way: Mutex<FuturesUnordered<Lookup<'a>>>,
    /// What authoritative servers answered on the way down.
    steps: Mutex<Vec<Observation>>,
}

/// A look-up of a server's addresses, for several to wait for.
type Lookup<'a> = Shared<BoxFuture<'a, FoundAddresses>>;

/// The resolvers that show the way.
#[derive(Debug)]
struct Resolvers<'a> {
    dns: &'a dyn DnsLookup,
    all: &'a [Vantage],
    /// Those that were silent when first asked; they aren't waited for again.
    silent: Mutex<BTreeSet<Vantage>>,
    /// Those that have answered; one silence later on is the question's, not theirs.
    answering: Mutex<BTreeSet<Vantage>>,
}

/// A step down could not be taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct LostWay {
    /// What was asked, of whom, and what came back.
    pub(super) reason: String,
}

impl<'a> Guide<'a> {
    pub(super) fn new(dns: &'a dyn DnsLookup, resolvers: &'a [Vantage], port: u16) -> Self {
        let resolvers =
            Resolvers { dns, all: resolvers, silent: Mutex::default(), answering: Mutex::default() };
        Self {
            dns,
            resolvers: Arc::new(resolvers),
            port,
            lookups: Mutex::default(),
            under_way: Mutex::default(),
            steps: Mutex::default(),
        }
    }

    /// What comes of `work`. Meanwhile look-ups that it has begun move on, whether or not it waits for them by now;
    /// without this they begin when they are first waited for.
    pub(super) async fn accompany<T>(&self, work: impl Future<Output = T>) -> T {
        let mut work = pin!(work);
        poll_fn(|context| {
            let outcome = work.as_mut().poll(context);
            if let Ok(mut under_way) = self.under_way.lock() {
                while let Poll::Ready(Some(_)) = under_way.poll_next_unpin(context) {}
            }
            outcome
        })
        .await
    }

    /// Keeps what authoritative servers answered to other questions on the way.
    pub(super) fn keep_steps(&self, more: impl IntoIterator<Item = Observation>) {
        if let Ok(mut steps) = self.steps.lock() {
            steps.extend(more);
        }
    }

    /// Asks the servers of the top-level domain for its SOA: whether any name server can be reached from here.
    pub(super) async fn control(&self, target: &Name) {
        if let Ok(start) = self.start(target).await {
            self.ask_zone(&start, &Question::new(start.zone.clone(), RecordKind::Soa)).await;
        }
    }

    /// What authoritative servers answered on the way down.
    pub(super) fn into_steps(self) -> Vec<Observation> {
        self.steps.into_inner().unwrap_or_default()
    }

    /// Why an address gave no answer on the way down, if every question to it timed out: one about the delegation and
    /// one about the zone's SOA at least, for some servers ignore the first kind.
    pub(super) fn silence_of(&self, address: SocketAddr) -> Option<LookupError> {
        let steps = self.steps.lock().ok()?;
        let here: Vec<&Observation> = steps.iter().filter(|step| step.vantage.address() == address).collect();
        let asked_for_soa = here.iter().any(|step| step.question.kind == RecordKind::Soa);
        let error = here.iter().find_map(|step| step.outcome.as_ref().err())?;
        let is_silent = here.iter().all(|step| matches!(step.outcome, Err(LookupError::Timeout { .. })));
        (asked_for_soa && is_silent).then(|| error.clone())
    }

    /// The delegation of the deepest zone in which `target` lies, and before it those of the zones above that are
    /// somebody's own and no registry's: each of their servers must refer to the next.
    pub(super) async fn find(&self, target: &Name) -> Result<Vec<Delegation>, LostWay> {
        let lost = match self.start(target).await {
            Ok(start) => {
                let Descent { passed, reached, silent_at } = self.descend(start, target).await;
                if silent_at.is_none() || reached.parent.is_some() {
                    return Ok(passed.into_iter().chain([reached]).collect());
                }
                LostWay { reason: format!("no name server of {} gives an answer", reached.zone) }
            }
            Err(lost) => lost,
        };
        self.as_resolvers_see(target).await.map(|delegation| vec![delegation]).ok_or(lost)
    }

    /// The servers of the top-level domain, or of the root where the resolvers don't know that domain.
    async fn start(&self, target: &Name) -> Result<Delegation, LostWay> {
        let mut above: Vec<Name> = target.ancestors().collect();
        above.reverse();
        let mut reason = String::from("no resolver to begin with");
        // The top-level domain saves the question to the root; the root is there for what it doesn't know.
        for zone in above.iter().skip(1).take(1).chain(above.first()) {
            match self.resolvers.ask(&Question::new(zone.clone(), RecordKind::Ns)).await {
                Ok(response) => {
                    let names = name_servers(&response.answers, zone);
                    let mut delegation = Delegation::new(zone.clone(), names.into_iter().take(GUIDES_ABOVE));
                    self.take_glue(&mut delegation, &response.additional);
                    self.look_up_all(&mut delegation).await;
                    if delegation.servers.iter().any(|server| !server.addresses.is_empty()) {
                        return Ok(delegation);
                    }
                    reason = format!("no address of a name server of {zone} was found");
                }
                Err(lost) => reason = lost.reason,
            }
        }
        Err(LostWay { reason })
    }

    /// Follows referrals as far as they lead towards the target.
    pub(super) async fn descend(&self, start: Delegation, target: &Name) -> Descent {
        let mut here = start;
        let mut passed = Vec::new();
        loop {
            // Where the zone's servers are silent, the resolvers don't find them either: make that one wait, not two.
            for server in &here.servers {
                drop(self.lookup(&server.name));
            }
            let mut silent_at = None;
            let depth = here.zone.label_count();
            let mut way: Vec<Name> =
                target.ancestors().take_while(|name| name.label_count() > depth).collect();
            way.reverse();
            let mut next = None;
            for child in &way {
                let question = Question::new(child.clone(), RecordKind::Ns);
                let Some(response) = self.ask_zone(&here, &question).await else {
                    silent_at = Some(child.clone());
                    break;
                };
                if let Some((cut, names)) = response.referral() {
                    next = Some(Delegation::new(cut.clone(), names.into_iter().cloned()));
                } else {
                    // The same servers serve the child too, so it answers for its own delegation.
                    let names = name_servers(&response.answers, child);
                    if !names.is_empty() {
                        next = Some(Delegation::new(child.clone(), names));
                    }
                }
                if let Some(next) = &mut next {
                    self.take_glue(next, &response.additional);
                    break;
                }
            }
            let Some(mut next) = next else { return Descent { passed, reached: here, silent_at } };
            next.parent = Some(here.zone.clone());
            next.parent_addresses = here.vantages().iter().map(Vantage::address).collect();
            next.given_by_parent = next.servers.iter().map(|server| server.name.clone()).collect();
            // Without glue the way ends here unless the servers are looked up; with it the survey looks them up.
            if next.servers.iter().all(|server| server.addresses.is_empty()) {
                self.look_up_all(&mut next).await;
            }
            let is_own = here.supposed || (here.parent.is_some() && here.zone.registered_domain().is_some());
            let above = std::mem::replace(&mut here, next);
            passed.extend(is_own.then_some(above));
        }
    }

    /// The delegation as the resolvers see it, where the parent's servers cannot be asked.
    async fn as_resolvers_see(&self, target: &Name) -> Option<Delegation> {
        let zones = target.ancestors().filter(|name| name.label_count() > 1);
        let asked = join_all(zones.map(|zone| async move {
            let answer = self.resolvers.ask(&Question::new(zone.clone(), RecordKind::Ns)).await;
            (zone, answer)
        }));
        // The deepest comes first.
        asked.await.into_iter().find_map(|(zone, answer)| {
            let response = answer.ok()?;
            let names = name_servers(&response.answers, &zone);
            if names.is_empty() {
                return None;
            }
            let mut delegation = Delegation::new(zone, names);
            self.take_glue(&mut delegation, &response.additional);
            Some(delegation)
        })
    }

    /// Learns addresses from an additional section.
    fn take_glue(&self, delegation: &mut Delegation, additional: &[Record]) {
        for record in additional {
            if let Some(ip) = address(&record.data) {
                delegation.add_addresses(&record.name, [SocketAddr::new(ip, self.port)]);
            }
        }
    }

    async fn look_up_all(&self, delegation: &mut Delegation) {
        let names: Vec<Name> = delegation.servers.iter().map(|server| server.name.clone()).collect();
        let found = join_all(names.iter().map(|name| self.addresses(name))).await;
        for (name, found) in names.iter().zip(found) {
            delegation.take_addresses(name, found);
        }
    }

    /// The addresses of a server, IPv4 first, through the resolvers, which are asked once.
    pub(super) async fn addresses(&self, name: &Name) -> FoundAddresses {
        self.lookup(name).await
    }

    /// The look-up of a server's addresses, begun if it wasn't.
    fn lookup(&self, name: &Name) -> Lookup<'a> {
        let begin = || {
            let (resolvers, name, port) = (Arc::clone(&self.resolvers), name.clone(), self.port);
            let lookup = async move { resolvers.addresses(&name, port).await }.boxed().shared();
            if let Ok(under_way) = self.under_way.lock() {
                under_way.push(lookup.clone());
            }
            lookup
        };
        // The map is sound even if the lock says it was poisoned: entries are only ever added.
        let mut lookups = self.lookups.lock().unwrap_or_else(PoisonError::into_inner);
        lookups.entry(name.clone()).or_insert_with(begin).clone()
    }

    /// What a zone's servers answer: all at once, the first answer that has authority or refers downwards. A few after
    /// the others, silent ones among the first would cost a time-out of their own.
    async fn ask_zone(&self, zone: &Delegation, question: &Question) -> Option<Response> {
        let vantages = zone.vantages();
        let mut asks: FuturesUnordered<_> = vantages
            .iter()
            .flat_map(|vantage| {
                // That a server is silent is believed once it is silent about its own zone too.
                let soa = Question::new(zone.zone.clone(), RecordKind::Soa);
                let control = zone.parent.is_some().then_some(soa);
                [Some(question.clone()), control]
                    .into_iter()
                    .flatten()
                    .map(move |question| (question, vantage))
            })
            .map(|(question, vantage)| async move {
                let outcome = self.dns.ask(&question, vantage).await;
                Observation { question, vantage: vantage.clone(), outcome }
            })
            .collect();
        while let Some(step) = asks.next().await {
            let is_answer = step.question.kind == question.kind;
            let leads_on = step.outcome.as_ref().is_ok_and(|response| {
                is_answer
                    && response
                        .referral()
                        .map_or(response.authoritative && is_definite(response), |(cut, _)| {
                            cut.is_below(&zone.zone) && question.name.is_at_or_below(cut)
                        })
            });
            let response = step.outcome.as_ref().ok().cloned();
            if let Ok(mut steps) = self.steps.lock() {
                steps.push(step);
            }
            if leads_on {
                return response;
            }
        }
        None
    }
}

impl Resolvers<'_> {
    /// What a resolver answers: the world's view first, this machine's own only where there is no other.
    async fn ask(&self, question: &Question) -> Result<Response, LostWay> {
        match self.race(question).await {
            Raced::Definite(response, _) => Ok(response),
            Raced::Useless(rcode) => {
                let came = rcode.map_or_else(|| "no answer".to_owned(), |rcode| rcode.to_string());
                Err(LostWay { reason: format!("asked for {question}, the resolvers gave {came}") })
            }
        }
    }

    /// Asks all resolvers at once. The first answer with data, or with proof that the name is there without, counts;
    /// that a name doesn't exist is believed once no resolver says otherwise, and this machine's own resolvers
    /// where there is no other.
    async fn race(&self, question: &Question) -> Raced {
        let silent = self.silent.lock().map(|silent| silent.clone()).unwrap_or_default();
        let mut asks: FuturesUnordered<_> = self
            .all
            .iter()
            .filter(|resolver| !silent.contains(resolver))
            .map(|resolver| async move { (resolver, self.dns.ask(question, resolver).await) })
            .collect();
        let (mut own_view, mut denial, mut rcode) = (None, None, None);
        while let Some((resolver, outcome)) = asks.next().await {
            self.note(resolver, &outcome);
            match outcome {
                Ok(response) if is_definite(&response) => {
                    let is_own = matches!(resolver, Vantage::System { .. });
                    let has_proof = response.rcode == Rcode::NOERROR
                        && (!response.answers.is_empty() || response.proof_of_absence().is_some());
                    match (is_own, has_proof) {
                        (false, true) => return Raced::Definite(response, View::World),
                        (false, false) => denial = denial.or(Some(response)),
                        (true, _) => own_view = own_view.or(Some(response)),
                    }
                }
                Ok(response) => rcode = Some(response.rcode),
                Err(_) => {}
            }
        }
        match (denial, own_view) {
            (Some(response), _) => Raced::Definite(response, View::World),
            (None, Some(response)) => Raced::Definite(response, View::Own),
            (None, None) => Raced::Useless(rcode),
        }
    }

    fn note(&self, resolver: &Vantage, outcome: &Result<Response, LookupError>) {
        let (Ok(mut answering), Ok(mut silent)) = (self.answering.lock(), self.silent.lock()) else { return };
        match outcome {
            Ok(_) => {
                answering.insert(resolver.clone());
            }
            Err(LookupError::Timeout { .. }) if !answering.contains(resolver) => {
                silent.insert(resolver.clone());
            }
            Err(_) => {}
        }
    }

    /// The addresses of a server, IPv4 first, through the resolvers.
    async fn addresses(&self, name: &Name, port: u16) -> FoundAddresses {
        let asked = join_all(
            [RecordKind::A, RecordKind::Aaaa]
                .map(|kind| async move { self.race(&Question::new(name.clone(), kind)).await }),
        )
        .await;
        let mut found =
            FoundAddresses { addresses: Vec::new(), lookup: AddressLookup::None, view: View::World };
        let mut refusal = None;
        let mut unseen = false;
        for answer in asked {
            match answer {
                Raced::Definite(response, view) => {
                    let end = response.chain_end(name);
                    let records = response.answers.iter().filter(|record| record.name == *end);
                    let addresses = records.filter_map(|record| address(&record.data));
                    found.addresses.extend(addresses.map(|ip| SocketAddr::new(ip, port)));
                    if view == View::Own {
                        found.view = View::Own;
                    }
                }
                Raced::Useless(Some(rcode)) => refusal = Some(rcode),
                Raced::Useless(None) => unseen = true,
            }
        }
        found.lookup = match (found.addresses.is_empty(), unseen, refusal) {
            (false, ..) => AddressLookup::Found,
            (true, true, _) => AddressLookup::Unseen,
            (true, false, Some(rcode)) => AddressLookup::Unresolvable(rcode),
            (true, false, None) => AddressLookup::None,
        };
        found
    }
}

/// Whose view of the DNS an answer shows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum View {
    /// Everybody's.
    World,
    /// That of this machine's own resolvers, which may serve private zones.
    Own,
}

/// What a look-up of a server's addresses found.
#[derive(Clone, Debug)]
pub(super) struct FoundAddresses {
    addresses: Vec<SocketAddr>,
    lookup: AddressLookup,
    view: View,
}

/// How far referrals led.
pub(super) struct Descent {
    /// The zones on the way that are somebody's own.
    pub(super) passed: Vec<Delegation>,
    pub(super) reached: Delegation,
    /// The name that no server of the zone reached would answer for, where that ended the descent.
    silent_at: Option<Name>,
}

impl Delegation {
    /// Adds a server with what a look-up of its addresses found, on this port.
    pub(super) fn suppose_server(&mut self, name: &Name, found: FoundAddresses, port: u16) {
        let addresses =
            found.addresses.into_iter().map(|address| SocketAddr::new(address.ip(), port)).collect();
        self.add_server(name);
        self.take_addresses(name, FoundAddresses { addresses, ..found });
    }

    /// Takes what a look-up of a server's addresses found; the new ones are given back. A private view adds nothing
    /// to what the parent says.
    pub(super) fn take_addresses(&mut self, name: &Name, found: FoundAddresses) -> Vec<Vantage> {
        let mut has_glue = false;
        if let Some(server) = self.servers.iter_mut().find(|server| server.name == *name) {
            server.lookup = found.lookup;
            has_glue = !server.addresses.is_empty();
        }
        if has_glue && found.view == View::Own {
            return Vec::new();
        }
        self.add_addresses(name, found.addresses)
    }
}

/// What came of asking several resolvers at once.
enum Raced {
    /// One of them knows.
    Definite(Response, View),
    /// None does; the code that one of them answered, if any answered at all.
    Useless(Option<Rcode>),
}

/// Whether a response says that something is there, or that it isn't.
fn is_definite(response: &Response) -> bool {
    response.rcode == Rcode::NOERROR || response.rcode == Rcode::NXDOMAIN
}

fn name_servers(records: &[Record], zone: &Name) -> Vec<Name> {
    let mut names: Vec<Name> = Vec::new();
    for record in records.iter().filter(|record| record.name == *zone) {
        if let RecordData::Ns(name) = &record.data
            && !names.contains(name)
        {
            names.push(name.clone());
        }
    }
    names
}

fn address(data: &RecordData) -> Option<IpAddr> {
    match data {
        RecordData::A(address) => Some(IpAddr::V4(*address)),
        RecordData::Aaaa(address) => Some(IpAddr::V6(*address)),
        _ => None,
    }
}
