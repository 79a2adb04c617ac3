//! What a repair writes, through the real SDK, against a peer that speaks HTTP.

mod peer;

use std::collections::BTreeSet;
use std::time::Duration;

use aws_credential_types::Credentials;
use dkimguard_aws::{Aws, AwsBuilder, REPAIR_POLICY, hint};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::identity::{Identity, KeyMaker, ProviderStatus};
use dkimguard_core::look::Rcode;
use dkimguard_core::name::Name;
use dkimguard_core::ports::{IdentitySource, Published, Rearm, RecordPublisher, ZoneView};
use dkimguard_core::record::{Record, RecordData, Txt};
use dkimguard_core::repair::{Edit, RepairPlan, TargetZone};
use dkimguard_core::testing::{Fault, Lab, World, conformance};
use peer::Peer;
use serde_json::{Value, json};

const REGION: &str = "eu-west-1";
const ZONE: &str = "Z1";
const DOMAIN: &str = "example.com";

fn name(text: &str) -> Name {
    text.parse().expect("a domain name")
}

fn aws_of(account: &str) -> AwsBuilder {
    let credentials = Credentials::new(Peer::access_key(account), "secret", None, None, "test");
    Aws::builder()
        .with_endpoint_url(Peer::shared().url())
        .with_credentials(credentials)
        .with_regions([REGION.parse().expect("a region")])
}

async fn aws(account: &str) -> Aws {
    aws_of(account).load().await.expect("a region is set")
}

fn cname(owner: &str, target: &str) -> Record {
    Record { name: name(owner), ttl: 300, data: RecordData::Cname(name(target)) }
}

fn txt(owner: &str, strings: &[&[u8]]) -> Record {
    Record { name: name(owner), ttl: 300, data: RecordData::Txt(Txt::new(strings.iter().copied())) }
}

fn edit(owner: &str, before: Vec<Record>, after: Option<Record>) -> Edit {
    Edit { name: name(owner), before, after, reason: "It must be so.".to_owned() }
}

fn plan(edits: Vec<Edit>) -> RepairPlan {
    let zone = TargetZone { id: ZONE.to_owned(), host: "Route 53".to_owned(), name: name(DOMAIN) };
    RepairPlan { zone, edits }
}

const FIRST: &str = "aaa._domainkey.example.com";
const SECOND: &str = "bbb._domainkey.example.com";

/// Creates at the first name, replaces at the second.
fn usual_plan() -> RepairPlan {
    plan(vec![
        edit(FIRST, Vec::new(), Some(cname(FIRST, "aaa.dkim.amazonses.com"))),
        edit(SECOND, vec![cname(SECOND, "wrong.example.net")], Some(cname(SECOND, "bbb.dkim.amazonses.com"))),
    ])
}

fn told(owner: &str, target: &str) -> Value {
    json!({ "name": owner, "type": "CNAME", "values": [target] })
}

/// A zone in which the usual plan can be carried out.
fn add_zone(account: &str, more: &[Value]) {
    let mut records =
        vec![told(SECOND, "wrong.example.net."), told("ccc._domainkey.example.com", "another.example.net")];
    records.extend_from_slice(more);
    Peer::shared().add_zones(account, &json!([{ "name": DOMAIN, "id": ZONE, "records": records }]));
}

async fn held(account: &str) -> Vec<String> {
    let zones = aws(account).await.route53().zones(&name(DOMAIN), &name(DOMAIN)).await;
    let zone = zones.expect("the zone is shown").remove(0);
    let line = |record: Record| format!("{} {} {} {}", record.name, record.ttl, record.kind(), record.data);
    zone.records.into_iter().map(line).collect()
}

fn is_applied(held: &[String]) -> bool {
    held == [
        "aaa._domainkey.example.com 300 CNAME aaa.dkim.amazonses.com",
        "bbb._domainkey.example.com 300 CNAME bbb.dkim.amazonses.com",
        "ccc._domainkey.example.com 300 CNAME another.example.net",
    ]
}

fn calls(account: &str) -> Vec<String> {
    Peer::shared().calls(account).into_iter().map(|call| call.operation).collect()
}

fn said(error: &ProviderError) -> String {
    let source = error.source.as_ref().map(ToString::to_string).unwrap_or_default();
    format!("{error}: {source}")
}

fn fault(operation: &str, times: u32, what: &Value) -> Value {
    let mut fault = json!({ "operation": operation, "times": times });
    let fields = what.as_object().expect("an object").clone();
    fault.as_object_mut().expect("an object").extend(fields);
    fault
}

const LIST: &str = "ListResourceRecordSets";
const CHANGE: &str = "ChangeResourceRecordSets";
const PUT: &str = "PutEmailIdentityDkimSigningAttributes";

#[tokio::test]
async fn route53_keeps_the_contract_of_a_publisher() {
    let account = "500000000001";
    let more = [json!({ "name": "www.example.com", "type": "A", "alias": {
        "HostedZoneId": "Z2", "DNSName": "d1.cloudfront.net.", "EvaluateTargetHealth": "false" } })];
    add_zone(account, &more);
    Peer::shared().set_changes(account, json!({ "sync_asks": 1, "one_at_a_time": true }));
    let aws = aws(account).await;
    conformance::publisher(&aws.publisher(), &aws.route53(), &name(DOMAIN)).await;
}

