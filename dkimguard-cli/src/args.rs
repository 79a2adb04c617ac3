//! [`Args`]: the command line, as it was written. What it means is settled in [`settings`](crate::settings).

use std::ffi::OsString;
use std::path::PathBuf;

use clap::error::{ContextKind, ErrorKind};
use clap::{Parser, Subcommand};

use crate::failure::{Code, Failure};
use crate::value::Format;

/// What the exit code says; the end of each help text.
const EXIT_CODES: &str = "Exit codes: 0 healthy, 1 degraded, 2 failing, 3 unknown or not done. With several \
domains the worst counts, in the order failing, degraded, unknown, healthy.";

/// What the demo needs, and what its exit code says.
const DEMO_NOTES: &str = "Name servers start inside this process, on loopback addresses. Nothing else is \
asked: the demo needs no account and no network, and takes some seconds.\n\nExit codes: 0 the guard told of the \
incident, 3 it didn't, or not done.";

/// What the exit code of an explanation says.
const EXPLAIN_NOTES: &str = "Exit codes: 0 explained, 3 an unknown code, or not done.";
/// Of the help text of notice: which region is checked.
const NOTICE_NOTES: &str = "Where no region is given, --check asks the one that the notice names.\n\n";

/// What the exit code of notice says.
const NOTICE_EXIT_CODES: &str = "Exit codes: 0 cancelled or succeeded, 1 warning, 2 revoked or failed, 3 not such \
a notice, or not done. With --check, that of the check.";

/// Of the help text of watch: what it does with signals, and who is told.
const WATCH_NOTES: &str = "Whom to tell, and when, stands in the file of --config ([[notify]], [guard]). SIGHUP \
reads that file again, and the file of identities; SIGTERM and SIGINT end the watch. docs/watch.md tells all.\n\n";

/// What the exit code of a watch says.
const WATCH_EXIT_CODES: &str = "Exit codes: 0 ended by a signal, 3 not done.";

/// Of the help text of repair: what it writes.
const REPAIR_NOTES: &str = "Without --apply nothing is written. Only records at the names of the domain's own DKIM \
selectors are edited, in the zone that the world is sent to; docs/repair.md tells all.\n\n";

/// What the exit code of a repair says.
const REPAIR_EXIT_CODES: &str = "Exit codes: 0 nothing to do, or repaired and proven, 1 a plan was printed and \
nothing applied, 2 refused, or not proven in time, 3 not done.";

/// Where else options may stand; the end of the help text of a command.
const ELSEWHERE: &str = "Each option may also stand in an environment variable (--role-arn in \
DKIMGUARD_ROLE_ARN, a list with commas) or in the file of --config. The command line counts first, then the \
environment, then the file.\n\n";

/// The command line, as it was written.
#[derive(Debug, Parser)]
#[command(
    name = "dkimguard",
    version,
    about = "Says whether a domain's DKIM records are what Amazon SES needs, seen from every\n\
             name server and through several resolvers.",
    after_help = EXIT_CODES,
    max_term_width = 80,
    args_override_self = true,
    disable_help_subcommand = true
)]
pub(crate) struct Args {
    #[command(subcommand)]
    pub(crate) command: Command,
}

/// The commands.
#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    Check(Box<Check>),
    Explain(Explain),
    Demo(Demo),
    Notice(Box<Notice>),
    Watch(Box<Watch>),
    Repair(Box<Repair>),
}

/// Look once at the named domains, or at every domain of the source
#[derive(Debug, Default, clap::Args)]
#[command(after_help = [ELSEWHERE, EXIT_CODES].concat(), args_override_self = true)]
pub(crate) struct Check {
    /// The domains to look at; none: every domain of the source
    #[arg(value_name = "DOMAIN")]
    pub(crate) domains: Vec<String>,

    #[command(flatten)]
    pub(crate) premise: PremiseFlags,
    #[command(flatten)]
    pub(crate) options: CheckOptions,
}

/// What is judged in place of the delegation of today.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct PremiseFlags {
    /// Judge this server, a name or an address (:PORT), as though the domain were delegated to it
    /// (repeatable)
    #[arg(long, value_name = "SERVER", help_heading = "Before a move", conflicts_with = "no_authoritative")]
    pub(crate) nameserver: Vec<String>,
    /// Judge this zone file (BIND's format) as though it were served
    #[arg(
        long,
        value_name = "PATH",
        help_heading = "Before a move",
        conflicts_with_all = ["no_authoritative", "nameserver"]
    )]
    pub(crate) zone_file: Option<String>,
}

