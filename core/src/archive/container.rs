//! The file format of archives.
//!
//! ```text
//! gzip( tar( meta.json  state.bin  SHA256SUMS ) )
//!
//! state.bin   8 bytes format | records        a record: u8 tag | u32 length | payload
//! ```
//!
//! The container is Consul's, so that its tools can inspect an archive;
//! `state.bin` is ours. Its records are those of a snapshot, whose formats have
//! their own versions.

use std::collections::BTreeMap;
use std::convert::Infallible;
use std::io::{self, BufReader, BufWriter, Read, Write};

use bytes::Bytes;
use coord_state::snapshot::Frozen;
use flate2::Compression;
use flate2::read::GzDecoder;
use flate2::write::GzEncoder;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::tar::{BLOCK, END, Header, padding};

const META: &str = "meta.json";
const STATE: &str = "state.bin";
const SUMS: &str = "SHA256SUMS";
/// Who wrote the state, and the version of what is around its records.
const FORMAT: [u8; 8] = *b"coord\0\0\x01";
/// The largest of the two small files.
const SMALL_BYTES_MAX: u64 = 1 << 20;
/// The largest record: far more than any entry may have.
const RECORD_BYTES_MAX: u32 = 64 << 20;

/// `meta.json`, as Consul's tools read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Meta {
    pub(crate) version: u64,
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) index: u64,
    pub(crate) term: u64,
    #[serde(default)]
    pub(crate) configuration: Configuration,
    #[serde(default)]
    pub(crate) configuration_index: u64,
    pub(crate) size: u64,
}

/// The members when it was saved. For people: a restore does not look at it.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Configuration {
    #[serde(default)]
    pub(crate) servers: Vec<Server>,
}

/// One of them.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "PascalCase")]
pub(crate) struct Server {
    pub(crate) suffrage: u64,
    #[serde(rename = "ID")]
    pub(crate) id: String,
    pub(crate) address: String,
}

/// How long the state file of a frozen state is. Goes through all of it.
pub(crate) fn state_bytes(frozen: &Frozen) -> u64 {
    let mut bytes = FORMAT.len() as u64;
    let Ok(()) = frozen.each::<Infallible>(&mut |_, payload| {
        bytes += 5 + payload.len() as u64;
        Ok(())
    });
    bytes
}

/// Writes an archive.
pub(crate) fn write(
    meta: &Meta,
    frozen: &Frozen,
    modified_s: u64,
    out: impl Write,
) -> io::Result<()> {
    let mut out = BufWriter::with_capacity(64 << 10, GzEncoder::new(out, Compression::fast()));
    let meta_text = serde_json::to_vec(meta).map_err(io::Error::other)?;
    let mut sums = String::new();
    let mut file = |name: &str, size: u64, content: &dyn Fn(&mut dyn Write) -> io::Result<()>| {
        out.write_all(&Header { name: name.to_owned(), size }.to_block(modified_s))?;
        let mut hashing = Hashing { inner: &mut out, hasher: Sha256::new() };
        content(&mut hashing)?;
        let sum = hex(&hashing.hasher.finalize());
        io::copy(&mut io::repeat(0).take(padding(size)), &mut out)?;
        Ok::<_, io::Error>(sum)
    };
    let sum = file(META, meta_text.len() as u64, &|out| out.write_all(&meta_text))?;
    sums.push_str(&format!("{sum}  {META}\n"));
    let sum = file(STATE, meta.size, &|out| {
        out.write_all(&FORMAT)?;
        frozen.each(&mut |tag, payload| {
            let len = u32::try_from(payload.len()).map_err(io::Error::other)?;
            out.write_all(&[tag])?;
            out.write_all(&len.to_le_bytes())?;
            out.write_all(payload)
        })
    })?;
    sums.push_str(&format!("{sum}  {STATE}\n"));
    file(SUMS, sums.len() as u64, &|out| out.write_all(sums.as_bytes()))?;
    out.write_all(&END)?;
    let out = out.into_inner().map_err(io::IntoInnerError::into_error)?;
    out.finish()?.flush()
}

/// Reads an archive through and compares its sums. What is in its records is
/// for the state machine to judge.
pub(crate) fn verify(file: impl Read, bytes_max: u64) -> Result<Meta, Refused> {
    let mut archive = Archive::open(file, bytes_max);
    let mut found = BTreeMap::new();
    let (mut meta, mut sums) = (None, String::new());
    while let Some(header) = archive.next_file()? {
        let mut hashing = HashingReader { inner: archive.content(), hasher: Sha256::new() };
        match &*header.name {
            META => meta = Some(small(&mut hashing, &header)?),
            SUMS => {
                sums = String::from_utf8(small(&mut hashing, &header)?)
                    .map_err(|_| Refused::because("failed to read snapshot file: sums"))?;
                continue;
            }
            STATE => {
                check_format(&mut hashing)?;
                let mut records = Records(&mut hashing);
                while records.read()?.is_some() {}
            }
            other => {
                return Err(Refused::because(format!(
                    "failed to read snapshot file: unexpected file {other:?} in snapshot"
                )));
            }
        }
        found.insert(header.name, hex(&hashing.hasher.finalize()));
    }
    archive.drain()?;
    compare(&found, &sums)?;
    let meta = meta.unwrap_or_default();
    serde_json::from_slice(&meta)
        .map_err(|error| Refused::because(format!("failed to decode snapshot metadata: {error}")))
}

