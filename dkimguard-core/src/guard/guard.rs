//! [`Guard`]: the loop; [`GuardHandle`]: what its embedder holds.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::pin::pin;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use futures_util::future::{self, BoxFuture};
use futures_util::stream::{self, BoxStream, FuturesUnordered, StreamExt};
use jiff::Timestamp;
use tokio::sync::{broadcast, mpsc, oneshot, watch};
use tokio::task::JoinHandle;

use super::builder::{BuildError, GuardBuilder};
use super::delivery::Batch;
use super::keeper::Keeper;
use super::mend::Due;
use super::policy::after;
use super::sweep::{Answer, Asked, Listed};
use super::visit::{Delivered, Visited, Visitor};
use super::{Alert, Memory, Timer};
use crate::identity::{Identity, IdentityId};
use crate::judge::{Report, Verdict};
use crate::look::Look;
use crate::name::Name;
use crate::ports::IdentitySource;

/// How many alerts a slow listener may be behind before it misses the oldest.
const ALERTS_KEPT: usize = 256;
/// Up to how many domains the last report of each is kept; beyond that only of those that aren't healthy.
const REPORTS_KEPT: usize = 1000;
/// How many deliveries are under way at once.
const DELIVERIES_AT_ONCE: usize = 32;
/// How many steps that mend identities are under way at once: each writes to a zone or to the provider.
const STEPS_AT_ONCE: usize = 4;
/// How many batches of domains the source is asked for at once.
const BATCHES_AT_ONCE: usize = 2;
/// The domains of a batch, as many as SES tells of in one call.
const BATCH: usize = 100;
/// By which share of its interval a domain is looked at early, so that many are asked for at once.
const EARLY: f64 = 0.1;
/// How long what is being delivered is waited for once the guard is to stop.
const LAST_WAIT: Duration = Duration::from_secs(1);
/// The longest sleep, so that a clock that is set is noticed.
const LONGEST_SLEEP: Duration = Duration::from_secs(60);

/// A guard: one loop that keeps looking at domains, remembers, and tells.
///
/// It is one task whatever the number of domains. A port that panics or hangs costs one look; deliveries and repairs never
/// hold up a look.
#[derive(Debug)]
pub struct Guard {
    visitor: Visitor,
    shared: Arc<Shared>,
    orders: mpsc::UnboundedReceiver<Order>,
    domains: Domains,
    /// When all domains of the source are to be listed; never where only named ones are watched.
    list_due: Option<Timestamp>,
    /// When alerts of an identity, or of the guard itself, can be delivered next.
    deliveries_due: HashMap<Option<IdentityId>, Timestamp>,
}

/// The domains, and in which order they are due.
#[derive(Debug, Default)]
struct Domains {
    watched: HashMap<Name, Watched>,
    /// Those that aren't being looked at.
    due: BTreeSet<(Timestamp, Name)>,
    /// Those of which the source has told, in the order in which they are looked at.
    asked: VecDeque<(Name, Answer)>,
}

/// A domain as the loop knows it.
#[derive(Debug, Default)]
struct Watched {
    /// When it is due; none while it is being looked at.
    due: Option<Timestamp>,
    /// Whether nothing depends on when exactly it is looked at.
    may_come_early: bool,
    known: Vec<Identity>,
    /// Who waits for the look that is under way, and who for the one after it.
    waiting: Vec<oneshot::Sender<Vec<Report>>>,
    waiting_for_next: Vec<oneshot::Sender<Vec<Report>>>,
}

/// When a domain is looked at next.
#[derive(Clone, Copy, Debug)]
enum Next {
    /// Then.
    At(Timestamp),
    /// Then, or a little earlier.
    About(Timestamp),
}

/// Which domains can be looked at now.
#[derive(Clone, Copy, Debug)]
enum Ready {
    /// Those that are due now, and those that are until then and may come early.
    Due { now: Timestamp, until: Timestamp },
    /// All: the clock was set back, and when they are due comes from before that.
    All,
}

