//! Staying: many domains watched by one loop, and who is told.
//!
//! [`Policy`] says how often to look and when to tell. [`Memory::advance`] decides what to tell: a pure function from
//! what was remembered and a [`Report`](crate::Report) to what is to be remembered and the [`Alert`]s. `Guard` (feature
//! `guard`) is the loop around it: one task, whatever the number of domains. What is remembered is kept by a
//! [`Store`](crate::ports::Store): [`InMemory`], or `Sqlite` (feature `sqlite`).
//!
//! # In a backend
#![cfg_attr(all(feature = "guard", feature = "testing"), doc = "```")]
#![cfg_attr(not(all(feature = "guard", feature = "testing")), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use dkimguard_core::guard::Guard;
//! use dkimguard_core::look::Vantage;
//! use dkimguard_core::testing::{FakeDns, FakeSource, World, easy_dkim_identity};
//! use dkimguard_core::{Look, Name, Places, Verdict};
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! // A domain in memory. Outside of tests: `aws.ses()`, `Dns::default()` and `Places::system()`.
//! let source = FakeSource::new([easy_dkim_identity("example.com")]);
//! let dns = FakeDns::new(World::easy_dkim("example.com"));
//! let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
//!
//! let domain: Name = "example.com".parse()?;
//! let guard = Guard::builder(source, Look::new(Arc::new(dns), places)).watch([domain.clone()]).spawn()?;
//!
//! // In a handler: mail waits instead of going out unsigned.
//! match guard.verdict(&domain) {
//!     Verdict::Failing => { /* hold the mail */ }
//!     _ => { /* send it */ }
//! }
//! # assert_eq!(guard.verdict(&domain), Verdict::Unknown, "no look was taken yet");
//! # let mut verdicts = guard.subscribe(&domain).ok_or("it is watched")?;
//! # verdicts.wait_for(|&verdict| verdict == Verdict::Healthy).await?;
//! # Ok(())
//! # }
//! ```

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
#[cfg_attr(not(feature = "guard"), allow(dead_code, reason = "without the loop nobody mends"))]
mod journal;
#[cfg(feature = "guard")]
mod keeper;
mod memory;
#[cfg(feature = "guard")]
mod mend;
mod past;
mod policy;
#[cfg(feature = "sqlite")]
mod sqlite;
#[cfg(feature = "guard")]
mod sweep;
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
pub use journal::Entry;
pub use memory::{FORMAT, Memory, ParseMemoryError};
pub use policy::{Depths, Policy, RepairMode};
#[cfg(feature = "sqlite")]
pub use sqlite::Sqlite;
#[cfg(feature = "guard")]
pub use timer::Timer;
