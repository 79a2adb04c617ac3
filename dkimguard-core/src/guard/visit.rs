//! [`Visitor`]: one visit to a domain, from asking the source to what is remembered.

use std::panic::AssertUnwindSafe;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use futures_util::FutureExt;
use futures_util::future::{self, Either};
use jiff::Timestamp;

use super::delivery::{Batch, Outcome};
use super::keeper::Keeper;
use super::mend::Due;
use super::sweep::Answer;
use super::{Alert, Entry, Memory, Policy, RepairMode, Timer};
use crate::error::ProviderError;
use crate::identity::{Identity, IdentityId, ProviderStatus};
use crate::judge::{Depth, Gap, Port, Report};
use crate::look::Look;
use crate::name::Name;
use crate::ports::{IdentitySource, Notifier, Rearm, RecordPublisher};
use crate::repair::Step;

/// How long a visit may take before it is given up: ports end by themselves long before.
pub(super) const LONGEST_VISIT: Duration = Duration::from_secs(300);
/// How long one delivery may take.
const LONGEST_DELIVERY: Duration = Duration::from_secs(60);

/// Visits domains, and delivers what is to be told of them. All that looks and deliveries share.
#[derive(Debug)]
pub(super) struct Visitor {
    pub(super) source: Arc<dyn IdentitySource>,
    pub(super) look: Look,
    pub(super) policy: Policy,
    pub(super) notifiers: Vec<Arc<dyn Notifier>>,
    /// The notifiers' names, in their order.
    pub(super) names: Vec<String>,
    pub(super) publisher: Option<Arc<dyn RecordPublisher>>,
    pub(super) rearm: Option<Arc<dyn Rearm>>,
    pub(super) keeper: Keeper,
    pub(super) clock: Arc<dyn Timer>,
    pub(super) watched: AtomicUsize,
    pub(super) seed: AtomicU64,
    pub(super) panics: AtomicUsize,
}

/// What came of a visit.
#[derive(Debug)]
pub(super) struct Visited {
    pub(super) domain: Name,
    pub(super) looks: Vec<Looked>,
}

/// One look, and what follows from it.
#[derive(Debug)]
pub(super) struct Looked {
    /// As the source gave it, for when the source can't be asked; or what stands for it where there was none yet.
    pub(super) identity: Identity,
    pub(super) report: Report,
    pub(super) next_look: Option<Timestamp>,
    pub(super) alerts: Vec<Alert>,
    /// What this instance is to deliver now, or else when something can be delivered.
    pub(super) batches: Vec<Batch>,
    pub(super) delivery_due: Option<Timestamp>,
    /// The step that mends the identity, where this instance is to take it now.
    pub(super) step_due: Option<Box<Due>>,
}

/// What came of a delivery, and when the next is due.
#[derive(Debug)]
pub(super) struct Delivered {
    /// Whose alerts they were; none for the guard's own.
    pub(super) id: Option<IdentityId>,
    pub(super) next: Option<Timestamp>,
}

impl Visitor {
    /// Visits a domain, of which the source has given this answer; where there is none it is asked. It always ends, and
    /// a port that panics or hangs costs the visit, not the guard.
    pub(super) async fn visit(&self, domain: Name, known: Vec<Identity>, answer: Option<Answer>) -> Visited {
        let visit = async {
            let found = match answer {
                Some(answer) => answer?,
                None => self.source.find(&domain).await,
            };
            Ok(self.look_at_all(&domain, found, &known).await)
        };
        let looks = match self.guarded(LONGEST_VISIT, visit).await.flatten() {
            Ok(looks) => looks,
            Err(what) => {
                let gap = Gap { port: Port::IdentitySource, detail: what, transient: true };
                let looks =
                    strangers(&domain, &known).map(|identity| self.note_nothing(identity, vec![gap.clone()]));
                self.guarded(LONGEST_VISIT, future::join_all(looks)).await.unwrap_or_default()
            }
        };
        Visited { domain, looks }
    }

