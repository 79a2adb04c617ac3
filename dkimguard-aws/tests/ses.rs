//! SES through the real SDK, against a peer that speaks HTTP.

mod peer;

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, future};
use dkimguard_aws::{Aws, AwsBuilder, CallObserver, EndedCall, Region, SesSource, hint};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::identity::{Identity, ProviderStatus};
use dkimguard_core::name::Name;
use dkimguard_core::ports::IdentitySource;
use dkimguard_core::testing::{conformance, easy_dkim_identity};
use futures_util::StreamExt;
use peer::Peer;
use serde_json::{Value, json};

const HOME: &str = "us-east-1";

fn name(text: &str) -> Name {
    text.parse().expect("a domain name")
}

fn regions(names: &[&str]) -> Vec<Region> {
    names.iter().map(|name| name.parse().expect("a region")).collect()
}

fn aws_of(account: &str) -> AwsBuilder {
    let credentials = Credentials::new(Peer::access_key(account), "secret", None, None, "test");
    Aws::builder()
        .with_endpoint_url(Peer::shared().url())
        .with_credentials(credentials)
        .with_regions(regions(&[HOME]))
}

async fn ses(builder: AwsBuilder) -> SesSource {
    builder.load().await.expect("a region is set").ses()
}

async fn ses_of(account: &str) -> SesSource {
    ses(aws_of(account)).await
}

async fn find_one(account: &str) -> Result<Identity, ProviderError> {
    let mut found = ses_of(account).await.find(&name("example.com")).await;
    assert_eq!(found.len(), 1, "{found:?}");
    found.remove(0)
}

async fn all(ses: &SesSource) -> Vec<Result<Identity, ProviderError>> {
    ses.identities().collect().await
}

fn records(identity: &Identity) -> Vec<String> {
    let expected = identity.expected().expect("the names aren't too long");
    expected
        .iter()
        .map(|record| format!("{} {} {}", record.name, record.value.kind(), record.value))
        .collect()
}

fn gaps(identity: &Identity) -> String {
    identity.gaps.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
}

