//! Plans: what is edited for each cause whose remedy is an edit, what is refused, and that nothing else is touched.

use std::collections::BTreeSet;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::Arc;

use dkimguard_core::error::ProviderErrorKind;
use dkimguard_core::guard::{Memory, Policy};
use dkimguard_core::identity::{ExpectedValue, Identity, KeyMaker, ProviderStatus, Selector, Targets};
use dkimguard_core::judge::{Cause, Depth, Gap, Port, Report, Verdict, Witnesses};
use dkimguard_core::look::{Look, Places, Rcode, Sight, Vantage};
use dkimguard_core::ports::Clock as _;
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::repair::{Refusal, RepairPlan, Step};
use dkimguard_core::testing::{
    FakeDns, FakeZones, Fault, PUBLIC_KEY, TOKENS, World, Zone, easy_dkim_identity,
};
use dkimguard_core::zone::{HostedZone, Visibility};
use dkimguard_core::{Name, SystemClock};
use futures_util::FutureExt;
use proptest::prelude::*;

const DOMAIN: &str = "example.com";
const AAA: &str = "aaa._domainkey.example.com";
const BBB: &str = "bbb._domainkey.example.com";
const SERVERS: [(&str, IpAddr); 2] = [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)];
/// What else is in the zone, and nobody's business.
const OTHERS: &str = "@ A 192.0.2.80\n@ MX 10 mail\nwww CNAME example.com.\n_dmarc TXT \"v=DMARC1; p=none\"\n\
                      zzz._domainkey CNAME zzz.dkim.eu-west-3.amazonses.com.\ns9._domainkey TXT \"v=DKIM1; p=\"\n\
                      _domainkey TXT \"o=~\"";

