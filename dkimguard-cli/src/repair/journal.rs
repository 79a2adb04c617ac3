//! [`Journal`]: what a repair does, in the state file that a watch has too.

use std::io;

use dkimguard_core::error::StoreError;
use dkimguard_core::guard::{Entry, Memory, Sqlite};
use dkimguard_core::identity::{Identity, IdentityId};
use dkimguard_core::judge::Witnesses;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock as _, Store as _, SystemClock};
use dkimguard_core::repair::Event;

use super::Mode;
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::state::State;

/// How often an entry is written again because another process saved first.
const MOST_CONFLICTS: usize = 32;

/// What is remembered of one identity. A repair that only prints reads it where there is one, and makes none.
pub(crate) struct Journal {
    store: Option<Sqlite>,
    id: IdentityId,
}

impl Journal {
    /// Opens the state file.
    ///
    /// # Errors
    /// It can't be used, and something is to be written down.
    pub(crate) async fn open(state: &State, id: &IdentityId, mode: Mode) -> Result<Self, Failure> {
        let is_needed = matches!(mode, Mode::Apply | Mode::Ask);
        let store = if is_needed || state.path.exists() { Some(state.open()?) } else { None };
        Ok(Self { store, id: id.clone() })
    }

    /// What is remembered of the identity that helps to judge it.
    pub(crate) async fn witnesses(&self, identity: &Identity) -> Witnesses {
        let Some(store) = &self.store else { return Witnesses::default() };
        match store.load(&self.id).await {
            Ok(Some((memory, _))) => memory.witnesses(identity),
            // The repair can do without.
            _ => Witnesses::default(),
        }
    }

    /// Writes down what is about to be done, or has been.
    ///
    /// # Errors
    /// It can't be written down: then it isn't to be done.
    pub(crate) async fn note(&self, event: &Event) -> Result<(), Failure> {
        let Some(store) = &self.store else { return Ok(()) };
        let (step, result) = match event {
            Event::Planned(_) => ("publish", None),
            Event::Published { .. } => ("published", Some(event.to_string())),
            Event::Rearming => ("rearm", None),
            Event::Rearmed { .. } => ("rearmed", Some(event.to_string())),
            Event::Done | Event::Refused(_) | Event::Failed(_) => (event.as_str(), Some(event.to_string())),
            _ => return Ok(()),
        };
        let what = match event {
            Event::Planned(plan) | Event::Published { plan, .. } => plan.to_string(),
            _ => event.as_str().to_owned(),
        };
        let reason = "dkimguard repair".to_owned();
        let entry = Entry { at: SystemClock.now(), step: step.to_owned(), what, reason, result };
        for _ in 0..MOST_CONFLICTS {
            let (memory, revision) = match store.load(&self.id).await.map_err(|error| failure(&error))? {
                Some((memory, revision)) => (memory, Some(revision)),
                None => (Memory::default(), None),
            };
            match store.save(&self.id, &memory.with_entry(entry.clone()), revision).await {
                Ok(_) => return Ok(()),
                Err(StoreError::Conflict) => {}
                Err(error) => return Err(failure(&error)),
            }
        }
        Err(failure(&StoreError::Conflict))
    }
}

/// Prints what was done to mend the domain's identities.
///
/// # Errors
/// No state file, or one that can't be used; standard output can't be written.
pub(crate) async fn print(state: &State, domain: &Name, renderer: &mut Renderer) -> Result<(), Failure> {
    let store = state.open_existing()?;
    let memories = store.of_domain(domain).await.map_err(|error| failure(&error))?;
    let out = |error: io::Error| Failure::of_output(&error);
    let mut is_empty = true;
    for (id, memory) in memories {
        for entry in memory.journal() {
            is_empty = false;
            renderer.entry_of_journal(&id, entry).map_err(out)?;
        }
    }
    if is_empty {
        renderer.tell(&format!("Nothing was done to mend {domain}.")).map_err(out)?;
    }
    Ok(())
}

fn failure(error: &StoreError) -> Failure {
    Failure::from_error(Code::State, error).with_hint_if(error.hint().map(str::to_owned))
}
