//! [`Config`]: the configuration file, as it is written.
//!
//! Every option of the command line has a key here, under the option's own name. The sections of the commands that
//! stay running are read and checked too, so that one file serves all commands.

use std::fmt;
use std::fs;
use std::ops::Range;
use std::path::{Path, PathBuf};

use serde::Deserialize;
use toml::Spanned;

use crate::failure::{Code, Failure};
use crate::value::{
    Attempts, Color, Confirmations, DepthChoice, Domain, Format, Interval, Listen, LogFormat, Nameserver,
    Number, Port, Region, Resolver, RoleArn, Text, Timeout, Verbose,
};

/// The configuration file, as it is written. A key that doesn't exist is refused with line and column.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Config {
    /// Where the file is; the default is no file.
    #[serde(skip)]
    pub(crate) path: PathBuf,
    #[serde(skip)]
    written: Hidden,
    pub(crate) source: SourceSection,
    pub(crate) look: LookSection,
    pub(crate) output: OutputSection,
    pub(crate) guard: GuardSection,
    pub(crate) state: StateSection,
    pub(crate) http: HttpSection,
    pub(crate) notify: Vec<Spanned<NotifySection>>,
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
        config.written = Hidden(text);
        Ok(config)
    }

    /// A path that the file names: relative ones start at the file's own directory.
    pub(crate) fn resolve(&self, path: &Path) -> PathBuf {
        self.path.parent().map_or_else(|| path.to_owned(), |directory| directory.join(path))
    }

    /// What is wrong at a place of the file, with line and column.
    pub(crate) fn failure_at(&self, span: &Range<usize>, what: &str) -> Failure {
        Failure::new(Code::ConfigFile, format!("{}: {what}", self.place(span)))
    }

    /// A place of the file: its path, line and column.
    pub(crate) fn place(&self, span: &Range<usize>) -> String {
        let (line, column) = position(&self.written.0, span.start);
        format!("{}:{line}:{column}", self.path.display())
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
    pub(crate) log_format: Option<Text<LogFormat>>,
    pub(crate) quiet: Option<bool>,
    pub(crate) verbose: Option<Number<Verbose>>,
}

/// `[guard]`: how a command that stays running looks and alerts.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct GuardSection {
    pub(crate) interval: Option<Text<Interval>>,
    pub(crate) unhealthy_intervals: Vec<Text<Interval>>,
    pub(crate) full_interval: Option<Text<Interval>>,
    pub(crate) list_interval: Option<Text<Interval>>,
    pub(crate) confirmations: Option<Number<Confirmations>>,
    pub(crate) confirmation_gap: Option<Text<Interval>>,
    pub(crate) degraded_after: Option<Text<Interval>>,
    pub(crate) cached_after: Option<Text<Interval>>,
    pub(crate) blind_after: Option<Text<Interval>>,
    pub(crate) reminder: Option<Text<Interval>>,
    pub(crate) delivery_lease: Option<Text<Interval>>,
    pub(crate) repair: Option<Spanned<RepairName>>,
}

/// What a guard does about what is broken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum RepairName {
    Off,
    Propose,
    Apply,
}

/// `[state]`: where a command that stays running remembers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct StateSection {
    pub(crate) path: Option<PathBuf>,
}

/// `[http]`: where a command that stays running answers.
#[derive(Debug, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct HttpSection {
    pub(crate) listen: Option<Text<Listen>>,
}

/// `[[notify]]`: who is told. Which of the keys a kind has is checked where it is opened.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NotifySection {
    pub(crate) kind: NotifierName,
    pub(crate) name: Option<Spanned<String>>,
    pub(crate) url: Option<Spanned<Hidden>>,
    pub(crate) secret_env: Option<Spanned<String>>,
    pub(crate) secret_file: Option<Spanned<PathBuf>>,
    pub(crate) allow_http: Option<Spanned<Vec<String>>>,
    pub(crate) topic_arn: Option<Spanned<String>>,
    pub(crate) program: Option<Spanned<String>>,
    pub(crate) args: Option<Spanned<Vec<Hidden>>>,
}

/// The kinds of notifier, by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum NotifierName {
    Webhook,
    Slack,
    Pagerduty,
    Sns,
    Command,
    Stdout,
}

/// A text that may hold a secret and isn't shown.
#[derive(Clone, Default, PartialEq, Eq, Deserialize)]
#[serde(transparent)]
pub(crate) struct Hidden(pub(crate) String);

impl fmt::Debug for Hidden {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Hidden(…)")
    }
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
            ("[guard]\ninterval = \"0s\"", ":2:12: ", "'0s' is too short"),
            ("[guard]\nconfirmations = 0", ":2:17: ", "'0' is no number of looks"),
            ("[http]\nlisten = \"here\"", ":2:10: ", "'here' is no address to listen at"),
            ("[[notify]]\nkind = \"mail\"", ":2:8: ", "mail"),
            ("[output]\nlog_format = \"xml\"", ":2:14: ", "'xml' is not a format"),
            ("é = [", ":1:", ""),
        ] {
            let failure = read(text).map(|_| ()).expect_err(text);
            assert_eq!(failure.code, Code::ConfigFile);
            assert!(failure.message.contains(place), "{place} in {}", failure.message);
            assert!(failure.message.contains(what), "{what} in {}", failure.message);
        }
    }
}
