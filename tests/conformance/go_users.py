"""Users of Consul written in Go, unchanged. What they do is told by Go's own
tests in a folder here; each becomes a test of its own, on members of its own,
so that a failure has a name and none finds what another left."""

import os
import pathlib
import re
import subprocess

from consul_server import GenuineConsul, is_genuine
from member import Cluster, target

HERE = pathlib.Path(__file__).resolve().parent
BUILD_SECONDS_MAX = 1800
TEST_SECONDS_MAX = 300


def built(folder, package="."):
    """The test program of a package, by the versions which that folder pins."""
    name = "tests" if package == "." else package.split("/", 3)[-1].replace("/", "-")
    program = target() / "conformance" / folder / f"{name}.test"
    program.parent.mkdir(parents=True, exist_ok=True)
    build = ["go", "test", "-c", "-o", str(program), package]
    subprocess.run(build, cwd=HERE / folder, check=True, stdin=subprocess.DEVNULL, timeout=BUILD_SECONDS_MAX)
    return program


def names_in(folder):
    """The tests in that folder. Those about the leader are for clusters only."""
    for source in sorted((HERE / folder).glob("*_test.go")):
        for name in re.findall(r"^func (Test\w+)\(t \*testing\.T\)", source.read_text(), re.M):
            if not (is_genuine() and "Leader" in name):
                yield name


def python_name(name):
    words = re.sub(r"([A-Z])", r"_\1", name).lower().strip("_")
    return re.sub(r"\W|__+", "_", words)


class GoUser:
    """For each test class: `folder`, and `add_tests` once it is there."""

    @classmethod
    def setUpClass(cls):
        cls.program = built(cls.folder)

    @classmethod
    def add_tests(cls):
        for name in names_in(cls.folder):
            setattr(cls, python_name(name), lambda self, name=name: self.run_one(self.program, name))

    def run_one(self, program, name, **more):
        """Runs one test by itself. It finds a member to ask, another one, and who leads."""
        with GenuineConsul() if is_genuine() else Cluster(3) as servers:
            environment = {**os.environ, **more}
            if is_genuine():
                asked = other = servers
            else:
                leader = servers.leader()
                asked, other = (member for member in servers.members if member is not leader)
                environment["CONSUL_LEADER_ADDR"] = leader.http
                environment["CONSUL_LEADER_PID"] = str(leader.process.pid)
            environment["CONSUL_HTTP_ADDR"] = "%s:%d" % asked.http_address
            environment["CONSUL_OTHER_ADDR"] = "%s:%d" % other.http_address
            pattern = "/".join(f"^{part}$" for part in name.split("/"))
            done = subprocess.run(
                [str(program), "-test.run", pattern, "-test.v"],
                env=environment, capture_output=True, text=True, timeout=TEST_SECONDS_MAX,
            )
            logs = "" if is_genuine() or not done.returncode else servers.logs()
            self.assertEqual(0, done.returncode, done.stdout + done.stderr + logs)
            self.assertIn(f"--- PASS: {name}", done.stdout)
