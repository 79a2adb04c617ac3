//! [`Account`]: one set of credentials, and the AWS account that they belong to.

use std::time::{Duration, Instant};

use aws_config::retry::RetryConfig;
use aws_config::{BehaviorVersion, SdkConfig};
use aws_sdk_sesv2::config::Region as SdkRegion;
use aws_sdk_sesv2::config::retry::RetryPartition;
use aws_sdk_sesv2::config::timeout::TimeoutConfig;
use dkimguard_core::error::ProviderErrorKind;
use dkimguard_core::identity::Identity;
use dkimguard_core::judge::{Gap, Port};
use tokio::sync::OnceCell;

use crate::fault::Fault;
use crate::observer::Observer;
use crate::operation::Operation;
use crate::region::Region;
use crate::role::RoleArn;

/// How long the connection to an endpoint may take.
const CONNECT: Duration = Duration::from_secs(2);
/// How long an endpoint may take over the first octet of its answer.
const READ: Duration = Duration::from_secs(4);
/// How long one try may take in all.
pub(crate) const TRY: Duration = Duration::from_secs(5);
/// How long a call to STS may take, with the SDK's own tries.
const OPERATION: Duration = Duration::from_secs(8);
/// How long to wait for the number of the account. It only names the identities: no look may hang on it, and in
/// a closed network STS can be out of reach where SES isn't.
const OWNER: Duration = Duration::from_secs(4);

/// What the SDK's defaults are taken to be; a later SDK doesn't change them.
pub(crate) fn behaviour() -> BehaviorVersion {
    BehaviorVersion::v2026_01_12()
}

/// The time limits of every call.
pub(crate) fn time_limits() -> TimeoutConfig {
    TimeoutConfig::builder()
        .connect_timeout(CONNECT)
        .read_timeout(READ)
        .operation_attempt_timeout(TRY)
        .operation_timeout(OPERATION)
        .build()
}

/// One set of credentials, and the account that they belong to.
#[derive(Debug)]
pub(crate) struct Account {
    config: SdkConfig,
    number: OnceCell<String>,
    retries: RetryPartition,
    observer: Observer,
}

impl Account {
    /// The account of credentials that anybody may have set up; STS knows its number.
    pub(crate) fn of_caller(config: SdkConfig, observer: Observer) -> Self {
        Self { config, number: OnceCell::new(), retries: RetryPartition::new("dkimguard"), observer }
    }

    /// The account of a role; the ARN has its number.
    pub(crate) fn of_role(config: SdkConfig, role: &RoleArn, observer: Observer) -> Self {
        Self {
            config,
            number: OnceCell::new_with(Some(role.account().to_owned())),
            retries: RetryPartition::new(format!("dkimguard-{role}")),
            observer,
        }
    }

    /// The account's number, if it is known by now.
    pub(crate) fn number(&self) -> Option<&str> {
        self.number.get().map(String::as_str)
    }

    /// Who is told of the calls.
    pub(crate) fn observer(&self) -> &Observer {
        &self.observer
    }

    /// Whose identities these are. STS is asked until it has answered once.
    pub(crate) async fn owner(&self) -> Owner {
        match self.number.get_or_try_init(|| self.ask_number()).await {
            Ok(number) => Owner::Account(number.clone()),
            Err(fault) => Owner::Untold(fault),
        }
    }

    async fn ask_number(&self) -> Result<String, Fault> {
        let operation = Operation::GetCallerIdentity;
        let config = aws_sdk_sts::config::Builder::from(&self.config).retry_partition(self.retries.clone());
        let client = aws_sdk_sts::Client::from_conf(config.build());
        let start = Instant::now();
        let told = match tokio::time::timeout(OWNER, client.get_caller_identity().send()).await {
            Ok(Ok(caller)) => caller.account.ok_or_else(|| {
                Fault::new(ProviderErrorKind::Unusable, operation, "the answer names no account")
            }),
            Ok(Err(error)) => Err(Fault::read(operation, &error)),
            Err(_) => {
                let said = format!("no answer within {} s", OWNER.as_secs());
                Err(Fault::new(ProviderErrorKind::Unavailable, operation, said))
            }
        };
        self.observer.note(operation, told.as_ref().err().map(|fault| fault.kind), start.elapsed());
        told
    }

