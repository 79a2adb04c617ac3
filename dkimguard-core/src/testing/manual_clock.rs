//! [`ManualClock`]: a clock that stands until it is moved.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::Waker;

use jiff::{SignedDuration, Timestamp};

use crate::ports::Clock;

/// A [`Clock`] that stands until it is moved. Clones show the same time; who sleeps on it wakes when it is moved far
/// enough.
#[derive(Clone, Debug)]
pub struct ManualClock {
    state: Arc<Mutex<State>>,
}

#[derive(Debug)]
struct State {
    now: Timestamp,
    sleepers: Vec<Waker>,
}

impl ManualClock {
    /// A clock that stands at this time.
    pub fn at(now: Timestamp) -> Self {
        Self { state: Arc::new(Mutex::new(State { now, sleepers: Vec::new() })) }
    }

    /// Moves the clock on; a negative duration moves it back. It stops at the ends of time.
    pub fn advance(&self, by: SignedDuration) {
        let end = if by.is_negative() { Timestamp::MIN } else { Timestamp::MAX };
        self.set(self.now().checked_add(by).unwrap_or(end));
    }

    /// Sets the clock.
    pub fn set(&self, to: Timestamp) {
        let mut state = self.state();
        state.now = to;
        let sleepers = std::mem::take(&mut state.sleepers);
        drop(state);
        sleepers.into_iter().for_each(Waker::wake);
    }

    /// No call leaves it half changed, so a panic elsewhere doesn't matter.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Clock for ManualClock {
    fn now(&self) -> Timestamp {
        self.state().now
    }
}

#[cfg(feature = "guard")]
impl crate::guard::Timer for ManualClock {
    fn sleep(&self, duration: std::time::Duration) -> futures_util::future::BoxFuture<'_, ()> {
        let until = SignedDuration::try_from(duration).ok().and_then(|by| self.now().checked_add(by).ok());
        let until = until.unwrap_or(Timestamp::MAX);
        Box::pin(std::future::poll_fn(move |context| {
            let mut state = self.state();
            if state.now >= until {
                return std::task::Poll::Ready(());
            }
            // One that is polled again and again is kept once.
            state.sleepers.retain(|sleeper| !sleeper.will_wake(context.waker()));
            state.sleepers.push(context.waker().clone());
            std::task::Poll::Pending
        }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn clones_share_the_time() {
        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let other = clock.clone();
        clock.advance(SignedDuration::from_secs(90));
        assert_eq!(other.now(), Timestamp::from_second(90).expect("a time"));
        other.advance(SignedDuration::MAX);
        assert_eq!(clock.now(), Timestamp::MAX);
        clock.set(Timestamp::UNIX_EPOCH);
        assert_eq!(other.now(), Timestamp::UNIX_EPOCH);
    }

    #[cfg(feature = "guard")]
    #[test]
    fn who_sleeps_wakes_once_it_is_late_enough() {
        use futures_util::FutureExt;

        use crate::guard::Timer;

        let clock = ManualClock::at(Timestamp::UNIX_EPOCH);
        let mut sleep = clock.sleep(std::time::Duration::from_secs(60));
        assert_eq!((&mut sleep).now_or_never(), None);
        clock.advance(SignedDuration::from_secs(59));
        assert_eq!((&mut sleep).now_or_never(), None);
        clock.advance(SignedDuration::from_secs(1));
        assert_eq!(sleep.now_or_never(), Some(()));

        let sleeper = std::thread::scope(|scope| {
            let sleeping = scope.spawn(|| {
                tokio::runtime::Builder::new_current_thread().build().map(|runtime| {
                    runtime.block_on(clock.sleep(std::time::Duration::from_secs(60)));
                })
            });
            while clock.state().sleepers.is_empty() {
                std::thread::yield_now();
            }
            clock.advance(SignedDuration::from_secs(60));
            sleeping.join()
        });
        assert!(matches!(sleeper, Ok(Ok(()))), "it was woken");
    }
}
