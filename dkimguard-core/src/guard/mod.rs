//! Staying: many domains watched by one loop, and who is told.
//!
//! [`Policy`] says how often to look and when to tell, [`Memory::advance`] decides what to tell: a pure function from
//! what was remembered and a [`Report`](crate::Report) to what is to be remembered and the [`Alert`]s.

mod alert;
#[cfg(feature = "guard")]
mod builder;
#[cfg_attr(not(feature = "guard"), allow(dead_code, reason = "without the loop nobody delivers"))]
mod delivery;
#[cfg(feature = "guard")]
#[expect(clippy::module_inception, reason = "the noun of this file is the guard")]
mod guard;
mod in_memory;
mod incident;
#[cfg(feature = "guard")]
mod keeper;
mod memory;
mod past;
mod policy;
#[cfg(feature = "guard")]
mod timer;
#[cfg(feature = "guard")]
mod visit;

pub use alert::{Alert, AlertEvent, IncidentId, IncidentKind, ReportJson, Severity};
#[cfg(feature = "guard")]
pub use builder::{BuildError, GuardBuilder};
#[cfg(feature = "guard")]
pub use guard::{Guard, GuardHandle, Health};
pub use in_memory::InMemory;
pub use memory::{FORMAT, Memory, ParseMemoryError};
pub use policy::{Depths, Policy};
#[cfg(feature = "guard")]
pub use timer::Timer;
