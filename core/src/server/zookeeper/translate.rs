//! Translates write requests to commands.

use bytes::Bytes;
use coord_state::session::SessionCommand;
use coord_state::znode::{Caller, CreateMode, Identity, MultiOp, ZnodeCommand, ZnodeOp};
use coord_state::{Attachment, Command, SessionId};
use coord_wire::zookeeper::request::{Create, CreateForm};
use coord_wire::zookeeper::{ErrorCode, Extension, OpCode, Request};

/// The session of a connection, and the proof that it is its.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) session: SessionId,
    pub(super) attachment: Attachment,
    /// Whether only this member knows the session. The cluster cannot check
    /// it then, so its commands come without one.
    pub(super) local: bool,
}

/// What the reply to a write has to look like.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shape {
    /// No body.
    Empty,
    /// The created path.
    Path,
    /// The created path and its stat.
    PathAndStat,
    /// The new stat.
    Stat,
    /// One result of each of these types.
    Multi(Box<[OpCode]>),
}

/// How a request is carried out.
#[derive(Debug)]
pub(super) enum Plan {
    /// By ordering a command.
    Write(Command, Shape),
    /// By looking at the state.
    Read(Request),
    /// Not at all.
    Refuse(ErrorCode),
}

/// Largest time to live: forty bits of milliseconds.
const TTL_MS_MAX: i64 = (1 << 40) - 1;

/// Decides how to carry out a request of `owner`.
pub(super) fn plan(request: Request, owner: Owner, identities: &[Identity]) -> Plan {
    match plan_write(request, owner, identities) {
        Ok(plan) => plan,
        Err(error) => Plan::Refuse(error),
    }
}

fn plan_write(request: Request, owner: Owner, identities: &[Identity]) -> Result<Plan, ErrorCode> {
    let znode = |op| {
        let caller = Caller {
            session: (!owner.local).then_some((owner.session, owner.attachment)),
            identities: identities.into(),
        };
        Command::Znode(ZnodeCommand { caller, op })
    };
    Ok(match request {
        Request::Create(create) => {
            let shape = match create.form {
                CreateForm::Plain | CreateForm::IfNotExists => Shape::Path,
                CreateForm::WithStat | CreateForm::Container | CreateForm::Ttl { .. } => {
                    Shape::PathAndStat
                }
            };
            Plan::Write(znode(ZnodeOp::Single(create_op(create)?)), shape)
        }
        Request::Delete { path, version } => {
            let op = MultiOp::Delete { path: path.into(), version };
            Plan::Write(znode(ZnodeOp::Single(op)), Shape::Empty)
        }
        Request::SetData { path, data, version } => {
            let op = MultiOp::SetData { path: path.into(), data: own(data), version };
            Plan::Write(znode(ZnodeOp::Single(op)), Shape::Stat)
        }
        Request::SetAcl { path, acl, version } => {
            let op = ZnodeOp::SetAcl { path: path.into(), acl, version };
            Plan::Write(znode(op), Shape::Stat)
        }
        Request::Multi(requests) => {
            let (mut ops, mut types) = (Vec::with_capacity(requests.len()), Vec::new());
            for request in requests {
                let asked = request.op();
                let op = multi_op(request)?;
                types.push(result_type(asked, &op));
                ops.push(op);
            }
            Plan::Write(znode(ZnodeOp::Multi(ops)), Shape::Multi(types.into()))
        }
        Request::Extension(
            extension @ (Extension::CheckNotExists { .. } | Extension::RemoveRecursive { .. }),
        ) => {
            let op = multi_op(Request::Extension(extension))?;
            Plan::Write(znode(ZnodeOp::Single(op)), Shape::Empty)
        }
        Request::CloseSession => {
            let Owner { session, attachment, .. } = owner;
            let command = SessionCommand::Close { session, attachment };
            Plan::Write(Command::Session(command), Shape::Empty)
        }
        read => Plan::Read(read),
    })
}

