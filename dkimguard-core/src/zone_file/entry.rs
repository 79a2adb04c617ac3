//! [`Entry`]: one entry of a zone file, which may span lines, and the places of its tokens.
//!
//! The scanner takes numbers of seconds and ASCII only; what BIND takes beyond that is rewritten here on the way to
//! it.

use std::ops::Range;
use std::str::FromStr as _;

use domain::base::iana::Class;

/// A place in a file: line and column in characters, both from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) line: usize,
    pub(super) column: usize,
}

/// One entry, its comments included.
#[derive(Debug)]
pub(super) struct Entry<'a> {
    text: &'a [u8],
    /// The line in which it begins, from 1.
    line: usize,
    tokens: Vec<Token>,
    /// What the scanner is given in its place, with a line feed at the end.
    feed: Vec<u8>,
}

/// One word or quoted string.
#[derive(Debug)]
struct Token {
    /// Where it stands in the entry's text, quotation marks included.
    here: Range<usize>,
    /// Where it stands in what the scanner is given.
    there: Range<usize>,
}

impl<'a> Entry<'a> {
    fn new(text: &'a [u8], line: usize, spans: Vec<Range<usize>>) -> Self {
        let mut entry = Self { text, line, tokens: Vec::new(), feed: Vec::with_capacity(text.len() + 1) };
        let times = entry.times(&spans);
        let mut copied = 0;
        for (index, here) in spans.into_iter().enumerate() {
            entry.feed.extend_from_slice(&text[copied..here.start]);
            let start = entry.feed.len();
            let token = &text[here.clone()];
            match seconds(token).filter(|_| times.contains(&index)) {
                Some(seconds) => entry.feed.extend(seconds.to_string().bytes()),
                None => entry.feed.extend(in_ascii(token)),
            }
            copied = here.end;
            entry.tokens.push(Token { here, there: start..entry.feed.len() });
        }
        entry.feed.extend_from_slice(&text[copied..]);
        if entry.feed.last() != Some(&b'\n') {
            entry.feed.push(b'\n');
        }
        entry
    }

    /// What the scanner is given.
    pub(super) fn feed(&self) -> &[u8] {
        &self.feed
    }

    /// Where the entry begins: at its first token.
    pub(super) fn position(&self) -> Position {
        self.position_of(self.tokens.first().map_or(0, |token| token.here.start))
    }

    /// Whether the entry is this directive.
    pub(super) fn is_directive(&self, name: &str) -> bool {
        let first = self.tokens.first().map(|token| &self.text[token.here.clone()]);
        first.is_some_and(|first| first.eq_ignore_ascii_case(name.as_bytes()))
    }

    /// The token at, or right before, the place where the scanner stopped; the last where that is behind the entry.
    pub(super) fn token_at(&self, line: usize, column: usize) -> (Position, String) {
        let stopped = line.checked_sub(self.line).and_then(|lines| {
            let begins = std::iter::once(0).chain(newlines(&self.feed).map(|at| at + 1)).nth(lines)?;
            Some(begins + column.saturating_sub(1)).filter(|at| *at < self.feed.len())
        });
        let stopped = stopped.unwrap_or(self.feed.len());
        let token =
            self.tokens.iter().rev().find(|token| token.there.start <= stopped).or(self.tokens.first());
        let here = token.map_or(0..0, |token| token.here.clone());
        let shown: String = String::from_utf8_lossy(&self.text[here.clone()]).chars().take(80).collect();
        (self.position_of(here.start), shown.escape_debug().to_string().replace("\\\"", "\""))
    }

    fn position_of(&self, at: usize) -> Position {
        let before = &self.text[..at];
        let line = newlines(before).count();
        let begins = newlines(before).last().map_or(0, |newline| newline + 1);
        let column = String::from_utf8_lossy(&before[begins..]).chars().count() + 1;
        Position { line: self.line + line, column }
    }

    /// Which tokens are times, if they look like one.
    fn times(&self, spans: &[Range<usize>]) -> Vec<usize> {
        let word = |index: usize| {
            spans.get(index).and_then(|span| std::str::from_utf8(&self.text[span.clone()]).ok()).unwrap_or("")
        };
        if word(0).eq_ignore_ascii_case("$TTL") {
            return vec![1];
        }
        // A line that begins with a blank has no owner.
        let begins_blank = self.text.first().is_some_and(|first| matches!(first, b' ' | b'\t'));
        let mut at = usize::from(!begins_blank);
        let mut times = Vec::new();
        // TTL and class come in either order, each or none of them.
        for _ in 0..2 {
            let is_ttl = word(at).starts_with(|first: char| first.is_ascii_digit());
            if is_ttl {
                times.push(at);
            } else if Class::from_str(word(at)).is_err() {
                break;
            }
            at += 1;
        }
        if word(at).eq_ignore_ascii_case("SOA") {
            // Behind two names and the serial: refresh, retry, expire, minimum.
            times.extend(at + 4..at + 8);
        }
        times
    }
}

