//! [`Route53Writer`]: applies plans to the hosted zones of Amazon Route 53.

use async_trait::async_trait;
use aws_sdk_route53::types::{
    Change, ChangeAction, ChangeBatch, ChangeStatus, ResourceRecord, ResourceRecordSet, RrType,
};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{Published, RecordPublisher};
use dkimguard_core::publish::route53_value;
use dkimguard_core::record::{Record, RecordData};
use dkimguard_core::repair::{Edit, RepairPlan};

use super::{Host, Route53, record};
use crate::aws::ConfigError;
use crate::call::{Tries, WriteFault, call, write};
use crate::fault::Fault;
use crate::operation::Operation;
use crate::spelling;

/// The characters that the comment of a batch may have.
const MOST_COMMENT: usize = 256;

/// Applies plans to the hosted zones of Amazon Route 53 in one or more accounts. Cloning is cheap, and clones share
/// their pace, also with the [`Route53`] of the same [`Aws`](crate::Aws).
///
/// # What it does
/// The record sets at each name of a plan are read, then one `route53:ChangeResourceRecordSets` deletes each of them
/// just as it was read (TTL, set identifier and weights included) and creates the new one. Route 53 makes all of such a
/// batch or nothing, and refuses it where a record has become another in between: that is
/// [`Stale`](ProviderErrorKind::Stale), as is a zone that isn't what the plan rests on.
///
/// The zone's account isn't known beforehand: each is asked, and the one that holds it is written to.
///
/// # Cost
/// One `route53:ListResourceRecordSets` for each name of the plan, one `route53:ChangeResourceRecordSets`, and for each
/// question whether it is in sync one `route53:GetChange`. Where the batch is refused the names are read once more. Calls
/// keep the pace of [`Route53`]. One that fails in a way that may pass is made up to three times; so is one that meets
/// another change of the zone under way, since Route 53 makes one at a time.
///
/// # Errors
/// Beside those of the contract, [`Unusable`](ProviderErrorKind::Unusable) for a plan that would take away anything but
/// plain CNAMEs and TXTs: an alias, another type, a record that a traffic policy makes. Nothing is changed then.
#[derive(Clone, Debug)]
pub struct Route53Writer {
    route53: Route53,
}

impl Route53Writer {
    pub(crate) fn of(route53: Route53) -> Self {
        Self { route53 }
    }

    /// The first answer of an account that knows what is asked for. That one doesn't know it, or may not be asked, is
    /// an error only where no other answers.
    async fn first<'a, T, Asked>(&'a self, ask: impl Fn(&'a Host) -> Asked) -> Result<T, ProviderError>
    where
        Asked: Future<Output = Result<T, Fault>>,
    {
        let mut error: Option<(&Host, Fault)> = None;
        for host in self.route53.hosts.iter() {
            match ask(host).await {
                Ok(answer) => return Ok(answer),
                Err(fault) => {
                    if error.as_ref().is_none_or(|(_, known)| weight(&fault) > weight(known)) {
                        error = Some((host, fault));
                    }
                }
            }
        }
        match (error, &self.route53.trouble) {
            (Some((host, fault)), _) => Err(fault.at(&host.region)),
            (None, Some(trouble)) => Err(trouble.as_provider_error()),
            (None, None) => Err(ConfigError::NoRegion.as_provider_error()),
        }
    }
}

#[async_trait]
impl RecordPublisher for Route53Writer {
    async fn apply(&self, plan: &RepairPlan) -> Result<Published, ProviderError> {
        if plan.is_empty() {
            return Ok(Published { change: None });
        }
        let (host, standing) =
            self.first(|host| async move { Ok((host, host.standing(plan).await?)) }).await?;
        host.apply(plan, &standing).await.map_err(|fault| fault.at(&host.region))
    }

    /// Asks Route 53 about the change. Where the zone was as the plan makes it already, there is none to ask about, and
    /// the answer is yes without a call.
    async fn is_in_sync(&self, published: &Published) -> Result<bool, ProviderError> {
        match &published.change {
            Some(change) => self.first(|host| host.is_in_sync(change)).await,
            None => Ok(true),
        }
    }
}

/// How much an account's fault says: one that may pass can hide the zone, one that is denied may, and one that doesn't
/// know it doesn't.
fn weight(fault: &Fault) -> u8 {
    match fault.kind {
        ProviderErrorKind::NotFound => 0,
        ProviderErrorKind::Denied => 1,
        _ if fault.is_transient() => 3,
        _ => 2,
    }
}

/// The record sets at the names of a plan.
struct Standing(Vec<(Name, ResourceRecordSet)>);

impl Standing {
    /// The same in core's form, each value a record of its own.
    fn records(&self) -> Vec<Record> {
        self.0.iter().flat_map(|(name, set)| record::of_set(name, set)).collect()
    }

    fn at(&self, name: &Name) -> impl Iterator<Item = &ResourceRecordSet> {
        self.0.iter().filter(move |(at, _)| at == name).map(|(_, set)| set)
    }
}

impl Host {
    async fn standing(&self, plan: &RepairPlan) -> Result<Standing, Fault> {
        let mut sets = Vec::new();
        for edit in &plan.edits {
            sets.extend(self.sets(&plan.zone.id, &edit.name, |name| *name == edit.name).await?);
        }
        Ok(Standing(sets))
    }

