//! [`Hook`]: a receiver of webhooks, of messages for Slack and of events for PagerDuty, which verifies what it is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use rustls::{ServerConfig, ServerConnection, StreamOwned};
use serde_json::Value;
use sha2::Sha256;

use super::watcher::wait;

/// The secret that the alerts are signed with.
pub(crate) const SECRET: &str = "hidden-secret";
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// What a [`Hook`] plays.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    /// Its alerts are signed.
    Webhook,
    /// Its URL is the secret.
    Slack,
    /// Its key is the secret.
    PagerDuty,
}

impl Service {
    /// Its kind in the configuration.
    pub(crate) fn kind(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::PagerDuty => "pagerduty",
        }
    }

    /// How it answers what it takes.
    fn taken(self) -> &'static str {
        match self {
            Self::Webhook => "204 No Content",
            Self::Slack => "200 OK",
            Self::PagerDuty => "202 Accepted",
        }
    }
}

/// A receiver on a port of its own. It lives as long as the process.
#[derive(Debug)]
pub(crate) struct Hook {
    service: Service,
    scheme: &'static str,
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Value>>>,
}

/// What comes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is taken, after this time.
    Taken(Duration),
    /// It is answered with an error that repeats the path, and the key if there is one.
    Failed,
    /// The connection is closed without an answer.
    Dropped,
}

/// Decides what comes of the delivery of an alert.
type Decide = Box<dyn FnMut(&Value) -> Fate + Send>;

impl Hook {
    /// One that takes everything.
    pub(crate) fn start() -> Self {
        Self::deciding(Box::new(|_| Fate::Taken(Duration::ZERO)))
    }

    pub(crate) fn deciding(decide: Decide) -> Self {
        Self::playing(Service::Webhook, decide)
    }

    pub(crate) fn playing(service: Service, decide: Decide) -> Self {
        Self::listening(service, decide, "http", |stream| Some(Box::new(stream)))
    }

    /// One that takes everything, over TLS.
    pub(crate) fn behind(tls: Arc<ServerConfig>) -> Self {
        let take: Decide = Box::new(|_| Fate::Taken(Duration::ZERO));
        Self::listening(Service::Webhook, take, "https", move |stream| {
            let connection = ServerConnection::new(Arc::clone(&tls)).ok()?;
            Some(Box::new(StreamOwned::new(connection, stream)))
        })
    }

    fn listening(
        service: Service,
        decide: Decide,
        scheme: &'static str,
        open: impl Fn(TcpStream) -> Option<Box<dyn Stream>> + Send + 'static,
    ) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::<Mutex<Vec<Value>>>::default();
        let (kept, decide) = (Arc::clone(&taken), Arc::new(Mutex::new(decide)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, decide) = (Arc::clone(&kept), Arc::clone(&decide));
                let silence = stream.set_read_timeout(Some(SILENCE));
                let Some(stream) = silence.ok().and_then(|()| open(stream)) else { continue };
                thread::spawn(move || {
                    // A client that was killed has sent a part.
                    let Some(request) = receive(stream, service) else { return };
                    let fate = lock(&decide)(&request.alert);
                    answer(request, fate, service, &kept);
                });
            }
        });
        Self { service, scheme, address, taken }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// Where it takes alerts. The path is a secret.
    pub(crate) fn url(&self) -> String {
        format!("{}://{}/hidden-path", self.scheme, self.address)
    }

    /// The section of the configuration that tells it, under a secret in the file `secret`.
    pub(crate) fn section(&self) -> String {
        let kind = self.service.kind();
        format!("[[notify]]\nkind = \"{kind}\"\nurl = \"{}\"\nsecret_file = \"secret\"\n", self.url())
    }

    /// What it has taken so far.
    pub(crate) fn taken(&self) -> Vec<Value> {
        lock(&self.taken).clone()
    }

    /// Waits for the `nth` alert, from 1.
    pub(crate) fn alert(&self, nth: usize) -> Value {
        wait(&format!("alert {nth} at the webhook"), || self.taken().into_iter().nth(nth - 1))
    }
}

/// What alerts come through.
trait Stream: Read + Write + Send {}

impl<T: Read + Write + Send> Stream for T {}

/// An alert, how it was addressed, and where its answer goes.
struct Request {
    stream: Box<dyn Stream>,
    path: String,
    alert: Value,
}

/// Answers, to whoever may be gone by now.
fn answer(request: Request, fate: Fate, service: Service, taken: &Mutex<Vec<Value>>) {
    let Request { mut stream, path, alert } = request;
    let (status, body) = match fate {
        Fate::Taken(after) => {
            // Inside of this time a client may be killed.
            thread::sleep(after);
            lock(taken).push(alert);
            (service.taken(), String::new())
        }
        Fate::Failed => ("503 Service Unavailable", format!("not {path} {}", alert["routing_key"])),
        Fate::Dropped => return,
    };
    let length = body.len();
    let _ =
        write!(stream, "HTTP/1.1 {status}\r\nContent-Length: {length}\r\nConnection: close\r\n\r\n{body}");
    let _ = stream.flush();
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a request whole, and verifies its signature where there is to be one; none if it breaks off.
fn receive(stream: Box<dyn Stream>, service: Service) -> Option<Request> {
    let mut reader = BufReader::new(stream);
    let mut first = String::new();
    reader.read_line(&mut first).ok()?;
    let path = first.split(' ').nth(1)?.to_owned();
    let (mut length, mut signature) = (0, None);
    loop {
        let mut line = String::new();
        if reader.read_line(&mut line).ok()? == 0 {
            return None;
        }
        let Some((name, value)) = line.trim_end().split_once(": ") else {
            match line.trim_end() {
                "" => break,
                _ => continue,
            }
        };
        match name.to_lowercase().as_str() {
            "content-length" => length = value.parse().ok()?,
            "dkimguard-signature" => signature = Some(value.to_owned()),
            _ => {}
        }
    }
    let mut body = vec![0; length];
    reader.read_exact(&mut body).ok()?;
    let body = String::from_utf8(body).expect("JSON");
    if service == Service::Webhook {
        verify(&signature.expect("it is signed"), &body);
    }
    let alert = serde_json::from_str(&body).expect("JSON");
    Some(Request { stream: reader.into_inner(), path, alert })
}

fn verify(signature: &str, body: &str) {
    let (time, signature) = signature.split_once(",v1=").expect("t=…,v1=…");
    let time = time.strip_prefix("t=").expect("t=…");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key is one");
    mac.update(format!("{time}.{body}").as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(signature, expected, "the signature is wrong");
}