fn told(error: &ProviderError) -> String {
    let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

/// As many healthy domains as wanted, those with these numbers changed.
fn domains(count: usize, changes: &[(usize, Value)]) -> Value {
    let mut identities: Vec<Value> =
        (0..count).map(|number| json!({ "name": format!("d{number:04}.example") })).collect();
    for (number, change) in changes {
        let identity = identities[*number].as_object_mut().expect("an object");
        identity.extend(change.as_object().expect("an object").clone());
    }
    json!(identities)
}

fn dkim(attributes: &Value) -> Value {
    json!({ "DkimAttributes": attributes })
}

fn denied(operation: &str) -> Value {
    json!({ "operation": operation, "status": 403, "code": "AccessDeniedException", "message": "no, not you" })
}

#[tokio::test]
async fn ses_keeps_the_contract_of_a_source() {
    let (peer, account) = (Peer::shared(), "100000000070");
    let places = [HOME, "eu-west-1"];
    let held = places.map(|region| {
        peer.add_identities(
            account,
            region,
            &json!([{ "name": "example.com", "DkimAttributes": { "Tokens": ["aaa", "bbb", "ccc"] } }]),
        );
        let mut identity = easy_dkim_identity("example.com");
        (identity.id.account, identity.id.region) = (Some(account.to_owned()), Some(region.to_owned()));
        identity
    });
    let source = ses(aws_of(account).with_regions(regions(&places))).await;
    conformance::identity_source(&source, &held, &name("example.net")).await;

    for operation in ["GetEmailIdentity", "GetIdentityDkimAttributes", "ListEmailIdentities"] {
        peer.add_fault(account, denied(operation));
    }
    conformance::identity_source_out_of_reach(&source, &name("example.com")).await;
}

#[tokio::test]
async fn one_domain_costs_one_call_and_tells_everything() {
    let (peer, account) = (Peer::shared(), "100000000001");
    peer.add_identities(
        account,
        HOME,
        &json!([{
            "name": "example.com",
            "DkimAttributes": {
                "Status": "TEMPORARY_FAILURE",
                "Tokens": ["aaa", "bbb", "ccc"],
                "SigningHostedZone": "x1.dkim.example",
            },
            "VerificationInfo": {
                "LastCheckedTimestamp": 1_700_000_000.5,
                "LastSuccessTimestamp": 1_600_000_000,
                "ErrorType": "HOST_NOT_FOUND",
                "SOARecord": { "PrimaryNameServer": "ns1.example.com", "SerialNumber": 2_026_112_401 },
            },
            "MailFromAttributes": {
                "MailFromDomain": "bounce.example.com",
                "MailFromDomainStatus": "SUCCESS",
                "BehaviorOnMxFailure": "USE_DEFAULT_VALUE",
            },
        }]),
    );

    let identity = find_one(account).await.expect("SES knows it");

    assert_eq!(identity.id.to_string(), "ses:100000000001:us-east-1:example.com");
    assert_eq!(identity.status, ProviderStatus::TemporaryFailure);
    assert_eq!(identity.signing_enabled, Some(true));
    assert_eq!(
        records(&identity),
        ["aaa", "bbb", "ccc"].map(|t| format!("{t}._domainkey.example.com CNAME {t}.x1.dkim.example"))
    );
    let verification = identity.verification.as_ref().expect("SES told what it met");
    assert_eq!(verification.last_checked.map(|t| t.to_string()).as_deref(), Some("2023-11-14T22:13:20.5Z"));
    assert_eq!(verification.last_success.map(|t| t.to_string()).as_deref(), Some("2020-09-13T12:26:40Z"));
    assert_eq!(verification.error.as_deref(), Some("HOST_NOT_FOUND"));
    let soa = verification.soa.as_ref().expect("a zone was reached");
    assert_eq!((soa.primary.as_str(), soa.serial), ("ns1.example.com", 2_026_112_401));
    let mail_from = identity.mail_from.as_ref().expect("it is set up");
    assert_eq!(mail_from.domain, name("bounce.example.com"));
    assert_eq!(mail_from.mx, name("feedback-smtp.us-east-1.amazonses.com"));
    assert_eq!(gaps(&identity), "");

    let mut operations: Vec<_> = peer.calls(account).into_iter().map(|call| call.operation).collect();
    operations.sort();
    assert_eq!(operations, ["GetCallerIdentity", "GetEmailIdentity"]);
}

#[tokio::test]
async fn domain_that_no_place_knows_is_no_error() {
    let source = ses(aws_of("100000000002").with_regions(regions(&[HOME, "eu-west-1"]))).await;
    let found = source.find(&name("example.com")).await;
    assert!(found.is_empty(), "{found:?}");
    assert_eq!(Peer::shared().count("100000000002", "GetEmailIdentity"), 2);
}

#[tokio::test]
async fn every_shape_of_an_identity_is_read_and_new_words_are_passed_on() {
    let (peer, account) = (Peer::shared(), "100000000003");
    let three = |zone: &str| -> Vec<String> {
        ["aaa", "bbb", "ccc"].map(|t| format!("{t}._domainkey.example.com CNAME {t}.{zone}")).to_vec()
    };
    let tokens = json!(["aaa", "bbb", "ccc"]);
    // Each shape lives in a region of its own, so that one look reads them all at once.
    let shapes = [
        (
            "us-east-1",
            json!({ "Tokens": tokens, "SigningHostedZone": null }),
            ProviderStatus::Success,
            three("dkim.amazonses.com"),
            "",
        ),
        (
            "us-east-2",
            json!({ "Tokens": tokens, "SigningAttributesOrigin": "AWS_SES_EU_WEST_1",
                    "SigningHostedZone": "dkim.eu-west-1.example" }),
            ProviderStatus::Success,
            three("dkim.eu-west-1.example"),
            "",
        ),
        (
            "us-west-1",
            json!({ "Tokens": ["own.selector"], "SigningAttributesOrigin": "EXTERNAL", "SigningHostedZone": null }),
            ProviderStatus::Success,
            vec!["own.selector._domainkey.example.com TXT any usable DKIM key".to_owned()],
            "",
        ),
        (
            "us-west-2",
            json!({ "Tokens": tokens, "Status": "SOMETHING_NEW", "SigningAttributesOrigin": "SOMEONE_NEW" }),
            ProviderStatus::Other("SOMETHING_NEW".to_owned()),
            three("dkim.amazonses.com"),
            "`SOMEONE_NEW`",
        ),
        (
            "eu-west-1",
            json!({ "Tokens": tokens, "SigningAttributesOrigin": "SOMEONE_NEW", "SigningHostedZone": null }),
            ProviderStatus::Success,
            vec![],
            "`SOMEONE_NEW`",
        ),
        (
            "eu-west-2",
            json!({ "Tokens": ["aaa", "b b", "c.c", "x".repeat(64)], "Status": "PENDING" }),
            ProviderStatus::Pending,
            vec!["aaa._domainkey.example.com CNAME aaa.dkim.amazonses.com".to_owned()],
            "`b b`",
        ),
        (
            "eu-west-3",
            json!({ "Tokens": null, "Status": "NOT_STARTED" }),
            ProviderStatus::NotStarted,
            vec![],
            "",
        ),
        (
            "eu-north-1",
            json!({ "Tokens": tokens, "SigningHostedZone": "not a zone", "Status": "FAILED" }),
            ProviderStatus::Failed,
            vec![],
            "`not a zone`",
        ),
    ];
    for (region, attributes, ..) in &shapes {
        peer.add_identities(
            account,
            region,
            &json!([{ "name": "example.com", "DkimAttributes": attributes }]),
        );
    }
    peer.add_identities(account, "sa-east-1", &json!([{ "name": "example.com", "DkimAttributes": null }]));

    let mut places: Vec<_> = shapes.iter().map(|shape| shape.0).collect();
    places.push("sa-east-1");
    let source = ses(aws_of(account).with_regions(regions(&places))).await;
    let found: BTreeMap<_, _> = source
        .find(&name("example.com"))
        .await
        .into_iter()
        .map(|identity| identity.expect("every place knows it"))
        .map(|identity| (identity.id.region.clone().expect("a region"), identity))
        .collect();

    assert_eq!(found.len(), places.len());
    for (region, _, status, expected, gap) in &shapes {
        let identity = &found[*region];
        assert_eq!(identity.status, *status, "{region}");
        assert_eq!(records(identity), *expected, "{region}");
        assert!(gaps(identity).contains(gap), "{region}: {}", gaps(identity));
        assert_eq!(identity.gaps.is_empty(), gap.is_empty(), "{region}: {}", gaps(identity));
    }
    let untold = &found["sa-east-1"];
    assert_eq!((&untold.status, untold.signing_enabled), (&ProviderStatus::Unknown, None));
    assert!(gaps(untold).contains("nothing about DKIM"), "{}", gaps(untold));
}

#[tokio::test]
async fn place_that_denies_is_an_error_beside_the_identity_of_another() {
    let (peer, account) = (Peer::shared(), "100000000004");
    peer.add_identities(account, HOME, &json!([{ "name": "example.com" }]));
    for operation in ["GetEmailIdentity", "GetIdentityDkimAttributes"] {
        let mut fault = denied(operation);
        fault["region"] = json!("eu-west-1");
        peer.add_fault(account, fault);
    }

    let source = ses(aws_of(account).with_regions(regions(&[HOME, "eu-west-1"]))).await;
    let found = source.find(&name("example.com")).await;

    let [Ok(identity), Err(error)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(identity.id.region.as_deref(), Some(HOME));
    assert_eq!(error.kind, ProviderErrorKind::Denied);
    assert_eq!(
        told(error),
        "SES eu-west-1: ses:GetEmailIdentity was denied: AccessDeniedException: no, not you"
    );
    assert!(hint(error).expect("a hint").contains("allow ses:GetEmailIdentity"));
}

#[tokio::test]
async fn v1_tells_the_status_where_v2_does_not_answer() {
    let faults = [
        ("100000000005", denied("GetEmailIdentity"), "allow ses:GetEmailIdentity"),
        ("100000000007", json!({ "body": "<html>Welcome</html>" }), "the body cannot be read"),
        ("100000000008", json!({ "drop": "at once" }), "the next look"),
        ("100000000009", json!({ "status": 429, "code": "TooManyRequestsException" }), "the next look"),
    ];
    let peer = Peer::shared();
    let looks = faults.map(|(account, mut fault, gap)| {
        let failing = json!({ "Status": "TEMPORARY_FAILURE", "Tokens": ["aaa", "bbb", "ccc"] });
        peer.add_identities(account, HOME, &json!([{ "name": "example.com", "DkimAttributes": failing }]));
        fault["operation"] = json!("GetEmailIdentity");
        peer.add_fault(account, fault);
        async move { (find_one(account).await, gap) }
    });
    for (found, gap) in futures_util::future::join_all(looks).await {
        let identity = found.expect("v1 knows it");
        assert_eq!(identity.status, ProviderStatus::TemporaryFailure);
        assert_eq!(records(&identity)[0], "aaa._domainkey.example.com CNAME aaa.dkim.amazonses.com");
        let gaps = gaps(&identity);
        assert!(gaps.contains(gap) && gaps.contains("assumed"), "{gaps}");
    }
}

#[tokio::test]
async fn v1_that_does_not_know_a_domain_does_not_make_a_denial_an_absence() {
    let account = "100000000006";
    Peer::shared().add_fault(account, denied("GetEmailIdentity"));
    assert_eq!(find_one(account).await.expect_err("v2 is denied").kind, ProviderErrorKind::Denied);
}

#[tokio::test]
async fn faults_that_may_pass_are_tried_again() {
    let throttle = json!({ "status": 429, "code": "TooManyRequestsException", "message": "slower" });
    let faults = [
        ("100000000011", throttle),
        ("100000000012", json!({ "status": 400, "code": "ThrottlingException" })),
        ("100000000013", json!({ "status": 503, "body": "<html>later</html>" })),
        ("100000000014", json!({ "drop": "at once" })),
        ("100000000015", json!({ "drop": "in the body" })),
    ];
    let peer = Peer::shared();
    let looks = faults.map(|(account, mut fault)| {
        peer.add_identities(account, HOME, &json!([{ "name": "example.com" }]));
        fault["operation"] = json!("GetEmailIdentity");
        fault["times"] = json!(2);
        peer.add_fault(account, fault);
        async move { (account, find_one(account).await) }
    });
    for (account, found) in futures_util::future::join_all(looks).await {
        let identity = found.expect("the third try is answered");
        assert_eq!(identity.status, ProviderStatus::Success);
        assert_eq!(peer.count(account, "GetEmailIdentity"), 3, "{account}");
    }
}

#[tokio::test]
async fn faults_that_stay_become_the_error_that_they_are() {
    use ProviderErrorKind::{Credentials, Throttled, Unavailable, Unusable};
    let expired = json!({ "status": 403, "code": "ExpiredTokenException", "message": "expired" });
    let unknown_key = json!({ "status": 403, "code": "UnrecognizedClientException", "message": "who?" });
    let faults = [
        ("100000000021", json!({ "status": 429, "code": "TooManyRequestsException" }), Throttled, 3),
        ("100000000022", json!({ "drop": "at once" }), Unavailable, 3),
        ("100000000023", json!({ "drop": "in the body" }), Unavailable, 3),
        ("100000000024", json!({ "status": 500, "code": "InternalFailure" }), Unavailable, 3),
        ("100000000025", json!({ "body": "<html>Welcome to this hotel</html>" }), Unusable, 1),
        ("100000000026", json!({ "status": 404, "body": "<html>Not here</html>" }), Unusable, 1),
        ("100000000027", json!({ "status": 403, "body": "<html>Forbidden</html>" }), Unusable, 1),
        ("100000000028", json!({ "status": 400, "code": "SomethingNew" }), Unusable, 1),
        ("100000000029", expired, Credentials, 1),
        ("100000000030", unknown_key, Credentials, 1),
    ];
    let peer = Peer::shared();
    let looks = faults.map(|(account, fault, kind, calls)| {
        for operation in ["GetEmailIdentity", "GetIdentityDkimAttributes", "GetCallerIdentity"] {
            let mut fault = fault.clone();
            fault["operation"] = json!(operation);
            peer.add_fault(account, fault);
        }
        async move { (account, find_one(account).await, kind, calls) }
    });
    for (account, found, kind, calls) in futures_util::future::join_all(looks).await {
        let error = found.expect_err("the fault stays");
        assert_eq!(error.kind, kind, "{account}: {}", told(&error));
        assert_eq!(
            (error.provider.as_str(), error.operation.as_str()),
            ("SES us-east-1", "ses:GetEmailIdentity")
        );
        assert!(error.source.is_some() && hint(&error).is_some(), "{account}");
        assert_eq!(peer.count(account, "GetEmailIdentity"), calls, "{account}");
    }
}

#[tokio::test]
async fn silent_endpoint_ends_a_look_in_time() {
    let account = "100000000031";
    for operation in ["GetEmailIdentity", "GetIdentityDkimAttributes", "GetCallerIdentity"] {
        Peer::shared().add_fault(account, json!({ "operation": operation, "delay": 20 }));
    }
    let start = Instant::now();
    let error = find_one(account).await.expect_err("nothing answers");
    assert_eq!(error.kind, ProviderErrorKind::Unavailable, "{}", told(&error));
    assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
}

#[tokio::test]
async fn region_that_is_not_switched_on_is_a_denial_where_the_key_is_good() {
    let (peer, account) = (Peer::shared(), "100000000032");
    peer.add_identities(account, HOME, &json!([{ "name": "example.com" }]));
    peer.add_fault(
        account,
        json!({ "operation": "GetEmailIdentity", "region": "me-south-1", "status": 403,
                "code": "UnrecognizedClientException", "message": "The security token is invalid." }),
    );
    let source = ses(aws_of(account).with_regions(regions(&[HOME, "me-south-1"]))).await;
    let found = source.find(&name("example.com")).await;
    let [Ok(_), Err(error)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(error.kind, ProviderErrorKind::Denied);
    assert!(told(error).contains("not switched on"), "{}", told(error));
}

#[tokio::test]
async fn all_regions_are_asked_at_once() {
    let (peer, account) = (Peer::shared(), "100000000033");
    peer.add_identities(account, "mx-central-1", &json!([{ "name": "example.com" }]));
    let found = ses(aws_of(account).with_all_regions()).await.find(&name("example.com")).await;
    let [Ok(identity)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(identity.id.region.as_deref(), Some("mx-central-1"));
    assert!(peer.count(account, "GetEmailIdentity") > 30);
    assert_eq!(peer.count(account, "GetCallerIdentity"), 1);
}

#[tokio::test]
async fn account_that_sts_does_not_tell_is_a_gap() {
    let (peer, account) = (Peer::shared(), "100000000034");
    peer.add_identities(account, HOME, &json!([{ "name": "example.com" }]));
    peer.add_fault(
        account,
        json!({ "operation": "GetCallerIdentity", "status": 403, "code": "AccessDenied", "message": "no" }),
    );
    let identity = find_one(account).await.expect("SES knows it");
    assert_eq!(identity.id.to_string(), "ses:-:us-east-1:example.com");
    assert!(gaps(&identity).contains("sts:GetCallerIdentity"), "{}", gaps(&identity));
}

/// Credentials that aren't there, and how often they were looked for.
#[derive(Clone, Debug, Default)]
struct Nowhere(Arc<AtomicUsize>);

impl ProvideCredentials for Nowhere {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        self.0.fetch_add(1, Ordering::Relaxed);
        future::ProvideCredentials::ready(Err(CredentialsError::not_loaded("nothing here")))
    }
}

#[tokio::test]
async fn absent_credentials_are_looked_for_once_and_no_call_is_made() {
    let nowhere = Nowhere::default();
    let regions = regions(&[HOME, "eu-west-1", "eu-west-2"]);
    let builder = Aws::builder()
        .with_endpoint_url(Peer::shared().url())
        .with_credentials(nowhere.clone())
        .with_regions(regions);
    let source = ses(builder).await;
    assert_eq!(nowhere.0.load(Ordering::Relaxed), 0, "nothing is looked for before it is needed");

    let found = source.find(&name("example.com")).await;

    let listed = all(&source).await;
    for found in [&found, &listed] {
        let [Err(error)] = &found[..] else { panic!("they are the same in every region: {found:?}") };
        assert_eq!(error.kind, ProviderErrorKind::Credentials, "{}", told(error));
        assert!(hint(error).expect("a hint").contains("AWS_ACCESS_KEY_ID"));
    }
    assert_eq!(nowhere.0.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn roles_lead_into_their_accounts() {
    let (peer, account) = (Peer::shared(), "100000000040");
    let roles = ["100000000041", "100000000042"];
    for role in roles {
        peer.add_identities(role, HOME, &json!([{ "name": "example.com" }]));
    }
    let arns = roles.map(|role| format!("arn:aws:iam::{role}:role/dkimguard").parse().expect("an ARN"));
    let source = ses(aws_of(account).with_roles(arns)).await;

    let found = source.find(&name("example.com")).await;

    let ids: Vec<_> = found.iter().map(|found| found.as_ref().expect("it is known").id.to_string()).collect();
    assert_eq!(ids, roles.map(|role| format!("ses:{role}:us-east-1:example.com")));
    assert_eq!(peer.count(account, "GetEmailIdentity"), 0, "the caller's own account isn't looked at");
    assert_eq!(peer.count(account, "AssumeRole"), 2);
}

#[tokio::test]
async fn role_that_may_not_be_assumed_is_named_as_the_missing_permission() {
    let (peer, account) = (Peer::shared(), "100000000043");
    peer.add_fault(
        account,
        json!({ "operation": "AssumeRole", "status": 403, "code": "AccessDenied", "message": "not that role" }),
    );
    let role = "arn:aws:iam::100000000044:role/dkimguard".parse().expect("an ARN");
    let builder = aws_of(account).with_roles([role]).with_regions(regions(&[HOME, "eu-west-1"]));
    let found = ses(builder).await.find(&name("example.com")).await;
    let [Err(error)] = &found[..] else { panic!("{found:?}") };
    assert_eq!(error.kind, ProviderErrorKind::Denied);
    assert_eq!(told(error), "STS: sts:AssumeRole was denied: AccessDenied: not that role");
    assert!(hint(error).expect("a hint").contains("sts:AssumeRole"));
}

#[tokio::test]
async fn up_to_twenty_domains_are_asked_for_one_by_one_behind_every_page() {
    let (peer, account) = (Peer::shared(), "100000000050");
    let mut identities: Vec<Value> = (0..1_497)
        .map(|number| json!({ "name": format!("p{number:04}@example.com"), "IdentityType": "EMAIL_ADDRESS" }))
        .collect();
    identities.push(json!({ "name": "a.example" }));
    identities.push(json!({ "name": "z.example", "IdentityType": "MANAGED_DOMAIN" }));
    identities.push(json!({ "name": "z z.example" }));
    peer.add_identities(account, HOME, &json!(identities));

    let found = all(&ses_of(account).await).await;

    let [Err(error), Ok(first), Ok(second)] = &found[..] else { panic!("{found:?}") };
    assert!(told(error).contains("`z z.example`"), "{}", told(error));
    assert_eq!([&first.id.domain, &second.id.domain], [&name("a.example"), &name("z.example")]);
    assert_eq!(peer.count(account, "ListEmailIdentities"), 2);
    assert_eq!(peer.count(account, "GetEmailIdentity"), 2);
    assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), 0);
}

#[tokio::test]
async fn many_domains_are_asked_for_in_hundreds_within_the_limit() {
    let (peer, account) = (Peer::shared(), "100000000051");
    let zone = json!({ "SigningHostedZone": "usual.example" });
    let replica =
        json!({ "SigningAttributesOrigin": "AWS_SES_EU_WEST_1", "SigningHostedZone": "other.example" });
    let mut changes: Vec<_> = (0..250).map(|number| (number, dkim(&zone))).collect();
    changes[0].1 = dkim(&replica);
    changes[7].1 = dkim(&json!({ "Status": "TEMPORARY_FAILURE", "SigningHostedZone": "usual.example" }));
    changes[120].1 = dkim(&json!({ "Status": "SOMETHING_NEW", "SigningHostedZone": "usual.example" }));
    changes[200].1 = dkim(&json!({ "Tokens": ["own"], "SigningAttributesOrigin": "EXTERNAL" }));
    changes[240].1 = dkim(&replica);
    peer.add_identities(account, HOME, &domains(250, &changes));
    // What SES allows; the second call at once forgives the network's jitter, no more.
    peer.limit(account, 1.0, 2);

    let source = ses_of(account).await;
    let found: BTreeMap<_, _> = all(&source)
        .await
        .into_iter()
        .map(|identity| identity.expect("nothing fails"))
        .map(|identity| (identity.id.domain.to_string(), identity))
        .collect();

    assert_eq!(found.len(), 250);
    assert!(found.values().all(|identity| identity.gaps.is_empty()));
    assert_eq!(found["d0007.example"].status, ProviderStatus::TemporaryFailure);
    assert_eq!(found["d0120.example"].status, ProviderStatus::Other("SOMETHING_NEW".to_owned()));
    assert!(records(&found["d0200.example"])[0].starts_with("own._domainkey.d0200.example TXT"));
    assert!(records(&found["d0000.example"])[0].ends_with("other.example"), "it was asked for in full");
    assert!(records(&found["d0249.example"])[0].ends_with("usual.example"));

    let calls = peer.calls(account);
    assert!(calls.iter().all(|call| call.outcome == "answered"), "{calls:?}");
    let asked = |operation: &str| -> Vec<_> {
        calls.iter().filter(|call| call.operation == operation).flat_map(|call| call.names.clone()).collect()
    };
    assert_eq!(peer.count(account, "ListEmailIdentities"), 1);
    assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), 3);
    assert_eq!(asked("GetIdentityDkimAttributes").len(), 250);
    // The first two in search of the usual zone, the others because v1 doesn't tell enough.
    let mut in_full = asked("GetEmailIdentity");
    in_full.sort();
    assert_eq!(
        in_full,
        ["d0000", "d0001", "d0007", "d0120", "d0200"].map(|label| format!("{label}.example"))
    );

    // A replica of another region's identity looks like the others to v1; its records aren't where they are usual.
    let assumed = &found["d0240.example"];
    assert!(records(assumed)[0].ends_with("usual.example"));
    let detailed = source.details(assumed).await.expect("SES knows it");
    assert!(records(&detailed)[0].ends_with("other.example"));
    assert_eq!(detailed.id, assumed.id);
    let before = peer.calls(account).len();
    let again = source.details(&found["d0007.example"]).await.expect("no call is needed");
    assert_eq!(again, found["d0007.example"]);
    assert_eq!(peer.calls(account).len(), before);
}

#[tokio::test]
async fn domains_are_asked_for_one_by_one_where_v1_is_denied() {
    let (peer, account) = (Peer::shared(), "100000000052");
    let zone = dkim(&json!({ "SigningHostedZone": "own.example" }));
    peer.add_identities(account, HOME, &domains(21, &[(0, zone)]));
    peer.add_fault(
        account,
        json!({ "operation": "GetIdentityDkimAttributes", "status": 403, "code": "AccessDenied", "message": "no" }),
    );
    let source = ses_of(account).await;
    let first = source.identities().next().await.expect("an identity").expect("v2 tells");
    assert!(records(&first)[0].ends_with("own.example"));
    assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), 1);
}

