//! [`Zone`]: the records of one zone, and what an authoritative server says of a name in it.

use std::net::{Ipv4Addr, Ipv6Addr};
use std::str::FromStr;

use thiserror::Error;

use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind, Soa, Txt};

/// The TTL of a line that gives none, in seconds.
const DEFAULT_TTL: u32 = 300;
/// The octets of the longest string in a TXT record (RFC 1035 §3.3).
const MAX_STRING: usize = 255;
/// The number of the type DS, which belongs to the parent's side of a cut (RFC 4035 §3.1.4.1).
pub(super) const DS: RecordKind = RecordKind::Other(43);

/// The records of one zone.
///
/// It is written in lines like a master file's (RFC 1035 §5): `name [ttl] TYPE value`, where `@` is the apex,
/// a name without a final dot is relative to the apex, `;` begins a comment, and strings may be quoted. The
/// types are A, AAAA, CNAME, DNAME, MX, NS, SOA and TXT; the TTL is 300 seconds unless given. A string over 255
/// octets is cut into several. Every zone has an SOA: serial 1, an absence is cached for 300 seconds.
///
/// What no server should load is accepted, since servers that hold it are what tests need: two CNAMEs at a
/// name, a CNAME beside other data.
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
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Zone {
    apex: Name,
    records: Vec<Record>,
}

impl Zone {
    /// A zone with nothing but its SOA.
    ///
    /// # Panics
    /// If the text is no name.
    pub fn new(apex: &str) -> Self {
        Self::at(name(apex))
    }

