//! [`Sqlite`]: the file that it makes, those that it refuses, and what becomes of calls when the file is held or gone.

use std::collections::BTreeMap;
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use dkimguard_core::error::StoreError;
use dkimguard_core::guard::{FORMAT, InMemory, Memory, Sqlite};
use dkimguard_core::ports::{Revision, Store};
use dkimguard_core::testing::{conformance, easy_dkim_identity};
use dkimguard_core::{IdentityId, SystemClock, ports::Clock};
use jiff::Timestamp;
use rusqlite::Connection;
use tempfile::TempDir;

/// The size of the file's pages.
const PAGE: usize = 4096;

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn it_is_a_store() {
    let directory = directory();
    conformance::store(&[open(&file(&directory))]).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn four_handles_are_one_store() {
    let directory = directory();
    let handles: Vec<Arc<dyn Store>> = (0..4).map(|_| open(&file(&directory)) as Arc<dyn Store>).collect();
    conformance::store(&handles).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 4)]
async fn in_memory_is_a_store() {
    conformance::store(&[Arc::new(InMemory::default())]).await;
}

#[tokio::test]
async fn what_an_in_memory_store_held_makes_another_one() {
    let held = [(id("example.com"), noted(1)), (id("example.org"), noted(2))];
    let store: InMemory = held.clone().into_iter().collect();
    let (memory, revision) = store.load(&held[0].0).await.expect("it loads").expect("it is held");
    assert_eq!(memory, held[0].1);
    store.save(&held[0].0, &noted(3), Some(revision)).await.expect("it saves");
    assert_eq!(store.memories(), [(id("example.com"), noted(3)), (id("example.org"), noted(2))]);
}

#[tokio::test]
async fn what_was_saved_is_there_when_it_is_opened_again() {
    let directory = directory();
    let store = open(&file(&directory));
    let revision = store.save(&id("example.com"), &noted(1), None).await.expect("it saves");
    drop(store);
    assert_eq!(names_in(directory.path()), ["state.sqlite"], "what lies beside it goes when it is closed");
    let loaded = open(&file(&directory)).load(&id("example.com")).await.expect("it loads");
    assert_eq!(loaded, Some((noted(1), revision)));
}

#[test]
fn the_file_and_its_directory_are_their_owners() {
    let directory = directory();
    let path = directory.path().join("dkimguard/state.sqlite");
    let store = open(&path);
    assert_eq!(mode(&path), 0o600);
    assert_eq!(mode(&path.with_extension("sqlite-wal")), 0o600);
    assert_eq!(mode(path.parent().expect("it has one")), 0o700);
    assert_eq!(store.path(), path);
}

#[test]
fn names_are_taken_as_they_are() {
    let directory = directory();
    for name in [":memory:", "file:state?mode=memory", "100%25 #1?.sqlite", "bücher", "it's"] {
        let path = directory.path().join(name);
        drop(open(&path));
        assert!(path.is_file(), "{name}");
        drop(open(&path));
    }
    assert_eq!(names_in(directory.path()).len(), 5);
}

#[tokio::test]
async fn a_link_leads_to_the_file() {
    let directory = directory();
    open(&file(&directory)).save(&id("example.com"), &noted(1), None).await.expect("it saves");
    let link = directory.path().join("link");
    std::os::unix::fs::symlink("state.sqlite", &link).expect("a link");
    assert!(open(&link).load(&id("example.com")).await.expect("it loads").is_some());
}

/// A thing in the place of the file, and what its refusal says.
struct Refused {
    what: &'static str,
    put: fn(&Path),
    kind: fn(&StoreError) -> bool,
    says: &'static [&'static str],
}

