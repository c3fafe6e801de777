//! An answer before it is fitted into a packet.

use super::record::Record;

/// What is known about a question, in the order it is to be told.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Answer {
    /// The verdict.
    pub outcome: Outcome,
    /// The answer section, best kept from the front.
    pub findings: Vec<Finding>,
    /// Whether the findings are alternatives, as the instances of a service are:
    /// a client without EDNS gets a few of them. Of an alias and where it leads,
    /// or of a node's texts, it gets what its datagram holds.
    pub are_alternatives: bool,
    /// The authority section.
    pub authority: Vec<Record>,
    /// Additional records that do not hang on one finding.
    pub additional: Vec<Record>,
}

/// One record of the answer section and what travels with it: if it is cut,
/// so are they.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Finding {
    /// The answer.
    pub record: Record,
    /// Its additional records.
    pub extra: Vec<Record>,
}

/// The verdict on a question.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Outcome {
    /// The name exists; without findings it has nothing of the type asked (NODATA).
    Found,
    /// There is no such name (NXDOMAIN).
    NoSuchName,
    /// Not ours to answer (REFUSED).
    Refused,
    /// Whoever should know did not answer (SERVFAIL).
    Failed,
}

impl Answer {
    /// The name exists.
    pub fn found(findings: Vec<Finding>) -> Self {
        Self {
            outcome: Outcome::Found,
            findings,
            are_alternatives: false,
            authority: Vec::new(),
            additional: Vec::new(),
        }
    }

    /// There is no such name; `soa` says who says so.
    pub fn no_such_name(soa: Record) -> Self {
        Self { outcome: Outcome::NoSuchName, ..Self::no_data(soa) }
    }

    /// The name has nothing of the type asked; `soa` says who says so.
    pub fn no_data(soa: Record) -> Self {
        Self { authority: vec![soa], ..Self::found(Vec::new()) }
    }

    /// Not ours to answer.
    pub fn refused() -> Self {
        Self { outcome: Outcome::Refused, ..Self::found(Vec::new()) }
    }

    /// Whoever should know did not answer.
    pub fn failed() -> Self {
        Self { outcome: Outcome::Failed, ..Self::found(Vec::new()) }
    }
}

impl From<Record> for Finding {
    fn from(record: Record) -> Self {
        Self { record, extra: Vec::new() }
    }
}
