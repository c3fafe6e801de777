//! `/v1/snapshot`: saves the whole state as an archive, and restores one.
//!
//! ```text
//! GET   confirm -> freeze -> (a thread) tar, gzip -> parts of the body
//! PUT   body -> unnamed file -> sums -> records -> Stage, Records…, Activate
//! ```
//!
//! The state is frozen in one read, so an archive has a single revision. A
//! restore validates the whole archive before the first record enters the log,
//! and takes effect with the last command or not at all: see
//! [`coord_state::archive`].
//!
//! An archive bypasses ACLs, and a restore has no authentication. So both require a setting unless
//! the port is only reachable from this machine: see
//! [`ArchiveSettings`](crate::settings::ArchiveSettings). An archive does not contain passwords of
//! sessions.

use std::fs::File;
use std::io::{self, Seek as _, Write};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use coord_state::Command;
use coord_state::archive::{ArchiveCommand, ArchiveId};
use coord_state::snapshot::Frozen;
use hyper::{Method, StatusCode};
use tokio::runtime::Handle;
use tokio::sync::mpsc;

use crate::archive::container::{Configuration, Meta as ArchiveMeta, Refused, Server};
use crate::server::consul::ConsulApi;
use crate::server::consul::http::answer::{Answer, Meta};
use crate::server::consul::http::call::Call;
use crate::server::consul::http::error_map::HttpError;

const CONTENT_TYPE: &str = "application/x-gzip";
/// How many archives are made at once: each holds a copy of the state.
pub(crate) const SAVES_MAX: usize = 2;
/// A client that takes nothing for so long has gone.
const STALL_MAX: Duration = Duration::from_secs(60);
const PART_BYTES: usize = 64 << 10;
/// Parts on their way.
const PARTS_MAX: usize = 4;
/// Records that enter the log together.
const LOT_BYTES: usize = 512 << 10;

impl ConsulApi {
    pub(crate) async fn snapshot(&self, call: Call) -> Result<Answer, HttpError> {
        if call.method == Method::PUT {
            self.snapshot_restore(call).await
        } else {
            self.snapshot_save(&call).await
        }
    }

    /// Whether archives are open to everybody who asks.
    fn archives_are_open(&self) -> bool {
        self.on_loopback_alone || self.node.settings().archive.open_to_everybody
    }

    fn may_restore(&self) -> Result<(), HttpError> {
        if self.archives_are_open() {
            return Ok(());
        }
        Err(HttpError::new(
            StatusCode::FORBIDDEN,
            "A restore replaces all data without authentication, so it is disabled while HTTP \
             listens beyond loopback: set archive.open_to_everybody to allow it, or let HTTP \
             listen on loopback only",
        ))
    }

    /// The state as it is now, if it may be saved.
    fn frozen(&self) -> Result<Frozen, HttpError> {
        let open = self.archives_are_open();
        // One look: no access list may come between.
        let frozen = self.node.read(|state| {
            (open || !state.znodes().has_access_lists()).then(|| state.freeze_archive())
        });
        frozen.ok_or_else(|| {
            HttpError::new(
                StatusCode::FORBIDDEN,
                "Some znodes have ACLs, which a snapshot would bypass, so saving is disabled \
                 while HTTP listens beyond loopback: set archive.open_to_everybody to allow it, \
                 or let HTTP listen on loopback only",
            )
        })
    }

