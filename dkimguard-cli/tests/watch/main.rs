//! The built binary, watching: name servers on loopback, a receiver of webhooks, a peer that speaks AWS.

mod authority;
#[path = "../binary/mod.rs"]
mod binary;
mod hook;
mod kill;
#[path = "../../../dkimguard-aws/tests/peer/mod.rs"]
mod peer;
mod watcher;

use std::fs;
use std::io::{Read as _, Write as _};
use std::net::{TcpListener, TcpStream};
use std::os::unix::net::UnixDatagram;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use dkimguard_core::guard::Sqlite;
use dkimguard_core::testing::{Fault, Lab, World, Zone};
use jiff::{SignedDuration, Timestamp};
use serde_json::{Value, json};

use authority::Authority;
use hook::{Fate, Hook, SECRET, Service};
use peer::Peer;
use watcher::{Home, Watcher, command, get, request, wait};

const ID: &str = "file:example.com";
const RECORD: &str = "bbb._domainkey.example.com";
const DOCUMENTATION: &str = include_str!("../../../docs/watch.md");

fn lab() -> Lab {
    Lab::start(World::easy_dkim("example.com")).expect("127.0.0.0/8 is this machine's")
}

/// Takes a record away from both name servers.
fn break_it(lab: &Lab) {
    lab.change(|world| {
        world.server(World::NS1).remove(RECORD);
        world.server(World::NS2).remove(RECORD);
    })
    .expect("no address is new");
}

fn mend(lab: &Lab) {
    let whole = World::easy_dkim("example.com");
    lab.change(|world| *world = whole).expect("no address is new");
}

#[test]
fn endpoints_tell_how_the_watch_is_and_how_each_identity_stands() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let watcher = Watcher::start(&home.configure(&lab, ""));
    let address = watcher.address();
    watcher.ready();

    let healthy = get(address, "/healthz");
    assert_eq!(healthy.status, 200, "{healthy:?}");
    assert_eq!(healthy.json()["watched"], 1);

    let identity = watcher.verdict(ID, "healthy");
    assert_eq!(
        [&identity["schema"], &identity["records"][0]["observations"][0]["state"]],
        [&json!(1), &json!("holds")]
    );
    assert_eq!(identity["history"]["incident"], Value::Null);
    let changes = &identity["history"]["changes"];
    assert_eq!([&changes[0]["from"], &changes[0]["to"]], [&Value::Null, &json!("healthy")], "{changes}");
    let all = get(address, "/api/identities").json();
    assert_eq!(all["schema"], 1);
    assert_eq!(all["identities"].as_array().map(Vec::len), Some(1));
    assert_eq!(all["identities"][0]["id"], ID);
    let encoded = get(address, "/api/identities/file%3Aexample.com");
    assert_eq!(encoded.status, 200, "{encoded:?}");

    for (method, path, status, code) in [
        ("GET", "/api/identities/file:other.example", 404, "unknown-identity"),
        ("GET", "/api/identities/%FF", 400, "bad-path"),
        ("GET", "/api/nothing", 404, "unknown-path"),
        ("POST", "/api/identities", 405, "wrong-method"),
        ("DELETE", "/api/identities/file:example.com", 405, "wrong-method"),
    ] {
        let answer = request(address, method, path);
        assert_eq!(answer.status, status, "{method} {path}: {answer:?}");
        assert_eq!(answer.json()["error"]["code"], code, "{method} {path}: {answer:?}");
        assert_eq!(answer.json()["schema"], 1);
    }
    for (method, path, status) in
        [("GET", "/", 404), ("GET", "/healthz/", 404), ("PUT", "/metrics", 405), ("HEAD", "/healthz", 200)]
    {
        assert_eq!(request(address, method, path).status, status, "{method} {path}");
    }
    assert!(request(address, "PUT", "/metrics").head.contains("\r\nallow: get,head"));
}

#[test]
fn metrics_are_those_of_the_contract_and_well_formed() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let watcher = Watcher::start(&home.configure(&lab, ""));
    watcher.verdict(ID, "healthy");
    let metrics = watcher.metrics();
    let of_domain = [("domain", "example.com"), ("provider", "file"), ("region", "")];
    let verdict = |metrics: &watcher::Metrics, verdict| {
        metrics.value("dkimguard_verdict", &[&of_domain[..], &[("verdict", verdict)]].concat())
    };
    assert_eq!(
        ["healthy", "degraded", "failing", "unknown"].map(|v| verdict(&metrics, v)),
        [1.0, 0.0, 0.0, 0.0].map(Some)
    );
    let ns1 = format!("ns1.example.com ({})", lab.address(World::NS1));
    let state = |metrics: &watcher::Metrics, state| {
        let labels = [("domain", "example.com"), ("record", RECORD), ("vantage", &*ns1), ("state", state)];
        metrics.value("dkimguard_record_state", &labels)
    };
    assert_eq!(
        ["holds", "differs", "absent", "unseen"].map(|s| state(&metrics, s)),
        [1.0, 0.0, 0.0, 0.0].map(Some)
    );
    assert_eq!(metrics.value("dkimguard_exposure_ratio", &of_domain), Some(0.0));
    assert_eq!(metrics.value("dkimguard_deadline_seconds", &of_domain), None, "no clock runs");
    assert!(metrics.value("dkimguard_lookup_duration_seconds_count", &[]) > Some(10.0));
    assert_eq!(metrics.value("dkimguard_lookup_errors_total", &[("kind", "port-closed")]), Some(0.0));
    let opened = [("kind", "dkim"), ("event", "opened")];
    assert_eq!(metrics.value("dkimguard_alerts_total", &opened), Some(0.0));
    assert_eq!(metrics.value("dkimguard_reloads_total", &[("outcome", "ok")]), Some(0.0));
    assert_eq!(metrics.value("dkimguard_domains_watched", &[]), Some(1.0));
    for name in metrics.names() {
        assert!(DOCUMENTATION.contains(&format!("`{name}`")), "{name} is documented");
    }

    lab.change(|world| {
        world.server(World::NS1).fault(Fault::PortClosed);
    })
    .expect("no address is new");
    watcher.logged("alert", 1);
    let metrics = watcher.metrics();
    assert_eq!(
        ["holds", "differs", "absent", "unseen"].map(|s| state(&metrics, s)),
        [0.0, 0.0, 0.0, 1.0].map(Some)
    );
    assert_eq!(verdict(&metrics, "degraded"), Some(1.0));
    assert_eq!(metrics.value("dkimguard_exposure_ratio", &of_domain), Some(0.5));
    assert!(metrics.value("dkimguard_lookup_errors_total", &[("kind", "port-closed")]) > Some(0.0));
    assert_eq!(metrics.value("dkimguard_alerts_total", &opened), Some(1.0));
}

