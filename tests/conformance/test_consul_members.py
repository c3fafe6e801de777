"""Consul's clients while members are killed: locks, catalog, agents."""

import collections
import contextlib
import functools
import threading
import time
import unittest

import consul
import requests

from member import Cluster, eventually

LOCK = "service/lock"
TTL = 10


def showing_logs(test):
    """Prints what every member said when the test fails."""

    @functools.wraps(test)
    def run(self):
        try:
            test(self)
        except BaseException:
            print(self.cluster.logs(), flush=True)
            raise

    return run


def connect(member, seconds=10):
    host, port = member.http_address
    return consul.Consul(host=host, port=port, connections_timeout=seconds)


class Contender(threading.Thread):
    """The recipe of Consul's guide: a session, acquire, renew, release; and wait
    on the key while another holds it. Goes to the next member when one is gone."""

    def __init__(self, number, members, record):
        super().__init__(daemon=True)
        self.name = f"contender-{number}"
        self.members = collections.deque(members)
        self.record = record
        self.done = threading.Event()
        self.failure = None

    def call(self, call):
        """Runs `call` at some member until one answers."""
        while True:
            try:
                return call(connect(self.members[0]))
            except (requests.RequestException, consul.ConsulException) as error:
                if isinstance(error, consul.NotFound) or "invalid session" in str(error):
                    raise
                if self.done.is_set():
                    raise
                self.members.rotate(-1)
                time.sleep(0.02)

    def run(self):
        try:
            while not self.done.is_set():
                self.once()
        except Exception as error:  # A thread has nobody to raise to.
            if not self.done.is_set():
                self.failure = repr(error)

    def once(self):
        session = self.call(lambda c: c.session.create(self.name, lock_delay=0, ttl=TTL, checks=[]))
        try:
            # A try whose answer was lost may have worked: the key tells.
            self.call(lambda c: c.kv.put(LOCK, self.name, acquire=session))
            index, entry = self.call(lambda c: c.kv.get(LOCK, consistency="consistent"))
            if entry and entry.get("Session") == session:
                self.record.hold(self.name, entry["LockIndex"])
                time.sleep(0.01)
                self.call(lambda c: c.session.renew(session))
                self.record.let_go(self.name)
                self.call(lambda c: c.kv.put(LOCK, "", release=session))
            else:
                self.call(lambda c: c.kv.get(LOCK, index=index, wait="1s"))
        except consul.NotFound:
            self.failure = "the session was lost"
            self.done.set()
        finally:
            with contextlib.suppress(Exception):
                self.call(lambda c: c.session.destroy(session))


class Record:
    """Who held the lock, and whether ever two did."""

    def __init__(self):
        self.lock = threading.Lock()
        self.holder = None
        self.turns = []
        self.times = []
        self.broken = []

    def hold(self, name, turn):
        with self.lock:
            if self.holder is not None:
                self.broken.append((self.holder, name))
            if self.turns and turn <= self.turns[-1]:
                self.broken.append((turn, self.turns[-1]))
            self.holder = name
            self.turns.append(turn)
            self.times.append(time.monotonic())

    def let_go(self, name):
        with self.lock:
            if self.holder == name:
                self.holder = None


