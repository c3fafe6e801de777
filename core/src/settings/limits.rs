//! All limits in one place: everything that a client or an unauthenticated peer
//! can make a member keep is bounded here (C6, D4).

use serde::{Deserialize, Serialize};

/// What may share a frame with a log entry: earlier entries (at most 1 MiB, see
/// `consensus::log_store`), headers, and the leader's report.
const BESIDE_ENTRY_BYTES: usize = 2 << 20;
/// How much larger a command may be than its request.
const REQUEST_OVERHEAD_BYTES: usize = 64 << 10;
/// Frame lengths have 32 bits.
const PEER_FRAME_BYTES_MAX: usize = 1 << 30;
/// No log entry has more, whatever the limits were when it was made.
pub const ENTRY_BYTES_MAX: usize = PEER_FRAME_BYTES_MAX;

/// Limits, and what happens when one is reached.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Limits {
    /// Maximum ZooKeeper request. Bytes, default 1048575. A larger one closes the connection.
    /// ZooKeeper: `jute.maxbuffer`.
    pub zk_frame_bytes_max: u32,
    /// Maximum reply to a ZooKeeper client. Bytes, default 32 MiB, and at most half of
    /// `zk_outbox_bytes_max`; a read with a larger reply fails with -5 (`MarshallingError`) and
    /// leaves no watch. Set it to what the clients accept: Java clients accept 1048575 unless their
    /// `jute.maxbuffer` is larger, and drop the connection on a larger reply.
    pub zk_reply_bytes_max: usize,
    /// Maximum ZooKeeper connections; further ones are closed immediately. Default 50000.
    /// ZooKeeper: `maxCnxns`.
    pub zk_connections_max: usize,
    /// Maximum ZooKeeper connections from one address; further ones are closed immediately. 0, the
    /// default, means no limit. ZooKeeper: `maxClientCnxns`.
    pub zk_connections_per_ip_max: usize,
    /// Maximum ZooKeeper sessions of the whole cluster; this member refuses to open more. Default
    /// 1000000.
    pub zk_sessions_max: usize,
    /// Maximum requests in progress of one ZooKeeper connection; further ones stay in its socket.
    /// Default 1000.
    pub zk_outstanding_max: usize,
    /// The same for all ZooKeeper connections together: beyond it, connections with requests in
    /// progress are not read from. Default 32768, and at most half of `proposals_max`. ZooKeeper:
    /// `globalOutstandingLimit`.
    pub zk_outstanding_total_max: usize,
    /// Maximum watches of one ZooKeeper connection; one more closes it. Default 1000000.
    pub zk_watches_max: usize,
    /// Maximum watches of all ZooKeeper connections together; one more closes the connection that
    /// sets it. Default 10000000.
    pub zk_watches_total_max: usize,
    /// Maximum replies and events queued for a slow ZooKeeper client. Bytes, default 64 MiB; beyond
    /// it the connection is closed.
    pub zk_outbox_bytes_max: usize,
    /// Maximum identities that one ZooKeeper connection may authenticate as, with auth packets and
    /// SASL; one more fails authentication (-115), which closes the connection. Default 64.
    pub zk_identities_max: usize,
    /// The same in bytes, scheme and id together. Default 16384.
    pub zk_identity_bytes_max: usize,
    /// Maximum size of the identities stored with ZooKeeper sessions in the whole cluster, which
    /// are those too long to send with every command. Bytes, default 64 MiB; refused in the same
    /// way.
    pub zk_identity_bytes_total_max: usize,
    /// Maximum memory for all ZooKeeper connections together: requests received in part or in
    /// progress, unread replies, watched paths, identities. Bytes, default 512 MiB. Beyond it, the
    /// connection that uses most, of the address that uses most, is closed.
    pub zk_bytes_max: usize,
    /// The same for the connections from one address (one /64 network with IPv6). Bytes, default
    /// 192 MiB, and above `zk_outbox_bytes_max`. Beyond it, the connection of that address that
    /// uses most is closed; other addresses are not affected.
    pub zk_bytes_per_ip_max: usize,
    /// Maximum concurrent TLS handshakes on one port; further ones wait. Default 256. ZooKeeper:
    /// `netty.server.outstandingHandshake.limit`.
    pub tls_handshakes_max: usize,
    /// Maximum HTTP connections; further ones are closed immediately. Default 50000.
    pub http_connections_max: usize,
    /// Maximum HTTP connections from one address. Default 25000; one more is answered 429 and
    /// closed. Consul: `limits.http_max_conns_per_client`, 200 by default.
    pub http_connections_per_ip_max: usize,
    /// Maximum memory for all HTTP connections together: headers and bodies received in part,
    /// requests in progress or waiting, unread responses. Bytes, default 512 MiB. Beyond it, the
    /// connection that uses most, of the address that uses most, is closed; a request or response
    /// that alone is too large is answered 429 or 503.
    pub http_bytes_max: usize,
    /// The same for the connections from one address (one /64 network with IPv6). Bytes, default
    /// 192 MiB, and above `http_body_bytes_max`. Also limits the size of a response.
    pub http_bytes_per_ip_max: usize,
    /// Maximum HTTP request body where no smaller limit applies. Bytes, default 8 MiB; answered
    /// 413.
    pub http_body_bytes_max: usize,
    /// Maximum steps to evaluate one `filter=` over all rows of a response. A step is about one
    /// comparison; default 50000000, a few tenths of a second. More is answered 400.
    pub filter_steps_max: u64,
    /// Maximum value of a key. Bytes, default 524288; answered 413. Consul: `kv_max_value_size`.
    pub kv_value_bytes_max: usize,
    /// Maximum archive that `PUT /v1/snapshot` restores, both compressed and unpacked. Bytes,
    /// default 4 GiB; answered 413.
    pub archive_bytes_max: u64,
    /// Maximum operations in one Consul transaction. Default 128; answered 413.
    pub txn_ops_max: usize,
    /// Maximum body of one Consul transaction. Bytes, default 524288; answered 413. Consul:
    /// `txn_max_req_len`.
    pub txn_bytes_max: usize,
    /// Maximum commands waiting to be committed; further ones are refused as unavailable. Default
    /// 65536.
    pub proposals_max: usize,
    /// The same in bytes. Default 256 MiB.
    pub proposal_bytes_max: usize,
    /// Maximum size of a log entry with several commands. Bytes, default 1 MiB.
    pub batch_bytes_max: usize,
    /// Maximum peer connections that have not completed the handshake. One more closes the oldest
    /// of the address that has most of them; one address may have at most a quarter. Default 256.
    pub peer_handshakes_max: usize,
    /// Maximum frame between members; must be the same on all members. Bytes, default 64 MiB, at
    /// most 1 GiB. A command larger than this less `batch_bytes_max` and 2 MiB is refused; so are
    /// settings that allow a larger request (`zk_frame_bytes_max`, `http_body_bytes_max`). To lower
    /// it, stop all members first.
    pub peer_frame_bytes_max: usize,
}

