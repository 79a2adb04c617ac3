//! From what SES answers to an [`Identity`]. Nothing here asks.

use aws_sdk_ses::types::IdentityDkimAttributes;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use aws_sdk_sesv2::operation::put_email_identity_dkim_signing_attributes::PutEmailIdentityDkimSigningAttributesOutput;
use aws_sdk_sesv2::primitives::DateTime;
use aws_sdk_sesv2::types::{
    DkimAttributes, DkimSigningAttributesOrigin, MailFromAttributes, VerificationInfo,
};
use dkimguard_core::identity::{
    ExpectedValue, Identity, IdentityId, KeyMaker, MailFrom, ProviderStatus, Selector, Targets, Verification,
    VerificationSoa,
};
use dkimguard_core::judge::{Gap, Port};
use dkimguard_core::name::Name;
use jiff::Timestamp;

use crate::account::Owner;
use crate::region::Region;

/// The zone in which SES publishes keys where an answer names none.
const FALLBACK_ZONE: [&[u8]; 3] = [b"dkim", b"amazonses", b"com"];
/// How many tokens Easy DKIM has.
const EASY_TOKENS: usize = 3;

/// The zone in which SES publishes keys where an answer names none: `dkim.amazonses.com`.
pub(super) fn fallback_zone() -> Name {
    Name::from_labels(FALLBACK_ZONE).expect("the fallback is a name")
}

/// The identity of which nothing is known but that it is there.
pub(super) fn untold(domain: &Name, region: &Region) -> Identity {
    let id = IdentityId {
        provider: "ses".to_owned(),
        account: Some(Owner::UNKNOWN.to_owned()),
        region: Some(region.to_string()),
        domain: domain.clone(),
    };
    Identity { status: ProviderStatus::Unknown, ..Identity::new(id, Vec::new()) }
}

/// The identity that `GetEmailIdentity` tells of.
pub(super) fn from_v2(domain: &Name, region: &Region, told: &GetEmailIdentityOutput) -> Identity {
    let mut identity = untold(domain, region);
    match told.dkim_attributes() {
        Some(dkim) => {
            if let Some(text) = dkim.status() {
                identity.status = status(text.as_str());
            }
            identity.signing_enabled = Some(dkim.signing_enabled());
            read_selectors(&mut identity, dkim);
        }
        None => note(&mut identity, "SES told nothing about DKIM".to_owned()),
    }
    identity.verification = told.verification_info().map(verification);
    if let Some(attributes) = told.mail_from_attributes() {
        read_mail_from(&mut identity, region, attributes);
    }
    identity
}

/// The identity that `GetIdentityDkimAttributes` tells of; the zone of the keys it doesn't tell.
pub(super) fn from_v1(
    domain: &Name,
    region: &Region,
    told: &IdentityDkimAttributes,
    zone: &Name,
) -> Identity {
    let mut identity = untold(domain, region);
    identity.status = status(told.dkim_verification_status().as_str());
    identity.signing_enabled = Some(told.dkim_enabled());
    match told.dkim_tokens() {
        [selector] => own_key(&mut identity, selector),
        tokens => {
            identity.targets = Targets::Assumed;
            easy(&mut identity, tokens, zone);
        }
    }
    identity
}

/// The identity as the answer to `PutEmailIdentityDkimSigningAttributes` tells it, out of what it was before; none where
/// the answer doesn't tell status, tokens and hosted zone in words that are known.
pub(super) fn after_rearm(
    before: &Identity,
    told: &PutEmailIdentityDkimSigningAttributesOutput,
) -> Option<Identity> {
    let status = status(told.dkim_status()?.as_str());
    let is_started = matches!(status, ProviderStatus::Pending | ProviderStatus::Success);
    let zone: Name = told.signing_hosted_zone()?.parse().ok()?;
    if !is_started || zone.is_root() || told.dkim_tokens().len() < EASY_TOKENS {
        return None;
    }
    let mut identity = Identity { status, selectors: Vec::new(), status_since: None, ..before.clone() };
    easy(&mut identity, told.dkim_tokens(), &zone);
    (identity.selectors.len() == told.dkim_tokens().len()).then_some(identity)
}

/// Whether SES v1 tells all that a look needs, the zone of the keys apart: verified, and with as many tokens as
/// only Easy DKIM has.
pub(super) fn is_plain(told: &IdentityDkimAttributes) -> bool {
    status(told.dkim_verification_status().as_str()) == ProviderStatus::Success
        && told.dkim_tokens().len() == EASY_TOKENS
}

/// Whether SES v1 knows the domain. Of one that it doesn't know it may say that nothing was started.
pub(super) fn is_known(told: &IdentityDkimAttributes) -> bool {
    !told.dkim_tokens().is_empty()
        || status(told.dkim_verification_status().as_str()) != ProviderStatus::NotStarted
}

/// The zone that this identity's keys are in, if its region made them: that of a replica is another region's.
pub(super) fn zone_of_region(told: &GetEmailIdentityOutput) -> Option<Name> {
    let dkim = told.dkim_attributes()?;
    match Origin::of(dkim) {
        Origin::Easy => dkim.signing_hosted_zone()?.parse().ok(),
        Origin::Replica | Origin::OwnKey | Origin::Unknown(_) => None,
    }
}

