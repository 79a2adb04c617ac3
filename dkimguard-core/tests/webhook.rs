//! Webhooks against a real server on loopback.

mod alerts;

use std::error::Error;
use std::sync::Arc;
use std::time::{Duration, Instant};

use alerts::{START, chain, incident};
use dkimguard_core::notify::{EmptySecret, PagerDuty, Secret, Slack, Target, Webhook};
use dkimguard_core::ports::Notifier;
use dkimguard_core::testing::ManualClock;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::Value;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};

type TestResult = Result<(), Box<dyn Error>>;

/// A request: its head, and its body.
type Request = (String, String);

/// Serves requests one after the other, each with the next answer; a connection without one stays open and silent.
struct Server {
    url: String,
    requests: UnboundedReceiver<Request>,
}

impl Server {
    async fn answering(answers: Vec<String>) -> Result<Self, Box<dyn Error>> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let url = format!("http://{}/hook/hidden-path?key=hidden-query", listener.local_addr()?);
        let (seen, requests) = unbounded_channel();
        tokio::spawn(async move {
            let mut answers = answers.into_iter();
            let mut silent = Vec::new();
            while let Ok((mut stream, _)) = listener.accept().await {
                let Some(request) = read(&mut stream).await else { continue };
                // The test that would receive it may be over.
                let _ = seen.send(request);
                match answers.next() {
                    // Whoever sees enough may close before the end.
                    Some(answer) => drop(stream.write_all(answer.as_bytes()).await),
                    None => silent.push(stream),
                }
            }
        });
        Ok(Self { url, requests })
    }

    fn target(&self) -> Target {
        self.url.parse().expect("loopback is a target")
    }

    fn count(&mut self) -> usize {
        std::iter::from_fn(|| self.requests.try_recv().ok()).count()
    }
}

async fn read(stream: &mut TcpStream) -> Option<Request> {
    let mut octets = Vec::new();
    loop {
        let text = String::from_utf8_lossy(&octets);
        if let Some((head, body)) = text.split_once("\r\n\r\n") {
            let head = head.to_lowercase();
            let length: usize =
                head.lines().find_map(|line| line.strip_prefix("content-length: "))?.parse().ok()?;
            if body.len() >= length {
                return Some((head, body.to_owned()));
            }
        }
        if stream.read_buf(&mut octets).await.ok()? == 0 {
            return None;
        }
    }
}

fn answer(status: &str, body: &str) -> String {
    format!("HTTP/1.1 {status}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len())
}

fn header<'a>(head: &'a str, name: &str) -> Option<&'a str> {
    head.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
}

fn secret() -> Secret {
    "hidden-secret\n".parse().expect("it isn't empty")
}

#[tokio::test]
async fn alert_arrives_signed_and_whoever_knows_the_secret_can_verify_it() -> TestResult {
    let (opened, _) = incident().await;
    let mut server = Server::answering(vec![answer("204 No Content", "")]).await?;
    let clock = Arc::new(ManualClock::at(START.parse()?));
    let webhook = Webhook::new(server.target(), secret())?.with_clock(clock);
    webhook.deliver(&opened).await?;

    let (head, body) = server.requests.recv().await.ok_or("no request")?;
    assert_eq!(body, opened.to_json());
    assert!(head.starts_with("post /hook/hidden-path?key=hidden-query http/1.1\r\n"), "{head}");
    assert_eq!(header(&head, "content-type"), Some("application/json"));
    assert_eq!(header(&head, "dkimguard-key"), Some(opened.key().to_lowercase().as_str()));
    let signature = header(&head, "dkimguard-signature").ok_or("no signature")?;
    let (time, signature) = signature.split_once(",v1=").ok_or("no v1")?;
    let time = time.strip_prefix("t=").ok_or("no time")?;
    assert_eq!(time, "1795485600");
    let mut mac = Hmac::<Sha256>::new_from_slice(b"hidden-secret")?;
    mac.update(format!("{time}.{body}").as_bytes());
    let expected: String = mac.finalize().into_bytes().iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(signature, expected);
    Ok(())
}