impl PremiseFlags {
    /// Whether neither is given.
    pub(crate) fn is_empty(&self) -> bool {
        self.nameserver.is_empty() && self.zone_file.is_none()
    }
}

/// Read a notice mail of AWS about DKIM: which domain, which stage, how long is left
#[derive(Debug, Default, clap::Args)]
#[command(after_help = [NOTICE_NOTES, ELSEWHERE, NOTICE_EXIT_CODES].concat(), args_override_self = true)]
pub(crate) struct Notice {
    /// The mail as it was received or forwarded, or its text; none or -: standard input
    #[arg(value_name = "FILE")]
    pub(crate) file: Option<PathBuf>,
    /// Go on to check the domain; the options below are those of check
    #[arg(long)]
    pub(crate) check: bool,

    #[command(flatten)]
    pub(crate) options: CheckOptions,
}

/// Which identities to look at, from where, and how that is shown.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct CheckOptions {
    #[command(flatten)]
    pub(crate) look: LookFlags,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
    /// A TOML file with any of these options
    #[arg(long, value_name = "FILE", help_heading = "Output")]
    pub(crate) config: Option<String>,
}

/// Which identities to look at, and from where.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct LookFlags {
    /// Where identities come from: ses (default), or file:PATH (.toml or .jsonl)
    #[arg(long, value_name = "SOURCE", help_heading = "Which identities")]
    pub(crate) source: Option<String>,
    /// An SES region (repeatable; default: the configured)
    #[arg(long, value_name = "REGION", help_heading = "Which identities", conflicts_with = "all_regions")]
    pub(crate) region: Vec<String>,
    /// Every SES region
    #[arg(long, help_heading = "Which identities")]
    pub(crate) all_regions: bool,
    /// A role to assume: its account is asked (repeatable)
    #[arg(long, value_name = "ARN", help_heading = "Which identities")]
    pub(crate) role_arn: Vec<String>,

    /// A recursive resolver (repeatable; default: the system's, and 1.1.1.1, 8.8.8.8, 9.9.9.9)
    #[arg(long, value_name = "ADDR[:PORT]", help_heading = "From where, and how")]
    pub(crate) resolver: Vec<String>,
    /// Resolvers only (if outbound port 53 is closed)
    #[arg(long, help_heading = "From where, and how", conflicts_with = "authoritative_port")]
    pub(crate) no_authoritative: bool,
    /// Port of all authoritative servers (default 53)
    #[arg(long, value_name = "N", help_heading = "From where, and how")]
    pub(crate) authoritative_port: Option<String>,
    /// full: every server and resolver; quick: one resolver; auto (default): full for up to
    /// 20 domains, above that quick, and full where quick saw anything unexpected
    #[arg(long, value_name = "DEPTH", help_heading = "From where, and how")]
    pub(crate) depth: Option<String>,
    /// How long one attempt waits: 500ms, 2s (default)
    #[arg(long, value_name = "DURATION", help_heading = "From where, and how")]
    pub(crate) timeout: Option<String>,
    /// Attempts for a question to a server (default 2)
    #[arg(long, value_name = "N", help_heading = "From where, and how")]
    pub(crate) attempts: Option<String>,
}

/// Keep looking: alerts, state on disk, HTTP endpoints
#[derive(Debug, Default, clap::Args)]
#[command(after_help = [WATCH_NOTES, ELSEWHERE, WATCH_EXIT_CODES].concat(), args_override_self = true)]
pub(crate) struct Watch {
    /// The domains to watch; none: every domain of the source
    #[arg(value_name = "DOMAIN")]
    pub(crate) domains: Vec<String>,

    /// The file in which is remembered what was seen and told (default: dkimguard.sqlite in the
    /// user's state directory)
    #[arg(long, value_name = "PATH", help_heading = "Staying")]
    pub(crate) state: Option<String>,
    /// Answer HTTP at this address: 127.0.0.1:9580, or the port alone for this machine (default:
    /// off)
    #[arg(long, value_name = "ADDR", help_heading = "Staying")]
    pub(crate) listen: Option<String>,

    #[command(flatten)]
    pub(crate) look: LookFlags,

    /// text (default), or json: one object a line
    #[arg(long, value_name = "FORMAT", help_heading = "Log")]
    pub(crate) log_format: Option<String>,
    /// Warnings and errors only
    #[arg(short, long, help_heading = "Log", conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Each look too
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Log")]
    pub(crate) verbose: u8,
    /// A TOML file with any of these options, and whom to tell
    #[arg(long, value_name = "FILE", help_heading = "Log")]
    pub(crate) config: Option<String>,
}

