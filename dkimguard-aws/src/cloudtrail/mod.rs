//! [`CloudTrail`]: what AWS's own record of calls tells of changes.

mod event;
mod tool;

use std::cmp::Reverse;
use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};

use async_trait::async_trait;
use aws_sdk_cloudtrail::types::{LookupAttribute, LookupAttributeKey};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::history::{Event, History, IdentityChange, Topic, ZoneChange};
use dkimguard_core::ports::ChangeHistory;
use futures_util::future::join_all;

use crate::account::Account;
use crate::aws::ConfigError;
use crate::call::{Pace, Tries, call};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::region::Region;

/// The events on one page, the most that CloudTrail gives.
const PAGE: usize = 50;

/// What CloudTrail tells of changes in one or more accounts. Cloning is cheap, and clones share their pace.
///
/// It is the event history that every account has, of the last 90 days; no trail is needed. An event takes some
/// minutes to appear in it.
///
/// # What is asked
/// | topic | region | looked up by |
/// | --- | --- | --- |
/// | a zone | `us-east-1`, where Route 53's events are | `ChangeResourceRecordSets`, or what stops signing; those of other zones are left out |
/// | a delegation | `us-east-1` | the registrar as the source; other domains' events are left out |
/// | an identity | its own, else `us-east-1` | the name of the one event that is sought; other domains' events are left out |
///
/// The zone isn't looked up by its source: each look at Route 53 is an event too, and soon there would be nothing
/// else. In the other partitions of AWS another region stands for `us-east-1`.
///
/// # Cost
/// One `cloudtrail:LookupEvents` an account for each 50 events, and [`MOST_EVENTS`](Self::MOST_EVENTS) at most; for
/// [`IdentityChange::SetUpAnew`] the older API's event is looked up where nothing was found. Calls start 0.56 seconds
/// apart in an account and region, which is 90 % of the two a second that CloudTrail allows. A call that fails in a
/// way that may pass is made up to three times.
///
/// # What is told
/// Changes that were made: calls that only read, or that failed, are left out, and so is what cannot be read.
/// [`History::bound`] says where not everything was read: behind the latest events, where a later page failed, and
/// where one of several accounts couldn't be asked.
///
/// # Errors
/// A permission that is missing, or any other reason for which an account couldn't be asked, where no other account
/// tells a change: such a silence would mean nothing.
#[derive(Clone, Debug)]
pub struct CloudTrail {
    desks: Arc<[Desk]>,
    home: Region,
    /// Why there are no accounts to ask.
    trouble: Option<ConfigError>,
}

impl CloudTrail {
    /// Up to how many events of an account are read for one topic, the latest first.
    pub const MOST_EVENTS: usize = 200;

    pub(crate) fn over(accounts: &[Arc<Account>], home: Region) -> Self {
        // Two roles of one account share its limits.
        let mut paces = HashMap::new();
        let desks = accounts.iter().map(|account| Desk {
            account: Arc::clone(account),
            paces: Arc::clone(paces.entry(account.number().map(str::to_owned)).or_default()),
            clients: Mutex::default(),
        });
        Self { desks: desks.collect(), home, trouble: None }
    }

    pub(crate) fn without_accounts(trouble: ConfigError) -> Self {
        Self { desks: Arc::new([]), home: Region::default(), trouble: Some(trouble) }
    }

    fn region_of(&self, topic: &Topic) -> Result<Region, Fault> {
        match topic {
            Topic::Identity { region: Some(region), .. } => region.parse().map_err(|error| {
                Fault::new(ProviderErrorKind::Unusable, Operation::LookupEvents, format!("{error}"))
            }),
            _ => Ok(self.home.clone()),
        }
    }
}

#[async_trait]
impl ChangeHistory for CloudTrail {
    async fn changes(&self, topic: &Topic) -> Result<History, ProviderError> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.as_provider_error());
        }
        let region = self.region_of(topic).map_err(|fault| fault.at(&self.home))?;
        let searches = searches(topic).map_err(|fault| fault.at(&region))?;
        let readings = join_all(self.desks.iter().map(|desk| desk.look(topic, &region, &searches))).await;

        let (mut changes, mut bounds): (Vec<Event>, Vec<String>) = Default::default();
        let mut fault = None;
        for reading in readings {
            match reading {
                Ok(history) => {
                    changes.extend(history.changes);
                    bounds.extend(history.bound);
                }
                Err(failed) => {
                    bounds.push(format!(
                        "an account could not be asked: {} ({})",
                        failed.operation,
                        failed.said()
                    ));
                    fault = fault.or(Some(failed));
                }
            }
        }
        if let Some(fault) = fault.filter(|_| changes.is_empty()) {
            return Err(fault.at(&region));
        }
        changes.sort_by_key(|event| Reverse(event.change.at));
        // Two roles of one account see the same events.
        let mut seen = HashSet::new();
        changes.retain(|event| seen.insert(event.change.event_id.clone()));
        bounds.dedup();
        Ok(History { changes, bound: (!bounds.is_empty()).then(|| bounds.join("; ")) })
    }
}

