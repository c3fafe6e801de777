"""The two programs of the documents, and other examples."""

import os
import unittest

from support import EXAMPLES, WithServer, run_python

ZK_PROGRAM = """\
from zk import ZK
zk = ZK('localhost:2181')
zk.create('/test', b'data', ephemeral=True)
zk.get('/test')
"""

CONSUL_PROGRAM = """\
from consul import Consul
consul = Consul()
consul.agent.service.register('test', '127.0.0.1:8500')   # service "test" at 127.0.0.1 port 8500
consul.agent.service.deregister('test')
"""


class TheDocuments(WithServer):
    # `make demo` runs the files themselves, on the default ports.

    def test_the_files_are_the_documents_programs_byte_for_byte(self):
        zk, consul = (EXAMPLES / f"document_{name}.py" for name in ("zk", "consul"))
        self.assertEqual(zk.read_text().rstrip("\n"), ZK_PROGRAM.rstrip("\n"))
        self.assertEqual(consul.read_text().rstrip("\n"), CONSUL_PROGRAM.rstrip("\n"))

    def test_the_zookeeper_program_runs_and_its_ephemeral_goes_with_it(self):
        program = ZK_PROGRAM.replace("localhost:2181", self.server.zk)
        done = run_python(program + "\nprint(zk.get('/test')[0], zk.exists('/test').version)")
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        self.assertEqual(done.stdout, "b'data' 0\n")
        self.assertIsNone(self.zk().exists("/test"))

    def test_the_consul_program_runs_and_leaves_no_instance(self):
        environment = dict(os.environ, CONSUL_HTTP_ADDR=self.server.http)
        marked = CONSUL_PROGRAM.replace(
            "consul.agent.service.deregister", "print(consul.agent.services())\nprint(consul.agent.service.deregister"
        ).rstrip() + ")\n"
        for program in (CONSUL_PROGRAM, marked):
            # Also for who takes warnings for errors: it is a form that is promised.
            for flags in ((), ("-W", "error")):
                done = run_python(program, flags=flags, env=environment)
                self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        self.assertIn("'Address': '127.0.0.1'", done.stdout)
        self.assertIn("'Port': 8500", done.stdout)
        self.assertIn("'ID': 'test'", done.stdout)
        self.assertTrue(done.stdout.endswith("True\n"), done.stdout)
        consul = self.consul()
        self.assertEqual(consul.agent.services(), {})
        self.assertEqual(consul.catalog.service("test")[1], [])


class OtherExamples(WithServer):
    def test_a_configuration_is_changed_as_one_and_nobodys_change_is_lost(self):
        program = EXAMPLES / "change_configuration.py"
        done = run_python(program.read_text(), self.server.zk)
        self.assertEqual((done.returncode, done.stderr), (0, ""), done.stderr)
        first, last = done.stdout.splitlines()
        self.assertEqual(first, "somebody else was faster: once more")
        self.assertEqual(last, "[('host', 'db2'), ('owner', 'ann'), ('socket', '/run/db2')]")
        self.assertIsNone(self.zk().exists("/shop"))


if __name__ == "__main__":
    unittest.main()
