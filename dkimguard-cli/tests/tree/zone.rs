//! [`ZoneSpec`]: a zone to be served, and how each of its servers treats it.

use std::error::Error;
use std::fs;
use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;

/// A zone below one of the tree's registries, served by one server a slot: `ns1.<zone>`, `ns2.<zone>`, ….
#[derive(Clone, Debug)]
pub(crate) struct ZoneSpec {
    pub(crate) name: String,
    pub(crate) records: String,
    pub(crate) servers: Vec<Server>,
    pub(crate) signing: Signing,
}

impl ZoneSpec {
    /// An unsigned, empty zone on one nsd. The SOA, the NS set and the servers' addresses come of themselves.
    pub(crate) fn new(name: &str) -> Self {
        Self {
            name: name.to_owned(),
            records: String::new(),
            servers: vec![Software::Nsd.into()],
            signing: Signing::Unsigned,
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

    /// The registry that delegates the zone: its last label.
    pub(crate) fn registry(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }

    /// The zone file that the server of this slot loads, before it is signed.
    pub(crate) fn text(&self, slot: usize, addresses: &[Ipv4Addr]) -> String {
        let server = &self.servers[slot];
        let mut text = zone_head(&self.name, server.serial);
        for (number, address) in (1..).zip(addresses) {
            text += &format!("@ NS ns{number}\nns{number} A {address}\n");
        }
        text += server.records.as_deref().unwrap_or(&self.records);
        text + "\n"
    }

    /// What the registry holds of the zone: the NS set, and the addresses of the servers.
    pub(crate) fn delegation(&self, addresses: &[Ipv4Addr]) -> String {
        let zone = &self.name;
        (1..)
            .zip(addresses)
            .map(|(number, address)| {
                format!("{zone}. NS ns{number}.{zone}.\nns{number}.{zone}. A {address}\n")
            })
            .collect()
    }
}

/// One server of a zone.
#[derive(Clone, Debug)]
pub(crate) struct Server {
    pub(crate) service: Service,
    pub(crate) records: Option<String>,
    pub(crate) serial: u32,
}

impl Server {
    fn new(service: Service) -> Self {
        Self { service, records: None, serial: 2_026_112_402 }
    }

    /// Nothing listens on the address.
    pub(crate) fn closed() -> Self {
        Self::new(Service::Closed)
    }

    /// The address takes everything and answers nothing.
    pub(crate) fn silent() -> Self {
        Self::new(Service::Silent)
    }

    /// Runs, and isn't told of the zone: it answers REFUSED.
    pub(crate) fn without_zone(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::NotListed))
    }

    /// Runs, and cannot load the zone: it answers SERVFAIL.
    pub(crate) fn without_file(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::NoFile))
    }

    /// Serves these records instead of the zone's, as an older version.
    pub(crate) fn with_older_records(mut self, lines: &str) -> Self {
        self.records = Some(lines.to_owned());
        self.serial = 2_026_112_401;
        self
    }
}

impl From<Software> for Server {
    fn from(software: Software) -> Self {
        Self::new(Service::Runs(software, Loaded::Whole))
    }
}

/// What is found at a server's address.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Service {
    Runs(Software, Loaded),
    Closed,
    Silent,
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
}

/// How a zone is signed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Signing {
    Unsigned,
    Valid,
    /// All signatures ended years ago.
    Expired,
    /// The parent's DS is of another key.
    StaleDs,
}

/// The lines with which each zone file begins.
pub(crate) fn zone_head(zone: &str, serial: u32) -> String {
    let zone = zone.trim_end_matches('.');
    format!("$ORIGIN {zone}.\n$TTL 300\n@ SOA ns1 hostmaster {serial} 3600 600 86400 60\n")
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
        if signing == Signing::Expired {
            command.args(["-i", "20200101000000", "-e", "20200201000000"]);
        }
        let output = command.arg("-f").arg(file).arg(file).arg(&self.path).output()?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(format!("ldns-signzone {}: {said}", file.display()).into());
        }
        Ok(())
    }
}