#[test]
fn what_is_no_file_of_this_program_is_refused_and_left_as_it_is() {
    let unusable: fn(&StoreError) -> bool = |error| matches!(error, StoreError::Unusable(..));
    let unavailable: fn(&StoreError) -> bool = |error| matches!(error, StoreError::Unavailable(..));
    let newer: fn(&StoreError) -> bool =
        |error| matches!(error, StoreError::Newer { found: 2, known: 1, .. });
    let not_a_database = &["file is not a database"];
    let not_ours = &["another program's"];
    let malformed = &["malformed"];
    #[rustfmt::skip]
    let table = [
        Refused { what: "a text", put: |path| put(path, b"[guard]\ninterval = \"15m\"\n"), kind: unusable, says: not_a_database },
        Refused { what: "a long text", put: |path| put(path, &b"dkimguard\n".repeat(PAGE)), kind: unusable, says: not_a_database },
        Refused { what: "an empty file", put: |path| put(path, b""), kind: unusable, says: not_ours },
        Refused { what: "one octet", put: |path| put(path, b"S"), kind: unusable, says: not_ours },
        Refused { what: "zeros", put: |path| put(path, &[0; 2 * PAGE]), kind: unusable, says: not_a_database },
        Refused { what: "a database of somebody else", put: |path| sql(path, "CREATE TABLE mail (body TEXT)"), kind: unusable, says: not_ours },
        Refused { what: "a database of somebody else in WAL mode", put: |path| sql(path, "PRAGMA journal_mode = WAL; CREATE TABLE mail (body TEXT)"), kind: unusable, says: not_ours },
        Refused { what: "a database with a -wal of somebody else", put: with_wal_of_others, kind: unusable, says: not_ours },
        Refused { what: "a newer schema", put: |path| ours_with(path, "PRAGMA user_version = 2"), kind: newer, says: &["newer version (format 2"] },
        Refused { what: "a newer schema in the -wal alone", put: with_newer_wal, kind: newer, says: &["newer version (format 2"] },
        Refused { what: "a version that never was", put: |path| ours_with(path, "PRAGMA user_version = 0"), kind: unusable, says: &["never was"] },
        Refused { what: "another table", put: |path| ours_with(path, "DROP TABLE memory; CREATE TABLE memories (id)"), kind: unusable, says: &["no such table"] },
        Refused { what: "other columns", put: |path| ours_with(path, "ALTER TABLE memory DROP COLUMN json"), kind: unusable, says: &["no such column"] },
        Refused { what: "the first 50 octets", put: |path| cut(path, 50), kind: unusable, says: not_ours },
        Refused { what: "the first page", put: |path| cut(path, PAGE), kind: unusable, says: malformed },
        Refused { what: "half a page", put: |path| cut(path, PAGE / 2), kind: unusable, says: malformed },
        Refused { what: "all but the last page", put: |path| cut(path, 4 * PAGE), kind: unusable, says: malformed },
        Refused { what: "a directory", put: |path| fs::create_dir(path).expect("a directory"), kind: unusable, says: &["it is a directory"] },
        Refused { what: "a device", put: |path| std::os::unix::fs::symlink("/dev/zero", path).expect("a link"), kind: unusable, says: &["not a regular file"] },
        Refused { what: "a link to nowhere", put: |path| std::os::unix::fs::symlink("nowhere", path).expect("a link"), kind: unavailable, says: &["unable to open"] },
    ];
    for Refused { what, put, kind, says } in table {
        let directory = directory();
        let path = file(&directory);
        put(&path);
        let before = contents(directory.path());
        for _ in 0..2 {
            let error = Sqlite::open(&path).map(drop).expect_err(what);
            assert!(kind(&error), "{what}: {error:?}");
            let message = chain(&error);
            assert!(message.contains(&path.display().to_string()), "{what}: no path in `{message}`");
            assert!(error.hint().is_some(), "{what}");
            for says in says {
                assert!(message.contains(says), "{what}: `{says}` isn't in `{message}`");
            }
        }
        assert!(contents(directory.path()) == before, "{what}: {:?}", names_in(directory.path()));
    }
}

#[test]
fn a_missing_directory_is_made_but_not_those_above() {
    let directory = directory();
    let error = Sqlite::open(directory.path().join("a/b/state.sqlite")).map(drop).expect_err("none is made");
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
    let message = chain(&error);
    assert!(
        message.ends_with(&format!("no directory {}", directory.path().join("a").display())),
        "{message}"
    );
    assert!(names_in(directory.path()).is_empty());

    put(&directory.path().join("a"), b"");
    let error =
        Sqlite::open(directory.path().join("a/state.sqlite")).map(drop).expect_err("it is no directory");
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
}

