//! Judging: pure functions from what was seen to what it means. No I/O in this folder.

mod diagnosis;
mod finding;
mod gap;
mod report;
mod verdict;

pub use diagnosis::{Certainty, Change, Diagnosis};
pub use finding::{Finding, State};
pub use gap::{Gap, Port};
pub use report::{Depth, RecordReport, Report};
pub use verdict::{Exposure, Verdict};
