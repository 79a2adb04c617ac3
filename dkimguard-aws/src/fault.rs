//! [`Fault`]: why a call failed, in terms that a caller can act on.

use std::error::Error;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_sesv2::config::http::HttpResponse;
use aws_sdk_sesv2::error::{ProvideErrorMetadata, SdkError};
use aws_sdk_sts::operation::assume_role::AssumeRoleError;
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use thiserror::Error;

use crate::operation::Operation;
use crate::region::Region;

/// Why a call failed.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) kind: ProviderErrorKind,
    /// The call that failed: the one that was meant, or the one that should have brought its credentials.
    pub(crate) operation: Operation,
    /// The place doesn't know the key, which others may know.
    pub(crate) is_unknown_key: bool,
    /// The service has read the request and refuses it as it is, so that nothing was done.
    pub(crate) is_refusal: bool,
    said: String,
}

impl Fault {
    /// Reads the SDK's error.
    pub(crate) fn read<E>(operation: Operation, error: &SdkError<E, HttpResponse>) -> Self
    where
        E: Error + ProvideErrorMetadata + 'static,
    {
        let (kind, said) = match error {
            SdkError::ServiceError(context) => {
                let status = context.raw().status().as_u16();
                let bare = context.raw().body().bytes().and_then(read_bare);
                let code = context.err().code().or(bare.as_ref().map(|_| BARE));
                let kind = kind_of_answer(code, status);
                let said = match (code, context.err().message().or(bare.as_deref())) {
                    (Some(code), Some(message)) if !message.is_empty() => format!("{code}: {message}"),
                    (Some(code), _) => code.to_owned(),
                    (None, _) if status >= 400 => {
                        format!("HTTP status {status}, without an error code of AWS")
                    }
                    (None, _) => format!("the body cannot be read: {}", chain(beneath(error))),
                };
                let is_unknown_key =
                    matches!(code, Some("UnrecognizedClientException" | "InvalidClientTokenId"));
                let is_refusal = status == 400 && matches!(code, Some("BadRequest" | "BadRequestException"));
                return Self { kind, operation, is_unknown_key, is_refusal, said };
            }
            SdkError::TimeoutError(_) => (ProviderErrorKind::Unavailable, chain(error)),
            _ => {
                if let Some(credentials) = find::<CredentialsError>(error) {
                    return Self::read_credentials(operation, credentials);
                }
                // An answer that broke off is the network's fault; one that ended and cannot be read isn't.
                let kind = match error {
                    SdkError::DispatchFailure(_) => ProviderErrorKind::Unavailable,
                    SdkError::ResponseError(_) if broke_off(error) => ProviderErrorKind::Unavailable,
                    _ => ProviderErrorKind::Unusable,
                };
                (kind, chain(beneath(error)))
            }
        };
        Self { kind, operation, is_unknown_key: false, is_refusal: false, said }
    }

    /// Why there are no credentials: nobody offers any, or the call that should have brought them failed.
    pub(crate) fn read_credentials(operation: Operation, error: &CredentialsError) -> Self {
        if let Some(refused) = find::<SdkError<AssumeRoleError, HttpResponse>>(error) {
            return Self::read(Operation::AssumeRole, refused);
        }
        let (kind, said) = match error {
            CredentialsError::CredentialsNotLoaded(_) => (
                ProviderErrorKind::Credentials,
                "none in the environment, in the AWS profile or from this machine's metadata service"
                    .to_owned(),
            ),
            CredentialsError::ProviderTimedOut(_) => (ProviderErrorKind::Unavailable, chain(error)),
            _ => (ProviderErrorKind::Credentials, chain(error)),
        };
        Self { kind, operation, is_unknown_key: false, is_refusal: false, said }
    }

    /// A fault that no answer of AWS stands for.
    pub(crate) fn new(kind: ProviderErrorKind, operation: Operation, said: impl Into<String>) -> Self {
        Self { kind, operation, is_unknown_key: false, is_refusal: false, said: said.into() }
    }

    /// Whether the same call may succeed later without anybody doing anything.
    pub(crate) fn is_transient(&self) -> bool {
        matches!(self.kind, ProviderErrorKind::Throttled | ProviderErrorKind::Unavailable)
    }

