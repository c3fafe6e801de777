"""Programs on genuine client libraries: fetched, built, and told what to do.

Each library has one program here, in its own language, which does as its first
argument says with the servers of its second, and ends with 0 if all was as it
should be. What a program needs is fetched by the language's own tools into the
target folder, once, at the versions its files pin.
"""

import hashlib
import os
import pathlib
import re
import shutil
import socket
import subprocess
import threading

from member import Cluster, eventually, target
import jute

HERE = pathlib.Path(__file__).resolve().parent
SECONDS_MAX = 120
SYNC = 9
AXE = "4.14.1"


def made(name, sources, make):
    """The folder in which `make(folder)` once made something of `sources`."""
    folder = target() / "conformance" / name
    wanted = hashlib.sha256(b"".join(path.read_bytes() for path in sources)).hexdigest()
    # Written last, so that what was interrupted is made anew.
    stamp = folder / "made-of"
    if not (stamp.exists() and stamp.read_text() == wanted):
        shutil.rmtree(folder, ignore_errors=True)
        folder.mkdir(parents=True)
        make(folder)
        stamp.write_text(wanted)
    return folder


def tool(*command, **options):
    subprocess.run(list(map(str, command)), check=True, stdin=subprocess.DEVNULL, **options)


def java_jars():
    """The class path of ZooKeeper 3.9 and Curator."""
    pom = HERE / "java" / "pom.xml"

    def make(folder):
        # The plugin's name is a long one so that its version can be said.
        tool(
            "mvn", "-q", "-B", "-f", pom, f"-Dmaven.repo.local={folder / 'repository'}",
            "org.apache.maven.plugins:maven-dependency-plugin:3.6.1:copy-dependencies",
            f"-DoutputDirectory={folder / 'jars'}",
        )  # fmt: skip
        # Only the jars are used again.
        shutil.rmtree(folder / "repository")

    return f"{made('java', [pom], make) / 'jars'}/*"


def java_program():
    """The command of the program on Curator."""
    jars = java_jars()
    sources = sorted((HERE / "java").glob("*.java"))
    folder = made("curator", sources, lambda out: tool("javac", "-cp", jars, "-d", out, *sources))
    return ["java", "-XX:TieredStopAtLevel=1", "-cp", f"{folder}:{jars}", "Recipes"]


def c_program():
    """The command of the program on ZooKeeper's C library, from Debian's package."""
    source = HERE / "c" / "client.c"

    def make(folder):
        fetch = ["apt-get", "-qq", "-o", "APT::Sandbox::User=root", "download"]
        tool(*fetch, "libzookeeper-mt-dev", "libzookeeper-mt2", cwd=folder)
        for package in folder.glob("*.deb"):
            tool("dpkg-deb", "-x", package, folder / "root")
        library = next(folder.glob("root/usr/lib/*/libzookeeper_mt.so")).parent
        include = folder / "root" / "usr" / "include" / "zookeeper"
        tool(
            os.environ.get("CC", "cc"), "-std=gnu11", "-Wall", "-Wextra", "-Werror", "-O1", "-DTHREADED",
            f"-I{include}", f"-I{include.parent}", source, "-o", folder / "client",
            f"-L{library}", f"-Wl,-rpath,{library}", "-lzookeeper_mt", "-lpthread",
        )  # fmt: skip

    return [str(made("c-client", [source], make) / "client")]


def node_program():
    """The command of the program on node-zookeeper-client."""
    sources = [HERE / "node" / name for name in ("package.json", "client.js")]

    def make(folder):
        for source in sources:
            shutil.copy(source, folder)
        tool("npm", "install", "--silent", "--no-audit", "--no-fund", cwd=folder)

    return ["node", str(made("node-client", sources, make) / "client.js")]


def axe():
    """The text of axe-core, which looks for what keeps people from using a page."""
    def make(folder):
        install = ["npm", "install", "--prefix", folder, "--no-save", "--no-package-lock",
                   "--ignore-scripts", "--silent", "--no-audit", "--no-fund"]  # fmt: skip
        tool(*install, f"axe-core@{AXE}", cwd=folder)

    folder = made(f"axe-core-{AXE}", [], make)
    return (folder / "node_modules" / "axe-core" / "axe.min.js").read_text()


