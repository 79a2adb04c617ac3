//! [`Lab`]: a world served over real sockets on loopback.

use std::collections::BTreeMap;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, mpsc};
use std::thread::{self, JoinHandle};

use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::sync::mpsc as channel;
use tokio::task::{AbortHandle, JoinSet};

use crate::error::LookupError;
use crate::look::wire::message::{self, Query};
use crate::look::{Rcode, Response, Vantage};

use super::fault::Fault;
use super::world::World;

/// Ports are taken from here: below those that systems give to sockets without a wish (32768 on Linux, 49152
/// elsewhere), so that a port which was closed for a fault is still free when it heals.
const PORTS: std::ops::Range<u16> = 20_000..32_000;
/// How many ports are tried.
const PORT_ATTEMPTS: usize = 50;
/// The octets of the longest message (RFC 1035 §4.2.2).
const MAX_MESSAGE: usize = 65_535;
/// The length of a message's header, in octets (RFC 1035 §4.1.1).
const HEADER: usize = 12;

/// A [`World`] served over UDP and TCP, in a thread of this process, until it is dropped.
///
/// Every host of the world listens at its own address, all on one port, so that an engine is told one port for
/// all servers. The world's addresses have to be this machine's: all of 127.0.0.0/8 is on Linux and Windows. On
/// macOS only 127.0.0.1 is, until others are added (`ifconfig lo0 alias 127.0.83.1`), and the start fails with an
/// error that says so.
///
/// What cannot be made on loopback: [`Fault::Unreachable`] and [`Fault::NoRoute`] are silence here. A
/// [`Fault::PortClosed`] or [`Fault::TruncatedWithoutTcp`] that holds for some questions only is silence, or
/// a connection that is cut, for those.
///
/// ```
/// use dkimguard_core::testing::{Fault, Lab, World};
///
/// let lab = Lab::start(World::easy_dkim("example.com"))?;
/// let (resolver, port) = (lab.resolver(), lab.port());
/// // … a look through `resolver`, with `port` for the authoritative servers; then:
/// lab.change(|world| {
///     world.server(World::NS2).fault(Fault::PortClosed);
/// })?;
/// # Ok::<(), std::io::Error>(())
/// ```
#[derive(Debug)]
pub struct Lab {
    world: Arc<Mutex<World>>,
    port: u16,
    orders: Option<channel::UnboundedSender<Order>>,
    thread: Option<JoinHandle<()>>,
}

/// Open what the world now has open, and close the rest; then tell how it went.
type Order = mpsc::Sender<io::Result<()>>;

impl Lab {
    /// Binds the world's addresses on a port that is free at all of them, and serves.
    ///
    /// # Errors
    /// An address that isn't this machine's; no port that is free at all addresses.
    pub fn start(world: World) -> io::Result<Self> {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_io().build()?;
        let (port, sockets) = {
            let _context = runtime.enter();
            let (port, mut sockets) = bind_somewhere(&world)?;
            let wanted = doors(&world);
            sockets.retain(|door, _| wanted.contains(door));
            (port, sockets)
        };
        let world = Arc::new(Mutex::new(world));
        let (orders, received) = channel::unbounded_channel();
        let hosts = Hosts { world: Arc::clone(&world), port, open: BTreeMap::new(), tasks: JoinSet::new() };
        let thread = thread::Builder::new()
            .name("dkimguard-lab".to_owned())
            .spawn(move || runtime.block_on(hosts.serve(sockets, received)))?;
        Ok(Self { world, port, orders: Some(orders), thread: Some(thread) })
    }

    /// The port of every host.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The socket address of a host.
    pub fn address(&self, host: IpAddr) -> SocketAddr {
        SocketAddr::new(host, self.port)
    }

    /// The socket address of the resolver at [`World::RESOLVER`].
    pub fn resolver(&self) -> SocketAddr {
        self.address(World::RESOLVER)
    }

    /// A copy of the world as it is now.
    pub fn world(&self) -> World {
        lock(&self.world).clone()
    }

    /// Changes the world. When it returns, every question is answered by the new one, and ports are open and closed
    /// as it says.
    ///
    /// # Errors
    /// A new address that isn't this machine's, or whose port another process has taken.
    pub fn change(&self, edit: impl FnOnce(&mut World)) -> io::Result<()> {
        edit(&mut lock(&self.world));
        let (done, outcome) = mpsc::channel();
        let ended = || io::Error::other("the lab's thread has ended");
        self.orders.as_ref().and_then(|orders| orders.send(done).ok()).ok_or_else(ended)?;
        outcome.recv().map_err(|_| ended())?
    }
}

