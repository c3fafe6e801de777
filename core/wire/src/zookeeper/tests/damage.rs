//! Damaged and hostile input.

use bytes::{Bytes, BytesMut};
use proptest::prelude::*;

use super::round_trip::{any_reply, any_request};
use crate::DecodeError;
use crate::zookeeper::connect::ConnectRequest;
use crate::zookeeper::{OpCode, Reply, Request, frame};

#[test]
fn a_frame_is_taken_only_when_it_is_whole() {
    let mut out = Vec::new();
    frame::put(&mut out, |out| out.extend_from_slice(b"abc"));
    for end in 0..out.len() {
        let mut received = BytesMut::from(&out[..end]);
        assert_eq!(frame::take(&mut received, 3), Ok(None));
        assert_eq!(received.len(), end, "nothing is lost");
    }
    let mut received = BytesMut::from(&out[..]);
    assert_eq!(frame::take(&mut received, 3), Ok(Some(Bytes::from_static(b"abc"))));
}

#[test]
fn a_frame_past_the_limit_or_below_zero_is_refused_by_its_length_alone() {
    let mut received = BytesMut::from(&[0, 0, 0, 4][..]);
    assert_eq!(
        frame::take(&mut received, 3),
        Err(DecodeError::TooLong { what: "frame", length: 4, limit: 3 })
    );
    let mut received = BytesMut::from(&[0xff; 4][..]);
    assert_eq!(
        frame::take(&mut received, 3),
        Err(DecodeError::NegativeLength { what: "frame", length: -1 })
    );
}

#[test]
fn a_claimed_length_reserves_nothing() {
    // setWatches with 2^31 - 1 paths, of which none follows.
    let mut body = vec![0; 8];
    body.extend_from_slice(&i32::MAX.to_be_bytes());
    assert!(matches!(
        Request::decode(OpCode::SetWatches, Bytes::from(body)),
        Err(DecodeError::Truncated { .. })
    ));
}

#[test]
fn a_null_path_is_refused_where_a_path_is_needed() {
    let body = Bytes::from_static(&[0xff, 0xff, 0xff, 0xff, 0]);
    assert_eq!(
        Request::decode(OpCode::GetData, body.clone()),
        Err(DecodeError::Null { what: "path" })
    );
    assert_eq!(Request::decode(OpCode::Sync, body), Ok(Request::Sync { path: None }));
}

#[test]
fn a_null_id_in_an_access_list_is_an_empty_one() {
    let mut body = Vec::new();
    body.extend_from_slice(&[0, 0, 0, 1, b'/']);
    for field in [1, 31, 4] {
        body.extend_from_slice(&i32::to_be_bytes(field));
    }
    body.extend_from_slice(b"auth");
    for field in [-1, -1] {
        body.extend_from_slice(&i32::to_be_bytes(field));
    }
    let Ok(Request::SetAcl { acl, .. }) = Request::decode(OpCode::SetAcl, Bytes::from(body)) else {
        panic!("some clients write an empty id as null")
    };
    assert_eq!(&*acl.unwrap()[0].identity.id, "");
}

#[test]
fn a_length_below_minus_one_is_refused() {
    let body = Bytes::from_static(&[0xff, 0xff, 0xff, 0xfe, 0]);
    assert_eq!(
        Request::decode(OpCode::GetData, body),
        Err(DecodeError::NegativeLength { what: "path", length: -2 })
    );
}

#[test]
fn what_is_not_utf8_reads_as_a_character_no_path_may_have() {
    let body = Bytes::from_static(&[0, 0, 0, 2, b'/', 0xff]);
    let Ok(Request::GetAcl { path }) = Request::decode(OpCode::GetAcl, body) else { panic!() };
    assert_eq!(path, "/\u{fffd}");
}

#[test]
fn a_multi_holds_writes_and_a_multi_read_holds_reads() {
    for op in OpCode::ALL {
        let mut body = op.code().to_be_bytes().to_vec();
        body.extend_from_slice(&[0, 0xff, 0xff, 0xff, 0xff]);
        for outer in [OpCode::Multi, OpCode::MultiRead] {
            let refused = matches!(
                Request::decode(outer, Bytes::from(body.clone())),
                Err(DecodeError::Unknown { .. })
            );
            let allowed = match outer {
                OpCode::Multi => {
                    [1, 2, 5, 13, 15, 19, 21, 501, 502, 503, 10002].contains(&op.code())
                }
                _ => [3, 4, 8, 12, 500].contains(&op.code()),
            };
            assert_eq!(refused, !allowed, "{op:?} inside {outer:?}");
        }
    }
}

proptest! {
    #[test]
    fn a_request_cut_anywhere_is_refused_not_misread(request in any_request()) {
        let mut body = Vec::new();
        request.encode(&mut body);
        for end in 0..body.len() {
            let cut = Request::decode(request.op(), Bytes::copy_from_slice(&body[..end]));
            prop_assert!(cut.is_err(), "{end} of {} bytes gave {cut:?}", body.len());
        }
    }

    #[test]
    fn a_reply_cut_anywhere_is_refused_not_misread((op, reply) in any_reply()) {
        let mut body = Vec::new();
        reply.encode(&mut body);
        for end in 0..body.len() {
            prop_assert!(Reply::decode(op, Bytes::copy_from_slice(&body[..end])).is_err());
        }
    }

    #[test]
    fn no_bytes_make_the_decoder_panic(bytes in proptest::collection::vec(any::<u8>(), 0..200)) {
        let bytes = Bytes::from(bytes);
        let _ = ConnectRequest::decode(bytes.clone());
        for op in OpCode::ALL {
            let _ = Request::decode(*op, bytes.clone());
            let _ = Reply::decode(*op, bytes.clone());
        }
    }
}
