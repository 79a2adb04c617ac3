//! `explain`: the catalogue's text on codes, or the list of them.

use std::fmt::Write as _;
use std::io;

use dkimguard_core::judge::Entry;

use crate::failure::{Code, Failure};
use crate::render::Renderer;

/// What the column of marks in the list means.
const LEGEND: &str = "\
Alone it comes to: F failing, D degraded, DF degraded and failing if every
server is affected, ? unknown; i listed and a advice change no verdict.";

/// Explains these codes, in this order; lists all of them if there are none.
///
/// # Errors
/// A code that isn't in the catalogue, before anything is printed; standard output can't be written.
pub(crate) fn run(codes: &[String], renderer: &mut Renderer) -> Result<(), Failure> {
    let entries = codes.iter().map(|code| find(code)).collect::<Result<Vec<_>, _>>()?;
    let printed = if codes.is_empty() { list(renderer) } else { print(entries, renderer) };
    match printed {
        // Whoever closed the pipe has read enough.
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => Ok(()),
        printed => printed.map_err(|error| Failure::of_output(&error)),
    }
}

fn find(code: &str) -> Result<Entry, Failure> {
    Entry::find(&code.to_ascii_lowercase()).ok_or_else(|| {
        Failure::new(Code::NotInCatalogue, format!("'{code}' is no code of the catalogue"))
            .with_hint("'dkimguard explain --list' lists the codes")
    })
}

fn list(renderer: &mut Renderer) -> io::Result<()> {
    let width = Entry::all().map(|entry| entry.code.len()).max().unwrap_or(0);
    let mut lines = String::new();
    for Entry { code, title, impact, .. } in Entry::all() {
        // A string takes whatever is written to it.
        let _ = writeln!(lines, "{code:width$}  {:2}  {title}", impact.mark());
    }
    if !renderer.is_for_people() {
        return print(Entry::all(), renderer);
    }
    renderer.tell(&lines)?;
    renderer.tell(LEGEND)
}

fn print(entries: impl IntoIterator<Item = Entry>, renderer: &mut Renderer) -> io::Result<()> {
    entries.into_iter().try_for_each(|entry| renderer.entry(&entry))
}
