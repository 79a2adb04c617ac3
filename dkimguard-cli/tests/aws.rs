//! The built binary against AWS and DNS: a peer that speaks AWS over HTTP, and name servers on loopback.

mod binary;
#[path = "../../dkimguard-aws/tests/peer/mod.rs"]
mod peer;

use std::fmt::Write as _;
use std::net::TcpListener;
use std::process::Command;
use std::sync::OnceLock;
use std::thread;
use std::time::{Duration, Instant};

use binary::binary;
use dkimguard_core::testing::{Lab, PUBLIC_KEY, World, Zone};
use peer::Peer;
use serde_json::{Value, json};

const HOME: &str = "us-east-1";
/// The calls that tell about one identity.
const TELLING: [&str; 3] = ["GetEmailIdentity", "GetIdentityDkimAttributes", "GetCallerIdentity"];
/// The calls for one domain of which no zone is held.
const READING: [&str; 4] = ["GetCallerIdentity", "GetEmailIdentity", "ListHostedZonesByName", "LookupEvents"];
/// More domains than are asked for one by one.
const MANY: usize = 25;

/// The name servers of all tests. `example.com` and the many are healthy in the usual hosted zone, but for two:
/// `d07.example` has its records in another one, and `d13.example` lacks one.
fn lab() -> &'static Lab {
    static LAB: OnceLock<Lab> = OnceLock::new();
    LAB.get_or_init(|| {
        let mut world = World::easy_dkim("example.com");
        let targets = Zone::new("dkim.other.example").with(&format!("aaa TXT \"p={PUBLIC_KEY}\""));
        world.host(targets, [("ns1.other.example", World::TARGETS)]);
        let mut host = |domain: &str, records: &str| {
            let zone = Zone::new(domain).with(records).with("_dmarc TXT \"v=DMARC1; p=none\"");
            let servers = [("ns1", World::NS1), ("ns2", World::NS2)];
            let servers = servers.map(|(label, address)| (format!("{label}.{domain}"), address));
            world.host(zone, servers.iter().map(|(name, address)| (name.as_str(), *address)));
        };
        host("elsewhere.example", &aliases("dkim.other.example"));
        host("own-key.example", &format!("own._domainkey TXT \"v=DKIM1; k=rsa; p={PUBLIC_KEY}\""));
        host("moved.example", "");
        for domain in many() {
            let zone = if domain == "d07.example" { "dkim.other.example" } else { "dkim.amazonses.com" };
            let records = aliases(zone);
            let count = if domain == "d13.example" { 2 } else { 3 };
            host(&domain, &records.lines().take(count).collect::<Vec<_>>().join("\n"));
        }
        Lab::start(world).expect("127.0.0.0/8 is this machine's")
    })
}

fn many() -> Vec<String> {
    (0..MANY).map(|number| format!("d{number:02}.example")).collect()
}

/// The records of Easy DKIM with the tokens of [`identity`].
fn aliases(zone: &str) -> String {
    ["aaa", "bbb", "ccc"].map(|token| format!("{token}._domainkey CNAME {token}.{zone}.\n")).concat()
}

/// What SES tells of a healthy domain with the tokens of [`aliases`], changed by these attributes of DKIM.
fn identity(domain: &str, change: &Value) -> Value {
    let mut dkim = json!({ "Tokens": ["aaa", "bbb", "ccc"] });
    for (key, value) in change.as_object().into_iter().flatten() {
        dkim[key] = value.clone();
    }
    json!({ "name": domain, "DkimAttributes": dkim })
}

/// Gives an account `example.com`, healthy, in its home region.
fn add_example(account: &str) {
    Peer::shared().add_identities(account, HOME, &json!([identity("example.com", &json!({}))]));
}

/// Gives an account the many domains, as SES tells of them.
fn add_many(account: &str) {
    let other = json!({ "SigningHostedZone": "dkim.other.example" });
    let usual = json!({});
    let change = |domain: &str| if domain == "d07.example" { &other } else { &usual };
    let identities: Vec<Value> = many().iter().map(|domain| identity(domain, change(domain))).collect();
    Peer::shared().add_identities(account, HOME, &json!(identities));
}

/// A fault of some of the calls, all for the same reason.
fn add_faults(account: &str, operations: &[&str], fault: &Value) {
    for operation in operations {
        let mut fault = fault.clone();
        fault["operation"] = json!(operation);
        Peer::shared().add_fault(account, fault);
    }
}

fn denial() -> Value {
    json!({ "status": 403, "code": "AccessDeniedException", "message": "no, not you" })
}

/// What came of one run.
#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
    took: Duration,
}

