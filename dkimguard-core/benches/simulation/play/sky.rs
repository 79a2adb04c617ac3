//! [`Sky`]: what the world and the provider are like at a time; and the world that a look then meets.

use std::net::IpAddr;

use dkimguard_core::identity::{ExpectedValue, Identity, ProviderStatus, Selector};
use dkimguard_core::judge::State;
use dkimguard_core::look::{Rcode, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::record::RecordKind;
use dkimguard_core::testing::{Fault, HOSTED_ZONE, PUBLIC_KEY, TOKENS, World, Zone, easy_dkim_identity};

/// How many records a domain needs.
pub(crate) const RECORDS: u8 = 3;
/// All of them, as bits.
pub(crate) const ALL_RECORDS: u8 = 0b111;
/// How many resolvers there are: this machine's own, and two public ones.
pub(crate) const RESOLVERS: u8 = 3;
/// How many servers a domain has at most.
pub(crate) const MOST_SERVERS: usize = 4;

const DOMAIN: &str = "example.com";

/// What the world and the provider are like. Sets of servers, resolvers and records are bits.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Sky {
    pub(crate) servers: u8,
    pub(crate) down: u8,
    /// Which records each server's copy lacks.
    pub(crate) stale: [u8; MOST_SERVERS],
    pub(crate) lost: u8,
    pub(crate) wrong: u8,
    pub(crate) moved: bool,
    pub(crate) host_down: bool,
    pub(crate) bogus: bool,
    pub(crate) resolvers_down: u8,
    pub(crate) offline: bool,
    pub(crate) unheard: bool,
    /// Which generation of tokens the provider wants, and which is published.
    pub(crate) wanted: u8,
    pub(crate) published: u8,
    pub(crate) status: ProviderStatus,
}

/// A question that gets lost at a look.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Lost {
    /// The server, or behind them all the resolver.
    pub(crate) place: u8,
    pub(crate) record: u8,
    pub(crate) kind: RecordKind,
    pub(crate) how: How,
}

/// How a question gets lost.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum How {
    Silence,
    Servfail,
}

impl Sky {
    pub(crate) fn clear(servers: u8) -> Self {
        Self {
            servers,
            down: 0,
            stale: [0; MOST_SERVERS],
            lost: 0,
            wrong: 0,
            moved: false,
            host_down: false,
            bogus: false,
            resolvers_down: 0,
            offline: false,
            unheard: false,
            wanted: 0,
            published: 0,
            status: ProviderStatus::Success,
        }
    }

    /// Whether nothing at all is wrong.
    pub(crate) fn is_clear(&self) -> bool {
        let clear = Self { wanted: self.wanted, published: self.wanted, ..Self::clear(self.servers) };
        *self == clear
    }

    pub(crate) fn is_bad(&self, server: u8) -> bool {
        self.host_down || self.down & (1 << server) != 0 || self.stale[usize::from(server)] != 0
    }

    /// What is wrong with the zone as a whole: no server can help.
    pub(crate) fn zone_fails(&self) -> bool {
        self.lost | self.wrong != 0
            || self.moved
            || self.host_down
            || self.bogus
            || self.wanted != self.published
    }

    /// Whether some record is given by no server, or by none that is believed.
    pub(crate) fn dns_fails(&self) -> bool {
        let lacks = |server: u8, record: u8| {
            self.down & (1 << server) != 0 || self.stale[usize::from(server)] & (1 << record) != 0
        };
        self.zone_fails() || (0..RECORDS).any(|record| (0..self.servers).all(|server| lacks(server, record)))
    }

    /// The name of a record that the provider wants.
    pub(crate) fn owner(&self, record: u8) -> String {
        format!("{}._domainkey.{DOMAIN}", generation(TOKENS[usize::from(record)], self.wanted))
    }

    pub(crate) fn any_server_stale(&self) -> bool {
        self.stale.iter().any(|&records| records != 0)
    }

    /// How a record stands at a server, as far as that is one of the domain's.
    pub(crate) fn state(&self, server: u8, record: u8) -> Option<State> {
        let bit = 1 << record;
        if self.moved {
            None
        } else if self.host_down || self.down & (1 << server) != 0 {
            Some(State::Unseen)
        } else if self.wanted != self.published || (self.lost | self.stale[usize::from(server)]) & bit != 0 {
            Some(State::Absent)
        } else if self.wrong & bit != 0 {
            Some(State::Differs)
        } else {
            Some(State::Holds)
        }
    }

    pub(crate) fn any_server_bad(&self) -> bool {
        (0..self.servers).any(|server| self.is_bad(server))
    }

