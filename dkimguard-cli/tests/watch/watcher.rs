//! [`Watcher`]: the built binary, watching, and what it says.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use dkimguard_core::testing::Lab;
use serde::Deserialize;
use serde_json::Value;
use tempfile::TempDir;

use crate::binary::binary;

/// How long anything may take that is waited for. Machines that run tests may be slow.
pub(crate) const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until there is something.
pub(crate) fn wait<T>(what: &str, mut look: impl FnMut() -> Option<T>) -> T {
    let begun = Instant::now();
    loop {
        if let Some(found) = look() {
            return found;
        }
        assert!(begun.elapsed() < PATIENCE, "there is no {what} after {PATIENCE:?}");
        thread::sleep(Duration::from_millis(10));
    }
}

/// The files of a watch.
pub(crate) struct Home {
    directory: TempDir,
}

impl Home {
    /// A home with the identities of these domains, each with the tokens aaa, bbb and ccc.
    pub(crate) fn with_domains(domains: &[&str]) -> Self {
        let home = Self { directory: TempDir::new().expect("a temporary directory") };
        home.set_domains(domains);
        home
    }

    pub(crate) fn path(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    pub(crate) fn write(&self, name: &str, text: &str) -> PathBuf {
        let path = self.path(name);
        fs::write(&path, text).expect("writing a file");
        path
    }

    pub(crate) fn set_domains(&self, domains: &[&str]) {
        let mut text = String::new();
        for domain in domains {
            let _ =
                writeln!(text, "[[identity]]\ndomain = \"{domain}\"\ntokens = [\"aaa\", \"bbb\", \"ccc\"]\n");
        }
        self.write("identities.toml", &text);
    }

    /// Writes a configuration that looks at a lab every second, believes one look, and answers HTTP; and more.
    pub(crate) fn configure(&self, lab: &Lab, more: &str) -> PathBuf {
        self.configure_source("kind = \"file\"\npath = \"identities.toml\"", lab, more)
    }

    pub(crate) fn configure_source(&self, source: &str, lab: &Lab, more: &str) -> PathBuf {
        let (resolver, port) = (lab.resolver(), lab.port());
        self.write(
            "dkimguard.toml",
            &format!(
                "[source]\n{source}\n\
                 [look]\nresolvers = [\"{resolver}\"]\nauthoritative_port = {port}\ntimeout = \"1s\"\n\
                 [guard]\ninterval = \"1s\"\nunhealthy_intervals = [\"1s\"]\nconfirmations = 1\n\
                 confirmation_gap = \"1s\"\ndegraded_after = \"1s\"\n\
                 [state]\npath = \"state.sqlite\"\n[http]\nlisten = \"127.0.0.1:0\"\n{more}\n"
            ),
        )
    }
}

/// The command.
pub(crate) fn command(arguments: &[&str]) -> Command {
    let mut command = binary();
    command.arg("watch").args(arguments);
    command
}

/// A watch that runs; it is killed with this value.
#[derive(Debug)]
pub(crate) struct Watcher {
    child: Child,
    stdout: Lines,
    log: Lines,
    readers: Vec<JoinHandle<()>>,
}

/// The lines of a stream so far.
type Lines = Arc<Mutex<Vec<String>>>;

impl Watcher {
    /// Starts it with this configuration.
    pub(crate) fn start(config: &Path) -> Self {
        Self::start_with(config, |_| {})
    }

    pub(crate) fn start_with(config: &Path, change: impl FnOnce(&mut Command)) -> Self {
        let config = config.to_str().expect("UTF-8");
        let mut command = command(&["--config", config, "--log-format", "json", "-v"]);
        command.stdout(Stdio::piped());
        change(&mut command);
        Self::spawn_piped(command)
    }

    /// Starts the command as it is.
    pub(crate) fn spawn(mut command: Command) -> Self {
        command.stdout(Stdio::piped());
        Self::spawn_piped(command)
    }

    fn spawn_piped(mut command: Command) -> Self {
        command.stderr(Stdio::piped());
        let mut child = command.spawn().expect("the binary starts");
        let (stdout, log) = (Lines::default(), Lines::default());
        let mut readers = Vec::new();
        readers.extend(child.stdout.take().map(|stream| read_into(&stdout, stream)));
        readers.extend(child.stderr.take().map(|stream| read_into(&log, stream)));
        Self { child, stdout, log, readers }
    }

    /// The objects of its log so far.
    pub(crate) fn log(&self) -> Vec<Value> {
        let parse =
            |line: &String| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        read(&self.log).iter().map(parse).collect()
    }

    /// What it has written to standard error, once it has ended.
    pub(crate) fn stderr(&self) -> String {
        read(&self.log).join("\n")
    }

    /// What it has written to standard output so far, line by line.
    pub(crate) fn stdout(&self) -> Vec<String> {
        read(&self.stdout)
    }

    /// Waits for the `nth` object of its log with this message, from 1.
    pub(crate) fn logged(&self, message: &str, nth: usize) -> Value {
        wait(&format!("line {nth} of the log with '{message}' in {:?}", read(&self.log)), || {
            self.log().into_iter().filter(|line| line["message"] == message).nth(nth - 1)
        })
    }

    pub(crate) fn signal(&self, name: &str) {
        let script = format!("kill -{name} {}", self.child.id());
        let status = Command::new("sh").args(["-c", &script]).status().expect("there is a shell");
        assert!(status.success(), "{script}");
    }

    /// Kills it as nothing can be caught, and waits for its end.
    pub(crate) fn kill(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }

