//! [`World`]: a small model of the DNS.

use std::collections::BTreeMap;
use std::net::{IpAddr, Ipv4Addr};

use crate::error::LookupError;
use crate::look::{ExtendedError, Question, Rcode, Response, Vantage};
use crate::name::Name;
use crate::record::{Record, RecordData, RecordKind};
use crate::zone::Zone;

use super::fault::{Fault, ScopedFault};
use super::resolver::Resolver;
use super::server::Server;
use super::zone::{name, read_lines};

/// A small model of the DNS: authoritative servers and recursive resolvers by address.
///
/// It is a value without I/O: [`answer`](Self::answer) says what the host at an address would answer, and the
/// same world can be asked in memory, through [`FakeDns`](super::FakeDns), or over sockets, through a
/// [`Lab`](super::Lab). Its own addresses are loopback ones for that reason. Ports mean nothing to it.
///
/// The usual way is to begin with a healthy domain and to break it:
///
/// ```
/// use dkimguard_core::look::{Question, Rcode, Vantage};
/// use dkimguard_core::record::RecordKind;
/// use dkimguard_core::testing::World;
///
/// let mut world = World::easy_dkim("example.com");
/// world.server(World::NS2).remove("bbb._domainkey.example.com");
///
/// let question = Question::new("bbb._domainkey.example.com".parse()?, RecordKind::Cname);
/// let ns2 = Vantage::Authoritative { server: None, address: (World::NS2, 53).into() };
/// assert_eq!(world.answer(&question, &ns2).map(|response| response.rcode), Ok(Rcode::NXDOMAIN));
/// # Ok::<(), dkimguard_core::error::ParseNameError>(())
/// ```
///
/// Editing methods panic where what they are to change isn't there, so that no test passes because its fault
/// was never made.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct World {
    servers: BTreeMap<IpAddr, Server>,
    resolvers: BTreeMap<IpAddr, Resolver>,
    bogus: BTreeMap<Name, ExtendedError>,
}

const fn loopback(last: u8) -> IpAddr {
    IpAddr::V4(Ipv4Addr::new(127, 0, 83, last))
}

impl World {
    /// The root's server.
    pub const ROOT: IpAddr = loopback(1);
    /// The server of the top-level domains that [`delegate`](Self::delegate) makes.
    pub const TLD: IpAddr = loopback(2);
    /// The server of `dkim.amazonses.com` in [`easy_dkim`](Self::easy_dkim).
    pub const TARGETS: IpAddr = loopback(3);
    /// The first server of the domain in [`easy_dkim`](Self::easy_dkim).
    pub const NS1: IpAddr = loopback(11);
    /// The second server of the domain in [`easy_dkim`](Self::easy_dkim).
    pub const NS2: IpAddr = loopback(12);
    /// The resolver of [`with_root`](Self::with_root).
    pub const RESOLVER: IpAddr = loopback(53);

    /// A world without a host: every question meets a closed port.
    pub fn empty() -> Self {
        Self::default()
    }

    /// A world with a root at [`ROOT`](Self::ROOT) and a resolver at [`RESOLVER`](Self::RESOLVER).
    pub fn with_root() -> Self {
        let mut world = Self::default();
        world.serve(Self::ROOT, Zone::at(Name::root()).with("@ NS a.root\na.root A 127.0.83.1"));
        world.add_resolver(Self::RESOLVER);
        world
    }

    /// What the host at this place answers. A place that isn't authoritative is asked with recursion; at an
    /// address without a host, the port is closed.
    ///
    /// # Errors
    /// Those that the host's [`Fault`] makes.
    pub fn answer(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let address = vantage.address().ip();
        match (self.resolvers.get(&address), self.servers.get(&address)) {
            (Some(resolver), _) if vantage.is_recursive() => {
                resolver.answer(question, &self.servers, &self.bogus)
            }
            (_, Some(server)) => server.answer(question),
            // A resolver that is asked not to recurse.
            (Some(_), None) => Ok(Response { recursion_available: true, ..Response::new(Rcode::REFUSED) }),
            (None, None) => Err(LookupError::PortClosed),
        }
    }

    /// The addresses that have a host.
    pub fn addresses(&self) -> impl Iterator<Item = IpAddr> {
        let resolvers = self.resolvers.keys().filter(|address| !self.servers.contains_key(address));
        self.servers.keys().chain(resolvers).copied()
    }

