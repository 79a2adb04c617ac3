//! [`Notice`]: what AWS's mail about a domain's DKIM set-up says: which domain, which stage, how long is left.
//!
//! Amazon SES tells of a lost set-up by mail to the account's contacts, who often aren't those who run what sends
//! through it. The mail arrives forwarded, wrapped in other words, as HTML, or pasted from a chat; what holds is
//! the wording of a few sentences, and [`Notice::read`] looks for these.

mod date;
mod letter;
mod page;
mod passage;
mod phrase;
mod region;
mod text;

use std::fmt;

use jiff::Timestamp;
use serde::ser::SerializeStruct as _;
use serde::{Serialize, Serializer};
use thiserror::Error;

use self::letter::letters;
use self::passage::Passage;
use self::phrase::{Mention, Subject};
use crate::judge::{Deadline, DeadlineBasis, Paint};
use crate::name::Name;

/// The most octets of a notice. Its own text is a few kilobytes; the rest is room for what it was forwarded with.
pub const MAX_OCTETS: usize = 8 * 1024 * 1024;

/// The version of the JSON; it changes only when a field changes its meaning.
const SCHEMA: u32 = 1;

/// What a notice says. [`fmt::Display`] and [`text`](Self::text) are for people, [`Serialize`] is the JSON.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Notice {
    /// The domain whose set-up it is about.
    pub domain: Name,
    /// The region as AWS codes it (`eu-central-1`), if the notice names one that is known here.
    pub region: Option<String>,
    /// What has happened.
    pub stage: Stage,
    /// When AWS sent the notice, if that is told, as well as [`dating`](Self::dating) says.
    pub sent_at: Option<Timestamp>,
    /// How well [`sent_at`](Self::sent_at) is known.
    pub dating: Dating,
}

/// What has happened to the set-up, by the notice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// The records are no longer seen; mail is sent unsigned, and the provider's clock runs.
    Warning,
    /// The records weren't restored in time; the domain no longer counts as set up.
    Revoked,
    /// The records of a new set-up weren't seen in time.
    SetupFailed,
    /// The record that proves the domain's ownership wasn't seen in time.
    VerificationFailed,
    /// The records are seen again; the warning is withdrawn.
    Cancelled,
    /// The set-up is complete.
    Succeeded,
}

/// How well it is known when a notice was sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Dating {
    /// By a date with its time zone.
    Exact,
    /// By a date without a time zone: read in that of the mail around it, or as UTC.
    ZoneAssumed,
    /// Only the mail around it has a date: the notice is as old or older.
    Forwarded,
    /// Not at all.
    Unknown,
}

/// Why a text is not read as a notice.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum NotANotice {
    /// There is nothing to read.
    #[error("it is empty")]
    Empty,
    /// More than [`MAX_OCTETS`].
    #[error("it has more than {} MiB, and a notice is a few kilobytes", MAX_OCTETS / 1024 / 1024)]
    TooLarge,
    /// More parts, levels, text or octets in a line than a mail has that people send.
    #[error("it has more than {most} {what}, and no notice looks like that")]
    TooIntricate {
        /// What there is too much of.
        what: &'static str,
        /// How much is read.
        most: usize,
    },
    /// None of the sentences of a notice stands in it.
    #[error("it holds none of the sentences that stand in AWS's notices about DKIM")]
    NoPhrase,
    /// A sentence of a notice stands in it, and where the domain belongs is none.
    #[error("it says {phrase:?}, and names no domain there")]
    NoDomain {
        /// The sentence.
        phrase: String,
    },
    /// Sentences about several domains stand side by side.
    #[error("it speaks of several domains: {one} and {other}")]
    SeveralDomains {
        /// The first.
        one: Name,
        /// Another.
        other: Name,
    },
}

impl Notice {
    /// Reads a notice: an RFC 5322 mail as it was received, or forwarded (inline or as an attachment), or its text
    /// alone, as it was copied. It is pure, takes time in proportion to the length, and never panics.
    ///
    /// In a conversation that holds several notices the first counts, for replies and forwards put the newest
    /// first. The date is that of the mail in which the notice stands, not of the one that forwards it, where both
    /// are told.
    ///
    /// # Errors
    /// A text that isn't such a notice, names no domain, or several; a mail too large or too intricate to be one.
    pub fn read(octets: &[u8]) -> Result<Self, NotANotice> {
        if octets.len() > MAX_OCTETS {
            return Err(NotANotice::TooLarge);
        }
        if octets.iter().all(u8::is_ascii_whitespace) {
            return Err(NotANotice::Empty);
        }
        let letters = letters(octets)?;
        let passages: Vec<(usize, Passage)> = letters
            .iter()
            .enumerate()
            .flat_map(|(number, letter)| letter.texts.iter().map(move |text| (number, Passage::of(text))))
            .collect();
        let mentions: Vec<(usize, Mention)> = passages
            .iter()
            .enumerate()
            .flat_map(|(number, (_, passage))| {
                passage.mentions().into_iter().map(move |mention| (number, mention))
            })
            .collect();

        let (place, mention, domain) = choose(&passages, &mentions)?;
        let (letter, passage) = &passages[place];
        let section = passage.section_of(mention.at);
        let others: Vec<(usize, &Name)> = mentions
            .iter()
            .filter(|(number, _)| *number == place)
            .filter_map(|(_, beside)| Some((passage.section_of(beside.at), beside.domain()?)))
            .filter(|(_, other)| **other != domain)
            .collect();
        if let Some((_, other)) = others.iter().find(|(number, _)| *number == section) {
            return Err(NotANotice::SeveralDomains { one: domain, other: (*other).clone() });
        }
        // What stands in an older notice holds for this one too, if it is about the same domain.
        let told = || passage.region_of(section).or_else(|| passage.region().filter(|_| others.is_empty()));
        let dated = letters[*letter].dated(passage.date_of(section), section > 0);
        Ok(Self {
            region: mention.region.or_else(told).map(str::to_owned),
            stage: mention.stage,
            sent_at: dated.map(|dated| dated.0),
            dating: dated.map_or(Dating::Unknown, |dated| dated.1),
            domain,
        })
    }

