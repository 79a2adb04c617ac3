//! The guard's loop, on fakes and a clock that jumps: what it tells, and what happens when a port misbehaves.

#[path = "guard/mending.rs"]
mod mending;

use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::{NotifyError, ProviderError, ProviderErrorKind, StoreError};
use dkimguard_core::guard::{
    Alert, AlertEvent, BuildError, Guard, GuardBuilder, GuardHandle, InMemory, Memory, Policy, RepairMode,
    Severity, Timer,
};
use dkimguard_core::identity::{ExpectedValue, Identity, IdentityId, ProviderStatus, Selector};
use dkimguard_core::judge::{Cause, Certainty};
use dkimguard_core::look::wire::{Limits, Wire};
use dkimguard_core::look::{Authoritative, Look, Places, Rcode, Vantage};
use dkimguard_core::ports::{Clock, Found, IdentitySource, Notifier, Rearm, Revision, Store};
use dkimguard_core::testing::{FakeDns, FakeSource, Fault, Lab, TOKENS, World, easy_dkim_identity};
use dkimguard_core::{Name, Verdict};
use futures_util::StreamExt;
use futures_util::future::BoxFuture;
use futures_util::stream::BoxStream;
use jiff::{SignedDuration, Timestamp};
use tokio::time::Instant;

const DOMAIN: &str = "example.com";
const BBB: &str = "bbb._domainkey.example.com";

/// Tokio's clock, which jumps to the next timer once everything waits.
#[derive(Clone, Copy, Debug)]
struct Jumping {
    begun: Instant,
}

impl Jumping {
    fn new() -> Self {
        Self { begun: Instant::now() }
    }
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

/// A notifier that notes what it is given, and does as it is told before.
#[derive(Debug)]
struct Noting {
    name: String,
    heard: Mutex<Vec<String>>,
    /// How many of the next deliveries fail.
    failures: AtomicUsize,
    hangs: AtomicBool,
}

impl Noting {
    fn named(name: &str) -> Arc<Self> {
        let heard = Mutex::default();
        Arc::new(Self {
            name: name.to_owned(),
            heard,
            failures: AtomicUsize::new(0),
            hangs: AtomicBool::new(false),
        })
    }

    /// `opened dkim`, `recovered dkim`, in the order in which they came.
    fn heard(&self) -> Vec<String> {
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for Noting {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        let fails =
            self.failures.fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| left.checked_sub(1));
        if fails.is_ok() {
            return Err(NotifyError { notifier: self.name.clone(), is_refusal: false, source: None });
        }
        let text = format!("{} {}", alert.event, alert.kind);
        self.heard.lock().unwrap_or_else(PoisonError::into_inner).push(text);
        Ok(())
    }
}

/// A source that panics or hangs on demand, or gives no details.
#[derive(Debug, Default)]
struct Moody {
    inner: FakeSource,
    panics: AtomicBool,
    hangs: AtomicBool,
    is_vague: AtomicBool,
}

#[async_trait]
impl IdentitySource for Moody {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        assert!(!self.panics.load(Ordering::Relaxed), "the source is in a mood");
        if self.hangs.load(Ordering::Relaxed) {
            std::future::pending::<()>().await;
        }
        self.inner.find(domain).await
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.inner.identities()
    }

    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        if self.is_vague.load(Ordering::Relaxed) {
            let (provider, operation) = ("moody".to_owned(), "details".to_owned());
            let kind = ProviderErrorKind::Unavailable;
            return Err(ProviderError { provider, operation, kind, source: None });
        }
        self.inner.details(identity).await
    }
}

#[async_trait]
impl Rearm for Moody {
    async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        self.inner.rearm(identity).await
    }
}

/// A source of many domains that notes how it is asked.
#[derive(Debug, Default)]
struct Many {
    inner: FakeSource,
    singles: AtomicUsize,
    batches: Mutex<Vec<usize>>,
    lists: AtomicUsize,
    panics: AtomicBool,
}

