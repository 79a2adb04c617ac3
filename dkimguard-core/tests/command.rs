//! Alerts for programs, and as lines.

mod alerts;

use std::error::Error;
use std::fs::{self, File};
use std::time::{Duration, Instant};

use alerts::{chain, incident};
use dkimguard_core::notify::{Command, JsonLines};
use dkimguard_core::ports::Notifier;

type TestResult = Result<(), Box<dyn Error>>;

fn shell(script: &str) -> Command {
    Command::new("/bin/sh").with_arguments(["-c", script])
}

#[tokio::test]
async fn program_gets_the_json_and_the_variables() -> TestResult {
    let (opened, recovered) = incident().await;
    let directory = tempfile::tempdir()?;
    let seen = directory.path().join("seen");
    let script = r#"cat >"$0"; printf '\n%s %s %s %s\n' "$DKIMGUARD_EVENT" "$DKIMGUARD_DOMAIN" "$DKIMGUARD_SEVERITY" "$DKIMGUARD_INCIDENT" >>"$0""#;
    let command = Command::new("/bin/sh").with_arguments(["-c".as_ref(), script.as_ref(), seen.as_os_str()]);
    for (alert, event) in [(&opened, "opened"), (&recovered, "recovered")] {
        command.deliver(alert).await?;
        let incident = &alert.incident;
        let expected = format!("{}\n{event} example.com critical {incident}\n", alert.to_json());
        assert_eq!(fs::read_to_string(&seen)?, expected);
    }
    Ok(())
}

#[tokio::test]
async fn how_the_program_ends_decides_and_its_first_line_says_why() {
    let (opened, _) = incident().await;
    for (script, says) in [
        ("exit 0", None),
        ("exec <&-; exit 0", None),
        ("head -c 300000 /dev/zero >&2", None),
        ("sleep 5 & exit 0", None),
        (
            "echo; echo 'no such \u{1b}[1mroom' >&2; echo more >&2; exit 3",
            Some(r"exit status: 3: no such \u{1b}[1mroom"),
        ),
        ("exit 75", Some("exit status: 75")),
        ("kill -TERM $$", Some("signal: 15")),
    ] {
        let start = Instant::now();
        match (shell(script).deliver(&opened).await, says) {
            (Ok(()), None) => {}
            (Err(error), Some(says)) => {
                assert!(!error.is_refusal, "{script}");
                assert!(chain(&error).contains(says), "{script}: {}", chain(&error));
            }
            (outcome, _) => panic!("{script}: {outcome:?}"),
        }
        assert!(start.elapsed() < Duration::from_secs(4), "{script} was waited for");
    }
}

#[tokio::test]
async fn program_that_takes_too_long_is_killed() -> TestResult {
    let (opened, _) = incident().await;
    let directory = tempfile::tempdir()?;
    let pid = directory.path().join("pid");
    let script = r#"echo $$ >"$0"; exec sleep 600"#;
    let command = Command::new("/bin/sh")
        .with_arguments(["-c".as_ref(), script.as_ref(), pid.as_os_str()])
        .with_limit(Duration::from_secs(1));
    let error = command.deliver(&opened).await.expect_err("it takes too long");
    assert!(chain(&error).ends_with("it was killed after 1 s"), "{}", chain(&error));
    let stat = format!("/proc/{}/stat", fs::read_to_string(pid)?.trim());
    let deadline = Instant::now() + Duration::from_secs(10);
    // It is gone, or a zombie until it is waited for.
    while fs::read_to_string(&stat).is_ok_and(|stat| !stat.contains(") Z ")) {
        assert!(Instant::now() < deadline, "it lives on");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn program_that_is_not_there_is_told_and_its_arguments_never_are() {
    let (opened, _) = incident().await;
    let command = Command::new("/nowhere/notify").with_arguments(["--token", "hidden"]);
    let error = command.deliver(&opened).await.expect_err("there is no such program");
    assert!(chain(&error).starts_with("command notify #"), "{}", chain(&error));
    assert!(chain(&error).contains("it cannot be started"), "{}", chain(&error));
    let shown = format!("{} {error:?} {command:?} {}", chain(&error), command.name());
    assert!(!shown.contains("hidden"), "{shown}");
    assert_ne!(command.name(), Command::new("/nowhere/notify").name());
}

#[tokio::test]
async fn alerts_are_lines_of_json() -> TestResult {
    let (opened, recovered) = incident().await;
    let directory = tempfile::tempdir()?;
    let path = directory.path().join("alerts");
    let lines = JsonLines::new("alerts", File::create(&path)?);
    lines.deliver(&opened).await?;
    lines.deliver(&recovered).await?;
    assert_eq!(fs::read_to_string(&path)?, format!("{}\n{}\n", opened.to_json(), recovered.to_json()));
    assert_eq!(JsonLines::to_stdout().name(), "stdout");
    Ok(())
}

#[tokio::test]
async fn line_that_cannot_be_written_is_not_delivered() -> TestResult {
    let (opened, _) = incident().await;
    let lines = JsonLines::new("full", File::options().write(true).open("/dev/full")?);
    let error = lines.deliver(&opened).await.expect_err("the disk is full");
    assert!(!error.is_refusal && chain(&error).starts_with("full: the alert was not delivered: "));
    Ok(())
}
