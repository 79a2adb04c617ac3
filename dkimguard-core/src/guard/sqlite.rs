//! [`Sqlite`]: a store in a file.

mod database;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::mpsc;
use std::thread::JoinHandle;

use async_trait::async_trait;
use tokio::sync::oneshot;

use super::Memory;
use crate::error::StoreError;
use crate::identity::IdentityId;
use crate::name::Name;
use crate::ports::{Revision, Store};
use database::{Database, unavailable};

/// Keeps memories in an SQLite file, which several processes of one machine may share.
///
/// A save that has returned is on the disk: it outlives `kill -9` and the loss of power. Beside the file lie
/// `<file>-wal` and `<file>-shm` while it is open, and after an end by force; they belong to it. File systems of the
/// network are not for it, since their locks can't be trusted.
///
/// The file is worked on by one thread of its own, which ends with this value: SQLite blocks, sometimes for seconds
/// where another process writes, and nothing that waits for the network is to wait for that. A thread, and not the
/// runtime's pool, because calls can only run one after the other: there each of them would hold a thread.
///
/// An id is kept as its text, with the memory's JSON and the revision.
pub struct Sqlite {
    path: PathBuf,
    /// None only while it is dropped.
    calls: Option<mpsc::Sender<Call>>,
    thread: Option<JoinHandle<()>>,
}

type Call = Box<dyn FnOnce(&Database) + Send>;

impl Sqlite {
    /// Opens the file, or makes it where there is none, for its owner alone (0600). Its directory is made too (0700),
    /// but not what lies above that: a path with a slip in it is to be noticed. Blocks for as long as the disk takes.
    ///
    /// A file that isn't this program's, is damaged or of a newer version is refused before anything is written, to it
    /// or beside it.
    ///
    /// # Errors
    /// [`Unusable`](StoreError::Unusable) and [`Newer`](StoreError::Newer) for such a file, or what is none;
    /// [`Unavailable`](StoreError::Unavailable) where it or its directory can't be reached, read or written. Each names
    /// the path; [`StoreError::hint`] says what to do.
    pub fn open(path: impl AsRef<Path>) -> Result<Self, StoreError> {
        let path = path.as_ref();
        let path = std::path::absolute(path).map_err(|error| unavailable(path, error))?;
        let database = Database::open(&path)?;
        let (calls, queue) = mpsc::channel::<Call>();
        let thread = std::thread::Builder::new()
            .name("dkimguard-store".to_owned())
            .spawn(move || queue.into_iter().for_each(|call| call(&database)))
            .map_err(|error| unavailable(&path, error))?;
        Ok(Self { path, calls: Some(calls), thread: Some(thread) })
    }

    /// The file, as an absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What is remembered of the identities of a domain, by the text of their ids.
    ///
    /// # Errors
    /// The file can't be used, or a memory can't be read.
    pub async fn of_domain(&self, domain: &Name) -> Result<Vec<(String, Memory)>, StoreError> {
        let domain = domain.to_string();
        self.call(move |database| database.of_domain(&domain)).await
    }

    async fn call<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Database) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (reply, answer) = oneshot::channel();
        let call: Call = Box::new(move |database| {
            // Whoever has given up while this waited in the queue isn't served.
            if !reply.is_closed() {
                // Who gives up meanwhile doesn't learn what came of it.
                let _ = reply.send(work(database));
            }
        });
        if let Some(calls) = &self.calls {
            // Where the thread is gone the call is dropped, and the answer with it.
            let _ = calls.send(call);
        }
        answer.await.unwrap_or_else(|_| Err(unavailable(&self.path, "the thread that works on it has ended")))
    }
}

#[async_trait]
impl Store for Sqlite {
    async fn load(&self, id: &IdentityId) -> Result<Option<(Memory, Revision)>, StoreError> {
        let id = id.to_string();
        self.call(move |database| database.load(&id)).await
    }

    async fn save(
        &self,
        id: &IdentityId,
        memory: &Memory,
        from: Option<Revision>,
    ) -> Result<Revision, StoreError> {
        let (id, json) = (id.to_string(), memory.to_json());
        self.call(move |database| database.save(&id, &json, from)).await
    }
}

/// Closes the file: waits for the call that is under way.
impl Drop for Sqlite {
    fn drop(&mut self) {
        self.calls = None;
        if let Some(thread) = self.thread.take() {
            // A panic of it was told where it happened.
            let _ = thread.join();
        }
    }
}

impl fmt::Debug for Sqlite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Sqlite").field("path", &self.path).finish_non_exhaustive()
    }
}
