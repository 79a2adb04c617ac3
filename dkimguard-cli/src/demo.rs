//! `dkimguard demo`: the incident that this tool exists for, on name servers inside this process and a clock that runs
//! fast.

use std::fmt::Write as _;
use std::io;
use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Instant;

use async_trait::async_trait;
use dkimguard_core::error::NotifyError;
use dkimguard_core::guard::{Alert, AlertEvent, Guard};
use dkimguard_core::identity::{Identity, ProviderStatus};
use dkimguard_core::judge::{Cause, Report, Verdict};
use dkimguard_core::look::{Authoritative, Dns, Look, Places, Vantage};
use dkimguard_core::name::Name;
use dkimguard_core::ports::Notifier;
use dkimguard_core::testing::{
    FakeHistory, FakeSource, FakeZones, HOSTED_ZONE, Lab, ManualClock, TOKENS, World, easy_dkim_identity,
};
use dkimguard_core::zone::{HostedZone, Visibility, Zone};
use jiff::{SignedDuration, Timestamp};

use crate::check::Looked;
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::Verbosity;

/// The domain of the demo.
const DOMAIN: &str = "example.com";
/// The first moment of the play.
const BEGIN: &str = "2026-11-23T09:00:00Z";
/// The host that the name servers are moved to.
const NEW_HOST: &str = "new-host.net";
/// Its servers.
const NEW_SERVERS: [(&str, IpAddr); 2] = [
    ("ns1.new-host.net", IpAddr::V4(Ipv4Addr::new(127, 0, 83, 21))),
    ("ns2.new-host.net", IpAddr::V4(Ipv4Addr::new(127, 0, 83, 22))),
];
/// How long after the last act it must be over.
const PATIENCE: SignedDuration = SignedDuration::from_hours(6);

const INTRODUCTION: &str = "\
This demo plays the incident that dkimguard exists for, on name servers of its
own inside this process: example.com is a name here, not the domain that you
know. The guard, its looks and its alerts are real. Amazon SES is played, and
the clock runs fast: four days pass in seconds. Times are UTC.";

const CLOSE: &str = "\
Your own domain: 'dkimguard check DOMAIN', with AWS credentials. With '--source
file:PATH', what must be in DNS is read from a file, and no account is needed.";

/// What happens at some moment.
struct Act {
    /// How long after the first moment.
    after: SignedDuration,
    title: &'static str,
    /// What that means, for who has never heard of it.
    meaning: &'static str,
    happen: fn(&Stage) -> io::Result<()>,
}

const ACTS: [Act; 5] = [
    Act {
        after: SignedDuration::ZERO,
        title: "the domain is set up, and a guard begins to look",
        meaning: "\
Amazon SES has asked for three CNAME records. They are in the domain's zone, and
both of its name servers serve them. The guard looks every 15 minutes.",
        happen: |_| Ok(()),
    },
    Act {
        after: SignedDuration::from_mins(67),
        title: "the name servers are moved to another DNS host",
        meaning: "\
The web site's records are there, those of DKIM aren't. Whoever opens the zone
at the old host sees all three, but nobody is sent there any more. SES has not
looked since, and says success.",
        happen: |stage| {
            stage.lab.change(|world| {
                world.delegate(DOMAIN, NEW_SERVERS);
            })
        },
    },
    Act {
        after: SignedDuration::from_hours(43),
        title: "SES looks, and does not find the records",
        meaning: "\
It stops signing at once, mails a notice that is easily missed, and gives the
domain some days. Then it would give it up, and refuse to send for it.",
        happen: |stage| stage.provider_says(ProviderStatus::TemporaryFailure),
    },
    Act {
        after: SignedDuration::from_hours(80),
        title: "the records are published at the new host, as the report said",
        meaning: "Nothing makes SES look again. It does so by itself.",
        happen: |stage| {
            stage.lab.change(|world| {
                for (_, address) in NEW_SERVERS {
                    world.server(address).publish(&aliases());
                }
            })
        },
    },
    Act {
        after: SignedDuration::from_hours(83),
        title: "SES looks again, finds the records, and signs",
        meaning: "It never gave the domain up.",
        happen: |stage| stage.provider_says(ProviderStatus::Success),
    },
];

