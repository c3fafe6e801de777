//! Changes of znodes: ZooKeeper's checks in ZooKeeper's order, where the first
//! failure decides, and their effects.

use alloc::boxed::Box;
use alloc::format;
use alloc::sync::Arc;
use alloc::vec::Vec;

use bytes::Bytes;

use crate::event::{Event, ZnodeEventKind};
use crate::id::{Attachment, Revision, SessionId};
use crate::rejection::Rejection;
use crate::reply::{MultiReply, Reply};
use crate::session::Sessions;
use crate::stamp::Stamp;
use crate::znode::lifetime::TTL_MS_MAX;
use crate::znode::record::{Record, ZnodeId};
use crate::znode::undo::Undo;
use crate::znode::{
    Ace, CreateMode, Identity, Lifetime, MultiOp, Stat, Tree, ZnodeCommand, ZnodeOp, acl, path,
    permission,
};

impl Tree {
    pub(crate) fn apply(
        &mut self,
        stamp: Stamp,
        command: ZnodeCommand,
        sessions: &mut Sessions,
        events: &mut Vec<Event>,
    ) -> Result<Reply, Rejection> {
        let ZnodeCommand { caller, op } = command;
        let told_before = sessions.identities(caller.session);
        let both;
        let identities = match (&*caller.identities, &*told_before) {
            (carried, []) => carried,
            ([], told_before) => told_before,
            (carried, told_before) => {
                both = [carried, told_before].concat();
                &both
            }
        };
        let session = caller.session;
        let mut change = Change { tree: self, sessions, stamp, session, identities, events };
        match op {
            ZnodeOp::Single(op) => change.single(op),
            ZnodeOp::SetAcl { path, acl, version } => change.set_acl(&path, acl, version),
            ZnodeOp::Multi(ops) => change.multi(ops),
            ZnodeOp::SetConfig { lines } => change.set_config(&lines),
            ZnodeOp::Reap { path } => change.reap(&path, None),
            ZnodeOp::ReapUnused { path, unused_ms } => change.reap(&path, Some(unused_ms)),
        }
    }

    /// Deletes an ephemeral whose session ends.
    pub(crate) fn delete_ephemeral(
        &mut self,
        revision: Revision,
        path: &str,
        events: &mut Vec<Event>,
    ) {
        if let Some(id) = self.find(path) {
            let undo = self.delete(id, revision, events);
            self.keep(undo);
        }
    }

    /// A change that stays.
    fn keep(&mut self, undo: Undo) {
        self.account(&undo);
        undo.forget(self);
    }

    fn delete(&mut self, id: ZnodeId, revision: Revision, events: &mut Vec<Event>) -> Undo {
        let record = self.take(id);
        let parent = record.parent;
        let pzxid = self.slab.get(parent).pzxid();
        self.edit(parent, |parent| parent.family_mut().pzxid = revision);
        events.push(Event::Znode {
            kind: ZnodeEventKind::Deleted,
            path: record.path.clone(),
            acl: self.acls.get(record.acl).clone(),
        });
        self.tell(parent, ZnodeEventKind::ChildrenChanged, events);
        Undo::Deleted { record: Box::new(record), pzxid }
    }

    fn tell(&self, id: ZnodeId, kind: ZnodeEventKind, events: &mut Vec<Event>) {
        let record = self.slab.get(id);
        let acl = self.acls.get(record.acl).clone();
        events.push(Event::Znode { kind, path: record.path.clone(), acl });
    }
}

/// One command in the middle of being applied.
pub(super) struct Change<'a> {
    pub(super) tree: &'a mut Tree,
    sessions: &'a mut Sessions,
    stamp: Stamp,
    session: Option<(SessionId, Attachment)>,
    /// Everything the caller has proven to be.
    pub(super) identities: &'a [Identity],
    events: &'a mut Vec<Event>,
}

