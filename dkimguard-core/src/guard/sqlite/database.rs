//! [`Database`]: the file behind [`Sqlite`](super::Sqlite); its calls block.

use std::error::Error;
use std::fs::{self, DirBuilder, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rusqlite::config::DbConfig;
use rusqlite::{Connection, ErrorCode, OpenFlags, OptionalExtension};

use crate::error::StoreError;
use crate::guard::{Memory, ParseMemoryError};
use crate::ports::Revision;

/// `PRAGMA application_id` of the file: it is this program's.
const APPLICATION: u32 = u32::from_be_bytes(*b"dkim");
/// `PRAGMA user_version` of the file: how its tables are made. It changes only when an older version could not use them.
const SCHEMA: u32 = 1;
/// How long another process may hold the file before a call gives up.
const PATIENCE: Duration = Duration::from_secs(5);

/// One table. STRICT: what isn't of the column's type can't get in.
const TABLE: &str = "CREATE TABLE memory (
    id TEXT NOT NULL PRIMARY KEY,
    revision INTEGER NOT NULL,
    json TEXT NOT NULL
) STRICT";

/// The file, open.
#[derive(Debug)]
pub(super) struct Database {
    path: PathBuf,
    file: FileId,
    connection: Connection,
}

impl Database {
    /// Opens the file, or makes it where there is none.
    pub(super) fn open(path: &Path) -> Result<Self, StoreError> {
        match fs::metadata(path) {
            Ok(metadata) if metadata.is_dir() => return Err(unusable(path, "it is a directory")),
            Ok(metadata) if !metadata.is_file() => return Err(unusable(path, "it is not a regular file")),
            Ok(_) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => create(path)?,
            Err(error) => return Err(unavailable(path, error)),
        }
        look(path)?;
        let file = FileId::of(path).map_err(|error| unavailable(path, error))?;
        let connection = connect(path).map_err(|error| store_error(path, error))?;
        let database = Self { path: path.to_owned(), file, connection };
        database.prepare()?;
        Ok(database)
    }

    pub(super) fn load(&self, id: &str) -> Result<Option<(Memory, Revision)>, StoreError> {
        let row = self
            .connection
            .query_row("SELECT revision, json FROM memory WHERE id = ?1", [id], |row| {
                Ok((row.get(0)?, row.get(1)?))
            })
            .optional();
        let Some::<(i64, String)>((revision, json)) = row.map_err(|error| store_error(&self.path, error))?
        else {
            return Ok(None);
        };
        match Memory::from_json(&json) {
            Ok(memory) => Ok(Some((memory, Revision(revision.cast_unsigned())))),
            Err(ParseMemoryError::Newer(found)) => Err(newer(&self.path, found, crate::guard::FORMAT)),
            Err(error) => {
                let place = format!("{id} in {}", self.path.display());
                Err(StoreError::Unusable(place, Some(error.into())))
            }
        }
    }

    pub(super) fn of_domain(&self, domain: &str) -> Result<Vec<(String, Memory)>, StoreError> {
        let wrap = |error| store_error(&self.path, error);
        let mut ids = self.connection.prepare("SELECT id FROM memory ORDER BY id").map_err(wrap)?;
        let ids = ids.query_map([], |row| row.get::<_, String>(0)).map_err(wrap)?;
        let mut memories = Vec::new();
        for id in ids {
            let id = id.map_err(wrap)?;
            // An id ends with the domain, behind the last colon.
            if id.rsplit(':').next() == Some(domain)
                && let Some((memory, _)) = self.load(&id)?
            {
                memories.push((id, memory));
            }
        }
        Ok(memories)
    }

    pub(super) fn save(&self, id: &str, json: &str, from: Option<Revision>) -> Result<Revision, StoreError> {
        self.file.check(&self.path)?;
        let next = from.map_or(Some(1), |from| from.0.checked_add(1)).ok_or(StoreError::Conflict)?;
        let changes = match from {
            None => self.connection.execute(
                "INSERT INTO memory (id, revision, json) VALUES (?1, ?2, ?3) ON CONFLICT (id) DO NOTHING",
                (id, next.cast_signed(), json),
            ),
            Some(from) => self.connection.execute(
                "UPDATE memory SET revision = ?2, json = ?3 WHERE id = ?1 AND revision = ?4",
                (id, next.cast_signed(), json, from.0.cast_signed()),
            ),
        };
        match changes.map_err(|error| store_error(&self.path, error))? {
            0 => Err(StoreError::Conflict),
            _ => Ok(Revision(next)),
        }
    }

