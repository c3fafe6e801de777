//! Transfer of snapshots between members.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use tokio::sync::mpsc;

use super::lifetime::{Living, timeout};
use super::peer_frame::{FrameReader, FrameWriter, PeerError, framed};
use crate::storage::{Snapshot, SnapshotReceiver, SnapshotStore};

/// Time for a peer to give or take one chunk, or to install the whole.
pub(super) const SNAPSHOT_STALL: Duration = Duration::from_secs(60);
const SNAPSHOT_CHUNK_BYTES: usize = 256 << 10;

/// Sends the file, chunk by chunk.
pub(super) async fn send_snapshot(
    writer: &mut FrameWriter,
    snapshot: Snapshot,
) -> Result<(), PeerError> {
    let (sender, mut chunks) = mpsc::channel(4);
    let reading = tokio::task::spawn_blocking(move || read_chunks(&snapshot, &sender));
    let stalled = || PeerError::Broken("the peer stopped taking the snapshot".to_owned());
    while let Some(chunk) = chunks.recv().await {
        let sent = timeout(SNAPSHOT_STALL, writer.send(&chunk)).await;
        sent.ok_or_else(stalled)??;
    }
    Ok(reading.await.map_err(io::Error::other)??)
}

/// Receives a file of `size` bytes and verifies it.
pub(super) async fn receive_snapshot(
    reader: &mut FrameReader,
    store: SnapshotStore,
    living: Arc<Living>,
    size: u64,
) -> Result<Snapshot, PeerError> {
    let (sender, chunks) = mpsc::channel(8);
    let writing = tokio::task::spawn_blocking(move || {
        let snapshot = write_chunks(store.receive()?, chunks, size);
        drop((store, living));
        snapshot
    });
    let mut left = size;
    while left > 0 {
        let stalled = || PeerError::Broken("the peer stopped sending the snapshot".to_owned());
        let chunk = timeout(SNAPSHOT_STALL, reader.next()).await.ok_or_else(stalled)??;
        let Some(chunk) = chunk else { return Err(stalled()) };
        left = left.saturating_sub(chunk.len() as u64);
        if sender.send(chunk).await.is_err() {
            break;
        }
    }
    drop(sender);
    Ok(writing.await.map_err(io::Error::other)??)
}

fn read_chunks(snapshot: &Snapshot, chunks: &mpsc::Sender<Vec<u8>>) -> io::Result<()> {
    let mut offset = 0;
    while offset < snapshot.size() {
        let left = usize::try_from(snapshot.size() - offset).unwrap_or(usize::MAX);
        let len = left.min(SNAPSHOT_CHUNK_BYTES);
        let mut outcome = Ok(());
        let frame = framed(|out| {
            out.resize(4 + len, 0);
            outcome = snapshot.read_at(offset, &mut out[4..]);
        });
        outcome?;
        if chunks.blocking_send(frame).is_err() {
            // Sending was given up.
            return Ok(());
        }
        offset += len as u64;
    }
    Ok(())
}

fn write_chunks(
    mut receiver: SnapshotReceiver,
    mut chunks: mpsc::Receiver<Bytes>,
    size: u64,
) -> io::Result<Snapshot> {
    let mut received = 0;
    while let Some(chunk) = chunks.blocking_recv() {
        received += chunk.len() as u64;
        receiver.write(&chunk)?;
    }
    if received != size {
        return Err(io::ErrorKind::UnexpectedEof.into());
    }
    receiver.finish()
}
