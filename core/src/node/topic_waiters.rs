//! Waiters for changes: the long poll of Consul's blocking queries. They are
//! local to this member.
//!
//! A waiter registers in the same read of the state that produced its answer,
//! so it misses no change; the apply task then marks every waiter of a changed
//! topic and wakes it once, however many of its topics changed.

use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, PoisonError};

use bytes::Bytes;
use coord_state::event::Topic;
use tokio::sync::Notify;

use crate::sync::{Mutex, MutexGuard};

/// All waiters of one member.
#[derive(Debug, Default)]
pub struct TopicWaiters {
    table: Mutex<Table>,
    /// Lets the apply task skip the lock while nobody waits.
    registered: AtomicUsize,
}

/// One registration; dropping it unregisters.
#[derive(Debug)]
pub struct TopicWaiter {
    waiters: Arc<TopicWaiters>,
    topics: Vec<Topic>,
    number: u64,
    signal: Arc<Signal>,
}

#[derive(Debug, Default)]
struct Table {
    next: u64,
    by_topic: HashMap<Topic, HashMap<u64, Arc<Signal>>>,
    /// How many waiting prefixes have each length: a changed key is looked up
    /// only under lengths that somebody waits for.
    prefix_lengths: HashMap<usize, usize>,
}

#[derive(Debug, Default)]
struct Signal {
    changed: AtomicBool,
    notify: Notify,
}

impl Signal {
    fn fire(&self) {
        if !self.changed.swap(true, Ordering::AcqRel) {
            self.notify.notify_one();
        }
    }
}

impl TopicWaiters {
    /// Registers for the next change of any of `topics`. To lose no change,
    /// register inside the [`super::Node::read`] that computed the answer.
    pub fn register(self: &Arc<Self>, topics: Vec<Topic>) -> TopicWaiter {
        let signal = Arc::new(Signal::default());
        let mut table = self.table();
        let number = table.next;
        table.next += 1;
        for topic in &topics {
            let waiting = table.by_topic.entry(topic.clone()).or_default();
            let added = waiting.insert(number, Arc::clone(&signal)).is_none();
            if let (true, Topic::KeyPrefix(prefix)) = (added, topic) {
                *table.prefix_lengths.entry(prefix.len()).or_default() += 1;
            }
        }
        drop(table);
        self.registered.fetch_add(1, Ordering::Release);
        TopicWaiter { waiters: Arc::clone(self), topics, number, signal }
    }

    /// How many registrations there are.
    pub fn len(&self) -> usize {
        self.registered.load(Ordering::Acquire)
    }

    /// Whether nobody waits.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Wakes everybody who waits for `topic`.
    pub(super) fn notify(&self, topic: &Topic) {
        if self.is_empty() {
            return;
        }
        let table = self.table();
        table.fire(topic);
        if let Topic::Key(key) = topic {
            for length in table.prefix_lengths.keys().filter(|length| **length <= key.len()) {
                table.fire(&Topic::KeyPrefix(key.slice(..*length)));
            }
        }
    }

    /// Wakes everybody: the state was replaced.
    pub(super) fn notify_all(&self) {
        for waiting in self.table().by_topic.values() {
            waiting.values().for_each(|signal| signal.fire());
        }
    }

    fn unregister(&self, topics: &[Topic], number: u64) {
        let mut table = self.table();
        for topic in topics {
            let Some(waiting) = table.by_topic.get_mut(topic) else { continue };
            let removed = waiting.remove(&number).is_some();
            if waiting.is_empty() {
                table.by_topic.remove(topic);
            }
            if let (true, Topic::KeyPrefix(prefix)) = (removed, topic) {
                table.forget_prefix(prefix);
            }
        }
        drop(table);
        self.registered.fetch_sub(1, Ordering::Release);
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Table {
    fn fire(&self, topic: &Topic) {
        if let Some(waiting) = self.by_topic.get(topic) {
            waiting.values().for_each(|signal| signal.fire());
        }
    }

    fn forget_prefix(&mut self, prefix: &Bytes) {
        if let Some(count) = self.prefix_lengths.get_mut(&prefix.len()) {
            *count -= 1;
            if *count == 0 {
                self.prefix_lengths.remove(&prefix.len());
            }
        }
    }
}

impl TopicWaiter {
    /// Returns once one of the topics changed after registration. Cancel safe.
    pub async fn changed(&mut self) {
        while !self.signal.changed.load(Ordering::Acquire) {
            self.signal.notify.notified().await;
        }
    }
}

impl Drop for TopicWaiter {
    fn drop(&mut self) {
        self.waiters.unregister(&self.topics, self.number);
    }
}

#[cfg(test)]
mod tests {
    use std::future::Future;
    use std::pin::pin;
    use std::task::{Context, Waker};

    use super::*;

    fn key(text: &'static str) -> Topic {
        Topic::Key(Bytes::from_static(text.as_bytes()))
    }

    fn prefix(text: &'static str) -> Topic {
        Topic::KeyPrefix(Bytes::from_static(text.as_bytes()))
    }

    fn is_woken(waiter: &mut TopicWaiter) -> bool {
        let mut context = Context::from_waker(Waker::noop());
        pin!(waiter.changed()).poll(&mut context).is_ready()
    }

    #[test]
    fn a_waiter_wakes_for_its_topic_only() {
        let waiters = Arc::new(TopicWaiters::default());
        let mut waiter = waiters.register(vec![key("a"), Topic::Nodes]);
        waiters.notify(&key("b"));
        assert!(!is_woken(&mut waiter));
        waiters.notify(&Topic::Nodes);
        assert!(is_woken(&mut waiter));
    }

    #[test]
    fn a_prefix_waiter_wakes_for_every_key_below_it() {
        let waiters = Arc::new(TopicWaiters::default());
        let mut app = waiters.register(vec![prefix("app/")]);
        let mut all = waiters.register(vec![prefix("")]);
        waiters.notify(&key("apple"));
        assert!(!is_woken(&mut app) && is_woken(&mut all));
        waiters.notify(&key("app/x"));
        assert!(is_woken(&mut app));
    }

    #[test]
    fn a_dropped_waiter_leaves_nothing_behind() {
        let waiters = Arc::new(TopicWaiters::default());
        drop(waiters.register(vec![key("a"), prefix("a"), prefix("a")]));
        assert!(waiters.is_empty());
        let table = waiters.table();
        assert!(table.by_topic.is_empty() && table.prefix_lengths.is_empty());
    }

    #[test]
    fn replaced_state_wakes_everybody() {
        let waiters = Arc::new(TopicWaiters::default());
        let mut waiter = waiters.register(vec![key("a")]);
        waiters.notify_all();
        assert!(is_woken(&mut waiter));
    }
}
