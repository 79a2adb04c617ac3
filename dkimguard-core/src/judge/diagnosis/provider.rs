//! The provider: what it says of the identity.

use super::delegation::provider_words;
use super::evidence::Evidence;
use super::{Cause, Certainty, Diagnosis};
use crate::history::Effect;
use crate::identity::ProviderStatus;
use crate::judge::Verdict;
use crate::judge::finding::State;

/// DKIM was never set up.
pub(super) fn not_started(evidence: &Evidence<'_>, _: &[Diagnosis]) -> Option<Diagnosis> {
    (evidence.identity.status == ProviderStatus::NotStarted).then(|| {
        said(
            evidence,
            Cause::NotStarted,
            Verdict::Failing,
            "DKIM is not set up at the provider",
            "The provider holds the domain and does not sign its mail: DKIM was never set up.",
        )
    })
}

/// The provider doesn't sign, because it was told so.
pub(super) fn signing_disabled(evidence: &Evidence<'_>, _: &[Diagnosis]) -> Option<Diagnosis> {
    let applies = evidence.identity.signing_enabled == Some(false)
        && evidence.identity.status != ProviderStatus::NotStarted;
    applies.then(|| {
        said(
            evidence,
            Cause::SigningDisabled,
            Verdict::Failing,
            "DKIM signing is switched off at the provider",
            "The provider does not sign mail of this domain, because signing is switched off for the identity.",
        )
    })
}

/// A replica of another region's identity lost its parent.
pub(super) fn replica_broken(evidence: &Evidence<'_>, _: &[Diagnosis]) -> Option<Diagnosis> {
    let error = evidence.identity.verification.as_ref()?.error.as_ref()?;
    error.starts_with("REPLICATION_").then(|| {
        said(
            evidence,
            Cause::ReplicaBroken,
            Verdict::Failing,
            &format!("the identity is a replica, and replication fails: {error}"),
            "This identity copies the tokens and keys of another region's, and the copying fails. The records are \
             the parent's; nothing is to be changed in DNS for the replica.",
        )
    })
}

/// The identity was deleted and made anew.
pub(super) fn recreated(evidence: &Evidence<'_>, _: &[Diagnosis]) -> Option<Diagnosis> {
    let deleted = evidence.witnesses.changes.iter().find(|event| event.effect == Effect::IdentityDeleted)?;
    if evidence.identity.status == ProviderStatus::Unknown {
        return None;
    }
    let mut diagnosis = said(
        evidence,
        Cause::IdentityRecreated,
        Verdict::Degraded,
        "the identity was deleted and made anew",
        &format!(
            "The identity was deleted at {:.0} and exists today, so it was made anew. The published key may not be \
             the one that mail is signed with, even where the tokens are the same.",
            deleted.change.at
        ),
    );
    diagnosis.evidence.push(format!(
        "{}: {} by {} at {:.0}",
        deleted.change.source, deleted.change.action, deleted.change.actor, deleted.change.at
    ));
    Some(diagnosis)
}

/// The provider has stopped looking.
pub(super) fn gave_up(evidence: &Evidence<'_>, _: &[Diagnosis]) -> Option<Diagnosis> {
    (evidence.identity.status == ProviderStatus::Failed).then(|| {
        said(
            evidence,
            Cause::ProviderGaveUp,
            Verdict::Failing,
            "the provider has given up on the domain",
            "The provider says failed: it does not look at the records any more, so that mending DNS alone does \
             not heal it. Mail is not signed.",
        )
    })
}

/// The records are sound, and the provider hasn't seen it yet.
pub(super) fn behind(evidence: &Evidence<'_>, dns: &[Diagnosis]) -> Option<Diagnosis> {
    let waits =
        matches!(evidence.identity.status, ProviderStatus::Pending | ProviderStatus::TemporaryFailure);
    let sound = dns.iter().all(|cause| cause.impact == Verdict::Healthy)
        && !evidence.records.is_empty()
        && evidence.records.iter().all(|record| {
            let witnesses = evidence.witnesses(record);
            !witnesses.is_empty() && witnesses.iter().all(|finding| finding.state == State::Holds)
        });
    (waits && sound).then(|| {
        let mut diagnosis = said(
            evidence,
            Cause::ProviderBehind,
            Verdict::Degraded,
            &format!("all records hold, and the provider still says {}", evidence.identity.status),
            "Every record is as it must be; the provider's last look is older than that. Until it looks again, \
             mail is not signed.",
        );
        // What could not be seen may be what the provider still misses.
        if evidence.has_blind_spot() {
            diagnosis.certainty = Certainty::Likely;
            diagnosis.summary = format!(
                "all records hold where they could be seen, and the provider still says {}",
                evidence.identity.status
            );
            diagnosis.detail = "Every record that could be seen is as it must be, but not every name server could \
                                be asked; either the provider's last look is older than that, or it met what is not \
                                seen from here. Until it looks again, mail is not signed."
                .to_owned();
        }
        diagnosis
    })
}

fn said(evidence: &Evidence<'_>, cause: Cause, impact: Verdict, summary: &str, detail: &str) -> Diagnosis {
    let identity = evidence.identity;
    let mut line = format!("{}: status {}", identity.id, identity.status);
    if let Some(enabled) = identity.signing_enabled {
        line.push_str(if enabled { ", signing on" } else { ", signing off" });
    }
    if let Some(verification) = &identity.verification {
        if let Some(error) = &verification.error {
            line.push_str(&format!(", last met {error}"));
        }
        if let Some(checked) = verification.last_checked {
            line.push_str(&format!(", last looked at {checked}"));
        }
    }
    let mut lines = vec![line];
    lines.extend(provider_words(evidence));
    Diagnosis {
        cause,
        certainty: Certainty::Certain,
        impact,
        summary: summary.to_owned(),
        detail: detail.to_owned(),
        remedy: cause.remedy().to_owned(),
        records: evidence.records.iter().map(|record| record.expected.name.clone()).collect(),
        evidence: lines,
        changed_by: None,
    }
}
