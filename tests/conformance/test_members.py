"""Members as processes that are killed: nothing acknowledged is lost."""

import functools
import http.client
import struct
import threading
import time
import unittest

import jute
from member import Cluster, eventually

SYNC = 9
# Longer than any election here, so that only a lost session would expire.
SESSION_MS = 30000


class Writer(threading.Thread):
    """Creates znodes one at a time for as long as it is let, and notes which
    were acknowledged and when. After a lost connection it takes its session to
    the next member, as every client does."""

    def __init__(self, members, folder, first):
        super().__init__(daemon=True)
        self.addresses = [member.zk_address for member in members]
        self.turn = first
        self.folder = folder
        self.acknowledged = []
        self.times = []
        self.done = threading.Event()
        self.failure = None
        self.session_lost = False
        self.connection = jute.Connection(self.addresses[first], SESSION_MS)
        self.session = self.connection.session
        self.password = self.connection.password

    def run(self):
        number = 0
        while not self.done.is_set():
            path = f"{self.folder}/{number:06}"
            try:
                error = self.connection.create(path, b"x" * 100)
            except OSError:
                # Nobody knows whether that one is there: it is not counted.
                self.reconnect()
                number += 1
                continue
            if error:
                self.failure = f"create {path}: {error}"
                return
            self.times.append(time.monotonic())
            self.acknowledged.append(path)
            number += 1

    def reconnect(self):
        self.connection.close()
        while not self.done.is_set():
            self.turn = (self.turn + 1) % len(self.addresses)
            try:
                self.connection = jute.Connection(
                    self.addresses[self.turn], SESSION_MS, self.session, self.password
                )
            except OSError:
                time.sleep(0.02)
                continue
            if self.connection.session == 0:
                self.session_lost = True
                self.failure = "the session was lost"
                self.done.set()
            return

    def finish(self):
        self.done.set()
        self.join(30)
        self.connection.close()
        return self

    def longest_gap(self):
        pairs = zip(self.times, self.times[1:])
        return max((later - earlier for earlier, later in pairs), default=0.0)

    def session_lives(self, address):
        with jute.connect(address, SESSION_MS, self.session, self.password) as connection:
            return connection.session == self.session


def showing_logs(test):
    """Prints what every member said when the test fails."""

    @functools.wraps(test)
    def run(self):
        try:
            test(self)
        except BaseException:
            print(self.cluster.logs(), flush=True)
            raise

    return run


