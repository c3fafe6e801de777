"""consul.Consul: every call, what it gives and what it raises."""

import base64
import threading
import unittest

import consul as module
from consul import Check, Consul
from support import WithServer, eventually


class Keys(WithServer):
    def setUp(self):
        self.client = self.consul()
        self.kv = self.client.kv
        self.top = self.id().rsplit(".", 1)[1]

    def test_a_key_is_put_read_and_deleted(self):
        self.assertIs(self.kv.put(self.top, b"\x00one", flags=7), True)
        index, entry = self.kv.get(self.top)
        self.assertEqual((entry["Key"], entry["Value"], entry["Flags"]), (self.top, b"\x00one", 7))
        self.assertEqual(index, str(entry["ModifyIndex"]))
        self.assertIs(self.kv.delete(self.top), True)
        index, entry = self.kv.get(self.top)
        self.assertIsNone(entry)
        self.assertIsInstance(index, str)

    def test_values_may_be_text_or_nothing(self):
        self.kv.put(self.top + "/t", "ä")
        self.kv.put(self.top + "/n", None)
        self.assertEqual(self.kv.get(self.top + "/t")[1]["Value"], "ä".encode())
        self.assertIsNone(self.kv.get(self.top + "/n")[1]["Value"])

    def test_a_prefix_gives_entries_or_names(self):
        for name in ("a", "b/c", "b/d"):
            self.kv.put(f"{self.top}/{name}", name)
        found = self.kv.get(self.top + "/", recurse=True)[1]
        self.assertEqual([entry["Value"] for entry in found], [b"a", b"b/c", b"b/d"])
        names = self.kv.get(self.top + "/", keys=True, separator="/")[1]
        self.assertEqual(names, [f"{self.top}/a", f"{self.top}/b/"])
        self.assertIs(self.kv.delete(self.top + "/", recurse=True), True)
        self.assertIsNone(self.kv.get(self.top + "/", recurse=True)[1])

    def test_cas_changes_only_what_was_read(self):
        self.assertIs(self.kv.put(self.top, "1", cas=0), True)
        self.assertIs(self.kv.put(self.top, "2", cas=0), False)
        index = self.kv.get(self.top)[1]["ModifyIndex"]
        self.assertIs(self.kv.delete(self.top, cas=index + 1), False)
        self.assertIs(self.kv.put(self.top, "2", cas=index), True)

    def test_a_lock_has_one_holder(self):
        first, second = self.client.session.create("one"), self.client.session.create("two")
        self.assertIs(self.kv.put(self.top, "1", acquire=first), True)
        self.assertIs(self.kv.put(self.top, "2", acquire=second), False)
        self.assertEqual(self.kv.get(self.top)[1]["Session"], first)
        self.assertIs(self.kv.put(self.top, "1", release=first), True)
        self.assertIs(self.kv.put(self.top, "2", acquire=second), True)

    def test_a_blocking_read_wakes_with_the_change_and_ends_with_its_wait(self):
        self.kv.put(self.top, "1")
        index, _ = self.kv.get(self.top)
        again, entry = self.kv.get(self.top, index=index, wait="10ms")
        self.assertEqual((again, entry["Value"]), (index, b"1"))
        seen = []
        reader = threading.Thread(
            target=lambda: seen.append(self.kv.get(self.top, index=index, wait="60s"))
        )
        reader.start()
        with self.consul() as other:
            other.kv.put(self.top, "2")
        reader.join(30)
        self.assertEqual(seen[0][1]["Value"], b"2")

    def test_consistency_is_accepted_everywhere(self):
        for mode in ("default", "consistent", "stale"):
            self.kv.get(self.top, consistency=mode)
            self.consul(consistency=mode).kv.get(self.top)

    def test_a_transaction_is_all_or_nothing(self):
        value = base64.b64encode(b"v").decode()
        put = {"KV": {"Verb": "set", "Key": self.top, "Value": value}}
        done = self.client.txn.put([put, {"KV": {"Verb": "get", "Key": self.top}}])
        self.assertIsNone(done["Errors"])
        self.assertEqual(done["Results"][1]["KV"]["Value"], value)
        missing = {"KV": {"Verb": "get", "Key": self.top + "/no"}}
        change = {"KV": {"Verb": "delete", "Key": self.top}}
        with self.assertRaises(module.ClientError) as caught:
            self.client.txn.put([change, missing])
        self.assertTrue(str(caught.exception).startswith("409 "))
        self.assertIsNotNone(self.kv.get(self.top)[1])

    def test_wrong_arguments_are_assertions_as_in_py_consul(self):
        for call in (
            lambda: self.kv.get("/slash"),
            lambda: self.kv.put("key", 5),
            lambda: self.client.session.create(ttl=5),
            lambda: self.client.session.create(behavior="explode"),
            lambda: self.client.health.state("odd"),
        ):
            with self.assertRaises(AssertionError):
                call()


