//! [`Dns`]: the engine for every kind of place.

use std::num::NonZeroU32;
use std::time::Duration;

use async_trait::async_trait;

use super::hickory::Hickory;
use super::wire::{Limits, Wire};
use super::{Question, Response, Vantage};
use crate::error::LookupError;
use crate::ports::DnsLookup;

/// Asks at every kind of place: name servers and resolvers over plain DNS through [`Wire`], resolvers behind TLS
/// and HTTPS through [`Hickory`]. It keeps no answer. Needs a Tokio runtime with I/O and time.
#[derive(Debug)]
pub struct Dns {
    wire: Wire,
    hickory: Hickory,
}

impl Dns {
    /// An engine with these limits.
    pub fn new(limits: Limits) -> Self {
        Self { wire: Wire::new(limits), hickory: Hickory::new(limits.timeout, limits.attempts) }
    }

    /// An engine that waits this long for an answer and asks so often; otherwise as [`Limits::default`].
    pub fn with_patience(timeout: Duration, attempts: NonZeroU32) -> Self {
        Self::new(Limits { timeout, attempts, ..Limits::default() })
    }
}

impl Default for Dns {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

#[async_trait]
impl DnsLookup for Dns {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        match vantage {
            Vantage::Tls { .. } | Vantage::Https { .. } => self.hickory.ask(question, vantage).await,
            _ => self.wire.ask(question, vantage).await,
        }
    }
}
