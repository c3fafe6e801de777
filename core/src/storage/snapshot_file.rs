//! The file format of snapshots.
//!
//! ```text
//! file   = magic "coordsnp" | version u32 | meta length u32 | crc u32 of all before and the meta | meta
//!        , records, end
//! record = 1 u8 | tag u8 | length u32 | crc u32 of the sequence number (u64), tag and bytes | bytes
//! end    = 2 u8 | 0 u8 | records u64 | bytes u64 | crc u32 of the 18 bytes before
//! ```
//!
//! A record's checksum covers its sequence number, so lost, duplicated or
//! reordered records are detected.

use std::io;
use std::sync::Arc;

use bytes::{Buf, Bytes, BytesMut};
use coord_state::codec::Encode;

use super::disk::DiskFile;

const MAGIC: &[u8; 8] = b"coordsnp";
const VERSION: u32 = 1;
const HEADER_BYTES: usize = 20;
const META_BYTES_MAX: usize = 1 << 20;
const RECORD: u8 = 1;
const RECORD_HEADER_BYTES: usize = 10;
const END: u8 = 2;
const END_BYTES: usize = 22;
const BUFFER_BYTES: usize = 256 << 10;

/// Appends a snapshot to a file, buffered.
pub(super) struct SnapshotEncoder {
    file: Arc<dyn DiskFile>,
    offset: u64,
    buffer: Vec<u8>,
    records: u64,
    bytes: u64,
}

impl SnapshotEncoder {
    pub(super) fn new(file: Arc<dyn DiskFile>, meta: &[u8]) -> io::Result<Self> {
        if meta.len() > META_BYTES_MAX {
            return Err(invalid("the snapshot's metadata is too long"));
        }
        let mut buffer = Vec::with_capacity(BUFFER_BYTES);
        buffer.extend_from_slice(MAGIC);
        VERSION.encode(&mut buffer);
        length(meta.len())?.encode(&mut buffer);
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&buffer);
        hasher.update(meta);
        hasher.finalize().encode(&mut buffer);
        buffer.extend_from_slice(meta);
        Ok(Self { file, offset: 0, buffer, records: 0, bytes: 0 })
    }

    pub(super) fn record(&mut self, tag: u8, content: &[u8]) -> io::Result<()> {
        self.buffer.push(RECORD);
        self.buffer.push(tag);
        length(content.len())?.encode(&mut self.buffer);
        record_crc(self.records, tag, content).encode(&mut self.buffer);
        self.buffer.extend_from_slice(content);
        self.records += 1;
        self.bytes += content.len() as u64;
        if self.buffer.len() >= BUFFER_BYTES { self.flush() } else { Ok(()) }
    }

    /// Ends the snapshot and makes the file durable.
    pub(super) fn finish(mut self) -> io::Result<()> {
        let start = self.buffer.len();
        self.buffer.extend_from_slice(&[END, 0]);
        self.records.encode(&mut self.buffer);
        self.bytes.encode(&mut self.buffer);
        crc32fast::hash(&self.buffer[start..]).encode(&mut self.buffer);
        self.flush()?;
        self.file.sync()
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.write_at(self.offset, &self.buffer)?;
        self.offset += self.buffer.len() as u64;
        self.buffer.clear();
        Ok(())
    }
}

/// Reads a snapshot front to back. Ends after an error.
pub(super) struct SnapshotDecoder {
    file: Arc<dyn DiskFile>,
    size: u64,
    offset: u64,
    buffer: BytesMut,
    records: u64,
    bytes: u64,
    ended: bool,
}

impl SnapshotDecoder {
    /// Reads the head of the file; gives the meta bytes too.
    pub(super) fn new(file: Arc<dyn DiskFile>) -> io::Result<(Self, Bytes)> {
        let size = file.size()?;
        let buffer = BytesMut::new();
        let mut decoder =
            Self { file, size, offset: 0, buffer, records: 0, bytes: 0, ended: false };
        let header = decoder.read_bytes(HEADER_BYTES)?;
        let mut fields = &header[8..];
        let (version, meta, crc) = (fields.get_u32_le(), fields.get_u32_le(), fields.get_u32_le());
        if &header[..8] != MAGIC {
            return Err(invalid("this is not a snapshot"));
        }
        if version != VERSION {
            return Err(invalid(format!("the snapshot has unknown version {version}")));
        }
        let meta = usize::try_from(meta).unwrap_or(usize::MAX);
        if meta > META_BYTES_MAX {
            return Err(invalid("the snapshot's head is damaged"));
        }
        let meta = decoder.read_bytes(meta)?;
        let mut hasher = crc32fast::Hasher::new();
        hasher.update(&header[..16]);
        hasher.update(&meta);
        if hasher.finalize() != crc {
            return Err(invalid("the snapshot's head is damaged"));
        }
        Ok((decoder, meta))
    }

    fn read_next(&mut self) -> io::Result<Option<(u8, Bytes)>> {
        match self.read_bytes(1)?[0] {
            RECORD => {
                let header = self.read_bytes(RECORD_HEADER_BYTES - 1)?;
                let mut fields = &header[..];
                let (tag, len, crc) = (fields.get_u8(), fields.get_u32_le(), fields.get_u32_le());
                let content = self.read_bytes(usize::try_from(len).unwrap_or(usize::MAX))?;
                if record_crc(self.records, tag, &content) != crc {
                    return Err(invalid(format!("record {} is damaged", self.records)));
                }
                self.records += 1;
                self.bytes += content.len() as u64;
                Ok(Some((tag, content)))
            }
            END => {
                let end = self.read_bytes(END_BYTES - 1)?;
                let mut hasher = crc32fast::Hasher::new();
                hasher.update(&[END]);
                hasher.update(&end[..17]);
                let mut fields = &end[1..];
                let totals = (fields.get_u64_le(), fields.get_u64_le());
                let sound = hasher.finalize() == fields.get_u32_le()
                    && totals == (self.records, self.bytes)
                    && self.offset == self.size
                    && self.buffer.is_empty();
                if sound { Ok(None) } else { Err(invalid("the snapshot's end is damaged")) }
            }
            other => Err(invalid(format!("record {} has unknown form {other}", self.records))),
        }
    }

    fn read_bytes(&mut self, len: usize) -> io::Result<Bytes> {
        let left = self.size - self.offset;
        if len as u64 > left + self.buffer.len() as u64 {
            return Err(invalid("the snapshot is truncated"));
        }
        if self.buffer.len() < len {
            let wanted = (len - self.buffer.len()).max(BUFFER_BYTES);
            let wanted = usize::try_from(left).unwrap_or(usize::MAX).min(wanted);
            let start = self.buffer.len();
            self.buffer.resize(start + wanted, 0);
            self.file.read_at(self.offset, &mut self.buffer[start..])?;
            self.offset += wanted as u64;
        }
        Ok(self.buffer.split_to(len).freeze())
    }
}

impl Iterator for SnapshotDecoder {
    type Item = io::Result<(u8, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        if self.ended {
            return None;
        }
        let record = self.read_next().transpose();
        self.ended = !matches!(record, Some(Ok(_)));
        record
    }
}

fn record_crc(sequence: u64, tag: u8, content: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&sequence.to_le_bytes());
    hasher.update(&[tag]);
    hasher.update(content);
    hasher.finalize()
}

fn length(len: usize) -> io::Result<u32> {
    u32::try_from(len).map_err(|_| invalid("a snapshot record is longer than 4 GiB"))
}

fn invalid(what: impl Into<String>) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what.into())
}