/// The binary, about to check with the keys of an account: no AWS but the peer, no DNS but the lab.
fn check(account: &str, arguments: &[&str]) -> Command {
    let lab = lab();
    let mut command = binary();
    command
        .env("AWS_ENDPOINT_URL", Peer::shared().url())
        .env("AWS_REGION", HOME)
        .env("AWS_ACCESS_KEY_ID", Peer::access_key(account))
        .env("AWS_SECRET_ACCESS_KEY", "secret")
        .args(["check", "--resolver", &lab.resolver().to_string()])
        .args(["--authoritative-port", &lab.port().to_string()])
        .args(arguments);
    command
}

fn run(command: &mut Command) -> Run {
    let begun = Instant::now();
    let output = command.output().expect("the binary starts");
    Run {
        code: output.status.code().expect("it ends by itself"),
        stdout: String::from_utf8(output.stdout).expect("UTF-8"),
        stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        took: begun.elapsed(),
    }
}

fn run_text(account: &str, arguments: &[&str]) -> Run {
    run(&mut check(account, arguments))
}

fn run_json(account: &str, arguments: &[&str]) -> Run {
    run(check(account, arguments).args(["--format", "json"]))
}

impl Run {
    /// The objects on standard output, one a line; standard error is empty.
    fn json(&self) -> Vec<Value> {
        assert_eq!(self.stderr, "", "{self:?}");
        let parse = |line: &str| serde_json::from_str(line).unwrap_or_else(|error| panic!("{error}: {line}"));
        let objects: Vec<Value> = self.stdout.lines().map(parse).collect();
        assert!(objects.iter().all(|object| object["schema"] == 1), "{self:?}");
        objects
    }

    /// The one report that is all of standard output.
    fn report(&self) -> Value {
        let mut objects = self.json();
        assert_eq!(objects.len(), 1, "{self:?}");
        objects.remove(0)
    }

    /// The code, the message and the hint of the error object that is all of standard output.
    fn error(&self) -> [String; 3] {
        let report = self.report();
        let keys: Vec<&String> = report.as_object().expect("an object").keys().collect();
        assert_eq!(keys, ["error", "schema"], "{self:?}");
        let error = report["error"].as_object().expect("an object");
        assert_eq!(error.len(), 3, "{self:?}");
        ["code", "message", "hint"].map(|key| error[key].as_str().expect("a text").to_owned())
    }
}

/// The details of a report's gaps, a line each, with their ports.
fn gaps(report: &Value) -> String {
    let mut lines = String::new();
    for gap in report["gaps"].as_array().expect("a list") {
        let text = |key: &str| gap[key].as_str().expect("a text");
        let _ = writeln!(lines, "{}: {}", text("port"), text("detail"));
    }
    lines
}

fn codes(report: &Value) -> Vec<&str> {
    let causes = report["causes"].as_array().expect("a list");
    causes.iter().map(|cause| cause["code"].as_str().expect("a text")).collect()
}

/// The operations of an account so far, sorted.
fn operations(account: &str) -> Vec<String> {
    let mut operations: Vec<_> =
        Peer::shared().calls(account).into_iter().map(|call| call.operation).collect();
    operations.sort();
    operations
}

#[test]
fn a_healthy_domain_is_told_with_all_that_ses_says_for_four_calls_that_read() {
    let account = "200000000001";
    let mut example = identity("example.com", &json!({}));
    example["VerificationInfo"] = json!({
        "LastCheckedTimestamp": 1_700_000_000.5,
        "LastSuccessTimestamp": 1_600_000_000,
        "ErrorType": "DNS_SERVER_ERROR",
        "SOARecord": { "PrimaryNameServer": "ns1.example.com", "SerialNumber": 2_026_112_401 },
    });
    Peer::shared().add_identities(account, HOME, &json!([example]));

    let json = run_json(account, &["example.com"]);

    assert_eq!(json.code, 0, "{json:?}");
    let report = json.report();
    assert_eq!(report["id"], format!("ses:{account}:us-east-1:example.com"));
    assert_eq!([&report["domain"], &report["verdict"], &report["depth"]], ["example.com", "healthy", "full"]);
    assert_eq!(report["exposure"], json!({ "bad": 0, "of": 2 }));
    assert_eq!([&report["causes"], &report["gaps"]], [&json!([]), &json!([])]);
    assert_eq!(report["deadline"], Value::Null);
    let expected = [
        ("name", json!("ses")),
        ("region", json!(HOME)),
        ("status", json!("success")),
        ("signing_enabled", json!(true)),
        ("last_checked", json!("2023-11-14T22:13:20Z")),
        ("last_success", json!("2020-09-13T12:26:40Z")),
        ("error", json!("DNS_SERVER_ERROR")),
        ("soa", json!({ "primary": "ns1.example.com", "serial": 2_026_112_401 })),
    ];
    for (key, value) in expected {
        assert_eq!(report["provider"][key], value, "{key}");
    }
    let records = report["records"].as_array().expect("a list");
    let expected: Vec<_> = records.iter().map(|record| record["expected"]["value"].clone()).collect();
    assert_eq!(expected, ["aaa", "bbb", "ccc"].map(|token| format!("{token}.dkim.amazonses.com")));
    assert_eq!(operations(account), READING);

    let text = run_text(account, &["example.com"]);
    assert_eq!((text.code, text.stderr.as_str()), (0, ""), "{text:?}");
    assert!(
        text.stdout.contains(&format!("ses:{account}:us-east-1:example.com: status success")),
        "{text:?}"
    );
    assert!(text.stdout.starts_with("HEALTHY  example.com\n"), "{}", text.stdout);
    assert_eq!(operations(account).len(), 2 * READING.len());
}

