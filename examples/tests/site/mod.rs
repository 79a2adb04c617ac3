//! The built contact form as a test runs it: against a peer that speaks AWS, and name servers on loopback.

#![allow(dead_code, reason = "each test program that includes this uses a part of it")]

#[path = "../../../dkimguard-aws/tests/peer/mod.rs"]
pub(crate) mod peer;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Output, Stdio};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use dkimguard_core::testing::{Lab, World};
use serde_json::{Value, json};
use tempfile::TempDir;

use peer::Peer;

pub(crate) const HOME: &str = "us-east-1";
/// Far longer than anything here takes; only a test that fails waits for it.
const PATIENCE: Duration = Duration::from_secs(120);

/// A domain, its account with SES, and the form that sends from it.
pub(crate) struct Site {
    pub(crate) account: &'static str,
    lab: Lab,
    settings: Vec<(&'static str, String)>,
    directory: TempDir,
    program: Option<Program>,
}

/// The form, running.
struct Program {
    process: Child,
    address: SocketAddr,
    log: Arc<Mutex<Vec<String>>>,
}

/// What the form answers.
#[derive(Clone, Debug)]
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) head: String,
    pub(crate) body: String,
}

impl Site {
    /// A healthy domain, `example.com`, and its form, running. Each test has an account of its own.
    pub(crate) fn open(account: &'static str) -> Self {
        Self::open_with(account, &[])
    }

