//! Who is told: from `[[notify]]` to [`Notifier`]s, each of which says in the log what it could not deliver.

use std::collections::HashMap;
use std::fs::File;
use std::io::Read as _;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use async_trait::async_trait;
use dkimguard_aws::{Aws, TopicArn};
use dkimguard_core::error::NotifyError;
use dkimguard_core::guard::Alert;
use dkimguard_core::notify::{ClientError, Command, JsonLines, PagerDuty, Secret, Slack, Target, Webhook};
use dkimguard_core::ports::Notifier;
use toml::Spanned;
use tracing::{debug, error};

use super::metrics::Metrics;
use crate::config::{Config, Hidden, NotifierName, NotifySection};
use crate::failure::{Code, Failure, chain};

/// The largest file of a secret, in octets; a larger one is another file.
const MOST_SECRET: u64 = 64 << 10;

/// One entry of `[[notify]]`, its secret read.
#[derive(Clone, Debug)]
pub(crate) struct NotifierSettings {
    name: Option<String>,
    channel: Channel,
    /// Where it stands, and in which file.
    place: String,
}

/// The way that alerts take.
#[derive(Clone, Debug)]
enum Channel {
    Webhook(Target, Option<Secret>),
    Slack(Target),
    PagerDuty(Option<Target>, Secret),
    Sns(TopicArn),
    Command(String, Vec<Hidden>),
    Stdout,
}

/// Reads the entries, and the secrets that they name.
///
/// # Errors
/// A key that the kind doesn't have or lacks; a URL that is no target; a secret that can't be read. Each with line and
/// column, and without any secret.
pub(crate) fn settle(
    config: &Config,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Vec<NotifierSettings>, Failure> {
    config.notify.iter().map(|entry| Entry { config, entry, environment }.settle()).collect()
}

/// Opens the ways that alerts take. What they could not deliver is logged and counted.
///
/// # Errors
/// HTTPS that can't be set up; an AWS configuration that can't be used; two of one name.
pub(crate) async fn open(
    settings: &[NotifierSettings],
    aws: Option<&Aws>,
    metrics: &Arc<Metrics>,
) -> Result<Vec<Told>, Failure> {
    let mut opened: Vec<Told> = Vec::new();
    let mut places: HashMap<String, &str> = HashMap::new();
    for entry in settings {
        let inner = entry.open(aws, metrics).await?;
        let name = match &entry.name {
            Some(name) => format!("{} {name}", entry.channel.kind()),
            None => inner.name().to_owned(),
        };
        if let Some(first) = places.insert(name.clone(), &entry.place) {
            // What was delivered is kept under the name.
            let message = format!("{}: a notifier called '{name}' stands at {first} already", entry.place);
            return Err(Failure::new(Code::ConfigFile, message)
                .with_hint("leave one of the two out, or give each a name = \"…\" of its own"));
        }
        opened.push(Told { name, inner, metrics: Arc::clone(metrics) });
    }
    Ok(opened)
}

/// An entry on the way to its settings.
struct Entry<'a> {
    config: &'a Config,
    entry: &'a Spanned<NotifySection>,
    environment: &'a dyn Fn(&str) -> Option<String>,
}