    /// Makes sure of the file once more, now with what its `-wal` holds, and sets the connection up.
    fn prepare(&self) -> Result<(), StoreError> {
        let wrap = |error| store_error(&self.path, error);
        let Self { path, connection, .. } = self;
        if connection.is_readonly("main").map_err(wrap)? {
            return Err(unavailable(path, "it can't be written"));
        }
        connection.busy_timeout(PATIENCE).map_err(wrap)?;
        // What is refused is left as it is.
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, true).map_err(wrap)?;
        check(path, connection)?;
        connection.set_db_config(DbConfig::SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, false).map_err(wrap)?;
        set_up(connection).map_err(wrap)
    }
}

/// Which file a path leads to. Without one, whatever it is.
#[derive(Clone, Copy, Debug, PartialEq)]
struct FileId(Option<(u64, u64)>);

impl FileId {
    fn of(path: &Path) -> io::Result<Self> {
        #[cfg(unix)]
        {
            use std::os::unix::fs::MetadataExt;
            let metadata = fs::metadata(path)?;
            Ok(Self(Some((metadata.dev(), metadata.ino()))))
        }
        #[cfg(not(unix))]
        {
            fs::metadata(path).map(|_| Self(None))
        }
    }

    /// What is written to a file that is no longer in its place would be lost with the process.
    fn check(self, path: &Path) -> Result<(), StoreError> {
        match Self::of(path) {
            Ok(now) if now == self => Ok(()),
            Ok(_) => Err(unavailable(path, "another file has taken its place since it was opened")),
            Err(error) => Err(unavailable(path, error)),
        }
    }
}

/// Makes the file whole under another name and then gives it its own, so that a process that ends meanwhile leaves no
/// half of it, and of several processes one makes it.
fn create(path: &Path) -> Result<(), StoreError> {
    let wrap = |error| unavailable(path, error);
    let directory = path.parent().ok_or_else(|| unusable(path, "it is a directory"))?;
    make_directory(directory).map_err(wrap)?;
    let draft = create_draft(path).map_err(wrap)?;
    let made = fill(&draft).map_err(|error| store_error(path, error)).and_then(|()| {
        match fs::hard_link(&draft, path) {
            Err(error) if error.kind() != io::ErrorKind::AlreadyExists => Err(wrap(error)),
            _ => Ok(()),
        }
    });
    for suffix in ["", "-wal", "-shm", "-journal"] {
        match fs::remove_file(with_suffix(&draft, suffix)) {
            // All but the first are gone as a rule.
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return made.and(Err(wrap(error))),
        }
    }
    made?;
    sync_directory(directory).map_err(wrap)
}

fn make_directory(directory: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    match builder.create(directory) {
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let above = directory.parent().unwrap_or(directory).display();
            Err(io::Error::new(io::ErrorKind::NotFound, format!("there is no directory {above}")))
        }
        // A directory that is there already says so only where another one could be made.
        Err(_) if directory.is_dir() => Ok(()),
        other => other,
    }
}

/// An empty file beside the one to be, of a name that nobody else has.
fn create_draft(path: &Path) -> io::Result<PathBuf> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true);
    #[cfg(unix)]
    std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
    for number in 0_u32.. {
        let draft = with_suffix(path, &format!(".new{number}"));
        match options.open(&draft) {
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            other => return other.map(|_| draft),
        }
    }
    Err(io::ErrorKind::AlreadyExists.into())
}

fn fill(draft: &Path) -> rusqlite::Result<()> {
    let connection = connect(draft)?;
    set_up(&connection)?;
    connection.execute_batch(&format!(
        "BEGIN; PRAGMA application_id = {APPLICATION}; PRAGMA user_version = {SCHEMA}; {TABLE}; COMMIT"
    ))?;
    connection.close().map_err(|(_, error)| error)
}

