//! Fakes, a manual clock, a lab of name servers on loopback.
//!
//! A [`World`] is a small model of the DNS as a value: zones, the servers that hold them, resolvers, and what is
//! wrong with each. [`FakeDns`] asks it in memory, a [`Lab`] serves it over sockets. [`FakeSource`] is a mail provider, and
//! [`ManualClock`] a clock, for the same tests. [`conformance`] holds the suites that implementations of the ports run.
//!
//! ```
//! use dkimguard_core::look::Rcode;
//! use dkimguard_core::record::RecordKind;
//! use dkimguard_core::testing::{FakeDns, Fault, World};
//!
//! let mut world = World::easy_dkim("example.com");
//! world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Txt));
//! let dns = FakeDns::new(world);
//! // … a look through `dns`; then:
//! dns.change(|world| {
//!     world.server(World::NS2).heal();
//! });
//! ```

pub mod conformance;
mod easy_dkim;
mod fake_dns;
mod fake_host;
mod fake_source;
mod fake_witnesses;
mod fault;
mod lab;
mod manual_clock;
mod resolver;
mod server;
mod world;
mod zone;

pub use crate::zone::Zone;
pub use easy_dkim::{HOSTED_ZONE, PUBLIC_KEY, TOKENS, easy_dkim_identity};
pub use fake_dns::FakeDns;
pub use fake_host::{FakeHost, HostFault};
pub use fake_source::FakeSource;
pub use fake_witnesses::{FakeHistory, FakeZones};
pub use fault::{Fault, ScopedFault};
pub use lab::Lab;
pub use manual_clock::ManualClock;
pub use resolver::Resolver;
pub use server::Server;
pub use world::World;
pub use zone::ParseZoneError;
