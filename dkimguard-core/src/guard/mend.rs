//! [`Due`]: a step that mends an identity, and how it is taken.

use std::time::Duration;

use super::RepairMode;
use super::journal::Ending;
use super::visit::{LONGEST_VISIT, Visitor};
use crate::error::{ProviderError, ProviderErrorKind, chain};
use crate::identity::{Identity, IdentityId, ProviderStatus};
use crate::repair::Step;

/// How long a step may take before it is given up. Route 53 takes one change of a zone at a time, and AWS's client tries
/// by itself again and again; nothing waits for a step but the next one.
const LONGEST_STEP: Duration = Duration::from_secs(600);

/// A step that mends an identity, and that is to be taken now.
#[derive(Debug)]
pub(super) struct Due {
    pub(super) id: IdentityId,
    /// As the look that asked for the step heard it.
    pub(super) identity: Identity,
    pub(super) step: Step,
    /// Why it is to be taken.
    pub(super) reason: String,
}

impl Visitor {
    /// Whether a step can be taken here.
    pub(super) fn can_take(&self, step: &Step, identity: &Identity) -> bool {
        self.policy.repair == RepairMode::Apply
            && match step {
                // Somebody may have switched it off on purpose; setting it up is for people too.
                _ if identity.status == ProviderStatus::NotStarted => false,
                Step::Publish(_) => self.publisher.is_some(),
                Step::Rearm => self.rearm.is_some() && identity.status == ProviderStatus::Failed,
                _ => false,
            }
    }

    /// Takes a step that mends an identity, once it stands in the stored journal, and writes down what came of it. It
    /// always ends, and a port that panics or hangs costs this step. The next looks prove it.
    pub(super) async fn mend(&self, due: Due) {
        let Due { id, identity, step, reason } = due;
        let at = self.clock.now();
        // What isn't in the stored journal isn't done: no other instance could know of it.
        let begin = self.keeper.commit(&id, at, |mut memory| {
            let begins = memory.begin_step(&step, &reason, at, &self.policy);
            (memory, begins)
        });
        if self.guarded(LONGEST_VISIT, begin).await != Ok(Some(true)) {
            return;
        }
        let ending = match self.guarded(LONGEST_STEP, self.take_step(&step, &identity)).await {
            Ok(Ok(done)) => Ending::Taken(done),
            Ok(Err(error)) if did_nothing(&error) => {
                Ending::Void(format!("nothing was done: {}", chain(&error)))
            }
            Ok(Err(error)) => Ending::Doubtful(format!("not known: {}", chain(&error))),
            Err(why) => Ending::Doubtful(format!("not known: {why}")),
        };
        let end = self.keeper.update(&id, self.clock.now(), |mut memory| {
            memory.end_step(at, &step, ending.clone());
            (memory, ())
        });
        // Where the store hangs the step stays open, and a later look tells what came of it.
        let _ = self.guarded(LONGEST_VISIT, end).await;
    }

    async fn take_step(&self, step: &Step, identity: &Identity) -> Result<String, ProviderError> {
        match (step, &self.publisher, &self.rearm) {
            (Step::Publish(plan), Some(publisher), _) => {
                let published = publisher.apply(plan).await?;
                Ok(match published.change {
                    Some(change) => format!("published as change {change}"),
                    None => "the zone was already as the plan makes it".to_owned(),
                })
            }
            (Step::Rearm, _, Some(rearm)) => {
                let after = rearm.rearm(identity).await?;
                Ok(format!("the provider starts again, and says {}", after.status))
            }
            _ => Ok("nothing was done".to_owned()),
        }
    }
}

/// Whether a failure says that nothing was done: the call was turned away before anything could be.
fn did_nothing(error: &ProviderError) -> bool {
    use ProviderErrorKind::{Credentials, Denied, NotFound, Stale, Throttled};
    matches!(error.kind, Credentials | Denied | NotFound | Stale | Throttled)
}