/// The records of an archive that was verified.
pub(crate) fn records<F: Read>(file: F, bytes_max: u64) -> Result<ArchivedRecords<F>, Refused> {
    let mut archive = Archive::open(file, bytes_max);
    while let Some(header) = archive.next_file()? {
        if header.name == STATE {
            check_format(&mut archive.content())?;
            return Ok(ArchivedRecords(archive));
        }
    }
    Err(Refused::because("failed to read snapshot file: no state"))
}

/// Why an archive is not taken.
#[derive(Debug)]
pub(crate) enum Refused {
    /// It is not one, or damaged.
    Because(String),
    /// Unpacked it is longer than it may be.
    TooLarge,
}

impl Refused {
    fn because(text: impl Into<String>) -> Self {
        Self::Because(text.into())
    }
}

impl From<io::Error> for Refused {
    fn from(error: io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::FileTooLarge => Self::TooLarge,
            _ => Self::Because(format!("failed to decompress snapshot: {error}")),
        }
    }
}

/// An archive being read, file by file.
struct Archive<F> {
    unpacked: BufReader<Bounded<GzDecoder<F>>>,
    /// Of the file being read.
    left: u64,
    padding: u64,
}

impl<F: Read> Archive<F> {
    fn open(file: F, bytes_max: u64) -> Self {
        let bounded = Bounded { inner: GzDecoder::new(file), left: bytes_max };
        let unpacked = BufReader::with_capacity(64 << 10, bounded);
        Self { unpacked, left: 0, padding: 0 }
    }

    fn next_file(&mut self) -> io::Result<Option<Header>> {
        let skipped = self.left + self.padding;
        if io::copy(&mut self.unpacked.by_ref().take(skipped), &mut io::sink())? < skipped {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let mut block = [0; BLOCK];
        self.unpacked.read_exact(&mut block)?;
        let header = Header::from_block(&block)?;
        self.left = header.as_ref().map_or(0, |header| header.size);
        self.padding = padding(self.left);
        Ok(header)
    }

    fn content(&mut self) -> Content<'_, F> {
        Content(self)
    }

    /// Reads to the end, where gzip has its own sum.
    fn drain(&mut self) -> io::Result<()> {
        io::copy(&mut self.unpacked, &mut io::sink()).map(drop)
    }
}

/// What is left of the file being read.
struct Content<'a, F>(&'a mut Archive<F>);

impl<F: Read> Read for Content<'_, F> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let archive = &mut *self.0;
        let read = archive.unpacked.by_ref().take(archive.left).read(buffer)?;
        archive.left -= read as u64;
        Ok(read)
    }
}

/// Fails past so many bytes.
struct Bounded<R> {
    inner: R,
    left: u64,
}

impl<R: Read> Read for Bounded<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.left = self
            .left
            .checked_sub(read as u64)
            .ok_or_else(|| io::Error::from(io::ErrorKind::FileTooLarge))?;
        Ok(read)
    }
}

/// Records one after the other.
struct Records<R>(R);

impl<R: Read> Records<R> {
    /// The next one, `None` at the end.
    fn read(&mut self) -> io::Result<Option<(u8, Bytes)>> {
        let mut tag = [0];
        if self.0.read(&mut tag)? == 0 {
            return Ok(None);
        }
        let mut len = [0; 4];
        self.0.read_exact(&mut len)?;
        let len = u32::from_le_bytes(len);
        if len > RECORD_BYTES_MAX {
            return Err(io::Error::new(io::ErrorKind::InvalidData, "a record is too long"));
        }
        // The length is believed only as far as there are bytes.
        let mut payload = Vec::new();
        self.0.by_ref().take(len.into()).read_to_end(&mut payload)?;
        if payload.len() as u64 != u64::from(len) {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(Some((tag[0], payload.into())))
    }
}

/// The records of one archive.
pub(crate) struct ArchivedRecords<F>(Archive<F>);

impl<F: Read> Iterator for ArchivedRecords<F> {
    type Item = io::Result<(u8, Bytes)>;

