//! `dkimguard watch`: keeps looking, remembers, and tells, until a signal ends it.

mod board;
mod endpoints;
mod heard;
mod journal;
mod log;
mod metrics;
mod notifier;
mod readiness;
mod server;
mod settings;
mod signals;

use std::mem;
use std::net::SocketAddr;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use dkimguard_aws::Aws;
use dkimguard_core::guard::{Alert, AlertEvent, Guard, IncidentKind, RepairMode, Severity};
use dkimguard_core::judge::Verdict;
use dkimguard_core::look::Look;
use dkimguard_core::ports::{Clock as _, SystemClock};
use futures_util::FutureExt as _;
use futures_util::stream::{BoxStream, StreamExt as _};
use tokio::time::{MissedTickBehavior, interval, timeout};
use tracing::{error, info, warn};

use self::board::{Board, Watch as Standings};
use self::heard::Heard;
use self::journal::Journal;
use self::log::Log;
use self::metrics::{Counted, Metrics};
use self::notifier::NotifierSettings;
use self::readiness::ServiceManager;
use self::server::Server;
use self::settings::WatchSettings;
use self::signals::{Signals, Wish};
use crate::args::{CheckOptions, Watch};
use crate::check::random_seed;
use crate::engine::Engine;
use crate::exit_code;
use crate::failure::{Code, Failure};
use crate::source::{self, Sources};
use crate::state::State;
use crate::value::LogFormat;

/// How long the guard may take over its end. The rest of the two seconds that a stop may take is for the state file.
const LAST_WAIT: Duration = Duration::from_millis(1_300);
/// How long the state file may take to be closed.
const CLOSING: Duration = Duration::from_millis(400);
/// How often it is counted how everything stands, for the service manager.
const COUNTED: Duration = Duration::from_secs(5);

/// Watches until a signal ends it. A failure that was told in the log is none here.
///
/// # Errors
/// What keeps it from beginning; or its loop has ended by itself.
pub(crate) async fn run(
    mut flags: Watch,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<ExitCode, Failure> {
    let system = |error| Failure::new(Code::System, format!("the system's signals cannot be had: {error}"));
    let mut signals = Signals::new().map_err(system)?;
    let options = settings::options(&mut flags);
    let settings = WatchSettings::load(&flags, &options, environment)?;
    let log = Log::start(settings.log)?;
    let format = settings.log.format;
    let outcome = watch(&flags, &options, environment, settings, log, &mut signals).await;
    match outcome {
        Err(Failure { code, message, hint }) if format == LogFormat::Json => {
            let (code, hint) = (code.as_str(), hint.unwrap_or_default());
            error!(code, error = message, hint, "the watch has failed");
            Ok(exit_code(Verdict::Unknown))
        }
        outcome => outcome.map(|()| ExitCode::SUCCESS),
    }
}

async fn watch(
    flags: &Watch,
    options: &CheckOptions,
    environment: &dyn Fn(&str) -> Option<String>,
    settings: WatchSettings,
    log: Log,
    signals: &mut Signals,
) -> Result<(), Failure> {
    let mut watcher = tokio::select! {
        biased;
        // Nothing has begun that would have to be ended.
        _ = signals.stop() => return Ok(()),
        watcher = Watcher::start(flags, options, environment, settings, log) => watcher?,
    };
    let outcome = watcher.run(signals).await;
    watcher.stop(&outcome).await;
    outcome.map(drop)
}

/// A watch that runs.
struct Watcher<'a> {
    flags: &'a Watch,
    options: &'a CheckOptions,
    environment: &'a dyn Fn(&str) -> Option<String>,
    settings: WatchSettings,
    log: Log,
    metrics: Arc<Metrics>,
    journal: Arc<Journal>,
    board: Arc<Board>,
    alerts: BoxStream<'static, Arc<Alert>>,
    server: Option<Server>,
    manager: ServiceManager,
    store_fault: Option<String>,
    counted: Option<Instant>,
    status: String,
}

/// A guard about to begin.
struct Prepared {
    guard: Guard,
    journal: Arc<Journal>,
}

impl<'a> Watcher<'a> {
    async fn start(
        flags: &'a Watch,
        options: &'a CheckOptions,
        environment: &'a dyn Fn(&str) -> Option<String>,
        settings: WatchSettings,
        log: Log,
    ) -> Result<Self, Failure> {
        let metrics = Arc::new(Metrics::new());
        let Prepared { guard, journal } = prepare(&settings, &metrics, None).await?;
        let begun = SystemClock.now();
        let guard = guard.spawn().map_err(|error| Failure::from_error(Code::System, &error))?;
        // Before the first look, so that none is missed.
        let alerts = guard.alerts();
        let policy = settings.policy.clone();
        let board = Arc::new(Board::new(guard, policy, Arc::clone(&journal), begun));
        let mut watcher = Self {
            flags,
            options,
            environment,
            settings,
            log,
            metrics,
            journal,
            board,
            alerts,
            server: None,
            manager: ServiceManager::from_env(),
            store_fault: None,
            counted: None,
            status: String::new(),
        };
        if let Some(address) = watcher.settings.listen {
            watcher.server = Some(watcher.listen(address).await?);
        }
        let state = watcher.settings.state.path.display();
        let subject = subject(&watcher.settings);
        info!(version = env!("CARGO_PKG_VERSION"), subject, %state, "the watch has begun");
        watcher.manager.ready();
        Ok(watcher)
    }

