//! `dkimguard notice` as a black box: what it prints of a mail, its exit codes, and the check that follows.

mod binary;

use std::error::Error;
use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use binary::binary;
use dkimguard_core::testing::{Lab, World};
use serde_json::Value;

const WARNING: &str = "Date: Mon, 23 Nov 2026 10:00:00 +0000\nSubject: Amazon SES DKIM REVOCATION WARNING\n\n\
    We detected that the DNS records required for the DKIM setup\nof example.com are no longer present in your DNS \
    settings.\n";

/// What came of one run.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

/// Runs the binary with this on its standard input.
fn run(arguments: &[&str], input: &[u8]) -> Run {
    let mut child = binary()
        .arg("notice")
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary starts");
    // Where a file is named or the input is refused, nobody reads to the end.
    let _ = child.stdin.take().expect("piped").write_all(input);
    let output = child.wait_with_output().expect("it ends");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
    }
}

impl Run {
    /// The objects on standard output, one a line.
    fn json(&self) -> Vec<Value> {
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        self.stdout.lines().map(parse).collect()
    }
}

#[test]
fn the_stage_is_the_exit_code() {
    for (text, stage, code) in [
        (WARNING, "warning", 1),
        (
            "SES will no longer consider a.example to be configured for the purpose of DKIM signing",
            "revoked",
            2,
        ),
        ("attempting to verify the DKIM setup of a.example for the last 3 days", "setup-failed", 2),
        ("attempting to verify the domain a.example for the last 3 days", "verification-failed", 2),
        ("Amazon SES DKIM REVOCATION CANCELLATION\nIt is about the DKIM setup of a.example.", "cancelled", 0),
        ("Your DKIM setup for the domain a.example is complete", "succeeded", 0),
    ] {
        let json = run(&["--format", "json"], text.as_bytes());
        assert_eq!(json.code, code, "{text}: {json:?}");
        assert_eq!(json.json()[0]["stage"], stage, "{text}: {json:?}");
        assert_eq!((json.json().len(), json.stderr.as_str()), (1, ""), "{json:?}");
        assert_eq!(run(&[], text.as_bytes()).code, code, "{text}");
    }
}

#[test]
fn a_file_and_standard_input_are_read_alike() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let file = directory.path().join("mail.eml");
    fs::write(&file, WARNING)?;
    let file = file.to_str().ok_or("UTF-8")?;
    let expected = "{\"schema\":1,\"domain\":\"example.com\",\"region\":null,\"stage\":\"warning\",\
        \"sent_at\":\"2026-11-23T10:00:00Z\",\"deadline\":\"2026-11-26T10:00:00Z\",\
        \"deadline_promised\":\"2026-11-28T10:00:00Z\",\"next\":[\"dkimguard check example.com\"]}\n";
    for (arguments, input) in [
        (&["--format=json", file][..], ""),
        (&["--format=json", "-"], WARNING),
        (&["--format=json"], WARNING),
    ] {
        assert_eq!(run(arguments, input.as_bytes()).stdout, expected, "{arguments:?}");
    }
    Ok(())
}

#[test]
fn people_read_what_happened_and_what_to_do() {
    let text = run(&[], WARNING.as_bytes());
    assert!(text.stdout.starts_with("WARNING  example.com\n"), "{text:?}");
    assert!(text.stdout.ends_with("Next:\n  dkimguard check example.com\n"), "{text:?}");
    for words in ["2026-11-26T10:00:00Z (", "2026-11-28T10:00:00Z ("] {
        assert!(text.stdout.contains(words), "{words}: {text:?}");
    }
    assert_eq!(text.stderr, "");
    let is_coloured = |flags: &[&str]| run(flags, WARNING.as_bytes()).stdout.contains('\x1b');
    assert!(!is_coloured(&[]), "standard output is no terminal");
    assert!(is_coloured(&["--color", "always"]));
    assert!(!is_coloured(&["--color", "always", "--format", "json"]));
}

