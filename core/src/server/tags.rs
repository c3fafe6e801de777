//! Tags that somebody asks for, whatever the case.

use std::collections::BTreeSet;

use coord_state::consul::CatalogService;

/// Some tags, each once. Looking for them in a service takes time like what
/// the service has, however many are asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Tags(BTreeSet<String>);

impl Tags {
    pub(super) fn new<'a>(tags: impl Iterator<Item = &'a str>) -> Self {
        Self(tags.map(str::to_lowercase).collect())
    }

    /// Whether the service has them all.
    pub(super) fn all_of(&self, service: &CatalogService) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        if self.0.len() > service.tags.len() {
            return false;
        }
        missing.extend(self.0.iter().map(String::as_str));
        for tag in &service.tags {
            missing.remove(&*tag.to_lowercase());
            if missing.is_empty() {
                return true;
            }
        }
        false
    }

    /// Whether the service has one of them.
    pub(super) fn any_of(&self, service: &CatalogService) -> bool {
        !self.0.is_empty() && service.tags.iter().any(|tag| self.0.contains(&tag.to_lowercase()))
    }
}
