//! [`Diagnosis`]: what is wrong, how sure that is, and what mends it.

use jiff::Timestamp;
use serde::Serialize;

use super::Verdict;
use crate::name::Name;

/// One thing that is wrong.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Diagnosis {
    /// Which row of the catalogue.
    pub code: &'static str,
    /// How sure it is.
    pub certainty: Certainty,
    /// What it comes to by itself; [`Verdict::Healthy`] for one that is only listed.
    pub impact: Verdict,
    /// The cause in a few words.
    pub title: &'static str,
    /// What is wrong here, with names and numbers.
    pub detail: String,
    /// What to do about it here.
    pub remedy: String,
    /// The records that it affects.
    pub records: Vec<Name>,
    /// What was seen, a line each: where, and what came back.
    pub evidence: Vec<String>,
    /// Who brought it about, where the change history names them.
    pub changed_by: Option<Change>,
}

/// How sure a diagnosis is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Certainty {
    /// It explains what was seen; something else might too.
    Likely,
    /// Nothing else explains what was seen.
    Certain,
}

/// A change that explains a diagnosis.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Change {
    /// When.
    pub at: Timestamp,
    /// Who.
    pub actor: String,
    /// Which call.
    pub action: String,
    /// With which tool.
    pub tool: Option<String>,
    /// Which history names it.
    pub source: String,
    /// The event there.
    pub event_id: String,
}
