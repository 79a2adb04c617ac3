//! [`Renderer`]: reports and failures on the way to the screen, as text or as JSON.

use std::fmt::Write as _;
use std::io::{self, Write as _};

use anstream::{AutoStream, ColorChoice};
use dkimguard_core::guard::{Alert, Entry as JournalEntry};
use dkimguard_core::identity::IdentityId;
use dkimguard_core::judge::{Entry, Paint, Report, Verdict};
use dkimguard_core::name::Name;
use dkimguard_core::notice::Notice;
use dkimguard_core::repair::Event;
use jiff::Timestamp;
use serde::Serialize;

use crate::failure::Failure;
use crate::settings::{Output, Verbosity};
use crate::value::{Color, Format};

/// The version of the JSON.
const SCHEMA: u32 = 1;
/// The columns that a text has.
const WIDTH: usize = 80;

/// Writes reports to standard output and everything else to standard error.
#[derive(Debug)]
pub(crate) struct Renderer {
    output: Output,
    /// Whether no paragraph has been printed yet.
    is_blank: bool,
    /// Whether a healthy domain is told in one line, for there are others to read about.
    is_brief: bool,
    /// The verdicts printed so far.
    verdicts: Vec<Verdict>,
}

impl Renderer {
    /// A renderer that has printed nothing.
    pub(crate) fn new(output: Output) -> Self {
        Self { output, is_blank: true, is_brief: false, verdicts: Vec::new() }
    }

    /// How much is said beside the outcome.
    pub(crate) fn verbosity(&self) -> Verbosity {
        self.output.verbosity
    }

    /// Whether the output is text and not JSON.
    pub(crate) fn is_for_people(&self) -> bool {
        self.output.format == Format::Text
    }

    /// Says how many subjects are to come, if that is known. Of several, a healthy one is told in one line.
    pub(crate) fn expect(&mut self, count: Option<usize>) {
        self.is_brief = count != Some(1) && self.output.verbosity < Verbosity::Steps;
    }

    /// Prints one report.
    ///
    /// # Errors
    /// Standard output can't be written; a closed pipe is [`io::ErrorKind::BrokenPipe`].
    pub(crate) fn report(&mut self, report: &Report) -> io::Result<()> {
        self.verdicts.push(report.verdict);
        if self.output.format == Format::Json {
            return print_json(report);
        }
        let in_one_line = self.is_brief && report.verdict == Verdict::Healthy && !report.is_unexpected();
        if in_one_line {
            self.is_blank = false;
            return self.print(&format!("{}\n", report.line(Paint::Ansi)));
        }
        let text = report.text(Paint::Ansi);
        let text = if self.output.verbosity >= Verbosity::Steps { text.with_forms() } else { text };
        self.paragraph(&text.to_string())
    }

