//! Advice: what would be better otherwise.

use super::Explanation;
use super::page::{R53_SOA, SES_DMARC, SES_EASY, SES_MAIL_FROM};

pub(in crate::judge) const MAIL_FROM_MX: Explanation = Explanation {
    what: "The MAIL FROM domain must have exactly one MX, the provider's feedback server. Otherwise \
           bounces go astray, and the provider falls back to its own domain or refuses to send.",
    seen: "The MX records of the MAIL FROM domain, asked of its servers, are none, several, or another.",
    look_alike: "The MX of the domain itself, which is for mail that you receive. A look-up that failed.",
    remedy: "Publish exactly one MX at the MAIL FROM domain, the one that the provider names.",
    more: "For SES: 10 feedback-smtp.REGION.amazonses.com. The MAIL FROM domain must be used for \
           nothing else.",
    rests_on: &[SES_MAIL_FROM],
};

pub(in crate::judge) const MAIL_FROM_SPF: Explanation = Explanation {
    what: "Receivers check SPF at the MAIL FROM domain. Without the provider's include there, SPF \
           fails, and DKIM alone must carry DMARC.",
    seen: "The TXT records of the MAIL FROM domain hold no SPF record, several, or one without the \
           provider's include.",
    look_alike: "The SPF record of the domain in From, which SPF never looks at for this mail. Several \
           strings of one record.",
    remedy: "Publish exactly one SPF record at the MAIL FROM domain that includes the provider.",
    more: "For SES: \"v=spf1 include:amazonses.com ~all\". Two SPF records are a permanent error: merge \
           them.",
    rests_on: &["RFC 7208 §4.5", SES_MAIL_FROM],
};

pub(in crate::judge) const DMARC_MISSING: Explanation = Explanation {
    what: "Neither the domain nor its organisational domain publishes a DMARC policy. Large receivers \
           want one, and without it nobody reports failures to you.",
    seen: "_dmarc at the domain and at its organisational domain are absent with authority.",
    look_alike: "A subdomain whose organisational domain has a policy: that one holds for it. A look-up \
           that failed.",
    remedy: "Publish a DMARC record at the domain or at its organisational domain.",
    more: "Begin with \"v=DMARC1; p=none; rua=mailto:ADDRESS\", read the reports, and tighten it then.",
    rests_on: &["RFC 7489 §6.6.3", SES_DMARC],
};

pub(in crate::judge) const DMARC_INVALID: Explanation = Explanation {
    what: "A DMARC record is published and cannot be used, so receivers act as though there were none.",
    seen: "Several records at _dmarc that begin with v=DMARC1, or one without a valid p= where it is \
           needed.",
    look_alike: "Other TXT records at _dmarc, or unknown tags: both are ignored.",
    remedy: "Leave exactly one DMARC record, beginning with v=DMARC1; and a p= of none, quarantine or \
           reject.",
    more: "A CNAME or a wildcard at _dmarc is a frequent reason for a second record.",
    rests_on: &["RFC 7489 §6.3", "RFC 7489 §6.6.3"],
};

pub(in crate::judge) const DMARC_STRICT_ALIGNMENT: Explanation = Explanation {
    what: "The policy demands that the signing domain (adkim=s) or the MAIL FROM domain (aspf=s) equals \
           the one in From exactly. What this identity sends does not, on that leg.",
    seen: "The tag in the DMARC record, and the identity's own domains.",
    look_alike: "Strict alignment where From is the identity's domain itself and DKIM signs with it: that \
           leg holds.",
    remedy: "Set the tag to r, or send with a From of exactly this domain.",
    more: "A MAIL FROM subdomain, which SES demands, can never align under aspf=s; DKIM must then carry \
           DMARC alone.",
    rests_on: &["RFC 7489 §3.1", SES_DMARC],
};

pub(in crate::judge) const DMARC_ENFORCED: Explanation = Explanation {
    what: "The policy is quarantine or reject while DKIM is not healthy. With the provider's default \
           MAIL FROM, DKIM is the only aligned leg: mail is being lost now.",
    seen: "The DMARC record's p= (or sp=), and a verdict other than healthy.",
    look_alike: "The same policy over healthy DKIM: as it should be.",
    remedy: "Mend DKIM first. If that takes long, hold mail back, or set p=none until it holds.",
    more: "A changed policy counts once its TTL has passed. Set it back afterwards.",
    rests_on: &["RFC 7489 §6.3", "RFC 7489 §6.6.2", SES_DMARC],
};

pub(in crate::judge) const TTL_SHORT: Explanation = Explanation {
    what: "The records live in caches for a very short time, so that each passing fault of a server \
           reaches validators at once.",
    seen: "The TTL that the name servers give with the record is under a minute.",
    look_alike: "A falling TTL from a resolver. A short TTL on purpose while records are about to change.",
    remedy: "Raise the TTL of the records to an hour or more once they are stable.",
    more: "",
    rests_on: &["RFC 1912 §2.2", "RFC 2181 §8"],
};

pub(in crate::judge) const NEGATIVE_TTL_LONG: Explanation = Explanation {
    what: "Resolvers remember for long that a record is absent. After a mistake is mended, they go on \
           denying the record for that time.",
    seen: "The smaller of the TTL and the minimum of the zone's SOA is over three hours.",
    look_alike: "The TTL of the records themselves.",
    remedy: "Lower the SOA's minimum (or its TTL) to between five minutes and an hour.",
    more: "In Route 53 edit the last number of the SOA record, 86400 by default, and the record's TTL, \
           900 by default.",
    rests_on: &["RFC 2308 §5", R53_SOA],
};

pub(in crate::judge) const KEY_1024: Explanation = Explanation {
    what: "The RSA key has 1024 bits or little more: still accepted, and no longer advised. Some receivers rate it \
           lower.",
    seen: "The published key was read, and its modulus has fewer than 2048 bits.",
    look_alike: "A key of fewer than 1024 bits, which is not accepted: key-weak. An ed25519 key.",
    remedy: "Move to a key of 2048 bits.",
    more: "With Easy DKIM the provider makes it: for SES set the next signing key length to \
           RSA_2048_BIT; it may be changed once in 24 hours; publish what the provider names \
           afterwards. With an own key, use a new selector.",
    rests_on: &["RFC 8301 §3.2", SES_EASY],
};
