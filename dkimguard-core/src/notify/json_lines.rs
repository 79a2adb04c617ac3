//! [`JsonLines`]: alerts as lines, on standard output or elsewhere.

use std::fmt;
use std::io::{self, Write};
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use tokio::sync::Mutex;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

use super::not_delivered;
use crate::error::NotifyError;
use crate::guard::Alert;
use crate::ports::Notifier;

/// How long a line may take; a pipe that nobody reads takes none.
const WHOLE: Duration = Duration::from_secs(20);

/// Writes each alert as one line of JSON ([`Alert::to_json`]).
///
/// Writing happens on a thread for what blocks, one line at a time: where nobody reads, one thread waits and no look.
/// A line that isn't written within 20 seconds isn't delivered; it may be written later all the same.
pub struct JsonLines {
    name: String,
    out: Arc<Mutex<Box<dyn Write + Send>>>,
}

impl JsonLines {
    /// Writes to standard output. Its name is `stdout`.
    pub fn to_stdout() -> Self {
        Self::new("stdout", io::stdout())
    }

    /// Writes to whatever can be written to, a log file say, and calls it by this name.
    pub fn new(name: &str, out: impl Write + Send + 'static) -> Self {
        Self { name: name.to_owned(), out: Arc::new(Mutex::new(Box::new(out))) }
    }

    async fn write(&self, mut line: String) -> io::Result<()> {
        line.push('\n');
        let mut out = Arc::clone(&self.out).lock_owned().await;
        let written = spawn_blocking(move || out.write_all(line.as_bytes()).and_then(|()| out.flush()));
        written.await.unwrap_or_else(|error| Err(io::Error::other(error)))
    }
}

impl fmt::Debug for JsonLines {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("JsonLines").field("name", &self.name).finish_non_exhaustive()
    }
}

#[async_trait]
impl Notifier for JsonLines {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        match timeout(WHOLE, self.write(alert.to_json())).await {
            Ok(written) => written.map_err(|error| not_delivered(&self.name, error)),
            Err(_) => Err(not_delivered(&self.name, "nobody reads it")),
        }
    }
}
