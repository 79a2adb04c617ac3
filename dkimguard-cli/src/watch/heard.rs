//! [`Heard`]: a source of identities that says in the log what it could not tell.

use std::collections::HashSet;
use std::sync::{Mutex, PoisonError};

use async_trait::async_trait;
use dkimguard_core::error::ProviderError;
use dkimguard_core::identity::Identity;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Found, IdentitySource};
use futures_util::stream::{BoxStream, StreamExt as _};
use tracing::warn;

use crate::failure::Failure;
use crate::source;

/// How many errors are remembered so that none is told twice. One that passes and comes again is told again.
const MOST_TOLD: usize = 256;

/// A source that says in the log why it could not tell: once, until it can.
#[derive(Debug)]
pub(crate) struct Heard<S> {
    source: S,
    told: Mutex<HashSet<String>>,
}

impl<S> Heard<S> {
    pub(crate) fn new(source: S) -> Self {
        Self { source, told: Mutex::default() }
    }

    fn hear<T>(&self, answer: &Result<T, ProviderError>) {
        let mut told = self.told.lock().unwrap_or_else(PoisonError::into_inner);
        match answer {
            Ok(_) => told.clear(),
            Err(error) => {
                let Failure { code: _, message, hint } = source::failure(error);
                if told.len() >= MOST_TOLD {
                    told.clear();
                }
                if told.insert(message.clone()) {
                    warn!(error = message, hint = hint.unwrap_or_default(), "the source could not tell");
                }
            }
        }
    }
}

#[async_trait]
impl<S: IdentitySource> IdentitySource for Heard<S> {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        let found = self.source.find(domain).await;
        found.iter().for_each(|answer| self.hear(answer));
        found
    }

    fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
        let found = self.source.find_many(domains);
        found.inspect(|(_, answers)| answers.iter().for_each(|answer| self.hear(answer))).boxed()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.source.identities().inspect(|identity| self.hear(identity)).boxed()
    }

    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        let detailed = self.source.details(identity).await;
        self.hear(&detailed);
        detailed
    }
}