    /// Whether the call may have been done all the same: it may have been sent, and no answer tells.
    pub(crate) fn leaves_doubt(&self) -> bool {
        self.kind == ProviderErrorKind::Unavailable && self.operation != Operation::AssumeRole
    }

    /// The end of a write that may have been done before it came to this fault.
    pub(crate) fn in_doubt_about(self, write: Operation) -> Self {
        let meanwhile = if self.operation == write { String::new() } else { format!("{}: ", self.operation) };
        let said = format!("it may have been done; {meanwhile}{}", self.said);
        Self::new(ProviderErrorKind::Unavailable, write, said)
    }

    /// What AWS or the transport said.
    pub(crate) fn said(&self) -> &str {
        &self.said
    }

    /// What to do about what it leaves unknown.
    pub(crate) fn way_out(&self) -> String {
        match self.kind {
            ProviderErrorKind::Denied => format!("allow {}", self.operation),
            _ if self.is_transient() => "the next look may tell".to_owned(),
            _ => "the next look will show whether it stays so".to_owned(),
        }
    }

    /// The fault as core's error: of the operation's service in that region, unless no credentials for it could be
    /// had.
    pub(crate) fn at(self, region: &Region) -> ProviderError {
        ProviderError {
            provider: match self.operation {
                Operation::AssumeRole | Operation::GetCallerIdentity => "STS".to_owned(),
                Operation::ListHostedZonesByName
                | Operation::GetHostedZone
                | Operation::ListResourceRecordSets
                | Operation::ChangeResourceRecordSets
                | Operation::GetChange => "Route 53".to_owned(),
                Operation::LookupEvents => format!("CloudTrail {region}"),
                Operation::Publish => format!("SNS {region}"),
                _ => format!("SES {region}"),
            },
            operation: self.operation.action().to_owned(),
            kind: self.kind,
            source: Some(Box::new(Said(self.said))),
        }
    }
}

/// What AWS or the transport said.
#[derive(Debug, Error)]
#[error("{0}")]
struct Said(String);

/// The situation behind an error answer. Without a code the answer may come from anything in between, so that
/// neither its 403 nor its 404 says something about permissions or identities.
fn kind_of_answer(code: Option<&str>, status: u16) -> ProviderErrorKind {
    use ProviderErrorKind::{Credentials, Denied, NotFound, Stale, Throttled, Unavailable, Unusable};
    match code {
        Some(
            "ExpiredToken"
            | "ExpiredTokenException"
            | "IncompleteSignature"
            | "IncompleteSignatureException"
            | "InvalidAccessKeyId"
            | "InvalidClientTokenId"
            | "InvalidSignatureException"
            | "MissingAuthenticationToken"
            | "MissingAuthenticationTokenException"
            | "RequestExpired"
            | "SignatureDoesNotMatch"
            | "UnrecognizedClientException",
        ) => Credentials,
        Some(
            "AccessDenied"
            | "AccessDeniedException"
            | "AuthorizationError"
            | "AuthorizationErrorException"
            | "NotAuthorized"
            | "OptInRequired"
            | "RegionDisabledException"
            | "UnauthorizedOperation",
        ) => Denied,
        Some("NotFound" | "NotFoundException" | "NoSuchChange" | "NoSuchHostedZone") => NotFound,
        // What the batch says of the zone isn't so; who made the batch knows whether it was.
        Some(BARE) => Stale,
        Some(
            "ConcurrentModificationException"
            | "PriorRequestNotComplete"
            | "RequestLimitExceeded"
            | "Throttled"
            | "Throttling"
            | "ThrottledException"
            | "ThrottlingException"
            | "TooManyRequestsException",
        ) => Throttled,
        Some("RequestTimeout" | "RequestTimeoutException") => Unavailable,
        _ if status == 429 => Throttled,
        _ if status >= 500 => Unavailable,
        _ => Unusable,
    }
}

/// The error that Route 53 also writes without the wrapping of all others, in which the SDK looks for code and text.
const BARE: &str = "InvalidChangeBatch";

/// What such an error says; none if the body is another.
fn read_bare(body: &[u8]) -> Option<String> {
    let text = std::str::from_utf8(body).ok()?;
    let root = text
        .trim_start()
        .strip_prefix("<?xml")
        .map_or(text, |rest| rest.split_once("?>").map_or("", |at| at.1));
    let rest = root.trim_start().strip_prefix('<')?.strip_prefix(BARE)?;
    let messages = rest.split("<Message>").skip(1).filter_map(|rest| rest.split("</Message>").next());
    Some(messages.collect::<Vec<_>>().join("; "))
}

