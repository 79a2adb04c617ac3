//! From a record of CloudTrail to an [`Event`]. Nothing here asks.

use aws_sdk_cloudtrail::types::Event as Told;
use dkimguard_core::history::{Change, Effect, Event, IdentityChange, Topic};
use dkimguard_core::name::Name;
use jiff::Timestamp;
use serde_json::Value;

use super::tool;
use crate::spelling;

/// As much of a text that anybody may have chosen as is shown, in characters.
const EXCERPT: usize = 100;

/// The event, if it belongs to the topic, succeeded, changed something and can be read.
pub(super) fn read(told: &Told, topic: &Topic, source: &str) -> Option<Event> {
    let record: Value = serde_json::from_str(told.cloud_trail_event()?).ok()?;
    let has_failed = !record.get("errorCode").is_none_or(Value::is_null);
    if has_failed || !is_about(&record, topic) {
        return None;
    }
    let action = text(&record, "/eventName")?;
    let effect = effect(action, &record).filter(|effect| is_sought(effect, topic))?;
    let at = text(&record, "/eventTime")
        .and_then(|time| time.parse().ok())
        .or_else(|| told.event_time().and_then(|time| Timestamp::from_second(time.secs()).ok()))?;
    let change = Change {
        at,
        actor: plain(&actor(&record).or_else(|| told.username().map(str::to_owned)).unwrap_or_default()),
        action: plain(action),
        tool: tool::of(&record).map(|tool| plain(&tool)),
        source: source.to_owned(),
        event_id: plain(text(&record, "/eventID").or(told.event_id())?),
    };
    Some(Event { change, effect })
}

/// Whether the record is about what the topic names.
fn is_about(record: &Value, topic: &Topic) -> bool {
    let is_named = |paths: &[&str], domain: &Name| {
        paths.iter().any(|path| text(record, path).and_then(spelling::read).as_ref() == Some(domain))
    };
    match topic {
        Topic::Zone { id, .. } => {
            // `DeleteHostedZone` names it `id`, and of one that was made only the answer knows the id.
            let named = [
                "/requestParameters/hostedZoneId",
                "/requestParameters/id",
                "/responseElements/hostedZone/id",
            ];
            named.iter().any(|path| text(record, path).map(bare_id) == Some(bare_id(id)))
        }
        Topic::Delegation { domain } => is_named(&["/requestParameters/domainName"], domain),
        Topic::Identity { domain, .. } => is_named(
            // v2, then v1.
            &["/requestParameters/emailIdentity", "/requestParameters/domain", "/requestParameters/identity"],
            domain,
        ),
        _ => false,
    }
}

/// Whether the effect is one that the topic is about.
fn is_sought(effect: &Effect, topic: &Topic) -> bool {
    match (topic, effect) {
        (
            Topic::Zone { .. },
            Effect::Records { .. } | Effect::ZoneCreated | Effect::ZoneDeleted | Effect::SigningOfZoneStopped,
        )
        | (Topic::Delegation { .. }, Effect::NameServersMoved { .. }) => true,
        (Topic::Identity { sought, .. }, effect) => matches!(
            (sought, effect),
            (IdentityChange::Deleted, Effect::IdentityDeleted)
                | (IdentityChange::SetUpAnew, Effect::DkimSetUp { .. })
                | (IdentityChange::SigningSwitched, Effect::SigningSwitched)
        ),
        _ => false,
    }
}

fn effect(action: &str, record: &Value) -> Option<Effect> {
    Some(match action {
        "ChangeResourceRecordSets" => records(record)?,
        "CreateHostedZone" => Effect::ZoneCreated,
        "DeleteHostedZone" => Effect::ZoneDeleted,
        "DisableHostedZoneDNSSEC" | "DeactivateKeySigningKey" => Effect::SigningOfZoneStopped,
        "DeleteEmailIdentity" => Effect::IdentityDeleted,
        "PutEmailIdentityDkimSigningAttributes" | "VerifyDomainDkim" => {
            let tokens = record.pointer("/responseElements/dkimTokens").and_then(Value::as_array);
            let tokens = tokens.into_iter().flatten().filter_map(|token| token.as_str()?.parse().ok());
            Effect::DkimSetUp { tokens: tokens.collect() }
        }
        "PutEmailIdentityDkimAttributes" => Effect::SigningSwitched,
        _ if action == "UpdateDomainNameservers" || action.starts_with("TransferDomain") => {
            Effect::NameServersMoved {
                domain: spelling::read(text(record, "/requestParameters/domainName")?)?,
            }
        }
        _ => return None,
    })
}

/// The names whose records a batch wrote or deleted; none where the record doesn't hold the batch.
fn records(record: &Value) -> Option<Effect> {
    let changes = record.pointer("/requestParameters/changeBatch/changes")?.as_array()?;
    let (mut written, mut deleted) = (Vec::new(), Vec::new());
    for change in changes {
        let Some(name) = text(change, "/resourceRecordSet/name").and_then(spelling::read) else { continue };
        let names = match text(change, "/action") {
            Some("CREATE" | "UPSERT") => &mut written,
            Some("DELETE") => &mut deleted,
            _ => continue,
        };
        if names.last() != Some(&name) {
            names.push(name);
        }
    }
    Some(Effect::Records { written, deleted })
}

