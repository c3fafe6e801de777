//! Records of the log, and their frame format on disk.
//!
//! ```text
//! segment  = header (32 bytes), frames, then zeros or the remains of an earlier use
//! header   = magic "coordwal" | version u32 | 0 u32 | segment number u64 | crc u32 | 0 u32
//! frame    = body length u32 | batch u32 | kind u8 | flags u8 | 0 u16
//!          | crc of the body u32 | crc of segment number and the 16 bytes before u32 | body | 0..3 zeros
//! ```
//!
//! Integers are little-endian. A batch is made durable by one fsync; a flag
//! marks its last frame, and batches are numbered from 0 in each segment.
//! Frames from an earlier use of the file have a different segment number in
//! their checksum and so are never taken for live ones.

use bytes::Bytes;
use coord_state::codec::{CodecError, Decode, Encode, Input};

/// Field-by-field codec, as `coord_state::record!` but with std's `Vec`.
macro_rules! record_codec {
    ($name:ty { $($field:ident),* $(,)? }) => {
        impl Encode for $name {
            fn encode(&self, out: &mut Vec<u8>) {
                $(Encode::encode(&self.$field, out);)*
            }
        }

        impl Decode for $name {
            fn decode(input: &mut Input) -> Result<Self, CodecError> {
                Ok(Self { $($field: Decode::decode(input)?),* })
            }
        }
    };
}

/// A place in the log: which leader's term wrote it, and where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LogPosition {
    /// The term of the leader that proposed the entry.
    pub term: u64,
    /// Its index; the first is 0.
    pub index: u64,
}

/// What a member promised about leaders.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StoredVote {
    /// The term.
    pub term: u64,
    /// The member voted for in it.
    pub voted_for: u64,
    /// Whether that member is known to have won.
    pub committed: bool,
}

/// One log entry.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// Where it stands.
    pub position: LogPosition,
    /// What the payload is; a meaning given by the layer above.
    pub kind: u8,
    /// Its content.
    pub payload: Bytes,
}

record_codec!(LogPosition { term, index });
record_codec!(StoredVote { term, voted_for, committed });

/// Bytes of a segment's own header.
pub(super) const SEGMENT_HEADER_BYTES: usize = 32;
/// Bytes of a frame before its body.
pub(super) const FRAME_HEADER_BYTES: usize = 20;

const SEGMENT_MAGIC: &[u8; 8] = b"coordwal";
const SEGMENT_VERSION: u32 = 1;
const END_OF_BATCH: u8 = 1;
const ENTRY_PREFIX_BYTES: usize = 17;

/// What a frame says.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Record {
    /// Begins each segment: what all segments before it say, but for entries.
    Checkpoint {
        vote: Option<StoredVote>,
        committed: Option<LogPosition>,
        purged: Option<LogPosition>,
    },
    Vote(StoredVote),
    Entry(LogEntry),
    /// Entries from this index on are void.
    Truncate {
        from: u64,
    },
    /// Entries up to and including this one are in a snapshot.
    Purge(LogPosition),
    /// Entries up to and including this one will never change.
    Committed(Option<LogPosition>),
    /// Ends each segment but the newest.
    Seal,
}

const CHECKPOINT: u8 = 1;
const VOTE: u8 = 2;
const ENTRY: u8 = 3;
const TRUNCATE: u8 = 4;
const PURGE: u8 = 5;
const COMMITTED: u8 = 6;
const SEAL: u8 = 7;

impl Record {
    fn kind(&self) -> u8 {
        match self {
            Self::Checkpoint { .. } => CHECKPOINT,
            Self::Vote(_) => VOTE,
            Self::Entry(_) => ENTRY,
            Self::Truncate { .. } => TRUNCATE,
            Self::Purge(_) => PURGE,
            Self::Committed(_) => COMMITTED,
            Self::Seal => SEAL,
        }
    }

    fn encode_body(&self, out: &mut Vec<u8>) {
        match self {
            Self::Checkpoint { vote, committed, purged } => {
                vote.encode(out);
                committed.encode(out);
                purged.encode(out);
            }
            Self::Vote(vote) => vote.encode(out),
            Self::Entry(entry) => {
                entry.position.encode(out);
                entry.kind.encode(out);
                out.extend_from_slice(&entry.payload);
            }
            Self::Truncate { from } => from.encode(out),
            Self::Purge(position) => position.encode(out),
            Self::Committed(position) => position.encode(out),
            Self::Seal => {}
        }
    }