    async fn snapshot_save(&self, call: &Call) -> Result<Answer, HttpError> {
        let options = self.read_options(call)?;
        let freshness = self.confirm(&options).await?;
        let permit = Arc::clone(&self.saves).acquire_owned().await;
        let permit = permit.map_err(|_| HttpError::internal("server is shutting down"))?;
        let frozen = self.frozen()?;
        let index = frozen.revision().0;
        let saved_s = self.node.clock().wall_ms() / 1000;
        let mut meta = self.archive_meta(index, saved_s);
        let (sender, parts) = mpsc::channel(PARTS_MAX);
        let runtime = Handle::current();
        tokio::task::spawn_blocking(move || {
            let _permit = permit;
            // It stands before the state, so the state is gone through twice.
            meta.size = crate::archive::container::state_bytes(&frozen);
            let mut out = PartWriter { sender, runtime, part: Vec::with_capacity(PART_BYTES) };
            if let Err(error) = crate::archive::container::write(&meta, &frozen, saved_s, &mut out)
            {
                tracing::warn!(%error, "a snapshot download was not completed");
                out.fail(error);
            }
        });
        Ok(Answer::stream(CONTENT_TYPE, parts).with_meta(Meta {
            index: Some(index),
            known_leader: freshness.known_leader,
            last_contact_ms: freshness.last_contact_ms,
            consistency: None,
        }))
    }

    /// All but the size.
    fn archive_meta(&self, index: u64, saved_s: u64) -> ArchiveMeta {
        let status = self.node.status();
        let servers = status.voters.into_iter().map(|(member, address)| Server {
            suffrage: 0,
            id: member.to_string(),
            address,
        });
        ArchiveMeta {
            version: 1,
            id: format!("{}-{index}-{saved_s}", status.term),
            index,
            term: status.term,
            configuration: Configuration { servers: servers.collect() },
            configuration_index: 0,
            size: 0,
        }
    }

    async fn snapshot_restore(&self, mut call: Call) -> Result<Answer, HttpError> {
        self.may_restore()?;
        let bytes_max = self.node.settings().limits.archive_bytes_max;
        let file = self.spool(&mut call, bytes_max).await?;
        let (file, meta) = blocking(move || {
            let meta = crate::archive::container::verify(rewound(&file)?, bytes_max)?;
            Ok((file, meta))
        })
        .await?;
        tracing::info!(archive = meta.id, index = meta.index, "restoring a snapshot archive");
        let archive = ArchiveId(u128::from_le_bytes(self.node.random()));
        let restored = self.stage_and_activate(archive, file, bytes_max).await;
        match &restored {
            Ok(()) => tracing::info!(archive = meta.id, "the snapshot archive replaced the state"),
            Err(error) => {
                tracing::warn!(
                    archive = meta.id,
                    error = error.text(),
                    "restoring a snapshot archive failed"
                );
                // Nobody waits: what is staged goes by itself, only later.
                let discard = Command::Archive(ArchiveCommand::Discard { archive });
                drop(self.node.propose(&discard).await);
            }
        }
        restored.map(|()| Answer::empty())
    }

    async fn stage_and_activate(
        &self,
        archive: ArchiveId,
        file: File,
        bytes_max: u64,
    ) -> Result<(), HttpError> {
        self.restore_step(ArchiveCommand::Stage { archive }).await?;
        let (sender, mut lots) = mpsc::channel(1);
        let reading = blocking(move || read_lots(&file, bytes_max, &sender));
        let staging = async {
            let mut number = 0;
            while let Some(records) = lots.recv().await {
                let step = ArchiveCommand::Records { archive, number, records };
                self.restore_step(step).await?;
                number += 1;
            }
            // A refused step ends the reader with this.
            drop(lots);
            Ok::<(), HttpError>(())
        };
        let (staged, read) = tokio::join!(staging, reading);
        staged?;
        read?;
        // All members have staged the same: what holds here holds everywhere.
        self.node
            .read(|state| state.check_staged(archive))
            .map_err(|problem| HttpError::internal(format!("failed to restore: {problem}")))?;
        self.restore_step(ArchiveCommand::Activate { archive }).await
    }

    async fn restore_step(&self, step: ArchiveCommand) -> Result<(), HttpError> {
        let step = Command::Archive(step);
        let applied = self.holding(|| self.node.propose(&step)).await?;
        match applied.result {
            Ok(_) => Ok(()),
            Err(refused) => Err(HttpError::internal(format!("failed to restore: {refused}"))),
        }
    }

