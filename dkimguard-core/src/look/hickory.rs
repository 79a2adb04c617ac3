//! The system's resolvers, and DNS over TLS and over HTTPS, through hickory-resolver.
//!
//! [`Hickory`] works on hickory's raw level: one message out, one message in. The level above it drops the
//! message when the code isn't NOERROR, follows CNAMEs and repeats a SERVFAIL, all of which is evidence here.

use std::collections::HashMap;
use std::error::Error as StdError;
use std::fmt;
use std::future::Future;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::num::NonZeroU32;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use async_trait::async_trait;
use futures_util::future::{BoxFuture, FutureExt, Shared};
use hickory_resolver::net::NetError;
use hickory_resolver::net::h2::HttpsClientStream;
use hickory_resolver::net::runtime::{
    DnsUdpSocket, RuntimeProvider, TokioHandle, TokioRuntimeProvider, TokioTime,
};
use hickory_resolver::net::tcp::TcpClientStream;
use hickory_resolver::net::tls::{default_provider, tls_exchange};
use hickory_resolver::net::udp::UdpClientStream;
use hickory_resolver::net::xfer::{DnsExchange, DnsHandle, DnsRequestSender, FirstAnswer};
use hickory_resolver::proto::op::{DnsRequest, DnsRequestOptions, DnsResponse, Edns, Message, Query};
use hickory_resolver::proto::rr::rdata::opt::{EdnsCode, EdnsOption};
use hickory_resolver::proto::rr::{self, DNSClass, RData};
use hickory_resolver::proto::serialize::binary::{BinDecodable, BinEncodable, BinEncoder};
use rustls::pki_types::{CertificateDer, ServerName};
use rustls::{ClientConfig, RootCertStore};
use thiserror::Error;
use tokio::io::{Interest, ReadBuf};
use tokio::net::UdpSocket;
use tokio::sync::Semaphore;

use super::{ExtendedError, Question, Rcode, Response, Transport, Vantage};
use crate::error::LookupError;
use crate::name::Name;
use crate::ports::DnsLookup;
use crate::record::{Record, RecordData, RecordKind, Soa, Txt};

/// The largest datagram asked for: what fits every path unfragmented (RFC 9715).
const DATAGRAM: u16 = 1232;

/// Questions under way on one connection; the others wait. Servers commonly allow HTTP/2 100 (RFC 9113 §6.5.2), and
/// hickory's stream stalls above what the server allows.
const AT_ONCE: usize = 64;

/// Where extended errors stand in the options of EDNS (RFC 8914 §2).
const EXTENDED_ERROR: u16 = 15;

/// The addresses of the resolvers that this machine is configured to use, in their order, each once.
///
/// On Unix they are those of `/etc/resolv.conf`; elsewhere the system's own place is read.
///
/// # Errors
/// The configuration cannot be read, or names no resolver.
pub fn system_resolvers() -> Result<Vec<SocketAddr>, SystemResolversError> {
    let (config, _) = hickory_resolver::system_conf::read_system_conf()
        .map_err(|error| SystemResolversError(Box::new(error)))?;
    let mut addresses = Vec::new();
    for server in config.name_servers() {
        for connection in &server.connections {
            let address = SocketAddr::new(server.ip, connection.port);
            if !addresses.contains(&address) {
                addresses.push(address);
            }
        }
    }
    Ok(addresses)
}

