//! [`Resolver`]: a recursive resolver of the model.

use std::collections::BTreeMap;
use std::net::IpAddr;

use crate::error::LookupError;
use crate::look::{ExtendedError, Question, Rcode, Response};
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind};
use crate::zone::Zone;

use super::fault::{Fault, ScopedFault};
use super::server::{Server, faulty_answer};
use super::zone::name;

/// How many aliases one question follows.
const MAX_ALIASES: usize = 16;
/// How many delegations one question follows, those on the way to servers' addresses included.
const MAX_DELEGATIONS: usize = 100;
/// No Reachable Authority (RFC 8914 §4.23).
const NO_REACHABLE_AUTHORITY: u16 = 22;

/// A recursive resolver: it goes from the root's servers down the delegations of its world, asks the first usable
/// server of each zone, follows aliases, and validates. It caches nothing but what it was told to have cached.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Resolver {
    faults: Vec<ScopedFault>,
    prefers: usize,
    cached_absences: BTreeMap<Name, u32>,
    local: Vec<Zone>,
    validation: Validation,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Validation {
    #[default]
    On,
    Off,
}

impl Resolver {
    /// Adds a fault. Of several that hold for a question, the first one added shows.
    pub fn fault(&mut self, fault: impl Into<ScopedFault>) -> &mut Self {
        self.faults.push(fault.into());
        self
    }

    /// Takes every fault away, and forgets what is cached.
    pub fn heal(&mut self) -> &mut Self {
        self.faults.clear();
        self.cached_absences.clear();
        self
    }

    /// Asks the servers of each zone beginning with this one, counted from 0 in the order of the delegation; the
    /// count goes round. So both sides of a split zone can be shown.
    pub fn prefer_server(&mut self, index: usize) -> &mut Self {
        self.prefers = index;
        self
    }

    /// Answers NXDOMAIN for this name and those below it, out of a cache that keeps it for `ttl` more seconds.
    ///
    /// # Panics
    /// If the text is no name.
    pub fn cache_absence(&mut self, owner: &str, ttl: u32) -> &mut Self {
        self.cached_absences.insert(name(owner), ttl);
        self
    }

    /// Answers names of this zone from it and not from the world: a private zone.
    pub fn serve_privately(&mut self, zone: Zone) -> &mut Self {
        self.local.push(zone);
        self
    }

    /// Answers from bogus zones as though they were sound.
    pub fn trust_everything(&mut self) -> &mut Self {
        self.validation = Validation::Off;
        self
    }

    pub(super) fn faults(&self) -> &[ScopedFault] {
        &self.faults
    }

    pub(super) fn answer(
        &self,
        question: &Question,
        servers: &BTreeMap<IpAddr, Server>,
        bogus: &BTreeMap<Name, ExtendedError>,
    ) -> Result<Response, LookupError> {
        if let Some(fault) = self.faults.iter().find(|fault| fault.holds_for(question)) {
            let recursion_available = fault.fault != Fault::NoRecursion;
            let response = faulty_answer(fault)?;
            return Ok(Response { authoritative: false, recursion_available, ..response });
        }
        let mut walk = Walk { resolver: self, servers, delegations: 0 };
        let resolved = walk.resolve(&question.name, question.kind).and_then(|resolved| {
            let validates = self.validation == Validation::On && !question.checking_disabled;
            match resolved.bogus_by(bogus).filter(|_| validates) {
                Some(error) => Err(error.clone()),
                None => Ok(resolved.response),
            }
        });
        let mut response = resolved.unwrap_or_else(|error| {
            let extended_errors = vec![error];
            Response { extended_errors, ..Response::new(Rcode::SERVFAIL) }
        });
        response.recursion_available = true;
        Ok(response)
    }
}

/// What a walk came to: the response, and the names that it rests on.
struct Resolved {
    response: Response,
    owners: Vec<Name>,
}

impl Resolved {
    fn bogus_by<'a>(&self, bogus: &'a BTreeMap<Name, ExtendedError>) -> Option<&'a ExtendedError> {
        let is_bogus = |zone: &Name| self.owners.iter().any(|owner| owner.is_at_or_below(zone));
        bogus.iter().find(|(zone, _)| is_bogus(zone)).map(|(_, error)| error)
    }
}

/// One question's way through the world.
struct Walk<'w> {
    resolver: &'w Resolver,
    servers: &'w BTreeMap<IpAddr, Server>,
    delegations: usize,
}

