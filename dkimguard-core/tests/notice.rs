//! AWS's notices as they reach people: what is read from each mail, what is none, and what a hostile one costs.

use std::fs;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use dkimguard_core::judge::{DeadlineBasis, PROMISED_HOURS, Paint, WORKING_HOURS};
use dkimguard_core::notice::{Dating, MAX_OCTETS, NotANotice, Notice, Stage};
use jiff::{Span, Timestamp};
use proptest::prelude::*;

/// One of the mails beside this file.
fn mail(name: &str) -> Vec<u8> {
    let path = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("tests/notices").join(name);
    fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn read(name: &str) -> Notice {
    Notice::read(&mail(name)).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn each_mail_says_domain_stage_region_and_date() {
    use Dating::*;
    use Stage::*;
    const SENT: &str = "2026-11-23T10:00:00Z";
    const FRANKFURT: Option<&str> = Some("eu-central-1");
    const VIRGINIA: Option<&str> = Some("us-east-1");
    for (name, domain, stage, region, sent_at, dating) in [
        ("warning.eml", "example.com", Warning, FRANKFURT, SENT, Exact),
        ("revoked.eml", "example.com", Revoked, None, SENT, Exact),
        ("setup-failed.eml", "example.com", SetupFailed, None, SENT, Exact),
        ("verification-failed.eml", "example.com", VerificationFailed, VIRGINIA, SENT, Exact),
        ("cancelled.eml", "example.com", Cancelled, None, SENT, Exact),
        ("succeeded.eml", "example.com", Succeeded, VIRGINIA, SENT, Exact),
        ("crlf.eml", "example.com", Warning, FRANKFURT, SENT, Exact),
        ("quoted-printable.eml", "example.com", Warning, FRANKFURT, SENT, Exact),
        ("base64.eml", "example.com", Warning, FRANKFURT, SENT, Exact),
        ("html-only.eml", "example.com", Warning, None, SENT, Exact),
        ("alternative.eml", "example.com", Warning, None, SENT, Exact),
        // The inner date has no zone: it is in that of the one who forwarded it.
        ("forwarded-gmail.eml", "example.com", Warning, FRANKFURT, "2026-11-23T13:00:00Z", ZoneAssumed),
        ("forwarded-outlook.eml", "example.com", Revoked, None, "2026-11-23T13:00:00Z", ZoneAssumed),
        ("forwarded-quoted.eml", "example.com", Warning, FRANKFURT, "2026-11-24T09:30:00Z", Forwarded),
        ("forwarded-attached.eml", "example.com", Warning, FRANKFURT, "2026-11-20T16:00:00Z", Exact),
        ("forwarded-twice.eml", "example.com", Warning, FRANKFURT, "2026-11-20T16:00:00Z", Exact),
        ("iso-2022-jp.eml", "example.co.jp", SetupFailed, None, "2026-11-24T00:30:00Z", Exact),
        ("shift-jis.eml", "example.co.jp", SetupFailed, None, "2026-11-24T00:30:00Z", Exact),
        ("typographic.eml", "example.com", Warning, None, SENT, Exact),
        // The newest counts, which stands first.
        ("thread.eml", "example.com", Revoked, None, "2026-11-28T11:00:00Z", Exact),
        ("cancelled-above-warning.eml", "example.com", Cancelled, FRANKFURT, "2026-11-25T11:00:00Z", Exact),
        ("health.txt", "example.com", Succeeded, FRANKFURT, "2026-09-26T18:35:41Z", Exact),
        ("pasted.txt", "example.com", Warning, None, "", Unknown),
        ("pasted-header.txt", "xn--bcher-kva.example", Warning, FRANKFURT, SENT, ZoneAssumed),
        ("pasted-utf-16.txt", "example.com", Warning, FRANKFURT, "", Unknown),
        ("saved-page.html", "example.com", Warning, None, "", Unknown),
    ] {
        let notice = read(name);
        let told = notice.sent_at.map(|at| at.to_string()).unwrap_or_default();
        assert_eq!((notice.domain.to_string().as_str(), notice.stage), (domain, stage), "{name}");
        assert_eq!((notice.region.as_deref(), told.as_str()), (region, sent_at), "{name}");
        assert_eq!(notice.dating, dating, "{name}");
    }
}

#[test]
fn what_is_no_notice_is_refused_with_the_reason() {
    for name in ["not-bounce.eml", "not-mail-from.eml", "not-other-provider.eml"] {
        assert_eq!(Notice::read(&mail(name)), Err(NotANotice::NoPhrase), "{name}");
    }
    for (name, message) in [
        (
            "no-domain.txt",
            "it says \"temporarily disabled dkim signing for emails originating from your\", and names no domain there",
        ),
        ("several-domains.txt", "it speaks of several domains: example.com and example.org"),
        ("not-documentation.txt", "it holds none of the sentences that stand in AWS's notices about DKIM"),
    ] {
        let error = Notice::read(&mail(name)).expect_err(name);
        assert_eq!(error.to_string(), message, "{name}");
    }
    for nothing in [&b""[..], b" \r\n\t\n"] {
        assert_eq!(Notice::read(nothing), Err(NotANotice::Empty));
    }
    assert_eq!(Notice::read(b"Subject: x\n"), Err(NotANotice::NoPhrase));
}

#[test]
fn what_could_not_stand_in_a_command_is_no_domain() {
    for word in [
        "$(reboot).example",
        "a.example|sh",
        "a.example;reboot",
        "`reboot`.example",
        "a..example",
        "me@example.com",
        "localhost",
        "it",
    ] {
        let text = format!("your DKIM setup for the domain {word} is complete");
        let read = Notice::read(text.as_bytes());
        assert!(matches!(read, Err(NotANotice::NoDomain { .. })), "{word}: {read:?}");
    }
    for word in [
        "Example.COM.",
        "\"example.com\"",
        "<example.com>",
        "[example.com]",
        "example.com<http://example.com/>",
    ] {
        let text = format!("your DKIM setup for the domain {word} is complete");
        let notice = Notice::read(text.as_bytes()).unwrap_or_else(|error| panic!("{word}: {error}"));
        assert_eq!(notice.domain.to_string(), "example.com", "{word}");
    }
}

#[test]
fn regions_are_known_by_code_and_by_name() {
    for (region, code) in [
        ("US East (N. Virginia)", Some("us-east-1")),
        ("EU (Ireland)", Some("eu-west-1")),
        ("Europe (Ireland)", Some("eu-west-1")),
        ("South America (S\u{e3}o Paulo)", Some("sa-east-1")),
        ("Asia\n> Pacific\n> (Tokyo)", Some("ap-northeast-1")),
        ("ap-southeast-2", Some("ap-southeast-2")),
        ("ap-southeast-22", None),
        ("Mars (Olympus)", None),
    ] {
        for text in [
            format!("attempting to verify the domain example.com in region {region} for the last 3 days"),
            format!("DKIM setup SUCCESS for example.com in {region} region"),
            format!(
                "Your DKIM setup for the domain example.com is complete. It relates to the {region} region."
            ),
            format!("Region: {region}\n\nYour DKIM setup for the domain example.com is complete."),
        ] {
            let notice = Notice::read(text.as_bytes()).unwrap_or_else(|error| panic!("{text}: {error}"));
            assert_eq!(notice.region.as_deref(), code, "{text}");
        }
    }
    let two = "Your DKIM setup for the domain example.com is complete. Region: us-east-1. Region: us-east-2.";
    assert_eq!(Notice::read(two.as_bytes()).expect("a notice").region, None);
}

#[test]
fn only_a_warning_has_deadlines() {
    let warning = read("warning.eml");
    let sent_at = warning.sent_at.expect("its date");
    let deadline = warning.deadline().expect("the clock runs");
    assert_eq!(deadline.working, sent_at + Span::new().hours(WORKING_HOURS));
    assert_eq!(deadline.promised, sent_at + Span::new().hours(PROMISED_HOURS));
    assert_eq!(deadline.basis, DeadlineBasis::Notice);
    for name in ["revoked.eml", "setup-failed.eml", "cancelled.eml", "succeeded.eml", "pasted.txt"] {
        assert_eq!(read(name).deadline(), None, "{name}");
    }
}

#[test]
fn json_is_as_the_contract_has_it() {
    let json = |name: &str| serde_json::to_string(&read(name)).expect("it is plain");
    assert_eq!(
        json("warning.eml"),
        r#"{"schema":1,"domain":"example.com","region":"eu-central-1","stage":"warning","sent_at":"2026-11-23T10:00:00Z","deadline":"2026-11-26T10:00:00Z","deadline_promised":"2026-11-28T10:00:00Z","next":["dkimguard check example.com --region eu-central-1"]}"#
    );
    assert_eq!(
        json("pasted.txt"),
        r#"{"schema":1,"domain":"example.com","region":null,"stage":"warning","sent_at":null,"deadline":null,"deadline_promised":null,"next":["dkimguard check example.com"]}"#
    );
    for (name, stage) in [
        ("revoked.eml", "revoked"),
        ("setup-failed.eml", "setup-failed"),
        ("verification-failed.eml", "verification-failed"),
        ("cancelled.eml", "cancelled"),
        ("succeeded.eml", "succeeded"),
    ] {
        assert!(json(name).contains(&format!("\"stage\":\"{stage}\"")), "{name}");
    }
}

#[test]
fn the_text_says_how_long_is_left() {
    let now: Timestamp = "2026-11-26T22:30:00Z".parse().expect("a time");
    assert_eq!(
        read("warning.eml").text(now, Paint::Plain).to_string(),
        "WARNING  example.com\n\
         Amazon SES no longer finds the DKIM records and has stopped signing.\n\
         Region: eu-central-1\n\
         Sent: 2026-11-23T10:00:00Z (3 d 12 h ago)\n\n\
         Restore the records before:\n  \
           2026-11-26T10:00:00Z (12 h 30 min ago): 72 h, to be safe\n  \
           2026-11-28T10:00:00Z (in 1 d 11 h): the 5 days of the notice\n\n\
         Next:\n  dkimguard check example.com --region eu-central-1\n"
    );
    for (name, words) in [
        ("pasted.txt", "within 72 h of when the notice was sent"),
        ("pasted-header.txt", "no time zone"),
        ("pasted-header.txt", "b\u{fc}cher.example (xn--bcher-kva.example)"),
        ("forwarded-quoted.eml", "when it was forwarded"),
        ("succeeded.eml", "SUCCEEDED"),
    ] {
        let text = read(name).text(now, Paint::Plain).to_string();
        assert!(text.contains(words), "{name}: {text}");
        assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
    }
    assert!(read("warning.eml").text(now, Paint::Ansi).to_string().starts_with("\u{1b}[1;33mWARNING"));
}

/// Mails made to cost more than they are long.
fn hostile_mails() -> Vec<(&'static str, Vec<u8>)> {
    let nested = |levels: usize| {
        (0..levels).fold(String::from("From: a@example.com\n"), |mail, level| {
            mail + &format!("Content-Type: multipart/mixed; boundary=\"b{level}\"\n\n--b{level}\n")
        })
    };
    let enclosed = |levels: usize| "From: a@example.com\nContent-Type: message/rfc822\n\n".repeat(levels);
    let head = "From: a@example.com\nContent-Type: multipart/mixed; boundary=b\n\n";
    let parts = head.to_owned() + &"--b\n\nx\n".repeat(1_000_000);
    let containers =
        head.to_owned() + &"--b\nContent-Type: multipart/mixed; boundary=no\n\nx\n".repeat(100_000);
    let mut encoded =
        head.to_owned() + "--b\nContent-Type: message/rfc822\nContent-Transfer-Encoding: 7bit\n\n";
    encoded += &nested(10_000);
    let fill = |unit: &str, octets: usize| unit.repeat(octets / unit.len());
    let html = "From: a@example.com\nContent-Type: text/html\n\n";
    let text = "From: a@example.com\n\n";
    let lines_of = |unit: &str, octets| fill(&format!("{}\n", fill(unit, 900)), octets);
    let lines = |unit: &str| lines_of(unit, MAX_OCTETS - 100);
    vec![
        ("50 MB", vec![b'a'; 50_000_000]),
        ("10,000 levels", nested(10_000).into_bytes()),
        ("10,000 levels in a part", encoded.into_bytes()),
        ("10,000 mails in mails", enclosed(10_000).into_bytes()),
        ("a million parts", parts.into_bytes()),
        ("many containers", containers.into_bytes()),
        ("a long header", (fill("a: =?", MAX_OCTETS - 10)).into_bytes()),
        ("encoded words", format!("Content-Type: {}", fill("=?a?b?c?= \n ", MAX_OCTETS / 2)).into_bytes()),
        ("many headers", format!("From: a\n{}", fill("a:\n", MAX_OCTETS - 10)).into_bytes()),
        ("tags without an end", format!("{html}{}", lines("<a ")).into_bytes()),
        ("comments without an end", format!("{html}{}", lines("<!--")).into_bytes()),
        ("entities without an end", format!("{html}{}", lines("&#")).into_bytes()),
        ("scripts without an end", format!("{html}<script>{}", lines("</scrip ")).into_bytes()),
        ("quotes", format!("{text}{}", lines(">")).into_bytes()),
        ("sentences without a domain", format!("{text}{}", lines("in 5 days, ")).into_bytes()),
        ("a text of sentences", lines_of("in 5 days, ", 1_000_000).into_bytes()),
        ("a text of dates", lines_of("Date: Mon, Nov 23, 2026 at 10:00\n", 1_000_000).into_bytes()),
        ("links", format!("{text}{}", lines("<http")).into_bytes()),
        ("borders", format!("{head}{}", lines("-")).into_bytes()),
    ]
}

#[test]
fn a_hostile_mail_is_refused_at_once() {
    for (what, mail) in hostile_mails() {
        let begun = Instant::now();
        let read = Notice::read(&mail);
        let took = begun.elapsed();

        assert!(read.is_err(), "{what}: {read:?}");
        // Optimised, each takes under half a second. This is far above what a build without optimisation takes on
        // a busy machine, and far below what anything takes that grows with the square of 8 MiB.
        assert!(took < Duration::from_secs(120), "{what}: {took:?}");
    }
}

#[test]
fn a_notice_among_a_great_deal_is_found() {
    let mut text = String::from_utf8(mail("warning.eml")).expect("ASCII");
    text += &"The region of the domain is in region 5 days, from: here.\n".repeat(10_000);
    assert_eq!(Notice::read(text.as_bytes()).map(|notice| notice.stage), Ok(Stage::Warning));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn arbitrary_octets_never_panic(octets in proptest::collection::vec(any::<u8>(), 0..2000)) {
        let _ = Notice::read(&octets);
    }

    #[test]
    fn arbitrary_changes_to_a_mail_never_panic(
        name in prop::sample::select(vec![
            "forwarded-twice.eml", "alternative.eml", "forwarded-gmail.eml", "iso-2022-jp.eml", "thread.eml",
            "quoted-printable.eml", "health.txt", "pasted-header.txt", "verification-failed.eml", "html-only.eml",
        ]),
        changes in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 0..20),
        cut in any::<prop::sample::Index>(),
    ) {
        let mut octets = mail(name);
        for (at, octet) in changes {
            let at = at.index(octets.len());
            octets[at] = octet;
        }
        let _ = Notice::read(&octets);
        let _ = Notice::read(&octets[cut.index(octets.len())..]);
    }

    #[test]
    fn any_words_around_and_in_the_sentences_never_panic(
        words in proptest::collection::vec(prop::sample::select(vec![
            "in 5 days, ", "will no longer consider ", "your dkim setup for the domain ", " is complete", " in region ",
            "eu (", "europe (ireland)", "region", "dkim revocation", " warning", "re: ", "<http", "(http", ">", "\n",
            "\u{2019}", "\u{130}", "\u{e4}", "date:", "start time", "from:", "example.com", "for the last", "&", ";",
        ]), 0..40),
    ) {
        let _ = Notice::read(words.concat().as_bytes());
        let page = format!("<p>{}", words.concat());
        let _ = Notice::read(page.as_bytes());
    }
}
