//! [`Repair`]: carries a repair out, step by step, until it is proven.

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use jiff::{SignedDuration, Timestamp};

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
/// How many plans are published, or come too late because the zone was no longer what they saw. Two or three are usual:
/// what was wrong, what the provider wants once it starts again, what it had before.
const MOST_PLANS: u32 = 5;
/// How many looks in a row may see too little to decide.
const MOST_UNSURE: u32 = 8;
/// How long nothing may move before it isn't waited for any more: servers follow within seconds, and a provider that was
/// asked to start again says so within minutes. What a resolver keeps may take longer, and it says how long.
const LONGEST_STALL: SignedDuration = SignedDuration::from_mins(10);

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

    /// Takes the records of earlier selectors away once today's are proven: of those that the witnesses call removable,
    /// and of those that the provider made for this identity and wants no longer once it has started again.
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
            unsure: 0,
            rearmed: None,
            keeps_identity: false,
            is_verified: false,
            awaited: None,
            stall: None,
            status: None,
            earlier: Vec::new(),
            removable: Vec::new(),
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
    /// Calls that change something and failed, one after another.
    failures: u32,
    /// Plans that were published, or came too late.
    plans: u32,
    /// Looks that saw too little to decide, one after another.
    unsure: u32,
    /// When the provider was asked to start again.
    rearmed: Option<Timestamp>,
    /// Whether the provider has just told the identity as it is, so that it isn't asked.
    keeps_identity: bool,
    is_verified: bool,
    /// What was last told to be done by hand, or to be waited for.
    awaited: Option<Event>,
    /// The wait for servers or resolvers, while there is one.
    stall: Option<Stall>,
    /// The provider's status, and since when it was seen.
    status: Option<(ProviderStatus, Timestamp)>,
    /// The selectors that the identity had when this began and has no longer.
    earlier: Vec<Name>,
    /// Those of them that the provider made for this identity.
    removable: Vec<Name>,
    listener: &'a mut dyn Listener,
    /// Whether an event could not be told: then nothing more is done.
    is_unheard: bool,
}

/// A wait for servers or resolvers, since it last got anywhere.
struct Stall {
    since: Timestamp,
    looks: u32,
    /// Whether servers are waited for, and how many places: less is nearer to the end.
    left: (bool, usize),
    /// When what the resolvers have kept is over, as they said first. What they say later counts down, and differs by a
    /// second here and there.
    until: Option<Timestamp>,
    /// The same, by their latest word within [`LONGEST_STALL`]: one address may stand for many caches.
    latest: Option<Timestamp>,
}

impl Stall {
    /// The wait as it is at this look.
    fn at_look(before: Option<Self>, left: (bool, usize), until: Option<Timestamp>, at: Timestamp) -> Self {
        match before {
            Some(mut stall) if left >= stall.left => {
                stall.looks += 1;
                if at.duration_since(stall.since) < LONGEST_STALL {
                    stall.latest = stall.latest.max(until);
                }
                stall
            }
            _ => Self { since: at, looks: 1, left, until, latest: until },
        }
    }

    /// Whether caches no longer explain it.
    fn is_over(&self, at: Timestamp) -> bool {
        at.duration_since(self.since) >= LONGEST_STALL && self.latest.is_none_or(|latest| latest < at)
    }
}

/// What comes after a step.
enum Next {
    /// Look again, after a while or at once.
    Look(Duration),
    End(End),
}

