//! The system's resolver, DNS over TLS and DNS over HTTPS, against a real unbound on loopback.

use std::error::Error;
use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream, UdpSocket};
use std::num::NonZeroU32;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::OnceLock;
use std::time::{Duration, Instant};

use dkimguard_core::error::LookupError;
use dkimguard_core::look::hickory::Hickory;
use dkimguard_core::look::{Question, Rcode, Response, Transport, Vantage};
use dkimguard_core::ports::DnsLookup;
use dkimguard_core::record::{RecordData, RecordKind};

type TestResult = Result<(), Box<dyn Error>>;

const SERVER_NAME: &str = "resolver.dktest";
const TIMEOUT: Duration = Duration::from_secs(5);

#[tokio::test]
async fn every_channel_gives_the_same_whole_messages() -> TestResult {
    let unbound = Unbound::start()?;
    let dns = unbound.trusting_engine()?;
    let channels = [
        (unbound.system(), Transport::Udp),
        (unbound.tls(SERVER_NAME), Transport::Tls),
        (unbound.https(SERVER_NAME, "/dns-query"), Transport::Https),
    ];
    for (vantage, transport) in channels {
        let ask = async |name: &str, kind| -> Result<Response, Box<dyn Error>> {
            Ok(dns.ask(&question(name, kind)?, &vantage).await?)
        };

        let cname = ask("aaa._domainkey.dktest", RecordKind::Cname).await?;
        assert_eq!(cname.rcode, Rcode::NOERROR, "{vantage}");
        assert_eq!(values(&cname), ["aaa.dkim.amazonses.com"], "{vantage}");
        assert_eq!(cname.answers[0].ttl, 300, "{vantage}");
        assert!(cname.recursion_available, "{vantage}");
        assert_eq!(cname.transport, transport);
        assert!(cname.elapsed > Duration::ZERO, "{vantage}");

        let absent = ask("bbb._domainkey.dktest", RecordKind::Cname).await?;
        assert_eq!(absent.rcode, Rcode::NXDOMAIN, "{vantage}");
        assert!(absent.answers.is_empty(), "{vantage}");
        let (record, soa) = absent.proof_of_absence().ok_or("no SOA")?;
        assert_eq!(record.name, "dktest".parse()?, "{vantage}");
        assert_eq!((soa.serial, soa.minimum), (7, 60), "{vantage}");

        let no_data = ask("text.dktest", RecordKind::Mx).await?;
        assert_eq!(no_data.rcode, Rcode::NOERROR, "{vantage}");
        assert!(no_data.answers.is_empty() && no_data.proof_of_absence().is_some(), "{vantage}");

        let text = ask("text.dktest", RecordKind::Txt).await?;
        assert_eq!(values(&text), ["v=DKIM1; p=abc"], "{vantage}");
        let RecordData::Txt(txt) = &text.answers[0].data else { return Err("no TXT".into()) };
        assert_eq!(txt.strings().count(), 2, "{vantage}");

        let service = ask("_imap._tcp.dktest", RecordKind::Other(33)).await?;
        let expected = b"\x00\x01\x00\x02\x00\x8f\x04mail\x06dktest\x00";
        assert_eq!(
            service.answers[0].data,
            RecordData::Other { kind: 33, octets: expected.as_slice().into() },
            "{vantage}"
        );

        let refused = ask("example.refused", RecordKind::Txt).await?;
        assert_eq!(refused.rcode, Rcode::REFUSED, "{vantage}");

        let bogus = ask("example.bogus", RecordKind::Txt).await?;
        assert_eq!(bogus.rcode, Rcode::SERVFAIL, "{vantage}");
        // Bogus, expired, or no usable key: which of them unbound says depends on what it has cached.
        let codes: Vec<_> = bogus.extended_errors.iter().map(|error| error.code).collect();
        assert!(matches!(codes[..], [6 | 7 | 9]), "{vantage}: {codes:?}");

        let unchecked = question("example.bogus", RecordKind::Txt)?.with_checking_disabled();
        let unchecked = dns.ask(&unchecked, &vantage).await?;
        assert_eq!(unchecked.rcode, Rcode::NOERROR, "{vantage}");
        assert_eq!(values(&unchecked), ["expired"], "{vantage}");
    }
    Ok(())
}

