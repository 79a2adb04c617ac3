//! [`Case`]: a zone on real name servers, and what the binary must say about it.

mod healthy;
mod record;
mod servers;
mod zone;

pub(crate) use zone::LATE;

use crate::tree::{Resolver, Server, Software, ZoneSpec};

/// All cases; each has zones of its own.
pub(crate) fn all() -> Vec<Case> {
    [healthy::cases(), record::cases(), servers::cases(), zone::cases()].concat()
}

/// A zone, and what the binary must say about it.
#[derive(Clone, Debug)]
pub(crate) struct Case {
    pub(crate) domain: String,
    /// The zone in which the domain lies first, then what else must be served.
    pub(crate) zones: Vec<ZoneSpec>,
    /// Which answers show that the zones are as they are meant to be.
    pub(crate) answers: Vec<Shown>,
    /// The keys of the identity beside its domain, in TOML.
    pub(crate) identity: &'static str,
    pub(crate) resolvers: &'static [Resolver],
    pub(crate) verdict: &'static str,
    pub(crate) exit: i32,
    /// The codes of all causes in their order; what follows describes the first.
    pub(crate) causes: Vec<&'static str>,
    /// None where it isn't compared.
    pub(crate) certainty: Option<&'static str>,
    /// Without the domain; not compared where empty.
    pub(crate) records: &'static [&'static str],
    /// What the evidence must hold.
    pub(crate) evidence: &'static [&'static str],
    /// Bad addresses of all; none where it isn't compared.
    pub(crate) exposure: Option<(u64, u64)>,
}

/// What the server of a slot answers to a question without recursion.
#[derive(Clone, Debug)]
pub(crate) struct Shown {
    pub(crate) slot: usize,
    /// Relative to the domain; empty for the domain itself.
    pub(crate) name: &'static str,
    pub(crate) kind: &'static str,
    /// The code's name, or why there is no answer.
    pub(crate) status: &'static str,
    pub(crate) values: &'static [&'static str],
}

impl Case {
    fn new(zone: ZoneSpec) -> Self {
        Self {
            domain: zone.name.clone(),
            zones: vec![zone],
            answers: Vec::new(),
            identity: EASY_DKIM,
            resolvers: &[Resolver::Validating],
            verdict: "healthy",
            exit: 0,
            causes: Vec::new(),
            certainty: None,
            records: &[],
            evidence: &[],
            exposure: Some((0, 2)),
        }
    }

    /// No cause at all.
    fn healthy(zone: ZoneSpec) -> Self {
        Self::new(zone)
    }

    /// A cause that is listed, and changes nothing.
    fn listed(cause: &'static str, zone: ZoneSpec) -> Self {
        Self { causes: vec![cause], certainty: Some("certain"), ..Self::new(zone) }
    }

    /// Too little is seen to say, for this reason.
    fn unknown(cause: &'static str, zone: ZoneSpec) -> Self {
        Self { verdict: "unknown", exit: 3, ..Self::listed(cause, zone) }
    }

    fn degraded(cause: &'static str, zone: ZoneSpec) -> Self {
        Self { verdict: "degraded", exit: 1, exposure: Some((1, 2)), ..Self::listed(cause, zone) }
    }

    fn failing(cause: &'static str, zone: ZoneSpec) -> Self {
        Self { verdict: "failing", exit: 2, exposure: Some((2, 2)), ..Self::listed(cause, zone) }
    }

    /// One more cause, behind the others.
    fn and(mut self, cause: &'static str) -> Self {
        self.causes.push(cause);
        self
    }

    /// The identity is of another domain than its zone.
    fn of_domain(self, domain: &str) -> Self {
        Self { domain: domain.to_owned(), ..self }
    }

    fn identity(self, identity: &'static str) -> Self {
        Self { identity, ..self }
    }