/// What the play is played on.
struct Stage {
    lab: Lab,
    source: Arc<FakeSource>,
    clock: ManualClock,
}

/// What came of it.
#[derive(Debug, Default)]
struct Outcome {
    first_failing: Option<Timestamp>,
    alerts: Vec<Alert>,
    ends_healthy: bool,
}

/// Plays the acts, and prints what the guard sees and tells. Whoever closes the pipe has seen enough.
///
/// # Errors
/// The name servers can't be started, standard output can't be written, or the guard told otherwise than it must.
pub(crate) async fn run(renderer: &mut Renderer) -> Result<(), Failure> {
    match play(renderer).await {
        Ok(()) => Ok(()),
        Err(Stop::Output(error)) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        Err(Stop::Output(error)) => Err(Failure::of_output(&error)),
        Err(Stop::Failed(failure)) => Err(failure),
    }
}

/// Why the play ends before its end.
enum Stop {
    Output(io::Error),
    Failed(Failure),
}

impl From<io::Error> for Stop {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}

async fn play(renderer: &mut Renderer) -> Result<(), Stop> {
    let begin: Timestamp = BEGIN.parse().expect("it is a time");
    let domain: Name = DOMAIN.parse().expect("it is a name");
    let stage = Stage::set(begin).map_err(|error| Stop::Failed(no_servers(&error)))?;
    renderer.note(Verbosity::Steps, || {
        let addresses: Vec<String> =
            stage.lab.world().addresses().map(|address| address.to_string()).collect();
        format!("name servers at {}, port {}", addresses.join(", "), stage.lab.port())
    });
    let heard = Arc::new(Heard::default());
    let mut guard = stage.guard(&domain, heard.clone());

    renderer.tell(INTRODUCTION)?;
    let mut outcome = Outcome::default();
    let mut acts = ACTS.iter().peekable();
    let mut last: Option<Report> = None;
    let end = begin + ACTS[ACTS.len() - 1].after + PATIENCE;
    while let Some(due) = guard.next_look(&domain).filter(|&due| due <= end) {
        while let Some(act) = acts.next_if(|act| begin + act.after <= due) {
            let at = begin + act.after;
            stage.clock.set(at);
            (act.happen)(&stage).map_err(|error| Stop::Failed(no_servers(&error)))?;
            renderer.tell(&act.told(at))?;
        }
        stage.clock.set(due.max(begin));
        let begun = Instant::now();
        for report in guard.look(&domain).await {
            if last.as_ref().is_none_or(|last| !is_same(last, &report)) {
                Looked { report: report.clone(), took: begun.elapsed() }.note(renderer);
                let head = format!("{}the guard's look", moment(report.at));
                if report.verdict == Verdict::Failing && outcome.first_failing.is_none() {
                    outcome.first_failing = Some(report.at);
                    renderer.tell(&head)?;
                    renderer.report(&report)?;
                } else {
                    renderer.line(&head, &report)?;
                }
            }
            outcome.ends_healthy = report.verdict == Verdict::Healthy;
            last = Some(report);
        }
        for alert in heard.take() {
            let head = format!("{}the guard tells ({}, {})", moment(alert.at), alert.event, alert.severity);
            renderer.alert(&head, &alert)?;
            outcome.alerts.push(alert);
        }
        if outcome.is_over() {
            break;
        }
    }
    outcome.judge().map_err(Stop::Failed)?;
    renderer.tell(&outcome.summary(begin))?;
    renderer.tell(CLOSE)?;
    Ok(())
}

