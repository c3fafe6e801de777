//! Random commands against a model that is as simple as it can be: a map from
//! path to znode, copied before every `multi`.

#![allow(clippy::unwrap_used, reason = "a test may stop at the first surprise")]

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use coord_state::machine::ClusterIdentity;
use coord_state::session::SessionCommand;
use coord_state::snapshot::Restore;
use coord_state::znode::{
    Ace, Caller, CreateMode, Identity, MultiOp, Reach, ZnodeCommand, ZnodeOp, permission,
};
use coord_state::{Attachment, Command, ContentHash, Rejection, SessionId, StateMachine};
use proptest::collection::vec;
use proptest::prelude::*;

#[derive(Debug, Clone, PartialEq, Eq)]
struct ModelZnode {
    data: Option<Bytes>,
    version: i32,
    created: i64,
    owner: i64,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct Model {
    znodes: BTreeMap<String, ModelZnode>,
    sessions: BTreeSet<i64>,
}

fn parent_of(path: &str) -> String {
    match path.rfind('/') {
        Some(0) | None => "/".into(),
        Some(at) => path[..at].into(),
    }
}

impl Model {
    fn new() -> Self {
        let znode = |path: &str| {
            let data = Some(Bytes::new());
            (path.into(), ModelZnode { data, version: 0, created: 0, owner: 0 })
        };
        let paths = ["/", "/zookeeper", "/zookeeper/quota", "/zookeeper/config"];
        Self { znodes: paths.into_iter().map(znode).collect(), sessions: BTreeSet::new() }
    }

    fn children(&self, path: &str) -> BTreeSet<String> {
        let below = self.znodes.keys().filter(|other| *other != "/");
        below.filter(|other| parent_of(other) == path).cloned().collect()
    }

    fn perform(&mut self, op: &MultiOp, session: Option<i64>) -> Result<(), Rejection> {
        match op {
            MultiOp::Create { path, data, mode, .. } => {
                let (owner, sequential) = match *mode {
                    CreateMode::Persistent { sequential } => (0, sequential),
                    CreateMode::Ephemeral { sequential } => {
                        (session.ok_or(Rejection::SessionExpired)?, sequential)
                    }
                    CreateMode::Container => (i64::MIN, false),
                    CreateMode::Ttl { .. } => unreachable!("not generated"),
                };
                let parent = self.znodes.get(&parent_of(path)).ok_or(Rejection::NoNode)?.clone();
                let path = if sequential {
                    format!("{path}{:010}", parent.created)
                } else {
                    path.to_string()
                };
                if self.znodes.contains_key(&path) {
                    return Err(Rejection::NodeExists);
                }
                if parent.owner > 0 {
                    return Err(Rejection::NoChildrenForEphemerals);
                }
                self.znodes.get_mut(&parent_of(&path)).unwrap().created += 1;
                let data = data.clone();
                self.znodes.insert(path, ModelZnode { data, version: 0, created: 0, owner });
            }
            MultiOp::Delete { path, version } => {
                self.znodes.get(&parent_of(path)).ok_or(Rejection::NoNode)?;
                self.expect(path, *version)?;
                if !self.children(path).is_empty() {
                    return Err(Rejection::NotEmpty);
                }
                self.znodes.remove(&**path);
            }
            MultiOp::SetData { path, data, version } => {
                self.expect(path, *version)?;
                let znode = self.znodes.get_mut(&**path).unwrap();
                znode.data = data.clone();
                znode.version += 1;
            }
            MultiOp::CheckVersion { path, version } => self.expect(path, *version)?,
            MultiOp::CheckAbsent { path, version } => {
                if self.expect(path, *version).is_ok() {
                    return Err(Rejection::NodeExists);
                }
            }
            MultiOp::CreateIfAbsent { path, data, acl, mode } => {
                if matches!(mode, CreateMode::Persistent { sequential: true }) {
                    let why = "a sequential znode is never there already";
                    return Err(Rejection::BadArguments(why));
                }
                let (data, acl) = (data.clone(), acl.clone());
                let create = MultiOp::Create { path: path.clone(), data, acl, mode: *mode };
                match self.perform(&create, session) {
                    Ok(()) | Err(Rejection::NodeExists) => {}
                    refused => return refused,
                }
            }
            MultiOp::DeleteSubtree { path, limit } => {
                self.znodes.get(&parent_of(path)).ok_or(Rejection::NoNode)?;
                self.expect(path, -1)?;
                let below = format!("{path}/");
                let gone = |other: &String| **other == **path || other.starts_with(&below);
                if self.znodes.keys().filter(|other| gone(other)).count() > *limit as usize {
                    return Err(Rejection::NotEmpty);
                }
                self.znodes.retain(|other, _| !gone(other));
            }
            MultiOp::CheckHash { .. } => unreachable!("not generated"),
        }
        Ok(())
    }

