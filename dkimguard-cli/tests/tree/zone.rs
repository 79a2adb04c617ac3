//! [`ZoneSpec`]: a zone to be served, and how each of its servers treats it.

use std::error::Error;
use std::fs;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A zone of the tree. Its servers are `ns1.<zone>`, `ns2.<zone>`, … unless they are given names, each of another
/// software. It is delegated by the zone of the tree that encloses it, else by the registry of its last label.
#[derive(Clone, Debug)]
pub(crate) struct ZoneSpec {
    pub(crate) name: String,
    pub(crate) records: String,
    pub(crate) servers: Vec<Server>,
    pub(crate) signing: Signing,
    /// For how many seconds an absence may be remembered.
    pub(crate) negative_ttl: u32,
}

impl ZoneSpec {
    /// An unsigned, empty zone on one nsd. The SOA, the NS set and the servers' addresses come of themselves.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            records: String::new(),
            servers: vec![Software::Nsd.into()],
            signing: Signing::Unsigned,
            negative_ttl: 60,
        }
    }

    /// Lines of a zone file, names relative to the zone.
    pub(crate) fn records(mut self, lines: &str) -> Self {
        self.records = lines.to_owned();
        self
    }

    /// The servers, the one of `ns1` first.
    pub(crate) fn servers<S: Into<Server>>(mut self, servers: impl IntoIterator<Item = S>) -> Self {
        self.servers = servers.into_iter().map(Into::into).collect();
        self
    }

    pub(crate) fn signing(mut self, signing: Signing) -> Self {
        self.signing = signing;
        self
    }

    pub(crate) fn negative_ttl(mut self, seconds: u32) -> Self {
        self.negative_ttl = seconds;
        self
    }

    /// The registry that delegates the zone unless another zone does: its last label.
    pub(crate) fn registry(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// Whether another zone lies in this one.
    pub(crate) fn encloses(&self, other: &Self) -> bool {
        other.name.strip_suffix(&self.name).is_some_and(|rest| rest.ends_with('.'))
    }

    /// The zone file that the server of this slot loads, before it is signed. `addresses` are those of all servers
    /// in their order, `children` the delegations of zones below.
    pub(crate) fn text(&self, slot: usize, addresses: &[Vec<IpAddr>], children: &str) -> String {
        let server = &self.servers[slot];
        let mut text = zone_head(&self.name, server.serial, self.negative_ttl);
        text += &self.name_servers(addresses, Listed::OnlyByZone);
        text += server.records.as_deref().unwrap_or(&self.records);
        text + "\n" + children
    }

    /// What the parent holds of the zone: the NS set, and the addresses of the servers.
    pub(crate) fn delegation(&self, addresses: &[Vec<IpAddr>]) -> String {
        self.name_servers(addresses, Listed::OnlyByParent)
    }

    /// The NS set and the addresses of the servers that both sides list, or this one alone.
    fn name_servers(&self, addresses: &[Vec<IpAddr>], by: Listed) -> String {
        let zone = &self.name;
        let mut text = String::new();
        for ((number, server), addresses) in (1..).zip(&self.servers).zip(addresses) {
            let name = match &server.name {
                Some(name) => name.clone(),
                None => format!("ns{number}.{zone}."),
            };
            if server.listed == Listed::ByBoth || server.listed == by {
                text += &format!("{zone}. NS {name}\n");
            }
            // The addresses of names elsewhere are the affair of the zones there.
            for address in addresses.iter().filter(|_| name.ends_with(&format!(".{zone}."))) {
                let kind = if address.is_ipv4() { "A" } else { "AAAA" };
                text += &format!("{name} {kind} {address}\n");
            }
        }
        text
    }
}

/// One server of a zone.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) records: Option<String>,
    pub(crate) serial: u32,
    /// The absolute name, with the final dot; none for `ns<number>.<zone>.`
    pub(crate) name: Option<String>,
    pub(crate) listed: Listed,
    /// Whether it has an IPv6 address beside the IPv4 one.
    pub(crate) has_ipv6: bool,
}

impl Server {
    fn new(service: Service) -> Self {
        Self {
            service,
            records: None,
            serial: 2_026_112_402,
            name: None,
            listed: Listed::ByBoth,
            has_ipv6: false,
        }
    }

    /// Nothing listens on the address.
    pub(crate) fn closed() -> Self {
        Self::new(Service::Closed)
    }

    /// The address takes everything and answers nothing.
    pub(crate) fn silent() -> Self {
        Self::new(Service::Silent)
    }