class Sessions(WithServer):
    def test_a_session_is_made_renewed_found_and_destroyed(self):
        session = self.consul().session
        made = session.create("mine", ttl=20, behavior="delete", lock_delay=0)
        self.assertEqual(session.renew(made)["ID"], made)
        found = session.info(made)[1]
        self.assertEqual((found["Name"], found["TTL"], found["Behavior"]), ("mine", "20s", "delete"))
        self.assertEqual([each["ID"] for each in session.list()[1]], [made])
        self.assertEqual([each["ID"] for each in session.node(found["Node"])[1]], [made])
        self.assertIs(session.destroy(made), True)
        self.assertIsNone(session.info(made)[1])
        with self.assertRaises(module.NotFound):
            session.renew(made)


class Services(WithServer):
    def setUp(self):
        self.client = self.consul()
        self.agent = self.client.agent
        self.addCleanup(self.remove_all)

    def remove_all(self):
        with self.consul(strict=True) as client:
            for each in client.agent.services():
                client.agent.service.deregister(each)

    def test_a_service_is_registered_with_all_it_says(self):
        self.agent.service.register(
            "web", service_id="web-1", address="10.0.0.1", port=80, tags=("a", "b"),
            meta={"k": "v"}, weights={"Passing": 2, "Warning": 1}, enable_tag_override=True,
        )
        found = self.agent.services()["web-1"]
        self.assertEqual((found["Service"], found["Address"], found["Port"]), ("web", "10.0.0.1", 80))
        self.assertEqual((found["Tags"], found["Meta"]), (["a", "b"], {"k": "v"}))
        self.assertEqual(self.agent.service_definition("web-1")["ID"], "web-1")
        self.assertIsNone(self.agent.service_definition("none"))
        self.assertEqual(self.client.catalog.services()[1]["web"], ["a", "b"])
        self.assertEqual(self.client.catalog.service("web", tag="a")[1][0]["ServiceID"], "web-1")

    def test_a_ttl_check_decides_who_passes(self):
        self.agent.service.register("web", service_id="web-1", check=Check.ttl("60s"))
        passing = lambda: [
            entry["Service"]["ID"] for entry in self.client.health.service("web", passing=True)[1]
        ]
        self.assertEqual(passing(), [])
        for report, state in ((self.agent.check.ttl_pass, "passing"), (self.agent.check.ttl_warn, "warning"), (self.agent.check.ttl_fail, "critical")):
            self.assertIs(report("service:web-1", "a note"), True)
            self.assertEqual(self.agent.checks()["service:web-1"]["Status"], state)
            eventually(
                f"the catalog says {state}",
                lambda: self.client.health.checks("web")[1][0]["Status"] == state,
            )
        self.agent.check.ttl_pass("service:web-1")
        eventually("the service passes", lambda: passing() == ["web-1"])

    def test_a_check_of_the_node_is_registered_and_removed(self):
        self.assertIs(self.agent.check.register("disk", Check.ttl("60s"), check_id="d"), True)
        self.assertEqual(self.agent.checks()["d"]["Name"], "disk")
        critical = lambda: [each["CheckID"] for each in self.client.health.state("critical")[1]]
        eventually("the check is critical", lambda: critical() == ["d"])
        self.assertIs(self.agent.check.deregister("d"), True)
        self.assertNotIn("d", self.agent.checks())

    def test_maintenance_takes_a_service_and_the_agent_out(self):
        self.agent.service.register("web", service_id="web-1")
        self.assertIs(self.agent.service.maintenance("web-1", True, "why"), True)
        self.assertEqual(self.agent.checks()["_service_maintenance:web-1"]["Notes"], "why")
        self.assertIs(self.agent.service.maintenance("web-1", False), True)
        self.assertIs(self.agent.maintenance(True, "all"), True)
        self.assertIn("_node_maintenance", self.agent.checks())
        self.assertIs(self.agent.maintenance(False), True)
        self.assertEqual(self.agent.checks(), {})

    def test_the_agent_and_the_servers_are_known(self):
        name = self.agent.self()["Config"]["NodeName"]
        self.assertEqual([member["Name"] for member in self.agent.members()], [name])
        self.assertTrue(self.client.status.leader())
        self.assertEqual(len(self.client.status.peers()), 1)
        self.assertEqual(self.client.catalog.datacenters(), ["dc1"])
        self.assertEqual([node["Node"] for node in self.client.catalog.nodes()[1]], [name])
        self.assertEqual(self.client.catalog.node(name)[1]["Node"]["Node"], name)
        self.assertIsNone(self.client.catalog.node("nobody")[1])
        self.assertEqual([c["CheckID"] for c in self.client.health.node(name)[1]], ["serfHealth"])

    def test_a_foreign_node_is_put_into_the_catalog_and_taken_out(self):
        catalog = self.client.catalog
        service = {"ID": "db-1", "Service": "db", "Port": 5432}
        self.assertIs(catalog.register("other", "10.0.0.9", service=service), True)
        found = catalog.service("db")[1][0]
        self.assertEqual((found["Node"], found["ServicePort"]), ("other", 5432))
        self.assertIs(catalog.deregister("other", service_id="db-1"), True)
        self.assertEqual(catalog.service("db")[1], [])
        self.assertIs(catalog.deregister("other"), True)
        self.assertEqual(len(catalog.nodes()[1]), 1)

    def test_events_are_fired_and_listed_with_their_payload(self):
        fired = self.client.event.fire("deploy", b"\x001")
        self.assertEqual(fired["Name"], "deploy")
        listed = lambda: [e["Payload"] for e in self.client.event.list("deploy")[1]]
        eventually("the event is listed", lambda: listed() == [b"\x001"])

    def test_checks_are_described_with_the_wires_names(self):
        self.assertEqual(
            Check.http("http://h/", "10s", timeout="1s", deregister="1m"),
            {"http": "http://h/", "interval": "10s", "timeout": "1s", "DeregisterCriticalServiceAfter": "1m"},
        )
        self.assertEqual(Check.tcp("h", 1, "1s"), {"tcp": "h:1", "interval": "1s"})
        self.assertEqual(Check.script(["a"], "1s"), {"args": ["a"], "interval": "1s"})
        self.assertEqual(Check.grpc("h:1", "1s")["grpc"], "h:1")
        self.assertEqual(Check.docker("c", "sh", "x", "1s")["docker_container_id"], "c")


