//! [`Hook`]: a receiver of webhooks, which verifies what it is given.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::Sha256;

use super::watcher::wait;

/// The secret that the alerts are signed with.
pub(crate) const SECRET: &str = "hidden-secret";
/// How long a client may be silent.
const SILENCE: Duration = Duration::from_secs(10);

/// A receiver of webhooks on a port of its own. It lives as long as the process.
#[derive(Debug)]
pub(crate) struct Hook {
    address: SocketAddr,
    taken: Arc<Mutex<Vec<Value>>>,
}

/// What comes of a delivery.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fate {
    /// It is taken, after this time.
    Taken(Duration),
    /// It is answered with an error.
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
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = listener.local_addr().expect("its address");
        let taken = Arc::<Mutex<Vec<Value>>>::default();
        let (kept, decide) = (Arc::clone(&taken), Arc::new(Mutex::new(decide)));
        thread::spawn(move || {
            for stream in listener.incoming().map_while(Result::ok) {
                let (kept, decide) = (Arc::clone(&kept), Arc::clone(&decide));
                thread::spawn(move || {
                    // A client that was killed has sent a part.
                    let Some((stream, alert)) = receive(stream) else { return };
                    let fate = lock(&decide)(&alert);
                    answer(stream, alert, fate, &kept);
                });
            }
        });
        Self { address, taken }
    }

    /// The section of the configuration that tells it.
    pub(crate) fn section(&self) -> String {
        format!(
            "[[notify]]\nkind = \"webhook\"\nurl = \"http://{}/hidden-path\"\nsecret_file = \"secret\"\n",
            self.address
        )
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

/// Answers, to whoever may be gone by now.
fn answer(mut stream: TcpStream, alert: Value, fate: Fate, taken: &Mutex<Vec<Value>>) {
    let status = match fate {
        Fate::Taken(after) => {
            // Inside of this time a client may be killed.
            thread::sleep(after);
            lock(taken).push(alert);
            "204 No Content"
        }
        Fate::Failed => "503 Service Unavailable",
        Fate::Dropped => return,
    };
    let _ = write!(stream, "HTTP/1.1 {status}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Reads a request whole, and verifies its signature; none if it breaks off.
fn receive(stream: TcpStream) -> Option<(TcpStream, Value)> {
    stream.set_read_timeout(Some(SILENCE)).ok()?;
    let mut reader = BufReader::new(stream);
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
    verify(&signature.expect("it is signed"), &body);
    Some((reader.into_inner(), serde_json::from_str(&body).expect("JSON")))
}

fn verify(signature: &str, body: &str) {
    let (time, signature) = signature.split_once(",v1=").expect("t=…,v1=…");
    let time = time.strip_prefix("t=").expect("t=…");
    let mut mac = Hmac::<Sha256>::new_from_slice(SECRET.as_bytes()).expect("any key is one");
    mac.update(format!("{time}.{body}").as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(signature, expected, "the signature is wrong");
}