    /// The same, under other settings.
    pub(crate) fn open_with(account: &'static str, settings: &[(&'static str, &str)]) -> Self {
        let identity =
            json!([{ "name": "example.com", "DkimAttributes": { "Tokens": ["aaa", "bbb", "ccc"] } }]);
        Peer::shared().add_identities(account, HOME, &identity);
        let lab = Lab::start(World::easy_dkim("example.com")).expect("127.0.0.0/8 is this machine's");
        let mut all = vec![
            ("AWS_CONFIG_FILE", "/nonexistent".to_owned()),
            ("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent".to_owned()),
            ("AWS_EC2_METADATA_DISABLED", "true".to_owned()),
            ("AWS_ENDPOINT_URL", Peer::shared().url().to_owned()),
            ("AWS_REGION", HOME.to_owned()),
            ("AWS_ACCESS_KEY_ID", Peer::access_key(account)),
            ("AWS_SECRET_ACCESS_KEY", "secret".to_owned()),
            ("CONTACT_FROM", "form@example.com".to_owned()),
            ("CONTACT_TO", "office@example.com".to_owned()),
            ("CONTACT_LISTEN", "127.0.0.1:0".to_owned()),
            ("CONTACT_PER_CLIENT", "1000".to_owned()),
            ("CONTACT_PER_MINUTE", "1000".to_owned()),
            ("CONTACT_RETRY", "50ms".to_owned()),
            ("CONTACT_LOOK_EVERY", "3s".to_owned()),
            ("CONTACT_RESOLVER", lab.resolver().to_string()),
            ("CONTACT_DNS_PORT", lab.port().to_string()),
        ];
        all.extend(settings.iter().map(|&(name, value)| (name, value.to_owned())));
        let directory = tempfile::tempdir().expect("a directory");
        let mut site = Self { account, lab, settings: all, directory, program: None };
        site.start();
        site
    }

    /// Starts the form, and waits until it listens.
    pub(crate) fn start(&mut self) {
        let mut process = self.command(&[]).stderr(Stdio::piped()).spawn().expect("the form starts");
        let mut lines = BufReader::new(process.stderr.take().expect("it is piped")).lines();
        let log = Arc::new(Mutex::new(Vec::new()));
        let mut address = None;
        while address.is_none() {
            let Some(Ok(line)) = lines.next() else { panic!("the form ended: {:?}", log.lock()) };
            address = line.strip_prefix("listening on http://").map(|text| text.parse().expect("an address"));
            log.lock().expect("nobody panics").push(line);
        }
        let kept = Arc::clone(&log);
        thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                kept.lock().expect("nobody panics").push(line);
            }
        });
        let address = address.expect("it was told");
        self.program = Some(Program { process, address, log });
    }

    /// The program, about to run with these arguments.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_contact-form"));
        command
            .env_clear()
            .envs(self.settings.iter().map(|(name, value)| (name, value)))
            .env("CONTACT_OUTBOX", self.outbox())
            .args(arguments)
            .stdin(Stdio::null())
            .stdout(Stdio::piped());
        command
    }

    /// Runs one of the program's other commands.
    pub(crate) fn run(&self, arguments: &[&str]) -> Output {
        self.command(arguments).stderr(Stdio::piped()).output().expect("it runs")
    }

    pub(crate) fn outbox(&self) -> PathBuf {
        self.directory.path().join("outbox.sqlite")
    }

    /// Changes what DNS says.
    pub(crate) fn change(&self, edit: impl FnOnce(&mut World)) {
        self.lab.change(edit).expect("127.0.0.0/8 is this machine's");
    }

    /// Ends the form with SIGTERM.
    pub(crate) fn end(&mut self) -> ExitStatus {
        self.signal("TERM")
    }

    /// Ends the form with SIGKILL.
    pub(crate) fn kill(&mut self) {
        self.signal("KILL");
    }

    fn signal(&mut self, signal: &str) -> ExitStatus {
        let mut program = self.program.take().expect("it runs");
        let kill = format!("kill -{signal} {}", program.process.id());
        assert!(Command::new("sh").args(["-c", &kill]).status().expect("sh runs").success());
        program.process.wait().expect("it is a child")
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.program.as_ref().expect("it runs").address
    }

    /// What the form wrote since it was started.
    pub(crate) fn log(&self) -> String {
        self.program.as_ref().expect("it runs").log.lock().expect("nobody panics").join("\n")
    }

    pub(crate) fn get(&self, path: &str) -> Answer {
        self.request_with(&format!("GET {path} HTTP/1.1\r\n"), "")
    }

    /// Posts a form with further headers.
    pub(crate) fn post_with(&self, headers: &[&str], body: &str) -> Answer {
        let mut head = "POST / HTTP/1.1\r\nContent-Type: application/x-www-form-urlencoded\r\n".to_owned();
        for header in headers {
            head.push_str(header);
            head.push_str("\r\n");
        }
        self.request_with(&head, body)
    }

    pub(crate) fn post(&self, body: &str) -> Answer {
        self.post_with(&[], body)
    }

    /// Fills a new form in and sends it: the subject is given, the rest is always the same.
    pub(crate) fn write(&self, subject: &str) {
        let answer = self.post(&filled(&self.blank(), subject));
        assert_eq!(answer.status, 303, "{answer:?}");
        assert!(answer.head.contains("location: /taken"), "{answer:?}");
    }

    /// What a new form calls itself.
    pub(crate) fn blank(&self) -> String {
        let page = self.get("/");
        assert_eq!(page.status, 200, "{page:?}");
        let (_, rest) =
            page.body.split_once("name=\"form\" value=\"").expect("the form has a mark of its own");
        rest.split_once('"').expect("it ends").0.to_owned()
    }

    pub(crate) fn health(&self) -> Value {
        let answer = self.get("/healthz");
        assert_eq!(answer.status, 200, "{answer:?}");
        serde_json::from_str(&answer.body).expect("JSON")
    }

    /// Waits until `/healthz` says so.
    pub(crate) fn until_health(&self, what: &str, is_so: impl Fn(&Value) -> bool) {
        until(&format!("{what}: {}", self.log()), || is_so(&self.health()));
    }

    /// The subjects of the mails that SES took, in order, without what the form puts before each.
    pub(crate) fn sent(&self) -> Vec<String> {
        let subject = |mail: &Value| {
            let subject = mail["subject"].as_str().expect("a text");
            subject.strip_prefix("Contact form: ").expect("each begins so").to_owned()
        };
        Peer::shared().sent(self.account).iter().map(subject).collect()
    }

    /// Waits until SES has so many mails, and gives their subjects.
    pub(crate) fn until_sent(&self, count: usize) -> Vec<String> {
        until(&format!("{count} mails are sent"), || self.sent().len() >= count);
        self.sent()
    }

    /// How often SES was asked to send, whatever it did.
    pub(crate) fn tries(&self) -> usize {
        Peer::shared().count(self.account, "SendEmail")
    }

    /// Has the calls of SendEmail meet this fault.
    pub(crate) fn fault(&self, mut fault: Value) {
        fault["operation"] = json!("SendEmail");
        Peer::shared().add_fault(self.account, fault);
    }

    /// Sends this request line and these headers, and a body.
    pub(crate) fn request_with(&self, head: &str, body: &str) -> Answer {
        let address = self.address();
        let mut stream = TcpStream::connect(address).expect("the form listens");
        let length = body.len();
        let head = format!("{head}Host: {address}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n");
        stream.write_all(head.as_bytes()).expect("the form reads");
        // A form that is far too large isn't read to its end.
        let _ = stream.write_all(body.as_bytes());
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("the form answers");
        let (head, body) = answer.split_once("\r\n\r\n").expect("an answer of HTTP");
        let status = head.split(' ').nth(1).and_then(|status| status.parse().ok()).expect("a status");
        Answer { status, head: head.to_ascii_lowercase(), body: body.to_owned() }
    }
}

impl Drop for Site {
    fn drop(&mut self) {
        if let Some(mut program) = self.program.take() {
            // It may have ended by itself.
            let _ = program.process.kill();
            let _ = program.process.wait();
            if thread::panicking() {
                eprintln!("the form wrote:\n{}", program.log.lock().expect("nobody panics").join("\n"));
            }
        }
    }
}

/// A form, filled in.
pub(crate) fn filled(form: &str, subject: &str) -> String {
    format!(
        "form={form}&name=Zo%C3%AB&address=zoe%40example.org&subject={}&text=First+line%0D%0Asecond",
        subject.replace(' ', "+")
    )
}

/// Waits for a condition.
pub(crate) fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begun = Instant::now();
    while !is_so() {
        assert!(begun.elapsed() < PATIENCE, "it did not come to this: {what}");
        thread::sleep(Duration::from_millis(30));
    }
}
