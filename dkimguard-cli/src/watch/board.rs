//! [`Board`]: what is watched now, and how it stands, for whoever asks.

use std::collections::{BTreeMap, BTreeSet};
use std::mem;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use dkimguard_core::guard::{GuardHandle, Policy};
use dkimguard_core::identity::IdentityId;
use dkimguard_core::judge::{Report, Verdict};
use dkimguard_core::name::Name;
use jiff::{SignedDuration, Timestamp};

use super::journal::{History, Journal};

/// What is watched now. One guard takes the place of another when the configuration is read again; what the earlier one
/// saw stands until the later one has looked.
#[derive(Debug)]
pub(crate) struct Board {
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    /// None while one guard takes the place of another.
    guard: Option<GuardHandle>,
    policy: Policy,
    journal: Arc<Journal>,
    begun: Timestamp,
    /// The domains of an earlier guard, and what it saw last of each.
    earlier: BTreeMap<Name, Vec<Arc<Report>>>,
}

/// How everything stands at one time.
#[derive(Debug)]
pub(crate) struct Watch {
    pub(crate) health: Health,
    /// Each identity, in the order of the domains.
    pub(crate) standings: Vec<Standing>,
}

/// How one identity stands.
#[derive(Debug)]
pub(crate) struct Standing {
    pub(crate) id: IdentityId,
    /// Unknown where the last look is too long ago.
    pub(crate) verdict: Verdict,
    /// When the last look was taken.
    pub(crate) at: Option<Timestamp>,
    /// Of many domains, only those that aren't healthy have one.
    pub(crate) report: Option<Arc<Report>>,
    pub(crate) history: Option<History>,
}

/// How the watch itself is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Health {
    /// Whether the loop runs, or is about to.
    pub(crate) is_running: bool,
    /// Whether all domains of the source are known, where all are watched.
    pub(crate) is_listed: bool,
    /// How many looks were taken.
    pub(crate) looks: u64,
    pub(crate) watched: usize,
    /// How many domains were looked at.
    pub(crate) looked_at: usize,
    /// How many domains should have been looked at by now; one more where all domains should have been listed.
    pub(crate) overdue: usize,
    pub(crate) store_fault: Option<String>,
}

impl Health {
    /// Whether the loop is alive and its last round is fresh.
    pub(crate) fn is_good(&self) -> bool {
        self.is_running && self.overdue == 0
    }

    /// Whether every domain was looked at.
    pub(crate) fn is_ready(&self) -> bool {
        self.is_listed && self.looked_at == self.watched
    }
}

impl Board {
    /// A board for this guard.
    pub(crate) fn new(guard: GuardHandle, policy: Policy, journal: Arc<Journal>, begun: Timestamp) -> Self {
        let earlier = BTreeMap::new();
        Self { state: Mutex::new(State { guard: Some(guard), policy, journal, begun, earlier }) }
    }

    /// Takes the guard away, to be stopped. What it saw still stands.
    pub(crate) fn take(&self) -> Option<GuardHandle> {
        let mut state = self.lock();
        let guard = state.guard.take()?;
        let domains = state.domains(Some(&guard));
        let mut before = mem::take(&mut state.earlier);
        for domain in domains {
            let mut seen = guard.reports(&domain);
            if seen.is_empty() {
                seen = before.remove(&domain).unwrap_or_default();
            }
            state.earlier.insert(domain, seen);
        }
        Some(guard)
    }

    /// Puts another guard in its place.
    pub(crate) fn put(&self, guard: GuardHandle, policy: Policy, journal: Arc<Journal>, begun: Timestamp) {
        let mut state = self.lock();
        let earlier = mem::take(&mut state.earlier);
        *state = State { guard: Some(guard), policy, journal, begun, earlier };
    }

