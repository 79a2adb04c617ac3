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
/// UTS #46 maps the full-width backslash to the plain one, which must not begin an escape.
const NO_BACKSLASH: idna::AsciiDenyList = idna::AsciiDenyList::new(false, "\\");

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

    /// The domain that somebody has registered and in which this name lies: a public suffix and one label. None for
    /// a public suffix itself. The list is the Mozilla public-suffix list, as of the build.
    pub fn registered_domain(&self) -> Option<Self> {
        let text = self.to_string();
        let suffix = psl::suffix(text.as_bytes())?;
        let labels = suffix.as_bytes().split(|&octet| octet == b'.').count() + 1;
        self.ancestors().find(|name| name.label_count() == labels)
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
/// internationalised names, which UTS #46 turns into A-labels. A name holds escapes or characters beyond ASCII,
/// not both.
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
        // UTS #46 knows no escapes: it would encode the backslash, and split the label at an escaped dot.
        if text.contains('\\') {
            return Err(ParseNameError::EscapeBesideUnicode);
        }
        let config = idna::uts46::Uts46::new();
        let ascii = config
            .to_ascii(
                text.as_bytes(),
                NO_BACKSLASH,
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

#[cfg(test)]
mod tests {
    #[test]
    fn a_registered_domain_is_a_public_suffix_and_one_label() {
        let cases = [
            ("example.com", Some("example.com")),
            ("a._domainkey.mail.example.co.uk", Some("example.co.uk")),
            ("x.github.io", Some("x.github.io")),
            ("co.uk", None),
            ("com", None),
            (".", None),
            ("mail.example.unheard-of", Some("example.unheard-of")),
            ("xn--bcher-kva.example", Some("xn--bcher-kva.example")),
        ];
        for (text, registered) in cases {
            let name: Name = text.parse().expect("it is a name");
            assert_eq!(
                name.registered_domain().map(|name| name.to_string()).as_deref(),
                registered,
                "{text}"
            );
        }
    }

    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// `length` times the letter a.
    fn label(length: usize) -> String {
        "a".repeat(length)
    }

    #[test]
    fn names_are_read_from_every_way_to_write_them() {
        // What is written, the labels, how it is written back.
        let table: &[(&str, &[&[u8]], &str)] = &[
            (".", &[], "."),
            ("example.com", &[b"example", b"com"], "example.com"),
            ("example.com.", &[b"example", b"com"], "example.com"),
            ("EXAMPLE.Com", &[b"example", b"com"], "example.com"),
            ("com", &[b"com"], "com"),
            ("_domainkey.example.com", &[b"_domainkey", b"example", b"com"], "_domainkey.example.com"),
            ("*.example.com", &[b"*", b"example", b"com"], "*.example.com"),
            (
                "0/25.2.0.192.in-addr.arpa",
                &[b"0/25", b"2", b"0", b"192", b"in-addr", b"arpa"],
                "0/25.2.0.192.in-addr.arpa",
            ),
            ("a\\.b.example", &[b"a.b", b"example"], "a\\.b.example"),
            ("a\\046b.example", &[b"a.b", b"example"], "a\\.b.example"),
            // The dot is part of the label, so nothing ends here.
            ("a\\.", &[b"a."], "a\\."),
            ("a\\..", &[b"a."], "a\\."),
            ("\\.", &[b"."], "\\."),
            ("a\\\\.b", &[b"a\\", b"b"], "a\\\\.b"),
            ("a\\ b", &[b"a b"], "a\\032b"),
            ("\\065\\066c", &[b"abc"], "abc"),
            ("\\195\\188", &[b"\xc3\xbc"], "\\195\\188"),
            ("\\000\\255", &[b"\x00\xff"], "\\000\\255"),
            ("\\\"\\;\\(\\)\\@\\$", &[b"\";()@$"], "\\\"\\;\\(\\)\\@\\$"),
            ("\";()@$", &[b"\";()@$"], "\\\"\\;\\(\\)\\@\\$"),
        ];
        for (text, labels, written) in table {
            let read = name(text);
            assert_eq!(read.labels().collect::<Vec<_>>(), *labels, "{text}");
            assert_eq!(read.to_string(), *written, "{text}");
            assert_eq!(read.label_count(), labels.len(), "{text}");
        }
    }

    #[test]
    fn internationalised_names_become_a_labels_and_are_shown_as_u_labels() {
        // What is written, the A-labels, the U-labels.
        let table = [
            ("bücher.example", "xn--bcher-kva.example", "bücher.example"),
            ("BÜCHER.Example.", "xn--bcher-kva.example", "bücher.example"),
            ("bu\u{308}cher.example", "xn--bcher-kva.example", "bücher.example"),
            ("XN--BCHER-KVA.example", "xn--bcher-kva.example", "bücher.example"),
            (
                "s1._domainkey.bücher.example",
                "s1._domainkey.xn--bcher-kva.example",
                "s1._domainkey.bücher.example",
            ),
            ("straße.example", "xn--strae-oqa.example", "straße.example"),
            ("例え。テスト", "xn--r8jz45g.xn--zckzah", "例え.テスト"),
            ("bücher\u{ff0e}example\u{ff61}com\u{3002}", "xn--bcher-kva.example.com", "bücher.example.com"),
            ("example\u{3002}com", "example.com", "example.com"),
            ("\u{ff45}xample.com", "example.com", "example.com"),
            ("*.bücher.example", "*.xn--bcher-kva.example", "*.bücher.example"),
            // No valid A-label: it is a label all the same, and shown as it is.
            ("xn--a.example", "xn--a.example", "xn--a.example"),
            ("a\\.b.example", "a\\.b.example", "a\\.b.example"),
        ];
        for (text, ascii, unicode) in table {
            let read = name(text);
            assert_eq!(read.to_string(), ascii, "{text}");
            assert_eq!(read.to_unicode(), unicode, "{text}");
        }
    }

    #[test]
    fn what_is_no_name_is_refused_with_its_reason() {
        use ParseNameError::*;
        let bad = |character| BadCharacter { character };
        let table = [
            (String::new(), Empty),
            ("..".to_owned(), EmptyLabel),
            (".com".to_owned(), EmptyLabel),
            ("example..com".to_owned(), EmptyLabel),
            ("example.com..".to_owned(), EmptyLabel),
            ("bücher..example".to_owned(), EmptyLabel),
            ("\u{3002}".to_owned(), EmptyLabel),
            (" example.com".to_owned(), bad(' ')),
            ("example.com\n".to_owned(), bad('\n')),
            ("exa\0mple.com".to_owned(), bad('\0')),
            ("bü cher.example".to_owned(), bad(' ')),
            ("example.com\u{a0}".to_owned(), bad(' ')),
            ("a\\".to_owned(), BadEscape),
            ("a\\1".to_owned(), BadEscape),
            ("a\\12.b".to_owned(), BadEscape),
            ("a\\256".to_owned(), BadEscape),
            ("a\\12\u{664}".to_owned(), EscapeBesideUnicode),
            ("bü\\.cher.example".to_owned(), EscapeBesideUnicode),
            // A full-width backslash is no escape.
            ("a\u{ff3c}046b".to_owned(), NotInternationalised),
            ("a\u{200b}\u{fffd}.example".to_owned(), NotInternationalised),
            ("xn--a.bücher.example".to_owned(), NotInternationalised),
            (format!("{}.com", label(64)), LabelTooLong { octets: 64 }),
            (format!("{}.com", label(300)), LabelTooLong { octets: 300 }),
        ];
        for (text, reason) in table {
            assert_eq!(text.parse::<Name>(), Err(reason), "{text}");
        }
    }

    #[test]
    fn the_longest_label_and_the_longest_name_are_accepted_and_no_longer_ones() {
        let longest = format!("{0}.{0}.{0}.{1}", label(63), label(61));
        assert_eq!(name(&longest).as_wire().len(), 255);
        assert_eq!(name(&format!("{longest}.")).as_wire().len(), 255);
        assert_eq!(format!("{longest}a").parse::<Name>(), Err(ParseNameError::NameTooLong { octets: 256 }));
        assert_eq!(name(&longest).child("a"), Err(ParseNameError::NameTooLong { octets: 257 }));
        assert_eq!(name(&longest).appended(&name("com")), Err(ParseNameError::NameTooLong { octets: 259 }));
        assert_eq!(name("com").child(label(64)), Err(ParseNameError::LabelTooLong { octets: 64 }));
        assert_eq!(name("com").child(""), Err(ParseNameError::EmptyLabel));
        // An escape of four characters is one octet.
        assert_eq!(name(&"\\001".repeat(63)).as_wire().len(), 65);
    }

    #[test]
    fn a_name_lies_below_another_by_whole_labels() {
        // Name, other, at or below, below.
        let table = [
            ("example.com", "example.com", true, false),
            ("EXAMPLE.com.", "example.COM", true, false),
            ("a.example.com", "example.com", true, true),
            ("b.a.example.com", "example.com", true, true),
            ("notexample.com", "example.com", false, false),
            ("a.notexample.com", "example.com", false, false),
            ("a\\.example.com", "example.com", false, false),
            // The octets end alike, the labels don't: 7 is the length of `example`.
            ("a\\007example.com", "example.com", false, false),
            ("example.com", "a.example.com", false, false),
            ("example.org", "example.com", false, false),
            ("com", ".", true, true),
            (".", ".", true, false),
            (".", "com", false, false),
        ];
        for (one, other, at_or_below, below) in table {
            assert_eq!(name(one).is_at_or_below(&name(other)), at_or_below, "{one} {other}");
            assert_eq!(name(one).is_below(&name(other)), below, "{one} {other}");
            assert_eq!(name(one).relative_to(&name(other)).is_some(), at_or_below, "{one} {other}");
        }
    }

    #[test]
    fn names_are_taken_apart_and_put_together() {
        let host = name("a.b.example.com");
        assert_eq!(host.parent(), Some(name("b.example.com")));
        assert_eq!(name("com").parent(), Some(Name::root()));
        assert_eq!(Name::root().parent(), None);
        assert_eq!(
            host.ancestors().map(|above| above.to_string()).collect::<Vec<_>>(),
            ["a.b.example.com", "b.example.com", "example.com", "com", "."]
        );
        let left: Vec<&[u8]> = host.relative_to(&name("example.com")).expect("it is below").collect();
        assert_eq!(left, [b"a", b"b"]);
        assert_eq!(host.relative_to(&host).expect("it is itself").count(), 0);
        assert_eq!(name("b.com").child("A").expect("it is short"), name("a.b.com"));
        assert_eq!(name("a.b").appended(&name("b.com")).expect("it is short"), name("a.b.b.com"));
        assert_eq!(name("a").appended(&Name::root()).expect("it is short"), name("a"));
        assert!(Name::root().is_root() && !host.is_root());
    }

    #[test]
    fn the_wire_form_is_labels_with_their_lengths() {
        assert_eq!(Name::root().as_wire(), b"\0");
        assert_eq!(name("Ab.c").as_wire(), b"\x02ab\x01c\0");
        assert_eq!(name("bücher.de").as_wire(), b"\x0dxn--bcher-kva\x02de\0");
    }

    #[test]
    fn json_holds_the_displayed_text() {
        let json = serde_json::to_string(&name("A.bücher.example.")).expect("it is a string");
        assert_eq!(json, "\"a.xn--bcher-kva.example\"");
        assert_eq!(serde_json::from_str::<Name>(&json).expect("as written"), name("a.bücher.example"));
        let error = serde_json::from_str::<Name>("\"a..b\"").expect_err("an empty label");
        assert!(error.to_string().starts_with("`a..b` is no domain name: it has an empty label"), "{error}");
    }

    prop_compose! {
        /// Any name that fits: labels of any octets.
        fn any_name()(
            labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..=MAX_LABEL), 0..8),
        ) -> Name {
            let mut octets = 1;
            let fitting = labels.iter().map(Vec::as_slice).take_while(|label| {
                octets += label.len() + 1;
                octets <= MAX_WIRE
            });
            Name::from_labels(fitting).expect("what doesn't fit was left out")
        }
    }

    proptest! {
        #[test]
        fn any_name_is_written_and_read_back(name in any_name()) {
            let text = name.to_string();
            prop_assert!(text.bytes().all(|octet| octet.is_ascii_graphic()));
            prop_assert_eq!(&text.parse::<Name>(), &Ok(name.clone()));
            prop_assert_eq!(text.to_ascii_uppercase().parse::<Name>(), Ok(name.clone()));
            prop_assert_eq!(if name.is_root() { text } else { text + "." }.parse::<Name>(), Ok(name));
        }

        #[test]
        fn any_name_is_its_labels(name in any_name()) {
            prop_assert_eq!(&Name::from_labels(name.labels()), &Ok(name.clone()));
            let mut wire: Vec<u8> = name
                .labels()
                .flat_map(|label| std::iter::once(label.len() as u8).chain(label.iter().copied()))
                .collect();
            wire.push(0);
            prop_assert_eq!(name.as_wire(), wire);
            prop_assert_eq!(name.ancestors().count(), name.label_count() + 1);
            prop_assert!(name.ancestors().all(|above| name.is_at_or_below(&above)));
        }

        #[test]
        fn what_stands_left_of_an_ancestor_and_the_ancestor_make_the_name(name in any_name(), up in 0..8usize) {
            if let Some(above) = name.ancestors().nth(up) {
                let left = Name::from_labels(name.relative_to(&above).expect("it is an ancestor"));
                prop_assert_eq!(left.expect("it is shorter").appended(&above), Ok(name));
            }
        }

        #[test]
        fn arbitrary_text_never_panics_and_what_is_read_reads_again(text in any::<String>()) {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name.clone()));
                let _ = name.to_unicode();
            }
        }

        #[test]
        fn text_that_looks_like_a_name_never_panics(text in "([a-z_ÄüßΣ例\u{3002}\u{ff3c}0-9\\\\.-]|xn--){0,40}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_string().parse::<Name>(), Ok(name));
            }
        }

        #[test]
        fn what_is_shown_to_people_reads_as_the_same_name(text in "[a-zäöüßéñ0-9]{1,12}(\\.[a-zа-я]{1,8}){0,2}") {
            if let Ok(name) = text.parse::<Name>() {
                prop_assert_eq!(name.to_unicode().parse::<Name>(), Ok(name));
            }
        }
    }
}
