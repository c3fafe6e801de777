"""What Consul's clients are tried against: a member of ours, or a genuine agent.

The tests are the same. With CONSUL_PEER naming the genuine command they tell
what Consul answers, which is how they were checked; see `make
conformance-consul`.
"""

import contextlib
import json
import os
import pathlib
import signal
import subprocess
import tempfile
import urllib.request

from member import Cluster, eventually, free_ports, target


def is_genuine():
    """Whether the tests run against the genuine one now."""
    return "CONSUL_PEER" in os.environ


# Of the genuine one that Debian has.
GENUINE_VERSION = (1, 8)


def since(version):
    """Whether what Consul does since `version` is to be expected: of ours always.

    Where nothing says which release brought it, it is the one that it was seen
    with, 1.16.
    """
    return not is_genuine() or GENUINE_VERSION >= tuple(map(int, version.split(".")))


def consul_server(dns=False, settings=()):
    """One server for the length of a `with` block, scripts allowed."""
    if is_genuine():
        return GenuineConsul()
    return Cluster(settings=["agent.enable_script_checks=true", *settings], dns=dns)


class GenuineConsul:
    """A genuine Consul, alone, as `Cluster` is with one member."""

    def __init__(self, command=None):
        self.command = command or os.environ["CONSUL_PEER"]
        base = target() / "conformance"
        base.mkdir(parents=True, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(prefix="consul-", dir=base)
        self.members = [self]
        self.process = None

    def __enter__(self):
        top = pathlib.Path(self.folder.name)
        http, dns, lan, wan, server = free_ports(5)
        self.http_address, self.dns_address = ("127.0.0.1", http), ("127.0.0.1", dns)
        ports = {"http": http, "dns": dns, "serf_lan": lan, "serf_wan": wan, "server": server, "grpc": -1}
        settings = {
            "server": True, "bootstrap_expect": 1, "data_dir": str(top / "data"),
            "bind_addr": "127.0.0.1", "ports": ports, "enable_script_checks": True,
            "disable_update_check": True, "log_level": "WARN",
            "performance": {"raft_multiplier": 1}, "limits": {"http_max_conns_per_client": 15000},
            "telemetry": {"prometheus_retention_time": "1h"},
            # Ours says without being asked that an answer was cut.
            "dns_config": {"enable_truncate": True},
        }
        (top / "consul.json").write_text(json.dumps(settings))
        with open(top / "log", "wb") as log:
            self.process = subprocess.Popen(
                [self.command, "agent", "-config-file", str(top / "consul.json")],
                stdin=subprocess.DEVNULL, stdout=log, stderr=log,
            )
        try:
            eventually("the genuine Consul serves", self.serves)
        except BaseException:
            print((top / "log").read_text())
            self.__exit__()
            raise
        return self

    def serves(self):
        """Whether there is a leader and its node is in the catalog."""
        base = "http://%s:%d/v1/" % self.http_address
        with contextlib.suppress(OSError, ValueError):
            with urllib.request.urlopen(base + "health/state/passing", timeout=2) as answer:
                return any(check["CheckID"] == "serfHealth" for check in json.load(answer))
        return False

    def __exit__(self, *_):
        if self.process:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()
        self.folder.cleanup()

    def said(self):
        """What it wrote, for a failing test."""
        return (pathlib.Path(self.folder.name) / "log").read_text(errors="replace")
