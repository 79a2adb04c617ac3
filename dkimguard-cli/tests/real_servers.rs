//! Real name servers: what the tree's zones answer, and what the binary makes of them.

mod cases;
mod tree;

use std::error::Error;
use std::fs;
use std::net::SocketAddr;
use std::path::Path;
use std::process::Command;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, PoisonError, Weak};

use cases::Case;
use serde_json::{Value, json};
use tree::{Resolver, Server, Software, Tree, ZoneSpec};

type TestResult = Result<(), Box<dyn Error>>;

/// How many programs run at a time beside the servers.
const AT_ONCE: usize = 4;

#[test]
fn each_zone_answers_as_it_is_meant_to() -> TestResult {
    let tree = tree()?;
    let cases = cases::all();
    let wrong = of_each(&cases, |case| {
        case.answers
            .iter()
            .filter_map(|shown| {
                let server = tree.server_address(&case.zones[0].name, shown.slot);
                let name = match shown.name {
                    "" => case.domain.clone(),
                    name => format!("{name}.{}", case.domain),
                };
                let asked = format!("{name} {} at {server}", shown.kind);
                match dig(server, &["+norecurse", &name, shown.kind]) {
                    Ok(answer) if answer.status == shown.status && answer.values == shown.values => None,
                    Ok(answer) => Some(format!("{asked}: {} {:?}\n", answer.status, answer.values)),
                    Err(error) => Some(format!("{asked}: {error}\n")),
                }
            })
            .collect()
    });
    assert!(wrong.is_empty(), "\n{wrong}");

    // (name, type, status through the resolver, values, whether validated)
    let resolved: [(&str, &str, &str, &[&str], bool); 12] = [
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
        ("active._domainkey.signed-four.dktest", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], true),
        ("active._domainkey.signed-apart.dktest", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], true),
        ("nothing.signed.dktest", "CNAME", "NXDOMAIN", &[], true),
        ("dktest", "SOA", "NOERROR", &["ns1.dktest. hostmaster.dktest. 1 3600 600 86400 60"], true),
        ("active._domainkey.signed.dkoptout", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], true),
        ("active._domainkey.unsigned.dkoptout", "CNAME", "NOERROR", &["active.dkim.amazonses.com."], false),
    ];
    for (name, kind, status, values, validated) in resolved {
        let answer = dig(tree.resolver(), &[name, kind])?;
        assert_eq!(answer.status, status, "{name} {kind}: {}", tree.logs());
        assert_eq!(answer.values, values, "{name} {kind}");
        assert_eq!(answer.has_flag("ad"), validated, "{name} {kind}");
    }

    // What fails validation is there for those who don't check.
    for zone in ["expired.dktest", "stale-ds.dktest", "ds-left.dktest", "expired.dkoptout"] {
        let name = format!("active._domainkey.{zone}");
        assert_eq!(dig(tree.resolver(), &[&name, "CNAME"])?.status, "SERVFAIL", "{zone}");
        let answer = dig(tree.resolver(), &["+cdflag", &name, "CNAME"])?;
        assert_eq!(answer.values, ["active.dkim.amazonses.com."], "{zone}");
    }
    let key = dig(tree.resolver(), &["active._domainkey.healthy.dktest", "TXT"])?;
    assert!(key.values.last().is_some_and(|value| value.starts_with("\"p=\" \"MIIB")), "{:?}", key.values);
    // Too long for a datagram, and there is no other way.
    let long = ["+norecurse", "+ignore", "+bufsize=1232", "s1._domainkey.no-tcp.dktest", "TXT"];
    assert!(dig(tree.server_address("no-tcp.dktest", 1), &long)?.has_flag("tc"));
    let over_tcp = ["+norecurse", "+tcp", "s1._domainkey.no-tcp.dktest", "TXT"];
    assert_eq!(dig(tree.server_address("no-tcp.dktest", 1), &over_tcp)?.status, "timed out");
    Ok(())
}

#[test]
fn the_binary_says_what_is_wrong_with_each_zone() -> TestResult {
    let tree = tree()?;
    let cases = cases::all();
    let identities: String = cases
        .iter()
        .map(|case| format!("[[identity]]\ndomain = \"{}\"\n{}\n", case.domain, case.identity))
        .collect();
    let file = tree.directory().join("identities.toml");
    fs::write(&file, identities)?;
    let wrong = of_each(&cases, |case| {
        let resolvers = case.resolvers.iter().map(|resolver| tree.resolver_address(*resolver));
        match check(&file, resolvers, &case.domain, &[]) {
            Ok((report, exit)) => differences(case, &report, exit)
                .into_iter()
                .map(|difference| format!("{}: {difference}\n", case.domain))
                .collect(),
            Err(error) => format!("{}: {error}\n", case.domain),
        }
    });
    assert!(wrong.is_empty(), "\n{wrong}");
    Ok(())
}

