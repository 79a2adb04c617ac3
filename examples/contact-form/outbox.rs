//! [`Outbox`]: every message that was taken, until it is sent; in SQLite, so that neither a restart nor the loss of
//! power loses one.

use std::error::Error;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use jiff::Timestamp;
use rusqlite::{Connection, OptionalExtension, Row};
use serde::Serialize;
use tokio::sync::Notify;

use crate::message::Message;

/// More waiting messages than this and the form takes none: somebody fills it, or nobody looks.
const MOST_WAITING: i64 = 10_000;
/// How long is remembered that a form was sent, in seconds: so long is a reload no second message.
const REMEMBERED: i64 = 7 * 24 * 60 * 60;

/// `sending` is written before SES is called, and what came of it after: a message that a restart finds so has an
/// unknown fate.
const TABLE: &str = "CREATE TABLE IF NOT EXISTS mail (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    form TEXT NOT NULL UNIQUE,
    taken_at INTEGER NOT NULL,
    message TEXT,
    state TEXT NOT NULL DEFAULT 'waiting' CHECK (state IN ('waiting', 'sending', 'sent', 'unsure', 'refused')),
    refusals INTEGER NOT NULL DEFAULT 0,
    why TEXT,
    settled_at INTEGER
) STRICT";

/// One row while the domain is failing as far as is known: a restart must not forget why mail is held.
const HOLD: &str = "CREATE TABLE IF NOT EXISTS hold (since INTEGER NOT NULL) STRICT";

type Failure = Box<dyn Error + Send + Sync>;

/// The outbox, open. Clones are the same one.
#[derive(Clone, Debug)]
pub(crate) struct Outbox {
    connection: Arc<Mutex<Connection>>,
    added: Arc<Notify>,
}

/// A message as it lies in the outbox. Lower numbers go first.
#[derive(Clone, Debug)]
pub(crate) struct Mail {
    pub(crate) number: i64,
    pub(crate) message: Message,
    /// How often SES refused it for reasons that may be its own.
    pub(crate) refusals: u32,
}

/// What became of a message that was being sent.
#[derive(Clone, Debug)]
pub(crate) enum Fate {
    /// SES has it; its text is no longer kept.
    Sent { ses_id: String },
    /// SES doesn't have it; it is tried again in its turn.
    Waiting { why: String },
    /// SES doesn't have it, and its own contents may be why.
    Refused { why: String },
    /// SES will never take it.
    Unsendable { why: String },
    /// SES may have it, or not.
    Unsure { why: String },
}

/// Whether a form was taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    /// Now, or before: it was sent twice.
    Stored,
    /// Too many wait.
    Full,
}

/// How many messages are where.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub(crate) struct Counts {
    /// Those that wait to be sent.
    pub(crate) held: i64,
    /// For how many seconds the oldest of them has waited.
    pub(crate) oldest_seconds: Option<i64>,
    /// Those that SES will not take: somebody has to look.
    pub(crate) set_aside: i64,
    /// Those that SES may have or not: somebody has to look.
    pub(crate) unsure: i64,
}

