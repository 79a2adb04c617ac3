//! [`Keeper`]: memories as the store holds them, and in its place while it can't be used.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use jiff::Timestamp;

use super::delivery::Delivery;
use super::policy::after;
use super::{Alert, AlertEvent, IncidentId, IncidentKind, Memory, Severity};
use crate::error::{StoreError, chain};
use crate::identity::IdentityId;
use crate::judge::Verdict;
use crate::ports::{Revision, Store};

/// How often a change is made again because something else was saved or kept first, before it is kept here alone.
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
    unsaved: HashMap<IdentityId, Unsaved>,
    /// The number of the last change that couldn't be saved.
    last_number: u64,
    fault: Option<Fault>,
    list: Option<ListFault>,
    own: Delivery,
}

/// What couldn't be saved.
#[derive(Clone, Debug, Default)]
struct Unsaved {
    memory: Memory,
    /// Another for each change, so that who saves one knows whether there is a later one.
    number: u64,
    /// What was stored when it was made, as far as that is known.
    base: Option<(Memory, Revision)>,
}

/// The source's domains can't be listed.
#[derive(Debug)]
struct ListFault {
    since: Timestamp,
    failures: u32,
    /// What was told of it, if anything.
    told: Option<Fault>,
}

/// A fault of the guard's own ports, as it was told of.
#[derive(Debug)]
struct Fault {
    kind: IncidentKind,
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
        self.joined(id, stored.ok().flatten())
    }

    /// Changes what is remembered of an identity. Where another instance saves first, the change is made again to what
    /// that saved; so it may be made several times, and the last counts.
    pub(super) async fn update<T>(
        &self,
        id: &IdentityId,
        at: Timestamp,
        mut change: impl FnMut(Memory) -> (Memory, T),
    ) -> T {
        let mut tries = 0;
        loop {
            tries += 1;
            let Ok(stored) = self.read(id, at).await else {
                let Unsaved { memory, base, number } = self.unsaved(id).unwrap_or_default();
                let (memory, made) = change(memory);
                self.keep(id, number, memory, base);
                return made;
            };
            let number = self.unsaved(id).unwrap_or_default().number;
            let before = self.joined(id, stored.clone());
            let (memory, made) = change(before.clone());
            if memory == before {
                return made;
            }
            let from = stored.as_ref().map(|&(_, revision)| revision);
            match self.store.save(id, &memory, from).await {
                Ok(_) => {
                    self.let_go(id, number);
                    self.be_well(at);
                    return made;
                }
                Err(StoreError::Conflict) if tries <= MOST_CONFLICTS => {}
                Err(error) => {
                    self.fail(&error, at);
                    // Another change of this instance may have come in between; then this one is made to that.
                    if self.keep(id, number, memory, stored) || tries > MOST_CONFLICTS {
                        return made;
                    }
                }
            }
        }
    }

    /// Changes what is remembered of an identity where that is stored too; otherwise nothing is changed, here neither,
    /// and it gives none. For what another instance must know of before it is done.
    pub(super) async fn commit<T>(
        &self,
        id: &IdentityId,
        at: Timestamp,
        mut change: impl FnMut(Memory) -> (Memory, T),
    ) -> Option<T> {
        for _ in 0..=MOST_CONFLICTS {
            let stored = self.read(id, at).await.ok()?;
            let number = self.unsaved(id).unwrap_or_default().number;
            let from = stored.as_ref().map(|&(_, revision)| revision);
            let (memory, made) = change(self.joined(id, stored));
            match self.store.save(id, &memory, from).await {
                Ok(_) => {
                    self.let_go(id, number);
                    self.be_well(at);
                    return Some(made);
                }
                Err(StoreError::Conflict) => {}
                Err(error) => {
                    self.fail(&error, at);
                    return None;
                }
            }
        }
        None
    }

    /// Changes the alerts of the guard's own.
    pub(super) fn with_own<T>(&self, change: impl FnOnce(&mut Delivery) -> T) -> T {
        change(&mut self.state().own)
    }

    /// Notes whether the source's domains could be listed, and gives how often in a row they couldn't. It is told of
    /// once that has lasted for `blind_after`.
    pub(super) fn note_list(&self, fault: Option<&str>, blind_after: Duration, at: Timestamp) -> u32 {
        let mut state = self.state();
        let Some(what) = fault else {
            if let Some(told) = state.list.take().and_then(|list| list.told) {
                state.own.add(told.alert(AlertEvent::Recovered, at));
            }
            return 0;
        };
        let State { list, own, .. } = &mut *state;
        let list = list.get_or_insert(ListFault { since: at, failures: 0, told: None });
        list.failures = list.failures.saturating_add(1);
        if list.told.is_none() && after(list.since, blind_after) <= at {
            let told = Fault::new(IncidentKind::Blind, what.to_owned(), at);
            own.add(told.alert(AlertEvent::Opened, at));
            list.told = Some(told);
        }
        list.failures
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

    fn unsaved(&self, id: &IdentityId) -> Option<Unsaved> {
        self.state().unsaved.get(id).cloned()
    }

    /// Keeps here what can't be saved, unless something else was kept since the one with this number; whether it did.
    fn keep(&self, id: &IdentityId, number: u64, memory: Memory, base: Option<(Memory, Revision)>) -> bool {
        let mut state = self.state();
        let is_last = state.unsaved.get(id).map_or(0, |unsaved| unsaved.number) == number;
        if is_last {
            state.last_number += 1;
            let unsaved = Unsaved { memory, number: state.last_number, base };
            state.unsaved.insert(id.clone(), unsaved);
        }
        is_last
    }

    /// Lets go of what was kept here up to this number, since it is saved.
    fn let_go(&self, id: &IdentityId, number: u64) {
        let mut state = self.state();
        if state.unsaved.get(id).is_some_and(|unsaved| unsaved.number == number) {
            state.unsaved.remove(id);
        }
    }

    /// What is stored and what is kept here, as one.
    fn joined(&self, id: &IdentityId, stored: Option<(Memory, Revision)>) -> Memory {
        let unsaved = self.unsaved(id);
        match (stored, unsaved) {
            (Some((stored, revision)), Some(Unsaved { memory, base, .. })) => {
                let (base, from) = base.map_or((Memory::default(), None), |(base, from)| (base, Some(from)));
                // Where nobody else has saved in the meantime, what is kept here is all that is stored and more.
                if from == Some(revision) { memory } else { stored.joined(memory, &base, id) }
            }
            (None, Some(Unsaved { memory, .. })) => memory,
            (stored, None) => stored.map(|(memory, _)| memory).unwrap_or_default(),
        }
    }

    fn fail(&self, error: &StoreError, at: Timestamp) {
        let mut state = self.state();
        if state.fault.is_some() {
            return;
        }
        let fault = Fault::new(IncidentKind::Store, chain(error), at);
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
    fn new(kind: IncidentKind, what: String, at: Timestamp) -> Self {
        Self { kind, incident: IncidentId::new(OWN_ID, kind, at), opened_at: at, what }
    }

    fn alert(&self, event: AlertEvent, at: Timestamp) -> Alert {
        let is_over = event == AlertEvent::Recovered;
        let (over, wrong, remedy) = match self.kind {
            IncidentKind::Blind => (
                "the domains of the source are listed again",
                "the domains of the source cannot be listed",
                "Give back the access. Until then the domains that are known are looked at, and new ones aren't.",
            ),
            IncidentKind::Store | IncidentKind::Dkim => (
                "what the guard remembers is stored again",
                "what the guard remembers cannot be stored",
                "Make room, or give back the access. Until then alerts go out, and a restart forgets which were sent.",
            ),
        };
        Alert {
            incident: self.incident.clone(),
            number: if is_over { 2 } else { 1 },
            event,
            kind: self.kind,
            severity: Severity::Warning,
            at,
            opened_at: self.opened_at,
            id: OWN_ID.to_owned(),
            domain: None,
            verdict: if is_over { Verdict::Healthy } else { Verdict::Unknown },
            summary: if is_over { over.to_owned() } else { format!("{wrong}: {}", self.what) },
            remedy: (!is_over).then(|| remedy.to_owned()),
            causes: Vec::new(),
            deadline: None,
            deadline_promised: None,
            report: None,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicBool, Ordering};

    use async_trait::async_trait;
    use futures_util::FutureExt;
    use futures_util::future::poll_fn;

    use super::*;
    use crate::guard::InMemory;

    /// A store whose saves wait, or fail.
    #[derive(Debug, Default)]
    struct Slow {
        inner: InMemory,
        waits: AtomicBool,
        fails: AtomicBool,
    }

    #[async_trait]
    impl Store for Slow {
        async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
            self.inner.load(id).await
        }

        async fn save(
            &self,
            id: &IdentityId,
            memory: &Memory,
            from: Option<Revision>,
        ) -> Result<Revision, StoreError> {
            if self.fails.load(Ordering::Relaxed) {
                return Err(StoreError::Unavailable("the disk".to_owned(), None));
            }
            let is_free = |_: &mut std::task::Context<'_>| match self.waits.load(Ordering::Relaxed) {
                true => std::task::Poll::Pending,
                false => std::task::Poll::Ready(()),
            };
            poll_fn(is_free).await;
            self.inner.save(id, memory, from).await
        }
    }

    #[test]
    fn what_could_not_be_saved_outlives_another_save_that_was_under_way() {
        let store = Arc::new(Slow::default());
        let keeper = Keeper::new(store.clone());
        let domain = "example.com".parse().expect("a name");
        let id = IdentityId { provider: "ses".to_owned(), account: None, region: None, domain };
        let at = |second: i64| Timestamp::from_second(1_800_000_000 + second).expect("a time");

        store.waits.store(true, Ordering::Relaxed);
        let mut first = Box::pin(keeper.update(&id, at(9), |memory| (memory.with_notice(at(2)), ())));
        assert_eq!((&mut first).now_or_never(), None, "it waits for the disk");
        store.fails.store(true, Ordering::Relaxed);
        let second = keeper.update(&id, at(9), |memory| (memory.with_notice(at(1)), ()));
        assert_eq!(second.now_or_never(), Some(()), "it can't be saved, and is kept");
        store.fails.store(false, Ordering::Relaxed);
        store.waits.store(false, Ordering::Relaxed);
        assert_eq!(first.now_or_never(), Some(()), "the first is saved now");

        let memory = keeper.load(&id, at(9)).now_or_never().expect("nothing waits");
        assert_eq!(memory, Memory::default().with_notice(at(1)), "the second isn't lost");
        let saved = keeper.update(&id, at(9), |memory| (memory.with_notice(at(0)), ()));
        assert_eq!(saved.now_or_never(), Some(()));
        assert!(keeper.state().unsaved.is_empty(), "nothing is left behind once all is saved");
    }
}
