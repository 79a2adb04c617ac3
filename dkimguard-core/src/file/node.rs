//! [`Node`]: a value of an identity file and where it stands, whether TOML or JSON.

use std::borrow::Cow;
use std::fmt;

use serde::de::{DeserializeSeed, Deserializer, Error, MapAccess, SeqAccess, Visitor};
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::Refusal;
use crate::error::excerpt;

/// A value and the octet at which it begins, counted from the start of the file.
///
/// JSON tells the place of plain strings only. Any other value is placed at its first key, or else at the key
/// before it.
#[derive(Debug)]
pub(super) struct Node<'a> {
    pub(super) at: usize,
    pub(super) value: Value<'a>,
}

#[derive(Debug)]
pub(super) enum Value<'a> {
    Text(Cow<'a, str>),
    /// A TOML date or time, in RFC 3339 as far as it goes.
    Time(String),
    Bool(bool),
    /// A number as the parser shows it.
    Number(String),
    Null,
    List(Vec<Node<'a>>),
    Table(Table<'a>),
}

/// The keys of a table, in the file's order. [`take`](Self::take) what is known, then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub(super) struct Table<'a> {
    pub(super) at: usize,
    entries: Vec<Entry<'a>>,
}

#[derive(Debug)]
struct Entry<'a> {
    at: usize,
    key: Cow<'a, str>,
    node: Node<'a>,
}

/// The value of a key, and where the key stands.
#[derive(Debug)]
pub(super) struct Field<'a> {
    pub(super) key_at: usize,
    key: &'static str,
    pub(super) node: Node<'a>,
}

impl<'a> Node<'a> {
    /// Reads a whole TOML file.
    pub(super) fn from_toml(text: &'a str) -> Result<Self, Refusal> {
        match DeTable::parse(text) {
            Ok(root) => Ok(Self { at: 0, value: Value::Table(Table::from_toml(0, root.into_inner())) }),
            Err(error) => {
                let span = error.span().unwrap_or_default();
                let found = excerpt(text.get(span.clone()).unwrap_or_default());
                let found = if found.is_empty() { found } else { format!(" (at `{found}`)") };
                Err(Refusal::new(span.start, format!("this is no TOML: {}{found}", error.message())))
            }
        }
    }

    /// Reads one line of JSON, which begins at this offset in the file.
    pub(super) fn from_json(line: &'a str, offset: usize) -> Result<Self, Refusal> {
        let refuse = |error: serde_json::Error| {
            let message = error.to_string();
            // The place goes in front, with the file; there it is counted in the file and in characters.
            let message = message.rsplit_once(" at line ").map_or(message.as_str(), |(message, _)| message);
            let column = if error.is_eof() { line.len() } else { error.column().saturating_sub(1) };
            Refusal::new(offset + column, format!("this is no JSON: {message}"))
        };
        let mut json = serde_json::Deserializer::from_str(line);
        let mut node = JsonNode { line, offset, fallback: offset }.deserialize(&mut json).map_err(refuse)?;
        json.end().map_err(refuse)?;
        node.at = offset;
        if let Value::Table(table) = &mut node.value {
            table.at = offset;
        }
        Ok(node)
    }

    pub(super) fn text(self, what: &str) -> Result<(usize, Cow<'a, str>), Refusal> {
        match self.value {
            Value::Text(text) => Ok((self.at, text)),
            _ => Err(self.unexpected(what, "a string")),
        }
    }

    pub(super) fn table(self, what: &str) -> Result<Table<'a>, Refusal> {
        match self.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.unexpected(what, "a table")),
        }
    }

    /// The refusal of a value that isn't of the kind that is expected.
    pub(super) fn unexpected(&self, what: &str, expected: &str) -> Refusal {
        let found = match &self.value {
            Value::Text(text) => format!("the string `{}`", excerpt(text)),
            Value::Time(time) => format!("the time {time}"),
            Value::Bool(value) => value.to_string(),
            Value::Number(number) => format!("the number {number}"),
            Value::Null => "null".to_owned(),
            Value::List(_) => "a list".to_owned(),
            Value::Table(_) => "a table".to_owned(),
        };
        Refusal::new(self.at, format!("{what} is {found}, and {expected} is expected"))
    }

    fn from_toml_value(value: Spanned<DeValue<'a>>) -> Self {
        let at = value.span().start;
        let value = match value.into_inner() {
            DeValue::String(text) => Value::Text(text),
            DeValue::Integer(number) => Value::Number(number.to_string()),
            DeValue::Float(number) => Value::Number(number.to_string()),
            DeValue::Boolean(value) => Value::Bool(value),
            DeValue::Datetime(time) => Value::Time(time.to_string()),
            DeValue::Array(list) => Value::List(list.into_iter().map(Self::from_toml_value).collect()),
            DeValue::Table(table) => Value::Table(Table::from_toml(at, table)),
        };
        Self { at, value }
    }
}

