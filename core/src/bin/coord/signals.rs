//! The signals of the process. Only the command handles any: the library leaves
//! them to its host.

use std::sync::mpsc;

use coord_core::Error;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

/// Signals whose default is the end of the process, and which are no wish for
/// it: a terminal that is closed, a log that was rotated, a file that reached
/// its size limit (the write fails, and whoever wrote says so). They are
/// handled, not ignored, so that the programs of checks do not inherit that.
/// SIGPIPE is ignored by the language's runtime, which undoes that for programs
/// it starts.
const HARMLESS: [i32; 4] = [SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ];

/// Handles signals from now on; hands over those that ask for the end.
///
/// # Errors
/// `Internal` if they cannot be handled.
pub(crate) fn handle() -> Result<mpsc::Receiver<i32>, Error> {
    let failed = |error| Error::internal("signals cannot be caught").caused_by(error);
    let mut signals =
        Signals::new([SIGTERM, SIGINT].into_iter().chain(HARMLESS)).map_err(failed)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let answering = move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM | SIGINT => {
                    // Full means that stopping is under way already.
                    let _ = sender.try_send(signal);
                }
                SIGHUP => tracing::info!(
                    "SIGHUP: certificates and the secret of the members are read again by \
                     themselves when their files change; other settings count from the next start"
                ),
                _ => {}
            }
        }
    };
    std::thread::Builder::new()
        .name("coord-signals".to_owned())
        .spawn(answering)
        .map_err(failed)?;
    Ok(receiver)
}
