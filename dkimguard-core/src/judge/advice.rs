//! [`Advice`]: what would be better otherwise, and changes no verdict.

use std::fmt;

use serde::{Serialize, Serializer};

use super::catalogue::advice;
use super::diagnosis::Evidence;
use super::{Explanation, State, Verdict};
use crate::key_record::{KeyRecord, PublicKey};
use crate::look::{Rcode, Response, Vantage};
use crate::name::Name;
use crate::record::{RecordData, RecordKind};

/// Under how many seconds a TTL is short: each passing fault of a server is felt at once then.
const SHORT_TTL: u32 = 60;
/// Over how many seconds an absence is remembered for long; RFC 2308 §5 finds one to three hours sensible.
const LONG_NEGATIVE_TTL: u32 = 3 * 3600;
/// Under how many bits an RSA key is short of what RFC 8301 §3.2 advises.
const ADVISED_RSA_BITS: u32 = 2048;

macro_rules! catalogue {
    ($($(#[$doc:meta])* $variant:ident $code:literal $title:literal => $explanation:path;)*) => {
        /// One piece of advice in the catalogue. Codes never change.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum AdviceCode {
            $($(#[$doc])* $variant,)*
        }

        impl AdviceCode {
            /// All advice, in the catalogue's order.
            pub const ALL: &[Self] = &[$(Self::$variant),*];

            /// The code in JSON and on the command line.
            pub fn code(self) -> &'static str {
                match self { $(Self::$variant => $code,)* }
            }

            /// The advice in a few words.
            pub fn title(self) -> &'static str {
                match self { $(Self::$variant => $title,)* }
            }

            /// The long text on it.
            pub fn explanation(self) -> &'static Explanation {
                match self { $(Self::$variant => &$explanation,)* }
            }

            /// What to do about it in general.
            pub fn remedy(self) -> &'static str {
                self.explanation().remedy
            }
        }
    };
}

catalogue! {
    /// Not exactly one MX at the MAIL FROM domain, or not the provider's.
    MailFromMx "mail-from-mx" "MAIL FROM lacks the provider's one MX" => advice::MAIL_FROM_MX;
    /// No SPF record at the MAIL FROM domain, several, or one without the provider's include.
    MailFromSpf "mail-from-spf" "MAIL FROM lacks an SPF record with the provider" => advice::MAIL_FROM_SPF;
    /// No DMARC policy, at the domain or at its organisational domain.
    DmarcMissing "dmarc-missing" "No DMARC policy is published" => advice::DMARC_MISSING;
    /// The DMARC record can't be used.
    DmarcInvalid "dmarc-invalid" "The DMARC record cannot be used" => advice::DMARC_INVALID;
    /// `adkim=s` or `aspf=s` breaks what this identity sends.
    DmarcStrictAlignment "dmarc-strict-alignment" "Strict DMARC alignment excludes this mail" => advice::DMARC_STRICT_ALIGNMENT;
    /// The DMARC policy is quarantine or reject while DKIM isn't healthy.
    DmarcEnforced "dmarc-enforced" "DMARC is enforced while DKIM is not healthy" => advice::DMARC_ENFORCED;
    /// The records' TTL is so short that each passing fault is felt.
    TtlShort "ttl-short" "The TTL of a record is short" => advice::TTL_SHORT;
    /// An absence is remembered for long.
    NegativeTtlLong "negative-ttl-long" "Resolvers remember an absence for long" => advice::NEGATIVE_TTL_LONG;
    /// An RSA key of 1024 bits or more, and of fewer than 2048.
    Key1024 "key-1024" "The key has fewer than 2048 bits" => advice::KEY_1024;
}

impl fmt::Display for AdviceCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.code())
    }
}

impl Serialize for AdviceCode {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.code())
    }
}

/// One thing that would be better otherwise.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advice {
    /// Which row of the catalogue.
    pub code: AdviceCode,
    /// What was seen here and what to do about it, in whole sentences.
    pub detail: String,
}

impl Advice {
    /// The code in JSON and on the command line.
    pub fn code(&self) -> &'static str {
        self.code.code()
    }

    /// The advice in a few words.
    pub fn title(&self) -> &'static str {
        self.code.title()
    }
}

type Rule = fn(&Evidence<'_>, Verdict) -> Vec<Advice>;

/// The rules, in the catalogue's order.
const RULES: &[Rule] = &[mail_from_mx, mail_from_spf, dmarc, ttl_short, negative_ttl_long, key_1024];

/// What would be better otherwise, as far as it was seen.
pub(super) fn advise(evidence: &Evidence<'_>, verdict: Verdict) -> Vec<Advice> {
    RULES.iter().flat_map(|rule| rule(evidence, verdict)).collect()
}

fn mail_from_mx(evidence: &Evidence<'_>, _: Verdict) -> Vec<Advice> {
    let Some(mail_from) = &evidence.identity.mail_from else { return Vec::new() };
    let Some(response) = definite(evidence, &mail_from.domain, RecordKind::Mx) else { return Vec::new() };
    let exchanges: Vec<&Name> = response
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RecordData::Mx { exchange, .. } => Some(exchange),
            _ => None,
        })
        .collect();
    if exchanges == [&mail_from.mx] {
        return Vec::new();
    }
    let seen = match exchanges.len() {
        0 => "it has none".to_owned(),
        _ => format!("it has {}", exchanges.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ")),
    };
    let detail = format!(
        "{} must have exactly one MX, {}; {seen}. Bounces get lost, and the provider may refuse to send.",
        mail_from.domain, mail_from.mx
    );
    vec![Advice { code: AdviceCode::MailFromMx, detail }]
}

