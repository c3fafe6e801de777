//! What a read is evaluated with.

use coord_state::StateMachine;
use coord_state::znode::Identity;

use super::translate::Owner;
use super::watch::Registrar;

/// Bytes of a stat.
pub(super) const STAT_BYTES: usize = 68;

/// What a read is evaluated with.
pub(super) struct Reader<'a> {
    pub(super) state: &'a StateMachine,
    pub(super) identities: &'a [Identity],
    pub(super) owner: Owner,
    pub(super) watches: &'a Registrar<'a>,
    pub(super) reply_bytes_max: usize,
}
