//! Storage of the agent's registrations.
//!
//! ```text
//! <data_dir>/agent/services/<n>.json   one service each
//! <data_dir>/agent/checks/<n>.json     one check each, of services and of the node
//! <data_dir>/agent/states/<n>.json     what a TTL check said last, and until when
//! ```
//!
//! A file is replaced by an atomic rename, so that a crash leaves the old or
//! the new one. Definitions are synced before the response; states are not,
//! because the next heartbeat reports them again.

use std::collections::BTreeMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::PoisonError;
use std::time::Duration;

use coord_state::consul::CheckStatus;
use coord_wire::consul::agent::ServiceDefinition;
use coord_wire::consul::check::CheckDefinition;
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use super::registrations::{LocalCheck, Registrations};
use crate::error::Error;
use crate::storage::permissions::{FILE_MODE, create_directory};
use crate::sync::Mutex;

/// The kinds of file; each has its folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Service,
    Check,
    State,
}

impl Kind {
    fn folder(self) -> &'static str {
        match self {
            Self::Service => "services",
            Self::Check => "checks",
            Self::State => "states",
        }
    }
}

/// What a TTL check said last.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct CheckState {
    pub(super) status: String,
    pub(super) output: String,
    /// Wall time until which it counts.
    pub(super) expires_ms: u64,
}

#[derive(Serialize, Deserialize)]
struct Entry<T> {
    id: String,
    value: T,
}

/// The files of one agent.
#[derive(Debug)]
pub(super) struct Store {
    root: PathBuf,
    /// Ids are anything, file names are not: so files are numbered.
    files: Mutex<Files>,
}

#[derive(Debug, Default)]
struct Files {
    by_id: BTreeMap<(Kind, String), PathBuf>,
    last: u64,
}

impl Store {
    pub(super) fn open(root: &Path) -> Result<Self, Error> {
        for kind in [Kind::Service, Kind::Check, Kind::State] {
            let folder = root.join(kind.folder());
            create_directory(&folder).map_err(|error| unusable(&folder, error))?;
        }
        Ok(Self { root: root.to_owned(), files: Mutex::default() })
    }

    /// Everything that was kept. A TTL check whose time ran out meanwhile
    /// begins as critical.
    pub(super) fn restore(&self, now: Duration, wall_ms: u64) -> Result<Registrations, Error> {
        let mut registrations = Registrations::default();
        for entry in self.load::<ServiceDefinition>(Kind::Service)? {
            registrations.put_service(ServiceDefinition { id: entry.id, ..entry.value });
        }
        for entry in self.load::<CheckDefinition>(Kind::Check)? {
            let definition = CheckDefinition { id: entry.id, ..entry.value };
            registrations.put_check(LocalCheck::new(definition, now), now);
        }
        for entry in self.load::<CheckState>(Kind::State)? {
            let left_ms = entry.value.expires_ms.saturating_sub(wall_ms);
            let status = CheckStatus::from_name(&entry.value.status);
            if let (Some(status), 1..) = (status, left_ms) {
                let until = now + Duration::from_millis(left_ms);
                registrations.restore_state(&entry.id, status, entry.value.output, until, now);
            }
        }
        Ok(registrations)
    }

    fn load<T: DeserializeOwned>(&self, kind: Kind) -> Result<Vec<Entry<T>>, Error> {
        let folder = self.root.join(kind.folder());
        let mut entries = Vec::new();
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        for file in fs::read_dir(&folder).map_err(|error| unusable(&folder, error))? {
            let path = file.map_err(|error| unusable(&folder, error))?.path();
            let number = path.file_stem().and_then(|name| name.to_str()?.parse::<u64>().ok());
            let Some(number) = number.filter(|_| path.extension().is_some_and(|e| e == "json"))
            else {
                continue;
            };
            let bytes = fs::read(&path).map_err(|error| unusable(&path, error))?;
            let entry: Entry<T> = serde_json::from_slice(&bytes).map_err(|error| {
                Error::corrupt(format!("{} is damaged", path.display())).caused_by(error)
            })?;
            files.last = files.last.max(number);
            files.by_id.insert((kind, entry.id.clone()), path);
            entries.push(entry);
        }
        Ok(entries)
    }

