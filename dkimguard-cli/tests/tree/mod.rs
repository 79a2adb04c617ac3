//! A whole delegation tree of real name servers on loopback: a signed root, registries, zones, a validating
//! resolver. Everything runs as plain processes on addresses of one 127.x.y.0/24, port 53, so it needs root.
//!
//! | address | what | zones |
//! | --- | --- | --- |
//! | .1 | nsd | the root, signed |
//! | .2 | nsd | the registries: the last labels of all zones, `dktest` signed |
//! | .5 | unbound | recursive, validating, caches for a second |
//! | .10 + 20 × slot + … | nsd, knot, BIND, PowerDNS, closed, silent | the zones that name them in this slot |

// Each test binary that includes this module uses a part of it.
#![allow(dead_code)]

mod process;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use process::{Process, ZoneFile};
use zone::{Key, Loaded, Service, zone_head};
pub(crate) use zone::{Server, Signing, Software, ZoneSpec};

/// The registry that is signed; the others are not.
const SIGNED_REGISTRY: &str = "dktest";

/// A tree that runs; all of it ends with this value.
#[derive(Debug)]
pub(crate) struct Tree {
    // Processes first: they end before their directory goes.
    processes: Vec<Process>,
    silent: Vec<(UdpSocket, TcpListener)>,
    network: Network,
    zones: Vec<ZoneSpec>,
    directory: tempfile::TempDir,
}

impl Tree {
    /// A tree with a root and no zones yet.
    pub(crate) fn builder() -> TreeBuilder {
        TreeBuilder { zones: Vec::new() }
    }

    /// The validating resolver.
    pub(crate) fn resolver(&self) -> SocketAddr {
        (self.network.resolver(), 53).into()
    }

    /// The address of a zone's server; the first is of slot 0.
    pub(crate) fn server_address(&self, zone: &str, slot: usize) -> SocketAddr {
        let spec = self.zones.iter().find(|spec| spec.name == zone).expect("a zone of the tree");
        (self.network.server(spec.servers[slot].service, slot), 53).into()
    }

    /// An address of the tree's own network at which nothing is.
    pub(crate) fn unused_address(&self) -> Ipv4Addr {
        self.network.host(250)
    }

    /// A directory that lives as long as the tree.
    pub(crate) fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// What all servers have said so far.
    pub(crate) fn logs(&self) -> String {
        self.processes.iter().map(Process::log).collect()
    }
}

/// The zones of a tree to come.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    zones: Vec<ZoneSpec>,
}

impl TreeBuilder {
    pub(crate) fn zone(mut self, zone: ZoneSpec) -> Self {
        self.zones.push(zone);
        self
    }

    pub(crate) fn zones(mut self, zones: impl IntoIterator<Item = ZoneSpec>) -> Self {
        self.zones.extend(zones);
        self
    }

    /// Starts every server, and returns once all of them answer for their zones.
    pub(crate) fn start(self) -> Result<Tree, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let network = Network::take()?;
        let mut files = Files::new(directory.path())?;
        let mut delegations: BTreeMap<&str, String> = BTreeMap::new();
        let mut silent_addresses = BTreeSet::new();

        for zone in &self.zones {
            let addresses = network.servers(zone);
            let delegation = delegations.entry(zone.registry()).or_default();
            delegation.push_str(&zone.delegation(&addresses));
            let key = files.key(zone)?;
            if let Some(key) = &key {
                let ds = match zone.signing {
                    Signing::StaleDs => Key::generate(&files.other_keys, &zone.name)?.ds,
                    _ => key.ds.clone(),
                };
                delegation.push_str(&ds);
            }
            for (slot, server) in zone.servers.iter().enumerate() {
                let address = addresses[slot];
                match server.service {
                    Service::Runs(software, Loaded::Whole) => {
                        let file = files.add(software, address, &zone.name)?;
                        fs::write(&file, zone.text(slot, &addresses))?;
                        if let Some(key) = &key {
                            key.sign(&file, zone.signing)?;
                        }
                    }
                    Service::Runs(software, Loaded::NoFile) => {
                        files.add(software, address, &zone.name)?;
                    }
                    Service::Runs(software, Loaded::NotListed) => {
                        files.directory(software, address)?;
                    }
                    Service::Silent => {
                        silent_addresses.insert(address);
                    }
                    Service::Closed => {}
                }
            }
        }

        let root_key = files.write_upper_zones(&network, &delegations)?;
        let silent = silent_addresses.into_iter().map(silent_socket).collect::<Result<_, _>>()?;
        let mut tree = Tree { processes: Vec::new(), silent, network, zones: self.zones, directory };
        files.start_servers(&mut tree)?;
        let resolver_directory = tree.directory().join("resolver");
        fs::create_dir(&resolver_directory)?;
        let (resolver, root) = (tree.network.resolver(), tree.network.root());
        let mut resolver = Process::resolver(resolver, &resolver_directory, root, &root_key.ds)?;
        resolver.wait_for("")?;
        tree.processes.push(resolver);
        Ok(tree)
    }
}

fn silent_socket(address: Ipv4Addr) -> Result<(UdpSocket, TcpListener), Box<dyn Error>> {
    Ok((UdpSocket::bind((address, 53))?, TcpListener::bind((address, 53))?))
}

