use std::io;
use std::path::Path;
use std::sync::{Arc, Mutex};

use bytes::Bytes;
use openraft::StorageError;
use openraft::testing::log::{StoreBuilder, Suite};

use super::log_store::LogStore;
use super::state_machine::{Progress, StateMachine};
use super::types::TypeConfig;
use super::{CommittedEntry, FrozenState, Machine};
use crate::storage::disk::SystemDisk;
use crate::storage::{Storage, StorageOptions};

/// Remembers what was applied, in order.
#[derive(Debug, Default)]
struct Recorder {
    applied: Mutex<Vec<Bytes>>,
}

impl Machine for Recorder {
    fn apply(&self, entries: Vec<CommittedEntry>) {
        self.applied.lock().unwrap().extend(entries.into_iter().map(|entry| entry.payload));
    }

    fn freeze(&self) -> FrozenState {
        let applied = self.applied.lock().unwrap().clone();
        Box::new(move |sink| applied.iter().try_for_each(|payload| sink(1, payload)))
    }

    fn restore(
        &self,
        records: &mut dyn Iterator<Item = io::Result<(u8, Bytes)>>,
    ) -> io::Result<()> {
        let restored: io::Result<Vec<_>> = records.map(|record| Ok(record?.1)).collect();
        *self.applied.lock().unwrap() = restored?;
        Ok(())
    }
}

fn storage(directory: &Path, member: u64) -> Storage {
    Storage::open(&StorageOptions {
        directory: directory.to_owned(),
        member,
        segment_bytes: 64 << 10,
        held_bytes_max: 64 << 10,
        wall_ms: 0,
        disk: Arc::new(SystemDisk),
    })
    .expect("the directory opens")
}

struct Stores;

impl StoreBuilder<TypeConfig, LogStore, StateMachine, (tempfile::TempDir, Storage)> for Stores {
    async fn build(
        &self,
    ) -> Result<((tempfile::TempDir, Storage), LogStore, StateMachine), StorageError<TypeConfig>>
    {
        let directory = tempfile::tempdir().unwrap();
        let storage = storage(directory.path(), 0);
        let progress = Arc::new(Progress::new(1 << 20));
        let machine = Arc::new(Recorder::default());
        let state_machine = StateMachine::new(machine, storage.snapshots.clone(), progress);
        let log = LogStore::new(storage.log.clone());
        Ok(((directory, storage), log, state_machine))
    }
}

#[test]
fn log_and_state_machine_pass_the_suite_of_openraft() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(Suite::test_all(Stores)).expect("the suite passes");
}