/// The look-ups for a topic. Each is made only if those before it found nothing.
fn searches(topic: &Topic) -> Result<Vec<LookupAttribute>, Fault> {
    use LookupAttributeKey::{EventName, EventSource};
    let asked = match topic {
        // By the event's name: under which form of its id a zone is found as a resource is not documented.
        Topic::Zone { sought: ZoneChange::Records, .. } => vec![(EventName, "ChangeResourceRecordSets")],
        Topic::Zone { sought: ZoneChange::Signing, .. } => {
            vec![(EventName, "DisableHostedZoneDNSSEC"), (EventName, "DeactivateKeySigningKey")]
        }
        Topic::Delegation { .. } => vec![(EventSource, "route53domains.amazonaws.com")],
        Topic::Identity { sought: IdentityChange::Deleted, .. } => vec![(EventName, "DeleteEmailIdentity")],
        Topic::Identity { sought: IdentityChange::SetUpAnew, .. } => {
            vec![(EventName, "PutEmailIdentityDkimSigningAttributes"), (EventName, "VerifyDomainDkim")]
        }
        Topic::Identity { sought: IdentityChange::SigningSwitched, .. } => {
            vec![(EventName, "PutEmailIdentityDkimAttributes")]
        }
        _ => Vec::new(),
    };
    let unusable = |said: String| Fault::new(ProviderErrorKind::Unusable, Operation::LookupEvents, said);
    if asked.is_empty() {
        return Err(unusable(format!("this version looks up nothing for {topic:?}")));
    }
    let attribute = |(key, value): (LookupAttributeKey, &str)| {
        let attribute = LookupAttribute::builder().attribute_key(key).attribute_value(value).build();
        attribute.map_err(|error| unusable(error.to_string()))
    };
    asked.into_iter().map(attribute).collect()
}

type Paces = Mutex<HashMap<Region, Arc<Pace>>>;

/// CloudTrail in one account.
#[derive(Debug)]
struct Desk {
    account: Arc<Account>,
    paces: Arc<Paces>,
    clients: Mutex<HashMap<Region, aws_sdk_cloudtrail::Client>>,
}

impl Desk {
    async fn look(
        &self,
        topic: &Topic,
        region: &Region,
        searches: &[LookupAttribute],
    ) -> Result<History, Fault> {
        let mut history = History::default();
        for search in searches {
            let read = self.read(topic, region, search).await?;
            history.bound = read.bound.or(history.bound);
            if !read.changes.is_empty() {
                history.changes = read.changes;
                break;
            }
        }
        Ok(history)
    }

    /// The events of one look-up that belong to the topic, the latest first.
    async fn read(&self, topic: &Topic, region: &Region, search: &LookupAttribute) -> Result<History, Fault> {
        let (client, pace) = (self.client(region), self.pace(region));
        let source = format!("CloudTrail {region}");
        let mut history = History::default();
        let mut count = 0;
        let mut next: Option<String> = None;
        for _ in 0..CloudTrail::MOST_EVENTS / PAGE {
            let request = client
                .lookup_events()
                .lookup_attributes(search.clone())
                .max_results(PAGE as i32)
                .set_next_token(next.clone());
            let answer = call(Operation::LookupEvents, &pace, Tries::Three, || request.clone().send()).await;
            let page = match answer {
                Ok(page) => page,
                Err(fault) if next.is_none() => return Err(fault),
                Err(fault) => {
                    let said = fault.said();
                    history.bound =
                        Some(format!("{}, then {} failed ({said})", latest(count), fault.operation));
                    return Ok(history);
                }
            };
            count += page.events().len();
            history.changes.extend(page.events().iter().filter_map(|told| event::read(told, topic, &source)));
            // A token that comes back would lead in circles.
            let token = page.next_token.filter(|token| !token.is_empty() && next.as_ref() != Some(token));
            if token.is_none() {
                return Ok(history);
            }
            next = token;
        }
        history.bound = Some(latest(count));
        Ok(history)
    }

    fn client(&self, region: &Region) -> aws_sdk_cloudtrail::Client {
        // A panic elsewhere leaves the map as good as it was.
        let mut clients = self.clients.lock().unwrap_or_else(PoisonError::into_inner);
        clients.entry(region.clone()).or_insert_with(|| self.account.cloudtrail(region)).clone()
    }

    fn pace(&self, region: &Region) -> Arc<Pace> {
        let mut paces = self.paces.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(
            paces
                .entry(region.clone())
                .or_insert_with(|| Arc::new(Pace::of_cloudtrail(self.account.observer()))),
        )
    }
}

fn latest(count: usize) -> String {
    format!("the latest {count} events of the last 90 days")
}
