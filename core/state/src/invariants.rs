//! The invariants of ARCHITECTURE.md that the state machine keeps, recomputed.
//!
//! [`StateMachine::check_invariants`] recomputes everything that is kept incrementally
//! or in a second index, and compares. It runs after every command in the tests of
//! this crate and, for a sample of the commands, in other debug builds. In a release
//! build it runs only on a staged archive, before that is activated.
//!
//! | invariant | checked in |
//! |---|---|
//! | A2, indexes and digests | `check_invariants` of every table |
//! | A3, nothing is later than the revision | this file |
//! | A6, ephemerals, locks and their sessions | `session`, `znode::invariants`, `consul` |
//! | A8, aggregates over descendants | `znode::invariants` |
//! | A9, the dependency graph | `consul::graph::invariants`, `consul::catalog` |

#[cfg(test)]
mod tests;

use alloc::format;
use alloc::string::String;

use crate::id::Revision;
use crate::machine::StateMachine;

/// A violated invariant of ARCHITECTURE.md, and what was found.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("invariant {id} is violated: {found}")]
pub struct Violation {
    id: &'static str,
    found: String,
}

impl Violation {
    /// A violation of the invariant `id`.
    pub fn new(id: &'static str, found: impl Into<String>) -> Self {
        Self { id, found: found.into() }
    }

    /// Which invariant, as ARCHITECTURE.md numbers them.
    pub fn id(&self) -> &'static str {
        self.id
    }
}

/// Requires a condition; `found` describes what violates it.
///
/// # Errors
/// [`Violation`], naming the invariant `id`.
pub fn require(
    id: &'static str,
    holds: bool,
    found: impl FnOnce() -> String,
) -> Result<(), Violation> {
    if holds { Ok(()) } else { Err(Violation::new(id, found())) }
}

/// As [`require`], for values that are compared with a recomputation.
pub(crate) fn require_all(id: &'static str, holds: &[(&str, bool)]) -> Result<(), Violation> {
    match holds.iter().find(|(_, holds)| !holds) {
        Some((what, _)) => Err(Violation::new(id, format!("{what} differs from a recomputation"))),
        None => Ok(()),
    }
}

/// A state with at most this many entries is checked after every command in a debug
/// build. A larger one is checked in this crate's own tests alone, after one in as many
/// commands as it has entries: a member that stops for a whole look at a large state
/// loses its leadership.
const SMALL: usize = if cfg!(test) { 512 } else { 64 };

impl StateMachine {
    /// Recomputes what is kept incrementally or in a second index, and compares.
    ///
    /// # Errors
    /// The first violated invariant.
    pub fn check_invariants(&self) -> Result<(), Violation> {
        let latest = Revision(self.consul.latest_index()).max(self.znodes.latest_revision());
        require("A3", latest <= self.revision, || {
            format!(
                "something changed at revision {latest}, but only {} were applied",
                self.revision
            )
        })?;
        self.znodes.check_invariants(&self.sessions)?;
        self.sessions.check_invariants(&self.znodes)?;
        self.consul.check_invariants()
    }

    /// Checks the state after a command, in debug builds only.
    ///
    /// # Panics
    /// If an invariant is violated. Consensus catches a panic while applying, and the
    /// member fails.
    pub(crate) fn check_after_apply(&self) {
        if !cfg!(debug_assertions) {
            return;
        }
        let entries = self.znodes.len() + self.sessions.len() + self.consul.entries();
        let is_sampled = cfg!(test) && self.revision.0.is_multiple_of(entries.max(1) as u64);
        let is_due = entries <= SMALL || is_sampled;
        if is_due && let Err(violation) = self.check_invariants() {
            panic!("after revision {}: {violation}", self.revision);
        }
    }
}
