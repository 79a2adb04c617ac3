//! [`WithKey`]: identities whose owner's key is known from a file.

use std::fs;
use std::sync::Arc;

use async_trait::async_trait;
use dkimguard_core::error::ProviderError;
use dkimguard_core::identity::{ExpectedValue, Identity};
use dkimguard_core::key_record::KeyRecord;
use dkimguard_core::name::Name;
use dkimguard_core::ports::IdentitySource;
use futures_util::stream::{BoxStream, StreamExt as _};

use crate::failure::{Code, Failure};

/// A source whose identities expect this key where the provider doesn't tell which.
#[derive(Debug)]
pub(crate) struct WithKey {
    inner: Arc<dyn IdentitySource>,
    key: KeyRecord,
}

impl WithKey {
    /// Reads the key: a public key in PEM, or the text of a key record.
    ///
    /// # Errors
    /// A file that can't be read, or isn't a public key. A private key is refused: nobody needs it here.
    pub(crate) fn read(inner: Arc<dyn IdentitySource>, path: &str) -> Result<Self, Failure> {
        let failure = |what: String| {
            Failure::new(Code::KeyFile, format!("{path}: {what}"))
                .with_hint("--public-key names a PEM file that begins with -----BEGIN PUBLIC KEY-----")
        };
        let text = fs::read_to_string(path).map_err(|error| failure(format!("cannot be read: {error}")))?;
        if text.contains("PRIVATE KEY") {
            return Err(failure("it is a private key, which is never needed here".to_owned()));
        }
        let key =
            record_of(&text).parse().map_err(|error| failure(format!("it is no public key: {error}")))?;
        Ok(Self { inner, key })
    }

    fn fill(&self, mut identity: Identity) -> Identity {
        for selector in &mut identity.selectors {
            if selector.value == ExpectedValue::AnyKey {
                selector.value = ExpectedValue::Key(Box::new(self.key.clone()));
            }
        }
        identity
    }
}

/// The text of a key record: the file's own, or that of the key in PEM.
fn record_of(text: &str) -> String {
    let is_pem = text.contains("-----BEGIN");
    if !is_pem {
        return text.trim().to_owned();
    }
    let octets: String = text.lines().filter(|line| !line.starts_with("-----")).map(str::trim).collect();
    format!("v=DKIM1; k=rsa; p={octets}")
}

#[async_trait]
impl IdentitySource for WithKey {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        let found = self.inner.find(domain).await;
        found.into_iter().map(|answer| answer.map(|identity| self.fill(identity))).collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.inner.identities().map(|answer| answer.map(|identity| self.fill(identity))).boxed()
    }

    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        self.inner.details(identity).await.map(|identity| self.fill(identity))
    }
}
