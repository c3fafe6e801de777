"""Members killed or stopped under load, repeatedly: is anything lost?

    kills --members 3 --rounds 60 [--disturb leader,follower,...]

Each round disturbs members while six ZooKeeper sessions create and set and two
Consul clients put keys, waits until all members are healthy, and then checks:
every acknowledged write is on every member, digests agree at equal revisions,
logs agree at equal indexes, no revision was given twice, and no member was
silent for more than 5 s.

Disturbances:
    leader         SIGKILL of the leader, restarted at once
    follower       the same with a follower
    two            the same with two members at once, including the leader
    stop-leader    SIGSTOP of the leader for 2 s
    stop-follower  the same with a follower
    all            SIGKILL of all members, restarted at once
"""

import argparse
import time

from agreement import Agreement
from ensemble import Ours, Place, allow_open_files
from load import Creator, KeyWriter, Reader, Setter, Tally
from probe import Prober
from report import Run, options, seconds, table

DISTURBANCES = ("leader", "follower", "two", "stop-leader", "stop-follower", "all")
STOPPED_S = 2.0
SILENT_MAX_S = 5.0
# A cluster that has not come back after so long never will.
BACK_MAX_S = 20.0


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--members", type=int, default=3)
    parser.add_argument("--rounds", type=int, default=60)
    parser.add_argument(
        "--disturb", default="leader,follower,two,stop-leader,stop-follower", help="in turns, separated by commas"
    )
    parser.add_argument("--rate", type=float, default=200, help="writes per second and connection; 0 for no limit")
    parser.add_argument("--pause", type=float, default=1.0, help="maximum seconds of undisturbed load per round")
    parser.add_argument("--go-on", action="store_true", help="continue with a new cluster when one is permanently broken")
    parser.add_argument("--set", action="append", default=[], metavar="KEY=VALUE", help="settings of members")
    options(parser)
    chosen = parser.parse_args()
    kinds = chosen.disturb.split(",")
    for kind in kinds:
        if kind not in DISTURBANCES:
            parser.error(f"--disturb {kind}: one of {', '.join(DISTURBANCES)}")
    allow_open_files()
    run = Run("kills", chosen)
    rounds, part, sums = 0, 0, Sums(chosen.members)
    while rounds < chosen.rounds and (part == 0 or chosen.go_on):
        part += 1
        with Ours(run.folder / f"cluster-{part}", [Place()] * chosen.members, chosen.set) as ensemble:
            kills = Kills(run, ensemble, chosen, sums)
            try:
                while rounds < chosen.rounds:
                    rounds += 1
                    if not kills.round(rounds, kinds[(rounds - 1) % len(kinds)]):
                        break
            except AssertionError as error:
                run.fail(str(error))
            finally:
                kills.finish()
    sums.say(run)
    return run.finish()


class Sums:
    """What all rounds came to."""

    def __init__(self, members):
        self.members = members
        self.rows = []
        self.acknowledged = self.lost = self.ended = self.terms = self.compared = 0

    def say(self, run):
        rows = []
        for kind in dict.fromkeys(row[0] for row in self.rows):
            mine = [row for row in self.rows if row[0] == kind]
            rows.append([
                kind, len(mine), sum(row[1] for row in mine), sum(row[2] for row in mine),
                seconds(max(row[3] for row in mine)), seconds(max(row[4] for row in mine)),
                sum(row[5] for row in mine),
            ])  # fmt: skip
        head = ["disturbance", "rounds", "acknowledged", "lost", "longest gap s", "longest silence s", "with contradictions"]
        run.say(f"\n{self.members} members\n")
        run.say(table(head, rows))
        run.say(
            f"\nacknowledged {self.acknowledged}, lost {self.lost}, leaders' terms {self.terms}, "
            f"digests compared {self.compared}, live sessions ended {self.ended}"
        )