/// A time with BIND's units, `1h30m`, in seconds; none for a plain number.
fn seconds(token: &[u8]) -> Option<u32> {
    let mut total: u32 = 0;
    let mut number: Option<u32> = None;
    for &octet in token {
        if octet.is_ascii_digit() {
            number = Some(number.unwrap_or(0).checked_mul(10)?.checked_add(u32::from(octet - b'0'))?);
            continue;
        }
        let unit = match octet.to_ascii_lowercase() {
            b's' => 1,
            b'm' => 60,
            b'h' => 3600,
            b'd' => 86_400,
            b'w' => 604_800,
            _ => return None,
        };
        total = total.checked_add(number.take()?.checked_mul(unit)?)?;
    }
    number.is_none().then_some(total).filter(|_| !token.is_empty())
}

/// A token with its octets beyond ASCII as escapes.
fn in_ascii(token: &[u8]) -> Vec<u8> {
    let mut ascii = Vec::with_capacity(token.len());
    let mut rest = token.iter().copied().peekable();
    while let Some(octet) = rest.next() {
        match octet {
            b'\\' => match rest.next_if(u8::is_ascii) {
                Some(escaped) => ascii.extend([octet, escaped]),
                // What follows becomes an escape of its own.
                None if rest.peek().is_some() => {}
                None => ascii.push(octet),
            },
            _ if octet.is_ascii() => ascii.push(octet),
            _ => ascii.extend(format!("\\{octet:03}").into_bytes()),
        }
    }
    ascii
}

fn newlines(text: &[u8]) -> impl Iterator<Item = usize> {
    text.iter().enumerate().filter(|(_, octet)| **octet == b'\n').map(|(at, _)| at)
}

/// The entries of a file, in order. Ends behind the first that can't be told from the next.
pub(super) struct Entries<'a> {
    rest: &'a [u8],
    line: usize,
}

impl<'a> Entries<'a> {
    pub(super) fn of(text: &'a [u8]) -> Self {
        Self { rest: text, line: 1 }
    }
}

impl<'a> Iterator for Entries<'a> {
    type Item = Result<Entry<'a>, (Position, String)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.rest.is_empty() {
            return None;
        }
        let (text, line) = (self.rest, self.line);
        let mut spans: Vec<Range<usize>> = Vec::new();
        let mut opened: Vec<usize> = Vec::new();
        let mut at = 0;
        let refused = |at: usize, reason: &str| {
            let entry = Entry { text, line, tokens: Vec::new(), feed: Vec::new() };
            Some(Err((entry.position_of(at), reason.to_owned())))
        };
        while let Some(&octet) = text.get(at) {
            match octet {
                b'\n' if opened.is_empty() => {
                    at += 1;
                    break;
                }
                b'\n' | b' ' | b'\t' | b'\r' => at += 1,
                b';' => at += text[at..].iter().take_while(|octet| **octet != b'\n').count(),
                b'(' => {
                    opened.push(at);
                    at += 1;
                }
                b')' => {
                    if opened.pop().is_none() {
                        self.rest = &[];
                        return refused(at, "a parenthesis is closed that was not opened");
                    }
                    at += 1;
                }
                b'"' => {
                    let Some(length) = quoted(&text[at..]) else {
                        self.rest = &[];
                        return refused(at, "a quotation mark is left open");
                    };
                    spans.push(at..at + length);
                    at += length;
                }
                _ => {
                    let length = unquoted(&text[at..]);
                    spans.push(at..at + length);
                    at += length;
                }
            }
        }
        if let Some(&parenthesis) = opened.last() {
            self.rest = &[];
            return refused(parenthesis, "a parenthesis is left open");
        }
        self.rest = &text[at..];
        self.line += newlines(&text[..at]).count();
        Some(Ok(Entry::new(&text[..at], line, spans)))
    }
}

/// The length of a quoted string with both its marks.
fn quoted(text: &[u8]) -> Option<usize> {
    let mut at = 1;
    loop {
        match text.get(at)? {
            b'"' => return Some(at + 1),
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
}

/// The length of a word.
fn unquoted(text: &[u8]) -> usize {
    let mut at = 0;
    while let Some(octet) = text.get(at) {
        match octet {
            b'\\' if text.get(at + 1).is_some_and(|next| *next != b'\n') => at += 2,
            b' ' | b'\t' | b'\r' | b'\n' | b'(' | b')' | b';' | b'"' => break,
            _ => at += 1,
        }
    }
    at.min(text.len())
}
