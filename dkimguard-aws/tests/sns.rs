//! Alerts for a topic, against the peer that speaks AWS.

#[path = "../../dkimguard-core/tests/alerts/mod.rs"]
mod alerts;
mod peer;

use std::error::Error;

use alerts::{chain, incident};
use aws_credential_types::Credentials;
use dkimguard_aws::{Aws, AwsBuilder, Sns, hint};
use dkimguard_core::error::{NotifyError, ProviderError};
use dkimguard_core::ports::Notifier;
use peer::Peer;
use serde_json::{Value, json};

const REGION: &str = "eu-central-1";

fn aws_of(account: &str) -> AwsBuilder {
    let credentials = Credentials::new(Peer::access_key(account), "secret", None, None, "test");
    Aws::builder()
        .with_endpoint_url(Peer::shared().url())
        .with_credentials(credentials)
        .with_regions(["us-east-1".parse().expect("a region")])
}

async fn sns(account: &str, topic: &str) -> Sns {
    let aws = aws_of(account).load().await.expect("a region is set");
    aws.sns(topic.parse().expect("the ARN of a topic"))
}

fn advice(error: &NotifyError) -> String {
    let source = error.source.as_ref().and_then(|source| source.downcast_ref::<ProviderError>());
    source.and_then(hint).unwrap_or_default()
}

/// An answer that denies the call, as AWS's.
fn denial() -> Value {
    json!({ "operation": "Publish", "status": 403, "code": "AuthorizationError", "message": "not you" })
}

#[tokio::test]
async fn alert_arrives_at_the_topic_in_its_region() -> Result<(), Box<dyn Error>> {
    let (peer, account) = (Peer::shared(), "500000000001");
    let topic = peer.add_topic(account, REGION, "alerts");
    let (opened, recovered) = incident().await;
    let sns = sns(account, &topic).await;
    assert_eq!(sns.name(), format!("sns {topic}"));
    sns.deliver(&opened).await?;
    sns.deliver(&recovered).await?;

    let expected = |alert: &dkimguard_core::guard::Alert, event: &str, verdict: &str| {
        json!({
            "message": alert.to_json(),
            "subject": format!("dkimguard: {event}: example.com is {verdict}"),
            "attributes": { "event": event, "severity": "critical", "domain": "example.com", "key": alert.key() },
        })
    };
    let messages = [expected(&opened, "opened", "failing"), expected(&recovered, "recovered", "healthy")];
    assert_eq!(peer.messages(&topic), json!(messages));
    let calls = peer.calls(account);
    assert!(calls.iter().all(|call| call.operation == "Publish" && call.region == REGION), "{calls:?}");
    Ok(())
}

#[tokio::test]
async fn alert_over_the_limit_of_sns_goes_without_its_report() -> Result<(), Box<dyn Error>> {
    let (peer, account) = (Peer::shared(), "500000000002");
    let topic = peer.add_topic(account, REGION, "alerts");
    let (opened, _) = incident().await;
    let mut large: Value = serde_json::from_str(&opened.to_json())?;
    large["report"]["filler"] = "x".repeat(300_000).into();
    sns(account, &topic).await.deliver(&serde_json::from_value(large)?).await?;
    let message: Value =
        serde_json::from_str(peer.messages(&topic)[0]["message"].as_str().ok_or("no text")?)?;
    assert_eq!((&message["event"], &message["report"]), (&json!("opened"), &Value::Null));
    Ok(())
}

#[tokio::test]
async fn missing_permission_is_a_refusal_that_names_it() {
    let (peer, account) = (Peer::shared(), "500000000003");
    let topic = peer.add_topic(account, REGION, "alerts");
    peer.add_fault(account, denial());
    let error = sns(account, &topic).await.deliver(&incident().await.0).await.expect_err("it is denied");
    assert!(error.is_refusal);
    assert_eq!(
        chain(&error),
        format!(
            "sns {topic}: the alert was refused: SNS {REGION}: sns:Publish was denied: AuthorizationError: not you"
        )
    );
    assert_eq!(advice(&error), "allow sns:Publish in the IAM policy of these credentials");
    assert_eq!(peer.count(account, "Publish"), 1);
}

#[tokio::test]
async fn topic_that_is_not_there_is_a_refusal() {
    let account = "500000000004";
    let topic = format!("arn:aws:sns:{REGION}:{account}:nowhere");
    let error = sns(account, &topic).await.deliver(&incident().await.0).await.expect_err("there is none");
    assert!(error.is_refusal && chain(&error).contains("NotFound"), "{}", chain(&error));
    assert_eq!(advice(&error), "create the topic, or correct its ARN");
}

#[tokio::test]
async fn fault_that_passes_is_tried_again_and_one_that_lasts_is_no_refusal() -> Result<(), Box<dyn Error>> {
    let (peer, account) = (Peer::shared(), "500000000005");
    let topic = peer.add_topic(account, REGION, "alerts");
    let (opened, _) = incident().await;
    let sns = sns(account, &topic).await;
    peer.add_fault(
        account,
        json!({ "operation": "Publish", "times": 1, "status": 429, "code": "Throttled", "message": "slow down" }),
    );
    sns.deliver(&opened).await?;
    assert_eq!(peer.count(account, "Publish"), 2);

    peer.add_fault(account, json!({ "operation": "Publish", "status": 500, "code": "InternalError" }));
    let error = sns.deliver(&opened).await.expect_err("it lasts");
    assert!(!error.is_refusal, "{}", chain(&error));
    assert_eq!(peer.count(account, "Publish"), 5);
    Ok(())
}

#[tokio::test]
async fn role_in_the_topics_account_publishes() -> Result<(), Box<dyn Error>> {
    let (peer, own, theirs) = (Peer::shared(), "500000000006", "500000000007");
    let topic = peer.add_topic(theirs, REGION, "alerts");
    let roles = ["500000000008", theirs].map(|account| format!("arn:aws:iam::{account}:role/guard"));
    let roles: Result<Vec<_>, _> = roles.iter().map(|role| role.parse()).collect();
    let aws = aws_of(own).with_roles(roles?).load().await?;
    aws.sns(topic.parse()?).deliver(&incident().await.0).await?;
    assert_eq!(peer.count(theirs, "Publish"), 1);
    Ok(())
}
