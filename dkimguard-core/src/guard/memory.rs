//! [`Memory`]: what is remembered of one identity, and what it makes of a new look.

#[cfg(feature = "guard")]
mod join;

use std::collections::{BTreeMap, VecDeque};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use thiserror::Error;

use super::delivery::Delivery;
#[cfg(feature = "guard")]
use super::delivery::{Batch, Outcome};
use super::incident::{Incident, Stage};
#[cfg(feature = "guard")]
use super::journal::Ending;
use super::journal::{Entry, Journal};
use super::past::{DAY, Past};
use super::policy::after;
use super::{Alert, IncidentId, IncidentKind, Policy};
use crate::identity::{Identity, KeyMaker, ProviderStatus};
use crate::judge::{Cause, Depth, Diagnosis, Finding, Report, State, Verdict, Witnesses};
use crate::name::Name;
#[cfg(feature = "guard")]
use crate::repair::Step;

/// The format of the JSON; it changes only when an older version could not read it rightly.
pub const FORMAT: u32 = 1;
/// How many selectors of before are remembered: four changes of three tokens.
const MOST_EARLIER_SELECTORS: usize = 12;
/// How much is remembered of what is bad, and of what agrees in failing looks.
const MOST_AFFECTED: usize = 8;
/// How a server is bad that leaves one question unanswered.
const ONE_UNSEEN: &str = "u";

/// What is remembered of one identity between two looks: about 300 octets while all is well, and bounded at all times.
///
/// [`advance`](Self::advance) is the only place where it is decided whom to tell what. It is pure: the time is that of
/// the report.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Memory {
    looked_at: Option<Timestamp>,
    full_look_at: Option<Timestamp>,
    verdict: Option<Verdict>,
    /// How many looks in a row weren't healthy.
    unhealthy_looks: u32,
    suspicion: Option<Suspicion>,
    blind_since: Option<Timestamp>,
    incident: Option<Box<Incident>>,
    blindness: Option<Box<Incident>>,
    /// What the provider said, and when that was first seen.
    status: Option<(String, Timestamp)>,
    /// When the provider's notice was sent.
    notice: Option<Timestamp>,
    selectors: Vec<Name>,
    /// For whom they were made, where that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    made_for: Option<MadeFor>,
    earlier_selectors: VecDeque<Name>,
    /// Those of before that were made for this identity.
    #[serde(skip_serializing_if = "VecDeque::is_empty")]
    removable_selectors: VecDeque<Name>,
    past: Past,
    /// The last look that found a server bad, for whatever reason.
    bad_at: Option<Timestamp>,
    delivery: Delivery,
    #[serde(skip_serializing_if = "Journal::is_empty")]
    journal: Journal,
}

/// For which identity the provider made selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum MadeFor {
    /// This one, and no other.
    This,
    /// The one of which this is a replica.
    Parent,
}

/// What looks that weren't healthy have in common, before and while there is an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Suspicion {
    /// What is bad, and since which look without a break.
    bad: Vec<Bad>,
    /// The last look that was degraded or failing.
    last: Timestamp,
    looks: u32,
    /// How many failing looks agree, the last of them, and in what.
    failing: u32,
    failing_at: Timestamp,
    affected: Vec<String>,
}

/// Something that is bad, and since when.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Bad {
    /// A server's address, or a cause's code.
    what: String,
    /// How: what one look alone finds may be a question that got lost right before something else begins.
    how: String,
    since: Timestamp,
    /// Whether it isn't one look's finding any more.
    is_sure: bool,
}

/// Why a text is no memory.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum ParseMemoryError {
    /// A newer version wrote it.
    #[error("it has format {0}, and {FORMAT} is the newest known here")]
    Newer(u32),
    /// It isn't the JSON of a memory.
    #[error("it is not the JSON of a memory")]
    Damaged(#[source] serde_json::Error),
}

#[derive(Serialize, Deserialize)]
struct Stored<T> {
    format: u32,
    memory: T,
}

