//! [`Liar`]: a name server on loopback that does what a script says, byte for byte.
//!
//! It shares no code with the engine under test, so that an error in the codec cannot cancel itself out.

use std::io;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpSocket, TcpStream, UdpSocket};
use tokio::sync::Notify;
use tokio::task::JoinSet;

pub(crate) const LOCALHOST: IpAddr = IpAddr::V4(Ipv4Addr::LOCALHOST);

/// Makes an answer from the octets of a query.
pub(crate) type Forge = fn(&[u8]) -> Vec<u8>;

/// What the server does with a datagram.
#[derive(Clone, Copy)]
pub(crate) enum Udp {
    Ignore,
    Send(Forge),
    /// Both, in this order.
    SendBoth(Forge, Forge),
    SendAfter(Duration, Forge),
    /// From another port of its address.
    SendFromOtherPort(Forge),
    /// From the same port of another address.
    SendFromOtherAddress(Forge),
}

/// What the server does with a connection.
#[derive(Clone, Copy)]
pub(crate) enum Tcp {
    /// Nobody listens.
    Closed,
    /// Takes the query and says nothing.
    Hang,
    Send(Forge),
    /// The answer, in pieces of 1,000 octets, the length in pieces too.
    SendInPieces(Forge),
    /// The first octets of the answer, its length included, and the end of the connection.
    SendStart(usize, Forge),
}

/// The server. It stops when it is dropped.
pub(crate) struct Liar {
    pub(crate) address: SocketAddr,
    seen: Arc<Mutex<Vec<Datagram>>>,
    hung_up: Arc<Notify>,
    /// Keeps the port from everybody else where nobody listens on it.
    _reserved: Option<TcpSocket>,
    _tasks: JoinSet<()>,
}

/// A datagram that the server got.
#[derive(Clone, Debug)]
pub(crate) struct Datagram {
    pub(crate) from: SocketAddr,
    pub(crate) octets: Vec<u8>,
}

impl Liar {
    /// Starts on 127.0.0.1. Each datagram takes the next step of the script, and those after the last the last.
    pub(crate) async fn start(script: &[Udp], tcp: Tcp) -> Self {
        Self::start_at(LOCALHOST, script, tcp).await
    }

    pub(crate) async fn start_at(ip: IpAddr, script: &[Udp], tcp: Tcp) -> Self {
        let (udp, tcp_socket) = bind_both(ip).await;
        let address = udp.local_addr().expect("a bound socket has an address");
        let seen = Arc::new(Mutex::new(Vec::new()));
        let hung_up = Arc::new(Notify::new());
        let mut tasks = JoinSet::new();
        let reserved = if matches!(tcp, Tcp::Closed) {
            Some(tcp_socket)
        } else {
            let listener = tcp_socket.listen(16).expect("the port is ours");
            tasks.spawn(serve_tcp(listener, tcp, Arc::clone(&hung_up)));
            None
        };
        tasks.spawn(serve_udp(udp, script.to_vec(), Arc::clone(&seen)));
        Self { address, seen, hung_up, _reserved: reserved, _tasks: tasks }
    }

    /// The datagrams so far.
    pub(crate) fn seen(&self) -> Vec<Datagram> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Waits until a client has closed a connection.
    pub(crate) async fn hung_up(&self) {
        self.hung_up.notified().await;
    }
}

/// A UDP port on which nobody listens, and which nobody else gets while the socket lives: connected to itself, it
/// takes datagrams from nobody else.
pub(crate) async fn closed_port(ip: IpAddr) -> (UdpSocket, SocketAddr) {
    let socket = UdpSocket::bind((ip, 0)).await.expect("loopback has free ports");
    let address = socket.local_addr().expect("a bound socket has an address");
    socket.connect(address).await.expect("loopback is reachable");
    (socket, address)
}

