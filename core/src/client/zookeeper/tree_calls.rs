//! Calls on znodes, watches and authentication.
//!
//! [`Client`] documents the common errors; here only those of the individual
//! call are listed.

use bytes::Bytes;
use coord_state::znode::{Ace, Stat};
use coord_wire::zookeeper::request::Read;
use coord_wire::zookeeper::{ErrorCode, Reply, Request};

use super::Client;
use super::error_map::{error_of_code, error_of_kind};
use super::hash_calls::hashes_unknown;
use super::operation::{
    CreateOptions, Created, Op, OpResult, Znode, create_request, failed_operation,
    kind_of_failed_multi,
};
use super::session::Effect;
use super::settings::Credential;
use super::watcher::{Subscription, Table, WatchMode, Watcher, WatcherKind};
use crate::{Error, ErrorKind};

impl Client {
    /// Creates a znode and returns its path and stat.
    ///
    /// # Errors
    /// `Rejected`: `NodeExists`, `NoNode` (no parent), `NoAuth`,
    /// `NoChildrenForEphemerals`, `InvalidAcl`, `BadArguments`,
    /// `QuotaExceeded`, `Unimplemented` (TTL znodes disabled).
    pub async fn create(
        &self,
        path: &str,
        data: Option<Bytes>,
        options: &CreateOptions,
    ) -> Result<Created, Error> {
        match self.create_once(path, data.clone(), options).await? {
            Err(ErrorCode::NoNode) if options.make_parents => {
                if let Some(parent) = parent(path) {
                    self.ensure_path(parent, options.acl.clone()).await?;
                }
            }
            outcome => return outcome.map_err(|code| error_of_code(code, &named("create", path))),
        }
        let outcome = self.create_once(path, data, options).await?;
        outcome.map_err(|code| error_of_code(code, &named("create", path)))
    }

    /// Creates a znode and its parents if they do not exist.
    ///
    /// # Errors
    /// As [`Self::create`], but `NodeExists` is none.
    pub async fn ensure_path(&self, path: &str, acl: Option<Vec<Ace>>) -> Result<(), Error> {
        let options = CreateOptions { acl, ..CreateOptions::default() };
        // Down to the first ancestor that exists or can be created, then up
        // again.
        let mut missing = vec![path];
        while let Some(path) = missing.pop() {
            match self.create_once(path, Some(Bytes::new()), &options).await? {
                Ok(_) | Err(ErrorCode::NodeExists) => {}
                Err(ErrorCode::NoNode) if parent(path).is_some() => {
                    missing.push(path);
                    missing.extend(parent(path));
                }
                Err(code) => return Err(error_of_code(code, &named("create", path))),
            }
        }
        Ok(())
    }

    async fn create_once(
        &self,
        path: &str,
        data: Option<Bytes>,
        options: &CreateOptions,
    ) -> Result<Result<Created, ErrorCode>, Error> {
        let what = named("create", path);
        let request = create_request(self.absolute(path)?, data, options.acl.clone(), options.mode);
        match self.try_call(request, Effect::None, &what).await? {
            Ok(Reply::CreatedWithStat { path, stat }) => {
                Ok(Ok(Created { path: self.shown(&path), stat }))
            }
            Ok(_) => Err(unexpected(&what)),
            Err(code) => Ok(Err(code)),
        }
    }

    /// Deletes a znode without children if its data version is `version`, -1
    /// for any.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NotEmpty`, `BadVersion`, `NoAuth`.
    pub async fn delete(&self, path: &str, version: i32) -> Result<(), Error> {
        let request = Request::Delete { path: self.absolute(path)?.into(), version };
        self.call(request, Effect::None, &named("delete", path)).await.map(|_| ())
    }

    /// Deletes a znode with all its descendants, one after the other.
    /// Concurrent deletes are not an error; concurrent creates can be.
    ///
    /// # Errors
    /// As [`Self::delete`].
    pub async fn delete_recursive(&self, path: &str) -> Result<(), Error> {
        let mut stack = vec![(path.to_owned(), false)];
        while let Some((path, emptied)) = stack.pop() {
            if emptied {
                ignore_missing(self.delete(&path, -1).await)?;
                continue;
            }
            let Some((children, _)) = ignore_missing(self.children(&path).await)? else { continue };
            let base = if path == "/" { "" } else { path.as_str() };
            let below: Vec<_> =
                children.iter().map(|child| (format!("{base}/{child}"), false)).collect();
            stack.push((path, true));
            stack.extend(below);
        }
        Ok(())
    }

