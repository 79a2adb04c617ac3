//! A repair carried out, on fakes and a clock that jumps: from broken to proven, whatever fails on the way.

use std::collections::{BTreeMap, VecDeque};
use std::net::IpAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::Name;
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::guard::Timer;
use dkimguard_core::identity::{ExpectedValue, Identity, KeyMaker, ProviderStatus, Selector};
use dkimguard_core::judge::{Cause, Witnesses};
use dkimguard_core::look::{Look, Places, Rcode, Vantage};
use dkimguard_core::ports::{Clock, IdentitySource, Rearm};
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::repair::{End, Event, Refusal, Repair, Step, Waiting};
use dkimguard_core::testing::{
    FakeDns, FakeHost, FakeSource, Fault, HostFault, PUBLIC_KEY, TOKENS, World, Zone, easy_dkim_identity,
};
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use proptest::prelude::*;
use tokio::time::Instant;

const DOMAIN: &str = "example.com";
const SERVERS: [(&str, IpAddr); 2] = [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)];
/// How long the provider takes to look again.
const PROVIDER_LOOKS_AFTER: Duration = Duration::from_secs(1800);

/// Tokio's clock, which jumps to the next timer once everything waits.
#[derive(Clone, Copy, Debug)]
struct Jumping {
    begun: Instant,
}

impl Clock for Jumping {
    fn now(&self) -> Timestamp {
        let begin: Timestamp = "2026-11-24T02:00:00Z".parse().expect("a time");
        begin + SignedDuration::try_from(self.begun.elapsed()).expect("a short while")
    }
}

impl Timer for Jumping {
    fn sleep(&self, duration: Duration) -> BoxFuture<'_, ()> {
        Box::pin(tokio::time::sleep(duration))
    }
}

/// A provider that looks at the records by itself, half an hour after it has begun to, and whose calls fail as told.
#[derive(Debug)]
struct Provider {
    inner: FakeSource,
    dns: Arc<FakeDns>,
    clock: Jumping,
    begun: Mutex<Option<Timestamp>>,
    /// What the next questions come to: a failure, or what is so.
    finds: Mutex<VecDeque<Option<ProviderErrorKind>>>,
    rearms: Mutex<VecDeque<RearmFault>>,
    /// How long it goes on to tell what was so before it was asked to start again.
    lag: Mutex<Duration>,
    /// What was so, and until when that is told.
    past: Mutex<Option<(Identity, Timestamp)>>,
}

/// What happens to a call that starts verification again.
#[derive(Clone, Copy, Debug, PartialEq)]
enum RearmFault {
    Fails(ProviderErrorKind),
    AnswerLost,
}

impl Provider {
    /// Looks at the records, if it is time.
    fn look(&self, domain: &Name) {
        let Some(mut identity) = self.held(domain) else { return };
        let looks = matches!(identity.status, ProviderStatus::Pending | ProviderStatus::TemporaryFailure);
        if !looks {
            return;
        }
        let now = self.clock.now();
        let mut begun = self.begun.lock().unwrap_or_else(PoisonError::into_inner);
        let since = *begun.get_or_insert(now);
        let is_time =
            now.duration_since(since) >= SignedDuration::try_from(PROVIDER_LOOKS_AFTER).expect("short");
        if is_time && live(&self.dns, &identity).values().all(|holds| *holds) {
            identity.status = ProviderStatus::Success;
            self.inner.put(identity);
        }
    }

    fn held(&self, domain: &Name) -> Option<Identity> {
        use futures_util::FutureExt;
        self.inner.find(domain).now_or_never()?.into_iter().find_map(Result::ok)
    }
}

#[async_trait]
impl IdentitySource for Provider {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        let fault = self.finds.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        if let Some(kind) = fault.flatten() {
            return vec![Err(failure(kind))];
        }
        self.look(domain);
        let past = self.past.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some((identity, until)) = past
            && self.clock.now() < until
        {
            return vec![Ok(identity)];
        }
        self.inner.find(domain).await
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.inner.identities()
    }
}

#[async_trait]
impl Rearm for Provider {
    async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        let fault = self.rearms.lock().unwrap_or_else(PoisonError::into_inner).pop_front();
        let lag = *self.lag.lock().unwrap_or_else(PoisonError::into_inner);
        let past = (identity.clone(), self.clock.now() + SignedDuration::try_from(lag).expect("short"));
        *self.past.lock().unwrap_or_else(PoisonError::into_inner) = Some(past);
        match fault {
            Some(RearmFault::Fails(kind)) => Err(failure(kind)),
            Some(RearmFault::AnswerLost) => {
                self.inner.rearm(identity).await?;
                Err(failure(ProviderErrorKind::Unavailable))
            }
            None => self.inner.rearm(identity).await,
        }
    }
}