impl Many {
    fn batches(&self) -> Vec<usize> {
        std::mem::take(&mut self.batches.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl IdentitySource for Many {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        self.singles.fetch_add(1, Ordering::Relaxed);
        self.inner.find(domain).await
    }

    fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Found> {
        self.batches.lock().unwrap_or_else(PoisonError::into_inner).push(domains.len());
        assert!(!self.panics.load(Ordering::Relaxed), "the source is in a mood");
        self.inner.find_many(domains)
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.lists.fetch_add(1, Ordering::Relaxed);
        self.inner.identities()
    }
}

/// A store whose disk is full on demand.
#[derive(Debug, Default)]
struct Disk {
    inner: Arc<InMemory>,
    is_full: AtomicBool,
}

#[async_trait]
impl Store for Disk {
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
        self.inner.load(id).await
    }

    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        if self.is_full.load(Ordering::Relaxed) {
            return Err(StoreError::Unavailable("the disk".to_owned(), None));
        }
        self.inner.save(id, memory, from).await
    }
}

/// A domain on fakes, its source, and who is told.
struct Stage {
    dns: Arc<FakeDns>,
    source: Arc<Moody>,
    told: Arc<Noting>,
    domain: Name,
    clock: Jumping,
}

impl Stage {
    fn new() -> Self {
        let inner = FakeSource::new([easy_dkim_identity(DOMAIN)]);
        let source = Moody { inner, ..Moody::default() };
        Self {
            dns: Arc::new(FakeDns::new(World::easy_dkim(DOMAIN))),
            source: Arc::new(source),
            told: Noting::named("told"),
            domain: DOMAIN.parse().expect("a name"),
            clock: Jumping::new(),
        }
    }

    fn builder(&self) -> GuardBuilder {
        let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
        let look = Look::new(self.dns.clone(), places);
        Guard::builder(self.source.clone(), look).watch([self.domain.clone()]).clock(self.clock)
    }

    fn spawn(&self) -> GuardHandle {
        self.builder().notifier(self.told.clone()).spawn().expect("it is complete")
    }

    fn lose_record(&self) {
        self.dns.change(|world| {
            world.remove(BBB);
        });
    }

    fn mend_record(&self) {
        self.dns.change(|world| {
            world.replace(&format!("{BBB} CNAME bbb.dkim.amazonses.com"));
        });
    }

    fn set_status(&self, status: ProviderStatus) {
        let mut identity = easy_dkim_identity(DOMAIN);
        identity.status = status;
        self.source.inner.put(identity);
    }
}

async fn minutes(count: u64) {
    tokio::time::sleep(Duration::from_secs(60 * count)).await;
}

#[tokio::test(start_paused = true)]
async fn an_incident_is_told_once_when_it_opens_and_once_when_it_is_over() {
    let stage = Stage::new();
    let guard = stage.spawn();
    assert_eq!(guard.verdict(&stage.domain), Verdict::Unknown, "before the first look");
    let mut alerts = guard.alerts();
    let mut verdicts = guard.subscribe(&stage.domain).expect("it is watched");
    verdicts.wait_for(|&verdict| verdict == Verdict::Healthy).await.expect("the guard runs");
    minutes(60).await;
    assert_eq!(stage.told.heard(), [""; 0]);

    stage.lose_record();
    verdicts.wait_for(|&verdict| verdict == Verdict::Failing).await.expect("the guard runs");
    assert_eq!(stage.told.heard(), [""; 0], "one look is no incident");
    minutes(2).await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    let alert = alerts.next().await.expect("it was raised");
    assert_eq!(alert.causes, ["record-missing"]);
    minutes(300).await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);

    stage.mend_record();
    minutes(40).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy);
    assert_eq!(stage.told.heard(), ["opened dkim", "recovered dkim"]);
    let report = guard.report(&stage.domain).expect("it was looked at");
    assert_eq!(report.verdict, Verdict::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_has_ended_or_sees_nothing_new_says_unknown() {
    let stage = Stage::new();
    let guard = stage.spawn();
    let mut verdicts = guard.subscribe(&stage.domain).expect("it is watched");
    minutes(1).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy);
    assert_eq!(guard.verdict(&"example.net".parse().expect("a name")), Verdict::Unknown, "not watched");

    // A source that hangs: first the verdict grows old, then the visit is given up.
    stage.source.hangs.store(true, Ordering::Relaxed);
    minutes(60).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Unknown);
    stage.source.hangs.store(false, Ordering::Relaxed);
    minutes(30).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy);

    let memories = guard.stop().await;
    assert_eq!(memories.len(), 1);
    assert_eq!(*verdicts.borrow_and_update(), Verdict::Unknown);
}

