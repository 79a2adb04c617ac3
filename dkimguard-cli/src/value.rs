//! The values that options and configuration keys take. Each is read from text once, here, and is sound from then on.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use dkimguard_core::look::{DNS_PORT, PremiseServer, Vantage};
use dkimguard_core::name::Name;
use jiff::SignedDuration;
use serde::{Deserialize, Deserializer, de};
use thiserror::Error;

use crate::failure::Code;

/// The port of DNS over TLS (RFC 7858 §3.1).
const TLS_PORT: u16 = 853;
/// The port of HTTPS.
const HTTPS_PORT: u16 = 443;
/// The path at which resolvers behind HTTPS are found by convention (RFC 8484 §4.1.1 shows it).
const HTTPS_PATH: &str = "/dns-query";
/// The longest time-out: a look with a silent server in it should still end before a person gives up.
const LONGEST_TIMEOUT: Duration = Duration::from_secs(300);
/// The most attempts; beyond that a look is a flood.
const MOST_ATTEMPTS: u32 = 100;

/// The shortest time between two events: a look takes as long where a server is silent.
const SHORTEST_INTERVAL: Duration = Duration::from_secs(1);
/// The longest, 366 days: beyond that nothing is watched.
const LONGEST_INTERVAL: Duration = Duration::from_secs(366 * 24 * 3600);
/// The most looks that must agree; beyond that nobody is told in time.
const MOST_CONFIRMATIONS: u32 = 100;

/// Why a text isn't the value that was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("{message}")]
pub(crate) struct BadValue {
    /// The situation.
    pub(crate) code: Code,
    /// What is wrong with which text.
    pub(crate) message: String,
    /// What would be right.
    pub(crate) hint: String,
}

impl BadValue {
    fn new(code: Code, text: &str, what: &str, hint: impl Into<String>) -> Self {
        Self { code, message: format!("'{text}' {what}"), hint: hint.into() }
    }
}

/// A value of a TOML file that is read from a string, so that what is wrong with it is told with line and column.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Text<T>(pub(crate) T);

impl<'de, T: FromStr<Err = BadValue>> Deserialize<'de> for Text<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?
            .parse()
            .map(Self)
            .map_err(|bad: BadValue| de::Error::custom(format!("{bad}; {}", bad.hint)))
    }
}

/// A number of a TOML file that is read as though it had been written on the command line.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Number<T>(pub(crate) T);

impl<'de, T: FromStr<Err = BadValue>> Deserialize<'de> for Number<T> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let toml::Value::Integer(number) = toml::Value::deserialize(deserializer)? else {
            return Err(de::Error::custom("a number is wanted here, without quotes"));
        };
        number
            .to_string()
            .parse()
            .map(Self)
            .map_err(|bad: BadValue| de::Error::custom(format!("{bad}; {}", bad.hint)))
    }
}

/// A domain that somebody named.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Domain(pub(crate) Name);

impl FromStr for Domain {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = |what: &str, hint: String| Err(BadValue::new(Code::BadDomain, text, what, hint));
        if let Some((_, domain)) = text.rsplit_once('@') {
            return bad("is a mail address, not a domain", format!("name the domain alone: {domain}"));
        }
        if text.contains('/') {
            let host = text.split("://").last().and_then(|rest| rest.split('/').next());
            return bad("is no domain", format!("name the domain alone: {}", host.unwrap_or("example.com")));
        }
        match text.parse::<Name>() {
            Ok(name) if name.is_root() => {
                bad("is the root of the DNS, which sends no mail", like("example.com"))
            }
            Ok(name) => Ok(Self(name)),
            Err(why) => bad(&format!("is no domain: {why}"), like("example.com")),
        }
    }
}

/// Where identities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum SourceKind {
    /// Amazon SES.
    Ses,
    /// A file.
    File(PathBuf),
}

impl FromStr for SourceKind {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.split_once(':') {
            None if text == "ses" => Ok(Self::Ses),
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.into())),
            _ => Err(BadValue::new(
                Code::BadSource,
                text,
                "is no source of identities",
                "write ses, or file:PATH with a path that ends in .toml or .jsonl",
            )),
        }
    }
}

/// A region of AWS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Region(pub(crate) dkimguard_aws::Region);

impl FromStr for Region {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse()
            .map(Self)
            .map_err(|_| BadValue::new(Code::BadRegion, text, "is no region of AWS", like("us-east-1")))
    }
}