    /// Watches until a signal says to stop, and gives its name.
    async fn run(&mut self, signals: &mut Signals) -> Result<&'static str, Failure> {
        let mut ticks = interval(self.manager.period());
        ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                biased;
                wish = signals.next() => match wish {
                    Wish::Stop(signal) => return Ok(signal),
                    Wish::Reload => tokio::select! {
                        biased;
                        signal = signals.stop() => return Ok(signal),
                        () = self.reload() => {}
                    },
                },
                Some(alert) = self.alerts.next() => self.tell(&alert),
                _ = ticks.tick() => self.tick()?,
            }
        }
    }

    /// Reads the configuration and the file of identities again. What is wrong leaves everything as it is.
    async fn reload(&mut self) {
        self.manager.reloading();
        match self.try_reload().await {
            Ok(()) => {
                self.metrics.count_reload(Ok(()));
                let subject = subject(&self.settings);
                info!(subject, "the configuration was read again");
            }
            Err(Failure { code, message, hint }) => {
                self.metrics.count_reload(Err(()));
                let (code, hint) = (code.as_str(), hint.unwrap_or_default());
                error!(
                    code,
                    error = message,
                    hint,
                    "the configuration was not read again; the earlier one stays"
                );
            }
        }
        self.manager.ready();
    }

    async fn try_reload(&mut self) -> Result<(), Failure> {
        let settings = WatchSettings::load(self.flags, self.options, self.environment)?;
        let is_same = settings.state == self.settings.state;
        let journal = is_same.then(|| Arc::clone(&self.journal));
        let Prepared { guard, journal } = prepare(&settings, &self.metrics, journal).await?;
        let server = match settings.listen {
            Some(address) if self.server.as_ref().is_none_or(|server| server.asked() != address) => {
                Some(self.listen(address).await?)
            }
            _ => None,
        };
        // From here on nothing can fail that was right before.
        self.log.change(settings.log);
        if settings.listen.is_none() || server.is_some() {
            self.server = server;
        }
        if let Some(before) = self.board.take()
            && timeout(LAST_WAIT, before.stop()).await.is_err()
        {
            warn!("what was being delivered is left to the next try");
        }
        while let Some(Some(alert)) = self.alerts.next().now_or_never() {
            self.tell(&alert);
        }
        let guard = guard.spawn().map_err(|error| Failure::from_error(Code::System, &error))?;
        self.alerts = guard.alerts();
        let begun = SystemClock.now();
        self.board.put(guard, settings.policy.clone(), Arc::clone(&journal), begun);
        self.journal = journal;
        self.settings = settings;
        self.counted = None;
        Ok(())
    }

    async fn listen(&self, address: SocketAddr) -> Result<Server, Failure> {
        let told = endpoints::Told { board: Arc::clone(&self.board), metrics: Arc::clone(&self.metrics) };
        let server = Server::start(address, endpoints::router(told)).await.map_err(|error| {
            Failure::new(Code::BadAddress, format!("cannot listen at {address}: {error}"))
                .with_hint("is it this machine's, and does nobody else listen there?")
        })?;
        let address = server.address();
        info!(%address, "answering HTTP");
        if !address.ip().is_loopback() {
            warn!(%address, "other machines can ask the endpoints, which have no authentication");
        }
        Ok(server)
    }

    fn tell(&self, alert: &Alert) {
        self.metrics.count_alert(alert.kind, alert.event);
        let incident = alert.incident.as_str();
        let (event, severity) = (alert.event.as_str(), alert.severity.as_str());
        let what = alert.to_string();
        match (alert.event, alert.severity) {
            (AlertEvent::Recovered, _) => info!(incident, event, severity, what, "alert"),
            (_, Severity::Warning) => warn!(incident, event, severity, what, "alert"),
            (_, Severity::Critical) => error!(incident, event, severity, what, "alert"),
        }
    }

    /// Says how things stand to whom it concerns.
    ///
    /// # Errors
    /// The guard's loop has ended by itself.
    fn tick(&mut self) -> Result<(), Failure> {
        let pulse = self.board.pulse();
        if !pulse.is_running {
            return Err(Failure::new(Code::System, "the loop of the guard has ended by itself").with_hint(
                "this is a fault of dkimguard; start it again, and report what the log says before",
            ));
        }
        let before = mem::replace(&mut self.store_fault, pulse.store_fault.clone());
        match (&before, &self.store_fault) {
            (None, Some(fault)) => {
                self.metrics.count_alert(IncidentKind::Store, AlertEvent::Opened);
                error!(error = fault.as_str(), "what is remembered cannot be stored; alerts still go out");
            }
            (Some(_), None) => {
                self.metrics.count_alert(IncidentKind::Store, AlertEvent::Recovered);
                info!("what is remembered is stored again");
            }
            _ => {}
        }
        if self.counted.is_none_or(|counted| counted.elapsed() >= COUNTED) {
            self.counted = Some(Instant::now());
            self.status = status(&self.board.watch(SystemClock.now()));
        }
        self.manager.tick(self.status.clone(), &pulse, self.settings.policy.interval);
        Ok(())
    }

    async fn stop(self, why: &Result<&'static str, Failure>) {
        let Self { board, journal, server, manager, .. } = self;
        manager.stopping();
        if let Ok(signal) = why {
            info!(signal, "the watch ends");
        }
        drop(server);
        if let Some(guard) = board.take()
            && timeout(LAST_WAIT, guard.stop()).await.is_err()
        {
            warn!("what was being delivered is left to the next start");
        }
        drop(board);
        // To close the file takes as long as the disk does.
        let closed = tokio::task::spawn_blocking(move || drop(journal));
        if timeout(CLOSING, closed).await.is_err() {
            warn!("the state file is left open; nothing in it is lost");
        }
    }
}