/// What somebody wants of a running guard.
#[derive(Debug)]
enum Order {
    Look(Name, oneshot::Sender<Vec<Report>>),
    Notice(Name, Timestamp, oneshot::Sender<()>),
}

/// What the loop and its handle share.
#[derive(Debug)]
struct Shared {
    clock: Arc<dyn Timer>,
    policy: super::Policy,
    seen: Mutex<HashMap<Name, Seen>>,
    alerts: broadcast::Sender<Arc<Alert>>,
    has_ended: AtomicBool,
    is_listed: AtomicBool,
    looks: AtomicU64,
    panics: AtomicUsize,
    fault: Mutex<Option<String>>,
    orders: mpsc::UnboundedSender<Order>,
    stop: watch::Sender<bool>,
}

/// What was last seen of a domain.
#[derive(Debug, Default)]
struct Seen {
    /// None before the first look.
    verdict: Option<Verdict>,
    /// None until somebody subscribes: a channel takes more room than all the rest.
    subscribers: Option<watch::Sender<Verdict>>,
    looked_at: Option<Timestamp>,
    reports: Vec<Arc<Report>>,
}

/// How a guard itself is.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Health {
    /// Whether its loop runs.
    pub is_running: bool,
    /// How many looks it has taken.
    pub looks: u64,
    /// How many panics of ports it has caught.
    pub panics: usize,
    /// How many domains were looked at, and lately enough to be believed.
    pub fresh: usize,
    /// How many domains it watches.
    pub watched: usize,
    /// Whether these are all: named ones are; those of the source are from the first list on that was read whole.
    pub is_listed: bool,
    /// What is wrong with the store, if anything is.
    pub store_fault: Option<String>,
}

impl Guard {
    /// A guard that takes its identities from this source and looks so. [`GuardBuilder::watch`] says at which domains.
    pub fn builder(source: impl IdentitySource + 'static, look: Look) -> GuardBuilder {
        GuardBuilder::new(Arc::new(source), look)
    }

    pub(super) fn new(builder: GuardBuilder) -> Self {
        let GuardBuilder {
            source, look, domains, watches_all, policy, store, notifiers, clock, seed, ..
        } = builder;
        let (publisher, rearm) = (builder.publisher, builder.rearm);
        let (orders, received) = mpsc::unbounded_channel();
        let seen = domains.iter().map(|domain| (domain.clone(), Seen::default()));
        let shared = Shared {
            clock: Arc::clone(&clock),
            policy: policy.clone(),
            seen: Mutex::new(seen.collect()),
            alerts: broadcast::Sender::new(ALERTS_KEPT),
            has_ended: AtomicBool::new(false),
            is_listed: AtomicBool::new(!watches_all),
            looks: AtomicU64::new(0),
            panics: AtomicUsize::new(0),
            fault: Mutex::new(None),
            orders,
            stop: watch::Sender::new(false),
        };
        let now = clock.now();
        Self {
            visitor: Visitor {
                source,
                look,
                policy,
                names: notifiers.iter().map(|notifier| notifier.name().to_owned()).collect(),
                notifiers,
                publisher,
                rearm,
                keeper: Keeper::new(store),
                clock,
                watched: AtomicUsize::new(domains.len()),
                seed: AtomicU64::new(seed),
                panics: AtomicUsize::new(0),
            },
            shared: Arc::new(shared),
            orders: received,
            domains: Domains::due_at(now, domains),
            list_due: watches_all.then_some(now),
            deliveries_due: HashMap::new(),
        }
    }

