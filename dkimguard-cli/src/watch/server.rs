//! [`Server`]: HTTP for whoever monitors, within bounds.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use hyper::server::conn::http1;
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::Semaphore;
use tokio::task::{JoinHandle, JoinSet};
use tokio::time::{sleep, timeout};

/// How many connections are served at once; further ones wait.
const CONNECTIONS: usize = 128;
/// How long a client may take over the head of its request.
const HEAD: Duration = Duration::from_secs(5);
/// How long a connection may last. Each serves one request.
const WHOLE: Duration = Duration::from_secs(30);
/// The largest head of a request, in octets.
const MOST_HEAD: usize = 16 << 10;
/// The most fields in it.
const MOST_FIELDS: usize = 64;
/// How long to wait where this machine has no more sockets.
const PAUSE: Duration = Duration::from_millis(200);

/// A server on one address, until it is dropped.
///
/// A connection serves one request, and its body isn't read. Whoever is slow is cut off, and costs nobody else anything
/// but one of many places meanwhile.
#[derive(Debug)]
pub(crate) struct Server {
    asked: SocketAddr,
    address: SocketAddr,
    task: JoinHandle<()>,
}

impl Server {
    /// Listens at this address.
    ///
    /// # Errors
    /// An address that can't be had.
    pub(crate) async fn start(asked: SocketAddr, router: Router) -> io::Result<Self> {
        let listener = TcpListener::bind(asked).await?;
        let address = listener.local_addr()?;
        Ok(Self { asked, address, task: tokio::spawn(accept(listener, router)) })
    }

    /// The address that was asked for.
    pub(crate) fn asked(&self) -> SocketAddr {
        self.asked
    }

    /// Where it listens: with the port that the system chose, where none was asked for.
    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }
}

/// Closes the socket and every connection.
impl Drop for Server {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn accept(listener: TcpListener, router: Router) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    let mut connections = JoinSet::new();
    loop {
        // It is never closed.
        let Ok(place) = Arc::clone(&places).acquire_owned().await else { return };
        let stream = tokio::select! {
            accepted = listener.accept() => match accepted {
                Ok((stream, _)) => stream,
                Err(_) => {
                    sleep(PAUSE).await;
                    continue;
                }
            },
            Some(_) = connections.join_next() => continue,
        };
        let router = router.clone();
        connections.spawn(async move {
            // A client that is slow or speaks something else is its own affair.
            let _ = timeout(WHOLE, serve(stream, router)).await;
            drop(place);
        });
    }
}

async fn serve(stream: TcpStream, router: Router) -> hyper::Result<()> {
    http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(HEAD)
        .max_buf_size(MOST_HEAD)
        .max_headers(MOST_FIELDS)
        .keep_alive(false)
        .serve_connection(TokioIo::new(stream), TowerToHyperService::new(router))
        .await
}
