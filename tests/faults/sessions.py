"""Clients with sessions that matter: some only ping, some hold a lock.

A client may assume that its session is alive until one timeout after it sent the
last ping that was answered. It cannot know more than that, so a lock that another
client gets earlier has two holders.
"""

import threading
import time

import jute

NODE_EXISTS = -110
TIMEOUT_MS = 4000


class PingingSession(threading.Thread):
    """A session that pings, at one member until that does not answer."""

    def __init__(self, name, members, first, every=TIMEOUT_MS / 3000, timeout_ms=TIMEOUT_MS):
        super().__init__(daemon=True, name=name)
        self.members = members
        self.turn = first
        self.every = every
        self.wanted_ms = timeout_ms
        self.timeout_s = timeout_ms / 1000
        self.connection = None
        self.session, self.password = 0, b"\0" * 16
        self.answered = 0.0  # When the last answered sign of life was sent.
        self.answered_by = None
        self.done = threading.Event()
        self.ended = []  # (moment, believed: seconds left, number of the member that answered last)
        self.moves = 0

    def run(self):
        while not self.done.is_set():
            try:
                if self.connection is None:
                    self.attach()
                self.once()
                self.done.wait(self.every)
            except OSError:
                self.drop()
                self.turn = (self.turn + 1) % len(self.members)
                self.moves += 1
                self.done.wait(0.05)
        self.leave()

    def attach(self):
        sent = time.monotonic()
        # As ZooKeeper's clients do: a third of the timeout to connect.
        connection = jute.Connection(
            self.members[self.turn].zk_address, self.wanted_ms, self.session, self.password,
            patience=self.timeout_s / 3,
        )  # fmt: skip
        if connection.session == 0:
            connection.close()
            left = self.answered + self.timeout_s - time.monotonic()
            self.ended.append((time.monotonic(), left, self.answered_by))
            self.session, self.password = 0, b"\0" * 16
            self.session_over()
            raise ConnectionError("the session is over")
        self.connection = connection
        self.session, self.password = connection.session, connection.password
        self.timeout_s = connection.timeout_ms / 1000
        self.alive(sent)

    def alive(self, sent):
        self.answered, self.answered_by = sent, self.members[self.turn].number
        self.heard(sent)

    def once(self):
        sent = time.monotonic()
        if self.connection.ping():
            raise ConnectionError("a ping answered with an error")
        self.alive(sent)

    def heard(self, sent):
        pass

    def session_over(self):
        pass

    def drop(self):
        if self.connection is not None:
            self.connection.close()
            self.connection = None

    def leave(self):
        if self.connection is not None:
            try:
                self.connection.call(jute.CLOSE)
            except OSError:
                pass
            self.drop()

    def finish(self):
        self.done.set()
        self.join(15)


class Contender(PingingSession):
    """Holds a lock, or tries to: an ephemeral znode of everybody's one path."""

    def __init__(self, name, members, first, path, record):
        super().__init__(name, members, first, every=0.15)
        self.path = path
        self.record = record
        self.since = None

    def once(self):
        super().once()
        if self.since is None:
            sent = time.monotonic()
            error = self.connection.create(self.path, self.name.encode(), jute.EPHEMERAL)
            if error == 0:
                self.since = time.monotonic()
                self.alive(sent)
                self.record.hold(self)
            elif error == NODE_EXISTS:
                # Perhaps by ourselves, in a request whose answer was lost.
                _, owner = self.connection.get(self.path)
                if owner == self.name.encode():
                    self.since = time.monotonic()
                    self.record.hold(self)
            else:
                raise ConnectionError(f"create answered {error}")

    def heard(self, sent):
        if self.since is not None:
            self.record.believe(self)

    def session_over(self):
        self.give_up()

    def leave(self):
        # Before it asks for its session to be closed: from then on it believes nothing.
        self.give_up()
        super().leave()

    def give_up(self):
        if self.since is not None:
            self.record.give_up(self)
            self.since = None


class LockRecord:
    """Who believed to hold the lock, from when to when."""

    def __init__(self):
        self.lock = threading.Lock()
        self.holds = []  # [name, since, believed until]

    def hold(self, contender):
        with self.lock:
            self.holds.append([contender.name, contender.since, contender.answered + contender.timeout_s])

    def believe(self, contender):
        with self.lock:
            for hold in reversed(self.holds):
                if hold[0] == contender.name and hold[1] == contender.since:
                    hold[2] = max(hold[2], contender.answered + contender.timeout_s)
                    return

    def give_up(self, contender):
        """It knows that it holds the lock no more."""
        now = time.monotonic()
        with self.lock:
            for hold in reversed(self.holds):
                if hold[0] == contender.name and hold[1] == contender.since:
                    hold[2] = min(hold[2], now)
                    return

    def holder(self):
        now = time.monotonic()
        with self.lock:
            return [name for name, since, until in self.holds if since <= now < until]

    def doubles(self):
        """Pairs of different holders at one time, with the seconds for which."""
        with self.lock:
            holds = sorted(self.holds, key=lambda hold: hold[1])
        found = []
        for place, (name, since, until) in enumerate(holds):
            for other, begun, ended in holds[place + 1 :]:
                overlap = min(until, ended) - begun
                if other != name and overlap > 0:
                    found.append((name, other, overlap))
        return found