#[test]
fn an_incident_is_told_once_when_it_opens_and_once_when_it_is_over() {
    let (lab, home, hook) = (lab(), Home::with_domains(&["example.com"]), Hook::start());
    home.write("secret", &format!("{SECRET}\n"));
    let watcher =
        Watcher::start(&home.configure(&lab, &format!("{}[[notify]]\nkind = \"stdout\"", hook.section())));
    watcher.verdict(ID, "healthy");
    break_it(&lab);
    let opened = hook.alert(1);
    let told = ["schema", "event", "severity", "verdict", "domain"].map(|key| opened[key].clone());
    assert_eq!(told, [json!(1), json!("opened"), json!("critical"), json!("failing"), json!("example.com")]);
    assert_eq!(opened["report"]["causes"][0]["code"], "record-missing");

    let identity = watcher.verdict(ID, "failing");
    assert_eq!(identity["history"]["incident"]["id"], opened["incident"]);

    mend(&lab);
    let recovered = hook.alert(2);
    assert_eq!(recovered["event"], "recovered");
    assert_eq!(recovered["incident"], opened["incident"]);
    watcher.verdict(ID, "healthy");
    assert_eq!(hook.taken().len(), 2);

    let lines =
        wait("both alerts on standard output", || Some(watcher.stdout()).filter(|lines| lines.len() >= 2));
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!(lines, hook.taken());

    let metrics = watcher.metrics();
    for event in ["opened", "recovered"] {
        let labels = [("kind", "dkim"), ("event", event)];
        assert_eq!(metrics.value("dkimguard_alerts_total", &labels), Some(1.0), "{event}");
    }
    let delivered = [("notifier", "stdout"), ("outcome", "delivered")];
    assert_eq!(metrics.value("dkimguard_deliveries_total", &delivered), Some(2.0));
    assert_eq!(watcher.logged("alert", 1)["level"], "ERROR");
    let verdicts = watcher.log().into_iter().filter(|line| line["message"] == "the verdict has changed");
    let verdicts: Vec<_> = verdicts.map(|line| line["verdict"].clone()).collect();
    assert_eq!(verdicts, ["healthy", "failing", "healthy"]);
    assert!(!format!("{:?}", watcher.log()).contains("hidden"), "no secret is in the log");
}

/// A watch whose incident has a deadline, told to a service that takes it and to one that doesn't, until it is over.
/// Gives what the service took as it opened and as it ended, and what standard output was given.
fn told_to(service: Service) -> ([Value; 2], [Value; 2]) {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let hook = Hook::playing(service, Box::new(|_| Fate::Taken(Duration::ZERO)));
    let refusing = Hook::playing(service, Box::new(|_| Fate::Failed));
    // Slack's URL is a secret, which a file holds as PagerDuty's key.
    let section = |hook: &Hook, name: &str| {
        let secret = if service == Service::Slack { hook.url() } else { SECRET.to_owned() };
        home.write(name, &secret);
        let kind = service.kind();
        let url =
            if service == Service::Slack { String::new() } else { format!("url = \"{}\"\n", hook.url()) };
        format!("[[notify]]\nkind = \"{kind}\"\nname = \"{name}\"\nsecret_file = \"{name}\"\n{url}")
    };
    let sections = [section(&hook, "taking"), section(&refusing, "refusing")].concat();
    let config = home.configure(&lab, &format!("{sections}[[notify]]\nkind = \"stdout\""));
    let since = Timestamp::now() - SignedDuration::from_hours(1);
    let identities = fs::read_to_string(home.path("identities.toml")).expect("it is there");
    home.write(
        "identities.toml",
        &format!("{identities}status = \"temporary-failure\"\nstatus_since = {since:.0}\n"),
    );
    break_it(&lab);
    let watcher = Watcher::start(&config);
    let opened = hook.alert(1);
    let failure = watcher.logged("an alert was not delivered; it is tried again later", 1);
    let error = failure["error"].as_str().expect("a text");
    assert!(error.contains("HTTP 503: not /"), "{error}");

    home.set_domains(&["example.com"]);
    mend(&lab);
    watcher.signal("HUP");
    let recovered = hook.alert(2);
    let lines = wait("both alerts on standard output", || Some(watcher.stdout()).filter(|l| l.len() >= 2));
    let lines: Vec<Value> = lines.iter().map(|line| serde_json::from_str(line).expect("JSON")).collect();
    assert_eq!([&lines[0]["event"], &lines[1]["event"]], ["opened", "recovered"]);
    watcher.verdict(ID, "healthy");
    assert_eq!(hook.taken().len(), 2);
    let log = format!("{:?} {:?}", watcher.log(), watcher.stdout());
    // PagerDuty's path is the same for all.
    let secret = if service == Service::Slack { "hidden" } else { SECRET };
    assert!(!log.contains(secret), "no secret is in the log: {log}");
    ([opened, recovered], [lines[0].clone(), lines[1].clone()])
}

