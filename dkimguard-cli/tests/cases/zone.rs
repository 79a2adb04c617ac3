//! What lies between the records and those who ask: delegations, signatures, memories.

use super::{ALL_THREE, Case, GONE2, HEALTHY, ONE_MISSING, zone};
use crate::tree::Software::{Bind, Knot, Nsd, PowerDns};
use crate::tree::{Listed, Resolver, Server, Signing, Software, ZoneSpec};

/// The zone that lacks a record until the remembering resolver has asked for it, and the record's name.
pub(crate) const LATE: (&str, &str) = ("late.dktest", "gone2._domainkey.late.dktest");

pub(super) fn cases() -> Vec<Case> {
    let old = |software: Software| Server::from(software).listed(Listed::OnlyByZone);
    let new = |software: Software| Server::from(software).listed(Listed::OnlyByParent).with_records("");
    let signed = |name: &str, signing: Signing| zone(name, HEALTHY, [Nsd, Knot]).signing(signing);
    let bogus = |zone: ZoneSpec| {
        // The servers hold every record; only validation fails.
        Case::failing("dnssec-bogus", zone).records(ALL_THREE).evidence(&["SERVFAIL"]).exposure(0, 2)
    };
    vec![
        // The copy of the zone at the new servers still names the old ones.
        Case::failing(
            "wrong-nameservers",
            zone("moved.dktest", HEALTHY, [new(Nsd), new(Bind), old(Knot), old(PowerDns)]),
        )
        .records(ALL_THREE)
        .evidence(&["ns1.moved.dktest", "ns3.moved.dktest", "NXDOMAIN"])
        .without_exposure()
        .shown(0, "", "NS", "NOERROR", &["ns3.moved.dktest.", "ns4.moved.dktest."]),
        // A server that was left behind lacks the records, which the delegated ones hold.
        Case::degraded(
            "servers-disagree",
            zone(
                "left-behind.dktest",
                HEALTHY,
                [Server::from(Bind), Server::from(Knot).listed(Listed::OnlyByZone).with_older_records("")],
            ),
        )
        .records(ALL_THREE)
        .evidence(&["ns2.left-behind.dktest", "NXDOMAIN"]),
        // The new host answers for every name.
        Case::failing(
            "wrong-nameservers",
            zone(
                "moved-wildcard.dktest",
                HEALTHY,
                [new(Nsd).with_records("* A 192.0.2.80\n* TXT \"v=spf1 -all\"\n"), old(PowerDns)],
            ),
        )
        .records(ALL_THREE)
        .without_exposure(),
        Case::degraded(
            "delegation-mismatch",
            zone(
                "more-at-parent.dktest",
                HEALTHY,
                [Server::from(Nsd), Server::from(Knot).listed(Listed::OnlyByParent)],
            ),
        )
        .records(ALL_THREE)
        .evidence(&["ns1.more-at-parent.dktest, ns2.more-at-parent.dktest"])
        .exposure(0, 2),
        Case::degraded(
            "delegation-mismatch",
            zone(
                "more-in-zone.dktest",
                HEALTHY,
                [Server::from(Bind), Server::from(PowerDns).listed(Listed::OnlyByZone)],
            ),
        )
        .records(ALL_THREE)
        .exposure(0, 2),
        Case::failing("zone-cut", zone("cut.dktest", HEALTHY, [Nsd, Knot]))
            .beside(zone("_domainkey.cut.dktest", "", [Bind, PowerDns]))
            .likely()
            .records(ALL_THREE)
            .evidence(&["cut.dktest delegates _domainkey.cut.dktest"])
            .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &[]),
        // The keys' own servers hold them, and one of those that must lead there is down.
        Case::degraded("server-unreachable", zone("way-down.dktest", "", [Nsd.into(), Server::closed()]))
            .beside(zone("_domainkey.way-down.dktest", &HEALTHY.replace("._domainkey", ""), [Bind, PowerDns]))
            .records(ALL_THREE)
            .without_exposure(),
        Case::failing("zone-cut", zone("same-servers.dktest", HEALTHY, [Bind, PowerDns]))
            .beside(zone("_domainkey.same-servers.dktest", "", [Bind, PowerDns]))
            .likely()
            .records(ALL_THREE)
            .shown(0, "gone2._domainkey", "CNAME", "NXDOMAIN", &[]),
        // It leads to the records by names of one's own; the provider compares the value.
        Case::failing("wrong-target", zone("dname-detour.dktest", "_domainkey DNAME keys\n", [Nsd, Bind]))
            .records(ALL_THREE)
            .evidence(&["gone2.keys.dname-detour.dktest"]),
        bogus(signed("expired.dktest", Signing::Expired)),
        bogus(signed("stale-ds.dktest", Signing::StaleDs)),
        bogus(signed("ds-left.dktest", Signing::Removed)),
        bogus(signed("expired.dkoptout", Signing::Expired)),
        // Only the keys' own zone fails validation.
        Case::failing("dnssec-bogus", zone("keys-bogus.dktest", "", [Nsd, Knot]).signing(Signing::Valid))
            .beside(
                zone("_domainkey.keys-bogus.dktest", &HEALTHY.replace("._domainkey", ""), [Bind, PowerDns])
                    .signing(Signing::Expired),
            )
            .records(ALL_THREE)
            .exposure(0, 2),
        undelegated("gone.dktest"),
        undelegated("gone.dkoptout"),
        Case::failing(
            "domain-gone",
            zone("parked.dktest", "* A 192.0.2.80\n", [Server::from(Nsd).named("ns1.sedoparking.com.")]),
        )
        .beside(zone("sedoparking.com", "", [Nsd]))
        .records(ALL_THREE)
        .evidence(&["ns1.sedoparking.com"])
        .exposure(1, 1),
        Case::degraded("negative-cached", zone(LATE.0, ONE_MISSING, [Nsd, Knot]).negative_ttl(300))
            .through(&[Resolver::Validating, Resolver::Remembering])
            .records(GONE2)
            .evidence(&["NXDOMAIN", "s more"])
            .without_certainty()
            .exposure(0, 2)
            .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &["gone2.dkim.amazonses.com."])
            .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &["gone2.dkim.amazonses.com."]),
    ]
}

/// A domain that its registry doesn't know.
fn undelegated(domain: &str) -> Case {
    let mut case = Case::failing("domain-gone", ZoneSpec::new(domain))
        .records(ALL_THREE)
        .evidence(&["NXDOMAIN"])
        .without_exposure();
    case.zones.clear();
    case
}
