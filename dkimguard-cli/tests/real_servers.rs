//! Real name servers: what the tree's zones answer, and what the binary makes of them.

mod tree;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tree::{Server, Signing, Software, Tree, ZoneSpec};

type TestResult = Result<(), Box<dyn Error>>;

/// The records of Easy DKIM with three tokens, of which the first one's target holds the key.
const HEALTHY: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
gone1._domainkey CNAME gone1.dkim.amazonses.com.
gone2._domainkey CNAME gone2.dkim.amazonses.com.
";
const IDLE_NODATA: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
nodata1._domainkey CNAME nodata1.dkim.amazonses.com.
nodata2._domainkey CNAME nodata2.dkim.amazonses.com.
";
const IDLE_EMPTY: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
empty1._domainkey CNAME empty1.dkim.amazonses.com.
empty2._domainkey CNAME empty2.dkim.amazonses.com.
";
const ONE_MISSING: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
gone1._domainkey CNAME gone1.dkim.amazonses.com.
";

/// The provider's zone: one target with a key, and each form in which a target is idle.
fn provider() -> ZoneSpec {
    let records = format!(
        "active TXT {BARE_KEY}\nempty1 TXT \"\"\nempty2 TXT \"\"\nbelow.nodata1 TXT x\nnodata2 A 192.0.2.1\n"
    );
    ZoneSpec::new("dkim.amazonses.com").records(&records)
}

const BARE_KEY: &str = r#""p=" "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAkJ0XplBATI8YElgeVLJ9a3oxN87WLfuTb2vaYEC8YEbD+VM2MsTf2WYnPwbBVLDCLSvnm0OynNVBeuxoWdD8IwkPwYemLxV/CKHNsgk+DJIfUvdVoxDTcC8yU2G8HvWHZtQMTM/o/KUMHPStySJDhMNpFVo5" "X4UGT1qlJHeB04r1lMNwD5hB/DTpLdxbbPRV1Vv9nTuMxeai56tyLcX77gxIBbyhJqCNZeiwYEohZMmL0Efo1MUIL9G9+Ecl3d7OCFL5rSxZpoCB6zhCV4rGJvIDB3/V9qmlIZ2oezqLde+ySHZV1Lwvg5tb++t4F/toNNDBX/GxB9/bbr7w95dwGwIDAQAB""#;
const SHORT_KEY: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALTVbTr4nXM44FTLcCvvptuZAKweWWP5NlWYFezAXGX8LiyvsanTYuP2mniA6RyvvBNlVrC4SL4uUFHa33dVWvECAwEAAQ==";
const ED25519_KEY: &str = "/CQSQgL4jNR5FCDdWKCXQhzaRRUyXwg4o80MXOXSWFE=";

/// The zones of the tests. Each has its servers under `ns1` and `ns2`: the first is sound, the second differs.
fn zones() -> Vec<ZoneSpec> {
    use Software::{Knot, Nsd};

    let both = |name: &str| ZoneSpec::new(name).servers([Nsd, Knot]);
    let with_second =
        |name: &str, second: Server| ZoneSpec::new(name).records(HEALTHY).servers([Nsd.into(), second]);
    vec![
        provider(),
        both("healthy.dktest").records(HEALTHY),
        both("idle-nodata.dktest").records(IDLE_NODATA),
        both("idle-empty.dktest").records(IDLE_EMPTY),
        both("signed.dktest").records(HEALTHY).signing(Signing::Valid),
        both("own-key.dktest").records(&format!("s1._domainkey TXT \"v=DKIM1; k=ed25519; p={ED25519_KEY}\"")),
        both("missing.dktest").records(ONE_MISSING),
        both("doubled.dktest").records(&format!(
            "{ONE_MISSING}gone2._domainkey.doubled.dktest CNAME gone2.dkim.amazonses.com."
        )),
        with_second("split.dktest", Server::from(Knot).with_older_records(ONE_MISSING)),
        with_second("refused.dktest", Server::without_zone(Knot)),
        with_second("servfail.dktest", Server::without_file(Knot)),
        with_second("down.dktest", Server::closed()),
        with_second("silent.dktest", Server::silent()),
        both("revoked.dktest").records("s1._domainkey TXT \"v=DKIM1; k=rsa; p=\""),
        both("weak.dktest").records(&format!("s1._domainkey TXT \"v=DKIM1; k=rsa; p={SHORT_KEY}\"")),
        both("expired.dktest").records(HEALTHY).signing(Signing::Expired),
        both("stale-ds.dktest").records(HEALTHY).signing(Signing::StaleDs),
    ]
}

