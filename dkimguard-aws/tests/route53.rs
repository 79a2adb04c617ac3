//! Route 53 through the real SDK, against a peer that speaks HTTP.

mod peer;

use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use dkimguard_aws::{Aws, AwsBuilder, Route53, hint};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{IdentitySource, ZoneView};
use dkimguard_core::record::{Record, RecordKind};
use dkimguard_core::zone::{HostedZone, Visibility};
use peer::Peer;
use serde_json::{Value, json};

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

async fn route53(account: &str) -> Route53 {
    aws_of(account).load().await.expect("a region is set").route53()
}

/// The zones of example.com with what is at and below `_domainkey`.
async fn look(account: &str) -> Result<Vec<HostedZone>, ProviderError> {
    route53(account).await.zones(&name("example.com"), &name("_domainkey.example.com")).await
}

fn cname(owner: &str, target: &str) -> Value {
    json!({ "name": owner, "type": "CNAME", "values": [target] })
}

fn records(zone: &HostedZone) -> Vec<String> {
    zone.records.iter().map(|record| format!("{} {} {}", record.name, record.kind(), record.data)).collect()
}

fn calls(account: &str) -> Vec<String> {
    let calls = Peer::shared().calls(account).into_iter();
    calls.map(|call| format!("{} {}", call.operation, call.names.join(" "))).collect()
}

