//! [`GuardBuilder`]: what a guard is made of.

use std::collections::HashSet;
use std::sync::Arc;

use thiserror::Error;

use super::{Depths, Guard, GuardHandle, InMemory, Policy, RepairMode, Timer};
use crate::look::Look;
use crate::name::Name;
use crate::ports::{
    ChangeHistory, IdentitySource, Notifier, Rearm, RecordPublisher, Store, SystemClock, ZoneView,
};

/// What a guard is made of; needed are the source of identities, the look, and what to watch.
#[derive(Debug)]
#[must_use]
pub struct GuardBuilder {
    pub(super) source: Arc<dyn IdentitySource>,
    pub(super) look: Look,
    pub(super) domains: Vec<Name>,
    pub(super) watches_all: bool,
    pub(super) policy: Policy,
    pub(super) store: Arc<dyn Store>,
    pub(super) notifiers: Vec<Arc<dyn Notifier>>,
    pub(super) publisher: Option<Arc<dyn RecordPublisher>>,
    pub(super) rearm: Option<Arc<dyn Rearm>>,
    pub(super) clock: Arc<dyn Timer>,
    pub(super) seed: u64,
}

/// Why there is no guard.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum BuildError {
    /// No domain is to be watched.
    #[error("a guard needs a domain to watch")]
    NothingToWatch,
    /// Two notifiers have the same name, under which it is kept what they were given.
    #[error("two notifiers are called '{0}'")]
    SameName(String),
    /// The policy says that records are mended, and there is nobody to publish them.
    #[error("the policy says that records are mended, and the guard has no publisher")]
    NoPublisher,
    /// The policy says that records are mended or edits proposed, and every look is a quick one, which shows too little.
    #[error(
        "the policy says that records are mended or edits proposed, and that no look is a full one, without which \
         neither can be"
    )]
    NeverLooksClosely,
    /// There is no Tokio runtime here to spawn on.
    #[error("a guard is spawned on a Tokio runtime, and there is none here")]
    NoRuntime,
}

impl GuardBuilder {
    pub(super) fn new(source: Arc<dyn IdentitySource>, look: Look) -> Self {
        Self {
            source,
            look,
            domains: Vec::new(),
            watches_all: false,
            policy: Policy::default(),
            store: Arc::new(InMemory::default()),
            notifiers: Vec::new(),
            publisher: None,
            rearm: None,
            clock: Arc::new(SystemClock),
            seed: 0,
        }
    }

    /// Watches these domains too.
    pub fn watch(mut self, domains: impl IntoIterator<Item = Name>) -> Self {
        for domain in domains {
            if !self.domains.contains(&domain) {
                self.domains.push(domain);
            }
        }
        self
    }

    /// Watches every domain of the source, listed at the start and each [`Policy::list_interval`]. One that is no longer
    /// listed stays watched while the guard lives, since whoever deleted it may not have meant to.
    pub fn watch_all(mut self) -> Self {
        self.watches_all = true;
        self
    }

    /// Looks at the zones that the DNS host holds too: better diagnoses.
    pub fn zones(mut self, zones: impl ZoneView + 'static) -> Self {
        self.look = self.look.with_zones(Arc::new(zones));
        self
    }

    /// Asks the change history too: who changed it.
    pub fn history(mut self, history: impl ChangeHistory + 'static) -> Self {
        self.look = self.look.with_history(Arc::new(history));
        self
    }

    /// Tells this notifier too. By default nobody is told, beside those who listen to
    /// [`GuardHandle::alerts`].
    pub fn notifier(mut self, notifier: impl Notifier + 'static) -> Self {
        self.notifiers.push(Arc::new(notifier));
        self
    }

    /// Mends records through this host, if [`Policy::repair`] says so. Without one it can't write.
    pub fn publisher(mut self, publisher: impl RecordPublisher + 'static) -> Self {
        self.publisher = Some(Arc::new(publisher));
        self
    }

    /// Asks this provider to start again where it has given up and the records hold, if [`Policy::repair`] says so.
    pub fn rearm(mut self, rearm: impl Rearm + 'static) -> Self {
        self.rearm = Some(Arc::new(rearm));
        self
    }

    /// Remembers here. By default in memory, until the process ends.
    pub fn store(mut self, store: impl Store + 'static) -> Self {
        self.store = Arc::new(store);
        self
    }

    /// Looks and tells by this policy.
    pub fn policy(mut self, policy: Policy) -> Self {
        self.policy = policy;
        self
    }

    /// Lives by this clock. By default the machine's.
    pub fn clock(mut self, clock: impl Timer + 'static) -> Self {
        self.clock = Arc::new(clock);
        self
    }

    /// Makes its random names and its jitter from this number. Give each instance another, so that they don't look at
    /// the same moments; by default 0.
    pub fn seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The guard, to be run by the caller.
    ///
    /// # Errors
    /// Nothing to watch; two notifiers of one name; records are to be mended and there is no publisher, or no full look.
    pub fn build(self) -> Result<Guard, BuildError> {
        if self.domains.is_empty() && !self.watches_all {
            return Err(BuildError::NothingToWatch);
        }
        let mut names = HashSet::new();
        if let Some(twice) = self.notifiers.iter().find(|notifier| !names.insert(notifier.name().to_owned()))
        {
            return Err(BuildError::SameName(twice.name().to_owned()));
        }
        if self.policy.repair == RepairMode::Apply && self.publisher.is_none() {
            return Err(BuildError::NoPublisher);
        }
        if self.policy.repair != RepairMode::Off && self.policy.depths == Depths::Quick {
            return Err(BuildError::NeverLooksClosely);
        }
        Ok(Guard::new(self))
    }

    /// The guard, running as one task on the present Tokio runtime.
    ///
    /// # Errors
    /// Those of [`build`](Self::build); no runtime.
    pub fn spawn(self) -> Result<GuardHandle, BuildError> {
        self.build()?.spawn()
    }
}
