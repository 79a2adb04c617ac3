//! [`RepairPlan`]: the edits of one zone that mend an identity's records, or why there are none.

use std::collections::BTreeSet;
use std::fmt;

use serde::Serialize;

use super::standing::{Standing, blind_spot, delegation_of, seen_at_servers};
use crate::identity::{Expected, ExpectedValue, Identity, KeyMaker, ProviderStatus, Targets};
use crate::judge::{Cause, Depth, Port, RecordReport, Report, State, Verdict, fits};
use crate::key_record::KeyRecord;
use crate::look::{Basis, Sight};
use crate::name::Name;
use crate::publish::{MAX_STRING, TTL, zone_line};
use crate::record::{Record, RecordData, RecordKind, Txt};
use crate::zone::{HostedZone, Visibility};

/// The edits of one zone that mend an identity's records: all of them or none are to be made.
///
/// It is made by [`between`](Self::between), and is empty where the zone holds all that it must.
/// [`fmt::Display`] is the difference, as people read it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RepairPlan {
    /// The zone that is edited.
    pub zone: TargetZone,
    /// What is done, in this order.
    pub edits: Vec<Edit>,
}

/// The zone that a plan edits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct TargetZone {
    /// The host's own id of it.
    pub id: String,
    /// The host, as people call it.
    pub host: String,
    /// The zone.
    pub name: Name,
}

/// What is done at one name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Edit {
    /// The name.
    pub name: Name,
    /// Every record that stands there when the plan is made; it rests on that.
    pub before: Vec<Record>,
    /// The record that stands there, alone, afterwards; none where what stands there is removed.
    pub after: Option<Record>,
    /// Why, in a sentence.
    pub reason: String,
}

/// Why nothing is edited, and what is to be done instead.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Refusal {
    /// Too little is known of the world or of the provider.
    NotSeen {
        /// What, in a sentence.
        what: String,
    },
    /// The zone that the world is sent to isn't held by any host that can be edited here.
    HeldElsewhere {
        /// The zone.
        zone: Name,
        /// Its name servers, as the parent gives them.
        servers: Vec<Name>,
        /// The records that are to be published there.
        records: Vec<Expected>,
        /// Why the zones of the host couldn't be read here, where that is all that keeps one from being found.
        unread: Option<String>,
    },
    /// Several zones could be the one that the world is sent to.
    SeveralZones {
        /// The zone's name.
        zone: Name,
        /// Their ids.
        ids: Vec<String>,
    },
    /// The identity is a replica: records and keys are those of its parent in another region.
    Replica,
    /// Which key is to be published isn't known: it is the owner's.
    KeyUnknown {
        /// The record's name.
        name: Name,
    },
    /// The provider no longer looks, and must be given the owner's private key again to start.
    ProviderNeedsKey,
    /// At the name stands a usable key, another than the one that is expected, and the provider says success: which of
    /// the two is the wrong one, only a person can tell.
    KeyInUse {
        /// The record's name.
        name: Name,
    },
    /// At the name stand records that nothing here may take away.
    InTheWay {
        /// The name.
        name: Name,
        /// The types of what stands there.
        kinds: Vec<RecordKind>,
    },
    /// The host's zone and what its servers answer don't agree, so that one of them is about to change.
    Unsettled {
        /// The record's name.
        name: Name,
    },
    /// What is wrong isn't mended by an edit of records.
    NoEdit {
        /// What is wrong.
        cause: Cause,
        /// What mends it.
        remedy: String,
    },
}

