//! Restricts a data directory to its owner.
//!
//! What is in it is everything: every znode whatever its access list, the
//! passwords of live sessions, tokens in keys. So directories are made with mode
//! 0700 and files with 0600, whatever the umask, and what an earlier release, a
//! restore or an operator left wider is narrowed at the start:
//!
//! | the entry | is |
//! |---|---|
//! | this user's, or any if this user is root | narrowed, said once |
//! | root's, and cannot be narrowed, as a mounted volume | used, with a warning |
//! | another user's, closed to the rest | used |
//! | another user's, and others may write | refused: whoever writes there could replace what is kept |
//!
//! Symbolic links are not followed, and files that are not this member's are
//! left as they are.

use std::fs::{self, DirBuilder, Permissions};
use std::io;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};

use crate::error::Error;

/// For a directory of this member.
pub const DIRECTORY_MODE: u32 = 0o700;
/// For a file of this member.
pub const FILE_MODE: u32 = 0o600;
/// What the owner's group and everybody else may do.
const OTHERS: u32 = 0o077;
const OTHERS_WRITE: u32 = 0o022;

/// What a data directory holds, of the storage and of the layers above. Anything
/// else in it is somebody else's.
const DIRECTORIES: [&str; 3] = ["log", "snapshots", "agent"];
const FILES: [&str; 8] =
    ["lock", "member", "member.new", "reinstall", "node-id", "durable", "recovering", "peers"];

/// Creates a directory and its parents, if missing, for this user alone.
///
/// # Errors
/// As the system reports.
pub fn create_directory(directory: &Path) -> io::Result<()> {
    DirBuilder::new().recursive(true).mode(DIRECTORY_MODE).create(directory)
}

/// Narrows what is in a data directory; see the head of this file.
///
/// # Errors
/// `Invalid`, naming the entry, if it is refused; `Unavailable` if the directory
/// cannot be read.
pub(super) fn narrow(directory: &Path) -> Result<(), Error> {
    let unreadable = |error: io::Error| {
        Error::unavailable(format!("cannot read the data directory {}", directory.display()))
            .caused_by(error)
    };
    let me = rustix::process::geteuid().as_raw();
    let mut narrowed = Vec::new();
    // The directory itself may be a link, which its owner chose.
    check(directory, &fs::metadata(directory).map_err(unreadable)?, me, &mut narrowed)?;
    let found = entries(directory).map_err(unreadable)?;
    for path in &found {
        match fs::symlink_metadata(path) {
            Ok(metadata) if metadata.is_symlink() => {}
            Ok(metadata) => check(path, &metadata, me, &mut narrowed)?,
            // A temporary file of an earlier run that somebody removed.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(unreadable(error)),
        }
    }
    // One that was made for this member and is still empty, but for the lock.
    if narrowed == [directory] && found.len() <= 1 {
        tracing::info!(
            directory = %directory.display(),
            "removed the access of other users to the data directory"
        );
    } else if let Some(first) = narrowed.first() {
        tracing::warn!(
            entries = narrowed.len(), first = %first.display(),
            "other users could access the data directory: removed their access"
        );
    }
    Ok(())
}

/// Everything of this member below `directory`.
fn entries(directory: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    let mut directories = Vec::new();
    for name in DIRECTORIES.iter().chain(&FILES) {
        let path = directory.join(name);
        let Ok(metadata) = fs::symlink_metadata(&path) else { continue };
        if metadata.is_dir() {
            directories.push(path.clone());
        }
        found.push(path);
    }
    while let Some(directory) = directories.pop() {
        for entry in fs::read_dir(&directory)? {
            let entry = entry?;
            if entry.file_type()?.is_dir() {
                directories.push(entry.path());
            }
            found.push(entry.path());
        }
    }
    Ok(found)
}

