//! Detection and repair of diverged state: fingerprints to compare with other members, the
//! majority decision on whose state is correct, and turning clients away while this member
//! reinstalls or recovers its state.

pub(super) mod digest_history;
pub(super) mod fingerprints;
pub(super) mod integrity;
pub(super) mod recovery;