fn failure(kind: ProviderErrorKind) -> ProviderError {
    ProviderError { provider: "fake".to_owned(), operation: "call".to_owned(), kind, source: None }
}

/// Which of an identity's records hold at both servers.
fn live(dns: &FakeDns, identity: &Identity) -> BTreeMap<Name, bool> {
    let world = dns.change(|world| world.clone());
    let holds = |name: &Name, target: &Name, address| {
        let vantage = Vantage::Authoritative { server: None, address: (address, 53).into() };
        let question =
            dkimguard_core::look::Question::new(name.clone(), dkimguard_core::record::RecordKind::Cname);
        world.answer(&question, &vantage).is_ok_and(|response| response.cnames(name) == [target])
    };
    let expected = identity.expected().expect("names");
    let all = expected.into_iter().map(|record| {
        let target = record.value.target().expect("a CNAME").clone();
        let is_live = SERVERS.iter().all(|(_, address)| holds(&record.name, &target, *address));
        (record.name, is_live)
    });
    all.collect()
}

/// A broken domain, its host, its provider.
struct Stage {
    dns: Arc<FakeDns>,
    host: Arc<FakeHost>,
    provider: Arc<Provider>,
    clock: Jumping,
}

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn records(lines: &str) -> Vec<Record> {
    let others =
        "@ A 192.0.2.80\nwww CNAME example.com.\nzzz._domainkey CNAME zzz.dkim.eu-west-3.amazonses.com.\n";
    Zone::new(DOMAIN).with(others).with(lines).records().cloned().collect()
}

fn right() -> String {
    TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat()
}

fn selectors(tokens: [&str; 3]) -> Vec<Selector> {
    let selector = |token: &str| Selector {
        label: name(token),
        value: ExpectedValue::Cname(name(&format!("{token}.dkim.amazonses.com"))),
    };
    tokens.map(selector).into()
}

impl Stage {
    fn new(lines: &str, status: ProviderStatus) -> Self {
        let clock = Jumping { begun: Instant::now() };
        let mut world = World::easy_dkim(DOMAIN);
        // Keys of the tokens that the provider may change to.
        world.publish(&format!("ddd.dkim.amazonses.com TXT \"p={PUBLIC_KEY}\""));
        let dns = Arc::new(FakeDns::new(world));
        let host = FakeHost::new(dns.clone(), &name(DOMAIN), records(lines), &SERVERS);
        let identity = Identity { status, ..easy_dkim_identity(DOMAIN) };
        let provider = Provider {
            inner: FakeSource::new([identity]),
            dns: dns.clone(),
            clock,
            begun: Mutex::default(),
            finds: Mutex::default(),
            rearms: Mutex::default(),
            lag: Mutex::default(),
            past: Mutex::default(),
        };
        Self { dns, host: Arc::new(host), provider: Arc::new(provider), clock }
    }

    fn identity(&self) -> Identity {
        self.provider.held(&name(DOMAIN)).expect("it is held")
    }

    fn repair(&self) -> Repair {
        let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
        let look = Look::new(self.dns.clone(), places).with_zones(self.host.clone());
        Repair::new(self.provider.clone(), look, Arc::new(self.clock))
            .with_patience(Duration::from_secs(24 * 3600))
    }

    fn whole(&self) -> Repair {
        self.repair().with_publisher(self.host.clone()).with_rearm(self.provider.clone())
    }

    async fn run(&self, repair: &Repair) -> (End, Vec<String>) {
        let mut told = Vec::new();
        let identity = self.identity();
        let end = repair.run(identity, Witnesses::default(), &mut |event| told.push(short(&event))).await;
        (end, told)
    }
}

fn short(event: &Event) -> String {
    match event {
        Event::Waiting(waiting) => format!("waiting {}", waiting.as_str()),
        Event::Refused(refusal) => format!("refused {}", refusal.code()),
        Event::Planned(plan) => format!("plan {}", plan.edits.len()),
        event => event.as_str().to_owned(),
    }
}

const MISSING_ONE: &str =
    "aaa._domainkey CNAME aaa.dkim.amazonses.com.\nbbb._domainkey CNAME bbb.dkim.amazonses.com.\n";