#[test]
fn slack_is_told_how_bad_it_is_of_which_domain_and_until_when() {
    let ([opened, recovered], [alert, end]) = told_to(Service::Slack);
    let text = |message: &Value| message["text"].as_str().expect("a text").to_owned();
    assert!(text(&opened).starts_with("opened: example.com is failing: "), "{opened:#}");
    assert_eq!(opened["blocks"][0]["text"]["text"], "example.com is failing (opened)");
    let deadline: Timestamp = alert["deadline"].as_str().expect("a clock runs").parse().expect("a time");
    let deadline = format!("To be mended by {}", deadline.strftime("%Y-%m-%d %H:%M UTC"));
    let blocks = opened["blocks"].as_array().expect("blocks");
    let is_told =
        blocks.iter().any(|block| block["text"]["text"].as_str().is_some_and(|t| t.starts_with(&deadline)));
    assert!(is_told, "{deadline}: {opened:#}");
    assert!(text(&recovered).starts_with("recovered: example.com is healthy"), "{recovered:#}");
    for (message, alert) in [(opened, alert), (recovered, end)] {
        let incident = format!("Incident {}", alert["incident"].as_str().expect("a text"));
        assert!(message.to_string().contains(&incident), "{incident}: {message:#}");
    }
}

#[test]
fn pagerduty_is_triggered_and_resolved_under_one_key() {
    let ([opened, recovered], [alert, end]) = told_to(Service::PagerDuty);
    let incident = &alert["incident"];
    assert!(incident.is_string() && incident == &end["incident"], "{alert:#} {end:#}");
    let told = ["routing_key", "event_action", "dedup_key"].map(|key| &opened[key]);
    assert_eq!(told, [&json!(SECRET), &json!("trigger"), incident]);
    let payload = &opened["payload"];
    assert_eq!([&payload["source"], &payload["severity"]], ["example.com", "critical"]);
    assert!(alert["deadline"].is_string(), "{alert:#}");
    assert_eq!(payload["custom_details"]["deadline"], alert["deadline"]);
    let resolve = json!({ "routing_key": SECRET, "event_action": "resolve", "dedup_key": incident });
    assert_eq!(recovered, resolve);
}

#[test]
fn a_webhook_behind_tls_is_told_once_its_certificate_is_trusted() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let [authority, strange] = ["trusted", "strange"].map(Authority::named);
    let hook = Hook::behind(authority.server("127.0.0.1"));
    home.write("secret", SECRET);
    let trusted = home.write("trusted.pem", &authority.pem());
    let other = home.write("other.pem", &strange.pem());
    let config = home.configure(&lab, &hook.section());
    let trusting = |roots: &Path| {
        Watcher::start_with(&config, |command| {
            command.env_remove("SSL_CERT_DIR").env("SSL_CERT_FILE", roots);
        })
    };
    break_it(&lab);
    let mut watcher = trusting(&other);
    let message = "an alert was not delivered; it is tried again later";
    let failure = watcher.logged(message, 1);
    let error = failure["error"].as_str().expect("a text");
    assert!(error.contains(&hook.address().to_string()), "{error} names the host");
    assert!(error.contains("invalid peer certificate: UnknownIssuer"), "{error} says why");
    assert_eq!(failure["refused"], false, "{failure}");
    assert_eq!(watcher.verdict(ID, "failing")["history"]["undelivered"], 1);
    assert_eq!(hook.taken(), Vec::<Value>::new());
    let log = format!("{:?}", watcher.log());
    assert!(!log.contains("hidden"), "no secret is in the log: {log}");
    watcher.signal("TERM");
    watcher.ended();

    let _trusting = trusting(&trusted);
    let opened = wait("the alert over TLS", || hook.taken().into_iter().next());
    assert_eq!([&opened["event"], &opened["domain"]], ["opened", "example.com"]);
}

#[test]
fn a_restart_goes_on_from_what_was_told() {
    let (lab, home, hook) = (lab(), Home::with_domains(&["example.com"]), Hook::start());
    home.write("secret", SECRET);
    let config = home.configure(&lab, &hook.section());
    let mut first = Watcher::start(&config);
    first.verdict(ID, "healthy");
    break_it(&lab);
    let opened = hook.alert(1);
    // The delivery is noted a moment after the answer.
    let is_noted = |watcher: &Watcher| {
        wait("delivery that is noted", || {
            let identity = get(watcher.address(), &format!("/api/identities/{ID}")).json();
            (identity["history"]["undelivered"] == 0).then_some(identity)
        })
    };
    is_noted(&first);
    first.kill();

    let mut second = Watcher::start(&config);
    let identity = second.verdict(ID, "failing");
    assert_eq!(identity["history"]["incident"]["id"], opened["incident"]);
    assert_eq!(identity["history"]["changes"], json!([]), "it was failing before");
    second.signal("TERM");
    assert_eq!(second.ended().0.code(), Some(0));

    mend(&lab);
    let third = Watcher::start(&config);
    let recovered = hook.alert(2);
    assert_eq!([&recovered["event"], &recovered["incident"]], [&json!("recovered"), &opened["incident"]]);
    third.verdict(ID, "healthy");
    assert_eq!(hook.taken().len(), 2);
}

