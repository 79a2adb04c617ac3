//! [`Repair`]: carries a repair out, step by step, until it is proven.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::Timestamp;

use super::event::{Event, Waiting};
use super::{Refusal, RepairPlan, Step};
use crate::error::{ProviderError, ProviderErrorKind, chain};
use crate::guard::Timer;
use crate::identity::{Identity, IdentityId, ProviderStatus};
use crate::judge::{Report, Witnesses};
use crate::look::{Look, Sight};
use crate::name::Name;
use crate::ports::{IdentitySource, Published, Rearm, RecordPublisher};

/// How long before the next look: soon at first, since servers follow within seconds, then less and less often.
const PAUSES: [Duration; 5] = [
    Duration::from_secs(2),
    Duration::from_secs(5),
    Duration::from_secs(10),
    Duration::from_secs(20),
    Duration::from_secs(30),
];
/// The same while the provider is waited for, which takes minutes to hours.
const PROVIDER_PAUSE: Duration = Duration::from_secs(60);
/// How often a call is made again that failed in a way that may pass, one after another.
const MOST_FAILURES: u32 = 8;
/// How often a plan is made anew because the zone was no longer what it saw, or had gone back.
const MOST_PLANS: u32 = 5;

/// Carries a repair out: publish, in sync, every server, the resolvers, the provider asked to start again if it has
/// given up, and then the provider's own success.
///
/// Each step follows from a new look, so it may be cut off at any instant and run again. Nothing is published without a
/// publisher, and the provider isn't asked without a [`Rearm`]; then the step is reported and waited for.
#[derive(Debug)]
pub struct Repair {
    source: Arc<dyn IdentitySource>,
    look: Look,
    publisher: Option<Arc<dyn RecordPublisher>>,
    rearm: Option<Arc<dyn Rearm>>,
    clock: Arc<dyn Timer>,
    seed: u64,
    patience: Option<Duration>,
    waits_for_hands: bool,
    removes_earlier: bool,
}

/// Hears what a repair does, before the next step is taken.
#[async_trait]
pub trait Listener: Send {
    /// Hears an event. After an error nothing more is done: what can't be written down isn't to be done.
    async fn hear(&mut self, event: Event) -> Result<(), Unheard>;
}

/// An event could not be written down; whoever says so has told why.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unheard;

#[async_trait]
impl<F: FnMut(Event) + Send> Listener for F {
    async fn hear(&mut self, event: Event) -> Result<(), Unheard> {
        self(event);
        Ok(())
    }
}

/// How a repair ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum End {
    /// The records hold everywhere, and the provider has seen them.
    Done,
    /// Nothing may be done, for a reason that was told.
    Refused,
    /// It wasn't proven in the time that was given.
    NotProven,
    /// A port failed, and goes on to fail.
    Failed,
}

impl Repair {
    /// A repair of identities of this source, looked at so. The look's zones are what a plan can be made of.
    pub fn new(source: Arc<dyn IdentitySource>, look: Look, clock: Arc<dyn Timer>) -> Self {
        Self {
            source,
            look,
            publisher: None,
            rearm: None,
            clock,
            seed: 0,
            patience: None,
            waits_for_hands: false,
            removes_earlier: false,
        }
    }

    /// Publishes through this host.
    #[must_use]
    pub fn with_publisher(mut self, publisher: Arc<dyn RecordPublisher>) -> Self {
        self.publisher = Some(publisher);
        self
    }

    /// Asks this provider to start again where it no longer looks.
    #[must_use]
    pub fn with_rearm(mut self, rearm: Arc<dyn Rearm>) -> Self {
        self.rearm = Some(rearm);
        self
    }

    /// Makes random names from this number; give another for each repair.
    #[must_use]
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// Gives up after so long. By default it waits for as long as it takes.
    #[must_use]
    pub fn with_patience(mut self, patience: Duration) -> Self {
        self.patience = Some(patience);
        self
    }

    /// Where the records are to be published by hand, goes on to look until they are.
    #[must_use]
    pub fn waiting_for_hands(mut self) -> Self {
        self.waits_for_hands = true;
        self
    }

