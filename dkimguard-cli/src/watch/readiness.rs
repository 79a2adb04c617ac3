//! [`ServiceManager`]: what systemd is told: ready, reloading, stopping, alive.

use std::time::{Duration, Instant};

#[cfg(unix)]
use sd_notify::NotifyState;

use super::board::Health;

/// How long the loop may be without a look before it counts as stuck, beside the time between looks: the longest time
/// after which a guard gives a look up by itself.
const LONGEST_LOOK: Duration = Duration::from_secs(300);

/// The service manager that started this process, if one did.
#[derive(Debug)]
pub(crate) struct ServiceManager {
    /// How often it wants to hear that all is well.
    watchdog: Option<Duration>,
    told: String,
    progress: Option<(u64, Instant)>,
}

impl ServiceManager {
    /// The one that the environment names.
    pub(crate) fn from_env() -> Self {
        #[cfg(unix)]
        let watchdog = sd_notify::watchdog_enabled();
        #[cfg(not(unix))]
        let watchdog = None;
        Self { watchdog, told: String::new(), progress: None }
    }

    /// How often to call [`tick`](Self::tick): at least twice in the time that the watchdog gives.
    pub(crate) fn period(&self) -> Duration {
        const USUAL: Duration = Duration::from_secs(1);
        self.watchdog.map_or(USUAL, |limit| (limit / 2).clamp(Duration::from_millis(1), USUAL))
    }

    #[cfg(unix)]
    pub(crate) fn ready(&self) {
        tell(&[NotifyState::Ready]);
    }

    #[cfg(unix)]
    pub(crate) fn reloading(&self) {
        match NotifyState::monotonic_usec_now() {
            Ok(now) => tell(&[NotifyState::Reloading, now]),
            Err(_) => tell(&[NotifyState::Reloading]),
        }
    }

    #[cfg(unix)]
    pub(crate) fn stopping(&self) {
        tell(&[NotifyState::Stopping]);
    }

    /// Says how things stand where that has changed, and that the watch is alive, as long as it is.
    #[cfg(unix)]
    pub(crate) fn tick(&mut self, status: String, health: &Health, interval: Duration) {
        if self.told != status {
            tell(&[NotifyState::Status(&status)]);
            self.told = status;
        }
        if self.watchdog.is_some() && self.makes_progress(health, interval) {
            tell(&[NotifyState::Watchdog]);
        }
    }

    #[cfg(unix)]
    fn makes_progress(&mut self, health: &Health, interval: Duration) -> bool {
        let now = Instant::now();
        let (looks, since) = self.progress.get_or_insert((health.looks, now));
        if *looks != health.looks {
            (*looks, *since) = (health.looks, now);
        }
        health.is_running && now.duration_since(*since) < interval.saturating_mul(3) + LONGEST_LOOK
    }
}

/// Where no service manager listens, nobody is told.
#[cfg(unix)]
fn tell(states: &[NotifyState<'_>]) {
    let _ = sd_notify::notify(states);
}

#[cfg(not(unix))]
impl ServiceManager {
    pub(crate) fn ready(&self) {}

    pub(crate) fn reloading(&self) {}

    pub(crate) fn stopping(&self) {}

    pub(crate) fn tick(&mut self, _: String, _: &Health, _: Duration) {}
}

#[cfg(all(test, unix))]
mod tests {
    use super::*;

    fn health(looks: u64) -> Health {
        Health {
            is_running: true,
            is_listed: true,
            looks,
            watched: 1,
            looked_at: 1,
            overdue: 0,
            store_fault: None,
        }
    }

    #[test]
    fn a_loop_that_has_ended_or_stands_still_is_not_alive() {
        let mut manager =
            ServiceManager { watchdog: Some(Duration::from_secs(30)), told: String::new(), progress: None };
        let interval = Duration::from_secs(900);
        assert!(manager.makes_progress(&health(1), interval));
        assert!(!manager.makes_progress(&Health { is_running: false, ..health(1) }, interval));
        let long_ago = Instant::now().checked_sub(interval * 3 + LONGEST_LOOK);
        manager.progress = long_ago.map(|long_ago| (1, long_ago));
        assert_eq!(manager.makes_progress(&health(1), interval), long_ago.is_none());
        assert!(manager.makes_progress(&health(2), interval));
    }
}
