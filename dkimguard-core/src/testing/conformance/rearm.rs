//! The suite of a [`Rearm`].

use crate::identity::{Identity, KeyMaker, ProviderStatus, Targets};
use crate::name::Name;
use crate::ports::{IdentitySource, Rearm};
use crate::testing::zone::name;

/// Checks a [`Rearm`] beside the source that shows what it does. `idle` is the domain of an identity whose keys the
/// provider makes and for which it no longer looks; `others` are domains of identities that must not be started: those for
/// which it looks, those with a key of the owner's, replicas. The source holds one identity of each.
///
/// The others are refused and stay as they are; so is one that is said to be theirs or that the provider doesn't know. The
/// idle one is started, and what is given is what the source then shows: status, selectors and targets. Started once, it
/// isn't started again, neither as it is now nor by somebody who doesn't know yet.
///
/// # Panics
/// If it fails, or the source doesn't hold such identities.
pub async fn rearm(rearm: &dyn Rearm, source: &dyn IdentitySource, idle: &Name, others: &[Name]) {
    let suite = Suite { rearm, source };
    let before = suite.held(idle).await;
    assert!(is_startable(&before), "the suite needs {} to be one that may be started", before.id);

    let mut untouched = Vec::new();
    for domain in others {
        let other = suite.held(domain).await;
        assert!(!is_startable(&other), "the suite needs {} to be one that may not be started", other.id);
        untouched.push(other);
    }

    suite.refuses_all(&untouched).await;
    suite.refuses_what_is_said_to_be_another(&before).await;

    let now = match rearm.rearm(&before).await {
        Ok(now) => now,
        Err(error) => panic!("rearm() of {} gave an error: {error} ({:?})", before.id, error.source),
    };
    assert_eq!(now.id, before.id, "rearm() gave another identity");
    let looks =
        !matches!(now.status, ProviderStatus::Failed | ProviderStatus::NotStarted | ProviderStatus::Unknown);
    assert!(looks, "rearm() gave an identity that isn't started: {}", now.status);
    assert_eq!(now.targets, Targets::Told, "rearm() gave targets that weren't told");
    suite.shows(&now, "after rearm()").await;

    // Its answer was lost, and it is asked for again by somebody who doesn't know.
    if let Ok(again) = rearm.rearm(&before).await {
        same(&again, &now, "rearm() for the second time");
    }
    suite.shows(&now, "after rearm() for the second time").await;
    suite.refuses(&now, "is started").await;
    suite.shows(&now, "after rearm() of what is started").await;
    suite.refuses_all(&untouched).await;
}

struct Suite<'a> {
    rearm: &'a dyn Rearm,
    source: &'a dyn IdentitySource,
}

impl Suite<'_> {
    async fn held(&self, domain: &Name) -> Identity {
        let mut found = self.source.find(domain).await;
        match (found.pop(), found.pop()) {
            (Some(Ok(identity)), None) => identity,
            (Some(Err(error)), _) => panic!("find({domain}) gave an error: {error}"),
            _ => panic!("the suite needs one identity of {domain}"),
        }
    }

    async fn shows(&self, expected: &Identity, when: &str) {
        same(&self.held(expected.domain()).await, expected, when);
    }

    async fn refuses_all(&self, others: &[Identity]) {
        for other in others {
            self.refuses(other, "may not be started").await;
            self.shows(other, "that may not be started").await;
        }
    }

    async fn refuses_what_is_said_to_be_another(&self, idle: &Identity) {
        for keys in [KeyMaker::Parent, KeyMaker::Owner, KeyMaker::Unknown] {
            self.refuses(&Identity { keys, ..idle.clone() }, "is said to have other keys").await;
        }
        for status in [
            ProviderStatus::Success,
            ProviderStatus::Pending,
            ProviderStatus::TemporaryFailure,
            ProviderStatus::Unknown,
            ProviderStatus::Other("NEW".to_owned()),
        ] {
            self.refuses(&Identity { status, ..idle.clone() }, "is said not to be idle").await;
        }
        let mut unknown = idle.clone();
        unknown.id.domain = name(&format!("nobody.{}", idle.domain()));
        self.refuses(&unknown, "the provider doesn't know").await;
        self.shows(idle, "after rearm() was refused").await;
    }

    async fn refuses(&self, identity: &Identity, what: &str) {
        match self.rearm.rearm(identity).await {
            Ok(now) => panic!("rearm() of {}, which {what}, gave {}", identity.id, now.status),
            Err(error) => {
                let is_named = !error.provider.is_empty() && !error.operation.is_empty();
                assert!(is_named, "rearm() gave an error that names no provider or no operation: {error:?}");
            }
        }
    }
}

/// Whether the provider may be asked to start it again.
fn is_startable(identity: &Identity) -> bool {
    identity.keys == KeyMaker::Provider
        && matches!(identity.status, ProviderStatus::Failed | ProviderStatus::NotStarted)
}

fn same(found: &Identity, expected: &Identity, when: &str) {
    let told = |identity: &Identity| {
        (identity.id.clone(), identity.status.clone(), identity.keys.clone(), identity.selectors.clone())
    };
    assert_eq!(told(found), told(expected), "the identity {when}");
}

#[cfg(test)]
mod tests {
    use async_trait::async_trait;
    use futures_util::FutureExt;

