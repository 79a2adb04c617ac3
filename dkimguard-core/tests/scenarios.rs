//! One table: a broken world in; verdict, causes, exposure out. Beside each cause stands the healthy look-alike
//! that a sloppy rule would take for it.

mod scene;

use dkimguard_core::history::{Change, Effect, Event};
use dkimguard_core::identity::{
    ExpectedValue, MailFrom, ProviderStatus, Selector, Targets, Verification, VerificationSoa,
};
use dkimguard_core::judge::{Advice, AdviceCode, Cause, Depth, Paint, PastState, State, Verdict};
use dkimguard_core::look::{Authoritative, Rcode, Vantage};
use dkimguard_core::record::{Record, RecordData, RecordKind};
use dkimguard_core::testing::{Fault, PUBLIC_KEY, TOKENS, World, Zone, easy_dkim_identity};
use dkimguard_core::zone::{HostedZone, Visibility};
use jiff::{SignedDuration, Timestamp};

use scene::{
    AAA, BBB, DOMAIN, KEY, NOW, SECOND, Scenario, Scene, assert_all, degraded, exposed, failing, healthy,
    name, own_key, take, unknown,
};

#[rustfmt::skip]
const SCENARIOS: &[Scenario] = &[
    // Healthy forms.
    healthy("as it comes: one target holds a key, two are idle", |_| {}),
    healthy("idle targets answer an empty TXT", |s| {
        s.world.publish("ccc.dkim.amazonses.com TXT \"\"");
    }),
    healthy("idle targets exist without TXT", |s| {
        s.world.replace("bbb.dkim.amazonses.com A 127.0.0.1").publish("ccc.dkim.amazonses.com A 127.0.0.1");
        s.world.server(World::TARGETS).remove_kind("bbb.dkim.amazonses.com", RecordKind::Txt);
    }),
    healthy("a wildcard beside the records", |s| { s.world.publish("*.example.com CNAME elsewhere.example.net"); }),
    healthy("a wildcard that gives the right value", |s| {
        s.identity.selectors.truncate(1);
        s.world.remove(AAA).publish("*._domainkey.example.com CNAME aaa.dkim.amazonses.com");
    }),
    healthy("tokens of other regions as neighbours", |s| {
        s.world.publish("zzz._domainkey.example.com CNAME zzz.dkim.eu-west-3.amazonses.com");
    }),
    healthy("a CNAME chain behind the right target", |s| {
        s.world.remove("aaa.dkim.amazonses.com").publish("aaa.dkim.amazonses.com CNAME key.dkim.amazonses.com");
        s.world.publish(&format!("key.dkim.amazonses.com TXT \"p={}\"", PUBLIC_KEY));
    }),
    healthy("a DNAME at _domainkey", |s| {
        for token in ["aaa", "bbb", "ccc"] { s.world.remove(&format!("{token}._domainkey.example.com")); }
        s.world.publish("_domainkey.example.com DNAME dkim.amazonses.com");
    }),
    healthy("_domainkey delegated to a zone that holds the records", |s| {
        for token in ["aaa", "bbb", "ccc"] { s.world.remove(&format!("{token}._domainkey.example.com")); }
        let lines = "aaa CNAME aaa.dkim.amazonses.com.\nbbb CNAME bbb.dkim.amazonses.com.\nccc CNAME ccc.dkim.amazonses.com.";
        let zone = Zone::new("_domainkey.example.com").with(lines);
        s.world.host(zone, [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)]);
    }),
    healthy("a zone below another, of whose servers one is silent", |s| {
        s.identity = easy_dkim_identity("mail.example.com");
        let records: String = TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat();
        let servers = [("ns3.example.com", [127, 0, 83, 13].into()), ("ns4.example.com", [127, 0, 83, 14].into())];
        s.world.host(Zone::new("mail.example.com").with(&records), servers);
        s.world.server(World::NS2).fault(Fault::Silent);
    }),
    healthy("records of TTL 0", |s| { s.world.replace("aaa._domainkey.example.com 0 CNAME aaa.dkim.amazonses.com"); }),
    healthy("the targets cannot be looked up", |s| { s.world.fault("dkim.amazonses.com", Fault::Rcode(Rcode::SERVFAIL)); }),
    healthy("one of two resolvers is silent", |s| {
        s.world.add_resolver([127, 0, 83, 54].into()).fault(Fault::Silent);
        s.places.resolvers.push(Vantage::Resolver { address: ([127, 0, 83, 54], 53).into() });
    }).listing(&["resolver-failing"]),
    healthy("an IPv6 address where IPv6 leads nowhere", |s| {
        s.world.publish("ns2.example.com AAAA 2001:db8::2");
        s.world.serve("2001:db8::2".parse().expect("it is an address"), Zone::new("example.com"));
        s.world.server("2001:db8::2".parse().expect("it is an address")).fault(Fault::NoRoute);
    }),
    healthy("servers that answer SOA and NS with a failure, and the records rightly", |s| {
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Soa));
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Ns));
    }),
    exposed(healthy("a zone on one server", |s| {
        s.world.undelegate(DOMAIN).delegate(DOMAIN, [("ns1.example.com", World::NS1)]);
        s.world.server(World::NS1).remove_kind(DOMAIN, RecordKind::Ns).publish("example.com NS ns1.example.com");
    }), 0, 1),
    exposed(healthy("no name server is to be asked, nor can it be", |s| {
        s.close_port_53();
        s.places.authoritative = Authoritative::Skip;
    }), 0, 0),
    exposed(healthy("no name server is to be asked", |s| s.places.authoritative = Authoritative::Skip), 0, 0),
    exposed(healthy("a glance through one resolver", |s| s.depth = Depth::Quick), 0, 0),

    // Healthy forms that look like a cause; LOOK_ALIKES says like which.
    healthy("a doubled name beside the right one", |s| {
        s.world.publish("bbb._domainkey.example.com.example.com CNAME bbb.dkim.amazonses.com");
    }),
    healthy("a name without the underscore beside the right one", |s| {
        s.world.publish("bbb.domainkey.example.com CNAME bbb.dkim.amazonses.com");
    }),
    healthy("a provider whose target lies below the domain, doubled as it looks", |s| {
        s.identity.selectors = vec![Selector { label: name("s1"), value: ExpectedValue::Cname(name("s1.example.com.example.com")) }];
        s.world.publish("s1._domainkey.example.com CNAME s1.example.com.example.com");
        s.world.publish(&format!("s1.example.com.example.com TXT \"p={PUBLIC_KEY}\""));
    }),
    healthy("a target with hyphens", |s| {
        s.identity.selectors = vec![Selector { label: name("s1"), value: ExpectedValue::Cname(name("s-1.dkim.amazonses.com")) }];
        s.world.publish("s1._domainkey.example.com CNAME s-1.dkim.amazonses.com");
        s.world.publish(&format!("s-1.dkim.amazonses.com TXT \"p={PUBLIC_KEY}\""));
    }),
    healthy("serials that differ while the records agree", |s| {
        s.world.server(World::NS2).replace("example.com 3600 SOA ns1.example.com hostmaster.example.com 99 3600 600 86400 300");
    }),
    healthy("a server that cuts short what nobody needs", |s| {
        s.world.server(World::NS2).fault(Fault::TruncatedWithoutTcp.for_kind(RecordKind::Soa));
    }),
    healthy("the name servers in another order", |s| {
        s.world.server(World::NS2).remove_kind(DOMAIN, RecordKind::Ns).publish("example.com NS ns2.example.com\nexample.com NS ns1.example.com");
    }),
    healthy("a subdomain that is no registered domain and is not delegated", |s| {
        s.identity = easy_dkim_identity("mail.example.com");
        for token in TOKENS { s.world.publish(&format!("{token}._domainkey.mail.example.com CNAME {token}.dkim.amazonses.com")); }
    }),
    healthy("a provider that does not say whether it signs", |s| s.identity.signing_enabled = None),
    healthy("a retired selector beside the one in use", |s| {
        own_key(s, KEY);
        s.world.publish("old._domainkey.example.com TXT \"v=DKIM1; p=\"");
    }),
    healthy("a key record of p= alone", |s| own_key(s, &KEY.replace("v=DKIM1; k=rsa; ", ""))),
    healthy("an ed25519 key, short by design", |s| own_key(s, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=")),
    healthy("the expected key in another text", |s| {
        own_key(s, &KEY.replace("v=DKIM1; k=rsa; ", "n=mail; k=rsa ; "));
        s.identity.selectors[0].value = ExpectedValue::Key(Box::new(KEY.parse().expect("it is a key")));
    }),
    healthy("a key that forbids subdomains", |s| own_key(s, &KEY.replace("k=rsa", "t=s"))),

    // The record.
    failing("a record is missing everywhere", |s| { s.world.remove(BBB); }, &["record-missing"]),
    failing("all records are missing, and the name with them", |s| {
        for token in ["aaa", "bbb", "ccc"] { s.world.remove(&format!("{token}._domainkey.example.com")); }
    }, &["record-missing"]),
    failing("a record is missing beside a TXT that is no key", |s| {
        s.world.remove(BBB).publish("bbb._domainkey.example.com TXT \"google-site-verification=x\"");
    }, &["record-missing"]),
    failing("the zone is appended to the name", |s| {
        s.world.remove(BBB).publish("bbb._domainkey.example.com.example.com CNAME bbb.dkim.amazonses.com");
    }, &["name-doubled"]),
    failing("a wildcard of another type makes the doubled name exist", |s| {
        for token in ["aaa", "bbb", "ccc"] { s.world.remove(&format!("{token}._domainkey.example.com")); }
        s.world.publish("*.example.com TXT \"v=spf1 -all\"");
    }, &["wildcard-answer"]),
    failing("the underscore is lost", |s| {
        s.world.remove(BBB).publish("bbb.domainkey.example.com CNAME bbb.dkim.amazonses.com");
    }, &["underscore-lost"]),
    failing("the zone is appended to the value", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME bbb.dkim.amazonses.com.example.com");
    }, &["value-doubled"]),
    failing("another region's hosted zone", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME bbb.dkim.eu-west-3.amazonses.com");
    }, &["wrong-target"]),
    failing("a detour that leads to the right place", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME detour.example.com");
        s.world.publish("detour.example.com CNAME bbb.dkim.amazonses.com");
    }, &["wrong-target"]),
    failing("a proxied record", |s| {
        s.world.remove(BBB).publish("bbb._domainkey.example.com A 192.0.2.80");
    }, &["cname-flattened"]),
    failing("a flattened record", |s| {
        s.world.publish("ccc.dkim.amazonses.com TXT \"p=QUJD\"");
        s.world.remove("ccc._domainkey.example.com").publish("ccc._domainkey.example.com TXT \"p=QUJD\"");
    }, &["cname-flattened"]),
    failing("a TXT with a key instead of the CNAME", |s| {
        s.world.remove(BBB).publish(&format!("bbb._domainkey.example.com TXT \"{}\" \"{}\"", &KEY[..200], &KEY[200..]));
    }, &["txt-instead-of-cname"]),
    failing("the target's name as a TXT", |s| {
        s.world.remove(BBB).publish("bbb._domainkey.example.com TXT \"bbb.dkim.amazonses.com\"");
    }, &["txt-instead-of-cname"]),
    failing("quotes in the value", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME \\\"bbb.dkim.amazonses.com\\\"");
    }, &["malformed-value"]),
    failing("a web address as the value", |s| {
        s.world.replace("bbb._domainkey.example.com CNAME http://bbb.dkim.amazonses.com");
    }, &["malformed-value"]),
    failing("a CNAME beside a TXT", |s| {
        s.world.publish("bbb._domainkey.example.com TXT \"beside\"");
    }, &["conflicting-records"]),
    failing("a CNAME beside an address", |s| { s.world.publish("bbb._domainkey.example.com A 192.0.2.1"); }, &["conflicting-records"]),
    failing("two CNAMEs", |s| {
        s.world.publish("bbb._domainkey.example.com CNAME other.dkim.amazonses.com");
    }, &["conflicting-records"]),
    failing("only a wildcard CNAME answers", |s| {
        s.world.remove(BBB).publish("*._domainkey.example.com CNAME parking.example.net");
    }, &["wildcard-answer"]),
    failing("only a wildcard address answers", |s| {
        s.world.remove(BBB).publish("*._domainkey.example.com A 192.0.2.80");
    }, &["wildcard-answer"]),
    exposed(degraded("no target holds a key", |s| {
        for token in ["aaa", "bbb", "ccc"] {
            s.world.server(World::TARGETS).replace(&format!("{token}.dkim.amazonses.com TXT \"\""));
        }
    }, &["no-active-key"]), 0, 2),

    // Own keys.
    healthy("an own key, in several strings", |s| own_key(s, KEY)),
    failing("an own key is missing", |s| { own_key(s, KEY); s.world.remove("s1._domainkey.example.com"); }, &["record-missing"]),
    failing("an own key is revoked", |s| own_key(s, "v=DKIM1; p="), &["key-revoked"]),
    failing("an own key cannot be read", |s| own_key(s, "v=DKIM1; k=rsa"), &["key-unreadable"]),
    failing("an own key of 512 bits", |s| own_key(s, WEAK), &["key-weak"]),
    failing("another key than the expected", |s| {
        own_key(s, "v=DKIM1; k=ed25519; p=11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo=");
        s.identity.selectors[0].value = ExpectedValue::Key(Box::new(KEY.parse().expect("it is a key")));
    }, &["key-mismatch"]),
    failing("two TXT records at the selector", |s| {
        own_key(s, KEY);
        s.world.publish("s1._domainkey.example.com TXT \"v=DKIM1; p=\"");
    }, &["several-keys"]),
    healthy("a key that is tested", |s| own_key(s, &KEY.replace("k=rsa", "t=y"))).listing(&["key-testing"]),
    healthy("the selector is an alias to where the key is", |s| {
        own_key(s, KEY);
        s.world.remove("s1._domainkey.example.com");
        s.world.publish("s1._domainkey.example.com CNAME key.dkim.amazonses.com");
        s.world.publish(&format!("key.dkim.amazonses.com TXT \"{}\" \"{}\"", &KEY[..200], &KEY[200..]));
    }),
    failing("the selector is an alias to where no key is", |s| {
        own_key(s, KEY);
        s.world.remove("s1._domainkey.example.com");
        s.world.publish("s1._domainkey.example.com CNAME key.dkim.amazonses.com");
    }, &["record-missing"]),
    unknown("the same, as one resolver says while the other is silent", |s| {
        own_key(s, KEY);
        s.world.remove("s1._domainkey.example.com");
        s.world.publish("s1._domainkey.example.com CNAME key.dkim.amazonses.com");
        s.add_resolver();
        s.world.resolver(SECOND).fault(Fault::Silent);
    }, &["resolver-failing"]),

    // The servers.
    degraded("one server lacks a record", |s| { s.world.server(World::NS2).remove(BBB); }, &["servers-disagree"]),
    degraded("one server has another value", |s| {
        s.world.server(World::NS2).replace("bbb._domainkey.example.com CNAME old.dkim.amazonses.com");
    }, &["servers-disagree", "wrong-target"]),
    degraded("one server leads TXT elsewhere than the CNAME", |s| {
        let other = Zone::new("example.com").with("bbb._domainkey CNAME aaa.dkim.amazonses.com.");
        s.world.server(World::NS2).fault(Fault::OtherCopy(Box::new(other)).for_kind(RecordKind::Txt).below(BBB));
    }, &["servers-disagree", "conflicting-records"]),
    degraded("one server refuses", |s| { s.world.server(World::NS2).fault(Fault::Rcode(Rcode::REFUSED)); }, &["server-lame"]),
    degraded("one server has no authority", |s| { s.world.server(World::NS2).fault(Fault::NotAuthoritative); }, &["server-lame"]),
    degraded("one server refers to the root", |s| { s.world.server(World::NS2).fault(Fault::UpwardReferral); }, &["server-lame"]),
    degraded("one server fails", |s| { s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL)); }, &["server-failing"]),
    degraded("one server doesn't know the question", |s| { s.world.server(World::NS2).fault(Fault::Rcode(Rcode::NOTIMP)); }, &["server-failing"]),
    degraded("one server sends what is no message", |s| { s.world.server(World::NS2).fault(Fault::Malformed); }, &["server-failing"]),
    degraded("one server's absences prove nothing", |s| { s.world.server(World::NS2).fault(Fault::EmptyWithoutSoa); }, &["server-failing"]),
    degraded("one server is silent", |s| { s.world.server(World::NS2).fault(Fault::Silent); }, &["server-unreachable"]),
    degraded("one server's port is closed", |s| { s.world.server(World::NS2).fault(Fault::PortClosed); }, &["server-unreachable"]),
    degraded("one server does not answer TXT", |s| {
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).for_kind(RecordKind::Txt));
    }, &["txt-unanswerable"]),
    degraded("one server truncates and has no TCP", |s| { s.world.server(World::NS2).fault(Fault::TruncatedWithoutTcp); }, &["tcp-unanswerable"]),
    degraded("a server name has no address", |s| {
        s.world.undelegate(DOMAIN).delegate(DOMAIN, [("ns1.example.com", World::NS1)]);
        s.world.server(World::TLD).publish("example.com NS gone.example.com");
    }, &["server-lame", "delegation-mismatch"]).exposing(1, 3),
    failing("one server is lame, the other down", |s| {
        s.world.server(World::NS1).fault(Fault::Rcode(Rcode::REFUSED));
        s.world.server(World::NS2).fault(Fault::Silent);
    }, &["server-lame", "server-unreachable"]),
    failing("no server answers TXT", |s| {
        s.world.fault(DOMAIN, Fault::Rcode(Rcode::REFUSED).for_kind(RecordKind::Txt));
    }, &["txt-unanswerable"]),
    failing("a record is missing at the one server that answers", |s| {
        s.world.remove(BBB);
        s.world.server(World::NS2).fault(Fault::Silent);
    }, &["record-missing", "server-unreachable"]),

    // The zone.
    exposed(failing("a bogus zone", |s| { s.world.make_bogus(DOMAIN, 7, "signature expired"); }, &["dnssec-bogus"]), 0, 2),
    exposed(healthy("a zone that one resolver cannot validate, and another has validated", |s| {
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below(DOMAIN));
        s.world.add_resolver([127, 0, 83, 54].into());
        s.places.resolvers.push(Vantage::Resolver { address: ([127, 0, 83, 54], 53).into() });
    }).listing(&["resolver-failing"]), 0, 2),
    exposed(degraded("a resolver remembers an absence", |s| {
        s.world.resolver(World::RESOLVER).cache_absence(BBB, 60);
    }, &["negative-cached"]), 0, 2),
    exposed(unknown("the only resolver cannot resolve the domain", |s| {
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below(DOMAIN));
    }, &["resolver-failing"]), 0, 2),
    exposed(unknown("nothing can be reached", |s| s.world = World::empty(), &["offline"]), 0, 0),
    exposed(unknown("a resolver that is itself cut off answers failures", |s| {
        s.world = World::with_root();
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL));
    }, &["offline"]), 0, 0),
    exposed(unknown("nothing can be reached at a glance", |s| { s.world = World::empty(); s.depth = Depth::Quick; }, &["offline"]), 0, 0),
    exposed(unknown("name servers are out of reach, resolvers are not", |s| {
        s.close_port_53();
    }, &[]), 0, 0),

    // The delegation.
    failing("the name servers were moved: the records are in a hosted zone that nobody is sent to", |s| {
        empty_zone(s);
        s.zones = vec![hosted("Z1", Visibility::Public, OLD_SERVERS, TODAY)];
        s.changes = vec![event("UpdateDomainNameservers", Effect::NameServersMoved { domain: name(DOMAIN) })];
    }, &["wrong-nameservers"]),
    failing("the name servers were moved to a host that answers for every name", |s| {
        let moved = "@ NS ns1.example.com.\n@ NS ns2.example.com.\nns1 A 127.0.83.11\nns2 A 127.0.83.12\n*._domainkey A 192.0.2.80";
        s.world.undelegate(DOMAIN).host(Zone::new(DOMAIN).with(moved), [("ns9.example.com", [127, 0, 83, 19].into())]);
    }, &["wrong-nameservers"]).exposing(1, 3),
    failing("the name servers were moved, and the zone still names the old ones", |s| {
        s.world.undelegate(DOMAIN).host(
            Zone::new(DOMAIN).with("@ NS ns1.example.com.\n@ NS ns2.example.com.\nns1 A 127.0.83.11\nns2 A 127.0.83.12"),
            [("ns9.example.com", [127, 0, 83, 19].into())],
        );
    }, &["wrong-nameservers"]).exposing(1, 3),
    failing("the provider reached another zone than the one that is delegated now", |s| {
        empty_zone(s);
        s.identity.verification = Some(reached("ns-1.awsdns-00.com"));
    }, &["wrong-nameservers"]),
    failing("the records are in no zone, and the hosted zone is the delegated one", |s| {
        empty_zone(s);
        s.zones = vec![hosted("Z1", Visibility::Public, SERVERS, &[])];
    }, &["record-missing"]),
    failing("one record is missing where the world is sent, and an old zone still has all", |s| {
        s.world.remove(BBB);
        s.zones = vec![hosted("Z1", Visibility::Public, OLD_SERVERS, TODAY)];
    }, &["record-missing"]),
    healthy("an old hosted zone that nobody is sent to any more", |s| {
        s.zones = vec![hosted("Z1", Visibility::Public, OLD_SERVERS, TODAY)];
    }),
    failing("two hosted zones, and the records are in the wrong one", |s| {
        empty_zone(s);
        s.zones = vec![
            hosted("Z1", Visibility::Public, SERVERS, &[]),
            hosted("Z2", Visibility::Public, OLD_SERVERS, TODAY),
        ];
    }, &["several-zones"]),
    healthy("two hosted zones, and the records are in the delegated one", |s| {
        s.zones = vec![
            hosted("Z1", Visibility::Public, SERVERS, TODAY),
            hosted("Z2", Visibility::Public, OLD_SERVERS, &[]),
        ];
    }),
    failing("the records are only in a private zone", |s| {
        empty_zone(s);
        s.zones = vec![
            hosted("Z1", Visibility::Public, SERVERS, &[]),
            hosted("Z2", Visibility::Private, &[], TODAY),
        ];
    }, &["private-zone"]),
    failing("only this machine's resolver sees the records", |s| {
        empty_zone(s);
        own_resolver(s);
        let records: String = TOKENS.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat();
        s.world.resolver(OWN_RESOLVER.into()).serve_privately(Zone::new(DOMAIN).with(&records));
    }, &["private-zone"]),
    healthy("this machine's resolver serves a private view without the records", |s| {
        own_resolver(s);
        s.world.resolver(OWN_RESOLVER.into()).serve_privately(Zone::new(DOMAIN));
    }),
    failing("a delegation of _domainkey hides the records", |s| {
        s.world.host(Zone::new("_domainkey.example.com"), [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)]);
    }, &["zone-cut"]),
    failing("a subdomain that is a zone of its own lacks its records", |s| {
        s.identity = easy_dkim_identity("mail.example.com");
        s.world.host(Zone::new("mail.example.com"), [("ns1.example.com", World::NS1), ("ns2.example.com", World::NS2)]);
    }, &["record-missing"]),
    degraded("the parent and the zone name different servers", |s| {
        s.world.server(World::TLD).publish("example.com NS ns3.example.com\nns3.example.com A 127.0.83.11");
    }, &["delegation-mismatch"]).exposing(0, 2),
    exposed(failing("the domain is not registered any more", |s| {
        s.world.undelegate(DOMAIN);
        s.world.server(World::TLD).remove("ns1.example.com").remove("ns2.example.com");
    }, &["domain-gone"]), 1, 1),
    failing("the domain is parked", |s| {
        s.world.host(Zone::new("sedoparking.com"), [("ns1.sedoparking.com", World::NS1)]);
        s.world.undelegate(DOMAIN).host(Zone::new(DOMAIN), [("ns1.sedoparking.com", World::NS1)]);
    }, &["domain-gone"]).exposing(1, 1),
    failing("the parking service answers for every name", |s| {
        s.world.host(Zone::new("sedoparking.com"), [("ns1.sedoparking.com", World::NS1)]);
        let wildcard = Zone::new(DOMAIN).with("* A 192.0.2.80");
        s.world.undelegate(DOMAIN).host(wildcard, [("ns1.sedoparking.com", World::NS1)]);
    }, &["domain-gone"]).exposing(1, 1),
    failing("yesterday's tokens are published", |s| {
        empty_zone(s);
        s.witnesses.earlier_selectors = vec![name("old1")];
        s.zones = vec![hosted("Z1", Visibility::Public, SERVERS, &["old1"])];
    }, &["tokens-changed"]),
    failing("three tokens of the same shape are in the zone", |s| {
        empty_zone(s);
        s.zones = vec![hosted("Z1", Visibility::Public, SERVERS, &["old1", "old2", "old3"])];
    }, &["tokens-changed"]),
    failing("another account's tokens are in the zone", |s| {
        empty_zone(s);
        s.zones = vec![hosted("Z1", Visibility::Public, SERVERS, &["old1", "old2", "old3", "old4", "old5", "old6"])];
    }, &["record-missing"]),
    healthy("earlier tokens beside today's", |s| {
        s.witnesses.earlier_selectors = vec![name("old1")];
        s.world.publish("old1._domainkey.example.com CNAME old1.dkim.amazonses.com");
    }),

    // Time.
    degraded("a record comes and goes at one server", |s| {
        s.witnesses.past = past(&[State::Holds, State::Absent, State::Holds, State::Absent]);
    }, &["flapping"]).exposing(0, 2),
    healthy("a record was absent once", |s| {
        s.witnesses.past = past(&[State::Holds, State::Absent, State::Holds]);
    }),
    degraded("a record was absent once, and a question about it is lost now", |s| {
        s.witnesses.past = past(&[State::Holds, State::Absent, State::Holds]);
        s.world.server(World::NS2).fault(Fault::Rcode(Rcode::SERVFAIL).below(AAA));
    }, &["server-failing"]).exposing(1, 2),
    degraded("a record was absent once, and is again", |s| {
        s.witnesses.past = past(&[State::Holds, State::Absent, State::Holds]);
        s.world.server(World::NS2).remove(AAA);
    }, &["servers-disagree", "flapping"]).exposing(1, 2),

    // Through resolvers alone.
    exposed(failing("a missing record, no name server asked", |s| {
        s.world.remove(BBB);
        s.places.authoritative = Authoritative::Skip;
    }, &["record-missing"]), 0, 0),
    exposed(failing("a doubled name, no name server asked", |s| {
        s.world.remove(BBB).publish("bbb._domainkey.example.com.example.com CNAME bbb.dkim.amazonses.com");
        s.places.authoritative = Authoritative::Skip;
    }, &["name-doubled"]), 0, 0),
    exposed(failing("a missing record at a glance", |s| { s.world.remove(BBB); s.depth = Depth::Quick; }, &["record-missing"]), 0, 0),

    // The provider.
    exposed(degraded("the provider still says pending", |s| s.identity.status = ProviderStatus::Pending, &["provider-behind"]), 0, 2),
    exposed(degraded("the provider still says temporary failure", |s| {
        s.identity.status = ProviderStatus::TemporaryFailure;
    }, &["provider-behind"]), 0, 2),
    exposed(failing("one bad server while the provider signs nothing", |s| {
        s.identity.status = ProviderStatus::TemporaryFailure;
        s.world.server(World::NS2).remove(BBB);
    }, &["servers-disagree"]), 1, 2),
    exposed(failing("the provider has given up on sound records", |s| {
        s.identity.status = ProviderStatus::Failed;
    }, &["provider-gave-up"]), 0, 2),
    exposed(failing("the provider has given up, and one server is bad", |s| {
        s.identity.status = ProviderStatus::Failed;
        s.world.server(World::NS2).remove(BBB);
    }, &["servers-disagree", "provider-gave-up"]), 1, 2),
    exposed(failing("never set up", |s| {
        s.identity.status = ProviderStatus::NotStarted;
        s.identity.selectors.clear();
    }, &["not-started"]), 0, 0),
    exposed(failing("signing is switched off", |s| s.identity.signing_enabled = Some(false), &["signing-disabled"]), 0, 2),
    exposed(failing("the replica of another region's identity", |s| {
        s.identity.verification = Some(Verification {
            error: Some("REPLICATION_ACCESS_DENIED".to_owned()),
            ..Verification::default()
        });
    }, &["replica-broken"]), 0, 2),
    healthy("an error of the provider's last look that is over", |s| {
        s.identity.verification =
            Some(Verification { error: Some("HOST_NOT_FOUND".to_owned()), ..Verification::default() });
    }),
    exposed(degraded("the identity was deleted and made anew", |s| {
        s.changes = vec![event("DeleteEmailIdentity", Effect::IdentityDeleted)];
    }, &["identity-recreated"]), 0, 2),
    healthy("the identity was made, and never deleted", |s| {
        s.changes = vec![event("CreateEmailIdentity", Effect::IdentityCreated)];
    }),
    unknown("a status that this version does not know", |s| {
        s.identity.status = ProviderStatus::Other("ON_HOLD".to_owned());
    }, &[]),
    unknown("the provider did not tell the zone of the targets, and they are in another than usual", |s| {
        s.identity.targets = Targets::Assumed;
        for token in ["aaa", "bbb", "ccc"] {
            s.world.replace(&format!("{token}._domainkey.example.com CNAME {token}.dkim.eu-west-3.amazonses.com"));
        }
    }, &[]),
    healthy("the provider did not tell the zone of the targets, and they are in the usual one", |s| {
        s.identity.targets = Targets::Assumed;
    }),
    failing("the provider did not tell the zone of the targets, and a record is missing", |s| {
        s.identity.targets = Targets::Assumed;
        s.world.remove(BBB);
    }, &["record-missing"]),
    unknown("nobody knows what the provider says", |s| s.identity.status = ProviderStatus::Unknown, &[]),
];