/// To close a file takes the POSIX locks of all who have it open in the process, unless it is SQLite that closes it.
#[test]
fn the_locks_of_somebody_else_in_this_process_outlive_a_refusal() {
    let directory = directory();
    let path = file(&directory);
    let other = Connection::open(&path).expect("it opens");
    other
        .execute_batch("CREATE TABLE mail (body TEXT); BEGIN EXCLUSIVE; INSERT INTO mail VALUES ('x')")
        .expect("SQL");
    Sqlite::open(&path).map(drop).expect_err("it is somebody else's");
    let tried = std::process::Command::new(std::env::current_exe().expect("this program"))
        .args(["--exact", "as_another_process_takes_the_lock", "--ignored"])
        .env("DKIMGUARD_TEST_FILE", &path)
        .output()
        .expect("it runs");
    let output = String::from_utf8_lossy(&tried.stdout);
    assert!(output.contains("database is locked"), "{output}");
    other.execute_batch("COMMIT").expect("it is still the one that writes");
}

#[test]
#[ignore = "a part of the test above, in a process of its own"]
fn as_another_process_takes_the_lock() {
    let path = std::env::var_os("DKIMGUARD_TEST_FILE").expect("the test above sets it");
    let connection = Connection::open(path).expect("it opens");
    connection.busy_timeout(Duration::ZERO).expect("no patience");
    connection.execute_batch("BEGIN IMMEDIATE").expect("the lock");
}

#[tokio::test]
async fn a_memory_that_cannot_be_read_is_an_error_and_stays() {
    let directory = directory();
    let path = file(&directory);
    let [text, newer, good] = ["text.example", "newer.example", "good.example"].map(id);
    let store = open(&path);
    store.save(&good, &noted(1), None).await.expect("it saves");
    let rows = format!(
        "INSERT INTO memory VALUES ('{text}', 7, 'no JSON');
         INSERT INTO memory VALUES ('{newer}', 7, '{{\"format\":{},\"memory\":{{\"mood\":1}}}}')",
        FORMAT + 1
    );
    sql(&path, &rows);

    let error = store.load(&text).await.expect_err("no JSON");
    assert!(matches!(error, StoreError::Unusable(..)), "{error:?}");
    assert!(chain(&error).starts_with(&format!("{text} in {} is not a memory", path.display())), "{error}");
    let error = store.load(&newer).await.expect_err("a newer format");
    assert!(
        matches!(error, StoreError::Newer { found, known: FORMAT, .. } if found == FORMAT + 1),
        "{error:?}"
    );
    for id in [&text, &newer] {
        let error = store.save(id, &Memory::default(), None).await.expect_err("there is something");
        assert!(matches!(error, StoreError::Conflict), "{error:?}");
    }
    assert!(store.load(&good).await.expect("it loads").is_some(), "the others are there");
    drop(store);
    let connection = Connection::open(&path).expect("it opens");
    let unchanged = "SELECT count(*) FROM memory WHERE revision = 7 AND json IN ('no JSON', '{\"format\":2,\"memory\":{\"mood\":1}}')";
    assert_eq!(connection.query_row(unchanged, [], |row| row.get(0)), Ok(2));
}

/// A page in the middle is damaged, and nobody has looked at it when the file was opened.
#[tokio::test]
async fn damage_is_told_when_it_is_met() {
    let directory = directory();
    let path = file(&directory);
    let ids: Vec<_> = (0..200).map(|number| id(&format!("d{number}.example"))).collect();
    let store = open(&path);
    for id in &ids {
        store.save(id, &noted(1), None).await.expect("it saves");
    }
    drop(store);
    let mut octets = fs::read(&path).expect("the file");
    octets[4 * PAGE..8 * PAGE].fill(0xa5);
    put(&path, &octets);
    let store = open(&path);
    let mut damaged = 0;
    for id in &ids {
        match store.load(id).await {
            Ok(loaded) => assert!(loaded.is_some(), "{id} is taken for nothing"),
            Err(error) => {
                assert!(matches!(error, StoreError::Unusable(..)), "{error:?}");
                damaged += 1;
            }
        }
    }
    assert!(damaged > 0);
}

