//! `kill -9` at random instants: every incident is told, none is opened twice, and nothing is forgotten.
//!
//! `DKIMGUARD_KILL_ROUNDS` is how often it is killed, by default 10 times; `DKIMGUARD_KILL_SEED` makes other instants.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use dkimguard_core::testing::{Lab, World, Zone};
use serde_json::{Value, json};

use crate::hook::{Fate, Hook, SECRET};
use crate::peer::Peer;
use crate::watcher::{Home, Watcher, get};

const ACCOUNT: &str = "200000000902";
/// Each domain is in each of these regions, as an identity of its own: SES allows one call a second in a region.
const REGIONS: [&str; 8] = [
    "us-east-1",
    "us-east-2",
    "us-west-1",
    "us-west-2",
    "eu-west-1",
    "eu-west-2",
    "eu-central-1",
    "eu-north-1",
];
const DOMAINS: usize = 3;
/// The longest life of one process, in milliseconds.
const LIFE: u64 = 6_000;
/// How soon after a delivery has begun it is killed, where it is, in milliseconds: before its end, before that is noted,
/// or after.
const DELIVERY: u64 = 300;
/// How long the last process may take over what is left. The guard leaves a webhook that fails alone for half a minute,
/// then for a minute.
const LAST: Duration = Duration::from_secs(300);
/// Random numbers that are the same every time (SplitMix64).
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % limit
    }
}

fn number_in(variable: &str, default: u64) -> u64 {
    std::env::var(variable).ok().map_or(default, |text| text.parse().expect("a number"))
}

fn domain(number: usize) -> String {
    format!("d{number:02}.example")
}

/// A world in which these domains lack a record.
fn world(broken: &BTreeSet<String>) -> World {
    let mut world = World::easy_dkim("example.com");
    for domain in (0..DOMAINS).map(domain) {
        let tokens: &[&str] = if broken.contains(&domain) { &["aaa", "ccc"] } else { &["aaa", "bbb", "ccc"] };
        let records =
            tokens.iter().map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n"));
        let zone = Zone::new(&domain).with(&records.collect::<String>());
        world.host(zone, [(&*format!("ns1.{domain}"), World::NS1), (&*format!("ns2.{domain}"), World::NS2)]);
    }
    world
}

/// What was taken, by identity, each alert once.
type Told = BTreeMap<String, Vec<Value>>;

fn told(hook: &Hook) -> Told {
    let mut told = Told::new();
    for alert in hook.taken() {
        let of_one = told.entry(alert["id"].as_str().expect("an id").to_owned()).or_default();
        let is_new =
            |known: &Value| known["incident"] != alert["incident"] || known["number"] != alert["number"];
        if of_one.iter().all(is_new) {
            of_one.push(alert);
        }
    }
    told
}

/// How the incidents of the domains went so far.
#[derive(Default)]
struct Plan {
    broken: BTreeSet<String>,
    /// How often each was broken.
    episodes: BTreeMap<String, usize>,
}

impl Plan {
    /// Mends what was told, where `chooses` says so. What wasn't told stays as it is.
    fn mend(&mut self, hook: &Hook, mut chooses: impl FnMut() -> bool) {
        let told = told(hook);
        let episodes = &self.episodes;
        self.broken.retain(|domain| count(&told, domain, "opened") < episodes[domain] || !chooses());
    }

    /// Breaks what is whole, and was told to be, where `chooses` says so.
    fn damage(&mut self, hook: &Hook, mut chooses: impl FnMut() -> bool) {
        let told = told(hook);
        for domain in (0..DOMAINS).map(domain) {
            let episodes = self.episodes.entry(domain.clone()).or_default();
            let is_whole = !self.broken.contains(&domain) && count(&told, &domain, "recovered") >= *episodes;
            if is_whole && chooses() {
                *episodes += 1;
                self.broken.insert(domain);
            }
        }
    }
}

/// How often each identity of a domain was told of in this way, at least.
fn count(told: &Told, domain: &str, event: &str) -> usize {
    let of_one = |id: String| {
        told.get(&id).map_or(0, |alerts| alerts.iter().filter(|alert| alert["event"] == event).count())
    };
    ids(domain).map(of_one).min().unwrap_or_default()
}

/// The identities of a domain.
fn ids(domain: &str) -> impl Iterator<Item = String> {
    REGIONS.iter().map(move |region| format!("ses:{ACCOUNT}:{region}:{domain}"))
}

