//! What the tables of scenarios share: a healthy world to break, what may stand on the way to it, and a clock that
//! jumps, so that waiting takes no time and is measured all the same.

// Each test binary uses its part of this module.
#![allow(dead_code)]

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::LookupError;
use dkimguard_core::history::Event;
use dkimguard_core::identity::{ExpectedValue, Identity, Selector};
use dkimguard_core::judge::{Depth, Report, Verdict, Witnesses};
use dkimguard_core::look::{Authoritative, Look, Places, Question, Response, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::ports::DnsLookup;
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::{FakeDns, FakeHistory, FakeZones, TOKENS, World, Zone, easy_dkim_identity};
use dkimguard_core::zone::HostedZone;
use jiff::Timestamp;

pub(crate) const NOW: &str = "2026-11-24T02:00:00Z";
pub(crate) const DOMAIN: &str = "example.com";
pub(crate) const AAA: &str = "aaa._domainkey.example.com";
pub(crate) const BBB: &str = "bbb._domainkey.example.com";
/// A second resolver, where a scene adds one.
pub(crate) const SECOND: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 54));
/// A 2048-bit RSA key, as a zone publishes it.
pub(crate) const KEY: &str = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvHMOXm5mwRrAQcVzJqZ0rWFr+fd/kXSVuhXQInFqrR6bzWzigKLzrJSJ2Hkx7/Sw0ABLiBb+stxXZcwGJCYAyzB8p2ZGbhuAffYQpk163XLZtP24PnUF/mO0nedMe5SqRDsRdXqrYNjFvnpuMxbemjjF3j/CqjeLdRIIKhTb1fd3ZVK515hNQVlzSX33+7TYvsaLsbD8bpOVV+Wg8AS3QN1LiQodK52gSRzWajfJNVFg8M7pD7ftMrnuLON0Hna6LRSPWQppQGZzhMnKASygu7Z2ja5qdd1FsWfJfT5suPH3Lfv1/3DQfeqm0flr/Ngo29ywlEFLw1tfmUBZsHqaLQIDAQAB";

/// What comes of a question.
pub(crate) type Outcome = Result<Response, LookupError>;

/// What something on the way makes of a question; none where it lets it pass.
type Meddler = Box<dyn Fn(&Question, &Vantage, &World) -> Option<Outcome> + Send + Sync>;

/// What a scenario starts from and breaks.
pub(crate) struct Scene {
    pub(crate) world: World,
    pub(crate) identity: Identity,
    pub(crate) places: Places,
    pub(crate) depth: Depth,
    pub(crate) zones: Vec<HostedZone>,
    pub(crate) changes: Vec<Event>,
    pub(crate) witnesses: Witnesses,
    meddler: Option<Meddler>,
}

impl Scene {
    /// The healthy domain of Easy DKIM, seen from its servers and one resolver.
    fn healthy() -> Self {
        Self {
            world: World::easy_dkim(DOMAIN),
            identity: easy_dkim_identity(DOMAIN),
            places: Places::new([resolver(World::RESOLVER)]),
            depth: Depth::Full,
            zones: Vec::new(),
            changes: Vec::new(),
            witnesses: Witnesses::default(),
            meddler: None,
        }
    }

    /// Puts something between this machine and the world.
    pub(crate) fn meddle(
        &mut self,
        meddler: impl Fn(&Question, &Vantage, &World) -> Option<Outcome> + Send + Sync + 'static,
    ) {
        self.meddler = Some(Box::new(meddler));
    }

    /// Puts a firewall on the way: nothing comes back from name servers; the resolvers are on this side.
    pub(crate) fn close_port_53(&mut self) {
        self.meddle(|_, vantage, _| vantage.is_authoritative().then(|| Err(silence())));
    }

    /// Looks through a second resolver too.
    pub(crate) fn add_resolver(&mut self) {
        self.world.add_resolver(SECOND);
        self.places.resolvers.push(resolver(SECOND));
    }

    /// Looks through resolvers alone.
    pub(crate) fn skip_servers(&mut self) {
        self.places.authoritative = Authoritative::Skip;
    }

    /// Removes all of the domain's DKIM records.
    pub(crate) fn remove_records(&mut self) {
        for token in TOKENS {
            self.world.remove(&format!("{token}._domainkey.example.com"));
        }
    }
}

/// The world behind what stands on the way. A question that times out takes its time.
struct Way {
    world: FakeDns,
    meddler: Option<Meddler>,
    asked: AtomicUsize,
}

impl fmt::Debug for Way {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Way").field("world", &self.world).finish_non_exhaustive()
    }
}

#[async_trait]
impl DnsLookup for Way {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Outcome {
        self.asked.fetch_add(1, Ordering::Relaxed);
        let outcome = self.world.change(|world| {
            let meddled = self.meddler.as_ref().and_then(|meddler| meddler(question, vantage, world));
            meddled.unwrap_or_else(|| world.answer(question, vantage))
        });
        if let Err(LookupError::Timeout { timeout, attempts }) = outcome {
            tokio::time::sleep(timeout * attempts).await;
        }
        outcome
    }
}

/// A look that was taken, and what it cost.
pub(crate) struct Taken {
    pub(crate) report: Report,
    /// How many questions were asked.
    pub(crate) asked: usize,
    /// How long was waited for those who were silent.
    pub(crate) waited: Duration,
}

