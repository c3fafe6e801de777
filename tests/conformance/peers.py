"""Genuine peers and clients: fetched from their registries, never imitated."""

import os
import pathlib
import re
import signal
import subprocess
import venv

from member import target

HERE = pathlib.Path(__file__).resolve().parent
# Pinned: a new release of a client is tried on purpose, not by surprise.
CLIENTS = {
    "kazoo": ["kazoo==2.11.0"],
    "kazoo-sasl": ["kazoo==2.11.0", "pure-sasl==0.6.2"],
    "py-consul": ["py-consul[asyncio]==1.8.0"],
    "python-consul": ["python-consul==1.1.0"],
    "kazoo-suite": [
        "kazoo==2.11.0",
        "objgraph==3.6.2",
        "pyjks==20.0.0",
        "pyOpenSSL==25.3.0",
        "pytest==8.4.2",
        "pytest-timeout==2.4.0",
        "pytest-xdist==3.8.0",
    ],
    # It will not be imported without a driver of PostgreSQL.
    "patroni": ["patroni[consul,zookeeper]==4.1.5", "py-consul==1.8.0", "kazoo==2.11.0", "psycopg[binary]==3.3.9"],
    # ClickHouse itself; what it needs for data frames is not needed here.
    "chdb": ["--no-deps", "chdb-core==26.9.0"],
}


def client_python(name):
    """The interpreter of an environment with this client, made if need be.

    Each client has its own: theirs is called `consul` as ours is.
    """
    folder = target() / "conformance" / name
    python = folder / "bin" / "python"
    wanted = "\n".join(CLIENTS[name])
    # Written last, so that an environment that was interrupted is made anew.
    stamp = folder / "made-of"
    if not (stamp.exists() and stamp.read_text() == wanted):
        venv.EnvBuilder(with_pip=True, clear=True).create(folder)
        install = [str(python), "-m", "pip", "install", "--quiet", *CLIENTS[name]]
        subprocess.run(install, check=True, stdin=subprocess.DEVNULL)
        stamp.write_text(wanted)
    return python


class GenuineZookeeper:
    """A genuine ZooKeeper for the length of a `with` block: Debian's, or
    another whose class path is given."""

    def __init__(self, port=None, jars=None, lines=(), java=""):
        """`lines` are added to its zoo.cfg, `java` to the command line of Java."""
        self.wanted = port
        self.jars = jars
        self.lines = lines
        self.java = java

    def __enter__(self):
        environment = {**os.environ, "ZOOKEEPER_JAVA": self.java}
        if self.wanted:
            environment["ZOOKEEPER_PORT"] = str(self.wanted)
        if self.jars:
            environment["ZOOKEEPER_JARS"] = self.jars
        folder = target() / "conformance" / "zookeeper"
        started = subprocess.run(
            [str(HERE / "genuine-zookeeper"), str(folder), *self.lines],
            env=environment,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            check=True,
            timeout=300,
        )
        self.pid, self.port = map(int, started.stdout.split())
        return self

    def __exit__(self, *_):
        os.kill(self.pid, signal.SIGKILL)

    @property
    def hosts(self):
        return f"127.0.0.1:{self.port}"


def genuine_jars():
    """The class path of the genuine ZooKeeper, fetched if need be."""
    folder = target() / "conformance" / "zookeeper"
    fetched = subprocess.run(
        [str(HERE / "genuine-zookeeper"), "--jars", str(folder)],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=300,
    )
    return fetched.stdout.strip()


# Debian's packages hold several ways to log, which do not go together.
LOGGERS = re.compile(r"slf4j-(?!api|simple)|-over-slf4j")


def java_client(server, command, *options):
    """What ZooKeeper's own command line says; needs a genuine one started before."""
    folder = target() / "conformance" / "zookeeper" / "debian" / "root" / "usr" / "share" / "java"
    jars = [str(jar) for jar in folder.glob("*.jar") if not LOGGERS.search(jar.name)]
    return subprocess.run(
        ["java", *options, "-cp", ":".join(jars),
         "org.apache.zookeeper.ZooKeeperMain", "-server", server, *command],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    ).stdout
