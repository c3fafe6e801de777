//! One connection: reads and writes frames, without interpreting them.

use std::io;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::{Bytes, BytesMut};
use coord_wire::zookeeper::four_letter::FourLetterWord;
use coord_wire::zookeeper::frame;
use tokio::sync::watch;

use super::admin::four_letter;
use super::admin::watch_words;
use super::admin::watch_words::Taker;
use super::client_connection::ClientConnection;
use super::outbox::Outbox;
use super::pipeline::Pipeline;
use super::request::End;
use super::server_context::stopped;
use super::session::handshake::{Handshake, shake_hands, still_owns};
use super::session::service_mode::ServiceMode;
use super::socket::Socket;
use super::translate::Owner;
use crate::node::ConnectionSink;
use crate::server::byte_budget::Evicted;
use crate::tls::Stream;

/// How long a connection may take to name its session. ZooKeeper:
/// `nio.sessionlessCnxnTimeout`.
const HANDSHAKE_MAX: Duration = Duration::from_secs(10);
/// Largest first frame: whoever has no session yet needs no more to ask for one.
const HANDSHAKE_BYTES_MAX: usize = 1 << 10;
/// How long a client may take to receive the last replies, and to hang up then.
const FAREWELL_MAX: Duration = Duration::from_secs(30);
/// How long telling all watches may take: others may wait for their turn.
const TELLING_MAX: Duration = Duration::from_secs(60);
/// Text that waits for whoever asked for more of it.
const TEXT_BYTES_MAX: usize = 256 << 10;
/// How long it may take none of them.
const FAREWELL_STALL_MAX: Duration = Duration::from_secs(2);

/// The socket and what is on its way through it.
struct Connection {
    client: Arc<ClientConnection>,
    socket: Socket,
    stop: watch::Receiver<bool>,
    outbox: Outbox,
}

/// Serves one connection until either side ends it.
pub(super) async fn serve(
    client: Arc<ClientConnection>,
    stream: Stream,
    stop: watch::Receiver<bool>,
) {
    let connection = Connection {
        socket: Socket::new(stream, Arc::clone(&client)),
        client,
        stop,
        outbox: Outbox::default(),
    };
    // Boxed: the rest of a connection's life would have to keep its room.
    let Ok(Some((mut connection, owned, service_mode))) = Box::pin(connection.enter()).await else {
        return;
    };
    // An I/O error is the client's leaving: there is nobody to tell.
    let _ = connection.serve_session(owned.owner, service_mode).await;
}

impl Connection {
    /// Answers what comes first. Itself, if that opened a session here.
    async fn enter(mut self) -> io::Result<Option<(Self, Owned, ServiceMode)>> {
        let mut stop = self.stop.clone();
        let first = tokio::select! {
            first = tokio::time::timeout(HANDSHAKE_MAX, self.first_frame()) => first,
            () = stopped(&mut stop) => return Ok(None),
        };
        let counters = &self.client.shared.counters;
        let Ok(first) = first else {
            counters.sessionless_expired.fetch_add(1, Relaxed);
            return Ok(None);
        };
        let Ok(Some(first)) = first else { return Ok(None) };
        let payload = match first {
            First::Word(word) => {
                self.answer_word(word, &mut stop).await?;
                return self.say_farewell().await.map(|()| None);
            }
            First::Frame(payload) => {
                counters.connection_requests.fetch_add(1, Relaxed);
                payload
            }
        };
        let client = Arc::clone(&self.client);
        let handshake = tokio::select! {
            handshake = shake_hands(&client, payload) => handshake,
            () = stopped(&mut stop) => return Ok(None),
        };
        match handshake {
            Handshake::Refused => Ok(None),
            Handshake::NoSession(response) => {
                self.outbox.frame(|out| response.encode(out));
                self.say_farewell().await.map(|()| None)
            }
            Handshake::Accepted(owner, service_mode, response) => {
                if !owner.local {
                    let sink: Arc<dyn ConnectionSink> = Arc::clone(&client.inbox) as _;
                    client.shared.node.own_session(owner.session, owner.attachment, sink);
                }
                let owned = Owned { client: Arc::clone(&client), owner };
                if !still_owns(&client, owner) {
                    return Ok(None);
                }
                client.stats.session.store(owner.session.0, Relaxed);
                let timeout = u64::try_from(response.timeout_ms).unwrap_or(0);
                client.stats.timeout_ms.store(timeout, Relaxed);
                self.outbox.frame(|out| response.encode(out));
                Ok(Some((self, owned, service_mode)))
            }
        }
    }

