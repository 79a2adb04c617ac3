//! One domain at full depth, on a tree of real name servers: beside the programs that one would take instead, and
//! with places that stay silent. Prints Markdown. Needs root, like the tree; `benches/setup` installs the others.
//!
//! `cargo bench -p dkimguard-cli --bench one_domain [-- compare|silence]`

#[path = "../tests/tree/mod.rs"]
mod tree;

use std::error::Error;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::net::{IpAddr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use tree::{Server, Software, Tree, ZoneSpec};
use wait4::Wait4;

type BenchResult<T = ()> = Result<T, Box<dyn Error>>;

/// How often each program runs.
const ROUNDS: usize = 30;
/// How often a look with silent places is taken.
const SILENT_ROUNDS: usize = 5;
/// What the resolver's caches need to forget; the tree keeps nothing for longer than a second.
const FORGETTING: Duration = Duration::from_millis(1100);
/// What a look may take beyond `timeout × attempts` where a place is silent.
const GRACE: Duration = Duration::from_millis(500);
/// What a look may take of another program's time.
const SHARES: [(&str, f64); 2] = [("zonemaster-cli", 20.0), ("checkdmarc", 10.0)];
const MOST_MEMORY: u64 = 20 << 20;

const DOMAIN: &str = "healthy.dktest";
const TOKENS: [&str; 3] = ["active", "gone1", "gone2"];
const RECORDS: &str = "\
active._domainkey CNAME active.dkim.amazonses.com.
gone1._domainkey CNAME gone1.dkim.amazonses.com.
gone2._domainkey CNAME gone2.dkim.amazonses.com.
";
/// The provider's zone; the other two targets hold no key, as usual.
const KEY: &str = r#"active TXT "p=MIIBIjANBgkqhkiG9w0BAQEFAAOCAQ8AMIIBCgKCAQEAkJ0XplBATI8YElgeVLJ9a3oxN87WLfuTb2vaYEC8YEbD+VM2MsTf2WYnPwbBVLDCLSvnm0OynNVBeuxoWdD8IwkPwYemLxV/CKHNsgk+DJIfUvdVoxDTcC8yU2G8HvWHZtQMTM/o/KUMHPStySJDhMNpFVo5" "X4UGT1qlJHeB04r1lMNwD5hB/DTpLdxbbPRV1Vv9nTuMxeai56tyLcX77gxIBbyhJqCNZeiwYEohZMmL0Efo1MUIL9G9+Ecl3d7OCFL5rSxZpoCB6zhCV4rGJvIDB3/V9qmlIZ2oezqLde+ySHZV1Lwvg5tb++t4F/toNNDBX/GxB9/bbr7w95dwGwIDAQAB""#;

fn main() -> BenchResult {
    let wanted = std::env::args().find(|argument| ["compare", "silence"].contains(&argument.as_str()));
    let wants = |part| wanted.as_deref().is_none_or(|wanted| wanted == part);
    let tree = Tree::builder().zones(zones()).start()?;
    let bench = Bench { identities: tree.directory().join("identities.toml"), tree };
    fs::write(&bench.identities, identities())?;
    print_machine()?;
    if wants("compare") {
        bench.compare()?;
    }
    if wants("silence") {
        bench.measure_silence()?;
    }
    Ok(())
}

fn zones() -> Vec<ZoneSpec> {
    use Software::{Knot, Nsd};

    let zone = |name: &str, servers: Vec<Server>| ZoneSpec::new(name).records(RECORDS).servers(servers);
    let silent = Server::silent;
    vec![
        ZoneSpec::new("dkim.amazonses.com").records(KEY),
        zone(DOMAIN, vec![Nsd.into(), Knot.into()]),
        zone("second.dktest", vec![Nsd.into(), silent()]),
        zone("first.dktest", vec![silent(), Nsd.into()]),
        zone("both.dktest", vec![silent(), silent()]),
        zone("four.dktest", vec![silent(), silent(), silent(), silent(), Nsd.into()]),
        // Zones above others, which are on the servers of the healthy domain.
        zone("half.dktest", vec![silent(), Nsd.into()]).records(BELOW),
        zone("below.half.dktest", vec![Nsd.into(), Knot.into()]),
        zone("most.dktest", vec![silent(), silent(), silent(), Nsd.into()]).records(BELOW),
        zone("below.most.dktest", vec![Nsd.into(), silent()]),
        zone("dead.dktest", vec![silent(), silent()]).records(BELOW),
        zone("below.dead.dktest", vec![Nsd.into(), Knot.into()]),
    ]
}

/// What the zones above delegate.
const BELOW: &str = "below NS ns1.healthy.dktest.\nbelow NS ns2.healthy.dktest.\n";

fn identities() -> String {
    zones()
        .iter()
        .map(|zone| format!("[[identity]]\ndomain = \"{}\"\ntokens = {TOKENS:?}\n", zone.name))
        .collect()
}

/// The tree, and the file of its identities.
struct Bench {
    tree: Tree,
    identities: PathBuf,
}

/// A program that looks at the healthy domain.
struct Program {
    name: &'static str,
    version: String,
    path: PathBuf,
    arguments: Vec<String>,
    /// What only a look that succeeded says.
    proof: &'static str,
    samples: Vec<Sample>,
}

/// What one run has used.
#[derive(Clone, Copy)]
struct Sample {
    wall: Duration,
    cpu: Duration,
    /// In octets. No lower than what this program itself has used, which the child starts from.
    peak: u64,
}

/// A look at which a place stays silent.
struct Silence {
    what: &'static str,
    domain: &'static str,
    resolvers: Vec<SocketAddr>,
    cache: Cache,
    /// What the verdict must be.
    verdict: &'static str,
    /// Whether the only resolver may be held up by the silent server itself, so that nothing is known then.
    may_hold_up: bool,
}

/// What the resolver knows when a look begins.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Cache {
    /// Nothing, which servers are silent included.
    Cold,
    /// The records.
    Warm,
}