    /// A zone with nothing but its SOA.
    pub fn at(apex: Name) -> Self {
        let soa = Soa {
            primary: apex.child("ns1").unwrap_or_else(|_| apex.clone()),
            mailbox: apex.child("hostmaster").unwrap_or_else(|_| apex.clone()),
            serial: 1,
            refresh: 7200,
            retry: 900,
            expire: 1_209_600,
            minimum: 300,
        };
        let soa = Record { name: apex.clone(), ttl: 3600, data: RecordData::Soa(soa) };
        Self { apex, records: vec![soa] }
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
            Err(error) => panic!("zone {}: {error}", self.apex),
        }
    }

    /// The zone with this serial in its SOA.
    #[must_use]
    pub fn with_serial(mut self, serial: u32) -> Self {
        self.set_serial(serial);
        self
    }

    /// The name of the zone.
    pub fn apex(&self) -> &Name {
        &self.apex
    }

    /// The records, in the order in which they came.
    pub fn records(&self) -> impl Iterator<Item = &Record> {
        self.records.iter()
    }

    /// The zone's SOA, as an answer holds it that proves an absence: the TTL is the lesser of its own and of
    /// its `minimum` (RFC 2308 §3).
    pub fn absence(&self) -> Option<Record> {
        self.records.iter().find_map(|record| match &record.data {
            RecordData::Soa(soa) => Some(Record { ttl: record.ttl.min(soa.minimum), ..record.clone() }),
            _ => None,
        })
    }

    fn add(&mut self, lines: &str) -> Result<(), ParseZoneError> {
        parse_lines(&self.apex, lines)?.into_iter().for_each(|record| self.insert(record));
        Ok(())
    }

    pub(super) fn set_serial(&mut self, new: u32) {
        for record in &mut self.records {
            if let RecordData::Soa(soa) = &mut record.data {
                soa.serial = new;
            }
        }
    }

    /// Adds a record of a name in the zone; the SOA replaces the one that is there.
    pub(super) fn insert(&mut self, record: Record) {
        if record.kind() == RecordKind::Soa {
            self.records.retain(|old| old.kind() != RecordKind::Soa);
        }
        self.records.push(record);
    }

    /// Keeps the records that pass, and tells how many did not.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Record) -> bool) -> usize {
        let before = self.records.len();
        self.records.retain(keep);
        before - self.records.len()
    }

    /// The addresses that the zone holds for a name: an answer's additional section.
    pub(super) fn addresses(&self, owner: &Name) -> impl Iterator<Item = &Record> {
        self.records
            .iter()
            .filter(move |record| record.name == *owner)
            .filter(|record| matches!(record.kind(), RecordKind::A | RecordKind::Aaaa))
    }

    /// What the zone says of one name, without following aliases (RFC 1034 §4.3.2 step 3).
    pub(super) fn find(&self, owner: &Name, kind: RecordKind) -> Found {
        if let Some(cut) = self.cut_above(owner, kind) {
            return Found::Cut(self.set(&cut, RecordKind::Ns));
        }
        let above = owner.ancestors().skip(1).take_while(|above| above.is_at_or_below(&self.apex));
        for tree in above {
            if let Some(dname) = self.set(&tree, RecordKind::Dname).into_iter().next() {
                return redirect(owner, dname);
            }
        }
        if self.exists(owner) {
            return self.find_at(owner, owner, kind);
        }
        let encloser = owner.ancestors().find(|above| self.exists(above));
        let wildcard = encloser.and_then(|encloser| encloser.child("*").ok());
        match wildcard {
            Some(wildcard) if self.has_node(&wildcard) => self.find_at(&wildcard, owner, kind),
            _ => Found::NoName,
        }
    }

    /// What stands at a node, told as though it stood at `owner`: they differ for a wildcard (RFC 4592).
    fn find_at(&self, node: &Name, owner: &Name, kind: RecordKind) -> Found {
        let told = |kind| -> Vec<Record> {
            let set = self.set(node, kind).into_iter();
            set.map(|record| Record { name: owner.clone(), ..record }).collect()
        };
        let records = told(kind);
        if !records.is_empty() {
            return Found::Records(records);
        }
        let aliases = told(RecordKind::Cname);
        match aliases.first().map(|alias| &alias.data) {
            Some(RecordData::Cname(target)) => Found::Alias { target: target.clone(), records: aliases },
            _ => Found::NoData,
        }
    }

    /// The delegation that the name lies at or below; the topmost, since what is below it isn't this zone's.
    fn cut_above(&self, owner: &Name, kind: RecordKind) -> Option<Name> {
        owner
            .ancestors()
            .take_while(|above| above.is_below(&self.apex))
            .filter(|above| !(kind == DS && above == owner))
            .filter(|above| self.records.iter().any(|r| r.name == *above && r.kind() == RecordKind::Ns))
            .last()
    }

    fn set(&self, owner: &Name, kind: RecordKind) -> Vec<Record> {
        let set = self.records.iter().filter(|record| record.name == *owner && record.kind() == kind);
        set.cloned().collect()
    }

    fn has_node(&self, owner: &Name) -> bool {
        self.records.iter().any(|record| record.name == *owner)
    }

    /// Whether the name exists, if only because something below it does (RFC 8020).
    fn exists(&self, owner: &Name) -> bool {
        self.records.iter().any(|record| record.name.is_at_or_below(owner))
    }
}

/// What a zone says of one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The records asked for.
    Records(Vec<Record>),
    /// The name stands for another one.
    Alias { records: Vec<Record>, target: Name },
    /// The name exists, and has nothing of the type.
    NoData,
    /// The name doesn't exist.
    NoName,
    /// The name lies at or below a delegation; its NS records.
    Cut(Vec<Record>),
    /// A DNAME makes of the name one that is too long.
    TooLong(Record),
}

