//! The request pipeline of one connection, from frames to replies.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use bytes::Bytes;
use coord_state::session::SessionCommand;
use coord_state::{Applied, Command, StateMachine};
use coord_wire::zookeeper::header::{RequestHeader, xid};
use coord_wire::zookeeper::{ErrorCode, OpCode, Request, jute};

mod outcomes;

use super::client_connection::ClientConnection;
use super::confirmations;
use super::inbox::Item;
use super::outbox::Outbox;
use super::reader::Reader;
use super::reconfig;
use super::reply::put_outcome;
use super::request::{End, Entry, StateAnswer, Step};
use super::requirements::{makes_ephemerals, needs_a_leader, tells_state};
use super::session::authentication::Authentication;
use super::session::introduction::Introduction;
use super::session::local_sessions::{Claim, LocalKind};
use super::session::service_mode::ServiceMode;
use super::translate::{Owner, Plan, Shape, plan};
use super::watch::Registrar;
use crate::error::ErrorKind;
use crate::node::{ConnectionSink, ReplySink};

/// Bytes of requests one connection may have in progress, on top of one frame.
const BYTES_MAX: usize = 4 << 20;

/// How long one look at the state may hold up whoever changes it, when many
/// reads wait to be answered.
const LOOK_MAX: Duration = Duration::from_millis(2);

/// Watches for which less is kept are not counted again when some have fired.
const WATCH_BYTES_RECOUNTED: usize = 64 << 10;

/// Requests in the order they came; replies leave in the same.
pub(super) struct Pipeline {
    client: Arc<ClientConnection>,
    replies: Arc<dyn ReplySink>,
    sink: Arc<dyn ConnectionSink>,
    owner: Owner,
    service_mode: ServiceMode,
    authentication: Authentication,
    introduction: Introduction,
    queue: VecDeque<Entry>,
    queue_bytes: usize,
    /// What is kept for the queue, requests taken apart included.
    queue_kept: usize,
    /// What is kept for the watches of the connection.
    watch_bytes: usize,
    /// How many of the queue are answered from the state as it is at their turn.
    /// Writes behind them are held: neither their effect nor an event of it may
    /// be told before.
    looks: usize,
    next_token: u64,
    /// What the requests received since the last advance wait for together, if
    /// one of them has to be confirmed.
    unconfirmed: Option<u64>,
    /// The proposal that makes a local session an ordinary one.
    upgrade: Option<u64>,
    closing_session: bool,
    no_more: bool,
    /// Waits for a majority, see [`super::server_context::ServerContext::may_answer`].
    pub(super) unbacked: bool,
    end: Option<End>,
    drained: Vec<Item>,
}

impl Pipeline {
    pub(super) fn new(
        client: Arc<ClientConnection>,
        owner: Owner,
        service_mode: ServiceMode,
    ) -> Self {
        let replies: Arc<dyn ReplySink> = Arc::clone(&client.inbox) as _;
        let sink: Arc<dyn ConnectionSink> = Arc::clone(&client.inbox) as _;
        Self {
            authentication: Authentication::new(Arc::clone(&client)),
            introduction: Introduction::default(),
            client,
            replies,
            sink,
            owner,
            service_mode,
            queue: VecDeque::new(),
            queue_bytes: 0,
            queue_kept: 0,
            watch_bytes: 0,
            looks: 0,
            next_token: 0,
            unconfirmed: None,
            upgrade: None,
            closing_session: false,
            no_more: false,
            unbacked: false,
            end: None,
            drained: Vec::new(),
        }
    }

    /// Whether one more request may come in. With none in progress always one.
    pub(super) fn has_room(&self) -> bool {
        if self.no_more || self.end.is_some() {
            return false;
        }
        let limits = &self.client.shared.limits;
        let counters = &self.client.shared.counters;
        self.queue.is_empty()
            || (self.queue.len() < limits.zk_outstanding_max
                && self.queue_bytes < BYTES_MAX
                && counters.outstanding.load(Relaxed) < limits.zk_outstanding_total()
                && counters.outstanding_bytes.load(Relaxed) < limits.proposal_bytes_max / 2
                && !self.client.bytes.is_pressed())
    }