#[tokio::test]
async fn ses_keeps_the_contract_of_a_rearm() {
    let (peer, account) = (Peer::shared(), "500000000002");
    let of = |domain: &str, attributes: Value| json!({ "name": domain, "DkimAttributes": attributes });
    peer.add_identities(
        account,
        REGION,
        &json!([
            of("idle.example", json!({ "Status": "FAILED" })),
            of("sound.example", json!({})),
            of("waiting.example", json!({ "Status": "PENDING" })),
            of("behind.example", json!({ "Status": "TEMPORARY_FAILURE" })),
            of(
                "replica.example",
                json!({ "Status": "FAILED", "SigningAttributesOrigin": "AWS_SES_US_EAST_1" })
            ),
            of(
                "own.example",
                json!({ "Status": "FAILED", "SigningAttributesOrigin": "EXTERNAL", "Tokens": ["s1"] })
            ),
            of(
                "untold.example",
                json!({ "Status": "FAILED", "SigningAttributesOrigin": null, "Tokens": ["s1"] })
            ),
            of("new.example", json!({ "Status": "FAILED", "SigningAttributesOrigin": "SOMETHING" })),
        ]),
    );
    peer.set_restart(account, REGION, "idle.example", json!({ "tokens": ["xxx", "yyy", "zzz"] }));
    let aws = aws(account).await;
    let others = ["sound", "waiting", "behind", "replica", "own", "untold", "new"];
    let others = others.map(|label| name(&format!("{label}.example")));
    conformance::rearm(&aws.rearm(), &aws.ses(), &name("idle.example"), &others).await;
    assert_eq!(peer.count(account, PUT), 1, "what mustn't be touched is never called for");
}

#[tokio::test]
async fn plan_is_one_batch_that_states_what_it_takes_away() {
    let (peer, account) = (Peer::shared(), "500000000003");
    add_zone(account, &[]);
    peer.set_changes(account, json!({ "sync_asks": 1 }));
    let publisher = aws(account).await.publisher();

    let published = publisher.apply(&usual_plan()).await.expect("the zone is as the plan saw it");
    let in_sync = [publisher.is_in_sync(&published).await, publisher.is_in_sync(&published).await];

    assert_eq!(in_sync.map(|answer| answer.expect("it is told")), [false, true]);
    assert_eq!(calls(account), [LIST, LIST, CHANGE, "GetChange", "GetChange"]);
    let changes = peer.changes(account);
    assert_eq!(changes.len(), 1);
    assert_eq!(published.change.as_deref(), changes[0]["id"].as_str());
    assert_eq!(changes[0]["comment"], "dkimguard repair of example.com");
    let made = changes[0]["changes"].as_array().expect("a list").iter();
    let made: Vec<_> =
        made.map(|made| format!("{} {} {}", made["action"], made["name"], made["values"])).collect();
    assert_eq!(
        made,
        [
            r#""CREATE" "aaa._domainkey.example.com." ["aaa.dkim.amazonses.com"]"#,
            r#""DELETE" "bbb._domainkey.example.com." ["wrong.example.net."]"#,
            r#""CREATE" "bbb._domainkey.example.com." ["bbb.dkim.amazonses.com"]"#,
        ]
    );
    assert!(is_applied(&held(account).await));

    let again = publisher.apply(&usual_plan()).await.expect("it is as the plan makes it");
    assert_eq!(again, Published { change: None });
    assert!(publisher.is_in_sync(&again).await.expect("there is nothing to ask"));
    assert_eq!((peer.count(account, CHANGE), peer.count(account, "GetChange")), (1, 2));
}

#[tokio::test]
async fn weighted_sets_are_taken_away_as_they_are() {
    let (peer, account) = (Peer::shared(), "500000000004");
    let weighted = |identifier: &str, weight: u32, ttl: u32, target: &str| {
        json!({ "name": FIRST, "type": "CNAME", "ttl": ttl, "values": [target], "identifier": identifier,
                "weight": weight })
    };
    add_zone(
        account,
        &[weighted("one & only", 7, 60, "old.example.net"), weighted("two", 200, 90, "Older.Example.NET.")],
    );
    let with_ttl = |ttl, record: Record| Record { ttl, ..record };
    let before =
        vec![with_ttl(60, cname(FIRST, "old.example.net")), with_ttl(90, cname(FIRST, "older.example.net"))];
    let after = cname(FIRST, "aaa.dkim.amazonses.com");
    let plan = plan(vec![edit(FIRST, before, Some(after))]);

    let published = aws(account).await.publisher().apply(&plan).await;

    assert!(published.as_ref().is_ok_and(|published| published.change.is_some()), "{published:?}");
    let changes = &peer.changes(account)[0]["changes"];
    let deleted: Vec<_> = (0..2).map(|at| (&changes[at]["identifier"], &changes[at]["values"])).collect();
    assert_eq!(
        deleted,
        [
            (&json!("one & only"), &json!(["old.example.net"])),
            (&json!("two"), &json!(["Older.Example.NET."]))
        ]
    );
    let lines = held(account).await;
    assert_eq!(lines[0], "aaa._domainkey.example.com 300 CNAME aaa.dkim.amazonses.com");
    assert_eq!(lines.len(), 3, "{lines:?}");
}

