"""py-consul 1.8, unchanged, against a member of ours: blocking and asyncio."""

import asyncio
import json
import threading
import unittest
import urllib.request

import consul
import consul.aio

from consul_calls import Calls, catalog_token
from consul_server import is_genuine, since
from member import eventually


class NewerCalls(Calls):
    """What py-consul calls beyond python-consul, access rules and mesh left out."""

    only_plain_addresses = False

    def connect(self, **options):
        return self.made(host=self.host, port=self.port, **options)

    def test_a_service_has_all_it_was_registered_with(self):
        agent = self.consul.agent
        self.assertTrue(
            agent.service.register(
                "full", "full-1", "10.0.0.2", 81, ["a"], consul.Check.ttl("60s"),
                meta={"zone": "a"}, weights={"Passing": 5, "Warning": 2}, enable_tag_override=True,
                extra_checks=[consul.Check.tcp("127.0.0.1", 1, "60s")],
                tagged_addresses={"wan": {"Address": "192.0.2.1", "Port": 82}}, token="any",
            )
        )
        found = agent.service_definition("full-1")
        self.assertEqual(({"zone": "a"}, {"Passing": 5, "Warning": 2}), (found["Meta"], found["Weights"]))
        self.assertEqual({"Address": "192.0.2.1", "Port": 82}, found["TaggedAddresses"]["wan"])
        self.assertEqual(16, len(found["ContentHash"]))
        self.assertIsNone(agent.service_definition("nobody"))
        self.assertEqual(["full-1"], list(agent.services(filter_expr='Meta.zone == "a"')))
        self.assertEqual({}, agent.services(filter_expr='Meta.zone == "b"'))
        self.assertEqual(
            ["service:full-1:1", "service:full-1:2"],
            sorted(agent.checks(filter_expr='ServiceID == "full-1"')),
        )
        # Checks stay unless they are to be replaced.
        agent.service.register("full", "full-1")
        self.assertEqual(2, len(agent.checks(filter_expr='ServiceID == "full-1"')))
        agent.service.register("full", "full-1", replace_existing_checks=True)
        self.assertEqual({}, agent.checks(filter_expr='ServiceID == "full-1"'))
        self.assertTrue(agent.service.deregister("full-1", token="any"))

    def test_metadata_says_what_a_service_depends_on(self):
        register = self.consul.agent.service.register
        self.assertTrue(register("py-web", meta={"depends-on": "py-api, py-cache?"}))
        self.assertTrue(register("py-api"))
        if is_genuine():
            # Consul keeps such metadata and makes nothing of it: there are cycles, too.
            self.assertTrue(register("py-api", meta={"depends-on": "py-web"}))
            for name in ("py-web", "py-api"):
                self.assertTrue(self.consul.agent.service.deregister(name))
            return
        with urllib.request.urlopen(f"http://{self.host}:{self.port}/v1/coord/graph/py-web") as reply:
            graph = json.load(reply)
        self.assertEqual([["py-api"], ["py-web"]], graph["Waves"])
        self.assertEqual((["py-cache"], True), (graph["Missing"], graph["Ready"]))
        with self.assertRaisesRegex(consul.ConsulException, "py-web -> py-api -> py-web"):
            register("py-api", meta={"depends-on": "py-web"})
        for name in ("py-web", "py-api"):
            self.assertTrue(self.consul.agent.service.deregister(name))

    def test_reads_of_catalog_and_health_are_filtered(self):
        catalog, health = self.consul.catalog, self.consul.health
        self.assertTrue(
            catalog.register(
                "far", "10.2.2.2", service={"Service": "dish", "Tags": ["a"]},
                check={"CheckID": "heat", "Name": "heat", "Status": "warning", "ServiceID": "dish"},
                tagged_addresses={"lan": "10.2.2.2"}, skip_node_update=False, token=catalog_token(),
            )
        )
        here, nowhere = 'Node == "far"', 'Node == "near"'
        for expression, count in ((here, 1), (nowhere, 0)):
            self.assertEqual(count, len(catalog.nodes(filter_expr=expression)[1]))
            self.assertEqual(count, len(catalog.service("dish", filter_expr=expression)[1]))
            self.assertEqual(count, len(health.state("any", filter_expr=expression)[1]))
            self.assertEqual(count, len(health.checks("dish", filter_expr=expression)[1]))
            self.assertEqual(count, len(health.node("far", filter_expr=expression)[1]))
            found = health.service("dish", filter_expr=expression.replace("Node", "Node.Node"))[1]
            self.assertEqual(count, len(found))
        if since("1.16"):
            self.assertEqual(["dish"], list(catalog.services(filter_expr='ServiceName == "dish"')[1]))
        self.assertEqual({}, catalog.node("far", filter_expr='Service == "no"')[1]["Services"])
        self.assertEqual({"lan": "10.2.2.2"}, catalog.node("far")[1]["Node"]["TaggedAddresses"])
        self.assertEqual(1, len(health.service("dish", tag=["a"])[1]))
        self.assertEqual([], health.service("dish", tag=["a", "b"], passing=True)[1])
        with self.assertRaises(consul.ConsulException):
            catalog.nodes(filter_expr="Nobody == 1")
        self.assertTrue(catalog.deregister("far"))

    def test_the_agent_reloads_joins_and_counts(self):
        agent = self.consul.agent
        self.assertIs(True, agent.reload())

        def metrics():
            try:
                return agent.metrics()
            except consul.ConsulException as refused:
                # A genuine one has a gauge now and then that JSON cannot tell.
                if is_genuine() and "unsupported value: NaN" in str(refused):
                    return None
                raise

        gauges = eventually("the metrics can be told", metrics)
        self.assertLessEqual({"Timestamp", "Gauges", "Counters", "Samples"}, set(gauges))
        self.assertIn("# TYPE consul_", agent.metrics(format_prometheus=True))
        self.assertIs(True, agent.join("127.0.0.1"))
        self.assertTrue(agent.maintenance("true", "why", token="any"))
        self.assertTrue(agent.maintenance("false"))

    def test_the_state_is_saved_and_restored(self):
        self.consul.kv.put("saved", "yes")
        archive = self.consul.snapshot.save(stale=True)
        self.assertTrue(archive.startswith(b"\x1f\x8b"))
        self.consul.kv.delete("saved")
        self.assertIs(True, self.consul.snapshot.restore(archive, dc="dc1"))
        eventually("the key is back", lambda: self.consul.kv.get("saved")[1])
        with self.assertRaises(consul.ConsulException):
            self.consul.snapshot.restore(b"no archive")

    def test_operators_look_after_the_servers(self):
        operator = self.consul.operator
        self.assertEqual("10s", operator.autopilot_configuration()["ServerStabilizationTime"])
        kept = operator.autopilot_configuration()
        same = dict(
            cleanup_dead_servers=kept["CleanupDeadServers"],
            last_contact_threshold=kept["LastContactThreshold"],
            max_trailing_logs=kept["MaxTrailingLogs"], min_quorum=kept["MinQuorum"],
            server_stabilization_time=kept["ServerStabilizationTime"],
        )
        self.assertIs(True, operator.update_autopilot_configuration(**same))
        health = operator.autopilot_health()
        self.assertEqual([self.node], [server["Name"] for server in health["Servers"]])
        if since("1.16"):
            self.assertGreaterEqual(operator.usage()["Usage"]["dc1"]["Nodes"], 1)
        for refused in (
            lambda: operator.keyring_list(),
            lambda: self.consul.agent.force_leave("nobody"),
        ):
            with self.assertRaises(consul.ConsulException) as error:
                refused()
            self.assertTrue(str(error.exception).startswith("500 "), error.exception)

    def test_coordinates_are_updated(self):
        coordinate = self.consul.coordinate
        here = {"Vec": [0.1] * 8, "Error": 1.5, "Adjustment": 0, "Height": 1e-5}
        self.assertIs(True, coordinate.update(self.node, here))
        kept = eventually("it is kept", lambda: coordinate.node(self.node)[1])
        self.assertEqual([(self.node, "")], [(each["Node"], each["Segment"]) for each in kept])
        self.assertIsNone(coordinate.node("nobody")[1])

    def test_access_rules_are_off(self):
        with self.assertRaises(consul.ACLDisabled):
            self.consul.acl.token.list()

    def test_the_client_closes_with_its_block(self):
        with self.connect() as client:
            self.assertTrue(client.kv.put("in/block", "x"))


