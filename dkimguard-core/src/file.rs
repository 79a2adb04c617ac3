//! [`FileSource`]: identities from a file, for providers without an adapter and for tests.
//!
//! A TOML file holds an `[[identity]]` for each domain; a JSON Lines file holds the same keys, one identity a
//! line:
//!
//! ```toml
#![doc = include_str!("file/example.toml")]
//! ```

mod node;

use std::collections::HashMap;
use std::collections::hash_map::Entry;
use std::path::{Path, PathBuf};
use std::{fs, io, str};

use async_trait::async_trait;
use futures_util::stream::{self, BoxStream, StreamExt};
use jiff::Timestamp;
use thiserror::Error;

use self::node::{Field, Node, Table, Value};
use crate::error::{ProviderError, excerpt};
use crate::identity::{ExpectedValue, Identity, IdentityId, MailFrom, ProviderStatus, Selector};
use crate::key_record::{KeyRecord, PublicKey};
use crate::name::Name;
use crate::ports::IdentitySource;

/// The zone of the CNAMEs' targets where an identity with tokens doesn't name one.
pub const DEFAULT_HOSTED_ZONE: &str = "dkim.amazonses.com";

/// The provider in the ids of identities from files: `file:example.com`.
const PROVIDER: &str = "file";

const IDENTITY_KEYS: [&str; 8] = [
    "domain",
    "tokens",
    "hosted_zone",
    "selectors",
    "status",
    "status_since",
    "signing_enabled",
    "mail_from",
];
const SELECTOR_KEYS: [&str; 3] = ["label", "cname", "txt"];
const MAIL_FROM_KEYS: [&str; 2] = ["domain", "mx"];

/// The statuses that a file may give.
const STATUSES: [ProviderStatus; 6] = [
    ProviderStatus::Success,
    ProviderStatus::Pending,
    ProviderStatus::TemporaryFailure,
    ProviderStatus::Failed,
    ProviderStatus::NotStarted,
    ProviderStatus::Unknown,
];

/// The identities of one file, each domain once, in the file's order.
///
/// The file is read once, when the source is made; what is written to it later isn't seen. Each identity has
/// the id `file:DOMAIN`, and its [`expected`](Identity::expected) records are known to fit into names.
#[derive(Clone, Debug)]
pub struct FileSource {
    identities: Vec<Identity>,
    by_domain: HashMap<Name, usize>,
}

/// Why a file gives no identities. The message is one sentence that begins with the file and the place.
#[derive(Debug, Error)]
#[non_exhaustive]
pub enum FileError {
    /// The name says neither TOML nor JSON Lines.
    #[error("{}: the name of an identity file ends in .toml or .jsonl", path.display())]
    Ending {
        /// The file.
        path: PathBuf,
    },
    /// The file could not be read.
    #[error("{}: the file cannot be read", path.display())]
    Unreadable {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// The file holds no identity.
    #[error("{}: there is no identity in the file", path.display())]
    Empty {
        /// The file.
        path: PathBuf,
    },
    /// Something in the file isn't as it must be.
    #[error("{}:{line}:{column}: {reason}", path.display())]
    Refused {
        /// The file.
        path: PathBuf,
        /// The line, from 1.
        line: usize,
        /// The column in characters, from 1.
        column: usize,
        /// What is wrong there, with the value.
        reason: String,
    },
}

impl FileSource {
    /// Reads the identities of a file whose name ends in `.toml` or `.jsonl`. It blocks while it reads.
    ///
    /// # Errors
    /// Another ending, a file that cannot be read, and whatever [`parse_toml`](Self::parse_toml) and
    /// [`parse_jsonl`](Self::parse_jsonl) refuse.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, FileError> {
        let path = path.as_ref();
        let ending = path.extension().map(|ending| ending.to_string_lossy().to_ascii_lowercase());
        let parse = match ending.as_deref() {
            Some("toml") => parse_toml,
            Some("jsonl") => parse_jsonl,
            _ => return Err(FileError::Ending { path: path.to_owned() }),
        };
        let octets =
            fs::read(path).map_err(|source| FileError::Unreadable { path: path.to_owned(), source })?;
        match str::from_utf8(&octets) {
            Ok(text) => Self::parse(text, path, parse),
            Err(error) => {
                let text = str::from_utf8(&octets[..error.valid_up_to()]).unwrap_or_default();
                let reason = format!("the octet 0x{:02x} is no UTF-8", octets[text.len()]);
                Err(Refusal::new(text.len(), reason).in_file(text, path))
            }
        }
    }

    /// Reads the identities of a TOML text. The path is the one to name in errors.
    ///
    /// # Errors
    /// A text that is no TOML; no identity; an unknown key, a missing one, a bad or duplicate value.
    pub fn parse_toml(text: &str, path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::parse(text, path.as_ref(), parse_toml)
    }

