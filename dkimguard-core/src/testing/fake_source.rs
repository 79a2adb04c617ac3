//! [`FakeSource`]: a mail provider in memory.

use std::sync::{Mutex, MutexGuard, PoisonError};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::error::{ProviderError, ProviderErrorKind};
use crate::identity::{Identity, KeyMaker, ProviderStatus, Selector};
use crate::name::Name;
use crate::ports::{IdentitySource, Rearm};

/// An [`IdentitySource`] over a list of identities, and of places that cannot be asked. As a [`Rearm`] it says pending,
/// with the tokens that it has or those of [`set_tokens_after_rearm`](Self::set_tokens_after_rearm).
#[derive(Debug, Default)]
pub struct FakeSource {
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    identities: Vec<Identity>,
    failures: Vec<ProviderErrorKind>,
    /// The selectors that an identity has once it is started again.
    after_rearm: Option<Vec<Selector>>,
    rearms: u32,
}

impl FakeSource {
    /// A source that holds these identities.
    pub fn new(identities: impl IntoIterator<Item = Identity>) -> Self {
        let state = State { identities: identities.into_iter().collect(), ..State::default() };
        Self { state: Mutex::new(state) }
    }

    /// The source with a place more that cannot be asked: every call gives this error too, behind the identities.
    #[must_use]
    pub fn with_failure(self, kind: ProviderErrorKind) -> Self {
        self.state().failures.push(kind);
        self
    }

    /// Puts an identity into the place of the one with the same id, or adds it.
    pub fn put(&self, identity: Identity) {
        let mut state = self.state();
        state.identities.retain(|old| old.id != identity.id);
        state.identities.push(identity);
    }

    /// Deletes the identities of a domain.
    pub fn delete(&self, domain: &Name) {
        self.state().identities.retain(|identity| identity.domain() != domain);
    }

    /// Sets the places that cannot be asked.
    pub fn set_failures(&self, failures: impl IntoIterator<Item = ProviderErrorKind>) {
        self.state().failures = failures.into_iter().collect();
    }

    /// Gives identities these selectors when they are started again.
    pub fn set_tokens_after_rearm(&self, selectors: Vec<Selector>) {
        self.state().after_rearm = Some(selectors);
    }

    /// How often an identity was started again.
    pub fn rearms(&self) -> u32 {
        self.state().rearms
    }

    fn list(
        &self,
        operation: &str,
        wanted: impl Fn(&Identity) -> bool,
    ) -> Vec<Result<Identity, ProviderError>> {
        let state = self.state();
        let identities = state.identities.iter().filter(|identity| wanted(identity)).cloned().map(Ok);
        let failures = state.failures.iter().map(|kind| {
            Err(ProviderError {
                provider: "fake".to_owned(),
                operation: operation.to_owned(),
                kind: *kind,
                source: None,
            })
        });
        identities.chain(failures).collect()
    }

    /// No call leaves the list half changed, so a panic elsewhere doesn't matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[async_trait]
impl IdentitySource for FakeSource {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        self.list("find", |identity| identity.domain() == domain)
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        stream::iter(self.list("identities", |_| true)).boxed()
    }
}

#[async_trait]
impl Rearm for FakeSource {
    async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        let mut state = self.state();
        let selectors = state.after_rearm.clone();
        let found = state.identities.iter_mut().find(|held| held.id == identity.id);
        let refused = |kind| {
            let (provider, operation) = ("fake".to_owned(), "rearm".to_owned());
            ProviderError { provider, operation, kind, source: None }
        };
        let held = found.ok_or_else(|| refused(ProviderErrorKind::NotFound))?;
        let may_start = |identity: &Identity| {
            let is_idle = matches!(identity.status, ProviderStatus::Failed | ProviderStatus::NotStarted);
            identity.keys == KeyMaker::Provider && is_idle
        };
        if !may_start(identity) || !may_start(held) {
            return Err(refused(ProviderErrorKind::Unusable));
        }
        held.status = ProviderStatus::Pending;
        if let Some(selectors) = selectors {
            held.selectors = selectors;
        }
        let held = held.clone();
        state.rearms += 1;
        Ok(held)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;
    use crate::testing::easy_dkim_identity;

    fn find(source: &FakeSource, domain: &str) -> Vec<String> {
        let domain = domain.parse().expect("a name");
        let found = source.find(&domain).now_or_never().expect("a fake does not wait");
        found.into_iter().map(|found| found.map_or_else(|e| e.to_string(), |i| i.id.to_string())).collect()
    }

    #[test]
    fn finds_what_it_holds_and_tells_what_it_could_not_ask() {
        let source = FakeSource::new([easy_dkim_identity("example.com"), easy_dkim_identity("example.org")]);
        assert_eq!(find(&source, "example.org"), ["ses:123456789012:us-east-1:example.org"]);
        assert_eq!(find(&source, "example.net"), [""; 0]);

        source.put(easy_dkim_identity("example.org"));
        assert_eq!(find(&source, "example.org").len(), 1, "replaced, not doubled");
        source.delete(&"example.org".parse().expect("a name"));
        source.set_failures([ProviderErrorKind::Denied]);
        assert_eq!(find(&source, "example.org"), ["fake: find was denied"]);
        assert_eq!(find(&source, "example.com").len(), 2);
    }
}
