//! `dkimguard demo` as a black box: what happens and what is told, in order, in text and JSON, and the exit code.

mod binary;

use std::io::Read as _;
use std::process::{Command, Output, Stdio};

use binary::binary;
use serde_json::Value;

fn demo(arguments: &[&str]) -> Command {
    let mut command = binary();
    command.arg("demo").args(arguments);
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
fn the_text_tells_the_incident_in_its_order() {
    let (stdout, stderr) = run(&[], 0);
    assert_eq!(stderr, "");
    let mut rest = stdout.as_str();
    for milestone in [
        "a guard begins to look\n",
        "HEALTHY  example.com",
        "the name servers are moved to another DNS host\n",
        "FAILING  example.com\n",
        "(wrong-nameservers, certain)",
        "To do: Publish the records where the delegation points",
        "the guard tells (opened, critical)\n",
        "the guard tells (reminder, critical)\n",
        "SES looks, and does not find the records\n",
        "the guard tells (worsened, critical)\n",
        "To be mended within 72 hours",
        "To be mended within 35 hours",
        "the records are published at the new host",
        "DEGRADED  example.com",
        "SES looks again, finds the records, and signs\n",
        "HEALTHY  example.com",
        "the guard tells (recovered, critical)\n",
        "the guard tells: opened\n",
        "SES notices, and stops signing\n",
        "the guard tells: recovered\n",
    ] {
        let at = rest.find(milestone).unwrap_or_else(|| panic!("{milestone:?} is missing here: {rest}"));
        rest = &rest[at + milestone.len()..];
    }
    for once in ["(opened, critical)", "(recovered, critical)"] {
        assert_eq!(stdout.matches(once).count(), 1, "{once} in {stdout}");
    }
    assert!(stdout.contains("ABSENT"), "without colour, too: {stdout}");
    assert!(!stdout.contains('\x1b'), "{stdout}");
    assert!(stdout.lines().all(|line| line.chars().count() <= 80), "{stdout}");
}

#[test]
fn the_json_is_one_report_or_alert_a_line() {
    let (stdout, stderr) = run(&["--format", "json"], 0);
    assert_eq!(stderr, "");
    let lines: Vec<Value> =
        stdout.lines().map(|line| serde_json::from_str(line).expect("an object")).collect();
    assert!(lines.iter().all(|line| line["schema"] == 1 && line["domain"] == "example.com"), "{stdout}");
    let (alerts, looks): (Vec<&Value>, Vec<&Value>) =
        lines.iter().partition(|line| line.get("event").is_some());
    let text = |value: &Value, key: &str| value[key].as_str().unwrap_or_default().to_owned();
    let told: Vec<String> = looks
        .iter()
        .map(|look| format!("{} {}", text(look, "verdict"), text(&look["provider"], "status")))
        .collect();
    assert_eq!(
        told,
        [
            "healthy success",
            "failing success",
            "failing temporary-failure",
            "degraded temporary-failure",
            "healthy success"
        ]
    );
    let events: Vec<String> = alerts.iter().map(|alert| text(alert, "event")).collect();
    assert_eq!(events.first().map(String::as_str), Some("opened"));
    assert_eq!(events.last().map(String::as_str), Some("recovered"));
    for once in ["opened", "worsened", "recovered"] {
        assert_eq!(events.iter().filter(|event| *event == once).count(), 1, "{events:?}");
    }
    assert!(alerts.iter().all(|alert| alert["incident"] == alerts[0]["incident"]), "{stdout}");
    assert_eq!(alerts[0]["causes"][0], "wrong-nameservers");
    let (opened, noticed) = (text(alerts[0], "at"), text(looks[2], "at"));
    assert!(opened < noticed && opened.starts_with("2026-11-23T") && noticed.starts_with("2026-11-25T"));
    assert_eq!(alerts[0]["deadline"], Value::Null, "no clock runs yet");
    let worsened = alerts.iter().find(|alert| alert["event"] == "worsened").expect("it is told");
    assert!(text(worsened, "deadline").starts_with("2026-11-28T"), "{worsened}");
}

#[test]
fn it_tells_the_same_each_time() {
    let without_port = |text: &str| -> Vec<String> {
        let lines = text.lines().filter(|line| !line.contains("127.0.83."));
        lines.map(str::to_owned).collect()
    };
    assert_eq!(without_port(&run(&[], 0).0), without_port(&run(&[], 0).0));
}

#[test]
fn more_is_said_where_asked_for_and_colour_is_there_on_demand() {
    let (_, steps) = run(&["-v"], 0);
    assert!(steps.starts_with("name servers at 127.0.83.1, "), "{steps}");
    assert!(!steps.contains(" at ns2."), "{steps}");
    let (stdout, questions) = run(&["-vv", "--color", "always"], 0);
    assert!(questions.contains("bbb._domainkey.example.com CNAME at ns2.example.com"), "{questions}");
    assert!(questions.contains("bbb._domainkey.example.com CNAME at ns2.new-host.net"), "{questions}");
    assert!(stdout.contains('\x1b'));
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