#[tokio::test]
async fn a_truncated_datagram_is_asked_again_over_tcp() -> TestResult {
    let unbound = Unbound::start()?;
    let dns = unbound.trusting_engine()?;
    let big = dns.ask(&question("big.dktest", RecordKind::Txt)?, &unbound.system()).await?;
    assert_eq!(big.transport, Transport::Tcp);
    assert_eq!(big.answers.len(), 20);
    Ok(())
}

#[tokio::test]
async fn many_questions_at_once_share_a_connection() -> TestResult {
    let unbound = Unbound::start()?;
    let dns = unbound.trusting_engine()?;
    for vantage in [unbound.tls(SERVER_NAME), unbound.https(SERVER_NAME, "/dns-query")] {
        let question = question("aaa._domainkey.dktest", RecordKind::Cname)?;
        let asks = (0..200).map(|_| dns.ask(&question, &vantage));
        for response in futures_util::future::join_all(asks).await {
            assert_eq!(values(&response?), ["aaa.dkim.amazonses.com"], "{vantage}");
        }
    }
    Ok(())
}

#[tokio::test]
async fn a_broken_connection_is_opened_again() -> TestResult {
    let mut unbound = Unbound::start()?;
    let dns = unbound.trusting_engine()?;
    let question = question("aaa._domainkey.dktest", RecordKind::Cname)?;
    let vantages = [unbound.tls(SERVER_NAME), unbound.https(SERVER_NAME, "/dns-query")];
    for vantage in &vantages {
        dns.ask(&question, vantage).await?;
    }
    unbound.restart()?;
    for vantage in &vantages {
        assert_eq!(values(&dns.ask(&question, vantage).await?), ["aaa.dkim.amazonses.com"], "{vantage}");
    }
    Ok(())
}

#[tokio::test]
async fn a_certificate_that_proves_nothing_is_a_tls_error() -> TestResult {
    let unbound = Unbound::start()?;
    let trusting = unbound.trusting_engine()?;
    let strange = engine(TIMEOUT, 1);
    let cases = [
        (&strange, unbound.tls(SERVER_NAME), "invalid peer certificate: UnknownIssuer"),
        (&strange, unbound.https(SERVER_NAME, "/dns-query"), "invalid peer certificate: UnknownIssuer"),
        (&trusting, unbound.tls("other.dktest"), "not valid for name"),
        (&trusting, unbound.https("other.dktest", "/dns-query"), "not valid for name"),
        (&trusting, unbound.tls("not a name"), "`not a name` can be no name in a certificate"),
    ];
    for (dns, vantage, words) in cases {
        let error = outcome(dns, &vantage).await.expect_err("the certificate proves nothing");
        assert!(
            matches!(&error, LookupError::Tls(text) if text.contains(words)),
            "{vantage}: {error:?} has no `{words}`"
        );
    }
    Ok(())
}

#[tokio::test]
async fn a_wrong_path_is_no_dns_answer() -> TestResult {
    let unbound = Unbound::start()?;
    let dns = unbound.trusting_engine()?;
    let error = outcome(&dns, &unbound.https(SERVER_NAME, "/elsewhere")).await.expect_err("no such path");
    assert!(matches!(&error, LookupError::Malformed(text) if text.contains("404")), "{error:?}");
    Ok(())
}

#[tokio::test]
async fn a_closed_port_is_told_from_silence() -> TestResult {
    let dns = engine(Duration::from_secs(5), 2);
    let started = Instant::now();
    for vantage in vantages(closed_port()?) {
        assert_eq!(outcome(&dns, &vantage).await, Err(LookupError::PortClosed), "{vantage}");
    }
    assert!(started.elapsed() < Duration::from_secs(5), "a closed port costs no time-out");
    Ok(())
}