    fn records(self, records: &'static [&'static str]) -> Self {
        Self { records, ..self }
    }

    fn evidence(self, evidence: &'static [&'static str]) -> Self {
        Self { evidence, ..self }
    }

    fn likely(self) -> Self {
        Self { certainty: Some("likely"), ..self }
    }

    /// Where how sure it is depends on what the resolver was asked meanwhile.
    fn without_certainty(self) -> Self {
        Self { certainty: None, ..self }
    }

    fn exposure(self, bad: u64, of: u64) -> Self {
        Self { exposure: Some((bad, of)), ..self }
    }

    fn without_exposure(self) -> Self {
        Self { exposure: None, ..self }
    }

    fn through(self, resolvers: &'static [Resolver]) -> Self {
        Self { resolvers, ..self }
    }

    fn beside(mut self, zone: ZoneSpec) -> Self {
        self.zones.push(zone);
        self
    }

    fn shown(
        mut self,
        slot: usize,
        name: &'static str,
        kind: &'static str,
        status: &'static str,
        values: &'static [&'static str],
    ) -> Self {
        self.answers.push(Shown { slot, name, kind, status, values });
        self
    }
}

const EASY_DKIM: &str = r#"tokens = ["active", "gone1", "gone2"]"#;
const ANY_KEY: &str = r#"selectors = [{ label = "s1" }]"#;
const GONE2: &[&str] = &["gone2._domainkey"];
const S1: &[&str] = &["s1._domainkey"];
const ALL_THREE: &[&str] = &["active._domainkey", "gone1._domainkey", "gone2._domainkey"];

/// The records of Easy DKIM with three tokens, of which the first one's target holds the key.
pub(crate) const HEALTHY: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
gone1._domainkey CNAME gone1.dkim.amazonses.com.
gone2._domainkey CNAME gone2.dkim.amazonses.com.
";

/// The same without the third.
const ONE_MISSING: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
gone1._domainkey CNAME gone1.dkim.amazonses.com.
";

/// A key of the provider's, as it publishes it.
const BARE_KEY: &str = r#""p=" "MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAkJ0XplBATI8YElgeVLJ9a3oxN87WLfuTb2vaYEC8YEbD+VM2MsTf2WYnPwbBVLDCLSvnm0OynNVBeuxoWdD8IwkPwYemLxV/CKHNsgk+DJIfUvdVoxDTcC8yU2G8HvWHZtQMTM/o/KUMHPStySJDhMNpFVo5" "X4UGT1qlJHeB04r1lMNwD5hB/DTpLdxbbPRV1Vv9nTuMxeai56tyLcX77gxIBbyhJqCNZeiwYEohZMmL0Efo1MUIL9G9+Ecl3d7OCFL5rSxZpoCB6zhCV4rGJvIDB3/V9qmlIZ2oezqLde+ySHZV1Lwvg5tb++t4F/toNNDBX/GxB9/bbr7w95dwGwIDAQAB""#;
const SHORT_KEY: &str = "MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALTVbTr4nXM44FTLcCvvptuZAKweWWP5NlWYFezAXGX8LiyvsanTYuP2mniA6RyvvBNlVrC4SL4uUFHa33dVWvECAwEAAQ==";
const ED25519_KEY: &str = "/CQSQgL4jNR5FCDdWKCXQhzaRRUyXwg4o80MXOXSWFE=";

/// The provider's zone: targets with a key, one of them behind one more alias, and each form in which one is idle.
pub(crate) fn provider() -> ZoneSpec {
    let records = format!(
        "active TXT {BARE_KEY}\nalias CNAME key.alias\nkey.alias TXT {BARE_KEY}\nempty1 TXT \"\"\nempty2 TXT \
         \"\"\nempty3 TXT \"\"\nbelow.nodata1 TXT x\nnodata2 A 192.0.2.1\n"
    );
    ZoneSpec::new("dkim.amazonses.com").records(&records)
}

fn zone<S: Into<Server>>(name: &str, records: &str, servers: impl IntoIterator<Item = S>) -> ZoneSpec {
    ZoneSpec::new(name).records(records).servers(servers)
}

/// Easy DKIM with the first two records, and these lines about the third.
fn with_third(name: &str, third: &str, servers: [Software; 2]) -> ZoneSpec {
    zone(name, &format!("{ONE_MISSING}{third}\n"), servers)
}

/// A key record that is too long for one datagram.
fn long_key() -> String {
    let note = format!("\"{}\" ", "x".repeat(250)).repeat(6);
    format!("s1._domainkey TXT \"v=DKIM1; k=ed25519; n=\" {note} \"; p={ED25519_KEY}\"\n")
}

/// The records of `mail` in the zone above it.
fn below_mail(records: &str) -> String {
    records.replace("._domainkey ", "._domainkey.mail ")
}