    /// Reads the identities of a JSON Lines text; lines of blanks are skipped. The path is the one to name in
    /// errors.
    ///
    /// # Errors
    /// A line that is no JSON; no identity; an unknown key, a missing one, a bad or duplicate value.
    pub fn parse_jsonl(text: &str, path: impl AsRef<Path>) -> Result<Self, FileError> {
        Self::parse(text, path.as_ref(), parse_jsonl)
    }

    fn parse(
        text: &str,
        path: &Path,
        parse: fn(&str) -> Result<Collection, Refusal>,
    ) -> Result<Self, FileError> {
        let text = text.strip_prefix('\u{feff}').unwrap_or(text);
        let Collection { identities, by_domain, .. } =
            parse(text).map_err(|refusal| refusal.in_file(text, path))?;
        if identities.is_empty() {
            return Err(FileError::Empty { path: path.to_owned() });
        }
        Ok(Self { identities, by_domain })
    }
}

#[async_trait]
impl IdentitySource for FileSource {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        self.by_domain.get(domain).map(|&index| Ok(self.identities[index].clone())).into_iter().collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        stream::iter(self.identities.iter().cloned().map(Ok)).boxed()
    }
}

/// What is wrong in a file, and at which octet.
#[derive(Debug)]
struct Refusal {
    at: usize,
    reason: String,
}

impl Refusal {
    fn new(at: usize, reason: impl Into<String>) -> Self {
        Self { at, reason: reason.into() }
    }

    fn in_file(self, text: &str, path: &Path) -> FileError {
        let (line, column) = place(text, self.at);
        FileError::Refused { path: path.to_owned(), line, column, reason: self.reason }
    }
}

/// The line and the column of an octet, both from 1, the column in characters.
fn place(text: &str, at: usize) -> (usize, usize) {
    let mut at = at.min(text.len());
    while !text.is_char_boundary(at) {
        at -= 1;
    }
    let before = &text[..at];
    let line_start = before.rfind('\n').map_or(0, |newline| newline + 1);
    (before.matches('\n').count() + 1, before[line_start..].chars().count() + 1)
}

/// Identities, each domain once.
#[derive(Default)]
struct Collection {
    identities: Vec<Identity>,
    by_domain: HashMap<Name, usize>,
    /// Where the domain of each stands.
    places: Vec<usize>,
}

impl Collection {
    fn add(&mut self, at: usize, identity: Identity, text: &str) -> Result<(), Refusal> {
        match self.by_domain.entry(identity.domain().clone()) {
            Entry::Occupied(earlier) => {
                let (line, _) = place(text, self.places[*earlier.get()]);
                let reason = format!("`{}` is already in line {line}", identity.domain());
                Err(Refusal::new(at, reason))
            }
            Entry::Vacant(vacant) => {
                vacant.insert(self.identities.len());
                self.identities.push(identity);
                self.places.push(at);
                Ok(())
            }
        }
    }
}

fn parse_toml(text: &str) -> Result<Collection, Refusal> {
    let mut root = Node::from_toml(text)?.table("the file")?;
    let identities = root.take("identity");
    root.finish("an identity file", &["identity"])?;
    let mut collection = Collection::default();
    if let Some(identities) = identities {
        for table in identities.list("a list of tables ([[identity]])")? {
            let (at, identity) = parse_identity(table.table("an identity")?)?;
            collection.add(at, identity, text)?;
        }
    }
    Ok(collection)
}

fn parse_jsonl(text: &str) -> Result<Collection, Refusal> {
    let mut collection = Collection::default();
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        let json = line.trim_ascii();
        if !json.is_empty() {
            let indent = line.len() - line.trim_ascii_start().len();
            let (at, identity) = parse_line(json, offset + indent)?;
            collection.add(at, identity, text)?;
        }
        offset += line.len();
    }
    Ok(collection)
}

/// The identity of one line of JSON, and where its domain stands. A line needs nothing of the lines before it.
fn parse_line(line: &str, offset: usize) -> Result<(usize, Identity), Refusal> {
    parse_identity(Node::from_json(line, offset)?.table("the line")?)
}

