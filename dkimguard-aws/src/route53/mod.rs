//! [`Route53`]: the hosted zones of Amazon Route 53.

mod record;
mod writer;

use std::collections::HashMap;
use std::sync::Arc;

use async_trait::async_trait;
use aws_sdk_route53::operation::get_hosted_zone::GetHostedZoneOutput;
use aws_sdk_route53::types::{HostedZoneConfig, ResourceRecordSet, RrType};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::name::Name;
use dkimguard_core::ports::ZoneView;
use dkimguard_core::record::Record;
use dkimguard_core::zone::{HostedZone, Visibility};
use futures_util::future::{join_all, try_join};

use crate::account::Account;
use crate::aws::ConfigError;
use crate::call::{Pace, Tries, call};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::region::Region;
use crate::spelling;
pub use writer::Route53Writer;

/// The records on one page, the most that Route 53 gives.
const PAGE: i32 = 300;

/// The hosted zones of Amazon Route 53 in one or more accounts. Cloning is cheap, and clones share their pace.
///
/// # Cost
/// One `route53:ListHostedZonesByName` an account, and for each zone of the name one
/// `route53:ListResourceRecordSets`, or more where over 300 records lie at or below the name that is asked for;
/// for each public one also one `route53:GetHostedZone`. Calls start 0.23 seconds apart in an account, which is 90 %
/// of the five a second that Route 53 allows. A call that fails in a way that may pass is made up to three times.
///
/// # What is shown
/// Each value is a record of its own, those of all routing policies (weighted, by place, …) included. An alias has a
/// type and no data: it is [`RecordData::Other`](dkimguard_core::record::RecordData::Other) with the type's number
/// and no octets, so that something is seen to stand at the name. A value of a type that isn't read has its text as
/// octets.
///
/// # Several accounts
/// Which account a zone belongs to isn't known beforehand: each is asked, and what one of them holds is given. What
/// kept another from answering is an error only where none of them holds a zone of the name.
///
/// # Errors
/// A permission that is missing, or any other reason for which an account couldn't be asked; more than
/// [`MOST_RECORDS`](Self::MOST_RECORDS) records at or below the name.
#[derive(Clone, Debug)]
pub struct Route53 {
    hosts: Arc<[Host]>,
    /// Why there are no accounts to ask.
    trouble: Option<ConfigError>,
}

impl Route53 {
    /// Up to how many records of one zone are read. More is an error: what isn't read mustn't seem absent.
    pub const MOST_RECORDS: usize = 6_000;

    pub(crate) fn over(accounts: &[Arc<Account>], region: &Region) -> Self {
        // Two roles of one account share its limit.
        let mut paces = HashMap::new();
        let hosts = accounts.iter().map(|account| Host {
            client: account.route53(region),
            pace: Arc::clone(
                paces
                    .entry(account.number().map(str::to_owned))
                    .or_insert_with(|| Arc::new(Pace::of_route53(account.observer()))),
            ),
            region: region.clone(),
        });
        Self { hosts: hosts.collect(), trouble: None }
    }

    pub(crate) fn without_accounts(trouble: ConfigError) -> Self {
        Self { hosts: Arc::new([]), trouble: Some(trouble) }
    }
}

#[async_trait]
impl ZoneView for Route53 {
    async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError> {
        if let Some(trouble) = &self.trouble {
            return Err(trouble.as_provider_error());
        }
        let answers = join_all(self.hosts.iter().map(|host| host.zones(zone, below))).await;
        let mut zones: Vec<HostedZone> = Vec::new();
        let mut error = None;
        for answer in answers {
            match answer {
                // Two roles of one account see the same zones.
                Ok(held) => held.into_iter().for_each(|zone| {
                    if zones.iter().all(|known| known.id != zone.id) {
                        zones.push(zone);
                    }
                }),
                Err(failed) => error = error.or(Some(failed)),
            }
        }
        match error {
            Some(error) if zones.is_empty() => Err(error),
            _ => Ok(zones),
        }
    }
}

/// Route 53 in one account.
#[derive(Debug)]
struct Host {
    client: aws_sdk_route53::Client,
    pace: Arc<Pace>,
    region: Region,
}

/// A zone on the list.
struct Listed {
    id: String,
    visibility: Visibility,
}

impl Host {
    async fn zones(&self, zone: &Name, below: &Name) -> Result<Vec<HostedZone>, ProviderError> {
        let read = async {
            let listed = self.list(zone).await?;
            let zones = join_all(listed.into_iter().map(|listed| self.read(zone, listed, below))).await;
            // One that was deleted since it was listed isn't held.
            let is_gone = |fault: &Fault| fault.kind == ProviderErrorKind::NotFound;
            zones.into_iter().filter(|read| !read.as_ref().is_err_and(is_gone)).collect::<Result<_, Fault>>()
        };
        read.await.map_err(|fault| fault.at(&self.region))
    }

