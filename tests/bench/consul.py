#!/usr/bin/env python3
"""Consul's protocols under load: ours, and a genuine Consul if one is named.

`make conformance-consul` fetches a genuine one, usr/bin/consul below target/conformance/consul-debian;
name it with CONSUL_PEER. Each runs alone, in turns, each time with a fresh data directory and
every write synced. Compare the ratios: absolute numbers depend on the machine.
"""

import argparse
import json
import os
import pathlib
import platform
import statistics
import subprocess
import sys
import time
import urllib.request

from compare import cpu_seconds

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "conformance"))

# Name of the row, which port, what the generator is told.
ROWS = [
    ("KV put 100 B, 1 connection", "http", "work=http method=PUT path=/v1/kv/a/{} connections=1"),
    ("KV put 100 B, 64 connections", "http", "work=http method=PUT path=/v1/kv/a/{} connections=64"),
    ("KV get, 64 connections", "http", "work=http path=/v1/kv/a/{} connections=64"),
    ("health/service of 10, 64 connections", "http", "work=http path=/v1/health/service/ten connections=64"),
    ("health/service of 40, 64 connections", "http", "work=http path=/v1/health/service/forty connections=64"),
    ("health/service of 2,000, 1 connection", "http", "work=http path=/v1/health/service/crowd connections=1"),
    ("DNS A of 3, 4 sockets x 16", "dns", "work=dns path=three.service.consul connections=4 depth=16"),
]
SIZES = {"three": 3, "ten": 10, "forty": 40, "crowd": 2000}
WAITERS = 10_000
WAKING = f"{WAITERS:,} blocked queries on one key"


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", default="target", help="where cargo builds")
    arguments.add_argument("--turns", type=int, default=1, help="how often each server runs")
    arguments.add_argument("--seconds", type=int, default=4, help="counted per row")
    arguments.add_argument("--rows", default="", help="only rows whose name contains this")
    chosen = arguments.parse_args()
    target = pathlib.Path(chosen.target).resolve()
    os.environ["CARGO_TARGET_DIR"] = str(target)
    os.environ["COORD_BIN"] = str(target / "release" / "coord")
    from consul_server import GenuineConsul
    from member import Cluster

    generator = target / "release" / "coord-bench"
    rows = [row for row in ROWS if chosen.rows in row[0]]
    servers = {"coord": lambda: Cluster(dns=True)}
    if "CONSUL_PEER" in os.environ:
        servers = {"Consul": GenuineConsul, **servers}
    found = {}
    for _ in range(chosen.turns):
        for server, start in servers.items():
            with start() as running:
                member = running.members[0]
                pid = member.process.pid
                fill(member)
                for name, port, load in rows:
                    address = member.http_address if port == "http" else member.dns_address
                    result = measure(generator, "%s:%d" % address, pid, load, chosen.seconds)
                    found.setdefault((name, server), []).append(result)
                    print(f"{server}: {name}: {result['ops_per_s']:.0f} /s", flush=True)
                if chosen.rows in WAKING:
                    result = wake(generator, "%s:%d" % member.http_address, pid)
                    found.setdefault((WAKING, server), []).append(result)
                    print(f"{server}: {WAKING}: {result}", flush=True)
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, medians of {chosen.turns} turns\n")
    print(table(rows, list(servers), found))


def fill(member):
    """Services of several sizes, each instance on a node with a check of its own."""
    base = "http://%s:%d" % member.http_address
    for service, count in SIZES.items():
        for first in range(0, count, 40):
            operations = []
            for number in range(first, min(first + 40, count)):
                node = f"{service}-{number}"
                operations += [
                    {"Node": {"Verb": "set", "Node": {"Node": node, "Address": f"10.0.{number // 250}.{number % 250}"}}},
                    {"Service": {"Verb": "set", "Node": node, "Service": {
                        "Service": service, "ID": node, "Port": 80, "Tags": ["a", "b"], "Meta": {"zone": "a"}}}},
                    {"Check": {"Verb": "set", "Check": {
                        "Node": node, "CheckID": "c", "Name": "c", "Status": "passing", "ServiceID": node}}},
                ]
            body = json.dumps(operations).encode()
            urllib.request.urlopen(urllib.request.Request(base + "/v1/txn", body, method="PUT"), timeout=30)
    for number in range(64):
        request = urllib.request.Request(f"{base}/v1/kv/a/{number}", b"v" * 100, method="PUT")
        urllib.request.urlopen(request, timeout=30)


def measure(generator, address, pid, load, seconds):
    """One row: what the generator says, and the server's CPU time per operation."""
    before, began = cpu_seconds(pid), time.monotonic()
    command = [str(generator), address, *load.split(), f"seconds={seconds}", "warmup=1"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"the load failed: {load}")
    result = parsed(done.stdout)
    taken, used = time.monotonic() - began, cpu_seconds(pid) - before
    result["cpu_us"] = used * 1e6 / max(result["ops_per_s"] * taken, 1)
    return result


def wake(generator, address, pid):
    """Memory of a waiter, and how long it takes to wake them all."""
    before = resident_bytes(pid)
    command = [str(generator), address, "work=wait", "path=/v1/kv/awaited", f"connections={WAITERS}"]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as load:
        assert load.stdout.readline() == "waiting\n"
        each = (resident_bytes(pid) - before) / WAITERS
        load.stdin.write("now\n")
        load.stdin.flush()
        result = parsed(load.stdout.read())
    return {**result, "bytes_each": each}


def parsed(text):
    return {name: float(value) for name, value in (word.split("=") for word in text.split())}


def resident_bytes(pid):
    status = pathlib.Path(f"/proc/{pid}/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024


def table(rows, servers, found):
    def median(name, server, what):
        return statistics.median(result[what] for result in found[name, server])

    head = " | ".join(f"{server} ops/s (p50 / p99 ms) CPU/op" for server in servers)
    lines = [f"| work | {head} | ratio |", "|---|" + "---|" * (len(servers) + 1)]
    for name, _, _ in rows:
        cells = [
            f"{median(name, server, 'ops_per_s'):,.0f} ({median(name, server, 'p50_us') / 1000:.2f} / "
            f"{median(name, server, 'p99_us') / 1000:.2f}) {median(name, server, 'cpu_us'):.0f} us"
            for server in servers
        ]
        ratio = median(name, servers[-1], "ops_per_s") / max(median(name, servers[0], "ops_per_s"), 1)
        lines.append(f"| {name} | {' | '.join(cells)} | {ratio:.1f} |")
    if any(name == WAKING for name, _ in found):
        cells = [
            f"{median(WAKING, server, 'bytes_each') / 1000:.1f} kB each, half awake after "
            f"{median(WAKING, server, 'p50_us') / 1000:.0f} ms, all after {median(WAKING, server, 'p999_us') / 1000:.0f} ms"
            for server in servers
        ]
        lines.append(f"| {WAKING} | {' | '.join(cells)} | |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