    /// Takes one look at a domain it watches, remembers it and tells, as the loop would, and mends what is due: a report
    /// for each account and region that holds the domain, from before that.
    pub async fn look(&mut self, domain: &Name) -> Vec<Report> {
        let known = self.domains.known(domain).to_vec();
        let visited = self.visitor.visit(domain.clone(), known, None).await;
        let mut follows = Follows::default();
        let Self { visitor, shared, domains, deliveries_due, .. } = self;
        let reports = take_in(visitor, shared, domains, deliveries_due, visited, &mut follows);
        for (id, batches) in follows.deliveries {
            let delivered = self.visitor.deliver(id, batches).await;
            note_due(&mut self.deliveries_due, delivered);
        }
        for due in follows.steps {
            self.visitor.mend(due).await;
        }
        reports
    }

    /// When a domain that it watches is to be looked at next, for who calls [`look`](Self::look) in a loop of their own.
    pub fn next_look(&self, domain: &Name) -> Option<Timestamp> {
        self.domains.watched.get(domain)?.due
    }

    /// Runs until `stop` ends. What is being looked at then is dropped; what is being delivered or mended is given a
    /// second. What isn't delivered by then is delivered by whoever opens the same store next, and what came of a repair
    /// is found out by their looks.
    pub fn run(mut self, stop: impl Future<Output = ()>) -> impl Future<Output = Vec<(IdentityId, Memory)>> {
        // Made here, so that it ends also where its runtime does before it ever ran.
        let ended = Ended(Arc::clone(&self.shared));
        async move {
            self.run_until(stop).await;
            let at = self.visitor.clock.now();
            let known = self.domains.watched.values().flat_map(|watched| &watched.known);
            let mut memories = Vec::new();
            for Identity { id, .. } in known {
                let memory = self.visitor.keeper.load(id, at).await;
                memories.push((id.clone(), memory));
            }
            drop(ended);
            memories
        }
    }

    /// Runs as one task of the present Tokio runtime, until its handle is dropped or told to stop.
    ///
    /// # Errors
    /// No runtime.
    pub fn spawn(self) -> Result<GuardHandle, BuildError> {
        let runtime = tokio::runtime::Handle::try_current().map_err(|_| BuildError::NoRuntime)?;
        let shared = Arc::clone(&self.shared);
        let mut stopped = shared.stop.subscribe();
        let task = runtime.spawn(self.run(async move {
            // Whoever can no longer say so has gone.
            let _ = stopped.wait_for(|&stop| stop).await;
        }));
        Ok(GuardHandle { shared, task: Some(task) })
    }

    async fn run_until(&mut self, stop: impl Future<Output = ()>) {
        let Self { visitor, shared, orders, domains, list_due, deliveries_due } = self;
        let visitor = &*visitor;
        let mut stop = pin!(stop);
        let mut visits: FuturesUnordered<BoxFuture<'_, Visited>> = FuturesUnordered::new();
        let mut deliveries: FuturesUnordered<BoxFuture<'_, Delivered>> = FuturesUnordered::new();
        let mut batches: FuturesUnordered<BoxFuture<'_, Asked>> = FuturesUnordered::new();
        let mut lists: FuturesUnordered<BoxFuture<'_, Listed>> = FuturesUnordered::new();
        let mut mends: FuturesUnordered<BoxFuture<'_, ()>> = FuturesUnordered::new();
        let mut steps_due: VecDeque<Due> = VecDeque::new();
        let mut spent = Spending::default();
        loop {
            let now = visitor.clock.now();
            let mut wake = after(now, LONGEST_SLEEP);
            begin_list(list_due, visitor, &mut lists, now, &mut wake);
            begin_visits(domains, visitor, &mut visits, &mut batches, &mut spent, now, &mut wake);
            let own = visitor.keeper.with_own(|own| own.due(&visitor.names, &visitor.policy, now));
            if let Some(due) = own {
                deliveries_due.entry(None).or_insert(due);
            }
            begin_deliveries(deliveries_due, visitor, &mut deliveries, now, &mut wake);
            // Where as many are under way as may be, the end of one of them wakes the loop.
            while mends.len() < STEPS_AT_ONCE
                && let Some(due) = steps_due.pop_front()
            {
                mends.push(Box::pin(visitor.mend(due)));
            }
            let pause = Duration::try_from(wake.duration_since(now)).unwrap_or_default();
            tokio::select! {
                biased;
                () = &mut stop => break,
                Some(order) = orders.recv() => take_order(order, domains, visitor, now).await,
                Some(listed) = lists.next() => {
                    *list_due = Some(visitor.note_list(&listed, now));
                    take_in_list(visitor, shared, domains, listed, now);
                }
                Some(asked) = batches.next() => domains.asked.extend(asked),
                Some(visited) = visits.next() => {
                    let mut follows = Follows::default();
                    take_in(visitor, shared, domains, deliveries_due, visited, &mut follows);
                    for (id, batches) in follows.deliveries {
                        deliveries.push(Box::pin(visitor.deliver(id, batches)));
                    }
                    // One that still waits for its turn was asked for by an earlier look.
                    steps_due.retain(|waiting| follows.steps.iter().all(|due| due.id != waiting.id));
                    steps_due.extend(follows.steps);
                }
                Some(delivered) = deliveries.next() => note_due(deliveries_due, delivered),
                Some(()) = mends.next() => shared.note_faults(visitor),
                () = visitor.clock.sleep(pause) => {}
            }
        }
        drop((visits, batches, lists));
        let delivered = async { while deliveries.next().await.is_some() {} };
        let mended = async { while mends.next().await.is_some() {} };
        let rest = future::join(delivered, mended);
        future::select(pin!(rest), visitor.clock.sleep(LAST_WAIT)).await;
    }
}