const WEAK: &str = "v=DKIM1; k=rsa; p=MFwwDQYJKoZIhvcNAQEBBQADSwAwSAJBALeJ1KmRvpeZTc/6HWRTNtbwSYeiQ86SD3h27TpRg0Vda9tt6MgmtM5rqh0/8rA74rdDFzx+76OwEn9QWd5BW3MCAwEAAQ==";

const TODAY: &[&str] = &TOKENS;
const SERVERS: &[&str] = &["ns1.example.com", "ns2.example.com"];
const OLD_SERVERS: &[&str] = &["ns-1.awsdns-00.com", "ns-2.awsdns-00.net"];
const OWN_RESOLVER: [u8; 4] = [127, 0, 83, 55];

/// The domain's zone without any of the records.
fn empty_zone(scene: &mut Scene) {
    for token in TOKENS {
        scene.world.remove(&format!("{token}._domainkey.example.com"));
    }
}

/// A resolver that this machine is configured to use, beside the public one.
fn own_resolver(scene: &mut Scene) {
    scene.world.add_resolver(OWN_RESOLVER.into());
    scene.places.resolvers.push(Vantage::System { address: (OWN_RESOLVER, 53).into() });
}

/// A hosted zone of the domain that holds the CNAMEs of these tokens.
fn hosted(id: &str, visibility: Visibility, servers: &[&str], tokens: &[&str]) -> HostedZone {
    let records = tokens.iter().map(|token| Record {
        name: name(&format!("{token}._domainkey.example.com")),
        ttl: 300,
        data: RecordData::Cname(name(&format!("{token}.dkim.amazonses.com"))),
    });
    HostedZone {
        id: id.to_owned(),
        host: "Route 53".to_owned(),
        name: name(DOMAIN),
        visibility,
        servers: servers.iter().map(|server| name(server)).collect(),
        records: records.collect(),
    }
}

