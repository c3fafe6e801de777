//! Encodes outcomes of commands as reply bodies.

use coord_state::reply::MultiReply;
use coord_state::znode::Stat;
use coord_state::{Applied, Rejection, Reply};
use coord_wire::zookeeper::jute::put_text;
use coord_wire::zookeeper::{ErrorCode, OpCode, multi, record};

use super::error_map::error_code;
use super::outbox::Outbox;
use super::translate::Shape;

/// The session belongs to another connection: close without a reply.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Moved;

/// Appends the reply to a write.
pub(super) fn put_outcome(
    outbox: &mut Outbox,
    xid: i32,
    shape: &Shape,
    applied: &Applied,
) -> Result<(), Moved> {
    let zxid = applied.revision.zxid();
    match &applied.result {
        Ok(reply) => outbox.reply(xid, zxid, |out| put_reply(out, shape, reply)),
        Err(rejection) => {
            let code = error_code(rejection).ok_or(Moved)?;
            outbox.reply(xid, zxid, |out| match (shape, rejection) {
                (Shape::Multi(ops), Rejection::MultiFailed { index, .. }) => {
                    put_failed_multi(out, ops.len(), *index, code);
                    Ok(())
                }
                _ => Err(code),
            });
        }
    }
    Ok(())
}

fn put_reply(out: &mut Vec<u8>, shape: &Shape, reply: &Reply) -> Result<(), ErrorCode> {
    match (shape, reply) {
        (Shape::Empty, Reply::Done) => {}
        (Shape::Path, Reply::Created { path, .. }) => put_text(out, path),
        (Shape::PathAndStat, Reply::Created { path, stat }) => put_created(out, path, stat),
        (Shape::Stat, Reply::Set(stat)) => record::put_stat(out, stat),
        (Shape::Multi(ops), Reply::Multi(replies)) if ops.len() == replies.len() => {
            for (op, reply) in ops.iter().zip(replies) {
                put_multi_reply(out, *op, reply);
            }
            multi::put_end(out);
        }
        // A reply of another command: a fault of ours, which ZooKeeper, too,
        // would answer so.
        _ => return Err(ErrorCode::MarshallingError),
    }
    Ok(())
}

fn put_multi_reply(out: &mut Vec<u8>, op: OpCode, reply: &MultiReply) {
    match reply {
        MultiReply::Created { path, .. }
            if matches!(op, OpCode::Create | OpCode::CreateIfNotExists) =>
        {
            multi::put_result_header(out, op);
            put_text(out, path);
        }
        MultiReply::Created { path, stat } => {
            multi::put_result_header(out, OpCode::Create2);
            put_created(out, path, stat);
        }
        MultiReply::Deleted | MultiReply::Checked => multi::put_result_header(out, op),
        MultiReply::Set(stat) => {
            multi::put_result_header(out, OpCode::SetData);
            record::put_stat(out, stat);
        }
    }
}

/// Every operation of a failed multi is an error: none before the one that
/// failed, its own, and one that means nothing after it.
fn put_failed_multi(out: &mut Vec<u8>, count: usize, failed: usize, code: ErrorCode) {
    for index in 0..count {
        multi::put_error(
            out,
            match index.cmp(&failed) {
                std::cmp::Ordering::Less => ErrorCode::Ok,
                std::cmp::Ordering::Equal => code,
                std::cmp::Ordering::Greater => ErrorCode::RuntimeInconsistency,
            },
        );
    }
    multi::put_end(out);
}

fn put_created(out: &mut Vec<u8>, path: &str, stat: &Stat) {
    put_text(out, path);
    record::put_stat(out, stat);
}

#[cfg(test)]
mod tests {
    use coord_state::Revision;

    use super::*;

    fn frame(shape: &Shape, result: Result<Reply, Rejection>) -> Result<Vec<u8>, Moved> {
        let mut outbox = Outbox::default();
        let applied = Applied { revision: Revision(14), result, events: Vec::new() };
        put_outcome(&mut outbox, 19, shape, &applied)?;
        Ok(outbox.unsent().to_vec())
    }

    fn hex(bytes: &[u8]) -> String {
        bytes.iter().map(|byte| format!("{byte:02x}")).collect()
    }

    #[test]
    fn a_failed_multi_is_framed_as_captured_from_a_server() {
        let shape = Shape::Multi([OpCode::Create, OpCode::CheckVersion, OpCode::Delete].into());
        let cause = Box::new(Rejection::BadVersion);
        let failed = frame(&shape, Err(Rejection::MultiFailed { index: 1, cause })).unwrap();
        assert_eq!(
            hex(&failed),
            "0000004000000013000000000000000e00000000ffffffff000000000000000000\
             ffffffff00ffffff99ffffff99ffffffff00fffffffefffffffeffffffff01ffffffff"
        );
    }

    #[test]
    fn an_empty_multi_is_framed_as_captured_from_a_server() {
        let shape = Shape::Multi([].into());
        assert_eq!(
            hex(&frame(&shape, Ok(Reply::Multi(Vec::new()))).unwrap()),
            "0000001900000013000000000000000e00000000ffffffff01ffffffff"
        );
    }

    #[test]
    fn a_refusal_has_a_revision_and_no_body() {
        assert_eq!(
            hex(&frame(&Shape::Path, Err(Rejection::NodeExists)).unwrap()),
            "0000001000000013000000000000000effffff92"
        );
    }

    #[test]
    fn a_moved_session_is_not_answered() {
        assert_eq!(frame(&Shape::Path, Err(Rejection::SessionMoved)), Err(Moved));
        let cause = Box::new(Rejection::SessionMoved);
        let shape = Shape::Multi([OpCode::Delete].into());
        assert_eq!(frame(&shape, Err(Rejection::MultiFailed { index: 0, cause })), Err(Moved));
    }

    #[test]
    fn a_result_with_a_stat_is_of_type_create2() {
        let shape = Shape::Multi([OpCode::Create2].into());
        let created = MultiReply::Created { path: "/c".into(), stat: Stat::default() };
        let bytes = frame(&shape, Ok(Reply::Multi(vec![created]))).unwrap();
        assert_eq!(bytes[20..24], 15_i32.to_be_bytes());
    }
}