#[tokio::test(start_paused = true)]
async fn dropping_the_handle_stops_the_guard() {
    let stage = Stage::new();
    let guard = stage.spawn();
    let mut verdicts = guard.subscribe(&stage.domain).expect("it is watched");
    minutes(1).await;
    drop(guard);
    verdicts.wait_for(|&verdict| verdict == Verdict::Unknown).await.expect("it says so before it goes");
    stage.dns.forget_asked();
    minutes(60).await;
    assert!(stage.dns.asked().is_empty());
}

#[test]
fn a_guard_whose_runtime_ends_before_it_ran_is_known_to_have_ended() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    let source = FakeSource::new([easy_dkim_identity(DOMAIN)]);
    let look = Look::new(Arc::new(FakeDns::new(World::easy_dkim(DOMAIN))), Places::new([]));
    let guard = {
        let _inside = runtime.enter();
        Guard::builder(source, look)
            .watch([DOMAIN.parse::<Name>().expect("a name")])
            .spawn()
            .expect("it may run")
    };
    assert!(guard.health().is_running);
    drop(runtime);
    assert!(!guard.health().is_running);
}

#[tokio::test(start_paused = true)]
async fn a_panic_in_a_port_is_counted_and_the_loop_lives_on() {
    let stage = Stage::new();
    let guard = stage.spawn();
    minutes(1).await;
    stage.source.panics.store(true, Ordering::Relaxed);
    minutes(20).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Unknown);
    let report = guard.report(&stage.domain).expect("there is one of every visit");
    assert_eq!(report.summary, "a port of the guard panicked: the source is in a mood");
    assert!(guard.health().panics > 0);
    assert!(guard.health().is_running);
    minutes(70).await;
    assert_eq!(stage.told.heard(), ["opened blind"]);
    stage.source.panics.store(false, Ordering::Relaxed);
    minutes(40).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy);
    assert_eq!(stage.told.heard(), ["opened blind", "recovered blind"]);
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_hangs_delays_neither_looks_nor_others() {
    let stage = Stage::new();
    let dead = Noting::named("dead");
    dead.hangs.store(true, Ordering::Relaxed);
    let guard =
        stage.builder().notifier(dead.clone()).notifier(stage.told.clone()).spawn().expect("it is complete");
    minutes(1).await;
    stage.lose_record();
    minutes(20).await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    let before = guard.health().looks;
    minutes(60).await;
    assert!(guard.health().looks >= before + 3, "it looks on");

    dead.hangs.store(false, Ordering::Relaxed);
    minutes(70).await;
    assert_eq!(dead.heard(), ["opened dkim"], "it is told once it can hear");
    assert_eq!(stage.told.heard(), ["opened dkim"], "who has it isn't told again");
}

#[tokio::test(start_paused = true)]
async fn a_notifier_that_fails_gets_everything_in_order_later() {
    let stage = Stage::new();
    stage.told.failures.store(7, Ordering::Relaxed);
    let guard = stage.spawn();
    minutes(1).await;
    stage.lose_record();
    minutes(16).await;
    stage.mend_record();
    minutes(120).await;
    assert_eq!(stage.told.heard(), ["opened dkim", "recovered dkim"]);
    let memories = guard.stop().await;
    assert!(memories.iter().all(|(_, memory)| memory.undelivered().next().is_none()));
}