    /// About how many bytes are kept for what the client asked for.
    pub(super) fn kept(&self) -> usize {
        self.queue_kept + self.watch_bytes + self.client.inbox.identity_bytes()
    }

    /// Gives back what is kept for requests, while there are none.
    pub(super) fn rest(&mut self) {
        if self.queue.is_empty() {
            self.queue = VecDeque::new();
        }
        self.drained = Vec::new();
    }

    /// How the connection ends, if it does.
    pub(super) fn end(&self) -> Option<End> {
        self.end
    }

    /// Ends at once: nothing more of what is received can be understood.
    pub(super) fn break_off(&mut self) {
        self.end = Some(End::Now);
    }

    /// Takes in one request frame, received at `now`.
    pub(super) fn receive(&mut self, frame: Bytes, now: Duration, outbox: &mut Outbox) {
        let bytes = frame.len();
        let mut input = jute::Reader::new(frame);
        let Ok(header) = RequestHeader::decode(&mut input) else {
            self.end = Some(End::Now);
            return;
        };
        self.client.stats.last_op.store(header.op, Relaxed);
        self.client.stats.last_xid.store(header.xid, Relaxed);
        let step = match OpCode::from_code(header.op) {
            Some(op @ (OpCode::Auth | OpCode::Sasl)) => {
                if !self.authentication.answer(header.xid, op, input.rest(), outbox) {
                    self.end = Some(End::AfterReplies);
                }
                return;
            }
            _ if !self.authentication.suffices() => {
                outbox.reply(header.xid, 0, |_| Err(ErrorCode::SessionClosedRequireSaslAuth));
                self.end = Some(End::AfterReplies);
                return;
            }
            // The server's own, and those that make sense in a multi only.
            None
            | Some(
                OpCode::CheckVersion
                | OpCode::CheckHash
                | OpCode::DeleteContainer
                | OpCode::CreateSession,
            ) => {
                self.no_more = true;
                Step::Ready(StateAnswer::Unknown)
            }
            Some(op) => match Request::decode(op, input.rest()) {
                Ok(request) => self.begin(request),
                Err(_) => Step::Ready(StateAnswer::Refuse(ErrorCode::MarshallingError)),
            },
        };
        self.client.shared.counters.begin(bytes);
        self.queue_bytes += bytes;
        if matches!(step, Step::Ready(_) | Step::Confirming(..) | Step::Reconfiguring(_)) {
            self.looks += 1;
        }
        // A ping is answered with its own number, whatever it was sent with.
        let xid = if header.op == OpCode::Ping.code() { xid::PING } else { header.xid };
        let kept = bytes + step.kept();
        self.queue_kept += kept;
        self.queue.push_back(Entry { xid, op: header.op, bytes, kept, since: now, step });
        self.client.stats.outstanding.store(self.queue.len(), Relaxed);
    }

    /// A sign of life of the session.
    pub(super) fn touch(&self, now: Duration) {
        let shared = &self.client.shared;
        if self.owner.local {
            shared.local_sessions.touch(self.owner.session, now);
        } else {
            shared.node.touch_session(self.owner.session);
        }
    }

    fn begin(&mut self, request: Request) -> Step {
        if let Err(error) = self.permit(&request) {
            return Step::Ready(StateAnswer::Refuse(error));
        }
        match request {
            Request::CloseSession if self.owner.local => {
                self.no_more = true;
                Step::Ready(StateAnswer::CloseHere)
            }
            Request::Sync { path } => self.confirm(StateAnswer::Synced(path)),
            request @ Request::Reconfig { .. } => {
                let token = self.fresh_token();
                reconfig::begin(&self.client, self.owner, request, token);
                Step::Reconfiguring(token)
            }
            request => {
                if request == Request::CloseSession {
                    self.no_more = true;
                }
                let identities = self.client.inbox.identities();
                match plan(request, self.owner, Introduction::carried(self.owner, &identities)) {
                    Plan::Read(request) if self.must_be_fresh(&request) => {
                        self.confirm(StateAnswer::Read(request))
                    }
                    Plan::Read(request) => Step::Ready(StateAnswer::Read(request)),
                    Plan::Refuse(error) => Step::Ready(StateAnswer::Refuse(error)),
                    Plan::Write(command, shape) if self.looks > 0 => {
                        Step::Held(Box::new(command), shape)
                    }
                    Plan::Write(command, shape) => self.submit(&command, shape),
                }
            }
        }
    }

