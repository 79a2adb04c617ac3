//! Looking: which servers a zone is delegated to, and what each of them, and each resolver, answers.

#[cfg(feature = "hickory")]
pub mod hickory;
#[allow(clippy::module_inception)]
mod look;
mod observation;
mod places;
#[cfg(feature = "wire")]
pub mod wire;

pub use look::Look;
pub use observation::{ExtendedError, Observation, Question, Rcode, Response, Transport, Vantage};
pub use places::{Authoritative, Places};