#[test]
fn each_thing_that_ses_may_say_has_its_verdict() {
    let other = json!({ "SigningHostedZone": "dkim.other.example" });
    let replica = json!({ "SigningHostedZone": "dkim.other.example",
                          "SigningAttributesOrigin": "AWS_SES_EU_WEST_1" });
    let own_key =
        json!({ "Tokens": ["own"], "SigningAttributesOrigin": "EXTERNAL", "SigningHostedZone": null });
    let table = [
        ("200000000010", "elsewhere.example", other, "healthy", "success", &[][..]),
        ("200000000011", "elsewhere.example", replica, "healthy", "success", &[]),
        ("200000000012", "elsewhere.example", json!({}), "failing", "success", &["wrong-target"]),
        ("200000000013", "own-key.example", own_key, "healthy", "success", &[]),
        (
            "200000000014",
            "example.com",
            json!({ "Status": "PENDING" }),
            "degraded",
            "pending",
            &["provider-behind"],
        ),
        (
            "200000000015",
            "example.com",
            json!({ "Status": "TEMPORARY_FAILURE" }),
            "degraded",
            "temporary-failure",
            &["provider-behind"],
        ),
        (
            "200000000016",
            "example.com",
            json!({ "Status": "FAILED" }),
            "failing",
            "failed",
            &["provider-gave-up"],
        ),
        (
            "200000000017",
            "example.com",
            json!({ "Status": "NOT_STARTED", "Tokens": null }),
            "failing",
            "not-started",
            &["not-started"],
        ),
        (
            "200000000018",
            "example.com",
            json!({ "Status": "SOMETHING_NEW" }),
            "unknown",
            "SOMETHING_NEW",
            &[],
        ),
        (
            "200000000019",
            "example.com",
            json!({ "SigningEnabled": false }),
            "failing",
            "success",
            &["signing-disabled"],
        ),
        // A region may have no zone of its own; an origin may be new.
        (
            "200000000020",
            "example.com",
            json!({ "SigningHostedZone": null, "SigningAttributesOrigin": "SOMEONE_NEW" }),
            "unknown",
            "success",
            &[],
        ),
        ("200000000021", "example.com", json!({ "SigningHostedZone": null }), "healthy", "success", &[]),
    ];
    for (account, domain, change, verdict, status, causes) in table {
        Peer::shared().add_identities(account, HOME, &json!([identity(domain, &change)]));
        let run = run_json(account, &[domain]);
        let report = run.report();
        let told = format!("{change}: {report}");
        assert_eq!([&report["verdict"], &report["provider"]["status"]], [verdict, status], "{told}");
        assert_eq!(codes(&report), causes, "{told}");
        let code = ["healthy", "degraded", "failing", "unknown"].iter().position(|known| *known == verdict);
        assert_eq!(usize::try_from(run.code).ok(), code, "{told}");
        let clock_runs = ["pending", "temporary-failure"].contains(&status);
        let basis = if clock_runs { json!("first-seen") } else { Value::Null };
        assert_eq!(report["deadline_basis"], basis, "{told}");
        assert_eq!(operations(account), READING, "{told}");
    }
}

