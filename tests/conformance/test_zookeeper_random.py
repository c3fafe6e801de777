"""The same random requests to a genuine ZooKeeper and to a member of ours.

Several sessions stay open at both. One at a time sends a few requests without
waiting, to both; then every other session is asked, too, what it was told
meanwhile. So the order of everything is given, and all that comes back can be
compared: request numbers, errors, bodies, stats, and where among the replies
of a connection each watch event stands. Zxids are compared by their order,
session ids by their handshakes; times are not compared. Lists without an order
in ZooKeeper (children, ephemerals, identities) are compared sorted.

Where ours does as ZooKeeper 3.9 does and the genuine one is a 3.8, that is in
ON_PURPOSE or, where it cannot be asked for, in NOT_ASKED.

    python3 test_zookeeper_random.py --operations 200000 --seed 7
"""

import argparse
import bisect
import collections
import os
import random
import struct
import sys
import time
import unittest

import jute
import random_requests as ask
from member import Cluster
from peers import GenuineZookeeper

OPERATIONS = 20_000
SESSIONS = 5
BATCH_MAX = 24
NEVER_MS = 86_400_000
MARSHALLING, NO_AUTH, NO_WATCHER = -5, -102, -121
EVENT = -1

ON_PURPOSE = {
    "event zxid": "3.9 tells with an event the zxid of what happened; 3.8 tells -1",
    "exists needs READ": "since 3.9.2 exists is refused to who may not read; 3.8.0 answers it",
    "create2 in a multi": "3.9 answers it with its stat; 3.8.0 without (ZOOKEEPER-4026)",
    "whose watch": "3.9 finds only the connection's own watches; 3.8 anybody's on the path",
    "watches on a relative path": "ours finds none; ZooKeeper fails on it, but only while "
    "anybody has a recursive watch",
}
NOT_ASKED = {
    "lone check": "3.9.3 refuses it and closes; 3.8 never answers",
    "several watch modes on a path": "3.9 keeps them side by side; in 3.8 the last one replaces",
    "watcher types 4 and 5": "3.9 has them; 3.8 answers -5",
    "removing Data or Children from a persistent watch": "3.8 removes it; 3.9 does not",
    "writes sent right behind a setACL": "ZooKeeper may check them against the list before it",
    "bad flags inside a multi": "3.9 refuses the whole with -5; 3.8 only that operation, with -8",
    "reading the empty path": "ZooKeeper takes it for the root; ours refuses it",
    "createSession, deleteContainer": "ours refuses what only a server should send",
    "the end of containers and of times to live": "both sweep at times of their own",
}


class Different(AssertionError):
    """The two servers do not say the same."""


class Side(jute.Connection):
    """One session at one of the servers."""

    def __init__(self, address, session=0, password=b"\0" * 16):
        super().__init__(address, 30_000, session, password, connect=False)
        self.socket.settimeout(30)
        self.reader = self.socket.makefile("rb", 1 << 16)
        self.shake_hands(30_000, session, password)

    def exactly(self, count):
        try:
            out = self.reader.read(count)
        except ConnectionError:
            out = b""
        if len(out) < count:
            raise jute.Closed(f"after {len(out)} of {count} bytes")
        return out

    def until(self, xid):
        """Frames up to the reply to `xid`, or to the end of the connection."""
        frames = []
        while True:
            try:
                frame = self.reply()
            except jute.Closed:
                return frames + [None]
            frames.append(frame)
            if frame[0] == xid:
                return frames

    def close(self):
        self.reader.close()
        super().close()