impl RepairPlan {
    /// The edits that mend an identity's records in the zone that the world is sent to. Of several such zones, the first
    /// in which something is to be done.
    ///
    /// `report` and `sight` are those of one full look.
    ///
    /// # Errors
    /// Why nothing may be edited.
    pub fn between(report: &Report, sight: &Sight) -> Result<Self, Refusal> {
        let identity = &report.identity;
        check_look(report)?;
        if let Err(error) = identity.expected() {
            let what = format!("a selector of the identity makes no DNS name: {error}");
            return Err(Refusal::NotSeen { what });
        }
        let mut whole: Option<Self> = None;
        for zone in zones_of(report, sight)? {
            let here: Vec<&RecordReport> =
                report.records.iter().filter(|record| record.zone.as_ref() == Some(&zone)).collect();
            let hosted = match delegated_zone(&zone, report, sight) {
                Ok(hosted) => hosted,
                // Where all is well in it, nobody needs to edit it.
                Err(_) if here.iter().all(|record| holds_where_seen(record, sight)) => continue,
                Err(refusal) => return Err(refusal),
            };
            let plan = Self::of_zone(hosted, &here, &identity.status, sight)?;
            if !plan.is_empty() {
                return Ok(plan);
            }
            whole.get_or_insert(plan);
        }
        Ok(whole.unwrap_or_else(|| Self::of_nothing(identity)))
    }

    /// The edits that take away the CNAMEs of selectors that the identity had before, once today's hold everywhere and
    /// the provider has seen them.
    ///
    /// # Errors
    /// Why nothing may be edited.
    pub fn removing_earlier(report: &Report, sight: &Sight) -> Result<Self, Refusal> {
        check_look(report)?;
        if report.identity.id.account.as_deref() == Some("-") {
            let what =
                "earlier records are removed only where the account is known; another identity may need them";
            return Err(Refusal::NotSeen { what: what.to_owned() });
        }
        let holds = |record: &RecordReport| Standing::of(record, sight) == Standing::Holds;
        if report.identity.status != ProviderStatus::Success || !report.records.iter().all(holds) {
            let what = "earlier records are removed only once today's hold at every server and the provider has \
                        seen them";
            return Err(Refusal::NotSeen { what: what.to_owned() });
        }
        let today: BTreeSet<&Name> = report.records.iter().map(|record| &record.expected.name).collect();
        let zones_of_keys: BTreeSet<Name> =
            report.records.iter().filter_map(|record| record.expected.value.target()?.parent()).collect();
        for zone in zones_of(report, sight)? {
            let earlier: Vec<&Name> = sight
                .earlier
                .iter()
                .filter(|name| !today.contains(name) && name.is_at_or_below(&zone))
                .collect();
            if earlier.is_empty() {
                continue;
            }
            let hosted = delegated_zone(&zone, report, sight).map_err(Refusal::without_records)?;
            let mut edits = Vec::new();
            for name in earlier {
                let before: Vec<Record> = hosted.at(name).cloned().collect();
                // The same label in the provider's zone: made by it for this identity, and by nobody else.
                let is_its = |record: &Record| match &record.data {
                    RecordData::Cname(target) => {
                        target.labels().next() == name.labels().next()
                            && target.parent().is_some_and(|zone| zones_of_keys.contains(&zone))
                    }
                    _ => false,
                };
                if !before.is_empty() && before.iter().all(is_its) {
                    let reason =
                        "It belongs to a token that the identity had before, and today's are verified.";
                    edits.push(Edit { name: name.clone(), before, after: None, reason: reason.to_owned() });
                }
            }
            if !edits.is_empty() {
                return Ok(Self { zone: TargetZone::of(hosted), edits });
            }
        }
        Ok(Self::of_nothing(&report.identity))
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.edits.is_empty()
    }

    /// The records of a zone, given all of them, as they are once the plan is applied. What it doesn't name stays as it
    /// is, octet for octet.
    #[must_use]
    pub fn applied_to(&self, records: &[Record]) -> Vec<Record> {
        let edited: BTreeSet<&Name> = self.edits.iter().map(|edit| &edit.name).collect();
        let kept = records.iter().filter(|record| !edited.contains(&record.name)).cloned();
        kept.chain(self.edits.iter().filter_map(|edit| edit.after.clone())).collect()
    }

    /// Whether the zone still holds what the plan rests on; what else it holds doesn't matter.
    pub fn is_current(&self, records: &[Record]) -> bool {
        self.edits.iter().all(|edit| {
            let now: Vec<&Record> = records.iter().filter(|record| record.name == edit.name).collect();
            now.len() == edit.before.len() && edit.before.iter().all(|record| now.contains(&record))
        })
    }

