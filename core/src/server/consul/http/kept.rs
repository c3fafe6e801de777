//! Memory accounting of one HTTP connection, against the shared budget.
//!
//! ```text
//! socket --read--> head, not understood yet --dispatch--> request --answer-->
//!                                             body, as far as it came     answers, until they
//!                                                                         are taken
//! ```
//!
//! Bytes are counted where they are held. A waiting blocking query counts its
//! request. A long response is reserved before it is built, by an estimate, and
//! counts until its last part was handed to the kernel and its memory freed.
//! Beyond the budget, `server::byte_budget` chooses the connection to close; a
//! request that alone grows too large is answered 429, and its connection is
//! closed.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering::Relaxed};

use bytes::Bytes;

use crate::server::byte_budget::{Evicted, Share};

/// Shorter answers are not counted: the budget rounds down anyway.
const COUNTED_FROM: usize = 4 << 10;

/// What is kept for one connection.
#[derive(Debug)]
pub(crate) struct Kept {
    share: Share,
    /// Read from the socket since anything was made of it.
    unread: AtomicUsize,
    request: AtomicUsize,
    body: AtomicUsize,
    /// Of the answer that is being made.
    reserved: AtomicUsize,
    /// Made, and not taken.
    answers: AtomicUsize,
    /// A request was too much: its client is told so.
    refused: AtomicBool,
}

impl Kept {
    pub(crate) fn new(share: Share) -> Arc<Self> {
        let zero = || AtomicUsize::new(0);
        Arc::new(Self {
            share,
            unread: zero(),
            request: zero(),
            body: zero(),
            reserved: zero(),
            answers: zero(),
            refused: AtomicBool::new(false),
        })
    }

    /// So much more was read from the socket.
    pub(crate) fn read(&self, bytes: usize) -> Result<(), Evicted> {
        self.unread.fetch_add(bytes, Relaxed);
        self.tell()
    }

    /// What was read is a request of about so many bytes.
    pub(crate) fn begin(&self, bytes: usize) -> Result<(), Evicted> {
        self.unread.store(0, Relaxed);
        self.request.store(bytes, Relaxed);
        self.tell_or_refuse()
    }

    /// So many bytes of its body are kept.
    pub(crate) fn body(&self, bytes: usize) -> Result<(), Evicted> {
        self.unread.store(0, Relaxed);
        self.body.store(bytes, Relaxed);
        self.tell_or_refuse()
    }

    /// What was read of its body was handed on, or is counted otherwise.
    pub(super) fn took(&self) {
        self.unread.store(0, Relaxed);
    }

    /// The request is answered, and nothing of it is kept.
    pub(crate) fn end(&self) {
        self.request.store(0, Relaxed);
        self.body.store(0, Relaxed);
        // To keep less is never too much.
        let _ = self.tell();
    }

    /// An answer of about so many bytes is going to be made. Counts until
    /// [`Self::answer`].
    pub(crate) fn reserve(&self, bytes: usize) -> Result<(), Evicted> {
        self.reserved.store(bytes, Relaxed);
        self.tell_or_refuse()
    }

    /// Counts an answer until it was taken, instead of what was reserved for it.
    pub(crate) fn answer(self: &Arc<Self>, bytes: Bytes) -> Result<Bytes, Evicted> {
        let reserved = self.reserved.swap(0, Relaxed);
        if bytes.len() < COUNTED_FROM {
            if reserved > 0 {
                let _ = self.tell();
            }
            return Ok(bytes);
        }
        let counted = Counted { kept: Arc::clone(self), bytes };
        self.answers.fetch_add(counted.bytes.len(), Relaxed);
        self.tell_or_refuse()?;
        Ok(Bytes::from_owner(counted))
    }

    /// Returns once the connection has to close. Cancel safe.
    pub(crate) async fn evicted(&self) {
        self.share.evicted().await;
    }

    /// Whether a request of this connection was too much, which its client is being
    /// told in a short answer.
    pub(crate) fn refused(&self) -> bool {
        self.refused.load(Relaxed)
    }

    /// Tells the sum for a request that can be refused.
    fn tell_or_refuse(&self) -> Result<(), Evicted> {
        self.tell().inspect_err(|Evicted| self.refused.store(true, Relaxed))
    }

    fn tell(&self) -> Result<(), Evicted> {
        // What a head is read into is up to twice as long as what was read.
        let unread = 2 * self.unread.load(Relaxed);
        let parts = [&self.request, &self.body, &self.reserved, &self.answers];
        self.share.hold(unread + parts.into_iter().map(|part| part.load(Relaxed)).sum::<usize>())
    }
}

/// An answer that tells when it is free.
struct Counted {
    kept: Arc<Kept>,
    bytes: Bytes,
}

impl AsRef<[u8]> for Counted {
    fn as_ref(&self) -> &[u8] {
        &self.bytes
    }
}

impl Drop for Counted {
    fn drop(&mut self) {
        self.kept.answers.fetch_sub(self.bytes.len(), Relaxed);
        let _ = self.kept.tell();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::server::byte_budget::ByteBudget;

    const KIB: usize = 1 << 10;

    fn kept(budget: &Arc<ByteBudget>) -> Arc<Kept> {
        Kept::new(budget.share([127, 0, 0, 1].into()))
    }

    #[test]
    fn a_request_counts_from_its_first_byte_to_its_answer() {
        let budget = ByteBudget::new(KIB << 10, KIB << 10);
        let kept = kept(&budget);
        kept.read(8 * KIB).unwrap();
        kept.read(8 * KIB).unwrap();
        // In a buffer that may be twice as long.
        assert_eq!(budget.used(), 32 * KIB);
        kept.begin(12 * KIB).unwrap();
        kept.read(4 * KIB).unwrap();
        assert_eq!(budget.used(), 20 * KIB);
        kept.body(20 * KIB).unwrap();
        assert_eq!(budget.used(), 32 * KIB);
        kept.end();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_answer_counts_until_its_memory_is_free() {
        let budget = ByteBudget::new(KIB << 10, KIB << 10);
        let kept = kept(&budget);
        let mut answer = kept.answer(Bytes::from(vec![b'x'; 64 * KIB])).unwrap();
        let part = answer.split_to(10);
        drop(answer);
        assert_eq!(budget.used(), 64 * KIB);
        drop(part);
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_answer_counts_once_from_its_estimate_to_its_memory() {
        let budget = ByteBudget::new(KIB << 10, KIB << 10);
        let kept = kept(&budget);
        kept.reserve(100 * KIB).unwrap();
        assert_eq!(budget.used(), 100 * KIB);
        let answer = kept.answer(Bytes::from(vec![b'x'; 64 * KIB])).unwrap();
        assert_eq!(budget.used(), 64 * KIB);
        drop(answer);
        assert_eq!(budget.used(), 0);
        kept.reserve(100 * KIB).unwrap();
        kept.answer(Bytes::from_static(b"an error instead")).unwrap();
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_answer_that_would_be_too_much_is_refused_before_it_is_made() {
        let budget = ByteBudget::new(64 * KIB, 64 * KIB);
        let kept = kept(&budget);
        assert!(kept.reserve(128 * KIB).is_err());
        assert_eq!(budget.used(), 0);
    }

    #[test]
    fn an_answer_that_is_too_much_is_not_kept() {
        let budget = ByteBudget::new(64 * KIB, 64 * KIB);
        let kept = kept(&budget);
        assert!(kept.answer(Bytes::from(vec![0; 128 * KIB])).is_err());
        assert_eq!(budget.used(), 0);
    }
}