/// What is to be done after a visit, outside of its time.
#[derive(Debug, Default)]
struct Follows {
    /// Deliveries that the visit has taken upon itself.
    deliveries: Vec<(Option<IdentityId>, Vec<Batch>)>,
    /// Steps that mend identities.
    steps: Vec<Due>,
}

/// How much of the source's budget is spent.
#[derive(Debug, Default)]
struct Spending {
    next_at: Option<Timestamp>,
}

impl Spending {
    /// Takes the questions about so many domains, if the budget has any: a quarter of a minute's worth may be asked at
    /// once, and one batch more.
    fn take(&mut self, budget: u32, domains: usize, now: Timestamp) -> Result<(), Timestamp> {
        let each = Duration::from_secs(60) / budget.max(1);
        let each = each.saturating_mul(u32::try_from(domains).unwrap_or(u32::MAX));
        let ahead = Duration::from_secs(15);
        let next_at =
            self.next_at.filter(|&next| next > now && next <= after(now, ahead + each)).unwrap_or(now);
        if next_at > after(now, ahead) {
            return Err(after(now, each));
        }
        self.next_at = Some(after(next_at, each));
        Ok(())
    }
}

impl Domains {
    fn due_at(at: Timestamp, domains: Vec<Name>) -> Self {
        let mut all = Self::default();
        for domain in domains {
            all.watched.insert(domain.clone(), Watched::default());
            all.put(domain, at);
        }
        all
    }

    fn known(&self, domain: &Name) -> &[Identity] {
        self.watched.get(domain).map_or(&[], |watched| &watched.known)
    }

    /// Makes a domain due at this time.
    fn put(&mut self, domain: Name, at: Timestamp) {
        if let Some(watched) = self.watched.get_mut(&domain) {
            if let Some(before) = watched.due.replace(at) {
                self.due.remove(&(before, domain.clone()));
            }
            self.due.insert((at, domain));
        }
    }

    /// When the next domain is due.
    fn next_due(&self) -> Option<Timestamp> {
        self.due.first().map(|&(at, _)| at)
    }

    /// Watches a domain too, if it isn't watched yet.
    fn add(&mut self, domain: Name, now: Timestamp) {
        if !self.watched.contains_key(&domain) {
            self.watched.insert(domain.clone(), Watched::default());
            self.put(domain, now);
        }
    }

