//! A guard that mends: what it publishes, when, and what it writes down.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use dkimguard_core::Verdict;
use dkimguard_core::guard::{GuardBuilder, GuardHandle, InMemory, Policy, RepairMode};
use dkimguard_core::identity::{ExpectedValue, ProviderStatus};
use dkimguard_core::ports::{IdentitySource as _, Store as _};
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::testing::{FakeHost, TOKENS, World, Zone, easy_dkim_identity};
use futures_util::StreamExt as _;

use super::{BBB, DOMAIN, Disk, Stage, minutes};

/// A domain whose zone a host holds that can be edited, and of whose records one is missing.
struct Mendable {
    stage: Stage,
    host: Arc<FakeHost>,
}

impl Mendable {
    fn new() -> Self {
        let stage = Stage::new();
        let records =
            TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat();
        let zone = Zone::new(DOMAIN).with(&records);
        let servers = [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)];
        let records = zone.records().cloned().collect();
        let host = FakeHost::new(stage.dns.clone(), &stage.domain, records, &servers);
        Self { stage, host: Arc::new(host) }
    }

    fn builder(&self, repair: RepairMode) -> GuardBuilder {
        let mut policy = Policy::default();
        policy.repair = repair;
        self.stage
            .builder()
            .policy(policy)
            .zones(self.host.clone())
            .publisher(self.host.clone())
            .rearm(self.stage.source.clone())
            .notifier(self.stage.told.clone())
    }

    /// Somebody puts a wrong record there.
    fn spoil(&self, number: u32) {
        let target = format!("wrong-{number}.example.net").parse().expect("a name");
        self.host.edit(&[Record {
            name: BBB.parse().expect("a name"),
            ttl: 300,
            data: RecordData::Cname(target),
        }]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_guard_that_proposes_tells_the_edit_and_makes_none() {
    let domain = Mendable::new();
    let guard = domain.builder(RepairMode::Propose).spawn().expect("it is complete");
    let mut alerts = guard.alerts();
    minutes(20).await;
    domain.spoil(1);
    let opened = alerts.next().await.expect("it runs");
    let report = opened.report.as_ref().expect("it rests on a look").as_str().to_owned();
    let plan = &serde_json::from_str::<serde_json::Value>(&report).expect("JSON")["plan"];
    assert_eq!(plan["zone"]["id"], "ZFAKE");
    assert_eq!(plan["edits"][0]["before"][0]["value"], "wrong-1.example.net", "{plan}");
    assert_eq!(plan["edits"][0]["after"]["value"], "bbb.dkim.amazonses.com", "{plan}");
    minutes(120).await;
    assert_eq!((domain.host.changes(), domain.stage.told.heard().len()), (0, 1));
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
    // Were it mended twice, the second time would be seen in the journal at least.
    minutes(60).await;
    assert_eq!(domain.host.changes(), 1);
    let (memory, _) =
        store.load(&easy_dkim_identity(DOMAIN).id).await.expect("it is there").expect("it is there");
    assert_eq!(memory.journal().count(), 1);
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
