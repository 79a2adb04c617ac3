//! The text of a [`Report`] for people: the verdict, what is wrong, what to do, and the records by server.

use std::fmt::{self, Write};

use jiff::Timestamp;

use super::{Diagnosis, RecordReport, Report, State, Verdict};
use crate::identity::{ExpectedValue, ProviderStatus};
use crate::look::{Basis, Vantage};
use crate::publish::Form;

/// How wide the text is. Names and values that are longer stand whole, so that they can be copied.
const WIDTH: usize = 80;
/// How many records stand side by side in the table.
const COLUMNS: usize = 4;

/// Whether the text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Paint {
    /// No escape sequences.
    #[default]
    Plain,
    /// ANSI colours for the verdict and for states that aren't as they must be.
    Ansi,
}

/// A report as text for people, 80 columns wide; lines to paste stand whole.
#[derive(Clone, Copy, Debug)]
pub struct Text<'a> {
    report: &'a Report,
    paint: Paint,
    /// The ways in which records to publish are written out, beside the lines of a zone file.
    forms: &'static [Form],
}

impl<'a> Text<'a> {
    pub(super) fn new(report: &'a Report, paint: Paint) -> Self {
        Self { report, paint, forms: &[] }
    }

    /// The same, with the records to publish also as a Route 53 change batch, as Terraform and as Cloudflare's fields.
    #[must_use]
    pub fn with_forms(self) -> Self {
        Self { forms: &[Form::ChangeBatch, Form::Terraform, Form::Cloudflare], ..self }
    }

    /// Domain, verdict and reason in one line.
    pub(super) fn headline(&self) -> String {
        let report = self.report;
        let verdict = self.painted(report.verdict.as_str().to_uppercase(), report.verdict);
        format!("{verdict}  {}: {}", domain(report), harmless(&report.summary))
    }

    fn painted(&self, text: String, verdict: Verdict) -> String {
        let colour = match verdict {
            Verdict::Healthy => 32,
            Verdict::Degraded => 33,
            Verdict::Failing => 31,
            Verdict::Unknown => 35,
        };
        match self.paint {
            Paint::Plain => text,
            Paint::Ansi => format!("\u{1b}[1;{colour}m{text}\u{1b}[0m"),
        }
    }

    fn provider(&self) -> Option<String> {
        let identity = &self.report.identity;
        if self.report.records.is_empty() && identity.status == ProviderStatus::Unknown {
            return None;
        }
        let mut words = vec![format!("{}: status {}", identity.id, identity.status)];
        words.extend(
            identity.signing_enabled.map(|on| if on { "signing on" } else { "signing off" }.to_owned()),
        );
        if let Some(verification) = &identity.verification {
            let ago = |at| ago(at, self.report.at);
            // What the provider met before all was well is nobody's trouble any more.
            let error = verification.error.as_ref().filter(|_| self.report.verdict != Verdict::Healthy);
            words.extend(error.map(|error| format!("last met {error}")));
            words.extend(verification.last_checked.map(|at| format!("last looked {}", ago(at))));
            words.extend(verification.last_success.map(|at| format!("last succeeded {}", ago(at))));
        }
        Some(words.join(", "))
    }

    fn cause(&self, f: &mut impl Write, number: usize, cause: &Diagnosis) -> fmt::Result {
        let head = format!("{}  ({}, {})", cause.cause.title(), cause.cause.code(), certainty(cause));
        writeln!(f, "{number}. {}", self.painted(head, cause.impact))?;
        wrapped(f, &cause.detail, "   ")?;
        for line in &cause.evidence {
            bullet(f, line)?;
        }
        let mut lines = cause.remedy.lines();
        if let Some(first) = lines.next() {
            wrapped(f, &format!("To do: {first}"), "   ")?;
        }
        for line in lines {
            writeln!(f, "     {}", harmless(line))?;
        }
        self.forms(f, cause)?;
        if let Some(change) = &cause.changed_by {
            wrapped(
                f,
                &format!("Changed by {} at {:.0}: {}", change.actor, change.at, change.action),
                "   ",
            )?;
        }
        Ok(())
    }