#[test]
fn the_deadlines_of_a_temporary_failure_are_counted_from_the_last_success() {
    let account = "200000000030";
    let mut example = identity("d13.example", &json!({ "Status": "TEMPORARY_FAILURE" }));
    example["VerificationInfo"] = json!({
        "LastCheckedTimestamp": 1_700_000_000, "LastSuccessTimestamp": 1_600_000_000, "ErrorType": "HOST_NOT_FOUND",
    });
    Peer::shared().add_identities(account, HOME, &json!([example]));
    let run = run_json(account, &["d13.example"]);
    assert_eq!(run.code, 2, "{run:?}");
    let report = run.report();
    assert_eq!(codes(&report)[0], "record-missing", "{report}");
    assert_eq!(report["provider"]["error"], "HOST_NOT_FOUND");
    assert_eq!(
        [&report["deadline"], &report["deadline_promised"], &report["deadline_basis"]],
        ["2020-09-16T12:26:40Z", "2020-09-18T12:26:40Z", "last-success"]
    );
}

#[test]
fn a_denied_call_is_a_gap_that_names_the_action_and_the_rest_is_judged() {
    let table = [
        ("200000000040", &["GetEmailIdentity"][..], "healthy", 0, "ses:GetEmailIdentity"),
        ("200000000041", &["GetCallerIdentity"], "healthy", 0, "sts:GetCallerIdentity"),
        (
            "200000000042",
            &["GetEmailIdentity", "GetIdentityDkimAttributes"],
            "unknown",
            3,
            "ses:GetEmailIdentity",
        ),
    ];
    for (account, denied, verdict, code, action) in table {
        add_example(account);
        add_faults(account, denied, &denial());
        let run = run_json(account, &["example.com"]);
        let report = run.report();
        assert_eq!((&report["verdict"], run.code), (&json!(verdict), code), "{denied:?}: {report}");
        let gaps = gaps(&report);
        assert_eq!(gaps.lines().count(), 1, "{denied:?}: {gaps}");
        let port = if denied == ["GetCallerIdentity"] { "account" } else { "identity-source" };
        let is_of_port = gaps.starts_with(&format!("{port}: "));
        assert!(is_of_port && gaps.contains("no, not you"), "{denied:?}: {gaps}");
        assert!(gaps.contains(&format!("allow {action}")), "{denied:?}: {gaps}");

        let text = run_text(account, &["example.com"]);
        assert_eq!(text.code, code, "{text:?}");
        assert!(text.stdout.contains(action), "{}", text.stdout);
    }
}

#[test]
fn records_in_a_zone_that_nobody_can_tell_of_are_no_alarm() {
    let account = "200000000044";
    let other = json!({ "SigningHostedZone": "dkim.other.example" });
    Peer::shared().add_identities(account, HOME, &json!([identity("elsewhere.example", &other)]));
    add_faults(account, &["GetEmailIdentity"], &denial());
    let run = run_json(account, &["elsewhere.example"]);
    assert_eq!(run.code, 3, "{run:?}");
    let report = run.report();
    assert_eq!((&report["verdict"], codes(&report)), (&json!("unknown"), vec![]), "{report}");
    assert!(gaps(&report).contains("allow ses:GetEmailIdentity"), "{report}");
}

#[test]
fn a_denied_list_is_an_error_that_names_the_action() {
    let account = "200000000045";
    add_example(account);
    add_faults(account, &["ListEmailIdentities"], &denial());
    let json = run_json(account, &[]);
    assert_eq!(json.code, 3, "{json:?}");
    let [code, message, hint] = json.error();
    assert_eq!(code, "provider");
    assert!(message.contains("ses:ListEmailIdentities was denied"), "{message}");
    assert!(hint.contains("allow ses:ListEmailIdentities"), "{hint}");

    let text = run_text(account, &[]);
    assert_eq!((text.code, text.stdout.as_str()), (3, ""), "{text:?}");
    assert!(text.stderr.starts_with("error: SES us-east-1: ses:ListEmailIdentities was denied"), "{text:?}");
    assert!(text.stderr.contains("\nhint: allow ses:ListEmailIdentities"), "{text:?}");
}

