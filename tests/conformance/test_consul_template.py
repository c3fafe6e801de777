"""consul-template, unchanged: files that follow services and keys."""

import http.client
import json
import pathlib
import subprocess
import tempfile
import unittest

from consul_server import consul_server
from member import eventually
from programs import HERE, made, tool

TEMPLATE = """\
greeting = {{ key "config/greeting" }}
{{ range ls "config/limits" }}limit {{ .Key }} = {{ .Value }}
{{ end }}{{ range service "web|passing,warning" }}server {{ .Name }} {{ .Address }}:{{ .Port }}
{{ end }}{{ range services }}{{ if .Name | regexMatch "^web" }}known {{ .Name }}
{{ end }}{{ end }}"""


def consul_template():
    """The program, by the versions that its folder pins."""
    pins = [HERE / "go-template" / name for name in ("go.mod", "go.sum")]

    def make(folder):
        package = "github.com/hashicorp/consul-template"
        tool("go", "build", "-o", folder / "consul-template", package, cwd=HERE / "go-template")

    return made("consul-template", pins, make) / "consul-template"


class ConsulTemplate(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.program = consul_template()
        cls.server = consul_server().__enter__()
        cls.addClassCleanup(cls.server.__exit__)
        cls.address = cls.server.members[0].http_address

    def call(self, method, path, body):
        connection = http.client.HTTPConnection(*self.address, timeout=30)
        connection.request(method, path, body if isinstance(body, str) else json.dumps(body))
        answer = connection.getresponse()
        self.assertEqual(200, answer.status, answer.read())
        connection.close()

    def register(self, number, status):
        check = {"CheckID": f"web-{number}", "Name": "web", "Status": status, "ServiceID": "web"}
        address = f"10.9.0.{number}"
        self.call("PUT", "/v1/catalog/register", {
            "Node": f"template-{number}", "Address": address,
            "Service": {"Service": "web", "Port": 8000 + number, "Address": address}, "Check": check,
        })  # fmt: skip

    def test_files_follow_services_and_keys(self):
        self.call("PUT", "/v1/kv/config/greeting", "hello")
        self.call("PUT", "/v1/kv/config/limits/cpu", "2")
        self.register(1, "passing")
        with tempfile.TemporaryDirectory() as top:
            template, written, log = (pathlib.Path(top) / name for name in ("in.tpl", "out", "log"))
            template.write_text(TEMPLATE)
            with open(log, "wb") as heard:
                process = subprocess.Popen(
                    [self.program, "-consul-addr=%s:%d" % self.address, f"-template={template}:{written}"],
                    stdin=subprocess.DEVNULL, stdout=heard, stderr=heard,
                )  # fmt: skip

            def becomes(*lines):
                def is_so():
                    self.assertIsNone(process.poll(), "it ended")
                    return written.exists() and written.read_text().splitlines() == list(lines)

                try:
                    eventually(f"the file says {lines}", is_so, 60)
                except AssertionError as error:
                    there = written.read_text() if written.exists() else "none"
                    raise AssertionError(f"{error}\n{there}\n{log.read_text()}") from None

            first = "server web 10.9.0.1:8001"
            try:
                becomes("greeting = hello", "limit cpu = 2", first, "known web")
                self.call("PUT", "/v1/kv/config/greeting", "good evening")
                becomes("greeting = good evening", "limit cpu = 2", first, "known web")
                self.call("PUT", "/v1/kv/config/limits/memory", "64")
                self.register(2, "warning")
                second = "server web 10.9.0.2:8002"
                limits = ["limit cpu = 2", "limit memory = 64"]
                becomes("greeting = good evening", *limits, first, second, "known web")
                # What is critical is no server any more, and what is gone is none.
                self.register(1, "critical")
                becomes("greeting = good evening", *limits, second, "known web")
                self.call("DELETE", "/v1/kv/config/limits?recurse", "")
                self.call("PUT", "/v1/catalog/deregister", {"Node": "template-1"})
                self.call("PUT", "/v1/catalog/deregister", {"Node": "template-2"})
                becomes("greeting = good evening")
            finally:
                process.kill()
                process.wait()


if __name__ == "__main__":
    unittest.main()
