//! [`WatchSettings`]: what the command line, the environment and the configuration file mean for a watch.

use std::net::SocketAddr;
use std::time::Duration;

use dkimguard_core::guard::{Depths, Policy, RepairMode};

use super::notifier::{self, NotifierSettings};
use crate::args::{CheckOptions, OutputFlags, Watch};
use crate::config::{Config, GuardSection, RepairName};
use crate::failure::Failure;
use crate::settings::{Layers, Settings, Source, Verbosity, text};
use crate::state::State;
use crate::value::{DepthChoice, Interval, Listen, LogFormat, Number, Text};

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
        let look = layers.settings(&flags.domains)?;
        let mut policy = policy(&config.guard);
        policy.repair = repair(config, &look)?;
        policy.depths = match look.look.depth {
            DepthChoice::Auto => Depths::Auto,
            DepthChoice::Full => Depths::Full,
            DepthChoice::Quick => Depths::Quick,
        };
        let listen = layers.one("listen", flags.listen.as_deref(), text(&config.http.listen))?;
        Ok(Self {
            look,
            policy,
            state: State::settle(flags.state.as_deref(), &layers)?,
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

/// What is done about records that are wrong; where nothing can be edited, or seen well enough, nothing can be meant to be.
fn repair(config: &Config, look: &Settings) -> Result<RepairMode, Failure> {
    let Some(repair) = &config.guard.repair else { return Ok(RepairMode::Off) };
    let refuse = |what: &str, hint: &str| Err(config.failure_at(&repair.span(), what).with_hint(hint));
    match (repair.get_ref(), &look.source, look.look.depth) {
        (RepairName::Off, _, _) => Ok(RepairMode::Off),
        (_, _, DepthChoice::Quick) => refuse(
            "edits are made or proposed only after full looks, and depth is quick: no look is a full one",
            "write repair = \"off\", or take depth = \"auto\"",
        ),
        (RepairName::Propose, _, _) => Ok(RepairMode::Propose),
        (RepairName::Apply, Source::Ses { .. }, _) => Ok(RepairMode::Apply),
        (RepairName::Apply, Source::File(_), _) => refuse(
            "records are to be mended, and the identities are those of a file: no zone can be edited",
            "write repair = \"off\", or take kind = \"ses\"",
        ),
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
    set(&mut policy.list_interval, &section.list_interval);
    set(&mut policy.confirmation_gap, &section.confirmation_gap);
    set(&mut policy.degraded_after, &section.degraded_after);
    set(&mut policy.cached_after, &section.cached_after);
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

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::PathBuf;

    use super::*;
    use crate::failure::Code;

    const DOCUMENTATION: &str = include_str!("../../../docs/watch.md");

    /// What the flags, the environment and the file come to.
    fn load(
        flags: Watch,
        environment: &[(&str, &str)],
        file: &str,
        secret: &str,
    ) -> Result<WatchSettings, Failure> {
        let directory = tempfile::tempdir().expect("a temporary directory");
        let path = directory.path().join("dkimguard.toml");
        fs::write(&path, file).expect("writing the file");
        fs::write(directory.path().join("hook.secret"), secret).expect("writing the secret");
        let mut flags = Watch { config: Some(path.to_str().expect("UTF-8").to_owned()), ..flags };
        let options = options(&mut flags);
        let environment = |name: &str| {
            environment.iter().find(|(known, _)| *known == name).map(|(_, value)| (*value).to_owned())
        };
        WatchSettings::load(&flags, &options, &environment)
    }

    #[test]
    fn the_documented_configuration_is_read_and_its_numbers_are_the_defaults() {
        let (_, rest) = DOCUMENTATION.split_once("```toml\n").expect("there is such a block");
        let (file, _) = rest.split_once("```").expect("it ends");
        let settings = load(Watch::default(), &[], file, "hidden").expect("it is right");
        assert_eq!(settings.policy, Policy::default());
        assert_eq!(settings.state.path, PathBuf::from("/var/lib/dkimguard/dkimguard.sqlite"));
        assert_eq!(settings.listen, Some("127.0.0.1:9580".parse().expect("an address")));
        assert_eq!(settings.notifiers.len(), 1);
        assert!(!format!("{settings:?}").contains("hidden"));
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_beats_the_file() {
        let file = "[state]\npath = \"of-the-file\"\n[http]\nlisten = \"127.0.0.1:1\"\n[output]\nlog_format = \"text\"\nquiet = true";
        let environment = [
            ("DKIMGUARD_STATE", "of-the-environment"),
            ("DKIMGUARD_LISTEN", "2"),
            ("DKIMGUARD_LOG_FORMAT", "json"),
        ];
        let settle = |flags, environment: &[_]| load(flags, environment, file, "").expect("all is sound");
        let address = |text: &str| Some(text.parse::<SocketAddr>().expect("an address"));

        let settings = settle(Watch::default(), &[]);
        assert!(settings.state.path.ends_with("of-the-file") && settings.state.path.is_absolute());
        assert_eq!(settings.listen, address("127.0.0.1:1"));
        assert_eq!(settings.log, LogSettings { format: LogFormat::Text, verbosity: Verbosity::Quiet });

        let settings = settle(Watch::default(), &environment);
        assert_eq!(settings.state.path, PathBuf::from("of-the-environment"));
        assert_eq!(settings.listen, address("127.0.0.1:2"));
        assert_eq!(settings.log.format, LogFormat::Json);

        let flags = Watch {
            state: Some("of-the-flag".to_owned()),
            listen: Some("[::1]:3".to_owned()),
            log_format: Some("text".to_owned()),
            verbose: 1,
            ..Watch::default()
        };
        let settings = settle(flags, &environment);
        assert_eq!(settings.state.path, PathBuf::from("of-the-flag"));
        assert_eq!(settings.listen, address("[::1]:3"));
        assert_eq!(settings.log, LogSettings { format: LogFormat::Text, verbosity: Verbosity::Steps });
    }

    #[test]
    fn without_a_home_there_is_no_place_for_the_state() {
        let failure = load(Watch::default(), &[("HOME", "/nonexistent")], "", "").expect_err("nowhere");
        assert_eq!(failure.code, Code::State);
        assert!(failure.hint.is_some_and(|hint| hint.contains("--state")));
        let environment = [("STATE_DIRECTORY", "/var/lib/a:/var/lib/b"), ("HOME", "/nonexistent")];
        let settings = load(Watch::default(), &environment, "", "").expect("there is a place");
        assert_eq!(settings.state.path, PathBuf::from("/var/lib/a/dkimguard.sqlite"));
    }
}
