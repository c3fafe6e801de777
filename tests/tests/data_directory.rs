//! What a member keeps on disk, as others on the machine see it.
#![allow(clippy::unwrap_used, reason = "whatever fails here fails the test")]

use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Mutex;
use std::time::Duration;

use coord_core::client::consul::blocking::Client;
use coord_core::client::consul::{ServiceDefinition, Settings as ClientSettings};
use coord_core::embedded::Server;
use coord_core::settings::{ListenAddress, Settings};
use coord_state::Command;
use coord_state::consul::{ConsulCommand, KvOp};
use rustix::fs::Mode;

const LIMIT: Duration = Duration::from_secs(30);

/// The umask is the process's.
static UMASK: Mutex<()> = Mutex::new(());

fn start(directory: &Path) -> Server {
    let mut settings = Settings {
        data_dir: directory.to_owned(),
        zk_addr: ListenAddress::Off,
        dns_addr: ListenAddress::Off,
        ..Settings::embedded()
    };
    settings.storage.snapshot_log_bytes = 1 << 20;
    let server = Server::start(settings.validate().unwrap()).unwrap();
    server.wait_ready(LIMIT).unwrap();
    server
}

fn client(server: &Server) -> Client {
    let address = server.addresses().http.unwrap().to_string();
    Client::new(ClientSettings { address, ..ClientSettings::default() }).unwrap()
}

fn write_until_a_snapshot_is_taken(server: &Server) {
    let node = server.node().unwrap();
    let value = bytes::Bytes::from(vec![7; 64 << 10]);
    while node.snapshot_revision().is_none() {
        let set = KvOp::Set { key: "key".into(), value: value.clone(), flags: 0 };
        let set = Command::Consul(ConsulCommand::Kv(set));
        server.runtime().unwrap().block_on(node.propose(&set)).unwrap();
    }
}

/// Everything below a directory, itself included.
fn all_below(directory: &Path) -> Vec<PathBuf> {
    let mut found = vec![directory.to_owned()];
    let mut next = 0;
    while let Some(path) = found.get(next).cloned() {
        next += 1;
        if path.is_dir() {
            found.extend(fs::read_dir(path).unwrap().map(|entry| entry.unwrap().path()));
        }
    }
    found
}

fn assert_private(directory: &Path) {
    let all = all_below(directory);
    assert!(all.len() > 8, "{all:?}");
    for path in all {
        // The log replaces its files ahead of need.
        let Ok(metadata) = fs::metadata(&path) else { continue };
        let wanted = if metadata.is_dir() { 0o700 } else { 0o600 };
        let mode = metadata.mode() & 0o7777;
        assert_eq!(mode, wanted, "{} has mode {mode:o}", path.display());
    }
}

#[test]
fn only_its_user_can_read_a_data_directory_whatever_the_umask() {
    let _umask = UMASK.lock();
    let before = rustix::process::umask(Mode::empty());
    let parent = tempfile::tempdir().unwrap();
    let directory = parent.path().join("data");
    let mut server = start(&directory);
    client(&server).agent_service_register(&ServiceDefinition::named("web"), None).unwrap();
    write_until_a_snapshot_is_taken(&server);
    assert_private(&directory);
    server.stop();
    rustix::process::umask(before);
    assert_private(&directory);

    // As an earlier release or a restore would have left it.
    for path in all_below(&directory) {
        let wide = if path.is_dir() { 0o755 } else { 0o644 };
        fs::set_permissions(path, Permissions::from_mode(wide)).unwrap();
    }
    let mut server = start(&directory);
    assert_private(&directory);
    server.stop();
}

#[test]
fn a_node_id_that_was_lost_or_changed_is_taken_back_from_the_catalog() {
    let directory = tempfile::tempdir().unwrap();
    let file = directory.path().join("node-id");
    start(directory.path()).stop();
    let id = fs::read_to_string(&file).unwrap();
    let mut changed = id.clone().into_bytes();
    changed[0] = if changed[0] == b'1' { b'2' } else { b'1' };
    for damage in [None, Some(&changed[..]), Some(b"nonsense"), Some(b"")] {
        match damage {
            None => fs::remove_file(&file).unwrap(),
            Some(bytes) => fs::write(&file, bytes).unwrap(),
        }
        let mut server = start(directory.path());
        let agent = client(&server).agent_self().unwrap();
        server.stop();
        assert_eq!(agent["Config"]["NodeID"], id.as_str(), "{damage:?}");
        assert_eq!(fs::read_to_string(&file).unwrap(), id, "{damage:?}");
    }
}
