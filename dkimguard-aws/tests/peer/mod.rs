//! Starts the peer that speaks AWS (`peer.py` says what it can do), and talks to its own API.
//!
//! Tests in other crates of the workspace include this file by its path.

#![allow(dead_code, reason = "each test program that includes this uses a part of it")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;

use serde_json::{Value, json};

/// What makes the Python environment that the peer runs in.
const SETUP: &str = "dkimguard-aws/tests/peer/setup";

/// A running peer. It ends with this value, or, where that is never dropped, with the process that started it:
/// its standard input is closed then.
#[derive(Debug)]
pub(crate) struct Peer {
    url: String,
    process: Child,
}

/// One call that the peer got.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Call {
    pub(crate) operation: String,
    pub(crate) region: String,
    /// `answered`, `fault` or `throttled`.
    pub(crate) outcome: String,
    /// What the call names: identities, zones, records to begin at, attributes to look up.
    pub(crate) names: Vec<String>,
    /// Whether it has done its work, and its answer is held back.
    pub(crate) is_held: bool,
}

impl Peer {
    /// Starts a peer. Panics with the command to run where Python or moto is missing.
    pub(crate) fn start() -> Self {
        let python = python();
        let process = Command::new(&python)
            .arg(root().join("dkimguard-aws/tests/peer/peer.py"))
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn();
        let mut process = process.unwrap_or_else(|error| {
            panic!("{} cannot be started ({error}); run {SETUP} first", python.display())
        });
        let mut line = String::new();
        let output = process.stdout.take().expect("the output is piped");
        BufReader::new(output).read_line(&mut line).expect("the peer's output is text");
        match line.trim_end().strip_prefix("listening on ") {
            Some(url) => Self { url: url.to_owned(), process },
            None => panic!("the peer did not start with {}; run {SETUP} first", python.display()),
        }
    }

