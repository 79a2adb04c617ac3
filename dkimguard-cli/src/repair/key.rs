//! [`OwnersKey`]: the owner's public key from a file, and [`WithKey`], a source whose identities expect it.

use std::fs::File;
use std::io::{self, Read as _};
use std::sync::Arc;

use async_trait::async_trait;
use dkimguard_core::error::ProviderError;
use dkimguard_core::identity::{ExpectedValue, Identity, KeyMaker};
use dkimguard_core::key_record::{KeyRecord, PublicKey};
use dkimguard_core::name::Name;
use dkimguard_core::ports::IdentitySource;
use futures_util::stream::{BoxStream, StreamExt as _};

use crate::failure::{Code, Failure};

/// The octets that a file of a key may have; a key of 16,384 bits has a fifth of them.
const MOST_OCTETS: u64 = 16 * 1024;
/// With which a public key in PEM begins and ends (RFC 7468 §13).
const BEGIN: &str = "-----BEGIN PUBLIC KEY-----";
const END: &str = "-----END PUBLIC KEY-----";
/// What stands before the 32 octets of an Ed25519 key (RFC 8410 §4). Its 12 octets are whole characters in base64, so
/// that what follows is the base64 of the key alone.
const ED25519_HEAD: &str = "MCowBQYDK2VwAyEA";
/// The bits of the largest RSA key that SES takes.
const MOST_RSA_BITS_OF_SES: u32 = 2048;

/// The owner's public key.
#[derive(Clone, Debug)]
pub(super) struct OwnersKey {
    path: String,
    record: KeyRecord,
}

impl OwnersKey {
    /// Reads the key: a public key in PEM, or the text of a key record.
    ///
    /// # Errors
    /// A file that can't be read, or isn't a key that validators take. A private key is refused: nobody needs it here.
    pub(super) fn read(path: &str) -> Result<Self, Failure> {
        let text = read(path).map_err(|error| wrong(path, &format!("cannot be read: {error}")))?;
        let record = record_of(&text).map_err(|what| wrong(path, &what))?;
        Ok(Self { path: path.to_owned(), record })
    }

    /// Whether it is the key of this identity's one selector whose key isn't known.
    ///
    /// # Errors
    /// No selector awaits a key, or several do, or the provider doesn't take it.
    pub(super) fn check_fits(&self, identity: &Identity) -> Result<(), Failure> {
        let domain = identity.domain();
        let awaiting: Vec<String> = labels_awaiting(identity).collect();
        let usage = |message: String, hint: &str| Err(Failure::new(Code::Usage, message).with_hint(hint));
        match awaiting[..] {
            [] => {
                let whose = match identity.keys {
                    KeyMaker::Provider | KeyMaker::Parent => "are the provider's own",
                    _ => "are known already",
                };
                usage(format!("--public-key gives a key, and the keys of {domain} {whose}"), "leave it out")
            }
            [_] => self.check_is_taken(identity),
            _ => usage(
                format!("--public-key gives one key, and {domain} awaits several ({})", awaiting.join(", ")),
                "name each in the file of identities: txt = \"v=DKIM1; k=rsa; p=...\"",
            ),
        }
    }

    fn check_is_taken(&self, identity: &Identity) -> Result<(), Failure> {
        // "The private key must use 1024 or 2048-bit RSA encryption" (API reference of SES, November 2026).
        let is_taken = match self.record.key() {
            PublicKey::Rsa { bits } => *bits <= MOST_RSA_BITS_OF_SES,
            _ => false,
        };
        if identity.id.provider != "ses" || is_taken {
            return Ok(());
        }
        Err(wrong(&self.path, "SES signs with RSA keys of 1024 to 2048 bits only, and this is another"))
    }

