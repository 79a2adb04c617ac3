//! What would be so after a move: servers that nobody is sent to yet, and zones that nobody serves.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;

use dkimguard_core::identity::{Identity, ProviderStatus};
use dkimguard_core::judge::{Certainty, Report, Verdict};
use dkimguard_core::look::{Look, Places, Premise, PremiseServer, Rcode, Vantage};
use dkimguard_core::testing::{FakeDns, Fault, World, Zone, easy_dkim_identity};
use dkimguard_core::zone_file;
use futures_util::FutureExt;
use jiff::Timestamp;

const DOMAIN: &str = "example.com";
const BBB: &str = "bbb._domainkey.example.com";
/// The two servers that the domain is to be moved to.
const NEW1: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 21));
const NEW2: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 22));
/// The server of a zone below the domain.
const CHILD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 31));
/// The zone as it must be.
const GOOD: &str = "\
@              NS    new1.host.net.
@              NS    new2.host.net.
aaa._domainkey CNAME aaa.dkim.amazonses.com.
bbb._domainkey CNAME bbb.dkim.amazonses.com.
ccc._domainkey CNAME ccc.dkim.amazonses.com.
";

/// A healthy domain, and the servers to which it is to be moved, which serve the zone and aren't delegated.
struct Scene {
    world: World,
    identity: Identity,
    premise: Vec<PremiseServer>,
}

struct Scenario {
    name: &'static str,
    breaks: fn(&mut Scene),
    verdict: Verdict,
    causes: &'static [&'static str],
    summary: &'static str,
}

fn named(name: &str) -> PremiseServer {
    PremiseServer::Named { name: name.parse().expect("it is a name"), port: None }
}

fn at(address: IpAddr) -> PremiseServer {
    PremiseServer::At { address, port: None }
}

