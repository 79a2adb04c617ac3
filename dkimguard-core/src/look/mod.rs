//! Looking: which servers a zone is delegated to, and what each of them, and each resolver, answers.

mod delegation;
#[cfg(all(feature = "hickory", feature = "wire"))]
mod dns;
#[cfg(feature = "hickory")]
pub mod hickory;
#[allow(clippy::module_inception)]
mod look;
mod observation;
mod observations;
mod places;
mod premise;
mod survey;
#[cfg(feature = "wire")]
pub mod wire;

pub use delegation::{AddressLookup, Delegation, Server};
#[cfg(all(feature = "hickory", feature = "wire"))]
pub use dns::Dns;
pub use look::{Look, Sight};
pub use observation::{ExtendedError, Observation, Question, Rcode, Response, Transport, Vantage};
pub use observations::Observations;
pub use places::{Authoritative, DNS_PORT, Places};
pub use premise::{Premise, PremiseServer, UnservedZone};
pub use survey::{Basis, Survey};
pub(crate) use survey::{doubled_name, without_underscore};
