"""ClickHouse, unchanged, with a member of ours where its Keeper would be.

`chdb` is ClickHouse inside a Python process, with ClickHouse's own client of
Keeper. It makes and drops replicated tables, which live in Keeper; it does not
activate them, which takes a server, so nothing is inserted here. A relay in
between notes which operations ClickHouse chose to use, having read what a
Keeper says that it can do.
"""

import pathlib
import socket
import struct
import tempfile
import threading
import unittest

import chdb

from member import Cluster

CONFIG = """<clickhouse>
  <zookeeper>
    <node><host>{host}</host><port>{port}</port></node>
    <session_timeout_ms>10000</session_timeout_ms>
  </zookeeper>
</clickhouse>
"""

MULTI, MULTI_READ = 14, 22
CREATE_IF_NOT_EXISTS, REMOVE_RECURSIVE = 502, 503


class Relay:
    """Passes one client's bytes on and notes the operations it asks for."""

    def __init__(self, host, port):
        self.target = (host, port)
        self.ops = set()
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.port = self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            near, _ = self.listener.accept()
            far = socket.create_connection(self.target)
            threading.Thread(target=self._pass, args=(near, far, self._note()), daemon=True).start()
            threading.Thread(target=self._pass, args=(far, near, None), daemon=True).start()

    @staticmethod
    def _pass(source, sink, note):
        if note:
            next(note)
        try:
            while data := source.recv(65536):
                sink.sendall(data)
                if note:
                    note.send(data)
            sink.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass

    def _note(self):
        """Takes what a client sends; the first frame is its greeting."""
        received, greeted = b"", False
        while True:
            received += yield
            while len(received) >= 4:
                (length,) = struct.unpack(">i", received[:4])
                if len(received) < 4 + length:
                    break
                frame, received = received[4 : 4 + length], received[4 + length :]
                if greeted:
                    (op,) = struct.unpack(">i", frame[4:8])
                    self.ops.add(op)
                    if op in (MULTI, MULTI_READ):
                        # The first operation stands behind the header.
                        self.ops.update(struct.unpack(">i", frame[8:12]))
                greeted = True


class ClickHouse(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster().__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)
        cls.relay = Relay(*cls.cluster.members[0].zk_address)
        holder = tempfile.TemporaryDirectory(prefix="clickhouse-")
        cls.addClassCleanup(holder.cleanup)
        folder = pathlib.Path(holder.name)
        config = folder / "config.xml"
        config.write_text(CONFIG.format(host="127.0.0.1", port=cls.relay.port))
        cls.connection = chdb.connect(f"{folder / 'data'}?config-file={config}")
        cls.query("CREATE DATABASE d ENGINE = Atomic")

    @classmethod
    def query(cls, text):
        return str(cls.connection.query(text, "TSV")).strip()

    def make(self, name):
        self.query(
            f"CREATE TABLE d.{name} (k UInt32, v String)"
            f" ENGINE = ReplicatedMergeTree('/clickhouse/{name}', 'r1') ORDER BY k"
        )

    def test_a_replicated_table_is_made_dropped_and_made_again(self):
        # A place in Keeper that is not free would be refused.
        for _ in range(3):
            self.make("again")
            with self.assertRaises(Exception):
                self.make("again")
            self.query("DROP TABLE d.again SYNC")

    def test_it_uses_what_the_feature_flags_say(self):
        self.make("flags")
        self.query("DROP TABLE d.flags SYNC")
        self.assertLessEqual(
            {MULTI, CREATE_IF_NOT_EXISTS, REMOVE_RECURSIVE}, self.relay.ops
        )


if __name__ == "__main__":
    unittest.main()