    /// The authoritative server at this address.
    ///
    /// # Panics
    /// If there is none.
    pub fn server(&mut self, address: IpAddr) -> &mut Server {
        match self.servers.get_mut(&address) {
            Some(server) => server,
            None => panic!("the world has no server at {address}"),
        }
    }

    /// The resolver at this address.
    ///
    /// # Panics
    /// If there is none.
    pub fn resolver(&mut self, address: IpAddr) -> &mut Resolver {
        match self.resolvers.get_mut(&address) {
            Some(resolver) => resolver,
            None => panic!("the world has no resolver at {address}"),
        }
    }

    /// Serves a zone at an address, where a server is made if there is none. The zone isn't delegated.
    pub fn serve(&mut self, address: IpAddr, zone: Zone) -> &mut Self {
        self.servers.entry(address).or_default().serve(zone);
        self
    }

    /// Adds a healthy resolver at an address.
    pub fn add_resolver(&mut self, address: IpAddr) -> &mut Resolver {
        self.resolvers.entry(address).or_default()
    }

    /// Serves a zone at each of these servers, names and addresses, and delegates it to them. A zone without NS
    /// records gets those, and the addresses of the names that lie in it.
    ///
    /// # Panics
    /// If a text is no name, or the world has no root.
    pub fn host<'a>(
        &mut self,
        mut zone: Zone,
        servers: impl IntoIterator<Item = (&'a str, IpAddr)>,
    ) -> &mut Self {
        let servers: Vec<(&str, IpAddr)> = servers.into_iter().collect();
        let apex = zone.apex().clone();
        if !zone.records().any(|record| record.name == apex && record.kind() == RecordKind::Ns) {
            name_servers(&mut zone, &apex, &servers);
        }
        for (_, address) in &servers {
            self.serve(*address, zone.clone());
        }
        self.delegate(&apex.to_string(), servers)
    }

    /// Delegates a name to these servers, names and addresses, in every copy of the deepest zone above it. Below
    /// the root, the top-level domain is made first, at [`TLD`](Self::TLD). An earlier delegation is replaced.
    /// Names that lie in the parent zone get address records there.
    ///
    /// # Panics
    /// If a text is no name, or the world has no root.
    pub fn delegate<'a>(
        &mut self,
        cut: &str,
        servers: impl IntoIterator<Item = (&'a str, IpAddr)>,
    ) -> &mut Self {
        let cut = name(cut);
        let servers: Vec<(&str, IpAddr)> = servers.into_iter().collect();
        let above = cut.parent().and_then(|parent| self.deepest_zone(&parent));
        let Some(mut above) = above else {
            panic!("the world has no zone above {cut}");
        };
        if above.is_root() && cut.label_count() > 1 {
            above = cut.ancestors().nth(cut.label_count() - 1).unwrap_or_else(Name::root);
            let server = format!("a.nic.{above}");
            self.host(Zone::at(above.clone()), [(server.as_str(), Self::TLD)]);
        }
        for server in self.servers.values_mut() {
            if let Some(zone) = server.zone_mut(&above) {
                zone.retain(|record| record.name != cut || record.kind() != RecordKind::Ns);
                name_servers(zone, &cut, &servers);
            }
        }
        self
    }

    /// Delegates a name no longer, in every copy of the zone above it.
    ///
    /// # Panics
    /// If it wasn't delegated.
    pub fn undelegate(&mut self, cut: &str) -> &mut Self {
        let cut = name(cut);
        let is_cut = |record: &Record| record.name == cut && record.kind() == RecordKind::Ns;
        let zones = self.servers.values_mut().flat_map(Server::zones_mut);
        let parents = zones.filter(|zone| cut.is_below(zone.apex()));
        let removed: usize = parents.map(|zone| zone.retain(|record| !is_cut(record))).sum();
        assert!(removed > 0, "the world has no delegation of {cut}");
        self
    }

    /// Adds the records of these lines to every copy of the deepest zone that holds their name. Lines are those
    /// of a [`Zone`], with absolute names: `a.example.com A 192.0.2.1`.
    ///
    /// # Panics
    /// If a line cannot be read, or no zone holds its name.
    pub fn publish(&mut self, lines: &str) -> &mut Self {
        for record in read_lines(lines) {
            self.for_zones_of(&record.name, |zone| {
                zone.insert(record.clone());
                1
            });
        }
        self
    }

