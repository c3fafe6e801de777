//! Reads from the state applied by this member.

use std::sync::Arc;

use coord_state::znode::{Ace, Znode, permission};
use coord_wire::zookeeper::jute::{put_buffer, put_int, put_length, put_text, put_texts};
use coord_wire::zookeeper::request::Read;
use coord_wire::zookeeper::{ErrorCode, Extension, OpCode, Request, multi, record};

use super::extension::Served;
use super::outbox::Outbox;
use super::reader::{Reader, STAT_BYTES};
use super::reply_limit::{ReplyLimit, Work};
use super::session::identity;
use crate::node::WatchKind;

/// Bytes of a length.
const LENGTH_BYTES: usize = 4;
/// Bytes of one operation's error in a multi, and of the end of one.
const ERROR_BYTES: usize = 13;
const END_BYTES: usize = 9;

impl Reader<'_> {
    /// Appends the reply to `request`, and before it the events it may make.
    pub(super) fn answer(&self, xid: i32, request: &Request, outbox: &mut Outbox) {
        match request {
            Request::SetWatches(once) => self.watches.catch_up(self.state, once, outbox),
            Request::SetWatches2 { once, persistent, persistent_recursive } => {
                self.watches.catch_up(self.state, once, outbox);
                self.watches.add_all(persistent, WatchKind::Persistent);
                self.watches.add_all(persistent_recursive, WatchKind::PersistentRecursive);
            }
            _ => {}
        }
        let zxid = self.state.revision().zxid();
        outbox.reply(xid, zxid, |out| self.put_body(request, out));
    }

    fn put_body(&self, request: &Request, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let limit = ReplyLimit::behind_header(out, self.reply_bytes_max);
        let work = &Work::default();
        match request {
            Request::Exists(read) => self.put_exists(read, out)?,
            Request::GetData(read) => self.put_data(read, limit, out)?,
            Request::GetChildren(read) => {
                self.put_children(read, 0, limit, work, out)?;
            }
            Request::GetChildren2(read) => {
                let znode = self.put_children(read, STAT_BYTES, limit, work, out)?;
                record::put_stat(out, &znode.stat());
            }
            Request::GetAcl { path } => self.put_acl(path, out)?,
            Request::GetAllChildrenNumber { path } => {
                self.readable(path)?;
                let number = self.state.znodes().descendants(path);
                put_int(out, i32::try_from(number).unwrap_or(i32::MAX));
            }
            Request::GetEphemerals { prefix } => {
                self.put_ephemerals(prefix.as_deref(), limit, out)?
            }
            Request::WhoAmI => self.put_identities(out),
            Request::MultiRead(requests) => self.put_multi_read(requests, limit, work, out)?,
            Request::AddWatch { path, mode } => {
                let kind = match mode {
                    0 => WatchKind::Persistent,
                    1 => WatchKind::PersistentRecursive,
                    _ => return Err(ErrorCode::MarshallingError),
                };
                self.watches.add(path, kind);
                put_int(out, 0);
            }
            Request::CheckWatches { path, kind } => self.watches.check(path, *kind)?,
            Request::RemoveWatches { path, kind } => self.watches.remove(path, *kind)?,
            Request::Extension(Extension::FilteredList { path, watch, filter }) => {
                self.put_filtered_list(path, *watch, *filter, limit, work, out)?;
            }
            Request::Extension(Extension::GetHash { path, reach }) => {
                self.put_hash(path, *reach, out)?;
            }
            Request::Ping | Request::SetWatches(_) | Request::SetWatches2 { .. } => {}
            // Writes and what the connection answers itself never come here.
            Request::Create(_)
            | Request::Delete { .. }
            | Request::SetData { .. }
            | Request::SetAcl { .. }
            | Request::Sync { .. }
            | Request::CheckVersion { .. }
            | Request::Multi(_)
            | Request::Reconfig { .. }
            | Request::Auth { .. }
            | Request::Sasl { .. }
            | Request::Extension(
                Extension::CheckNotExists { .. }
                | Extension::RemoveRecursive { .. }
                | Extension::CheckHash { .. },
            )
            | Request::CloseSession => return Err(ErrorCode::MarshallingError),
        }
        Ok(())
    }

    /// The watch is left even if there is no such znode: it waits for it.
    fn put_exists(&self, read: &Read, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        if read.path.contains('\0') {
            return Err(ErrorCode::BadArguments);
        }
        let found = self.readable(&read.path);
        if read.watch && matches!(found, Ok(_) | Err(ErrorCode::NoNode)) {
            self.watches.add(&read.path, WatchKind::Data);
        }
        let stat = match found {
            Ok(znode) => znode.stat(),
            Err(error) => Self::served(&read.path, error)?.stat(),
        };
        record::put_stat(out, &stat);
        Ok(())
    }

    fn put_data(&self, read: &Read, limit: ReplyLimit, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let (data, stat) = match self.readable(&read.path) {
            Ok(znode) => (znode.data().map(|data| &data[..]), znode.stat()),
            Err(error) => {
                let served = Self::served(&read.path, error)?;
                (Some(served.data()), served.stat())
            }
        };
        limit.hold(out, LENGTH_BYTES + data.map_or(0, <[u8]>::len) + STAT_BYTES)?;
        if read.watch {
            self.watches.add(&read.path, WatchKind::Data);
        }
        put_buffer(out, data);
        record::put_stat(out, &stat);
        Ok(())
    }

    /// `behind` is what is put behind the names.
    fn put_children(
        &self,
        read: &Read,
        behind: usize,
        limit: ReplyLimit,
        work: &Work,
        out: &mut Vec<u8>,
    ) -> Result<Znode<'_>, ErrorCode> {
        let znode = self.readable(&read.path)?;
        limit.less(behind).hold_texts(out, work.counted(znode.children()))?;
        if read.watch {
            self.watches.add(&read.path, WatchKind::Child);
        }
        put_texts(out, znode.children());
        Ok(znode)
    }

    fn put_acl(&self, path: &str, out: &mut Vec<u8>) -> Result<(), ErrorCode> {
        let znode = self.znode(path)?;
        let acl = znode.acl();
        if !acl.allows(permission::READ | permission::ADMIN, self.identities) {
            return Err(ErrorCode::NoAuth);
        }
        if acl.allows(permission::ADMIN, self.identities) {
            record::put_acl(out, Some(&acl.0));
        } else {
            let masked: Vec<_> = acl
                .0
                .iter()
                .map(|ace| Ace { perms: ace.perms, identity: identity::masked(&ace.identity) })
                .collect();
            record::put_acl(out, Some(&masked));
        }
        record::put_stat(out, &znode.stat());
        Ok(())
    }

    /// The prefix is plain text: `/w` also begins `/we`.
    fn put_ephemerals(
        &self,
        prefix: Option<&str>,
        limit: ReplyLimit,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorCode> {
        let prefix = prefix.filter(|prefix| !prefix.trim().is_empty()).unwrap_or("/");
        let session = self.state.sessions().session(self.owner.session);
        let paths: Vec<&Arc<str>> = session
            .map(|session| session.ephemerals.iter())
            .into_iter()
            .flatten()
            .filter(|path| path.starts_with(prefix))
            .collect();
        limit.hold_texts(out, paths.iter())?;
        put_texts(out, paths);
        Ok(())
    }

    fn put_identities(&self, out: &mut Vec<u8>) {
        let proven = || self.identities.iter().filter(|identity| identity::is_proven(identity));
        put_length(out, proven().count());
        for proven in proven() {
            put_text(out, &proven.scheme);
            put_text(out, identity::user(proven));
        }
    }

    /// Errors are each operation's own, also where its result leaves no room
    /// for those behind it or enough was looked at, and no watch is left.
    fn put_multi_read(
        &self,
        requests: &[Request],
        limit: ReplyLimit,
        work: &Work,
        out: &mut Vec<u8>,
    ) -> Result<(), ErrorCode> {
        let mut errors = requests.len() * ERROR_BYTES + END_BYTES;
        limit.hold(out, errors)?;
        for request in requests {
            let start = out.len();
            errors -= ERROR_BYTES;
            let limit = limit.less(errors);
            multi::put_result_header(
                out,
                match request.op() {
                    OpCode::FilteredList => OpCode::GetChildren2,
                    op => op,
                },
            );
            let put = match request {
                Request::GetData(read) => self.put_data(&unwatched(read), limit, out),
                Request::GetChildren(read) => work.go_on().and_then(|()| {
                    self.put_children(&unwatched(read), 0, limit, work, out).map(|_| ())
                }),
                Request::Exists(read) => limit
                    .hold(out, STAT_BYTES)
                    .and_then(|()| self.put_exists(&unwatched(read), out)),
                Request::GetChildren2(read) => {
                    let znode = work.go_on().and_then(|()| {
                        self.put_children(&unwatched(read), STAT_BYTES, limit, work, out)
                    });
                    znode.map(|znode| record::put_stat(out, &znode.stat()))
                }
                Request::Extension(Extension::FilteredList { path, filter, .. }) => work
                    .go_on()
                    .and_then(|()| self.put_filtered_list(path, false, *filter, limit, work, out)),
                _ => Err(ErrorCode::MarshallingError),
            };
            if let Err(error) = put {
                out.truncate(start);
                multi::put_error(out, error);
            }
        }
        multi::put_end(out);
        Ok(())
    }

    /// What is served without being in the tree, or the reason it is not there.
    fn served(path: &str, error: ErrorCode) -> Result<Served, ErrorCode> {
        Served::at(path).filter(|_| error == ErrorCode::NoNode).ok_or(error)
    }

    pub(super) fn readable(&self, path: &str) -> Result<Znode<'_>, ErrorCode> {
        let znode = self.znode(path)?;
        if !znode.acl().allows(permission::READ, self.identities) {
            return Err(ErrorCode::NoAuth);
        }
        Ok(znode)
    }

    fn znode(&self, path: &str) -> Result<Znode<'_>, ErrorCode> {
        if path.is_empty() {
            return Err(ErrorCode::BadArguments);
        }
        self.state.znodes().znode(path).ok_or(ErrorCode::NoNode)
    }
}

fn unwatched(read: &Read) -> Read {
    Read { path: read.path.clone(), watch: false }
}