/// The files of the servers, and which server loads which.
struct Files {
    base: PathBuf,
    keys: PathBuf,
    other_keys: PathBuf,
    servers: BTreeMap<(Ipv4Addr, Software), Vec<ZoneFile>>,
}

impl Files {
    fn new(base: &Path) -> Result<Self, Box<dyn Error>> {
        let (keys, other_keys) = (base.join("keys"), base.join("other-keys"));
        fs::create_dir(&keys)?;
        fs::create_dir(&other_keys)?;
        Ok(Self { base: base.to_owned(), keys, other_keys, servers: BTreeMap::new() })
    }

    fn key(&self, zone: &ZoneSpec) -> Result<Option<Key>, Box<dyn Error>> {
        match zone.signing {
            Signing::Unsigned => Ok(None),
            _ => Key::generate(&self.keys, &zone.name).map(Some),
        }
    }

    fn directory(&mut self, software: Software, address: Ipv4Addr) -> Result<PathBuf, Box<dyn Error>> {
        let directory = self.base.join(address.to_string());
        fs::create_dir_all(directory.join("db"))?;
        self.servers.entry((address, software)).or_default();
        Ok(directory)
    }

    /// Tells a server of a zone, and gives the path of the zone's file there, which the caller writes or doesn't.
    fn add(&mut self, software: Software, address: Ipv4Addr, zone: &str) -> Result<PathBuf, Box<dyn Error>> {
        let file = self.directory(software, address)?.join(format!("{zone}.zone"));
        let zones = self.servers.entry((address, software)).or_default();
        zones.push((zone.to_owned(), file.clone()));
        Ok(file)
    }

    /// Writes the root and the registries, and gives the root's key.
    fn write_upper_zones(
        &mut self,
        network: &Network,
        delegations: &BTreeMap<&str, String>,
    ) -> Result<Key, Box<dyn Error>> {
        let registry = network.registry();
        let mut root = zone_head("", 1) + &format!("@ NS ns1.\nns1. A {}\n", network.root());
        for (name, zones) in delegations {
            let file = self.add(Software::Nsd, registry, name)?;
            let text = zone_head(name, 1) + &format!("@ NS ns1\nns1 A {registry}\n{zones}");
            fs::write(&file, text)?;
            root += &format!("{name}. NS ns1.{name}.\nns1.{name}. A {registry}\n");
            if *name == SIGNED_REGISTRY {
                let key = Key::generate(&self.keys, name)?;
                key.sign(&file, Signing::Valid)?;
                root += &key.ds;
            }
        }
        let file = self.add(Software::Nsd, network.root(), "")?;
        fs::write(&file, root)?;
        let key = Key::generate(&self.keys, ".")?;
        key.sign(&file, Signing::Valid)?;
        Ok(key)
    }

    /// Starts all servers, then waits for each zone that one of them has a file of.
    fn start_servers(&self, tree: &mut Tree) -> Result<(), Box<dyn Error>> {
        for (&(address, software), zones) in &self.servers {
            let directory = self.base.join(address.to_string());
            tree.processes.push(Process::authoritative(software, address, &directory, zones)?);
        }
        for (process, zones) in tree.processes.iter_mut().zip(self.servers.values()) {
            process.wait_for_answers()?;
            for (zone, _) in zones.iter().filter(|(_, file)| file.exists()) {
                process.wait_for(zone)?;
            }
        }
        Ok(())
    }
}

/// A 127.x.y.0/24 that no other tree on this machine uses meanwhile.
#[derive(Debug)]
struct Network {
    octets: [u8; 2],
    /// Held as the mark that the network is taken.
    _mark: TcpListener,
}

impl Network {
    fn take() -> Result<Self, Box<dyn Error>> {
        static TAKEN: AtomicU32 = AtomicU32::new(0);
        for _ in 0..1000 {
            // Where to begin differs by process, so that few tries are in vain.
            let number = std::process::id().wrapping_mul(7919) + TAKEN.fetch_add(1, Ordering::Relaxed);
            let [low, high, ..] = number.to_le_bytes();
            let octets = [64 + high % 128, low];
            if let Ok(mark) = TcpListener::bind((Ipv4Addr::new(127, octets[0], octets[1], 254), 5353)) {
                return Ok(Self { octets, _mark: mark });
            }
        }
        Err("no free network in 127.0.0.0/8".into())
    }

    fn host(&self, number: u8) -> Ipv4Addr {
        Ipv4Addr::new(127, self.octets[0], self.octets[1], number)
    }

    fn root(&self) -> Ipv4Addr {
        self.host(1)
    }

    fn registry(&self) -> Ipv4Addr {
        self.host(2)
    }

    fn resolver(&self) -> Ipv4Addr {
        self.host(5)
    }

    fn servers(&self, zone: &ZoneSpec) -> Vec<Ipv4Addr> {
        (0..).zip(&zone.servers).map(|(slot, server)| self.server(server.service, slot)).collect()
    }

    fn server(&self, service: Service, slot: usize) -> Ipv4Addr {
        let offset = match service {
            Service::Runs(software, _) => software as u8,
            Service::Closed => 10,
            Service::Silent => 11,
        };
        self.host(10 + 20 * u8::try_from(slot).expect("a zone has few servers") + offset)
    }
}
