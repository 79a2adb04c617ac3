//! [`Failure`]: why the command could not do its work.

use std::error::Error;
use std::io;

/// Why the command could not do its work: a code for scripts, a sentence for people, and the way out.
#[derive(Debug)]
pub(crate) struct Failure {
    /// The situation; part of the JSON, so it never changes its name.
    pub(crate) code: Code,
    /// What failed, on what. A cause that adds something follows after a colon.
    pub(crate) message: String,
    /// What to do about it.
    pub(crate) hint: Option<String>,
}

/// The situations in which the command cannot do its work.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Code {
    /// Options that don't exist, lack a value or exclude each other.
    Usage,
    /// A domain that is none.
    BadDomain,
    /// A source of identities that doesn't exist.
    BadSource,
    /// A region that cannot be one.
    BadRegion,
    /// An endpoint's URL that is none, in the AWS configuration.
    BadEndpoint,
    /// A role that cannot be one.
    BadRole,
    /// A resolver that is no address.
    BadResolver,
    /// A name server that is neither a name nor an address.
    BadNameserver,
    /// An address to listen at that is none, or can't be had.
    BadAddress,
    /// A port outside of 1 to 65535.
    BadPort,
    /// A duration that is none, or out of bounds.
    BadDuration,
    /// A number that is none, or out of bounds.
    BadNumber,
    /// A word that isn't one of those an option knows.
    BadChoice,
    /// A code that isn't in the catalogue.
    NotInCatalogue,
    /// The configuration file can't be read, or says what cannot be.
    ConfigFile,
    /// The file of identities can't be read, or says what cannot be.
    IdentityFile,
    /// The file of a notice can't be read.
    NoticeFile,
    /// A text that isn't a notice of AWS about DKIM.
    NotANotice,
    /// The zone file can't be read, is none, or is that of another zone.
    ZoneFile,
    /// The file of a public key can't be read, or is none.
    KeyFile,
    /// The state file can't be used.
    State,
    /// Credentials are absent, expired or not accepted.
    NoCredentials,
    /// No account's region is configured.
    NoRegion,
    /// The source holds no domain, so nothing was looked at.
    NoIdentities,
    /// A provider that could not tell about an identity, or a place where identities live.
    Provider,
    /// The guard of the demo told otherwise than it must.
    Demo,
    /// Somebody pressed Ctrl-C.
    Interrupted,
    /// Nobody is at a terminal to agree.
    NotAgreed,
    /// Standard output can't be written.
    Output,
    /// The operating system refused what a look needs.
    System,
}

impl Code {
    /// The code in the JSON.
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Usage => "usage",
            Self::BadDomain => "bad-domain",
            Self::BadSource => "bad-source",
            Self::BadRegion => "bad-region",
            Self::BadEndpoint => "bad-endpoint",
            Self::BadRole => "bad-role",
            Self::BadResolver => "bad-resolver",
            Self::BadNameserver => "bad-nameserver",
            Self::BadAddress => "bad-address",
            Self::BadPort => "bad-port",
            Self::BadDuration => "bad-duration",
            Self::BadNumber => "bad-number",
            Self::BadChoice => "bad-choice",
            Self::NotInCatalogue => "unknown-code",
            Self::ConfigFile => "config-file",
            Self::IdentityFile => "identity-file",
            Self::NoticeFile => "notice-file",
            Self::NotANotice => "not-a-notice",
            Self::ZoneFile => "zone-file",
            Self::KeyFile => "key-file",
            Self::State => "state",
            Self::NoCredentials => "no-credentials",
            Self::NoRegion => "no-region",
            Self::NoIdentities => "no-identities",
            Self::Provider => "provider",
            Self::Demo => "demo",
            Self::Interrupted => "interrupted",
            Self::NotAgreed => "not-agreed",
            Self::Output => "output",
            Self::System => "system",
        }
    }
}

impl Failure {
    /// A failure with this message and no hint.
    pub(crate) fn new(code: Code, message: impl Into<String>) -> Self {
        Self { code, message: message.into(), hint: None }
    }

    /// The failure with its causes, each told once.
    pub(crate) fn from_error(code: Code, error: &(dyn Error + 'static)) -> Self {
        Self::new(code, chain(error))
    }

    /// Standard output that can't be written.
    pub(crate) fn of_output(error: &io::Error) -> Self {
        Self::new(Code::Output, format!("cannot write to standard output: {error}"))
            .with_hint("is there room where the output goes?")
    }

    /// The same with a hint.
    pub(crate) fn with_hint(self, hint: impl Into<String>) -> Self {
        self.with_hint_if(Some(hint.into()))
    }

    /// The same with a hint, where there is one.
    pub(crate) fn with_hint_if(mut self, hint: Option<String>) -> Self {
        self.hint = hint;
        self
    }
}

/// An error and its causes in one line. A cause that the line already holds isn't repeated: some errors print
/// their source themselves.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = error.to_string();
    for cause in std::iter::successors(error.source(), |&cause| cause.source()) {
        let cause = cause.to_string();
        if !line.contains(&cause) {
            line.push_str(": ");
            line.push_str(&cause);
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read x.toml")]
    struct Quiet(#[source] io::Error);

    #[derive(Debug, thiserror::Error)]
    #[error("cannot read x.toml: {0}")]
    struct Repeating(#[source] io::Error);

    #[test]
    fn a_cause_is_told_once() {
        let cause = || io::Error::other("the disk is gone");
        for error in [&Quiet(cause()) as &(dyn Error + 'static), &Repeating(cause())] {
            assert_eq!(chain(error), "cannot read x.toml: the disk is gone");
        }
    }
}