class Kills:
    def __init__(self, run, ensemble, chosen, sums):
        self.run, self.ensemble, self.chosen, self.sums = run, ensemble, chosen, sums
        self.tally = Tally(run.seed)
        self.agreement = Agreement()
        zk = ensemble.addresses
        http = [member.http_address for member in ensemble.members]
        self.writers = [Creator(f"create-{n}", zk, n, self.tally, chosen.rate) for n in range(4)]
        self.writers += [Setter(f"set-{n}", zk, n, self.tally, chosen.rate) for n in range(2)]
        self.writers += [KeyWriter(f"key-{n}", http, n + 1, self.tally, chosen.rate) for n in range(2)]
        self.probers = {member.number: Prober(member) for member in ensemble.members}
        self.checked = {writer.name: 0 for writer in self.writers}
        self.lost = set()
        for thread in [*self.writers, *self.probers.values()]:
            thread.start()

    def round(self, number, kind):
        """Whether it makes sense to go on."""
        if not self.wait_until_well(time.monotonic()):
            return False
        time.sleep(self.run.random.uniform(0.2, 0.2 + self.chosen.pause))
        before = len(self.tally.moments)
        began = time.monotonic()
        victims, back = self.disturb(kind)
        well = self.wait_until_well(began, back)
        until = time.monotonic()
        silences = {
            n: prober.silence(back.get(n, began), max(until, back.get(n, began)))
            for n, prober in self.probers.items()
        }
        gap = self.tally.longest_gap(began, until)[0]
        if well:
            time.sleep(0.3)
        lost = self.read_back(contents=number % len(self.ensemble.members))
        contradictions = self.contradictions()
        acknowledged = len(self.tally.moments) - before
        self.sums.rows.append((kind, acknowledged, lost, gap, max(silences.values()), bool(contradictions)))
        silent = " ".join(f"{n}:{s:.2f}" for n, s in silences.items())
        self.run.say(
            f"round {number:3} {kind:13} members {','.join(map(str, victims)):7} {acknowledged:6} acknowledged, "
            f"lost {lost}, gap {gap:.2f} s, silent {silent}"
        )
        for n, silence in silences.items():
            if self.run.too_long(silence, SILENT_MAX_S, began, until):
                self.run.fail(f"round {number} ({kind}): member {n} was silent for {silence:.1f} s")
        for text in contradictions:
            self.run.fail(f"round {number} ({kind}): {text}")
        # What contradicts itself once does so for good.
        return well and not contradictions and all(member.running() for member in self.ensemble.members)

    def disturb(self, kind):
        """Who was disturbed, and when each of them was back."""
        leader = self.ensemble.leader()
        followers = [member for member in self.ensemble.members if member is not leader]
        self.run.random.shuffle(followers)
        victims = {
            "leader": [leader], "stop-leader": [leader], "two": [leader, followers[0]] if followers else [leader],
            "follower": followers[:1], "stop-follower": followers[:1], "all": self.ensemble.members,
        }[kind] or [leader]  # fmt: skip
        if kind.startswith("stop"):
            for victim in victims:
                victim.pause()
            time.sleep(STOPPED_S)
            for victim in victims:
                victim.resume()
        else:
            for victim in victims:
                victim.process.kill()
            for victim in victims:
                victim.process.wait()
                victim.start()
        now = time.monotonic()
        return [victim.number for victim in victims], {victim.number: now for victim in victims}

    def wait_until_well(self, began, back=None):
        """Until every member serves and every writer is acknowledged again."""
        back = back or {}
        deadline = max([began, *back.values()]) + (4 if self.run.only_promises else 1) * BACK_MAX_S
        while True:
            silent = [n for n, prober in self.probers.items() if prober.last() <= back.get(n, began)]
            idle = [writer.name for writer in self.writers if writer.last <= max([began, *back.values()])]
            ended = [member.number for member in self.ensemble.members if not member.running()]
            failed = [writer.failure for writer in self.writers if writer.failure]
            if ended or failed:
                self.run.fail(f"members that ended by themselves: {ended}; writers that failed: {failed}")
                return False
            if not silent and not idle:
                return True
            # Slow is a matter of the machine; that it comes back is a promise.
            if time.monotonic() > deadline + self.run.held_up.total(began, time.monotonic()):
                self.run.fail(f"after {time.monotonic() - began:.0f} s silent members: {silent}; idle writers: {idle}")
                return False
            time.sleep(0.01)

    def read_back(self, contents, everything=False):
        """Reads what is new (or everything) from each member; how many are lost.
        Member `contents` (from 0) is asked for the contents too, the others for names."""
        upto = {writer.name: len(writer.acknowledged) for writer in self.writers}
        lost = 0
        for place, member in enumerate(self.ensemble.members):
            try:
                reader = Reader(member)
            except OSError as error:
                self.run.fail(f"member {member.number} cannot be read from: {error!r}")
                continue
            for writer in self.writers:
                since = 0 if everything else self.checked[writer.name]
                try:
                    missing = writer.missing(reader, since, upto[writer.name], place == contents)
                except OSError as error:
                    self.run.fail(f"reading what {writer.name} wrote from member {member.number}: {error!r}")
                    continue
                for name in missing:
                    key = (writer.name, name, member.number)
                    if key not in self.lost:
                        self.lost.add(key)
                        lost += 1
                        self.run.fail(f"lost: {writer.name}/{name} was acknowledged, member {member.number} has it not")
            reader.close()
        self.checked = upto
        return lost

    def contradictions(self):
        """What members, or answers to writers, say that cannot be true together."""
        found = [*self.agreement.look(self.ensemble), *self.tally.broken]
        self.tally.broken.clear()
        return found

    def finish(self):
        for writer in self.writers:
            writer.finish()
        for prober in self.probers.values():
            prober.done.set()
        if all(member.running() for member in self.ensemble.members):
            self.run.say("everything that was ever acknowledged is read back from every member")
            self.read_back(contents=0, everything=True)
            for text in self.contradictions():
                self.run.fail(f"at the end: {text}")
        sums = self.sums
        sums.acknowledged += len(self.tally.moments)
        sums.lost += len({key[:2] for key in self.lost})
        sums.terms += self.agreement.terms()
        sums.compared += self.agreement.compared
        ended = sum(getattr(client, "sessions_ended", 0) for client in [*self.writers, *self.probers.values()])
        if ended and not self.run.only_promises:
            self.run.fail(f"{ended} sessions ended though their clients looked for a member all the time")
        sums.ended += ended