/// Stops serving and closes every port.
impl Drop for Lab {
    fn drop(&mut self) {
        // The thread ends when nobody can give it orders any more.
        self.orders = None;
        if let Some(thread) = self.thread.take() {
            // It has nothing to tell; a panic in it has been printed.
            let _ = thread.join();
        }
    }
}

/// An edit that panicked is seen by who made it; the world is served as that left it.
fn lock(world: &Mutex<World>) -> MutexGuard<'_, World> {
    world.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Which of a host's two doors.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Door {
    Udp(IpAddr),
    Tcp(IpAddr),
}

#[derive(Debug)]
enum Socket {
    Udp(UdpSocket),
    Tcp(TcpListener),
}

impl Door {
    fn host(self) -> IpAddr {
        match self {
            Self::Udp(host) | Self::Tcp(host) => host,
        }
    }

    /// Binds, inside a runtime.
    fn bind(self, port: u16) -> io::Result<Socket> {
        self.try_bind(port).map_err(|error| {
            let host = self.host();
            let text = match error.kind() {
                io::ErrorKind::AddrNotAvailable => {
                    format!("{host} is not an address of this machine (on macOS: ifconfig lo0 alias {host})")
                }
                _ => format!("port {port} of {host}: {error}"),
            };
            io::Error::new(error.kind(), text)
        })
    }

    fn try_bind(self, port: u16) -> io::Result<Socket> {
        match self {
            Self::Udp(host) => {
                let socket = std::net::UdpSocket::bind((host, port))?;
                socket.set_nonblocking(true)?;
                UdpSocket::from_std(socket).map(Socket::Udp)
            }
            Self::Tcp(host) => {
                let listener = std::net::TcpListener::bind((host, port))?;
                listener.set_nonblocking(true)?;
                TcpListener::from_std(listener).map(Socket::Tcp)
            }
        }
    }
}

/// The doors that are open in this world.
fn doors(world: &World) -> Vec<Door> {
    let mut doors = Vec::new();
    for address in world.addresses() {
        if world.has_total_fault(address, &Fault::PortClosed) {
            continue;
        }
        doors.push(Door::Udp(address));
        if !world.has_total_fault(address, &Fault::TruncatedWithoutTcp) {
            doors.push(Door::Tcp(address));
        }
    }
    doors
}

/// Binds every host on one port, those too whose ports are closed for now: it must be theirs when they heal.
fn bind_somewhere(world: &World) -> io::Result<(u16, BTreeMap<Door, Socket>)> {
    let all: Vec<Door> =
        world.addresses().flat_map(|address| [Door::Udp(address), Door::Tcp(address)]).collect();
    let mut failure = io::Error::other("no port was tried");
    for _ in 0..PORT_ATTEMPTS {
        let port = random_port()?;
        let bound: io::Result<BTreeMap<Door, Socket>> =
            all.iter().map(|door| Ok((*door, door.bind(port)?))).collect();
        match bound {
            Ok(sockets) => return Ok((port, sockets)),
            Err(error) if error.kind() == io::ErrorKind::AddrNotAvailable => return Err(error),
            Err(error) => failure = error,
        }
    }
    Err(failure)
}

fn random_port() -> io::Result<u16> {
    let random = getrandom::u32().map_err(io::Error::other)?;
    let offset = random % u32::from(PORTS.end - PORTS.start);
    Ok(PORTS.start + u16::try_from(offset).map_err(io::Error::other)?)
}

/// The thread's side: one task for each open door, and one for each connection.
struct Hosts {
    world: Arc<Mutex<World>>,
    port: u16,
    open: BTreeMap<Door, AbortHandle>,
    tasks: JoinSet<()>,
}

impl Hosts {
    async fn serve(mut self, sockets: BTreeMap<Door, Socket>, mut orders: channel::UnboundedReceiver<Order>) {
        for (door, socket) in sockets {
            self.open(door, socket);
        }
        while let Some(done) = orders.recv().await {
            // Who gave the order may be gone.
            let _ = done.send(self.follow_world().await);
        }
    }

