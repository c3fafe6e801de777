"""Networks of members in namespaces, where each direction of each pair can be cut.

One namespace, the hub, holds the bridges and the clients; this process joins it.
Each member has its own namespace, a veth to its bridge, and a second device that
leads nowhere (`hole`). To cut the direction from A to B, B's address is routed
through A's hole: packets vanish without an error, as on a broken wire, and the
opposite direction still works. This needs `ip` and root, and no packet filter.
"""

import ctypes
import os
import shutil
import subprocess

PREFIX = "coord-faults"
CLONE_NEWNET = 0x40000000


def missing():
    """What this machine lacks for it, or None."""
    if os.geteuid() != 0:
        return "network namespaces need root: run this as root"
    if not shutil.which("ip"):
        return "`ip` is missing (Debian: apt install iproute2)"
    made = subprocess.run(["ip", "netns", "add", f"{PREFIX}-try"], capture_output=True, text=True)
    if made.returncode:
        return f"network namespaces cannot be made here: {made.stderr.strip()}"
    device = ["ip", "-n", f"{PREFIX}-try", "link", "add", "v0", "type", "veth", "peer", "name", "v1"]
    made = subprocess.run(device, capture_output=True, text=True)
    subprocess.run(["ip", "netns", "del", f"{PREFIX}-try"], check=False)
    return f"veth devices cannot be made here: {made.stderr.strip()}" if made.returncode else None


def ip(*words):
    subprocess.run(["ip", *words], check=True, stdin=subprocess.DEVNULL)


class Hub:
    """The namespace in which the clients live; this process is in it from now on."""

    def __init__(self):
        self.name = f"{PREFIX}-{os.getpid()}"
        self.networks = []
        ip("netns", "add", self.name)
        with open(f"/run/netns/{self.name}") as namespace:
            if ctypes.CDLL(None, use_errno=True).setns(namespace.fileno(), CLONE_NEWNET):
                raise OSError(ctypes.get_errno(), "this process cannot join the namespace")
        ip("link", "set", "lo", "up")

    def network(self, members):
        network = Network(self, len(self.networks) + 1, members)
        self.networks.append(network)
        return network

    def close(self):
        for network in self.networks:
            for namespace in network.namespaces.values():
                subprocess.run(["ip", "netns", "del", namespace], check=False)
        subprocess.run(["ip", "netns", "del", self.name], check=False)


class Network:
    """Members 1 to N on one bridge, everybody reaching everybody until cut."""

    def __init__(self, hub, number, members):
        self.subnet = f"10.77.{number}"
        self.numbers = list(range(1, members + 1))
        self.namespaces = {n: f"{hub.name}-{number}-{n}" for n in self.numbers}
        self.cut = set()
        bridge = f"br{number}"
        ip("link", "add", bridge, "type", "bridge")
        ip("addr", "add", f"{self.subnet}.254/24", "dev", bridge)
        ip("link", "set", bridge, "up")
        for n, name in self.namespaces.items():
            ip("netns", "add", name)
            end = f"p{number}m{n}"
            ip("link", "add", end, "type", "veth", "peer", "name", "eth0", "netns", name)
            ip("link", "set", end, "master", bridge, "up")
            # Without rp_filter: where only the way out is cut, the way in stays.
            filters = "for f in /proc/sys/net/ipv4/conf/*/rp_filter; do echo 0 > $f; done"
            self.batch(n, [
                "link add hole type veth peer name nowhere",
                "link set hole arp off up", "link set nowhere arp off up", "link set lo up",
                f"addr add {self.address(n)}/24 dev eth0", "link set eth0 up",
            ])  # fmt: skip
            subprocess.run(["ip", "netns", "exec", name, "sh", "-c", filters], check=True)

    def address(self, n):
        return f"{self.subnet}.{n}"

    def launch(self, n):
        """What a command of this member begins with."""
        return ("ip", "netns", "exec", self.namespaces[n])

    def batch(self, n, lines):
        text = "".join(f"{line}\n" for line in lines)
        subprocess.run(
            ["ip", "-n", self.namespaces[n], "-batch", "-"], input=text, text=True, check=True
        )

    def set_cut(self, directions):
        """From now on exactly these (from, to) are cut."""
        wanted = set(directions)
        for n in self.numbers:
            lines = [
                f"route add {self.address(b)}/32 dev hole src {self.address(n)}"
                for a, b in wanted - self.cut if a == n
            ] + [f"route del {self.address(b)}/32 dev hole" for a, b in self.cut - wanted if a == n]  # fmt: skip
            if lines:
                self.batch(n, lines)
        self.cut = wanted

    def heal(self):
        self.set_cut(())


def all_but(numbers, links):
    """All directions among `numbers` but those of these undirected links."""
    kept = {(a, b) for a, b in links} | {(b, a) for a, b in links}
    return {(a, b) for a in numbers for b in numbers if a != b} - kept