    /// Takes the records of earlier selectors away once today's are proven: of those that the witnesses name, and of
    /// those that a provider which starts again wants no longer.
    #[must_use]
    pub fn removing_earlier(mut self) -> Self {
        self.removes_earlier = true;
        self
    }

    /// Looks once, and says what is to be done.
    pub async fn survey(&self, identity: Identity, witnesses: Witnesses) -> (Report, Sight, Step) {
        let (report, sight) = self.look.take_closely(identity, witnesses, self.clock.now(), self.seed).await;
        let step = match Step::next(&report, &sight) {
            Step::Done => self.after_proof(&report, &sight),
            step => step,
        };
        (report, sight, step)
    }

    /// What is to be done once today's records are proven.
    fn after_proof(&self, report: &Report, sight: &Sight) -> Step {
        if !self.removes_earlier {
            return Step::Done;
        }
        match RepairPlan::removing_earlier(report, sight) {
            Ok(plan) if plan.is_empty() => Step::Done,
            Ok(plan) => Step::Publish(plan),
            Err(refusal) => Step::Refuse(refusal),
        }
    }

    /// Carries it out. Each event is told before the next step is taken.
    pub async fn run(&self, identity: Identity, witnesses: Witnesses, listener: &mut dyn Listener) -> End {
        let mut run = Run {
            repair: self,
            id: identity.id.clone(),
            begun: self.clock.now(),
            looks: 0,
            failures: 0,
            plans: 0,
            has_rearmed: false,
            is_verified: false,
            awaited: None,
            status: None,
            earlier: Vec::new(),
            listener,
            is_unheard: false,
        };
        run.go(identity, witnesses).await
    }
}

/// One repair under way.
struct Run<'a> {
    repair: &'a Repair,
    id: IdentityId,
    begun: Timestamp,
    looks: u64,
    /// Failures one after another.
    failures: u32,
    plans: u32,
    has_rearmed: bool,
    is_verified: bool,
    /// What was last told to be done by hand, or to be waited for.
    awaited: Option<Event>,
    /// The provider's status, and since when it was seen.
    status: Option<(ProviderStatus, Timestamp)>,
    /// The selectors that the identity had when this began and has no longer.
    earlier: Vec<Name>,
    listener: &'a mut dyn Listener,
    /// Whether an event could not be told: then nothing more is done.
    is_unheard: bool,
}

/// What comes after a step.
enum Next {
    /// Look again, after a while or at once.
    Look(Duration),
    End(End),
}

