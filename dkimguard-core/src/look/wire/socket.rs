//! Opening sockets, and what the system's errors mean for the question.

use std::io::{self, ErrorKind};
use std::time::Duration;

use tokio::time::sleep;

use crate::error::LookupError;

/// How long to wait before a socket is asked for again where there was none.
const SHORTAGE_PAUSE: Duration = Duration::from_millis(10);

/// Opens a socket; while this machine has none to give, leaves the reason in `obstacle` and tries again, without
/// end: the caller sets the time limit.
pub(super) async fn open<S, Opening: Future<Output = io::Result<S>>>(
    mut try_open: impl FnMut() -> Opening,
    obstacle: &mut Option<LookupError>,
) -> Result<S, LookupError> {
    loop {
        match try_open().await {
            Ok(socket) => return Ok(socket),
            Err(error) if is_shortage(&error) => *obstacle = Some(LookupError::Local(error.to_string())),
            Err(error) => return Err(not_sent(&error)),
        }
        sleep(SHORTAGE_PAUSE).await;
    }
}

/// What an error means that came after the question was sent.
pub(super) fn not_received(error: &io::Error) -> LookupError {
    match error.kind() {
        ErrorKind::ConnectionRefused => LookupError::PortClosed,
        ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable | ErrorKind::TimedOut => {
            LookupError::Unreachable
        }
        _ => LookupError::Local(error.to_string()),
    }
}

/// What an error means that came before the question was sent: an unreachable network is this machine's routing.
fn not_sent(error: &io::Error) -> LookupError {
    match (error.kind(), error.raw_os_error()) {
        (ErrorKind::NetworkUnreachable | ErrorKind::AddrNotAvailable, _)
        // A family that is switched off, a route or a firewall's rule that prohibits, a black hole.
        | (_, Some(libc::EAFNOSUPPORT | libc::EACCES | libc::EINVAL)) => LookupError::NoRoute,
        _ => not_received(error),
    }
}

/// Whether descriptors, memory or ports have run out, which passes.
fn is_shortage(error: &io::Error) -> bool {
    error.kind() == ErrorKind::AddrInUse
        || matches!(error.raw_os_error(), Some(libc::EMFILE | libc::ENFILE | libc::ENOBUFS | libc::ENOMEM))
}

#[cfg(test)]
mod tests {
    use tokio::time::timeout;

    use super::*;

    #[test]
    fn a_system_error_means_something_else_before_and_after_the_question_is_sent() {
        let local = |number| LookupError::Local(io::Error::from_raw_os_error(number).to_string());
        for (number, before, after) in [
            (libc::ECONNREFUSED, LookupError::PortClosed, LookupError::PortClosed),
            (libc::EHOSTUNREACH, LookupError::Unreachable, LookupError::Unreachable),
            (libc::ENETUNREACH, LookupError::NoRoute, LookupError::Unreachable),
            (libc::EADDRNOTAVAIL, LookupError::NoRoute, local(libc::EADDRNOTAVAIL)),
            (libc::EAFNOSUPPORT, LookupError::NoRoute, local(libc::EAFNOSUPPORT)),
            (libc::EACCES, LookupError::NoRoute, local(libc::EACCES)),
            (libc::ETIMEDOUT, LookupError::Unreachable, LookupError::Unreachable),
            (libc::EPERM, local(libc::EPERM), local(libc::EPERM)),
            (libc::EMFILE, local(libc::EMFILE), local(libc::EMFILE)),
        ] {
            let error = io::Error::from_raw_os_error(number);
            assert_eq!(not_sent(&error), before, "{error}");
            assert_eq!(not_received(&error), after, "{error}");
        }
    }

    #[tokio::test]
    async fn a_shortage_is_waited_for() {
        let mut shortages = vec![libc::ENOMEM, libc::ENOBUFS, libc::ENFILE, libc::EMFILE, libc::EADDRINUSE];
        let mut obstacle = None;
        let try_open = || {
            let outcome =
                shortages.pop().map_or(Ok("a socket"), |number| Err(io::Error::from_raw_os_error(number)));
            async { outcome }
        };
        assert_eq!(open(try_open, &mut obstacle).await, Ok("a socket"));
        assert!(matches!(obstacle, Some(LookupError::Local(_))), "{obstacle:?}");
    }

    #[tokio::test]
    async fn a_shortage_that_does_not_pass_is_told() {
        let mut obstacle = None;
        let try_open = || async { Err::<(), _>(io::Error::from_raw_os_error(libc::EMFILE)) };
        assert!(timeout(3 * SHORTAGE_PAUSE, open(try_open, &mut obstacle)).await.is_err());
        assert!(matches!(obstacle, Some(LookupError::Local(_))), "{obstacle:?}");
    }
}
