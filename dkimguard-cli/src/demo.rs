//! `dkimguard demo`: the incident this tool exists for, start to finish. Not offered before there are name servers
//! inside the process to play it on.
#![expect(dead_code, reason = "the command is offered once it has name servers to play on")]

use dkimguard_core::judge::Verdict;

/// One scene: what happens to the name servers, and what a check must say then.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Scene {
    /// What happens, told to whoever watches.
    pub(crate) title: &'static str,
    /// What is done to the servers before the check.
    pub(crate) change: Change,
    /// What the check must come to; anything else ends the demo with an error.
    pub(crate) verdict: Verdict,
}

/// What is done to the two name servers of the domain.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Change {
    /// Both serve the zone as it must be.
    Heal,
    /// The second refuses the zone.
    RefuseOnSecond,
    /// Both lose one of the three records.
    DropRecord,
}

/// The scenes, in their order.
pub(crate) const SCENES: [Scene; 4] = [
    Scene {
        title: "example.com is set up: three records, two name servers",
        change: Change::Heal,
        verdict: Verdict::Healthy,
    },
    Scene {
        title: "the second name server stops serving the zone; half of all look-ups meet it",
        change: Change::RefuseOnSecond,
        verdict: Verdict::Degraded,
    },
    Scene {
        title: "one of the three records is lost; Amazon SES stops signing",
        change: Change::DropRecord,
        verdict: Verdict::Failing,
    },
    Scene { title: "both are mended", change: Change::Heal, verdict: Verdict::Healthy },
];
