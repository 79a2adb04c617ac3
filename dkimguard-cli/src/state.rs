//! [`State`]: the file in which is remembered what was seen, told and done.

use std::fs;
use std::path::PathBuf;

use dkimguard_core::guard::Sqlite;

use crate::failure::{Code, Failure};
use crate::settings::Layers;

/// What the state file is called where only its directory is known.
const STATE_FILE: &str = "dkimguard.sqlite";

/// The file in which is remembered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct State {
    pub(crate) path: PathBuf,
    /// A directory above it that is made where it is lacking, because nobody chose it.
    pub(crate) above: Option<PathBuf>,
}

impl State {
    /// Where somebody said, or else in the state directory that the service manager or the user has.
    pub(crate) fn settle(flag: Option<&str>, layers: &Layers<'_>) -> Result<Self, Failure> {
        let config = layers.config();
        let chosen = flag.map(str::to_owned).or_else(|| layers.variable("state").map(|(_, path)| path));
        let chosen = chosen
            .map(PathBuf::from)
            .or_else(|| config.state.path.as_deref().map(|path| config.resolve(path)));
        if let Some(path) = chosen {
            return Ok(Self { path, above: None });
        }
        let directory = |name: &str| {
            // A variable that is set to nothing counts as not set; a relative one is not to be heeded (XDG base directories).
            let directories = layers.environment(name).filter(|value| !value.is_empty())?;
            // systemd separates several by colons.
            let first = PathBuf::from(directories.split(':').next()?);
            first.is_absolute().then_some(first)
        };
        if let Some(directory) = directory("STATE_DIRECTORY") {
            return Ok(Self { path: directory.join(STATE_FILE), above: None });
        }
        // A home that isn't there is a service's, and isn't made.
        let home = || directory("HOME").filter(|home| home.is_dir());
        let above = directory("XDG_STATE_HOME").or_else(|| Some(home()?.join(".local/state")));
        let above = above.ok_or_else(|| {
            Failure::new(Code::State, "there is no place for the state file: HOME names no directory")
                .with_hint("name a file with --state")
        })?;
        Ok(Self { path: above.join("dkimguard").join(STATE_FILE), above: Some(above) })
    }

    /// Opens the file, and makes one where there is none.
    ///
    /// # Errors
    /// It can't be used.
    pub(crate) fn open(&self) -> Result<Sqlite, Failure> {
        if let Some(above) = &self.above {
            // Where it fails, opening the file tells.
            let _ = fs::create_dir_all(above);
        }
        Sqlite::open(&self.path).map_err(|error| {
            let hint = error.hint().map(|hint| format!("{hint}; --state names the file"));
            Failure::from_error(Code::State, &error).with_hint_if(hint)
        })
    }

    /// Opens the file where there is one.
    ///
    /// # Errors
    /// There is none, or it can't be used.
    pub(crate) fn open_existing(&self) -> Result<Sqlite, Failure> {
        if self.path.exists() {
            return self.open();
        }
        let message = format!("there is no state file {}", self.path.display());
        Err(Failure::new(Code::State, message).with_hint("--state names the file of a watch or of a repair"))
    }
}