#[tokio::test]
async fn domains_that_v1_cannot_tell_of_now_are_given_with_a_gap() {
    let (peer, account) = (Peer::shared(), "100000000053");
    peer.add_identities(account, HOME, &domains(21, &[]));
    peer.add_fault(account, json!({ "operation": "GetIdentityDkimAttributes", "drop": "at once" }));
    let found = all(&ses_of(account).await).await;
    assert_eq!(found.len(), 21);
    for identity in found {
        let identity = identity.expect("it is on the list");
        assert_eq!(identity.status, ProviderStatus::Unknown);
        assert!(identity.selectors.is_empty());
        assert!(identity.gaps.iter().any(|gap| gap.transient), "{}", gaps(&identity));
    }
    assert_eq!(peer.count(account, "GetEmailIdentity"), 0);
}

#[tokio::test]
async fn v1_is_enough_for_a_status_where_v2_is_denied_to_many() {
    let (peer, account) = (Peer::shared(), "100000000054");
    peer.add_identities(account, HOME, &domains(21, &[(20, dkim(&json!({ "Status": "FAILED" })))]));
    peer.add_fault(account, denied("GetEmailIdentity"));
    let found = all(&ses_of(account).await).await;
    assert_eq!(found.len(), 21);
    for (number, identity) in found.iter().enumerate() {
        let identity = identity.as_ref().expect("v1 tells");
        let status = if number == 20 { ProviderStatus::Failed } else { ProviderStatus::Success };
        assert_eq!(identity.status, status);
        assert!(gaps(identity).contains("allow ses:GetEmailIdentity"), "{}", gaps(identity));
        assert!(records(identity)[0].ends_with("dkim.amazonses.com"));
    }
    assert_eq!(peer.count(account, "GetEmailIdentity"), 2, "once for the zone, once for the failed one");
}