/// Print the edit that mends a domain; with --apply make it, and prove the result
#[derive(Debug, Default, clap::Args)]
#[command(after_help = [REPAIR_NOTES, ELSEWHERE, REPAIR_EXIT_CODES].concat(), args_override_self = true)]
pub(crate) struct Repair {
    /// The domain
    #[arg(value_name = "DOMAIN")]
    pub(crate) domain: String,
    /// Make the edit, once somebody at the terminal agrees to each write
    #[arg(long, help_heading = "Repair")]
    pub(crate) apply: bool,
    /// Agree beforehand
    #[arg(short, long, help_heading = "Repair", requires = "apply")]
    pub(crate) yes: bool,
    /// How long the result is waited for: 30m, 24h (default: as long as it takes). It also waits for
    /// what has to be done by hand, and without --apply all is done by hand
    #[arg(long, value_name = "DURATION", help_heading = "Repair")]
    pub(crate) wait: Option<String>,
    /// Remove the records of earlier tokens too, once today's are proven
    #[arg(long, help_heading = "Repair")]
    pub(crate) remove_old: bool,
    /// The owner's public key (PEM, or a key record), where the provider doesn't tell which is to be
    /// published. A private key is never needed, and refused
    #[arg(long, value_name = "FILE", help_heading = "Repair")]
    pub(crate) public_key: Option<String>,
    /// The file in which is written down what is done (default: that of watch)
    #[arg(long, value_name = "PATH", help_heading = "Repair")]
    pub(crate) state: Option<String>,
    /// Print what was done before
    #[arg(long, help_heading = "Repair", conflicts_with_all = ["apply", "wait", "remove_old"])]
    pub(crate) history: bool,

    #[command(flatten)]
    pub(crate) options: CheckOptions,
}

