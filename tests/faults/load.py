"""Clients that write numbered values and record which were acknowledged.

A writer distinguishes three outcomes of a value: acknowledged (it must never be
lost), unknown (its connection broke before the answer: it may or may not be
there), and never sent. Every value has unique content, so none can be mistaken
for another.
"""

import base64
import http.client
import json
import random
import socket
import struct
import threading
import time

import jute

NO_NODE, NODE_EXISTS = -101, -110
# Names in one folder, so that reading back what is new stays cheap.
CHUNK = 500
TOP = "/faults"


class Tally:
    """What all writers of one run share."""

    def __init__(self, seed):
        self.seed = seed
        self.moments = []  # When something was acknowledged, over all writers.
        self.revisions = {}  # zxid of an acknowledged write: whose it was.
        self.broken = []  # Promises seen broken, as text.

    def acknowledged(self, writer, what, zxid=None):
        self.moments.append(time.monotonic())
        if zxid is not None:
            # A revision that is given twice belongs to two histories.
            other = self.revisions.setdefault(zxid, (writer, what))
            if other != (writer, what):
                self.broken.append(f"zxid {zxid:#x} was given to {other} and to {(writer, what)}")

    def longest_gap(self, since, until=None):
        """Seconds without an acknowledgement, and when that began."""
        until = until or time.monotonic()
        last, longest, began = since, 0.0, since
        for moment in [*[m for m in self.moments[-200000:] if since < m < until], until]:
            if moment - last > longest:
                longest, began = moment - last, last
            last = moment
        return longest, began


class Writer(threading.Thread):
    """Goes on to the next member when one does not answer, as a client does."""

    def __init__(self, name, addresses, first, tally, rate):
        super().__init__(daemon=True, name=name)
        self.addresses = addresses
        self.turn = first % len(addresses)
        self.tally = tally
        self.rate = rate
        self.random = random.Random(f"{tally.seed}/{name}")
        self.number = 0
        self.last = 0.0  # When this one was last acknowledged something.
        self.done = threading.Event()
        self.failure = None

    def run(self):
        try:
            while not self.done.is_set():
                try:
                    self.once()
                except (OSError, http.client.HTTPException):
                    self.broke()
                    self.turn = self.another()
                    time.sleep(0.02)
        except Exception as error:  # A thread has nobody to raise to.
            self.failure = f"{self.name}: {error!r}"
            raise

    def another(self):
        """By chance, as clients do. In turns all would meet on the one member that does
        not answer, and what they wait there would be taken for a gap of the cluster."""
        others = [place for place in range(len(self.addresses)) if place != self.turn]
        return self.random.choice(others) if others else self.turn

    def confirm(self, what, zxid=None):
        self.last = time.monotonic()
        self.tally.acknowledged(self.name, what, zxid)

    def pace(self):
        if self.rate:
            time.sleep(1 / self.rate)

    def next_name(self):
        self.number += 1
        return f"{self.number:07}-{self.random.getrandbits(32):08x}"

    def finish(self):
        self.done.set()
        self.join(20)


def content(writer, name):
    return f"{writer}/{name}/".encode().ljust(100, b".")


def chunk_of(name):
    return f"{int(name[:7]) // CHUNK:05}"


class ZookeeperWriter(Writer):
    """A ZooKeeper session that has up to `window` requests under way."""

    def __init__(self, name, addresses, first, tally, rate=0, window=8, timeout_ms=8000, patience=2.0):
        super().__init__(name, addresses, first, tally, rate)
        self.window = window
        self.timeout_ms = timeout_ms
        self.patience = patience
        self.connection = None
        self.session, self.password = 0, b"\0" * 16
        self.sessions_ended = 0
        self.under_way = []

    def connect(self):
        self.connection = jute.Connection(
            self.addresses[self.turn], self.timeout_ms, self.session, self.password, patience=self.patience
        )
        if self.connection.session == 0:
            # It went without a sign of life for as long as that.
            self.sessions_ended += 1
            self.session, self.password = 0, b"\0" * 16
            raise ConnectionError("the session is over")
        self.session, self.password = self.connection.session, self.connection.password

    def broke(self):
        self.under_way.clear()
        if self.connection:
            self.connection.close()
            self.connection = None

    def once(self):
        if self.connection is None:
            self.connect()
            self.prepare()
        while len(self.under_way) < self.window and not self.done.is_set():
            self.ask()
            self.pace()
        while self.under_way and (len(self.under_way) >= self.window or self.done.is_set()):
            self.take_answer()

    def take_answer(self):
        xid, zxid, error, body = self.connection.reply()
        expected, name = self.under_way.pop(0)
        if xid != expected:
            raise AssertionError(f"answer {xid} where {expected} was due")
        self.answered(name, zxid, error, body)

    def drained_call(self, op, body):
        while self.under_way:
            self.take_answer()
        return self.connection.call(op, body)

    def finish(self):
        super().finish()
        self.broke()


