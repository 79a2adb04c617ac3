//! [`Asking`]: one question at one address, from the first attempt to the outcome.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::time::Instant;

use super::message::{PAYLOAD_SIZE, Query, Reply};
use super::{Limits, tcp, udp};
use crate::error::LookupError;
use crate::look::{Question, Rcode, Response, Transport};

/// BADVERS (RFC 6891 §9).
const BADVERS: Rcode = Rcode(16);

/// One question at one address.
pub(super) struct Asking<'a> {
    question: &'a Question,
    recursion_desired: bool,
    address: SocketAddr,
    limits: &'a Limits,
    started: Instant,
    /// None once the server has shown that it doesn't know EDNS.
    payload_size: Option<u16>,
    /// The last answer; it counts unless a better one comes.
    answer: Option<Response>,
}

/// The time that one attempt has.
#[derive(Clone, Copy, Debug)]
pub(super) struct TimeLimit {
    /// When it is over.
    pub(super) end: Instant,
    timeout: Duration,
    attempt: u32,
}

impl<'a> Asking<'a> {
    /// Starts the clock.
    pub(super) fn new(
        question: &'a Question,
        recursion_desired: bool,
        address: SocketAddr,
        limits: &'a Limits,
    ) -> Self {
        Self {
            question,
            recursion_desired,
            address,
            limits,
            started: Instant::now(),
            payload_size: Some(PAYLOAD_SIZE),
            answer: None,
        }
    }

    /// Makes the attempts.
    pub(super) async fn outcome(mut self) -> Result<Response, LookupError> {
        let mut failure = None;
        let mut asked_again = false;
        for attempt in 1..=self.limits.attempts.get() {
            match self.attempt(TimeLimit::new(self.limits.timeout, attempt)).await {
                Ok(response) => {
                    let may_pass = matches!(response.rcode, Rcode::SERVFAIL | Rcode::REFUSED);
                    self.keep(response);
                    if !may_pass || asked_again {
                        break;
                    }
                    asked_again = true;
                }
                // Silence tells less than any failure before it.
                Err(LookupError::Timeout { .. })
                    if failure.as_ref().is_some_and(|past| !is_silence(past)) => {}
                Err(error) => {
                    let is_final = error == LookupError::NoRoute;
                    failure = Some(error);
                    if is_final {
                        break;
                    }
                }
            }
        }
        match (self.answer, failure) {
            (Some(answer), _) => Ok(answer),
            (None, Some(failure)) => Err(failure),
            (None, None) => {
                unreachable!("each attempt leaves an answer or a failure, and there is at least one")
            }
        }
    }

    async fn attempt(&mut self, limit: TimeLimit) -> Result<Response, LookupError> {
        let mut reply = udp::exchange(&self.query()?, self.address, limit).await?;
        if self.payload_size.is_some() && refuses_edns(&reply) {
            self.payload_size = None;
            self.keep(self.arrived(reply.response, Transport::Udp));
            reply = udp::exchange(&self.query()?, self.address, limit).await?;
        }
        if !reply.is_truncated {
            return Ok(self.arrived(reply.response, Transport::Udp));
        }
        match tcp::exchange(&self.query()?, self.address, limit).await {
            Ok(response) => Ok(self.arrived(response, Transport::Tcp)),
            Err(error) => Err(LookupError::TruncatedThenTcp(Box::new(error))),
        }
    }

    /// The question with a new id.
    fn query(&self) -> Result<Query, LookupError> {
        let mut id = [0; 2];
        getrandom::fill(&mut id)
            .map_err(|error| LookupError::Local(format!("no random id to be had: {error}")))?;
        Ok(Query {
            id: u16::from_ne_bytes(id),
            question: self.question.clone(),
            recursion_desired: self.recursion_desired,
            payload_size: self.payload_size,
        })
    }

    fn arrived(&self, response: Response, transport: Transport) -> Response {
        Response { transport, elapsed: self.started.elapsed(), ..response }
    }

    /// Puts this answer in the place of the last one.
    fn keep(&mut self, mut response: Response) {
        if let Some(last) = self.answer.take()
            && last.rcode == response.rcode
        {
            for error in last.extended_errors {
                if !response.extended_errors.contains(&error) {
                    response.extended_errors.push(error);
                }
            }
        }
        self.answer = Some(response);
    }
}

impl TimeLimit {
    fn new(timeout: Duration, attempt: u32) -> Self {
        /// Stands for ever, where the sum would be beyond what the clock can show.
        const LONG: Duration = Duration::from_secs(30 * 365 * 86_400);
        let now = Instant::now();
        Self { end: now.checked_add(timeout).unwrap_or(now + LONG), timeout, attempt }
    }

    /// The error of who got nothing until now.
    pub(super) fn passed(self) -> LookupError {
        LookupError::Timeout { timeout: self.timeout, attempts: self.attempt }
    }
}

fn is_silence(error: &LookupError) -> bool {
    matches!(error, LookupError::Timeout { .. })
}

/// Whether the server shows that it doesn't know EDNS, or not this version (RFC 6891 §6.2.2, §7).
fn refuses_edns(reply: &Reply) -> bool {
    let rcode = reply.response.rcode;
    rcode == BADVERS || !reply.has_edns && matches!(rcode, Rcode::FORMERR | Rcode::NOTIMP)
}