/// The identity, and where its domain stands.
fn parse_identity(mut table: Table<'_>) -> Result<(usize, Identity), Refusal> {
    let missing = Refusal::new(table.at, "the identity has no `domain`");
    let domain = table.take("domain");
    let tokens = table.take("tokens");
    let hosted_zone = table.take("hosted_zone");
    let selectors = table.take("selectors");
    let status = table.take("status");
    let status_since = table.take("status_since");
    let signing_enabled = table.take("signing_enabled");
    let mail_from = table.take("mail_from");
    // First of all, since a misspelt key explains a missing one.
    table.finish("an identity", &IDENTITY_KEYS)?;

    let (at, domain) = parse_name(domain.ok_or(missing)?)?;
    if domain.is_root() {
        return Err(Refusal::new(at, "the root `.` is no mail domain"));
    }
    let hosted_zone = hosted_zone.map(parse_name).transpose()?;
    let selectors = match (tokens, selectors) {
        (Some(tokens), None) => parse_tokens(tokens, hosted_zone.map(|(_, zone)| zone))?,
        (None, Some(selectors)) => parse_selectors(selectors)?,
        (Some(tokens), Some(selectors)) => {
            let at = tokens.key_at.max(selectors.key_at);
            return Err(Refusal::new(at, format!("`{domain}` has both `tokens` and `selectors`")));
        }
        (None, None) => {
            return Err(Refusal::new(at, format!("`{domain}` has neither `tokens` nor `selectors`")));
        }
    };
    let id = IdentityId { provider: PROVIDER.to_owned(), account: None, region: None, domain };
    let mut identity = Identity::new(id, selectors);
    identity.signing_enabled = Some(signing_enabled.map_or(Ok(true), Field::bool)?);
    identity.status_since = status_since.map(parse_time).transpose()?;
    identity.mail_from = mail_from.map(parse_mail_from).transpose()?;
    if let Some(status) = status {
        identity.status = parse_status(status)?;
    }
    if let Err(error) = identity.expected() {
        let reason = format!(
            "the name of a record of `{}` is no domain name: {error}",
            excerpt(&identity.domain().to_string())
        );
        return Err(Refusal::new(at, reason));
    }
    Ok((at, identity))
}

fn parse_tokens(tokens: Field<'_>, hosted_zone: Option<Name>) -> Result<Vec<Selector>, Refusal> {
    let hosted_zone = match hosted_zone {
        Some(zone) => zone,
        None => name_of(tokens.key_at, DEFAULT_HOSTED_ZONE)?,
    };
    let mut selectors = Vec::new();
    for token in non_empty_list(tokens, "tokens")? {
        let (at, text) = token.text("a token")?;
        let label = name_of(at, &text)?;
        if text.contains('.') || label.label_count() != 1 {
            let reason = format!("`{}` is no token: a token is one label, without dots", excerpt(&text));
            return Err(Refusal::new(at, reason));
        }
        let target = label.appended(&hosted_zone).map_err(|error| {
            Refusal::new(
                at,
                format!("`{}` is no domain name: {error}", excerpt(&format!("{label}.{hosted_zone}"))),
            )
        })?;
        push_selector(&mut selectors, at, Selector { label, value: ExpectedValue::Cname(target) })?;
    }
    Ok(selectors)
}

fn parse_selectors(list: Field<'_>) -> Result<Vec<Selector>, Refusal> {
    let mut selectors = Vec::new();
    for selector in non_empty_list(list, "selectors")? {
        let mut table = selector.table("a selector")?;
        let missing = Refusal::new(table.at, "the selector has no `label`");
        let label = table.take("label");
        let cname = table.take("cname");
        let txt = table.take("txt");
        table.finish("a selector", &SELECTOR_KEYS)?;

        let (at, label) = parse_name(label.ok_or(missing)?)?;
        if label.is_root() {
            return Err(Refusal::new(at, "the root `.` is no selector"));
        }
        let value = match (cname, txt) {
            (Some(cname), None) => ExpectedValue::Cname(parse_name(cname)?.1),
            (None, Some(txt)) => ExpectedValue::Key(Box::new(parse_key(txt, &label)?)),
            (None, None) => ExpectedValue::AnyKey,
            (Some(cname), Some(txt)) => {
                let at = cname.key_at.max(txt.key_at);
                return Err(Refusal::new(at, format!("the selector `{label}` has both `cname` and `txt`")));
            }
        };
        push_selector(&mut selectors, at, Selector { label, value })?;
    }
    Ok(selectors)
}

fn push_selector(selectors: &mut Vec<Selector>, at: usize, selector: Selector) -> Result<(), Refusal> {
    if selectors.iter().any(|earlier| earlier.label == selector.label) {
        return Err(Refusal::new(at, format!("the selector `{}` is there twice", selector.label)));
    }
    selectors.push(selector);
    Ok(())
}

fn non_empty_list<'a>(field: Field<'a>, key: &str) -> Result<Vec<Node<'a>>, Refusal> {
    let at = field.node.at;
    let list = field.list("a list")?;
    if list.is_empty() {
        return Err(Refusal::new(at, format!("`{key}` is an empty list, so there is nothing to look at")));
    }
    Ok(list)
}

fn parse_key(field: Field<'_>, selector: &Name) -> Result<KeyRecord, Refusal> {
    let (at, text) = field.text()?;
    match text.parse::<KeyRecord>() {
        Ok(key) if *key.key() != PublicKey::Revoked => Ok(key),
        Ok(_) => Err(Refusal::new(
            at,
            format!("the `txt` of the selector `{selector}` is a revoked key (p= is empty)"),
        )),
        Err(error) => Err(Refusal::new(
            at,
            format!("the `txt` of the selector `{selector}` is no DKIM key record: {error}"),
        )),
    }
}

