//! Encoding of messages between members about the log.

use bytes::Bytes;
use coord_state::codec::{CodecError, Decode, Encode, Input, decode_len, encode_len};
use openraft::raft::{
    AppendEntriesRequest, StreamAppendError, StreamAppendResult, TransferLeaderRequest,
    VoteRequest, VoteResponse,
};

use super::types::{
    Entry, LogId, TypeConfig, Vote, entry, log_id, position, stored_entry, stored_vote, vote,
};
use crate::storage::{LogEntry, LogPosition, StoredVote};

pub(super) type AppendRequest = AppendEntriesRequest<TypeConfig>;
pub(super) type AppendResult = StreamAppendResult<TypeConfig>;

fn encode_log_id(at: Option<&LogId>, out: &mut Vec<u8>) {
    at.map(position).encode(out);
}

fn decode_log_id(input: &mut Input) -> Result<Option<LogId>, CodecError> {
    Ok(Option::<LogPosition>::decode(input)?.map(log_id))
}

fn decode_vote(input: &mut Input) -> Result<Vote, CodecError> {
    StoredVote::decode(input).map(vote)
}

/// The request, and behind it what the layer above lets ride along.
pub(super) fn encode_append(request: AppendRequest, piggyback: &[u8], out: &mut Vec<u8>) {
    stored_vote(&request.vote).encode(out);
    encode_log_id(request.prev_log_id.as_ref(), out);
    encode_log_id(request.leader_commit.as_ref(), out);
    encode_len(request.entries.len(), out);
    for entry in request.entries {
        let stored = stored_entry(entry);
        stored.position.encode(out);
        stored.kind.encode(out);
        stored.payload.encode(out);
    }
    piggyback.encode(out);
}

const MISPLACED: CodecError = CodecError::Invalid { what: "order of entries" };

pub(super) fn decode_append(bytes: Bytes) -> Result<(AppendRequest, Bytes), CodecError> {
    let mut input = Input::new(bytes);
    let vote = decode_vote(&mut input)?;
    let prev_log_id = decode_log_id(&mut input)?;
    let leader_commit = decode_log_id(&mut input)?;
    let count = decode_len(&mut input)?;
    let mut entries: Vec<Entry> = Vec::with_capacity(count.min(1024));
    let mut next = match prev_log_id {
        Some(before) => Some(before.index.checked_add(1).ok_or(MISPLACED)?),
        None => None,
    };
    for _ in 0..count {
        let position = LogPosition::decode(&mut input)?;
        if next.is_some_and(|next| next != position.index) {
            return Err(MISPLACED);
        }
        next = position.index.checked_add(1);
        let kind = u8::decode(&mut input)?;
        let payload = Bytes::decode(&mut input)?;
        entries.push(entry(LogEntry { position, kind, payload })?);
    }
    let piggyback = Bytes::decode(&mut input)?;
    input.finish("append request")?;
    Ok((AppendEntriesRequest { vote, prev_log_id, entries, leader_commit }, piggyback))
}

pub(super) fn encode_append_result(result: &AppendResult, out: &mut Vec<u8>) {
    match result {
        Ok(flushed) => {
            out.push(0);
            encode_log_id(flushed.as_ref(), out);
        }
        Err(StreamAppendError::Conflict(at)) => {
            out.push(1);
            position(at).encode(out);
        }
        Err(StreamAppendError::HigherVote(vote)) => {
            out.push(2);
            stored_vote(vote).encode(out);
        }
    }
}

pub(super) fn decode_append_result(bytes: Bytes) -> Result<AppendResult, CodecError> {
    let mut input = Input::new(bytes);
    let result = match u8::decode(&mut input)? {
        0 => Ok(decode_log_id(&mut input)?),
        1 => Err(StreamAppendError::Conflict(log_id(LogPosition::decode(&mut input)?))),
        2 => Err(StreamAppendError::HigherVote(decode_vote(&mut input)?)),
        tag => return Err(CodecError::UnknownTag { what: "append result", tag: tag.into() }),
    };
    input.finish("append result")?;
    Ok(result)
}

pub(super) fn encode_vote_request(request: &VoteRequest<TypeConfig>, out: &mut Vec<u8>) {
    stored_vote(&request.vote).encode(out);
    encode_log_id(request.last_log_id.as_ref(), out);
    request.leadership_transfer.encode(out);
}

pub(super) fn decode_vote_request(bytes: Bytes) -> Result<VoteRequest<TypeConfig>, CodecError> {
    let mut input = Input::new(bytes);
    let vote = decode_vote(&mut input)?;
    let last_log_id = decode_log_id(&mut input)?;
    let leadership_transfer = bool::decode(&mut input)?;
    input.finish("vote request")?;
    Ok(VoteRequest { vote, last_log_id, leadership_transfer })
}

