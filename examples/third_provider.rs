//! A mail provider that isn't AWS, as a source of identities: here one that lists its domains as JSON over HTTP.
//!
//! `cargo run -p dkimguard-examples --example third_provider -- https://api.postbox.example/v1 example.com`

use std::{collections::BTreeMap, error::Error, sync::Arc};

use dkimguard_core::error::{ProviderError, ProviderErrorKind as Kind};
use dkimguard_core::identity::{ExpectedValue, Identity, IdentityId, Selector};
use dkimguard_core::{Clock, Depth, Dns, IdentitySource, Look, Name, Places, SystemClock};
use futures_util::stream::{self, BoxStream, StreamExt};

type Found = Result<Identity, ProviderError>;

/// `GET <url>/domains` answers `{"example.com": {"s1": "s1.dkim.postbox.example"}}`: selectors and their CNAMEs.
#[derive(Debug)]
pub(crate) struct Postbox(pub(crate) String);

impl Postbox {
    async fn domains(&self) -> reqwest::Result<BTreeMap<Name, BTreeMap<Name, Name>>> {
        reqwest::get(format!("{}/domains", self.0)).await?.error_for_status()?.json().await
    }

    async fn list(&self) -> Vec<Found> {
        let identity = |(domain, selectors): (Name, BTreeMap<Name, Name>)| {
            let id = IdentityId { provider: "postbox".into(), account: None, region: None, domain };
            let selector = |(label, target)| Selector { label, value: ExpectedValue::Cname(target) };
            Ok(Identity::new(id, selectors.into_iter().map(selector).collect()))
        };
        // Whatever goes wrong is an error in the list: a provider that is silent isn't one that holds nothing.
        let failure = |error: reqwest::Error| {
            let kind = if error.is_decode() { Kind::Unusable } else { Kind::Unavailable };
            let (provider, operation) = ("Postbox".into(), "GET /domains".into());
            vec![Err(ProviderError { provider, operation, kind, source: Some(error.into()) })]
        };
        self.domains().await.map_or_else(failure, |held| held.into_iter().map(identity).collect())
    }
}

#[async_trait::async_trait]
impl IdentitySource for Postbox {
    async fn find(&self, domain: &Name) -> Vec<Found> {
        let is_wanted = |found: &Found| found.as_ref().ok().is_none_or(|held| held.domain() == domain);
        self.list().await.into_iter().filter(is_wanted).collect()
    }

    fn identities(&self) -> BoxStream<'_, Found> {
        stream::once(self.list()).flat_map(stream::iter).boxed()
    }
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let [url, domain] = [1, 2].map(|number| std::env::args().nth(number).unwrap_or_default());
    let look = Look::new(Arc::new(Dns::default()), Places::system()?);
    for found in Postbox(url).find(&domain.parse()?).await {
        println!("{}", look.take(found?, Depth::Full, SystemClock.now(), 1).await);
    }
    Ok(())
}
