//! [`Settings`]: what the command line, the environment and the configuration file mean together.

use std::ffi::OsString;
use std::num::NonZeroU32;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use dkimguard_core::look::{Authoritative, DNS_PORT};
use dkimguard_core::name::Name;

use crate::args::{CheckOptions, LookFlags, OutputFlags, PremiseFlags, format_of};
use crate::config::{Config, SourceName};
use crate::failure::{Code, Failure};
use crate::value::{
    Attempts, BadValue, Color, DepthChoice, Domain, Format, Nameserver, Port, Region, Resolver, RoleArn,
    SourceKind, Switch, Text, Timeout, Verbose,
};

/// How long one attempt waits, unless told otherwise.
const DEFAULT_TIMEOUT: Duration = Duration::from_secs(2);
/// How often a server is asked one question, unless told otherwise.
const DEFAULT_ATTEMPTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(1);

/// What a check is to do.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    /// The domains to look at, in this order; every domain of the source if there are none.
    pub(crate) domains: Vec<Name>,
    /// Where identities come from.
    pub(crate) source: Source,
    /// From where to look, and how.
    pub(crate) look: LookSettings,
    /// What is judged in place of the delegation of today, if anything.
    pub(crate) premise: Option<PremiseChoice>,
}

/// What is judged in place of the delegation of today.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum PremiseChoice {
    /// These servers, as though the domain were delegated to them.
    Servers(Vec<Nameserver>),
    /// The zone in this file, as though it were served.
    ZoneFile(PathBuf),
}

/// Where identities come from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Source {
    /// Amazon SES.
    Ses {
        /// In which regions.
        regions: Regions,
        /// In the accounts of which roles; in the credentials' own if there are none.
        roles: Vec<RoleArn>,
    },
    /// A file.
    File(PathBuf),
}

/// In which regions of SES.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Regions {
    /// The one that the AWS configuration names.
    Configured,
    /// These.
    Named(Vec<Region>),
    /// All.
    All,
}

/// From where to look, and how.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct LookSettings {
    /// The resolvers that somebody chose; the defaults if there are none.
    pub(crate) resolvers: Vec<Resolver>,
    /// Whether the name servers are asked, and on which port.
    pub(crate) authoritative: Authoritative,
    /// How thoroughly.
    pub(crate) depth: DepthChoice,
    /// How long one attempt waits.
    pub(crate) timeout: Duration,
    /// How often one server is asked one question.
    pub(crate) attempts: NonZeroU32,
}

/// In which form the outcome is shown.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Output {
    pub(crate) format: Format,
    pub(crate) color: Color,
    pub(crate) verbosity: Verbosity,
}

impl Output {
    /// The form in which even options that can't be understood are refused.
    pub(crate) fn guess(line: &[OsString], environment: &dyn Fn(&str) -> Option<String>) -> Self {
        let variable = || environment(&variable_name("format"))?.parse().ok();
        let format = format_of(line).or_else(variable).unwrap_or_default();
        Self { format, ..Self::default() }
    }
}

/// How much is said beside the outcome.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Verbosity {
    /// Nothing but errors.
    Quiet,
    /// Progress where it takes long, and warnings.
    #[default]
    Normal,
    /// Also what is done.
    Steps,
    /// Also every question.
    Questions,
}

/// The three places where an option may stand, the strongest first.
pub(crate) struct Layers<'a> {
    flags: &'a CheckOptions,
    environment: &'a dyn Fn(&str) -> Option<String>,
    config: Config,
}

impl<'a> Layers<'a> {
    /// Brings the three together. `environment` tells the value of a variable, if it is set.
    ///
    /// # Errors
    /// A configuration file that can't be read or is wrong.
    pub(crate) fn load(
        flags: &'a CheckOptions,
        environment: &'a dyn Fn(&str) -> Option<String>,
    ) -> Result<Self, Failure> {
        let mut layers = Self { flags, environment, config: Config::default() };
        let path = flags.config.clone().or_else(|| layers.variable("config").map(|(_, value)| value));
        if let Some(path) = path {
            layers.config = Config::read(Path::new(&path))?;
        }
        Ok(layers)
    }

