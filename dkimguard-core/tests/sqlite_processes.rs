//! [`Sqlite`] between processes, killed ones, and on a full disk. This program runs itself: with an argument it does one
//! piece of work and prints what came of it, without one it checks what is printed.

use std::error::Error;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use dkimguard_core::error::StoreError;
use dkimguard_core::guard::{Memory, Policy, Sqlite};
use dkimguard_core::look::{Look, Places};
use dkimguard_core::ports::{Revision, Store};
use dkimguard_core::testing::{FakeDns, World, easy_dkim_identity};
use dkimguard_core::{Depth, IdentityId};
use futures_util::future::FutureExt;
use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags};
use tempfile::TempDir;

/// How many writers are killed.
const KILLS: usize = 30;
/// How long they live at most.
const LONGEST_LIFE: Duration = Duration::from_millis(120);
const PROCESSES: usize = 4;
const ADDITIONS: usize = 50;
/// `nobody`, who may neither read nor write what belongs to others.
const NOBODY: u32 = 65534;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    match arguments[..] {
        ["save", path, domain] => runtime.block_on(save_on_and_on(path, domain)),
        ["add", path] => runtime.block_on(add(path)),
        ["fill", path] => runtime.block_on(fill(path)),
        ["open", path] => print_opening(path),
        // What `cargo test` passes on.
        _ => {
            let checks: [(&str, fn()); 6] = [
                ("processes that start at once make one file and lose nothing", lose_nothing),
                ("writers killed at random instants lose no save", survive_kills),
                ("a file that may not grow can be used again once it may", survive_a_limit),
                ("a full disk can be used again once there is room", survive_a_full_disk),
                ("a file that can't be read or written is refused", refuse_what_is_not_permitted),
                (
                    "a writer that is killed while it makes the file leaves none or all of it",
                    make_all_or_nothing,
                ),
            ];
            for (what, check) in checks {
                check();
                println!("{what} ... ok");
            }
        }
    }
}

fn lose_nothing() {
    let directory = directory();
    let path = file(&directory);
    let processes: Vec<_> = (0..PROCESSES).map(|_| start(this_program(), &["add", &text(&path)])).collect();
    for mut process in processes {
        let mut output = String::new();
        process.output.read_to_string(&mut output).expect("its output");
        assert!(process.child.wait().expect("it ends").success(), "{output}");
    }
    let (memory, _) = load(&path, "example.com").expect("it was saved");
    assert_eq!(memory.unhealthy_looks() as usize, PROCESSES * ADDITIONS);
    let names: Vec<_> = fs::read_dir(directory.path()).expect("it is there").collect();
    assert_eq!(names.len(), 1, "{names:?}");
}

/// Adds looks at which all is wrong to what is stored.
async fn add(path: &str) {
    let store = Sqlite::open(path).expect("it opens");
    let id = easy_dkim_identity("example.com").id;
    let look = Look::new(Arc::new(FakeDns::new(World::with_root())), Places::new([]));
    let report = look.take(easy_dkim_identity("example.com"), Depth::Full, Timestamp::UNIX_EPOCH, 1).await;
    for _ in 0..ADDITIONS {
        loop {
            let stored = store.load(&id).await.expect("it loads");
            let (memory, from) = stored.map_or_else(Default::default, |(memory, from)| (memory, Some(from)));
            let (memory, _) = memory.advance(&report, &Policy::default());
            match store.save(&id, &memory, from).await {
                Ok(_) => break,
                Err(StoreError::Conflict) => {}
                Err(error) => panic!("{error:?}"),
            }
        }
    }
}

/// One writer is killed after the other, while another one goes on.
fn survive_kills() {
    let directory = directory();
    let path = file(&directory);
    let mut saved = 0;
    let mut companion = start(this_program(), &["save", &text(&path), "companion.example"]);
    let mut chance = Chance::new();
    for round in 0..KILLS {
        let mut writer = start(this_program(), &["save", &text(&path), "example.com"]);
        std::thread::sleep(chance.up_to(LONGEST_LIFE));
        let mut last = writer.kill().last().copied().unwrap_or(saved);
        if round % 5 == 4 {
            // None is left: the next one finds what all of them left behind.
            companion.kill();
        }
        check_soundness(&path);
        match load(&path, "example.com") {
            Some((memory, revision)) => {
                assert!(revision.0 >= last, "round {round}: save {last} is lost, {revision:?} is there");
                // What was saved and not yet told may be there too.
                assert!(revision.0 <= last + 1, "round {round}: {revision:?} after {last}");
                assert_eq!(memory, numbered(revision.0), "round {round}");
                last = revision.0;
            }
            None => assert_eq!(last, 0, "round {round}: all is lost"),
        }
        saved = last;
        if round % 5 == 4 {
            companion = start(this_program(), &["save", &text(&path), "companion.example"]);
        }
    }
    companion.kill();
    assert!(saved > 0, "the writers were killed before they could save: {saved}");
}