impl Bench {
    /// Runs all programs in turn; who begins differs by round, since one may warm the caches for the next.
    fn compare(&self) -> BenchResult {
        let mut programs = self.programs()?;
        for program in &mut programs {
            // Once unmeasured, for the files to be in memory.
            self.run(&program.path, &program.arguments, program.proof)?;
        }
        for round in 0..ROUNDS {
            let count = programs.len();
            for turn in 0..count {
                let program = &mut programs[(round + turn) % count];
                program.samples.push(self.run(&program.path, &program.arguments, program.proof)?);
            }
        }
        println!("## One healthy domain\n\n{ROUNDS} rounds, all programs in turn. Median (least – most).\n");
        println!("| program | wall time, ms | CPU time, ms | peak memory, MiB |\n| --- | --- | --- | --- |");
        for program in &programs {
            println!(
                "| {} {} | {} | {} | {} |",
                program.name,
                program.version,
                program.spread(|sample| milliseconds(sample.wall)),
                program.spread(|sample| milliseconds(sample.cpu)),
                program.spread(|sample| mebibytes(sample.peak)),
            );
        }
        println!("\n| target | measured | met |\n| --- | --- | --- |");
        let (own, others) = programs.split_first().ok_or("no program")?;
        let wall = |program: &Program| program.median(|sample| milliseconds(sample.wall));
        for (name, share) in SHARES {
            let Some(other) = others.iter().find(|program| program.name == name) else { continue };
            let ratio = wall(other) / wall(own);
            let cpu = other.median(|sample| milliseconds(sample.cpu))
                / own.median(|sample| milliseconds(sample.cpu)).max(0.1);
            println!(
                "| wall time at most 1/{share} of {name}'s | 1/{ratio:.1} (CPU time 1/{cpu:.1}) | {} |",
                yes_or_no(ratio >= share)
            );
        }
        let peak = own.samples.iter().map(|sample| sample.peak).max().unwrap_or_default();
        let limit = mebibytes(MOST_MEMORY);
        println!(
            "| peak memory under {limit:.0} MiB | {:.1} MiB | {} |\n",
            mebibytes(peak),
            yes_or_no(peak < MOST_MEMORY)
        );
        Ok(())
    }

    /// dkimguard first, then the others that are installed. Those that aren't are named.
    fn programs(&self) -> BenchResult<Vec<Program>> {
        let own = Program {
            name: "dkimguard",
            version: version(env!("CARGO_BIN_EXE_dkimguard"), |line| line.split(' ').nth(1))?,
            path: env!("CARGO_BIN_EXE_dkimguard").into(),
            arguments: self.look_at(DOMAIN, &[self.tree.resolver()]),
            proof: r#""verdict":"healthy""#,
            samples: Vec::new(),
        };
        let mut programs = vec![own];
        let mut add = |name, path: PathBuf, number: fn(&str) -> Option<&str>, arguments, proof| {
            let installed = version(&path, number);
            match installed {
                Ok(version) => {
                    programs.push(Program { name, version, path, arguments, proof, samples: Vec::new() });
                }
                Err(error) => println!("**{name} is left out: {error}; `benches/setup` installs it.**\n"),
            }
        };
        let resolver = self.tree.resolver().ip().to_string();
        let hints = self.tree.directory().join(&resolver).join("root.hints").display().to_string();
        add(
            "zonemaster-cli",
            "zonemaster-cli".into(),
            |line| Some(line.strip_prefix("CLI version:")?.trim()),
            vec!["--no-progress".to_owned(), "--hints".to_owned(), hints, DOMAIN.to_owned()],
            "ns1.healthy.dktest",
        );
        add(
            "checkdmarc",
            target().join("checkdmarc/bin/checkdmarc"),
            |line| Some(line.trim()),
            vec![DOMAIN.to_owned(), "--nameserver".to_owned(), resolver],
            "ns1.healthy.dktest",
        );
        Ok(programs)
    }

