//! [`Evidence`]: all that a rule may look at, with the questions that several rules ask of it.

use std::net::SocketAddr;

use crate::error::LookupError;
use crate::identity::Identity;
use crate::judge::RecordReport;
use crate::judge::finding::{Finding, Sight, State, Trouble, trouble};
use crate::look::{AddressLookup, Observation, Rcode, Response, Server, Survey, Vantage};
use crate::name::Name;
use crate::record::{RecordData, RecordKind};

/// All that a rule may look at.
#[derive(Debug)]
pub(in crate::judge) struct Evidence<'a> {
    pub(in crate::judge) identity: &'a Identity,
    pub(in crate::judge) records: &'a [RecordReport],
    pub(in crate::judge) survey: &'a Survey,
    /// Each address of the zones' servers, in the servers' order.
    pub(in crate::judge) addresses: Vec<AddressSight<'a>>,
    /// Server names that have no address, as far as the world can tell.
    pub(in crate::judge) nameless: Vec<&'a Server>,
}

/// One address of a zone's server, and what it shows of the records.
#[derive(Debug)]
pub(in crate::judge) struct AddressSight<'a> {
    pub(in crate::judge) vantage: Vantage,
    pub(in crate::judge) zone: &'a Name,
    /// What it shows of each record that it was asked for.
    pub(in crate::judge) findings: Vec<(&'a RecordReport, &'a Finding)>,
    /// Records whose CNAME it gives, and for which it doesn't answer TXT.
    pub(in crate::judge) textless: Vec<(&'a RecordReport, &'a Observation)>,
    /// Whether its silence may be the fault of this machine or its network.
    pub(in crate::judge) excused: bool,
}

impl<'a> Evidence<'a> {
    pub(in crate::judge) fn new(
        identity: &'a Identity,
        records: &'a [RecordReport],
        survey: &'a Survey,
    ) -> Self {
        let mut evidence = Self { identity, records, survey, addresses: Vec::new(), nameless: Vec::new() };
        for zone in &survey.zones {
            evidence.nameless.extend(zone.servers.iter().filter(|server| {
                matches!(server.lookup, AddressLookup::None | AddressLookup::Unresolvable(_))
                    && server.addresses.is_empty()
            }));
            for vantage in zone.vantages() {
                let findings: Vec<_> = records
                    .iter()
                    .filter_map(|record| {
                        let here = |finding: &&Finding| finding.observation.vantage == vantage;
                        Some((record, record.findings.iter().find(here)?))
                    })
                    .collect();
                let textless = findings
                    .iter()
                    .filter(|(_, finding)| finding.sight == Sight::Holds)
                    .filter_map(|(record, _)| Some((*record, unanswered_text(record, &vantage, survey)?)))
                    .collect();
                let excused = evidence.is_excused(&vantage);
                evidence.addresses.push(AddressSight {
                    vantage,
                    zone: &zone.zone,
                    findings,
                    textless,
                    excused,
                });
            }
        }
        evidence
    }

    /// Whether anything came back from beyond this machine's own network: any word of a name server, or an answer
    /// of a resolver that isn't a failure. A resolver cut off from the world still answers SERVFAIL.
    pub(in crate::judge) fn heard_anything(&self) -> bool {
        self.survey.everything().any(|observation| {
            observation.outcome.as_ref().is_ok_and(|response| {
                observation.vantage.is_authoritative()
                    || matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
            })
        })
    }

    /// Whether any name server, of whatever zone, answered.
    pub(in crate::judge) fn heard_a_server(&self) -> bool {
        self.survey
            .everything()
            .any(|observation| observation.vantage.is_authoritative() && observation.outcome.is_ok())
    }

    /// Whether the resolvers saw something definite of the records.
    fn resolvers_see(&self) -> bool {
        self.records
            .iter()
            .flat_map(|record| &record.findings)
            .any(|finding| !finding.observation.vantage.is_authoritative() && finding.state != State::Unseen)
    }

    /// Whether all name servers are out of reach while resolvers see the records: port 53 is closed on the way out.
    pub(in crate::judge) fn servers_are_out_of_reach(&self) -> bool {
        self.survey.asks_servers && !self.heard_a_server() && self.resolvers_see()
    }