impl Memory {
    /// Takes a look into account: what is to be remembered then, and what somebody is to be told now. The alerts wait
    /// in the memory too until they are delivered.
    #[must_use]
    pub fn advance(mut self, report: &Report, policy: &Policy) -> (Self, Vec<Alert>) {
        let at = report.at;
        let stage = Stage::of(report);
        self.remember(report, policy);
        let mut alerts = Vec::new();
        if report.verdict == Verdict::Unknown && stage.is_none() {
            self.unhealthy_looks = self.unhealthy_looks.saturating_add(1);
            if let Some(suspicion) = &mut self.suspicion {
                suspicion.bad.retain(|bad| !is_seen_well(&bad.what, report));
            }
            alerts.extend(self.stay_blind(report, policy));
            if let Some(incident) = &mut self.incident {
                alerts.extend(incident.last(None, report, policy));
            }
        } else {
            // That something is wrong at a server says nothing of the provider, unless all of them fail.
            let is_heard = report.identity.status != ProviderStatus::Unknown;
            alerts.extend(if is_heard || report.verdict == Verdict::Failing {
                self.see_again(report, policy)
            } else {
                self.stay_blind(report, policy)
            });
            if let Some(stage) = stage {
                self.unhealthy_looks = self.unhealthy_looks.saturating_add(1);
                alerts.extend(self.suspect(stage, report, policy));
            } else {
                alerts.extend(self.be_well(report, policy));
            }
        }
        self.looked_at = Some(at);
        self.verdict = Some(report.verdict);
        self.full_look_at = if report.depth == Depth::Full {
            Some(at)
        } else {
            // A full look that lies ahead comes from a clock that was wrong, and would be the last for long.
            self.full_look_at.filter(|&last| last <= at)
        };
        for alert in &alerts {
            self.delivery.add(alert.clone());
        }
        (self, alerts)
    }

    /// Remembers that the provider has sent a notice that it no longer finds the records: its clock runs from then.
    #[must_use]
    pub fn with_notice(mut self, sent_at: Timestamp) -> Self {
        self.notice = Some(sent_at);
        self
    }

    /// Ends what is open, since the identity is known by another id from now on.
    #[cfg(feature = "guard")]
    pub(super) fn settle(mut self, report: &Report) -> (Self, Vec<Alert>) {
        let open = [self.incident.take(), self.blindness.take()];
        let alerts: Vec<Alert> = open.into_iter().flatten().map(|incident| incident.close(report)).collect();
        let mut settled = Self { delivery: self.delivery, ..Self::default() };
        for alert in &alerts {
            settled.delivery.add(alert.clone());
        }
        (settled, alerts)
    }

    /// What the memory can tell a look at the identity.
    pub fn witnesses(&self, identity: &Identity) -> Witnesses {
        let status = self.status.as_ref().filter(|(status, _)| status == identity.status.as_str());
        Witnesses {
            past: self.past.states(),
            earlier_selectors: self.earlier_selectors.iter().cloned().collect(),
            removable_selectors: self.removable_selectors.iter().cloned().collect(),
            status_first_seen: status.map(|&(_, since)| since),
            notice: self.notice,
            ..Witnesses::default()
        }
    }

    /// When the last look was taken.
    pub fn looked_at(&self) -> Option<Timestamp> {
        self.looked_at
    }

    /// When the last full look was taken.
    pub fn full_look_at(&self) -> Option<Timestamp> {
        self.full_look_at
    }

    /// What the last look came to.
    pub fn verdict(&self) -> Option<Verdict> {
        self.verdict
    }

    /// How many looks in a row weren't healthy, those at which nothing was known included.
    pub fn unhealthy_looks(&self) -> u32 {
        self.unhealthy_looks
    }

    /// Whether an incident with the records or the provider is open.
    pub fn has_incident(&self) -> bool {
        self.incident.is_some()
    }

    /// The incidents that are open: of which kind, which, and since when.
    pub fn open_incidents(&self) -> impl Iterator<Item = (IncidentKind, &IncidentId, Timestamp)> {
        let open = [&self.incident, &self.blindness].into_iter().flatten();
        open.map(|incident| (incident.kind(), incident.id(), incident.opened_at()))
    }

    /// Whether something is or was wrong or unknown, so that the next look is a full one and comes soon.
    pub fn is_unsettled(&self) -> bool {
        self.unhealthy_looks > 0 || self.incident.is_some() || self.blindness.is_some()
    }