impl<'a> Table<'a> {
    fn from_toml(at: usize, table: DeTable<'a>) -> Self {
        let mut entries: Vec<Entry<'a>> = table
            .into_iter()
            .map(|(key, value)| Entry {
                at: key.span().start,
                key: key.into_inner(),
                node: Node::from_toml_value(value),
            })
            .collect();
        entries.sort_by_key(|entry| entry.at);
        Self { at, entries }
    }

    /// The value of this key, none where it is absent or null. A key that is there again is left, and so
    /// refused by [`finish`](Self::finish).
    pub(super) fn take(&mut self, key: &'static str) -> Option<Field<'a>> {
        let index = self.entries.iter().position(|entry| entry.key == key)?;
        let Entry { at, node, .. } = self.entries.remove(index);
        (!matches!(node.value, Value::Null)).then_some(Field { key_at: at, key, node })
    }

    /// Refuses the keys that nobody has taken; these are all that there are in `what`.
    pub(super) fn finish(self, what: &str, keys: &[&str]) -> Result<(), Refusal> {
        let Some(Entry { at, key, .. }) = self.entries.first() else {
            return Ok(());
        };
        let reason = if keys.contains(&key.as_ref()) {
            format!("the key `{key}` is there twice")
        } else {
            format!("`{}` is no key of {what}; known: {}", excerpt(key), keys.join(", "))
        };
        Err(Refusal::new(*at, reason))
    }
}

impl<'a> Field<'a> {
    pub(super) fn text(self) -> Result<(usize, Cow<'a, str>), Refusal> {
        match self.node.value {
            Value::Text(text) => Ok((self.node.at, text)),
            _ => Err(self.unexpected("a string")),
        }
    }

    pub(super) fn bool(self) -> Result<bool, Refusal> {
        match self.node.value {
            Value::Bool(value) => Ok(value),
            _ => Err(self.unexpected("true or false")),
        }
    }

    pub(super) fn table(self) -> Result<Table<'a>, Refusal> {
        match self.node.value {
            Value::Table(table) => Ok(table),
            _ => Err(self.unexpected("a table")),
        }
    }

    pub(super) fn list(self, expected: &str) -> Result<Vec<Node<'a>>, Refusal> {
        match self.node.value {
            Value::List(list) => Ok(list),
            _ => Err(self.unexpected(expected)),
        }
    }

    /// The refusal of a value that isn't of the kind that is expected.
    pub(super) fn unexpected(&self, expected: &str) -> Refusal {
        self.node.unexpected(&format!("`{}`", self.key), expected)
    }
}

/// Reads a [`Node`] from JSON in one pass. serde_json tells no places, but it lends strings that hold no
/// escapes from the line itself, and so their addresses tell where they stand.
#[derive(Clone, Copy)]
struct JsonNode<'a> {
    line: &'a str,
    offset: usize,
    /// The place of a value that has none of its own.
    fallback: usize,
}

impl<'a> JsonNode<'a> {
    fn node(self, value: Value<'a>) -> Node<'a> {
        Node { at: self.fallback, value }
    }

    /// Where a string begins that was lent from the line, its quote included.
    fn place(self, lent: &str) -> usize {
        let octets = lent.as_ptr().addr().checked_sub(self.line.as_ptr().addr());
        octets.map_or(self.fallback, |octets| (self.offset + octets).saturating_sub(1))
    }
}

impl<'de> DeserializeSeed<'de> for JsonNode<'de> {
    type Value = Node<'de>;

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<Node<'de>, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for JsonNode<'de> {
    type Value = Node<'de>;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("a JSON value")
    }

    fn visit_borrowed_str<E: Error>(self, text: &'de str) -> Result<Node<'de>, E> {
        Ok(Node { at: self.place(text), value: Value::Text(Cow::Borrowed(text)) })
    }

    fn visit_str<E: Error>(self, text: &str) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Text(Cow::Owned(text.to_owned()))))
    }

    fn visit_bool<E: Error>(self, value: bool) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Bool(value)))
    }

    fn visit_i64<E: Error>(self, number: i64) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Number(number.to_string())))
    }

    fn visit_u64<E: Error>(self, number: u64) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Number(number.to_string())))
    }

    fn visit_f64<E: Error>(self, number: f64) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Number(number.to_string())))
    }

    fn visit_unit<E: Error>(self) -> Result<Node<'de>, E> {
        Ok(self.node(Value::Null))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut elements: A) -> Result<Node<'de>, A::Error> {
        let mut list = Vec::new();
        while let Some(element) = elements.next_element_seed(self)? {
            list.push(element);
        }
        Ok(self.node(Value::List(list)))
    }

    fn visit_map<A: MapAccess<'de>>(self, mut pairs: A) -> Result<Node<'de>, A::Error> {
        let mut entries = Vec::new();
        while let Some(key) = pairs.next_key_seed(self)? {
            let Value::Text(name) = key.value else {
                return Err(A::Error::custom("a key is no string"));
            };
            let node = pairs.next_value_seed(Self { fallback: key.at, ..self })?;
            entries.push(Entry { at: key.at, key: name, node });
        }
        let at = entries.first().map_or(self.fallback, |entry: &Entry<'_>| entry.at);
        Ok(Node { at, value: Value::Table(Table { at, entries }) })
    }
}
