//! The built binary as a black box: what it prints where, and its exit code.

mod binary;

use std::fs;
use std::io::Read as _;
use std::net::UdpSocket;
use std::path::PathBuf;
use std::process::{Command, Stdio};

use binary::binary;
use serde_json::Value;
use tempfile::TempDir;

/// What came of one run.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary with these arguments and this environment added. Nothing of the caller's that it would heed is
/// left.
fn run_in(environment: &[(&str, &str)], arguments: &[&str]) -> Run {
    let output = command(environment, arguments).output().expect("the binary starts");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

fn run(arguments: &[&str]) -> Run {
    run_in(&[], arguments)
}

fn command(environment: &[(&str, &str)], arguments: &[&str]) -> Command {
    let mut command = binary();
    command.envs(environment.iter().copied()).args(arguments);
    command
}

impl Run {
    /// The objects on standard output, one a line.
    fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }

    /// The error object that is all of standard output.
    fn error(&self) -> Value {
        let objects = self.json();
        assert_eq!(objects.len(), 1, "{self:?}");
        assert_eq!(objects[0]["schema"], 1, "{self:?}");
        let error = &objects[0]["error"];
        let mut keys: Vec<&str> = error.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        assert_eq!(keys, ["code", "hint", "message"], "{self:?}");
        error.clone()
    }
}

/// A file of identities, and a resolver's address at which nobody answers.
struct Offline {
    directory: TempDir,
    source: String,
    resolver: String,
    /// Holds the port, so that nobody else answers there, and reads nothing.
    _silent: UdpSocket,
}

impl Offline {
    fn with_domains(domains: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("identities.jsonl");
        let line =
            |domain: &&str| format!("{{\"domain\":\"{domain}\",\"selectors\":[{{\"label\":\"s1\"}}]}}\n");
        fs::write(&path, domains.iter().map(line).collect::<String>()).expect("writing the file");
        let silent = UdpSocket::bind("127.0.0.1:0").expect("a port");
        Self {
            source: format!("file:{}", path.display()),
            resolver: silent.local_addr().expect("its address").to_string(),
            directory,
            _silent: silent,
        }
    }

