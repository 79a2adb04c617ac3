//! [`Journal`]: what passes on the way to the store, told of in the log and kept for the endpoints.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use dkimguard_core::error::StoreError;
use dkimguard_core::guard::{Entry, IncidentId, IncidentKind, Memory};
use dkimguard_core::identity::IdentityId;
use dkimguard_core::judge::Verdict;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Revision, Store};
use jiff::Timestamp;
use serde::Serialize;
use tracing::{debug, info, warn};

/// How many changes of the verdict are kept of one identity.
const MOST_CHANGES: usize = 16;

/// A store that says in the log where a verdict changes, and keeps in short what is remembered of each identity.
#[derive(Debug)]
pub(crate) struct Journal {
    store: Arc<dyn Store>,
    histories: Mutex<Histories>,
}

/// By domain, and by identity.
type Histories = HashMap<Name, BTreeMap<IdentityId, History>>;

/// What is remembered of an identity, as the endpoints show it.
#[derive(Clone, Debug, Default, Serialize)]
pub(crate) struct History {
    /// When the last look was taken.
    pub(crate) looked_at: Option<Timestamp>,
    /// What it came to.
    #[serde(skip)]
    pub(crate) verdict: Option<Verdict>,
    /// How many looks in a row weren't healthy.
    unhealthy_looks: u32,
    /// What is open with the records or the provider.
    incident: Option<Open>,
    /// What is open because nothing can be known.
    blindness: Option<Open>,
    /// How many alerts some notifier doesn't have yet.
    undelivered: usize,
    /// What was done to mend the identity, the latest last.
    repairs: Vec<Entry>,
    /// How the verdict changed since this process began, the latest last.
    changes: VecDeque<Change>,
    /// Whether this process has looked.
    #[serde(skip)]
    pub(crate) is_looked_at_here: bool,
}

/// An incident that isn't over.
#[derive(Clone, Debug, Serialize)]
struct Open {
    id: IncidentId,
    opened_at: Timestamp,
}

/// A change of the verdict; `from` is none at the first look ever.
#[derive(Clone, Debug, Serialize)]
struct Change {
    at: Option<Timestamp>,
    from: Option<Verdict>,
    to: Verdict,
}

impl Journal {
    pub(crate) fn new(store: Arc<dyn Store>) -> Self {
        Self { store, histories: Mutex::default() }
    }

    /// What is remembered of the identities of a domain.
    pub(crate) fn histories(&self, domain: &Name) -> BTreeMap<IdentityId, History> {
        self.lock().get(domain).cloned().unwrap_or_default()
    }

    /// Takes note of what is stored.
    fn note(&self, id: &IdentityId, memory: &Memory) {
        let mut histories = self.lock();
        let history = histories.entry(id.domain.clone()).or_default().entry(id.clone()).or_default();
        history.read(memory);
    }

    /// Takes note of what is true, and tells where a look has changed the verdict, and of those steps of repairs.
    fn tell(&self, id: &IdentityId, memory: &Memory, is_told: fn(&Entry) -> bool) {
        let mut histories = self.lock();
        let history = histories.entry(id.domain.clone()).or_default().entry(id.clone()).or_default();
        let (from, looked_at) = (history.verdict, history.looked_at);
        let repairs = mem::take(&mut history.repairs);
        history.read(memory);
        history.repairs.retain(is_told);
        for entry in history.repairs.iter().filter(|entry| !repairs.contains(entry)) {
            let Entry { step, what, reason, result, .. } = entry;
            match result {
                None => warn!(%id, step, reason, what, "a step of a repair begins"),
                Some(result) => warn!(%id, step, reason, result, "a step of a repair has ended"),
            }
        }
        let Some(to) = memory.verdict().filter(|_| memory.looked_at() != looked_at) else { return };
        history.is_looked_at_here = true;
        if from == Some(to) {
            debug!(%id, verdict = %to, "looked at");
            return;
        }
        history.changes.push_back(Change { at: memory.looked_at(), from, to });
        while history.changes.len() > MOST_CHANGES {
            history.changes.pop_front();
        }
        let before = from.map_or_else(|| "nothing known".to_owned(), |verdict| verdict.to_string());
        match to {
            Verdict::Healthy => info!(%id, verdict = %to, before, "the verdict has changed"),
            _ => warn!(%id, verdict = %to, before, "the verdict has changed"),
        }
    }

    /// No change leaves a history half made.
    fn lock(&self) -> MutexGuard<'_, Histories> {
        self.histories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl History {
    fn read(&mut self, memory: &Memory) {
        self.looked_at = memory.looked_at();
        self.verdict = memory.verdict();
        self.unhealthy_looks = memory.unhealthy_looks();
        self.undelivered = memory.undelivered().count();
        self.repairs = memory.journal().cloned().collect();
        let open = |wanted: IncidentKind| {
            let incident = memory.open_incidents().find(|(kind, _, _)| *kind == wanted);
            incident.map(|(_, id, opened_at)| Open { id: id.clone(), opened_at })
        };
        self.incident = open(IncidentKind::Dkim);
        self.blindness = open(IncidentKind::Blind);
    }
}

#[async_trait]
impl Store for Journal {
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
        let loaded = self.store.load(id).await;
        if let Ok(Some((memory, _))) = &loaded {
            self.note(id, memory);
        }
        loaded
    }

    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        let saved = self.store.save(id, memory, from).await;
        match saved {
            Ok(_) => self.tell(id, memory, |_| true),
            // Another memory is made.
            Err(StoreError::Conflict) => {}
            // What can't be stored is true all the same, but for steps about to begin: without a journal none does.
            Err(_) => self.tell(id, memory, |entry| entry.result.is_some()),
        }
        saved
    }
}
