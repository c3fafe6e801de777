//! Standard error behind a bounded queue and a thread of its own.
//!
//! Logging must never block: a pipe without a reader, or a terminal stopped
//! with Ctrl-S, would otherwise block the member's threads one after the other.
//! Lines that do not fit are dropped and counted, and the count is written once
//! there is space again.

use std::collections::VecDeque;
use std::io::{self, Write};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use tracing_subscriber::fmt::MakeWriter;

/// What may wait to be written. Bytes.
const WAITING_BYTES_MAX: usize = 1 << 20;
/// What a waiting line costs beside its text. Bytes.
const LINE_OVERHEAD_BYTES: usize = 64;
/// How long a descriptor that somebody made non-blocking is left alone.
const RETRY_PAUSE: Duration = Duration::from_millis(20);
/// How long the end of the program waits for the last lines.
const FLUSH_TIMEOUT: Duration = Duration::from_secs(2);

/// Takes lines without ever blocking. Clones are the same outlet.
#[derive(Clone)]
pub(crate) struct Outlet {
    shared: Arc<Shared>,
}

#[derive(Default)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    waiting: VecDeque<Item>,
    bytes: usize,
    /// Whether an item that was taken is not written yet.
    is_writing: bool,
}

enum Item {
    Line(Vec<u8>),
    /// So many lines would have stood here.
    Dropped(u64),
}

impl State {
    fn push(&mut self, line: &[u8]) {
        let cost = line.len() + LINE_OVERHEAD_BYTES;
        if self.bytes + cost <= WAITING_BYTES_MAX {
            self.bytes += cost;
            self.waiting.push_back(Item::Line(line.to_vec()));
        } else if let Some(Item::Dropped(count)) = self.waiting.back_mut() {
            *count += 1;
        } else {
            self.waiting.push_back(Item::Dropped(1));
        }
    }

    fn pop(&mut self) -> Option<Vec<u8>> {
        match self.waiting.pop_front()? {
            Item::Line(line) => {
                self.bytes -= line.len() + LINE_OVERHEAD_BYTES;
                Some(line)
            }
            Item::Dropped(count) => Some(
                format!("coord: {count} log lines dropped here: standard error was full\n").into(),
            ),
        }
    }
}

impl Outlet {
    /// Starts the thread that writes to `sink`. It ends with the process.
    ///
    /// # Errors
    /// If there is no thread to be had.
    pub(crate) fn start(sink: impl Write + Send + 'static) -> io::Result<Self> {
        let outlet = Self { shared: Arc::default() };
        let shared = Arc::clone(&outlet.shared);
        std::thread::Builder::new()
            .name("coord-stderr".to_owned())
            .spawn(move || shared.write_for_ever(sink))?;
        Ok(outlet)
    }

    /// Queues a whole line, its line break included, or drops and counts it.
    pub(crate) fn line(&self, line: &[u8]) {
        self.shared.lock().push(line);
        self.shared.changed.notify_all();
    }

    /// Waits until everything queued was written, but not longer than `within`.
    pub(crate) fn flush(&self, within: Duration) -> bool {
        let started = Instant::now();
        let mut state = self.shared.lock();
        while state.is_writing || !state.waiting.is_empty() {
            let Some(left) = within.checked_sub(started.elapsed()) else { return false };
            let waited = self.shared.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
        true
    }
}

impl Shared {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write_for_ever(&self, mut sink: impl Write) {
        loop {
            let mut state = self.lock();
            state.is_writing = false;
            self.changed.notify_all();
            let line = loop {
                match state.pop() {
                    Some(line) => break line,
                    None => {
                        state = self.changed.wait(state).unwrap_or_else(PoisonError::into_inner);
                    }
                }
            };
            state.is_writing = true;
            drop(state);
            write_whole(&mut sink, &line);
        }
    }
}

/// Writes what can be written. A sink that is closed loses the line, and the
/// program goes on.
fn write_whole(sink: &mut impl Write, mut line: &[u8]) {
    while !line.is_empty() {
        match sink.write(line) {
            Ok(0) => return,
            Ok(written) => line = &line[written..],
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                std::thread::sleep(RETRY_PAUSE);
            }
            Err(_) => return,
        }
    }
}