/// Saves one memory after the other and prints the revision of each, once it has returned.
async fn save_on_and_on(path: &str, domain: &str) {
    let store = Sqlite::open(path).expect("it opens");
    let id = easy_dkim_identity(domain).id;
    let mut from = store.load(&id).await.expect("it loads").map(|(_, revision)| revision);
    loop {
        let next = from.map_or(1, |from| from.0 + 1);
        let revision = store.save(&id, &numbered(next), from).await.expect("it saves");
        println!("{}", revision.0);
        from = Some(revision);
    }
}

/// The file is made within the first milliseconds, so those are what is cut short.
fn make_all_or_nothing() {
    let mut chance = Chance::new();
    for round in 0..KILLS {
        let directory = directory();
        let path = file(&directory);
        let mut writer = start(this_program(), &["save", &text(&path), "example.com"]);
        std::thread::sleep(chance.up_to(LONGEST_LIFE / 8));
        let saved = writer.kill();
        check_soundness(&path);
        let revision = load(&path, "example.com").map_or(0, |(_, revision)| revision.0);
        let last = saved.last().copied().unwrap_or(0);
        assert!((last..=last + 1).contains(&revision), "round {round}: {revision} after {last}");
    }
}

fn survive_a_limit() {
    let directory = directory();
    let limit = "trap '' XFSZ; ulimit -S -f 400; exec \"$@\"";
    let mut shell = Command::new("sh");
    shell.args(["-c", limit, "sh"]).arg(program());
    let mut process = start(shell, &["fill", &text(&file(&directory))]);
    process.until("no room");
    let child = process.child.id().to_string();
    let raised = Command::new("prlimit").args(["--pid", &child, "--fsize=unlimited"]).status();
    assert!(raised.expect("prlimit runs").success());
    process.go_on();
}

fn survive_a_full_disk() {
    let directory = directory();
    let mount = "mount -t tmpfs -o size=600k tmpfs \"$0\" && exec \"$@\"";
    let is_root =
        fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0);
    // A file system of its own takes root; the tests' other needs are installed by the same way.
    let mut shell = Command::new(if is_root { "unshare" } else { "sudo" });
    if !is_root {
        shell.args(["-n", "unshare"]);
    }
    shell.args(["--mount", "sh", "-c", mount]).arg(directory.path()).arg(program());
    let mut process = start(shell, &["fill", &text(&file(&directory))]);
    process.until("no room");
    process.go_on();
}

/// Saves for ever more identities until there is no room. On a line of input it makes room, where it can, and saves
/// again; then all is there.
async fn fill(path: &str) {
    let ballast = Path::new(path).with_file_name("ballast");
    fs::write(&ballast, [0; 64 * 1024]).expect("there is room for it");
    let store = Sqlite::open(path).expect("it opens");
    let id = |number| easy_dkim_identity(&format!("d{number}.example")).id;
    let mut saved = 0;
    let error = loop {
        match store.save(&id(saved), &numbered(saved), None).await {
            Ok(_) => saved += 1,
            Err(error) => break error,
        }
    };
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
    let error = store.save(&id(saved), &numbered(saved), None).await.expect_err("there still is no room");
    assert!(matches!(error, StoreError::Unavailable(..)), "{error:?}");
    must_hold(&store, saved, id).await;
    println!("{}", chain(&error));
    println!("no room after {saved}");

    std::io::stdin().read_line(&mut String::new()).expect("a line");
    fs::remove_file(&ballast).expect("it is there");
    store.save(&id(saved), &numbered(saved), None).await.expect("there is room again");
    saved += 1;
    must_hold(&store, saved, id).await;
    drop(store);
    check_soundness(Path::new(path));
    must_hold(&Sqlite::open(path).expect("it opens"), saved, id).await;
    println!("all is there");
}

async fn must_hold(store: &Sqlite, saved: u64, id: impl Fn(u64) -> IdentityId) {
    assert!(saved > 10, "there was room for {saved}");
    for number in 0..saved {
        let loaded = store.load(&id(number)).await.expect("it loads");
        assert_eq!(loaded, Some((numbered(number), Revision(1))), "{number}");
    }
}

fn refuse_what_is_not_permitted() {
    let directory = directory();
    fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755))
        .expect("it is this program's own");
    // Where nobody may run it.
    let copy = directory.path().join("program");
    fs::copy(program(), &copy).expect("a copy");
    let table = [
        ("a file that may not be read", 0o000, 0o777, "unable to open"),
        ("a file that may not be written", 0o444, 0o777, "it can't be written"),
        ("a directory that may not be written", 0o666, 0o555, ": attempt to write a readonly database\n"),
    ];
    for (what, file_mode, directory_mode, expected) in table {
        let inner = directory.path().join("state");
        fs::create_dir(&inner).expect("it is new");
        let path = inner.join("state.sqlite");
        drop(Sqlite::open(&path).expect("it opens"));
        let before = fs::read(&path).expect("it is there");
        for (path, mode) in [(&path, file_mode), (&inner, directory_mode)] {
            fs::set_permissions(path, fs::Permissions::from_mode(mode)).expect("it is this program's own");
        }
        let output = as_nobody(&copy, &path);
        assert!(output.starts_with("unavailable: "), "{what}: {output}");
        assert!(output.contains(expected) && output.contains(&text(&path)), "{what}: {output}");
        assert_eq!(fs::read_dir(&inner).expect("it is there").count(), 1, "{what}: something lies beside it");
        fs::set_permissions(&inner, fs::Permissions::from_mode(0o700)).expect("it is this program's own");
        fs::set_permissions(&path, fs::Permissions::from_mode(0o600)).expect("it is this program's own");
        assert!(fs::read(&path).expect("it is there") == before, "{what}: it was changed");
        fs::remove_dir_all(&inner).expect("it is this program's own");
    }
}

