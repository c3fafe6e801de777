//! Cluster membership at run time: `reconfig`, the configuration text in `/zookeeper/config`,
//! whether that text names this member, and leadership transfer. Raft's part is in
//! `consensus`.

pub(super) mod change;
pub(super) mod config_membership;
mod config_text;
pub(super) mod config_znode;
mod leadership;
pub(super) mod request;