    /// Refuses what this member, or this session, cannot do.
    fn permit(&mut self, request: &Request) -> Result<(), ErrorCode> {
        if self.service_mode == ServiceMode::ReadOnly && needs_a_leader(request) {
            return Err(ErrorCode::NotReadOnly);
        }
        if self.owner.local && makes_ephemerals(request) {
            if !self.client.shared.node.settings().zk.local_sessions_upgrade {
                return Err(ErrorCode::EphemeralOnLocalSession);
            }
            self.upgrade_session();
        }
        Ok(())
    }

    /// Makes the session known to the cluster, under its id, before whatever
    /// is submitted from now on.
    fn upgrade_session(&mut self) {
        let shared = &Arc::clone(&self.client).shared;
        let Owner { session, attachment, .. } = self.owner;
        let Some(Claim { password, timeout_ms, .. }) = shared.local_sessions.propose(self.owner)
        else {
            self.end = Some(End::Now);
            return;
        };
        shared.node.own_session(session, attachment, Arc::clone(&self.sink));
        let token = self.fresh_token();
        let open = SessionCommand::Open { session, password, timeout_ms, attachment };
        shared.node.submit(&Command::Session(open), Arc::clone(&self.replies), token);
        self.upgrade = Some(token);
        self.owner.local = false;
    }

    fn upgraded(&mut self, applied: &Applied) {
        self.upgrade = None;
        match applied.result {
            Ok(_) => drop(self.client.shared.local_sessions.close(self.owner.session)),
            Err(_) => self.end = Some(End::Now),
        }
    }

    fn submit(&mut self, command: &Command, shape: Shape) -> Step {
        if matches!(command, Command::Znode(_)) {
            self.introduce();
        }
        let token = self.fresh_token();
        self.closing_session |= matches!(command, Command::Session(_));
        self.client.shared.node.submit(command, Arc::clone(&self.replies), token);
        Step::Submitted(token, shape)
    }

    /// Tells the cluster who asks, before what it has to know that for. If it
    /// is refused, so is what comes behind it.
    fn introduce(&mut self) {
        let identities = self.client.inbox.identities();
        if let Some(command) = self.introduction.due(self.owner, &identities) {
            let token = self.fresh_token();
            let replies = Arc::clone(&self.replies);
            self.client.shared.node.submit(&Command::Session(command), replies, token);
        }
    }

    fn must_be_fresh(&self, request: &Request) -> bool {
        self.service_mode == ServiceMode::ReadWrite
            && self.client.shared.node.settings().zk.linearizable_reads
            && tells_state(request)
    }

    /// Asked for with the next advance, together with what else comes until then.
    fn confirm(&mut self, awaited: StateAnswer) -> Step {
        let token = match self.unconfirmed {
            Some(token) => token,
            None => self.fresh_token(),
        };
        self.unconfirmed = Some(token);
        Step::Confirming(token, awaited)
    }

    fn fresh_token(&mut self) -> u64 {
        self.next_token += 1;
        self.next_token
    }

    /// Whether the next request can be answered now, given what waits to be sent.
    pub(super) fn can_answer(&self, outbox: &Outbox) -> bool {
        self.end.is_none()
            && !self.unbacked
            && outbox.is_roomy()
            && matches!(self.queue.front(), Some(Entry { step: Step::Ready(_), .. }))
    }

    /// Answers everything that can be answered.
    pub(super) fn advance(&mut self, now: Duration, outbox: &mut Outbox) {
        if let Some(token) = self.unconfirmed.take() {
            confirmations::ask(&self.client, token);
        }
        self.drain(now, outbox);
        self.unbacked = false;
        while self.end.is_none() {
            match self.queue.front().map(|entry| &entry.step) {
                Some(Step::Applied(..)) => self.answer_writes(now, outbox),
                Some(Step::Ready(_)) if outbox.is_roomy() => {
                    self.unbacked =
                        !self.client.shared.may_answer(self.owner, self.service_mode, now);
                    if self.unbacked {
                        break;
                    }
                    let whole = self.answer_ready(now, outbox);
                    self.release();
                    // Others have their turn first.
                    if !whole {
                        break;
                    }
                }
                _ => break,
            }
        }
        if outbox.len() > self.client.shared.limits.zk_outbox_bytes_max {
            tracing::info!(
                client = %self.client.address,
                "closed the connection of a slow client (limits.zk_outbox_bytes_max)"
            );
            self.end = Some(End::Now);
        }
    }