    /// Adds the records of these lines, where the records of the same name and type are removed first.
    ///
    /// # Panics
    /// As [`publish`](Self::publish).
    pub fn replace(&mut self, lines: &str) -> &mut Self {
        for new in read_lines(lines) {
            self.for_zones_of(&new.name, |zone| {
                zone.retain(|old| (&old.name, old.kind()) != (&new.name, new.kind()))
            });
        }
        self.publish(lines)
    }

    /// Removes every record of this name from every copy of the deepest zone that holds it.
    ///
    /// # Panics
    /// If there is none.
    pub fn remove(&mut self, owner: &str) -> &mut Self {
        let gone = name(owner);
        let removed = self.for_zones_of(&gone, |zone| zone.retain(|record| record.name != gone));
        assert!(removed > 0, "the world has no record of {owner}");
        self
    }

    /// Adds a fault to every authoritative server that serves this zone.
    ///
    /// # Panics
    /// If there is none.
    pub fn fault(&mut self, apex: &str, fault: impl Into<ScopedFault>) -> &mut Self {
        let (apex, fault) = (name(apex), fault.into());
        let mut servers = self
            .servers
            .values_mut()
            .filter(|server| server.zones().any(|zone| *zone.apex() == apex))
            .peekable();
        assert!(servers.peek().is_some(), "the world has no server of {apex}");
        servers.for_each(|server| {
            server.fault(fault.clone());
        });
        self
    }

    /// Makes a zone bogus: a validating resolver answers SERVFAIL with this extended error (RFC 8914), unless the
    /// question disables checking. 6 is DNSSEC Bogus, 7 Signature Expired, 9 DNSKEY Missing.
    ///
    /// # Panics
    /// If the text is no name.
    pub fn make_bogus(&mut self, zone: &str, code: u16, text: &str) -> &mut Self {
        self.bogus.insert(name(zone), ExtendedError { code, text: text.to_owned() });
        self
    }

    /// Makes a bogus zone sound.
    ///
    /// # Panics
    /// If the zone isn't bogus.
    pub fn make_sound(&mut self, zone: &str) -> &mut Self {
        assert!(self.bogus.remove(&name(zone)).is_some(), "{zone} is not bogus");
        self
    }

    /// Whether the host's TCP or UDP port is closed for every question.
    pub(super) fn has_total_fault(&self, address: IpAddr, fault: &Fault) -> bool {
        let faults = match (self.resolvers.get(&address), self.servers.get(&address)) {
            (Some(resolver), _) => resolver.faults(),
            (None, Some(server)) => server.faults(),
            (None, None) => &[],
        };
        faults.first().is_some_and(|first| first.is_total() && first.fault == *fault)
    }

    fn deepest_zone(&self, owner: &Name) -> Option<Name> {
        let zones = self.servers.values().flat_map(Server::zones).map(Zone::apex);
        zones.filter(|apex| owner.is_at_or_below(apex)).max_by_key(|apex| apex.label_count()).cloned()
    }

    /// Edits every copy of the deepest zone that holds a name; the sum of what the edits return.
    fn for_zones_of(&mut self, owner: &Name, mut edit: impl FnMut(&mut Zone) -> usize) -> usize {
        let Some(apex) = self.deepest_zone(owner) else {
            panic!("the world has no zone for {owner}");
        };
        self.servers.values_mut().filter_map(|server| server.zone_mut(&apex)).map(&mut edit).sum()
    }
}

