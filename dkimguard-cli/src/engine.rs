//! From where to look: from the settings to a [`DnsLookup`] and [`Places`].

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

use dkimguard_core::look::hickory::system_resolvers;
use dkimguard_core::look::{Authoritative, Places, Vantage};
use dkimguard_core::ports::DnsLookup;

use crate::failure::chain;
use crate::settings::LookSettings;
use crate::value::DNS_PORT;
use dkimguard_core::look::wire::{Limits, Wire};

/// The resolvers that stand for the world's view beside the system's: three operators, open to everyone.
const PUBLIC_RESOLVERS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
];

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
        let resolvers = if look.resolvers.is_empty() {
            let system = system_resolvers().unwrap_or_else(|error| {
                warning = Some(format!("the system's resolvers are left out: {}", chain(&error)));
                Vec::new()
            });
            default_resolvers(&system)
        } else {
            look.resolvers.iter().map(|resolver| Vantage::Resolver { address: resolver.0 }).collect()
        };
        let wire = Wire::new(Limits { timeout: look.timeout, attempts: look.attempts, ..Limits::default() });
        let places = Places { resolvers, authoritative: look.authoritative };
        Self { dns: Arc::new(wire), places, warning }
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

/// The system's resolvers, then the public ones that aren't among them.
fn default_resolvers(system: &[SocketAddr]) -> Vec<Vantage> {
    let public = PUBLIC_RESOLVERS.map(|ip| SocketAddr::new(ip, DNS_PORT));
    let more = public.into_iter().filter(|address| !system.contains(address));
    system
        .iter()
        .map(|&address| Vantage::System { address })
        .chain(more.map(|address| Vantage::Resolver { address }))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_public_resolver_that_the_system_uses_is_asked_once() {
        let system = ["192.0.2.53:53", "8.8.8.8:53"].map(|text| text.parse().expect("an address"));
        let shown: Vec<String> = default_resolvers(&system).iter().map(ToString::to_string).collect();
        assert_eq!(
            shown,
            [
                "system resolver 192.0.2.53:53",
                "system resolver 8.8.8.8:53",
                "resolver 1.1.1.1:53",
                "resolver 9.9.9.9:53"
            ]
        );
    }
}