    async fn apply(&self, plan: &RepairPlan, standing: &Standing) -> Result<Published, Fault> {
        let operation = Operation::ChangeResourceRecordSets;
        let records = standing.records();
        if plan.is_applied(&records) {
            return Ok(Published { change: None });
        }
        if !plan.is_current(&records) {
            return Err(stale(plan));
        }
        let request = self
            .client
            .change_resource_record_sets()
            .hosted_zone_id(&plan.zone.id)
            .change_batch(batch(plan, standing)?);
        match write(operation, &self.pace, Tries::Three, || request.clone().send()).await {
            Ok(told) => Ok(Published { change: told.change_info.map(|change| bare_id(&change.id)) }),
            // An earlier try whose answer was lost may have made it so; or somebody else has come in between.
            Err(WriteFault { last: fault, is_in_doubt }) if fault.kind == ProviderErrorKind::Stale => {
                let told = |last| WriteFault { last, is_in_doubt }.told(operation);
                let records = self.standing(plan).await.map_err(told)?.records();
                if plan.is_applied(&records) {
                    return Ok(Published { change: None });
                }
                let is_stale = !plan.is_current(&records);
                Err(match (is_stale, is_in_doubt) {
                    (true, true) => fault.in_doubt_about(operation),
                    (true, false) => stale(plan),
                    (false, _) => unusable(fault.said()),
                })
            }
            Err(fault) => Err(fault.told(operation)),
        }
    }

    async fn is_in_sync(&self, change: &str) -> Result<bool, Fault> {
        let request = self.client.get_change().id(change);
        let told = call(Operation::GetChange, &self.pace, Tries::Three, || request.clone().send()).await?;
        Ok(told.change_info.is_some_and(|change| change.status == ChangeStatus::Insync))
    }
}

/// The batch that does what the plan says: what stands there goes just as it is, and what is to stand there comes.
fn batch(plan: &RepairPlan, standing: &Standing) -> Result<ChangeBatch, Fault> {
    let mut comment = format!("dkimguard repair of {}", plan.zone.name);
    comment.truncate(MOST_COMMENT);
    let mut batch = ChangeBatch::builder().comment(comment);
    // What is already as it is to be is left alone.
    for edit in plan.edits.iter().filter(|edit| !edit.before.iter().eq(&edit.after)) {
        for set in standing.at(&edit.name) {
            check_is_plain(&edit.name, set)?;
            batch = batch.changes(change(ChangeAction::Delete, set.clone())?);
        }
        if let Some(after) = &edit.after {
            batch = batch.changes(change(ChangeAction::Create, set_of(edit, after)?)?);
        }
    }
    batch.build().map_err(|error| unusable(error.to_string()))
}

fn change(action: ChangeAction, set: ResourceRecordSet) -> Result<Change, Fault> {
    let change = Change::builder().action(action).resource_record_set(set);
    change.build().map_err(|error| unusable(error.to_string()))
}

/// Only what can be stated in full, and put back by hand, is taken away.
fn check_is_plain(name: &Name, set: &ResourceRecordSet) -> Result<(), Fault> {
    let kind = set.r#type();
    let what = if set.alias_target().is_some() {
        "an alias"
    } else if set.traffic_policy_instance_id().is_some() {
        "a record of a traffic policy"
    } else if !matches!(kind, RrType::Cname | RrType::Txt) {
        "a record of another type"
    } else {
        return Ok(());
    };
    Err(unusable(format!("at {name} stands {what} ({kind}), which is never taken away; nothing was changed")))
}

fn set_of(edit: &Edit, after: &Record) -> Result<ResourceRecordSet, Fault> {
    if after.name != edit.name {
        let (at, name) = (&edit.name, &after.name);
        return Err(unusable(format!("the plan puts a record of {name} at {at}; nothing was changed")));
    }
    let (kind, value) = match &after.data {
        RecordData::Cname(target) => (RrType::Cname, spelling::write(target)),
        RecordData::Txt(txt) if txt.strings().next().is_some() => (RrType::Txt, route53_value(txt)),
        data => {
            let (name, kind) = (&edit.name, data.kind());
            return Err(unusable(format!(
                "the plan puts at {name} a {kind} record that cannot be written; nothing was changed"
            )));
        }
    };
    let value =
        ResourceRecord::builder().value(value).build().map_err(|error| unusable(error.to_string()))?;
    let set = ResourceRecordSet::builder()
        .name(spelling::write(&after.name))
        .r#type(kind)
        .ttl(i64::from(after.ttl))
        .resource_records(value);
    set.build().map_err(|error| unusable(error.to_string()))
}

/// The id of a change as `GetChange` takes it.
fn bare_id(id: &str) -> String {
    id.trim_start_matches("/change/").to_owned()
}

fn stale(plan: &RepairPlan) -> Fault {
    let said = format!("{} no longer holds what the plan rests on; nothing was changed", plan.zone.name);
    Fault::new(ProviderErrorKind::Stale, Operation::ChangeResourceRecordSets, said)
}

fn unusable(said: impl Into<String>) -> Fault {
    Fault::new(ProviderErrorKind::Unusable, Operation::ChangeResourceRecordSets, said)
}
