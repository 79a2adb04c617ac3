//! [`SesRearm`]: has SES look for the records again.

use async_trait::async_trait;
use aws_sdk_sesv2::types::{DkimAttributes, DkimSigningKeyLength};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::identity::{Identity, IdentityId, KeyMaker, ProviderStatus};
use dkimguard_core::ports::Rearm;

use super::{Holding, Place, SesSource, claim};
use crate::account::Owner;
use crate::call::WriteFault;
use crate::fault::Fault;
use crate::operation::Operation;
use crate::region::Region;

/// How often verification is started again where the fault may pass.
const TRIES: u32 = 3;
const PUT: Operation = Operation::PutEmailIdentityDkimSigningAttributes;

/// Has Amazon SES look for the records of an identity again, in one or more accounts and regions. Cloning is cheap, and
/// clones share their pace, also with the [`SesSource`] of the same [`Aws`](crate::Aws).
///
/// # What it does
/// Only Easy DKIM that is failed or wasn't started is touched; a replica is its parent's, and own keys are the owner's.
/// SES is asked for the identity first: where it is idle no longer, an earlier call has done it, and the identity is
/// given as it is; where its keys are no longer SES's, it is an error. Then
/// `ses:PutEmailIdentityDkimSigningAttributes` sets it up with the origin `AWS_SES` and the key length that it has. If
/// SES refuses that length, as it may within a day of a change, it is asked once more without one. Status, tokens and
/// hosted zone are those of the answer; where it doesn't tell all of them, SES is asked for the identity again.
///
/// # Cost
/// One `ses:GetEmailIdentity` and one `ses:PutEmailIdentityDkimSigningAttributes`, in the pace of [`SesSource`], and
/// `sts:GetCallerIdentity` where the account's number isn't known yet. After a fault that may pass both are made again,
/// up to three times in all.
#[derive(Clone, Debug)]
pub struct SesRearm {
    ses: SesSource,
}

impl SesRearm {
    pub(crate) fn of(ses: SesSource) -> Self {
        Self { ses }
    }

    /// Where the identity is. Unlike when looking, its account must be known for certain.
    async fn place_of(&self, id: &IdentityId) -> Result<(&Holding, &Place), ProviderError> {
        let mut untold = None;
        for holding in self.ses.holdings.iter().filter(|_| id.provider == "ses") {
            let is_place = |place: &&Place| Some(place.region().as_str()) == id.region.as_deref();
            let Some(place) = holding.places.iter().find(is_place) else { continue };
            let is_only = id.account.as_deref() == Some(Owner::UNKNOWN) && self.ses.holdings.len() == 1;
            match holding.account.owner().await {
                _ if is_only => return Ok((holding, place)),
                Owner::Account(number) if id.account.as_ref() == Some(&number) => {
                    return Ok((holding, place));
                }
                Owner::Account(_) => {}
                Owner::Untold(fault) => untold = Some(fault.at(place.region())),
            }
        }
        Err(untold.unwrap_or_else(|| {
            let said = format!("{id} is in none of the accounts and regions that are looked at");
            refusal(ProviderErrorKind::NotFound, said).at(&region_of(id))
        }))
    }
}

#[async_trait]
impl Rearm for SesRearm {
    async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
        if let Some(error) = self.ses.no_places() {
            return Err(error);
        }
        let idle = check(identity).and_then(|()| check_is_idle(identity));
        idle.map_err(|fault| fault.at(&region_of(&identity.id)))?;
        let (holding, place) = self.place_of(&identity.id).await?;
        match place.rearm(identity).await {
            Ok(now) => Ok(now),
            Err(fault) => Err(holding.account.owner().await.judge(fault).at(place.region())),
        }
    }
}

impl Place {
    async fn rearm(&self, identity: &Identity) -> Result<Identity, Fault> {
        let mut is_in_doubt = false;
        let end = self.try_rearm(identity, &mut is_in_doubt).await;
        let told = |last| WriteFault { last, is_in_doubt }.told(PUT);
        end.map_err(told)
    }

    /// Says in `is_in_doubt` whether verification was started, or may have been.
    async fn try_rearm(&self, identity: &Identity, is_in_doubt: &mut bool) -> Result<Identity, Fault> {
        let domain = identity.domain();
        let mut tries = 0;
        loop {
            let told = self.ask_v2(domain).await?;
            let before = Identity { id: identity.id.clone(), ..claim::from_v2(domain, self.region(), &told) };
            check(&before)?;
            match before.status {
                ProviderStatus::Success | ProviderStatus::Pending | ProviderStatus::TemporaryFailure => {
                    return Ok(before);
                }
                _ => check_is_idle(&before)?,
            }
            let length = told.dkim_attributes().and_then(length_of);
            let answer = match self.restart(domain, length).await {
                Err(fault) if fault.is_refusal && length.is_some() => self.restart(domain, None).await,
                answer => answer,
            };
            tries += 1;
            *is_in_doubt |= answer.as_ref().err().is_none_or(Fault::leaves_doubt);
            match answer {
                Ok(answer) => {
                    return match claim::after_rearm(&before, &answer) {
                        Some(now) => Ok(now),
                        None => self.ask(domain).await.map(|now| Identity { id: before.id, ..now }),
                    };
                }
                Err(fault) if fault.is_transient() && tries < TRIES => {}
                Err(fault) => return Err(fault),
            }
        }
    }
}

/// Refuses an identity whose keys aren't SES's own.
fn check(identity: &Identity) -> Result<(), Fault> {
    let why = match identity.keys {
        KeyMaker::Provider => return Ok(()),
        KeyMaker::Parent => "is a replica, and is started again in the region of its parent",
        KeyMaker::Owner => "has a key of its owner's, which SES must be given again to start",
        _ => "has keys of which it isn't known who made them",
    };
    Err(refusal(ProviderErrorKind::Unusable, format!("{} {why}; nothing was changed", identity.id)))
}

/// Refuses an identity whose records SES looks for by itself.
fn check_is_idle(identity: &Identity) -> Result<(), Fault> {
    match &identity.status {
        ProviderStatus::Failed | ProviderStatus::NotStarted => Ok(()),
        status => {
            let said = format!("the status of {} is {status}; nothing was changed", identity.id);
            Err(refusal(ProviderErrorKind::Unusable, said))
        }
    }
}

/// The region of an identity; the first where it has none that is one.
fn region_of(id: &IdentityId) -> Region {
    id.region.as_deref().and_then(|region| region.parse().ok()).unwrap_or_default()
}

/// The key length that leaves all as it is: the one that the next key is to have, else that of today's.
fn length_of(dkim: &DkimAttributes) -> Option<&DkimSigningKeyLength> {
    dkim.next_signing_key_length().or(dkim.current_signing_key_length())
}

fn refusal(kind: ProviderErrorKind, said: impl Into<String>) -> Fault {
    Fault::new(kind, PUT, said)
}
