//! [`World`]: name servers that follow hosted zones, and the binary run beside them.

use std::error::Error;
use std::fs;
use std::io::{Read as _, Write as _};
use std::path::PathBuf;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dkimguard_core::testing::PUBLIC_KEY;
use serde_json::{Value, json};

use crate::binary::binary;
use crate::peer::Peer;
use crate::tree::{Resolver, Software, Tree, ZoneSpec};

pub(crate) const HOME: &str = "us-east-1";

/// The tokens of an identity, unless it is given others.
pub(crate) const TOKENS: [&str; 3] = ["aaa", "bbb", "ccc"];

/// For how many seconds an absence may be kept.
const KEPT: u32 = 20;

/// How often the hosted zones are looked at for changes.
const EVERY: Duration = Duration::from_millis(100);

/// How long anything is waited for.
const PATIENCE: Duration = Duration::from_secs(120);

/// Name servers that follow Route 53.
pub(crate) struct World {
    tree: Arc<Tree>,
    followed: Arc<Mutex<Vec<Followed>>>,
    /// Of the next zone that is served; each is higher than the last.
    serial: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    follower: Option<JoinHandle<()>>,
}

/// A hosted zone that the servers follow, and its text as they have it.
#[derive(Clone, PartialEq)]
struct Followed {
    account: String,
    zone: String,
    id: String,
    text: String,
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    pub(crate) stderr: String,
}

impl Run {
    /// The objects on standard output.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    }

    /// The last object on standard output.
    pub(crate) fn last(&self) -> Value {
        self.events().pop().unwrap_or_else(|| panic!("no event: {self:?}"))
    }
}

/// A record as the peer takes it.
pub(crate) fn record(name: &str, kind: &str, value: &str) -> Value {
    json!({ "name": name, "type": kind, "ttl": 1, "values": [value] })
}

/// The CNAME of a token, which is right.
pub(crate) fn alias(token: &str, domain: &str) -> Value {
    record(&format!("{token}._domainkey.{domain}"), "CNAME", &format!("{token}.dkim.amazonses.com"))
}

/// The CNAMEs of tokens, which are right.
pub(crate) fn aliases(tokens: &[&str], domain: &str) -> Vec<Value> {
    tokens.iter().map(|token| alias(token, domain)).collect()
}

/// The key record of the tests' key, in strings as a zone file and Route 53 have it.
pub(crate) fn key_in_strings() -> String {
    let text = format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}");
    let (first, rest) = text.split_at(255);
    format!("\"{first}\" \"{rest}\"")
}

/// Waits until it is so.
pub(crate) fn wait_until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "{what}: not within {PATIENCE:?}");
        thread::sleep(Duration::from_millis(20));
    }
}

impl World {
    /// Servers for these zones, and for the keys of SES.
    pub(crate) fn start(zones: &[&str]) -> Result<Self, Box<dyn Error>> {
        let (first, rest) = PUBLIC_KEY.split_at(200);
        let keys = ["aaa", "ddd"].map(|token| format!("{token} TXT \"p={first}\" \"{rest}\"\n"));
        let keys = ZoneSpec::new("dkim.amazonses.com").records(&keys.concat());
        let zones = zones.iter().map(|zone| ZoneSpec::new(zone).servers([Software::Nsd, Software::Knot]));
        let tree = Tree::builder().zone(keys).zones(zones).with_resolver(Resolver::Remembering);
        let tree = Arc::new(tree.start()?);
        let followed = Arc::default();
        let (serial, is_over) = (Arc::new(AtomicU32::new(2_026_112_500)), Arc::new(AtomicBool::new(false)));
        let mut world = Self { tree, followed, serial, is_over, follower: None };
        let follower =
            (world.tree.clone(), world.followed.clone(), world.serial.clone(), world.is_over.clone());
        world.follower = Some(thread::spawn(move || {
            let (tree, followed, serial, is_over) = follower;
            while !is_over.load(Ordering::Relaxed) {
                follow_once(&tree, &followed, &serial);
                thread::sleep(EVERY);
            }
        }));
        Ok(world)
    }

    /// Has SES know the domain, with these tokens.
    pub(crate) fn identity(&self, account: &str, domain: &str, tokens: &[&str], status: &str) {
        let dkim = json!({ "Tokens": tokens, "Status": status });
        Peer::shared().add_identities(account, HOME, &json!([{ "name": domain, "DkimAttributes": dkim }]));
    }

    /// Has Route 53 hold a zone with these records beside a stranger's, at the servers of the delegation, and has the
    /// servers follow it from now on. Gives the zone's id, once they serve it.
    pub(crate) fn host(&self, account: &str, zone: &str, records: &[Value]) -> String {
        let id = self.hold(account, zone, records);
        self.follow(account, zone, &id);
        id
    }

