"""Clients of ZooKeeper in other languages, unchanged, against members of ours:
node-zookeeper-client, go-zookeeper and the zookeeper-client crate."""

import unittest

from member import Cluster
from peers import GenuineZookeeper
from programs import (
    WritingProgram,
    carries_on_without_the_leader,
    go_program,
    java_jars,
    node_program,
    run,
    rust_program,
)


class OneClient:
    """What is asked of each; a class below says whose program it is."""

    program = None

    @classmethod
    def setUpClass(cls):
        cls.command = cls.program()
        cls.cluster = Cluster(3)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)

    def does(self, what):
        run(self.command, what, self.cluster.hosts)

    def carries_on(self):
        carries_on_without_the_leader(
            lambda hosts, folder: WritingProgram(self.command, hosts, folder)
        )


class GenuineServer(unittest.TestCase):
    def test_a_genuine_server_does_what_the_programs_expect(self):
        with GenuineZookeeper(jars=java_jars()) as genuine:
            for what in ("tree", "watches", "transactions"):
                run(node_program(), what, genuine.hosts)
            for program in (go_program(), rust_program()):
                for what in ("tree", "watches", "multi", "locks"):
                    run(program, what, genuine.hosts)


class NodeClient(OneClient, unittest.TestCase):
    program = staticmethod(node_program)

    def test_node_znodes_and_access_lists(self):
        self.does("tree")

    def test_node_watches(self):
        self.does("watches")

    def test_node_transactions(self):
        self.does("transactions")

    def test_node_carries_on_when_the_leader_is_killed(self):
        self.carries_on()


class GoClient(OneClient, unittest.TestCase):
    program = staticmethod(go_program)

    def test_go_znodes_access_lists_and_four_letter_words(self):
        self.does("tree")

    def test_go_watches(self):
        self.does("watches")

    def test_go_multi(self):
        self.does("multi")

    def test_go_locks(self):
        self.does("locks")

    def test_go_carries_on_when_the_leader_is_killed(self):
        self.carries_on()


class RustClient(OneClient, unittest.TestCase):
    program = staticmethod(rust_program)

    def test_rust_znodes_and_access_lists(self):
        self.does("tree")

    def test_rust_reads_the_configuration(self):
        self.does("config")

    def test_rust_watches_of_every_kind(self):
        self.does("watches")

    def test_rust_multi_and_multi_read(self):
        self.does("multi")

    def test_rust_locks(self):
        self.does("locks")

    def test_rust_carries_on_when_the_leader_is_killed(self):
        self.carries_on()


if __name__ == "__main__":
    unittest.main()
