"""Attacks by unauthenticated clients, and their effect on everybody else.

    attacks [--only filter,frames] [--members 3]

Well-behaved clients, one on each member, set and read one znode at a time. Their
99th percentile is measured before and during each attack, and the memory of the
attacked member before, at its peak, and afterwards. A promise is broken when a
member dies or stops serving, when a well-behaved client waits for more than
--stall seconds, when memory grows by more than --memory MiB, or when one of the
attack's own conditions is violated (attack_*.py).
"""

import argparse
import threading
import time

import attack_consul
import attack_members
import attack_zookeeper
import jute
from ensemble import Ours, Place, allow_open_files, resident_kib
from report import Run, options, table

ATTACKS = {**attack_zookeeper.ATTACKS, **attack_consul.ATTACKS, **attack_members.ATTACKS}
BEFORE_S, AFTER_S = 2.0, 4.0
# No attack lasts longer.
ATTACK_MAX_S = 30.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__ + "\nAttacks:\n" + "".join(f"    {n:18} {f.__doc__.splitlines()[0]}\n" for n, f in ATTACKS.items()),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--only", default=",".join(ATTACKS), help="names of attacks, separated by commas")
    parser.add_argument("--stall", type=float, default=2.0, help="seconds that a well-behaved client may wait")
    parser.add_argument("--memory", type=int, default=512, help="MiB by which a member may grow")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of members")
    options(parser)
    chosen = parser.parse_args()
    names = chosen.only.split(",")
    if unknown := set(names) - set(ATTACKS):
        parser.error(f"no such attack: {', '.join(sorted(unknown))}")
    allow_open_files()
    run = Run("attacks", chosen)
    rows = []
    for name in names:
        # A cluster of its own for each: what one leaves behind must not count for the next.
        with Ours(run.folder / name, [Place()] * chosen.members, chosen.set, dns=True) as ensemble:
            try:
                rows.append(Trial(run, name, ensemble, chosen).play())
            except AssertionError as error:
                run.fail(f"{name}: {error}")
                rows.append([name, "-", "-", "-", "-", "-", "-", str(error)[:60]])
        run.say("  ".join(map(str, rows[-1])))
    head = ["attack", "p99 before ms", "during", "longest wait", "MiB before", "highest", "after", "what came of it"]
    run.say("\n" + table(head, rows))
    return run.finish()


class Client(threading.Thread):
    """Sets and reads, one at a time, on one member; comes back when it is cut off."""

    def __init__(self, member):
        super().__init__(daemon=True)
        self.member = member
        self.calls = []  # (begun, ended)
        self.done = threading.Event()
        self.failing_since = None

    def run(self):
        connection, path = None, f"/good-{self.member.number}"
        while not self.done.is_set():
            begun = time.monotonic()
            try:
                if connection is None:
                    connection = jute.Connection(self.member.zk_address, 20000, patience=20)
                    connection.create(path)
                body = jute.text(path) + jute.text(b"x" * 100) + b"\xff\xff\xff\xff"
                if connection.call(jute.SET_DATA, body)[0] or connection.get(path)[0]:
                    raise ConnectionError("an error was answered")
                self.calls.append((self.failing_since or begun, time.monotonic()))
                self.failing_since = None
            except OSError:
                # The time until it is served again counts as one long wait.
                self.failing_since = self.failing_since or begun
                if connection is not None:
                    connection.close()
                connection = None
                time.sleep(0.05)
            time.sleep(0.01)

    def waits(self, since, until):
        waits = [ended - begun for begun, ended in self.calls if ended > since and begun < until]
        last = self.calls[-1][1] if self.calls else since
        if last < until:
            waits.append(until - max(last, since))
        return waits


class Trial:
    """One attack on one cluster."""

    def __init__(self, run, name, ensemble, chosen):
        self.run, self.name, self.ensemble, self.chosen = run, name, ensemble, chosen
        self.leader = ensemble.leader()
        followers = [member for member in ensemble.members if member is not self.leader]
        self.follower = followers[0] if followers else self.leader
        self.highest = {member.number: 0 for member in ensemble.members}
        self.over = threading.Event()
        self.excused = set()  # Members that the attack itself restarts: their clients have to wait.

    def play(self):
        members = self.ensemble.members
        clients = [Client(member) for member in members]
        for client in clients:
            client.start()
        self.wait("well-behaved clients are served", lambda: all(client.calls for client in clients), 20)
        time.sleep(0.5 + BEFORE_S)
        before = {member.number: self.memory(member) for member in members}
        began = time.monotonic()
        watcher = threading.Thread(target=self.watch_memory, daemon=True)
        watcher.start()
        verdicts, outcome = [], {}

        def attack():
            try:
                outcome["said"] = ATTACKS[self.name](self)
            except Exception as error:  # A thread has nobody to raise to.
                outcome["said"] = f"it failed: {error!r}"

        attacker = threading.Thread(target=attack, daemon=True)
        attacker.start()
        attacker.join(ATTACK_MAX_S)
        ended = time.monotonic()
        said = outcome.get("said", f"not over after {ATTACK_MAX_S:.0f} s")
        if isinstance(said, tuple):
            said, broken = said
            verdicts += [f"{self.name}: {text}" for text in broken]
        time.sleep(AFTER_S)
        self.over.set()
        watcher.join()
        for client in clients:
            client.done.set()
        for member in members:
            if not member.running():
                verdicts.append(f"{self.name}: member {member.number} ended with {member.process.returncode}")
        silent = [
            client.member.number for client in clients
            if not client.calls or client.calls[-1][1] < ended + AFTER_S - self.chosen.stall
        ]  # fmt: skip
        if silent and not self.run.only_promises:
            verdicts.append(f"{self.name}: members {silent} serve nobody {AFTER_S:.0f} s afterwards")
        good = [wait for client in clients for wait in client.waits(began - BEFORE_S, began)]
        counted = [client for client in clients if client.member.number not in self.excused]
        # What is over in a moment has its effect in the second after it.
        during = [wait for client in counted for wait in client.waits(began, max(ended, began + AFTER_S))]
        longest = max(during)
        if self.run.too_long(longest, self.chosen.stall, began, ended):
            verdicts.append(f"{self.name}: a well-behaved client waited for {longest:.1f} s")
        worst = max(members, key=lambda member: self.highest[member.number] - before[member.number])
        growth = self.highest[worst.number] - before[worst.number]
        if growth > self.chosen.memory:
            verdicts.append(f"{self.name}: member {worst.number} grew by {growth} MiB")
        for verdict in verdicts:
            self.run.fail(verdict)
        return [
            self.name, f"{percentile(good) * 1000:.1f}", f"{percentile(during) * 1000:.1f}", f"{longest * 1000:.0f}",
            before[worst.number], self.highest[worst.number], self.memory(worst) or "-", said,
        ]  # fmt: skip

    def watch_memory(self):
        while not self.over.is_set():
            for member in self.ensemble.members:
                self.highest[member.number] = max(self.highest[member.number], self.memory(member))
            time.sleep(0.1)

    @staticmethod
    def memory(member):
        try:
            return resident_kib(member.process.pid)[0] >> 10
        except (OSError, IndexError):
            return 0

    def wait(self, what, condition, limit):
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"still not so after {limit} s: {what}")
            time.sleep(0.01)


def percentile(values, part=0.99):
    values = sorted(values)
    return values[min(len(values) - 1, int(len(values) * part))] if values else 0.0