    /// Gives each notifier its alerts, in order, all notifiers side by side, and remembers what came of it.
    pub(super) async fn deliver(&self, id: Option<IdentityId>, batches: Vec<Batch>) -> Delivered {
        let outcomes = future::join_all(batches.into_iter().map(|batch| self.deliver_batch(batch))).await;
        let at = self.clock.now();
        let next = match &id {
            Some(id) => {
                let noted = self.keeper.update(id, at, |mut memory| {
                    memory.note_delivery(&outcomes, &self.names, &self.policy, at);
                    let due = memory.delivery_due(&self.names, &self.policy, at);
                    (memory, due)
                });
                self.guarded(LONGEST_VISIT, noted).await.unwrap_or(None)
            }
            None => self.keeper.with_own(|own| {
                own.note(&outcomes, &self.names, &self.policy, at);
                own.due(&self.names, &self.policy, at)
            }),
        };
        Delivered { id, next }
    }

    /// Takes what can be delivered now of what was told earlier, and delivers it.
    pub(super) async fn deliver_again(&self, id: Option<IdentityId>) -> Delivered {
        let at = self.clock.now();
        let (batches, due) = match &id {
            Some(id) => {
                let claim = self.keeper.update(id, at, |mut memory| {
                    let claimed = self.claim(&mut memory, at);
                    (memory, claimed)
                });
                self.guarded(LONGEST_VISIT, claim).await.unwrap_or_default()
            }
            None => self.keeper.with_own(|own| {
                let batches = own.claim(&self.names, &self.policy, at);
                (batches, own.due(&self.names, &self.policy, at))
            }),
        };
        if batches.is_empty() {
            return Delivered { id, next: due };
        }
        self.deliver(id, batches).await
    }

    /// Takes what this instance is to deliver now, and says when the next delivery is due.
    fn claim(&self, memory: &mut Memory, at: Timestamp) -> (Vec<Batch>, Option<Timestamp>) {
        let batches = memory.claim(&self.names, &self.policy, at);
        (batches, memory.delivery_due(&self.names, &self.policy, at))
    }

    async fn deliver_batch(&self, batch: Batch) -> Outcome {
        let Batch { notifier, alerts } = batch;
        let mut outcome = Outcome { notifier, delivered: Vec::new(), has_failed: false };
        let Some(at) = self.names.iter().position(|name| *name == outcome.notifier) else { return outcome };
        // Whoever takes long gets the rest with the next delivery, before another instance takes over.
        let begun = self.clock.now();
        for alert in alerts {
            let elapsed = self.clock.now().duration_since(begun);
            if elapsed.as_secs() * 2
                >= i64::try_from(self.policy.delivery_lease.as_secs()).unwrap_or(i64::MAX)
            {
                break;
            }
            let delivery = AssertUnwindSafe(self.notifiers[at].deliver(&alert)).catch_unwind();
            let limit = self.clock.sleep(LONGEST_DELIVERY.min(self.policy.delivery_lease / 2));
            match future::select(Box::pin(delivery), limit).await {
                Either::Left((Ok(Ok(())), _)) => outcome.delivered.push(alert.key()),
                Either::Left((Ok(Err(_)), _)) | Either::Right(_) => outcome.has_failed = true,
                Either::Left((Err(_), _)) => {
                    self.panics.fetch_add(1, Ordering::Relaxed);
                    outcome.has_failed = true;
                }
            }
            if outcome.has_failed {
                break;
            }
        }
        outcome
    }

    /// What comes of a piece of work, or why it came to nothing: it panicked, or took too long.
    pub(super) async fn guarded<T>(
        &self,
        longest: Duration,
        work: impl Future<Output = T>,
    ) -> Result<T, String> {
        let work = Box::pin(AssertUnwindSafe(work).catch_unwind());
        match future::select(work, self.clock.sleep(longest)).await {
            Either::Left((Ok(done), _)) => Ok(done),
            Either::Left((Err(panic), _)) => {
                self.panics.fetch_add(1, Ordering::Relaxed);
                let said = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
                let said = said.or_else(|| panic.downcast_ref::<String>().cloned());
                Err(format!(
                    "a port of the guard panicked: {}",
                    said.as_deref().unwrap_or("it did not say why")
                ))
            }
            Either::Right(_) => Err(format!("it took longer than {longest:?} and was given up")),
        }
    }

