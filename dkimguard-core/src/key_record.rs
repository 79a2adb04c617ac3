//! [`KeyRecord`]: a DKIM key record (RFC 6376 §3.6.1).

use std::fmt;
use std::str::FromStr;

use base64::Engine;
use base64::alphabet::STANDARD;
use base64::engine::{DecodePaddingMode, GeneralPurpose, GeneralPurposeConfig};
use pkcs1::RsaPublicKeyRef;
use pkcs1::der::{Decode, Header, Reader, SliceReader, Tag};
use spki::SubjectPublicKeyInfoRef;
use thiserror::Error;

use crate::error::excerpt;

/// The bits of the smallest RSA key that validators accept (RFC 8301 §3.2).
pub const MIN_RSA_BITS: u32 = 1024;

/// The octets of an Ed25519 public key (RFC 8032 §5.1.5).
const ED25519_OCTETS: usize = 32;

/// Validators take the octets whether or not the padding is there.
const BASE64: GeneralPurpose = GeneralPurpose::new(
    &STANDARD,
    GeneralPurposeConfig::new()
        .with_decode_padding_mode(DecodePaddingMode::Indifferent)
        .with_decode_allow_trailing_bits(true),
);

/// A DKIM key record. [`fmt::Display`] writes the text that was parsed, with octets that aren't UTF-8 replaced.
///
/// Equality is that of the text; [`same_key`](Self::same_key) compares the keys.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct KeyRecord {
    text: Box<str>,
    key: PublicKey,
    /// What a signature is checked with: the RSAPublicKey of PKCS #1, or `p=` as it was decoded.
    octets: Box<[u8]>,
    testing: bool,
    subdomains: bool,
    email: bool,
    sha256: bool,
}

/// The key of a key record.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum PublicKey {
    /// `p=` is empty: the key has been withdrawn.
    Revoked,
    /// An RSA key.
    Rsa {
        /// The bits of its modulus.
        bits: u32,
    },
    /// An Ed25519 key (RFC 8463).
    Ed25519,
    /// A key of an algorithm that this version doesn't know.
    Other {
        /// The algorithm, from `k=`.
        algorithm: String,
    },
}

/// Why a text is no key record. Each message is a clause that can follow "this is no DKIM key record: ".
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseKeyError {
    /// No `p=` tag.
    #[error("it has no p= tag")]
    NoKey,
    /// Nothing before or between semicolons.
    #[error("it has an empty tag (two semicolons in a row, or one at the start)")]
    EmptyTag,
    /// Something between semicolons that isn't a tag, `=` and a value.
    #[error("`{text}` in it is no tag with a value")]
    BadTag {
        /// The beginning of what stands there.
        text: String,
    },
    /// One tag more than once (RFC 6376 §3.2).
    #[error("it has the tag {tag}= twice")]
    DuplicateTag {
        /// The tag.
        tag: String,
    },
    /// `v=` behind another tag.
    #[error("its v= tag is not the first")]
    VersionNotFirst,
    /// `v=` with another value than `DKIM1`.
    #[error("its version is `{version}`, and DKIM1 is the only one")]
    BadVersion {
        /// The beginning of the value.
        version: String,
    },
    /// `k=` without a value.
    #[error("its k= tag names no algorithm")]
    NoAlgorithm,
    /// A character in `p=` that isn't of the base64 alphabet (RFC 4648 §4).
    #[error("its p= tag holds the character {character:?}, which is not base64")]
    BadBase64Character {
        /// The character.
        character: char,
    },
    /// `p=` of a length that no base64 text has, or with padding in its midst.
    #[error("its p= tag is no complete base64 text")]
    BadBase64,
    /// The beginning of an RSA key.
    #[error("its p= tag is cut short: it holds {octets} of the key's {of} octets")]
    KeyCutShort {
        /// The octets that are there.
        octets: u32,
        /// The octets that the key says it has.
        of: u32,
    },
    /// `p=` is neither a SubjectPublicKeyInfo nor a PKCS #1 RSAPublicKey.
    #[error("its p= tag is no RSA public key")]
    BadRsaKey,
    /// `p=` is a SubjectPublicKeyInfo of another algorithm than RSA, and `k=` says RSA.
    #[error("its p= tag is a key of the algorithm {oid}, not of RSA")]
    NotRsa {
        /// The object identifier of the algorithm.
        oid: String,
    },
    /// `p=` of another length than that of an Ed25519 key (RFC 8463 §4).
    #[error("its p= tag has {octets} octets, and an Ed25519 key has 32")]
    BadEd25519Key {
        /// The octets that are there.
        octets: usize,
    },
}