/// A zone at its host, its servers, and an identity.
struct Scene {
    world: World,
    /// The zone as its host holds it; both servers serve it, unless a test says otherwise.
    zone: Vec<Record>,
    identity: Identity,
    hosted: Vec<HostedZone>,
    /// Why the host can't be asked.
    host_fails: Option<ProviderErrorKind>,
    /// The servers that the zone is delegated to.
    servers: Vec<(&'static str, IpAddr)>,
    resolvers: Vec<Vantage>,
    witnesses: Witnesses,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn right() -> String {
    TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat()
}

fn zone_of(lines: &str) -> Vec<Record> {
    Zone::new(DOMAIN).with(OTHERS).with(lines).records().cloned().collect()
}

fn hosted(id: &str, records: &[Record]) -> HostedZone {
    HostedZone {
        id: id.to_owned(),
        host: "Route 53".to_owned(),
        name: name(DOMAIN),
        visibility: Visibility::Public,
        servers: SERVERS.map(|(server, _)| name(server)).into(),
        records: records.to_vec(),
    }
}

impl Scene {
    /// The zone with these lines in place of the identity's records.
    fn with(lines: &str) -> Self {
        let zone = zone_of(lines);
        let mut scene = Self {
            world: World::easy_dkim(DOMAIN),
            hosted: vec![hosted("Z1", &zone)],
            zone,
            identity: easy_dkim_identity(DOMAIN),
            host_fails: None,
            servers: SERVERS.into(),
            resolvers: vec![Vantage::Resolver { address: (World::RESOLVER, 53).into() }],
            witnesses: Witnesses::default(),
        };
        scene.serve();
        scene
    }

    /// Has both servers serve the zone as its host holds it.
    fn serve(&mut self) {
        let mut zone = Zone::at(name(DOMAIN));
        for record in &self.zone {
            zone.insert(record.clone());
        }
        self.world.host(zone, self.servers.iter().copied());
    }

    /// Has the host hold the zone as it is now, and its servers serve that.
    fn hold(&mut self) {
        self.hosted[0].records.clone_from(&self.zone);
        self.serve();
    }

    /// Gives the zone one more server, at its host and in the delegation.
    fn add_server(&mut self, server: &'static str, address: IpAddr) {
        self.servers.push((server, address));
        if !self.hosted[0].servers.contains(&name(server)) {
            self.hosted[0].servers.push(name(server));
        }
        self.serve();
    }

    /// Leaves nothing below `_domainkey` in the zone, and puts these lines into it.
    fn only(&mut self, lines: &str) {
        let keys = name("_domainkey.example.com");
        self.zone = zone_of(lines).into_iter().filter(|record| !record.name.is_at_or_below(&keys)).collect();
        self.hold();
    }

    /// One selector, with a key of the owner's own.
    fn own_key(&mut self) {
        let key = format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}").parse().expect("a key");
        self.identity.selectors =
            vec![Selector { label: name("s1"), value: ExpectedValue::Key(Box::new(key)) }];
        self.identity.keys = KeyMaker::Owner;
    }

    fn step(&self) -> Step {
        let (report, sight) = self.look();
        Step::next(&report, &sight)
    }

    fn look(&self) -> (Report, Sight) {
        let places = Places::new(self.resolvers.iter().cloned());
        let zones = match self.host_fails {
            Some(kind) => FakeZones::failing(kind),
            None => FakeZones::new(self.hosted.iter().cloned()),
        };
        let look = Look::new(Arc::new(FakeDns::new(self.world.clone())), places).with_zones(Arc::new(zones));
        let taken = look.take_closely(self.identity.clone(), self.witnesses.clone(), SystemClock.now(), 1);
        taken.now_or_never().expect("a fake never waits")
    }

    fn plan(&self) -> Result<RepairPlan, Refusal> {
        let (report, sight) = self.look();
        RepairPlan::between(&report, &sight)
    }

    /// Applies a plan at the host, and lets the servers follow.
    fn apply(&mut self, plan: &RepairPlan) {
        assert!(plan.is_current(&self.zone), "{plan}");
        self.zone = plan.applied_to(&self.zone);
        for hosted in self.hosted.iter_mut().filter(|hosted| hosted.id == plan.zone.id) {
            hosted.records.clone_from(&self.zone);
        }
        self.serve();
    }
}

/// What is no selector of the identity.
fn others(records: &[Record], identity: &Identity) -> Vec<String> {
    let own: BTreeSet<Name> =
        identity.expected().expect("names").into_iter().map(|expected| expected.name).collect();
    let mut others: Vec<String> = records
        .iter()
        .filter(|record| !own.contains(&record.name))
        .map(|record| format!("{} {} {:?}", record.name, record.ttl, record.data))
        .collect();
    others.sort();
    others
}

#[test]
fn each_cause_whose_remedy_is_an_edit_is_mended_by_the_fewest_edits() {
    let but_bbb =
        "aaa._domainkey CNAME aaa.dkim.amazonses.com.\nccc._domainkey CNAME ccc.dkim.amazonses.com.\n";
    let with = |line: &str| format!("{but_bbb}{line}");
    for (cause, lines, edits) in [
        (Cause::RecordMissing, but_bbb.to_owned(), 1),
        (Cause::RecordMissing, String::new(), 3),
        (Cause::NameDoubled, with("bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com."), 1),
        (Cause::UnderscoreLost, with("bbb.domainkey CNAME bbb.dkim.amazonses.com."), 1),
        (Cause::ValueDoubled, with("bbb._domainkey CNAME bbb.dkim.amazonses.com.example.com."), 1),
        (Cause::WrongTarget, with("bbb._domainkey CNAME bbb.dkim.eu-west-3.amazonses.com."), 1),
        (Cause::TxtInsteadOfCname, with("bbb._domainkey TXT \"bbb.dkim.amazonses.com\""), 1),
        (
            Cause::TxtInsteadOfCname,
            with(&format!("bbb._domainkey TXT \"p={PUBLIC_KEY}\"\nbbb._domainkey TXT \"x\"")),
            1,
        ),
        (Cause::ConflictingRecords, with("bbb._domainkey CNAME x.test.\nbbb._domainkey CNAME y.test."), 1),
        (Cause::WildcardAnswer, with("*._domainkey CNAME elsewhere.example.net."), 1),
    ] {
        let mut scene = Scene::with(&lines);
        let (before, _) = scene.look();
        assert_eq!(before.causes[0].cause, cause, "{before}");
        let plan = scene.plan().unwrap_or_else(|refusal| panic!("{cause:?} is refused: {refusal}"));
        assert_eq!(plan.edits.len(), edits, "{cause:?}: {plan}");
        assert!(plan.edits.iter().all(|edit| edit.after.is_some()), "nothing is only removed: {plan}");
        let untouched = others(&scene.zone, &scene.identity);
        scene.apply(&plan);
        assert_eq!(others(&scene.zone, &scene.identity), untouched, "{cause:?}: {plan}");
        let (report, sight) = scene.look();
        assert_eq!(report.verdict, Verdict::Healthy, "{cause:?}: {report}");
        assert_eq!(Step::next(&report, &sight), Step::Done, "{cause:?}");
    }
}

#[test]
fn a_plan_shows_what_goes_what_comes_and_why() {
    let lines = "aaa._domainkey CNAME aaa.dkim.amazonses.com.\nbbb._domainkey CNAME bbb.dkim.eu-west-3.amazonses.com.";
    let plan = Scene::with(lines).plan().expect("it can be mended");
    assert_eq!(
        plan.to_string(),
        "Route 53 zone Z1 of example.com\n\n  \
         It says something else than it must.\n  \
         - bbb._domainkey.example.com. 300 CNAME bbb.dkim.eu-west-3.amazonses.com\n  \
         + bbb._domainkey.example.com. 300 CNAME bbb.dkim.amazonses.com\n\n  \
         It isn't in the zone, and every name server says that it doesn't exist.\n  \
         + ccc._domainkey.example.com. 300 CNAME ccc.dkim.amazonses.com"
    );
}

#[test]
fn keys_of_ones_own_are_replaced_by_the_one_that_is_known() {
    let key = format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}");
    for (cause, lines) in [
        (Cause::RecordMissing, String::new()),
        (Cause::KeyRevoked, "s1._domainkey TXT \"v=DKIM1; p=\"".to_owned()),
        (Cause::KeyUnreadable, "s1._domainkey TXT \"hello\"".to_owned()),
        (
            Cause::SeveralKeys,
            format!("s1._domainkey TXT \"p={}\"\ns1._domainkey TXT \"v=DKIM1; p=\"", &PUBLIC_KEY[..200]),
        ),
    ] {
        let mut scene = Scene::with(&lines);
        let value = ExpectedValue::Key(Box::new(key.parse().expect("a key")));
        scene.identity.selectors = vec![Selector { label: name("s1"), value }];
        scene.identity.keys = KeyMaker::Owner;
        let (before, _) = scene.look();
        assert_eq!(before.causes[0].cause, cause, "{before}");
        let plan = scene.plan().expect("the key is known");
        assert_eq!(plan.edits.len(), 1, "{plan}");
        scene.apply(&plan);
        assert_eq!(scene.look().0.verdict, Verdict::Healthy);

        // Which key it must be isn't known.
        let mut scene = Scene::with(&lines);
        scene.identity.selectors = vec![Selector { label: name("s1"), value: ExpectedValue::AnyKey }];
        assert_eq!(scene.plan(), Err(Refusal::KeyUnknown { name: name("s1._domainkey.example.com") }));
    }
}