class Creator(ZookeeperWriter):
    """Creates one znode after the other, in folders of CHUNK."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.folder = f"{TOP}/{self.name}"
        self.acknowledged = []
        self.chunk = None

    def prepare(self):
        for path in (TOP, self.folder):
            self.make(path)
        self.chunk = None

    def make(self, path):
        error, _ = self.drained_call(jute.CREATE, jute.create_body(path))
        if error not in (0, NODE_EXISTS):
            # Tried again like every other write, such as one refused for want of room.
            raise ConnectionError(f"create {path}: {error}")

    def ask(self):
        name = self.next_name()
        chunk = f"{self.folder}/{chunk_of(name)}"
        if chunk != self.chunk:
            self.make(chunk)
            self.chunk = chunk
        xid = self.connection.send(jute.CREATE, jute.create_body(f"{chunk}/{name}", content(self.name, name)))
        self.under_way.append((xid, name))

    def answered(self, name, zxid, error, _):
        if error:
            raise ConnectionError(f"create answered {error}")
        self.acknowledged.append(name)
        self.confirm(name, zxid)

    def missing(self, reader, since, upto, contents):
        """Which of the acknowledged from position `since` to `upto` `reader` does
        not have; those must have been acknowledged before its sync."""
        wanted = {}
        for name in self.acknowledged[since:upto]:
            wanted.setdefault(chunk_of(name), []).append(name)
        lost = []
        for chunk, names in wanted.items():
            error, there = reader.children(f"{self.folder}/{chunk}")
            there = set(there) if error == 0 else set()
            lost += [name for name in names if name not in there]
            if contents:
                held = [name for name in names if name in there]
                paths = [f"{self.folder}/{chunk}/{name}" for name in held]
                for name, data in zip(held, reader.get_all(paths)):
                    if data != content(self.name, name):
                        lost.append(f"{name} (content {data!r})")
        return lost


class Setter(ZookeeperWriter):
    """Sets one znode to one number after the other."""

    def __init__(self, *arguments, **options):
        super().__init__(*arguments, **options)
        self.path = f"{TOP}/{self.name}"
        self.acknowledged = []
        self.zxid = 0

    def prepare(self):
        for path in (TOP, self.path):
            error, _ = self.connection.call(jute.CREATE, jute.create_body(path))
            if error not in (0, NODE_EXISTS):
                raise AssertionError(f"create {path}: {error}")

    def ask(self):
        name = self.next_name()
        body = jute.text(self.path) + jute.text(content(self.name, name)) + struct.pack(">i", -1)
        self.under_way.append((self.connection.send(jute.SET_DATA, body), name))

    def answered(self, name, zxid, error, _):
        if error:
            raise ConnectionError(f"set answered {error}")
        if zxid <= self.zxid:
            self.tally.broken.append(f"{self.name}: {name} got zxid {zxid:#x} after {self.zxid:#x}")
        self.zxid = zxid
        self.acknowledged.append(name)
        self.confirm(name, zxid)

    def missing(self, reader, since, upto, contents):
        """The last acknowledged, if an older value is there or none."""
        if not upto:
            return []
        wanted = self.acknowledged[upto - 1]
        (data,) = reader.get_all([self.path])
        there = int(data.split(b"/")[1][:7]) if data else -1
        return [wanted] if there < int(wanted[:7]) else []


class Bulk(ZookeeperWriter):
    """Sets one znode to much data, so that the log grows and the state does not."""

    BYTES = 50000

    def __init__(self, name, addresses, first, tally, rate=30):
        super().__init__(name, addresses, first, tally, rate, window=2)

    def prepare(self):
        for path in (TOP, f"{TOP}/{self.name}"):
            self.connection.create(path)

    def ask(self):
        body = jute.text(f"{TOP}/{self.name}") + jute.text(b"x" * self.BYTES) + struct.pack(">i", -1)
        self.under_way.append((self.connection.send(jute.SET_DATA, body), ""))

    def answered(self, name, zxid, error, _):
        if error:
            raise ConnectionError(f"set answered {error}")
        self.last = time.monotonic()


class KeyWriter(Writer):
    """Puts one key after the other over Consul's HTTP API."""

    def __init__(self, name, addresses, first, tally, rate=0, patience=2.0):
        super().__init__(name, addresses, first, tally, rate)
        self.patience = patience
        self.connection = None
        self.acknowledged = []

    def broke(self):
        if self.connection:
            self.connection.close()
            self.connection = None

    def once(self):
        if self.connection is None:
            self.connection = http.client.HTTPConnection(*self.addresses[self.turn], timeout=self.patience)
            self.connection.connect()
            self.connection.sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        name = self.next_name()
        self.connection.request("PUT", key_path(self.name, name), content(self.name, name))
        answer = self.connection.getresponse()
        body = answer.read()
        if answer.status == 500:
            raise ConnectionError("no leader, it says")
        if (answer.status, body.strip()) != (200, b"true"):
            raise ConnectionError(f"put answered {answer.status} {body[:80]!r}")
        self.acknowledged.append(name)
        self.confirm(name)
        self.pace()

    def missing(self, reader, since, upto, contents):
        wanted = {}
        for name in self.acknowledged[since:upto]:
            wanted.setdefault(chunk_of(name), []).append(name)
        lost = []
        for chunk, names in wanted.items():
            there = reader.keys(f"faults/{self.name}/{chunk}/")
            for name in names:
                data = there.get(f"faults/{self.name}/{chunk}/{name}")
                if data != content(self.name, name):
                    lost.append(name if data is None else f"{name} (content {data!r})")
        return lost


