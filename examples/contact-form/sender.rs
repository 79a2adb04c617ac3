//! [`Sender`]: one task that sends what is in the outbox, in order, and holds it while mail would go out unsigned.

use std::error::Error;
use std::sync::Arc;
use std::time::Duration;

use dkimguard_core::guard::GuardHandle;
use dkimguard_core::{Name, Verdict};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::log;
use crate::outbox::{Fate, Mail, Outbox};
use crate::ses::{Answer, Ses};

/// How long the first look at the domain is waited for before mail goes out without one.
const FIRST_LOOK: Duration = Duration::from_secs(60);
/// How often is looked again at what may have changed without a signal: the verdict's age, another program's `again`.
const GLANCE: Duration = Duration::from_secs(2);
/// By how much the pause between two tries grows at most.
const LONGEST_PAUSE: u32 = 10;
/// How often SES may refuse a message, for reasons that may be its own, before it is set aside for the next.
const MOST_REFUSALS: u32 = 12;

/// Sends what is in the outbox.
#[derive(Debug)]
pub(crate) struct Sender {
    pub(crate) outbox: Outbox,
    pub(crate) ses: Ses,
    pub(crate) guard: Arc<GuardHandle>,
    pub(crate) domain: Name,
    /// The pause after a first try that failed; it doubles with each further one.
    pub(crate) pause: Duration,
}

/// How the sending goes, from one message to the next.
#[derive(Debug, Default)]
struct Course {
    /// The last verdict that said anything was failing.
    is_failing: bool,
    /// Tries in a row that SES didn't take.
    failures: u32,
    /// A call got no answer, and SES wasn't reached since.
    is_out_of_reach: bool,
}

impl Course {
    /// By how much the next pause is longer than the first.
    fn growth(&self) -> u32 {
        2_u32.saturating_pow(self.failures.saturating_sub(1)).min(LONGEST_PAUSE)
    }
}

/// What comes after a step.
enum Next {
    /// The next message, at once.
    Message,
    /// A new message, or a glance.
    Wait,
    /// Another try, after a pause that new messages don't shorten.
    Pause,
}

impl Sender {
    /// Sends until told to stop. A call that is under way then is waited for, so that its fate is known.
    pub(crate) async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut course =
            Course { is_failing: self.outbox.was_failing().await.unwrap_or_default(), ..Course::default() };
        tokio::select! {
            // Whoever can no longer say so has gone.
            _ = stop.wait_for(|&stop| stop) => return,
            () = self.first_look() => {}
        }
        while !*stop.borrow() {
            let next = self.step(&mut course).await.unwrap_or_else(|error| {
                log(&format!("the outbox cannot be used: {error}"));
                Next::Pause
            });
            let new_message = async {
                match next {
                    Next::Message => {}
                    Next::Wait => tokio::select! { () = self.outbox.added() => {}, () = sleep(GLANCE) => {} },
                    Next::Pause => sleep(self.pause * course.growth()).await,
                }
            };
            tokio::select! {
                biased;
                _ = stop.wait_for(|&stop| stop) => return,
                () = new_message => {}
            }
        }
    }

    /// Sends one message, if one may be sent.
    async fn step(&self, course: &mut Course) -> Result<Next, Box<dyn Error + Send + Sync>> {
        if !self.may_send(course).await? {
            return Ok(Next::Wait);
        }
        if course.is_out_of_reach {
            course.is_out_of_reach = !self.ses.answers().await;
            course.failures = course.failures.saturating_add(u32::from(course.is_out_of_reach));
            // The call may have taken its time: whoever wants an end is asked before the next begins.
            return Ok(if course.is_out_of_reach { Next::Pause } else { Next::Message });
        }
        let Some(mail) = self.outbox.begin().await? else { return Ok(Next::Wait) };
        let answer = self.ses.send(&mail).await;
        let fate = self.fate(&mail, answer, course);
        let is_over = !matches!(fate, Fate::Waiting { .. } | Fate::Refused { .. });
        self.settle(&mail, fate).await;
        Ok(if is_over && !course.is_out_of_reach { Next::Message } else { Next::Pause })
    }

    /// The ten lines' `match`. Degraded mail is sent: most of it arrives, and SES signs it. Unknown mail is sent too,
    /// since a blind guard must not stop a form, unless the domain was failing when it was last seen.
    async fn may_send(&self, course: &mut Course) -> Result<bool, Box<dyn Error + Send + Sync>> {
        let is_failing = match self.guard.verdict(&self.domain) {
            Verdict::Failing => true,
            Verdict::Unknown if self.guard.health().is_running => course.is_failing,
            _ => false,
        };
        if course.is_failing != is_failing {
            self.outbox.note_failing(is_failing).await?;
            log(if is_failing { "the domain is failing: mail is held" } else { "mail is sent again" });
            course.is_failing = is_failing;
        }
        Ok(!is_failing)
    }

    /// Before the first look nothing is known; held mail of before a restart must not slip out in that moment.
    async fn first_look(&self) {
        let looked = async {
            while self.guard.report(&self.domain).is_none() && self.guard.health().is_running {
                sleep(Duration::from_millis(100)).await;
            }
        };
        let _ = tokio::time::timeout(FIRST_LOOK, looked).await;
    }

    fn fate(&self, mail: &Mail, answer: Answer, course: &mut Course) -> Fate {
        let number = mail.number;
        course.failures = match answer {
            Answer::Accepted(_) | Answer::Unsendable(_) => 0,
            _ => course.failures.saturating_add(1),
        };
        match answer {
            Answer::Accepted(ses_id) => Fate::Sent { ses_id },
            Answer::Closed(why) | Answer::Later(why) => {
                log(&format!("message {number} is held: {why}"));
                Fate::Waiting { why }
            }
            // Only while nothing else is known to be wrong is it the message's fault.
            Answer::Refused(why) if self.guard.verdict(&self.domain) != Verdict::Healthy => {
                log(&format!("message {number} is held: {why}"));
                Fate::Waiting { why }
            }
            Answer::Refused(why) if mail.refusals + 1 < MOST_REFUSALS => {
                log(&format!("message {number} is held: {why}"));
                Fate::Refused { why }
            }
            Answer::Refused(why) | Answer::Unsendable(why) => {
                log(&format!("message {number} is set aside, SES does not take it: {why}"));
                Fate::Unsendable { why }
            }
            Answer::Unknown(why) => {
                course.is_out_of_reach = true;
                log(&format!("message {number} is set aside, SES may have it or not: {why}"));
                Fate::Unsure { why }
            }
        }
    }

    /// Writes down what became of a message; as long as that fails nothing else is sent.
    async fn settle(&self, mail: &Mail, fate: Fate) {
        while let Err(error) = self.outbox.settle(mail.number, fate.clone()).await {
            log(&format!("what became of message {} cannot be written down: {error}", mail.number));
            sleep(self.pause).await;
        }
    }
}
