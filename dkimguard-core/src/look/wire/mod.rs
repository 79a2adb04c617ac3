//! DNS messages over UDP and TCP to any address: the engine that sees single servers.

mod asking;
pub(crate) mod message;
mod socket;
mod tcp;
mod turn;
mod udp;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;

use self::asking::Asking;
use self::turn::Turns;
use crate::error::LookupError;
use crate::look::{Question, Response, Vantage};
use crate::ports::DnsLookup;

/// How long an engine waits, how often it asks, and how much at once.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long one attempt may take, from its first datagram to the end of the answer, TCP included. Default 2 s.
    pub timeout: Duration,
    /// How many attempts one question gets. Default 2.
    pub attempts: NonZeroU32,
    /// How many questions may be under way at once; each holds one socket. Default 512: half of the 1,024 open
    /// files that a process is commonly allowed, so that the other half is left to the application.
    pub at_once: NonZeroU32,
    /// How many questions may be under way at once to one address. Default 64: more than a check of one
    /// domain asks of a server, and a burst of so few that a sweep over many domains doesn't look like an attack.
    pub at_once_per_server: NonZeroU32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            timeout: Duration::from_secs(2),
            attempts: const { NonZeroU32::new(2).expect("not zero") },
            at_once: const { NonZeroU32::new(512).expect("not zero") },
            at_once_per_server: const { NonZeroU32::new(64).expect("not zero") },
        }
    }
}

/// Asks any address over UDP, and over TCP where the answer over UDP is truncated.
///
/// It serves [`Vantage::Authoritative`], [`Vantage::Resolver`] and [`Vantage::System`]; anything else is
/// [`LookupError::Unsupported`]. Clones share their limits on concurrency. It runs inside any tokio runtime that
/// has I/O and time enabled; dropping the future of a question closes its socket.
///
/// # What an answer is
/// Each datagram is sent with an id from the operating system's random source, from a socket and port of its own
/// that takes answers only from the address asked. What doesn't echo the id and the question, or cannot be read,
/// is passed over while the wait goes on, so that nobody else can end it; if nothing better comes, the outcome is
/// [`LookupError::Malformed`].
///
/// Questions carry EDNS with room for 1,232 octets. A server that answers BADVERS, or FORMERR or NOTIMP without
/// EDNS of its own, is asked again without it in the same attempt (RFC 6891 §6.2.2, §7); the DO bit has no place there.
///
/// # Attempts
/// A question takes at most `timeout × attempts`; waiting for a turn under [`Limits::at_once`] and
/// [`Limits::at_once_per_server`] comes before and doesn't count.
///
/// - Silence, and what answers nothing, uses an attempt's whole time up.
/// - SERVFAIL, REFUSED, a closed port or a cut connection end an attempt early. It is made once more, at once, if
///   one is left; the second such end is the question's end, however many are left.
/// - Any other answer ends the question, and so does a missing route.
/// - The last answer counts, also if a failure follows it. Where the last two say the same, extended errors that
///   only the first held are kept, since resolvers shorten them when they answer from their cache.
/// - Where this machine has no descriptor, memory or port to give, an attempt waits for one; if its time runs out
///   then, the outcome is [`LookupError::Local`], since the server isn't to blame.
/// - TCP has what is left of the attempt's time. If it fails, the next attempt starts over with UDP.
/// - Without any answer, the outcome is the last failure that isn't silence, and [`LookupError::Timeout`] only
///   where there was nothing but silence.
///
/// [`Response::elapsed`] counts from the first attempt's start.
#[derive(Clone, Debug)]
pub struct Wire {
    limits: Limits,
    turns: Arc<Turns>,
}

impl Wire {
    /// An engine with these limits.
    pub fn new(limits: Limits) -> Self {
        let turns = Arc::new(Turns::new(limits.at_once, limits.at_once_per_server));
        Self { limits, turns }
    }

    /// The limits that the engine keeps to.
    pub fn limits(&self) -> &Limits {
        &self.limits
    }
}

/// An engine with the default limits.
impl Default for Wire {
    fn default() -> Self {
        Self::new(Limits::default())
    }
}

#[async_trait]
impl DnsLookup for Wire {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let address = match vantage {
            Vantage::Authoritative { address, .. }
            | Vantage::Resolver { address }
            | Vantage::System { address } => *address,
            Vantage::Tls { .. } => return Err(LookupError::Unsupported("DNS over TLS")),
            Vantage::Https { .. } => return Err(LookupError::Unsupported("DNS over HTTPS")),
            Vantage::Zone { .. } => return Err(LookupError::Unsupported("zones that are not served")),
        };
        let _turn = self.turns.take(address).await;
        Asking::new(question, vantage.is_recursive(), address, &self.limits).outcome().await
    }
}