def key_path(writer, name):
    return f"/v1/kv/faults/{writer}/{chunk_of(name)}/{name}"


class Reader:
    """Reads from one member what it must have: behind a sync."""

    def __init__(self, member, patience=20.0):
        self.member = member
        self.patience = patience
        deadline = time.monotonic() + patience
        while True:
            try:
                self.connection = jute.Connection(member.zk_address, patience=patience)
                error = self.connection.sync()
                if error:
                    raise ConnectionError(f"sync answered {error}")
                return
            except OSError:
                # Between two leaders it closes: what counts is what it has afterwards.
                if time.monotonic() > deadline:
                    raise
                time.sleep(0.1)

    def children(self, path):
        return self.connection.children(path)

    def get_all(self, paths):
        """The data of each path, None where there is none."""
        for start in range(0, len(paths), 100):
            some = paths[start : start + 100]
            for path in some:
                self.connection.send(jute.GET_DATA, jute.text(path) + b"\0")
            for _ in some:
                _, _, error, body = self.connection.reply()
                length = struct.unpack(">i", body[:4])[0] if not error else 0
                yield None if error else body[4 : 4 + max(length, 0)]

    def keys(self, prefix):
        connection = http.client.HTTPConnection(*self.member.http_address, timeout=self.patience)
        try:
            connection.request("GET", f"/v1/kv/{prefix}?recurse&consistent")
            answer = connection.getresponse()
            body = answer.read()
        finally:
            connection.close()
        if answer.status == 404:
            return {}
        if answer.status != 200:
            raise ConnectionError(f"GET {prefix} on member {self.member.number}: {answer.status} {body[:80]!r}")
        return {entry["Key"]: base64.b64decode(entry["Value"] or "") for entry in json.loads(body)}

    def close(self):
        # So that no session of a reader is left to end by its timeout.
        try:
            self.connection.call(jute.CLOSE)
        except OSError:
            pass
        self.connection.close()
