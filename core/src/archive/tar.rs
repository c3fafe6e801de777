//! The subset of tar that archives need: plain files with short names.
//!
//! ```text
//! header (512 bytes) | content | zeros up to a multiple of 512 | … | 1024 zeros
//! ```

use std::io;

/// Everything comes in blocks of this size.
pub(super) const BLOCK: usize = 512;
/// What ends a tar file.
pub(super) const END: [u8; 2 * BLOCK] = [0; 2 * BLOCK];

const NAME: std::ops::Range<usize> = 0..100;
const MODE: std::ops::Range<usize> = 100..108;
const UID: std::ops::Range<usize> = 108..116;
const GID: std::ops::Range<usize> = 116..124;
const SIZE: std::ops::Range<usize> = 124..136;
const MTIME: std::ops::Range<usize> = 136..148;
const CHECKSUM: std::ops::Range<usize> = 148..156;
const KIND: usize = 156;
const MAGIC: std::ops::Range<usize> = 257..265;

/// What stands before a file.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Header {
    pub(super) name: String,
    pub(crate) size: u64,
}

impl Header {
    /// Its stored form.
    pub(super) fn to_block(&self, modified_s: u64) -> [u8; BLOCK] {
        let mut block = [0; BLOCK];
        block[NAME][..self.name.len()].copy_from_slice(self.name.as_bytes());
        octal(&mut block[MODE], 0o600);
        octal(&mut block[UID], 0);
        octal(&mut block[GID], 0);
        octal(&mut block[SIZE], self.size);
        octal(&mut block[MTIME], modified_s);
        block[KIND] = b'0';
        block[MAGIC].copy_from_slice(b"ustar\x0000");
        let sum = checksum(&block);
        octal(&mut block[CHECKSUM], sum);
        block
    }

    /// Reads a header; `None` at the end of the file.
    pub(super) fn from_block(block: &[u8; BLOCK]) -> io::Result<Option<Self>> {
        if block.iter().all(|byte| *byte == 0) {
            return Ok(None);
        }
        let invalid = |what: &str| io::Error::new(io::ErrorKind::InvalidData, what);
        if number(&block[CHECKSUM]) != Some(checksum(block)) {
            return Err(invalid("archive/tar: invalid tar header"));
        }
        let name = block[NAME].split(|byte| *byte == 0).next().unwrap_or_default();
        let name = String::from_utf8_lossy(name).into_owned();
        let size =
            number(&block[SIZE]).ok_or_else(|| invalid("archive/tar: invalid tar header"))?;
        if !matches!(block[KIND], b'0' | 0) {
            return Err(invalid(&format!("unexpected file {name:?} in snapshot")));
        }
        Ok(Some(Self { name, size }))
    }
}

/// How many zeros follow a content of this size.
pub(super) fn padding(size: u64) -> u64 {
    size.next_multiple_of(BLOCK as u64) - size
}

/// Sum of all bytes, those of the checksum itself taken as blanks.
fn checksum(block: &[u8; BLOCK]) -> u64 {
    let counted = |(at, byte): (usize, &u8)| if CHECKSUM.contains(&at) { b' ' } else { *byte };
    block.iter().enumerate().map(counted).map(u64::from).sum()
}

/// Writes a number as octal digits that fill the field but for its last byte.
fn octal(field: &mut [u8], number: u64) {
    let digits = field.len() - 1;
    let text = format!("{number:0digits$o}");
    field[..digits].copy_from_slice(&text.as_bytes()[text.len() - digits..]);
}

fn number(field: &[u8]) -> Option<u64> {
    let text = std::str::from_utf8(field).ok()?;
    let text = text.trim_matches([' ', '\0']);
    if text.is_empty() { Some(0) } else { u64::from_str_radix(text, 8).ok() }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_header_reads_back_and_its_damage_is_noticed() {
        let header = Header { name: "state.bin".into(), size: 123_456_789 };
        let block = header.to_block(1_700_000_000);
        assert_eq!(Header::from_block(&block).unwrap(), Some(header));
        for at in [0, 130, 156, 500] {
            let mut damaged = block;
            damaged[at] ^= 1;
            assert!(Header::from_block(&damaged).is_err(), "byte {at}");
        }
        assert_eq!(Header::from_block(&[0; BLOCK]).unwrap(), None);
    }

    #[test]
    fn content_is_filled_up_to_whole_blocks() {
        assert_eq!((padding(0), padding(1), padding(512), padding(513)), (0, 511, 0, 511));
    }
}
