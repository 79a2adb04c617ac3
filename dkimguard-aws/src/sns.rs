//! [`Sns`]: alerts for the subscribers of a topic.

use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_sns::types::MessageAttributeValue;
use dkimguard_core::error::{NotifyError, ProviderError, ProviderErrorKind};
use dkimguard_core::guard::Alert;
use dkimguard_core::ports::Notifier;

use crate::account::Account;
use crate::aws::ConfigError;
use crate::call::{Pace, Tries, call};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::topic::TopicArn;

/// The largest message that SNS takes, in octets, attributes included (SNS, "Publish").
const MOST_MESSAGE: usize = 256 << 10;
/// What is left of it for the attributes.
const ATTRIBUTES: usize = 4 << 10;
/// The longest subject, in characters (SNS, "Publish").
const MOST_SUBJECT: usize = 100;

/// Publishes alerts to a topic of SNS, as JSON ([`Alert::to_json`]), in the topic's own region.
///
/// Beside the message there are a subject for subscribers by mail, and the attributes `event`, `severity`, `domain` and
/// `key` ([`Alert::key`]) for filter policies. An alert that is larger than a message of SNS goes without its report.
///
/// The credentials are those of the role in the topic's account, where there is one among the roles of [`Aws`], and else
/// the first. They need `sns:Publish` on the topic.
///
/// # Cost
/// One `sns:Publish` an alert; where the fault may pass it is made up to three times, and ends within 13 seconds.
///
/// # Errors
/// The source of the [`NotifyError`] is a [`ProviderError`], for which [`hint`](crate::hint) tells what to do. Whatever
/// isn't the network's fault or SNS's own is a refusal: a missing permission, no such topic, no credentials.
///
/// [`Aws`]: crate::Aws
#[derive(Clone, Debug)]
pub struct Sns {
    name: String,
    topic: TopicArn,
    place: Result<Place, ConfigError>,
}

#[derive(Clone, Debug)]
struct Place {
    client: aws_sdk_sns::Client,
    pace: Arc<Pace>,
}

impl Sns {
    pub(crate) fn to(topic: TopicArn, accounts: &Result<Vec<Arc<Account>>, ConfigError>) -> Self {
        let place = accounts.as_ref().map_err(Clone::clone).and_then(|accounts| {
            let own = accounts.iter().find(|account| account.number() == Some(topic.account()));
            let account = own.or(accounts.first()).ok_or(ConfigError::NoRegion)?;
            Ok(Place {
                client: account.sns(topic.region()),
                pace: Arc::new(Pace::of_sns(account.observer())),
            })
        });
        Self { name: format!("sns {topic}"), topic, place }
    }

    async fn publish(&self, alert: &Alert) -> Result<(), ProviderError> {
        let Place { client, pace } = self.place.as_ref().map_err(ConfigError::as_provider_error)?;
        let mut request = client.publish().topic_arn(self.topic.as_str()).message(message(alert));
        request = request.subject(subject(alert));
        for (name, value) in attributes(alert) {
            let attribute = MessageAttributeValue::builder().data_type("String").string_value(value).build();
            let attribute = attribute.map_err(|error| {
                let said = error.to_string();
                Fault::new(ProviderErrorKind::Unusable, Operation::Publish, said).at(self.topic.region())
            })?;
            request = request.message_attributes(name, attribute);
        }
        let answer = call(Operation::Publish, pace, Tries::Three, || request.clone().send()).await;
        answer.map(drop).map_err(|fault| fault.at(self.topic.region()))
    }
}

/// Its name is `sns` and the topic's ARN.
#[async_trait]
impl Notifier for Sns {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.publish(alert).await.map_err(|error| NotifyError {
            notifier: self.name.clone(),
            is_refusal: !error.is_transient(),
            source: Some(Box::new(error)),
        })
    }
}

fn message(alert: &Alert) -> String {
    let json = alert.to_json();
    if json.len() <= MOST_MESSAGE - ATTRIBUTES {
        return json;
    }
    Alert { report: None, ..alert.clone() }.to_json()
}

/// One line of ASCII, as SNS wants it.
fn subject(alert: &Alert) -> String {
    let what = match &alert.domain {
        Some(domain) => format!("dkimguard: {}: {domain} is {}", alert.event, alert.verdict),
        None => format!("dkimguard: {}: {}", alert.event, alert.kind),
    };
    what.chars().filter(|character| (' '..='~').contains(character)).take(MOST_SUBJECT).collect()
}

fn attributes(alert: &Alert) -> impl Iterator<Item = (&'static str, String)> {
    let domain = alert.domain.as_ref().map(|domain| ("domain", domain.to_string()));
    let others =
        [("event", alert.event.to_string()), ("severity", alert.severity.to_string()), ("key", alert.key())];
    others.into_iter().chain(domain)
}
