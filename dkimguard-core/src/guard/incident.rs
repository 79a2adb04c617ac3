//! [`Incident`]: something that somebody was told of and that isn't over.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::policy::Policy;
use super::{Alert, AlertEvent, IncidentId, IncidentKind, ReportJson, Severity};
#[cfg(feature = "guard")]
use crate::identity::IdentityId;
use crate::identity::ProviderStatus;
use crate::judge::{Report, Verdict, WORKING_HOURS};
use crate::repair::RepairPlan;

/// At how much of the way to the deadline somebody is reminded, in percent.
const DEADLINE_MARKS: [i64; 3] = [50, 75, 90];
/// How many looks at which all is well end an incident.
const LOOKS_TO_RECOVER: u32 = 2;

/// How far it has come, the least grave first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(super) enum Stage {
    /// A validator may fail by chance, or nothing is known.
    Degraded,
    /// A validator fails.
    Failing,
    /// The provider doesn't find the records, has stopped signing, and its clock runs.
    GivingUp,
    /// The provider has given the identity up.
    GivenUp,
}

impl Stage {
    /// The stage that a report shows; none where all is well or nothing is known.
    pub(super) fn of(report: &Report) -> Option<Self> {
        match (&report.identity.status, report.verdict) {
            (ProviderStatus::Failed, _) => Some(Self::GivenUp),
            (ProviderStatus::TemporaryFailure, _) => Some(Self::GivingUp),
            (_, Verdict::Failing) => Some(Self::Failing),
            (_, Verdict::Degraded) => Some(Self::Degraded),
            (_, Verdict::Healthy | Verdict::Unknown) => None,
        }
    }

    /// Whether the provider itself says so, which needs no confirmation.
    pub(super) fn is_told_by_provider(self) -> bool {
        self >= Self::GivingUp
    }

    fn severity(self) -> Severity {
        if self >= Self::Failing { Severity::Critical } else { Severity::Warning }
    }
}

/// Something that somebody was told of and that isn't over.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Incident {
    id: IncidentId,
    kind: IncidentKind,
    opened_at: Timestamp,
    stage: Stage,
    /// How many alerts there were.
    alerts: u32,
    /// How many of the regular reminders are due or past.
    reminders: i64,
    /// How many of the [`DEADLINE_MARKS`] are past.
    marks: usize,
    /// The last look at which it wasn't well.
    seen_at: Timestamp,
    deadline: Option<Timestamp>,
    deadline_promised: Option<Timestamp>,
    /// How many looks in a row all was well, and when the last of them was.
    well: u32,
    well_at: Option<Timestamp>,
}

impl Incident {
    /// Opens an incident, and tells of it.
    pub(super) fn open(kind: IncidentKind, stage: Stage, report: &Report) -> (Self, Alert) {
        let at = report.at;
        let mut incident = Self {
            id: IncidentId::new(&report.identity.id.to_string(), kind, at),
            kind,
            opened_at: at,
            stage,
            alerts: 0,
            reminders: 0,
            marks: 0,
            seen_at: at,
            deadline: None,
            deadline_promised: None,
            well: 0,
            well_at: None,
        };
        incident.note_deadline(report);
        let alert = incident.alert(AlertEvent::Opened, report);
        (incident, alert)
    }

    /// It lasts: tells of it where it has become graver or where it is time for a reminder.
    pub(super) fn last(&mut self, stage: Option<Stage>, report: &Report, policy: &Policy) -> Option<Alert> {
        self.well = 0;
        self.well_at = None;
        if told_by_provider(report) == Some(false) {
            // What the provider has taken back is news when it says so again.
            self.stage = self.stage.min(Stage::Failing);
        }
        let is_worse = stage.is_some_and(|stage| stage > self.stage);
        self.stage = self.stage.max(stage.unwrap_or(self.stage));
        self.note_deadline(report);
        let (reminders, marks) =
            (reminders_due(self.opened_at, report.at, policy), marks_passed(self.deadline, report.at));
        if report.at < self.seen_at {
            // The clock was set back: what it had passed is still to come.
            (self.reminders, self.marks) = (reminders, marks);
        }
        self.seen_at = report.at;
        // Both are counted in any case, so that what falls together is told once.
        let is_day = raise(&mut self.reminders, reminders);
        let is_mark = raise(&mut self.marks, marks);
        if is_worse {
            return Some(self.alert(AlertEvent::Worsened, report));
        }
        (is_day || is_mark).then(|| self.alert(AlertEvent::Reminder, report))
    }

    /// All is well at this look: tells so once it is sure, and then the incident is over. Looks at the same minute
    /// count once.
    pub(super) fn be_well(&mut self, report: &Report, policy: &Policy) -> Option<Alert> {
        let is_apart = self.well_at.is_none_or(|last| policy.are_apart(last, report.at));
        if is_apart || self.well_at > Some(report.at) {
            self.well += 1;
            self.well_at = Some(report.at);
        }
        (self.well >= LOOKS_TO_RECOVER).then(|| self.alert(AlertEvent::Recovered, report))
    }

    /// It is over at once.
    #[cfg(feature = "guard")]
    pub(super) fn close(mut self, report: &Report) -> Alert {
        self.alert(AlertEvent::Recovered, report)
    }

