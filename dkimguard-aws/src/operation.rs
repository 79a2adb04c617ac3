//! [`Operation`]: the calls that are made, by the names of their IAM actions.

use std::fmt;

/// The IAM policy that lets dkimguard look at SES, Route 53 and CloudTrail, and do nothing else.
pub const READ_ONLY_POLICY: &str = include_str!("read_only_policy.json");

/// The IAM policy that lets dkimguard repair one domain, beside [`READ_ONLY_POLICY`]. The zone's id, the account, the
/// region and `example.com` stand for one's own.
pub const REPAIR_POLICY: &str = include_str!("repair_policy.json");

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
    /// SNS: an alert for the subscribers of a topic.
    Publish,
    /// Route 53: changes records of a zone, all of them or none.
    ChangeResourceRecordSets,
    /// Route 53: whether all servers have a change.
    GetChange,
    /// SES v2: starts the verification of an identity again.
    PutEmailIdentityDkimSigningAttributes,
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
            Self::ChangeResourceRecordSets => "route53:ChangeResourceRecordSets",
            Self::GetChange => "route53:GetChange",
            Self::PutEmailIdentityDkimSigningAttributes => "ses:PutEmailIdentityDkimSigningAttributes",
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
    use super::{Operation, READ_ONLY_POLICY, REPAIR_POLICY};

    /// What a call is for. A new one must be added here, or this doesn't compile.
    #[derive(Debug, PartialEq)]
    enum Purpose {
        Looking,
        Repairing,
        /// It looks, and a repair makes it too, to see what it is about to change.
        Both,
        Other,
    }

    fn purpose(operation: Operation) -> Purpose {
        use Operation::{
            AssumeRole, ChangeResourceRecordSets, GetCallerIdentity, GetChange, GetEmailIdentity,
            GetHostedZone, GetIdentityDkimAttributes, ListEmailIdentities, ListHostedZonesByName,
            ListResourceRecordSets, LookupEvents, Publish, PutEmailIdentityDkimSigningAttributes,
        };
        match operation {
            LookupEvents
            | GetHostedZone
            | ListHostedZonesByName
            | GetIdentityDkimAttributes
            | ListEmailIdentities
            | GetCallerIdentity => Purpose::Looking,
            ListResourceRecordSets | GetEmailIdentity => Purpose::Both,
            ChangeResourceRecordSets | GetChange | PutEmailIdentityDkimSigningAttributes => {
                Purpose::Repairing
            }
            AssumeRole | Publish => Purpose::Other,
        }
    }

    const ALL: [Operation; 13] = [
        Operation::LookupEvents,
        Operation::ChangeResourceRecordSets,
        Operation::GetChange,
        Operation::GetHostedZone,
        Operation::ListHostedZonesByName,
        Operation::ListResourceRecordSets,
        Operation::GetEmailIdentity,
        Operation::GetIdentityDkimAttributes,
        Operation::ListEmailIdentities,
        Operation::PutEmailIdentityDkimSigningAttributes,
        Operation::GetCallerIdentity,
        Operation::AssumeRole,
        Operation::Publish,
    ];

    fn made_for(purposes: &[Purpose]) -> Vec<&'static str> {
        let made = ALL.into_iter().filter(|operation| purposes.contains(&purpose(*operation)));
        made.map(Operation::action).collect()
    }

    fn allowed_by(policy: &str) -> Vec<String> {
        let policy: serde_json::Value = serde_json::from_str(policy).expect("the policy is JSON");
        let statements = policy["Statement"].as_array().expect("a list of statements");
        let actions = statements
            .iter()
            .flat_map(|statement| statement["Action"].as_array().expect("a list of actions"));
        actions.map(|action| action.as_str().expect("an action is a text").to_owned()).collect()
    }

    #[test]
    fn policies_allow_the_calls_that_are_made_and_no_others() {
        assert_eq!(allowed_by(READ_ONLY_POLICY), made_for(&[Purpose::Looking, Purpose::Both]));
        let mut allowed = allowed_by(REPAIR_POLICY);
        allowed.sort();
        assert_eq!(allowed, made_for(&[Purpose::Repairing, Purpose::Both]));
    }
}
