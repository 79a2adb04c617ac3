//! `check --nameserver` and `check --zone-file`: the built binary, before a move, not after it.

mod binary;

use std::fs;
use std::net::{IpAddr, Ipv4Addr};

use binary::binary;
use dkimguard_core::testing::{Fault, Lab, World, Zone};
use serde_json::Value;
use tempfile::TempDir;

const NEW1: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 21));
const NEW2: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 22));
const RECORDS: &str = "\
aaa._domainkey CNAME aaa.dkim.amazonses.com.
bbb._domainkey CNAME bbb.dkim.amazonses.com.
ccc._domainkey CNAME ccc.dkim.amazonses.com.
";
const TOP: &str =
    "$TTL 1h\n@ IN SOA new1.host.net. hostmaster (\n  7 2h 15m 2w 5m ) ; a serial\n  IN NS new1.host.net.\n";

/// A directory with a file of identities.
struct Bench {
    directory: TempDir,
    source: String,
}

#[derive(Debug)]
struct Run {
    code: i32,
    stdout: String,
    stderr: String,
}

impl Bench {
    fn with_domains(domains: &[&str]) -> Self {
        let directory = TempDir::new().expect("a temporary directory");
        let path = directory.path().join("identities.jsonl");
        let line =
            |domain: &&str| format!("{{\"domain\":\"{domain}\",\"tokens\":[\"aaa\",\"bbb\",\"ccc\"]}}\n");
        fs::write(&path, domains.iter().map(line).collect::<String>()).expect("writing the file");
        Self { source: format!("file:{}", path.display()), directory }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.directory.path().join(name);
        fs::write(&path, text).expect("writing the file");
        path.to_str().expect("UTF-8").to_owned()
    }

    /// Runs a check without a resolver that answers, unless the arguments name one.
    fn check(&self, arguments: &[&str]) -> Run {
        let resolver: &[&str] =
            if arguments.contains(&"--resolver") { &[] } else { &["--resolver", "127.0.83.99:9"] };
        let output = binary()
            .args(["check", "--source", &self.source, "--timeout", "500ms", "--attempts", "1"])
            .args(resolver)
            .args(arguments)
            .output()
            .expect("the binary starts");
        Run {
            code: output.status.code().expect("it ends by itself"),
            stdout: String::from_utf8(output.stdout).expect("UTF-8"),
            stderr: String::from_utf8(output.stderr).expect("UTF-8"),
        }
    }
}

impl Run {
    fn json(&self) -> Value {
        serde_json::from_str(self.stdout.trim_end()).unwrap_or_else(|error| panic!("{error}: {self:?}"))
    }

    fn codes(&self) -> Vec<String> {
        let json = self.json();
        let causes = json["causes"].as_array().unwrap_or_else(|| panic!("{self:?}"));
        causes.iter().map(|cause| cause["code"].as_str().expect("a code").to_owned()).collect()
    }
}

/// A healthy domain, and two servers that it may be moved to, the second without a record.
fn lab() -> Lab {
    let mut world = World::easy_dkim("example.com");
    let hosts = Zone::new("host.net").with("new1 A 127.0.83.21\nnew2 A 127.0.83.22");
    world.host(hosts, [("ns.host.net", World::TARGETS)]);
    for server in [NEW1, NEW2] {
        world.serve(server, Zone::new("example.com").with(RECORDS));
    }
    world.server(NEW2).remove("bbb._domainkey.example.com");
    Lab::start(world).expect("loopback addresses")
}