#[test]
fn a_fault_of_one_identity_is_a_gap_of_that_one_and_the_rest_goes_on() {
    let faults = [
        json!({ "status": 429, "code": "TooManyRequestsException" }),
        json!({ "drop": "at once" }),
        json!({ "drop": "in the body" }),
        json!({ "body": "<html>Welcome to this hotel</html>" }),
        json!({ "body": "{\"DkimAttributes\": 7}", "type": "application/json" }),
        json!({ "status": 503, "code": "ServiceUnavailable" }),
        json!({ "status": 502, "body": "<html>Bad gateway</html>" }),
    ];
    let both = &["GetEmailIdentity", "GetIdentityDkimAttributes"];
    // Each with v1 standing in for v2, and without.
    let rows =
        faults.iter().flat_map(|fault| [(fault, &both[..1], "healthy", 0), (fault, &both[..], "unknown", 3)]);
    // Most of the time is spent in pauses between tries.
    thread::scope(|scope| {
        for (number, (fault, operations, verdict, code)) in rows.enumerate() {
            scope.spawn(move || {
                let account = format!("2000000001{number:02}");
                let identities = ["example.com", "d00.example"].map(|domain| identity(domain, &json!({})));
                Peer::shared().add_identities(&account, HOME, &json!(identities));
                let mut fault = fault.clone();
                fault["name"] = json!("example.com");
                add_faults(&account, operations, &fault);

                let run = run_json(&account, &["example.com", "d00.example"]);

                let [first, second] = &run.json()[..] else { panic!("{fault}: {run:?}") };
                assert_eq!(
                    [&first["domain"], &first["verdict"]],
                    ["example.com", verdict],
                    "{fault}: {first}"
                );
                assert!(gaps(first).contains("ses:GetEmailIdentity"), "{fault}: {}", gaps(first));
                assert_eq!([&second["domain"], &second["verdict"]], ["d00.example", "healthy"], "{fault}");
                assert_eq!(gaps(second), "", "{fault}");
                assert_eq!(run.code, code, "{fault}");
            });
        }
    });
}

#[test]
fn a_throttle_that_passes_leaves_no_trace() {
    let account = "200000000050";
    add_example(account);
    let fault = json!({ "status": 429, "code": "TooManyRequestsException", "times": 2 });
    add_faults(account, &["GetEmailIdentity"], &fault);
    let run = run_json(account, &["example.com"]);
    assert_eq!((run.code, gaps(&run.report()).as_str()), (0, ""), "{run:?}");
    assert_eq!(Peer::shared().count(account, "GetEmailIdentity"), 3);
}

/// Runs without the keys of any account.
fn without_keys(command: &mut Command) -> Run {
    run(command.env_remove("AWS_ACCESS_KEY_ID").env_remove("AWS_SECRET_ACCESS_KEY"))
}

#[test]
fn absent_credentials_are_one_error_that_says_what_to_set() {
    let many = many();
    let many: Vec<&str> = many.iter().map(String::as_str).collect();
    for arguments in [
        &["example.com"][..],
        &["example.com", "d00.example", "--region", HOME, "--region", "eu-west-1"],
        &[],
        &["--region", HOME, "--region", "eu-west-1"],
        &many,
    ] {
        let json = without_keys(check("200000000060", arguments).args(["--format", "json"]));
        assert_eq!(json.code, 3, "{arguments:?}: {json:?}");
        let [code, message, hint] = json.error();
        assert_eq!(code, "no-credentials", "{arguments:?}");
        assert!(message.contains("none in the environment"), "{arguments:?}: {message}");
        assert!(hint.contains("AWS_PROFILE") && hint.contains("AWS_ACCESS_KEY_ID"), "{arguments:?}: {hint}");

        let text = without_keys(&mut check("200000000060", arguments));
        assert_eq!((text.code, text.stdout.as_str()), (3, ""), "{arguments:?}: {text:?}");
        let lines: Vec<&str> = text.stderr.lines().collect();
        let [error, hint] = lines[..] else { panic!("{arguments:?}: {text:?}") };
        assert!(error.starts_with("error: ") && hint.starts_with("hint: "), "{arguments:?}: {text:?}");
    }
}

#[test]
fn a_metadata_service_that_is_silent_does_not_hold_up_the_error() {
    // It takes connections and says nothing.
    let silent = TcpListener::bind("127.0.0.1:0").expect("a port");
    let address = silent.local_addr().expect("its address");
    for region in [&["--region", HOME][..], &[]] {
        let mut command = check("200000000061", region);
        command
            .args(["example.com", "--format", "json"])
            .env_remove("AWS_EC2_METADATA_DISABLED")
            .env_remove("AWS_REGION")
            .env("AWS_EC2_METADATA_SERVICE_ENDPOINT", format!("http://{address}"));
        let run = without_keys(&mut command);
        assert_eq!(run.code, 3, "{run:?}");
        let code = if region.is_empty() { "no-region" } else { "no-credentials" };
        assert_eq!(run.error()[0], code, "{run:?}");
        assert!(run.took < Duration::from_secs(6), "{run:?}");
    }
}

