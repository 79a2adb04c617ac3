//! Telling somebody: the [`Notifier`](crate::ports::Notifier)s that come with this crate.
//!
//! Each makes one delivery that ends within 30 seconds. The guard tries again what failed, so that the same alert may
//! arrive twice; [`Alert::key`](crate::guard::Alert::key) tells.

#[cfg(feature = "command")]
mod command;
#[cfg(feature = "webhook")]
mod cut;
#[cfg(feature = "command")]
mod json_lines;
#[cfg(feature = "webhook")]
mod pager_duty;
#[cfg(feature = "webhook")]
mod post;
#[cfg(feature = "webhook")]
mod secret;
#[cfg(feature = "webhook")]
mod slack;
mod tag;
#[cfg(feature = "webhook")]
mod target;
#[cfg(feature = "webhook")]
mod webhook;

#[cfg(feature = "command")]
pub use command::Command;
#[cfg(feature = "command")]
pub use json_lines::JsonLines;
#[cfg(feature = "webhook")]
pub use pager_duty::PagerDuty;
#[cfg(feature = "webhook")]
pub use post::ClientError;
#[cfg(feature = "webhook")]
pub use secret::{EmptySecret, Secret};
#[cfg(feature = "webhook")]
pub use slack::Slack;
#[cfg(feature = "webhook")]
pub use target::{ParseTargetError, Target};
#[cfg(feature = "webhook")]
pub use webhook::Webhook;

use crate::error::NotifyError;

#[cfg(feature = "webhook")]
fn refused(notifier: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NotifyError {
    NotifyError { notifier: notifier.to_owned(), is_refusal: true, source: Some(why.into()) }
}

fn not_delivered(notifier: &str, why: impl Into<Box<dyn std::error::Error + Send + Sync>>) -> NotifyError {
    NotifyError { notifier: notifier.to_owned(), is_refusal: false, source: Some(why.into()) }
}

#[cfg(feature = "webhook")]
fn hex(octets: &[u8]) -> String {
    octets.iter().map(|octet| format!("{octet:02x}")).collect()
}
