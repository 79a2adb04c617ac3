//! [`Gap`]: what could not be looked at.

use std::fmt;

use serde::Serialize;

use super::diagnosis::Evidence;
use super::finding::State;
use crate::error::{ProviderError, chain};
use crate::look::Basis;

/// Something that could not be looked at. It lowers certainty and is never read as an absence.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Gap {
    /// Through which port it would have been seen.
    pub port: Port,
    /// What, why, and where it helps, what to do about it.
    pub detail: String,
    /// Whether it may heal by itself.
    pub transient: bool,
}

impl Gap {
    /// What a failed call leaves unknown.
    pub(crate) fn of_failure(port: Port, error: &ProviderError) -> Self {
        Self { port, detail: chain(error), transient: error.is_transient() }
    }
}

impl fmt::Display for Gap {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.port, self.detail)
    }
}

/// The port through which something is seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Port {
    /// The mail provider.
    IdentitySource,
    /// Who tells whose account it is. What the provider says of an identity is whole without it.
    Account,
    /// DNS.
    DnsLookup,
    /// The zone's host.
    ZoneView,
    /// Who changed what.
    ChangeHistory,
}

impl fmt::Display for Port {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::IdentitySource => "identity-source",
            Self::Account => "account",
            Self::DnsLookup => "dns-lookup",
            Self::ZoneView => "zone-view",
            Self::ChangeHistory => "change-history",
        })
    }
}

/// What a full look at the records could not see.
pub(super) fn gaps(evidence: &Evidence<'_>) -> Vec<Gap> {
    let survey = evidence.survey;
    let mut gaps = Vec::new();
    if survey.basis != Basis::World {
        let detail = "where the provider stands today was not judged".to_owned();
        gaps.push(Gap { port: Port::IdentitySource, detail, transient: false });
    }
    let mut add =
        |detail: String, transient: bool| gaps.push(Gap { port: Port::DnsLookup, detail, transient });
    if !survey.asks_servers {
        add(
            "the name servers were not asked, as told: what single servers answer is not known".to_owned(),
            false,
        );
    }
    match &survey.basis {
        Basis::World => {}
        Basis::Servers => add(
            "what resolvers see today was not judged: the question is what would be lost by the move"
                .to_owned(),
            false,
        ),
        Basis::Zone { title, notes } => {
            add(format!("{title} was judged as though it were served; what is served today was not"), false);
            notes.iter().for_each(|note| add(note.clone(), false));
        }
    }
    if !evidence.heard_anything() {
        return gaps;
    }
    for reason in &survey.lost {
        add(format!("the delegation was not found: {reason}"), true);
    }
    for zone in survey.zones.iter().filter(|zone| zone.parent.is_none() && !zone.supposed) {
        add(
            format!(
                "no server of the zone above {0} could be asked: the name servers of {0} are those that a resolver \
                 gives",
                zone.zone
            ),
            true,
        );
    }
    for server in evidence.unlooked_servers() {
        add(format!("no address of the name server {} could be looked up", server.name), true);
    }
    if evidence.servers_are_out_of_reach() {
        add(
            "no name server could be heard: port 53 seems to be closed on the way out, or something on the way \
             answers in their place; --no-authoritative judges by resolvers alone"
                .to_owned(),
            false,
        );
    } else {
        let excused: Vec<String> = evidence
            .addresses
            .iter()
            .filter(|address| {
                address.excused && address.findings.iter().all(|(_, f)| f.state == State::Unseen)
            })
            .map(|address| address.vantage.to_string())
            .collect();
        if !excused.is_empty() {
            add(format!("this machine cannot reach {}", excused.join(", ")), false);
        }
    }
    for (record, vantage) in evidence.unseen_for_no_fault() {
        add(format!("{} could not be judged at {vantage}", record.expected.name), true);
    }
    for zone in survey.zones.iter().filter(|zone| zone.left_out > 0) {
        add(
            format!("{} has more servers than are looked at; {} were left out", zone.zone, zone.left_out),
            false,
        );
    }
    let unseen = |authoritative: bool| {
        evidence.records.iter().any(|record| {
            let mut there = record
                .findings
                .iter()
                .filter(|finding| finding.observation.vantage.is_authoritative() == authoritative)
                .peekable();
            there.peek().is_some() && there.all(|finding| finding.state == State::Unseen)
        })
    };
    if unseen(false) {
        add("no resolver gave a usable answer for every record".to_owned(), true);
    }
    gaps
}
