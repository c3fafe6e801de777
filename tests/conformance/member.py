"""Members as processes: start, kill, start again on the same ports.

A member writes one line once it serves:
    coord ready zk=HOST:PORT http=HOST:PORT dns=HOST:PORT peer=HOST:PORT
Everything else it says goes to its log file, shown when a test fails.
"""

import os
import pathlib
import random
import re
import signal
import socket
import subprocess
import tempfile
import time

READY = re.compile(r"coord ready zk=(\S+) http=(\S+) dns=(\S+) peer=(\S+)")


def target():
    """Where cargo builds."""
    return pathlib.Path(os.environ.get("CARGO_TARGET_DIR", "target")).resolve()


def coord():
    """The command under test."""
    named = os.environ.get("COORD_BIN")
    return pathlib.Path(named) if named else target() / "debug" / "coord"


def free_ports(count):
    """Ports nobody listens on now; members must know each other's beforehand.

    From below those that outgoing connections get by themselves: otherwise a
    client that tries the port of a member that is down could be given that very
    port for its own end, and would hold it when the member comes back.
    """
    sockets = []
    while len(sockets) < count:
        one = socket.socket()
        try:
            one.bind(("127.0.0.1", random.SystemRandom().randrange(20000, 32000)))
        except OSError:
            one.close()
        else:
            sockets.append(one)
    ports = [one.getsockname()[1] for one in sockets]
    for one in sockets:
        one.close()
    return ports


def eventually(what, condition, seconds=30.0):
    """The first true value of `condition()`; fails with `what` after `seconds`."""
    deadline = time.monotonic() + seconds
    while True:
        value = condition()
        if value:
            return value
        if time.monotonic() > deadline:
            raise AssertionError(f"still not so after {seconds} s: {what}")
        time.sleep(0.02)


class Member:
    """One `coord server` process and its folder."""

    def __init__(self, folder, number=1, members=None, peer=None, settings=(), dns=False, launch=()):
        """`launch` is put before the command, as in `ip netns exec NAME`."""
        self.folder = pathlib.Path(folder)
        self.folder.mkdir(parents=True, exist_ok=True)
        self.number = number
        self.members = members
        self.peer_wanted = peer
        self.settings = settings
        self.launch = launch
        self.zk_wanted = self.http_wanted = "127.0.0.1:0"
        self.dns_wanted = "127.0.0.1:0" if dns else "off"
        self.zk = self.http = self.dns = self.peer = None
        self.process = None
        self.log = self.folder / "member.log"

    def start(self):
        """Starts the process; it may not serve before a majority runs."""
        arguments = [
            *self.launch, str(coord()), "server",
            "--data-dir", str(self.folder / "data"),
            "--member-id", str(self.number),
            "--zk-addr", self.zk_wanted,
            "--http-addr", self.http_wanted,
            "--dns-addr", self.dns_wanted,
        ]
        if self.members:
            arguments += ["--members", self.members, "--peer-addr", self.peer_wanted]
        for setting in self.settings:
            arguments += ["--set", setting]
        with open(self.log, "ab") as log:
            self.log_start = log.tell()
            self.process = subprocess.Popen(
                arguments, stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
        return self

    def said(self):
        """What the running process wrote so far."""
        with open(self.log, "rb") as log:
            log.seek(self.log_start)
            return log.read().decode(errors="replace")

    def wait_ready(self, seconds=30.0):
        """Waits for the ready line and remembers the addresses."""

        def look():
            if self.process.poll() is not None:
                raise AssertionError(
                    f"member {self.number} ended with {self.process.returncode}:\n{self.said()}"
                )
            return READY.search(self.said())

        found = eventually(f"member {self.number} serves", look, seconds)
        self.zk, self.http, self.dns, self.peer = found.groups()
        tls = re.search(r" zk-tls=(\S+)", found.string[found.end() :])
        self.zk_tls = tls and tls.group(1)
        # A restart keeps the ports, so that clients find it again.
        self.zk_wanted, self.http_wanted = self.zk, self.http
        if self.dns_wanted != "off":
            self.dns_wanted = self.dns
        return self

    def kill(self):
        """kill -9, the way a machine loses a process."""
        if self.process and self.process.poll() is None:
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def pause(self):
        """SIGSTOP: the process stands still, its connections stay open."""
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        """SIGCONT."""
        self.process.send_signal(signal.SIGCONT)

    def stop(self):
        """Asks it to stop and insists that it does."""
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(20)
            except subprocess.TimeoutExpired:
                self.kill()
                raise AssertionError(f"member {self.number} did not stop when asked") from None

    @property
    def zk_address(self):
        host, port = self.zk.rsplit(":", 1)
        return host, int(port)

    @property
    def http_address(self):
        host, port = self.http.rsplit(":", 1)
        return host, int(port)

    @property
    def dns_address(self):
        host, port = self.dns.rsplit(":", 1)
        return host, int(port)


class Cluster:
    """Members that form one cluster, in a folder of their own."""

    def __init__(self, count=1, settings=(), dns=False):
        base = target() / "conformance"
        base.mkdir(parents=True, exist_ok=True)
        self.folder = tempfile.TemporaryDirectory(prefix="members-", dir=base)
        top = pathlib.Path(self.folder.name)
        if count == 1:
            self.members = [Member(top / "1", settings=settings, dns=dns)]
        else:
            peers = [f"127.0.0.1:{port}" for port in free_ports(count)]
            table = ",".join(f"{n + 1}={peer}" for n, peer in enumerate(peers))
            self.members = [
                Member(top / str(n + 1), n + 1, table, peers[n], settings, dns)
                for n in range(count)
            ]

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.__exit__()
            raise

    def __exit__(self, *_):
        for member in self.members:
            member.kill()
        self.folder.cleanup()

    def start(self):
        """Starts everyone and waits until all serve."""
        for member in self.members:
            member.start()
        try:
            for member in self.members:
                member.wait_ready()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{self.logs()}") from None
        return self

    @property
    def hosts(self):
        """For a ZooKeeper client's connect string."""
        return ",".join(member.zk for member in self.members)

    def logs(self):
        """What every member said last, for a failing test."""
        return "\n".join(
            f"--- member {m.number}\n" + m.said()[-4000:] for m in self.members if m.process
        )

    def leader(self):
        """The member that leads now, by ZooKeeper's own words."""

        def look():
            for member in self.members:
                if member.process.poll() is None and mode(member) in ("leader", "standalone"):
                    return member
            return None

        return eventually("somebody leads", look)


def mode(member):
    """What `srvr` answers for Mode, or None."""
    try:
        with socket.create_connection(member.zk_address, 2) as connection:
            connection.sendall(b"srvr")
            text = b""
            while chunk := connection.recv(4096):
                text += chunk
    except OSError:
        return None
    found = re.search(rb"^Mode: (\S+)", text, re.M)
    return found and found.group(1).decode()
