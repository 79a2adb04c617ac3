//! [`Standing`]: how a record stands at the name servers of its zone, all of them.

use std::net::SocketAddr;

use crate::judge::{Finding, RecordReport, State};
use crate::look::{Delegation, Sight};
use crate::name::Name;

/// How a record stands at the name servers of its zone.
///
/// Every server that the world may be sent to counts, whether or not it could be asked. An address that this machine
/// cannot reach counts for nothing where another address of the same server was seen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Standing {
    /// It holds at each.
    Holds,
    /// It holds at none, and each has said so.
    Lost,
    /// It holds at some, and the others have said that it doesn't there.
    Split,
    /// Some server said nothing that proves anything: which, and why.
    Unseen(String),
}

impl Standing {
    pub(super) fn of(record: &RecordReport, sight: &Sight) -> Self {
        let name = &record.expected.name;
        let seen: Vec<&Finding> = seen_at_servers(record, sight).collect();
        if let Some(unseen) = seen.iter().find(|finding| finding.state == State::Unseen) {
            return Self::Unseen(format!("{name} could not be seen at {}", unseen.observation.vantage));
        }
        let delegation = record.zone.as_ref().and_then(|zone| delegation_of(zone, sight));
        let Some(delegation) = delegation.filter(|_| !seen.is_empty()) else {
            return Self::Unseen(format!("{name} was looked for at no name server"));
        };
        if let Some(why) = blind_spot(delegation) {
            return Self::Unseen(why);
        }
        let is_seen = |address: &SocketAddr| {
            seen.iter().any(|finding| finding.observation.vantage.address() == *address)
        };
        let unreached = delegation
            .servers
            .iter()
            .find(|server| !server.addresses.is_empty() && !server.addresses.iter().any(is_seen));
        if let Some(server) = unreached {
            return Self::Unseen(format!("this machine cannot reach the name server {}", server.name));
        }
        let holding = seen.iter().filter(|finding| finding.state == State::Holds).count();
        match holding {
            0 => Self::Lost,
            some if some == seen.len() => Self::Holds,
            _ => Self::Split,
        }
    }
}

/// What the name servers show of a record, as far as this machine can reach them.
pub(super) fn seen_at_servers<'a>(
    record: &'a RecordReport,
    sight: &Sight,
) -> impl Iterator<Item = &'a Finding> {
    record.findings.iter().filter(|finding| {
        let vantage = &finding.observation.vantage;
        let is_excused = finding.state == State::Unseen && sight.excused.contains(&vantage.address());
        vantage.is_authoritative() && !is_excused
    })
}

pub(super) fn delegation_of<'a>(zone: &Name, sight: &'a Sight) -> Option<&'a Delegation> {
    sight.delegations.iter().find(|delegation| delegation.zone == *zone)
}

/// Which of the servers that the world is sent to were not looked at at all.
pub(super) fn blind_spot(delegation: &Delegation) -> Option<String> {
    if delegation.left_out > 0 {
        return Some(format!("{} has more name servers than are looked at", delegation.zone));
    }
    let given = &delegation.given_by_parent;
    let nameless =
        delegation.servers.iter().find(|server| given.contains(&server.name) && server.addresses.is_empty());
    nameless.map(|server| format!("no address of the name server {} is known", server.name))
}
