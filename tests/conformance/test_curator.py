"""Apache Curator's recipes, unchanged, against three members of ours."""

import unittest

from member import Cluster
from programs import WritingProgram, carries_on_without_the_leader, java_program, run


class Curator(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = java_program()
        cls.cluster = Cluster(3)
        cls.cluster.__enter__()
        cls.addClassCleanup(cls.cluster.__exit__)

    def recipe(self, name):
        run(self.program, name, self.cluster.hosts)

    def test_leader_latch_and_selector(self):
        self.recipe("leaders")

    def test_mutex_and_read_write_lock(self):
        self.recipe("locks")

    def test_semaphore(self):
        self.recipe("semaphores")

    def test_caches(self):
        self.recipe("caches")

    def test_persistent_and_ttl_nodes_group_members_and_watchers(self):
        self.recipe("nodes")

    def test_barrier_and_double_barrier(self):
        self.recipe("barriers")

    def test_shared_and_atomic_counters(self):
        self.recipe("counters")

    def test_queue(self):
        self.recipe("queues")

    def test_containers_protection_transactions_and_namespaces(self):
        self.recipe("framework")

    def test_it_carries_on_when_the_leader_is_killed(self):
        carries_on_without_the_leader(
            lambda hosts, folder: WritingProgram(self.program, hosts, folder)
        )


if __name__ == "__main__":
    unittest.main()