    /// Takes over what the apply task made, in its order: what happened after
    /// a write is told after its reply.
    fn drain(&mut self, now: Duration, outbox: &mut Outbox) {
        let mut items = std::mem::take(&mut self.drained);
        let mut fired = false;
        if !self.client.inbox.drain(&mut items) {
            self.end = Some(End::Now);
        }
        for item in items.drain(..) {
            if self.end.is_some() {
                break;
            }
            match item {
                Item::Event { revision, kind, path } => {
                    fired = true;
                    outbox.event(Some(revision), kind, &path);
                }
                Item::Outcome { token, outcome: Ok(applied) } if self.upgrade == Some(token) => {
                    self.upgraded(&applied);
                }
                Item::Outcome { token, outcome: Ok(applied) } => {
                    self.applied(token, applied);
                    self.answer_writes(now, outbox);
                }
                // Nothing was ordered, and never will be.
                Item::Outcome { token, outcome: Err(error) }
                    if *error.kind() == ErrorKind::Invalid =>
                {
                    self.refused(token);
                }
                // Nothing was applied, and the session goes on.
                Item::Outcome { token, outcome: Err(error) }
                    if *error.kind() == ErrorKind::ReadOnly && self.deny(token) =>
                {
                    self.answer_writes(now, outbox);
                }
                // Whether it was applied is unknown or no leader takes it: the
                // client finds out on its next connection.
                Item::Outcome { outcome: Err(_), .. } | Item::Confirmed { reached: false, .. } => {
                    self.end = Some(End::Now);
                }
                Item::Confirmed { token, reached: true } => self.confirmed(token),
                Item::Reconfigured { token, outcome } => match *outcome {
                    Ok(outcome) => self.reconfigured(token, outcome),
                    Err(_) => self.end = Some(End::Now),
                },
                Item::Ended if self.closing_session => {}
                Item::Ended => self.end = Some(End::Now),
            }
        }
        self.drained = items;
        // Where few are kept, that some are used up is found out with the next.
        if fired && self.watch_bytes > WATCH_BYTES_RECOUNTED {
            let ClientConnection { shared, id, .. } = &*self.client;
            self.watch_bytes = shared.node.znode_watches().watched_by(*id).bytes;
        }
    }

    /// Answers the run of decided writes at the front.
    fn answer_writes(&mut self, now: Duration, outbox: &mut Outbox) {
        while self.end.is_none()
            && matches!(
                self.queue.front(),
                Some(Entry { step: Step::Applied(..) | Step::Denied, .. })
            )
        {
            self.answer_write(now, outbox);
        }
    }

    fn answer_write(&mut self, now: Duration, outbox: &mut Outbox) {
        let Some(entry) = self.pop(now) else { return };
        if matches!(entry.step, Step::Denied) {
            let zxid = self.client.stats.last_zxid.load(Relaxed);
            outbox.reply(entry.xid, zxid, |_| Err(ErrorCode::NotReadOnly));
        }
        let Step::Applied(applied, shape) = &entry.step else { return };
        if put_outcome(outbox, entry.xid, shape, applied).is_err() {
            self.end = Some(End::Now);
        } else if entry.op == OpCode::CloseSession.code() {
            self.end = Some(End::AfterReplies);
        }
        self.client.stats.last_zxid.store(applied.revision.zxid(), Relaxed);
    }

    /// Answers the run of reads at the front, all at one revision. False if it
    /// took so long that the rest has to wait.
    fn answer_ready(&mut self, now: Duration, outbox: &mut Outbox) -> bool {
        let client = Arc::clone(&self.client);
        client.shared.node.read(|state| {
            // Events up to this revision are all there now, and they go first.
            self.drain(now, outbox);
            self.look_at(state, now, outbox)
        })
    }

