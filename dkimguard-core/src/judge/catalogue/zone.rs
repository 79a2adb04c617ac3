//! The zone: where it is, who is delegated to, and what stands between it and those who ask.

use super::Explanation;
use super::page::{R53_NAMESERVERS, R53_PRIVATE, R53_REGISTRAR, SES_TROUBLE};

pub(in crate::judge) const WRONG_NAMESERVERS: Explanation = Explanation {
    what: "The records are in a zone that nobody is sent to: the parent delegates the domain to other \
           name servers. The DNS host's console shows all records, and its change history is silent, \
           because the change was made at the registrar.",
    seen: "The zone that holds the records (the hosted zone, or the servers that the zone itself or \
           memory names) has other name servers than the parent's delegation, and there the records are \
           absent with authority.",
    look_alike: "Name servers under other names at the same addresses (white label). A secondary at \
           another host that holds the same zone. A view of the zone that could not be had.",
    remedy: "Publish the records where the delegation points, or restore the delegation at the registrar.",
    more: "Ask first whether the move was meant. If it was, compare both zones: more than the DKIM \
           records may be missing. A delegation is cached for up to two days, so publishing at the new \
           servers heals faster.",
    rests_on: &["RFC 1034 §4.2.1", R53_NAMESERVERS, R53_REGISTRAR],
};

pub(in crate::judge) const DELEGATION_MISMATCH: Explanation = Explanation {
    what: "The parent and the zone itself name different name servers. The records are at both, so it \
           works now; the next change may reach one side alone.",
    seen: "The parent's NS set and the one the zone's servers give differ, and the records hold at the \
           servers of both.",
    look_alike: "The same set in another order or other letter case. Sets that differ while one side \
           lacks the records: wrong-nameservers or servers-disagree.",
    remedy: "Make the name servers at the registrar and those in the zone the same.",
    more: "Decide which list is right, change the other, and look again when the larger of both TTLs \
           has passed.",
    rests_on: &["RFC 1034 §4.2.2", "RFC 2181 §6.1"],
};

pub(in crate::judge) const ZONE_CUT: Explanation = Explanation {
    what: "A delegation lies between the zone and the record, at _domainkey or at a subdomain. Records \
           that are put above the cut are never answered.",
    seen: "The servers refer to a child zone, the record is absent there with authority, and the view \
           of the zone shows it above the cut. Without that view the cut and the absence alone make it \
           likely.",
    look_alike: "A child zone that holds the records: a sound set-up. A delegation of names beside the \
           records.",
    remedy: "Put the records into the child zone, or remove its delegation if nobody needs it.",
    more: "Before you remove a delegation, see what else the child zone holds.",
    rests_on: &["RFC 1034 §4.2", "RFC 2181 §6"],
};

pub(in crate::judge) const SEVERAL_ZONES: Explanation = Explanation {
    what: "The DNS host holds several public zones of the same name. The records are in one of them, \
           and the parent delegates to another.",
    seen: "The list of zones shows more than one public zone of the name, the records in one, and that \
           one's name servers are not the delegated ones.",
    look_alike: "A private zone beside a public one. Several zones of which the delegated one holds the \
           records: untidy, and sound.",
    remedy: "Publish the records in the zone whose name servers the parent delegates to.",
    more: "The report names both zones by their ids. Copy what else is missing before you delete the \
           dead zone, and delete it only when nothing refers to it.",
    rests_on: &[R53_NAMESERVERS, "RFC 1034 §4.2.1"],
};

pub(in crate::judge) const PRIVATE_ZONE: Explanation = Explanation {
    what: "The records are in a zone that only your own networks see. The world, the provider included, \
           asks the public zone, and there they are absent.",
    seen: "The zone that holds the records is private; or the system's resolver gives them while the \
           delegated servers deny them with authority.",
    look_alike: "A private zone beside a public zone that holds the records too.",
    remedy: "Publish the records in the public zone that the parent delegates to.",
    more: "The private zone hides the public one from within, so test from outside.",
    rests_on: &[R53_PRIVATE, SES_TROUBLE],
};

pub(in crate::judge) const DNSSEC_BOGUS: Explanation = Explanation {
    what: "The zone's signatures do not fit what the parent vouches for, or have expired. Everybody \
           behind a validating resolver sees no record at all.",
    seen: "A validating resolver answers SERVFAIL, and an answer once checking is disabled. The \
           extended errors 6, 7, 8, 9, 10 and 12 say why.",
    look_alike: "A resolver that answers SERVFAIL with checking disabled too: it cannot reach the \
           servers. An unsigned zone without a DS, which is sound.",
    remedy: "Compare the DS record at the registrar with the zone's keys, and sign the zone again; if the \
           zone is no longer signed, remove the DS.",
    more: "A move to another DNS host with the old DS left behind is the usual reason. Removing the DS \
           heals once its TTL has passed, a day at most with most registries.",
    rests_on: &["RFC 4033 §5", "RFC 4035 §5.5", "RFC 8914 §4"],
};

pub(in crate::judge) const DOMAIN_GONE: Explanation = Explanation {
    what: "The registration of the domain has ended or is suspended: the registry no longer delegates \
           it, or delegates it to a parking service. Nothing of the domain works.",
    seen: "The registry's own servers deny the registered domain (the public suffix and one label), or \
           the delegation names servers that serve parked domains.",
    look_alike: "A registry's server that fails. A subdomain that is not delegated: its parent zone \
           serves it.",
    remedy: "Renew the domain, or ask the registrar why it is suspended.",
    more: "Look for the registrar's mails about renewal or about contact data that must be confirmed. A \
           renewed domain is back within hours, with its old delegation.",
    rests_on: &["RFC 8020 §2", "RFC 2308 §2.1"],
};

pub(in crate::judge) const NEGATIVE_CACHED: Explanation = Explanation {
    what: "The records are right at every server, and a resolver still answers that they are absent, \
           because it asked before they were there.",
    seen: "Every server address holds the record; a public resolver answers absence with an SOA whose \
           TTL falls.",
    look_alike: "A resolver with an SOA of full TTL each time: it reaches other servers than we do. A \
           server that denies: servers-disagree.",
    remedy: "Wait until the resolvers forget the absence; a smaller SOA minimum shortens that the next \
           time.",
    more: "Publish a record before anybody asks for it. Some public resolvers, 1.1.1.1 and 8.8.8.8 \
           among them, have a web page on which a name can be flushed.",
    rests_on: &["RFC 2308 §5"],
};

pub(in crate::judge) const RESOLVER_FAILING: Explanation = Explanation {
    what: "One recursive resolver fails, times out or offers no recursion, while the servers and the \
           other resolvers answer. It changes no verdict.",
    seen: "The failure came from that resolver alone, and the name servers hold the records.",
    look_alike: "All validating resolvers failing: dnssec-bogus. A resolver that remembers an absence: \
           negative-cached.",
    remedy: "Look through other resolvers, with --resolver; if this machine depends on that one, use another.",
    more: "",
    rests_on: &["RFC 8914 §4", "RFC 2308 §7"],
};
