//! Every bound in one place. What a stranger can grow has its limit here.

use serde::{Deserialize, Serialize};

/// What may go with a log entry in one frame: entries before it (1 MiB at most,
/// see `consensus::log_store`), numbers, and what the leader tells beside them.
const BESIDE_ENTRY_BYTES: usize = 2 << 20;
/// What a command may have beside what came in its request.
const REQUEST_OVERHEAD_BYTES: usize = 64 << 10;
/// Lengths of frames have 32 bits.
const PEER_FRAME_BYTES_MAX: usize = 1 << 30;

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
    /// Identities that one ZooKeeper connection may prove, by auth packets and SASL; one more is
    /// refused as an authentication that failed (-115), which ends the connection. Default 64.
    pub zk_identities_max: usize,
    /// The same in bytes, scheme and id together. Default 16384.
    pub zk_identity_bytes_max: usize,
    /// Identities of all ZooKeeper sessions of the cluster that are kept with their sessions, because
    /// they are too long to come with each command. Bytes, default 64 MiB; refused in the same way.
    pub zk_identity_bytes_total_max: usize,
    /// What is kept for all ZooKeeper connections together: requests received in
    /// part or in progress, replies not taken, names watched, identities proven.
    /// Bytes, default 512 MiB. Where it would be more, the connection that keeps
    /// most, of the address that keeps most, is closed.
    pub zk_bytes_max: usize,
    /// The same for the connections from one address (from one /64 network of
    /// IPv6 addresses). Bytes, default 192 MiB, and above what one connection may
    /// keep (`zk_outbox_bytes_max`). Where it would be more, the connection from
    /// there that keeps most is closed; those from elsewhere are not touched.
    pub zk_bytes_per_ip_max: usize,
    /// TLS handshakes under way at once on one port; more wait for their turn. Default 256.
    /// ZooKeeper: `netty.server.outstandingHandshake.limit`.
    pub tls_handshakes_max: usize,
    /// HTTP connections in all; more are closed at once. Default 50000.
    pub http_connections_max: usize,
    /// HTTP connections from one address. Default 25000, half of all; one more is answered
    /// 429 and closed. Consul: `limits.http_max_conns_per_client`, 200 by default.
    pub http_connections_per_ip_max: usize,
    /// What is kept for all HTTP connections together: heads and bodies received in part,
    /// requests in progress or waiting, answers not taken. Bytes, default 512 MiB. Where it
    /// would be more, the connection that keeps most, of the address that keeps most, is
    /// closed; a request or an answer that is itself too much is answered 429 or 503.
    pub http_bytes_max: usize,
    /// The same for the connections from one address (from one /64 network of IPv6
    /// addresses). Bytes, default 192 MiB, and above `http_body_bytes_max`. It bounds the
    /// longest answer, too.
    pub http_bytes_per_ip_max: usize,
    /// Largest HTTP body where no smaller limit applies. Bytes, default 8 MiB; answered 413.
    pub http_body_bytes_max: usize,
    /// Steps that the evaluation of one `filter=` may take over all rows of its answer. A
    /// step is about one comparison; default 50000000, some tenths of a second. More is
    /// answered 400.
    pub filter_steps_max: u64,
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
    /// Connections of other members that have not proven yet whose they are.
    /// One more closes the oldest of the address that has most of them, and an
    /// address has a quarter at most. Default 256.
    pub peer_handshakes_max: usize,
    /// Largest frame between members, the same for all of them. Bytes, default
    /// 64 MiB, at most 1 GiB. A change that would not fit into one, with
    /// `batch_bytes_max` and 2 MiB beside it, is refused; so is a configuration in
    /// which the largest request (`zk_frame_bytes_max`, `http_body_bytes_max`)
    /// would not. To lower it, stop all members first.
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

    /// The largest command that can be ordered: a log entry has to fit into one
    /// frame between members, with whatever else goes with it.
    pub const fn command_bytes_max(&self) -> usize {
        self.peer_frame_bytes_max.saturating_sub(self.batch_bytes_max + BESIDE_ENTRY_BYTES)
    }

    /// The largest log entry: commands that gathered, and one more.
    pub fn entry_bytes_max(&self) -> usize {
        self.command_bytes_max() + self.batch_bytes_max
    }

    /// The largest command that clients can make of a request, and a bit.
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

    /// Limits that do not leave each other the room they need.
    pub(super) fn complain(&self, problems: &mut Vec<String>) {
        if !(self.peer_frame_bytes_min()..=PEER_FRAME_BYTES_MAX)
            .contains(&self.peer_frame_bytes_max)
        {
            problems.push(format!(
                "limits.peer_frame_bytes_max is {}, but must be {} to {PEER_FRAME_BYTES_MAX}, so that \
                 members can send each other the largest request (limits.zk_frame_bytes_max, \
                 limits.http_body_bytes_max, limits.kv_value_bytes_max, limits.txn_bytes_max) and \
                 limits.batch_bytes_max",
                self.peer_frame_bytes_max,
                self.peer_frame_bytes_min()
            ));
        }
        if self.zk_bytes_per_ip_max <= self.zk_outbox_bytes_max {
            problems.push(format!(
                "limits.zk_bytes_per_ip_max ({}) must be above limits.zk_outbox_bytes_max ({}): \
                 one slow client would take what all of its address have",
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
                "limits.http_bytes_max ({}) is below limits.http_bytes_per_ip_max ({})",
                self.http_bytes_max, self.http_bytes_per_ip_max
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
