//! The built contact form against AWS and DNS: mail is sent in order, held while it would go out unsigned, and neither
//! lost nor sent twice.

mod site;

use std::collections::BTreeSet;
use std::error::Error;
use std::thread;
use std::time::Duration;

use dkimguard_core::testing::{Fault, World};
use serde_json::{Value, json};
use site::peer::Peer;
use site::{Site, filled, until};

const LABEL: &str = "aaa._domainkey.example.com";

fn not_verified() -> Value {
    json!({ "status": 400, "code": "MessageRejected",
            "message": "Email address is not verified. The following identities failed the check in region \
                        US-EAST-1: form@example.com" })
}

#[test]
fn a_message_is_taken_and_sent_once_however_often_the_form_is_sent() {
    let site = Site::open("300000000001");
    let form = filled(&site.blank(), "Hello");

    let answer = site.post(&form);
    assert_eq!(answer.status, 303, "{answer:?}");
    assert!(answer.head.contains("location: /taken"), "{answer:?}");
    assert_eq!(site.until_sent(1), ["Hello"]);

    assert_eq!(site.post(&form).status, 303, "a second click is answered as the first");
    let more = form.replace("second", "another+line");
    assert_eq!(site.post(&more).status, 303, "whoever goes back and writes more is heard");
    site.write("Bye");
    assert_eq!(site.until_sent(3), ["Hello", "Hello", "Bye"]);

    let mail = &Peer::shared().sent(site.account)[0];
    assert_eq!(mail["from"], "form@example.com");
    assert_eq!(mail["to"], json!(["office@example.com"]));
    assert_eq!(mail["reply_to"], json!(["zoe@example.org"]));
    assert_eq!(mail["text"], "Zoë <zoe@example.org> wrote:\n\nFirst line\nsecond\n");
    assert_eq!(mail["headers"], json!({ "X-Contact-Form-Number": "1" }));
    assert_eq!(mail["tags"], json!({ "contact-form-number": "1" }));
    site.until_health("all is well", |health| health["verdict"] == "healthy" && health["held"] == 0);
    let health = site.health();
    assert_eq!([&health["ok"], &health["oldest_seconds"]], [&json!(true), &Value::Null]);
    assert_eq!([&health["set_aside"], &health["unsure"]], [0, 0]);
    assert_eq!(site.tries(), 3);
}

#[test]
fn while_records_are_missing_mail_is_held_over_restarts_and_then_sent_in_order() {
    let mut site = Site::open("300000000002");
    site.write("before");
    site.until_sent(1);

    site.change(|world| {
        world.remove(LABEL);
    });
    site.until_health("the guard sees it", |health| health["verdict"] == "failing");
    for subject in ["one", "two", "three"] {
        site.write(subject);
    }
    let is_held = |count: i64| {
        move |health: &Value| {
            health["verdict"] == "failing"
                && health["held"] == count
                && health["oldest_seconds"].as_i64() > Some(2)
        }
    };
    site.until_health("three are held", is_held(3));
    assert!(site.end().success());
    site.start();
    site.until_health("three are held after a restart", is_held(3));
    site.kill();
    site.start();
    site.write("four");
    site.until_health("and after an end by force", is_held(4));
    assert_eq!(site.tries(), 1, "none was tried");

    let line = format!("{LABEL} CNAME aaa.dkim.amazonses.com");
    site.change(|world| {
        world.publish(&line);
    });
    site.until_health("all are sent", |health| health["held"] == 0);
    assert_eq!(site.sent(), ["before", "one", "two", "three", "four"]);
    assert_eq!(site.tries(), 5);
    assert_eq!(site.health()["verdict"], "healthy");
}