    /// Prints one report as a line, under a head that people are shown.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn line(&mut self, head: &str, report: &Report) -> io::Result<()> {
        match self.output.format {
            Format::Json => print_json(report),
            Format::Text => {
                self.paragraph(&format!("{head}\n{}", textwrap::fill(&report.line(Paint::Ansi), WIDTH)))
            }
        }
    }

    /// Prints an alert, under a head that people are shown.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn alert(&mut self, head: &str, alert: &Alert) -> io::Result<()> {
        match self.output.format {
            Format::Json => self.print(&format!("{}\n", alert.to_json())),
            Format::Text => {
                let mut text = format!("{head}\n{}", textwrap::fill(&alert.to_string(), WIDTH));
                if let Some(deadline) = alert.deadline {
                    let hours = deadline.duration_since(alert.at).as_hours();
                    // Writing to a string can't fail.
                    let _ = write!(text, "\nTo be mended within {hours} hours, until {deadline:.0}.");
                }
                self.paragraph(&text)
            }
        }
    }

    /// Prints one report as a line, in the text.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn sight(&mut self, report: &Report) -> io::Result<()> {
        match self.output.format {
            Format::Json => Ok(()),
            Format::Text => self.paragraph(&textwrap::fill(&report.line(Paint::Ansi), WIDTH)),
        }
    }

    /// Prints what happens in a repair.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn event(&mut self, id: &IdentityId, at: Timestamp, event: &Event) -> io::Result<()> {
        match self.output.format {
            Format::Json => print_json(&JsonEvent { schema: SCHEMA, at, id, domain: &id.domain, event }),
            Format::Text => {
                let text: Vec<String> = event.to_string().lines().map(line_of_event).collect();
                self.paragraph(&text.join("\n"))
            }
        }
    }

    /// Prints that the source doesn't know a domain, so that nothing of it is repaired.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn stranger(&mut self, id: &IdentityId, at: Timestamp, message: &str) -> io::Result<()> {
        match self.output.format {
            Format::Json => {
                let event = JsonStranger { event: "refused", code: "unknown-domain", records: [], message };
                print_json(&JsonEvent { schema: SCHEMA, at, id, domain: &id.domain, event: &event })
            }
            Format::Text => self.paragraph(&textwrap::fill(message, WIDTH)),
        }
    }

    /// Prints what was done to mend an identity.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn entry_of_journal(&mut self, id: &str, entry: &JournalEntry) -> io::Result<()> {
        match self.output.format {
            Format::Json => print_json(&JsonJournalEntry { schema: SCHEMA, id, entry }),
            Format::Text => {
                let JournalEntry { at, step, what, reason, result } = entry;
                let head = format!("{at:.0}  {step}  {id}");
                let said = [Some(reason), Some(what).filter(|what| *what != step), result.as_ref()];
                let lines = said.into_iter().flatten().flat_map(|text| text.lines()).map(line_of_event);
                let lines: Vec<String> = std::iter::once(head).chain(lines).collect();
                self.paragraph(&lines.join("\n"))
            }
        }
    }

    /// Prints one entry of the catalogue.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn entry(&mut self, entry: &Entry) -> io::Result<()> {
        match self.output.format {
            Format::Json => print_json(&JsonEntry { schema: SCHEMA, entry }),
            Format::Text => self.paragraph(&entry.to_string()),
        }
    }

    /// Prints a notice, with how long is left at `now`.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn notice(&mut self, notice: &Notice, now: Timestamp) -> io::Result<()> {
        match self.output.format {
            Format::Json => print_json(notice),
            Format::Text => self.paragraph(&notice.text(now, Paint::Ansi).to_string()),
        }
    }

    /// Tells people something between the reports; the JSON is reports only.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn tell(&mut self, text: &str) -> io::Result<()> {
        match self.output.format {
            Format::Json => Ok(()),
            Format::Text => self.paragraph(text),
        }
    }

    /// The same, the text wrapped.
    ///
    /// # Errors
    /// As [`report`](Self::report).
    pub(crate) fn say(&mut self, text: &str) -> io::Result<()> {
        self.tell(&wrapped(text))
    }

    /// Prints how many domains have which verdict, where there are several.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub(crate) fn tally(&self) -> io::Result<()> {
        if self.output.format == Format::Json || self.verdicts.len() < 2 {
            return Ok(());
        }
        let worst_first = [Verdict::Failing, Verdict::Degraded, Verdict::Unknown, Verdict::Healthy];
        let counts =
            worst_first.map(|verdict| (verdict, self.verdicts.iter().filter(|v| **v == verdict).count()));
        let shown: Vec<String> = counts
            .iter()
            .filter(|(_, count)| *count > 0)
            .map(|&(verdict, count)| format!("{count} {verdict}"))
            .collect();
        self.print(&format!("\n{} looked at: {}\n", self.verdicts.len(), shown.join(", ")))
    }

    /// Prints why something could not be done: as text to standard error, as JSON to standard output.
    pub(crate) fn failure(&self, failure: &Failure) {
        match self.output.format {
            Format::Text => {
                let mut lines = format!("error: {}\n", failure.message);
                if let Some(hint) = &failure.hint {
                    let _ = writeln!(lines, "hint: {hint}");
                }
                say(&lines);
            }
            Format::Json => {
                let error = JsonError {
                    code: failure.code.as_str(),
                    message: &failure.message,
                    hint: failure.hint.as_deref(),
                };
                // If standard output is gone, the exit code is all that can still be told.
                let _ = print_json(&JsonFailure { schema: SCHEMA, error });
            }
        }
    }

    /// Says something to standard error, if that much was asked for.
    pub(crate) fn note(&self, from: Verbosity, text: impl FnOnce() -> String) {
        if self.output.verbosity >= from {
            say(&format!("{}\n", text()));
        }
    }

    /// Prints a text, with an empty line between it and the one before.
    fn paragraph(&mut self, text: &str) -> io::Result<()> {
        let gap = if self.is_blank { "" } else { "\n" };
        self.is_blank = false;
        self.print(&format!("{gap}{}\n", text.trim_end()))
    }

    /// Prints a text, its colours taken out where they aren't wanted.
    ///
    /// # Errors
    /// Standard output can't be written.
    pub(crate) fn print(&self, text: &str) -> io::Result<()> {
        let choice = match self.output.color {
            Color::Auto => AutoStream::choice(&io::stdout()),
            Color::Always => ColorChoice::Always,
            Color::Never => ColorChoice::Never,
        };
        let mut stdout = AutoStream::new(io::stdout().lock(), choice);
        stdout.write_all(text.as_bytes())?;
        stdout.flush()
    }
}

