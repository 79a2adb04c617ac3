//! [`Form`]: records that are to be published, ready to paste where somebody keeps the zone.

use std::fmt::{self, Write};

use crate::identity::{Expected, ExpectedValue};
use crate::name::Name;
use crate::record::Txt;

/// The TTL of records to publish, in seconds: short enough to mend a mistake, long enough to bridge a fault.
pub const TTL: u32 = 300;

/// The octets that one string of a TXT record may have (RFC 1035 §3.3).
pub(crate) const MAX_STRING: usize = 255;

/// A way of writing records that are to be published.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Form {
    /// Lines of a zone file (RFC 1035 §5.1), as BIND, NSD and Knot read it.
    ZoneFile,
    /// A change batch of Route 53: `aws route53 change-resource-record-sets --change-batch file://…`. Its UPSERT
    /// replaces what stands at the name with the same type.
    ChangeBatch,
    /// Resources of Terraform's AWS provider.
    Terraform,
    /// The fields of Cloudflare's form. Names are relative to the zone, and the proxy is off.
    Cloudflare,
}

impl Form {
    /// All forms.
    pub const ALL: &[Self] = &[Self::ZoneFile, Self::ChangeBatch, Self::Terraform, Self::Cloudflare];

    /// What the form is called, and where it is pasted.
    pub fn title(self) -> &'static str {
        match self {
            Self::ZoneFile => "Zone file",
            Self::ChangeBatch => "Route 53 change batch (aws route53 change-resource-record-sets)",
            Self::Terraform => "Terraform",
            Self::Cloudflare => "Cloudflare",
        }
    }

    /// Writes these records of `zone` in this form; it ends with a line end. A key that isn't known is a placeholder
    /// that no DNS host takes for a key.
    pub fn of<'a>(self, records: impl IntoIterator<Item = &'a Expected>, zone: &Name) -> String {
        let records: Vec<&Expected> = records.into_iter().collect();
        let mut text = String::new();
        // A string takes whatever is written to it.
        let _ = match self {
            Self::ZoneFile => records.iter().try_for_each(|record| writeln!(text, "{}", zone_line(record))),
            Self::ChangeBatch => change_batch(&mut text, &records),
            Self::Terraform => terraform(&mut text, &records),
            Self::Cloudflare => cloudflare(&mut text, &records, zone),
        };
        text
    }
}

/// The record as a line of a zone file, without a line end. Its strings are cut at the 255 octets that one may have.
pub fn zone_line(record: &Expected) -> String {
    let value = match &record.value {
        ExpectedValue::Cname(target) => format!("{target}."),
        value => strings(&text_of(value), decimal).join(" "),
    };
    format!("{}. {} {value}", record.name, record.value.kind())
}

/// The strings of a TXT record as one value of Route 53: each in quotes, blanks between them.
pub fn route53_value(txt: &Txt) -> String {
    let strings: Vec<String> = txt.strings().map(|octets| quoted(octets, octal)).collect();
    strings.join(" ")
}

fn change_batch(text: &mut String, records: &[&Expected]) -> fmt::Result {
    writeln!(text, "{{\n  \"Changes\": [")?;
    for (index, record) in records.iter().enumerate() {
        let comma = if index + 1 < records.len() { "," } else { "" };
        let value = match &record.value {
            ExpectedValue::Cname(target) => target.to_string(),
            value => strings(&text_of(value), octal).join(" "),
        };
        writeln!(
            text,
            "    {{\n      \"Action\": \"UPSERT\",\n      \"ResourceRecordSet\": {{\n        \"Name\": \"{}\",\n        \
             \"Type\": \"{}\",\n        \"TTL\": {TTL},\n        \"ResourceRecords\": [\n          \
             {{ \"Value\": \"{}\" }}\n        ]\n      }}\n    }}{comma}",
            backslashed(&record.name.to_string()),
            record.value.kind(),
            backslashed(&value)
        )?;
    }
    writeln!(text, "  ]\n}}")
}

fn terraform(text: &mut String, records: &[&Expected]) -> fmt::Result {
    for (index, record) in records.iter().enumerate() {
        let value = match &record.value {
            ExpectedValue::Cname(target) => target.to_string(),
            value => {
                // The provider puts the outermost quotes itself.
                let strings = strings(&text_of(value), octal).join("");
                let inner = strings.strip_prefix('"').and_then(|inner| inner.strip_suffix('"'));
                inner.unwrap_or_default().to_owned()
            }
        };
        writeln!(
            text,
            "{}resource \"aws_route53_record\" \"{}\" {{\n  zone_id = \"<the hosted zone's id>\"\n  name    = \"{}\"\n  \
             type    = \"{}\"\n  ttl     = {TTL}\n  records = [\"{}\"]\n}}",
            if index == 0 { "" } else { "\n" },
            label_of_resource(&record.name),
            hcl(&record.name.to_string()),
            record.value.kind(),
            hcl(&value)
        )?;
    }
    Ok(())
}

