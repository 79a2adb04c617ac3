//! [`Places`]: from where to look.

#[cfg(feature = "hickory")]
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use super::Vantage;

/// The port of every name server outside of labs (RFC 1035 §4.2).
pub const DNS_PORT: u16 = 53;

/// The resolvers that stand for the world's view beside the system's: three operators, open to everyone.
#[cfg(feature = "hickory")]
const PUBLIC_RESOLVERS: [IpAddr; 3] = [
    IpAddr::V4(Ipv4Addr::new(1, 1, 1, 1)),
    IpAddr::V4(Ipv4Addr::new(8, 8, 8, 8)),
    IpAddr::V4(Ipv4Addr::new(9, 9, 9, 9)),
];

/// From where to look.
#[derive(Clone, Debug)]
pub struct Places {
    /// The recursive resolvers. The delegation is found through them, and each is asked for each record.
    pub resolvers: Vec<Vantage>,
    /// Whether the name servers themselves are asked.
    pub authoritative: Authoritative,
}

/// Whether the name servers themselves are asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Authoritative {
    /// Every address of each delegated name server is asked on this port, 53 outside of labs.
    Ask {
        /// The port.
        port: u16,
    },
    /// None is asked: port 53 is closed on the way out. The report has a gap.
    Skip,
}

impl Places {
    /// Every name server, and these resolvers.
    pub fn new(resolvers: impl IntoIterator<Item = Vantage>) -> Self {
        Self {
            resolvers: resolvers.into_iter().collect(),
            authoritative: Authoritative::Ask { port: DNS_PORT },
        }
    }

    /// Every name server, this machine's own resolvers, and 1.1.1.1, 8.8.8.8 and 9.9.9.9: the own ones may serve a
    /// private view, and what the world sees is what counts.
    ///
    /// # Errors
    /// The system's configuration names resolvers in a way that can't be read.
    #[cfg(feature = "hickory")]
    pub fn system() -> Result<Self, super::hickory::SystemResolversError> {
        Ok(Self::with_public(&super::hickory::system_resolvers()?))
    }

    /// These resolvers of the system, and the public ones that aren't among them.
    #[cfg(feature = "hickory")]
    pub fn with_public(system: &[SocketAddr]) -> Self {
        let public = PUBLIC_RESOLVERS.map(|ip| SocketAddr::new(ip, DNS_PORT));
        let more = public.into_iter().filter(|address| !system.contains(address));
        let own = system.iter().map(|&address| Vantage::System { address });
        Self::new(own.chain(more.map(|address| Vantage::Resolver { address })))
    }

    /// The same resolvers, and name servers as said.
    #[must_use]
    pub fn with_authoritative(mut self, authoritative: Authoritative) -> Self {
        self.authoritative = authoritative;
        self
    }
}

#[cfg(all(test, feature = "hickory"))]
mod tests {
    use super::*;

    #[test]
    fn a_public_resolver_that_the_system_uses_is_asked_once() {
        let system = ["192.0.2.53:53", "8.8.8.8:53"].map(|text| text.parse().expect("an address"));
        let shown: Vec<String> =
            Places::with_public(&system).resolvers.iter().map(ToString::to_string).collect();
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