#[test]
fn each_zone_answers_as_it_is_meant_to() -> TestResult {
    let tree = Tree::builder().zones(zones()).start()?;
    let ask = |zone: &str, slot: usize, name: &str, kind: &str| {
        dig(tree.server_address(zone, slot), &["+norecurse", name, kind])
    };

    // Every zone of which no server differs gives the same everywhere, with authority.
    for zone in
        ["healthy", "idle-nodata", "idle-empty", "signed", "doubled", "missing", "expired", "stale-ds"]
    {
        let zone = format!("{zone}.dktest");
        for slot in [0, 1] {
            let answer = ask(&zone, slot, &format!("active._domainkey.{zone}"), "CNAME")?;
            assert_eq!(answer.status, "NOERROR", "{zone} {slot}");
            assert!(answer.has_flag("aa"), "{zone} {slot}");
            assert_eq!(answer.values, ["active.dkim.amazonses.com."], "{zone} {slot}");
        }
    }

    // (zone, name, type, status at ns1, at ns2)
    let servers = [
        ("missing.dktest", "gone2._domainkey.missing.dktest", "CNAME", "NXDOMAIN", "NXDOMAIN"),
        ("doubled.dktest", "gone2._domainkey.doubled.dktest", "CNAME", "NXDOMAIN", "NXDOMAIN"),
        ("doubled.dktest", "gone2._domainkey.doubled.dktest.doubled.dktest", "CNAME", "NOERROR", "NOERROR"),
        ("split.dktest", "gone2._domainkey.split.dktest", "CNAME", "NOERROR", "NXDOMAIN"),
        ("refused.dktest", "gone2._domainkey.refused.dktest", "CNAME", "NOERROR", "REFUSED"),
        ("servfail.dktest", "gone2._domainkey.servfail.dktest", "CNAME", "NOERROR", "SERVFAIL"),
        ("down.dktest", "gone2._domainkey.down.dktest", "CNAME", "NOERROR", "connection refused"),
        ("silent.dktest", "gone2._domainkey.silent.dktest", "CNAME", "NOERROR", "timed out"),
    ];
    for (zone, name, kind, first, second) in servers {
        assert_eq!(ask(zone, 0, name, kind)?.status, first, "{name} at ns1");
        assert_eq!(ask(zone, 1, name, kind)?.status, second, "{name} at ns2");
    }

    let resolver = tree.resolver();
    // (name, type, status through the resolver, values, whether validated)
    let resolved: [(&str, &str, &str, &[&str], bool); 13] = [
        ("healthy.dktest", "NS", "NOERROR", &["ns1.healthy.dktest.", "ns2.healthy.dktest."], false),
        ("gone1._domainkey.healthy.dktest", "TXT", "NXDOMAIN", &["gone1.dkim.amazonses.com."], false),
        ("nodata1._domainkey.idle-nodata.dktest", "TXT", "NOERROR", &["nodata1.dkim.amazonses.com."], false),
        ("nodata2._domainkey.idle-nodata.dktest", "TXT", "NOERROR", &["nodata2.dkim.amazonses.com."], false),
        (
            "empty1._domainkey.idle-empty.dktest",
            "TXT",
            "NOERROR",
            &["empty1.dkim.amazonses.com.", "\"\""],
            false,
        ),
        ("active._domainkey.signed.dktest", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], true),
        ("nothing.signed.dktest", "CNAME", "NXDOMAIN", &[], true),
        ("dktest", "SOA", "NOERROR", &["ns1.dktest. hostmaster.dktest. 1 3600 600 86400 60"], true),
        ("gone2._domainkey.missing.dktest", "CNAME", "NXDOMAIN", &[], false),
        ("s1._domainkey.revoked.dktest", "TXT", "NOERROR", &["\"v=DKIM1; k=rsa; p=\""], false),
        ("active._domainkey.expired.dktest", "CNAME", "SERVFAIL", &[], false),
        ("active._domainkey.stale-ds.dktest", "CNAME", "SERVFAIL", &[], false),
        ("active._domainkey.refused.dktest", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], false),
    ];
    for (name, kind, status, values, validated) in resolved {
        let answer = dig(resolver, &[name, kind])?;
        assert_eq!(answer.status, status, "{name} {kind}: {}", tree.logs());
        assert_eq!(answer.values, values, "{name} {kind}");
        assert_eq!(answer.has_flag("ad"), validated, "{name} {kind}");
    }

    // What fails validation is there for those who don't check.
    for zone in ["expired", "stale-ds"] {
        let answer = dig(resolver, &["+cdflag", &format!("active._domainkey.{zone}.dktest"), "CNAME"])?;
        assert_eq!(answer.values, ["active.dkim.amazonses.com."], "{zone}");
    }
    let key = dig(resolver, &["active._domainkey.healthy.dktest", "TXT"])?;
    assert!(key.values.last().is_some_and(|value| value.starts_with("\"p=\" \"MIIB")), "{:?}", key.values);
    Ok(())
}