    /// Puts the body into a file that has no name, so that nothing of it stays.
    async fn spool(&self, call: &mut Call, bytes_max: u64) -> Result<File, HttpError> {
        let directory = self.node.settings().data_dir.clone();
        let (sender, mut parts) = mpsc::channel::<Bytes>(PARTS_MAX);
        let writing = blocking(move || {
            let mut file = tempfile::tempfile_in(directory).map_err(unspooled)?;
            while let Some(part) = parts.blocking_recv() {
                file.write_all(&part).map_err(unspooled)?;
            }
            Ok(file)
        });
        let receiving = async move {
            let mut seen: u64 = 0;
            while let Some(part) = call.next_data().await? {
                seen += part.len() as u64;
                if seen > bytes_max {
                    return Err(too_large(bytes_max));
                }
                if sender.send(part).await.is_err() {
                    break;
                }
            }
            Ok(())
        };
        let (received, written) = tokio::join!(receiving, writing);
        received?;
        written
    }
}

/// Reads records in lots of a bounded size.
fn read_lots(
    file: &File,
    bytes_max: u64,
    lots: &mpsc::Sender<Vec<(u8, Bytes)>>,
) -> Result<(), Refused> {
    let (mut lot, mut bytes) = (Vec::new(), 0);
    for record in crate::archive::container::records(rewound(file)?, bytes_max)? {
        let (tag, payload) = record?;
        bytes += payload.len();
        lot.push((tag, payload));
        if bytes >= LOT_BYTES {
            bytes = 0;
            // Nobody takes them any more: why is told there.
            if lots.blocking_send(std::mem::take(&mut lot)).is_err() {
                return Ok(());
            }
        }
    }
    let _ = lots.blocking_send(lot);
    Ok(())
}

fn rewound(mut file: &File) -> io::Result<&File> {
    file.rewind()?;
    Ok(file)
}

fn unspooled(error: io::Error) -> Refused {
    Refused::Because(format!("failed to store the snapshot for inspection: {error}"))
}

fn too_large(bytes_max: u64) -> HttpError {
    HttpError::too_large(format!(
        "the snapshot is too large, max size: {bytes_max} bytes (limits.archive_bytes_max)"
    ))
}

/// Runs what blocks where that disturbs nobody.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, Refused> + Send + 'static,
) -> Result<T, HttpError> {
    match tokio::task::spawn_blocking(work).await {
        Ok(Ok(done)) => Ok(done),
        Ok(Err(Refused::Because(text))) => Err(HttpError::internal(text)),
        Ok(Err(Refused::TooLarge)) => Err(HttpError::new(
            StatusCode::PAYLOAD_TOO_LARGE,
            "the snapshot is too large when unpacked (limits.archive_bytes_max)",
        )),
        Err(error) => Err(HttpError::internal(error.to_string())),
    }
}

/// Gives what is written to a body, part by part.
struct PartWriter {
    sender: mpsc::Sender<io::Result<Bytes>>,
    runtime: Handle,
    part: Vec<u8>,
}

impl PartWriter {
    fn send(&mut self) -> io::Result<()> {
        if self.part.is_empty() {
            return Ok(());
        }
        let part = std::mem::replace(&mut self.part, Vec::with_capacity(PART_BYTES));
        let sending = tokio::time::timeout(STALL_MAX, self.sender.send(Ok(part.into())));
        match self.runtime.block_on(sending) {
            Ok(Ok(())) => Ok(()),
            Ok(Err(_)) => Err(io::ErrorKind::BrokenPipe.into()),
            Err(_) => Err(io::ErrorKind::TimedOut.into()),
        }
    }

    /// Ends the body so that the client notices.
    fn fail(&mut self, error: io::Error) {
        // Full or closed means that the client takes nothing anyway.
        let _ = self.sender.try_send(Err(error));
    }
}

impl Write for PartWriter {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        self.part.extend_from_slice(bytes);
        if self.part.len() >= PART_BYTES {
            self.send()?;
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.send()
    }
}
