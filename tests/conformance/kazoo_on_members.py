"""A pytest plugin that hands kazoo's own test-suite members of ours.

The suite starts and stops ZooKeeper servers through one function of its
harness; here that function gives a cluster with the same methods. Nothing
else of the suite is touched.
"""

import atexit

import kazoo.testing.harness as harness

from member import Cluster


class Server:
    """A member with the methods of kazoo's managed server."""

    def __init__(self, member):
        self.member = member

    @property
    def running(self):
        process = self.member.process
        return process is not None and process.poll() is None

    @property
    def address(self):
        return self.member.zk

    @property
    def secure_address(self):
        raise NotImplementedError("no port with TLS is asked for")

    @property
    def client_port(self):
        return self.member.zk_address[1]

    def run(self):
        if not self.running:
            self.member.start()

    def stop(self):
        self.member.stop()


class Servers:
    """A cluster with the methods of kazoo's managed one."""

    def __init__(self):
        self.begin()

    def begin(self):
        self.cluster = Cluster(3)
        self.servers = [Server(member) for member in self.cluster.members]
        # Members say their addresses once they serve; the suite asks before.
        self.cluster.__enter__()

    def __getitem__(self, number):
        return self.servers[number]

    def __iter__(self):
        return iter(self.servers)

    def start(self):
        if self.cluster is None:
            self.begin()
        for server in self.servers:
            server.run()
        for member in self.cluster.members:
            member.wait_ready()

    def stop(self):
        for server in self.servers:
            server.stop()

    def terminate(self):
        """Ends this cluster with what it kept; the next start is of another."""
        self.cluster.__exit__()
        self.cluster = None

    def get_logs(self):
        return self.cluster.logs().splitlines()


def members():
    if members.servers is None:
        members.servers = Servers()
        atexit.register(lambda: members.servers.cluster and members.servers.terminate())
    return members.servers


members.servers = None
harness.get_global_cluster = members
