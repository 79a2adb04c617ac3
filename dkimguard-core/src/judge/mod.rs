//! Judging: pure functions from what was seen to what it means. No I/O in this folder.

mod advice;
mod catalogue;
mod diagnosis;
mod finding;
mod gap;
mod json;
mod report;
mod text;
mod verdict;
mod witnesses;

pub use advice::{Advice, AdviceCode};
pub use catalogue::{Entry, Explanation, Impact};
pub use diagnosis::{Cause, Certainty, Diagnosis};
pub(crate) use finding::fits;
pub use finding::{Finding, State};
pub use gap::{Gap, Port};
pub use report::{Deadline, DeadlineBasis, Depth, PROMISED_HOURS, RecordReport, Report, WORKING_HOURS};
pub use text::{Paint, Text};
pub use verdict::{Exposure, Verdict};
pub use witnesses::{PastState, Witnesses};
