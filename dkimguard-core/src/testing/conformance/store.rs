//! The suite of a [`Store`].

use std::sync::Arc;

use jiff::{SignedDuration, Timestamp};
use tokio::sync::Barrier;

use crate::error::StoreError;
use crate::guard::{AlertEvent, Memory, Policy};
use crate::identity::{IdentityId, ProviderStatus};
use crate::judge::{Depth, Report};
use crate::look::{Look, Places, Rcode, Vantage};
use crate::ports::{Revision, Store};
use crate::testing::zone::name;
use crate::testing::{FakeDns, Fault, TOKENS, World, easy_dkim_identity};

/// How many replicas of a guard share the store.
const REPLICAS: usize = 20;
/// How often each of them adds to the memory that all add to.
const ROUNDS: usize = 5;
/// When the looks begin.
const START: &str = "2026-11-24T02:00:00Z";
const DOMAIN: &str = "example.com";
/// What a server says, and an alert with it: characters of one to four octets, and such as end a text elsewhere.
const SAID: &str = "it's \"n\u{f6}t\" \u{2014} \u{1f600}\\ \0\r\n%_$1?";

/// Checks a [`Store`] through one or several handles on it, which holds nothing at first; afterwards it holds a dozen
/// memories. Several handles are to stand for several processes: connections of their own to the same place.
///
/// A memory comes back as it was saved, from every handle: a fresh one, one with an open incident, one with as many
/// alerts as ever wait. Identities that differ in one part only aren't mixed up. A save on another state than the
/// stored one is a [`Conflict`](StoreError::Conflict) and changes nothing, so that of twenty replicas that add to one
/// memory none loses what another has saved, and of twenty that see the same fault at once one tells of it. Needs a
/// Tokio runtime; one with several threads shows most.
///
/// ```
/// # use std::sync::Arc;
/// use dkimguard_core::guard::InMemory;
/// use dkimguard_core::testing::conformance;
///
/// # tokio::runtime::Builder::new_current_thread().build()?.block_on(async {
/// conformance::store(&[Arc::new(InMemory::default())]).await;
/// # });
/// # Ok::<(), std::io::Error>(())
/// ```
///
/// # Panics
/// If the store fails, or no handle is given.
pub async fn store(handles: &[Arc<dyn Store>]) {
    assert!(!handles.is_empty(), "the suite needs a handle on the store");
    let mut looks = Looks::new();
    begins_empty(handles).await;
    gives_back_what_was_saved(handles, &mut looks).await;
    keeps_identities_apart(handles).await;
    loses_no_update(handles, &mut looks).await;
    lets_one_replica_tell(handles, &mut looks).await;
}

async fn begins_empty(handles: &[Arc<dyn Store>]) {
    let id = id("begins-empty");
    expect_none(handles, &id).await;
    expect_conflict(&handles[0], &id, Some(Revision(1)), "where nothing was saved").await;
    expect_none(handles, &id).await;
}

async fn gives_back_what_was_saved(handles: &[Arc<dyn Store>], looks: &mut Looks) {
    let id = id("gives-back");
    let mut revisions = Vec::new();
    for (stage, memory) in looks.memories().await {
        // Each handle saves it, and the first one twice, since the same memory is another state each time.
        for handle in handles.iter().chain(&handles[..1]) {
            let from = revisions.last().copied();
            let revision = must_save(handle, &id, &memory, from).await;
            assert!(!revisions.contains(&revision), "save() gave {revision:?} twice for {id}, {stage}");
            let must_be_stored = async || {
                for handle in handles {
                    let (loaded, at) = must_load(handle, &id).await;
                    assert!(
                        loaded == memory,
                        "load() gave another memory than was saved, {stage}: {loaded:#?}"
                    );
                    assert_eq!(at, revision, "load() gave another revision than save(), {stage}");
                }
            };
            must_be_stored().await;
            let mut others = vec![(None, "where something is stored")];
            let stale = revisions.first().into_iter().chain(&from);
            others.extend(stale.map(|&stale| (Some(stale), "which is no longer stored")));
            let never = [revision.0.wrapping_add(1), u64::MAX].map(Revision);
            let never = never.into_iter().filter(|never| *never != revision && !revisions.contains(never));
            others.extend(never.map(|never| (Some(never), "which never was")));
            for (other, what) in others {
                expect_conflict(handle, &id, other, what).await;
                must_be_stored().await;
            }
            revisions.push(revision);
        }
    }
}