/// Takes a look at what is left of the healthy domain.
pub(crate) fn look(breaks: impl FnOnce(&mut Scene)) -> Taken {
    let mut scene = Scene::healthy();
    breaks(&mut scene);
    let way = Arc::new(Way {
        world: FakeDns::new(scene.world),
        meddler: scene.meddler,
        asked: AtomicUsize::new(0),
    });
    let look = Look::new(way.clone(), scene.places)
        .with_zones(Arc::new(FakeZones::new(scene.zones)))
        .with_history(Arc::new(FakeHistory::new(scene.changes)));
    let at: Timestamp = NOW.parse().expect("it is a time");
    // The clock stands still while anything is to be done, and jumps to the next timer when all wait.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let (report, waited) = runtime.expect("a runtime without I/O starts").block_on(async {
        let start = tokio::time::Instant::now();
        let report = look.take_with(scene.identity, scene.witnesses, scene.depth, at, 7).await;
        (report, start.elapsed())
    });
    Taken { report, asked: way.asked.load(Ordering::Relaxed), waited }
}

/// The report of a look at what is left of the healthy domain.
pub(crate) fn take(breaks: impl FnOnce(&mut Scene)) -> Report {
    look(breaks).report
}

/// A broken world, and what a look at it must come to.
pub(crate) struct Scenario {
    pub(crate) name: &'static str,
    pub(crate) breaks: fn(&mut Scene),
    pub(crate) verdict: Verdict,
    /// The codes, in their order.
    pub(crate) causes: &'static [&'static str],
    pub(crate) exposure: (usize, usize),
}

pub(crate) const fn healthy(name: &'static str, breaks: fn(&mut Scene)) -> Scenario {
    Scenario { name, breaks, verdict: Verdict::Healthy, causes: &[], exposure: (0, 2) }
}

pub(crate) const fn degraded(
    name: &'static str,
    breaks: fn(&mut Scene),
    causes: &'static [&'static str],
) -> Scenario {
    Scenario { name, breaks, verdict: Verdict::Degraded, causes, exposure: (1, 2) }
}

pub(crate) const fn failing(
    name: &'static str,
    breaks: fn(&mut Scene),
    causes: &'static [&'static str],
) -> Scenario {
    Scenario { name, breaks, verdict: Verdict::Failing, causes, exposure: (2, 2) }
}

pub(crate) const fn unknown(
    name: &'static str,
    breaks: fn(&mut Scene),
    causes: &'static [&'static str],
) -> Scenario {
    Scenario { name, breaks, verdict: Verdict::Unknown, causes, exposure: (0, 2) }
}

pub(crate) const fn exposed(mut scenario: Scenario, bad: usize, of: usize) -> Scenario {
    scenario.exposure = (bad, of);
    scenario
}

impl Scenario {
    pub(crate) const fn listing(mut self, causes: &'static [&'static str]) -> Self {
        self.causes = causes;
        self
    }

    pub(crate) const fn exposing(self, bad: usize, of: usize) -> Self {
        exposed(self, bad, of)
    }

    /// How a report isn't what it must be.
    pub(crate) fn difference(&self, report: &Report) -> Option<String> {
        let causes: Vec<&str> = report.causes.iter().map(|cause| cause.cause.code()).collect();
        let exposure = (report.exposure.bad, report.exposure.of);
        let is_right = (report.verdict, &causes[..], exposure) == (self.verdict, self.causes, self.exposure);
        (!is_right).then(|| {
            format!(
                "{}: wanted {} {:?} {:?}, got {} {causes:?} {exposure:?}\n{report}",
                self.name, self.verdict, self.causes, self.exposure, report.verdict
            )
        })
    }
}

/// Takes each scenario's look, and shows all that differ.
pub(crate) fn assert_all(scenarios: &[Scenario]) {
    let mut wrong = Vec::new();
    for scenario in scenarios {
        let report = take(scenario.breaks);
        for cause in &report.causes {
            // What a report says to do and what `explain` says are one text.
            assert!(cause.remedy.starts_with(cause.cause.remedy()), "{}: {}", scenario.name, cause.remedy);
        }
        wrong.extend(scenario.difference(&report));
    }
    assert!(wrong.is_empty(), "{} of {} scenarios:\n\n{}", wrong.len(), scenarios.len(), wrong.join("\n\n"));
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

pub(crate) fn resolver(address: IpAddr) -> Vantage {
    Vantage::Resolver { address: (address, 53).into() }
}

/// A question that nobody answers, with the time limits of the command line.
pub(crate) fn silence() -> LookupError {
    LookupError::Timeout { timeout: Duration::from_secs(2), attempts: 2 }
}

/// One selector with a key of one's own.
pub(crate) fn own_key(scene: &mut Scene, text: &str) {
    scene.identity.selectors = vec![any_key("s1")];
    scene.world.publish(&format!("s1._domainkey.example.com TXT {}", strings(text)));
}

/// A selector at which some usable key must stand.
pub(crate) fn any_key(label: &str) -> Selector {
    Selector { label: name(label), value: ExpectedValue::AnyKey }
}

/// A text as the strings of one TXT record.
pub(crate) fn strings(text: &str) -> String {
    let strings: Vec<String> =
        text.as_bytes().chunks(200).map(|chunk| format!("\"{}\"", String::from_utf8_lossy(chunk))).collect();
    strings.join(" ")
}

/// Moves the zone's servers to names in another zone, so that their addresses must be looked up.
pub(crate) fn move_to_names_elsewhere(scene: &mut Scene) {
    let world = &mut scene.world;
    world.host(Zone::new("dns.net"), [("ns.dns.net", World::TARGETS)]);
    world.publish("ns1.dns.net A 127.0.83.11\nns2.dns.net A 127.0.83.12");
    world.undelegate(DOMAIN).delegate(DOMAIN, [("ns1.dns.net", World::NS1), ("ns2.dns.net", World::NS2)]);
    for address in [World::NS1, World::NS2] {
        let server = world.server(address).remove_kind(DOMAIN, RecordKind::Ns);
        server.publish("example.com NS ns1.dns.net\nexample.com NS ns2.dns.net");
    }
}