    /// How it ended, and after which time, from now.
    pub(crate) fn ended(&mut self) -> (ExitStatus, Duration) {
        let begun = Instant::now();
        let status = wait("end of the watch", || self.child.try_wait().expect("it is our child"));
        let took = begun.elapsed();
        for reader in self.readers.drain(..) {
            reader.join().expect("reading doesn't panic");
        }
        (status, took)
    }

    pub(crate) fn is_running(&mut self) -> bool {
        self.child.try_wait().expect("it is our child").is_none()
    }

    /// Where it answers HTTP.
    pub(crate) fn address(&self) -> SocketAddr {
        let line = self.logged("answering HTTP", 1);
        line["address"].as_str().expect("a text").parse().expect("an address")
    }

    /// Waits until every domain was looked at.
    pub(crate) fn ready(&self) {
        let address = self.address();
        wait("readiness", || (get(address, "/readyz").status == 200).then_some(()));
    }

    /// Waits until an identity has this verdict, and gives it.
    pub(crate) fn verdict(&self, id: &str, verdict: &str) -> Value {
        let address = self.address();
        let path = format!("/api/identities/{id}");
        wait(&format!("{verdict} {id}"), || {
            let answer = get(address, &path);
            (answer.status == 200)
                .then(|| answer.json())
                .filter(|identity| identity["verdict_now"] == verdict)
        })
    }

    /// The metrics, by name and labels, as Prometheus's own parser reads them.
    pub(crate) fn metrics(&self) -> Metrics {
        let answer = get(self.address(), "/metrics");
        assert_eq!(answer.status, 200);
        Metrics::parse(&answer.body)
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.kill();
    }
}

fn read_into(lines: &Lines, stream: impl Read + Send + 'static) -> JoinHandle<()> {
    let kept = Arc::clone(lines);
    thread::spawn(move || {
        for line in BufReader::new(stream).lines().map_while(Result::ok) {
            kept.lock().unwrap_or_else(PoisonError::into_inner).push(line);
        }
    })
}

fn read(lines: &Lines) -> Vec<String> {
    lines.lock().unwrap_or_else(PoisonError::into_inner).clone()
}

/// An answer over HTTP.
#[derive(Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Answer {
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }
}

pub(crate) fn get(address: SocketAddr, path: &str) -> Answer {
    request(address, "GET", path)
}

pub(crate) fn request(address: SocketAddr, method: &str, path: &str) -> Answer {
    let mut stream = TcpStream::connect(address).expect("it listens");
    stream.set_read_timeout(Some(PATIENCE)).expect("a time limit");
    write!(stream, "{method} {path} HTTP/1.1\r\nHost: {address}\r\n\r\n").expect("it reads");
    let mut text = String::new();
    stream.read_to_string(&mut text).expect("it answers and closes");
    let (head, body) = text.split_once("\r\n\r\n").unwrap_or_else(|| panic!("no answer: {text:?}"));
    let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
    Answer { status, head: head.to_lowercase(), body: body.to_owned() }
}

/// Metrics as Prometheus's own parser reads them.
#[derive(Debug)]
pub(crate) struct Metrics {
    by_name: HashMap<String, Vec<(Labels, f64)>>,
}

type Labels = HashMap<String, String>;

/// A sample as the parser tells it.
#[derive(Deserialize)]
struct Sample {
    name: String,
    labels: Labels,
    value: String,
    kind: String,
    help: String,
}

impl Metrics {
    fn parse(text: &str) -> Self {
        const PARSE: &str = "
import json, sys
from prometheus_client.parser import text_string_to_metric_families
print(json.dumps([dict(name=s.name, labels=s.labels, value=repr(float(s.value)), kind=f.type, help=f.documentation)
                  for f in text_string_to_metric_families(sys.stdin.read()) for s in f.samples]))
";
        let mut python = Command::new(crate::peer::python())
            .args(["-c", PARSE])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("dkimguard-aws/tests/peer/setup makes the environment");
        python.stdin.take().expect("it is piped").write_all(text.as_bytes()).expect("it reads");
        let output = python.wait_with_output().expect("it ends");
        assert!(output.status.success(), "not Prometheus's text: {text}");
        let samples: Vec<Sample> = serde_json::from_slice(&output.stdout).expect("the samples");
        let mut by_name: HashMap<String, Vec<_>> = HashMap::new();
        for Sample { name, labels, value, kind, help } in samples {
            assert!(["gauge", "counter", "histogram"].contains(&kind.as_str()), "{name} is a {kind}");
            assert!(!help.is_empty(), "{name} has no help");
            let of_name = by_name.entry(name.clone()).or_default();
            assert!(of_name.iter().all(|(known, _)| *known != labels), "{name} {labels:?} is there twice");
            of_name.push((labels, value.parse().expect("a number")));
        }
        Self { by_name }
    }

    /// The value of the one series of this name with these labels among its own, if there is one.
    pub(crate) fn value(&self, name: &str, labels: &[(&str, &str)]) -> Option<f64> {
        let series = self.by_name.get(name)?;
        let has = |known: &Labels| {
            labels.iter().all(|(label, value)| known.get(*label).is_some_and(|known| known == value))
        };
        let mut found = series.iter().filter(|(known, _)| has(known)).map(|(_, value)| *value);
        let value = found.next();
        assert!(found.next().is_none(), "{name} {labels:?} means several series");
        value
    }

    /// The names of the families.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.by_name.keys().map(|name| {
            let suffixes = ["_bucket", "_sum", "_count"];
            suffixes.iter().find_map(|suffix| name.strip_suffix(suffix)).unwrap_or(name)
        })
    }

    /// Whether any series has this value in this label.
    pub(crate) fn mentions(&self, label: &str, value: &str) -> bool {
        let labels = self.by_name.values().flatten().map(|(labels, _)| labels);
        labels.into_iter().any(|labels| labels.get(label).is_some_and(|known| known == value))
    }
}