#[rustfmt::skip]
const MOVES: &[Scenario] = &[
    Scenario { name: "all records are there", breaks: |_| {}, verdict: Verdict::Healthy, causes: &[],
        summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "by address alone", breaks: |s| s.premise = vec![at(NEW1), at(NEW2)],
        verdict: Verdict::Healthy, causes: &[], summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "one address, named twice", breaks: |s| s.premise = vec![named("new1.host.net"), at(NEW1)],
        verdict: Verdict::Healthy, causes: &[], summary: "all 3 DKIM records hold at the one name server address" },
    Scenario { name: "today's servers lack a record, the new ones hold it", breaks: |s| {
            s.world.server(World::NS1).remove(BBB);
            s.world.server(World::NS2).remove(BBB);
        }, verdict: Verdict::Healthy, causes: &[],
        summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "the domain is delegated to nobody today", breaks: |s| { s.world.undelegate(DOMAIN); },
        verdict: Verdict::Healthy, causes: &[], summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "the provider has given up on what is today", breaks: |s| s.identity.status = ProviderStatus::Failed,
        verdict: Verdict::Healthy, causes: &[], summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "the new zone still names today's servers, which lack a record", breaks: |s| {
            s.world.server(World::NS1).remove(BBB);
            for server in [NEW1, NEW2] {
                s.world.server(server).replace("example.com NS ns1.example.com").publish("ns1.example.com A 127.0.83.11");
            }
        }, verdict: Verdict::Healthy, causes: &[],
        summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "a record was forgotten", breaks: |s| both(s, |server| { server.remove(BBB); }),
        verdict: Verdict::Failing, causes: &["record-missing"],
        summary: "1 of 3 DKIM records would be lost by the move: bbb._domainkey.example.com" },
    Scenario { name: "a record was forgotten while the provider signs nothing", breaks: |s| {
            s.identity.status = ProviderStatus::TemporaryFailure;
            s.world.server(NEW2).remove(BBB);
        }, verdict: Verdict::Degraded, causes: &["servers-disagree"],
        summary: "1 of 3 DKIM records would be lost by the move at 1 of 2 name server addresses: \
                  bbb._domainkey.example.com" },
    Scenario { name: "a name was entered whole where relative ones are wanted", breaks: |s| both(s, |server| {
            server.remove(BBB).publish("bbb._domainkey.example.com.example.com CNAME bbb.dkim.amazonses.com");
        }), verdict: Verdict::Failing, causes: &["name-doubled"],
        summary: "1 of 3 DKIM records would be lost by the move: bbb._domainkey.example.com" },
    Scenario { name: "only a wildcard answers", breaks: |s| both(s, |server| {
            server.remove(BBB).publish("*._domainkey.example.com CNAME parking.example.net");
        }), verdict: Verdict::Failing, causes: &["wildcard-answer"],
        summary: "1 of 3 DKIM records would be lost by the move: bbb._domainkey.example.com" },
    Scenario { name: "one server hasn't loaded the zone", breaks: |s| { s.world.server(NEW2).drop_zone(DOMAIN); },
        verdict: Verdict::Degraded, causes: &["server-lame"],
        summary: "all 3 DKIM records would be lost by the move at 1 of 2 name server addresses: 1 of 2 name server \
                  addresses does not serve the zone" },
    Scenario { name: "no server has loaded the zone", breaks: |s| both(s, |server| { server.drop_zone(DOMAIN); }),
        verdict: Verdict::Failing, causes: &["server-lame"],
        summary: "all 3 DKIM records would be lost by the move: 2 of 2 name server addresses do not serve the zone" },
    Scenario { name: "one server is silent", breaks: |s| { s.world.server(NEW2).fault(Fault::Silent); },
        verdict: Verdict::Degraded, causes: &["server-unreachable"],
        summary: "all 3 DKIM records would be lost by the move at 1 of 2 name server addresses: 1 of 2 name server \
                  addresses cannot be reached" },
    Scenario { name: "the only server is silent, and resolvers can be reached", breaks: |s| {
            s.premise = vec![at(NEW1)];
            s.world.server(NEW1).fault(Fault::Silent);
        }, verdict: Verdict::Failing, causes: &["server-unreachable"],
        summary: "all 3 DKIM records would be lost by the move: 1 of 1 name server addresses cannot be reached" },
    Scenario { name: "nothing can be reached", breaks: |s| { s.world = World::empty(); s.premise = vec![at(NEW1)]; },
        verdict: Verdict::Unknown, causes: &["offline"], summary: "nothing can be reached from here" },
    Scenario { name: "a server fails", breaks: |s| { s.world.server(NEW2).fault(Fault::Rcode(Rcode::SERVFAIL)); },
        verdict: Verdict::Degraded, causes: &["server-failing"],
        summary: "all 3 DKIM records would be lost by the move at 1 of 2 name server addresses: 1 of 2 name server \
                  addresses fails" },
    Scenario { name: "a server's name does not exist", breaks: |s| s.premise[1] = named("nwe2.host.net"),
        verdict: Verdict::Degraded, causes: &["server-lame"],
        summary: "all 3 DKIM records would be lost by the move at 1 of 2 name server addresses: 1 of 2 name server \
                  addresses does not serve the zone" },
    Scenario { name: "no server's name exists", breaks: |s| s.premise = vec![named("nwe1.host.net"), named("nwe2.host.net")],
        verdict: Verdict::Failing, causes: &["server-lame"],
        summary: "all 3 DKIM records would be lost by the move: 2 of 2 name server addresses do not serve the zone" },
    Scenario { name: "a server's name cannot be looked up", breaks: |s| {
            s.world.resolver(World::RESOLVER).fault(Fault::Silent);
            s.premise = vec![at(NEW1), named("new2.host.net")];
        }, verdict: Verdict::Unknown, causes: &[], summary: "not every name server could be found" },
    Scenario { name: "the records' names are delegated on, to a server that holds them", breaks: |s| delegate_keys(s, GOOD_KEYS),
        verdict: Verdict::Healthy, causes: &[], summary: "all 3 DKIM records hold at the one name server address" },
    Scenario { name: "the records' names are delegated on, to a server that lacks one", breaks: |s| {
            delegate_keys(s, "aaa CNAME aaa.dkim.amazonses.com.\nccc CNAME ccc.dkim.amazonses.com.");
        }, verdict: Verdict::Failing, causes: &["zone-cut"],
        summary: "1 of 3 DKIM records would be lost by the move: bbb._domainkey.example.com" },
    Scenario { name: "an identity below the zone that moves", breaks: |s| {
            s.identity = easy_dkim_identity("mail.example.com");
            both(s, |server| {
                for token in ["aaa", "bbb", "ccc"] {
                    server.publish(&format!("{token}._domainkey.mail.example.com CNAME {token}.dkim.amazonses.com"));
                }
            });
        }, verdict: Verdict::Healthy, causes: &[],
        summary: "all 3 DKIM records hold at all 2 name server addresses" },
    Scenario { name: "an identity below the zone that moves, with the zone in a name twice", breaks: |s| {
            s.identity = easy_dkim_identity("mail.example.com");
            both(s, |server| {
                for token in ["aaa", "bbb"] {
                    server.publish(&format!("{token}._domainkey.mail.example.com CNAME {token}.dkim.amazonses.com"));
                }
                server.publish("ccc._domainkey.mail.example.com.example.com CNAME ccc.dkim.amazonses.com");
            });
        }, verdict: Verdict::Failing, causes: &["name-doubled"],
        summary: "1 of 3 DKIM records would be lost by the move: ccc._domainkey.mail.example.com" },
];