/// The DNAME and the CNAME that it stands for (RFC 6672 §2.2, §3.1).
fn redirect(owner: &Name, dname: Record) -> Found {
    let RecordData::Dname(tree) = &dname.data else {
        return Found::NoData;
    };
    let labels: Vec<&[u8]> = owner.relative_to(&dname.name).into_iter().flatten().collect();
    match Name::from_labels(labels.into_iter().chain(tree.labels())) {
        Ok(target) => {
            let data = RecordData::Cname(target.clone());
            let alias = Record { name: owner.clone(), ttl: dname.ttl, data };
            Found::Alias { records: vec![dname, alias], target }
        }
        Err(_) => Found::TooLong(dname),
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

    fn zone() -> Zone {
        Zone::new("example.com").with(
            "@        NS    ns1
             ns1      A     192.0.2.1
             txt      TXT   \"one\" two \"th\\\"r;ee\" ; a comment
             alias 60 IN CNAME target.example.net.
             a.b.ent  TXT   deep
             *.wild   TXT   any
             *.star   CNAME elsewhere
             sub      NS    ns.sub
             ns.sub   A     192.0.2.2
             below.sub TXT  hidden
             tree     DNAME other.example.net.",
        )
    }

    fn find(owner: &str, kind: RecordKind) -> String {
        match zone().find(&name(owner), kind) {
            Found::Records(records) => show(&records),
            Found::Alias { records, target } => format!("{} -> {target}", show(&records)),
            Found::Cut(records) => format!("cut: {}", show(&records)),
            other => format!("{other:?}"),
        }
    }

    fn show(records: &[Record]) -> String {
        let texts: Vec<String> =
            records.iter().map(|r| format!("{} {} {} {}", r.name, r.ttl, r.kind(), r.data)).collect();
        texts.join(" | ")
    }

    #[test]
    fn finds_what_the_rfcs_say() {
        use RecordKind::{A, Cname, Dname, Mx, Ns, Txt};
        let table = [
            ("txt.example.com", Txt, "txt.example.com 300 TXT onetwoth\"r;ee"),
            ("TXT.Example.com", Mx, "NoData"),
            ("none.example.com", Txt, "NoName"),
            ("example.com", Ns, "example.com 300 NS ns1.example.com"),
            ("example.com", Mx, "NoData"),
            // An alias answers for every type, and for itself.
            ("alias.example.com", Cname, "alias.example.com 60 CNAME target.example.net"),
            ("alias.example.com", Txt, "alias.example.com 60 CNAME target.example.net -> target.example.net"),
            // Names that exist because something below them does.
            ("ent.example.com", Txt, "NoData"),
            ("b.ent.example.com", Txt, "NoData"),
            ("x.ent.example.com", Txt, "NoName"),
            // Wildcards: for what does not exist, at any depth, also as an alias (RFC 4592).
            ("x.wild.example.com", Txt, "x.wild.example.com 300 TXT any"),
            ("x.y.wild.example.com", Txt, "x.y.wild.example.com 300 TXT any"),
            ("x.wild.example.com", A, "NoData"),
            ("wild.example.com", Txt, "NoData"),
            ("*.wild.example.com", Txt, "*.wild.example.com 300 TXT any"),
            ("x.*.wild.example.com", Txt, "NoName"),
            ("x.star.example.com", Cname, "x.star.example.com 300 CNAME elsewhere.example.com"),
            // Cuts hide what the zone holds below them.
            ("sub.example.com", Ns, "cut: sub.example.com 300 NS ns.sub.example.com"),
            ("below.sub.example.com", Txt, "cut: sub.example.com 300 NS ns.sub.example.com"),
            ("sub.example.com", RecordKind::Other(43), "NoData"),
            // A DNAME redirects what is below it, not itself.
            ("tree.example.com", Dname, "tree.example.com 300 DNAME other.example.net"),
            ("tree.example.com", Txt, "NoData"),
            (
                "x.tree.example.com",
                Txt,
                "tree.example.com 300 DNAME other.example.net | x.tree.example.com 300 CNAME \
                 x.other.example.net -> x.other.example.net",
            ),
        ];
        for (owner, kind, expected) in table {
            assert_eq!(find(owner, kind), expected, "{owner} {kind}");
        }
    }

    #[test]
    fn an_absence_is_cached_for_the_lesser_of_two_times() {
        let zone = zone().with("@ 120 SOA ns1 hostmaster 7 1 1 1 900");
        let soa = zone.absence().expect("every zone has an SOA");
        assert_eq!(soa.ttl, 120);
        assert_eq!(zone.records().filter(|record| record.kind() == RecordKind::Soa).count(), 1);
        assert_eq!(Zone::new("example.com").absence().map(|soa| soa.ttl), Some(300));
    }

    #[test]
    fn a_dname_that_makes_a_name_too_long_says_so() {
        let long = ["a".repeat(63), "b".repeat(63), "c".repeat(63)].join(".");
        let zone = Zone::new("x").with(&format!("t DNAME {long}."));
        let asked = name(&format!("{}.t.x", "d".repeat(63)));
        assert!(matches!(zone.find(&asked, RecordKind::Txt), Found::TooLong(_)));
    }

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
