"""npm's `consul` package, unchanged. The tests are in `node/`."""

import os
import pathlib
import re
import subprocess
import unittest

from consul_server import consul_server
from member import target

PROGRAM = pathlib.Path(__file__).resolve().parent / "node" / "consul_client.js"
# Pinned as the Python clients are.
PACKAGES = ["consul@2.0.1", "papi@1.1.2", "uuid@10.0.0"]


class NodeConsul(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = target() / "conformance" / "node"
        folder.mkdir(parents=True, exist_ok=True)
        install = ["npm", "install", "--prefix", str(folder), "--no-save", "--no-package-lock",
                   "--no-audit", "--no-fund", "--silent", *PACKAGES]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL, timeout=300)
        cls.server = consul_server().__enter__()
        cls.environment = dict(os.environ)
        cls.environment["NODE_PATH"] = str(folder / "node_modules")
        cls.environment["CONSUL_HTTP_ADDR"] = "%s:%d" % cls.server.members[0].http_address

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def run_one(self, name):
        done = subprocess.run(
            ["node", str(PROGRAM), name], env=self.environment, capture_output=True, text=True,
            timeout=60,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)


def add_tests():
    for name in re.findall(r"^tests\.(\w+) = ", PROGRAM.read_text(), re.M):
        setattr(NodeConsul, f"test_{name}", lambda self, name=name: self.run_one(name))


add_tests()

if __name__ == "__main__":
    unittest.main()