#[test]
fn a_reload_takes_effect_or_leaves_everything_as_it_is() {
    let mut whole = World::easy_dkim("example.com");
    let records =
        ["aaa", "bbb", "ccc"].map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n"));
    let zone = Zone::new("other.example").with(&records.concat());
    whole.host(zone, [("ns1.other.example", World::NS1)]);
    let lab = Lab::start(whole.clone()).expect("127.0.0.0/8 is this machine's");
    let (home, hook) = (Home::with_domains(&["example.com"]), Hook::start());
    home.write("secret", SECRET);
    let config = home.configure(&lab, &hook.section());
    let mut watcher = Watcher::start(&config);
    let address = watcher.address();
    watcher.verdict(ID, "healthy");
    break_it(&lab);
    let opened = hook.alert(1);

    // What is wrong is told, and nothing changes.
    for (nth, wrong) in ["[guard]\nintervall = \"1s\"", "[[notify]]\nkind = \"sms\""].iter().enumerate() {
        let right = fs::read_to_string(&config).expect("it is there");
        fs::write(&config, wrong).expect("writing it");
        watcher.signal("HUP");
        let line = watcher.logged("the configuration was not read again; the earlier one stays", nth + 1);
        let error = line["error"].as_str().expect("a text");
        assert!(error.contains("dkimguard.toml:2:"), "{error}");
        fs::write(&config, right).expect("writing it");
    }
    assert_eq!(get(address, "/readyz").status, 200);
    assert_eq!(watcher.metrics().value("dkimguard_reloads_total", &[("outcome", "error")]), Some(2.0));

    // Another domain in place of the first.
    home.set_domains(&["other.example"]);
    watcher.signal("HUP");
    watcher.logged("the configuration was read again", 1);
    watcher.verdict("file:other.example", "healthy");
    let metrics = watcher.metrics();
    assert!(metrics.mentions("domain", "other.example"));
    assert!(!metrics.mentions("domain", "example.com"), "what isn't watched any more is gone");
    assert_eq!(metrics.value("dkimguard_reloads_total", &[("outcome", "ok")]), Some(1.0));
    assert_eq!(get(address, &format!("/api/identities/{ID}")).status, 404);

    // Both, and the incident goes on where it was.
    home.set_domains(&["other.example", "example.com"]);
    watcher.signal("HUP");
    watcher.logged("the configuration was read again", 2);
    let identity = watcher.verdict(ID, "failing");
    assert_eq!(identity["history"]["incident"]["id"], opened["incident"]);
    lab.change(|world| *world = whole).expect("no address is new");
    let recovered = hook.alert(2);
    assert_eq!([&recovered["event"], &recovered["incident"]], [&json!("recovered"), &opened["incident"]]);
    assert!(watcher.is_running());
}

#[test]
fn a_reload_moves_the_endpoints_and_the_log_where_they_are_to_be() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let config = home.configure(&lab, "");
    let watcher = Watcher::start(&config);
    let before = watcher.address();
    watcher.ready();
    let text = fs::read_to_string(&config).expect("it is there");
    let other = TcpListener::bind("127.0.0.1:0").expect("a port").local_addr().expect("its address");
    fs::write(&config, text.replace("127.0.0.1:0", &other.to_string())).expect("writing it");
    watcher.signal("HUP");
    watcher.logged("the configuration was read again", 1);
    assert_eq!(get(other, "/readyz").status, 200, "what was seen before still stands");
    wait("end of the earlier socket", || TcpStream::connect(before).err());
}

#[test]
fn sigterm_ends_it_within_two_seconds_whatever_hangs() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    // A webhook that takes the connection and is silent.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let url = format!("http://{}/", silent.local_addr().expect("its address"));
    let config = home.configure(&lab, &format!("[[notify]]\nkind = \"webhook\"\nurl = \"{url}\""));
    let text =
        fs::read_to_string(&config).expect("it is there").replace("timeout = \"1s\"", "timeout = \"60s\"");
    fs::write(&config, text).expect("writing it");
    for signal in ["TERM", "INT"] {
        mend(&lab);
        let mut watcher = Watcher::start(&config);
        watcher.verdict(ID, "healthy");
        break_it(&lab);
        let mut delivery = silent.accept().expect("a delivery").0;
        delivery.read_exact(&mut [0; 4]).expect("it has begun");
        lab.change(|world| {
            world.server(World::NS1).fault(Fault::Silent);
        })
        .expect("no address is new");
        let mut client = TcpStream::connect(watcher.address()).expect("it listens");
        client.write_all(b"GET /metr").expect("it reads");
        watcher.signal(signal);
        let (status, took) = watcher.ended();
        assert_eq!(status.code(), Some(0), "{signal}");
        assert!(took < Duration::from_secs(2), "{signal}: {took:?}");
        assert_eq!(watcher.logged("the watch ends", 1)["signal"], format!("SIG{signal}"));
        fs::remove_file(home.path("state.sqlite")).expect("it is there");
        for suffix in ["-wal", "-shm"] {
            // They are there where the file was not closed in time.
            let _ = fs::remove_file(home.path(&format!("state.sqlite{suffix}")));
        }
    }
}

#[test]
fn a_slow_client_is_cut_off_and_holds_nobody_up() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let watcher = Watcher::start(&home.configure(&lab, ""));
    let address = watcher.address();
    watcher.ready();
    let slow = |sent: &[u8]| {
        let mut stream = TcpStream::connect(address).expect("it listens");
        stream.set_read_timeout(Some(Duration::from_secs(30))).expect("a time limit");
        stream.write_all(sent).expect("it reads");
        stream
    };
    let clients: Vec<_> = (0..40).map(|_| slow(b"GET /healthz HTTP/1.1\r\nHost: x\r\n")).collect();
    let begun = Instant::now();
    assert_eq!(get(address, "/healthz").status, 200);
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
    for mut client in clients {
        let mut rest = String::new();
        client.read_to_string(&mut rest).expect("it is closed in time");
        assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
    }
    // A head that is too large.
    let mut client = slow(b"GET / HTTP/1.1\r\nX: ");
    let mut rest = String::new();
    // It may be closed before all of it is written.
    let _ = client.write_all(&[b'x'; 64 << 10]);
    let _ = client.read_to_string(&mut rest);
    assert!(!rest.contains("HTTP/1.1 200"), "{rest}");
}

#[test]
fn the_service_manager_learns_of_begin_reload_life_and_end() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let config = home.configure(&lab, "");
    let path = home.path("notify");
    let socket = UnixDatagram::bind(&path).expect("a socket");
    socket.set_read_timeout(Some(watcher::PATIENCE)).expect("a time limit");
    let mut watcher = Watcher::start_with(&config, |command| {
        command.env("NOTIFY_SOCKET", &path).env("WATCHDOG_USEC", "200000");
    });
    let mut messages = Vec::new();
    let mut until = |wanted: &dyn Fn(&str) -> bool| {
        loop {
            let mut octets = [0; 4096];
            let length = socket.recv(&mut octets).expect("a message in time");
            let message = String::from_utf8(octets[..length].to_vec()).expect("UTF-8");
            messages.push(message.clone());
            if wanted(&message) {
                return message;
            }
        }
    };
    until(&|message| message.contains("READY=1"));
    until(&|message| message.contains("WATCHDOG=1"));
    let begun = Instant::now();
    until(&|message| message.contains("WATCHDOG=1"));
    until(&|message| message.contains("WATCHDOG=1"));
    assert!(begun.elapsed() < Duration::from_secs(5), "twice in the time that it gives");
    until(&|message| message.contains("STATUS=watching 1 domain: 1 healthy"));
    watcher.signal("HUP");
    let reloading = until(&|message| message.contains("RELOADING=1"));
    let since = reloading.lines().find_map(|line| line.strip_prefix("MONOTONIC_USEC=")).expect("the time");
    assert!(since.parse::<u64>().is_ok(), "{reloading}");
    until(&|message| message.contains("READY=1"));
    watcher.signal("TERM");
    until(&|message| message.contains("STOPPING=1"));
    assert_eq!(watcher.ended().0.code(), Some(0));
}

