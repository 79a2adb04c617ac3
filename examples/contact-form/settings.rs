//! [`Settings`]: what the environment says.

use std::error::Error;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use axum::http::HeaderName;
use dkimguard_core::guard::Policy;
use dkimguard_core::look::{Authoritative, DNS_PORT, Vantage};
use dkimguard_core::notify::{Secret, Target};
use dkimguard_core::{Name, Places};
use email_address::EmailAddress;
use jiff::SignedDuration;

type Failure = Box<dyn Error>;

/// What the environment says; the README has the table.
#[derive(Clone, Debug)]
pub(crate) struct Settings {
    pub(crate) from: String,
    pub(crate) to: String,
    /// The domain to watch; by default that of `from`.
    pub(crate) domain: Name,
    pub(crate) listen: SocketAddr,
    pub(crate) outbox: PathBuf,
    /// The header in which a proxy tells who called. Without one nobody is believed.
    pub(crate) client_header: Option<HeaderName>,
    pub(crate) per_client: NonZeroU32,
    pub(crate) per_minute: NonZeroU32,
    pub(crate) alert_url: Option<Target>,
    pub(crate) alert_secret: Option<Secret>,
    pub(crate) retry: Duration,
    look_every: Option<Duration>,
    resolver: Option<SocketAddr>,
    dns_port: u16,
}

impl Settings {
    /// Reads the environment.
    pub(crate) fn from_env() -> Result<Self, Failure> {
        let from: EmailAddress = needed("CONTACT_FROM")?;
        let to: EmailAddress = needed("CONTACT_TO")?;
        let domain = match optional("CONTACT_DOMAIN")? {
            Some(domain) => domain,
            None => from.domain().parse().map_err(|error| format!("CONTACT_FROM, its domain: {error}"))?,
        };
        Ok(Self {
            from: from.email().to_owned(),
            to: to.email().to_owned(),
            domain,
            listen: optional("CONTACT_LISTEN")?.unwrap_or(SocketAddr::from(([127, 0, 0, 1], 8080))),
            outbox: Self::outbox()?,
            client_header: optional("CONTACT_CLIENT_HEADER")?,
            per_client: optional("CONTACT_PER_CLIENT")?
                .unwrap_or(const { NonZeroU32::new(5).expect("not zero") }),
            per_minute: optional("CONTACT_PER_MINUTE")?
                .unwrap_or(const { NonZeroU32::new(60).expect("not zero") }),
            alert_url: optional("CONTACT_ALERT_URL")?,
            alert_secret: optional("CONTACT_ALERT_SECRET")?,
            retry: duration("CONTACT_RETRY")?.unwrap_or(Duration::from_secs(30)),
            look_every: duration("CONTACT_LOOK_EVERY")?,
            resolver: optional("CONTACT_RESOLVER")?,
            dns_port: optional("CONTACT_DNS_PORT")?.unwrap_or(DNS_PORT),
        })
    }

    /// Where the outbox lies; all that is needed to look into it.
    pub(crate) fn outbox() -> Result<PathBuf, Failure> {
        Ok(optional("CONTACT_OUTBOX")?.unwrap_or_else(|| PathBuf::from("contact-form.sqlite")))
    }

    /// Where the guard remembers what it has told of.
    pub(crate) fn guard_store(&self) -> PathBuf {
        self.outbox.with_extension("guard.sqlite")
    }

    /// From where the guard looks.
    pub(crate) fn places(&self) -> Result<Places, Failure> {
        let places = match self.resolver {
            Some(address) => Places::new([Vantage::Resolver { address }]),
            None => Places::system()?,
        };
        Ok(places.with_authoritative(Authoritative::Ask { port: self.dns_port }))
    }

    /// How often the guard looks.
    pub(crate) fn policy(&self) -> Policy {
        let mut policy = Policy::default();
        if let Some(interval) = self.look_every {
            policy.interval = interval;
        }
        policy
    }
}

fn needed<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<T, Failure> {
    optional(name)?.ok_or_else(|| format!("{name} is not set").into())
}

/// What is set to nothing is not set.
fn optional<T: FromStr<Err: std::fmt::Display>>(name: &str) -> Result<Option<T>, Failure> {
    match std::env::var(name) {
        Ok(text) if text.is_empty() => Ok(None),
        Ok(text) => Ok(Some(text.parse().map_err(|error| format!("{name}: {error}"))?)),
        Err(std::env::VarError::NotPresent) => Ok(None),
        Err(error) => Err(format!("{name}: {error}").into()),
    }
}

fn duration(name: &str) -> Result<Option<Duration>, Failure> {
    let Some(duration) = optional::<SignedDuration>(name)? else { return Ok(None) };
    match Duration::try_from(duration) {
        Ok(duration) if !duration.is_zero() => Ok(Some(duration)),
        _ => Err(format!("{name}: it has to be longer than nothing").into()),
    }
}
