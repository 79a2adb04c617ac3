//! [`Fault`]: what is wrong with a server or a resolver.

use std::time::Duration;

use crate::error::LookupError;
use crate::look::{ExtendedError, Question, Rcode};
use crate::name::Name;
use crate::record::RecordKind;
use crate::zone::Zone;

use super::zone::name;

/// What a question to a silent host costs: the attempts and the time of each that a [`LookupError::Timeout`]
/// of the model tells. They are those of the command line's defaults.
pub(super) const SILENCE: LookupError = LookupError::Timeout { timeout: Duration::from_secs(2), attempts: 2 };

/// What is wrong with a server or a resolver of a [`World`](super::World).
///
/// A fault holds for every question, unless it is [limited to a type](Self::for_kind) or to
/// [names below one](Self::below).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Fault {
    /// Questions get no answer.
    Silent,
    /// Nothing listens on the port.
    PortClosed,
    /// A router says that the host cannot be reached. A [`Lab`](super::Lab) can only be silent instead.
    Unreachable,
    /// The asking machine has no route. A [`Lab`](super::Lab) can only be silent instead.
    NoRoute,
    /// Every answer is empty and has this code.
    Rcode(Rcode),
    /// Answers are right and lack the AA bit. Of a server.
    NotAuthoritative,
    /// Answers come from this copy of a zone: two machines that differ answer behind one address. Of a server.
    OtherCopy(Box<Zone>),
    /// What comes back is no DNS message.
    Malformed,
    /// Answers over UDP are truncated, and TCP is closed.
    TruncatedWithoutTcp,
    /// Every answer is NOERROR, with authority, and empty: no proof of the absence that it looks like.
    EmptyWithoutSoa,
    /// Every answer is a referral to the root: the server doesn't know the zone, and says so in the old way.
    UpwardReferral,
    /// Every answer is REFUSED without the RA bit. Of a resolver that doesn't want to be one.
    NoRecursion,
}

impl Fault {
    /// The fault, for questions of one type only.
    pub fn for_kind(self, kind: RecordKind) -> ScopedFault {
        ScopedFault::from(self).for_kind(kind)
    }

    /// The fault, for questions about this name and those below it only.
    ///
    /// # Panics
    /// If the text is no name.
    pub fn below(self, top: &str) -> ScopedFault {
        ScopedFault::from(self).below(top)
    }

    /// The fault, with an extended error (RFC 8914) in the answers that it makes.
    pub fn with_extended_error(self, code: u16, text: &str) -> ScopedFault {
        ScopedFault::from(self).with_extended_error(code, text)
    }
}

/// A [`Fault`], and the questions that it holds for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScopedFault {
    pub(super) fault: Fault,
    kind: Option<RecordKind>,
    top: Name,
    pub(super) extended_error: Option<ExtendedError>,
}

impl ScopedFault {
    /// The same, for questions of one type only.
    #[must_use]
    pub fn for_kind(mut self, kind: RecordKind) -> Self {
        self.kind = Some(kind);
        self
    }

    /// The same, for questions about this name and those below it only.
    ///
    /// # Panics
    /// If the text is no name.
    #[must_use]
    pub fn below(mut self, top: &str) -> Self {
        self.top = name(top);
        self
    }

    /// The same, with an extended error (RFC 8914) in the answers that it makes.
    #[must_use]
    pub fn with_extended_error(mut self, code: u16, text: &str) -> Self {
        self.extended_error = Some(ExtendedError { code, text: text.to_owned() });
        self
    }

    pub(super) fn holds_for(&self, question: &Question) -> bool {
        self.kind.is_none_or(|kind| kind == question.kind) && question.name.is_at_or_below(&self.top)
    }

    /// Whether it holds for every question, so that it is the host's and not the answer's.
    pub(super) fn is_total(&self) -> bool {
        self.kind.is_none() && self.top.is_root()
    }
}

impl From<Fault> for ScopedFault {
    fn from(fault: Fault) -> Self {
        Self { fault, kind: None, top: Name::root(), extended_error: None }
    }
}