#[test]
fn a_store_that_cannot_be_written_is_told_of_and_holds_no_alert_back() {
    const HOLD: &str = "
import sqlite3, sys
sqlite3.connect(sys.argv[1], isolation_level=None).execute('BEGIN EXCLUSIVE')
print('held', flush=True)
sys.stdin.read()
";
    let (lab, home, hook) = (lab(), Home::with_domains(&["example.com"]), Hook::start());
    home.write("secret", SECRET);
    let watcher = Watcher::start(&home.configure(&lab, &hook.section()));
    watcher.verdict(ID, "healthy");
    let mut holder = Command::new(peer::python())
        .args(["-c", HOLD])
        .arg(home.path("state.sqlite"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("dkimguard-aws/tests/peer/setup makes the environment");
    let mut held = [0; 5];
    holder.stdout.take().expect("it is piped").read_exact(&mut held).expect("it holds the file");
    let kinds = |event: &str| {
        let told: Vec<_> = hook.taken().into_iter().filter(|alert| alert["event"] == event).collect();
        told.iter().map(|alert| alert["kind"].as_str().unwrap_or_default().to_owned()).collect::<Vec<_>>()
    };
    watcher.logged("what is remembered cannot be stored; alerts still go out", 1);
    wait("alert of the store", || kinds("opened").contains(&"store".to_owned()).then_some(()));
    assert_eq!(watcher.metrics().value("dkimguard_store_faulty", &[]), Some(1.0));
    break_it(&lab);
    wait("alert while nothing can be stored", || kinds("opened").contains(&"dkim".to_owned()).then_some(()));
    // It ends where nobody can write to it any more.
    drop(holder.stdin.take());
    holder.wait().expect("it ends");
    watcher.logged("what is remembered is stored again", 1);
    wait("end of the store's incident", || kinds("recovered").contains(&"store".to_owned()).then_some(()));
    mend(&lab);
    wait("end of the domain's incident", || kinds("recovered").contains(&"dkim".to_owned()).then_some(()));
    // Which delivery had been noted isn't known for sure then, so that one may come again; it is the same incident.
    let told: Vec<_> = hook.taken().into_iter().filter(|alert| alert["kind"] == "dkim").collect();
    assert!(told.iter().all(|alert| alert["incident"] == told[0]["incident"]), "{told:#?}");
    let metrics = watcher.metrics();
    for event in ["opened", "recovered"] {
        let labels = [("kind", "store"), ("event", event)];
        assert_eq!(metrics.value("dkimguard_alerts_total", &labels), Some(1.0), "{event}");
    }
}

#[test]
fn a_source_that_cannot_tell_is_told_of_once_with_what_to_do() {
    let (lab, home) = (lab(), Home::with_domains(&[]));
    let config = home.configure_source("kind = \"ses\"\nregions = [\"us-east-1\"]", &lab, "");
    let watcher = Watcher::start(&config);
    let line = watcher.logged("the source could not tell", 1);
    assert!(line["hint"].as_str().is_some_and(|hint| !hint.is_empty()), "{line}");
    assert_eq!(line["level"], "WARN");
    let address = watcher.address();
    assert_eq!(get(address, "/readyz").status, 503, "the domains aren't known");
    wait("end of the time for the first list", || (get(address, "/healthz").status == 503).then_some(()));
    assert_eq!(watcher.metrics().value("dkimguard_domains_overdue", &[]), Some(1.0));
}

#[test]
fn a_program_is_told() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let out = home.path("out");
    let section = format!(
        "[[notify]]\nkind = \"command\"\nname = \"pager\"\nprogram = \"sh\"\nargs = [\"-c\", \"cat > {}\"]",
        out.display()
    );
    let watcher = Watcher::start(&home.configure(&lab, &section));
    watcher.verdict(ID, "healthy");
    break_it(&lab);
    let line = watcher.logged("delivered", 1);
    assert_eq!(line["notifier"], "command pager");
    let alert: Value =
        serde_json::from_str(&fs::read_to_string(&out).expect("it was written")).expect("JSON");
    assert_eq!([&alert["event"], &alert["domain"]], ["opened", "example.com"]);
}

#[test]
fn a_closed_standard_output_does_not_end_the_watch() {
    let (lab, home, hook) = (lab(), Home::with_domains(&["example.com"]), Hook::start());
    home.write("secret", SECRET);
    let config = home.configure(&lab, &format!("{}[[notify]]\nkind = \"stdout\"", hook.section()));
    let (reader, writer) = std::io::pipe().expect("a pipe");
    let mut watcher = Watcher::start_with(&config, |command| {
        command.stdout(Stdio::from(writer));
    });
    watcher.verdict(ID, "healthy");
    drop(reader);
    break_it(&lab);
    hook.alert(1);
    let line = watcher.logged("an alert was not delivered; it is tried again later", 1);
    assert_eq!(line["notifier"], "stdout");
    mend(&lab);
    hook.alert(2);
    assert!(watcher.is_running());
    let failed = [("notifier", "stdout"), ("outcome", "failed")];
    assert!(watcher.metrics().value("dkimguard_deliveries_total", &failed) >= Some(1.0));
}

/// What came of a start that is to fail: the code, and standard error.
fn refusal(arguments: &[&str]) -> String {
    let mut watcher = Watcher::spawn(command(arguments));
    let code = watcher.ended().0.code();
    let stderr = watcher.stderr();
    assert_eq!(code, Some(3), "{stderr}");
    assert!(watcher.stdout().is_empty(), "standard output is for alerts");
    assert!(stderr.lines().any(|line| line.starts_with("error: ")), "{stderr}");
    assert!(!stderr.contains("hidden"), "{stderr}");
    stderr
}

#[test]
fn what_is_wrong_in_the_configuration_is_refused_with_its_place() {
    let home = Home::with_domains(&["example.com"]);
    home.write("empty", " \n");
    home.write("secret", SECRET);
    let webhook = "[[notify]]\nkind = \"webhook\"\n";
    for (text, place, what) in [
        ("[guard]\nintervall = \"1s\"\n", ":2:1: ", "intervall"),
        ("[guard]\ninterval = 15\n", ":2:12: ", "expected a string"),
        ("[guard]\nrepair = \"apply\"\n", ":2:10: ", "no zone can be edited"),
        ("[guard]\nrepair = \"propose\"\n[look]\ndepth = \"quick\"\n", ":2:10: ", "no look is a full one"),
        ("[guard]\nrepair = \"please\"\n", ":2:10: ", "please"),
        ("[[notify]]\nkind = \"sms\"\n", ":2:8: ", "sms"),
        ("\n[[notify]]\nkind = \"webhook\"\n", ":2:1: ", "needs url"),
        (
            &format!("{webhook}url = \"http://hooks.example.com/hidden\"\n"),
            ":3:7: ",
            "plain http to hooks.example.com",
        ),
        (&format!("{webhook}url = \"https://me:hidden@example.com/\"\n"), ":3:7: ", "password"),
        (&format!("{webhook}url = \"hidden\"\n"), ":3:7: ", "not a URL"),
        (
            &format!("{webhook}url = \"https://example.com/\"\nsecret_env = \"NOWHERE\"\n"),
            ":4:14: ",
            "no variable NOWHERE",
        ),
        (
            &format!("{webhook}url = \"https://example.com/\"\nsecret_file = \"nowhere\"\n"),
            ":4:15: ",
            "cannot be read",
        ),
        (
            &format!("{webhook}url = \"https://example.com/\"\nsecret_file = \"empty\"\n"),
            ":4:15: ",
            "the secret is empty",
        ),
        (
            &format!(
                "{webhook}url = \"https://example.com/\"\nsecret_env = \"A\"\nsecret_file = \"secret\"\n"
            ),
            ":5:15: ",
            "in the environment (secret_env) and in a file",
        ),
        (&format!("{webhook}topic_arn = \"x\"\n"), ":3:13: ", "kind 'webhook' has no topic_arn"),
        (&format!("{webhook}name = \"a b\"\nurl = \"https://example.com/\"\n"), ":3:8: ", "letters, digits"),
        (
            "[[notify]]\nkind = \"stdout\"\nurl = \"https://example.com/\"\n",
            ":3:7: ",
            "kind 'stdout' has no url",
        ),
        ("[[notify]]\nkind = \"slack\"\n", ":1:1: ", "needs secret_env"),
        ("[[notify]]\nkind = \"slack\"\nsecret_file = \"secret\"\n", ":3:15: ", "not a URL"),
        ("[[notify]]\nkind = \"pagerduty\"\n", ":1:1: ", "the integration's key"),
        ("[[notify]]\nkind = \"sns\"\ntopic_arn = \"arn:aws:sns:x\"\n", ":3:13: ", "arn:aws:sns:x"),
        ("[[notify]]\nkind = \"command\"\nargs = [\"hidden\"]\n", ":1:1: ", "needs program"),
        ("[[notify]]\nkind = \"stdout\"\n[[notify]]\nkind = \"stdout\"\n", ":3:1: ", "called 'stdout'"),
    ] {
        let config = home
            .write("bad.toml", &format!("{text}\n[source]\nkind = \"file\"\npath = \"identities.toml\"\n"));
        let state = home.path("state.sqlite");
        let state = state.to_str().expect("UTF-8");
        let stderr = refusal(&["--config", config.to_str().expect("UTF-8"), "--state", state]);
        assert!(stderr.contains(&format!("bad.toml{place}")), "{place} in {stderr}");
        assert!(stderr.contains(what), "{what} in {stderr}");
    }
}

#[test]
fn a_state_file_that_is_not_its_own_is_refused_and_left_as_it_is() {
    let home = Home::with_domains(&["example.com"]);
    let config = home.write("c.toml", "[source]\nkind = \"file\"\npath = \"identities.toml\"\n");
    let config = config.to_str().expect("UTF-8");
    let own = home.path("own.sqlite");
    drop(Sqlite::open(&own).expect("it is made"));
    let whole = fs::read(&own).expect("it is there");
    // The header of a database of SQLite has its user version at octet 60 (SQLite, "Database File Format").
    let mut newer = whole.clone();
    newer[60..64].copy_from_slice(&99_u32.to_be_bytes());
    for (octets, what) in [
        (newer, "newer version"),
        (whole[..whole.len() / 2].to_vec(), "state"),
        (whole[..50].to_vec(), "state"),
        (b"not a database\n".repeat(100), "state"),
        (Vec::new(), "state"),
    ] {
        let directory = tempfile::TempDir::new().expect("a temporary directory");
        let path = directory.path().join("state");
        fs::write(&path, &octets).expect("writing it");
        let stderr = refusal(&["--config", config, "--state", path.to_str().expect("UTF-8")]);
        assert!(stderr.contains(what) && stderr.contains(&path.display().to_string()), "{stderr}");
        assert!(
            stderr.lines().any(|line| line.starts_with("hint: ") && line.contains("--state")),
            "{stderr}"
        );
        assert_eq!(fs::read(&path).expect("it is still there"), octets);
        let files: Vec<_> = fs::read_dir(directory.path()).expect("it is there").collect();
        assert_eq!(files.len(), 1, "nothing lies beside it: {files:?}");
    }
    let nowhere = home.path("nowhere/a/b").to_str().expect("UTF-8").to_owned();
    let stderr = refusal(&["--config", config, "--state", &nowhere]);
    assert!(stderr.contains("there is no directory"), "{stderr}");
    let taken = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = taken.local_addr().expect("its address").to_string();
    let own = own.to_str().expect("UTF-8");
    let stderr = refusal(&["--config", config, "--listen", &address, "--state", own]);
    assert!(stderr.contains(&format!("cannot listen at {address}")), "{stderr}");

    // Whoever reads the log as JSON reads this too.
    let state = &nowhere;
    let mut watcher =
        Watcher::spawn(command(&["--config", config, "--state", state, "--log-format", "json"]));
    assert_eq!(watcher.ended().0.code(), Some(3));
    let line = watcher.logged("the watch has failed", 1);
    assert_eq!([&line["code"], &line["level"]], ["state", "ERROR"]);
    assert!(line["hint"].as_str().is_some_and(|hint| hint.contains("--state")), "{line}");
}

#[test]
fn the_state_lies_in_the_state_directory_where_none_is_named() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let config = home.configure(&lab, "");
    let text =
        fs::read_to_string(&config).expect("it is there").replace("[state]\npath = \"state.sqlite\"\n", "");
    fs::write(&config, text).expect("writing it");
    let root = home.path("root");
    fs::create_dir_all(root.join("me")).expect("a directory");
    let at = |rest: &str| root.join(rest).to_str().expect("UTF-8").to_owned();
    for (variables, file) in [
        (vec![("STATE_DIRECTORY", at("service")), ("XDG_STATE_HOME", at("xdg"))], "service/dkimguard.sqlite"),
        (vec![("XDG_STATE_HOME", at("xdg")), ("HOME", at("me"))], "xdg/dkimguard/dkimguard.sqlite"),
        (
            vec![("XDG_STATE_HOME", "relative".to_owned()), ("HOME", at("me"))],
            "me/.local/state/dkimguard/dkimguard.sqlite",
        ),
    ] {
        let watcher = Watcher::start_with(&config, |command| {
            command.envs(variables);
        });
        let line = watcher.logged("the watch has begun", 1);
        assert_eq!(line["state"], at(file));
        assert!(Path::new(&at(file)).exists(), "{file}");
    }
}