fn check(
    path: &Path,
    metadata: &fs::Metadata,
    me: u32,
    narrowed: &mut Vec<PathBuf>,
) -> Result<(), Error> {
    let mode = metadata.mode() & 0o7777;
    if mode & OTHERS == 0 {
        return Ok(());
    }
    match owner_check(metadata.uid(), me, mode) {
        OwnerCheck::Narrow => {
            let private = if metadata.is_dir() { DIRECTORY_MODE } else { FILE_MODE };
            match fs::set_permissions(path, Permissions::from_mode(private)) {
                Ok(()) => narrowed.push(path.to_owned()),
                // A file system without modes, say.
                Err(error) => warn_of(path, mode, &error),
            }
        }
        OwnerCheck::Warn => warn_of(path, mode, &"it belongs to another user"),
        OwnerCheck::Refuse => {
            return Err(Error::invalid(format!(
                "{} belongs to user {} and is writable by others (mode {mode:o}), who could \
                 replace this member's data. Change its owner to the user this member runs as \
                 (chown), or remove write access for others (chmod go-w)",
                path.display(),
                metadata.uid()
            )));
        }
    }
    Ok(())
}

fn warn_of(path: &Path, mode: u32, why: &dyn std::fmt::Display) {
    tracing::warn!(
        path = %path.display(), mode = format!("{mode:o}"), %why,
        "other users may access this path, and its mode cannot be changed"
    );
}

#[derive(Debug, PartialEq, Eq)]
enum OwnerCheck {
    Narrow,
    Warn,
    Refuse,
}

/// What becomes of an entry that is open to others.
fn owner_check(owner: u32, me: u32, mode: u32) -> OwnerCheck {
    match owner {
        _ if owner == me || me == 0 => OwnerCheck::Narrow,
        // Root needs no right to write anywhere.
        0 => OwnerCheck::Warn,
        _ if mode & OTHERS_WRITE == 0 => OwnerCheck::Warn,
        _ => OwnerCheck::Refuse,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_another_user_owns_and_others_may_write_is_refused() {
        assert_eq!(owner_check(1000, 1000, 0o777), OwnerCheck::Narrow);
        assert_eq!(owner_check(1000, 0, 0o777), OwnerCheck::Narrow);
        assert_eq!(owner_check(0, 1000, 0o777), OwnerCheck::Warn);
        assert_eq!(owner_check(1001, 1000, 0o755), OwnerCheck::Warn);
        assert_eq!(owner_check(1001, 1000, 0o775), OwnerCheck::Refuse);
        assert_eq!(owner_check(1001, 1000, 0o757), OwnerCheck::Refuse);
    }

    #[test]
    fn what_is_wider_is_narrowed_and_what_is_not_ours_is_left() {
        let directory = tempfile::tempdir().unwrap();
        let at = |name: &str| directory.path().join(name);
        fs::create_dir_all(at("agent/services")).unwrap();
        fs::create_dir(at("certificates")).unwrap();
        let elsewhere = tempfile::tempdir().unwrap();
        std::os::unix::fs::symlink(elsewhere.path(), at("log")).unwrap();
        for (name, mode) in [("agent/services/1.json", 0o644), ("member", 0o640), ("notes", 0o644)]
        {
            fs::write(at(name), "x").unwrap();
            fs::set_permissions(at(name), Permissions::from_mode(mode)).unwrap();
        }
        let wide = ["", "agent", "agent/services", "certificates"].map(at);
        for path in wide.iter().chain([&elsewhere.path().to_owned()]) {
            fs::set_permissions(path, Permissions::from_mode(0o755)).unwrap();
        }
        narrow(directory.path()).unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().mode() & 0o7777;
        for name in ["", "agent", "agent/services"] {
            assert_eq!(mode(&at(name)), DIRECTORY_MODE, "{name}");
        }
        for name in ["agent/services/1.json", "member"] {
            assert_eq!(mode(&at(name)), FILE_MODE, "{name}");
        }
        assert_eq!((mode(&at("notes")), mode(&at("certificates"))), (0o644, 0o755));
        assert_eq!(mode(elsewhere.path()), 0o755);
    }
}
