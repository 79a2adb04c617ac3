//! What silence costs: a look in which anything stays silent ends within one time-out, however much is silent. The
//! clock is tokio's, paused, so nothing is waited for and the times are exact.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::LookupError;
use dkimguard_core::judge::{Depth, Verdict};
use dkimguard_core::look::{Look, Places, Question, Rcode, Response, Vantage};
use dkimguard_core::ports::DnsLookup;
use dkimguard_core::testing::{FakeDns, Fault, HOSTED_ZONE, TOKENS, World, Zone, easy_dkim_identity};
use jiff::Timestamp;
use tokio::time::{Instant, sleep};

const DOMAIN: &str = "example.com";
const ANSWER: Duration = Duration::from_millis(20);
/// Two attempts of two seconds, as the faults of a world tell.
const SILENCE: Duration = Duration::from_secs(4);
const GRACE: Duration = Duration::from_millis(500);
const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 13));
const FOURTH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 14));
const FIFTH: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 15));
const OTHER_RESOLVER: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 54));

/// A world in which answers and silence take their time.
#[derive(Debug)]
struct Slow(FakeDns);

#[async_trait]
impl DnsLookup for Slow {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let outcome = self.0.ask(question, vantage).await;
        // Where a resolver reaches no server, it tries for longer than anybody waits for it.
        let keeps_trying = !vantage.is_authoritative()
            && outcome.as_ref().is_ok_and(|response| response.rcode == Rcode::SERVFAIL);
        if keeps_trying || matches!(outcome, Err(LookupError::Timeout { .. })) {
            sleep(SILENCE).await;
            return Err(LookupError::Timeout { timeout: SILENCE / 2, attempts: 2 });
        }
        sleep(ANSWER).await;
        outcome
    }
}

struct Case {
    silent: &'static str,
    breaks: fn(&mut World),
    resolvers: &'static [IpAddr],
    verdict: Verdict,
}

const fn case(silent: &'static str, breaks: fn(&mut World), verdict: Verdict) -> Case {
    Case { silent, breaks, resolvers: &[World::RESOLVER], verdict }
}

const CASES: &[Case] = &[
    case("one of two servers", |world| silence(world, &[World::NS2]), Verdict::Degraded),
    case("both servers", |world| silence(world, &[World::NS1, World::NS2]), Verdict::Failing),
    case(
        "four of five servers",
        |world| {
            host_on_five(world, Zone::new(DOMAIN).with(&records("._domainkey")));
            silence(world, &[World::NS1, World::NS2, THIRD, FOURTH]);
        },
        Verdict::Degraded,
    ),
    case(
        "four of the five servers of a zone below",
        |world| {
            host_on_five(world, Zone::new("_domainkey.example.com").with(&records("")));
            silence(world, &[World::NS2, THIRD, FOURTH, FIFTH]);
        },
        Verdict::Degraded,
    ),
    case("the top-level domain's only server", |world| silence(world, &[World::TLD]), Verdict::Unknown),
    Case {
        resolvers: &[OTHER_RESOLVER, World::RESOLVER],
        ..case("one of two resolvers", silence_other_resolver, Verdict::Healthy)
    },
    Case {
        resolvers: &[OTHER_RESOLVER],
        ..case("the only resolver", silence_other_resolver, Verdict::Unknown)
    },
];

fn silence(world: &mut World, addresses: &[IpAddr]) {
    for &address in addresses {
        world.server(address).fault(Fault::Silent);
    }
}

fn host_on_five(world: &mut World, zone: Zone) {
    let addresses = [World::NS1, World::NS2, THIRD, FOURTH, FIFTH];
    let names: Vec<String> = (1..=addresses.len()).map(|number| format!("ns{number}.example.com")).collect();
    world.host(zone, names.iter().map(String::as_str).zip(addresses));
}

fn records(suffix: &str) -> String {
    TOKENS.map(|token| format!("{token}{suffix} CNAME {token}.{HOSTED_ZONE}.\n")).concat()
}

fn silence_other_resolver(world: &mut World) {
    world.add_resolver(OTHER_RESOLVER).fault(Fault::Silent);
}

#[tokio::test(start_paused = true)]
async fn a_look_ends_within_one_time_out() {
    let mut wrong = Vec::new();
    for Case { silent, breaks, resolvers, verdict } in CASES {
        let mut world = World::easy_dkim(DOMAIN);
        breaks(&mut world);
        let resolvers = resolvers.iter().map(|&ip| Vantage::Resolver { address: SocketAddr::new(ip, 53) });
        let look = Look::new(Arc::new(Slow(FakeDns::new(world))), Places::new(resolvers));
        let at: Timestamp = "2026-11-24T02:00:00Z".parse().expect("it is a time");
        let begun = Instant::now();
        let report = look.take(easy_dkim_identity(DOMAIN), Depth::Full, at, 7).await;
        let took = begun.elapsed();
        if took >= SILENCE + GRACE || report.verdict != *verdict {
            wrong.push(format!("{silent}: {took:?}\n{report}"));
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n\n"));
}
