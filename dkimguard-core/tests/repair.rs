//! Plans: what is edited for each cause whose remedy is an edit, what is refused, and that nothing else is touched.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::Arc;

use dkimguard_core::identity::{ExpectedValue, Identity, KeyMaker, ProviderStatus, Selector, Targets};
use dkimguard_core::judge::{Cause, Depth, Report, Verdict, Witnesses};
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
        self.world.host(zone, SERVERS);
    }

    fn look(&self) -> (Report, Sight) {
        let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
        let zones = FakeZones::new(self.hosted.iter().cloned());
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
        ("the host holds no such zone", |s| s.hosted.clear(), "Publish exactly these records"),
        (
            "another zone is delegated",
            |s| s.hosted[0].servers = vec![name("ns-1.awsdns-00.com")],
            "The world is sent to ns1.example.com, ns2.example.com",
        ),
        (
            "only a private zone",
            |s| s.hosted[0].visibility = Visibility::Private,
            "Publish exactly these records",
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
    scene.witnesses.earlier_selectors = ["old", "mine", "gone"].map(name).into();
    let (report, sight) = scene.look();
    let plan = RepairPlan::removing_earlier(&report, &sight).expect("all is proven");
    let removed: Vec<String> = plan.edits.iter().map(|edit| edit.name.to_string()).collect();
    assert_eq!(removed, ["old._domainkey.example.com"]);
    scene.apply(&plan);
    assert_eq!(scene.look().0.verdict, Verdict::Healthy);

    let changes: [fn(&mut Scene); 2] = [
        |s| s.identity.status = ProviderStatus::Pending,
        |s| {
            s.world.server(World::NS2).remove(BBB);
        },
    ];
    for change in changes {
        let mut scene = Scene::with(&format!("{}{earlier}", right()));
        scene.witnesses.earlier_selectors = vec![name("old")];
        change(&mut scene);
        let (report, sight) = scene.look();
        assert!(RepairPlan::removing_earlier(&report, &sight).is_err());
    }
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

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// The plan applied gives a zone in which the identity's records hold, and all else is octet for octet what it was;
    /// planning again gives nothing. What is refused leaves all as it is.
    #[test]
    fn any_plan_mends_the_identity_and_touches_nothing_else(
        at_names in proptest::array::uniform3(standing()),
        strangers in proptest::collection::vec("[a-z]{1,6}", 0..6),
        fault in fault(),
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
        if let Some((server, fault)) = fault.clone() {
            scene.world.server(SERVERS[server].1).fault(fault);
        }
        let is_strange = at_names.iter().any(|standing| standing.contains(&"A 192.0.2.7"));
        match scene.plan() {
            Ok(plan) => {
                prop_assert!(!is_strange || plan.is_empty());
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
            Err(_) => prop_assert!(fault.is_some() || is_strange || at_names.iter().any(|standing| standing.len() > 1)),
        }
    }
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
