//! Zone files: a zone in BIND's master file format (RFC 1035 §5), read to be judged before any server loads it.
//!
//! `$ORIGIN`, `$TTL`, relative names, parentheses, quoted strings, escapes and BIND's units of time (`1h30m`) are
//! read. `$INCLUDE` and `$GENERATE` are refused: what the file alone says would not be the zone.

mod entry;

use std::collections::HashSet;
use std::fs::File;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use domain::base::iana::Class;
use domain::base::name::{Label, ToName};
use domain::base::rdata::ComposeRecordData;
use domain::base::{Name as WireName, RecordData as _};
use domain::rdata::ZoneRecordData;
use domain::zonefile::inplace::{Entry as Scanned, ScannedRecord, Zonefile};
use thiserror::Error;

use self::entry::{Entries, Entry, Position};
use crate::look::UnservedZone;
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind, Soa, Txt};
use crate::zone::Zone;

/// The largest file that is read, in octets.
pub const MAX_ZONE_FILE: u64 = 64 << 20;

/// Why a file is no zone. The message is one sentence that begins with the file and the place.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ZoneFileError {
    /// The file could not be read.
    #[error("{}: the file cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file is larger than [`MAX_ZONE_FILE`].
    #[error("{}: the file is larger than {} MiB", path.display(), MAX_ZONE_FILE >> 20)]
    TooLarge {
        /// The file.
        path: PathBuf,
    },
    /// The file holds no record.
    #[error("{title}: there is no record in the file")]
    Empty {
        /// The file.
        title: String,
    },
    /// The file doesn't say of which zone it is, and nobody else did.
    #[error(
        "{title}: the file names neither an $ORIGIN nor a zone by its SOA, so its names could be anybody's"
    )]
    NoOrigin {
        /// The file.
        title: String,
    },
    /// Something in the file isn't as it must be.
    #[error("{title}:{line}:{column}: {reason}")]
    Refused {
        /// The file.
        title: String,
        /// The line, from 1.
        line: usize,
        /// The column, in characters from 1.
        column: usize,
        /// What is wrong there.
        reason: String,
    },
}

/// Reads a zone from a file. Its [title](UnservedZone::title) is the path.
///
/// The zone is the one that the SOA record names, else the file's first `$ORIGIN`, else `origin`, which also completes
/// relative names before the first `$ORIGIN`.
///
/// # Errors
/// A file that can't be read or is larger than [`MAX_ZONE_FILE`]; what [`parse`] refuses.
pub fn open(path: &Path, origin: Option<&Name>) -> Result<UnservedZone, ZoneFileError> {
    let unreadable = |source| ZoneFileError::Unreadable { path: path.to_owned(), source };
    let mut text = Vec::new();
    let file = File::open(path).map_err(unreadable)?;
    file.take(MAX_ZONE_FILE + 1).read_to_end(&mut text).map_err(unreadable)?;
    if u64::try_from(text.len()).is_ok_and(|length| length > MAX_ZONE_FILE) {
        return Err(ZoneFileError::TooLarge { path: path.to_owned() });
    }
    parse(&path.display().to_string(), &text, origin)
}

/// Reads a zone from the text of a file, which need not be UTF-8. `title` stands for the file in messages and reports.
///
/// What a name server would take exception to without refusing the file, or would refuse only as a whole, is a
/// [note](UnservedZone::notes) of the zone: no SOA, no NS record, records of other zones, an origin that the file
/// doesn't name. A record that stands there twice counts once.
///
/// # Errors
/// The first place where the text is no zone file; a text without a record; one that doesn't say of which zone it is.
pub fn parse(title: &str, text: &[u8], origin: Option<&Name>) -> Result<UnservedZone, ZoneFileError> {
    match (read(text, None), origin) {
        // The file's own word comes first, so that a name which isn't relative to anything is noticed.
        (Err(Stop::NoOrigin), Some(origin)) => match read(text, Some(origin)) {
            Ok(contents) => contents.into_zone(title, Some(origin), Origin::Assumed),
            Err(stop) => Err(stop.into_error(title)),
        },
        (Ok(contents), origin) => contents.into_zone(title, origin, Origin::Given),
        (Err(stop), _) => Err(stop.into_error(title)),
    }
}

