//! Repairing: the smallest edit that mends an identity's records, and what is to be done next until it is proven.
//!
//! ```text
//!  Report, Sight ── RepairPlan::between() ─► RepairPlan or Refusal ─┐
//!                                                                   ├─ Step::next() ─► what is to be done now
//!  ProviderStatus ──────────────────────────────────────────────────┘
//! ```
//! All of this is pure. A plan is made of what a look has seen of the world and of what the zone's host holds; it says
//! what each name has and will have, and carries what it rests on, so that whoever applies it can refuse if the zone
//! has changed. [`Step::next`] follows from a look alone and not from what was done before: a repair that was cut off
//! goes on wherever the world is.
//!
//! What a repair never does:
//! - act on what couldn't be seen at every server, on a zone that nobody is sent to, or on a replica;
//! - touch a name that isn't one of the identity's selectors, or a type beside CNAME and TXT there;
//! - replace an alias where the owner's own key must be, or a key there that may be in use;
//! - take a healthy record away before another has taken its place.

mod event;
mod plan;
#[cfg(feature = "guard")]
mod run;
mod standing;
mod step;

pub use event::{Event, Waiting};
pub use plan::{Edit, Refusal, RepairPlan, TargetZone};
#[cfg(feature = "guard")]
pub use run::{End, Listener, Repair, Unheard};
pub use step::Step;
