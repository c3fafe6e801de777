//! Verbs on znodes and ZooKeeper sessions.
//!
//! Sessions (`@9` names an attachment other than the newest):
//! - `open 1 timeout=4000`, `attach 1 password=x timeout=4000`
//! - `close 1`, `expire 1@9`, `sessions`, `ephemerals 1`
//!
//! Changes, with `as=1` (or `as=1@9`) and `who=digest:bob:hash,ip:10.0.0.1`:
//! - `create /a "data" [sequential] [ephemeral|container|ttl=500] [acl=…]`
//! - `set /a "data" [version=3]`, `delete /a [version=3]`, `check /a [version=3]`
//! - `setacl /a acl=world:anyone:r,digest:bob:hash:cdrwa [version=3]`
//! - `checkhash /a NAME [subtree]` (what `hash` noted), `checkabsent /a [version=3]`
//! - `ensure /a "data"` (creates if absent), `remove /a [limit=9]` (with all below)
//! - `multi ; create /a ; delete /b`, `reap /a [unused=500]`, `config "lines"`
//!
//! Data left out is null. An `acl=` left out is open; `none` and `empty` are lists too.
//!
//! Questions: `get`, `stat`, `ls`, `acl`, `allows /a w who=…`, `count`,
//! `descendants /a`, `reapable [unused=500]`, `hash /a [subtree] [note=NAME] [who=…]`.

use coord_state::reply::MultiReply;
use coord_state::session::SessionCommand;
use coord_state::znode::{
    Ace, Caller, CreateMode, Identity, MultiOp, Reach, Znode, ZnodeCommand, ZnodeOp, permission,
};
use coord_state::{Attachment, Command, SessionId};

use super::line::number;
use super::{Line, Verb, World};

/// The verbs of this area.
pub(crate) fn verb(name: &str) -> Option<Verb> {
    Some(match name {
        "open" => open,
        "attach" => attach,
        "close" => close,
        "expire" => expire,
        "identify" => identify,
        "sessions" => sessions,
        "ephemerals" => ephemerals,
        "create" | "delete" | "set" | "check" => single,
        "checkhash" | "checkabsent" | "ensure" | "remove" => single,
        "hash" => hash,
        "setacl" => set_acl,
        "multi" => multi,
        "reap" => reap,
        "config" => config,
        "get" => get,
        "stat" => stat,
        "ls" => children,
        "acl" => acl,
        "allows" => allows,
        "count" => count,
        "descendants" => descendants,
        "reapable" => reapable,
        _ => return None,
    })
}

/// One answer inside a `multi`, as scripts show it.
pub(crate) fn multi_reply_text(reply: &MultiReply) -> String {
    match reply {
        MultiReply::Created { path, .. } => format!("created {path:?}"),
        MultiReply::Deleted => "deleted".into(),
        MultiReply::Set(stat) => format!("set version={}", stat.version),
        MultiReply::Checked => "checked".into(),
    }
}

// ---- sessions ----

fn open(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (session, attachment) = owner(world, &line.argument("a session")?)?;
    world.attachments.insert(session, attachment);
    world.apply(Command::Session(SessionCommand::Open {
        session,
        password: password(line),
        timeout_ms: line.number("timeout")?.unwrap_or(4000),
        attachment,
    }))
}

fn attach(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (session, attachment) = owner(world, &line.argument("a session")?)?;
    let command = SessionCommand::Attach {
        session,
        password: password(line),
        timeout_ms: line.number("timeout")?.unwrap_or(4000),
        attachment,
    };
    world.apply(Command::Session(command))?;
    if let Some(live) = world.machine.sessions().session(session) {
        world.attachments.insert(session, live.attachment);
    }
    Ok(())
}

fn close(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (session, attachment) = owner(world, &line.argument("a session")?)?;
    world.apply(Command::Session(SessionCommand::Close { session, attachment }))
}

fn expire(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (session, attachment) = owner(world, &line.argument("a session")?)?;
    world.apply(Command::Session(SessionCommand::Expire { session, attachment }))
}

fn identify(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (session, attachment) = owner(world, &line.argument("a session")?)?;
    let identities = identities(line)?;
    world.apply(Command::Session(SessionCommand::Identify { session, attachment, identities }))
}

fn sessions(world: &mut World, _line: &mut Line) -> Result<(), String> {
    let lines: Vec<_> = world
        .machine
        .sessions()
        .iter()
        .map(|(id, session)| {
            format!("{id} timeout={} attachment={}", session.timeout_ms, session.attachment)
        })
        .collect();
    say_all(world, lines, "no sessions")
}

fn ephemerals(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (id, _) = owner(world, &line.argument("a session")?)?;
    let session = world.machine.sessions().session(id).ok_or("no such session")?;
    let lines: Vec<_> = session.ephemerals.iter().map(|path| path.to_string()).collect();
    say_all(world, lines, "none")
}

