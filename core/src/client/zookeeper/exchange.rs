//! The exchange over one connection: requests out, replies and events in, until
//! it breaks.
//!
//! Reading and writing never wait for each other, so a server that reads slowly
//! does not delay its replies.

use std::collections::VecDeque;
use std::io;

use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::header::{ReplyHeader, RequestHeader, WatcherEvent, xid};
use coord_wire::zookeeper::jute::Reader;
use coord_wire::zookeeper::request::SetWatches;
use coord_wire::zookeeper::{ErrorCode, OpCode, Reply, Request, Text, frame};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, ReadHalf, WriteHalf, split};

use super::link::Link;
use super::session::{Call, Effect, Session, auth_request, told_to_close};
use super::state::State;
use super::watcher::{EventKind, Table};
use crate::client::time::{Ticks, within};
use crate::tls::Stream;

/// With more bytes to write than this, no further request is accepted.
const OUTBOX_BYTES_MAX: usize = 1 << 20;

/// Bytes of paths in one SetWatches request; ZooKeeper accepts 1 MiB.
const SET_WATCHES_BYTES_MAX: usize = 128 << 10;

/// Sent and not answered, in order of sending.
pub(super) type Unanswered = VecDeque<Option<Call>>;

/// Why the exchange ended.
#[derive(Debug)]
pub(super) enum Ended {
    /// The client was closed, and the server confirmed the end of the session,
    /// or not.
    Closed { confirmed: bool },
    /// Authentication failed; it would fail on the next connection, too.
    AuthFailed,
    /// Anything else.
    Broken(io::Error),
}

/// One connection in use.
pub(super) struct Exchange<'a> {
    session: &'a mut Session,
    reader: ReadHalf<Stream>,
    writer: WriteHalf<Stream>,
    received: BytesMut,
    out: Vec<u8>,
    written: usize,
    /// Whether written data may still be buffered inside TLS.
    unflushed: bool,
    next_xid: i32,
    /// With their xids; `None` is our own close-session request.
    pending: VecDeque<(i32, OpCode, Option<Call>)>,
    /// Auth packets are answered in a separate order.
    pending_auth: VecDeque<Option<Call>>,
}

impl<'a> Exchange<'a> {
    /// Runs until the connection breaks or the client is closed.
    pub(super) async fn run(session: &'a mut Session, link: Link) -> (Ended, Unanswered) {
        let timeout = link.session.timeout;
        let (reader, writer) = split(link.stream);
        let mut exchange = Self {
            session,
            reader,
            writer,
            received: link.received,
            out: Vec::new(),
            written: 0,
            unflushed: false,
            next_xid: 1,
            pending: VecDeque::new(),
            pending_auth: VecDeque::new(),
        };
        exchange.greet();
        exchange.session.shared.change(State::Connected);
        let ended = match exchange.talk(timeout).await {
            Ok(ended) => ended,
            Err(error) => Ended::Broken(error),
        };
        let pending = exchange.pending.into_iter().map(|(_, _, call)| call);
        (ended, exchange.pending_auth.into_iter().chain(pending).collect())
    }

    /// Authenticates, restores watches, repeats lost reads.
    fn greet(&mut self) {
        for request in self.session.auth_requests() {
            self.put(xid::AUTH, &request);
            self.pending_auth.push_back(None);
        }
        self.restore_watches();
        for call in std::mem::take(&mut self.session.again) {
            self.submit(call);
        }
    }

    async fn talk(&mut self, timeout: std::time::Duration) -> io::Result<Ended> {
        // Dead after two thirds of the timeout without data, as in ZooKeeper's
        // own clients; a ping every third makes the server respond.
        let mut ticks = Ticks::every(timeout / 6);
        let mut silent_ticks = 0;
        let mut closing = self.session.closing.clone();
        loop {
            let may_submit = self.pending.len() < self.session.settings.outstanding_max
                && self.out.len() < OUTBOX_BYTES_MAX;
            let has_output = self.has_output();
            tokio::select! {
                biased;
                () = told_to_close(&mut closing) => return self.bye().await,
                read = self.reader.read_buf(&mut self.received) => {
                    if read? == 0 {
                        return Err(io::ErrorKind::UnexpectedEof.into());
                    }
                    silent_ticks = 0;
                    if let Some(ended) = self.take_frames()? {
                        return Ok(ended);
                    }
                }
                written = push(&mut self.writer, &self.out[self.written..]), if has_output => {
                    self.advance(written?)?;
                }
                call = self.session.calls.recv(), if may_submit => match call {
                    Some(call) => self.submit_all(call),
                    // Every client handle was dropped.
                    None => return self.bye().await,
                },
                () = ticks.next() => {
                    if silent_ticks >= 4 {
                        return Err(io::ErrorKind::TimedOut.into());
                    }
                    if silent_ticks % 2 == 0 {
                        self.put(xid::PING, &Request::Ping);
                    }
                    silent_ticks += 1;
                }
            }
        }
    }