/// The second server of a zone, judged as though the domain were moved to it alone.
#[test]
fn a_move_is_judged_at_the_servers_that_are_named() -> TestResult {
    let records = |tokens: &[&str]| -> String {
        tokens.iter().map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).collect()
    };
    let (all, some) = (records(&["active", "gone1", "gone2"]), records(&["active", "gone1"]));
    let with_second = |name: &str, second: Server| {
        ZoneSpec::new(name).records(&all).servers([Software::Nsd.into(), second])
    };
    let tree = Tree::builder()
        .zone(with_second("split.dktest", Server::from(Software::Knot).with_older_records(&some)))
        .zone(with_second("refused.dktest", Server::without_zone(Software::Knot)))
        .zone(with_second("down.dktest", Server::closed()))
        .start()?;
    let file = tree.directory().join("identities.toml");
    let tokens = r#"tokens = ["active", "gone1", "gone2"]"#;
    let identities = ["split", "refused", "down"]
        .map(|name| format!("[[identity]]\ndomain = \"{name}.dktest\"\n{tokens}\n"));
    fs::write(&file, identities.concat())?;
    for (zone, server, exit, cause) in [
        ("split.dktest", "ns1.split.dktest".to_owned(), 0, None),
        ("split.dktest", tree.server_address("split.dktest", 1).to_string(), 2, Some("record-missing")),
        ("split.dktest", "ns9.split.dktest".to_owned(), 2, Some("server-lame")),
        ("refused.dktest", tree.server_address("refused.dktest", 1).to_string(), 2, Some("server-lame")),
        ("down.dktest", tree.server_address("down.dktest", 1).to_string(), 2, Some("server-unreachable")),
    ] {
        let resolvers = [tree.resolver_address(Resolver::Validating)].into_iter();
        let (report, code) = check(&file, resolvers, zone, &["--nameserver", &server])?;
        let found = report["causes"][0]["code"].as_str();
        assert_eq!((code, found), (Some(exit), cause), "{zone} at {server}: {report:#}");
    }
    Ok(())
}

/// The tree of all cases, which tests that run at the same time share; the last one ends it.
fn tree() -> Result<Arc<Tree>, Box<dyn Error>> {
    static SHARED: Mutex<Weak<Tree>> = Mutex::new(Weak::new());
    let mut shared = SHARED.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some(tree) = shared.upgrade() {
        return Ok(tree);
    }
    let tree = Arc::new(start()?);
    *shared = Arc::downgrade(&tree);
    Ok(tree)
}

fn start() -> Result<Tree, Box<dyn Error>> {
    let cases = cases::all();
    let mut tree = Tree::builder()
        .zone(cases::provider())
        .zones(cases.iter().flat_map(|case| case.zones.clone()))
        .with_resolver(Resolver::Remembering)
        .with_resolver(Resolver::Refusing)
        .start()?;
    let resolver = tree.resolver_address(Resolver::Remembering);
    // What it answers to those who take it for a name server of the zone, it must have heard before.
    for kind in ["CNAME", "TXT"] {
        for token in ["active", "gone1", "gone2"] {
            dig(resolver, &[&format!("{token}._domainkey.recursive.dktest"), kind])?;
        }
    }
    let (zone, name) = cases::LATE;
    let learnt = dig(resolver, &[name, "CNAME"])?;
    assert_eq!(learnt.status, "NXDOMAIN", "{name}: {}", tree.logs());
    tree.publish(zone, cases::HEALTHY, name)?;
    let after = dig(resolver, &[name, "CNAME"])?;
    assert_eq!(after.status, "NXDOMAIN", "{name} is remembered as absent");
    Ok(tree)
}

/// What comes of each case, a few at a time, in their order.
fn of_each(cases: &[Case], see: impl Fn(&Case) -> String + Sync) -> String {
    let next = AtomicUsize::new(0);
    let mut seen: Vec<(usize, String)> = std::thread::scope(|scope| {
        let take = || {
            let mut seen = Vec::new();
            loop {
                let number = next.fetch_add(1, Ordering::Relaxed);
                let Some(case) = cases.get(number) else { return seen };
                seen.push((number, see(case)));
            }
        };
        let threads: Vec<_> = (0..AT_ONCE).map(|_| scope.spawn(take)).collect();
        threads.into_iter().flat_map(|thread| thread.join().expect("a case ends")).collect()
    });
    seen.sort();
    seen.into_iter().map(|(_, seen)| seen).collect()
}

/// Takes one full look with the binary: its report, and its exit code. What isn't JSON is given as a string.
fn check(
    identities: &Path,
    resolvers: impl Iterator<Item = SocketAddr>,
    domain: &str,
    more: &[&str],
) -> Result<(Value, Option<i32>), Box<dyn Error>> {
    let output = Command::new(env!("CARGO_BIN_EXE_dkimguard"))
        .arg("check")
        .arg("--source")
        .arg(format!("file:{}", identities.display()))
        .args(resolvers.flat_map(|resolver| ["--resolver".to_owned(), resolver.to_string()]))
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
    compare("domain", report["domain"].clone(), case.domain.as_str().into());
    compare("verdict", report["verdict"].clone(), case.verdict.into());
    let first = &report["causes"][0];
    let causes = report["causes"].as_array().into_iter().flatten();
    compare("causes", causes.map(|cause| cause["code"].clone()).collect(), json!(case.causes));
    if let Some(certainty) = case.certainty {
        compare("its certainty", first["certainty"].clone(), certainty.into());
    }
    if !case.records.is_empty() {
        let records: Vec<_> = case.records.iter().map(|record| format!("{record}.{}", case.domain)).collect();
        compare("its records", first["records"].clone(), records.into());
    }
    if let Some((bad, of)) = case.exposure {
        compare("exposure", report["exposure"].clone(), json!({ "bad": bad, "of": of }));
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
