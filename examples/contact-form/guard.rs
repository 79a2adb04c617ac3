//! All that the form needs of dkimguard.

use std::error::Error;
use std::sync::Arc;

use dkimguard_aws::Aws;
use dkimguard_core::guard::{Guard, GuardHandle, Sqlite};
use dkimguard_core::notify::Webhook;
use dkimguard_core::{Dns, Look};

use crate::settings::Settings;

/// Begins to watch the domain that the form sends from.
pub(crate) async fn watch(settings: &Settings) -> Result<GuardHandle, Box<dyn Error>> {
    let aws = Aws::from_env().await;
    let look = Look::new(Arc::new(Dns::default()), settings.places()?);
    let mut guard = Guard::builder(aws.ses(), look)
        .watch([settings.domain.clone()])
        .zones(aws.route53())
        .history(aws.cloudtrail())
        .store(Sqlite::open(settings.guard_store())?)
        .policy(settings.policy())
        .seed(crate::random());
    if let Some(target) = &settings.alert_url {
        guard = guard.notifier(Webhook::new(target.clone(), settings.alert_secret.clone())?);
    }
    Ok(guard.spawn()?)
}