    /// Whether a look found a server bad within the last day, so that looks go on being full ones: what comes and goes
    /// is seen only by whoever looks closely when it has just gone.
    pub fn was_bad_lately(&self, at: Timestamp) -> bool {
        self.bad_at.is_some_and(|bad_at| bad_at <= at && at.duration_since(bad_at) <= DAY)
    }

    /// The alerts that some notifier hasn't been given yet, in their order.
    pub fn undelivered(&self) -> impl Iterator<Item = &Alert> {
        self.delivery.waiting()
    }

    /// What was done to mend the identity, the earliest first; the last 32 entries.
    pub fn journal(&self) -> impl DoubleEndedIterator<Item = &Entry> {
        self.journal.entries()
    }

    /// Adds to the journal what somebody else does to mend the identity.
    #[must_use]
    pub fn with_entry(mut self, entry: Entry) -> Self {
        self.journal.note(entry);
        self
    }

    /// Takes into account which step a look asks for, and whether it is one that can be taken here; whether it is due.
    #[cfg(feature = "guard")]
    pub(super) fn note_step(
        &mut self,
        step: Option<&Step>,
        can_take: impl FnOnce(&Step) -> bool,
        report: &Report,
        policy: &Policy,
    ) -> bool {
        if let Some(step) = step {
            self.journal.prove(step, report);
        }
        self.journal.consider(step.filter(|step| can_take(step)), report, policy)
    }

    /// Writes down that a step begins that was due, unless it isn't any more; whether it does. Whoever saves the memory
    /// takes it.
    #[cfg(feature = "guard")]
    pub(super) fn begin_step(&mut self, step: &Step, reason: &str, at: Timestamp, policy: &Policy) -> bool {
        self.journal.begin(step, reason, at, policy)
    }

    /// Notes what came of a step that was begun then.
    #[cfg(feature = "guard")]
    pub(super) fn end_step(&mut self, at: Timestamp, step: &Step, ending: Ending) {
        self.journal.end(at, step.as_str(), ending);
    }

    /// The step of which it isn't known what came of it, if there is one.
    #[cfg(feature = "guard")]
    pub(super) fn open_step(&self, at: Timestamp) -> Option<&Entry> {
        self.journal.open(at)
    }

    /// The memory as JSON, to be stored.
    pub fn to_json(&self) -> String {
        serde_json::to_string(&Stored { format: FORMAT, memory: self })
            .expect("its keys are texts, and no field's own serialisation fails")
    }

    /// Reads what [`to_json`](Self::to_json) wrote.
    ///
    /// # Errors
    /// A text that a newer version wrote, or that is no such JSON.
    pub fn from_json(text: &str) -> Result<Self, ParseMemoryError> {
        #[derive(Deserialize)]
        struct Format {
            format: u32,
        }
        let Format { format } = serde_json::from_str(text).map_err(ParseMemoryError::Damaged)?;
        if format > FORMAT {
            return Err(ParseMemoryError::Newer(format));
        }
        let stored: Stored<Self> = serde_json::from_str(text).map_err(ParseMemoryError::Damaged)?;
        Ok(stored.memory)
    }

    /// When a look can decide what the last one left open, if anything is.
    pub(super) fn decision_due(&self, policy: &Policy) -> Option<Timestamp> {
        let undecided = self
            .suspicion
            .as_ref()
            .filter(|_| self.incident.is_none() && self.verdict == Some(Verdict::Degraded));
        // What would be told since it lasts is looked at all the while: two spells aren't one that lasts.
        let lasting = undecided.filter(|suspicion| suspicion.bad.iter().any(|bad| !bad.is_cached()));
        let lasting = self.looked_at.filter(|_| lasting.is_some());
        let cached = undecided.and_then(|suspicion| suspicion.lasts_at(policy, Bad::is_cached));
        // However long it was degraded or unknown before: that it fails is soon confirmed.
        let is_new = self.incident.as_ref().is_none_or(|incident| !incident.is_failing());
        let confirmation = self
            .suspicion
            .as_ref()
            .filter(|_| is_new && self.verdict == Some(Verdict::Failing))
            .map(|suspicion| after(suspicion.failing_at, policy.confirmation_gap));
        let blindness = self.blind_since.filter(|_| self.blindness.is_none());
        let blindness = blindness.map(|since| after(since, policy.blind_after));
        // A look at which all is well after one at which it wasn't wants a second one soon.
        let is_well = self.incident.iter().chain(&self.blindness).any(|incident| incident.is_well());
        let recovery = self.looked_at.filter(|_| is_well).map(|at| after(at, policy.confirmation_gap));
        [lasting, cached, confirmation, blindness, recovery].into_iter().flatten().min()
    }