    fn arguments<'a>(&'a self, more: &[&'a str]) -> Vec<&'a str> {
        let mut arguments = vec!["check", "--source", &self.source, "--resolver", &self.resolver];
        arguments.extend(["--timeout", "50ms", "--attempts", "1"]);
        arguments.extend(more);
        arguments
    }

    fn file(&self, name: &str, text: &str) -> PathBuf {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("writing the file");
        path
    }
}

#[test]
fn bad_input_ends_with_3_one_sentence_that_names_it_and_a_hint() {
    let offline = Offline::with_domains(&["a.example"]);
    let bad_key = offline.file("bad.toml", "[look]\ndepht = \"full\"\n");
    let bad_key = bad_key.to_str().expect("UTF-8");
    let bad_domain = offline.file("bad.jsonl", "{\"domain\":\"a..example\"}\n");
    let bad_domain = format!("file:{}", bad_domain.display());
    for (arguments, code, message) in [
        (&[][..], "usage", "no command"),
        (&["chekc"], "usage", "'chekc'"),
        (&["check", "--nonsense"], "usage", "'--nonsense'"),
        (&["check", "--timeout"], "usage", "--timeout"),
        (&["check", "--region", "us-east-1", "--all-regions"], "usage", "--all-regions"),
        (&["check", "a..example"], "bad-domain", "'a..example'"),
        (&["check", "me@a.example"], "bad-domain", "'me@a.example'"),
        (&["check", "--source", "smtp"], "bad-source", "--source: 'smtp'"),
        (&["check", "--source", "file:/nonexistent/i.toml"], "identity-file", "/nonexistent/i.toml"),
        (&["check", "--source", &bad_domain], "identity-file", "bad.jsonl:1:"),
        (&["check", "--region", "mars"], "bad-region", "--region: 'mars'"),
        (&["check", "--role-arn", "me"], "bad-role", "--role-arn: 'me'"),
        (&["check", "--resolver", "dns.example"], "bad-resolver", "--resolver: 'dns.example'"),
        (&["check", "--resolver", "127.0.0.1:99999"], "bad-resolver", "'127.0.0.1:99999'"),
        (&["check", "--authoritative-port", "0"], "bad-port", "--authoritative-port: '0'"),
        (&["check", "--depth", "deep"], "bad-choice", "--depth: 'deep'"),
        (&["check", "--timeout", "0s"], "bad-duration", "--timeout: '0s'"),
        (&["check", "--timeout", "2"], "bad-duration", "--timeout: '2'"),
        (&["check", "--attempts", "0"], "bad-number", "--attempts: '0'"),
        (&["check", "--color", "red"], "bad-choice", "--color: 'red'"),
        (&["check", "--config", "/nonexistent/c.toml"], "config-file", "/nonexistent/c.toml"),
        (&["check", "--config", bad_key], "config-file", "bad.toml:2:1:"),
    ] {
        let text = run(arguments);
        assert_eq!(text.code, 3, "{arguments:?}: {text:?}");
        assert_eq!(text.stdout, "", "{arguments:?}");
        let lines: Vec<&str> = text.stderr.lines().collect();
        assert!(lines[0].starts_with("error: ") && lines[0].contains(message), "{arguments:?}: {text:?}");

        for form in [&["--format", "json"][..], &["--format=json"]] {
            // Behind the command's name: without a command there are no options.
            let (command, rest) = arguments.split_at(arguments.len().min(1));
            if command.is_empty() {
                continue;
            }
            let json = run(&[command, form, rest].concat());
            assert_eq!(json.code, 3, "{arguments:?}: {json:?}");
            let error = json.error();
            assert_eq!(error["code"], code, "{arguments:?}");
            assert!(error["message"].as_str().is_some_and(|text| text.contains(message)), "{error}");
            assert_eq!(json.stderr, "", "{arguments:?}");
        }
    }
}

#[test]
fn a_bad_format_is_refused_as_text() {
    let run = run(&["check", "--format", "yaml"]);
    assert_eq!(run.code, 3);
    assert_eq!(run.stderr, "error: --format: 'yaml' is not a format\nhint: choose one of text, json\n");
}

#[test]
fn a_variable_and_a_file_are_named_in_what_is_refused() {
    let by_variable = run_in(&[("DKIMGUARD_TIMEOUT", "soon"), ("DKIMGUARD_FORMAT", "json")], &["check"]);
    assert_eq!(by_variable.code, 3);
    assert_eq!(by_variable.error()["message"], "DKIMGUARD_TIMEOUT: 'soon' is no length of time");

    let offline = Offline::with_domains(&["a.example"]);
    let config = offline.file("c.toml", "[output]\nformat = \"json\"\n\n[source]\nkind = \"file\"\n");
    let by_file = run_in(&[("DKIMGUARD_CONFIG", config.to_str().expect("UTF-8"))], &["check"]);
    assert_eq!(by_file.code, 3);
    assert_eq!(by_file.error()["code"], "config-file", "in the format that the file itself asks for");
}

#[cfg(unix)]
#[test]
fn an_argument_that_is_no_text_is_refused() {
    use std::os::unix::ffi::OsStrExt as _;

    let mut command = command(&[], &["check"]);
    let output =
        command.arg(std::ffi::OsStr::from_bytes(b"\xff.example")).output().expect("the binary starts");
    assert_eq!(output.status.code(), Some(3));
    assert!(output.stderr.starts_with(b"error: "), "{output:?}");
}

#[test]
fn the_help_fits_80_columns_and_stays_as_it_is() {
    let short = run(&["check", "-h"]);
    let long = run(&["check", "--help"]);
    assert_eq!((short.code, long.code), (0, 0));
    assert_eq!(long.stdout, include_str!("check-help.txt"));
    assert_eq!(short.stdout, long.stdout);
    let watch = run(&["watch", "--help"]);
    assert_eq!(watch.stdout, include_str!("watch-help.txt"));
    let repair = run(&["repair", "--help"]);
    assert_eq!(repair.stdout, include_str!("repair-help.txt"));
    for help in [long, watch, repair, run(&["--help"]), run(&["explain", "--help"])] {
        assert_eq!((help.code, help.stderr.as_str()), (0, ""));
        assert!(help.stdout.lines().all(|line| line.chars().count() <= 80), "{}", help.stdout);
    }
}

#[test]
fn the_help_names_every_option_of_the_contract() {
    let help = run(&["check", "--help"]).stdout;
    for option in [
        "--source",
        "--region",
        "--all-regions",
        "--role-arn",
        "--resolver",
        "--no-authoritative",
        "--authoritative-port",
        "--nameserver",
        "--zone-file",
        "--depth",
        "--timeout",
        "--attempts",
        "--format",
        "--color",
        "--quiet",
        "--verbose",
        "--config",
    ] {
        assert!(help.contains(&format!(" {option}")), "{option}");
    }
}

#[test]
fn only_commands_that_exist_are_offered() {
    let run = run(&["mend"]);
    assert_eq!(run.code, 3);
    assert!(run.stderr.contains("'mend'"), "{run:?}");
}

#[test]
fn codes_are_explained_in_the_order_in_which_they_are_named() {
    let run = run(&["explain", "wrong-target", "dmarc-missing"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let (first, second) = run.stdout.split_once("\n\ndmarc-missing: ").expect("a paragraph each");
    assert!(first.starts_with("wrong-target: "), "{run:?}");
    assert!(second.contains("\nTo do "), "{run:?}");
}

#[test]
fn an_explanation_in_json_has_its_parts_as_fields() {
    let run = run(&["explain", "server-lame", "ttl-short", "--format", "json"]);
    assert_eq!((run.code, run.stderr.as_str()), (0, ""));
    let objects = run.json();
    assert_eq!(objects.len(), 2);
    assert_eq!(
        (&objects[0]["code"], &objects[0]["impact"]),
        (&"server-lame".into(), &"degraded-or-failing".into())
    );
    for object in objects {
        let mut keys: Vec<&str> = object.as_object().expect("an object").keys().map(String::as_str).collect();
        keys.sort_unstable();
        let parts =
            ["code", "impact", "look_alike", "more", "remedy", "rests_on", "schema", "seen", "title", "what"];
        assert_eq!(keys, parts);
    }
}

#[test]
fn the_list_of_codes_is_aligned_and_80_columns_wide() {
    let list = run(&["explain", "--list"]);
    assert_eq!((list.code, list.stderr.as_str()), (0, ""));
    let codes = list.stdout.lines().take_while(|line| !line.is_empty()).collect::<Vec<_>>();
    assert_eq!(codes.len(), run(&["explain", "--list", "--format", "json"]).json().len());
    for line in list.stdout.lines() {
        assert!(line.chars().count() <= 80, "{line}");
    }
    let column = codes[0].find("F ").expect("a mark");
    for line in codes {
        assert!(line[..column].ends_with("  ") && line[column + 2..].starts_with("  "), "{line}");
    }
}

#[test]
fn an_unknown_code_is_refused_before_anything_is_explained() {
    let text = run(&["explain", "key-weak", "key-week"]);
    assert_eq!((text.code, text.stdout.as_str()), (3, ""));
    assert!(text.stderr.contains("'key-week'") && text.stderr.contains("explain --list"), "{text:?}");
    let json = run(&["explain", "key-week", "--format", "json"]);
    assert_eq!((json.code, &json.error()["code"]), (3, &"unknown-code".into()));
}

#[test]
fn the_version_is_told() {
    let run = run(&["--version"]);
    assert_eq!(run.code, 0);
    assert_eq!(run.stdout, format!("dkimguard {}\n", env!("CARGO_PKG_VERSION")));
}

#[test]
fn what_cannot_be_seen_is_unknown_and_never_failing() {
    let offline = Offline::with_domains(&["a.example"]);
    for depth in ["full", "quick", "auto"] {
        let text = run(&offline.arguments(&["--depth", depth, "a.example"]));
        assert_eq!(text.code, 3, "{text:?}");
        assert!(text.stdout.starts_with("UNKNOWN  a.example"), "{text:?}");
        assert_eq!(text.stderr, "", "neither progress nor errors where there is no terminal");

        let json = run(&offline.arguments(&["--depth", depth, "--format", "json", "a.example"]));
        assert_eq!(json.code, 3, "{json:?}");
        let report = &json.json()[0];
        assert_eq!((&report["schema"], &report["verdict"]), (&1.into(), &"unknown".into()), "{report}");
        assert_eq!(report["depth"], if depth == "auto" { "full" } else { depth }, "{report}");
    }
}

#[test]
fn json_is_one_object_a_line_in_input_order() {
    let domains: Vec<String> = (0..30).map(|number| format!("d{number}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let backwards: Vec<&str> = domains.iter().rev().copied().collect();
    let offline = Offline::with_domains(&domains);
    for (named, expected) in [(&[][..], &domains), (&backwards, &backwards)] {
        let run = run(&offline.arguments(&[&["--format", "json"], named].concat()));
        assert_eq!(run.code, 3, "{run:?}");
        let reports = run.json();
        let order: Vec<&str> = reports.iter().filter_map(|report| report["domain"].as_str()).collect();
        assert_eq!(&order, expected);
    }
}

#[test]
fn several_domains_are_counted_at_the_end() {
    let offline = Offline::with_domains(&["a.example", "b.example"]);
    let run = run(&offline.arguments(&[]));
    assert!(run.stdout.ends_with("\n2 looked at: 2 unknown\n"), "{run:?}");
}

#[test]
fn a_domain_that_the_source_does_not_know_is_unknown_and_says_so() {
    let offline = Offline::with_domains(&["a.example"]);
    let run = run(&offline.arguments(&["--format", "json", "a.example", "stranger.example"]));
    assert_eq!(run.code, 3);
    let report = &run.json()[1];
    assert_eq!((&report["domain"], &report["verdict"]), (&"stranger.example".into(), &"unknown".into()));
    assert_eq!(report["gaps"][0]["port"], "identity-source", "{report}");
    let detail = report["gaps"][0]["detail"].as_str().expect("a sentence");
    assert!(detail.ends_with("does not know stranger.example"), "{detail}");
}

#[test]
fn a_source_without_a_domain_is_no_health() {
    let offline = Offline::with_domains(&[]);
    let run = run(&offline.arguments(&["--format", "json"]));
    assert_eq!(run.code, 3);
    assert_eq!(run.error()["code"], "identity-file");
}

#[test]
fn the_domains_of_the_configuration_file_are_looked_at_where_none_is_named() {
    let offline = Offline::with_domains(&["a.example", "b.example", "c.example"]);
    let text = "[source]\ndomains = [\"c.example\", \"stranger.example\"]\n[output]\nformat = \"json\"\n";
    let config = offline.file("c.toml", text);
    let config = config.to_str().expect("UTF-8");
    assert_eq!(run(&offline.arguments(&["--config", config])).json().len(), 2);
    assert_eq!(run(&offline.arguments(&["--config", config, "a.example"])).json().len(), 1);
}

#[test]
fn a_flag_beats_a_variable_and_that_beats_the_file() {
    let offline = Offline::with_domains(&["a.example"]);
    let config = offline.file("c.toml", "[look]\ndepth = \"quick\"\n");
    let config = config.to_str().expect("UTF-8");
    let depth = |environment: &[(&str, &str)], flags: &[&str]| {
        let run = run_in(
            environment,
            &offline.arguments(&[&["-v", "--config", config, "a.example"], flags].concat()),
        );
        let line = run.stderr.lines().find(|line| line.starts_with("depth ")).map(str::to_owned);
        line.unwrap_or_else(|| panic!("{run:?}")).split(':').next().map(str::to_owned)
    };
    assert_eq!(depth(&[], &[]).as_deref(), Some("depth quick"));
    assert_eq!(depth(&[("DKIMGUARD_DEPTH", "full")], &[]).as_deref(), Some("depth full"));
    assert_eq!(depth(&[("DKIMGUARD_DEPTH", "full")], &["--depth", "quick"]).as_deref(), Some("depth quick"));
}

#[test]
fn what_is_done_is_said_where_asked_for() {
    let offline = Offline::with_domains(&["a.example"]);
    let run = run(&offline.arguments(&["-v", "--authoritative-port", "5353", "a.example"]));
    assert!(run.stderr.contains(&format!("looking from resolver {}", offline.resolver)), "{run:?}");
    assert!(run.stderr.contains("on port 5353"), "{run:?}");
    assert!(run.stderr.contains("file:a.example: unknown"), "{run:?}");
}

#[test]
fn above_20_domains_auto_looks_quickly_first() {
    let domains: Vec<String> = (0..21).map(|number| format!("d{number}.example")).collect();
    let domains: Vec<&str> = domains.iter().map(String::as_str).collect();
    let offline = Offline::with_domains(&domains);
    for (named, plan) in
        [(&domains[..20], "depth full: "), (&domains[..], "depth quick, "), (&[], "depth quick, ")]
    {
        let run = run(&offline.arguments(&[&["-v"], named].concat()));
        assert!(run.stderr.contains(plan), "{plan} in {}", run.stderr);
    }
}

#[test]
fn colour_is_there_on_demand_only() {
    let offline = Offline::with_domains(&["a.example", "b.example"]);
    let is_coloured = |environment: &[(&str, &str)], flags: &[&str]| {
        run_in(environment, &offline.arguments(flags)).stdout.contains('\x1b')
    };
    assert!(!is_coloured(&[], &[]), "standard output is no terminal");
    assert!(is_coloured(&[], &["--color", "always"]));
    assert!(is_coloured(&[("DKIMGUARD_COLOR", "always")], &[]));
    assert!(!is_coloured(&[], &["--color", "never"]));
    assert!(!is_coloured(&[("CLICOLOR_FORCE", "1")], &["--color", "never"]));
    assert!(is_coloured(&[("CLICOLOR_FORCE", "1")], &[]));
    assert!(!is_coloured(&[("CLICOLOR_FORCE", "1"), ("NO_COLOR", "1")], &[]));
    assert!(!is_coloured(&[], &["--color", "always", "--format", "json"]));
}

#[test]
fn a_closed_pipe_is_no_error() {
    let offline = Offline::with_domains(&["a.example", "b.example", "c.example"]);
    for arguments in [
        offline.arguments(&[]),
        offline.arguments(&["--format", "json"]),
        vec!["check", "--help"],
        vec!["explain", "--list"],
    ] {
        let mut child = command(&[], &arguments)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the binary starts");
        drop(child.stdout.take());
        let mut stderr = String::new();
        child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
        let expected = if arguments[0] == "check" && !arguments.contains(&"--help") { 3 } else { 0 };
        assert_eq!(child.wait().expect("it ends").code(), Some(expected), "{arguments:?}");
        assert_eq!(stderr, "", "{arguments:?}");
    }
}

#[test]
fn without_credentials_or_region_the_error_object_says_what_to_set() {
    let regional = [("AWS_REGION", "us-east-1")];
    for (environment, arguments, code) in [
        (&[][..], &["check", "--format", "json"][..], "no-region"),
        (&[("AWS_REGION", "mars")], &["check", "--format", "json"], "bad-region"),
        (&regional, &["check", "--format", "json"], "no-credentials"),
        (&regional, &["check", "a.example", "b.example", "--format", "json"], "no-credentials"),
        (&[], &["check", "--region", "us-east-1", "a.example", "--format", "json"], "no-credentials"),
    ] {
        let run = run_in(environment, arguments);
        assert_eq!(run.code, 3, "{run:?}");
        let error = run.error();
        assert_eq!(error["code"], code, "{error}");
        assert!(error["hint"].as_str().is_some_and(|hint| hint.contains("AWS_")), "{error}");
    }
}
