//! The text of a [`Notice`] for people.

use std::fmt;

use jiff::Timestamp;

use super::{Dating, Notice, Stage};
use crate::judge::{PROMISED_HOURS, Paint, WORKING_HOURS};

/// A notice to be displayed.
pub(super) struct Text<'a> {
    pub(super) notice: &'a Notice,
    pub(super) now: Timestamp,
    pub(super) paint: Paint,
}

impl Text<'_> {
    fn headline(&self) -> String {
        let (word, colour) = match self.notice.stage {
            Stage::Warning => ("WARNING", 33),
            Stage::Revoked => ("REVOKED", 31),
            Stage::SetupFailed => ("SET-UP FAILED", 31),
            Stage::VerificationFailed => ("VERIFICATION FAILED", 31),
            Stage::Cancelled => ("CANCELLED", 32),
            Stage::Succeeded => ("SUCCEEDED", 32),
        };
        match self.paint {
            Paint::Plain => word.to_owned(),
            Paint::Ansi => format!("\u{1b}[1;{colour}m{word}\u{1b}[0m"),
        }
    }

    /// A point in time, and how far from now it is.
    fn time(&self, at: Timestamp) -> String {
        let seconds = at.as_second().saturating_sub(self.now.as_second());
        let distance = distance(seconds.unsigned_abs());
        let distance = if seconds > 0 { format!("in {distance}") } else { format!("{distance} ago") };
        format!("{at:.0} ({distance})")
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let notice = self.notice;
        let ascii = notice.domain.to_string();
        let unicode = notice.domain.to_unicode();
        let domain = if unicode == ascii { ascii } else { format!("{unicode} ({ascii})") };
        writeln!(f, "{}  {domain}", self.headline())?;
        let sentence = notice.stage.sentence();
        let (first, rest) = sentence.split_at(1);
        writeln!(f, "{}{rest}.", first.to_uppercase())?;
        if let Some(region) = &notice.region {
            writeln!(f, "Region: {region}")?;
        }
        match notice.sent_at {
            Some(at) => writeln!(f, "Sent: {}", self.time(at))?,
            None => writeln!(f, "Sent: not told; no date stands in it")?,
        }
        match notice.dating {
            Dating::Exact | Dating::Unknown => {}
            Dating::ZoneAssumed => {
                writeln!(f, "  The date has no time zone; it may be some hours earlier.")?;
            }
            Dating::Forwarded => {
                writeln!(f, "  That is when it was forwarded; the notice itself is older.")?;
            }
        }
        if let Some(deadline) = notice.deadline() {
            writeln!(f, "\nRestore the records before:")?;
            writeln!(f, "  {}: {WORKING_HOURS} h, to be safe", self.time(deadline.working))?;
            let days = PROMISED_HOURS / 24;
            writeln!(f, "  {}: the {days} days of the notice", self.time(deadline.promised))?;
        } else if notice.stage == Stage::Warning {
            let days = PROMISED_HOURS / 24;
            writeln!(
                f,
                "\nRestore the records within {WORKING_HOURS} h of when the notice was sent, to be safe;\n\
                 the notice speaks of {days} days."
            )?;
        }
        writeln!(f, "\nNext:")?;
        notice.next().iter().try_for_each(|command| writeln!(f, "  {command}"))
    }
}

/// A length of time in its two largest units.
fn distance(seconds: u64) -> String {
    let (days, hours, minutes) = (seconds / 86_400, seconds / 3_600 % 24, seconds / 60 % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes} min"),
        _ => format!("{days} d {hours} h"),
    }
}
