//! Queue from the apply task to a connection: watch events and outcomes, in the
//! order in which they happened.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, PoisonError};

use coord_state::event::ZnodeEventKind;
use coord_state::znode::{Acl, Identity, permission};
use coord_state::{Applied, Attachment, Revision};
use tokio::sync::Notify;

use crate::error::Error;
use crate::node::{ChangeRefusal, ChangedConfig, ConnectionSink, ReplySink};
use crate::sync::{Mutex, MutexGuard, RwLock};

/// Outcome of a `reconfig`; an error if it is unknown.
pub(super) type ReconfigOutcome = Result<Result<ChangedConfig, ChangeRefusal>, Error>;

/// Something for the connection.
#[derive(Debug)]
pub(super) enum Item {
    /// A watch fired.
    Event { revision: Revision, kind: ZnodeEventKind, path: Arc<str> },
    /// A submitted command was applied, or not.
    Outcome { token: u64, outcome: Result<Applied, Error> },
    /// This member caught up with the leader, or could not.
    Confirmed { token: u64, reached: bool },
    /// Who takes part was changed, or not.
    Reconfigured { token: u64, outcome: Box<ReconfigOutcome> },
    /// The session is gone, is another connection's now, or what was watched
    /// was lost sight of.
    Ended,
}

/// A queue from the apply task to one connection. Bounded by closing the
/// connection: the apply task cannot wait.
#[derive(Debug)]
pub(super) struct Inbox {
    queue: Mutex<Queue>,
    wake: Notify,
    identities: RwLock<Arc<[Identity]>>,
    identity_bytes: AtomicUsize,
    attachment: AtomicU64,
    bytes_max: usize,
}

#[derive(Debug, Default)]
struct Queue {
    items: Vec<Item>,
    event_bytes: usize,
    overflowed: bool,
}

impl Inbox {
    pub(super) fn new(identity: Identity, bytes_max: usize) -> Self {
        Self {
            queue: Mutex::default(),
            wake: Notify::new(),
            identities: RwLock::new(Arc::new([identity])),
            identity_bytes: AtomicUsize::new(0),
            attachment: AtomicU64::new(0),
            bytes_max,
        }
    }

    /// Returns once there is something to drain. Cancel safe.
    pub(super) async fn filled(&self) {
        self.wake.notified().await;
    }

    /// Moves everything into `into`, which must be empty. False if events
    /// were lost because there were too many.
    pub(super) fn drain(&self, into: &mut Vec<Item>) -> bool {
        debug_assert!(into.is_empty());
        let mut queue = self.lock();
        std::mem::swap(&mut queue.items, into);
        queue.event_bytes = 0;
        !queue.overflowed
    }

    pub(super) fn confirmed(&self, token: u64, reached: bool) {
        self.push(Item::Confirmed { token, reached });
    }

    pub(super) fn reconfigured(&self, token: u64, outcome: ReconfigOutcome) {
        self.push(Item::Reconfigured { token, outcome: Box::new(outcome) });
    }

    /// Which attachment this connection has; 0 before the handshake.
    pub(super) fn set_attachment(&self, attachment: Attachment) {
        self.attachment.store(attachment.0, Relaxed);
    }

