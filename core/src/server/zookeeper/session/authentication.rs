//! Authentication of a connection: by client certificate, auth packets and
//! SASL; and whether that satisfies the required schemes.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;

use bytes::Bytes;
use coord_state::znode::Identity;
use coord_wire::zookeeper::header::ReplyHeader;
use coord_wire::zookeeper::jute::put_buffer;
use coord_wire::zookeeper::{ErrorCode, OpCode, Request};

use super::identity;
use super::introduction::CARRIED_BYTES_MAX;
use super::sasl::{Exchange, Step};
use crate::server::zookeeper::client_connection::ClientConnection;
use crate::server::zookeeper::outbox::Outbox;

/// One connection's proofs.
pub(crate) struct Authentication {
    client: Arc<ClientConnection>,
    sasl: Exchange,
}

impl Authentication {
    pub(crate) fn new(client: Arc<ClientConnection>) -> Self {
        Self { client, sasl: Exchange::default() }
    }

    /// Whether requests are served now.
    pub(crate) fn suffices(&self) -> bool {
        let authority = &self.client.shared.authority;
        // Asked for every request, and mostly nothing is required.
        authority.required.is_empty() || authority.suffices(&self.client.inbox.identities())
    }

    /// Answers an auth or SASL packet at once, before what is still in
    /// progress. False if it is the last of its connection.
    pub(crate) fn answer(
        &mut self,
        xid: i32,
        op: OpCode,
        body: Bytes,
        outbox: &mut Outbox,
    ) -> bool {
        match Request::decode(op, body) {
            Ok(Request::Auth { scheme, auth }) => self.prove(xid, &scheme, auth.as_deref(), outbox),
            Ok(Request::Sasl { token }) => {
                self.negotiate(xid, token.as_deref().unwrap_or_default(), outbox)
            }
            _ => {
                outbox.reply(xid, 0, |_| Err(ErrorCode::AuthFailed));
                self.count_failure();
                false
            }
        }
    }

    fn prove(&self, xid: i32, scheme: &str, proof: Option<&[u8]>, outbox: &mut Outbox) -> bool {
        let authority = &self.client.shared.authority;
        let proven = match scheme {
            // What the certificate has proven is proven.
            "x509" => {
                let proven = self.client.inbox.identities();
                proven.iter().find(|one| &*one.scheme == "x509").map(|one| vec![one.clone()])
            }
            _ => identity::prove(scheme, proof, self.client.address)
                .map(|identity| authority.of_digest(identity)),
        };
        let Some(proven) = proven else {
            outbox.reply(xid, 0, |_| Err(ErrorCode::AuthFailed));
            self.count_failure();
            return false;
        };
        let added = self.add(proven);
        outbox.reply(xid, 0, |_| if added { Ok(()) } else { Err(ErrorCode::AuthFailed) });
        added
    }

    fn negotiate(&mut self, xid: i32, token: &[u8], outbox: &mut Outbox) -> bool {
        let shared = &self.client.shared;
        let authority = &shared.authority;
        let answer = match self.sasl.step(token, &authority.users, shared.node.random()) {
            Step::Challenge(answer) => Some(answer),
            Step::Proven { user, answer } if self.add(authority.of_sasl_user(&user)) => {
                tracing::debug!(client = %self.client.address, user, "authenticated by SASL");
                Some(answer)
            }
            Step::Proven { .. } => None,
            Step::Refused(reason) => {
                tracing::info!(client = %self.client.address, reason, "SASL authentication failed");
                self.count_failure();
                None
            }
        };
        let stays = authority.settings.sasl_failed_stay && !authority.requires_sasl();
        let error = match &answer {
            Some(_) => ErrorCode::Ok,
            None if stays => ErrorCode::Ok,
            None if authority.requires_sasl() => ErrorCode::SessionClosedRequireSaslAuth,
            None => ErrorCode::AuthFailed,
        };
        // Unlike any other, a reply that refuses has a body: no token.
        outbox.frame(|out| {
            ReplyHeader { xid, zxid: 0, error }.encode(out);
            put_buffer(out, answer.as_deref());
        });
        error == ErrorCode::Ok
    }

    /// False if there are too many by now.
    fn add(&self, proven: Vec<Identity>) -> bool {
        let ClientConnection { shared, inbox, address, .. } = &*self.client;
        let limits = &shared.limits;
        let told = shared.node.read(|state| state.sessions().identity_bytes());
        let limit = limits.zk_identity_bytes_total_max.saturating_sub(told);
        let bytes_max = limits.zk_identity_bytes_max.min(limit.max(CARRIED_BYTES_MAX));
        let added = inbox.add_identities(proven, limits.zk_identities_max, bytes_max);
        if !added {
            tracing::info!(
                client = %address,
                "refusing a client with too many identities (limits.zk_identities_max, \
                 limits.zk_identity_bytes_max, limits.zk_identity_bytes_total_max)"
            );
            self.count_failure();
        }
        added
    }

    fn count_failure(&self) {
        self.client.shared.counters.auth_failed.fetch_add(1, Relaxed);
    }
}