#[test]
fn every_software_serves_a_zone() -> TestResult {
    use Software::{Bind, Knot, Nsd, PowerDns};

    let zone = ZoneSpec::new("four.dktest")
        .records(HEALTHY)
        .servers([Nsd, Knot, Bind, PowerDns])
        .signing(Signing::Valid);
    let unlisted = ZoneSpec::new("unlisted.dktest")
        .records(HEALTHY)
        .servers([Bind.into(), Server::without_zone(PowerDns)]);
    let tree = Tree::builder().zone(zone).zone(unlisted).start()?;
    for slot in 0..4 {
        let server = tree.server_address("four.dktest", slot);
        let answer = dig(server, &["+norecurse", "active._domainkey.four.dktest", "CNAME"])?;
        assert_eq!(answer.values, ["active.dkim.amazonses.com."], "{server}");
        assert!(answer.has_flag("aa"), "{server}");
    }
    let answer = dig(tree.resolver(), &["active._domainkey.four.dktest", "CNAME"])?;
    assert!(answer.has_flag("ad"), "{answer:?}");
    let refused = dig(tree.server_address("unlisted.dktest", 1), &["+norecurse", "unlisted.dktest", "SOA"])?;
    assert_eq!(refused.status, "REFUSED");
    Ok(())
}

/// One zone, and what the binary must say about it.
struct Case {
    zone: &'static str,
    /// The keys of the identity beside its domain, in TOML.
    identity: &'static str,
    verdict: &'static str,
    exit: i32,
    /// The code of the first cause; none where nothing is wrong.
    cause: Option<&'static str>,
    /// The records of the first cause, without the zone; not compared where empty.
    records: &'static [&'static str],
    /// What the evidence of the first cause must hold.
    evidence: &'static [&'static str],
    /// Bad addresses of all; none where it isn't compared.
    exposure: Option<(u64, u64)>,
}

impl Case {
    const HEALTHY: Self = Self {
        zone: "",
        identity: EASY_DKIM,
        verdict: "healthy",
        exit: 0,
        cause: None,
        records: &[],
        evidence: &[],
        exposure: Some((0, 2)),
    };
    const DEGRADED: Self = Self { verdict: "degraded", exit: 1, exposure: Some((1, 2)), ..Self::HEALTHY };
    const FAILING: Self = Self { verdict: "failing", exit: 2, exposure: Some((2, 2)), ..Self::HEALTHY };
}

const EASY_DKIM: &str = r#"tokens = ["active", "gone1", "gone2"]"#;
const ANY_KEY: &str = r#"selectors = [{ label = "s1" }]"#;
const GONE2: &[&str] = &["gone2._domainkey"];
const EASY_DKIM_NAMES: &[&str] = &["active._domainkey", "gone1._domainkey", "gone2._domainkey"];

