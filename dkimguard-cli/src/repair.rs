//! `dkimguard repair`: prints the edit that mends a domain; with `--apply` makes it, and proves the result.

mod journal;
mod key;
mod prompt;
mod scribe;
mod spinner;

use std::io;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use dkimguard_core::identity::Identity;
use dkimguard_core::judge::Report;
use dkimguard_core::look::Look;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock as _, IdentitySource, SystemClock};
use dkimguard_core::repair::{End, Event, Repair, RepairPlan, Step, Waiting};

use crate::args;
use crate::check::random_seed;
use crate::engine::Engine;
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::{Settings, Source, Verbosity};
use crate::source::{self, Sources};
use crate::state::State;

use journal::Journal;
use key::{OwnersKey, WithKey};
use scribe::{Leave, Scribe, Stop};
use spinner::Spinner;

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
    /// Refused, or not proven, or not in time.
    Refused,
    /// It could not run.
    Failed,
}

/// Prints what would be done, or does it.
///
/// # Errors
/// What keeps it from beginning: a source that can't be asked, a state file that can't be used, a domain of several
/// identities. What ends it: nobody to agree, an interruption.
pub(crate) async fn run(settings: &RepairSettings, renderer: &mut Renderer) -> Result<ExitCode, Failure> {
    let domain = settings.settings.domains.first().ok_or_else(|| {
        Failure::new(Code::Usage, "no domain is named").with_hint("dkimguard repair DOMAIN")
    })?;
    if settings.mode == Mode::History {
        journal::print(&settings.state, domain, renderer).await?;
        return Ok(ExitCode::SUCCESS);
    }
    let key = settings.public_key.as_deref().map(OwnersKey::read).transpose()?;
    let mut sources = source::open(&settings.settings.source).await?;
    let outcome = match find(&*sources.identities, domain).await? {
        Some(mut identity) => {
            if let Some(key) = key {
                key.check_fits(&identity)?;
                identity = key.fill(identity);
                sources.identities = Arc::new(WithKey { inner: sources.identities, key });
            }
            work(settings, &sources, identity, renderer).await?
        }
        None => refuse_stranger(settings, domain, renderer)?,
    };
    Ok(ExitCode::from(outcome as u8))
}

/// The one identity of the domain; none where the source knows none.
async fn find(identities: &dyn IdentitySource, domain: &Name) -> Result<Option<Identity>, Failure> {
    let mut found = Vec::new();
    for answer in identities.find(domain).await {
        let identity = answer.map_err(|error| source::failure(&error))?;
        // Two roles of one account show the same.
        if found.iter().all(|known: &Identity| known.id != identity.id) {
            found.push(identity);
        }
    }
    if found.len() > 1 {
        let ids: Vec<String> = found.iter().map(|identity| identity.id.to_string()).collect();
        let message = format!("{domain} has several identities: {}", ids.join(", "));
        return Err(Failure::new(Code::Usage, message)
            .with_hint("name one with --region and --role-arn; each is repaired by itself"));
    }
    let Some(identity) = found.pop() else { return Ok(None) };
    identities.details(&identity).await.map(Some).map_err(|error| source::failure(&error))
}

/// Says that the source doesn't know the domain, and what is to be done.
fn refuse_stranger(
    settings: &RepairSettings,
    domain: &Name,
    renderer: &mut Renderer,
) -> Result<Outcome, Failure> {
    let source = &settings.settings.source;
    let way_out = match source {
        Source::Ses { .. } => "Name its region with --region, or set it up at SES first.",
        Source::File(_) => "Add it to the file, or name another with --source.",
    };
    let message = format!("{}. {way_out}", source::gap_of_stranger(source, domain).detail);
    let id = source::id_of_stranger(source, domain.clone());
    told(renderer.stranger(&id, SystemClock.now(), &message))?;
    Ok(Outcome::Refused)
}

