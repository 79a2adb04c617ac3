//! [`Secret`]: a text that is never shown.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// A text that is never shown: the key of a signature. Never empty, and without blanks and line breaks around it, which
/// files and environment variables like to have.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

/// Why a text is no secret: nothing is left of it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Error)]
#[error("the secret is empty")]
pub struct EmptySecret;

impl Secret {
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl FromStr for Secret {
    type Err = EmptySecret;

    fn from_str(text: &str) -> Result<Self, EmptySecret> {
        let text = text.trim();
        if text.is_empty() { Err(EmptySecret) } else { Ok(Self(text.to_owned())) }
    }
}

/// Always `Secret(…)`.
impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(…)")
    }
}