impl Act {
    fn told(&self, at: Timestamp) -> String {
        let head = format!("{}{}", moment(at), self.title);
        format!("{head}\n{}\n{}", "-".repeat(head.len()), self.meaning)
    }
}

impl Stage {
    /// The domain at its first host, and the second host, which nobody is sent to yet.
    fn set(begin: Timestamp) -> io::Result<Self> {
        Ok(Self {
            lab: Lab::start(both_hosts())?,
            source: Arc::new(FakeSource::new([easy_dkim_identity(DOMAIN)])),
            clock: ManualClock::at(begin),
        })
    }

    /// A guard as somebody would set it up who has the zone at the old host, with its change history.
    fn guard(&self, domain: &Name, notifier: Arc<Heard>) -> Guard {
        let places = Places::new([Vantage::Resolver { address: self.lab.resolver() }])
            .with_authoritative(Authoritative::Ask { port: self.lab.port() });
        let zone = Zone::new(DOMAIN).with(&aliases());
        let zone = HostedZone {
            id: "ZOLDHOST".to_owned(),
            host: "the old host".to_owned(),
            name: domain.clone(),
            visibility: Visibility::Public,
            servers: ["ns1.example.com", "ns2.example.com"]
                .map(|server| server.parse().expect("a name"))
                .into(),
            records: zone.records().cloned().collect(),
        };
        Guard::builder(self.source.clone(), Look::new(Arc::new(Dns::default()), places))
            .watch([domain.clone()])
            .zones(FakeZones::new([zone]))
            .history(FakeHistory::new([]))
            .notifier(notifier)
            .clock(self.clock.clone())
            .build()
            .expect("it has a domain and one notifier")
    }

    fn provider_says(&self, status: ProviderStatus) -> io::Result<()> {
        let signing_enabled = Some(true);
        self.source.put(Identity { status, signing_enabled, ..easy_dkim_identity(DOMAIN) });
        Ok(())
    }
}

impl Outcome {
    /// Whether the incident was told to be over.
    fn is_over(&self) -> bool {
        self.alerts.last().is_some_and(|alert| alert.event == AlertEvent::Recovered)
    }

    /// The guard tells of one incident, at once and to its end; anything else is this program's fault.
    fn judge(&self) -> Result<(), Failure> {
        let count = |event| self.alerts.iter().filter(|alert| alert.event == event).count();
        let (opened, recovered) = (count(AlertEvent::Opened), count(AlertEvent::Recovered));
        let is_found = self.alerts.first().is_some_and(|alert| {
            alert.causes.first().is_some_and(|cause| cause == Cause::WrongNameservers.code())
        });
        if is_found && self.ends_healthy && (opened, recovered) == (1, 1) {
            return Ok(());
        }
        let message = format!(
            "the guard told {opened} times that an incident opened and {recovered} times that it was over, and must \
             tell each once, with the cause {}",
            Cause::WrongNameservers.code()
        );
        Err(Failure::new(Code::Demo, message).with_hint(
            "is the loopback interface up, and unfiltered? 'dkimguard demo -vv' shows every question",
        ))
    }

    /// Who knew what when.
    fn summary(&self, begin: Timestamp) -> String {
        let [_, moved, noticed, _, _] = &ACTS;
        let mut text = format!("What happened, counted from the move at {:.0}\n", begin + moved.after);
        let mut line = |at: Timestamp, what: &str| {
            let after = at.duration_since(begin + moved.after);
            // Writing to a string can't fail.
            let _ = write!(text, "\n  {:>16}  {what}", span(after));
        };
        if let Some(at) = self.first_failing {
            line(at, "a look fails");
        }
        let mut is_noticed = false;
        for alert in &self.alerts {
            if !is_noticed && alert.at >= begin + noticed.after {
                line(begin + noticed.after, "SES notices, and stops signing");
                is_noticed = true;
            }
            line(alert.at, &format!("the guard tells: {}", alert.event));
        }
        text
    }
}

