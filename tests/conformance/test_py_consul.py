"""py-consul, unchanged, against a member of ours."""

import threading
import unittest

import consul

from member import Cluster


class PyConsul(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster().__enter__()
        cls.host, cls.port = cls.cluster.members[0].http_address

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def setUp(self):
        self.consul = consul.Consul(host=self.host, port=self.port)

    def test_a_registered_service_is_found_healthy_until_deregistered(self):
        service = self.consul.agent.service
        self.assertTrue(
            service.register(
                "web", service_id="web-1", address="10.0.0.1", port=80, tags=["blue"],
                meta={"zone": "a"},
            )
        )
        index, found = self.consul.health.service("web", passing=True)
        self.assertGreater(int(index), 0)
        self.assertEqual(1, len(found))
        self.assertEqual("web-1", found[0]["Service"]["ID"])
        self.assertEqual(("10.0.0.1", 80), (found[0]["Service"]["Address"], found[0]["Service"]["Port"]))
        self.assertEqual(["blue"], found[0]["Service"]["Tags"])
        self.assertEqual({"zone": "a"}, found[0]["Service"]["Meta"])
        self.assertIn("web", self.consul.catalog.services()[1])
        self.assertTrue(service.deregister("web-1"))
        self.assertEqual([], self.consul.health.service("web")[1])

    def test_a_ttl_check_decides_whether_its_service_passes(self):
        service = self.consul.agent.service
        service.register("job", service_id="job-1", port=1, check=consul.Check.ttl("60s"))
        self.assertEqual([], self.consul.health.service("job", passing=True)[1])
        self.assertTrue(self.consul.agent.check.ttl_pass("service:job-1", "fine"))
        found = self.consul.health.service("job", passing=True)[1]
        self.assertEqual(["job-1"], [entry["Service"]["ID"] for entry in found])
        self.assertTrue(self.consul.agent.check.ttl_fail("service:job-1"))
        self.assertEqual([], self.consul.health.service("job", passing=True)[1])
        self.assertTrue(service.deregister("job-1"))

    def test_a_read_blocks_until_its_key_changes(self):
        kv = self.consul.kv
        self.assertTrue(kv.put("colour", "red"))
        index, entry = kv.get("colour")
        self.assertEqual(b"red", entry["Value"])
        answer = []
        waiting = threading.Thread(
            target=lambda: answer.append(
                consul.Consul(host=self.host, port=self.port).kv.get("colour", index=index, wait="30s")
            )
        )
        waiting.start()
        # Another key does not wake it: it is still waiting when the right one comes.
        self.assertTrue(kv.put("shape", "round"))
        waiting.join(0.5)
        self.assertTrue(waiting.is_alive())
        self.assertTrue(kv.put("colour", "blue"))
        waiting.join(10)
        self.assertFalse(waiting.is_alive())
        later, entry = answer[0]
        self.assertEqual(b"blue", entry["Value"])
        self.assertGreater(int(later), int(index))
        self.assertEqual(int(later), entry["ModifyIndex"])

    def test_a_missing_key_has_an_index_and_no_value(self):
        index, entry = self.consul.kv.get("nowhere")
        self.assertGreater(int(index), 0)
        self.assertIsNone(entry)

    def test_keys_compare_and_set_and_list_by_prefix(self):
        kv = self.consul.kv
        self.assertTrue(kv.put("p/a", b"\x00\xff", cas=0, flags=7))
        self.assertFalse(kv.put("p/a", "again", cas=0))
        _, entry = kv.get("p/a")
        self.assertEqual((b"\x00\xff", 7), (entry["Value"], entry["Flags"]))
        self.assertTrue(kv.put("p/a", "next", cas=entry["ModifyIndex"]))
        self.assertTrue(kv.put("p/b/c", None))
        self.assertEqual(["p/a", "p/b/"], kv.get("p/", keys=True, separator="/")[1])
        self.assertEqual(2, len(kv.get("p/", recurse=True)[1]))
        self.assertTrue(kv.delete("p/", recurse=True))
        self.assertIsNone(kv.get("p/", recurse=True)[1])

    def test_a_lock_is_held_by_one_session_and_released_with_it(self):
        kv, session = self.consul.kv, self.consul.session
        mine = session.create(name="mine", lock_delay=0, ttl=10)
        other = session.create(name="other", lock_delay=0, ttl=10)
        self.assertTrue(kv.put("lock", "mine", acquire=mine))
        self.assertFalse(kv.put("lock", "other", acquire=other))
        self.assertEqual(mine, kv.get("lock")[1]["Session"])
        self.assertEqual(mine, session.renew(mine)["ID"])
        self.assertTrue(session.destroy(mine))
        self.assertNotIn("Session", kv.get("lock")[1])
        self.assertTrue(kv.put("lock", "other", acquire=other))
        with self.assertRaises(consul.NotFound):
            session.renew(mine)
        self.assertTrue(session.destroy(other))

    def test_a_transaction_happens_whole_or_not_at_all(self):
        operation = lambda verb, key: {"KV": {"Verb": verb, "Key": key, "Value": "eA=="}}
        done = self.consul.txn.put([operation("set", "t/1"), operation("set", "t/2")])
        self.assertEqual(["t/1", "t/2"], [result["KV"]["Key"] for result in done["Results"]])
        with self.assertRaises(consul.ConsulException) as refused:
            self.consul.txn.put([operation("set", "t/3"), operation("check-not-exists", "t/1")])
        self.assertIn("409", str(refused.exception))
        self.assertIsNone(self.consul.kv.get("t/3")[1])

    def test_the_leader_is_known(self):
        leader = self.consul.status.leader()
        self.assertIn(":", leader)
        self.assertIn(leader, self.consul.status.peers())


if __name__ == "__main__":
    unittest.main()