#[tokio::test(start_paused = true)]
async fn twenty_replicas_on_one_store_tell_once() {
    let stage = Stage::new();
    let store = Arc::new(InMemory::default());
    let replica = |seed| {
        let builder = stage.builder().store(store.clone()).notifier(stage.told.clone()).seed(seed);
        builder.spawn().expect("it is complete")
    };
    let replicas: Vec<GuardHandle> = (0..20).map(replica).collect();
    minutes(20).await;
    stage.lose_record();
    minutes(120).await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    stage.mend_record();
    minutes(120).await;
    assert_eq!(stage.told.heard(), ["opened dkim", "recovered dkim"]);
    assert!(replicas.iter().all(|guard| guard.verdict(&stage.domain) == Verdict::Healthy));
}

#[tokio::test(start_paused = true)]
async fn a_full_disk_is_an_incident_of_its_own_and_alerts_go_out() {
    let stage = Stage::new();
    let disk = Arc::new(Disk::default());
    let guard =
        stage.builder().store(disk.clone()).notifier(stage.told.clone()).spawn().expect("it is complete");
    minutes(1).await;
    disk.is_full.store(true, Ordering::Relaxed);
    minutes(20).await;
    assert_eq!(stage.told.heard(), ["opened store"]);
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy, "the domain is well");
    assert!(guard.health().store_fault.is_some());
    stage.lose_record();
    minutes(30).await;
    assert_eq!(stage.told.heard(), ["opened store", "opened dkim"]);
    disk.is_full.store(false, Ordering::Relaxed);
    minutes(30).await;
    assert_eq!(stage.told.heard(), ["opened store", "opened dkim", "recovered store"]);
    stage.mend_record();
    minutes(40).await;
    assert_eq!(stage.told.heard().last().map(String::as_str), Some("recovered dkim"));
}

/// What was told by the instance that could not store it, once another instance has stored a later look of its own.
#[tokio::test(start_paused = true)]
async fn what_could_not_be_stored_is_told_though_another_instance_stored_a_later_look() {
    for (name, is_over, is_told) in [
        ("it was over before", true, false),
        ("it is over after", false, false),
        ("it was told of, and is over after", false, true),
    ] {
        let stage = Stage::new();
        let disk = Arc::new(Disk::default());
        let guard = stage.builder().store(disk.clone()).notifier(stage.told.clone()).spawn();
        let guard = guard.expect("it is complete");
        minutes(1).await;
        disk.is_full.store(true, Ordering::Relaxed);
        stage.lose_record();
        stage.told.failures.store(if is_told { 0 } else { usize::MAX }, Ordering::Relaxed);
        minutes(40).await;
        stage.mend_record();
        if is_over {
            minutes(40).await;
        }
        // The other instance hasn't seen it.
        let other = Noting::named("told");
        let store = disk.inner.clone();
        let other_guard =
            stage.builder().store(store).notifier(other.clone()).spawn().expect("it is complete");
        minutes(0).await;
        other_guard.look_now(&stage.domain).await;
        other_guard.stop().await;
        disk.is_full.store(false, Ordering::Relaxed);
        stage.told.failures.store(0, Ordering::Relaxed);
        minutes(180).await;
        let heard = stage.told.heard();
        let heard: Vec<&str> = heard.iter().map(String::as_str).filter(|it| it.ends_with("dkim")).collect();
        assert_eq!(heard, ["opened dkim", "recovered dkim"], "{name}");
        assert_eq!(other.heard(), [""; 0], "{name}");
        drop(guard);
    }
}

/// Two instances that each saw the same fault while neither could store it: one incident is left of the two.
#[tokio::test(start_paused = true)]
async fn an_incident_that_two_instances_opened_by_themselves_is_closed_for_all_who_were_told() {
    let stage = Stage::new();
    let inner = Arc::new(InMemory::default());
    let disks = [0, 1].map(|_| Arc::new(Disk { inner: inner.clone(), is_full: AtomicBool::new(true) }));
    let told = [0, 1].map(|_| Noting::named("told"));
    stage.lose_record();
    let mut guards = Vec::new();
    for (disk, told) in disks.iter().zip(&told) {
        let builder = stage.builder().store(disk.clone()).notifier(told.clone());
        guards.push(builder.spawn().expect("it is complete"));
        tokio::time::sleep(Duration::from_secs(20)).await;
    }
    minutes(60).await;
    for told in &told {
        let mut heard = told.heard();
        heard.sort_unstable();
        assert_eq!(heard, ["opened dkim", "opened store"], "each tells by itself");
    }
    for disk in &disks {
        disk.is_full.store(false, Ordering::Relaxed);
    }
    minutes(60).await;
    stage.mend_record();
    minutes(120).await;
    let heard: Vec<String> = told.iter().flat_map(|told| told.heard()).collect();
    let count = |text: &str| heard.iter().filter(|heard| *heard == text).count();
    assert_eq!((count("opened dkim"), count("recovered dkim")), (2, 2), "{heard:?}");
    drop(guards);
}

