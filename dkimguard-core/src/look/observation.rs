//! [`Question`], [`Vantage`], [`Response`], [`Observation`]: what was asked, from where, and what came back.

use std::collections::HashSet;
use std::fmt;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::error::LookupError;
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind, Soa, Txt};

/// How many CNAMEs are followed one after the other.
const MOST_LINKS: usize = 16;

/// What is asked. A plain question has CD and DO clear; RD follows from the [`Vantage`].
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Question {
    /// About which name.
    pub name: Name,
    /// For records of which type.
    pub kind: RecordKind,
    /// The CD bit: the resolver shall not validate (RFC 4035 §3.2.2).
    pub checking_disabled: bool,
    /// The DO bit: signatures are wanted (RFC 3225).
    pub dnssec_ok: bool,
}

impl Question {
    /// A plain question.
    pub fn new(name: Name, kind: RecordKind) -> Self {
        Self { name, kind, checking_disabled: false, dnssec_ok: false }
    }

    /// The same question with the CD bit.
    #[must_use]
    pub fn with_checking_disabled(mut self) -> Self {
        self.checking_disabled = true;
        self
    }

    /// The same question with the DO bit.
    #[must_use]
    pub fn with_dnssec_ok(mut self) -> Self {
        self.dnssec_ok = true;
        self
    }
}

impl fmt::Display for Question {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.name, self.kind)?;
        if self.checking_disabled {
            f.write_str(" +cd")?;
        }
        if self.dnssec_ok {
            f.write_str(" +do")?;
        }
        Ok(())
    }
}

/// Where a question is asked. It is data and carries the address, so that one engine serves every place.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Vantage {
    /// One address of a zone's name server, asked without recursion.
    Authoritative {
        /// The server's name; none where only its address was given.
        server: Option<Name>,
        /// The address.
        address: SocketAddr,
    },
    /// A recursive resolver.
    Resolver {
        /// The address.
        address: SocketAddr,
    },
    /// A recursive resolver that this machine is configured to use.
    System {
        /// The address.
        address: SocketAddr,
    },
    /// A recursive resolver behind DNS over TLS (RFC 7858).
    Tls {
        /// The address.
        address: SocketAddr,
        /// The name in its certificate.
        server_name: String,
    },
    /// A recursive resolver behind DNS over HTTPS (RFC 8484).
    Https {
        /// The address.
        address: SocketAddr,
        /// The name in its certificate.
        server_name: String,
        /// The path of the service: `/dns-query`.
        path: String,
    },
    /// A zone that no server serves yet, answered for as a server of it would.
    Zone {
        /// What it is called: the path of its file.
        title: String,
    },
}

impl Vantage {
    /// The address asked; of a zone that isn't served the unspecified one, port 0.
    pub fn address(&self) -> SocketAddr {
        match self {
            Self::Authoritative { address, .. }
            | Self::Resolver { address }
            | Self::System { address }
            | Self::Tls { address, .. }
            | Self::Https { address, .. } => *address,
            Self::Zone { .. } => SocketAddr::new(Ipv4Addr::UNSPECIFIED.into(), 0),
        }
    }

    /// Whether questions carry the RD bit.
    pub fn is_recursive(&self) -> bool {
        !self.is_authoritative()
    }

    /// Whether it is a zone's name server, or a zone that is answered for as by one.
    pub fn is_authoritative(&self) -> bool {
        matches!(self, Self::Authoritative { .. } | Self::Zone { .. })
    }

    /// The kind in the JSON: `authoritative`, `resolver`, `system`, `https`, `zone`.
    pub fn kind(&self) -> &'static str {
        match self {
            Self::Authoritative { .. } => "authoritative",
            Self::Resolver { .. } | Self::Tls { .. } => "resolver",
            Self::System { .. } => "system",
            Self::Https { .. } => "https",
            Self::Zone { .. } => "zone",
        }
    }
}

/// `ns1.example.com (192.0.2.1:53)`, `resolver 192.0.2.53:53`, `https://dns.example/dns-query (192.0.2.53:443)`.
impl fmt::Display for Vantage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Authoritative { server: Some(server), address } => write!(f, "{server} ({address})"),
            Self::Authoritative { server: None, address } => write!(f, "{address}"),
            Self::Resolver { address } => write!(f, "resolver {address}"),
            Self::System { address } => write!(f, "system resolver {address}"),
            Self::Tls { address, server_name } => write!(f, "tls://{server_name} ({address})"),
            Self::Https { address, server_name, path } => {
                write!(f, "https://{server_name}{path} ({address})")
            }
            Self::Zone { title } => f.write_str(title),
        }
    }
}