    async fn follow_world(&mut self) -> io::Result<()> {
        let wanted = doors(&lock(&self.world));
        let closing: Vec<Door> = self.open.keys().filter(|door| !wanted.contains(door)).copied().collect();
        for door in &closing {
            if let Some(task) = self.open.remove(door) {
                task.abort();
            }
        }
        // A socket is closed once its aborted task has been taken down, not before.
        for _ in &closing {
            self.tasks.join_next().await;
        }
        for door in wanted {
            if !self.open.contains_key(&door) {
                let socket = door.bind(self.port)?;
                self.open(door, socket);
            }
        }
        Ok(())
    }

    fn open(&mut self, door: Door, socket: Socket) {
        let world = Arc::clone(&self.world);
        let task = match socket {
            Socket::Udp(socket) => self.tasks.spawn(serve_udp(world, door.host(), socket)),
            Socket::Tcp(listener) => self.tasks.spawn(serve_tcp(world, door.host(), listener)),
        };
        self.open.insert(door, task);
    }
}

async fn serve_udp(world: Arc<Mutex<World>>, host: IpAddr, socket: UdpSocket) {
    let mut buffer = vec![0; MAX_MESSAGE];
    loop {
        // An error here is an earlier answer's, whose asker is gone.
        let Ok((length, asker)) = socket.recv_from(&mut buffer).await else {
            continue;
        };
        if let Some(answer) = answer_datagram(&world, host, &buffer[..length]) {
            // An asker that is gone needs no answer.
            let _ = socket.send_to(&answer, asker).await;
        }
    }
}

async fn serve_tcp(world: Arc<Mutex<World>>, host: IpAddr, listener: TcpListener) {
    // Dropped with the listener, and its connections with it.
    let mut connections = JoinSet::new();
    loop {
        if let Ok((stream, _)) = listener.accept().await {
            connections.spawn(serve_connection(Arc::clone(&world), host, stream));
        }
        while connections.try_join_next().is_some() {}
    }
}

/// Answers the messages of one connection, each behind its length (RFC 1035 §4.2.2), until either side ends it.
async fn serve_connection(world: Arc<Mutex<World>>, host: IpAddr, mut stream: TcpStream) -> io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut asked = vec![0; usize::from(length)];
        stream.read_exact(&mut asked).await?;
        let answer = match answer_message(&world, host, &asked) {
            Answer::Message(query, response) => message::encode_response(&query, &response, MAX_MESSAGE),
            Answer::Malformed => malformed(&asked),
            Answer::Truncated(_) => return Ok(()),
            Answer::Nothing => continue,
        };
        let length = u16::try_from(answer.len()).map_err(io::Error::other)?;
        stream.write_all(&[length.to_be_bytes().as_slice(), &answer].concat()).await?;
    }
}

fn answer_datagram(world: &Mutex<World>, host: IpAddr, asked: &[u8]) -> Option<Vec<u8>> {
    match answer_message(world, host, asked) {
        Answer::Message(query, response) => {
            Some(message::encode_response(&query, &response, query.datagram_limit()))
        }
        // Nothing is longer than no octets, so the answer is truncated.
        Answer::Truncated(query) => {
            let response = Response::new(Rcode::NOERROR);
            Some(message::encode_response(&query, &response, 0))
        }
        Answer::Malformed => Some(malformed(asked)),
        Answer::Nothing => None,
    }
}

/// What a host does about a message.
enum Answer {
    Message(Query, Response),
    Malformed,
    Truncated(Query),
    Nothing,
}

fn answer_message(world: &Mutex<World>, host: IpAddr, asked: &[u8]) -> Answer {
    // Who sends something else than a question gets silence.
    let Ok(query) = message::decode_query(asked) else {
        return Answer::Nothing;
    };
    let address = SocketAddr::new(host, 0);
    let place = if query.recursion_desired {
        Vantage::Resolver { address }
    } else {
        Vantage::Authoritative { server: None, address }
    };
    match lock(world).answer(&query.question, &place) {
        Ok(response) => Answer::Message(query, response),
        Err(LookupError::Malformed(_)) => Answer::Malformed,
        Err(LookupError::TruncatedThenTcp(_)) => Answer::Truncated(query),
        Err(_) => Answer::Nothing,
    }
}

/// Half a header of a response: the id, the flags, and no counts.
fn malformed(asked: &[u8]) -> Vec<u8> {
    let mut octets = asked[..asked.len().min(HEADER / 2)].to_vec();
    if let Some(flags) = octets.get_mut(2) {
        *flags |= 0x80;
    }
    octets
}