#[tokio::test]
async fn list_that_is_denied_is_one_error_and_other_regions_go_on() {
    let (peer, account) = (Peer::shared(), "100000000055");
    let mut fault = denied("ListEmailIdentities");
    fault["region"] = json!("eu-west-1");
    peer.add_fault(account, fault);
    peer.add_identities(account, HOME, &json!([{ "name": "example.com" }]));
    let source = ses(aws_of(account).with_regions(regions(&["eu-west-1", HOME]))).await;
    let found = all(&source).await;
    assert_eq!(found.len(), 2, "{found:?}");
    let error = found.iter().find_map(|found| found.as_ref().err()).expect("an error");
    assert_eq!(
        (error.kind, error.operation.as_str()),
        (ProviderErrorKind::Denied, "ses:ListEmailIdentities")
    );
    let identity = found.iter().find_map(|found| found.as_ref().ok()).expect("an identity");
    assert_eq!(identity.id.to_string(), "ses:100000000055:us-east-1:example.com");
}

/// Finds many domains: their names as given, each with what was found.
async fn find_many(source: &SesSource, domains: &[Name]) -> Vec<Vec<Result<Identity, ProviderError>>> {
    let found: Vec<_> = source.find_many(domains).collect().await;
    let (names, found): (Vec<Name>, Vec<_>) = found.into_iter().unzip();
    assert_eq!(names, domains, "in their order");
    found
}