/// Identities that somebody who compares carelessly takes for one, or for a pattern.
async fn keeps_identities_apart(handles: &[Arc<dyn Store>]) {
    let whole = id("apart");
    let mut ids = vec![
        whole.clone(),
        IdentityId { domain: name("apart.example.org"), ..whole.clone() },
        IdentityId { domain: name("sub.apart.example.com"), ..whole.clone() },
        IdentityId { domain: name(r"a\.part.example.com"), ..whole.clone() },
        IdentityId {
            domain: name(&format!("{}.example", ["x".repeat(60).as_str(); 4].join("."))),
            ..whole.clone()
        },
        IdentityId { account: None, region: None, ..whole.clone() },
    ];
    for account in ["210987654321", "-", "A", "a", "%", "_", "o'brien", "\\"] {
        ids.push(IdentityId { account: Some(account.to_owned()), ..whole.clone() });
    }
    for region in ["eu-west-1", "EU-WEST-1"] {
        ids.push(IdentityId { region: Some(region.to_owned()), ..whole.clone() });
    }
    ids.push(IdentityId { provider: "file".to_owned(), ..whole });

    let start: Timestamp = START.parse().expect("it is a time");
    let times = (0..).map(|days| start + SignedDuration::from_hours(24 * days));
    let memories: Vec<_> =
        ids.iter().zip(times).map(|(id, time)| (id, Memory::default().with_notice(time))).collect();
    for ((id, memory), handle) in memories.iter().zip(handles.iter().cycle()) {
        if handle.load(id).await.unwrap_or_else(|error| fail("load()", id, &error)).is_some() {
            panic!("load() gave for {id} what was saved for another identity");
        }
        must_save(handle, id, memory, None).await;
    }
    for ((id, memory), handle) in memories.iter().zip(handles.iter().cycle().skip(1)) {
        let (loaded, _) = must_load(handle, id).await;
        assert!(loaded == *memory, "load() gave for {id} what was saved for another identity");
    }
}

async fn loses_no_update(handles: &[Arc<dyn Store>], looks: &mut Looks) {
    let id = id("loses-none");
    looks.change(|world| {
        world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL));
    });
    let report = Arc::new(looks.take().await);
    let replicas: Vec<_> = replicas(handles)
        .map(|handle| {
            let (id, report) = (id.clone(), report.clone());
            tokio::spawn(async move {
                for _ in 0..ROUNDS {
                    add(&handle, &id, &report).await;
                }
            })
        })
        .collect();
    join(replicas).await;
    let (memory, _) = must_load(&handles[0], &id).await;
    assert_eq!(
        memory.unhealthy_looks() as usize,
        REPLICAS * ROUNDS,
        "{REPLICAS} replicas added {ROUNDS} looks each to one memory, and some were lost"
    );
}

/// Adds a look to what is stored, again and again until nobody was faster.
async fn add(handle: &Arc<dyn Store>, id: &IdentityId, report: &Report) {
    // Each conflict means that another one has saved.
    for _ in 0..=REPLICAS * ROUNDS {
        let stored = handle.load(id).await.unwrap_or_else(|error| fail("load()", id, &error));
        let (memory, from) = stored.map_or_else(Default::default, |(memory, from)| (memory, Some(from)));
        let (memory, _) = memory.advance(report, &Policy::default());
        match handle.save(id, &memory, from).await {
            Ok(_) => return,
            Err(StoreError::Conflict) => {}
            Err(error) => fail("save()", id, &error),
        }
    }
    panic!("save() gave a conflict for {id} more often than others saved");
}