    /// Up to so many domains that are ready, the first that are due first.
    fn next_batch(&self, ready: Ready, most: usize) -> Vec<Name> {
        let is_soon = |&&(at, _): &&(Timestamp, Name)| match ready {
            Ready::Due { until, .. } => at <= until,
            Ready::All => true,
        };
        let is_ready = |&&(at, ref domain): &&(Timestamp, Name)| match ready {
            Ready::Due { now, .. } => {
                at <= now || self.watched.get(domain).is_some_and(|watched| watched.may_come_early)
            }
            Ready::All => true,
        };
        let soon = self.due.iter().take_while(is_soon);
        soon.filter(is_ready).take(most).map(|(_, domain)| domain.clone()).collect()
    }

    /// Takes a domain, to be looked at.
    fn take(&mut self, domain: &Name) {
        let Some(watched) = self.watched.get_mut(domain) else { return };
        if let Some(due) = watched.due.take() {
            self.due.remove(&(due, domain.clone()));
        }
        watched.waiting = std::mem::take(&mut watched.waiting_for_next);
    }

    /// Has somebody wait for the next look at a domain, which is due now.
    fn await_look(&mut self, domain: Name, answer: oneshot::Sender<Vec<Report>>, now: Timestamp) {
        let Some(watched) = self.watched.get_mut(&domain) else { return };
        watched.waiting_for_next.push(answer);
        // One that is being looked at becomes due when that look ends.
        if watched.due.is_some() {
            self.put(domain, now);
        }
    }

    /// Takes a domain back after a look, and answers who waited for it.
    fn give_back(
        &mut self,
        domain: Name,
        mut known: Vec<Identity>,
        reports: &[Report],
        next: Next,
        now: Timestamp,
    ) {
        let Some(watched) = self.watched.get_mut(&domain) else { return };
        if !known.is_empty() {
            known.shrink_to_fit();
            watched.known = known;
        }
        for waiting in watched.waiting.drain(..) {
            // Whoever asked may have gone.
            let _ = waiting.send(reports.to_vec());
        }
        watched.may_come_early = matches!(next, Next::About(_));
        let (Next::At(next) | Next::About(next)) = next;
        let next = if watched.waiting_for_next.is_empty() { next.max(now) } else { now };
        self.put(domain, next);
    }
}

/// Begins to list the domains of the source where that is due; `wake` becomes the time when it is.
fn begin_list<'a>(
    due: &mut Option<Timestamp>,
    visitor: &'a Visitor,
    lists: &mut FuturesUnordered<BoxFuture<'a, Listed>>,
    now: Timestamp,
    wake: &mut Timestamp,
) {
    match *due {
        Some(at) if at > now && at <= after(now, visitor.policy.list_interval) => *wake = (*wake).min(at),
        Some(_) => {
            *due = None;
            lists.push(Box::pin(visitor.list()));
        }
        // The end of the one that is under way wakes the loop.
        None => {}
    }
}