impl KeyRecord {
    /// Parses the joined strings of one TXT record (RFC 6376 §3.6.1, with the tag list of §3.2).
    ///
    /// `v=` may be missing, `k=` is `rsa` by default, unknown tags are ignored. Blanks in the base64 and missing
    /// padding are accepted, and so is a bare PKCS #1 RSAPublicKey, since validators accept them.
    ///
    /// # Errors
    /// A text without `p=` (the empty one too), a tag list or a version that isn't one, a key that is none.
    pub fn parse(octets: &[u8]) -> Result<Self, ParseKeyError> {
        let tags = Tags::parse(octets)?;
        if let Some(version) = tags.value("v") {
            if tags.0[0].0 != "v" {
                return Err(ParseKeyError::VersionNotFirst);
            }
            if version != b"DKIM1" {
                return Err(ParseKeyError::BadVersion { version: shown(version) });
            }
        }
        let (key, octets_of_key) =
            parse_key(tags.value("k").unwrap_or(b"rsa"), tags.value("p").ok_or(ParseKeyError::NoKey)?)?;
        Ok(Self {
            text: String::from_utf8_lossy(octets).into(),
            key,
            octets: octets_of_key.into(),
            testing: tags.lists("t", &["y"]).unwrap_or(false),
            subdomains: !tags.lists("t", &["s"]).unwrap_or(false),
            email: tags.lists("s", &["*", "email"]).unwrap_or(true),
            sha256: tags.lists("h", &["sha256"]).unwrap_or(true),
        })
    }

    /// The key.
    pub fn key(&self) -> &PublicKey {
        &self.key
    }

    /// Whether both hold the same key of the same algorithm, however the records are written. A revoked key is
    /// no key, and so never the same.
    pub fn same_key(&self, other: &Self) -> bool {
        self.key != PublicKey::Revoked && self.key == other.key && self.octets == other.octets
    }

    /// Whether validators refuse the key for its size: RSA under [`MIN_RSA_BITS`] (RFC 8301 §3.2).
    pub fn is_weak(&self) -> bool {
        matches!(self.key, PublicKey::Rsa { bits } if bits < MIN_RSA_BITS)
    }

    /// Whether `t=` holds `y`: the domain is testing DKIM.
    pub fn is_testing(&self) -> bool {
        self.testing
    }

    /// Whether signatures may name a user of a subdomain: `t=` doesn't hold `s`.
    pub fn allows_subdomains(&self) -> bool {
        self.subdomains
    }

    /// Whether `s=` allows mail: it is absent or holds `*` or `email`.
    pub fn serves_email(&self) -> bool {
        self.email
    }

    /// Whether `h=` allows SHA-256, the only hash that validators accept (RFC 8301 §3.1): it is absent or holds
    /// `sha256`.
    pub fn allows_sha256(&self) -> bool {
        self.sha256
    }
}

impl FromStr for KeyRecord {
    type Err = ParseKeyError;

    fn from_str(text: &str) -> Result<Self, ParseKeyError> {
        Self::parse(text.as_bytes())
    }
}

impl fmt::Display for KeyRecord {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

/// The tags of a tag list with their values, in their order.
struct Tags<'a>(Vec<(&'a str, &'a [u8])>);

impl<'a> Tags<'a> {
    /// Reads `tag=value` pairs between semicolons; the last semicolon is optional (RFC 6376 §3.2).
    fn parse(octets: &'a [u8]) -> Result<Self, ParseKeyError> {
        let list = trim(octets);
        let list = list.strip_suffix(b";").unwrap_or(list);
        let mut tags: Vec<(&str, &[u8])> = Vec::new();
        if list.is_empty() {
            return Ok(Self(tags));
        }
        for pair in list.split(|&octet| octet == b';').map(trim) {
            if pair.is_empty() {
                return Err(ParseKeyError::EmptyTag);
            }
            let (tag, value) = split_pair(pair).ok_or_else(|| ParseKeyError::BadTag { text: shown(pair) })?;
            if tags.iter().any(|(earlier, _)| *earlier == tag) {
                return Err(ParseKeyError::DuplicateTag { tag: shown(tag.as_bytes()) });
            }
            tags.push((tag, value));
        }
        Ok(Self(tags))
    }

