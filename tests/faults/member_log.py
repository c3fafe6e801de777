"""Reads a member's log from its files, as far as it is known to be committed.

This reader is independent of the product's: it knows only the stored format
described in the head of `core/src/storage/record.rs`. It may read while the
member writes; it stops at the first incomplete record.
"""

import pathlib
import struct
import zlib

HEADER_BYTES, FRAME_BYTES = 32, 20
CHECKPOINT, ENTRY, TRUNCATE, PURGE, COMMITTED = 1, 3, 4, 5, 6


class MemberLog:
    """What a data directory's log says: `entries` are (term, checksum) by index."""

    def __init__(self, data_dir):
        self.entries = {}
        self.committed = None
        for number, path in sorted(segments(pathlib.Path(data_dir) / "log")):
            try:
                raw = path.read_bytes()
            except FileNotFoundError:
                continue  # Dropped or used again meanwhile.
            if raw[:8] == b"coordwal" and struct.unpack_from("<Q", raw, 16)[0] == number:
                self.read_segment(number, raw)

    def read_segment(self, number, raw):
        named = struct.pack("<Q", number)
        at, end = HEADER_BYTES, len(raw)
        while at + FRAME_BYTES <= end:
            length, _, kind, _, _, body_crc, header_crc = struct.unpack_from("<IIBBHII", raw, at)
            if zlib.crc32(raw[at : at + 16], zlib.crc32(named)) != header_crc:
                return
            body = at + FRAME_BYTES
            if kind == ENTRY:
                term, index = struct.unpack_from("<QQ", raw, body)
                self.entries[index] = (term, body_crc)
            elif kind == TRUNCATE:
                start = struct.unpack_from("<Q", raw, body)[0]
                for index in [index for index in self.entries if index >= start]:
                    del self.entries[index]
            elif kind == PURGE:
                upto = struct.unpack_from("<QQ", raw, body)[1]
                for index in [index for index in self.entries if index <= upto]:
                    del self.entries[index]
            elif kind == COMMITTED and raw[body]:
                self.commit(struct.unpack_from("<QQ", raw, body + 1)[1])
            at = body + length + (-(FRAME_BYTES + length) % 4)

    def commit(self, index):
        self.committed = index if self.committed is None else max(self.committed, index)

    def confirmed(self):
        """The entries that will never change, by index."""
        if self.committed is None:
            return {}
        return {index: entry for index, entry in self.entries.items() if index <= self.committed}


def segments(folder):
    for path in folder.glob("*.wal"):
        if len(path.stem) == 16:
            yield int(path.stem, 16), path
