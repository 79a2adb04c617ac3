//! A whole delegation tree of real name servers on loopback: a signed root, registries, zones, a validating
//! resolver. Everything runs as plain processes on addresses of one 127.x.y.0/24, port 53, so it needs root.
//!
//! | address | what | zones |
//! | --- | --- | --- |
//! | .1 | nsd | the root, signed |
//! | .2 | nsd | the registries: the last labels of all zones, `dktest` signed |
//! | .5 to .7 | unbound | recursive, one a [`Resolver`] |
//! | .10 to .14 | nsd, knot, BIND, PowerDNS twice | the zones that name them |
//! | .20, .21 | closed, silent | |
//!
//! Servers of zones that ask for it have an IPv6 address too, which the loopback interface is given meanwhile.

// Each test binary that includes this module uses a part of it.
#![allow(dead_code, unused_imports)]

mod process;
mod zone;

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener, UdpSocket};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU32, Ordering};

use process::{Process, ZoneFile};
use zone::{Key, Loaded, Service, zone_head};
pub(crate) use zone::{Listed, Server, Signing, Software, ZoneSpec};

/// The registries that are signed; the others are not.
const SIGNED_REGISTRIES: &[(&str, Signing)] = &[("dktest", Signing::Valid), ("dkoptout", Signing::OptOut)];

/// A recursive resolver of the tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Resolver {
    /// Validates, and remembers for a second.
    Validating,
    /// Validates, and remembers as long as it may. It shows its memory to those who ask without recursion.
    Remembering,
    /// Answers REFUSED to everybody.
    Refusing,
    /// Is a name server, and answers only about its own zones.
    NotRecursive,
    /// Answers nothing.
    Silent,
}

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
    /// A tree with a root, a validating resolver, and no zones yet.
    pub(crate) fn builder() -> TreeBuilder {
        TreeBuilder { zones: Vec::new(), resolvers: vec![Resolver::Validating] }
    }

    /// The validating resolver.
    pub(crate) fn resolver(&self) -> SocketAddr {
        self.resolver_address(Resolver::Validating)
    }

    /// The address of a resolver: one that the tree was built with, or that a server of a zone stands in for.
    pub(crate) fn resolver_address(&self, resolver: Resolver) -> SocketAddr {
        (self.network.resolver(resolver), 53).into()
    }

    /// The IPv4 address of a zone's server; the first is of slot 0.
    pub(crate) fn server_address(&self, zone: &str, slot: usize) -> SocketAddr {
        let address = self.network.server(&self.spec(zone).servers[slot]).first().copied();
        (address.expect("a server with an address"), 53).into()
    }

    /// Gives a zone these records at all its servers, which are nsd and knot, and waits until they have the CNAME at
    /// this name.
    pub(crate) fn publish(&mut self, zone: &str, records: &str, name: &str) -> Result<(), Box<dyn Error>> {
        let spec = self.spec(zone).clone().records(records);
        let addresses = self.network.servers(&spec);
        for slot in 0..spec.servers.len() {
            let Some(IpAddr::V4(address)) = addresses[slot].first() else { continue };
            let mut changed = spec.clone();
            changed.servers[slot].serial += 1;
            let file = self.directory.path().join(address.to_string()).join(format!("{zone}.zone"));
            fs::write(file, changed.text(slot, &addresses, ""))?;
            let process = self.processes.iter_mut().find(|process| process.address() == *address);
            process.ok_or("a server of the zone that doesn't run")?.reload(name)?;
        }
        Ok(())
    }

    /// Has the servers of a zone, which are nsd and knot, read this zone file, and doesn't wait for it.
    pub(crate) fn serve(&self, zone: &str, text: &str) -> Result<(), Box<dyn Error>> {
        for addresses in self.network.servers(self.spec(zone)) {
            let Some(IpAddr::V4(address)) = addresses.first() else { continue };
            let directory = self.directory.path().join(address.to_string());
            // Never half a file, whenever it is read.
            let half = directory.join(format!("{zone}.half"));
            fs::write(&half, text)?;
            fs::rename(&half, directory.join(format!("{zone}.zone")))?;
            let process = self.processes.iter().find(|process| process.address() == *address);
            process.ok_or("a server of the zone that doesn't run")?.reread()?;
        }
        Ok(())
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

    fn spec(&self, zone: &str) -> &ZoneSpec {
        self.zones.iter().find(|spec| spec.name == zone).expect("a zone of the tree")
    }
}

