//! ZooKeeper's protocol, from both sides.

use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::{OpCode, Reply, Request, frame};

const FRAME_BYTES_MAX: usize = 1 << 20;

/// What a server receives on one connection: a handshake, then requests.
pub(crate) fn conversation(input: &[u8]) {
    let mut received = BytesMut::from(input);
    let mut first = true;
    while let Ok(Some(payload)) = frame::take(&mut received, FRAME_BYTES_MAX) {
        if std::mem::take(&mut first) {
            handshake(payload);
            continue;
        }
        let mut reader = Reader::new(payload);
        let Ok(header) = RequestHeader::decode(&mut reader) else { return };
        let Some(op) = OpCode::from_code(header.op) else { continue };
        let Ok(request) = Request::decode(op, reader.rest()) else { return };
        assert_eq!(request.op(), op);
    }
}

fn handshake(payload: Bytes) {
    if let Ok(request) = ConnectRequest::decode(payload.clone()) {
        let mut again = Vec::new();
        request.encode(&mut again);
        assert_eq!(ConnectRequest::decode(again.into()), Ok(request));
    }
    if let Ok(response) = ConnectResponse::decode(payload) {
        let mut again = Vec::new();
        response.encode(&mut again);
        assert_eq!(ConnectResponse::decode(again.into()), Ok(response));
    }
}

/// The body of a request; the first byte says for which operation.
pub(crate) fn request(input: &[u8]) {
    let Some((op, body)) = operation(input) else { return };
    let Ok(request) = Request::decode(op, body) else { return };
    let mut again = Vec::new();
    request.encode(&mut again);
    assert_eq!(Request::decode(op, again.into()), Ok(request));
}

/// What a client receives: the body of a reply, a header, an event.
pub(crate) fn reply(input: &[u8]) {
    let Some((op, body)) = operation(input) else { return };
    let mut reader = Reader::new(body.clone());
    if ReplyHeader::decode(&mut reader).is_ok() {
        let _ = WatcherEvent::decode(&mut reader);
    }
    let Ok(reply) = Reply::decode(op, body) else { return };
    let mut again = Vec::new();
    reply.encode(&mut again);
    assert_eq!(Reply::decode(op, again.into()), Ok(reply));
}

fn operation(input: &[u8]) -> Option<(OpCode, Bytes)> {
    let (first, body) = input.split_first()?;
    let op = OpCode::ALL[usize::from(*first) % OpCode::ALL.len()];
    Some((op, Bytes::copy_from_slice(body)))
}
