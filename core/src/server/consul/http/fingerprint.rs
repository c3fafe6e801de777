//! Detects whether the result of a blocking query is unchanged.
//!
//! Indexes belong to tables and services, and change with more than one
//! response depends on: for example with a check of a service of which only the
//! instances are read, or with a passing check in a query for critical ones.
//! When a blocking query is woken, it compares the new result with the one at
//! the start of the wait, and continues to wait if they are the same.
//!
//! The modify index identifies the version of a record: every change sets it.

use std::hash::{BuildHasher as _, Hasher, RandomState};
use std::sync::{Arc, LazyLock};

use coord_state::consul::{
    Around, CatalogNode, CatalogService, ConfigEntry, GraphView, HealthCheck, Intention,
    TakenInstance,
};
use coord_wire::consul::ui::TakenNode;

/// Drawn anew by each process, so that nobody can choose two answers that look alike.
static KEYS: LazyLock<RandomState> = LazyLock::new(RandomState::new);

/// What can be told from another of its kind.
pub(crate) trait Fingerprint {
    fn feed(&self, hasher: &mut impl Hasher);
}

/// What stands for `answer` while a reader waits.
pub(crate) fn of(answer: &impl Fingerprint) -> u64 {
    let mut hasher = KEYS.build_hasher();
    answer.feed(&mut hasher);
    hasher.finish()
}

impl Fingerprint for () {
    fn feed(&self, _hasher: &mut impl Hasher) {}
}

impl<T: Fingerprint> Fingerprint for Option<T> {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_u8(u8::from(self.is_some()));
        if let Some(inner) = self {
            inner.feed(hasher);
        }
    }
}

impl<T: Fingerprint> Fingerprint for Vec<T> {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_usize(self.len());
        self.iter().for_each(|one| one.feed(hasher));
    }
}

impl<A: Fingerprint, B: Fingerprint> Fingerprint for (A, B) {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.0.feed(hasher);
        self.1.feed(hasher);
    }
}

fn feed_text(text: &str, hasher: &mut impl Hasher) {
    hasher.write_usize(text.len());
    hasher.write(text.as_bytes());
}

impl Fingerprint for Arc<CatalogNode> {
    fn feed(&self, hasher: &mut impl Hasher) {
        feed_text(&self.name, hasher);
        hasher.write_u64(self.modify_index);
    }
}

impl Fingerprint for Arc<CatalogService> {
    fn feed(&self, hasher: &mut impl Hasher) {
        feed_text(&self.node, hasher);
        feed_text(&self.id, hasher);
        hasher.write_u64(self.modify_index);
    }
}

impl Fingerprint for Arc<HealthCheck> {
    fn feed(&self, hasher: &mut impl Hasher) {
        feed_text(&self.node, hasher);
        feed_text(&self.id, hasher);
        hasher.write_u64(self.modify_index);
    }
}

impl Fingerprint for Arc<ConfigEntry> {
    fn feed(&self, hasher: &mut impl Hasher) {
        feed_text(&self.kind, hasher);
        feed_text(&self.name, hasher);
        hasher.write_u64(self.modify_index);
    }
}

impl Fingerprint for Arc<Intention> {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_u128(self.id.0);
        hasher.write_u64(self.modify_index);
    }
}

impl Fingerprint for TakenInstance {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.node.feed(hasher);
        self.service.feed(hasher);
        self.checks.feed(hasher);
    }
}

impl Fingerprint for TakenNode {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.node.feed(hasher);
        self.services.feed(hasher);
        self.checks.feed(hasher);
    }
}

impl Fingerprint for GraphView {
    fn feed(&self, hasher: &mut impl Hasher) {
        hasher.write_usize(self.services.len());
        for service in &self.services {
            feed_text(&service.name, hasher);
            hasher.write_u8(service.status.map_or(u8::MAX, |status| status as u8));
            hasher.write_usize(service.needs.len());
            for need in &service.needs {
                hasher.write_usize(need.service);
                hasher.write_u8(u8::from(need.optional));
                feed_text(&need.tag, hasher);
            }
        }
    }
}

impl Fingerprint for Around {
    fn feed(&self, hasher: &mut impl Hasher) {
        self.view.feed(hasher);
        hasher.write_usize(self.center);
    }
}

#[cfg(test)]
mod tests {
    use coord_state::consul::NewNode;

    use super::*;

    fn node(name: &str, modify_index: u64) -> Arc<CatalogNode> {
        let registered =
            NewNode { name: name.into(), address: "10.0.0.1".into(), ..NewNode::default() };
        Arc::new(CatalogNode { registered, create_index: 1, modify_index })
    }

    #[test]
    fn equal_answers_look_alike_and_others_do_not() {
        let both = || vec![node("a", 1), node("b", 2)];
        assert_eq!(of(&both()), of(&both()));
        assert_ne!(of(&both()), of(&vec![node("b", 2), node("a", 1)]));
        assert_ne!(of(&both()), of(&vec![node("a", 1)]));
        assert_ne!(of(&vec![node("a", 1)]), of(&vec![node("a", 2)]));
        assert_ne!(of(&None::<Vec<Arc<CatalogNode>>>), of(&Some(Vec::<Arc<CatalogNode>>::new())));
    }
}