/// This machine's configuration doesn't tell which resolvers to use.
#[derive(Debug, Error)]
#[error("this machine's resolver configuration cannot be read")]
pub struct SystemResolversError(#[source] Box<dyn StdError + Send + Sync>);

/// Octets that are no certificate to trust.
#[derive(Debug, Error)]
#[error("not usable as a root certificate")]
pub struct RootCertificateError(#[source] Box<dyn StdError + Send + Sync>);

/// Asks the system's resolvers, and resolvers behind DNS over TLS (RFC 7858) and over HTTPS (RFC 8484).
///
/// It serves [`Vantage::System`], [`Vantage::Tls`] and [`Vantage::Https`]. Questions over TLS and HTTPS share one
/// connection for each vantage point, which the first question opens, and the next one opens again if it broke.
///
/// It trusts Mozilla's root certificates, which are compiled in: so it works the same on every system and in an
/// empty container. A resolver with a private certificate needs
/// [`with_root_certificate`](Self::with_root_certificate).
///
/// A call takes at most `timeout × attempts`, and as much again for TCP after a truncated datagram. It needs a
/// Tokio runtime.
pub struct Hickory {
    timeout: Duration,
    attempts: NonZeroU32,
    roots: Arc<RootCertStore>,
    sockets: Sockets,
    /// Shared futures, so that questions that come together wait for one connection, and for one failure.
    connections: Mutex<HashMap<Vantage, Connection>>,
}

/// A connection, open or being opened.
type Connection = Shared<BoxFuture<'static, Result<Open, LookupError>>>;

/// An open connection.
#[derive(Clone)]
struct Open {
    exchange: DnsExchange<Sockets>,
    slots: Arc<Semaphore>,
}

impl Hickory {
    /// An engine that waits `timeout` for each of at most `attempts` attempts.
    pub fn new(timeout: Duration, attempts: NonZeroU32) -> Self {
        let roots = RootCertStore { roots: webpki_roots::TLS_SERVER_ROOTS.to_vec() };
        Self {
            timeout,
            attempts,
            roots: Arc::new(roots),
            sockets: Sockets::default(),
            connections: Mutex::default(),
        }
    }

    /// Trusts this certificate too, given in DER.
    ///
    /// # Errors
    /// The octets are no X.509 certificate.
    pub fn with_root_certificate(mut self, der: impl Into<Vec<u8>>) -> Result<Self, RootCertificateError> {
        Arc::make_mut(&mut self.roots)
            .add(CertificateDer::from(der.into()))
            .map_err(|error| RootCertificateError(Box::new(error)))?;
        Ok(self)
    }

    /// Makes attempts until one ends in anything but a time-out.
    async fn attempt<T, F>(&self, mut attempt: impl FnMut() -> F) -> Result<T, LookupError>
    where
        F: Future<Output = Result<T, LookupError>>,
    {
        for _ in 0..self.attempts.get() {
            let outcome = attempt().await;
            if !is_timeout(&outcome) {
                return outcome;
            }
        }
        Err(LookupError::Timeout { timeout: self.timeout, attempts: self.attempts.get() })
    }

    async fn ask_datagram(
        &self,
        question: &Question,
        address: SocketAddr,
    ) -> Result<DnsResponse, LookupError> {
        // One datagram an attempt: the builder's own repeats would come on top of the attempts here.
        let mut stream = UdpClientStream::builder(address, self.sockets.clone())
            .with_timeout(Some(self.timeout))
            .with_max_retries(0)
            .build();
        stream.send_message(request(question)?).first_answer().await.map_err(lookup_error)
    }

    async fn ask_tcp(&self, question: &Question, address: SocketAddr) -> Result<DnsResponse, LookupError> {
        let deadline = Instant::now() + self.timeout;
        within(deadline, async {
            let sockets = self.sockets.clone();
            let connection = TcpClientStream::exchange(address, None, self.timeout, None, sockets)
                .await
                .map_err(lookup_error)?;
            send(&connection, question).await
        })
        .await
    }

    /// Asks once over the vantage point's connection.
    async fn ask_encrypted(
        &self,
        question: &Question,
        vantage: &Vantage,
    ) -> Result<DnsResponse, LookupError> {
        let deadline = Instant::now() + self.timeout;
        loop {
            let (connection, is_new) = self.connection(vantage);
            let exchange = async {
                let open = connection.clone().await?;
                let _slot = open.slots.acquire().await;
                send(&open.exchange, question).await
            };
            let outcome = within(deadline, exchange).await;
            if outcome.is_ok() {
                return outcome;
            }
            self.forget(vantage, &connection);
            // What fails on a connection from before may say only that it was closed since; a new one tells.
            if is_new || is_timeout(&outcome) {
                return outcome;
            }
        }
    }

    /// The connection to this vantage point, and whether this call began to open it.
    fn connection(&self, vantage: &Vantage) -> (Connection, bool) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(connection) = connections.get(vantage) {
            return (connection.clone(), false);
        }
        let connection = open(vantage.clone(), self.roots.clone(), self.timeout, self.sockets.clone());
        let connection = connection.boxed().shared();
        connections.insert(vantage.clone(), connection.clone());
        (connection, true)
    }

    /// Makes the next question open a new connection, unless another one has done so already.
    fn forget(&self, vantage: &Vantage, connection: &Connection) {
        let mut connections = self.connections.lock().unwrap_or_else(PoisonError::into_inner);
        if connections.get(vantage).is_some_and(|current| current.ptr_eq(connection)) {
            connections.remove(vantage);
        }
    }
}

#[async_trait]
impl DnsLookup for Hickory {
    async fn ask(&self, question: &Question, vantage: &Vantage) -> Result<Response, LookupError> {
        let started = Instant::now();
        let (response, transport) = match vantage {
            Vantage::System { address } => {
                let response = self.attempt(|| self.ask_datagram(question, *address)).await?;
                if response.truncation {
                    let response = self
                        .attempt(|| self.ask_tcp(question, *address))
                        .await
                        .map_err(|error| LookupError::TruncatedThenTcp(Box::new(error)))?;
                    (response, Transport::Tcp)
                } else {
                    (response, Transport::Udp)
                }
            }
            Vantage::Tls { .. } => {
                (self.attempt(|| self.ask_encrypted(question, vantage)).await?, Transport::Tls)
            }
            Vantage::Https { .. } => {
                (self.attempt(|| self.ask_encrypted(question, vantage)).await?, Transport::Https)
            }
            Vantage::Authoritative { .. } => return Err(LookupError::Unsupported("name servers")),
            Vantage::Resolver { .. } => return Err(LookupError::Unsupported("resolvers by address")),
            Vantage::Zone { .. } => return Err(LookupError::Unsupported("zones that are not served")),
        };
        read_response(&response, question, transport, started.elapsed())
    }
}

impl fmt::Debug for Hickory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Hickory")
            .field("timeout", &self.timeout)
            .field("attempts", &self.attempts)
            .finish_non_exhaustive()
    }
}