    /// The stat of a znode, `None` if it does not exist.
    ///
    /// # Errors
    /// `Rejected`: `NoAuth`.
    pub async fn exists(&self, path: &str) -> Result<Option<Stat>, Error> {
        self.exists_with(path, None).await
    }

    /// Like [`Self::exists`], with a one-time watch for creation, deletion or a
    /// change of data.
    ///
    /// # Errors
    /// As [`Self::exists`]; then there is no watch.
    pub async fn exists_watched(&self, path: &str) -> Result<(Option<Stat>, Subscription), Error> {
        let (watcher, subscription) = Watcher::new(1);
        Ok((self.exists_with(path, Some(watcher)).await?, subscription))
    }

    /// As [`Self::exists`], with the watch's events going to `watcher`.
    ///
    /// # Errors
    /// As [`Self::exists`].
    pub async fn exists_with(
        &self,
        path: &str,
        watcher: Option<Watcher>,
    ) -> Result<Option<Stat>, Error> {
        let what = named("exists", path);
        let (read, effect) = self.watched_read(path, Table::Exist, watcher)?;
        match self.try_call(Request::Exists(read), effect, &what).await? {
            Ok(Reply::Stat(stat)) => Ok(Some(stat)),
            Ok(_) => Err(unexpected(&what)),
            Err(ErrorCode::NoNode) => Ok(None),
            Err(code) => Err(error_of_code(code, &what)),
        }
    }

    /// A znode's data and stat.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NoAuth`.
    pub async fn get(&self, path: &str) -> Result<Znode, Error> {
        self.get_with(path, None).await
    }

    /// Like [`Self::get`], with a one-time watch for a change of data or
    /// deletion.
    ///
    /// # Errors
    /// As [`Self::get`]; then there is no watch.
    pub async fn get_watched(&self, path: &str) -> Result<(Znode, Subscription), Error> {
        let (watcher, subscription) = Watcher::new(1);
        Ok((self.get_with(path, Some(watcher)).await?, subscription))
    }

    /// As [`Self::get`], with the watch's events going to `watcher`.
    ///
    /// # Errors
    /// As [`Self::get`].
    pub async fn get_with(&self, path: &str, watcher: Option<Watcher>) -> Result<Znode, Error> {
        let what = named("get", path);
        let (read, effect) = self.watched_read(path, Table::Data, watcher)?;
        match self.call(Request::GetData(read), effect, &what).await? {
            Reply::Data { data, stat } => Ok(Znode { data, stat }),
            _ => Err(unexpected(&what)),
        }
    }

    /// Sets a znode's data if its data version is `version`, -1 for any.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `BadVersion`, `NoAuth`, `QuotaExceeded`.
    pub async fn set(&self, path: &str, data: Option<Bytes>, version: i32) -> Result<Stat, Error> {
        let what = named("set", path);
        let request = Request::SetData { path: self.absolute(path)?.into(), data, version };
        stat(self.call(request, Effect::None, &what).await?, &what)
    }

    /// The names of a znode's children, in no particular order, and its stat.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NoAuth`.
    pub async fn children(&self, path: &str) -> Result<(Vec<String>, Stat), Error> {
        self.children_with(path, None).await
    }

    /// Like [`Self::children`], with a one-time watch for creation or deletion
    /// of a child, or deletion of the znode itself.
    ///
    /// # Errors
    /// As [`Self::children`]; then there is no watch.
    pub async fn children_watched(
        &self,
        path: &str,
    ) -> Result<(Vec<String>, Stat, Subscription), Error> {
        let (watcher, subscription) = Watcher::new(1);
        let (children, stat) = self.children_with(path, Some(watcher)).await?;
        Ok((children, stat, subscription))
    }