def go_program():
    """The command of the program on go-zookeeper."""
    sources = [HERE / "go-zookeeper" / name for name in ("go.mod", "go.sum", "client.go")]
    build = ["go", "build", "-o"]

    def make(folder):
        tool(*build, folder / "client", ".", cwd=HERE / "go-zookeeper")

    return [str(made("go-client", sources, make) / "client")]


def rust_program():
    """The command of the program on zookeeper-client, a project of its own."""
    project = HERE / "rust"
    sources = [project / name for name in ("Cargo.toml", "Cargo.lock", "src/main.rs")]

    def make(folder):
        manifest = project / "Cargo.toml"
        tool("cargo", "build", "--locked", "--manifest-path", manifest, "--target-dir", folder)

    return [str(made("rust-client", sources, make) / "debug" / "coord-rust-client")]


def run(command, *arguments):
    """Runs a program to its end; its output, or a failure that shows it."""
    done = subprocess.run(
        [*command, *arguments],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=SECONDS_MAX,
    )
    if done.returncode:
        raise AssertionError(f"{arguments[0]} ended with {done.returncode}:\n{done.stdout}")
    return done.stdout


class WritingProgram:
    """A program that creates one znode after another in a folder and says
    `created PATH` for each that was acknowledged (it creates the folder first), until its input ends; then
    `session same` if the session is still its first one."""

    def __init__(self, command, hosts, folder):
        self.process = subprocess.Popen(
            [*command, "write", hosts, folder],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )
        self.acknowledged, self.other = [], []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()

    def read(self):
        for line in self.process.stdout:
            created = re.match(r"created (\S+)$", line)
            (self.acknowledged if created else self.other).append(created.group(1) if created else line)

    def stop(self):
        self.process.stdin.close()
        try:
            self.process.wait(SECONDS_MAX)
        finally:
            self.process.kill()
            self.reader.join(10)
            self.process.stdout.close()


def sessions_on(member):
    """How many sessions have their connection on this member."""
    with socket.create_connection(member.zk_address, 5) as connection:
        connection.sendall(b"cons")
        told = b""
        while chunk := connection.recv(65536):
            told += chunk
    return told.count(b"sid=0x")


def writers_with_one_on(leader, start):
    """Two writers, of which at least one is on the leader: clients choose
    themselves where to go, so they are asked again until one goes there."""
    for attempt in range(20):
        writers = [start(f"/written/{attempt}-{number}") for number in range(2)]
        try:
            eventually("both write", lambda: all(len(w.acknowledged) > 50 for w in writers), 60)
        except AssertionError as error:
            told = "".join(line for writer in writers for line in writer.other)
            raise AssertionError(f"{error}\n{told}") from None
        if sessions_on(leader):
            return writers
        for writer in writers:
            writer.stop()
    raise AssertionError("no client goes to the leader")


def carries_on_without_the_leader(start):
    """Kills the leader of three while programs write, each started by
    `start(hosts, folder)`: all must go on with their sessions, and nothing
    they were told is there may be missing anywhere."""
    with Cluster(3) as cluster:
        leader = cluster.leader()
        with jute.connect(leader.zk_address) as connection:
            assert connection.create("/written") == 0
        writers = writers_with_one_on(leader, lambda folder: start(cluster.hosts, folder))
        leader.kill()
        counts = [len(writer.acknowledged) for writer in writers]
        try:
            eventually(
                "all go on",
                lambda: all(len(w.acknowledged) > n + 50 for w, n in zip(writers, counts)),
                60,
            )
        except AssertionError as error:
            told = "".join(line for writer in writers for line in writer.other)
            raise AssertionError(f"{error}\n{told}\n{cluster.logs()}") from None
        finally:
            for writer in writers:
                writer.stop()
        for writer in writers:
            told = "".join(writer.other)
            assert writer.process.returncode == 0, f"it ended with {writer.process.returncode}: {told}"
            assert "session same" in told, f"the session was lost: {told}"
            for member in cluster.members:
                if member is not leader:
                    assert_all_there(member, writer.acknowledged)


def assert_all_there(member, paths):
    with jute.connect(member.zk_address) as connection:
        assert connection.call(SYNC, jute.text("/"))[0] == 0
        missing = [path for path in paths if connection.get(path)[0] != 0]
    assert not missing, f"acknowledged but not on member {member.number}: {missing}"
