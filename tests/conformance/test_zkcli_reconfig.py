"""ZooKeeper's own command line changes who takes part in a cluster of ours."""

import pathlib
import unittest

from member import Cluster, Member, eventually, free_ports
from zkcli import CommandLine

# The digest is of super:pw.
SETTINGS = ("zk.reconfig=true", "auth.super_digest=super:0bX78nEegDzJM3ju0iLBEJdWzjg=")


class Reconfig(unittest.TestCase):
    def test_the_command_line_adds_and_removes_a_fourth_member(self):
        with Cluster(3, SETTINGS) as cluster, CommandLine(cluster.hosts) as say:
            first = cluster.members[0]
            peer, zk = (f"127.0.0.1:{port}" for port in free_ports(2))
            folder = pathlib.Path(cluster.folder.name) / "4"
            fourth = Member(folder, 4, f"{first.members},4={peer}", peer, SETTINGS)
            fourth.zk_wanted = zk
            self.addCleanup(fourth.kill)
            line = f"4={peer}:{peer.split(':')[1]}:participant;{zk}"
            self.assertIn("Insufficient permission : ", say(f"reconfig -add server.{line}"))
            say("addauth digest super:pw")
            say("create /before 1")
            fourth.start()
            eventually("it waits", lambda: "already belongs to a cluster" in fourth.said())
            told = say(f"reconfig -add server.{line}")
            self.assertIn("Committed new configuration:", told)
            self.assertIn(f"server.{line}", told)
            fourth.wait_ready()
            with CommandLine(fourth.zk) as say_there:
                self.assertEqual(["1"], say_there("get /before"))
                self.assertIn(f"server.{line}", say_there("config"))
            told = say("reconfig -remove 4")
            self.assertNotIn(f"server.{line}", told)
            self.assertIn("version No is not valid : ", say(f"reconfig -v 1 -add server.{line}"))


if __name__ == "__main__":
    unittest.main()