class Orders:
    """Zxids and sessions of the two servers, paired as they turn up."""

    def __init__(self):
        self.genuine, self.ours = [0], [0]
        self.sessions = {0: 0}

    def pair(self, genuine, ours):
        """Both name the same change."""
        at = bisect.bisect_left(self.genuine, genuine)
        if at < len(self.genuine) and self.genuine[at] == genuine:
            return self.ours[at] == ours
        if bisect.bisect_left(self.ours, ours) != at or ours in self.ours[at : at + 1]:
            return False
        self.genuine.insert(at, genuine)
        self.ours.insert(at, ours)
        return True

    def same_place(self, genuine, ours):
        """Both stand behind the same changes."""
        return bisect.bisect_right(self.genuine, genuine) == bisect.bisect_right(self.ours, ours)

    def known(self, ours):
        at = bisect.bisect_left(self.ours, ours)
        return at < len(self.ours) and self.ours[at] == ours


class Body:
    """Reads a reply body into what can be compared."""

    def __init__(self, raw, create2=()):
        self.raw, self.at = raw, 0
        self.zxids, self.owner = [], []
        # Which operations of a multi were create2, and which of them came with a stat.
        self.create2, self.with_stat = create2, []

    def take(self, form):
        values = struct.unpack_from(form, self.raw, self.at)
        self.at += struct.calcsize(form)
        return values if len(values) > 1 else values[0]

    def text(self):
        length = self.take(">i")
        if length < 0:
            return None
        self.at += length
        return self.raw[self.at - length : self.at]

    def texts(self):
        return sorted(self.text() for _ in range(self.take(">i")))

    def stat(self):
        czxid, mzxid, _, _, *numbers, owner, length, children, pzxid = self.take(">qqqqiiiqiiq")
        self.zxids += [czxid, mzxid, pzxid]
        self.owner.append(owner)
        return (*numbers, length, children)

    def read(self, op):
        """The whole body, without zxids, owners and times."""
        out = self.record(op)
        if self.at != len(self.raw):
            raise Different(f"{len(self.raw) - self.at} bytes too many")
        return out

    def record(self, op):
        if op == ask.CREATE:
            return self.text()
        if op in (ask.CREATE2, ask.CREATE_CONTAINER, ask.CREATE_TTL):
            return self.text(), self.stat()
        if op in (ask.EXISTS, ask.SET_DATA, ask.SET_ACL):
            return self.stat()
        if op == ask.GET_DATA:
            return self.text(), self.stat()
        if op in (ask.GET_CHILDREN, ask.GET_EPHEMERALS):
            return self.texts()
        if op == ask.GET_CHILDREN2:
            return self.texts(), self.stat()
        if op == ask.GET_ACL:
            aces = [(self.take(">i"), self.text(), self.text()) for _ in range(self.take(">i"))]
            return sorted(aces), self.stat()
        if op == ask.SYNC:
            return self.text()
        if op in (ask.GET_ALL_CHILDREN_NUMBER, ask.ADD_WATCH):
            return self.take(">i")
        if op == ask.WHO_AM_I:
            return sorted((self.text(), self.text()) for _ in range(self.take(">i")))
        if op in (ask.MULTI, ask.MULTI_READ):
            return self.results()
        return None

    def results(self):
        out = []
        while True:
            op, done, error = self.take(">i?i")
            if done:
                return out, op, error
            known = len(self.zxids), len(self.owner)
            record = self.take(">i") if op == -1 else self.record(op)
            if op == ask.CREATE2 and len(out) in self.create2:
                # Compared without it: a 3.8 does not tell it.
                self.with_stat.append(len(out))
                del self.zxids[known[0] :], self.owner[known[1] :]
                op, record = ask.CREATE, record[0]
            out.append((op, error, record))


