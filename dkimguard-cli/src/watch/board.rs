//! [`Board`]: what is watched now, and how it stands, for whoever asks.

use std::collections::HashMap;
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
    domains: Vec<Name>,
    policy: Policy,
    journal: Arc<Journal>,
    begun: Timestamp,
    /// What an earlier guard saw last.
    earlier: HashMap<Name, Vec<Arc<Report>>>,
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
    /// How many looks were taken.
    pub(crate) looks: u64,
    pub(crate) watched: usize,
    /// How many domains were looked at.
    pub(crate) looked_at: usize,
    /// How many domains should have been looked at by now.
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
        self.looked_at == self.watched
    }
}

impl Board {
    /// A board for this guard.
    pub(crate) fn new(
        guard: GuardHandle,
        domains: Vec<Name>,
        policy: Policy,
        journal: Arc<Journal>,
        begun: Timestamp,
    ) -> Self {
        let guard = Some(guard);
        Self { state: Mutex::new(State { guard, domains, policy, journal, begun, earlier: HashMap::new() }) }
    }

    /// Takes the guard away, to be stopped. What it saw still stands.
    pub(crate) fn take(&self) -> Option<GuardHandle> {
        let mut state = self.lock();
        let guard = state.guard.take()?;
        let seen: Vec<_> = state.domains.iter().map(|name| (name.clone(), guard.reports(name))).collect();
        state.earlier.extend(seen.into_iter().filter(|(_, reports)| !reports.is_empty()));
        Some(guard)
    }

    /// Puts another guard in its place.
    pub(crate) fn put(
        &self,
        guard: GuardHandle,
        domains: Vec<Name>,
        policy: Policy,
        journal: Arc<Journal>,
        begun: Timestamp,
    ) {
        let mut state = self.lock();
        let mut earlier = std::mem::take(&mut state.earlier);
        earlier.retain(|domain, _| domains.contains(domain));
        *state = State { guard: Some(guard), domains, policy, journal, begun, earlier };
    }

    /// How everything stands.
    pub(crate) fn watch(&self, now: Timestamp) -> Watch {
        let state = self.lock();
        let mut health = state.health();
        let mut standings = Vec::new();
        for domain in &state.domains {
            let seen = state.standings(domain, health.is_running, now);
            let looked_at = seen.iter().filter_map(|standing| standing.at).min();
            health.count(looked_at, &state, now);
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
    fn health(&self) -> Health {
        let guard = self.guard.as_ref().map(GuardHandle::health);
        Health {
            is_running: guard.as_ref().is_none_or(|guard| guard.is_running),
            looks: guard.as_ref().map_or(0, |guard| guard.looks),
            watched: self.domains.len(),
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

    /// Until when a domain that was not looked at yet may go without: three intervals, and what the budget of the
    /// source makes of a first round.
    fn first_round_ends(&self) -> Timestamp {
        let domains = u32::try_from(self.domains.len()).unwrap_or(u32::MAX);
        let round = Duration::from_secs(60) * (domains / self.policy.source_budget.max(1));
        let round = SignedDuration::try_from(round).unwrap_or(SignedDuration::MAX);
        self.policy.stale_at(self.begun).checked_add(round).unwrap_or(Timestamp::MAX)
    }
}

impl Health {
    fn count(&mut self, looked_at: Option<Timestamp>, state: &State, now: Timestamp) {
        self.looked_at += usize::from(looked_at.is_some());
        // A guard that has just taken the place of another looks at everything anew.
        let first = state.first_round_ends();
        let until = looked_at.map_or(first, |at| state.policy.stale_at(at).max(first));
        self.overdue += usize::from(until <= now);
    }
}
