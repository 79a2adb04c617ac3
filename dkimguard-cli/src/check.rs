//! `dkimguard check`: one look at each domain.

use std::collections::BTreeSet;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::identity::Identity;
use dkimguard_core::judge::{Depth, Gap, Report, Verdict};
use dkimguard_core::look::{Look, Premise};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Clock, IdentitySource, SystemClock};
use futures_util::future;
use futures_util::stream::{self, BoxStream, StreamExt as _};

use crate::engine::Engine;
use crate::failure::{Code, Failure};
use crate::premise;
use crate::progress::Progress;
use crate::render::Renderer;
use crate::settings::{Settings, Source, Verbosity};
use crate::source::{self, Sources};
use crate::value::DepthChoice;

/// Up to how many domains `auto` looks at from everywhere.
const AUTO_FULL: usize = 20;
/// How many domains are looked at from everywhere at once.
const FULL_AT_ONCE: usize = 16;
/// How many domains are looked at through one resolver at once.
const QUICK_AT_ONCE: usize = 64;

/// Looks at the domains, prints a report for each, and gives the worst verdict.
///
/// # Errors
/// What keeps the command from looking at all, or from printing. What the source can't tell on the way is printed,
/// and counts as unknown.
pub(crate) async fn run(settings: &Settings, renderer: &mut Renderer) -> Result<Verdict, Failure> {
    let premise =
        settings.premise.as_ref().map(|choice| premise::open(choice, &settings.domains)).transpose()?;
    let Sources { identities, zones, history, aws: _ } = source::open(&settings.source).await?;
    let engine = Engine::start(&settings.look);
    if let Some(warning) = &engine.warning {
        renderer.note(Verbosity::Normal, || format!("warning: {warning}"));
    }
    renderer.note(Verbosity::Steps, || engine.describe());
    let mut look = Look::new(engine.dns, engine.places);
    if let Some(zones) = zones {
        look = look.with_zones(zones);
    }
    if let Some(history) = history {
        look = look.with_history(history);
    }
    if let Some(premise) = &premise {
        renderer.note(Verbosity::Steps, || premise::describe(premise));
    }
    let check = Check {
        source: &settings.source,
        identities,
        look,
        premise,
        left_out: AtomicUsize::new(0),
        clock: SystemClock,
        seed: AtomicU64::new(random_seed()?),
    };
    let progress = Progress::new(renderer.verbosity());
    let outcome = tokio::select! {
        biased;
        outcome = check.run(settings, renderer, &progress) => outcome,
        never = progress.show() => match never {},
    };
    progress.finish();
    outcome
}

/// What all looks of one run share.
struct Check<'a> {
    source: &'a Source,
    identities: Arc<dyn IdentitySource>,
    look: Look,
    /// What is looked at in place of the delegation of today, if anything.
    premise: Option<Premise>,
    /// How many identities of the source had nothing to do with the premise.
    left_out: AtomicUsize,
    clock: SystemClock,
    /// The seed of the next look. Each takes the next number, so that quick looks take the resolvers in turn.
    seed: AtomicU64,
}

/// What is to be looked at, as far as it is known.
#[derive(Debug)]
enum Subject {
    /// A domain that was named, and what the source has found of it.
    Named(Name, Vec<Result<Identity, ProviderError>>),
    /// An identity.
    Identity(Box<Identity>),
    /// An identity, or a place where identities live, of which the source could not tell.
    Lost(ProviderError),
}

/// What came of one subject.
#[derive(Debug)]
enum Outcome {
    /// The reports, one for each identity.
    Looked(Vec<Looked>),
    /// No report: the source could not tell.
    Lost(ProviderError),
    /// No report, nor will there be one of any other domain.
    NoCredentials(ProviderError),
}

/// One report, and how long it took.
#[derive(Debug)]
pub(crate) struct Looked {
    pub(crate) report: Report,
    pub(crate) took: Duration,
}

/// How thoroughly the domains of this run are looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Plan {
    Full,
    Quick,
    /// Quickly, and again from everywhere where that shows anything unexpected.
    QuickThenFull,
}

