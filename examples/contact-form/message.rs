//! [`Message`]: what a visitor wrote, once it is known to be fit for a mail.

use aws_lc_rs::digest;
use dkimguard_core::Name;
use email_address::{EmailAddress, Options};
use serde::{Deserialize, Serialize};

/// The longest name, subject and address (RFC 5321 §4.5.3.1.3), and the longest message, in characters.
pub(crate) const LONGEST_LINE: usize = 200;
pub(crate) const LONGEST_ADDRESS: usize = 254;
pub(crate) const LONGEST_TEXT: usize = 5_000;

/// The form's fields as they came.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(crate) struct Fields {
    /// A random text that belongs to one form: sent twice, it is one message.
    pub(crate) form: String,
    pub(crate) name: String,
    pub(crate) address: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// What a visitor wrote. Its lines hold no control character, so no header can be made of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Message {
    pub(crate) name: String,
    /// Where answers go: a bare mail address.
    pub(crate) address: String,
    pub(crate) subject: String,
    pub(crate) text: String,
}

/// What is wrong with a field, as the visitor is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Complaint {
    pub(crate) field: &'static str,
    pub(crate) what: String,
}

impl Fields {
    /// The message, or what is wrong with each field.
    pub(crate) fn read(&self) -> Result<Message, Vec<Complaint>> {
        // Browsers send line ends as CR LF and count them as one character.
        let text = self.text.replace("\r\n", "\n");
        let parts = (
            line("name", &self.name),
            mail_address(&self.address),
            line("subject", &self.subject),
            block("text", text.trim_end()),
        );
        match parts {
            (Ok(name), Ok(address), Ok(subject), Ok(text)) => Ok(Message { name, address, subject, text }),
            (name, address, subject, text) => {
                Err([name.err(), address.err(), subject.err(), text.err()].into_iter().flatten().collect())
            }
        }
    }

    /// What tells this form, filled in so, from every other: the same text from the same form is the same message, and
    /// another text from it (the visitor went back and wrote more) isn't.
    pub(crate) fn key(&self) -> String {
        let mut context = digest::Context::new(&digest::SHA256);
        for field in [&self.form, &self.name, &self.address, &self.subject, &self.text] {
            context.update(&(field.len() as u64).to_be_bytes());
            context.update(field.as_bytes());
        }
        context.finish().as_ref().iter().map(|octet| format!("{octet:02x}")).collect()
    }
}

/// One line: a CR, LF or NUL in it could begin a header of its own, so no control character is let in.
fn line(field: &'static str, text: &str) -> Result<String, Complaint> {
    let text = text.trim_matches(' ');
    if text.contains(char::is_control) {
        return Err(complaint(field, "This has to be one line, without control characters."));
    }
    fits(field, text, LONGEST_LINE)
}

fn block(field: &'static str, text: &str) -> Result<String, Complaint> {
    if text.contains(|character: char| character.is_control() && !matches!(character, '\n' | '\t')) {
        return Err(complaint(field, "This holds control characters, which a mail cannot."));
    }
    fits(field, text, LONGEST_TEXT)
}

fn fits(field: &'static str, text: &str, longest: usize) -> Result<String, Complaint> {
    match text.chars().count() {
        0 => Err(complaint(field, "Please fill this in.")),
        count if count > longest => {
            Err(complaint(field, format!("This has {count} characters, and {longest} is the most.")))
        }
        _ => Ok(text.to_owned()),
    }
}