#[tokio::test]
async fn silence_ends_in_time_however_many_ask() -> TestResult {
    let timeout = Duration::from_millis(300);
    let dns = engine(timeout, 2);
    let (tcp, udp) = silent_port()?;
    for vantage in vantages(tcp.local_addr()?) {
        let started = Instant::now();
        let outcomes = futures_util::future::join_all((0..10).map(|_| outcome(&dns, &vantage))).await;
        let elapsed = started.elapsed();
        for outcome in outcomes {
            assert_eq!(outcome, Err(LookupError::Timeout { timeout, attempts: 2 }), "{vantage}");
        }
        assert!(elapsed >= timeout * 2, "{vantage}: gave up after {elapsed:?}");
        assert!(elapsed < timeout * 2 + Duration::from_millis(500), "{vantage}: took {elapsed:?}");
    }
    drop(udp);
    Ok(())
}

#[tokio::test]
async fn a_peer_that_hangs_up_is_no_time_out() -> TestResult {
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let address = listener.local_addr()?;
    // One connection for each of the two channels.
    let peer = std::thread::spawn(move || {
        for stream in listener.incoming().take(2).flatten() {
            hang_up(stream);
        }
    });
    let dns = engine(TIMEOUT, 1);
    for vantage in vantages(address).into_iter().skip(1) {
        let error = outcome(&dns, &vantage).await.expect_err("nobody answered");
        assert!(matches!(error, LookupError::Tls(_)), "{vantage}: {error:?}");
    }
    peer.join().map_err(|_| "the peer panicked")?;
    Ok(())
}

#[tokio::test]
async fn other_vantage_points_are_not_served() -> TestResult {
    let address = closed_port()?;
    let dns = engine(TIMEOUT, 1);
    for vantage in [Vantage::Resolver { address }, Vantage::Authoritative { server: None, address }] {
        let error = outcome(&dns, &vantage).await.expect_err("another engine's");
        assert!(matches!(error, LookupError::Unsupported(_)), "{vantage}: {error:?}");
    }
    Ok(())
}

/// Reads the greeting and closes the connection.
fn hang_up(mut stream: TcpStream) {
    let mut greeting = [0; 5];
    // A peer that went away first is as good.
    let _ = stream.read(&mut greeting);
}

fn engine(timeout: Duration, attempts: u32) -> Hickory {
    Hickory::new(timeout, NonZeroU32::new(attempts).expect("the tests ask at least once"))
}

async fn outcome(dns: &Hickory, vantage: &Vantage) -> Result<Response, LookupError> {
    let question = question("aaa._domainkey.dktest", RecordKind::Cname).expect("a name");
    dns.ask(&question, vantage).await
}

fn question(name: &str, kind: RecordKind) -> Result<Question, Box<dyn Error>> {
    Ok(Question::new(name.parse()?, kind))
}

fn values(response: &Response) -> Vec<String> {
    response.answers.iter().map(|record| record.data.to_string()).collect()
}

/// The three channels to one address.
fn vantages(address: SocketAddr) -> [Vantage; 3] {
    let server_name = SERVER_NAME.to_owned();
    [
        Vantage::System { address },
        Vantage::Tls { address, server_name: server_name.clone() },
        Vantage::Https { address, server_name, path: "/dns-query".to_owned() },
    ]
}

/// A port that was free for UDP and TCP a moment ago, on an address where nobody else here listens.
fn closed_port() -> io::Result<SocketAddr> {
    TcpListener::bind((Ipv4Addr::new(127, 0, 0, 77), 0))?.local_addr()
}

/// A port on which both protocols are accepted by the kernel and answered by nobody.
fn silent_port() -> io::Result<(TcpListener, UdpSocket)> {
    let tcp = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?;
    let udp = UdpSocket::bind(tcp.local_addr()?)?;
    Ok((tcp, udp))
}

