//! Session expiry. Only the leader's clock decides; its decisions become
//! commands.
//!
//! Deadlines are not replicated: a new leader restarts the timeout of every
//! session, so a session may live longer than requested but never shorter. So
//! does a leader that lost contact to the majority for a while, since it missed
//! heartbeats of clients at other members.
//!
//! A deadline belongs to an attachment: a client that reconnects gets its whole
//! timeout again.
//!
//! A member that cannot be reached may still answer its clients while it
//! considers this leader valid. Their sessions expire only after that time plus
//! their timeout.

use std::collections::{HashMap, HashSet};
use std::sync::PoisonError;
use std::time::Duration;

use coord_state::consul::{ConsulCommand, ConsulSessionId};
use coord_state::session::{Session, SessionCommand};
use coord_state::{Attachment, Command, MemberId, SessionId, StateMachine};
use foldhash::fast::RandomState;

use super::fresh_ids::FreshIds;
use crate::sync::{Mutex, MutexGuard};

/// Touches on their way to the leader, and the leader's deadlines.
#[derive(Debug, Default)]
pub(super) struct SessionClock {
    touched: Mutex<HashSet<SessionId, RandomState>>,
    deadlines: Mutex<Deadlines>,
}

#[derive(Debug, Default)]
struct Deadlines {
    /// The term these deadlines were made in; those of another are void.
    term: Option<u64>,
    /// Since when.
    began: Duration,
    /// When they were last looked at.
    looked: Duration,
    sessions: HashMap<SessionId, Deadline, RandomState>,
    consul: HashMap<ConsulSessionId, Duration, RandomState>,
}

/// How long a session has as it is attached now.
#[derive(Debug, Clone, Copy)]
struct Deadline {
    attachment: Attachment,
    at: Duration,
}

impl Deadline {
    fn whole(session: &Session, now: Duration) -> Self {
        let timeout = Duration::from_millis(session.timeout_ms.into());
        Self { attachment: session.attachment, at: now + timeout }
    }
}

/// The members through which clients are heard.
#[derive(Debug, Default)]
pub(super) struct Reach {
    /// How long ago each of the others was heard.
    pub(super) heard: Vec<(MemberId, Option<Duration>)>,
    /// How long one of them answers its clients after the leader's last word.
    pub(super) lease: Duration,
}

impl Reach {
    /// Whether the client of this attachment may have been answered by a member
    /// that could not tell, less than its timeout ago. `led` is how long this
    /// member has led.
    fn may_hide(&self, attachment: Attachment, timeout: Duration, led: Duration) -> bool {
        let member = FreshIds::member_of(attachment);
        let heard = self.heard.iter().find(|(other, _)| *other == member);
        heard.is_some_and(|(_, silence)| {
            let silence = silence.unwrap_or(led).min(led);
            // Clients say something in every third of their timeout.
            silence > timeout / 3 && silence < self.lease + timeout
        })
    }
}

impl SessionClock {
    /// A session was heard from on this member.
    pub(super) fn touch(&self, session: SessionId) {
        lock(&self.touched).insert(session);
    }

    /// Takes the sessions heard from since the last call.
    pub(super) fn take_touched(&self) -> Vec<SessionId> {
        lock(&self.touched).drain().collect()
    }

    /// Has `told` tell the leader which sessions were heard from since the last call.
    /// If it was not told, they are told again with the next.
    pub(super) async fn report(&self, told: impl AsyncFnOnce(Vec<SessionId>) -> bool) {
        let touched = self.take_touched();
        if !touched.is_empty() && !told(touched.clone()).await {
            lock(&self.touched).extend(touched);
        }
    }

    /// On the leader: these sessions were heard from, on any member.
    pub(super) fn renew(&self, sessions: &[SessionId], state: &StateMachine, now: Duration) {
        let mut deadlines = lock(&self.deadlines);
        for id in sessions {
            if let Some(session) = state.sessions().session(*id) {
                deadlines.sessions.insert(*id, Deadline::whole(session, now));
            }
        }
    }

