//! [`World`]: name servers that follow hosted zones, and the binary run beside them.

use std::error::Error;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use dkimguard_core::testing::PUBLIC_KEY;
use serde_json::{Value, json};

use crate::peer::Peer;
use crate::tree::{Tree, ZoneSpec};

pub(crate) const HOME: &str = "us-east-1";

/// How often a hosted zone is looked at for changes.
const EVERY: Duration = Duration::from_millis(50);

/// Name servers, and the threads that have them follow Route 53.
pub(crate) struct World {
    tree: Arc<Tree>,
    /// Of the next zone that is served; each is higher than the last.
    serial: Arc<AtomicU32>,
    is_over: Arc<AtomicBool>,
    threads: Mutex<Vec<JoinHandle<()>>>,
}

/// What came of one run.
#[derive(Debug)]
pub(crate) struct Run {
    pub(crate) code: i32,
    pub(crate) stdout: String,
    #[expect(dead_code, reason = "shown where a test fails")]
    pub(crate) stderr: String,
}

impl Run {
    /// The objects on standard output.
    pub(crate) fn events(&self) -> Vec<Value> {
        self.stdout.lines().map(|line| serde_json::from_str(line).expect("an object a line")).collect()
    }
}

/// A record as the peer takes it.
pub(crate) fn record(name: &str, kind: &str, value: &str) -> Value {
    json!({ "name": name, "type": kind, "ttl": 1, "values": [value] })
}

impl World {
    /// Servers for these zones, and for the keys of SES.
    pub(crate) fn start(zones: &[&str]) -> Result<Self, Box<dyn Error>> {
        let keys = ["aaa", "bbb", "ccc"].map(|token| format!("{token} TXT \"p=\" \"{PUBLIC_KEY}\"\n"));
        let keys = ZoneSpec::new("dkim.amazonses.com").records(&keys.concat());
        let zones = zones.iter().map(|zone| ZoneSpec::new(zone));
        let tree = Arc::new(Tree::builder().zone(keys).zones(zones).start()?);
        let (serial, is_over) = (Arc::new(AtomicU32::new(100)), Arc::new(AtomicBool::new(false)));
        Ok(Self { tree, serial, is_over, threads: Mutex::new(Vec::new()) })
    }

    /// Has SES know the domain, with three tokens.
    pub(crate) fn identity(&self, account: &str, domain: &str, status: &str) {
        let dkim = json!({ "Tokens": ["aaa", "bbb", "ccc"], "Status": status });
        Peer::shared().add_identities(account, HOME, &json!([{ "name": domain, "DkimAttributes": dkim }]));
    }

    /// Has SES know the domain and Route 53 hold its zone, whole but for the record of `aaa`; gives the zone's id.
    pub(crate) fn host(&self, account: &str, zone: &str, instead: &[Value], status: &str) -> String {
        self.identity(account, zone, status);
        let id = format!("Z{}{account}", zone.replace(['.', '-'], "").to_uppercase());
        let servers = ["ns1", "ns2"].map(|label| format!("{label}.{zone}"));
        let mut records = instead.to_vec();
        for (slot, server) in servers.iter().enumerate() {
            let address = self.tree.server_address(zone, slot).ip().to_string();
            records.push(record(server, "A", &address));
        }
        for token in ["bbb", "ccc"] {
            let target = format!("{token}.dkim.amazonses.com");
            records.push(record(&format!("{token}._domainkey.{zone}"), "CNAME", &target));
        }
        records.push(record(&format!("_dmarc.{zone}"), "TXT", "\"v=DMARC1; p=none\""));
        records.push(record(zone, "TXT", "\"a stranger's; \\\"quoted\\\"\""));
        let zones = json!([{ "name": zone, "id": id, "servers": servers, "records": records }]);
        Peer::shared().add_zones(account, &zones);
        id
    }

    /// The addresses of a zone's servers.
    pub(crate) fn servers(&self, zone: &str) -> Vec<String> {
        (0..2).map(|slot| self.tree.server_address(zone, slot).to_string()).collect()
    }