    /// Ends the session: everything submitted is answered first, because the
    /// server keeps the order.
    async fn bye(&mut self) -> io::Result<Ended> {
        let number = self.number();
        self.put(number, &Request::CloseSession);
        self.pending.push_back((number, OpCode::CloseSession, None));
        let limit = self.session.settings.close_timeout;
        // Whether or not the server responds in time, the client is closed.
        let said = within(limit, async {
            while self.pending.iter().any(|(other, ..)| *other == number) {
                let has_output = self.has_output();
                tokio::select! {
                    read = self.reader.read_buf(&mut self.received) => {
                        if read? == 0 {
                            break;
                        }
                        self.take_frames()?;
                    }
                    written = push(&mut self.writer, &self.out[self.written..]), if has_output => {
                        self.advance(written?)?;
                    }
                }
            }
            io::Result::Ok(())
        })
        .await;
        if let Some(Err(cause)) = said {
            tracing::debug!(%cause, "the connection broke while closing");
        }
        let confirmed = self.pending.iter().all(|(other, ..)| *other != number);
        Ok(Ended::Closed { confirmed })
    }

    fn has_output(&self) -> bool {
        self.unflushed || self.written < self.out.len()
    }

    fn advance(&mut self, written: usize) -> io::Result<()> {
        self.unflushed = self.written < self.out.len();
        if self.unflushed && written == 0 {
            return Err(io::ErrorKind::WriteZero.into());
        }
        self.written += written;
        if self.written == self.out.len() {
            self.out.clear();
            self.written = 0;
        } else if self.written > OUTBOX_BYTES_MAX {
            self.out.drain(..self.written);
            self.written = 0;
        }
        Ok(())
    }

    /// Submits all queued calls, so that they are sent together.
    fn submit_all(&mut self, first: Call) {
        self.submit(first);
        while self.pending.len() < self.session.settings.outstanding_max
            && self.out.len() < OUTBOX_BYTES_MAX
        {
            let Ok(call) = self.session.calls.try_recv() else { break };
            self.submit(call);
        }
    }

    fn submit(&mut self, call: Call) {
        if let Effect::Watch(..) = call.effect
            && self.session.watches.len() >= self.session.settings.watches_max
        {
            let _ = call.reply.send(Err(ErrorCode::ThrottledOp));
            return;
        }
        if !call.progress.send() {
            return;
        }
        if let Effect::Identify(credential) = &call.effect {
            self.put(xid::AUTH, &auth_request(credential));
            self.pending_auth.push_back(Some(call));
            return;
        }
        let number = self.number();
        self.put(number, &call.request);
        self.pending.push_back((number, call.request.op(), Some(call)));
    }

    fn restore_watches(&mut self) {
        let mut tables = Table::ALL.map(|table| self.session.watches.live_paths(table));
        while tables.iter().any(|paths| !paths.is_empty()) {
            let mut room = SET_WATCHES_BYTES_MAX;
            let [data, exist, child, persistent, persistent_recursive] =
                tables.each_mut().map(|paths| take_up_to(paths, &mut room));
            let once = SetWatches { relative_zxid: self.session.last_zxid, data, exist, child };
            // Older servers know only the first form.
            let request = if persistent.is_empty() && persistent_recursive.is_empty() {
                Request::SetWatches(once)
            } else {
                Request::SetWatches2 { once, persistent, persistent_recursive }
            };
            self.put(xid::SET_WATCHES, &request);
        }
    }

    fn number(&mut self) -> i32 {
        let number = self.next_xid;
        self.next_xid = number.checked_add(1).unwrap_or(1);
        number
    }

    fn put(&mut self, xid: i32, request: &Request) {
        let header = RequestHeader { xid, op: request.op().code() };
        frame::put(&mut self.out, |out| {
            header.encode(out);
            request.encode(out);
        });
    }