impl Limits {
    /// The maximum reply to a ZooKeeper client, so that one reply does not make it a slow client.
    pub fn zk_reply_bytes(&self) -> usize {
        self.zk_reply_bytes_max.min(self.zk_outbox_bytes_max / 2)
    }

    /// Maximum requests in progress of all ZooKeeper connections: well below the maximum of waiting
    /// commands, so that load slows clients down instead of failing their requests.
    pub fn zk_outstanding_total(&self) -> usize {
        self.zk_outstanding_total_max.min(self.proposals_max / 2)
    }

    /// The maximum command: a log entry has to fit into one frame between members, with everything
    /// else in that frame.
    pub const fn command_bytes_max(&self) -> usize {
        self.peer_frame_bytes_max.saturating_sub(self.batch_bytes_max + BESIDE_ENTRY_BYTES)
    }

    /// The maximum log entry: a full batch, and one more command.
    pub fn entry_bytes_max(&self) -> usize {
        self.command_bytes_max() + self.batch_bytes_max
    }

    /// The maximum command that a client's request can become, with a margin.
    const fn request_bytes_max(&self) -> usize {
        let frame = self.zk_frame_bytes_max as usize + self.zk_identity_bytes_max;
        let sizes = [frame, self.http_body_bytes_max, self.kv_value_bytes_max, self.txn_bytes_max];
        let (mut largest, mut place) = (0, 0);
        while place < sizes.len() {
            if sizes[place] > largest {
                largest = sizes[place];
            }
            place += 1;
        }
        largest + REQUEST_OVERHEAD_BYTES
    }

    /// The smallest frame between members that these limits allow.
    pub const fn peer_frame_bytes_min(&self) -> usize {
        self.request_bytes_max() + self.batch_bytes_max + BESIDE_ENTRY_BYTES
    }

