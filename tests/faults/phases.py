"""What each phase of `partitions` does to the network, by rank.

Rank 0 is the member that led when the phase began, 1 and up its followers. A
phase names the members of the connected majority, if there is one: there writes
must continue, and sessions that are answered must not end.
"""

import time

from netns import all_but


class Phase:
    """`links(ranks)` says the directions to cut, or `run(scene)` does all by itself."""

    def __init__(self, name, what, cut=None, seconds=12.0, majority=None, run=None, sizes=(3, 5), quiet=False):
        self.name, self.what, self.cut, self.seconds = name, what, cut, seconds
        self.majority, self.own_run, self.sizes, self.quiet = majority, run, sizes, quiet

    def members_of_majority(self, count):
        return set(self.majority(count)) if self.majority else set()

    def act(self, scene):
        """Does it, and undoes it; `scene` cuts by rank."""
        if self.own_run:
            self.own_run(scene, scene.seconds or self.seconds)
        else:
            scene.cut(self.cut(scene.count))
            time.sleep(scene.seconds or self.seconds)
        scene.heal()


def both_ways(rank, count):
    return one_way_out(rank, count) | one_way_in(rank, count)


def one_way_out(rank, count):
    return {(rank, other) for other in range(count) if other != rank}


def one_way_in(rank, count):
    return {(other, rank) for other in range(count) if other != rank}


def followers(count):
    return range(1, count)


def all_members(count):
    return range(count)


def linked(*links):
    return lambda count: all_but(range(count), links)


def hub(count):
    """Everybody reaches rank 1 only, which reaches everybody."""
    return all_but(range(count), [(1, other) for other in range(count)])


def ring(count):
    if count == 3:
        # Two ways would be everybody with everybody: so one, all round.
        return {(0, 2), (2, 1), (1, 0)}
    return all_but(range(count), [(n, (n + 1) % count) for n in range(count)])


def flapping(pick, period=0.7):
    def run(scene, seconds):
        until = time.monotonic() + seconds
        while time.monotonic() < until:
            scene.cut(pick(scene.count))
            time.sleep(period)
            scene.heal()
            time.sleep(period)

    return run


def everything(count):
    return {(a, b) for a in range(count) for b in range(count) if a != b}


def stopped(rank):
    def run(scene, seconds):
        scene.pause(rank)
        time.sleep(seconds)
        scene.resume(rank)

    return run


def last(count):
    return count - 1


PHASES = [
    Phase("isolated", "the leader is cut off, both ways", lambda n: both_ways(0, n), 15, followers),
    Phase("isolated-out", "nothing the leader sends arrives", lambda n: one_way_out(0, n), 12, followers),
    Phase("isolated-in", "the leader hears nothing", lambda n: one_way_in(0, n), 12, followers),
    Phase("quiet", "the leader is cut off while clients only ping", lambda n: both_ways(0, n), 15, followers, quiet=True),
    Phase("chain", "two followers that only reach one, or the leader: L-A-B", linked((0, 1), (1, 2)), 12,
          lambda n: (0, 1, 2), sizes=(3,)),
    Phase("halves", "two halves that share the leader: A-L-B", linked((0, 1), (0, 2)), 12, all_members, sizes=(3,)),
    Phase("bridge", "L-A, A-B, A-C, B-C, and D with nobody: openraft 2080",
          linked((0, 1), (1, 2), (1, 3), (2, 3)), 15, lambda n: (1, 2, 3), sizes=(5,)),
    Phase("hub", "everybody reaches A only", hub, 15, lambda n: (1,), sizes=(5,)),
    Phase("halves", "two halves that share one follower: L-A-S-B-C",
          linked((0, 1), (0, 4), (1, 4), (2, 3), (2, 4), (3, 4)), 15, all_members, sizes=(5,)),
    Phase("ring", "each reaches its two neighbours, of three: one way round", ring, 12,
          lambda n: all_members(n) if n == 5 else ()),
    Phase("flap-leader", "the leader's links come and go every 700 ms", None, 20, followers,
          run=flapping(lambda n: both_ways(0, n))),
    Phase("flap-one", "the link of the leader and one follower does", None, 20, all_members,
          run=flapping(lambda n: {(0, 1), (1, 0)})),
    Phase("flap-all", "all links do", None, 20, run=flapping(everything)),
    Phase("away", "a follower is cut off for long", lambda n: both_ways(last(n), n), 56, lambda n: range(n - 1)),
    Phase("stop", "SIGSTOP of the leader", None, 8, followers, run=stopped(0)),
    Phase("stop-follower", "SIGSTOP of a follower", None, 8, lambda n: range(n - 1), run=lambda s, t: stopped(s.count - 1)(s, t)),
]  # fmt: skip
