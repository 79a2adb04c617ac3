//! [`RoleArn`]: the name of a role to act as.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

/// The Amazon resource name of an IAM role: `arn:aws:iam::123456789012:role/dkimguard`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RoleArn {
    arn: String,
    account: String,
}

impl RoleArn {
    /// The whole name.
    pub fn as_str(&self) -> &str {
        &self.arn
    }

    /// The twelve digits of the account that the role lives in.
    pub fn account(&self) -> &str {
        &self.account
    }
}

impl FromStr for RoleArn {
    type Err = ParseRoleArnError;

    fn from_str(text: &str) -> Result<Self, ParseRoleArnError> {
        let refused = || ParseRoleArnError { text: text.to_owned() };
        let parts: Vec<&str> = text.splitn(6, ':').collect();
        let ["arn", partition, "iam", "", account, resource] = parts[..] else { return Err(refused()) };
        let is_partition = partition == "aws"
            || partition.strip_prefix("aws-").is_some_and(|rest| {
                !rest.is_empty() && rest.bytes().all(|octet| octet.is_ascii_lowercase() || octet == b'-')
            });
        let is_account = account.len() == 12 && account.bytes().all(|octet| octet.is_ascii_digit());
        // A path may hold any printable ASCII character, a name only these; IAM, "Identifiers".
        let is_role =
            resource.strip_prefix("role/").and_then(|role| role.rsplit('/').next()).is_some_and(|name| {
                (1..=64).contains(&name.len())
                    && name.bytes().all(|octet| octet.is_ascii_alphanumeric() || b"+=,.@_-".contains(&octet))
            });
        let is_printable = resource.len() <= 600 && resource.bytes().all(|octet| octet.is_ascii_graphic());
        if is_partition && is_account && is_role && is_printable {
            Ok(Self { arn: text.to_owned(), account: account.to_owned() })
        } else {
            Err(refused())
        }
    }
}

impl fmt::Display for RoleArn {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.arn)
    }
}

/// A text that doesn't name a role.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("`{text}` is not the ARN of a role, which looks like `arn:aws:iam::123456789012:role/name`")]
pub struct ParseRoleArnError {
    text: String,
}

#[cfg(test)]
mod tests {
    use super::RoleArn;

    #[test]
    fn account_is_read_from_the_arn() {
        for text in [
            "arn:aws:iam::123456789012:role/dkimguard",
            "arn:aws-us-gov:iam::123456789012:role/path/of/several/steps/dkim.guard_1@x",
        ] {
            let arn: RoleArn = text.parse().expect(text);
            assert_eq!((arn.account(), arn.as_str()), ("123456789012", text));
        }
    }

    #[test]
    fn what_cannot_be_a_role_is_refused_and_named() {
        for text in [
            "",
            "dkimguard",
            "123456789012",
            "arn:aws:iam::123456789012:user/someone",
            "arn:aws:iam::123456789012:role/",
            "arn:aws:iam::12345678901:role/short-account",
            "arn:aws:iam::12345678901x:role/letter",
            "arn:aws:iam:us-east-1:123456789012:role/region",
            "arn:aws:sts::123456789012:assumed-role/name/session",
            "arn:azure:iam::123456789012:role/name",
            "arn:aws:iam::123456789012:role/na me",
            "arn:aws:iam::123456789012:role/näme",
        ] {
            let error = text.parse::<RoleArn>().expect_err(text);
            assert!(error.to_string().contains(text), "{error}");
        }
    }
}
