//! Frames captured from a real server decode, and encode to the same bytes.

use std::collections::HashMap;

use bytes::{Bytes, BytesMut};

use crate::zookeeper::connect::{ConnectRequest, ConnectResponse};
use crate::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent, xid};
use crate::zookeeper::jute::Reader;
use crate::zookeeper::{ErrorCode, OpCode, Reply, Request, frame};

const TRANSCRIPT: &str = include_str!("../../../../../tests/fixtures/zookeeper-3.8/session.txt");

struct Captured {
    connection: char,
    from_client: bool,
    frame: Bytes,
    first: bool,
    line: usize,
}

fn captured() -> Vec<Captured> {
    let mut seen = std::collections::HashSet::new();
    let mut frames = Vec::new();
    for (line, text) in TRANSCRIPT.lines().enumerate() {
        let mut words = text.split_whitespace();
        let Some(connection) = words.next().filter(|word| word.len() == 1 && *word != "#") else {
            continue;
        };
        let connection = connection.chars().next().unwrap();
        let from_client = words.next() == Some(">");
        let hex: String = words.take_while(|word| *word != "#").collect();
        if hex == "CLOSED" {
            continue;
        }
        let bytes: Vec<u8> = (0..hex.len() / 2)
            .map(|at| u8::from_str_radix(&hex[2 * at..2 * at + 2], 16).unwrap())
            .collect();
        let mut received = BytesMut::from(&bytes[..]);
        let frame = frame::take(&mut received, 0xf_ffff).unwrap().unwrap();
        assert!(received.is_empty());
        let first = seen.insert((connection, from_client));
        frames.push(Captured { connection, from_client, frame, first, line: line + 1 });
    }
    assert!(frames.len() > 100, "the transcript was read");
    frames
}

#[test]
fn every_captured_client_frame_encodes_to_the_same_bytes() {
    for captured in captured().into_iter().filter(|captured| captured.from_client) {
        let mut encoded = Vec::new();
        if captured.first {
            ConnectRequest::decode(captured.frame.clone()).unwrap().encode(&mut encoded);
        } else {
            let mut input = Reader::new(captured.frame.clone());
            let header = RequestHeader::decode(&mut input).unwrap();
            header.encode(&mut encoded);
            match OpCode::from_code(header.op) {
                Some(op) => Request::decode(op, input.rest()).unwrap().encode(&mut encoded),
                None => assert_eq!(header.op, 999),
            }
        }
        assert_eq!(encoded, captured.frame, "line {}", captured.line);
    }
}

#[test]
fn every_captured_server_frame_encodes_to_the_same_bytes() {
    let mut asked = HashMap::new();
    for captured in captured() {
        let frame = captured.frame;
        if captured.first {
            if !captured.from_client {
                let mut encoded = Vec::new();
                ConnectResponse::decode(frame.clone()).unwrap().encode(&mut encoded);
                assert_eq!(encoded, frame, "line {}", captured.line);
            }
            continue;
        }
        let mut input = Reader::new(frame.clone());
        if captured.from_client {
            let header = RequestHeader::decode(&mut input).unwrap();
            asked.insert((captured.connection, header.xid), header.op);
            continue;
        }
        let header = ReplyHeader::decode(&mut input).unwrap();
        let mut encoded = Vec::new();
        header.encode(&mut encoded);
        if header.xid == xid::WATCH_EVENT {
            WatcherEvent::decode(&mut input).unwrap().encode(&mut encoded);
        } else if header.error == ErrorCode::Ok {
            let op = OpCode::from_code(asked[&(captured.connection, header.xid)]).unwrap();
            Reply::decode(op, input.rest()).unwrap().encode(&mut encoded);
        }
        assert_eq!(encoded, frame, "line {}", captured.line);
    }
}

#[test]
fn a_connect_request_without_the_read_only_byte_has_44_bytes() {
    let captured = captured();
    let lengths: Vec<_> = captured
        .iter()
        .filter(|captured| captured.first && captured.from_client)
        .map(|captured| (captured.connection, captured.frame.len()))
        .collect();
    assert!(lengths.contains(&('A', 45)) && lengths.contains(&('B', 44)));
    let of_b = captured.iter().find(|c| c.connection == 'B').unwrap();
    assert_eq!(ConnectRequest::decode(of_b.frame.clone()).unwrap().read_only, None);
}
