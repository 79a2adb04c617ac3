//! What one resolver, one server or one thing on the way says decides nothing by itself: not against the servers, not
//! against those that say otherwise, and not for them.

mod scene;

use std::net::{IpAddr, Ipv4Addr};
use std::sync::atomic::{AtomicUsize, Ordering};

use dkimguard_core::error::LookupError;
use dkimguard_core::identity::ProviderStatus;
use dkimguard_core::judge::{Certainty, Depth, Report};
use dkimguard_core::look::{ExtendedError, Question, Rcode, Response, Vantage};
use dkimguard_core::record::{Record, RecordData, RecordKind};
use dkimguard_core::testing::{Fault, TOKENS, World, Zone};

use scene::{
    BBB, DOMAIN, KEY, Outcome, SECOND, Scenario, Scene, assert_all, degraded, failing, healthy,
    move_to_names_elsewhere, name, own_key, resolver, strings, take, unknown,
};

const THIRD: IpAddr = IpAddr::V4(Ipv4Addr::new(127, 0, 83, 55));

#[rustfmt::skip]
const RESOLVERS: &[Scenario] = &[
    // One of two.
    healthy("the clock of one resolver is wrong, so that it can validate nothing", |s| {
        s.add_resolver();
        s.meddle(|question, vantage, _| {
            (*vantage == resolver(SECOND) && !question.checking_disabled).then(|| {
                let too_early = ExtendedError { code: 7, text: String::new() };
                Ok(Response { extended_errors: vec![too_early], ..Response::new(Rcode::SERVFAIL) })
            })
        });
    }).listing(&["resolver-failing"]),
    healthy("the last resolver denies every name, and proves nothing", |s| {
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::NXDOMAIN));
    }).listing(&["resolver-failing"]),
    healthy("the first resolver denies every name, and proves nothing", |s| {
        s.add_resolver();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::NXDOMAIN));
    }).listing(&["resolver-failing"]),
    healthy("one resolver filters the domain, without an SOA", |s| {
        s.add_resolver();
        s.meddle(|question, vantage, _| {
            let filters = *vantage == resolver(SECOND) && question.name.is_below(&name(DOMAIN));
            filters.then(|| Ok(Response::new(Rcode::NXDOMAIN)))
        });
    }).listing(&["resolver-failing"]),
    healthy("the first resolver knows no name servers, of whatever zone", |s| {
        s.add_resolver();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::NOERROR).for_kind(RecordKind::Ns));
    }),
    healthy("the first resolver filters the name of a server that has no glue", |s| {
        move_to_names_elsewhere(s);
        s.add_resolver();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::NXDOMAIN).below("ns2.dns.net"));
    }),
    healthy("the first resolver filters a selector that is an alias", |s| {
        own_alias(s);
        s.add_resolver();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::NXDOMAIN).below("s1._domainkey.example.com"));
    }).listing(&["resolver-failing"]),
    healthy("the certificate of one resolver is bad", |s| {
        s.places.resolvers.push(Vantage::Tls { address: (SECOND, 853).into(), server_name: "dns.example".to_owned() });
        s.meddle(|_, vantage, _| {
            let is_behind_tls = matches!(vantage, Vantage::Tls { .. });
            is_behind_tls.then(|| Err(LookupError::Tls("certificate expired".to_owned())))
        });
    }).listing(&["resolver-failing"]),
    degraded("a resolver behind HTTPS remembers an absence", |s| {
        s.world.add_resolver(SECOND).cache_absence(BBB, 60);
        s.places.resolvers.push(Vantage::Https {
            address: (SECOND, 443).into(),
            server_name: "dns.example".to_owned(),
            path: "/dns-query".to_owned(),
        });
    }, &["negative-cached"]).exposing(0, 2),
    degraded("a resolver remembers an absence, and this machine has no IPv6", |s| {
        s.add_resolver();
        let far: IpAddr = "2001:db8::2".parse().expect("it is an address");
        s.world.publish("ns2.example.com AAAA 2001:db8::2").serve(far, Zone::new(DOMAIN));
        s.world.server(far).fault(Fault::NoRoute);
        s.world.resolver(World::RESOLVER).cache_absence(BBB, 60);
    }, &["negative-cached"]).exposing(0, 2),
    degraded("no target holds a key, and one resolver cannot see the targets", |s| {
        s.add_resolver();
        for token in TOKENS {
            s.world.server(World::TARGETS).replace(&format!("{token}.dkim.amazonses.com TXT \"\""));
        }
        s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::SERVFAIL).below("dkim.amazonses.com"));
    }, &["no-active-key"]).exposing(0, 2),
    failing("two resolvers call the zone bogus, and a third has what it once validated", |s| {
        s.add_resolver();
        s.world.make_bogus(DOMAIN, 7, "expired").add_resolver(THIRD).trust_everything();
        s.places.resolvers.push(resolver(THIRD));
        s.meddle(|question, vantage, world| {
            let answer = || world.answer(question, vantage).map(|response| Response { authentic: true, ..response });
            (*vantage == resolver(THIRD)).then(answer)
        });
    }, &["dnssec-bogus"]).exposing(0, 2),

    // The only one, or all of them.
    unknown("the only resolver has an old value in its cache", |s| {
        s.meddle(|question, vantage, world| {
            (vantage.is_recursive() && question.name == name(BBB)).then(|| {
                let mut response = world.answer(question, vantage)?;
                for record in &mut response.answers {
                    if matches!(record.data, RecordData::Cname(_)) {
                        record.data = RecordData::Cname(name("old.dkim.amazonses.com"));
                    }
                }
                Ok(response)
            })
        });
    }, &["resolver-failing"]),
    unknown("the only resolver cannot find the servers' names, and has the records", |s| {
        move_to_names_elsewhere(s);
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below("dns.net"));
    }, &[]).exposing(0, 0),
    healthy("the only resolver answers about the targets with nothing, and proves it", |s| {
        s.meddle(|question, vantage, world| {
            let targets = name("dkim.amazonses.com");
            let is_about_targets = question.kind == RecordKind::Txt && question.name.is_at_or_below(&targets);
            (vantage.is_recursive() && is_about_targets)
                .then(|| world.answer(&Question::new(targets, RecordKind::Txt), vantage))
        });
    }),
    healthy("the only resolver is a forwarder that passes on answers alone", pass_on_answers_alone),
    unknown("no server is asked, and the forwarders' denials lack their proof", |s| {
        s.skip_servers();
        s.add_resolver();
        s.world.remove(BBB).publish("bbb._domainkey.example.com A 192.0.2.1");
        pass_on_answers_alone(s);
    }, &["resolver-failing", "resolver-failing"]).exposing(0, 0),
    unknown("no server is asked, and all resolvers fail on the domain", |s| {
        s.skip_servers();
        s.add_resolver();
        for address in [World::RESOLVER, SECOND] {
            s.world.resolver(address).fault(Fault::Rcode(Rcode::SERVFAIL).below(DOMAIN));
        }
    }, &["resolver-failing", "resolver-failing"]).exposing(0, 0),
    failing("all resolvers miss the zone's key, whether or not they are to check it", |s| {
        s.add_resolver();
        for address in [World::RESOLVER, SECOND] {
            s.world.resolver(address).fault(Fault::Rcode(Rcode::SERVFAIL).below(DOMAIN).with_extended_error(9, ""));
        }
    }, &["dnssec-bogus"]).exposing(0, 2),
    failing("a bogus zone at a glance", |s| {
        s.depth = Depth::Quick;
        s.world.make_bogus(DOMAIN, 7, "signature expired");
    }, &["dnssec-bogus"]).exposing(0, 0),
    unknown("the only resolver serves others, at a glance", |s| {
        s.depth = Depth::Quick;
        s.world.resolver(World::RESOLVER).fault(Fault::NoRecursion);
    }, &["offline"]).exposing(0, 0),

    // This machine's own, which may serve a private view.
    healthy("no server is asked, and this machine's resolver has a private view", |s| {
        s.skip_servers();
        own_resolver_with_private_view(s);
    }).exposing(0, 0),
    unknown("port 53 is closed, and this machine's resolver has a private view", |s| {
        s.close_port_53();
        own_resolver_with_private_view(s);
    }, &[]).exposing(0, 0),
    unknown("only this machine's resolver answers, from a private view", |s| {
        s.places.resolvers = vec![Vantage::System { address: (World::RESOLVER, 53).into() }];
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Silent);
        let private = Zone::new(DOMAIN).with("@ NS ns1\nns1 A 10.0.0.1");
        s.world.resolver(World::RESOLVER).serve_privately(private);
    }, &["resolver-failing"]),
];