/// Opens the file as a user with no rights beyond those of all; one who isn't root has none beyond either.
fn as_nobody(program: &Path, path: &Path) -> String {
    let mut command = Command::new(program);
    if fs::metadata("/proc/self").is_ok_and(|this| std::os::unix::fs::MetadataExt::uid(&this) == 0) {
        command.uid(NOBODY).gid(NOBODY);
    }
    let mut process = start(command, &["open", &text(path)]);
    let mut output = String::new();
    process.output.read_to_string(&mut output).expect("its output");
    process.child.wait().expect("it ends");
    output
}

fn print_opening(path: &str) {
    match Sqlite::open(path) {
        Ok(_) => println!("open"),
        Err(error @ StoreError::Unavailable(..)) => println!("unavailable: {}", chain(&error)),
        Err(error) => println!("{error:?}"),
    }
}

/// Checks the file, if it is made by now. The check must not make one: an empty file is none of this program.
fn check_soundness(path: &Path) {
    if !path.exists() {
        return;
    }
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE;
    let connection = Connection::open_with_flags(path, flags).expect("it opens");
    connection.busy_timeout(Duration::from_secs(10)).expect("patience");
    let found: String =
        connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).expect("it can be checked");
    assert_eq!(found, "ok");
}

fn load(path: &Path, domain: &str) -> Option<(Memory, Revision)> {
    let store = Sqlite::open(path).expect("it opens");
    let id = easy_dkim_identity(domain).id;
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("a runtime");
    runtime.block_on(store.load(&id).map(|loaded| loaded.expect("it loads")))
}

fn numbered(number: u64) -> Memory {
    let seconds = i64::try_from(number).expect("it is small");
    Memory::default().with_notice(Timestamp::from_second(seconds).expect("it is a time"))
}

/// A process that this one started; it is killed at the latest when it is dropped.
struct Process {
    child: Child,
    input: ChildStdin,
    output: BufReader<ChildStdout>,
}

impl Process {
    /// Kills it, and gives the numbers that it had printed.
    fn kill(&mut self) -> Vec<u64> {
        self.child.kill().expect("it can be killed");
        self.child.wait().expect("it ends");
        let mut output = String::new();
        self.output.read_to_string(&mut output).expect("its output");
        let lines = output.split_inclusive('\n').filter_map(|line| line.strip_suffix('\n'));
        lines.map(|line| line.parse().expect("a number")).collect()
    }

    /// Reads on until a line that begins so.
    fn until(&mut self, beginning: &str) {
        let mut output = String::new();
        while !output.lines().last().is_some_and(|line| line.starts_with(beginning)) {
            let read = self.output.read_line(&mut output).expect("its output");
            assert!(read > 0, "it ended before `{beginning}`:\n{output}");
        }
    }

    /// Lets it go on after it waited for a line, and end well.
    fn go_on(&mut self) {
        writeln!(self.input).expect("it reads");
        self.until("all is there");
        assert!(self.child.wait().expect("it ends").success());
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // Most have ended by then.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn start(mut command: Command, arguments: &[&str]) -> Process {
    command.args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
    let mut child = command.spawn().expect("it starts");
    let input = child.stdin.take().expect("it is piped");
    let output = BufReader::new(child.stdout.take().expect("it is piped"));
    Process { child, input, output }
}

fn this_program() -> Command {
    Command::new(program())
}

fn program() -> PathBuf {
    std::env::current_exe().expect("this program")
}

fn directory() -> TempDir {
    tempfile::tempdir().expect("a directory")
}

fn file(directory: &TempDir) -> PathBuf {
    directory.path().join("state.sqlite")
}

fn text(path: &Path) -> String {
    path.to_str().expect("a path in UTF-8").to_owned()
}

/// The error and its sources, in one line.
fn chain(error: &StoreError) -> String {
    let sources = std::iter::successors(error.source(), |&error| error.source());
    let parts: Vec<_> = std::iter::once(error.to_string()).chain(sources.map(ToString::to_string)).collect();
    parts.join(": ")
}

/// Random instants, other ones each time: whichever they are, the checks hold.
struct Chance(std::hash::RandomState);

impl Chance {
    fn new() -> Self {
        Self(std::hash::RandomState::new())
    }

    fn up_to(&mut self, longest: Duration) -> Duration {
        let state = std::mem::replace(&mut self.0, std::hash::RandomState::new());
        let random = std::hash::BuildHasher::hash_one(&state, 0) % 1_000_000;
        longest.mul_f64(random as f64 / 1_000_000.0)
    }
}