    /// What the provider says to whoever asks now.
    fn told(&self) -> ProviderStatus {
        if self.unheard || self.offline { ProviderStatus::Unknown } else { self.status.clone() }
    }

    pub(crate) fn identity(&self) -> Identity {
        let selectors = TOKENS.map(|token| {
            let token = generation(token, self.wanted);
            Selector {
                value: ExpectedValue::Cname(name(&format!("{token}.{HOSTED_ZONE}"))),
                label: name(&token),
            }
        });
        let mut identity = easy_dkim_identity(DOMAIN);
        identity.selectors = selectors.into();
        identity.status = self.told();
        identity
    }

    /// The world that a look meets which loses this question.
    pub(crate) fn world(&self, lost: Option<Lost>) -> World {
        let mut world = World::with_root();
        for resolver in 1..RESOLVERS {
            world.add_resolver(resolver_address(resolver));
        }
        let tokens = TOKENS.map(|token| generation(token, self.published));
        let targets = Zone::new(HOSTED_ZONE).with(&format!("{} TXT \"p={PUBLIC_KEY}\"", tokens[0]));
        world.host(targets, [("ns1.dkim.amazonses.com", World::TARGETS)]);
        let names: Vec<String> = (1..=MOST_SERVERS).map(|number| format!("ns{number}.{DOMAIN}")).collect();
        let servers = || (0..self.servers).map(|s| (names[usize::from(s)].as_str(), server_address(s)));
        let mut zone = Zone::new(DOMAIN).with("_dmarc TXT \"v=DMARC1; p=none\"");
        for (record, token) in (0..RECORDS).zip(&tokens) {
            if self.lost & (1 << record) == 0 {
                let hosted = if self.wrong & (1 << record) == 0 { HOSTED_ZONE } else { "dkim.example.net" };
                zone = zone.with(&format!("{token}._domainkey CNAME {token}.{hosted}."));
            }
        }
        world.host(zone, servers());
        for server in 0..self.servers {
            let stale = self.stale[usize::from(server)] & !self.lost;
            for (record, token) in (0..RECORDS).zip(&tokens) {
                if stale & (1 << record) != 0 {
                    world.server(server_address(server)).remove(&format!("{token}._domainkey.{DOMAIN}"));
                }
            }
            if self.host_down || self.down & (1 << server) != 0 {
                world.server(server_address(server)).fault(Fault::Silent);
            }
        }
        if self.moved {
            let other = Zone::new(DOMAIN).with("@ A 192.0.2.1");
            let elsewhere: [(&str, IpAddr); 2] =
                [("ns8.example.com", [127, 0, 83, 21].into()), ("ns9.example.com", [127, 0, 83, 22].into())];
            world.undelegate(DOMAIN).host(other, elsewhere);
        }
        if self.bogus {
            world.make_bogus(DOMAIN, 7, "");
        }
        for resolver in (0..RESOLVERS).filter(|resolver| self.resolvers_down & (1 << resolver) != 0) {
            world.resolver(resolver_address(resolver)).fault(Fault::Silent);
        }
        if let Some(lost) = lost {
            let record = format!("{}._domainkey.{DOMAIN}", tokens[usize::from(lost.record)]);
            let fault = match lost.how {
                How::Silence => Fault::Silent,
                How::Servfail => Fault::Rcode(Rcode::SERVFAIL),
            };
            let fault = fault.for_kind(lost.kind).below(&record);
            match lost.place.checked_sub(self.servers) {
                None => world.server(server_address(lost.place)).fault(fault).zones().count(),
                Some(resolver) => {
                    world.resolver(resolver_address(resolver)).fault(fault);
                    0
                }
            };
        }
        if self.offline { World::empty() } else { world }
    }
}

pub(crate) fn resolvers() -> [Vantage; RESOLVERS as usize] {
    let [own, first, second] = [0, 1, 2].map(|resolver| (resolver_address(resolver), 53).into());
    [
        Vantage::System { address: own },
        Vantage::Resolver { address: first },
        Vantage::Resolver { address: second },
    ]
}

pub(crate) fn resolver_address(resolver: u8) -> IpAddr {
    [127, 0, 83, 53 + resolver].into()
}

fn server_address(server: u8) -> IpAddr {
    [127, 0, 83, 11 + server].into()
}

fn generation(token: &str, generation: u8) -> String {
    format!("{token}{generation}")
}

pub(crate) fn name(text: &str) -> Name {
    text.parse().expect("it is a name")
}
