"""What the tests of the Python modules share."""

import contextlib
import json
import pathlib
import socket
import subprocess
import sys
import threading
import time
import unittest
import urllib.request

import libcoord
from consul import Consul
from zk import ZK

EXAMPLES = pathlib.Path(__file__).resolve().parents[2] / "examples" / "python"
LONG = 30.0


def eventually(what, condition, seconds=LONG):
    """The first true value of `condition()`; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {what}")
        time.sleep(0.005)


def consul_of(address, **options):
    """A Consul client of `host:port`."""
    host, port = address.rsplit(":", 1)
    return Consul(host, int(port), **options)


def blocking_queries(address):
    """How many requests wait for a change at the member at `host:port`."""
    with urllib.request.urlopen(f"http://{address}/v1/agent/metrics", timeout=LONG) as answer:
        gauges = json.load(answer)["Gauges"]
    return next(g["Value"] for g in gauges if g["Name"] == "consul.rpc.queries_blocking")


def run_python(text, *arguments, flags=(), **options):
    """Runs a program in an interpreter of its own."""
    command = [sys.executable, "-X", "faulthandler", *flags, "-c", text, *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=60, **options)


class Events:
    """A watch function that remembers what it was called with."""

    def __init__(self):
        self.seen = []

    def __call__(self, event):
        self.seen.append(event)

    def wait_for(self, count):
        eventually(f"{count} events", lambda: len(self.seen) >= count)
        return [(event.type, event.path) for event in self.seen]


class WithServer(unittest.TestCase):
    """Tests that share one member."""

    settings = {}

    @classmethod
    def setUpClass(cls):
        cls.server = libcoord.Server(settings=cls.settings)
        cls.addClassCleanup(cls.server.stop)

    def zk(self, **options):
        client = ZK(options.pop("hosts", self.server.zk), **options)
        self.addCleanup(client.close)
        return client

    def consul(self, **options):
        client = consul_of(self.server.http, **options)
        self.addCleanup(client.close)
        return client


class Relay:
    """A way to a server that can be cut and mended."""

    def __init__(self, address):
        host, port = address.rsplit(":", 1)
        self.target = (host, int(port))
        self.open = True
        self.pairs = []
        self.listener = socket.create_server(("127.0.0.1", 0))
        self.address = "127.0.0.1:%d" % self.listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def cut(self):
        """Ends all connections and lets no new one through."""
        self.open = False
        self.drop()

    def drop(self):
        """Ends all connections; new ones pass."""
        pairs, self.pairs = self.pairs, []
        for one in [end for pair in pairs for end in pair]:
            with contextlib.suppress(OSError):
                one.shutdown(socket.SHUT_RDWR)

    def mend(self):
        self.open = True

    def close(self):
        self.cut()
        self.listener.close()

    def _accept(self):
        while True:
            try:
                near, _ = self.listener.accept()
            except OSError:
                return
            if not self.open:
                near.close()
                continue
            far = socket.create_connection(self.target)
            self.pairs.append((near, far))
            for source, sink in ((near, far), (far, near)):
                threading.Thread(target=self._copy, args=(source, sink), daemon=True).start()

    @staticmethod
    def _copy(source, sink):
        with contextlib.suppress(OSError):
            while True:
                data = source.recv(65536)
                if not data:
                    break
                sink.sendall(data)
        with contextlib.suppress(OSError):
            sink.shutdown(socket.SHUT_RDWR)
        source.close()