    async fn look_at_all(
        &self,
        domain: &Name,
        answers: Vec<Result<Identity, ProviderError>>,
        known: &[Identity],
    ) -> Vec<Looked> {
        let mut found = Vec::new();
        let mut gaps = Vec::new();
        for answer in answers {
            match answer {
                Ok(identity) => found.push(identity),
                Err(error) => gaps.push(Gap::of_failure(Port::IdentitySource, &error)),
            }
        }
        let is_found = |known: &&Identity| found.iter().any(|found| found.id == known.id);
        let missing = || known.iter().filter(|known| !is_found(known) && !is_stranger(known));
        // A place that couldn't be asked still has what it had; one that was asked and knows nothing has lost it.
        let lost: Vec<Identity> = missing().filter(|_| gaps.is_empty()).cloned().collect();
        let unheard: Vec<Identity> = missing().filter(|_| !gaps.is_empty()).cloned().collect();
        let has_none = found.is_empty() && unheard.is_empty() && lost.is_empty();
        let nothing = if has_none { strangers(domain, &[]).collect() } else { lost };
        let looks = found.into_iter().map(|identity| self.look_at(identity.clone(), identity, &gaps));
        let unheard = unheard.into_iter().map(|identity| {
            let mut now = identity.clone();
            now.status = ProviderStatus::Unknown;
            (identity, now)
        });
        let looks = looks.chain(unheard.map(|(identity, now)| self.look_at(identity, now, &gaps)));
        let stranger = || {
            let detail = format!("the source does not know {domain}");
            vec![Gap { port: Port::IdentitySource, detail, transient: false }]
        };
        let of_nothing = if gaps.is_empty() { stranger() } else { gaps.clone() };
        let nothing = nothing.into_iter().map(|identity| self.note_nothing(identity, of_nothing.clone()));
        let (mut looks, nothing) = future::join(future::join_all(looks), future::join_all(nothing)).await;
        looks.extend(nothing);
        if let (Some(stranger), Some(found)) = (known.iter().find(|known| is_stranger(known)), looks.first())
            && !is_stranger(&found.identity)
        {
            let settled = self.settle(stranger, &found.report).await;
            looks.extend(settled);
        }
        looks
    }

    /// Ends what was told of a domain while the source knew nothing of it, now that it does.
    async fn settle(&self, stranger: &Identity, report: &Report) -> Option<Looked> {
        let mut report = report.clone();
        report.identity.id = stranger.id.clone();
        let at = report.at;
        let settled = self.keeper.update(&stranger.id, at, |memory| {
            let (mut memory, alerts) = memory.settle(&report);
            let (batches, due) = self.claim(&mut memory, at);
            (memory, (alerts, batches, due))
        });
        let (alerts, batches, delivery_due) = settled.await;
        let identity = stranger.clone();
        let is_over = alerts.is_empty() && batches.is_empty();
        let (next_look, step_due) = (None, None);
        (!is_over).then_some(Looked { identity, report, next_look, alerts, batches, delivery_due, step_due })
    }

    /// Looks at an identity as it is `now`, and remembers it.
    async fn look_at(&self, identity: Identity, now: Identity, gaps: &[Gap]) -> Looked {
        let at = self.clock.now();
        let memory = self.keeper.load(&now.id, at).await;
        let depth = self.policy.depth(&memory, self.watched.load(Ordering::Relaxed), at);
        let take = |identity: Identity, depth| {
            let witnesses = memory.witnesses(&identity);
            let seed = self.seed.fetch_add(1, Ordering::Relaxed);
            async move {
                if depth == Depth::Full && self.policy.repair != RepairMode::Off {
                    let (report, sight) = self.look.take_closely(identity, witnesses, at, seed).await;
                    let step = Step::next(&report, &sight);
                    return (report, Some(step));
                }
                (self.look.take_with(identity, witnesses, depth, at, seed).await, None)
            }
        };
        let (mut report, mut step) = take(now.clone(), depth).await;
        if report.is_unexpected() {
            let (detailed, unheard) = match &now.status {
                // The source was asked already, and couldn't tell.
                ProviderStatus::Unknown => (now.clone(), None),
                _ => match self.source.details(&now).await {
                    Ok(detailed) => (detailed, None),
                    Err(error) => (now.clone(), Some(Gap::of_failure(Port::IdentitySource, &error))),
                },
            };
            let closer = self.policy.closer(depth);
            if detailed != now || closer != depth {
                (report, step) = take(detailed, closer).await;
            }
            if unheard.is_some() {
                // Nobody said what the records must be, as it stands now.
                step = None;
            }
            report.gaps.extend(unheard);
        }
        report.gaps.extend(gaps.iter().cloned());
        if let Some(Step::Publish(plan)) = &step {
            report.plan = Some(plan.clone());
        }
        if let Some(Step::Publish(_) | Step::Rearm) = step {
            report.gaps.extend(memory.open_step(at).map(gap_of_open_step));
        }
        self.note(identity, report, step).await
    }