async fn lets_one_replica_tell(handles: &[Arc<dyn Store>], looks: &mut Looks) {
    let id = id("tells-once");
    looks.change(|world| {
        world.remove(&format!("{}._domainkey.{DOMAIN}", TOKENS[0]));
    });
    let (suspicious, alerts) = Memory::default().advance(&looks.take().await, &Policy::default());
    assert!(alerts.is_empty(), "one look alone opens no incident");
    must_save(&handles[0], &id, &suspicious, None).await;

    let report = Arc::new(looks.take().await);
    let barrier = Arc::new(Barrier::new(REPLICAS));
    let replicas: Vec<_> = replicas(handles)
        .map(|handle| {
            let (id, report, barrier) = (id.clone(), report.clone(), barrier.clone());
            tokio::spawn(async move {
                let (memory, from) = must_load(&handle, &id).await;
                let (memory, alerts) = memory.advance(&report, &Policy::default());
                // All decide on the same state.
                barrier.wait().await;
                match handle.save(&id, &memory, Some(from)).await {
                    Ok(_) => alerts.iter().filter(|alert| alert.event == AlertEvent::Opened).count(),
                    Err(StoreError::Conflict) => 0,
                    Err(error) => fail("save()", &id, &error),
                }
            })
        })
        .collect();
    let opened: usize = join(replicas).await.into_iter().sum();
    assert_eq!(opened, 1, "of {REPLICAS} replicas that opened one incident, {opened} could save");
    let (memory, _) = must_load(&handles[0], &id).await;
    assert_eq!(memory.undelivered().count(), 1, "one alert waits, and it is stored");
}

fn id(label: &str) -> IdentityId {
    easy_dkim_identity(&format!("{label}.example.com")).id
}

fn replicas(handles: &[Arc<dyn Store>]) -> impl Iterator<Item = Arc<dyn Store>> {
    handles.iter().cloned().cycle().take(REPLICAS)
}

/// What the tasks give; a panic of one is passed on.
async fn join<T>(tasks: Vec<tokio::task::JoinHandle<T>>) -> Vec<T> {
    let mut given = Vec::new();
    for task in tasks {
        match task.await {
            Ok(one) => given.push(one),
            Err(error) => std::panic::resume_unwind(error.into_panic()),
        }
    }
    given
}

async fn must_load(handle: &Arc<dyn Store>, id: &IdentityId) -> (Memory, Revision) {
    let stored = handle.load(id).await.unwrap_or_else(|error| fail("load()", id, &error));
    stored.unwrap_or_else(|| panic!("load() gave nothing for {id}, which was saved"))
}

async fn must_save(
    handle: &Arc<dyn Store>,
    id: &IdentityId,
    memory: &Memory,
    from: Option<Revision>,
) -> Revision {
    handle.save(id, memory, from).await.unwrap_or_else(|error| fail("save()", id, &error))
}

async fn expect_none(handles: &[Arc<dyn Store>], id: &IdentityId) {
    for handle in handles {
        let stored = handle.load(id).await.unwrap_or_else(|error| fail("load()", id, &error));
        assert!(stored.is_none(), "load() gave something for {id}, which was never saved");
    }
}

async fn expect_conflict(handle: &Arc<dyn Store>, id: &IdentityId, from: Option<Revision>, what: &str) {
    match handle.save(id, &Memory::default(), from).await {
        Err(StoreError::Conflict) => {}
        Err(error) => fail("save()", id, &error),
        Ok(_) => panic!("save() from {from:?} for {id}, {what}, was no conflict"),
    }
}

fn fail(call: &str, id: &IdentityId, error: &StoreError) -> ! {
    panic!("{call} for {id} gave an error: {error} ({error:?})")
}

/// Looks at one domain, each ten minutes after the last.
struct Looks {
    dns: Arc<FakeDns>,
    look: Look,
    at: Timestamp,
    status: ProviderStatus,
}

impl Looks {
    fn new() -> Self {
        let dns = Arc::new(FakeDns::new(World::easy_dkim(DOMAIN)));
        let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
        let look = Look::new(dns.clone(), places);
        Self { dns, look, at: START.parse().expect("it is a time"), status: ProviderStatus::Success }
    }

    fn change(&self, edit: impl FnOnce(&mut World)) {
        self.dns.change(edit);
    }

    async fn take(&mut self) -> Report {
        self.at += SignedDuration::from_mins(10);
        let mut identity = easy_dkim_identity(DOMAIN);
        identity.status = self.status.clone();
        self.look.take(identity, Depth::Full, self.at, 1).await
    }

