"""Network partitions, beside a genuine ZooKeeper with the same partitions.

    partitions --members 3 [--phases isolated,bridge] [--seconds 8] [--away 20]

Each ensemble has its own network namespaces (netns.py), and each phase cuts off
its own leader. Results per phase and ensemble:

    gap        the longest time in which no client had a write acknowledged, with
               clients that try all members
    service    seconds from healing until every member serves reads and writes
               without a break longer than a second
    lost       acknowledged writes that a member does not have afterwards
    ended      sessions that ended although a member had answered one of their
               pings within their timeout
    doubles    pairs of clients that both believed to hold the lock at one time

Our members must have a gap below 3 s while a connected majority exists, full
service within 3 s of healing, and nothing lost, ended or double. The genuine
ZooKeeper's results are only shown. Needs root.
"""

import argparse
import contextlib
import itertools
import sys
import threading
import time

import jute
from ensemble import Genuine, Ours, Place, allow_open_files
from load import Creator, Reader, Tally
from netns import Hub, missing
from phases import PHASES
from probe import Prober
from report import Run, options, seconds, table
from sessions import Contender, LockRecord, PingingSession

GAP_MAX_S = SERVICE_MAX_S = 3.0
# A break as long as this after healing is no full service.
BREAK_S = 1.0
STABLE_S = 3.0
GIVE_UP_S = 90.0
LOCK = "/lock"


def main():
    names = list(dict.fromkeys(phase.name for phase in PHASES))
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=3, choices=(3, 5))
    parser.add_argument("--phases", default=",".join(names), help=f"of {', '.join(names)}")
    parser.add_argument("--seconds", type=float, help="duration of each phase, instead of its own")
    parser.add_argument("--away", type=float, default=56, help="duration of the phase `away`")
    parser.add_argument("--times", type=int, default=1, help="repetitions of each phase")
    parser.add_argument("--alone", action="store_true", help="without the genuine ZooKeeper")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of members")
    options(parser)
    chosen = parser.parse_args()
    wanted = chosen.phases.split(",")
    if unknown := set(wanted) - set(names):
        parser.error(f"no such phase: {', '.join(sorted(unknown))}")
    if lacking := missing():
        sys.exit(f"partitions: {lacking}")
    allow_open_files()
    phases = [phase for phase in PHASES if phase.name in wanted and chosen.members in phase.sizes]
    run, scenes = Run("partitions", chosen), []
    hub = Hub()
    try:
        with contextlib.ExitStack() as stack:

            for make in (Ours,) if chosen.alone else (Ours, Genuine):
                network = hub.network(chosen.members)
                places = [Place(network.address(n), network.launch(n)) for n in network.numbers]
                if make is Ours:
                    settings = ["zk_four_letter_words=*", *chosen.set]
                    ensemble = Ours(run.folder, places, settings)
                else:
                    ensemble = Genuine(run.folder, places)
                stack.enter_context(ensemble)
                scenes.append(Scene(run, ensemble, network))
            for phase in [phase for phase in phases for _ in range(chosen.times)]:
                duration = chosen.away if phase.name == "away" else chosen.seconds
                threads = [threading.Thread(target=scene.play, args=(phase, duration)) for scene in scenes]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()
                for scene in scenes:
                    scene.tell()
    except AssertionError as error:
        run.fail(str(error))
    finally:
        hub.close()
    head = ["members", "phase", "ensemble", "gap s", "without %", "service s", "acknowledged", "lost", "ended", "doubles"]
    rows = [row for group in itertools.zip_longest(*(scene.rows for scene in scenes)) for row in group if row]
    run.say("\n" + table(head, rows))
    return run.finish()


class WritingProber(Prober):
    """Also sets a znode of its own, so that an answer means reads and writes."""

    def ask(self, connection):
        if connection.create(f"/{self.name}", b"") not in (0, -110):
            raise ConnectionError("create answered with an error")
        body = jute.text(f"/{self.name}") + jute.text(str(time.time())) + b"\xff\xff\xff\xff"
        if connection.call(jute.SET_DATA, body)[0]:
            raise ConnectionError("set answered with an error")
        super().ask(connection)


