//! The queue of one member's commands: sizes, numbers, refusals.

use coord_state::session::SessionCommand;
use coord_state::znode::{Caller, MultiOp, ZnodeCommand, ZnodeOp};
use coord_state::{Applied, Attachment, Batch, SessionId};

use super::*;
use crate::error::ErrorKind;
use crate::node::ReplySink;

type Outcomes = Vec<(u64, Result<Applied, Error>)>;

#[derive(Default)]
struct Told(Mutex<Outcomes>);

impl ReplySink for Told {
    fn complete(&self, token: u64, outcome: Result<Applied, Error>) {
        self.0.lock().unwrap().push((token, outcome));
    }
}

fn of_bytes(bytes: usize) -> Command {
    let data = Some(vec![0; bytes].into());
    let op = MultiOp::SetData { path: "/a".into(), data, version: -1 };
    let caller = Caller { session: None, identities: Box::default() };
    Command::Znode(ZnodeCommand { caller, op: ZnodeOp::Single(op) })
}

#[test]
fn a_command_that_no_member_could_be_sent_is_refused_and_the_others_are_not() {
    let limits = Limits::default();
    let proposals = Proposals::new(MemberId(1), 1, &limits);
    let told = Arc::new(Told::default());
    let mut routed = Vec::new();
    for (token, bytes) in
        [10, limits.command_bytes_max(), limits.peer_frame_bytes_max, 20].into_iter().enumerate()
    {
        let sink: Arc<dyn ReplySink> = Arc::clone(&told) as _;
        let waiter = (sink, token as u64);
        proposals.submit(&of_bytes(bytes), waiter, |batch| routed.push(batch.clone()));
    }
    let refused = std::mem::take(&mut *told.0.lock().unwrap());
    let tokens: Vec<_> = refused.iter().map(|(token, _)| *token).collect();
    assert_eq!(tokens, [1, 2]);
    for (_, outcome) in refused {
        let error = outcome.unwrap_err();
        assert_eq!(error.kind(), &ErrorKind::Invalid);
        assert!(error.to_string().contains("peer_frame_bytes_max"), "{error}");
    }
    let sequences: Vec<_> =
        routed.into_iter().map(|batch| Batch::from_bytes(batch).unwrap().sequence).collect();
    assert_eq!(sequences, [1, 2]);
}

#[test]
fn no_batch_is_larger_than_a_batch_may_be_and_one_command_more() {
    let limits = Limits::default();
    let proposals = Proposals::new(MemberId(1), 1, &limits);
    let told = Arc::new(Told::default());
    let mut routed = Vec::new();
    for token in 0..200 {
        let sink: Arc<dyn ReplySink> = Arc::clone(&told) as _;
        let command = of_bytes(if token % 10 == 9 { 5 << 20 } else { 500_000 });
        proposals.submit(&command, (sink, token), |batch| routed.push(batch.clone()));
    }
    for sequence in 1..=200 {
        proposals.applied(1, sequence).unwrap();
        proposals.pump(|batch| routed.push(batch.clone()));
    }
    let commands: usize =
        routed.iter().map(|batch| Batch::from_bytes(batch.clone()).unwrap().commands.len()).sum();
    let refused = told.0.lock().unwrap().len();
    assert_eq!(commands + refused, 200);
    let largest = routed.iter().map(Bytes::len).max().unwrap();
    assert!(largest <= limits.batch_bytes_max + limits.command_bytes_max(), "{largest}");
    assert!(largest < limits.peer_frame_bytes_max);
}

#[test]
fn a_command_that_was_refused_leaves_no_trace_in_the_numbering() {
    let proposals = Proposals::new(MemberId(1), 1, &Limits::default());
    let told: Arc<dyn ReplySink> = Arc::new(Told::default());
    let too_large = of_bytes(Limits::default().peer_frame_bytes_max);
    proposals.submit(&too_large, (Arc::clone(&told), 1), |_| panic!("nothing is sent"));
    let close = SessionCommand::Close { session: SessionId(1), attachment: Attachment(1) };
    let mut routed = Vec::new();
    proposals.submit(&Command::Session(close), (told, 2), |batch| routed.push(batch.clone()));
    assert_eq!(Batch::from_bytes(routed.remove(0)).unwrap().sequence, 1);
    assert_eq!(proposals.applied(1, 1).unwrap().len(), 1);
}

/// With one batch in flight and one waiter told nothing yet.
fn with_one_in_flight() -> (Proposals, Arc<Told>) {
    let proposals = Proposals::new(MemberId(1), 1, &Limits::default());
    let told = Arc::new(Told::default());
    let sink: Arc<dyn ReplySink> = Arc::clone(&told) as _;
    proposals.submit(&of_bytes(10), (sink, 1), |_| {});
    (proposals, told)
}

#[test]
fn a_batch_that_breaks_an_invariant_is_not_sent_and_is_the_last() {
    type Damage = fn(&mut Queue);
    let damages: [(&str, Damage); 4] = [
        ("A5", |queue| queue.next_sequence += 1),
        ("A5", |queue| queue.next_sequence -= 1),
        ("C9", |queue| {
            let largest = of_bytes(Limits::default().entry_bytes_max());
            queue.gathering[0].writer.push(&largest);
        }),
        ("C2", |queue| queue.gathering[0].waiters.clear()),
    ];
    for (id, damage) in damages {
        let (proposals, told) = with_one_in_flight();
        let sink: Arc<dyn ReplySink> = Arc::clone(&told) as _;
        {
            let mut queue = proposals.queue();
            let mut writer = BatchWriter::new(MemberId(1), 1);
            writer.push(&of_bytes(10));
            let waiters = vec![(Arc::clone(&sink), 2)];
            queue.gathering.push_back(Gathering { writer, waiters });
            damage(&mut queue);
        }
        proposals.pump(|_| panic!("{id}: it is sent"));
        let said = proposals.watch_violation().borrow().clone().unwrap_or_default();
        assert!(said.contains(&format!("invariant {id} is violated")), "{id}: {said}");
        proposals.submit(&of_bytes(10), (sink, 3), |_| panic!("{id}: it goes on"));
        proposals.serve_again();
        let told = std::mem::take(&mut *told.0.lock().unwrap());
        let kind = |token| {
            let outcome = told.iter().find(|(told, _)| *told == token);
            outcome.map(|(_, outcome)| outcome.as_ref().unwrap_err().kind().clone())
        };
        assert_eq!(kind(1), Some(ErrorKind::Indeterminate), "{id}");
        assert_eq!(kind(3), Some(ErrorKind::Unavailable), "{id}");
        if id != "C2" {
            assert_eq!(kind(2), Some(ErrorKind::Unavailable), "{id}");
        }
    }
}

#[test]
fn a_batch_applied_before_an_earlier_one_is_noticed() {
    let (proposals, _told) = with_one_in_flight();
    assert!(proposals.applied(1, 0).unwrap().is_empty());
    assert!(proposals.applied(2, 9).unwrap().is_empty(), "another start's");
    let broken = proposals.applied(1, 2).err().map(|broken| broken.id());
    assert_eq!(broken, Some("A5"));
    assert_eq!(proposals.applied(1, 1).unwrap().len(), 1);
}