/// Begins the visits that are due, as many as may be under way, and where there are many domains asks the source for
/// them in batches before; `wake` becomes the time of the next.
fn begin_visits<'a>(
    domains: &mut Domains,
    visitor: &'a Visitor,
    visits: &mut FuturesUnordered<BoxFuture<'a, Visited>>,
    batches: &mut FuturesUnordered<BoxFuture<'a, Asked>>,
    spent: &mut Spending,
    now: Timestamp,
    wake: &mut Timestamp,
) {
    let policy = &visitor.policy;
    // What lies further ahead than any interval comes from a clock that was set back.
    let furthest = policy.furthest(now);
    let at_once = policy.looks_at_once.max(1);
    let is_fleet = domains.watched.len() > policy.full_up_to;
    // Where as many are under way as may be, the end of one of them wakes the loop.
    while visits.len() < at_once
        && let Some((domain, answer)) = domains.asked.pop_front()
    {
        let known = domains.known(&domain).to_vec();
        visits.push(Box::pin(visitor.visit(domain, known, Some(answer))));
    }
    loop {
        let has_room = if is_fleet {
            batches.len() < BATCHES_AT_ONCE && domains.asked.len() < BATCH
        } else {
            visits.len() < at_once
        };
        let Some(due) = domains.next_due().filter(|_| has_room) else { return };
        let is_ahead = due > furthest;
        if due > now && !is_ahead {
            *wake = (*wake).min(due);
            return;
        }
        let until = after(now, policy.interval.mul_f64(EARLY));
        let ready = if is_ahead { Ready::All } else { Ready::Due { now, until } };
        let batch = domains.next_batch(ready, if is_fleet { BATCH } else { 1 });
        if let Err(later) = spent.take(policy.source_budget, batch.len(), now) {
            *wake = (*wake).min(later);
            return;
        }
        for domain in &batch {
            domains.take(domain);
        }
        if is_fleet {
            batches.push(Box::pin(visitor.ask_many(batch)));
            continue;
        }
        for domain in batch {
            let known = domains.known(&domain).to_vec();
            visits.push(Box::pin(visitor.visit(domain, known, None)));
        }
    }
}

fn begin_deliveries<'a>(
    due: &mut HashMap<Option<IdentityId>, Timestamp>,
    visitor: &'a Visitor,
    deliveries: &mut FuturesUnordered<BoxFuture<'a, Delivered>>,
    now: Timestamp,
    wake: &mut Timestamp,
) {
    let room = DELIVERIES_AT_ONCE.saturating_sub(deliveries.len());
    let ready: Vec<_> =
        due.iter().filter(|(_, at)| **at <= now).map(|(id, _)| id.clone()).take(room).collect();
    for id in ready {
        due.remove(&id);
        deliveries.push(Box::pin(visitor.deliver_again(id)));
    }
    if let Some(next) = due.values().filter(|at| **at > now).min() {
        *wake = (*wake).min(*next);
    }
}

fn note_due(due: &mut HashMap<Option<IdentityId>, Timestamp>, delivered: Delivered) {
    if let Some(next) = delivered.next {
        due.insert(delivered.id, next);
    }
}

async fn take_order(order: Order, domains: &mut Domains, visitor: &Visitor, now: Timestamp) {
    match order {
        Order::Look(domain, answer) => domains.await_look(domain, answer, now),
        Order::Notice(domain, sent_at, done) => {
            for identity in domains.known(&domain) {
                let noted =
                    visitor.keeper.update(&identity.id, now, |memory| (memory.with_notice(sent_at), ()));
                noted.await;
            }
            // Whoever asked may have gone.
            let _ = done.send(());
        }
    }
}

/// Takes in which domains the source lists. One that it no longer lists stays watched: that it has gone is to be told.
fn take_in_list(visitor: &Visitor, shared: &Shared, domains: &mut Domains, listed: Listed, now: Timestamp) {
    for domain in listed.domains {
        lock(&shared.seen).entry(domain.clone()).or_default();
        domains.add(domain, now);
    }
    visitor.watched.store(domains.watched.len(), Ordering::Relaxed);
    if listed.fault.is_none() {
        shared.is_listed.store(true, Ordering::Release);
    }
}