#[test]
fn what_may_not_be_edited_is_refused_with_the_reason() {
    type Change = fn(&mut Scene);
    let table: [(&str, Change, &str); 15] = [
        (
            "one server cannot be seen",
            |s| _ = s.world.server(World::NS2).fault(Fault::Silent),
            "could not be seen at",
        ),
        (
            "servers fail",
            |s| _ = s.world.fault(DOMAIN, Fault::Rcode(Rcode::SERVFAIL)),
            "could not be seen at",
        ),
        (
            "one server is lame",
            |s| _ = s.world.server(World::NS1).fault(Fault::Rcode(Rcode::REFUSED)),
            "could not be seen",
        ),
        ("nothing can be reached", |s| s.world = World::empty(), "No edit of a record mends offline"),
        ("the provider was not heard", |s| s.identity.status = ProviderStatus::Unknown, "could not be asked"),
        ("a new status", |s| s.identity.status = ProviderStatus::Other("X".to_owned()), "doesn't know"),
        ("targets are assumed", |s| s.identity.targets = Targets::Assumed, "didn't tell"),
        ("a replica", |s| s.identity.keys = KeyMaker::Parent, "Repair that one"),
        ("the host holds no such zone", |s| s.hosted.clear(), "publish exactly these records"),
        (
            "another zone is delegated",
            |s| s.hosted[0].servers = vec![name("ns-1.awsdns-00.com")],
            "The world is sent to ns1.example.com, ns2.example.com",
        ),
        (
            "only a private zone",
            |s| s.hosted[0].visibility = Visibility::Private,
            "publish exactly these records",
        ),
        (
            "two zones have the servers",
            |s| {
                let twin = HostedZone { id: "Z2".to_owned(), ..s.hosted[0].clone() };
                s.hosted.push(twin);
            },
            "Z1, Z2",
        ),
        (
            "an address stands at the name",
            |s| {
                s.zone.extend(
                    zone_of("bbb._domainkey A 192.0.2.1")
                        .into_iter()
                        .filter(|record| record.name == name(BBB)),
                );
                s.hosted[0].records.clone_from(&s.zone);
                s.serve();
            },
            "At bbb._domainkey.example.com stand records that may be somebody's (A)",
        ),
        (
            "the zone has just changed",
            |s| {
                s.zone = zone_of(&right());
                s.serve();
            },
            "has just changed",
        ),
        (
            "signatures are broken",
            |s| _ = s.world.make_bogus(DOMAIN, 7, "expired"),
            "No edit of a record mends dnssec-bogus",
        ),
    ];
    for (case, change, expected) in table {
        let mut scene = Scene::with("aaa._domainkey CNAME aaa.dkim.amazonses.com.\n");
        change(&mut scene);
        let refusal = scene.plan().expect_err(case);
        assert!(refusal.to_string().contains(expected), "{case}: {refusal}");
        let (report, sight) = scene.look();
        assert_eq!(Step::next(&report, &sight), Step::Refuse(refusal), "{case}");
    }
    let quick = Report { depth: Depth::Quick, ..Scene::with("").look().0 };
    assert!(RepairPlan::between(&quick, &Sight::default()).is_err(), "a quick look isn't enough");
}