#[test]
fn what_is_no_notice_ends_with_3_and_why() -> Result<(), Box<dyn Error>> {
    let directory = tempfile::tempdir()?;
    let directory = directory.path().to_str().ok_or("UTF-8")?;
    let large = vec![b'a'; 50_000_000];
    for (arguments, input, code, message) in [
        (&[][..], &b""[..], "not-a-notice", "it is empty"),
        (&[], b"Hello\n", "not-a-notice", "none of the sentences"),
        (&[], b"your DKIM setup for the domain it is complete", "not-a-notice", "names no domain"),
        (&[], &large, "not-a-notice", "8 MiB"),
        (&["/nonexistent/mail.eml"], b"", "notice-file", "/nonexistent/mail.eml"),
        (&[directory], b"", "notice-file", directory),
        (&["--check", "--depth", "deep"], WARNING.as_bytes(), "bad-choice", "--depth"),
    ] {
        let text = run(arguments, input);
        assert_eq!((text.code, text.stdout.as_str()), (3, ""), "{text:?}");
        let lines: Vec<&str> = text.stderr.lines().collect();
        assert!(lines[0].starts_with("error: ") && lines[0].contains(message), "{message}: {text:?}");
        assert!(lines[1].starts_with("hint: ") && lines.len() == 2, "{text:?}");
        let json = run(&[arguments, &["--format", "json"]].concat(), input);
        assert_eq!((json.code, json.stderr.as_str()), (3, ""), "{json:?}");
        let error = &json.json()[0]["error"];
        assert_eq!(error["code"], code, "{json:?}");
        assert!(error["hint"].is_string(), "{json:?}");
    }
    Ok(())
}

#[test]
fn the_help_fits_80_columns_and_tells_the_exit_codes() {
    let help = run(&["--help"], b"");
    assert_eq!((help.code, help.stderr.as_str()), (0, ""));
    assert!(help.stdout.lines().all(|line| line.chars().count() <= 80), "{}", help.stdout);
    for words in ["Read a notice mail", "[FILE]", "--check", "--resolver", "--format", "2 revoked or failed"]
    {
        assert!(help.stdout.contains(words), "{words}: {}", help.stdout);
    }
}

#[test]
fn check_goes_on_to_look_at_the_domain() -> Result<(), Box<dyn Error>> {
    let lab = Lab::start(World::easy_dkim("example.com"))?;
    let (port, resolver) = (lab.port().to_string(), lab.resolver().to_string());
    let directory = tempfile::tempdir()?;
    let identities = directory.path().join("identities.toml");
    fs::write(
        &identities,
        "[[identity]]\ndomain = \"example.com\"\ntokens = [\"aaa\", \"bbb\", \"ccc\"]\n\
         [[identity]]\ndomain = \"other.example\"\ntokens = [\"aaa\"]\n",
    )?;
    let source = source_of(&identities);
    let arguments = ["--check", "--source", &source, "--resolver", &resolver, "--authoritative-port", &port];

    let json = run(&[&arguments[..], &["--format", "json"]].concat(), WARNING.as_bytes());
    let objects = json.json();
    assert_eq!(objects.len(), 2, "{json:?}");
    assert_eq!((&objects[0]["stage"], &objects[0]["domain"]), (&"warning".into(), &"example.com".into()));
    assert_eq!((&objects[1]["verdict"], &objects[1]["domain"]), (&"healthy".into(), &"example.com".into()));
    assert_eq!(json.code, 0, "the records are back, whatever the notice says: {json:?}");

    let text = run(&arguments, WARNING.as_bytes());
    let (notice, report) = text.stdout.split_once("\n\nHEALTHY  example.com").ok_or("a report follows")?;
    assert!(notice.starts_with("WARNING  example.com"), "{notice}");
    assert!(!report.contains("other.example"), "{report}");
    Ok(())
}

fn source_of(path: &Path) -> String {
    format!("file:{}", path.display())
}