    /// In which form the outcome is shown.
    ///
    /// # Errors
    /// A value that cannot be.
    pub(crate) fn output(&self) -> Result<Output, Failure> {
        let OutputFlags { format, color, quiet, verbose } = &self.flags.output;
        let file = &self.config.output;
        // One setting with two options: a layer that has either of them outweighs the layers below.
        let verbosity = if *quiet {
            Verbosity::Quiet
        } else if *verbose > 0 {
            Verbosity::from(Verbose(*verbose))
        } else if let Some(Switch(true)) = self.in_environment("quiet")? {
            Verbosity::Quiet
        } else if let Some(verbose) = self.in_environment::<Verbose>("verbose")? {
            Verbosity::from(verbose)
        } else if file.quiet == Some(true) {
            Verbosity::Quiet
        } else {
            file.verbose.as_ref().map_or_else(Verbosity::default, |level| Verbosity::from(level.0))
        };
        Ok(Output {
            format: self.one("format", format.as_deref(), text(&file.format))?.unwrap_or_default(),
            color: self.one("color", color.as_deref(), text(&file.color))?.unwrap_or_default(),
            verbosity,
        })
    }

    /// What a check of these domains, or else of those in the file, is to do.
    ///
    /// # Errors
    /// A value that cannot be; options that exclude each other.
    pub(crate) fn settings(&self, domains: &[String]) -> Result<Settings, Failure> {
        Ok(Settings {
            domains: self.domains(domains)?,
            source: self.source()?,
            look: self.look()?,
            premise: None,
        })
    }

    /// The same, with what is to be judged in place of the delegation of today, if anything.
    ///
    /// # Errors
    /// As [`settings`](Self::settings).
    pub(crate) fn settings_supposing(
        &self,
        domains: &[String],
        flags: &PremiseFlags,
    ) -> Result<Settings, Failure> {
        let mut settings = Settings { premise: self.premise(flags)?, ..self.settings(domains)? };
        let authoritative = &mut settings.look.authoritative;
        if settings.premise.is_some() && *authoritative == Authoritative::Skip {
            if flags.is_empty() {
                let message = "name servers are not to be asked (--no-authoritative), and others than today's are to \
                               be judged (--nameserver, --zone-file)";
                return Err(Failure::new(Code::Usage, message).with_hint("leave one of the two out"));
            }
            // Whoever names servers on the command line wants them asked.
            *authoritative =
                Authoritative::Ask { port: self.port(self.flags.look.authoritative_port.as_deref())? };
        }
        Ok(settings)
    }

    fn domains(&self, domains: &[String]) -> Result<Vec<Name>, Failure> {
        if domains.is_empty() {
            return Ok(self.config.source.domains.iter().map(|Text(Domain(name))| name.clone()).collect());
        }
        let parse = |text: &String| match text.parse() {
            Ok(Domain(name)) => Ok(name),
            Err(bad) => Err(Failure::new(bad.code, bad.message).with_hint(bad.hint)),
        };
        domains.iter().map(parse).collect()
    }

    fn source(&self) -> Result<Source, Failure> {
        let kind = match self.one("source", self.flags.look.source.as_deref(), None)? {
            Some(kind) => kind,
            None => self.source_of_file()?,
        };
        match kind {
            SourceKind::File(path) => {
                let LookFlags { region, all_regions, role_arn, .. } = &self.flags.look;
                if !region.is_empty() || *all_regions || !role_arn.is_empty() {
                    let message = "--region, --all-regions and --role-arn choose among SES accounts, and the \
                                   source is a file";
                    return Err(
                        Failure::new(Code::Usage, message).with_hint("leave them out, or add --source ses")
                    );
                }
                Ok(Source::File(path))
            }
            SourceKind::Ses => Ok(Source::Ses { regions: self.regions()?, roles: self.roles()? }),
        }
    }

    fn source_of_file(&self) -> Result<SourceKind, Failure> {
        let section = &self.config.source;
        match (section.kind, &section.path) {
            (None | Some(SourceName::Ses), None) => Ok(SourceKind::Ses),
            (Some(SourceName::File), Some(path)) => Ok(SourceKind::File(self.config.resolve(path))),
            (Some(SourceName::File), None) => Err(self
                .config
                .failure("source", "has kind = \"file\" and no path")
                .with_hint("add path = \"identities.toml\"")),
            (None | Some(SourceName::Ses), Some(_)) => Err(self
                .config
                .failure("source", "has a path, and kind isn't \"file\"")
                .with_hint("add kind = \"file\", or leave the path out")),
        }
    }

