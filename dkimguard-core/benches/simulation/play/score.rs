//! [`Score`]: what was told, beside what should have been.

use std::collections::BTreeMap;
use std::fmt;

use dkimguard_core::guard::{AlertEvent, IncidentKind, Severity};

use super::guard::Watched;
use super::naive::Alarms;
use super::timeline::{GRACE, Timeline};
use super::truth::{Concern, Kind, PerKind, Stretch, Truth};

/// What was told in many lives, beside what should have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Score {
    pub(crate) years: f64,
    pub(crate) looks: u64,
    pub(crate) looks_played: u64,
    pub(crate) alerts: u64,
    pub(crate) kinds: PerKind<OfKind>,
    /// Alerts that nothing warrants, by what they said.
    pub(crate) false_alarms: BTreeMap<&'static str, u64>,
    /// The first of them, for whoever wants to know why.
    pub(crate) examples: Vec<String>,
    /// The share of the provider's grace period that was left at the alert.
    pub(crate) grace: Vec<f64>,
    pub(crate) naive_alarms: u64,
    pub(crate) naive_false: BTreeMap<&'static str, u64>,
}

/// What was told of one kind of incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OfKind {
    pub(crate) due: u64,
    pub(crate) missed: u64,
    pub(crate) naive_missed: u64,
    /// From the beginning to the alert.
    pub(crate) minutes: Vec<f64>,
    /// From the first look at which an alert would be right, or that could begin to confirm one.
    pub(crate) looks: Vec<f64>,
}

/// An incident that was told of: from when until when, and since when as critical.
struct Told {
    kind: IncidentKind,
    from: f64,
    critical_from: f64,
    until: f64,
}

impl Told {
    /// Since when somebody knows as much as this concern is worth.
    fn since(&self, concern: Concern) -> Option<f64> {
        match (self.kind, concern) {
            (IncidentKind::Blind, Concern::Blind) | (IncidentKind::Dkim, Concern::Warning) => Some(self.from),
            (IncidentKind::Dkim, Concern::Critical) => Some(self.critical_from),
            _ => None,
        }
    }
}

impl Score {
    pub(crate) fn add(&mut self, timeline: &Timeline, truth: &Truth, watched: &Watched, naive: &Alarms) {
        self.years += timeline.end as f64 / super::chance::YEAR as f64;
        self.looks += watched.all_looks;
        self.looks_played += watched.looks.len() as u64;
        self.alerts += watched.alerts.len() as u64;
        let told = self.count_false(timeline, truth, watched);
        for stretch in &truth.stretches {
            self.count_missed(stretch, &told, watched, naive);
        }
        for &(from, until) in &truth.lost_at_provider {
            let (from, until) = (from as f64, until as f64);
            let told = told.iter().filter(|told| told.critical_from <= until && told.until >= from);
            if let Some(first) = told.map(|told| told.critical_from).min_by(f64::total_cmp) {
                self.grace.push(1.0 - (first - from).max(0.0) / GRACE as f64);
            }
        }
        let mut cursor = 0;
        self.naive_alarms += naive.raised.len() as u64;
        for &at in &naive.raised {
            let (sky, _) = timeline.at(at, &mut cursor);
            let concerns = [Concern::Warning, Concern::Critical, Concern::Blind];
            if !concerns.iter().any(|&concern| truth.warrants(concern, at, sky)) {
                let why = if sky.is_clear() {
                    "a lost question"
                } else if sky.offline {
                    "own network"
                } else if sky.resolvers_down & 1 != 0 {
                    "the resolver"
                } else {
                    "a passing fault"
                };
                *self.naive_false.entry(why).or_default() += 1;
            }
        }
    }

    fn count_false(&mut self, timeline: &Timeline, truth: &Truth, watched: &Watched) -> Vec<Told> {
        let mut told: Vec<Told> = Vec::new();
        let mut cursor = 0;
        for (at, alert) in &watched.alerts {
            let (sky, _) = timeline.at(*at, &mut cursor);
            let is_critical = alert.severity == Severity::Critical;
            let open = told.iter_mut().rev().find(|told| told.kind == alert.kind && told.until.is_infinite());
            let concern = match (alert.kind, is_critical) {
                (IncidentKind::Blind, _) => Concern::Blind,
                (_, true) => Concern::Critical,
                (_, false) => Concern::Warning,
            };
            let wrong = match alert.event {
                AlertEvent::Opened => {
                    let critical_from = if is_critical { *at } else { f64::INFINITY };
                    let until = f64::INFINITY;
                    told.push(Told { kind: alert.kind, from: *at, critical_from, until });
                    !truth.warrants(concern, *at, sky)
                }
                AlertEvent::Worsened => {
                    if let Some(open) = open {
                        open.critical_from = open.critical_from.min(*at);
                    }
                    !truth.warrants(concern, *at, sky)
                }
                AlertEvent::Recovered => {
                    if let Some(open) = open {
                        open.until = *at;
                    }
                    alert.kind == IncidentKind::Dkim && Truth::is_bad(sky)
                }
                AlertEvent::Reminder => false,
            };
            if wrong {
                let what = match (alert.event, concern) {
                    (AlertEvent::Recovered, _) => "recovered too early",
                    (_, Concern::Critical) => "critical",
                    (_, Concern::Warning) => "warning",
                    (_, Concern::Blind) => "blind",
                };
                *self.false_alarms.entry(what).or_default() += 1;
                if self.examples.len() < 5 {
                    self.examples.push(format!("{what} at {at}: {alert} {:?}\n{sky:?}", alert.causes));
                }
            }
        }
        told
    }

