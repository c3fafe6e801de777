"""Checks continuously whether one member serves: a sync and a read."""

import threading
import time

import jute


class Prober(threading.Thread):
    """Keeps one session on one member and notes when the member answered."""

    EVERY_S, PATIENCE_S = 0.05, 1.0

    def __init__(self, member, timeout_ms=20000):
        super().__init__(daemon=True, name=f"prober-{member.number}")
        self.member = member
        self.timeout_ms = timeout_ms
        self.moments = []
        self.done = threading.Event()
        self.session, self.password = 0, b"\0" * 16
        self.sessions_ended = 0

    def run(self):
        connection = None
        while not self.done.is_set():
            try:
                if connection is None:
                    connection = self.connect()
                self.ask(connection)
                self.moments.append(time.monotonic())
            except OSError:
                if connection is not None:
                    connection.close()
                connection = None
            self.done.wait(self.EVERY_S)
        if connection is not None:
            connection.close()

    def ask(self, connection):
        connection.send(jute.SYNC, jute.text("/"))
        connection.send(jute.GET_DATA, jute.text("/") + b"\0")
        for _ in range(2):
            if connection.reply()[2]:
                raise ConnectionError("it answers with an error")

    def connect(self):
        connection = jute.Connection(
            self.member.zk_address, self.timeout_ms, self.session, self.password, patience=self.PATIENCE_S
        )
        if connection.session == 0:
            connection.close()
            self.session, self.password = 0, b"\0" * 16
            self.sessions_ended += 1
            raise ConnectionError("the session is over")
        self.session, self.password = connection.session, connection.password
        return connection

    def last(self):
        return self.moments[-1] if self.moments else 0.0

    def silence(self, since, until):
        """The longest time in which it did not answer."""
        longest, last = 0.0, since
        for moment in [*[m for m in self.moments[-100000:] if since < m < until], until]:
            longest, last = max(longest, moment - last), moment
        return longest
