//! Matches requested tags without regard to case.

use std::borrow::Cow;
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
        match self.0.len() {
            0 => return true,
            1 => return self.any_of(service),
            _ => {}
        }
        let mut missing: BTreeSet<&str> = BTreeSet::new();
        if self.0.len() > service.tags.len() {
            return false;
        }
        missing.extend(self.0.iter().map(String::as_str));
        for tag in &service.tags {
            missing.remove(&*lower(tag));
            if missing.is_empty() {
                return true;
            }
        }
        false
    }

    /// Whether the service has one of them.
    pub(super) fn any_of(&self, service: &CatalogService) -> bool {
        !self.0.is_empty() && service.tags.iter().any(|tag| self.0.contains(&*lower(tag)))
    }
}

/// A tag in lower case. Most are already, and those are not copied for each look at them.
fn lower(tag: &str) -> Cow<'_, str> {
    if tag.bytes().all(|byte| byte.is_ascii() && !byte.is_ascii_uppercase()) {
        return Cow::Borrowed(tag);
    }
    Cow::Owned(tag.to_lowercase())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_copied_only_where_its_case_changes() {
        for (tag, lowered) in
            [("v1", "v1"), ("Primary", "primary"), ("ÉTÉ", "été"), ("été", "été"), ("", "")]
        {
            assert_eq!(lower(tag), lowered);
        }
        assert!(matches!(lower("v1-eu_west.2"), Cow::Borrowed(_)));
    }
}