/// Opens the connection to a vantage point behind TLS or HTTPS.
async fn open(
    vantage: Vantage,
    roots: Arc<RootCertStore>,
    timeout: Duration,
    sockets: Sockets,
) -> Result<Open, LookupError> {
    let config = ClientConfig::builder_with_provider(Arc::new(default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(|error| LookupError::Local(error.to_string()))?
        .with_root_certificates(roots)
        .with_no_client_auth();
    let opening = async {
        match vantage {
            Vantage::Tls { address, server_name } => {
                let server_name = parse_server_name(&server_name)?;
                tls_exchange(address, server_name, config, timeout, Some(AT_ONCE), sockets)
                    .await
                    .map_err(open_error)
            }
            Vantage::Https { address, server_name, path } => {
                parse_server_name(&server_name)?;
                HttpsClientStream::builder(Arc::new(config), sockets)
                    .exchange(address, server_name.into(), path.into())
                    .await
                    .map_err(open_error)
            }
            _ => Err(LookupError::Unsupported("this vantage point with encryption")),
        }
    };
    let exchange = within(Instant::now() + timeout, opening).await?;
    Ok(Open { exchange, slots: Arc::new(Semaphore::new(AT_ONCE)) })
}

fn parse_server_name(text: &str) -> Result<ServerName<'static>, LookupError> {
    ServerName::try_from(text.to_owned())
        .map_err(|_| LookupError::Tls(format!("`{text}` can be no name in a certificate")))
}

async fn send(connection: &DnsExchange<Sockets>, question: &Question) -> Result<DnsResponse, LookupError> {
    connection.send(request(question)?).first_answer().await.map_err(lookup_error)
}

/// Ends with a time-out at the deadline.
async fn within<T>(
    deadline: Instant,
    exchange: impl Future<Output = Result<T, LookupError>>,
) -> Result<T, LookupError> {
    tokio::time::timeout_at(deadline.into(), exchange).await.unwrap_or(Err(TIMED_OUT))
}

/// One attempt's time-out; the sum over the attempts is told by [`Hickory::attempt`].
const TIMED_OUT: LookupError = LookupError::Timeout { timeout: Duration::ZERO, attempts: 1 };

fn is_timeout<T>(outcome: &Result<T, LookupError>) -> bool {
    matches!(outcome, Err(LookupError::Timeout { .. }))
}

/// The question as a message with a random id.
fn request(question: &Question) -> Result<DnsRequest, LookupError> {
    let name = rr::Name::from_labels(question.name.labels())
        .map_err(|error| LookupError::Local(format!("`{}`: {error}", question.name)))?;
    let mut edns = Edns::new();
    edns.set_max_payload(DATAGRAM).set_dnssec_ok(question.dnssec_ok);
    let mut message = Message::query();
    message.queries.push(Query::query(name, question.kind.number().into()));
    message.metadata.recursion_desired = true;
    // A resolver that validates says so only to those who set AD or DO (RFC 6840 §5.7).
    message.metadata.authentic_data = true;
    message.metadata.checking_disabled = question.checking_disabled;
    message.edns = Some(edns);
    Ok(DnsRequest::new(message, DnsRequestOptions::default()))
}

/// Reads a message that answers the question.
fn read_response(
    message: &DnsResponse,
    question: &Question,
    transport: Transport,
    elapsed: Duration,
) -> Result<Response, LookupError> {
    // Over HTTPS and TLS nobody has compared them before.
    let echoed = match &message.queries[..] {
        [query] => {
            read_name(&query.name)? == question.name && u16::from(query.query_type) == question.kind.number()
        }
        _ => false,
    };
    if !echoed {
        return Err(LookupError::Malformed("it echoes another question".to_owned()));
    }
    if message.truncation {
        return Err(LookupError::Malformed(format!("truncated over {}", transport.as_str())));
    }
    Ok(Response {
        rcode: Rcode(message.response_code.into()),
        authoritative: message.authoritative,
        recursion_available: message.recursion_available,
        authentic: message.authentic_data,
        answers: read_section(&message.answers)?,
        authority: read_section(&message.authorities)?,
        additional: read_section(&message.additionals)?,
        extended_errors: message.edns.as_ref().map(read_extended_errors).unwrap_or_default(),
        transport,
        elapsed,
    })
}

fn read_section(records: &[rr::Record]) -> Result<Vec<Record>, LookupError> {
    records
        .iter()
        .filter(|record| record.dns_class == DNSClass::IN)
        .map(|record| {
            Ok(Record { name: read_name(&record.name)?, ttl: record.ttl, data: read_data(&record.data)? })
        })
        .collect()
}

fn read_name(name: &rr::Name) -> Result<Name, LookupError> {
    Name::from_labels(name.iter()).map_err(|error| LookupError::Malformed(format!("`{name}`: {error}")))
}

fn read_data(data: &RData) -> Result<RecordData, LookupError> {
    Ok(match data {
        RData::A(address) => RecordData::A(address.0),
        RData::AAAA(address) => RecordData::Aaaa(address.0),
        RData::CNAME(target) => RecordData::Cname(read_name(target)?),
        RData::NS(server) => RecordData::Ns(read_name(server)?),
        RData::MX(mx) => RecordData::Mx { preference: mx.preference, exchange: read_name(&mx.exchange)? },
        RData::TXT(txt) => RecordData::Txt(Txt::new(txt.txt_data.iter().cloned())),
        RData::SOA(soa) => RecordData::Soa(Soa {
            primary: read_name(&soa.mname)?,
            mailbox: read_name(&soa.rname)?,
            serial: soa.serial,
            refresh: soa.refresh.cast_unsigned(),
            retry: soa.retry.cast_unsigned(),
            expire: soa.expire.cast_unsigned(),
            minimum: soa.minimum,
        }),
        other => {
            let kind = u16::from(other.record_type());
            let octets = encode(other)?;
            match RecordKind::from(kind) {
                RecordKind::Dname => RecordData::Dname(read_wire_name(&octets)?),
                _ => RecordData::Other { kind, octets: octets.into() },
            }
        }
    })
}

/// The octets of data that hickory has taken apart, or never read; names in it are written in full.
fn encode(data: &RData) -> Result<Vec<u8>, LookupError> {
    let mut octets = Vec::new();
    data.emit(&mut BinEncoder::new(&mut octets))
        .map_err(|error| LookupError::Malformed(error.to_string()))?;
    Ok(octets)
}

/// An uncompressed name, which the target of a DNAME is (RFC 6672 §2.5); hickory leaves it as octets.
fn read_wire_name(octets: &[u8]) -> Result<Name, LookupError> {
    let malformed = || LookupError::Malformed("the target of a DNAME is no name".to_owned());
    let name = rr::Name::from_bytes(octets).map_err(|_| malformed())?;
    read_name(&name)
}

fn read_extended_errors(edns: &Edns) -> Vec<ExtendedError> {
    let options = edns.options().get_all(EdnsCode::from(EXTENDED_ERROR));
    options
        .into_iter()
        .filter_map(|option| match option {
            EdnsOption::Unknown(_, octets) => {
                let (code, text) = octets.split_first_chunk()?;
                let text = String::from_utf8_lossy(text);
                Some(ExtendedError {
                    code: u16::from_be_bytes(*code),
                    // RFC 8914 §2: some end the text with a zero.
                    text: text.trim_end_matches('\0').to_owned(),
                })
            }
            _ => None,
        })
        .collect()
}

/// What an error says that came while a connection was being opened.
fn open_error(error: NetError) -> LookupError {
    match error {
        NetError::Io(error) if is_closed(&error) => {
            LookupError::Tls("the server closed the connection during the handshake".to_owned())
        }
        NetError::H2(error) => LookupError::Tls(error.to_string()),
        error => lookup_error(error),
    }
}

/// What an error says.
fn lookup_error(error: NetError) -> LookupError {
    match error {
        NetError::Timeout => TIMED_OUT,
        NetError::RustlsError(error) => LookupError::Tls(error.to_string()),
        NetError::Io(error) => io_error(&error),
        NetError::H2(error) => match error.get_io() {
            Some(error) => io_error(error),
            None => LookupError::Malformed(format!("HTTP/2: {error}")),
        },
        NetError::Proto(error) => LookupError::Malformed(error.to_string()),
        // The connection's task has ended, so that it takes no question.
        NetError::Busy => LookupError::Malformed(CLOSED.to_owned()),
        error => LookupError::Malformed(error.to_string()),
    }
}

const CLOSED: &str = "the connection was closed before the answer";

fn io_error(error: &io::Error) -> LookupError {
    if let Some(error) = error.get_ref().and_then(|source| source.downcast_ref::<rustls::Error>()) {
        return LookupError::Tls(error.to_string());
    }
    match error.kind() {
        ErrorKind::TimedOut => TIMED_OUT,
        ErrorKind::ConnectionRefused => LookupError::PortClosed,
        ErrorKind::HostUnreachable => LookupError::Unreachable,
        ErrorKind::NetworkUnreachable => LookupError::NoRoute,
        _ if is_closed(error) => LookupError::Malformed(CLOSED.to_owned()),
        _ => LookupError::Local(error.to_string()),
    }
}

fn is_closed(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        ErrorKind::BrokenPipe
            | ErrorKind::ConnectionAborted
            | ErrorKind::ConnectionReset
            | ErrorKind::NotConnected
            | ErrorKind::UnexpectedEof
    )
}

