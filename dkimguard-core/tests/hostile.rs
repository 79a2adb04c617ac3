//! Worlds that mean harm: a look at them ends after a bounded number of questions, with a verdict and a report that
//! can be read.

mod scene;

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};
use std::sync::atomic::{AtomicU32, Ordering};

use dkimguard_core::look::{Question, Rcode, Response, Vantage};
use dkimguard_core::record::{Record, RecordData, RecordKind, Txt};
use dkimguard_core::testing::{World, Zone};

use scene::{DOMAIN, KEY, Outcome, Scenario, Scene, Taken, any_key, degraded, failing, look, name, own_key};

/// What fits into one message of 64 kB.
const MANY: usize = 3_300;
/// A report that a person may still read, in octets, and what each expected record may add to it.
const MOST_TEXT: usize = 16_000;
const MOST_TEXT_A_RECORD: usize = 200;

struct Hostile {
    scenario: Scenario,
    /// How many questions the look may ask.
    questions: usize,
}

const fn within(questions: usize, scenario: Scenario) -> Hostile {
    Hostile { scenario, questions }
}

#[rustfmt::skip]
const HOSTILE: &[Hostile] = &[
    // Delegations without end.
    within(200, degraded("every answer names new servers, at new addresses of one machine", endless_servers, &["delegation-mismatch"])
        .exposing(0, 10)),
    within(200, degraded("a referral to 1,000 names of somebody else", |s| {
        s.add_resolver();
        let lines: String = (0..1_000).map(|number| format!("example.com NS n{number}.victim.net\n")).collect();
        s.world.server(World::TLD).publish(&lines);
    }, &["server-lame", "delegation-mismatch"]).exposing(30, 32)),
    within(1_000, degraded("a referral to 300 addresses that lack everything", |s| empty_servers(s, 300), &["servers-disagree"])
        .exposing(30, 32)),
    within(450, degraded("a delegation as large as the largest in use, and all but two servers lack everything", |s| {
        empty_servers(s, 13);
    }, &["servers-disagree"]).exposing(13, 15)),
    within(4_100, failing("200 selectors that are zones of their own", |s| {
        s.identity.selectors = (0..200).map(|number| any_key(&format!("k{number}"))).collect();
        for number in 0..200 {
            s.world.host(Zone::new(&format!("k{number}._domainkey.example.com")), [("ns9.example.com", NS9)]);
        }
    }, &["zone-cut"]).exposing(1, 1)),

    // Answers as long as a message can be.
    within(40, failing("a chain of aliases without end", |s| {
        own_key(s, KEY);
        let links = (0..MANY).map(|number| link(&format!("c{number}.example.com"), number + 1));
        let chain: Vec<Record> = std::iter::once(link("s1._domainkey.example.com", 0)).chain(links).collect();
        answer(s, "s1._domainkey.example.com", RecordKind::Txt, chain);
    }, &["record-missing"])),
    within(40, failing("thousands of texts at each name", |s| {
        own_key(s, KEY);
        let text = |number: usize| RecordData::Txt(Txt::new([number.to_string().into_bytes()]));
        answer_below_domainkey(s, |kind| kind == RecordKind::Txt, (0..MANY).map(text).collect());
    }, &["wildcard-answer"])),
    within(100, failing("thousands of CNAMEs at each name", |s| {
        let target = |number: usize| RecordData::Cname(name(&format!("t{number}.example.net")));
        answer_below_domainkey(s, |_| true, (0..MANY).map(target).collect());
    }, &["conflicting-records"])),
];

/// The server of zones within the zone.
const NS9: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 99));

/// Each answer about the zone's servers names four new ones, and each look-up gives another address of one network.
fn endless_servers(scene: &mut Scene) {
    let fresh = AtomicU32::new(0);
    scene.meddle(move |question, vantage, world| {
        let is_own_server = vantage.is_authoritative() && vantage.address().ip() != World::TLD;
        if is_own_server && question.kind == RecordKind::Ns && question.name == name(DOMAIN) {
            let batch = fresh.fetch_add(1, Ordering::Relaxed);
            let server = |number| name(&format!("n{batch}x{number}.evil.example.com"));
            return Some(answered(true, (0..4).map(|number| of(DOMAIN, RecordData::Ns(server(number))))));
        }
        if vantage.is_recursive() && question.name.is_below(&name("evil.example.com")) {
            let last = fresh.fetch_add(1, Ordering::Relaxed);
            let address = Ipv6Addr::from_bits((0x2001_0db8 << 96) | u128::from(last));
            let data = RecordData::Aaaa(address);
            let is_asked_for = question.kind == RecordKind::Aaaa;
            return Some(answered(
                false,
                is_asked_for.then(|| Record { name: question.name.clone(), ttl: 300, data }),
            ));
        }
        vantage.address().is_ipv6().then(|| world.answer(question, &ns1()))
    });
}

