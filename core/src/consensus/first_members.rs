//! The first members of a cluster, and a member's answer when asked whether it belongs to a
//! cluster already.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coord_state::MemberId;
use coord_state::codec::{CodecError, Decode, Encode, Input};

/// The members a cluster begins with.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct FirstMembers {
    /// All of them and their peer addresses; none for a member that waits to
    /// be added to a running cluster.
    pub addresses: BTreeMap<MemberId, String>,
    /// Those without a vote.
    pub observers: BTreeSet<MemberId>,
}

/// What a member says when asked how it stands.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum BootstrapState {
    /// It belongs to a cluster.
    Formed,
    /// It waits for the first start of this one.
    Fresh(FirstMembers),
}

impl FirstMembers {
    pub(super) fn voters(&self) -> impl Iterator<Item = MemberId> + '_ {
        self.addresses.keys().copied().filter(|member| !self.observers.contains(member))
    }
}

impl BootstrapState {
    pub(super) fn encode(&self, out: &mut Vec<u8>) {
        match self {
            Self::Formed => out.push(1),
            Self::Fresh(FirstMembers { addresses, observers }) => {
                out.push(0);
                let addresses: Vec<(MemberId, String)> =
                    addresses.iter().map(|(member, at)| (*member, at.clone())).collect();
                addresses.encode(out);
                observers.iter().copied().collect::<Vec<MemberId>>().encode(out);
            }
        }
    }

    pub(super) fn decode(bytes: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(bytes);
        let state = match u8::decode(&mut input)? {
            0 => {
                let addresses = Vec::<(MemberId, String)>::decode(&mut input)?;
                let observers = Vec::<MemberId>::decode(&mut input)?;
                Self::Fresh(FirstMembers {
                    addresses: addresses.into_iter().collect(),
                    observers: observers.into_iter().collect(),
                })
            }
            1 => Self::Formed,
            tag => return Err(CodecError::UnknownTag { what: "state", tag: tag.into() }),
        };
        input.finish("state")?;
        Ok(state)
    }
}