#[test]
fn whoever_is_asked_from_elsewhere_is_warned_that_there_is_no_authentication() {
    let (lab, home) = (lab(), Home::with_domains(&["example.com"]));
    let config = home.configure(&lab, "");
    let text = fs::read_to_string(&config).expect("it is there").replace("127.0.0.1:0", "0.0.0.0:0");
    fs::write(&config, text).expect("writing it");
    let watcher = Watcher::start(&config);
    let line = watcher.logged("other machines can ask the endpoints, which have no authentication", 1);
    assert_eq!(line["level"], "WARN");
}

#[test]
fn what_ses_and_sns_are_asked_is_counted_and_a_deadline_is_told() {
    let (account, region) = ("200000000901", "us-east-1");
    let peer = Peer::shared();
    let topic = peer.add_topic(account, region, "alerts");
    let healthy = json!([{ "name": "example.com", "DkimAttributes": { "Tokens": ["aaa", "bbb", "ccc"] } }]);
    peer.add_identities(account, region, &healthy);
    let (lab, home) = (lab(), Home::with_domains(&[]));
    let more = format!("[[notify]]\nkind = \"sns\"\ntopic_arn = \"{topic}\"");
    let config = home.configure_source("kind = \"ses\"\ndomains = [\"example.com\"]", &lab, &more);
    let watcher = Watcher::start_with(&config, |command| {
        command
            .env("AWS_ENDPOINT_URL", peer.url())
            .env("AWS_REGION", region)
            .env("AWS_ACCESS_KEY_ID", Peer::access_key(account))
            .env("AWS_SECRET_ACCESS_KEY", "secret");
    });
    let id = format!("ses:{account}:{region}:example.com");
    watcher.verdict(&id, "healthy");
    let behind = json!([{ "name": "example.com",
                          "DkimAttributes": { "Tokens": ["aaa", "bbb", "ccc"], "Status": "TEMPORARY_FAILURE" } }]);
    peer.add_identities(account, region, &behind);
    watcher.logged("delivered", 1);

    let messages = peer.messages(&topic);
    let message: Value =
        serde_json::from_str(messages[0]["message"].as_str().expect("a text")).expect("JSON");
    assert_eq!([&message["event"], &message["id"]], [&json!("opened"), &json!(id)]);
    let metrics = watcher.metrics();
    let calls = |operation, outcome| {
        metrics.value("dkimguard_provider_calls_total", &[("operation", operation), ("outcome", outcome)])
    };
    assert!(calls("ses:GetEmailIdentity", "ok") >= Some(2.0), "{metrics:?}");
    assert_eq!(calls("sts:GetCallerIdentity", "ok"), Some(1.0));
    assert_eq!(calls("sns:Publish", "ok"), Some(1.0));
    let of_domain = [("domain", "example.com"), ("provider", "ses"), ("region", region)];
    let left = metrics.value("dkimguard_deadline_seconds", &of_domain).expect("a clock runs");
    assert!((71.0 * 3600.0..=72.0 * 3600.0).contains(&left), "{left}");
    assert_eq!(
        metrics.value("dkimguard_verdict", &[&of_domain[..], &[("verdict", "degraded")]].concat()),
        Some(1.0)
    );

    peer.add_fault(account, json!({ "operation": "GetEmailIdentity", "status": 403, "code": "AccessDeniedException", "message": "no" }));
    wait("call that is denied", || {
        let denied = [("operation", "ses:GetEmailIdentity"), ("outcome", "denied")];
        watcher.metrics().value("dkimguard_provider_calls_total", &denied)
    });
}