    /// Whether the zone is as the plan makes it.
    pub fn is_applied(&self, records: &[Record]) -> bool {
        self.edits.iter().all(|edit| {
            let now: Vec<&Record> = records.iter().filter(|record| record.name == edit.name).collect();
            now.into_iter().eq(&edit.after)
        })
    }

    fn of_zone(
        hosted: &HostedZone,
        records: &[&RecordReport],
        status: &ProviderStatus,
        sight: &Sight,
    ) -> Result<Self, Refusal> {
        let mut edits = Vec::new();
        for record in records {
            edits.extend(edit_of(hosted, record, status, sight)?);
        }
        let beside = if edits.is_empty() { &[] } else { records };
        for record in beside {
            edits.extend(edit_beside(hosted, record, sight)?);
        }
        Ok(Self { zone: TargetZone::of(hosted), edits })
    }

    /// The plan where there is nothing to do, in whichever zone.
    fn of_nothing(identity: &Identity) -> Self {
        let zone = TargetZone { id: String::new(), host: String::new(), name: identity.domain().clone() };
        Self { zone, edits: Vec::new() }
    }
}

/// What is to be done at the name of one record, if anything is.
fn edit_of(
    hosted: &HostedZone,
    record: &RecordReport,
    status: &ProviderStatus,
    sight: &Sight,
) -> Result<Option<Edit>, Refusal> {
    let Expected { name, value } = &record.expected;
    let before: Vec<Record> = hosted.at(name).cloned().collect();
    if matches!(&before[..], [only] if fits(value, &only.data)) {
        return Ok(None);
    }
    match Standing::of(record, sight) {
        Standing::Holds if is_made_by_another(hosted, &record.expected, &before, sight) => return Ok(None),
        Standing::Holds | Standing::Split => return Err(Refusal::Unsettled { name: name.clone() }),
        Standing::Unseen(what) => return Err(Refusal::NotSeen { what }),
        Standing::Lost => {}
    }
    let kinds: BTreeSet<RecordKind> = before.iter().map(Record::kind).collect();
    let may_go = |record: &Record| match record.data {
        RecordData::Txt(_) => true,
        // Where a key must be, an alias is the owner's, into a zone whose servers weren't asked.
        RecordData::Cname(_) => value.kind() == RecordKind::Cname,
        // An alias of the host's own has a type and no data, and couldn't be stated again.
        _ => false,
    };
    if !before.iter().all(may_go) {
        return Err(Refusal::InTheWay { name: name.clone(), kinds: kinds.into_iter().collect() });
    }
    let after = after_of(&record.expected)?;
    // The key that was given may be the wrong one, and the provider signs with what is published.
    if value.kind() == RecordKind::Txt
        && *status == ProviderStatus::Success
        && shows_other_key(record, &before)
    {
        return Err(Refusal::KeyInUse { name: name.clone() });
    }
    let reason = match &before[..] {
        [] if sight.wildcard.contains(name) => {
            "It isn't in the zone, and a wildcard answers in its place.".to_owned()
        }
        [] => "It isn't in the zone, and every name server says that it doesn't exist.".to_owned(),
        [only] if only.kind() != value.kind() => {
            format!("A {} stands where the {} must be.", only.kind(), value.kind())
        }
        [_] => "It says something else than it must.".to_owned(),
        several => format!("{} records stand where one must be, alone.", several.len()),
    };
    Ok(Some(Edit { name: name.clone(), before, after: Some(after), reason }))
}

/// Puts a record beside those that a plan makes, where until now only a wildcard further up makes it: once something
/// stands beside it, the wildcard no longer answers for the name (RFC 4592 §3.3.1).
fn edit_beside(hosted: &HostedZone, record: &RecordReport, sight: &Sight) -> Result<Option<Edit>, Refusal> {
    let name = &record.expected.name;
    let is_shadowed = sight.wildcard.contains(name)
        && Standing::of(record, sight) == Standing::Holds
        && hosted.at(name).next().is_none()
        && !hosted.records.iter().any(makes_records);
    if !is_shadowed {
        return Ok(None);
    }
    let after = Some(after_of(&record.expected)?);
    let reason = "Only a wildcard answers for it, and no longer does once another record stands beside it.";
    Ok(Some(Edit { name: name.clone(), before: Vec::new(), after, reason: reason.to_owned() }))
}