/// The zones and resolvers of a tree to come.
#[derive(Debug)]
pub(crate) struct TreeBuilder {
    zones: Vec<ZoneSpec>,
    resolvers: Vec<Resolver>,
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

    /// One more resolver beside the validating one.
    pub(crate) fn with_resolver(mut self, resolver: Resolver) -> Self {
        self.resolvers.push(resolver);
        self
    }

    /// Starts every server, and returns once all of them answer for their zones.
    pub(crate) fn start(self) -> Result<Tree, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        let network = Network::take()?;
        let mut files = Files::new(directory.path())?;
        let keys = self.zones.iter().map(|zone| files.key(zone)).collect::<Result<Vec<_>, _>>()?;

        // What each zone and each registry delegates.
        let mut delegations: BTreeMap<&str, String> = BTreeMap::new();
        for (zone, key) in self.zones.iter().zip(&keys) {
            let parents = self.zones.iter().filter(|other| other.encloses(zone));
            let parent = parents.max_by_key(|parent| parent.name.len()).map(|parent| parent.name.as_str());
            let delegation = delegations.entry(parent.unwrap_or(zone.registry())).or_default();
            delegation.push_str(&zone.delegation(&network.servers(zone)));
            if let Some(key) = key.as_ref().filter(|_| zone.signing != Signing::ExpiredIsland) {
                let ds = match zone.signing {
                    Signing::StaleDs => Key::generate(&files.other_keys, &zone.name)?.ds,
                    _ => key.ds.clone(),
                };
                delegation.push_str(&ds);
            }
        }

        let mut silent_addresses = BTreeSet::new();
        for (zone, key) in self.zones.iter().zip(&keys) {
            let children = delegations.remove(zone.name.as_str()).unwrap_or_default();
            let addresses = network.servers(zone);
            for (slot, server) in zone.servers.iter().enumerate() {
                match server.service {
                    Service::Runs(software, Loaded::Whole) => {
                        let file = files.add(software, &addresses[slot], &zone.name)?;
                        fs::write(&file, zone.text(slot, &addresses, &children))?;
                        if let Some(key) = &key {
                            key.sign(&file, zone.signing)?;
                        }
                    }
                    Service::Runs(software, Loaded::NoFile) => {
                        files.add(software, &addresses[slot], &zone.name)?;
                    }
                    Service::Runs(software, Loaded::NotListed) => {
                        files.directory(software, &addresses[slot])?;
                    }
                    Service::Silent => silent_addresses.extend(&addresses[slot]),
                    Service::Closed | Service::Nowhere | Service::Registry | Service::Recursive => {}
                }
            }
        }

        let root_key = files.write_upper_zones(&network, &delegations)?;
        let silent = silent_addresses.into_iter().map(silent_socket).collect::<Result<_, _>>()?;
        let mut tree = Tree { processes: Vec::new(), silent, network, zones: self.zones, directory };
        files.start_servers(&mut tree)?;
        for resolver in self.resolvers {
            if matches!(resolver, Resolver::NotRecursive | Resolver::Silent) {
                return Err(format!("{resolver:?} is no process of its own").into());
            }
            let address = tree.network.resolver(resolver);
            let directory = tree.directory().join(address.to_string());
            fs::create_dir(&directory)?;
            let root = tree.network.root();
            let mut process = Process::resolver(resolver, address, &directory, root, &root_key.ds)?;
            match resolver {
                Resolver::Validating | Resolver::Remembering => process.wait_for("")?,
                _ => process.wait_for_answers()?,
            }
            tree.processes.push(process);
        }
        Ok(tree)
    }
}

fn silent_socket(address: IpAddr) -> Result<(UdpSocket, TcpListener), Box<dyn Error>> {
    Ok((UdpSocket::bind((address, 53))?, TcpListener::bind((address, 53))?))
}

/// The files of the servers, and which server loads which.
struct Files {
    base: PathBuf,
    keys: PathBuf,
    other_keys: PathBuf,
    /// By the directory, which an address gives its name.
    servers: BTreeMap<PathBuf, ServerFiles>,
}

/// What one server listens on and loads.
struct ServerFiles {
    software: Software,
    addresses: BTreeSet<IpAddr>,
    zones: Vec<ZoneFile>,
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

