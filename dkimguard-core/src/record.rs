//! [`Record`], [`RecordKind`], [`RecordData`]: what "the same record" means.

use std::fmt;
use std::net::{Ipv4Addr, Ipv6Addr};

use crate::name::Name;

/// The type of a DNS record (RFC 1035 §3.2.2 and later ones).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum RecordKind {
    /// An IPv4 address.
    A,
    /// An IPv6 address.
    Aaaa,
    /// Another name for this name.
    Cname,
    /// Another name for the tree below this name (RFC 6672).
    Dname,
    /// A mail exchanger.
    Mx,
    /// A name server of a zone.
    Ns,
    /// The start of a zone's authority.
    Soa,
    /// Strings.
    Txt,
    /// Any other type, by its number.
    Other(u16),
}

impl RecordKind {
    /// The number that stands for the type in a DNS message.
    pub fn number(self) -> u16 {
        match self {
            Self::A => 1,
            Self::Ns => 2,
            Self::Cname => 5,
            Self::Soa => 6,
            Self::Mx => 15,
            Self::Txt => 16,
            Self::Aaaa => 28,
            Self::Dname => 39,
            Self::Other(number) => number,
        }
    }
}

impl From<u16> for RecordKind {
    fn from(number: u16) -> Self {
        match number {
            1 => Self::A,
            2 => Self::Ns,
            5 => Self::Cname,
            6 => Self::Soa,
            15 => Self::Mx,
            16 => Self::Txt,
            28 => Self::Aaaa,
            39 => Self::Dname,
            other => Self::Other(other),
        }
    }
}

impl fmt::Display for RecordKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A => f.pad("A"),
            Self::Aaaa => f.pad("AAAA"),
            Self::Cname => f.pad("CNAME"),
            Self::Dname => f.pad("DNAME"),
            Self::Mx => f.pad("MX"),
            Self::Ns => f.pad("NS"),
            Self::Soa => f.pad("SOA"),
            Self::Txt => f.pad("TXT"),
            Self::Other(number) => f.pad(&format!("TYPE{number}")),
        }
    }
}

/// One record as an answer held it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Record {
    /// Whose record it is.
    pub name: Name,
    /// How long it may be cached, in seconds, as this answer said.
    pub ttl: u32,
    /// What it says.
    pub data: RecordData,
}

impl Record {
    /// The record's type.
    pub fn kind(&self) -> RecordKind {
        self.data.kind()
    }
}

/// What a record says. Equal data is the same record, whatever the TTL and however a name was written.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RecordData {
    /// An IPv4 address.
    A(Ipv4Addr),
    /// An IPv6 address.
    Aaaa(Ipv6Addr),
    /// The name that this name stands for.
    Cname(Name),
    /// The tree that the tree below this name stands for.
    Dname(Name),
    /// A mail exchanger.
    Mx {
        /// Lower is tried first.
        preference: u16,
        /// The exchanger's name.
        exchange: Name,
    },
    /// A name server.
    Ns(Name),
    /// The start of authority.
    Soa(Soa),
    /// The strings of one record.
    Txt(Txt),
    /// Data of a type that isn't read here, as it came.
    Other {
        /// The type's number.
        kind: u16,
        /// The octets.
        octets: Box<[u8]>,
    },
}

impl RecordData {
    /// The type of this data.
    pub fn kind(&self) -> RecordKind {
        match self {
            Self::A(_) => RecordKind::A,
            Self::Aaaa(_) => RecordKind::Aaaa,
            Self::Cname(_) => RecordKind::Cname,
            Self::Dname(_) => RecordKind::Dname,
            Self::Mx { .. } => RecordKind::Mx,
            Self::Ns(_) => RecordKind::Ns,
            Self::Soa(_) => RecordKind::Soa,
            Self::Txt(_) => RecordKind::Txt,
            Self::Other { kind, .. } => RecordKind::from(*kind),
        }
    }
}

/// The value for people and for JSON: names without the final dot, the strings of a TXT joined.
impl fmt::Display for RecordData {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::A(address) => address.fmt(f),
            Self::Aaaa(address) => address.fmt(f),
            Self::Cname(name) | Self::Dname(name) | Self::Ns(name) => name.fmt(f),
            Self::Mx { preference, exchange } => write!(f, "{preference} {exchange}"),
            Self::Soa(soa) => write!(f, "{} {} {}", soa.primary, soa.mailbox, soa.serial),
            Self::Txt(txt) => txt.fmt(f),
            Self::Other { octets, .. } => write!(f, "\\# {} octets", octets.len()),
        }
    }
}