    async fn answer_word(
        &mut self,
        word: FourLetterWord,
        stop: &mut watch::Receiver<bool>,
    ) -> io::Result<()> {
        let client = Arc::clone(&self.client);
        let answer = four_letter::answer(word, &client.shared);
        if !answer.is_empty() || !four_letter::is_told_in_pieces(word) {
            self.outbox.text(&answer);
            return Ok(());
        }
        let telling = async {
            match word {
                FourLetterWord::Wchc => watch_words::by_session(&client.shared, self).await,
                _ => watch_words::by_path(&client.shared, self).await,
            }
        };
        tokio::select! {
            told = tokio::time::timeout(TELLING_MAX, telling) => told?,
            () = stopped(stop) => Err(io::ErrorKind::ConnectionAborted.into()),
            () = client.bytes.evicted() => Err(io::ErrorKind::ConnectionAborted.into()),
        }
    }

    /// Four bytes that are a word, or a whole frame. `None` if the client left.
    async fn first_frame(&mut self) -> io::Result<Option<First>> {
        loop {
            if let Some(word) = self
                .socket
                .received
                .first_chunk()
                .and_then(|four| FourLetterWord::from_bytes(*four))
            {
                return Ok(Some(First::Word(word)));
            }
            match self.take_frame(HANDSHAKE_BYTES_MAX) {
                Ok(Some(payload)) => return Ok(Some(First::Frame(payload))),
                Ok(None) => {}
                Err(Unreadable) => return Ok(None),
            }
            if !self.socket.receive().await? {
                return Ok(None);
            }
        }
    }

    async fn serve_session(&mut self, owner: Owner, service_mode: ServiceMode) -> io::Result<()> {
        let client = Arc::clone(&self.client);
        let mut pipeline = Pipeline::new(Arc::clone(&client), owner, service_mode);
        let mut stands = client.shared.service_mode.subscribe();
        let mut stop = self.stop.clone();
        // Begun once: who is woken a thousand times need not line up anew each time.
        let mut stopping = pin!(stopped(&mut stop));
        let mut evicted = pin!(client.bytes.evicted());
        let mut stands_otherwise = pin!(stands.wait_for(|now| *now != service_mode));
        loop {
            let starved = self.take_requests(&mut pipeline);
            pipeline.advance(client.shared.node.clock().monotonic(), &mut self.outbox);
            self.count_sent();
            if self.count_kept(pipeline.kept()).is_err() {
                return Ok(());
            }
            match pipeline.end() {
                Some(End::Now) => {
                    return self.socket.send(&mut self.outbox).await;
                }
                Some(End::AfterReplies) => {
                    drop(pipeline);
                    return Box::pin(self.say_farewell()).await;
                }
                None => {}
            }
            self.socket.send(&mut self.outbox).await?;
            // What was answered made room for requests already received, and what
            // was just sent for further answers: nothing else would wake us.
            if !starved && pipeline.has_room() || pipeline.can_answer(&self.outbox) {
                tokio::task::yield_now().await;
                continue;
            }
            let wants_to_read = starved && pipeline.has_room();
            pipeline.rest();
            tokio::select! {
                biased;
                () = &mut stopping => return Ok(()),
                // It was promised something else: the client looks for another member.
                _ = &mut stands_otherwise => return Ok(()),
                () = client.inbox.filled() => {}
                () = &mut evicted => {}
                () = client.shared.backed_again(), if pipeline.unbacked => {}
                goes_on = self.socket.exchange(&mut self.outbox, wants_to_read) => {
                    if !goes_on? {
                        return Ok(());
                    }
                }
            }
        }
    }

    /// Hands received frames on. False if there is a frame, or what cannot
    /// become one, that could not be handed on yet.
    fn take_requests(&mut self, pipeline: &mut Pipeline) -> bool {
        let clock = Arc::clone(self.client.shared.node.clock());
        let limit = self.client.shared.frame_bytes_max;
        // A part of a frame is a sign of life, too.
        let mut now = std::mem::take(&mut self.socket.heard).then(|| clock.monotonic());
        if let Some(now) = now {
            pipeline.touch(now);
        }
        while pipeline.has_room() {
            match self.take_frame(limit) {
                Ok(Some(frame)) => {
                    let now = *now.get_or_insert_with(|| {
                        let now = clock.monotonic();
                        pipeline.touch(now);
                        now
                    });
                    pipeline.receive(frame, now, &mut self.outbox);
                }
                Ok(None) => return true,
                Err(Unreadable) => {
                    pipeline.break_off();
                    return true;
                }
            }
        }
        false
    }

