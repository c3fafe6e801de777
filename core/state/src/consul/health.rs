//! Health checks.

use alloc::boxed::Box;
use alloc::vec::Vec;

use crate::codec::{CodecError, Decode, Encode, Input};
use crate::consul::{CatalogService, NewCheck};

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

impl HealthCheck {
    /// The record of a check registered at `revision` and never before.
    pub(super) fn new(
        node: &str,
        check: NewCheck,
        service: Option<&CatalogService>,
        revision: u64,
    ) -> Self {
        Self {
            node: node.into(),
            id: if check.id.is_empty() { check.name.clone() } else { check.id },
            name: check.name,
            status: check.status,
            notes: check.notes,
            output: check.output,
            service_id: check.service_id,
            service_name: service.map(|service| service.name.clone()).unwrap_or_default(),
            service_tags: service.map(|service| service.tags.clone()).unwrap_or_default(),
            kind: check.kind,
            interval: check.interval,
            timeout: check.timeout,
            definition: check.definition,
            create_index: revision,
            modify_index: revision,
        }
    }
}

impl Encode for CheckStatus {
    fn encode(&self, out: &mut Vec<u8>) {
        out.push(match self {
            Self::Passing => 0,
            Self::Warning => 1,
            Self::Critical => 2,
        });
    }
}

impl Decode for CheckStatus {
    fn decode(input: &mut Input) -> Result<Self, CodecError> {
        Ok(match u8::decode(input)? {
            0 => Self::Passing,
            1 => Self::Warning,
            2 => Self::Critical,
            tag => return Err(CodecError::UnknownTag { what: "check status", tag: tag.into() }),
        })
    }
}

crate::record!(HealthCheck {
    node,
    id,
    name,
    status,
    notes,
    output,
    service_id,
    service_name,
    service_tags,
    kind,
    interval,
    timeout,
    definition,
    create_index,
    modify_index,
});