/// Keeps the alerts until they are printed.
#[derive(Debug, Default)]
struct Heard(Mutex<Vec<Alert>>);

impl Heard {
    fn take(&self) -> Vec<Alert> {
        std::mem::take(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

#[async_trait]
impl Notifier for Heard {
    fn name(&self) -> &'static str {
        "demo"
    }

    async fn deliver(&self, alert: &Alert) -> Result<(), NotifyError> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(alert.clone());
        Ok(())
    }
}

/// The domain at its first host, and the second host with the web site's records.
fn both_hosts() -> World {
    let mut world = World::easy_dkim(DOMAIN);
    world.host(Zone::new(NEW_HOST), NEW_SERVERS);
    let site = Zone::new(DOMAIN).with(
        "@ NS ns1.new-host.net.\n@ NS ns2.new-host.net.\n@ A 192.0.2.80\n_dmarc TXT \"v=DMARC1; p=none\"",
    );
    for (_, address) in NEW_SERVERS {
        world.serve(address, site.clone());
    }
    world
}

/// The three records, as lines of a zone.
fn aliases() -> String {
    TOKENS.map(|token| format!("{token}._domainkey.{DOMAIN}. CNAME {token}.{HOSTED_ZONE}.\n")).concat()
}

/// Whether two looks say the same to who reads them.
fn is_same(one: &Report, other: &Report) -> bool {
    let causes = |report: &Report| report.causes.iter().map(|cause| cause.cause).collect::<Vec<_>>();
    one.verdict == other.verdict
        && one.identity.status == other.identity.status
        && causes(one) == causes(other)
}

/// A moment as the head of a line: `Mon 23 Nov 09:00  `.
fn moment(at: Timestamp) -> String {
    format!("{}  ", at.strftime("%a %d %b %H:%M"))
}

/// How long: `2 d 04 h 10 min`.
fn span(duration: SignedDuration) -> String {
    let minutes = duration.as_mins();
    let (days, hours, minutes) = (minutes / 1440, minutes / 60 % 24, minutes % 60);
    match (days, hours) {
        (0, 0) => format!("{minutes} min"),
        (0, _) => format!("{hours} h {minutes:02} min"),
        _ => format!("{days} d {hours:02} h {minutes:02} min"),
    }
}

/// The name servers can't be started, or can't follow the play.
fn no_servers(error: &io::Error) -> Failure {
    let addresses: Vec<String> = both_hosts().addresses().map(|address| address.to_string()).collect();
    let hint = format!(
        "the demo listens on {}, over UDP and TCP, on one port between 20000 and 31999: allow that, and 64 open \
         files ('ulimit -n'); on macOS add each address with 'sudo ifconfig lo0 alias ADDRESS'",
        addresses.join(", ")
    );
    Failure::new(Code::System, format!("cannot serve the demo's zones on loopback: {error}")).with_hint(hint)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn begin() -> Timestamp {
        BEGIN.parse().expect("a time")
    }

    #[test]
    fn what_is_told_fits_80_columns() {
        let acts = ACTS.iter().map(|act| act.told(begin() + act.after));
        for text in
            acts.chain([INTRODUCTION.to_owned(), CLOSE.to_owned(), Outcome::default().summary(begin())])
        {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }

    #[test]
    fn a_guard_that_tells_nothing_is_an_error() {
        let failure =
            Outcome { ends_healthy: true, ..Outcome::default() }.judge().expect_err("nothing was told");
        assert!(
            failure.message.starts_with("the guard told 0 times that an incident opened"),
            "{}",
            failure.message
        );
    }

    #[test]
    fn lengths_of_time_are_told_in_days_hours_and_minutes() {
        for (minutes, text) in [(7, "7 min"), (61, "1 h 01 min"), (1440 + 3, "1 d 00 h 03 min")] {
            assert_eq!(span(SignedDuration::from_mins(minutes)), text);
        }
    }
}
