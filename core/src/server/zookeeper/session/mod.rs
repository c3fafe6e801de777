//! Session setup and authentication: the connect handshake, global and local sessions, auth
//! schemes and SASL, and whether this member accepts clients at the moment. Requests on an
//! established session are not handled here.

pub(super) mod authentication;
pub(super) mod authority;
pub(super) mod handshake;
pub(super) mod identity;
pub(super) mod introduction;
pub(super) mod local_sessions;
mod sasl;
pub(super) mod service_mode;
pub(super) mod upkeep;