#[tokio::test(start_paused = true)]
async fn what_was_given_back_is_taken_up_again() {
    let stage = Stage::new();
    let guard = stage.spawn();
    minutes(1).await;
    stage.lose_record();
    minutes(30).await;
    let memories = guard.stop().await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);

    let store: InMemory = memories.into_iter().collect();
    let again = stage.builder().store(store).notifier(stage.told.clone());
    let guard = again.clock(Jumping::new()).spawn().expect("it is complete");
    minutes(60).await;
    assert_eq!(stage.told.heard(), ["opened dkim"], "it is known");
    stage.mend_record();
    minutes(40).await;
    assert_eq!(stage.told.heard(), ["opened dkim", "recovered dkim"]);
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_source_that_cannot_be_asked_leaves_unknown_and_dns_is_looked_at_all_the_same() {
    let stage = Stage::new();
    let guard = stage.spawn();
    minutes(1).await;
    stage.source.inner.delete(&stage.domain);
    stage.source.inner.set_failures([ProviderErrorKind::Unavailable]);
    minutes(20).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Unknown);
    stage.lose_record();
    minutes(20).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Failing);
    assert_eq!(stage.told.heard(), ["opened dkim"]);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_nobody_knows_is_told_of_after_an_hour_and_over_once_it_is_known() {
    let stage = Stage::new();
    stage.source.inner.delete(&stage.domain);
    let guard = stage.spawn();
    minutes(50).await;
    assert_eq!(stage.told.heard(), [""; 0]);
    minutes(30).await;
    assert_eq!(stage.told.heard(), ["opened blind"]);
    let report = guard.report(&stage.domain).expect("it was looked for");
    assert_eq!(report.summary, "the source does not know example.com");
    stage.set_status(ProviderStatus::Success);
    minutes(40).await;
    assert_eq!(guard.verdict(&stage.domain), Verdict::Healthy);
    assert_eq!(stage.told.heard(), ["opened blind", "recovered blind"]);
}

#[tokio::test(start_paused = true)]
async fn the_deadline_is_counted_from_the_first_sight_or_from_the_notice() {
    let stage = Stage::new();
    let guard = stage.spawn();
    minutes(1).await;
    stage.lose_record();
    stage.set_status(ProviderStatus::TemporaryFailure);
    let deadline = async || {
        let reports = guard.look_now(&stage.domain).await;
        reports[0].deadline.expect("a clock runs").working
    };
    let first = deadline().await;
    minutes(600).await;
    assert_eq!(deadline().await, first);
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    let sent_at: Timestamp = "2026-11-24T00:00:00Z".parse().expect("a time");
    guard.note_notice(&stage.domain, sent_at).await;
    assert_eq!(deadline().await, sent_at + SignedDuration::from_hours(72));
}

