//! One call to AWS: its turn, its tries, its end.

use std::error::Error;
use std::future::Future;
use std::time::{Duration, Instant};

use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use governor::{DefaultDirectRateLimiter, Quota};
use tokio::sync::Mutex;

use crate::fault::Fault;
use crate::observer::Observer;
use crate::operation::Operation;

/// How often a call is tried where the fault may pass.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Tries {
    /// The call stands in for one that has just failed; it is worth one try, and no more waiting.
    One,
    /// The usual.
    Three,
}

impl Tries {
    fn count(self) -> u32 {
        match self {
            Self::One => 1,
            Self::Three => 3,
        }
    }
}

/// The time that tries and pauses may have taken when another try begins. A last try of
/// [`TRY`](crate::account::TRY) may follow, so a call ends within 13 seconds of its first turn.
const PATIENCE: Duration = Duration::from_secs(8);
/// The pause after the first try. It doubles, and up to as much again is added at random.
const PAUSE: Duration = Duration::from_millis(300);

/// The pace of the SES management calls in one account and region. SES allows one a second (SES quotas, "API
/// rates"); this is 90 % of that, without a reserve to spend at once: a strict limit has none either.
const SES: Duration = Duration::from_millis(1_112);
/// The same for all calls to Route 53 in one account: five a second (Route 53 quotas, "API requests").
const ROUTE_53: Duration = Duration::from_millis(223);
/// The same for `LookupEvents` in one account and region: two a second (CloudTrail quotas).
const CLOUDTRAIL: Duration = Duration::from_millis(556);
/// The same for `Publish` in one region: SNS allows thousands a second, shared with whatever else the account sends.
const SNS: Duration = Duration::from_millis(100);

/// Lets calls through one at a time, evenly spaced and in the order in which they came, and says so. Every try takes a
/// turn of its own.
#[derive(Debug)]
pub(crate) struct Pace {
    limiter: DefaultDirectRateLimiter,
    /// The limiter alone lets through whoever asks at the right moment: with many waiting, some would wait for ever.
    queue: Mutex<()>,
    observer: Observer,
}

impl Pace {
    pub(crate) fn of_ses(observer: &Observer) -> Self {
        Self::every(SES, observer)
    }

    pub(crate) fn of_route53(observer: &Observer) -> Self {
        Self::every(ROUTE_53, observer)
    }

    pub(crate) fn of_cloudtrail(observer: &Observer) -> Self {
        Self::every(CLOUDTRAIL, observer)
    }

    pub(crate) fn of_sns(observer: &Observer) -> Self {
        Self::every(SNS, observer)
    }

    fn every(interval: Duration, observer: &Observer) -> Self {
        let quota = Quota::with_period(interval).expect("the interval isn't zero");
        let limiter = DefaultDirectRateLimiter::direct(quota);
        Self { limiter, queue: Mutex::new(()), observer: observer.clone() }
    }

    async fn turn(&self) {
        let _first = self.queue.lock().await;
        self.limiter.until_ready().await;
    }
}

/// Why a write failed.
pub(crate) struct WriteFault {
    /// What the last try met.
    pub(crate) last: Fault,
    /// Whether any of the tries may have been done, so that the last says nothing of what stands there now.
    pub(crate) is_in_doubt: bool,
}

impl WriteFault {
    /// The fault as it is told: of a kind that promises that nothing was done only where nothing was.
    pub(crate) fn told(self, write: Operation) -> Fault {
        if self.is_in_doubt { self.last.in_doubt_about(write) } else { self.last }
    }
}

/// Makes one call, again where the fault may pass, and each time in its turn.
pub(crate) async fn call<T, E, Sent>(
    operation: Operation,
    pace: &Pace,
    most: Tries,
    send: impl Fn() -> Sent,
) -> Result<T, Fault>
where
    E: Error + ProvideErrorMetadata + 'static,
    Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    // What a reader is told by the last try holds, whatever became of those before.
    write(operation, pace, most, send).await.map_err(|fault| fault.last)
}

/// The same for a call that changes something: the failure says whether a try may have been done.
pub(crate) async fn write<T, E, Sent>(
    operation: Operation,
    pace: &Pace,
    most: Tries,
    send: impl Fn() -> Sent,
) -> Result<T, WriteFault>
where
    E: Error + ProvideErrorMetadata + 'static,
    Sent: Future<Output = Result<T, SdkError<E, HttpResponse>>>,
{
    let mut is_in_doubt = false;
    let mut spent = Duration::ZERO;
    let mut tries = 0;
    loop {
        pace.turn().await;
        let start = Instant::now();
        let answer = send().await.map_err(|error| Fault::read(operation, &error));
        pace.observer.note(operation, answer.as_ref().err().map(|fault| fault.kind), start.elapsed());
        let fault = match answer {
            Ok(answer) => return Ok(answer),
            Err(fault) => fault,
        };
        is_in_doubt |= fault.leaves_doubt();
        tries += 1;
        let pause = pause_after(tries);
        spent += start.elapsed() + pause;
        if tries == most.count() || spent > PATIENCE || !fault.is_transient() {
            return Err(WriteFault { last: fault, is_in_doubt });
        }
        tokio::time::sleep(pause).await;
    }
}

fn pause_after(tries: u32) -> Duration {
    let pause = PAUSE * 2u32.saturating_pow(tries - 1);
    pause.mul_f64(1.0 + fastrand::f64())
}