#[test]
fn mail_that_is_held_stays_so_when_a_restart_finds_a_guard_that_sees_nothing() {
    let mut site = Site::open("300000000015");
    site.change(|world| {
        world.remove(LABEL);
    });
    site.until_health("the guard sees it", |health| health["verdict"] == "failing");
    // What outlives the program is what it has written down.
    until("that is noted", || site.log().contains("the domain is failing: mail is held"));
    site.write("one");
    site.until_health("it is held", |health| health["held"] == 1);
    site.kill();
    site.change(|world| {
        for address in world.addresses().collect::<Vec<_>>() {
            if address == World::RESOLVER {
                world.resolver(address).fault(Fault::Silent);
            } else {
                world.server(address).fault(Fault::Silent);
            }
        }
    });
    let looks = || Peer::shared().count(site.account, "GetEmailIdentity");
    let before = looks();
    site.start();
    until("a look has ended", || looks() > before + 1);
    let health = site.health();
    assert_eq!([&health["verdict"], &health["held"]], [&json!("unknown"), &json!(1)]);
    assert_eq!(site.tries(), 0);

    site.change(|world| *world = World::easy_dkim("example.com"));
    assert_eq!(site.until_sent(1), ["one"]);
}

#[test]
fn while_ses_refuses_mail_is_held_though_the_domain_is_healthy() {
    let mut site = Site::open("300000000003");
    site.until_health("the first look", |health| health["verdict"] == "healthy");
    site.fault(not_verified());
    site.write("one");
    site.write("two");
    // More often than a message may be refused for reasons of its own.
    until("it is tried again and again", || site.tries() > 14);
    let health = site.health();
    assert_eq!([&health["held"], &health["set_aside"]], [2, 0], "{health}");
    assert!(site.end().success());
    site.start();

    Peer::shared().heal(site.account);
    assert_eq!(site.until_sent(2), ["one", "two"]);
    site.until_health("nothing is held", |health| health["held"] == 0);
}

#[test]
fn what_may_pass_is_tried_again_and_nothing_overtakes() {
    let site = Site::open("300000000004");
    for (status, code) in [
        (429, "TooManyRequestsException"),
        (400, "SendingPausedException"),
        (403, "AccessDeniedException"),
        (503, "ServiceUnavailable"),
    ] {
        site.fault(json!({ "times": 1, "status": status, "code": code }));
    }
    site.write("one");
    site.write("two");
    assert_eq!(site.until_sent(2), ["one", "two"]);
    assert_eq!(site.tries(), 6);
}

#[test]
fn a_message_that_ses_never_takes_is_set_aside_and_blocks_nobody() {
    let site = Site::open("300000000005");
    let bad =
        json!({ "name": "bad@example.org", "status": 400, "code": "BadRequestException", "message": "no" });
    site.fault(bad);
    // Refused without end, for reasons that may be its own: it is given up after some tries.
    let odd =
        json!({ "name": "odd@example.org", "status": 400, "code": "MessageRejected", "message": "content" });
    site.fault(odd);
    for (subject, address) in [("one", "zoe"), ("two", "bad"), ("three", "odd"), ("four", "zoe")] {
        let form = filled(&site.blank(), subject).replace("zoe%40", &format!("{address}%40"));
        assert_eq!(site.post(&form).status, 303);
    }
    assert_eq!(site.until_sent(2), ["one", "four"]);
    site.until_health("two are set aside", |health| health["set_aside"] == 2 && health["held"] == 0);

    let listed = String::from_utf8(site.run(&["outbox"]).stdout).expect("UTF-8");
    let expected = "2\trefused\tBadRequestException: no\n3\trefused\tMessageRejected: content\n";
    assert_eq!(listed, expected);
    Peer::shared().heal(site.account);
    assert!(site.run(&["again", "2"]).status.success());
    assert!(site.run(&["forget", "3"]).status.success());
    assert!(!site.run(&["again", "1"]).status.success(), "what was sent isn't sent again");
    assert_eq!(site.until_sent(3), ["one", "four", "two"]);
    site.until_health("nothing is set aside", |health| health["set_aside"] == 0);
}

#[test]
fn a_mail_whose_fate_is_unknown_is_not_sent_again_unless_somebody_says_so() {
    let site = Site::open("300000000006");
    site.fault(json!({ "times": 1, "drop": "when done" }));
    site.fault(json!({ "times": 1, "drop": "at once" }));
    site.write("taken, but not told");
    site.write("lost on the way");
    site.write("after that");
    site.until_health("two are unsure", |health| health["unsure"] == 2 && health["held"] == 0);
    assert_eq!(site.sent(), ["taken, but not told", "after that"]);

    assert!(site.run(&["forget", "1"]).status.success());
    assert!(site.run(&["again", "2"]).status.success());
    assert_eq!(site.until_sent(3), ["taken, but not told", "after that", "lost on the way"]);
    site.until_health("nothing is unsure", |health| health["unsure"] == 0 && health["held"] == 0);
}

