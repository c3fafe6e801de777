//! When sessions run out. Only the leader's clock decides; its verdicts become
//! commands.
//!
//! Deadlines are not replicated: a new leader gives every session its whole
//! timeout again, so a session may live longer than asked for but never
//! shorter.

use std::collections::{HashMap, HashSet};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use coord_state::consul::{ConsulCommand, ConsulSessionId};
use coord_state::session::SessionCommand;
use coord_state::{Command, SessionId, StateMachine};
use foldhash::fast::RandomState;

/// Touches on their way to the leader, and the leader's deadlines.
#[derive(Debug, Default)]
pub(super) struct SessionClock {
    touched: Mutex<HashSet<SessionId, RandomState>>,
    deadlines: Mutex<Deadlines>,
}

#[derive(Debug, Default)]
struct Deadlines {
    /// The term these deadlines were made in; those of another are void.
    term: u64,
    /// When they were last looked at.
    looked: Duration,
    sessions: HashMap<SessionId, Duration, RandomState>,
    consul: HashMap<ConsulSessionId, Duration, RandomState>,
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

    /// On the leader: these sessions were heard from, on any member.
    pub(super) fn renew(&self, sessions: &[SessionId], state: &StateMachine, now: Duration) {
        let mut deadlines = lock(&self.deadlines);
        for id in sessions {
            if let Some(session) = state.sessions().session(*id) {
                let timeout = Duration::from_millis(session.timeout_ms.into());
                deadlines.sessions.insert(*id, now + timeout);
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
            .map(|(id, deadline)| (*id, deadline.saturating_sub(now)))
            .collect();
        left.sort_unstable_by_key(|(id, _)| *id);
        left
    }

    /// On the leader: the commands that end what has run out by `now`. A
    /// session seen for the first time, or the first time in this `term`,
    /// starts with its whole timeout.
    pub(super) fn overdue(
        &self,
        term: u64,
        state: &StateMachine,
        now: Duration,
        multiplier_percent: u32,
    ) -> Vec<Command> {
        let mut deadlines = lock(&self.deadlines);
        if deadlines.term != term {
            *deadlines = Deadlines { term, looked: now, ..Deadlines::default() };
        }
        deadlines.forgive_pause(now);
        let mut commands = Vec::new();
        for (id, session) in state.sessions().iter() {
            let timeout = Duration::from_millis(session.timeout_ms.into());
            let deadline = deadlines.sessions.entry(id).or_insert(now + timeout);
            if *deadline <= now {
                let attachment = session.attachment;
                commands.push(Command::Session(SessionCommand::Expire { session: id, attachment }));
            }
        }
        for session in state.consul().sessions().iter().filter(|session| session.ttl_ms > 0) {
            let lifetime = consul_lifetime(session.ttl_ms, multiplier_percent);
            let deadline = deadlines.consul.entry(session.id).or_insert(now + lifetime);
            if *deadline <= now {
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
            self.sessions.values_mut().for_each(|deadline| *deadline += pause);
            self.consul.values_mut().for_each(|deadline| *deadline += pause);
        }
    }
}

/// Longer between two looks than this is a pause of the process or the machine.
const PAUSE_NOTICED: Duration = Duration::from_secs(1);

fn consul_lifetime(ttl_ms: u64, multiplier_percent: u32) -> Duration {
    Duration::from_millis(ttl_ms.saturating_mul(multiplier_percent.into()) / 100)
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use coord_state::Attachment;

    use super::*;

    const TERM: u64 = 3;

    fn state_with_session(timeout_ms: u32) -> StateMachine {
        let mut state = StateMachine::new();
        let open = SessionCommand::Open {
            session: SessionId(1),
            password: [0; 16],
            timeout_ms,
            attachment: Attachment(5),
        };
        state.apply(0, Command::Session(open)).result.expect("the session opens");
        state
    }

    /// Looks every half second up to `until_ms`, as a leader does, and tells
    /// whether the session was judged overdue.
    fn overdue_by(
        clock: &SessionClock,
        state: &StateMachine,
        term: u64,
        from_ms: u64,
        until_ms: u64,
    ) -> bool {
        (from_ms..=until_ms)
            .step_by(500)
            .any(|ms| !clock.overdue(term, state, Duration::from_millis(ms), 200).is_empty())
    }

    #[test]
    fn a_silent_session_is_overdue_after_its_timeout_and_not_before() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
        assert!(overdue_by(&clock, &state, TERM, 4000, 4000));
    }

    #[test]
    fn a_touch_restarts_the_timeout() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 3000));
        clock.renew(&[SessionId(1)], &state, Duration::from_millis(3000));
        assert!(!overdue_by(&clock, &state, TERM, 3500, 6500));
        assert!(overdue_by(&clock, &state, TERM, 7000, 7000));
    }

    #[test]
    fn a_new_leader_gives_every_session_its_whole_timeout() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 3500));
        assert!(!overdue_by(&clock, &state, TERM + 1, 4000, 7500));
        assert!(overdue_by(&clock, &state, TERM + 1, 8000, 8000));
    }

    #[test]
    fn a_leader_that_stood_still_expires_nobody_for_it() {
        let (clock, state) = (SessionClock::default(), state_with_session(4000));
        assert!(!overdue_by(&clock, &state, TERM, 0, 1000));
        assert!(clock.overdue(TERM, &state, Duration::from_secs(60), 200).is_empty());
    }
}