impl Entry<'_> {
    fn settle(&self) -> Result<NotifierSettings, Failure> {
        let section = self.entry.get_ref();
        self.refuse_keys_of_others()?;
        let channel = match section.kind {
            NotifierName::Webhook => {
                let url = self.need(section.url.as_ref(), "url = \"https://…\"")?;
                let secret =
                    self.secret()?.map(|(text, span)| self.parse_secret(&text, &span)).transpose()?;
                Channel::Webhook(self.target(url.get_ref(), &url.span())?, secret)
            }
            NotifierName::Slack => {
                let (url, span) = match (&section.url, self.secret()?) {
                    (Some(url), None) => (url.get_ref().clone(), url.span()),
                    (None, Some(secret)) => secret,
                    (Some(url), Some(_)) => {
                        let what = "the webhook's URL stands here and in a secret";
                        return Err(self.failure(&url.span(), what).with_hint("leave one of the two out"));
                    }
                    (None, None) => return Err(self.lacks("secret_env or secret_file with its URL, or url")),
                };
                Channel::Slack(self.target(&url, &span)?)
            }
            NotifierName::Pagerduty => {
                let (key, span) = self
                    .secret()?
                    .ok_or_else(|| self.lacks("secret_env or secret_file with the integration's key"))?;
                let target =
                    section.url.as_ref().map(|url| self.target(url.get_ref(), &url.span())).transpose()?;
                Channel::PagerDuty(target, self.parse_secret(&key, &span)?)
            }
            NotifierName::Sns => {
                let topic = self.need(section.topic_arn.as_ref(), "topic_arn = \"arn:aws:sns:…\"")?;
                let parsed = topic.get_ref().parse::<TopicArn>();
                Channel::Sns(parsed.map_err(|error| self.failure(&topic.span(), &error.to_string()))?)
            }
            NotifierName::Command => {
                let program = self.need(section.program.as_ref(), "program = \"/path/to/it\"")?;
                if program.get_ref().is_empty() {
                    return Err(self.failure(&program.span(), "the program has no name"));
                }
                let arguments = section.args.as_ref().map(|args| args.get_ref().clone()).unwrap_or_default();
                Channel::Command(program.get_ref().clone(), arguments)
            }
            NotifierName::Stdout => Channel::Stdout,
        };
        let name = section.name.as_ref();
        if let Some(bad) = name.filter(|name| !is_name(name.get_ref())) {
            let what = "a notifier's name is up to 64 letters, digits and ._-";
            return Err(self.failure(&bad.span(), what));
        }
        let name = name.map(|name| name.get_ref().clone());
        Ok(NotifierSettings { name, channel, place: self.config.place(&self.entry.span()) })
    }

    fn refuse_keys_of_others(&self) -> Result<(), Failure> {
        let NotifySection {
            kind,
            name: _,
            url,
            secret_env,
            secret_file,
            allow_http,
            topic_arn,
            program,
            args,
        } = self.entry.get_ref();
        fn at<T>(key: &Option<Spanned<T>>) -> Option<Range<usize>> {
            key.as_ref().map(Spanned::span)
        }
        let keys = [
            ("url", at(url)),
            ("secret_env", at(secret_env)),
            ("secret_file", at(secret_file)),
            ("allow_http", at(allow_http)),
            ("topic_arn", at(topic_arn)),
            ("program", at(program)),
            ("args", at(args)),
        ];
        let own: &[&str] = match kind {
            NotifierName::Webhook | NotifierName::Slack | NotifierName::Pagerduty => {
                &["url", "secret_env", "secret_file", "allow_http"]
            }
            NotifierName::Sns => &["topic_arn"],
            NotifierName::Command => &["program", "args"],
            NotifierName::Stdout => &[],
        };
        for (key, span) in keys {
            if let Some(span) = span.filter(|_| !own.contains(&key)) {
                let kind = kind.as_str();
                let what = format!("a notifier of kind '{kind}' has no {key}");
                return Err(self.failure(&span, &what).with_hint(match own {
                    [] => "its keys are kind and name".to_owned(),
                    own => format!("its keys are kind, name, {}", own.join(", ")),
                }));
            }
        }
        Ok(())
    }

    /// The text that the environment or a file holds, and where that is said.
    fn secret(&self) -> Result<Option<(Hidden, Range<usize>)>, Failure> {
        let NotifySection { secret_env, secret_file, .. } = self.entry.get_ref();
        match (secret_env, secret_file) {
            (None, None) => Ok(None),
            (Some(_), Some(file)) => Err(self
                .failure(&file.span(), "the secret is in the environment (secret_env) and in a file")
                .with_hint("leave one of the two out")),
            (Some(name), None) => {
                let (span, name) = (name.span(), name.get_ref());
                let value = (self.environment)(name).ok_or_else(|| {
                    self.failure(&span, &format!("the environment has no variable {name} with the secret"))
                })?;
                Ok(Some((Hidden(value), span)))
            }
            (None, Some(file)) => {
                let path = self.config.resolve(file.get_ref());
                let read = read_secret(&path).map_err(|why| {
                    self.failure(
                        &file.span(),
                        &format!("the secret in {} cannot be read: {why}", path.display()),
                    )
                })?;
                Ok(Some((read, file.span())))
            }
        }
    }

    fn parse_secret(&self, text: &Hidden, span: &Range<usize>) -> Result<Secret, Failure> {
        text.0.parse().map_err(|error| self.failure(span, &format!("{error}")))
    }

    fn target(&self, url: &Hidden, span: &Range<usize>) -> Result<Target, Failure> {
        let allowed = self.entry.get_ref().allow_http.as_ref();
        let allowed = allowed.into_iter().flat_map(Spanned::get_ref).map(String::as_str);
        Target::allowing_plain_http(&url.0, allowed).map_err(|error| {
            self.failure(span, &format!("the URL cannot be used: {error}"))
                .with_hint("https://…, or plain http to a host that stands in allow_http = [\"…\"]")
        })
    }

    fn need<'a, T>(&self, key: Option<&'a Spanned<T>>, like: &str) -> Result<&'a Spanned<T>, Failure> {
        key.ok_or_else(|| self.lacks(like))
    }

    fn lacks(&self, what: &str) -> Failure {
        let kind = self.entry.get_ref().kind.as_str();
        self.failure(&self.entry.span(), &format!("a notifier of kind '{kind}' needs {what}"))
    }

    fn failure(&self, span: &Range<usize>, what: &str) -> Failure {
        self.config.failure_at(span, what)
    }
}

