//! [`Score`]: what was told, beside what should have been.

use std::collections::BTreeMap;
use std::fmt;

use dkimguard_core::guard::{AlertEvent, IncidentKind, Severity};
use dkimguard_core::judge::{Depth, State};

use super::chance::DAY;
use super::guard::{Watched, questions};
use super::naive::Alarms;
use super::sky::RECORDS;
use super::timeline::{GRACE, Timeline};
use super::truth::{Concern, Course, INTERVAL, Kind, PerKind, Stretch, Truth};

/// Less than this share of the grace period is little.
const LITTLE_GRACE: f64 = 0.95;

/// What was told in many lives, beside what should have been.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Score {
    pub(crate) years: f64,
    pub(crate) looks: u64,
    pub(crate) full_looks: u64,
    pub(crate) looks_played: u64,
    pub(crate) alerts: u64,
    pub(crate) kinds: PerKind<OfKind>,
    /// Alerts that nothing warrants, by what they said.
    pub(crate) false_alarms: BTreeMap<&'static str, u64>,
    /// The first of them, for whoever wants to know why.
    pub(crate) examples: Vec<String>,
    /// How often the provider lost an identity and found it again before the guard looked.
    pub(crate) lost_between_looks: u64,
    /// How many alerts left less than [`LITTLE_GRACE`], and for how many of them that is since the guard's own network
    /// was cut off meanwhile.
    pub(crate) little_grace: u64,
    pub(crate) little_grace_while_blind: u64,
    /// Two silences of a server within a day, which are no incidents here.
    pub(crate) flapping_by_letter: u64,
    pub(crate) naive_alarms: u64,
    pub(crate) naive_false: BTreeMap<&'static str, u64>,
}

/// What was told of one kind of incident.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct OfKind {
    /// All of them.
    pub(crate) all: u64,
    pub(crate) told: u64,
    /// Not told, and not there for long enough at the moments of the looks: whoever looked at everything at each of
    /// them would not have found it.
    pub(crate) between_looks: u64,
    /// Not told, and there for long enough at looks, but not at full ones: the resolver gave the right answer.
    pub(crate) behind_resolver: u64,
    /// Not told, and there for long enough at looks that could see it.
    pub(crate) missed: u64,
    /// Of those that were told or missed.
    pub(crate) naive_missed: u64,
    /// Of those that were told, by an incident that was open before they began, and with nothing new about it since.
    pub(crate) open_before: u64,
    /// From the beginning to the alert.
    pub(crate) minutes: Vec<f64>,
    /// How many looks the alert took from the first look at which it was there.
    pub(crate) looks: Vec<f64>,
    /// How many of these came once it was due: when it had lasted, since the first of them, for as long as it must.
    pub(crate) looks_since_due: Vec<f64>,
    /// The share of the provider's grace period that was left at the alert.
    pub(crate) grace: Vec<f64>,
}

impl OfKind {
    pub(crate) fn due(&self) -> u64 {
        self.told + self.missed
    }

    fn add(&mut self, other: Self) {
        self.all += other.all;
        self.told += other.told;
        self.between_looks += other.between_looks;
        self.behind_resolver += other.behind_resolver;
        self.missed += other.missed;
        self.naive_missed += other.naive_missed;
        self.open_before += other.open_before;
        self.minutes.extend(other.minutes);
        self.looks.extend(other.looks);
        self.looks_since_due.extend(other.looks_since_due);
        self.grace.extend(other.grace);
    }
}