fn told(error: &ProviderError) -> String {
    let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

#[tokio::test]
async fn one_public_zone_costs_three_calls_and_tells_servers_and_records() {
    let account = "300000000001";
    Peer::shared().add_zones(
        account,
        &json!([{
            "name": "example.com",
            "id": "Z1",
            "servers": ["ns-1.awsdns-00.com", "ns-2.awsdns-00.co.uk."],
            "records": [
                { "name": "example.com", "type": "NS", "values": ["ns-1.awsdns-00.com."] },
                cname("bbb._domainkey.example.com", "bbb.dkim.amazonses.com."),
                cname("aaa._domainkey.example.com", "AAA.dkim.amazonses.com"),
                { "name": "own._domainkey.example.com", "type": "TXT", "ttl": 60,
                  "values": ["\"v=DKIM1; p=\" \"abc\"", "\"second\""] },
                { "name": "_domainkey-old.example.com", "type": "A", "values": ["192.0.2.1"] },
                { "name": "_domainkeys.example.com", "type": "A", "values": ["192.0.2.1"] },
                { "name": "www.example.com", "type": "A", "values": ["192.0.2.1"] },
            ],
        }]),
    );

    let zones = look(account).await.expect("the zone is shown");

    assert_eq!(zones.len(), 1, "{zones:?}");
    let zone = &zones[0];
    assert_eq!((zone.id.as_str(), zone.host.as_str()), ("Z1", "Route 53"));
    assert_eq!((&zone.name, zone.visibility), (&name("example.com"), Visibility::Public));
    assert_eq!(zone.servers, [name("ns-1.awsdns-00.com"), name("ns-2.awsdns-00.co.uk")]);
    assert_eq!(
        records(zone),
        [
            "aaa._domainkey.example.com CNAME aaa.dkim.amazonses.com",
            "bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com",
            "own._domainkey.example.com TXT v=DKIM1; p=abc",
            "own._domainkey.example.com TXT second",
        ]
    );
    assert_eq!(zone.records[3].ttl, 60);
    let mut calls = calls(account);
    calls.sort();
    assert_eq!(
        calls,
        [
            "GetHostedZone Z1",
            "ListHostedZonesByName example.com",
            "ListResourceRecordSets Z1 _domainkey.example.com",
        ]
    );
    assert!(Peer::shared().calls(account).iter().all(|call| call.region == "us-east-1"));
}

#[tokio::test]
async fn zones_of_one_name_are_all_shown_and_neighbours_are_not_read() {
    let account = "300000000002";
    Peer::shared().add_zones(
        account,
        &json!([
            { "name": "example.com", "id": "ZPUBLIC1", "servers": ["ns-1.awsdns-00.com"] },
            { "name": "example.com", "id": "ZPUBLIC2", "servers": ["ns-9.awsdns-00.com"],
              "records": [cname("aaa._domainkey.example.com", "aaa.dkim.amazonses.com")] },
            { "name": "example.com", "id": "ZPRIVATE", "private": true,
              "records": [cname("aaa._domainkey.example.com", "private.example")] },
            { "name": "a.example.com", "id": "ZBELOW" },
            { "name": "example.co", "id": "ZBEFORE" },
            { "name": "example.community", "id": "ZAFTER" },
            { "name": "com", "id": "ZABOVE" },
        ]),
    );

    let zones = look(account).await.expect("the zones are shown");

    let shown: Vec<_> = zones
        .iter()
        .map(|zone| (zone.id.as_str(), zone.visibility, zone.servers.len(), zone.records.len()))
        .collect();
    assert_eq!(
        shown,
        [
            ("ZPRIVATE", Visibility::Private, 0, 1),
            ("ZPUBLIC1", Visibility::Public, 1, 0),
            ("ZPUBLIC2", Visibility::Public, 1, 1),
        ]
    );
    let peer = Peer::shared();
    assert_eq!(peer.count(account, "ListHostedZonesByName"), 1);
    assert_eq!(peer.count(account, "GetHostedZone"), 2);
    assert_eq!(peer.count(account, "ListResourceRecordSets"), 3);
}

#[tokio::test]
async fn list_is_read_as_far_as_the_name_goes_and_no_further() {
    let account = "300000000003";
    let mut zones: Vec<Value> = (0..5)
        .map(|number| json!({ "name": "example.com", "id": format!("Z{number}"), "private": true }))
        .collect();
    zones.extend((0..20).map(|n| json!({ "name": format!("n{n}.example.com"), "id": format!("N{n}") })));
    Peer::shared().add_zones_in_pages(account, 2, &json!(zones));
    let zones = look(account).await.expect("the zones are shown");
    let ids: Vec<_> = zones.iter().map(|zone| zone.id.as_str()).collect();
    assert_eq!(ids, ["Z0", "Z1", "Z2", "Z3", "Z4"]);
    assert_eq!(Peer::shared().count(account, "ListHostedZonesByName"), 3);
}

#[tokio::test]
async fn zone_that_is_deleted_meanwhile_is_left_out() {
    let account = "300000000008";
    Peer::shared().add_zones(
        account,
        &json!([{ "name": "example.com", "id": "ZGONE" }, { "name": "example.com", "id": "ZHELD" }]),
    );
    let gone = json!({ "operation": "ListResourceRecordSets", "name": "ZGONE", "status": 404,
                       "code": "NoSuchHostedZone", "message": "No hosted zone found with ID: ZGONE" });
    Peer::shared().add_fault(account, gone);
    let zones = look(account).await.expect("one is still held");
    assert_eq!(zones.iter().map(|zone| zone.id.as_str()).collect::<Vec<_>>(), ["ZHELD"]);
}

#[tokio::test]
async fn account_without_a_zone_of_the_name_costs_one_call() {
    let account = "300000000004";
    Peer::shared().add_zones(account, &json!([{ "name": "example.org", "id": "Z1" }]));
    assert_eq!(look(account).await.expect("it was asked"), []);
    assert_eq!(calls(account), ["ListHostedZonesByName example.com"]);
}

#[tokio::test]
async fn large_zone_is_read_only_where_it_was_asked_for() {
    let account = "300000000005";
    let keys: Vec<Value> = (0..3)
        .map(|number| cname(&format!("t{number}._domainkey.example.com"), "t.dkim.amazonses.com"))
        .collect();
    Peer::shared().add_zones(
        account,
        &json!([{ "name": "example.com", "id": "Z1", "records": keys, "fill": 100_000 }]),
    );
    let zones = look(account).await.expect("the zone is shown");
    assert_eq!(zones[0].records.len(), 3);
    assert_eq!(Peer::shared().count(account, "ListResourceRecordSets"), 1);
}

#[tokio::test]
async fn records_go_on_over_pages_and_too_many_are_an_error() {
    let account = "300000000006";
    let keys: Vec<Value> = (0..650)
        .map(|number| cname(&format!("t{number:03}._domainkey.example.com"), "t.dkim.amazonses.com"))
        .collect();
    // Records of a routing policy share name and type; a page may end between two of them.
    let weighted: Vec<Value> = (0..400)
        .map(|number| {
            json!({ "name": "w._domainkey.example.org", "type": "CNAME", "identifier": format!("{number:03}"),
                    "values": [format!("w{number}.example")] })
        })
        .collect();
    Peer::shared().add_zones(
        account,
        &json!([
            { "name": "example.com", "id": "Z1", "records": keys, "fill": 5_000 },
            { "name": "example.org", "id": "Z2", "records": weighted },
            { "name": "example.net", "id": "Z3", "fill": 7_000 },
        ]),
    );
    let zones = look(account).await.expect("the zone is shown");
    assert_eq!(zones[0].records.len(), 650);
    assert_eq!(Peer::shared().count(account, "ListResourceRecordSets"), 3);

    let route53 = route53(account).await;
    let zones = route53.zones(&name("example.org"), &name("_domainkey.example.org")).await;
    assert_eq!(zones.expect("the zone is shown")[0].records.len(), 400);

    let error = route53.zones(&name("example.net"), &name("example.net")).await.expect_err("too many");
    assert_eq!(error.kind, ProviderErrorKind::Unusable);
    assert!(told(&error).contains("more than 6000 records at or below example.net"), "{}", told(&error));
}

#[tokio::test]
async fn names_with_escapes_and_aliases_are_read() {
    let account = "300000000007";
    Peer::shared().add_zones(
        account,
        &json!([{
            "name": "example.com",
            "id": "Z1",
            "records": [
                cname("*._domainkey.example.com", "wild.example"),
                cname("a b._domainkey.example.com", "blank.example"),
                { "name": "aaa._domainkey.example.com", "type": "A",
                  "alias": { "HostedZoneId": "Z2FDTNDATAQYW2", "DNSName": "d1.cloudfront.net.",
                             "EvaluateTargetHealth": false } },
            ],
        }]),
    );
    let zones = look(account).await.expect("the zone is shown");
    let zone = &zones[0];
    assert_eq!(zone.at(&name("*._domainkey.example.com")).count(), 1, "{zone:?}");
    assert_eq!(zone.at(&name("a\\032b._domainkey.example.com")).count(), 1, "{zone:?}");
    let aliased = name("aaa._domainkey.example.com");
    assert_eq!(zone.at(&aliased).map(Record::kind).collect::<Vec<_>>(), [RecordKind::A]);

    let wild = name("*._domainkey.example.com");
    let zones = route53(account).await.zones(&name("example.com"), &wild).await.expect("the zone is shown");
    assert_eq!(records(&zones[0]), ["*._domainkey.example.com CNAME wild.example"]);
}

#[tokio::test]
async fn missing_permission_is_an_error_that_names_it() {
    for (account, operation) in [
        ("300000000011", "ListHostedZonesByName"),
        ("300000000012", "GetHostedZone"),
        ("300000000013", "ListResourceRecordSets"),
    ] {
        let peer = Peer::shared();
        peer.add_zones(account, &json!([{ "name": "example.com", "id": "Z1" }]));
        peer.add_fault(
            account,
            json!({ "operation": operation, "status": 403, "code": "AccessDenied", "message": "not you" }),
        );
        let error = look(account).await.expect_err("it is denied");
        let action = format!("route53:{operation}");
        assert_eq!((error.kind, &error.operation), (ProviderErrorKind::Denied, &action));
        assert_eq!(told(&error), format!("Route 53: {action} was denied: AccessDenied: not you"));
        assert!(hint(&error).is_some_and(|hint| hint.contains(&action)));
        assert_eq!(peer.count(account, operation), 1);
    }
}

#[tokio::test]
async fn fault_that_passes_is_tried_again_and_one_that_stays_is_told() {
    let (peer, account) = (Peer::shared(), "300000000014");
    peer.add_zones(account, &json!([{ "name": "example.com", "id": "Z1" }]));
    let throttled = json!({ "operation": "GetHostedZone", "times": 2, "status": 400, "code": "Throttling",
                            "message": "Rate exceeded" });
    peer.add_fault(account, throttled);
    assert_eq!(look(account).await.expect("the third try succeeds").len(), 1);
    assert_eq!(peer.count(account, "GetHostedZone"), 3);

    let stays = json!({ "operation": "ListHostedZonesByName", "status": 400, "code": "Throttling" });
    peer.add_fault(account, stays);
    let error = look(account).await.expect_err("it is throttled");
    assert_eq!(error.kind, ProviderErrorKind::Throttled);
    assert!(error.is_transient());
    assert!(hint(&error).is_some_and(|hint| hint.contains("Route 53 allows five calls a second")));
}

#[tokio::test]
async fn calls_keep_to_the_limit_of_the_account() {
    let (peer, account) = (Peer::shared(), "300000000015");
    peer.add_zones(account, &json!([{ "name": "example.com", "id": "Z1" }]));
    peer.limit_service(account, "route53", 5.0, 1);
    let route53 = route53(account).await;
    let start = Instant::now();
    let (zone, below) = (name("example.com"), name("_domainkey.example.com"));
    let looks = (0..5).map(|_| route53.zones(&zone, &below));
    let looks = futures_util::future::join_all(looks).await;
    assert!(looks.iter().all(Result::is_ok), "{looks:?}");
    // A turn that the machine delays makes the next seem early; the tries are there for that.
    let answered = peer.calls(account).into_iter().filter(|call| call.outcome == "answered");
    assert_eq!(answered.count(), 15);
    assert!(start.elapsed() >= Duration::from_millis(14 * 223), "{:?}", start.elapsed());
}

#[tokio::test]
async fn accounts_of_roles_are_united_and_one_that_is_denied_hides_no_zone() {
    let peer = Peer::shared();
    let (own, one, other, third) = ("300000000021", "300000000022", "300000000023", "300000000024");
    peer.add_zones(one, &json!([{ "name": "example.com", "id": "ZONE" }]));
    peer.add_zones(other, &json!([{ "name": "example.com", "id": "ZOTHER", "private": true }]));
    peer.add_fault(
        third,
        json!({ "operation": "ListHostedZonesByName", "status": 403, "code": "AccessDenied" }),
    );
    let with_roles = |roles: &[(&str, &str)]| {
        let arn = |(account, role): &(&str, &str)| {
            format!("arn:aws:iam::{account}:role/{role}").parse().expect("a role's ARN")
        };
        aws_of(own).with_roles(roles.iter().map(arn).collect::<Vec<_>>()).load()
    };
    let look = async |roles: &[(&str, &str)]| {
        let route53 = with_roles(roles).await.expect("a region is set").route53();
        route53.zones(&name("example.com"), &name("_domainkey.example.com")).await
    };
    let ids = |zones: Vec<HostedZone>| zones.into_iter().map(|zone| zone.id).collect::<Vec<_>>();

    let zones = look(&[(one, "a"), (one, "b"), (other, "a"), (third, "a")]).await;
    assert_eq!(ids(zones.expect("two accounts hold the zone")), ["ZONE", "ZOTHER"]);

    let error = look(&[(third, "a"), ("300000000025", "a")]).await.expect_err("a denied account may hold it");
    assert_eq!(error.kind, ProviderErrorKind::Denied);
}

#[tokio::test]
async fn identity_zone_and_history_of_a_domain_cost_six_calls() {
    use dkimguard_core::history::{Topic, ZoneChange};
    use dkimguard_core::ports::ChangeHistory;

    let (peer, account) = (Peer::shared(), "300000000031");
    peer.add_identities(account, "eu-west-1", &json!([{ "name": "example.com" }]));
    peer.add_zones(account, &json!([{ "name": "example.com", "id": "Z1" }]));
    let aws = aws_of(account).load().await.expect("a region is set");

    let (ses, route53, cloudtrail) = (aws.ses(), aws.route53(), aws.cloudtrail());
    let found = ses.find(&name("example.com")).await;
    let zones = route53.zones(&name("example.com"), &name("_domainkey.example.com")).await;
    let history = cloudtrail.changes(&Topic::Zone { id: "Z1".to_owned(), sought: ZoneChange::Records }).await;

    assert!(found.iter().all(Result::is_ok) && zones.is_ok() && history.is_ok());
    let mut operations: Vec<_> = peer.calls(account).into_iter().map(|call| call.operation).collect();
    operations.sort();
    assert_eq!(
        operations,
        [
            "GetCallerIdentity",
            "GetEmailIdentity",
            "GetHostedZone",
            "ListHostedZonesByName",
            "ListResourceRecordSets",
            "LookupEvents",
        ]
    );
}