    fn regions(&self) -> Result<Regions, Failure> {
        // One setting with two options: a layer that has either of them outweighs the layers below.
        if self.flags.look.all_regions {
            return Ok(Regions::All);
        }
        if !self.flags.look.region.is_empty() {
            return Ok(Regions::Named(self.many("region", &self.flags.look.region, &[])?));
        }
        let both = |failure: Failure| failure.with_hint("name regions, or ask for all");
        let named: Vec<Region> = self.many("region", &[], &[])?;
        match (self.in_environment("all-regions")?, named.is_empty()) {
            (Some(Switch(true)), true) => return Ok(Regions::All),
            (Some(Switch(true)), false) => {
                let message = "DKIMGUARD_REGION and DKIMGUARD_ALL_REGIONS are both set";
                return Err(both(Failure::new(Code::Usage, message)));
            }
            (_, false) => return Ok(Regions::Named(named)),
            (_, true) => {}
        }
        let section = &self.config.source;
        match (section.all_regions == Some(true), section.regions.is_empty()) {
            (true, true) => Ok(Regions::All),
            (true, false) => Err(both(self.config.failure("source", "has both regions and all_regions"))),
            (false, true) => Ok(Regions::Configured),
            (false, false) => Ok(Regions::Named(values(&section.regions))),
        }
    }

    fn roles(&self) -> Result<Vec<RoleArn>, Failure> {
        self.many("role-arn", &self.flags.look.role_arn, &self.config.source.role_arns)
    }

    fn look(&self) -> Result<LookSettings, Failure> {
        let LookFlags { resolver, authoritative_port, depth, timeout, attempts, .. } = &self.flags.look;
        let file = &self.config.look;
        let timeout = self.one("timeout", timeout.as_deref(), text(&file.timeout))?;
        let attempts_of_file = file.attempts.as_ref().map(|number| number.0);
        let attempts = self.one("attempts", attempts.as_deref(), attempts_of_file)?;
        Ok(LookSettings {
            resolvers: self.many("resolver", resolver, &file.resolvers)?,
            authoritative: self.authoritative(authoritative_port.as_deref())?,
            depth: self.one("depth", depth.as_deref(), text(&file.depth))?.unwrap_or_default(),
            timeout: timeout.map_or(DEFAULT_TIMEOUT, |Timeout(timeout)| timeout),
            attempts: attempts.map_or(DEFAULT_ATTEMPTS, |Attempts(attempts)| attempts),
        })
    }

    /// One setting with two options: a layer that has either of them outweighs the layers below.
    fn premise(&self, flags: &PremiseFlags) -> Result<Option<PremiseChoice>, Failure> {
        let PremiseFlags { nameserver, zone_file } = flags;
        let file = &self.config.look;
        if let Some(path) = zone_file {
            return Ok(Some(PremiseChoice::ZoneFile(path.into())));
        }
        if !nameserver.is_empty() {
            return Ok(Some(PremiseChoice::Servers(self.many("nameserver", nameserver, &[])?)));
        }
        match (self.variable("nameserver"), self.variable("zone-file")) {
            (None, None) => {}
            (Some(_), None) => {
                return Ok(Some(PremiseChoice::Servers(self.many("nameserver", &[], &[])?)));
            }
            (None, Some((_, path))) => return Ok(Some(PremiseChoice::ZoneFile(path.into()))),
            (Some(_), Some(_)) => {
                let message = "DKIMGUARD_NAMESERVER and DKIMGUARD_ZONE_FILE are both set";
                return Err(Failure::new(Code::Usage, message).with_hint("judge the one or the other"));
            }
        }
        match (file.nameservers.is_empty(), &file.zone_file) {
            (true, None) => Ok(None),
            (false, None) => Ok(Some(PremiseChoice::Servers(values(&file.nameservers)))),
            (true, Some(path)) => Ok(Some(PremiseChoice::ZoneFile(self.config.resolve(path)))),
            (false, Some(_)) => Err(self
                .config
                .failure("look", "has both nameservers and zone_file")
                .with_hint("judge the one or the other")),
        }
    }