    /// The name has no address.
    pub(crate) fn nowhere() -> Self {
        Self::new(Service::Nowhere)
    }

    /// The address is the registry's, which answers with the delegation.
    pub(crate) fn registry() -> Self {
        Self::new(Service::Registry)
    }

    /// The address is a recursive resolver's, which answers from its memory and without authority.
    pub(crate) fn recursive() -> Self {
        Self::new(Service::Recursive)
    }

    /// Runs, and isn't told of the zone: it answers REFUSED.
    pub(crate) fn without_zone(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::NotListed))
    }

    /// Runs, and cannot load the zone: it answers SERVFAIL.
    pub(crate) fn without_file(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::NoFile))
    }

    /// Serves these records instead of the zone's.
    pub(crate) fn with_records(mut self, lines: &str) -> Self {
        self.records = Some(lines.to_owned());
        self
    }

    /// Serves these records instead of the zone's, as an older version.
    pub(crate) fn with_older_records(mut self, lines: &str) -> Self {
        self.serial = 2_026_112_401;
        self.with_records(lines)
    }

    /// Has this name, which ends with a dot.
    pub(crate) fn named(mut self, name: &str) -> Self {
        self.name = Some(name.to_owned());
        self
    }

    /// Is one of the parent's NS set and not of the zone's, or the reverse.
    pub(crate) fn listed(mut self, listed: Listed) -> Self {
        self.listed = listed;
        self
    }

    /// Has an IPv6 address too.
    pub(crate) fn with_ipv6(mut self) -> Self {
        self.has_ipv6 = true;
        self
    }
}

impl From<Software> for Server {
    fn from(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::Whole))
    }
}

/// Whose NS set names a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listed {
    ByBoth,
    OnlyByParent,
    OnlyByZone,
}

/// What is found at a server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Runs(Software, Loaded),
    Closed,
    Silent,
    Nowhere,
    Registry,
    Recursive,
}

/// How a zone stands on a server that runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Loaded {
    Whole,
    NoFile,
    NotListed,
}

/// The software of a server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Software {
    Nsd,
    Knot,
    Bind,
    PowerDns,
    /// PowerDNS that takes no connection over TCP.
    PowerDnsWithoutTcp,
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Unsigned,
    Valid,
    /// With NSEC3, which leaves unsigned delegations out.
    OptOut,
    /// All signatures ended years ago.
    Expired,
    /// The same, and the parent has no DS, so that nobody looks at them.
    ExpiredIsland,
    /// The parent's DS is of another key.
    StaleDs,
    /// The parent has a DS, and the zone is no longer signed.
    Removed,
}

/// The lines with which each zone file begins.
pub(crate) fn zone_head(zone: &str, serial: u32, negative_ttl: u32) -> String {
    let zone = zone.trim_end_matches('.');
    format!("$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 86400 {negative_ttl}\n")
}

/// A key that signs zones.
#[derive(Debug)]
pub(crate) struct Key {
    /// The path of its files, without their endings.
    path: PathBuf,
    /// The DS record for the parent.
    pub(crate) ds: String,
}

impl Key {
    pub(crate) fn generate(directory: &Path, zone: &str) -> Result<Self, Box<dyn Error>> {
        let output = Command::new("ldns-keygen")
            .args(["-r", "/dev/urandom", "-a", "ECDSAP256SHA256", "-k", zone])
            .current_dir(directory)
            .output()?;
        let name = String::from_utf8(output.stdout)?;
        if !output.status.success() {
            return Err(format!("ldns-keygen: {}", String::from_utf8_lossy(&output.stderr)).into());
        }
        let name = name.trim();
        let ds = fs::read_to_string(directory.join(format!("{name}.ds")))?;
        Ok(Self { path: directory.join(name), ds })
    }

    /// Replaces the zone file with its signed form.
    pub(crate) fn sign(&self, file: &Path, signing: Signing) -> Result<(), Box<dyn Error>> {
        let mut command = Command::new("ldns-signzone");
        match signing {
            Signing::Expired | Signing::ExpiredIsland => {
                command.args(["-i", "20200101000000", "-e", "20200201000000"])
            }
            Signing::OptOut => command.args(["-n", "-p"]),
            Signing::Unsigned | Signing::Valid | Signing::StaleDs => &mut command,
            Signing::Removed => return Ok(()),
        };
        let output = command.arg("-f").arg(file).arg(file).arg(&self.path).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("ldns-signzone {}: {said}", file.display()).into());
        }
        Ok(())
    }
}
