//! [`Aws`]: which accounts and regions to look at, with whose credentials.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use aws_config::SdkConfig;
use aws_config::default_provider::credentials::DefaultCredentialsChain;
use aws_config::environment::EnvironmentVariableRegionProvider;
use aws_config::imds;
use aws_config::imds::region::ImdsRegionProvider;
use aws_config::meta::region::RegionProviderChain;
use aws_config::profile::ProfileFileRegionProvider;
use aws_config::provider_config::ProviderConfig;
use aws_config::retry::RetryConfig;
use aws_config::sts::AssumeRoleProvider;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider};
use aws_sdk_sesv2::config::Region as SdkRegion;
use aws_types::service_config::ServiceConfigKey;
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use thiserror::Error;

use crate::account::{Account, behaviour, time_limits};
use crate::call::Pace;
use crate::cloudtrail::CloudTrail;
use crate::credentials::OneSearch;
use crate::observer::{CallObserver, Observer};
use crate::region::{ParseRegionError, Region};
use crate::role::RoleArn;
use crate::route53::{Route53, Route53Writer};
use crate::ses::{Holding, Place, SesRearm, SesSource};
use crate::sns::Sns;
use crate::topic::TopicArn;

/// How long this machine's metadata service may take; where there is none, nothing answers.
const METADATA: Duration = Duration::from_secs(1);

/// The AWS accounts and regions to look at. Cloning is cheap, and clones share pace and credentials.
#[derive(Clone, Debug)]
pub struct Aws {
    ses: SesSource,
    route53: Route53,
    cloudtrail: CloudTrail,
    accounts: Result<Vec<Arc<Account>>, ConfigError>,
}

impl Aws {
    /// What the AWS configuration says: its region, and the account of its credentials.
    ///
    /// The environment, the AWS profile and this machine's metadata service are read as every AWS SDK does
    /// (`AWS_REGION`, `AWS_PROFILE`, `AWS_ENDPOINT_URL`, …), and no AWS API is called. If no usable region is
    /// set, every look says so; [`AwsBuilder::load`] says it at once.
    pub async fn from_env() -> Self {
        match Self::builder().load().await {
            Ok(aws) => aws,
            Err(error) => Self {
                ses: SesSource::without_places(error.clone()),
                route53: Route53::without_accounts(error.clone()),
                cloudtrail: CloudTrail::without_accounts(error.clone()),
                accounts: Err(error),
            },
        }
    }

    /// Other regions, other accounts, other credentials.
    pub fn builder() -> AwsBuilder {
        AwsBuilder::default()
    }

    /// The identities of SES in all these accounts and regions.
    pub fn ses(&self) -> SesSource {
        self.ses.clone()
    }

    /// The hosted zones of Route 53 in all these accounts.
    pub fn route53(&self) -> Route53 {
        self.route53.clone()
    }

    /// Writes to the hosted zones of Route 53 in all these accounts, where a plan says so.
    pub fn publisher(&self) -> Route53Writer {
        Route53Writer::of(self.route53())
    }

    /// Has SES look for an identity's records again, in all these accounts and regions.
    pub fn rearm(&self) -> SesRearm {
        SesRearm::of(self.ses())
    }

    /// What CloudTrail tells of changes in all these accounts.
    pub fn cloudtrail(&self) -> CloudTrail {
        self.cloudtrail.clone()
    }

    /// Whoever is subscribed to this topic, as a notifier.
    pub fn sns(&self, topic: TopicArn) -> Sns {
        Sns::to(topic, &self.accounts)
    }
}

/// Sets up an [`Aws`]. What isn't set is taken from the AWS configuration.
#[derive(Clone, Debug, Default)]
#[must_use]
pub struct AwsBuilder {
    regions: Regions,
    roles: Vec<RoleArn>,
    endpoint_url: Option<String>,
    credentials: Option<SharedCredentialsProvider>,
    observer: Observer,
}

#[derive(Clone, Debug, Default)]
enum Regions {
    /// The one that the AWS configuration names.
    #[default]
    Configured,
    These(Vec<Region>),
    /// All with SES in the partition of the configured one.
    All,
}

impl AwsBuilder {
    /// Looks at these regions. None at all is as though this were not called.
    pub fn with_regions(mut self, regions: impl IntoIterator<Item = Region>) -> Self {
        let regions: Vec<_> = regions.into_iter().collect();
        self.regions = if regions.is_empty() { Regions::Configured } else { Regions::These(regions) };
        self
    }