/// Adds NS records at a name, and addresses for the servers whose names lie in the zone.
fn name_servers(zone: &mut Zone, owner: &Name, servers: &[(&str, IpAddr)]) {
    for (server, address) in servers {
        let server = name(server);
        zone.insert(Record { name: owner.clone(), ttl: 300, data: RecordData::Ns(server.clone()) });
        let data = match address {
            IpAddr::V4(address) => RecordData::A(*address),
            IpAddr::V6(address) => RecordData::Aaaa(*address),
        };
        let record = Record { name: server, ttl: 300, data };
        if record.name.is_at_or_below(zone.apex()) && !zone.records().any(|old| *old == record) {
            zone.insert(record);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// What the resolver answers: `rcode answers`, or the error.
    fn resolve(world: &World, owner: &str, kind: RecordKind) -> String {
        show(world.answer(&Question::new(name(owner), kind), &resolver()))
    }

    fn resolver() -> Vantage {
        Vantage::Resolver { address: (World::RESOLVER, 53).into() }
    }

    fn show(outcome: Result<Response, LookupError>) -> String {
        match outcome {
            Ok(response) => {
                let answers = response.answers.iter().map(|r| format!(" {} {}", r.name, r.kind()));
                let errors = response.extended_errors.iter().map(|error| format!(" ({error})"));
                format!("{}{}{}", response.rcode, answers.collect::<String>(), errors.collect::<String>())
            }
            Err(error) => format!("{error:?}"),
        }
    }

    #[test]
    fn a_healthy_domain_resolves_from_the_root() {
        use RecordKind::{A, Cname, Ns, Soa, Txt};
        let mut world = World::easy_dkim("example.com");
        world.add_easy_dkim("mail.example.co.uk");
        let table = [
            ("aaa._domainkey.example.com", Cname, "NOERROR aaa._domainkey.example.com CNAME"),
            (
                "aaa._domainkey.example.com",
                Txt,
                "NOERROR aaa._domainkey.example.com CNAME aaa.dkim.amazonses.com TXT",
            ),
            // The idle targets: an empty TXT, and none.
            (
                "bbb._domainkey.example.com",
                Txt,
                "NOERROR bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com TXT",
            ),
            ("ccc._domainkey.example.com", Txt, "NXDOMAIN ccc._domainkey.example.com CNAME"),
            ("ddd._domainkey.example.com", Cname, "NXDOMAIN"),
            ("_domainkey.example.com", Cname, "NOERROR"),
            ("example.com", Ns, "NOERROR example.com NS example.com NS"),
            ("ns2.example.com", A, "NOERROR ns2.example.com A"),
            ("aaa._domainkey.mail.example.co.uk", Cname, "NOERROR aaa._domainkey.mail.example.co.uk CNAME"),
            ("example.co.uk", A, "NOERROR"),
            ("other.co.uk", A, "NXDOMAIN"),
            ("uk", Soa, "NOERROR uk SOA"),
            ("test", Soa, "NXDOMAIN"),
            (".", Ns, "NOERROR . NS"),
        ];
        for (owner, kind, expected) in table {
            assert_eq!(resolve(&world, owner, kind), expected, "{owner} {kind}");
        }
        let answer = world.answer(&Question::new(name("example.com"), Soa), &resolver()).expect("it answers");
        assert!(answer.recursion_available && !answer.authoritative);
    }

    #[test]
    fn each_fault_of_the_world_shows_at_the_resolver() {
        const BBB: &str = "bbb._domainkey.example.com";
        type Edit = fn(&mut World);
        let holds = "NOERROR bbb._domainkey.example.com CNAME";
        let unreachable = "SERVFAIL (No Reachable Authority: at delegation example.com)";
        let table: [(&str, Edit, &str); 18] = [
            ("one server down", |w| _ = w.server(World::NS1).fault(Fault::Silent), holds),
            ("one server refuses", |w| _ = w.server(World::NS1).fault(Fault::Rcode(Rcode::REFUSED)), holds),
            ("one server is lame", |w| _ = w.server(World::NS1).fault(Fault::NotAuthoritative), holds),
            ("one refers upwards", |w| _ = w.server(World::NS1).fault(Fault::UpwardReferral), holds),
            ("all down", |w| _ = w.fault("example.com", Fault::PortClosed), unreachable),
            ("all malformed", |w| _ = w.fault("example.com", Fault::Malformed), unreachable),
            ("split", |w| _ = w.server(World::NS1).remove(BBB), "NXDOMAIN"),
            (
                "split, the other side",
                |w| {
                    w.server(World::NS1).remove(BBB);
                    w.resolver(World::RESOLVER).prefer_server(3);
                },
                holds,
            ),
            ("removed everywhere", |w| _ = w.remove(BBB), "NXDOMAIN"),
            ("not delegated", |w| _ = w.undelegate("example.com"), "NXDOMAIN"),
            (
                "delegated elsewhere",
                |w| {
                    w.serve(World::TARGETS, Zone::new("example.com"));
                    w.delegate("example.com", [("ns.example.com", World::TARGETS)]);
                },
                "NXDOMAIN",
            ),
            (
                "a cut below the zone",
                |w| {
                    w.host(Zone::new("_domainkey.example.com"), [("ns1.example.com", World::NS1)]);
                },
                "NXDOMAIN",
            ),
            (
                "bogus",
                |w| _ = w.make_bogus("example.com", 7, "expired"),
                "SERVFAIL (Signature Expired: expired)",
            ),
            (
                "bogus, not validated",
                |w| {
                    w.make_bogus("example.com", 7, "expired");
                    w.resolver(World::RESOLVER).trust_everything();
                },
                holds,
            ),
            (
                "an absence is cached",
                |w| _ = w.resolver(World::RESOLVER).cache_absence("_domainkey.example.com", 17),
                "NXDOMAIN",
            ),
            (
                "a private zone",
                |w| _ = w.resolver(World::RESOLVER).serve_privately(Zone::new("example.com")),
                "NXDOMAIN",
            ),
            ("the resolver is silent", |w| _ = w.resolver(World::RESOLVER).fault(Fault::Silent), {
                "Timeout { timeout: 2s, attempts: 2 }"
            }),
            (
                "the resolver is none",
                |w| _ = w.resolver(World::RESOLVER).fault(Fault::NoRecursion),
                "REFUSED",
            ),
        ];
        for (case, edit, expected) in table {
            let mut world = World::easy_dkim("example.com");
            edit(&mut world);
            assert_eq!(resolve(&world, BBB, RecordKind::Cname), expected, "{case}");
        }
    }

    #[test]
    fn a_bogus_zone_is_told_by_disabling_checks() {
        let mut world = World::easy_dkim("example.com");
        world.make_bogus("amazonses.com", 6, "");
        let question = Question::new(name("aaa._domainkey.example.com"), RecordKind::Txt);
        assert_eq!(show(world.answer(&question, &resolver())), "SERVFAIL (DNSSEC Bogus)", "by the alias");
        let unchecked = question.with_checking_disabled();
        assert!(show(world.answer(&unchecked, &resolver())).ends_with("aaa.dkim.amazonses.com TXT"));
        world.make_sound("amazonses.com");
        assert!(resolve(&world, "aaa._domainkey.example.com", RecordKind::Txt).starts_with("NOERROR"));
    }

    #[test]
    fn a_cached_absence_has_a_ttl_below_the_zones() {
        let mut world = World::easy_dkim("example.com");
        world.resolver(World::RESOLVER).cache_absence("bbb._domainkey.example.com", 17);
        let question = Question::new(name("bbb._domainkey.example.com"), RecordKind::Cname);
        let answer = world.answer(&question, &resolver()).expect("it answers");
        let proof =
            answer.proof_of_absence().map(|(record, soa)| (record.name.clone(), record.ttl, soa.minimum));
        assert_eq!(proof, Some((name("example.com"), 17, 300)));
    }

    #[test]
    fn loops_end() {
        let mut world = World::easy_dkim("example.com");
        world.publish("a.example.com CNAME b.example.com\nb.example.com CNAME a.example.com");
        assert_eq!(
            resolve(&world, "a.example.com", RecordKind::Txt),
            "SERVFAIL (Other Error: too many aliases)"
        );
        // Two zones whose servers' names lie in each other.
        world.server(World::TLD).publish("p.com NS ns.q.com\nq.com NS ns.p.com");
        assert_eq!(
            resolve(&world, "x.p.com", RecordKind::Txt),
            "SERVFAIL (No Reachable Authority: at delegation p.com)"
        );
    }

    #[test]
    fn servers_named_in_other_zones_are_found() {
        let mut world = World::with_root();
        world.host(Zone::new("dns.net"), [("ns.dns.net", World::TARGETS)]);
        world.host(Zone::new("example.com").with("@ TXT here"), [("ns.dns.net", World::NS1)]);
        world.replace("ns.dns.net A 127.0.83.11");
        assert_eq!(resolve(&world, "example.com", RecordKind::Txt), "NOERROR example.com TXT");
    }

    #[test]
    fn places_are_asked_as_what_they_are() {
        let world = World::easy_dkim("example.com");
        let question = Question::new(name("example.com"), RecordKind::Soa);
        let server = |address: IpAddr| Vantage::Authoritative { server: None, address: (address, 53).into() };
        assert_eq!(show(world.answer(&question, &server(World::NS2))), "NOERROR example.com SOA");
        assert_eq!(show(world.answer(&question, &server(World::RESOLVER))), "REFUSED");
        assert_eq!(show(world.answer(&question, &server(loopback(200)))), "PortClosed");
        assert_eq!(world.addresses().count(), 6);
    }

    #[test]
    #[should_panic(expected = "the world has no record of bb._domainkey.example.com")]
    fn an_edit_that_changes_nothing_panics() {
        World::easy_dkim("example.com").remove("bb._domainkey.example.com");
    }
}
