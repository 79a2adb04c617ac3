//! [`Letter`]: one mail, its texts decoded. The mail is opened here, and nowhere else.

use jiff::Timestamp;
use mailparse::{DispositionType, MailHeaderMap as _, ParsedMail};

use super::date::{Stamp, stamp};
use super::page::{is_page, words_of};
use super::{Dating, NotANotice};

/// How deep mails are opened that are attached to mails: a notice is forwarded a few times at most.
const MAX_ENCLOSED: usize = 4;
/// The most lines that begin like the border of a part. Each costs memory, whether there is a part or not.
const MAX_BORDERS: usize = 10_000;
/// The most parts that hold parts. Each means one more pass over what it holds.
const MAX_CONTAINERS: usize = 40;
/// The most words in the encoding of headers.
const MAX_ENCODED_WORDS: usize = 2_000;
/// The most lines. Each may be a header field, which costs memory.
const MAX_LINES: usize = 400_000;
/// The longest line. RFC 5322 §2.1.1 allows 998 octets; texts that were never sent have longer ones.
const MAX_LINE: usize = 128 * 1024;
/// The most octets of text, attachments and the source of pages aside.
const MAX_TEXT: usize = 1024 * 1024;
/// Header fields of which one begins a mail, in lower case.
const FIRST_FIELDS: [&str; 20] = [
    "arc-seal",
    "authentication-results",
    "bcc",
    "cc",
    "content-type",
    "date",
    "delivered-to",
    "dkim-signature",
    "from",
    "message-id",
    "mime-version",
    "received",
    "reply-to",
    "return-path",
    "sender",
    "sent",
    "status",
    "subject",
    "to",
    "x-mozilla-status",
];

/// One mail, or a text that is none.
#[derive(Debug)]
pub(super) struct Letter {
    /// What it says, in its order; the subject is the first line of the first. Pages are given as their words.
    pub(super) texts: Vec<String>,
    /// When it was sent, by its own header.
    date: Option<Stamp>,
    /// When the mail was sent in which it lies.
    outer: Option<Stamp>,
}

impl Letter {
    /// When what it says was said: `inline` is the date of a mail quoted in it, where `is_quoted` says that what
    /// counts stands in such a one.
    pub(super) fn dated(&self, inline: Option<Stamp>, is_quoted: bool) -> Option<(Timestamp, Dating)> {
        // The time zone of the one who forwarded it is that in which the program wrote the inner date.
        let zone = self.date.or(self.outer).and_then(|date| date.offset);
        let own = if is_quoted { inline } else { self.date.or(inline) };
        if let Some(own) = own {
            return own.at(zone);
        }
        let (around, _) = self.date.filter(|_| is_quoted).or(self.outer)?.at(None)?;
        Some((around, Dating::Forwarded))
    }
}

/// The mail, then the mails attached to it, or the text alone.
///
/// # Errors
/// What is too intricate to be opened.
pub(super) fn letters(octets: &[u8]) -> Result<Vec<Letter>, NotANotice> {
    let mut letters = Vec::new();
    let octets = without_envelope(octets);
    if !is_mail(octets) || !open(octets, None, MAX_ENCLOSED, &mut letters)? {
        letters.push(Letter { texts: vec![shown(text_of(octets))], date: None, outer: None });
    }
    let text: usize = letters.iter().flat_map(|letter| &letter.texts).map(String::len).sum();
    if text > MAX_TEXT {
        return Err(NotANotice::TooIntricate { what: "octets of text", most: MAX_TEXT });
    }
    Ok(letters)
}

/// Opens a mail, and says whether it is one.
fn open(
    octets: &[u8],
    outer: Option<Stamp>,
    depth: usize,
    letters: &mut Vec<Letter>,
) -> Result<bool, NotANotice> {
    refuse_intricate(octets)?;
    let Ok(mail) = mailparse::parse_mail(octets) else { return Ok(false) };
    let date = ["Date", "Sent"].into_iter().find_map(|field| stamp(&mail.headers.get_first_value(field)?));
    let mut letter = Letter { texts: Vec::new(), date, outer };
    let mut enclosed = Vec::new();
    for part in mail.parts().filter(|part| part.subparts.is_empty()) {
        if is_enclosed_mail(part) {
            enclosed.extend(part.get_body_raw());
        } else if part.ctype.mimetype.starts_with("text/") {
            letter.texts.extend(part.get_body().map(|body| match part.ctype.mimetype.as_str() {
                "text/html" => words_of(&body),
                _ => shown(body),
            }));
        }
    }
    if let Some(subject) = mail.headers.get_first_value("Subject") {
        match letter.texts.first_mut() {
            Some(text) => text.insert_str(0, &format!("{subject}\n\n")),
            None => letter.texts.push(subject),
        }
    }
    letters.push(letter);
    if let Some(depth) = depth.checked_sub(1) {
        for octets in enclosed {
            open(&octets, date.or(outer), depth, letters)?;
        }
    }
    Ok(true)
}