    /// The same, and the servers don't follow it.
    pub(crate) fn hold(&self, account: &str, zone: &str, records: &[Value]) -> String {
        let id = format!("Z{}{account}", zone.replace(['.', '-', '_'], "").to_uppercase());
        let servers = ["ns1", "ns2"].map(|label| format!("{label}.{zone}"));
        let mut records = records.to_vec();
        for (server, address) in servers.iter().zip(self.servers(zone)) {
            records.push(record(server, "A", address.trim_end_matches(":53")));
        }
        records.push(record(&format!("_dmarc.{zone}"), "TXT", "\"v=DMARC1; p=none\""));
        records.push(record(zone, "TXT", "\"a stranger's; \\\"quoted\\\"\""));
        records.push(record(&format!("xyz._domainkey.{zone}"), "CNAME", "xyz.dkim.amazonses.com"));
        let zones = json!([{ "name": zone, "id": id, "servers": servers, "records": records }]);
        Peer::shared().add_zones(account, &zones);
        id
    }

    /// The addresses of a zone's servers, `address:port` each.
    pub(crate) fn servers(&self, zone: &str) -> Vec<String> {
        (0..2).map(|slot| self.tree.server_address(zone, slot).to_string()).collect()
    }

    /// Has the servers follow a hosted zone from now on, in place of another of the name, and waits until they serve it.
    pub(crate) fn follow(&self, account: &str, zone: &str, id: &str) {
        let text = Peer::shared().zone_file(account, id);
        let serial = {
            let mut followed = locked(&self.followed);
            followed.retain(|followed| followed.zone != zone);
            let (account, zone, id) = (account.to_owned(), zone.to_owned(), id.to_owned());
            followed.push(Followed { account, zone: zone.clone(), id, text: text.clone() });
            serve(&self.tree, &zone, &text, &self.serial)
        };
        for server in self.servers(zone) {
            let address = format!("@{}", server.trim_end_matches(":53"));
            wait_until(&format!("{server} follows {zone}"), || {
                let dig = Command::new("dig").args([&address, zone, "SOA", "+short", "+time=1"]).output();
                let said = String::from_utf8_lossy(&dig.expect("dig runs").stdout).into_owned();
                let held: Option<u32> = said.split(' ').nth(2).and_then(|held| held.parse().ok());
                held.is_some_and(|held| held >= serial)
            });
        }
        // What the resolver remembers for a second is over.
        thread::sleep(Duration::from_millis(1100));
    }

    /// Has the servers of a zone serve these lines beside their own names, whatever Route 53 holds.
    pub(crate) fn publish_elsewhere(&self, zone: &str, lines: &str) {
        let mut text = format!("$ORIGIN {zone}.\n@ 1 IN SOA ns1 hostmaster 1 7200 900 1209600 1\n");
        for (label, address) in ["ns1", "ns2"].iter().zip(self.servers(zone)) {
            text += &format!("@ 1 IN NS {label}\n{label} 1 IN A {}\n", address.trim_end_matches(":53"));
        }
        let _followed = locked(&self.followed);
        serve(&self.tree, zone, &(text + lines), &self.serial);
    }

    /// A resolver that keeps what it was told for as long as it may.
    pub(crate) fn remembering(&self) -> String {
        self.tree.resolver_address(Resolver::Remembering).to_string()
    }

    /// The state file of an account's repairs.
    pub(crate) fn state(&self, account: &str) -> PathBuf {
        self.tree.directory().join(format!("{account}.sqlite"))
    }

    /// Writes a file, and gives its path.
    pub(crate) fn file(&self, name: &str, text: &str) -> String {
        let path = self.tree.directory().join(name);
        fs::write(&path, text).expect("the file can be written");
        path.display().to_string()
    }

    /// The binary, about to repair the domain with the keys of an account.
    pub(crate) fn command(&self, account: &str, domain: &str, arguments: &[&str]) -> Command {
        let mut command = binary();
        of_account(&mut command, account)
            .args(["repair", domain])
            .arg("--state")
            .arg(self.state(account))
            .args(["--resolver", &self.tree.resolver().to_string()])
            .args(arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    /// What was done before, as the objects of `--history`.
    pub(crate) fn history(&self, account: &str, domain: &str) -> Run {
        self.repair(account, domain, &["--history", "--format", "json"])
    }

    /// Runs it until it ends.
    pub(crate) fn repair(&self, account: &str, domain: &str, arguments: &[&str]) -> Run {
        let output = self.command(account, domain, arguments).output().expect("the binary starts");
        Run {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("the output is UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("the output is UTF-8"),
        }
    }

    /// The codes of the causes that a check tells.
    pub(crate) fn check(&self, account: &str, domain: &str) -> Vec<String> {
        let mut command = binary();
        let output = of_account(&mut command, account)
            .args(["check", domain, "--format", "json", "--resolver", &self.tree.resolver().to_string()])
            .output()
            .expect("the binary starts");
        let report: Value = serde_json::from_slice(&output.stdout).expect("a report");
        let causes = report["causes"].as_array().expect("a list of causes");
        causes.iter().map(|cause| cause["code"].as_str().expect("a code").to_owned()).collect()
    }

    /// Starts it at a terminal of 80 columns.
    pub(crate) fn at_terminal(&self, account: &str, domain: &str, arguments: &[&str]) -> Terminal {
        let command = self.command(account, domain, arguments);
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        let line: Vec<String> = words.map(|word| format!("'{}'", word.to_string_lossy())).collect();
        let mut terminal = Command::new("script");
        terminal.args(["-qefc", &format!("stty cols 80 rows 24; exec {}", line.join(" ")), "/dev/null"]);
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => terminal.env(name, value),
                None => terminal.env_remove(name),
            };
        }
        terminal.env("TERM", "xterm").stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        Terminal::watch(terminal.spawn().expect("script starts"))
    }
}

/// The binary with the keys of an account.
fn of_account<'a>(command: &'a mut Command, account: &str) -> &'a mut Command {
    command
        .env("AWS_ENDPOINT_URL", Peer::shared().url())
        .env("AWS_REGION", HOME)
        .env("AWS_ACCESS_KEY_ID", Peer::access_key(account))
        .env("AWS_SECRET_ACCESS_KEY", "secret")
}