/// What came back: the whole message, whatever its code.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Response {
    /// The response code, with the upper bits of EDNS.
    pub rcode: Rcode,
    /// The AA bit.
    pub authoritative: bool,
    /// The RA bit.
    pub recursion_available: bool,
    /// The AD bit: the resolver has validated.
    pub authentic: bool,
    /// The answer section, in its order.
    pub answers: Vec<Record>,
    /// The authority section, in its order.
    pub authority: Vec<Record>,
    /// The additional section without the OPT record, in its order.
    pub additional: Vec<Record>,
    /// The extended errors (RFC 8914).
    pub extended_errors: Vec<ExtendedError>,
    /// How it came.
    pub transport: Transport,
    /// From the first attempt's start to the answer.
    pub elapsed: Duration,
}

impl Response {
    /// An empty response with this code; a beginning for fakes.
    pub fn new(rcode: Rcode) -> Self {
        Self {
            rcode,
            authoritative: false,
            recursion_available: false,
            authentic: false,
            answers: Vec::new(),
            authority: Vec::new(),
            additional: Vec::new(),
            extended_errors: Vec::new(),
            transport: Transport::Udp,
            elapsed: Duration::ZERO,
        }
    }

    /// The distinct CNAME targets that the answer gives for this very name.
    pub fn cnames(&self, name: &Name) -> Vec<&Name> {
        let mut targets: Vec<&Name> = self
            .answers
            .iter()
            .filter(|record| record.name == *name)
            .filter_map(|record| match &record.data {
                RecordData::Cname(target) => Some(target),
                _ => None,
            })
            .collect();
        targets.sort();
        targets.dedup();
        targets
    }

    /// Where the chain of CNAMEs that starts at this name ends, as far as the answer shows it.
    pub fn chain_end<'a>(&'a self, name: &'a Name) -> &'a Name {
        let mut end = name;
        // Resolvers follow fewer links than this; a loop ends here too.
        for _ in 0..MOST_LINKS {
            match self.cnames(end).first() {
                Some(next) if *next != name => end = next,
                // It leads back to where it began, or no further.
                Some(_) => return name,
                None => break,
            }
        }
        end
    }

    /// The distinct TXT records at the end of the chain that starts at this name; a record that is sent twice is
    /// one (RFC 2181 §5).
    pub fn texts<'a>(&'a self, name: &'a Name) -> Vec<&'a Txt> {
        let end = self.chain_end(name);
        let mut seen = HashSet::new();
        self.answers
            .iter()
            .filter(|record| record.name == *end)
            .filter_map(|record| match &record.data {
                RecordData::Txt(txt) => Some(txt),
                _ => None,
            })
            .filter(|txt| seen.insert(*txt))
            .collect()
    }

    /// The SOA in the authority section and its owner: the proof of an absence (RFC 2308).
    pub fn proof_of_absence(&self) -> Option<(&Record, &Soa)> {
        self.authority.iter().find_map(|record| match &record.data {
            RecordData::Soa(soa) => Some((record, soa)),
            _ => None,
        })
    }

    /// The NS records of the authority section, where the response is a referral: not authoritative, no answer,
    /// no SOA. The owner of the first is where the cut is.
    pub fn referral(&self) -> Option<(&Name, Vec<&Name>)> {
        if self.rcode != Rcode::NOERROR
            || self.authoritative
            || !self.answers.is_empty()
            || self.proof_of_absence().is_some()
        {
            return None;
        }
        let mut cut = None;
        let mut servers = Vec::new();
        for record in &self.authority {
            if let RecordData::Ns(server) = &record.data
                && *cut.get_or_insert(&record.name) == &record.name
            {
                servers.push(server);
            }
        }
        Some((cut?, servers))
    }
}

/// A response code (RFC 1035 §4.1.1, RFC 6895 §2.3).
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Rcode(pub u16);

impl Rcode {
    /// No error.
    pub const NOERROR: Self = Self(0);
    /// The server could not read the question.
    pub const FORMERR: Self = Self(1);
    /// The server failed.
    pub const SERVFAIL: Self = Self(2);
    /// The name does not exist.
    pub const NXDOMAIN: Self = Self(3);
    /// The server doesn't know this kind of question.
    pub const NOTIMP: Self = Self(4);
    /// The server doesn't want to answer.
    pub const REFUSED: Self = Self(5);
    /// The server isn't authoritative for the zone.
    pub const NOTAUTH: Self = Self(9);
}

