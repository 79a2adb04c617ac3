//! What an authoritative server answers from its zones.

use super::records::{DS, Found, Zone};
use crate::look::{Question, Rcode, Response};
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind};

/// How many aliases one answer follows.
pub(crate) const MAX_ALIASES: usize = 16;
/// The code for a DNAME that makes a name too long (RFC 6672 §2.2).
const YXDOMAIN: Rcode = Rcode(6);

/// What a server of these zones answers (RFC 1034 §4.3.2, without recursion).
pub(crate) fn answer(zones: &[Zone], question: &Question) -> Response {
    let mut response = Response::new(Rcode::NOERROR);
    let mut owner = question.name.clone();
    for _ in 0..MAX_ALIASES {
        let Some(zone) = zone_for(zones, &owner, question.kind) else {
            if response.answers.is_empty() {
                return Response::new(Rcode::REFUSED);
            }
            return response;
        };
        let found = zone.find(&owner, question.kind);
        // AA speaks of the first owner in the answer section (RFC 1035 §4.1.1).
        response.authoritative |= !matches!(found, Found::Cut(_));
        match found {
            Found::Records(records) => {
                response.additional = addresses_of(zone, &records);
                response.answers.extend(records);
            }
            Found::Alias { records, target } => {
                response.answers.extend(records);
                owner = target;
                continue;
            }
            Found::NoData => response.authority.extend(zone.absence()),
            Found::NoName => {
                response.rcode = Rcode::NXDOMAIN;
                response.authority.extend(zone.absence());
            }
            Found::Cut(servers) => {
                response.additional = addresses_of(zone, &servers);
                response.authority = servers;
            }
            Found::TooLong(dname) => {
                response.rcode = YXDOMAIN;
                response.answers.push(dname);
            }
        }
        return response;
    }
    // A loop, or a chain that nobody needs: what was followed so far, as name servers do.
    response
}

/// The deepest zone that holds a name; for DS, which is the parent's, the deepest above it.
fn zone_for<'a>(zones: &'a [Zone], owner: &Name, kind: RecordKind) -> Option<&'a Zone> {
    let holding = zones.iter().filter(|zone| owner.is_at_or_below(zone.apex()));
    let deepest = |zone: &&Zone| zone.apex().label_count();
    if kind == DS {
        let parent = holding.clone().filter(|zone| owner != zone.apex()).max_by_key(deepest);
        return parent.or(holding.max_by_key(deepest));
    }
    holding.max_by_key(deepest)
}

/// The addresses that the zone holds of the servers that these records name.
fn addresses_of(zone: &Zone, servers: &[Record]) -> Vec<Record> {
    let names = servers.iter().filter_map(|record| match &record.data {
        RecordData::Ns(server) => Some(server),
        _ => None,
    });
    names.flat_map(|server| zone.addresses(server)).cloned().collect()
}
