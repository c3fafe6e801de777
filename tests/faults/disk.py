"""Members that run out of a resource, and whether they recover.

    disk [--members 1,3] [--cases full,descriptors,snapshot]

    full         the data directory is on a small file system that fills up
    descriptors  idle connections use up all file descriptors
    snapshot     a snapshot cannot be written though the log can

Each runs with one member and with three, under load, on a follower and on the
leader. During the fault, a write is refused with an error or not accepted at
all, never left without an answer; while the log is readable, reads continue;
clients of a faulty member of three move to another one within their timeout.
After the fault, all members serve again by themselves, without a restart, and
nothing acknowledged is lost. `full` and `snapshot` mount a tmpfs, which needs root.
"""

import argparse
import contextlib
import os
import socket
import subprocess
import sys
import time

from ensemble import Ours, Place, allow_open_files, four_letters
from load import Bulk, Creator, KeyWriter, Reader, Tally
from probe import Prober
from questions import TIMEOUT_MS, Questions
from report import Run, options, seconds, table
from sessions import PingingSession

CASES = ("full", "descriptors", "snapshot")
# How long a fault stays, and how long the return from it may take.
FAULT_S, BACK_MAX_S = 12.0, 30.0
# Small enough to be filled in a second, large enough for a margin that a member keeps.
SEGMENT_BYTES, SPACE_MIB = 1 << 20, 256
# What a member may have open where descriptors run out; it uses some 40 by itself.
DESCRIPTORS = 200


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", default="1,3", help="cluster sizes, separated by commas")
    parser.add_argument("--cases", default=",".join(CASES))
    parser.add_argument("--victims", default="follower,leader", help="with three members: which one is affected")
    parser.add_argument("--seconds", type=float, default=FAULT_S, help="duration of a fault")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of members")
    options(parser)
    chosen = parser.parse_args()
    if os.geteuid() != 0:
        sys.exit("disk: a small file system is mounted for it, which needs root: run this as root")
    allow_open_files()
    run = Run("disk", chosen)
    rows = []
    for case in chosen.cases.split(","):
        for members in map(int, chosen.members.split(",")):
            for victim in chosen.victims.split(",") if members > 1 else ["alone"]:
                trial = Trial(run, case, members, victim, chosen)
                try:
                    rows.append(trial.play())
                except AssertionError as error:
                    run.fail(f"{trial.title}: {error}")
                    rows.append([case, members, victim, *["-"] * 7])
                run.say("  ".join(map(str, rows[-1])))
    head = [
        "case", "members", "victim", "writes while broken", "silent writes", "reads while broken", "clients moved",
        "without writes s", "serving again s", "lost",
    ]  # fmt: skip
    run.say("\n" + table(head, rows))
    return run.finish()


