//! The healthy domain that tests begin with: Easy DKIM, as Amazon SES sets it up.

use std::net::IpAddr;

use crate::identity::{ExpectedValue, Identity, IdentityId, KeyMaker, Selector};
use crate::name::Name;
use crate::zone::Zone;

use super::world::World;
use super::zone::name;

/// The tokens of [`World::easy_dkim`]. The target of the first holds a key; that of the second an empty TXT;
/// that of the third doesn't exist. That is healthy: the provider keeps two in reserve.
pub const TOKENS: [&str; 3] = ["aaa", "bbb", "ccc"];

/// The zone that the tokens' CNAMEs point into.
pub const HOSTED_ZONE: &str = "dkim.amazonses.com";

/// A sound RSA key of 2048 bits, as it stands in `p=`. Nobody has the private half.
pub const PUBLIC_KEY: &str = "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAlSJjtCDMTBMe3Zjt5xO2k+hapRdrJ/hcgdQT793R\
/g+XlRAwviX6HzFVvidCH1i87DR6c09M6p3zKNB3IydjETn2HTvXTQ0vTqVF6s8AtbI8Uces1HIaOlhhPfrDdRF+f99j7KPBP6zth+GOADVm3fM4BGLx\
qbkrXt4JUsXPVoVToC9HTNcqypAyHR6ylhA+Rd7ybZKNZq3GukCQbu2ODhK1uV8J5o+RiCSPEBJFMaPGwpDW2RDAMIukh/N/EC9adx3hGIVhftCdYdPe\
Ahxz/g0U9CCTU66JYyNleAO263/0Q1cl0cc7AhIFL1vUkLjKjQsOhrs+KlZ9evsRhy53zwIDAQAB";

impl World {
    /// A world with one healthy domain of Easy DKIM: [`with_root`](Self::with_root) and
    /// [`add_easy_dkim`](Self::add_easy_dkim). Its identity is [`easy_dkim_identity`].
    ///
    /// # Panics
    /// If the text is no name.
    pub fn easy_dkim(domain: &str) -> Self {
        let mut world = Self::with_root();
        world.add_easy_dkim(domain);
        world
    }

    /// Adds a healthy domain of Easy DKIM: its zone at the servers `ns1.<domain>` ([`NS1`](Self::NS1)) and
    /// `ns2.<domain>` ([`NS2`](Self::NS2)), one CNAME for each of the [`TOKENS`], a DMARC policy, and the
    /// [`HOSTED_ZONE`] at [`TARGETS`](Self::TARGETS). Everything is delegated from the root.
    ///
    /// # Panics
    /// If the text is no name, or the world has no root.
    pub fn add_easy_dkim(&mut self, domain: &str) -> &mut Self {
        let targets = Zone::new(HOSTED_ZONE).with(&format!("aaa TXT \"p={PUBLIC_KEY}\"\nbbb TXT \"\""));
        self.host(targets, [("ns1.dkim.amazonses.com", Self::TARGETS)]);

        let aliases = TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.{HOSTED_ZONE}.\n"));
        let zone = Zone::new(domain).with(&aliases.concat()).with("_dmarc TXT \"v=DMARC1; p=none\"");
        let [ns1, ns2] = ["ns1", "ns2"].map(|label| format!("{label}.{domain}"));
        let servers: [(&str, IpAddr); 2] = [(&ns1, Self::NS1), (&ns2, Self::NS2)];
        self.host(zone, servers)
    }
}

/// What the provider says of the domain in [`World::easy_dkim`]: success, signing enabled, one CNAME for each of
/// the [`TOKENS`]. Its id is `ses:123456789012:us-east-1:<domain>`.
///
/// # Panics
/// If the text is no name.
pub fn easy_dkim_identity(domain: &str) -> Identity {
    let id = IdentityId {
        provider: "ses".to_owned(),
        account: Some("123456789012".to_owned()),
        region: Some("us-east-1".to_owned()),
        domain: name(domain),
    };
    let selectors = TOKENS.map(|token| {
        let target: Name = name(&format!("{token}.{HOSTED_ZONE}"));
        Selector { label: name(token), value: ExpectedValue::Cname(target) }
    });
    Identity { keys: KeyMaker::Provider, signing_enabled: Some(true), ..Identity::new(id, selectors.into()) }
}