#[test]
fn the_steps_follow_from_the_look_alone() {
    type Change = fn(&mut Scene);
    let table: [(&str, Change, &str); 8] = [
        ("all is well", |_| {}, "done"),
        ("a server has the old zone", |s| _ = s.world.server(World::NS2).remove(BBB), "await-servers"),
        (
            "a resolver keeps an absence",
            |s| _ = s.world.resolver(World::RESOLVER).cache_absence(BBB, 77),
            "await-resolvers",
        ),
        (
            "the provider still looks",
            |s| s.identity.status = ProviderStatus::TemporaryFailure,
            "await-provider",
        ),
        ("it has yet to look", |s| s.identity.status = ProviderStatus::Pending, "await-provider"),
        ("it has given up", |s| s.identity.status = ProviderStatus::Failed, "rearm"),
        (
            "nothing was set up",
            |s| {
                s.identity.status = ProviderStatus::NotStarted;
                s.identity.selectors.clear();
            },
            "rearm",
        ),
        (
            "it has given up, and one record is missing",
            |s| {
                s.identity.status = ProviderStatus::Failed;
                s.zone.retain(|record| record.name != name(BBB));
                s.hosted[0].records.clone_from(&s.zone);
                s.serve();
            },
            "publish",
        ),
    ];
    for (case, change, expected) in table {
        let mut scene = Scene::with(&right());
        change(&mut scene);
        let (report, sight) = scene.look();
        let step = Step::next(&report, &sight);
        assert_eq!(step.as_str(), expected, "{case}: {step:?}\n{report}");
        if let Step::AwaitResolvers { until, .. } = step {
            assert_eq!(until.map(|until| until.duration_since(report.at).as_secs()), Some(77));
        }
    }
    // A key that the provider must be given again.
    for keys in [KeyMaker::Owner, KeyMaker::Unknown] {
        let mut scene = Scene::with(&right());
        scene.identity.status = ProviderStatus::Failed;
        scene.identity.keys = keys;
        let (report, sight) = scene.look();
        assert_eq!(Step::next(&report, &sight), Step::Refuse(Refusal::ProviderNeedsKey));
    }
}

#[test]
fn earlier_records_go_only_once_todays_are_proven_and_only_where_they_are_the_identitys() {
    let earlier =
        "old._domainkey CNAME old.dkim.amazonses.com.\nmine._domainkey CNAME elsewhere.example.net.\n";
    let mut scene = Scene::with(&format!("{}{earlier}", right()));
    scene.witnesses.removable_selectors = ["old", "mine", "gone"].map(name).into();
    let (report, sight) = scene.look();
    let plan = RepairPlan::removing_earlier(&report, &sight).expect("all is proven");
    let removed: Vec<String> = plan.edits.iter().map(|edit| edit.name.to_string()).collect();
    assert_eq!(removed, ["old._domainkey.example.com"]);
    scene.apply(&plan);
    assert_eq!(scene.look().0.verdict, Verdict::Healthy);

    let changes: [fn(&mut Scene); 3] = [
        |s| s.identity.status = ProviderStatus::Pending,
        |s| s.identity.id.account = Some("-".to_owned()),
        |s| {
            s.world.server(World::NS2).remove(BBB);
        },
    ];
    for change in changes {
        let mut scene = Scene::with(&format!("{}{earlier}", right()));
        scene.witnesses.removable_selectors = vec![name("old")];
        change(&mut scene);
        let (report, sight) = scene.look();
        assert!(RepairPlan::removing_earlier(&report, &sight).is_err());
    }
}

/// What memory lets go after the identity had other tokens first, made by these and told so.
fn removed_after(before: &[(KeyMaker, Targets)]) -> Vec<String> {
    let earlier = ["ddd", "eee", "fff"];
    let lines =
        earlier.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat();
    let mut scene = Scene::with(&format!("{}{lines}", right()));
    scene.identity.keys = KeyMaker::Provider;
    let today = scene.identity.clone();
    let mut memory = Memory::default();
    let mut see = |scene: &Scene| {
        memory = memory.clone().advance(&scene.look().0, &Policy::default()).0;
        memory = Memory::from_json(&memory.to_json()).expect("it has just been written");
        memory.witnesses(&scene.identity)
    };
    for (keys, targets) in before {
        (scene.identity.keys, scene.identity.targets) = (keys.clone(), *targets);
        for (selector, token) in scene.identity.selectors.iter_mut().zip(earlier) {
            selector.label = name(token);
            selector.value = ExpectedValue::Cname(name(&format!("{token}.dkim.amazonses.com")));
        }
        see(&scene);
    }
    scene.identity = today;
    see(&scene);
    scene.witnesses = see(&scene);
    assert_eq!(scene.witnesses.earlier_selectors, earlier.map(name), "they explain what is published");
    let (report, sight) = scene.look();
    let plan = RepairPlan::removing_earlier(&report, &sight).expect("all is proven");
    plan.edits.iter().map(|edit| edit.name.to_string()).collect()
}

#[test]
fn records_of_earlier_tokens_go_only_if_the_tokens_were_made_for_this_identity() {
    let (told, assumed) = (Targets::Told, Targets::Assumed);
    let all = ["ddd", "eee", "fff"].map(|token| format!("{token}._domainkey.example.com"));
    assert_eq!(removed_after(&[(KeyMaker::Provider, told)]), all);
    for before in [
        vec![(KeyMaker::Parent, told)],
        vec![(KeyMaker::Unknown, told)],
        vec![(KeyMaker::Unknown, assumed)],
        vec![(KeyMaker::Provider, assumed)],
        vec![(KeyMaker::Owner, told)],
        // The maker is told anew before the tokens are.
        vec![(KeyMaker::Parent, told), (KeyMaker::Provider, told)],
        vec![(KeyMaker::Provider, told), (KeyMaker::Unknown, told)],
    ] {
        assert_eq!(removed_after(&before), Vec::<String>::new(), "{before:?}");
    }
}

