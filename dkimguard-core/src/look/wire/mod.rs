//! DNS messages over UDP and TCP to any address.

#[allow(dead_code, reason = "the engine is to come")]
pub(crate) mod message;
