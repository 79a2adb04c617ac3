//! `dkimguard repair`: prints the edit that mends a domain; with `--apply` makes it, and proves the result.

mod journal;
mod key;

use std::io::{self, IsTerminal, Write as _};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use dkimguard_core::identity::{Identity, ProviderStatus};
use dkimguard_core::judge::Witnesses;
use dkimguard_core::look::Look;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock as _, IdentitySource, RecordPublisher, SystemClock};
use dkimguard_core::repair::{End, Event, Listener, Refusal, Repair, RepairPlan, Step, Unheard, Waiting};

use crate::args;
use crate::check::random_seed;
use crate::engine::Engine;
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::{Settings, Verbosity};
use crate::source::{self, Sources};
use crate::state::State;

use journal::Journal;
use key::WithKey;

/// What a repair is to do.
#[derive(Debug)]
pub(crate) struct RepairSettings {
    /// Which identity, and from where to look.
    pub(crate) settings: Settings,
    /// Whether it is only told what would be done.
    pub(crate) mode: Mode,
    /// How long the result is waited for; as long as it takes if none is given.
    pub(crate) wait: Option<Duration>,
    /// Whether earlier records are removed once today's are proven.
    pub(crate) earlier: Earlier,
    /// The file of the owner's public key.
    pub(crate) public_key: Option<String>,
    /// Where what is done is written down.
    pub(crate) state: State,
}

/// What is done with the edit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Mode {
    /// It is printed.
    Print,
    /// It is made, once somebody at the terminal agrees.
    Ask,
    /// It is made.
    Apply,
    /// What was done before is printed.
    History,
}

/// What is done with records of earlier selectors.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Earlier {
    Keep,
    Remove,
}

/// How it ended, as the exit code tells it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Outcome {
    /// Nothing to do, or repaired and proven.
    Sound,
    /// A plan was printed, and nothing was applied.
    Planned,
    /// Refused, or not proven in time.
    Refused,
    /// It could not run.
    Failed,
}

