//! [`InMemory`]: a store that lasts as long as the process.

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use super::Memory;
use crate::error::StoreError;
use crate::identity::IdentityId;
use crate::ports::{Revision, Store};

/// A [`Store`] that lasts as long as the process. After a restart an incident that is still open is told of as new,
/// unless what [`GuardHandle::stop`](super::GuardHandle::stop) gave back is put in again.
#[derive(Debug, Default)]
pub struct InMemory {
    memories: Mutex<HashMap<IdentityId, (Memory, Revision)>>,
}

impl InMemory {
    /// No change leaves the map half made, so a panic elsewhere doesn't matter.
    fn memories(&self) -> MutexGuard<'_, HashMap<IdentityId, (Memory, Revision)>> {
        self.memories.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl FromIterator<(IdentityId, Memory)> for InMemory {
    fn from_iter<I: IntoIterator<Item = (IdentityId, Memory)>>(memories: I) -> Self {
        let memories = memories.into_iter().map(|(id, memory)| (id, (memory, Revision(1)))).collect();
        Self { memories: Mutex::new(memories) }
    }
}

#[async_trait]
impl Store for InMemory {
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
        Ok(self.memories().get(id).cloned())
    }

    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        let mut memories = self.memories();
        let stored = memories.get(id).map(|&(_, revision)| revision);
        if stored != from {
            return Err(StoreError::Conflict);
        }
        let next = Revision(stored.map_or(1, |revision| revision.0 + 1));
        memories.insert(id.clone(), (memory.clone(), next));
        Ok(next)
    }
}