    fn decode_body(kind: u8, body: Bytes) -> Result<Self, CodecError> {
        let mut input = Input::new(body);
        let record = match kind {
            CHECKPOINT => Self::Checkpoint {
                vote: Decode::decode(&mut input)?,
                committed: Decode::decode(&mut input)?,
                purged: Decode::decode(&mut input)?,
            },
            VOTE => Self::Vote(Decode::decode(&mut input)?),
            ENTRY => {
                let position = Decode::decode(&mut input)?;
                let kind = Decode::decode(&mut input)?;
                let payload = input.take(input.remaining(), "payload")?;
                Self::Entry(LogEntry { position, kind, payload })
            }
            TRUNCATE => Self::Truncate { from: Decode::decode(&mut input)? },
            PURGE => Self::Purge(Decode::decode(&mut input)?),
            COMMITTED => Self::Committed(Decode::decode(&mut input)?),
            SEAL => Self::Seal,
            tag => return Err(CodecError::UnknownTag { what: "log frame", tag: tag.into() }),
        };
        input.finish("log frame")?;
        Ok(record)
    }
}

/// Bytes an entry with this much payload takes in a segment.
pub(super) fn entry_frame_bytes(payload: usize) -> usize {
    frame_bytes(ENTRY_PREFIX_BYTES + payload)
}

/// Bytes a frame with this body takes in a segment.
pub(super) fn frame_bytes(body: usize) -> usize {
    (FRAME_HEADER_BYTES + body).next_multiple_of(4)
}

/// The longest body any record but an entry has.
pub(super) const SMALL_BODY_BYTES_MAX: usize = 64;

/// Appends a frame to `out`.
pub(super) fn write_frame(segment: u64, batch: u32, record: &Record, out: &mut Vec<u8>) {
    let start = out.len();
    out.extend_from_slice(&[0; FRAME_HEADER_BYTES]);
    record.encode_body(out);
    let body = out.len() - start - FRAME_HEADER_BYTES;
    let body_crc = crc32fast::hash(&out[start + FRAME_HEADER_BYTES..]);
    let body = u32::try_from(body).expect("limits keep an entry below 4 GiB");
    let header = &mut out[start..start + FRAME_HEADER_BYTES];
    header[0..4].copy_from_slice(&body.to_le_bytes());
    header[4..8].copy_from_slice(&batch.to_le_bytes());
    header[8] = record.kind();
    header[12..16].copy_from_slice(&body_crc.to_le_bytes());
    seal_header(segment, header);
    out.resize(out.len().next_multiple_of(4), 0);
}

/// Marks the frame that begins at `frame` as the last of its batch.
pub(super) fn end_batch(segment: u64, frame: &mut [u8]) {
    let header = &mut frame[..FRAME_HEADER_BYTES];
    header[9] |= END_OF_BATCH;
    seal_header(segment, header);
}

fn seal_header(segment: u64, header: &mut [u8]) {
    let crc = header_crc(segment, &header[..16]);
    header[16..20].copy_from_slice(&crc.to_le_bytes());
}

fn header_crc(segment: u64, header: &[u8]) -> u32 {
    let mut hasher = crc32fast::Hasher::new();
    hasher.update(&segment.to_le_bytes());
    hasher.update(header);
    hasher.finalize()
}

/// A frame header with a right checksum.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct FrameHeader {
    pub(super) body: usize,
    pub(super) batch: u32,
    pub(super) ends_batch: bool,
    kind: u8,
    body_crc: u32,
}

impl FrameHeader {
    /// Reads a header, if these bytes are one of this segment.
    pub(super) fn read(segment: u64, bytes: &[u8]) -> Option<Self> {
        let header = bytes.get(..FRAME_HEADER_BYTES)?;
        let word = |at: usize| {
            u32::from_le_bytes([header[at], header[at + 1], header[at + 2], header[at + 3]])
        };
        // Cheap tests first: a recovery scan tries every fourth byte.
        let plausible = (CHECKPOINT..=SEAL).contains(&header[8])
            && header[9] <= END_OF_BATCH
            && header[10..12] == [0, 0];
        if !plausible || header_crc(segment, &header[..16]) != word(16) {
            return None;
        }
        Some(Self {
            body: usize::try_from(word(0)).ok()?,
            batch: word(4),
            ends_batch: header[9] & END_OF_BATCH != 0,
            kind: header[8],
            body_crc: word(12),
        })
    }