fn parse_mail_from(field: Field<'_>) -> Result<MailFrom, Refusal> {
    let mut table = field.table()?;
    let table_at = table.at;
    let domain = table.take("domain");
    let mx = table.take("mx");
    table.finish("`mail_from`", &MAIL_FROM_KEYS)?;
    let missing = |key| Refusal::new(table_at, format!("`mail_from` has no `{key}`"));
    Ok(MailFrom {
        domain: parse_name(domain.ok_or_else(|| missing("domain"))?)?.1,
        mx: parse_name(mx.ok_or_else(|| missing("mx"))?)?.1,
    })
}

fn parse_status(field: Field<'_>) -> Result<ProviderStatus, Refusal> {
    let (at, text) = field.text()?;
    STATUSES.into_iter().find(|status| status.as_str() == text).ok_or_else(|| {
        let known: Vec<&str> = STATUSES.iter().map(ProviderStatus::as_str).collect();
        Refusal::new(at, format!("`{}` is no status; known: {}", excerpt(&text), known.join(", ")))
    })
}

fn parse_time(field: Field<'_>) -> Result<Timestamp, Refusal> {
    let at = field.node.at;
    let text = match field.node.value {
        Value::Time(text) => text.into(),
        Value::Text(text) => text,
        _ => return Err(field.unexpected("a time")),
    };
    text.parse().map_err(|_| {
        Refusal::new(
            at,
            format!("`{}` is no time with its offset from UTC, such as 2026-11-20T10:00:00Z", excerpt(&text)),
        )
    })
}

/// The name, and where it stands.
fn parse_name(field: Field<'_>) -> Result<(usize, Name), Refusal> {
    let (at, text) = field.text()?;
    Ok((at, name_of(at, &text)?))
}

