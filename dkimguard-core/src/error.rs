//! The errors: situations that a caller can act on.

use std::time::Duration;

use thiserror::Error;

/// Why a text is no DNS name.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseNameError {
    /// There was nothing to read.
    #[error("it is empty")]
    Empty,
    /// Two dots in a row, or a dot at the start.
    #[error("it has an empty label (two dots in a row, or a dot at the start)")]
    EmptyLabel,
    /// A label over 63 octets.
    #[error("a label has {octets} octets, and 63 is the most")]
    LabelTooLong {
        /// How many it has.
        octets: usize,
    },
    /// A name over 255 octets.
    #[error("it takes {octets} octets, and 255 is the most")]
    NameTooLong {
        /// How many it takes in a message.
        octets: usize,
    },
    /// A blank or a control character.
    #[error("it holds the character {character:?}, which must be escaped in a name")]
    BadCharacter {
        /// The character.
        character: char,
    },
    /// A backslash without a character or three decimal digits up to 255 behind it.
    #[error("it has a backslash that no character and no three digits up to 255 follow")]
    BadEscape,
    /// Characters beyond ASCII that UTS #46 doesn't allow in a name.
    #[error("its characters beyond ASCII are not allowed in a domain name")]
    NotInternationalised,
    /// A backslash in a name that also holds characters beyond ASCII.
    #[error("it holds a backslash beside characters beyond ASCII; write those as A-labels (xn--…)")]
    EscapeBesideUnicode,
}

/// Why a question got no response. It is evidence, so it can be compared and kept; it is never an absence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Error)]
#[non_exhaustive]
pub enum LookupError {
    /// Nothing came back.
    #[error("no answer within {} × {attempts}", show(.timeout))]
    Timeout {
        /// How long each attempt waited.
        timeout: Duration,
        /// How many attempts were made.
        attempts: u32,
    },
    /// The host says that nobody listens on the port.
    #[error("connection refused: nothing listens on that port")]
    PortClosed,
    /// A router or the host says that the host or its network cannot be reached.
    #[error("host unreachable")]
    Unreachable,
    /// This machine has no route to the address; it says nothing about the server.
    #[error("this machine has no route to it")]
    NoRoute,
    /// What came back is no DNS message, or doesn't answer the question.
    #[error("malformed answer: {0}")]
    Malformed(String),
    /// The answer over UDP was cut short, and TCP failed.
    #[error("truncated over UDP, and over TCP: {0}")]
    TruncatedThenTcp(Box<LookupError>),
    /// The encrypted channel could not be set up.
    #[error("TLS: {0}")]
    Tls(String),
    /// This machine could not send: its sockets, memory or permissions are at their limit.
    #[error("this machine could not send: {0}")]
    Local(String),
    /// The engine doesn't serve this kind of vantage point.
    #[error("this look-up engine does not serve {0}")]
    Unsupported(&'static str),
}

impl LookupError {
    /// Whether the fault is on this machine, so that nothing is known about the other side.
    pub fn is_local(&self) -> bool {
        matches!(self, Self::NoRoute | Self::Local(_) | Self::Unsupported(_))
    }
}

fn show(duration: &Duration) -> String {
    format!("{duration:?}")
}

/// Why a provider (the mail provider, the zone's host, the history) did not tell.
#[derive(Debug, Error)]
#[error("{provider}: {operation} {}", kind.verb())]
pub struct ProviderError {
    /// Which provider, as people call it: `SES us-east-1`.
    pub provider: String,
    /// Which call: `ses:GetEmailIdentity`.
    pub operation: String,
    /// The situation.
    pub kind: ProviderErrorKind,
    /// What the provider or the transport said.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// The situations that a caller can act on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ProviderErrorKind {
    /// Credentials are absent, expired or not accepted.
    Credentials,
    /// The credentials are good and lack a permission.
    Denied,
    /// The provider doesn't know what was named.
    NotFound,
    /// What was seen before is no longer so.
    Stale,
    /// Too many calls; later it may work.
    Throttled,
    /// No answer, or the provider's own fault; later it may work.
    Unavailable,
    /// An answer that cannot be used.
    Unusable,
}

impl ProviderErrorKind {
    fn verb(self) -> &'static str {
        match self {
            Self::Credentials => "has no usable credentials",
            Self::Denied => "was denied",
            Self::NotFound => "found nothing",
            Self::Stale => "is outdated",
            Self::Throttled => "was throttled",
            Self::Unavailable => "got no answer",
            Self::Unusable => "gave an answer that cannot be used",
        }
    }
}

impl ProviderError {
    /// Whether the same call may succeed later without anybody doing anything.
    pub fn is_transient(&self) -> bool {
        matches!(self.kind, ProviderErrorKind::Throttled | ProviderErrorKind::Unavailable)
    }
}

/// Why a memory could not be loaded or saved.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum StoreError {
    /// Another instance saved first; load again, and decide again.
    #[error("another instance has saved in the meantime")]
    Conflict,
    /// The store can't be used now, a full disk or a lost connection; later it may work.
    #[error("{0} cannot be used now")]
    Unavailable(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
    /// What is in the store can't be read by this version, and was left as it is.
    #[error("{store} was written by a newer version (format {found}, and {known} is the newest known here)")]
    Newer {
        /// Which store.
        store: String,
        /// Its format.
        found: u32,
        /// The newest format known here.
        known: u32,
    },
    /// What is in the store is no memory of this program, and was left as it is.
    #[error("{0} is not a memory of dkimguard, or is damaged")]
    Unusable(String, #[source] Option<Box<dyn std::error::Error + Send + Sync>>),
}

impl StoreError {
    /// What to do about it, in a few words; none where the caller itself has to load again.
    pub fn hint(&self) -> Option<&'static str> {
        match self {
            Self::Conflict => None,
            Self::Unavailable(..) => {
                Some("make sure that it can be read and written, its directory too, and that there is room")
            }
            Self::Newer { .. } => Some("use the version that wrote it, or another store"),
            Self::Unusable(..) => {
                Some("use another store, or move this one away: what was remembered in it is lost then")
            }
        }
    }
}

/// Why an alert could not be delivered; it stays in memory and is tried again.
#[derive(Debug, Error)]
#[error("{notifier}: the alert was {}", if *.is_refusal { "refused" } else { "not delivered" })]
pub struct NotifyError {
    /// Which notifier, without any secret: `webhook hooks.example.com`.
    pub notifier: String,
    /// Whether the other side was reached and doesn't want it; trying again won't help before somebody does something.
    pub is_refusal: bool,
    /// What the other side or the transport said, without any secret.
    #[source]
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

/// An error and its causes in one line.
pub(crate) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

/// As much of a foreign text as an error shows, in characters.
const EXCERPT: usize = 80;

/// The beginning of a foreign text, fit to stand in an error: without control characters, and not long.
pub(crate) fn excerpt(text: &str) -> String {
    let mut beginning = String::new();
    for character in text.chars().take(EXCERPT) {
        if character.is_control() {
            beginning.extend(character.escape_default());
        } else {
            beginning.push(character);
        }
    }
    if text.chars().nth(EXCERPT).is_some() {
        beginning.push('…');
    }
    beginning
}
