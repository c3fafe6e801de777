"""go-zookeeper's own test-suite, unchanged, on members of ours.

Its tests start servers with ZooKeeper's script `zkServer.sh`, each with a `zoo.cfg` that they
write. Here that script starts one of ours with the same file.
"""

import os
import pathlib
import re
import shutil
import subprocess
import unittest

from member import coord
from programs import made, tool

MODULE = "github.com/go-zookeeper/zk@v1.0.4"
PASSED_MIN = 40
# Tests that are not asked for, and why.
LEFT_OUT = {}
# As much of ZooKeeper's script as the tests use: `start-foreground FILE`, and the Java options
# that say who is superuser.
SCRIPT = """#!/bin/sh
super=$(echo "$SERVER_JVMFLAGS" | sed -n 's/.*superDigest=\\([^ ]*\\).*/\\1/p')
exec "$COORD_BIN" server --config "$2" --http-addr off --dns-addr off --set "auth.super_digest=$super"
"""


def sources():
    """The module as the proxy delivers it, in a folder that can be written to."""

    def make(folder):
        cache = folder / "cache"
        environment = dict(os.environ, GOFLAGS="-mod=mod -modcacherw", GOMODCACHE=str(cache))
        tool("go", "mod", "download", MODULE, cwd=folder, env=dict(environment, GO111MODULE="on"))
        shutil.move(next(cache.glob("github.com/go-zookeeper/zk@*")), folder / "zk")
        script = folder / "bin" / "zkServer.sh"
        script.parent.mkdir()
        script.write_text(SCRIPT)
        script.chmod(0o755)

    return made("go-zookeeper-sources", [pathlib.Path(__file__)], make)


class GoZookeeperSuite(unittest.TestCase):
    def test_every_test_of_go_zookeeper_passes(self):
        folder = sources()
        environment = dict(
            os.environ, COORD_BIN=str(coord()), ZOOKEEPER_BIN_PATH=str(folder / "bin"),
            ZK_VERSION="3.9.3", GOFLAGS="-mod=mod",
        )
        command = ["go", "test", "-count=1", "-v", "-timeout=500s", "./..."]
        if LEFT_OUT:
            command.insert(-1, "-skip=^(" + "|".join(LEFT_OUT) + ")$")
        done = subprocess.run(
            command,
            cwd=folder / "zk",
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="replace",
        )
        told = re.findall(r"^--- (PASS|FAIL|SKIP): (\S+)", done.stdout, re.M)
        passed = [name for verdict, name in told if verdict == "PASS"]
        others = [f"{verdict} {name}" for verdict, name in told if verdict != "PASS"]
        print(f"\n  go-zookeeper's own tests: {len(passed)} passed", *others, flush=True)
        for name, why in LEFT_OUT.items():
            print(f"  left out: {name}: {why}", flush=True)
        self.assertEqual((0, []), (done.returncode, others), done.stdout[-20000:])
        self.assertGreaterEqual(len(passed), PASSED_MIN)


if __name__ == "__main__":
    unittest.main()
