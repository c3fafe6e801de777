//! The declared dependencies of a service.
//!
//! A registration declares them in its list of dependencies, in its metadata,
//! or in both; the union counts. [`super::graph`] derives the dependencies
//! between service names.

use alloc::boxed::Box;
use alloc::collections::BTreeMap;
use alloc::vec::Vec;

use crate::consul::name::lower;
use crate::consul::{CatalogService, ConsulRejection};

/// Dependencies of one instance.
pub const DEPENDENCIES_MAX: usize = 256;

/// Bytes of the name or the tag in a dependency.
pub const DEPENDENCY_BYTES_MAX: usize = 256;

/// Under which key of its metadata a service names dependencies, for clients
/// that know no other way: `db, cache?`, where `?` means optional.
pub const DEPENDENCIES_META: &str = "depends-on";

/// Something that a service depends on.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Dependency {
    /// The name of a service, registered or not.
    pub name: Box<str>,
    /// Whether the service can do without it.
    pub optional: bool,
    /// Which of its instances are meant; empty for all.
    pub tag: Box<str>,
}

crate::record!(Dependency { name, optional, tag });

impl Dependency {
    /// Reads `db` or, for an optional one, `cache?`. The name may be empty.
    pub fn parse(text: &str) -> Self {
        let text = text.trim();
        let (name, optional) = match text.strip_suffix('?') {
            Some(name) => (name.trim_end(), true),
            None => (text, false),
        };
        Self { name: name.into(), optional, tag: Box::default() }
    }

    /// Reads a list with commas; what is empty is left out.
    fn parse_list(text: &str) -> impl Iterator<Item = Self> {
        text.split(',').map(Self::parse).filter(|dependency| !dependency.name.is_empty())
    }
}

impl CatalogService {
    /// What it depends on, by name and tag, each once: if it is declared both
    /// as optional and as required, it is required.
    pub fn dependencies(&self) -> Vec<Dependency> {
        let listed = self.meta.as_ref().and_then(|meta| meta.get(DEPENDENCIES_META));
        if self.depends_on.is_empty() && listed.is_none() {
            return Vec::new();
        }
        let listed = listed.into_iter().flat_map(|text| Dependency::parse_list(text));
        let mut all: BTreeMap<(Box<str>, Box<str>), Dependency> = BTreeMap::new();
        for dependency in self.depends_on.iter().cloned().chain(listed) {
            let key = (lower(&dependency.name), dependency.tag.clone());
            let optional = dependency.optional;
            all.entry(key).or_insert(dependency).optional &= optional;
        }
        all.into_values().collect()
    }

    /// What [`Self::dependencies`] are, if they are within their bounds.
    pub(super) fn checked_dependencies(&self) -> Result<Vec<Dependency>, ConsulRejection> {
        if self.depends_on.len() > DEPENDENCIES_MAX {
            return Err(ConsulRejection::TooManyDependencies);
        }
        let dependencies = self.dependencies();
        if dependencies.len() > DEPENDENCIES_MAX {
            return Err(ConsulRejection::TooManyDependencies);
        }
        let fits = |dependency: &Dependency| {
            (1..=DEPENDENCY_BYTES_MAX).contains(&dependency.name.len())
                && dependency.tag.len() <= DEPENDENCY_BYTES_MAX
        };
        if !dependencies.iter().all(fits) {
            return Err(ConsulRejection::BadDependency);
        }
        Ok(dependencies)
    }
}