/// Whether a usable key that isn't the expected one stands at a record's name, at its host or at a server.
fn shows_other_key(record: &RecordReport, before: &[Record]) -> bool {
    let Expected { name, value } = &record.expected;
    let served = record.findings.iter().filter_map(|finding| finding.observation.outcome.as_ref().ok());
    let served = served.flat_map(|response| response.texts(name)).map(|text| RecordData::Txt(text.clone()));
    let held = before.iter().map(|record| record.data.clone());
    held.chain(served).any(|data| fits(&ExpectedValue::AnyKey, &data) && !fits(value, &data))
}

/// The record as it is published.
fn after_of(expected: &Expected) -> Result<Record, Refusal> {
    let name = expected.name.clone();
    let data = match &expected.value {
        ExpectedValue::Cname(target) => RecordData::Cname(target.clone()),
        ExpectedValue::Key(key) => RecordData::Txt(strings_of(key)),
        ExpectedValue::AnyKey => return Err(Refusal::KeyUnknown { name }),
    };
    Ok(Record { name, ttl: TTL, data })
}

/// Whether what servers answer rightly comes from something else than a record at the name: a wildcard, a DNAME, or an
/// alias to where a provider keeps the owner's key.
fn is_made_by_another(hosted: &HostedZone, expected: &Expected, before: &[Record], sight: &Sight) -> bool {
    match before {
        [] => sight.wildcard.contains(&expected.name) || hosted.records.iter().any(makes_records),
        [only] => only.kind() == RecordKind::Cname && expected.value.kind() == RecordKind::Txt,
        _ => false,
    }
}

/// Whether a record makes records at other names.
fn makes_records(record: &Record) -> bool {
    record.kind() == RecordKind::Dname || record.name.labels().next() == Some(b"*")
}

/// Whether a look says enough of the world and the provider to act on it.
pub(super) fn check_look(report: &Report) -> Result<(), Refusal> {
    let identity = &report.identity;
    let not_seen = |what: &str| Err(Refusal::NotSeen { what: what.to_owned() });
    if report.depth != Depth::Full || report.basis != Basis::World {
        return not_seen("only a full look at the world as it is says enough");
    }
    match identity.status {
        ProviderStatus::Unknown => return not_seen("the provider could not be asked what it needs"),
        ProviderStatus::Other(_) => {
            return not_seen("the provider says something that this version doesn't know");
        }
        _ => {}
    }
    if identity.keys == KeyMaker::Parent {
        return Err(Refusal::Replica);
    }
    if identity.targets == Targets::Assumed {
        return not_seen("the provider didn't tell where the records must point");
    }
    // A selector that couldn't be read is missing among those that were.
    if let Some(gap) = identity.gaps.iter().find(|gap| gap.port == Port::IdentitySource) {
        return not_seen(&gap.detail);
    }
    // These lie between the world and the zone: what is edited has no effect, or can't be proven.
    let blocking = [Cause::Offline, Cause::DomainGone, Cause::DnssecBogus];
    match report.causes.iter().find(|cause| blocking.contains(&cause.cause)) {
        Some(cause) => Err(Refusal::NoEdit { cause: cause.cause, remedy: cause.remedy.clone() }),
        None => Ok(()),
    }
}

/// The zones in which the records lie, as the world finds them.
fn zones_of(report: &Report, sight: &Sight) -> Result<BTreeSet<Name>, Refusal> {
    let mut zones = BTreeSet::new();
    for record in &report.records {
        match &record.zone {
            Some(zone) => zones.insert(zone.clone()),
            None => {
                let why =
                    sight.lost.first().cloned().unwrap_or_else(|| "no name server was asked".to_owned());
                return Err(Refusal::NotSeen {
                    what: format!("the zone of {} could not be found: {why}", record.expected.name),
                });
            }
        };
    }
    Ok(zones)
}

