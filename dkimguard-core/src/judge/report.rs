//! [`Report`]: one look, complete.

use std::fmt;

use jiff::Timestamp;
use serde::{Serialize, Serializer};

use super::{Diagnosis, Exposure, Finding, Gap, Port, Verdict};
use crate::identity::{Expected, Identity, IdentityId, ProviderStatus};

/// One look at one identity, complete. [`fmt::Display`] is the text for people, [`Serialize`] the JSON.
#[derive(Clone, Debug, PartialEq)]
pub struct Report {
    /// What the provider claims.
    pub identity: Identity,
    /// When the look was taken.
    pub at: Timestamp,
    /// How much was looked at.
    pub depth: Depth,
    /// What it comes to.
    pub verdict: Verdict,
    /// The verdict's reason in one line.
    pub summary: String,
    /// How many servers would fail a validator.
    pub exposure: Exposure,
    /// What is wrong, the best explanation first.
    pub causes: Vec<Diagnosis>,
    /// Each expected record, and how it stands at each vantage point.
    pub records: Vec<RecordReport>,
    /// What could not be looked at.
    pub gaps: Vec<Gap>,
}

/// One expected record, and how it stands at each vantage point.
#[derive(Clone, Debug, PartialEq)]
pub struct RecordReport {
    /// What must be there.
    pub expected: Expected,
    /// What each vantage point shows.
    pub findings: Vec<Finding>,
}

/// How much is looked at.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Depth {
    /// Each expected record, one question, through one resolver.
    Quick,
    /// Every vantage point.
    Full,
}

impl Report {
    /// The report on a domain of which no identity could be learnt: unknown, with the gaps that say why.
    pub fn without_identity(id: IdentityId, at: Timestamp, depth: Depth, gaps: Vec<Gap>) -> Self {
        let mut identity = Identity::new(id, Vec::new());
        identity.status = ProviderStatus::Unknown;
        let summary = gaps
            .iter()
            .find(|gap| gap.port == Port::IdentitySource)
            .map_or_else(|| "nothing is known about this domain".to_owned(), |gap| gap.detail.clone());
        Self {
            identity,
            at,
            depth,
            verdict: Verdict::Unknown,
            summary,
            exposure: Exposure::default(),
            causes: Vec::new(),
            records: Vec::new(),
            gaps,
        }
    }

    /// Whether anything but plain health was seen, so that a quick look is worth a full one.
    pub fn is_unexpected(&self) -> bool {
        self.verdict != Verdict::Healthy || !self.causes.is_empty()
    }
}

impl Serialize for Report {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(&self.summary)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.summary)
    }
}