    /// Looks at all regions in which SES is offered. One that isn't switched on for the account gives an error
    /// of kind `Denied` among the identities of the others.
    pub fn with_all_regions(mut self) -> Self {
        self.regions = Regions::All;
        self
    }

    /// Looks at the accounts of these roles, as them, in place of the caller's own account. None at all is as
    /// though this were not called.
    pub fn with_roles(mut self, roles: impl IntoIterator<Item = RoleArn>) -> Self {
        self.roles = roles.into_iter().collect();
        self
    }

    /// Sends every call to this URL; for tests, and for proxies that speak AWS's APIs.
    pub fn with_endpoint_url(mut self, url: impl Into<String>) -> Self {
        self.endpoint_url = Some(url.into());
        self
    }

    /// Uses these credentials, and looks for no others.
    pub fn with_credentials(mut self, credentials: impl ProvideCredentials + 'static) -> Self {
        self.credentials = Some(SharedCredentialsProvider::new(credentials));
        self
    }

    /// Tells this observer of each call.
    pub fn with_observer(mut self, observer: impl CallObserver + 'static) -> Self {
        self.observer = Observer::new(observer);
        self
    }

    /// Reads the AWS configuration. No AWS API is called; credentials are looked for with the first call.
    ///
    /// # Errors
    /// No region is set, or the configuration's is no region's name, or an endpoint's URL is none.
    pub async fn load(self) -> Result<Aws, ConfigError> {
        let metadata = imds::Client::builder()
            .max_attempts(1)
            .connect_timeout(METADATA)
            .read_timeout(METADATA)
            .operation_attempt_timeout(METADATA)
            .operation_timeout(METADATA * 2)
            .build();
        let regions = distinct(self.regions(&metadata).await?);
        let home = regions.first().cloned().unwrap_or_default();
        let config = self.config(&home, metadata).await;
        check_endpoints(self.endpoint_url.as_deref(), &config)?;

        let mut accounts = Vec::new();
        if self.roles.is_empty() {
            accounts.push(Arc::new(Account::of_caller(config.clone(), self.observer.clone())));
        }
        for role in distinct(self.roles) {
            let as_role = assume(&config, &role, &self.observer).await;
            accounts.push(Arc::new(Account::of_role(as_role, &role, self.observer.clone())));
        }
        let route53 = Route53::over(&accounts, &home.global());
        let cloudtrail = CloudTrail::over(&accounts, home.global());
        // Two roles of one account share its limit.
        let mut paces = HashMap::new();
        let holdings = accounts.iter().map(|account| {
            let number = account.number().map(str::to_owned);
            let places = regions.iter().map(|region| {
                let pace = paces
                    .entry((number.clone(), region.clone()))
                    .or_insert_with(|| Arc::new(Pace::of_ses(account.observer())))
                    .clone();
                Place::new(account, region.clone(), pace)
            });
            Holding::new(places.collect(), Arc::clone(account))
        });
        let ses = SesSource::over(holdings.collect());
        Ok(Aws { ses, route53, cloudtrail, accounts: Ok(accounts) })
    }

    async fn regions(&self, metadata: &imds::Client) -> Result<Vec<Region>, ConfigError> {
        let from_files = || {
            RegionProviderChain::first_try(EnvironmentVariableRegionProvider::new())
                .or_else(ProfileFileRegionProvider::new())
        };
        match &self.regions {
            Regions::These(regions) => Ok(regions.clone()),
            Regions::Configured => {
                let metadata = ImdsRegionProvider::builder().imds_client(metadata.clone()).build();
                let region = from_files().or_else(metadata).region().await;
                let region =
                    region.filter(|region| !region.as_ref().is_empty()).ok_or(ConfigError::NoRegion)?;
                Ok(vec![region.as_ref().parse()?])
            }
            // The configured region only tells the partition here, which hardly ever is another than the first.
            Regions::All => match from_files().region().await {
                Some(region) => Ok(region.as_ref().parse::<Region>()?.beside()),
                None => Ok(Region::default().beside()),
            },
        }
    }

