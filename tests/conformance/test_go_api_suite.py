"""The own tests of Consul's client for Go, unchanged but for one line, on members of ours.

Each starts an agent with the command `consul`; here that is `consul_in_front_of_coord.py`. The
line left out waits for the certificates of a service mesh, before any test that needs none. What
does not pass is in `FAILS`, with its reason: a test that passes although it stands there, and one
that fails although it does not, both fail this suite.
"""

import collections
import concurrent.futures
import json
import os
import pathlib
import re
import shutil
import subprocess
import unittest

from go_api_fails import FAILS
from member import coord
from programs import HERE, made, tool

MODULE = "github.com/hashicorp/consul/api@v1.26.1"
WAITS_FOR_CERTIFICATES = "\t\tserver.WaitForActiveCARoot(t)\n"
SECONDS_MAX = 120
AT_ONCE = 3
# The tests give an agent two seconds to start. Those that fail are run again by themselves.
ATTEMPTS_ALONE = 3


def sources():
    """A folder with the built tests and with our `consul`."""
    own = [pathlib.Path(__file__), HERE / "consul_in_front_of_coord.py"]

    def make(folder):
        told = subprocess.run(
            ["go", "mod", "download", "-json", MODULE], cwd=folder, check=True, stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE, env=dict(os.environ, GOFLAGS="-mod=mod", GO111MODULE="on"),
        )  # fmt: skip
        module = folder / "api"
        shutil.copytree(json.loads(told.stdout)["Dir"], module)
        # What is in Go's cache is for reading only.
        for path in [module, *module.rglob("*")]:
            path.chmod(path.stat().st_mode | 0o200)
        test = module / "api_test.go"
        text = test.read_text()
        assert text.count(WAITS_FOR_CERTIFICATES) == 1, "the line that is left out is another one"
        test.write_text(text.replace(WAITS_FOR_CERTIFICATES, "\t\t_ = server\n"))
        tool("go", "test", "-c", "-o", folder / "api.test", ".", cwd=module)
        (folder / "bin").mkdir()
        shutil.copy(own[1], folder / "bin" / "consul")
        (folder / "bin" / "consul").chmod(0o755)

    return made("go-api-sources", own, make)


class GoApiSuite(unittest.TestCase):
    maxDiff = None

    def test_every_test_of_consuls_client_for_go_does_as_the_table_says(self):
        folder = sources()
        environment = dict(
            os.environ, COORD_BIN=str(coord()), PATH=f"{folder / 'bin'}:{os.environ['PATH']}"
        )

        def command(*arguments):
            return subprocess.run(
                [folder / "api.test", *arguments], cwd=folder / "api", env=environment,
                stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT,
                text=True, errors="replace",
            )  # fmt: skip

        def run(name):
            done = command("-test.v", f"-test.run=^{name}$", f"-test.timeout={SECONDS_MAX}s")
            told = re.search(rf"^--- (PASS|SKIP): {name} ", done.stdout, re.M)
            return (told.group(1) if told else "FAIL"), done.stdout

        expected = {name: why for why, names in FAILS.items() for name in names}
        listed = [name for name in command("-test.list=.").stdout.split() if name.startswith("Test")]
        with concurrent.futures.ThreadPoolExecutor(AT_ONCE) as pool:
            ran = dict(zip(listed, pool.map(run, listed)))
        for name in listed:
            for _ in range(ATTEMPTS_ALONE):
                if ran[name][0] == "FAIL" and name not in expected:
                    ran[name] = run(name)
        counts = collections.Counter(verdict for verdict, _ in ran.values())
        print(f"\n  {MODULE}: {len(listed)} tests,", dict(counts), flush=True)
        for why, names in FAILS.items():
            print(f"  {len(names):3} fail: {why}", flush=True)
        unexpected = [name for name, (verdict, _) in ran.items() if verdict == "FAIL" and name not in expected]
        passed = [name for name in expected if ran.get(name, ("gone", ""))[0] != "FAIL"]
        for name in unexpected:
            print(f"\n--- {name}\n{ran[name][1][-3000:]}", flush=True)
        wrong = {"fail and are not in the table": unexpected, "are in the table and do not fail": passed}
        self.assertEqual({}, {why: names for why, names in wrong.items() if names}, json.dumps(wrong))
        self.assertGreater(counts["PASS"], 100)


if __name__ == "__main__":
    unittest.main()