impl Walk<'_> {
    /// Follows the aliases. Of each server's answer only the first link is taken: the next name may be
    /// another zone's, and that zone's servers have the say.
    fn resolve(&mut self, owner: &Name, kind: RecordKind) -> Result<Resolved, ExtendedError> {
        let mut response = Response::new(Rcode::NOERROR);
        let mut owners = vec![owner.clone()];
        let mut owner = owner.clone();
        for _ in 0..MAX_ALIASES {
            let found = self.ask_zone(&owner, kind)?;
            let here = |record: &&Record| record.name == owner;
            let wanted: Vec<Record> =
                found.answers.iter().filter(here).filter(|r| r.kind() == kind).cloned().collect();
            let target = found.cnames(&owner).first().map(|target| (*target).clone());
            if !wanted.is_empty() {
                response.answers.extend(wanted);
                return Ok(Resolved { response, owners });
            }
            let Some(target) = target else {
                response.rcode = found.rcode;
                response.authority = found.authority;
                return Ok(Resolved { response, owners });
            };
            let is_link = |record: &&Record| match record.data {
                RecordData::Cname(_) => record.name == owner,
                RecordData::Dname(_) => owner.is_below(&record.name),
                _ => false,
            };
            response.answers.extend(found.answers.iter().filter(is_link).cloned());
            owners.push(target.clone());
            owner = target;
        }
        Err(ExtendedError { code: 0, text: "too many aliases".to_owned() })
    }

    /// What the servers of the zone that holds the name answer.
    fn ask_zone(&mut self, owner: &Name, kind: RecordKind) -> Result<Response, ExtendedError> {
        if let Some(absence) = self.cached_absence(owner) {
            return Ok(absence);
        }
        let question = Question::new(owner.clone(), kind);
        if let Some(zone) = self.resolver.local.iter().find(|zone| owner.is_at_or_below(zone.apex())) {
            let mut local = Server::default();
            return local
                .serve(zone.clone())
                .answer(&question)
                .map_err(|_| unreachable_authority(zone.apex()));
        }
        let mut cut = Name::root();
        let mut addresses = self.root_addresses();
        loop {
            let response = self
                .ask_first_usable(&question, &cut, &addresses)
                .ok_or_else(|| unreachable_authority(&cut))?;
            let Some((next, names)) = response.referral() else {
                return Ok(response);
            };
            self.delegations += 1;
            if self.delegations > MAX_DELEGATIONS {
                return Err(unreachable_authority(next));
            }
            addresses = names.iter().flat_map(|name| self.addresses_of(name, &response.additional)).collect();
            cut = next.clone();
        }
    }

    fn ask_first_usable(&self, question: &Question, cut: &Name, addresses: &[IpAddr]) -> Option<Response> {
        let start = self.resolver.prefers.checked_rem(addresses.len()).unwrap_or(0);
        let (last, first) = addresses.split_at(start);
        let answers =
            first.iter().chain(last).filter_map(|address| self.servers.get(address)?.answer(question).ok());
        answers.into_iter().find(|response| {
            let refers_down = response
                .referral()
                .is_some_and(|(next, _)| next.is_below(cut) && question.name.is_at_or_below(next));
            // SERVFAIL, REFUSED and the like make a resolver try the next server; 6 is a DNAME's answer.
            let has_answer = matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN | Rcode(6));
            has_answer && (response.authoritative || refers_down)
        })
    }

    fn addresses_of(&mut self, server: &Name, glue: &[Record]) -> Vec<IpAddr> {
        let glue: Vec<IpAddr> = glue.iter().filter(|r| r.name == *server).filter_map(address).collect();
        if !glue.is_empty() {
            return glue;
        }
        let mut found = Vec::new();
        for kind in [RecordKind::A, RecordKind::Aaaa] {
            if self.delegations > MAX_DELEGATIONS {
                break;
            }
            // Counted too, so that servers whose names lie in each other's zones come to an end.
            self.delegations += 1;
            if let Ok(resolved) = self.resolve(server, kind) {
                found.extend(resolved.response.answers.iter().filter_map(address));
            }
        }
        found
    }

    fn root_addresses(&self) -> Vec<IpAddr> {
        let serves_root = |server: &Server| server.zones().any(|zone| zone.apex().is_root());
        self.servers.iter().filter(|(_, server)| serves_root(server)).map(|(address, _)| *address).collect()
    }

    fn cached_absence(&self, owner: &Name) -> Option<Response> {
        let cached = &self.resolver.cached_absences;
        let ttl = owner.ancestors().find_map(|above| cached.get(&above).copied())?;
        let zones = self.servers.values().flat_map(Server::zones);
        let zone = zones
            .filter(|zone| owner.is_at_or_below(zone.apex()))
            .max_by_key(|zone| zone.apex().label_count());
        let soa = zone.and_then(Zone::absence).map(|soa| Record { ttl, ..soa });
        Some(Response { authority: soa.into_iter().collect(), ..Response::new(Rcode::NXDOMAIN) })
    }
}

fn address(record: &Record) -> Option<IpAddr> {
    match record.data {
        RecordData::A(address) => Some(address.into()),
        RecordData::Aaaa(address) => Some(address.into()),
        _ => None,
    }
}

fn unreachable_authority(zone: &Name) -> ExtendedError {
    ExtendedError { code: NO_REACHABLE_AUTHORITY, text: format!("at delegation {zone}") }
}