pub(super) fn encode_vote_response(response: &VoteResponse<TypeConfig>, out: &mut Vec<u8>) {
    stored_vote(&response.vote).encode(out);
    response.vote_granted.encode(out);
    encode_log_id(response.last_log_id.as_ref(), out);
}

pub(super) fn decode_vote_response(bytes: Bytes) -> Result<VoteResponse<TypeConfig>, CodecError> {
    let mut input = Input::new(bytes);
    let vote = decode_vote(&mut input)?;
    let vote_granted = bool::decode(&mut input)?;
    let last_log_id = decode_log_id(&mut input)?;
    input.finish("vote response")?;
    Ok(VoteResponse { vote, vote_granted, last_log_id })
}

pub(super) fn encode_transfer(request: &TransferLeaderRequest<TypeConfig>, out: &mut Vec<u8>) {
    stored_vote(request.from_leader()).encode(out);
    request.to_node_id().encode(out);
    encode_log_id(request.last_log_id(), out);
}

pub(super) fn decode_transfer(
    bytes: Bytes,
) -> Result<TransferLeaderRequest<TypeConfig>, CodecError> {
    let mut input = Input::new(bytes);
    let from = decode_vote(&mut input)?;
    let to = u64::decode(&mut input)?;
    let last_log_id = decode_log_id(&mut input)?;
    input.finish("transfer request")?;
    Ok(TransferLeaderRequest::new(from, to, last_log_id))
}

/// What comes before the bytes of a snapshot.
pub(super) fn encode_snapshot_offer(vote: &Vote, size: u64, out: &mut Vec<u8>) {
    stored_vote(vote).encode(out);
    size.encode(out);
}

pub(super) fn decode_snapshot_offer(bytes: Bytes) -> Result<(Vote, u64), CodecError> {
    let mut input = Input::new(bytes);
    let vote = decode_vote(&mut input)?;
    let size = u64::decode(&mut input)?;
    input.finish("snapshot offer")?;
    Ok((vote, size))
}

pub(super) fn encode_vote(vote: &Vote, out: &mut Vec<u8>) {
    stored_vote(vote).encode(out);
}

pub(super) fn decode_only_vote(bytes: Bytes) -> Result<Vote, CodecError> {
    let mut input = Input::new(bytes);
    let vote = decode_vote(&mut input)?;
    input.finish("vote")?;
    Ok(vote)
}

#[cfg(test)]
mod tests {
    use openraft::entry::EntryPayload;

    use super::super::types::Proposal;
    use super::*;

    fn request() -> AppendRequest {
        let payload = EntryPayload::Normal(Proposal(Bytes::from_static(b"payload")));
        AppendEntriesRequest {
            vote: vote(StoredVote { term: 3, voted_for: 1, committed: true }),
            prev_log_id: Some(LogId::new_term_index(2, 7)),
            entries: vec![Entry { log_id: LogId::new_term_index(3, 8), payload }],
            leader_commit: None,
        }
    }

    #[test]
    fn an_append_request_arrives_as_sent_and_never_cut_short() {
        let mut bytes = Vec::new();
        encode_append(request(), b"piggyback", &mut bytes);
        let bytes = Bytes::from(bytes);
        let (arrived, piggyback) = decode_append(bytes.clone()).unwrap();
        assert_eq!(&piggyback[..], b"piggyback");
        assert_eq!(format!("{arrived:?}"), format!("{:?}", request()));
        for len in 0..bytes.len() {
            assert!(decode_append(bytes.slice(..len)).is_err(), "{len} bytes");
        }
    }

    #[test]
    fn entries_with_a_hole_between_them_are_refused() {
        let mut holey = request();
        holey.entries[0].log_id.index = 9;
        let mut bytes = Vec::new();
        encode_append(holey, b"", &mut bytes);
        assert!(decode_append(bytes.into()).is_err());
    }

    #[test]
    fn nothing_comes_behind_the_last_index_there_is() {
        let mut last = request();
        last.prev_log_id = Some(LogId::new_term_index(2, u64::MAX));
        let mut bytes = Vec::new();
        encode_append(last, b"", &mut bytes);
        assert!(decode_append(bytes.into()).is_err());
    }

    #[test]
    fn every_append_result_arrives_as_sent() {
        let at = LogId::new_term_index(2, 7);
        let higher = vote(StoredVote { term: 9, voted_for: 2, committed: false });
        for result in [
            Ok(None),
            Ok(Some(at)),
            Err(StreamAppendError::Conflict(at)),
            Err(StreamAppendError::HigherVote(higher)),
        ] {
            let mut bytes = Vec::new();
            encode_append_result(&result, &mut bytes);
            let arrived = decode_append_result(bytes.into()).unwrap();
            assert_eq!(format!("{arrived:?}"), format!("{result:?}"));
        }
    }
}