#[tokio::test]
async fn many_named_domains_are_asked_for_in_hundreds_in_every_place_and_without_a_list() {
    let (peer, account) = (Peer::shared(), "100000000060");
    let zone = json!({ "SigningHostedZone": "usual.example" });
    let failing = json!({ "Status": "FAILED", "SigningHostedZone": "usual.example" });
    let mut changes: Vec<_> = (0..119).map(|number| (number, dkim(&zone))).collect();
    changes[110].1 = dkim(&failing);
    peer.add_identities(account, HOME, &domains(119, &changes));
    peer.add_identities(account, "eu-west-1", &json!([{ "name": "d0118.example" }]));
    let source = ses(aws_of(account).with_regions(regions(&[HOME, "eu-west-1"]))).await;
    // The last first: what counts is the order in which they were named. The one in front is nobody's.
    let mut named = vec![name("stranger.example")];
    named.extend((100..119).rev().map(|number| name(&format!("d{number:04}.example"))));
    named.extend([name("d0001.example"), name("d0000.example")]);

    let found = find_many(&source, &named).await;

    assert!(found[0].is_empty(), "{:?}", found[0]);
    let places: Vec<_> =
        found[1].iter().map(|found| found.as_ref().expect("both know it").id.to_string()).collect();
    assert_eq!(places, [HOME, "eu-west-1"].map(|region| format!("ses:{account}:{region}:d0118.example")));
    for (domain, found) in named.iter().zip(&found).skip(2) {
        let [Ok(identity)] = &found[..] else { panic!("{domain}: {found:?}") };
        assert_eq!(identity.domain(), domain);
        assert!(records(identity)[0].ends_with("usual.example"), "{domain}");
        let status = if *domain == name("d0110.example") { "failed" } else { "success" };
        assert_eq!(identity.status.as_str(), status, "{domain}");
    }
    let home: Vec<_> = peer.calls(account).into_iter().filter(|call| call.region == HOME).collect();
    let asked = |operation: &str| -> Vec<_> {
        let calls = home.iter().filter(|call| call.operation == operation);
        calls.map(|call| call.names.clone()).collect()
    };
    assert_eq!(peer.count(account, "ListEmailIdentities"), 0);
    assert_eq!(asked("GetIdentityDkimAttributes").iter().map(Vec::len).collect::<Vec<_>>(), [22]);
    let mut in_full = asked("GetEmailIdentity").concat();
    in_full.sort();
    assert_eq!(in_full, ["d0110.example", "d0118.example", "stranger.example"], "the rest v1 has told");
}

