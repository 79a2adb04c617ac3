//! Who brought a cause about: the change that explains it, if the history names one.

use super::{Cause, Diagnosis};
use crate::history::{Effect, Event, IdentityChange, Topic, ZoneChange};
use crate::identity::Identity;
use crate::zone::{HostedZone, Visibility};

/// Adds to each cause the latest change that explains it.
pub(super) fn attribute(causes: &mut [Diagnosis], changes: &[Event]) {
    for cause in causes {
        cause.changed_by =
            changes.iter().find(|event| explains(&event.effect, cause)).map(|event| event.change.clone());
    }
}

fn explains(effect: &Effect, diagnosis: &Diagnosis) -> bool {
    match (diagnosis.cause, effect) {
        (
            Cause::WrongNameservers
            | Cause::SeveralZones
            | Cause::DomainGone
            | Cause::DelegationMismatch
            | Cause::ServerLame,
            Effect::NameServersMoved { .. },
        )
        | (Cause::SeveralZones | Cause::WrongNameservers, Effect::ZoneCreated)
        | (Cause::ServerLame | Cause::WrongNameservers, Effect::ZoneDeleted)
        | (Cause::DnssecBogus, Effect::SigningOfZoneStopped)
        | (Cause::TokensChanged, Effect::DkimSetUp { .. } | Effect::IdentityCreated)
        | (Cause::IdentityRecreated, Effect::IdentityDeleted)
        | (Cause::SigningDisabled, Effect::SigningSwitched) => true,
        (cause, Effect::Records { written, deleted }) if !is_about_provider(cause) => {
            diagnosis.records.iter().any(|record| written.contains(record) || deleted.contains(record))
        }
        _ => false,
    }
}

fn is_about_provider(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::ProviderBehind
            | Cause::ProviderGaveUp
            | Cause::NotStarted
            | Cause::SigningDisabled
            | Cause::ReplicaBroken
            | Cause::IdentityRecreated
    )
}

/// What the history is asked, once it is known what is wrong: one question, about what explains most.
pub(in crate::judge) fn topic(causes: &[Diagnosis], identity: &Identity, zones: &[HostedZone]) -> Topic {
    let domain = identity.domain();
    let about_identity =
        |sought| Topic::Identity { domain: domain.clone(), region: identity.id.region.clone(), sought };
    let about_zone = |sought| {
        let zone = zones.iter().find(|zone| zone.visibility == Visibility::Public)?;
        Some(Topic::Zone { id: zone.id.clone(), sought })
    };
    let about_delegation = || Some(Topic::Delegation { domain: domain.registered_domain()? });
    let topic = causes.iter().find_map(|cause| match cause.cause {
        Cause::WrongNameservers
        | Cause::SeveralZones
        | Cause::DomainGone
        | Cause::DelegationMismatch
        | Cause::ServerLame => about_delegation(),
        Cause::TokensChanged => Some(about_identity(IdentityChange::SetUpAnew)),
        Cause::SigningDisabled => Some(about_identity(IdentityChange::SigningSwitched)),
        Cause::Offline | Cause::ResolverFailing | Cause::KeyTesting => None,
        cause if is_about_provider(cause) => None,
        Cause::DnssecBogus => about_zone(ZoneChange::Signing),
        _ => about_zone(ZoneChange::Records),
    });
    topic.unwrap_or_else(|| about_identity(IdentityChange::Deleted))
}
