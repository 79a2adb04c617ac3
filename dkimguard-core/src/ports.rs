//! The ports: what dkimguard needs from the outside. Each doc is a contract.

use std::fmt::Debug;
use std::sync::Arc;

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;

use crate::error::{LookupError, NotifyError, ProviderError, StoreError};
use crate::guard::{Alert, Memory};
use crate::history::{History, Topic};
use crate::identity::{Identity, IdentityId};
use crate::look::{Observation, Question, Response, Vantage};
use crate::name::Name;
use crate::repair::RepairPlan;
use crate::zone::HostedZone;

/// How many questions the provided [`DnsLookup::ask_many`] keeps under way.
const ASK_MANY_AT_ONCE: usize = 64;
/// How many domains the provided [`IdentitySource::find_many`] looks for at a time.
const FIND_MANY_AT_ONCE: usize = 16;

/// Asks DNS questions at any place.
///
/// # For implementers
/// - The answer is the message that came, whatever its code, or a [`LookupError`]; never a cached one, and never
///   one that was followed: a CNAME is in the answer section or it isn't there.
/// - Only a message from the address asked that echoes id and question is an answer.
/// - A truncated answer is asked again over TCP; the one that counts is TCP's.
/// - The call ends within the engine's own time limits, on every path.
/// - RD is set where [`Vantage::is_recursive`], and CD and DO as the question says.
#[async_trait]
pub trait DnsLookup: Debug + Send + Sync {
    /// Asks one question at one place.
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError>;

    /// Asks many; the observations come as they are ready, in any order. An engine that can do better than
    /// one [`ask`](Self::ask) after the other, with 64 under way, overrides this.
    fn ask_many<'a>(&'a self, asks: BoxStream<'a, (Question, Vantage)>) -> BoxStream<'a, Observation> {
        asks.map(move |(question, vantage)| async move {
            let outcome = self.ask(&question, &vantage).await;
            Observation { question, vantage, outcome }
        })
        .buffer_unordered(ASK_MANY_AT_ONCE)
        .boxed()
    }
}

/// A domain, and what [`IdentitySource::find`] gives for it.
pub type Found = (Name, Vec<Result<Identity, ProviderError>>);

/// Tells which identities a mail provider holds, and what they need in DNS.
///
/// # For implementers
/// - An identity of which a detail could not be learnt is given all the same, with the gap in
///   [`Identity::gaps`]; an error stands for an identity, or a place where identities live, of which nothing
///   could be learnt.
/// - A status or origin that isn't known here is passed on as it came.
/// - `testing::conformance::identity_source` and `identity_source_out_of_reach` are the suites to run.
#[async_trait]
pub trait IdentitySource: Debug + Send + Sync {
    /// The identities of this domain: one for each account and region that holds it. Empty means that every
    /// place was asked and none knows the domain; a place that couldn't be asked is an error in the list.
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>>;

    /// The identities of each of these domains, in their order: what [`find`](Self::find) gives for it. A source
    /// that can ask for many at once overrides this, and may then assume details as its list does.
    fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
        stream::iter(domains)
            .map(move |domain| async move { (domain.clone(), self.find(domain).await) })
            .buffered(FIND_MANY_AT_ONCE)
            .boxed()
    }

    /// All identities, in the provider's cheap way. The stream goes on behind an error.
    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>>;

    /// An identity with everything that the provider tells of it. A cheap list may assume what is usual; whoever
    /// finds that its records don't hold asks here before believing it. By default the identity as it is.
    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        Ok(identity.clone())
    }
}

/// Shows the zones that a DNS host holds, delegated or not.
///
/// # For implementers
/// - Only what was asked for is read, never a whole zone: the records at `below` and under it.
/// - A zone of another name isn't given, be it above or below.
#[async_trait]
pub trait ZoneView: Debug + Send + Sync {
    /// The zones of exactly this name that the host holds, public and private, each with its records at or
    /// below `below`. Empty means that the host was asked and holds none.
    async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError>;
}

/// Tells who changed what, and when.
///
/// # For implementers
/// - Reading is bounded, in time and in count; where it stops before the end, [`History::bound`] says so.
/// - An event that can't be read is left out; one whose kind isn't known too.
#[async_trait]
pub trait ChangeHistory: Debug + Send + Sync {
    /// What the history tells of a topic, the latest change first.
    async fn changes(&self, topic: &Topic) -> Result<History, ProviderError>;
}

/// Edits a zone at its host, by a plan. Without one nothing can write.
///
/// # For implementers
/// - All edits are made or none is.
/// - If at one of the plan's names the zone no longer holds what the plan rests on, that is
///   [`ProviderErrorKind::Stale`](crate::error::ProviderErrorKind::Stale), and nothing is changed. No change of another
///   can get in between.
/// - If the zone is already as the plan would make it, that is success: the same plan may be applied again where the
///   answer was lost.
/// - No other name and no other type is touched.
/// - An error of the kind `Credentials`, `Denied`, `NotFound`, `Stale` or `Throttled` promises that nothing was changed.
///   Where it may have been, by an earlier try as well, the kind is
///   [`Unavailable`](crate::error::ProviderErrorKind::Unavailable), which promises nothing; nor does any other.
/// - `testing::conformance::publisher` is the suite to run.
#[async_trait]
pub trait RecordPublisher: Debug + Send + Sync {
    /// Applies a plan.
    async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError>;