/// The ARN of a role to assume.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct RoleArn(pub(crate) dkimguard_aws::RoleArn);

impl FromStr for RoleArn {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| {
            let example = like("arn:aws:iam::123456789012:role/dkimguard");
            BadValue::new(Code::BadRole, text, "is not the ARN of a role", example)
        })
    }
}

/// A recursive resolver: an address, or an address behind TLS or HTTPS.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Resolver(pub(crate) Vantage);

impl FromStr for Resolver {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let vantage = if let Some(rest) = text.strip_prefix("tls://") {
            let (rest, name) = rest.split_once('#').unwrap_or((rest, ""));
            socket_address(rest, TLS_PORT)
                .map(|address| Vantage::Tls { address, server_name: server_name(name, address) })
        } else if let Some(rest) = text.strip_prefix("https://") {
            let (rest, name) = rest.split_once('#').unwrap_or((rest, ""));
            let (rest, path) = match rest.find('/') {
                Some(at) => rest.split_at(at),
                None => (rest, HTTPS_PATH),
            };
            socket_address(rest, HTTPS_PORT).map(|address| Vantage::Https {
                address,
                server_name: server_name(name, address),
                path: path.to_owned(),
            })
        } else {
            socket_address(text, DNS_PORT).map(|address| Vantage::Resolver { address })
        };
        vantage.map(Self).ok_or_else(|| {
            BadValue::new(
                Code::BadResolver,
                text,
                "is not the address of a resolver",
                "write an IP address, with a port where it isn't 53: 192.0.2.53, 192.0.2.53:5353, 2001:db8::53, \
                 [2001:db8::53]:5353; or tls://192.0.2.53#dns.example, https://192.0.2.53/dns-query#dns.example",
            )
        })
    }
}

/// A name server that a domain may be moved to: its name or its address.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Nameserver(pub(crate) PremiseServer);

impl FromStr for Nameserver {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = |what: &str| {
            let hint = "write its name or its address, with a port where it isn't 53: ns1.example.net, \
                        ns1.example.net:5353, 192.0.2.1, [2001:db8::1]:5353";
            Err(BadValue::new(Code::BadNameserver, text, what, hint))
        };
        if let Some(address) = socket_address(text, DNS_PORT) {
            // A port that isn't written is that of all servers.
            let port = text.parse::<SocketAddr>().ok().map(|address| address.port());
            return Ok(Self(PremiseServer::At { address: address.ip(), port }));
        }
        let (host, port) = match text.rsplit_once(':') {
            Some((host, port)) => match port.parse::<Port>() {
                Ok(Port(port)) => (host, Some(port)),
                Err(_) => return bad("is not a name server"),
            },
            None => (text, None),
        };
        match host.parse::<Name>() {
            // A top-level domain of digits doesn't exist, and a mistyped address looks like one.
            Ok(name) if name.is_root() || is_number(&name) => bad("is not a name server"),
            Ok(name) => Ok(Self(PremiseServer::Named { name, port })),
            Err(why) => bad(&format!("is not a name server: {why}")),
        }
    }
}

fn is_number(name: &Name) -> bool {
    name.labels().last().is_some_and(|label| label.iter().all(u8::is_ascii_digit))
}

/// An IP address with or without a port, IPv6 in brackets or not.
fn socket_address(text: &str, port: u16) -> Option<SocketAddr> {
    let bare = text.strip_prefix('[').and_then(|rest| rest.strip_suffix(']')).filter(|ip| ip.contains(':'));
    let address = text
        .parse::<SocketAddr>()
        .or_else(|_| bare.unwrap_or(text).parse::<IpAddr>().map(|ip| SocketAddr::new(ip, port)))
        .ok()?;
    (address.port() != 0).then_some(address)
}

/// The name that the certificate must have: the one given, else the address.
fn server_name(given: &str, address: SocketAddr) -> String {
    if given.is_empty() { address.ip().to_string() } else { given.to_owned() }
}

/// A port.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Port(pub(crate) u16);

impl FromStr for Port {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        match text.parse() {
            Ok(port) if port != 0 => Ok(Self(port)),
            _ => Err(BadValue::new(Code::BadPort, text, "is no port", "give a number from 1 to 65535")),
        }
    }
}

