//! One look at one domain: what Amazon SES asks for, against what every name server and several resolvers answer.
//!
//! `cargo run -p dkimguard-examples --example one_shot -- example.com`, with AWS credentials and a region in the
//! environment or the AWS profile.

use std::error::Error;
use std::sync::Arc;

use dkimguard_aws::Aws;
use dkimguard_core::{Clock, Depth, Dns, IdentitySource, Look, Name, Places, SystemClock};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let domain: Name = std::env::args().nth(1).ok_or("name a domain: one_shot example.com")?.parse()?;

    let ses = Aws::from_env().await.ses();
    let look = Look::new(Arc::new(Dns::default()), Places::system()?);

    let identities = ses.find(&domain).await;
    if identities.is_empty() {
        println!("Amazon SES does not know {domain}");
    }
    // One for each account and region that holds the domain; an error for each that couldn't tell.
    for identity in identities {
        let now = SystemClock.now();
        // Makes the random name beside the records, so it has to be another one for each look.
        let seed = now.as_microsecond().unsigned_abs();
        match identity {
            Ok(identity) => {
                let report = look.take(identity, Depth::Full, now, seed).await;
                println!("{report}");
            }
            Err(error) => {
                let hint = dkimguard_aws::hint(&error).unwrap_or_default();
                println!("nothing is known about {domain}: {error}\n{hint}");
            }
        }
    }
    Ok(())
}
