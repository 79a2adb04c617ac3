//! How long a look waits for those who are silent. The unit is what one question to a silent host costs: the
//! time-out times the attempts. The clock jumps, so that the tests don't wait.

mod scene;

use std::net::{IpAddr, Ipv4Addr};
use std::time::Duration;

use dkimguard_core::look::{Rcode, Vantage};
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::{Fault, World, Zone};

use scene::{
    BBB, DOMAIN, SECOND, Scenario, Scene, any_key, degraded, failing, healthy, look, move_to_names_elsewhere,
    name, resolver, unknown,
};

/// What one question to a silent host costs, by the world's time limits.
const SILENCE: Duration = Duration::from_secs(4);
/// What a timer may add.
const LITTLE: Duration = Duration::from_millis(100);

struct Timed {
    scenario: Scenario,
    /// How many silences the look may wait for, one after the other.
    silences: u32,
}

const fn within(silences: u32, scenario: Scenario) -> Timed {
    Timed { scenario, silences }
}

#[rustfmt::skip]
const TIMED: &[Timed] = &[
    within(0, healthy("all answer, at eight addresses of the top-level domain too", |s| many_guides(s, 0))),
    within(0, healthy("three of eight addresses of the top-level domain are silent", |s| many_guides(s, 3))),

    // One dead place costs one silence.
    within(1, degraded("one server is silent", |s| {
        s.world.server(World::NS2).fault(Fault::Silent);
    }, &["server-unreachable"])),
    within(1, degraded("one server drops TXT", |s| {
        s.world.server(World::NS2).fault(Fault::Silent.for_kind(RecordKind::Txt));
    }, &["txt-unanswerable"])),
    within(1, failing("one server is silent, which alone serves three zones within the zone", |s| {
        let labels = ["s1", "s2", "s3"];
        s.identity.selectors = labels.map(any_key).to_vec();
        for label in labels {
            s.world.host(Zone::new(&format!("{label}._domainkey.example.com")), [("ns9.example.com", NS9)]);
        }
        s.world.server(NS9).fault(Fault::Silent);
    }, &["server-unreachable"]).exposing(1, 1)),
    within(1, healthy("one resolver is silent", |s| {
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Silent);
    }).listing(&["resolver-failing"])),
    within(1, healthy("the public resolver is silent, this machine's own answers", own_resolver_alone)
        .listing(&["resolver-failing"])),
    within(1, failing("one resolver is silent, and the zone is bogus", |s| {
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Silent);
        s.world.make_bogus(DOMAIN, 7, "");
    }, &["dnssec-bogus"]).exposing(0, 2)),
    within(1, unknown("one resolver is silent, and the other cannot find a server's name", |s| {
        cannot_find_a_server(s);
    }, &["resolver-failing"]).exposing(0, 1)),

    // Silences that follow from one another.
    within(2, degraded("one server lacks a record, and drops what would tell why", |s| {
        let server = s.world.server(World::NS2).remove(BBB);
        for kind in [RecordKind::Txt, RecordKind::A, RecordKind::Aaaa] {
            server.fault(Fault::Silent.for_kind(kind));
        }
    }, &["servers-disagree", "txt-unanswerable"])),
    within(2, degraded("the public resolver is silent, and one server", |s| {
        own_resolver_alone(s);
        s.world.server(World::NS2).fault(Fault::Silent);
    }, &["server-unreachable"])),
    within(2, degraded("one resolver is silent, the other cannot find a server's name, the other server drops TXT", |s| {
        cannot_find_a_server(s);
        s.world.server(World::NS1).fault(Fault::Silent.for_kind(RecordKind::Txt));
    }, &["txt-unanswerable"]).exposing(1, 1)),
    within(3, unknown("a firewall drops all that goes to servers", |s| {
        many_guides(s, 0);
        s.close_port_53();
    }, &[]).exposing(0, 0)),
    within(4, unknown("a firewall drops all but what goes to this machine's own resolver", |s| {
        many_guides(s, 0);
        own_resolver_alone(s);
        s.close_port_53();
    }, &["resolver-failing"]).exposing(0, 0)),
];

/// The server of zones within the zone.
const NS9: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 99));

/// This machine's own resolver answers; the public one doesn't.
fn own_resolver_alone(scene: &mut Scene) {
    scene.places.resolvers =
        vec![Vantage::System { address: (World::RESOLVER, 53).into() }, resolver(SECOND)];
    scene.world.add_resolver(SECOND).fault(Fault::Silent);
}

/// The servers' names lie elsewhere; one resolver is silent, and the other fails on one of the names.
fn cannot_find_a_server(scene: &mut Scene) {
    move_to_names_elsewhere(scene);
    scene.add_resolver();
    scene.world.resolver(SECOND).fault(Fault::Silent);
    scene.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below("ns2.dns.net"));
}

/// The top-level domain is served by four names of two addresses each, of which some are silent.
fn many_guides(scene: &mut Scene, silent: usize) {
    let world = &mut scene.world;
    world.undelegate("com");
    let zones = world.server(World::TLD).zones();
    let com = zones.into_iter().find(|zone| *zone.apex() == name("com")).expect("the world has com").clone();
    let names = ["a", "b", "c", "d"].map(|label| format!("{label}.nic.com"));
    let servers: Vec<(&str, IpAddr)> = (0..8)
        .zip(names.iter().flat_map(|name| [name, name]))
        .map(|(last, name)| (name.as_str(), IpAddr::from([127, 0, 84, last])))
        .collect();
    for (_, address) in &servers {
        world.serve(*address, com.clone());
    }
    world.delegate("com", servers.clone());
    for (name, address) in &servers {
        world.publish(&format!("com NS {name}\n{name} A {address}"));
    }
    for (_, address) in servers.iter().take(silent) {
        world.server(*address).fault(Fault::Silent);
    }
}

#[test]
fn a_look_waits_for_one_silence_where_one_place_is_silent_and_for_few_where_many_are() {
    let mut wrong = Vec::new();
    for Timed { scenario, silences } in TIMED {
        let taken = look(scenario.breaks);
        wrong.extend(scenario.difference(&taken.report));
        // Less than one silence would mean that nobody who was asked was silent.
        let least = SILENCE * (*silences).min(1);
        if !(least..=SILENCE * *silences + LITTLE).contains(&taken.waited) {
            wrong.push(format!("{}: waited {:?}, for {silences} silences", scenario.name, taken.waited));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}
