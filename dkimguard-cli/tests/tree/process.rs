//! [`Process`]: a name server that runs, and the configuration of each software.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::{IpAddr, Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use super::Resolver;
use super::zone::Software;

/// How long a server may take until it answers.
const START: Duration = Duration::from_secs(15);

/// How long a server may take to end by itself.
const END: Duration = Duration::from_secs(3);

/// A name server that runs; it ends with this value.
#[derive(Debug)]
pub(crate) struct Process {
    child: Child,
    log: PathBuf,
    address: Ipv4Addr,
    /// Addresses that the loopback interface was given: those of IPv6, and BIND's, which listens on no others.
    assigned: Vec<IpAddr>,
}

/// A zone for a server: its name without the final dot (the root's is empty), and the file, which may be absent.
pub(crate) type ZoneFile = (String, PathBuf);

impl Process {
    /// Starts an authoritative server.
    pub(crate) fn authoritative(
        software: Software,
        addresses: &[IpAddr],
        directory: &Path,
        zones: &[ZoneFile],
    ) -> Result<Self, Box<dyn Error>> {
        let (configuration, program, arguments): (_, _, &[&str]) = match software {
            Software::Nsd => (nsd(addresses, directory, zones), "nsd", &["-d", "-c"]),
            Software::Knot => (knot(addresses, directory, zones), "knotd", &["-c"]),
            Software::Bind => (bind(addresses, directory, zones), "named", &["-g", "-c"]),
            Software::PowerDns | Software::PowerDnsWithoutTcp => {
                fs::write(directory.join("named.conf"), bind_zones(zones))?;
                let mut text = power_dns(addresses, directory);
                if software == Software::PowerDnsWithoutTcp {
                    text += "max-tcp-connections=0\n";
                }
                (text, "pdns_server", &[])
            }
        };
        let is_power_dns = program == "pdns_server";
        let file = directory.join(if is_power_dns { "pdns.conf" } else { "server.conf" });
        fs::write(&file, configuration)?;
        let mut command = Command::new(program);
        if is_power_dns {
            command.arg(format!("--config-dir={}", directory.display()));
        } else {
            command.args(arguments).arg(&file);
        }
        let to_assign = |address: &&IpAddr| address.is_ipv6() || software == Software::Bind;
        let assigned = addresses.iter().filter(to_assign).copied().collect();
        Self::spawn(command, first_ipv4(addresses)?, directory, assigned)
    }

    /// Starts a resolver that knows only this root.
    pub(crate) fn resolver(
        resolver: Resolver,
        address: Ipv4Addr,
        directory: &Path,
        root: Ipv4Addr,
        trust_anchor: &str,
    ) -> Result<Self, Box<dyn Error>> {
        fs::write(directory.join("root.hints"), format!(". 3600 NS ns1.\nns1. 3600 A {root}\n"))?;
        fs::write(directory.join("root.ds"), trust_anchor)?;
        let file = directory.join("server.conf");
        fs::write(&file, unbound(resolver, address, directory))?;
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(&file);
        Self::spawn(command, address, directory, Vec::new())
    }

    fn spawn(
        mut command: Command,
        address: Ipv4Addr,
        directory: &Path,
        to_assign: Vec<IpAddr>,
    ) -> Result<Self, Box<dyn Error>> {
        for address in &to_assign {
            ip_address("add", *address)?;
        }
        let log = directory.join("log");
        let file = File::create(&log)?;
        let child = command
            .current_dir(directory)
            .stdin(Stdio::null())
            .stdout(file.try_clone()?)
            .stderr(file)
            .spawn()
            .map_err(|error| format!("cannot start {}: {error}", command.get_program().display()))?;
        Ok(Self { child, log, address, assigned: to_assign })
    }

    /// The IPv4 address that it listens on.
    pub(crate) fn address(&self) -> Ipv4Addr {
        self.address
    }

    /// Has it read its zone files again, and waits until it has a CNAME at this name.
    pub(crate) fn reload(&mut self, name: &str) -> Result<(), Box<dyn Error>> {
        self.reread()?;
        self.wait_until(name, Kind::Cname, |reply| matches!(reply, Some(Reply::Given)))
    }

