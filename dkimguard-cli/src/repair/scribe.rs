//! [`Scribe`]: hears what a repair does, asks where that is to be asked, writes it down and tells it.

use async_trait::async_trait;
use dkimguard_core::identity::IdentityId;
use dkimguard_core::ports::{Clock as _, SystemClock};
use dkimguard_core::repair::{Event, Listener, Unheard, Waiting};

use super::journal::Journal;
use super::prompt::{Answer, ask};
use super::spinner::Spinner;
use super::{REARM_CALLS, calls, told};
use crate::failure::{Code, Failure};
use crate::render::Renderer;

/// Whether a repair writes, and who agrees to it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Leave {
    /// It only looks, while somebody else does what is to be done.
    None,
    /// Somebody at the terminal is asked before each write.
    Asked,
    /// It was given beforehand.
    Given,
}

/// Hears what a repair does, asks where that is to be asked, writes it down and tells it.
pub(super) struct Scribe<'a> {
    pub(super) id: &'a IdentityId,
    pub(super) leave: Leave,
    pub(super) journal: &'a mut Journal<'a>,
    pub(super) renderer: &'a mut Renderer,
    pub(super) spinner: Spinner,
    /// Whether something was written, or was about to be.
    pub(super) has_begun: bool,
    /// Why nothing more is to be done.
    pub(super) stop: Option<Stop>,
}

/// Why a repair is to do nothing more.
#[derive(Debug)]
pub(super) enum Stop {
    /// Somebody was asked, and said no.
    Declined,
    /// It can't go on.
    Failure(Failure),
}

impl From<Failure> for Stop {
    fn from(failure: Failure) -> Self {
        Self::Failure(failure)
    }
}

#[async_trait]
impl Listener for Scribe<'_> {
    async fn hear(&mut self, event: Event) -> Result<(), Unheard> {
        self.spinner.hide();
        match self.take(&event).await {
            Ok(()) => {
                self.spinner.follow(&event);
                Ok(())
            }
            Err(stop) => {
                self.stop.get_or_insert(stop);
                Err(Unheard)
            }
        }
    }
}

impl Scribe<'_> {
    async fn take(&mut self, event: &Event) -> Result<(), Stop> {
        match event {
            Event::Planned(_) if self.leave == Leave::None => {
                self.tell(event)?;
                self.say("Waiting for somebody to make this edit.")?;
            }
            Event::Planned(plan) => {
                self.tell(event)?;
                if self.leave == Leave::Asked {
                    self.say(&calls(plan))?;
                    self.ask("Make this edit?").await?;
                }
                self.has_begun = true;
                self.journal.note(event).await?;
            }
            Event::Rearming => {
                if self.leave == Leave::Asked {
                    self.tell(&Event::Waiting(Waiting::Rearm))?;
                    self.say(REARM_CALLS)?;
                    self.ask("Ask the provider to start again?").await?;
                }
                self.has_begun = true;
                self.journal.note(event).await?;
                self.tell(event)?;
            }
            _ => {
                // What was done is written down even where nobody can be told.
                self.journal.note(event).await?;
                self.tell(event)?;
            }
        }
        Ok(())
    }

    async fn ask(&self, question: &str) -> Result<(), Stop> {
        match ask(question).await {
            Answer::Yes => Ok(()),
            Answer::No => Err(Stop::Declined),
            Answer::Nobody => {
                let message = "nobody is at a terminal to agree, so nothing was done";
                Err(Failure::new(Code::NotAgreed, message)
                    .with_hint("--yes applies it without asking")
                    .into())
            }
        }
    }

    fn tell(&mut self, event: &Event) -> Result<(), Failure> {
        told(self.renderer.event(self.id, SystemClock.now(), event))
    }

    fn say(&mut self, text: &str) -> Result<(), Failure> {
        told(self.renderer.say(text))
    }
}
