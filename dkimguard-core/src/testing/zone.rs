//! [`Zone`]s as tests write them.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::name::Name;
use crate::record::{Record, RecordData, Soa, Txt};
use crate::zone::Zone;

/// The TTL of a line that gives none, in seconds.
const DEFAULT_TTL: u32 = 300;
/// The octets of the longest string in a TXT record (RFC 1035 §3.3).
const MAX_STRING: usize = 255;

/// Zones as tests write them: in lines like a master file's (RFC 1035 §5), `name [ttl] TYPE value`, where `@` is the
/// apex, a name without a final dot is relative to the apex, `;` begins a comment, and strings may be quoted. The
/// types are A, AAAA, CNAME, DNAME, MX, NS, SOA and TXT; the TTL is 300 seconds unless given. A string over 255
/// octets is cut into several.
///
/// ```
/// use dkimguard_core::testing::Zone;
///
/// let zone = Zone::new("example.com").with(
///     "@              NS    ns1
///      ns1            A     127.0.83.11
///      aaa._domainkey CNAME aaa.dkim.amazonses.com.
///      @         3600 TXT   \"v=spf1 -all\"",
/// );
/// assert_eq!(zone.records().count(), 5);
/// ```
impl Zone {
    /// A zone with nothing but its SOA.
    ///
    /// # Panics
    /// If the text is no name.
    pub fn new(apex: &str) -> Self {
        Self::at(name(apex))
    }

    /// Reads a zone from lines.
    ///
    /// # Errors
    /// The first line that cannot be read, or whose owner lies outside the zone.
    pub fn parse(apex: Name, lines: &str) -> Result<Self, ParseZoneError> {
        let mut zone = Self::at(apex);
        zone.add(lines)?;
        Ok(zone)
    }

    /// The zone with the records of these lines added. An SOA takes the place of the one that is there.
    ///
    /// # Panics
    /// If a line cannot be read, or its owner lies outside the zone.
    #[must_use]
    pub fn with(mut self, lines: &str) -> Self {
        match self.add(lines) {
            Ok(()) => self,
            Err(error) => panic!("zone {}: {error}", self.apex()),
        }
    }

    /// The zone with this serial in its SOA.
    #[must_use]
    pub fn with_serial(mut self, serial: u32) -> Self {
        self.set_serial(serial);
        self
    }

    fn add(&mut self, lines: &str) -> Result<(), ParseZoneError> {
        parse_lines(self.apex(), lines)?.into_iter().for_each(|record| self.insert(record));
        Ok(())
    }
}

/// Why lines are no zone.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("line {line}: {problem}")]
pub struct ParseZoneError {
    /// The line, from 1.
    pub line: usize,
    /// What is wrong with it.
    pub problem: String,
}

/// The name that a test wrote.
///
/// # Panics
/// If the text is no name.
pub(super) fn name(text: &str) -> Name {
    match text.parse() {
        Ok(name) => name,
        Err(error) => panic!("`{text}` is no name: {error}"),
    }
}

/// The records of these lines that a test wrote, with absolute names.
///
/// # Panics
/// If a line cannot be read.
pub(super) fn read_lines(lines: &str) -> Vec<Record> {
    match parse_lines(&Name::root(), lines) {
        Ok(records) => records,
        Err(error) => panic!("{error}: {lines}"),
    }
}

/// The records of these lines; their owners lie at or below the origin.
fn parse_lines(origin: &Name, lines: &str) -> Result<Vec<Record>, ParseZoneError> {
    let mut records = Vec::new();
    for (index, line) in lines.lines().enumerate() {
        let in_line = |problem| ParseZoneError { line: index + 1, problem };
        let fields = split(line).map_err(in_line)?;
        if !fields.is_empty() {
            records.push(parse_record(origin, &fields).map_err(in_line)?);
        }
    }
    Ok(records)
}

/// One field of a line: its text as written, and the octets that it stands for as a string.
struct Field {
    text: String,
    octets: Vec<u8>,
}

/// The fields of a line, without its comment.
fn split(line: &str) -> Result<Vec<Field>, String> {
    let mut fields = Vec::new();
    let mut rest = line.trim_start();
    while let Some(first) = rest.bytes().next().filter(|&octet| octet != b';') {
        let quoted = first == b'"';
        let body = &rest[usize::from(quoted)..];
        let mut octets = Vec::new();
        let mut at = 0;
        loop {
            match body.as_bytes().get(at) {
                None if quoted => return Err("a quotation mark is left open".to_owned()),
                None => break,
                Some(b'"') if quoted => break,
                Some(octet) if !quoted && (octet.is_ascii_whitespace() || *octet == b';') => break,
                Some(b'\\') => {
                    let (octet, length) = unescape(&body.as_bytes()[at + 1..])?;
                    octets.push(octet);
                    at += 1 + length;
                }
                Some(&octet) => {
                    octets.push(octet);
                    at += 1;
                }
            }
        }
        // Every stop above is at an ASCII octet or the end, so it is a character boundary.
        fields.push(Field { text: body[..at].to_owned(), octets });
        rest = body[at + usize::from(quoted)..].trim_start();
    }
    Ok(fields)
}