#[tokio::test(start_paused = true)]
async fn what_is_missing_is_published_once_and_proven_by_the_provider() {
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let (end, told) = stage.run(&stage.whole()).await;
    assert_eq!(end, End::Done, "{told:?}");
    assert_eq!(told, ["plan 1", "published", "in-sync", "verified", "waiting provider", "done"]);
    assert_eq!(
        (stage.host.changes(), stage.provider.inner.rearms()),
        (1, 0),
        "one batch, and no call beside it"
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_gave_up_is_asked_after_the_records_hold_and_its_new_tokens_are_published() {
    for (tokens, changes) in [(None, 1), (Some(["aaa", "ddd", "eee"]), 2)] {
        let stage = Stage::new(MISSING_ONE, ProviderStatus::Failed);
        if let Some(tokens) = tokens {
            stage.provider.inner.set_tokens_after_rearm(selectors(tokens));
        }
        let (end, told) = stage.run(&stage.whole()).await;
        assert_eq!(end, End::Done, "{told:?}");
        assert_eq!((stage.host.changes(), stage.provider.inner.rearms()), (changes, 1), "{told:?}");
        assert!(live(&stage.dns, &stage.identity()).values().all(|holds| *holds));
        let still_there =
            stage.host.records().iter().any(|record| record.name == name("bbb._domainkey.example.com"));
        assert!(still_there, "earlier records aren't taken away");
        let at = |event: &str| told.iter().position(|told| told == event);
        assert!(at("verified") < at("rearmed"), "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn earlier_records_are_taken_away_once_todays_are_proven_and_done_is_told_once() {
    let own = |stage: &Stage| -> Vec<String> {
        let records = stage.host.records();
        let names = records.iter().map(|record| record.name.to_string());
        names.filter_map(|name| name.strip_suffix("._domainkey.example.com").map(str::to_owned)).collect()
    };
    // Tokens that the provider replaces in this run, and one that memory knows.
    let stage = Stage::new(
        &format!("{MISSING_ONE}old._domainkey CNAME old.dkim.amazonses.com.\n"),
        ProviderStatus::Failed,
    );
    stage.provider.inner.set_tokens_after_rearm(selectors(["aaa", "ddd", "eee"]));
    let mut told = Vec::new();
    let witnesses = Witnesses { removable_selectors: vec![name("old")], ..Witnesses::default() };
    let repair = stage.whole().removing_earlier();
    let end = repair.run(stage.identity(), witnesses, &mut |event| told.push(short(&event))).await;
    assert_eq!(end, End::Done, "{told:?}");
    let tail = ["waiting provider", "plan 3", "published", "in-sync", "verified", "done"];
    assert!(told.ends_with(&tail.map(str::to_owned)), "{told:?}");
    assert_eq!(told.iter().filter(|told| *told == "done").count(), 1, "{told:?}");
    assert_eq!(own(&stage), ["zzz", "aaa", "ddd", "eee"], "bbb, ccc and old are gone");

    // Nobody here can publish: it is told, and somebody else is waited for.
    let earlier = format!("{}old._domainkey CNAME old.dkim.amazonses.com.\n", right());
    let stage = Stage::new(&earlier, ProviderStatus::Success);
    let witnesses = Witnesses { removable_selectors: vec![name("old")], ..Witnesses::default() };
    let repair = stage.repair().removing_earlier();
    let (_, _, step) = repair.survey(stage.identity(), witnesses.clone()).await;
    assert!(matches!(&step, Step::Publish(plan) if plan.edits.len() == 1), "{step:?}");
    let mut told = Vec::new();
    let repair = repair.with_patience(Duration::from_secs(60));
    let end = repair.run(stage.identity(), witnesses, &mut |event| told.push(short(&event))).await;
    assert_eq!((end, &told[..]), (End::NotProven, &["verified".to_owned(), "plan 1".to_owned()][..]));
    assert_eq!(own(&stage), ["zzz", "aaa", "bbb", "ccc", "old"]);
}

#[tokio::test(start_paused = true)]
async fn nothing_to_do_is_done_at_once() {
    let stage = Stage::new(&right(), ProviderStatus::Success);
    assert_eq!(stage.run(&stage.whole()).await, (End::Done, vec!["verified".to_owned(), "done".to_owned()]));
    assert_eq!(stage.host.changes(), 0);
}

#[tokio::test(start_paused = true)]
async fn without_a_publisher_somebody_else_is_waited_for() {
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let repair = stage.repair();
    let by_hand = async {
        tokio::time::sleep(Duration::from_secs(600)).await;
        stage.host.edit(&records("ccc._domainkey CNAME ccc.dkim.amazonses.com.\n")[..]);
    };
    let ((end, told), ()) = futures_util::future::join(stage.run(&repair), by_hand).await;
    assert_eq!(end, End::Done);
    assert_eq!(told, ["plan 1", "verified", "waiting provider", "done"]);
}

#[tokio::test(start_paused = true)]
async fn looks_that_see_too_little_now_and_then_do_not_end_the_wait_for_hands() {
    const BLIPS: usize = 8;
    const ALL_SERVERS: [IpAddr; 5] = [World::ROOT, World::TLD, World::TARGETS, World::NS1, World::NS2];
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    // No zone can be edited from here.
    let look = Look::new(stage.dns.clone(), places);
    let repair = Repair::new(stage.provider.clone(), look, Arc::new(stage.clock))
        .with_patience(Duration::from_secs(24 * 3600))
        .waiting_for_hands();
    let mut told = Vec::new();
    let mut blips = 0;
    // Of two looks, one sees nothing; at last somebody has published what is missing.
    let mut listener = |event: Event| {
        let event = short(&event);
        match event.as_str() {
            "refused held-elsewhere" if blips < BLIPS => {
                blips += 1;
                stage.dns.change(|w| {
                    w.resolver(World::RESOLVER).fault(Fault::Silent);
                    for server in ALL_SERVERS {
                        w.server(server).fault(Fault::Silent);
                    }
                });
            }
            "refused held-elsewhere" => {
                stage.host.edit(&records("ccc._domainkey CNAME ccc.dkim.amazonses.com.\n"));
            }
            "waiting look" => stage.dns.change(|w| {
                w.resolver(World::RESOLVER).heal();
                for server in ALL_SERVERS {
                    w.server(server).heal();
                }
            }),
            _ => {}
        }
        told.push(event);
    };
    let end = repair.run(stage.identity(), Witnesses::default(), &mut listener).await;
    assert_eq!(end, End::Done, "{told:?}");
    assert_eq!(told.iter().filter(|told| *told == "waiting look").count(), BLIPS, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_does_not_come_in_time_is_not_proven() {
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let repair = stage.whole().with_patience(Duration::from_secs(600));
    let (end, told) = stage.run(&repair).await;
    assert_eq!((end, told.last().map(String::as_str)), (End::NotProven, Some("waiting provider")));
    assert!(stage.clock.now() <= "2026-11-24T02:10:01Z".parse().expect("a time"), "it ends in time");
}

#[tokio::test(start_paused = true)]
async fn failures_that_may_pass_are_waited_for_and_others_end_it() {
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let fails = HostFault::Fails(ProviderErrorKind::Throttled);
    stage.host.meet([fails.clone(), fails, HostFault::AnswerLost, HostFault::Slow(3)]);
    let (end, told) = stage.run(&stage.whole()).await;
    assert_eq!((end, stage.host.changes()), (End::Done, 1), "{told:?}");

    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    stage.host.meet([HostFault::Fails(ProviderErrorKind::Denied)]);
    let (end, told) = stage.run(&stage.whole()).await;
    assert_eq!((end, told.last().map(String::as_str)), (End::Failed, Some("error")));

    // Somebody else undoes it each time.
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    let wrong = |number: u32| records(&format!("ccc._domainkey CNAME wrong-{number}.example.net.\n"));
    let undo = (0..20).map(|number| {
        let name = name("ccc._domainkey.example.com");
        HostFault::EditedBefore(wrong(number).into_iter().filter(|record| record.name == name).collect())
    });
    stage.host.meet(undo);
    let (end, _) = stage.run(&stage.whole()).await;
    assert_eq!(
        (end, stage.host.changes()),
        (End::Failed, 0),
        "it gives up, and never writes over another's change"
    );
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_will_not_start_again_is_asked_once() {
    let stage = Stage::new(MISSING_ONE, ProviderStatus::Failed);
    // It says pending, and falls back at once.
    let mut identity = stage.identity();
    identity.keys = KeyMaker::Owner;
    stage.provider.inner.put(identity);
    let (end, told) = stage.run(&stage.whole()).await;
    assert_eq!((end, told.last().map(String::as_str)), (End::Refused, Some("refused provider-needs-key")));
    assert_eq!(
        (stage.host.changes(), stage.provider.inner.rearms()),
        (1, 0),
        "the record is published all the same"
    );
}

/// When a run has ended, from its beginning.
fn elapsed(stage: &Stage) -> Duration {
    stage.clock.begun.elapsed()
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_seen_is_looked_at_again_and_refused_only_if_that_stays_so() {
    const CCC: &str = "ccc._domainkey.example.com";
    type Change = fn(&mut World);
    let table: [(&str, Change, Change, &str); 3] = [
        (
            "a server is silent",
            |w| _ = w.server(World::NS2).fault(Fault::Silent),
            |w| _ = w.server(World::NS2).heal(),
            "refused not-seen",
        ),
        (
            "nothing can be reached",
            |w| {
                w.resolver(World::RESOLVER).fault(Fault::Silent);
                for server in [World::ROOT, World::TLD, World::NS1, World::NS2] {
                    w.server(server).fault(Fault::Silent);
                }
            },
            |w| {
                w.resolver(World::RESOLVER).heal();
                for server in [World::ROOT, World::TLD, World::NS1, World::NS2] {
                    w.server(server).heal();
                }
            },
            "refused no-edit",
        ),
        (
            "the zone has just lost a record that its servers still have",
            |w| _ = w.publish(&format!("{CCC} CNAME ccc.dkim.amazonses.com")),
            |w| _ = w.remove(CCC),
            "refused unsettled",
        ),
    ];
    for (case, breaks, heals, refused) in table {
        let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
        stage.dns.change(breaks);
        let healing = async {
            tokio::time::sleep(Duration::from_secs(20)).await;
            stage.dns.change(heals);
        };
        let repair = stage.whole();
        let ((end, told), ()) = futures_util::future::join(stage.run(&repair), healing).await;
        assert_eq!(end, End::Done, "{case}: {told:?}");
        assert_eq!(told[..2], ["waiting look", "plan 1"], "{case}: {told:?}");

        let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
        stage.dns.change(breaks);
        let (end, told) = stage.run(&stage.whole()).await;
        assert_eq!((end, told.last().map(String::as_str)), (End::Refused, Some(refused)), "{case}: {told:?}");
        assert!((30..300).contains(&elapsed(&stage).as_secs()), "{case}: {:?}", elapsed(&stage));
        assert_eq!(stage.host.changes(), 0);
    }
}

#[tokio::test(start_paused = true)]
async fn servers_and_resolvers_are_waited_for_as_long_as_caches_explain_them() {
    const BBB: &str = "bbb._domainkey.example.com";
    type Change = fn(&mut World);
    let table: [(&str, Change, &str, Cause, u64); 4] = [
        (
            "a server keeps an old zone",
            |w| _ = w.server(World::NS2).remove(BBB),
            "waiting servers",
            Cause::ServersDisagree,
            600,
        ),
        (
            "a server is dead",
            |w| _ = w.server(World::NS2).fault(Fault::Silent),
            "waiting servers",
            Cause::ServerUnreachable,
            600,
        ),
        (
            "a resolver says for ever that it keeps an absence for a minute",
            |w| _ = w.resolver(World::RESOLVER).cache_absence(BBB, 60),
            "waiting resolvers",
            Cause::NegativeCached,
            600,
        ),
        (
            "a resolver keeps an absence for an hour",
            |w| _ = w.resolver(World::RESOLVER).cache_absence(BBB, 3600),
            "waiting resolvers",
            Cause::NegativeCached,
            3600,
        ),
    ];
    for (case, breaks, waiting, cause, least) in table {
        let stage = Stage::new(&right(), ProviderStatus::TemporaryFailure);
        stage.dns.change(breaks);
        let mut events = Vec::new();
        let repair = stage.whole();
        let end = repair.run(stage.identity(), Witnesses::default(), &mut |event| events.push(event)).await;
        let told: Vec<String> = events.iter().map(short).collect();
        assert_eq!(
            (end, &told[..]),
            (End::Refused, &[waiting, "refused no-edit"].map(str::to_owned)[..]),
            "{case}"
        );
        let named =
            matches!(&events[1], Event::Refused(Refusal::NoEdit { cause: named, .. }) if *named == cause);
        assert!(named, "{case}: {:?}", events[1]);
        let elapsed = elapsed(&stage).as_secs();
        assert!((least..2 * least + 660).contains(&elapsed), "{case}: {elapsed} s");
    }

    // What comes and goes has got nowhere.
    let stage = Stage::new(&right(), ProviderStatus::TemporaryFailure);
    let flapping = async {
        for _ in 0..100 {
            stage.dns.change(|w| _ = w.server(World::NS2).remove(BBB));
            tokio::time::sleep(Duration::from_secs(45)).await;
            stage.dns.change(|w| {
                w.server(World::NS2).publish(&format!("{BBB} CNAME bbb.dkim.amazonses.com"));
                let fault = Fault::Rcode(Rcode::SERVFAIL).below("_domainkey.example.com");
                w.resolver(World::RESOLVER).fault(fault);
            });
            tokio::time::sleep(Duration::from_secs(45)).await;
            stage.dns.change(|w| _ = w.resolver(World::RESOLVER).heal());
        }
    };
    let repair = stage.whole();
    let ended = futures_util::future::select(Box::pin(stage.run(&repair)), Box::pin(flapping)).await;
    let futures_util::future::Either::Left(((end, told), _)) = ended else { panic!("it never ends") };
    assert_eq!(end, End::Refused, "{told:?}");
    assert!(told.contains(&"waiting look".to_owned()), "{told:?}");

    // Whatever moves begins the wait anew.
    let stage = Stage::new(&right(), ProviderStatus::TemporaryFailure);
    stage.dns.change(|w| {
        w.server(World::NS1).remove(BBB);
        w.server(World::NS2).fault(Fault::Silent);
    });
    let following = async {
        tokio::time::sleep(Duration::from_secs(500)).await;
        stage.dns.change(|w| _ = w.server(World::NS2).heal());
        tokio::time::sleep(Duration::from_secs(500)).await;
        stage
            .dns
            .change(|w| _ = w.server(World::NS1).publish(&format!("{BBB} CNAME bbb.dkim.amazonses.com")));
    };
    let repair = stage.whole();
    let ((end, told), ()) = futures_util::future::join(stage.run(&repair), following).await;
    assert_eq!(end, End::Done, "{told:?}");
}

#[tokio::test(start_paused = true)]
async fn what_the_provider_told_last_counts_until_it_has_caught_up() {
    for (minutes, tokens, expected) in [
        (5, None, End::Done),
        (5, Some(["aaa", "ddd", "eee"]), End::Done),
        (60, None, End::Failed),
        (60, Some(["aaa", "ddd", "eee"]), End::Failed),
    ] {
        let stage = Stage::new(MISSING_ONE, ProviderStatus::Failed);
        *stage.provider.lag.lock().expect("whole") = Duration::from_secs(60 * minutes);
        if let Some(tokens) = tokens {
            stage.provider.inner.set_tokens_after_rearm(selectors(tokens));
        }
        let (end, told) = stage.run(&stage.whole()).await;
        assert_eq!(end, expected, "{minutes} minutes: {told:?}");
        assert_eq!(stage.provider.inner.rearms(), 1, "{told:?}");
        let rearmed = told.iter().position(|told| told == "rearmed").expect("it was asked");
        let next = if tokens.is_some() { "plan 2" } else { "waiting provider" };
        assert_eq!(told[rearmed + 1], next, "its own answer counts first: {told:?}");
        assert_eq!(told.iter().filter(|told| *told == "done").count(), usize::from(end == End::Done));
    }
}

#[tokio::test(start_paused = true)]
async fn what_the_host_does_not_say_the_servers_do() {
    let ccc = || records("ccc._domainkey CNAME ccc.dkim.amazonses.com.\n");
    let is_ccc = |record: &Record| record.name == name("ccc._domainkey.example.com");
    let same: Vec<Record> = ccc().into_iter().filter(is_ccc).collect();
    for (case, fault, expected) in [
        ("somebody else made the same edit", HostFault::EditedBefore(same), &["published", "verified"][..]),
        (
            "the question is denied",
            HostFault::Unsynced(ProviderErrorKind::Denied),
            &["published", "waiting retry", "verified"],
        ),
        ("it never says so", HostFault::Slow(u32::MAX), &["published", "verified"]),
    ] {
        let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
        stage.host.meet([fault]);
        let (end, told) = stage.run(&stage.whole()).await;
        let expected = [&["plan 1"], expected, &["waiting provider", "done"]].concat();
        assert_eq!(
            (end, &told[..]),
            (End::Done, &expected.iter().map(ToString::to_string).collect::<Vec<_>>()[..]),
            "{case}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn failures_are_counted_one_after_another() {
    // Of the host: a plan that wasn't applied is none that was undone.
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    stage.host.meet(vec![HostFault::Fails(ProviderErrorKind::Throttled); 7]);
    let (end, told) = stage.run(&stage.whole()).await;
    assert_eq!((end, stage.host.changes()), (End::Done, 1), "{told:?}");
    // Even though the provider answers in between, they don't go on for ever.
    let stage = Stage::new(MISSING_ONE, ProviderStatus::TemporaryFailure);
    stage.host.meet(vec![HostFault::Fails(ProviderErrorKind::Throttled); 100]);
    assert_eq!(stage.run(&stage.whole()).await.0, End::Failed);
    // Of the provider.
    for (row, expected) in [(7, End::Done), (8, End::Failed)] {
        let stage = Stage::new(&right(), ProviderStatus::TemporaryFailure);
        let mut finds: Vec<Option<ProviderErrorKind>> = Vec::new();
        for _ in 0..4 {
            finds.extend(vec![Some(ProviderErrorKind::Throttled); row]);
            finds.push(None);
        }
        stage.provider.finds.lock().expect("whole").extend(finds);
        let (end, told) = stage.run(&stage.whole()).await;
        assert_eq!(end, expected, "{told:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_the_provider_tells_what_it_says_and_until_when() {
    let stage = Stage::new(&right(), ProviderStatus::TemporaryFailure);
    let begun = stage.clock.now();
    let mut waits = Vec::new();
    let mut hear = |event| {
        if let Event::Waiting(waiting) = event {
            waits.push(waiting);
        }
    };
    let end = stage.whole().run(stage.identity(), Witnesses::default(), &mut hear).await;
    assert_eq!(end, End::Done);
    let deadline = Some(begun + SignedDuration::from_hours(72));
    assert_eq!(waits, [Waiting::Provider { status: ProviderStatus::TemporaryFailure, deadline }]);
}

#[test]
fn events_are_told_as_the_contract_has_them() {
    for (event, code) in [
        (Event::InSync, "in-sync"),
        (Event::Done, "done"),
        (Event::Refused(Refusal::Replica), "refused"),
        (Event::Failed("x".to_owned()), "error"),
        (Event::Waiting(Waiting::Rearm), "waiting"),
        (Event::Waiting(Waiting::Look(Refusal::Replica)), "waiting"),
    ] {
        let json = serde_json::to_value(&event).expect("JSON");
        assert_eq!(json["event"], code);
        assert_eq!(json["message"], event.to_string());
    }
}

fn kind() -> impl Strategy<Value = ProviderErrorKind> {
    prop_oneof![
        Just(ProviderErrorKind::Throttled),
        Just(ProviderErrorKind::Unavailable),
        Just(ProviderErrorKind::Denied),
    ]
}

fn host_fault() -> impl Strategy<Value = HostFault> {
    let at_identity = |token: &str| {
        let name = name(&format!("{token}._domainkey.example.com"));
        Record { name, ttl: 60, data: RecordData::Cname(name_of_nobody()) }
    };
    let elsewhere =
        Record { name: name("new.example.com"), ttl: 60, data: RecordData::Cname(name_of_nobody()) };
    prop_oneof![
        3 => kind().prop_map(HostFault::Fails),
        2 => Just(HostFault::AnswerLost),
        1 => (0_u32..40).prop_map(HostFault::Slow),
        1 => kind().prop_map(HostFault::Unsynced),
        1 => Just(HostFault::EditedBefore(vec![elsewhere])),
        1 => Just(HostFault::EditedBefore(vec![at_identity("ccc")])),
    ]
}

fn name_of_nobody() -> Name {
    name("nobody.example.net")
}

fn rearm_fault() -> impl Strategy<Value = RearmFault> {
    prop_oneof![2 => kind().prop_map(RearmFault::Fails), 1 => Just(RearmFault::AnswerLost)]
}

fn status() -> impl Strategy<Value = ProviderStatus> {
    prop_oneof![
        Just(ProviderStatus::TemporaryFailure),
        Just(ProviderStatus::Pending),
        Just(ProviderStatus::Failed),
        Just(ProviderStatus::NotStarted),
        Just(ProviderStatus::Success),
    ]
}

fn standing() -> impl Strategy<Value = Option<&'static str>> {
    prop_oneof![
        Just(Some("RIGHT")),
        Just(None),
        Just(Some("CNAME wrong.example.net.")),
        Just(Some("TXT \"p=\"")),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig { cases: cases(), ..ProptestConfig::default() })]

    /// Whatever fails and wherever it is cut off: run again until it is done, the end is right, nobody else's record is
    /// touched, and no record of the identity that was live is ever taken away.
    #[test]
    fn run_again_until_done_the_end_is_right(
        at_names in proptest::array::uniform3(standing()),
        status in status(),
        host_faults in proptest::collection::vec(host_fault(), 0..8),
        finds in proptest::collection::vec(kind(), 0..8),
        rearms in proptest::collection::vec(rearm_fault(), 0..4),
        new_tokens in any::<bool>(),
        lag in 0_u64..300,
        kills in proptest::collection::vec(1_usize..6, 0..12),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build();
        runtime.expect("a runtime").block_on(async {
            let mut lines = String::new();
            for (token, standing) in TOKENS.iter().zip(&at_names) {
                let right = format!("CNAME {token}.dkim.amazonses.com.");
                if let Some(data) = standing {
                    lines += &format!("{token}._domainkey {}\n", if *data == "RIGHT" { right.as_str() } else { *data });
                }
            }
            let stage = Stage::new(&lines, status.clone());
            if new_tokens {
                stage.provider.inner.set_tokens_after_rearm(selectors(["ccc", "ddd", "eee"]));
            }
            *stage.provider.lag.lock().expect("whole") = Duration::from_secs(lag);
            let before = stage.host.records();
            let edits: Vec<Name> = host_faults.iter().flat_map(|fault| match fault {
                HostFault::EditedBefore(records) => records.iter().map(|record| record.name.clone()).collect(),
                _ => Vec::new(),
            }).collect();
            stage.host.meet(host_faults);
            stage.provider.finds.lock().expect("whole").extend(finds.into_iter().map(Some));
            stage.provider.rearms.lock().expect("whole").extend(rearms);
            // What has been live once, for whichever tokens.
            let mut ever_live: BTreeMap<Name, Name> = BTreeMap::new();
            let mut kills = kills.into_iter();
            let mut end = None;
            let mut told = Vec::new();
            for _ in 0..60 {
                let lives = kills.next();
                let (killed, is_killed) = tokio::sync::oneshot::channel();
                let mut killed = Some(killed);
                let mut events = 0;
                let mut broken = None;
                let repair = stage.whole();
                let identity = stage.identity();
                let mut tell = |event: Event| {
                    told.push(event.to_string());
                    let identity = stage.identity();
                    for (name, is_live) in live(&stage.dns, &identity) {
                        let value = identity.expected().expect("names").into_iter().find(|record| record.name == name);
                        let target = value.and_then(|record| record.value.target().cloned()).expect("a CNAME");
                        if is_live {
                            ever_live.insert(name, target);
                        } else if ever_live.get(&name) == Some(&target) && !edits.contains(&name) {
                            broken = Some(format!("{name} is gone at {event:?}"));
                        }
                    }
                    events += 1;
                    if lives.is_some_and(|lives| events >= lives) && let Some(killed) = killed.take() {
                        let _ = killed.send(());
                    }
                };
                let run = repair.run(identity, Witnesses::default(), &mut tell);
                let ended = tokio::select! {
                    biased;
                    Ok(()) = is_killed => None,
                    ended = run => Some(ended),
                };
                prop_assert!(broken.is_none(), "{broken:?}");
                end = ended;
                if end == Some(End::Done) {
                    break;
                }
                tokio::time::sleep(Duration::from_secs(30)).await;
            }
            prop_assert_eq!(end, Some(End::Done), "{:#?}", told);
            let identity = stage.identity();
            prop_assert_eq!(&identity.status, &ProviderStatus::Success);
            prop_assert!(live(&stage.dns, &identity).values().all(|holds| *holds));
            let own: Vec<Name> = ["aaa", "bbb", "ccc", "ddd", "eee"]
                .map(|token| name(&format!("{token}._domainkey.example.com"))).into();
            for record in before.iter().filter(|record| !own.contains(&record.name)) {
                prop_assert!(stage.host.records().contains(record), "{record:?} is gone");
            }
            prop_assert!(stage.provider.inner.rearms() <= 1 + u32::from(status == ProviderStatus::Failed));
            Ok(())
        })?;
    }
}

/// 300 sequences of faults, or as many as `PROPTEST_CASES` says.
fn cases() -> u32 {
    std::env::var("PROPTEST_CASES").ok().and_then(|cases| cases.parse().ok()).unwrap_or(300)
}
