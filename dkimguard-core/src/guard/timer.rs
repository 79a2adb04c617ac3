//! [`Timer`]: a clock that can be waited on.

use std::time::Duration;

use futures_util::future::BoxFuture;

use crate::ports::{Clock, SystemClock};

/// A clock that can be waited on; the seam for tests of a guard.
pub trait Timer: Clock {
    /// Ends once so much time has passed on this clock.
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()>;
}

impl Timer for SystemClock {
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}