    fn expect(&self, path: &str, version: i32) -> Result<(), Rejection> {
        let znode = self.znodes.get(path).ok_or(Rejection::NoNode)?;
        let matches = version == -1 || version == znode.version;
        if matches { Ok(()) } else { Err(Rejection::BadVersion) }
    }

    fn apply(&mut self, step: &Step) -> Result<(), Rejection> {
        match step {
            Step::Open(id) => {
                let opened = self.sessions.insert(*id);
                if opened { Ok(()) } else { Err(Rejection::BadArguments("the session exists")) }
            }
            Step::Close(id) => {
                if !self.sessions.remove(id) {
                    return Err(Rejection::SessionExpired);
                }
                self.znodes.retain(|_, znode| znode.owner != *id);
                Ok(())
            }
            Step::Single(session, op) => {
                self.check(*session)?;
                self.perform(op, *session)
            }
            Step::Multi(session, ops) => {
                self.check(*session)?;
                let mut next = self.clone();
                for (index, op) in ops.iter().enumerate() {
                    next.perform(op, *session).map_err(|cause| Rejection::MultiFailed {
                        index,
                        cause: Box::new(cause),
                    })?;
                }
                *self = next;
                Ok(())
            }
        }
    }

    fn check(&self, session: Option<i64>) -> Result<(), Rejection> {
        let live = session.is_none_or(|id| self.sessions.contains(&id));
        if live { Ok(()) } else { Err(Rejection::SessionExpired) }
    }

