"""Genuine peers and clients: fetched from their registries, never imitated."""

import os
import pathlib
import signal
import subprocess
import venv

from member import target

HERE = pathlib.Path(__file__).resolve().parent
# Pinned: a new release of a client is tried on purpose, not by surprise.
CLIENTS = {
    "kazoo": ["kazoo==2.11.0"],
    "py-consul": ["py-consul[asyncio]==1.8.0"],
    "python-consul": ["python-consul==1.1.0"],
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
    """A genuine ZooKeeper for the length of a `with` block."""

    def __init__(self, port=None):
        self.wanted = port

    def __enter__(self):
        environment = dict(os.environ)
        if self.wanted:
            environment["ZOOKEEPER_PORT"] = str(self.wanted)
        started = subprocess.run(
            [str(HERE / "genuine-zookeeper"), str(target() / "conformance" / "zookeeper")],
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