async fn work(
    settings: &RepairSettings,
    sources: &Sources,
    identity: Identity,
    renderer: &mut Renderer,
) -> Result<Outcome, Failure> {
    let leave = match settings.mode {
        Mode::Apply => Leave::Given,
        Mode::Ask => Leave::Asked,
        Mode::Print | Mode::History => Leave::None,
    };
    let mut journal = Journal::open(&settings.state, &identity.id, leave, renderer)?;
    let witnesses = journal.witnesses(&identity).await;
    let repair = prepare(settings, sources, renderer)?;
    let mut spinner = Spinner::new(renderer.verbosity());
    spinner.look();
    let is_told_only = settings.mode == Mode::Print && settings.wait.is_none();
    // What a repair that goes on hears, it looks for itself; the first line is for people.
    if is_told_only || renderer.is_for_people() {
        let (report, _, step) = tokio::select! {
            biased;
            survey = repair.survey(identity.clone(), witnesses.clone()) => survey,
            _ = tokio::signal::ctrl_c() => return Err(interrupted(false)),
        };
        spinner.hide();
        told(renderer.sight(&report))?;
        if is_told_only {
            return tell_step(&report, step, renderer);
        }
        spinner.look();
    }
    let id = identity.id.clone();
    let mut scribe =
        Scribe { id: &id, leave, journal: &mut journal, renderer, spinner, has_begun: false, stop: None };
    let end = tokio::select! {
        biased;
        end = repair.run(identity, witnesses, &mut scribe) => Some(end),
        _ = tokio::signal::ctrl_c() => None,
    };
    scribe.spinner.hide();
    let Scribe { has_begun, stop, renderer, .. } = scribe;
    match (end, stop) {
        (_, Some(Stop::Failure(failure))) => Err(failure),
        (_, Some(Stop::Declined)) => {
            let what = if has_begun { "nothing more was done" } else { "nothing was done" };
            renderer.note(Verbosity::Normal, || what.to_owned());
            Ok(if has_begun { Outcome::Refused } else { Outcome::Planned })
        }
        (None, None) => Err(interrupted(has_begun)),
        (Some(End::Done), None) => Ok(Outcome::Sound),
        (Some(End::Refused), None) => Ok(Outcome::Refused),
        (Some(End::NotProven), None) => {
            renderer.note(Verbosity::Normal, || {
                "it is not proven in the time that was given; run the same command again to go on".to_owned()
            });
            Ok(Outcome::Refused)
        }
        (Some(_), None) => Ok(Outcome::Failed),
    }
}

/// Somebody has ended it.
fn interrupted(has_begun: bool) -> Failure {
    let what = if has_begun { "" } else { "; nothing was done" };
    Failure::new(Code::Interrupted, format!("interrupted{what}"))
        .with_hint("run the same command again: it goes on from where the world is")
}

/// The repair that the settings ask for.
fn prepare(settings: &RepairSettings, sources: &Sources, renderer: &Renderer) -> Result<Repair, Failure> {
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
    let mut repair = Repair::new(Arc::clone(&sources.identities), look, Arc::new(SystemClock));
    repair = repair.with_seed(random_seed()?);
    if let Some(aws) = sources.aws.as_ref().filter(|_| matches!(settings.mode, Mode::Apply | Mode::Ask)) {
        repair = repair.with_publisher(Arc::new(aws.publisher())).with_rearm(Arc::new(aws.rearm()));
    }
    if settings.earlier == Earlier::Remove {
        repair = repair.removing_earlier();
    }
    if let Some(wait) = settings.wait {
        repair = repair.with_patience(wait).waiting_for_hands();
    }
    Ok(repair)
}

/// Says what would be done next.
fn tell_step(report: &Report, step: Step, renderer: &mut Renderer) -> Result<Outcome, Failure> {
    let mut tell = |event: Event, calls: Option<String>| {
        told(renderer.event(&report.identity.id, SystemClock.now(), &event))?;
        calls.map_or(Ok(()), |calls| told(renderer.say(&format!("{calls} --apply does it."))))
    };
    match step {
        Step::Done => tell(Event::Done, None)?,
        Step::Refuse(refusal) => {
            tell(Event::Refused(refusal), None)?;
            return Ok(Outcome::Refused);
        }
        Step::Publish(plan) => {
            let calls = calls(&plan);
            tell(Event::Planned(plan), Some(calls))?;
            return Ok(Outcome::Planned);
        }
        Step::Rearm => {
            tell(Event::Waiting(Waiting::Rearm), Some(REARM_CALLS.to_owned()))?;
            return Ok(Outcome::Planned);
        }
        Step::AwaitServers { servers } => {
            tell(Event::Waiting(Waiting::Servers { servers }), None)?;
            return Ok(Outcome::Refused);
        }
        Step::AwaitResolvers { resolvers, until } => {
            tell(Event::Waiting(Waiting::Resolvers { resolvers, until }), None)?;
            return Ok(Outcome::Refused);
        }
        _ => {
            let status = report.identity.status.clone();
            let deadline = report.deadline.map(|deadline| deadline.working);
            tell(Event::Waiting(Waiting::Provider { status, deadline }), None)?;
        }
    }
    // The provider looks by itself.
    Ok(Outcome::Sound)
}

/// The calls that a plan takes, by their IAM actions.
fn calls(plan: &RepairPlan) -> String {
    format!(
        "One call of route53:ChangeResourceRecordSets for zone {} makes all of it, or nothing. \
         route53:ListResourceRecordSets reads the names just before it, and route53:GetChange tells when it is live.",
        plan.zone.id
    )
}

/// The call that has the provider start again.
const REARM_CALLS: &str = "SES no longer looks for the records. One call of \
    ses:PutEmailIdentityDkimSigningAttributes has it look again. SES may change the tokens with it; then the new \
    records are published at once.";

/// Of an output that can't be written, that whoever read it has closed it isn't an error.
fn told(told: io::Result<()>) -> Result<(), Failure> {
    match told {
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        told => told.map_err(|error| Failure::of_output(&error)),
    }
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