impl Check<'_> {
    async fn run(
        &self,
        settings: &Settings,
        renderer: &mut Renderer,
        progress: &Progress,
    ) -> Result<Verdict, Failure> {
        let (plan, count, subjects) = self.plan(&settings.domains, settings.look.depth).await;
        progress.expect(count);
        renderer.expect(count);
        renderer.note(Verbosity::Steps, || plan.describe());
        let mut outcomes = subjects.map(|subject| self.look_at(subject, plan)).buffered(plan.at_once());
        let mut worst = None;
        while let Some(outcome) = outcomes.next().await {
            progress.advance();
            worst = worst.max(Some(outcome.verdict()));
            if let Err(error) = progress.aside(|| outcome.print(renderer)) {
                return end_of_output(&error, worst);
            }
            if matches!(outcome, Outcome::NoCredentials(_)) {
                break;
            }
        }
        if worst.is_some()
            && let Err(error) = renderer.tally()
        {
            return end_of_output(&error, worst);
        }
        let left_out = self.left_out.load(Ordering::Relaxed);
        let zone = self.premise.as_ref().and_then(premise::zone_of);
        if let (Some(zone), true) = (zone, left_out > 0) {
            renderer.note(Verbosity::Normal, || {
                format!("{left_out} identities were left out: they do not lie in the zone {}", zone.apex())
            });
        }
        // To look at nothing isn't health.
        worst.ok_or_else(|| {
            if let (Some(zone), true) = (zone, left_out > 0) {
                let message = format!(
                    "no domain of {} lies in the zone {}",
                    source::describe(self.source),
                    zone.apex()
                );
                return Failure::new(Code::NoIdentities, message)
                    .with_hint("give the zone file of one of its domains");
            }
            let message =
                format!("{} holds no domain, so nothing was looked at", source::describe(self.source));
            Failure::new(Code::NoIdentities, message).with_hint(match self.source {
                Source::File(_) => "a file of identities has an [[identity]] for each domain",
                Source::Ses { .. } => "name the region with --region, or ask every one with --all-regions",
            })
        })
    }

    /// What is to be looked at, and how thoroughly. To decide that, `auto` reads no further than it must.
    async fn plan<'a>(
        &'a self,
        domains: &'a [Name],
        depth: DepthChoice,
    ) -> (Plan, Option<usize>, BoxStream<'a, Subject>) {
        let (count, is_many, subjects) = if domains.is_empty() {
            let all = self.identities.identities().map(Subject::from);
            let mut coming = all.filter(|subject| future::ready(self.concerns(subject))).boxed();
            let (read, is_all) = match depth {
                DepthChoice::Auto => read_ahead(&mut coming, AUTO_FULL).await,
                DepthChoice::Full | DepthChoice::Quick => (Vec::new(), false),
            };
            (is_all.then_some(read.len()), !is_all, stream::iter(read).chain(coming).boxed())
        } else {
            let subjects = self.identities.find_many(domains);
            let subjects = subjects.map(|(domain, found)| Subject::Named(domain, found)).boxed();
            (Some(domains.len()), domains.len() > AUTO_FULL, subjects)
        };
        let plan = match depth {
            // What would be is worth a look from everywhere.
            _ if self.premise.is_some() => Plan::Full,
            DepthChoice::Full => Plan::Full,
            DepthChoice::Quick => Plan::Quick,
            DepthChoice::Auto if is_many => Plan::QuickThenFull,
            DepthChoice::Auto => Plan::Full,
        };
        (plan, count, subjects)
    }

    /// Whether a subject has to do with the premise, if there is one.
    fn concerns(&self, subject: &Subject) -> bool {
        let (Some(premise), Subject::Identity(identity)) = (&self.premise, subject) else { return true };
        let concerns = premise::concerns(premise, identity.domain());
        if !concerns {
            self.left_out.fetch_add(1, Ordering::Relaxed);
        }
        concerns
    }

    async fn look_at(&self, subject: Subject, plan: Plan) -> Outcome {
        match subject {
            Subject::Identity(identity) => {
                Outcome::Looked(vec![self.look_at_identity(*identity, plan).await])
            }
            Subject::Named(domain, found) => self.look_at_domain(domain, found, plan).await,
            Subject::Lost(error) => Outcome::Lost(error),
        }
    }

    async fn look_at_domain(
        &self,
        domain: Name,
        found: Vec<Result<Identity, ProviderError>>,
        plan: Plan,
    ) -> Outcome {
        let mut identities = Vec::new();
        let mut errors = Vec::new();
        for answer in found {
            match answer {
                Ok(identity) => identities.push(identity),
                Err(error) => errors.push(error),
            }
        }
        if identities.is_empty()
            && let Some(at) = errors.iter().position(|error| error.kind == ProviderErrorKind::Credentials)
        {
            return Outcome::NoCredentials(errors.swap_remove(at));
        }
        let gaps: Vec<Gap> = errors.iter().map(source::gap).collect();
        if identities.is_empty() {
            return Outcome::Looked(vec![self.report_nothing(domain, plan, gaps)]);
        }
        let looks = identities.into_iter().map(|identity| self.look_at_identity(identity, plan));
        let mut looked = future::join_all(looks).await;
        for look in &mut looked {
            look.report.gaps.extend(gaps.iter().cloned());
        }
        Outcome::Looked(looked)
    }

    async fn look_at_identity(&self, identity: Identity, plan: Plan) -> Looked {
        let begun = Instant::now();
        let first = self.take(identity.clone(), plan.first_depth()).await;
        let report =
            if first.is_unexpected() { self.look_closer(identity, first, plan).await } else { first };
        Looked { report, took: begun.elapsed() }
    }

    /// Looks again where the provider tells more than its list did, or where the first look was a quick one.
    async fn look_closer(&self, identity: Identity, first: Report, plan: Plan) -> Report {
        let (detailed, gap) = match self.identities.details(&identity).await {
            Ok(detailed) => (detailed, None),
            Err(error) => (identity.clone(), Some(source::gap(&error))),
        };
        let mut report = match plan {
            Plan::QuickThenFull => self.take(detailed, Depth::Full).await,
            Plan::Full | Plan::Quick if detailed != identity => self.take(detailed, plan.first_depth()).await,
            Plan::Full | Plan::Quick => first,
        };
        report.gaps.extend(gap);
        report
    }

    async fn take(&self, identity: Identity, depth: Depth) -> Report {
        let seed = self.seed.fetch_add(1, Ordering::Relaxed);
        match &self.premise {
            Some(premise) => self.look.take_supposing(identity, premise, self.clock.now(), seed).await,
            None => self.look.take(identity, depth, self.clock.now(), seed).await,
        }
    }

    /// The report on a domain that has no identity, as far as the source could tell.
    fn report_nothing(&self, domain: Name, plan: Plan, mut gaps: Vec<Gap>) -> Looked {
        if gaps.is_empty() {
            gaps.push(source::gap_of_stranger(self.source, &domain));
        }
        let id = source::id_of_stranger(self.source, domain);
        let report = Report::without_identity(id, self.clock.now(), plan.first_depth(), gaps);
        Looked { report, took: Duration::ZERO }
    }
}