/// Who made the keys.
enum Origin<'a> {
    /// SES, in this region.
    Easy,
    /// SES, in another region, which the origin names.
    Replica,
    /// The customer.
    OwnKey,
    /// Somebody that this version doesn't know.
    Unknown(&'a str),
}

impl<'a> Origin<'a> {
    fn of(dkim: &'a DkimAttributes) -> Self {
        match dkim.signing_attributes_origin().map(DkimSigningAttributesOrigin::as_str) {
            None | Some("AWS_SES") => Self::Easy,
            Some("EXTERNAL") => Self::OwnKey,
            Some(text) if text.starts_with("AWS_SES_") => Self::Replica,
            Some(text) => Self::Unknown(text),
        }
    }
}

fn read_selectors(identity: &mut Identity, dkim: &DkimAttributes) {
    let zone = match dkim.signing_hosted_zone().map(str::parse::<Name>) {
        None => None,
        Some(Ok(zone)) if !zone.is_root() => Some(zone),
        Some(_) => {
            let text = dkim.signing_hosted_zone().unwrap_or_default();
            note(identity, format!("SES names the hosted zone `{text}`, which is not a domain name"));
            return;
        }
    };
    identity.keys = match Origin::of(dkim) {
        // Without an origin a single selector looks like an own key, and starting that again would replace it.
        Origin::Easy if dkim.signing_attributes_origin().is_none() && dkim.tokens().len() == 1 => {
            KeyMaker::Unknown
        }
        Origin::Easy => KeyMaker::Provider,
        Origin::Replica => KeyMaker::Parent,
        Origin::OwnKey => KeyMaker::Owner,
        Origin::Unknown(_) => KeyMaker::Unknown,
    };
    match Origin::of(dkim) {
        Origin::Easy | Origin::Replica => {
            easy(identity, dkim.tokens(), &zone.unwrap_or_else(fallback_zone));
        }
        Origin::OwnKey => dkim.tokens().iter().for_each(|selector| own_key(identity, selector)),
        Origin::Unknown(origin) => {
            note(
                identity,
                format!("SES names the keys' origin `{origin}`, which this version does not know"),
            );
            if let Some(zone) = zone {
                easy(identity, dkim.tokens(), &zone);
            }
        }
    }
}

/// Easy DKIM: at each token a CNAME to the same token in SES's zone.
fn easy(identity: &mut Identity, tokens: &[String], zone: &Name) {
    for token in tokens {
        let label = token.parse::<Name>().ok().filter(|label| label.label_count() == 1);
        let selector = label.and_then(|label| {
            let target = label.appended(zone).ok()?;
            Some(Selector { label, value: ExpectedValue::Cname(target) })
        });
        match selector {
            Some(selector) => identity.selectors.push(selector),
            None => note(identity, format!("SES gives the token `{token}`, which is not a DNS label")),
        }
    }
}

/// A key of the customer's own: SES knows the selector, and never gives the key back.
fn own_key(identity: &mut Identity, selector: &str) {
    match selector.parse::<Name>() {
        Ok(label) if !label.is_root() => {
            identity.selectors.push(Selector { label, value: ExpectedValue::AnyKey });
        }
        _ => note(identity, format!("SES gives the selector `{selector}`, which is not a DNS name")),
    }
}

/// v2 and v1 write the same words in two ways.
fn status(text: &str) -> ProviderStatus {
    match text {
        "SUCCESS" | "Success" => ProviderStatus::Success,
        "PENDING" | "Pending" => ProviderStatus::Pending,
        "TEMPORARY_FAILURE" | "TemporaryFailure" => ProviderStatus::TemporaryFailure,
        "FAILED" | "Failed" => ProviderStatus::Failed,
        "NOT_STARTED" | "NotStarted" => ProviderStatus::NotStarted,
        other => ProviderStatus::Other(other.to_owned()),
    }
}

fn verification(told: &VerificationInfo) -> Verification {
    Verification {
        last_checked: told.last_checked_timestamp().and_then(timestamp),
        last_success: told.last_success_timestamp().and_then(timestamp),
        error: told.error_type().map(|error| error.as_str().to_owned()),
        soa: told.soa_record().and_then(|soa| {
            Some(VerificationSoa {
                primary: soa.primary_name_server()?.to_owned(),
                serial: u64::try_from(soa.serial_number()).ok()?,
            })
        }),
    }
}

fn timestamp(told: &DateTime) -> Option<Timestamp> {
    Timestamp::new(told.secs(), i32::try_from(told.subsec_nanos()).ok()?).ok()
}

fn read_mail_from(identity: &mut Identity, region: &Region, told: &MailFromAttributes) {
    let text = told.mail_from_domain();
    if text.is_empty() {
        return;
    }
    let mx = format!("feedback-smtp.{region}.amazonses.com").parse();
    match (text.parse(), mx) {
        (Ok(domain), Ok(mx)) => identity.mail_from = Some(MailFrom { domain, mx }),
        _ => note(identity, format!("SES names the MAIL FROM domain `{text}`, which is not a domain name")),
    }
}

fn note(identity: &mut Identity, detail: String) {
    identity.gaps.push(Gap { port: Port::IdentitySource, detail, transient: false });
}
