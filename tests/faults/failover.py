"""Time without a leader after the leader was killed, beside a genuine ZooKeeper.

    failover --rounds 20 --members 3

Both ensembles run at once. In turns, the leader of one is killed (SIGKILL) and
stays away until another member leads. The program measures the time from the
kill to the first acknowledged create that began after it, with clients that try
one member after the other at intervals of 10 ms. It fails if a write is lost, or
if our median is above --median-max.
"""

import argparse
import contextlib
import statistics
import threading
import time

import jute
from ensemble import Genuine, Ours, Place, allow_open_files
from load import TOP, Reader
from report import Run, options, table

NODE_EXISTS = -110
GIVE_UP_S = 60.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--alone", action="store_true", help="without the genuine ZooKeeper")
    parser.add_argument("--median-max", type=float, default=0.3, help="seconds; 0 for no limit")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of members")
    options(parser)
    chosen = parser.parse_args()
    allow_open_files()
    run = Run("failover", chosen)
    places = [Place()] * chosen.members
    with contextlib.ExitStack() as stack:
        ensembles = [Ours(run.folder, places, chosen.set)]
        if not chosen.alone:
            ensembles.append(Genuine(run.folder, places))
        trials = []
        for ensemble in ensembles:
            stack.enter_context(ensemble)
            trials.append(stack.enter_context(contextlib.closing(Trial(run, ensemble))))
        for number in range(1, chosen.rounds + 1):
            for trial in trials:
                trial.round(number)
            run.say(f"round {number:3}: " + ", ".join(f"{t.kind} {t.gaps[-1]:.3f} s" for t in trials))
        for trial in trials:
            trial.check()
    rows = [
        [
            trial.kind, len(trial.gaps), f"{statistics.median(trial.gaps):.3f}", f"{min(trial.gaps):.3f}",
            f"{max(trial.gaps):.3f}", trial.acknowledged(), len(trial.lost),
        ]
        for trial in trials
    ]  # fmt: skip
    run.say()
    run.say(table(["ensemble", "kills", "median s", "best s", "worst s", "acknowledged", "lost"], rows))
    for trial in trials:
        if trial.lost:
            run.fail(f"{trial.kind} lost {len(trial.lost)} acknowledged writes, such as {trial.lost[0]}")
    median = statistics.median(trials[0].gaps)
    if chosen.median_max and median > chosen.median_max and not chosen.only_promises:
        run.fail(f"the median gap is {median:.3f} s, more than {chosen.median_max} s")
    return run.finish()


class Hunter(threading.Thread):
    """Creates one znode at a time at whatever member answers."""

    def __init__(self, name, addresses, first):
        super().__init__(daemon=True)
        self.folder = f"{TOP}-{name}"
        self.addresses = addresses
        self.turn = first
        self.session, self.password = 0, b"\0" * 16
        self.done = threading.Event()
        self.acknowledged = []
        self.times = []  # (begun, acknowledged) of each

    def run(self):
        connection, number = None, 0
        while not self.done.is_set():
            try:
                if connection is None:
                    connection = self.connect()
                number += 1
                begun = time.monotonic()
                path = f"{self.folder}/{number:07}"
                error = connection.create(path, b"x" * 100)
                if error:
                    raise ConnectionError(f"create answered {error}")
                self.times.append((begun, time.monotonic()))
                self.acknowledged.append(path)
            except OSError:
                if connection is not None:
                    connection.close()
                connection = None
                self.turn = (self.turn + 1) % len(self.addresses)
                time.sleep(0.01)
            time.sleep(0.002)
        if connection is not None:
            connection.close()

    def connect(self):
        address = self.addresses[self.turn]
        connection = jute.Connection(address, 20000, self.session, self.password, patience=1.0)
        if connection.session == 0:
            self.session, self.password = 0, b"\0" * 16
            raise ConnectionError("the session is over")
        self.session, self.password = connection.session, connection.password
        error = connection.create(self.folder)
        if error not in (0, NODE_EXISTS):
            raise ConnectionError(f"create answered {error}")
        return connection

    def first_since(self, moment):
        """When the first write begun since then was acknowledged, or None."""
        late = [end for begun, end in self.times[-2000:] if begun >= moment]
        return late[0] if late else None


class Trial:
    """One ensemble and its clients, one beginning at each member."""

    def __init__(self, run, ensemble):
        self.run, self.ensemble, self.kind = run, ensemble, ensemble.kind
        self.gaps, self.lost = [], []
        addresses = ensemble.addresses
        self.hunters = [Hunter(f"{n}", addresses, n) for n in range(len(addresses))]
        for hunter in self.hunters:
            hunter.start()

    def acknowledged(self):
        return sum(len(hunter.acknowledged) for hunter in self.hunters)

    def wait(self, what, condition):
        deadline = time.monotonic() + GIVE_UP_S
        while True:
            value = condition()
            if value:
                return value
            if time.monotonic() > deadline:
                raise SystemExit(f"{self.kind}: still not so after {GIVE_UP_S:.0f} s: {what}")
            time.sleep(0.005)

    def round(self, number):
        now = time.monotonic()
        self.wait("all clients write", lambda: all(hunter.first_since(now) for hunter in self.hunters))
        time.sleep(self.run.random.uniform(1.0, 2.0))
        leader = self.ensemble.leader()
        killed = time.monotonic()
        leader.kill()
        dead = time.monotonic()
        firsts = lambda: [first for hunter in self.hunters if (first := hunter.first_since(dead))]
        self.gaps.append(min(self.wait("writes go on", firsts)) - killed)
        self.wait("all clients go on", lambda: len(firsts()) == len(self.hunters))
        leader.start().wait_ready()

    def close(self):
        for hunter in self.hunters:
            hunter.done.set()
        for hunter in self.hunters:
            hunter.join(10)

    def check(self):
        self.close()
        for member in self.ensemble.members:
            reader = Reader(member)
            for hunter in self.hunters:
                paths = list(hunter.acknowledged)
                self.lost += [path for path, data in zip(paths, reader.get_all(paths)) if data is None]
            reader.close()