/// A line to copy stands whole, and in colour where it comes or goes; others are wrapped.
fn line_of_event(line: &str) -> String {
    if line.starts_with("  + ") {
        format!("\x1b[32m{line}\x1b[0m")
    } else if line.starts_with("  - ") {
        format!("\x1b[31m{line}\x1b[0m")
    } else if line.starts_with(' ') {
        line.to_owned()
    } else {
        wrapped(line)
    }
}

/// Wrapped between words: whoever copies `temporary-failure` wants it whole.
fn wrapped(text: &str) -> String {
    textwrap::fill(text, textwrap::Options::new(WIDTH).word_splitter(textwrap::WordSplitter::NoHyphenation))
}

/// What happens in a repair.
#[derive(Debug, Serialize)]
struct JsonEvent<'a, E> {
    schema: u32,
    at: Timestamp,
    id: &'a IdentityId,
    domain: &'a Name,
    #[serde(flatten)]
    event: &'a E,
}

/// The refusal of a domain that the source doesn't know, with the fields of any refusal.
#[derive(Debug, Serialize)]
struct JsonStranger<'a> {
    event: &'static str,
    code: &'static str,
    records: [&'a str; 0],
    message: &'a str,
}

/// What was done to mend an identity.
#[derive(Debug, Serialize)]
struct JsonJournalEntry<'a> {
    schema: u32,
    id: &'a str,
    #[serde(flatten)]
    entry: &'a JournalEntry,
}

/// An entry of the catalogue.
#[derive(Debug, Serialize)]
struct JsonEntry<'a> {
    schema: u32,
    #[serde(flatten)]
    entry: &'a Entry,
}

/// The error object of the JSON.
#[derive(Debug, Serialize)]
struct JsonFailure<'a> {
    schema: u32,
    error: JsonError<'a>,
}

#[derive(Debug, Serialize)]
struct JsonError<'a> {
    code: &'static str,
    message: &'a str,
    hint: Option<&'a str>,
}

/// Prints one JSON object on a line of its own.
fn print_json(value: &impl Serialize) -> io::Result<()> {
    let mut line = serde_json::to_vec(value)?;
    line.push(b'\n');
    let mut stdout = io::stdout().lock();
    stdout.write_all(&line)?;
    stdout.flush()
}

/// Writes to standard error, which may be closed: then nobody listens, and that is no reason to stop.
fn say(text: &str) {
    let _ = io::stderr().write_all(text.as_bytes());
}
