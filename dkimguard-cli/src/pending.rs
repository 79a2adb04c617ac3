//! Stand-ins for parts of the library that are being written: each has the shape in which it will come, and this
//! file goes when they have come.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::{LookupError, ProviderError};
use dkimguard_core::identity::{ExpectedValue, Identity, IdentityId, Selector};
use dkimguard_core::look::{Question, Response, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{DnsLookup, IdentitySource};
use futures_util::stream::{BoxStream, StreamExt as _};

/// `dkimguard_core::file::FileSource`: here one domain a line, `domain = "…"` or `{"domain":"…"`.
#[derive(Debug)]
pub(crate) struct FileSource(Vec<Identity>);

#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct FileError(String);

impl FileSource {
    pub(crate) fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let shown = path.as_ref().display().to_string();
        let text =
            fs::read_to_string(&path).map_err(|error| FileError(format!("cannot read {shown}: {error}")))?;
        let mut identities = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let Some((_, value)) = line
                .split_once("domain")
                .filter(|(before, _)| before.trim_matches(['{', '"', ' ']).is_empty())
            else {
                continue;
            };
            let domain = value.split('"').find(|part| part.contains('.')).unwrap_or_default();
            let domain: Name = domain
                .parse()
                .map_err(|error| FileError(format!("{shown}:{}:1: '{domain}': {error}", number + 1)))?;
            let id = IdentityId { provider: "file".to_owned(), account: None, region: None, domain };
            let label =
                Name::from_labels([b"s1".as_slice()]).map_err(|error| FileError(error.to_string()))?;
            identities.push(Identity::new(id, vec![Selector { label, value: ExpectedValue::AnyKey }]));
        }
        Ok(Self(identities))
    }
}

#[async_trait]
impl IdentitySource for FileSource {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        self.0.iter().filter(|identity| identity.domain() == domain).cloned().map(Ok).collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        futures_util::stream::iter(self.0.iter().cloned().map(Ok)).boxed()
    }
}

/// `dkimguard_core::look::wire::Limits`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) timeout: Duration,
    pub(crate) attempts: NonZeroU32,
    _at_once: (),
}

impl Default for Limits {
    fn default() -> Self {
        Self { timeout: Duration::from_secs(2), attempts: NonZeroU32::MIN, _at_once: () }
    }
}

/// `dkimguard_core::look::wire::Wire`.
#[derive(Debug)]
pub(crate) struct Wire(Limits);

impl Wire {
    pub(crate) fn new(limits: Limits) -> Self {
        Self(limits)
    }
}

#[async_trait]
impl DnsLookup for Wire {
    async fn ask(&self, _question: &Question, _vantage: &Vantage) -> Result<Response, LookupError> {
        Err(LookupError::Timeout { timeout: self.0.timeout, attempts: self.0.attempts.get() })
    }
}
