//! The tree of znodes, as ZooKeeper 3.9 defines it.

mod acl;
mod command;
mod stat;
mod tree;

pub use acl::{Ace, Acl, Identity, permission};
pub use command::{Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};
pub use stat::Stat;
pub use tree::{Tree, Znode};
