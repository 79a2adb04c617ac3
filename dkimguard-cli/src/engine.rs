//! From where to look: from the settings to a [`DnsLookup`] and [`Places`].

use std::sync::Arc;

use dkimguard_core::look::{Authoritative, Dns, Places};
use dkimguard_core::ports::DnsLookup;

use crate::failure::chain;
use crate::settings::LookSettings;

/// The means of looking.
#[derive(Debug)]
pub(crate) struct Engine {
    /// Asks the questions.
    pub(crate) dns: Arc<dyn DnsLookup>,
    /// From where.
    pub(crate) places: Places,
    /// What isn't as it should be and doesn't keep anyone from looking.
    pub(crate) warning: Option<String>,
}

impl Engine {
    /// The engine that the settings ask for. It needs a Tokio runtime.
    pub(crate) fn start(look: &LookSettings) -> Self {
        let mut warning = None;
        let places = if look.resolvers.is_empty() {
            Places::system().unwrap_or_else(|error| {
                warning = Some(format!("the system's resolvers are left out: {}", chain(&error)));
                Places::with_public(&[])
            })
        } else {
            Places::new(look.resolvers.iter().map(|resolver| resolver.0.clone()))
        };
        Self {
            dns: Arc::new(Dns::with_patience(look.timeout, look.attempts)),
            places: places.with_authoritative(look.authoritative),
            warning,
        }
    }

    /// The places in a sentence.
    pub(crate) fn describe(&self) -> String {
        let resolvers: Vec<String> = self.places.resolvers.iter().map(ToString::to_string).collect();
        let servers = match self.places.authoritative {
            Authoritative::Ask { port } => format!("every authoritative server on port {port}"),
            _ => "no authoritative server".to_owned(),
        };
        format!("looking from {}; at {servers}", resolvers.join(", "))
    }
}