class Comparison:
    """Both servers, the sessions at both, and what was the same so far."""

    def __init__(self, genuine, ours, seed):
        self.addresses = (genuine, ours)
        self.random = random.Random(seed)
        self.requests = ask.Requests(self.random)
        self.orders = Orders()
        self.counts = collections.Counter()
        self.on_purpose = collections.Counter()
        self.told = []
        self.slots = [self.open() for _ in range(SESSIONS)]
        self.only(0, ask.CREATE, jute.text(ask.TOP) + jute.text(b"") + jute.OPEN_ACL + ask.integer(0))

    def run(self, operations):
        while self.counts["operations"] < operations:
            slot = self.random.randrange(SESSIONS)
            chance = self.random.random()
            if chance < 0.02:
                self.close_session(slot)
            elif chance < 0.05:
                self.reconnect(slot)
            elif chance < 0.08:
                self.authenticate(slot)
            else:
                self.batch(slot)

    def open(self, sessions=((0, b"\0" * 16),) * 2):
        pair = [Side(at, *session) for at, session in zip(self.addresses, sessions)]
        genuine, ours = pair
        if genuine.timeout_ms != ours.timeout_ms or (genuine.session == 0) != (ours.session == 0):
            raise Different(f"handshakes: {vars(genuine)} and {vars(ours)}")
        self.orders.sessions[genuine.session] = ours.session
        self.counts["handshakes"] += 1
        return pair

    def batch(self, slot):
        batch = []
        for _ in range(self.random.randint(1, BATCH_MAX)):
            batch.append(self.requests.request(slot))
            # A watch that only one of them left must be taken back before it fires;
            # an access list holds in 3.8 only once it was answered.
            op, body, _ = batch[-1]
            if op == ask.SET_ACL or op == ask.EXISTS and body.endswith(b"\1"):
                break
        self.exchange(slot, batch)
        self.ask_others(slot)

    def only(self, slot, op, body, description="", xid=None):
        self.exchange(slot, [(op, body, description)], xid)
        self.ask_others(slot)

    def exchange(self, slot, batch, xid=None, sort=False):
        """Sends a batch to both and compares all that comes back for it."""
        pair = self.slots[slot]
        asked = {}
        for op, body, description in batch:
            mark = self.random.randrange(max(0, len(self.orders.ours) - 20), len(self.orders.ours))
            pair[0].xid += 1
            number = pair[0].xid if xid is None else xid
            pair[0].send(op, body.replace(ask.WATERMARK, struct.pack(">q", self.orders.genuine[mark])), number)
            pair[1].send(op, body.replace(ask.WATERMARK, struct.pack(">q", self.orders.ours[mark])), number)
            asked[number] = (op, body, description)
            self.counts["operations"] += 1
        answers = [side.until(number) for side in pair]
        if sort:
            answers = [sorted(frames, key=in_order) for frames in answers]
        self.compare(slot, asked, *answers)

    def ask_others(self, slot, sort=False):
        """What the other sessions were told; a ping is answered behind it."""
        others = [other for other in range(SESSIONS) if other != slot]
        for other in others:
            for side in self.slots[other]:
                side.send(ask.PING, xid=-2)
        for other in others:
            answers = [side.until(-2) for side in self.slots[other]]
            if sort:
                answers = [sorted(frames, key=in_order) for frames in answers]
            self.compare(other, {-2: (ask.PING, b"", "ping")}, *answers)
        for zxid, context in self.told:
            if not self.orders.known(zxid):
                raise Different(f"an event with zxid {zxid} of no change: {context}")
        self.told.clear()

    def compare(self, slot, asked, genuine, ours):
        try:
            for theirs, our in zip(genuine, ours):
                self.compare_frame(slot, asked, theirs, our)
            if len(genuine) != len(ours):
                raise Different(f"{len(genuine)} frames and {len(ours)}")
        except (Different, struct.error) as error:
            story = "\n".join(f"  {xid}: {about[2]}" for xid, about in asked.items())
            frames = "\n".join(
                f"  genuine {theirs}\n  ours    {our}"
                for theirs, our in zip(genuine + [None] * 50, ours + [None] * 50)
                if theirs or our
            )
            raise Different(f"session {slot}: {error}\nasked:\n{story}\nanswers:\n{frames}") from None

    def compare_frame(self, slot, asked, genuine, ours):
        if genuine is None or ours is None:
            if genuine is not ours:
                raise Different(f"closed by one only: {genuine} and {ours}")
            return
        if genuine[0] != ours[0]:
            raise Different(f"xid {genuine[0]} and {ours[0]}")
        if genuine[0] == EVENT:
            return self.compare_event(genuine, ours)
        op, body, about = asked[genuine[0]]
        self.counts["replies"] += 1
        if op == ask.EXISTS and genuine[2] == 0 and ours[2] == NO_AUTH:
            self.on_purpose["exists needs READ"] += 1
            if body.endswith(b"\1"):
                # Nobody compares these two answers: only one had such a watch.
                for side in self.slots[slot]:
                    side.send(ask.REMOVE_WATCHES, body[:-1] + ask.integer(3), -77)
                    side.until(-77)
            return
        if op == ask.CHECK_WATCHES and (genuine[2], ours[2]) == (0, NO_WATCHER):
            self.on_purpose["whose watch"] += 1
            return
        relative = body[4:5] != b"/"
        if op in (ask.CHECK_WATCHES, ask.REMOVE_WATCHES) and relative and (
            (genuine[2], ours[2]) == (MARSHALLING, NO_WATCHER)
        ):
            self.on_purpose["watches on a relative path"] += 1
            return
        if genuine[2] != ours[2]:
            raise Different(f"error {genuine[2]} and {ours[2]} for {about}")
        self.counts["errors"] += genuine[2] != 0
        create2 = ask.create2_in(about) if op == ask.MULTI else ()
        read = [Body(frame[3], create2) for frame in (genuine, ours)]
        if genuine[2] == 0:
            bodies = [body.read(op) for body in read]
            if create2 and changed(op, read[1]):
                if read[1].with_stat != create2:
                    raise Different(f"create2 without its stat for {about}")
                self.on_purpose["create2 in a multi"] += read[0].with_stat != create2
            if bodies[0] != bodies[1]:
                raise Different(f"{bodies[0]} and {bodies[1]} for {about}")
            self.learn(op, bodies[1])
        elif genuine[3] or ours[3]:
            # 3.8 appends an empty end to a multiRead it could not read.
            raise Different(f"a body behind an error for {about}")
        pairs = list(zip(read[0].zxids, read[1].zxids))
        if op in WRITES and genuine[2] == 0 and changed(op, read[0]):
            pairs.append((genuine[1], ours[1]))
        for theirs, our in sorted(pairs):
            if not self.orders.pair(theirs, our):
                raise Different(f"zxid {theirs} and {our} for {about}")
        owners = [self.orders.sessions.get(owner) for owner in read[0].owner]
        if owners != read[1].owner:
            raise Different(f"owners {read[0].owner} and {read[1].owner} for {about}")
        if min(genuine[1], ours[1]) <= 0:
            if genuine[1] != ours[1]:
                raise Different(f"header zxid {genuine[1]} and {ours[1]} for {about}")
        elif not self.orders.same_place(genuine[1], ours[1]):
            raise Different(f"header zxid {genuine[1]} and {ours[1]} out of place for {about}")

    def compare_event(self, genuine, ours):
        self.counts["events"] += 1
        if genuine[2:] != ours[2:]:
            raise Different(f"events {genuine} and {ours}")
        if (genuine[1], ours[1]) == (-1, -1):
            self.counts["catch-up events"] += 1
            return
        self.on_purpose["event zxid"] += 1
        self.told.append((ours[1], ours))

    def learn(self, op, body):
        paths = []
        if op in (ask.CREATE, ask.CREATE2, ask.CREATE_TTL):
            paths = [body if op == ask.CREATE else body[0]]
        elif op == ask.MULTI:
            paths = [r[2] if r[0] == ask.CREATE else r[2][0] for r in body[0] if r[0] in (1, 15)]
        for path in paths:
            if path[-10:].isdigit():
                self.requests.created(path.decode())

    def close_session(self, slot):
        # Its ephemerals go in no particular order.
        self.exchange(slot, [(ask.CLOSE, b"", "close")], sort=True)
        self.both_close(slot)
        self.slots[slot] = self.open()
        self.ask_others(slot, sort=True)
        self.counts["sessions closed"] += 1

    def reconnect(self, slot, first=None):
        """The connection goes, the session stays; the client asks what it missed."""
        pair = self.slots[slot]
        for side in pair:
            side.close()
        self.slots[slot] = self.open([(side.session, side.password) for side in pair])
        if self.random.random() < 0.7:
            self.only(slot, *self.requests.set_watches(slot), xid=-8)
        self.counts["sessions attached again"] += 1

    def authenticate(self, slot):
        if self.random.random() < 0.1:
            self.only_auth(slot, "nope", b"x")
            self.both_close(slot)
            return self.reconnect(slot)
        who = self.random.choice([b"alice:secret", b"bob:pw", b"carol:x:y", b"nocolon"])
        return self.only_auth(slot, "digest", who)

    def only_auth(self, slot, scheme, proof):
        body = ask.integer(0) + jute.text(scheme) + jute.text(proof)
        self.only(slot, ask.AUTH, body, f"auth {scheme} {proof}", xid=-4)

    def both_close(self, slot):
        for side in self.slots[slot]:
            if side.until(None) != [None]:
                raise Different(f"session {slot}: something came before the end")
            side.close()