    fn authoritative(&self, port_flag: Option<&str>) -> Result<Authoritative, Failure> {
        let file = &self.config.look;
        let skip = if self.flags.look.no_authoritative {
            true
        } else if port_flag.is_some() {
            // Whoever names the servers' port wants them asked.
            false
        } else {
            let variable = self.in_environment("no-authoritative")?.map(|Switch(on)| on);
            variable.or(file.no_authoritative).unwrap_or_default()
        };
        if skip {
            return Ok(Authoritative::Skip);
        }
        Ok(Authoritative::Ask { port: self.port(port_flag)? })
    }

    fn port(&self, flag: Option<&str>) -> Result<u16, Failure> {
        let of_file = self.config.look.authoritative_port.as_ref().map(|number| number.0);
        let port = self.one("authoritative-port", flag, of_file)?;
        Ok(port.map_or(DNS_PORT, |Port(port)| port))
    }

    /// The configuration file.
    pub(crate) fn config(&self) -> &Config {
        &self.config
    }

    /// The value of a variable of the environment, if it is set.
    pub(crate) fn environment(&self, name: &str) -> Option<String> {
        (self.environment)(name)
    }

    /// The value of an option that stands once: from its flag, its variable, or the file.
    pub(crate) fn one<T: FromStr<Err = BadValue>>(
        &self,
        option: &str,
        flag: Option<&str>,
        file: Option<T>,
    ) -> Result<Option<T>, Failure> {
        match flag {
            Some(text) => read(&format!("--{option}"), text).map(Some),
            None => Ok(self.in_environment(option)?.or(file)),
        }
    }

    /// The values of an option that is repeatable; the first layer that has any has them all.
    fn many<T: FromStr<Err = BadValue> + Clone>(
        &self,
        option: &str,
        flags: &[String],
        file: &[Text<T>],
    ) -> Result<Vec<T>, Failure> {
        if !flags.is_empty() {
            return flags.iter().map(|text| read(&format!("--{option}"), text)).collect();
        }
        match self.variable(option) {
            Some((name, list)) => list.split(',').map(|text| read(&name, text.trim())).collect(),
            None => Ok(values(file)),
        }
    }

    /// The option's value in the environment, if it is set there.
    fn in_environment<T: FromStr<Err = BadValue>>(&self, option: &str) -> Result<Option<T>, Failure> {
        self.variable(option).map(|(name, text)| read(&name, &text)).transpose()
    }

    /// The option's variable and its value. A variable that is set to nothing counts as not set.
    pub(crate) fn variable(&self, option: &str) -> Option<(String, String)> {
        let name = variable_name(option);
        let value = (self.environment)(&name).filter(|value| !value.is_empty())?;
        Some((name, value))
    }
}

impl From<Verbose> for Verbosity {
    fn from(Verbose(level): Verbose) -> Self {
        match level {
            0 => Self::Normal,
            1 => Self::Steps,
            _ => Self::Questions,
        }
    }
}

/// The environment variable of an option: `DKIMGUARD_ROLE_ARN` of `role-arn`.
fn variable_name(option: &str) -> String {
    format!("DKIMGUARD_{}", option.to_ascii_uppercase().replace('-', "_"))
}

/// Reads a value; a refusal names the flag or variable in which it stood.
fn read<T: FromStr<Err = BadValue>>(place: &str, text: &str) -> Result<T, Failure> {
    text.parse().map_err(|bad: BadValue| {
        Failure::new(bad.code, format!("{place}: {}", bad.message)).with_hint(bad.hint)
    })
}

pub(crate) fn text<T: Copy>(value: &Option<Text<T>>) -> Option<T> {
    value.as_ref().map(|text| text.0)
}

