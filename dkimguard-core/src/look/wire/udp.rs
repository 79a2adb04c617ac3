//! One datagram out, its answer in.

use std::convert::Infallible;
use std::io::{self, ErrorKind};
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use tokio::io::Interest;
use tokio::net::UdpSocket;
use tokio::time::timeout_at;

use super::asking::TimeLimit;
use super::message::{Query, Reply, decode_response, encode_query};
use super::socket::{not_received, open};
use crate::error::LookupError;

/// The longest datagram. What a server sends beyond the size that it was given is read all the same.
const MAX_DATAGRAM: usize = 65_535;

/// Sends the query from a port of its own, and waits for the datagram that answers it.
pub(super) async fn exchange(
    query: &Query,
    address: SocketAddr,
    limit: TimeLimit,
) -> Result<Reply, LookupError> {
    let mut obstacle = None;
    let exchange = async {
        let message = encode_query(query);
        let socket = open(|| send(&message, address), &mut obstacle).await?;
        loop {
            // A closed port shows as an error alone, for which `readable` doesn't wake.
            socket.ready(Interest::READABLE | Interest::ERROR).await.map_err(|error| not_received(&error))?;
            match receive(&socket, query) {
                Ok(Ok(reply)) => return Ok(reply),
                // Perhaps somebody else's: the true answer may still come.
                Ok(Err(error)) => obstacle = Some(error),
                Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::Interrupted) => {}
                Err(error) => return Err(not_received(&error)),
            }
        }
    };
    match timeout_at(limit.end, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => Err(obstacle.unwrap_or_else(|| limit.passed())),
    }
}

/// Sends the message from a new socket, which takes only what comes from this address and learns of a closed port.
async fn send(message: &[u8], address: SocketAddr) -> io::Result<UdpSocket> {
    let any: IpAddr =
        if address.is_ipv4() { Ipv4Addr::UNSPECIFIED.into() } else { Ipv6Addr::UNSPECIFIED.into() };
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(address).await?;
    socket.send(message).await?;
    Ok(socket)
}

/// Takes a datagram that has come. The buffer lives here and not in the future, of which hundreds may wait.
fn receive(socket: &UdpSocket, query: &Query) -> io::Result<Result<Reply, LookupError>> {
    let mut datagram = [0; MAX_DATAGRAM];
    let length = match socket.try_recv(&mut datagram) {
        Err(error) if error.kind() == ErrorKind::WouldBlock => return Err(pending_error(socket)),
        outcome => outcome?,
    };
    let decoded = decode_response(&datagram[..length], query);
    Ok(decoded.map_err(|error| LookupError::Malformed(error.to_string())))
}

/// The error that the network left at the socket; `WouldBlock`, which also resets the readiness, if there is none.
fn pending_error(socket: &UdpSocket) -> io::Error {
    let nothing = || io::Error::from(ErrorKind::WouldBlock);
    let Err(error) =
        socket.try_io(Interest::ERROR, || Err::<Infallible, _>(socket.take_error()?.unwrap_or_else(nothing)));
    error
}