    /// The identity, which expects the key where one selector's isn't known.
    pub(super) fn fill(&self, mut identity: Identity) -> Identity {
        if labels_awaiting(&identity).count() == 1 {
            for selector in
                identity.selectors.iter_mut().filter(|selector| selector.value == ExpectedValue::AnyKey)
            {
                selector.value = ExpectedValue::Key(Box::new(self.record.clone()));
            }
        }
        identity
    }
}

/// The labels of the selectors whose key isn't known.
fn labels_awaiting(identity: &Identity) -> impl Iterator<Item = String> {
    let awaiting = identity.selectors.iter().filter(|selector| selector.value == ExpectedValue::AnyKey);
    awaiting.map(|selector| selector.label.to_string())
}

fn read(path: &str) -> io::Result<String> {
    let mut text = String::new();
    File::open(path)?.take(MOST_OCTETS + 1).read_to_string(&mut text)?;
    if text.len() as u64 > MOST_OCTETS {
        return Err(io::Error::other("it is too large for a key"));
    }
    Ok(text)
}

fn wrong(path: &str, what: &str) -> Failure {
    Failure::new(Code::KeyFile, format!("{path}: {what}"))
        .with_hint(format!("--public-key names a PEM file that begins with {BEGIN}, or a key record"))
}

/// The record of a key that validators take.
fn record_of(text: &str) -> Result<KeyRecord, String> {
    if text.contains("PRIVATE KEY") {
        return Err("it is a private key, which is never needed here; nothing of it was kept".to_owned());
    }
    let record = if text.contains("-----BEGIN") { record_of_pem(text)? } else { text.trim().to_owned() };
    let record: KeyRecord = record.parse().map_err(|error| format!("this is no public key: {error}"))?;
    let what = match record.key() {
        PublicKey::Revoked => "its p= tag is empty, so that it withdraws a key".to_owned(),
        PublicKey::Other { algorithm } => format!("validators know no keys of the algorithm {algorithm}"),
        _ if record.is_weak() => "validators refuse RSA keys under 1024 bits".to_owned(),
        _ if !record.serves_email() => "its s= tag doesn't allow mail".to_owned(),
        _ if !record.allows_sha256() => "its h= tag doesn't allow SHA-256".to_owned(),
        _ => return Ok(record),
    };
    Err(what)
}

fn record_of_pem(text: &str) -> Result<String, String> {
    let mut parts = text.split(BEGIN).skip(1);
    let (Some(part), None) = (parts.next(), parts.next()) else {
        return Err(match text.contains("-----BEGIN RSA PUBLIC KEY-----") {
            true => {
                "it is in the form of PKCS #1; `openssl rsa -RSAPublicKey_in -pubout` turns it into the one \
                     that receivers expect"
                    .to_owned()
            }
            false => "it doesn't hold exactly one public key".to_owned(),
        });
    };
    let (octets, _) = part.split_once(END).ok_or("the key has no end")?;
    let octets: String = octets.split_whitespace().collect();
    Ok(match octets.strip_prefix(ED25519_HEAD) {
        // Without its frame (RFC 8463 §4).
        Some(key) => format!("v=DKIM1; k=ed25519; p={key}"),
        None => format!("v=DKIM1; k=rsa; p={octets}"),
    })
}

/// A source whose identities expect a key where the provider doesn't tell which.
#[derive(Debug)]
pub(super) struct WithKey {
    pub(super) inner: Arc<dyn IdentitySource>,
    pub(super) key: OwnersKey,
}

#[async_trait]
impl IdentitySource for WithKey {
    async fn find(&self, domain: &Name) -> Vec<Result<Identity, ProviderError>> {
        let found = self.inner.find(domain).await;
        found.into_iter().map(|answer| answer.map(|identity| self.key.fill(identity))).collect()
    }

    fn identities(&self) -> BoxStream<'_, Result<Identity, ProviderError>> {
        self.inner.identities().map(|answer| answer.map(|identity| self.key.fill(identity))).boxed()
    }

    async fn details(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        self.inner.details(identity).await.map(|identity| self.key.fill(identity))
    }
}

