//! [`Progress`]: how far a long run is, on a terminal.

use std::time::Duration;

use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};

use crate::settings::Verbosity;

/// After how long a run counts as long.
const PATIENCE: Duration = Duration::from_secs(1);
/// How often the bar moves.
const TICK: Duration = Duration::from_millis(100);

/// How far a run is. Shown on standard error if that is a terminal and the run takes longer than a second.
#[derive(Clone, Debug)]
pub(crate) struct Progress {
    bar: ProgressBar,
    verbosity: Verbosity,
}

impl Progress {
    /// The progress of nothing yet, not shown yet.
    pub(crate) fn new(verbosity: Verbosity) -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::hidden());
        bar.set_style(style("{spinner} learning which domains there are ({elapsed})"));
        Self { bar, verbosity }
    }

    /// Learns how many domains there are; none where that isn't known.
    pub(crate) fn expect(&self, domains: Option<usize>) {
        if let Some(domains) = domains {
            self.bar.set_length(domains as u64);
            self.bar.set_style(style("{bar:30} {pos} of {len} domains ({elapsed})"));
        } else {
            self.bar.set_style(style("{spinner} {pos} domains ({elapsed})"));
        }
    }

    /// One domain more is done.
    pub(crate) fn advance(&self) {
        self.bar.inc(1);
    }

    /// Does something to the terminal while the bar is out of the way.
    pub(crate) fn aside<T>(&self, act: impl FnOnce() -> T) -> T {
        self.bar.suspend(act)
    }

    /// Waits until the run counts as long, shows the bar, and never ends: to be raced against the run itself.
    pub(crate) async fn show(&self) -> std::convert::Infallible {
        if self.verbosity > Verbosity::Quiet {
            tokio::time::sleep(PATIENCE).await;
            // The target is the one to know whether there is a terminal behind it.
            self.bar.set_draw_target(ProgressDrawTarget::stderr());
            self.bar.enable_steady_tick(TICK);
        }
        std::future::pending().await
    }

    /// Takes the bar away.
    pub(crate) fn finish(&self) {
        self.bar.finish_and_clear();
    }
}

fn style(template: &str) -> ProgressStyle {
    ProgressStyle::with_template(template).unwrap_or_else(|_| ProgressStyle::default_bar())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn templates_are_sound() {
        for template in ["{bar:30} {pos} of {len} domains ({elapsed})", "{spinner} {pos} domains ({elapsed})"]
        {
            ProgressStyle::with_template(template).expect(template);
        }
    }
}