/// Another key than the identity's, and a usable one.
const OTHER_KEY: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";
/// A resolver of this machine's own.
const OWN_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 54));
const NS3: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 13));

/// What a step is, in a few words: its name, and a refusal's, or how many edits it makes.
fn short(step: &Step) -> String {
    match step {
        Step::Refuse(refusal) => format!("{}: {refusal}", refusal.code()),
        Step::Publish(plan) => format!("publish {}", plan.edits.len()),
        step => step.as_str().to_owned(),
    }
}

#[test]
fn every_server_counts_whether_or_not_it_could_be_asked() {
    type Change = fn(&mut Scene);
    let table: [(&str, Change, &str, &str); 10] = [
        ("all are seen", |_| {}, "publish 3", "done"),
        (
            "one has no address",
            |s| s.add_server("ns3.elsewhere.net", NS3),
            "not-seen: Nothing is edited on what is not known: no address of the name server ns3.elsewhere.net",
            "not-seen: Nothing is edited on what is not known: no address of the name server ns3.elsewhere.net",
        ),
        (
            "one has more addresses than are looked at",
            |s| {
                for last in 100..120 {
                    s.add_server("ns2.example.com", IpAddr::V4(Ipv4Addr::new(127, 0, 83, last)));
                }
            },
            "not-seen: Nothing is edited on what is not known: example.com has more name servers than",
            "done",
        ),
        (
            "an address of one cannot be reached from here",
            |s| {
                s.add_server("ns2.example.com", IpAddr::V6(Ipv6Addr::LOCALHOST));
                s.world.server(IpAddr::V6(Ipv6Addr::LOCALHOST)).fault(Fault::NoRoute);
            },
            "publish 3",
            "done",
        ),
        (
            "no address of one can be reached from here",
            |s| {
                s.add_server("ns3.example.com", IpAddr::V6(Ipv6Addr::LOCALHOST));
                s.world.server(IpAddr::V6(Ipv6Addr::LOCALHOST)).fault(Fault::NoRoute);
            },
            "not-seen: Nothing is edited on what is not known: this machine cannot reach the name server ns3",
            "done",
        ),
        (
            "an address of one is silent, and others like it are not",
            |s| {
                s.add_server("ns2.example.com", NS3);
                s.world.server(NS3).fault(Fault::Silent);
            },
            "not-seen: Nothing is edited on what is not known: aaa._domainkey.example.com could not be seen at ns2",
            "await-servers",
        ),
        (
            "the host cannot be asked",
            |s| s.host_fails = Some(ProviderErrorKind::Unavailable),
            "not-seen: Nothing is edited on what is not known: the zones at the DNS host could not be read: fake zones",
            "done",
        ),
        (
            "the host may not be asked",
            |s| s.host_fails = Some(ProviderErrorKind::Denied),
            "held-elsewhere: The world is sent to ns1.example.com, ns2.example.com for example.com, and whether that",
            "done",
        ),
        ("the zone is held elsewhere", |s| s.hosted.clear(), "held-elsewhere: The world is sent to", "done"),
        (
            "the provider's tokens are not all known",
            |s| {
                let detail = "a token is not a DNS label".to_owned();
                s.identity.gaps.push(Gap { port: Port::IdentitySource, detail, transient: false });
            },
            "not-seen: Nothing is edited on what is not known: a token is not",
            "not-seen: Nothing is edited on what is not known: a token is not",
        ),
    ];
    for (case, change, missing, whole) in table {
        for (lines, expected) in [(String::new(), missing), (right(), whole)] {
            let mut scene = Scene::with(&lines);
            change(&mut scene);
            let step = short(&scene.step());
            assert!(step.starts_with(expected), "{case}: {step}\n{}", scene.look().0);
            // Whoever isn't heard is never asked to start again on the word of the others.
            scene.identity.status = ProviderStatus::Failed;
            let step = short(&scene.step());
            let is_proven = ["all are seen", "an address of one cannot be reached from here"].contains(&case);
            let may_start = is_proven || case.starts_with("the host") || case.starts_with("the zone");
            assert_eq!(step == "rearm", !lines.is_empty() && may_start, "{case}: {step}");
        }
    }
    let (report, mut sight) = Scene::with("").look();
    sight.delegations[0].given_by_parent.clear();
    let refusal = RepairPlan::between(&report, &sight).expect_err("the delegation is not known");
    assert!(refusal.to_string().contains("no server of the zone above example.com"), "{refusal}");
}

