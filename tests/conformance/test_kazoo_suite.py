"""kazoo's own test-suite, unchanged, on members of ours: every recipe it has."""

import os
import pathlib
import re
import subprocess
import sys
import tarfile
import unittest

from programs import WritingProgram, carries_on_without_the_leader, made, tool

HERE = pathlib.Path(__file__).resolve().parent
KAZOO = "kazoo==2.11.0"
# Not asked for: other threading libraries, and what a cluster must be set up for.
LEFT_OUT = [
    "--ignore=kazoo/tests/test_gevent_handler.py",
    "--ignore=kazoo/tests/test_eventlet_handler.py",
    "--ignore=kazoo/tests/test_sasl.py",
    "--deselect=kazoo/tests/test_client.py::TestSSLClient",
    # Members do neither yet.
    "--deselect=kazoo/tests/test_client.py::TestReconfig",
    "--deselect=kazoo/tests/test_connection.py::TestReadOnlyMode",
]
# More than there are cores: most of its tests wait most of the time.
AT_ONCE = 3
PASSED_MIN = 300


def sources():
    """kazoo as its authors pack it: what pip installs has no tests."""

    def make(folder):
        tool(sys.executable, "-m", "pip", "download", "--quiet", "--no-deps", "--no-binary", ":all:",
             "--dest", folder, KAZOO)  # fmt: skip
        with tarfile.open(next(folder.glob("*.tar.gz"))) as packed:
            packed.extractall(folder)

    return next(made("kazoo-sources", [pathlib.Path(__file__)], make).glob("kazoo-*/"))


class KazooSuite(unittest.TestCase):
    def test_every_test_of_kazoo_passes(self):
        environment = dict(os.environ, PYTHONPATH=str(HERE), ZOOKEEPER_VERSION="3.9.3")
        done = subprocess.run(
            [
                sys.executable, "-m", "pytest", "-p", "kazoo_on_members", "-p", "no:cacheprovider",
                "-q", "-o", "log_cli=false", "--color=no", "--timeout=60",
                f"--numprocesses={AT_ONCE}", "--dist=worksteal", *LEFT_OUT, "kazoo/tests",
            ],
            cwd=sources(),
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.assertEqual(0, done.returncode, done.stdout[-20000:])
        passed = int(re.search(r"(\d+) passed", done.stdout).group(1))
        print(f"\n  kazoo's own tests: {passed} passed", flush=True)
        self.assertGreater(passed, PASSED_MIN)

    def test_kazoo_carries_on_when_the_leader_is_killed(self):
        program = [sys.executable, str(HERE / "kazoo_writer.py")]
        carries_on_without_the_leader(lambda hosts, folder: WritingProgram(program, hosts, folder))


if __name__ == "__main__":
    unittest.main()
