//! The engine against a name server that lies: whatever comes, the outcome is the right one and it comes in time.

mod forged;
mod liar;

use std::collections::HashSet;
use std::future::Future;
use std::net::{IpAddr, Ipv6Addr, SocketAddr};
use std::num::NonZeroU32;
use std::time::{Duration, Instant};

use dkimguard_core::error::LookupError;
use dkimguard_core::look::wire::{Limits, Wire};
use dkimguard_core::look::{ExtendedError, Question, Rcode, Response, Transport, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::ports::DnsLookup;
use dkimguard_core::record::{RecordData, RecordKind};
use futures_util::future::join_all;

use self::forged::{Forged, cname, extended_error, has_edns, name, opt, opt_with, record, soa, txt};
use self::liar::{Forge, LOCALHOST, Liar, Tcp, Udp, closed_port};

/// One attempt of which the end is awaited. What comes before it has much more time than it needs.
const SHORT: Duration = Duration::from_millis(600);
/// One attempt where something is expected to come: so long that no load of the machine uses it up.
const LONG: Duration = Duration::from_secs(20);
/// Far less than [`LONG`], and far more than anything takes that doesn't wait.
const AT_ONCE: Duration = Duration::from_secs(10);

fn wire(timeout: Duration, attempts: u32) -> Wire {
    let attempts = NonZeroU32::new(attempts).expect("at least one attempt");
    Wire::new(Limits { timeout, attempts, ..Limits::default() })
}

fn question() -> Question {
    Question::new(the_name(), RecordKind::Txt)
}

fn the_name() -> Name {
    "s1._domainkey.example.com".parse().expect("a valid name")
}

fn at(address: SocketAddr) -> Vantage {
    Vantage::Authoritative { server: None, address }
}

async fn ask(wire: &Wire, liar: &Liar) -> Result<Response, LookupError> {
    wire.ask(&question(), &at(liar.address)).await
}

/// The TXT strings at the question's name.
fn texts(response: &Response) -> Vec<String> {
    response.texts(&the_name()).iter().map(ToString::to_string).collect()
}

async fn timed<T>(future: impl Future<Output = T>) -> (T, Duration) {
    let started = Instant::now();
    let outcome = future.await;
    (outcome, started.elapsed())
}

const HONEST: Forge = |query| Forged::to(query).answer(txt("honest")).additional(opt()).octets();
const SERVFAIL: Forge = |query| Forged::to(query).rcode(2).octets();
const REFUSED: Forge = |query| Forged::to(query).rcode(5).octets();
const FORMERR: Forge = |query| Forged::to(query).rcode(1).octets();
const TRUNCATED: Forge = |query| Forged::to(query).truncated().octets();
const GARBAGE: Forge = |_| b"HTTP/1.1 400 Bad Request\r\n\r\n".to_vec();
const TWO_OCTETS: Forge = |query| query[..2].to_vec();
/// Promises a record that isn't there.
const CUT_OFF: Forge = |query| {
    let mut octets = Forged::to(query).octets();
    octets[7] = 1;
    octets
};
const OTHER_ID: Forge = |query| {
    let mut forged = Forged::to(query).answer(txt("other id"));
    forged.id[0] ^= 1;
    forged.octets()
};
const OTHER_NAME: Forge = |query| {
    let mut forged = Forged::to(query).answer(txt("other name"));
    forged.questions = vec![[name("s2._domainkey.example.com"), vec![0, 16, 0, 1]].concat()];
    forged.octets()
};
const OTHER_TYPE: Forge = |query| {
    let mut forged = Forged::to(query).answer(txt("other type"));
    forged.questions = vec![[name("s1._domainkey.example.com"), vec![0, 5, 0, 1]].concat()];
    forged.octets()
};
const QUERY_ITSELF: Forge = <[u8]>::to_vec;
/// Over 60,000 octets in 240 records, the last of them with another text.
const SIXTY_KILOBYTES: Forge = |query| {
    let filler = "x".repeat(240);
    let mut forged = Forged::to(query);
    for _ in 0..239 {
        forged = forged.answer(txt(&filler));
    }
    forged.answer(txt("the last")).octets()
};

#[tokio::test]
async fn an_answer_arrives_whole() {
    let forge: Forge = |query| {
        let mut forged = Forged::to(query)
            .rcode(3)
            .answer(cname("s1._domainkey.example.com", "s1.dkim.amazonses.com"))
            .authority(soa())
            .additional(record(&name("ns.example.com"), 1, &[192, 0, 2, 1]))
            .additional(opt());
        // RA and AD.
        forged.flags[1] |= 0xa0;
        forged.octets()
    };
    let liar = Liar::start(&[Udp::Send(forge)], Tcp::Closed).await;
    let response = ask(&wire(LONG, 1), &liar).await.expect("it answers");

    assert_eq!(response.rcode, Rcode::NXDOMAIN);
    assert!(response.authoritative && response.recursion_available && response.authentic);
    assert_eq!(response.transport, Transport::Udp);
    let target: Name = "s1.dkim.amazonses.com".parse().expect("a valid name");
    assert_eq!(response.cnames(&the_name()), [&target]);
    assert_eq!(response.answers[0].ttl, 300);
    let (owner, soa) = response.proof_of_absence().expect("there is an SOA");
    assert_eq!((owner.name.to_string().as_str(), soa.serial, soa.minimum), ("example.com", 7, 900));
    assert_eq!(response.additional.len(), 1, "{:?}", response.additional);
    assert_eq!(response.additional[0].data, RecordData::A([192, 0, 2, 1].into()));
}

#[tokio::test]
async fn the_bits_of_a_question_follow_from_it_and_from_the_vantage_point() {
    let liar = Liar::start(&[Udp::Send(HONEST)], Tcp::Closed).await;
    let address = liar.address;
    let wire = wire(LONG, 1);
    let plain = question();
    // Flags: RD, CD. The OPT record's last octets: flags with DO, the length of its data.
    let cases = [
        (plain.clone(), at(address), [0x00, 0x00], 0x00),
        (plain.clone(), Vantage::Resolver { address }, [0x01, 0x00], 0x00),
        (plain.clone(), Vantage::System { address }, [0x01, 0x00], 0x00),
        (plain.clone().with_checking_disabled(), Vantage::Resolver { address }, [0x01, 0x10], 0x00),
        (plain.with_dnssec_ok(), Vantage::Resolver { address }, [0x01, 0x00], 0x80),
    ];
    for (number, (question, vantage, flags, dnssec_ok)) in cases.into_iter().enumerate() {
        wire.ask(&question, &vantage).await.expect("it answers");
        let query = liar.seen()[number].octets.clone();
        assert_eq!(query[2..4], flags, "{question} at {vantage}");
        assert!(query.ends_with(&[0, 0, 41, 4, 208, 0, 0, dnssec_ok, 0, 0, 0]), "{question}: {query:x?}");
    }
}

#[tokio::test]
async fn ids_and_ports_vary() {
    let liar = Liar::start(&[Udp::Send(HONEST)], Tcp::Closed).await;
    let wire = wire(LONG, 1);
    for _ in 0..16 {
        ask(&wire, &liar).await.expect("it answers");
    }
    let ids: HashSet<_> = liar.seen().iter().map(|seen| [seen.octets[0], seen.octets[1]]).collect();
    let ports: HashSet<_> = liar.seen().iter().map(|seen| seen.from.port()).collect();
    // Two of sixteen may meet by chance.
    assert!(ids.len() > 12, "{ids:?}");
    assert!(ports.len() > 12, "{ports:?}");
}

/// What comes of it, and how many datagrams the server gets.
type Outcome = (u16, &'static str, usize);

#[tokio::test]
async fn the_right_answer_is_told_from_everything_else_that_comes() {
    let empty_refusal: Forge = |query| Forged::to(query).rcode(5).without_question().octets();
    let upper_case: Forge = |query| {
        let mut forged = Forged::to(query).answer(txt("upper case"));
        forged.questions[0].make_ascii_uppercase();
        forged.octets()
    };
    let cases: &[(&str, &[Udp], u32, Outcome)] = &[
        ("at once", &[Udp::Send(HONEST)], 2, (0, "honest", 1)),
        ("the question in another case", &[Udp::Send(upper_case)], 2, (0, "upper case", 1)),
        ("another id first", &[Udp::SendBoth(OTHER_ID, HONEST)], 1, (0, "honest", 1)),
        ("another name first", &[Udp::SendBoth(OTHER_NAME, HONEST)], 1, (0, "honest", 1)),
        ("another type first", &[Udp::SendBoth(OTHER_TYPE, HONEST)], 1, (0, "honest", 1)),
        ("the query itself first", &[Udp::SendBoth(QUERY_ITSELF, HONEST)], 1, (0, "honest", 1)),
        ("garbage first", &[Udp::SendBoth(GARBAGE, HONEST)], 1, (0, "honest", 1)),
        ("an unreadable one first", &[Udp::SendBoth(CUT_OFF, HONEST)], 1, (0, "honest", 1)),
        ("SERVFAIL twice", &[Udp::Send(SERVFAIL)], 5, (2, "", 2)),
        ("SERVFAIL, one attempt", &[Udp::Send(SERVFAIL)], 1, (2, "", 1)),
        ("SERVFAIL once", &[Udp::Send(SERVFAIL), Udp::Send(HONEST)], 2, (0, "honest", 2)),
        ("REFUSED twice", &[Udp::Send(REFUSED)], 5, (5, "", 2)),
        ("REFUSED, then SERVFAIL", &[Udp::Send(REFUSED), Udp::Send(SERVFAIL)], 2, (2, "", 2)),
        ("REFUSED without the question", &[Udp::Send(empty_refusal)], 1, (5, "", 1)),
    ];
    for &(case, script, attempts, (rcode, text, datagrams)) in cases {
        let liar = Liar::start(script, Tcp::Closed).await;
        let response = ask(&wire(LONG, attempts), &liar).await;
        let response = response.unwrap_or_else(|error| panic!("{case}: {error}"));
        assert_eq!(response.rcode, Rcode(rcode), "{case}");
        assert_eq!(texts(&response).concat(), text, "{case}");
        assert_eq!(liar.seen().len(), datagrams, "{case}");
    }
}

#[tokio::test]
async fn an_answer_counts_also_if_silence_follows() {
    let liar = Liar::start(&[Udp::Send(SERVFAIL), Udp::Ignore], Tcp::Closed).await;
    let response = ask(&wire(SHORT, 2), &liar).await.expect("it answered once");
    assert_eq!(response.rcode, Rcode::SERVFAIL);
    assert_eq!(liar.seen().len(), 2);
}

#[tokio::test]
async fn a_lost_datagram_is_made_up_for() {
    let liar = Liar::start(&[Udp::Ignore, Udp::Send(HONEST)], Tcp::Closed).await;
    let response = ask(&wire(Duration::from_secs(1), 3), &liar).await.expect("it answers the second");
    assert_eq!(texts(&response), ["honest"]);
    assert!(
        response.elapsed >= Duration::from_secs(1),
        "{:?} is not since the first attempt",
        response.elapsed
    );
}

#[tokio::test]
async fn extended_errors_arrive_and_the_fuller_answer_is_kept() {
    let with_text: Forge =
        |query| Forged::to(query).rcode(2).additional(extended_error(7, "expired 3 days ago")).octets();
    let without_text: Forge = |query| Forged::to(query).rcode(2).additional(extended_error(6, "")).octets();
    let liar = Liar::start(&[Udp::Send(with_text), Udp::Send(without_text)], Tcp::Closed).await;

    let once = ask(&wire(LONG, 1), &liar).await.expect("it answers");
    assert_eq!(once.extended_errors, [ExtendedError { code: 7, text: "expired 3 days ago".to_owned() }]);

    let liar = Liar::start(&[Udp::Send(with_text), Udp::Send(without_text)], Tcp::Closed).await;
    let twice = ask(&wire(LONG, 2), &liar).await.expect("it answers");
    assert_eq!(twice.rcode, Rcode::SERVFAIL);
    assert_eq!(
        twice.extended_errors,
        [
            ExtendedError { code: 6, text: String::new() },
            ExtendedError { code: 7, text: "expired 3 days ago".to_owned() },
        ]
    );
}

#[tokio::test]
async fn what_answers_nothing_is_told_from_silence() {
    let timeout = Some(LookupError::Timeout { timeout: SHORT, attempts: 2 });
    let late = Udp::SendAfter(SHORT + SHORT / 2, HONEST);
    // None stands for `Malformed`.
    let cases: &[(&str, &[Udp], Option<LookupError>)] = &[
        ("silence", &[Udp::Ignore], timeout.clone()),
        ("another port answers", &[Udp::SendFromOtherPort(HONEST)], timeout.clone()),
        ("another address answers", &[Udp::SendFromOtherAddress(HONEST)], timeout.clone()),
        ("the first answer comes when the second is awaited", &[late, Udp::Ignore], timeout),
        ("another id", &[Udp::Send(OTHER_ID)], None),
        ("another name", &[Udp::Send(OTHER_NAME)], None),
        ("another type", &[Udp::Send(OTHER_TYPE)], None),
        ("the query itself", &[Udp::Send(QUERY_ITSELF)], None),
        ("garbage", &[Udp::Send(GARBAGE)], None),
        ("two octets", &[Udp::Send(TWO_OCTETS)], None),
        ("an unreadable answer", &[Udp::Send(CUT_OFF)], None),
        ("garbage, then silence", &[Udp::Send(GARBAGE), Udp::Ignore], None),
    ];
    // All at once, since each takes its whole time.
    join_all(cases.iter().map(|(case, script, expected)| async move {
        let liar = Liar::start(script, Tcp::Closed).await;
        let (outcome, taken) = timed(ask(&wire(SHORT, 2), &liar)).await;
        let error = outcome.expect_err(case);
        match expected {
            Some(expected) => assert_eq!(error, *expected, "{case}"),
            None => assert!(matches!(error, LookupError::Malformed(_)), "{case}: {error}"),
        }
        assert_eq!(liar.seen().len(), 2, "{case}");
        assert!(taken >= 2 * SHORT, "{case}: the wait was ended after {taken:?}");
        assert!(taken < AT_ONCE, "{case}: {taken:?}");
    }))
    .await;
}

#[tokio::test]
async fn a_slow_answer_counts_in_its_own_attempt() {
    let liar = Liar::start(&[Udp::SendAfter(Duration::from_millis(600), HONEST)], Tcp::Closed).await;
    let response = ask(&wire(Duration::from_secs(2), 1), &liar).await.expect("it answers in time");
    assert_eq!(texts(&response), ["honest"]);
    assert!(response.elapsed >= Duration::from_millis(600), "{:?}", response.elapsed);
}

#[tokio::test]
async fn a_closed_port_is_told_at_once() {
    for ip in [LOCALHOST, IpAddr::V6(Ipv6Addr::LOCALHOST)] {
        let (_reserved, address) = closed_port(ip).await;
        for attempts in [1, 2, u32::MAX] {
            let wire = wire(LONG, attempts);
            let (outcome, taken) = timed(wire.ask(&question(), &at(address))).await;
            assert_eq!(outcome, Err(LookupError::PortClosed), "{address}");
            assert!(taken < AT_ONCE, "{address}: {taken:?}");
        }
    }
}

#[tokio::test]
async fn ipv6_is_served_over_both_transports() {
    let localhost = IpAddr::V6(Ipv6Addr::LOCALHOST);
    let script = [Udp::Send(HONEST), Udp::Send(TRUNCATED)];
    let liar = Liar::start_at(localhost, &script, Tcp::Send(HONEST)).await;
    for transport in [Transport::Udp, Transport::Tcp] {
        let response = ask(&wire(LONG, 1), &liar).await.expect("it answers");
        assert_eq!(texts(&response), ["honest"]);
        assert_eq!(response.transport, transport);
    }
}

#[tokio::test]
async fn a_truncated_answer_is_fetched_over_tcp() {
    // A record that was cut in its middle, as some servers do.
    let cut_record: Forge = |query| {
        let mut octets = Forged::to(query).truncated().answer(txt("cut here")).octets();
        octets.truncate(octets.len() - 3);
        octets
    };
    for udp in [TRUNCATED, cut_record] {
        for tcp in [Tcp::Send(SIXTY_KILOBYTES), Tcp::SendInPieces(SIXTY_KILOBYTES)] {
            let liar = Liar::start(&[Udp::Send(udp)], tcp).await;
            let response = ask(&wire(LONG, 1), &liar).await.expect("TCP answers");
            assert_eq!(response.transport, Transport::Tcp);
            assert_eq!(response.answers.len(), 240);
            assert_eq!(texts(&response).last().map(String::as_str), Some("the last"));
        }
    }
}

#[tokio::test]
async fn tcp_that_fails_after_truncation_is_told_with_its_reason() {
    // None stands for `Malformed`.
    let cases = [
        ("closed", Tcp::Closed, Some(LookupError::PortClosed)),
        ("cut in the length", Tcp::SendStart(1, HONEST), None),
        ("cut in the message", Tcp::SendStart(20, HONEST), None),
        ("closed without a word", Tcp::SendStart(0, HONEST), None),
        ("an empty message", Tcp::Send(|_| Vec::new()), None),
        ("another id", Tcp::Send(OTHER_ID), None),
        ("another name", Tcp::Send(OTHER_NAME), None),
        ("garbage", Tcp::Send(GARBAGE), None),
        ("truncated again", Tcp::Send(TRUNCATED), None),
    ];
    for (case, tcp, expected) in cases {
        let liar = Liar::start(&[Udp::Send(TRUNCATED)], tcp).await;
        let (outcome, taken) = timed(ask(&wire(LONG, 2), &liar)).await;
        let Err(LookupError::TruncatedThenTcp(reason)) = outcome else { panic!("{case}: {outcome:?}") };
        match expected {
            Some(expected) => assert_eq!(*reason, expected, "{case}"),
            None => assert!(matches!(*reason, LookupError::Malformed(_)), "{case}: {reason}"),
        }
        assert_eq!(liar.seen().len(), 2, "{case}: each attempt starts over");
        assert!(taken < AT_ONCE, "{case}: {taken:?}");
    }
}

#[tokio::test]
async fn tcp_that_hangs_takes_no_longer_than_the_attempts() {
    let liar = Liar::start(&[Udp::Send(TRUNCATED)], Tcp::Hang).await;
    let (outcome, taken) = timed(ask(&wire(SHORT, 2), &liar)).await;
    let reason = Box::new(LookupError::Timeout { timeout: SHORT, attempts: 2 });
    assert_eq!(outcome, Err(LookupError::TruncatedThenTcp(reason)));
    assert!(taken >= 2 * SHORT && taken < AT_ONCE, "{taken:?}");
}

#[tokio::test]
async fn a_server_without_edns_is_asked_without_it() {
    let formerr_to_edns: Forge = |query| if has_edns(query) { FORMERR(query) } else { HONEST(query) };
    let bare_formerr_to_edns: Forge = |query| {
        if has_edns(query) { Forged::to(query).rcode(1).without_question().octets() } else { HONEST(query) }
    };
    let notimp_to_edns: Forge =
        |query| if has_edns(query) { Forged::to(query).rcode(4).octets() } else { HONEST(query) };
    let badvers_to_edns: Forge = |query| {
        if has_edns(query) { Forged::to(query).additional(opt_with(1, &[])).octets() } else { HONEST(query) }
    };
    for forge in [formerr_to_edns, bare_formerr_to_edns, notimp_to_edns, badvers_to_edns] {
        let liar = Liar::start(&[Udp::Send(forge)], Tcp::Closed).await;
        let response = ask(&wire(LONG, 1), &liar).await.expect("it answers without EDNS");
        assert_eq!(texts(&response), ["honest"]);
        let with_edns: Vec<bool> = liar.seen().iter().map(|seen| has_edns(&seen.octets)).collect();
        assert_eq!(with_edns, [true, false]);
    }
}

#[tokio::test]
async fn formerr_counts_where_edns_is_not_the_reason() {
    let formerr_with_edns: Forge = |query| Forged::to(query).rcode(1).additional(opt()).octets();
    for (script, timeout, datagrams) in [
        ([Udp::Send(formerr_with_edns), Udp::Ignore], LONG, 1),
        ([Udp::Send(FORMERR), Udp::Send(FORMERR)], LONG, 2),
        // Silence to the question without EDNS, in the first attempt and in the second.
        ([Udp::Send(FORMERR), Udp::Ignore], SHORT, 3),
    ] {
        let liar = Liar::start(&script, Tcp::Closed).await;
        let response = ask(&wire(timeout, 2), &liar).await.expect("it answers");
        assert_eq!(response.rcode, Rcode::FORMERR);
        assert_eq!(liar.seen().len(), datagrams);
    }
}

#[tokio::test]
async fn a_loop_of_cnames_is_an_answer_like_any_other() {
    let forge: Forge = |query| {
        Forged::to(query)
            .answer(cname("s1._domainkey.example.com", "a.example.com"))
            .answer(cname("a.example.com", "b.example.com"))
            .answer(cname("b.example.com", "s1._domainkey.example.com"))
            .octets()
    };
    let liar = Liar::start(&[Udp::Send(forge)], Tcp::Closed).await;
    let response = ask(&wire(LONG, 1), &liar).await.expect("it answers");
    assert_eq!(response.answers.len(), 3);
    assert_eq!(*response.chain_end(&the_name()), the_name(), "three links lead back to the start");
    assert!(texts(&response).is_empty());
}

#[tokio::test]
async fn many_questions_to_a_dead_server_cost_one_time_out_together() {
    let timeout = SHORT;
    let liar = Liar::start(&[Udp::Ignore], Tcp::Closed).await;
    let wire = wire(timeout, 2);
    let (outcomes, taken) = timed(join_all((0..20).map(|_| ask(&wire, &liar)))).await;
    assert_eq!(outcomes, vec![Err(LookupError::Timeout { timeout, attempts: 2 }); 20]);
    // One after the other would take 24 s.
    assert!(taken < AT_ONCE, "{taken:?}");
}

#[tokio::test]
async fn waiting_for_a_turn_does_not_use_the_time_of_a_question_up() {
    let one = NonZeroU32::MIN;
    let timeout = Duration::from_secs(1);
    let delay = Duration::from_millis(300);
    let liar = Liar::start(&[Udp::SendAfter(delay, HONEST)], Tcp::Closed).await;
    for (at_once, at_once_per_server) in [(one, NonZeroU32::MAX), (NonZeroU32::MAX, one)] {
        let wire = Wire::new(Limits { timeout, attempts: one, at_once, at_once_per_server });
        // A clone keeps to the same limits.
        let clone = wire.clone();
        let asks = (0..5).map(|number| ask(if number % 2 == 0 { &wire } else { &clone }, &liar));
        let (outcomes, taken) = timed(join_all(asks)).await;
        for outcome in outcomes {
            let response = outcome.expect("it answers in time");
            assert!(response.elapsed < timeout, "{:?} counts the wait", response.elapsed);
        }
        // The last has waited longer than its time-out.
        assert!(taken >= 5 * delay, "{taken:?}: they were not kept apart");
    }
}

#[tokio::test]
async fn a_question_that_is_dropped_closes_its_socket_and_gives_its_turn_back() {
    let script = [Udp::Send(TRUNCATED), Udp::Send(HONEST)];
    let liar = Liar::start(&script, Tcp::Hang).await;
    let one = NonZeroU32::MIN;
    let wire = Wire::new(Limits { timeout: LONG, attempts: one, at_once: one, at_once_per_server: one });

    // The server sees the end of the connection, long before the engine's own time-out.
    let dropped = tokio::time::timeout(Duration::from_millis(500), ask(&wire, &liar)).await;
    assert!(dropped.is_err(), "{dropped:?}");
    tokio::time::timeout(AT_ONCE, liar.hung_up()).await.expect("the connection was closed");

    let response = ask(&wire, &liar).await.expect("the turn is free");
    assert_eq!(texts(&response), ["honest"]);
}

#[tokio::test]
async fn other_kinds_of_vantage_points_are_not_served() {
    let address = SocketAddr::from((LOCALHOST, 853));
    let server_name = "dns.example".to_owned();
    let tls = Vantage::Tls { address, server_name: server_name.clone() };
    let https = Vantage::Https { address, server_name, path: "/dns-query".to_owned() };
    for (vantage, what) in [(tls, "DNS over TLS"), (https, "DNS over HTTPS")] {
        let outcome = Wire::default().ask(&question(), &vantage).await;
        assert_eq!(outcome, Err(LookupError::Unsupported(what)));
    }
}

#[tokio::test]
async fn extreme_limits_do_no_harm() {
    let liar = Liar::start(&[Udp::Send(HONEST)], Tcp::Closed).await;
    let most = NonZeroU32::MAX;
    let endless = Limits { timeout: Duration::MAX, attempts: most, at_once: most, at_once_per_server: most };
    ask(&Wire::new(endless), &liar).await.expect("it answers");

    let silent = Liar::start(&[Udp::Ignore], Tcp::Closed).await;
    let outcome = ask(&wire(Duration::ZERO, 1), &silent).await;
    assert_eq!(outcome, Err(LookupError::Timeout { timeout: Duration::ZERO, attempts: 1 }));
}
