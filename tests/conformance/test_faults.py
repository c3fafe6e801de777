"""The programs of tests/faults: a short run, and that they notice what is wrong."""

import os
import pathlib
import struct
import subprocess
import sys
import tempfile
import time
import types
import unittest
import zlib

FAULTS = pathlib.Path(__file__).resolve().parent.parent / "faults"
sys.path.append(str(FAULTS))

from agreement import Agreement  # noqa: E402
from load import Tally  # noqa: E402
from member import coord, target  # noqa: E402
from member_log import MemberLog  # noqa: E402
from sessions import LockRecord  # noqa: E402

ENTRY, TRUNCATE, COMMITTED = 3, 4, 6


def frame(kind, body):
    """As `core/src/storage/record.rs` writes it, in segment 0."""
    head = struct.pack("<IIBBHI", len(body), 0, kind, 0, 0, zlib.crc32(body))
    head += struct.pack("<I", zlib.crc32(head, zlib.crc32(struct.pack("<Q", 0))))
    return head + body + b"\0" * (-(len(head) + len(body)) % 4)


def entry(term, index, payload):
    return frame(ENTRY, struct.pack("<QQB", term, index, 1) + payload)


def committed(index):
    return frame(COMMITTED, b"\1" + struct.pack("<QQ", 1, index))


class NoMember:
    """A data directory whose member does not run."""

    zk_address = ("127.0.0.1", 1)

    def __init__(self, folder, number, frames):
        self.number = number
        self.folder = pathlib.Path(folder) / str(number)
        log = self.folder / "data" / "log"
        log.mkdir(parents=True)
        head = b"coordwal" + struct.pack("<IIQ", 1, 0, 0)
        head += struct.pack("<II", zlib.crc32(head), 0)
        (log / f"{0:016x}.wal").write_bytes(head + b"".join(frames) + b"\0" * 4096)


class Noticing(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = folder.name

    def look(self, *logs):
        class Ensemble:
            members = [NoMember(self.folder, n + 1, frames) for n, frames in enumerate(logs)]

        return Agreement().look(Ensemble)

    def test_logs_that_differ_at_a_committed_index_are_noticed(self):
        here = [entry(1, 0, b"same"), entry(1, 1, b"this"), committed(1)]
        there = [entry(1, 0, b"same"), entry(1, 1, b"that"), committed(1)]
        found = self.look(here, there)
        self.assertEqual(1, len(found))
        self.assertIn("log entry 1", found[0])

    def test_what_is_not_committed_or_was_cut_off_may_differ(self):
        here = [entry(1, 0, b"same"), committed(0), entry(1, 1, b"this")]
        cut = [entry(1, 0, b"same"), entry(1, 1, b"that"), frame(TRUNCATE, struct.pack("<Q", 1)), entry(2, 1, b"new")]
        self.assertEqual([], self.look(here, [*cut, committed(1)]))

    def test_a_frame_that_is_not_whole_ends_the_log(self):
        member = NoMember(self.folder, 1, [entry(1, 0, b"whole"), committed(0), entry(1, 1, b"torn")[:-6]])
        self.assertEqual([0], sorted(MemberLog(member.folder / "data").confirmed()))

    def test_a_zxid_that_is_given_twice_is_noticed(self):
        tally = Tally(1)
        tally.acknowledged("a", "one", 7)
        tally.acknowledged("a", "two", 8)
        self.assertEqual([], tally.broken)
        tally.acknowledged("b", "three", 8)
        self.assertEqual(1, len(tally.broken))


class Holding(unittest.TestCase):
    def hold(self, record, name, since, until):
        holder = types.SimpleNamespace(name=name, since=since, answered=until - 4, timeout_s=4)
        record.hold(holder)
        return holder

    def test_two_who_believe_at_one_time_are_noticed(self):
        record = LockRecord()
        self.hold(record, "a", 10, 16)
        self.hold(record, "b", 15, 19)
        self.hold(record, "a", 19.5, 23)
        self.assertEqual([("a", "b", 1)], record.doubles())

    def test_who_gave_up_before_holds_nothing_any_more(self):
        record = LockRecord()
        now = time.monotonic()
        first = self.hold(record, "a", now - 1, now + 3)
        record.give_up(first)
        self.hold(record, "b", time.monotonic(), now + 4)
        self.assertEqual([], record.doubles())


class Kills(unittest.TestCase):
    def test_three_kills_under_load_lose_nothing(self):
        done = subprocess.run(
            [
                sys.executable, str(FAULTS / "run.py"), "--target", str(target()), "kills", "--rounds", "3",
                "--disturb", "leader,follower,two", "--rate", "50", "--only-promises",
            ],
            env={**os.environ, "COORD_BIN": str(coord())},
            stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, timeout=300,
        )  # fmt: skip
        print(f"\n{done.stdout}", flush=True)
        self.assertEqual(0, done.returncode)


if __name__ == "__main__":
    unittest.main()