    /// How everything stands.
    pub(crate) fn watch(&self, now: Timestamp) -> Watch {
        let state = self.lock();
        let mut health = state.health();
        let domains = state.domains(state.guard.as_ref());
        health.watched = domains.len();
        let first_round_ends = state.first_round_ends(domains.len());
        if !health.is_listed && first_round_ends <= now {
            health.overdue = 1;
        }
        let mut standings = Vec::new();
        for domain in &domains {
            let seen = state.standings(domain, health.is_running, now);
            let looked_at = seen.iter().filter_map(|standing| standing.at).min();
            health.looked_at += usize::from(looked_at.is_some());
            // A guard that has just taken the place of another looks at everything anew.
            let until =
                looked_at.map_or(first_round_ends, |at| state.policy.stale_at(at).max(first_round_ends));
            health.overdue += usize::from(until <= now);
            standings.extend(seen);
        }
        Watch { health, standings }
    }

    /// How the watch itself is, without a count of the domains.
    pub(crate) fn pulse(&self) -> Health {
        self.lock().health()
    }

    /// How the watch itself is.
    pub(crate) fn health(&self, now: Timestamp) -> Health {
        self.watch(now).health
    }

    /// No change leaves the state half made.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// The domains that are watched, in order. Until all of a source are listed, those of the earlier guard are, too.
    fn domains(&self, guard: Option<&GuardHandle>) -> BTreeSet<Name> {
        let mut domains: BTreeSet<Name> =
            guard.map(GuardHandle::domains).unwrap_or_default().into_iter().collect();
        if guard.is_none_or(|guard| !guard.health().is_listed) {
            domains.extend(self.earlier.keys().cloned());
        }
        domains
    }

    fn health(&self) -> Health {
        let guard = self.guard.as_ref().map(GuardHandle::health);
        Health {
            is_running: guard.as_ref().is_none_or(|guard| guard.is_running),
            is_listed: guard.as_ref().is_none_or(|guard| guard.is_listed),
            looks: guard.as_ref().map_or(0, |guard| guard.looks),
            watched: guard.as_ref().map_or(0, |guard| guard.watched),
            looked_at: 0,
            overdue: 0,
            store_fault: guard.and_then(|guard| guard.store_fault),
        }
    }

    /// How the identities of a domain stand: as the last reports say, or in short where there are none.
    fn standings(&self, domain: &Name, is_running: bool, now: Timestamp) -> Vec<Standing> {
        let mut histories = self.journal.histories(domain);
        let mut reports = self.guard.as_ref().map(|guard| guard.reports(domain)).unwrap_or_default();
        if reports.is_empty() {
            reports = self.earlier.get(domain).cloned().unwrap_or_default();
        }
        let believed = |verdict: Verdict, at: Timestamp| {
            if is_running && self.policy.stale_at(at) > now { verdict } else { Verdict::Unknown }
        };
        if reports.is_empty() {
            histories.retain(|_, history| history.is_looked_at_here && history.looked_at.is_some());
            let brief = |(id, history): (IdentityId, History)| Standing {
                id,
                verdict: history
                    .verdict
                    .zip(history.looked_at)
                    .map_or(Verdict::Unknown, |(verdict, at)| believed(verdict, at)),
                at: history.looked_at,
                report: None,
                history: Some(history),
            };
            return histories.into_iter().map(brief).collect();
        }
        let mut full = |report: Arc<Report>| {
            let id = report.identity.id.clone();
            let history = histories.remove(&id);
            let verdict = believed(report.verdict, report.at);
            Standing { id, verdict, at: Some(report.at), report: Some(report), history }
        };
        reports.into_iter().map(&mut full).collect()
    }

    /// Until when domains that were not looked at yet may go without: three intervals, and what the budget of the source
    /// makes of a first round.
    fn first_round_ends(&self, domains: usize) -> Timestamp {
        let minutes = u32::try_from(domains).unwrap_or(u32::MAX) / self.policy.source_budget.max(1);
        let round = Duration::from_secs(60) * minutes;
        let round = SignedDuration::try_from(round).unwrap_or(SignedDuration::MAX);
        self.policy.stale_at(self.begun).checked_add(round).unwrap_or(Timestamp::MAX)
    }
}
