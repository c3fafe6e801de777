"""What both generations of Python's Consul client call, one test per area.

A suite mixes `Calls` into its test case and says with `connect` which client
is meant. The client comes from the suite's own environment, unchanged.
"""

import os
import threading
import time
import unittest.mock
import uuid

import consul

from consul_server import consul_server, is_genuine, since
from member import eventually
from targets import Answering, closed_port


def catalog_token():
    """These clients put a token where Consul knows no field; ours takes it there too."""
    return None if is_genuine() else "any"


class Calls:
    """Every call of python-consul 1.1 but those about access rules."""

    @classmethod
    def setUpClass(cls):
        cls.cluster = consul_server().__enter__()
        cls.host, cls.port = cls.cluster.members[0].http_address

    @classmethod
    def tearDownClass(cls):
        cls.cluster.__exit__()

    def setUp(self):
        self.consul = self.connect()
        self.node = self.consul.agent.self()["Config"]["NodeName"]

    def connect(self, **options):
        return consul.Consul(host=self.host, port=self.port, **options)

    def waiting(self, call):
        """Runs `call` of a second client in a thread; its answer, when there is one."""
        answers = []
        client = self.connect()
        thread = threading.Thread(target=lambda: answers.append(call(client)), daemon=True)
        thread.start()

        def finish(seconds=20):
            thread.join(seconds)
            self.assertFalse(thread.is_alive(), "the blocked read did not return")
            return answers[0]

        return finish

    def check_status(self, check):
        found = self.consul.agent.checks().get(check)
        return found and found["Status"]

    def refused_or(self, call):
        """What a call gives, or what it is refused with."""
        try:
            return call()
        except consul.ConsulException as error:
            return str(error)

    def test_settings_of_the_client_come_from_arguments_and_environment(self):
        address = f"{self.host}:{self.port}"
        for value in (address, f"http://{address}"):
            if value.startswith("http") and self.only_plain_addresses:
                continue
            with unittest.mock.patch.dict(os.environ, {"CONSUL_HTTP_ADDR": value}):
                self.assertIn(":", self.made_by_environment().status.leader())
        for consistency in ("default", "consistent", "stale"):
            client = self.connect(consistency=consistency, token="any", dc="dc1")
            self.assertTrue(client.kv.put("by/" + consistency, "x"))
            self.assertEqual(b"x", client.kv.get("by/" + consistency)[1]["Value"])
            self.assertGreaterEqual(len(client.catalog.nodes()[1]), 1)

    def test_keys_compare_and_set_and_list_by_prefix(self):
        kv = self.consul.kv
        self.assertIs(True, kv.put("k/a b/ü", b"\x00\xff", flags=2**64 - 1))
        index, entry = kv.get("k/a b/ü")
        self.assertIsInstance(index, str)
        self.assertEqual(
            {"LockIndex", "Key", "Flags", "Value", "CreateIndex", "ModifyIndex"}, set(entry)
        )
        self.assertEqual((b"\x00\xff", 2**64 - 1), (entry["Value"], entry["Flags"]))
        self.assertTrue(kv.put("k/none", None))
        self.assertIsNone(kv.get("k/none")[1]["Value"])
        self.assertFalse(kv.put("k/none", "x", cas=0))
        self.assertTrue(kv.put("k/none", "x", cas=kv.get("k/none")[1]["ModifyIndex"]))
        self.assertEqual(["k/a b/ü", "k/none"], kv.get("k/", keys=True)[1])
        self.assertEqual(["k/a b/", "k/none"], kv.get("k/", keys=True, separator="/")[1])
        found = kv.get("k/", recurse=True, consistency="consistent", dc="dc1", token="any")[1]
        self.assertEqual(["k/a b/ü", "k/none"], [entry["Key"] for entry in found])
        self.assertFalse(kv.delete("k/none", cas=1))
        self.assertTrue(kv.delete("k/none", cas=found[1]["ModifyIndex"]))
        self.assertTrue(kv.delete("k/none"))
        self.assertTrue(kv.delete("k/", recurse=True))
        index, entry = kv.get("k/", recurse=True)
        self.assertIsNone(entry)
        self.assertGreater(int(index), 0)
        with self.assertRaises(AssertionError):
            kv.put("/k", "x")

    def test_a_read_blocks_until_its_key_changes(self):
        self.consul.kv.put("blocked", "1")
        index, _ = self.consul.kv.get("blocked")
        finish = self.waiting(lambda client: client.kv.get("blocked", index=index, wait="20s"))
        self.consul.kv.put("blocked-not", "1")
        self.consul.kv.put("blocked", "2")
        later, entry = finish()
        self.assertEqual((b"2", int(later)), (entry["Value"], entry["ModifyIndex"]))
        started = time.monotonic()
        again, entry = self.consul.kv.get("blocked", index=later, wait="1s")
        self.assertEqual((later, b"2"), (again, entry["Value"]))
        self.assertGreaterEqual(time.monotonic() - started, 1.0)

    def test_a_transaction_happens_whole_or_not_at_all(self):
        def operation(verb, key, **more):
            return {"KV": dict(Verb=verb, Key=key, **more)}

        done = self.consul.txn.put(
            [operation("set", "t/1", Value="eA=="), operation("get", "t/1"),
             operation("check-not-exists", "t/2")]
        )
        self.assertIsNone(done["Errors"])
        self.assertEqual([None, "eA=="], [result["KV"]["Value"] for result in done["Results"]])
        with self.assertRaises(consul.ConsulException) as refused:
            self.consul.txn.put([operation("set", "t/2", Value=""), operation("get", "t/3")])
        self.assertIn('"OpIndex":1', str(refused.exception))
        self.assertIn("409", str(refused.exception))
        self.assertIsNone(self.consul.kv.get("t/2")[1])

    def test_the_agent_tells_about_itself(self):
        about = self.consul.agent.self()
        self.assertEqual("dc1", about["Config"]["Datacenter"])
        self.assertEqual(self.node, about["Member"]["Name"])
        members = self.consul.agent.members()
        self.assertEqual([self.node], [member["Name"] for member in members])
        self.assertEqual(1, members[0]["Status"])
        self.assertEqual([f"{self.node}.dc1"], [m["Name"] for m in self.consul.agent.members(wan=True)])

    def test_maintenance_of_the_agent_is_a_critical_check(self):
        self.assertTrue(self.consul.agent.maintenance("true", "upgrade"))
        check = self.consul.agent.checks()["_node_maintenance"]
        self.assertEqual(("critical", "upgrade"), (check["Status"], check["Notes"]))
        self.assertTrue(self.consul.agent.maintenance("false"))
        self.assertNotIn("_node_maintenance", self.consul.agent.checks())

    def test_a_service_is_registered_maintained_and_deregistered(self):
        service = self.consul.agent.service
        self.assertIs(True, service.register("plain"))
        self.assertEqual("plain", self.consul.agent.services()["plain"]["Service"])
        self.assertTrue(
            service.register(
                "web", "web/1", "10.0.0.1", 80, ["a", "b"], consul.Check.ttl("60s"),
                enable_tag_override=True,
            )
        )
        found = self.consul.agent.services()["web/1"]
        self.assertEqual(["a", "b"], found["Tags"])
        self.assertEqual(("10.0.0.1", 80, True), (found["Address"], found["Port"], found["EnableTagOverride"]))
        self.assertEqual("critical", self.check_status("service:web/1"))
        self.assertTrue(service.maintenance("web/1", "true", "later"))
        self.assertEqual("critical", self.check_status("_service_maintenance:web/1"))
        self.assertTrue(service.maintenance("web/1", "false"))
        self.assertIsNone(self.check_status("_service_maintenance:web/1"))
        # The older way to name a check.
        self.assertTrue(service.register("old", ttl="30s"))
        self.assertEqual("critical", self.check_status("service:old"))
        for name in ("plain", "web/1", "old"):
            self.assertIs(True, service.deregister(name))
        if since("1.16"):
            self.assertIs(False, service.deregister("web/1"))
        self.assertEqual([], self.consul.catalog.service("web")[1])

    def test_ttl_checks_are_passed_warned_and_failed(self):
        check = self.consul.agent.check
        self.assertTrue(check.register("c", consul.Check.ttl("60s"), check_id="c-1", notes="n"))
        for call, status in (
            (check.ttl_pass, "passing"), (check.ttl_warn, "warning"), (check.ttl_fail, "critical")
        ):
            self.assertTrue(call("c-1", "why " + status))
            found = self.consul.agent.checks()["c-1"]
            self.assertEqual((status, "why " + status, "n"), (found["Status"], found["Output"], found["Notes"]))
        self.assertTrue(check.register("by-ttl", ttl="60s"))
        self.assertTrue(check.deregister("by-ttl"))
        self.assertTrue(check.deregister("c-1"))
        self.assertIsNone(self.check_status("c-1"))

    def test_the_agent_runs_script_http_and_tcp_checks(self):
        check = self.consul.agent.check
        with Answering(200) as fine, Answering(429) as busy, Answering(500) as broken:
            wanted = {
                "http": (consul.Check.http(fine.url, "1s", timeout="5s"), "passing"),
                "header": (consul.Check.http(fine.url, "1s", header={"X-Why": ["a"]}), "passing"),
                "busy": (consul.Check.http(busy.url, "1s", deregister="10m"), "warning"),
                "broken": (consul.Check.http(broken.url, "1s"), "critical"),
                "tcp": (consul.Check.tcp("127.0.0.1", fine.port, "1s", timeout="5s"), "passing"),
                "closed": (consul.Check.tcp("127.0.0.1", closed_port(), "1s", deregister="10m"), "critical"),
                "script": (consul.Check.script(["sh", "-c", "echo said; exit 1"], "1s"), "warning"),
            }
            for name, (definition, _) in wanted.items():
                self.assertTrue(check.register(name, definition))
            self.assertTrue(check.register("older", http=fine.url, interval="1s", timeout="5s"))
            wanted["older"] = (None, "passing")
            # A check begins critical: its first output says that it ran.
            eventually(
                "every check ran",
                lambda: all(self.consul.agent.checks()[name]["Output"] for name in wanted),
            )
            found = self.consul.agent.checks()
            self.assertEqual(
                {name: status for name, (_, status) in wanted.items()},
                {name: found[name]["Status"] for name in wanted},
            )
            self.assertTrue(found["http"]["Output"].startswith(f"HTTP GET {fine.url}: 200 OK Output: "))
            self.assertIn("said", found["script"]["Output"])
            self.assertIn("a", [request.get("X-Why") for request in fine.requests])
            for name in wanted:
                self.assertTrue(check.deregister(name))

    def test_a_check_of_a_service_goes_with_it(self):
        agent = self.consul.agent
        agent.service.register("owner")
        self.assertTrue(agent.check.register("of", consul.Check.ttl("60s"), service_id="owner"))
        self.assertEqual("owner", agent.checks()["of"]["ServiceID"])
        if since("1.16"):
            # It was a 500 before, which the clients raise.
            self.assertIs(False, agent.check.register("no", consul.Check.ttl("60s"), service_id="nobody"))
        agent.service.deregister("owner")
        self.assertIsNone(self.check_status("of"))

    def test_the_catalog_keeps_external_nodes(self):
        catalog = self.consul.catalog
        self.assertTrue(
            catalog.register(
                "ext", "10.1.1.1", service={"Service": "db", "Tags": ["main"], "Port": 5432},
                check={"Name": "up", "Status": "passing", "ServiceID": "db"}, dc="dc1",
                token=catalog_token(),
            )
        )
        self.assertEqual(["dc1"], catalog.datacenters())
        index, nodes = catalog.nodes(consistency="consistent", dc="dc1", near="_agent", token="any")
        self.assertEqual(["ext", self.node], sorted(node["Node"] for node in nodes))
        self.assertEqual([], catalog.nodes(node_meta={"no": "where"})[1])
        services = catalog.services()[1]
        self.assertEqual((["main"], []), (services["db"], services["consul"]))
        found = catalog.service("db", tag="main")[1]
        self.assertEqual([("ext", "10.1.1.1", 5432, "")],
                         [(f["Node"], f["Address"], f["ServicePort"], f["ServiceAddress"]) for f in found])
        self.assertEqual([], catalog.service("db", tag="other")[1])
        self.assertEqual(["db"], list(catalog.node("ext")[1]["Services"]))
        self.assertIsNone(catalog.node("nobody")[1])
        index = catalog.service("db")[0]
        finish = self.waiting(lambda client: client.catalog.service("db", index=index, wait="20s"))
        self.assertTrue(catalog.deregister("ext", service_id="db"))
        self.assertEqual([], finish()[1])
        self.assertTrue(catalog.deregister("ext", check_id="up"))
        self.assertTrue(catalog.deregister("ext", dc="dc1"))
        self.assertIsNone(catalog.node("ext")[1])

    def test_a_registered_service_is_found_healthy_until_deregistered(self):
        health = self.consul.health
        register, check = self.consul.agent.service.register, self.consul.agent.check
        register("job", "job-1", port=1, tags=["x"], check=consul.Check.ttl("60s"))
        register("job", "job-2", port=2, tags=["y"], check=consul.Check.ttl("60s"))
        check.ttl_pass("service:job-1")

        def ids(**options):
            return [entry["Service"]["ID"] for entry in health.service("job", **options)[1]]

        self.assertEqual(["job-1", "job-2"], sorted(ids()))
        self.assertEqual(["job-1"], ids(passing=True))
        self.assertEqual(["job-2"], ids(tag="y"))
        self.assertEqual([], ids(node_meta={"no": "where"}))
        self.assertEqual({"service:job-1", "service:job-2"}, {c["CheckID"] for c in health.checks("job")[1]})
        self.assertEqual(["service:job-2"], [c["CheckID"] for c in health.state("critical")[1]])
        self.assertLessEqual(
            {"serfHealth", "service:job-1"}, {c["CheckID"] for c in health.state("passing")[1]}
        )
        self.assertEqual(3, len(health.state("any")[1]))
        self.assertEqual([], health.state("unknown")[1])
        self.assertEqual(3, len(health.node(self.node)[1]))
        index = health.service("job", passing=True)[0]
        finish = self.waiting(
            lambda client: client.health.service("job", passing=True, index=index, wait="20s")
        )
        check.ttl_pass("service:job-2")
        self.assertEqual(2, len(finish()[1]))
        for name in ("job-1", "job-2"):
            self.consul.agent.service.deregister(name)
        self.assertEqual([], health.service("job")[1])

    def test_sessions_are_made_listed_renewed_and_destroyed(self):
        session = self.consul.session
        mine = session.create("mine", self.node, ["serfHealth"], 3, "delete", 20, "dc1")
        self.assertEqual(mine, str(uuid.UUID(mine)))
        index, found = session.info(mine)
        self.assertEqual(
            ("mine", self.node, 3 * 10**9, "delete", "20s", ["serfHealth"]),
            tuple(found[key] for key in ("Name", "Node", "LockDelay", "Behavior", "TTL", "NodeChecks")),
        )
        self.assertIn(mine, [entry["ID"] for entry in session.list()[1]])
        self.assertIn(mine, [entry["ID"] for entry in session.node(self.node)[1]])
        self.assertEqual([], session.node("nobody")[1])
        self.assertEqual(mine, session.renew(mine)["ID"])
        finish = self.waiting(lambda client: client.session.info(mine, index=index, wait="20s"))
        self.assertIs(True, session.destroy(mine))
        self.assertIsNone(finish()[1])
        self.assertIs(True, session.destroy(mine))
        with self.assertRaises(consul.NotFound):
            session.renew(mine)
        plain = session.create()
        self.assertEqual(15 * 10**9, session.info(plain)[1]["LockDelay"])
        session.destroy(plain)
        for wrong in (dict(behavior="keep"), dict(ttl=5), dict(ttl=86401)):
            with self.assertRaises(AssertionError):
                session.create(**wrong)

    def test_a_lock_is_held_by_one_session_and_released_with_it(self):
        kv, session = self.consul.kv, self.consul.session
        mine, other = (session.create(lock_delay=0, ttl=10) for _ in range(2))
        self.assertTrue(kv.put("lock", "mine", acquire=mine))
        self.assertTrue(kv.put("lock", "mine again", acquire=mine))
        self.assertFalse(kv.put("lock", "other", acquire=other))
        self.assertEqual((mine, 1), tuple(kv.get("lock")[1][key] for key in ("Session", "LockIndex")))
        self.assertFalse(kv.put("lock", "", release=other))
        self.assertTrue(kv.put("lock", "", release=mine))
        self.assertTrue(kv.put("lock", "other", acquire=other))
        self.assertEqual(2, kv.get("lock")[1]["LockIndex"])
        session.destroy(other)
        self.assertNotIn("Session", kv.get("lock")[1])
        refused = self.refused_or(lambda: kv.put("lock", "", acquire=other))
        if is_genuine():
            refused = refused.replace("raft apply failed: ", "")
        self.assertTrue(refused.startswith("500 invalid session"), refused)
        ephemeral = session.create(lock_delay=0, behavior="delete")
        kv.put("gone-with", "", acquire=ephemeral)
        session.destroy(ephemeral)
        self.assertIsNone(kv.get("gone-with")[1])
        session.destroy(mine)

    def test_events_are_fired_and_listed(self):
        event = self.consul.event
        self.consul.agent.service.register("web", tags=["v1"])
        event.fire("deploy", "not here", service="db")
        event.fire("deploy", "not here", node="nobody")
        before = event.list()[0]
        finish = self.waiting(lambda client: client.event.list("deploy", index=before))
        fired = event.fire("deploy", "now", node=".*", service="web", tag="v.*")
        self.assertEqual(("deploy", ".*", "web", "v.*"),
                         tuple(fired[key] for key in ("Name", "NodeFilter", "ServiceFilter", "TagFilter")))
        index, found = finish()
        self.assertNotEqual(before, index)
        self.assertEqual([(fired["ID"], b"now")], [(e["ID"], e["Payload"]) for e in found])
        event.fire("other")
        self.assertEqual(["deploy"], [e["Name"] for e in event.list("deploy")[1]])
        self.assertEqual(["deploy", "other"], [e["Name"] for e in event.list()[1]])
        self.consul.agent.service.deregister("web")

    def test_the_leader_and_the_raft_members_are_known(self):
        leader = self.consul.status.leader()
        self.assertEqual([leader], self.consul.status.peers())
        servers = self.consul.operator.raft_config()["Servers"]
        self.assertEqual([(leader, True, True)], [(s["Address"], s["Leader"], s["Voter"]) for s in servers])

    def test_prepared_queries_are_made_run_and_removed(self):
        query = self.consul.query
        for number in (1, 2, 3):
            self.consul.agent.service.register("q", f"q-{number}", port=number, tags=["t"])
        made = query.create("q", "find-q", tags=["t"], onlypassing=True, ttl="10s", nearestn=0,
                            datacenters=[])["ID"]
        self.assertEqual([made], [q["ID"] for q in query.list()])
        self.assertEqual("find-q", query.get(made)[0]["Name"])
        found = query.execute("find-q", limit=2, near="_agent")
        self.assertEqual(("q", 2, "dc1"), (found["Service"], len(found["Nodes"]), found["Datacenter"]))
        # The newer client makes a template of every query, which has no answer by id.
        by_id = self.refused_or(lambda: query.execute(made, limit=2)["Service"])
        self.assertIn(
            by_id,
            ("q", "500 prepared query templates can only be resolved up by name, not by ID"),
        )
        self.assertIs(True, query.update(made, "q", "find-q", tags=["none"]))
        self.assertEqual([], query.execute("find-q")["Nodes"])
        template = query.create("${name.suffix}", "all-", regexp="")
        self.assertEqual("q", query.explain("all-q")["Query"]["Service"]["Service"])
        self.assertEqual(3, len(query.execute("all-q")["Nodes"]))
        for one in (made, template["ID"]):
            self.assertIs(True, query.delete(one))
        self.assertEqual([], query.list())
        # The older client gives an index too.
        if since("1.16"):
            self.assertIn(query.get(made), (None, ("1", None)))
            self.assertIn(query.execute("find-q"), (None, ("1", None)))
        for number in (1, 2, 3):
            self.consul.agent.service.deregister(f"q-{number}")

    def test_coordinates_are_listed(self):
        coordinate = self.consul.coordinate
        self.assertEqual(["dc1"], [each["Datacenter"] for each in coordinate.datacenters()])
        index, nodes = coordinate.nodes(dc="dc1", consistency="stale")
        self.assertGreater(int(index), 0)
        self.assertIsInstance(nodes, list)

    def test_refusals_become_the_clients_exceptions(self):
        with self.assertRaises(consul.ConsulException) as refused:
            self.consul.kv.get("k", dc="elsewhere")
        self.assertEqual("500 No path to datacenter", str(refused.exception))
        with self.assertRaises(consul.ConsulException) as refused:
            self.consul.catalog.nodes(index="word")
        self.assertEqual("Invalid index", str(refused.exception).removeprefix("400 "))