class PyConsul(NewerCalls, unittest.TestCase):
    made = staticmethod(consul.Consul)
    made_by_environment = staticmethod(consul.Consul)


class Awaited:
    """An asyncio client whose calls are run to their end, so that both clients
    do the same tests. Anything else would be a second list of calls."""

    loop = asyncio.new_event_loop()

    def __init__(self, **options):
        self._inner = self.run(self.create(options))

    @staticmethod
    async def create(options):
        return consul.aio.Consul(**options)

    @classmethod
    def run(cls, awaitable):
        return asyncio.run_coroutine_threadsafe(awaitable, cls.loop).result(60)

    def __getattr__(self, name):
        return Resolved(getattr(self._inner, name))

    def __enter__(self):
        self.run(self._inner.__aenter__())
        return self

    def __exit__(self, *about):
        self.run(self._inner.__aexit__(*about))


class Resolved:
    """A part of that client: calls end before they return."""

    def __init__(self, inner):
        self._inner = inner

    def __getattr__(self, name):
        return Resolved(getattr(self._inner, name))

    def __call__(self, *arguments, **options):
        async def call():
            return await self._inner(*arguments, **options)

        return Awaited.run(call())


class PyConsulAsyncio(NewerCalls, unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        super().setUpClass()
        cls.thread = threading.Thread(target=Awaited.loop.run_forever, daemon=True)
        cls.thread.start()

    @classmethod
    def tearDownClass(cls):
        Awaited.loop.call_soon_threadsafe(Awaited.loop.stop)
        cls.thread.join()
        Awaited.loop.close()
        super().tearDownClass()

    def made(self, **options):
        client = Awaited(**options)
        self.addCleanup(lambda: client.run(client._inner.close()))
        return client

    made_by_environment = made

    def test_many_reads_wait_at_once_in_one_thread(self):
        self.consul.kv.put("many", "1")
        index, _ = self.consul.kv.get("many")
        client = self.consul._inner

        async def wait_and_write():
            waiting = [
                asyncio.ensure_future(client.kv.get("many", index=index, wait="30s"))
                for _ in range(50)
            ]
            await asyncio.sleep(0)
            await client.kv.put("many", "2")
            return [entry["Value"] for _, entry in await asyncio.gather(*waiting)]

        self.assertEqual([b"2"] * 50, Awaited.run(wait_and_write()))


if __name__ == "__main__":
    unittest.main()
