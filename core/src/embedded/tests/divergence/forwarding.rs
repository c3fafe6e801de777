//! Batches that a member forwards to the leader and that the leader must not order.

use coord_state::MemberId;

use super::*;

#[test]
fn a_forwarded_batch_of_another_member_or_of_too_many_commands_is_not_ordered() {
    let members = Members::start(3);
    let leader = members.leader();
    let leader_id = MemberId(leader as u64 + 1);
    let [one, other] = members.others(leader)[..] else { panic!("there are three") };
    let op = KvOp::Set { key: "forged".into(), value: Bytes::new(), flags: 0 };
    let forged = |origin: usize| Batch {
        time_ms: 0,
        origin: MemberId(origin as u64 + 1),
        // The first batch of a later start than any.
        incarnation: u64::MAX,
        sequence: 1,
        commands: vec![Command::Consul(ConsulCommand::Kv(op.clone()))],
    };
    let mut too_many = Batch { commands: Vec::new(), ..forged(one) }.to_bytes();
    // The count is the last of what comes before the commands.
    let count_at = too_many.len() - 4;
    too_many[count_at..].copy_from_slice(&u32::MAX.to_le_bytes());
    members.node(one).forward_raw(leader_id, forged(other).to_bytes());
    members.node(one).forward_raw(leader_id, too_many);
    // What a member sends arrives in order.
    members.set(one, "own", "value");
    members.agree();
    assert_eq!(members.value(leader, "forged"), None);
    assert!(members.node(leader).impairment().is_none());
}