    fn value(&self, tag: &str) -> Option<&'a [u8]> {
        self.0.iter().find(|(name, _)| *name == tag).map(|(_, value)| *value)
    }

    /// Whether the colon-separated list of this tag holds one of these words; none where the tag is absent.
    fn lists(&self, tag: &str, words: &[&str]) -> Option<bool> {
        let mut listed = self.value(tag)?.split(|&octet| octet == b':').map(trim);
        Some(listed.any(|item| words.iter().any(|word| word.as_bytes() == item)))
    }
}

/// The tag and the value around the first `=`. A tag is a letter, then letters, digits and underscores.
fn split_pair(pair: &[u8]) -> Option<(&str, &[u8])> {
    let equals = pair.iter().position(|&octet| octet == b'=')?;
    let tag = std::str::from_utf8(trim(&pair[..equals])).ok()?;
    let is_tag = tag.starts_with(|first: char| first.is_ascii_alphabetic())
        && tag.chars().all(|character| character.is_ascii_alphanumeric() || character == '_');
    is_tag.then(|| (tag, trim(&pair[equals + 1..])))
}

/// The key and the octets that make it what it is.
fn parse_key(algorithm: &[u8], value: &[u8]) -> Result<(PublicKey, Vec<u8>), ParseKeyError> {
    if algorithm.is_empty() {
        return Err(ParseKeyError::NoAlgorithm);
    }
    if value.is_empty() {
        return Ok((PublicKey::Revoked, Vec::new()));
    }
    let octets = decode_base64(value)?;
    match algorithm {
        b"rsa" => parse_rsa(&octets),
        b"ed25519" if octets.len() == ED25519_OCTETS => Ok((PublicKey::Ed25519, octets)),
        b"ed25519" => Err(ParseKeyError::BadEd25519Key { octets: octets.len() }),
        other => Ok((PublicKey::Other { algorithm: String::from_utf8_lossy(other).into() }, octets)),
    }
}

fn decode_base64(value: &[u8]) -> Result<Vec<u8>, ParseKeyError> {
    let is_alphabet = |octet: &u8| octet.is_ascii_alphanumeric() || matches!(octet, b'+' | b'/' | b'=');
    let text: Vec<u8> = value.iter().copied().filter(|octet| !is_blank(*octet)).collect();
    if let Some(at) = text.iter().position(|octet| !is_alphabet(octet)) {
        let character = String::from_utf8_lossy(&text[at..]).chars().next();
        return Err(ParseKeyError::BadBase64Character {
            character: character.unwrap_or(char::REPLACEMENT_CHARACTER),
        });
    }
    BASE64.decode(text).map_err(|_| ParseKeyError::BadBase64)
}

/// Reads the SubjectPublicKeyInfo that validators expect, or the bare PKCS #1 key inside it, which RFC 6376
/// §3.6.1 names and most of them accept.
fn parse_rsa(octets: &[u8]) -> Result<(PublicKey, Vec<u8>), ParseKeyError> {
    if let Some(error) = cut_short(octets) {
        return Err(error);
    }
    let inner = match SubjectPublicKeyInfoRef::from_der(octets) {
        Ok(info) if info.algorithm.oid == pkcs1::ALGORITHM_OID => {
            info.subject_public_key.as_bytes().ok_or(ParseKeyError::BadRsaKey)?
        }
        Ok(info) => return Err(ParseKeyError::NotRsa { oid: info.algorithm.oid.to_string() }),
        Err(_) => octets,
    };
    let key = RsaPublicKeyRef::from_der(inner).map_err(|_| ParseKeyError::BadRsaKey)?;
    let modulus = key.modulus.as_bytes();
    let leading = modulus.first().map_or(0, |first| first.leading_zeros());
    match u32::try_from(modulus.len() * 8) {
        Ok(bits) if bits > leading => Ok((PublicKey::Rsa { bits: bits - leading }, inner.to_vec())),
        _ => Err(ParseKeyError::BadRsaKey),
    }
}

