//! [`Name`]: a parsed, lower-case, absolute DNS name.

use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

use crate::error::ParseNameError;

/// The octets of the longest name, its final zero included (RFC 1035 §2.3.4).
const MAX_WIRE: usize = 255;
/// The octets of the longest label (RFC 1035 §2.3.4).
const MAX_LABEL: usize = 63;

/// An absolute DNS name, lower-case, internationalised labels stored as A-labels.
///
/// Two names are equal if DNS holds them equal (RFC 4343), however they were written: with or without the
/// final dot, in any case, with escapes or without, as U-labels or as A-labels. [`fmt::Display`] writes the
/// A-labels without the final dot; the root is `.`. Cloning is cheap.
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Name {
    /// The uncompressed wire form in lower case: labels with their lengths, and the root's zero at the end.
    wire: Arc<[u8]>,
}

impl Name {
    /// The root of the DNS.
    pub fn root() -> Self {
        Self { wire: Arc::from([0].as_slice()) }
    }

    /// The name made of these labels, the leftmost first. Octets may be any; ASCII letters are lower-cased.
    ///
    /// # Errors
    /// A label that is empty or over 63 octets; a name over 255 octets.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = &'a [u8]>) -> Result<Self, ParseNameError> {
        let mut wire = Vec::with_capacity(64);
        for label in labels {
            push_label(&mut wire, label)?;
        }
        wire.push(0);
        Self::from_checked(wire)
    }

    fn from_checked(wire: Vec<u8>) -> Result<Self, ParseNameError> {
        if wire.len() > MAX_WIRE {
            return Err(ParseNameError::NameTooLong { octets: wire.len() });
        }
        Ok(Self { wire: wire.into() })
    }

    /// The labels, the leftmost first, without the root's.
    pub fn labels(&self) -> impl Iterator<Item = &[u8]> {
        let mut rest = &self.wire[..];
        std::iter::from_fn(move || {
            let (&length, after) = rest.split_first()?;
            if length == 0 {
                return None;
            }
            let (label, after) = after.split_at(usize::from(length));
            rest = after;
            Some(label)
        })
    }

    /// How many labels the name has; the root has none.
    pub fn label_count(&self) -> usize {
        self.labels().count()
    }

    /// Whether this is the root.
    pub fn is_root(&self) -> bool {
        self.wire.len() == 1
    }

    /// The uncompressed wire form, lower-case, with the root's zero (RFC 1035 §3.1).
    pub fn as_wire(&self) -> &[u8] {
        &self.wire
    }

    /// The name without its leftmost label; none above the root.
    pub fn parent(&self) -> Option<Self> {
        let first = usize::from(self.wire[0]);
        (first != 0).then(|| Self { wire: Arc::from(&self.wire[first + 1..]) })
    }

    /// The name itself, then each name above it, the root last.
    pub fn ancestors(&self) -> impl Iterator<Item = Self> + use<> {
        std::iter::successors(Some(self.clone()), Self::parent)
    }

    /// Whether the name is `other` or lies below it.
    pub fn is_at_or_below(&self, other: &Self) -> bool {
        let mut rest = &self.wire[..];
        while rest.len() > other.wire.len() {
            rest = &rest[usize::from(rest[0]) + 1..];
        }
        rest == &other.wire[..]
    }

    /// Whether the name lies below `other` and isn't `other`.
    pub fn is_below(&self, other: &Self) -> bool {
        self != other && self.is_at_or_below(other)
    }

    /// The name with one label more at its left.
    ///
    /// # Errors
    /// A label that is empty or too long; a name that becomes too long.
    pub fn child(&self, label: impl AsRef<[u8]>) -> Result<Self, ParseNameError> {
        Self::from_labels(std::iter::once(label.as_ref()).chain(self.labels()))
    }

    /// The name with all labels of `suffix` appended: what a form that "helps" makes of an absolute name.
    ///
    /// # Errors
    /// A name that becomes too long.
    pub fn appended(&self, suffix: &Self) -> Result<Self, ParseNameError> {
        Self::from_labels(self.labels().chain(suffix.labels()))
    }

    /// The labels of the name that stand left of `suffix`; none if the name isn't at or below it.
    pub fn relative_to(&self, suffix: &Self) -> Option<impl Iterator<Item = &[u8]>> {
        self.is_at_or_below(suffix).then(|| self.labels().take(self.label_count() - suffix.label_count()))
    }

    /// The name for people: U-labels where the A-labels are valid ones, else as [`fmt::Display`] writes it.
    pub fn to_unicode(&self) -> String {
        let ascii = self.to_string();
        let is_internationalised = self.labels().any(|label| label.starts_with(b"xn--"));
        if !is_internationalised {
            return ascii;
        }
        match idna::domain_to_unicode(&ascii) {
            (unicode, Ok(())) => unicode,
            (_, Err(_)) => ascii,
        }
    }
}

