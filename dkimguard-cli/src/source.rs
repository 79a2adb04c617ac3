//! Where identities come from: from the settings to an [`IdentitySource`].

use std::sync::Arc;

use dkimguard_aws::{Aws, AwsBuilder, ConfigError, hint};
use dkimguard_core::error::{ProviderError, ProviderErrorKind};
use dkimguard_core::identity::IdentityId;
use dkimguard_core::judge::{Gap, Port};
use dkimguard_core::name::Name;
use dkimguard_core::ports::{ChangeHistory, IdentitySource, ZoneView};

use crate::failure::{Code, Failure, chain};
use crate::settings::{Regions, Source};
use dkimguard_core::file::FileSource;

/// Those that tell: of identities, and where there are such, of zones and of changes.
#[derive(Debug)]
pub(crate) struct Sources {
    pub(crate) identities: Arc<dyn IdentitySource>,
    pub(crate) zones: Option<Arc<dyn ZoneView>>,
    pub(crate) history: Option<Arc<dyn ChangeHistory>>,
    /// The accounts and regions, where the source is SES.
    pub(crate) aws: Option<Aws>,
}

/// The source that the settings name, and what belongs to it.
///
/// # Errors
/// A file that can't be read or is wrong; an AWS configuration that can't be used.
pub(crate) async fn open(source: &Source) -> Result<Sources, Failure> {
    open_with(source, Aws::builder()).await
}

/// The same, where AWS is concerned, made by this builder.
///
/// # Errors
/// As [`open`].
pub(crate) async fn open_with(source: &Source, aws: AwsBuilder) -> Result<Sources, Failure> {
    match source {
        Source::File(path) => match FileSource::open(path) {
            Ok(file) => Ok(Sources { identities: Arc::new(file), zones: None, history: None, aws: None }),
            Err(error) => Err(Failure::from_error(Code::IdentityFile, &error)
                .with_hint("--source file:PATH names a file of identities, .toml or .jsonl")),
        },
        Source::Ses { regions, roles } => {
            let builder = aws.with_roles(roles.iter().map(|role| role.0.clone()));
            let builder = match regions {
                Regions::Configured => builder,
                Regions::Named(regions) => {
                    builder.with_regions(regions.iter().map(|region| region.0.clone()))
                }
                Regions::All => builder.with_all_regions(),
            };
            match builder.load().await {
                Ok(aws) => Ok(Sources {
                    identities: Arc::new(aws.ses()),
                    zones: Some(Arc::new(aws.route53())),
                    history: Some(Arc::new(aws.cloudtrail())),
                    aws: Some(aws),
                }),
                Err(error) => Err(Failure::from_error(code(&error), &error).with_hint(error.hint())),
            }
        }
    }
}

fn code(error: &ConfigError) -> Code {
    match error {
        ConfigError::NoRegion => Code::NoRegion,
        ConfigError::BadEndpoint { .. } => Code::BadEndpoint,
        _ => Code::BadRegion,
    }
}

/// The source in a sentence.
pub(crate) fn describe(source: &Source) -> String {
    match source {
        Source::File(path) => format!("the file {}", path.display()),
        Source::Ses { regions: Regions::All, .. } => "SES in every region".to_owned(),
        Source::Ses { regions: Regions::Named(regions), .. } => {
            let regions: Vec<String> = regions.iter().map(|region| region.0.to_string()).collect();
            format!("SES in {}", regions.join(", "))
        }
        Source::Ses { regions: Regions::Configured, .. } => "SES in the configured region".to_owned(),
    }
}

/// What an error of the source leaves unknown about a domain.
pub(crate) fn gap(error: &ProviderError) -> Gap {
    let mut detail = chain(error);
    if let Some(hint) = hint(error) {
        detail = format!("{detail}; {hint}");
    }
    Gap { port: Port::IdentitySource, detail, transient: error.is_transient() }
}

/// The gap of a domain that the source, which could be asked, doesn't know.
pub(crate) fn gap_of_stranger(source: &Source, domain: &Name) -> Gap {
    let detail = format!("{} does not know {domain}", describe(source));
    Gap { port: Port::IdentitySource, detail, transient: false }
}

/// An error of the source as the failure of the command.
pub(crate) fn failure(error: &ProviderError) -> Failure {
    let code = match error.kind {
        ProviderErrorKind::Credentials => Code::NoCredentials,
        _ => Code::Provider,
    };
    Failure::from_error(code, error).with_hint_if(hint(error))
}

/// The id of a domain of which the source knows nothing.
pub(crate) fn id_of_stranger(source: &Source, domain: Name) -> IdentityId {
    match source {
        Source::File(_) => IdentityId { provider: "file".to_owned(), account: None, region: None, domain },
        Source::Ses { regions, .. } => {
            let region = match regions {
                Regions::Named(regions) if regions.len() == 1 => Some(regions[0].0.to_string()),
                _ => None,
            };
            IdentityId { provider: "ses".to_owned(), account: Some("-".to_owned()), region, domain }
        }
    }
}
