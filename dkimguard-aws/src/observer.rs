//! [`CallObserver`]: whoever wants to know of each call to AWS.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use dkimguard_core::error::ProviderErrorKind;

use crate::operation::Operation;

/// Is told of each call to AWS once it has ended: for counting, and for metrics.
///
/// A call that is made again is told of each time. It is called where the call is made, so it must return at once.
pub trait CallObserver: fmt::Debug + Send + Sync {
    /// Takes note of a call.
    fn note(&self, call: &EndedCall);
}

/// A call to AWS that has ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct EndedCall {
    /// The IAM action of the call: `ses:GetEmailIdentity`.
    pub operation: &'static str,
    /// Why it failed; none where AWS answered what it was asked.
    pub failure: Option<ProviderErrorKind>,
    /// How long it took, its turn not included.
    pub took: Duration,
}

/// Whoever is told, if anybody is.
#[derive(Clone, Debug, Default)]
pub(crate) struct Observer(Option<Arc<dyn CallObserver>>);

impl Observer {
    pub(crate) fn new(observer: impl CallObserver + 'static) -> Self {
        Self(Some(Arc::new(observer)))
    }

    pub(crate) fn note(&self, operation: Operation, failure: Option<ProviderErrorKind>, took: Duration) {
        if let Some(observer) = &self.0 {
            observer.note(&EndedCall { operation: operation.action(), failure, took });
        }
    }
}

impl<T: CallObserver + ?Sized> CallObserver for Arc<T> {
    fn note(&self, call: &EndedCall) {
        (**self).note(call);
    }
}