    /// Whether all of the host's name servers have what was applied. By default they have it at once.
    async fn is_in_sync(&self, published: &Published) -> Result<bool, ProviderError> {
        let _ = published;
        Ok(true)
    }
}

/// A plan that was applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Published {
    /// The host's own name for the change; none where the zone was already as the plan makes it.
    pub change: Option<String>,
}

/// Asks a provider that no longer looks for the records to start again.
///
/// # For implementers
/// - Only an identity whose keys the provider makes ([`KeyMaker::Provider`](crate::identity::KeyMaker::Provider)) and
///   for which it doesn't look is touched; for any other it is an error, and nothing is called.
/// - The identity is never deleted.
/// - An error of the kind `Credentials`, `Denied`, `NotFound`, `Stale` or `Throttled` promises that verification wasn't
///   started. Where it may have been, by an earlier try as well, or was and the identity can't be told, the kind is
///   [`Unavailable`](crate::error::ProviderErrorKind::Unavailable), which promises nothing; nor does any other.
#[async_trait]
pub trait Rearm: Debug + Send + Sync {
    /// Starts verification again, and gives the identity as it is afterwards: status, selectors and targets may all be
    /// others than before.
    async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError>;
}

/// Keeps what a guard remembers, one [`Memory`] an identity, over restarts and between replicas.
///
/// # For implementers
/// - A save counts only if the stored revision is still the one that it was made from; else it is
///   [`StoreError::Conflict`], and nothing is changed. That holds between processes too.
/// - A save that has returned outlives the end of the process; one that was cut short is there whole or not at all.
/// - What can't be read is an error and is left as it is; it is never taken for nothing.
/// - `testing::conformance::store` is the suite to run.
#[async_trait]
pub trait Store: Debug + Send + Sync {
    /// What is remembered of an identity, with its revision; none if nothing is.
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError>;

    /// Saves what is to be remembered, made from what `from` was the revision of; none if there was nothing.
    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError>;
}

/// A state of one stored memory: each save makes the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Revision(pub u64);

/// Delivers alerts to somebody.
///
/// # For implementers
/// - The name is the same after a restart, and no other notifier of the guard has it: what was delivered is kept
///   under it.
/// - A delivery may take long, and several may run side by side; looks never wait for it. It ends within a minute.
/// - What failed is tried again later, so the same alert may come twice; [`Alert::key`] tells.
/// - No secret is in the name, in an error or in `Debug`.
#[async_trait]
pub trait Notifier: Debug + Send + Sync {
    /// What it is called in errors, logs and in what is remembered: `webhook hooks.example.com`.
    fn name(&self) -> &str;

    /// Delivers an alert; once it returns without an error, the other side has it.
    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError>;
}

/// Tells the time; the seam for tests.
pub trait Clock: Debug + Send + Sync {
    /// Now.
    fn now(&self) -> Timestamp;
}

/// The machine's clock.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemClock;

impl Clock for SystemClock {
    fn now(&self) -> Timestamp {
        Timestamp::now()
    }
}

macro_rules! forward {
    ($($pointer:ident),*) => {$(
        #[async_trait]
        impl<T: DnsLookup + ?Sized> DnsLookup for $pointer<T> {
            async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
                (**self).ask(question, vantage).await
            }

            fn ask_many<'a>(&'a self, asks: BoxStream<'a, (Question, Vantage)>) -> BoxStream<'a, Observation> {
                (**self).ask_many(asks)
            }
        }

        #[async_trait]
        impl<T: IdentitySource + ?Sized> IdentitySource for $pointer<T> {
            async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
                (**self).find(domain).await
            }

            fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
                (**self).find_many(domains)
            }

            fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
                (**self).identities()
            }

            async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
                (**self).details(identity).await
            }
        }

        #[async_trait]
        impl<T: ZoneView + ?Sized> ZoneView for $pointer<T> {
            async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError> {
                (**self).zones(zone, below).await
            }
        }

        #[async_trait]
        impl<T: ChangeHistory + ?Sized> ChangeHistory for $pointer<T> {
            async fn changes(&self, topic: &Topic) -> Result<History, ProviderError> {
                (**self).changes(topic).await
            }
        }

        #[async_trait]
        impl<T: RecordPublisher + ?Sized> RecordPublisher for $pointer<T> {
            async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError> {
                (**self).apply(plan).await
            }

            async fn is_in_sync(&self, published: &Published) -> Result<bool, ProviderError> {
                (**self).is_in_sync(published).await
            }
        }

        #[async_trait]
        impl<T: Rearm + ?Sized> Rearm for $pointer<T> {
            async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
                (**self).rearm(identity).await
            }
        }

        #[async_trait]
        impl<T: Store + ?Sized> Store for $pointer<T> {
            async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
                (**self).load(id).await
            }

            async fn save(
                &self,
                id: &IdentityId,
                memory: &Memory,
                from: Option<Revision>,
            ) -> Result<Revision, StoreError> {
                (**self).save(id, memory, from).await
            }
        }

        #[async_trait]
        impl<T: Notifier + ?Sized> Notifier for $pointer<T> {
            fn name(&self) -> &str {
                (**self).name()
            }

            async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
                (**self).deliver(alert).await
            }
        }

        impl<T: Clock + ?Sized> Clock for $pointer<T> {
            fn now(&self) -> Timestamp {
                (**self).now()
            }
        }
    )*};
}

forward!(Arc, Box);