/// The zone at its host that the world is sent to: public, and with exactly the servers of the delegation.
fn delegated_zone<'a>(zone: &Name, report: &Report, sight: &'a Sight) -> Result<&'a HostedZone, Refusal> {
    let not_seen = |what: String| Err(Refusal::NotSeen { what });
    let Some(delegation) = delegation_of(zone, sight) else {
        return not_seen(format!("the delegation of {zone} could not be found"));
    };
    let servers = &delegation.given_by_parent;
    if servers.is_empty() {
        return not_seen(format!(
            "no server of the zone above {zone} could be asked where the world is sent"
        ));
    }
    if let Some(why) = blind_spot(delegation) {
        return not_seen(why);
    }
    let is_it = |held: &&HostedZone| {
        held.name == *zone && held.visibility == Visibility::Public && held.is_served_by(servers)
    };
    let mut held = sight.zones.iter().filter(is_it);
    match (held.next(), held.next()) {
        (Some(held), None) => Ok(held),
        (Some(first), Some(second)) => {
            let ids = [first, second].into_iter().chain(held).map(|held| held.id.clone());
            Err(Refusal::SeveralZones { zone: zone.clone(), ids: ids.collect() })
        }
        (None, _) => match report.gaps.iter().find(|gap| gap.port == Port::ZoneView) {
            Some(gap) if gap.transient => {
                not_seen(format!("the zones at the DNS host could not be read: {}", gap.detail))
            }
            gap => Err(Refusal::HeldElsewhere {
                zone: zone.clone(),
                servers: servers.clone(),
                records: sight
                    .expected
                    .iter()
                    .filter(|record| record.name.is_at_or_below(zone))
                    .cloned()
                    .collect(),
                unread: gap.map(|gap| gap.detail.clone()),
            }),
        },
    }
}

/// Whether a record holds at every server that showed anything, and there is one: nothing speaks for an edit.
fn holds_where_seen(record: &RecordReport, sight: &Sight) -> bool {
    let mut seen = seen_at_servers(record, sight).filter(|finding| finding.state != State::Unseen).peekable();
    seen.peek().is_some() && seen.all(|finding| finding.state == State::Holds)
}

/// A key as the strings of a TXT record.
fn strings_of(key: &KeyRecord) -> Txt {
    Txt::new(key.to_string().as_bytes().chunks(MAX_STRING))
}

impl Refusal {
    /// The refusal in the JSON: `not-seen`, `held-elsewhere`, …
    pub fn code(&self) -> &'static str {
        match self {
            Self::NotSeen { .. } => "not-seen",
            Self::HeldElsewhere { .. } => "held-elsewhere",
            Self::SeveralZones { .. } => "several-zones",
            Self::Replica => "replica",
            Self::KeyUnknown { .. } => "key-unknown",
            Self::ProviderNeedsKey => "provider-needs-key",
            Self::KeyInUse { .. } => "key-in-use",
            Self::InTheWay { .. } => "in-the-way",
            Self::Unsettled { .. } => "unsettled",
            Self::NoEdit { .. } => "no-edit",
        }
    }

    /// Whether a later look may say otherwise without anybody's doing.
    pub fn is_passing(&self) -> bool {
        match self {
            Self::NotSeen { .. } | Self::Unsettled { .. } => true,
            Self::NoEdit { cause, .. } => *cause == Cause::Offline,
            _ => false,
        }
    }

    /// What no edit mends, by the report's best explanation; none where it has none.
    pub(super) fn beyond_edits(report: &Report) -> Option<Self> {
        let at_least = |impact: Verdict| report.causes.iter().find(|cause| cause.impact >= impact);
        let cause = at_least(Verdict::Degraded).or_else(|| report.causes.first())?;
        Some(Self::NoEdit { cause: cause.cause, remedy: cause.remedy.clone() })
    }

    /// The same where nothing is to be published.
    fn without_records(mut self) -> Self {
        if let Self::HeldElsewhere { records, .. } = &mut self {
            records.clear();
        }
        self
    }

    /// The records that somebody else is to publish, as lines of a zone file; none where that isn't the way out.
    pub fn records(&self) -> Vec<String> {
        match self {
            Self::HeldElsewhere { records, .. } => records.iter().map(zone_line).collect(),
            _ => Vec::new(),
        }
    }
}