    async fn config(&self, home: &Region, metadata: imds::Client) -> SdkConfig {
        let region = SdkRegion::new(home.to_string());
        let credentials = match &self.credentials {
            Some(credentials) => credentials.clone(),
            None => {
                let conf = ProviderConfig::without_region()
                    .with_behavior_version(Some(behaviour()))
                    .with_region(Some(region.clone()))
                    .with_timeout_config(time_limits());
                let chain = DefaultCredentialsChain::builder()
                    .configure(conf)
                    .region(region.clone())
                    .imds_client(metadata)
                    .build()
                    .await;
                SharedCredentialsProvider::new(chain)
            }
        };
        let mut loader = aws_config::defaults(behaviour())
            .region(region)
            .credentials_provider(OneSearch::new(credentials))
            .timeout_config(time_limits())
            .retry_config(RetryConfig::standard());
        if let Some(url) = &self.endpoint_url {
            loader = loader.endpoint_url(url);
        }
        loader.load().await
    }
}

/// Refuses what cannot be a URL. The SDK would tell with the first call, in its own terms; and an empty one, which
/// scripts like to set, would make it panic.
fn check_endpoints(given: Option<&str>, config: &SdkConfig) -> Result<(), ConfigError> {
    // The environment and the profile may give each service an endpoint of its own.
    let configured = |service| {
        let key = ServiceConfigKey::builder()
            .service_id(service)
            .env("AWS_ENDPOINT_URL")
            .profile("endpoint_url")
            .build()
            .ok()?;
        config.service_config()?.load_config(key)
    };
    let urls: Vec<String> = match given {
        Some(url) => vec![url.to_owned()],
        None => ["SES", "SESv2", "STS", "Route 53", "CloudTrail", "SNS"]
            .into_iter()
            .filter_map(configured)
            .collect(),
    };
    match urls.into_iter().find(|url| !is_url(url)) {
        Some(url) => Err(ConfigError::BadEndpoint { url }),
        None => Ok(()),
    }
}

fn is_url(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    rest.is_some_and(|rest| {
        rest.starts_with(|first: char| first.is_ascii_alphanumeric() || first == '[')
            && rest.bytes().all(|octet| octet.is_ascii_graphic() && !b"\"<>\\^`{|}".contains(&octet))
    })
}

/// The configuration of a role, out of that of who may assume it.
async fn assume(config: &SdkConfig, role: &RoleArn, observer: &Observer) -> SdkConfig {
    let role =
        AssumeRoleProvider::builder(role.as_str()).session_name("dkimguard").configure(config).build().await;
    config
        .to_builder()
        .credentials_provider(SharedCredentialsProvider::new(OneSearch::of_role(
            SharedCredentialsProvider::new(role),
            observer,
        )))
        .identity_cache(aws_sdk_sesv2::config::IdentityCache::lazy().build())
        .build()
}

/// The items without repetition, in their order.
fn distinct<T: PartialEq>(items: Vec<T>) -> Vec<T> {
    let mut kept: Vec<T> = Vec::with_capacity(items.len());
    for item in items {
        if !kept.contains(&item) {
            kept.push(item);
        }
    }
    kept
}

/// Why the AWS configuration cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[non_exhaustive]
pub enum ConfigError {
    /// Neither the environment nor the profile nor this machine's metadata service names a region.
    #[error("no AWS region is set")]
    NoRegion,
    /// The one that is named is none.
    #[error("the AWS configuration names a region, but {0}")]
    BadRegion(#[from] ParseRegionError),
    /// The URL of an endpoint isn't one.
    #[error("`{url}` is not the URL of an endpoint, which begins with http:// or https://")]
    BadEndpoint {
        /// What is set.
        url: String,
    },
}

impl ConfigError {
    /// The error of a port whose AWS configuration cannot be used.
    pub(crate) fn as_provider_error(&self) -> ProviderError {
        ProviderError {
            provider: "AWS".to_owned(),
            operation: "the configuration".to_owned(),
            kind: ProviderErrorKind::Unusable,
            source: Some(Box::new(self.clone())),
        }
    }

    /// What to do about it, in one line.
    pub fn hint(&self) -> &'static str {
        match self {
            Self::NoRegion => "give --region, or set AWS_REGION, or a region in the AWS profile",
            Self::BadRegion(_) => "correct AWS_REGION or the region in the AWS profile, or give --region",
            Self::BadEndpoint { .. } => {
                "correct or unset AWS_ENDPOINT_URL, its forms for single services, and endpoint_url in the AWS profile"
            }
        }
    }
}
