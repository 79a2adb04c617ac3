//! [`hint`]: what to do about an error of AWS.

use dkimguard_core::error::{ProviderError, ProviderErrorKind};

use crate::aws::ConfigError;
use crate::operation::Operation;

/// What to do about an error that came from here, in one line; none where nothing general can be said.
///
/// For a denied call it names the IAM action that a policy must allow.
pub fn hint(error: &ProviderError) -> Option<String> {
    if let Some(config) = error.source.as_ref().and_then(|source| source.downcast_ref::<ConfigError>()) {
        return Some(config.hint().to_owned());
    }
    let operation = &error.operation;
    match error.kind {
        ProviderErrorKind::Credentials => Some(
            "set AWS_PROFILE (after `aws sso login` where it needs one), or AWS_ACCESS_KEY_ID and \
             AWS_SECRET_ACCESS_KEY (and AWS_SESSION_TOKEN where they are temporary); \
             then run `aws sts get-caller-identity`"
                .to_owned(),
        ),
        ProviderErrorKind::Denied if operation == Operation::AssumeRole.action() => Some(format!(
            "allow {operation} on the role's ARN, and name the caller in the role's trust policy"
        )),
        ProviderErrorKind::Denied => {
            Some(format!("allow {operation} in the IAM policy of these credentials"))
        }
        ProviderErrorKind::Throttled if operation == Operation::ChangeResourceRecordSets.action() => Some(
            "Route 53 makes one change at a time in a zone, and allows five calls a second in an account; try \
             again in a minute"
                .to_owned(),
        ),
        ProviderErrorKind::Throttled => Some(format!(
            "{}, and others make them too; try {operation} again later",
            match operation.split(':').next() {
                Some("route53") => "Route 53 allows five calls a second in an account",
                Some("cloudtrail") => "CloudTrail allows two such calls a second in an account and region",
                Some("sns") => "SNS allows thousands of such calls a second in an account and region",
                _ => "SES allows one such call a second in an account and region",
            }
        )),
        ProviderErrorKind::Unavailable => Some(
            "look at the network, at the proxy settings and at AWS_ENDPOINT_URL, and try again".to_owned(),
        ),
        ProviderErrorKind::Unusable => Some(
            "if that is not AWS's own answer, look at the proxy settings and at AWS_ENDPOINT_URL".to_owned(),
        ),
        ProviderErrorKind::NotFound if operation == Operation::Publish.action() => {
            Some("create the topic, or correct its ARN".to_owned())
        }
        ProviderErrorKind::NotFound if operation == Operation::ListResourceRecordSets.action() => Some(
            "none of these accounts holds the zone; give the role of the one that does (--role-arn)".to_owned(),
        ),
        ProviderErrorKind::Stale => {
            Some("somebody else has changed the zone; look again, and make a plan of what it is now".to_owned())
        }
        _ => None,
    }
}