impl fmt::Display for Rcode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0 {
            0 => f.pad("NOERROR"),
            1 => f.pad("FORMERR"),
            2 => f.pad("SERVFAIL"),
            3 => f.pad("NXDOMAIN"),
            4 => f.pad("NOTIMP"),
            5 => f.pad("REFUSED"),
            6 => f.pad("YXDOMAIN"),
            9 => f.pad("NOTAUTH"),
            16 => f.pad("BADVERS"),
            number => f.pad(&format!("RCODE{number}")),
        }
    }
}

/// An extended DNS error (RFC 8914): a hint, which a resolver may drop or change on the second answer.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct ExtendedError {
    /// The code.
    pub code: u16,
    /// The server's own words, often empty.
    pub text: String,
}

impl ExtendedError {
    /// The code's name in IANA's registry; `Code 99` for one that this version doesn't know.
    pub fn name(&self) -> String {
        EXTENDED_ERRORS
            .get(usize::from(self.code))
            .map_or_else(|| format!("Code {}", self.code), |name| (*name).to_owned())
    }
}

impl fmt::Display for ExtendedError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.name())?;
        if !self.text.is_empty() {
            write!(f, ": {}", self.text)?;
        }
        Ok(())
    }
}

/// IANA's registry of extended DNS errors, by code.
const EXTENDED_ERRORS: [&str; 30] = [
    "Other Error",
    "Unsupported DNSKEY Algorithm",
    "Unsupported DS Digest Type",
    "Stale Answer",
    "Forged Answer",
    "DNSSEC Indeterminate",
    "DNSSEC Bogus",
    "Signature Expired",
    "Signature Not Yet Valid",
    "DNSKEY Missing",
    "RRSIGs Missing",
    "No Zone Key Bit Set",
    "NSEC Missing",
    "Cached Error",
    "Not Ready",
    "Blocked",
    "Censored",
    "Filtered",
    "Prohibited",
    "Stale NXDomain Answer",
    "Not Authoritative",
    "Not Supported",
    "No Reachable Authority",
    "Network Error",
    "Invalid Data",
    "Signature Expired before Valid",
    "Too Early",
    "Unsupported NSEC3 Iterations Value",
    "Unable to conform to policy",
    "Synthesized",
];

/// How a response came.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Transport {
    /// One datagram.
    Udp,
    /// A connection, after the datagram was truncated.
    Tcp,
    /// DNS over TLS.
    Tls,
    /// DNS over HTTPS.
    Https,
}

impl Transport {
    /// The transport in the JSON.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Udp => "udp",
            Self::Tcp => "tcp",
            Self::Tls => "tls",
            Self::Https => "https",
        }
    }
}

