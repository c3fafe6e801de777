//! Settings of the ZooKeeper protocol.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// Settings of the ZooKeeper protocol.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZookeeperSettings {
    /// Whether reads of ZooKeeper clients are linearizable: the leader confirms
    /// each one before this member answers, so that no read is stale, even
    /// across a change of leader. Costs a round trip between members per read;
    /// pipelined reads share one. Default no: reads are answered from this
    /// member's own copy, as in ZooKeeper.
    pub linearizable_reads: bool,
    /// Whether this member serves clients that accept read-only mode while it
    /// is partitioned from the majority; reads may be stale. Default no.
    /// ZooKeeper: `readonlymode.enabled`.
    pub read_only_mode: bool,
    /// How long after its last contact to a majority this member counts as
    /// partitioned: it then closes the connections of its ZooKeeper clients, so
    /// that they move to another member before their sessions expire.
    /// Milliseconds, default half of the minimum session timeout; never less
    /// than `raft.election_max_ms`, after which it stops answering, so that no
    /// client takes an answer as proof that its session is alive.
    pub cut_off_ms: Option<u32>,
    /// Whether new sessions are local to this member: opening and closing one
    /// writes nothing, it cannot own ephemerals and cannot move to another
    /// member. Default no. ZooKeeper: `localSessionsEnabled`.
    pub local_sessions: bool,
    /// Whether a local session is upgraded to a global one when it creates an
    /// ephemeral, instead of refusing the create. Default no. ZooKeeper:
    /// `localSessionsUpgradingEnabled`.
    pub local_sessions_upgrade: bool,
    /// Whether clients may change the membership with `reconfig`; they also
    /// need write permission for `/zookeeper/config`. Default no, as in
    /// ZooKeeper. The setting of the leader applies. ZooKeeper:
    /// `reconfigEnabled`.
    pub reconfig: bool,
    /// Whether `reconfig` may reduce the cluster to a single voter. Default no.
    /// ZooKeeper: the opposite of `standaloneEnabled`.
    pub lone_voter: bool,
    /// Whether ACLs are stored but not checked for clients of this member.
    /// Default no. ZooKeeper: `skipACL`.
    pub skip_acl: bool,
}

impl ZookeeperSettings {
    /// Applies a key of a `zoo.cfg`. False if it is not one of these.
    pub(super) fn set_as_in_zoo_cfg(&mut self, key: &str, value: &str) -> Result<bool, Error> {
        match key {
            "readonlymode.enabled" => self.read_only_mode = switch(key, value)?,
            "localSessionsEnabled" => self.local_sessions = switch(key, value)?,
            "localSessionsUpgradingEnabled" => self.local_sessions_upgrade = switch(key, value)?,
            "reconfigEnabled" => self.reconfig = switch(key, value)?,
            "standaloneEnabled" => self.lone_voter = !switch(key, value)?,
            "skipACL" => self.skip_acl = switch(key, value)?,
            _ => return Ok(false),
        }
        Ok(true)
    }
}

fn switch(key: &str, value: &str) -> Result<bool, Error> {
    match value.to_ascii_lowercase().as_str() {
        "true" | "yes" => Ok(true),
        "false" | "no" => Ok(false),
        _ => Err(Error::invalid(format!("{key}: '{value}' is not true or false"))),
    }
}