/// The start of a zone's authority (RFC 1035 §3.3.13).
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Soa {
    /// The primary name server.
    pub primary: Name,
    /// The mailbox of who answers for the zone, as a name.
    pub mailbox: Name,
    /// The version of the zone.
    pub serial: u32,
    /// Seconds between two looks of a secondary server.
    pub refresh: u32,
    /// Seconds before a secondary server tries again.
    pub retry: u32,
    /// Seconds after which a secondary server stops answering.
    pub expire: u32,
    /// With the SOA's own TTL the upper bound on how long an absence is cached, in seconds (RFC 2308 §5).
    pub minimum: u32,
}

/// The strings of one TXT record.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Txt {
    strings: Vec<Box<[u8]>>,
}

impl Txt {
    /// A record of these strings.
    pub fn new<S: Into<Box<[u8]>>>(strings: impl IntoIterator<Item = S>) -> Self {
        Self { strings: strings.into_iter().map(Into::into).collect() }
    }

    /// The strings, in their order.
    pub fn strings(&self) -> impl Iterator<Item = &[u8]> {
        self.strings.iter().map(AsRef::as_ref)
    }

    /// The strings of this record joined without a separator, as DKIM reads them (RFC 6376 §3.6.2.2).
    pub fn joined(&self) -> Vec<u8> {
        self.strings.concat()
    }
}

/// The joined strings; octets that aren't UTF-8 are replaced.
impl fmt::Display for Txt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&String::from_utf8_lossy(&self.joined()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn every_type_number_is_read_and_written_back() {
        for number in 0..=u16::MAX {
            let kind = RecordKind::from(number);
            assert_eq!(kind.number(), number);
            assert!(kind != RecordKind::Other(number) || kind.to_string() == format!("TYPE{number}"));
        }
    }

    #[test]
    fn data_knows_its_type_and_its_text() {
        let soa = Soa {
            primary: name("ns1.example.com"),
            mailbox: name("hostmaster.example.com"),
            serial: 7,
            refresh: 1,
            retry: 2,
            expire: 3,
            minimum: 4,
        };
        let table = [
            (RecordData::A(Ipv4Addr::LOCALHOST), "A", "127.0.0.1"),
            (RecordData::Aaaa(Ipv6Addr::LOCALHOST), "AAAA", "::1"),
            (RecordData::Cname(name("A.example.")), "CNAME", "a.example"),
            (RecordData::Dname(name("a.example")), "DNAME", "a.example"),
            (RecordData::Mx { preference: 10, exchange: name("mx.example") }, "MX", "10 mx.example"),
            (RecordData::Ns(name("ns.example")), "NS", "ns.example"),
            (RecordData::Soa(soa), "SOA", "ns1.example.com hostmaster.example.com 7"),
            (RecordData::Txt(Txt::new([b"a b".as_slice(), b"c"])), "TXT", "a bc"),
            (RecordData::Txt(Txt::new([b"\xff".as_slice()])), "TXT", "\u{fffd}"),
            (RecordData::Txt(Txt::new(Vec::<&[u8]>::new())), "TXT", ""),
            (RecordData::Other { kind: 257, octets: Box::new([0, 1]) }, "TYPE257", "\\# 2 octets"),
            // A number that has a name here stands for it, even where the data came unread.
            (RecordData::Other { kind: 5, octets: Box::new([]) }, "CNAME", "\\# 0 octets"),
        ];
        for (data, kind, text) in table {
            assert_eq!((data.kind().to_string().as_str(), data.to_string().as_str()), (kind, text));
        }
    }

    #[test]
    fn the_same_record_is_the_same_however_its_names_were_written() {
        assert_eq!(RecordData::Cname(name("Target.EXAMPLE.")), RecordData::Cname(name("target.example")));
        assert_ne!(RecordData::Cname(name("target.example")), RecordData::Dname(name("target.example")));
    }

    #[test]
    fn strings_of_one_record_are_joined_without_a_blank_and_kept_apart_in_it() {
        let txt = Txt::new([b"v=DKIM1; p=AB".as_slice(), b"", b"CD"]);
        assert_eq!(txt.joined(), b"v=DKIM1; p=ABCD");
        assert_eq!(txt.strings().count(), 3);
        // Another cut is other data, of the same meaning.
        assert_ne!(txt, Txt::new([b"v=DKIM1; p=ABCD".as_slice()]));
    }
}