    /// Whether nothing with an address of this family answers: the fault may be this machine's network. A resolver
    /// at a local IPv6 address shows nothing of the way to the others.
    fn family_is_dead(&self, address: SocketAddr) -> bool {
        !self.survey.everything().any(|observation| {
            let other = observation.vantage.address();
            let is_far = !other.ip().is_unspecified()
                && (observation.vantage.is_authoritative() || is_global_or_ipv4(other));
            other.is_ipv4() == address.is_ipv4() && is_far && observation.outcome.is_ok()
        })
    }

    /// Whether an address's silence says nothing about it.
    fn is_excused(&self, vantage: &Vantage) -> bool {
        let mut outcomes = self
            .survey
            .observations
            .iter()
            .filter(|observation| observation.vantage == *vantage)
            .map(|observation| &observation.outcome);
        let closed =
            |outcome: &Result<Response, LookupError>| matches!(outcome, Err(LookupError::PortClosed));
        if outcomes.clone().any(|outcome| outcome.is_ok() || closed(outcome)) {
            // It said something itself, if only that nobody listens; where that is all that is heard from anywhere, a
            // firewall on this side may have said it.
            return self.servers_are_out_of_reach() || !self.heard_anything();
        }
        let here = |outcome: &Result<Response, LookupError>| {
            outcome.as_ref().is_err_and(|error| error.is_local() && *error != LookupError::NoRoute)
        };
        outcomes.any(here) || self.family_is_dead(vantage.address()) || self.servers_are_out_of_reach()
    }

    /// The findings that decide about a record: those of servers with authority, or where no server was asked or
    /// could be reached from here, those of the resolvers.
    pub(in crate::judge) fn witnesses(&self, record: &'a RecordReport) -> Vec<&'a Finding> {
        let definite = |finding: &&Finding| finding.state != State::Unseen;
        let (servers, resolvers): (Vec<&Finding>, Vec<&Finding>) =
            record.findings.iter().partition(|finding| finding.observation.vantage.is_authoritative());
        let servers_decide = servers.iter().any(|finding| self.is_to_blame(finding) || definite(finding));
        let chosen = if servers_decide { servers } else { resolvers };
        chosen.into_iter().filter(definite).collect()
    }

    fn is_to_blame(&self, finding: &Finding) -> bool {
        self.addresses
            .iter()
            .any(|address| address.vantage == finding.observation.vantage && !address.excused)
    }

    /// How many addresses would fail a validator at least one record, and of how many.
    pub(in crate::judge) fn exposure(&self) -> super::Exposure {
        let counted = || self.addresses.iter().filter(|address| !address.is_unknown());
        super::Exposure {
            bad: counted().filter(|address| address.is_bad()).count() + self.nameless.len(),
            of: counted().count() + self.nameless.len(),
        }
    }

    /// Whether no address gives right answers about all records it was asked for, for whatever reasons of its own.
    pub(in crate::judge) fn no_address_serves(&self) -> bool {
        let exposure = self.exposure();
        exposure.of > 0 && !self.addresses.iter().any(AddressSight::answers)
    }

    /// Servers whose addresses couldn't be looked up, so that they weren't asked.
    pub(in crate::judge) fn unlooked_servers(&self) -> impl Iterator<Item = &'a Server> {
        self.survey
            .zones
            .iter()
            .flat_map(|zone| &zone.servers)
            .filter(|server| server.lookup == AddressLookup::Unseen && server.addresses.is_empty())
    }

    /// The serial of the zone at an address.
    pub(in crate::judge) fn serial_at(&self, vantage: &Vantage) -> Option<u32> {
        let zone = &self.addresses.iter().find(|address| address.vantage == *vantage)?.zone;
        let response = self.survey.at(vantage, zone, RecordKind::Soa)?.outcome.as_ref().ok()?;
        response.answers.iter().find_map(|record| match &record.data {
            RecordData::Soa(soa) => Some(soa.serial),
            _ => None,
        })
    }

    /// A line of evidence: where, what came back, and the serial where a server's zone shows one.
    pub(in crate::judge) fn line(&self, observation: &Observation) -> String {
        let mut line = format!("{}: {}", observation.vantage, outcome(observation));
        if observation.vantage.is_authoritative()
            && observation.outcome.is_ok()
            && let Some(serial) = self.serial_at(&observation.vantage)
        {
            line.push_str(&format!(", serial {serial}"));
        }
        line
    }