#[test]
fn a_usable_key_or_an_alias_at_the_owners_name_is_never_replaced() {
    for (case, lines, success, failure) in [
        ("another key", format!("s1._domainkey TXT \"{OTHER_KEY}\""), "key-in-use", "publish 1"),
        (
            "another key beside the right one",
            format!("s1._domainkey TXT \"{OTHER_KEY}\"\ns1._domainkey TXT \"p={PUBLIC_KEY}\""),
            "key-in-use",
            "publish 1",
        ),
        (
            "a revoked key beside the right one",
            format!("s1._domainkey TXT \"p=\"\ns1._domainkey TXT \"p={PUBLIC_KEY}\""),
            "publish 1",
            "publish 1",
        ),
        ("a revoked key", "s1._domainkey TXT \"p=\"".to_owned(), "publish 1", "publish 1"),
        ("no key", String::new(), "publish 1", "publish 1"),
        (
            "an alias to nothing",
            "s1._domainkey CNAME s1.keys.example.net.".to_owned(),
            "in-the-way",
            "in-the-way",
        ),
        (
            "an alias to another key",
            format!("s1._domainkey CNAME s1.other.amazonses.com.\nother TXT \"{OTHER_KEY}\""),
            "in-the-way",
            "in-the-way",
        ),
        (
            "an alias to the key",
            "s1._domainkey CNAME s1.dkim.amazonses.com.".to_owned(),
            "done",
            "await-provider",
        ),
    ] {
        let mut scene = Scene::with(&lines);
        scene.own_key();
        scene.world.publish(&format!(
            "s1.dkim.amazonses.com TXT \"p={PUBLIC_KEY}\"\ns1.other.amazonses.com TXT \"{OTHER_KEY}\""
        ));
        let step = short(&scene.step());
        assert!(step.starts_with(success), "{case}: {step}\n{}", scene.look().0);
        scene.identity.status = ProviderStatus::TemporaryFailure;
        let step = short(&scene.step());
        assert!(step.starts_with(failure), "{case}: {step}\n{}", scene.look().0);
    }
}

#[test]
fn what_a_wildcard_further_up_answers_is_told_from_a_record() {
    let right_of = |token: &str| format!("* CNAME {token}.dkim.amazonses.com.");
    for (case, tokens, line, expected) in [
        ("it is right", &["aaa"][..], right_of("aaa"), "done"),
        ("it is wrong", &["aaa"], right_of("bbb"), "publish 1"),
        ("it has an address", &["aaa"], "* A 192.0.2.1".to_owned(), "publish 1"),
        // Once there is a record beside it, the wildcard answers for it no longer.
        ("it is right for one of several", &["aaa", "bbb", "ccc"], right_of("aaa"), "publish 3"),
        ("there is none", &["aaa"], String::new(), "publish 1"),
    ] {
        let mut scene = Scene::with("");
        scene.only(&line);
        scene.identity.selectors.retain(|selector| tokens.contains(&selector.label.to_string().as_str()));
        let step = scene.step();
        assert_eq!(short(&step), expected, "{case}: {step:?}");
        if let Step::Publish(plan) = step {
            scene.apply(&plan);
            assert_eq!(scene.step(), Step::Done, "{case}: {}", scene.look().0);
        }
    }
    // A key of one's own.
    for (line, expected) in [
        (format!("* TXT \"p={PUBLIC_KEY}\""), "done"),
        (format!("* TXT \"{OTHER_KEY}\""), "key-in-use"),
        ("* TXT \"v=spf1 -all\"".to_owned(), "publish 1"),
    ] {
        let mut scene = Scene::with("");
        scene.only(&line);
        scene.own_key();
        let step = short(&scene.step());
        assert!(step.starts_with(expected), "{line}: {step}");
    }
    // No wildcard: the zone has lost the record, and its servers will.
    let mut scene = Scene::with("");
    scene.only(&right());
    let mut lost = Scene::with("");
    lost.only("");
    lost.zone = zone_of(&right());
    lost.serve();
    assert!(short(&lost.step()).starts_with("unsettled"), "{:?}", lost.step());
}

#[test]
fn nothing_is_proven_unless_a_resolver_confirms_it() {
    type Change = fn(&mut Scene);
    let private = |s: &mut Scene| {
        s.world.add_resolver(OWN_RESOLVER).serve_privately(Zone::new(DOMAIN));
        s.resolvers.push(Vantage::System { address: (OWN_RESOLVER, 53).into() });
    };
    let unheard = "not-seen: Nothing is edited on what is not known: no resolver confirms aaa";
    let table: [(&str, Change, [&str; 3]); 4] = [
        (
            "none answers for the records",
            |s| {
                let fault = Fault::Rcode(Rcode::SERVFAIL).below("_domainkey.example.com");
                s.world.resolver(World::RESOLVER).fault(fault);
            },
            [unheard, unheard, unheard],
        ),
        ("this machine's own serves a private zone", private, ["done", "await-provider", "rearm"]),
        (
            "there is only this machine's own, and it serves a private zone",
            |s| {
                s.world.resolver(World::RESOLVER).cache_absence("_domainkey.example.com", 60);
                s.resolvers = vec![Vantage::System { address: (World::RESOLVER, 53).into() }];
            },
            ["await-resolvers", "await-resolvers", "await-resolvers"],
        ),
        (
            "nothing is to be looked for",
            |s| s.identity.selectors.clear(),
            [
                "not-seen: Nothing is edited on what is not known: the provider names no",
                "await-provider",
                "rearm",
            ],
        ),
    ];
    for (case, change, expected) in table {
        let statuses = [ProviderStatus::Success, ProviderStatus::Pending, ProviderStatus::Failed];
        for (status, expected) in statuses.into_iter().zip(expected) {
            let mut scene = Scene::with(&right());
            change(&mut scene);
            scene.identity.status = status.clone();
            let step = short(&scene.step());
            assert!(step.starts_with(expected), "{case}, {status}: {step}\n{}", scene.look().0);
        }
    }
}