#[test]
fn an_end_waits_for_the_call_that_is_under_way() {
    let mut site = Site::open("300000000007");
    site.fault(json!({ "times": 1, "delay": 2 }));
    site.write("one");
    site.write("two");
    until("the call is under way", || site.tries() == 1);
    assert!(site.end().success());
    assert_eq!(site.sent(), ["one"]);
    site.start();
    assert_eq!(site.until_sent(2), ["one", "two"]);
    site.until_health("none is unsure", |health| health["unsure"] == 0 && health["held"] == 0);
}

#[test]
fn an_end_by_force_within_a_call_leaves_one_mail_unsure_and_sends_none_twice() {
    let mut site = Site::open("300000000008");
    site.fault(json!({ "times": 1, "delay": 1 }));
    site.write("one");
    site.write("two");
    until("the call is under way", || site.tries() == 1);
    site.kill();
    site.start();
    // SES took the first of them all the same, and nobody was there to hear it.
    let mut sent = site.until_sent(2);
    sent.sort();
    assert_eq!(sent, ["one", "two"]);
    site.until_health("one is unsure", |health| health["unsure"] == 1 && health["held"] == 0);
    assert!(site.log().contains("message 1 is set aside"), "{}", site.log());
    assert_eq!(site.tries(), 2);
}

/// Killed at instants that fall anywhere, calls of SES included: what was taken is sent once, or is one of those that are
/// unsure and sent at most once.
#[test]
fn whenever_it_is_killed_no_mail_is_lost_and_none_is_sent_twice() {
    let mut site = Site::open("300000000013");
    site.fault(json!({ "delay": 0.05 }));
    let mut taken = 0;
    for round in 0_u64..12 {
        for _ in 0..4 {
            taken += 1;
            site.write(&taken.to_string());
        }
        // From before the first look to the middle of the queue.
        thread::sleep(Duration::from_millis(round * 389 % 1900));
        site.kill();
        site.start();
    }
    site.until_health("nothing waits", |health| health["held"] == 0);

    let listed = String::from_utf8(site.run(&["outbox"]).stdout).expect("UTF-8");
    let unsure: BTreeSet<String> =
        listed.lines().filter_map(|line| Some(line.split_once('\t')?.0.to_owned())).collect();
    assert_eq!(unsure.len() as i64, site.health()["unsure"].as_i64().expect("a number"), "{listed}");
    let sent = site.sent();
    let distinct: BTreeSet<String> = sent.iter().cloned().collect();
    assert_eq!(sent.len(), distinct.len(), "none is sent twice: {sent:?}");
    let all: BTreeSet<String> = (1..=taken).map(|number| number.to_string()).collect();
    assert_eq!(&distinct | &unsure, all, "none is lost");
    assert!(unsure.len() <= 12, "at most one for each end: {listed}");
}

#[test]
fn a_full_outbox_takes_no_more_and_the_visitor_keeps_what_was_written() -> Result<(), Box<dyn Error>> {
    let site = Site::open("300000000014");
    site.fault(not_verified());
    site.write("before");
    let outbox = rusqlite::Connection::open(site.outbox())?;
    outbox.execute(
        "WITH RECURSIVE more(number) AS (SELECT 1 UNION ALL SELECT number + 1 FROM more WHERE number < 10000)
         INSERT INTO mail (form, taken_at, message) SELECT 'more ' || more.number, 0, message FROM more, mail",
        [],
    )?;
    let answer = site.post(&filled(&site.blank(), "too many"));
    assert_eq!(answer.status, 503, "{answer:?}");
    assert!(answer.body.contains("send it again later") && answer.body.contains("too many"), "{answer:?}");
    outbox.execute("DELETE FROM mail WHERE form LIKE 'more %'", [])?;
    site.write("again");
    Peer::shared().heal(site.account);
    assert_eq!(site.until_sent(2), ["before", "again"]);
    Ok(())
}