/// An account of SES with example.com, whose zone lacks one of the three records, and so do its servers.
fn mendable(account: &str) -> (Lab, Home) {
    let (peer, region) = (Peer::shared(), "us-east-1");
    let identity = json!([{ "name": "example.com", "DkimAttributes": { "Tokens": ["aaa", "bbb", "ccc"] } }]);
    peer.add_identities(account, region, &identity);
    let cname = |token: &str| {
        json!({ "name": format!("{token}._domainkey.example.com"), "type": "CNAME",
                "values": [format!("{token}.dkim.amazonses.com")] })
    };
    let zone = json!([{ "name": "example.com", "id": "ZMEND", "servers": ["ns1.example.com", "ns2.example.com"],
                        "records": [cname("aaa"), cname("ccc")] }]);
    peer.add_zones(account, &zone);
    let lab = lab();
    break_it(&lab);
    (lab, Home::with_domains(&[]))
}

/// Starts a watch of that account which does so about what is broken.
fn start_mending(account: &str, repair: &str, lab: &Lab, home: &Home, more: &str) -> Watcher {
    let config = home.configure_source("kind = \"ses\"\ndomains = [\"example.com\"]", lab, more);
    let text = fs::read_to_string(&config).expect("it is there");
    fs::write(&config, text.replace("[guard]\n", &format!("[guard]\nrepair = \"{repair}\"\n")))
        .expect("writing it");
    Watcher::start_with(&config, |command| {
        command
            .env("AWS_ENDPOINT_URL", Peer::shared().url())
            .env("AWS_REGION", "us-east-1")
            .env("AWS_ACCESS_KEY_ID", Peer::access_key(account))
            .env("AWS_SECRET_ACCESS_KEY", "secret");
    })
}

