//! Health checks.

use alloc::boxed::Box;
use alloc::vec::Vec;

/// The verdict of a check. Ordered from best to worst.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub enum CheckStatus {
    /// Fine.
    Passing,
    /// Worth a look.
    Warning,
    /// Not to be used. What a new check begins with.
    #[default]
    Critical,
}

impl CheckStatus {
    /// As printed.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Passing => "passing",
            Self::Warning => "warning",
            Self::Critical => "critical",
        }
    }

    /// As printed, read back.
    pub fn from_name(name: &str) -> Option<Self> {
        [Self::Passing, Self::Warning, Self::Critical]
            .into_iter()
            .find(|status| status.as_str() == name)
    }
}

/// A check as the catalog has it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HealthCheck {
    /// The node's name as registered.
    pub node: Box<str>,
    /// Unique on the node.
    pub id: Box<str>,
    /// For people.
    pub name: Box<str>,
    /// The verdict.
    pub status: CheckStatus,
    /// For people.
    pub notes: Box<str>,
    /// What the probe last said.
    pub output: Box<str>,
    /// The service it belongs to, or empty.
    pub service_id: Box<str>,
    /// That service's name, or empty.
    pub service_name: Box<str>,
    /// That service's tags.
    pub service_tags: Vec<Box<str>>,
    /// `ttl`, `http`, …, or empty.
    pub kind: Box<str>,
    /// A Go duration or empty.
    pub interval: Box<str>,
    /// A Go duration or empty.
    pub timeout: Box<str>,
    /// JSON text, or empty.
    pub definition: Box<str>,
    /// Revision of creation.
    pub create_index: u64,
    /// Revision of the last change.
    pub modify_index: u64,
}
