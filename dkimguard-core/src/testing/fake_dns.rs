//! [`FakeDns`]: a look-up engine over a world in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;

use crate::error::LookupError;
use crate::look::{Question, Response, Vantage};
use crate::ports::DnsLookup;

use super::world::World;

/// A [`DnsLookup`] that asks a [`World`] in memory, and keeps what it was asked.
///
/// Answers take no time, and their transport is UDP.
#[derive(Debug, Default)]
pub struct FakeDns {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    world: World,
    asked: Vec<(Question, Vantage)>,
}

impl FakeDns {
    /// An engine over this world.
    pub fn new(world: World) -> Self {
        Self { state: Mutex::new(State { world, asked: Vec::new() }) }
    }

    /// Changes the world, between two questions.
    pub fn change<T>(&self, edit: impl FnOnce(&mut World) -> T) -> T {
        edit(&mut self.state().world)
    }

    /// What was asked so far, in order.
    pub fn asked(&self) -> Vec<(Question, Vantage)> {
        self.state().asked.clone()
    }

    /// Forgets what was asked.
    pub fn forget_asked(&self) {
        self.state().asked.clear();
    }

    /// A panic of another test's thread leaves the world as it was: an edit that failed is seen by that test.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl DnsLookup for FakeDns {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let mut state = self.state();
        state.asked.push((question.clone(), vantage.clone()));
        state.world.answer(question, vantage)
    }
}
