//! [`Process`]: a name server that runs, and the configuration of each software.

use std::error::Error;
use std::fmt::Write as _;
use std::fs::{self, File};
use std::io;
use std::net::{Ipv4Addr, UdpSocket};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

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
    /// BIND listens only on addresses that an interface has.
    assigned: bool,
}

/// A zone for a server: its name without the final dot (the root's is empty), and the file, which may be absent.
pub(crate) type ZoneFile = (String, PathBuf);

impl Process {
    /// Starts an authoritative server.
    pub(crate) fn authoritative(
        software: Software,
        address: Ipv4Addr,
        directory: &Path,
        zones: &[ZoneFile],
    ) -> Result<Self, Box<dyn Error>> {
        let (configuration, program, arguments): (_, _, &[&str]) = match software {
            Software::Nsd => (nsd(address, directory, zones), "nsd", &["-d", "-c"]),
            Software::Knot => (knot(address, directory, zones), "knotd", &["-c"]),
            Software::Bind => (bind(address, directory, zones), "named", &["-g", "-c"]),
            Software::PowerDns => {
                fs::write(directory.join("named.conf"), bind_zones(zones))?;
                (power_dns(address, directory), "pdns_server", &[])
            }
        };
        let file = directory.join(if software == Software::PowerDns { "pdns.conf" } else { "server.conf" });
        fs::write(&file, configuration)?;
        let mut command = Command::new(program);
        match software {
            Software::PowerDns => command.arg(format!("--config-dir={}", directory.display())),
            _ => command.args(arguments).arg(&file),
        };
        Self::spawn(command, address, directory, software == Software::Bind)
    }

    /// Starts a validating resolver that knows only this root.
    pub(crate) fn resolver(
        address: Ipv4Addr,
        directory: &Path,
        root: Ipv4Addr,
        trust_anchor: &str,
    ) -> Result<Self, Box<dyn Error>> {
        fs::write(directory.join("root.hints"), format!(". 3600 NS ns1.\nns1. 3600 A {root}\n"))?;
        fs::write(directory.join("root.ds"), trust_anchor)?;
        let file = directory.join("server.conf");
        fs::write(&file, unbound(address, directory))?;
        let mut command = Command::new("unbound");
        command.arg("-d").arg("-c").arg(&file);
        Self::spawn(command, address, directory, false)
    }

    fn spawn(
        mut command: Command,
        address: Ipv4Addr,
        directory: &Path,
        needs_assignment: bool,
    ) -> Result<Self, Box<dyn Error>> {
        if needs_assignment {
            ip_address("add", address)?;
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
        Ok(Self { child, log, address, assigned: needs_assignment })
    }

    /// Waits until the server has the zone loaded.
    pub(crate) fn wait_for(&mut self, zone: &str) -> Result<(), Box<dyn Error>> {
        self.wait_until(zone, |soa| matches!(soa, Some(Soa::Given)))
    }

    /// Waits until the server answers anything at all.
    pub(crate) fn wait_for_answers(&mut self) -> Result<(), Box<dyn Error>> {
        self.wait_until("", |soa| soa.is_some())
    }

    fn wait_until(
        &mut self,
        zone: &str,
        is_ready: impl Fn(Option<Soa>) -> bool,
    ) -> Result<(), Box<dyn Error>> {
        let deadline = Instant::now() + START;
        while !is_ready(ask_soa(self.address, zone)?) {
            if let Some(status) = self.child.try_wait()? {
                return Err(format!("the server on {} ended, {status}: {}", self.address, self.log()).into());
            }
            if Instant::now() > deadline {
                return Err(format!("{} doesn't serve `{zone}`: {}", self.address, self.log()).into());
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
        if self.assigned {
            let _ = ip_address("del", self.address);
        }
    }
}

fn ip_address(verb: &str, address: Ipv4Addr) -> Result<(), Box<dyn Error>> {
    let prefix = format!("{address}/32");
    let output = Command::new("ip").args(["addr", verb, &prefix, "dev", "lo"]).output()?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(format!("ip addr {verb} {prefix} dev lo: {said}").into());
    }
    Ok(())
}

/// What a server answers when it is asked for the SOA of a zone.
#[derive(Clone, Copy)]
enum Soa {
    Given,
    Denied,
}

/// Asks for the SOA of a zone; none while nothing answers.
fn ask_soa(address: Ipv4Addr, zone: &str) -> io::Result<Option<Soa>> {
    let mut message = vec![0x5a, 0xa5, 1, 0, 0, 1, 0, 0, 0, 0, 0, 0];
    for label in zone.split('.').filter(|label| !label.is_empty()) {
        message.push(u8::try_from(label.len()).expect("labels are short"));
        message.extend(label.as_bytes());
    }
    message.extend([0, 0, 6, 0, 1]);
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0))?;
    socket.connect((address, 53))?;
    socket.set_read_timeout(Some(Duration::from_millis(200)))?;
    let mut answer = [0; 512];
    // That nothing listens yet is no error here.
    let length = socket.send(&message).and_then(|_| socket.recv(&mut answer)).unwrap_or(0);
    Ok((length >= 12 && answer[..2] == message[..2])
        .then(|| if answer[3] & 15 == 0 && answer[7] > 0 { Soa::Given } else { Soa::Denied }))
}