    /// A line of evidence that names the question too.
    pub(in crate::judge) fn full_line(&self, observation: &Observation) -> String {
        format!("{} {} at {}", observation.question.name, observation.question.kind, self.line(observation))
    }
}

impl AddressSight<'_> {
    /// Whether nothing can be said about it from here.
    fn is_unknown(&self) -> bool {
        self.findings.is_empty()
            || (self.excused && self.findings.iter().all(|(_, f)| f.state == State::Unseen))
    }

    /// Whether it would fail a validator a record.
    pub(in crate::judge) fn is_bad(&self) -> bool {
        !self.textless.is_empty()
            || self.findings.iter().any(|(_, finding)| match finding.sight {
                Sight::Holds => false,
                Sight::Nothing(Trouble::Here | Trouble::Elsewhere | Trouble::Assumed) => false,
                Sight::Nothing(_) => !self.excused,
                _ => true,
            })
    }

    /// Whether it answers about the records with authority, rightly or wrongly.
    fn answers(&self) -> bool {
        self.textless.len() < self.findings.len()
            && self.findings.iter().any(|(_, finding)| finding.state != State::Unseen)
    }

    /// The findings with this trouble.
    pub(in crate::judge) fn troubled(&self, kind: Trouble) -> Vec<(&RecordReport, &Finding)> {
        self.findings
            .iter()
            .filter(|(_, finding)| finding.sight == Sight::Nothing(kind))
            .map(|&(record, finding)| (record, finding))
            .collect()
    }
}

/// What came back, in a few words: `NXDOMAIN`, `NOERROR CNAME a.example`, `no answer within 2s × 2`.
pub(in crate::judge) fn outcome(observation: &Observation) -> String {
    let response = match &observation.outcome {
        Ok(response) => response,
        Err(error) => return error.to_string(),
    };
    let name = &observation.question.name;
    let mut words = response.rcode.to_string();
    let shown: Vec<String> = response
        .answers
        .iter()
        .filter(|record| record.name == *name && !matches!(record.kind(), RecordKind::Other(_)))
        .map(|record| format!("{} {}", record.kind(), shortened(&record.data.to_string())))
        .collect();
    if !shown.is_empty() {
        words.push(' ');
        words.push_str(&shown.join(", "));
    } else if let Some((cut, _)) = response.referral() {
        words.push_str(&format!(", a referral to {cut}"));
    } else if response.rcode == Rcode::NOERROR {
        words.push_str(&format!(", no {}", observation.question.kind));
        if response.proof_of_absence().is_none() {
            words.push_str(" and no SOA");
        }
    }
    if observation.vantage.is_authoritative() && !response.authoritative && response.rcode.0 % 3 == 0 {
        words.push_str(", not authoritative");
    }
    for error in &response.extended_errors {
        words.push_str(&format!(" ({error})"));
    }
    words
}

/// Whether an address is IPv4, or in the part of IPv6 that is routed everywhere (2000::/3, RFC 4291 §2.4).
fn is_global_or_ipv4(address: SocketAddr) -> bool {
    match address {
        SocketAddr::V4(_) => true,
        SocketAddr::V6(address) => address.ip().segments()[0] & 0xe000 == 0x2000,
    }
}

/// A value short enough for a line.
fn shortened(value: &str) -> String {
    const MOST: usize = 72;
    if value.chars().count() <= MOST {
        return value.to_owned();
    }
    value.chars().take(MOST - 1).chain(['…']).collect()
}

/// The TXT question that a server leaves without an answer although it gives the CNAME.
fn unanswered_text<'a>(
    record: &RecordReport,
    vantage: &Vantage,
    survey: &'a Survey,
) -> Option<&'a Observation> {
    record.expected.value.target()?;
    let name = &record.expected.name;
    let observation = survey.at(vantage, name, RecordKind::Txt)?;
    let answered = match &observation.outcome {
        // Some servers clear AA once they have followed the CNAME; that the CNAME is there is what counts.
        Ok(response) if !response.cnames(name).is_empty() => {
            matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN)
        }
        Ok(_) => false,
        Err(_) => matches!(trouble(observation, survey), Some(Trouble::Here)),
    };
    (!answered).then_some(observation)
}