    fn take_frame(&mut self, limit: usize) -> Result<Option<Bytes>, Unreadable> {
        match frame::take(&mut self.socket.received, limit) {
            Ok(Some(payload)) => {
                self.client.stats.received.fetch_add(1, Relaxed);
                self.client.shared.counters.received.fetch_add(1, Relaxed);
                Ok(Some(payload))
            }
            Ok(None) => Ok(None),
            Err(error) => {
                self.client.shared.counters.requests_too_large.fetch_add(1, Relaxed);
                tracing::debug!(
                    client = %self.client.address, %error,
                    "closing a connection: cannot decode a frame"
                );
                Err(Unreadable)
            }
        }
    }

    /// Tells the budget what is kept here, of which `pipeline` bytes for requests.
    fn count_kept(&self, pipeline: usize) -> Result<(), Evicted> {
        let kept = pipeline + self.socket.received.capacity() + self.outbox.capacity();
        self.client.bytes.hold(kept).inspect_err(|Evicted| {
            tracing::info!(
                client = %self.client.address,
                "closed the connection that used the most memory (limits.zk_bytes_per_ip_max, \
                 limits.zk_bytes_max)"
            );
        })
    }

    /// Sends everything, says that no more will come, and listens until the
    /// client hangs up, too: closing with bytes unread would take the last
    /// replies back.
    async fn say_farewell(&mut self) -> io::Result<()> {
        self.count_sent();
        self.socket.received = BytesMut::new();
        if self.count_kept(0).is_err() {
            return Ok(());
        }
        let client = Arc::clone(&self.client);
        let farewell = async {
            // In steps: a client that goes on taking them gets many large replies, too.
            while !self.outbox.is_empty() {
                let step = self.socket.exchange(&mut self.outbox, false);
                let Ok(sent) = tokio::time::timeout(FAREWELL_STALL_MAX, step).await else {
                    return Ok(());
                };
                sent?;
            }
            let hung_up = async {
                self.socket.send_all(&mut self.outbox).await?;
                self.socket.shutdown().await?;
                while self.socket.receive().await? {
                    self.socket.received.clear();
                }
                Ok(())
            };
            tokio::time::timeout(FAREWELL_STALL_MAX, hung_up).await.unwrap_or(Ok(()))
        };
        tokio::select! {
            said = tokio::time::timeout(FAREWELL_MAX, farewell) => said.unwrap_or(Ok(())),
            () = client.bytes.evicted() => Ok(()),
        }
    }

    fn count_sent(&mut self) {
        let appended = self.outbox.take_appended();
        self.client.stats.sent.fetch_add(appended.frames, Relaxed);
        self.client.shared.counters.sent(&appended);
    }
}

impl Taker for Connection {
    async fn take(&mut self, text: &str) -> io::Result<()> {
        self.outbox.text(text);
        // Whoever takes nothing for a while has left, or might as well.
        while self.outbox.len() > TEXT_BYTES_MAX {
            let evicted = |Evicted| io::Error::from(io::ErrorKind::ConnectionAborted);
            self.count_kept(0).map_err(evicted)?;
            let step = self.socket.exchange(&mut self.outbox, false);
            tokio::time::timeout(FAREWELL_STALL_MAX, step).await??;
        }
        Ok(())
    }
}

enum First {
    Word(FourLetterWord),
    Frame(Bytes),
}

/// Bytes that no frame can begin with.
struct Unreadable;

/// A session as long as its connection lasts here. The session goes on after it.
struct Owned {
    client: Arc<ClientConnection>,
    owner: Owner,
}

impl Drop for Owned {
    fn drop(&mut self) {
        let node = &self.client.shared.node;
        node.disown_session(self.owner.session, self.owner.attachment);
        self.client.shared.local_sessions.leave(self.owner);
        node.znode_watches().remove_connection(self.client.id);
    }
}