/// Intervals that are longer while something is wrong don't make a guard forget what it saw.
#[tokio::test(start_paused = true)]
async fn new_tokens_are_recognised_by_the_earlier_ones_that_are_still_published() {
    let stage = Stage::new();
    let guard = stage.spawn();
    minutes(20).await;
    let mut identity = easy_dkim_identity(DOMAIN);
    for (selector, token) in identity.selectors.iter_mut().zip(["ddd", "eee", "fff"]) {
        let target = format!("{token}.dkim.amazonses.com").parse().expect("a name");
        *selector = Selector { label: token.parse().expect("a label"), value: ExpectedValue::Cname(target) };
    }
    stage.source.inner.put(identity);
    minutes(20).await;
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    let report = guard.report(&stage.domain).expect("it was looked at");
    let first = &report.causes[0];
    assert_eq!((first.cause, first.certainty), (Cause::TokensChanged, Certainty::Certain), "{report}");
    assert_eq!(first.evidence.len(), 3, "{report}");

    // Once the earlier ones are gone too, nothing says that they were there.
    stage.dns.change(|world| {
        for token in TOKENS {
            world.remove(&format!("{token}._domainkey.{DOMAIN}"));
        }
    });
    let report = &guard.look_now(&stage.domain).await[0];
    assert_eq!(report.causes[0].cause, Cause::RecordMissing, "{report}");
}

