//! [`Turns`]: who may ask now, so that neither this machine nor a server is overrun.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::{OwnedSemaphorePermit, Semaphore, SemaphorePermit};

/// Gives turns: so many at once in all, and so many for each address.
#[derive(Debug)]
pub(super) struct Turns {
    all: Semaphore,
    per_server: usize,
    /// Only the addresses that somebody asks or waits for.
    servers: Mutex<HashMap<SocketAddr, Server>>,
}

/// The right to ask; it ends when this is dropped.
#[derive(Debug)]
pub(super) struct Turn<'a> {
    _all: SemaphorePermit<'a>,
    _server: OwnedSemaphorePermit,
    _place: Place<'a>,
}

#[derive(Debug)]
struct Server {
    semaphore: Arc<Semaphore>,
    places: usize,
}

/// A place at an address, waiting or asking; the address is forgotten when its last place is dropped.
#[derive(Debug)]
struct Place<'a> {
    turns: &'a Turns,
    address: SocketAddr,
}

impl Turns {
    pub(super) fn new(at_once: NonZeroU32, per_server: NonZeroU32) -> Self {
        Self {
            all: Semaphore::new(permits(at_once)),
            per_server: permits(per_server),
            servers: Mutex::default(),
        }
    }

    /// Waits for a turn at this address. First come, first served.
    pub(super) async fn take(&self, address: SocketAddr) -> Turn<'_> {
        let (place, semaphore) = self.place(address);
        // The server's permit first: who waits for a slow server must not keep others from asking elsewhere.
        let server = semaphore.acquire_owned().await.expect("the semaphore is never closed");
        let all = self.all.acquire().await.expect("the semaphore is never closed");
        Turn { _all: all, _server: server, _place: place }
    }

    fn place(&self, address: SocketAddr) -> (Place<'_>, Arc<Semaphore>) {
        let mut servers = self.servers();
        let server = servers
            .entry(address)
            .or_insert_with(|| Server { semaphore: Arc::new(Semaphore::new(self.per_server)), places: 0 });
        server.places += 1;
        (Place { turns: self, address }, Arc::clone(&server.semaphore))
    }

    fn servers(&self) -> MutexGuard<'_, HashMap<SocketAddr, Server>> {
        // Counting cannot panic halfway, so the map is sound even if the lock says it was poisoned.
        self.servers.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Place<'_> {
    fn drop(&mut self) {
        let mut servers = self.turns.servers();
        if let Some(server) = servers.get_mut(&self.address) {
            server.places -= 1;
            if server.places == 0 {
                servers.remove(&self.address);
            }
        }
    }
}

fn permits(limit: NonZeroU32) -> usize {
    usize::try_from(limit.get()).unwrap_or(usize::MAX).min(Semaphore::MAX_PERMITS)
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt;

    use super::*;

    fn turns(at_once: u32, per_server: u32) -> Turns {
        let limit = |number| NonZeroU32::new(number).expect("a limit above zero");
        Turns::new(limit(at_once), limit(per_server))
    }

    fn server(last: u8) -> SocketAddr {
        SocketAddr::from(([127, 0, 0, last], 53))
    }

    #[test]
    fn each_server_has_its_own_limit_and_all_have_one_together() {
        let turns = turns(3, 2);
        let first = turns.take(server(1)).now_or_never().expect("it is free");
        let _second = turns.take(server(1)).now_or_never().expect("it is free");
        assert!(turns.take(server(1)).now_or_never().is_none(), "two ask this server");
        let _other = turns.take(server(2)).now_or_never().expect("the other server is free");
        assert!(turns.take(server(2)).now_or_never().is_none(), "three ask in all");

        drop(first);
        turns.take(server(1)).now_or_never().expect("a turn has ended");
    }

    #[test]
    fn who_waits_for_one_server_keeps_nobody_from_another() {
        let turns = turns(2, 1);
        let _asking = turns.take(server(1)).now_or_never().expect("it is free");
        let mut waiting = Box::pin(turns.take(server(1)));
        assert!(waiting.as_mut().now_or_never().is_none());
        turns.take(server(2)).now_or_never().expect("the other server is free");
    }

    #[test]
    fn a_server_that_nobody_asks_is_forgotten() {
        let turns = turns(9, 1);
        let turn = turns.take(server(1)).now_or_never().expect("it is free");
        assert!(turns.take(server(1)).now_or_never().is_none(), "who waited has gone");
        assert_eq!(turns.servers().len(), 1);
        drop(turn);
        assert_eq!(turns.servers().len(), 0);
    }
}