    /// On the leader: restarts a Consul session's TTL. False if it is not live.
    pub(super) fn renew_consul(
        &self,
        id: ConsulSessionId,
        state: &StateMachine,
        now: Duration,
        multiplier_percent: u32,
    ) -> bool {
        let Some(session) = state.consul().sessions().session(id) else { return false };
        let deadline = now + consul_lifetime(session.ttl_ms, multiplier_percent);
        lock(&self.deadlines).consul.insert(id, deadline);
        true
    }

    /// On the leader: how long each session has at `now`, in order.
    pub(super) fn time_left(&self, now: Duration) -> Vec<(SessionId, Duration)> {
        let deadlines = lock(&self.deadlines);
        let mut left: Vec<_> = deadlines
            .sessions
            .iter()
            .map(|(id, deadline)| (*id, deadline.at.saturating_sub(now)))
            .collect();
        left.sort_unstable_by_key(|(id, _)| *id);
        left
    }

    /// On the leader: the commands that end what has run out by `now`. A
    /// session seen for the first time, or the first time as it is attached now,
    /// or the first time in this `term`, starts with its whole timeout. Without a
    /// term this member may not judge now, and nothing that was known counts any
    /// more. A session whose member is out of `reach` is not judged yet.
    ///
    /// What was judged is judged again a while later, if it is still there.
    pub(super) fn overdue(
        &self,
        term: Option<u64>,
        state: &StateMachine,
        reach: &Reach,
        now: Duration,
        multiplier_percent: u32,
    ) -> Vec<Command> {
        let mut deadlines = lock(&self.deadlines);
        if deadlines.term != term {
            *deadlines = Deadlines { term, began: now, looked: now, ..Deadlines::default() };
        }
        // Invariant C5: only who leads and hears a majority has such a term.
        if term.is_none() {
            return Vec::new();
        }
        deadlines.forgive_pause(now);
        let led = now.saturating_sub(deadlines.began);
        let mut commands = Vec::new();
        for (id, session) in state.sessions().iter() {
            let whole = Deadline::whole(session, now);
            let deadline = deadlines.sessions.entry(id).or_insert(whole);
            if deadline.attachment != session.attachment {
                *deadline = whole;
            }
            let timeout = Duration::from_millis(session.timeout_ms.into());
            if deadline.at <= now && !reach.may_hide(session.attachment, timeout, led) {
                deadline.at = now + JUDGED_AGAIN;
                let attachment = session.attachment;
                commands.push(Command::Session(SessionCommand::Expire { session: id, attachment }));
            }
        }
        for session in state.consul().sessions().iter().filter(|session| session.ttl_ms > 0) {
            let lifetime = consul_lifetime(session.ttl_ms, multiplier_percent);
            let deadline = deadlines.consul.entry(session.id).or_insert(now + lifetime);
            if *deadline <= now {
                *deadline = now + JUDGED_AGAIN;
                let destroy = ConsulCommand::DestroySession { session: session.id };
                commands.push(Command::Consul(destroy));
            }
        }
        // Every live one has a deadline by now: without more, there is none of others.
        if deadlines.sessions.len() > state.sessions().len() {
            deadlines.sessions.retain(|id, _| state.sessions().session(*id).is_some());
        }
        deadlines.consul.retain(|id, _| state.consul().sessions().session(*id).is_some());
        commands
    }
}

impl Deadlines {
    /// A leader that stood still heard nobody meanwhile, and that is nobody's
    /// fault: the time it was away does not count.
    fn forgive_pause(&mut self, now: Duration) {
        let pause = now.saturating_sub(self.looked).saturating_sub(PAUSE_NOTICED);
        self.looked = now;
        if pause > Duration::ZERO {
            self.sessions.values_mut().for_each(|deadline| deadline.at += pause);
            self.consul.values_mut().for_each(|deadline| *deadline += pause);
        }
    }
}

/// Longer between two looks than this is a pause of the process or the machine.
const PAUSE_NOTICED: Duration = Duration::from_secs(1);
/// A verdict that has no effect by then may have been lost.
const JUDGED_AGAIN: Duration = Duration::from_secs(1);