#[test]
fn killed_at_random_instants_it_tells_of_every_incident_and_of_none_twice() {
    let rounds = number_in("DKIMGUARD_KILL_ROUNDS", 10);
    let seed = number_in("DKIMGUARD_KILL_SEED", 20_261_124);
    let mut random = Random(seed);
    let peer = Peer::shared();
    let dkim = json!({ "Tokens": ["aaa", "bbb", "ccc"] });
    let identities = (0..DOMAINS).map(|number| json!({ "name": domain(number), "DkimAttributes": dkim }));
    let identities: Value = identities.collect();
    for region in REGIONS {
        peer.add_identities(ACCOUNT, region, &identities);
    }
    // Each further failure doubles the time for which the guard leaves the webhook alone, and so that of the test.
    let most_failures = if rounds > 20 { 3 } else { 1 };

    let (deliveries, failures) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let is_over = Arc::new(AtomicBool::new(false));
    let hook = {
        let (deliveries, failures, is_over) =
            (Arc::clone(&deliveries), Arc::clone(&failures), Arc::clone(&is_over));
        let fates = Mutex::new((Random(seed ^ 1), HashMap::<String, usize>::new()));
        Hook::deciding(Box::new(move |alert| {
            deliveries.fetch_add(1, Ordering::Relaxed);
            let (random, in_a_row) = &mut *fates.lock().unwrap_or_else(PoisonError::into_inner);
            let in_a_row = in_a_row.entry(alert["id"].to_string()).or_default();
            let delay = Duration::from_millis(random.below(200));
            if is_over.load(Ordering::Relaxed) || *in_a_row >= most_failures || random.below(2) == 0 {
                *in_a_row = 0;
                return Fate::Taken(delay);
            }
            *in_a_row += 1;
            failures.fetch_add(1, Ordering::Relaxed);
            if random.below(2) == 0 { Fate::Failed } else { Fate::Dropped }
        }))
    };

    let mut plan = Plan::default();
    let lab = Lab::start(world(&plan.broken)).expect("127.0.0.0/8 is this machine's");
    let home = Home::with_domains(&[]);
    home.write("secret", SECRET);
    let domains: Vec<String> = (0..DOMAINS).map(|number| format!("{:?}", domain(number))).collect();
    let source = format!("kind = \"ses\"\nregions = {REGIONS:?}\ndomains = [{}]", domains.join(", "));
    let config = home.configure_source(&source, &lab, &hook.section());
    let text = std::fs::read_to_string(&config).expect("it is there");
    // SES allows one call a second, so that looks every second would be too many.
    let text = text.replace(
        "interval = \"1s\"\nunhealthy_intervals = [\"1s\"]",
        "interval = \"5s\"\ndelivery_lease = \"2s\"",
    );
    assert!(text.contains("\"5s\""), "{text}");
    home.write("dkimguard.toml", &text);
    let start = || {
        Watcher::start_with(&config, |command| {
            command
                .env("AWS_ENDPOINT_URL", peer.url())
                .env("AWS_REGION", REGIONS[0])
                .env("AWS_ACCESS_KEY_ID", Peer::access_key(ACCOUNT))
                .env("AWS_SECRET_ACCESS_KEY", "secret");
        })
    };
    for _ in 0..rounds {
        plan.mend(&hook, || random.below(2) == 0);
        plan.damage(&hook, || random.below(2) == 0);
        lab.change(|changed| *changed = world(&plan.broken)).expect("no address is new");
        let mut watcher = start();
        let end = Instant::now() + Duration::from_millis(random.below(LIFE));
        let before = deliveries.load(Ordering::Relaxed);
        if random.below(2) == 0 {
            // At any instant.
            thread::sleep(end.duration_since(Instant::now()));
        } else {
            // Where most is under way.
            while deliveries.load(Ordering::Relaxed) == before && Instant::now() < end {
                thread::sleep(Duration::from_millis(1));
            }
            thread::sleep(Duration::from_millis(random.below(DELIVERY)));
        }
        assert!(watcher.is_running(), "{:?}", watcher.log());
        watcher.kill();
    }

    // The last one lives until everything is mended and told.
    is_over.store(true, Ordering::Relaxed);
    let watcher = start();
    let begun = Instant::now();
    loop {
        let is_broken = !plan.broken.is_empty();
        if is_broken {
            plan.mend(&hook, || true);
            lab.change(|changed| *changed = world(&plan.broken)).expect("no address is new");
        }
        let told = told(&hook);
        let is_told = |(domain, episodes): (&String, &usize)| count(&told, domain, "recovered") >= *episodes;
        if !is_broken && plan.episodes.iter().all(is_told) {
            break;
        }
        assert!(begun.elapsed() < LAST, "{:?} were not told of in time: {:#?}", plan.broken, watcher.log());
        thread::sleep(Duration::from_millis(50));
    }

    let told = told(&hook);
    let incidents = plan.episodes.values().sum::<usize>() * REGIONS.len();
    println!(
        "{rounds} rounds, {incidents} incidents, {} deliveries, of which {} failed and {} came again",
        deliveries.load(Ordering::Relaxed),
        failures.load(Ordering::Relaxed),
        hook.taken().len() - told.values().map(Vec::len).sum::<usize>(),
    );
    assert!(incidents > 0, "there was something to tell");
    let episodes =
        plan.episodes.iter().flat_map(|(domain, episodes)| ids(domain).map(move |id| (id, episodes)));
    for (domain, episodes) in episodes {
        let alerts = told.get(&domain).map_or(&[][..], Vec::as_slice);
        let story: Vec<_> =
            alerts.iter().map(|alert| (&alert["incident"], &alert["event"], &alert["number"])).collect();
        let ids: Vec<_> = alerts
            .iter()
            .filter(|alert| alert["event"] == "opened")
            .map(|alert| &alert["incident"])
            .collect();
        assert_eq!(ids.len(), *episodes, "{domain}: {story:?}");
        for id in ids {
            let of_one: Vec<_> = alerts.iter().filter(|alert| alert["incident"] == *id).collect();
            let (first, last) = (of_one.first(), of_one.last());
            assert!(first.is_some_and(|alert| alert["event"] == "opened"), "{domain}: {story:?}");
            assert!(last.is_some_and(|alert| alert["event"] == "recovered"), "{domain}: {story:?}");
            let numbers: Vec<_> = of_one.iter().map(|alert| alert["number"].as_u64()).collect();
            assert_eq!(
                numbers,
                (1..).map(Some).take(numbers.len()).collect::<Vec<_>>(),
                "{domain}: {story:?}"
            );
        }
        assert!(alerts.iter().all(|alert| alert["kind"] == "dkim"), "{domain}: {story:?}");
    }
    let identities = get(watcher.address(), "/api/identities").json();
    for identity in identities["identities"].as_array().expect("a list") {
        assert_eq!(identity["history"]["incident"], Value::Null, "{identity}");
    }
}