/// The messages of the log about repairs.
fn told_of_repairs(watcher: &Watcher) -> Vec<Value> {
    let log = watcher.log().into_iter();
    log.filter(|line| line["message"].as_str().is_some_and(|it| it.starts_with("a step of a repair")))
        .collect()
}

#[test]
fn what_is_to_be_mended_is_mended_by_one_change_and_told_of() {
    let account = "200000000902";
    let peer = Peer::shared();
    let (lab, home) = mendable(account);
    let before = peer.zone_file(account, "ZMEND");
    let watcher = start_mending(account, "apply", &lab, &home, "[[notify]]\nkind = \"stdout\"");
    let ended = watcher.logged("a step of a repair has ended", 1);
    let changes = peer.changes(account);
    assert_eq!(changes.len(), 1, "{changes:?}");
    assert_eq!(changes[0]["zone"], "ZMEND", "{changes:?}");
    let made = changes[0]["changes"].as_array().expect("a list");
    assert_eq!(made.len(), 1, "{changes:?}");
    assert_eq!([&made[0]["action"], &made[0]["type"]], [&json!("CREATE"), &json!("CNAME")], "{changes:?}");
    assert_eq!(made[0]["name"], format!("{RECORD}."), "{changes:?}");
    let after = peer.zone_file(account, "ZMEND");
    let kept = before.lines().all(|line| line.contains("SOA") || after.lines().any(|now| now == line));
    assert!(kept, "{before}\n{after}");

    // The zone's servers follow.
    mend(&lab);
    let id = format!("ses:{account}:us-east-1:example.com");
    let identity = watcher.verdict(&id, "healthy");
    assert_eq!(peer.changes(account).len(), 1);
    assert_eq!(peer.count(account, "ChangeResourceRecordSets"), 1);
    assert_eq!(peer.count(account, "PutEmailIdentityDkimSigningAttributes"), 0);

    // Each step stands in the log, before it is taken and after, with its reason and its result …
    let told = told_of_repairs(&watcher);
    assert_eq!(told.len(), 2, "{told:?}");
    assert_eq!([&told[0]["message"], &told[1]], [&json!("a step of a repair begins"), &ended]);
    let result = ended["result"].as_str().expect("a text");
    assert_eq!(result, format!("published as change {}", changes[0]["id"].as_str().expect("a text")));
    let reason = &told[0]["reason"];
    assert!(reason.as_str().is_some_and(|reason| reason.contains("1 of 3")), "{reason}");
    let what = told[0]["what"].as_str().expect("a text");
    assert!(what.contains("+ bbb._domainkey.example.com. "), "{what}");
    for line in &told {
        assert_eq!(
            [&line["level"], &line["step"], &line["id"]],
            [&json!("WARN"), &json!("publish"), &json!(id)]
        );
    }
    // … at the endpoint, and in the state file.
    let repairs = identity["history"]["repairs"].as_array().expect("a list").clone();
    assert_eq!(repairs.len(), 1, "{repairs:?}");
    assert_eq!([&repairs[0]["result"], &repairs[0]["reason"]], [&json!(result), reason]);
    let state = home.path("state.sqlite");
    drop(watcher);
    let mut history = binary::binary();
    history.args(["repair", "example.com", "--history", "--format", "json", "--state"]).arg(state);
    let output = history.output().expect("the binary starts");
    let entries: Vec<Value> = String::from_utf8_lossy(&output.stdout)
        .lines()
        .map(|line| serde_json::from_str(line).expect("JSON"))
        .collect();
    assert_eq!(entries.len(), 1, "{output:?}");
    for field in ["at", "step", "what", "reason", "result"] {
        assert_eq!(entries[0][field], repairs[0][field], "{field}");
    }
}

#[test]
fn an_edit_that_is_proposed_is_in_the_alert_and_not_made() {
    let account = "200000000903";
    let (lab, home) = mendable(account);
    let watcher = start_mending(account, "propose", &lab, &home, "[[notify]]\nkind = \"stdout\"");
    let line = wait("an alert", || watcher.stdout().into_iter().next());
    let alert: Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(alert["event"], "opened");
    let plan = &alert["report"]["plan"];
    assert_eq!(
        [&plan["zone"]["id"], &plan["edits"][0]["name"]],
        [&json!("ZMEND"), &json!(RECORD)],
        "{alert}"
    );
    let remedy = alert["remedy"].as_str().expect("a text");
    assert!(remedy.contains("+ bbb._domainkey.example.com. "), "{remedy}");
    watcher.logged("looked at", 5);
    assert_eq!(told_of_repairs(&watcher), [Value::Null; 0]);
    assert_eq!(Peer::shared().count(account, "ChangeResourceRecordSets"), 0);
}
