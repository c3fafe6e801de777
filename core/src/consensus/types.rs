//! openraft's type configuration, and encodings for storage and network.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use bytes::Bytes;
use coord_state::codec::{CodecError, Decode, Encode, Input};
use openraft::entry::EntryPayload;
use openraft::impls::{BasicNode, InlineBatch, leader_id_std};
use openraft::raft::responder::Responder;
use openraft::vote::{RaftLeaderId, leader_id_std::CommittedLeaderId};
use openraft::{AnyError, OptionalSend, RaftTypeConfig};

use crate::storage::{LogEntry, LogPosition, StoredVote};

/// openraft's parameters. One leader per term, so that the term counts leaders
/// as a ZooKeeper epoch does.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct TypeConfig;

pub(super) type LeaderId = leader_id_std::LeaderId<u64, u64>;
pub(super) type LogId = openraft::LogId<CommittedLeaderId<u64>>;
pub(super) type Vote = openraft::Vote<LeaderId>;
pub(super) type Membership = openraft::Membership<u64, BasicNode>;
pub(super) type StoredMembership =
    openraft::StoredMembership<CommittedLeaderId<u64>, u64, BasicNode>;
pub(super) type Entry = openraft::Entry<CommittedLeaderId<u64>, Payload>;
pub(super) type Payload = EntryPayload<Proposal, u64, BasicNode>;
pub(super) type SnapshotMeta = openraft::SnapshotMeta<CommittedLeaderId<u64>, u64, BasicNode>;
pub(super) type RaftSnapshot =
    openraft::Snapshot<CommittedLeaderId<u64>, u64, BasicNode, crate::storage::Snapshot>;

impl RaftTypeConfig for TypeConfig {
    type D = Proposal;
    type R = ();
    type NodeId = u64;
    type Node = BasicNode;
    type Term = u64;
    type LeaderId = LeaderId;
    type Vote = Vote;
    type Payload = Payload;
    type Entry = Entry;
    type AsyncRuntime = openraft_rt_tokio::TokioRuntime;
    type Responder<T>
        = Respond<T>
    where
        T: OptionalSend + 'static;
    type Batch<T>
        = InlineBatch<T>
    where
        T: OptionalSend + 'static;
    type ErrorSource = AnyError;
}

/// What the layer above wants ordered; opaque here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Proposal(pub(super) Bytes);

impl fmt::Display for Proposal {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{} bytes", self.0.len())
    }
}

/// Calls back with the outcome of one request, on openraft's task: no channel,
/// no task woken for it.
pub(super) struct Respond<T>(pub(super) Box<dyn FnOnce(T) + Send>);

impl<T: OptionalSend + 'static> Responder<TypeConfig, T> for Respond<T> {
    fn on_complete(self, result: T) {
        (self.0)(result);
    }
}

impl<T> fmt::Debug for Respond<T> {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.debug_struct("Respond").finish_non_exhaustive()
    }
}

pub(super) fn log_id(position: LogPosition) -> LogId {
    LogId::new_term_index(position.term, position.index)
}

pub(super) fn position(log_id: &LogId) -> LogPosition {
    LogPosition { term: log_id.leader_id.term, index: log_id.index }
}

pub(super) fn vote(stored: StoredVote) -> Vote {
    let leader_id = LeaderId::new(stored.term, stored.voted_for);
    Vote { leader_id, committed: stored.committed }
}

pub(super) fn stored_vote(vote: &Vote) -> StoredVote {
    StoredVote {
        term: vote.leader_id.term,
        voted_for: vote.leader_id.voted_for,
        committed: vote.committed,
    }
}

const BLANK: u8 = 0;
const NORMAL: u8 = 1;
const MEMBERSHIP: u8 = 2;
const MEMBERSHIP_VERSION: u8 = 1;

pub(super) fn stored_entry(entry: Entry) -> LogEntry {
    let position = position(&entry.log_id);
    let (kind, payload) = match entry.payload {
        EntryPayload::Blank => (BLANK, Bytes::new()),
        EntryPayload::Normal(proposal) => (NORMAL, proposal.0),
        EntryPayload::Membership(membership) => {
            let mut out = Vec::new();
            encode_membership(&membership, &mut out);
            (MEMBERSHIP, out.into())
        }
    };
    LogEntry { position, kind, payload }
}

pub(super) fn entry(stored: LogEntry) -> Result<Entry, CodecError> {
    let payload = match stored.kind {
        BLANK => EntryPayload::Blank,
        NORMAL => EntryPayload::Normal(Proposal(stored.payload)),
        MEMBERSHIP => {
            let mut input = Input::new(stored.payload);
            let membership = decode_membership(&mut input)?;
            input.finish("membership")?;
            EntryPayload::Membership(membership)
        }
        tag => return Err(CodecError::UnknownTag { what: "log entry", tag: tag.into() }),
    };
    Ok(Entry { log_id: log_id(stored.position), payload })
}