/// A zone whose signatures have expired, and the trust anchor that its key matches.
const BOGUS_ZONE: &str = "\
bogus. 60 IN SOA ns.bogus. hostmaster.bogus. 1 3600 600 86400 60
bogus. 60 IN RRSIG SOA 13 1 60 20200201000000 20200101000000 36548 bogus. qeOBNx2EJz9Jp14FJoXW9RF49a2575jetsi11ELVVOmXOvOoebpP2lD5Dv30ar4N6lwfZbsc681wb1NUngMz6g==
bogus. 60 IN NS ns.bogus.
bogus. 60 IN RRSIG NS 13 1 60 20200201000000 20200101000000 36548 bogus. F6Kfl+e1Aro+yi0MmCBhQ19kbxRgLfKTxs+2wKHvyd2wwoDvg3s7Ii8FwTH4WXUOr4q2ysBre+bJ+NRA0hxAPw==
bogus. 60 IN DNSKEY 257 3 13 jbQ5lgEgo3TbFJY0T4khvGABawfbHRlDf7qlfCp6lcGOdoqF9xqX/83HP949wc5EdrbdTQ0sxAmmFRbwvf41ag==
bogus. 60 IN RRSIG DNSKEY 13 1 60 20200201000000 20200101000000 36548 bogus. LMWvm+xBA/LLi9BEYhV/ec0pGSpJdThBJ4vZns89BPiQcDSKmRiUhXvsvyNRDap4PVl4vAtTJNSCMa2ALluihQ==
example.bogus. 60 IN TXT expired
example.bogus. 60 IN RRSIG TXT 13 2 60 20200201000000 20200101000000 36548 bogus. QP71D7S5rcKOXh+7p3+huuIlosPFXSsaWm71GPPfY9IINlS9Jam4HHAo+4YNWPkN4yMgl3lx+QLXErSxVe3K0Q==
ns.bogus. 60 IN A 127.0.0.1
ns.bogus. 60 IN RRSIG A 13 2 60 20200201000000 20200101000000 36548 bogus. QVekoKaJ0MKVHwk2jwEafkIwVFp4WMehkZ55Q1A9DIUd54+XmxaPaxELux7o7tAVVmPKno2mWkhzPQ5CrnCd8w==
";
const BOGUS_ANCHOR: &str =
    "bogus. DS 36548 13 2 7cc2a612e7699e5bd52627a692fcfa2859fd41775787be940d7d23c455897258";

/// A certificate for [`SERVER_NAME`], and its key, both in PEM, and the certificate in DER.
struct Certificate {
    pem: String,
    key: String,
    der: Vec<u8>,
}

fn certificate() -> &'static Certificate {
    static CERTIFICATE: OnceLock<Certificate> = OnceLock::new();
    CERTIFICATE.get_or_init(|| {
        let signed = rcgen::generate_simple_self_signed([SERVER_NAME.to_owned()]).expect("a valid name");
        Certificate {
            pem: signed.cert.pem(),
            key: signed.signing_key.serialize_pem(),
            der: signed.cert.der().to_vec(),
        }
    })
}

/// An unbound with local zones, behind a plain, a TLS and an HTTPS port.
struct Unbound {
    child: Child,
    directory: tempfile::TempDir,
    ports: [SocketAddr; 3],
}

impl Unbound {
    /// Starts it; again with other ports if somebody took one between choice and use.
    fn start() -> Result<Self, Box<dyn Error>> {
        let mut started = Self::start_once();
        for _ in 0..2 {
            if started.is_ok() {
                break;
            }
            started = Self::start_once();
        }
        started
    }

    fn start_once() -> Result<Self, Box<dyn Error>> {
        let directory = tempfile::tempdir()?;
        // All three are held while the others are chosen, so that they differ.
        let held = [silent_port()?, silent_port()?, silent_port()?];
        let mut ports = [SocketAddr::from(([127, 0, 0, 1], 0)); 3];
        for (port, (tcp, _)) in ports.iter_mut().zip(&held) {
            *port = tcp.local_addr()?;
        }
        let path = |file: &str| directory.path().join(file);
        fs::write(path("certificate.pem"), &certificate().pem)?;
        fs::write(path("key.pem"), &certificate().key)?;
        fs::write(path("unbound.conf"), configuration(ports, &path("certificate.pem"), &path("key.pem")))?;
        fs::write(path("bogus.zone"), BOGUS_ZONE)?;
        drop(held);
        let child = spawn(&directory)?;
        let mut unbound = Self { child, directory, ports };
        unbound.wait_until_ready()?;
        Ok(unbound)
    }

    /// Ends the process, and starts it again on the same ports.
    fn restart(&mut self) -> TestResult {
        self.child.kill()?;
        self.child.wait()?;
        self.child = spawn(&self.directory)?;
        self.wait_until_ready()
    }