#[tokio::test(start_paused = true)]
async fn what_is_degraded_is_told_of_whatever_the_intervals_are() {
    let minute = Duration::from_secs(60);
    for (interval, unhealthy) in
        [(1, vec![1, 2, 5, 15]), (1, vec![15]), (15, vec![1]), (60, vec![60]), (15, vec![])]
    {
        let stage = Stage::new();
        stage.dns.change(|world| {
            world.server(World::NS2).remove(BBB);
        });
        let mut policy = Policy::default();
        policy.interval = minute * interval;
        policy.unhealthy_intervals = unhealthy.iter().map(|&count: &u32| minute * count).collect();
        let guard =
            stage.builder().policy(policy).notifier(stage.told.clone()).spawn().expect("it is complete");
        minutes(9).await;
        assert_eq!(stage.told.heard(), [""; 0], "{interval} {unhealthy:?}");
        minutes(121).await;
        assert_eq!(stage.told.heard(), ["opened dkim"], "{interval} {unhealthy:?}");
        assert_eq!(guard.verdict(&stage.domain), Verdict::Degraded, "{interval} {unhealthy:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn one_look_without_the_loop_tells_as_the_loop_would() {
    let stage = Stage::new();
    stage.set_status(ProviderStatus::Failed);
    let mut guard = stage.builder().notifier(stage.told.clone()).build().expect("it is complete");
    let reports = guard.look(&stage.domain).await;
    assert_eq!(reports[0].verdict, Verdict::Failing);
    assert_eq!(stage.told.heard(), ["opened dkim"]);
    let next = guard.next_look(&stage.domain).expect("it is watched").duration_since(stage.clock.now());
    assert!((60..=66).contains(&next.as_secs()), "{next:#}");
}

#[tokio::test(start_paused = true)]
async fn many_domains_are_looked_at_through_one_resolver_and_closely_where_something_is_wrong() {
    let inner = FakeSource::default();
    let mut world = World::easy_dkim(DOMAIN);
    world.server(World::NS2).fault(Fault::Rcode(Rcode::REFUSED));
    inner.put(easy_dkim_identity(DOMAIN));
    let source = Moody { inner, ..Moody::default() };
    let stage = Stage { dns: Arc::new(FakeDns::new(world)), source: Arc::new(source), ..Stage::new() };
    let mut policy = Policy::default();
    policy.full_up_to = 0;
    policy.full_interval = 6 * Duration::from_secs(3600);
    let guard = stage.builder().policy(policy).notifier(stage.told.clone()).spawn().expect("it is complete");
    minutes(30).await;
    assert_eq!(stage.told.heard(), ["opened dkim"], "the first look is a full one");
    stage.dns.change(|world| {
        world.server(World::NS2).heal();
    });
    minutes(60).await;
    assert_eq!(stage.told.heard(), ["opened dkim", "recovered dkim"]);
    // For a day it might come again.
    minutes(24 * 60).await;
    stage.dns.forget_asked();
    minutes(60).await;
    let asked = stage.dns.asked();
    assert!(!asked.is_empty() && asked.iter().all(|(_, vantage)| vantage.is_recursive()));
    drop(guard);
}

/// A guard of everything that a source of so many domains holds. Every record holds at the resolver.
fn many(count: usize) -> (Arc<Many>, Arc<Noting>, GuardBuilder) {
    let source = Arc::new(Many::default());
    let mut world = World::easy_dkim(DOMAIN);
    for number in 0..count {
        let domain = format!("customer-{number}.{DOMAIN}");
        for token in TOKENS {
            world.publish(&format!("{token}._domainkey.{domain} CNAME {token}.dkim.amazonses.com"));
        }
        source.inner.put(easy_dkim_identity(&domain));
    }
    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    let look = Look::new(Arc::new(FakeDns::new(world)), places);
    let told = Noting::named("told");
    let builder = Guard::builder(source.clone(), look).watch_all().notifier(told.clone());
    (source, told, builder.clock(Jumping::new()))
}

#[tokio::test(start_paused = true)]
async fn the_source_is_asked_for_many_domains_at_once() {
    let (source, told, builder) = many(250);
    let guard = builder.spawn().expect("it is complete");
    assert!(!guard.health().is_listed, "nothing is known yet");
    minutes(5).await;
    let health = guard.health();
    assert_eq!((health.watched, health.fresh, health.is_listed), (250, 250, true));
    assert!(guard.domains().iter().all(|domain| guard.verdict(domain) == Verdict::Healthy));
    assert_eq!(source.batches(), [100, 100, 50]);
    minutes(600).await;
    let batches = source.batches();
    let asked: usize = batches.iter().sum();
    // Looks come at most a tenth later or earlier than each 15 minutes, and those that are due soon come along.
    let rounds = asked as f64 / 250.0;
    assert!((36.0..46.0).contains(&rounds), "{rounds} rounds in ten hours");
    assert!(batches.len() < asked / 10, "{} calls for {asked} domains", batches.len());
    assert_eq!(source.singles.load(Ordering::Relaxed), 0);
    assert_eq!(told.heard(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_domain_that_the_source_gets_is_watched_and_one_that_it_loses_is_told_of() {
    for count in [3, 30] {
        let (source, told, builder) = many(count);
        let guard = builder.spawn().expect("it is complete");
        minutes(30).await;
        let new: Name = DOMAIN.parse().expect("a name");
        assert_eq!(guard.verdict(&new), Verdict::Unknown);
        source.inner.put(easy_dkim_identity(DOMAIN));
        minutes(61).await;
        assert_eq!((guard.verdict(&new), guard.health().watched), (Verdict::Healthy, count + 1));
        assert_eq!(told.heard(), [""; 0]);
        source.inner.delete(&new);
        minutes(120).await;
        assert_eq!((guard.verdict(&new), guard.health().watched), (Verdict::Unknown, count + 1));
        assert_eq!(told.heard(), ["opened blind"], "of {count}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_that_cannot_be_read_is_told_of_after_an_hour_and_what_is_known_is_looked_at() {
    let (source, told, builder) = many(3);
    source.inner.set_failures([ProviderErrorKind::Denied]);
    let guard = builder.spawn().expect("it is complete");
    minutes(30).await;
    let health = guard.health();
    assert_eq!(
        (health.watched, health.fresh, health.is_listed),
        (3, 3, false),
        "those that it could tell of"
    );
    assert_eq!(told.heard(), [""; 0]);
    minutes(60).await;
    assert_eq!(told.heard(), ["opened blind"]);
    assert!(source.lists.load(Ordering::Relaxed) >= 6, "it asks again and again");
    source.inner.set_failures([]);
    minutes(20).await;
    assert!(guard.health().is_listed);
    assert_eq!(told.heard(), ["opened blind", "recovered blind"]);
}

#[tokio::test(start_paused = true)]
async fn a_panic_of_the_source_about_many_domains_leaves_them_unknown_until_it_is_over() {
    let (source, told, builder) = many(30);
    let guard = builder.spawn().expect("it is complete");
    minutes(20).await;
    source.panics.store(true, Ordering::Relaxed);
    minutes(20).await;
    let of =
        |verdict: Verdict| guard.domains().iter().filter(|&domain| guard.verdict(domain) == verdict).count();
    assert_eq!(of(Verdict::Unknown), 30);
    assert!(guard.health().panics > 0);
    source.panics.store(false, Ordering::Relaxed);
    minutes(20).await;
    assert_eq!(of(Verdict::Healthy), 30);
    assert_eq!(told.heard(), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn one_domain_of_many_that_fails_is_confirmed_as_soon_as_among_few() {
    let (source, told, builder) = many(200);
    let guard = builder.spawn().expect("it is complete");
    minutes(20).await;
    let mut identity = easy_dkim_identity(&format!("customer-7.{DOMAIN}"));
    identity.signing_enabled = Some(false);
    source.inner.put(identity);
    minutes(20).await;
    assert_eq!(told.heard(), ["opened dkim"]);
    drop(guard);
}

/// The machine's clock, real sockets, and servers that answer on them.
#[tokio::test]
async fn the_guard_works_over_sockets_too() {
    let lab = Lab::start(World::easy_dkim(DOMAIN)).expect("loopback has room");
    let stage = Stage::new();
    let limits = Limits { timeout: Duration::from_millis(500), ..Limits::default() };
    let dns = Arc::new(Wire::new(limits));
    let places = Places::new([Vantage::Resolver { address: lab.resolver() }])
        .with_authoritative(Authoritative::Ask { port: lab.port() });
    let mut policy = Policy::default();
    policy.interval = Duration::from_millis(200);
    policy.unhealthy_intervals = vec![Duration::from_millis(50)];
    policy.confirmation_gap = Duration::from_millis(50);
    let guard = Guard::builder(stage.source.clone(), Look::new(dns, places))
        .watch([stage.domain.clone()])
        .policy(policy)
        .notifier(stage.told.clone())
        .spawn()
        .expect("it is complete");
    let mut alerts = guard.alerts();
    let mut verdicts = guard.subscribe(&stage.domain).expect("it is watched");
    let limit = Duration::from_secs(60);
    let healthy = verdicts.wait_for(|&verdict| verdict == Verdict::Healthy);
    tokio::time::timeout(limit, healthy).await.expect("it looks").expect("it runs");
    lab.change(|world| {
        world.remove(BBB);
    })
    .expect("the servers live");
    let opened = tokio::time::timeout(limit, alerts.next()).await.expect("it sees it").expect("it runs");
    assert_eq!((opened.event, opened.severity), (AlertEvent::Opened, Severity::Critical));
    lab.change(|world| {
        world.replace(&format!("{BBB} CNAME bbb.dkim.amazonses.com"));
    })
    .expect("the servers live");
    let over = tokio::time::timeout(limit, alerts.next()).await.expect("it sees it").expect("it runs");
    assert_eq!((over.event, over.incident.clone()), (AlertEvent::Recovered, opened.incident.clone()));
    let memories =
        tokio::time::timeout(Duration::from_secs(2), guard.stop()).await.expect("it stops in time");
    assert_eq!(memories.len(), 1);
}

#[test]
fn a_guard_that_cannot_work_is_refused() {
    let stage = Stage::new();
    let places = Places::new([]);
    let nothing = Guard::builder(stage.source.clone(), Look::new(stage.dns.clone(), places));
    assert_eq!(nothing.build().map(|_| ()).expect_err("no domain"), BuildError::NothingToWatch);
    let places = Places::new([]);
    let twice = Guard::builder(stage.source.clone(), Look::new(stage.dns.clone(), places))
        .watch([stage.domain.clone()])
        .notifier(Noting::named("told"))
        .notifier(Noting::named("told"));
    let error = twice.build().map(|_| ()).expect_err("two of one name");
    assert_eq!(error, BuildError::SameName("told".to_owned()));
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    let unarmed = stage.builder().policy(policy).build();
    assert_eq!(unarmed.map(|_| ()).expect_err("nobody can write"), BuildError::NoPublisher);
    let outside = Guard::builder(stage.source.clone(), Look::new(stage.dns.clone(), Places::new([])));
    let outside = outside.watch([stage.domain.clone()]).spawn();
    assert_eq!(outside.map(|_| ()).expect_err("no runtime"), BuildError::NoRuntime);
}
