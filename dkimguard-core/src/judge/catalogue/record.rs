//! The record: what stands at an expected name instead of what must.

use super::Explanation;
use super::page::{SES_BYODKIM, SES_EASY, SES_SIGNING_API, SES_TROUBLE};

pub(in crate::judge) const RECORD_MISSING: Explanation = Explanation {
    what: "A record that the provider asks for is in DNS nowhere. For SES one missing CNAME of three is \
           enough: it then signs no mail of the domain.",
    seen: "Every server that answers says with authority that the name does not exist (NXDOMAIN) or has \
           no record of the type (NODATA with the SOA), and no more specific cause fits.",
    look_alike: "A time-out, SERVFAIL or REFUSED: that is not seeing, and never counts as absence. Nor a \
           CNAME whose target has no TXT: two of three SES targets are normally idle.",
    remedy: "Publish exactly these records in the zone that the parent delegates to.",
    more: "If your DNS host shows them already, you look at a zone that is not delegated: compare its \
           name servers with those in the report. Nobody needs to be told at the provider while the \
           status is pending or temporary-failure.",
    rests_on: &["RFC 6376 §3.6.2.1", "RFC 2308 §2", SES_EASY],
};

pub(in crate::judge) const NAME_DOUBLED: Explanation = Explanation {
    what: "The record exists, at its name with the zone appended once more \
           (aaa._domainkey.example.com.example.com). Many DNS hosts take the name in their form for \
           relative to the zone.",
    seen: "The name itself is absent with authority, and a record of the expected type stands at the \
           doubled name.",
    look_alike: "A wildcard that answers for the doubled name as for any other: that proves no such \
           record. Nor a domain whose own name repeats a label.",
    remedy: "Enter the name relative to the zone, without the zone at its end, or end it with a dot.",
    more: "Make the right record first, see it answered, then remove the doubled one.",
    rests_on: &["RFC 1035 §5.1", SES_TROUBLE],
};

pub(in crate::judge) const UNDERSCORE_LOST: Explanation = Explanation {
    what: "The record stands under domainkey instead of _domainkey: the DNS host, or a tool on the way \
           to it, dropped the underscore. Nobody looks there.",
    seen: "The name itself is absent with authority, and a record of the expected type stands at the \
           same name without the underscore.",
    look_alike: "A wildcard that answers for the name without the underscore too, or records under \
           domainkey that stand beside the right ones.",
    remedy: "Enter the name with its underscore; if the DNS host refuses that, move the zone to one that \
           accepts it.",
    more: "The underscore is legal in DNS names; only host names exclude it. Ask the host's support \
           before you move a zone in the night.",
    rests_on: &["RFC 2181 §11", "RFC 6376 §3.6.2.1", SES_TROUBLE],
};

pub(in crate::judge) const VALUE_DOUBLED: Explanation = Explanation {
    what: "The CNAME's target has the zone appended (aaa.dkim.amazonses.com.example.com): the DNS host \
           took the value for relative to the zone.",
    seen: "One CNAME stands at the name, and its target is the expected one followed by the zone or the \
           domain.",
    look_alike: "A target in another zone of the provider's: that is wrong-target.",
    remedy: "End the target with a dot, or enter it as the DNS host wants absolute names.",
    more: "Look afterwards at what the servers answer, not at what the form shows.",
    rests_on: &["RFC 1035 §5.1", SES_TROUBLE],
};

pub(in crate::judge) const WRONG_TARGET: Explanation = Explanation {
    what: "The CNAME points at a name other than the one the provider asks for: the zone of another \
           region, another token, or a name of your own that leads on. The provider compares the value \
           of the CNAME itself.",
    seen: "One CNAME with another target, given with authority, and the provider's own claim of what it \
           must be.",
    look_alike: "Records of other regions or accounts at names of their own: legitimate neighbours. A \
           chain behind the right target: the provider's affair. Another zone where the provider did \
           not tell its zone: nothing is concluded.",
    remedy: "Set exactly this value at the name.",
    more: "Compare the account and the region: SES's tokens and hosted zone differ for each. If you \
           meant to send from the other region, it needs its own three records; both sets can stand \
           side by side.",
    rests_on: &[SES_EASY, "RFC 1034 §3.6.2"],
};

