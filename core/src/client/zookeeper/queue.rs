//! A bounded queue from the session task to one consumer, which may be a task
//! or a thread.
//!
//! The producer never waits for the consumer: when the queue is full, its
//! content is replaced by one overflow marker.

use std::collections::VecDeque;
use std::sync::{Arc, PoisonError};
use std::time::Duration;

use tokio::sync::Notify;

use crate::sync::{Condvar, Mutex, MutexGuard};

/// The consumer's end. Dropping it tells the producers to stop.
#[derive(Debug)]
pub(super) struct Receiver<T> {
    shared: Arc<QueueShared<T>>,
}

/// A producer's end. When the last is dropped, the consumer reaches the end.
#[derive(Debug)]
pub(super) struct Sender<T> {
    shared: Arc<QueueShared<T>>,
}

#[derive(Debug)]
struct QueueShared<T> {
    state: Mutex<QueueState<T>>,
    task: Notify,
    thread: Condvar,
    capacity: usize,
}

#[derive(Debug)]
struct QueueState<T> {
    items: VecDeque<T>,
    senders: usize,
    receiving: bool,
}

/// The result of waiting.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Next<T> {
    Item(T),
    Ended,
}

/// A queue of up to `capacity` items, at least one.
pub(super) fn queue<T>(capacity: usize) -> (Sender<T>, Receiver<T>) {
    let inner = QueueState { items: VecDeque::new(), senders: 1, receiving: true };
    let shared = Arc::new(QueueShared {
        state: Mutex::new(inner),
        task: Notify::new(),
        thread: Condvar::new(),
        capacity: capacity.max(1),
    });
    (Sender { shared: Arc::clone(&shared) }, Receiver { shared })
}

impl<T> Sender<T> {
    /// Adds `item`. If the queue is full, its content is replaced by
    /// `overflow`.
    pub(super) fn push(&self, item: T, overflow: impl FnOnce() -> T) {
        let mut inner = self.shared.lock();
        if !inner.receiving {
            return;
        }
        if inner.items.len() >= self.shared.capacity {
            inner.items.clear();
            inner.items.push_back(overflow());
        } else {
            inner.items.push_back(item);
        }
        drop(inner);
        self.shared.task.notify_one();
        self.shared.thread.notify_one();
    }

    /// Whether the consumer was dropped.
    pub(super) fn is_abandoned(&self) -> bool {
        !self.shared.lock().receiving
    }

    /// Whether both are for the same queue.
    pub(super) fn same_queue(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.shared, &other.shared)
    }
}

impl<T> Receiver<T> {
    /// The next item, if there is one.
    pub(super) fn take(&self) -> Option<Next<T>> {
        self.shared.lock().take()
    }

    /// Waits for an item. Dropping the future loses nothing.
    pub(super) async fn next(&self) -> Next<T> {
        loop {
            let notified = self.shared.task.notified();
            let mut notified = std::pin::pin!(notified);
            // From here on no wake-up is missed.
            notified.as_mut().enable();
            if let Some(next) = self.take() {
                return next;
            }
            notified.await;
        }
    }

    /// Blocks the thread until there is an item; `None` after `limit`.
    pub(super) fn wait(&self, limit: Option<Duration>) -> Option<Next<T>> {
        let mut inner = self.shared.lock();
        let idle = |inner: &mut QueueState<T>| inner.items.is_empty() && inner.senders > 0;
        inner = match limit {
            None => {
                self.shared.thread.wait_while(inner, idle).unwrap_or_else(PoisonError::into_inner)
            }
            Some(limit) => {
                self.shared
                    .thread
                    .wait_timeout_while(inner, limit, idle)
                    .unwrap_or_else(PoisonError::into_inner)
                    .0
            }
        };
        inner.take()
    }
}

impl<T> QueueShared<T> {
    fn lock(&self) -> MutexGuard<'_, QueueState<T>> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<T> QueueState<T> {
    fn take(&mut self) -> Option<Next<T>> {
        match self.items.pop_front() {
            Some(item) => Some(Next::Item(item)),
            None => (self.senders == 0).then_some(Next::Ended),
        }
    }
}

impl<T> Clone for Sender<T> {
    fn clone(&self) -> Self {
        self.shared.lock().senders += 1;
        Self { shared: Arc::clone(&self.shared) }
    }
}

impl<T> Drop for Sender<T> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.senders -= 1;
        let last = inner.senders == 0;
        drop(inner);
        if last {
            self.shared.task.notify_waiters();
            self.shared.thread.notify_all();
        }
    }
}

impl<T> Drop for Receiver<T> {
    fn drop(&mut self) {
        let mut inner = self.shared.lock();
        inner.receiving = false;
        inner.items.clear();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn items_come_in_order_and_then_the_end() {
        let (sender, receiver) = queue(4);
        sender.push(1, || -1);
        sender.clone().push(2, || -1);
        drop(sender);
        assert_eq!(receiver.wait(None), Some(Next::Item(1)));
        assert_eq!(receiver.take(), Some(Next::Item(2)));
        assert_eq!(receiver.wait(None), Some(Next::Ended));
    }

    #[test]
    fn a_full_queue_keeps_only_the_word_that_it_was_full() {
        let (sender, receiver) = queue(2);
        for item in 0..3 {
            sender.push(item, || -1);
        }
        sender.push(4, || -1);
        assert_eq!(receiver.take(), Some(Next::Item(-1)));
        assert_eq!(receiver.take(), Some(Next::Item(4)));
        assert_eq!(receiver.wait(Some(Duration::ZERO)), None);
    }

    #[test]
    fn a_waiting_thread_wakes_for_an_item_and_for_the_end() {
        let (sender, receiver) = queue(1);
        let waiting =
            std::thread::spawn(move || (receiver.wait(None), receiver.wait(None), receiver.take()));
        sender.push(7, || -1);
        drop(sender);
        let seen = waiting.join().unwrap();
        assert_eq!(seen, (Some(Next::Item(7)), Some(Next::Ended), Some(Next::Ended)));
    }

    #[tokio::test]
    async fn a_waiting_task_wakes_for_an_item_and_for_the_end() {
        let (sender, receiver) = queue(1);
        let waiting = tokio::spawn(async move { (receiver.next().await, receiver.next().await) });
        tokio::task::yield_now().await;
        sender.push(7, || -1);
        tokio::task::yield_now().await;
        drop(sender);
        assert_eq!(waiting.await.unwrap(), (Next::Item(7), Next::Ended));
    }

    #[test]
    fn producers_see_that_the_consumer_left() {
        let (sender, receiver) = queue::<u8>(1);
        assert!(!sender.is_abandoned());
        drop(receiver);
        assert!(sender.is_abandoned());
    }
}
