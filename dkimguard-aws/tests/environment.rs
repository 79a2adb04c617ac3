//! [`Aws::from_env`] under environments of every kind. A process has one environment, so this program runs itself:
//! with the argument `look` it looks once and prints what came of it, without it checks what is printed.

mod peer;

use std::fs;
use std::process::Command;
use std::time::{Duration, Instant};

use dkimguard_aws::{Aws, hint};
use dkimguard_core::ports::IdentitySource;
use peer::Peer;
use serde_json::json;

const ACCOUNT: &str = "200000000001";
/// Nobody answers for the metadata of a machine there, as on a laptop.
const NO_METADATA: (&str, &str) = ("AWS_EC2_METADATA_SERVICE_ENDPOINT", "http://127.0.0.1:9/");

/// Variables and their values.
type Environment<'a> = Vec<(&'a str, &'a str)>;

fn main() {
    if std::env::args().nth(1).as_deref() == Some("look") {
        let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build();
        runtime.expect("a runtime").block_on(look());
        return;
    }
    let peer = Peer::start();
    peer.add_identities(ACCOUNT, "eu-west-1", &json!([{ "name": "example.com" }]));
    let key = Peer::access_key(ACCOUNT);
    let files = std::env::temp_dir().join(format!("dkimguard-environment-{}", std::process::id()));
    fs::create_dir_all(&files).expect("a directory for AWS's files");
    let profile = files.join("config");
    let text = format!(
        "[profile work]\nregion = eu-west-1\naws_access_key_id = {key}\naws_secret_access_key = secret\n\
         endpoint_url = {}\n",
        peer.url()
    );
    fs::write(&profile, text).expect("the profile is written");
    let profile = profile.to_str().expect("a path in UTF-8");

    let url = ("AWS_ENDPOINT_URL", peer.url());
    let region = ("AWS_REGION", "eu-west-1");
    let keys = [("AWS_ACCESS_KEY_ID", key.as_str()), ("AWS_SECRET_ACCESS_KEY", "secret")];
    let found = "found ses:200000000001:eu-west-1:example.com success";
    let cases: [(&str, Environment<'_>, &[&str]); 12] = [
        ("keys in the environment", vec![url, region, keys[0], keys[1]], &[found]),
        ("a profile", vec![("AWS_CONFIG_FILE", profile), ("AWS_PROFILE", "work")], &[found]),
        (
            "no credentials",
            vec![url, region, NO_METADATA],
            &[
                "SES eu-west-1: ses:GetEmailIdentity has no usable credentials: none in the",
                "AWS_ACCESS_KEY_ID",
            ],
        ),
        (
            "a profile that isn't there",
            vec![url, region, NO_METADATA, ("AWS_PROFILE", "nowhere")],
            &["ses:GetEmailIdentity has no usable credentials: none in the", "set AWS_PROFILE"],
        ),
        ("no region", vec![url, keys[0], keys[1], NO_METADATA], &["no AWS region is set", "--region"]),
        (
            "an endpoint where nobody listens",
            vec![("AWS_ENDPOINT_URL", "http://127.0.0.1:9"), region, keys[0], keys[1]],
            &["SES eu-west-1: ses:GetEmailIdentity got no answer: ", "refused", "AWS_ENDPOINT_URL"],
        ),
        (
            "an endpoint that is none",
            vec![("AWS_ENDPOINT_URL", "not a URL"), region, keys[0], keys[1]],
            &["`not a URL` is not the URL of an endpoint", "AWS_ENDPOINT_URL"],
        ),
        (
            "an endpoint that is empty",
            vec![("AWS_ENDPOINT_URL", ""), region, keys[0], keys[1]],
            &["`` is not the URL of an endpoint"],
        ),
        (
            "an endpoint of one service that is empty",
            vec![url, ("AWS_ENDPOINT_URL_SESV2", ""), region, keys[0], keys[1]],
            &["`` is not the URL of an endpoint"],
        ),
        (
            "an endpoint of Route 53 that is empty",
            vec![url, ("AWS_ENDPOINT_URL_ROUTE_53", ""), region, keys[0], keys[1]],
            &["`` is not the URL of an endpoint"],
        ),
        (
            "an endpoint of CloudTrail that is empty",
            vec![url, ("AWS_ENDPOINT_URL_CLOUDTRAIL", ""), region, keys[0], keys[1]],
            &["`` is not the URL of an endpoint"],
        ),
        (
            "a bad region",
            vec![url, ("AWS_REGION", "Europe"), keys[0], keys[1]],
            &["`Europe` is not the name", "AWS_REGION"],
        ),
    ];
    for (what, environment, expected) in cases {
        let start = Instant::now();
        let printed = printed_under(&environment);
        for part in expected {
            assert!(printed.contains(part), "{what}: expected `{part}` in:\n{printed}");
        }
        assert!(start.elapsed() < Duration::from_secs(5), "{what} took {:?}", start.elapsed());
        println!("{what} ... ok");
    }
    fs::remove_dir_all(&files).expect("the directory is this program's own");
}

async fn look() {
    let source = Aws::from_env().await.ses();
    for answer in source.find(&"example.com".parse().expect("a domain name")).await {
        match answer {
            Ok(identity) => println!("found {} {}", identity.id, identity.status),
            Err(error) => {
                let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
                println!("{error}: {source}\nhint: {}", hint(&error).unwrap_or_default());
            }
        }
    }
}

/// What a look prints under exactly this environment, with AWS's files away from those of whoever runs this.
fn printed_under(environment: &[(&str, &str)]) -> String {
    let output = Command::new(std::env::current_exe().expect("this program has a path"))
        .arg("look")
        .env_clear()
        .env("AWS_CONFIG_FILE", "/nonexistent/config")
        .env("AWS_SHARED_CREDENTIALS_FILE", "/nonexistent/credentials")
        .envs(environment.iter().copied())
        .output()
        .expect("this program runs");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("the output is text")
}
