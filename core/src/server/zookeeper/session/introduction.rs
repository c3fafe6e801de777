//! Sends the identities of a connection to the state machine.
//!
//! The state machine checks ACLs against the identities of a command. Short
//! identities are sent with each command. Long ones are stored with the session
//! once, before the first command that depends on them, and commands omit them.
//! Otherwise every command of a client with many identities would write them to
//! the log, on every member.
//!
//! A local session has no record in the state: there, all identities are sent
//! with each command, up to the limits of a connection.

use std::sync::Arc;

use coord_state::session::SessionCommand;
use coord_state::znode::Identity;

use crate::server::zookeeper::translate::Owner;

/// What is no longer than this comes with each command: the address and a user
/// or two.
pub(super) const CARRIED_BYTES_MAX: usize = 256;

/// What the cluster was told of one connection.
#[derive(Debug, Default)]
pub(crate) struct Introduction {
    told: Option<Arc<[Identity]>>,
}

impl Introduction {
    /// What a command of `owner` carries itself.
    pub(crate) fn carried(owner: Owner, identities: &[Identity]) -> &[Identity] {
        if owner.local || is_short(identities) { identities } else { &[] }
    }

    /// What has to be submitted before a command of `owner`.
    pub(crate) fn due(
        &mut self,
        owner: Owner,
        identities: &Arc<[Identity]>,
    ) -> Option<SessionCommand> {
        let is_known = self.told.as_ref().is_some_and(|told| Arc::ptr_eq(told, identities));
        if owner.local || is_known || is_short(identities) {
            return None;
        }
        self.told = Some(Arc::clone(identities));
        let Owner { session, attachment, .. } = owner;
        Some(SessionCommand::Identify { session, attachment, identities: identities[..].into() })
    }
}

fn is_short(identities: &[Identity]) -> bool {
    identities.iter().map(Identity::bytes).sum::<usize>() <= CARRIED_BYTES_MAX
}

#[cfg(test)]
mod tests {
    use coord_state::{Attachment, SessionId};

    use super::*;

    const OWNER: Owner = Owner { session: SessionId(1), attachment: Attachment(2), local: false };

    fn identities(count: usize) -> Arc<[Identity]> {
        let digest = |number| Identity {
            scheme: "digest".into(),
            id: format!("user{number}:0bX78nEegDzJM3ju0iLBEJdWzjg=").into(),
        };
        (0..count).map(digest).collect()
    }

    #[test]
    fn what_is_short_comes_with_each_command() {
        let few = identities(3);
        assert_eq!(Introduction::carried(OWNER, &few), &few[..]);
        assert_eq!(Introduction::default().due(OWNER, &few), None);
    }

    #[test]
    fn what_is_long_is_told_once_until_there_is_more() {
        let (many, more) = (identities(20), identities(21));
        let mut introduction = Introduction::default();
        assert_eq!(Introduction::carried(OWNER, &many), []);
        let told = |identities: &Arc<[Identity]>| SessionCommand::Identify {
            session: OWNER.session,
            attachment: OWNER.attachment,
            identities: identities[..].into(),
        };
        assert_eq!(introduction.due(OWNER, &many), Some(told(&many)));
        assert_eq!(introduction.due(OWNER, &many), None);
        assert_eq!(introduction.due(OWNER, &more), Some(told(&more)));
    }

    #[test]
    fn a_local_session_carries_everything() {
        let (local, many) = (Owner { local: true, ..OWNER }, identities(20));
        assert_eq!(Introduction::carried(local, &many), &many[..]);
        let mut introduction = Introduction::default();
        assert_eq!(introduction.due(local, &many), None);
        // Until it becomes an ordinary one.
        assert!(introduction.due(OWNER, &many).is_some());
    }
}