impl Plan {
    fn at_once(self) -> usize {
        match self {
            Self::Full => FULL_AT_ONCE,
            Self::Quick | Self::QuickThenFull => QUICK_AT_ONCE,
        }
    }

    fn first_depth(self) -> Depth {
        match self {
            Self::Full => Depth::Full,
            Self::Quick | Self::QuickThenFull => Depth::Quick,
        }
    }

    fn describe(self) -> String {
        match self {
            Self::Full => "depth full: each domain from every place".to_owned(),
            Self::Quick => "depth quick: each domain through one resolver".to_owned(),
            Self::QuickThenFull => format!(
                "depth quick, for there are more than {AUTO_FULL} domains; full where that shows anything unexpected"
            ),
        }
    }
}

impl From<Result<Identity, ProviderError>> for Subject {
    fn from(identity: Result<Identity, ProviderError>) -> Self {
        identity.map_or_else(Self::Lost, |identity| Self::Identity(Box::new(identity)))
    }
}

impl Outcome {
    /// What it counts for in the exit code.
    fn verdict(&self) -> Verdict {
        match self {
            // A list of none isn't health.
            Self::Looked(looked) => {
                looked.iter().map(|looked| looked.report.verdict).max().unwrap_or(Verdict::Unknown)
            }
            Self::Lost(_) | Self::NoCredentials(_) => Verdict::Unknown,
        }
    }

    fn print(&self, renderer: &mut Renderer) -> io::Result<()> {
        match self {
            Self::Looked(looked) => looked.iter().try_for_each(|looked| looked.print(renderer)),
            Self::Lost(error) | Self::NoCredentials(error) => {
                renderer.failure(&source::failure(error));
                Ok(())
            }
        }
    }
}

impl Looked {
    fn print(&self, renderer: &mut Renderer) -> io::Result<()> {
        self.note(renderer);
        renderer.report(&self.report)
    }

    /// Says what was done, as much of it as is asked for.
    pub(crate) fn note(&self, renderer: &Renderer) {
        let Report { identity, verdict, depth, records, .. } = &self.report;
        renderer.note(Verbosity::Steps, || {
            let depth = match depth {
                Depth::Quick => "quick",
                Depth::Full => "full",
            };
            format!("{}: {verdict}, depth {depth}, {:.1?}", identity.id, self.took)
        });
        for finding in records.iter().flat_map(|record| &record.findings) {
            renderer.note(Verbosity::Questions, || {
                let observation = &finding.observation;
                let answer = match &observation.outcome {
                    Ok(response) => format!("{} in {:.1?}", response.rcode, response.elapsed),
                    Err(error) => error.to_string(),
                };
                format!("  {} at {}: {answer}: {}", observation.question, observation.vantage, finding.state)
            });
        }
    }
}

/// Takes subjects until they are of more than `limit` domains, or until there are no more, and says whether these
/// are all.
async fn read_ahead(subjects: &mut BoxStream<'_, Subject>, limit: usize) -> (Vec<Subject>, bool) {
    let mut read = Vec::new();
    let mut domains = BTreeSet::new();
    while domains.len() <= limit {
        let Some(subject) = subjects.next().await else { return (read, true) };
        if let Subject::Identity(identity) = &subject {
            domains.insert(identity.domain().clone());
        }
        read.push(subject);
    }
    (read, false)
}

/// Where the output ends early: a closed pipe is no error, for whoever read has seen enough.
fn end_of_output(error: &io::Error, worst: Option<Verdict>) -> Result<Verdict, Failure> {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Ok(worst.unwrap_or(Verdict::Unknown));
    }
    Err(Failure::of_output(error))
}

/// The seed of the first look, from the operating system.
/// A random number, from the operating system.
///
/// # Errors
/// It gives none.
pub(crate) fn random_seed() -> Result<u64, Failure> {
    getrandom::u64().map_err(|error| {
        Failure::new(Code::System, format!("the operating system gives no random number: {error}"))
    })
}