    /// As [`Self::children`], with the watch's events going to `watcher`.
    ///
    /// # Errors
    /// As [`Self::children`].
    pub async fn children_with(
        &self,
        path: &str,
        watcher: Option<Watcher>,
    ) -> Result<(Vec<String>, Stat), Error> {
        let what = named("children", path);
        let (read, effect) = self.watched_read(path, Table::Child, watcher)?;
        match self.call(Request::GetChildren2(read), effect, &what).await? {
            Reply::ChildrenWithStat { children, stat } => {
                Ok((children.into_iter().map(String::from).collect(), stat))
            }
            _ => Err(unexpected(&what)),
        }
    }

    /// A znode's ACL and stat. Without `ADMIN`, digests are masked.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NoAuth`.
    pub async fn get_acl(&self, path: &str) -> Result<(Vec<Ace>, Stat), Error> {
        let what = named("get_acl", path);
        let request = Request::GetAcl { path: self.absolute(path)?.into() };
        match self.call(request, Effect::None, &what).await? {
            Reply::Acl { acl, stat } => Ok((acl, stat)),
            _ => Err(unexpected(&what)),
        }
    }

    /// Sets a znode's ACL if its version (`Stat::aversion`) is `version`, -1
    /// for any.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `BadVersion`, `NoAuth`, `InvalidAcl`.
    pub async fn set_acl(&self, path: &str, acl: Vec<Ace>, version: i32) -> Result<Stat, Error> {
        let what = named("set_acl", path);
        let request =
            Request::SetAcl { path: self.absolute(path)?.into(), acl: Some(acl), version };
        stat(self.call(request, Effect::None, &what).await?, &what)
    }

    /// Applies several operations atomically.
    ///
    /// # Errors
    /// `Rejected(MultiFailed)` contains the failed operation and why; nothing
    /// was changed.
    pub async fn multi(&self, operations: &[Op]) -> Result<Vec<OpResult>, Error> {
        let what = "multi";
        let requests = operations
            .iter()
            .map(|operation| Ok(operation.to_request(self.absolute(operation.path())?)))
            .collect::<Result<Vec<_>, Error>>()?;
        let results = match self.try_call(Request::Multi(requests), Effect::None, what).await? {
            Ok(Reply::Multi(results)) => results,
            Ok(_) => return Err(unexpected(what)),
            // The server could not decode an unknown operation.
            Err(ErrorCode::MarshallingError) if operations.iter().any(Op::is_hash_check) => {
                return Err(hashes_unknown(what));
            }
            Err(code) => return Err(error_of_code(code, what)),
        };
        if let Some((index, code)) = failed_operation(&results) {
            let path = operations.get(index).map_or("", Op::path);
            return Err(error_of_kind(
                kind_of_failed_multi(index, code),
                code,
                &named("multi", path),
            ));
        }
        let results = results.into_iter().map(|result| {
            OpResult::from_wire(result, |path| self.shown(path)).ok_or_else(|| unexpected(what))
        });
        results.collect()
    }

    /// Makes the server catch up: later reads see every write that any client
    /// had acknowledged before this call.
    pub async fn sync(&self, path: &str) -> Result<(), Error> {
        let request = Request::Sync { path: Some(self.absolute(path)?.into()) };
        self.call(request, Effect::None, &named("sync", path)).await.map(|_| ())
    }

    /// Authenticates, now and on every later connection.
    ///
    /// # Errors
    /// `Rejected(NoAuth)` if it failed; the server then closes the connection,
    /// and the client reconnects without it.
    pub async fn add_auth(&self, scheme: &str, proof: Bytes) -> Result<(), Error> {
        let credential = Credential { scheme: scheme.to_owned(), proof };
        let request = super::session::auth_request(&credential);
        let what = format!("auth {scheme}");
        self.call(request, Effect::Identify(credential), &what).await.map(|_| ())
    }

    /// Watches a znode, existing or not, until the watch is removed; events go
    /// to `watcher`. Changes while disconnected are reported as one
    /// [`super::EventKind::Missed`].
    ///
    /// ZooKeeper before 3.9 has one kind of watch per znode and connection: the
    /// last one set replaces the others.
    pub async fn add_watch(
        &self,
        path: &str,
        mode: WatchMode,
        watcher: Watcher,
    ) -> Result<(), Error> {
        let absolute = self.absolute(path)?;
        let request = Request::AddWatch { path: absolute.as_str().into(), mode: mode.code() };
        let effect = Effect::Watch(mode.table(), absolute, watcher);
        self.call(request, effect, &named("add_watch", path)).await.map(|_| ())
    }