pub(in crate::judge) const CNAME_FLATTENED: Explanation = Explanation {
    what: "The DNS host answers with what lies behind the CNAME instead of the CNAME: it proxies the \
           record, or flattens it. The provider looks for the CNAME and finds none.",
    seen: "Asked for CNAME the servers say NODATA, and at the same name they give A or AAAA, or exactly \
           the TXT that the target has.",
    look_alike: "A TXT that is another text than the target's: that is txt-instead-of-cname. An address \
           that a wildcard gives: that is wildcard-answer.",
    remedy: "Switch proxying and flattening off for this record (\"DNS only\").",
    more: "At Cloudflare that is the grey cloud beside the record, and \"CNAME flattening\" in the \
           zone's DNS settings must be for the apex only.",
    rests_on: &["RFC 1034 §3.6.2", SES_EASY],
};

pub(in crate::judge) const TXT_INSTEAD_OF_CNAME: Explanation = Explanation {
    what: "A TXT stands at the name where a CNAME must. With Easy DKIM the key is the provider's and \
           changes; a copied key or the target's name as a text is not what it looks for.",
    seen: "Asked for CNAME the servers say NODATA, and the TXT at the name holds a key, or the target's \
           name.",
    look_alike: "A TXT with something else, such as a site's ownership proof: the CNAME is then simply \
           missing. A TXT is right where you brought your own key.",
    remedy: "Replace the TXT by this CNAME.",
    more: "Remove the TXT first: a CNAME may not stand beside other records, and a host may refuse it \
           without a word.",
    rests_on: &[SES_EASY, "RFC 1034 §3.6.2"],
};

pub(in crate::judge) const MALFORMED_VALUE: Explanation = Explanation {
    what: "The value is right but for stray characters that came with it from a mail or a web page: \
           quotes, blanks, backslashes, http:// before it, a dash that is none.",
    seen: "The target equals the expected one once these characters are taken away.",
    look_alike: "A target with other letters: that is wrong-target.",
    remedy: "Set the plain value, typed or pasted as plain text.",
    more: "If the DNS host adds quotes to what you enter, the type in its form is TXT and not CNAME.",
    rests_on: &["RFC 1035 §5.1", SES_EASY],
};

pub(in crate::judge) const CONFLICTING_RECORDS: Explanation = Explanation {
    what: "More than one CNAME stands at the name, or a CNAME beside other data. Which one is seen is \
           left to chance, and a server may refuse to load the zone.",
    seen: "One answer holds several CNAMEs of the name, or the same server gives a CNAME and, asked for \
           TXT, a TXT of the name itself.",
    look_alike: "A TXT that comes with the CNAME's target as its owner: the server followed the CNAME, as \
           it should.",
    remedy: "Remove everything at the name but this one record.",
    more: "A forgotten TXT from an earlier provider at the same selector is the usual reason.",
    rests_on: &["RFC 1034 §3.6.2", "RFC 2181 §10.1"],
};

pub(in crate::judge) const WILDCARD_ANSWER: Explanation = Explanation {
    what: "A wildcard in the zone answers for the name, so that something seems to be there. The record \
           itself does not exist.",
    seen: "A random name beside it, which nobody can have published, gets the same wrong answer.",
    look_alike: "A wildcard that gives the right value, or one beside the explicit records, which take \
           precedence: both are sound.",
    remedy: "Publish the record itself; it takes precedence over the wildcard.",
    more: "The wildcard may stay. A name that exists hides it, so that nothing else changes.",
    rests_on: &["RFC 4592 §3.3", "RFC 6376 §3.6.2.1"],
};

pub(in crate::judge) const TOKENS_CHANGED: Explanation = Explanation {
    what: "The provider asks for other tokens than it did before: the set-up was made anew, or the \
           identity was. The earlier records are still published, and today's are not.",
    seen: "Tokens known from an earlier look, from the hosted zone or from the change history are in \
           DNS, and the ones the provider names now are absent with authority.",
    look_alike: "Tokens of other regions or accounts, which differ by design and are never stale by their \
           shape. New tokens that are published beside the old.",
    remedy: "Publish the new records; leave the earlier ones for a week, and remove them then.",
    more: "Mail that is under way was signed with the old keys, so do not remove them at once. Find out \
           what called the provider: automation that sets DKIM up on each run will do it again.",
    rests_on: &[SES_SIGNING_API, SES_EASY, "RFC 6376 §3.1"],
};

