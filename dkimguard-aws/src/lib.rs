//! dkimguard's ports for Amazon SES, Route 53, CloudTrail and SNS.
//!
//! [`Aws`] says which accounts and regions to look at and with whose credentials; over all of them
//! - [`Aws::ses`] is the [`IdentitySource`](dkimguard_core::ports::IdentitySource): what must be in DNS;
//! - [`Aws::route53`] is the [`ZoneView`](dkimguard_core::ports::ZoneView): what the hosted zones hold, delegated or not;
//! - [`Aws::cloudtrail`] is the [`ChangeHistory`](dkimguard_core::ports::ChangeHistory): who changed what;
//! - [`Aws::sns`] is a [`Notifier`](dkimguard_core::ports::Notifier): who is told;
//! - [`Aws::publisher`] is the [`RecordPublisher`](dkimguard_core::ports::RecordPublisher) and [`Aws::rearm`] the
//!   [`Rearm`](dkimguard_core::ports::Rearm) of a repair. They are types of their own: whoever holds only the others can't
//!   change anything.
//!
//! Zones and changes explain what is wrong. Each may be denied; the others still tell what they can.
//!
//! ```no_run
//! # async fn look() {
//! use dkimguard_aws::Aws;
//! use dkimguard_core::ports::IdentitySource;
//!
//! let ses = Aws::from_env().await.ses();
//! for answer in ses.find(&"example.com".parse().expect("a domain name")).await {
//!     match answer {
//!         Ok(identity) => println!("{}: {}", identity.id, identity.status),
//!         Err(error) => println!("{error}; {}", dkimguard_aws::hint(&error).unwrap_or_default()),
//!     }
//! }
//! # }
//! ```
//!
//! # What it calls
//! Nothing that writes, but for `sns:Publish` where a topic is given and what [`Route53Writer`] and [`SesRearm`] say of
//! themselves, and nothing before it is needed. One domain costs one `ses:GetEmailIdentity` in each account and region,
//! and one `sts:GetCallerIdentity`. All domains cost one `ses:ListEmailIdentities` for a
//! thousand identities, then for up to [`SesSource::ONE_BY_ONE`] domains a place `ses:GetEmailIdentity` each,
//! and above that one `ses:GetIdentityDkimAttributes` for a hundred domains and `ses:GetEmailIdentity` only for
//! those that SES doesn't hold to be verified. Domains that are named
//! ([`find_many`](dkimguard_core::ports::IdentitySource::find_many)) cost the same without the list.
//!
//! The zone behind a domain costs one `route53:ListHostedZonesByName`, `route53:GetHostedZone` and
//! `route53:ListResourceRecordSets` each, and a topic of its history one `cloudtrail:LookupEvents`: with SES and STS
//! that is six calls for everything about one domain. [`Route53`] and [`CloudTrail`] say what more it costs where
//! there is more.
//!
//! SES allows one such call a second in each account and region; dkimguard keeps to 90 % of that. So 20 domains
//! take about 23 seconds, and 10,000 about two minutes.
//!
//! # Permissions
//! [`READ_ONLY_POLICY`]:
//! ```json
#![doc = include_str!("read_only_policy.json")]
//! ```
//! `sts:GetCallerIdentity` works without a permission unless something denies it. Where roles are given
//! ([`AwsBuilder::with_roles`]), the policy belongs to each role, and the caller needs `sts:AssumeRole` on them.
//! [`Sns`] needs `sns:Publish` on its topic. [`Route53Writer`] and [`SesRearm`] need [`REPAIR_POLICY`] beside it, with
//! one's own zone, account, region and domain.
//! A permission that is missing costs what it would have told, and [`hint`] names it.
//!
//! # Features
//! - `sso`: credentials from IAM Identity Center (`aws sso login`).
//! - `credentials-process`: credentials that a program prints.

mod account;
mod aws;
mod call;
mod cloudtrail;
mod credentials;
mod fault;
mod hint;
mod observer;
mod operation;
mod region;
mod role;
mod route53;
mod ses;
mod sns;
mod spelling;
mod topic;

pub use aws::{Aws, AwsBuilder, ConfigError};
pub use cloudtrail::CloudTrail;
pub use hint::hint;
pub use observer::{CallObserver, EndedCall};
pub use operation::{READ_ONLY_POLICY, REPAIR_POLICY};
pub use region::{ParseRegionError, Region};
pub use role::{ParseRoleArnError, RoleArn};
pub use route53::{Route53, Route53Writer};
pub use ses::{SesRearm, SesSource};
pub use sns::Sns;
pub use topic::{ParseTopicArnError, TopicArn};