fn cloudflare(text: &mut String, records: &[&Expected], zone: &Name) -> fmt::Result {
    for (index, record) in records.iter().enumerate() {
        let gap = if index == 0 { "" } else { "\n" };
        let kind = record.value.kind();
        writeln!(text, "{gap}Type          {kind}\nName          {}", relative(&record.name, zone))?;
        match &record.value {
            ExpectedValue::Cname(target) => writeln!(text, "Target        {target}\nProxy status  DNS only")?,
            // Cloudflare cuts a long text into strings itself.
            value => writeln!(text, "Content       {}", text_of(value))?,
        }
        writeln!(text, "TTL           Auto")?;
    }
    Ok(())
}

/// The text of a TXT record.
fn text_of(value: &ExpectedValue) -> String {
    match value {
        ExpectedValue::AnyKey => "v=DKIM1; k=rsa; p=<the public key>".to_owned(),
        value => value.to_string(),
    }
}

/// The strings of a TXT record, each in quotes, with what can't stand in them plainly in the given escape.
fn strings(text: &str, escape: fn(u8) -> String) -> Vec<String> {
    text.as_bytes().chunks(MAX_STRING).map(|octets| quoted(octets, escape)).collect()
}

/// One string in quotes.
fn quoted(octets: &[u8], escape: fn(u8) -> String) -> String {
    let inner: String = octets
        .iter()
        .map(|&octet| match octet {
            b'"' | b'\\' => format!("\\{}", char::from(octet)),
            b' '..=b'~' => char::from(octet).to_string(),
            octet => escape(octet),
        })
        .collect();
    format!("\"{inner}\"")
}

/// An octet in a zone file (RFC 1035 §5.1).
fn decimal(octet: u8) -> String {
    format!("\\{octet:03}")
}

/// An octet in a value of Route 53, which counts in octal.
fn octal(octet: u8) -> String {
    format!("\\{octet:03o}")
}

/// A text of printable ASCII inside a JSON string.
fn backslashed(text: &str) -> String {
    text.replace('\\', "\\\\").replace('"', "\\\"")
}

/// The same inside a string of Terraform's language, where `${` and `%{` begin a template.
fn hcl(text: &str) -> String {
    backslashed(text).replace("${", "$${").replace("%{", "%%{")
}

/// The name as what Terraform takes for a resource's name: letters, digits, underscores.
fn label_of_resource(name: &Name) -> String {
    let plain = |character: char| if character.is_ascii_alphanumeric() { character } else { '_' };
    format!("dkim_{}", name.to_string().chars().map(plain).collect::<String>())
}

/// The name as it is entered in a form that appends the zone.
fn relative(name: &Name, zone: &Name) -> String {
    let labels = name.relative_to(zone).map(Name::from_labels);
    match labels {
        Some(Ok(below)) if !below.is_root() => below.to_string(),
        Some(Ok(_)) => "@".to_owned(),
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn key(text: &str) -> Expected {
        let key = text.parse().expect("it is a key");
        let name = "s1._domainkey.example.com".parse().expect("it is a name");
        Expected { name, value: ExpectedValue::Key(Box::new(key)) }
    }

    const ED25519: &str = "p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    #[test]
    fn what_cannot_stand_in_a_string_is_escaped_as_each_form_wants_it() {
        let record = key(&format!("k=ed25519; n=a\"b\\c ü ${{x}}; {ED25519}"));
        let zone = "example.com".parse().expect("it is a name");
        for (form, expected) in [
            (Form::ZoneFile, r#"n=a\"b\\c \195\188 ${x};"#),
            (Form::ChangeBatch, r#"n=a\\\"b\\\\c \\303\\274 ${x};"#),
            (Form::Terraform, r#"n=a\\\"b\\\\c \\303\\274 $${x};"#),
            (Form::Cloudflare, r#"n=a"b\c ü ${x};"#),
        ] {
            let text = form.of([&record], &zone);
            assert!(text.contains(expected), "{expected} in\n{text}");
        }
    }

    #[test]
    fn strings_of_a_txt_stay_apart_in_a_value_of_route53() {
        let txt = Txt::new([&b"v=DKIM1; p=a\"b\\"[..], b"", b"\xfc\n"]);
        assert_eq!(route53_value(&txt), r#""v=DKIM1; p=a\"b\\" "" "\374\012""#);
    }

    #[test]
    fn a_name_is_relative_to_the_zone_that_it_lies_in() {
        let name = |text: &str| text.parse::<Name>().expect("it is a name");
        for (of, zone, expected) in [
            ("a._domainkey.example.com", "example.com", "a._domainkey"),
            ("a._domainkey.mail.example.com", "example.com", "a._domainkey.mail"),
            ("a._domainkey.example.com", "_domainkey.example.com", "a"),
            ("a._domainkey.example.com", "a._domainkey.example.com", "@"),
            ("a._domainkey.example.com", "example.net", "a._domainkey.example.com"),
        ] {
            assert_eq!(relative(&name(of), &name(zone)), expected);
        }
    }
}