fn name_of(at: usize, text: &str) -> Result<Name, Refusal> {
    text.parse().map_err(|error| Refusal::new(at, format!("`{}` is no domain name: {error}", excerpt(text))))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EXAMPLE: &str = include_str!("file/example.toml");
    const ED25519: &str = "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn name(text: &str) -> Name {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    fn toml(text: &str) -> Vec<Identity> {
        FileSource::parse_toml(text, "i.toml").unwrap_or_else(|error| panic!("{text}: {error}")).identities
    }

    fn jsonl(text: &str) -> Vec<Identity> {
        FileSource::parse_jsonl(text, "i.jsonl").unwrap_or_else(|error| panic!("{text}: {error}")).identities
    }

    /// The records that an identity expects, as text.
    fn expected(identity: &Identity) -> Vec<String> {
        let expected = identity.expected().expect("a file's identities have checked names");
        expected
            .iter()
            .map(|record| format!("{} {} {}", record.name, record.value.kind(), record.value))
            .collect()
    }

    #[cfg(feature = "testing")]
    #[test]
    fn a_file_keeps_the_contract_of_a_source() {
        use futures_util::FutureExt;

        let source = FileSource::parse_toml(EXAMPLE, "i.toml").expect("it is sound");
        let held = source.identities.clone();
        crate::testing::conformance::identity_source(&source, &held, &name("example.net"))
            .now_or_never()
            .expect("a file that is read does not wait");
    }

    #[test]
    fn the_documented_example_is_read() {
        let identities = toml(EXAMPLE);
        let [ses, own] = &identities[..] else { panic!("there are two: {identities:?}") };

        assert_eq!(ses.id.to_string(), "file:example.com");
        assert_eq!(
            expected(ses),
            [
                "aaa._domainkey.example.com CNAME aaa.dkim.amazonses.com",
                "bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com",
                "ccc._domainkey.example.com CNAME ccc.dkim.amazonses.com",
            ]
        );
        assert_eq!(ses.status, ProviderStatus::Success);
        assert_eq!(ses.signing_enabled, Some(true));
        assert_eq!(ses.status_since.map(|at| at.to_string()).as_deref(), Some("2026-11-20T10:00:00Z"));
        let mail_from = ses.mail_from.as_ref().expect("there is one");
        assert_eq!(mail_from.domain, name("bounce.example.com"));
        assert_eq!(mail_from.mx, name("feedback-smtp.us-east-1.amazonses.com"));

        assert_eq!(own.id.to_string(), "file:example.org");
        assert_eq!(
            expected(own),
            [
                "s1._domainkey.example.org CNAME s1.domainkey.provider.example".to_owned(),
                format!("s2._domainkey.example.org TXT {ED25519}"),
                "s3._domainkey.example.org TXT any usable DKIM key".to_owned(),
            ]
        );
        let defaults = (&own.status, own.signing_enabled, own.status_since, &own.mail_from);
        assert_eq!(defaults, (&ProviderStatus::Success, Some(true), None, &None));
    }

    #[test]
    fn json_lines_say_the_same_as_toml() {
        let ses = r#"{"domain":"example.com","tokens":["aaa","bbb","ccc"],
            "status_since":"2026-11-20T11:00:00+01:00",
            "mail_from":{"domain":"bounce.example.com","mx":"feedback-smtp.us-east-1.amazonses.com"}}"#
            .replace('\n', "");
        let own = r#" { "selectors": [{"label":"s1", "cname":"s1.domainkey.provider.example", "txt":null},
            {"txt":"KEY", "label":"s2"}, {"label":"s3"}], "domain": "EXAMPLE.org." } "#
            .replace('\n', "")
            .replace("KEY", ED25519);
        assert_eq!(jsonl(&format!("{ses}\n{own}")), toml(EXAMPLE));
        assert_eq!(jsonl(&format!("\u{feff}{ses}\r\n \n\n{own}\r\n")), toml(EXAMPLE));
    }

    #[test]
    fn every_way_to_write_a_value_is_read() {
        let of = |keys: &str| toml(&format!("[[identity]]\ndomain = 'example.com'\n{keys}")).remove(0);
        for status in STATUSES {
            assert_eq!(of(&format!("tokens = ['a']\nstatus = '{status}'")).status, status);
        }
        for time in ["2026-11-20T10:00:00Z", "2026-11-20 11:00:00+01:00", "'2026-11-20T10:00:00.000Z'"] {
            let since = of(&format!("tokens = ['a']\nstatus_since = {time}")).status_since;
            assert_eq!(since.map(|at| at.to_string()).as_deref(), Some("2026-11-20T10:00:00Z"), "{time}");
        }
        assert_eq!(of("tokens = ['a']\nsigning_enabled = false").signing_enabled, Some(false));
        assert_eq!(
            expected(&of("tokens = ['A_b']\nhosted_zone = 'X.dkim.eu-south-1.amazonses.com.'")),
            ["a_b._domainkey.example.com CNAME a_b.x.dkim.eu-south-1.amazonses.com"]
        );
        assert_eq!(
            expected(&of("[[identity.selectors]]\nlabel = 's1.foo'\n[[identity.selectors]]\nlabel = 's2'")),
            [
                "s1.foo._domainkey.example.com TXT any usable DKIM key",
                "s2._domainkey.example.com TXT any usable DKIM key",
            ]
        );
        let dotted = of("tokens = ['a']\nmail_from.mx = 'mx.example'\nmail_from.domain = 'b.example.com'");
        assert_eq!(dotted.mail_from.map(|mail_from| mail_from.mx), Some(name("mx.example")));
        let inline = "identity = [{domain = 'bücher.example', tokens = ['a']}]";
        assert_eq!(toml(inline)[0].id.to_string(), "file:xn--bcher-kva.example");
        // Escapes hide where a JSON string stands, not what it says.
        let escaped = r#"{"d\u006fmain":"\u0065xample.com","tokens":["\u0061"]}"#;
        assert_eq!(jsonl(escaped)[0].id.to_string(), "file:example.com");
    }

    /// A TOML file with one sound identity but for these lines, which begin at line 4.
    fn with_tokens(lines: &str) -> String {
        format!("[[identity]]\ndomain = 'a.example'\ntokens = ['a']\n{lines}")
    }

    #[test]
    fn a_bad_toml_file_is_refused_with_place_value_and_reason() {
        let long = "a".repeat(63);
        let with = |lines: &str| format!("[[identity]]\ndomain = 'a.example'\n{lines}");
        let table = [
            ("".to_owned(), "i.toml: there is no identity in the file"),
            ("# nothing yet\n".to_owned(), "i.toml: there is no identity in the file"),
            ("identity = []".to_owned(), "i.toml: there is no identity in the file"),
            ("[[identity]".to_owned(), "i.toml:1:12: this is no TOML: unclosed array table, expected `]`"),
            (
                "[[identity]]\ndomain = \"ä.example".to_owned(),
                r#"i.toml:2:20: this is no TOML: invalid basic string, expected `"`"#,
            ),
            (with("domain = 'b.example'"), "i.toml:3:1: this is no TOML: duplicate key (at `domain`)"),
            (
                "[[identities]]\ndomain = 'a.example'".to_owned(),
                "i.toml:1:3: `identities` is no key of an identity file; known: identity",
            ),
            (
                "[identity]\ndomain = 'a.example'".to_owned(),
                "i.toml:1:1: `identity` is a table, and a list of tables ([[identity]]) is expected",
            ),
            (
                "identity = ['a.example']".to_owned(),
                "i.toml:1:13: an identity is the string `a.example`, and a table is expected",
            ),
            ("[[identity]]".to_owned(), "i.toml:1:1: the identity has no `domain`"),
            ("\n\n[[identity]]\ntokens = ['a']".to_owned(), "i.toml:3:1: the identity has no `domain`"),
            (
                with("  tokns = ['a']"),
                "i.toml:3:3: `tokns` is no key of an identity; known: domain, tokens, hosted_zone, selectors, status, status_since, signing_enabled, mail_from",
            ),
            (
                with_tokens("\"x\\ny\" = 1"),
                r#"i.toml:4:1: `x\ny` is no key of an identity; known: domain, tokens, hosted_zone, selectors, status, status_since, signing_enabled, mail_from"#,
            ),
            // Of several faults the first in the file is told.
            (
                with_tokens("tokn = 1\nlabel = 2"),
                "i.toml:4:1: `tokn` is no key of an identity; known: domain, tokens, hosted_zone, selectors, status, status_since, signing_enabled, mail_from",
            ),
            (
                "[[identity]]\ndomain = 7".to_owned(),
                "i.toml:2:10: `domain` is the number 7, and a string is expected",
            ),
            (
                "[[identity]]\ndomain = 'exa mple.com'\ntokens = ['a']".to_owned(),
                "i.toml:2:10: `exa mple.com` is no domain name: it holds the character ' ', which must be escaped in a name",
            ),
            (
                "[[identity]]\ndomain = ''\ntokens = ['a']".to_owned(),
                "i.toml:2:10: `` is no domain name: it is empty",
            ),
            (
                "[[identity]]\ndomain = '.'\ntokens = ['a']".to_owned(),
                "i.toml:2:10: the root `.` is no mail domain",
            ),
            (with(""), "i.toml:2:10: `a.example` has neither `tokens` nor `selectors`"),
            (
                with_tokens("selectors = [{label = 's'}]"),
                "i.toml:4:1: `a.example` has both `tokens` and `selectors`",
            ),
            (with("tokens = []"), "i.toml:3:10: `tokens` is an empty list, so there is nothing to look at"),
            (
                with("selectors = []"),
                "i.toml:3:13: `selectors` is an empty list, so there is nothing to look at",
            ),
            (with("tokens = 'a'"), "i.toml:3:10: `tokens` is the string `a`, and a list is expected"),
            (with("tokens = ['ä', 1]"), "i.toml:3:16: a token is the number 1, and a string is expected"),
            (
                with("tokens = ['ä', 'b.c']"),
                "i.toml:3:16: `b.c` is no token: a token is one label, without dots",
            ),
            (with("tokens = ['a.']"), "i.toml:3:11: `a.` is no token: a token is one label, without dots"),
            (with("tokens = ['a', 'b', 'A']"), "i.toml:3:21: the selector `a` is there twice"),
            (with("tokens = ['']"), "i.toml:3:11: `` is no domain name: it is empty"),
            (
                with(&format!("tokens = ['{long}a']")),
                "i.toml:3:11: `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa` is no domain name: a label has 64 octets, and 63 is the most",
            ),
            (
                with_tokens("hosted_zone = 'a..b'"),
                "i.toml:4:15: `a..b` is no domain name: it has an empty label (two dots in a row, or a dot at the start)",
            ),
            (
                with_tokens(&format!("hosted_zone = '{long}.{long}.{long}.{}'", &long[..61])),
                "i.toml:3:11: `a.aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaa…` is no domain name: it takes 257 octets, and 255 is the most",
            ),
            (
                with_tokens("status = 'SUCCESS'"),
                "i.toml:4:10: `SUCCESS` is no status; known: success, pending, temporary-failure, failed, not-started, unknown",
            ),
            (with_tokens("status = true"), "i.toml:4:10: `status` is true, and a string is expected"),
            (
                with_tokens("signing_enabled = 'yes'"),
                "i.toml:4:19: `signing_enabled` is the string `yes`, and true or false is expected",
            ),
            (
                with_tokens("status_since = 2026-11-20T10:00:00"),
                "i.toml:4:16: `2026-11-20T10:00:00` is no time with its offset from UTC, such as 2026-11-20T10:00:00Z",
            ),
            (
                with_tokens("status_since = 2026-11-20"),
                "i.toml:4:16: `2026-11-20` is no time with its offset from UTC, such as 2026-11-20T10:00:00Z",
            ),
            (
                with_tokens("status_since = 'yesterday'"),
                "i.toml:4:16: `yesterday` is no time with its offset from UTC, such as 2026-11-20T10:00:00Z",
            ),
            (
                with_tokens("status_since = 1.5"),
                "i.toml:4:16: `status_since` is the number 1.5, and a time is expected",
            ),
            (
                with_tokens("mail_from = 'b.example'"),
                "i.toml:4:13: `mail_from` is the string `b.example`, and a table is expected",
            ),
            (with_tokens("mail_from = {mx = 'm.example'}"), "i.toml:4:13: `mail_from` has no `domain`"),
            (with_tokens("mail_from = {domain = 'b.example'}"), "i.toml:4:13: `mail_from` has no `mx`"),
            (
                with_tokens("mail_from = {domain = 'b', mx = 'm', spf = 's'}"),
                "i.toml:4:38: `spf` is no key of `mail_from`; known: domain, mx",
            ),
            (with("selectors = ['s']"), "i.toml:3:14: a selector is the string `s`, and a table is expected"),
            (with("selectors = [{}]"), "i.toml:3:14: the selector has no `label`"),
            (with("selectors = [{label = '.'}]"), "i.toml:3:23: the root `.` is no selector"),
            (
                with("selectors = [{label = 's', mx = 'm'}]"),
                "i.toml:3:28: `mx` is no key of a selector; known: label, cname, txt",
            ),
            (
                with("selectors = [{label = 's', txt = 'p=', cname = 'c.example'}]"),
                "i.toml:3:40: the selector `s` has both `cname` and `txt`",
            ),
            (
                with("selectors = [\n {label = 's'},\n {label = 'S'}]"),
                "i.toml:5:11: the selector `s` is there twice",
            ),
            (
                with("selectors = [{label = 's', txt = 'v=DKIM1'}]"),
                "i.toml:3:34: the `txt` of the selector `s` is no DKIM key record: it has no p= tag",
            ),
            (
                with("selectors = [{label = 's', txt = 'v=DKIM1; p='}]"),
                "i.toml:3:34: the `txt` of the selector `s` is a revoked key (p= is empty)",
            ),
            (
                with("selectors = [{label = 's', cname = 'a b'}]"),
                "i.toml:3:36: `a b` is no domain name: it holds the character ' ', which must be escaped in a name",
            ),
            (
                with_tokens("\n[[identity]]\ntokens = ['b']\ndomain = 'A.example.'"),
                "i.toml:7:10: `a.example` is already in line 2",
            ),
            (
                format!("[[identity]]\nselectors = [{{label = '{long}'}}]\ndomain = '{long}.{long}.{long}'"),
                "i.toml:3:10: the name of a record of `aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa.aaaaaaaaaaaaaaaa…` is no domain name: it takes 268 octets, and 255 is the most",
            ),
        ];
        for (text, message) in table {
            let error = FileSource::parse_toml(&text, "i.toml").expect_err(&text);
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    #[test]
    fn a_bad_line_of_json_is_refused_with_place_value_and_reason() {
        let table = [
            ("", "i.jsonl: there is no identity in the file"),
            (" \n\r\n", "i.jsonl: there is no identity in the file"),
            ("domain", "i.jsonl:1:1: this is no JSON: expected value"),
            (
                "\n {'domain': 'ä.example' 'tokens': ['a']}\n",
                "i.jsonl:2:25: this is no JSON: expected `,` or `}`",
            ),
            ("{'domain': 'ä.example'\n", "i.jsonl:1:23: this is no JSON: EOF while parsing an object"),
            (
                "{'domain': 'a.example', 'tokens': ['a']} {",
                "i.jsonl:1:42: this is no JSON: trailing characters",
            ),
            ("[]", "i.jsonl:1:1: the line is a list, and a table is expected"),
            ("  null", "i.jsonl:1:3: the line is null, and a table is expected"),
            ("  {}", "i.jsonl:1:3: the identity has no `domain`"),
            ("{'domain': null, 'tokens': ['a']}", "i.jsonl:1:1: the identity has no `domain`"),
            (
                "{'domain': 'a.example', 'domain': 'b.example'}",
                "i.jsonl:1:25: the key `domain` is there twice",
            ),
            (
                "{'domain': 'a.example', 'tokns': ['a']}",
                "i.jsonl:1:25: `tokns` is no key of an identity; known: domain, tokens, hosted_zone, selectors, status, status_since, signing_enabled, mail_from",
            ),
            (
                "{'domain': 'ä.example', 'tokens': ['a', 7]}",
                "i.jsonl:1:25: a token is the number 7, and a string is expected",
            ),
            (
                "{'domain': 'ä.example', 'tokens': ['a', 'b.c']}",
                "i.jsonl:1:41: `b.c` is no token: a token is one label, without dots",
            ),
            (
                r"{'domain': 'ä.example', 'tokens': ['a', '\u0062.c']}",
                "i.jsonl:1:25: `b.c` is no token: a token is one label, without dots",
            ),
            (
                "{'domain': 'a.example', 'tokens': 'a'}",
                "i.jsonl:1:35: `tokens` is the string `a`, and a list is expected",
            ),
            (
                "{'domain': 'a.example', 'tokens': ['a'], 'selectors': []}",
                "i.jsonl:1:42: `a.example` has both `tokens` and `selectors`",
            ),
            (
                "{'domain': 'a.example', 'tokens': ['a'], 'signing_enabled': 'no'}",
                "i.jsonl:1:61: `signing_enabled` is the string `no`, and true or false is expected",
            ),
            (
                "{'domain': 'a.example', 'tokens': ['a'], 'status_since': 1795168800}",
                "i.jsonl:1:42: `status_since` is the number 1795168800, and a time is expected",
            ),
            (
                "{'domain': 'a.example', 'selectors': [{'label': 's'}, {'cname': 'c.example'}]}",
                "i.jsonl:1:56: the selector has no `label`",
            ),
            (
                "{'domain': 'a.example', 'tokens': ['a']}\n\n{'tokens': ['a'], 'domain': 'A.example'}",
                "i.jsonl:3:29: `a.example` is already in line 1",
            ),
        ];
        for (text, message) in table {
            let text = text.replace('\'', "\"");
            let error = FileSource::parse_jsonl(&text, "i.jsonl").expect_err(&text);
            assert_eq!(error.to_string(), message, "{text}");
        }
    }

    #[test]
    fn files_are_opened_by_their_ending() {
        let folder = std::env::temp_dir().join(format!("dkimguard-file-source-{}", std::process::id()));
        fs::create_dir_all(&folder).expect("a folder for temporary files");
        let open = |file: &str, octets: &[u8]| {
            let path = folder.join(file);
            fs::write(&path, octets).expect("the folder is there");
            FileSource::open(&path)
        };
        let json = br#"{"domain":"example.com","tokens":["a"]}"#;
        assert_eq!(open("i.toml", EXAMPLE.as_bytes()).expect("the example").identities.len(), 2);
        assert_eq!(open("i.jsonl", json).expect("one line").identities.len(), 1);
        assert_eq!(open("i.JSONL", json).expect("one line").identities.len(), 1);

        let refused = |error: FileError| error.to_string().replace(&format!("{}/", folder.display()), "");
        let ending = "the name of an identity file ends in .toml or .jsonl";
        for file in ["i.json", "i", ".toml"] {
            assert_eq!(refused(open(file, json).expect_err(file)), format!("{file}: {ending}"));
        }
        assert_eq!(
            refused(open("bad.toml", b"# \xc3\xa4\n# \xc3\xa4\xff").expect_err("no UTF-8")),
            "bad.toml:2:4: the octet 0xff is no UTF-8"
        );
        let error = FileSource::open(folder.join("absent.toml")).expect_err("nobody wrote it");
        let source = std::error::Error::source(&error).expect("the operating system's reason").to_string();
        assert!(!error.to_string().contains(&source), "{error}");
        assert_eq!(refused(error), "absent.toml: the file cannot be read");
        fs::remove_dir_all(&folder).expect("it was made here");
    }

    #[tokio::test]
    async fn the_source_finds_by_domain_and_streams_in_the_order_of_the_file() {
        let source = FileSource::parse_toml(EXAMPLE, "i.toml").expect("the example");
        let found = source.find(&name("EXAMPLE.org.")).await;
        let [Ok(identity)] = &found[..] else { panic!("one identity: {found:?}") };
        assert_eq!(identity.domain(), &name("example.org"));
        assert!(source.find(&name("sub.example.org")).await.is_empty());
        let all: Vec<String> = source
            .identities()
            .map(|identity| identity.expect("a file has no errors left").id.to_string())
            .collect()
            .await;
        assert_eq!(all, ["file:example.com", "file:example.org"]);
    }

    /// Text that is nearly an identity, so that chance gets far into the parser.
    fn nearly_a_file() -> impl Strategy<Value = String> {
        let piece = prop_oneof![
            Just("[[identity]]\n"),
            Just("domain = 'a.example'\n"),
            Just("tokens = ['a', \"ä\"]\n"),
            Just("selectors = [{label = 's'}]\n"),
            Just("{\"domain\":\"a.example\""),
            Just(",\"tokens\":[\"ä\",\"\\u0061.\"]"),
            Just(",\"selectors\":[{\"label\":\"s\",\"txt\":\"p=\"}]"),
            Just(",\"mail_from\":{}"),
            Just(",\"status\":[[{}]]"),
            Just("}\n"),
            Just("\u{feff}"),
            Just("'"),
            Just("\r\n"),
        ];
        proptest::collection::vec(piece, 0..10).prop_map(|pieces| pieces.concat())
    }

    proptest! {
        #[test]
        fn arbitrary_text_never_panics(text in prop_oneof![any::<String>(), nearly_a_file()]) {
            for parsed in [FileSource::parse_toml(&text, "i"), FileSource::parse_jsonl(&text, "i")] {
                match parsed {
                    Ok(source) => prop_assert!(!source.identities.is_empty()),
                    Err(error) => {
                        let message = error.to_string();
                        prop_assert!(!message.contains(['\n', '\r']), "{message:?}");
                        if let FileError::Refused { line, column, .. } = error {
                            let text = text.strip_prefix('\u{feff}').unwrap_or(&text);
                            let length = text.split('\n').nth(line - 1).map(|line| line.chars().count());
                            prop_assert!(length.is_some_and(|length| column <= length + 1), "{message}");
                        }
                    }
                }
            }
        }
    }
}