    /// Memories of one identity as time goes by, each with a word on it.
    async fn memories(&mut self) -> Vec<(&'static str, Memory)> {
        let policy = Policy::default();
        let mut memories = vec![("a memory of nothing", Memory::default())];
        let mut memory = Memory::default().advance(&self.take().await, &policy).0;
        memories.push(("a healthy memory", memory.clone()));

        self.change(|world| {
            let servfail = Fault::Rcode(Rcode::SERVFAIL).with_extended_error(0, SAID);
            world.server(World::NS2).fault(servfail);
        });
        memory = memory.advance(&self.take().await, &policy).0;
        memories.push(("a memory of a suspicion", memory.clone()));
        memory = memory.advance(&self.take().await, &policy).0;
        memories.push(("a memory with an open incident and past states", memory.clone()));

        let [first, second] = [0, 1].map(|token: usize| format!("{}._domainkey.{DOMAIN}", TOKENS[token]));
        self.change(|world| {
            world.remove(&first).remove(&second).server(World::NS2).heal();
        });
        self.status = ProviderStatus::TemporaryFailure;
        let noticed = self.at;
        memory = memory.with_notice(noticed).advance(&self.take().await, &policy).0;
        memories.push(("a memory with a deadline and a notice", memory.clone()));

        for _ in 0..30 {
            self.at += SignedDuration::from_hours(24);
            memory = memory.advance(&self.take().await, &policy).0;
        }
        memories.push(("a memory with as many alerts as ever wait", memory));

        self.status = ProviderStatus::Success;
        self.change(|world| {
            *world = World::easy_dkim(DOMAIN);
        });
        memories
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::sync::Mutex;

    use async_trait::async_trait;
    use futures_util::FutureExt;

    use super::*;
    use crate::guard::InMemory;

    type Entries = BTreeMap<String, (Memory, u64)>;

    /// A store with a fault of its own.
    struct Wrong {
        entries: Mutex<Entries>,
        key: fn(&IdentityId) -> String,
        load: fn(&Memory) -> Memory,
        save: Save,
        /// Lets others in between the comparison and the change.
        yields: usize,
    }

    /// What a save makes of an entry, and gives.
    type Save = fn(&mut Entries, String, &Memory, Option<Revision>) -> Result<Revision, StoreError>;

    impl std::fmt::Debug for Wrong {
        fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
            f.debug_struct("Wrong").finish_non_exhaustive()
        }
    }

    impl Wrong {
        /// One without a fault, to be given one.
        fn right() -> Self {
            Self {
                entries: Mutex::default(),
                key: ToString::to_string,
                load: Clone::clone,
                save: |entries, key, memory, from| {
                    let stored = entries.get(&key).map(|(_, revision)| Revision(*revision));
                    if stored != from { Err(StoreError::Conflict) } else { Ok(put(entries, key, memory)) }
                },
                yields: 0,
            }
        }
    }

    fn put(entries: &mut Entries, key: String, memory: &Memory) -> Revision {
        let revision = entries.get(&key).map_or(0, |(_, revision)| *revision) + 1;
        entries.insert(key, (memory.clone(), revision));
        Revision(revision)
    }

    #[async_trait]
    impl Store for Wrong {
        async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
            let entries = self.entries.lock().expect("no panic");
            let entry = entries.get(&(self.key)(id));
            Ok(entry.map(|(memory, revision)| ((self.load)(memory), Revision(*revision))))
        }