fn mail_from_spf(evidence: &Evidence<'_>, _: Verdict) -> Vec<Advice> {
    let Some(mail_from) = &evidence.identity.mail_from else { return Vec::new() };
    let Some(texts) = texts_at(evidence, &mail_from.domain) else { return Vec::new() };
    // The provider's SPF record stands at the registered domain of its mail exchangers.
    let Some(include) = mail_from.mx.registered_domain() else { return Vec::new() };
    let policies: Vec<&String> = texts.iter().filter(|text| is_spf(text)).collect();
    let seen = match policies[..] {
        [] => "it has no SPF record".to_owned(),
        [policy] if includes(policy, &include) => return Vec::new(),
        [policy] => format!("it has \"{policy}\""),
        _ => format!("it has {} SPF records, which is the same as none (RFC 7208 §4.5)", policies.len()),
    };
    let detail = format!("{} must have one SPF record with include:{include}; {seen}.", mail_from.domain);
    vec![Advice { code: AdviceCode::MailFromSpf, detail }]
}

fn is_spf(text: &str) -> bool {
    text.split_whitespace().next().is_some_and(|first| first.eq_ignore_ascii_case("v=spf1"))
}

fn includes(policy: &str, include: &Name) -> bool {
    policy.split_whitespace().any(|term| {
        let term = term.trim_start_matches('+');
        term.split_once(':').is_some_and(|(mechanism, name)| {
            mechanism.eq_ignore_ascii_case("include")
                && name.parse::<Name>().is_ok_and(|name| name == *include)
        })
    })
}

/// The DMARC policy in force for the domain.
struct Policy {
    /// Where it was found.
    at: Name,
    /// What happens to mail that fails.
    action: String,
    strict_dkim: bool,
    strict_spf: bool,
}

/// What the look for a DMARC policy comes to.
enum Sought {
    Unseen,
    Missing,
    Invalid(Name, String),
    Found(Policy),
}

fn dmarc(evidence: &Evidence<'_>, verdict: Verdict) -> Vec<Advice> {
    let domain = evidence.identity.domain();
    let one = |code, detail| vec![Advice { code, detail }];
    let policy = match policy_of(evidence, domain) {
        Sought::Unseen => return Vec::new(),
        Sought::Missing => {
            let detail = format!(
                "Neither _dmarc.{domain} nor the organisational domain has a DMARC record; large receivers ask for \
                 one (RFC 7489)."
            );
            return one(AdviceCode::DmarcMissing, detail);
        }
        Sought::Invalid(at, why) => {
            let detail =
                format!("The DMARC record at {at} {why}, so receivers act as though there were none.");
            return one(AdviceCode::DmarcInvalid, detail);
        }
        Sought::Found(policy) => policy,
    };
    let mut advice = Vec::new();
    let mut strict = Vec::new();
    if policy.strict_dkim {
        strict.push(format!("adkim=s: mail from a subdomain of {domain}, signed by this identity, fails"));
    }
    if let Some(mail_from) = evidence.identity.mail_from.as_ref().filter(|_| policy.strict_spf) {
        strict.push(format!(
            "aspf=s: the MAIL FROM domain {} is not the domain of the sender",
            mail_from.domain
        ));
    }
    if !strict.is_empty() {
        let detail = format!("The DMARC record at {} has {}.", policy.at, strict.join("; and "));
        advice.push(Advice { code: AdviceCode::DmarcStrictAlignment, detail });
    }
    let is_ill = matches!(verdict, Verdict::Failing | Verdict::Degraded);
    if is_ill && matches!(policy.action.as_str(), "quarantine" | "reject") {
        let detail = format!(
            "The DMARC record at {} says p={}, and DKIM is {verdict}: mail is being lost now. Until it is mended, \
             p=none keeps it coming.",
            policy.at, policy.action
        );
        advice.push(Advice { code: AdviceCode::DmarcEnforced, detail });
    }
    advice
}

/// The policy at the domain, else that of its organisational domain (RFC 7489 §6.6.3).
fn policy_of(evidence: &Evidence<'_>, domain: &Name) -> Sought {
    let organisation = domain.registered_domain().filter(|organisation| organisation != domain);
    for (place, is_above) in [(Some(domain.clone()), false), (organisation, true)] {
        let Some(at) = place.and_then(|place| place.child("_dmarc").ok()) else { continue };
        let Some(texts) = texts_at(evidence, &at) else { return Sought::Unseen };
        let records: Vec<&String> = texts.iter().filter(|text| is_dmarc(text)).collect();
        match records[..] {
            [] => {}
            [record] => return read_policy(at, record, is_above),
            _ => return Sought::Invalid(at, format!("is one of {}", records.len())),
        }
    }
    Sought::Missing
}

