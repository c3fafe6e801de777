"""ZooKeeper's own C library, unchanged, against members of ours."""

import unittest

from member import Cluster
from peers import GenuineZookeeper
from programs import WritingProgram, c_program, carries_on_without_the_leader, run


class CClient(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = c_program()
        cls.cluster = Cluster(3)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)

    def test_a_genuine_server_does_what_the_program_expects(self):
        with GenuineZookeeper() as genuine:
            for what in ("tree", "watches", "multi", "sessions"):
                run(self.program, what, genuine.hosts)

    def test_znodes_of_every_mode_and_access_lists(self):
        run(self.program, "tree", self.cluster.hosts)

    def test_watches_fire_once_and_can_be_removed(self):
        run(self.program, "watches", self.cluster.hosts)

    def test_a_multi_happens_whole_or_not_at_all(self):
        run(self.program, "multi", self.cluster.hosts)

    def test_a_session_is_taken_along_and_ends_when_closed(self):
        run(self.program, "sessions", self.cluster.hosts)

    def test_it_carries_on_when_the_leader_is_killed(self):
        carries_on_without_the_leader(
            lambda hosts, folder: WritingProgram(self.program, hosts, folder)
        )


if __name__ == "__main__":
    unittest.main()