/// Tokio's sockets, those for datagrams connected: only so does a closed port show as such, not as a time-out.
#[derive(Clone, Default)]
struct Sockets(TokioRuntimeProvider);

impl RuntimeProvider for Sockets {
    type Handle = TokioHandle;
    type Timer = TokioTime;
    type Udp = ConnectedUdp;
    type Tcp = <TokioRuntimeProvider as RuntimeProvider>::Tcp;

    fn create_handle(&self) -> TokioHandle {
        self.0.create_handle()
    }

    fn connect_tcp(
        &self,
        server: SocketAddr,
        local: Option<SocketAddr>,
        timeout: Option<Duration>,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<Self::Tcp>>>> {
        self.0.connect_tcp(server, local, timeout)
    }

    fn bind_udp(
        &self,
        local: SocketAddr,
        server: SocketAddr,
    ) -> Pin<Box<dyn Send + Future<Output = io::Result<ConnectedUdp>>>> {
        Box::pin(async move {
            let socket = UdpSocket::bind(local).await?;
            socket.connect(server).await?;
            Ok(ConnectedUdp { socket, server })
        })
    }
}

struct ConnectedUdp {
    socket: UdpSocket,
    server: SocketAddr,
}

#[async_trait]
impl DnsUdpSocket for ConnectedUdp {
    type Time = TokioTime;

