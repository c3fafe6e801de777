//! Signal handling, only in the command: the library leaves signals to its host
//! program.

use std::sync::mpsc;

use coord_core::Error;
use signal_hook::consts::{SIGHUP, SIGINT, SIGTERM, SIGUSR1, SIGUSR2, SIGXFSZ};
use signal_hook::iterator::Signals;

/// Signals that would end the process by default although nobody wants that: a
/// closed terminal, log rotation, a file that reached its size limit (the write
/// fails, and that error is reported). They are handled instead of ignored, so
/// that check programs do not inherit that. SIGPIPE is ignored by Rust's
/// runtime, which resets it for programs that it starts.
const HARMLESS: [i32; 4] = [SIGHUP, SIGUSR1, SIGUSR2, SIGXFSZ];

/// Installs the signal handlers; SIGTERM and SIGINT are sent to the receiver.
///
/// # Errors
/// `Internal` if the handlers cannot be installed.
pub(crate) fn handle() -> Result<mpsc::Receiver<i32>, Error> {
    let failed = |error| Error::internal("cannot install signal handlers").caused_by(error);
    let mut signals =
        Signals::new([SIGTERM, SIGINT].into_iter().chain(HARMLESS)).map_err(failed)?;
    let (sender, receiver) = mpsc::sync_channel(1);
    let answering = move || {
        for signal in signals.forever() {
            match signal {
                SIGTERM | SIGINT => {
                    // Full means that the process is already stopping.
                    let _ = sender.try_send(signal);
                }
                SIGHUP => tracing::info!(
                    "SIGHUP ignored: certificates and the peer secret are reloaded automatically \
                     when their files change; other settings need a restart"
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
