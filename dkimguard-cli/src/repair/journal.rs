//! [`Journal`]: what a repair does, in the state file that a watch has too.

use std::io;

use dkimguard_core::error::StoreError;
use dkimguard_core::guard::{Entry, Memory, Sqlite};
use dkimguard_core::identity::{Identity, IdentityId};
use dkimguard_core::judge::Witnesses;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock as _, Store as _, SystemClock};
use dkimguard_core::repair::Event;

use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::Verbosity;
use crate::state::State;

use super::scribe::Leave;

/// Why the entries of this command are there. A guard has its own reasons.
const REASON: &str = "dkimguard repair";
/// How often an entry is written again because another process saved first.
const MOST_CONFLICTS: usize = 32;

/// What is remembered of one identity. The file is made only once something is to be written down.
pub(super) struct Journal<'a> {
    state: &'a State,
    id: IdentityId,
    store: Option<Sqlite>,
    /// Whether the last entry is of a repair by this command that isn't over.
    is_open: bool,
    /// Whether anything is written down.
    leave: Leave,
}

impl<'a> Journal<'a> {
    /// Opens the state file where there is one. A repair that only tells what it would do can do without.
    ///
    /// # Errors
    /// It can't be used, and something may be to be written down.
    pub(super) fn open(
        state: &'a State,
        id: &IdentityId,
        leave: Leave,
        renderer: &Renderer,
    ) -> Result<Self, Failure> {
        let store = match state.path.exists().then(|| state.open()).transpose() {
            Err(failure) if leave == Leave::None => {
                renderer.note(Verbosity::Normal, || format!("warning: {}", failure.message));
                None
            }
            opened => opened?,
        };
        Ok(Self { state, id: id.clone(), store, is_open: false, leave })
    }

    /// What is remembered of the identity that helps to judge it.
    pub(super) async fn witnesses(&mut self, identity: &Identity) -> Witnesses {
        let Some(store) = &self.store else { return Witnesses::default() };
        match store.load(&self.id).await {
            Ok(Some((memory, _))) => {
                let is_open = |last: &Entry| last.reason == REASON && !is_end(&last.step);
                self.is_open = memory.journal().next_back().is_some_and(is_open);
                memory.witnesses(identity)
            }
            // The repair can do without.
            _ => Witnesses::default(),
        }
    }

    /// Writes down what is about to be done, or has been. Where nothing was, how it ends isn't written down either.
    ///
    /// # Errors
    /// It can't be written down: then it isn't to be done.
    pub(super) async fn note(&mut self, event: &Event) -> Result<(), Failure> {
        if self.leave == Leave::None {
            return Ok(());
        }
        let (step, is_begun) = match event {
            Event::Planned(_) => ("publish", true),
            Event::Published { .. } => ("published", true),
            Event::Rearming => ("rearm", true),
            Event::Rearmed { .. } => ("rearmed", true),
            Event::Done | Event::Refused(_) | Event::Failed(_) if self.is_open => (event.as_str(), false),
            _ => return Ok(()),
        };
        let what = match event {
            Event::Planned(plan) => plan.to_string(),
            _ => step.to_owned(),
        };
        let result = match event {
            Event::Planned(_) | Event::Rearming => None,
            _ => Some(event.to_string()),
        };
        let reason = REASON.to_owned();
        self.write(Entry { at: SystemClock.now(), step: step.to_owned(), what, reason, result }).await?;
        self.is_open = is_begun;
        Ok(())
    }

    async fn write(&mut self, entry: Entry) -> Result<(), Failure> {
        let store = match &mut self.store {
            Some(store) => store,
            none => none.insert(self.state.open()?),
        };
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

/// Whether a step is the last of a repair.
fn is_end(step: &str) -> bool {
    matches!(step, "done" | "refused" | "error")
}

/// Prints what was done to mend the domain's identities.
///
/// # Errors
/// No state file, or one that can't be used; standard output can't be written.
pub(super) async fn print(state: &State, domain: &Name, renderer: &mut Renderer) -> Result<(), Failure> {
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