/// An incident that was told of: from when until when, and since when as critical.
struct Told {
    kind: IncidentKind,
    from: f64,
    critical_from: f64,
    /// Since when as something that comes and goes.
    flapping_from: f64,
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
        self.full_looks += watched.full_looks;
        self.flapping_by_letter += truth.flapping_by_letter;
        self.looks_played += watched.looks.len() as u64;
        self.alerts += watched.alerts.len() as u64;
        let told = self.count_false(timeline, truth, watched);
        for stretch in &truth.stretches {
            self.count(stretch, timeline, &told, watched, naive);
        }
        for &(from, until) in &truth.lost_at_provider {
            let (from, until) = (from as f64, until as f64);
            let told = told.iter().filter(|told| told.critical_from <= until && told.until >= from);
            let Some(first) = told.map(|told| told.critical_from).min_by(f64::total_cmp) else {
                self.lost_between_looks += 1;
                continue;
            };
            let mut reasons = truth.stretches.iter().filter(|stretch| {
                let is_there = stretch.from as f64 <= from && from <= stretch.until as f64;
                is_there && stretch.kind.concern() == Concern::Critical
            });
            let kind = reasons.next().map_or(Kind::Provider, |stretch| stretch.kind);
            let left = 1.0 - (first - from).max(0.0) / GRACE as f64;
            self.kinds.entry(kind).or_default().grace.push(left);
            if left < LITTLE_GRACE {
                let unseen = timeline
                    .spans()
                    .filter(|(_, _, sky)| sky.offline)
                    .map(|(begin, end, _)| ((end as f64).min(first) - (begin as f64).max(from)).max(0.0));
                let seen = first - from - unseen.sum::<f64>();
                self.little_grace += 1;
                self.little_grace_while_blind += u64::from(1.0 - seen / GRACE as f64 >= LITTLE_GRACE);
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
                    let (kind, from, flapping_from) = (alert.kind, *at, f64::INFINITY);
                    told.push(Told { kind, from, critical_from, flapping_from, until });
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
            let is_flapping = alert.causes.iter().any(|cause| cause == "flapping");
            let open = told.iter_mut().rev().find(|told| is_flapping && told.kind == alert.kind);
            if let Some(open) = open {
                open.flapping_from = open.flapping_from.min(*at);
            }
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

    fn count(
        &mut self,
        stretch: &Stretch,
        timeline: &Timeline,
        told: &[Told],
        watched: &Watched,
        naive: &Alarms,
    ) {
        let (from, until) = (stretch.from as f64, stretch.until as f64);
        let of_kind = self.kinds.entry(stretch.kind).or_default();
        let known =
            told.iter().filter_map(|told| known_since(stretch, timeline, told)).min_by(f64::total_cmp);
        let sees_it = |depth| depth == Depth::Full || stretch.is_plain();
        of_kind.all += 1;
        if known.is_some() {
            of_kind.told += 1;
        } else if is_there_at_looks(stretch, timeline, watched, sees_it) {
            of_kind.missed += 1;
            if self.examples.len() < 5 {
                self.examples.push(format!("missed: {stretch:?}"));
            }
        } else if is_there_at_looks(stretch, timeline, watched, |_| true) {
            of_kind.behind_resolver += 1;
            return;
        } else {
            of_kind.between_looks += 1;
            return;
        }
        let first = naive.failed.partition_point(|&at| at < from);
        let is_seen = naive.failed.get(first).is_some_and(|&at| at <= until);
        of_kind.naive_missed += u64::from(!is_seen);
        let is_news = watched.alerts.iter().any(|(at, alert)| {
            (from..=until).contains(at) && matches!(alert.event, AlertEvent::Opened | AlertEvent::Worsened)
        });
        of_kind.open_before += u64::from(known.is_some_and(|since| since < from) && !is_news);
        // Whoever knows already isn't told again.
        if let Some(since) = known.filter(|&since| since >= from) {
            let before = |time: f64| watched.looks.partition_point(|&(look, _)| look < time);
            let all = watched.looks.partition_point(|&(look, _)| look <= since);
            // What only waits to be confirmed is right from the beginning.
            let waits = if stretch.kind.concern() == Concern::Critical { 0 } else { stretch.lasts };
            of_kind.minutes.push((since - from) / 60.0);
            of_kind.looks.push(all.saturating_sub(before(from)) as f64);
            let first = watched.looks.get(before(from)).map_or(from, |&(look, _)| look);
            let due = if waits == 0 { from } else { first + waits as f64 - 0.5 };
            of_kind.looks_since_due.push(all.saturating_sub(before(due)) as f64);
        }
    }

    /// Adds what was counted elsewhere.
    pub(crate) fn merge(&mut self, other: Self) {
        self.years += other.years;
        self.looks += other.looks;
        self.full_looks += other.full_looks;
        self.lost_between_looks += other.lost_between_looks;
        self.little_grace += other.little_grace;
        self.little_grace_while_blind += other.little_grace_while_blind;
        self.flapping_by_letter += other.flapping_by_letter;
        self.looks_played += other.looks_played;
        self.alerts += other.alerts;
        for (kind, theirs) in other.kinds {
            self.kinds.entry(kind).or_default().add(theirs);
        }
        for (what, count) in other.false_alarms {
            *self.false_alarms.entry(what).or_default() += count;
        }
        for (what, count) in other.naive_false {
            *self.naive_false.entry(what).or_default() += count;
        }
        self.examples.extend(other.examples);
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

    /// How many looks all alerts took, from when they were right.
    pub(crate) fn looks_since_due(&self) -> Vec<f64> {
        self.kinds.values().flat_map(|of| &of.looks_since_due).copied().collect()
    }

    /// The share of the provider's grace period that was left at the alerts.
    pub(crate) fn grace(&self) -> Vec<f64> {
        self.kinds.values().flat_map(|of| &of.grace).copied().collect()
    }
}

/// Since when somebody knows of this, by this incident, if they do.
fn known_since(stretch: &Stretch, timeline: &Timeline, told: &Told) -> Option<f64> {
    let (from, until) = (stretch.from as f64, stretch.until as f64);
    let since = told.since(stretch.kind.concern())?;
    let is_in_time = |at: f64, until: f64| at <= until && told.until >= from;
    if !stretch.is_about_changes() {
        return is_in_time(since, until).then_some(since);
    }
    // What happens to be told on the same day about something else says nothing about this.
    let mut cursor = timeline.skies.partition_point(|(begin, _)| *begin as f64 <= since).saturating_sub(1);
    let (sky, _) = timeline.at(since, &mut cursor);
    let is_about_it = stretch.server.is_some_and(|server| {
        (0..RECORDS).any(|record| sky.state(server, record).is_some_and(|state| state != State::Holds))
    });
    if is_about_it && is_in_time(since, stretch.last_change as f64) {
        return Some(since);
    }
    Some(told.flapping_from).filter(|&at| is_in_time(at, until))
}

/// Whether it was there at the moments of the looks that count for as long as it must last, without a break.
fn is_there_at_looks(
    stretch: &Stretch,
    timeline: &Timeline,
    watched: &Watched,
    counts: impl Fn(Depth) -> bool,
) -> bool {
    let begin = (stretch.from - if stretch.is_about_changes() { DAY } else { 0 }) as f64;
    let mut cursor = timeline.skies.partition_point(|(from, _)| *from as f64 <= begin).saturating_sub(1);
    let first = watched.looks.partition_point(|&(look, _)| look < begin);
    let looks = watched.looks[first..].iter().take_while(|(look, _)| *look < stretch.until as f64);
    let mut courses: [Course; RECORDS as usize] = Default::default();
    let (mut since, mut last) = (None, begin);
    for &(look, depth) in looks {
        let (sky, _) = timeline.at(look, &mut cursor);
        let were_left_out = look - last > INTERVAL as f64 + 60.0;
        last = look;
        let is_visible = stretch.is_visible(sky);
        if let Some(server) = stretch.server.filter(|_| stretch.is_about_changes()) {
            let second = look as i64;
            for (record, course) in (0..RECORDS).zip(&mut courses) {
                if were_left_out || course.is_new() {
                    // Only looks at which all is well are left out, and the last of them was an interval before.
                    course.add(State::Holds, sky.wanted, second - INTERVAL, second - INTERVAL);
                }
                if let Some(state) = sky.state(server, record).filter(|_| is_visible && counts(depth)) {
                    course.add(state, sky.wanted, second, second);
                }
            }
        } else if !is_visible || stretch.kind.concern() == Concern::Blind && !Truth::is_blind(sky) {
            since = None;
        } else if counts(depth) && look - *since.get_or_insert(look) >= stretch.lasts as f64 - 0.5 {
            return true;
        }
    }
    courses.iter().any(Course::is_flapping)
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
            let texts = [50, 95, 100].map(|percent| match percentile(values, percent) {
                value if value.is_nan() => "-".to_owned(),
                value => format!("{value:.0}"),
            });
            texts.join("/")
        };
        let share = |values: &[f64], percent| match percentile(values, percent) {
            value if value.is_nan() => "-".to_owned(),
            value => format!("{:.2}", 100.0 * value),
        };
        let mut all = OfKind::default();
        self.kinds.values().for_each(|of_kind| all.add(of_kind.clone()));
        let rows = || {
            let kinds = self.kinds.iter().map(|(kind, of_kind)| (kind.to_string(), of_kind));
            kinds.chain([("all".to_owned(), &all)])
        };
        writeln!(f, "{:24}                 between  behind a           naive", "")?;
        writeln!(f, "{:24}    all    told    looks  resolver  missed  missed", "incident")?;
        for (kind, OfKind { all, told, between_looks, behind_resolver, missed, naive_missed, .. }) in rows() {
            writeln!(
                f,
                "{kind:24} {all:>6} {told:>7} {between_looks:>8} {behind_resolver:>9} {missed:>7} {naive_missed:>7}"
            )?;
        }
        writeln!(f, "\n{:24}       minutes        looks    since due    grace left, %", "")?;
        writeln!(f, "{:24}  med/95 %/max med/95 %/max med/95 %/max    least  median", "incident")?;
        for (kind, OfKind { minutes, looks, looks_since_due, grace, .. }) in rows() {
            let [minutes, looks, since] = [minutes, looks, looks_since_due].map(|values| of(values));
            let [least, median] = [0, 50].map(|percent| share(grace, percent));
            writeln!(f, "{kind:24} {minutes:>13} {looks:>12} {since:>12} {least:>8} {median:>7}")?;
        }
        writeln!(f, "\nlooks to a critical alert, med/95 %/max: {}", of(&self.critical_looks()))?;
        let critical = self.kinds.iter().filter(|(kind, _)| kind.concern() == Concern::Critical);
        writeln!(
            f,
            "told by nothing but an incident that was open before: {}, {} of them critical",
            all.open_before,
            critical.map(|(_, of_kind)| of_kind.open_before).sum::<u64>()
        )?;
        writeln!(
            f,
            "less than 95 % of the grace period left: {}, {} of them since the guard's own network\nwas cut off",
            self.little_grace, self.little_grace_while_blind
        )?;
        writeln!(f, "lost at the provider and found again between two looks: {}", self.lost_between_looks)?;
        writeln!(f, "a server silent twice within a day, counted as passing: {}", self.flapping_by_letter)?;
        writeln!(f, "false alarms: {} {:?}", self.false_count(), self.false_alarms)?;
        writeln!(f, "false alarms of the naive rule: {} of {}", self.naive_false_count(), self.naive_alarms)?;
        for (why, count) in &self.naive_false {
            writeln!(f, "    {why:20} {count:>8}")?;
        }
        let hours = self.years * 365.0 * 24.0;
        let [full, quick] = [self.full_looks, self.looks - self.full_looks].map(|looks| looks as f64 / hours);
        let [of_full, of_quick] = questions(3);
        let asked = full * of_full as f64 + quick * of_quick as f64;
        writeln!(
            f,
            "{:.0} domain-years, {} alerts, {} looks ({} played)",
            self.years, self.alerts, self.looks, self.looks_played
        )?;
        writeln!(
            f,
            "a domain and hour: {quick:.2} quick looks, {full:.2} full ones; {asked:.0} questions of a domain that"
        )?;
        writeln!(f, "is well and has three servers ({of_quick} a quick look, {of_full} a full one)")
    }
}