class Kills(unittest.TestCase):
    def start(self, count=3):
        self.cluster = Cluster(count)
        self.cluster.__enter__()
        self.addCleanup(self.cluster.__exit__)
        return self.cluster

    @showing_logs
    def test_a_lock_never_has_two_holders_while_the_leader_is_killed(self):
        cluster = self.start()
        record = Record()
        contenders = [Contender(n, cluster.members[n % 3:] + cluster.members[:n % 3], record) for n in range(5)]
        for one in contenders:
            one.start()
        eventually("the lock goes round", lambda: len(record.turns) > 20)
        leader = cluster.leader()
        leader.kill()
        turns = len(record.turns)
        eventually("it goes on without the leader", lambda: len(record.turns) > turns + 20)
        leader.start().wait_ready()
        turns = len(record.turns)
        eventually("and with it again", lambda: len(record.turns) > turns + 20)
        for one in contenders:
            one.done.set()
        for one in contenders:
            one.join(30)
        self.assertEqual([], record.broken)
        self.assertEqual([], [one.failure for one in contenders if one.failure])
        gap = max(later - earlier for earlier, later in zip(record.times, record.times[1:]))
        print(f"\n  {len(record.turns)} turns, one holder each, longest gap {gap * 1000:.0f} ms", flush=True)

    @showing_logs
    def test_catalog_and_keys_outlive_a_kill_of_every_member(self):
        cluster = self.start()
        clients = [connect(member) for member in cluster.members]
        for number in range(100):
            client = clients[number % 3]
            self.assertTrue(client.kv.put(f"k/{number}", str(number), flags=number))
            self.assertTrue(
                client.catalog.register(
                    f"ext-{number}", f"10.0.0.{number}", service={"Service": "ext", "Port": number},
                    check={"Name": "c", "Status": "passing", "ServiceID": "ext"},
                )
            )
        session = clients[0].session.create("kept", checks=[], ttl=60)
        self.assertTrue(clients[1].kv.put(LOCK, "mine", acquire=session))
        index = int(clients[0].catalog.service("ext")[0])
        for member in cluster.members:
            member.kill()
        cluster.start()
        for member in cluster.members:
            client = connect(member)
            found = eventually("a leader answers", lambda: answer(lambda: client.kv.get("k/", recurse=True)[1]))
            self.assertEqual(
                {f"k/{n}": (str(n).encode(), n) for n in range(100)},
                {entry["Key"]: (entry["Value"], entry["Flags"]) for entry in found},
            )
            later, found = client.health.service("ext", passing=True)
            self.assertEqual(set(range(100)), {entry["Service"]["Port"] for entry in found})
            self.assertGreaterEqual(int(later), index)
            self.assertEqual(session, client.kv.get(LOCK)[1]["Session"])
            self.assertEqual("kept", client.session.info(session)[1]["Name"])

    @showing_logs
    def test_an_agent_keeps_its_services_and_checks_over_a_kill(self):
        cluster = self.start()
        member = cluster.members[1]
        client = connect(member)
        agent = client.agent
        agent.service.register("web", "web-1", port=80, meta={"a": "b"}, check=consul.Check.ttl("10m"))
        agent.check.register("own", consul.Check.tcp("127.0.0.1", 1, "1h"), check_id="own")
        agent.check.ttl_pass("service:web-1", "fine")
        agent.service.register("idle")
        agent.service.maintenance("idle", "true", "later")
        services, checks = agent.services(), agent.checks()
        member.kill()
        # Who asks another member still sees it.
        others = connect(cluster.members[0])
        seen = eventually("another member answers", lambda: answer(lambda: others.catalog.service("web")[1]))
        self.assertEqual(["web-1"], [entry["ServiceID"] for entry in seen])
        member.start().wait_ready()
        self.assertEqual(services, agent.services())
        known = ("CheckID", "Status", "Notes", "ServiceID", "Type")
        self.assertEqual(
            {id: [check[key] for key in known] for id, check in checks.items()},
            {id: [check[key] for key in known] for id, check in agent.checks().items()},
        )
        eventually(
            "it passes again",
            lambda: [check["Status"] for check in others.health.checks("web")[1]] == ["passing"],
        )

    @showing_logs
    def test_a_lock_is_free_in_time_after_its_holder_fell_silent_and_the_leader_died(self):
        cluster = self.start()
        leader = cluster.leader()
        follower = next(member for member in cluster.members if member is not leader)
        client = connect(follower)
        silent = client.session.create("silent", lock_delay=3, ttl=TTL, checks=[])
        renewed = client.session.create("renewed", ttl=TTL, checks=[])
        self.assertTrue(client.kv.put(LOCK, "mine", acquire=silent))
        eventually("it is told what was last", lambda: client.session.renew(silent))
        last = time.monotonic()
        time.sleep(2)
        leader.kill()
        eventually("a new leader answers", lambda: answer(lambda: client.session.renew(renewed)))
        elected = time.monotonic()
        held = lambda: (client.kv.get(LOCK)[1] or {}).get("Session") == silent
        while held():
            self.assertLess(time.monotonic() - elected, 2 * TTL + 2, "the session outlived twice its TTL")
            answer(lambda: client.session.renew(renewed))
            time.sleep(0.1)
        gone = time.monotonic()
        self.assertGreaterEqual(gone - last, TTL, "the session ended before its TTL")
        # The delay belongs to the lock, whoever leads now.
        self.assertFalse(client.kv.put(LOCK, "other", acquire=renewed))
        eventually("the delay is over", lambda: client.kv.put(LOCK, "other", acquire=renewed), 10)
        delay = time.monotonic() - gone
        self.assertGreaterEqual(delay, 2.5)
        self.assertEqual(renewed, client.session.renew(renewed)["ID"])
        print(
            f"\n  free {gone - last:.1f} s after the last renewal, {gone - elected:.1f} s after the new "
            f"leader; delayed {delay:.1f} s more", flush=True,
        )

    @showing_logs
    def test_the_delay_of_a_lock_outlives_the_leader_that_began_it(self):
        cluster = self.start()
        leader = cluster.leader()
        client = connect(next(member for member in cluster.members if member is not leader))
        holder = client.session.create("holder", lock_delay=8, checks=[])
        other = client.session.create("other", checks=[])
        self.assertTrue(client.kv.put(LOCK, "mine", acquire=holder))
        began = time.monotonic()
        self.assertTrue(client.session.destroy(holder))
        leader.kill()
        refused = eventually(
            "a new leader answers", lambda: answer(lambda: [client.kv.put(LOCK, "other", acquire=other)])
        )
        self.assertEqual([False], refused)
        eventually("the delay is over", lambda: client.kv.put(LOCK, "other", acquire=other), 20)
        self.assertGreaterEqual(time.monotonic() - began, 8)


def answer(call):
    """What `call` gives, or nothing while there is no leader to ask."""
    try:
        return call()
    except (requests.RequestException, consul.ConsulException):
        return None


if __name__ == "__main__":
    unittest.main()