fn dotted(zone: &str) -> &str {
    if zone.is_empty() { "." } else { zone }
}

fn nsd(address: Ipv4Addr, directory: &Path, zones: &[ZoneFile]) -> String {
    let directory = directory.display();
    let mut text = format!(
        "server:\n  ip-address: {address}\n  username: \"\"\n  zonesdir: \"{directory}\"\n  database: \"\"\n  \
         pidfile: \"\"\n  logfile: \"\"\n  xfrdfile: \"\"\n  xfrdir: \"{directory}\"\n  zonelistfile: \
         \"{directory}/zones.list\"\n  server-count: 1\n  rrl-ratelimit: 0\n  rrl-whitelist-ratelimit: \
         0\nremote-control:\n  control-enable: no\n"
    );
    for (zone, file) in zones {
        let _ = writeln!(text, "zone:\n  name: \"{}\"\n  zonefile: \"{}\"", dotted(zone), file.display());
    }
    text
}

fn knot(address: Ipv4Addr, directory: &Path, zones: &[ZoneFile]) -> String {
    let directory = directory.display();
    let mut text = format!(
        "server:\n  listen: {address}@53\n  rundir: {directory}\n  udp-workers: 1\n  tcp-workers: 1\n  \
         background-workers: 1\nlog:\n  - target: stderr\n    any: notice\ndatabase:\n  storage: \
         {directory}/db\ntemplate:\n  - id: default\n    zonefile-load: whole\n    zonefile-sync: -1\n    \
         journal-content: none\nzone:\n"
    );
    for (zone, file) in zones {
        let _ = writeln!(text, "  - domain: {}\n    file: {}", dotted(zone), file.display());
    }
    text
}

fn bind(address: Ipv4Addr, directory: &Path, zones: &[ZoneFile]) -> String {
    format!(
        "options {{\n  directory \"{directory}\";\n  listen-on {{ {address}; }};\n  listen-on-v6 {{ none; }};\n  \
         pid-file none;\n  session-keyfile none;\n  recursion no;\n  notify no;\n  dnssec-validation \
         no;\n  allow-query {{ any; }};\n}};\ncontrols {{ }};\n{zones}",
        directory = directory.display(),
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

fn power_dns(address: Ipv4Addr, directory: &Path) -> String {
    let directory = directory.display();
    format!(
        "launch=bind\nbind-config={directory}/named.conf\nlocal-address={address}\nlocal-port=53\nsocket-dir=\
         {directory}\ndaemon=no\nguardian=no\ncache-ttl=0\nquery-cache-ttl=0\nnegquery-cache-ttl=0\n"
    )
}

fn unbound(address: Ipv4Addr, directory: &Path) -> String {
    format!(
        r#"server:
  directory: "{directory}"
  interface: {address}@53
  access-control: 127.0.0.0/8 allow
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
  cache-max-ttl: 1
  cache-max-negative-ttl: 1
  val-bogus-ttl: 1
  infra-host-ttl: 1
  target-fetch-policy: "0 0 0 0 0"
remote-control:
  control-enable: no
"#,
        directory = directory.display(),
    )
}