    /// Takes looks with silent places, at short limits and at the defaults.
    fn measure_silence(&self) -> BenchResult {
        println!("## Places that stay silent\n\n{SILENT_ROUNDS} looks each. Median (least – most).\n");
        println!("| silent | limits | wall time, ms | `timeout × attempts` + 0.5 s, ms | met | verdict |");
        println!("| --- | --- | --- | --- | --- | --- |");
        let short = ["--timeout", "500ms", "--attempts", "2"];
        let limits: [(&str, &[&str], Duration); 2] = [
            ("500 ms × 2", &short, Duration::from_secs(1) + GRACE),
            ("2 s × 2, the defaults", &[], Duration::from_secs(4) + GRACE),
        ];
        for silence in self.silences() {
            for (shown, options, bound) in limits {
                let mut arguments = self.look_at(silence.domain, &silence.resolvers);
                arguments.extend(options.iter().map(ToString::to_string));
                let mut walls = Vec::new();
                let mut held_up = 0;
                for _ in 0..SILENT_ROUNDS {
                    std::thread::sleep(FORGETTING);
                    if silence.cache == Cache::Warm {
                        self.warm(silence.domain)?;
                    }
                    let path = env!("CARGO_BIN_EXE_dkimguard");
                    walls.push(milliseconds(self.run(path, &arguments, "\"verdict\":\"")?.wall));
                    if self.has_said(silence.verdict)? {
                        continue;
                    }
                    if !(silence.may_hold_up && self.has_said("unknown")?) {
                        return Err(format!("{arguments:?} doesn't come to {}", silence.verdict).into());
                    }
                    held_up += 1;
                }
                let verdict = match held_up {
                    0 => silence.verdict.to_owned(),
                    _ => format!("{}; unknown {held_up} times, the resolver held up", silence.verdict),
                };
                let spread = Spread::of(walls);
                println!(
                    "| {} | {shown} | {spread:.0} | {:.0} | {} | {} |",
                    silence.what,
                    milliseconds(bound),
                    yes_or_no(spread.most < milliseconds(bound)),
                    verdict,
                );
            }
        }
        Ok(())
    }

    fn silences(&self) -> Vec<Silence> {
        let resolver = self.tree.resolver();
        // It doesn't matter for what an address is silent.
        let silent = self.tree.server_address("second.dktest", 1);
        let look = |what, domain, verdict| Silence {
            what,
            domain,
            resolvers: vec![resolver],
            cache: Cache::Cold,
            verdict,
            may_hold_up: false,
        };
        vec![
            Silence {
                cache: Cache::Warm,
                ..look("the second of two servers, warm resolver", "second.dktest", "degraded")
            },
            look("the second of two servers, cold resolver", "second.dktest", "degraded"),
            look("the first of two servers, cold resolver", "first.dktest", "degraded"),
            look("both servers", "both.dktest", "failing"),
            look("the first four of five servers", "four.dktest", "degraded"),
            Silence {
                may_hold_up: true,
                ..look("the first of the parent's two servers", "below.half.dktest", "healthy")
            },
            look(
                "the first three of the parent's four servers, and the second of the zone's",
                "below.most.dktest",
                "degraded",
            ),
            look("both of the parent's servers", "below.dead.dktest", "failing"),
            Silence {
                resolvers: vec![silent, resolver],
                ..look("the first of two resolvers", DOMAIN, "healthy")
            },
            Silence { resolvers: vec![silent], ..look("the only resolver", DOMAIN, "unknown") },
        ]
    }

    /// The arguments of one full look.
    fn look_at(&self, domain: &str, resolvers: &[SocketAddr]) -> Vec<String> {
        let mut arguments = vec!["check".to_owned(), domain.to_owned()];
        arguments.push(format!("--source=file:{}", self.identities.display()));
        arguments.extend(resolvers.iter().map(|resolver| format!("--resolver={resolver}")));
        arguments.extend(["--depth=full", "--format=json"].map(str::to_owned));
        arguments
    }