    /// The records that the remedy is to publish, in each form.
    fn forms(&self, f: &mut impl Write, cause: &Diagnosis) -> fmt::Result {
        let to_publish = self.report.records.iter().filter(|record| {
            cause.cause.publishes()
                && cause.records.contains(&record.expected.name)
                && record.expected.value != ExpectedValue::AnyKey
        });
        let to_publish: Vec<&RecordReport> = to_publish.collect();
        let Some(first) = to_publish.first() else { return Ok(()) };
        let zone = first.zone.as_ref().unwrap_or(self.report.identity.domain());
        for form in self.forms {
            writeln!(f, "   {}:", form.title())?;
            for line in form.of(to_publish.iter().map(|record| &record.expected), zone).lines() {
                writeln!(f, "{}", format!("     {line}").trim_end())?;
            }
        }
        Ok(())
    }

    /// The states, a row a vantage point and a column a record.
    fn table(&self, f: &mut impl Write) -> fmt::Result {
        let records = &self.report.records;
        for (chunk, start) in records.chunks(COLUMNS).zip((1..).step_by(COLUMNS)) {
            let mut vantages: Vec<&Vantage> = Vec::new();
            for finding in chunk.iter().flat_map(|record| &record.findings) {
                if !vantages.contains(&&finding.observation.vantage) {
                    vantages.push(&finding.observation.vantage);
                }
            }
            let cells = chunk.len() * 9;
            let longest = vantages.iter().map(|vantage| place(vantage).len()).max().unwrap_or(0);
            let column = longest.min(WIDTH - cells - 2);
            let numbers = (start..).take(chunk.len()).map(|number| format!("{:7}", format!("[{number}]")));
            writeln!(f, "  {:column$}  {}", "", numbers.collect::<Vec<_>>().join("  ").trim_end())?;
            for vantage in vantages {
                let place = place(vantage);
                if place.len() > column {
                    writeln!(f, "  {place}")?;
                    write!(f, "  {:column$}", "")?;
                } else {
                    write!(f, "  {place:column$}")?;
                }
                let cells = chunk.iter().map(|record| {
                    let here = record.findings.iter().find(|finding| finding.observation.vantage == *vantage);
                    self.cell(here.map(|finding| finding.state))
                });
                writeln!(f, "  {}", cells.collect::<Vec<_>>().join("  ").trim_end())?;
            }
            for (number, record) in (start..).zip(chunk) {
                let value = record.expected.value.to_string();
                let value = if value.len() > WIDTH { "the key given".to_owned() } else { value };
                writeln!(f, "  [{number}] {} {}", record.expected.name, record.expected.value.kind())?;
                writeln!(f, "      {value}")?;
            }
        }
        Ok(())
    }

    fn cell(&self, state: Option<State>) -> String {
        let Some(state) = state else { return format!("{:7}", "-") };
        let padded = format!("{state:7}");
        match state {
            State::Holds => padded,
            State::Differs | State::Absent => self.painted(padded.to_uppercase(), Verdict::Failing),
            State::Unseen => self.painted(padded, Verdict::Unknown),
        }
    }
}