pub(in crate::judge) const NO_ACTIVE_KEY: Explanation = Explanation {
    what: "All CNAMEs are right, and no name that they point at holds a key. Signatures cannot be \
           verified although your zone is as it must be.",
    seen: "Each target was looked up and answered, and none answers with a key.",
    look_alike: "One target with a key and two idle ones (an empty TXT, NODATA or NXDOMAIN): the healthy \
           state while keys rotate. A target that could not be looked up: nothing is known.",
    remedy: "Check that the hosted zone of the targets is the one that the provider names for this \
           region; if it is, ask the provider.",
    more: "Look at aws sesv2 get-email-identity, field SigningHostedZone. Change no record before the \
           provider has answered.",
    rests_on: &[SES_EASY, "RFC 6376 §3.6.2"],
};

pub(in crate::judge) const KEY_REVOKED: Explanation = Explanation {
    what: "The key record says that the key is withdrawn: its p= tag is empty. Every signature made \
           with it fails.",
    seen: "One key record stands at the selector, its p= tag is present and empty.",
    look_alike: "An old selector with an empty p= that nothing signs with any more: that is how a key is \
           retired. An idle target of Easy DKIM.",
    remedy: "Publish the key that mail is signed with.",
    more: "If it was withdrawn on purpose, make a new key under a new selector and give it to the \
           provider before you publish it.",
    rests_on: &["RFC 6376 §3.6.1", SES_BYODKIM],
};

pub(in crate::judge) const KEY_UNREADABLE: Explanation = Explanation {
    what: "The TXT at the selector is not a key record that mail can be verified with: no p= tag, \
           broken base64, an unknown key type, or a key that is not for mail.",
    seen: "Exactly one TXT stands at the selector, and it cannot be read as a key record; the report \
           says where it breaks.",
    look_alike: "A key cut into several strings of one TXT: they are joined without a blank, and that is \
           sound. A record without v= or k=: both have defaults.",
    remedy: "Publish the key as one TXT record.",
    more: "Long keys break in forms: blanks or line ends inside p=, or a copy that ends early. Strings \
           of at most 255 octets, each in quotes, belong to one record.",
    rests_on: &["RFC 6376 §3.6.1", "RFC 6376 §3.6.2.2", SES_BYODKIM],
};

pub(in crate::judge) const KEY_WEAK: Explanation = Explanation {
    what: "The RSA key has fewer than 1024 bits. Verifiers must not accept it, so the mail counts as \
           unsigned.",
    seen: "The published key was read, and its modulus is shorter than 1024 bits.",
    look_alike: "A key of 1024 bits: accepted, and only advised against (key-1024). An ed25519 key, which \
           is short by design.",
    remedy: "Make a key of 2048 bits, give it to the provider, and publish it.",
    more: "Use a new selector, so that old mail stays verifiable and there is no moment with the wrong \
           key.",
    rests_on: &["RFC 8301 §3.2", SES_BYODKIM],
};

pub(in crate::judge) const KEY_MISMATCH: Explanation = Explanation {
    what: "A usable key is published, and it is another one than mail is signed with. Every signature \
           fails.",
    seen: "The published key was read and compared with the expected one, as keys and not as texts.",
    look_alike: "The same key written otherwise: other blanks, another order of tags, other strings.",
    remedy: "Publish the expected key.",
    more: "If the published key is the newer one, the provider still signs with the old: give it the \
           new private key instead. Keep two keys under two selectors while you change over.",
    rests_on: &["RFC 6376 §6.1.3", SES_BYODKIM],
};

pub(in crate::judge) const SEVERAL_KEYS: Explanation = Explanation {
    what: "More than one TXT record stands at the selector. Which one a verifier takes is undefined, so \
           that mail fails by chance.",
    seen: "One answer holds two or more TXT records of the selector's name.",
    look_alike: "Several strings of one TXT record: they are one value.",
    remedy: "Leave exactly one TXT record there.",
    more: "Keep the one with the key that mail is signed with. Other texts, such as ownership proofs, \
           belong elsewhere.",
    rests_on: &["RFC 6376 §3.6.2.2"],
};

pub(in crate::judge) const KEY_TESTING: Explanation = Explanation {
    what: "The key record carries the flag t=y: receivers may treat signed mail as though it were not \
           signed. It changes no verdict.",
    seen: "The flag stands in a key record that is otherwise right.",
    look_alike: "t=s, which only forbids subdomains in the signature's identity.",
    remedy: "Remove the flag once signing works.",
    more: "",
    rests_on: &["RFC 6376 §3.6.1"],
};
