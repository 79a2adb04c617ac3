//! What is judged in place of the delegation of today: from the settings to a [`Premise`].

use dkimguard_core::look::{Premise, PremiseServer, UnservedZone};
use dkimguard_core::name::Name;
use dkimguard_core::zone_file;

use crate::failure::{Code, Failure};
use crate::settings::PremiseChoice;
use crate::value::Nameserver;

/// The premise that the settings ask for. The named domains are to lie in it; a single one also completes the relative
/// names of a zone file that doesn't say to what they are relative.
///
/// # Errors
/// A zone file that can't be read, is wrong, or holds another zone than that of a named domain.
pub(crate) fn open(choice: &PremiseChoice, domains: &[Name]) -> Result<Premise, Failure> {
    let path = match choice {
        PremiseChoice::Servers(servers) => {
            return Ok(Premise::Servers(servers.iter().map(|Nameserver(server)| server.clone()).collect()));
        }
        PremiseChoice::ZoneFile(path) => path,
    };
    let origin = match domains {
        [only] => Some(only),
        _ => None,
    };
    let zone = zone_file::open(path, origin).map_err(|error| {
        let hint = match error {
            zone_file::ZoneFileError::NoOrigin { .. } => {
                "add an $ORIGIN line to the file, or name one domain on the command line"
            }
            zone_file::ZoneFileError::Unreadable { .. } => "--zone-file names a zone file in BIND's format",
            _ => "the file is to be one that a name server would load, in BIND's format",
        };
        Failure::from_error(Code::ZoneFile, &error).with_hint(hint)
    })?;
    match domains.iter().find(|domain| !domain.is_at_or_below(zone.apex())) {
        Some(stranger) => Err(Failure::new(
            Code::ZoneFile,
            format!("{} holds the zone {}, in which {stranger} does not lie", zone.title(), zone.apex()),
        )
        .with_hint("name domains of that zone, or give the zone file of the domain")),
        None => Ok(Premise::Zone(zone)),
    }
}

/// Whether a look at this domain has to do with the premise: a domain outside a zone has not.
pub(crate) fn concerns(premise: &Premise, domain: &Name) -> bool {
    zone_of(premise).is_none_or(|zone| domain.is_at_or_below(zone.apex()))
}

/// The zone that isn't served, if that is the premise.
pub(crate) fn zone_of(premise: &Premise) -> Option<&UnservedZone> {
    match premise {
        Premise::Zone(zone) => Some(zone),
        Premise::Servers(_) => None,
    }
}

/// The premise in a sentence.
pub(crate) fn describe(premise: &Premise) -> String {
    match premise {
        Premise::Zone(zone) => format!("supposing that {} were served as {}", zone.title(), zone.apex()),
        Premise::Servers(servers) => {
            let servers: Vec<String> = servers.iter().map(show).collect();
            format!("supposing a delegation to {}", servers.join(", "))
        }
    }
}

fn show(server: &PremiseServer) -> String {
    let (host, port) = match server {
        PremiseServer::Named { name, port } => (name.to_string(), port),
        PremiseServer::At { address, port } => (address.to_string(), port),
    };
    port.map_or_else(|| host.clone(), |port| format!("{host} port {port}"))
}