class Trial:
    def __init__(self, run, case, members, victim, chosen):
        self.run, self.case, self.count, self.victim_is, self.chosen = run, case, members, victim, chosen
        self.title = f"{case}, {members} member{'s' if members > 1 else ''}, {victim}"
        self.folder = run.folder / self.title.replace(", ", "-").replace(" ", "")
        self.undo = contextlib.ExitStack()

    def play(self):
        with self.undo:
            settings = [f"storage.segment_bytes={SEGMENT_BYTES}", *self.chosen.set]
            if self.case == "snapshot":
                settings.append("storage.snapshot_log_bytes=2097152")
            launch = ()
            if self.case == "descriptors":
                # Hard as well as soft, or it would help itself.
                launch = ("prlimit", f"--nofile={DESCRIPTORS}:{DESCRIPTORS}")
            ensemble = Ours(self.folder, [Place(launch=launch)] * self.count, settings)
            if self.case == "full":
                for member in ensemble.members:
                    self.mount(member.folder, SPACE_MIB)
            with ensemble:
                return self.play_on(ensemble)

    def mount(self, folder, mib):
        folder.mkdir(parents=True, exist_ok=True)
        subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(folder)], check=True)
        self.undo.callback(subprocess.run, ["umount", "-l", str(folder)], check=False)

    def play_on(self, ensemble):
        leader = ensemble.leader()
        others = [member for member in ensemble.members if member is not leader]
        victim = others[0] if self.victim_is == "follower" else leader
        tally = Tally(self.run.seed)
        zk, keys = ensemble.addresses, [member.http_address for member in ensemble.members]
        writers = [Creator(f"create-{n}", zk, n, tally, rate=100, window=4) for n in range(max(3, self.count))]
        writers.append(KeyWriter("key-0", keys, 0, tally, rate=50))
        # Idle clients of the victim: do they look for another member in time?
        place = ensemble.members.index(victim)
        order = [*ensemble.members[place:], *ensemble.members[:place]]
        pingers = [PingingSession(f"ping-{n}", order, 0, every=0.5, timeout_ms=TIMEOUT_MS) for n in range(5)]
        prober = Prober(victim)
        # Much data, so that segments are begun and snapshots due all the time.
        bulk = Bulk("bulk", zk, self.count - 1, tally)
        clients = [*writers, *pingers, bulk, prober]
        for client in clients:
            client.start()
        self.wait("all write and ping", lambda: all(w.last for w in writers) and all(p.answered for p in pingers), 20)
        time.sleep(1)
        try:
            return self.break_and_mend(ensemble, victim, tally, writers, pingers, prober)
        finally:
            for client in clients:
                client.done.set()
            for client in [*writers, *pingers, bulk]:
                client.finish()

    def break_and_mend(self, ensemble, victim, tally, writers, pingers, prober):
        asked = Questions(victim)
        asked.once()
        asked.reset()
        began = time.monotonic()
        mend = getattr(self, f"break_{self.case}")(victim)
        until = began + self.chosen.seconds
        while time.monotonic() < until:
            asked.once()
            time.sleep(0.2)
        answers, reads = asked.writes, asked.reads
        told = {word: (four_letters(victim.zk_address, word, 2) or "-").strip() for word in ("isro", "ruok")}
        elsewhere = [pinger for pinger in pingers if order_of(pinger) != victim.number]
        gap = tally.longest_gap(began, time.monotonic())[0]
        mended = time.monotonic()
        mend()
        if not victim.running():
            self.run.fail(f"{self.title}: the member ended with {victim.process.returncode}: {victim.said()[-300:]}")
            back = None
        else:
            back = self.time_to_serve(ensemble, victim, writers, prober, mended)
        lines = victim.said().count(" ERROR ")
        ended = [(p.name, left) for p in pingers for _, left, _ in p.ended if left > 0]
        for writer in writers:
            writer.finish()
        lost = self.read_back(ensemble, writers)
        broken = answers["refused"] + answers["closed"] + answers["no answer"] > 0
        served_all_along = self.case == "snapshot"
        verdicts = []
        if answers["no answer"]:
            verdicts.append(f"{answers['no answer']} writes were kept for 2 s without an answer")
        if broken and reads["answered"] == 0:
            verdicts.append(f"no read was answered meanwhile: {reads}")
        if broken and told["isro"] == "rw" and self.case == "full" and answers["done"] == 0:
            verdicts.append("isro says rw though no write is taken")
        if served_all_along and broken:
            verdicts.append(f"a failed snapshot kept writes from being taken: {answers}")
        if self.count > 1 and self.run.too_long(gap, TIMEOUT_MS / 1000, began, mended):
            verdicts.append(f"no client of the cluster could write for {gap:.1f} s")
        if lines > 300:
            verdicts.append(f"{lines} lines of ERROR in {self.chosen.seconds:.0f} s")
        if back is None:
            verdicts.append(f"it does not serve again {BACK_MAX_S:.0f} s after the cause is gone")
        verdicts += [f"session {name} ended {left:.1f} s early" for name, left in ended]
        verdicts += [f"lost: {text}" for text in lost[:5]]
        for text in list(asked.said)[:4]:
            self.run.say(f"  {self.title}: a refused write was told: {text}")
        for verdict in verdicts:
            self.run.fail(f"{self.title}: {verdict}")
        moved = f"{len(elsewhere)} of {len(pingers)}" if self.count > 1 else "-"
        text = " ".join(f"{count} {what}" for what, count in answers.items() if count and what != "no answer")
        return [
            self.case, self.count, self.victim_is, text or "none", answers["no answer"],
            " ".join(f"{count} {what}" for what, count in reads.items() if count), moved, seconds(gap),
            "never" if back is None else seconds(back), len(lost),
        ]  # fmt: skip

    # The faults. Each gives what ends it.

    def break_full(self, victim):
        ballast = victim.folder / "ballast"
        with open(ballast, "wb") as file:
            with contextlib.suppress(OSError):
                while True:
                    file.write(b"x" * (1 << 16))
                    file.flush()
        return ballast.unlink

    def break_descriptors(self, victim):
        """Twice as many connections as the limit it was started with."""
        idle = []
        for _ in range(2 * DESCRIPTORS):
            with contextlib.suppress(OSError):
                idle.append(socket.create_connection(victim.zk_address, 0.2))

        def mend():
            for one in idle:
                one.close()

        return mend

    def break_snapshot(self, victim):
        """Its snapshots are to go where there is no room."""
        snapshots = victim.folder / "data" / "snapshots"
        subprocess.run(["mount", "-t", "tmpfs", "-o", "size=4k", "tmpfs", str(snapshots)], check=True)
        unmount = contextlib.ExitStack()
        unmount.callback(subprocess.run, ["umount", "-l", str(snapshots)], check=False)
        self.undo.push(unmount)
        return unmount.close

    # Afterwards.

    def time_to_serve(self, ensemble, victim, writers, prober, mended):
        """Seconds until the member serves and takes writes again, and all write."""
        while time.monotonic() < mended + BACK_MAX_S + self.run.held_up.total(mended, time.monotonic()):
            if (
                prober.last() > mended
                and all(writer.last > mended for writer in writers)
                and Questions(victim).write() == "done"
            ):
                return time.monotonic() - mended
            time.sleep(0.1)
        return None

    def read_back(self, ensemble, writers):
        lost = []
        for member in ensemble.members:
            try:
                reader = Reader(member)
            except OSError as error:
                self.run.fail(f"{self.title}: member {member.number} cannot be read from: {error!r}")
                continue
            for writer in writers:
                names = writer.missing(reader, 0, len(writer.acknowledged), True)
                lost += [f"{writer.name}/{name} on member {member.number}" for name in names]
            reader.close()
        return lost

    def wait(self, what, condition, limit):
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"still not so after {limit} s: {what}")
            time.sleep(0.01)


def order_of(pinger):
    return pinger.members[pinger.turn].number