/// After this the name outlives the loss of power too.
fn sync_directory(directory: &Path) -> io::Result<()> {
    if cfg!(unix) { fs::File::open(directory)?.sync_all() } else { Ok(()) }
}

/// Looks whether the file is this program's, without a trace: neither a lock nor a file beside it. SQLite itself does
/// the reading, because to close a file by other means would take the locks of all who have it open in this process.
fn look(path: &Path) -> Result<(), StoreError> {
    let mut uri = String::from(if path.starts_with("/") { "file://" } else { "file:///" });
    for &octet in path.as_os_str().as_encoded_bytes() {
        match octet {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'/' | b'.' | b'-' | b'_' => uri.push(octet.into()),
            _ => uri.push_str(&format!("%{octet:02X}")),
        }
    }
    uri.push_str("?immutable=1");
    let flags =
        OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_URI | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(uri, flags).map_err(|error| store_error(path, error))?;
    match check(path, &connection) {
        // The file alone may be in disorder while its -wal holds what mends it.
        Err(StoreError::Unusable(_, Some(error))) if is_corrupt(&*error) && has_wal(path) => Ok(()),
        other => other,
    }
}

fn is_corrupt(error: &(dyn Error + 'static)) -> bool {
    let said = error.downcast_ref::<Said>();
    said.and_then(|said| said.0.sqlite_error_code()) == Some(ErrorCode::DatabaseCorrupt)
}

/// SQLite puts the -wal beside the file itself, not beside a link to it.
fn has_wal(path: &Path) -> bool {
    fs::canonicalize(path).is_ok_and(|path| with_suffix(&path, "-wal").exists())
}

/// Whether it is this program's, of this version, and has the table.
fn check(path: &Path, connection: &Connection) -> Result<(), StoreError> {
    let read = |pragma| {
        let value = connection.pragma_query_value(None, pragma, |row| row.get::<_, i32>(0));
        value.map_err(|error| store_error(path, error))
    };
    if read("application_id")?.cast_unsigned() != APPLICATION {
        return Err(unusable(path, "it is empty, cut short or another program's"));
    }
    match read("user_version")?.cast_unsigned() {
        SCHEMA => {
            let table = connection.prepare("SELECT id, revision, json FROM memory");
            table.map(drop).map_err(|error| store_error(path, error))
        }
        found if found > SCHEMA => Err(newer(path, found, SCHEMA)),
        _ => Err(unusable(path, "it has a version that never was")),
    }
}

fn connect(path: &Path) -> rusqlite::Result<Connection> {
    // The connection is one thread's.
    Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX)
}

/// FULL: with less, the last saves could be lost with the power, and an incident be opened a second time.
/// The cache is small, in KiB: each call reads a few pages.
fn set_up(connection: &Connection) -> rusqlite::Result<()> {
    connection.execute_batch("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL; PRAGMA cache_size = -256")
}

fn with_suffix(path: &Path, suffix: &str) -> PathBuf {
    let mut path = path.as_os_str().to_owned();
    path.push(suffix);
    path.into()
}

/// Which situation an error of SQLite is: what is in the file is wrong, or the file can't be used for now.
fn store_error(path: &Path, error: rusqlite::Error) -> StoreError {
    use ErrorCode::{ConstraintViolation, DatabaseCorrupt, NotADatabase, TypeMismatch, Unknown};
    match error.sqlite_error_code() {
        // Unknown: there is no such table. None: a value of another type.
        Some(DatabaseCorrupt | NotADatabase | Unknown | ConstraintViolation | TypeMismatch) | None => {
            unusable(path, Said(error))
        }
        Some(_) => unavailable(path, Said(error)),
    }
}

/// What SQLite says, once: rusqlite's error gives it again as its source.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Said(rusqlite::Error);

pub(super) fn unavailable(path: &Path, reason: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Unavailable(path.display().to_string(), Some(reason.into()))
}

fn unusable(path: &Path, reason: impl Into<Box<dyn Error + Send + Sync>>) -> StoreError {
    StoreError::Unusable(path.display().to_string(), Some(reason.into()))
}

fn newer(path: &Path, found: u32, known: u32) -> StoreError {
    StoreError::Newer { store: path.display().to_string(), found, known }
}
