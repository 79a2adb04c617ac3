//! Ten years of a thousand domains: false alarms, missed incidents, and how long the alerts took; beside them the rule of
//! today, one resolver and one failed look.
//!
//! `cargo bench -p dkimguard-core --features testing --bench simulation -- [SEED [DOMAINS [YEARS [MINUTES]]]]`.

mod play;

use std::error::Error;
use std::time::{Duration, Instant};

use dkimguard_core::guard::Policy;

use play::{Guarded, Lives};

fn main() -> Result<(), Box<dyn Error>> {
    let mut arguments = std::env::args().skip(1).filter(|argument| argument != "--bench");
    let mut next = |default: u64| arguments.next().map_or(Ok(default), |text| text.parse::<u64>());
    let (seed, domains, years) = (next(20_261_124)?, next(1000)?, next(10)?);
    let mut policy = Policy::default();
    let minutes = next(policy.full_interval.as_secs() / 60)?;
    policy.full_interval = Duration::from_secs(60 * minutes);
    println!("seed {seed}, {domains} domains, {years} years");
    for (guarded, title) in [
        (Guarded::Few, "A guard of up to 20 domains: each look is a full one".to_owned()),
        (Guarded::Many, format!("A guard of 1,000 domains: quick looks, full ones every {minutes} minutes")),
    ] {
        let start = Instant::now();
        let score = Lives { seed, domains, years: years.try_into()?, guarded }.play_under(&policy);
        println!("\n{title}\n\n{score}in {:.0} s", start.elapsed().as_secs_f64());
        for example in &score.examples {
            eprintln!("{example}");
        }
    }
    Ok(())
}