        async fn save(
            &self,
            id: &IdentityId,
            memory: &Memory,
            from: Option<Revision>,
        ) -> Result<Revision, StoreError> {
            let key = (self.key)(id);
            if self.yields > 0 {
                let stored = self.load(id).await?.map(|(_, revision)| revision);
                if stored != from {
                    return Err(StoreError::Conflict);
                }
                for _ in 0..self.yields {
                    tokio::task::yield_now().await;
                }
                return Ok(put(&mut self.entries.lock().expect("no panic"), key, memory));
            }
            (self.save)(&mut self.entries.lock().expect("no panic"), key, memory, from)
        }
    }

    /// How the suite ends with a store; none where the store passes.
    fn failure(store: Arc<dyn Store>) -> Option<String> {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
        let handles = [store];
        let suite = std::panic::AssertUnwindSafe(super::store(&handles)).catch_unwind();
        let panic = runtime.block_on(suite).err()?;
        Some(panic.downcast_ref::<String>().cloned().unwrap_or_else(|| "another panic".to_owned()))
    }

    #[test]
    fn right_stores_pass() {
        assert_eq!(failure(Arc::new(Wrong::right())), None);
        assert_eq!(failure(Arc::new(InMemory::default())), None);
    }

    #[test]
    fn wrong_stores_fail_with_a_word_on_it() {
        let right = Wrong::right;
        let table: [(&str, Wrong, &str); 12] = [
            (
                "the last one wins",
                Wrong { save: |entries, key, memory, _| Ok(put(entries, key, memory)), ..right() },
                "where nothing was saved, was no conflict",
            ),
            (
                "a first save replaces",
                Wrong {
                    save: |entries, key, memory, from| match from {
                        None => Ok(put(entries, key, memory)),
                        Some(_) => (Wrong::right().save)(entries, key, memory, from),
                    },
                    ..right()
                },
                "where something is stored, was no conflict",
            ),
            (
                "any earlier revision does",
                Wrong {
                    save: |entries, key, memory, from| match (entries.get(&key), from) {
                        (Some((_, revision)), Some(from)) if from.0 <= *revision => {
                            Ok(put(entries, key, memory))
                        }
                        _ => (Wrong::right().save)(entries, key, memory, from),
                    },
                    ..right()
                },
                "which is no longer stored, was no conflict",
            ),
            (
                "any later revision does",
                Wrong {
                    save: |entries, key, memory, from| match (entries.get(&key), from) {
                        (Some((_, revision)), Some(from)) if from.0 >= *revision => {
                            Ok(put(entries, key, memory))
                        }
                        _ => (Wrong::right().save)(entries, key, memory, from),
                    },
                    ..right()
                },
                "which never was, was no conflict",
            ),
            (
                "a conflict saves all the same",
                Wrong {
                    save: |entries, key, memory, from| {
                        let outcome = (Wrong::right().save)(entries, key.clone(), memory, from);
                        if outcome.is_err() && entries.contains_key(&key) {
                            put(entries, key, memory);
                        }
                        outcome
                    },
                    ..right()
                },
                "load() gave another",
            ),
            (
                "the revision stays",
                Wrong {
                    save: |entries, key, memory, from| {
                        (Wrong::right().save)(entries, key.clone(), memory, from)?;
                        entries.insert(key, (memory.clone(), 1));
                        Ok(Revision(1))
                    },
                    ..right()
                },
                "save() gave Revision(1) twice",
            ),
            (
                "save gives the revision of before",
                Wrong {
                    save: |entries, key, memory, from| {
                        let revision = (Wrong::right().save)(entries, key, memory, from)?;
                        Ok(Revision(revision.0 - 1))
                    },
                    ..right()
                },
                "load() gave another revision",
            ),
            (
                "by the domain alone",
                Wrong { key: |id| id.domain.to_string(), ..right() },
                "for another identity",
            ),
            (
                "without the account",
                Wrong { key: |id| format!("{}{:?}{}", id.provider, id.region, id.domain), ..right() },
                "for another identity",
            ),
            (
                "in any case",
                Wrong { key: |id| id.to_string().to_lowercase(), ..right() },
                "for another identity",
            ),
            ("forgets", Wrong { load: |_| Memory::default(), ..right() }, "another memory than was saved"),
            ("compares and then changes", Wrong { yields: 3, ..right() }, "and some were lost"),
        ];
        for (case, wrong, expected) in table {
            let failure = failure(Arc::new(wrong));
            let failure = failure.unwrap_or_else(|| panic!("a store passes: {case}"));
            assert!(failure.contains(expected), "{case}: {failure}");
        }
    }

    #[tokio::test]
    async fn the_memories_are_what_the_suite_says() {
        let memories = Looks::new().memories().await;
        let told: Vec<_> = memories
            .iter()
            .map(|(stage, memory)| {
                let has_past = memory.to_json().contains("\"vantage\"");
                (*stage, memory.has_incident(), memory.undelivered().count(), has_past)
            })
            .collect();
        let expected = [
            ("a memory of nothing", false, 0, false),
            ("a healthy memory", false, 0, false),
            ("a memory of a suspicion", false, 0, true),
            ("a memory with an open incident and past states", true, 1, true),
            ("a memory with a deadline and a notice", true, 2, true),
            ("a memory with as many alerts as ever wait", true, 16, true),
        ];
        assert_eq!(told, expected);
        let (_, largest) = memories.last().expect("there are some");
        assert!(!largest.to_json().is_ascii(), "texts beyond ASCII are part of it");
    }
}