#[test]
fn credentials_that_are_not_accepted_are_one_error() {
    let table = [
        ("200000000062", "ExpiredTokenException", &["example.com", "d00.example"][..]),
        ("200000000063", "ExpiredTokenException", &[]),
        ("200000000064", "InvalidClientTokenId", &["example.com"]),
        (
            "200000000065",
            "UnrecognizedClientException",
            &["example.com", "--region", HOME, "--region", "eu-west-1"],
        ),
        ("200000000066", "SignatureDoesNotMatch", &["--region", HOME, "--region", "eu-west-1"]),
    ];
    for (account, said, arguments) in table {
        let fault = json!({ "status": 403, "code": said, "message": "this key is not good" });
        add_faults(account, &[&TELLING[..], &["ListEmailIdentities"]].concat(), &fault);
        let run = run_json(account, arguments);
        assert_eq!(run.code, 3, "{said}: {run:?}");
        let [code, message, hint] = run.error();
        assert_eq!(code, "no-credentials", "{said}");
        assert!(message.contains(&format!("{said}: this key is not good")), "{message}");
        assert!(hint.contains("aws sts get-caller-identity"), "{said}: {hint}");
        assert!(run.took < Duration::from_secs(6), "{said}: {run:?}");
    }
}

#[test]
fn a_configuration_that_cannot_be_used_is_told_before_any_call() {
    let account = "200000000070";
    let table = [
        ("AWS_REGION", "", "no-region", "no AWS region is set", "--region"),
        ("AWS_REGION", "mars", "bad-region", "`mars`", "AWS_REGION"),
        ("AWS_ENDPOINT_URL", "", "bad-endpoint", "``", "AWS_ENDPOINT_URL"),
        ("AWS_ENDPOINT_URL", "localhost", "bad-endpoint", "`localhost`", "AWS_ENDPOINT_URL"),
    ];
    for (variable, value, code, message, hint) in table {
        let run = run(check(account, &["example.com", "--format", "json"]).env(variable, value));
        assert_eq!(run.code, 3, "{variable}={value}: {run:?}");
        let error = run.error();
        assert_eq!(error[0], code, "{variable}={value}");
        assert!(error[1].contains(message) && error[2].contains(hint), "{variable}={value}: {error:?}");
    }
    assert_eq!(operations(account), [""; 0]);
}

#[test]
fn a_domain_that_ses_does_not_know_is_unknown_with_a_gap() {
    let account = "200000000071";
    let run = run_json(account, &["example.com"]);
    assert_eq!(run.code, 3, "{run:?}");
    let report = run.report();
    assert_eq!(report["verdict"], "unknown");
    assert!(gaps(&report).starts_with("identity-source: "), "{report}");
    assert!(gaps(&report).contains("does not know example.com"), "{report}");
}

#[test]
fn an_account_without_identities_is_not_healthy() {
    let run = run_json("200000000072", &[]);
    assert_eq!(run.code, 3, "{run:?}");
    assert_eq!(run.error()[0], "no-identities");
}

#[test]
fn each_region_tells_its_own_and_one_that_denies_is_a_gap() {
    let (peer, account) = (Peer::shared(), "200000000080");
    for region in [HOME, "eu-west-1"] {
        peer.add_identities(account, region, &json!([identity("example.com", &json!({}))]));
    }
    for operation in ["GetEmailIdentity", "GetIdentityDkimAttributes", "ListEmailIdentities"] {
        let mut fault = denial();
        fault["operation"] = json!(operation);
        fault["region"] = json!("eu-central-1");
        peer.add_fault(account, fault);
    }
    let regions = ["--region", HOME, "--region", "eu-west-1", "--region", "eu-central-1"];

    let named = run_json(account, &[&["example.com"], &regions[..]].concat());
    assert_eq!(named.code, 0, "{named:?}");
    let reports = named.json();
    let ids: Vec<_> = reports.iter().map(|report| report["id"].clone()).collect();
    assert_eq!(ids, [HOME, "eu-west-1"].map(|region| format!("ses:{account}:{region}:example.com")));
    for report in &reports {
        assert_eq!(report["verdict"], "healthy", "{report}");
        assert!(gaps(report).contains("SES eu-central-1: ses:GetEmailIdentity was denied"), "{report}");
    }

    // Of a list the region is an error of its own, which may hide any identity.
    let listed = run_json(account, &regions);
    assert_eq!(listed.code, 3, "{listed:?}");
    let (errors, reports): (Vec<_>, Vec<_>) =
        listed.json().into_iter().partition(|object| object.get("error").is_some());
    assert_eq!((errors.len(), reports.len()), (1, 2), "{listed:?}");
    assert_eq!(errors[0]["error"]["code"], "provider");
    assert!(
        errors[0]["error"]["message"].as_str().expect("a text").contains("SES eu-central-1"),
        "{errors:?}"
    );
}