impl Run<'_> {
    async fn go(&mut self, mut identity: Identity, witnesses: Witnesses) -> End {
        let mut pauses = 0;
        loop {
            let seed = self.repair.seed.wrapping_add(self.looks);
            self.looks += 1;
            let at = self.repair.clock.now();
            let mut heard = witnesses.clone();
            heard.status_first_seen = self.status_seen(&identity.status, witnesses.status_first_seen, at);
            heard.earlier_selectors.extend(self.earlier.iter().cloned());
            let look = self.repair.look.take_closely(identity.clone(), heard, at, seed);
            let (report, sight) = look.await;
            let mut step = Step::next(&report, &sight);
            if step == Step::Done {
                self.verify(&report).await;
                step = self.repair.after_proof(&report, &sight);
            }
            let is_wait = matches!(step, Step::AwaitServers { .. } | Step::AwaitResolvers { .. });
            pauses = if is_wait { pauses + 1 } else { 0 };
            let next = self.take(step, &report, &mut identity, pauses).await;
            match next {
                Next::End(end) => return end,
                Next::Look(_) if self.is_unheard => return End::Failed,
                Next::Look(pause) => {
                    if !self.wait(pause).await {
                        return End::NotProven;
                    }
                }
            }
            match self.ask_source().await {
                Ok(now) => self.renew(&mut identity, now),
                Err(end) => return end,
            }
        }
    }

    /// Takes the identity as it is now, and remembers which selectors it has no longer.
    fn renew(&mut self, identity: &mut Identity, now: Identity) {
        let before = std::mem::replace(identity, now).selectors.into_iter().map(|selector| selector.label);
        let is_kept = |label: &Name| identity.selectors.iter().any(|selector| selector.label == *label);
        self.earlier.extend(before.filter(|label| !is_kept(label)));
    }

    /// Since when the provider's status is seen; the clock of a deadline must not begin anew with each look.
    fn status_seen(
        &mut self,
        status: &ProviderStatus,
        earlier: Option<Timestamp>,
        at: Timestamp,
    ) -> Option<Timestamp> {
        let is_same = self.status.as_ref().is_some_and(|(seen, _)| seen == status);
        if !is_same {
            let is_first = self.status.is_none();
            let since = earlier.filter(|_| is_first).unwrap_or(at);
            self.status = Some((status.clone(), since));
        }
        self.status.as_ref().map(|&(_, since)| since)
    }

    async fn take(&mut self, step: Step, report: &Report, identity: &mut Identity, pauses: usize) -> Next {
        match step {
            Step::Refuse(refusal) => {
                let by_hand = matches!(refusal, Refusal::HeldElsewhere { .. } | Refusal::KeyUnknown { .. });
                let event = Event::Refused(refusal);
                if by_hand && self.repair.waits_for_hands {
                    return self.await_hands(event).await;
                }
                self.tell(event).await;
                Next::End(End::Refused)
            }
            Step::Publish(plan) => self.publish(plan).await,
            Step::AwaitServers { servers } => self.await_records(Waiting::Servers { servers }, pauses).await,
            Step::AwaitResolvers { resolvers, until } => {
                self.await_records(Waiting::Resolvers { resolvers, until }, pauses).await
            }
            Step::Rearm => {
                self.verify(report).await;
                self.ask_provider(identity).await
            }
            Step::AwaitProvider => {
                self.verify(report).await;
                let deadline = report.deadline.map(|deadline| deadline.working);
                self.tell_once(Event::Waiting(Waiting::Provider {
                    status: identity.status.clone(),
                    deadline,
                }))
                .await;
                Next::Look(PROVIDER_PAUSE)
            }
            Step::Done => {
                self.tell(Event::Done).await;
                Next::End(End::Done)
            }
        }
    }

    async fn await_records(&mut self, waiting: Waiting, pauses: usize) -> Next {
        self.tell_once(Event::Waiting(waiting)).await;
        Next::Look(PAUSES[pauses.saturating_sub(1).min(PAUSES.len() - 1)])
    }

    /// Tells once what is to be done by hand, and looks now and then whether it is.
    async fn await_hands(&mut self, event: Event) -> Next {
        self.tell_once(event).await;
        Next::Look(PAUSES[PAUSES.len() - 1])
    }

    /// Tells what is awaited, unless that was told last.
    async fn tell_once(&mut self, event: Event) {
        if self.awaited.as_ref() != Some(&event) {
            self.awaited = Some(event.clone());
            self.tell(event).await;
        }
    }

    async fn publish(&mut self, plan: RepairPlan) -> Next {
        let Some(publisher) = self.repair.publisher.clone() else {
            return self.await_hands(Event::Planned(plan)).await;
        };
        self.plans += 1;
        if self.plans > MOST_PLANS {
            let what =
                "the zone goes back to what it was after each change; somebody or something else edits it";
            self.tell(Event::Failed(what.to_owned())).await;
            return Next::End(End::Failed);
        }
        self.tell(Event::Planned(plan.clone())).await;
        if self.is_unheard {
            return Next::End(End::Failed);
        }
        self.is_verified = false;
        let published = match publisher.apply(&plan).await {
            Ok(published) => published,
            // The next look makes another plan, of what the zone is now.
            Err(error) if error.kind == ProviderErrorKind::Stale => return Next::Look(PAUSES[0]),
            Err(error) => return self.fail(&error).await,
        };
        self.failures = 0;
        self.tell(Event::Published { plan, published: published.clone() }).await;
        self.await_sync(&*publisher, &published).await
    }

    async fn await_sync(&mut self, publisher: &dyn RecordPublisher, published: &Published) -> Next {
        loop {
            match publisher.is_in_sync(published).await {
                Ok(true) => {
                    self.failures = 0;
                    self.tell(Event::InSync).await;
                    return Next::Look(Duration::ZERO);
                }
                Ok(false) => {}
                Err(error) => {
                    if let Next::End(end) = self.fail(&error).await {
                        return Next::End(end);
                    }
                }
            }
            if !self.wait(PAUSES[1]).await {
                return Next::End(End::NotProven);
            }
        }
    }

    async fn ask_provider(&mut self, identity: &mut Identity) -> Next {
        let Some(rearm) = self.repair.rearm.clone() else {
            return self.await_hands(Event::Waiting(Waiting::Rearm)).await;
        };
        if self.has_rearmed {
            let what = "the provider was asked to start again, and still says that it has given up";
            self.tell(Event::Failed(what.to_owned())).await;
            return Next::End(End::Failed);
        }
        self.tell(Event::Rearming).await;
        if self.is_unheard {
            return Next::End(End::Failed);
        }
        match rearm.rearm(identity).await {
            Ok(now) => {
                self.has_rearmed = true;
                self.failures = 0;
                let has_changed = now.selectors != identity.selectors;
                self.tell(Event::Rearmed { identity: Box::new(now.clone()), has_changed }).await;
                self.renew(identity, now);
                Next::Look(Duration::ZERO)
            }
            Err(error) => self.fail(&error).await,
        }
    }

    /// What the provider says now.
    async fn ask_source(&mut self) -> Result<Identity, End> {
        loop {
            let mut found = None;
            for answer in self.repair.source.find(&self.id.domain).await {
                match answer {
                    Ok(identity) if identity.id == self.id => found = Some(Ok(identity)),
                    Ok(_) => {}
                    Err(error) => found = found.or(Some(Err(error))),
                }
            }
            let found = match found {
                Some(Ok(identity)) => self.repair.source.details(&identity).await,
                Some(Err(error)) => Err(error),
                None => {
                    self.tell(Event::Failed(format!("the provider no longer knows {}", self.id))).await;
                    return Err(End::Failed);
                }
            };
            let pause = match found {
                Ok(identity) => {
                    return Ok(identity);
                }
                Err(error) => match self.fail(&error).await {
                    Next::End(end) => return Err(end),
                    Next::Look(pause) => pause,
                },
            };
            if !self.wait(pause).await {
                return Err(End::NotProven);
            }
        }
    }

    /// A call failed: waits and tries again where that may help.
    async fn fail(&mut self, error: &ProviderError) -> Next {
        self.failures += 1;
        let is_over = !error.is_transient() || self.failures >= MOST_FAILURES;
        self.tell(if is_over {
            Event::Failed(chain(error))
        } else {
            Event::Waiting(Waiting::Port(chain(error)))
        })
        .await;
        if is_over {
            return Next::End(End::Failed);
        }
        let step = usize::try_from(self.failures).unwrap_or(usize::MAX).saturating_sub(1);
        Next::Look(PAUSES[step.min(PAUSES.len() - 1)])
    }

    /// Tells once that the records hold everywhere.
    async fn verify(&mut self, report: &Report) {
        if !self.is_verified && !report.records.is_empty() {
            self.is_verified = true;
            self.tell(Event::Verified { summary: report.summary.clone() }).await;
        }
    }

    /// Waits; whether there is time left afterwards.
    async fn wait(&self, pause: Duration) -> bool {
        let clock = &self.repair.clock;
        let spent = Duration::try_from(clock.now().duration_since(self.begun)).unwrap_or_default();
        let left = self.repair.patience.map(|patience| patience.saturating_sub(spent));
        if left == Some(Duration::ZERO) && !pause.is_zero() {
            return false;
        }
        clock.sleep(left.map_or(pause, |left| pause.min(left))).await;
        true
    }

    async fn tell(&mut self, event: Event) {
        self.is_unheard |= self.listener.hear(event).await.is_err();
    }
}