/// The parent names so many more servers, which answer for the zone, and deny whatever they are asked for.
fn empty_servers(scene: &mut Scene, count: usize) {
    let server = |number: usize| {
        let (third, last) = (number / 250, number % 250);
        format!("example.com NS n{number}.example.com\nn{number}.example.com A 127.1.{third}.{last}\n")
    };
    scene.world.server(World::TLD).publish(&(0..count).map(server).collect::<String>());
    scene.meddle(|_, vantage, world| {
        let is_empty = matches!(vantage.address().ip(), IpAddr::V4(ip) if ip.octets()[..2] == [127, 1]);
        let nowhere = Question::new(name("nowhere.example.com"), RecordKind::Txt);
        is_empty.then(|| world.answer(&nowhere, &ns1()))
    });
}

/// The first server of the domain.
fn ns1() -> Vantage {
    Vantage::Authoritative { server: None, address: (World::NS1, 53).into() }
}

/// A CNAME to the link of this number.
fn link(owner: &str, number: usize) -> Record {
    of(owner, RecordData::Cname(name(&format!("c{number}.example.com"))))
}

fn of(owner: &str, data: RecordData) -> Record {
    Record { name: name(owner), ttl: 300, data }
}

fn answered(authoritative: bool, answers: impl IntoIterator<Item = Record>) -> Outcome {
    Ok(Response { authoritative, answers: answers.into_iter().collect(), ..Response::new(Rcode::NOERROR) })
}

/// Every place answers this question with these records.
fn answer(scene: &mut Scene, owner: &str, kind: RecordKind, answers: Vec<Record>) {
    let asked = Question::new(name(owner), kind);
    scene.meddle(move |question, vantage, _| {
        (*question == asked).then(|| answered(vantage.is_authoritative(), answers.clone()))
    });
}

/// Every place answers each question below `_domainkey` of such a type with all of this.
fn answer_below_domainkey(scene: &mut Scene, is_answered: fn(RecordKind) -> bool, data: Vec<RecordData>) {
    let keys = name("_domainkey.example.com");
    scene.meddle(move |question, vantage, _| {
        let here = |data: &RecordData| Record { name: question.name.clone(), ttl: 300, data: data.clone() };
        (question.name.is_below(&keys) && is_answered(question.kind))
            .then(|| answered(vantage.is_authoritative(), data.iter().map(here)))
    });
}

#[test]
fn a_look_ends_after_a_bounded_number_of_questions_with_a_report_that_can_be_read() {
    let mut wrong = Vec::new();
    for Hostile { scenario, questions } in HOSTILE {
        let Taken { report, asked, .. } = look(scenario.breaks);
        wrong.extend(scenario.difference(&report));
        if asked > *questions {
            wrong.push(format!("{}: {asked} questions, and {questions} are the most", scenario.name));
        }
        let length = report.to_string().len();
        if length > MOST_TEXT + MOST_TEXT_A_RECORD * report.records.len() {
            wrong.push(format!("{}: {length} octets of text", scenario.name));
        }
    }
    assert!(wrong.is_empty(), "{} wrong:\n\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn the_questions_of_a_look_do_not_grow_with_the_delegation() {
    let asked = [50, 100, 200].map(|count| look(|s| empty_servers(s, count)).asked);
    assert_eq!(asked, [asked[0]; 3]);
}

#[test]
fn what_a_terminal_would_obey_is_not_shown() {
    let report = look(|s| own_key(s, "v=DKIM1; x\u{1b}[2J")).report;
    assert!(report.causes.iter().any(|cause| cause.cause.code() == "key-unreadable"), "{report}");
    assert!(!report.to_string().contains('\u{1b}'), "{:?}", report.to_string());
}