    /// The client of Route 53, which answers for all regions. It tries once, as that of SES does.
    pub(crate) fn route53(&self, region: &Region) -> aws_sdk_route53::Client {
        let config = aws_sdk_route53::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.to_string()))
            .retry_config(RetryConfig::disabled())
            .retry_partition(self.retries.clone());
        aws_sdk_route53::Client::from_conf(config.build())
    }

    /// The client of CloudTrail in a region. It tries once, as that of SES does.
    pub(crate) fn cloudtrail(&self, region: &Region) -> aws_sdk_cloudtrail::Client {
        let config = aws_sdk_cloudtrail::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.to_string()))
            .retry_config(RetryConfig::disabled())
            .retry_partition(self.retries.clone());
        aws_sdk_cloudtrail::Client::from_conf(config.build())
    }

    /// The client of SNS in a region. It tries once, as that of SES does.
    pub(crate) fn sns(&self, region: &Region) -> aws_sdk_sns::Client {
        let config = aws_sdk_sns::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.to_string()))
            .retry_config(RetryConfig::disabled())
            .retry_partition(self.retries.clone());
        aws_sdk_sns::Client::from_conf(config.build())
    }

    /// The client of SES v1 in a region. It tries once: each try needs a turn, and the SDK takes none.
    pub(crate) fn ses_v1(&self, region: &Region) -> aws_sdk_ses::Client {
        let config = aws_sdk_ses::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.to_string()))
            .retry_config(RetryConfig::disabled())
            .retry_partition(self.retries.clone());
        aws_sdk_ses::Client::from_conf(config.build())
    }

    /// The client of SES v2 in a region. It tries once, as that of v1 does.
    pub(crate) fn ses_v2(&self, region: &Region) -> aws_sdk_sesv2::Client {
        let config = aws_sdk_sesv2::config::Builder::from(&self.config)
            .region(SdkRegion::new(region.to_string()))
            .retry_config(RetryConfig::disabled())
            .retry_partition(self.retries.clone());
        aws_sdk_sesv2::Client::from_conf(config.build())
    }
}

/// Whose identities those of an account are.
#[derive(Debug)]
pub(crate) enum Owner {
    /// The account's number.
    Account(String),
    /// The number couldn't be learnt.
    Untold(Fault),
}

impl Owner {
    /// What stands for an account in the id of an identity, where the number isn't known.
    pub(crate) const UNKNOWN: &str = "-";

    /// Writes the owner into an identity of its.
    pub(crate) fn sign(&self, identity: &mut Identity) {
        match self {
            Self::Account(number) => identity.id.account = Some(number.clone()),
            Self::Untold(fault) => {
                identity.id.account = Some(Self::UNKNOWN.to_owned());
                let detail = format!(
                    "the account's number is unknown, because {} failed ({}); {}",
                    fault.operation,
                    fault.said(),
                    fault.way_out(),
                );
                identity.gaps.push(Gap { port: Port::Account, ..gap(detail, fault) });
            }
        }
    }

    /// Sees a key that one place doesn't know in the light of STS, which does: the region is then not switched
    /// on for the account, and the credentials are good.
    pub(crate) fn judge(&self, fault: Fault) -> Fault {
        match self {
            Self::Account(_) if fault.is_unknown_key => Fault::new(
                ProviderErrorKind::Denied,
                fault.operation,
                format!("the region is not switched on for this account ({})", fault.said()),
            ),
            _ => fault,
        }
    }

    /// Whether the fault is that of the credentials, and so the same in every region. A key that one place doesn't
    /// know is bad where STS refuses it too.
    pub(crate) fn is_everywhere(&self, fault: &Fault) -> bool {
        let is_refused = matches!(self, Self::Untold(sts) if sts.kind == ProviderErrorKind::Credentials);
        fault.operation == Operation::AssumeRole
            || (fault.kind == ProviderErrorKind::Credentials && (is_refused || !fault.is_unknown_key))
    }
}

/// A gap in what an identity source tells.
pub(crate) fn gap(detail: String, fault: &Fault) -> Gap {
    Gap { port: Port::IdentitySource, detail, transient: fault.is_transient() }
}