class Kills(unittest.TestCase):
    def start(self, count):
        self.cluster = Cluster(count)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        return self.cluster

    def make_folder(self, cluster, path):
        with jute.connect(cluster.members[0].zk_address) as connection:
            self.assertEqual(0, connection.create(path))

    def check_writer(self, cluster, writer):
        self.assertIsNone(writer.failure, writer.failure)
        self.assertFalse(writer.session_lost)
        for member in cluster.members:
            if member.process.poll() is not None:
                continue
            self.assertTrue(writer.session_lives(member.zk_address))
            with jute.connect(member.zk_address) as connection:
                self.assertEqual(0, connection.call(SYNC, jute.text("/"))[0])
                missing = [p for p in writer.acknowledged if connection.get(p) != (0, b"x" * 100)]
            self.assertEqual([], missing, f"acknowledged but not on member {member.number}")

    @showing_logs
    def test_killing_the_leader_loses_no_acknowledged_write(self):
        cluster = self.start(3)
        self.make_folder(cluster, "/a")
        self.make_folder(cluster, "/b")
        leader = cluster.leader()
        others = [member for member in cluster.members if member is not leader]
        # One client of the leader and one of a follower, who need not notice.
        order = [leader, *others]
        of_leader = Writer(order, "/a", 0)
        of_follower = Writer(order, "/b", 1)
        writers = [of_leader, of_follower]
        for writer in writers:
            writer.start()
        eventually("both write", lambda: all(len(w.acknowledged) > 50 for w in writers))
        leader.kill()
        counts = [len(writer.acknowledged) for writer in writers]
        eventually(
            "writes go on without the old leader",
            lambda: all(len(w.acknowledged) > n + 50 for w, n in zip(writers, counts)),
        )
        for writer, who in ((of_leader, "leader"), (of_follower, "follower")):
            writer.finish()
            self.check_writer(cluster, writer)
            print(
                f"\n  leader killed: {len(writer.acknowledged)} writes acknowledged to a client of "
                f"the {who}, none lost, longest gap {writer.longest_gap() * 1000:.0f} ms",
                flush=True,
            )
        # The one that was killed comes back and has everything too.
        leader.start().wait_ready()
        for writer in writers:
            self.check_writer(cluster, writer)

    @showing_logs
    def test_a_majority_killed_one_after_the_other_loses_no_acknowledged_write(self):
        cluster = self.start(3)
        self.make_folder(cluster, "/a")
        writer = Writer(cluster.members, "/a", 0)
        writer.start()
        # Two rounds over all of them: in the end nobody is left that was there
        # when the first writes were acknowledged.
        for member in [*cluster.members, *cluster.members]:
            count = len(writer.acknowledged)
            eventually("it writes", lambda: len(writer.acknowledged) > count + 30)
            member.kill()
            count = len(writer.acknowledged)
            eventually("two go on", lambda: len(writer.acknowledged) > count + 30)
            member.start().wait_ready()
        writer.finish()
        self.check_writer(cluster, writer)
        print(
            f"\n  six kills: {len(writer.acknowledged)} writes acknowledged, none lost, longest "
            f"gap {writer.longest_gap() * 1000:.0f} ms",
            flush=True,
        )

    @showing_logs
    def test_killing_all_members_at_once_loses_no_acknowledged_write(self):
        cluster = self.start(3)
        self.make_folder(cluster, "/a")
        writer = Writer(cluster.members, "/a", 0)
        writer.start()
        keys = self.write_keys(cluster.members[1], writer)
        for member in cluster.members:
            member.kill()
        killed = time.monotonic()
        count = len(writer.acknowledged)
        cluster.start()
        ready = time.monotonic() - killed
        eventually("writes go on", lambda: len(writer.acknowledged) > count + 50)
        writer.finish()
        self.check_writer(cluster, writer)
        for member in cluster.members:
            self.assertEqual([], [key for key in keys if not has_key(member, key)])
        print(
            f"\n  all killed: {len(writer.acknowledged)} znodes and {len(keys)} keys acknowledged, "
            f"none lost, session kept, serving again after {ready * 1000:.0f} ms, longest gap "
            f"{writer.longest_gap() * 1000:.0f} ms",
            flush=True,
        )

    def write_keys(self, member, writer):
        """Keys over HTTP beside the writer, until both have some."""
        connection = http.client.HTTPConnection(*member.http_address, timeout=10)
        keys = []
        while len(keys) < 50 or len(writer.acknowledged) < 50:
            self.assertIsNone(writer.failure)
            key = f"k/{len(keys)}"
            connection.request("PUT", f"/v1/kv/{key}", key)
            answer = connection.getresponse()
            self.assertEqual((200, b"true"), (answer.status, answer.read()))
            keys.append(key)
        connection.close()
        return keys

    @showing_logs
    def test_a_single_member_keeps_everything_over_a_kill(self):
        cluster = self.start(1)
        member = cluster.members[0]
        self.make_folder(cluster, "/a")
        owner = jute.Connection(member.zk_address, SESSION_MS)
        ephemeral = jute.text("/mine") + jute.text(b"") + jute.OPEN_ACL + struct.pack(">i", 1)
        self.assertEqual(0, owner.call(jute.CREATE, ephemeral)[0])
        writer = Writer([member], "/a", 0)
        writer.start()
        eventually("it writes", lambda: len(writer.acknowledged) > 100)
        member.kill()
        member.start().wait_ready()
        count = len(writer.acknowledged)
        eventually("writes go on", lambda: len(writer.acknowledged) > count + 50)
        writer.finish()
        self.check_writer(cluster, writer)
        # The ephemeral is there because its session is; it goes when that closes.
        owner.close()
        back = jute.connect(member.zk_address, SESSION_MS, owner.session, owner.password)
        self.assertEqual(owner.session, back.session)
        self.assertEqual((0, b""), back.get("/mine"))
        self.assertEqual(0, back.call(jute.CLOSE)[0])
        back.close()
        self.assertEqual(-101, error_of_get(member, "/mine"))


def error_of_get(member, path):
    """The error of reading `path` over a connection of its own."""
    with jute.connect(member.zk_address) as connection:
        return connection.get(path)[0]


def has_key(member, key):
    connection = http.client.HTTPConnection(*member.http_address, timeout=10)
    try:
        connection.request("GET", f"/v1/kv/{key}?raw")
        answer = connection.getresponse()
        return (answer.status, answer.read().decode()) == (200, key)
    finally:
        connection.close()


if __name__ == "__main__":
    unittest.main()
