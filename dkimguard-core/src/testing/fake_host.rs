//! [`FakeHost`]: a DNS host that holds zones and serves them in a [`World`](super::World).

use std::collections::VecDeque;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::{ProviderError, ProviderErrorKind};
use crate::name::Name;
use crate::ports::{Published, RecordPublisher, ZoneView};
use crate::record::Record;
use crate::repair::RepairPlan;
use crate::zone::{HostedZone, Visibility, Zone};

use super::FakeDns;

/// A DNS host in memory: what is published there is served by its name servers at once.
#[derive(Debug)]
pub struct FakeHost {
    dns: Arc<FakeDns>,
    servers: Vec<(String, IpAddr)>,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    zone: HostedZone,
    faults: VecDeque<HostFault>,
    changes: u64,
    /// How often a change that was made is still said not to be in sync.
    slowness: u32,
    /// How every question fails whether a change is in sync.
    unsynced: Option<ProviderErrorKind>,
}

/// What happens to a call to a [`FakeHost`] that writes.
#[derive(Clone, Debug)]
pub enum HostFault {
    /// It fails, and nothing is done.
    Fails(ProviderErrorKind),
    /// It is done, and the answer is lost.
    AnswerLost,
    /// Before it, somebody else puts these records in the place of what stands at their names.
    EditedBefore(Vec<Record>),
    /// After it, the change is said not to be in sync for so many questions.
    Slow(u32),
    /// After it, every question whether the change is in sync fails.
    Unsynced(ProviderErrorKind),
}

impl FakeHost {
    /// A host of one zone with these records, served by these servers of the world, which it is delegated to.
    ///
    /// # Panics
    /// If a text is no name, or the world has no root.
    pub fn new(dns: Arc<FakeDns>, zone: &Name, records: Vec<Record>, servers: &[(&str, IpAddr)]) -> Self {
        let names = servers.iter().map(|(server, _)| super::zone::name(server));
        let zone = HostedZone {
            id: "ZFAKE".to_owned(),
            host: "the fake host".to_owned(),
            name: zone.clone(),
            visibility: Visibility::Public,
            servers: names.collect(),
            records,
        };
        let host = Self {
            dns,
            servers: servers.iter().map(|(server, address)| ((*server).to_owned(), *address)).collect(),
            state: Mutex::new(State {
                zone,
                faults: VecDeque::new(),
                changes: 0,
                slowness: 0,
                unsynced: None,
            }),
        };
        host.serve(&host.records());
        host
    }

    /// All records of the zone.
    pub fn records(&self) -> Vec<Record> {
        self.state().zone.records.clone()
    }

    /// How many changes were made.
    pub fn changes(&self) -> u64 {
        self.state().changes
    }

    /// Meets the next calls that write with these faults, one a call.
    pub fn meet(&self, faults: impl IntoIterator<Item = HostFault>) {
        self.state().faults.extend(faults);
    }

    /// Puts these records in the place of what stands at their names, as somebody else.
    pub fn edit(&self, records: &[Record]) {
        let mut state = self.state();
        state.zone.records.retain(|old| records.iter().all(|new| new.name != old.name));
        state.zone.records.extend_from_slice(records);
        let all = state.zone.records.clone();
        drop(state);
        self.serve(&all);
    }

    fn serve(&self, records: &[Record]) {
        let mut zone = Zone::at(self.state().zone.name.clone());
        for record in records {
            zone.insert(record.clone());
        }
        self.dns.change(|world| {
            let servers: Vec<(&str, IpAddr)> =
                self.servers.iter().map(|(server, address)| (server.as_str(), *address)).collect();
            world.host(zone, servers);
        });
    }

    /// No call leaves it half changed, so a panic elsewhere doesn't matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl ZoneView for FakeHost {
    async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError> {
        let mut held = self.state().zone.clone();
        held.records.retain(|record| record.name.is_at_or_below(below));
        Ok(if held.name == *zone { vec![held] } else { Vec::new() })
    }
}

#[async_trait]
impl RecordPublisher for FakeHost {
    async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError> {
        let fault = self.state().faults.pop_front();
        let mut is_lost = false;
        match fault {
            Some(HostFault::Fails(kind)) => return Err(failure(kind)),
            Some(HostFault::AnswerLost) => is_lost = true,
            Some(HostFault::EditedBefore(records)) => self.edit(&records),
            Some(HostFault::Slow(questions)) => self.state().slowness = questions,
            Some(HostFault::Unsynced(kind)) => self.state().unsynced = Some(kind),
            None => {}
        }
        let mut state = self.state();
        if state.zone.id != plan.zone.id {
            return Err(failure(ProviderErrorKind::NotFound));
        }
        let change = if plan.is_applied(&state.zone.records) {
            None
        } else if plan.is_current(&state.zone.records) {
            state.zone.records = plan.applied_to(&state.zone.records);
            state.changes += 1;
            Some(format!("C{}", state.changes))
        } else {
            return Err(failure(ProviderErrorKind::Stale));
        };
        let records = state.zone.records.clone();
        drop(state);
        self.serve(&records);
        if is_lost { Err(failure(ProviderErrorKind::Unavailable)) } else { Ok(Published { change }) }
    }

    async fn is_in_sync(&self, _published: &Published) -> Result<bool, ProviderError> {
        let mut state = self.state();
        if let Some(kind) = state.unsynced {
            return Err(failure(kind));
        }
        let is_slow = state.slowness > 0;
        state.slowness = state.slowness.saturating_sub(1);
        Ok(!is_slow)
    }
}

fn failure(kind: ProviderErrorKind) -> ProviderError {
    let (provider, operation) = ("the fake host".to_owned(), "apply".to_owned());
    ProviderError { provider, operation, kind, source: None }
}