    fn look_at(&mut self, state: &StateMachine, now: Duration, outbox: &mut Outbox) -> bool {
        let client = Arc::clone(&self.client);
        let sink = Arc::clone(&self.sink);
        let identities = client.inbox.identities();
        let limit = client.shared.limits.zk_watches_max;
        let total_max = client.shared.limits.zk_watches_total_max;
        let watches = Registrar::new(
            client.shared.node.znode_watches(),
            client.id,
            &sink,
            limit,
            total_max,
            self.watch_bytes,
        );
        let reader = Reader {
            state,
            identities: &identities,
            owner: self.owner,
            watches: &watches,
            reply_bytes_max: client.shared.limits.zk_reply_bytes(),
        };
        let zxid = state.revision().zxid();
        let clock = client.shared.node.clock();
        let until = clock.monotonic() + LOOK_MAX;
        let mut whole = true;
        while whole && self.can_answer(outbox) {
            let Some(Entry { xid, step: Step::Ready(answer), .. }) = self.pop(now) else { break };
            self.looks -= 1;
            match answer {
                StateAnswer::Read(request) => reader.answer(xid, &request, outbox),
                StateAnswer::Synced(path) => outbox.reply(xid, zxid, |out| {
                    jute::put_nullable_text(out, path.as_deref());
                    Ok(())
                }),
                StateAnswer::Reconfigured(outcome) => {
                    if !reconfig::answer(outbox, xid, zxid, &outcome) {
                        self.end = Some(End::Now);
                    }
                }
                StateAnswer::Refuse(error) => outbox.reply(xid, zxid, |_| Err(error)),
                StateAnswer::CloseHere => {
                    // A visitor's session is the cluster's, which cannot be reached.
                    let closed = client.shared.local_sessions.close(self.owner.session);
                    outbox.reply(xid, zxid, |_| match closed {
                        Some(LocalKind::Visiting) => Err(ErrorCode::NotReadOnly),
                        _ => Ok(()),
                    });
                    self.end = Some(End::AfterReplies);
                }
                StateAnswer::Unknown => {
                    outbox.reply(xid, -1, |_| Err(ErrorCode::Unimplemented));
                    self.end = Some(End::AfterReplies);
                }
            }
            if watches.exceeded() {
                self.end = Some(End::Now);
            }
            whole = clock.monotonic() < until;
        }
        self.watch_bytes = watches.bytes();
        client.stats.last_zxid.store(zxid, Relaxed);
        whole
    }

    /// Submits the writes that no longer have anything before them that looks.
    fn release(&mut self) {
        for index in 0..self.queue.len() {
            if matches!(
                self.queue[index].step,
                Step::Ready(_) | Step::Confirming(..) | Step::Reconfiguring(_)
            ) {
                return;
            }
            if !matches!(self.queue[index].step, Step::Held(..)) {
                continue;
            }
            let step =
                std::mem::replace(&mut self.queue[index].step, Step::Ready(StateAnswer::Unknown));
            self.queue[index].step = match step {
                Step::Held(command, shape) => self.submit(&command, shape),
                other => other,
            };
        }
    }

    fn pop(&mut self, now: Duration) -> Option<Entry> {
        let entry = self.queue.pop_front()?;
        self.queue_bytes -= entry.bytes;
        self.queue_kept -= entry.kept;
        let taken = now.saturating_sub(entry.since);
        let ClientConnection { shared, stats, .. } = &*self.client;
        shared.counters.end(entry.bytes);
        shared.counters.latency.record(taken);
        match entry.step {
            Step::Applied(..) => shared.counters.update_latency.record(taken),
            _ => shared.counters.read_latency.record(taken),
        }
        stats.latency.record(taken);
        let ms = |time: Duration| u64::try_from(time.as_millis()).unwrap_or(u64::MAX);
        stats.last_latency_ms.store(ms(taken), Relaxed);
        stats.last_response_ms.store(ms(now), Relaxed);
        stats.outstanding.store(self.queue.len(), Relaxed);
        Some(entry)
    }
}

impl Drop for Pipeline {
    fn drop(&mut self) {
        for entry in &self.queue {
            self.client.shared.counters.end(entry.bytes);
        }
    }
}
