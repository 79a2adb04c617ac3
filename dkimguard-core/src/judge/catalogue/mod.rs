//! [`Entry`]: the catalogue's long text on a cause or a piece of advice.
//!
//! The texts stand in one file a family. The remedies of a report begin with the sentence that stands here, and
//! `docs/causes.md` is [written](Entry::all_as_markdown) from here too.

pub(super) mod advice;
mod page;
pub(super) mod provider;
pub(super) mod record;
pub(super) mod servers;
pub(super) mod time;
pub(super) mod zone;

use std::fmt::{self, Write as _};

use serde::Serialize;

use super::text::fill;
use super::{AdviceCode, Cause};

/// How far the text stands from the left, behind its label.
const INDENT: &str = "          ";

/// What the catalogue says of one code. [`fmt::Display`] is the text for people, 80 columns wide; addresses of web
/// pages stand whole.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Entry {
    /// The code, which never changes.
    pub code: &'static str,
    /// The code in a few words.
    pub title: &'static str,
    /// What it comes to alone.
    pub impact: Impact,
    /// The long text.
    #[serde(flatten)]
    pub explanation: &'static Explanation,
}

/// What a cause or a piece of advice comes to where nothing else is wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Impact {
    /// The verdict is failing; degraded where some servers hold the record.
    Failing,
    /// The verdict is degraded.
    Degraded,
    /// The verdict is degraded, and failing where no server is left that isn't affected.
    DegradedOrFailing,
    /// A cause that is listed and changes no verdict.
    Listed,
    /// The verdict is unknown.
    Unknown,
    /// Advice, which changes no verdict.
    Advice,
}

/// The long text on one code, in parts.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct Explanation {
    /// What is wrong, and what follows from it.
    pub what: &'static str,
    /// What was seen where it is recognised.
    pub seen: &'static str,
    /// What looks like it and isn't.
    pub look_alike: &'static str,
    /// What to do; the remedies of a report begin with it.
    pub remedy: &'static str,
    /// What else helps to do it; may be empty.
    pub more: &'static str,
    /// The sections of RFCs and the pages of the provider's documentation that it rests on.
    pub rests_on: &'static [&'static str],
}

impl Entry {
    /// All entries: the causes, then the advice, each in the catalogue's order.
    pub fn all() -> impl Iterator<Item = Self> {
        let causes = Cause::ALL.iter().copied().map(Self::from);
        causes.chain(AdviceCode::ALL.iter().copied().map(Self::from))
    }

    /// The entry with this code.
    pub fn find(code: &str) -> Option<Self> {
        Self::all().find(|entry| entry.code == code)
    }

    /// The catalogue as a page in Markdown, a section a code: `docs/causes.md`.
    pub fn all_as_markdown() -> String {
        let mut page = String::from(HEAD);
        page.extend(Self::all().map(|entry| {
            format!("| [`{0}`](#{0}) | {1} | {2} |\n", entry.code, entry.impact.mark(), entry.title)
        }));
        for entry in Self::all() {
            // A string takes whatever is written to it.
            let _ = entry.markdown(&mut page);
        }
        page
    }

    fn markdown(&self, page: &mut String) -> fmt::Result {
        let Explanation { what, seen, look_alike, remedy, more, rests_on } = self.explanation;
        writeln!(page, "\n## `{}`\n\n{}. {}.\n", self.code, self.title, self.impact.words())?;
        for (label, text) in
            [("What it is", *what), ("How it is recognised", seen), ("What it is not", look_alike)]
        {
            wrapped(page, &format!("**{label}.** {text}"))?;
        }
        wrapped(page, format!("**What to do.** {remedy} {more}").trim_end())?;
        let sources: Vec<String> = rests_on.iter().map(|source| linked(source)).collect();
        writeln!(page, "**Rests on** {}", sources.join(", "))
    }
}

impl From<Cause> for Entry {
    fn from(cause: Cause) -> Self {
        Self {
            code: cause.code(),
            title: cause.title(),
            impact: cause.impact(),
            explanation: cause.explanation(),
        }
    }
}

impl From<AdviceCode> for Entry {
    fn from(advice: AdviceCode) -> Self {
        Self {
            code: advice.code(),
            title: advice.title(),
            impact: Impact::Advice,
            explanation: advice.explanation(),
        }
    }
}

impl fmt::Display for Entry {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Explanation { what, seen, look_alike, remedy, more, rests_on } = self.explanation;
        writeln!(f, "{}: {}\n{}.\n", self.code, self.title, self.impact.words())?;
        labelled(f, "What", what)?;
        labelled(f, "Seen", seen)?;
        labelled(f, "Not this", look_alike)?;
        labelled(f, "To do", remedy)?;
        if !more.is_empty() {
            labelled(f, "", more)?;
        }
        let (rfcs, pages): (Vec<&str>, Vec<&str>) =
            rests_on.iter().partition(|source| !source.starts_with("https:"));
        let rfcs = (!rfcs.is_empty()).then(|| rfcs.join(", "));
        let sources = rfcs.as_deref().into_iter().chain(pages);
        for (label, source) in std::iter::once("Rests on").chain(std::iter::repeat("")).zip(sources) {
            labelled(f, label, source)?;
        }
        Ok(())
    }
}

impl Impact {
    /// The impact in one or two characters, for a narrow column.
    pub fn mark(self) -> &'static str {
        match self {
            Self::Failing => "F",
            Self::Degraded => "D",
            Self::DegradedOrFailing => "DF",
            Self::Listed => "i",
            Self::Unknown => "?",
            Self::Advice => "a",
        }
    }

    /// The impact as a sentence without its full stop.
    pub fn words(self) -> &'static str {
        match self {
            Self::Failing => "Alone: failing",
            Self::Degraded => "Alone: degraded",
            Self::DegradedOrFailing => "Alone: degraded, failing if every server is affected",
            Self::Listed => "Listed, changes no verdict",
            Self::Unknown => "Alone: unknown",
            Self::Advice => "Advice, changes no verdict",
        }
    }
}

const HEAD: &str = "\
<!-- Written from dkimguard-core/src/judge/catalogue; to write it anew:
     UPDATE_DOCS=1 cargo test -p dkimguard-core --test catalogue -->

# What can be wrong

Each cause and each piece of advice has a code that never changes. `dkimguard explain CODE` prints its section.

The second column says what it comes to alone: `F` failing, `D` degraded, `DF` degraded, and failing if every server
is affected, `i` listed without changing the verdict, `?` unknown, `a` advice. A record cause is degraded where some
servers hold the record; and while the provider is in temporary failure it signs nothing, so that what is degraded
otherwise is failing.

| code | alone | title |
| --- | --- | --- |
";

/// A paragraph of the page.
fn wrapped(page: &mut String, text: &str) -> fmt::Result {
    fill(page, text, "", "")?;
    page.write_char('\n')
}

/// A web page as a link with its file's name, a section of an RFC as it is.
fn linked(source: &str) -> String {
    match source.rsplit('/').next() {
        Some(name) if source.starts_with("https:") => {
            format!("[AWS, {}]({source})", name.trim_end_matches(".html"))
        }
        _ => source.to_owned(),
    }
}

fn labelled(f: &mut fmt::Formatter<'_>, label: &str, text: &str) -> fmt::Result {
    fill(f, text, &format!("{label:width$}", width = INDENT.len()), INDENT)
}