impl Drop for World {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        if let Some(follower) = self.follower.take() {
            // What it panicked of has failed the test already, as a zone that doesn't follow.
            let _ = follower.join();
        }
    }
}

fn locked(followed: &Mutex<Vec<Followed>>) -> MutexGuard<'_, Vec<Followed>> {
    followed.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Has the servers serve the zones that have changed.
fn follow_once(tree: &Tree, followed: &Mutex<Vec<Followed>>, serial: &AtomicU32) {
    let asked = locked(followed).clone();
    let zones: Vec<Value> =
        asked.iter().map(|zone| json!({ "account": zone.account, "id": zone.id })).collect();
    let texts = Peer::shared().zone_files(&json!(zones));
    for (asked, text) in asked.iter().zip(texts).filter(|(asked, text)| asked.text != *text) {
        let mut followed = locked(followed);
        // Another may be followed in its place by now.
        if let Some(now) = followed.iter_mut().find(|now| *now == asked) {
            serve(tree, &asked.zone, &text, serial);
            now.text = text;
        }
    }
}

/// Has the servers read a zone, and gives its serial.
fn serve(tree: &Tree, zone: &str, text: &str, serial: &AtomicU32) -> u32 {
    let serial = serial.fetch_add(1, Ordering::Relaxed);
    tree.serve(zone, &with_serial(text, serial)).expect("the servers run");
    serial
}

/// The zone file with this serial, and an absence that may be kept for [`KEPT`].
fn with_serial(text: &str, serial: u32) -> String {
    let lines = text.lines().map(|line| match line.split_once(" IN SOA ") {
        Some((head, soa)) => {
            let owner = head.split(' ').next().unwrap_or_default();
            let names: Vec<&str> = soa.split(' ').take(2).collect();
            format!("{owner} {KEPT} IN SOA {} {serial} 7200 900 1209600 {KEPT}\n", names.join(" "))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}

/// A run at a terminal.
pub(crate) struct Terminal {
    process: Child,
    keys: Option<ChildStdin>,
    shown: Arc<Mutex<Vec<u8>>>,
    reader: Option<JoinHandle<()>>,
}

impl Terminal {
    fn watch(mut process: Child) -> Self {
        let keys = process.stdin.take();
        let mut output = process.stdout.take().expect("the output is piped");
        let shown: Arc<Mutex<Vec<u8>>> = Arc::default();
        let into = shown.clone();
        let reader = thread::spawn(move || {
            let mut octets = [0; 4096];
            while let Ok(length @ 1..) = output.read(&mut octets) {
                into.lock().unwrap_or_else(PoisonError::into_inner).extend(&octets[..length]);
            }
        });
        Self { process, keys, shown, reader: Some(reader) }
    }

    /// All that was shown so far.
    pub(crate) fn shown(&self) -> String {
        let shown = self.shown.lock().unwrap_or_else(PoisonError::into_inner);
        String::from_utf8_lossy(&shown).replace('\r', "")
    }

    /// Waits until a text is shown so many times.
    pub(crate) fn wait_for(&self, text: &str, times: usize) {
        let begun = Instant::now();
        while self.shown().matches(text).count() < times {
            assert!(begun.elapsed() < PATIENCE, "`{text}` isn't shown: {}", self.shown());
            thread::sleep(Duration::from_millis(20));
        }
    }

    /// Presses keys.
    pub(crate) fn press(&mut self, keys: &str) {
        let written = self.keys.as_mut().expect("the terminal is open").write_all(keys.as_bytes());
        written.expect("the terminal is open");
    }

    /// Waits until it ends; the exit code, and all that was shown.
    pub(crate) fn end(mut self) -> (i32, String) {
        let mut status = None;
        wait_until("the command ends", || {
            status = self.process.try_wait().expect("the process is known");
            status.is_some()
        });
        if let Some(reader) = self.reader.take() {
            reader.join().expect("the terminal is read");
        }
        (status.and_then(|status| status.code()).expect("it ends by itself"), self.shown())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // One that has ended by now is as good.
        self.keys = None;
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