/// Reads `1` (with the newest attachment, or 1) or `1@9`.
fn owner(world: &World, text: &str) -> Result<(SessionId, Attachment), String> {
    let (session, attachment) = match text.split_once('@') {
        Some((session, attachment)) => (session, Some(number(attachment)?)),
        None => (text, None),
    };
    let session = SessionId(number(session)?);
    let newest = || world.attachments.get(&session).copied().unwrap_or(Attachment(1));
    Ok((session, attachment.map_or_else(newest, Attachment)))
}

fn password(line: &mut Line) -> [u8; 16] {
    let mut password = [0; 16];
    let text = line.option("password").unwrap_or_default();
    for (place, byte) in password.iter_mut().zip(text.bytes()) {
        *place = byte;
    }
    password
}

// ---- changes ----

fn single(world: &mut World, line: &mut Line) -> Result<(), String> {
    let op = ZnodeOp::Single(operation(world, line)?);
    change(world, line, op)
}

fn set_acl(world: &mut World, line: &mut Line) -> Result<(), String> {
    let path = line.argument("a path")?.into();
    let op = ZnodeOp::SetAcl { path, acl: access_list(line)?, version: version(line)? };
    change(world, line, op)
}

fn reap(world: &mut World, line: &mut Line) -> Result<(), String> {
    let path = line.argument("a path")?.into();
    let op = match line.number("unused")? {
        Some(unused_ms) => ZnodeOp::ReapUnused { path, unused_ms },
        None => ZnodeOp::Reap { path },
    };
    change(world, line, op)
}

fn config(world: &mut World, line: &mut Line) -> Result<(), String> {
    let lines = line.argument("lines")?.into();
    change(world, line, ZnodeOp::SetConfig { lines })
}

fn multi(world: &mut World, line: &mut Line) -> Result<(), String> {
    let mut operations = Vec::new();
    for mut part in line.parts() {
        operations.push(operation(world, &mut part)?);
        part.finish()?;
    }
    change(world, line, ZnodeOp::Multi(operations))
}

fn change(world: &mut World, line: &mut Line, op: ZnodeOp) -> Result<(), String> {
    let session = line.option("as").map(|text| owner(world, &text)).transpose()?;
    let caller = Caller { session, identities: identities(line)? };
    world.apply(Command::Znode(ZnodeCommand { caller, op }))
}

fn operation(world: &World, line: &mut Line) -> Result<MultiOp, String> {
    let path = line.argument("a path")?.into();
    Ok(match line.verb() {
        "create" => {
            let mode = mode(line)?;
            let acl = access_list(line)?;
            MultiOp::Create { path, data: data(line), acl, mode }
        }
        "ensure" => {
            let mode = mode(line)?;
            let acl = access_list(line)?;
            MultiOp::CreateIfAbsent { path, data: data(line), acl, mode }
        }
        "remove" => MultiOp::DeleteSubtree { path, limit: line.number("limit")?.unwrap_or(100) },
        "checkabsent" => MultiOp::CheckAbsent { path, version: version(line)? },
        "checkhash" => {
            let reach = reach(line);
            let noted = line.argument("the name of a hash")?;
            let hash = *world.hashes.get(&noted).ok_or("no such hash was noted")?;
            MultiOp::CheckHash { path, reach, hash }
        }
        "delete" => MultiOp::Delete { path, version: version(line)? },
        "set" => MultiOp::SetData { path, data: data(line), version: version(line)? },
        "check" => MultiOp::CheckVersion { path, version: version(line)? },
        other => return Err(format!("`{other}` cannot stand in a multi")),
    })
}

fn reach(line: &mut Line) -> Reach {
    if line.word("subtree") { Reach::Subtree } else { Reach::Znode }
}

fn mode(line: &mut Line) -> Result<CreateMode, String> {
    let sequential = line.word("sequential");
    if line.word("ephemeral") {
        return Ok(CreateMode::Ephemeral { sequential });
    }
    if line.word("container") {
        return Ok(CreateMode::Container);
    }
    Ok(match line.number("ttl")? {
        Some(ttl_ms) => CreateMode::Ttl { sequential, ttl_ms },
        None => CreateMode::Persistent { sequential },
    })
}

fn data(line: &mut Line) -> Option<bytes::Bytes> {
    line.maybe_argument().map(|text| text.into_bytes().into())
}

fn version(line: &mut Line) -> Result<i32, String> {
    Ok(line.number("version")?.unwrap_or(-1))
}

fn identities(line: &mut Line) -> Result<Box<[Identity]>, String> {
    let Some(text) = line.option("who") else { return Ok(Box::default()) };
    text.split(',').map(identity).collect()
}

fn identity(text: &str) -> Result<Identity, String> {
    let (scheme, id) = text.split_once(':').ok_or_else(|| format!("`{text}` has no scheme"))?;
    Ok(Identity { scheme: scheme.into(), id: id.into() })
}

fn access_list(line: &mut Line) -> Result<Option<Vec<Ace>>, String> {
    let text = line.option("acl");
    match text.as_deref() {
        None => Ok(Some(vec![Ace { perms: permission::ALL, identity: identity("world:anyone")? }])),
        Some("none") => Ok(None),
        Some("empty") => Ok(Some(Vec::new())),
        Some(list) => list.split(',').map(entry).collect::<Result<_, _>>().map(Some),
    }
}