    /// The zones of exactly this name. The list is in the order of the names, and begins at this one.
    async fn list(&self, zone: &Name) -> Result<Vec<Listed>, Fault> {
        let mut listed = Vec::new();
        let mut next: Option<String> = None;
        loop {
            let request = self
                .client
                .list_hosted_zones_by_name()
                .dns_name(spelling::write(zone))
                .set_hosted_zone_id(next.clone());
            let operation = Operation::ListHostedZonesByName;
            let page = call(operation, &self.pace, Tries::Three, || request.clone().send()).await?;
            let of_the_name =
                page.hosted_zones().iter().filter(|told| spelling::read(told.name()).as_ref() == Some(zone));
            listed.extend(of_the_name.map(|told| {
                let is_private = told.config().is_some_and(HostedZoneConfig::private_zone);
                Listed {
                    id: told.id().trim_start_matches("/hostedzone/").to_owned(),
                    visibility: if is_private { Visibility::Private } else { Visibility::Public },
                }
            }));
            let goes_on = page.is_truncated()
                && page.next_dns_name().and_then(spelling::read).as_ref() == Some(zone)
                && page.next_hosted_zone_id.is_some()
                // An id that comes back would lead in circles.
                && page.next_hosted_zone_id != next;
            if !goes_on {
                return Ok(listed);
            }
            next = page.next_hosted_zone_id;
        }
    }

    async fn read(&self, zone: &Name, listed: Listed, below: &Name) -> Result<HostedZone, Fault> {
        let servers = async {
            match listed.visibility {
                Visibility::Public => self.servers(&listed.id).await,
                Visibility::Private => Ok(Vec::new()),
            }
        };
        let (servers, records) = try_join(servers, self.records(&listed.id, below)).await?;
        Ok(HostedZone {
            id: listed.id,
            host: "Route 53".to_owned(),
            name: zone.clone(),
            visibility: listed.visibility,
            servers,
            records,
        })
    }

    async fn servers(&self, id: &str) -> Result<Vec<Name>, Fault> {
        let operation = Operation::GetHostedZone;
        let request = self.client.get_hosted_zone().id(id);
        let told: GetHostedZoneOutput =
            call(operation, &self.pace, Tries::Three, || request.clone().send()).await?;
        let servers: Option<Vec<Name>> = told
            .delegation_set()
            .map(|set| set.name_servers().iter().map(|server| spelling::read(server)).collect())
            .unwrap_or_default();
        // A zone that seems to have no servers would seem to be delegated elsewhere.
        servers.filter(|servers| !servers.is_empty()).ok_or_else(|| {
            let said = format!("the answer names no usable name servers of {id}");
            Fault::new(ProviderErrorKind::Unusable, operation, said)
        })
    }

    /// The records at and below a name.
    async fn records(&self, id: &str, below: &Name) -> Result<Vec<Record>, Fault> {
        let sets = self.sets(id, below, |name| name.is_at_or_below(below)).await?;
        Ok(sets.iter().flat_map(|(name, set)| record::of_set(name, set)).collect())
    }

    /// The record sets from a name on, for as long as theirs is one that is meant. Route 53 orders by the labels from
    /// the right, so that those at and below a name follow each other, and begins at the name.
    async fn sets(
        &self,
        id: &str,
        first: &Name,
        is_meant: impl Fn(&Name) -> bool + Send + Sync,
    ) -> Result<Vec<(Name, ResourceRecordSet)>, Fault> {
        let operation = Operation::ListResourceRecordSets;
        let mut sets = Vec::new();
        let mut records = 0;
        let mut start = Start { name: spelling::write(first), kind: None, identifier: None };
        loop {
            let request = self
                .client
                .list_resource_record_sets()
                .hosted_zone_id(id)
                .max_items(PAGE)
                .start_record_name(&start.name)
                .set_start_record_type(start.kind.clone())
                .set_start_record_identifier(start.identifier.clone());
            let page = call(operation, &self.pace, Tries::Three, || request.clone().send()).await?;
            for set in page.resource_record_sets {
                if let Some(name) = spelling::read(set.name()).filter(|name| is_meant(name)) {
                    records += set.resource_records().len().max(1);
                    sets.push((name, set));
                }
            }
            let next = page
                .next_record_name
                .filter(|name| page.is_truncated && spelling::read(name).is_some_and(|name| is_meant(&name)));
            let Some(name) = next else { return Ok(sets) };
            if records >= Route53::MOST_RECORDS {
                let said = format!(
                    "the zone {id} holds more than {} records at or below {first}",
                    Route53::MOST_RECORDS
                );
                return Err(Fault::new(ProviderErrorKind::Unusable, operation, said));
            }
            let next = Start { name, kind: page.next_record_type, identifier: page.next_record_identifier };
            if next == start {
                let said = format!("the list of the records of {id} leads in circles");
                return Err(Fault::new(ProviderErrorKind::Unusable, operation, said));
            }
            start = next;
        }
    }
}

/// Where a page begins.
#[derive(PartialEq)]
struct Start {
    name: String,
    kind: Option<RrType>,
    identifier: Option<String>,
}
