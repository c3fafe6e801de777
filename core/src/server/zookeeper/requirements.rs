//! Preconditions of a request: a leader, a fresh state, a session that the
//! cluster knows.

use coord_wire::zookeeper::{OpCode, Request};

/// Whether it can only be done with the others.
pub(super) fn needs_a_leader(request: &Request) -> bool {
    matches!(
        request,
        Request::Create(_)
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::CheckVersion { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::Sync { .. }
    )
}

/// Whether the answer tells something that commands change.
pub(super) fn tells_state(request: &Request) -> bool {
    matches!(
        request.op(),
        OpCode::Exists
            | OpCode::GetData
            | OpCode::GetAcl
            | OpCode::GetChildren
            | OpCode::GetChildren2
            | OpCode::GetAllChildrenNumber
            | OpCode::GetEphemerals
            | OpCode::MultiRead
    )
}

/// Whether the request makes a znode that belongs to its session.
pub(super) fn makes_ephemerals(request: &Request) -> bool {
    match request {
        Request::Create(create) => matches!(create.flags, 1 | 3),
        Request::Multi(requests) => requests.iter().any(makes_ephemerals),
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use coord_wire::zookeeper::request::{Create, CreateForm};

    use super::*;

    #[test]
    fn an_ephemeral_anywhere_in_a_multi_counts() {
        let create = |flags| {
            let form = CreateForm::Plain;
            Request::Create(Create { form, path: "/a".into(), data: None, acl: None, flags })
        };
        assert!(makes_ephemerals(&Request::Multi(vec![create(0), create(3)])));
        assert!(!makes_ephemerals(&Request::Multi(vec![create(0), create(4)])));
        assert!(needs_a_leader(&Request::Multi(vec![])) && !needs_a_leader(&Request::Ping));
        assert!(tells_state(&Request::MultiRead(vec![])) && !tells_state(&Request::WhoAmI));
    }
}