/// Whether the file itself says to what its relative names are relative.
#[derive(Clone, Copy, PartialEq)]
enum Origin {
    Given,
    Assumed,
}

/// Why reading stopped.
enum Stop {
    /// At a relative name, with no origin.
    NoOrigin,
    /// At what is wrong.
    Refused(Position, String),
}

impl Stop {
    fn into_error(self, title: &str) -> ZoneFileError {
        let title = title.to_owned();
        match self {
            Self::NoOrigin => ZoneFileError::NoOrigin { title },
            Self::Refused(Position { line, column }, reason) => {
                ZoneFileError::Refused { title, line, column, reason }
            }
        }
    }
}

/// What a file holds.
struct Contents {
    /// The records, each once, and the line where it begins.
    records: Vec<(usize, Record)>,
    /// The first `$ORIGIN`.
    origin: Option<Name>,
}

fn read(text: &[u8], origin: Option<&Name>) -> Result<Contents, Stop> {
    let mut zone_file = Zonefile::with_capacity(text.len());
    zone_file.set_default_class(Class::IN);
    if let Some(origin) = origin.and_then(|origin| WireName::from_slice(origin.as_wire()).ok()) {
        zone_file.set_origin(origin.to_bytes());
    }
    let mut contents = Contents { records: Vec::new(), origin: None };
    let mut seen = HashSet::new();
    let mut has_soa = false;
    // One entry after the other, so that what is wrong is known to be in this one.
    for entry in Entries::of(text) {
        let entry = entry.map_err(|(position, reason)| Stop::Refused(position, reason))?;
        if let Some(reason) = refused_directive(&entry) {
            return Err(Stop::Refused(entry.position(), reason.to_owned()));
        }
        zone_file.extend_from_slice(entry.feed());
        loop {
            match zone_file.next_entry() {
                Ok(None) => break,
                Ok(Some(Scanned::Record(record))) => {
                    let record =
                        convert(&record).map_err(|reason| Stop::Refused(entry.position(), reason))?;
                    if !seen.insert((record.name.clone(), record.data.clone())) {
                        continue;
                    }
                    if record.kind() == RecordKind::Soa {
                        if has_soa {
                            let reason = "a zone has one SOA record, and this is a second one".to_owned();
                            return Err(Stop::Refused(entry.position(), reason));
                        }
                        has_soa = true;
                    }
                    contents.records.push((entry.position().line, record));
                }
                Ok(Some(Scanned::Include { .. })) => {
                    return Err(Stop::Refused(entry.position(), INCLUDE.to_owned()));
                }
                Err(error) => return Err(stop(&entry, &error.to_string())),
            }
        }
        if contents.origin.is_none() && entry.is_directive("$ORIGIN") {
            contents.origin = zone_file.origin().ok().and_then(|origin| convert_name(&origin).ok());
        }
    }
    Ok(contents)
}

const INCLUDE: &str = "$INCLUDE is not followed; give the zone as one file";