    /// Has it read its zone files again.
    pub(crate) fn reread(&self) -> Result<(), Box<dyn Error>> {
        let status = Command::new("kill").args(["-HUP", &self.child.id().to_string()]).status()?;
        if !status.success() {
            return Err(format!("the server on {} is gone: {}", self.address, self.log()).into());
        }
        Ok(())
    }

    /// Waits until the server has the zone loaded.
    pub(crate) fn wait_for(&mut self, zone: &str) -> Result<(), Box<dyn Error>> {
        self.wait_until(zone, Kind::Soa, |reply| matches!(reply, Some(Reply::Given)))
    }

    /// Waits until the server answers anything at all.
    pub(crate) fn wait_for_answers(&mut self) -> Result<(), Box<dyn Error>> {
        self.wait_until("", Kind::Soa, |reply| reply.is_some())
    }

    fn wait_until(
        &mut self,
        name: &str,
        kind: Kind,
        is_ready: impl Fn(Option<Reply>) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START;
        while !is_ready(ask(self.address, name, kind)?) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server on {} ended, {status}: {}", self.address, self.log()).into());
            }
            if Instant::now() > deadline {
                let log = self.log();
                let about: Vec<&str> = log.lines().filter(|line| line.contains(name)).collect();
                return Err(format!("{} doesn't serve `{name}`: {}", self.address, about.join("\n")).into());
            }
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(())
    }

    /// What the server has said so far.
    pub(crate) fn log(&self) -> String {
        fs::read_to_string(&self.log).unwrap_or_default()
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        // TERM first: nsd and knot have children of their own, which only they end.
        let asked = Command::new("kill").arg(self.child.id().to_string()).stderr(Stdio::null()).status();
        let deadline = Instant::now() + END;
        while asked.is_ok() && Instant::now() < deadline && matches!(self.child.try_wait(), Ok(None)) {
            std::thread::sleep(Duration::from_millis(5));
        }
        // One that has ended by now is as good.
        let _ = self.child.kill();
        let _ = self.child.wait();
        for address in &self.assigned {
            let _ = ip_address("del", *address);
        }
    }
}

fn first_ipv4(addresses: &[IpAddr]) -> Result<Ipv4Addr, Box<dyn Error>> {
    let mut addresses = addresses.iter().filter_map(|address| match address {
        IpAddr::V4(address) => Some(*address),
        IpAddr::V6(_) => None,
    });
    addresses.next().ok_or_else(|| "a server without an IPv4 address".into())
}

fn ip_address(verb: &str, address: IpAddr) -> Result<(), Box<dyn Error>> {
    let prefix = format!("{address}/{}", if address.is_ipv4() { 32 } else { 128 });
    let output = Command::new("ip").args(["addr", verb, &prefix, "dev", "lo"]).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("ip addr {verb} {prefix} dev lo: {said}").into());
    }
    Ok(())
}

/// What a server is asked for: its number on the wire.
#[derive(Clone, Copy)]
enum Kind {
    Cname = 5,
    Soa = 6,
}

/// Whether a server gives what it is asked for.
#[derive(Clone, Copy)]
enum Reply {
    Given,
    Denied,
}

