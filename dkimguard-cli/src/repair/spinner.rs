//! [`Spinner`]: what a repair is waiting for, on a terminal.

use std::fmt::Write as _;
use std::time::{Duration, Instant};

use dkimguard_core::ports::{Clock as _, SystemClock};
use dkimguard_core::repair::{Event, Refusal, Waiting};
use indicatif::{ProgressBar, ProgressState, ProgressStyle};
use jiff::Timestamp;

use crate::settings::Verbosity;

/// How often it moves.
const TICK: Duration = Duration::from_millis(100);

/// What a repair is waiting for, since when, and how long is left. Shown on standard error if that is a terminal.
#[derive(Debug)]
pub(super) struct Spinner {
    verbosity: Verbosity,
    bar: Option<ProgressBar>,
    /// What is shown, and since when.
    shown: Option<(String, Instant)>,
}

impl Spinner {
    pub(super) fn new(verbosity: Verbosity) -> Self {
        Self { verbosity, bar: None, shown: None }
    }

    /// Shows that it is looked.
    pub(super) fn look(&mut self) {
        self.show("looking from every name server and resolver", None);
    }

    /// Shows what comes after an event; nothing after the last.
    pub(super) fn follow(&mut self, event: &Event) {
        if let Some((what, until)) = after(event) {
            self.show(&what, until);
        }
    }

    /// Takes it off the terminal, for others to write there.
    pub(super) fn hide(&mut self) {
        if let Some(bar) = self.bar.take() {
            bar.finish_and_clear();
        }
    }

    fn show(&mut self, what: &str, until: Option<Timestamp>) {
        self.hide();
        if self.verbosity == Verbosity::Quiet {
            return;
        }
        let shown = self.shown.take().filter(|(earlier, _)| earlier == what);
        let (what, since) = shown.unwrap_or_else(|| (what.to_owned(), Instant::now()));
        self.shown = Some((what.clone(), since));
        let write = move |_: &ProgressState, line: &mut dyn std::fmt::Write| {
            // There is nobody to tell of a terminal that is gone.
            let _ = line.write_str(&text(&what, since.elapsed(), until, SystemClock.now()));
        };
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {line}") {
            bar.set_style(style.with_key("line", write));
        }
        bar.enable_steady_tick(TICK);
        self.bar = Some(bar);
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.hide();
    }
}

/// What is being done after an event, and until when it can be.
fn after(event: &Event) -> Option<(String, Option<Timestamp>)> {
    let (what, until) = match event {
        Event::Planned(_) => ("publishing", None),
        Event::Published { .. } => ("waiting for all of the host's servers to have it", None),
        Event::Rearming => ("asking the provider to start again", None),
        Event::InSync | Event::Verified { .. } | Event::Rearmed { .. } => {
            ("looking from every name server and resolver", None)
        }
        Event::Waiting(Waiting::Servers { servers }) => {
            return Some((format!("waiting for {}", count(servers.len(), "name server")), None));
        }
        Event::Waiting(Waiting::Resolvers { resolvers, until }) => {
            return Some((format!("waiting for {}", count(resolvers.len(), "resolver")), *until));
        }
        Event::Waiting(Waiting::Provider { deadline, .. }) => {
            ("waiting for the provider, usually minutes to hours", *deadline)
        }
        Event::Waiting(Waiting::Rearm) => ("waiting for the provider to be asked by hand", None),
        Event::Waiting(Waiting::Port(_)) => ("waiting to try again", None),
        Event::Refused(Refusal::HeldElsewhere { .. } | Refusal::KeyUnknown { .. }) => {
            ("waiting for the records to be published by hand", None)
        }
        _ => return None,
    };
    Some((what.to_owned(), until))
}

fn count(number: usize, what: &str) -> String {
    if number == 1 { format!("1 {what}") } else { format!("{number} {what}s") }
}

fn text(what: &str, elapsed: Duration, until: Option<Timestamp>, now: Timestamp) -> String {
    let mut text = format!("{what} ({}", span(elapsed));
    let left = until.and_then(|until| Duration::try_from(until.duration_since(now)).ok());
    if let Some(left) = left {
        // Writing to a string can't fail.
        let _ = write!(text, ", {} left", span(left));
    }
    text + ")"
}

/// A duration in its two largest units.
fn span(duration: Duration) -> String {
    let seconds = duration.as_secs();
    match (seconds / 3600, seconds / 60 % 60, seconds % 60) {
        (0, 0, seconds) => format!("{seconds}s"),
        (0, minutes, seconds) => format!("{minutes}m {seconds}s"),
        (hours, minutes, _) => format!("{hours}h {minutes}m"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn template_is_sound() {
        ProgressStyle::with_template("{spinner} {line}").expect("a template");
    }

    #[test]
    fn it_says_how_long_it_has_taken_and_what_is_left() {
        let now: Timestamp = "2026-11-24T12:00:00Z".parse().expect("a time");
        let until = |text: &str| Some(text.parse().expect("a time"));
        for (elapsed, until, expected) in [
            (0, None, "waiting (0s)"),
            (133, until("2026-11-27T11:57:00Z"), "waiting (2m 13s, 71h 57m left)"),
            (7_260, until("2026-11-24T12:00:42Z"), "waiting (2h 1m, 42s left)"),
            // It is over.
            (9, until("2026-11-24T11:59:59Z"), "waiting (9s)"),
        ] {
            assert_eq!(text("waiting", Duration::from_secs(elapsed), until, now), expected);
        }
    }

    #[test]
    fn no_line_is_longer_than_a_terminal() {
        let deadline = Some("2026-11-27T12:00:00Z".parse().expect("a time"));
        let status = dkimguard_core::identity::ProviderStatus::TemporaryFailure;
        let event = Event::Waiting(Waiting::Provider { status, deadline });
        let (what, until) = after(&event).expect("it is waited for");
        let now = "2026-11-24T12:00:00Z".parse().expect("a time");
        assert!(text(&what, Duration::from_secs(259_199), until, now).len() < 78);
    }
}