fn refused_directive(entry: &Entry<'_>) -> Option<&'static str> {
    if entry.is_directive("$INCLUDE") {
        Some(INCLUDE)
    } else if entry.is_directive("$GENERATE") {
        Some("$GENERATE is not expanded; give the records that it stands for")
    } else {
        None
    }
}

/// What the scanner says, `line:column: message`, at the place in the entry and in words for people.
fn stop(entry: &Entry<'_>, said: &str) -> Stop {
    let mut parts = said.splitn(3, ':');
    let mut number = || parts.next().and_then(|number| number.trim().parse::<usize>().ok()).unwrap_or(1);
    let (line, column) = (number(), number());
    let message = parts.next().unwrap_or(said).trim();
    if message == "missing origin" {
        return Stop::NoOrigin;
    }
    if message.starts_with("different class") {
        return Stop::Refused(entry.position(), "the record is of another class than IN".to_owned());
    }
    if let Some(directive) = message.strip_prefix("unknown control: ") {
        return Stop::Refused(entry.position(), format!("the directive {directive} is not known"));
    }
    let (position, token) = entry.token_at(line, column);
    let reason = match message.split(':').next().unwrap_or(message) {
        "expected rtype" => format!("'{token}' is no type of record"),
        "bad charstr" => "a string has more than 255 octets; cut it into several".to_owned(),
        "bad name" => format!("'{token}' is no domain name"),
        "bad symbol" => format!("a character or an escape in '{token}' cannot be read"),
        "missing last owner" => "the first record names no owner".to_owned(),
        "unexpected end of entry" | "short buffer" => "the record ends too early".to_owned(),
        "trailing tokens" => format!("nothing is wanted here any more: '{token}'"),
        _ => format!("{message}: '{token}'"),
    };
    Stop::Refused(position, reason)
}

impl Contents {
    fn into_zone(
        self,
        title: &str,
        origin: Option<&Name>,
        from: Origin,
    ) -> Result<UnservedZone, ZoneFileError> {
        if self.records.is_empty() {
            return Err(ZoneFileError::Empty { title: title.to_owned() });
        }
        let soa = self.records.iter().find(|(_, record)| record.kind() == RecordKind::Soa);
        let apex = soa.map(|(_, record)| &record.name).or(self.origin.as_ref()).or(origin).cloned();
        let apex = apex.ok_or_else(|| ZoneFileError::NoOrigin { title: title.to_owned() })?;
        let mut notes = Vec::new();
        if from == Origin::Assumed
            && let Some(origin) = origin
        {
            notes.push(format!("{title} names no $ORIGIN: its names were taken as relative to {origin}"));
        } else if soa.is_none() && self.origin.is_none() {
            notes.push(format!("{title} does not say of which zone it is: it was taken for {apex}"));
        }
        if soa.is_none() {
            notes.push(format!("{title} has no SOA record: a name server would not load it as it is"));
        }
        let is_ns = |record: &Record| record.name == apex && record.kind() == RecordKind::Ns;
        if !self.records.iter().any(|(_, record)| is_ns(record)) {
            notes.push(format!(
                "{title} has no NS record of {apex}: a name server would not load it as it is"
            ));
        }
        let mut zone = Zone::at(apex);
        let mut outside: Vec<(usize, Name)> = Vec::new();
        for (line, record) in self.records {
            if record.name.is_at_or_below(zone.apex()) {
                zone.insert(record);
            } else {
                outside.push((line, record.name));
            }
        }
        if let Some((line, name)) = outside.first() {
            let (count, are) = match outside.len() {
                1 => ("a record".to_owned(), "lies"),
                count => (format!("{count} records"), "lie"),
            };
            notes.push(format!(
                "{title}:{line}: {count} {are} outside {} and were left out, as name servers do, the first of {name}",
                zone.apex()
            ));
        }
        let unserved = UnservedZone::new(title, zone);
        Ok(notes.into_iter().fold(unserved, UnservedZone::with_note))
    }
}

fn convert(record: &ScannedRecord) -> Result<Record, String> {
    if record.class() != Class::IN {
        return Err("the record is of another class than IN".to_owned());
    }
    let data = match record.data() {
        ZoneRecordData::A(data) => RecordData::A(data.addr()),
        ZoneRecordData::Aaaa(data) => RecordData::Aaaa(data.addr()),
        ZoneRecordData::Cname(data) => RecordData::Cname(convert_name(data.cname())?),
        ZoneRecordData::Dname(data) => RecordData::Dname(convert_name(data.dname())?),
        ZoneRecordData::Ns(data) => RecordData::Ns(convert_name(data.nsdname())?),
        ZoneRecordData::Mx(data) => {
            RecordData::Mx { preference: data.preference(), exchange: convert_name(data.exchange())? }
        }
        ZoneRecordData::Soa(data) => RecordData::Soa(Soa {
            primary: convert_name(data.mname())?,
            mailbox: convert_name(data.rname())?,
            serial: data.serial().into_int(),
            refresh: data.refresh().as_secs(),
            retry: data.retry().as_secs(),
            expire: data.expire().as_secs(),
            minimum: data.minimum().as_secs(),
        }),
        ZoneRecordData::Txt(data) => RecordData::Txt(Txt::new(data.iter().map(Box::<[u8]>::from))),
        data => {
            let mut octets = Vec::new();
            // A vector takes whatever is composed into it.
            let _ = data.compose_rdata(&mut octets);
            RecordData::Other { kind: data.rtype().to_int(), octets: octets.into() }
        }
    };
    Ok(Record { name: convert_name(record.owner())?, ttl: record.ttl().as_secs(), data })
}

fn convert_name(name: &impl ToName) -> Result<Name, String> {
    let mut labels: Vec<&[u8]> = name.iter_labels().map(Label::as_slice).collect();
    // The root's, which a `Name` has unsaid. The scanner lets two dots in a row pass, and that is refused here.
    labels.pop_if(|label| label.is_empty());
    Name::from_labels(labels).map_err(|error| format!("a name cannot be: {error}"))
}

#[cfg(test)]
mod tests {
    use proptest::collection::vec;
    use proptest::prelude::*;

    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// The records, `name ttl TYPE value` each, without the SOA that every zone has.
    fn records(text: &str) -> Vec<String> {
        let zone = parse("db", text.as_bytes(), Some(&name("example.com")));
        let zone = zone.unwrap_or_else(|error| panic!("{error}"));
        let shown =
            |record: &Record| format!("{} {} {} {}", record.name, record.ttl, record.kind(), record.data);
        zone.zone().records().filter(|record| record.kind() != RecordKind::Soa).map(shown).collect()
    }

    fn refusal(text: &str) -> String {
        match parse("db", text.as_bytes(), None) {
            Ok(zone) => panic!("{text:?} was read as {zone:?}"),
            Err(error) => error.to_string(),
        }
    }

    fn notes(text: &str, origin: Option<&str>) -> Vec<String> {
        let zone = parse("db", text.as_bytes(), origin.map(name).as_ref());
        let zone = zone.unwrap_or_else(|error| panic!("{text:?}: {error}"));
        zone.notes().map(str::to_owned).collect()
    }

    #[test]
    fn what_binds_format_allows_is_read() {
        let table: &[(&str, &[&str])] = &[
            ("$ORIGIN example.com.\n@ 60 IN A 192.0.2.1\n", &["example.com 60 A 192.0.2.1"]),
            ("$ORIGIN example.com.\n@ IN 60 A 192.0.2.1", &["example.com 60 A 192.0.2.1"]),
            ("$ORIGIN example.com.\r\n$TTL 1h\r\nA A 192.0.2.1\r\n", &["a.example.com 3600 A 192.0.2.1"]),
            ("$ORIGIN example.com.\n$TTL 1W2d3H4m5s\nx A 192.0.2.1", &["x.example.com 788645 A 192.0.2.1"]),
            ("$ORIGIN example.com.\nx 1h30m IN A 192.0.2.1", &["x.example.com 5400 A 192.0.2.1"]),
            ("$ORIGIN example.com.\nx IN 2d A 192.0.2.1", &["x.example.com 172800 A 192.0.2.1"]),
            // A name that looks like a time is a name, and a string stays one.
            ("$ORIGIN example.com.\n1h 60 TXT 2h", &["1h.example.com 60 TXT 2h"]),
            // The owner of the line above, comments, parentheses over lines.
            (
                "$ORIGIN example.com.\n; a comment (\nx 60 ( A\n 192.0.2.1 ) ; \"\n  60 TXT ( \"a\" ; more\n \"b;(\" )\n",
                &["x.example.com 60 A 192.0.2.1", "x.example.com 60 TXT ab;("],
            ),
            // An origin may change, relative to the one before.
            (
                "$ORIGIN example.com.\n$ORIGIN _domainkey\naaa 60 CNAME aaa.dkim.amazonses.com.\nbbb 60 CNAME bbb.dkim.amazonses.com",
                &[
                    "aaa._domainkey.example.com 60 CNAME aaa.dkim.amazonses.com",
                    "bbb._domainkey.example.com 60 CNAME bbb.dkim.amazonses.com._domainkey.example.com",
                ],
            ),
            (
                "$ORIGIN example.com.\na\\.b 60 TXT \"q\\\"uo\\\\te \\116\"",
                &["a\\.b.example.com 60 TXT q\"uo\\te t"],
            ),
            ("$ORIGIN example.com.\nx 60 TXT é \"è\" \\é", &["x.example.com 60 TXT éèé"]),
            ("$ORIGIN example.com.\nx 60 TXT \"\"", &["x.example.com 60 TXT "]),
            // Types that aren't read here, and those that nobody knows.
            ("$ORIGIN example.com.\nx 60 TYPE65280 \\# 2 0a0b", &["x.example.com 60 TYPE65280 \\# 2 octets"]),
            ("$ORIGIN example.com.\nx 60 SRV 1 2 3 y", &["x.example.com 60 TYPE33 \\# 21 octets"]),
            (
                "$ORIGIN example.com.\nx 60 CAA 0 issue \"ca.example\"",
                &["x.example.com 60 TYPE257 \\# 17 octets"],
            ),
            (
                "$ORIGIN example.com.\nx 60 DNAME y\n@ 60 MX 10 mx",
                &["x.example.com 60 DNAME y.example.com", "example.com 60 MX 10 mx.example.com"],
            ),
            // What no server should load is read, once each.
            (
                "$ORIGIN example.com.\nx 60 CNAME y\nx 60 CNAME z\nX 70 CNAME y",
                &["x.example.com 60 CNAME y.example.com", "x.example.com 60 CNAME z.example.com"],
            ),
            // No origin but the one that was given.
            ("x 60 A 192.0.2.1", &["x.example.com 60 A 192.0.2.1"]),
        ];
        for (text, expected) in table {
            assert_eq!(records(text), *expected, "{text:?}");
        }
    }

    #[test]
    fn the_soa_says_of_which_zone_the_file_is() {
        let text = "$ORIGIN com.\nexample 60 SOA ns1.host.net. hostmaster ( 7 2h 15m 2w 5m )\n";
        let zone = parse("db", text.as_bytes(), Some(&name("mail.example.com"))).expect("it is a zone");
        assert_eq!(*zone.apex(), name("example.com"));
        let soa = zone.zone().absence().expect("every zone has an SOA");
        let RecordData::Soa(soa) = soa.data else { panic!("{soa:?}") };
        assert_eq!(
            (soa.serial, soa.refresh, soa.retry, soa.expire, soa.minimum),
            (7, 7200, 900, 1_209_600, 300)
        );
    }

    #[test]
    fn what_is_wrong_is_told_with_its_place() {
        let long = format!("$ORIGIN x.\n@ 60 TXT ok \"{}\"", "p".repeat(256));
        let label = format!("$ORIGIN x.\n{} 60 TXT ok", "l".repeat(64));
        let table = [
            ("", "db: there is no record in the file"),
            ("; nothing\n\n$TTL 1h\n", "db: there is no record in the file"),
            (
                "@ 60 A 192.0.2.1",
                "db: the file names neither an $ORIGIN nor a zone by its SOA, so its names could be anybody's",
            ),
            (
                "example.com. 60 A 192.0.2.1",
                "db: the file names neither an $ORIGIN nor a zone by its SOA, so its names could be anybody's",
            ),
            ("$ORIGIN x.\n\n  \n@ 60 A 192.0.2.300 ; no\n", "db:4:8: expected IPv4 address: '192.0.2.300'"),
            ("$ORIGIN x.\n@ 1h A 192.0.2.300", "db:2:8: expected IPv4 address: '192.0.2.300'"),
            ("$ORIGIN x.\n@ 60 ALIAS y", "db:2:6: 'ALIAS' is no type of record"),
            ("$ORIGIN x.\n@ 60 CNAME\n@ 60 A 192.0.2.1", "db:2:6: the record ends too early"),
            ("$ORIGIN x.\n@ 60 CNAME y z\n", "db:2:14: nothing is wanted here any more: 'z'"),
            (
                "$ORIGIN x.\n@ 60 CNAME a..b\n",
                "db:2:1: a name cannot be: it has an empty label (two dots in a row, or a dot at the start)",
            ),
            ("$ORIGIN x.\n@ 60 MX ten y\n", "db:2:9: expected decimal number: 'ten'"),
            ("$ORIGIN x.\n@ 60 CNAME .a\n", "db:2:12: '.a' is no domain name"),
            (
                "$ORIGIN x.\n@ 60 TXT \"a\nb\"\n",
                "db:2:10: a character or an escape in '\"a\\nb\"' cannot be read",
            ),
            ("$ORIGIN x.\n@ 60 (\n TXT \"a\"\n", "db:2:6: a parenthesis is left open"),
            ("$ORIGIN x.\n@ 60 TXT ) \"a\"\n", "db:2:10: a parenthesis is closed that was not opened"),
            ("$ORIGIN x.\n@ 60 TXT \"a\n", "db:2:10: a quotation mark is left open"),
            ("$ORIGIN x.\n@ 60 TXT \\999\n", "db:2:10: a character or an escape in '\\\\999' cannot be read"),
            (&long, "db:2:13: a string has more than 255 octets; cut it into several"),
            (
                &label,
                "db:2:1: 'llllllllllllllllllllllllllllllllllllllllllllllllllllllllllllllll' is no domain name",
            ),
            ("$ORIGIN x.\n@ CH TXT a\n", "db:2:1: the record is of another class than IN"),
            ("$ORIGIN x.\n  60 A 192.0.2.1", "db:2:3: the first record names no owner"),
            (
                "$ORIGIN x.\n$INCLUDE /etc/passwd\n",
                "db:2:1: $INCLUDE is not followed; give the zone as one file",
            ),
            (
                "$ORIGIN x.\n  $include sub.db\n",
                "db:2:3: $INCLUDE is not followed; give the zone as one file",
            ),
            (
                "$GENERATE 1-3 h$ A 192.0.2.$\n",
                "db:1:1: $GENERATE is not expanded; give the records that it stands for",
            ),
            ("$ORIGIN x.\n$TTTL 1h\n", "db:2:1: the directive $TTTL is not known"),
            (
                "$ORIGIN x.\n@ 60 SOA a b 1 2 3 4 5\n@ 60 SOA a b 2 2 3 4 5\n",
                "db:3:1: a zone has one SOA record, and this is a second one",
            ),
        ];
        for (text, expected) in table {
            assert_eq!(refusal(text), expected, "{text:?}");
        }
    }

    #[test]
    fn what_a_server_would_mind_is_noted() {
        const SOA: &str = "@ 60 SOA ns h 1 2 3 4 5\n@ 60 NS ns\n";
        let with = |more: &str| format!("$ORIGIN example.com.\n{SOA}{more}");
        assert_eq!(notes(&with(""), None), [""; 0]);
        assert_eq!(
            notes(&with("\nexample.org. 60 A 192.0.2.1\nexample.net. 60 A 192.0.2.1"), None),
            [
                "db:5: 2 records lie outside example.com and were left out, as name servers do, the first of example.org"
            ]
        );
        assert_eq!(
            notes("$ORIGIN example.com.\nx 60 A 192.0.2.1", Some("mail.example.com")),
            [
                "db has no SOA record: a name server would not load it as it is",
                "db has no NS record of example.com: a name server would not load it as it is"
            ]
        );
        assert_eq!(
            notes(SOA, Some("example.com")),
            ["db names no $ORIGIN: its names were taken as relative to example.com"]
        );
        let absolute = "example.com. 60 NS ns.example.com.";
        assert_eq!(
            notes(absolute, Some("example.com")),
            [
                "db does not say of which zone it is: it was taken for example.com",
                "db has no SOA record: a name server would not load it as it is"
            ]
        );
    }

    #[test]
    fn a_file_that_cannot_be_read_or_never_ends_is_refused() {
        let missing = open(Path::new("/nonexistent/db"), None).expect_err("there is none");
        assert_eq!(missing.to_string(), "/nonexistent/db: the file cannot be read");
        let file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.as_file().set_len(MAX_ZONE_FILE + 1).expect("a sparse file");
        let large = open(file.path(), None).expect_err("it is too large");
        assert!(large.to_string().ends_with(": the file is larger than 64 MiB"), "{large}");
    }

    /// Texts of what zone files are made of, in any order.
    fn anything_like_a_zone_file() -> impl Strategy<Value = Vec<u8>> {
        let words: Vec<&'static str> = "@|example.com.|a|IN|CH|1h|300|A|AAAA|CNAME|TXT|MX|NS|SOA|SRV|CAA|192.0.2.1|\
            \"a b\"|\"|(|)|;x|$ORIGIN|$TTL|$INCLUDE|\\|\\#|4|c0000201|\\300|\\.|é|..|.|DS|DNSKEY|RRSIG|NSEC|NSEC3|\
            SVCB|HTTPS|TLSA|SSHFP|TYPE65|CLASS1|ipv4hint=1.2.3.4|alpn=\"h2\"|LOC|20260101000000|-|==|AAAA====|::1|\
            NAPTR|key1=\"q v\"|\"\\|OPENPGPKEY|ZONEMD|HINFO|IPSECKEY|NSEC3PARAM|0|1|99999999999|*"
            .split('|')
            .map(str::trim_start)
            .chain(["\n", "\n", "\n", "\n ", " ", "\t", "\r\n", "\0", "\u{7f}"])
            .collect();
        let word = proptest::sample::select(words);
        vec((word, prop_oneof![Just(" "), Just(" "), Just("")]), 0..40).prop_map(|words| {
            words.iter().map(|(word, gap)| format!("{word}{gap}")).collect::<String>().into_bytes()
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(4000))]

        #[test]
        fn no_text_makes_the_reader_panic(text in anything_like_a_zone_file()) {
            let _ = parse("db", &text, None);
            let _ = parse("db", &text, Some(&name("example.com")));
        }

        #[test]
        fn no_octets_make_the_reader_panic(text in vec(any::<u8>(), 0..200)) {
            let _ = parse("db", &text, Some(&name("example.com")));
        }

        #[test]
        fn what_is_refused_lies_in_the_text(text in anything_like_a_zone_file()) {
            if let Err(ZoneFileError::Refused { line, column, .. }) = parse("db", &text, Some(&name("example.com"))) {
                let lines: Vec<&[u8]> = text.split(|octet| *octet == b'\n').collect();
                prop_assert!((1..=lines.len()).contains(&line), "{line}");
                let length = String::from_utf8_lossy(lines[line - 1]).chars().count();
                prop_assert!((1..=length + 1).contains(&column), "{line}:{column}");
            }
        }
    }
}
