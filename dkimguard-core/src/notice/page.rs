//! The words of an HTML page, as a browser would show them.
//!
//! A parser of HTML builds a tree, which a hostile page makes as deep as it likes; here one pass over the page is
//! enough, for all that is wanted is words and lines.

/// Elements whose content isn't shown.
const HIDDEN: [&str; 5] = ["head", "script", "style", "template", "title"];
/// Elements that begin and end a line.
const LINES: [&str; 20] = [
    "address",
    "article",
    "blockquote",
    "body",
    "br",
    "center",
    "div",
    "footer",
    "h1",
    "h2",
    "h3",
    "h4",
    "header",
    "hr",
    "li",
    "ol",
    "p",
    "table",
    "tr",
    "ul",
];
/// The longest entity that is read, in octets.
const MAX_ENTITY: usize = 40;

/// Whether a text is the source of a page.
pub(super) fn is_page(text: &str) -> bool {
    let beginning: String = text.trim_start().chars().take(64).collect::<String>().to_ascii_lowercase();
    ["<!doctype html", "<html", "<head", "<body", "<div", "<p>", "<table"]
        .iter()
        .any(|start| beginning.starts_with(start))
}

/// The words of a page: one line for each block, entities replaced, what isn't shown left out.
pub(super) fn words_of(page: &str) -> String {
    let mut words = String::with_capacity(page.len());
    let mut rest = page;
    let mut hidden: Option<&str> = None;
    while let Some(at) = rest.find(['<', '&', '\n', '\r']) {
        if let Some(element) = hidden {
            rest = &rest[at..];
            if closes(rest, element) {
                (hidden, rest) = (None, after(rest, ">"));
            } else {
                rest = &rest[1..];
            }
            continue;
        }
        words.push_str(&rest[..at]);
        rest = &rest[at..];
        if rest.starts_with("<!--") {
            rest = after(rest, "-->");
        } else if let Some(tag) = tag(rest) {
            if !tag.closes {
                hidden = HIDDEN.into_iter().find(|element| tag.is(element));
            }
            if LINES.iter().any(|element| tag.is(element)) {
                words.push('\n');
            } else if tag.is("td") || tag.is("th") {
                words.push(' ');
            }
            rest = tag.rest;
        } else if let Some((shown, length)) = entity(rest) {
            words.push_str(&shown);
            rest = &rest[length..];
        } else {
            // A line's end in the source is but a blank.
            words.push_str(if rest.starts_with(['\n', '\r']) { " " } else { &rest[..1] });
            rest = &rest[1..];
        }
    }
    if hidden.is_none() {
        words.push_str(rest);
    }
    words
}

/// A tag at the beginning of a text.
struct Tag<'a> {
    name: &'a str,
    closes: bool,
    rest: &'a str,
}

impl Tag<'_> {
    fn is(&self, element: &str) -> bool {
        self.name.eq_ignore_ascii_case(element)
    }
}

/// The tag with which a text begins. One without its end is none, and takes the rest of the page.
fn tag(text: &str) -> Option<Tag<'_>> {
    let inside = text.strip_prefix('<')?;
    let (closes, inside) = inside.strip_prefix('/').map_or((false, inside), |inside| (true, inside));
    if !inside.starts_with(|first: char| first.is_ascii_alphabetic() || matches!(first, '!' | '?')) {
        return None;
    }
    let name = inside.split(|next: char| !next.is_ascii_alphanumeric()).next().unwrap_or_default();
    Some(Tag { name, closes, rest: after(inside, ">") })
}

/// Whether a text begins with the end of an element.
fn closes(text: &str, element: &str) -> bool {
    let name = text.strip_prefix("</").and_then(|inside| inside.get(..element.len()));
    name.is_some_and(|name| name.eq_ignore_ascii_case(element))
}

/// What follows the first `end`; nothing if there is none.
fn after<'a>(text: &'a str, end: &str) -> &'a str {
    text.find(end).map_or("", |at| &text[at + end.len()..])
}

/// What the entity stands for with which a text begins, and how long it is.
fn entity(text: &str) -> Option<(String, usize)> {
    let name = text.strip_prefix('&')?;
    let is_part = |octet: u8| octet.is_ascii_alphanumeric() || octet == b'#';
    let length = name.bytes().take(MAX_ENTITY).position(|octet| !is_part(octet))?;
    let end = length + 2;
    let entity = text.get(..end).filter(|entity| entity.ends_with(';'))?;
    let shown = html_escape::decode_html_entities(entity);
    (shown != entity).then(|| (shown.into_owned(), end))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_becomes_its_words() {
        for (page, words) in [
            ("a <b>b</b><wbr>c", "a bc"),
            ("a<br>b<BR/>c", "a\nb\nc"),
            ("<p class='x'>a\nb</p>", "\na b\n"),
            ("<td>Date:</td><td>now</td>", " Date:  now "),
            ("a&nbsp;b&#8217;c&#x27;d&amp;lt;", "a\u{a0}b\u{2019}c'd&lt;"),
            ("a & b &c; 1 < 2", "a & b &c; 1 < 2"),
            ("<style>p > a {}</style>x<!-- <p> -->y<script>if (a<b) {}</script>z", "xyz"),
            ("<head><title>t</title></head><body>x", "\nx"),
            ("a<b", "a"),
            ("a<!-- b", "a"),
            ("&\u{e4};", "&\u{e4};"),
        ] {
            assert_eq!(words_of(page), words, "{page}");
        }
    }
}