    /// The directory of a server, whose first address is the one that it always has.
    fn directory(&mut self, software: Software, addresses: &[IpAddr]) -> Result<PathBuf, Box<dyn Error>> {
        let address = addresses.first().ok_or("a server that runs and has no address")?;
        let directory = self.base.join(address.to_string());
        fs::create_dir_all(directory.join("db"))?;
        let server = self.servers.entry(directory.clone()).or_insert_with(|| ServerFiles {
            software,
            addresses: BTreeSet::new(),
            zones: Vec::new(),
        });
        server.addresses.extend(addresses);
        Ok(directory)
    }

    /// Tells a server of a zone, and gives the path of the zone's file there, which the caller writes or doesn't.
    fn add(
        &mut self,
        software: Software,
        addresses: &[IpAddr],
        zone: &str,
    ) -> Result<PathBuf, Box<dyn Error>> {
        let directory = self.directory(software, addresses)?;
        let file = directory.join(format!("{zone}.zone"));
        let server = self.servers.get_mut(&directory).ok_or("a server without a directory")?;
        server.zones.push((zone.to_owned(), file.clone()));
        Ok(file)
    }

    /// Writes the root and the registries, and gives the root's key.
    fn write_upper_zones(
        &mut self,
        network: &Network,
        delegations: &BTreeMap<&str, String>,
    ) -> Result<Key, Box<dyn Error>> {
        let registry = network.registry();
        let mut root = zone_head("", 1, 60) + &format!("@ NS ns1.\nns1. A {}\n", network.root());
        for (name, zones) in delegations {
            let file = self.add(Software::Nsd, &[registry.into()], name)?;
            let text = zone_head(name, 1, 60) + &format!("@ NS ns1\nns1 A {registry}\n{zones}");
            fs::write(&file, text)?;
            root += &format!("{name}. NS ns1.{name}.\nns1.{name}. A {registry}\n");
            if let Some((_, signing)) = SIGNED_REGISTRIES.iter().find(|(signed, _)| signed == name) {
                let key = Key::generate(&self.keys, name)?;
                key.sign(&file, *signing)?;
                root += &key.ds;
            }
        }
        let file = self.add(Software::Nsd, &[network.root().into()], "")?;
        fs::write(&file, root)?;
        let key = Key::generate(&self.keys, ".")?;
        key.sign(&file, Signing::Valid)?;
        Ok(key)
    }

    /// Starts all servers, then waits for each zone that one of them has a file of.
    fn start_servers(&self, tree: &mut Tree) -> Result<(), Box<dyn Error>> {
        for (directory, server) in &self.servers {
            let addresses: Vec<IpAddr> = server.addresses.iter().copied().collect();
            let process = Process::authoritative(server.software, &addresses, directory, &server.zones)?;
            tree.processes.push(process);
        }
        for (process, server) in tree.processes.iter_mut().zip(self.servers.values()) {
            process.wait_for_answers()?;
            for (zone, _) in server.zones.iter().filter(|(_, file)| file.exists()) {
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

    fn resolver(&self, resolver: Resolver) -> Ipv4Addr {
        self.host(match resolver {
            Resolver::Validating => 5,
            Resolver::Remembering => 6,
            Resolver::Refusing => 7,
            Resolver::NotRecursive => 10 + Software::Nsd as u8,
            Resolver::Silent => 21,
        })
    }

    /// The addresses of each server of a zone.
    fn servers(&self, zone: &ZoneSpec) -> Vec<Vec<IpAddr>> {
        zone.servers.iter().map(|server| self.server(server)).collect()
    }

    /// The addresses of a server, IPv4 first.
    fn server(&self, server: &Server) -> Vec<IpAddr> {
        let host = match server.service {
            Service::Runs(software, _) => 10 + software as u8,
            Service::Closed => 20,
            Service::Silent => 21,
            Service::Nowhere => return Vec::new(),
            Service::Registry => return vec![self.registry().into()],
            Service::Recursive => return vec![self.resolver(Resolver::Remembering).into()],
        };
        let [high, low] = self.octets.map(u16::from);
        // Of the unique local addresses, which are nobody else's (RFC 4193).
        let ipv6 = Ipv6Addr::new(0xfd64, 0x6b69, 0x6d67, high, low, 0, 0, host.into());
        let ipv6 = server.has_ipv6.then_some(IpAddr::V6(ipv6));
        std::iter::once(IpAddr::V4(self.host(host))).chain(ipv6).collect()
    }
}