    /// When alerts can be delivered to these notifiers, if any wait.
    #[cfg(feature = "guard")]
    pub(super) fn delivery_due(
        &self,
        notifiers: &[String],
        policy: &Policy,
        at: Timestamp,
    ) -> Option<Timestamp> {
        self.delivery.due(notifiers, policy, at)
    }

    /// Takes the alerts that can be delivered now; whoever saves the memory then is the one to deliver them.
    #[cfg(feature = "guard")]
    pub(super) fn claim(&mut self, notifiers: &[String], policy: &Policy, at: Timestamp) -> Vec<Batch> {
        self.delivery.claim(notifiers, policy, at)
    }

    /// Lets go of alerts that nobody is to be given.
    #[cfg(feature = "guard")]
    pub(super) fn drop_alerts(&mut self, alerts: &[Alert]) {
        self.delivery.drop_all(alerts);
    }

    /// Notes what came of a delivery.
    #[cfg(feature = "guard")]
    pub(super) fn note_delivery(
        &mut self,
        outcomes: &[Outcome],
        notifiers: &[String],
        policy: &Policy,
        at: Timestamp,
    ) {
        self.delivery.note(outcomes, notifiers, policy, at);
    }

    /// Takes over what a look shows beside the verdict.
    fn remember(&mut self, report: &Report, policy: &Policy) {
        let Identity { status, selectors, .. } = &report.identity;
        // Nothing was seen later than now: a clock that was ahead must not put a deadline off.
        if let Some((_, since)) = &mut self.status {
            *since = report.at.min(*since);
        }
        self.notice = self.notice.map(|sent_at| sent_at.min(report.at));
        let is_same = self.status.as_ref().is_some_and(|(before, _)| before == status.as_str());
        if !is_same && *status != ProviderStatus::Unknown {
            self.status = Some((status.as_str().to_owned(), report.at));
        }
        if *status == ProviderStatus::Success {
            self.notice = None;
        }
        let now: Vec<Name> = selectors.iter().map(|selector| selector.label.clone()).collect();
        // How records stood that weren't asked for yet isn't known.
        let is_known = self.selectors == now && self.verdict != Some(Verdict::Unknown);
        let before = self.full_look_at.filter(|_| is_known);
        if !now.is_empty() {
            let gone = self.selectors.iter().filter(|before| !now.contains(before)).cloned();
            if self.made_for == Some(MadeFor::This) {
                self.removable_selectors.extend(gone.clone());
            }
            self.earlier_selectors.extend(gone);
            for earlier in [&mut self.earlier_selectors, &mut self.removable_selectors] {
                earlier.retain(|earlier| !now.contains(earlier));
                while earlier.len() > MOST_EARLIER_SELECTORS {
                    earlier.pop_front();
                }
            }
            // A provider that already names another maker, and still the parent's selectors, hasn't made them anew.
            let is_parents = self.made_for == Some(MadeFor::Parent)
                && self.selectors.iter().any(|before| now.contains(before));
            self.made_for = if report.identity.keys == KeyMaker::Parent || is_parents {
                Some(MadeFor::Parent)
            } else {
                report.identity.has_selectors_of_its_own().then_some(MadeFor::This)
            };
            if self.selectors != now {
                self.selectors = now;
            }
        }
        self.past.add(report, before, policy);
        let mut findings = report.records.iter().flat_map(|record| &record.findings);
        if findings.any(|found| found.observation.vantage.is_authoritative() && found.state != State::Holds) {
            self.bad_at = Some(report.at);
        } else {
            // What is long ago, or lies ahead since a clock was wrong, says nothing any more.
            self.bad_at = self.bad_at.filter(|_| self.was_bad_lately(report.at));
        }
    }