/// One event is written with one call.
impl Write for Outlet {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.line(line);
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl<'a> MakeWriter<'a> for Outlet {
    type Writer = Self;

    fn make_writer(&'a self) -> Self {
        self.clone()
    }
}

static STANDARD_ERROR: OnceLock<Option<Outlet>> = OnceLock::new();

/// Standard error; `None` if the process cannot even start a thread.
pub(crate) fn standard_error() -> Option<&'static Outlet> {
    STANDARD_ERROR.get_or_init(|| Outlet::start(io::stderr()).ok()).as_ref()
}

/// One line on standard error.
pub(crate) fn complain(line: &str) {
    match standard_error() {
        Some(outlet) => outlet.line(format!("{line}\n").as_bytes()),
        // Nothing is left to do if even that is closed.
        None => drop(writeln!(io::stderr(), "{line}")),
    }
}

/// Gives the last lines their time when the program ends, however it ends.
pub(crate) struct FlushAtEnd;

impl Drop for FlushAtEnd {
    fn drop(&mut self) {
        if let Some(outlet) = STANDARD_ERROR.get().and_then(Option::as_ref) {
            outlet.flush(FLUSH_TIMEOUT);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::{Receiver, SyncSender, sync_channel};

    use super::*;

    const SOON: Duration = Duration::from_secs(30);

    /// Hands over what is written, one write after the other, and waits until
    /// it is taken: as a pipe does whose reader is slow.
    struct Rendezvous(SyncSender<Vec<u8>>);

    impl Write for Rendezvous {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            let closed = |_| io::Error::from(io::ErrorKind::BrokenPipe);
            self.0.send(bytes.to_vec()).map_err(closed)?;
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    fn outlet() -> (Outlet, Receiver<Vec<u8>>) {
        let (sender, written) = sync_channel(0);
        (Outlet::start(Rendezvous(sender)).unwrap(), written)
    }

    #[test]
    fn lines_come_out_in_order() {
        let (outlet, written) = outlet();
        for number in 0..100 {
            outlet.line(format!("{number}\n").as_bytes());
        }
        for number in 0..100 {
            assert_eq!(written.recv().unwrap(), format!("{number}\n").as_bytes());
        }
        assert!(outlet.flush(SOON));
    }

    #[test]
    fn a_reader_that_stopped_holds_nobody_up_and_is_told_what_it_missed() {
        let (outlet, written) = outlet();
        let line = [b'x'; 1000];
        let count = 10 * WAITING_BYTES_MAX / line.len();
        for _ in 0..count {
            outlet.line(&line);
        }
        assert!(outlet.shared.lock().bytes <= WAITING_BYTES_MAX);
        assert!(!outlet.flush(Duration::ZERO));
        let (mut lines, mut dropped) = (0, 0);
        while lines + dropped < count {
            let next = written.recv_timeout(SOON).unwrap();
            match next == line {
                true => lines += 1,
                // There is one for each gap.
                false => {
                    let note = String::from_utf8(next).unwrap();
                    let told = note.strip_prefix("coord: ").unwrap().split(' ').next().unwrap();
                    dropped += told.parse::<usize>().unwrap();
                }
            }
        }
        assert!(lines < count / 5, "{lines}");
        outlet.line(b"and on\n");
        assert_eq!(written.recv_timeout(SOON).unwrap(), b"and on\n");
    }

    #[test]
    fn a_closed_reader_loses_lines_and_nothing_else() {
        let (outlet, written) = outlet();
        drop(written);
        for _ in 0..3 {
            outlet.line(b"nobody reads this\n");
            assert!(outlet.flush(SOON));
        }
    }
}