/// The error for a sequence that is longer, by its own header, than the octets: a long record that some form
/// or some copying has cut is the commonest damage.
fn cut_short(octets: &[u8]) -> Option<ParseKeyError> {
    let mut reader = SliceReader::new(octets).ok()?;
    let header = Header::decode(&mut reader).ok()?;
    let of = (reader.position() + header.length()).ok()?;
    (header.tag() == Tag::Sequence && of > reader.input_len())
        .then(|| ParseKeyError::KeyCutShort { octets: reader.input_len().into(), of: of.into() })
}

/// Without the folding white space around it (RFC 6376 §2.8).
fn trim(octets: &[u8]) -> &[u8] {
    let start = octets.iter().position(|&octet| !is_blank(octet)).unwrap_or(octets.len());
    let end = octets.iter().rposition(|&octet| !is_blank(octet)).map_or(start, |last| last + 1);
    &octets[start..end]
}

fn is_blank(octet: u8) -> bool {
    matches!(octet, b' ' | b'\t' | b'\r' | b'\n')
}

fn shown(octets: &[u8]) -> String {
    excerpt(&String::from_utf8_lossy(octets))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// The PKCS #1 form of a key of 2048 bits, and what turns it into a SubjectPublicKeyInfo.
    const PKCS1_2048: &str = "MIIBCgKCAQEAt7mxinvsNg5TsaVuDWpJIRxGPSroFK7yfJp2DQN7byFlExCdz2DinsC9KX1UZS5laW\
        FLgdVSFTfcqMhXxQeCQfaZ0DCIso5v1PTqUMH46k2jMWR+GgTE7OTasXjTm2EksfrlUa7yULD67Ol5LJZnHDpK+GVb5suJw1aEoz4Zh\
        XywjW/KKvNFIjL/1m7rTOucKfAZRxoTL/JsChJL2Y7N3KycCNBMLpL05H/GMuIOqbrcwPHYum+bzJOB2ZHhzvZgTyWpn9BJ7Dn9nkNZ\
        ORZzj3saRS3a2PZnf/qrF25FfFC5oDsYUUO/i/bPl6IHJgpVi2ZLoV2U/q+qyRHNqNYL+wIDAQAB";
    const SPKI_2048_HEAD: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8A";
    const SPKI_1024: &str = "MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDUp+QDb9FddJIYfjDhaODXNx4PN348rTNONr9x8N7\
        bq3WkBA12bWAWwqvdkkZAfIMpg0/veQFxVxXJXcqCujXiDktY1E/zQqg6UZef6wsrPcJ/g9+hlL0XHCReQ4Qo08zRC0ATrAcc91VbKs\
        hTmycNx4wb5LnYmf8cz6damFfLfwIDAQAB";
    const SPKI_1023: &str = "MIGeMA0GCSqGSIb3DQEBAQUAA4GMADCBiAKBgF7INUK5YJ5X7Rhkpd8e7AKZXcf8aloJ7Hq75ECtGqi\
        +f61AIsSRnaqvI48Psl6ijuFvvM0cCBDPlyY+RG2Gsvs3UlTm15qjEjD8dj7qnBwOhJOBPUCHRLo+w6FUdUmddalbxpmG2wTDzVaGv8\
        W1klO90MVIA+gRGgQBg0geqiZjAgMBAAE=";
    const SPKI_512: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBAOyyLaddsIQM9J+y4i0cZAeIt7qinkuGywvL2xogaSoZZ6Ty\
        83+zljz/Pl46s7+vSbJxuw5x9leK6YI+t1v1vWUCAwEAAQ==";
    const SPKI_P256: &str = "MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAEJhigJnIUwcEn5VccB0DhPQI6Um83NVcXdfzMkP6o2BM\
        2qbtnu9L2vgAGs4W9c6cOpvlOj/0tTnV8rl9hXuhmMg==";
    /// The key of RFC 8463 §A.2.
    const ED25519: &str = "11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=";

    fn spki_2048() -> String {
        format!("{SPKI_2048_HEAD}{PKCS1_2048}")
    }

    fn parsed(text: &str) -> KeyRecord {
        text.parse().unwrap_or_else(|error| panic!("{text}: {error}"))
    }

    #[test]
    fn the_key_is_read_from_every_way_to_write_it() {
        let rsa = |bits| PublicKey::Rsa { bits };
        let other = |algorithm: &str| PublicKey::Other { algorithm: algorithm.to_owned() };
        let spki = spki_2048();
        let table = [
            (format!("v=DKIM1; k=rsa; p={spki}"), rsa(2048)),
            // What SES publishes.
            (format!("p={spki}"), rsa(2048)),
            (format!("p={spki};"), rsa(2048)),
            (format!("p={spki} ; "), rsa(2048)),
            (format!(" v = DKIM1 ;\r\n\tk\t=\trsa ; p = {spki} "), rsa(2048)),
            (format!("p={}", spki.replace('A', "A \t\r\n ")), rsa(2048)),
            (format!("p={PKCS1_2048}"), rsa(2048)),
            (format!("k=rsa;p={SPKI_1024}"), rsa(1024)),
            (format!("k=rsa;p={SPKI_1023}"), rsa(1023)),
            (format!("k=rsa;p={}", SPKI_1023.trim_end_matches('=')), rsa(1023)),
            (format!("k=rsa;p={SPKI_512}"), rsa(512)),
            (format!("k=rsa;p={}", SPKI_512.replace("==", "= =")), rsa(512)),
            // The last four bits of the last character belong to no octet.
            (format!("k=rsa;p={}", SPKI_512.replace("AQ==", "AR==")), rsa(512)),
            (format!("v=DKIM1; k=ed25519; p={ED25519}"), PublicKey::Ed25519),
            (format!("v=DKIM1; k=ed25519; p={}", ED25519.trim_end_matches('=')), PublicKey::Ed25519),
            // Values are compared with their case (RFC 6376 §3.2).
            (format!("k=RSA; p={spki}"), other("RSA")),
            ("k=ml-dsa; p=AAAA".to_owned(), other("ml-dsa")),
            ("v=DKIM1; k=rsa; p=".to_owned(), PublicKey::Revoked),
            ("p= \t ;".to_owned(), PublicKey::Revoked),
            ("k=ed25519; p=; n=gone".to_owned(), PublicKey::Revoked),
            // Tags are compared with their case: V= and K= are unknown here, and unknown tags are ignored.
            (format!("V=9; K=none; x_1=a=b; p={spki}"), rsa(2048)),
            (format!("p={spki}; n=Schl\u{fc}ssel"), rsa(2048)),
            (format!("p={spki}; g=; n="), rsa(2048)),
        ];
        for (text, key) in table {
            let record = parsed(&text);
            assert_eq!(record.key(), &key, "{text}");
            assert_eq!(record.to_string(), text);
        }
    }

    #[test]
    fn what_is_no_key_record_is_refused_with_its_reason() {
        let spki = spki_2048();
        let table = [
            (String::new(), "it has no p= tag"),
            (" ".to_owned(), "it has no p= tag"),
            (";".to_owned(), "it has no p= tag"),
            ("v=DKIM1".to_owned(), "it has no p= tag"),
            (format!("v=DKIM1; P={spki}"), "it has no p= tag"),
            (
                format!("v=DKIM1;; p={spki}"),
                "it has an empty tag (two semicolons in a row, or one at the start)",
            ),
            (format!("; p={spki}"), "it has an empty tag (two semicolons in a row, or one at the start)"),
            (format!("p={spki};;"), "it has an empty tag (two semicolons in a row, or one at the start)"),
            (format!("\"v=DKIM1; p={spki}\""), "`\"v=DKIM1` in it is no tag with a value"),
            (
                format!("v=DKIM1 p={spki}"),
                "its version is `DKIM1 p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAt7mxinvsNg5TsaVuDWpJIRxGPSro…`, and DKIM1 is the only one",
            ),
            ("hello".to_owned(), "`hello` in it is no tag with a value"),
            ("=x; p=".to_owned(), "`=x` in it is no tag with a value"),
            ("1a=x; p=".to_owned(), "`1a=x` in it is no tag with a value"),
            ("a b=x; p=".to_owned(), "`a b=x` in it is no tag with a value"),
            ("\u{fc}=x; p=".to_owned(), "`\u{fc}=x` in it is no tag with a value"),
            (format!("p={spki}; p={spki}"), "it has the tag p= twice"),
            (format!("k=rsa; k=rsa; p={spki}"), "it has the tag k= twice"),
            (format!("x=1; p={spki}; x=2"), "it has the tag x= twice"),
            (format!("k=rsa; v=DKIM1; p={spki}"), "its v= tag is not the first"),
            (format!("v=DKIM2; p={spki}"), "its version is `DKIM2`, and DKIM1 is the only one"),
            (format!("v=dkim1; p={spki}"), "its version is `dkim1`, and DKIM1 is the only one"),
            (format!("v=; p={spki}"), "its version is ``, and DKIM1 is the only one"),
            (
                "v=spf1 include:amazonses.com ~all".to_owned(),
                "its version is `spf1 include:amazonses.com ~all`, and DKIM1 is the only one",
            ),
            (format!("k=; p={spki}"), "its k= tag names no algorithm"),
            ("p=MII-B_".to_owned(), "its p= tag holds the character '-', which is not base64"),
            ("p=MIIB\" \"MIIB".to_owned(), "its p= tag holds the character '\"', which is not base64"),
            ("p=MIIB\u{2026}".to_owned(), "its p= tag holds the character '\u{2026}', which is not base64"),
            ("p=MIIB\\".to_owned(), "its p= tag holds the character '\\\\', which is not base64"),
            ("p=A".to_owned(), "its p= tag is no complete base64 text"),
            ("p=AA==AA==".to_owned(), "its p= tag is no complete base64 text"),
            ("p=====".to_owned(), "its p= tag is no complete base64 text"),
            (format!("p={}", &spki[..200]), "its p= tag is cut short: it holds 150 of the key's 294 octets"),
            (
                format!("p={}", &PKCS1_2048[..200]),
                "its p= tag is cut short: it holds 150 of the key's 270 octets",
            ),
            ("p=AAAA".to_owned(), "its p= tag is no RSA public key"),
            (format!("p={ED25519}"), "its p= tag is no RSA public key"),
            (format!("p={PKCS1_2048}AAAA"), "its p= tag is no RSA public key"),
            // A sequence of two zeros: a modulus without bits.
            ("p=MAYCAQACAQA=".to_owned(), "its p= tag is no RSA public key"),
            (format!("p={SPKI_P256}"), "its p= tag is a key of the algorithm 1.2.840.10045.2.1, not of RSA"),
            ("k=ed25519; p=AAAA".to_owned(), "its p= tag has 3 octets, and an Ed25519 key has 32"),
            (format!("k=ed25519; p={spki}"), "its p= tag has 294 octets, and an Ed25519 key has 32"),
        ];
        for (text, reason) in table {
            let error = text.parse::<KeyRecord>().expect_err(&text);
            assert_eq!(error.to_string(), reason, "{text}");
        }
    }

    #[test]
    fn flags_services_and_hashes_are_read() {
        // Text before the key; testing, subdomains, email, sha256.
        let table = [
            ("", false, true, true, true),
            ("t=y;", true, true, true, true),
            ("t=s;", false, false, true, true),
            ("t= y : s ;", true, false, true, true),
            ("t=;", false, true, true, true),
            ("t=Y:yes:x;", false, true, true, true),
            ("s=*;", false, true, true, true),
            ("s=email;", false, true, true, true),
            ("s=tlsrpt : email;", false, true, true, true),
            ("s=tlsrpt;", false, true, false, true),
            ("s=;", false, true, false, true),
            ("h=sha256;", false, true, true, true),
            ("h=sha1:sha256;", false, true, true, true),
            ("h=sha1;", false, true, true, false),
        ];
        for (tags, testing, subdomains, email, sha256) in table {
            let record = parsed(&format!("{tags} p={SPKI_1024}"));
            assert_eq!(
                (
                    record.is_testing(),
                    record.allows_subdomains(),
                    record.serves_email(),
                    record.allows_sha256()
                ),
                (testing, subdomains, email, sha256),
                "{tags}"
            );
        }
    }

    #[test]
    fn keys_are_compared_and_texts_are_not() {
        let spki = spki_2048();
        let one = parsed(&format!("v=DKIM1; k=rsa; t=y; p={spki}"));
        let same = [
            format!("p={spki}"),
            format!("p={PKCS1_2048};"),
            format!("n=the same; p={} {}", &spki[..7], &spki[7..]),
        ];
        for text in same {
            assert!(one.same_key(&parsed(&text)) && parsed(&text).same_key(&one), "{text}");
        }
        let others = [
            format!("p={SPKI_1024}"),
            format!("k=other; p={spki}"),
            format!("k=other; p={PKCS1_2048}"),
            format!("k=ed25519; p={ED25519}"),
            // The last octet of the modulus differs.
            format!("p={}", spki.replace("YL+wIDAQAB", "YL/QIDAQAB")),
            // The exponent differs.
            format!("p={}", spki.replace("+wIDAQAB", "+wIDAQAD")),
            "p=".to_owned(),
        ];
        for text in others {
            assert!(!one.same_key(&parsed(&text)) && !parsed(&text).same_key(&one), "{text}");
        }
        assert!(!parsed("p=").same_key(&parsed("p=")), "a revoked key is no key");
    }

    #[test]
    fn rsa_under_1024_bits_is_weak() {
        let table = [
            (format!("p={SPKI_512}"), true),
            (format!("p={SPKI_1023}"), true),
            (format!("p={SPKI_1024}"), false),
            (format!("p={}", spki_2048()), false),
            (format!("k=ed25519; p={ED25519}"), false),
            ("p=".to_owned(), false),
        ];
        for (text, weak) in table {
            assert_eq!(parsed(&text).is_weak(), weak, "{text}");
        }
    }

    #[test]
    fn octets_beyond_utf8_are_accepted_where_no_meaning_hangs_on_them() {
        let mut octets = b"n=\xff\xfe; p=".to_vec();
        octets.extend(SPKI_1024.bytes());
        let record = KeyRecord::parse(&octets).expect("n= is for people");
        assert_eq!(record.key(), &PublicKey::Rsa { bits: 1024 });
        assert_eq!(
            KeyRecord::parse(b"p=\xff"),
            Err(ParseKeyError::BadBase64Character { character: char::REPLACEMENT_CHARACTER })
        );
    }

    proptest! {
        #[test]
        fn arbitrary_octets_never_panic(octets: Vec<u8>) {
            let _ = KeyRecord::parse(&octets);
        }

        #[test]
        fn arbitrary_tags_and_keys_never_panic(
            tags in "(v=DKIM1;)?( ?[kthsn] ?= ?[a-z0-9*:]{0,8} ?;){0,3}",
            key in proptest::collection::vec(any::<u8>(), 0..300),
        ) {
            let _ = format!("{tags}p={}", BASE64.encode(key)).parse::<KeyRecord>();
        }

        #[test]
        fn a_record_survives_its_display(
            tags in "(v=DKIM1;)?( ?[xyz] ?= ?[a-z0-9*:]{0,8} ?;)?",
            key in proptest::collection::vec(any::<u8>(), 32),
        ) {
            let text = format!("{tags}k=ed25519;p={}", BASE64.encode(key));
            let record = parsed(&text);
            prop_assert_eq!(&parsed(&record.to_string()), &record);
            prop_assert_eq!(record.key(), &PublicKey::Ed25519);
        }

        /// A key damaged anywhere is refused or another key, never taken for the same.
        #[test]
        fn a_changed_key_is_never_the_same(at in 0..294usize, flip in 1..=255u8) {
            let whole = parsed(&format!("p={}", spki_2048()));
            let mut octets = BASE64.decode(spki_2048()).expect("a constant");
            octets[at] ^= flip;
            if let Ok(changed) = format!("p={}", BASE64.encode(octets)).parse::<KeyRecord>() {
                // The algorithm's parameters (24 octets at the front) aren't part of the key.
                prop_assert!(at < 24 || !whole.same_key(&changed));
            }
        }
    }
}
