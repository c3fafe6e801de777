"""ZooKeeper's own command line, one process to which commands are typed."""

import re
import subprocess
import threading

from member import eventually
from programs import java_jars

# Said by `printwatches`, which asks no server: the end of what came before.
END = "printwatches is on"


class CommandLine:
    """`zkCli.sh` without the shell script."""

    def __init__(self, hosts, timeout_ms=30000):
        self.process = subprocess.Popen(
            [
                "java", "-XX:TieredStopAtLevel=1", "-Xmx256m", "-cp", java_jars(),
                "org.apache.zookeeper.ZooKeeperMain",
                "-server", hosts, "-timeout", str(timeout_ms), "-waitforconnection",
            ],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
        )  # fmt: skip
        self.lines, self.events = [], []
        self.reader = threading.Thread(target=self.read, daemon=True)
        self.reader.start()
        self.type("printwatches")
        eventually("the command line connects", lambda: END in self.lines, 60)

    def read(self):
        for line in self.process.stdout:
            line = line.rstrip("\n")
            # Told by a thread of its own, anywhere between the other lines.
            if line.startswith("WatchedEvent "):
                self.events.append(line)
            elif line not in ("", "WATCHER::"):
                self.lines.append(line)

    def type(self, command):
        self.process.stdin.write(f"{command}\n")
        self.process.stdin.flush()

    def __call__(self, command):
        """What one command says, without empty lines and without events."""
        start = len(self.lines)
        self.type(command)
        self.type("printwatches")
        eventually(f"{command} ends", lambda: END in self.lines[start:], 60)
        return self.lines[start : self.lines.index(END, start)]

    def close(self):
        self.process.stdin.close()
        try:
            self.process.wait(60)
        finally:
            self.process.kill()
            self.reader.join(10)
            self.process.stdout.close()

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.close()


def comparable(lines, first_zxid):
    """Without what differs between any two servers: times, and where the zxids begin."""

    def relative(match):
        zxid = int(match.group(2), 0)
        return match.group(1) + (str(zxid - first_zxid) if zxid > 0 else str(zxid))

    out = []
    for line in lines:
        line = re.sub(r"^([cm]time = ).*", r"\1some time", line)
        line = re.sub(r"^([cmp]Zxid = )(0x[0-9a-f]+)", relative, line)
        out.append(re.sub(r"( zxid: )(-?\d+)", relative, line))
    return out