    /// As [`Self::add_watch`], with a queue of `capacity` events of its own.
    ///
    /// # Errors
    /// As there.
    pub async fn watch(
        &self,
        path: &str,
        mode: WatchMode,
        capacity: usize,
    ) -> Result<Subscription, Error> {
        let (watcher, subscription) = Watcher::new(capacity);
        self.add_watch(path, mode, watcher).await?;
        Ok(subscription)
    }

    /// Removes this client's watches of a kind from a znode; each receives
    /// [`super::EventKind::WatchRemoved`].
    ///
    /// # Errors
    /// `Invalid` if there are none (code `NoWatcher`).
    pub async fn remove_watches(&self, path: &str, kind: WatcherKind) -> Result<(), Error> {
        let absolute = self.absolute(path)?;
        let request = Request::RemoveWatches { path: absolute.as_str().into(), kind: kind.code() };
        let effect = Effect::Forget(kind, absolute);
        self.call(request, effect, &named("remove_watches", path)).await.map(|_| ())
    }

    /// The paths of this session's ephemerals that begin with `prefix`.
    pub async fn ephemerals(&self, prefix: &str) -> Result<Vec<String>, Error> {
        let what = named("ephemerals", prefix);
        let request = Request::GetEphemerals { prefix: Some(self.absolute(prefix)?.into()) };
        match self.call(request, Effect::None, &what).await? {
            Reply::Ephemerals(paths) => Ok(paths.iter().map(|path| self.shown(path)).collect()),
            _ => Err(unexpected(&what)),
        }
    }

    /// The number of descendants of a znode.
    ///
    /// # Errors
    /// `Rejected`: `NoNode`, `NoAuth`.
    pub async fn count_descendants(&self, path: &str) -> Result<u32, Error> {
        let what = named("count_descendants", path);
        let request = Request::GetAllChildrenNumber { path: self.absolute(path)?.into() };
        match self.call(request, Effect::None, &what).await? {
            Reply::Number(number) => Ok(u32::try_from(number).unwrap_or_default()),
            _ => Err(unexpected(&what)),
        }
    }

    /// The identities of this connection, as scheme and user (ZooKeeper 3.7 and
    /// later).
    pub async fn who_am_i(&self) -> Result<Vec<(String, String)>, Error> {
        let what = "who_am_i";
        match self.call(Request::WhoAmI, Effect::None, what).await? {
            Reply::Identities(list) => {
                Ok(list.into_iter().map(|one| (one.scheme.into(), one.user.into())).collect())
            }
            _ => Err(unexpected(what)),
        }
    }

    fn watched_read(
        &self,
        path: &str,
        table: Table,
        watcher: Option<Watcher>,
    ) -> Result<(Read, Effect), Error> {
        let absolute = self.absolute(path)?;
        let read = Read { path: absolute.as_str().into(), watch: watcher.is_some() };
        let effect = match watcher {
            Some(watcher) => Effect::Watch(table, absolute, watcher),
            None => Effect::None,
        };
        Ok((read, effect))
    }
}

fn stat(reply: Reply, what: &str) -> Result<Stat, Error> {
    match reply {
        Reply::Stat(stat) => Ok(stat),
        _ => Err(unexpected(what)),
    }
}

/// Maps `NoNode` to `None`.
fn ignore_missing<T>(outcome: Result<T, Error>) -> Result<Option<T>, Error> {
    match outcome {
        Ok(value) => Ok(Some(value)),
        Err(error) if is_no_node(&error) => Ok(None),
        Err(error) => Err(error),
    }
}

fn is_no_node(error: &Error) -> bool {
    matches!(error.kind(), ErrorKind::Rejected(coord_state::Rejection::NoNode))
}

pub(super) fn named(verb: &str, path: &str) -> String {
    format!("{verb} {path}")
}

pub(super) fn unexpected(what: &str) -> Error {
    error_of_kind(ErrorKind::Corrupt, ErrorCode::MarshallingError, what)
}

/// The parent of a path below the root's children.
fn parent(path: &str) -> Option<&str> {
    let slash = path.trim_end_matches('/').rfind('/')?;
    (slash > 0).then(|| &path[..slash])
}
