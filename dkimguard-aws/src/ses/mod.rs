//! [`SesSource`]: the identities of Amazon SES.

mod claim;
mod place;
mod rearm;

use std::borrow::Borrow;
use std::collections::VecDeque;
use std::mem;
use std::sync::Arc;

use async_trait::async_trait;
use dkimguard_core::error::ProviderError;
use dkimguard_core::identity::{Identity, IdentityId, Targets};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Found, IdentitySource};
use futures_util::future::{self, FutureExt, join, join_all};
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::account::{Account, Owner};
use crate::aws::ConfigError;
use crate::fault::Fault;
use place::Answer;
pub(crate) use place::Place;
pub use rearm::SesRearm;

/// The identities of Amazon SES in one or more accounts and regions. Cloning is cheap, and clones share their pace.
///
/// In each account and region calls start 1.1 seconds apart, those of clones included; different places don't wait
/// for each other. A call that fails in a way that may pass is made up to
/// three times, and ends within 13 seconds. Where `ses:GetEmailIdentity` fails and `ses:GetIdentityDkimAttributes`
/// doesn't, the identity has its status and tokens from there, and a gap that says what is assumed.
/// Credentials that are absent or refused are one error for each account, not one for each region.
/// See the [crate's page](crate) for what a look costs.
#[derive(Clone, Debug)]
pub struct SesSource {
    holdings: Arc<[Holding]>,
    /// Why there are no places to look at.
    trouble: Option<ConfigError>,
}

impl SesSource {
    /// Up to how many domains in one account and region are asked for one by one.
    pub const ONE_BY_ONE: usize = 20;

    pub(crate) fn over(holdings: Vec<Holding>) -> Self {
        Self { holdings: holdings.into(), trouble: None }
    }

    pub(crate) fn without_places(trouble: ConfigError) -> Self {
        Self { trouble: Some(trouble), ..Self::over(Vec::new()) }
    }

    fn place_of(&self, id: &IdentityId) -> Option<(&Holding, &Place)> {
        self.holdings.iter().find_map(|holding| {
            let number = holding.account.number().unwrap_or(Owner::UNKNOWN);
            let is_owner =
                id.account.as_deref().is_some_and(|account| account == number || account == Owner::UNKNOWN);
            let is_place = |place: &&Place| Some(place.region().as_str()) == id.region.as_deref();
            let place = holding.places.iter().find(is_place)?;
            is_owner.then_some((holding, place))
        })
    }

    fn no_places(&self) -> Option<ProviderError> {
        self.trouble.as_ref().map(ConfigError::as_provider_error)
    }
}

#[async_trait]
impl IdentitySource for SesSource {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        if let Some(error) = self.no_places() {
            return vec![Err(error)];
        }
        join_all(self.holdings.iter().map(|holding| holding.find(domain)))
            .await
            .into_iter()
            .flatten()
            .collect()
    }

    /// Up to [`ONE_BY_ONE`](SesSource::ONE_BY_ONE) domains are asked for as [`find`](Self::find) does. More are asked
    /// for in hundreds, as the list is, without a list; then [`details`](Self::details) tells more of each.
    fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
        if domains.len() <= Self::ONE_BY_ONE || self.trouble.is_some() {
            let found =
                stream::iter(domains).map(|domain| self.find(domain).map(|found| (domain.clone(), found)));
            return found.buffered(Self::ONE_BY_ONE).boxed();
        }
        let everywhere = in_step(self.holdings.iter().map(|holding| holding.find_many(domains)).collect());
        let found = everywhere.map(|places| places.into_iter().flatten().collect());
        stream::iter(domains.iter().cloned()).zip(found).boxed()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        if let Some(error) = self.no_places() {
            return stream::once(async { Err(error) }).boxed();
        }
        let all = stream::select_all(self.holdings.iter().map(Holding::identities));
        all.boxed()
    }

    /// Where there are many, the list holds those that SES says are verified without their hosted zone: the one
    /// that is usual in their region is assumed. For such an identity this makes one call of
    /// `ses:GetEmailIdentity`, for any other none.
    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        if identity.targets == Targets::Told {
            return Ok(identity.clone());
        }
        let Some((holding, place)) = self.place_of(&identity.id) else { return Ok(identity.clone()) };
        match place.ask(identity.domain()).await {
            Ok(detailed) => Ok(Identity { id: identity.id.clone(), ..detailed }),
            Err(fault) => Err(holding.account.owner().await.judge(fault).at(place.region())),
        }
    }
}

