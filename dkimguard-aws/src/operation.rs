//! [`Operation`]: the calls that are made, by the names of their IAM actions.

use std::fmt;

/// The IAM policy that lets dkimguard look at SES, Route 53 and CloudTrail, and do nothing else.
pub const READ_ONLY_POLICY: &str = include_str!("read_only_policy.json");

/// A call to AWS. There are no others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Operation {
    /// The account that the credentials belong to.
    GetCallerIdentity,
    /// Credentials of a role, often in another account.
    AssumeRole,
    /// SES v2: the names of all identities.
    ListEmailIdentities,
    /// SES v2: everything about one identity.
    GetEmailIdentity,
    /// SES v1: status, tokens and the signing switch of up to a hundred identities.
    GetIdentityDkimAttributes,
    /// Route 53: the zones from a name on, in their order.
    ListHostedZonesByName,
    /// Route 53: the name servers of a zone.
    GetHostedZone,
    /// Route 53: the records of a zone from a name on, in their order.
    ListResourceRecordSets,
    /// CloudTrail: the latest events with an attribute.
    LookupEvents,
    /// SNS: an alert for the subscribers of a topic; the one call that isn't for looking.
    Publish,
}

impl Operation {
    /// The IAM action that a policy must allow.
    pub(crate) fn action(self) -> &'static str {
        match self {
            Self::GetCallerIdentity => "sts:GetCallerIdentity",
            Self::AssumeRole => "sts:AssumeRole",
            Self::ListEmailIdentities => "ses:ListEmailIdentities",
            Self::GetEmailIdentity => "ses:GetEmailIdentity",
            Self::GetIdentityDkimAttributes => "ses:GetIdentityDkimAttributes",
            Self::ListHostedZonesByName => "route53:ListHostedZonesByName",
            Self::GetHostedZone => "route53:GetHostedZone",
            Self::ListResourceRecordSets => "route53:ListResourceRecordSets",
            Self::LookupEvents => "cloudtrail:LookupEvents",
            Self::Publish => "sns:Publish",
        }
    }
}

impl fmt::Display for Operation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.action())
    }
}

#[cfg(test)]
mod tests {
    use super::{Operation, READ_ONLY_POLICY};

    /// The calls that look, inside an account. A new one must be added here, or `listed` doesn't compile.
    fn inside_an_account() -> Vec<&'static str> {
        use Operation::{
            AssumeRole, GetCallerIdentity, GetEmailIdentity, GetHostedZone, GetIdentityDkimAttributes,
            ListEmailIdentities, ListHostedZonesByName, ListResourceRecordSets, LookupEvents, Publish,
        };
        let all = [
            LookupEvents,
            GetHostedZone,
            ListHostedZonesByName,
            ListResourceRecordSets,
            GetEmailIdentity,
            GetIdentityDkimAttributes,
            ListEmailIdentities,
            GetCallerIdentity,
            AssumeRole,
            Publish,
        ];
        let listed = |operation| match operation {
            LookupEvents
            | GetHostedZone
            | ListHostedZonesByName
            | ListResourceRecordSets
            | GetCallerIdentity
            | ListEmailIdentities
            | GetEmailIdentity
            | GetIdentityDkimAttributes => true,
            AssumeRole | Publish => false,
        };
        all.into_iter().filter(|operation| listed(*operation)).map(Operation::action).collect()
    }

    #[test]
    fn policy_allows_the_calls_that_are_made_and_no_others() {
        let policy: serde_json::Value = serde_json::from_str(READ_ONLY_POLICY).expect("the policy is JSON");
        let statements = policy["Statement"].as_array().expect("a list of statements");
        let actions: Vec<_> = statements
            .iter()
            .flat_map(|statement| statement["Action"].as_array().expect("a list of actions"))
            .map(|action| action.as_str().expect("an action is a text"))
            .collect();
        assert_eq!(actions, inside_an_account());
    }
}
