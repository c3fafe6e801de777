//! A server of which the test writes every word.

use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::connect::{ConnectRequest, ConnectResponse};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent, xid};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::{ErrorCode, OpCode, Reply, Request, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};

pub(super) const PASSWORD: &[u8] = b"0123456789abcdef";

pub(super) struct Peer {
    listener: TcpListener,
}

/// One connection of a client.
pub(super) struct Talk {
    stream: TcpStream,
    received: BytesMut,
    /// What the client said first.
    pub(super) greeting: ConnectRequest,
}

impl Peer {
    pub(super) async fn listen() -> Self {
        Self::on(TcpListener::bind("127.0.0.1:0").await.unwrap())
    }

    pub(super) fn on(listener: TcpListener) -> Self {
        Self { listener }
    }

    pub(super) fn hosts(&self) -> String {
        self.listener.local_addr().unwrap().to_string()
    }

    /// Accepts a connection and reads its greeting.
    pub(super) async fn accept(&self) -> Talk {
        let (stream, _) = self.listener.accept().await.unwrap();
        let greeting = ConnectRequest {
            protocol_version: 0,
            last_zxid_seen: 0,
            timeout_ms: 0,
            session: 0,
            password: None,
            read_only: None,
        };
        let mut talk = Talk { stream, received: BytesMut::new(), greeting };
        talk.greeting = ConnectRequest::decode(talk.payload().await.unwrap()).unwrap();
        talk
    }

    /// Accepts a connection and attaches session 7 with `timeout_ms`.
    pub(super) async fn attach(&self, timeout_ms: i32) -> Talk {
        let mut talk = self.accept().await;
        talk.answer_greeting(ConnectResponse {
            protocol_version: 0,
            timeout_ms,
            session: 7,
            password: Some(Bytes::from_static(PASSWORD)),
            read_only: Some(false),
        })
        .await;
        talk
    }
}

impl Talk {
    pub(super) async fn answer_greeting(&mut self, response: ConnectResponse) {
        let mut out = Vec::new();
        frame::put(&mut out, |out| response.encode(out));
        self.stream.write_all(&out).await.unwrap();
    }

    /// The next request other than a ping; `None` at the end.
    pub(super) async fn request(&mut self) -> Option<(i32, Request)> {
        loop {
            let mut input = Reader::new(self.payload().await?);
            let header = RequestHeader::decode(&mut input).unwrap();
            let op = OpCode::from_code(header.op).unwrap();
            if op != OpCode::Ping {
                return Some((header.xid, Request::decode(op, input.rest()).unwrap()));
            }
        }
    }

    pub(super) async fn reply(&mut self, xid: i32, zxid: i64, outcome: Result<Reply, ErrorCode>) {
        let error = outcome.as_ref().err().copied().unwrap_or(ErrorCode::Ok);
        self.put(ReplyHeader { xid, zxid, error }, |out| {
            if let Ok(reply) = &outcome {
                reply.encode(out);
            }
        })
        .await;
    }

    pub(super) async fn event(&mut self, kind: i32, path: &str) {
        let event = WatcherEvent { kind, state: 3, path: path.into() };
        let header = ReplyHeader { xid: xid::WATCH_EVENT, zxid: -1, error: ErrorCode::Ok };
        self.put(header, |out| event.encode(out)).await;
    }

    /// Answers the closing of the session, and checks that it is what comes.
    pub(super) async fn bye(&mut self) {
        let (xid, request) = self.request().await.unwrap();
        assert_eq!(request, Request::CloseSession);
        self.reply(xid, 99, Ok(Reply::Empty)).await;
    }

    async fn put(&mut self, header: ReplyHeader, body: impl FnOnce(&mut Vec<u8>)) {
        let mut out = Vec::new();
        frame::put(&mut out, |out| {
            header.encode(out);
            body(out);
        });
        self.stream.write_all(&out).await.unwrap();
    }

    async fn payload(&mut self) -> Option<Bytes> {
        loop {
            if let Some(payload) = frame::take(&mut self.received, 1 << 20).unwrap() {
                return Some(payload);
            }
            if self.stream.read_buf(&mut self.received).await.ok()? == 0 {
                return None;
            }
        }
    }
}
