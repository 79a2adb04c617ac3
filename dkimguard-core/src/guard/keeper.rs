//! [`Keeper`]: memories as the store holds them, and in its place while it can't be used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use jiff::Timestamp;

use super::delivery::Delivery;
use super::{Alert, AlertEvent, IncidentId, IncidentKind, Memory, Severity};
use crate::error::{StoreError, chain};
use crate::identity::IdentityId;
use crate::judge::Verdict;
use crate::ports::{Revision, Store};

/// How often a change is made again because another instance saved first, before it is kept here alone.
const MOST_CONFLICTS: usize = 32;
/// What stands for the identity in an alert of the guard's own.
const OWN_ID: &str = "guard";

/// Memories as the store holds them. While it can't be used, what changes is kept here, so that alerts still go out,
/// and the fault is an incident of its own.
#[derive(Debug)]
pub(super) struct Keeper {
    store: Arc<dyn Store>,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    unsaved: HashMap<IdentityId, Memory>,
    fault: Option<Fault>,
    own: Delivery,
}

/// The store's fault, as it was told of.
#[derive(Debug)]
struct Fault {
    incident: IncidentId,
    opened_at: Timestamp,
    what: String,
}

impl Keeper {
    pub(super) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, state: Mutex::default() }
    }

    /// What is remembered of an identity; nothing where the store can't tell and nothing is kept here.
    pub(super) async fn load(&self, id: &IdentityId, at: Timestamp) -> Memory {
        let stored = self.read(id, at).await;
        self.newest(id, stored.ok().flatten()).0
    }

    /// Changes what is remembered of an identity. Where another instance saves first, the change is made again to what
    /// that saved; so it may be made several times, and the last counts.
    pub(super) async fn update<T>(
        &self,
        id: &IdentityId,
        at: Timestamp,
        mut change: impl FnMut(Memory) -> (Memory, T),
    ) -> T {
        let mut conflicts = 0;
        loop {
            let Ok(stored) = self.read(id, at).await else {
                let (memory, made) = change(self.newest(id, None).0);
                self.state().unsaved.insert(id.clone(), memory);
                return made;
            };
            let (before, revision) = self.newest(id, stored);
            let (memory, made) = change(before.clone());
            if memory == before {
                return made;
            }
            match self.store.save(id, &memory, revision).await {
                Ok(_) => {
                    self.state().unsaved.remove(id);
                    self.be_well(at);
                    return made;
                }
                Err(StoreError::Conflict) if conflicts < MOST_CONFLICTS => {
                    // What the other instance saved counts, not what is kept here.
                    self.state().unsaved.remove(id);
                    conflicts += 1;
                }
                Err(error) => {
                    self.fail(&error, at);
                    self.state().unsaved.insert(id.clone(), memory);
                    return made;
                }
            }
        }
    }

    /// Changes the alerts of the guard's own.
    pub(super) fn with_own<T>(&self, change: impl FnOnce(&mut Delivery) -> T) -> T {
        change(&mut self.state().own)
    }

    /// What is wrong with the store, if anything is.
    pub(super) fn fault(&self) -> Option<String> {
        self.state().fault.as_ref().map(|fault| fault.what.clone())
    }

    async fn read(&self, id: &IdentityId, at: Timestamp) -> Result<Option<(Memory, Revision)>, StoreError> {
        let stored = self.store.load(id).await;
        if let Err(error) = &stored {
            self.fail(error, at);
        }
        stored
    }

    /// What was looked at last, of what is stored and what is kept here, with the stored revision.
    fn newest(&self, id: &IdentityId, stored: Option<(Memory, Revision)>) -> (Memory, Option<Revision>) {
        let (stored, revision) = stored.map_or((None, None), |(memory, at)| (Some(memory), Some(at)));
        let unsaved = self.state().unsaved.get(id).cloned();
        let memory = match (stored, unsaved) {
            (Some(stored), Some(unsaved)) if stored.looked_at() > unsaved.looked_at() => stored,
            (_, Some(unsaved)) => unsaved,
            (stored, None) => stored.unwrap_or_default(),
        };
        (memory, revision)
    }

    fn fail(&self, error: &StoreError, at: Timestamp) {
        let mut state = self.state();
        if state.fault.is_some() {
            return;
        }
        let incident = IncidentId::new(OWN_ID, IncidentKind::Store, at);
        let fault = Fault { incident, opened_at: at, what: chain(error) };
        state.own.add(fault.alert(AlertEvent::Opened, at));
        state.fault = Some(fault);
    }

    fn be_well(&self, at: Timestamp) {
        let mut state = self.state();
        if let Some(fault) = state.fault.take() {
            state.own.add(fault.alert(AlertEvent::Recovered, at));
        }
    }

    /// No change leaves the state half made, so a panic elsewhere doesn't matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Fault {
    fn alert(&self, event: AlertEvent, at: Timestamp) -> Alert {
        let is_over = event == AlertEvent::Recovered;
        let summary = if is_over {
            "what the guard remembers is stored again".to_owned()
        } else {
            format!("what the guard remembers cannot be stored: {}", self.what)
        };
        Alert {
            incident: self.incident.clone(),
            number: if is_over { 2 } else { 1 },
            event,
            kind: IncidentKind::Store,
            severity: Severity::Warning,
            at,
            opened_at: self.opened_at,
            id: OWN_ID.to_owned(),
            domain: None,
            verdict: if is_over { Verdict::Healthy } else { Verdict::Unknown },
            summary,
            remedy: (!is_over).then(|| {
                "Make room, or give back the access. Until then alerts go out, and a restart forgets which were sent."
                    .to_owned()
            }),
            causes: Vec::new(),
            deadline: None,
            deadline_promised: None,
            report: None,
        }
    }
}