    fn take_frames(&mut self) -> io::Result<Option<Ended>> {
        let limit = self.session.settings.frame_bytes_max;
        while let Some(payload) =
            frame::take(&mut self.received, limit).map_err(io::Error::other)?
        {
            if let Some(ended) = self.take_frame(payload)? {
                return Ok(Some(ended));
            }
        }
        Ok(None)
    }

    fn take_frame(&mut self, payload: Bytes) -> io::Result<Option<Ended>> {
        let mut input = Reader::new(payload);
        let header = ReplyHeader::decode(&mut input).map_err(io::Error::other)?;
        match header.xid {
            xid::WATCH_EVENT => {
                let event = WatcherEvent::decode(&mut input).map_err(io::Error::other)?;
                self.session.saw(header.zxid);
                if let Some(kind) = EventKind::from_code(event.kind) {
                    let zxid = (header.zxid > 0).then_some(header.zxid);
                    self.session.watches.deliver(kind, &event.path, zxid);
                }
                Ok(None)
            }
            xid::PING => {
                self.session.saw(header.zxid);
                Ok(None)
            }
            xid::AUTH => Ok(self.take_auth_reply(header.error)),
            xid::SET_WATCHES => match header.error {
                ErrorCode::Ok => Ok(None),
                code => {
                    Err(io::Error::other(format!("the server did not restore the watches: {code}")))
                }
            },
            _ => {
                self.take_reply(header, input.rest())?;
                Ok(None)
            }
        }
    }

    fn take_auth_reply(&mut self, code: ErrorCode) -> Option<Ended> {
        let call = self.pending_auth.pop_front().flatten();
        let Some(call) = call else {
            return (code != ErrorCode::Ok).then_some(Ended::AuthFailed);
        };
        if code == ErrorCode::Ok {
            if let Effect::Identify(credential) = call.effect {
                self.session.credentials.retain(|other| *other != credential);
                self.session.credentials.push(credential);
            }
            let _ = call.reply.send(Ok(Reply::Empty));
        } else {
            // The server closes the connection; the next one omits this
            // identity.
            let _ = call.reply.send(Err(code));
        }
        None
    }

    fn take_reply(&mut self, header: ReplyHeader, body: Bytes) -> io::Result<()> {
        match self.pending.front() {
            Some((number, ..)) if *number == header.xid => {}
            _ => return Err(io::Error::other(format!("unexpected reply {}", header.xid))),
        }
        let Some((_, op, call)) = self.pending.pop_front() else { return Ok(()) };
        self.session.saw(header.zxid);
        let Some(call) = call else { return Ok(()) };
        let outcome = match header.error {
            ErrorCode::Ok => match Reply::decode(op, body) {
                Ok(reply) => Ok(reply),
                Err(error) => {
                    let _ = call.reply.send(Err(ErrorCode::ConnectionLoss));
                    return Err(io::Error::other(error));
                }
            },
            code => Err(code),
        };
        self.take_effect(call.effect, outcome.as_ref().err().copied());
        let _ = call.reply.send(outcome);
        Ok(())
    }

    fn take_effect(&mut self, effect: Effect, failed: Option<ErrorCode>) {
        let watches = &mut self.session.watches;
        match (effect, failed) {
            (Effect::Watch(table, path, watcher), None) => {
                // An exists watch on an existing znode is a data watch.
                let table = if table == Table::Exist { Table::Data } else { table };
                watches.add(table, path, watcher);
            }
            (Effect::Watch(Table::Exist, path, watcher), Some(ErrorCode::NoNode)) => {
                watches.add(Table::Exist, path, watcher);
            }
            (Effect::Forget(kind, path), None | Some(ErrorCode::NoWatcher)) => {
                watches.forget(kind, &path);
            }
            _ => {}
        }
    }
}

/// Writes some of it; with nothing left to write, flushes.
async fn push(writer: &mut WriteHalf<Stream>, out: &[u8]) -> io::Result<usize> {
    if out.is_empty() {
        writer.flush().await?;
        return Ok(0);
    }
    writer.write(out).await
}

/// Moves paths out of `paths` while they fit, at least one.
fn take_up_to(paths: &mut Vec<String>, room: &mut usize) -> Vec<Text> {
    let mut taken = Vec::new();
    while *room > 0 {
        let Some(path) = paths.pop() else { break };
        *room = room.saturating_sub(path.len() + 4);
        taken.push(Text::from(path));
    }
    taken
}
