//! Servers of which one differs, and once all.

use super::{ALL_THREE, ANY_KEY, Case, GONE2, HEALTHY, ONE_MISSING, S1, long_key, zone};
use crate::tree::Software::{Bind, Knot, Nsd, PowerDns, PowerDnsWithoutTcp};
use crate::tree::{Server, Software};

pub(super) fn cases() -> Vec<Case> {
    let mut cases = vec![
        Case::degraded("server-lame", zone("referral.dktest", HEALTHY, [Nsd.into(), Server::registry()]))
            .records(ALL_THREE)
            .evidence(&["ns2.referral.dktest", "a referral to referral.dktest"])
            .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &[]),
        Case::degraded("server-lame", zone("recursive.dktest", HEALTHY, [Nsd.into(), Server::recursive()]))
            .records(ALL_THREE)
            .evidence(&["ns2.recursive.dktest", "not authoritative"])
            .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &["gone2.dkim.amazonses.com."]),
        Case::degraded("server-lame", zone("nameless.dktest", HEALTHY, [Knot.into(), Server::nowhere()]))
            .records(ALL_THREE)
            .evidence(&["ns2.nameless.dktest", "no address"]),
        Case::degraded("server-unreachable", zone("down.dktest", HEALTHY, [Nsd.into(), Server::closed()]))
            .records(ALL_THREE)
            .evidence(&["ns2.down.dktest", "connection refused"])
            .shown(1, "gone2._domainkey", "CNAME", "connection refused", &[]),
        Case::degraded("server-unreachable", zone("silent.dktest", HEALTHY, [Knot.into(), Server::silent()]))
            .records(ALL_THREE)
            .evidence(&["ns2.silent.dktest", "no answer"])
            .shown(1, "gone2._domainkey", "CNAME", "timed out", &[]),
        // One name with two addresses.
        Case::degraded(
            "server-unreachable",
            zone(
                "half-down.dktest",
                HEALTHY,
                [PowerDns.into(), Server::closed()]
                    .map(|server: Server| server.named("ns1.half-down.dktest.")),
            ),
        )
        .records(ALL_THREE)
        .evidence(&["ns1.half-down.dktest", "connection refused"]),
        // Each has another fault, and together they leave nobody to answer.
        Case::failing(
            "server-lame",
            zone("no-server.dktest", HEALTHY, [Server::without_zone(Nsd), Server::closed()]),
        )
        .and("server-unreachable")
        .records(ALL_THREE),
        Case::failing(
            "server-failing",
            zone("no-file.dktest", HEALTHY, [Server::without_file(Knot), Server::without_file(PowerDns)]),
        )
        .records(ALL_THREE),
        Case::degraded(
            "servers-disagree",
            zone(
                "other-value.dktest",
                HEALTHY,
                [
                    Server::from(Bind),
                    Server::from(PowerDns).with_records(&HEALTHY.replace("gone2.dkim", "older.dkim")),
                ],
            ),
        )
        .records(GONE2)
        .and("wrong-target")
        .evidence(&["ns2.other-value.dktest", "older.dkim.amazonses.com"]),
        // PowerDNS works out the TXT by a program, which fails.
        Case::degraded(
            "txt-unanswerable",
            zone(
                "no-txt.dktest",
                HEALTHY,
                [
                    Server::from(Nsd),
                    Server::from(PowerDns)
                        .with_records(&format!("{HEALTHY}gone2._domainkey LUA TXT \"error(\"\n")),
                ],
            ),
        )
        .records(GONE2)
        .evidence(&["ns2.no-txt.dktest", "SERVFAIL"])
        .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &["gone2.dkim.amazonses.com."])
        .shown(1, "gone2._domainkey", "TXT", "SERVFAIL", &[]),
        Case::degraded("tcp-unanswerable", zone("no-tcp.dktest", &long_key(), [Nsd, PowerDnsWithoutTcp]))
            .identity(ANY_KEY)
            .records(S1)
            .evidence(&["ns2.no-tcp.dktest"])
            .shown(1, "", "NS", "NOERROR", &["ns1.no-tcp.dktest.", "ns2.no-tcp.dktest."]),
    ];
    cases.extend(
        with_each_second("split", "servers-disagree", |software| {
            Server::from(software).with_older_records(ONE_MISSING)
        })
        .map(|case| {
            case.records(GONE2).evidence(&["ns2.split-", "NXDOMAIN", "2026112401"]).shown(
                1,
                "gone2._domainkey",
                "CNAME",
                "NXDOMAIN",
                &[],
            )
        }),
    );
    cases.extend(with_each_second("refused", "server-lame", Server::without_zone).map(|case| {
        case.records(ALL_THREE).evidence(&["ns2.refused-", "REFUSED"]).shown(
            1,
            "gone2._domainkey",
            "CNAME",
            "REFUSED",
            &[],
        )
    }));
    cases.extend(with_each_second("servfail", "server-failing", Server::without_file).map(|case| {
        case.records(ALL_THREE).evidence(&["ns2.servfail-", "SERVFAIL"]).shown(
            1,
            "gone2._domainkey",
            "CNAME",
            "SERVFAIL",
            &[],
        )
    }));
    cases
}

/// The same fault at the second server, by each software.
fn with_each_second(
    name: &str,
    cause: &'static str,
    second: impl Fn(Software) -> Server,
) -> impl Iterator<Item = Case> {
    [("nsd", Nsd, Knot), ("knot", Knot, Bind), ("bind", Bind, PowerDns), ("powerdns", PowerDns, Nsd)]
        .map(|(word, bad, good)| {
            let servers = [Server::from(good), second(bad)];
            Case::degraded(cause, zone(&format!("{name}-{word}.dktest"), HEALTHY, servers))
        })
        .into_iter()
}