WRITES = (
    ask.CREATE, ask.CREATE2, ask.CREATE_CONTAINER, ask.CREATE_TTL, ask.DELETE, ask.SET_DATA,
    ask.SET_ACL, ask.MULTI, ask.CLOSE,
)


def changed(op, body):
    """Whether it was applied: a multi that failed answers without an error, too."""
    return op != ask.MULTI or body.raw[:4] != ask.integer(-1)


def in_order(frame):
    """Events first, by what they say."""
    if frame is None:
        return 2, b""
    return (0, frame[3]) if frame[0] == EVENT else (1, b"")


def compare_servers(operations, seed):
    """Runs the comparison and prints what it counted; raises Different."""
    # Neither server may remove containers on its own while they are compared.
    os.environ["JAVA_TOOL_OPTIONS"] = f"-Dznode.container.checkIntervalMs={NEVER_MS}"
    settings = [f"session.sweep_interval_ms={NEVER_MS}"]
    print(f"seed {seed}, {operations} operations", flush=True)
    with GenuineZookeeper() as genuine, Cluster(settings=settings) as cluster:
        started = time.monotonic()
        comparison = Comparison(("127.0.0.1", genuine.port), cluster.members[0].zk_address, seed)
        try:
            comparison.run(operations)
        finally:
            seconds = time.monotonic() - started
            for side in sum(comparison.slots, []):
                side.close()
            counts = ", ".join(f"{count} {what}" for what, count in comparison.counts.items())
            print(f"{seconds:.1f} s: {counts}")
            for what, why in ON_PURPOSE.items():
                print(f"on purpose {comparison.on_purpose[what]:8}  {what}: {why}")
            for what, why in NOT_ASKED.items():
                print(f"not asked            {what}: {why}")
        print("different otherwise: 0", flush=True)
        return comparison


class RandomRequests(unittest.TestCase):
    def test_random_requests_are_answered_as_by_a_genuine_zookeeper(self):
        seed = int(os.environ.get("SEED", random.randrange(1 << 32)))
        comparison = compare_servers(OPERATIONS, seed)
        for seen in ("events", "errors", "catch-up events", "sessions closed"):
            self.assertGreater(comparison.counts[seen], 0, seen)


if __name__ == "__main__":
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--operations", type=int, default=OPERATIONS)
    arguments.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    chosen = arguments.parse_args()
    try:
        compare_servers(chosen.operations, chosen.seed)
    except Different as difference:
        sys.exit(f"DIFFERENT: {difference}")