const GOOD_KEYS: &str = "\
aaa CNAME aaa.dkim.amazonses.com.
bbb CNAME bbb.dkim.amazonses.com.
ccc CNAME ccc.dkim.amazonses.com.
";

/// Does the same to both new servers.
fn both(scene: &mut Scene, edit: fn(&mut dkimguard_core::testing::Server)) {
    for server in [NEW1, NEW2] {
        edit(scene.world.server(server));
    }
}

/// Delegates `_domainkey` on, from the new servers to one of its own with these records.
fn delegate_keys(scene: &mut Scene, records: &str) {
    both(scene, |server| {
        for token in ["aaa", "bbb", "ccc"] {
            server.remove(&format!("{token}._domainkey.example.com"));
        }
        server.publish("_domainkey.example.com NS ns._domainkey.example.com");
        server.publish("ns._domainkey.example.com A 127.0.83.31");
    });
    let child = Zone::new("_domainkey.example.com").with("@ NS ns\nns A 127.0.83.31").with(records);
    scene.world.serve(CHILD, child);
}

fn look(world: World, identity: Identity, premise: &Premise) -> Report {
    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    let look = Look::new(Arc::new(FakeDns::new(world)), places);
    let at: Timestamp = "2026-11-24T02:00:00Z".parse().expect("it is a time");
    // The fake answers at once, so the look needs no runtime.
    look.take_supposing(identity, premise, at, 7).now_or_never().expect("a fake look never waits")
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.causes.iter().map(|cause| cause.cause.code()).collect()
}

fn moving(breaks: fn(&mut Scene)) -> Report {
    let mut world = World::easy_dkim(DOMAIN);
    let hosts = Zone::new("host.net").with("new1 A 127.0.83.21\nnew2 A 127.0.83.22");
    world.host(hosts, [("ns.host.net", World::TARGETS)]);
    for server in [NEW1, NEW2] {
        world.serve(server, Zone::new(DOMAIN).with(GOOD));
    }
    let premise = vec![named("new1.host.net"), named("new2.host.net")];
    let mut scene = Scene { world, identity: easy_dkim_identity(DOMAIN), premise };
    breaks(&mut scene);
    look(scene.world, scene.identity, &Premise::Servers(scene.premise))
}

#[test]
fn each_move_has_its_verdict_its_causes_and_its_words() {
    let mut wrong = Vec::new();
    for scenario in MOVES {
        let report = moving(scenario.breaks);
        let causes = codes(&report);
        if (report.verdict, &causes[..], report.summary.as_str())
            != (scenario.verdict, scenario.causes, scenario.summary)
        {
            wrong.push(format!(
                "{}: wanted {} {:?} `{}`, got {} {causes:?}\n{report}",
                scenario.name, scenario.verdict, scenario.causes, scenario.summary, report.verdict
            ));
        }
        let said = report.gaps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
        assert!(said.contains("what resolvers see today was not judged"), "{}: {said}", scenario.name);
        assert!(said.contains("where the provider stands today was not judged"), "{}: {said}", scenario.name);
        assert_eq!(report.deadline, None, "{}", scenario.name);
    }
    assert!(wrong.is_empty(), "{} of {} moves:\n\n{}", wrong.len(), MOVES.len(), wrong.join("\n\n"));
}

#[test]
fn a_lame_server_is_not_called_delegated() {
    let report = moving(|s| both(s, |server| _ = server.drop_zone(DOMAIN)));
    let details: Vec<&str> = report.causes.iter().map(|cause| cause.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "example.com is not answered for with authority by new1.host.net (127.0.83.21:53) and new2.host.net \
          (127.0.83.22:53); it must be before the domain is delegated there."
        ]
    );
}