/// Whether a part is a mail of its own. Some programs attach one as a file.
fn is_enclosed_mail(part: &ParsedMail<'_>) -> bool {
    let kind = part.ctype.mimetype.as_str();
    if matches!(kind, "message/rfc822" | "message/global") {
        return true;
    }
    let disposition = part.get_content_disposition();
    let name = disposition.params.get("filename").or_else(|| part.ctype.params.get("name"));
    (disposition.disposition == DispositionType::Attachment || kind == "application/octet-stream")
        && name.is_some_and(|name| name.to_ascii_lowercase().ends_with(".eml"))
}

/// Refuses what would cost more than its length. One pass.
fn refuse_intricate(octets: &[u8]) -> Result<(), NotANotice> {
    let refuse = |what, most| Err(NotANotice::TooIntricate { what, most });
    let (mut lines, mut borders, mut containers, mut encoded_words) = (0, 0, 0, 0);
    for line in octets.split(|&octet| octet == b'\n') {
        if line.len() > MAX_LINE {
            return refuse("octets in one line", MAX_LINE);
        }
        lines += 1;
        borders += usize::from(line.starts_with(b"--"));
        encoded_words += line.windows(2).filter(|pair| pair == b"=?").count();
        containers += line.windows(8).filter(|word| word.eq_ignore_ascii_case(b"boundary")).count();
    }
    let limits = [
        (lines, "lines", MAX_LINES),
        (borders, "parts", MAX_BORDERS),
        (containers, "levels of parts", MAX_CONTAINERS),
        (encoded_words, "encoded words", MAX_ENCODED_WORDS),
    ];
    match limits.into_iter().find(|(count, _, most)| count > most) {
        Some((_, what, most)) => refuse(what, most),
        None => Ok(()),
    }
}

/// What follows blank lines and the line that mailboxes put before a mail.
fn without_envelope(octets: &[u8]) -> &[u8] {
    let octets = octets.strip_prefix(b"\xef\xbb\xbf").unwrap_or(octets).trim_ascii_start();
    if octets.starts_with(b"From ") {
        let end = octets.iter().position(|&octet| octet == b'\n');
        return end.map_or(octets, |end| &octets[end + 1..]);
    }
    octets
}

/// Whether a text begins with a header, as a mail does.
fn is_mail(octets: &[u8]) -> bool {
    let name = octets.split(|&octet| octet == b':').next().unwrap_or_default();
    let is_name = octets.len() > name.len() && name.len() < 80 && name.iter().all(u8::is_ascii_graphic);
    if !is_name {
        return false;
    }
    let Ok((headers, _)) = mailparse::parse_headers(first_lines(octets)) else { return false };
    headers
        .iter()
        .any(|header| FIRST_FIELDS.iter().any(|field| header.get_key_ref().eq_ignore_ascii_case(field)))
}

/// As much of a mail as shows whether it is one.
fn first_lines(octets: &[u8]) -> &[u8] {
    &octets[..octets.len().min(16 * 1024)]
}

/// A text of unknown charset. The sentences are in ASCII, so that what is wrongly read beside them does no harm.
fn text_of(octets: &[u8]) -> String {
    let wide = |from: fn([u8; 2]) -> u16| {
        let units: Vec<u16> = octets[2..].chunks_exact(2).map(|unit| from([unit[0], unit[1]])).collect();
        String::from_utf16_lossy(&units)
    };
    match octets {
        [0xff, 0xfe, ..] => wide(u16::from_le_bytes),
        [0xfe, 0xff, ..] => wide(u16::from_be_bytes),
        _ => String::from_utf8_lossy(octets).into_owned(),
    }
}

/// A text as it is shown: the words, where it is the source of a page.
fn shown(text: String) -> String {
    if is_page(&text) { words_of(&text) } else { text }
}