    /// The peer of all tests of this process; each of them uses accounts of its own.
    pub(crate) fn shared() -> &'static Self {
        static PEER: OnceLock<Peer> = OnceLock::new();
        PEER.get_or_init(Self::start)
    }

    /// Where it listens; for `AWS_ENDPOINT_URL`.
    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    /// The access key of an account.
    pub(crate) fn access_key(account: &str) -> String {
        format!("PEERACCT{account}")
    }

    /// Adds identities, or replaces those of the same names: a JSON array.
    pub(crate) fn add_identities(&self, account: &str, region: &str, identities: &Value) {
        let asked = json!({ "account": account, "region": region, "identities": identities });
        self.request("POST", "identities", &asked.to_string());
    }

    /// Adds hosted zones: a JSON array.
    pub(crate) fn add_zones(&self, account: &str, zones: &Value) {
        self.request("POST", "zones", &json!({ "account": account, "zones": zones }).to_string());
    }

    /// Adds hosted zones, and lists the account's this many at a time.
    pub(crate) fn add_zones_in_pages(&self, account: &str, page: usize, zones: &Value) {
        let asked = json!({ "account": account, "zones": zones, "page": page });
        self.request("POST", "zones", &asked.to_string());
    }

    /// Changes a zone as somebody else: these records, a JSON array, in the place of whatever stands at their names. One
    /// without values only takes away.
    pub(crate) fn edit_zone(&self, account: &str, id: &str, records: &Value) {
        let asked = json!({ "account": account, "id": id, "records": records });
        self.request("POST", "edit", &asked.to_string());
    }

    /// What becomes of changes of records: an object without the account.
    pub(crate) fn set_changes(&self, account: &str, mut rules: Value) {
        rules["account"] = json!(account);
        self.request("POST", "changes", &rules.to_string());
    }

    /// The changes of records that were made, in order: `id`, `zone`, `comment` and `changes` each.
    pub(crate) fn changes(&self, account: &str) -> Vec<Value> {
        let changes = self.request("GET", &format!("changes?account={account}"), "");
        changes.as_array().expect("a list of changes").clone()
    }

    /// A hosted zone as a zone file.
    pub(crate) fn zone_file(&self, account: &str, id: &str) -> String {
        let text = self.request("GET", &format!("zonefile?account={account}&id={id}"), "");
        text.as_str().expect("a text").to_owned()
    }

    /// Hosted zones as zone files: an array of `account` and `id` each.
    pub(crate) fn zone_files(&self, zones: &Value) -> Vec<String> {
        let texts = self.request("POST", "zonefiles", &json!({ "zones": zones }).to_string());
        let text = |text: &Value| text.as_str().expect("a text").to_owned();
        texts.as_array().expect("a list of texts").iter().map(text).collect()
    }

    /// Sets what starting an identity again does: an object of `tokens`, `zone`, `answer` and `refuses_length`.
    pub(crate) fn set_restart(&self, account: &str, region: &str, domain: &str, mut does: Value) {
        does["account"] = json!(account);
        does["region"] = json!(region);
        does["name"] = json!(domain);
        self.request("POST", "restarts", &does.to_string());
    }

    /// Has SES look for an identity's records at these name servers, `address:port` each, from so many seconds on.
    pub(crate) fn verify_at(
        &self,
        account: &str,
        region: &str,
        domain: &str,
        servers: &[String],
        after: f64,
    ) {
        let asked = json!({ "account": account, "region": region, "name": domain, "servers": servers, "after": after });
        self.request("POST", "verify", &asked.to_string());
    }

    /// The same where the key is the owner's: SES looks for this TXT.
    pub(crate) fn verify_key_at(
        &self,
        account: &str,
        region: &str,
        domain: &str,
        servers: &[String],
        key: &str,
    ) {
        let asked =
            json!({ "account": account, "region": region, "name": domain, "servers": servers, "key": key });
        self.request("POST", "verify", &asked.to_string());
    }

    /// Adds events to CloudTrail, the latest first: a JSON array.
    pub(crate) fn add_events(&self, account: &str, region: &str, events: &Value) {
        let asked = json!({ "account": account, "region": region, "events": events });
        self.request("POST", "events", &asked.to_string());
    }

    /// Makes a topic of SNS, and gives its ARN.
    pub(crate) fn add_topic(&self, account: &str, region: &str, name: &str) -> String {
        let asked = json!({ "account": account, "region": region, "name": name });
        let arn = self.request("POST", "topics", &asked.to_string());
        arn.as_str().expect("an ARN").to_owned()
    }

    /// What was published to a topic: `message`, `subject` and `attributes` each.
    pub(crate) fn messages(&self, topic: &str) -> Value {
        self.request("GET", &format!("messages?topic={topic}"), "")
    }

    /// Adds a fault: an object without the account.
    pub(crate) fn add_fault(&self, account: &str, mut fault: Value) {
        fault["account"] = json!(account);
        self.request("POST", "faults", &fault.to_string());
    }

    /// Takes all faults of the account away.
    pub(crate) fn heal(&self, account: &str) {
        self.request("POST", "heal", &json!({ "account": account }).to_string());
    }

    /// The mails that SES took of the account, in order: `from`, `to`, `reply_to`, `subject`, `text`, `headers` and
    /// `tags` each.
    pub(crate) fn sent(&self, account: &str) -> Vec<Value> {
        let sent = self.request("GET", &format!("sent?account={account}"), "");
        sent.as_array().expect("a list of mails").clone()
    }

    /// Limits SES in each region of the account: calls a second, and calls at once.
    pub(crate) fn limit(&self, account: &str, rate: f64, burst: u32) {
        self.limit_service(account, "ses", rate, burst);
    }

    /// Limits a service (`ses`, `route53`, `cloudtrail`) in each region of the account, in the same way.
    pub(crate) fn limit_service(&self, account: &str, service: &str, rate: f64, burst: u32) {
        let asked = json!({ "account": account, "service": service, "rate": rate, "burst": burst });
        self.request("POST", "limits", &asked.to_string());
    }

    /// The calls of the account so far.
    pub(crate) fn calls(&self, account: &str) -> Vec<Call> {
        let calls = self.request("GET", &format!("calls?account={account}"), "");
        let text = |value: &Value| value.as_str().expect("a text").to_owned();
        let read = |call: &Value| Call {
            operation: text(&call["operation"]),
            region: text(&call["region"]),
            outcome: text(&call["outcome"]),
            names: call["names"].as_array().expect("a list").iter().map(text).collect(),
            is_held: call["held"].as_bool().expect("a truth"),
        };
        calls.as_array().expect("a list of calls").iter().map(read).collect()
    }

    /// How often the account made this call.
    pub(crate) fn count(&self, account: &str, operation: &str) -> usize {
        self.calls(account).iter().filter(|call| call.operation == operation).count()
    }

    fn request(&self, method: &str, what: &str, body: &str) -> Value {
        let address = self.url.strip_prefix("http://").expect("the peer speaks HTTP");
        let mut stream = TcpStream::connect(address).expect("the peer listens");
        let length = body.len();
        let request = format!(
            "{method} /_peer/{what} HTTP/1.1\r\nHost: {address}\r\nContent-Length: {length}\r\n\
             Connection: close\r\n\r\n{body}"
        );
        stream.write_all(request.as_bytes()).expect("the peer reads the request");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the peer answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an HTTP answer");
        assert!(head.starts_with("HTTP/1.1 200"), "the peer refused {method} {what}: {head}");
        serde_json::from_str(body).expect("the peer answers in JSON")
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// The Python that the peer runs in.
pub(crate) fn python() -> PathBuf {
    if let Some(python) = std::env::var_os("DKIMGUARD_PEER_PYTHON") {
        return python.into();
    }
    let target = std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| root().join("target"), PathBuf::from);
    target.join("peer-venv/bin/python")
}

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}
