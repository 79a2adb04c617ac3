//! CloudTrail through the real SDK, against a peer that speaks HTTP.

mod peer;

use aws_credential_types::Credentials;
use dkimguard_aws::{Aws, AwsBuilder, CloudTrail, hint};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::history::{Effect, History, IdentityChange, Topic, ZoneChange};
use dkimguard_core::name::Name;
use dkimguard_core::ports::ChangeHistory;
use jiff::{SignedDuration, Timestamp};
use peer::Peer;
use serde_json::{Value, json};

const GLOBAL: &str = "us-east-1";

fn name(text: &str) -> Name {
    text.parse().expect("a domain name")
}

fn aws_of(account: &str) -> AwsBuilder {
    let credentials = Credentials::new(Peer::access_key(account), "secret", None, None, "test");
    Aws::builder()
        .with_endpoint_url(Peer::shared().url())
        .with_credentials(credentials)
        .with_regions(["eu-west-1".parse().expect("a region")])
}

async fn cloudtrail(account: &str) -> CloudTrail {
    aws_of(account).load().await.expect("a region is set").cloudtrail()
}

async fn look(account: &str, topic: &Topic) -> Result<History, ProviderError> {
    cloudtrail(account).await.changes(topic).await
}

fn zone() -> Topic {
    Topic::Zone { id: "Z1".to_owned(), sought: ZoneChange::Records }
}

fn delegation() -> Topic {
    Topic::Delegation { domain: name("example.com") }
}

fn identity(sought: IdentityChange) -> Topic {
    Topic::Identity { domain: name("example.com"), region: Some("eu-central-1".to_owned()), sought }
}

/// A batch that deletes a record of a zone.
fn deletion(zone: &str, record: &str) -> Value {
    json!({
        "eventSource": "route53.amazonaws.com",
        "eventName": "ChangeResourceRecordSets",
        "resources": [zone],
        "userIdentity": { "arn": "arn:aws:sts::1:assumed-role/deploy/kim" },
        "userAgent": "APN/1.0 HashiCorp/1.0 Terraform/1.9.0",
        "requestParameters": {
            "hostedZoneId": zone,
            "changeBatch": { "changes": [{ "action": "DELETE", "resourceRecordSet": { "name": record } }] },
        },
    })
}

fn with(mut event: Value, more: &Value) -> Value {
    let fields = event.as_object_mut().expect("an object");
    fields.extend(more.as_object().expect("an object").clone());
    event
}

/// The regions, operations and looked-up values of the calls so far.
fn calls(account: &str) -> Vec<String> {
    let calls = Peer::shared().calls(account).into_iter();
    calls.map(|call| format!("{} {} {}", call.region, call.operation, call.names.join(" "))).collect()
}

