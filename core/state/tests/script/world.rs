//! The state machine a script talks to, and the verbs every area can use:
//!
//! - `time 5000`, `advance 100`: the leader's clock, in milliseconds
//! - `digest`: the digest of everything (pins the stored forms)
//! - `restart`: goes on with the state as its snapshot has it
//! - `term 5`: the term of the log entries that follow
//! - `decide term=3 ; expire 1 ; …`: a leader's batch, decided in that term

use std::collections::BTreeMap;
use std::fmt::Write as _;

use coord_state::batch::Outcome;
use coord_state::snapshot::Restore;
use coord_state::{
    Applied, Attachment, Command, ContentHash, Event, LeaderBatch, Rejection, Reply, SessionId,
    StateMachine,
};

use super::line::number;
use super::{Line, Verb, perform_line};

/// A state machine, a clock, and who is connected.
pub(crate) struct World {
    pub(crate) machine: StateMachine,
    pub(crate) time_ms: u64,
    term: u64,
    /// Commands are gathered here instead of applied, while there is such a place.
    deciding: Option<Vec<Command>>,
    /// The newest attachment of every session the script opened.
    pub(crate) attachments: BTreeMap<SessionId, Attachment>,
    /// What `hash` was asked to note.
    pub(crate) hashes: BTreeMap<String, ContentHash>,
    answer: String,
}

/// The verbs of every area.
pub(crate) fn verb(name: &str) -> Option<Verb> {
    Some(match name {
        "time" => time,
        "advance" => advance,
        "digest" => digest,
        "restart" => restart,
        "term" => term,
        "decide" => decide,
        _ => return None,
    })
}

fn time(world: &mut World, line: &mut Line) -> Result<(), String> {
    world.time_ms = number(&line.argument("milliseconds")?)?;
    Ok(())
}

fn advance(world: &mut World, line: &mut Line) -> Result<(), String> {
    world.time_ms += number::<u64>(&line.argument("milliseconds")?)?;
    Ok(())
}

fn digest(world: &mut World, _line: &mut Line) -> Result<(), String> {
    world.say(&format!("digest {}", world.machine.digest()));
    Ok(())
}

fn restart(world: &mut World, _line: &mut Line) -> Result<(), String> {
    world.machine = world.restored()?;
    Ok(())
}

fn term(world: &mut World, line: &mut Line) -> Result<(), String> {
    world.term = number(&line.argument("a term")?)?;
    Ok(())
}

fn decide(world: &mut World, line: &mut Line) -> Result<(), String> {
    let term = line.number("term")?.ok_or("`decide` needs a term")?;
    world.deciding = Some(Vec::new());
    for part in line.parts() {
        perform_line(world, part)?;
    }
    let commands = world.deciding.take().unwrap_or_default();
    let batch = LeaderBatch { time_ms: world.time_ms, term, ticket: 1, commands };
    match world.machine.apply_leader_batch(world.term, batch) {
        Outcome::Applied(applied) => applied.iter().for_each(|one| world.tell(one)),
        skipped => world.say(&format!("{skipped:?}")),
    }
    world.check()
}

impl World {
    pub(crate) fn new() -> Self {
        Self {
            machine: StateMachine::new(),
            time_ms: 1000,
            term: 1,
            deciding: None,
            attachments: BTreeMap::new(),
            hashes: BTreeMap::new(),
            answer: String::new(),
        }
    }

    /// Adds a line to the answer.
    pub(crate) fn say(&mut self, line: &str) {
        self.answer.push_str(line);
        self.answer.push('\n');
    }

    /// What was said since the last time.
    pub(crate) fn take_answer(&mut self) -> String {
        std::mem::take(&mut self.answer)
    }

    /// Applies a command, says what came of it, and checks the state.
    pub(crate) fn apply(&mut self, command: Command) -> Result<(), String> {
        if let Some(decided) = &mut self.deciding {
            decided.push(command);
            return Ok(());
        }
        let applied = self.machine.apply(self.time_ms, command);
        self.tell(&applied);
        self.check()
    }

    fn tell(&mut self, applied: &Applied) {
        let outcome = match &applied.result {
            Ok(reply) => reply_text(reply),
            Err(rejection) => rejection_text(rejection),
        };
        self.say(&format!("@{} {outcome}", applied.revision));
        for event in &applied.events {
            self.say(&format!("   {}", event_text(event)));
        }
    }

    fn check(&self) -> Result<(), String> {
        self.machine.check_invariants().map_err(|broken| broken.to_string())?;
        self.restored().map(drop)
    }

    /// The state after a way through its own snapshot, which must not change it.
    pub(crate) fn restored(&self) -> Result<StateMachine, String> {
        let frozen = self.machine.freeze();
        let mut restore = Restore::new();
        for (tag, payload) in frozen.to_records() {
            restore
                .record(tag, payload.into())
                .map_err(|error| format!("the snapshot does not read back: {error}"))?;
        }
        let restored = restore.finish().map_err(|error| error.to_string())?;
        restored.check_invariants().map_err(|broken| broken.to_string())?;
        if restored.freeze().to_records() != frozen.to_records() {
            return Err("the state differs from its snapshot".into());
        }
        Ok(restored)
    }
}

fn rejection_text(rejection: &Rejection) -> String {
    format!("refused: {rejection}")
}

fn reply_text(reply: &Reply) -> String {
    match reply {
        Reply::Done => "done".into(),
        Reply::Session { timeout_ms } => format!("session timeout={timeout_ms}"),
        Reply::Created { path, .. } => format!("created {path:?}"),
        Reply::Set(stat) => format!("set version={} aversion={}", stat.version, stat.aversion),
        Reply::Multi(replies) => {
            let mut text = String::from("multi");
            for reply in replies {
                write!(text, "\n   - {}", super::znode::multi_reply_text(reply)).unwrap();
            }
            text
        }
        Reply::ConsulSession(session) => format!("consul session {session:?}"),
        Reply::Consul(reply) => super::consul::reply_text(reply),
    }
}

fn event_text(event: &Event) -> String {
    match event {
        Event::Znode { kind, path, .. } => format!("{kind:?} {path}"),
        Event::SessionClosed { session } => format!("SessionClosed {session}"),
        Event::SessionAttached { session, attachment } => {
            format!("SessionAttached {session} {attachment}")
        }
        Event::Changed(topic) => format!("Changed {topic:?}"),
        Event::Restored => "Restored".into(),
    }
}
