//! [`Finding`]: what one vantage point shows of one expected record.

use std::fmt;

use serde::Serialize;

use crate::look::Observation;

/// How one expected record stands at one vantage point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum State {
    /// It is there and says what it must.
    Holds,
    /// Something else is there.
    Differs,
    /// It is not there, and the answer proves it.
    Absent,
    /// It could not be seen; nothing is known.
    Unseen,
}

impl State {
    /// The state in the JSON: `holds`, `differs`, `absent`, `unseen`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Holds => "holds",
            Self::Differs => "differs",
            Self::Absent => "absent",
            Self::Unseen => "unseen",
        }
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What one vantage point shows of one expected record.
#[derive(Clone, Debug, PartialEq)]
pub struct Finding {
    /// How the record stands there.
    pub state: State,
    /// The values found there, as text; empty where none was.
    pub values: Vec<String>,
    /// What was asked and what came back.
    pub observation: Observation,
}