/// One operation of a multi. Its flags alone say what to create, whichever of
/// the operations that create it is. ZooKeeper 3.9 refuses the whole multi as
/// undecodable for what alone would be bad arguments.
fn multi_op(request: Request) -> Result<MultiOp, ErrorCode> {
    match request {
        Request::Create(mut create) => {
            if create.form == CreateForm::Container {
                create.form = CreateForm::Plain;
            }
            create_op(create).map_err(|_| ErrorCode::MarshallingError)
        }
        Request::Delete { path, version } => Ok(MultiOp::Delete { path: path.into(), version }),
        Request::SetData { path, data, version } => {
            Ok(MultiOp::SetData { path: path.into(), data: own(data), version })
        }
        Request::CheckVersion { path, version } => {
            Ok(MultiOp::CheckVersion { path: path.into(), version })
        }
        Request::Extension(Extension::CheckNotExists { path, version }) => {
            Ok(MultiOp::CheckAbsent { path: path.into(), version })
        }
        Request::Extension(Extension::RemoveRecursive { path, limit }) => {
            Ok(MultiOp::DeleteSubtree { path: path.into(), limit })
        }
        Request::Extension(Extension::CheckHash { path, reach, hash }) => {
            Ok(MultiOp::CheckHash { path: path.into(), reach, hash })
        }
        _ => Err(ErrorCode::MarshallingError),
    }
}

/// How the result of an operation of a multi is told. Every form of creation but the plain one
/// is answered with its stat, as since ZooKeeper 3.9 (ZOOKEEPER-4026), and so is a plain one
/// whose flags make a container.
fn result_type(asked: OpCode, op: &MultiOp) -> OpCode {
    match op {
        MultiOp::Create { mode, .. } => match (asked, mode) {
            (OpCode::Create, CreateMode::Persistent { .. } | CreateMode::Ephemeral { .. }) => {
                OpCode::Create
            }
            _ => OpCode::Create2,
        },
        MultiOp::Delete { .. } => OpCode::Delete,
        MultiOp::SetData { .. } => OpCode::SetData,
        MultiOp::CheckVersion { .. } => OpCode::CheckVersion,
        MultiOp::CheckHash { .. } => OpCode::CheckHash,
        MultiOp::CheckAbsent { .. } => OpCode::CheckNotExists,
        MultiOp::CreateIfAbsent { .. } => OpCode::CreateIfNotExists,
        MultiOp::DeleteSubtree { .. } => OpCode::RemoveRecursive,
    }
}

fn create_op(create: Create) -> Result<MultiOp, ErrorCode> {
    let mode = create_mode(create.form, create.flags)?;
    let (path, data, acl) = (create.path.into(), own(create.data), create.acl);
    Ok(match create.form {
        CreateForm::IfNotExists => MultiOp::CreateIfAbsent { path, data, acl, mode },
        _ => MultiOp::Create { path, data, acl, mode },
    })
}

/// The mode asked for. Where ZooKeeper makes something else than was asked for
/// (a plain znode of flags 4 without the container operation), this makes what
/// was asked for.
fn create_mode(form: CreateForm, flags: i32) -> Result<CreateMode, ErrorCode> {
    let mode = match (flags, form) {
        (0 | 2 | 4, CreateForm::Container) | (4, _) => CreateMode::Container,
        (0 | 2, _) => CreateMode::Persistent { sequential: flags == 2 },
        (1 | 3, _) => CreateMode::Ephemeral { sequential: flags == 3 },
        (5 | 6, CreateForm::Ttl { ttl_ms }) if (1..=TTL_MS_MAX).contains(&ttl_ms) => {
            return Ok(CreateMode::Ttl { sequential: flags == 6, ttl_ms: ttl_ms.cast_unsigned() });
        }
        _ => return Err(ErrorCode::BadArguments),
    };
    match form {
        CreateForm::Ttl { ttl_ms: 0.. } => Err(ErrorCode::BadArguments),
        _ => Ok(mode),
    }
}