class Errors(WithServer):
    def test_each_status_has_its_class_and_text(self):
        for status, expected, text in (
            (400, module.BadRequest, "400 body"),
            (401, module.ACLDisabled, "body"),
            (403, module.ACLPermissionDenied, "body"),
            (404, module.NotFound, "body"),
            (409, module.ClientError, "409 body"),
            (500, module.ConsulException, "500 body"),
        ):
            error = module.exceptions.from_status(status, "body")
            self.assertEqual((type(error), str(error)), (expected, text))
            self.assertIsInstance(error, module.ConsulException)

    def test_a_bad_request_is_raised_as_such(self):
        with self.assertRaises(module.BadRequest):
            self.consul().kv.get("key", index="not-a-number")

    def test_filter_expressions_narrow_the_answer_and_mistakes_are_told(self):
        client = self.consul()
        client.agent.service.register("chosen")
        client.agent.service.register("other")
        found = client.agent.services('Service == "chosen"')
        self.assertEqual(list(found), ["chosen"])
        with self.assertRaisesRegex(module.ConsulException, "boolean expression"):
            client.agent.services("Service ==")

    def test_a_read_that_takes_too_long_is_a_timeout(self):
        client = self.consul()
        client.kv.put("slow", "1")
        index, _ = client.kv.get("slow")
        with self.assertRaises(module.Timeout) as caught:
            client.kv._transport.get("/v1/kv/slow", [("index", index)], None, 0.05)
        self.assertIsInstance(caught.exception, TimeoutError)

    def test_nobody_listening_is_a_connection_error(self):
        with Consul("127.0.0.1", 1) as client, self.assertRaises(ConnectionError):
            client.status.leader()

    def test_a_closed_client_says_so(self):
        client = self.consul()
        client.close()
        client.close()
        with self.assertRaises(module.exceptions.CoordError):
            client.status.leader()

    def test_another_scheme_is_refused_with_a_reason(self):
        with self.assertRaisesRegex(module.ConsulException, "http and https"):
            Consul(scheme="gopher")


if __name__ == "__main__":
    unittest.main()