    /// Reports limits that contradict each other.
    pub(super) fn complain(&self, problems: &mut Vec<String>) {
        if !(self.peer_frame_bytes_min()..=PEER_FRAME_BYTES_MAX)
            .contains(&self.peer_frame_bytes_max)
        {
            problems.push(format!(
                "limits.peer_frame_bytes_max is {}, but must be {} to {PEER_FRAME_BYTES_MAX}, to \
                 fit the largest request (limits.zk_frame_bytes_max, limits.http_body_bytes_max, \
                 limits.kv_value_bytes_max, limits.txn_bytes_max) and limits.batch_bytes_max",
                self.peer_frame_bytes_max,
                self.peer_frame_bytes_min()
            ));
        }
        if self.zk_bytes_per_ip_max <= self.zk_outbox_bytes_max {
            problems.push(format!(
                "limits.zk_bytes_per_ip_max ({}) must be above limits.zk_outbox_bytes_max ({}): \
                 otherwise one slow client could use the whole budget of its address",
                self.zk_bytes_per_ip_max, self.zk_outbox_bytes_max
            ));
        }
        if self.http_bytes_per_ip_max <= self.http_body_bytes_max {
            problems.push(format!(
                "limits.http_bytes_per_ip_max ({}) must be above limits.http_body_bytes_max ({})",
                self.http_bytes_per_ip_max, self.http_body_bytes_max
            ));
        }
        if self.http_bytes_max < self.http_bytes_per_ip_max {
            problems.push(format!(
                "limits.http_bytes_max ({}) must not be below limits.http_bytes_per_ip_max ({})",
                self.http_bytes_max, self.http_bytes_per_ip_max
            ));
        }
        if self.zk_bytes_max < self.zk_bytes_per_ip_max {
            problems.push(format!(
                "limits.zk_bytes_max ({}) must not be below limits.zk_bytes_per_ip_max ({})",
                self.zk_bytes_max, self.zk_bytes_per_ip_max
            ));
        }
    }
}

impl Limits {
    const DEFAULT: Self = Self {
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
        zk_identities_max: 64,
        zk_identity_bytes_max: 16 << 10,
        zk_identity_bytes_total_max: 64 << 20,
        zk_bytes_max: 512 << 20,
        zk_bytes_per_ip_max: 192 << 20,
        tls_handshakes_max: 256,
        http_connections_max: 50_000,
        http_connections_per_ip_max: 25_000,
        http_bytes_max: 512 << 20,
        http_bytes_per_ip_max: 192 << 20,
        http_body_bytes_max: 8 << 20,
        filter_steps_max: 50_000_000,
        kv_value_bytes_max: 512 << 10,
        archive_bytes_max: 4 << 30,
        txn_ops_max: 128,
        txn_bytes_max: 512 << 10,
        proposals_max: 65_536,
        proposal_bytes_max: 256 << 20,
        batch_bytes_max: 1 << 20,
        peer_handshakes_max: 256,
        peer_frame_bytes_max: 64 << 20,
    };
}

impl Default for Limits {
    fn default() -> Self {
        Self::DEFAULT
    }
}

const _: () = assert!(
    Limits::DEFAULT.peer_frame_bytes_min() <= Limits::DEFAULT.peer_frame_bytes_max,
    "the largest request can be sent from one member to another"
);

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(limits: &Limits) -> Vec<String> {
        let mut problems = Vec::new();
        limits.complain(&mut problems);
        problems
    }

    #[test]
    fn a_request_that_members_could_not_send_each_other_is_a_problem_of_the_settings() {
        assert_eq!(problems(&Limits::default()), [""; 0]);
        for limits in [
            Limits { zk_frame_bytes_max: 64 << 20, ..Limits::default() },
            Limits { http_body_bytes_max: 62 << 20, ..Limits::default() },
            Limits { kv_value_bytes_max: 62 << 20, ..Limits::default() },
            Limits { batch_bytes_max: 60 << 20, ..Limits::default() },
            Limits { peer_frame_bytes_max: 8 << 20, ..Limits::default() },
            Limits { peer_frame_bytes_max: 2 << 30, ..Limits::default() },
        ] {
            let [problem] = &problems(&limits)[..] else { panic!("{limits:?}") };
            assert!(problem.contains("limits.peer_frame_bytes_max"), "{problem}");
        }
        let frame = Limits { zk_frame_bytes_max: 64 << 20, ..Limits::default() };
        let larger = Limits { peer_frame_bytes_max: frame.peer_frame_bytes_min(), ..frame };
        assert_eq!(problems(&larger), [""; 0]);
    }

    #[test]
    fn what_one_address_may_keep_is_more_than_one_connection_may() {
        let limits = Limits { zk_bytes_per_ip_max: 1 << 20, ..Limits::default() };
        assert!(problems(&limits)[0].contains("limits.zk_outbox_bytes_max"));
        let limits = Limits { zk_bytes_max: 128 << 20, ..Limits::default() };
        assert!(problems(&limits)[0].contains("limits.zk_bytes_per_ip_max"));
    }
}