    /// Until when the records must be restored: in the stage [`Warning`](Stage::Warning), if it is known when the
    /// notice was sent. In every other stage no clock runs.
    pub fn deadline(&self) -> Option<Deadline> {
        let sent_at = self.sent_at.filter(|_| self.stage == Stage::Warning)?;
        Deadline::counted_from(sent_at, DeadlineBasis::Notice)
    }

    /// The commands to run next, the first first.
    pub fn next(&self) -> Vec<String> {
        let region = self.region.as_ref().map_or_else(String::new, |region| format!(" --region {region}"));
        vec![format!("dkimguard check {}{region}", self.domain)]
    }

    /// The text for people: what has happened, since when, how long is left at `now`, what to run next.
    pub fn text(&self, now: Timestamp, paint: Paint) -> impl fmt::Display {
        text::Text { notice: self, now, paint }
    }
}

/// The mention that counts: where it stands, and the domain it is about.
///
/// It is the first. A heading names a stage and often no domain: then a sentence about the same stage is what it
/// heads, or else the domain is the one that stands nearest.
fn choose<'a>(
    passages: &[(usize, Passage)],
    mentions: &'a [(usize, Mention)],
) -> Result<(usize, &'a Mention, Name), NotANotice> {
    let is_said = |(_, mention): &&(usize, Mention)| !matches!(mention.subject, Subject::None(_));
    let Some((place, first)) = mentions.iter().find(is_said) else {
        return Err(match mentions.first().map(|(_, mention)| &mention.subject) {
            Some(Subject::None(phrase)) => NotANotice::NoDomain { phrase: phrase.clone() },
            _ => NotANotice::NoPhrase,
        });
    };
    if let Some(domain) = first.domain() {
        return Ok((*place, first, domain.clone()));
    }
    let same = mentions.iter().filter(|(_, mention)| mention.stage == first.stage);
    for (number, mention) in same {
        if let Some(domain) = mention.domain() {
            return Ok((*number, mention, domain.clone()));
        }
    }
    let near = passages[*place..].iter().find_map(|(_, passage)| passage.domain());
    let any = || mentions.iter().find_map(|(_, mention)| mention.domain().cloned());
    match near.or_else(any) {
        Some(domain) => Ok((*place, first, domain)),
        None => Err(NotANotice::NoDomain { phrase: passages[*place].1.excerpt(first.at) }),
    }
}

/// The text for people, without colour and without the time that is left.
impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.domain, self.stage)
    }
}

impl Stage {
    /// The stage in a sentence without its end.
    fn sentence(self) -> &'static str {
        match self {
            Self::Warning => "Amazon SES no longer finds the DKIM records and has stopped signing",
            Self::Revoked => "the DKIM records were not restored in time; Amazon SES has given the domain up",
            Self::SetupFailed => "Amazon SES did not find the DKIM records in time and has stopped looking",
            Self::VerificationFailed => {
                "Amazon SES could not verify the domain in time and has stopped looking"
            }
            Self::Cancelled => "Amazon SES finds the DKIM records again and withdraws its warning",
            Self::Succeeded => "Amazon SES has found the DKIM records; the set-up is complete",
        }
    }
}

impl fmt::Display for Stage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.sentence())
    }
}

/// Schema 1: times to the second, null where something isn't known or no clock runs.
impl Serialize for Notice {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let deadline = self.deadline();
        let time = |at: Timestamp| format!("{at:.0}");
        let mut json = serializer.serialize_struct("Notice", 8)?;
        json.serialize_field("schema", &SCHEMA)?;
        json.serialize_field("domain", &self.domain)?;
        json.serialize_field("region", &self.region)?;
        json.serialize_field("stage", &self.stage)?;
        json.serialize_field("sent_at", &self.sent_at.map(time))?;
        json.serialize_field("deadline", &deadline.map(|deadline| time(deadline.working)))?;
        json.serialize_field("deadline_promised", &deadline.map(|deadline| time(deadline.promised)))?;
        json.serialize_field("next", &self.next())?;
        json.end()
    }
}