/// Prints what would be done, or does it.
///
/// # Errors
/// What keeps it from beginning: a source that can't be asked, a state file that can't be used, a domain of several
/// identities.
pub(crate) async fn run(settings: &RepairSettings, renderer: &mut Renderer) -> Result<ExitCode, Failure> {
    let domain = settings.settings.domains.first().ok_or_else(|| {
        Failure::new(Code::Usage, "no domain is named").with_hint("dkimguard repair DOMAIN")
    })?;
    if settings.mode == Mode::History {
        journal::print(&settings.state, domain, renderer).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut sources = source::open(&settings.settings.source).await?;
    if let Some(path) = &settings.public_key {
        sources.identities = Arc::new(WithKey::read(sources.identities, path)?);
    }
    let Some(identity) = find(&*sources.identities, domain, settings, renderer).await? else {
        return Ok(ExitCode::from(Outcome::Refused as u8));
    };
    let outcome = tokio::select! {
        biased;
        outcome = work(settings, &sources, identity, renderer) => outcome?,
        _ = tokio::signal::ctrl_c() => {
            renderer.note(Verbosity::Normal, || {
                "interrupted; run the same command again, and it goes on from where the world is".to_owned()
            });
            Outcome::Failed
        }
    };
    Ok(ExitCode::from(outcome as u8))
}

/// The one identity of the domain; none where the source knows none, which is told.
async fn find(
    identities: &dyn IdentitySource,
    domain: &Name,
    settings: &RepairSettings,
    renderer: &mut Renderer,
) -> Result<Option<Identity>, Failure> {
    let mut found = Vec::new();
    for answer in identities.find(domain).await {
        found.push(answer.map_err(|error| source::failure(&error))?);
    }
    let identity = match found.len() {
        0 => {
            let gap = source::gap_of_stranger(&settings.settings.source, domain);
            let what =
                format!("{}. Name its region with --region, or set it up at the provider first.", gap.detail);
            tell(renderer, None, &Event::Failed(what))?;
            return Ok(None);
        }
        1 => found.remove(0),
        _ => {
            let ids: Vec<String> = found.iter().map(|identity| identity.id.to_string()).collect();
            let message = format!("{domain} has several identities: {}", ids.join(", "));
            return Err(Failure::new(Code::Usage, message)
                .with_hint("name one with --region and --role-arn; each is repaired by itself"));
        }
    };
    identities.details(&identity).await.map(Some).map_err(|error| source::failure(&error))
}

async fn work(
    settings: &RepairSettings,
    sources: &Sources,
    identity: Identity,
    renderer: &mut Renderer,
) -> Result<Outcome, Failure> {
    let engine = Engine::start(&settings.settings.look);
    if let Some(warning) = &engine.warning {
        renderer.note(Verbosity::Normal, || format!("warning: {warning}"));
    }
    let mut look = Look::new(engine.dns, engine.places);
    if let Some(zones) = &sources.zones {
        look = look.with_zones(Arc::clone(zones));
    }
    if let Some(history) = &sources.history {
        look = look.with_history(Arc::clone(history));
    }
    let clock = Arc::new(SystemClock);
    let mut repair = Repair::new(Arc::clone(&sources.identities), look, clock).with_seed(random_seed()?);
    let journal = Journal::open(&settings.state, &identity.id, settings.mode).await?;
    let witnesses = journal.witnesses(&identity).await;
    let (report, _, step) = repair.survey(identity.clone(), witnesses.clone()).await;
    renderer.sight(&report).map_err(|error| Failure::of_output(&error))?;
    let publisher: Option<Arc<dyn RecordPublisher>> =
        sources.aws.as_ref().map(|aws| Arc::new(aws.publisher()) as Arc<dyn RecordPublisher>);
    let by_hand = settings.wait.is_some() && needs_hands(&step, publisher.is_some());
    if !by_hand && let Some(outcome) = before(settings, &step, renderer)? {
        let may_remove = step == Step::Done && settings.earlier == Earlier::Remove;
        if !may_remove {
            return Ok(outcome);
        }
    }
    if settings.mode == Mode::Apply || settings.mode == Mode::Ask {
        if let Some(publisher) = &publisher {
            repair = repair.with_publisher(Arc::clone(publisher));
        }
        if let Some(aws) = &sources.aws {
            repair = repair.with_rearm(Arc::new(aws.rearm()));
        }
    }
    if let Some(wait) = settings.wait {
        repair = repair.with_patience(wait).waiting_for_hands();
    }
    let id = identity.id.to_string();
    let mut scribe = Scribe { journal: &journal, renderer, id: &id, failure: None };
    let end = repair.run(identity.clone(), witnesses.clone(), &mut scribe).await;
    if let Some(failure) = scribe.failure {
        return Err(failure);
    }
    match end {
        End::Done if settings.earlier == Earlier::Remove => {
            remove_earlier(settings, &repair, publisher, identity, witnesses, &journal, renderer).await
        }
        End::Done => Ok(Outcome::Sound),
        End::Refused => Ok(Outcome::Refused),
        End::NotProven => {
            renderer.note(Verbosity::Normal, || {
                "it is not proven in the time that was given; run the same command again to go on".to_owned()
            });
            Ok(Outcome::Refused)
        }
        _ => Ok(Outcome::Failed),
    }
}

/// Writes each event down, then tells it.
struct Scribe<'a> {
    journal: &'a Journal,
    renderer: &'a mut Renderer,
    id: &'a str,
    failure: Option<Failure>,
}

#[async_trait]
impl Listener for Scribe<'_> {
    async fn hear(&mut self, event: Event) -> Result<(), Unheard> {
        let written = self.journal.note(&event).await;
        let told = written.and_then(|()| tell(self.renderer, Some(self.id), &event));
        told.map_err(|failure| {
            self.failure = Some(failure);
            Unheard
        })
    }
}

/// Whether the step is one for whoever has the zone, or the provider's console.
fn needs_hands(step: &Step, has_publisher: bool) -> bool {
    match step {
        Step::Refuse(Refusal::HeldElsewhere { .. } | Refusal::KeyUnknown { .. }) => true,
        Step::Publish(_) | Step::Rearm => !has_publisher,
        _ => false,
    }
}

/// Says what would be done, and asks where that is to be asked. None where it is to be done.
fn before(
    settings: &RepairSettings,
    step: &Step,
    renderer: &mut Renderer,
) -> Result<Option<Outcome>, Failure> {
    let id = None;
    match step {
        Step::Done => {
            tell(renderer, id, &Event::Done)?;
            return Ok(Some(Outcome::Sound));
        }
        Step::Refuse(refusal) => {
            tell(renderer, id, &Event::Refused(refusal.clone()))?;
            return Ok(Some(Outcome::Refused));
        }
        Step::Publish(plan) if settings.mode != Mode::Apply => {
            tell(renderer, id, &Event::Planned(plan.clone()))?;
            renderer.tell(&calls(plan)).map_err(|error| Failure::of_output(&error))?;
        }
        Step::Rearm if settings.mode != Mode::Apply => {
            tell(renderer, id, &Event::Waiting(Waiting::Rearm))?;
            renderer.tell(REARM_CALLS).map_err(|error| Failure::of_output(&error))?;
        }
        _ => {}
    }
    let is_ours = matches!(step, Step::Publish(_) | Step::Rearm);
    match settings.mode {
        Mode::Print if is_ours => Ok(Some(Outcome::Planned)),
        // Nothing is to be edited, and what is waited for comes by itself.
        Mode::Print | Mode::History => {
            tell(renderer, id, &waiting(step))?;
            Ok(Some(Outcome::Sound))
        }
        Mode::Ask if is_ours => ask(renderer),
        Mode::Ask | Mode::Apply => Ok(None),
    }
}