    fn wait_until_ready(&mut self) -> TestResult {
        let deadline = Instant::now() + Duration::from_secs(10);
        // Its ports are open before it serves them; an answer shows that it does.
        while !self.answers()? || self.ports.iter().any(|port| TcpStream::connect(port).is_err()) {
            if self.child.try_wait()?.is_some() || Instant::now() > deadline {
                let log = fs::read_to_string(self.directory.path().join("unbound.log")).unwrap_or_default();
                return Err(format!("unbound doesn't serve {:?}: {log}", self.ports).into());
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        Ok(())
    }

    /// Whether a question over UDP is answered, whatever the answer.
    fn answers(&self) -> io::Result<bool> {
        // Id 1, recursion desired, one question: aaa._domainkey.dktest, CNAME, IN.
        const QUESTION: &[u8] =
            b"\0\x01\x01\0\0\x01\0\0\0\0\0\0\x03aaa\x0a_domainkey\x06dktest\0\0\x05\0\x01";
        let socket = UdpSocket::bind("127.0.0.1:0")?;
        socket.set_read_timeout(Some(Duration::from_millis(200)))?;
        socket.connect(self.ports[0])?;
        Ok(socket.send(QUESTION).is_ok() && socket.recv(&mut [0; 512]).is_ok())
    }

    fn trusting_engine(&self) -> Result<Hickory, Box<dyn Error>> {
        Ok(engine(TIMEOUT, 1).with_root_certificate(certificate().der.clone())?)
    }

    fn system(&self) -> Vantage {
        Vantage::System { address: self.ports[0] }
    }

    fn tls(&self, server_name: &str) -> Vantage {
        Vantage::Tls { address: self.ports[1], server_name: server_name.to_owned() }
    }

    fn https(&self, server_name: &str, path: &str) -> Vantage {
        Vantage::Https { address: self.ports[2], server_name: server_name.to_owned(), path: path.to_owned() }
    }
}

impl Drop for Unbound {
    fn drop(&mut self) {
        // It may have ended by itself; then there is nothing to stop.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn spawn(directory: &tempfile::TempDir) -> io::Result<Child> {
    let log = fs::File::create(directory.path().join("unbound.log"))?;
    Command::new("unbound")
        .arg("-d")
        .arg("-c")
        .arg(directory.path().join("unbound.conf"))
        .stdin(Stdio::null())
        .stdout(log.try_clone()?)
        .stderr(log)
        .spawn()
}

fn configuration([plain, tls, https]: [SocketAddr; 3], certificate: &Path, key: &Path) -> String {
    let big: String = (0..20).map(|n| format!("local-data: 'big.dktest. TXT \"{n:0200}\"'\n")).collect();
    format!(
        r#"
server:
  use-syslog: no
  logfile: ""
  pidfile: ""
  chroot: ""
  username: ""
  directory: "{directory}"
  do-daemonize: no
  num-threads: 1
  module-config: "validator iterator"
  do-not-query-localhost: no
  ede: yes
  port: {plain_port}
  tls-port: {tls_port}
  https-port: {https_port}
  interface: 127.0.0.1@{plain_port}
  interface: 127.0.0.1@{tls_port}
  interface: 127.0.0.1@{https_port}
  tls-service-pem: "{certificate}"
  tls-service-key: "{key}"
  local-zone: "dktest." static
  local-data: "dktest. 60 SOA ns.dktest. hostmaster.dktest. 7 3600 600 86400 60"
  local-data: "aaa._domainkey.dktest. 300 CNAME aaa.dkim.amazonses.com."
  local-data: 'text.dktest. TXT "v=DKIM1; " "p=abc"'
  local-data: "_imap._tcp.dktest. SRV 1 2 143 mail.dktest."
  {big}
  local-zone: "refused." refuse
  trust-anchor: "{BOGUS_ANCHOR}"
auth-zone:
  name: "bogus."
  zonefile: "bogus.zone"
  for-downstream: no
  for-upstream: yes
"#,
        directory = certificate.parent().expect("the certificate lies in a directory").display(),
        plain_port = plain.port(),
        tls_port = tls.port(),
        https_port = https.port(),
        certificate = certificate.display(),
        key = key.display(),
    )
}
