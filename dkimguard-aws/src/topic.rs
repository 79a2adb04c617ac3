//! [`TopicArn`]: the name of an SNS topic.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use crate::region::Region;

/// The Amazon resource name of a standard SNS topic: `arn:aws:sns:us-east-1:123456789012:alerts`.
///
/// A topic of the other kind, whose name ends in `.fifo`, is refused: an alert has no message group.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TopicArn {
    arn: String,
    region: Region,
    account: String,
}

impl TopicArn {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The region that the topic lives in.
    pub fn region(&self) -> &Region {
        &self.region
    }

    /// The twelve digits of the account that the topic lives in.
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl FromStr for TopicArn {
    type Err = ParseTopicArnError;

    fn from_str(text: &str) -> Result<Self, ParseTopicArnError> {
        let refused = || ParseTopicArnError { text: text.to_owned() };
        let parts: Vec<&str> = text.split(':').collect();
        let ["arn", partition, "sns", region, account, name] = parts[..] else { return Err(refused()) };
        let is_partition = partition == "aws"
            || partition.strip_prefix("aws-").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-')
            });
        let region: Region = region.parse().map_err(|_| refused())?;
        let is_account = account.len() == 12 && account.bytes().all(|octet| octet.is_ascii_digit());
        // SNS, "CreateTopic"; a name with a dot is that of a FIFO topic.
        let is_name = (1..=256).contains(&name.len())
            && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"_-".contains(&octet));
        if is_partition && is_account && is_name {
            Ok(Self { arn: text.to_owned(), region, account: account.to_owned() })
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for TopicArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.arn)
    }
}

/// A text that doesn't name a standard topic.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error(
    "`{text}` is not the ARN of a standard SNS topic, which looks like `arn:aws:sns:us-east-1:123456789012:name`"
)]
pub struct ParseTopicArnError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::TopicArn;

    #[test]
    fn region_and_account_are_read_from_the_arn() {
        for (text, region) in [
            ("arn:aws:sns:us-east-1:123456789012:alerts", "us-east-1"),
            ("arn:aws-us-gov:sns:us-gov-west-1:123456789012:mail_alerts-2", "us-gov-west-1"),
        ] {
            let arn: TopicArn = text.parse().expect(text);
            assert_eq!((arn.region().as_str(), arn.account(), arn.as_str()), (region, "123456789012", text));
        }
    }

    #[test]
    fn what_names_no_standard_topic_is_refused_and_named() {
        for text in [
            "",
            "alerts",
            "arn:aws:sqs:us-east-1:123456789012:alerts",
            "arn:aws:sns:Europe:123456789012:alerts",
            "arn:aws:sns:us-east-1:12345:alerts",
            "arn:aws:sns:us-east-1:123456789012:",
            "arn:aws:sns:us-east-1:123456789012:alerts.fifo",
            "arn:aws:sns:us-east-1:123456789012:alerts:0a1b2c3d",
            "arn:aws evil:sns:us-east-1:123456789012:alerts",
        ] {
            let error = text.parse::<TopicArn>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
