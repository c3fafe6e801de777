//! Limits on the size of a reply and the work for it. A larger one is refused before it is built: a
//! client whose buffer is smaller than a reply drops the connection, retries, and drops it again.

use std::cell::Cell;

use coord_wire::zookeeper::ErrorCode;

/// What a refused reply is answered with: its answer cannot be encoded for the
/// client. ZooKeeper's clients know the code and keep their connection.
const TOO_LARGE: ErrorCode = ErrorCode::MarshallingError;

/// Bytes of a length or a count.
const LENGTH_BYTES: usize = 4;
/// Bytes of a reply's header.
const HEADER_BYTES: usize = 16;

/// Names that one read of many reads looks at, however few of them its reply
/// gets: some tens of milliseconds, in which nothing can be changed.
const WORK_MAX: usize = 1_000_000;

/// What is still to be looked at for one reply.
#[derive(Debug)]
pub(super) struct Work {
    left: Cell<usize>,
}

impl Default for Work {
    fn default() -> Self {
        Self { left: Cell::new(WORK_MAX) }
    }
}

impl Work {
    /// Refuses if enough was looked at. One list may have any length.
    pub(super) fn go_on(&self) -> Result<(), ErrorCode> {
        if self.left.get() > 0 { Ok(()) } else { Err(TOO_LARGE) }
    }

    /// The same items, counted.
    pub(super) fn counted<T>(&self, items: impl Iterator<Item = T>) -> impl Iterator<Item = T> {
        items.inspect(|_| self.left.set(self.left.get().saturating_sub(1)))
    }
}

/// The end of the largest reply.
#[derive(Debug, Clone, Copy)]
pub(super) struct ReplyLimit {
    end: usize,
}

impl ReplyLimit {
    /// For the reply whose header was just appended to `out`.
    pub(super) fn behind_header(out: &[u8], reply_bytes_max: usize) -> Self {
        Self { end: out.len().saturating_sub(HEADER_BYTES).saturating_add(reply_bytes_max) }
    }

    /// The same, with so many bytes kept for what comes last.
    pub(super) fn less(self, bytes: usize) -> Self {
        Self { end: self.end.saturating_sub(bytes) }
    }

    /// Refuses if so many more bytes are too many.
    pub(super) fn hold(&self, out: &[u8], bytes: usize) -> Result<(), ErrorCode> {
        if out.len().saturating_add(bytes) <= self.end { Ok(()) } else { Err(TOO_LARGE) }
    }

    /// Refuses if a vector of these texts is too large. Looks at no more of
    /// them than would fit.
    pub(super) fn hold_texts<T: AsRef<str>>(
        &self,
        out: &[u8],
        texts: impl Iterator<Item = T>,
    ) -> Result<(), ErrorCode> {
        let mut bytes = LENGTH_BYTES;
        for text in texts {
            bytes += LENGTH_BYTES + text.as_ref().len();
            self.hold(out, bytes)?;
        }
        self.hold(out, bytes)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_limit_is_for_the_whole_reply_and_not_for_what_is_sent_before_it() {
        let mut out = vec![0; 1000 + HEADER_BYTES];
        let limit = ReplyLimit::behind_header(&out, 100);
        assert_eq!(limit.hold(&out, 84), Ok(()));
        assert_eq!(limit.hold(&out, 85), Err(TOO_LARGE));
        out.extend([0; 80]);
        assert_eq!(limit.hold(&out, 5), Err(TOO_LARGE));
    }

    #[test]
    fn what_was_looked_at_counts_whether_or_not_it_was_put() {
        let work = Work::default();
        assert_eq!(work.counted(0..WORK_MAX - 1).filter(|_| false).count(), 0);
        assert_eq!(work.go_on(), Ok(()));
        assert_eq!(work.counted(0..10).count(), 10);
        assert_eq!(work.go_on(), Err(TOO_LARGE));
    }

    #[test]
    fn texts_that_do_not_fit_are_not_all_looked_at() {
        let out = [0; HEADER_BYTES];
        let limit = ReplyLimit::behind_header(&out, HEADER_BYTES + 4 + 10 * 8);
        let mut seen = 0;
        let texts = |count| (0..count).map(|_| "name").collect::<Vec<_>>();
        assert_eq!(limit.hold_texts(&out, texts(10).iter().inspect(|_| seen += 1)), Ok(()));
        assert_eq!(seen, 10);
        seen = 0;
        let endless = texts(1000);
        assert!(limit.hold_texts(&out, endless.iter().inspect(|_| seen += 1)).is_err());
        assert_eq!(seen, 11);
    }
}
