#!/usr/bin/env python3
"""The same load on a genuine ZooKeeper and on `coord server`, in turns.

Each runs alone, one after the other (A B A B), on the same disk with every write
synced, each time with a fresh data directory. The table shows the median of the
turns. Compare the ratios: absolute numbers depend on the machine.
"""

import argparse
import os
import pathlib
import platform
import statistics
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parent / "conformance"))

# Name of the row, and what the generator is told.
ROWS = [
    ("create 100 B, 64 connections x 8", "work=create connections=64 depth=8"),
    ("create 100 B, one at a time", "work=create connections=1 depth=1"),
    ("create 100 B, 64 connections x 1", "work=create connections=64 depth=1"),
    ("set 100 B, 64 connections x 8", "work=set connections=64 depth=8"),
    ("get, 64 connections x 8", "work=get connections=64 depth=8"),
    ("get, one at a time", "work=get connections=1 depth=1"),
]
CROWD = "crowds: idle sessions, watchers"
GENUINE, OURS = "ZooKeeper", "coord"
TICKS = os.sysconf("SC_CLK_TCK")


def main():
    arguments = argparse.ArgumentParser(description=__doc__)
    arguments.add_argument("--target", default="target", help="where cargo builds")
    arguments.add_argument("--turns", type=int, default=2, help="how often each server runs")
    arguments.add_argument("--seconds", type=int, default=5, help="counted per row")
    arguments.add_argument("--rows", default="", help="only rows whose name contains this")
    chosen = arguments.parse_args()
    target = pathlib.Path(chosen.target).resolve()
    os.environ["CARGO_TARGET_DIR"] = str(target)
    os.environ["COORD_BIN"] = str(target / "release" / "coord")
    from crowds import allow_open_files, crowd_table, measure_crowds
    from member import Cluster
    from peers import GenuineZookeeper

    allow_open_files()

    generator = target / "release" / "coord-bench"
    rows = [row for row in ROWS if chosen.rows in row[0]]
    crowded = chosen.rows in CROWD
    found = {(name, server): [] for name, _ in rows for server in (GENUINE, OURS)}
    crowds = {GENUINE: [], OURS: []}
    for turn in range(chosen.turns):
        for server in (GENUINE, OURS):
            print(f"turn {turn + 1} of {chosen.turns}: {server}", flush=True)
            context = GenuineZookeeper() if server == GENUINE else Cluster()
            with context as running:
                pid = running.pid if server == GENUINE else running.members[0].process.pid
                # First: memory that a load has left behind would be used again.
                if crowded:
                    crowds[server].append(measure_crowds(generator, running.hosts, pid, cpu_seconds))
                    print(f"  {CROWD}: {crowds[server][-1]}", flush=True)
                for name, load in rows:
                    result = measure(generator, running.hosts, pid, load, chosen.seconds)
                    found[name, server].append(result)
                    print(f"  {name}: {result['ops_per_s']:.0f} /s", flush=True)
    print(f"\n{platform.machine()}, {os.cpu_count()} cores, medians of {chosen.turns} turns\n")
    if rows:
        print(table(rows, found))
    if crowded:
        print(f"\n{crowd_table(crowds[GENUINE], crowds[OURS], (GENUINE, OURS))}")


def measure(generator, hosts, pid, load, seconds):
    """One row on one server: what the generator says, and the server's CPU time."""
    before = cpu_seconds(pid)
    # The JVM compiles what it meets often: give it longer than our own needs.
    command = [str(generator), hosts, *load.split(), f"seconds={seconds}", "warmup=3"]
    done = subprocess.run(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, text=True)
    if done.returncode:
        sys.exit(f"the load failed: {load}")
    result = {name: float(value) for name, value in (w.split("=") for w in done.stdout.split())}
    counted = result["ops_per_s"] * (seconds + 3)
    result["cpu_us"] = (cpu_seconds(pid) - before) * 1e6 / max(counted, 1)
    return result


def cpu_seconds(pid):
    fields = pathlib.Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / TICKS


def table(rows, found):
    def median(name, server, what):
        return statistics.median(result[what] for result in found[name, server])

    lines = [
        f"| work | {GENUINE} ops/s (p50 / p99 / p99.9 ms) CPU/op "
        f"| {OURS} ops/s (p50 / p99 / p99.9 ms) CPU/op | ratio ops/s | ratio p99 | generator |",
        "|---|---|---|---|---|---|",
    ]
    for name, _ in rows:
        cells = []
        for server in (GENUINE, OURS):
            latency = " / ".join(
                f"{median(name, server, what) / 1000:.2f}" for what in ("p50_us", "p99_us", "p999_us")
            )
            cells.append(
                f"{median(name, server, 'ops_per_s'):,.0f} ({latency}) "
                f"{median(name, server, 'cpu_us'):.1f} us"
            )
        faster = median(name, OURS, "ops_per_s") / max(median(name, GENUINE, "ops_per_s"), 1)
        sooner = median(name, OURS, "p99_us") / max(median(name, GENUINE, "p99_us"), 1)
        # Near a whole core the generator held the server back: the ratio is a lower bound.
        busy = median(name, OURS, "generator_core_percent")
        note = f"{busy:.0f} % of a core" + (", the bottleneck" if busy > 80 else "")
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {faster:.1f} | {sooner:.2f} | {note} |")
    return "\n".join(lines)


if __name__ == "__main__":
    main()