    fn count_missed(&mut self, stretch: &Stretch, told: &[Told], watched: &Watched, naive: &Alarms) {
        let concern = stretch.kind.concern();
        let (from, until) = (stretch.from as f64, stretch.until as f64);
        let of_kind = self.kinds.entry(stretch.kind).or_default();
        let known = told
            .iter()
            .filter_map(|told| Some((told.since(concern)?, told.until)))
            .filter(|&(since, over)| since <= until && over >= from)
            .map(|(since, _)| since)
            .min_by(f64::total_cmp);
        if stretch.is_due {
            of_kind.due += 1;
            of_kind.missed += u64::from(known.is_none());
            let first = naive.failed.partition_point(|&at| at < from);
            let is_seen = naive.failed.get(first).is_some_and(|&at| at <= until);
            of_kind.naive_missed += u64::from(!is_seen);
            if known.is_none() && self.examples.len() < 5 {
                self.examples.push(format!("missed: {stretch:?}"));
            }
        }
        // Whoever knows already isn't told again.
        if let Some(since) = known.filter(|&since| since >= from) {
            let right_from = if concern == Concern::Critical { from } else { stretch.right_from as f64 };
            let count = |time: f64| watched.looks.partition_point(|&look| look < time);
            let looks =
                watched.looks.partition_point(|&look| look <= since).saturating_sub(count(right_from));
            of_kind.minutes.push((since - from) / 60.0);
            of_kind.looks.push(looks as f64);
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.years += other.years;
        self.looks += other.looks;
        self.looks_played += other.looks_played;
        self.alerts += other.alerts;
        for (kind, theirs) in other.kinds {
            let ours = self.kinds.entry(kind).or_default();
            ours.due += theirs.due;
            ours.missed += theirs.missed;
            ours.naive_missed += theirs.naive_missed;
            ours.minutes.extend(theirs.minutes);
            ours.looks.extend(theirs.looks);
        }
        for (what, count) in other.false_alarms {
            *self.false_alarms.entry(what).or_default() += count;
        }
        for (what, count) in other.naive_false {
            *self.naive_false.entry(what).or_default() += count;
        }
        self.examples.extend(other.examples);
        self.grace.extend(other.grace);
        self.naive_alarms += other.naive_alarms;
    }

    pub(crate) fn false_count(&self) -> u64 {
        self.false_alarms.values().sum()
    }

    pub(crate) fn naive_false_count(&self) -> u64 {
        self.naive_false.values().sum()
    }

    pub(crate) fn sum(&self, count: impl Fn(&OfKind) -> u64) -> u64 {
        self.kinds.values().map(count).sum()
    }

    /// How many looks the alerts about critical incidents took.
    pub(crate) fn critical_looks(&self) -> Vec<f64> {
        let critical = |kind: &Kind| kind.concern() == Concern::Critical;
        let looks = self.kinds.iter().filter(|(kind, _)| critical(kind)).flat_map(|(_, of)| &of.looks);
        looks.copied().collect()
    }
}

/// The least value that so many percent don't exceed.
pub(crate) fn percentile(values: &[f64], percent: usize) -> f64 {
    let mut sorted = values.to_vec();
    sorted.sort_by(f64::total_cmp);
    let index = (sorted.len() * percent).div_ceil(100).saturating_sub(1);
    sorted.get(index).copied().unwrap_or(f64::NAN)
}

/// The tables, 80 columns wide at most.
impl fmt::Display for Score {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let of = |values: &[f64]| {
            [50, 95, 100].map(|percent| match percentile(values, percent) {
                value if value.is_nan() => "-".to_owned(),
                value => format!("{value:.0}"),
            })
        };
        writeln!(
            f,
            "{:.0} domain-years, {} looks ({} played), {} alerts\n",
            self.years, self.looks, self.looks_played, self.alerts
        )?;
        writeln!(f, "{:24} {:>6} {:>6} {:>6} {:>15} {:>15}", "", "", "", "naive", "minutes", "looks")?;
        writeln!(
            f,
            "{:24} {:>6} {:>6} {:>6} {:>15} {:>15}",
            "incident", "due", "missed", "missed", "med/95 %/max", "med/95 %/max"
        )?;
        for (kind, of_kind) in &self.kinds {
            let [minutes, looks] = [&of_kind.minutes, &of_kind.looks].map(|values| of(values).join("/"));
            let OfKind { due, missed, naive_missed, .. } = of_kind;
            writeln!(f, "{kind:24} {due:>6} {missed:>6} {naive_missed:>6} {minutes:>15} {looks:>15}")?;
        }
        let all = self.critical_looks();
        let [due, missed, naive] =
            [self.sum(|of| of.due), self.sum(|of| of.missed), self.sum(|of| of.naive_missed)];
        writeln!(f, "{:24} {due:>6} {missed:>6} {naive:>6} {:>15} {:>15}\n", "all", "", "")?;
        writeln!(f, "looks to a critical alert, med/95 %/max: {}", of(&all).join("/"))?;
        writeln!(
            f,
            "grace period left at the alert, of {}: median {:.2} %, least {:.2} %",
            self.grace.len(),
            100.0 * percentile(&self.grace, 50),
            100.0 * percentile(&self.grace, 0)
        )?;
        writeln!(f, "false alarms: {} {:?}", self.false_count(), self.false_alarms)?;
        writeln!(f, "false alarms of the naive rule: {} of {}", self.naive_false_count(), self.naive_alarms)?;
        for (why, count) in &self.naive_false {
            writeln!(f, "    {why:20} {count:>8}")?;
        }
        Ok(())
    }
}
