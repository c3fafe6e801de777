//! Consul's DNS interface as messages: what is asked, and records back.
//!
//! ```text
//!   packet --Query::decode--> Query --Asked::read--> Asked
//!                               |                      |  (the server looks it up)
//!   packet <----Answer::encode--+------------------ Answer
//! ```
//!
//! Bytes are taken apart by the `domain` crate; which names mean what, what is
//! cut and in which order, and how answers are written is ours (`packet.rs`).
//!
//! Invariants: no packet makes [`Query::decode`] panic, and nothing longer than
//! its [`SizeLimit`] comes out of [`Answer::encode`].

mod answer;
mod asked;
mod encode;
mod forward;
mod packet;
mod query;
mod record;

pub use answer::{Answer, Finding, Outcome};
pub use asked::Asked;
pub use domain::base::Rtype;
pub use encode::{Manner, SizeLimit, Transport};
pub use forward::{Forwarded, Unfit, addresses};
pub use query::{Edns, Query, Refusal};
pub use record::{DomainName, Record, RecordData, name_under};

#[cfg(test)]
mod tests;