#[rustfmt::skip]
const WAYS: &[Scenario] = &[
    unknown("a proxy on port 53 answers in the servers' place", |s| {
        s.meddle(|question, vantage, world| {
            vantage.is_authoritative().then(|| world.answer(question, &resolver(World::RESOLVER)))
        });
    }, &[]).exposing(0, 0),
    unknown("a firewall says that the servers cannot be reached", |s| {
        s.meddle(|_, vantage, _| vantage.is_authoritative().then_some(Err(LookupError::Unreachable)));
    }, &[]).exposing(0, 0),
    unknown("port 53 is closed, and the only resolver fails below _domainkey", |s| {
        s.close_port_53();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below("_domainkey.example.com"));
    }, &["resolver-failing"]).exposing(0, 0),
    degraded("port 53 is closed, and the provider still says pending", |s| {
        s.identity.status = ProviderStatus::Pending;
        s.close_port_53();
    }, &["provider-behind"]).exposing(0, 0),
];

#[rustfmt::skip]
const SERVERS: &[Scenario] = &[
    healthy("all servers drop questions about name servers, and only those", |s| {
        s.world.fault(DOMAIN, Fault::Silent.for_kind(RecordKind::Ns));
    }),
    healthy("all servers clear AA once they have followed an alias", |s| {
        own_alias(s);
        s.meddle(|question, vantage, world| {
            let follows = vantage.is_authoritative() && question.kind == RecordKind::Txt;
            let answer = || world.answer(question, vantage).map(|response| Response { authoritative: false, ..response });
            follows.then(answer)
        });
    }),
    healthy("an answer holds its TXT twice", |s| {
        own_key(s, KEY);
        s.meddle(|question, vantage, world| {
            (question.kind == RecordKind::Txt).then(|| {
                let response = world.answer(question, vantage)?;
                let answers = [&response.answers[..], &response.answers[..]].concat();
                Ok(Response { answers, ..response })
            })
        });
    }),
    healthy("the only server loses the first question, and answers all others", |s| {
        s.world.undelegate(DOMAIN).delegate(DOMAIN, [("ns1.example.com", World::NS1)]);
        s.world.server(World::NS1).remove_kind(DOMAIN, RecordKind::Ns).publish("example.com NS ns1.example.com");
        let asked = AtomicUsize::new(0);
        s.meddle(move |_, vantage, _| {
            let is_first = vantage.address().ip() == World::NS1 && asked.fetch_add(1, Ordering::Relaxed) == 0;
            is_first.then(|| Err(scene::silence()))
        });
    }).exposing(0, 1),
    degraded("one server refers to its own zone", |s| {
        s.meddle(|_, vantage, _| (vantage.address().ip() == World::NS1).then(|| {
            let data = RecordData::Ns(name("ns1.example.com"));
            let authority = vec![Record { name: name(DOMAIN), ttl: 300, data }];
            Ok(Response { authority, ..Response::new(Rcode::NOERROR) })
        }));
    }, &["server-lame"]),
    degraded("one server refuses one name, as a rate limit does", |s| {
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::REFUSED).below(BBB));
    }, &["server-lame"]),
    degraded("one server's TXT are too long for UDP, and TCP is closed", |s| {
        s.world.server(World::NS2).fault(Fault::TruncatedWithoutTcp.for_kind(RecordKind::Txt));
    }, &["tcp-unanswerable"]),
    unknown("one question to one server could not be sent from here", cannot_send, &[]),
    unknown("the TXT at one server could not be asked from here", |s| {
        s.meddle(|question, vantage, _| {
            let fails = vantage.address().ip() == World::NS2 && question.kind == RecordKind::Txt;
            fails.then(|| Err(LookupError::Local("no descriptors".to_owned())))
        });
    }, &[]),
    degraded("one server is silent, and one question to it could not be sent from here", |s| {
        s.meddle(|question, vantage, _| {
            let could_send = *question != Question::new(name(BBB), RecordKind::Txt);
            let error = if could_send { scene::silence() } else { LookupError::Local("no descriptors".to_owned()) };
            (vantage.address().ip() == World::NS2).then_some(Err(error))
        });
    }, &["server-unreachable"]),
    degraded("one question could not be sent from here, and the provider is in temporary failure", |s| {
        s.identity.status = ProviderStatus::TemporaryFailure;
        cannot_send(s);
    }, &["provider-behind"]).exposing(0, 2),
];

