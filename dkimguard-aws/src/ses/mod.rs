//! [`SesSource`]: the identities of Amazon SES.

mod claim;
mod place;

use std::sync::Arc;

use async_trait::async_trait;
use dkimguard_core::error::ProviderError;
use dkimguard_core::identity::{Identity, IdentityId, Targets};
use dkimguard_core::name::Name;
use dkimguard_core::ports::IdentitySource;
use futures_util::future::{join, join_all};
use futures_util::stream::{self, BoxStream, StreamExt};

use crate::account::{Account, Owner};
use crate::aws::ConfigError;
pub(crate) use place::Place;

/// The identities of Amazon SES in one or more accounts and regions. Cloning is cheap, and clones share their pace.
///
/// In each account and region calls start 1.1 seconds apart, those of clones included; different places don't wait
/// for each other. A call that fails in a way that may pass is made up to
/// three times, and ends within 13 seconds. Where `ses:GetEmailIdentity` fails and `ses:GetIdentityDkimAttributes`
/// doesn't, the identity has its status and tokens from there, and a gap that says what is assumed.
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
        let signed = self.places.iter().zip(answers).filter_map(|(place, answer)| match answer {
            Ok(Some(mut identity)) => {
                owner.sign(&mut identity);
                Some(Ok(identity))
            }
            Ok(None) => None,
            Err(fault) => Some(Err(owner.judge(fault).at(place.region()))),
        });
        signed.collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        stream::once(self.account.owner())
            .flat_map(move |owner| {
                let owner = Arc::new(owner);
                stream::select_all(self.places.iter().map(move |place| {
                    let owner = Arc::clone(&owner);
                    place
                        .identities()
                        .map(move |answer| match answer {
                            Ok(mut identity) => {
                                owner.sign(&mut identity);
                                Ok(identity)
                            }
                            Err(fault) => Err(owner.judge(fault).at(place.region())),
                        })
                        .boxed()
                }))
            })
            .boxed()
    }
}
