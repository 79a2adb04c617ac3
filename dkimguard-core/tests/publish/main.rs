//! Records in the forms in which they are published.

use dkimguard_core::identity::{Expected, ExpectedValue};
use dkimguard_core::name::Name;
use dkimguard_core::publish::{Form, TTL};

/// A key of 2048 bits: more than the 255 octets of one string.
const KEY: &str = "v=DKIM1; k=rsa; p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAvHMOXm5mwRrAQcVzJqZ0rWFr+fd/kXSVuhXQInFqrR6bzWzigKLzrJSJ2Hkx7/Sw0ABLiBb+stxXZcwGJCYAyzB8p2ZGbhuAffYQpk163XLZtP24PnUF/mO0nedMe5SqRDsRdXqrYNjFvnpuMxbemjjF3j/CqjeLdRIIKhTb1fd3ZVK515hNQVlzSX33+7TYvsaLsbD8bpOVV+Wg8AS3QN1LiQodK52gSRzWajfJNVFg8M7pD7ftMrnuLON0Hna6LRSPWQppQGZzhMnKASygu7Z2ja5qdd1FsWfJfT5suPH3Lfv1/3DQfeqm0flr/Ngo29ywlEFLw1tfmUBZsHqaLQIDAQAB";

fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}

fn records() -> Vec<Expected> {
    let cname = |token: &str| Expected {
        name: name(&format!("{token}._domainkey.example.com")),
        value: ExpectedValue::Cname(name(&format!("{token}.dkim.amazonses.com"))),
    };
    let key = Box::new(KEY.parse().expect("it is a key"));
    let own = Expected { name: name("s1._domainkey.mail.example.com"), value: ExpectedValue::Key(key) };
    vec![cname("aaa"), cname("bbb"), own]
}

#[test]
fn each_form_is_as_the_dns_host_takes_it() {
    let forms: Vec<String> = Form::ALL
        .iter()
        .map(|form| format!("== {}\n{}", form.title(), form.of(&records(), &name("example.com"))))
        .collect();
    assert_eq!(forms.join("\n"), include_str!("forms.txt"));
}

#[test]
fn the_change_batch_is_json_that_holds_the_whole_key() {
    let batch: serde_json::Value =
        serde_json::from_str(&Form::ChangeBatch.of(&records(), &name("example.com"))).expect("JSON");
    let changes = batch["Changes"].as_array().expect("a list");
    assert_eq!(changes.len(), 3);
    let set = &changes[2]["ResourceRecordSet"];
    assert_eq!((&set["Type"], &set["TTL"]), (&"TXT".into(), &TTL.into()));
    let value = set["ResourceRecords"][0]["Value"].as_str().expect("a text");
    let strings: Vec<&str> = value
        .strip_prefix('"')
        .and_then(|value| value.strip_suffix('"'))
        .expect("quotes")
        .split("\" \"")
        .collect();
    assert!(strings.iter().all(|string| string.len() <= 255), "{strings:?}");
    assert_eq!(strings.concat(), KEY);
}
