//! [`Evidence`]: all that a rule may look at, with the questions that several rules ask of it.

use std::collections::HashSet;
use std::net::SocketAddr;

use jiff::Timestamp;

use crate::error::LookupError;
use crate::history::Effect;
use crate::identity::Identity;
use crate::judge::finding::{Finding, Sight, State, Trouble, trouble};
use crate::judge::{RecordReport, Witnesses};
use crate::look::{AddressLookup, Delegation, Observation, Rcode, Response, Server, Survey, Vantage};
use crate::name::Name;
use crate::record::{RecordData, RecordKind, Soa};

/// All that a rule may look at.
#[derive(Debug)]
pub(in crate::judge) struct Evidence<'a> {
    pub(in crate::judge) identity: &'a Identity,
    pub(in crate::judge) records: &'a [RecordReport],
    pub(in crate::judge) survey: &'a Survey,
    pub(in crate::judge) witnesses: &'a Witnesses,
    pub(in crate::judge) at: Timestamp,
    /// Each address of the zones' servers, in the servers' order.
    pub(in crate::judge) addresses: Vec<AddressSight<'a>>,
    /// Server names that have no address, as far as the world can tell, with their zones.
    pub(in crate::judge) nameless: Vec<(&'a Delegation, &'a Server)>,
}

/// One address of a zone's server, and what it shows of the records.
#[derive(Debug)]
pub(in crate::judge) struct AddressSight<'a> {
    pub(in crate::judge) vantage: Vantage,
    pub(in crate::judge) zone: &'a Name,
    /// What it shows of each record that it was asked for.
    pub(in crate::judge) findings: Vec<(&'a RecordReport, &'a Finding)>,
    /// Records whose CNAME it gives, and for which it doesn't answer TXT, and why.
    pub(in crate::judge) textless: Vec<(&'a RecordReport, &'a Observation, Trouble)>,
    /// Whether its silence may be the fault of this machine or its network.
    pub(in crate::judge) excused: bool,
}