    /// Whether mail is signed isn't known at this look.
    fn stay_blind(&mut self, report: &Report, policy: &Policy) -> Option<Alert> {
        // Two looks without a third for hours between them show nothing of these hours.
        let goes_on = self.looked_at.is_some_and(|last| policy.goes_on(last, report.at));
        let since = *self.blind_since.insert(self.blind_since.filter(|_| goes_on).unwrap_or(report.at));
        if let Some(blindness) = &mut self.blindness {
            return blindness.last(None, report, policy);
        }
        if after(since, policy.blind_after) > report.at {
            return None;
        }
        let (blindness, alert) = Incident::open(IncidentKind::Blind, Stage::Degraded, report);
        self.blindness = Some(Box::new(blindness));
        Some(alert)
    }

    /// Something is known at this look.
    fn see_again(&mut self, report: &Report, policy: &Policy) -> Option<Alert> {
        self.blind_since = None;
        let alert = self.blindness.as_mut()?.be_well(report, policy)?;
        self.blindness = None;
        Some(alert)
    }

    /// Something is wrong at this look.
    fn suspect(&mut self, stage: Stage, report: &Report, policy: &Policy) -> Option<Alert> {
        let before = self.suspicion.take();
        let suspicion = self.suspicion.insert(Suspicion::after(before, report, policy));
        let confirmed = suspicion.confirmed(stage, report, policy);
        if let Some(incident) = &mut self.incident {
            return incident.last(confirmed, report, policy);
        }
        let (incident, alert) = Incident::open(IncidentKind::Dkim, confirmed?, report);
        self.incident = Some(Box::new(incident));
        Some(alert)
    }

    /// All is well at this look. One through one resolver says little where something was wrong before.
    fn be_well(&mut self, report: &Report, policy: &Policy) -> Option<Alert> {
        if policy.is_glance(report.depth) && self.is_unsettled() {
            return None;
        }
        self.suspicion = None;
        self.unhealthy_looks = 0;
        let alert = self.incident.as_mut()?.be_well(report, policy)?;
        self.incident = None;
        Some(alert)
    }
}

impl Suspicion {
    /// What a look that isn't healthy adds to the suspicion of before. What is too long ago doesn't count: between
    /// two passing faults that far apart all may have been well.
    fn after(before: Option<Self>, report: &Report, policy: &Policy) -> Self {
        let at = report.at;
        let is_recent = |last: Timestamp| policy.goes_on(last, at);
        let is_apart = |last: Timestamp| policy.are_apart(last, at);
        let mut suspicion = before.filter(|before| is_recent(before.last)).unwrap_or(Self {
            bad: Vec::new(),
            last: Timestamp::MIN,
            looks: 0,
            failing: 0,
            failing_at: Timestamp::MIN,
            affected: Vec::new(),
        });
        suspicion.bad = still_bad(&suspicion.bad, report);
        if is_apart(suspicion.last) {
            suspicion.looks = suspicion.looks.saturating_add(1);
            suspicion.last = at;
        }
        if report.verdict != Verdict::Failing {
            suspicion.failing = 0;
            suspicion.affected.clear();
            return suspicion;
        }
        let affected = affected(report);
        let agrees = affected.iter().any(|one| suspicion.affected.contains(one));
        if !agrees || !is_recent(suspicion.failing_at) {
            suspicion.failing = 1;
            suspicion.failing_at = at;
        } else if is_apart(suspicion.failing_at) {
            suspicion.failing = suspicion.failing.saturating_add(1);
            suspicion.failing_at = at;
        }
        suspicion.affected = affected;
        suspicion
    }

    /// The stage that is sure by now, if any is.
    fn confirmed(&self, stage: Stage, report: &Report, policy: &Policy) -> Option<Stage> {
        if stage.is_told_by_provider() {
            return Some(stage);
        }
        if stage == Stage::Failing && self.failing >= policy.confirmations {
            return Some(Stage::Failing);
        }
        let flaps = report.causes.iter().any(|cause| cause.cause == Cause::Flapping);
        let lasts = self.lasts_at(policy, |bad| bad.is_sure).is_some_and(|at| at <= report.at);
        (flaps || lasts && self.looks > 1).then_some(Stage::Degraded)
    }

    /// When something that is bad without a break has lasted for long enough to be told.
    fn lasts_at(&self, policy: &Policy, counts: impl Fn(&Bad) -> bool) -> Option<Timestamp> {
        let lasts_at = |bad: &Bad| {
            after(bad.since, if bad.is_cached() { policy.cached_after } else { policy.degraded_after })
        };
        self.bad.iter().filter(|bad| counts(bad)).map(lasts_at).min()
    }
}