/// The same free port for UDP and TCP.
async fn bind_both(ip: IpAddr) -> (UdpSocket, TcpSocket) {
    for _ in 0..100 {
        let udp = UdpSocket::bind((ip, 0)).await.expect("loopback has free ports");
        let address = udp.local_addr().expect("a bound socket has an address");
        let tcp = if ip.is_ipv4() { TcpSocket::new_v4() } else { TcpSocket::new_v6() };
        let tcp = tcp.expect("a socket is to be had");
        if tcp.bind(address).is_ok() {
            return (udp, tcp);
        }
    }
    panic!("no port is free for both UDP and TCP");
}

async fn serve_udp(socket: UdpSocket, script: Vec<Udp>, seen: Arc<Mutex<Vec<Datagram>>>) {
    let socket = Arc::new(socket);
    let mut answers = JoinSet::new();
    let mut buffer = [0; 2048];
    for step in 0.. {
        let Ok((length, from)) = socket.recv_from(&mut buffer).await else { continue };
        let octets = buffer[..length].to_vec();
        seen.lock().unwrap_or_else(PoisonError::into_inner).push(Datagram { from, octets: octets.clone() });
        let act = script[step.min(script.len() - 1)];
        let socket = Arc::clone(&socket);
        answers.spawn(async move {
            // A client that has gone doesn't concern the server.
            let _ = answer(&socket, from, &octets, act).await;
        });
    }
}

async fn answer(socket: &UdpSocket, to: SocketAddr, query: &[u8], act: Udp) -> io::Result<()> {
    match act {
        Udp::Ignore => {}
        Udp::Send(forge) => drop(socket.send_to(&forge(query), to).await?),
        Udp::SendBoth(first, second) => {
            socket.send_to(&first(query), to).await?;
            socket.send_to(&second(query), to).await?;
        }
        Udp::SendAfter(delay, forge) => {
            tokio::time::sleep(delay).await;
            socket.send_to(&forge(query), to).await?;
        }
        Udp::SendFromOtherPort(forge) => {
            let other = UdpSocket::bind((socket.local_addr()?.ip(), 0)).await?;
            other.send_to(&forge(query), to).await?;
        }
        Udp::SendFromOtherAddress(forge) => {
            let other = UdpSocket::bind((Ipv4Addr::new(127, 0, 0, 2), socket.local_addr()?.port())).await?;
            other.send_to(&forge(query), to).await?;
        }
    }
    Ok(())
}

async fn serve_tcp(listener: TcpListener, act: Tcp, hung_up: Arc<Notify>) {
    let mut connections = JoinSet::new();
    while let Ok((stream, _)) = listener.accept().await {
        let hung_up = Arc::clone(&hung_up);
        connections.spawn(async move {
            // As over UDP, a client that has gone doesn't concern the server.
            let _ = answer_stream(stream, act).await;
            hung_up.notify_one();
        });
    }
}

async fn answer_stream(mut stream: TcpStream, act: Tcp) -> io::Result<()> {
    let length = stream.read_u16().await?;
    let mut query = vec![0; usize::from(length)];
    stream.read_exact(&mut query).await?;
    let framed = |forge: Forge| {
        let octets = forge(&query);
        let length = u16::try_from(octets.len()).expect("forged messages fit");
        [&length.to_be_bytes(), &octets[..]].concat()
    };
    match act {
        Tcp::Closed | Tcp::Hang => {}
        Tcp::Send(forge) => stream.write_all(&framed(forge)).await?,
        Tcp::SendInPieces(forge) => {
            let octets = framed(forge);
            let (start, rest) = octets.split_at(1);
            stream.set_nodelay(true)?;
            for piece in std::iter::once(start).chain(rest.chunks(1000)) {
                stream.write_all(piece).await?;
                stream.flush().await?;
                tokio::task::yield_now().await;
            }
        }
        Tcp::SendStart(octets, forge) => return stream.write_all(&framed(forge)[..octets]).await,
    }
    // Until the client closes.
    stream.read_u8().await.map(drop)
}
