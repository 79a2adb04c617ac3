//! [`Target`]: a URL that alerts may be sent to.

use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use reqwest::Url;
use thiserror::Error;

use super::tag::tag;

/// A URL that alerts may be sent to: `https`, or `http` on this machine (127.0.0.0/8, `::1`, `localhost`), or `http` to
/// a host that was [allowed by name](Self::allowing_plain_http).
///
/// Path and query may be a secret; `Display` and `Debug` show scheme, host and port alone.
#[derive(Clone, PartialEq, Eq)]
pub struct Target(Url);

/// Why a URL is no target. No part of the URL but its host is shown.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ParseTargetError {
    /// It is no URL.
    #[error("it is not a URL: {0}")]
    NotAUrl(String),
    /// Its scheme is neither `https` nor `http`.
    #[error("its scheme is neither https nor http")]
    Scheme,
    /// It is plain HTTP to another machine.
    #[error("it is plain http to {host}, which isn't this machine; use https, or allow {host} by name")]
    PlainHttp {
        /// The machine.
        host: String,
    },
    /// It holds a user name or a password.
    #[error("it holds a user name or a password; sign the alerts with a secret instead")]
    Credentials,
}

impl Target {
    /// Reads a URL that may also be plain `http` to these hosts, each written as in the URL, without a port.
    ///
    /// # Errors
    /// As for reading without: no URL, another scheme, plain `http` to a host that isn't named, a password.
    pub fn allowing_plain_http<'a>(
        url: &str,
        hosts: impl IntoIterator<Item = &'a str>,
    ) -> Result<Self, ParseTargetError> {
        // The URL library's errors are fixed texts without any of the input.
        let mut url = Url::parse(url.trim()).map_err(|error| ParseTargetError::NotAUrl(error.to_string()))?;
        if !matches!(url.scheme(), "https" | "http") {
            return Err(ParseTargetError::Scheme);
        }
        if !url.username().is_empty() || url.password().is_some() {
            return Err(ParseTargetError::Credentials);
        }
        // It isn't sent.
        url.set_fragment(None);
        let target = Self(url);
        let is_allowed =
            target.is_encrypted() || target.is_local() || hosts.into_iter().any(|host| target.is_host(host));
        if is_allowed {
            Ok(target)
        } else {
            Err(ParseTargetError::PlainHttp { host: target.host().to_owned() })
        }
    }

    /// The host, as the URL has it: a name as A-labels, or an address.
    pub fn host(&self) -> &str {
        self.0.host_str().unwrap_or_default()
    }

    pub(super) fn url(&self) -> &Url {
        &self.0
    }

    pub(super) fn is_encrypted(&self) -> bool {
        self.0.scheme() == "https"
    }

    /// Whether it is on this machine.
    pub(super) fn is_local(&self) -> bool {
        let host = self.host().trim_start_matches('[').trim_end_matches(']');
        host == "localhost" || host.parse::<IpAddr>().is_ok_and(|address| address.is_loopback())
    }

    /// Host, port and six digits of the whole: `hooks.example.com #3f9a1c`.
    pub(super) fn label(&self) -> String {
        let port = self.0.port().map(|port| format!(":{port}")).unwrap_or_default();
        format!("{}{port} #{}", self.host(), tag([self.0.as_str().as_bytes()]))
    }

    /// What in the URL may be secret: path and query, whole and in parts.
    pub(super) fn secrets(&self) -> Vec<&str> {
        let parts = self.0.path().split('/');
        let query = self.0.query().unwrap_or_default();
        parts.chain([query]).chain(query.split(['&', '='])).filter(|part| part.len() >= 6).collect()
    }

    fn is_host(&self, allowed: &str) -> bool {
        self.host().eq_ignore_ascii_case(allowed)
    }
}

impl FromStr for Target {
    type Err = ParseTargetError;

    fn from_str(url: &str) -> Result<Self, ParseTargetError> {
        Self::allowing_plain_http(url, [])
    }
}

/// Scheme, host and port.
impl fmt::Display for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.origin().ascii_serialization())
    }
}

/// Scheme, host and port.
impl fmt::Debug for Target {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Target({self})")
    }
}

#[cfg(test)]
mod tests {
    use super::{ParseTargetError, Target};

    #[test]
    fn https_and_this_machine_are_targets() {
        for url in [
            "https://hooks.example.com/a?b=c",
            "https://192.0.2.1/",
            "http://127.0.0.1:8080/hook",
            "http://127.9.9.9/",
            "http://[::1]:80/",
            "http://localhost/",
            "HTTP://LOCALHOST/",
        ] {
            assert!(url.parse::<Target>().is_ok(), "{url}");
        }
    }

    #[test]
    fn whatever_else_is_refused_without_showing_it() {
        let plain = |host: &str| ParseTargetError::PlainHttp { host: host.to_owned() };
        for (url, error) in [
            ("http://hooks.example.com/hidden", plain("hooks.example.com")),
            ("http://localhost.example.com/hidden", plain("localhost.example.com")),
            ("http://192.0.2.1/hidden", plain("192.0.2.1")),
            ("http://[::ffff:127.0.0.1]/hidden", plain("[::ffff:7f00:1]")),
            ("ftp://hooks.example.com/hidden", ParseTargetError::Scheme),
            ("file:///hidden", ParseTargetError::Scheme),
            ("hidden:hidden", ParseTargetError::Scheme),
            ("https://hidden@hooks.example.com/", ParseTargetError::Credentials),
            ("https://:hidden@hooks.example.com/", ParseTargetError::Credentials),
        ] {
            let refusal = url.parse::<Target>().expect_err(url);
            assert_eq!(refusal, error, "{url}");
            assert!(!format!("{refusal} {refusal:?}").contains("hidden"), "{refusal:?}");
        }
        for text in ["", "hooks.example.com/hidden", "https://", "https://exa mple.com/hidden"] {
            let refusal = text.parse::<Target>().expect_err(text);
            assert!(matches!(refusal, ParseTargetError::NotAUrl(_)), "{text}: {refusal:?}");
            assert!(!refusal.to_string().contains("hidden"), "{refusal}");
        }
    }

    #[test]
    fn plain_http_is_allowed_to_a_host_by_its_whole_name() {
        let read = |url| Target::allowing_plain_http(url, ["hooks.internal"]);
        assert!(read("http://hooks.internal:8080/x").is_ok());
        assert!(read("http://HOOKS.internal/x").is_ok());
        assert!(read("http://hooks.internal.example.com/x").is_err());
        assert!(read("http://other.internal/x").is_err());
    }

    #[test]
    fn target_shows_neither_path_nor_query() -> Result<(), ParseTargetError> {
        let target: Target = "https://hooks.example.com:8443/hidden?key=hidden#hidden".parse()?;
        assert_eq!(target.to_string(), "https://hooks.example.com:8443");
        assert_eq!(format!("{target:?}"), "Target(https://hooks.example.com:8443)");
        assert!(target.label().starts_with("hooks.example.com:8443 #"));
        Ok(())
    }
}
