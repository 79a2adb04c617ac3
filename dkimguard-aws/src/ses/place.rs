//! [`Place`]: SES in one account and one region, the calls to it and what follows from their answers.

use std::collections::HashMap;
use std::sync::Arc;

use aws_sdk_ses::types::IdentityDkimAttributes;
use aws_sdk_sesv2::operation::get_email_identity::GetEmailIdentityOutput;
use aws_sdk_sesv2::operation::put_email_identity_dkim_signing_attributes::PutEmailIdentityDkimSigningAttributesOutput;
use aws_sdk_sesv2::types::{DkimSigningAttributes, DkimSigningAttributesOrigin, DkimSigningKeyLength};
use dkimguard_core::error::ProviderErrorKind;
use dkimguard_core::identity::Identity;
use dkimguard_core::name::Name;
use futures_util::stream::{self, BoxStream, StreamExt};
use tokio::sync::OnceCell;

use super::{SesSource, claim};
use crate::account::{Account, gap};
use crate::call::{Pace, Tries, call};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::region::Region;

/// The identities on one page of the list, the most that SES gives.
const PAGE: i32 = 1_000;
/// The identities of one call to v1, the most that it takes.
const HUNDRED: usize = 100;
/// The calls under way at a time. Their starts are spaced by the pace; this lets slow answers overlap.
const AT_ONCE: usize = 4;
/// The verified identities that are asked for the zone that is usual in the region, until one tells.
const CANDIDATES: usize = 3;

/// SES in one account and one region.
#[derive(Debug)]
pub(crate) struct Place {
    region: Region,
    pace: Arc<Pace>,
    v1: aws_sdk_ses::Client,
    v2: aws_sdk_sesv2::Client,
    /// The zone in which this region's keys are.
    usual_zone: OnceCell<Name>,
}

impl Place {
    pub(crate) fn new(account: &Account, region: Region, pace: Arc<Pace>) -> Self {
        let (v1, v2) = (account.ses_v1(&region), account.ses_v2(&region));
        Self { region, pace, v1, v2, usual_zone: OnceCell::new() }
    }

    pub(crate) fn region(&self) -> &Region {
        &self.region
    }

    /// The identity of a domain; none if SES says that it doesn't know it.
    pub(super) async fn find(&self, domain: &Name) -> Answer {
        match self.ask(domain).await {
            Ok(identity) => Ok(Some(identity)),
            Err(fault) if fault.kind == ProviderErrorKind::NotFound => Ok(None),
            // Without credentials nothing else would answer either.
            Err(fault) if fault.kind == ProviderErrorKind::Credentials => Err(fault),
            Err(fault) => match self.ask_v1(std::slice::from_ref(domain), Tries::One).await {
                // v1 tells less, and has a permission of its own.
                Ok(told) => match told.get(domain).filter(|told| claim::is_known(told)) {
                    Some(told) => Ok(Some(self.without_details(domain, told, &fault))),
                    None => Err(fault),
                },
                Err(_) => Err(fault),
            },
        }
    }

    /// The identities of these domains, in their order, asked for in hundreds.
    pub(super) fn find_many<'a>(&'a self, domains: &'a [Name]) -> BoxStream<'a, Answer> {
        self.in_hundreds(domains, Standing::Named).map(|(_, answer)| answer).boxed()
    }