/// A copy, so that a few bytes of data do not hold on to a whole receive buffer.
fn own(data: Option<Bytes>) -> Option<Bytes> {
    data.map(|data| Bytes::copy_from_slice(&data))
}

#[cfg(test)]
mod tests {
    use super::*;

    const OWNER: Owner = Owner { session: SessionId(1), attachment: Attachment(2), local: false };

    fn create(form: CreateForm, flags: i32) -> Create {
        Create { form, path: "/a".into(), data: None, acl: None, flags }
    }

    #[test]
    fn flags_and_operation_make_the_mode() {
        let ttl = |ttl_ms| CreateForm::Ttl { ttl_ms };
        let persistent = |sequential| Ok(CreateMode::Persistent { sequential });
        assert_eq!(create_mode(CreateForm::Plain, 0), persistent(false));
        assert_eq!(create_mode(CreateForm::WithStat, 2), persistent(true));
        assert_eq!(
            create_mode(CreateForm::Plain, 3),
            Ok(CreateMode::Ephemeral { sequential: true })
        );
        assert_eq!(create_mode(CreateForm::Container, 4), Ok(CreateMode::Container));
        assert_eq!(create_mode(CreateForm::Container, 0), Ok(CreateMode::Container));
        assert_eq!(create_mode(ttl(7), 6), Ok(CreateMode::Ttl { sequential: true, ttl_ms: 7 }));
        assert_eq!(create_mode(ttl(-1), 0), persistent(false));
    }

    #[test]
    fn impossible_flags_and_times_to_live_are_bad_arguments() {
        let ttl = |ttl_ms| CreateForm::Ttl { ttl_ms };
        for (form, flags) in [
            (CreateForm::Plain, 7),
            (CreateForm::Plain, -1),
            (CreateForm::Plain, 5),
            (CreateForm::WithStat, 6),
            (ttl(0), 5),
            (ttl(-1), 5),
            (ttl(1 << 40), 5),
            (ttl(0), 0),
            (ttl(5), 2),
        ] {
            assert_eq!(create_mode(form, flags), Err(ErrorCode::BadArguments), "{form:?} {flags}");
        }
    }

    #[test]
    fn bad_flags_inside_a_multi_make_the_whole_undecodable() {
        let request = Request::Multi(vec![Request::Create(create(CreateForm::Plain, 9))]);
        assert!(matches!(plan(request, OWNER, &[]), Plan::Refuse(ErrorCode::MarshallingError)));
        let request = Request::Create(create(CreateForm::Plain, 9));
        assert!(matches!(plan(request, OWNER, &[]), Plan::Refuse(ErrorCode::BadArguments)));
    }

    #[test]
    fn in_a_multi_flags_decide_and_every_creation_but_the_plain_one_comes_with_its_stat() {
        let creates = [
            create(CreateForm::Plain, 1),
            create(CreateForm::Plain, 4),
            create(CreateForm::WithStat, 0),
            create(CreateForm::WithStat, 3),
            create(CreateForm::Container, 0),
            create(CreateForm::Container, 4),
            create(CreateForm::Ttl { ttl_ms: 7 }, 5),
        ];
        let request = Request::Multi(creates.into_iter().map(Request::Create).collect());
        let Plan::Write(_, Shape::Multi(types)) = plan(request, OWNER, &[]) else {
            panic!("a multi is a write")
        };
        assert_eq!(types[0], OpCode::Create);
        assert_eq!(types[1..], [OpCode::Create2; 6]);
    }

    #[test]
    fn a_command_carries_the_session_and_the_identities_it_is_given() {
        let identity = Identity { scheme: "ip".into(), id: "127.0.0.1".into() };
        let request = Request::Delete { path: "/a".into(), version: 3 };
        let Plan::Write(Command::Znode(command), Shape::Empty) =
            plan(request, OWNER, std::slice::from_ref(&identity))
        else {
            panic!("a delete is a znode command without a reply body")
        };
        assert_eq!(command.caller.session, Some((OWNER.session, OWNER.attachment)));
        assert_eq!(*command.caller.identities, [identity]);
    }
}
