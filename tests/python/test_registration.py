"""What `agent.service.register` and `deregister` make of their arguments."""

import os
import unittest
import warnings

import consul as module
from support import WithServer, run_python


class Registration(WithServer):
    def setUp(self):
        warnings.simplefilter("ignore")
        self.client = self.consul()
        self.service = self.client.agent.service
        self.addCleanup(self.remove_all)

    def remove_all(self):
        with self.consul(strict=True) as client:
            for each in client.agent.services():
                client.agent.service.deregister(each)

    def registered(self):
        """Id, name, address and port of every service."""
        found = self.client.agent.services().values()
        return sorted((s["ID"], s["Service"], s["Address"], s["Port"]) for s in found)

    def test_the_arguments_keep_py_consuls_order(self):
        self.service.register("web", "web-1", "10.0.0.1", 80, ["t"], {"ttl": "60s"})
        self.assertEqual(self.registered(), [("web-1", "web", "10.0.0.1", 80)])
        self.assertEqual(list(self.client.agent.checks()), ["service:web-1"])
        with self.assertRaisesRegex(TypeError, "unexpected keyword"):
            self.service.register("web", colour="red")
        with self.assertRaisesRegex(TypeError, "multiple values"):
            self.service.register("web", "web-1", service_id="web-2")

    def test_a_positional_host_and_port_is_the_address(self):
        self.service.register("test", "127.0.0.1:8500")
        self.service.register("six", "[::1]:80")
        expected = [("six", "six", "::1", 80), ("test", "test", "127.0.0.1", 8500)]
        self.assertEqual(self.registered(), expected)
        self.assertIs(self.service.deregister("test"), True)
        self.assertIs(self.service.deregister("six"), True)
        self.assertEqual(self.registered(), [])

    def test_a_keyword_id_is_always_literal(self):
        self.service.register("test", service_id="127.0.0.1:8500")
        self.assertEqual(self.registered(), [("127.0.0.1:8500", "test", "", 0)])

    def test_a_positional_value_that_is_no_address_is_an_id(self):
        for literal in ("web-1", "host", "host:0", "host:65536", "host:1:2", "http://h:80"):
            with self.subTest(literal):
                self.service.register("web", literal)
                self.assertEqual(self.registered(), [(literal, "web", "", 0)])
                self.service.deregister(literal)

    def test_an_address_or_port_beside_it_makes_it_an_id(self):
        self.service.register("web", "10.0.0.1:80", port=81)
        self.assertEqual(self.registered(), [("10.0.0.1:80", "web", "", 81)])

    def test_the_same_address_again_replaces_and_another_is_refused(self):
        self.service.register("web", "10.0.0.1:80")
        self.service.register("web", "10.0.0.1:80", tags=["new"])
        with self.assertRaisesRegex(module.ConsulException, "10.0.0.1:80"):
            self.service.register("web", "10.0.0.2:80")
        self.assertEqual(self.registered(), [("web", "web", "10.0.0.1", 80)])
        self.service.deregister("web")
        self.service.register("web", "10.0.0.2:80")
        self.assertEqual(self.registered(), [("web", "web", "10.0.0.2", 80)])

    def test_what_the_agent_refused_is_not_remembered(self):
        with self.assertRaises(module.ConsulException):
            self.service.register("web", "10.0.0.1:80", check={"ttl": "nonsense"})
        self.service.register("web", "10.0.0.2:80")
        self.assertEqual(self.registered(), [("web", "web", "10.0.0.2", 80)])

    def test_deregistering_goes_by_id_then_by_the_only_name(self):
        self.service.register("web", service_id="w1")
        self.service.register("db", service_id="web")
        self.assertIs(self.service.deregister("web"), True)
        self.assertEqual([each[0] for each in self.registered()], ["w1"])
        self.assertIs(self.service.deregister("web"), True)
        self.assertEqual(self.registered(), [])
        self.assertIs(self.service.deregister("web"), False)

    def test_deregistering_an_ambiguous_name_is_refused_with_the_ids(self):
        self.service.register("web", service_id="w1")
        self.service.register("web", service_id="w2")
        with self.assertRaisesRegex(module.ConsulException, "w1, w2"):
            self.service.deregister("web")
        self.assertEqual(len(self.registered()), 2)

    def test_strict_is_exactly_py_consul(self):
        with self.consul(strict=True) as strict:
            strict.agent.service.register("test", "127.0.0.1:8500")
            self.assertEqual(self.registered(), [("127.0.0.1:8500", "test", "", 0)])
            self.assertIs(strict.agent.service.deregister("test"), False)
            self.assertIs(strict.agent.service.deregister("127.0.0.1:8500"), True)

    def test_strict_may_come_from_the_environment(self):
        program = (
            "import sys, consul; host, port = sys.argv[1].split(':')\n"
            "service = consul.Consul(host, int(port)).agent.service\n"
            "service.register('test', '127.0.0.1:8500'); print(service.deregister('test'))"
        )
        done = run_python(program, self.server.http, env=dict(os.environ, COORD_STRICT="1"))
        self.assertEqual((done.stdout, done.stderr), ("False\n", ""))


if __name__ == "__main__":
    unittest.main()
