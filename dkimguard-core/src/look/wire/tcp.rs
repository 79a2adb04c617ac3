//! One message out and its answer in over a connection (RFC 7766).

use std::io::{self, ErrorKind};
use std::net::SocketAddr;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::time::timeout_at;

use super::asking::TimeLimit;
use super::message::{Query, decode_response, encode_query};
use super::socket::{not_received, open};
use crate::error::LookupError;
use crate::look::Response;

/// Connects, sends the query, and reads one message, which must answer it.
pub(super) async fn exchange(
    query: &Query,
    address: SocketAddr,
    limit: TimeLimit,
) -> Result<Response, LookupError> {
    let mut obstacle = None;
    let exchange = async {
        let mut stream = open(|| TcpStream::connect(address), &mut obstacle).await?;
        let octets = converse(&mut stream, &encode_query(query)).await.map_err(|error| cut(&error))?;
        let reply =
            decode_response(&octets, query).map_err(|error| LookupError::Malformed(error.to_string()))?;
        if reply.is_truncated {
            return Err(LookupError::Malformed("it is truncated over TCP too".to_owned()));
        }
        Ok(reply.response)
    };
    match timeout_at(limit.end, exchange).await {
        Ok(outcome) => outcome,
        Err(_) => Err(obstacle.unwrap_or_else(|| limit.passed())),
    }
}

/// Both directions prefix a message with its length in two octets (RFC 1035 §4.2.2).
async fn converse(stream: &mut TcpStream, message: &[u8]) -> io::Result<Vec<u8>> {
    let length = u16::try_from(message.len()).map_err(io::Error::other)?;
    // One write, so that both arrive in one segment: some servers read no further.
    stream.write_all(&[&length.to_be_bytes(), message].concat()).await?;
    let mut octets = vec![0; usize::from(stream.read_u16().await?)];
    stream.read_exact(&mut octets).await?;
    Ok(octets)
}

fn cut(error: &io::Error) -> LookupError {
    match error.kind() {
        ErrorKind::UnexpectedEof
        | ErrorKind::ConnectionReset
        | ErrorKind::ConnectionAborted
        | ErrorKind::BrokenPipe => {
            LookupError::Malformed("the connection ended before the whole answer had come".to_owned())
        }
        _ => not_received(error),
    }
}
