"""Requests of a client to one member in trouble, and the answers.

They use connections opened before the fault, and new ones once those are closed:
a write in a ZooKeeper session, a write of a Consul key, and a read that needs
neither a leader nor a session.
"""

import collections
import http.client
import socket

import jute
from load import TOP

TIMEOUT_MS = 6000
PATIENCE_S = 2.0
REFUSED, CLOSED, SILENT, DONE = "refused", "closed", "no answer", "done"


class Questions:
    def __init__(self, member):
        self.member = member
        self.zookeeper = self.consul = None
        self.number = 0
        self.said = {}  # What refusals over HTTP said, in order.
        self.reset()

    def reset(self):
        self.writes = collections.Counter()
        self.reads = collections.Counter()

    def once(self):
        self.writes[self.write()] += 1
        self.writes[self.key()] += 1
        self.reads[self.read()] += 1

    def write(self):
        """Creates a znode."""
        try:
            if self.zookeeper is None:
                self.zookeeper = jute.Connection(self.member.zk_address, TIMEOUT_MS, patience=PATIENCE_S)
                if self.zookeeper.session == 0:
                    self.forget()
                    return REFUSED
            self.number += 1
            error = self.zookeeper.create(f"{TOP}/tried-{id(self)}-{self.number}", b"x" * 100)
            return REFUSED if error else DONE
        except socket.timeout:
            self.forget()
            return SILENT
        except OSError:
            self.forget()
            return CLOSED

    def forget(self):
        if self.zookeeper is not None:
            self.zookeeper.close()
        self.zookeeper = None

    def key(self):
        """Puts a key."""
        status, body = self.over_http("PUT", "/v1/kv/faults/tried", b"x" * 100)
        if isinstance(status, str):
            return status
        if status == 200:
            return DONE
        self.said[f"{status} {body[:200].decode(errors='replace').strip()}"] = True
        return REFUSED

    def read(self):
        status, _ = self.over_http("GET", "/v1/kv/faults?keys&separator=/&stale")
        return status if isinstance(status, str) else "answered" if status in (200, 404) else REFUSED

    def over_http(self, method, path, body=None):
        """Status and body, or what became of it instead."""
        try:
            if self.consul is None:
                self.consul = http.client.HTTPConnection(*self.member.http_address, timeout=PATIENCE_S)
            self.consul.request(method, path, body)
            answer = self.consul.getresponse()
            return answer.status, answer.read()
        except (OSError, http.client.HTTPException) as error:
            self.consul.close()
            self.consul = None
            return SILENT if isinstance(error, socket.timeout) else CLOSED, b""