#[tokio::test]
async fn up_to_twenty_named_domains_are_asked_for_one_by_one() {
    let (peer, account) = (Peer::shared(), "100000000061");
    peer.add_identities(account, HOME, &domains(2, &[]));
    let named = ["d0001.example", "stranger.example", "d0000.example"].map(name);
    let found = find_many(&ses_of(account).await, &named).await;
    assert_eq!(found.iter().map(Vec::len).collect::<Vec<_>>(), [1, 0, 1]);
    assert_eq!(peer.count(account, "GetEmailIdentity"), 3);
    assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), 0);
}

#[tokio::test]
async fn many_named_domains_have_an_error_each_where_nothing_tells_of_them() {
    let unknown_key = json!({ "status": 403, "code": "UnrecognizedClientException", "message": "who?" });
    let (peer, named) =
        (Peer::shared(), (0..21).map(|n| name(&format!("d{n:04}.example"))).collect::<Vec<_>>());
    let cut = json!({ "drop": "at once" });
    for (account, fault, kind, calls) in [
        ("100000000062", cut, ProviderErrorKind::Unavailable, 3),
        ("100000000063", unknown_key, ProviderErrorKind::Credentials, 1),
    ] {
        for operation in ["GetIdentityDkimAttributes", "GetEmailIdentity", "GetCallerIdentity"] {
            let mut fault = fault.clone();
            fault["operation"] = json!(operation);
            peer.add_fault(account, fault);
        }
        for found in find_many(&ses_of(account).await, &named).await {
            let [Err(error)] = &found[..] else { panic!("{account}: {found:?}") };
            assert_eq!(error.kind, kind, "{account}: {}", told(error));
        }
        assert_eq!(peer.count(account, "GetIdentityDkimAttributes"), calls, "{account}");
        assert_eq!(peer.count(account, "GetEmailIdentity"), 0, "{account}");
    }
}