#[test]
fn a_move_is_judged_at_the_servers_that_are_named() {
    let lab = lab();
    let bench = Bench::with_domains(&["example.com"]);
    let (resolver, port) = (lab.resolver().to_string(), lab.port().to_string());
    let new2 = format!("127.0.83.22:{port}");
    let table: &[(&[&str], i32, &str, &[&str])] = &[
        (&["new1.host.net"], 0, "all 3 DKIM records hold at the one name server address", &[]),
        (&["127.0.83.21"], 0, "all 3 DKIM records hold at the one name server address", &[]),
        (
            &["new1.host.net", &new2],
            1,
            "1 of 3 DKIM records would be lost by the move at 1 of 2 name server addresses: \
             bbb._domainkey.example.com",
            &["servers-disagree"],
        ),
        (
            &["new2.host.net"],
            2,
            "1 of 3 DKIM records would be lost by the move: bbb._domainkey.example.com",
            &["record-missing"],
        ),
        (
            &["gone.host.net"],
            2,
            "all 3 DKIM records would be lost by the move: 1 of 1 name server addresses does not serve the zone",
            &["server-lame"],
        ),
    ];
    for (servers, code, summary, causes) in table {
        let mut arguments = vec!["--resolver", &resolver, "--authoritative-port", &port, "--format", "json"];
        arguments.extend(servers.iter().flat_map(|server| ["--nameserver", server]));
        let run = bench.check(&arguments);
        assert_eq!(
            (run.code, run.codes(), run.json()["summary"].as_str()),
            (*code, causes.iter().map(ToString::to_string).collect(), Some(*summary)),
            "{servers:?}: {run:?}"
        );
        assert_eq!(run.json()["premise"], "servers");
        assert_eq!(run.json()["depth"], "full");
    }
    // What the world sees today is another question.
    let today = bench.check(&["--resolver", &resolver, "--authoritative-port", &port, "--format", "json"]);
    assert_eq!((today.code, &today.json()["premise"]), (0, &Value::Null), "{today:?}");
}

#[test]
fn a_server_that_is_down_is_told_from_a_machine_that_is_offline() {
    let lab = lab();
    lab.change(|world| {
        world.server(NEW1).fault(Fault::Silent);
    })
    .expect("the lab follows");
    let bench = Bench::with_domains(&["example.com"]);
    let (resolver, port) = (lab.resolver().to_string(), lab.port().to_string());
    let server = ["--nameserver", "127.0.83.21", "--authoritative-port", &port, "--format", "json"];
    let down = bench.check(&[&server[..], &["--resolver", &resolver]].concat());
    assert_eq!((down.code, down.codes()), (2, vec!["server-unreachable".to_owned()]), "{down:?}");
    let offline = bench.check(&server);
    assert_eq!((offline.code, offline.codes()), (3, vec!["offline".to_owned()]), "{offline:?}");
}

#[test]
fn a_zone_file_guards_a_change_without_a_network() {
    let bench = Bench::with_domains(&["example.com"]);
    let origin = "$ORIGIN example.com.\n";
    let good = bench.file("good.zone", &format!("{origin}{TOP}{RECORDS}"));
    let bad = RECORDS.replace("ccc.dkim.amazonses.com.", "ccc.dkim.amazonses.com");
    let bad = bench.file("bad.zone", &format!("{origin}{TOP}{bad}"));
    let missing = bench.file("missing.zone", &format!("{origin}{TOP}"));
    let relative = bench.file("relative.zone", &format!("{TOP}{RECORDS}"));
    for (file, code, causes) in [
        (&good, 0, &[][..]),
        (&bad, 2, &["value-doubled"]),
        (&missing, 2, &["record-missing"]),
        (&relative, 0, &[]),
    ] {
        let run = bench.check(&["--zone-file", file, "--format", "json", "example.com"]);
        assert_eq!(
            (run.code, run.codes()),
            (code, causes.iter().map(ToString::to_string).collect()),
            "{run:?}"
        );
        assert_eq!(run.json()["premise"], "zone");
        let text = bench.check(&["--zone-file", file, "example.com"]);
        assert_eq!(text.code, code);
        assert!(text.stdout.contains("example.com") && text.stdout.contains(file), "{text:?}");
        assert!(!text.stdout.contains("0.0.0.0"), "{text:?}");
    }
    let run = bench.check(&["--zone-file", &relative, "--format", "json", "example.com"]);
    assert!(run.json()["gaps"].to_string().contains("names no $ORIGIN"), "{run:?}");
}

