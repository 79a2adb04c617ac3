//! The contact form in a real browser: what a visitor sees and does, to the mail at the peer.

#[path = "../site/mod.rs"]
mod site;
mod web_driver;

use serde_json::json;
use site::{Site, until};
use web_driver::Browser;

const FIELDS: [(&str, &str, &str); 4] = [
    ("name", "Your name", "Zoë"),
    ("address", "Your mail address", "zoe@example.org"),
    ("subject", "Subject", "Opening <hours> & \"more\""),
    ("text", "Message", "First line\nsecond"),
];

fn open(site: &Site, browser: &Browser) {
    browser.open(&format!("http://{}/", site.address()));
}

fn fill_in(browser: &Browser) {
    for (field, _, text) in FIELDS {
        browser.type_into(&format!("#{field}"), text);
    }
}

#[test]
fn a_visitor_fills_the_form_in_and_the_mail_arrives() {
    let site = Site::open("300000000021");
    let browser = Browser::start(None);
    open(&site, &browser);
    assert_eq!(browser.title(), "Write to us");
    for (field, label, _) in FIELDS {
        assert_eq!(browser.label(&format!("#{field}")), label, "what a screen reader says");
    }
    fill_in(&browser);
    browser.click("button");
    until("the page says that it was taken", || browser.title() == "Your message was taken");
    assert!(browser.text("main").contains("Your message was taken"), "{}", browser.text("main"));
    assert_eq!(site.until_sent(1), ["Opening <hours> & \"more\""]);
    let mail = &site::peer::Peer::shared().sent(site.account)[0];
    assert_eq!(mail["text"], "Zoë <zoe@example.org> wrote:\n\nFirst line\nsecond\n");

    browser.reload();
    assert_eq!(browser.title(), "Your message was taken");
    browser.click("main a");
    until("there is a new form", || browser.title() == "Write to us");
    fill_in(&browser);
    browser.click("button");
    assert_eq!(site.until_sent(2).len(), 2, "one for each form, and none for the reload");
    // A style or an image that the policy keeps out would be told of here.
    assert_eq!(browser.complaints(), json!([]));
}

#[test]
fn a_message_that_is_too_long_is_shown_again_with_what_is_wrong() {
    let site = Site::open("300000000022");
    let browser = Browser::start(None);
    open(&site, &browser);
    fill_in(&browser);
    // Nobody can type so much there; a program can put it in.
    browser.run("document.querySelector('#text').value = 'x'.repeat(5001)");
    browser.click("button");
    until("it is refused", || browser.text("main").contains("5001 characters, and 5000 is the most"));
    let described = browser.run("return document.querySelector('#text').getAttribute('aria-describedby')");
    assert_eq!(described, "text-complaint");
    assert_eq!(browser.run("return document.querySelector('#text').value.length"), 5001, "nothing is lost");
    assert_eq!(browser.run("return document.querySelector('#name').value"), "Zoë");

    browser.run("document.querySelector('#text').value = 'short'");
    browser.click("button");
    until("it is taken", || browser.title() == "Your message was taken");
    assert_eq!(site.until_sent(1).len(), 1);

    open(&site, &browser);
    fill_in(&browser);
    browser.run("document.querySelector('#text').value = 'x'.repeat(200000)");
    browser.click("button");
    until("it is refused unread", || browser.title() == "Not taken");
    assert!(browser.text("main").contains("more than a message may have"), "{}", browser.text("main"));
}

#[test]
fn what_is_missing_or_no_address_is_told_before_it_is_sent() {
    let site = Site::open("300000000023");
    let browser = Browser::start(None);
    open(&site, &browser);
    let is_valid = "return document.querySelector('form').checkValidity()";
    assert_eq!(browser.run(is_valid), false, "nothing is filled in");
    fill_in(&browser);
    assert_eq!(browser.run(is_valid), true);
    browser.type_into("#address", " and more");
    assert_eq!(browser.run(is_valid), false, "it is no address");
    browser.click("button");
    assert_eq!(
        browser.run("return document.activeElement.id"),
        "address",
        "it leads there instead of sending"
    );
    assert_eq!(site.health()["held"], 0);
    assert_eq!(site.tries(), 0);
}

#[test]
fn on_a_phone_nothing_is_cut_off_and_all_is_large_enough_to_touch() {
    let site = Site::open("300000000024");
    let browser = Browser::start(Some((360, 740)));
    open(&site, &browser);
    let width = "return [innerWidth, document.documentElement.scrollWidth]";
    assert_eq!(browser.run(width), json!([360, 360]));
    let heights = browser.run(
        "return [...document.querySelectorAll('input:not([type=hidden]), textarea, button')]
         .map(each => each.getBoundingClientRect()).filter(box => box.height < 40 || box.width < 300).length",
    );
    assert_eq!(heights, 0, "each field is high and wide enough");
    // Below 16 pixels phones zoom in when a field is touched.
    assert_eq!(
        browser.run("return parseFloat(getComputedStyle(document.querySelector('#name')).fontSize)"),
        17
    );
    fill_in(&browser);
    browser.click("button");
    until("it is taken", || browser.title() == "Your message was taken");
    assert_eq!(browser.run(width), json!([360, 360]));
}
