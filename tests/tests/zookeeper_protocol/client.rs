//! A client that hides nothing: events, replies and their order.

use std::net::SocketAddr;

use bytes::Bytes;
use coord_state::znode::{Ace, Identity, Stat};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent, xid};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::request::{Create, CreateForm, Read};
use coord_wire::zookeeper::{ErrorCode, OpCode, Reply, Request};

use crate::connection::Wire;

/// One frame from the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Told {
    /// Its type, path and zxid.
    Event(i32, String, i64),
    /// Xid, zxid, and how it went.
    Reply(i32, i64, Result<Reply, ErrorCode>),
}

pub(crate) struct Client {
    pub(crate) wire: Wire,
    pub(crate) session: ConnectResponse,
    /// Of the last reply.
    pub(crate) zxid: i64,
    xid: i32,
    /// What was asked and not answered.
    asked: Vec<(i32, OpCode)>,
}

/// A handshake for a new session.
pub(crate) fn new_session(timeout_ms: i32) -> ConnectRequest {
    ConnectRequest {
        protocol_version: 0,
        last_zxid_seen: 0,
        timeout_ms,
        session: 0,
        password: Some(Bytes::from_static(&[0; 16])),
        read_only: Some(false),
    }
}

/// What the server answers to a handshake; `None` if it closes.
pub(crate) fn shake_hands(wire: &mut Wire, request: &ConnectRequest) -> Option<ConnectResponse> {
    let mut payload = Vec::new();
    request.encode(&mut payload);
    wire.send(&payload);
    wire.frame().map(|answer| ConnectResponse::decode(answer).unwrap())
}

impl Client {
    pub(crate) fn open(address: SocketAddr) -> Self {
        Self::connect(address, &new_session(10_000))
    }

    /// A second connection for the session of `other`.
    pub(crate) fn attach(address: SocketAddr, other: &ConnectResponse) -> Self {
        let request = ConnectRequest {
            session: other.session,
            password: other.password.clone(),
            ..new_session(10_000)
        };
        Self::connect(address, &request)
    }

    pub(crate) fn connect(address: SocketAddr, request: &ConnectRequest) -> Self {
        let mut wire = Wire::open(address);
        let session = shake_hands(&mut wire, request).expect("the handshake is answered");
        assert_ne!(session.session, 0, "there is a session");
        Self::of(wire, session)
    }

    /// After a handshake.
    pub(crate) fn of(wire: Wire, session: ConnectResponse) -> Self {
        Self { wire, session, zxid: 0, xid: 0, asked: Vec::new() }
    }

    /// Sends a request with the next xid, which it returns.
    pub(crate) fn send(&mut self, request: &Request) -> i32 {
        self.xid += 1;
        self.send_as(self.xid, request);
        self.xid
    }

    pub(crate) fn send_as(&mut self, xid: i32, request: &Request) {
        let mut payload = Vec::new();
        RequestHeader { xid, op: request.op().code() }.encode(&mut payload);
        request.encode(&mut payload);
        self.asked.push((xid, request.op()));
        self.wire.send(&payload);
    }

    /// The next frame; `None` once the server closed.
    pub(crate) fn told(&mut self) -> Option<Told> {
        let mut input = Reader::new(self.wire.frame()?);
        let header = ReplyHeader::decode(&mut input).unwrap();
        if header.xid == xid::WATCH_EVENT {
            let event = WatcherEvent::decode(&mut input).unwrap();
            return Some(Told::Event(event.kind, event.path.as_str().to_owned(), header.zxid));
        }
        self.zxid = header.zxid;
        let outcome = if header.error == ErrorCode::Ok {
            let asked = |(xid, op): &(i32, OpCode)| {
                *xid == header.xid || *op == OpCode::Ping && header.xid == xid::PING
            };
            let at = self.asked.iter().position(asked).expect("a request of ours");
            let (_, op) = self.asked.remove(at);
            Ok(Reply::decode(op, input.rest()).unwrap())
        } else {
            assert_eq!(input.remaining(), 0, "an error has no body");
            Err(header.error)
        };
        Some(Told::Reply(header.xid, header.zxid, outcome))
    }

    /// Sends a request; the events before its reply, and the reply.
    pub(crate) fn watch(&mut self, request: &Request) -> (Vec<(i32, String)>, Answer) {
        let xid = self.send(request);
        let mut events = Vec::new();
        loop {
            match self.told().expect("an answer") {
                Told::Event(kind, path, _) => events.push((kind, path)),
                Told::Reply(answered, _, outcome) => {
                    let expected = if *request == Request::Ping { xid::PING } else { xid };
                    assert_eq!(answered, expected);
                    return (events, outcome);
                }
            }
        }
    }

    /// Sends a request and returns its reply, which nothing precedes.
    pub(crate) fn call(&mut self, request: &Request) -> Answer {
        let (events, answer) = self.watch(request);
        assert_eq!(events, [], "no watch fires");
        answer
    }

    /// The events so far; a ping is answered behind them.
    pub(crate) fn events(&mut self) -> Vec<(i32, String)> {
        self.watch(&Request::Ping).0
    }

    /// Creates a znode that must be creatable.
    pub(crate) fn made(&mut self, path: &str) {
        self.call(&create(path)).unwrap();
    }

    /// The stat of a znode that must be there.
    pub(crate) fn stat(&mut self, path: &str) -> Stat {
        match self.call(&exists(path, false)) {
            Ok(Reply::Stat(stat)) => stat,
            other => panic!("{path}: {other:?}"),
        }
    }
}

pub(crate) type Answer = Result<Reply, ErrorCode>;

pub(crate) fn ace(perms: u32, scheme: &str, id: &str) -> Ace {
    Ace { perms, identity: Identity { scheme: scheme.into(), id: id.into() } }
}

pub(crate) fn create_as(path: &str, form: CreateForm, flags: i32) -> Request {
    let acl = Some(vec![ace(31, "world", "anyone")]);
    Request::Create(Create { form, path: path.into(), data: None, acl, flags })
}

pub(crate) fn create(path: &str) -> Request {
    create_as(path, CreateForm::Plain, 0)
}

pub(crate) fn create_with(path: &str, acl: Vec<Ace>) -> Request {
    let acl = Some(acl);
    let form = CreateForm::Plain;
    Request::Create(Create { form, path: path.into(), data: None, acl, flags: 0 })
}

pub(crate) fn delete(path: &str) -> Request {
    Request::Delete { path: path.into(), version: -1 }
}

pub(crate) fn set_data(path: &str, data: Option<&'static [u8]>) -> Request {
    Request::SetData { path: path.into(), data: data.map(Bytes::from_static), version: -1 }
}

pub(crate) fn exists(path: &str, watch: bool) -> Request {
    Request::Exists(Read { path: path.into(), watch })
}

pub(crate) fn get_data(path: &str, watch: bool) -> Request {
    Request::GetData(Read { path: path.into(), watch })
}

pub(crate) fn get_children(path: &str, watch: bool) -> Request {
    Request::GetChildren(Read { path: path.into(), watch })
}

pub(crate) fn auth(scheme: &str, proof: &'static str) -> Request {
    Request::Auth { scheme: scheme.into(), auth: Some(Bytes::from_static(proof.as_bytes())) }
}