fn event(action: &str, effect: Effect) -> Event {
    let change = Change {
        at: "2026-11-20T09:00:00Z".parse().expect("it is a time"),
        actor: "alice".to_owned(),
        action: action.to_owned(),
        tool: Some("AWS console".to_owned()),
        source: "CloudTrail us-east-1".to_owned(),
        event_id: "e-1".to_owned(),
    };
    Event { change, effect }
}

fn reached(primary: &str) -> Verification {
    let soa = VerificationSoa { primary: primary.to_owned(), serial: 1 };
    Verification { soa: Some(soa), ..Verification::default() }
}

/// How the record of the first token stood at the second server, an hour apart, the last one an hour ago.
fn past(states: &[State]) -> Vec<PastState> {
    let now: Timestamp = NOW.parse().expect("it is a time");
    let hours = (1..=states.len()).rev();
    hours
        .zip(states)
        .map(|(hours, &state)| PastState {
            at: now - SignedDuration::from_hours(i64::try_from(hours).expect("few hours")),
            record: name(AAA),
            vantage: Vantage::Authoritative {
                server: Some(name("ns2.example.com")),
                address: (World::NS2, 53).into(),
            },
            state,
        })
        .collect()
}

/// Beside each cause the healthy scenario that a sloppy rule would take for it.
const LOOK_ALIKES: &[(Cause, &str)] = &[
    (Cause::RecordMissing, "as it comes: one target holds a key, two are idle"),
    (Cause::NameDoubled, "a doubled name beside the right one"),
    (Cause::UnderscoreLost, "a name without the underscore beside the right one"),
    (Cause::ValueDoubled, "a provider whose target lies below the domain, doubled as it looks"),
    (Cause::WrongTarget, "a CNAME chain behind the right target"),
    (Cause::CnameFlattened, "idle targets exist without TXT"),
    (Cause::TxtInsteadOfCname, "an own key, in several strings"),
    (Cause::MalformedValue, "a target with hyphens"),
    (Cause::ConflictingRecords, "idle targets answer an empty TXT"),
    (Cause::WildcardAnswer, "a wildcard that gives the right value"),
    (Cause::TokensChanged, "earlier tokens beside today's"),
    (Cause::NoActiveKey, "the targets cannot be looked up"),
    (Cause::KeyRevoked, "a retired selector beside the one in use"),
    (Cause::KeyUnreadable, "a key record of p= alone"),
    (Cause::KeyWeak, "an ed25519 key, short by design"),
    (Cause::KeyMismatch, "the expected key in another text"),
    (Cause::SeveralKeys, "an own key, in several strings"),
    (Cause::KeyTesting, "a key that forbids subdomains"),
    (Cause::ServersDisagree, "serials that differ while the records agree"),
    (Cause::ServerLame, "_domainkey delegated to a zone that holds the records"),
    (Cause::ServerFailing, "servers that answer SOA and NS with a failure, and the records rightly"),
    (Cause::ServerUnreachable, "an IPv6 address where IPv6 leads nowhere"),
    (Cause::TxtUnanswerable, "as it comes: one target holds a key, two are idle"),
    (Cause::TcpUnanswerable, "a server that cuts short what nobody needs"),
    (Cause::WrongNameservers, "an old hosted zone that nobody is sent to any more"),
    (Cause::DelegationMismatch, "the name servers in another order"),
    (Cause::ZoneCut, "_domainkey delegated to a zone that holds the records"),
    (Cause::SeveralZones, "two hosted zones, and the records are in the delegated one"),
    (Cause::PrivateZone, "this machine's resolver serves a private view without the records"),
    (Cause::DnssecBogus, "a zone that one resolver cannot validate, and another has validated"),
    (Cause::DomainGone, "a subdomain that is no registered domain and is not delegated"),
    (Cause::NegativeCached, "this machine's resolver serves a private view without the records"),
    (Cause::ResolverFailing, "the targets cannot be looked up"),
    (Cause::ProviderBehind, "an error of the provider's last look that is over"),
    (Cause::ProviderGaveUp, "an error of the provider's last look that is over"),
    (Cause::NotStarted, "a provider that does not say whether it signs"),
    (Cause::SigningDisabled, "a provider that does not say whether it signs"),
    (Cause::ReplicaBroken, "an error of the provider's last look that is over"),
    (Cause::IdentityRecreated, "the identity was made, and never deleted"),
    (Cause::Flapping, "a record was absent once"),
    (Cause::Offline, "no name server is to be asked, nor can it be"),
];