/// A selector of one's own, which is an alias to where the key is.
fn own_alias(scene: &mut Scene) {
    own_key(scene, KEY);
    scene.world.remove("s1._domainkey.example.com");
    scene.world.publish("s1._domainkey.example.com CNAME key.dkim.amazonses.com");
    scene.world.publish(&format!("key.dkim.amazonses.com TXT {}", strings(KEY)));
}

/// Resolvers leave out the authority section, and with it the proof of what isn't there.
fn pass_on_answers_alone(scene: &mut Scene) {
    scene.meddle(|question, vantage, world| {
        vantage.is_recursive().then(|| -> Outcome {
            let response = world.answer(question, vantage)?;
            Ok(Response { authority: Vec::new(), additional: Vec::new(), ..response })
        })
    });
}

fn own_resolver_with_private_view(scene: &mut Scene) {
    scene.world.add_resolver(SECOND).serve_privately(Zone::new(DOMAIN));
    scene.places.resolvers.insert(0, Vantage::System { address: (SECOND, 53).into() });
}

fn cannot_send(scene: &mut Scene) {
    scene.meddle(|question, vantage, _| {
        let fails = vantage.address().ip() == World::NS2 && question.name == name(BBB);
        fails.then(|| Err(LookupError::Local("no descriptors".to_owned())))
    });
}