fn told(error: &ProviderError) -> String {
    let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

fn ago(hours: i64) -> String {
    let then = Timestamp::now() - SignedDuration::from_hours(hours);
    then.strftime("%Y-%m-%dT%H:%M:%SZ").to_string()
}

#[tokio::test]
async fn change_of_a_zone_tells_who_when_and_with_what() {
    let account = "400000000001";
    let (then, before) = (ago(2), ago(50));
    Peer::shared().add_events(
        account,
        GLOBAL,
        &json!([
            with(
                deletion("Z1", "b._domainkey.example.com."),
                &json!({ "eventTime": before, "eventID": "e2" })
            ),
            with(deletion("Z1", "a._domainkey.example.com."), &json!({ "eventTime": then, "eventID": "e1" })),
            with(deletion("Z2", "a._domainkey.example.org."), &json!({ "eventTime": then, "eventID": "e3" })),
            with(deletion("Z1", "c._domainkey.example.com."), &json!({ "eventTime": ago(91 * 24) })),
        ]),
    );

    let history = look(account, &zone()).await.expect("the history is read");

    let ids: Vec<_> = history.changes.iter().map(|event| event.change.event_id.as_str()).collect();
    assert_eq!(ids, ["e1", "e2"]);
    assert_eq!(history.bound, None);
    let latest = &history.changes[0];
    assert_eq!(
        latest.effect,
        Effect::Records { written: vec![], deleted: vec![name("a._domainkey.example.com")] }
    );
    let change = &latest.change;
    assert_eq!(change.at.to_string(), then);
    assert_eq!((change.actor.as_str(), change.action.as_str()), ("kim", "ChangeResourceRecordSets"));
    assert_eq!(change.tool.as_deref(), Some("Terraform"));
    assert_eq!(change.source, "CloudTrail us-east-1");
    assert_eq!(calls(account), ["us-east-1 LookupEvents ChangeResourceRecordSets"]);
}

#[tokio::test]
async fn silent_history_is_told_as_one_and_the_zones_id_may_be_written_in_full() {
    let account = "400000000002";
    let topic = Topic::Zone { id: "/hostedzone/Z1".to_owned(), sought: ZoneChange::Records };
    assert_eq!(look(account, &topic).await.expect("the history is read"), History::default());
    assert_eq!(calls(account), ["us-east-1 LookupEvents ChangeResourceRecordSets"]);
}

#[tokio::test]
async fn what_failed_only_reads_or_cannot_be_read_is_left_out() {
    let account = "400000000003";
    let event = || deletion("Z1", "a._domainkey.example.com");
    Peer::shared().add_events(
        account,
        GLOBAL,
        &json!([
            with(event(), &json!({ "errorCode": "AccessDenied" })),
            with(event(), &json!({ "eventName": "ListResourceRecordSets", "readOnly": true })),
            with(event(), &json!({ "eventName": "SomethingNew" })),
            with(event(), &json!({ "text": "{ cut off" })),
            with(event(), &json!({ "requestParameters": null })),
            with(event(), &json!({ "eventID": "good" })),
        ]),
    );
    let history = look(account, &zone()).await.expect("the history is read");
    let ids: Vec<_> = history.changes.iter().map(|event| event.change.event_id.as_str()).collect();
    assert_eq!(ids, ["good"]);
}

#[tokio::test]
async fn moved_name_servers_are_found_at_the_registrar() {
    let account = "400000000004";
    let event = |action: &str, domain: &str| {
        json!({ "eventSource": "route53domains.amazonaws.com", "eventName": action,
                "userIdentity": { "arn": "arn:aws:iam::1:root" }, "userAgent": "console.amazonaws.com",
                "requestParameters": { "domainName": domain } })
    };
    Peer::shared().add_events(
        account,
        GLOBAL,
        &json!([
            event("UpdateDomainNameservers", "example.org"),
            event("GetDomainDetail", "example.com"),
            event("UpdateDomainNameservers", "example.com"),
            event("TransferDomain", "example.com"),
        ]),
    );
    let history = look(account, &delegation()).await.expect("the history is read");
    let shown: Vec<_> = history
        .changes
        .iter()
        .map(|event| {
            (event.change.action.as_str(), event.change.actor.as_str(), event.change.tool.as_deref())
        })
        .collect();
    assert_eq!(
        shown,
        [
            ("UpdateDomainNameservers", "root", Some("AWS console")),
            ("TransferDomain", "root", Some("AWS console")),
        ]
    );
    let moved = Effect::NameServersMoved { domain: name("example.com") };
    assert!(history.changes.iter().all(|event| event.effect == moved));
    assert_eq!(calls(account), ["us-east-1 LookupEvents route53domains.amazonaws.com"]);
}

#[tokio::test]
async fn identity_is_looked_up_in_its_region_by_the_one_event_that_is_sought() {
    let account = "400000000005";
    let event = |action: &str, domain: &str| {
        json!({ "eventSource": "ses.amazonaws.com", "eventName": action,
                "requestParameters": { "emailIdentity": domain } })
    };
    Peer::shared().add_events(
        account,
        "eu-central-1",
        &json!([
            event("DeleteEmailIdentity", "example.org"),
            event("DeleteEmailIdentity", "example.com"),
            event("PutEmailIdentityDkimAttributes", "example.com"),
            with(
                event("PutEmailIdentityDkimSigningAttributes", "example.com"),
                &json!({ "responseElements": { "dkimTokens": ["aaa", "bbb", "ccc"] } })
            ),
        ]),
    );
    for (sought, effect) in [
        (IdentityChange::Deleted, Effect::IdentityDeleted),
        (IdentityChange::SigningSwitched, Effect::SigningSwitched),
        (IdentityChange::SetUpAnew, Effect::DkimSetUp { tokens: ["aaa", "bbb", "ccc"].map(name).to_vec() }),
    ] {
        let history = look(account, &identity(sought)).await.expect("the history is read");
        let effects: Vec<_> = history.changes.iter().map(|event| &event.effect).collect();
        assert_eq!(effects, [&effect]);
        assert_eq!(history.changes[0].change.source, "CloudTrail eu-central-1");
    }
    assert_eq!(
        calls(account),
        [
            "eu-central-1 LookupEvents DeleteEmailIdentity",
            "eu-central-1 LookupEvents PutEmailIdentityDkimAttributes",
            "eu-central-1 LookupEvents PutEmailIdentityDkimSigningAttributes",
        ]
    );
}

#[tokio::test]
async fn set_up_by_the_older_api_is_looked_up_where_nothing_else_was_found() {
    let account = "400000000006";
    Peer::shared().add_events(
        account,
        "eu-central-1",
        &json!([{ "eventName": "VerifyDomainDkim", "requestParameters": { "domain": "example.com" },
                  "responseElements": { "dkimTokens": ["aaa"] } }]),
    );
    let history = look(account, &identity(IdentityChange::SetUpAnew)).await.expect("the history is read");
    assert_eq!(history.changes.len(), 1);
    assert_eq!(Peer::shared().count(account, "LookupEvents"), 2);
}

#[tokio::test]
async fn thousands_of_events_are_read_up_to_the_bound_and_the_bound_is_said() {
    let account = "400000000007";
    let events: Vec<Value> = (0..3_000).map(|n| deletion("Z1", &format!("n{n}.example.com"))).collect();
    Peer::shared().add_events(account, GLOBAL, &json!(events));
    let history = look(account, &zone()).await.expect("the history is read");
    assert_eq!(history.changes.len(), CloudTrail::MOST_EVENTS);
    assert_eq!(history.bound.as_deref(), Some("the latest 200 events of the last 90 days"));
    let latest = Effect::Records { written: vec![], deleted: vec![name("n0.example.com")] };
    assert_eq!(history.changes[0].effect, latest);
    assert_eq!(Peer::shared().count(account, "LookupEvents"), 4);
}

#[tokio::test]
async fn page_that_fails_leaves_what_was_read_and_says_where_it_ended() {
    let account = "400000000008";
    let (peer, count) = (Peer::shared(), 120);
    let events: Vec<Value> = (0..count).map(|n| deletion("Z1", &format!("n{n}.example.com"))).collect();
    peer.add_events(account, GLOBAL, &json!(events));
    // The first call is answered, and what comes after it isn't.
    peer.add_fault(account, json!({ "operation": "LookupEvents", "times": 1, "delay": 0 }));
    peer.add_fault(
        account,
        json!({ "operation": "LookupEvents", "status": 403, "code": "AccessDeniedException", "message": "enough" }),
    );
    let history = look(account, &zone()).await.expect("the first page was read");
    assert_eq!(history.changes.len(), 50);
    assert_eq!(
        history.bound.as_deref(),
        Some(
            "the latest 50 events of the last 90 days, then cloudtrail:LookupEvents failed \
             (AccessDeniedException: enough)"
        )
    );
}

#[tokio::test]
async fn missing_permission_is_an_error_that_names_it() {
    let account = "400000000009";
    Peer::shared().add_fault(
        account,
        json!({ "operation": "LookupEvents", "status": 400, "code": "AccessDeniedException", "message": "not you" }),
    );
    let error = look(account, &zone()).await.expect_err("it is denied");
    assert_eq!(error.kind, ProviderErrorKind::Denied);
    assert_eq!(
        told(&error),
        "CloudTrail us-east-1: cloudtrail:LookupEvents was denied: AccessDeniedException: not you"
    );
    assert!(hint(&error).is_some_and(|hint| hint.contains("allow cloudtrail:LookupEvents")));
    assert_eq!(Peer::shared().count(account, "LookupEvents"), 1);
}

#[tokio::test]
async fn throttled_call_is_made_again_and_the_pace_is_kept() {
    let (peer, account) = (Peer::shared(), "400000000010");
    let events: Vec<Value> = (0..200).map(|n| deletion("Z1", &format!("n{n}.example.com"))).collect();
    peer.add_events(account, GLOBAL, &json!(events));
    peer.limit_service(account, "cloudtrail", 2.0, 1);
    peer.add_fault(
        account,
        json!({ "operation": "LookupEvents", "times": 1, "status": 400, "code": "ThrottlingException",
                "message": "Rate exceeded" }),
    );
    let history = look(account, &zone()).await.expect("the second try succeeds");
    assert_eq!((history.changes.len(), history.bound), (200, None));
    let calls = peer.calls(account);
    assert_eq!(calls.iter().filter(|call| call.outcome == "answered").count(), 4);

    peer.add_fault(
        account,
        json!({ "operation": "LookupEvents", "status": 400, "code": "ThrottlingException" }),
    );
    let error = look(account, &zone()).await.expect_err("it is throttled");
    assert_eq!(error.kind, ProviderErrorKind::Throttled);
    assert!(hint(&error).is_some_and(|hint| hint.contains("CloudTrail allows two such calls a second")));
}

#[tokio::test]
async fn accounts_are_united_and_a_silence_with_one_unasked_is_an_error() {
    let peer = Peer::shared();
    let (own, one, other, denied) = ("400000000021", "400000000022", "400000000023", "400000000024");
    let event = |id: &str, hours: i64| {
        with(deletion("Z1", "a.example.com"), &json!({ "eventID": id, "eventTime": ago(hours) }))
    };
    peer.add_events(one, GLOBAL, &json!([event("old", 30), event("new", 1)]));
    peer.add_events(other, GLOBAL, &json!([event("middle", 9)]));
    peer.add_fault(
        denied,
        json!({ "operation": "LookupEvents", "status": 400, "code": "AccessDeniedException", "message": "no" }),
    );
    let look = async |roles: &[(&str, &str)]| {
        let arn = |(account, role): &(&str, &str)| {
            format!("arn:aws:iam::{account}:role/{role}").parse().expect("a role's ARN")
        };
        let aws = aws_of(own).with_roles(roles.iter().map(arn).collect::<Vec<_>>()).load().await;
        aws.expect("a region is set").cloudtrail().changes(&zone()).await
    };

    let history = look(&[(one, "a"), (one, "b"), (other, "a"), (denied, "a")]).await.expect("two tell");
    let ids: Vec<_> = history.changes.iter().map(|event| event.change.event_id.as_str()).collect();
    assert_eq!(ids, ["new", "middle", "old"]);
    assert_eq!(
        history.bound.as_deref(),
        Some("an account could not be asked: cloudtrail:LookupEvents (AccessDeniedException: no)")
    );

    let error = look(&[("400000000025", "a"), (denied, "a")]).await.expect_err("the silence means nothing");
    assert_eq!(error.kind, ProviderErrorKind::Denied);
}

#[tokio::test]
async fn region_that_is_none_is_refused_before_any_call() {
    let account = "400000000011";
    let topic = Topic::Identity {
        domain: name("example.com"),
        region: Some("Europe".to_owned()),
        sought: IdentityChange::Deleted,
    };
    let error = look(account, &topic).await.expect_err("there is no such region");
    assert_eq!(error.kind, ProviderErrorKind::Unusable);
    assert!(told(&error).contains("`Europe`"), "{}", told(&error));
    assert!(calls(account).is_empty());
}