impl Run<'_> {
    async fn go(&mut self, mut identity: Identity, witnesses: Witnesses) -> End {
        loop {
            let seed = self.repair.seed.wrapping_add(self.looks);
            self.looks += 1;
            let at = self.repair.clock.now();
            let mut heard = witnesses.clone();
            heard.status_first_seen = self.status_seen(&identity.status, witnesses.status_first_seen, at);
            heard.earlier_selectors.extend(self.earlier.iter().cloned());
            heard.removable_selectors.extend(self.removable.iter().cloned());
            let look = self.repair.look.take_closely(identity.clone(), heard, at, seed);
            let (report, sight) = look.await;
            let mut step = Step::next(&report, &sight);
            if step == Step::Done {
                self.verify(&report).await;
                step = self.repair.after_proof(&report, &sight);
            }
            match self.take(step, &report, &mut identity).await {
                Next::End(end) => return end,
                Next::Look(_) if self.is_unheard => return End::Failed,
                Next::Look(pause) => {
                    if !self.wait(pause).await {
                        return End::NotProven;
                    }
                }
            }
            if std::mem::take(&mut self.keeps_identity) {
                continue;
            }
            match self.ask_source().await {
                Ok(now) => self.renew(&mut identity, now),
                Err(end) => return end,
            }
        }
    }

    /// Takes the identity as it is now, and remembers which selectors it has no longer.
    fn renew(&mut self, identity: &mut Identity, now: Identity) {
        let before = std::mem::replace(identity, now);
        let is_own = before.has_selectors_of_its_own();
        let is_kept = |label: &Name| identity.selectors.iter().any(|selector| selector.label == *label);
        for label in before.selectors.into_iter().map(|selector| selector.label) {
            if !is_kept(&label) {
                if is_own {
                    self.removable.push(label.clone());
                }
                self.earlier.push(label);
            }
        }
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

    async fn take(&mut self, step: Step, report: &Report, identity: &mut Identity) -> Next {
        match step {
            // What can't be seen for a while gets nobody anywhere.
            Step::Refuse(_) => {}
            Step::AwaitServers { .. } | Step::AwaitResolvers { .. } => self.unsure = 0,
            _ => (self.unsure, self.stall) = (0, None),
        }
        match step {
            Step::Refuse(refusal) => self.refuse(refusal).await,
            Step::Publish(plan) => self.publish(plan).await,
            Step::AwaitServers { servers } => {
                let stall = Stall::at_look(self.stall.take(), (true, servers.len()), None, report.at);
                self.await_records(Waiting::Servers { servers }, stall, report).await
            }
            Step::AwaitResolvers { resolvers, until } => {
                let stall = Stall::at_look(self.stall.take(), (false, resolvers.len()), until, report.at);
                let until = stall.until;
                self.await_records(Waiting::Resolvers { resolvers, until }, stall, report).await
            }
            Step::Rearm => {
                self.verify(report).await;
                self.ask_provider(report, identity).await
            }
            Step::AwaitProvider => {
                self.verify(report).await;
                self.await_provider(report).await
            }
            Step::Done => {
                self.tell(Event::Done).await;
                Next::End(End::Done)
            }
        }
    }

    /// Ends for this reason, unless it may pass by itself, or somebody is to remove it.
    async fn refuse(&mut self, refusal: Refusal) -> Next {
        let is_for_hands = match &refusal {
            Refusal::HeldElsewhere { records, .. } => !records.is_empty(),
            Refusal::KeyUnknown { .. } => true,
            _ => false,
        };
        if is_for_hands && self.repair.waits_for_hands {
            // Such a look has seen enough.
            self.unsure = 0;
            return self.await_hands(Event::Refused(refusal)).await;
        }
        self.unsure += 1;
        if refusal.is_passing() && self.unsure < MOST_UNSURE {
            let pause = pause_after(self.unsure);
            self.tell_once(Event::Waiting(Waiting::Look(refusal))).await;
            return Next::Look(pause);
        }
        self.tell(Event::Refused(refusal)).await;
        Next::End(End::Refused)
    }

    /// Waits for servers or resolvers, for as long as caches can explain what they answer.
    async fn await_records(&mut self, waiting: Waiting, stall: Stall, report: &Report) -> Next {
        if stall.is_over(report.at) {
            let refusal = Refusal::beyond_edits(report).unwrap_or_else(|| {
                let what = format!("for {LONGEST_STALL:#} nothing has changed at {}", waiting.places());
                Refusal::NotSeen { what }
            });
            self.tell(Event::Refused(refusal)).await;
            return Next::End(End::Refused);
        }
        let pause = pause_after(stall.looks);
        self.stall = Some(stall);
        self.tell_once(Event::Waiting(waiting)).await;
        Next::Look(pause)
    }

    async fn await_provider(&mut self, report: &Report) -> Next {
        self.tell_once(Event::Waiting(Waiting::for_provider(report))).await;
        Next::Look(PROVIDER_PAUSE)
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
        if self.plans >= MOST_PLANS {
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
        self.awaited = None;
        let published = match publisher.apply(&plan).await {
            Ok(published) => published,
            // The next look makes another plan, of what the zone is now.
            Err(error) if error.kind == ProviderErrorKind::Stale => {
                self.plans += 1;
                return Next::Look(pause_after(self.plans));
            }
            Err(error) => {
                self.failures += 1;
                return self.fail(&error, self.failures).await;
            }
        };
        self.plans += 1;
        self.failures = 0;
        self.tell(Event::Published { plan, published: published.clone() }).await;
        if published.change.is_none() {
            // Nothing was changed, so nothing is on its way.
            return Next::Look(pause_after(self.plans));
        }
        self.await_sync(&*publisher, &published).await
    }

    /// Waits until the host says that all of its servers have a change. If it doesn't say so, the next looks tell.
    async fn await_sync(&mut self, publisher: &dyn RecordPublisher, published: &Published) -> Next {
        let begun = self.repair.clock.now();
        let mut failures = 0;
        loop {
            match publisher.is_in_sync(published).await {
                Ok(true) => {
                    self.tell(Event::InSync).await;
                    return Next::Look(Duration::ZERO);
                }
                Ok(false) => failures = 0,
                Err(error) => {
                    failures += 1;
                    self.tell(Event::Waiting(Waiting::Port(chain(&error)))).await;
                    if !error.is_transient() || failures >= MOST_FAILURES {
                        return Next::Look(PAUSES[1]);
                    }
                }
            }
            if self.repair.clock.now().duration_since(begun) >= LONGEST_STALL {
                return Next::Look(Duration::ZERO);
            }
            if !self.wait(PAUSES[1]).await {
                return Next::End(End::NotProven);
            }
        }
    }

    async fn ask_provider(&mut self, report: &Report, identity: &mut Identity) -> Next {
        let Some(rearm) = self.repair.rearm.clone() else {
            return self.await_hands(Event::Waiting(Waiting::Rearm)).await;
        };
        if let Some(rearmed) = self.rearmed {
            if report.at.duration_since(rearmed) < LONGEST_STALL {
                return self.await_provider(report).await;
            }
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
                self.rearmed = Some(self.repair.clock.now());
                self.keeps_identity = true;
                self.failures = 0;
                let has_changed = now.selectors != identity.selectors;
                self.tell(Event::Rearmed { identity: Box::new(now.clone()), has_changed }).await;
                self.renew(identity, now);
                Next::Look(Duration::ZERO)
            }
            Err(error) => {
                self.failures += 1;
                self.fail(&error, self.failures).await
            }
        }
    }

    /// What the provider says now.
    async fn ask_source(&mut self) -> Result<Identity, End> {
        let mut failures = 0;
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
                Ok(identity) => return Ok(identity),
                Err(error) => {
                    failures += 1;
                    match self.fail(&error, failures).await {
                        Next::End(end) => return Err(end),
                        Next::Look(pause) => pause,
                    }
                }
            };
            if !self.wait(pause).await {
                return Err(End::NotProven);
            }
        }
    }

    /// A call failed, so many times in a row: waits and tries again where that may help.
    async fn fail(&mut self, error: &ProviderError, failures: u32) -> Next {
        if !error.is_transient() || failures >= MOST_FAILURES {
            self.tell(Event::Failed(chain(error))).await;
            return Next::End(End::Failed);
        }
        self.tell(Event::Waiting(Waiting::Port(chain(error)))).await;
        Next::Look(pause_after(failures))
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

/// How long before the next try, after so many in a row.
fn pause_after(tries: u32) -> Duration {
    let step = usize::try_from(tries).unwrap_or(usize::MAX).saturating_sub(1);
    PAUSES[step.min(PAUSES.len() - 1)]
}
