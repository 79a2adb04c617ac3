//! Staying: many domains watched by one loop, and who is told.
//!
//! [`Policy`] says how often to look and when to tell, [`Memory::advance`] decides what to tell: a pure function from
//! what was remembered and a [`Report`](crate::Report) to what is to be remembered and the [`Alert`]s.

mod alert;
mod delivery;
mod incident;
mod memory;
mod past;
mod policy;

pub use alert::{Alert, AlertEvent, IncidentId, IncidentKind, ReportJson, Severity};
pub use memory::{FORMAT, Memory, ParseMemoryError};
pub use policy::{Depths, Policy};