fn entry(text: &str) -> Result<Ace, String> {
    let (who, perms) = text.rsplit_once(':').ok_or_else(|| format!("`{text}` has no perms"))?;
    Ok(Ace { perms: permissions(perms)?, identity: identity(who)? })
}

const LETTERS: [(char, u32); 5] = [
    ('c', permission::CREATE),
    ('d', permission::DELETE),
    ('r', permission::READ),
    ('w', permission::WRITE),
    ('a', permission::ADMIN),
];

fn permissions(text: &str) -> Result<u32, String> {
    text.chars().try_fold(0, |perms, letter| {
        let (_, bit) = LETTERS
            .iter()
            .find(|(known, _)| *known == letter)
            .ok_or_else(|| format!("no permission `{letter}`"))?;
        Ok(perms | bit)
    })
}

// ---- questions ----

fn ask(
    world: &mut World,
    line: &mut Line,
    answer: impl Fn(Znode<'_>) -> Vec<String>,
) -> Result<(), String> {
    let path = line.argument("a path")?;
    let lines = match world.machine.znodes().znode(&path) {
        Some(znode) => answer(znode),
        None => vec![format!("no znode {path:?}")],
    };
    say_all(world, lines, "none")
}

fn get(world: &mut World, line: &mut Line) -> Result<(), String> {
    ask(world, line, |znode| {
        vec![match znode.data() {
            None => "null".into(),
            Some(data) => format!("{:?}", String::from_utf8_lossy(data)),
        }]
    })
}

fn stat(world: &mut World, line: &mut Line) -> Result<(), String> {
    ask(world, line, |znode| {
        let stat = znode.stat();
        vec![
            format!("czxid={} mzxid={} pzxid={}", stat.czxid, stat.mzxid, stat.pzxid),
            format!("ctime={} mtime={}", stat.ctime, stat.mtime),
            format!(
                "version={} cversion={} aversion={}",
                stat.version, stat.cversion, stat.aversion
            ),
            format!(
                "owner={} data_length={} children={}",
                stat.ephemeral_owner, stat.data_length, stat.num_children
            ),
        ]
    })
}

fn children(world: &mut World, line: &mut Line) -> Result<(), String> {
    ask(world, line, |znode| vec![format!("{:?}", znode.children().collect::<Vec<_>>())])
}

fn acl(world: &mut World, line: &mut Line) -> Result<(), String> {
    ask(world, line, |znode| {
        znode
            .acl()
            .0
            .iter()
            .map(|ace| {
                let letters: String = LETTERS
                    .iter()
                    .filter(|(_, bit)| ace.perms & bit != 0)
                    .map(|(letter, _)| *letter)
                    .collect();
                format!("{}:{}:{letters}", ace.identity.scheme, ace.identity.id)
            })
            .collect()
    })
}

fn allows(world: &mut World, line: &mut Line) -> Result<(), String> {
    let who = identities(line)?;
    let path = line.argument("a path")?;
    let perms = permissions(&line.argument("permissions")?)?;
    let znode = world.machine.znodes().znode(&path).ok_or("no such znode")?;
    let answer = if znode.acl().allows(perms, &who) { "allowed" } else { "forbidden" };
    world.say(answer);
    Ok(())
}

fn count(world: &mut World, _line: &mut Line) -> Result<(), String> {
    let znodes = world.machine.znodes();
    let line = format!("znodes={} bytes={}", znodes.len(), znodes.approximate_data_size());
    world.say(&line);
    Ok(())
}

fn reapable(world: &mut World, line: &mut Line) -> Result<(), String> {
    let znodes = world.machine.znodes();
    let lines = match line.number("unused")? {
        Some(ms) => {
            znodes.unused_containers(world.time_ms, ms, 100).map(ToString::to_string).collect()
        }
        None => znodes.reap_candidates(world.time_ms, 100).map(ToString::to_string).collect(),
    };
    say_all(world, lines, "nothing to reap")
}

fn descendants(world: &mut World, line: &mut Line) -> Result<(), String> {
    let count = world.machine.znodes().descendants(&line.argument("a path")?);
    world.say(&count.to_string());
    Ok(())
}

fn hash(world: &mut World, line: &mut Line) -> Result<(), String> {
    let (who, reach) = (identities(line)?, reach(line));
    let path = line.argument("a path")?;
    match world.machine.znodes().hash_for(&path, reach, &who) {
        Ok(hash) => {
            world.say(&format!("hash {hash}"));
            if let Some(name) = line.option("note") {
                world.hashes.insert(name, hash);
            }
        }
        Err(rejection) => world.say(&format!("refused: {rejection}")),
    }
    Ok(())
}

fn say_all(world: &mut World, lines: Vec<String>, otherwise: &str) -> Result<(), String> {
    if lines.is_empty() {
        world.say(otherwise);
    }
    for line in lines {
        world.say(&line);
    }
    Ok(())
}