/// How many domains are looked at how thoroughly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum DepthChoice {
    /// From everywhere.
    Full,
    /// Through one resolver.
    Quick,
    /// As many as a person names: from everywhere. More: through one resolver, and from everywhere where that
    /// shows anything unexpected.
    #[default]
    Auto,
}

impl FromStr for DepthChoice {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        one_of(text, "a depth", &[("full", Self::Full), ("quick", Self::Quick), ("auto", Self::Auto)])
    }
}

/// How long one attempt waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Timeout(pub(crate) Duration);

impl FromStr for Timeout {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = |what: &str| {
            Err(BadValue::new(
                Code::BadDuration,
                text,
                what,
                "give a time with its unit, up to 5m: 2s, 500ms",
            ))
        };
        let Span(duration) = text.parse()?;
        if duration.is_zero() {
            bad("leaves no time for an answer")
        } else if duration > LONGEST_TIMEOUT {
            bad("is too long a time")
        } else {
            Ok(Self(duration))
        }
    }
}

/// A length of time: `2s`, `500ms`, `1h 30m`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Span(pub(crate) Duration);

impl FromStr for Span {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse::<SignedDuration>()
            .ok()
            .and_then(|signed| Duration::try_from(signed).ok())
            .map(Self)
            .ok_or_else(|| {
                BadValue::new(
                    Code::BadDuration,
                    text,
                    "is no length of time",
                    "give it with its unit: 2s, 500ms",
                )
            })
    }
}

/// A time between two events: `15m`, `1s`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Interval(pub(crate) Duration);

impl FromStr for Interval {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let bad = |what: &str| {
            Err(BadValue::new(Code::BadDuration, text, what, "give a time from 1s to 366 days: 15m, 24h"))
        };
        let Span(duration) = text.parse()?;
        if duration < SHORTEST_INTERVAL {
            bad("is too short")
        } else if duration > LONGEST_INTERVAL {
            bad("is too long")
        } else {
            Ok(Self(duration))
        }
    }
}

/// How many looks must agree.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Confirmations(pub(crate) NonZeroU32);

impl FromStr for Confirmations {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let looks = text.parse::<NonZeroU32>().ok().filter(|looks| looks.get() <= MOST_CONFIRMATIONS);
        looks.map(Self).ok_or_else(|| {
            let hint = format!("give a number from 1 to {MOST_CONFIRMATIONS}");
            BadValue::new(Code::BadNumber, text, "is no number of looks", hint)
        })
    }
}

/// Where to listen: an address and a port, or a port of this machine alone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Listen(pub(crate) SocketAddr);

impl FromStr for Listen {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let port = text.strip_prefix(':').unwrap_or(text).parse::<u16>();
        let loopback = |port| SocketAddr::new(Ipv4Addr::LOCALHOST.into(), port);
        text.parse().or_else(|_| port.map(loopback)).map(Self).map_err(|_| {
            let hint = "write an IP address and a port: 127.0.0.1:9580, [::1]:9580; or the port alone";
            BadValue::new(Code::BadAddress, text, "is no address to listen at", hint)
        })
    }
}

/// How often one server is asked one question.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Attempts(pub(crate) NonZeroU32);

impl FromStr for Attempts {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse::<NonZeroU32>()
            .ok()
            .filter(|attempts| attempts.get() <= MOST_ATTEMPTS)
            .map(Self)
            .ok_or_else(|| {
                let hint = format!("give a number from 1 to {MOST_ATTEMPTS}");
                BadValue::new(Code::BadNumber, text, "is no number of attempts", hint)
            })
    }
}

/// In which form reports are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Format {
    /// For people.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for Format {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        one_of(text, "a format", &[("text", Self::Text), ("json", Self::Json)])
    }
}

/// In which form what happens is logged.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum LogFormat {
    /// For people, and for a journal that adds its own.
    #[default]
    Text,
    /// One JSON object a line.
    Json,
}

impl FromStr for LogFormat {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        one_of(text, "a format", &[("text", Self::Text), ("json", Self::Json)])
    }
}

/// Whether text is coloured.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Color {
    /// On a terminal, unless NO_COLOR is set.
    #[default]
    Auto,
    /// Always.
    Always,
    /// Never.
    Never,
}

impl FromStr for Color {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let choices = [("auto", Self::Auto), ("always", Self::Always), ("never", Self::Never)];
        one_of(text, "a choice of colour", &choices)
    }
}

/// A switch, where it is set by an environment variable.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Switch(pub(crate) bool);

