"""Attacks on the port for ZooKeeper clients. Each takes the trial, attacks, and
returns a description of the result, with a list of promises it broke, if any.
"""

import contextlib
import socket
import struct
import time

import jute
from ensemble import four_letters

AUTH, EXISTS_OP = 100, 3
LONG = 900_000


def auth_body(name):
    return struct.pack(">i", 0) + jute.text("digest") + jute.text(name)


def connections(address, count, seconds=6):
    """As many as can be made in that time, sockets only."""
    made, until = [], time.monotonic() + seconds
    for _ in range(count):
        if time.monotonic() > until:
            break
        try:
            made.append(socket.create_connection(address, 2))
        except OSError:
            break
    return made


def close_all(sockets):
    for one in sockets:
        with contextlib.suppress(OSError):
            one.close()


def push(sockets, data, seconds=15):
    """Sends `data` on each, as far as it is taken in that time; how many bytes were."""
    until, sent = time.monotonic() + seconds, [0] * len(sockets)
    for one in sockets:
        one.setblocking(False)
    open_ones = set(range(len(sockets)))
    while open_ones and time.monotonic() < until:
        moved = False
        for at in list(open_ones):
            try:
                count = sockets[at].send(data[sent[at] : sent[at] + (1 << 18)])
                sent[at] += count
                moved = True
                if sent[at] == len(data):
                    open_ones.discard(at)
            except BlockingIOError:
                pass
            except OSError:
                open_ones.discard(at)
        if not moved:
            time.sleep(0.01)
    return sum(sent)


def auth_long(trial):
    """80 identities with names of 900 KB on one connection, then one ordinary create"""
    connection = jute.Connection(trial.leader.zk_address, patience=20)
    accepted, until = 0, time.monotonic() + 20
    try:
        for number in range(80):
            if time.monotonic() > until:
                break
            error, _ = connection.call(AUTH, auth_body(b"x" * LONG + f"{number}:secret".encode()), xid=-4)
            if error:
                break
            accepted += 1
        error = connection.create("/attack-auth")
        outcome = f"{accepted} identities taken, create answered {error}"
    except OSError as error:
        outcome = f"{accepted} identities taken, then {type(error).__name__}"
    time.sleep(3)
    return outcome


def auth_many(trial):
    """10,000 small identities on one connection, and creates with them"""
    connection = jute.Connection(trial.leader.zk_address, patience=20)
    accepted, created, until = 0, 0, time.monotonic() + 15
    try:
        for start in range(0, 10_000, 100):
            if time.monotonic() > until:
                break
            for number in range(start, start + 100):
                connection.send(AUTH, auth_body(f"user{number}:secret".encode()), xid=-4)
            for _ in range(100):
                if connection.reply()[2]:
                    raise ConnectionError("an identity was refused")
                accepted += 1
        until = time.monotonic() + 5
        while time.monotonic() < until:
            created += connection.create(f"/attack-{created}") == 0
        outcome = f"{accepted} identities taken, {created / 5:.0f} creates/s"
    except OSError as error:
        outcome = f"{accepted} identities taken, then {type(error).__name__}"
    return outcome


def pipelined_reads(trial):
    """30 reads of 900 KB at once and a close behind, taken slowly"""
    connection = jute.Connection(trial.follower.zk_address, patience=10)
    connection.create("/attack-big", b"x" * LONG)
    for _ in range(30):
        connection.send(jute.GET_DATA, jute.text("/attack-big") + b"\0")
    connection.send(jute.CLOSE)
    time.sleep(1)
    came = 0
    try:
        for _ in range(31):
            connection.reply()
            came += 1
    except OSError as error:
        return f"{came} of 31 replies, then {type(error).__name__}", [
            f"after {came} of 31 replies to pipelined requests: {error!r}"
        ]
    return "all replies came, and that to the close", []


def frames(trial):
    """1,500 connections with a frame of 1 MB each that lacks its last byte"""
    made = connections(trial.follower.zk_address, 1500)
    for one in made:
        one.setblocking(False)
    taken = push(made, struct.pack(">i", 1_000_000) + b"x" * 999_999)
    time.sleep(2)
    close_all(made)
    return f"{len(made)} connections, {taken >> 20} MiB sent"


def handshaken_frames(trial):
    """The same behind a handshake, from one address"""
    made = []
    until = time.monotonic() + 12
    while len(made) < 1200 and time.monotonic() < until:
        try:
            made.append(jute.Connection(trial.follower.zk_address, 30000, patience=5))
        except OSError:
            break
    taken = push([one.socket for one in made], struct.pack(">i", 1_000_000) + b"x" * 999_999)
    time.sleep(2)
    close_all([one.socket for one in made])
    return f"{len(made)} sessions, {taken >> 20} MiB sent"


def unread_replies(trial):
    """25 connections that ask for 60 MB each and read none of it"""
    first = jute.Connection(trial.follower.zk_address, patience=10)
    first.create("/attack-unread", b"x" * LONG)
    made = []
    for _ in range(25):
        try:
            made.append(jute.Connection(trial.follower.zk_address, 30000, patience=5))
            for _ in range(65):
                made[-1].send(jute.GET_DATA, jute.text("/attack-unread") + b"\0")
        except OSError:
            pass
    time.sleep(5)
    close_all([one.socket for one in made])
    return f"{len(made)} connections"


def long_watches(trial):
    """Watches on 800 names of 900 KB"""
    connection = jute.Connection(trial.follower.zk_address, patience=10)
    left, until = 0, time.monotonic() + 20
    try:
        for number in range(800):
            if time.monotonic() > until:
                break
            name = f"/{number}".encode() + b"x" * LONG
            error, _ = connection.call(EXISTS_OP, jute.text(name) + b"\1")
            left += error in (0, -101)
    except OSError as error:
        return f"{left} watches taken, then {type(error).__name__}"
    return f"{left} watches taken"


def wchp(trial):
    """200,000 watches, and wchp asked ten times, and its HTTP twin"""
    connection = jute.Connection(trial.follower.zk_address, patience=20)
    left, asked = 0, []
    try:
        until = time.monotonic() + 15
        for start in range(0, 200_000, 500):
            if time.monotonic() > until:
                break
            for number in range(start, start + 500):
                path = f"/attack/with/a/name/of/ordinary/length/{number}"
                connection.send(EXISTS_OP, jute.text(path) + b"\1")
            for _ in range(500):
                connection.reply()
            left += 500
    except OSError as error:
        return f"{left} watches taken, then {type(error).__name__}"
    import http.client

    while len(asked) < 10 and sum(asked) < 5:
        begun = time.monotonic()
        four_letters(trial.follower.zk_address, "wchp", 20)
        asked.append(time.monotonic() - begun)
        page = http.client.HTTPConnection(*trial.follower.http_address, timeout=20)
        with contextlib.suppress(OSError, http.client.HTTPException):
            page.request("GET", "/commands/watches_by_path")
            page.getresponse().read()
        page.close()
    return f"{left} watches, wchp took up to {max(asked):.1f} s"


ATTACKS = {
    "auth-long": auth_long, "auth-many": auth_many, "pipelined-reads": pipelined_reads, "frames": frames,
    "session-frames": handshaken_frames, "unread-replies": unread_replies, "long-watches": long_watches, "wchp": wchp,
}  # fmt: skip