    /// Keeps `value` under `id`, durably unless it is a state.
    pub(super) fn put<T: Serialize>(&self, kind: Kind, id: &str, value: &T) -> Result<(), Error> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let key = (kind, id.to_owned());
        let path = match files.by_id.get(&key) {
            Some(path) => path.clone(),
            None => {
                files.last += 1;
                self.root.join(kind.folder()).join(format!("{}.json", files.last))
            }
        };
        let entry = Entry { id: id.to_owned(), value };
        let bytes = serde_json::to_vec(&entry)
            .map_err(|error| Error::internal("a registration has no JSON form").caused_by(error))?;
        write_atomically(&path, &bytes, kind != Kind::State)
            .map_err(|error| unusable(&path, error))?;
        files.by_id.insert(key, path);
        Ok(())
    }

    /// Forgets `id`, durably unless it is a state.
    pub(super) fn remove(&self, kind: Kind, id: &str) -> Result<(), Error> {
        let mut files = self.files.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(path) = files.by_id.remove(&(kind, id.to_owned())) else { return Ok(()) };
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(unusable(&path, error)),
            _ if kind == Kind::State => Ok(()),
            _ => sync_folder(&path).map_err(|error| unusable(&path, error)),
        }
    }
}

pub(super) fn unusable(path: &Path, error: io::Error) -> Error {
    Error::unavailable(format!("cannot read or write {}", path.display())).caused_by(error)
}

/// Puts `bytes` at `path` so that a crash leaves the old or the new content.
pub(super) fn write_atomically(path: &Path, bytes: &[u8], durably: bool) -> io::Result<()> {
    let temporary = path.with_extension("tmp");
    let mut options = OpenOptions::new();
    options.write(true).create(true).truncate(true).mode(FILE_MODE);
    let mut file = options.open(&temporary)?;
    file.write_all(bytes)?;
    if durably {
        file.sync_all()?;
    }
    drop(file);
    fs::rename(&temporary, path)?;
    if durably { sync_folder(path) } else { Ok(()) }
}

fn sync_folder(path: &Path) -> io::Result<()> {
    match path.parent() {
        Some(folder) => File::open(folder)?.sync_all(),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Duration = Duration::from_secs(5);

    fn service(name: &str) -> ServiceDefinition {
        ServiceDefinition { id: name.into(), name: name.into(), ..ServiceDefinition::default() }
    }

    fn ttl_check(id: &str) -> CheckDefinition {
        CheckDefinition { id: id.into(), ttl_ns: 10_000_000_000, ..CheckDefinition::default() }
    }

    #[test]
    fn what_was_put_comes_back_and_what_was_removed_does_not() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(Kind::Service, "a/b c", &service("a/b c")).unwrap();
        store.put(Kind::Service, "gone", &service("gone")).unwrap();
        store
            .put(Kind::Service, "a/b c", &ServiceDefinition { port: 7, ..service("a/b c") })
            .unwrap();
        store.remove(Kind::Service, "gone").unwrap();

        let restored = Store::open(dir.path()).unwrap().restore(NOW, 0).unwrap();
        assert_eq!(
            restored.services().map(|s| (&*s.id, s.port)).collect::<Vec<_>>(),
            [("a/b c", 7)]
        );
    }

    #[test]
    fn a_ttl_state_counts_only_until_it_expires() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(Kind::Check, "c", &ttl_check("c")).unwrap();
        let state = CheckState { status: "passing".into(), output: "ok".into(), expires_ms: 1000 };
        store.put(Kind::State, "c", &state).unwrap();

        let at = |wall_ms| {
            let restored = Store::open(dir.path()).unwrap().restore(NOW, wall_ms).unwrap();
            restored.check("c").unwrap().status
        };
        assert_eq!(at(999), CheckStatus::Passing);
        assert_eq!(at(1000), CheckStatus::Critical);
    }

    #[test]
    fn a_wall_clock_that_was_ahead_gives_a_ttl_check_no_more_than_its_ttl() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        store.put(Kind::Check, "c", &ttl_check("c")).unwrap();
        let (status, output) = ("passing".into(), "ok".into());
        let state = CheckState { status, output, expires_ms: 3_600_000 };
        store.put(Kind::State, "c", &state).unwrap();
        let restored = Store::open(dir.path()).unwrap().restore(NOW, 1).unwrap();
        let ttl = Duration::from_nanos(ttl_check("c").ttl_ns.try_into().unwrap());
        assert_eq!(restored.check("c").unwrap().deadline, Some(NOW + ttl));
    }

    #[test]
    fn a_damaged_file_is_reported_by_name() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(dir.path()).unwrap();
        fs::write(dir.path().join("services/1.json"), "{").unwrap();
        let error = store.restore(NOW, 0).unwrap_err();
        assert!(error.to_string().contains("services/1.json is damaged"), "{error}");
    }
}
