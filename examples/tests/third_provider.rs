//! The example's source of identities keeps the contract of one, against a server on loopback.

#[allow(dead_code, reason = "a test has no use for the program itself")]
#[path = "../third_provider.rs"]
mod third_provider;

use axum::Router;
use axum::http::StatusCode;
use axum::routing::get;
use dkimguard_core::identity::{ExpectedValue, Identity, IdentityId, Selector};
use dkimguard_core::testing::conformance;
use dkimguard_core::{IdentitySource, Name};
use third_provider::Postbox;
use tokio::net::TcpListener;

const DOMAINS: &str = r#"{
    "example.com": { "s1": "s1.dkim.postbox.example", "s2": "s2.dkim.postbox.example" },
    "example.org": { "s1": "s1.dkim.postbox.example" }
}"#;

fn name(text: &str) -> Name {
    text.parse().expect("a name")
}

fn identity(domain: &str, selectors: &[&str]) -> Identity {
    let id = IdentityId { provider: "postbox".to_owned(), account: None, region: None, domain: name(domain) };
    let selector = |label: &&str| Selector {
        label: name(label),
        value: ExpectedValue::Cname(name(&format!("{label}.dkim.postbox.example"))),
    };
    Identity::new(id, selectors.iter().map(selector).collect())
}

/// A provider that gives this answer, and its URL.
async fn provider(status: StatusCode, body: &'static str) -> Postbox {
    let listener = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = listener.local_addr().expect("it is bound");
    let app = Router::new().route("/v1/domains", get(move || async move { (status, body) }));
    tokio::spawn(async move { axum::serve(listener, app).await });
    Postbox(format!("http://{address}/v1"))
}

#[tokio::test]
async fn the_source_keeps_the_contract() {
    let held = [identity("example.com", &["s1", "s2"]), identity("example.org", &["s1"])];
    let source = provider(StatusCode::OK, DOMAINS).await;
    conformance::identity_source(&source, &held, &name("example.net")).await;
}

#[tokio::test]
async fn a_provider_that_cannot_be_asked_is_an_error_and_no_empty_list() {
    let closed = TcpListener::bind("127.0.0.1:0").await.expect("a free port");
    let address = closed.local_addr().expect("it is bound");
    drop(closed);
    for (source, said) in [
        (Postbox(format!("http://{address}/v1")), "got no answer"),
        (provider(StatusCode::INTERNAL_SERVER_ERROR, "{}").await, "got no answer"),
        (provider(StatusCode::OK, "<html>").await, "gave an answer that cannot be used"),
        (Postbox(String::new()), "got no answer"),
    ] {
        conformance::identity_source_out_of_reach(&source, &name("example.com")).await;
        let found = source.find(&name("example.com")).await;
        let told: Vec<_> = found.into_iter().map(|found| found.map_err(|error| error.to_string())).collect();
        assert_eq!(told, [Err(format!("Postbox: GET /domains {said}"))], "{source:?}");
    }
}