impl Change<'_> {
    fn single(&mut self, op: MultiOp) -> Result<Reply, Rejection> {
        if let MultiOp::Create { mode, .. } | MultiOp::CreateIfAbsent { mode, .. } = &op {
            check_ttl(*mode)?;
        }
        self.check_session()?;
        let (reply, undo) = self.perform(op)?;
        self.tree.keep(undo);
        Ok(match reply {
            MultiReply::Created { path, stat } => Reply::Created { path, stat },
            MultiReply::Set(stat) => Reply::Set(stat),
            MultiReply::Deleted | MultiReply::Checked => Reply::Done,
        })
    }

    fn multi(&mut self, ops: Vec<MultiOp>) -> Result<Reply, Rejection> {
        self.check_session()?;
        let told = self.events.len();
        let mut replies = Vec::with_capacity(ops.len());
        let mut journal = Vec::with_capacity(ops.len());
        for (index, op) in ops.into_iter().enumerate() {
            match self.perform(op) {
                Ok((reply, undo)) => {
                    replies.push(reply);
                    let counted = self.tree.account(&undo);
                    journal.push(undo);
                    journal.extend(counted);
                }
                Err(cause) => {
                    self.events.truncate(told);
                    for undo in journal.into_iter().rev() {
                        undo.roll_back(self.tree, self.sessions);
                    }
                    return Err(Rejection::MultiFailed { index, cause: Box::new(cause) });
                }
            }
        }
        for undo in journal {
            undo.forget(self.tree);
        }
        Ok(Reply::Multi(replies))
    }

    fn perform(&mut self, op: MultiOp) -> Result<(MultiReply, Undo), Rejection> {
        match op {
            MultiOp::Create { path, data, acl, mode } => self.create(&path, data, acl, mode, false),
            MultiOp::Delete { path, version } => self.delete(&path, version),
            MultiOp::SetData { path, data, version } => self.set_data(&path, data, version),
            MultiOp::CheckVersion { path, version } => self.check_version(&path, version),
            MultiOp::CheckHash { path, reach, hash } => self.check_hash(&path, reach, hash),
            MultiOp::CheckAbsent { path, version } => self.check_absent(&path, version),
            MultiOp::CreateIfAbsent { path, data, acl, mode } => {
                self.create(&path, data, acl, mode, true)
            }
            MultiOp::DeleteSubtree { path, limit } => self.delete_subtree(&path, limit),
        }
    }

    fn create(
        &mut self,
        asked: &str,
        data: Option<Bytes>,
        acl: Option<Vec<Ace>>,
        mode: CreateMode,
        may_exist: bool,
    ) -> Result<(MultiReply, Undo), Rejection> {
        check_ttl(mode)?;
        let (lifetime, sequential) = self.lifetime(mode)?;
        if sequential && may_exist {
            return Err(Rejection::BadArguments("a sequential znode is never there already"));
        }
        let parent_path = path::parent(asked)?;
        let acl = acl::fix_up(acl, self.identities)?;
        let parent = self.tree.find_parent(parent_path).ok_or(Rejection::NoNode)?;
        self.check_allowed(parent, permission::CREATE)?;
        let path: Arc<str> = if sequential {
            format!("{asked}{:010}", self.tree.slab.get(parent).created()).into()
        } else {
            asked.into()
        };
        path::validate(&path)?;
        match self.tree.find(&path) {
            Some(id) if may_exist => {
                let stat = self.stat(id);
                return Ok((MultiReply::Created { path, stat }, Undo::Nothing));
            }
            Some(_) => return Err(Rejection::NodeExists),
            None => {}
        }
        if matches!(self.tree.slab.get(parent).lifetime(), Lifetime::Ephemeral(_)) {
            return Err(Rejection::NoChildrenForEphemerals);
        }
        self.tree.check_quota_of_new(&path, data.as_ref())?;
        let (id, undo) = self.insert(parent, path, data, &acl, lifetime);
        self.tree.tell(id, ZnodeEventKind::Created, self.events);
        self.tree.tell(parent, ZnodeEventKind::ChildrenChanged, self.events);
        let record = self.tree.slab.get(id);
        Ok((MultiReply::Created { path: record.path.clone(), stat: record.stat() }, undo))
    }

    fn insert(
        &mut self,
        parent: ZnodeId,
        path: Arc<str>,
        data: Option<Bytes>,
        acl: &[Ace],
        lifetime: Lifetime,
    ) -> (ZnodeId, Undo) {
        let Stamp { revision, .. } = self.stamp;
        let time = self.time();
        if let Lifetime::Ephemeral(session) = lifetime {
            self.sessions.own(session, path.clone());
        }
        let pzxid = self.tree.slab.get(parent).pzxid();
        let acl = self.tree.acls.acquire(acl);
        let id = self.tree.put(Record {
            path,
            data: data.map(|data| Bytes::copy_from_slice(&data)),
            family: None,
            czxid: revision,
            mzxid: revision,
            ctime: time,
            mtime: time,
            owner: lifetime.to_owner(),
            version: 0,
            aversion: 0,
            acl,
            parent,
            position: 0,
        });
        self.tree.edit(parent, |parent| {
            let family = parent.family_mut();
            family.created += 1;
            family.pzxid = revision;
        });
        (id, Undo::Created { id, pzxid })
    }

    fn delete(&mut self, path: &str, version: i32) -> Result<(MultiReply, Undo), Rejection> {
        let parent_path = path::parent(path)?;
        if path::BUILT_IN.contains(&path) {
            return Err(Rejection::BadArguments("a built-in znode cannot be deleted"));
        }
        let parent = self.tree.find_parent(parent_path).ok_or(Rejection::NoNode)?;
        self.check_allowed(parent, permission::DELETE)?;
        let id = self.tree.find(path).ok_or(Rejection::NoNode)?;
        check_expected(version, self.tree.slab.get(id).version)?;
        Ok((MultiReply::Deleted, self.delete_childless(id)?))
    }

    pub(super) fn delete_childless(&mut self, id: ZnodeId) -> Result<Undo, Rejection> {
        let record = self.tree.slab.get(id);
        if !record.children().is_empty() {
            return Err(Rejection::NotEmpty);
        }
        if let Lifetime::Ephemeral(session) = record.lifetime() {
            self.sessions.disown(session, &record.path);
        }
        Ok(self.tree.delete(id, self.stamp.revision, self.events))
    }

    fn set_data(
        &mut self,
        path: &str,
        data: Option<Bytes>,
        version: i32,
    ) -> Result<(MultiReply, Undo), Rejection> {
        path::validate(path)?;
        let id = self.tree.find(path).ok_or(Rejection::NoNode)?;
        self.check_allowed(id, permission::WRITE)?;
        self.tree.check_quota_of_data(id, data.as_ref())?;
        let Record { version: current, mzxid, mtime, .. } = *self.tree.slab.get(id);
        check_expected(version, current)?;
        let (revision, time) = (self.stamp.revision, self.time());
        let data = data.map(|data| Bytes::copy_from_slice(&data));
        let old = self.tree.replace_data(id, data);
        self.tree.edit(id, |record| {
            record.version = current.wrapping_add(1);
            record.mzxid = revision;
            record.mtime = time;
        });
        self.tree.tell(id, ZnodeEventKind::DataChanged, self.events);
        let undo = Undo::DataSet { id, data: old, version: current, mzxid, mtime };
        Ok((MultiReply::Set(self.stat(id)), undo))
    }

    fn check_version(&mut self, path: &str, version: i32) -> Result<(MultiReply, Undo), Rejection> {
        path::validate(path)?;
        let id = self.tree.find(path).ok_or(Rejection::NoNode)?;
        self.check_allowed(id, permission::READ)?;
        check_expected(version, self.tree.slab.get(id).version)?;
        Ok((MultiReply::Checked, Undo::Nothing))
    }

    fn set_acl(
        &mut self,
        path: &str,
        acl: Option<Vec<Ace>>,
        version: i32,
    ) -> Result<Reply, Rejection> {
        self.check_session()?;
        path::validate(path)?;
        let acl = acl::fix_up(acl, self.identities)?;
        let id = self.tree.find(path).ok_or(Rejection::NoNode)?;
        self.check_allowed(id, permission::ADMIN)?;
        let aversion = self.tree.slab.get(id).aversion;
        check_expected(version, aversion)?;
        let new = self.tree.acls.acquire(&acl);
        let old = self.tree.replace_acl(id, new);
        self.tree.edit(id, |record| record.aversion = aversion.wrapping_add(1));
        self.tree.acls.release(old);
        Ok(Reply::Set(self.stat(id)))
    }

    fn set_config(&mut self, lines: &str) -> Result<Reply, Rejection> {
        if self.session.is_some() {
            return Err(Rejection::NoAuth);
        }
        let id = self.tree.find(path::CONFIG).ok_or(Rejection::NoNode)?;
        let Stamp { revision, .. } = self.stamp;
        let time = self.time();
        let Record { data: present, mzxid, .. } = self.tree.slab.get(id);
        let text = |version: Revision| Bytes::from(format!("{lines}version={:x}", version.0));
        if *present == Some(text(*mzxid)) {
            return Ok(Reply::Done);
        }
        self.tree.replace_data(id, Some(text(revision)));
        self.tree.edit(id, |record| {
            record.version = -1;
            record.mzxid = revision;
            record.mtime = time;
        });
        self.tree.tell(id, ZnodeEventKind::DataChanged, self.events);
        Ok(Reply::Done)
    }

    fn reap(&mut self, path: &str, unused_ms: Option<u64>) -> Result<Reply, Rejection> {
        self.check_session()?;
        let id = self.tree.find(path).ok_or(Rejection::NoNode)?;
        if !self.tree.slab.get(id).children().is_empty() {
            return Err(Rejection::NotEmpty);
        }
        let now_ms = self.stamp.time_ms;
        let over = match unused_ms {
            None => self.tree.is_outlived(id, now_ms),
            Some(unused_ms) => self.tree.is_unused(id, now_ms, unused_ms),
        };
        if !over {
            return Err(Rejection::BadVersion);
        }
        let undo = self.delete_childless(id)?;
        self.tree.keep(undo);
        Ok(Reply::Done)
    }

    fn check_session(&self) -> Result<(), Rejection> {
        match self.session {
            Some((session, attachment)) => self.sessions.check_attached(session, attachment),
            None => Ok(()),
        }
    }

    fn lifetime(&self, mode: CreateMode) -> Result<(Lifetime, bool), Rejection> {
        Ok(match mode {
            CreateMode::Persistent { sequential } => (Lifetime::Persistent, sequential),
            CreateMode::Ephemeral { sequential } => {
                let (session, _) = self.session.ok_or(Rejection::SessionExpired)?;
                (Lifetime::Ephemeral(session), sequential)
            }
            CreateMode::Container => (Lifetime::Container, false),
            CreateMode::Ttl { sequential, ttl_ms } => (Lifetime::Ttl { ttl_ms }, sequential),
        })
    }

    pub(super) fn check_allowed(&self, id: ZnodeId, perms: u32) -> Result<(), Rejection> {
        let acl = self.tree.acls.get(self.tree.slab.get(id).acl);
        if acl.allows(perms, self.identities) { Ok(()) } else { Err(Rejection::NoAuth) }
    }

    fn stat(&self, id: ZnodeId) -> Stat {
        self.tree.slab.get(id).stat()
    }

    fn time(&self) -> i64 {
        self.stamp.time_ms.cast_signed()
    }
}

fn check_ttl(mode: CreateMode) -> Result<(), Rejection> {
    match mode {
        CreateMode::Ttl { ttl_ms, .. } if !(1..=TTL_MS_MAX).contains(&ttl_ms) => {
            Err(Rejection::BadArguments("the time to live is out of range"))
        }
        _ => Ok(()),
    }
}

fn check_expected(expected: i32, current: i32) -> Result<(), Rejection> {
    if expected == -1 || expected == current { Ok(()) } else { Err(Rejection::BadVersion) }
}