#[test]
fn two_programs_do_not_send_from_one_outbox() {
    let site = Site::open("300000000009");
    let second = site.run(&[]);
    let said = String::from_utf8(second.stderr).expect("UTF-8");
    assert!(!second.status.success());
    assert_eq!(said, format!("another process sends from {}\n", site.outbox().display()));
}

#[test]
fn what_is_not_fit_is_refused_and_not_stored() {
    let site = Site::open("300000000010");
    let good = filled(&site.blank(), "Hello");
    let table = [
        ("a header in the subject", good.replace("Hello", "Hello%0D%0ABcc:+x%40example.net"), 422),
        ("a line end in the name", good.replace("Zo%C3%AB", "Zoe%0Ax"), 422),
        ("a NUL in the subject", good.replace("Hello", "Hello%00"), 422),
        (
            "a header in the address",
            good.replace("zoe%40example.org", "zoe%40example.org%0D%0ABcc:+x%40example.net"),
            422,
        ),
        ("two addresses", good.replace("zoe%40example.org", "zoe%40example.org,x%40example.net"), 422),
        ("no text", good.replace("First+line%0D%0Asecond", "++"), 422),
        ("a text that is too long", format!("{good}{}", "x".repeat(5000)), 422),
        ("a body that is too large", format!("{good}{}", "x".repeat(100_000)), 413),
        ("a body that is far too large", format!("{good}{}", "x".repeat(5_000_000)), 413),
        ("no form", "%".to_owned(), 422),
    ];
    for (case, body, status) in table {
        let answer = site.post(&body);
        assert_eq!(answer.status, status, "{case}: {answer:?}");
        assert!(answer.body.contains("role=\"alert\""), "{case}: {answer:?}");
    }
    assert_eq!(site.post_with(&["Origin: https://evil.example"], &good).status, 403);
    assert_eq!(site.post_with(&["Sec-Fetch-Site: cross-site"], &good).status, 403);
    let text = "POST / HTTP/1.1\r\nContent-Type: text/plain\r\n";
    assert_eq!(site.request_with(text, &good).status, 415);

    let kept = site.post(&good.replace("zoe%40example.org", "no+%3Cb%3Eaddress"));
    assert!(kept.body.contains("no &lt;b&gt;address"), "what was written is shown again, as text: {kept:?}");
    assert!(kept.body.contains("Zoë") && kept.body.contains("First line"), "{kept:?}");

    site.write("the only one");
    assert_eq!(site.until_sent(1), ["the only one"]);
    let health = site.health();
    assert_eq!([&health["held"], &health["set_aside"], &health["unsure"]], [0, 0, 0], "{health}");
}

#[test]
fn too_many_forms_of_one_client_are_refused() {
    let site = Site::open_with("300000000011", &[("CONTACT_PER_CLIENT", "2"), ("CONTACT_PER_MINUTE", "100")]);
    let form = |number: u32| filled(&site.blank(), &number.to_string());
    // What a client says of itself isn't believed.
    let statuses: Vec<u16> = (1..=3)
        .map(|number| site.post_with(&[&format!("X-Forwarded-For: 192.0.2.{number}")], &form(number)).status)
        .collect();
    assert_eq!(statuses, [303, 303, 429]);
    let refused = site.post(&form(4));
    assert!(refused.head.contains("retry-after: 60"), "{refused:?}");
}

#[test]
fn behind_a_proxy_a_client_is_whom_the_proxy_names() {
    let settings = [
        ("CONTACT_PER_CLIENT", "1"),
        ("CONTACT_PER_MINUTE", "3"),
        ("CONTACT_CLIENT_HEADER", "X-Forwarded-For"),
    ];
    let site = Site::open_with("300000000012", &settings);
    let post = |client: &str, subject: &str| {
        let header = format!("X-Forwarded-For: {client}");
        site.post_with(&[&header], &filled(&site.blank(), subject)).status
    };
    assert_eq!(post("192.0.2.1", "one"), 303);
    assert_eq!(post("203.0.113.9, 192.0.2.1", "two"), 429, "the first is the client's own word");
    assert_eq!(post("192.0.2.2", "three"), 303);
    assert_eq!(post("192.0.2.3", "four"), 303);
    assert_eq!(post("192.0.2.4", "five"), 429, "too many in all");
}