const CASES: &[Case] = &[
    Case { zone: "healthy.dktest", ..Case::HEALTHY },
    Case {
        zone: "idle-nodata.dktest",
        identity: r#"tokens = ["active", "nodata1", "nodata2"]"#,
        ..Case::HEALTHY
    },
    Case {
        zone: "idle-empty.dktest",
        identity: r#"tokens = ["active", "empty1", "empty2"]"#,
        ..Case::HEALTHY
    },
    Case { zone: "signed.dktest", ..Case::HEALTHY },
    Case { zone: "own-key.dktest", identity: ANY_KEY, ..Case::HEALTHY },
    Case {
        zone: "missing.dktest",
        cause: Some("record-missing"),
        records: GONE2,
        evidence: &["ns1.missing.dktest", "ns2.missing.dktest", "NXDOMAIN"],
        ..Case::FAILING
    },
    Case {
        zone: "doubled.dktest",
        cause: Some("name-doubled"),
        records: GONE2,
        evidence: &["gone2._domainkey.doubled.dktest.doubled.dktest"],
        ..Case::FAILING
    },
    Case {
        zone: "split.dktest",
        cause: Some("servers-disagree"),
        records: GONE2,
        evidence: &["ns2.split.dktest", "NXDOMAIN", "2026112401"],
        ..Case::DEGRADED
    },
    Case {
        zone: "refused.dktest",
        cause: Some("server-lame"),
        records: EASY_DKIM_NAMES,
        evidence: &["ns2.refused.dktest", "REFUSED"],
        ..Case::DEGRADED
    },
    Case {
        zone: "servfail.dktest",
        cause: Some("server-failing"),
        records: EASY_DKIM_NAMES,
        evidence: &["ns2.servfail.dktest", "SERVFAIL"],
        ..Case::DEGRADED
    },
    Case {
        zone: "down.dktest",
        cause: Some("server-unreachable"),
        records: EASY_DKIM_NAMES,
        evidence: &["ns2.down.dktest", "connection refused"],
        ..Case::DEGRADED
    },
    Case {
        zone: "silent.dktest",
        cause: Some("server-unreachable"),
        records: EASY_DKIM_NAMES,
        evidence: &["ns2.silent.dktest", "no answer"],
        ..Case::DEGRADED
    },
    Case {
        zone: "revoked.dktest",
        identity: ANY_KEY,
        cause: Some("key-revoked"),
        records: &["s1._domainkey"],
        ..Case::FAILING
    },
    Case {
        zone: "weak.dktest",
        identity: ANY_KEY,
        cause: Some("key-weak"),
        records: &["s1._domainkey"],
        evidence: &["512"],
        ..Case::FAILING
    },
    // The servers hold every record; only validation fails.
    Case {
        zone: "expired.dktest",
        cause: Some("dnssec-bogus"),
        evidence: &["SERVFAIL"],
        exposure: None,
        ..Case::FAILING
    },
    Case {
        zone: "stale-ds.dktest",
        cause: Some("dnssec-bogus"),
        evidence: &["SERVFAIL"],
        exposure: None,
        ..Case::FAILING
    },
];

#[test]
fn the_binary_says_what_is_wrong_with_each_zone() -> TestResult {
    let tree = Tree::builder().zones(zones()).start()?;
    let file = tree.directory().join("identities.toml");
    let identities: String = CASES
        .iter()
        .map(|case| format!("[[identity]]\ndomain = \"{}\"\n{}\n", case.zone, case.identity))
        .collect();
    fs::write(&file, identities)?;
    let mut wrong = Vec::new();
    for case in CASES {
        let (report, exit) = check(&file, tree.resolver(), case.zone, &[])?;
        for difference in differences(case, &report, exit) {
            wrong.push(format!("{}: {difference}\n", case.zone));
        }
    }
    assert!(wrong.is_empty(), "\n{}", wrong.concat());
    Ok(())
}

/// Takes one full look with the binary: its report, and its exit code. What isn't JSON is given as a string.
/// The name servers of one zone that differ, each judged as though the domain were moved to it alone.
#[test]
fn a_move_is_judged_at_the_servers_that_are_named() -> TestResult {
    let tree = Tree::builder().zones(zones()).start()?;
    let file = tree.directory().join("identities.toml");
    let tokens = r#"tokens = ["active", "gone1", "gone2"]"#;
    let names = ["split", "refused", "down", "expired"];
    let identities = names.map(|name| format!("[[identity]]\ndomain = \"{name}.dktest\"\n{tokens}\n"));
    fs::write(&file, identities.concat())?;
    let second = |zone: &str| tree.server_address(zone, 1).to_string();
    for (zone, server, exit, cause) in [
        ("split.dktest", "ns1.split.dktest".to_owned(), 0, None),
        ("split.dktest", second("split.dktest"), 2, Some("record-missing")),
        ("split.dktest", "ns9.split.dktest".to_owned(), 2, Some("server-lame")),
        ("refused.dktest", second("refused.dktest"), 2, Some("server-lame")),
        ("down.dktest", second("down.dktest"), 2, Some("server-unreachable")),
        // Whether the parent's DS fits is no question before the move.
        ("expired.dktest", second("expired.dktest"), 0, None),
    ] {
        let (report, code) = check(&file, tree.resolver(), zone, &["--nameserver", &server])?;
        let found = report["causes"][0]["code"].as_str();
        assert_eq!((code, found), (Some(exit), cause), "{zone} at {server}: {report:#}");
    }
    Ok(())
}