#[cfg(test)]
mod tests {
    use dkimguard_core::testing::PUBLIC_KEY;

    use super::record_of;

    fn pem(label: &str, octets: &str) -> String {
        format!("-----BEGIN {label}-----\n{octets}\n-----END {label}-----\n")
    }

    #[test]
    fn a_key_is_read_from_pem_and_from_a_record() {
        let folded: Vec<String> =
            PUBLIC_KEY.as_bytes().chunks(64).map(|line| String::from_utf8_lossy(line).into_owned()).collect();
        let rsa = format!("v=DKIM1; k=rsa; p={PUBLIC_KEY}");
        // The key of RFC 8410 §10.1 in its frame, and by itself.
        let framed = "MCowBQYDK2VwAyEAGb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        let bare = "v=DKIM1; k=ed25519; p=Gb9ECWmEzf6FQbrBZ9w7lshQhqowtrbLDFw4rXAxZuE=";
        for (text, expected) in [
            (pem("PUBLIC KEY", &folded.join("\r\n")), rsa.as_str()),
            (format!("a comment\n{}", pem("PUBLIC KEY", PUBLIC_KEY)), &rsa),
            (format!("  {rsa}\n"), &rsa),
            (pem("PUBLIC KEY", framed), bare),
            (format!("{bare}\n"), bare),
        ] {
            let record = record_of(&text).unwrap_or_else(|what| panic!("{text}: {what}"));
            assert_eq!(record.to_string(), expected);
        }
    }

    #[test]
    fn what_no_receiver_could_use_is_refused_with_its_reason() {
        let two = pem("PUBLIC KEY", PUBLIC_KEY).repeat(2);
        let p256 = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJhigJnIUwcEn5VccB0DhPQI6Um83NVcXdfzMkP6o2BM2qbtnu9L2vgAGs4W9c6cOpvl\
                    Oj/0tTnV8rl9hXuhmMg==";
        let weak = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOyyLaddsIQM9J+y4i0cZAeIt7qinkuGywvL2xogaSoZZ6Ty83+zljz/Pl46s7+vSbJxuw5x\
                    9leK6YI+t1v1vWUCAwEAAQ==";
        for (text, expected) in [
            (pem("PRIVATE KEY", "MIIB"), "private key"),
            (pem("EC PRIVATE KEY", "MIIB"), "private key"),
            (format!("{}{}", pem("PUBLIC KEY", PUBLIC_KEY), pem("RSA PRIVATE KEY", "MIIB")), "private key"),
            (pem("CERTIFICATE", PUBLIC_KEY), "exactly one public key"),
            (pem("RSA PUBLIC KEY", PUBLIC_KEY), "PKCS #1"),
            (two, "exactly one public key"),
            (format!("-----BEGIN PUBLIC KEY-----\n{PUBLIC_KEY}\n"), "no end"),
            (pem("PUBLIC KEY", p256), "not of RSA"),
            (pem("PUBLIC KEY", weak), "under 1024 bits"),
            (pem("PUBLIC KEY", &PUBLIC_KEY[..200]), "cut short"),
            (pem("PUBLIC KEY", "MCowBQYDK2VwAyEAGb9ECWmE"), "an Ed25519 key has 32"),
            (pem("PUBLIC KEY", ""), "empty"),
            ("v=DKIM1; k=rsa; p=".to_owned(), "withdraws"),
            (format!("v=DKIM1; k=rsa; s=other; p={PUBLIC_KEY}"), "doesn't allow mail"),
            (format!("v=DKIM1; h=sha1; p={PUBLIC_KEY}"), "SHA-256"),
            ("v=DKIM1; k=ml-dsa; p=AAAA".to_owned(), "ml-dsa"),
            (PUBLIC_KEY.to_owned(), "no public key"),
            (String::new(), "no p= tag"),
        ] {
            let what = record_of(&text).expect_err(expected);
            assert!(what.contains(expected), "{expected} in {what}");
        }
    }
}
