//! Time, and this machine's own place in the network.

use super::Explanation;

pub(in crate::judge) const FLAPPING: Explanation = Explanation {
    what: "The same record comes and goes at the same place. One of several machines behind that \
           address is behind, or something publishes and removes it in turns.",
    seen: "Three or more changes of state within a day, of one record at one vantage point, from what \
           earlier looks have seen.",
    look_alike: "One repair, which is one change. A place that could not be seen in between: not seeing \
           is no change.",
    remedy: "Look at the named server: a machine behind its address that is out of step, or automation \
           that fights over the record.",
    more: "Ask the address some twenty times in a row and compare serials. Search the change history \
           for a pair of tools that undo each other.",
    rests_on: &["RFC 1034 §4.3.5"],
};

pub(in crate::judge) const OFFLINE: Explanation = Explanation {
    what: "Nothing can be reached from here, not even the answer to a question about the root. The \
           fault is on this side, and nothing is known about the domain.",
    seen: "No resolver and no name server gave any answer, the control question's included.",
    look_alike: "Name servers out of reach while resolvers answer: outbound port 53 is filtered, and \
           --no-authoritative gives the best that can be had.",
    remedy: "Check this machine's network: UDP and TCP port 53 to the resolvers, or name others with \
           --resolver.",
    more: "Where only HTTPS goes out, name a DNS over HTTPS resolver.",
    rests_on: &["RFC 1035 §4.2", "RFC 8484 §4"],
};
