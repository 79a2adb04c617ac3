//! How Route 53 writes names and strings: octets that aren't plain as `\ooo`, in octal, where DNS itself writes them
//! in decimal (Route 53 Developer Guide, "DNS domain name format").

use dkimguard_core::name::Name;

/// The name that a text of Route 53 stands for; none if it stands for none.
pub(crate) fn read(text: &str) -> Option<Name> {
    // Somebody may have given a change a name with U-labels.
    if !text.is_ascii() {
        return text.parse().ok();
    }
    let mut labels = vec![Vec::new()];
    for octet in octets(text) {
        match (octet, labels.last_mut()) {
            (Octet::Plain(b'.'), _) => labels.push(Vec::new()),
            (Octet::Plain(octet) | Octet::Escaped(octet), Some(label)) => label.push(octet),
            (_, None) => return None,
        }
    }
    // The dot at the end; of the root's name nothing else is left.
    if labels.len() > 1 && labels.last().is_some_and(Vec::is_empty) {
        labels.pop();
    }
    if labels.len() == 1 && labels[0].is_empty() && text == "." {
        return Some(Name::root());
    }
    Name::from_labels(labels.iter().map(Vec::as_slice)).ok()
}

/// The name as Route 53 writes it, without the final dot.
pub(crate) fn write(name: &Name) -> String {
    let label = |label: &[u8]| -> String {
        label
            .iter()
            .map(|&octet| match octet {
                b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' => char::from(octet).to_string(),
                _ => format!("\\{octet:03o}"),
            })
            .collect()
    };
    if name.is_root() {
        return ".".to_owned();
    }
    name.labels().map(label).collect::<Vec<_>>().join(".")
}

/// An octet that a text stands for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Octet {
    /// It is written as itself.
    Plain(u8),
    /// It is written with a backslash.
    Escaped(u8),
}

/// The octets that a text stands for. A backslash before anything but three octal digits is an escape of what
/// follows; the last of a text stands for itself.
pub(crate) fn octets(text: &str) -> impl Iterator<Item = Octet> {
    let mut rest = text.as_bytes();
    std::iter::from_fn(move || {
        let (octet, taken) = match *rest {
            [] => return None,
            [b'\\', high @ b'0'..=b'3', middle @ b'0'..=b'7', low @ b'0'..=b'7', ..] => {
                (Octet::Escaped((high - b'0') << 6 | (middle - b'0') << 3 | (low - b'0')), 4)
            }
            [b'\\', octet, ..] => (Octet::Escaped(octet), 2),
            [octet, ..] => (Octet::Plain(octet), 1),
        };
        rest = &rest[taken..];
        Some(octet)
    })
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use dkimguard_core::name::Name;

    #[test]
    fn names_are_read_and_written_with_octal_escapes() {
        // What Route 53 writes, what DNS writes, what is asked for.
        for (told, name, asked) in [
            ("example.com.", "example.com", "example.com"),
            ("Example.COM", "example.com", "example.com"),
            ("\\052.example.com.", "*.example.com", "\\052.example.com"),
            ("*.example.com.", "*.example.com", "\\052.example.com"),
            ("\\137domainkey.example.com.", "_domainkey.example.com", "_domainkey.example.com"),
            ("a\\056b.example.com.", "a\\.b.example.com", "a\\056b.example.com"),
            ("a\\040b.example.com.", "a\\032b.example.com", "a\\040b.example.com"),
            ("\\344.example.com.", "\\228.example.com", "\\344.example.com"),
            ("bücher.example", "xn--bcher-kva.example", "xn--bcher-kva.example"),
            (".", ".", "."),
        ] {
            let expected: Name = name.parse().expect(name);
            assert_eq!(read(told), Some(expected.clone()), "{told}");
            assert_eq!(write(&expected), asked);
            assert_eq!(read(asked), Some(expected), "{asked}");
        }
    }

    #[test]
    fn what_is_no_name_is_none() {
        for text in ["", "..", "a..b", ".a", &format!("{}.com", "a".repeat(64))] {
            assert_eq!(read(text), None, "{text}");
        }
    }
}
