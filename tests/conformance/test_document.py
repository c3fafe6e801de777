"""The document's programs, not a byte changed, on the default ports: with our
modules against a member of ours, and the ZooKeeper one against a genuine one."""

import os
import pathlib
import subprocess
import sys
import unittest

from member import Cluster, target
from peers import GenuineZookeeper

PROGRAMS = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"
ZOOKEEPER_PROGRAM = PROGRAMS / "document_zk.py"
CONSUL_PROGRAM = PROGRAMS / "document_consul.py"


# Run behind the program, in the same process: what it was left with.
AFTERWARDS = {
    ZOOKEEPER_PROGRAM: """
data, stat = zk.get('/test')
print(data, stat.version, stat.dataLength, stat.numChildren, stat.ephemeralOwner != 0)
""",
    CONSUL_PROGRAM: "print('test' in consul.agent.services())",
}


def run(program):
    """Runs it with our modules; what it said and was left with."""
    environment = dict(os.environ, PYTHONPATH=str(target() / "python"))
    done = subprocess.run(
        [sys.executable, "-c", program.read_text() + AFTERWARDS[program]],
        env=environment,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        timeout=60,
        text=True,
    )
    if done.returncode:
        raise AssertionError(f"{program.name} ended with {done.returncode}:\n{done.stderr}")
    return done.stdout


class Document(unittest.TestCase):
    def test_both_programs_run_against_a_member(self):
        cluster = Cluster()
        member = cluster.members[0]
        member.zk_wanted, member.http_wanted = "127.0.0.1:2181", "127.0.0.1:8500"
        with cluster:
            self.assertEqual("b'data' 0 4 0 True\n", run(ZOOKEEPER_PROGRAM))
            # Registered, and gone again.
            self.assertEqual("False\n", run(CONSUL_PROGRAM))

    def test_the_zookeeper_program_says_the_same_to_a_genuine_one(self):
        with GenuineZookeeper(2181):
            genuine = run(ZOOKEEPER_PROGRAM)
        cluster = Cluster()
        cluster.members[0].zk_wanted = "127.0.0.1:2181"
        with cluster:
            self.assertEqual(genuine, run(ZOOKEEPER_PROGRAM))


if __name__ == "__main__":
    unittest.main()
