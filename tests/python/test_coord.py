"""`consul.coord`: what depends on what, waiting for it, and the order to start in."""

import os
import signal
import subprocess
import sys
import threading
import unittest

import consul as module
from consul import Consul
from support import EXAMPLES, WithServer, blocking_queries, eventually, run_python

WAITING = """
import signal; signal.signal(signal.SIGINT, signal.default_int_handler)
import libcoord, consul
server = libcoord.Server()
host, port = server.http.split(':')
client = consul.Consul(host, int(port))
client.agent.service.register('web', depends_on=['db'])
print('waiting', server.http, flush=True)
try:
    client.coord.wait_ready('web', timeout=600)
except KeyboardInterrupt:
    print('interrupted', flush=True)
client.agent.service.register('db')
print(client.coord.wait_ready('web', timeout=60))
"""


class Graph(WithServer):
    def setUp(self):
        self.client = self.consul()
        self.service, self.coord = self.client.agent.service, self.client.coord
        self.addCleanup(self.remove_all)

    def remove_all(self):
        with self.consul(strict=True) as client:
            for each in client.agent.services():
                client.agent.service.deregister(each)

    def register(self, **services):
        for name, needs in services.items():
            self.service.register(name, depends_on=needs)

    def of(self, name):
        return {each["Name"]: each for each in self.coord.graph()["Services"]}.get(name)

    def test_what_is_declared_is_told_with_what_follows_from_it(self):
        self.register(web=["api", {"Name": "db", "Tag": "primary"}], api=["db", "cache?"], db=())
        graph = self.coord.graph()
        self.assertEqual(graph["Waves"], [["db"], ["api"], ["web"]])
        self.assertEqual(graph["Missing"], ["cache"])
        self.assertEqual(self.of("db")["EffectiveStatus"], "passing")
        for name in ("api", "web"):
            told = self.of(name)
            self.assertEqual((told["Status"], told["EffectiveStatus"]), ("passing", "warning"))
            self.assertEqual(told["Because"], ["cache"])
        needs = {need["Name"]: need for need in self.of("web")["DependsOn"]}
        self.assertEqual(needs["db"]["Tag"], "primary")
        self.assertEqual(self.of("api")["DependsOn"][0]["Optional"], True)

    def test_a_graph_is_waited_for_with_its_index(self):
        self.register(web=["db"])
        before = self.coord.graph()
        self.assertEqual(before["Missing"], ["db"])
        told = []
        reader = threading.Thread(target=lambda: told.append(self.coord.graph(index=before.index, wait="60s")))
        reader.start()
        with self.consul() as other:
            other.agent.service.register("db")
        reader.join(60)
        self.assertEqual(told[0]["Missing"], [])
        self.assertGreater(int(told[0].index), int(before.index))

    def test_one_service_is_told_with_all_around_it(self):
        self.register(web=["api"], api=["db"], db=(), other=())
        around = self.coord.graph("api")
        self.assertEqual([each["Name"] for each in around["Needs"]], ["db"])
        self.assertEqual([each["Name"] for each in around["NeededBy"]], ["web"])
        self.assertIsNone(self.coord.graph("nobody"))
        with self.assertRaises(module.ConsulException):
            self.coord.graph("")

    def test_a_cycle_is_refused_as_a_whole_and_named(self):
        self.register(web=["api"], api=["db"])
        with self.assertRaisesRegex(module.BadRequest, "dependency cycle: .*web.*api.*db"):
            self.register(db=["web"])
        self.assertNotIn("db", self.client.agent.services())
        with self.assertRaisesRegex(module.BadRequest, "dependency cycle: self -> self"):
            self.service.register("self", depends_on=["self?"])

    def test_dependencies_are_names_or_dicts(self):
        for wrong in ("db", b"db", {"Name": "db"}, [5], 5):
            with self.assertRaises(TypeError):
                self.service.register("web", depends_on=wrong)
        with self.assertRaises(module.BadRequest):
            self.service.register("web", depends_on=[{"Name": "db", "Colour": "red"}])

    def test_metadata_of_any_client_counts_as_well(self):
        self.service.register("web", meta={"depends-on": "db, cache?"})
        self.assertEqual(sorted(self.coord.graph()["Missing"]), ["cache", "db"])

    def test_the_graph_is_drawn_as_text(self):
        self.register(web=["db", "cache?"], db=())
        self.assertIn("digraph", self.coord.draw())
        mermaid = self.coord.draw("mermaid", name="web")
        self.assertIn("web", mermaid)
        with self.assertRaises(module.ConsulException):
            self.coord.draw("paint")
        with self.assertRaises(module.NotFound):
            self.coord.draw("dot", name="nobody")

    def test_the_order_to_start_in_is_that_of_the_waves(self):
        self.register(web=["api"], api=["db", "cache?"], db=(), batch=["db"])
        self.assertEqual(self.coord.start_order(), ["db", "api", "batch", "web"])
        # Also where they depend on each other only by way of another one.
        self.assertEqual(self.coord.start_order(["web", "db"]), ["db", "web"])
        self.assertEqual(self.coord.start_order(["web", "cache"]), ["cache", "web"])
        self.assertEqual(self.coord.start_order([]), [])
        with self.assertRaisesRegex(module.ConsulException, "no service \"typo\" is registered"):
            self.coord.start_order(["web", "typo"])
        with self.assertRaises(TypeError):
            self.coord.start_order("web")

    def test_a_wait_ends_once_all_that_is_required_passes(self):
        self.service.register("db", check={"ttl": "600s"})
        self.register(web=["api", "music?"], api=["db"])
        with self.assertRaisesRegex(TimeoutError, "db") as caught:
            self.coord.wait_ready("web", timeout=0.05)
        self.assertIsInstance(caught.exception, module.Timeout)
        told = []
        waiter = threading.Thread(target=lambda: told.append(self.coord.wait_ready("web", timeout=60)))
        waiter.start()
        with self.consul() as other:
            other.agent.check.ttl_pass("service:db")
        waiter.join(60)
        self.assertEqual(told, [True])

    def test_a_wait_for_who_is_not_registered_says_so(self):
        with self.assertRaisesRegex(module.Timeout, "nobody"):
            self.coord.wait_ready("nobody", timeout=0.05)
        for wrong in (-1, float("nan")):
            with self.assertRaises(ValueError):
                self.coord.wait_ready("web", timeout=wrong)

    def test_closing_the_client_ends_a_wait(self):
        client, ended = self.consul(), []

        def wait():
            try:
                client.coord.wait_ready("nobody")
            except module.exceptions.CoordError as error:
                ended.append(error)

        waiter = threading.Thread(target=wait)
        waiter.start()
        client.close()
        waiter.join(60)
        self.assertEqual(len(ended), 1)

    def test_ctrl_c_ends_a_wait_and_the_client_still_works(self):
        process = subprocess.Popen(
            [sys.executable, "-c", WAITING], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
        )
        try:
            said, address = process.stdout.readline().split()
            self.assertEqual(said, "waiting")
            eventually("the call waits", lambda: blocking_queries(address))
            process.send_signal(signal.SIGINT)
            said, complained = process.communicate(timeout=60)
        finally:
            process.kill()
            process.wait()
        self.assertEqual((said, complained), ("interrupted\nTrue\n", ""))

    def test_the_example_tells_the_order_and_who_suffers(self):
        environment = dict(os.environ, CONSUL_HTTP_ADDR=self.server.http)
        done = run_python((EXAMPLES / "start_order.py").read_text(), env=environment)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        self.assertEqual(done.stdout.splitlines(), [
            "start ['db', 'api', 'web']",
            "api is critical because of ['db']",
            "db is critical because of itself",
            "web is critical because of ['db']",
        ])  # fmt: skip


class WithoutAGraph(unittest.TestCase):
    def test_a_server_that_keeps_none_is_told_in_words(self):
        import http.server

        class Genuine(http.server.BaseHTTPRequestHandler):
            def do_GET(self):
                self.send_error(404)

            def log_message(self, *_):
                pass

        with http.server.HTTPServer(("127.0.0.1", 0), Genuine) as server:
            thread = threading.Thread(target=server.serve_forever)
            thread.start()
            try:
                with Consul("127.0.0.1", server.server_port) as client:
                    for call in (
                        client.coord.graph, client.coord.draw, client.coord.start_order,
                        lambda: client.coord.graph("web"), lambda: client.coord.wait_ready("web", 60),
                    ):  # fmt: skip
                        with self.assertRaisesRegex(module.ConsulException, "has no service graph"):
                            call()
            finally:
                server.shutdown()
                thread.join()


if __name__ == "__main__":
    unittest.main()
