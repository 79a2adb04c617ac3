//! [`Webhook`]: alerts as signed JSON over HTTPS.

use std::sync::Arc;

use async_trait::async_trait;
use aws_lc_rs::hmac;
use reqwest::header::{HeaderMap, HeaderName, HeaderValue};

use super::post::{ClientError, Post};
use super::secret::Secret;
use super::target::Target;
use super::{hex, refused};
use crate::error::NotifyError;
use crate::guard::Alert;
use crate::ports::{Clock, Notifier, SystemClock};

const SIGNATURE: HeaderName = HeaderName::from_static("dkimguard-signature");
const KEY: HeaderName = HeaderName::from_static("dkimguard-key");

/// Posts alerts as JSON ([`Alert::to_json`]) to a URL.
///
/// | header | holds |
/// | --- | --- |
/// | `Content-Type` | `application/json` |
/// | `DKIMGuard-Key` | [`Alert::key`], the same when an alert comes again; what isn't printable ASCII is percent-encoded |
/// | `DKIMGuard-Signature` | `t=<unix>,v1=<hex HMAC-SHA256 of "<t>.<body>">`, where there is a secret |
///
/// Any 2xx is delivered. A redirect isn't followed; it is a refusal, and so is 4xx but for 408, 425 and 429. The
/// connection may take 5 seconds and the whole 20. Each alert has a connection of its own.
///
/// Certificates are judged by this machine's own roots, so that a receiver may have a private authority's. `HTTPS_PROXY`
/// and `NO_PROXY` are honoured for `https`; this machine itself, and plain `http`, are never reached through a proxy.
///
/// Nothing of the URL but its host and port is shown, and nothing of the secret.
#[derive(Debug)]
pub struct Webhook {
    name: String,
    post: Post,
    secret: Option<Secret>,
    clock: Arc<dyn Clock>,
}

impl Webhook {
    /// Posts to this target, signed with the secret if there is one.
    ///
    /// # Errors
    /// The target is `https`, and this machine has no root certificates.
    pub fn new(target: Target, secret: impl Into<Option<Secret>>) -> Result<Self, ClientError> {
        Ok(Self {
            name: format!("webhook {}", target.label()),
            post: Post::to(target)?,
            secret: secret.into(),
            clock: Arc::new(SystemClock),
        })
    }

    /// Calls it `webhook <name>`. By default it is `webhook hooks.example.com #3f9a1c`, with six digits that stand for
    /// the whole URL; what was delivered is kept under the name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = format!("webhook {name}");
        self
    }

    /// Takes the time of signatures from this clock.
    #[must_use]
    pub fn with_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.clock = clock;
        self
    }

    fn headers(&self, alert: &Alert, body: &str) -> Result<HeaderMap, NotifyError> {
        let value = |text: String| HeaderValue::try_from(text).map_err(|error| refused(&self.name, error));
        let mut headers = HeaderMap::new();
        headers.insert(KEY, value(printable(&alert.key()))?);
        if let Some(secret) = &self.secret {
            let at = self.clock.now().as_second();
            headers.insert(SIGNATURE, value(format!("t={at},v1={}", sign(secret, at, body)))?);
        }
        Ok(headers)
    }
}

#[async_trait]
impl Notifier for Webhook {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        let body = alert.to_json();
        let headers = self.headers(alert, &body)?;
        let hidden: Vec<_> = self.secret.iter().map(Secret::expose).collect();
        self.post.send(&self.name, headers, body, &hidden).await
    }
}

fn sign(secret: &Secret, at: i64, body: &str) -> String {
    let key = hmac::Key::new(hmac::HMAC_SHA256, secret.expose().as_bytes());
    hex(hmac::sign(&key, format!("{at}.{body}").as_bytes()).as_ref())
}

/// The text with whatever isn't printable ASCII percent-encoded, and the percent sign.
fn printable(text: &str) -> String {
    let shown = text.bytes().map(|octet| match octet {
        b'!'..=b'~' if octet != b'%' => char::from(octet).to_string(),
        _ => format!("%{octet:02X}"),
    });
    shown.collect()
}
