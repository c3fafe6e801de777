//! Limits the cost of an evaluation.
//!
//! A short expression can require work that grows with the cube of a list:
//! collections nest, and a regular expression examines every byte in as many
//! ways as it has states. So the steps are counted as they are taken, and an
//! expression that needs more than allowed fails. The same counter stops an
//! evaluation whose client has disconnected.

use std::cell::Cell;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use thiserror::Error;

/// So often an evaluation looks whether it is still wanted. Steps.
const LOOK_EVERY: u64 = 1 << 12;

/// Why an evaluation ended before its last row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum Ended {
    /// It would have cost more steps than allowed.
    #[error("the evaluation takes too many steps")]
    Steps,
    /// There are more rows than allowed.
    #[error("there are too many rows")]
    Rows,
    /// Nobody waits for it any more.
    #[error("the evaluation was cancelled")]
    Unwanted,
}

/// The allowance of one evaluation: steps within rows, and rows.
///
/// A step is about one comparison, a few nanoseconds.
#[derive(Debug)]
pub struct Work {
    steps: Cell<u64>,
    rows: Cell<u64>,
    ended: Cell<Option<Ended>>,
    unwanted: Option<Arc<AtomicBool>>,
}

impl Work {
    /// Allows so many steps, over so many rows.
    pub fn new(steps: u64, rows: u64) -> Self {
        Self {
            steps: Cell::new(steps),
            rows: Cell::new(rows),
            ended: Cell::new(None),
            unwanted: None,
        }
    }

    /// The same, but it ends soon after `unwanted` was set.
    #[must_use]
    pub fn unless(self, unwanted: Arc<AtomicBool>) -> Self {
        Self { unwanted: Some(unwanted), ..self }
    }

    /// Begins a row. False if that is one too many, or the evaluation ended.
    pub fn row(&self) -> bool {
        let begun = self.ended.get().map_or(Ok(()), Err).and_then(|()| {
            self.look()?;
            let rows = self.rows.get().checked_sub(1).ok_or(Ended::Rows)?;
            self.rows.set(rows);
            Ok(())
        });
        self.note(begun).is_ok()
    }

    /// Takes steps.
    ///
    /// # Errors
    /// [`Ended`] if there are not so many left. It stays ended.
    pub fn spend(&self, steps: u64) -> Result<(), Ended> {
        let before = self.steps.get();
        let spent = self.ended.get().map_or(Ok(()), Err).and_then(|()| {
            let left = before.checked_sub(steps).ok_or(Ended::Steps)?;
            self.steps.set(left);
            if left / LOOK_EVERY == before / LOOK_EVERY { Ok(()) } else { self.look() }
        });
        self.note(spent)
    }

    /// Why it ended early, if it did: what it gave is not the whole then.
    pub fn ended(&self) -> Option<Ended> {
        self.ended.get()
    }

    fn look(&self) -> Result<(), Ended> {
        match &self.unwanted {
            Some(unwanted) if unwanted.load(Relaxed) => Err(Ended::Unwanted),
            _ => Ok(()),
        }
    }

    fn note(&self, outcome: Result<(), Ended>) -> Result<(), Ended> {
        if let Err(ended) = outcome {
            self.ended.set(Some(ended));
        }
        outcome
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_spent_stays_spent_and_the_end_is_final() {
        let work = Work::new(10, 2);
        assert_eq!(work.spend(10), Ok(()));
        assert!(work.row());
        assert_eq!(work.ended(), None);
        assert_eq!(work.spend(1), Err(Ended::Steps));
        assert_eq!(work.spend(0), Err(Ended::Steps));
        assert!(!work.row());
        let work = Work::new(10, 1);
        assert!(work.row());
        assert!(!work.row());
        assert_eq!(work.ended(), Some(Ended::Rows));
    }

    #[test]
    fn who_does_not_wait_any_more_is_noticed_within_a_row_and_between_rows() {
        let unwanted = Arc::new(AtomicBool::new(false));
        let work = Work::new(u64::MAX, u64::MAX).unless(Arc::clone(&unwanted));
        assert_eq!(work.spend(LOOK_EVERY), Ok(()));
        unwanted.store(true, Relaxed);
        assert_eq!(work.spend(LOOK_EVERY), Err(Ended::Unwanted));
        let work = Work::new(u64::MAX, u64::MAX).unless(unwanted);
        assert!(!work.row());
    }
}