#[tokio::test]
async fn who_waits_for_a_lock_delays_nobody_and_gives_up() {
    let directory = directory();
    let store = open(&file(&directory));
    let other = Connection::open(file(&directory)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let start = Instant::now();
    let (id, memory) = (id("example.com"), Memory::default());
    let save = store.save(&id, &memory, None);
    // One thread runs both: the ticks go on while the save waits.
    let ticks = async {
        let mut ticks = 0;
        let mut interval = tokio::time::interval(Duration::from_millis(50));
        while start.elapsed() < Duration::from_secs(2) {
            interval.tick().await;
            ticks += 1;
        }
        ticks
    };
    let (saved, ticks) = tokio::join!(save, ticks);
    let error = saved.expect_err("it is locked");
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
    assert!(chain(&error).contains("locked"), "{error}");
    assert!(ticks > 5, "{ticks} ticks within two seconds");

    other.execute_batch("ROLLBACK").expect("the lock is given back");
    store.save(&id, &memory, None).await.expect("it saves");
}

#[tokio::test]
async fn a_save_that_was_given_up_in_the_queue_is_not_made() {
    let directory = directory();
    let store = open(&file(&directory));
    let other = Connection::open(file(&directory)).expect("it opens");
    other.execute_batch("BEGIN IMMEDIATE").expect("the lock");
    let [first, second] = ["first.example", "second.example"].map(id);
    let memory = Memory::default();
    let mut holding = store.save(&first, &memory, None);
    let mut waiting = store.save(&second, &memory, None);
    for save in [&mut holding, &mut waiting] {
        assert!(futures_util::poll!(save).is_pending());
    }
    drop(waiting);
    other.execute_batch("ROLLBACK").expect("the lock is given back");
    holding.await.expect("it saves");
    assert!(store.load(&second).await.expect("it loads").is_none());
}

#[tokio::test]
async fn nothing_is_saved_to_a_file_that_is_gone() {
    let directory = directory();
    let path = file(&directory);
    let store = open(&path);
    let revision = store.save(&id("example.com"), &noted(1), None).await.expect("it saves");
    fs::remove_file(&path).expect("it is there");
    let error = store.save(&id("example.com"), &noted(2), Some(revision)).await.expect_err("it is gone");
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
    put(&path, b"another");
    let error = store.save(&id("example.com"), &noted(2), Some(revision)).await.expect_err("it is another");
    assert!(chain(&error).contains("taken its place"), "{error:?}");
}

#[tokio::test]
async fn a_revision_that_cannot_be_is_a_conflict() {
    let directory = directory();
    let store = open(&file(&directory));
    store.save(&id("example.com"), &noted(1), None).await.expect("it saves");
    for revision in [0, 2, 1 << 63, u64::MAX] {
        let error = store.save(&id("example.com"), &noted(2), Some(Revision(revision))).await;
        assert!(matches!(error, Err(StoreError::Conflict)), "{error:?}");
    }
}

/// The figures in the docs: `cargo test --release -p dkimguard-core --features sqlite,testing --test sqlite -- --ignored
/// --nocapture figures`.
#[tokio::test]
#[ignore = "a measurement"]
async fn figures() {
    const IDENTITIES: usize = 100_000;
    let healthy = healthy().await;
    println!("the JSON of a healthy memory: {} octets", healthy.to_json().len());
    let ids: Vec<_> = (0..IDENTITIES).map(|number| id(&format!("domain-{number}.example.com"))).collect();

    let before = resident();
    let store = InMemory::default();
    for id in &ids {
        store.save(id, &healthy.clone(), None).await.expect("it saves");
    }
    let each = (resident() - before) / IDENTITIES;
    println!("in memory: {each} octets for each of {IDENTITIES}");
    time("in memory", &store, &ids, 10 * IDENTITIES).await;
    drop(store);

    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory");
    let before = resident();
    let store = open(&file(&directory));
    for id in &ids[..3] {
        store.save(id, &healthy, None).await.expect("it saves");
    }
    println!("SQLite: {} KiB for three", (resident() - before) / 1024);
    time("SQLite", &*store, &ids[..3], 2_000).await;
}

async fn time(what: &str, store: &dyn Store, ids: &[IdentityId], rounds: usize) {
    let (mut loading, mut saving) = (Duration::ZERO, Duration::ZERO);
    for id in ids.iter().cycle().take(rounds) {
        let start = Instant::now();
        let (memory, revision) = store.load(id).await.expect("it loads").expect("it is there");
        loading += start.elapsed();
        let start = Instant::now();
        store.save(id, &memory, Some(revision)).await.expect("it saves");
        saving += start.elapsed();
    }
    let rounds = u32::try_from(rounds).expect("it is small");
    println!("{what}: a load takes {:?}, a save {:?}", loading / rounds, saving / rounds);
}

async fn healthy() -> Memory {
    use dkimguard_core::guard::Policy;
    use dkimguard_core::look::{Look, Places, Vantage};
    use dkimguard_core::testing::{FakeDns, World};

    let places = Places::new([Vantage::Resolver { address: (World::RESOLVER, 53).into() }]);
    let look = Look::new(Arc::new(FakeDns::new(World::easy_dkim("example.com"))), places);
    let identity = easy_dkim_identity("example.com");
    let report = look.take(identity, dkimguard_core::Depth::Full, SystemClock.now(), 1).await;
    // As a store gives it back: nothing is shared between two memories.
    let memory = Memory::default().advance(&report, &Policy::default()).0;
    Memory::from_json(&memory.to_json()).expect("it is a memory")
}

/// The resident memory of this process, in octets.
fn resident() -> usize {
    let pages = fs::read_to_string("/proc/self/statm").expect("Linux");
    let pages: usize = pages.split(' ').nth(1).and_then(|pages| pages.parse().ok()).expect("a number");
    pages * 4096
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("state.sqlite")
}

fn open(path: &Path) -> Arc<Sqlite> {
    Arc::new(Sqlite::open(path).unwrap_or_else(|error| panic!("{}", chain(&error))))
}

fn id(domain: &str) -> IdentityId {
    easy_dkim_identity(domain).id
}

/// A memory that is told from another one by its number.
fn noted(number: i64) -> Memory {
    Memory::default().with_notice(Timestamp::from_second(number).expect("it is a time"))
}

fn put(path: &Path, octets: &[u8]) {
    fs::write(path, octets).expect("it is written");
}

fn sql(path: &Path, sql: &str) {
    Connection::open(path).expect("it opens").execute_batch(sql).expect("SQL");
}

fn ours_with(path: &Path, change: &str) {
    drop(open(path));
    sql(path, change);
}

/// The beginning of a file of this program with a hundred memories.
fn cut(path: &Path, octets: usize) {
    drop(open(path));
    let rows = "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100)
                INSERT INTO memory SELECT 'file:' || i || '.example', 1, hex(zeroblob(50)) FROM n";
    sql(path, rows);
    let file = fs::OpenOptions::new().write(true).open(path).expect("it opens");
    assert!(file.metadata().expect("its size").len() > octets as u64);
    file.set_len(octets as u64).expect("it is cut");
}

/// A file and its -wal as an end by force leaves them.
fn with_wal(path: &Path, change: &str) {
    let elsewhere = directory();
    let original = file(&elsewhere);
    fs::copy(path, &original).expect("a copy");
    let connection = Connection::open(&original).expect("it opens");
    connection.execute_batch(change).expect("SQL");
    for suffix in ["", "-wal"] {
        let [from, to] = [&original, &path.to_owned()].map(|path| format!("{}{suffix}", path.display()));
        fs::copy(from, to).expect("a copy");
    }
}

fn with_wal_of_others(path: &Path) {
    sql(path, "PRAGMA journal_mode = WAL; CREATE TABLE mail (body TEXT)");
    with_wal(path, "INSERT INTO mail VALUES ('x')");
}

fn with_newer_wal(path: &Path) {
    drop(open(path));
    with_wal(path, "PRAGMA user_version = 2");
}

/// What lies in a directory, but for the index of a -wal, which SQLite makes anew from it and which holds nothing.
fn contents(directory: &Path) -> BTreeMap<String, Option<Vec<u8>>> {
    let names = names_in(directory).into_iter().filter(|name| !name.ends_with("-shm"));
    names
        .map(|name| {
            let path = directory.join(&name);
            let octets = path.is_file().then(|| fs::read(&path).expect("it is readable"));
            (name, octets)
        })
        .collect()
}

fn names_in(directory: &Path) -> Vec<String> {
    let entries = fs::read_dir(directory).expect("it is a directory");
    let mut names: Vec<_> = entries
        .map(|entry| entry.expect("an entry").file_name().into_string().expect("its name is a text"))
        .collect();
    names.sort_unstable();
    names
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).expect("it is there").permissions().mode() & 0o777
}

/// The error and its sources, in one line.
fn chain(error: &StoreError) -> String {
    let sources = std::iter::successors(std::error::Error::source(error), |error| error.source());
    let parts: Vec<_> = std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect();
    parts.join(": ")
}