fn check(
    identities: &Path,
    resolver: SocketAddr,
    domain: &str,
    more: &[&str],
) -> Result<(Value, Option<i32>), Box<dyn Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_dkimguard"))
        .arg("check")
        .arg("--source")
        .arg(format!("file:{}", identities.display()))
        .args(["--resolver", &resolver.to_string()])
        .args(["--timeout", "500ms", "--depth", "full", "--format", "json", domain])
        .args(more)
        .output()?;
    let report = serde_json::from_slice(&output.stdout).unwrap_or_else(|error| {
        let said = String::from_utf8_lossy(&output.stderr);
        Value::String(format!("no JSON ({error}), and on standard error: {said}"))
    });
    Ok((report, output.status.code()))
}

/// In what a report differs from what it must say.
fn differences(case: &Case, report: &Value, exit: Option<i32>) -> Vec<String> {
    let mut wrong = Vec::new();
    let mut compare = |what: &str, is: Value, should: Value| {
        if is != should {
            wrong.push(format!("{what} is {is}, should be {should}"));
        }
    };
    if let Value::String(text) = report {
        compare("the report", text.as_str().into(), "an object".into());
        return wrong;
    }
    compare("exit code", exit.into(), case.exit.into());
    compare("domain", report["domain"].clone(), case.zone.into());
    compare("verdict", report["verdict"].clone(), case.verdict.into());
    let first = &report["causes"][0];
    compare("first cause", first["code"].clone(), case.cause.into());
    if !case.records.is_empty() {
        let records: Vec<_> = case.records.iter().map(|record| format!("{record}.{}", case.zone)).collect();
        compare("its records", first["records"].clone(), records.into());
    }
    if let Some((bad, of)) = case.exposure {
        compare("exposure", report["exposure"].clone(), serde_json::json!({ "bad": bad, "of": of }));
    }
    let evidence = first["evidence"].to_string();
    for words in case.evidence {
        if !evidence.contains(words) {
            wrong.push(format!("`{words}` is missing from the evidence {evidence}"));
        }
    }
    wrong
}

/// What dig shows of an answer.
#[derive(Debug)]
struct Answer {
    /// The code's name, or why there is no answer.
    status: String,
    flags: Vec<String>,
    /// The values of the answer section, sorted if they are all of one name.
    values: Vec<String>,
}

impl Answer {
    fn has_flag(&self, flag: &str) -> bool {
        self.flags.iter().any(|present| present == flag)
    }
}

fn dig(server: SocketAddr, arguments: &[&str]) -> Result<Answer, Box<dyn Error>> {
    let output = Command::new("dig")
        .args(["+noall", "+comments", "+answer", "+nocookie", "+tries=1", "+time=1"])
        .arg(format!("@{}", server.ip()))
        .args(["-p", &server.port().to_string()])
        .args(arguments)
        .output()?;
    let text = String::from_utf8(output.stdout)?;
    let between = |start: &str, end: char| {
        text.lines().find_map(|line| line.split_once(start)).and_then(|(_, rest)| rest.split(end).next())
    };
    let failures = ["connection refused", "timed out"];
    let failure = failures.into_iter().find(|failure| text.contains(failure));
    let status = between("status: ", ',').or(failure).ok_or_else(|| format!("dig: {text}"))?;
    let flags = between(";; flags: ", ';').unwrap_or_default();
    let records: Vec<_> = text
        .lines()
        .filter(|line| !line.starts_with(';'))
        .filter_map(|line| {
            let mut fields = line.split_whitespace();
            let owner = fields.next()?;
            Some((owner, fields.skip(3).collect::<Vec<_>>().join(" ")))
        })
        .collect();
    let is_one_name = records.iter().all(|(owner, _)| *owner == records[0].0);
    let mut values: Vec<_> = records.into_iter().map(|(_, value)| value).collect();
    if is_one_name {
        values.sort();
    }
    Ok(Answer {
        status: status.to_owned(),
        flags: flags.split_whitespace().map(str::to_owned).collect(),
        values,
    })
}