impl FromStr for Switch {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        let choices =
            [("true", true), ("false", false), ("1", true), ("0", false), ("yes", true), ("no", false)];
        one_of(text, "true or false", &choices).map(Self)
    }
}

/// How often `-v` was given.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Verbose(pub(crate) u8);

impl FromStr for Verbose {
    type Err = BadValue;

    fn from_str(text: &str) -> Result<Self, BadValue> {
        text.parse().map(Self).map_err(|_| {
            BadValue::new(Code::BadNumber, text, "is no level of detail", "give a number: 0, 1 or 2")
        })
    }
}

/// The choice that the text names.
fn one_of<T: Copy>(text: &str, what: &str, choices: &[(&str, T)]) -> Result<T, BadValue> {
    choices.iter().find(|(word, _)| *word == text).map(|&(_, choice)| choice).ok_or_else(|| {
        let words: Vec<&str> = choices.iter().map(|&(word, _)| word).collect();
        let hint = format!("choose one of {}", words.join(", "));
        BadValue::new(Code::BadChoice, text, &format!("is not {what}"), hint)
    })
}

fn like(example: &str) -> String {
    format!("it looks like {example}")
}

#[cfg(test)]
mod tests {
    use std::fmt::Debug;

    use super::*;

    /// Each text is read as the value, or refused with a message that names it.
    fn reads<T: FromStr<Err = BadValue> + PartialEq + Debug>(table: &[(&str, Option<T>)]) {
        for (text, expected) in table {
            match (text.parse::<T>(), expected) {
                (Ok(value), Some(expected)) => assert_eq!(value, *expected, "{text}"),
                (Err(bad), None) => {
                    assert!(bad.message.contains(&format!("'{text}'")), "{bad}");
                    assert!(!bad.hint.is_empty(), "{bad}");
                }
                (outcome, _) => panic!("{text:?} was read as {outcome:?}"),
            }
        }
    }

    #[test]
    fn a_resolver_is_an_address_with_or_without_a_port() {
        let address = |text: &str| text.parse().expect("an address");
        let resolver = |text: &str| Some(Resolver(Vantage::Resolver { address: address(text) }));
        let tls = |text: &str, name: &str| {
            Some(Resolver(Vantage::Tls { address: address(text), server_name: name.to_owned() }))
        };
        let https = |text: &str, name: &str, path: &str| {
            let (server_name, path) = (name.to_owned(), path.to_owned());
            Some(Resolver(Vantage::Https { address: address(text), server_name, path }))
        };
        reads(&[
            ("192.0.2.53", resolver("192.0.2.53:53")),
            ("192.0.2.53:5353", resolver("192.0.2.53:5353")),
            ("2001:db8::1", resolver("[2001:db8::1]:53")),
            ("[2001:db8::1]", resolver("[2001:db8::1]:53")),
            ("[2001:db8::1]:5353", resolver("[2001:db8::1]:5353")),
            ("tls://192.0.2.53", tls("192.0.2.53:853", "192.0.2.53")),
            ("tls://[2001:db8::1]:8853#dns.example", tls("[2001:db8::1]:8853", "dns.example")),
            ("https://192.0.2.53", https("192.0.2.53:443", "192.0.2.53", "/dns-query")),
            ("https://192.0.2.53:8443/ask#dns.example", https("192.0.2.53:8443", "dns.example", "/ask")),
            ("https://dns.example/dns-query", None),
            ("tcp://192.0.2.53", None),
            ("[192.0.2.53]", None),
            ("192.0.2.53:0", None),
            ("192.0.2.53:65536", None),
            ("192.0.2.53:", None),
            ("192.0.2.256", None),
            ("dns.example", None),
            ("", None),
        ]);
    }

    #[test]
    fn a_name_server_is_a_name_or_an_address_with_or_without_a_port() {
        let named = |name: &str, port| {
            Some(Nameserver(PremiseServer::Named { name: name.parse().expect("a name"), port }))
        };
        let at = |address: &str, port| {
            Some(Nameserver(PremiseServer::At { address: address.parse().expect("an address"), port }))
        };
        reads(&[
            ("NS1.example.net.", named("ns1.example.net", None)),
            ("ns1.example.net:5353", named("ns1.example.net", Some(5353))),
            ("localhost", named("localhost", None)),
            ("192.0.2.1", at("192.0.2.1", None)),
            ("192.0.2.1:5353", at("192.0.2.1", Some(5353))),
            ("2001:db8::1", at("2001:db8::1", None)),
            ("[2001:db8::1]", at("2001:db8::1", None)),
            ("[2001:db8::1]:53", at("2001:db8::1", Some(53))),
            ("192.0.2.256", None),
            ("192.0.2", None),
            ("192.0.2.1:0", None),
            ("ns1.example.net:0", None),
            ("ns1.example.net:dns", None),
            ("ns1..example", None),
            ("2001:db8::g", None),
            (".", None),
            ("", None),
        ]);
    }

