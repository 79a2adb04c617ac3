//! Stand-ins for parts of the library that are being written: each has the shape in which it will come, and this
//! file goes when they have come.

use std::fs;
use std::num::NonZeroU32;
use std::path::Path;
use std::str::FromStr;
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::{LookupError, ProviderError, ProviderErrorKind};
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

/// `dkimguard_core::look::hickory::system_resolvers`.
pub(crate) fn system_resolvers() -> Result<Vec<std::net::SocketAddr>, std::io::Error> {
    Ok(Vec::new())
}

/// `dkimguard_aws::Aws` and its builder.
#[derive(Debug)]
pub(crate) struct Aws;

#[derive(Debug, thiserror::Error)]
#[error("no configuration")]
pub(crate) struct ConfigError;

impl Aws {
    pub(crate) fn builder() -> Self {
        Self
    }

    pub(crate) fn with_regions(self, _: impl IntoIterator<Item = Region>) -> Self {
        self
    }

    pub(crate) fn with_all_regions(self) -> Self {
        self
    }

    pub(crate) fn with_roles(self, _: impl IntoIterator<Item = RoleArn>) -> Self {
        self
    }

    pub(crate) async fn build(self) -> Result<Self, ConfigError> {
        Ok(self)
    }

    pub(crate) fn ses(self) -> Ses {
        Ses
    }
}

/// `dkimguard_aws::SesSource`: here one without credentials.
#[derive(Debug)]
pub(crate) struct Ses;

fn no_credentials() -> ProviderError {
    ProviderError {
        provider: "SES us-east-1".to_owned(),
        operation: "ses:GetEmailIdentity".to_owned(),
        kind: ProviderErrorKind::Credentials,
        source: None,
    }
}

#[async_trait]
impl IdentitySource for Ses {
    async fn find(&self, _domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        vec![Err(no_credentials())]
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        futures_util::stream::iter([Err(no_credentials())]).boxed()
    }
}

/// `dkimguard_aws::hint`.
pub(crate) fn hint(error: &ProviderError) -> Option<String> {
    match error.kind {
        ProviderErrorKind::Credentials => {
            Some("set AWS_PROFILE, or AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY".to_owned())
        }
        ProviderErrorKind::Denied => Some(format!("allow the action {}", error.operation)),
        _ => None,
    }
}

/// `dkimguard_aws::Region`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(String);

impl Region {
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Display for Region {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(&self.0)
    }
}

impl FromStr for Region {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let is_word = |word: &str| {
            !word.is_empty() && word.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit())
        };
        let is_region = text.ends_with(|c: char| c.is_ascii_digit()) && text.split('-').count() >= 3;
        if is_region && text.split('-').all(is_word) { Ok(Self(text.to_owned())) } else { Err(ConfigError) }
    }
}

/// `dkimguard_aws::RoleArn`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleArn(String);

impl RoleArn {
    #[cfg(test)]
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for RoleArn {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let is_role = text.starts_with("arn:aws") && text.contains(":role/");
        if is_role { Ok(Self(text.to_owned())) } else { Err(ConfigError) }
    }
}