    use super::*;
    use crate::error::{ProviderError, ProviderErrorKind};
    use crate::identity::Selector;
    use crate::testing::{FakeSource, easy_dkim_identity};

    const IDLE: &str = "idle.example";
    const OTHERS: [(&str, ProviderStatus, KeyMaker); 4] = [
        ("sound.example", ProviderStatus::Success, KeyMaker::Provider),
        ("behind.example", ProviderStatus::TemporaryFailure, KeyMaker::Provider),
        ("replica.example", ProviderStatus::Failed, KeyMaker::Parent),
        ("own.example", ProviderStatus::Failed, KeyMaker::Owner),
    ];

    fn source() -> FakeSource {
        let of = |domain: &str, status: &ProviderStatus, keys: &KeyMaker| Identity {
            status: status.clone(),
            keys: keys.clone(),
            ..easy_dkim_identity(domain)
        };
        let others = OTHERS.iter().map(|(domain, status, keys)| of(domain, status, keys));
        let source = FakeSource::new(others.chain([of(IDLE, &ProviderStatus::Failed, &KeyMaker::Provider)]));
        source.set_tokens_after_rearm(new_tokens("new"));
        source
    }

    fn new_tokens(label: &str) -> Vec<Selector> {
        let mut selectors = easy_dkim_identity(IDLE).selectors;
        selectors[0].label = name(label);
        selectors
    }

    fn passes(rearm: &Wrong) -> bool {
        let others = OTHERS.map(|(domain, ..)| name(domain));
        let suite = || {
            let idle = name(IDLE);
            let run = super::rearm(rearm, &rearm.source, &idle, &others);
            run.now_or_never().expect("a fake does not wait");
        };
        std::panic::catch_unwind(std::panic::AssertUnwindSafe(suite)).is_ok()
    }

    /// What a [`Wrong`] does wrong.
    #[derive(Clone, Copy, Debug, PartialEq)]
    enum Wrongly {
        NotAtAll,
        LooksOnlyAtWhatItHolds,
        StartsAnything,
        DoesNothing,
        GivesOldSelectors,
        GivesAnother,
        StartsAgain,
        StartsAllOfThem,
        TakesItAway,
    }

    #[derive(Debug)]
    struct Wrong {
        source: FakeSource,
        wrongly: Wrongly,
    }

    impl Wrong {
        fn start(&self, identity: &Identity, label: &str) -> Identity {
            let (status, selectors) = (ProviderStatus::Pending, new_tokens(label));
            let now = Identity { status, selectors, ..identity.clone() };
            self.source.put(now.clone());
            now
        }
    }

    #[async_trait]
    impl Rearm for Wrong {
        async fn rearm(&self, identity: &Identity) -> Result<Identity, ProviderError> {
            let refused = |kind| {
                let (provider, operation) = ("wrong".to_owned(), "rearm".to_owned());
                ProviderError { provider, operation, kind, source: None }
            };
            let is_claimed = is_startable(identity);
            let held = self.source.find(identity.domain()).await.pop();
            let Some(Ok(held)) = held else { return Err(refused(ProviderErrorKind::NotFound)) };
            let right = async || self.source.rearm(identity).await;
            match self.wrongly {
                Wrongly::NotAtAll => right().await,
                Wrongly::LooksOnlyAtWhatItHolds => self.source.rearm(&held).await,
                Wrongly::StartsAnything => Ok(self.start(&held, "new")),
                Wrongly::DoesNothing => {
                    right().await?;
                    self.source.put(identity.clone());
                    Ok(Identity { status: ProviderStatus::Pending, ..identity.clone() })
                }
                Wrongly::GivesOldSelectors => {
                    let now = right().await?;
                    Ok(Identity { selectors: identity.selectors.clone(), ..now })
                }
                Wrongly::GivesAnother => {
                    let mut now = right().await?;
                    now.id.region = Some("elsewhere".to_owned());
                    Ok(now)
                }
                Wrongly::StartsAgain if is_claimed && held.status == ProviderStatus::Pending => {
                    Ok(self.start(&held, "newer"))
                }
                Wrongly::StartsAgain => right().await,
                Wrongly::StartsAllOfThem => {
                    let now = right().await?;
                    let (domain, _, keys) = OTHERS[3].clone();
                    self.start(&Identity { keys, ..easy_dkim_identity(domain) }, "new");
                    Ok(now)
                }
                Wrongly::TakesItAway => {
                    let now = right().await?;
                    self.source.delete(identity.domain());
                    Ok(now)
                }
            }
        }
    }

    #[test]
    fn wrong_rearms_fail() {
        let of = |wrongly| Wrong { source: source(), wrongly };
        assert!(passes(&of(Wrongly::NotAtAll)), "a right one fails");
        for wrongly in [
            Wrongly::LooksOnlyAtWhatItHolds,
            Wrongly::StartsAnything,
            Wrongly::DoesNothing,
            Wrongly::GivesOldSelectors,
            Wrongly::GivesAnother,
            Wrongly::StartsAgain,
            Wrongly::StartsAllOfThem,
            Wrongly::TakesItAway,
        ] {
            assert!(!passes(&of(wrongly)), "{wrongly:?} passes");
        }
    }
}
