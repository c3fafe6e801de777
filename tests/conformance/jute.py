"""A raw ZooKeeper connection: bytes out, frames in, nothing hidden.

For what a well-behaved client never sends, and for tests that must know
exactly which request was acknowledged.
"""

import socket
import struct
import time

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_CHILDREN, SYNC, PING, CLOSE = 1, 2, 3, 4, 5, 8, 9, 11, -11
EPHEMERAL = 1
OPEN_ACL = struct.pack(">ii", 1, 31) + struct.pack(">i", 5) + b"world" + struct.pack(
    ">i", 6
) + b"anyone"


def text(value):
    """A string or buffer as jute writes it."""
    raw = value.encode() if isinstance(value, str) else value
    return struct.pack(">i", len(raw)) + raw


def create_body(path, data=b"", flags=0):
    """What follows the head of a create."""
    return text(path) + text(data) + OPEN_ACL + struct.pack(">i", flags)


class Closed(ConnectionError):
    """The server closed the connection."""


class Connection:
    """One TCP connection, with a session unless told otherwise."""

    def __init__(self, address, timeout_ms=10000, session=0, password=b"\0" * 16, connect=True, patience=10):
        """`patience`: seconds to wait for the connection and for each answer."""
        self.socket = socket.create_connection(address, min(patience, 5))
        self.socket.settimeout(patience)
        # A request behind one that is not answered yet must not wait for an ACK.
        self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        self.xid = 0
        if connect:
            try:
                self.shake_hands(timeout_ms, session, password)
            except OSError:
                self.close()
                raise

    def shake_hands(self, timeout_ms, session, password):
        """Opens a session, or takes one over; session 0 afterwards means it is no more."""
        body = struct.pack(">iqiq", 0, 0, timeout_ms, session) + text(password) + b"\0"
        self.socket.sendall(struct.pack(">i", len(body)) + body)
        answer = self.frame()
        _, self.timeout_ms, self.session, length = struct.unpack(">iiqi", answer[:20])
        self.password = answer[20 : 20 + length]

    def exactly(self, count):
        """`count` bytes, or Closed."""
        out = b""
        while len(out) < count:
            try:
                chunk = self.socket.recv(count - len(out))
            except ConnectionError:
                chunk = b""
            if not chunk:
                raise Closed(f"after {len(out)} of {count} bytes")
            out += chunk
        return out

    def frame(self):
        """The next frame's payload."""
        return self.exactly(struct.unpack(">i", self.exactly(4))[0])

    def send(self, op, body=b"", xid=None):
        """Sends one request; returns its xid."""
        if xid is None:
            self.xid += 1
            xid = self.xid
        payload = struct.pack(">ii", xid, op) + body
        self.socket.sendall(struct.pack(">i", len(payload)) + payload)
        return xid

    def reply(self):
        """The next reply: xid, zxid, error, body."""
        frame = self.frame()
        return (*struct.unpack(">iqi", frame[:16]), frame[16:])

    def call(self, op, body=b"", xid=None):
        """One request and its answer: error and body. For connections without watches."""
        self.send(op, body, xid)
        _, _, error, answer = self.reply()
        return error, answer

    def create(self, path, data=b"", flags=0):
        return self.call(CREATE, create_body(path, data, flags))[0]

    def children(self, path):
        """Error and names."""
        error, body = self.call(GET_CHILDREN, text(path) + b"\0")
        if error:
            return error, []
        count, at, names = struct.unpack(">i", body[:4])[0], 4, []
        for _ in range(count):
            length = struct.unpack(">i", body[at : at + 4])[0]
            names.append(body[at + 4 : at + 4 + length].decode())
            at += 4 + length
        return 0, names

    def sync(self):
        return self.call(SYNC, text("/"))[0]

    def get(self, path):
        error, body = self.call(GET_DATA, text(path) + b"\0")
        if error:
            return error, None
        length = struct.unpack(">i", body[:4])[0]
        return 0, body[4 : 4 + max(length, 0)]

    def ping(self):
        return self.call(PING, xid=-2)[0]

    def close(self):
        self.socket.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def connect(address, *session, seconds=10.0):
    """A connection, tried again for a while: a member that has lost its leader
    closes without a word, so that clients try elsewhere and later."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            return Connection(address, *session)
        except OSError:
            if time.monotonic() > deadline:
                raise
            time.sleep(0.05)