/// A zone file with these lines in the place of the second token's record.
fn file_with(lines: &str) -> String {
    format!(
        "$TTL 1h\n@ SOA new1.host.net. hostmaster 7 2h 15m 2w 5m\n  NS new1.host.net.\n$ORIGIN _domainkey.example.com.\n\
         aaa CNAME aaa.dkim.amazonses.com.\nccc CNAME ccc.dkim.amazonses.com.\n{lines}\n"
    )
}

/// Looks at a zone file in a world in which nothing can be reached.
fn supposing_file(text: &str, identity: &str) -> Report {
    let origin = DOMAIN.parse().expect("it is a name");
    let zone = zone_file::parse(
        "example.com.zone",
        format!("$ORIGIN example.com.\n{text}").as_bytes(),
        Some(&origin),
    );
    let zone = zone.unwrap_or_else(|error| panic!("{error}"));
    look(World::empty(), easy_dkim_identity(identity), &Premise::Zone(zone))
}

#[test]
fn each_zone_file_has_its_causes() {
    type Row = (&'static str, &'static str, &'static [&'static str]);
    let table: &[Row] = &[
        ("as it must be", "bbb CNAME bbb.dkim.amazonses.com.", &[]),
        ("written twice", "bbb CNAME bbb.dkim.amazonses.com.\nBBB CNAME BBB.dkim.amazonses.com.", &[]),
        ("signed", "bbb CNAME bbb.dkim.amazonses.com.\nbbb NSEC ccc CNAME", &[]),
        ("forgotten", "", &["record-missing"]),
        ("the value ends without its dot", "bbb CNAME bbb.dkim.amazonses.com", &["value-doubled"]),
        (
            "the value ends without its dot, at the apex's origin",
            "$ORIGIN example.com.\nbbb._domainkey CNAME bbb.dkim.amazonses.com",
            &["value-doubled"],
        ),
        (
            "the name ends without its dot",
            "$ORIGIN example.com.\nbbb._domainkey.example.com CNAME bbb.dkim.amazonses.com.",
            &["name-doubled"],
        ),
        (
            "the underscore is lost",
            "$ORIGIN example.com.\nbbb.domainkey CNAME bbb.dkim.amazonses.com.",
            &["underscore-lost"],
        ),
        ("another region's target", "bbb CNAME bbb.dkim.eu-west-3.amazonses.com.", &["wrong-target"]),
        ("only a wildcard", "* CNAME parking.example.net.", &["wildcard-answer"]),
        (
            "a wildcard beside the records",
            "bbb CNAME bbb.dkim.amazonses.com.\n* CNAME parking.example.net.",
            &[],
        ),
        ("a wildcard with the right value", "* CNAME bbb.dkim.amazonses.com.", &[]),
        ("a text in the place of the alias", "bbb TXT bbb.dkim.amazonses.com", &["txt-instead-of-cname"]),
        (
            "two aliases",
            "bbb CNAME bbb.dkim.amazonses.com.\nbbb CNAME old.dkim.amazonses.com.",
            &["conflicting-records"],
        ),
        ("a text beside the alias", "bbb CNAME bbb.dkim.amazonses.com.\nbbb TXT x", &["conflicting-records"]),
        (
            "an address beside the alias",
            "bbb CNAME bbb.dkim.amazonses.com.\nbbb A 192.0.2.1",
            &["conflicting-records"],
        ),
        (
            "a service beside the alias",
            "bbb CNAME bbb.dkim.amazonses.com.\nbbb SRV 1 2 3 x",
            &["conflicting-records"],
        ),
    ];
    let mut wrong = Vec::new();
    for (name, lines, causes) in table {
        let report = supposing_file(&file_with(lines), DOMAIN);
        let (verdict, summary) = if causes.is_empty() {
            (Verdict::Healthy, "all 3 DKIM records hold in example.com.zone")
        } else {
            let lost = "1 of 3 DKIM records would be lost if example.com.zone were served: bbb._domainkey.example.com";
            (Verdict::Failing, lost)
        };
        if (report.verdict, codes(&report), report.summary.as_str()) != (verdict, causes.to_vec(), summary) {
            wrong.push(format!("{name}: wanted {verdict} {causes:?} `{summary}`, got\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{} of {} files:\n\n{}", wrong.len(), table.len(), wrong.join("\n\n"));
}

#[test]
fn a_dname_in_a_file_holds_the_records() {
    let text = "$TTL 300\n@ SOA ns h 1 2 3 4 5\n@ NS ns.host.net.\n_domainkey DNAME dkim.amazonses.com.";
    assert_eq!(codes(&supposing_file(text, DOMAIN)), [""; 0]);
}

#[test]
fn an_identity_below_the_zone_of_a_file_is_found_in_it() {
    let text = file_with("bbb CNAME bbb.dkim.amazonses.com.");
    let report = supposing_file(&text, "mail.example.com");
    assert_eq!((report.verdict, codes(&report)), (Verdict::Failing, vec!["record-missing"]), "{report}");
    assert!(report.summary.starts_with("all 3 DKIM records would be lost"), "{report}");
    let text = text.replace("_domainkey", "_domainkey.mail");
    assert_eq!(supposing_file(&text, "mail.example.com").verdict, Verdict::Healthy);
}

#[test]
fn a_cut_in_a_file_leads_to_the_servers_that_it_names() {
    let text = file_with("bbb CNAME bbb.dkim.amazonses.com.\n@ NS ns\nns A 127.0.83.31");
    let zone = |text: &str| {
        let text = format!("$ORIGIN example.com.\n{text}");
        Premise::Zone(zone_file::parse("db", text.as_bytes(), None).expect("it is a zone"))
    };
    // The records in the file lie under the cut, so that nobody is given them: what counts is what the child holds.
    let child = Zone::new("_domainkey.example.com").with("@ NS ns\nns A 127.0.83.31");
    for (records, verdict, causes) in
        [(GOOD_KEYS, Verdict::Healthy, &[][..]), ("", Verdict::Failing, &["zone-cut"])]
    {
        let mut world = World::with_root();
        world.serve(CHILD, child.clone().with(records));
        let report = look(world, easy_dkim_identity(DOMAIN), &zone(&text));
        assert_eq!((report.verdict, &codes(&report)[..]), (verdict, causes), "{report}");
        // The file itself shows what the cut hides.
        assert!(report.causes.iter().all(|cause| cause.certainty == Certainty::Certain), "{report}");
    }
    // Where that can't be asked, nothing is known.
    let mut world = World::with_root();
    world.serve(CHILD, child).fault("_domainkey.example.com", Fault::Silent);
    world.resolver(World::RESOLVER).fault(Fault::Silent);
    let report = look(world, easy_dkim_identity(DOMAIN), &zone(&text));
    assert_eq!(report.verdict, Verdict::Unknown, "{report}");
}

#[test]
fn a_zone_file_costs_no_question_to_anybody() {
    let dns = Arc::new(FakeDns::new(World::easy_dkim(DOMAIN)));
    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    let text = format!("$ORIGIN example.com.\n{}", file_with(""));
    let premise = Premise::Zone(zone_file::parse("db", text.as_bytes(), None).expect("it is a zone"));
    let look = Look::new(dns.clone(), places);
    let report =
        look.take_supposing(easy_dkim_identity(DOMAIN), &premise, Timestamp::UNIX_EPOCH, 7).now_or_never();
    assert_eq!(report.map(|report| report.verdict), Some(Verdict::Failing));
    assert_eq!(dns.asked(), []);
}

#[test]
fn a_report_on_a_zone_file_names_the_file_and_says_what_was_not_asked() {
    let report = supposing_file(&file_with("").replace("  NS new1.host.net.\n", ""), DOMAIN);
    let text = report.to_string();
    for part in [
        "bbb._domainkey.example.com CNAME at example.com.zone: NXDOMAIN, serial 7",
        "example.com.zone was judged as though it were served; what is served today was not",
        "example.com.zone has no NS record of example.com",
        "where the provider stands today was not judged",
    ] {
        let unwrapped = text.split_whitespace().collect::<Vec<_>>().join(" ");
        assert!(unwrapped.contains(part), "{part} in {text}");
    }
    assert!(!text.contains("0.0.0.0"), "{text}");
    let json = serde_json::to_value(&report).expect("it is JSON");
    assert_eq!(json["premise"], "zone");
    let observation = &json["records"][0]["observations"][0];
    assert_eq!(observation["vantage"]["kind"], "zone");
    assert_eq!(observation["vantage"]["address"], "example.com.zone");
    for nothing in ["transport", "elapsed_ms"] {
        assert!(observation[nothing].is_null(), "{observation}");
    }
}
