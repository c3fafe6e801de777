"""The genuine `consul` command, as Debian packages it, against a member of ours."""

import base64
import contextlib
import json
import os
import pathlib
import subprocess
import tempfile
import unittest

from debian import consul_command
from member import Cluster, eventually


class ConsulCommand(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.command = str(consul_command())
        cls.cluster = Cluster().__enter__()
        cls.environment = {**os.environ, "CONSUL_HTTP_ADDR": cls.cluster.members[0].http}
        cls.folder = tempfile.TemporaryDirectory()

    @classmethod
    def tearDownClass(cls):
        cls.folder.cleanup()
        cls.cluster.__exit__()

    def consul(self, *arguments, code=0, stdin=None):
        """What the command says; it must end with `code`."""
        done = subprocess.run(
            [self.command, *arguments], env=self.environment, input=stdin,
            capture_output=True, text=True, timeout=60,
        )
        said = done.stdout + done.stderr
        self.assertEqual(code, done.returncode, f"{arguments}: {said}")
        return said.strip()

    def file(self, name, text=None):
        path = pathlib.Path(self.folder.name) / name
        if text is not None:
            path.write_text(text)
        return str(path)

    def test_kv(self):
        self.assertEqual("Success! Data written to: cli/a", self.consul("kv", "put", "-flags=42", "cli/a", "one"))
        self.assertEqual("one", self.consul("kv", "get", "cli/a"))
        detailed = self.consul("kv", "get", "-detailed", "cli/a")
        self.assertRegex(detailed, r"Flags +42")
        index = next(line.split()[1] for line in detailed.splitlines() if line.startswith("ModifyIndex"))
        self.assertEqual("Error! No key exists at: cli/none", self.consul("kv", "get", "cli/none", code=1))
        refused = self.consul("kv", "put", "-cas", "-modify-index=1", "cli/a", "no", code=1)
        self.assertEqual("Error! Did not write to cli/a: CAS failed", refused)
        self.consul("kv", "put", "-cas", f"-modify-index={index}", "cli/a", "two")
        self.consul("kv", "put", "cli/b/c", "-", stdin="piped")
        self.assertEqual("cli/a:two\ncli/b/c:piped", self.consul("kv", "get", "-recurse", "cli/"))
        self.assertEqual("cli/a\ncli/b/", self.consul("kv", "get", "-keys", "-separator=/", "cli/"))
        exported = self.consul("kv", "export", "cli/")
        self.assertEqual(["cli/a", "cli/b/c"], [entry["key"] for entry in json.loads(exported)])
        self.assertEqual("Success! Deleted keys with prefix: cli/", self.consul("kv", "delete", "-recurse", "cli/"))
        self.assertIn("Imported: cli/a", self.consul("kv", "import", "-", stdin=exported))
        self.assertEqual("two", self.consul("kv", "get", "cli/a"))
        self.assertEqual("Success! Deleted key: cli/a", self.consul("kv", "delete", "cli/a"))

    def test_services_and_catalog(self):
        definition = self.file("web.json", json.dumps({"service": {"name": "cli-web", "port": 80, "tags": ["a"]}}))
        self.assertEqual("Registered service: cli-web", self.consul("services", "register", definition))
        self.consul("services", "register", "-name=cli-flag", "-port=81")
        self.assertIn("cli-web", self.consul("catalog", "services").splitlines())
        self.assertRegex(self.consul("catalog", "services", "-tags"), r"cli-web +a")
        self.assertRegex(self.consul("catalog", "nodes", "-service=cli-web"), r"127\.0\.0\.1 +dc1")
        self.assertEqual("dc1", self.consul("catalog", "datacenters"))
        self.assertEqual("Deregistered service: cli-web", self.consul("services", "deregister", definition))
        self.consul("services", "deregister", "-id=cli-flag")
        self.assertNotIn("cli-web", self.consul("catalog", "services").splitlines())

    def test_watch(self):
        self.consul("kv", "put", "cli/watched", "seen")
        told = json.loads(self.consul("watch", "-type=key", "-key=cli/watched"))
        self.assertEqual("cli/watched", told["Key"])
        self.assertIn("consul", json.loads(self.consul("watch", "-type=services")))
        self.assertEqual(1, len(json.loads(self.consul("watch", "-type=nodes"))))
        self.assertEqual([], json.loads(self.consul("watch", "-type=checks", "-state=critical")))

    def test_a_watch_of_events_runs_once_per_event_whatever_else_is_fired(self):
        told = pathlib.Path(self.file("events"))
        watch = subprocess.Popen(
            [self.command, "watch", "-type=event", "-name=wanted", f"cat >> {told}"],
            env=self.environment, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )

        def heard():
            """The payloads in order; a run without events tells `[]`."""
            lines = filter(None, told.read_text().splitlines())
            with contextlib.suppress(ValueError):
                return [base64.b64decode(event["Payload"]) for line in lines for event in json.loads(line)]
            return None  # It is being written.

        try:
            eventually("the watch runs", told.exists)
            fired = []
            for number in range(5):
                for other in range(3):
                    self.consul("event", "-name=unrelated", f"{number}-{other}")
                payload = str(number)
                self.consul("event", "-name=wanted", payload)
                fired.append(payload.encode())
                eventually(f"{payload} is told", lambda: (heard() or [])[-1:] == fired[-1:])
                self.assertEqual(fired, heard())
        finally:
            watch.kill()
            watch.wait()

    def test_lock(self):
        held = self.consul("lock", "-shell=false", "cli/lock", self.command, "kv", "get", "-keys", "-separator=", "cli/lock")
        self.assertEqual("cli/lock/.lock", held)
        self.consul("lock", "-n=2", "cli/semaphore", "true")
        self.assertIn("exit status 3", self.consul("lock", "cli/lock", "exit 3"))

    def test_members_and_raft(self):
        self.assertRegex(self.consul("members"), r"alive +server +\S+ +\d +dc1")
        self.assertRegex(self.consul("operator", "raft", "list-peers"), r"leader +true")
        self.assertIn("leader = true", self.consul("info"))
        self.assertIn("Event ID: ", self.consul("event", "-name=cli"))
        self.assertIn("Configuration reload triggered", self.consul("reload"))
        self.consul("maint", "-enable", "-reason=r")
        self.assertIn("Reason: r", self.consul("maint"))
        self.consul("maint", "-disable")

    def test_the_configuration_of_a_mesh(self):
        entry = self.file("entry.hcl", 'kind = "service-defaults"\nname = "cli-web"\nprotocol = "http"\n')
        named = ("-kind", "service-defaults", "-name", "cli-web")
        self.assertEqual("Config entry written: service-defaults/cli-web", self.consul("config", "write", entry))
        read = json.loads(self.consul("config", "read", *named))
        self.assertEqual(("cli-web", "http"), (read["Name"], read["Protocol"]))
        self.assertEqual("cli-web", self.consul("config", "list", "-kind", "service-defaults"))
        self.assertEqual("Config entry deleted: service-defaults/cli-web", self.consul("config", "delete", *named))
        self.assertIn("Config entry not found", self.consul("config", "read", *named, code=1))
        created = self.consul("intention", "create", "-deny", "cli-web", "cli-db")
        self.assertEqual("Created: cli-web => cli-db (deny)", created)
        self.assertEqual("Denied", self.consul("intention", "check", "cli-web", "cli-db", code=1))
        self.assertEqual("Allowed", self.consul("intention", "check", "cli-other", "cli-db"))
        self.assertEqual("cli-web => cli-db (deny)", self.consul("intention", "match", "cli-db"))
        self.assertRegex(self.consul("intention", "get", "cli-web", "cli-db"), r"Action: +deny")
        self.consul("intention", "create", "-replace", "-allow", "cli-web", "cli-db")
        self.assertEqual("Allowed", self.consul("intention", "check", "cli-web", "cli-db"))
        self.assertEqual("Intention deleted.", self.consul("intention", "delete", "cli-web", "cli-db"))

    def test_snapshot(self):
        self.consul("kv", "put", "cli/kept", "yes")
        archive = self.file("state.snap")
        self.assertIn("Saved and verified snapshot to index", self.consul("snapshot", "save", archive))
        self.consul("kv", "delete", "cli/kept")
        self.assertEqual("Restored snapshot", self.consul("snapshot", "restore", archive))
        self.assertEqual("yes", self.consul("kv", "get", "cli/kept"))


if __name__ == "__main__":
    unittest.main()