/// What is waited for, where nothing is to be edited.
fn waiting(step: &Step) -> Event {
    match step {
        Step::AwaitServers { servers } => Event::Waiting(Waiting::Servers { servers: servers.clone() }),
        Step::AwaitResolvers { resolvers, until } => {
            Event::Waiting(Waiting::Resolvers { resolvers: resolvers.clone(), until: *until })
        }
        _ => Event::Waiting(Waiting::Provider { status: ProviderStatus::Pending, deadline: None }),
    }
}

/// The calls that a plan would make.
fn calls(plan: &RepairPlan) -> String {
    format!(
        "To apply it, with --apply, one call of route53:ChangeResourceRecordSets for zone {}\n\
         changes all of it or nothing, and route53:GetChange tells when it is live.",
        plan.zone.id
    )
}

const REARM_CALLS: &str = "\
The records hold, and SES no longer looks. With --apply, one call of
ses:PutEmailIdentityDkimSigningAttributes has it look again. SES may change the
tokens with it; then the new records are published at once.";

/// Asks at the terminal; without one nothing is done.
fn ask(renderer: &mut Renderer) -> Result<Option<Outcome>, Failure> {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Err(Failure::new(Code::Usage, "nobody is at a terminal to agree, so nothing was done")
            .with_hint("--yes applies it without asking"));
    }
    let _ = write!(io::stderr(), "Do it? [y/N] ");
    let mut answer = String::new();
    let _ = io::stdin().read_line(&mut answer);
    if matches!(answer.trim(), "y" | "Y" | "yes") {
        return Ok(None);
    }
    renderer.note(Verbosity::Normal, || "nothing was done".to_owned());
    Ok(Some(Outcome::Planned))
}

/// Removes the records of earlier selectors, now that today's are proven.
async fn remove_earlier(
    settings: &RepairSettings,
    repair: &Repair,
    publisher: Option<Arc<dyn RecordPublisher>>,
    identity: Identity,
    witnesses: Witnesses,
    journal: &Journal,
    renderer: &mut Renderer,
) -> Result<Outcome, Failure> {
    let id = identity.id.to_string();
    let (report, sight, _) = repair.survey(identity, witnesses).await;
    let plan = match RepairPlan::removing_earlier(&report, &sight) {
        Ok(plan) if plan.is_empty() => return Ok(Outcome::Sound),
        Ok(plan) => plan,
        Err(refusal) => {
            tell(renderer, Some(&id), &Event::Refused(refusal))?;
            return Ok(Outcome::Refused);
        }
    };
    tell(renderer, Some(&id), &Event::Planned(plan.clone()))?;
    let Some(publisher) = publisher.filter(|_| settings.mode != Mode::Print) else {
        return Ok(Outcome::Planned);
    };
    if settings.mode == Mode::Ask
        && let Some(outcome) = ask(renderer)?
    {
        return Ok(outcome);
    }
    journal.note(&Event::Planned(plan.clone())).await?;
    match publisher.apply(&plan).await {
        Ok(published) => {
            let event = Event::Published { plan, published };
            journal.note(&event).await?;
            tell(renderer, Some(&id), &event)?;
            Ok(Outcome::Sound)
        }
        Err(error) => Err(source::failure(&error)),
    }
}

/// Tells an event: as a paragraph, or as an object on a line.
fn tell(renderer: &mut Renderer, id: Option<&str>, event: &Event) -> Result<(), Failure> {
    renderer.event(id, SystemClock.now(), event).map_err(|error| Failure::of_output(&error))
}

impl RepairSettings {
    /// What the flags say to do.
    pub(crate) fn mode(flags: &args::Repair) -> Mode {
        match (flags.history, flags.apply, flags.yes) {
            (true, _, _) => Mode::History,
            (_, true, true) => Mode::Apply,
            (_, true, false) => Mode::Ask,
            _ => Mode::Print,
        }
    }
}
