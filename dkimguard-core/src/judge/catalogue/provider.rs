//! The provider: what it says of the identity.

use super::Explanation;
use super::page::{
    SES_DEED, SES_EASY, SES_EASY_MANAGING, SES_SIGNING_API, SES_SWITCH_API, SES_VERIFICATION_API,
};

pub(in crate::judge) const PROVIDER_BEHIND: Explanation = Explanation {
    what: "Every record holds everywhere, and the provider still says pending or temporary-failure: its \
           last look is older than the repair. Until it looks again, mail is not signed.",
    seen: "The provider's status, and each record at each server and through at least one resolver.",
    look_alike: "A record that one server lacks: the provider may have been sent there. A status of \
           failed: it does not look again.",
    remedy: "Wait: no call makes the provider look again, and setting DKIM up anew may change the \
           records.",
    more: "SES looks at intervals it does not publish, up to 72 hours. If the time of its last look \
           moves on and the status stays, compare the zone that it reached with the delegated one.",
    rests_on: &[SES_EASY_MANAGING, SES_VERIFICATION_API],
};

pub(in crate::judge) const PROVIDER_GAVE_UP: Explanation = Explanation {
    what: "The provider looked for the records for as long as it does and has stopped. Mending DNS \
           alone does not heal it, and mail is not signed; it may be refused.",
    seen: "The provider's own status is failed.",
    look_alike: "temporary-failure or pending: it still looks, and DNS alone is enough.",
    remedy: "Mend what is wrong in DNS first. Once every record holds, have the provider start DKIM \
           verification again, and publish the records that it then names.",
    more: "For SES: aws sesv2 put-email-identity-dkim-signing-attributes --email-identity DOMAIN \
           --signing-attributes-origin AWS_SES. Read tokens and hosted zone from its answer and publish \
           what differs at once. Never delete the identity and make it anew.",
    rests_on: &[SES_SIGNING_API, SES_EASY_MANAGING],
};

pub(in crate::judge) const NOT_STARTED: Explanation = Explanation {
    what: "The provider holds the domain and DKIM was never set up for it. Its mail is not signed for \
           the domain.",
    seen: "The provider's own status is not-started.",
    look_alike: "A domain that the provider does not know at all: that is a gap, with the verdict \
           unknown.",
    remedy: "Set DKIM up for the domain at the provider, and publish the records that it then names.",
    more: "For SES: aws sesv2 put-email-identity-dkim-signing-attributes --email-identity DOMAIN \
           --signing-attributes-origin AWS_SES; the answer holds the three tokens and their zone.",
    rests_on: &[SES_EASY, SES_SIGNING_API],
};

pub(in crate::judge) const SIGNING_DISABLED: Explanation = Explanation {
    what: "The records are there, and the provider does not sign, because signing is switched off for \
           the identity.",
    seen: "The provider says that signing is off, and its status is not not-started.",
    look_alike: "A status of temporary-failure, in which it signs nothing either, and the switch is on.",
    remedy: "Switch DKIM signing on for the identity (for SES: aws sesv2 \
           put-email-identity-dkim-attributes --signing-enabled).",
    more: "The call only throws the switch; it starts no verification. An identity of an address can \
           have a switch of its own.",
    rests_on: &[SES_EASY_MANAGING, SES_SWITCH_API],
};

pub(in crate::judge) const REPLICA_BROKEN: Explanation = Explanation {
    what: "The identity is a replica of another region's identity, and SES cannot keep it in step. \
           Tokens, keys and records are the parent's.",
    seen: "The origin names another region, and SES's last error is one of its REPLICATION_ codes.",
    look_alike: "A replica whose records are missing: then DNS is wrong, for the parent too.",
    remedy: "Repair the identity in the parent region, and give both regions the permissions that \
           replication needs.",
    more: "The parent must exist, have succeeded with Easy DKIM and not itself be a replica; a policy \
           of the organisation may close its region. The code in the report says which.",
    rests_on: &[SES_DEED, SES_VERIFICATION_API],
};

pub(in crate::judge) const IDENTITY_RECREATED: Explanation = Explanation {
    what: "The identity was deleted and made anew within the last 90 days. The tokens may be the same \
           as before while the signing key is not, so that a published key may not match.",
    seen: "The change history shows DeleteEmailIdentity and, after it, CreateEmailIdentity for this \
           domain.",
    look_alike: "An identity that was made once. A new set-up of DKIM without deletion, which changes \
           tokens openly.",
    remedy: "Send a message to a mailbox that you can read, and look whether dkim=pass stands for the \
           domain in its Authentication-Results.",
    more: "If it fails although all records hold, ask AWS support. Do not delete the identity again.",
    rests_on: &[SES_SIGNING_API, "RFC 8601 §2.7.1"],
};
