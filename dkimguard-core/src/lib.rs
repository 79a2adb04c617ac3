//! Looks at a mail domain's DKIM records from every place a validator may look, and judges what was seen.
//!
//! A mail provider says which records must be in DNS. This crate asks every address of every delegated name server,
//! and several resolvers, for each of them, and says what is wrong, where, and what mends it. It knows no
//! provider: Amazon SES is in `dkimguard-aws`, and another one is an implementation of [`IdentitySource`].
//!
//! # The pipeline
//! ```text
//!  IdentitySource ─► Identity ──expected()──► [Expected] ─┐
//!  DnsLookup ─► delegation, survey ─► [Observation] ──────┴─ compare ─► [Finding] ─┐
//!                                                                                  ▼
//!                         Report ◄── Verdict, Exposure ◄── [Diagnosis] ◄── rules over Evidence
//!                           │
//!  Store ─► Memory ─────────┴─ advance ─► Memory, [Alert] ─► Notifier
//! ```
//! On the left is I/O, behind the [`ports`]. From the findings on, everything is a pure function, with time and
//! randomness as arguments. [`Look`] runs the upper part once, `Guard` the whole of it again and again.
//!
//! - **Not seeing is not absence.** A look-up that failed leaves a record [unseen](judge::State::Unseen). It is
//!   [absent](judge::State::Absent) only where an answer with authority says so.
//! - **Nothing short-circuits.** Every record is asked for at every place, because disagreement is evidence.
//! - **Looking changes nothing**, and whatever could not be looked at is a [`Gap`](judge::Gap) in the report.
//!
//! # The modules, in the order of the pipeline
//! - [`name`], [`record`], [`key_record`]: DNS names and records, and what "the same" means for them.
//! - [`identity`]: what the provider claims, and the records that it expects.
//! - [`zone`], [`history`]: a zone as its host holds it, and who changed what.
//! - [`ports`], [`error`]: what is needed from the outside, and how that fails.
//! - `file`: identities from TOML and JSON Lines files (feature `file`).
//! - [`look`]: finding the name servers, asking them and the resolvers; the engines are in `look::wire` and
//!   `look::hickory`.
//! - [`judge`]: findings, diagnoses, the verdict, the report. No I/O.
//! - [`guard`]: what is remembered from look to look, when somebody is told, and the loop (feature `guard`).
//! - `notify`: who is told, and how (features `webhook` and `command`).
//! - [`repair`]: the smallest edit that mends the records, and the next step until it is proven.
//! - [`publish`]: records to publish, in the forms that DNS hosts take.
//! - `testing`: fakes, and a lab of name servers on loopback (feature `testing`).
//!
//! # One look
#![cfg_attr(feature = "testing", doc = "```")]
#![cfg_attr(not(feature = "testing"), doc = "```ignore")]
//! use std::sync::Arc;
//!
//! use dkimguard_core::testing::{FakeDns, Fault, World, easy_dkim_identity};
//! use dkimguard_core::look::{Rcode, Vantage};
//! use dkimguard_core::{Clock, Depth, Look, Places, SystemClock, Verdict};
//!
//! # futures_util::future::FutureExt::now_or_never(async {
//! // A domain in memory, one of its two name servers broken. Outside of tests: `Dns` and `Places::system`.
//! let mut world = World::easy_dkim("example.com");
//! world.server(World::NS2).fault(Fault::Rcode(Rcode::REFUSED));
//! let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
//! let look = Look::new(Arc::new(FakeDns::new(world)), places);
//!
//! let identity = easy_dkim_identity("example.com");
//! let report = look.take(identity, Depth::Full, SystemClock.now(), 1).await;
//! assert_eq!(report.verdict, Verdict::Degraded);
//! assert_eq!((report.exposure.bad, report.exposure.of), (1, 2));
//! # }).expect("a fake never waits");
//! ```
//!
//! # Features
//! None is on by default, and without any there is no runtime and no network library in the tree.
//! - `wire`: DNS over UDP and TCP to any address. Needs Tokio.
//! - `hickory`: the system's resolvers, DNS over TLS and over HTTPS. Needs Tokio. With `wire`, there is `Dns`, the
//!   engine for every kind of place.
//! - `guard`: the loop that keeps looking. Needs Tokio.
//! - `sqlite`: what a guard remembers, in a file that several processes may share. Needs a C compiler.
//! - `webhook`: alerts over HTTPS. Needs Tokio.
//! - `command`: alerts for a program, and as lines of JSON. Needs Tokio.
//! - `file`: identities from files.
//! - `testing`: fakes and the lab.

pub mod error;
#[cfg(feature = "file")]
pub mod file;
pub mod guard;
pub mod history;
pub mod identity;
pub mod judge;
pub mod key_record;
pub mod look;
pub mod name;
#[cfg(feature = "notice")]
pub mod notice;
#[cfg(any(feature = "webhook", feature = "command"))]
pub mod notify;
pub mod ports;
pub mod publish;
pub mod record;
pub mod repair;
#[cfg(feature = "testing")]
pub mod testing;
pub mod zone;
#[cfg(feature = "zone-file")]
pub mod zone_file;

pub use identity::{Identity, IdentityId};
pub use judge::{Depth, Report, Verdict};
#[cfg(all(feature = "hickory", feature = "wire"))]
pub use look::Dns;
pub use look::{Look, Places};
pub use name::Name;
pub use ports::{Clock, DnsLookup, IdentitySource, SystemClock};