/// A bare address that SES takes: its part before the `@` is ASCII, its domain is written as A-labels.
fn mail_address(text: &str) -> Result<String, Complaint> {
    let text = line("address", text)?;
    let refused = || complaint("address", "This is not a mail address, such as name@example.com.");
    let options = Options {
        minimum_sub_domains: 2,
        allow_domain_literal: false,
        allow_display_text: false,
        ..Options::default()
    };
    let parsed = EmailAddress::parse_with_options(&text, options).map_err(|_| refused())?;
    let domain: Name = parsed.domain().parse().map_err(|_| refused())?;
    if parsed.local_part().contains('"') {
        return Err(refused());
    }
    if !parsed.local_part().is_ascii() {
        return Err(complaint("address", "The part before the @ has to be in plain letters and digits."));
    }
    let address = format!("{}@{domain}", parsed.local_part());
    if address.len() > LONGEST_ADDRESS {
        return Err(refused());
    }
    Ok(address)
}

fn complaint(field: &'static str, what: impl Into<String>) -> Complaint {
    Complaint { field, what: what.into() }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fields() -> Fields {
        Fields {
            form: "f".to_owned(),
            name: "Ada".to_owned(),
            address: "ada@example.org".to_owned(),
            subject: "Hello".to_owned(),
            text: "One\r\ntwo\r\n".to_owned(),
        }
    }

    #[test]
    fn what_people_write_is_taken() {
        let message = fields().read().expect("it is fit");
        assert_eq!(message.text, "One\ntwo");
        let fields = Fields {
            name: " Zoë O’Neil ".to_owned(),
            address: "zoe+tag@bücher.example".to_owned(),
            text: "é".repeat(LONGEST_TEXT),
            ..fields()
        };
        let message = fields.read().expect("it is fit");
        assert_eq!([message.name, message.address], ["Zoë O’Neil", "zoe+tag@xn--bcher-kva.example"]);
    }

    #[test]
    fn what_could_make_a_header_is_refused_in_each_line() {
        for bad in ["a\r\nBcc: b@example.org", "a\nb", "a\rb", "a\0b", "a\u{85}b"] {
            let table = [
                ("name", Fields { name: bad.to_owned(), ..fields() }),
                ("subject", Fields { subject: bad.to_owned(), ..fields() }),
                ("address", Fields { address: format!("{bad}@example.org"), ..fields() }),
            ];
            for (field, fields) in table {
                let complaints = fields.read().expect_err("it is refused");
                assert_eq!(complaints.iter().map(|each| each.field).collect::<Vec<_>>(), [field], "{bad:?}");
            }
        }
    }

    #[test]
    fn what_is_no_single_bare_address_is_refused() {
        for bad in [
            "",
            "ada",
            "ada@localhost",
            "ada@[192.0.2.1]",
            "Ada <ada@example.org>",
            "<ada@example.org>",
            "a@example.org, b@example.org",
            "a@example.org;b@example.org",
            "ada @example.org",
            "\"ada, b\"@example.org",
            "zoë@example.org",
            "ada@exa mple.org",
        ] {
            let fields = Fields { address: bad.to_owned(), ..fields() };
            assert!(fields.read().is_err(), "{bad:?}");
        }
    }

    #[test]
    fn lengths_are_counted_in_characters() {
        let fields = Fields {
            name: "x".repeat(LONGEST_LINE + 1),
            subject: String::new(),
            text: "é".repeat(LONGEST_TEXT + 1),
            ..fields()
        };
        let complaints = fields.read().expect_err("it is refused");
        let told: Vec<_> = complaints.iter().map(|each| (each.field, each.what.as_str())).collect();
        assert_eq!(
            told,
            [
                ("name", "This has 201 characters, and 200 is the most."),
                ("subject", "Please fill this in."),
                ("text", "This has 5001 characters, and 5000 is the most."),
            ]
        );
    }

    #[test]
    fn only_the_same_text_of_the_same_form_is_the_same_message() {
        let key = fields().key();
        assert_eq!(key, fields().key());
        assert_ne!(key, Fields { form: "g".to_owned(), ..fields() }.key());
        assert_ne!(key, Fields { text: "Three".to_owned(), ..fields() }.key());
        let shifted = Fields { name: "AdaH".to_owned(), subject: "ello".to_owned(), ..fields() };
        assert_ne!(key, shifted.key());
    }
}