/// Whether a connection ended in the middle of an answer.
fn broke_off(error: &(dyn Error + 'static)) -> bool {
    sources(error).any(|source| {
        source.downcast_ref::<std::io::Error>().is_some() || {
            let text = source.to_string();
            text.contains("error reading a body") || text.contains("message completed")
        }
    })
}

fn sources<'a>(error: &'a (dyn Error + 'static)) -> impl Iterator<Item = &'a (dyn Error + 'static)> {
    std::iter::successors(Some(error), |&error| error.source())
}

fn find<'a, T: Error + 'static>(error: &'a (dyn Error + 'static)) -> Option<&'a T> {
    sources(error).find_map(|source| source.downcast_ref())
}

/// What lies beneath the SDK's own wrapping, which only says that something failed.
fn beneath<'a, E: Error + 'static>(error: &'a SdkError<E, HttpResponse>) -> &'a (dyn Error + 'static) {
    let source = match error {
        SdkError::DispatchFailure(context) => context.as_connector_error().and_then(Error::source),
        SdkError::ServiceError(context) => context.err().source(),
        _ => error.source(),
    };
    source.unwrap_or(error)
}

/// The error and its causes in one line, none of them twice.
fn chain(error: &(dyn Error + 'static)) -> String {
    let mut line = String::new();
    for text in sources(error).map(ToString::to_string) {
        if line.ends_with(&text) {
            continue;
        }
        if !line.is_empty() {
            line.push_str(": ");
        }
        line.push_str(&text);
    }
    line
}

#[cfg(test)]
mod tests {
    use super::{kind_of_answer, read_bare};
    use dkimguard_core::error::ProviderErrorKind::{
        Credentials, Denied, NotFound, Stale, Throttled, Unavailable, Unusable,
    };

    #[test]
    fn kind_follows_the_code_and_else_the_status() {
        for (code, status, kind) in [
            (Some("ExpiredTokenException"), 403, Credentials),
            (Some("InvalidClientTokenId"), 403, Credentials),
            (Some("AccessDeniedException"), 403, Denied),
            (Some("AccessDenied"), 403, Denied),
            (Some("NotFoundException"), 404, NotFound),
            (Some("NoSuchHostedZone"), 404, NotFound),
            (Some("NotFound"), 404, NotFound),
            (Some("AuthorizationError"), 403, Denied),
            (Some("Throttled"), 429, Throttled),
            (Some("TooManyRequestsException"), 429, Throttled),
            (Some("Throttling"), 400, Throttled),
            (Some("PriorRequestNotComplete"), 400, Throttled),
            (Some("InvalidChangeBatch"), 400, Stale),
            (Some("NoSuchChange"), 404, NotFound),
            (Some("SomethingNew"), 429, Throttled),
            (Some("InternalFailure"), 500, Unavailable),
            (Some("SomethingNew"), 400, Unusable),
            (None, 503, Unavailable),
            (None, 403, Unusable),
            (None, 404, Unusable),
        ] {
            assert_eq!(kind_of_answer(code, status), kind, "{code:?} {status}");
        }
    }

    #[test]
    fn refused_batch_is_read_without_its_wrapping() {
        let namespace = r#"xmlns="https://route53.amazonaws.com/doc/2013-04-01/""#;
        for head in ["", "<?xml version=\"1.0\"?>\n"] {
            let body = format!(
                "{head}<InvalidChangeBatch {namespace}><Messages><Message>it exists</Message>\
                 <Message>that too</Message></Messages></InvalidChangeBatch>"
            );
            assert_eq!(read_bare(body.as_bytes()).as_deref(), Some("it exists; that too"), "{body}");
        }
        for other in [
            "",
            "<",
            "<ErrorResponse><Error><Code>InvalidChangeBatch</Code></Error></ErrorResponse>",
            "\u{0}",
        ] {
            assert_eq!(read_bare(other.as_bytes()), None, "{other}");
        }
        assert_eq!(read_bare(b"\xff"), None);
    }
}