#[cfg(test)]
mod tests {
    use std::io::{Read, Write};
    use std::net::{TcpStream, UdpSocket};
    use std::time::Duration;

    use super::*;
    use crate::look::wire::message::Reply;
    use crate::look::{Question, Rcode};
    use crate::record::RecordKind;
    use crate::testing::zone::name;

    /// Long enough for any answer on loopback on a busy machine; only a lab that fails waits for it.
    const PATIENCE: Duration = Duration::from_secs(20);

    fn query(owner: &str, kind: RecordKind) -> Query {
        let question = Question::new(name(owner), kind);
        Query { id: 0x1234, question, recursion_desired: false, payload_size: Some(1232) }
    }

    fn connected(lab: &Lab, host: IpAddr) -> io::Result<UdpSocket> {
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(PATIENCE))?;
        socket.connect(lab.address(host))?;
        Ok(socket)
    }

    fn ask_udp_octets(lab: &Lab, host: IpAddr, query: &Query) -> io::Result<Vec<u8>> {
        let socket = connected(lab, host)?;
        socket.send(&message::encode_query(query))?;
        let mut buffer = [0; MAX_MESSAGE];
        let length = socket.recv(&mut buffer)?;
        Ok(buffer[..length].to_vec())
    }

    fn ask_tcp_octets(lab: &Lab, host: IpAddr, query: &Query) -> io::Result<Vec<u8>> {
        let mut stream = TcpStream::connect(lab.address(host))?;
        stream.set_read_timeout(Some(PATIENCE))?;
        let asked = message::encode_query(query);
        let length = u16::try_from(asked.len()).map_err(io::Error::other)?;
        stream.write_all(&[length.to_be_bytes().as_slice(), &asked].concat())?;
        let mut length = [0; 2];
        stream.read_exact(&mut length)?;
        let mut octets = vec![0; usize::from(u16::from_be_bytes(length))];
        stream.read_exact(&mut octets)?;
        Ok(octets)
    }

    fn decode(octets: &[u8], query: &Query) -> Reply {
        message::decode_response(octets, query).expect("the lab sends messages")
    }

    #[test]
    fn what_the_world_answers_comes_over_both_transports() -> io::Result<()> {
        let world = World::easy_dkim("example.com");
        let lab = Lab::start(world.clone())?;
        let table = [
            (World::NS1, "bbb._domainkey.example.com", RecordKind::Cname),
            (World::NS2, "example.com", RecordKind::Soa),
            (World::NS2, "nowhere.example.com", RecordKind::Txt),
            (World::TLD, "example.com", RecordKind::Ns),
            (World::TARGETS, "aaa.dkim.amazonses.com", RecordKind::Txt),
            (World::NS1, "example.net", RecordKind::A),
        ];
        for (host, owner, kind) in table {
            let query = query(owner, kind);
            let place = Vantage::Authoritative { server: None, address: lab.address(host) };
            let expected = world.answer(&query.question, &place).expect("a healthy world answers");
            assert_eq!(decode(&ask_udp_octets(&lab, host, &query)?, &query).response, expected, "{owner}");
            assert_eq!(decode(&ask_tcp_octets(&lab, host, &query)?, &query).response, expected, "{owner}");
        }
        let recursive =
            Query { recursion_desired: true, ..query("aaa._domainkey.example.com", RecordKind::Txt) };
        let reply = decode(&ask_udp_octets(&lab, lab.resolver().ip(), &recursive)?, &recursive);
        assert_eq!((reply.response.recursion_available, reply.response.answers.len()), (true, 2));
        Ok(())
    }

    #[test]
    fn a_long_answer_is_truncated_over_udp_and_whole_over_tcp() -> io::Result<()> {
        let mut world = World::easy_dkim("example.com");
        world.publish(&format!("long.example.com TXT {}", "x".repeat(40_000)));
        world.publish(&format!("medium.example.com TXT {}", "x".repeat(600)));
        let lab = Lab::start(world)?;
        let long = query("long.example.com", RecordKind::Txt);
        assert!(decode(&ask_udp_octets(&lab, World::NS1, &long)?, &long).is_truncated);
        let whole = decode(&ask_tcp_octets(&lab, World::NS1, &long)?, &long).response;
        assert_eq!(whole.texts(&long.question.name)[0].joined().len(), 40_000);

        let medium = query("medium.example.com", RecordKind::Txt);
        assert!(!decode(&ask_udp_octets(&lab, World::NS1, &medium)?, &medium).is_truncated);
        let small = Query { payload_size: Some(512), ..medium };
        assert!(decode(&ask_udp_octets(&lab, World::NS1, &small)?, &small).is_truncated);
        Ok(())
    }

    #[test]
    fn faults_show_on_the_wire() -> io::Result<()> {
        let soa = query("example.com", RecordKind::Soa);
        let lab = Lab::start(World::easy_dkim("example.com"))?;
        let set = |fault: Fault| {
            lab.change(|world| {
                world.server(World::NS1).heal().fault(fault.with_extended_error(22, "why"));
            })
        };

        set(Fault::Rcode(Rcode::SERVFAIL))?;
        let failed = decode(&ask_udp_octets(&lab, World::NS1, &soa)?, &soa).response;
        assert_eq!(failed.rcode, Rcode::SERVFAIL);
        assert_eq!(failed.extended_errors[0].to_string(), "No Reachable Authority: why");

        set(Fault::Malformed)?;
        for octets in [ask_udp_octets(&lab, World::NS1, &soa)?, ask_tcp_octets(&lab, World::NS1, &soa)?] {
            assert!(message::decode_response(&octets, &soa).is_err());
        }

        set(Fault::TruncatedWithoutTcp)?;
        assert!(decode(&ask_udp_octets(&lab, World::NS1, &soa)?, &soa).is_truncated);
        let refused = ask_tcp_octets(&lab, World::NS1, &soa).expect_err("TCP is closed");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);

        Ok(())
    }

    #[test]
    fn a_silent_question_gets_no_answer_and_the_next_one_does() -> io::Result<()> {
        let mut world = World::easy_dkim("example.com");
        world.server(World::NS1).fault(Fault::Silent.below("quiet.example.com"));
        let lab = Lab::start(world)?;
        let quiet = query("quiet.example.com", RecordKind::Txt);
        let next = Query { id: 0x4321, ..query("example.com", RecordKind::Soa) };

        // A host answers in the order in which it was asked, so an answer to the first would come first.
        let socket = connected(&lab, World::NS1)?;
        socket.send(&message::encode_query(&quiet))?;
        socket.send(b"no message at all")?;
        socket.send(&message::encode_query(&next))?;
        let mut buffer = [0; 512];
        let length = socket.recv(&mut buffer)?;
        assert_eq!(decode(&buffer[..length], &next).response.answers.len(), 1);
        Ok(())
    }

    #[test]
    fn a_port_closes_and_opens_as_the_world_says() -> io::Result<()> {
        let soa = query("example.com", RecordKind::Soa);
        let lab = Lab::start(World::easy_dkim("example.com"))?;
        for _ in 0..3 {
            lab.change(|world| {
                world.server(World::NS2).fault(Fault::PortClosed);
            })?;
            for closed in [ask_udp_octets(&lab, World::NS2, &soa), ask_tcp_octets(&lab, World::NS2, &soa)] {
                assert_eq!(closed.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionRefused));
            }
            assert!(ask_udp_octets(&lab, World::NS1, &soa).is_ok(), "the others are as they were");
            lab.change(|world| {
                world.server(World::NS2).heal();
            })?;
            assert!(ask_udp_octets(&lab, World::NS2, &soa).is_ok());
            assert!(ask_tcp_octets(&lab, World::NS2, &soa).is_ok());
        }
        Ok(())
    }

    #[test]
    fn dropping_it_closes_its_ports_and_others_have_their_own() -> io::Result<()> {
        let soa = query("example.com", RecordKind::Soa);
        let (first, second) =
            (Lab::start(World::easy_dkim("example.com"))?, Lab::start(World::easy_dkim("example.com"))?);
        assert_ne!(first.port(), second.port());
        let address = first.address(World::NS1);
        drop(first);
        let refused = TcpStream::connect(address).expect_err("nobody listens");
        assert_eq!(refused.kind(), io::ErrorKind::ConnectionRefused);
        assert!(ask_udp_octets(&second, World::NS1, &soa).is_ok());
        Ok(())
    }

    #[test]
    fn an_address_of_another_machine_is_named() {
        let mut world = World::with_root();
        world.add_resolver("192.0.2.1".parse().expect("an address"));
        let error = Lab::start(world).expect_err("192.0.2.1 is nobody's");
        assert!(error.to_string().contains("192.0.2.1 is not an address of this machine"), "{error}");
    }
}