    /// Remembers that nothing could be learnt of an identity.
    async fn note_nothing(&self, identity: Identity, gaps: Vec<Gap>) -> Looked {
        let at = self.clock.now();
        let report = Report::without_identity(identity.id.clone(), at, Depth::Quick, gaps);
        self.note(identity, report, None).await
    }

    /// Remembers a look, takes what is to be delivered now, and says which step mends the identity, if one is due.
    async fn note(&self, identity: Identity, report: Report, step: Option<Step>) -> Looked {
        let at = report.at;
        let chance = self.chance();
        let noted = self.keeper.update(&identity.id, at, |memory| {
            // Another instance may have looked in the meantime, and later than this one.
            if memory
                .looked_at()
                .is_some_and(|looked_at| looked_at > at && self.policy.is_near(looked_at, at))
            {
                let next_look = self.policy.next_look(&memory, chance);
                return (memory, (next_look, Vec::new(), Vec::new(), None, false));
            }
            let (mut memory, alerts) = memory.advance(&report, &self.policy);
            let can_take = |step: &Step| self.can_take(step, &report.identity);
            let is_due = memory.note_step(step.as_ref(), can_take, &report, &self.policy);
            if self.names.is_empty() {
                memory.drop_alerts(&alerts);
            }
            let (batches, due) = self.claim(&mut memory, at);
            let next_look = self.policy.next_look(&memory, chance);
            (memory, (next_look, alerts, batches, due, is_due))
        });
        let (next_look, alerts, batches, delivery_due, is_due) = noted.await;
        let step_due = step.filter(|_| is_due).map(|step| {
            let (id, reason) = (identity.id.clone(), report.summary.clone());
            Box::new(Due { id, identity: report.identity.clone(), step, reason })
        });
        Looked { identity, report, next_look, alerts, batches, delivery_due, step_due }
    }

    /// A number from 0 up to 1, another each time.
    fn chance(&self) -> f64 {
        let mut mixed = self.seed.fetch_add(1, Ordering::Relaxed).wrapping_add(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        f64::from(u32::try_from((mixed ^ (mixed >> 31)) >> 32).unwrap_or(0)) / f64::from(u32::MAX)
    }
}

/// That it isn't known what came of a step of before.
fn gap_of_open_step(entry: &Entry) -> Gap {
    let Entry { at, step, .. } = entry;
    let detail = format!(
        "a repair was begun at {at:.0} ({step}), and what came of it isn't known; this look doesn't show that it was \
         done, and the guard doesn't try again within a day"
    );
    Gap { port: Port::ZoneView, detail, transient: true }
}

/// The provider of an identity that stands for a domain of which the source has never told anything.
const STRANGER: &str = "unknown";

fn is_stranger(identity: &Identity) -> bool {
    identity.id.provider == STRANGER
}

/// What stands for a domain's identities where the source tells of none: those that were known, or else the domain.
fn strangers<'a>(domain: &'a Name, known: &'a [Identity]) -> impl Iterator<Item = Identity> + 'a {
    let stranger = || {
        let provider = STRANGER.to_owned();
        let id = IdentityId { provider, account: None, region: None, domain: domain.clone() };
        Identity::new(id, Vec::new())
    };
    let none = known.is_empty().then(stranger);
    known.iter().cloned().chain(none)
}