impl Bad {
    /// Whether it is a resolver's cache, which heals by itself.
    fn is_cached(&self) -> bool {
        self.what.starts_with(Cause::NegativeCached.code())
    }
}

/// What is bad at a look, and since when: servers by address, and causes that no server shows. One passing fault after
/// another, at different servers, makes none that lasts.
fn still_bad(before: &[Bad], report: &Report) -> Vec<Bad> {
    let mut seen: BTreeMap<String, String> = BTreeMap::new();
    let mut records = Vec::new();
    for record in &report.records {
        for finding in record.findings.iter().filter(|finding| finding.state != State::Holds) {
            let vantage = &finding.observation.vantage;
            if vantage.is_authoritative() {
                let how = seen.entry(vantage.address().to_string()).or_default();
                how.extend(finding.state.as_str().chars().next());
                records.push(&record.expected.name);
            }
        }
    }
    let is_shown = |cause: &&Diagnosis| cause.records.iter().any(|record| records.contains(&record));
    let causes = report.causes.iter().filter(|cause| cause.impact > Verdict::Unknown && !is_shown(cause));
    for cause in causes {
        // One absence in a cache after another makes none that lasts either.
        let kept = match cause.cause {
            Cause::NegativeCached => kept_absences(report),
            _ => vec![String::new()],
        };
        let whats = kept.iter().map(|kept| format!("{}{kept}", cause.cause.code()));
        seen.extend(whats.map(|what| (what, String::new())));
    }
    let mut bad: Vec<Bad> = seen
        .into_iter()
        .map(|(what, mut how)| {
            how.truncate(MOST_AFFECTED);
            let before = before.iter().find(|bad| bad.what == what);
            // All may be well by now but for one question that got lost: what is known stays, and isn't sure.
            let doubted = before.filter(|bad| bad.is_sure && bad.how != how && how == ONE_UNSEEN);
            if let Some(bad) = doubted {
                return Bad { is_sure: false, ..bad.clone() };
            }
            // A second look makes it sure; where all before was a question that may have got lost, it is bad since then.
            let goes_on = |bad: &&Bad| bad.is_sure || bad.how != ONE_UNSEEN || how == ONE_UNSEEN;
            let since = before.filter(goes_on).map_or(report.at, |bad| bad.since);
            Bad { what, how, since, is_sure: before.is_some() }
        })
        .collect();
    // What has lasted longest is what decides, and a cache only where no server does.
    bad.sort_by_key(|bad| (bad.is_cached(), bad.since));
    bad.truncate(MOST_AFFECTED);
    bad
}

/// Which resolvers answer which absences, as `@address name`.
fn kept_absences(report: &Report) -> Vec<String> {
    let findings = report
        .records
        .iter()
        .flat_map(|record| record.findings.iter().map(|found| (&record.expected.name, found)));
    findings
        .filter(|(_, found)| found.state == State::Absent && !found.observation.vantage.is_authoritative())
        .map(|(name, found)| format!("@{} {name}", found.observation.vantage.address()))
        .collect()
}

/// Whether a look that comes to nothing shows all the same that a server is well; and that a cause is gone which no
/// server shows, where all is well everywhere.
fn is_seen_well(what: &str, report: &Report) -> bool {
    let findings = || report.records.iter().flat_map(|record| &record.findings);
    let is_there = |finding: &&Finding| finding.observation.vantage.address().to_string() == what;
    let holds = |finding: &Finding| finding.state == State::Holds;
    if findings().any(|finding| is_there(&finding)) {
        return findings().filter(is_there).all(holds);
    }
    report.depth == Depth::Full && findings().next().is_some() && findings().all(holds)
}

/// What fails at a look: records by name, and where a cause has none, the cause.
fn affected(report: &Report) -> Vec<String> {
    let failing = report.causes.iter().filter(|cause| cause.impact == Verdict::Failing);
    let mut affected: Vec<String> = failing
        .flat_map(|cause| match &cause.records[..] {
            [] => vec![cause.cause.code().to_owned()],
            records => records.iter().map(ToString::to_string).collect(),
        })
        .collect();
    affected.sort_unstable();
    affected.dedup();
    affected.truncate(MOST_AFFECTED);
    affected
}