    /// Runs a program to its end.
    ///
    /// # Errors
    /// The program cannot be run, or says nothing of what it should.
    fn run(&self, path: impl AsRef<OsStr>, arguments: &[String], proof: &str) -> BenchResult<Sample> {
        let said = self.said();
        let file = File::create(&said)?;
        let mut command = Command::new(path);
        command.args(arguments).stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let started = Instant::now();
        let used = command.spawn()?.wait4()?;
        let wall = started.elapsed();
        let text = String::from_utf8_lossy(&fs::read(&said)?).into_owned();
        if !text.contains(proof) {
            return Err(format!("{command:?}, {}, doesn't say {proof}: {text}", used.status).into());
        }
        let cpu = used.rusage.utime + used.rusage.stime;
        Ok(Sample { wall, cpu, peak: used.rusage.maxrss })
    }

    /// Where the last program's output is.
    fn said(&self) -> PathBuf {
        self.tree.directory().join("said")
    }

    /// Whether the last look came to this verdict.
    fn has_said(&self, verdict: &str) -> BenchResult<bool> {
        Ok(fs::read_to_string(self.said())?.contains(&format!("\"verdict\":\"{verdict}\"")))
    }

    /// Asks the resolver for the records until it answers, so that it has them.
    fn warm(&self, domain: &str) -> BenchResult {
        let IpAddr::V4(resolver) = self.tree.resolver().ip() else { return Err("no IPv4".into()) };
        for token in TOKENS {
            for kind in ["CNAME", "TXT"] {
                let name = format!("{token}._domainkey.{domain}");
                let arguments = [&format!("@{resolver}"), "+time=2", "+tries=15", &name, kind];
                let status = Command::new("dig").args(arguments).stdout(Stdio::null()).status()?;
                if !status.success() {
                    return Err(format!("the resolver doesn't answer {name} {kind}").into());
                }
            }
        }
        Ok(())
    }
}

impl Program {
    fn spread(&self, of: impl Fn(&Sample) -> f64) -> String {
        format!("{:.1}", Spread::of(self.samples.iter().map(of).collect()))
    }

    fn median(&self, of: impl Fn(&Sample) -> f64) -> f64 {
        Spread::of(self.samples.iter().map(of).collect()).median
    }
}

/// The middle and the ends of several values.
struct Spread {
    least: f64,
    median: f64,
    most: f64,
}

impl Spread {
    fn of(mut values: Vec<f64>) -> Self {
        values.sort_by(f64::total_cmp);
        let (low, high) = (values[(values.len() - 1) / 2], values[values.len() / 2]);
        Self { least: values[0], median: f64::midpoint(low, high), most: values[values.len() - 1] }
    }
}

impl std::fmt::Display for Spread {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let digits = formatter.precision().unwrap_or(1);
        let Self { least, median, most } = self;
        write!(formatter, "{median:.digits$} ({least:.digits$} – {most:.digits$})")
    }
}

/// The version of a program: what `number` finds in the first line in which it finds anything.
fn version(path: impl AsRef<OsStr> + Copy, number: impl Fn(&str) -> Option<&str>) -> BenchResult<String> {
    let shown = path.as_ref().display();
    let output = Command::new(path).arg("--version").output().map_err(|error| format!("{shown}: {error}"))?;
    let text = String::from_utf8(output.stdout)?;
    let found = text.lines().find_map(number).ok_or_else(|| format!("{shown} shows no version"))?;
    Ok(found.trim_start_matches('v').to_owned())
}

/// Where `benches/setup` puts what it makes.
fn target() -> PathBuf {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    std::env::var_os("CARGO_TARGET_DIR").map_or_else(|| workspace.join("target"), PathBuf::from)
}

fn print_machine() -> BenchResult {
    let cpus = fs::read_to_string("/proc/cpuinfo")?;
    let model = cpus
        .lines()
        .find_map(|line| line.strip_prefix("model name")?.split_once(':'))
        .map_or("an unnamed CPU", |(_, model)| model.trim());
    let cores = std::thread::available_parallelism()?;
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease")?;
    let load = fs::read_to_string("/proc/loadavg")?;
    println!("{cores} cores of {model}, Linux {}, load {}.\n", kernel.trim(), load.trim());
    Ok(())
}

fn milliseconds(duration: Duration) -> f64 {
    duration.as_secs_f64() * 1000.0
}

#[allow(clippy::cast_precision_loss)] // Less than a byte in 8 PiB.
fn mebibytes(octets: u64) -> f64 {
    octets as f64 / f64::from(1 << 20)
}

fn yes_or_no(is_met: bool) -> &'static str {
    if is_met { "yes" } else { "**no**" }
}
