//! [`WatchSettings`]: what the command line, the environment and the configuration file mean for a watch.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use dkimguard_core::guard::{Depths, Policy};

use super::notifier::{self, NotifierSettings};
use crate::args::{CheckOptions, OutputFlags, Watch};
use crate::config::{GuardSection, RepairName};
use crate::failure::{Code, Failure};
use crate::settings::{Layers, Settings, Verbosity, text};
use crate::value::{DepthChoice, Interval, Listen, LogFormat, Number, Text};

/// What the state file is called where only its directory is known.
const STATE_FILE: &str = "dkimguard.sqlite";

/// What a watch is to do.
#[derive(Clone, Debug)]
pub(crate) struct WatchSettings {
    /// Which identities, and from where to look.
    pub(crate) look: Settings,
    /// How often to look, and when to tell.
    pub(crate) policy: Policy,
    /// The file in which is remembered.
    pub(crate) state: State,
    /// Where to answer, if anywhere.
    pub(crate) listen: Option<SocketAddr>,
    /// Who is told.
    pub(crate) notifiers: Vec<NotifierSettings>,
    /// What is logged.
    pub(crate) log: LogSettings,
}

/// The file in which is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) path: PathBuf,
    /// A directory above it that is made where it is lacking, because nobody chose it.
    pub(crate) above: Option<PathBuf>,
}

/// What is logged, and in which form.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct LogSettings {
    pub(crate) format: LogFormat,
    pub(crate) verbosity: Verbosity,
}

/// The options of a watch, as a check would have them.
pub(crate) fn options(flags: &mut Watch) -> CheckOptions {
    CheckOptions {
        look: std::mem::take(&mut flags.look),
        output: OutputFlags { quiet: flags.quiet, verbose: flags.verbose, ..OutputFlags::default() },
        config: flags.config.clone(),
    }
}

impl WatchSettings {
    /// Reads the options, the environment and the file; and the secrets of the notifiers.
    ///
    /// # Errors
    /// A value that cannot be; a secret that can't be read; a file that is wrong.
    pub(crate) fn load(
        flags: &Watch,
        options: &CheckOptions,
        environment: &dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let layers = Layers::load(options, environment)?;
        let config = layers.config();
        if let Some(repair) =
            config.guard.repair.as_ref().filter(|repair| *repair.get_ref() != RepairName::Off)
        {
            let what = "repair is asked for, and this version only watches: it repairs nothing yet";
            return Err(config.failure_at(&repair.span(), what).with_hint("write repair = \"off\""));
        }
        let look = layers.settings(&flags.domains)?;
        let mut policy = policy(&config.guard);
        policy.depths = match look.look.depth {
            DepthChoice::Auto => Depths::Auto,
            DepthChoice::Full => Depths::Full,
            DepthChoice::Quick => Depths::Quick,
        };
        let listen = layers.one("listen", flags.listen.as_deref(), text(&config.http.listen))?;
        Ok(Self {
            look,
            policy,
            state: state(flags, &layers)?,
            listen: listen.map(|Listen(address)| address),
            notifiers: notifier::settle(config, environment)?,
            log: LogSettings {
                format: layers
                    .one("log-format", flags.log_format.as_deref(), text(&config.output.log_format))?
                    .unwrap_or_default(),
                verbosity: layers.output()?.verbosity,
            },
        })
    }
}

fn policy(section: &GuardSection) -> Policy {
    let mut policy = Policy::default();
    let set = |target: &mut Duration, value: &Option<Text<Interval>>| {
        if let Some(Text(Interval(duration))) = value {
            *target = *duration;
        }
    };
    set(&mut policy.interval, &section.interval);
    set(&mut policy.full_interval, &section.full_interval);
    set(&mut policy.confirmation_gap, &section.confirmation_gap);
    set(&mut policy.degraded_after, &section.degraded_after);
    set(&mut policy.blind_after, &section.blind_after);
    set(&mut policy.reminder, &section.reminder);
    set(&mut policy.delivery_lease, &section.delivery_lease);
    if !section.unhealthy_intervals.is_empty() {
        policy.unhealthy_intervals =
            section.unhealthy_intervals.iter().map(|Text(Interval(duration))| *duration).collect();
    }
    if let Some(Number(confirmations)) = &section.confirmations {
        policy.confirmations = confirmations.0.get();
    }
    policy
}

/// Where somebody said, or else in the state directory that the service manager or the user has.
fn state(flags: &Watch, layers: &Layers<'_>) -> Result<State, Failure> {
    let config = layers.config();
    let chosen = flags.state.clone().or_else(|| layers.variable("state").map(|(_, path)| path));
    let chosen =
        chosen.map(PathBuf::from).or_else(|| config.state.path.as_deref().map(|path| config.resolve(path)));
    if let Some(path) = chosen {
        return Ok(State { path, above: None });
    }
    let directory = |name: &str| {
        // A variable that is set to nothing counts as not set; a relative one is not to be heeded (XDG base directories).
        let directories = layers.environment(name).filter(|value| !value.is_empty())?;
        // systemd separates several by colons.
        let first = PathBuf::from(directories.split(':').next()?);
        first.is_absolute().then_some(first)
    };
    if let Some(directory) = directory("STATE_DIRECTORY") {
        return Ok(State { path: directory.join(STATE_FILE), above: None });
    }
    // A home that isn't there is a service's, and isn't made.
    let home = || directory("HOME").filter(|home| home.is_dir());
    let above = directory("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")));
    let above = above.ok_or_else(|| {
        Failure::new(Code::State, "there is no place for the state file: HOME names no directory")
            .with_hint("name a file with --state")
    })?;
    Ok(State { path: above.join("dkimguard").join(STATE_FILE), above: Some(above) })
}
