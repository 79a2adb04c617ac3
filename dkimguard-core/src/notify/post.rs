//! [`Post`]: one bounded HTTP request, and what came of it.

use std::cmp::Reverse;
use std::error::Error;
use std::time::Duration;

use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderValue};
use reqwest::redirect::Policy;
use reqwest::{Client, Response, StatusCode};
use thiserror::Error;

use super::target::Target;
use super::{not_delivered, refused};
use crate::error::{NotifyError, excerpt};

/// How long the connection may take, the search for the address included.
const CONNECT: Duration = Duration::from_secs(5);
/// How long the whole may take.
const WHOLE: Duration = Duration::from_secs(20);
/// How much of an answer is read, in octets. Only the text of an error is made from it.
const MOST_READ: usize = 512;
/// How much of the beginning of a secret may stand at the end of a text that was cut, in characters.
const SHOWN_AT_MOST: usize = 3;

/// Why no HTTP client can be made: mostly, this machine has no root certificates.
#[derive(Debug, Error)]
#[error("HTTPS cannot be set up on this machine")]
pub struct ClientError(#[source] Box<dyn Error + Send + Sync>);

/// Posts to one target.
#[derive(Clone, Debug)]
pub(super) struct Post {
    client: Client,
    target: Target,
    /// The one status that means delivered; any 2xx where it is none.
    expected: Option<StatusCode>,
}

impl Post {
    pub(super) fn to(target: Target) -> Result<Self, ClientError> {
        let mut client = Client::builder()
            .user_agent(concat!("dkimguard/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT)
            .timeout(WHOLE)
            .redirect(Policy::none())
            .referer(false)
            // Alerts are rare. A connection that has been idle since the last one would be dead too often.
            .pool_max_idle_per_host(0);
        if target.is_local() || !target.is_encrypted() {
            client = client.no_proxy();
        }
        if !target.is_encrypted() {
            client = client.tls_certs_only([]);
        }
        let client = client.build().map_err(|error| ClientError(error.without_url().into()))?;
        Ok(Self { client, target, expected: None })
    }

    /// Takes this status alone for delivered.
    pub(super) fn expecting(self, status: StatusCode) -> Self {
        Self { expected: Some(status), ..self }
    }

    /// Makes the request. What the other side says is shown without whatever is secret.
    pub(super) async fn send(
        &self,
        notifier: &str,
        headers: HeaderMap,
        body: String,
        hidden: &[&str],
    ) -> Result<(), NotifyError> {
        let request = self.client.post(self.target.url().clone()).headers(headers);
        let request = request.header(CONTENT_TYPE, HeaderValue::from_static("application/json")).body(body);
        let answer = request.send().await.map_err(|error| not_delivered(notifier, told(error)))?;
        let status = answer.status();
        if self.expected.map_or(status.is_success(), |expected| status == expected) {
            return Ok(());
        }
        let said = said(answer, &[&self.target.secrets(), hidden].concat()).await;
        let why = match (status.is_redirection(), said.is_empty()) {
            (true, _) => format!("HTTP {}: a redirect, which isn't followed", status.as_u16()),
            (false, true) => format!("HTTP {}", status.as_u16()),
            (false, false) => format!("HTTP {}: {said}", status.as_u16()),
        };
        Err(if is_final(status) { refused(notifier, why) } else { not_delivered(notifier, why) })
    }
}

/// Whether the same request will be answered in the same way until somebody does something.
fn is_final(status: StatusCode) -> bool {
    let may_pass = [StatusCode::REQUEST_TIMEOUT, StatusCode::TOO_EARLY, StatusCode::TOO_MANY_REQUESTS];
    status.is_redirection() || (status.is_client_error() && !may_pass.contains(&status))
}

/// The beginning of what the other side says, fit to be shown; nothing where it can't be read.
async fn said(mut answer: Response, secrets: &[&str]) -> String {
    let mut octets = Vec::new();
    while octets.len() < MOST_READ {
        match answer.chunk().await {
            Ok(Some(chunk)) => octets.extend_from_slice(&chunk[..chunk.len().min(MOST_READ - octets.len())]),
            Ok(None) | Err(_) => break,
        }
    }
    excerpt(redact(&String::from_utf8_lossy(&octets), secrets).trim())
}

/// The text without the secrets, nor at its end the beginning of one, where it may have been cut.
fn redact(text: &str, secrets: &[&str]) -> String {
    let mut secrets: Vec<_> = secrets.iter().filter(|secret| !secret.is_empty()).collect();
    // One that holds another goes first.
    secrets.sort_by_key(|secret| Reverse(secret.len()));
    let mut shown = secrets.iter().fold(text.to_owned(), |shown, secret| shown.replace(**secret, "…"));
    let starts = secrets
        .iter()
        .flat_map(|secret| secret.char_indices().skip(SHOWN_AT_MOST + 1).map(|(end, _)| &secret[..end]));
    let cut = starts.filter(|start| shown.ends_with(start)).map(str::len).max();
    shown.truncate(shown.len() - cut.unwrap_or(0));
    shown
}

/// Why there was no answer, the innermost cause last and none of them twice. The URL isn't part of it.
fn told(error: reqwest::Error) -> String {
    if error.is_timeout() {
        let limit = if error.is_connect() { CONNECT } else { WHOLE };
        return format!("no answer within {} s", limit.as_secs());
    }
    let error = error.without_url();
    let mut line = String::new();
    for text in std::iter::successors(error.source(), |&error| error.source()).map(ToString::to_string) {
        if line.contains(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    if line.is_empty() { error.to_string() } else { line }
}

#[cfg(test)]
mod tests {
    use super::redact;

    #[test]
    fn secrets_are_cut_out_and_so_is_one_that_the_end_cuts_short() {
        for (text, shown) in [
            ("no hook at /services/T0/XXYYZZ", "no hook at /…/T0/…"),
            (r#"{"path":"\/services\/T0\/XXYYZZ"}"#, r#"{"path":"\/…\/T0\/…"}"#),
            ("not XXYYZ", "not "),
            ("it ends as another begins: services/XXYYZZ", "it ends as another begins: …/…"),
            ("plain services", "plain …"),
            ("plain s", "plain s"),
        ] {
            assert_eq!(redact(text, &["services", "XXYYZZ"]), shown);
        }
    }
}