    /// Has the servers serve the hosted zone as it is now, and waits until they do.
    pub(crate) fn serve(&self, account: &str, zone: &str, id: &str) -> Result<(), Box<dyn Error>> {
        let text = Peer::shared().zone_file(account, id);
        let serial = self.serial.fetch_add(1, Ordering::Relaxed);
        self.tree.serve(zone, &with_serial(&text, serial))?;
        for server in self.servers(zone) {
            let address = server.trim_end_matches(":53");
            let begun = std::time::Instant::now();
            loop {
                let dig =
                    Command::new("dig").args([&format!("@{address}"), zone, "SOA", "+short"]).output()?;
                if String::from_utf8_lossy(&dig.stdout).contains(&format!(" {serial} ")) {
                    break;
                }
                if begun.elapsed().as_secs() > 20 {
                    return Err(format!("{address} doesn't follow: {}", self.tree.logs()).into());
                }
                thread::sleep(Duration::from_millis(20));
            }
        }
        // What the resolver remembers for a second is over.
        thread::sleep(Duration::from_millis(1100));
        Ok(())
    }

    /// Has the servers follow the hosted zone from now on, and waits until they serve it as it is.
    pub(crate) fn follow(&self, account: &str, zone: &str, id: &str) {
        self.serve(account, zone, id).expect("the servers follow");
        let (tree, serial, is_over) = (self.tree.clone(), self.serial.clone(), self.is_over.clone());
        let (account, zone, id) = (account.to_owned(), zone.to_owned(), id.to_owned());
        let mut served = Peer::shared().zone_file(&account, &id);
        let thread = thread::spawn(move || {
            while !is_over.load(Ordering::Relaxed) {
                let text = Peer::shared().zone_file(&account, &id);
                if text != served {
                    let serial = serial.fetch_add(1, Ordering::Relaxed);
                    tree.serve(&zone, &with_serial(&text, serial)).expect("the servers run");
                    served = text;
                }
                thread::sleep(EVERY);
            }
        });
        self.threads.lock().unwrap_or_else(PoisonError::into_inner).push(thread);
    }

    /// The binary, about to repair the domain with the keys of an account, and nothing of the caller's that it would heed.
    pub(crate) fn command(&self, account: &str, domain: &str, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_dkimguard"));
        let heeded = |name: &str| {
            let name = name.to_ascii_uppercase();
            ["DKIMGUARD_", "AWS_"].iter().any(|start| name.starts_with(start))
                || name.ends_with("_PROXY")
                || ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE", "TERM"].contains(&name.as_str())
        };
        for (name, _) in std::env::vars_os().filter(|(name, _)| heeded(&name.to_string_lossy())) {
            command.env_remove(name);
        }
        command
            .env("HOME", "/nonexistent")
            .env("AWS_CONFIG_FILE", "/nonexistent")
            .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent")
            .env("AWS_EC2_METADATA_DISABLED", "true")
            .env("AWS_ENDPOINT_URL", Peer::shared().url())
            .env("AWS_REGION", HOME)
            .env("AWS_ACCESS_KEY_ID", Peer::access_key(account))
            .env("AWS_SECRET_ACCESS_KEY", "secret")
            .args(["repair", domain])
            .arg("--state")
            .arg(self.tree.directory().join(format!("{account}.sqlite")))
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        if !arguments.contains(&"--history") {
            command.args(["--resolver", &self.tree.resolver().to_string()]);
        }
        command
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
}

impl Drop for World {
    fn drop(&mut self) {
        self.is_over.store(true, Ordering::Relaxed);
        for thread in self.threads.lock().unwrap_or_else(PoisonError::into_inner).drain(..) {
            // What it panicked of has failed the test already, as a zone that doesn't follow.
            let _ = thread.join();
        }
    }
}

/// The zone file with this serial.
fn with_serial(text: &str, serial: u32) -> String {
    let lines = text.lines().map(|line| match line.split_once(" IN SOA ") {
        Some((head, soa)) => {
            let mut fields: Vec<&str> = soa.split(' ').collect();
            let serial = serial.to_string();
            fields[2] = &serial;
            format!("{head} IN SOA {}\n", fields.join(" "))
        }
        None => format!("{line}\n"),
    });
    lines.collect()
}