    /// All identities that are domains. The stream goes on behind an error.
    pub(super) fn identities(&self) -> BoxStream<'_, Result<Identity, Fault>> {
        stream::once(self.list())
            .flat_map(move |(domains, errors)| {
                let answers = if domains.len() <= SesSource::ONE_BY_ONE {
                    self.one_by_one(domains)
                } else {
                    self.in_hundreds(&domains, Standing::Listed)
                };
                // SES lists it, so it is there, even where nothing more could be learnt.
                let told = answers.map(|(domain, answer)| {
                    answer.unwrap_or_else(|fault| Some(self.untold(&domain, &fault)))
                });
                let told = told.filter_map(|told| async { told.map(Ok) });
                stream::iter(errors.into_iter().map(Err)).chain(told)
            })
            .boxed()
    }

    /// Everything that SES tells about one identity.
    pub(super) async fn ask(&self, domain: &Name) -> Result<Identity, Fault> {
        self.ask_v2(domain).await.map(|told| claim::from_v2(domain, &self.region, &told))
    }

    fn one_by_one(&self, domains: Vec<Name>) -> BoxStream<'_, (Name, Answer)> {
        stream::iter(domains)
            .map(move |domain| async move {
                let answer = self.find(&domain).await;
                (domain, answer)
            })
            .buffered(AT_ONCE)
            .boxed()
    }

    /// v1 for a hundred at a time, then v2 for those of which v1 doesn't tell enough.
    fn in_hundreds(&self, domains: &[Name], standing: Standing) -> BoxStream<'_, (Name, Answer)> {
        let hundreds: Vec<_> = domains.chunks(HUNDRED).map(<[Name]>::to_vec).collect();
        stream::iter(hundreds)
            .then(move |hundred| self.hundred(hundred))
            .flat_map(stream::iter)
            .map(move |(domain, step)| async move {
                let answer = match step {
                    Step::Done(identity) => Ok(Some(*identity)),
                    Step::Failed(fault) => Err(fault),
                    Step::Ask(None) => self.find(&domain).await,
                    Step::Ask(Some(told)) => match self.ask(&domain).await {
                        Ok(identity) => Ok(Some(identity)),
                        Err(fault) if fault.kind == ProviderErrorKind::NotFound => Ok(None),
                        Err(fault) if standing == Standing::Listed || claim::is_known(&told) => {
                            Ok(Some(self.without_details(&domain, &told, &fault)))
                        }
                        Err(fault) => Err(fault),
                    },
                };
                (domain, answer)
            })
            .buffered(AT_ONCE)
            .boxed()
    }

    async fn hundred(&self, domains: Vec<Name>) -> Vec<(Name, Step)> {
        let mut told = match self.ask_v1(&domains, Tries::Three).await {
            Ok(told) => told,
            // One by one would take minutes and most likely fail as well; the next look is the better try.
            Err(fault) if fault.is_transient() || fault.kind == ProviderErrorKind::Credentials => {
                return domains.into_iter().map(|domain| (domain, Step::Failed(fault.clone()))).collect();
            }
            Err(_) => return domains.into_iter().map(|domain| (domain, Step::Ask(None))).collect(),
        };
        let plain = domains.iter().filter(|domain| told.get(*domain).is_some_and(claim::is_plain));
        let mut zone = self.learn_usual_zone(plain.take(CANDIDATES)).await;
        let steps = domains.into_iter().map(|domain| {
            let step = match (zone.asked.remove(&domain), told.remove(&domain)) {
                (Some(identity), _) => Step::Done(Box::new(identity)),
                (None, Some(told)) if claim::is_plain(&told) => {
                    Step::Done(Box::new(self.usual(&domain, &told, &zone)))
                }
                (None, told) => Step::Ask(told),
            };
            (domain, step)
        });
        steps.collect()
    }

    /// The zone that is usual in this region, from a verified identity whose keys this region made.
    async fn learn_usual_zone(&self, candidates: impl Iterator<Item = &Name>) -> UsualZone {
        let mut learnt = UsualZone { asked: HashMap::new(), fault: None };
        for domain in candidates {
            if self.usual_zone.get().is_some() {
                break;
            }
            match self.ask_v2(domain).await {
                Ok(told) => {
                    if let Some(zone) = claim::zone_of_region(&told) {
                        // Another sweep may have been quicker, and has learnt the same.
                        let _ = self.usual_zone.set(zone);
                    }
                    learnt.asked.insert(domain.clone(), claim::from_v2(domain, &self.region, &told));
                }
                Err(fault) => {
                    learnt.fault = Some(fault);
                    break;
                }
            }
        }
        learnt
    }

    /// An identity that v1 tells enough about, with its keys in the zone that is usual.
    fn usual(&self, domain: &Name, told: &IdentityDkimAttributes, zone: &UsualZone) -> Identity {
        match &zone.fault {
            Some(fault) if self.usual_zone.get().is_none() => self.without_details(domain, told, fault),
            _ => claim::from_v1(domain, &self.region, told, &self.likely_zone()),
        }
    }

    fn likely_zone(&self) -> Name {
        self.usual_zone.get().cloned().unwrap_or_else(claim::fallback_zone)
    }

    /// An identity that v1 tells of, while v2 can't be asked.
    fn without_details(&self, domain: &Name, told: &IdentityDkimAttributes, fault: &Fault) -> Identity {
        let zone = self.likely_zone();
        let mut identity = claim::from_v1(domain, &self.region, told, &zone);
        let detail = format!(
            "{} failed ({}), so the keys are assumed to be in {zone}, and SES's own last look is unknown; {}",
            fault.operation,
            fault.said(),
            fault.way_out(),
        );
        identity.gaps.push(gap(detail, fault));
        identity
    }

    /// An identity of which only its name is known.
    fn untold(&self, domain: &Name, fault: &Fault) -> Identity {
        let mut identity = claim::untold(domain, &self.region);
        let detail = format!(
            "{} failed ({}), so nothing is known of it; {}",
            fault.operation,
            fault.said(),
            fault.way_out()
        );
        identity.gaps.push(gap(detail, fault));
        identity
    }

    /// The names of all identities that are domains, and what went wrong on the way.
    async fn list(&self) -> (Vec<Name>, Vec<Fault>) {
        let operation = Operation::ListEmailIdentities;
        let (mut domains, mut faults) = (Vec::new(), Vec::new());
        let mut next = None;
        loop {
            let request = self.v2.list_email_identities().page_size(PAGE).set_next_token(next.clone());
            let page = match call(operation, &self.pace, Tries::Three, || request.clone().send()).await {
                Ok(page) => page,
                Err(fault) => {
                    faults.push(fault);
                    break;
                }
            };
            for identity in page.email_identities() {
                let is_address =
                    identity.identity_type().is_some_and(|kind| kind.as_str() == "EMAIL_ADDRESS");
                let Some(text) = identity.identity_name().filter(|text| !is_address && !text.contains('@'))
                else {
                    continue;
                };
                match text.parse() {
                    Ok(domain) => domains.push(domain),
                    Err(error) => {
                        let said = format!("`{text}` is listed, which is not a domain name: {error}");
                        faults.push(Fault::new(ProviderErrorKind::Unusable, operation, said));
                    }
                }
            }
            // A token that comes back would lead in circles.
            let token = page.next_token.filter(|token| !token.is_empty() && next.as_ref() != Some(token));
            match token {
                Some(token) => next = Some(token),
                None => break,
            }
        }
        (domains, faults)
    }

    pub(super) async fn ask_v2(&self, domain: &Name) -> Result<GetEmailIdentityOutput, Fault> {
        let request = self.v2.get_email_identity().email_identity(domain.to_string());
        call(Operation::GetEmailIdentity, &self.pace, Tries::Three, || request.clone().send()).await
    }

    /// Starts the verification of an identity again, with a key length or without. It is tried once: whether one whose
    /// answer was lost was done must be looked at before the next.
    pub(super) async fn restart(
        &self,
        domain: &Name,
        length: Option<&DkimSigningKeyLength>,
    ) -> Result<PutEmailIdentityDkimSigningAttributesOutput, Fault> {
        let attributes = length
            .map(|length| DkimSigningAttributes::builder().next_signing_key_length(length.clone()).build());
        let request = self
            .v2
            .put_email_identity_dkim_signing_attributes()
            .email_identity(domain.to_string())
            .signing_attributes_origin(DkimSigningAttributesOrigin::AwsSes)
            .set_signing_attributes(attributes);
        let operation = Operation::PutEmailIdentityDkimSigningAttributes;
        call(operation, &self.pace, Tries::One, || request.clone().send()).await
    }

    async fn ask_v1(
        &self,
        domains: &[Name],
        tries: Tries,
    ) -> Result<HashMap<Name, IdentityDkimAttributes>, Fault> {
        let names = domains.iter().map(ToString::to_string).collect();
        let request = self.v1.get_identity_dkim_attributes().set_identities(Some(names));
        let told =
            call(Operation::GetIdentityDkimAttributes, &self.pace, tries, || request.clone().send()).await?;
        let named =
            told.dkim_attributes.into_iter().filter_map(|(name, told)| Some((name.parse().ok()?, told)));
        Ok(named.collect())
    }
}

/// The identity of a domain; none if SES says that it doesn't know it.
pub(super) type Answer = Result<Option<Identity>, Fault>;

/// Why a domain is asked for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Standing {
    /// SES lists it, so that it is there. What v1 says of it is meant.
    Listed,
    /// Somebody named it. That v1 says nothing was started may mean that SES doesn't know it.
    Named,
}

/// What is left to do for one domain of a hundred.
enum Step {
    /// Nothing.
    Done(Box<Identity>),
    /// Nothing: SES can't be asked now.
    Failed(Fault),
    /// Ask v2; this is what v1 told, if anything.
    Ask(Option<IdentityDkimAttributes>),
}

/// What came of the search for the usual zone.
struct UsualZone {
    /// The identities that were asked in full on the way.
    asked: HashMap<Name, Identity>,
    /// Why the search ended early.
    fault: Option<Fault>,
}
