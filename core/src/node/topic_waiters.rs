//! Who waits for a change of what: the long poll behind Consul's blocking
//! queries. Waiters are local to this member.

use std::sync::Arc;

use coord_state::event::Topic;

/// All waiters of one member.
#[derive(Debug, Default)]
pub struct TopicWaiters {}

/// One registration; dropping it unregisters.
#[derive(Debug)]
pub struct TopicWaiter {}

impl TopicWaiters {
    /// Registers for the next change of any of `topics`. To lose no change,
    /// register inside the [`super::Node::read`] that computed the answer.
    pub fn register(self: &Arc<Self>, _topics: Vec<Topic>) -> TopicWaiter {
        TopicWaiter {}
    }
}

impl TopicWaiter {
    /// Returns once one of the topics changed after registration. Cancel safe.
    pub async fn changed(&mut self) {
        std::future::pending().await
    }
}