/// Explain a cause or a piece of advice: what it is, how it is recognised, what to do
#[derive(Debug, Default, clap::Args)]
#[command(after_help = EXPLAIN_NOTES, args_override_self = true)]
pub(crate) struct Explain {
    /// The codes, as a report names them
    #[arg(value_name = "CODE", required_unless_present = "list", conflicts_with = "list")]
    pub(crate) codes: Vec<String>,
    /// List every code: what it comes to alone, and its title
    #[arg(long)]
    pub(crate) list: bool,
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// Play the incident that this tool exists for, start to finish
#[derive(Debug, Default, clap::Args)]
#[command(after_help = DEMO_NOTES, args_override_self = true)]
pub(crate) struct Demo {
    #[command(flatten)]
    pub(crate) output: OutputFlags,
}

/// How the outcome is shown.
#[derive(Debug, Default, clap::Args)]
pub(crate) struct OutputFlags {
    /// text (default), or json: one object a line, in input order
    #[arg(long, value_name = "FORMAT", help_heading = "Output")]
    pub(crate) format: Option<String>,
    /// auto (default; NO_COLOR is honoured), always or never
    #[arg(long, value_name = "WHEN", help_heading = "Output")]
    pub(crate) color: Option<String>,
    /// No progress bar and no warnings
    #[arg(short, long, help_heading = "Output", conflicts_with = "verbose")]
    pub(crate) quiet: bool,
    /// Say what is done, show records to publish in more forms; twice: every question too
    #[arg(short, long, action = clap::ArgAction::Count, help_heading = "Output")]
    pub(crate) verbose: u8,
}

/// What came of reading the command line.
#[derive(Debug)]
pub(crate) enum Parsed {
    /// There is something to do.
    Run(Args),
    /// A text was asked for: the help, or the version.
    Show(String),
}

/// Reads the command line, the program's own name first.
///
/// # Errors
/// What clap refuses, in one sentence.
pub(crate) fn parse(line: &[OsString]) -> Result<Parsed, Failure> {
    match Args::try_parse_from(line) {
        Ok(args) => Ok(Parsed::Run(args)),
        Err(error) if matches!(error.kind(), ErrorKind::DisplayHelp | ErrorKind::DisplayVersion) => {
            Ok(Parsed::Show(error.render().to_string()))
        }
        Err(error) => Err(usage(line, &error)),
    }
}

/// The format in which even a wrong command line is refused: the last `--format` before a `--`, if any.
pub(crate) fn format_of(line: &[OsString]) -> Option<Format> {
    let mut found = None;
    let mut words = line.iter().skip(1).map(|word| word.to_string_lossy());
    while let Some(word) = words.next() {
        if word == "--" {
            break;
        } else if word == "--format" {
            found = words.next().and_then(|value| value.parse().ok());
        } else if let Some(value) = word.strip_prefix("--format=") {
            found = value.parse().ok();
        }
    }
    found
}

/// clap's first sentence, without its frame; its tip or, if there is none, where the options are listed.
fn usage(line: &[OsString], error: &clap::Error) -> Failure {
    if matches!(
        error.kind(),
        ErrorKind::MissingSubcommand | ErrorKind::DisplayHelpOnMissingArgumentOrSubcommand
    ) {
        return Failure::new(Code::Usage, "no command was given")
            .with_hint("try 'dkimguard demo', 'dkimguard check example.com', or 'dkimguard --help'");
    }
    let text = error.render().to_string();
    let sentence: Vec<&str> =
        text.lines().take_while(|line| !line.trim().is_empty()).map(str::trim).collect();
    let sentence = sentence.join(" ");
    let tip = text.lines().find_map(|line| line.trim().strip_prefix("tip: "));
    let command = line.get(1).and_then(|command| command.to_str());
    let help = match (error.get(ContextKind::InvalidSubcommand), command) {
        (Some(_), _) => "'dkimguard --help' lists the commands",
        (None, Some("demo")) => "'dkimguard demo --help' lists the options",
        (None, Some("notice")) => "'dkimguard notice --help' lists the options",
        (None, Some("watch")) => "'dkimguard watch --help' lists the options",
        (None, Some("repair")) => "'dkimguard repair --help' lists the options",
        (None, Some("explain")) => "'dkimguard explain --list' lists the codes",
        (None, _) => "'dkimguard check --help' lists the options",
    };
    Failure::new(Code::Usage, sentence.strip_prefix("error: ").unwrap_or(&sentence))
        .with_hint(tip.unwrap_or(help))
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    fn line(words: &[&str]) -> Vec<OsString> {
        std::iter::once("dkimguard").chain(words.iter().copied()).map(OsString::from).collect()
    }

    #[test]
    fn clap_finds_no_fault_in_the_definition() {
        Args::command().debug_assert();
    }

    #[test]
    fn the_format_is_known_even_if_the_line_is_wrong() {
        for (words, format) in [
            (&["check", "--format", "json", "--wrong"][..], Some(Format::Json)),
            (&["--format=json"], Some(Format::Json)),
            (&["--format=json", "--format", "text"], Some(Format::Text)),
            (&["check", "--", "--format=json"], None),
            (&["check", "--format"], None),
        ] {
            assert_eq!(format_of(&line(words)), format, "{words:?}");
        }
    }

    #[test]
    fn a_wrong_line_is_refused_in_one_sentence_with_a_way_out() {
        for (words, message, hint) in [
            (&[][..], "no command was given", "dkimguard check example.com"),
            (&["chek"], "'chek'", "similar"),
            (&["zzzzzz"], "'zzzzzz'", "dkimguard --help"),
            (&["check", "--formt", "json"], "'--formt'", "--format"),
            (&["check", "--depth"], "--depth", "check --help"),
            (&["check", "--region", "us-east-1", "--all-regions"], "--all-regions", "check --help"),
            (&["check", "-q", "-v"], "--verbose", "check --help"),
            (&["demo", "example.com"], "'example.com'", "demo --help"),
            (&["explain"], "<CODE>...", "explain --list"),
            (&["explain", "key-weak", "--list"], "--list", "explain --list"),
            (&["notice", "--depth"], "--depth", "notice --help"),
            (&["watch", "--format", "json"], "--format", "--log-format"),
            (&["watch", "--listen"], "--listen", "watch --help"),
            (&["repair"], "<DOMAIN>", "repair --help"),
            (&["repair", "example.com", "--yes"], "--apply", "repair --help"),
            (&["repair", "example.com", "--history", "--apply"], "--apply", "repair --help"),
        ] {
            let failure = match parse(&line(words)) {
                Err(failure) => failure,
                Ok(parsed) => panic!("{words:?} was read as {parsed:?}"),
            };
            assert_eq!(failure.code, Code::Usage);
            assert!(failure.message.contains(message), "{message} in {}", failure.message);
            assert!(!failure.message.contains('\n'), "{}", failure.message);
            let given = failure.hint.unwrap_or_default();
            assert!(given.contains(hint), "{hint} in {given}");
        }
    }

    #[test]
    fn an_option_given_twice_counts_the_last_time() {
        let Ok(Parsed::Run(Args { command: Command::Check(check) })) =
            parse(&line(&["check", "--depth", "full", "--depth", "quick"]))
        else {
            panic!("it is a good line");
        };
        assert_eq!(check.options.look.depth.as_deref(), Some("quick"));
    }
}