impl fmt::Display for Text<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let report = self.report;
        let verdict = self.painted(report.verdict.as_str().to_uppercase(), report.verdict);
        writeln!(f, "{verdict}  {}", domain(report))?;
        wrapped(f, &format!("{}.", capitalised(&report.summary)), "")?;
        if let Some(provider) = self.provider() {
            wrapped(f, &provider, "")?;
        }
        let when = match report.basis {
            Basis::World => Some("now"),
            Basis::Servers => Some("after the move"),
            // It is on no address yet.
            Basis::Zone { .. } => None,
        };
        if let (Some(when), true) = (when, report.exposure.bad > 0) {
            writeln!(
                f,
                "{} of {} name server addresses would fail a validator {when}.",
                report.exposure.bad, report.exposure.of
            )?;
        }
        if let Some(deadline) = report.deadline {
            let words = format!(
                "Mend it before {:.0}; the provider's notice promises until {:.0}.",
                deadline.working, deadline.promised
            );
            wrapped(f, &words, "")?;
        }
        for (number, cause) in (1..).zip(&report.causes) {
            writeln!(f)?;
            self.cause(f, number, cause)?;
        }
        if let Some(plan) = &report.plan {
            writeln!(f, "\nThe edit that mends it")?;
            for line in plan.to_string().lines() {
                writeln!(f, "{}", format!("  {line}").trim_end())?;
            }
        }
        if !report.records.is_empty() {
            writeln!(f, "\nRecords by place")?;
            self.table(f)?;
        }
        if !report.advice.is_empty() {
            writeln!(f, "\nAdvice")?;
            for advice in &report.advice {
                bullet(f, &format!("{} ({})", advice.detail, advice.code()))?;
            }
        }
        let said = |gap: &&super::Gap| gap.detail != report.summary;
        if report.gaps.iter().any(|gap| said(&gap)) {
            writeln!(f, "\nNot seen")?;
            for gap in report.gaps.iter().filter(said) {
                bullet(f, &gap.to_string())?;
            }
        }
        Ok(())
    }
}

fn certainty(cause: &Diagnosis) -> &'static str {
    match cause.certainty {
        super::Certainty::Certain => "certain",
        super::Certainty::Likely => "likely",
    }
}

/// The domain, with its U-labels first where it has any.
fn domain(report: &Report) -> String {
    let ascii = report.identity.domain().to_string();
    let unicode = report.identity.domain().to_unicode();
    if unicode == ascii { ascii } else { format!("{unicode} ({ascii})") }
}

/// A vantage point, without the port that every server has.
fn place(vantage: &Vantage) -> String {
    let text = vantage.to_string();
    match vantage.address() {
        address if address.port() == 53 && address.is_ipv4() => text.replace(":53", ""),
        address if address.port() == 53 => text.replace(&address.to_string(), &address.ip().to_string()),
        _ => text,
    }
}

/// How long ago something was: `41 h ago`.
fn ago(then: Timestamp, now: Timestamp) -> String {
    let seconds = now.duration_since(then).as_secs();
    match seconds {
        ..0 => format!("at {then:.0}"),
        0..120 => format!("{seconds} s ago"),
        120..7200 => format!("{} min ago", seconds / 60),
        7200..259_200 => format!("{} h ago", seconds / 3600),
        _ => format!("{} days ago", seconds / 86_400),
    }
}

fn capitalised(text: &str) -> String {
    let mut characters = text.chars();
    characters.next().map_or_else(String::new, |first| first.to_uppercase().chain(characters).collect())
}

fn wrapped(f: &mut impl Write, text: &str, indent: &str) -> fmt::Result {
    fill(f, text, indent, indent)
}

fn bullet(f: &mut impl Write, text: &str) -> fmt::Result {
    fill(f, text, "   - ", "     ")
}

/// Writes a text, wrapped; words that are longer than a line stand whole.
pub(super) fn fill(f: &mut impl Write, text: &str, first: &str, rest: &str) -> fmt::Result {
    let options = textwrap::Options::new(WIDTH)
        .initial_indent(first)
        .subsequent_indent(rest)
        .break_words(false)
        .word_splitter(textwrap::WordSplitter::NoHyphenation);
    writeln!(f, "{}", textwrap::fill(&harmless(text), options))
}

/// A text without characters that a terminal obeys: providers and histories pass on what strangers wrote.
fn harmless(text: &str) -> String {
    text.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character }).collect()
}