#[test]
fn a_refusal_passes_by_itself_or_it_does_not() {
    let not_seen = Refusal::NotSeen { what: String::new() };
    let offline = Refusal::NoEdit { cause: Cause::Offline, remedy: String::new() };
    let lame = Refusal::NoEdit { cause: Cause::ServerLame, remedy: String::new() };
    for (refusal, passes) in [
        (not_seen, true),
        (Refusal::Unsettled { name: name(BBB) }, true),
        (offline, true),
        (lame, false),
        (Refusal::Replica, false),
        (Refusal::KeyInUse { name: name(BBB) }, false),
    ] {
        assert_eq!(refusal.is_passing(), passes, "{refusal:?}");
    }
    // Who makes the keys may be unknown.
    assert!(!Refusal::ProviderNeedsKey.to_string().contains("the key is the owner's:"));
}

/// What may stand at a name of the identity.
fn standing() -> impl Strategy<Value = Vec<&'static str>> {
    prop_oneof![
        3 => Just(vec!["RIGHT"]),
        2 => Just(vec![]),
        1 => Just(vec!["CNAME wrong.example.net."]),
        1 => Just(vec!["TXT \"p=\""]),
        1 => Just(vec!["TXT \"one\"", "TXT \"two\""]),
        1 => Just(vec!["CNAME wrong.example.net.", "TXT \"x\""]),
        1 => Just(vec!["RIGHT", "TXT \"x\""]),
        1 => Just(vec!["A 192.0.2.7"]),
    ]
}

fn fault() -> impl Strategy<Value = Option<(usize, Fault)>> {
    let kinds = prop_oneof![
        Just(Fault::Silent),
        Just(Fault::Rcode(Rcode::SERVFAIL)),
        Just(Fault::Rcode(Rcode::REFUSED)),
        Just(Fault::NotAuthoritative),
    ];
    prop_oneof![9 => Just(None), 1 => (0_usize..2, kinds).prop_map(Some)]
}

/// What is odd about the zone's servers, or about the zone.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Oddity {
    Nothing,
    /// A server's name has no address.
    NoAddress,
    /// One of a server's addresses is of a family that this machine can't reach.
    OtherFamily,
    /// Nothing else stands below `_domainkey`, and a wildcard answers there for as long as that is so.
    Wildcard(&'static str),
}

fn oddity() -> impl Strategy<Value = Oddity> {
    prop_oneof![
        4 => Just(Oddity::Nothing),
        1 => Just(Oddity::NoAddress),
        1 => Just(Oddity::OtherFamily),
        1 => Just(Oddity::Wildcard("* CNAME aaa.dkim.amazonses.com.")),
        1 => Just(Oddity::Wildcard("* CNAME elsewhere.example.net.")),
        1 => Just(Oddity::Wildcard("* TXT \"x\"\n* A 192.0.2.3")),
    ]
}

