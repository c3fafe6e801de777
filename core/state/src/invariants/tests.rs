//! What ends the applying of commands, and what comparing the whole state finds.
//! Tables have tests of their own beside them.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::string::{String, ToString};

use super::*;
use crate::Command;
use crate::id::{Attachment, MemberId, SessionId};
use crate::machine::Origin;
use crate::session::SessionCommand;
use crate::stamp::Stamp;
use crate::znode::{Acl, Caller, CreateMode, MultiOp, ZnodeCommand, ZnodeOp};

const SESSION: SessionId = SessionId(7);

fn open(session: SessionId) -> Command {
    let attachment = Attachment(1);
    Command::Session(SessionCommand::Open {
        session,
        password: [0; 16],
        timeout_ms: 4000,
        attachment,
    })
}

/// A session with an ephemeral.
fn machine() -> StateMachine {
    let mut machine = StateMachine::new();
    machine.apply(1, open(SESSION)).result.unwrap();
    let caller = Caller {
        session: Some((SESSION, Attachment(1))),
        identities: alloc::boxed::Box::default(),
    };
    let create = MultiOp::Create {
        path: "/e".into(),
        data: None,
        acl: Some(Acl::open().0.to_vec()),
        mode: CreateMode::Ephemeral { sequential: false },
    };
    let command = ZnodeCommand { caller, op: ZnodeOp::Single(create) };
    machine.apply(2, Command::Znode(command)).result.unwrap();
    machine
}

fn what_it_says(of: impl FnOnce()) -> String {
    let panic = catch_unwind(AssertUnwindSafe(of)).expect_err("it goes on");
    let text = panic.downcast::<String>().expect("it says why");
    *text
}

#[test]
fn a_change_later_than_the_revision_is_found() {
    let mut machine = machine();
    assert_eq!(machine.check_invariants(), Ok(()));
    machine.revision = Revision(1);
    assert_eq!(machine.check_invariants().unwrap_err().id(), "A3");
}

#[test]
fn an_ephemeral_and_its_session_know_of_each_other_or_it_is_found() {
    let mut unlisted = machine();
    unlisted.sessions.disown(SESSION, "/e");
    let broken = unlisted.check_invariants().unwrap_err();
    assert_eq!(broken.id(), "A6");
    assert!(broken.to_string().contains("/e belongs to"), "{broken}");

    let mut stray = machine();
    stray.sessions.own(SESSION, "/nowhere".into());
    let broken = stray.check_invariants().unwrap_err();
    assert_eq!(broken.id(), "A6");
    assert!(broken.to_string().contains("lists /nowhere"), "{broken}");
}

/// In a debug build the member ends at the very command, not somewhere later.
#[test]
fn applying_stops_at_the_first_command_after_which_something_is_broken() {
    let mut machine = machine();
    machine.sessions.disown(SESSION, "/e");
    let said = what_it_says(|| drop(machine.apply(3, open(SessionId(8)))));
    assert!(said.contains("after revision 3") && said.contains("invariant A6"), "{said}");
}

#[test]
fn a_batch_that_does_not_follow_its_members_last_ends_the_applying() {
    let origin = |incarnation, sequence| Origin { incarnation, sequence };
    let mut machine = StateMachine::new();
    for next in [origin(5, 1), origin(5, 2), origin(7, 1)] {
        machine.note_origin(MemberId(1), next);
    }
    for broken in [origin(7, 1), origin(7, 3), origin(6, 1), origin(8, 2)] {
        let mut machine = StateMachine::new();
        machine.note_origin(MemberId(1), origin(7, 1));
        let said = what_it_says(|| machine.note_origin(MemberId(1), broken));
        assert!(said.contains("invariant A5"), "{said}");
    }
    let said = what_it_says(|| machine.note_origin(MemberId(2), origin(1, 2)));
    assert!(said.contains("of member 2"), "{said}");
}

#[test]
fn only_a_restore_goes_on_to_another_revision_than_its_own() {
    let mut machine = machine();
    let stamp = |revision| Stamp { revision: Revision(revision), time_ms: 0 };
    machine.check_revision(stamp(2));
    let said = what_it_says(|| machine.check_revision(stamp(3)));
    assert!(said.contains("invariant A3") && said.contains("revision 2 follows 3"), "{said}");
    machine.archives.restored_at = Revision(2);
    machine.check_revision(stamp(3));
}
