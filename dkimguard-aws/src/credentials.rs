//! [`OneSearch`]: credentials that are searched for once, not once for each region.

use std::error::Error;
use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use aws_credential_types::Credentials;
use aws_credential_types::provider::error::CredentialsError;
use aws_credential_types::provider::{ProvideCredentials, SharedCredentialsProvider, future};
use tokio::sync::Mutex;

use crate::fault::Fault;
use crate::observer::Observer;
use crate::operation::Operation;

/// How long a failed search stands. Long enough for all regions of one look, short enough for somebody who logs
/// in and tries again.
const STANDS: Duration = Duration::from_secs(5);

/// Credentials of another provider, which is asked by one caller at a time, and not again right after it failed.
///
/// Where there are no credentials, the search ends at the metadata service of a machine that has none, and takes
/// a second. The SDK's cache keeps only what was found.
#[derive(Debug)]
pub(crate) struct OneSearch {
    provider: SharedCredentialsProvider,
    failed: Mutex<Option<(Instant, Failed)>>,
    /// Who is told of each search, where it is a call to AWS.
    observer: Option<Observer>,
}

impl OneSearch {
    pub(crate) fn new(provider: SharedCredentialsProvider) -> Self {
        Self { provider, failed: Mutex::new(None), observer: None }
    }

    /// The credentials of a role: a search is `sts:AssumeRole`.
    pub(crate) fn of_role(provider: SharedCredentialsProvider, observer: &Observer) -> Self {
        Self { observer: Some(observer.clone()), ..Self::new(provider) }
    }

    fn note(&self, answer: &Result<Credentials, CredentialsError>, took: Duration) {
        let operation = Operation::AssumeRole;
        let failure = answer.as_ref().err().map(|error| Fault::read_credentials(operation, error).kind);
        if let Some(observer) = &self.observer {
            observer.note(operation, failure, took);
        }
    }
}

impl ProvideCredentials for OneSearch {
    fn provide_credentials<'a>(&'a self) -> future::ProvideCredentials<'a>
    where
        Self: 'a,
    {
        future::ProvideCredentials::new(async {
            let mut failed = self.failed.lock().await;
            if let Some((at, error)) = &*failed
                && at.elapsed() < STANDS
            {
                return Err(error.again());
            }
            let start = Instant::now();
            let answer = self.provider.provide_credentials().await;
            self.note(&answer, start.elapsed());
            match answer {
                Ok(credentials) => {
                    *failed = None;
                    Ok(credentials)
                }
                Err(error) => {
                    let error = Failed(Arc::new(error));
                    *failed = Some((Instant::now(), error.clone()));
                    Err(error.again())
                }
            }
        })
    }
}

/// A failed search that can be told several times.
#[derive(Clone, Debug)]
struct Failed(Arc<CredentialsError>);

impl Failed {
    fn again(&self) -> CredentialsError {
        match &*self.0 {
            CredentialsError::CredentialsNotLoaded(_) => CredentialsError::not_loaded(self.clone()),
            CredentialsError::ProviderTimedOut(error) => {
                CredentialsError::provider_timed_out(error.timeout_duration())
            }
            CredentialsError::InvalidConfiguration(_) => {
                CredentialsError::invalid_configuration(self.clone())
            }
            _ => CredentialsError::provider_error(self.clone()),
        }
    }
}

/// Only what lies beneath is told; the error that this becomes says the rest itself.
impl fmt::Display for Failed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.0.source() {
            Some(source) => fmt::Display::fmt(source, f),
            None => fmt::Display::fmt(&*self.0, f),
        }
    }
}

impl Error for Failed {
    fn source(&self) -> Option<&(dyn Error + 'static)> {
        self.0.source()
    }
}