fn open(state: &State) -> Result<Journal, Failure> {
    Ok(Journal::new(Arc::new(state.open()?)))
}

/// Makes a guard as the settings say, on this journal or else on the state file, which is opened last: what is refused
/// leaves no file behind.
async fn prepare(
    settings: &WatchSettings,
    metrics: &Arc<Metrics>,
    journal: Option<Arc<Journal>>,
) -> Result<Prepared, Failure> {
    let builder = Aws::builder().with_observer(Arc::clone(metrics));
    let sources = source::open_with(&settings.look.source, builder).await?;
    let notifiers = notifier::open(&settings.notifiers, sources.aws.as_ref(), metrics).await?;
    for warning in settings.notifiers.iter().filter_map(NotifierSettings::warning) {
        warn!("{warning}");
    }
    if notifiers.is_empty() {
        warn!("nobody is told of alerts but this log: the configuration file has no [[notify]]");
    }
    let engine = Engine::start(&settings.look.look);
    if let Some(warning) = &engine.warning {
        warn!("{warning}");
    }
    let dns = Counted { dns: engine.dns, metrics: Arc::clone(metrics) };
    let look = Look::new(Arc::new(dns), engine.places);
    let Sources { identities, zones, history, aws } = sources;
    let journal = match journal {
        Some(journal) => journal,
        None => Arc::new(open(&settings.state)?),
    };
    let mut builder = Guard::builder(Heard::new(identities), look)
        .watch(settings.look.domains.iter().cloned())
        .policy(settings.policy.clone())
        .store(Arc::clone(&journal))
        .seed(random_seed()?);
    if settings.look.domains.is_empty() {
        builder = builder.watch_all();
    }
    if let Some(zones) = zones {
        builder = builder.zones(zones);
    }
    if let Some(history) = history {
        builder = builder.history(history);
    }
    // Without these the guard has nothing to write with.
    if let Some(aws) = aws.filter(|_| settings.policy.repair == RepairMode::Apply) {
        warn!("records that are wrong are mended: [guard] repair = \"apply\"");
        builder = builder.publisher(aws.publisher()).rearm(aws.rearm());
    }
    for notifier in notifiers {
        builder = builder.notifier(notifier);
    }
    let guard = builder.build().map_err(|error| Failure::from_error(Code::Usage, &error))?;
    Ok(Prepared { guard, journal })
}

/// What is watched, in a phrase.
fn subject(settings: &WatchSettings) -> String {
    let source = source::describe(&settings.look.source);
    match settings.look.domains.len() {
        0 => format!("every domain of {source}"),
        1 => format!("1 domain of {source}"),
        count => format!("{count} domains of {source}"),
    }
}

/// How everything stands, in one line.
fn status(watch: &Standings) -> String {
    let worst_first = [Verdict::Failing, Verdict::Degraded, Verdict::Unknown, Verdict::Healthy];
    let counts = worst_first.map(|verdict| {
        (verdict, watch.standings.iter().filter(|standing| standing.verdict == verdict).count())
    });
    let shown: Vec<String> = counts
        .iter()
        .filter(|(_, count)| *count > 0)
        .map(|(verdict, count)| format!("{count} {verdict}"))
        .collect();
    match watch.health.watched {
        1 => format!("watching 1 domain: {}", or_nothing(&shown)),
        count => format!("watching {count} domains: {}", or_nothing(&shown)),
    }
}

fn or_nothing(shown: &[String]) -> String {
    if shown.is_empty() { "no look taken yet".to_owned() } else { shown.join(", ") }
}