#[tokio::test]
async fn text_is_written_in_strings_and_escapes_of_route53_and_read_back_the_same() {
    let (peer, account) = (Peer::shared(), "500000000005");
    add_zone(account, &[]);
    let mut octets = b"v=DKIM1; n=\"a\\b\" \xc3\xbc <&> \t; p=".to_vec();
    octets.resize(300, b'A');
    let text = txt(FIRST, &octets.chunks(255).collect::<Vec<_>>());
    let create = plan(vec![edit(FIRST, Vec::new(), Some(text.clone()))]);
    let publisher = aws(account).await.publisher();

    publisher.apply(&create).await.expect("it can be written");
    assert_eq!(publisher.apply(&create).await.expect("it is read back the same").change, None);
    let remove = plan(vec![edit(FIRST, vec![text], None)]);
    assert!(publisher.apply(&remove).await.expect("it can be stated").change.is_some());

    let value = &peer.changes(account)[0]["changes"][0]["values"][0];
    let value = value.as_str().expect("a text");
    assert!(value.starts_with(r#""v=DKIM1; n=\"a\\b\" \303\274 <&> \011; p=AAA"#), "{value}");
    assert_eq!(value.matches("\" \"").count(), 1, "{value}");
}

#[tokio::test]
async fn what_cannot_be_put_back_is_never_taken_away() {
    let (peer, account) = (Peer::shared(), "500000000006");
    let alias =
        json!({ "HostedZoneId": "Z2", "DNSName": "d1.cloudfront.net.", "EvaluateTargetHealth": "false" });
    add_zone(
        account,
        &[
            json!({ "name": "alias.example.com", "type": "CNAME", "alias": alias }),
            json!({ "name": "address.example.com", "type": "A", "values": ["192.0.2.1"] }),
            json!({ "name": "new.example.com", "type": "NEWTYPE", "values": ["something"] }),
        ],
    );
    let other = |owner: &str, ttl, data| Record { name: name(owner), ttl, data };
    let nothing = RecordData::Other { kind: 5, octets: Box::default() };
    let address = RecordData::A("192.0.2.1".parse().expect("an address"));
    let target = |owner: &str| Some(cname(owner, "aaa.dkim.amazonses.com"));
    let table = [
        (
            "alias.example.com",
            vec![other("alias.example.com", 0, nothing)],
            target("alias.example.com"),
            "an alias",
        ),
        (
            "address.example.com",
            vec![other("address.example.com", 300, address.clone())],
            None,
            "another type (A)",
        ),
        ("new.example.com", Vec::new(), target("new.example.com"), "another type (NEWTYPE)"),
        (FIRST, Vec::new(), target(SECOND), "puts a record of bbb"),
        (FIRST, Vec::new(), Some(other(FIRST, 300, address)), "a A record that cannot be written"),
        (FIRST, Vec::new(), Some(txt(FIRST, &[])), "a TXT record that cannot be written"),
    ];
    let publisher = aws(account).await.publisher();
    let before = held(account).await;
    for (owner, stands, after, expected) in table {
        let plan = plan(vec![edit(owner, stands, after)]);
        let error = publisher.apply(&plan).await.expect_err(expected);
        assert_eq!(error.kind, ProviderErrorKind::Unusable, "{}", said(&error));
        assert!(said(&error).contains(expected), "{}", said(&error));
    }
    assert_eq!(peer.count(account, CHANGE), 0);
    assert_eq!(held(account).await, before);
}

#[tokio::test]
async fn change_of_another_in_between_is_refused_by_route53_itself() {
    let (peer, account) = (Peer::shared(), "500000000007");
    let bare = "<?xml version=\"1.0\"?>\n<InvalidChangeBatch xmlns=\"https://route53.amazonaws.com/doc/2013-04-01/\">\
                <Messages><Message>Tried to create what exists</Message></Messages></InvalidChangeBatch>";
    add_zone(account, &[]);
    let publisher = aws(account).await.publisher();
    let race = |records: Value| fault(CHANGE, 1, &json!({ "edit": { "id": ZONE, "records": records } }));
    for between in [
        json!([told(FIRST, "theirs.example.net")]),
        json!([told(SECOND, "theirs.example.net")]),
        json!([{ "name": SECOND, "type": "CNAME", "ttl": 60, "values": ["wrong.example.net"] }]),
        json!([{ "name": SECOND, "type": "CNAME" }]),
        json!([{ "name": FIRST, "type": "TXT", "values": ["\"theirs\""] }]),
    ] {
        peer.edit_zone(
            account,
            ZONE,
            &json!([{ "name": FIRST, "type": "CNAME" }, told(SECOND, "wrong.example.net.")]),
        );
        peer.add_fault(account, race(between.clone()));
        let error = publisher.apply(&usual_plan()).await.expect_err("somebody was quicker");
        assert_eq!(error.kind, ProviderErrorKind::Stale, "{between}: {}", said(&error));
        assert!(hint(&error).is_some_and(|hint| hint.contains("look again")));
    }
    assert_eq!(peer.changes(account).len(), 0);

    // Another has made just what was to be made.
    peer.edit_zone(
        account,
        ZONE,
        &json!([{ "name": FIRST, "type": "CNAME" }, told(SECOND, "wrong.example.net.")]),
    );
    let same = json!([told(FIRST, "aaa.dkim.amazonses.com"), told(SECOND, "bbb.dkim.amazonses.com")]);
    peer.add_fault(account, race(same));
    let published = publisher.apply(&usual_plan()).await.expect("it is as the plan makes it");
    assert_eq!(published.change, None);

    // Refused, and the zone is still as the plan saw it: then it is the batch, and trying again is no use.
    peer.edit_zone(
        account,
        ZONE,
        &json!([{ "name": FIRST, "type": "CNAME" }, told(SECOND, "wrong.example.net.")]),
    );
    for refused in [
        json!({ "status": 400, "code": "InvalidChangeBatch", "message": "[Tried to create what exists]" }),
        json!({ "status": 400, "body": bare, "type": "text/xml" }),
    ] {
        peer.add_fault(account, fault(CHANGE, 1, &refused));
        let error = publisher.apply(&usual_plan()).await.expect_err("it is refused");
        assert_eq!(error.kind, ProviderErrorKind::Unusable, "{}", said(&error));
        assert!(said(&error).contains("Tried to create what exists"), "{}", said(&error));
    }
}

#[tokio::test]
async fn faults_that_pass_are_waited_for_and_the_plan_is_made_once() {
    let faults = [
        json!({ "status": 400, "code": "Throttling", "message": "Rate exceeded" }),
        json!({ "status": 400, "code": "PriorRequestNotComplete", "message": "wait" }),
        json!({ "status": 503, "code": "ServiceUnavailable", "message": "later" }),
        json!({ "status": 502, "body": "<html>bad gateway</html>" }),
        json!({ "drop": "at once" }),
        json!({ "drop": "in the body" }),
        json!({ "drop": "when done" }),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (operation_number, operation) in [LIST, CHANGE, "GetChange"].into_iter().enumerate() {
        for (number, what) in faults.clone().into_iter().enumerate() {
            runs.spawn(async move {
                let account = format!("5100000{operation_number:02}{number:03}");
                add_zone(&account, &[]);
                peer.add_fault(&account, fault(operation, 1, &what));
                let publisher = aws(&account).await.publisher();

                let published = publisher.apply(&usual_plan()).await;
                let published =
                    published.unwrap_or_else(|error| panic!("{operation} {what}: {}", said(&error)));
                let in_sync = publisher.is_in_sync(&published).await;

                assert!(in_sync.is_ok_and(|in_sync| in_sync), "{operation} {what}");
                assert_eq!(peer.changes(&account).len(), 1, "{operation} {what}");
                assert!(is_applied(&held(&account).await), "{operation} {what}");
                // Where the answer was lost and the zone is as planned, there is no change to name.
                let is_lost = operation == CHANGE && what == json!({ "drop": "when done" });
                assert_eq!(published.change.is_none(), is_lost, "{operation} {what}");
            });
        }
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn faults_that_stay_are_told_and_applying_again_goes_on() {
    let faults = [
        (json!({ "status": 400, "code": "Throttling", "message": "no" }), ProviderErrorKind::Throttled),
        (json!({ "status": 400, "code": "PriorRequestNotComplete" }), ProviderErrorKind::Throttled),
        (
            json!({ "status": 500, "code": "InternalFailure", "message": "no" }),
            ProviderErrorKind::Unavailable,
        ),
        (json!({ "status": 403, "code": "AccessDenied", "message": "no" }), ProviderErrorKind::Denied),
        (json!({ "status": 403, "code": "ExpiredToken", "message": "no" }), ProviderErrorKind::Credentials),
        (json!({ "status": 404, "code": "NoSuchHostedZone", "message": "no" }), ProviderErrorKind::NotFound),
        (json!({ "status": 200, "body": "<html>a portal</html>" }), ProviderErrorKind::Unusable),
        (json!({ "drop": "at once" }), ProviderErrorKind::Unavailable),
        (json!({ "drop": "when done" }), ProviderErrorKind::Unavailable),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (operation_number, operation) in [LIST, CHANGE].into_iter().enumerate() {
        for (number, (what, kind)) in faults.clone().into_iter().enumerate() {
            // A change that is made and lost is found when the zone is read again; that is another test.
            if operation == CHANGE && what == json!({ "drop": "when done" }) {
                continue;
            }
            runs.spawn(async move {
                let account = format!("5200000{operation_number:02}{number:03}");
                add_zone(&account, &[]);
                peer.add_fault(&account, fault(operation, 99, &what));
                let publisher = aws(&account).await.publisher();

                let error = publisher.apply(&usual_plan()).await.expect_err("the fault stays");

                assert_eq!(error.kind, kind, "{operation} {what}: {}", said(&error));
                assert_eq!(error.operation, format!("route53:{operation}"), "{what}");
                assert_eq!(error.provider, "Route 53");
                if kind == ProviderErrorKind::Denied {
                    let hint = hint(&error).expect("it says what to allow");
                    assert!(hint.contains(&format!("route53:{operation}")), "{hint}");
                }
                assert_eq!(peer.changes(&account).len(), 0, "{operation} {what}");
                peer.heal(&account);
                publisher.apply(&usual_plan()).await.expect("the fault is over");
                assert!(is_applied(&held(&account).await), "{operation} {what}");
            });
        }
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn change_whose_answers_are_all_lost_is_found_when_it_is_applied_again() {
    let (peer, account) = (Peer::shared(), "500000000008");
    add_zone(account, &[]);
    peer.add_fault(account, fault(CHANGE, 1, &json!({ "drop": "when done" })));
    peer.add_fault(account, fault(CHANGE, 2, &json!({ "status": 500, "code": "InternalFailure" })));
    let publisher = aws(account).await.publisher();
    let error = publisher.apply(&usual_plan()).await.expect_err("no answer came");
    assert_eq!(error.kind, ProviderErrorKind::Unavailable);
    let published = publisher.apply(&usual_plan()).await.expect("the zone is as planned");
    assert_eq!(published, Published { change: None });
    assert_eq!(peer.changes(account).len(), 1);
}

#[tokio::test]
async fn change_that_may_have_been_made_never_ends_as_one_that_was_not() {
    let throttled = json!({ "status": 400, "code": "Throttling", "message": "no" });
    let waiting = json!({ "status": 400, "code": "PriorRequestNotComplete", "message": "no" });
    let denied = json!({ "status": 403, "code": "AccessDenied", "message": "no" });
    let expired = json!({ "status": 403, "code": "ExpiredToken", "message": "no" });
    let absent = json!({ "status": 404, "code": "NoSuchHostedZone", "message": "no" });
    let failing = json!({ "status": 500, "code": "InternalFailure", "message": "no" });
    let lost = json!({ "drop": "when done" });
    let theirs = json!({ "edit": { "id": ZONE, "records": [told(FIRST, "theirs.example.net")] } });
    // Before the change the names are read, which takes two calls.
    let again = |what: &Value| {
        let mut fault = fault(LIST, 99, what);
        fault["skip"] = json!(2);
        fault
    };
    let unavailable = ProviderErrorKind::Unavailable;
    let table = [
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 99, &waiting)], unavailable),
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 99, &throttled)], unavailable),
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 99, &denied)], unavailable),
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 99, &expired)], unavailable),
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 99, &absent)], unavailable),
        (vec![fault(CHANGE, 1, &failing), fault(CHANGE, 99, &throttled)], unavailable),
        (vec![fault(CHANGE, 1, &json!({ "hold": 6 })), fault(CHANGE, 99, &denied)], unavailable),
        (vec![fault(CHANGE, 1, &lost), again(&throttled)], unavailable),
        (vec![fault(CHANGE, 1, &lost), again(&denied)], unavailable),
        (vec![fault(CHANGE, 1, &lost), fault(CHANGE, 1, &theirs)], unavailable),
        // Without such a try the last answer stands.
        (vec![fault(CHANGE, 1, &throttled), fault(CHANGE, 99, &denied)], ProviderErrorKind::Denied),
        (vec![fault(CHANGE, 1, &theirs), again(&throttled)], ProviderErrorKind::Throttled),
        (vec![fault(CHANGE, 1, &waiting), fault(CHANGE, 1, &theirs)], ProviderErrorKind::Stale),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (number, (faults, kind)) in table.into_iter().enumerate() {
        runs.spawn(async move {
            let (account, what) = (format!("560000000{number:03}"), json!(faults));
            add_zone(&account, &[]);
            for fault in faults {
                peer.add_fault(&account, fault);
            }

            let error = aws(&account).await.publisher().apply(&usual_plan()).await;

            let error = error.expect_err("the fault stays");
            assert_eq!(error.kind, kind, "{what}: {}", said(&error));
            if kind == unavailable {
                assert_eq!(error.operation, format!("route53:{CHANGE}"), "{what}");
                assert!(said(&error).contains("may have been done"), "{what}: {}", said(&error));
            }
        });
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn zone_is_written_in_the_account_that_holds_it() {
    let (peer, empty, holds) = (Peer::shared(), "500000000010", "500000000011");
    add_zone(holds, &[]);
    let roles = [empty, holds]
        .map(|account| format!("arn:aws:iam::{account}:role/dkimguard").parse().expect("an ARN"));
    let aws = aws_of("500000000009").with_roles(roles).load().await.expect("a region is set");
    let publisher = aws.publisher();

    // One that doesn't hold it may say so, or that nobody may look.
    let denied = json!({ "status": 403, "code": "AccessDenied", "message": "no" });
    peer.add_fault(empty, fault(LIST, 1, &denied));
    let published = publisher.apply(&usual_plan()).await.expect("the second holds it");
    assert!(publisher.is_in_sync(&published).await.expect("the second knows the change"));
    assert!(is_applied(&held(holds).await));
    assert!(!calls(empty).iter().any(|operation| operation == CHANGE));

    // While the one that holds it can't be asked, the other's answer isn't taken for all.
    peer.add_fault(holds, fault(LIST, 99, &json!({ "status": 500, "code": "InternalFailure" })));
    let error = publisher.apply(&usual_plan()).await.expect_err("it can't be asked");
    assert_eq!(error.kind, ProviderErrorKind::Unavailable, "{}", said(&error));

    let elsewhere =
        RepairPlan { zone: TargetZone { id: "Z9".to_owned(), ..usual_plan().zone }, ..usual_plan() };
    peer.heal(holds);
    let error = publisher.apply(&elsewhere).await.expect_err("nobody holds it");
    assert_eq!(error.kind, ProviderErrorKind::NotFound, "{}", said(&error));
    assert!(hint(&error).is_some_and(|hint| hint.contains("role")), "{:?}", hint(&error));
}

/// An identity of the account that SES no longer looks for, with these attributes over the usual.
async fn add_idle(account: &str, attributes: Value) -> (Aws, Identity) {
    let mut dkim = json!({ "Status": "FAILED", "Tokens": ["aaa", "bbb", "ccc"] });
    dkim.as_object_mut().expect("an object").extend(attributes.as_object().expect("an object").clone());
    Peer::shared().add_identities(account, REGION, &json!([{ "name": DOMAIN, "DkimAttributes": dkim }]));
    let aws = aws(account).await;
    let identity = find(&aws).await;
    (aws, identity)
}

async fn find(aws: &Aws) -> Identity {
    let mut found = aws.ses().find(&name(DOMAIN)).await;
    found.remove(0).expect("SES knows it")
}

fn targets(identity: &Identity) -> Vec<String> {
    let expected = identity.expected().expect("the names aren't too long");
    expected.iter().map(|record| record.value.to_string()).collect()
}

#[tokio::test]
async fn identity_is_what_the_answer_says_whatever_ses_makes_of_it() {
    let same = ["aaa", "bbb", "ccc"].map(|token| format!("{token}.dkim.amazonses.com"));
    let new = ["xxx", "yyy", "zzz"].map(|token| format!("{token}.x1.dkim.example"));
    let lost = json!({ "tokens": ["xxx", "yyy", "zzz"], "zone": "x1.dkim.example" });
    let with = |answer: Value| {
        let mut does = lost.clone();
        does["answer"] = answer;
        does
    };
    // What starting does, the tokens that follow, and how often SES is asked for the identity and to start.
    let table = [
        (json!({}), &same, [1, 1]),
        (lost.clone(), &new, [1, 1]),
        (json!({ "refuses_length": true }), &same, [1, 2]),
        (with(json!({ "DkimStatus": "TEMPORARY_FAILURE" })), &new, [2, 1]),
        (with(json!({ "DkimStatus": "SOMETHING_NEW" })), &new, [2, 1]),
        (with(json!({ "DkimStatus": null })), &new, [2, 1]),
        (with(json!({ "DkimTokens": null })), &new, [2, 1]),
        (with(json!({ "DkimTokens": ["not a label..", "b", "c"] })), &new, [2, 1]),
        (with(json!({ "SigningHostedZone": null })), &new, [2, 1]),
        (with(json!({ "SigningHostedZone": "two..dots" })), &new, [2, 1]),
    ];
    let mut runs = tokio::task::JoinSet::new();
    for (number, (does, expected, [gets, puts])) in table.into_iter().enumerate() {
        let expected = expected.clone();
        runs.spawn(async move {
            let (peer, account) = (Peer::shared(), format!("530000000{number:03}"));
            peer.set_restart(&account, REGION, DOMAIN, does.clone());
            let (aws, before) = add_idle(&account, json!({})).await;

            let now =
                aws.rearm().rearm(&before).await.unwrap_or_else(|error| panic!("{does}: {}", said(&error)));

            assert_eq!(targets(&now), expected, "{does}");
            let of_now = (&now.id, &now.status, &now.keys);
            assert_eq!(of_now, (&before.id, &ProviderStatus::Pending, &KeyMaker::Provider), "{does}");
            // One more is the source's own, before.
            assert_eq!(peer.count(&account, "GetEmailIdentity"), gets + 1, "{does}");
            assert_eq!(peer.count(&account, PUT), puts, "{does}");
            assert_eq!(targets(&find(&aws).await), expected, "{does}");
        });
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn start_is_made_once_whatever_fails() {
    let passing = [
        json!({ "status": 429, "code": "TooManyRequestsException", "message": "no" }),
        json!({ "status": 400, "code": "ThrottlingException", "message": "no" }),
        json!({ "status": 503, "code": "ServiceUnavailable", "message": "no" }),
        json!({ "drop": "at once" }),
        json!({ "drop": "in the body" }),
        json!({ "drop": "when done" }),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (number, what) in passing.into_iter().enumerate() {
        for (operation_number, operation) in ["GetEmailIdentity", PUT].into_iter().enumerate() {
            let what = what.clone();
            runs.spawn(async move {
                let account = format!("5400000{operation_number:02}{number:03}");
                let (aws, before) = add_idle(&account, json!({})).await;
                peer.set_restart(&account, REGION, DOMAIN, json!({ "tokens": ["xxx", "yyy", "zzz"] }));
                peer.add_fault(&account, fault(operation, 1, &what));

                let now = aws.rearm().rearm(&before).await;

                let now = now.unwrap_or_else(|error| panic!("{operation} {what}: {}", said(&error)));
                assert_eq!(now.status, ProviderStatus::Pending, "{operation} {what}");
                assert!(targets(&now)[0].starts_with("xxx."), "{operation} {what}");
                let done = peer.calls(&account).into_iter().filter(|call| call.operation == PUT);
                let is_lost = what == json!({ "drop": "when done" });
                let done = done.filter(|call| call.outcome == "answered" || is_lost).count();
                assert_eq!(done, 1, "{operation} {what}");
            });
        }
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn start_that_may_have_been_made_never_ends_as_one_that_was_not() {
    let throttled = json!({ "status": 429, "code": "TooManyRequestsException", "message": "no" });
    let denied = json!({ "status": 403, "code": "AccessDeniedException", "message": "no" });
    let lost = json!({ "drop": "when done" });
    // Before the start the identity is asked for once.
    let again = |what: &Value| {
        let mut fault = fault("GetEmailIdentity", 99, what);
        fault["skip"] = json!(1);
        fault
    };
    let unavailable = ProviderErrorKind::Unavailable;
    let untold = json!({ "answer": { "DkimStatus": null } });
    let table = [
        (json!({}), vec![fault(PUT, 1, &lost), again(&throttled)], unavailable),
        (json!({}), vec![fault(PUT, 1, &lost), again(&denied)], unavailable),
        (json!({}), vec![fault(PUT, 1, &json!({ "drop": "at once" })), fault(PUT, 99, &denied)], unavailable),
        (
            json!({}),
            vec![fault(PUT, 1, &json!({ "drop": "at once" })), fault(PUT, 99, &throttled)],
            unavailable,
        ),
        (untold.clone(), vec![again(&throttled)], unavailable),
        (untold, vec![again(&denied)], unavailable),
        // Without such a try the last answer stands.
        (json!({}), vec![fault(PUT, 1, &throttled), again(&denied)], ProviderErrorKind::Denied),
        (json!({}), vec![fault(PUT, 99, &throttled)], ProviderErrorKind::Throttled),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (number, (does, faults, kind)) in table.into_iter().enumerate() {
        runs.spawn(async move {
            let (account, what) = (format!("570000000{number:03}"), json!(faults));
            let (aws, before) = add_idle(&account, json!({})).await;
            peer.set_restart(&account, REGION, DOMAIN, does);
            for fault in faults {
                peer.add_fault(&account, fault);
            }

            let error = aws.rearm().rearm(&before).await.expect_err("the fault stays");

            assert_eq!(error.kind, kind, "{what}: {}", said(&error));
            if kind == unavailable {
                assert_eq!(error.operation, format!("ses:{PUT}"), "{what}");
                assert!(said(&error).contains("may have been done"), "{what}: {}", said(&error));
            }
        });
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn fault_that_stays_is_told_with_the_call_and_what_to_allow() {
    let faults = [
        (
            PUT,
            json!({ "status": 403, "code": "AccessDeniedException", "message": "no" }),
            ProviderErrorKind::Denied,
        ),
        (
            PUT,
            json!({ "status": 400, "code": "BadRequestException", "message": "no" }),
            ProviderErrorKind::Unusable,
        ),
        (
            PUT,
            json!({ "status": 404, "code": "NotFoundException", "message": "no" }),
            ProviderErrorKind::NotFound,
        ),
        (
            PUT,
            json!({ "status": 500, "code": "InternalFailure", "message": "no" }),
            ProviderErrorKind::Unavailable,
        ),
        (PUT, json!({ "status": 200, "body": "<html>a portal</html>" }), ProviderErrorKind::Unusable),
        (
            "GetEmailIdentity",
            json!({ "status": 403, "code": "AccessDeniedException", "message": "no" }),
            ProviderErrorKind::Denied,
        ),
    ];
    let peer = Peer::shared();
    let mut runs = tokio::task::JoinSet::new();
    for (number, (operation, what, kind)) in faults.into_iter().enumerate() {
        runs.spawn(async move {
            let account = format!("550000000{number:03}");
            let (aws, before) = add_idle(&account, json!({})).await;
            peer.add_fault(&account, fault(operation, 99, &what));

            let error = aws.rearm().rearm(&before).await.expect_err("the fault stays");

            assert_eq!(error.kind, kind, "{what}: {}", said(&error));
            assert_eq!(error.operation, format!("ses:{operation}"), "{what}");
            if kind == ProviderErrorKind::Denied {
                assert!(
                    hint(&error).is_some_and(|hint| hint.contains(&error.operation)),
                    "{:?}",
                    hint(&error)
                );
            }
            peer.heal(&account);
            assert_eq!(find(&aws).await.status, ProviderStatus::Failed, "{what}");
        });
    }
    while let Some(run) = runs.join_next().await {
        run.expect("no run fails");
    }
}

#[tokio::test]
async fn what_the_identity_has_become_meanwhile_is_not_replaced() {
    let (peer, account) = (Peer::shared(), "500000000020");
    let (aws, before) = add_idle(account, json!({})).await;
    let own = json!({ "Status": "FAILED", "SigningAttributesOrigin": "EXTERNAL", "Tokens": ["s1"] });
    peer.add_identities(account, REGION, &json!([{ "name": DOMAIN, "DkimAttributes": own }]));
    let error = aws.rearm().rearm(&before).await.expect_err("it is the owner's now");
    assert!(said(&error).contains("its owner's"), "{}", said(&error));
    assert_eq!(peer.count(account, PUT), 0);

    for status in [json!("SOMETHING_NEW"), Value::Null] {
        let dkim = json!({ "Status": status });
        peer.add_identities(account, REGION, &json!([{ "name": DOMAIN, "DkimAttributes": dkim }]));
        let error = aws.rearm().rearm(&before).await.expect_err("nobody knows whether SES looks");
        assert_eq!(
            (error.kind, peer.count(account, PUT)),
            (ProviderErrorKind::Unusable, 0),
            "{}",
            said(&error)
        );
    }

    let mut elsewhere = before.clone();
    elsewhere.id.account = Some("500000000021".to_owned());
    let error = aws.rearm().rearm(&elsewhere).await.expect_err("it is another account's");
    assert_eq!(error.kind, ProviderErrorKind::NotFound);
    elsewhere.id.account.clone_from(&before.id.account);
    elsewhere.id.region = Some("us-east-1".to_owned());
    let error = aws.rearm().rearm(&elsewhere).await.expect_err("it is another region's");
    assert_eq!(error.kind, ProviderErrorKind::NotFound);
}

/// The actions that a policy allows.
fn allowed(policy: &str) -> BTreeSet<String> {
    let policy: Value = serde_json::from_str(policy).expect("the policy is JSON");
    let statements = policy["Statement"].as_array().expect("a list of statements").clone();
    let actions = statements.iter().flat_map(|statement| statement["Action"].as_array().expect("a list"));
    actions.map(|action| action.as_str().expect("a text").to_owned()).collect()
}

#[tokio::test]
async fn repair_makes_the_calls_that_its_policy_allows_and_no_others() {
    let account = "500000000030";
    add_zone(account, &[]);
    let (aws, idle) = add_idle(account, json!({})).await;

    let publisher = aws.publisher();
    let published = publisher.apply(&usual_plan()).await.expect("the zone is as the plan saw it");
    publisher.is_in_sync(&published).await.expect("it is told");
    aws.rearm().rearm(&idle).await.expect("it may be started");

    let made: BTreeSet<_> = calls(account)
        .into_iter()
        // It needs no permission.
        .filter(|operation| operation != "GetCallerIdentity")
        .map(|operation| {
            let service = if operation.contains("EmailIdentity") { "ses" } else { "route53" };
            format!("{service}:{operation}")
        })
        .collect();
    assert_eq!(made, allowed(REPAIR_POLICY));

    // What the conditions of the policy limit is what the batch holds.
    let policy: Value = serde_json::from_str(REPAIR_POLICY).expect("the policy is JSON");
    let conditions = &policy["Statement"][0]["Condition"];
    let values = |kind: &str, key: &str| -> Vec<String> {
        let values = conditions[kind][format!("route53:ChangeResourceRecordSets{key}")].as_array();
        values.expect("a list").iter().map(|value| value.as_str().expect("a text").to_owned()).collect()
    };
    let changes = Peer::shared().changes(account);
    for change in changes[0]["changes"].as_array().expect("a list") {
        let text = |key: &str| change[key].as_str().expect("a text").trim_end_matches('.').to_owned();
        assert!(values("ForAllValues:StringEquals", "Actions").contains(&text("action")), "{change}");
        assert!(values("ForAllValues:StringEquals", "RecordTypes").contains(&text("type")), "{change}");
        let names = values("ForAllValues:StringLike", "NormalizedRecordNames");
        assert!(names.iter().any(|name| text("name").ends_with(name.trim_start_matches('*'))), "{change}");
    }
}

#[test]
fn documentation_shows_the_policy_as_it_is() {
    let page = include_str!("../../docs/repair.md");
    assert!(
        page.contains(REPAIR_POLICY.trim_end()),
        "docs/repair.md shows another policy than {REPAIR_POLICY}"
    );
}

#[tokio::test]
async fn ses_succeeds_once_each_server_holds_the_records() {
    let (peer, account) = (Peer::shared(), "500000000041");
    let mut world = World::easy_dkim(DOMAIN);
    let lacking = Fault::Rcode(Rcode::NXDOMAIN).below(SECOND);
    world.server(World::NS2).fault(lacking);
    let lab = Lab::start(world).expect("a lab");
    let (aws, idle) = add_idle(account, json!({})).await;
    aws.rearm().rearm(&idle).await.expect("it may be started");
    let servers = [World::NS1, World::NS2].map(|server| lab.address(server).to_string());
    peer.verify_at(account, REGION, DOMAIN, &servers, 0.0);

    // Each is a second after the one before, in which SES has looked ten times.
    for _ in 0..2 {
        assert_eq!(find(&aws).await.status, ProviderStatus::Pending, "one server lacks a record");
    }
    lab.change(|world| {
        world.server(World::NS2).heal();
    })
    .expect("the lab goes on");
    let succeeds = async { while find(&aws).await.status != ProviderStatus::Success {} };
    tokio::time::timeout(Duration::from_secs(30), succeeds).await.expect("both servers hold all records");
}

#[test]
fn zone_of_route53_is_had_as_a_file() {
    let (peer, account) = (Peer::shared(), "500000000040");
    peer.add_zones(
        account,
        &json!([{ "name": DOMAIN, "id": ZONE, "servers": ["ns-1.example.net"], "records": [
            told(FIRST, "aaa.dkim.amazonses.com"),
            { "name": "*.example.com", "type": "TXT", "ttl": 60, "values": ["\"a\\303\\274\\\"b\" \"c\""] },
            { "name": "www.example.com", "type": "A", "values": ["192.0.2.1", "192.0.2.2"] },
        ]}]),
    );
    let text = peer.zone_file(account, ZONE);
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(
        lines,
        [
            "example.com. 900 IN SOA ns-1.example.net. hostmaster.example.com. 1 7200 900 1209600 86400",
            "example.com. 300 IN NS ns-1.example.net.",
            r#"\042.example.com. 60 IN TXT "a\195\188\"b" "c""#,
            "aaa._domainkey.example.com. 300 IN CNAME aaa.dkim.amazonses.com.",
            "www.example.com. 300 IN A 192.0.2.1",
            "www.example.com. 300 IN A 192.0.2.2",
        ]
    );
}