fn consul_lifetime(ttl_ms: u64, multiplier_percent: u32) -> Duration {
    Duration::from_millis(ttl_ms.saturating_mul(multiplier_percent.into()) / 100)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use coord_state::consul::{NewNode, NewSession, Registration, SessionBehavior};

    use super::*;

    const TERM: Option<u64> = Some(3);
    const NEXT_TERM: Option<u64> = Some(4);
    const SESSION: SessionId = SessionId(1);

    fn state_with_session(timeout_ms: u32) -> StateMachine {
        let mut state = StateMachine::new();
        let open = SessionCommand::Open {
            session: SESSION,
            password: [0; 16],
            timeout_ms,
            attachment: Attachment(5),
        };
        state.apply(0, Command::Session(open)).result.expect("the session opens");
        state
    }

    fn attach(state: &mut StateMachine, attachment: u64, timeout_ms: u32) {
        let attach = SessionCommand::Attach {
            session: SESSION,
            password: [0; 16],
            timeout_ms,
            attachment: Attachment(attachment),
        };
        state.apply(0, Command::Session(attach)).result.expect("the session attaches");
    }

    /// One of Consul's, with a TTL of two seconds and so, doubled, four to live.
    fn state_with_consul_session() -> StateMachine {
        let mut state = StateMachine::new();
        let node = NewNode { name: "n".into(), address: "127.0.0.1".into(), ..NewNode::default() };
        let registration =
            Registration { node, skip_node_update: false, services: vec![], checks: vec![] };
        let session = NewSession {
            id: ConsulSessionId(1),
            name: "".into(),
            node: "n".into(),
            lock_delay_ns: 0,
            behavior: SessionBehavior::Release,
            ttl: "2s".into(),
            ttl_ms: 2000,
            node_checks: vec![],
            service_checks: None,
        };
        for command in [
            ConsulCommand::Register(Box::new(registration)),
            ConsulCommand::CreateSession(Box::new(session)),
        ] {
            state.apply(0, Command::Consul(command)).result.expect("it is registered");
        }
        state
    }

    /// Looks every half second up to `until_ms`, as a leader does, and tells
    /// whether the session was judged overdue.
    fn overdue_by(
        clock: &SessionClock,
        state: &StateMachine,
        term: Option<u64>,
        from_ms: u64,
        until_ms: u64,
    ) -> bool {
        (from_ms..=until_ms)
            .step_by(500)
            .any(|ms| judged(clock, state, term, &Reach::default(), ms))
    }

    fn judged(
        clock: &SessionClock,
        state: &StateMachine,
        term: Option<u64>,
        reach: &Reach,
        ms: u64,
    ) -> bool {
        !clock.overdue(term, state, reach, Duration::from_millis(ms), 200).is_empty()
    }

    #[test]
    fn a_silent_session_is_overdue_after_its_timeout_and_not_before() {
        for state in [state_with_session(4000), state_with_consul_session()] {
            let clock = SessionClock::default();
            assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
            assert!(overdue_by(&clock, &state, TERM, 4000, 4000));
        }
    }

    #[test]
    fn what_was_judged_is_judged_again_only_a_while_later() {
        for state in [state_with_session(4000), state_with_consul_session()] {
            let clock = SessionClock::default();
            assert!(overdue_by(&clock, &state, TERM, 0, 4000));
            assert!(!overdue_by(&clock, &state, TERM, 4500, 4500));
            assert!(overdue_by(&clock, &state, TERM, 5000, 5000));
        }
    }

    #[test]
    fn a_touch_restarts_the_timeout() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 3000));
        clock.renew(&[SESSION], &state, Duration::from_millis(3000));
        assert!(!overdue_by(&clock, &state, TERM, 3500, 6500));
        assert!(overdue_by(&clock, &state, TERM, 7000, 7000));
    }

    #[tokio::test]
    async fn a_touch_that_did_not_reach_the_leader_is_told_again() {
        let clock = SessionClock::default();
        clock.touch(SESSION);
        let told = async |answered: bool| {
            let mut told = Vec::new();
            let tell = async |touched| {
                told = touched;
                answered
            };
            clock.report(tell).await;
            told
        };
        assert_eq!(told(false).await, [SESSION]);
        assert_eq!(told(true).await, [SESSION]);
        assert_eq!(told(true).await, []);
    }

    #[test]
    fn a_client_that_comes_back_late_has_its_whole_timeout_again() {
        let (clock, mut state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
        attach(&mut state, 6, 6000);
        assert!(!overdue_by(&clock, &state, TERM, 4000, 9500));
        assert!(overdue_by(&clock, &state, TERM, 10_000, 10_000));
    }

    #[test]
    fn a_session_that_comes_back_when_it_was_judged_lives_on() {
        let (clock, mut state) = (SessionClock::default(), state_with_session(4000));
        assert!(overdue_by(&clock, &state, TERM, 0, 4000));
        attach(&mut state, 6, 4000);
        assert!(!overdue_by(&clock, &state, TERM, 4500, 8000));
        assert!(overdue_by(&clock, &state, TERM, 8500, 8500));
    }

    #[test]
    fn a_new_leader_gives_every_session_its_whole_timeout() {
        for state in [state_with_session(4000), state_with_consul_session()] {
            let clock = SessionClock::default();
            assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
            assert!(!overdue_by(&clock, &state, NEXT_TERM, 4000, 7500));
            assert!(overdue_by(&clock, &state, NEXT_TERM, 8000, 8000));
        }
    }

    #[test]
    fn a_leader_that_hears_no_majority_ends_nobody_and_begins_anew_afterwards() {
        for state in [state_with_session(4000), state_with_consul_session()] {
            let clock = SessionClock::default();
            assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
            assert!(!overdue_by(&clock, &state, None, 4000, 20_000));
            assert!(!overdue_by(&clock, &state, TERM, 20_500, 24_000));
            assert!(overdue_by(&clock, &state, TERM, 24_500, 24_500));
        }
    }

    #[test]
    fn a_leader_that_stood_still_expires_nobody_for_it() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 1000));
        assert!(!overdue_by(&clock, &state, TERM, 60_000, 60_000));
    }

    #[test]
    fn a_session_of_a_silent_member_has_the_time_in_which_that_may_have_answered_it() {
        let (clock, mut state) = (SessionClock::default(), state_with_session(4000));
        attach(&mut state, 7 << 56, 4000);
        let reach = |silence_ms: Option<u64>| Reach {
            heard: vec![(MemberId(7), silence_ms.map(Duration::from_millis))],
            lease: Duration::from_millis(1000),
        };
        // Member 7 is last heard at 1000.
        for ms in (0..6000).step_by(500) {
            let silence = Some(u64::saturating_sub(ms, 1000));
            assert!(!judged(&clock, &state, TERM, &reach(silence), ms), "{ms}");
        }
        assert!(judged(&clock, &state, TERM, &reach(Some(5000)), 6000));
        // Not heard at all by a new leader.
        for ms in (6500..11_500).step_by(500) {
            assert!(!judged(&clock, &state, NEXT_TERM, &reach(None), ms), "{ms}");
        }
        assert!(judged(&clock, &state, NEXT_TERM, &reach(None), 11_500));
    }

    #[test]
    fn a_session_of_a_member_that_is_heard_is_overdue_after_its_timeout() {
        let (clock, mut state) = (SessionClock::default(), state_with_session(4000));
        attach(&mut state, 7 << 56, 4000);
        let heard = vec![(MemberId(7), Some(Duration::from_millis(200)))];
        let reach = Reach { heard, lease: Duration::from_millis(1000) };
        for ms in (0..4000).step_by(500) {
            assert!(!judged(&clock, &state, TERM, &reach, ms), "{ms}");
        }
        assert!(judged(&clock, &state, TERM, &reach, 4000));
    }
}