#[test]
fn every_scenario_has_its_verdict_its_causes_and_its_exposure() {
    assert_all(SCENARIOS);
}

#[test]
fn records_to_publish_are_written_in_each_form_on_demand() {
    let missing = take(|s| {
        s.world.remove(BBB);
    });
    let text = missing.text(Paint::Plain).with_forms().to_string();
    for line in [
        "     bbb._domainkey.example.com. CNAME bbb.dkim.amazonses.com.",
        "             \"Name\": \"bbb._domainkey.example.com\",",
        "     resource \"aws_route53_record\" \"dkim_bbb__domainkey_example_com\" {",
        "     Name          bbb._domainkey",
    ] {
        assert!(text.lines().any(|shown| shown == line), "{line:?} in\n{text}");
    }
    assert!(!text.contains("dkim_aaa"), "a record that holds is not to be published:\n{text}");
    assert!(!missing.to_string().contains("aws_route53_record"), "without being asked for");
}

#[test]
fn where_nothing_is_to_be_published_no_form_is_shown() {
    for breaks in [
        |s: &mut Scene| {
            s.world.server(World::NS2).remove(BBB);
        },
        |s: &mut Scene| own_key(s, WEAK),
        |s: &mut Scene| s.identity.status = ProviderStatus::Pending,
    ] {
        let report = take(breaks);
        assert!(!report.causes.is_empty());
        assert_eq!(report.text(Paint::Plain).with_forms().to_string(), report.to_string());
    }
}