fn is_dmarc(text: &str) -> bool {
    let first = text.split(';').next().unwrap_or_default();
    first.split_once('=').is_some_and(|(tag, value)| tag.trim() == "v" && value.trim() == "DMARC1")
}

fn read_policy(at: Name, record: &str, is_above: bool) -> Sought {
    let tag = |name: &str| {
        record
            .split(';')
            .filter_map(|tag| tag.split_once('='))
            .find(|(tag, _)| tag.trim().eq_ignore_ascii_case(name))
            .map(|(_, value)| value.trim().to_ascii_lowercase())
    };
    let action = if is_above { tag("sp").or_else(|| tag("p")) } else { tag("p") };
    match action {
        None => Sought::Invalid(at, "has no p= tag".to_owned()),
        Some(action) if !matches!(action.as_str(), "none" | "quarantine" | "reject") => {
            Sought::Invalid(at, format!("has p={action}, which is none of none, quarantine and reject"))
        }
        Some(action) => Sought::Found(Policy {
            at,
            action,
            strict_dkim: tag("adkim").as_deref() == Some("s"),
            strict_spf: tag("aspf").as_deref() == Some("s"),
        }),
    }
}

fn ttl_short(evidence: &Evidence<'_>, _: Verdict) -> Vec<Advice> {
    let shortest = evidence
        .records
        .iter()
        .flat_map(|record| &record.findings)
        .filter(|finding| finding.state == State::Holds && finding.observation.vantage.is_authoritative())
        .filter_map(|finding| {
            let response = finding.observation.outcome.as_ref().ok()?;
            let name = &finding.observation.question.name;
            let ttls = response.answers.iter().filter(|record| record.name == *name).map(|record| record.ttl);
            Some((ttls.min()?, name))
        })
        .min();
    let Some((ttl, name)) = shortest.filter(|(ttl, _)| *ttl < SHORT_TTL) else { return Vec::new() };
    let detail = format!(
        "{name} has a TTL of {ttl} s: each passing fault of a name server is felt at once. An hour serves as well."
    );
    vec![Advice { code: AdviceCode::TtlShort, detail }]
}

fn negative_ttl_long(evidence: &Evidence<'_>, _: Verdict) -> Vec<Advice> {
    evidence
        .survey
        .zones
        .iter()
        .filter_map(|zone| {
            let (soa, ttl) = evidence.soa_of(&zone.zone)?;
            let remembered = ttl.min(soa.minimum);
            (remembered > LONG_NEGATIVE_TTL).then(|| Advice {
                code: AdviceCode::NegativeTtlLong,
                detail: format!(
                    "An absence in {} is remembered for {remembered} s, the smaller of the SOA's TTL and its minimum \
                     (RFC 2308 §5); a record that was lost stays lost so long after it is mended.",
                    zone.zone
                ),
            })
        })
        .collect()
}

fn key_1024(evidence: &Evidence<'_>, _: Verdict) -> Vec<Advice> {
    evidence
        .records
        .iter()
        .filter(|record| record.expected.value.kind() == RecordKind::Txt)
        .filter_map(|record| {
            let held = record.findings.iter().find(|finding| finding.state == State::Holds)?;
            let key = KeyRecord::parse(held.values.first()?.as_bytes()).ok()?;
            match key.key() {
                PublicKey::Rsa { bits } if *bits < ADVISED_RSA_BITS => Some(Advice {
                    code: AdviceCode::Key1024,
                    detail: format!(
                        "The RSA key at {} has {bits} bits; {ADVISED_RSA_BITS} are advised (RFC 8301 §3.2).",
                        record.expected.name
                    ),
                }),
                _ => None,
            }
        })
        .collect()
}

/// What a resolver says for certain about a name: the world's view first, this machine's own last.
fn definite<'a>(evidence: &Evidence<'a>, name: &Name, kind: RecordKind) -> Option<&'a Response> {
    let (own, public): (Vec<&Vantage>, Vec<&Vantage>) =
        evidence.survey.resolvers.iter().partition(|resolver| matches!(resolver, Vantage::System { .. }));
    public.into_iter().chain(own).find_map(|resolver| {
        let response = evidence.survey.at(resolver, name, kind)?.outcome.as_ref().ok()?;
        let is_proof = response.rcode == Rcode::NXDOMAIN
            || (response.rcode == Rcode::NOERROR
                && (!response.answers.is_empty() || response.proof_of_absence().is_some()));
        is_proof.then_some(response)
    })
}

/// The TXT records of a name, each with its strings joined; none if nothing is known.
fn texts_at(evidence: &Evidence<'_>, name: &Name) -> Option<Vec<String>> {
    let response = definite(evidence, name, RecordKind::Txt)?;
    Some(response.texts(name).iter().map(ToString::to_string).collect())
}
