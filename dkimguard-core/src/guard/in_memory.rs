//! [`InMemory`]: a store that lives as long as the process.

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::Memory;
use crate::error::StoreError;
use crate::identity::IdentityId;
use crate::ports::{Revision, Store};

/// Keeps memories as long as the process lives; what outlives it is what the caller makes of
/// [`memories`](Self::memories).
///
/// ```
/// use dkimguard_core::guard::InMemory;
///
/// let store = InMemory::default();
/// // … a guard runs on it; then what it remembers is kept elsewhere, and another one goes on from there:
/// let kept = store.memories();
/// let store: InMemory = kept.into_iter().collect();
/// # assert!(store.memories().is_empty());
/// ```
#[derive(Debug, Default)]
pub struct InMemory {
    kept: Mutex<HashMap<IdentityId, Kept>>,
}

#[derive(Debug)]
struct Kept {
    memory: Box<Memory>,
    revision: u64,
}

impl InMemory {
    /// What is remembered now, in the order of the ids.
    pub fn memories(&self) -> Vec<(IdentityId, Memory)> {
        let kept = self.kept();
        let mut memories: Vec<_> =
            kept.iter().map(|(id, kept)| (id.clone(), Memory::clone(&kept.memory))).collect();
        memories.sort_unstable_by(|(one, _), (other, _)| one.cmp(other));
        memories
    }

    /// The map: each change of it is one step, so it is whole even where another thread panicked.
    fn kept(&self) -> MutexGuard<'_, HashMap<IdentityId, Kept>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A store that holds these memories; of two for one identity the latter.
impl FromIterator<(IdentityId, Memory)> for InMemory {
    fn from_iter<I: IntoIterator<Item = (IdentityId, Memory)>>(memories: I) -> Self {
        let kept =
            memories.into_iter().map(|(id, memory)| (id, Kept { memory: Box::new(memory), revision: 1 }));
        Self { kept: Mutex::new(kept.collect()) }
    }
}

#[async_trait]
impl Store for InMemory {
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
        let kept = self.kept();
        Ok(kept.get(id).map(|kept| (Memory::clone(&kept.memory), Revision(kept.revision))))
    }

    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        let memory = Box::new(memory.clone());
        match (self.kept().entry(id.clone()), from) {
            (Entry::Vacant(place), None) => {
                place.insert(Kept { memory, revision: 1 });
                Ok(Revision(1))
            }
            (Entry::Occupied(mut place), Some(from)) if place.get().revision == from.0 => {
                let revision = from.0 + 1;
                place.insert(Kept { memory, revision });
                Ok(Revision(revision))
            }
            _ => Err(StoreError::Conflict),
        }
    }
}
