//! [`ask`]: asks somebody at the terminal.

use std::io::{self, IsTerminal as _, Write as _};
use std::thread;

use tokio::sync::oneshot;

/// What somebody at the terminal says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Yes,
    No,
    /// Nobody is at a terminal.
    Nobody,
}

/// Asks on standard error, and reads a line of standard input. Whatever isn't a yes is a no.
pub(super) async fn ask(question: &str) -> Answer {
    if !io::stdin().is_terminal() || !io::stderr().is_terminal() {
        return Answer::Nobody;
    }
    // A terminal that is gone reads as a no.
    let _ = write!(io::stderr(), "\n{question} [y/N] ");
    let (tell, told) = oneshot::channel();
    // A thread of its own, which ends with the process: whoever interrupts isn't held up by a line that never comes.
    thread::spawn(move || {
        let mut line = String::new();
        let is_read = io::stdin().read_line(&mut line).is_ok();
        let _ = tell.send(is_read && is_yes(&line));
    });
    if told.await.unwrap_or(false) { Answer::Yes } else { Answer::No }
}

fn is_yes(line: &str) -> bool {
    matches!(line.trim().to_ascii_lowercase().as_str(), "y" | "yes")
}

#[cfg(test)]
mod tests {
    use super::is_yes;

    #[test]
    fn only_a_yes_is_a_yes() {
        for (line, is_meant) in
            [("y\n", true), (" YES\r\n", true), ("", false), ("\n", false), ("yn\n", false)]
        {
            assert_eq!(is_yes(line), is_meant, "{line:?}");
        }
    }
}