    fn poll_recv_from(
        &self,
        context: &mut Context<'_>,
        buffer: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        let mut buffer = ReadBuf::new(buffer);
        ready!(self.socket.poll_recv(context, &mut buffer))?;
        Poll::Ready(Ok((buffer.filled().len(), self.server)))
    }

    async fn recv_from(&self, buffer: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        // Tokio doesn't wake who only waits to read when the socket gets an error.
        loop {
            self.socket.ready(Interest::READABLE | Interest::ERROR).await?;
            let received = self.socket.try_recv(buffer).map(|length| (length, self.server));
            if !is_not_ready(&received) {
                return received;
            }
            let error = self.socket.try_io(Interest::ERROR, || match self.socket.take_error()? {
                Some(error) => Err(error),
                None => Err(ErrorKind::WouldBlock.into()),
            });
            if !is_not_ready(&error) {
                return error;
            }
        }
    }

    fn poll_send_to(
        &self,
        context: &mut Context<'_>,
        octets: &[u8],
        _server: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        self.socket.poll_send(context, octets)
    }
}

fn is_not_ready<T>(outcome: &io::Result<T>) -> bool {
    matches!(outcome, Err(error) if error.kind() == ErrorKind::WouldBlock)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A response with one question and these counts of records, which are `rest`.
    fn message(flags: u16, counts: [u8; 3], name: &[u8], kind: u8, rest: &[&[u8]]) -> DnsResponse {
        let [answers, authority, additional] = counts;
        let mut octets = vec![0, 7];
        octets.extend(flags.to_be_bytes());
        octets.extend([0, 1, 0, answers, 0, authority, 0, additional]);
        octets.extend(name);
        octets.extend([0, kind, 0, 1]);
        octets.extend(rest.concat());
        DnsResponse::from_buffer(octets).expect("a message that hickory reads")
    }

    const NAME: &[u8] = b"\x01a\x06dktest\x00";

    fn read(message: &DnsResponse) -> Result<Response, LookupError> {
        let question = Question::new("a.dktest".parse().expect("a name"), RecordKind::Cname);
        read_response(message, &question, Transport::Tls, Duration::ZERO)
    }

    #[test]
    fn extended_errors_and_the_upper_bits_of_the_code_are_read() {
        // OPT: root, type 41, size, upper bits 1 and version 0, DO; the option twice, the second without text.
        let opt = b"\x00\x00\x29\x04\xd0\x01\x00\x80\x00\x00\x16\x00\x0f\x00\x0c\x00\x07too late.\x00\x00\x0f\x00\x02\x00\x16";
        let response = read(&message(0x8182, [0, 0, 1], NAME, 5, &[opt])).expect("it answers");
        assert_eq!(response.rcode, Rcode(0x12));
        assert_eq!(
            response.extended_errors,
            [
                ExtendedError { code: 7, text: "too late.".to_owned() },
                ExtendedError { code: 22, text: String::new() }
            ]
        );
        assert!(response.additional.is_empty());
    }

    #[test]
    fn records_of_every_kind_are_read() {
        let dname = b"\x06dktest\x00\x00\x27\x00\x01\x00\x00\x00\x3c\x00\x07\x05other\x00";
        let cname = b"\xc0\x0c\x00\x05\x00\x01\x00\x00\x00\x3c\x00\x04\x01b\xc0\x0e";
        let unknown = b"\xc0\x0c\xff\x01\x00\x01\x00\x00\x00\x3c\x00\x02\x01\x02";
        let chaos = b"\xc0\x0c\x00\x10\x00\x03\x00\x00\x00\x3c\x00\x02\x01x";
        let response =
            read(&message(0x8580, [4, 0, 0], NAME, 5, &[dname, cname, unknown, chaos])).expect("it answers");
        let data: Vec<_> = response.answers.iter().map(|record| record.data.clone()).collect();
        assert_eq!(
            data,
            [
                RecordData::Dname("other".parse().expect("a name")),
                RecordData::Cname("b.dktest".parse().expect("a name")),
                RecordData::Other { kind: 0xff01, octets: [1, 2].into() },
            ]
        );
        assert!(response.authoritative && response.recursion_available && !response.authentic);
    }

    #[test]
    fn what_does_not_answer_the_question_is_malformed() {
        let other_name = message(0x8180, [0, 0, 0], b"\x01b\x06dktest\x00", 5, &[]);
        let other_kind = message(0x8180, [0, 0, 0], NAME, 16, &[]);
        let truncated = message(0x8380, [0, 0, 0], NAME, 5, &[]);
        for message in [other_name, other_kind, truncated] {
            assert!(matches!(read(&message), Err(LookupError::Malformed(_))), "{message:?}");
        }
    }

    #[test]
    fn errors_of_sockets_are_told_apart() {
        let cases = [
            (ErrorKind::ConnectionRefused, LookupError::PortClosed),
            (ErrorKind::HostUnreachable, LookupError::Unreachable),
            (ErrorKind::NetworkUnreachable, LookupError::NoRoute),
            (ErrorKind::TimedOut, TIMED_OUT),
            (ErrorKind::UnexpectedEof, LookupError::Malformed(CLOSED.to_owned())),
        ];
        for (kind, expected) in cases {
            assert_eq!(lookup_error(NetError::from(io::Error::from(kind))), expected, "{kind:?}");
        }
        let denied = lookup_error(NetError::from(io::Error::from(ErrorKind::PermissionDenied)));
        assert!(denied.is_local(), "{denied:?}");
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn the_systems_resolvers_are_those_of_its_configuration() {
        let text = std::fs::read_to_string("/etc/resolv.conf").unwrap_or_default();
        let mut expected: Vec<SocketAddr> = Vec::new();
        for line in text.lines() {
            let address = line.strip_prefix("nameserver").and_then(|address| address.trim().parse().ok());
            if let Some(address) = address.map(|address: std::net::IpAddr| (address, 53).into())
                && !expected.contains(&address)
            {
                expected.push(address);
            }
        }
        assert_eq!(system_resolvers().unwrap_or_default(), expected);
    }

    #[test]
    fn what_is_no_certificate_cannot_be_trusted() {
        let engine = Hickory::new(Duration::from_secs(1), NonZeroU32::MIN);
        assert!(engine.with_root_certificate(b"no certificate".as_slice()).is_err());
    }
}