class Scene:
    """One ensemble on its network, phase after phase."""

    def __init__(self, run, ensemble, network):
        self.run, self.ensemble, self.network = run, ensemble, network
        self.count = len(ensemble.members)
        self.rows, self.told = [], 0
        self.tally = Tally(run.seed)
        self.judged = ensemble.kind == "coord"
        self.clients, self.verdicts = [], []

    # What a phase does, by rank.

    def cut(self, directions):
        self.network.set_cut({(self.order[a].number, self.order[b].number) for a, b in directions})

    def heal(self):
        self.network.heal()

    def pause(self, rank):
        self.order[rank].pause()

    def resume(self, rank):
        self.order[rank].resume()

    # How it is measured.

    def play(self, phase, duration):
        try:
            self.play_phase(phase, duration)
        except Exception as error:  # A thread has nobody to raise to.
            self.heal()
            self.verdicts = [f"{error!r}"]
            self.rows.append([self.count, phase.name, self.ensemble.kind, *["-"] * 7])
        finally:
            for client in self.clients:
                client.done.set()

    def play_phase(self, phase, duration):
        self.seconds = duration
        leader = self.ensemble.leader()
        self.order = [leader, *(member for member in self.ensemble.members if member is not leader)]
        members = self.order
        part = f"{phase.name}-{len(self.rows)}"
        addresses = [member.zk_address for member in members]
        # Contenders first, the leader's alone, so that its client holds the lock.
        record = LockRecord()
        contenders = [Contender(f"{part}-{n}", members, n, f"{LOCK}-{part}", record) for n in range(self.count)]
        self.clients = list(contenders)
        contenders[0].start()
        self.wait("the lock is held", record.holder)
        for contender in contenders[1:]:
            contender.start()
        pingers = [PingingSession(f"{part}-ping-{n}", members, n) for n in range(self.count)]
        writers = [
            Creator(f"{part}-write-{n}", addresses, n, self.tally, rate=40, window=1, timeout_ms=10000, patience=0.5)
            for n in range(min(3, self.count))
        ]
        probers = [WritingProber(member) for member in members]
        clients = [*pingers, *probers] if phase.quiet else [*pingers, *probers, *writers]
        self.clients += [*pingers, *probers, *writers]
        for client in clients:
            client.start()
        self.wait("all members serve", lambda: all(prober.moments for prober in probers))
        self.wait("all sessions ping", lambda: all(pinger.answered for pinger in pingers))
        if not phase.quiet:
            self.wait("all clients write", lambda: all(writer.last for writer in writers))
        time.sleep(1.0)

        began = time.monotonic()
        phase.act(self)
        healed = time.monotonic()
        if phase.quiet:
            for writer in writers:
                writer.start()
        self.watch_recovery(probers, healed)
        over = time.monotonic()

        gap = None if phase.quiet else self.tally.longest_gap(began, healed)[0]
        without = None if phase.quiet else self.share_without(began, healed)
        service = max(self.full_service(prober, healed, over) for prober in probers)
        for client in self.clients:
            client.done.set()
        for client in [*contenders, *pingers, *writers]:
            client.finish()
        majority = {members[rank].number for rank in phase.members_of_majority(self.count)}
        ended = [
            (client.name, left, by)
            for client in [*pingers, *contenders] for _, left, by in client.ended if left > 0
        ]  # fmt: skip
        doubles = record.doubles()
        lost = self.read_back(writers)
        acknowledged = sum(len(writer.acknowledged) for writer in writers)
        self.rows.append([
            self.count, phase.name, self.ensemble.kind, seconds(gap), "-" if without is None else f"{without:.0f}",
            f"{service:.2f}", acknowledged, len(lost), len(ended), len(doubles),
        ])  # fmt: skip
        self.verdicts = []
        if majority and gap is not None and self.run.too_long(gap, GAP_MAX_S, began, healed):
            self.verdicts.append(f"no write for {gap:.1f} s though a connected majority was there")
        if self.run.too_long(service, SERVICE_MAX_S, healed, over):
            slow = {p.member.number: f"{self.full_service(p, healed, over):.1f}" for p in probers}
            self.verdicts.append(f"full service only {service:.1f} s after healing: {slow}")
        self.verdicts += [f"lost: {text}" for text in lost[:5]]
        self.verdicts += [f"session {n} ended {left:.1f} s early, answered by member {by}" for n, left, by in ended]
        self.verdicts += [f"lock held twice for {s:.2f} s by {a} and {b}" for a, b, s in doubles]
        self.verdicts += self.tally.broken
        self.tally.broken.clear()

    def tell(self):
        """Said by the main thread, one scene after the other."""
        for row in self.rows[self.told :]:
            self.run.say(
                f"{row[1]:14} {row[2]:10} gap {row[3]} s ({row[4]} % without a write), full service after {row[5]} s, "
                f"{row[6]} acknowledged, lost {row[7]}, sessions ended {row[8]}, double holders {row[9]}"
            )
            for verdict in self.verdicts:
                if self.judged:
                    self.run.fail(f"{row[0]} members, {row[1]}: {verdict}")
                else:
                    self.run.say(f"  {row[2]}: {verdict}")
        self.told = len(self.rows)

    def wait(self, what, condition, limit=30.0):
        deadline = time.monotonic() + limit
        while not condition():
            if time.monotonic() > deadline:
                raise AssertionError(f"{self.ensemble.kind}: still not so after {limit} s: {what}")
            time.sleep(0.01)

    def watch_recovery(self, probers, healed):
        """Until all members have served for a while without a break."""
        while time.monotonic() < healed + GIVE_UP_S:
            now = time.monotonic()
            if now > healed + STABLE_S and all(
                self.full_service(prober, healed, now) + STABLE_S < now - healed for prober in probers
            ):
                return
            time.sleep(0.1)

    @staticmethod
    def full_service(prober, healed, until):
        """Seconds from healing to the end of the last break of this member."""
        end, last = 0.0, None
        for moment in [moment for moment in prober.moments if healed < moment < until]:
            if last is None or moment - last > BREAK_S:
                end = moment - healed
            last = moment
        if last is None or until - last > BREAK_S:
            end = until - healed
        return end

    def share_without(self, began, until):
        """Percent of quarter seconds in which nothing was acknowledged."""
        slots = max(1, int((until - began) / 0.25))
        filled = {int((moment - began) / 0.25) for moment in self.tally.moments if began <= moment < until}
        return 100 * (1 - len([slot for slot in filled if slot < slots]) / slots)

    def read_back(self, writers):
        lost = []
        for member in self.ensemble.members:
            reader = Reader(member, patience=30)
            for writer in writers:
                names = writer.missing(reader, 0, len(writer.acknowledged), True)
                lost += [f"{writer.name}/{name} on member {member.number}" for name in names]
            reader.close()
        return lost