#[test]
fn a_wrong_zone_file_ends_with_3_and_its_place() {
    let bench = Bench::with_domains(&["example.com", "example.org"]);
    let origin = "$ORIGIN example.com.\n";
    let syntax = bench.file("syntax.zone", &format!("{origin}{TOP}x A 192.0.2.300\n"));
    let include = bench.file("include.zone", &format!("{origin}$INCLUDE other.zone\n"));
    let good = bench.file("good.zone", &format!("{origin}{TOP}{RECORDS}"));
    let relative = bench.file("relative.zone", &format!("{TOP}{RECORDS}"));
    for (arguments, message) in [
        (&["--zone-file", &syntax][..], "syntax.zone:6:5: expected IPv4 address: '192.0.2.300'"),
        (&["--zone-file", &include], "include.zone:2:1: $INCLUDE is not followed; give the zone as one file"),
        (&["--zone-file", "/nonexistent/zone"], "/nonexistent/zone: the file cannot be read: "),
        (
            &["--zone-file", &relative],
            "relative.zone: the file names neither an $ORIGIN nor a zone by its SOA",
        ),
        (
            &["--zone-file", &good, "example.com", "example.org"],
            "good.zone holds the zone example.com, in which example.org does not lie",
        ),
    ] {
        let run = bench.check(&[arguments, &["--format", "json"]].concat());
        assert_eq!(run.code, 3, "{run:?}");
        let error = &run.json()["error"];
        assert_eq!(error["code"], "zone-file", "{run:?}");
        assert!(error["message"].as_str().is_some_and(|told| told.contains(message)), "{message}: {run:?}");
        assert!(error["hint"].is_string(), "{run:?}");
    }
}

#[test]
fn of_a_source_the_domains_of_the_zone_are_judged_and_the_others_left_out() {
    let bench = Bench::with_domains(&["example.com", "example.org", "mail.example.com"]);
    let text =
        format!("$ORIGIN example.com.\n{TOP}{RECORDS}{}", RECORDS.replace("_domainkey", "_domainkey.mail"));
    let zone = bench.file("example.com.zone", &text);
    let run = bench.check(&["--zone-file", &zone]);
    assert_eq!(run.code, 0, "{run:?}");
    assert!(run.stdout.ends_with("\n2 looked at: 2 healthy\n"), "{run:?}");
    assert!(
        run.stderr.contains("1 identities were left out: they do not lie in the zone example.com"),
        "{run:?}"
    );
    let stranger = Bench::with_domains(&["example.org"]).check(&["--zone-file", &zone, "--format", "json"]);
    assert_eq!(
        (stranger.code, &stranger.json()["error"]["code"]),
        (3, &"no-identities".into()),
        "{stranger:?}"
    );
}

#[test]
fn options_that_exclude_each_other_are_refused() {
    let bench = Bench::with_domains(&["example.com"]);
    let config = bench.file("c.toml", "[look]\nnameservers = [\"ns.example\"]\nzone_file = \"x.zone\"\n");
    for (arguments, code, message) in [
        (&["--nameserver", "ns.example", "--zone-file", "x.zone"][..], "usage", "--nameserver"),
        (&["--nameserver", "ns.example", "--no-authoritative"], "usage", "--no-authoritative"),
        (&["--zone-file", "x.zone", "--no-authoritative"], "usage", "--no-authoritative"),
        (
            &["--nameserver", "192.0.2.256"],
            "bad-nameserver",
            "--nameserver: '192.0.2.256' is not a name server",
        ),
        (&["--config", &config], "config-file", "has both nameservers and zone_file"),
    ] {
        let run = bench.check(&[arguments, &["--format", "json"]].concat());
        assert_eq!((run.code, &run.json()["error"]["code"]), (3, &code.into()), "{run:?}");
        assert!(
            run.json()["error"]["message"].as_str().is_some_and(|told| told.contains(message)),
            "{run:?}"
        );
    }
}

#[test]
fn a_premise_may_stand_in_the_configuration_file_whose_directory_its_path_starts_at() {
    let bench = Bench::with_domains(&["example.com"]);
    bench.file("example.com.zone", &format!("$ORIGIN example.com.\n{TOP}{RECORDS}"));
    let config = bench.file("c.toml", "[look]\nzone_file = \"example.com.zone\"\n");
    let run = bench.check(&["--config", &config, "--format", "json"]);
    assert_eq!((run.code, &run.json()["premise"]), (0, &"zone".into()), "{run:?}");
}

#[test]
fn the_options_are_those_of_check_alone() {
    for command in ["notice", "demo", "explain"] {
        let output = binary().args([command, "--zone-file", "x.zone"]).output().expect("the binary starts");
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(3), "{command}: {said}");
        assert!(said.contains("unexpected argument '--zone-file'"), "{command}: {said}");
    }
}