/// Takes in what came of a visit, and gives the reports.
fn take_in(
    visitor: &Visitor,
    shared: &Shared,
    domains: &mut Domains,
    deliveries_due: &mut HashMap<Option<IdentityId>, Timestamp>,
    visited: Visited,
    follows: &mut Follows,
) -> Vec<Report> {
    let Visited { domain, looks } = visited;
    shared.note_faults(visitor);
    shared.looks.fetch_add(looks.len() as u64, Ordering::Relaxed);
    let now = visitor.clock.now();
    let next_look = looks.iter().filter_map(|looked| looked.next_look).min();
    let reports: Vec<Report> = looks.iter().map(|looked| looked.report.clone()).collect();
    let mut known = Vec::new();
    for looked in looks {
        for alert in looked.alerts {
            // Nobody listening is no error.
            let _ = shared.alerts.send(Arc::new(alert));
        }
        let id = Some(looked.identity.id.clone());
        if !looked.batches.is_empty() {
            deliveries_due.remove(&id);
            follows.deliveries.push((id, looked.batches));
        } else if let Some(due) = looked.delivery_due {
            deliveries_due.insert(id, due);
        }
        follows.steps.extend(looked.step_due.map(|due| *due));
        known.push(looked.identity);
    }
    let next_look = next_look.unwrap_or_else(|| after(now, visitor.policy.interval));
    // What comes sooner than it must waits for something.
    let is_regular = next_look >= after(now, visitor.policy.interval.mul_f64(1.0 - EARLY));
    let next = if is_regular { Next::About(next_look) } else { Next::At(next_look) };
    shared.see(&domain, &reports, now);
    domains.give_back(domain, known, &reports, next, now);
    reports
}

impl Shared {
    fn note_faults(&self, visitor: &Visitor) {
        self.panics.store(visitor.panics.load(Ordering::Relaxed), Ordering::Relaxed);
        *lock(&self.fault) = visitor.keeper.fault();
    }

    fn see(&self, domain: &Name, reports: &[Report], now: Timestamp) {
        let verdict = reports.iter().map(|report| report.verdict).max().unwrap_or(Verdict::Unknown);
        let mut seen = lock(&self.seen);
        let is_fleet = seen.len() > REPORTS_KEPT;
        let Some(seen) = seen.get_mut(domain) else { return };
        seen.looked_at = reports.iter().map(|report| report.at).min().or(Some(now));
        let is_kept = |report: &&Report| !is_fleet || report.verdict != Verdict::Healthy;
        seen.reports = reports.iter().filter(is_kept).cloned().map(Arc::new).collect();
        seen.verdict = Some(verdict);
        if let Some(subscribers) = &seen.subscribers {
            subscribers.send_if_modified(|before| std::mem::replace(before, verdict) != verdict);
        }
    }

    fn is_fresh(&self, seen: &Seen, now: Timestamp) -> bool {
        let is_recent = |at: Timestamp| at <= after(now, LONGEST_SLEEP) && self.policy.stale_at(at) > now;
        !self.has_ended.load(Ordering::Acquire) && seen.looked_at.is_some_and(is_recent)
    }
}

/// Ends the guard for all who ask it, however its task ends.
struct Ended(Arc<Shared>);

impl Drop for Ended {
    fn drop(&mut self) {
        self.0.has_ended.store(true, Ordering::Release);
        for subscribers in lock(&self.0.seen).values().filter_map(|seen| seen.subscribers.as_ref()) {
            subscribers.send_replace(Verdict::Unknown);
        }
    }
}

/// A running guard. Dropping it stops the guard.
#[derive(Debug)]
pub struct GuardHandle {
    shared: Arc<Shared>,
    task: Option<JoinHandle<Vec<(IdentityId, Memory)>>>,
}

impl GuardHandle {
    /// The verdict on a domain, the worst of all accounts and regions that hold it. Never older than three intervals:
    /// [`Verdict::Unknown`] before the first look, after that, when the guard has ended, and for a domain that it
    /// doesn't watch. It costs a look into a map.
    pub fn verdict(&self, domain: &Name) -> Verdict {
        let now = self.shared.clock.now();
        let seen = lock(&self.shared.seen);
        let fresh = seen.get(domain).filter(|seen| self.shared.is_fresh(seen, now));
        fresh.and_then(|seen| seen.verdict).unwrap_or(Verdict::Unknown)
    }