fn encode_membership(membership: &Membership, out: &mut Vec<u8>) {
    MEMBERSHIP_VERSION.encode(out);
    let configs: Vec<Vec<u64>> = membership
        .get_joint_config()
        .iter()
        .map(|config| config.iter().copied().collect())
        .collect();
    configs.encode(out);
    let nodes: Vec<(u64, String)> =
        membership.nodes().map(|(member, node)| (*member, node.addr.clone())).collect();
    nodes.encode(out);
}

fn decode_membership(input: &mut Input) -> Result<Membership, CodecError> {
    let version = u8::decode(input)?;
    if version != MEMBERSHIP_VERSION {
        return Err(CodecError::UnknownTag { what: "membership version", tag: version.into() });
    }
    let configs = Vec::<Vec<u64>>::decode(input)?;
    let configs: Vec<BTreeSet<u64>> =
        configs.into_iter().map(|config| config.into_iter().collect()).collect();
    let nodes = Vec::<(u64, String)>::decode(input)?;
    let nodes: BTreeMap<u64, BasicNode> =
        nodes.into_iter().map(|(member, addr)| (member, BasicNode { addr })).collect();
    Membership::new(configs, nodes).map_err(|_| CodecError::Invalid { what: "membership" })
}

const SNAPSHOT_META_VERSION: u8 = 1;

pub(super) fn encode_snapshot_meta(meta: &SnapshotMeta) -> Vec<u8> {
    let mut out = vec![SNAPSHOT_META_VERSION];
    meta.last_log_id.as_ref().map(position).encode(&mut out);
    meta.last_membership.log_id().as_ref().map(position).encode(&mut out);
    encode_membership(meta.last_membership.membership(), &mut out);
    out
}

pub(super) fn decode_snapshot_meta(bytes: Bytes) -> Result<SnapshotMeta, CodecError> {
    let mut input = Input::new(bytes);
    let version = u8::decode(&mut input)?;
    if version != SNAPSHOT_META_VERSION {
        return Err(CodecError::UnknownTag { what: "snapshot version", tag: version.into() });
    }
    let last_log_id = Option::<LogPosition>::decode(&mut input)?.map(log_id);
    let membership_log_id = Option::<LogPosition>::decode(&mut input)?.map(log_id);
    let membership = decode_membership(&mut input)?;
    input.finish("snapshot meta")?;
    let last_membership = StoredMembership::new(membership_log_id, membership);
    Ok(SnapshotMeta { last_log_id, last_membership })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn membership() -> Membership {
        let nodes = [(1, BasicNode::new("a:1")), (2, BasicNode::new("b:2"))];
        Membership::new(vec![BTreeSet::from([1])], BTreeMap::from(nodes)).unwrap()
    }

    #[test]
    fn every_kind_of_entry_reads_back_as_stored() {
        for payload in [
            EntryPayload::Blank,
            EntryPayload::Normal(Proposal(Bytes::from_static(b"x"))),
            EntryPayload::Membership(membership()),
        ] {
            let original = Entry { log_id: LogId::new_term_index(3, 4), payload };
            assert_eq!(entry(stored_entry(original.clone())), Ok(original));
        }
    }

    #[test]
    fn a_membership_cut_short_anywhere_is_an_error() {
        let mut out = Vec::new();
        encode_membership(&membership(), &mut out);
        for len in 0..out.len() {
            let mut input = Input::new(Bytes::copy_from_slice(&out[..len]));
            assert!(decode_membership(&mut input).is_err(), "{len} bytes");
        }
    }

    /// Pins the stored form: this byte string may never stop being readable.
    #[test]
    fn the_stored_form_of_a_snapshot_meta_stays() {
        let meta = SnapshotMeta {
            last_log_id: Some(LogId::new_term_index(5, 9)),
            last_membership: StoredMembership::new(None, membership()),
        };
        let bytes = encode_snapshot_meta(&meta);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        let expected = concat!(
            "01",
            "01",
            "0500000000000000",
            "0900000000000000",
            "00",
            "01",
            "01000000",
            "01000000",
            "0100000000000000",
            "02000000",
            "0100000000000000",
            "03000000",
            "613a31",
            "0200000000000000",
            "03000000",
            "623a32",
        );
        assert_eq!(hex, expected);
        assert_eq!(decode_snapshot_meta(bytes.into()), Ok(meta));
    }
}
