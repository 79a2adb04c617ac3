//! `dkimguard demo`: a domain that is healthy, is broken twice and heals, on name servers inside this process.

use std::fmt::Write as _;
use std::io;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use dkimguard_core::judge::{Depth, Report, Verdict};
use dkimguard_core::look::{Authoritative, Dns, Look, Places, Vantage};
use dkimguard_core::ports::{Clock, SystemClock};
use dkimguard_core::testing::{Lab, World, easy_dkim_identity};

use crate::check::Looked;
use crate::failure::{Code, Failure};
use crate::render::Renderer;
use crate::settings::Verbosity;

/// The domain of the demo.
const DOMAIN: &str = "example.com";
/// The record that gets lost.
const RECORD: &str = "bbb._domainkey.example.com";
/// Both name servers of the domain.
const BOTH: [IpAddr; 2] = [World::NS1, World::NS2];

const INTRODUCTION: &str = "\
This demo plays an incident on name servers of its own, inside this process. It
asks nothing else: example.com is a name here, not the domain that you know.
The reports are those of 'dkimguard check'.";

const CLOSE: &str = "\
Your own domain: 'dkimguard check DOMAIN', with AWS credentials. With '--source
file:PATH', what must be in DNS is read from a file, and no account is needed.";

/// One scene: what happens to the name servers, and what a look must say then.
struct Scene {
    /// What happens, in a line.
    title: &'static str,
    /// What that means for mail.
    meaning: &'static str,
    /// What is done to the servers before the look.
    change: fn(&mut World),
    /// What the look must come to; anything else ends the demo with an error.
    verdict: Verdict,
    /// How much of the report people are shown.
    detail: Detail,
}

/// How much of a report people are shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Detail {
    Whole,
    /// Not the table of records by place.
    WithoutTable,
}

const SCENES: [Scene; 4] = [
    Scene {
        title: "the domain is set up",
        meaning: "\
Amazon SES has asked for three CNAME records. They are published, and both name
servers of the domain serve them.",
        change: |world| *world = healthy(2),
        verdict: Verdict::Healthy,
        detail: Detail::Whole,
    },
    Scene {
        title: "one name server goes back to an old copy of the zone",
        meaning: "\
The copy on the second server lacks one record. Whoever is sent to that server
finds two records of three, whoever is sent to the first finds all: a look-up
through a resolver succeeds or fails by chance, and so does SES's own.",
        change: |world| {
            world.server(World::NS2).remove(RECORD).set_serial(DOMAIN, 1);
        },
        verdict: Verdict::Degraded,
        detail: Detail::Whole,
    },
    Scene {
        title: "the record is deleted, and both name servers follow",
        meaning: "\
SES has not looked since and still says success. When it looks next, it stops
signing the mail of the domain at once, and after some days it gives up.",
        change: |world| {
            *world = healthy(3);
            world.remove(RECORD);
        },
        verdict: Verdict::Failing,
        detail: Detail::Whole,
    },
    Scene {
        title: "the record is published again, as the report said",
        meaning: "\
Both name servers serve the new copy of the zone. The table, left out here, is
that of scene 1 again.",
        change: |world| *world = healthy(4),
        verdict: Verdict::Healthy,
        detail: Detail::WithoutTable,
    },
];

/// Plays the scenes, and prints what a look says in each. Whoever closes the pipe has seen enough.
///
/// # Errors
/// The name servers can't be started, standard output can't be written, or a look came to another verdict than it
/// must.
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
    let lab = Lab::start(healthy(1)).map_err(|error| Stop::Failed(no_servers(&error)))?;
    renderer.note(Verbosity::Steps, || {
        let addresses: Vec<String> = lab.world().addresses().map(|address| address.to_string()).collect();
        format!("name servers at {}, port {}", addresses.join(", "), lab.port())
    });
    let places = Places::new([Vantage::Resolver { address: lab.resolver() }])
        .with_authoritative(Authoritative::Ask { port: lab.port() });
    let look = Look::new(Arc::new(Dns::default()), places);

    renderer.tell(INTRODUCTION)?;
    for (number, scene) in (1..).zip(&SCENES) {
        renderer.tell(&scene.heading(number))?;
        lab.change(scene.change).map_err(|error| Stop::Failed(no_servers(&error)))?;
        let begun = Instant::now();
        let identity = easy_dkim_identity(DOMAIN);
        let report = look.take(identity, Depth::Full, SystemClock.now(), number).await;
        let looked = Looked { report, took: begun.elapsed() };
        looked.note(renderer);
        scene.show(&looked.report, renderer)?;
        scene.compare(number, &looked.report).map_err(Stop::Failed)?;
    }
    renderer.tell(&summary())?;
    renderer.tell(CLOSE)?;
    Ok(())
}

impl Scene {
    fn heading(&self, number: u64) -> String {
        let title = format!("Scene {number} of {}: {}", SCENES.len(), self.title);
        format!("{title}\n{}\n{}", "-".repeat(title.len()), self.meaning)
    }

    fn show(&self, report: &Report, renderer: &mut Renderer) -> io::Result<()> {
        match self.detail {
            Detail::WithoutTable if renderer.is_for_people() => {
                renderer.report(&Report { records: Vec::new(), ..report.clone() })
            }
            Detail::Whole | Detail::WithoutTable => renderer.report(report),
        }
    }

    fn compare(&self, number: u64, report: &Report) -> Result<(), Failure> {
        if report.verdict == self.verdict {
            return Ok(());
        }
        let message = format!(
            "scene {number} came to {} ({}) and must come to {}",
            report.verdict, report.summary, self.verdict
        );
        Err(Failure::new(Code::Demo, message).with_hint(
            "is the loopback interface up, and unfiltered? 'dkimguard demo -vv' shows every question",
        ))
    }
}

/// The world in which all is well, both copies of the zone with this serial.
fn healthy(serial: u32) -> World {
    let mut world = World::easy_dkim(DOMAIN);
    for server in BOTH {
        world.server(server).set_serial(DOMAIN, serial);
    }
    world
}

/// What a check would have said in each scene.
fn summary() -> String {
    let mut text = String::from("What a check comes to, scene by scene; the exit code tells it to scripts:");
    for (number, scene) in (1..).zip(&SCENES) {
        let code = crate::exit_status(scene.verdict);
        // Writing to a string can't fail.
        let _ = write!(text, "\n  {number}  {:8}  exit code {code}  {}", scene.verdict, scene.title);
    }
    text
}

/// The name servers can't be started, or can't follow the play.
fn no_servers(error: &io::Error) -> Failure {
    let addresses: Vec<String> = healthy(1).addresses().map(|address| address.to_string()).collect();
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

    #[test]
    fn what_is_told_fits_80_columns() {
        let headings = (1..).zip(&SCENES).map(|(number, scene)| scene.heading(number));
        for text in headings.chain([INTRODUCTION.to_owned(), CLOSE.to_owned(), summary()]) {
            assert!(text.lines().all(|line| line.chars().count() <= 80), "{text}");
        }
    }

    #[test]
    fn a_verdict_that_is_not_the_scenes_is_an_error_that_names_both() {
        let id = easy_dkim_identity(DOMAIN).id;
        let report = Report::without_identity(id, SystemClock.now(), Depth::Full, Vec::new());
        let failure = SCENES[1].compare(2, &report).expect_err("unknown isn't degraded");
        assert_eq!(
            failure.message,
            "scene 2 came to unknown (nothing is known about this domain) and must come to degraded"
        );
    }
}
