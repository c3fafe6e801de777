"""What many sessions cost a server, and how soon all of them learn of a change."""

import pathlib
import resource
import statistics
import subprocess
import sys
import time

SESSIONS, WATCHERS = 10_000, 1_000
IDLE_SECONDS = 20
# Name of the row, what the generator is told, and the unit.
CROWDS = [
    (f"{SESSIONS:,} idle sessions: memory each, kB", "kb"),
    (f"{SESSIONS:,} idle sessions: % of a core", "percent"),
    (f"{WATCHERS:,} watchers on one znode: write to last event, ms", "ms"),
]


def allow_open_files():
    """As many descriptors as the sessions need, here and in what is started from here."""
    _, most = resource.getrlimit(resource.RLIMIT_NOFILE)
    if most != resource.RLIM_INFINITY and most < SESSIONS + 200:
        sys.exit(f"{SESSIONS} sessions need more descriptors than the {most} that are allowed")
    resource.setrlimit(resource.RLIMIT_NOFILE, (most, most))


def measure_crowds(generator, hosts, pid, cpu_seconds):
    """One value for each of the rows."""
    found = {}
    before = resident_kb(pid)
    idle = subprocess.Popen(
        [str(generator), hosts, "work=idle", f"connections={SESSIONS}"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    if not idle.stdout.readline().startswith("opened="):
        sys.exit("the sessions could not be opened")
    used, started = cpu_seconds(pid), time.monotonic()
    # Long enough for every session's ping: memory it makes for one counts.
    time.sleep(IDLE_SECONDS)
    found["percent"] = (cpu_seconds(pid) - used) / (time.monotonic() - started) * 100
    found["kb"] = (resident_kb(pid) - before) / SESSIONS
    idle.communicate()
    told = subprocess.run(
        [str(generator), hosts, "work=watch", f"connections={WATCHERS}"],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        text=True,
    )
    if told.returncode:
        sys.exit("the watchers failed")
    words = dict(word.split("=") for word in told.stdout.split())
    found["ms"] = int(words["p50_us"]) / 1000
    return found


def resident_kb(pid):
    for line in pathlib.Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1])
    raise ValueError("a process without memory")


def crowd_table(genuine, ours, names):
    """Rows of the medians; `genuine` and `ours` are what was measured, turn by turn."""
    lines = [f"| crowd | {names[0]} | {names[1]} | ratio |", "|---|---|---|---|"]
    for title, what in CROWDS:
        theirs = statistics.median(one[what] for one in genuine)
        mine = statistics.median(one[what] for one in ours)
        lines.append(f"| {title} | {theirs:.2f} | {mine:.2f} | {mine / max(theirs, 0.01):.2f} |")
    return "\n".join(lines)
