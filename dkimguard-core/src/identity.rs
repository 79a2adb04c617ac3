//! [`Identity`]: what a mail provider claims about a domain, and the records that it [expects](Identity::expected).

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use crate::error::ParseNameError;
use crate::judge::Gap;
use crate::key_record::KeyRecord;
use crate::name::Name;
use crate::record::RecordKind;

/// Which identity: the provider, the account and region there, and the domain.
///
/// Written `ses:123456789012:us-east-1:example.com`; parts that a provider doesn't have are left out
/// (`file:example.com`), an account that couldn't be learnt is `-`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct IdentityId {
    /// The provider's short name: `ses`, `file`.
    pub provider: String,
    /// The account, where the provider has accounts; `-` where it has and this one isn't known.
    pub account: Option<String>,
    /// The region, where the provider has regions.
    pub region: Option<String>,
    /// The domain.
    pub domain: Name,
}

impl fmt::Display for IdentityId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:", self.provider)?;
        for part in [&self.account, &self.region].into_iter().flatten() {
            write!(f, "{part}:")?;
        }
        write!(f, "{}", self.domain)
    }
}

impl Serialize for IdentityId {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

/// What a mail provider claims about one domain.
#[derive(Clone, Debug, PartialEq)]
pub struct Identity {
    /// Which identity this is.
    pub id: IdentityId,
    /// The selectors that the provider signs with, or may sign with soon.
    pub selectors: Vec<Selector>,
    /// Whether the provider told the targets of the CNAMEs, or they are what is usual.
    pub targets: Targets,
    /// Who makes the keys.
    pub keys: KeyMaker,
    /// Where the provider says the set-up stands.
    pub status: ProviderStatus,
    /// Whether the provider signs mail of this domain; none where it didn't say.
    pub signing_enabled: Option<bool>,
    /// Since when the status holds, where known.
    pub status_since: Option<Timestamp>,
    /// What the provider met when it last looked, where it tells.
    pub verification: Option<Verification>,
    /// The subdomain for bounces, where one is set up.
    pub mail_from: Option<MailFrom>,
    /// What couldn't be learnt about the identity.
    pub gaps: Vec<Gap>,
}

impl Identity {
    /// An identity of which only the name and the selectors are known: status [`ProviderStatus::Success`].
    pub fn new(id: IdentityId, selectors: Vec<Selector>) -> Self {
        Self {
            id,
            selectors,
            targets: Targets::Told,
            keys: KeyMaker::Unknown,
            status: ProviderStatus::Success,
            signing_enabled: None,
            status_since: None,
            verification: None,
            mail_from: None,
            gaps: Vec::new(),
        }
    }

    /// The domain.
    pub fn domain(&self) -> &Name {
        &self.id.domain
    }

    /// Whether it is sure that the provider made the selectors for this identity, and for no other.
    pub(crate) fn has_selectors_of_its_own(&self) -> bool {
        self.keys == KeyMaker::Provider && self.targets == Targets::Told
    }

    /// The records that must be in DNS: one a selector, at `<label>._domainkey.<domain>` (RFC 6376 §3.6.2.1).
    ///
    /// # Errors
    /// A selector with which the record's name becomes too long.
    pub fn expected(&self) -> Result<Vec<Expected>, ParseNameError> {
        let keys = self.domain().child("_domainkey")?;
        self.selectors
            .iter()
            .map(|selector| {
                Ok(Expected { name: selector.label.appended(&keys)?, value: selector.value.clone() })
            })
            .collect()
    }
}

/// Where the targets of an identity's CNAMEs come from.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Targets {
    /// The provider told them.
    #[default]
    Told,
    /// The provider told the selectors, and the zone of the targets is the one that is usual. A CNAME into another
    /// zone proves nothing then.
    Assumed,
}

/// Who makes the keys of an identity, and so who can be asked for new ones.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum KeyMaker {
    /// The provider, for this identity.
    Provider,
    /// The provider, for the same identity in another region, of which this one is a replica: records, tokens and
    /// keys are that one's.
    Parent,
    /// The identity's owner. The provider holds the private key and never gives it back.
    Owner,
    /// Nobody knows.
    #[default]
    Unknown,
}

/// A selector, and what must stand at it.
#[derive(Clone, Debug, PartialEq)]
pub struct Selector {
    /// The selector, a name relative to `_domainkey.<domain>`; it may have several labels.
    pub label: Name,
    /// What must stand there.
    pub value: ExpectedValue,
}

/// One record that must be in DNS.
#[derive(Clone, Debug, PartialEq)]
pub struct Expected {
    /// Whose record: `<selector>._domainkey.<domain>`.
    pub name: Name,
    /// What it must say.
    pub value: ExpectedValue,
}

/// What an expected record must say.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExpectedValue {
    /// A CNAME with exactly this target. What stands behind the target is the provider's affair.
    Cname(Name),
    /// A TXT with this key; the key is compared, not the text.
    Key(Box<KeyRecord>),
    /// A TXT with some usable key.
    AnyKey,
}

impl ExpectedValue {
    /// The type of the record.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::Cname(_) => RecordKind::Cname,
            Self::Key(_) | Self::AnyKey => RecordKind::Txt,
        }
    }

    /// The target, of a CNAME.
    pub fn target(&self) -> Option<&Name> {
        match self {
            Self::Cname(target) => Some(target),
            Self::Key(_) | Self::AnyKey => None,
        }
    }
}

/// The value as it is to be published.
impl fmt::Display for ExpectedValue {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Cname(target) => target.fmt(f),
            Self::Key(key) => key.fmt(f),
            Self::AnyKey => f.pad("any usable DKIM key"),
        }
    }
}

/// Where the provider says the set-up of DKIM stands.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderStatus {
    /// It has seen all records.
    Success,
    /// It looks for the records and hasn't seen them all yet.
    Pending,
    /// It had seen them, now doesn't, and still looks. Mail isn't signed meanwhile.
    TemporaryFailure,
    /// It has stopped looking.
    Failed,
    /// DKIM was never set up.
    NotStarted,
    /// The provider couldn't be asked, or the source says that nobody knows.
    Unknown,
    /// What the provider wrote, where this version doesn't know it.
    Other(String),
}

impl ProviderStatus {
    /// The status in the JSON and in identity files.
    pub fn as_str(&self) -> &str {
        match self {
            Self::Success => "success",
            Self::Pending => "pending",
            Self::TemporaryFailure => "temporary-failure",
            Self::Failed => "failed",
            Self::NotStarted => "not-started",
            Self::Unknown => "unknown",
            Self::Other(text) => text,
        }
    }
}

impl fmt::Display for ProviderStatus {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the provider itself met when it last looked at the records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Verification {
    /// When it last looked.
    pub last_checked: Option<Timestamp>,
    /// When it last saw them all.
    pub last_success: Option<Timestamp>,
    /// The provider's own code for what went wrong: `HOST_NOT_FOUND`.
    pub error: Option<String>,
    /// The zone it reached.
    pub soa: Option<VerificationSoa>,
}

/// The zone that the provider reached when it last looked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VerificationSoa {
    /// The zone's primary name server, as the provider wrote it.
    pub primary: String,
    /// The zone's serial.
    pub serial: u64,
}

/// The subdomain that a provider uses for bounces.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MailFrom {
    /// The subdomain.
    pub domain: Name,
    /// The mail exchanger it must have.
    pub mx: Name,
}