    /// Reads the body that follows the header, if it is whole.
    pub(super) fn record(&self, body: Bytes) -> Option<Record> {
        if crc32fast::hash(&body) != self.body_crc {
            return None;
        }
        Record::decode_body(self.kind, body).ok()
    }
}

/// The first bytes of a segment.
pub(super) fn segment_header(number: u64) -> [u8; SEGMENT_HEADER_BYTES] {
    let mut header = [0; SEGMENT_HEADER_BYTES];
    header[..8].copy_from_slice(SEGMENT_MAGIC);
    header[8..12].copy_from_slice(&SEGMENT_VERSION.to_le_bytes());
    header[16..24].copy_from_slice(&number.to_le_bytes());
    let crc = crc32fast::hash(&header[..24]);
    header[24..28].copy_from_slice(&crc.to_le_bytes());
    header
}

/// What is wrong with the first bytes of segment `number`, which are not those of
/// [`segment_header`].
pub(super) fn header_fault(number: u64, content: &[u8]) -> String {
    let damaged = || "the segment's header is damaged".to_owned();
    let Some(header) = content.get(..SEGMENT_HEADER_BYTES) else { return damaged() };
    let word = |at: usize| {
        header[at..at + 4].iter().rev().fold(0, |all, byte| (all << 8) | u64::from(*byte))
    };
    if u64::from(crc32fast::hash(&header[..24])) != word(24) || header[..8] != *SEGMENT_MAGIC {
        return damaged();
    }
    let (version, found) = (word(8), (word(20) << 32) | word(16));
    if version != u64::from(SEGMENT_VERSION) {
        return format!(
            "it has version {version} of the log, and this release reads version \
             {SEGMENT_VERSION}: start the release that wrote it"
        );
    }
    match found == number {
        true => damaged(),
        false => format!("it is segment {found:x} under the name of segment {number:x}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn entry() -> Record {
        Record::Entry(LogEntry {
            position: LogPosition { term: 3, index: 9 },
            kind: 1,
            payload: Bytes::from_static(b"hello"),
        })
    }

    fn read(segment: u64, bytes: &[u8]) -> Option<Record> {
        let header = FrameHeader::read(segment, bytes)?;
        let body = bytes.get(FRAME_HEADER_BYTES..FRAME_HEADER_BYTES + header.body)?;
        header.record(Bytes::copy_from_slice(body))
    }

    #[test]
    fn every_record_reads_back_as_written() {
        let position = LogPosition { term: 3, index: 9 };
        let vote = StoredVote { term: 4, voted_for: 2, committed: true };
        for record in [
            Record::Checkpoint { vote: Some(vote), committed: None, purged: Some(position) },
            Record::Vote(vote),
            entry(),
            Record::Truncate { from: 7 },
            Record::Purge(position),
            Record::Committed(Some(position)),
            Record::Seal,
        ] {
            let mut bytes = Vec::new();
            write_frame(5, 2, &record, &mut bytes);
            assert_eq!(bytes.len() % 4, 0);
            assert_eq!(read(5, &bytes), Some(record));
        }
    }

    #[test]
    fn any_flipped_bit_makes_a_frame_unreadable() {
        let mut bytes = Vec::new();
        write_frame(5, 2, &entry(), &mut bytes);
        let body_end = FRAME_HEADER_BYTES + ENTRY_PREFIX_BYTES + 5;
        for bit in 0..body_end * 8 {
            let mut damaged = bytes.clone();
            damaged[bit / 8] ^= 1 << (bit % 8);
            assert_eq!(read(5, &damaged), None, "bit {bit}");
        }
    }

    #[test]
    fn a_frame_of_another_segment_is_unreadable() {
        let mut bytes = Vec::new();
        write_frame(5, 2, &entry(), &mut bytes);
        assert_eq!(read(6, &bytes), None);
    }

    /// Pins the stored form: this byte string may never stop being readable.
    #[test]
    fn the_stored_form_of_an_entry_frame_stays() {
        let mut bytes = Vec::new();
        write_frame(1, 0, &entry(), &mut bytes);
        end_batch(1, &mut bytes);
        let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
        assert_eq!(
            hex,
            "160000000000000003010000de616904608f6683030000000000000009000000000000000168656c6c6f0000"
        );
    }
}