/// The octet that an escape stands for, and how many octets it takes behind the backslash.
fn unescape(rest: &[u8]) -> Result<(u8, usize), String> {
    let digits = rest.get(..3).filter(|digits| digits.iter().all(u8::is_ascii_digit));
    if let Some(digits) = digits {
        let value = digits.iter().fold(0_u16, |value, digit| value * 10 + u16::from(digit - b'0'));
        return u8::try_from(value).map(|octet| (octet, 3)).map_err(|_| format!("\\{value} is no octet"));
    }
    rest.first().map(|&octet| (octet, 1)).ok_or_else(|| "a backslash ends the line".to_owned())
}

fn parse_record(origin: &Name, fields: &[Field]) -> Result<Record, String> {
    let (owner, mut rest) = fields.split_first().ok_or("it is empty")?;
    let owner = parse_name(origin, &owner.text)?;
    if !owner.is_at_or_below(origin) {
        return Err(format!("{owner} lies outside the zone {origin}"));
    }
    let mut ttl = DEFAULT_TTL;
    if let [first, after @ ..] = rest
        && let Ok(given) = first.text.parse()
    {
        ttl = given;
        rest = after;
    }
    if let [first, after @ ..] = rest
        && first.text.eq_ignore_ascii_case("IN")
    {
        rest = after;
    }
    let (kind, values) = rest.split_first().ok_or("it gives no type")?;
    let data = parse_data(origin, &kind.text.to_ascii_uppercase(), values)?;
    Ok(Record { name: owner, ttl, data })
}

fn parse_data(origin: &Name, kind: &str, values: &[Field]) -> Result<RecordData, String> {
    let texts: Vec<&str> = values.iter().map(|value| value.text.as_str()).collect();
    Ok(match (kind, texts.as_slice()) {
        ("A", [address]) => RecordData::A(parse_value::<Ipv4Addr>(address)?),
        ("AAAA", [address]) => RecordData::Aaaa(parse_value::<Ipv6Addr>(address)?),
        ("CNAME", [target]) => RecordData::Cname(parse_name(origin, target)?),
        ("DNAME", [target]) => RecordData::Dname(parse_name(origin, target)?),
        ("NS", [server]) => RecordData::Ns(parse_name(origin, server)?),
        ("MX", [preference, exchange]) => {
            RecordData::Mx { preference: parse_value(preference)?, exchange: parse_name(origin, exchange)? }
        }
        ("SOA", [primary, mailbox, serial, refresh, retry, expire, minimum]) => RecordData::Soa(Soa {
            primary: parse_name(origin, primary)?,
            mailbox: parse_name(origin, mailbox)?,
            serial: parse_value(serial)?,
            refresh: parse_value(refresh)?,
            retry: parse_value(retry)?,
            expire: parse_value(expire)?,
            minimum: parse_value(minimum)?,
        }),
        ("TXT", [_, ..]) => RecordData::Txt(Txt::new(values.iter().flat_map(strings))),
        ("A" | "AAAA" | "CNAME" | "DNAME" | "NS" | "MX" | "SOA" | "TXT", _) => {
            return Err(format!("{kind} does not go with {} values", texts.len()));
        }
        _ => return Err(format!("the type {kind} is not read here")),
    })
}

/// The strings of one field: several where it is too long for one.
fn strings(field: &Field) -> Vec<Box<[u8]>> {
    if field.octets.is_empty() {
        return vec![Box::default()];
    }
    field.octets.chunks(MAX_STRING).map(Box::from).collect()
}

fn parse_value<T: FromStr<Err: std::fmt::Display>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error| format!("`{text}`: {error}"))
}

fn parse_name(origin: &Name, text: &str) -> Result<Name, String> {
    if text == "@" {
        return Ok(origin.clone());
    }
    let name: Name = parse_value(text)?;
    if text.ends_with('.') && !text.ends_with("\\.") {
        return Ok(name);
    }
    name.appended(origin).map_err(|error| format!("`{text}`: {error}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_long_string_is_cut_and_an_empty_one_stays() {
        let zone = Zone::new("x").with(&format!("long TXT {}\nempty TXT \"\"", "p".repeat(300)));
        let lengths = |owner: &str| -> Vec<usize> {
            zone.records()
                .filter(|record| record.name == name(owner))
                .filter_map(|record| match &record.data {
                    RecordData::Txt(txt) => Some(txt.strings().map(<[u8]>::len).collect::<Vec<_>>()),
                    _ => None,
                })
                .flatten()
                .collect()
        };
        assert_eq!(lengths("long.x"), [255, 45]);
        assert_eq!(lengths("empty.x"), [0]);
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let table = [
            ("\n@ A 192.0.2.300", "line 2: `192.0.2.300`: invalid IPv4 address syntax"),
            ("@ TXT \"open", "line 1: a quotation mark is left open"),
            ("@", "line 1: it gives no type"),
            ("@ CNAME", "line 1: CNAME does not go with 0 values"),
            ("@ LOC 1 2", "line 1: the type LOC is not read here"),
            ("@ TXT \\999", "line 1: \\999 is no octet"),
            (
                "a..b A 192.0.2.1",
                "line 1: `a..b`: it has an empty label (two dots in a row, or a dot at the start)",
            ),
        ];
        for (lines, expected) in table {
            let error = Zone::parse(name("example.com"), lines).expect_err(lines);
            assert_eq!(error.to_string(), expected);
        }
        let error = Zone::parse(name("example.com"), "example.org. A 192.0.2.1").expect_err("outside");
        assert!(error.to_string().contains("outside the zone"), "{error}");
    }
}
