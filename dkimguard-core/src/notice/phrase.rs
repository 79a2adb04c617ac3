//! The sentences of AWS's notices. Their wording is AWS's own, as mails of the years up to 2026 have it.

use super::Stage;
use super::region::region_at;
use crate::name::Name;

/// A sentence: what stands before the domain, and what after it. Lower-case, with single blanks.
struct Phrase {
    stage: Stage,
    before: &'static str,
    after: &'static str,
}

/// Sentences that name the domain, and a region behind it or none.
const PHRASES: [Phrase; 9] = [
    Phrase {
        stage: Stage::Warning,
        before: "records required for the dkim setup of ",
        after: "are no longer present",
    },
    Phrase {
        stage: Stage::Warning,
        before: "temporarily disabled dkim signing for emails originating from ",
        after: "",
    },
    Phrase {
        stage: Stage::Warning,
        before: "in 5 days, ",
        after: "will no longer be considered to be configured for the purpose of dkim signing",
    },
    Phrase {
        stage: Stage::Revoked,
        before: "will no longer consider ",
        after: "to be configured for the purpose of dkim signing",
    },
    Phrase {
        stage: Stage::SetupFailed,
        before: "attempting to verify the dkim setup of ",
        after: "for the last",
    },
    Phrase {
        stage: Stage::VerificationFailed,
        before: "attempting to verify the domain ",
        after: "for the last",
    },
    Phrase { stage: Stage::Succeeded, before: "your dkim setup for the domain ", after: "is complete" },
    Phrase { stage: Stage::SetupFailed, before: "dkim setup failure for ", after: "" },
    Phrase { stage: Stage::Succeeded, before: "dkim setup success for ", after: "" },
];

/// Headings, which begin a line and need not name the domain; the longer first.
const HEADINGS: [(Stage, &str); 3] = [
    (Stage::Warning, "dkim revocation warning"),
    (Stage::Cancelled, "dkim revocation cancellation"),
    (Stage::Revoked, "dkim revocation"),
];
/// What may stand before a heading in its line.
const OPENERS: [&str; 4] = ["amazon ses ", "amazon simple email service ", "aws ", "email "];

/// Where a domain stands that belongs to a heading, the surest first.
const WHEREABOUTS: [&str; 7] = [
    "dkim setup of ",
    "dkim setup for the domain ",
    "dkim signing for emails originating from ",
    "dkim signing for ",
    "dkim records of ",
    "the domain ",
    "domain: ",
];

/// The most octets of a domain, with the marks that may stand around it.
const LONGEST: usize = 300;

/// A sentence of a notice that stands in a text.
#[derive(Debug, PartialEq)]
pub(super) struct Mention {
    /// Where it begins.
    pub(super) at: usize,
    pub(super) stage: Stage,
    pub(super) subject: Subject,
    /// The region, if the sentence names it.
    pub(super) region: Option<&'static str>,
}

/// What a sentence is about.
#[derive(Debug, PartialEq)]
pub(super) enum Subject {
    /// A domain.
    Domain(Name),
    /// A heading, which names none.
    Heading,
    /// Something that is no domain: the sentence.
    None(String),
}

impl Mention {
    pub(super) fn domain(&self) -> Option<&Name> {
        match &self.subject {
            Subject::Domain(domain) => Some(domain),
            Subject::Heading | Subject::None(_) => None,
        }
    }
}

/// The sentences in a text, in their order. `lines` are the places where lines begin.
pub(super) fn mentions(text: &str, lines: &[usize]) -> Vec<Mention> {
    let sentences = PHRASES.iter().flat_map(|phrase| {
        text.match_indices(phrase.before).filter_map(move |(at, _)| mention(phrase, text, at))
    });
    let headings = lines.iter().filter_map(|&at| heading(text, at));
    let mut mentions: Vec<Mention> = sentences.chain(headings).collect();
    mentions.sort_by_key(|mention| mention.at);
    mentions
}

/// The domain that stands where a heading's domain would.
pub(super) fn domain_nearby(text: &str) -> Option<Name> {
    WHEREABOUTS.iter().find_map(|before| {
        text.match_indices(before).find_map(|(at, _)| domain(first_word(&text[at + before.len()..])))
    })
}

fn mention(phrase: &Phrase, text: &str, at: usize) -> Option<Mention> {
    let rest = &text[at + phrase.before.len()..];
    let word = first_word(rest);
    let behind = rest[word.len()..].trim_start();
    let (region, behind) =
        match behind.strip_prefix("in ").map(|place| place.strip_prefix("region ").unwrap_or(place)) {
            Some(place) => match region_at(place) {
                Some((region, length)) => (Some(region), place[length..].trim_start()),
                // A region that isn't known here: what follows the domain is looked for behind it.
                None => (None, soon(place, phrase.after)),
            },
            None => (None, behind),
        };
    if !behind.starts_with(phrase.after) {
        return None;
    }
    let subject = match domain(word) {
        Some(domain) => Subject::Domain(domain),
        None => Subject::None(text[at..at + phrase.before.len() + word.len()].to_owned()),
    };
    Some(Mention { at, stage: phrase.stage, subject, region })
}

/// What begins with `after` within the next few words; everything if that isn't there.
fn soon<'a>(text: &'a str, after: &str) -> &'a str {
    let few = text.char_indices().nth(80).map_or(text.len(), |(end, _)| end);
    text[..few].find(after).map_or(text, |at| &text[at..])
}

fn heading(text: &str, at: usize) -> Option<Mention> {
    let mut line = &text[at..];
    // Re:, Fwd:, Subject:, 件名: and their like, each one word.
    for _ in 0..4 {
        match line.split_once(' ') {
            Some((word, rest)) if word.len() < 24 && word.ends_with([':', '：']) => line = rest,
            _ => break,
        }
    }
    let line = OPENERS.iter().find_map(|opener| line.strip_prefix(opener)).unwrap_or(line);
    let (stage, behind) =
        HEADINGS.iter().find_map(|&(stage, words)| Some((stage, line.strip_prefix(words)?)))?;
    if behind.starts_with(|next: char| next.is_alphanumeric()) {
        return None;
    }
    let word = behind.strip_prefix(" for ").map(first_word);
    let subject = word.and_then(domain).map_or(Subject::Heading, Subject::Domain);
    Some(Mention { at, stage, subject, region: None })
}

/// Up to the next blank, and not long.
fn first_word(text: &str) -> &str {
    let end = text.find(' ').unwrap_or(text.len()).min(LONGEST);
    let end = (0..=end).rev().find(|&end| text.is_char_boundary(end)).unwrap_or(0);
    &text[..end]
}

/// The domain that a word is, without the marks around it. Only letters, digits, hyphens and underscores make up the
/// domains that SES takes; anything else would be a danger where the name stands in a command.
fn domain(word: &str) -> Option<Name> {
    let word = word.trim_matches(|mark: char| !mark.is_alphanumeric());
    let name: Name = word.parse().ok()?;
    let is_plain = |label: &[u8]| {
        !label.starts_with(b"-")
            && label.iter().all(|&octet| octet.is_ascii_alphanumeric() || b"-_".contains(&octet))
    };
    (name.label_count() > 1 && name.labels().all(is_plain)).then_some(name)
}