#[test]
fn roles_lead_into_the_accounts_that_are_looked_at() {
    let (peer, caller) = (Peer::shared(), "200000000090");
    let accounts = ["200000000091", "200000000092"];
    accounts.iter().for_each(|account| add_example(account));
    let roles = accounts.map(|account| format!("arn:aws:iam::{account}:role/dkimguard"));
    let arguments = ["example.com", "--role-arn", &roles[0], "--role-arn", &roles[1]];

    let run = run_json(caller, &arguments);

    assert_eq!(run.code, 0, "{run:?}");
    let ids: Vec<_> = run.json().iter().map(|report| report["id"].clone()).collect();
    assert_eq!(ids, accounts.map(|account| format!("ses:{account}:us-east-1:example.com")));
    assert_eq!(operations(caller), ["AssumeRole", "AssumeRole"]);
    for account in accounts {
        assert_eq!(Peer::shared().count(account, "GetEmailIdentity"), 1);
        assert_eq!(Peer::shared().count(account, "GetCallerIdentity"), 0);
    }

    // A role that can't be assumed is a gap in what the other one tells.
    let message = json!({ "status": 403, "code": "AccessDenied", "message": "not that role", "times": 1 });
    add_faults(caller, &["AssumeRole"], &message);
    let run = run_json(caller, &arguments);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(gaps(&run.report()).contains("allow sts:AssumeRole"), "{run:?}");
    assert_eq!(peer.count(caller, "AssumeRole"), 4);
}

#[test]
fn many_domains_are_looked_at_quickly_and_a_zone_that_is_not_usual_is_no_alarm() {
    let domains = many();
    let named: Vec<&str> = domains.iter().map(String::as_str).rev().collect();
    for (account, arguments, lists) in [("200000000095", &[][..], 1), ("200000000096", &named, 0)] {
        add_many(account);
        let run = run_json(account, arguments);

        assert_eq!(run.code, 2, "{run:?}");
        let reports = run.json();
        let order: Vec<_> = reports.iter().map(|report| report["domain"].as_str().expect("a text")).collect();
        if !arguments.is_empty() {
            assert_eq!(order, named, "in input order");
        }
        assert_eq!(reports.len(), MANY, "{run:?}");
        for report in &reports {
            let (verdict, depth, causes): (_, _, &[&str]) = match report["domain"].as_str() {
                Some("d07.example") => ("healthy", "full", &[]),
                Some("d13.example") => ("failing", "full", &["record-missing"]),
                _ => ("healthy", "quick", &[]),
            };
            assert_eq!([&report["verdict"], &report["depth"]], [verdict, depth], "{report}");
            assert_eq!(codes(report), causes, "{report}");
            assert_eq!(gaps(report), "", "{report}");
        }
        let peer = Peer::shared();
        assert_eq!(peer.count(account, "ListEmailIdentities"), lists);
        assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), 1);
        let calls = peer.calls(account).into_iter().filter(|call| call.operation == "GetEmailIdentity");
        let mut in_full = calls.flat_map(|call| call.names).collect::<Vec<_>>();
        in_full.sort();
        // The first one of them tells the usual zone.
        let first = order[0];
        let mut expected = [first, "d07.example", "d13.example"];
        expected.sort_unstable();
        assert_eq!(in_full, expected);
    }
}

/// The id of a zone, its servers, and whether it holds the records.
type HeldZone<'a> = (&'a str, &'a [&'a str], bool);