    /// The last reports on a domain, one for each account and region that holds it; its age is in it. Of more than
    /// 1,000 domains only those that aren't healthy have one.
    pub fn reports(&self, domain: &Name) -> Vec<Arc<Report>> {
        lock(&self.shared.seen).get(domain).map_or_else(Vec::new, |seen| seen.reports.clone())
    }

    /// The last report on a domain, the worst of them where several accounts or regions hold it.
    pub fn report(&self, domain: &Name) -> Option<Arc<Report>> {
        self.reports(domain).into_iter().max_by_key(|report| report.verdict)
    }

    /// The verdict on a domain as it changes; none if it isn't watched. It becomes [`Verdict::Unknown`] when the guard
    /// ends.
    pub fn subscribe(&self, domain: &Name) -> Option<watch::Receiver<Verdict>> {
        let mut seen = lock(&self.shared.seen);
        let seen = seen.get_mut(domain)?;
        let has_ended = self.shared.has_ended.load(Ordering::Acquire);
        let verdict = seen.verdict.filter(|_| !has_ended).unwrap_or(Verdict::Unknown);
        Some(seen.subscribers.get_or_insert_with(|| watch::Sender::new(verdict)).subscribe())
    }

    /// The alerts that this instance raises from now on. Who is 256 behind misses the oldest; a [`Notifier`] misses
    /// none.
    ///
    /// [`Notifier`]: crate::ports::Notifier
    pub fn alerts(&self) -> BoxStream<'static, Arc<Alert>> {
        let received = self.shared.alerts.subscribe();
        stream::unfold(received, |mut received| async {
            loop {
                match received.recv().await {
                    Ok(alert) => return Some((alert, received)),
                    Err(broadcast::error::RecvError::Lagged(_)) => {}
                    Err(broadcast::error::RecvError::Closed) => return None,
                }
            }
        })
        .boxed()
    }

    /// Looks at a domain now, and gives the reports; none if it isn't watched or the guard has ended.
    pub async fn look_now(&self, domain: &Name) -> Vec<Report> {
        let (answer, answered) = oneshot::channel();
        if self.shared.orders.send(Order::Look(domain.clone(), answer)).is_err() {
            return Vec::new();
        }
        answered.await.unwrap_or_default()
    }

    /// Says that the provider has sent a notice about a domain: its deadline is counted from then.
    pub async fn note_notice(&self, domain: &Name, sent_at: Timestamp) {
        let (done, noted) = oneshot::channel();
        if self.shared.orders.send(Order::Notice(domain.clone(), sent_at, done)).is_ok() {
            // The guard may end before it takes the order.
            let _ = noted.await;
        }
    }

    /// The domains that it watches, in no order.
    pub fn domains(&self) -> Vec<Name> {
        lock(&self.shared.seen).keys().cloned().collect()
    }

    /// How the guard itself is.
    pub fn health(&self) -> Health {
        let now = self.shared.clock.now();
        let seen = lock(&self.shared.seen);
        Health {
            is_running: !self.shared.has_ended.load(Ordering::Acquire),
            looks: self.shared.looks.load(Ordering::Relaxed),
            panics: self.shared.panics.load(Ordering::Relaxed),
            fresh: seen.values().filter(|seen| self.shared.is_fresh(seen, now)).count(),
            watched: seen.len(),
            is_listed: self.shared.is_listed.load(Ordering::Acquire),
            store_fault: lock(&self.shared.fault).clone(),
        }
    }

    /// Stops the guard, within a second or so, and gives back what it remembers.
    pub async fn stop(mut self) -> Vec<(IdentityId, Memory)> {
        self.shared.stop.send_replace(true);
        match self.task.take() {
            Some(task) => task.await.unwrap_or_default(),
            None => Vec::new(),
        }
    }
}

impl Drop for GuardHandle {
    fn drop(&mut self) {
        if let Some(task) = self.task.take() {
            task.abort();
        }
    }
}

/// No change leaves what is behind these locks half made, so a panic elsewhere doesn't matter.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