impl Oddity {
    fn make(self, scene: &mut Scene) {
        let far = IpAddr::V6(Ipv6Addr::LOCALHOST);
        match self {
            Self::Nothing => {}
            Self::NoAddress => scene.add_server("ns3.elsewhere.net", NS3),
            Self::OtherFamily => {
                scene.add_server("ns2.example.com", far);
                scene.world.server(far).fault(Fault::NoRoute);
            }
            Self::Wildcard(line) => {
                let others = ["_domainkey", "zzz._domainkey", "s9._domainkey"];
                let others = others.map(|label| name(&format!("{label}.{DOMAIN}")));
                scene.zone.retain(|record| !others.contains(&record.name));
                scene.zone.extend(Zone::new(DOMAIN).with(line).records().skip(1).cloned());
                scene.hold();
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// The plan applied gives a zone in which the identity's records hold, and all else is octet for octet what it was;
    /// planning again gives nothing. What is refused leaves all as it is.
    #[test]
    fn any_plan_mends_the_identity_and_touches_nothing_else(
        at_names in proptest::array::uniform3(standing()),
        strangers in proptest::collection::vec("[a-z]{1,6}", 0..6),
        fault in fault(),
        oddity in oddity(),
    ) {
        let mut lines = String::new();
        for (token, standing) in TOKENS.iter().zip(&at_names) {
            for data in standing {
                let right = format!("CNAME {token}.dkim.amazonses.com.");
                let data = if *data == "RIGHT" { &right } else { *data };
                lines += &format!("{token}._domainkey {data}\n");
            }
        }
        for stranger in strangers.iter().filter(|stranger| !TOKENS.contains(&stranger.as_str())) {
            lines += &format!("{stranger}._domainkey CNAME {stranger}.dkim.eu-west-3.amazonses.com.\n{stranger} A 192.0.2.9\n");
        }
        let mut scene = Scene::with(&lines);
        oddity.make(&mut scene);
        if let Some((server, fault)) = fault.clone() {
            scene.world.server(SERVERS[server].1).fault(fault);
        }
        let is_strange = at_names.iter().any(|standing| standing.contains(&"A 192.0.2.7"));
        match scene.plan() {
            Ok(plan) => {
                prop_assert!(!is_strange || plan.is_empty());
                prop_assert!(oddity != Oddity::NoAddress || plan.is_empty());
                let is_lost = |edit: &dkimguard_core::repair::Edit| edit.after.is_none();
                prop_assert!(!plan.edits.iter().any(is_lost), "nothing is only removed");
                let whole = at_names.iter().filter(|standing| **standing == ["RIGHT"]).count();
                prop_assert_eq!(plan.edits.len(), 3 - whole, "what is right isn't edited");
                let untouched = others(&scene.zone, &scene.identity);
                scene.apply(&plan);
                prop_assert_eq!(others(&scene.zone, &scene.identity), untouched);
                for expected in scene.identity.expected().expect("names") {
                    let there: Vec<&Record> =
                        scene.zone.iter().filter(|record| record.name == expected.name).collect();
                    let target = expected.value.target().expect("a CNAME").clone();
                    prop_assert_eq!(there.len(), 1);
                    prop_assert_eq!(&there[0].data, &RecordData::Cname(target));
                }
                let again = scene.plan();
                prop_assert!(again.as_ref().is_ok_and(RepairPlan::is_empty), "{again:?}");
            }
            Err(_) => prop_assert!(
                fault.is_some()
                    || is_strange
                    || oddity == Oddity::NoAddress
                    || at_names.iter().any(|standing| standing.len() > 1)
            ),
        }
    }

    /// At the name of the owner's own key: no alias is replaced, and no other usable key while the provider says
    /// success; what is made is the key that was given.
    #[test]
    fn any_plan_for_a_key_of_ones_own_leaves_what_may_be_in_use(
        at_name in proptest::collection::vec(key_standing(), 0..3),
        status in prop_oneof![Just(ProviderStatus::Success), Just(ProviderStatus::TemporaryFailure), Just(ProviderStatus::Failed)],
        fault in fault(),
        oddity in oddity(),
    ) {
        let lines: String = at_name.iter().map(|data| format!("s1._domainkey {data}\n")).collect();
        let mut scene = Scene::with(&lines);
        scene.own_key();
        scene.identity.status = status.clone();
        scene.world.publish(&format!("s1.dkim.amazonses.com TXT \"p={PUBLIC_KEY}\""));
        oddity.make(&mut scene);
        if let Some((server, fault)) = fault {
            scene.world.server(SERVERS[server].1).fault(fault);
        }
        let Ok(plan) = scene.plan() else { return Ok(()) };
        if plan.is_empty() {
            return Ok(());
        }
        let is_alias = |data: &String| data.starts_with("CNAME");
        let is_other = |data: &String| data.contains(OTHER_KEY);
        prop_assert!(!at_name.iter().any(is_alias), "{plan}");
        prop_assert!(status != ProviderStatus::Success || !at_name.iter().any(is_other), "{plan}");
        let untouched = others(&scene.zone, &scene.identity);
        scene.apply(&plan);
        prop_assert_eq!(others(&scene.zone, &scene.identity), untouched);
        prop_assert!(scene.plan().as_ref().is_ok_and(RepairPlan::is_empty), "{:?}", scene.plan());
    }
}

/// What may stand at the name of the owner's own key.
fn key_standing() -> impl Strategy<Value = String> {
    prop_oneof![
        Just(format!("TXT \"p={PUBLIC_KEY}\"")),
        Just(format!("TXT \"{OTHER_KEY}\"")),
        Just("TXT \"p=\"".to_owned()),
        Just("TXT \"x\"".to_owned()),
        Just("CNAME s1.dkim.amazonses.com.".to_owned()),
        Just("CNAME s1.keys.example.net.".to_owned()),
    ]
}

/// `PROPTEST_CASES=10000` draws ten thousand, which takes a minute and a half unoptimised.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(1_000)
}

#[test]
fn a_plan_is_no_longer_current_once_its_names_have_changed() {
    let scene = Scene::with(
        "aaa._domainkey CNAME aaa.dkim.amazonses.com.\nbbb._domainkey CNAME wrong.example.net.\n",
    );
    let plan = scene.plan().expect("it can be mended");
    assert!(plan.is_current(&scene.zone));
    let elsewhere = [&scene.zone[..], &zone_of("new A 192.0.2.1")].concat();
    assert!(plan.is_current(&elsewhere), "what else changes doesn't matter");
    for change in [
        |zone: &mut Vec<Record>| zone.retain(|record| record.name != name(BBB)),
        |zone: &mut Vec<Record>| {
            zone.push(Record { name: name("ccc._domainkey.example.com"), ..zone[0].clone() });
        },
        |zone: &mut Vec<Record>| {
            zone.iter_mut().filter(|record| record.name == name(BBB)).for_each(|record| record.ttl = 7);
        },
    ] as [fn(&mut Vec<Record>); 3]
    {
        let mut zone = scene.zone.clone();
        change(&mut zone);
        assert!(!plan.is_current(&zone));
    }
    assert!(!plan.edits.iter().any(|edit| edit.name == name(AAA)));
}