/// Who: the last part of the ARN (a user, a session of a role, `root`), or else whatever names somebody.
fn actor(record: &Value) -> Option<String> {
    let identity = record.get("userIdentity")?;
    let last = |text: &str| text.rsplit(['/', ':']).next().unwrap_or_default().to_owned();
    let named = [
        text(identity, "/arn").map(last),
        text(identity, "/userName").map(str::to_owned),
        text(identity, "/principalId").map(last),
        text(identity, "/invokedBy").map(str::to_owned),
    ];
    named.into_iter().flatten().find(|name| !name.is_empty())
}

/// A zone's id without the `/hostedzone/` that some calls write before it.
pub(super) fn bare_id(id: &str) -> &str {
    id.rsplit('/').next().unwrap_or(id)
}

fn text<'a>(value: &'a Value, path: &str) -> Option<&'a str> {
    value.pointer(path).and_then(Value::as_str)
}

/// A text fit to be shown: not long, without control characters. Callers choose user agents and session names.
fn plain(text: &str) -> String {
    let shown: String = text.chars().filter(|character| !character.is_control()).take(EXCERPT).collect();
    if shown.is_empty() { "unknown".to_owned() } else { shown }
}

#[cfg(test)]
mod tests {
    use aws_sdk_cloudtrail::primitives::DateTime;
    use aws_sdk_cloudtrail::types::Event as Told;
    use dkimguard_core::history::{Effect, Event, IdentityChange, Topic};
    use serde_json::{Value, json};

    use super::read;
    use dkimguard_core::history::ZoneChange;

    fn told(record: &Value) -> Told {
        Told::builder()
            .event_id("outer")
            .username("outer-user")
            .event_time(DateTime::from_secs(1_700_000_000))
            .cloud_trail_event(record.to_string())
            .build()
    }

    fn zone() -> Topic {
        Topic::Zone { id: "Z1".to_owned(), sought: ZoneChange::Records }
    }

    fn batch(changes: &Value) -> Value {
        json!({
            "userIdentity": { "type": "IAMUser", "arn": "arn:aws:iam::123456789012:user/ops/kim" },
            "eventTime": "2026-11-20T10:00:00Z",
            "eventName": "ChangeResourceRecordSets",
            "eventID": "b7b54dda",
            "userAgent": "aws-cli/2.17.9",
            "requestParameters": { "hostedZoneId": "Z1", "changeBatch": { "changes": changes } },
        })
    }

    fn read_zone(record: &Value) -> Option<Event> {
        read(&told(record), &zone(), "CloudTrail us-east-1")
    }

    #[test]
    fn batch_of_records_names_what_it_wrote_and_what_it_deleted() {
        let event = read_zone(&batch(&json!([
            { "action": "UPSERT", "resourceRecordSet": { "name": "a._domainkey.example.com.", "type": "CNAME" } },
            { "action": "DELETE", "resourceRecordSet": { "name": "\\052.example.com", "type": "TXT" } },
            { "action": "CREATE", "resourceRecordSet": { "name": "B.example.com", "type": "A" } },
            { "action": "SOMETHING", "resourceRecordSet": { "name": "c.example.com" } },
            { "action": "DELETE", "resourceRecordSet": { "name": "..", "type": "TXT" } },
            "no change",
        ])))
        .expect("it is a change of the zone");
        let name = |text: &str| text.parse().expect("a name");
        assert_eq!(
            event.effect,
            Effect::Records {
                written: vec![name("a._domainkey.example.com"), name("b.example.com")],
                deleted: vec![name("*.example.com")],
            }
        );
        let change = event.change;
        assert_eq!(change.at.to_string(), "2026-11-20T10:00:00Z");
        assert_eq!((change.actor.as_str(), change.action.as_str()), ("kim", "ChangeResourceRecordSets"));
        assert_eq!(change.tool.as_deref(), Some("AWS CLI"));
        assert_eq!((change.source.as_str(), change.event_id.as_str()), ("CloudTrail us-east-1", "b7b54dda"));
    }

    #[test]
    fn actor_is_whoever_the_record_names_best() {
        for (identity, actor) in [
            (json!({ "arn": "arn:aws:iam::1:user/kim", "userName": "other" }), "kim"),
            (json!({ "arn": "arn:aws:sts::1:assumed-role/deploy/kim@example.com" }), "kim@example.com"),
            (json!({ "type": "Root", "arn": "arn:aws:iam::1:root" }), "root"),
            (json!({ "userName": "kim" }), "kim"),
            (json!({ "principalId": "AROA:session" }), "session"),
            (json!({ "type": "AWSService", "invokedBy": "acm.amazonaws.com" }), "acm.amazonaws.com"),
            (json!({ "arn": "arn:aws:iam::1:user/\u{1b}[31mkim\n" }), "[31mkim"),
            (json!({}), "outer-user"),
            (json!(null), "outer-user"),
        ] {
            let mut record = batch(&json!([]));
            record["userIdentity"] = identity.clone();
            assert_eq!(read_zone(&record).expect("it is read").change.actor, actor, "{identity}");
        }
    }