fn is_name(name: &str) -> bool {
    (1..=64).contains(&name.len())
        && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"._-".contains(&octet))
}

fn read_secret(path: &Path) -> Result<Hidden, String> {
    let read = || {
        let mut text = String::new();
        File::open(path)?.take(MOST_SECRET + 1).read_to_string(&mut text)?;
        Ok::<_, std::io::Error>(text)
    };
    match read() {
        Ok(text) if text.len() as u64 > MOST_SECRET => Err("it is too large for one".to_owned()),
        Ok(text) => Ok(Hidden(text)),
        Err(error) => Err(error.to_string()),
    }
}

impl NotifierName {
    fn as_str(self) -> &'static str {
        match self {
            Self::Webhook => "webhook",
            Self::Slack => "slack",
            Self::Pagerduty => "pagerduty",
            Self::Sns => "sns",
            Self::Command => "command",
            Self::Stdout => "stdout",
        }
    }
}

impl Channel {
    fn kind(&self) -> &'static str {
        match self {
            Self::Webhook(..) => "webhook",
            Self::Slack(_) => "slack",
            Self::PagerDuty(..) => "pagerduty",
            Self::Sns(_) => "sns",
            Self::Command(..) => "command",
            Self::Stdout => "stdout",
        }
    }
}

impl NotifierSettings {
    /// What is unwise about it and works all the same.
    pub(crate) fn warning(&self) -> Option<String> {
        match &self.channel {
            Channel::Webhook(target, None) => {
                Some(format!("{}: alerts for {target} are not signed: there is no secret", self.place))
            }
            _ => None,
        }
    }

    async fn open(&self, aws: Option<&Aws>, metrics: &Arc<Metrics>) -> Result<Box<dyn Notifier>, Failure> {
        let client = |error: ClientError| {
            let why = chain(&error);
            Failure::new(Code::System, format!("{}: {why}", self.place))
                .with_hint("install the root certificates of this system (ca-certificates)")
        };
        Ok(match &self.channel {
            Channel::Webhook(target, secret) => {
                Box::new(Webhook::new(target.clone(), secret.clone()).map_err(client)?)
            }
            Channel::Slack(target) => Box::new(Slack::new(target.clone()).map_err(client)?),
            Channel::PagerDuty(None, key) => Box::new(PagerDuty::new(key.clone()).map_err(client)?),
            Channel::PagerDuty(Some(target), key) => {
                Box::new(PagerDuty::at(target.clone(), key.clone()).map_err(client)?)
            }
            Channel::Sns(topic) => match aws {
                Some(aws) => Box::new(aws.sns(topic.clone())),
                // The identities come from elsewhere; the topic's own region is all that is needed.
                None => {
                    let builder = Aws::builder()
                        .with_regions([topic.region().clone()])
                        .with_observer(Arc::clone(metrics));
                    let aws = builder.load().await.map_err(|error| {
                        Failure::from_error(Code::BadEndpoint, &error).with_hint(error.hint())
                    })?;
                    Box::new(aws.sns(topic.clone()))
                }
            },
            Channel::Command(program, arguments) => {
                let arguments = arguments.iter().map(|argument| &argument.0);
                Box::new(Command::new(program).with_arguments(arguments))
            }
            Channel::Stdout => Box::new(JsonLines::to_stdout()),
        })
    }
}

/// A notifier that says in the log, and counts, what came of each delivery.
#[derive(Debug)]
pub(crate) struct Told {
    name: String,
    inner: Box<dyn Notifier>,
    metrics: Arc<Metrics>,
}

#[async_trait]
impl Notifier for Told {
    fn name(&self) -> &str {
        &self.name
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        let outcome = self.inner.deliver(alert).await;
        self.metrics.count_delivery(&self.name, outcome.as_ref().err());
        match &outcome {
            Ok(()) => debug!(notifier = self.name, alert = alert.key(), "delivered"),
            Err(failure) => {
                let failure_is_final = failure.is_refusal;
                let why = chain(failure);
                error!(
                    notifier = self.name,
                    alert = alert.key(),
                    refused = failure_is_final,
                    error = why,
                    "an alert was not delivered; it is tried again later"
                );
            }
        }
        outcome
    }
}
