//! [`Command`]: alerts for a program, on its standard input.

use std::ffi::OsString;
use std::io;
use std::path::Path;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use async_trait::async_trait;
use futures_util::future::join;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, ChildStderr};
use tokio::time::timeout;

use super::not_delivered;
use super::tag::tag;
use crate::error::{NotifyError, excerpt};
use crate::guard::Alert;
use crate::ports::Notifier;

/// How long the program may take.
const WHOLE: Duration = Duration::from_secs(30);
/// How long its standard error is read on after its end, where a process that it left behind holds it open.
const AFTER_END: Duration = Duration::from_millis(200);
/// How much of its standard error is kept, in octets.
const MOST_KEPT: usize = 512;

/// Runs a program for each alert, without a shell. It gets the JSON of the alert ([`Alert::to_json`]) on its standard
/// input, the environment of this process, and
///
/// | variable | holds |
/// | --- | --- |
/// | `DKIMGUARD_EVENT` | `opened`, `worsened`, `reminder` or `recovered` |
/// | `DKIMGUARD_DOMAIN` | the domain; unset where there is none |
/// | `DKIMGUARD_SEVERITY` | `warning` or `critical` |
/// | `DKIMGUARD_INCIDENT` | the incident's id |
///
/// An exit status of 0 is delivered, whether the input was read or not. Any other, or a signal, isn't, and the first line
/// of its standard error says why; its standard output goes nowhere. After 30 seconds it is killed; what it has started
/// itself isn't.
#[derive(Debug)]
pub struct Command {
    name: String,
    program: OsString,
    arguments: Arguments,
    limit: Duration,
}

/// The arguments, which may hold a secret.
#[derive(Default)]
struct Arguments(Vec<OsString>);

impl std::fmt::Debug for Arguments {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} arguments", self.0.len())
    }
}

impl Command {
    /// Runs this program: a path, or a name that is looked for in `PATH`.
    pub fn new(program: impl Into<OsString>) -> Self {
        let program = program.into();
        let name = name(&program, &[]);
        Self { name, program, arguments: Arguments::default(), limit: WHOLE }
    }

    /// Gives it these arguments. They aren't shown, but for six digits in the name that stand for all of them.
    #[must_use]
    pub fn with_arguments<A: Into<OsString>>(mut self, arguments: impl IntoIterator<Item = A>) -> Self {
        self.arguments = Arguments(arguments.into_iter().map(Into::into).collect());
        self.name = name(&self.program, &self.arguments.0);
        self
    }

    /// Kills it after this time instead of 30 seconds, which is the most.
    #[must_use]
    pub fn with_limit(mut self, limit: Duration) -> Self {
        self.limit = limit.min(WHOLE);
        self
    }

    fn start(&self, alert: &Alert) -> io::Result<Child> {
        let mut command = tokio::process::Command::new(&self.program);
        command
            .args(&self.arguments.0)
            .env("DKIMGUARD_EVENT", alert.event.as_str())
            .env("DKIMGUARD_SEVERITY", alert.severity.as_str())
            .env("DKIMGUARD_INCIDENT", alert.incident.as_str())
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .kill_on_drop(true);
        match &alert.domain {
            Some(domain) => command.env("DKIMGUARD_DOMAIN", domain.to_string()),
            None => command.env_remove("DKIMGUARD_DOMAIN"),
        };
        command.spawn()
    }
}

#[async_trait]
impl Notifier for Command {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        let failed = |why: String| not_delivered(&self.name, why);
        let child = self.start(alert).map_err(|error| failed(format!("it cannot be started: {error}")))?;
        match timeout(self.limit, talk(child, alert.to_json())).await {
            Ok(Ok((status, _))) if status.success() => Ok(()),
            Ok(Ok((status, said))) => Err(failed(match said.is_empty() {
                true => status.to_string(),
                false => format!("{status}: {said}"),
            })),
            Ok(Err(error)) => Err(not_delivered(&self.name, error)),
            Err(_) => Err(failed(format!("it was killed after {} s", self.limit.as_secs_f64()))),
        }
    }
}

/// Gives a program its input, and waits for its end: how it ended, and the first line of its standard error.
async fn talk(mut child: Child, input: String) -> io::Result<(ExitStatus, String)> {
    let (mut stdin, stderr) = (child.stdin.take(), child.stderr.take());
    let write = async move {
        // A program may end without having read its input; how it ends is what counts.
        if let Some(stdin) = &mut stdin {
            let _ = stdin.write_all(input.as_bytes()).await;
        }
        drop(stdin);
    };
    let mut kept = Vec::new();
    let status = {
        let exchange = join(write, read(stderr, &mut kept));
        tokio::pin!(exchange);
        tokio::select! {
            _ = &mut exchange => child.wait().await?,
            status = child.wait() => {
                let _ = timeout(AFTER_END, exchange).await;
                status?
            }
        }
    };
    let text = String::from_utf8_lossy(&kept);
    let first = text.lines().map(str::trim).find(|line| !line.is_empty());
    Ok((status, first.map(excerpt).unwrap_or_default()))
}

/// Reads to the end, and keeps the beginning: a program that writes much mustn't wait for a reader.
async fn read(stderr: Option<ChildStderr>, kept: &mut Vec<u8>) {
    let Some(mut stderr) = stderr else { return };
    let mut octets = [0; 4096];
    while let Ok(count @ 1..) = stderr.read(&mut octets).await {
        kept.extend_from_slice(&octets[..count.min(MOST_KEPT - kept.len())]);
    }
}

fn name(program: &OsString, arguments: &[OsString]) -> String {
    let file = Path::new(program).file_name().unwrap_or(program).to_string_lossy();
    let parts = [program].into_iter().chain(arguments).map(|part| part.as_encoded_bytes());
    format!("command {file} #{}", tag(parts))
}