    #[test]
    fn a_timeout_is_a_positive_time_with_its_unit() {
        let timeout = |millis| Some(Timeout(Duration::from_millis(millis)));
        reads(&[
            ("2s", timeout(2000)),
            ("500ms", timeout(500)),
            ("1m 30s", timeout(90_000)),
            ("5m", timeout(300_000)),
            ("0s", None),
            ("-1s", None),
            ("2", None),
            ("301s", None),
            ("99999999999h", None),
            ("soon", None),
            ("", None),
        ]);
    }

    #[test]
    fn an_interval_is_neither_nothing_nor_for_ever() {
        let interval = |seconds| Some(Interval(Duration::from_secs(seconds)));
        reads(&[
            ("1s", interval(1)),
            ("15m", interval(900)),
            ("24h", interval(86_400)),
            ("999ms", None),
            ("9000h", None),
            ("15", None),
            ("-1m", None),
        ]);
        let looks = |number| NonZeroU32::new(number).map(Confirmations);
        reads(&[("1", looks(1)), ("100", looks(100)), ("0", None), ("101", None), ("-1", None)]);
    }

    #[test]
    fn a_port_alone_is_this_machines() {
        let listen = |text: &str| Some(Listen(text.parse().expect("an address")));
        reads(&[
            ("127.0.0.1:9580", listen("127.0.0.1:9580")),
            ("[::1]:0", listen("[::1]:0")),
            ("0.0.0.0:80", listen("0.0.0.0:80")),
            ("9580", listen("127.0.0.1:9580")),
            (":9580", listen("127.0.0.1:9580")),
            ("127.0.0.1", None),
            ("localhost:80", None),
            ("65536", None),
            ("", None),
        ]);
    }

    #[test]
    fn a_region_and_a_role_are_what_aws_calls_so() {
        let region = "us-gov-west-1".parse::<Region>().expect("a region");
        assert_eq!(region.0.as_str(), "us-gov-west-1");
        reads::<Region>(&[("us-east", None), ("US-EAST-1", None), ("mars", None), ("", None)]);

        let role = "arn:aws:iam::123456789012:role/dkimguard".parse::<RoleArn>().expect("a role");
        assert_eq!(role.0.as_str(), "arn:aws:iam::123456789012:role/dkimguard");
        reads::<RoleArn>(&[("dkimguard", None), ("arn:aws:iam::123456789012:user/me", None), ("", None)]);
    }

    #[test]
    fn a_domain_is_named_alone() {
        let domain = |text: &str| Some(Domain(text.parse().expect("a name")));
        reads(&[
            ("Example.COM.", domain("example.com")),
            ("bücher.example", domain("xn--bcher-kva.example")),
            ("a..example", None),
            ("me@example.com", None),
            ("https://example.com/contact", None),
            (".", None),
            ("", None),
        ]);
        let hint = "https://example.com/contact".parse::<Domain>().expect_err("a URL is no domain").hint;
        assert_eq!(hint, "name the domain alone: example.com");
    }

    #[test]
    fn numbers_and_words_have_their_bounds() {
        reads(&[
            ("1", Some(Port(1))),
            ("65535", Some(Port(65535))),
            ("0", None),
            ("65536", None),
            ("-1", None),
            ("dns", None),
        ]);
        let attempts = |n| NonZeroU32::new(n).map(Attempts);
        reads(&[("1", attempts(1)), ("100", attempts(100)), ("0", None), ("101", None), ("two", None)]);
        reads(&[("full", Some(DepthChoice::Full)), ("Full", None), ("deep", None), ("", None)]);
        reads(&[
            ("ses", Some(SourceKind::Ses)),
            ("file:a:b.toml", Some(SourceKind::File("a:b.toml".into()))),
            ("file:", None),
            ("ses:", None),
            ("identities.toml", None),
        ]);
    }
}
