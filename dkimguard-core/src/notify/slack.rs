//! [`Slack`]: alerts as messages in a Slack channel.

use async_trait::async_trait;
use jiff::Timestamp;
use reqwest::header::HeaderMap;
use serde_json::{Value, json};

use super::cut::cut;
use super::post::{ClientError, Post};
use super::target::Target;
use crate::error::NotifyError;
use crate::guard::{Alert, AlertEvent};
use crate::ports::Notifier;

/// The longest text of a header, in characters (Slack, "Header block").
const MOST_HEADER: usize = 150;
/// The longest text elsewhere in a block (Slack, "Text object").
const MOST_TEXT: usize = 3000;

/// Posts alerts to an incoming webhook of Slack: `https://hooks.slack.com/services/…`, of which the path is a secret.
///
/// A message has a headline (domain, verdict, event), the summary, what to do, the deadline in UTC, and the causes with
/// the incident's id; whoever shows no blocks sees one line. Texts are plain, so that nothing in a record's name or
/// value can format the message or call anybody. Each part is cut at Slack's limit.
///
/// Delivery, time limits, certificates and proxies are as for [`Webhook`](super::Webhook).
#[derive(Debug)]
pub struct Slack {
    name: String,
    post: Post,
}

impl Slack {
    /// Posts to this webhook.
    ///
    /// # Errors
    /// The target is `https`, and this machine has no root certificates.
    pub fn new(target: Target) -> Result<Self, ClientError> {
        Ok(Self { name: format!("slack {}", target.label()), post: Post::to(target)? })
    }

    /// Calls it `slack <name>`. By default it is `slack hooks.slack.com #3f9a1c`, with six digits that stand for the
    /// whole URL; what was delivered is kept under the name.
    #[must_use]
    pub fn named(mut self, name: &str) -> Self {
        self.name = format!("slack {name}");
        self
    }
}

#[async_trait]
impl Notifier for Slack {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.post.send(&self.name, HeaderMap::new(), message(alert).to_string(), &[]).await
    }
}

fn message(alert: &Alert) -> Value {
    let is_over = alert.event == AlertEvent::Recovered;
    let subject = alert.domain.as_ref().map(|domain| format!("{} is {}", domain.to_unicode(), alert.verdict));
    let subject = subject.unwrap_or_else(|| alert.kind.to_string());
    let plain =
        |text: &str, most| json!({ "type": "plain_text", "text": escaped(text, most), "emoji": false });
    let section = |text: &str| json!({ "type": "section", "text": plain(text, MOST_TEXT) });

    let headline = format!("{subject} ({})", alert.event);
    let mut blocks = vec![json!({ "type": "header", "text": plain(&headline, MOST_HEADER) })];
    blocks.push(section(&alert.summary));
    if let Some(remedy) = alert.remedy.as_ref().filter(|_| !is_over) {
        blocks.push(section(&format!("What to do: {remedy}")));
    }
    if let Some(deadline) = alert.deadline {
        let promised = alert.deadline_promised.map(|promised| format!(", at the latest {}", utc(promised)));
        blocks.push(section(&format!("To be mended by {}{}", utc(deadline), promised.unwrap_or_default())));
    }
    let mut context = vec![format!("Incident {}", alert.incident)];
    if !alert.causes.is_empty() && !is_over {
        context.push(alert.causes.join(", "));
    }
    let context: Vec<_> = context.iter().map(|text| plain(text, MOST_TEXT)).collect();
    blocks.push(json!({ "type": "context", "elements": context }));
    json!({ "text": escaped(&alert.to_string(), MOST_TEXT), "blocks": blocks })
}

/// The text with the three characters escaped that Slack gives a meaning, at most so long.
fn escaped(text: &str, most: usize) -> String {
    let escape = |character| match character {
        '&' => "&amp;".to_owned(),
        '<' => "&lt;".to_owned(),
        '>' => "&gt;".to_owned(),
        other => other.to_string(),
    };
    cut(text.chars().map(escape), most)
}

fn utc(time: Timestamp) -> String {
    time.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

#[cfg(test)]
mod tests {
    use super::escaped;

    #[test]
    fn markup_is_escaped_and_no_escape_is_cut_in_two() {
        assert_eq!(escaped("<!channel> & you", 100), "&lt;!channel&gt; &amp; you");
        assert_eq!(escaped("ab&", 7), "ab&amp;");
        assert_eq!(escaped("abc&", 7), "abc…");
    }
}