#[test]
fn every_cause_has_a_scenario_and_a_healthy_look_alike() {
    for cause in Cause::ALL {
        let code = cause.code();
        assert!(SCENARIOS.iter().any(|scenario| scenario.causes.contains(&code)), "{code} has no scenario");
        let look_alikes: Vec<&str> =
            LOOK_ALIKES.iter().filter(|(other, _)| other == cause).map(|(_, name)| *name).collect();
        assert!(!look_alikes.is_empty(), "{code} has no healthy look-alike");
        for name in look_alikes {
            let like = SCENARIOS.iter().find(|scenario| scenario.name == name);
            let like = like.unwrap_or_else(|| panic!("{code}: there is no scenario '{name}'"));
            assert_eq!(like.verdict, Verdict::Healthy, "{code}: {name}");
            assert!(!like.causes.contains(&code), "{code}: {name}");
        }
    }
}

struct Advised {
    name: &'static str,
    breaks: fn(&mut Scene),
    advice: &'static [&'static str],
}

const fn advised(name: &'static str, breaks: fn(&mut Scene), advice: &'static [&'static str]) -> Advised {
    Advised { name, breaks, advice }
}

#[rustfmt::skip]
const ADVICE: &[Advised] = &[
    advised("nothing", |_| {}, &[]),
    advised("no DMARC policy", |s| { s.world.remove("_dmarc.example.com"); }, &["dmarc-missing"]),
    advised("the policy of the organisational domain counts for a subdomain", |s| {
        s.identity = easy_dkim_identity("mail.example.com");
    }, &[]),
    advised("a DMARC policy that cannot be looked up is not missing", |s| {
        s.world.resolver(World::RESOLVER).fault(Fault::Rcode(Rcode::SERVFAIL).below("_dmarc.example.com"));
    }, &[]),
    advised("a DMARC record without a policy", |s| { s.world.replace("_dmarc.example.com TXT \"v=DMARC1\""); }, &["dmarc-invalid"]),
    advised("two DMARC records", |s| { s.world.publish("_dmarc.example.com TXT \"v=DMARC1; p=reject\""); }, &["dmarc-invalid"]),
    advised("another text beside the DMARC record", |s| { s.world.publish("_dmarc.example.com TXT \"hello\""); }, &[]),
    advised("strict alignment of DKIM", |s| { s.world.replace("_dmarc.example.com TXT \"v=DMARC1; p=none; adkim=s\""); }, &["dmarc-strict-alignment"]),
    advised("strict alignment of SPF with a MAIL FROM domain", |s| {
        mail_from(s, MX, SPF);
        s.world.replace("_dmarc.example.com TXT \"v=DMARC1; p=none; aspf=s\"");
    }, &["dmarc-strict-alignment"]),
    advised("strict alignment of SPF without a MAIL FROM domain", |s| {
        s.world.replace("_dmarc.example.com TXT \"v=DMARC1; p=none; aspf=s\"");
    }, &[]),
    advised("an enforced policy while DKIM holds", |s| { s.world.replace("_dmarc.example.com TXT \"v=DMARC1; p=reject\""); }, &[]),
    advised("an enforced policy while a record is missing", |s| {
        s.world.replace("_dmarc.example.com TXT \"v=DMARC1; p=reject\"").remove(BBB);
    }, &["dmarc-enforced"]),
    advised("a MAIL FROM domain as it must be", |s| mail_from(s, MX, SPF), &[]),
    advised("another MX", |s| mail_from(s, "MX 10 mx.example.com", SPF), &["mail-from-mx"]),
    advised("two MX", |s| { mail_from(s, MX, SPF); s.world.publish("bounce.example.com MX 20 mx.example.com"); }, &["mail-from-mx"]),
    advised("no SPF record", |s| mail_from(s, MX, "TXT \"hello\""), &["mail-from-spf"]),
    advised("an SPF record without the provider", |s| mail_from(s, MX, "TXT \"v=spf1 include:example.net ~all\""), &["mail-from-spf"]),
    advised("two SPF records", |s| { mail_from(s, MX, SPF); s.world.publish("bounce.example.com TXT \"v=spf1 -all\""); }, &["mail-from-spf"]),
    advised("a short TTL", |s| { s.world.replace("aaa._domainkey.example.com 5 CNAME aaa.dkim.amazonses.com"); }, &["ttl-short"]),
    advised("a long memory of absences", |s| {
        s.world.replace("example.com 86400 SOA ns1.example.com hostmaster.example.com 2 3600 600 86400 86400");
    }, &["negative-ttl-long"]),
    advised("an own key of 1024 bits", |s| own_key(s, SHORT), &["key-1024"]),
    advised("an own key of 2048 bits", |s| own_key(s, KEY), &[]),
];

const MX: &str = "MX 10 feedback-smtp.us-east-1.amazonses.com";
const SPF: &str = "TXT \"v=spf1 include:amazonses.com ~all\"";
const SHORT: &str = "v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQDKSleNogL/hymN0SozBi1K8WYCQTu6ulyBCb+2Zqne099iAe5NGelIZs0JqBm1TPP0nlDLH40GqlWPaH9J/rrnj1RKihvA8vRM2MqlHNXcf1qfVyZeRyBpgCxXwj+Jd/Dcdbjw5+ZuC9s2SRDM4vMeImcMLGqRBECec+dTB6K2JwIDAQAB";

fn mail_from(scene: &mut Scene, mx: &str, spf: &str) {
    let domain = name("bounce.example.com");
    scene.identity.mail_from = Some(MailFrom { domain, mx: name("feedback-smtp.us-east-1.amazonses.com") });
    scene.world.publish(&format!("bounce.example.com {mx}\nbounce.example.com {spf}"));
}

#[test]
fn every_piece_of_advice_is_given_where_it_helps_and_nowhere_else() {
    for case in ADVICE {
        let report = take(case.breaks);
        let advice: Vec<&str> = report.advice.iter().map(Advice::code).collect();
        assert_eq!(advice, case.advice, "{}\n{report}", case.name);
    }
    for code in AdviceCode::ALL {
        assert!(ADVICE.iter().any(|case| case.advice.contains(&code.code())), "{code} has no case");
    }
}