    #[test]
    fn what_failed_or_is_of_another_zone_or_cannot_be_read_is_left_out() {
        let change = |path: &str, value: Value| {
            let mut record = batch(&json!([]));
            *record.pointer_mut(path).expect("the path is there") = value;
            record
        };
        let mut failed = batch(&json!([]));
        failed["errorCode"] = json!("AccessDenied");
        for record in [
            failed,
            change("/requestParameters/hostedZoneId", json!("Z2")),
            change("/requestParameters/hostedZoneId", json!(null)),
            change("/requestParameters/changeBatch", json!(null)),
            change("/requestParameters", json!("HIDDEN")),
            change("/eventName", json!("ListResourceRecordSets")),
            change("/eventName", json!("SomethingNew")),
            change("/eventName", json!(7)),
            json!([]),
            json!(null),
        ] {
            assert_eq!(read_zone(&record), None, "{record}");
        }
        let unreadable = Told::builder().event_id("1").cloud_trail_event("{ not JSON").build();
        assert_eq!(read(&unreadable, &zone(), ""), None);
        assert_eq!(read(&Told::builder().build(), &zone(), ""), None);
    }

    #[test]
    fn what_the_record_lacks_is_taken_from_around_it() {
        let mut record = batch(&json!([]));
        let fields = record.as_object_mut().expect("an object");
        for field in ["eventTime", "eventID", "userAgent"] {
            fields.remove(field);
        }
        record["requestParameters"]["hostedZoneId"] = json!("/hostedzone/Z1");
        record["errorCode"] = json!(null);
        let change = read_zone(&record).expect("enough is left").change;
        assert_eq!((change.event_id.as_str(), change.tool), ("outer", None));
        assert_eq!(change.at.as_second(), 1_700_000_000);
    }

    #[test]
    fn every_topic_takes_its_own_events_and_no_others() {
        let domain = || "example.com".parse().expect("a name");
        let delegation = || Topic::Delegation { domain: domain() };
        let identity = |sought| Topic::Identity { domain: domain(), region: None, sought };
        let topics = [
            zone(),
            delegation(),
            identity(IdentityChange::Deleted),
            identity(IdentityChange::SetUpAnew),
            identity(IdentityChange::SigningSwitched),
        ];
        let zone_named = json!({ "hostedZoneId": "Z1" });
        let tokens = json!({ "dkimTokens": ["aaa", "b b", 7] });
        // The action, what it is asked, what it answers, the topic it belongs to, what it did.
        for (action, request, response, topic, effect) in [
            (
                "CreateHostedZone",
                json!({ "name": "example.com" }),
                json!({ "hostedZone": { "id": "/hostedzone/Z1" } }),
                0,
                Effect::ZoneCreated,
            ),
            ("DeleteHostedZone", json!({ "id": "Z1" }), json!(null), 0, Effect::ZoneDeleted),
            ("DisableHostedZoneDNSSEC", zone_named.clone(), json!(null), 0, Effect::SigningOfZoneStopped),
            ("DeactivateKeySigningKey", zone_named, json!(null), 0, Effect::SigningOfZoneStopped),
            (
                "UpdateDomainNameservers",
                json!({ "domainName": "Example.com" }),
                json!(null),
                1,
                Effect::NameServersMoved { domain: domain() },
            ),
            (
                "TransferDomainToAnotherAwsAccount",
                json!({ "domainName": "example.com" }),
                json!(null),
                1,
                Effect::NameServersMoved { domain: domain() },
            ),
            (
                "DeleteEmailIdentity",
                json!({ "emailIdentity": "example.com" }),
                json!(null),
                2,
                Effect::IdentityDeleted,
            ),
            (
                "PutEmailIdentityDkimSigningAttributes",
                json!({ "emailIdentity": "example.com" }),
                tokens.clone(),
                3,
                Effect::DkimSetUp { tokens: vec!["aaa".parse().expect("a name")] },
            ),
            (
                "VerifyDomainDkim",
                json!({ "domain": "example.com" }),
                tokens,
                3,
                Effect::DkimSetUp { tokens: vec!["aaa".parse().expect("a name")] },
            ),
            (
                "PutEmailIdentityDkimAttributes",
                json!({ "emailIdentity": "example.com" }),
                json!(null),
                4,
                Effect::SigningSwitched,
            ),
        ] {
            let record = json!({
                "eventName": action, "eventID": "1", "eventTime": "2026-11-20T10:00:00Z",
                "requestParameters": request, "responseElements": response,
            });
            for (number, asked) in topics.iter().enumerate() {
                let read = read(&told(&record), asked, "").map(|event| event.effect);
                assert_eq!(read, (number == topic).then(|| effect.clone()), "{action} {asked:?}");
            }
        }
        let elsewhere =
            json!({ "eventName": "UpdateDomainNameservers", "requestParameters": { "domainName": "b.com" } });
        assert_eq!(read(&told(&elsewhere), &delegation(), ""), None);
    }
}