impl<'a> Evidence<'a> {
    pub(in crate::judge) fn new(
        identity: &'a Identity,
        records: &'a [RecordReport],
        survey: &'a Survey,
        witnesses: &'a Witnesses,
        at: Timestamp,
    ) -> Self {
        let (addresses, nameless) = (Vec::new(), Vec::new());
        let mut evidence = Self { identity, records, survey, witnesses, at, addresses, nameless };
        // The deepest zone first: an address that serves several is looked at as the server of that.
        let mut zones: Vec<&Delegation> = survey.zones.iter().collect();
        zones.sort_by_key(|zone| std::cmp::Reverse(zone.zone.label_count()));
        let is_known_through_others = evidence.resolvers_hold_a_record();
        let mut seen = HashSet::new();
        for zone in zones {
            let is_of_a_record = evidence.is_of_a_record(zone);
            evidence.nameless.extend(
                zone.servers
                    .iter()
                    .filter(|server| is_of_a_record && server.addresses.is_empty())
                    .filter_map(|server| {
                        match server.lookup {
                            AddressLookup::None => Some((zone, server)),
                            // A resolver that can resolve the domain and not its server's name shows nothing for certain.
                            AddressLookup::Unresolvable(_) if !is_known_through_others => {
                                Some((zone, server))
                            }
                            _ => None,
                        }
                    }),
            );
            for vantage in zone.vantages() {
                if !seen.insert(vantage.address()) {
                    continue;
                }
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
                    .filter_map(|(record, _)| {
                        let (observation, why) = unanswered_text(record, &vantage, survey)?;
                        Some((*record, observation, why))
                    })
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

    /// Whether a record lies in this very zone, or the zone is the domain's or below it; a zone above is judged only by
    /// what it says with authority.
    pub(in crate::judge) fn is_of_a_record(&self, zone: &Delegation) -> bool {
        self.records.is_empty()
            || zone.zone.is_at_or_below(self.identity.domain())
            || self.records.iter().any(|record| record.zone.as_ref() == Some(&zone.zone))
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

    /// Whether any name server, of whatever zone, answered for itself. A proxy on the way answers with recursion, and
    /// without authority.
    fn heard_a_server(&self) -> bool {
        self.survey.everything().filter(|observation| observation.vantage.is_authoritative()).any(
            |observation| {
                observation.outcome.as_ref().is_ok_and(|response| {
                    response.authoritative || response.referral().is_some() || !response.recursion_available
                })
            },
        )
    }

    fn resolvers_hold_a_record(&self) -> bool {
        self.records
            .iter()
            .flat_map(|record| &record.findings)
            .any(|finding| !finding.observation.vantage.is_authoritative() && finding.state == State::Holds)
    }

    /// Whether name servers were asked, and not one of any zone could be heard: port 53 is closed on the way out, or
    /// something on the way answers in their place.
    pub(in crate::judge) fn servers_are_out_of_reach(&self) -> bool {
        let asked = self.survey.everything().any(|observation| observation.vantage.is_authoritative());
        asked && !self.heard_a_server()
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
        if self.servers_are_out_of_reach() {
            return true;
        }
        let outcomes = || self.survey.observations.of(vantage).map(|observation| &observation.outcome);
        let said_something =
            outcomes().any(|outcome| outcome.is_ok() || matches!(outcome, Err(LookupError::PortClosed)));
        let failed_here = |outcome: &Result<Response, LookupError>| {
            outcome.as_ref().is_err_and(|error| error.is_local() && *error != LookupError::NoRoute)
        };
        // What was sent and got no answer is the server's affair, whatever else could not be sent.
        let could_send_nothing = outcomes().next().is_some() && outcomes().all(failed_here);
        !said_something && (could_send_nothing || self.family_is_dead(vantage.address()))
    }

    /// The findings that decide about a record: those of servers with authority, or where no server was asked or
    /// could be reached from here, those of the resolvers.
    pub(in crate::judge) fn witnesses(&self, record: &'a RecordReport) -> Vec<&'a Finding> {
        let definite = |finding: &&Finding| finding.state != State::Unseen;
        let (servers, resolvers): (Vec<&Finding>, Vec<&Finding>) =
            record.findings.iter().partition(|finding| finding.observation.vantage.is_authoritative());
        let servers_decide = servers.iter().any(|finding| self.is_to_blame(finding) || definite(finding));
        if servers_decide {
            return servers.into_iter().filter(definite).collect();
        }
        // This machine's own resolvers may serve a private view; they decide where there is no other.
        let (own, public): (Vec<&Finding>, Vec<&Finding>) = resolvers
            .into_iter()
            .filter(definite)
            .partition(|finding| matches!(finding.observation.vantage, Vantage::System { .. }));
        if public.is_empty() { own } else { public }
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

    /// Whether no address of a server gives this record rightly, its TXT included, as far as is known. A resolver that
    /// gives it may have it from a server whose address couldn't be looked up.
    pub(in crate::judge) fn no_address_serves(&self, name: &Name) -> bool {
        let may_come_from_elsewhere =
            || self.unlooked_servers().next().is_some() && self.public_resolvers_hold(name);
        !self.addresses.iter().any(|address| address.serves(name)) && !may_come_from_elsewhere()
    }

    fn public_resolvers_hold(&self, name: &Name) -> bool {
        let findings = self
            .records
            .iter()
            .filter(|record| record.expected.name == *name)
            .flat_map(|record| &record.findings);
        findings.filter(|finding| finding.state == State::Holds).any(|finding| {
            let vantage = &finding.observation.vantage;
            vantage.is_recursive() && !matches!(vantage, Vantage::System { .. })
        })
    }

    /// Servers that weren't asked, since their addresses couldn't be looked up.
    pub(in crate::judge) fn unlooked_servers(&self) -> impl Iterator<Item = &'a Server> + use<'a, '_> {
        let nameless: Vec<&Server> = self.nameless.iter().map(|(_, server)| *server).collect();
        let zones = self.survey.zones.iter().filter(|zone| self.is_of_a_record(zone));
        zones.flat_map(|zone| &zone.servers).filter(move |server| {
            server.addresses.is_empty()
                && server.lookup != AddressLookup::Open
                && !nameless.iter().any(|nameless| std::ptr::eq(*nameless, *server))
        })
    }

    /// Records that an address which isn't excused neither shows nor denies, their TXT included, for reasons that are
    /// no fault of its own.
    pub(in crate::judge) fn unseen_for_no_fault(&self) -> impl Iterator<Item = (&RecordReport, &Vantage)> {
        self.addresses.iter().filter(|address| !address.excused).flat_map(|address| {
            address
                .findings
                .iter()
                .filter(|(record, finding)| match finding.sight {
                    Sight::Nothing(Trouble::Here | Trouble::Elsewhere | Trouble::Assumed) => true,
                    Sight::Holds => could_not_ask_for_text(record, &address.vantage, self.survey),
                    _ => false,
                })
                .map(move |(record, _)| (*record, &address.vantage))
        })
    }

    /// Whether something that a server answers could not be seen from here, although it was to be.
    pub(in crate::judge) fn has_blind_spot(&self) -> bool {
        self.servers_are_out_of_reach()
            || self.unlooked_servers().next().is_some()
            || self.unseen_for_no_fault().next().is_some()
    }

    /// The records of which every place that can know says that they aren't as they must be.
    pub(in crate::judge) fn lost_records(&self) -> Vec<&'a RecordReport> {
        self.records
            .iter()
            .filter(|record| {
                let witnesses = self.witnesses(record);
                !witnesses.is_empty() && witnesses.iter().all(|finding| finding.state != State::Holds)
            })
            .collect()
    }

    /// Whether no record holds anywhere.
    pub(in crate::judge) fn has_lost_all(&self) -> bool {
        let lost = self.lost_records();
        !lost.is_empty() && lost.len() == self.records.len()
    }

    /// The names of the selectors that the identity had before, as far as memory and the change history tell.
    pub(in crate::judge) fn earlier_names(&self) -> Vec<Name> {
        let today: Vec<&Name> = self.records.iter().map(|record| &record.expected.name).collect();
        let Some(keys) = today.first().and_then(|name| name.parent()) else { return Vec::new() };
        let told = self.witnesses.changes.iter().flat_map(|event| match &event.effect {
            Effect::DkimSetUp { tokens } => tokens.as_slice(),
            _ => &[],
        });
        let mut names: Vec<Name> = self
            .witnesses
            .earlier_selectors
            .iter()
            .chain(told)
            .filter_map(|label| label.appended(&keys).ok())
            .filter(|name| !today.contains(&name))
            .collect();
        names.sort();
        names.dedup();
        names
    }

    /// The SOA of a zone as its delegated servers give it, the first that does.
    pub(in crate::judge) fn soa_of(&self, zone: &Name) -> Option<(&'a Soa, u32)> {
        self.survey
            .observations
            .iter()
            .filter(|observation| {
                observation.vantage.is_authoritative() && observation.question.name == *zone
            })
            .filter_map(|observation| observation.outcome.as_ref().ok())
            .filter(|response| response.authoritative)
            .flat_map(|response| &response.answers)
            .find_map(|record| match &record.data {
                RecordData::Soa(soa) if record.name == *zone => Some((soa, record.ttl)),
                _ => None,
            })
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

    /// Whether it gives this record rightly, its TXT included.
    fn serves(&self, name: &Name) -> bool {
        self.findings
            .iter()
            .any(|(record, finding)| record.expected.name == *name && finding.state == State::Holds)
            && !self.textless.iter().any(|(record, ..)| record.expected.name == *name)
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

/// How many records of one answer are shown.
const MOST_SHOWN: usize = 4;

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
        let more = shown.len().saturating_sub(MOST_SHOWN);
        words.push(' ');
        words.push_str(&shown[..shown.len() - more].join(", "));
        if more > 0 {
            words.push_str(&format!(" and {more} more"));
        }
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
        words.push_str(&format!(" ({})", shortened(&error.to_string())));
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

/// A value short enough for a line, and without characters that a terminal obeys.
pub(in crate::judge) fn shortened(value: &str) -> String {
    const MOST: usize = 72;
    let mut characters =
        value.chars().map(|character| if character.is_control() { '\u{fffd}' } else { character });
    let mut short: String = characters.by_ref().take(MOST).collect();
    if characters.next().is_some() {
        short.pop();
        short.push('…');
    }
    short
}

/// The TXT question that a server leaves without an answer although it gives the CNAME, and why it does.
fn unanswered_text<'a>(
    record: &RecordReport,
    vantage: &Vantage,
    survey: &'a Survey,
) -> Option<(&'a Observation, Trouble)> {
    record.expected.value.target()?;
    let name = &record.expected.name;
    let observation = survey.at(vantage, name, RecordKind::Txt)?;
    let why = match &observation.outcome {
        // Some servers clear AA once they have followed the CNAME; that the CNAME is there is what counts.
        Ok(response) if !response.cnames(name).is_empty() => {
            if matches!(response.rcode, Rcode::NOERROR | Rcode::NXDOMAIN) {
                return None;
            }
            Trouble::Failing
        }
        Ok(_) => trouble(observation, survey).unwrap_or(Trouble::Failing),
        Err(_) => trouble(observation, survey).filter(|why| *why != Trouble::Here)?,
    };
    Some((observation, why))
}

/// Whether the TXT at a CNAME stayed unseen because the question couldn't be sent from here.
fn could_not_ask_for_text(record: &RecordReport, vantage: &Vantage, survey: &Survey) -> bool {
    let observation = survey.at(vantage, &record.expected.name, RecordKind::Txt);
    record.expected.value.target().is_some()
        && observation.is_some_and(|observation| {
            observation.outcome.is_err() && trouble(observation, survey) == Some(Trouble::Here)
        })
}
