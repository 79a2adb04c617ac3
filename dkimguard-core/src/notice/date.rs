//! [`Stamp`]: a date as programs write it above a mail that they forward.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::fmt::rfc2822::DateTimeParser;
use jiff::fmt::strtime;
use jiff::tz::Offset;

use super::Dating;

/// The forms, after the words have been put into order: no commas, no weekday, months in three letters.
const FORMS: [&str; 12] = [
    "%b %d %Y %I:%M %p",
    "%b %d %Y %I:%M:%S %p",
    "%b %d %Y %H:%M",
    "%b %d %Y %H:%M:%S",
    "%d %b %Y %I:%M %p",
    "%d %b %Y %I:%M:%S %p",
    "%d %b %Y %H:%M",
    "%d %b %Y %H:%M:%S",
    "%Y %m %d %H:%M",
    "%Y %m %d %H:%M:%S",
    "%Y %m %d %I:%M %p",
    "%Y %m %d %I:%M:%S %p",
];
const MONTHS: [&str; 12] =
    ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"];
const WEEKDAYS: [&str; 7] = ["mon", "tue", "wed", "thu", "fri", "sat", "sun"];
/// The longest text that is read as a date, in characters.
const LONGEST: usize = 80;

/// A date and a time, and the offset from UTC if that is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Stamp {
    pub(super) time: DateTime,
    pub(super) offset: Option<Offset>,
}

impl Stamp {
    /// The point in time; `zone`, or else UTC, stands in for an offset that isn't told.
    pub(super) fn at(self, zone: Option<Offset>) -> Option<(Timestamp, Dating)> {
        let dating = if self.offset.is_some() { Dating::Exact } else { Dating::ZoneAssumed };
        let offset = self.offset.or(zone).unwrap_or(Offset::UTC);
        Some((offset.to_timestamp(self.time).ok()?, dating))
    }
}

/// Reads a date. Days and months that could be taken for each other (`3/4/2026`) are not read.
pub(super) fn stamp(text: &str) -> Option<Stamp> {
    let text = text.trim();
    if text.chars().nth(LONGEST).is_some() {
        return None;
    }
    if let Ok(zoned) = DateTimeParser::new().relaxed_weekday(true).parse_zoned_datetime(text) {
        return Some(Stamp { time: zoned.datetime(), offset: Some(zoned.offset()) });
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Stamp { time: Offset::UTC.to_datetime(at), offset: Some(Offset::UTC) });
    }
    let (words, offset) = in_order(text);
    FORMS.iter().find_map(|form| {
        let time = strtime::parse(form, &words).ok()?.to_datetime().ok()?;
        Some(Stamp { time, offset })
    })
}

/// The words of a date without what says nothing, and the offset among them.
fn in_order(text: &str) -> (String, Option<Offset>) {
    let spaced: String = text
        .to_lowercase()
        .chars()
        .map(|letter| match letter {
            ',' | '/' | '年' | '月' | '(' | ')' | '（' | '）' | '\u{202f}' | '\u{a0}' => ' ',
            '日' => ' ',
            letter => letter,
        })
        .collect();
    let mut offset = None;
    let mut words = Vec::new();
    for word in spaced.split_whitespace() {
        let start: String = word.chars().take(3).collect();
        let is_name = word.chars().all(char::is_alphabetic);
        if let Some(found) = offset_of(word) {
            offset = Some(found);
        } else if is_name && MONTHS.contains(&start.as_str()) {
            words.push(start);
        } else if word == "am" || word == "pm" {
            words.push(word.to_owned());
        } else if word == "at" || is_name && (WEEKDAYS.contains(&start.as_str()) || !word.is_ascii()) {
            // A weekday, in English or Japanese.
        } else if word.len() == 10 && word.matches('-').count() == 2 {
            words.push(word.replace('-', " "));
        } else {
            words.push(word.to_owned());
        }
    }
    (words.join(" "), offset)
}

/// `utc`, `gmt+9`, `jst`, `+0900`, `+09:00`.
fn offset_of(word: &str) -> Option<Offset> {
    let digits = match word {
        "utc" | "gmt" | "z" => return Some(Offset::UTC),
        "jst" => "+0900",
        _ => word.strip_prefix("utc").or_else(|| word.strip_prefix("gmt")).unwrap_or(word),
    };
    let (sign, digits) = match digits.split_at_checked(1)? {
        ("+", digits) => (1, digits),
        ("-" | "\u{2212}", digits) => (-1, digits),
        _ => return None,
    };
    let digits = digits.replace(':', "");
    if digits.is_empty() || digits.len() > 4 || !digits.bytes().all(|octet| octet.is_ascii_digit()) {
        return None;
    }
    let number: i32 = digits.parse().ok()?;
    let (hours, minutes) = if digits.len() > 2 { (number / 100, number % 100) } else { (number, 0) };
    Offset::from_seconds(sign * (hours * 3600 + minutes * 60)).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_read_as_programs_write_them() {
        let utc = |text: &str| stamp(text).and_then(|stamp| stamp.at(None)).map(|(at, _)| at.to_string());
        for (text, at) in [
            ("Mon, 23 Nov 2026 10:00:00 +0000", Some("2026-11-23T10:00:00Z")),
            ("Mon, 23 Nov 2026 10:00:00 +0900 (JST)", Some("2026-11-23T01:00:00Z")),
            ("Tue, 23 Nov 2026 10:00:00 GMT", Some("2026-11-23T10:00:00Z")),
            ("23 Nov 2026 10:00 -0800", Some("2026-11-23T18:00:00Z")),
            ("2026-11-23T10:00:00Z", Some("2026-11-23T10:00:00Z")),
            ("2026-11-23T10:00:00+09:00", Some("2026-11-23T01:00:00Z")),
            ("Mon, Nov 23, 2026 at 10:00\u{202f}AM", Some("2026-11-23T10:00:00Z")),
            ("Monday, November 23, 2026 10:00 PM", Some("2026-11-23T22:00:00Z")),
            ("Monday, 23 November 2026 22:00", Some("2026-11-23T22:00:00Z")),
            ("November 23, 2026 at 10:00:00 AM GMT+9", Some("2026-11-23T01:00:00Z")),
            ("23 November 2026 at 10:00:00 JST", Some("2026-11-23T01:00:00Z")),
            ("2026年11月23日(月) 10:00", Some("2026-11-23T10:00:00Z")),
            ("2026/11/23 (月) 10:00", Some("2026-11-23T10:00:00Z")),
            ("2026-11-23 10:00:05", Some("2026-11-23T10:00:05Z")),
            ("11/23/2026 10:00 AM", None),
            ("23.11.2026 10:00", None),
            ("31 Feb 2026 10:00", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(utc(text).as_deref(), at, "{text}");
        }
    }

    #[test]
    fn a_date_without_a_zone_takes_the_one_around_it() {
        let stamp = stamp("Mon, Nov 23, 2026 at 10:00 AM").expect("a date");
        let zone = Offset::from_seconds(9 * 3600).expect("an offset");
        let (at, dating) = stamp.at(Some(zone)).expect("a time");
        assert_eq!((at.to_string().as_str(), dating), ("2026-11-23T01:00:00Z", Dating::ZoneAssumed));
    }
}