#[test]
fn no_resolver_decides_alone() {
    assert_all(RESOLVERS);
}

#[test]
fn nothing_on_the_way_passes_for_the_servers() {
    assert_all(WAYS);
}

#[test]
fn no_quirk_of_a_server_passes_for_another_fault() {
    assert_all(SERVERS);
}

/// How sure each cause is, in order.
fn certainties(report: &Report) -> Vec<Certainty> {
    report.causes.iter().map(|cause| cause.certainty).collect()
}

#[test]
fn a_resolver_is_certainly_at_fault_where_another_shows_it() {
    let report = take(|s| {
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Rcode(Rcode::SERVFAIL));
    });
    assert_eq!(certainties(&report), [Certainty::Certain], "{report}");
}

#[test]
fn what_nobody_confirms_is_likely() {
    type Row = (&'static str, fn(&mut Scene));
    let table: [Row; 4] = [
        ("the only resolver fails", |s| {
            s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below(DOMAIN));
        }),
        ("no server is asked, and denials lack their proof", |s| {
            s.skip_servers();
            s.world.remove(BBB).publish("bbb._domainkey.example.com A 192.0.2.1");
            pass_on_answers_alone(s);
        }),
        ("a resolver without recursion", |s| {
            s.depth = Depth::Quick;
            s.world.resolver(World::RESOLVER).fault(Fault::NoRecursion);
        }),
        ("all sound as far as is seen, and the provider has not looked", |s| {
            s.identity.status = ProviderStatus::TemporaryFailure;
            cannot_send(s);
        }),
    ];
    for (name, breaks) in table {
        let report = take(breaks);
        assert_eq!(certainties(&report), [Certainty::Likely], "{name}\n{report}");
    }
}
