//! [`Config`]: the configuration file, as it is written.
//!
//! Every option of the command line has a key here, under the option's own name. The sections of the commands that
//! stay running are read and checked too, so that one file serves all commands.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::{Code, Failure};
use crate::value::{
    Attempts, Color, DepthChoice, Domain, Format, Nameserver, Number, Port, Region, Resolver, RoleArn, Span,
    Text, Timeout, Verbose,
};

/// The configuration file, as it is written. A key that doesn't exist is refused with line and column.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the file is; the default is no file.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    pub(crate) source: SourceSection,
    pub(crate) look: LookSection,
    pub(crate) output: OutputSection,
    guard: GuardSection,
    state: StateSection,
    http: HttpSection,
    notify: Vec<NotifySection>,
}

impl Config {
    /// Reads the file.
    ///
    /// # Errors
    /// A file that can't be read; a key or value that can't be, with file, line and column.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let shown = path.display();
        let text = fs::read_to_string(path).map_err(|error| {
            Failure::new(Code::ConfigFile, format!("cannot read the configuration file {shown}: {error}"))
                .with_hint("--config names a TOML file")
        })?;
        let mut config: Self = toml::from_str(&text).map_err(|error| {
            let (line, column) = position(&text, error.span().map_or(0, |span| span.start));
            let message = error.message().trim_end();
            Failure::new(Code::ConfigFile, format!("{shown}:{line}:{column}: {message}"))
        })?;
        path.clone_into(&mut config.path);
        Ok(config)
    }

    /// A path that the file names: relative ones start at the file's own directory.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    /// What is wrong with a section as a whole.
    pub(crate) fn failure(&self, section: &str, what: &str) -> Failure {
        Failure::new(Code::ConfigFile, format!("{}: [{section}] {what}", self.path.display()))
    }
}

/// `[source]`: which identities.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct SourceSection {
    pub(crate) kind: Option<SourceName>,
    pub(crate) path: Option<PathBuf>,
    pub(crate) regions: Vec<Text<Region>>,
    pub(crate) all_regions: Option<bool>,
    pub(crate) role_arns: Vec<Text<RoleArn>>,
    pub(crate) domains: Vec<Text<Domain>>,
}

/// The kinds of source, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum SourceName {
    Ses,
    File,
}

/// `[look]`: from where, and how long.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct LookSection {
    pub(crate) resolvers: Vec<Text<Resolver>>,
    pub(crate) no_authoritative: Option<bool>,
    pub(crate) authoritative_port: Option<Number<Port>>,
    pub(crate) nameservers: Vec<Text<Nameserver>>,
    pub(crate) zone_file: Option<PathBuf>,
    pub(crate) depth: Option<Text<DepthChoice>>,
    pub(crate) timeout: Option<Text<Timeout>>,
    pub(crate) attempts: Option<Number<Attempts>>,
}

/// `[output]`: in which form.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct OutputSection {
    pub(crate) format: Option<Text<Format>>,
    pub(crate) color: Option<Text<Color>>,
    pub(crate) quiet: Option<bool>,
    pub(crate) verbose: Option<Number<Verbose>>,
}

/// `[guard]`: how a command that stays running looks and alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct GuardSection {
    interval: Option<Text<Span>>,
    unhealthy_intervals: Vec<Text<Span>>,
    confirmations: Option<u32>,
    degraded_after: Option<Text<Span>>,
    reminder: Option<Text<Span>>,
    repair: Option<RepairName>,
}

/// What a guard does about what is broken.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum RepairName {
    Off,
    Propose,
    Apply,
}

/// `[state]`: where a command that stays running remembers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct StateSection {
    path: Option<PathBuf>,
}

/// `[http]`: where a command that stays running answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
struct HttpSection {
    listen: Option<std::net::SocketAddr>,
}

/// `[[notify]]`: who is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
#[expect(dead_code, reason = "checked in form; for commands that stay running")]
struct NotifySection {
    kind: NotifierName,
    url: Option<String>,
    secret_env: Option<String>,
    secret_file: Option<PathBuf>,
}

/// The kinds of notifier, by name.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
enum NotifierName {
    Webhook,
    Slack,
    Pagerduty,
    Sns,
    Command,
    Stdout,
}

/// The line and the column, both from 1, of an offset into the text.
fn position(text: &str, offset: usize) -> (usize, usize) {
    let before = text.get(..offset).unwrap_or(text);
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn read(text: &str) -> Result<Config, Failure> {
        let mut file = tempfile::NamedTempFile::new().expect("a temporary file");
        file.write_all(text.as_bytes()).expect("writing it");
        Config::read(file.path())
    }

    #[test]
    fn the_file_of_the_documentation_is_read() {
        let text = r#"
            [source]
            kind = "ses"
            regions = ["us-east-1"]
            role_arns = []
            domains = []
            [look]
            resolvers = ["192.0.2.53:53"]
            depth = "auto"
            timeout = "2s"
            attempts = 2
            [guard]
            interval = "15m"
            unhealthy_intervals = ["1m", "2m", "5m", "15m"]
            confirmations = 2
            degraded_after = "10m"
            reminder = "24h"
            repair = "off"
            [state]
            path = "dkimguard.sqlite"
            [http]
            listen = "127.0.0.1:9580"
            [[notify]]
            kind = "webhook"
            url = "https://example.com/hook"
            secret_env = "HOOK_SECRET"
        "#;
        let config = read(text).expect("it is right");
        assert_eq!(config.source.kind, Some(SourceName::Ses));
        assert_eq!(config.look.resolvers, [Text("192.0.2.53:53".parse().expect("an address"))]);
    }

    #[test]
    fn what_is_wrong_is_told_with_line_and_column() {
        for (text, place, what) in [
            ("[look]\nresolver = []", ":2:1: ", "resolver"),
            ("[lok]\n", ":1:2: ", "lok"),
            (
                "[look]\nresolvers = [\"192.0.2.53\",\n  \"dns.example\"]",
                ":2:13: ",
                "'dns.example' is not the address",
            ),
            ("[look]\nattempts = 0", ":2:12: ", "'0' is no number of attempts"),
            ("[look]\nattempts = \"2\"", ":2:12: ", "a number is wanted"),
            ("[look]\nauthoritative_port = 70000", ":2:22: ", "'70000' is no port"),
            ("[source]\nregions = [\"mars\"]", ":2:11: ", "'mars' is no region"),
            ("[source]\nkind = \"smtp\"", ":2:8: ", "smtp"),
            ("[[notify]]\nkind = \"webhook\"\nuri = \"x\"", ":3:1: ", "uri"),
            ("[guard]\ninterval = \"15\"", ":2:12: ", "'15' is no length of time"),
            ("é = [", ":1:", ""),
        ] {
            let failure = read(text).map(|_| ()).expect_err(text);
            assert_eq!(failure.code, Code::ConfigFile);
            assert!(failure.message.contains(place), "{place} in {}", failure.message);
            assert!(failure.message.contains(what), "{what} in {}", failure.message);
        }
    }
}
