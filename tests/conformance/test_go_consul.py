"""Go's `api` package and its watch plans, unchanged. The tests are Go's own, in
`go/`; each is run by itself so that a failure has a name."""

import os
import pathlib
import re
import subprocess
import unittest

from consul_server import consul_server, is_genuine, since
from member import target

SOURCES = pathlib.Path(__file__).resolve().parent / "go"
BUILD_SECONDS_MAX = 400
# Of these the client sends fields that Consul knows since the version given.
NEWER = {
    "TestTransactions": "1.16",
    "TestTheCatalog": "1.16",
    "TestPreparedQueries": "1.16",
}
# A genuine server knows nothing of these.
OURS = {"TestDependenciesInMetadata"}


class GoConsul(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        folder = target() / "conformance" / "go"
        folder.mkdir(parents=True, exist_ok=True)
        cls.program = folder / "consul-api.test"
        build = ["go", "test", "-c", "-o", str(cls.program), "."]
        subprocess.run(build, cwd=SOURCES, check=True, timeout=BUILD_SECONDS_MAX)
        cls.server = consul_server().__enter__()
        cls.environment = dict(os.environ)
        cls.environment["CONSUL_HTTP_ADDR"] = "%s:%d" % cls.server.members[0].http_address

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    def run_one(self, name):
        done = subprocess.run(
            [str(self.program), "-test.run", f"^{name}$", "-test.v"],
            env=self.environment, capture_output=True, text=True, timeout=120,
        )
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        self.assertIn(f"--- PASS: {name}", done.stdout)


def add_tests():
    for source in sorted(SOURCES.glob("*_test.go")):
        for name in re.findall(r"^func (Test\w+)\(t \*testing\.T\)", source.read_text(), re.M):
            if not since(NEWER.get(name, "1.0")) or (name in OURS and is_genuine()):
                continue
            words = re.sub(r"([A-Z])", r"_\1", name).lower()
            setattr(GoConsul, words.lstrip("_"), lambda self, name=name: self.run_one(name))


add_tests()

if __name__ == "__main__":
    unittest.main()