fn values<T: Clone>(texts: &[Text<T>]) -> Vec<T> {
    texts.iter().map(|text| text.0.clone()).collect()
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::args::{Args, Command, Parsed, parse};

    /// What the three layers come to.
    fn settle(
        flags: &[&str],
        environment: &[(&str, &str)],
        file: Option<&str>,
    ) -> Result<(Settings, Output), Failure> {
        let mut line: Vec<OsString> =
            ["dkimguard", "check"].into_iter().chain(flags.iter().copied()).map(Into::into).collect();
        let mut config = tempfile::NamedTempFile::new().expect("a temporary file");
        if let Some(file) = file {
            config.write_all(file.as_bytes()).expect("writing it");
            line.extend(["--config".into(), config.path().into()]);
        }
        let Parsed::Run(Args { command: Command::Check(check) }) = parse(&line)? else {
            panic!("no help was asked for");
        };
        let environment = |name: &str| {
            environment.iter().find(|(variable, _)| *variable == name).map(|(_, value)| (*value).to_owned())
        };
        let layers = Layers::load(&check.options, &environment)?;
        Ok((layers.settings_supposing(&check.domains, &check.premise)?, layers.output()?))
    }

    #[test]
    fn a_flag_beats_the_environment_and_that_beats_the_file() {
        let file = Some(
            "[look]\ndepth = \"full\"\ntimeout = \"3s\"\nattempts = 3\nresolvers = [\"192.0.2.3\"]\n\
             [source]\nregions = [\"eu-west-3\"]\n[output]\nformat = \"json\"\nquiet = true",
        );
        let environment = [
            ("DKIMGUARD_DEPTH", "quick"),
            ("DKIMGUARD_TIMEOUT", "2500ms"),
            ("DKIMGUARD_RESOLVER", "192.0.2.1, 2001:db8::2"),
            ("DKIMGUARD_FORMAT", ""),
            ("DKIMGUARD_VERBOSE", "2"),
        ];
        let flags = ["--depth", "auto", "--all-regions"];
        let (settings, output) = settle(&flags, &environment, file).expect("all is sound");
        assert_eq!(settings.look.depth, DepthChoice::Auto);
        assert_eq!(settings.look.timeout, Duration::from_millis(2500));
        assert_eq!(settings.look.attempts.get(), 3);
        let resolvers: Vec<String> = settings.look.resolvers.iter().map(|r| r.0.to_string()).collect();
        assert_eq!(resolvers, ["resolver 192.0.2.1:53", "resolver [2001:db8::2]:53"]);
        assert_eq!(settings.source, Source::Ses { regions: Regions::All, roles: Vec::new() });
        assert_eq!(output.format, Format::Json, "a variable that is set to nothing is not set");
        assert_eq!(output.verbosity, Verbosity::Questions);
    }

    #[test]
    fn without_anything_the_defaults_hold() {
        let (settings, output) = settle(&[], &[], None).expect("nothing is wrong with nothing");
        assert_eq!(settings.source, Source::Ses { regions: Regions::Configured, roles: Vec::new() });
        assert_eq!(settings.look.timeout, Duration::from_secs(2));
        assert_eq!(settings.look.attempts.get(), 2);
        assert_eq!(settings.look.authoritative, Authoritative::Ask { port: 53 });
        assert_eq!(output, Output::default());
    }

    #[test]
    fn the_help_names_the_defaults() {
        let Ok(Parsed::Show(help)) = parse(&["dkimguard", "check", "--help"].map(OsString::from)) else {
            panic!("help was asked for");
        };
        // Lines are broken anywhere between words.
        let help = help.split_whitespace().collect::<Vec<_>>().join(" ");
        for default in [
            format!("{}s (default)", DEFAULT_TIMEOUT.as_secs()),
            format!("(default {DEFAULT_ATTEMPTS})"),
            format!("(default {DNS_PORT})"),
        ] {
            assert!(help.contains(&default), "{default} in {help}");
        }
    }

    #[test]
    fn the_domains_of_the_file_count_where_none_is_named() {
        let file = Some("[source]\ndomains = [\"a.example\", \"b.example\"]");
        let domains = |flags: &[&str]| {
            let (settings, _) = settle(flags, &[], file).expect("all is sound");
            settings.domains.iter().map(ToString::to_string).collect::<Vec<_>>()
        };
        assert_eq!(domains(&[]), ["a.example", "b.example"]);
        assert_eq!(domains(&["c.example"]), ["c.example"]);
    }

    #[test]
    fn a_path_in_the_file_starts_at_the_files_directory() {
        let file = Some("[source]\nkind = \"file\"\npath = \"identities.toml\"");
        let (settings, _) = settle(&[], &[], file).expect("all is sound");
        let Source::File(path) = settings.source else { panic!("{:?}", settings.source) };
        assert_eq!(path, std::env::temp_dir().join("identities.toml"));
    }

    #[test]
    fn the_port_of_the_servers_outweighs_their_absence_below() {
        let file = Some("[look]\nno_authoritative = true\nauthoritative_port = 5353");
        let authoritative = |flags: &[&str], environment: &[(&str, &str)]| {
            settle(flags, environment, file).expect("all is sound").0.look.authoritative
        };
        assert_eq!(authoritative(&[], &[]), Authoritative::Skip);
        assert_eq!(
            authoritative(&[], &[("DKIMGUARD_NO_AUTHORITATIVE", "false")]),
            Authoritative::Ask { port: 5353 }
        );
        assert_eq!(authoritative(&["--authoritative-port", "54"], &[]), Authoritative::Ask { port: 54 });
    }

    #[test]
    fn a_layer_with_a_premise_outweighs_the_layers_below() {
        let file = Some("[look]\nnameservers = [\"ns1.example\", \"192.0.2.1\"]");
        let premise = |flags: &[&str], environment: &[(&str, &str)]| {
            settle(flags, environment, file).expect("all is sound").0.premise
        };
        let servers = |texts: &[&str]| {
            let servers = texts.iter().map(|text| text.parse().expect("a name server")).collect();
            Some(PremiseChoice::Servers(servers))
        };
        let zone = [("DKIMGUARD_ZONE_FILE", "db")];
        assert_eq!(settle(&[], &[], None).expect("all is sound").0.premise, None);
        assert_eq!(premise(&[], &[]), servers(&["ns1.example", "192.0.2.1"]));
        assert_eq!(premise(&[], &zone), Some(PremiseChoice::ZoneFile("db".into())));
        assert_eq!(premise(&["--nameserver", "ns2.example"], &zone), servers(&["ns2.example"]));
        assert_eq!(premise(&["--zone-file", "x"], &[]), Some(PremiseChoice::ZoneFile("x".into())));
        let several = [("DKIMGUARD_NAMESERVER", "a.example, b.example:54")];
        assert_eq!(premise(&[], &several), servers(&["a.example", "b.example:54"]));
    }

    #[test]
    fn whoever_names_servers_wants_them_asked() {
        let file = Some("[look]\nno_authoritative = true");
        let (settings, _) = settle(&["--nameserver", "ns1.example"], &[], file).expect("all is sound");
        assert_eq!(settings.look.authoritative, Authoritative::Ask { port: 53 });
        let both = [("DKIMGUARD_NAMESERVER", "ns1.example")];
        for flags in [&["--no-authoritative"][..], &[]] {
            let failure = settle(flags, &both, file).expect_err("nobody is left to ask");
            assert_eq!(failure.code, Code::Usage);
        }
    }

    #[test]
    fn what_cannot_be_is_refused_with_its_place() {
        for (flags, environment, file, code, message) in [
            (&["a..b"][..], None, None, Code::BadDomain, "'a..b'"),
            (&["--region", "mars"], None, None, Code::BadRegion, "--region: 'mars'"),
            (
                &[],
                Some(("DKIMGUARD_REGION", "us-east-1,mars")),
                None,
                Code::BadRegion,
                "DKIMGUARD_REGION: 'mars'",
            ),
            (&[], Some(("DKIMGUARD_NO_AUTHORITATIVE", "perhaps")), None, Code::BadChoice, "'perhaps'"),
            (&["--resolver", ""], None, None, Code::BadResolver, "--resolver: ''"),
            (&["--source", "file:x.toml", "--region", "us-east-1"], None, None, Code::Usage, "--region"),
            (&[], None, Some("[source]\nkind = \"file\""), Code::ConfigFile, "no path"),
            (&[], None, Some("[source]\npath = \"x.toml\""), Code::ConfigFile, "has a path"),
            (
                &[],
                None,
                Some("[source]\nall_regions = true\nregions = [\"us-east-1\"]"),
                Code::ConfigFile,
                "both regions and all_regions",
            ),
        ] {
            let failure = settle(flags, environment.as_slice(), file).expect_err(message);
            assert_eq!(failure.code, code, "{failure:?}");
            assert!(failure.message.contains(message), "{message} in {}", failure.message);
            assert!(failure.hint.is_some(), "{failure:?}");
        }
    }
}
