//! [`Passage`]: a text in the form in which sentences are found in it, and the mails that are quoted in it.

use super::date::{Stamp, stamp};
use super::phrase::{Mention, domain_nearby, mentions};
use super::region::{region_at, region_ending};
use crate::error::excerpt;
use crate::name::Name;

/// What programs put above a mail that they forward, in lower case.
const FORWARDS: [&str; 6] = [
    "forwarded message",
    "original message",
    "begin forwarded message",
    "転送メッセージ",
    "転送されたメッセージ",
    "元のメッセージ",
];
/// How the first line of such a mail's header begins.
const SENDERS: [&str; 5] = ["from:", "差出人:", "送信者:", "von:", "de :"];
/// How the line with its date begins.
const DATES: [&str; 13] = [
    "date:",
    "sent:",
    "start time:",
    "start time",
    "日付:",
    "日時:",
    "送信日時:",
    "送信日:",
    "datum:",
    "gesendet:",
    "envoyé:",
    "date :",
    "envoyé :",
];

/// How often the word region is looked at.
const MAX_REGIONS: usize = 100;

/// A text, and the sections of which it consists.
#[derive(Debug)]
pub(super) struct Passage {
    /// The words: lower-case, with single blanks, without marks of quoting and without the addresses of links.
    words: String,
    /// Where the lines begin.
    lines: Vec<usize>,
    /// The sections: what the mail says itself, then each mail that is quoted in it.
    sections: Vec<Section>,
}

#[derive(Debug)]
struct Section {
    at: usize,
    date: Option<Stamp>,
}

impl Passage {
    /// Brings a text into the form in which sentences are found.
    pub(super) fn of(text: &str) -> Self {
        let mut passage = Self {
            words: String::with_capacity(text.len()),
            lines: Vec::new(),
            sections: vec![Section { at: 0, date: None }],
        };
        let mut last_depth = 0;
        for line in text.split(['\n', '\r', '\u{2028}', '\u{2029}']) {
            let (depth, line) = unquoted(line);
            let mut words = words_of(line).peekable();
            if words.peek().is_none() {
                continue;
            }
            let at = passage.words.len();
            for word in words {
                passage.words.push_str(&word);
                passage.words.push(' ');
            }
            let written = &passage.words[at..];
            let starts = |labels: &[&str]| labels.iter().any(|label| written.starts_with(label));
            let is_start = depth > last_depth
                || starts(&SENDERS)
                || written.len() < 120 && FORWARDS.iter().any(|mark| written.contains(mark))
                || written.ends_with("wrote: ");
            if is_start {
                passage.sections.push(Section { at, date: None });
            } else if starts(&DATES)
                && let Some(section) = passage.sections.last_mut()
            {
                section.date = section.date.or_else(|| date_in(line));
            }
            last_depth = depth;
            passage.lines.push(at);
        }
        passage
    }

    /// The sentences of notices, in their order.
    pub(super) fn mentions(&self) -> Vec<Mention> {
        mentions(&self.words, &self.lines)
    }

    /// The number of the section in which a place lies; 0 is what the mail says itself.
    pub(super) fn section_of(&self, at: usize) -> usize {
        self.sections.partition_point(|section| section.at <= at).saturating_sub(1)
    }

    /// The date that stands above a section.
    pub(super) fn date_of(&self, section: usize) -> Option<Stamp> {
        self.sections[section].date
    }

    /// The domain that the text is about, where its sentences don't say.
    pub(super) fn domain(&self) -> Option<Name> {
        domain_nearby(&self.words)
    }

    /// The region that a section calls one, if it is one only.
    pub(super) fn region_of(&self, section: usize) -> Option<&'static str> {
        let end = self.sections.get(section + 1).map_or(self.words.len(), |next| next.at);
        region_in(&self.words[self.sections[section].at..end])
    }

    /// The region that the text calls one, if it is one only.
    pub(super) fn region(&self) -> Option<&'static str> {
        region_in(&self.words)
    }

    /// The beginning of the line at a place.
    pub(super) fn excerpt(&self, at: usize) -> String {
        let end = self.lines.iter().copied().find(|&line| line > at).unwrap_or(self.words.len());
        excerpt(self.words[at..end].trim())
    }
}

/// The region that a text calls one, if it is one only.
fn region_in(words: &str) -> Option<&'static str> {
    let mut found = None;
    for (at, word) in words.match_indices("region").take(MAX_REGIONS) {
        let behind = words[at + word.len()..].trim_start_matches([':', ' ']);
        let code = region_ending(&words[..at]).or_else(|| Some(region_at(behind)?.0));
        match (found, code) {
            (_, None) => {}
            (None, Some(code)) => found = Some(code),
            (Some(one), Some(other)) if one == other => {}
            (Some(_), Some(_)) => return None,
        }
    }
    found
}

/// How deep a line is quoted, and what it says.
fn unquoted(line: &str) -> (usize, &str) {
    let mut depth = 0;
    let mut rest = line.trim_start();
    while let Some(inner) = rest.strip_prefix('>').or_else(|| rest.strip_prefix("| ")) {
        depth += 1;
        rest = inner.trim_start();
    }
    (depth, rest)
}

/// The date behind a label.
fn date_in(line: &str) -> Option<Stamp> {
    let plain = line.replace('*', "").replace('：', ":");
    let plain = plain.trim();
    let label = "start time";
    let date = match plain.split_at_checked(label.len()) {
        Some((start, date)) if start.eq_ignore_ascii_case(label) => date,
        _ => plain.split_once(':')?.1,
    };
    stamp(date.trim_start_matches([':', ' ', '\t', '\u{a0}']))
}

/// The words of a line.
fn words_of(line: &str) -> impl Iterator<Item = String> {
    line.split(|next: char| next.is_whitespace() || next == '\u{2007}').filter_map(|word| {
        let word = without_link(word);
        let plain: String = word
            .chars()
            .filter(|letter| !matches!(letter, '\u{ad}' | '\u{200b}'..='\u{200f}' | '\u{2060}' | '\u{feff}'))
            .map(|letter| match letter {
                '\u{2018}' | '\u{2019}' => '\'',
                '\u{201c}' | '\u{201d}' => '"',
                '：' => ':',
                letter => letter,
            })
            .collect();
        let plain = plain.trim_matches(['*', '`', '"', '\'', '[', ']', '「', '」', '『', '』', '“', '”']);
        (!plain.is_empty()).then(|| plain.to_lowercase())
    })
}

/// A word without the address of a link that a program has put behind it.
fn without_link(word: &str) -> &str {
    for (open, close) in [("<http", '>'), ("<mailto:", '>'), ("(http", ')'), ("[http", ']')] {
        if let Some((before, link)) = word.split_once(open) {
            // What follows the link is a full stop at most.
            return if before.is_empty() {
                link.split_once(close).map_or("", |(_, behind)| behind)
            } else {
                before
            };
        }
    }
    word
}