impl TargetZone {
    fn of(hosted: &HostedZone) -> Self {
        Self { id: hosted.id.clone(), host: hosted.host.clone(), name: hosted.name.clone() }
    }
}

/// The difference: a head, then each edit with what goes, what comes, and why.
impl fmt::Display for RepairPlan {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} zone {} of {}", self.zone.host, self.zone.id, self.zone.name)?;
        for edit in &self.edits {
            write!(f, "\n\n  {}", edit.reason)?;
            for record in &edit.before {
                write!(f, "\n  - {}. {} {} {}", record.name, record.ttl, record.kind(), record.data)?;
            }
            if let Some(record) = &edit.after {
                write!(f, "\n  + {}. {} {} {}", record.name, record.ttl, record.kind(), record.data)?;
            }
        }
        Ok(())
    }
}

/// What stands in the way, and what is to be done, in sentences.
impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::NotSeen { what } => {
                write!(f, "Nothing is edited on what is not known: {what}. Look again once it can be seen.")
            }
            Self::HeldElsewhere { zone, servers, records, unread } => {
                let servers: Vec<String> = servers.iter().map(ToString::to_string).collect();
                write!(f, "The world is sent to {} for {zone}, and ", servers.join(", "))?;
                match unread {
                    Some(why) => write!(f, "whether that zone can be edited from here is not known: {why}.")?,
                    None => f.write_str(
                        "no zone there can be edited from here. If another account holds it, give a role of that \
                         account.",
                    )?,
                }
                if !records.is_empty() {
                    f.write_str(" Otherwise publish exactly these records at that DNS host:")?;
                }
                records.iter().try_for_each(|record| write!(f, "\n  {}", zone_line(record)))
            }
            Self::SeveralZones { zone, ids } => write!(
                f,
                "{} zones of {zone} have the name servers that the world is sent to ({}), and which of them answers \
                 cannot be told. Delete those that are not in use.",
                ids.len(),
                ids.join(", ")
            ),
            Self::Replica => f.write_str(
                "The identity is a replica of another region's. Repair that one: records, tokens and keys are its own.",
            ),
            Self::KeyUnknown { name } => write!(
                f,
                "The key at {name} is the owner's own, and the provider never gives it back. Give the public key, or \
                 publish it by hand."
            ),
            Self::ProviderNeedsKey => f.write_str(
                "The provider no longer looks for the records, and cannot be asked from here to start again, since it is \
                 not known to make the keys of this identity. Start verification there by hand; where the key is the \
                 owner's, the provider must be given the private key again (aws sesv2 \
                 put-email-identity-dkim-signing-attributes), which is never asked for here.",
            ),
            Self::KeyInUse { name } => write!(
                f,
                "At {name} stands a usable key, another than the one that is expected, and the provider says success: \
                 the expected key may be the wrong one. Compare both with the key that mail is signed with, and \
                 remove the published one by hand if it is not in use."
            ),
            Self::InTheWay { name, kinds } => {
                let kinds: Vec<String> = kinds.iter().map(ToString::to_string).collect();
                write!(
                    f,
                    "At {name} stand records that may be somebody's ({}). Remove them by hand if they are not wanted.",
                    kinds.join(", ")
                )
            }
            Self::Unsettled { name } => write!(
                f,
                "{name} isn't as it must be in the zone, and a name server still answers it rightly: the zone has just \
                 changed. Look again in some minutes."
            ),
            Self::NoEdit { cause, remedy } => write!(f, "No edit of a record mends {}. {remedy}", cause.code()),
        }
    }
}
