//! Every bound in one place. What a stranger can grow has its limit here.

use serde::{Deserialize, Serialize};

/// Bounds, and what happens when one is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Largest ZooKeeper request. Bytes, default 1048575. A longer one closes
    /// the connection. ZooKeeper: `jute.maxbuffer`.
    pub zk_frame_bytes_max: u32,
    /// Largest reply to a ZooKeeper client. Bytes, default 32 MiB, and at most
    /// half of `zk_outbox_bytes_max`; a read whose answer is larger is refused
    /// with -5 (`MarshallingError`) and leaves no watch. Set it to what the
    /// clients take: Java's take 1048575 unless their `jute.maxbuffer` says
    /// more, and lose their connection over a larger reply.
    pub zk_reply_bytes_max: usize,
    /// ZooKeeper connections in all; more are closed at once. Default 50000. ZooKeeper: `maxCnxns`.
    pub zk_connections_max: usize,
    /// ZooKeeper connections from one address; more are closed at once. 0, the
    /// default, is any number. ZooKeeper: `maxClientCnxns`.
    pub zk_connections_per_ip_max: usize,
    /// ZooKeeper sessions in all, whichever member they are on; who asks this
    /// member for one more is turned away. Default 1000000.
    pub zk_sessions_max: usize,
    /// Requests of one ZooKeeper connection in progress; further ones wait in
    /// its socket. Default 1000.
    pub zk_outstanding_max: usize,
    /// The same for all ZooKeeper connections together: beyond it, a
    /// connection that has requests in progress is not read from. Default
    /// 32768, and at most half of `proposals_max`. ZooKeeper:
    /// `globalOutstandingLimit`.
    pub zk_outstanding_total_max: usize,
    /// Watches of one ZooKeeper connection; one more closes it. Default 1000000.
    pub zk_watches_max: usize,
    /// Watches of all ZooKeeper connections together; one more closes the
    /// connection that asks for it. Default 10000000.
    pub zk_watches_total_max: usize,
    /// Replies and events waiting for a slow ZooKeeper client. Bytes, default
    /// 64 MiB; past it the connection is closed.
    pub zk_outbox_bytes_max: usize,
    /// What is kept for all ZooKeeper connections together: requests received in
    /// part or in progress, replies not taken, names watched, identities proven.
    /// Bytes, default 512 MiB. Where it would be more, the connection that keeps
    /// most, of the address that keeps most, is closed.
    pub zk_bytes_max: usize,
    /// The same for the connections from one address (from one /64 network of
    /// IPv6 addresses). Bytes, default 256 MiB, and above what one connection may
    /// keep (`zk_outbox_bytes_max`). Where it would be more, the connection from
    /// there that keeps most is closed; those from elsewhere are not touched.
    pub zk_bytes_per_ip_max: usize,
    /// TLS handshakes under way at once on one port; more wait for their turn. Default 256.
    /// ZooKeeper: `netty.server.outstandingHandshake.limit`.
    pub tls_handshakes_max: usize,
    /// HTTP connections in all; more are closed at once. Default 50000.
    pub http_connections_max: usize,
    /// Largest HTTP body where no smaller limit applies. Bytes, default 8 MiB; answered 413.
    pub http_body_bytes_max: usize,
    /// Largest value of a key. Bytes, default 524288; answered 413. Consul: `kv_max_value_size`.
    pub kv_value_bytes_max: usize,
    /// Largest archive that `PUT /v1/snapshot` restores, as sent and unpacked.
    /// Bytes, default 4 GiB; answered 413.
    pub archive_bytes_max: u64,
    /// Operations of one Consul transaction, default 128; answered 413.
    pub txn_ops_max: usize,
    /// Body of one Consul transaction. Bytes, default 524288; answered 413. Consul: `txn_max_req_len`.
    pub txn_bytes_max: usize,
    /// Commands waiting to be ordered; more are refused as unavailable. Default 65536.
    pub proposals_max: usize,
    /// The same in bytes, default 256 MiB.
    pub proposal_bytes_max: usize,
    /// Largest log entry made of several commands. Bytes, default 1 MiB.
    pub batch_bytes_max: usize,
    /// Largest frame between members. Bytes, default 64 MiB.
    pub peer_frame_bytes_max: usize,
}

impl Limits {
    /// The largest reply to a ZooKeeper client that does not make it a slow one.
    pub fn zk_reply_bytes(&self) -> usize {
        self.zk_reply_bytes_max.min(self.zk_outbox_bytes_max / 2)
    }

    /// Requests of all ZooKeeper connections in progress: well below what can
    /// wait to be ordered, so that load slows clients down but refuses none.
    pub fn zk_outstanding_total(&self) -> usize {
        self.zk_outstanding_total_max.min(self.proposals_max / 2)
    }

    /// Limits that do not leave each other the room they need.
    pub(super) fn complain(&self, problems: &mut Vec<String>) {
        if self.zk_bytes_per_ip_max <= self.zk_outbox_bytes_max {
            problems.push(format!(
                "limits.zk_bytes_per_ip_max ({}) must be above limits.zk_outbox_bytes_max ({}): \
                 one slow client would take what all of its address have",
                self.zk_bytes_per_ip_max, self.zk_outbox_bytes_max
            ));
        }
        if self.zk_bytes_max < self.zk_bytes_per_ip_max {
            problems.push(format!(
                "limits.zk_bytes_max ({}) is below limits.zk_bytes_per_ip_max ({})",
                self.zk_bytes_max, self.zk_bytes_per_ip_max
            ));
        }
    }
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            zk_frame_bytes_max: 0xf_ffff,
            zk_reply_bytes_max: 32 << 20,
            zk_connections_max: 50_000,
            zk_connections_per_ip_max: 0,
            zk_sessions_max: 1_000_000,
            zk_outstanding_max: 1000,
            zk_outstanding_total_max: 32_768,
            zk_watches_max: 1_000_000,
            zk_watches_total_max: 10_000_000,
            zk_outbox_bytes_max: 64 << 20,
            zk_bytes_max: 512 << 20,
            zk_bytes_per_ip_max: 256 << 20,
            tls_handshakes_max: 256,
            http_connections_max: 50_000,
            http_body_bytes_max: 8 << 20,
            kv_value_bytes_max: 512 << 10,
            archive_bytes_max: 4 << 30,
            txn_ops_max: 128,
            txn_bytes_max: 512 << 10,
            proposals_max: 65_536,
            proposal_bytes_max: 256 << 20,
            batch_bytes_max: 1 << 20,
            peer_frame_bytes_max: 64 << 20,
        }
    }
}