#[tokio::test]
async fn denial_does_not_make_a_named_domain_that_v1_does_not_know_an_identity() {
    let (peer, account) = (Peer::shared(), "100000000064");
    peer.add_identities(
        account,
        HOME,
        &domains(20, &[(1, dkim(&json!({ "Status": "NOT_STARTED", "Tokens": null })))]),
    );
    peer.add_fault(account, denied("GetEmailIdentity"));
    let mut named: Vec<_> = (0..20).map(|number| name(&format!("d{number:04}.example"))).collect();
    named.push(name("stranger.example"));

    let found = find_many(&ses_of(account).await, &named).await;

    for (number, found) in found.iter().enumerate() {
        match &found[..] {
            [Ok(identity)] if ![1, 20].contains(&number) => {
                assert!(gaps(identity).contains("allow ses:GetEmailIdentity"), "{}", gaps(identity));
            }
            // Of those two v1 says no more than that nothing was started, or nothing.
            [Err(error)] if [1, 20].contains(&number) => assert_eq!(error.kind, ProviderErrorKind::Denied),
            _ => panic!("{number}: {found:?}"),
        }
    }
}

/// Keeps what each call was, and why it failed.
#[derive(Debug, Default)]
struct Observed(Mutex<Vec<(&'static str, Option<ProviderErrorKind>)>>);

impl CallObserver for Observed {
    fn note(&self, call: &EndedCall) {
        self.0.lock().expect("nobody panics").push((call.operation, call.failure));
    }
}

#[tokio::test]
async fn each_try_of_each_call_is_observed() {
    let (account, owner) = ("100000000901", "100000000902");
    Peer::shared().add_identities(owner, HOME, &json!([{ "name": "example.com" }]));
    let passing = json!({ "operation": "GetEmailIdentity", "times": 1, "status": 429,
                          "code": "TooManyRequestsException", "message": "later" });
    Peer::shared().add_fault(owner, passing);
    let observed = Arc::new(Observed::default());
    let role = format!("arn:aws:iam::{owner}:role/look").parse().expect("a role");
    let ses = ses(aws_of(account).with_roles([role]).with_observer(Arc::clone(&observed))).await;
    let found = ses.find(&name("example.com")).await;
    assert!(found.iter().all(Result::is_ok), "{found:?}");
    let calls = observed.0.lock().expect("nobody panics").clone();
    let expected = [
        ("sts:AssumeRole", None),
        ("ses:GetEmailIdentity", Some(ProviderErrorKind::Throttled)),
        ("ses:GetEmailIdentity", None),
    ];
    assert_eq!(calls, expected);
}