    fn next(&mut self) -> Option<Self::Item> {
        Records(self.0.content()).read().transpose()
    }
}

fn check_format(state: &mut impl Read) -> Result<(), Refused> {
    let mut format = Vec::new();
    state.take(FORMAT.len() as u64).read_to_end(&mut format)?;
    if format == FORMAT {
        return Ok(());
    }
    Err(Refused::because(if format.get(..5) == Some(&FORMAT[..5]) {
        "failed to read snapshot file: it was saved by a newer release"
    } else {
        "failed to read snapshot file: the state in it is not one of this server"
    }))
}

fn small(content: &mut impl Read, header: &Header) -> Result<Vec<u8>, Refused> {
    let mut bytes = Vec::new();
    content.take(SMALL_BYTES_MAX).read_to_end(&mut bytes)?;
    if bytes.len() as u64 != header.size {
        return Err(Refused::because(format!("failed to read snapshot file: {}", header.name)));
    }
    Ok(bytes)
}

/// Every file has a sum, every sum a file, and they are equal.
fn compare(found: &BTreeMap<String, String>, sums: &str) -> Result<(), Refused> {
    let failed = |text: String| {
        Err(Refused::because(format!("failed checking integrity of snapshot: {text}")))
    };
    let listed: BTreeMap<&str, &str> = sums
        .lines()
        .filter_map(|line| line.split_once("  "))
        .map(|(sum, name)| (name, sum))
        .collect();
    for name in [META, STATE] {
        match (found.get(name), listed.get(name)) {
            (Some(sum), Some(expected)) if sum == expected => {}
            (Some(_), Some(_)) => return failed(format!("hash check failed for {name:?}")),
            (None, _) => return failed(format!("file missing: {name:?}")),
            (_, None) => return failed(format!("list missing hash for {name:?}")),
        }
    }
    Ok(())
}

struct Hashing<W> {
    inner: W,
    hasher: Sha256,
}

impl<W: Write> Write for Hashing<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let written = self.inner.write(bytes)?;
        self.hasher.update(&bytes[..written]);
        Ok(written)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.inner.flush()
    }
}

struct HashingReader<R> {
    inner: R,
    hasher: Sha256,
}

impl<R: Read> Read for HashingReader<R> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let read = self.inner.read(buffer)?;
        self.hasher.update(&buffer[..read]);
        Ok(read)
    }
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use coord_state::StateMachine;

    use super::*;

    fn meta(frozen: &Frozen) -> Meta {
        let size = state_bytes(frozen);
        Meta {
            version: 1,
            id: "1-2-3".into(),
            index: 2,
            term: 1,
            configuration: Configuration::default(),
            configuration_index: 0,
            size,
        }
    }

    fn archive() -> (Frozen, Vec<u8>) {
        let frozen = StateMachine::new().freeze_archive();
        let mut out = Vec::new();
        write(&meta(&frozen), &frozen, 1_700_000_000, &mut out).unwrap();
        (frozen, out)
    }

    fn refused(archive: &[u8]) -> String {
        match verify(archive, 1 << 20) {
            Err(Refused::Because(text)) => text,
            other => panic!("{other:?}"),
        }
    }

    /// The same archive, changed where it is not compressed.
    fn changed(archive: &[u8], change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
        let mut plain = Vec::new();
        GzDecoder::new(archive).read_to_end(&mut plain).unwrap();
        change(&mut plain);
        let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
        encoder.write_all(&plain).unwrap();
        encoder.finish().unwrap()
    }

    #[test]
    fn an_archive_reads_back_as_written() {
        let (frozen, archive) = archive();
        assert_eq!(verify(&*archive, 1 << 20).unwrap(), meta(&frozen));
        let read: Vec<_> = records(&*archive, 1 << 20).unwrap().collect::<io::Result<_>>().unwrap();
        let read = read.into_iter().map(|(tag, payload)| (tag, Box::from(&payload[..])));
        assert!(read.eq(frozen.to_records()));
    }

    #[test]
    fn an_archive_cut_anywhere_is_refused() {
        let (_, archive) = archive();
        for end in 0..archive.len() {
            assert!(verify(&archive[..end], 1 << 20).is_err(), "cut at {end}");
        }
        assert!(refused(b"rubbish, more than a gzip header is long").contains("decompress"));
    }

    #[test]
    fn a_changed_byte_is_noticed() {
        let (_, archive) = archive();
        let state_at = 4 * BLOCK - BLOCK;
        let text = refused(&changed(&archive, |plain| plain[state_at + FORMAT.len() + 6] ^= 1));
        assert_eq!(
            text,
            "failed checking integrity of snapshot: hash check failed for \"state.bin\""
        );
        let foreign = refused(&changed(&archive, |plain| plain[state_at] = b'C'));
        assert!(foreign.contains("not one of this server"), "{foreign}");
        let newer = refused(&changed(&archive, |plain| plain[state_at + 7] = 2));
        assert!(newer.contains("newer release"), "{newer}");
    }

    #[test]
    fn an_archive_is_unpacked_only_so_far() {
        let bomb = changed(&archive().1, |plain| plain.resize(1 << 21, 0));
        assert!(bomb.len() < 1 << 16);
        assert!(matches!(verify(&*bomb, 1 << 20), Err(Refused::TooLarge)));
    }
}
