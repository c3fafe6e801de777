"""What `make demo` runs: a member inside this very process, then programs
that use it as they would use a ZooKeeper and a Consul.

    PYTHONPATH=target/python python3 examples/demo.py target/debug
"""

import json
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import time
import urllib.request

HERE = pathlib.Path(__file__).resolve().parent
TOP = HERE.parent
ZK, HTTP, DNS = ("127.0.0.1", 2181), ("127.0.0.1", 8500), ("127.0.0.1", 8600)
PYTHON_PROGRAMS = ["document_zk.py", "document_consul.py"]
C_PROGRAM = "document.c"


def main():
    built = pathlib.Path(sys.argv[1]).resolve()
    for name, (host, port) in (("ZooKeeper", ZK), ("Consul's HTTP", HTTP), ("DNS", DNS)):
        if in_use(host, port):
            sys.exit(
                f"demo: something already listens on {host}:{port}, {name} port of the demo. "
                "Stop it and try again."
            )
    import libcoord

    heading("A member, embedded in this Python process")
    with tempfile.TemporaryDirectory(prefix="coord-demo-") as folder:
        started = time.monotonic()
        listen = {"zk": ZK, "http": HTTP, "dns": DNS}
        listen = {name: f"{host}:{port}" for name, (host, port) in listen.items()}
        with libcoord.Server(data_dir=os.path.join(folder, "data"), **listen) as server:
            say(f"serving after {1000 * (time.monotonic() - started):.0f} ms, no other process")
            say(f"ZooKeeper clients:  {server.zk}   {answer_to_srvr()}")
            say(f"Consul's HTTP API:  {server.http}   services in the catalog: {services()}")
            with Watching(server.zk) as watching:
                for name in PYTHON_PROGRAMS:
                    program = HERE / "python" / name
                    command = [sys.executable, str(program)]
                    run(f"Python, examples/python/{name}", program, command, watching)
                program = HERE / "c" / C_PROGRAM
                command = compile_c(program, built, pathlib.Path(folder))
                run(f"C, examples/c/{C_PROGRAM}", program, command, watching, library_path(built))
            heading("Afterwards")
            say(answer_to_srvr())
            say("ephemeral znodes went with their programs; the service was deregistered:")
            say(f"services in the catalog: {services()}")
    print("\nThe member has stopped with this process. Next: make check, examples/README.md\n")


class Watching:
    """What a ZooKeeper watch on the whole tree is told meanwhile."""

    def __init__(self, address):
        import zk

        self.client, self.events = zk.ZK(address), []
        self.client.add_watch("/", self.events.append, recursive=True)

    def told(self):
        # Events come before the answer to a later call; then they are dispatched.
        self.client.sync()
        time.sleep(0.1)
        told = [f"{event.type.lower()} {event.path}" for event in self.events]
        self.events.clear()
        return told

    def __enter__(self):
        return self

    def __exit__(self, *_error):
        self.client.close()


def run(title, program, command, watching, environment=None):
    """Shows a program, runs it, and shows what it said and changed."""
    heading(title)
    for line in program.read_text().splitlines():
        print(f"  | {line}")
    before, started = revision(), time.monotonic()
    done = subprocess.run(
        command,
        env=dict(os.environ, **(environment or {})),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=120,
    )
    milliseconds = 1000 * (time.monotonic() - started)
    for line in done.stdout.splitlines():
        print(f"  > {line}")
    if done.returncode:
        sys.exit(f"demo: {program.name} failed with status {done.returncode}")
    changes = revision() - before
    say(f"done in {milliseconds:.0f} ms; {changes} commands went through the replicated log")
    told = watching.told()
    if told:
        say(f"a watch on the tree was told: {', '.join(told)}")


def compile_c(program, built, folder):
    """Compiles against the library that was just built."""
    output = folder / program.stem
    compiler = os.environ.get("CC", "cc").split()
    command = [
        *compiler, "-std=c99", "-Wall", "-Wextra", "-pedantic", "-I", str(TOP / "include"),
        str(program), "-L", str(built), "-lcoord", "-o", str(output),
    ]
    subprocess.run(command, check=True, stdin=subprocess.DEVNULL)
    return [str(output)]


def library_path(built):
    name = "DYLD_LIBRARY_PATH" if sys.platform == "darwin" else "LD_LIBRARY_PATH"
    return {name: os.pathsep.join([str(built), os.environ.get(name, "")]).rstrip(os.pathsep)}


def in_use(host, port):
    with socket.socket() as probe:
        # As a server binds: a port that only lingers from an earlier run is free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return True
    return False


def srvr():
    with socket.create_connection(ZK, 5) as connection:
        connection.sendall(b"srvr")
        text = b""
        while True:
            chunk = connection.recv(4096)
            if not chunk:
                break
            text += chunk
    lines = (line.split(": ", 1) for line in text.decode().splitlines() if ": " in line)
    return dict(lines)


def answer_to_srvr():
    told = srvr()
    return f"says it is {told['Mode']}, {told['Node count']} znodes, zxid {told['Zxid']}"


def revision():
    return int(srvr()["Zxid"], 16)


def get(path):
    with urllib.request.urlopen(f"http://{HTTP[0]}:{HTTP[1]}{path}", timeout=10) as answer:
        return answer.read().decode()


def services():
    return ", ".join(sorted(json.loads(get("/v1/catalog/services"))))


def heading(text):
    print(f"\n{text}\n{'-' * len(text)}", flush=True)


def say(text):
    print(f"  {text}", flush=True)


if __name__ == "__main__":
    main()