    /// It is over since another incident of the identity stands for it.
    #[cfg(feature = "guard")]
    pub(super) fn give_way(
        self,
        other: &Self,
        id: &IdentityId,
        at: Option<Timestamp>,
        verdict: Option<Verdict>,
    ) -> Alert {
        Alert {
            incident: self.id,
            number: self.alerts + 1,
            event: AlertEvent::Recovered,
            kind: self.kind,
            severity: self.stage.severity(),
            at: at.unwrap_or(self.seen_at),
            opened_at: self.opened_at,
            id: id.to_string(),
            domain: Some(id.domain.clone()),
            verdict: verdict.unwrap_or(Verdict::Unknown),
            summary: format!("two instances told of the same; it goes on as incident {}", other.id),
            remedy: None,
            causes: Vec::new(),
            deadline: None,
            deadline_promised: None,
            report: None,
        }
    }

    /// The same incident as another instance knows it: no number of its alerts is given twice.
    #[cfg(feature = "guard")]
    pub(super) fn after_alerts_of(mut self, other: &Self) -> Self {
        let is_later = other.seen_at > self.seen_at;
        let alerts = self.alerts.max(other.alerts);
        if is_later {
            self = other.clone();
        }
        self.alerts = alerts;
        self
    }

    pub(super) fn kind(&self) -> IncidentKind {
        self.kind
    }

    pub(super) fn id(&self) -> &IncidentId {
        &self.id
    }

    pub(super) fn opened_at(&self) -> Timestamp {
        self.opened_at
    }

    /// How many alerts there were.
    #[cfg(feature = "guard")]
    pub(super) fn alerts(&self) -> u32 {
        self.alerts
    }

    pub(super) fn is_well(&self) -> bool {
        self.well > 0
    }

    /// Whether it has come so far that a validator fails.
    pub(super) fn is_failing(&self) -> bool {
        self.stage >= Stage::Failing
    }

    /// Takes over the deadline, or that no clock runs any more; where the provider wasn't heard, the clock runs on.
    fn note_deadline(&mut self, report: &Report) {
        if told_by_provider(report).is_none() {
            return;
        }
        let is_new_clock = self.deadline.is_none();
        self.deadline = report.deadline.map(|deadline| deadline.working);
        self.deadline_promised = report.deadline.map(|deadline| deadline.promised);
        if is_new_clock || self.deadline.is_none() {
            // The alert about a new clock tells how far it has come already.
            self.marks = marks_passed(self.deadline, report.at);
        }
    }

    fn alert(&mut self, event: AlertEvent, report: &Report) -> Alert {
        self.alerts += 1;
        let is_over = event == AlertEvent::Recovered;
        let remedy = report.causes.iter().find(|cause| cause.impact > Verdict::Healthy);
        let is_about_provider =
            self.kind == IncidentKind::Blind && !is_over && report.verdict != Verdict::Unknown;
        let summary = if is_about_provider {
            format!("what the provider says is not known; {}", report.summary)
        } else {
            report.summary.clone()
        };
        Alert {
            incident: self.id.clone(),
            number: self.alerts,
            event,
            kind: self.kind,
            severity: self.stage.severity(),
            at: report.at,
            opened_at: self.opened_at,
            id: report.identity.id.to_string(),
            domain: Some(report.identity.domain().clone()),
            verdict: report.verdict,
            summary,
            remedy: remedy.map(|cause| with_plan(&cause.remedy, report.plan.as_ref())),
            causes: report.causes.iter().map(|cause| cause.cause.code().to_owned()).collect(),
            deadline: self.deadline.filter(|_| !is_over),
            deadline_promised: self.deadline_promised.filter(|_| !is_over),
            report: Some(ReportJson::from(report)),
        }
    }
}

/// What mends it, and where an edit is known that does, the edit.
fn with_plan(remedy: &str, plan: Option<&RepairPlan>) -> String {
    match plan {
        Some(plan) => format!("{remedy}\n\nThe edit that mends it: {plan}"),
        None => remedy.to_owned(),
    }
}

/// Whether the provider itself says that it doesn't find the records, if it was heard.
fn told_by_provider(report: &Report) -> Option<bool> {
    let is_heard = report.identity.status != ProviderStatus::Unknown;
    is_heard.then(|| Stage::of(report).is_some_and(Stage::is_told_by_provider))
}

/// Raises a count to what it is now, and says whether it has risen.
fn raise<T: Ord + Copy>(count: &mut T, now: T) -> bool {
    let has_risen = now > *count;
    *count = now.max(*count);
    has_risen
}

/// How many regular reminders are due since an incident was opened.
fn reminders_due(opened_at: Timestamp, at: Timestamp, policy: &Policy) -> i64 {
    let every = i64::try_from(policy.reminder.as_secs()).unwrap_or(i64::MAX).max(1);
    at.duration_since(opened_at).as_secs() / every
}

/// How many marks on the way to the deadline are past.
fn marks_passed(deadline: Option<Timestamp>, at: Timestamp) -> usize {
    let Some(deadline) = deadline else { return 0 };
    let whole = WORKING_HOURS * 3600;
    let gone = whole - deadline.duration_since(at).as_secs();
    DEADLINE_MARKS.iter().filter(|&&percent| gone * 100 >= whole * percent).count()
}
