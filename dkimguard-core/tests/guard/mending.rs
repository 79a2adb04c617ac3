//! A guard that mends: what it publishes, when, and what it writes down.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::error::{NotifyError, ProviderError, ProviderErrorKind};
#[cfg(feature = "sqlite")]
use dkimguard_core::guard::Sqlite;
use dkimguard_core::guard::{
    Alert, BuildError, Depths, Entry, GuardBuilder, GuardHandle, InMemory, Policy, RepairMode,
};
use dkimguard_core::identity::{ExpectedValue, ProviderStatus, Selector};
use dkimguard_core::look::Rcode;
#[cfg(feature = "sqlite")]
use dkimguard_core::ports::SystemClock;
use dkimguard_core::ports::{Clock as _, IdentitySource as _, Notifier, Published, RecordPublisher, Store};
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::repair::RepairPlan;
use dkimguard_core::testing::{FakeHost, Fault, HostFault, TOKENS, World, Zone, easy_dkim_identity};
use dkimguard_core::{Name, Verdict};

use super::{BBB, DOMAIN, Disk, Stage, minutes};

/// A domain whose zone a host holds that can be edited, and of whose records one is missing or wrong.
struct Mendable {
    stage: Stage,
    host: Arc<FakeHost>,
    publisher: Arc<Willful>,
}

impl Mendable {
    fn new() -> Self {
        let stage = Stage::new();
        let records =
            TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat();
        let zone = Zone::new(DOMAIN).with(&records);
        let servers = [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)];
        let records = zone.records().cloned().collect();
        let host = Arc::new(FakeHost::new(stage.dns.clone(), &stage.domain, records, &servers));
        let publisher = Willful { host: host.clone(), calls: AtomicUsize::new(0), mood: Mutex::default() };
        Self { stage, host, publisher: Arc::new(publisher) }
    }

    fn builder(&self, repair: RepairMode) -> GuardBuilder {
        let mut policy = Policy::default();
        policy.repair = repair;
        self.builder_with(policy)
    }

    fn builder_with(&self, policy: Policy) -> GuardBuilder {
        self.stage
            .builder()
            .policy(policy)
            .zones(self.host.clone())
            .publisher(self.publisher.clone())
            .rearm(self.stage.source.clone())
            .notifier(self.stage.told.clone())
    }

    /// Somebody puts a wrong record there.
    fn spoil(&self, number: u32) {
        self.put(&format!("wrong-{number}.example.net"));
    }

    fn put(&self, target: &str) {
        let target = target.parse().expect("a name");
        self.host.edit(&[Record {
            name: BBB.parse().expect("a name"),
            ttl: 300,
            data: RecordData::Cname(target),
        }]);
    }

    /// What was written down: each step, and what came of it.
    async fn journal(&self, store: &impl Store) -> Vec<String> {
        let stored = store.load(&easy_dkim_identity(DOMAIN).id).await.expect("it can be read");
        let Some((memory, _)) = stored else { return Vec::new() };
        let line = |entry: &Entry| format!("{}: {}", entry.step, entry.result.as_deref().unwrap_or("?"));
        memory.journal().map(line).collect()
    }
}

/// A host that counts how often it is asked to publish, and does as its mood is.
#[derive(Debug)]
struct Willful {
    host: Arc<FakeHost>,
    calls: AtomicUsize,
    mood: Mutex<Mood>,
}

#[derive(Clone, Copy, Debug, Default)]
enum Mood {
    #[default]
    Prompt,
    /// It takes so long before it does anything.
    Slow(Duration),
    Hanging,
    Panicking,
}

impl Willful {
    fn set(&self, mood: Mood) {
        *self.mood.lock().unwrap_or_else(PoisonError::into_inner) = mood;
    }

    fn calls(&self) -> usize {
        self.calls.load(Ordering::Relaxed)
    }
}

#[async_trait]
impl RecordPublisher for Willful {
    async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError> {
        self.calls.fetch_add(1, Ordering::Relaxed);
        let mood = *self.mood.lock().unwrap_or_else(PoisonError::into_inner);
        match mood {
            Mood::Prompt => {}
            Mood::Slow(duration) => tokio::time::sleep(duration).await,
            Mood::Hanging => std::future::pending().await,
            Mood::Panicking => panic!("the host is in a mood"),
        }
        self.host.apply(plan).await
    }
}

/// A notifier that keeps what it is given.
#[derive(Debug, Default)]
struct Keeping(Mutex<Vec<Alert>>);

