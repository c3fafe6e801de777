"""Patroni's own classes for its two stores, unchanged: what keeps PostgreSQL's
leader. One cluster of ours is both the Consul and the ZooKeeper."""

import json
import logging
import threading
import time
import unittest

from patroni.dcs import get_dcs

from member import Cluster, eventually

# Patroni halves it for Consul, which takes no less than ten seconds.
TTL = 20


class Store:
    """One cluster of PostgreSQL servers, as Patroni sees it."""

    @classmethod
    def setUpClass(cls):
        logging.disable(logging.CRITICAL)
        cls.cluster = Cluster(3).__enter__()

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()
        logging.disable(logging.NOTSET)

    def store(self, name, member):
        """What the Patroni beside server `name` holds, connected to `member`."""
        config = {
            "scope": type(self).__name__.lower(), "namespace": "/service", "name": name, "ttl": TTL,
            "loop_wait": 2, "retry_timeout": 10, self.kind: self.address(member),
        }
        return get_dcs(config)

    def test_a_leader_is_elected_kept_switched_and_lost(self):
        leader = self.cluster.leader()
        followers = [member for member in self.cluster.members if member is not leader]
        one, two = self.store("one", followers[0]), self.store("two", followers[1])
        self.addCleanup(self.close, one, two)
        self.assertTrue(one.get_cluster().is_unlocked())
        self.assertTrue(one.initialize(create_new=True, sysid="7"))
        self.assertFalse(two.initialize(create_new=True, sysid="8"))
        for store, name in ((one, "one"), (two, "two")):
            said = {"conn_url": f"postgres://{name}/", "api_url": f"http://{name}/", "role": "replica",
                    "state": "running", "version": "4.1"}
            self.assertTrue(store.touch_member(said))
        self.assertTrue(one.attempt_to_acquire_leader())
        self.assertFalse(two.attempt_to_acquire_leader())
        seen = self.seen(two, lambda cluster: cluster.leader)
        self.assertEqual("one", seen.leader.name)
        self.assertEqual(("7", ["one", "two"]), (seen.initialize, sorted(m.name for m in seen.members)))
        # The leader renews and writes how far it is.
        for lsn in (100, 200):
            self.assertTrue(one.update_leader(one.get_cluster(), lsn, {"slot": lsn}))
        self.seen(two, lambda cluster: cluster.status.last_lsn == 200)
        # What operators and the servers agree on, compared and set.
        for _ in range(2):
            self.assertTrue(one.set_config_value(json.dumps({"ttl": TTL})))
        seen = self.seen(two, lambda cluster: cluster.config and cluster.config.version)
        self.assertEqual(TTL, seen.config.data["ttl"])
        self.assertTrue(two.set_config_value(json.dumps({"ttl": 30}), seen.config.version))
        self.assertFalse(one.set_config_value(json.dumps({"ttl": 40}), seen.config.version))
        version = one.write_sync_state("one", ["two"], 0, version=None)
        self.assertTrue(version)
        self.assertTrue(one.delete_sync_state())
        self.assertTrue(one.set_history_value(json.dumps([[1, 2, "why"]])))
        # A switchover is asked for, and the leader steps down.
        self.assertTrue(two.manual_failover("one", "two"))
        asked = self.seen(one, lambda cluster: cluster.failover).failover
        self.assertEqual(("one", "two"), (asked.leader, asked.candidate))
        self.assertTrue(one.manual_failover("", "", version=asked.version))
        woken = self.watching(two)
        self.assertTrue(one.delete_leader(one.get_cluster().leader))
        self.assertTrue(woken())
        self.seen(two, lambda cluster: cluster.is_unlocked())
        self.assertTrue(two.attempt_to_acquire_leader())
        self.seen(one, lambda cluster: cluster.leader and cluster.leader.name == "two")
        # The member of ours that leads dies: nobody loses the leadership.
        leader.kill()
        eventually("the leader is kept", lambda: two.update_leader(two.get_cluster(), 300), 40)
        self.assertFalse(one.attempt_to_acquire_leader())
        leader.start().wait_ready()
        # The leader falls silent: its key goes with its session.
        silent = time.monotonic()
        self.close(two)
        taken = eventually(
            "the other takes over", lambda: one.get_cluster().is_unlocked() and one.attempt_to_acquire_leader(),
            2.5 * TTL,
        )
        self.assertTrue(taken)
        print(f"\n  taken over {time.monotonic() - silent:.1f} s after the leader fell silent", flush=True)
        one.delete_cluster()
        self.seen(one, lambda cluster: not cluster.members)

    def seen(self, store, condition):
        """The cluster as that store sees it, once it is so."""
        def look():
            cluster = store.get_cluster()
            # In a list, for an empty cluster is as false as none.
            return [cluster] if condition(cluster) else []

        return eventually("the other side sees it", look)[0]

    def watching(self, store):
        """Watches the leader key in a thread, as Patroni's loop does while it is idle."""
        leader = store.get_cluster().leader
        woken = []
        thread = threading.Thread(target=lambda: woken.append(store.watch(leader.version, 15)), daemon=True)
        thread.start()

        def result():
            started = time.monotonic()
            thread.join(20)
            self.assertLess(time.monotonic() - started, 10, "the watch ran to its end")
            return woken[0]

        return result


class PatroniOnConsul(Store, unittest.TestCase):
    kind = "consul"

    def address(self, member):
        return {"host": member.http, "checks": []}

    def close(self, *stores):
        # A process that is gone renews nothing; there is no connection to close.
        pass


class PatroniOnZookeeper(Store, unittest.TestCase):
    kind = "zookeeper"

    def address(self, member):
        return {"hosts": [one.zk for one in self.cluster.members]}

    def close(self, *stores):
        for store in stores:
            store._client.stop()


if __name__ == "__main__":
    unittest.main()
