//! The pages. Whatever a visitor wrote is escaped by the macro that makes them.

use maud::{DOCTYPE, Markup, html};

use crate::message::{Complaint, Fields, LONGEST_ADDRESS, LONGEST_LINE, LONGEST_TEXT};

/// The form, filled in as it came, with what is wrong with it.
pub(crate) fn form(fields: &Fields, complaints: &[Complaint], notice: Option<&str>) -> Markup {
    let of = |field: &str| complaints.iter().find(|each| each.field == field);
    let content = html! {
        h1 { "Write to us" }
        @if let Some(notice) = notice {
            p.complaint role="alert" { (notice) }
        } @else if !complaints.is_empty() {
            p.complaint role="alert" {
    "Your message was not sent yet. Please look at what is marked below."
            }
        } @else {
            p.hint { "We answer by mail." }
        }
        form method="post" action="/" accept-charset="utf-8" {
            input type="hidden" name="form" value=(fields.form);
            (input("name", "Your name", "text", "name", &fields.name, LONGEST_LINE, of("name")))
            (input("address", "Your mail address", "email", "email", &fields.address, LONGEST_ADDRESS, of("address")))
            (input("subject", "Subject", "text", "off", &fields.subject, LONGEST_LINE, of("subject")))
            label for="text" { "Message" }
            // The first line end behind the tag is not part of the text.
            textarea #text name="text" rows="7" required maxlength=(LONGEST_TEXT)
                aria-invalid=[of("text").map(|_| "true")] aria-describedby=[of("text").map(|_| "text-complaint")]
                { "\n" (fields.text) }
            (complaint(of("text")))
            button type="submit" { "Send" }
        }
    };
    page("Write to us", &content)
}

/// Thanks.
pub(crate) fn taken() -> Markup {
    let content = html! {
        h1 { "Thank you" }
        p role="status" { "Your message was taken. There is nothing more to do: we answer by mail." }
        p { a href="/" { "Write another message" } }
    };
    page("Your message was taken", &content)
}

/// Why a form was not taken, where what was written isn't known here.
pub(crate) fn refusal(title: &str, what: &str) -> Markup {
    let content = html! {
        h1 { (title) }
        p role="alert" { (what) }
        p { a href="/" { "To the form" } }
    };
    page(title, &content)
}

fn input(
    name: &str,
    label: &str,
    kind: &str,
    autocomplete: &str,
    value: &str,
    longest: usize,
    wrong: Option<&Complaint>,
) -> Markup {
    html! {
        label for=(name) { (label) }
        input id=(name) name=(name) type=(kind) autocomplete=(autocomplete) value=(value) required maxlength=(longest)
            aria-invalid=[wrong.map(|_| "true")] aria-describedby=[wrong.map(|_| format!("{name}-complaint"))];
        (complaint(wrong))
    }
}

fn complaint(wrong: Option<&Complaint>) -> Markup {
    html! {
        @if let Some(wrong) = wrong {
            p.complaint id=(format!("{}-complaint", wrong.field)) { (wrong.what) }
        }
    }
}

fn page(title: &str, content: &Markup) -> Markup {
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                title { (title) }
                link rel="stylesheet" href="/style.css";
                link rel="icon" href="data:,";
            }
            body { main { (content) } }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_written_is_shown_as_text() {
        let evil = "</textarea><script>alert(1)</script>\"'&";
        let fields = Fields {
            form: evil.to_owned(),
            name: evil.to_owned(),
            address: evil.to_owned(),
            subject: evil.to_owned(),
            text: evil.to_owned(),
        };
        let page = form(&fields, &[], None).into_string();
        assert!(!page.contains("<script"), "{page}");
        assert_eq!(page.matches("</textarea>").count(), 1, "{page}");
        assert_eq!(page.matches("&quot;'&amp;").count(), 5, "{page}");
    }
}