/// One account in all its regions.
#[derive(Debug)]
pub(crate) struct Holding {
    places: Vec<Place>,
    account: Arc<Account>,
}

impl Holding {
    pub(crate) fn new(places: Vec<Place>, account: Arc<Account>) -> Self {
        Self { places, account }
    }

    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        let places = join_all(self.places.iter().map(|place| place.find(domain)));
        let (owner, answers) = join(self.account.owner(), places).await;
        self.sign(&owner, answers)
    }

    /// What [`find`](Self::find) gives for each of these domains, in their order.
    fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Vec<Result<Identity, ProviderError>>> {
        stream::once(self.account.owner())
            .flat_map(move |owner| {
                in_step(self.places.iter().map(|place| place.find_many(domains)).collect())
                    .map(move |answers| self.sign(&owner, answers))
            })
            .boxed()
    }

    /// The answers of all places about one domain, with their owner.
    fn sign(&self, owner: &Owner, answers: Vec<Answer>) -> Vec<Result<Identity, ProviderError>> {
        let mut signature = Signature::of(owner);
        let answers = self.places.iter().zip(answers);
        answers.filter_map(|(place, answer)| signature.put(place, answer.transpose()?)).collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        stream::once(self.account.owner())
            .flat_map(move |owner| {
                let places = self.places.iter();
                let answers = stream::select_all(
                    places.map(|place| place.identities().map(move |answer| (place, answer)).boxed()),
                );
                let mut signature = Signature::of(owner);
                answers.filter_map(move |(place, answer)| future::ready(signature.put(place, answer)))
            })
            .boxed()
    }
}

/// Puts the owner under the answers of an account's places. Credentials that fail are told once, not once a region.
struct Signature<O> {
    owner: O,
    has_told_of_credentials: bool,
}

impl<O: Borrow<Owner>> Signature<O> {
    fn of(owner: O) -> Self {
        Self { owner, has_told_of_credentials: false }
    }

    fn put(
        &mut self,
        place: &Place,
        answer: Result<Identity, Fault>,
    ) -> Option<Result<Identity, ProviderError>> {
        let owner = self.owner.borrow();
        match answer {
            Ok(mut identity) => {
                owner.sign(&mut identity);
                Some(Ok(identity))
            }
            Err(fault) => {
                let fault = owner.judge(fault);
                let is_told =
                    owner.is_everywhere(&fault) && mem::replace(&mut self.has_told_of_credentials, true);
                (!is_told).then(|| Err(fault.at(place.region())))
            }
        }
    }
}

/// The first items of all streams, then the second ones, and so on. A stream that is ahead waits for nobody: what it
/// has under way would run into time limits that are not its own fault.
fn in_step<'a, T: Send + 'a>(streams: Vec<BoxStream<'a, T>>) -> BoxStream<'a, Vec<T>> {
    let mut ahead: Vec<VecDeque<T>> = streams.iter().map(|_| VecDeque::new()).collect();
    let tagged =
        streams.into_iter().enumerate().map(|(at, stream)| stream.map(move |item| (at, item)).boxed());
    stream::select_all(tagged)
        .filter_map(move |(at, item)| {
            ahead[at].push_back(item);
            let is_complete = ahead.iter().all(|items| !items.is_empty());
            let row = is_complete.then(|| ahead.iter_mut().filter_map(VecDeque::pop_front).collect());
            future::ready(row)
        })
        .boxed()
}