    pub(super) fn identities(&self) -> Arc<[Identity]> {
        Arc::clone(&self.identities.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Adds what came with the connection, such as its certificate's.
    pub(super) fn add_identity(&self, identity: Identity) {
        self.add_identities(vec![identity], usize::MAX, usize::MAX);
    }

    /// Adds identities that are not there yet. False, and nothing changes, if
    /// all would be more than `count_max` or longer than `bytes_max` together.
    pub(super) fn add_identities(
        &self,
        proven: Vec<Identity>,
        count_max: usize,
        bytes_max: usize,
    ) -> bool {
        let mut identities = self.identities.write().unwrap_or_else(PoisonError::into_inner);
        let fresh: Vec<_> =
            proven.into_iter().filter(|identity| !identities.contains(identity)).collect();
        if fresh.is_empty() {
            return true;
        }
        let all = || identities.iter().chain(&fresh);
        if all().count() > count_max || all().map(Identity::bytes).sum::<usize>() > bytes_max {
            return false;
        }
        self.identity_bytes.store(all().map(Identity::bytes).sum(), Relaxed);
        *identities = all().cloned().collect();
        true
    }

    /// How long they are, once any was added.
    pub(super) fn identity_bytes(&self) -> usize {
        self.identity_bytes.load(Relaxed)
    }

    fn push(&self, item: Item) {
        let mut queue = self.lock();
        if let Item::Event { path, .. } = &item {
            queue.event_bytes += path.len() + size_of::<Item>();
            if queue.event_bytes > self.bytes_max {
                queue.overflowed = true;
            }
            if queue.overflowed {
                return self.wake.notify_one();
            }
        }
        let was_empty = queue.items.is_empty();
        queue.items.push(item);
        drop(queue);
        if was_empty {
            self.wake.notify_one();
        }
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        self.queue.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ReplySink for Inbox {
    fn complete(&self, token: u64, outcome: Result<Applied, Error>) {
        self.push(Item::Outcome { token, outcome });
    }
}

impl ConnectionSink for Inbox {
    fn watch_event(&self, revision: Revision, kind: ZnodeEventKind, path: &Arc<str>) {
        self.push(Item::Event { revision, kind, path: Arc::clone(path) });
    }

    fn may_read(&self, acl: &Acl) -> bool {
        acl.allows(permission::READ, &self.identities())
    }

    fn session_closed(&self, _revision: Revision) {
        self.push(Item::Ended);
    }

    fn session_moved(&self, to: Attachment) {
        if to.0 != self.attachment.load(Relaxed) {
            self.push(Item::Ended);
        }
    }

    fn state_replaced(&self, _revision: Revision) {
        self.push(Item::Ended);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn inbox(bytes_max: usize) -> Inbox {
        Inbox::new(Identity { scheme: "ip".into(), id: "127.0.0.1".into() }, bytes_max)
    }

    fn drained(inbox: &Inbox) -> (Vec<Item>, bool) {
        let mut items = Vec::new();
        let whole = inbox.drain(&mut items);
        (items, whole)
    }

    #[test]
    fn an_event_that_came_before_an_outcome_is_drained_before_it() {
        let inbox = inbox(1000);
        inbox.watch_event(Revision(1), ZnodeEventKind::Created, &Arc::from("/a"));
        inbox.complete(7, Err(Error::unavailable("test")));
        let (items, whole) = drained(&inbox);
        assert!(whole);
        assert!(matches!(
            items[..],
            [Item::Event { revision: Revision(1), .. }, Item::Outcome { token: 7, .. }]
        ));
        assert!(drained(&inbox).0.is_empty());
    }

    #[test]
    fn too_many_events_are_not_kept_and_the_loss_is_told() {
        let inbox = inbox(1000);
        for _ in 0..1000 {
            inbox.watch_event(Revision(1), ZnodeEventKind::Created, &Arc::from("/a"));
        }
        let (items, whole) = drained(&inbox);
        assert!(!whole && items.len() < 20);
    }

    #[test]
    fn only_a_move_to_another_connection_ends_this_one() {
        let inbox = inbox(1000);
        inbox.set_attachment(Attachment(5));
        inbox.session_moved(Attachment(5));
        assert!(drained(&inbox).0.is_empty());
        inbox.session_moved(Attachment(6));
        assert!(matches!(drained(&inbox).0[..], [Item::Ended]));
    }

    #[test]
    fn identities_accumulate_as_a_set() {
        let inbox = inbox(1000);
        let digest = Identity { scheme: "digest".into(), id: "u:h".into() };
        inbox.add_identity(digest.clone());
        inbox.add_identity(digest.clone());
        assert_eq!(inbox.identities().len(), 2);
        assert_eq!(inbox.identities()[1], digest);
    }

    #[test]
    fn identities_beyond_the_limits_are_not_added_and_those_that_are_there_pass() {
        let inbox = inbox(1000);
        let digest = |id: &str| vec![Identity { scheme: "digest".into(), id: id.into() }];
        assert!(inbox.add_identities(digest("a:h"), 2, 100));
        assert!(!inbox.add_identities(digest("b:h"), 2, 100));
        assert!(!inbox.add_identities(digest(&"c".repeat(100)), 9, 100));
        assert!(inbox.add_identities(digest("a:h"), 2, 100));
        assert_eq!(inbox.identities().len(), 2);
    }
}
