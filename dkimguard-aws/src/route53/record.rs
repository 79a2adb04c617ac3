//! From a record set of Route 53 to [`Record`]s. Nothing here asks.

use aws_sdk_route53::types::ResourceRecordSet;
use dkimguard_core::name::Name;
use dkimguard_core::record::{Record, RecordData, RecordKind, Soa, Txt};

use crate::spelling::{self, Octet};

/// The types that Route 53 knows, and their numbers.
const TYPES: [(&str, u16); 17] = [
    ("A", 1),
    ("NS", 2),
    ("CNAME", 5),
    ("SOA", 6),
    ("PTR", 12),
    ("MX", 15),
    ("TXT", 16),
    ("AAAA", 28),
    ("SRV", 33),
    ("NAPTR", 35),
    ("DS", 43),
    ("SSHFP", 44),
    ("TLSA", 52),
    ("SVCB", 64),
    ("HTTPS", 65),
    ("SPF", 99),
    ("CAA", 257),
];

/// The records of a set, one a value. One of a type that has no number here is left out.
pub(super) fn of_set(name: &Name, set: &ResourceRecordSet) -> Vec<Record> {
    let Some(&(_, kind)) = TYPES.iter().find(|(text, _)| *text == set.r#type().as_str()) else {
        return Vec::new();
    };
    let ttl = set.ttl().and_then(|ttl| u32::try_from(ttl).ok()).unwrap_or_default();
    let record = |data| Record { name: name.clone(), ttl, data };
    if set.alias_target().is_some() {
        return vec![record(RecordData::Other { kind, octets: Box::default() })];
    }
    set.resource_records().iter().map(|told| record(data(kind, told.value()))).collect()
}

/// What a value says. One that cannot be read, or of a type that isn't read, is kept as its text.
fn data(kind: u16, value: &str) -> RecordData {
    read(RecordKind::from(kind), value)
        .unwrap_or_else(|| RecordData::Other { kind, octets: value.as_bytes().into() })
}

fn read(kind: RecordKind, value: &str) -> Option<RecordData> {
    let fields: Vec<&str> = value.split_ascii_whitespace().collect();
    Some(match (kind, &fields[..]) {
        (RecordKind::Txt, _) => RecordData::Txt(Txt::new(strings(value))),
        (RecordKind::A, [address]) => RecordData::A(address.parse().ok()?),
        (RecordKind::Aaaa, [address]) => RecordData::Aaaa(address.parse().ok()?),
        (RecordKind::Cname, [target]) => RecordData::Cname(spelling::read(target)?),
        (RecordKind::Ns, [server]) => RecordData::Ns(spelling::read(server)?),
        (RecordKind::Mx, [preference, exchange]) => {
            RecordData::Mx { preference: preference.parse().ok()?, exchange: spelling::read(exchange)? }
        }
        (RecordKind::Soa, [primary, mailbox, serial, refresh, retry, expire, minimum]) => {
            RecordData::Soa(Soa {
                primary: spelling::read(primary)?,
                mailbox: spelling::read(mailbox)?,
                serial: serial.parse().ok()?,
                refresh: refresh.parse().ok()?,
                retry: retry.parse().ok()?,
                expire: expire.parse().ok()?,
                minimum: minimum.parse().ok()?,
            })
        }
        _ => return None,
    })
}

/// The strings of a TXT value: each in quotes, blanks between them.
fn strings(value: &str) -> Vec<Vec<u8>> {
    let mut strings = Vec::new();
    let mut open: Option<Vec<u8>> = None;
    for octet in spelling::octets(value) {
        match (octet, &mut open) {
            (Octet::Plain(b'"'), _) => match open.take() {
                Some(string) => strings.push(string),
                None => open = Some(Vec::new()),
            },
            (Octet::Plain(octet) | Octet::Escaped(octet), Some(string)) => string.push(octet),
            (_, None) => {}
        }
    }
    // Route 53 takes no string without its end; one that has none is still what the zone holds.
    strings.extend(open);
    strings
}

#[cfg(test)]
mod tests {
    use super::of_set;
    use aws_sdk_route53::types::{AliasTarget, ResourceRecord, ResourceRecordSet, RrType};
    use dkimguard_core::name::Name;
    use dkimguard_core::record::{RecordData, RecordKind};

    fn name() -> Name {
        "a.example.com".parse().expect("a name")
    }

    fn shown(kind: &str, value: &str) -> Vec<String> {
        let set = ResourceRecordSet::builder()
            .name("a.example.com.")
            .r#type(RrType::from(kind))
            .ttl(300)
            .resource_records(ResourceRecord::builder().value(value).build().expect("a value"))
            .build()
            .expect("a set");
        let records = of_set(&name(), &set);
        assert!(records.iter().all(|record| record.ttl == 300 && record.name == name()));
        records.iter().map(|record| format!("{} {}", record.kind(), record.data)).collect()
    }

    #[test]
    fn values_are_read_by_their_type_and_kept_where_they_cannot_be() {
        for (kind, value, expected) in [
            ("CNAME", "AAA.dkim.amazonses.com.", "CNAME aaa.dkim.amazonses.com"),
            ("CNAME", "aaa.dkim.amazonses.com", "CNAME aaa.dkim.amazonses.com"),
            ("CNAME", "two names", "CNAME \\# 9 octets"),
            ("A", "192.0.2.1", "A 192.0.2.1"),
            ("A", "192.0.2.256", "A \\# 11 octets"),
            ("AAAA", "2001:db8::1", "AAAA 2001:db8::1"),
            ("NS", "ns-1.awsdns-00.com.", "NS ns-1.awsdns-00.com"),
            ("MX", "10 feedback-smtp.example.", "MX 10 feedback-smtp.example"),
            ("SOA", "ns.example. host.example. 1 7200 900 1209600 86400", "SOA ns.example host.example 1"),
            ("TXT", "\"v=DKIM1; p=a\" \"b\"", "TXT v=DKIM1; p=ab"),
            ("TXT", "\"a\\\"b\\\\c\\073\" \"\"", "TXT a\"b\\c;"),
            ("TXT", "\"never closed", "TXT never closed"),
            ("CAA", "0 issue \"example.net\"", "TYPE257 \\# 21 octets"),
        ] {
            assert_eq!(shown(kind, value), [expected], "{kind} {value}");
        }
        assert!(shown("SOMETHING", "new").is_empty());
    }

    #[test]
    fn strings_of_a_txt_stay_apart() {
        assert_eq!(super::strings("\"a b\" \"c\"\t\"\""), [&b"a b"[..], b"c", b""]);
    }

    #[test]
    fn alias_is_shown_by_its_type_without_data() {
        let target = AliasTarget::builder()
            .hosted_zone_id("Z2")
            .dns_name("d1.cloudfront.net.")
            .evaluate_target_health(false)
            .build()
            .expect("a target");
        let set = ResourceRecordSet::builder().name("a.example.com.").r#type(RrType::A).alias_target(target);
        let records = of_set(&name(), &set.build().expect("a set"));
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].kind(), RecordKind::A);
        assert_eq!(records[0].data, RecordData::Other { kind: 1, octets: Box::default() });
    }
}
