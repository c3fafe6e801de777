//! What ZooKeeper's protocol is served like.

use serde::{Deserialize, Serialize};

use crate::error::Error;

/// What ZooKeeper's protocol is served like.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ZookeeperSettings {
    /// Whether this member confirms every read of a ZooKeeper client through
    /// the leader before it answers, so that no read is stale, whatever became
    /// of the leader meanwhile. Costs a round between members per read;
    /// pipelined reads share one. Default no: reads are answered from this
    /// member's own copy, as ZooKeeper does.
    pub linearizable_reads: bool,
    /// Whether this member serves clients that ask for read-only while it is
    /// cut off from the majority, with reads that may be stale. Default no.
    /// ZooKeeper: `readonlymode.enabled`.
    pub read_only_mode: bool,
    /// How long after the last word of a majority this member counts as cut off:
    /// it closes the connections of its ZooKeeper clients, so that they find
    /// another member before their sessions end. Milliseconds, default half of
    /// the shortest session timeout; never less than `raft.election_max_ms`,
    /// after which it answers nothing any more, so that no client takes an
    /// answer for a sign that its session lives.
    pub cut_off_ms: Option<u32>,
    /// Whether new sessions are known to this member alone: opening and closing
    /// one writes nothing, it owns no ephemerals and cannot move to another
    /// member. Default no. ZooKeeper: `localSessionsEnabled`.
    pub local_sessions: bool,
    /// Whether such a session becomes an ordinary one with its first ephemeral,
    /// instead of the creation being refused. Default no. ZooKeeper:
    /// `localSessionsUpgradingEnabled`.
    pub local_sessions_upgrade: bool,
    /// Whether clients may change who takes part, with `reconfig`, if they may
    /// write `/zookeeper/config` beside. Default no, as in ZooKeeper. The leader's
    /// counts. ZooKeeper: `reconfigEnabled`.
    pub reconfig: bool,
    /// Whether `reconfig` may leave a single voter. Default no. ZooKeeper: the
    /// opposite of `standaloneEnabled`.
    pub lone_voter: bool,
    /// Whether access lists are kept but not checked for clients of this
    /// member. Default no. ZooKeeper: `skipACL`.
    pub skip_acl: bool,
}

impl ZookeeperSettings {
    /// Takes over a key of a `zoo.cfg`. False if it is about something else.
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
        _ => Err(Error::invalid(format!("{key}: '{value}' is neither true nor false"))),
    }
}
