//! [`KeyRecord`]: a DKIM key record (RFC 6376 §3.6.1).

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A DKIM key record. [`fmt::Display`] writes the text that was parsed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    text: String,
}

/// The key of a key record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// `p=` is empty: the key has been withdrawn.
    Revoked,
    /// An RSA key.
    Rsa {
        /// The bits of its modulus.
        bits: u32,
    },
    /// An Ed25519 key (RFC 8463).
    Ed25519,
    /// A key of an algorithm that this version doesn't know.
    Other {
        /// The algorithm, from `k=`.
        algorithm: String,
    },
}

/// Why a text is no key record.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// No `p=` tag.
    #[error("it has no p= tag")]
    NoKey,
}

impl KeyRecord {
    /// Parses the joined strings of one TXT record.
    pub fn parse(_octets: &[u8]) -> Result<Self, ParseKeyError> {
        Err(ParseKeyError::NoKey)
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &PublicKey::Revoked
    }

    /// Whether both hold the same key of the same algorithm, however the records are written.
    pub fn same_key(&self, other: &Self) -> bool {
        self == other
    }

    /// Whether `t=` holds `y`: the domain is testing DKIM.
    pub fn is_testing(&self) -> bool {
        false
    }

    /// Whether `s=` allows mail: it is absent or holds `*` or `email`.
    pub fn serves_email(&self) -> bool {
        true
    }
}

impl FromStr for KeyRecord {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}