/// One question asked at one place, and what came of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Observation {
    /// What was asked.
    pub question: Question,
    /// Where.
    pub vantage: Vantage,
    /// What came back, or why nothing did.
    pub outcome: Result<Response, LookupError>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    /// A record from `owner TYPE value`; the strings of a TXT stand between bars.
    fn record(line: &str) -> Record {
        let mut fields = line.splitn(3, ' ');
        let (owner, kind, value) = (fields.next(), fields.next(), fields.next().unwrap_or_default());
        let data = match kind {
            Some("CNAME") => RecordData::Cname(name(value)),
            Some("NS") => RecordData::Ns(name(value)),
            Some("TXT") => RecordData::Txt(Txt::new(value.split('|').map(str::as_bytes))),
            Some("SOA") => RecordData::Soa(Soa {
                primary: name("ns1.example.com"),
                mailbox: name("hostmaster.example.com"),
                serial: value.parse().expect("a serial"),
                refresh: 1,
                retry: 2,
                expire: 3,
                minimum: 4,
            }),
            _ => panic!("{line}: no record"),
        };
        Record { name: name(owner.expect("an owner")), ttl: 300, data }
    }

    fn records(lines: &[&str]) -> Vec<Record> {
        lines.iter().map(|line| record(line)).collect()
    }

    fn answered(lines: &[&str]) -> Response {
        Response { answers: records(lines), ..Response::new(Rcode::NOERROR) }
    }

    #[test]
    fn cnames_chains_and_texts_are_read_from_the_answer() {
        /// The answer, what `a` is an alias of, where its chain ends, and the texts there.
        type Row = (&'static [&'static str], &'static [&'static str], &'static str, &'static [&'static str]);
        let table: &[Row] = &[
            (&[], &[], "a", &[]),
            (&["a TXT k"], &[], "a", &["k"]),
            (&["a CNAME b"], &["b"], "b", &[]),
            (&["A. CNAME B."], &["b"], "b", &[]),
            (&["a CNAME b", "b TXT k"], &["b"], "b", &["k"]),
            // The order of an answer means nothing.
            (&["c TXT k", "b CNAME c", "a CNAME b"], &["b"], "c", &["k"]),
            // The record of another name is none of this name's.
            (&["z CNAME b", "z TXT k"], &[], "a", &[]),
            // Twice the same is one; two are two, and the order of the answer doesn't show.
            (&["a CNAME b", "a CNAME b"], &["b"], "b", &[]),
            (&["a CNAME c", "a CNAME b"], &["b", "c"], "b", &[]),
            // A CNAME beside other data: the chain leads on.
            (&["a CNAME b", "a TXT k"], &["b"], "b", &[]),
            // Strings are joined within a record, never across records.
            (&["a TXT v=DKIM1; |p=AB", "a TXT CD"], &[], "a", &["v=DKIM1; p=AB", "CD"]),
            (&["a TXT k", "a TXT k"], &[], "a", &["k"]),
            (&["a TXT "], &[], "a", &[""]),
        ];
        for (lines, cnames, end, texts) in table {
            let response = answered(lines);
            let of = name("a");
            let targets: Vec<Name> = cnames.iter().map(|text| name(text)).collect();
            assert_eq!(response.cnames(&of), targets.iter().collect::<Vec<_>>(), "{lines:?}");
            assert_eq!(response.chain_end(&of), &name(end), "{lines:?}");
            let found: Vec<String> = response.texts(&of).iter().map(ToString::to_string).collect();
            assert_eq!(found, *texts, "{lines:?}");
        }
    }

    #[test]
    fn a_chain_that_loops_ends() {
        for lines in [
            &["a CNAME a"][..],
            &["a CNAME b", "b CNAME a"],
            &["a CNAME b", "b CNAME c", "c CNAME b"],
            &["a CNAME b", "b CNAME c", "c CNAME a", "z TXT k", "z TXT l"],
        ] {
            let response = answered(lines);
            let start = name("a");
            let end = response.chain_end(&start);
            assert!(!response.cnames(end).is_empty(), "{lines:?}: the end is a link of the loop");
            assert!(response.texts(&start).is_empty(), "{lines:?}");
        }
    }

    #[test]
    fn an_absence_is_proven_by_the_soa_of_the_authority_section() {
        let mut response = Response::new(Rcode::NXDOMAIN);
        assert_eq!(response.proof_of_absence(), None);
        response.answers = records(&["example.com SOA 7"]);
        response.additional = records(&["example.com SOA 7"]);
        response.authority = records(&["example.com NS ns1.example.com"]);
        assert_eq!(response.proof_of_absence(), None);
        response.authority = records(&["example.com NS ns1.example.com", "example.com SOA 7"]);
        let (owner, soa) = response.proof_of_absence().expect("there is an SOA");
        assert_eq!((&owner.name, soa.serial), (&name("example.com"), 7));
    }

    #[test]
    fn a_referral_is_neither_an_answer_nor_an_absence() {
        let referral = Response {
            authority: records(&[
                "example.com NS ns1.example.com",
                "example.com NS ns2.example.net",
                "example.org NS ns3.example.org",
            ]),
            ..Response::new(Rcode::NOERROR)
        };
        let (ns1, ns2) = (name("ns1.example.com"), name("ns2.example.net"));
        assert_eq!(referral.referral(), Some((&name("example.com"), vec![&ns1, &ns2])));

        let mut with_soa = referral.clone();
        with_soa.authority.push(record("example.com SOA 7"));
        let others = [
            ("authoritative", Response { authoritative: true, ..referral.clone() }),
            ("answered", Response { answers: records(&["a CNAME b"]), ..referral.clone() }),
            ("refused", Response { rcode: Rcode::REFUSED, ..referral.clone() }),
            ("name error", Response { rcode: Rcode::NXDOMAIN, ..referral.clone() }),
            ("with an SOA", with_soa),
            ("without servers", Response::new(Rcode::NOERROR)),
        ];
        for (what, response) in others {
            assert_eq!(response.referral(), None, "{what}");
        }
    }

    #[test]
    fn codes_and_extended_errors_have_their_registered_names() {
        assert_eq!(Rcode::NXDOMAIN.to_string(), "NXDOMAIN");
        assert_eq!(Rcode(23).to_string(), "RCODE23");
        let table = [
            (0, "", "Other Error"),
            (6, "", "DNSSEC Bogus"),
            (9, "no key", "DNSKEY Missing: no key"),
            (22, "", "No Reachable Authority"),
            (29, "", "Synthesized"),
            (30, "", "Code 30"),
            (u16::MAX, "", "Code 65535"),
        ];
        for (code, text, shown) in table {
            assert_eq!(ExtendedError { code, text: text.to_owned() }.to_string(), shown);
        }
    }
}
