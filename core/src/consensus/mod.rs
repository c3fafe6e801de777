//! Consensus: one order of payloads on all members.

mod log_store;
mod state_machine;
#[cfg(test)]
mod tests;
mod types;

pub use state_machine::{CommittedEntry, FrozenState, Machine, RecordSink};
