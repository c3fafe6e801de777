//! Access lists.

use alloc::boxed::Box;
use alloc::sync::Arc;

/// Permission bits of an [`Ace`].
pub mod permission {
    /// Read data, list children.
    pub const READ: u32 = 1;
    /// Set data.
    pub const WRITE: u32 = 2;
    /// Create children.
    pub const CREATE: u32 = 4;
    /// Delete children.
    pub const DELETE: u32 = 8;
    /// Set the access list.
    pub const ADMIN: u32 = 16;
    /// All of them.
    pub const ALL: u32 = 31;
}

/// Who somebody is, under one scheme.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Identity {
    /// `world`, `auth`, `digest`, `ip`, `x509`, `sasl`, `super`.
    pub scheme: Box<str>,
    /// Meaning depends on the scheme.
    pub id: Box<str>,
}

/// One entry of an access list.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Ace {
    /// Bits of [`permission`]; others are kept as they are.
    pub perms: u32,
    /// To whom.
    pub identity: Identity,
}

/// An access list, shared by all znodes that have the same one.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Acl(pub Arc<[Ace]>);

crate::record!(Identity { scheme, id });
crate::record!(Ace { perms, identity });