/// Zones of `moved.example` in Route 53: their ids, their servers, and whether they hold the records.
fn zones_of_moved(zones: &[HeldZone<'_>]) -> Value {
    let zones = zones.iter().map(|(id, servers, has_records)| {
        let records = ["aaa", "bbb", "ccc"].map(|token| {
            json!({ "name": format!("{token}._domainkey.moved.example"), "type": "CNAME",
                    "values": [format!("{token}.dkim.amazonses.com")] })
        });
        let records = if *has_records { json!(records) } else { json!([]) };
        json!({ "name": "moved.example", "id": id, "private": servers.is_empty(), "servers": servers,
                "records": records })
    });
    zones.collect()
}

const DELEGATED: &[&str] = &["ns1.moved.example", "ns2.moved.example"];
const OLD: &[&str] = &["ns-1.awsdns-00.com", "ns-2.awsdns-00.net"];

#[test]
fn the_incident_is_explained_with_its_author_in_six_calls() {
    let account = "200000000120";
    let moved = identity("moved.example", &json!({ "Status": "TEMPORARY_FAILURE" }));
    Peer::shared().add_identities(account, HOME, &json!([moved]));
    Peer::shared().add_zones(account, &zones_of_moved(&[("ZOLD", OLD, true)]));
    let event = json!({
        "eventSource": "route53domains.amazonaws.com", "eventName": "UpdateDomainNameservers", "eventID": "e-1",
        "userIdentity": { "arn": "arn:aws:iam::1:user/alice" }, "userAgent": "console.amazonaws.com",
        "requestParameters": { "domainName": "moved.example" },
    });
    Peer::shared().add_events(account, HOME, &json!([event]));

    let run = run_json(account, &["moved.example"]);

    let report = run.report();
    assert_eq!((run.code, codes(&report)), (2, vec!["wrong-nameservers"]), "{report}");
    let cause = &report["causes"][0];
    assert_eq!(cause["certainty"], "certain", "{cause}");
    let evidence = cause["evidence"].to_string();
    assert!(evidence.contains("ns-1.awsdns-00.com") && evidence.contains("ns1.moved.example"), "{evidence}");
    assert_eq!(cause["changed_by"]["actor"], "alice", "{cause}");
    assert_eq!(cause["changed_by"]["action"], "UpdateDomainNameservers", "{cause}");
    assert!(report["deadline"].is_string(), "{report}");
    let calls = operations(account);
    assert!(calls.len() <= 6, "{calls:?}");
}

#[test]
fn each_zone_that_route_53_holds_has_its_cause() {
    let table: [(&str, &[HeldZone<'_>], &str); 4] = [
        ("200000000121", &[("Z1", DELEGATED, false), ("Z2", OLD, true)], "several-zones"),
        ("200000000122", &[("Z1", DELEGATED, false), ("Z2", &[], true)], "private-zone"),
        ("200000000123", &[("Z1", DELEGATED, false)], "record-missing"),
        ("200000000124", &[], "record-missing"),
    ];
    for (account, zones, cause) in table {
        Peer::shared().add_identities(account, HOME, &json!([identity("moved.example", &json!({}))]));
        Peer::shared().add_zones(account, &zones_of_moved(zones));
        let run = run_json(account, &["moved.example"]);
        let report = run.report();
        assert_eq!((run.code, codes(&report)), (2, vec![cause]), "{report}");
    }
}

#[test]
fn who_deleted_the_records_is_told() {
    let account = "200000000125";
    Peer::shared().add_identities(account, HOME, &json!([identity("moved.example", &json!({}))]));
    Peer::shared().add_zones(account, &zones_of_moved(&[("Z1", DELEGATED, false)]));
    let change = json!({ "action": "DELETE", "resourceRecordSet": {
        "name": "aaa._domainkey.moved.example.", "type": "CNAME", "tTL": 300,
        "resourceRecords": [{ "value": "aaa.dkim.amazonses.com" }] } });
    let event = json!({
        "eventSource": "route53.amazonaws.com", "eventName": "ChangeResourceRecordSets", "eventID": "e-2",
        "userIdentity": { "arn": "arn:aws:sts::1:assumed-role/deploy/ci" },
        "userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.5",
        "requestParameters": { "hostedZoneId": "Z1", "changeBatch": { "changes": [change] } },
    });
    Peer::shared().add_events(account, HOME, &json!([event]));
    let report = run_json(account, &["moved.example"]).report();
    let by = &report["causes"][0]["changed_by"];
    assert_eq!([&by["event_id"], &by["tool"]], [&json!("e-2"), &json!("Terraform")], "{report}");
}

#[test]
fn a_zone_view_and_a_history_that_are_denied_are_gaps_and_all_else_stands() {
    let account = "200000000126";
    add_example(account);
    add_faults(account, &["ListHostedZonesByName", "LookupEvents"], &denial());
    let run = run_json(account, &["example.com"]);
    let report = run.report();
    assert_eq!((run.code, &report["verdict"]), (0, &json!("healthy")), "{report}");
    let gaps = gaps(&report);
    assert!(gaps.contains("zone-view: ") && gaps.contains("route53:ListHostedZonesByName"), "{gaps}");
    assert!(gaps.contains("change-history: ") && gaps.contains("cloudtrail:LookupEvents"), "{gaps}");
}

#[test]
fn an_identity_that_was_deleted_and_made_anew_is_told() {
    let account = "200000000127";
    add_example(account);
    let event = json!({
        "eventSource": "ses.amazonaws.com", "eventName": "DeleteEmailIdentity", "eventID": "e-3",
        "userIdentity": { "arn": "arn:aws:iam::1:user/bob" }, "userAgent": "aws-cli/2.30.1",
        "requestParameters": { "emailIdentity": "example.com" },
    });
    Peer::shared().add_events(account, HOME, &json!([event]));
    let run = run_json(account, &["example.com"]);
    let report = run.report();
    assert_eq!((run.code, codes(&report)), (1, vec!["identity-recreated"]), "{report}");
    assert_eq!(report["causes"][0]["changed_by"]["actor"], "bob", "{report}");
}
