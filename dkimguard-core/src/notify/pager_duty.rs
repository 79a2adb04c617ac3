//! [`PagerDuty`]: incidents of PagerDuty, by its Events API v2.

use async_trait::async_trait;
use aws_lc_rs::digest;
use reqwest::StatusCode;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::cut::cut;
use super::hex;
use super::post::{ClientError, Post};
use super::secret::Secret;
use super::tag::tag;
use super::target::Target;
use crate::error::NotifyError;
use crate::guard::{Alert, AlertEvent};
use crate::ports::Notifier;

/// Where events go for services in the United States.
const ENQUEUE: &str = "https://events.pagerduty.com/v2/enqueue";
/// The longest summary, in characters (PagerDuty, PD-CEF).
const MOST_SUMMARY: usize = 1024;
/// The longest `dedup_key`, in characters (PagerDuty, "Send an alert event").
const MOST_KEY: usize = 255;

/// Opens and resolves incidents of PagerDuty: `opened`, `worsened` and `reminder` trigger, `recovered` resolves. All
/// alerts of an incident have its id as their `dedup_key`, or the SHA-256 of it where it is over 255 characters.
///
/// Only 202 is delivered. Refusals, time limits, certificates and proxies are as for [`Webhook`](super::Webhook).
#[derive(Debug)]
pub struct PagerDuty {
    name: String,
    post: Post,
    routing_key: Secret,
}

impl PagerDuty {
    /// Sends events to the service whose integration has this key.
    ///
    /// # Errors
    /// This machine has no root certificates.
    pub fn new(routing_key: Secret) -> Result<Self, ClientError> {
        let target: Target = ENQUEUE.parse().expect("it is a target");
        Self::at(target, routing_key)
    }

    /// Sends them elsewhere: `https://events.eu.pagerduty.com/v2/enqueue` for services in the European Union.
    ///
    /// # Errors
    /// The target is `https`, and this machine has no root certificates.
    pub fn at(target: Target, routing_key: Secret) -> Result<Self, ClientError> {
        let key = routing_key.expose().as_bytes();
        let name = format!("pagerduty {} #{}", target.host(), tag([target.url().as_str().as_bytes(), key]));
        Ok(Self { name, post: Post::to(target)?.expecting(StatusCode::ACCEPTED), routing_key })
    }

    /// Calls it `pagerduty <name>`. By default it is `pagerduty events.pagerduty.com #3f9a1c`, with six digits that stand
    /// for target and key; what was delivered is kept under the name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = format!("pagerduty {name}");
        self
    }
}

#[async_trait]
impl Notifier for PagerDuty {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        let key = self.routing_key.expose();
        self.post.send(&self.name, HeaderMap::new(), event(alert, key).to_string(), &[key]).await
    }
}

fn event(alert: &Alert, routing_key: &str) -> Value {
    let incident = alert.incident.as_str();
    let dedup_key = if incident.chars().count() <= MOST_KEY {
        incident.to_owned()
    } else {
        hex(digest::digest(&digest::SHA256, incident.as_bytes()).as_ref())
    };
    if alert.event == AlertEvent::Recovered {
        return json!({ "routing_key": routing_key, "event_action": "resolve", "dedup_key": dedup_key });
    }
    json!({
        "routing_key": routing_key,
        "event_action": "trigger",
        "dedup_key": dedup_key,
        "client": "dkimguard",
        "payload": {
            "summary": cut(alert.to_string().chars().map(String::from), MOST_SUMMARY),
            "source": alert.domain.as_ref().map_or_else(|| alert.id.clone(), ToString::to_string),
            "severity": alert.severity.as_str(),
            "timestamp": alert.at,
            "component": "dkim",
            "class": alert.kind,
            "custom_details": {
                "event": alert.event,
                "id": alert.id,
                "incident": incident,
                "verdict": alert.verdict,
                "causes": alert.causes,
                "remedy": alert.remedy,
                "deadline": alert.deadline,
                "deadline_promised": alert.deadline_promised,
            },
        },
    })
}
