//! Healthy zones of many shapes.

use super::{ALL_THREE, ANY_KEY, BARE_KEY, Case, ED25519_KEY, HEALTHY, below_mail, long_key, zone};
use crate::tree::Software::{Bind, Knot, Nsd, PowerDns};
use crate::tree::{Resolver, Server, Signing};

pub(super) fn cases() -> Vec<Case> {
    vec![
        // Unsigned, as are most of the following, under a signed parent.
        Case::healthy(zone("healthy.dktest", HEALTHY, [Nsd, Knot])),
        Case::healthy(zone("signed.dktest", HEALTHY, [Nsd, Knot]).signing(Signing::Valid)),
        Case::healthy(zone(
            "own-key.dktest",
            &format!("s1._domainkey TXT \"v=DKIM1; k=ed25519; p={ED25519_KEY}\""),
            [Nsd, Knot],
        ))
        .identity(ANY_KEY),
        // Idle targets in each form.
        Case::healthy(zone("idle-nodata.dktest", &tokens(["active", "nodata1", "nodata2"]), [Nsd, Knot]))
            .identity(r#"tokens = ["active", "nodata1", "nodata2"]"#),
        Case::healthy(zone("idle-empty.dktest", &tokens(["active", "empty1", "empty2"]), [Nsd, Knot]))
            .identity(r#"tokens = ["active", "empty1", "empty2"]"#),
        Case::healthy(zone("idle-mixed.dktest", &tokens(["gone1", "active", "empty1"]), [Bind, PowerDns]))
            .identity(r#"tokens = ["gone1", "active", "empty1"]"#),
        Case::healthy(zone(
            "wildcard-beside.dktest",
            &format!(
                "{HEALTHY}* A 192.0.2.1\n* TXT \"v=spf1 -all\"\n*._domainkey CNAME elsewhere.example.net.\n"
            ),
            [Bind, PowerDns],
        ))
        .shown(0, "other._domainkey", "CNAME", "NOERROR", &["elsewhere.example.net."])
        .shown(1, "other._domainkey", "CNAME", "NOERROR", &["elsewhere.example.net."]),
        Case::healthy(zone("dname.dktest", "_domainkey DNAME dkim.amazonses.com.\n", [Nsd, Knot, Bind]))
            .exposure(0, 3)
            .shown(
                0,
                "gone2._domainkey",
                "CNAME",
                "NOERROR",
                &["dkim.amazonses.com.", "gone2.dkim.amazonses.com."],
            ),
        Case::healthy(zone("keys-elsewhere.dktest", "", [Nsd, Knot]))
            .beside(zone("_domainkey.keys-elsewhere.dktest", &child_records(), [Bind, PowerDns]))
            .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &[]),
        Case::healthy(zone("keys-apart.dktest", "", [Nsd, Knot])).beside(zone(
            "_domainkey.keys-apart.dktest",
            &child_records(),
            [Nsd, Knot],
        )),
        Case::healthy(zone("signed-apart.dktest", "", [Nsd, Bind]).signing(Signing::Valid)).beside(
            zone("_domainkey.signed-apart.dktest", &child_records(), [Knot, PowerDns])
                .signing(Signing::Valid),
        ),
        Case::healthy(zone("chain.dktest", &tokens(["gone1", "alias", "gone2"]), [Knot, Bind]))
            .identity(r#"tokens = ["gone1", "alias", "gone2"]"#),
        Case::healthy(zone("four.dktest", HEALTHY, [Nsd, Knot, Bind, PowerDns].map(on_both))).exposure(0, 8),
        Case::healthy(
            zone("signed-four.dktest", HEALTHY, [Nsd, Knot, Bind, PowerDns].map(on_both))
                .signing(Signing::Valid),
        )
        .exposure(0, 8),
        Case::healthy(zone(
            "mixed-case.dktest",
            "Active._DomainKey CNAME Active.DKIM.AmazonSES.com.\nGONE1._domainkey CNAME \
             GONE1.dkim.AMAZONSES.COM.\ngone2._DOMAINKEY CNAME gone2.Dkim.amazonses.Com.\n",
            [Bind, PowerDns],
        ))
        .shown(0, "active._domainkey", "CNAME", "NOERROR", &["Active.DKIM.AmazonSES.com."])
        .shown(1, "gone1._domainkey", "CNAME", "NOERROR", &["GONE1.dkim.AMAZONSES.COM."]),
        Case::healthy(zone("unsigned.dkoptout", HEALTHY, [Knot, PowerDns])),
        Case::healthy(zone("signed.dkoptout", HEALTHY, [Nsd, Knot]).signing(Signing::OptOut)),
        // Its keys are a delegation without a DS, which NSEC3 with opt-out leaves out.
        Case::healthy(zone("keys.dkoptout", "", [Nsd, Bind]).signing(Signing::OptOut)).beside(zone(
            "_domainkey.keys.dkoptout",
            &child_records(),
            [Knot, PowerDns],
        )),
        Case::healthy(zone("neighbours.dktest", &neighbours(), [Knot, Bind])),
        Case::healthy(zone("ttl-0.dktest", &HEALTHY.replace(" CNAME", " 0 CNAME"), [Bind, PowerDns])),
        Case::healthy(zone(
            "one-name.dktest",
            HEALTHY,
            [Nsd, PowerDns].map(|software| Server::from(software).named("ns1.one-name.dktest.")),
        )),
        Case::healthy(zone("above.dktest", &below_mail(HEALTHY), [Nsd, PowerDns]))
            .of_domain("mail.above.dktest"),
        Case::healthy(zone("mail.beside.dktest", HEALTHY, [Bind, PowerDns])).beside(zone(
            "beside.dktest",
            "",
            [Nsd, Knot],
        )),
        // Nobody can look the targets up, which is the provider's affair and says nothing of the records.
        Case::healthy(zone(
            "targets-fail.dktest",
            &HEALTHY.replace("dkim.amazonses.com", "failing.dktest"),
            [Knot, Bind],
        ))
        .identity("tokens = [\"active\", \"gone1\", \"gone2\"]\nhosted_zone = \"failing.dktest\"")
        .beside(zone("failing.dktest", "", [Server::without_file(Nsd)])),
        // Beside the records that some of the causes go by.
        Case::healthy(zone(
            "wildcard-key.dktest",
            &format!("*._domainkey TXT {BARE_KEY}\n"),
            [Knot, PowerDns],
        ))
        .identity(ANY_KEY),
        Case::healthy(zone(
            "key-behind-alias.dktest",
            "s1._domainkey CNAME alias.dkim.amazonses.com.\n",
            [Nsd, Bind],
        ))
        .identity(ANY_KEY),
        Case::healthy(zone("long-key.dktest", &long_key(), [Nsd, Knot, Bind, PowerDns]))
            .identity(ANY_KEY)
            .exposure(0, 4),
        Case::healthy(zone("island.dktest", HEALTHY, [Nsd, Knot]).signing(Signing::ExpiredIsland)),
        Case::healthy(zone(
            "not-parked.dktest",
            HEALTHY,
            [Server::from(Nsd).named("ns1.sedoparking.com."), Server::from(Knot)],
        )),
        // The targets are on the same servers, which follow the CNAMEs there.
        Case::healthy(zone(
            "together.dktest",
            &HEALTHY.replace("dkim.amazonses.com", "targets.dktest"),
            [Knot, Bind, PowerDns],
        ))
        .identity("tokens = [\"active\", \"gone1\", \"gone2\"]\nhosted_zone = \"targets.dktest\"")
        .beside(zone("targets.dktest", &format!("active TXT {BARE_KEY}\n"), [Knot, Bind, PowerDns]))
        .exposure(0, 3)
        .shown(2, "gone2._domainkey", "TXT", "NXDOMAIN", &["gone2.targets.dktest."]),
        Case::listed(
            "key-testing",
            zone(
                "testing.dktest",
                &format!("s1._domainkey TXT \"v=DKIM1; k=ed25519; t=y; p={ED25519_KEY}\""),
                [Nsd, Bind],
            ),
        )
        .identity(ANY_KEY)
        .records(&["s1._domainkey"])
        .evidence(&["t=y"]),
        Case::listed("resolver-failing", zone("one-refuses.dktest", HEALTHY, [Nsd, Knot]))
            .through(&[Resolver::Validating, Resolver::Refusing])
            .records(ALL_THREE)
            .evidence(&["REFUSED"]),
        Case::listed("resolver-failing", zone("one-is-no-resolver.dktest", HEALTHY, [Bind, Knot]))
            .through(&[Resolver::Validating, Resolver::NotRecursive])
            .records(ALL_THREE),
        Case::listed("resolver-failing", zone("one-is-silent.dktest", HEALTHY, [PowerDns, Knot]))
            .through(&[Resolver::Silent, Resolver::Validating])
            .records(ALL_THREE)
            .evidence(&["no answer"]),
        Case::unknown("offline", zone("all-refuse.dktest", HEALTHY, [Nsd, Knot]))
            .likely()
            .through(&[Resolver::Refusing])
            .without_exposure(),
    ]
}

fn on_both(software: crate::tree::Software) -> Server {
    Server::from(software).with_ipv6()
}

/// The records of these tokens.
fn tokens(tokens: [&str; 3]) -> String {
    tokens.map(|token| format!("{token}._domainkey CNAME {token}.dkim.amazonses.com.\n")).concat()
}

/// The records in a zone that begins at `_domainkey`.
fn child_records() -> String {
    HEALTHY.replace("._domainkey", "")
}

/// The records among those of other regions and accounts.
fn neighbours() -> String {
    let others = ["eu-west-1", "ap-northeast-1"].map(|region| {
        ["one", "two", "three"]
            .map(|token| {
                format!("{token}{region}._domainkey CNAME {token}{region}.dkim.{region}.amazonses.com.\n")
            })
            .concat()
    });
    format!("{HEALTHY}{}old._domainkey CNAME old.dkim.amazonses.com.\n", others.concat())
}
