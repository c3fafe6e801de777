//! `reconfig`: asks the node to change the membership and replies with the
//! outcome.

use std::sync::Arc;

use coord_state::znode::Caller;
use coord_wire::zookeeper::{ErrorCode, Request, Text, jute, record};

use super::client_connection::ClientConnection;
use super::outbox::Outbox;
use super::translate::Owner;
use crate::node::{ChangeRefusal, ChangedConfig, MembershipChange};

/// Asks the node; the outcome comes to the inbox under `token`.
pub(super) fn begin(client: &Arc<ClientConnection>, owner: Owner, request: Request, token: u64) {
    let Request::Reconfig { joining, leaving, new_members, based_on } = request else { return };
    let text = |text: Option<Text>| text.map(|text| text.to_string());
    let caller = Caller {
        // One that only this member knows cannot be looked up elsewhere.
        session: (!owner.local).then_some((owner.session, owner.attachment)),
        identities: (&*client.inbox.identities()).into(),
    };
    let (joining, leaving, members) = (text(joining), text(leaving), text(new_members));
    let change = MembershipChange { caller, joining, leaving, members, based_on };
    let client = Arc::clone(client);
    tokio::spawn(async move {
        let outcome = client.shared.node.change_membership(change).await;
        if let Err(error) = &outcome {
            // The client sees its connection end, as with ZooKeeper, and nothing else.
            tracing::warn!(%error, "the outcome of a reconfig is unknown");
        }
        client.inbox.reconfigured(token, outcome);
    });
}

/// The reply. False if the connection is closed instead.
pub(super) fn answer(
    outbox: &mut Outbox,
    xid: i32,
    zxid: i64,
    outcome: &Result<ChangedConfig, ChangeRefusal>,
) -> bool {
    match outcome {
        Ok(config) => outbox.reply(xid, zxid, |out| {
            jute::put_buffer(out, Some(&config.text));
            record::put_stat(out, &config.stat);
            Ok(())
        }),
        Err(refusal) => {
            let Some(code) = error_code(*refusal) else { return false };
            outbox.reply(xid, zxid, |_| Err(code));
        }
    }
    true
}

/// The code for a refusal; `None` if the connection is closed instead.
fn error_code(refusal: ChangeRefusal) -> Option<ErrorCode> {
    Some(match refusal {
        ChangeRefusal::Disabled => ErrorCode::ReconfigDisabled,
        ChangeRefusal::SessionExpired => ErrorCode::SessionExpired,
        ChangeRefusal::SessionMoved => return None,
        ChangeRefusal::Standalone => ErrorCode::Unimplemented,
        ChangeRefusal::InProgress => ErrorCode::ReconfigInProgress,
        ChangeRefusal::BadVersion => ErrorCode::BadVersion,
        ChangeRefusal::BadArguments => ErrorCode::BadArguments,
        ChangeRefusal::NoQuorum => ErrorCode::NewConfigNoQuorum,
        ChangeRefusal::NoAuth => ErrorCode::NoAuth,
    })
}
