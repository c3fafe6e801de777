//! The tree of znodes, as ZooKeeper 3.9 defines it.

mod acl;
mod acl_table;
mod change;
mod command;
mod content;
mod extension;
mod frozen;
mod invariants;
mod lifetime;
mod path;
mod quota;
mod record;
mod scheme;
mod stat;
mod stored_command;
mod stored_record;
#[cfg(test)]
mod tests;
mod tree;
mod undo;
mod view;

pub use acl::{Ace, Acl, Identity, permission};
pub use command::{Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};
pub use content::Reach;
pub use extension::DELETED_MAX;
pub(crate) use frozen::FrozenTree;
pub use lifetime::Lifetime;
pub use scheme::ANY_SASL;
pub use stat::Stat;
pub use tree::Tree;
pub use view::Znode;
