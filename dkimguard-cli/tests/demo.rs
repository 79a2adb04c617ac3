//! `dkimguard demo` as a black box: the verdicts in their order, in text and JSON, and the exit code.

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// The scenes: the verdict, the first cause, and how many name server addresses are bad.
const SCENES: [(&str, Option<&str>, u64); 4] = [
    ("healthy", None, 0),
    ("degraded", Some("servers-disagree"), 1),
    ("failing", Some("record-missing"), 2),
    ("healthy", None, 0),
];

/// The binary, with nothing of the caller's environment that it would heed.
fn demo(arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_dkimguard"));
    let heeded = |name: &str| {
        name.starts_with("DKIMGUARD_") || ["NO_COLOR", "CLICOLOR", "CLICOLOR_FORCE"].contains(&name)
    };
    for (name, _) in std::env::vars_os().filter(|(name, _)| heeded(&name.to_string_lossy())) {
        command.env_remove(name);
    }
    command.arg("demo").args(arguments).stdin(Stdio::null());
    command
}

/// What it printed, after it ended with this exit code.
fn run(arguments: &[&str], code: i32) -> (String, String) {
    let Output { status, stdout, stderr } = demo(arguments).output().expect("the binary starts");
    let text = |bytes| String::from_utf8(bytes).expect("UTF-8");
    let (stdout, stderr) = (text(stdout), text(stderr));
    assert_eq!(status.code(), Some(code), "{stdout}\n{stderr}");
    (stdout, stderr)
}

#[test]
fn the_text_tells_each_scene_and_its_verdict() {
    let (stdout, stderr) = run(&[], 0);
    assert_eq!(stderr, "");
    // The introduction, then the scenes.
    let scenes: Vec<&str> = stdout.split("\nScene ").skip(1).collect();
    assert_eq!(scenes.len(), SCENES.len(), "{stdout}");
    for (scene, (verdict, cause, _)) in scenes.iter().zip(SCENES) {
        let headline = format!("\n\n{}  example.com\n", verdict.to_uppercase());
        assert!(scene.contains(&headline), "{headline} in {scene}");
        assert_eq!(scene.contains("To do: "), cause.is_some(), "{scene}");
        assert!(cause.is_none_or(|cause| scene.contains(cause)), "{scene}");
    }
    assert!(stdout.contains("ABSENT"), "without colour, too: {stdout}");
    assert!(!stdout.contains('\x1b'), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
}

#[test]
fn the_json_is_one_report_a_line() {
    let (stdout, stderr) = run(&["--format", "json"], 0);
    assert_eq!(stderr, "");
    let reports: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    let told: Vec<_> = reports
        .iter()
        .map(|report| {
            assert_eq!((&report["schema"], &report["domain"]), (&1.into(), &"example.com".into()));
            assert_eq!(report["records"].as_array().map(Vec::len), Some(3), "{report}");
            (
                report["verdict"].as_str().expect("a verdict"),
                report["causes"][0]["code"].as_str(),
                report["exposure"]["bad"].as_u64().expect("a number"),
            )
        })
        .collect();
    assert_eq!(told, SCENES);
}

#[test]
fn the_bad_server_is_named() {
    let (stdout, _) = run(&["--format", "json"], 0);
    let degraded = stdout.lines().nth(1).expect("a second report");
    let degraded: Value = serde_json::from_str(degraded).expect("an object");
    let evidence = degraded["causes"][0]["evidence"].as_array().expect("a list");
    let named = |words: &str| evidence.iter().any(|line| line.as_str().is_some_and(|l| l.contains(words)));
    assert!(named("ns2.example.com (127.0.83.12:"), "{evidence:?}");
    assert!(named("NXDOMAIN, serial 1"), "{evidence:?}");
}

#[test]
fn more_is_said_where_asked_for_and_colour_is_there_on_demand() {
    let (_, steps) = run(&["-v"], 0);
    assert!(steps.starts_with("name servers at 127.0.83.1, "), "{steps}");
    assert!(!steps.contains(" at ns2.example.com"), "{steps}");
    let (_, questions) = run(&["-vv"], 0);
    assert!(questions.contains("bbb._domainkey.example.com CNAME at ns2.example.com"), "{questions}");
    assert!(run(&["--color", "always"], 0).0.contains('\x1b'));
}

#[test]
fn an_argument_that_it_has_no_use_for_is_refused() {
    let (stdout, stderr) = run(&["example.org"], 3);
    assert_eq!(stdout, "");
    assert!(stderr.contains("'example.org'") && stderr.contains("'dkimguard demo --help'"), "{stderr}");
}

#[test]
fn a_closed_pipe_is_no_error() {
    let mut child =
        demo(&[]).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().expect("the binary starts");
    drop(child.stdout.take());
    let mut stderr = String::new();
    child.stderr.take().expect("piped").read_to_string(&mut stderr).expect("UTF-8");
    assert_eq!((child.wait().expect("it ends").code(), stderr.as_str()), (Some(0), ""));
}