impl Outbox {
    /// Opens the outbox, or makes it.
    pub(crate) fn open(path: &Path) -> Result<Self, Failure> {
        // Not for everybody's eyes: it holds what visitors wrote.
        let mut options = OpenOptions::new();
        options.create(true).append(true);
        #[cfg(unix)]
        std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        drop(options.open(path)?);

        let connection = Connection::open(path)?;
        connection.busy_timeout(std::time::Duration::from_secs(5))?;
        connection.pragma_update(None, "journal_mode", "wal")?;
        // A message is on the disk before its visitor is told that it was taken.
        connection.pragma_update(None, "synchronous", "full")?;
        connection.execute(TABLE, [])?;
        connection.execute(HOLD, [])?;
        connection.execute("CREATE INDEX IF NOT EXISTS mail_by_state ON mail (state, number)", [])?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), added: Arc::default() })
    }

    /// Takes a message, and wakes whoever sends. A form that was taken before is taken, and not stored again.
    pub(crate) async fn take(&self, form: String, message: Message) -> Result<Taken, Failure> {
        let json = serde_json::to_string(&message)?;
        let taken = self
            .with(move |connection| {
                let stored = connection.execute(
                    "INSERT INTO mail (form, taken_at, message) SELECT ?1, ?2, ?3
                     WHERE (SELECT count(*) FROM mail WHERE state = 'waiting') < ?4
                     ON CONFLICT (form) DO NOTHING",
                    (&form, now(), json, MOST_WAITING),
                )?;
                let is_known = || {
                    connection.query_row("SELECT 1 FROM mail WHERE form = ?1", [&form], |_| Ok(())).optional()
                };
                let is_taken = stored == 1 || is_known()?.is_some();
                Ok(if is_taken { Taken::Stored } else { Taken::Full })
            })
            .await?;
        self.added.notify_one();
        Ok(taken)
    }

    /// Ends once a message was taken since the last call.
    pub(crate) async fn added(&self) {
        self.added.notified().await;
    }

    /// Takes the first waiting message to be sent: from here on, until [`settle`](Self::settle), its fate is unknown.
    pub(crate) async fn begin(&self) -> Result<Option<Mail>, Failure> {
        self.with(|connection| {
            connection
                .query_row(
                    "UPDATE mail SET state = 'sending' WHERE state = 'waiting' AND number =
                     (SELECT min(number) FROM mail WHERE state = 'waiting')
                     RETURNING number, message, refusals",
                    [],
                    read_mail,
                )
                .optional()
        })
        .await
    }

    /// Writes down what became of a message that was being sent.
    pub(crate) async fn settle(&self, number: i64, fate: Fate) -> Result<(), Failure> {
        self.with(move |connection| {
            let (state, refusals, why) = match fate {
                Fate::Sent { ses_id } => ("sent", 0, ses_id),
                Fate::Waiting { why } => ("waiting", 0, why),
                Fate::Refused { why } => ("waiting", 1, why),
                Fate::Unsendable { why } => ("refused", 0, why),
                Fate::Unsure { why } => ("unsure", 0, why),
            };
            connection.execute(
                "UPDATE mail SET state = ?2, refusals = refusals + ?3, why = ?4, settled_at = ?5,
                 message = CASE ?2 WHEN 'sent' THEN NULL ELSE message END WHERE number = ?1",
                (number, state, refusals, why, now()),
            )?;
            connection
                .execute("DELETE FROM mail WHERE state = 'sent' AND settled_at < ?1", [now() - REMEMBERED])?;
            Ok(())
        })
        .await
    }

    /// Has the messages of unknown fate looked at by somebody: those that a process was sending when it was killed.
    /// Only for who [sends alone](SoleSender).
    pub(crate) async fn find_unsure(&self) -> Result<Vec<i64>, Failure> {
        self.with(|connection| {
            let mut statement = connection.prepare(
                "UPDATE mail SET state = 'unsure', why = 'the program was killed while it was sent'
                 WHERE state = 'sending' RETURNING number",
            )?;
            let numbers = statement.query_map([], |row| row.get(0))?;
            numbers.collect()
        })
        .await
    }

    /// Whether the domain was failing when it was last seen, be it before a restart.
    pub(crate) async fn was_failing(&self) -> Result<bool, Failure> {
        self.with(|connection| connection.query_row("SELECT count(*) > 0 FROM hold", [], |row| row.get(0)))
            .await
    }

    /// Notes whether the domain is failing.
    pub(crate) async fn note_failing(&self, is_failing: bool) -> Result<(), Failure> {
        self.with(move |connection| {
            if is_failing {
                connection.execute("INSERT INTO hold (since) VALUES (?1)", [now()])?;
            } else {
                connection.execute("DELETE FROM hold", [])?;
            }
            Ok(())
        })
        .await
    }

    /// How many messages are where.
    pub(crate) async fn counts(&self) -> Result<Counts, Failure> {
        self.with(|connection| {
            connection.query_row(
                "SELECT count(*) FILTER (WHERE state IN ('waiting', 'sending')),
                        ?1 - min(taken_at) FILTER (WHERE state IN ('waiting', 'sending')),
                        count(*) FILTER (WHERE state = 'refused'), count(*) FILTER (WHERE state = 'unsure')
                 FROM mail WHERE state <> 'sent'",
                [now()],
                |row| {
                    Ok(Counts {
                        held: row.get(0)?,
                        oldest_seconds: row.get(1)?,
                        set_aside: row.get(2)?,
                        unsure: row.get(3)?,
                    })
                },
            )
        })
        .await
    }

    /// What isn't sent, a line each.
    pub(crate) async fn list(&self) -> Result<Vec<String>, Failure> {
        self.with(|connection| {
            let mut statement = connection.prepare(
                "SELECT number, state, coalesce(why, '') FROM mail WHERE state <> 'sent' ORDER BY number",
            )?;
            let line = |row: &Row<'_>| {
                let (number, state, why): (i64, String, String) = (row.get(0)?, row.get(1)?, row.get(2)?);
                Ok(format!("{number}\t{state}\t{why}"))
            };
            let lines = statement.query_map([], line)?;
            lines.collect()
        })
        .await
    }

    /// Has a message that was set aside, or whose fate is unknown, sent again in its turn.
    pub(crate) async fn send_again(&self, number: i64) -> Result<bool, Failure> {
        self.decide(number, "UPDATE mail SET state = 'waiting', refusals = 0 WHERE number = ?1").await
    }

    /// Forgets a message that was set aside, or whose fate is unknown: it has arrived, or nobody wants it.
    pub(crate) async fn forget(&self, number: i64) -> Result<bool, Failure> {
        self.decide(number, "DELETE FROM mail WHERE number = ?1").await
    }

    async fn decide(&self, number: i64, change: &'static str) -> Result<bool, Failure> {
        self.with(move |connection| {
            let change = format!("{change} AND state IN ('refused', 'unsure')");
            Ok(connection.execute(&change, [number])? == 1)
        })
        .await
    }

    /// SQLite blocks, so it runs beside the runtime.
    async fn with<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Connection) -> rusqlite::Result<T> + Send + 'static,
    ) -> Result<T, Failure> {
        let connection = Arc::clone(&self.connection);
        let work = move || work(&connection.lock().unwrap_or_else(PoisonError::into_inner));
        Ok(tokio::task::spawn_blocking(work).await??)
    }
}

/// The right to send from an outbox, which one process has at a time: two would send everything twice.
#[derive(Debug)]
pub(crate) struct SoleSender {
    _lock: File,
}

impl SoleSender {
    /// Takes the right, until this is dropped or the process ends, however it ends.
    pub(crate) fn of(outbox: &Path) -> Result<Self, Failure> {
        let path = outbox.with_added_extension("lock");
        let file = OpenOptions::new().create(true).append(true).open(&path)?;
        match file.try_lock() {
            Ok(()) => Ok(Self { _lock: file }),
            Err(TryLockError::WouldBlock) => {
                Err(format!("another process sends from {}", outbox.display()).into())
            }
            Err(TryLockError::Error(error)) => Err(error.into()),
        }
    }
}

fn read_mail(row: &Row<'_>) -> rusqlite::Result<Mail> {
    let json: String = row.get(1)?;
    let message = serde_json::from_str(&json).map_err(|error| {
        rusqlite::Error::FromSqlConversionFailure(1, rusqlite::types::Type::Text, Box::new(error))
    })?;
    Ok(Mail { number: row.get(0)?, message, refusals: row.get(2)? })
}

fn now() -> i64 {
    Timestamp::now().as_second()
}