/// Appends a label with its length, in lower case.
fn push_label(wire: &mut Vec<u8>, label: &[u8]) -> Result<(), ParseNameError> {
    match u8::try_from(label.len()) {
        Ok(0) => Err(ParseNameError::EmptyLabel),
        Ok(length) if label.len() <= MAX_LABEL => {
            wire.push(length);
            wire.extend(label.iter().map(u8::to_ascii_lowercase));
            Ok(())
        }
        _ => Err(ParseNameError::LabelTooLong { octets: label.len() }),
    }
}

/// Reads the presentation format of RFC 1035 §5.1 (`\.` and `\DDD` escapes, the final dot optional) and
/// internationalised names, which UTS #46 turns into A-labels.
impl FromStr for Name {
    type Err = ParseNameError;

    fn from_str(text: &str) -> Result<Self, ParseNameError> {
        if text.is_empty() {
            return Err(ParseNameError::Empty);
        }
        if text == "." {
            return Ok(Self::root());
        }
        if text.is_ascii() {
            return parse_ascii(text);
        }
        let config = idna::uts46::Uts46::new();
        let ascii = config
            .to_ascii(
                text.as_bytes(),
                idna::AsciiDenyList::EMPTY,
                idna::uts46::Hyphens::Allow,
                idna::uts46::DnsLength::Ignore,
            )
            .map_err(|_| ParseNameError::NotInternationalised)?;
        parse_ascii(&ascii)
    }
}

fn parse_ascii(text: &str) -> Result<Name, ParseNameError> {
    let mut wire = Vec::with_capacity(text.len() + 2);
    let mut label = Vec::with_capacity(MAX_LABEL);
    let mut octets = text.bytes();
    let mut ended_in_dot = false;
    while let Some(octet) = octets.next() {
        ended_in_dot = false;
        match octet {
            b'.' => {
                push_label(&mut wire, &label)?;
                label.clear();
                ended_in_dot = true;
            }
            b'\\' => label.push(unescape(&mut octets)?),
            b'!'..=b'~' => label.push(octet),
            _ => return Err(ParseNameError::BadCharacter { character: char::from(octet) }),
        }
    }
    if !ended_in_dot {
        push_label(&mut wire, &label)?;
    }
    wire.push(0);
    Name::from_checked(wire)
}

/// The octet that an escape stands for: `\DDD` in decimal, or the character itself.
fn unescape(octets: &mut impl Iterator<Item = u8>) -> Result<u8, ParseNameError> {
    let first = octets.next().ok_or(ParseNameError::BadEscape)?;
    if !first.is_ascii_digit() {
        return Ok(first);
    }
    let mut value = u16::from(first - b'0');
    for _ in 0..2 {
        let digit = octets.next().filter(u8::is_ascii_digit).ok_or(ParseNameError::BadEscape)?;
        value = value * 10 + u16::from(digit - b'0');
    }
    u8::try_from(value).map_err(|_| ParseNameError::BadEscape)
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_root() {
            return f.pad(".");
        }
        let mut text = String::with_capacity(self.wire.len());
        for label in self.labels() {
            if !text.is_empty() {
                text.push('.');
            }
            for &octet in label {
                match octet {
                    b'.' | b'\\' | b'"' | b';' | b'(' | b')' | b'@' | b'$' => {
                        text.push('\\');
                        text.push(char::from(octet));
                    }
                    b'!'..=b'~' => text.push(char::from(octet)),
                    _ => text.push_str(&format!("\\{octet:03}")),
                }
            }
        }
        f.pad(&text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Name({self})")
    }
}

impl Serialize for Name {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Name {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(|error| serde::de::Error::custom(format!("`{text}` is no domain name: {error}")))
    }
}