impl Keeping {
    fn alerts(&self) -> Vec<Alert> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }
}

#[async_trait]
impl Notifier for Keeping {
    fn name(&self) -> &str {
        "keeping"
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(alert.clone());
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_proposes_tells_the_edit_and_makes_none() {
    let domain = Mendable::new();
    let told = Arc::new(Keeping::default());
    let guard = domain.builder(RepairMode::Propose).notifier(told.clone()).spawn().expect("it is complete");
    minutes(20).await;
    domain.spoil(1);
    minutes(120).await;
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (0, 0));
    let alerts = told.alerts();
    assert_eq!(alerts.len(), 1);
    let body: serde_json::Value = serde_json::from_str(&alerts[0].to_json()).expect("JSON");
    let plan = &body["report"]["plan"];
    assert_eq!(plan["zone"]["id"], "ZFAKE");
    assert_eq!(plan["edits"][0]["before"][0]["value"], "wrong-1.example.net", "{plan}");
    assert_eq!(plan["edits"][0]["after"]["value"], "bbb.dkim.amazonses.com", "{plan}");
    // What people are told too: Slack's and PagerDuty's messages have the remedy.
    let remedy = alerts[0].remedy.as_deref().expect("there is one");
    for line in [
        "the fake host zone ZFAKE of example.com",
        "- bbb._domainkey.example.com. 300 CNAME wrong-1.example.net",
        "+ bbb._domainkey.example.com. 300 CNAME bbb.dkim.amazonses.com",
    ] {
        assert!(remedy.contains(line), "{line} in {remedy}");
    }
    domain.put("bbb.dkim.amazonses.com");
    minutes(60).await;
    let alerts = told.alerts();
    assert_eq!((alerts.len(), alerts[1].remedy.as_deref()), (2, None), "nothing is left to do");
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_mends_does_so_once_a_day_after_two_looks_and_writes_it_down_before() {
    let domain = Mendable::new();
    let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
    minutes(20).await;
    assert_eq!(domain.host.changes(), 0);
    domain.spoil(1);
    minutes(40).await;
    assert_eq!(domain.host.changes(), 1);
    assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy);
    assert_eq!(domain.stage.told.heard(), ["opened dkim", "recovered dkim"]);
    domain.spoil(2);
    minutes(600).await;
    assert_eq!(domain.host.changes(), 1, "somebody wants it so, or something undoes it: that is for people");
    minutes(15 * 60).await;
    assert_eq!(domain.host.changes(), 2, "a day later it is mended again");
    let memories = guard.stop().await;
    let journal: Vec<String> = memories[0]
        .1
        .journal()
        .map(|entry| format!("{} {}", entry.step, entry.result.as_deref().unwrap_or("?")))
        .collect();
    assert_eq!(journal, ["publish published as change C1", "publish published as change C2"]);
}

#[tokio::test(start_paused = true)]
async fn of_twenty_replicas_one_mends() {
    let domain = Mendable::new();
    let store = Arc::new(InMemory::default());
    let replica =
        |seed| domain.builder(RepairMode::Apply).store(store.clone()).seed(seed).spawn().expect("complete");
    let replicas: Vec<GuardHandle> = (0..20).map(replica).collect();
    minutes(20).await;
    domain.spoil(1);
    minutes(60).await;
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (1, 1));
    assert_eq!(domain.journal(&*store).await, ["publish: published as change C1"]);
    drop(replicas);
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_down_is_not_done() {
    let domain = Mendable::new();
    let disk = Arc::new(Disk::default());
    let guard = domain.builder(RepairMode::Apply).store(disk.clone()).spawn().expect("it is complete");
    minutes(20).await;
    disk.is_full.store(true, Ordering::Relaxed);
    domain.spoil(1);
    minutes(60).await;
    assert_eq!(domain.host.changes(), 0);
    assert!(domain.stage.told.heard().contains(&"opened dkim".to_owned()), "it is told of");
    disk.is_full.store(false, Ordering::Relaxed);
    minutes(60).await;
    assert_eq!(domain.host.changes(), 1, "and done once it can be written down");
    let (memory, _) =
        disk.load(&easy_dkim_identity(DOMAIN).id).await.expect("it is there").expect("it is there");
    assert_eq!(memory.journal().count(), 1);
    drop(guard);
}

#[tokio::test(start_paused = true)]
async fn a_provider_that_gave_up_is_asked_once_and_its_new_tokens_are_published() {
    let domain = Mendable::new();
    let inner = &domain.stage.source.inner;
    let mut after = easy_dkim_identity(DOMAIN).selectors;
    after[2].label = "ddd".parse().expect("a label");
    after[2].value = ExpectedValue::Cname("ddd.dkim.amazonses.com".parse().expect("a name"));
    inner.set_tokens_after_rearm(after);
    domain.stage.set_status(ProviderStatus::Failed);
    let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
    minutes(120).await;
    assert_eq!((inner.rearms(), domain.host.changes()), (1, 1));
    let mut identity = inner.find(&domain.stage.domain).await.remove(0).expect("it is held");
    assert_eq!(identity.status, ProviderStatus::Pending);
    identity.status = ProviderStatus::Success;
    inner.put(identity);
    minutes(60).await;
    assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy);
    assert_eq!(domain.stage.told.heard(), ["opened dkim", "recovered dkim"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_takes_its_time_is_not_cut_off_and_delays_no_look() {
    let domain = Mendable::new();
    let store = Arc::new(InMemory::default());
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    policy.looks_at_once = 1;
    let guard = domain.builder_with(policy).store(store.clone()).spawn().expect("it is complete");
    minutes(20).await;
    domain.publisher.set(Mood::Slow(Duration::from_secs(8 * 60)));
    domain.spoil(1);
    guard.look_now(&domain.stage.domain).await;
    minutes(3).await;
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (1, 0), "it is under way");
    assert_eq!(domain.journal(&*store).await, ["publish: ?"]);
    let now = domain.stage.clock.now();
    let reports = tokio::time::timeout(Duration::from_secs(1), guard.look_now(&domain.stage.domain)).await;
    assert!(reports.expect("no look waits for it")[0].at >= now);
    minutes(7).await;
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (1, 1));
    assert_eq!(domain.journal(&*store).await, ["publish: published as change C1"]);
}

#[tokio::test(start_paused = true)]
async fn a_host_that_hangs_or_panics_costs_a_repair_and_no_look() {
    for (mood, panics, result) in [
        (Mood::Hanging, 0, "not known: it took longer than 600s and was given up"),
        (Mood::Panicking, 1, "not known: a port of the guard panicked: the host is in a mood"),
    ] {
        let domain = Mendable::new();
        let store = Arc::new(InMemory::default());
        let guard = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
        minutes(20).await;
        domain.publisher.set(mood);
        domain.spoil(1);
        for _ in 0..120 {
            minutes(1).await;
            assert_ne!(guard.verdict(&domain.stage.domain), Verdict::Unknown, "{mood:?}");
        }
        let health = guard.health();
        assert_eq!((health.panics, health.is_running), (panics, true), "{mood:?}");
        assert_eq!(domain.publisher.calls(), 1, "{mood:?}: it may have been done");
        assert_eq!(domain.journal(&*store).await, [format!("publish: {result}")]);
        assert_eq!(domain.stage.told.heard(), ["opened dkim"], "{mood:?}");
        // A day later it is tried again.
        domain.publisher.set(Mood::Prompt);
        minutes(24 * 60).await;
        assert_eq!((domain.publisher.calls(), domain.host.changes()), (2, 1), "{mood:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_hanging_host_delays_neither_looks_at_other_domains_nor_their_repair() {
    let domain = Mendable::new();
    let other: Name = format!("mail.{DOMAIN}").parse().expect("a name");
    domain.stage.source.inner.put(easy_dkim_identity(&other.to_string()));
    let record = |token: &str| Record {
        name: format!("{token}._domainkey.{other}").parse().expect("a name"),
        ttl: 300,
        data: RecordData::Cname(format!("{token}.dkim.amazonses.com").parse().expect("a name")),
    };
    let records = TOKENS.map(record);
    domain.host.edit(&records);
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    policy.looks_at_once = 1;
    let guard = domain.builder_with(policy).watch([other.clone()]).spawn().expect("it is complete");
    minutes(20).await;
    assert_eq!(guard.verdict(&other), Verdict::Healthy);
    domain.publisher.set(Mood::Hanging);
    domain.spoil(1);
    while domain.publisher.calls() == 0 {
        minutes(1).await;
    }
    domain.publisher.set(Mood::Prompt);
    let wrong = Record { data: RecordData::Cname(other.clone()), ..records[0].clone() };
    domain.host.edit(&[wrong]);
    // The first hangs for longer.
    for _ in 0..8 {
        let begun = domain.stage.clock.now();
        let looked = tokio::time::timeout(Duration::from_secs(1), guard.look_now(&other)).await;
        assert!(looked.expect("no look waits for it")[0].at >= begun);
        minutes(1).await;
    }
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (2, 1));
    assert_eq!(guard.verdict(&other), Verdict::Healthy);
}

#[tokio::test(start_paused = true)]
async fn a_step_that_is_under_way_is_given_a_second_when_the_guard_stops() {
    for (takes, journal) in [(500, "publish: published as change C1"), (5000, "publish: ?")] {
        let domain = Mendable::new();
        let store = Arc::new(InMemory::default());
        let guard = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
        minutes(20).await;
        domain.publisher.set(Mood::Slow(Duration::from_millis(takes)));
        domain.spoil(1);
        while domain.publisher.calls() == 0 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        let stopped = tokio::time::timeout(Duration::from_millis(1500), guard.stop()).await;
        assert_eq!(stopped.expect("it stops in time").len(), 1);
        assert_eq!(domain.journal(&*store).await, [journal]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_failure_that_surely_did_nothing_leaves_the_day_free() {
    use ProviderErrorKind::{Credentials, Denied, NotFound, Stale, Throttled, Unavailable, Unusable};
    for (kind, did_nothing) in [
        (Stale, true),
        (Denied, true),
        (Throttled, true),
        (NotFound, true),
        (Credentials, true),
        (Unavailable, false),
        (Unusable, false),
    ] {
        let domain = Mendable::new();
        let store = Arc::new(InMemory::default());
        let guard = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
        minutes(20).await;
        domain.host.meet([HostFault::Fails(kind)]);
        domain.spoil(1);
        minutes(120).await;
        let journal = domain.journal(&*store).await;
        let failed = |what: &str| {
            let error = ProviderError {
                provider: "the fake host".to_owned(),
                operation: "apply".to_owned(),
                kind,
                source: None,
            };
            format!("publish: {what}: {error}")
        };
        if did_nothing {
            assert_eq!((domain.publisher.calls(), domain.host.changes()), (2, 1), "{kind:?}");
            assert_eq!(
                journal.last().map(String::as_str),
                Some("publish: published as change C1"),
                "{kind:?}: {journal:?}"
            );
            assert!(journal.contains(&failed("nothing was done")) || journal.len() == 1, "{journal:?}");
            assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy, "{kind:?}");
        } else {
            assert_eq!(domain.publisher.calls(), 1, "{kind:?}");
            assert_eq!(journal, [failed("not known")]);
            minutes(24 * 60).await;
            assert_eq!((domain.publisher.calls(), domain.host.changes()), (2, 1), "{kind:?}: a day later");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_lost_answer_is_found_in_the_zone_by_a_later_look() {
    let domain = Mendable::new();
    let store = Arc::new(InMemory::default());
    let guard = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
    minutes(20).await;
    domain.host.meet([HostFault::AnswerLost]);
    domain.spoil(1);
    minutes(60).await;
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (1, 1));
    assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy);
    let journal = domain.journal(&*store).await;
    assert_eq!(journal.len(), 1);
    assert!(journal[0].starts_with("publish: done, as the look at 2026-11-24T02:"), "{journal:?}");
    assert!(journal[0].ends_with("; not known: the fake host: apply got no answer"), "{journal:?}");
    // It counts as one that was made.
    domain.spoil(2);
    minutes(600).await;
    assert_eq!(domain.publisher.calls(), 1);
}

#[tokio::test(start_paused = true)]
async fn looks_agree_only_where_they_are_apart_and_one_goes_on_from_the_other() {
    let domain = Mendable::new();
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    policy.confirmation_gap = Duration::from_secs(5 * 60);
    let mut guard = domain.builder_with(policy).build().expect("it is complete");
    domain.spoil(1);
    for (pause, calls, why) in [
        (0, 0, "one look"),
        (10 * 60, 0, "ten hours with nothing between"),
        (2, 0, "too near each other"),
        (3, 1, "two that agree"),
    ] {
        minutes(pause).await;
        guard.look(&domain.stage.domain).await;
        assert_eq!(domain.publisher.calls(), calls, "{why}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_never_looks_closely_cannot_mend_and_says_so() {
    let domain = Mendable::new();
    for repair in [RepairMode::Propose, RepairMode::Apply] {
        let mut policy = Policy::default();
        policy.repair = repair;
        policy.depths = Depths::Quick;
        let refused = domain.builder_with(policy).build().map(|_| ()).expect_err("it can't");
        assert_eq!(refused, BuildError::NeverLooksClosely);
        assert_eq!(
            refused.to_string(),
            "the policy says that records are mended or edits proposed, and that no look is a full one, without which \
             neither can be"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn among_many_domains_what_looks_wrong_is_looked_at_closely_and_mended() {
    let domain = Mendable::new();
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    policy.full_up_to = 0;
    let guard = domain.builder_with(policy).spawn().expect("it is complete");
    minutes(60).await;
    domain.spoil(1);
    minutes(60).await;
    assert_eq!(domain.publisher.calls(), 1);
    assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy);
}

/// Somebody may have switched it off on purpose.
#[tokio::test(start_paused = true)]
async fn an_identity_that_was_never_set_up_or_was_switched_off_is_left_alone() {
    for is_spoiled in [false, true] {
        let domain = Mendable::new();
        domain.stage.set_status(ProviderStatus::NotStarted);
        if is_spoiled {
            domain.spoil(1);
        }
        let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
        minutes(300).await;
        assert_eq!((domain.stage.source.inner.rearms(), domain.publisher.calls()), (0, 0));
        assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Failing);
    }
}

#[tokio::test(start_paused = true)]
async fn nothing_is_mended_while_the_provider_is_not_heard() {
    for is_listed in [false, true] {
        let domain = Mendable::new();
        let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
        minutes(20).await;
        let source = &domain.stage.source;
        if is_listed {
            // Its list tells of the identity, and no more.
            source.is_vague.store(true, Ordering::Relaxed);
        } else {
            source.inner.delete(&domain.stage.domain);
            source.inner.set_failures([ProviderErrorKind::Unavailable]);
        }
        domain.spoil(1);
        minutes(120).await;
        assert_eq!(domain.publisher.calls(), 0, "{is_listed}");
        assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Failing);
        source.is_vague.store(false, Ordering::Relaxed);
        source.inner.set_failures([]);
        source.inner.put(easy_dkim_identity(DOMAIN));
        minutes(60).await;
        assert_eq!(domain.publisher.calls(), 1, "{is_listed}");
    }
}

#[tokio::test(start_paused = true)]
async fn records_of_earlier_tokens_stay() {
    let domain = Mendable::new();
    let before = domain.host.records();
    let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
    minutes(20).await;
    let mut identity = easy_dkim_identity(DOMAIN);
    for (selector, token) in identity.selectors.iter_mut().skip(1).zip(["ddd", "eee"]) {
        let target = format!("{token}.dkim.amazonses.com").parse().expect("a name");
        *selector = Selector { label: token.parse().expect("a label"), value: ExpectedValue::Cname(target) };
    }
    domain.stage.source.inner.put(identity);
    minutes(26 * 60).await;
    let report = guard.report(&domain.stage.domain).expect("it was looked at");
    assert_eq!((domain.publisher.calls(), report.verdict), (1, Verdict::Healthy), "{report}");
    let now = domain.host.records();
    assert!(before.iter().all(|record| now.contains(record)));
    assert_eq!(now.len(), before.len() + 2);
}

#[tokio::test(start_paused = true)]
async fn nothing_is_mended_unless_every_server_says_that_it_is_wrong() {
    for (name, fault) in [
        ("silent", Fault::Silent),
        ("fails", Fault::Rcode(Rcode::SERVFAIL)),
        ("refuses", Fault::Rcode(Rcode::REFUSED)),
    ] {
        let domain = Mendable::new();
        let guard = domain.builder(RepairMode::Apply).spawn().expect("it is complete");
        minutes(20).await;
        domain.spoil(1);
        domain.stage.dns.change(|world| {
            world.server(World::NS2).fault(fault.clone());
        });
        minutes(120).await;
        assert_eq!(domain.publisher.calls(), 0, "{name}");
        domain.stage.dns.change(|world| {
            world.server(World::NS2).heal();
        });
        minutes(60).await;
        assert_eq!(domain.publisher.calls(), 1, "{name}");
        assert_eq!(guard.verdict(&domain.stage.domain), Verdict::Healthy, "{name}");
    }
}

/// The disk is full when the answer comes, and another instance saves in between.
#[tokio::test(start_paused = true)]
async fn a_result_that_could_not_be_stored_is_stored_later() {
    let domain = Mendable::new();
    let disk = Arc::new(Disk::default());
    let guard = domain.builder(RepairMode::Apply).store(disk.clone()).spawn().expect("it is complete");
    minutes(20).await;
    domain.publisher.set(Mood::Slow(Duration::from_secs(5 * 60)));
    domain.spoil(1);
    while domain.publisher.calls() == 0 {
        minutes(1).await;
    }
    disk.is_full.store(true, Ordering::Relaxed);
    minutes(10).await;
    assert_eq!(domain.host.changes(), 1);
    assert_eq!(domain.journal(&*disk).await, ["publish: ?"]);
    let other = domain.builder(RepairMode::Off).store(disk.inner.clone()).spawn().expect("it is complete");
    minutes(1).await;
    other.look_now(&domain.stage.domain).await;
    other.stop().await;
    disk.is_full.store(false, Ordering::Relaxed);
    minutes(30).await;
    assert_eq!(domain.journal(&*disk).await, ["publish: published as change C1"]);
    drop(guard);
}

/// It is killed between the entry in the journal and the call.
#[tokio::test(start_paused = true)]
async fn what_a_dead_replica_had_begun_is_said_to_be_open_and_nothing_else_is_done_that_day() {
    for is_whole_later in [false, true] {
        let domain = Mendable::new();
        let store = Arc::new(InMemory::default());
        let first = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
        minutes(20).await;
        domain.publisher.set(Mood::Hanging);
        domain.spoil(1);
        let begun = async {
            while domain.publisher.calls() == 0 {
                minutes(1).await;
            }
        };
        tokio::time::timeout(Duration::from_secs(3600), begun).await.expect("it begins");
        drop(first);
        assert_eq!(domain.journal(&*store).await, ["publish: ?"]);

        domain.publisher.set(Mood::Prompt);
        if is_whole_later {
            domain.put("bbb.dkim.amazonses.com");
        } else {
            domain.spoil(2);
        }
        let second = domain.builder(RepairMode::Apply).store(store.clone()).spawn().expect("it is complete");
        minutes(60).await;
        let report = second.report(&domain.stage.domain).expect("it was looked at");
        let says = |what: &str| report.gaps.iter().any(|gap| gap.detail.contains(what));
        if is_whole_later {
            assert!(!says("a repair"), "{report}");
            let journal = domain.journal(&*store).await;
            assert!(journal[0].starts_with("publish: done, as the look at "), "{journal:?}");
        } else {
            assert!(says("what came of it isn't known"), "{report}");
        }
        minutes(600).await;
        assert_eq!(domain.publisher.calls(), 1, "no second one the same day");
        minutes(15 * 60).await;
        assert_eq!(domain.publisher.calls(), if is_whole_later { 1 } else { 2 }, "{is_whole_later}");
    }
}

/// On the machine's clock, since the thread of the store knows no other.
#[cfg(feature = "sqlite")]
#[tokio::test]
async fn of_twenty_replicas_on_one_file_one_publishes() {
    let directory = tempfile::tempdir().expect("a temporary directory");
    let store = Arc::new(Sqlite::open(directory.path().join("state.sqlite")).expect("there is room"));
    let domain = Mendable::new();
    domain.spoil(1);
    let mut policy = Policy::default();
    policy.repair = RepairMode::Apply;
    policy.interval = Duration::from_secs(2);
    policy.unhealthy_intervals = vec![Duration::from_millis(300)];
    policy.confirmation_gap = Duration::from_millis(200);
    let replica = |seed| {
        let builder = domain.builder_with(policy.clone()).clock(SystemClock).store(store.clone());
        builder.seed(seed).spawn().expect("it is complete")
    };
    let replicas: Vec<GuardHandle> = (0..20).map(replica).collect();
    let all_are_well = async {
        for guard in &replicas {
            let mut verdicts = guard.subscribe(&domain.stage.domain).expect("it is watched");
            verdicts.wait_for(|&verdict| verdict == Verdict::Healthy).await.expect("it runs");
        }
    };
    tokio::time::timeout(Duration::from_secs(60), all_are_well).await.expect("it is mended");
    // Whoever would publish it once more has looked before it was whole, and would do so at once.
    for guard in &replicas {
        guard.look_now(&domain.stage.domain).await;
    }
    assert_eq!((domain.publisher.calls(), domain.host.changes()), (1, 1));
    // The one that published writes it down by itself, while the others look.
    let is_written = async {
        while domain.journal(&*store).await != ["publish: published as change C1"] {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(60), is_written).await.expect("it is written down");
}
