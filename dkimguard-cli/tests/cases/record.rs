//! Wrong records.

use super::{
    ALL_THREE, ANY_KEY, BARE_KEY, Case, ED25519_KEY, GONE2, HEALTHY, ONE_MISSING, S1, SHORT_KEY, below_mail,
    with_third, zone,
};
use crate::tree::Software::{Bind, Knot, Nsd, PowerDns};

pub(super) fn cases() -> Vec<Case> {
    let own_key =
        |name: &str, text: &str, servers| zone(name, &format!("s1._domainkey TXT {text}\n"), servers);
    vec![
        Case::failing("record-missing", zone("missing.dktest", ONE_MISSING, [Nsd, Knot]))
            .records(GONE2)
            .evidence(&["ns1.missing.dktest", "ns2.missing.dktest", "NXDOMAIN"])
            .shown(0, "gone2._domainkey", "CNAME", "NXDOMAIN", &[]),
        // A name below keeps the name of the record, which has no data of its own.
        Case::failing(
            "record-missing",
            with_third("missing-nodata.dktest", "below.gone2._domainkey TXT x", [Bind, PowerDns]),
        )
        .records(GONE2)
        .evidence(&["NOERROR, no CNAME"])
        .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &[])
        .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &[]),
        Case::failing("record-missing", zone("none.dktest", "", [Knot, Bind])).records(ALL_THREE),
        Case::failing(
            "name-doubled",
            with_third(
                "doubled.dktest",
                "gone2._domainkey.doubled.dktest CNAME gone2.dkim.amazonses.com.",
                [Nsd, Knot],
            ),
        )
        .records(GONE2)
        .evidence(&["gone2._domainkey.doubled.dktest.doubled.dktest"])
        .shown(1, "gone2._domainkey", "CNAME", "NXDOMAIN", &[]),
        // The form appends the zone, which lies above the domain.
        Case::failing(
            "name-doubled",
            zone(
                "doubled-above.dktest",
                &format!(
                    "{}gone2._domainkey.mail.doubled-above.dktest CNAME gone2.dkim.amazonses.com.\n",
                    below_mail(ONE_MISSING)
                ),
                [Bind, Knot],
            ),
        )
        .of_domain("mail.doubled-above.dktest")
        .records(GONE2)
        .evidence(&["gone2._domainkey.mail.doubled-above.dktest.doubled-above.dktest"]),
        Case::failing(
            "value-doubled",
            zone(
                "value-above.dktest",
                &format!("{}gone2._domainkey.mail CNAME gone2.dkim.amazonses.com\n", below_mail(ONE_MISSING)),
                [PowerDns, Knot],
            ),
        )
        .of_domain("mail.value-above.dktest")
        .records(GONE2)
        .evidence(&["gone2.dkim.amazonses.com.value-above.dktest"]),
        Case::failing(
            "underscore-lost",
            with_third("underscore.dktest", "gone2.domainkey CNAME gone2.dkim.amazonses.com.", [Knot, PowerDns]),
        )
        .records(GONE2)
        .evidence(&["gone2.domainkey.underscore.dktest"]),
        // The final dot is forgotten.
        Case::failing(
            "value-doubled",
            with_third("value.dktest", "gone2._domainkey CNAME gone2.dkim.amazonses.com", [Nsd, Bind]),
        )
        .records(GONE2)
        .evidence(&["gone2.dkim.amazonses.com.value.dktest"])
        .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &["gone2.dkim.amazonses.com.value.dktest."]),
        Case::failing(
            "wrong-target",
            with_third("region.dktest", "gone2._domainkey CNAME gone2.dkim.eu-west-1.amazonses.com.", [Bind, PowerDns]),
        )
        .records(GONE2)
        .evidence(&["gone2.dkim.eu-west-1.amazonses.com"]),
        Case::failing(
            "wrong-target",
            with_third("swapped.dktest", "gone2._domainkey CNAME active.dkim.amazonses.com.", [Nsd, Knot]),
        )
        .records(GONE2)
        .evidence(&["active.dkim.amazonses.com"]),
        // It leads to the right place by a name of one's own.
        Case::failing(
            "wrong-target",
            with_third(
                "detour.dktest",
                "gone2._domainkey CNAME detour\ndetour CNAME gone2.dkim.amazonses.com.",
                [Knot, Bind],
            ),
        )
        .records(GONE2)
        .evidence(&["detour.detour.dktest"]),
        Case::failing("cname-flattened", with_third("proxied.dktest", "gone2._domainkey A 192.0.2.7", [Nsd, PowerDns]))
            .records(GONE2)
            .evidence(&["192.0.2.7"])
            .shown(1, "gone2._domainkey", "CNAME", "NOERROR", &[]),
        Case::failing(
            "cname-flattened",
            with_third("proxied-ipv6.dktest", "gone2._domainkey AAAA 2001:db8::7", [Bind, Knot]),
        )
        .records(GONE2)
        .evidence(&["2001:db8::7"]),
        Case::failing(
            "cname-flattened",
            zone(
                "flattened.dktest",
                &HEALTHY.replace("CNAME active.dkim.amazonses.com.", &format!("TXT {BARE_KEY}")),
                [Bind, PowerDns],
            ),
        )
        .records(&["active._domainkey"])
        .evidence(&["p=MIIB"])
        .shown(0, "active._domainkey", "CNAME", "NOERROR", &[]),
        Case::failing(
            "txt-instead-of-cname",
            with_third("text.dktest", "gone2._domainkey TXT \"gone2.dkim.amazonses.com\"", [Nsd, Bind]),
        )
        .records(GONE2)
        .evidence(&["TXT gone2.dkim.amazonses.com"]),
        Case::failing(
            "txt-instead-of-cname",
            with_third(
                "other-key.dktest",
                &format!("gone2._domainkey TXT \"v=DKIM1; k=ed25519; p={ED25519_KEY}\""),
                [Knot, PowerDns],
            ),
        )
        .records(GONE2)
        .evidence(&["k=ed25519"]),
        // A scheme, quotes, and a dash that only looks like one.
        Case::failing(
            "malformed-value",
            zone(
                "malformed.dktest",
                "active._domainkey CNAME http\\058\\047\\047active.dkim.eu-west-1.amazonses.com.\ngone1._domainkey CNAME \
                 \\\"gone1.dkim.eu-west-1.amazonses.com\\\".\ngone2._domainkey CNAME \
                 gone2.dkim.eu\\226\\128\\147west-1.amazonses.com.\n",
                [Nsd, Knot, Bind, PowerDns],
            ),
        )
        .identity(
            "tokens = [\"active\", \"gone1\", \"gone2\"]\nhosted_zone = \"dkim.eu-west-1.amazonses.com\"",
        )
        .records(ALL_THREE)
        .exposure(4, 4),
        // Of the four, only PowerDNS loads such a zone.
        Case::failing(
            "conflicting-records",
            zone(
                "conflict.dktest",
                &format!("{HEALTHY}gone2._domainkey CNAME gone2.dkim.eu-west-1.amazonses.com.\n"),
                [PowerDns],
            ),
        )
        .records(GONE2)
        .evidence(&["gone2.dkim.amazonses.com", "gone2.dkim.eu-west-1.amazonses.com"])
        .exposure(1, 1)
        .shown(0, "gone2._domainkey", "CNAME", "NOERROR", &[
            "gone2.dkim.amazonses.com.",
            "gone2.dkim.eu-west-1.amazonses.com.",
        ]),
        Case::failing(
            "wildcard-answer",
            zone("wildcard.dktest", "*._domainkey CNAME elsewhere.example.net.\n", [Nsd, Knot, Bind, PowerDns]),
        )
        .records(ALL_THREE)
        .evidence(&["elsewhere.example.net"])
        .exposure(4, 4),
        Case::failing(
            "wildcard-answer",
            with_third("wildcard-a.dktest", "*._domainkey A 192.0.2.9", [Knot, PowerDns]),
        )
        .records(GONE2)
        .evidence(&["192.0.2.9"]),
        Case::failing(
            "wildcard-answer",
            zone("wildcard-txt.dktest", "* TXT \"v=spf1 -all\"\n", [Nsd, Bind]),
        )
        .records(ALL_THREE)
        .evidence(&["v=spf1 -all"]),
        Case::degraded(
            "no-active-key",
            zone(
                "no-key.dktest",
                "gone1._domainkey CNAME gone1.dkim.amazonses.com.\nempty1._domainkey CNAME \
                 empty1.dkim.amazonses.com.\nnodata1._domainkey CNAME nodata1.dkim.amazonses.com.\n",
                [Nsd, Bind],
            ),
        )
        .identity(r#"tokens = ["gone1", "empty1", "nodata1"]"#)
        .records(&["gone1._domainkey", "empty1._domainkey", "nodata1._domainkey"])
        .exposure(0, 2),
        Case::failing("key-revoked", own_key("revoked.dktest", r#""v=DKIM1; k=rsa; p=""#, [Nsd, Knot]))
            .identity(ANY_KEY)
            .records(S1),
        Case::failing("key-unreadable", own_key("unreadable.dktest", "\"see the manual\"", [Bind, PowerDns]))
            .identity(ANY_KEY)
            .records(S1)
            .evidence(&["see the manual"]),
        Case::failing(
            "key-weak",
            own_key("weak.dktest", &format!("\"v=DKIM1; k=rsa; p={SHORT_KEY}\""), [Nsd, Knot]),
        )
        .identity(ANY_KEY)
        .records(S1)
        .evidence(&["512"]),
        Case::failing("key-mismatch", own_key("mismatch.dktest", BARE_KEY, [Knot, PowerDns]))
            .identity(
                r#"selectors = [{ label = "s1", txt = "v=DKIM1; k=ed25519; p=/CQSQgL4jNR5FCDdWKCXQhzaRRUyXwg4o80MXOXSWFE=" }]"#,
            )
            .records(S1),
        Case::failing(
            "several-keys",
            own_key(
                "several.dktest",
                &format!("\"v=DKIM1; k=ed25519; p={ED25519_KEY}\"\ns1._domainkey TXT {BARE_KEY}"),
                [Bind, Knot],
            ),
        )
        .identity(ANY_KEY)
        .records(S1),
        Case::failing("record-missing", zone("no-selector.dktest", "", [Nsd, PowerDns])).identity(ANY_KEY).records(S1),
    ]
}