/// Asks a server; none while nothing answers.
fn ask(address: Ipv4Addr, name: &str, kind: Kind) -> io::Result<Option<Reply>> {
    let mut message = vec![0x5a, 0xa5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in name.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("labels are short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, kind as u8, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((address, 53))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut answer = [0; 512];
    // That nothing listens yet is no error here.
    let length = socket.send(&message).and_then(|_| socket.recv(&mut answer)).unwrap_or(0);
    Ok((length >= 12 && answer[..2] == message[..2])
        .then(|| if answer[3] & 15 == 0 && answer[7] > 0 { Reply::Given } else { Reply::Denied }))
}

fn each(addresses: &[IpAddr], line: impl Fn(&IpAddr) -> String) -> String {
    addresses.iter().map(line).collect()
}

fn dotted(zone: &str) -> &str {
    if zone.is_empty() { "." } else { zone }
}

fn nsd(addresses: &[IpAddr], directory: &Path, zones: &[ZoneFile]) -> String {
    let directory = directory.display();
    let listen = each(addresses, |address| format!("  ip-address: {address}\n"));
    let mut text = format!(
        "server:\n{listen}  username: \"\"\n  zonesdir: \"{directory}\"\n  database: \"\"\n  \
         pidfile: \"\"\n  logfile: \"\"\n  xfrdfile: \"\"\n  xfrdir: \"{directory}\"\n  zonelistfile: \
         \"{directory}/zones.list\"\n  server-count: 1\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: \
         0\nremote-control:\n  control-enable: no\n"
    );
    for (zone, file) in zones {
        let _ = writeln!(text, "zone:\n  name: \"{}\"\n  zonefile: \"{}\"", dotted(zone), file.display());
    }
    text
}

fn knot(addresses: &[IpAddr], directory: &Path, zones: &[ZoneFile]) -> String {
    let directory = directory.display();
    let listen = each(addresses, |address| format!("  listen: {address}@53\n"));
    let mut text = format!(
        "server:\n{listen}  rundir: {directory}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\nlog:\n  - target: stderr\n    any: notice\ndatabase:\n  storage: \
         {directory}/db\ntemplate:\n  - id: default\n    zonefile-load: whole\n    zonefile-sync: -1\n    \
         journal-content: none\nzone:\n"
    );
    for (zone, file) in zones {
        let _ = writeln!(text, "  - domain: {}\n    file: {}", dotted(zone), file.display());
    }
    text
}

fn bind(addresses: &[IpAddr], directory: &Path, zones: &[ZoneFile]) -> String {
    let (ipv4, ipv6): (Vec<IpAddr>, Vec<IpAddr>) = addresses.iter().partition(|address| address.is_ipv4());
    let list = |addresses: &[IpAddr]| match addresses {
        [] => "none;".to_owned(),
        _ => each(addresses, |address| format!("{address};")),
    };
    format!(
        "options {{\n  directory \"{directory}\";\n  listen-on {{ {ipv4} }};\n  listen-on-v6 {{ {ipv6} }};\n  \
         pid-file none;\n  session-keyfile none;\n  recursion no;\n  notify no;\n  dnssec-validation \
         no;\n  allow-query {{ any; }};\n  check-names master ignore;\n}};\ncontrols {{ }};\n{zones}",
        directory = directory.display(),
        ipv4 = list(&ipv4),
        ipv6 = list(&ipv6),
        zones = bind_zones(zones),
    )
}

fn bind_zones(zones: &[ZoneFile]) -> String {
    zones
        .iter()
        .map(|(zone, file)| {
            format!("zone \"{}\" {{ type master; file \"{}\"; }};\n", dotted(zone), file.display())
        })
        .collect()
}

fn power_dns(addresses: &[IpAddr], directory: &Path) -> String {
    let directory = directory.display();
    let local = addresses.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
    format!(
        "launch=bind\nbind-config={directory}/named.conf\nlocal-address={local}\nlocal-port=53\nsocket-dir=\
         {directory}\ndaemon=no\nguardian=no\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n\
         enable-lua-records=yes\n"
    )
}

fn unbound(resolver: Resolver, address: Ipv4Addr, directory: &Path) -> String {
    let (access, memory) = match resolver {
        Resolver::Validating => {
            ("allow", "  cache-max-ttl: 1\n  cache-max-negative-ttl: 1\n  val-bogus-ttl: 1\n")
        }
        Resolver::Remembering => ("allow_snoop", ""),
        _ => ("refuse", ""),
    };
    format!(
        r#"server:
  directory: "{directory}"
  interface: {address}@53
  access-control: 127.0.0.0/8 {access}
  do-ip6: no
  do-daemonize: no
  use-syslog: no
  logfile: ""
  pidfile: ""
  chroot: ""
  username: ""
  num-threads: 1
  do-not-query-localhost: no
  root-hints: "root.hints"
  trust-anchor-file: "root.ds"
  trust-anchor-signaling: no
  module-config: "validator iterator"
  ede: yes
  val-log-level: 2
  aggressive-nsec: no
{memory}  infra-host-ttl: 1
  target-fetch-policy: "0 0 0 0 0"
remote-control:
  control-enable: no
"#,
        directory = directory.display(),
    )
}