    /// What the state machine has, in the model's terms.
    fn of(machine: &StateMachine) -> Self {
        let mut znodes = BTreeMap::new();
        let mut paths = vec![String::from("/")];
        while let Some(path) = paths.pop() {
            let znode = machine.znodes().znode(&path).unwrap();
            let slash = if path == "/" { "" } else { "/" };
            let below: Vec<_> = znode
                .children()
                .map(|name| format!("{path}{slash}{name}").replacen("//", "/", 1))
                .collect();
            assert_eq!(znode.stat().num_children as usize, below.len());
            let seen = ModelZnode {
                data: znode.data().cloned(),
                version: znode.stat().version,
                created: znode.created_children(),
                owner: znode.lifetime().to_owner(),
            };
            paths.extend(below);
            znodes.insert(path, seen);
        }
        Self { znodes, sessions: machine.sessions().iter().map(|(id, _)| id.0).collect() }
    }
}

#[derive(Debug, Clone)]
enum Step {
    Open(i64),
    Close(i64),
    Single(Option<i64>, MultiOp),
    Multi(Option<i64>, Vec<MultiOp>),
}

const OWNER: Attachment = Attachment(1);

impl Step {
    fn command(&self) -> Command {
        let caller = |session: &Option<i64>| Caller {
            session: session.map(|id| (SessionId(id), OWNER)),
            identities: Box::default(),
        };
        match self {
            Self::Open(id) => Command::Session(SessionCommand::Open {
                session: SessionId(*id),
                password: [0; 16],
                timeout_ms: 4000,
                attachment: OWNER,
            }),
            Self::Close(id) => Command::Session(SessionCommand::Close {
                session: SessionId(*id),
                attachment: OWNER,
            }),
            Self::Single(session, op) => Command::Znode(ZnodeCommand {
                caller: caller(session),
                op: ZnodeOp::Single(op.clone()),
            }),
            Self::Multi(session, ops) => Command::Znode(ZnodeCommand {
                caller: caller(session),
                op: ZnodeOp::Multi(ops.clone()),
            }),
        }
    }
}

fn operation() -> impl Strategy<Value = MultiOp> {
    let path = || "(/[abc]){1,2}".prop_map(String::into_boxed_str);
    let data = || proptest::option::of(vec(any::<u8>(), 0..5).prop_map(Bytes::from));
    let version = || prop_oneof![6 => Just(-1), 1 => 0..3_i32];
    let mode = (any::<bool>(), 0..4).prop_map(|(sequential, kind)| match kind {
        0 | 1 => CreateMode::Persistent { sequential },
        2 => CreateMode::Ephemeral { sequential },
        _ => CreateMode::Container,
    });
    let open = || {
        let identity = Identity { scheme: "world".into(), id: "anyone".into() };
        Some(vec![Ace { perms: permission::ALL, identity }])
    };
    prop_oneof![
        4 => (path(), data(), mode)
            .prop_map(move |(path, data, mode)| MultiOp::Create { path, data, acl: open(), mode }),
        2 => (path(), version()).prop_map(|(path, version)| MultiOp::Delete { path, version }),
        2 => (path(), data(), version())
            .prop_map(|(path, data, version)| MultiOp::SetData { path, data, version }),
        1 => (path(), version())
            .prop_map(|(path, version)| MultiOp::CheckVersion { path, version }),
        1 => (path(), version())
            .prop_map(|(path, version)| MultiOp::CheckAbsent { path, version }),
        1 => (path(), data(), any::<bool>()).prop_map(move |(path, data, sequential)| {
            let mode = CreateMode::Persistent { sequential };
            MultiOp::CreateIfAbsent { path, data, acl: open(), mode }
        }),
        1 => (path(), 0..4_u32).prop_map(|(path, limit)| MultiOp::DeleteSubtree { path, limit }),
    ]
}

fn step() -> impl Strategy<Value = Step> {
    let session = || proptest::option::of(1..3_i64);
    prop_oneof![
        2 => (1..3_i64).prop_map(Step::Open),
        1 => (1..3_i64).prop_map(Step::Close),
        8 => (session(), operation()).prop_map(|(session, op)| Step::Single(session, op)),
        4 => (session(), vec(operation(), 0..6))
            .prop_map(|(session, ops)| Step::Multi(session, ops)),
    ]
}

fn restored(machine: &StateMachine) -> StateMachine {
    let mut restore = Restore::new();
    for (tag, payload) in machine.freeze().to_records() {
        restore.record(tag, payload.into()).unwrap();
    }
    restore.finish().unwrap()
}

fn order_of_children(machine: &StateMachine) -> Vec<(String, Vec<String>)> {
    let paths = Model::of(machine).znodes.into_keys();
    paths
        .map(|path| {
            let znode = machine.znodes().znode(&path).unwrap();
            let names = znode.children().map(String::from).collect();
            (path, names)
        })
        .collect()
}

/// The hash of every subtree.
fn hashes(machine: &StateMachine) -> Vec<Option<ContentHash>> {
    let znodes = machine.znodes();
    Model::of(machine).znodes.keys().map(|path| znodes.content_hash(path, Reach::Subtree)).collect()
}

/// What the hash of a subtree covers, told from the model.
fn contents(model: &Model, top: &str) -> Vec<(String, Option<Bytes>, i64)> {
    let below = if top == "/" { "/".into() } else { format!("{top}/") };
    let system = |path: &str| path == "/zookeeper" || path.starts_with("/zookeeper/");
    let covered =
        |path: &str| (path == top || path.starts_with(&below)) && (top != "/" || !system(path));
    let znodes = model.znodes.iter().filter(|(path, _)| covered(path));
    znodes.map(|(path, znode)| (path.clone(), znode.data.clone(), znode.owner)).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, ..ProptestConfig::default() })]

    #[test]
    fn the_state_machine_does_what_the_model_does(steps in vec(step(), 1..80), key: u64) {
        let mut machine = StateMachine::new();
        let mut model = Model::new();
        let cluster_identity = ClusterIdentity { cluster: 1, digest_key: key };
        machine.apply(0, Command::InitCluster(cluster_identity)).result.unwrap();
        for (time_ms, step) in (1..).zip(&steps) {
            let (digest, mut other) = (machine.digest(), restored(&machine));
            let tree = order_of_children(&machine);
            let applied = machine.apply(time_ms, step.command());
            if applied.result.is_err() {
                prop_assert_eq!(machine.digest(), digest, "{:?}", step);
                prop_assert_eq!(order_of_children(&machine), tree, "{:?}", step);
                prop_assert!(applied.events.is_empty());
            }
            prop_assert_eq!(applied.result.map(drop), model.apply(step), "{:?}", step);
            prop_assert_eq!(&Model::of(&machine), &model, "{:?}", step);
            prop_assert_eq!(machine.check_invariants(), Ok(()));
            prop_assert_eq!(restored(&machine).digest(), machine.digest());
            prop_assert_eq!(hashes(&restored(&machine)), hashes(&machine), "{:?}", step);
            // A member that starts from the snapshot does the same from there on.
            let events = other.apply(time_ms, step.command()).events;
            prop_assert_eq!(events, applied.events);
            prop_assert!(other.freeze().to_records() == machine.freeze().to_records());
        }
    }

    /// What is stored of a frozen state is the state at that moment, however much
    /// was changed, refused and undone before it is written.
    #[test]
    fn a_frozen_state_is_not_changed_by_what_comes_after(
        before in vec(step(), 1..60),
        after in vec(step(), 1..60),
    ) {
        let mut machine = StateMachine::new();
        for (time_ms, step) in (1..).zip(&before) {
            let _ = machine.apply(time_ms, step.command());
        }
        let frozen = machine.freeze();
        let at_once = frozen.to_records();
        for (time_ms, step) in (100..).zip(&after) {
            let _ = machine.apply(time_ms, step.command());
        }
        prop_assert_eq!(machine.check_invariants(), Ok(()));
        prop_assert!(frozen.to_records() == at_once);
    }

    /// Two ways through random commands meet at equal hashes where, and only
    /// where, they meet at equal contents.
    #[test]
    fn subtrees_have_equal_hashes_exactly_if_they_have_equal_contents(
        ways in [vec(step(), 1..40), vec(step(), 1..40)],
        key: u64,
    ) {
        let [one, other] = ways.map(|steps| {
            let mut machine = StateMachine::new();
            let cluster_identity = ClusterIdentity { cluster: 1, digest_key: key };
            machine.apply(0, Command::InitCluster(cluster_identity)).result.unwrap();
            for (time_ms, step) in (1..).zip(&steps) {
                let _ = machine.apply(time_ms, step.command());
            }
            machine
        });
        let (in_one, in_other) = (Model::of(&one), Model::of(&other));
        for top in in_one.znodes.keys().filter(|top| in_other.znodes.contains_key(*top)) {
            let hash = |machine: &StateMachine| machine.znodes().content_hash(top, Reach::Subtree);
            let equal = contents(&in_one, top) == contents(&in_other, top);
            prop_assert_eq!(hash(&one) == hash(&other), equal, "{}", top);
        }
    }
}
