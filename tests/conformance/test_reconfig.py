"""kazoo changes who takes part, while members run as processes."""

import base64
import hashlib
import http.client
import json
import pathlib
import unittest

from kazoo.client import KazooClient
from kazoo.exceptions import (
    BadArgumentsError,
    BadVersionError,
    ConnectionLoss,
    NewConfigNoQuorumError,
    NoAuthError,
)

from member import Cluster, Member, eventually, free_ports, mode

SUPER = "super:" + base64.b64encode(hashlib.sha1(b"super:pw").digest()).decode()
SETTINGS = ("zk.reconfig=true", f"auth.super_digest={SUPER}")


def asked(reconfig, *change):
    """Asks again where the connection was lost: a disk that stands still for a second
    costs the leader its office, and everybody their connection, as with ZooKeeper."""
    for _ in range(4):
        try:
            return reconfig(*change)
        except ConnectionLoss:
            pass
    return reconfig(*change)


class Reconfig(unittest.TestCase):
    def setUp(self):
        self.cluster = Cluster(3, SETTINGS)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)

    def client(self, hosts, superuser=True):
        auth = [("digest", "super:pw")] if superuser else None
        client = KazooClient(hosts=hosts, timeout=20.0, auth_data=auth)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        client.start(timeout=20)
        return client

    def fourth(self, role):
        """A member with an empty folder whose settings name the three and itself."""
        first = self.cluster.members[0]
        peer, zk = (f"127.0.0.1:{port}" for port in free_ports(2))
        member = Member(
            pathlib.Path(self.cluster.folder.name) / "4",
            4, f"{first.members},4={peer}", peer, SETTINGS,
        )
        member.zk_wanted = zk
        self.addCleanup(member.kill)
        return member, f"server.4={peer}:{peer.split(':')[1]}:{role};{zk}"

    def config_everywhere(self, members, holds):
        for member in members:
            client = self.client(member.zk)
            eventually(
                f"the config of member {member.number}",
                lambda client=client: holds(client.get("/zookeeper/config")[0].decode()),
            )

    def test_kazoo_adds_and_removes_a_fourth_member(self):
        follower = next(m for m in self.cluster.members if m is not self.cluster.leader())
        client = self.client(follower.zk)
        client.create("/before", b"1")
        fired = []
        client.get("/zookeeper/config", watch=lambda event: fired.append(event.type))
        fourth, line = self.fourth("participant")
        fourth.start()
        eventually("it waits", lambda: "already belongs to a cluster" in fourth.said())
        data, stat = client.reconfig(joining=line, leaving=None, new_members=None)
        self.assertIn(line, data.decode().splitlines())
        self.assertEqual(-1, stat.version)
        self.assertTrue(data.decode().endswith(f"\nversion={stat.mzxid:x}"))
        self.assertEqual(["CHANGED"], fired)
        fourth.wait_ready()
        members = [*self.cluster.members, fourth]
        self.config_everywhere(members, lambda text: line in text)
        at_fourth = self.client(fourth.zk)
        self.assertEqual(b"1", at_fourth.get("/before")[0])
        # Without the leader of the first three only four voters have a majority left.
        leader = self.cluster.leader()
        leader.kill()
        at_fourth.create("/after", b"2")
        leader.start().wait_ready()

        # A restart uses the log, whatever the settings of the first start say.
        fourth.kill()
        fourth.start().wait_ready()
        data, _ = client.reconfig(joining=None, leaving="4", new_members=None)
        self.assertNotIn("server.4=", data.decode())
        eventually("it knows", lambda: "was removed from the cluster" in fourth.said())
        eventually("it serves nobody", lambda: mode(fourth) is None)
        client.create("/without", b"3")

        # And by a change of everybody at once: an observer again, with its old folder.
        observer = line.replace("participant", "observer")
        everybody = [text for text in data.decode().splitlines() if text.startswith("server.")]
        everybody.append(observer)
        client.reconfig(None, None, ",".join(everybody))
        eventually("it follows", lambda: mode(fourth) == "observer")
        self.assertEqual(b"3", self.client(fourth.zk).get("/without")[0])

    def test_changes_are_refused_with_zookeepers_errors(self):
        client = self.client(self.cluster.members[0].zk)
        eventually("a config", lambda: b"server.3=" in client.get("/zookeeper/config")[0])
        nobody = "server.100=127.0.0.1:1:2:observer;127.0.0.1:3"
        anybody = self.client(self.cluster.members[1].zk, superuser=False)
        self.assertRaises(NoAuthError, asked, anybody.reconfig, nobody, None, None)
        data, _ = asked(client.reconfig, nobody, None, None)
        self.assertIn(nobody, data.decode())
        data, _ = asked(client.reconfig, None, "100", None)
        self.assertNotIn(nobody, data.decode())
        version = int(data.decode().split("version=")[1], 16)
        for wrong in (version - 1, version + 1):
            stale = (nobody, None, None, wrong)
            self.assertRaises(BadVersionError, asked, client.reconfig, *stale)
        client.reconfig(nobody, None, None, version)
        self.assertRaises(BadArgumentsError, asked, client.reconfig, "server.5=x", None, None)
        self.assertRaises(BadArgumentsError, asked, client.reconfig, None, "1,2", None)
        far = ",".join(f"server.{n}=127.0.0.1:{n}:{n};{n}" for n in (11, 12, 13))
        self.assertRaises(NewConfigNoQuorumError, asked, client.reconfig, None, None, far)

    def test_a_dead_member_is_removed_over_http_and_another_leaves(self):
        dead, leaving, left = self.cluster.members
        dead.kill()
        address = dead.peer
        # It may have been the leader: the next one has to be found first.
        removal = f"/v1/operator/raft/peer?address={address}"
        eventually("it is removed", lambda: self.http(left, "DELETE", removal)[0] == 200)
        eventually("it is gone", lambda: address not in self.raft_members(left))
        self.assertEqual((200, ""), self.http(leaving, "PUT", "/v1/agent/leave"))
        eventually("the process ends", lambda: leaving.process.poll() is not None)
        self.assertEqual(0, leaving.process.returncode)
        eventually("one is left", lambda: self.raft_members(left) == [left.peer])
        peers = json.loads(self.http(left, "GET", "/v1/status/peers")[1])
        self.assertEqual([left.peer], peers)
        eventually(
            "it serves alone", lambda: self.http(left, "PUT", "/v1/kv/alone", b"1")[0] == 200
        )

    def raft_members(self, member):
        _, body = self.http(member, "GET", "/v1/operator/raft/configuration")
        return [server["Address"] for server in json.loads(body)["Servers"]]

    def http(self, member, method, path, body=None):
        connection = http.client.HTTPConnection(*member.http_address, timeout=20)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()


if __name__ == "__main__":
    unittest.main()
