//! What a guard costs the program that embeds it: memory and processor time for three domains on loopback servers, and
//! memory a domain at 100,000 domains.
//!
//! `cargo bench -p dkimguard-core --features guard,testing --bench embedding`. Linux only: it reads `/proc/self`. Each
//! part runs in a process of its own, the servers in another.

use std::error::Error;
use std::fs;
use std::process::Command;
use std::sync::Arc;
use std::time::{Duration, Instant};

use async_trait::async_trait;
use dkimguard_core::error::{LookupError, ProviderError};
use dkimguard_core::guard::{Depths, Guard, GuardHandle, Policy};
use dkimguard_core::identity::Identity;
use dkimguard_core::look::wire::{Limits, Wire};
use dkimguard_core::look::{Authoritative, Question, Rcode, Response, Vantage};
use dkimguard_core::ports::{DnsLookup, IdentitySource};
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::testing::{FakeSource, Lab, TOKENS, World, easy_dkim_identity};
use dkimguard_core::{Look, Name, Places, Verdict};
use futures_util::stream::{self, BoxStream, StreamExt};

/// The domains of the small part.
const DOMAINS: [&str; 3] = ["a.example.com", "b.example.com", "c.example.com"];
/// How long the small part runs.
const WHILE: Duration = Duration::from_secs(60);
/// How often a domain is looked at meanwhile.
const INTERVAL: Duration = Duration::from_secs(1);
/// How many domains the large part has.
const FLEET: usize = 100_000;

type Outcome = Result<(), Box<dyn Error>>;

fn main() -> Outcome {
    let arguments: Vec<String> = std::env::args().skip(1).filter(|argument| argument != "--bench").collect();
    match arguments.iter().map(String::as_str).collect::<Vec<_>>()[..] {
        ["few", port] => few(port.parse()?),
        ["fleet"] => fleet(),
        _ => {
            let lab = Lab::start(world())?;
            let program = std::env::current_exe()?;
            for part in [vec!["few".to_owned(), lab.port().to_string()], vec!["fleet".to_owned()]] {
                if !Command::new(&program).args(&part).status()?.success() {
                    return Err(format!("the part {part:?} failed").into());
                }
            }
            Ok(())
        }
    }
}

/// Three subdomains, each an identity of its own, on the two name servers of the model.
fn world() -> World {
    let mut world = World::easy_dkim("example.com");
    for (domain, token) in DOMAINS.iter().flat_map(|domain| TOKENS.map(|token| (domain, token))) {
        world.publish(&format!("{token}._domainkey.{domain} CNAME {token}.dkim.amazonses.com"));
    }
    world
}

fn few(port: u16) -> Outcome {
    in_runtime(async {
        let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, port).into() }])
            .with_authoritative(Authoritative::Ask { port });
        let domains = DOMAINS.map(|domain| domain.parse::<Name>().expect("a name"));
        let source = FakeSource::new(DOMAINS.map(easy_dkim_identity));
        let mut policy = Policy::default();
        policy.interval = INTERVAL;
        policy.jitter = 0.0;
        let before = (resident()?, processor_time()?);
        let look = Look::new(Arc::new(Wire::new(Limits::default())), places);
        let guard = Guard::builder(source, look).watch(domains.clone()).policy(policy.clone()).spawn()?;
        tokio::time::sleep(WHILE).await;
        let after = (resident()?, processor_time()?);
        let looks = guard.health().looks;
        if domains.iter().any(|domain| guard.verdict(domain) != Verdict::Healthy) {
            return Err("the domains are healthy, and the guard doesn't say so".into());
        }
        let each = (after.1 - before.1) / u32::try_from(looks)?;
        let share = each.as_secs_f64() * 3.0 / Policy::default().interval.as_secs_f64();
        println!("three domains, full looks: {looks} looks in {WHILE:?}");
        println!("  resident memory   {} KiB beside the runtime's", after.0.saturating_sub(before.0));
        println!(
            "  processor time    {each:.1?} a look: {:.5} % of a core at one look in 15 minutes",
            share * 100.0
        );
        Ok(())
    })
}

fn fleet() -> Outcome {
    in_runtime(async {
        let domains: Vec<Name> =
            (0..FLEET).map(|number| format!("customer-{number}.example").parse().expect("a name")).collect();
        let mut policy = Policy::default();
        policy.depths = Depths::Quick;
        policy.source_budget = u32::MAX;
        policy.looks_at_once = 64;
        let first = domains[0].clone();
        let before = resident()?;
        let begun = Instant::now();
        let look = Look::new(
            Arc::new(Echo),
            Places::new([Vantage::Resolver { address: ([192, 0, 2, 1], 53).into() }]),
        );
        let guard = Guard::builder(Everyone, look).watch(domains).policy(policy).spawn()?;
        all_looked_at(&guard).await;
        let took = begun.elapsed();
        let used = resident()?.saturating_sub(before);
        if guard.verdict(&first) != Verdict::Healthy {
            return Err(format!("{:?}", guard.report(&first)).into());
        }
        println!("{FLEET} domains, quick looks, memory store");
        println!(
            "  resident memory   {} octets a domain, the list of names not counted",
            used * 1024 / FLEET as u64
        );
        println!("  one round         {took:.1?}");
        Ok(())
    })
}

async fn all_looked_at(guard: &GuardHandle) {
    while guard.health().fresh < FLEET {
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

fn in_runtime(part: impl Future<Output = Outcome>) -> Outcome {
    tokio::runtime::Builder::new_current_thread().enable_all().build()?.block_on(part)
}

/// A source that holds every domain.
#[derive(Debug)]
struct Everyone;

#[async_trait]
impl IdentitySource for Everyone {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        vec![Ok(easy_dkim_identity(&domain.to_string()))]
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        stream::empty().boxed()
    }
}

/// A resolver at which every domain is as it must be.
#[derive(Debug)]
struct Echo;

#[async_trait]
impl DnsLookup for Echo {
    async fn ask(&self, question: &Question, _: &Vantage) -> Result<Response, LookupError> {
        let token = question.name.labels().next().map(|label| String::from_utf8_lossy(label).into_owned());
        let target = format!("{}.dkim.amazonses.com", token.unwrap_or_default());
        let data = RecordData::Cname(target.parse().expect("a name"));
        let record = Record { name: question.name.clone(), ttl: 300, data };
        Ok(Response { answers: vec![record], ..Response::new(Rcode::NOERROR) })
    }
}

/// The resident memory of this process, in KiB.
fn resident() -> Result<u64, Box<dyn Error>> {
    let status = fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).ok_or("no VmRSS")?;
    Ok(line.trim().trim_end_matches(" kB").parse()?)
}

/// What this process has used of its processor: one thread does everything.
fn processor_time() -> Result<Duration, Box<dyn Error>> {
    let text = fs::read_to_string("/proc/self/schedstat")?;
    let nanoseconds = text.split_whitespace().next().ok_or("no schedstat")?;
    Ok(Duration::from_nanos(nanoseconds.parse()?))
}