#[tokio::test]
async fn without_a_secret_there_is_no_signature() -> TestResult {
    let (opened, _) = incident().await;
    let mut server = Server::answering(vec![answer("200 OK", "")]).await?;
    Webhook::new(server.target(), None)?.deliver(&opened).await?;
    let (head, _) = server.requests.recv().await.ok_or("no request")?;
    assert_eq!(header(&head, "dkimguard-signature"), None);
    Ok(())
}

#[tokio::test]
async fn status_decides_whether_it_is_delivered_refused_or_to_be_tried_again() -> TestResult {
    let (opened, _) = incident().await;
    let huge = "x".repeat(4 << 20);
    for (answer, is_refusal, says) in [
        (answer("400 Bad Request", "no\r\n\u{7}such field"), true, r"HTTP 400: no\r\n\u{7}such field"),
        (answer("401 Unauthorized", ""), true, "HTTP 401"),
        (
            answer("404 Not Found", "no hook at /hook/hidden-path?key=hidden-query"),
            true,
            "HTTP 404: no hook at ",
        ),
        (answer("410 Gone", "signed with hidden-secret"), true, "HTTP 410: signed with …"),
        (answer("408 Request Timeout", ""), false, "HTTP 408"),
        (answer("425 Too Early", ""), false, "HTTP 425"),
        (answer("429 Too Many Requests", "slow down"), false, "HTTP 429: slow down"),
        (answer("500 Oops", &huge), false, "HTTP 500: xxx"),
        (answer("503 Oops", ""), false, "HTTP 503"),
        (answer("301 Moved\r\nLocation: /elsewhere", ""), true, "HTTP 301: a redirect, which isn't followed"),
        (answer("307 Moved\r\nLocation: /elsewhere", ""), true, "HTTP 307: a redirect, which isn't followed"),
        ("HTTP/1.1 200 OK".to_owned(), false, "not delivered"),
        ("SSH-2.0-server\r\n".to_owned(), false, "not delivered"),
        (String::new(), false, "not delivered"),
    ] {
        let mut server = Server::answering(vec![answer.clone(), self::answer("200 OK", "")]).await?;
        let webhook = Webhook::new(server.target(), secret())?;
        let error = webhook.deliver(&opened).await.expect_err(says);
        let told = chain(&error);
        assert_eq!(error.is_refusal, is_refusal, "{told}");
        assert!(told.contains(says), "{told} doesn't say {says}");
        assert!(told.len() < 300, "{told}");
        assert!(!format!("{told} {error:?} {webhook:?} {}", webhook.name()).contains("hidden"), "{told}");
        assert_eq!(server.count(), 1, "{says}: one delivery is one request");
    }
    Ok(())
}

#[tokio::test]
async fn two_hundred_is_delivered_whatever_its_body_does() -> TestResult {
    let (opened, _) = incident().await;
    let endless = "HTTP/1.1 200 OK\r\nContent-Length: 1000000\r\n\r\nabc".to_owned();
    let server = Server::answering(vec![endless]).await?;
    Webhook::new(server.target(), secret())?.deliver(&opened).await?;
    Ok(())
}

#[tokio::test]
async fn silent_server_is_left_after_twenty_seconds() -> TestResult {
    let (opened, _) = incident().await;
    let server = Server::answering(Vec::new()).await?;
    let start = Instant::now();
    let error = Webhook::new(server.target(), secret())?.deliver(&opened).await.expect_err("it is silent");
    assert!(start.elapsed() >= Duration::from_secs(19) && start.elapsed() < Duration::from_secs(30));
    assert!(!error.is_refusal && chain(&error).ends_with("no answer within 20 s"), "{}", chain(&error));
    Ok(())
}

