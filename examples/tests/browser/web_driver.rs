//! [`Browser`]: Chromium without a window, told what to do through ChromeDriver (W3C WebDriver).

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use serde_json::{Value, json};
use tempfile::TempDir;

/// The key under which WebDriver names an element.
const ELEMENT: &str = "element-6066-11e4-a52e-4f735466cecf";

/// A browser with one page. It ends with this value.
pub(crate) struct Browser {
    driver: Child,
    port: u16,
    session: String,
    /// What it keeps of its own; empty at the start.
    _profile: TempDir,
}

impl Browser {
    /// Starts a browser, a phone's if its width and height in pixels are given. Panics where Chromium or ChromeDriver is
    /// missing.
    pub(crate) fn start(phone: Option<(u32, u32)>) -> Self {
        let driver = Command::new("chromedriver")
            .arg("--port=0")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn();
        let mut driver =
            driver.unwrap_or_else(|error| panic!("chromedriver cannot be started ({error}); run .ci/test"));
        let mut lines = BufReader::new(driver.stdout.take().expect("it is piped")).lines();
        let port = loop {
            let Some(Ok(line)) = lines.next() else { panic!("chromedriver tells no port") };
            if let Some((_, port)) = line.split_once("started successfully on port ") {
                break port.trim_end_matches('.').parse().expect("a port");
            }
        };
        let profile = tempfile::tempdir().expect("a directory");
        let profile_argument = format!("--user-data-dir={}", profile.path().display());
        let mut options = json!({ "args": [
            "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run",
            "--disable-background-networking", "--disable-component-update", "--disable-sync", profile_argument,
        ] });
        if let Some((width, height)) = phone {
            let metrics = json!({ "width": width, "height": height, "pixelRatio": 2.0 });
            options["mobileEmulation"] = json!({ "deviceMetrics": metrics });
        }
        let wanted = json!({ "browserName": "chrome", "goog:chromeOptions": options,
                             "goog:loggingPrefs": { "browser": "ALL" } });
        let mut browser = Self { driver, port, session: String::new(), _profile: profile };
        let made = browser.ask("POST", "/session", &json!({ "capabilities": { "alwaysMatch": wanted } }));
        browser.session = made["sessionId"].as_str().expect("a session").to_owned();
        browser
    }

    /// Opens a page, and waits until it is there.
    pub(crate) fn open(&self, url: &str) {
        self.post("url", &json!({ "url": url }));
    }

    pub(crate) fn reload(&self) {
        self.post("refresh", &json!({}));
    }

    pub(crate) fn title(&self) -> String {
        text(&self.get("title"))
    }

    /// The text that is seen of an element.
    pub(crate) fn text(&self, selector: &str) -> String {
        text(&self.get(&format!("{}/text", self.element(selector))))
    }

    /// What an element is called for those who don't see it.
    pub(crate) fn label(&self, selector: &str) -> String {
        text(&self.get(&format!("{}/computedlabel", self.element(selector))))
    }

    /// Types into a field, behind what is there.
    pub(crate) fn type_into(&self, selector: &str, keys: &str) {
        self.post(&format!("{}/value", self.element(selector)), &json!({ "text": keys }));
    }

    pub(crate) fn click(&self, selector: &str) {
        self.post(&format!("{}/click", self.element(selector)), &json!({}));
    }

    /// Runs a script in the page, and gives what it returns.
    pub(crate) fn run(&self, script: &str) -> Value {
        self.post("execute/sync", &json!({ "script": script, "args": [] }))
    }

    /// What the browser wrote to its console.
    pub(crate) fn complaints(&self) -> Value {
        self.post("se/log", &json!({ "type": "browser" }))
    }

    fn element(&self, selector: &str) -> String {
        let found = self.post("element", &json!({ "using": "css selector", "value": selector }));
        format!("element/{}", text(&found[ELEMENT]))
    }

    fn get(&self, what: &str) -> Value {
        self.ask("GET", &format!("/session/{}/{what}", self.session), &Value::Null)
    }

    fn post(&self, what: &str, body: &Value) -> Value {
        self.ask("POST", &format!("/session/{}/{what}", self.session), body)
    }

    fn ask(&self, method: &str, path: &str, body: &Value) -> Value {
        let (status, answer) = self.request(method, path, body).expect("chromedriver answers");
        assert_eq!(status, 200, "{method} {path} {body}: {answer}");
        answer["value"].clone()
    }

    fn request(&self, method: &str, path: &str, body: &Value) -> std::io::Result<(u16, Value)> {
        let body = if body.is_null() { String::new() } else { body.to_string() };
        let mut stream = BufReader::new(TcpStream::connect(("127.0.0.1", self.port))?);
        write!(
            stream.get_mut(),
            "{method} {path} HTTP/1.1\r\nHost: 127.0.0.1:{}\r\nContent-Type: application/json\r\nContent-Length: {}\r\n\
             Connection: close\r\n\r\n{body}",
            self.port,
            body.len(),
        )?;
        let (mut status, mut length) = (0, 0);
        let mut line = String::new();
        while stream.read_line(&mut line)? > 2 {
            let line_is = line.trim_end().to_ascii_lowercase();
            if let Some(told) = line_is.strip_prefix("http/1.1 ") {
                status = told.get(..3).and_then(|told| told.parse().ok()).unwrap_or_default();
            } else if let Some(told) = line_is.strip_prefix("content-length:") {
                length = told.trim().parse().unwrap_or_default();
            }
            line.clear();
        }
        let mut octets = vec![0; length];
        stream.read_exact(&mut octets)?;
        Ok((status, serde_json::from_slice(&octets)?))
    }
}

impl Drop for Browser {
    fn drop(&mut self) {
        // The browser is the driver's child: it has to end it. Either may have ended by itself.
        if !self.session.is_empty() {
            let _ = self.request("DELETE", &format!("/session/{}", self.session), &Value::Null);
        }
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn text(value: &Value) -> String {
    value.as_str().expect("a text").to_owned()
}
