//! [`Ses`]: one message to SES, once, and what is known of it then.

use std::error::Error;
use std::time::Duration;

use aws_config::retry::RetryConfig;
use aws_config::timeout::TimeoutConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sesv2::Client;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{BuildError, ProvideErrorMetadata, SdkError};
use aws_sdk_sesv2::operation::send_email::SendEmailError;
use aws_sdk_sesv2::types::{Body, Content, Destination, EmailContent, Message, MessageHeader, MessageTag};
use hyper_util::client::legacy::Error as ClientError;

use crate::outbox::Mail;

/// The header and the tag that carry a message's number in the outbox. SES gives each mail a Message-ID of its own, so
/// a mail is found again by this: by a person in the mail, by a program in the events that SES publishes.
const HEADER: &str = "X-Contact-Form-Number";
const TAG: &str = "contact-form-number";

const CONNECT: Duration = Duration::from_secs(5);
/// The longest that a call takes, and so the longest that an end of the program waits for it.
pub(crate) const LONGEST_CALL: Duration = Duration::from_secs(20);

/// SES, and between whom mail goes.
#[derive(Clone, Debug)]
pub(crate) struct Ses {
    client: Client,
    from: String,
    to: String,
    domain: String,
}

/// What is known after a message was given to SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Answer {
    /// SES has it, under this id.
    Accepted(String),
    /// SES doesn't have it, and it isn't the message's fault: the account, the identity, permissions.
    Closed(String),
    /// SES doesn't have it, and later it may take it: too many calls, no connection.
    Later(String),
    /// SES doesn't have it, for a reason that may lie in the message.
    Refused(String),
    /// SES will never take this message.
    Unsendable(String),
    /// SES may have it, or not: the call began, and no answer came.
    Unknown(String),
}

impl Ses {
    /// SES as the AWS configuration says.
    pub(crate) async fn from_env(from: &str, to: &str, domain: &str) -> Self {
        let limits = TimeoutConfig::builder().connect_timeout(CONNECT).operation_timeout(LONGEST_CALL);
        let config: SdkConfig = aws_config::defaults(BehaviorVersion::v2026_01_12())
            .timeout_config(limits.build())
            // SendEmail knows no token by which SES would tell a second try from a second mail: the SDK must not make
            // one by itself.
            .retry_config(RetryConfig::disabled())
            .load()
            .await;
        let client = Client::new(&config);
        Self { client, from: from.to_owned(), to: to.to_owned(), domain: domain.to_owned() }
    }

    /// Gives a message to SES, once.
    pub(crate) async fn send(&self, mail: &Mail) -> Answer {
        let content = match self.content(mail) {
            Ok(content) => content,
            Err(error) => return Answer::Unsendable(error.to_string()),
        };
        let tag = MessageTag::builder().name(TAG).value(mail.number.to_string()).build();
        let Ok(tag) = tag else { return Answer::Unsendable("its number makes no tag".to_owned()) };
        let sent = self
            .client
            .send_email()
            .from_email_address(&self.from)
            .destination(Destination::builder().to_addresses(&self.to).build())
            // The only place where the visitor's address stands.
            .reply_to_addresses(&mail.message.address)
            .content(content)
            .email_tags(tag)
            .send()
            .await;
        match sent {
            Ok(sent) => Answer::Accepted(sent.message_id.unwrap_or_default()),
            Err(error) => read(&error),
        }
    }

    /// Whether SES answers at all, whatever it says; asked after a call that got no answer, so that no further message
    /// meets the same silence.
    pub(crate) async fn answers(&self) -> bool {
        match self.client.get_email_identity().email_identity(&self.domain).send().await {
            Ok(_) => true,
            Err(error) => error.as_service_error().is_some_and(|error| error.code().is_some()),
        }
    }

    /// SES makes the mail of it, headers and encodings included.
    fn content(&self, mail: &Mail) -> Result<EmailContent, BuildError> {
        let message = &mail.message;
        let utf8 = |text: String| Content::builder().data(text).charset("UTF-8").build();
        let text = format!("{} <{}> wrote:\n\n{}\n", message.name, message.address, message.text);
        let number = MessageHeader::builder().name(HEADER).value(mail.number.to_string()).build()?;
        let simple = Message::builder()
            .subject(utf8(format!("Contact form: {}", message.subject))?)
            .body(Body::builder().text(utf8(text)?).build())
            .headers(number);
        Ok(EmailContent::builder().simple(simple.build()).build())
    }
}

/// What an error says of the message. Where in doubt SES may have it.
fn read(error: &SdkError<SendEmailError, HttpResponse>) -> Answer {
    let why = chain(error);
    match error {
        SdkError::ServiceError(context) => {
            let status = context.raw().status().as_u16();
            let said = context.err().message().unwrap_or_default();
            read_refusal(status, context.err().code(), said)
        }
        // Nothing was built, or no connection was made: nothing was sent.
        SdkError::ConstructionFailure(_) => Answer::Closed(why),
        _ if find::<ClientError>(error).is_some_and(ClientError::is_connect) => Answer::Later(why),
        _ if find::<CredentialsError>(error).is_some() => Answer::Closed(why),
        _ => Answer::Unknown(why),
    }
}

/// What SES's own refusal says of the message. An answer without SES's code is somebody's in between.
fn read_refusal(status: u16, code: Option<&str>, said: &str) -> Answer {
    let Some(code) = code else {
        return Answer::Unknown(format!("HTTP status {status} without a code of SES"));
    };
    let why = if said.is_empty() { code.to_owned() } else { format!("{code}: {said}") };
    match code {
        "BadRequestException" => Answer::Unsendable(why),
        // An identity that isn't verified: the sender's, or in a sandbox the recipient's.
        "MessageRejected" if said.contains("not verified") => Answer::Closed(why),
        "MessageRejected" => Answer::Refused(why),
        "TooManyRequestsException" | "Throttling" | "ThrottlingException" => Answer::Later(why),
        _ if status >= 500 => Answer::Later(why),
        // The account suspended or paused, its limit reached, the MAIL FROM domain lost, no permission, …
        _ => Answer::Closed(why),
    }
}

fn find<'a, E: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a E> {
    let mut causes = std::iter::successors(Some(error), |&error| error.source());
    causes.find_map(|error| error.downcast_ref())
}

fn chain(error: &(dyn Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |&error| error.source());
    causes.fold(error.to_string(), |line, cause| format!("{line}: {cause}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_refusal_says_whose_fault_it_is() {
        let not_verified = "Email address is not verified. The following identities failed the check in region \
                            US-EAST-1: example.com";
        let table = [
            (400, Some("MessageRejected"), not_verified, "Closed"),
            (400, Some("MessageRejected"), "The message contains invalid content.", "Refused"),
            (400, Some("BadRequestException"), "Invalid Reply-To", "Unsendable"),
            (400, Some("AccountSuspendedException"), "", "Closed"),
            (400, Some("SendingPausedException"), "", "Closed"),
            (400, Some("MailFromDomainNotVerifiedException"), "", "Closed"),
            (403, Some("AccessDeniedException"), "", "Closed"),
            (429, Some("TooManyRequestsException"), "Maximum sending rate exceeded.", "Later"),
            (503, Some("ServiceUnavailable"), "", "Later"),
            (502, None, "", "Unknown"),
            (403, None, "", "Unknown"),
        ];
        for (status, code, said, expected) in table {
            let answer = format!("{:?}", read_refusal(status, code, said));
            assert!(answer.starts_with(expected), "{status} {code:?} {said}: {answer}");
        }
    }
}
