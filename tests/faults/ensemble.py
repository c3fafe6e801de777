"""Ensembles under test: our members, or a genuine ZooKeeper's, behind one interface.

Both offer `members`, each with `number`, `zk_address`, `start`, `kill`, `pause`,
`resume`, `running`, `said`; and `start`, `stop`, `leader`, `hosts` for the whole.
The caller provides the directories. They are kept, so that a failed run can be
inspected.
"""

import os
import pathlib
import signal
import socket
import subprocess

from member import Member, coord, eventually, free_ports, mode
from peers import genuine_jars

LOOPBACK = "127.0.0.1"
# Among members of one ensemble; a stranger does not know it.
SECRET = "of-these-members-alone-and-long-enough"


class Place:
    """Where one member lives: its address, and what its command is started with."""

    def __init__(self, host=LOOPBACK, launch=()):
        self.host = host
        self.launch = tuple(launch)


class Ensemble:
    """What both kinds share."""

    members = ()

    def __enter__(self):
        try:
            return self.start()
        except BaseException:
            self.stop()
            raise

    def __exit__(self, *_):
        self.stop()

    def start(self):
        """Starts everyone and waits until all serve."""
        for member in self.members:
            member.start()
        for member in self.members:
            try:
                member.wait_ready(60)
            except AssertionError as error:
                raise AssertionError(f"{error}\n{self.logs()}") from None
        return self

    def stop(self):
        for member in self.members:
            member.kill()

    @property
    def addresses(self):
        return [member.zk_address for member in self.members]

    def leading(self):
        """The member that says it leads, or None."""
        for member in self.members:
            if member.running() and mode(member) in ("leader", "standalone"):
                return member
        return None

    def leader(self):
        return eventually(f"somebody leads ({self.kind})", self.leading)

    def logs(self):
        return "\n".join(f"--- {self.kind} member {m.number}\n{m.said()[-3000:]}" for m in self.members)


class OurMember(Member):
    """A member on fixed ports, so that it can come back at any time."""

    def running(self):
        return self.process is not None and self.process.poll() is None

    def wait_ready(self, seconds=60.0):
        return super().wait_ready(seconds)

    def resident_kib(self):
        return resident_kib(self.process.pid)


class Ours(Ensemble):
    """`coord server` processes that form one cluster."""

    kind = "coord"

    def __init__(self, folder, places, settings=(), dns=False):
        self.folder = pathlib.Path(folder)
        ports = free_ports(3 * len(places))
        if supports("peers.secret", SECRET):
            settings = [f"peers.secret={SECRET}", *settings]
        peers = [f"{place.host}:{ports.pop()}" for place in places]
        table = ",".join(f"{n + 1}={peer}" for n, peer in enumerate(peers)) if len(places) > 1 else None
        self.members = []
        for n, place in enumerate(places):
            member = OurMember(
                self.folder / f"member-{n + 1}", n + 1, table, peers[n],
                # Members off loopback have addresses of their own, and so need names of their own.
                [f"node_name=member-{n + 1}", *settings], dns, launch=place.launch,
            )  # fmt: skip
            member.zk_wanted = f"{place.host}:{ports.pop()}"
            member.http_wanted = f"{place.host}:{ports.pop()}"
            # Known before it serves: clients look for it meanwhile.
            member.zk, member.http = member.zk_wanted, member.http_wanted
            self.members.append(member)


class GenuineMember:
    """One server of a genuine ZooKeeper ensemble."""

    def __init__(self, folder, number, place, port, config, jars):
        self.number = number
        self.folder = folder
        self.place = place
        self.zk_address = (place.host, port)
        self.zk = f"{place.host}:{port}"
        self.log = folder / "member.log"
        self.jars = jars
        self.process = None
        (folder / "data").mkdir(parents=True)
        (folder / "data" / "myid").write_text(f"{number}\n")
        (folder / "zoo.cfg").write_text("".join(f"{line}\n" for line in config))

    def start(self):
        command = [
            *self.place.launch, "java", "-Xmx256m", "-XX:+UseSerialGC", "-Dzookeeper.log.level=INFO",
            f"-Dorg.slf4j.simpleLogger.logFile={self.log}", "-cp", self.jars,
            "org.apache.zookeeper.server.quorum.QuorumPeerMain", str(self.folder / "zoo.cfg"),
        ]  # fmt: skip
        with open(self.log, "ab") as log:
            self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=log, stderr=log)
        return self

    def wait_ready(self, seconds=60.0):
        eventually(f"ZooKeeper {self.number} serves", lambda: mode(self), seconds)
        return self

    def running(self):
        return self.process is not None and self.process.poll() is None

    def kill(self):
        if self.running():
            self.process.send_signal(signal.SIGKILL)
            self.process.wait()

    def pause(self):
        self.process.send_signal(signal.SIGSTOP)

    def resume(self):
        self.process.send_signal(signal.SIGCONT)

    def said(self):
        return self.log.read_text(errors="replace") if self.log.exists() else ""

    def resident_kib(self):
        return resident_kib(self.process.pid)


class Genuine(Ensemble):
    """A genuine ZooKeeper, durable as delivered, on Debian's packages.

    Its followers give a leader up after `syncLimit` ticks; with these values
    that is 2 s, the shortest that its manual's relation of ticks allows for
    sessions of 4 s.
    """

    kind = "ZooKeeper"
    TICK_MS, SYNC_LIMIT = 500, 4

    def __init__(self, folder, places):
        self.folder = pathlib.Path(folder)
        jars = genuine_jars()
        ports = free_ports(3 * len(places))
        quorum = [(place.host, ports.pop(), ports.pop()) for place in places]
        servers = [f"server.{n + 1}={host}:{peer}:{vote}" for n, (host, peer, vote) in enumerate(quorum)]
        self.members = []
        for n, place in enumerate(places):
            folder, port = self.folder / f"zookeeper-{n + 1}", ports.pop()
            config = [
                f"tickTime={self.TICK_MS}", "initLimit=20", f"syncLimit={self.SYNC_LIMIT}",
                f"dataDir={folder / 'data'}", f"clientPort={port}", f"clientPortAddress={place.host}",
                "maxClientCnxns=0", "admin.enableServer=false", "4lw.commands.whitelist=*",
                "minSessionTimeout=1000", "maxSessionTimeout=60000",
                *(servers if len(places) > 1 else ()),
            ]  # fmt: skip
            self.members.append(GenuineMember(folder, n + 1, place, port, config, jars))


def supports(setting, value):
    """Whether the command knows this setting; an older one may be under test."""
    told = subprocess.run(
        [str(coord()), "server", "--set", f"{setting}={value}", "--member-id", "0", "--data-dir", os.devnull],
        stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=20,
    )  # fmt: skip
    return f"no setting named {setting}" not in told.stderr


def resident_kib(pid):
    """Memory of a process that is in RAM now, and the most it ever was."""
    text = pathlib.Path(f"/proc/{pid}/status").read_text()
    return tuple(int(text.split(f"{name}:")[1].split()[0]) for name in ("VmRSS", "VmHWM"))


def four_letters(address, word, seconds=3.0):
    """The answer to a four-letter word, or None."""
    try:
        with socket.create_connection(address, seconds) as connection:
            connection.settimeout(seconds)
            connection.sendall(word.encode())
            told = b""
            while chunk := connection.recv(1 << 16):
                told += chunk
    except OSError:
        return None
    return told.decode(errors="replace")


def allow_open_files():
    import resource

    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard, hard))
    return soft, hard


def needs_root():
    if os.geteuid() != 0:
        return "it must run as root"
    return None
