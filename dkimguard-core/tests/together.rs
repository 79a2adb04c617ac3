//! Several faults at once, zones within zones, and neighbours that look like the cause: what stands first, how far it
//! reaches, and which records it names.

mod scene;

use std::net::{IpAddr, Ipv4Addr};

use dkimguard_core::identity::{ProviderStatus, Targets};
use dkimguard_core::look::Rcode;
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::{Fault, TOKENS, World, Zone, easy_dkim_identity};

use scene::{
    BBB, DOMAIN, KEY, SECOND, Scenario, Scene, any_key, assert_all, degraded, failing, healthy, own_key,
    strings, take,
};

/// The server of a zone within the zone.
const NS9: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 99));

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    // One record of three.
    failing("no server answers TXT at one record", |s| {
        s.world.fault(DOMAIN, Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Txt).below(BBB));
    }, &["txt-unanswerable"]),
    failing("all servers fail on one record", |s| {
        s.world.fault(DOMAIN, Fault::Rcode(Rcode::SERVFAIL).below(BBB));
    }, &["server-failing"]),
    failing("a record is missing at one server, and the other doesn't answer its TXT", |s| {
        s.world.server(World::NS1).remove(BBB);
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Txt).below(BBB));
    }, &["txt-unanswerable", "servers-disagree"]),
    failing("a record is missing at one server, and the other fails on it", |s| {
        s.world.server(World::NS1).remove(BBB);
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).below(BBB));
    }, &["record-missing", "server-failing"]),
    failing("one record is wrong everywhere, and another at one server", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME old.dkim.amazonses.com");
        s.world.server(World::NS2).replace("aaa._domainkey.example.com CNAME old.dkim.amazonses.com");
    }, &["wrong-target", "servers-disagree", "wrong-target"]),
    degraded("the targets' zone is assumed, and one server has another for one record", |s| {
        s.identity.targets = Targets::Assumed;
        s.world.server(World::NS2).replace("bbb._domainkey.example.com CNAME bbb.dkim.eu-west-3.amazonses.com");
    }, &["servers-disagree", "wrong-target"]),
    failing("the provider has given up, and one resolver is silent", |s| {
        s.identity.status = ProviderStatus::Failed;
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Silent);
    }, &["provider-gave-up", "resolver-failing"]).exposing(0, 2),

    // Wildcards beside a record that is missing.
    failing("a record is missing, and a wildcard sends the rest to the web", |s| {
        s.world.remove(BBB).publish("*.example.com CNAME web.example.net");
    }, &["record-missing"]),
    failing("an own key is missing, and a wildcard stops at its neighbours", |s| {
        own_key(s, KEY);
        s.world.remove("s1._domainkey.example.com").publish("*.example.com TXT \"v=spf1 -all\"");
    }, &["record-missing"]),
    failing("an own key is missing, has no neighbours, and a wildcard answers", |s| {
        own_key(s, KEY);
        s.remove_records();
        s.world.remove("s1._domainkey.example.com").publish("*.example.com TXT \"v=spf1 -all\"");
    }, &["wildcard-answer"]),

    // Zones within the zone.
    healthy("a subdomain below a public suffix of two labels", |s| {
        s.world.add_easy_dkim("mail.example.co.uk");
        s.identity = easy_dkim_identity("mail.example.co.uk");
    }),
    healthy("a subdomain that is a zone of its own, on the servers of the domain", |s| {
        let zone = Zone::new("mail.example.com").with(&TOKENS.map(alias).concat());
        s.world.host(zone, [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)]);
        s.identity = easy_dkim_identity("mail.example.com");
    }),
    healthy("a selector that is a zone of its own, on a server of the domain and one of its own", |s| {
        own_key(s, KEY);
        s.identity.selectors.push(any_key("s3"));
        s.world.remove("s1._domainkey.example.com");
        s.world.publish(&format!("s3._domainkey.example.com TXT {}", strings(KEY)));
        s.world.host(
            Zone::new("s1._domainkey.example.com").with(&format!("@ TXT {}", strings(KEY))),
            [("ns9.example.com", NS9), ("ns1.example.com", World::NS1)],
        );
    }).exposing(0, 3),
    degraded("the first server refers _domainkey to a server that is gone", |s| {
        refer_nowhere(s, World::NS1);
    }, &["server-lame"]),
    degraded("the last server refers _domainkey to a server that is gone", |s| {
        refer_nowhere(s, World::NS2);
    }, &["server-lame"]),
    failing("the only server of one selector's zone is down", |s| {
        own_key(s, KEY);
        selector_in_a_zone_within(s);
        s.world.server(NS9).fault(Fault::Silent);
    }, &["server-unreachable"]).exposing(1, 3),
];

/// The line of one token's CNAME, in the zone of its domain.
fn alias(token: &str) -> String {
    format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")
}

/// One server has, instead of the records, a delegation to a name without an address.
fn refer_nowhere(scene: &mut Scene, address: IpAddr) {
    let server = scene.world.server(address);
    for token in TOKENS {
        server.remove(&format!("{token}._domainkey.example.com"));
    }
    server.publish("_domainkey.example.com NS gone.example.com");
}

/// A second selector, `s2.mail`, in a zone of its own at a third server.
fn selector_in_a_zone_within(scene: &mut Scene) {
    scene.identity.selectors.push(any_key("s2.mail"));
    let zone = Zone::new("mail._domainkey.example.com").with(&format!("s2 TXT {}", strings(KEY)));
    scene.world.host(zone, [("ns9.example.com", NS9)]);
}

#[test]
fn faults_that_meet_are_all_told_the_worst_first() {
    assert_all(SCENARIOS);
}

#[test]
fn a_cause_names_the_records_that_it_affects_and_no_others() {
    let report = take(|s| {
        own_key(s, KEY);
        selector_in_a_zone_within(s);
        for address in [World::NS1, World::NS2] {
            s.world.server(address).publish("mail._domainkey.example.com NS gone.example.com");
        }
    });
    let lame = report.causes.first().expect("the server without an address is a cause");
    assert_eq!(lame.cause.code(), "server-lame", "{report}");
    let records: Vec<String> = lame.records.iter().map(ToString::to_string).collect();
    assert_eq!(records, ["s2.mail._domainkey.example.com"], "{report}");
}
