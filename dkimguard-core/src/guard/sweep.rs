//! Asking the source of identities for many domains at once, and for the list of all.

use std::collections::{BTreeSet, HashMap};
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use futures_util::StreamExt;
use jiff::Timestamp;

use super::policy::after;
use super::visit::{LONGEST_VISIT, Visitor};
use crate::error::{ProviderError, chain};
use crate::identity::Identity;
use crate::name::Name;

/// How long listing may take: ten thousand identities of SES take two minutes where nothing fails.
const LONGEST_LIST: Duration = Duration::from_secs(1800);

/// What the source tells of a domain, or why it tells nothing.
pub(super) type Answer = Result<Vec<Result<Identity, ProviderError>>, String>;

/// What the source tells of many domains, in the order in which it was asked.
pub(super) type Asked = Vec<(Name, Answer)>;

/// The domains that the source lists.
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) domains: BTreeSet<Name>,
    /// Why these may not be all.
    pub(super) fault: Option<String>,
}

impl Visitor {
    /// Asks the source for these domains.
    pub(super) async fn ask_many(&self, domains: Vec<Name>) -> Asked {
        let answers = Mutex::new(HashMap::with_capacity(domains.len()));
        let asking = async {
            let mut found = self.source.find_many(&domains);
            while let Some((domain, answer)) = found.next().await {
                answers.lock().unwrap_or_else(PoisonError::into_inner).insert(domain, answer);
            }
        };
        let why = match self.guarded(LONGEST_VISIT, asking).await {
            Ok(()) => "the source gave no answer".to_owned(),
            Err(why) => why,
        };
        let mut answers = answers.into_inner().unwrap_or_else(PoisonError::into_inner);
        let answered = domains.into_iter().map(|domain| {
            let answer = answers.remove(&domain).ok_or_else(|| why.clone());
            (domain, answer)
        });
        answered.collect()
    }

    /// Asks the source which domains it holds.
    pub(super) async fn list(&self) -> Listed {
        let listed = Mutex::new(Listed { domains: BTreeSet::new(), fault: None });
        let listing = async {
            let mut identities = self.source.identities();
            while let Some(identity) = identities.next().await {
                let mut listed = listed.lock().unwrap_or_else(PoisonError::into_inner);
                match identity {
                    Ok(identity) => {
                        listed.domains.insert(identity.id.domain);
                    }
                    Err(error) => listed.fault = Some(chain(&error)),
                }
            }
        };
        let ended = self.guarded(LONGEST_LIST, listing).await;
        let mut listed = listed.into_inner().unwrap_or_else(PoisonError::into_inner);
        listed.fault = ended.err().or(listed.fault);
        listed
    }

    /// Notes whether the list was whole, and says when the next is due.
    pub(super) fn note_list(&self, listed: &Listed, at: Timestamp) -> Timestamp {
        let failures = self.keeper.note_list(listed.fault.as_deref(), self.policy.blind_after, at);
        after(
            at,
            if failures == 0 { self.policy.list_interval } else { self.policy.unhealthy_interval(failures) },
        )
    }
}
