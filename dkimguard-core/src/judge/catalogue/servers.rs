//! The servers: what single addresses of the delegated name servers do wrong.

use super::Explanation;
use super::page::SES_TROUBLE;

pub(in crate::judge) const SERVERS_DISAGREE: Explanation = Explanation {
    what: "Some of the zone's servers hold the record, others do not or hold another. What a validator \
           sees depends on the server it is sent to, so that the provider loses the record by chance.",
    seen: "Two addresses answer the same question differently, both with authority. The SOA serials \
           beside the answers show which are behind.",
    look_alike: "A server that fails or is silent: that is no answer. Serials that differ while the \
           records agree: a transfer under way.",
    remedy: "Repair the transfer of the zone to the servers that are wrong, or take them out of the \
           delegation.",
    more: "Look at the secondary's log for refused transfers, an expired TSIG key or a serial that went \
           backwards; raise the serial at the primary and notify. With two DNS hosts, make the change \
           at both.",
    rests_on: &["RFC 1034 §4.3.5", "RFC 1996 §3", "RFC 1982 §3"],
};

pub(in crate::judge) const SERVER_LAME: Explanation = Explanation {
    what: "The parent delegates the zone to a server that does not serve it, or to a name that has no \
           address. Whoever is sent there gets nothing.",
    seen: "The server answers REFUSED or NOTAUTH, refers elsewhere or answers without the AA bit; or \
           the server's name has no address.",
    look_alike: "A referral further down: the record lies in a child zone, whose servers are asked. One \
           refused query of a kind that the server limits.",
    remedy: "Load the zone at that server, or take the server out of the delegation at the registrar.",
    more: "After a change of DNS host an old server is often left in the delegation. Compare the list \
           at the registrar with the one your host gives.",
    rests_on: &["RFC 1912 §2.8", "RFC 1034 §4.2.2"],
};

pub(in crate::judge) const SERVER_FAILING: Explanation = Explanation {
    what: "A server is reached and gives no usable answer: SERVFAIL, FORMERR, NOTIMP, or octets that \
           are no DNS message.",
    seen: "The failure came back from that address after all attempts, and is no refusal.",
    look_alike: "A resolver that answers SERVFAIL: that is resolver-failing or dnssec-bogus. SERVFAIL for \
           TXT alone: txt-unanswerable.",
    remedy: "Look into that server's log; often the zone has expired there or could not be loaded.",
    more: "A secondary answers SERVFAIL once it has not reached its primary for the SOA's expire time. \
           Mend the transfer, or take the server out of the delegation.",
    rests_on: &["RFC 1035 §4.1.1", "RFC 1035 §3.3.13", "RFC 2308 §7.1"],
};

pub(in crate::judge) const SERVER_UNREACHABLE: Explanation = Explanation {
    what: "Nothing comes back from a server: time-out, closed port, no route. Validators that are sent \
           there lose time or give up.",
    seen: "All attempts at that address ended without an answer, while other addresses of its family \
           can be reached from here.",
    look_alike: "No IPv6 on this machine, or outbound port 53 closed here: then all are silent, and it is \
           a gap and not a cause.",
    remedy: "Bring the server up and open UDP and TCP port 53 to it, or take it out of the delegation.",
    more: "Check the firewall for rate limits and for filters on the source: the report's own address \
           may be blocked. A second look from another network tells.",
    rests_on: &["RFC 1035 §4.2", "RFC 2182 §3"],
};

pub(in crate::judge) const TXT_UNANSWERABLE: Explanation = Explanation {
    what: "A server gives the CNAME, and fails when it is asked for TXT at the same name. The provider \
           and every receiver ask for TXT.",
    seen: "The same address answers the question for CNAME, and TXT at that name with SERVFAIL, REFUSED \
           or nothing.",
    look_alike: "An answer NXDOMAIN or NODATA to TXT that carries the CNAME: the target is idle, and the \
           server does what it should.",
    remedy: "Use a DNS host that answers TXT at a CNAME with the CNAME.",
    more: "Some hosts try to look up the target themselves and fail. Ask the host to return the CNAME \
           alone.",
    rests_on: &["RFC 1034 §4.3.2", "RFC 1034 §3.6.2", SES_TROUBLE],
};

pub(in crate::judge) const TCP_UNANSWERABLE: Explanation = Explanation {
    what: "The answer does not fit in a UDP message, the server says so, and over TCP it does not \
           answer. Long keys and signed zones meet this first.",
    seen: "A UDP answer with the TC bit from that address, and TCP to it failed.",
    look_alike: "TCP closed on a server whose answers fit: nobody needs it there for these records.",
    remedy: "Open TCP port 53 at that server.",
    more: "Look at the firewall before the server and at the load balancer's listeners.",
    rests_on: &["RFC 7766 §5", "RFC 1035 §4.2.1"],
};