#[tokio::test]
async fn closed_port_is_told_without_the_url() -> TestResult {
    let (opened, _) = incident().await;
    let closed = TcpListener::bind("127.0.0.1:0").await?.local_addr()?;
    let webhook = Webhook::new(format!("http://{closed}/hidden-path").parse()?, secret())?;
    let error = webhook.deliver(&opened).await.expect_err("nobody listens");
    assert!(!error.is_refusal && chain(&error).contains("refused"), "{}", chain(&error));
    assert!(!format!("{} {error:?}", chain(&error)).contains("hidden"), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn server_without_a_trusted_certificate_gets_nothing() -> TestResult {
    let (opened, _) = incident().await;
    let mut server = Server::answering(vec![answer("200 OK", "")]).await?;
    let target = server.url.replace("http:", "https:").parse()?;
    let error = Webhook::new(target, secret())?.deliver(&opened).await.expect_err("it speaks no TLS");
    assert!(!error.is_refusal, "{}", chain(&error));
    assert!(!format!("{} {error:?}", chain(&error)).contains("hidden"), "{error:?}");
    assert_eq!(server.count(), 0);
    Ok(())
}

#[test]
fn name_is_stable_tells_two_hooks_of_one_host_apart_and_can_be_given() -> TestResult {
    let name = |url: &str| -> Result<String, Box<dyn Error>> {
        Ok(Webhook::new(url.parse()?, None)?.name().to_owned())
    };
    let one = name("http://127.0.0.1/hidden-1")?;
    assert_eq!(one, name("http://127.0.0.1/hidden-1")?);
    assert_ne!(one, name("http://127.0.0.1/hidden-2")?);
    assert!(
        one.starts_with("webhook 127.0.0.1 #") && one.len() == "webhook 127.0.0.1 #123456".len(),
        "{one}"
    );
    let named = Webhook::new("http://127.0.0.1/hidden".parse()?, None)?.named("ops");
    assert_eq!(named.name(), "webhook ops");
    Ok(())
}

#[test]
fn secret_is_never_empty_and_never_shown() {
    assert_eq!(" \n".parse::<Secret>(), Err(EmptySecret));
    assert_eq!(format!("{:?}", secret()), "Secret(…)");
}

#[tokio::test]
async fn slack_and_pagerduty_get_their_own_bodies() -> TestResult {
    let (opened, recovered) = incident().await;
    for (alert, name) in [(&opened, "opened"), (&recovered, "recovered")] {
        let mut server =
            Server::answering(vec![answer("200 OK", "ok"), answer("202 Accepted", "{}")]).await?;
        Slack::new(server.target())?.deliver(alert).await?;
        PagerDuty::at(server.target(), secret())?.deliver(alert).await?;
        for service in ["slack", "pagerduty"] {
            let (head, body) = server.requests.recv().await.ok_or("no request")?;
            assert_eq!(header(&head, "content-type"), Some("application/json"));
            assert_eq!(header(&head, "dkimguard-signature"), None);
            let got: Value = serde_json::from_str(&body)?;
            let golden = format!("{}/tests/alerts/{service}-{name}.json", env!("CARGO_MANIFEST_DIR"));
            let golden: Value = serde_json::from_str(&std::fs::read_to_string(golden)?)?;
            assert_eq!(got, golden, "{service} {name} got {got:#}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn texts_stay_within_the_limits_of_slack_and_pagerduty() -> TestResult {
    let (mut alert, _) = incident().await;
    alert.summary = "<&>".repeat(2000);
    alert.remedy = Some("é".repeat(9000));
    alert.causes = vec!["cause".to_owned(); 2000];
    let mut server = Server::answering(vec![answer("200 OK", "ok"), answer("202 Accepted", "{}")]).await?;
    Slack::new(server.target())?.deliver(&alert).await?;
    PagerDuty::at(server.target(), secret())?.deliver(&alert).await?;
    let (_, slack) = server.requests.recv().await.ok_or("no request")?;
    let (_, pager_duty) = server.requests.recv().await.ok_or("no request")?;

    let slack: Value = serde_json::from_str(&slack)?;
    let length = |text: &Value| text.as_str().map_or(0, |text| text.chars().count());
    let blocks = slack["blocks"].as_array().ok_or("no blocks")?;
    assert!((3..50).contains(&blocks.len()), "{}", blocks.len());
    let texts = blocks.iter().flat_map(|block| match block["elements"].as_array() {
        Some(elements) => elements.iter().map(|element| &element["text"]).collect(),
        None => vec![&block["text"]["text"]],
    });
    let lengths: Vec<_> = texts.chain([&slack["text"]]).map(length).collect();
    assert!(lengths[0] <= 150 && lengths.iter().all(|length| (1..=3000).contains(length)), "{lengths:?}");

    let pager_duty: Value = serde_json::from_str(&pager_duty)?;
    assert_eq!(length(&pager_duty["payload"]["summary"]), 1024);
    Ok(())
}

#[tokio::test]
async fn refusals_of_slack_and_pagerduty_tell_no_secret() -> TestResult {
    let (opened, _) = incident().await;
    for (answer, is_refusal) in [
        (answer("404 Not Found", "no_service at /hook/hidden-path"), true),
        (answer("400 Bad Request", "routing_key hidden-secret is incorrect"), true),
        (answer("429 Too Many Requests", ""), false),
    ] {
        let server = Server::answering(vec![answer.clone(), answer.clone()]).await?;
        let notifiers: [Box<dyn Notifier>; 2] =
            [Box::new(Slack::new(server.target())?), Box::new(PagerDuty::at(server.target(), secret())?)];
        for (notifier, service) in notifiers.iter().zip(["slack", "pagerduty"]) {
            let error = notifier.deliver(&opened).await.expect_err("it is refused");
            assert_eq!(error.is_refusal, is_refusal, "{}", chain(&error));
            assert!(notifier.name().starts_with(&format!("{service} 127.0.0.1")), "{}", notifier.name());
            let shown = format!("{} {error:?} {notifier:?}", chain(&error));
            let secret = if service == "slack" { "hidden-path" } else { "hidden" };
            assert!(!shown.contains(secret), "{shown}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn pagerduty_has_it_only_where_it_says_accepted() -> TestResult {
    let (opened, _) = incident().await;
    let server = Server::answering(vec![answer("200 OK", "please log in")]).await?;
    let error = PagerDuty::at(server.target(), secret())?.deliver(&opened).await.expect_err("it isn't 202");
    assert!(!error.is_refusal && chain(&error).ends_with("HTTP 200: please log in"), "{}", chain(&error));
    Ok(())
}

#[tokio::test]
async fn deadline_is_told_in_utc_and_a_long_incident_id_as_its_hash() -> TestResult {
    let (alert, _) = incident().await;
    let mut json: Value = serde_json::from_str(&alert.to_json())?;
    json["deadline"] = "2026-11-26T02:02:00Z".into();
    json["deadline_promised"] = "2026-11-28T02:02:00Z".into();
    json["incident"] = "i".repeat(256).into();
    let alert = serde_json::from_value(json)?;
    let mut server = Server::answering(vec![answer("200 OK", "ok"), answer("202 Accepted", "{}")]).await?;
    Slack::new(server.target())?.deliver(&alert).await?;
    PagerDuty::at(server.target(), secret())?.deliver(&alert).await?;
    let (_, slack) = server.requests.recv().await.ok_or("no request")?;
    assert!(
        slack.contains("To be mended by 2026-11-26 02:02 UTC, at the latest 2026-11-28 02:02 UTC"),
        "{slack}"
    );
    let (_, pager_duty) = server.requests.recv().await.ok_or("no request")?;
    let pager_duty: Value = serde_json::from_str(&pager_duty)?;
    assert_eq!(pager_duty["payload"]["custom_details"]["deadline"], "2026-11-26T02:02:00Z");
    let hash: String = Sha256::digest("i".repeat(256)).iter().map(|octet| format!("{octet:02x}")).collect();
    assert_eq!(pager_duty["dedup_key"], hash.as_str());
    Ok(())
}
