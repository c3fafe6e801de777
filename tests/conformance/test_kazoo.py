"""kazoo, unchanged, against members of ours."""

import pathlib
import socket
import subprocess
import sys
import threading
import unittest

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadVersionError,
    NodeExistsError,
    NoNodeError,
    NotReadOnlyCallError,
)
from kazoo.handlers.threading import KazooTimeoutError
from kazoo.protocol.states import KazooState, KeeperState

from conversation import conversation
from member import Cluster, eventually
from peers import GenuineZookeeper

HERE = pathlib.Path(__file__).resolve().parent


class Kazoo(unittest.TestCase):
    def cluster(self, count=1, settings=()):
        cluster = Cluster(count, settings)
        cluster.__enter__()
        self.addCleanup(cluster.__exit__)
        return cluster

    def client(self, hosts, timeout=10.0, **options):
        client = KazooClient(hosts=hosts, timeout=timeout, **options)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        client.start(timeout=20)
        return client

    def test_it_connects_and_knows_the_server(self):
        client = self.client(self.cluster().hosts)
        self.assertEqual("imok", client.command(b"ruok"))
        self.assertGreaterEqual(client.server_version(), (3, 5))
        self.assertIn("zookeeper", client.get_children("/"))

    def test_the_same_conversation_as_with_a_genuine_zookeeper(self):
        with GenuineZookeeper() as genuine:
            client = self.client(genuine.hosts)
            wanted = conversation(client)
            client.stop()
        heard = conversation(self.client(self.cluster().hosts))
        self.maxDiff = None
        self.assertEqual(wanted, heard)
        self.assertGreater(len(heard), 40)

    def test_ephemeral_sequential_znodes_count_up_and_go_with_their_session(self):
        cluster = self.cluster()
        owner, other = self.client(cluster.hosts), self.client(cluster.hosts)
        other.ensure_path("/queue")
        made = [owner.create("/queue/n-", ephemeral=True, sequence=True) for _ in range(3)]
        self.assertEqual([f"/queue/n-{n:010}" for n in range(3)], made)
        _, stat = other.get(made[0])
        self.assertEqual(owner.client_id[0], stat.ephemeralOwner)
        owner.stop()
        self.assertEqual([], other.get_children("/queue"))

    def test_a_watch_fires_once_for_a_change_by_another_client(self):
        cluster = self.cluster()
        watching, writing = self.client(cluster.hosts), self.client(cluster.hosts)
        writing.create("/watched", b"1")
        fired = []
        rang = threading.Event()

        def watch(event):
            fired.append((event.type, event.path))
            rang.set()

        watching.get("/watched", watch=watch)
        writing.set("/watched", b"2")
        self.assertTrue(rang.wait(10))
        writing.set("/watched", b"3")
        watching.sync("/watched")
        self.assertEqual([("CHANGED", "/watched")], fired)
        seen = []
        watching.DataWatch("/watched", lambda data, stat: seen.append(data))
        writing.set("/watched", b"4")
        eventually("the data watch sees the change", lambda: b"4" in seen)

    def test_a_session_survives_a_restart_of_the_only_member(self):
        cluster = self.cluster()
        client = self.client(cluster.hosts, timeout=30.0)
        states = []
        client.add_listener(states.append)
        before = client.client_id
        client.create("/mine", b"kept", ephemeral=True)
        cluster.members[0].kill()
        eventually("the client notices", lambda: KazooState.SUSPENDED in states)
        cluster.members[0].start().wait_ready()
        eventually("it is back", lambda: client.connected)
        self.assertEqual(b"kept", client.retry(client.get, "/mine")[0])
        self.assertEqual(before, client.client_id)
        self.assertNotIn(KazooState.LOST, states)

    def test_a_session_survives_the_loss_of_the_member_it_was_on(self):
        cluster = self.cluster(3)
        client = self.client(cluster.hosts, timeout=30.0)
        states = []
        client.add_listener(states.append)
        before = client.client_id
        client.create("/mine", b"kept", ephemeral=True)
        connected_to = client._connection._socket.getpeername()
        lost = next(m for m in cluster.members if m.zk_address == connected_to)
        lost.kill()
        eventually("the client notices", lambda: KazooState.SUSPENDED in states)
        eventually("it is back", lambda: client.connected)
        self.assertEqual(b"kept", client.retry(client.get, "/mine")[0])
        self.assertEqual(before, client.client_id)
        self.assertNotIn(KazooState.LOST, states)

    def test_the_lock_recipe_keeps_two_processes_apart(self):
        cluster = self.cluster(3)
        client = self.client(cluster.hosts)
        client.create("/counter", b"0")
        rounds = 25
        counter = [sys.executable, str(HERE / "count_under_lock.py")]
        # Each on a member of its own; reading and writing apart would lose counts.
        processes = [
            subprocess.Popen([*counter, member.zk, str(rounds)], stdin=subprocess.DEVNULL)
            for member in cluster.members[:2]
        ]
        self.assertEqual([0, 0], [process.wait(120) for process in processes])
        client.sync("/counter")
        self.assertEqual(str(2 * rounds).encode(), client.get("/counter")[0])
        self.assertEqual([], client.get_children("/lock"))

    def test_a_read_only_client_reads_on_when_two_of_three_are_gone(self):
        cluster = self.cluster(3, ["zk.read_only_mode=true"])
        client = self.client(cluster.hosts, timeout=30.0, read_only=True)
        client.create("/n", b"kept")
        before = client.client_id
        last = cluster.members[0]
        for member in cluster.members[1:]:
            member.kill()
        eventually("it is read-only", lambda: client.client_state == KeeperState.CONNECTED_RO)
        self.assertEqual(b"kept", client.get("/n")[0])
        self.assertEqual(["n", "zookeeper"], sorted(client.get_children("/")))
        self.assertIsNone(client.exists("/x", watch=lambda event: None))
        for call in (client.create, client.delete, client.sync):
            with self.assertRaises(NotReadOnlyCallError):
                call("/n")
        with socket.create_connection(last.zk_address, 5) as connection:
            connection.sendall(b"isro")
            self.assertEqual(b"ro", connection.recv(16))
        # A second one that never saw a majority, and one that wants to write.
        reader = self.client(last.zk, read_only=True)
        self.assertEqual(KeeperState.CONNECTED_RO, reader.client_state)
        self.assertEqual(b"kept", reader.get("/n")[0])
        writer = KazooClient(hosts=last.zk, timeout=5.0)
        with self.assertRaises(KazooTimeoutError):
            writer.start(timeout=3)
        writer.stop()
        writer.close()
        cluster.members[1].start().wait_ready()
        eventually("it writes again", lambda: client.client_state == KeeperState.CONNECTED)
        client.retry(client.set, "/n", b"new")
        self.assertEqual(before, client.client_id)

    def test_errors_arrive_as_their_own_exceptions(self):
        client = self.client(self.cluster().hosts)
        client.create("/there")
        with self.assertRaises(NodeExistsError):
            client.create("/there")
        with self.assertRaises(NoNodeError):
            client.get("/not-there")
        with self.assertRaises(BadVersionError):
            client.set("/there", b"", version=7)


if __name__ == "__main__":
    unittest.main()
