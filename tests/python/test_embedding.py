"""Members inside the process: their life, and what they leave behind."""

import logging
import os
import pathlib
import socket
import tempfile
import threading
import time
import unittest

import libcoord
from support import Events, blocking_queries, consul_of, eventually, run_python
from zk import ZK


def process():
    """Threads and open files of this process."""
    return len(os.listdir("/proc/self/task")), len(os.listdir("/proc/self/fd"))


class OneServer(unittest.TestCase):
    def test_the_block_stops_it_and_frees_its_ports(self):
        with libcoord.Server() as server:
            addresses = [server.zk, server.http, server.dns]
            self.assertIn(server.zk, repr(server))
            self.assertIsNone(server.peer)
        server.stop()
        for host, port in (address.rsplit(":", 1) for address in addresses):
            with socket.socket() as probe:
                probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                probe.bind((host, int(port)))

    def test_what_is_off_has_no_address(self):
        with libcoord.Server(http="off", dns="off") as server:
            self.assertEqual((server.http, server.dns), (None, None))
            with ZK(server.zk) as zk:
                zk.create("/a")

    def test_a_data_dir_keeps_everything_across_restarts(self):
        with tempfile.TemporaryDirectory() as folder:
            for round_ in range(3):
                with libcoord.Server(data_dir=pathlib.Path(folder) / "data") as server:
                    with ZK(server.zk) as zk, consul_of(server.http) as consul:
                        if round_ == 0:
                            zk.create("/kept", b"0")
                            consul.kv.put("kept", "0")
                            consul.agent.service.register("web", service_id="web-1", port=80)
                        data, stat = zk.get("/kept")
                        self.assertEqual((data, stat.version), (b"%d" % round_, round_))
                        self.assertEqual(consul.kv.get("kept")[1]["Value"], b"%d" % round_)
                        self.assertIn("web-1", consul.agent.services())
                        eventually("in the catalog", lambda: consul.catalog.service("web")[1])
                        zk.set("/kept", b"%d" % (round_ + 1))
                        consul.kv.put("kept", str(round_ + 1))

    def test_a_temporary_directory_goes_with_the_server(self):
        with tempfile.TemporaryDirectory() as folder:
            before, tempfile_dir = os.environ.get("TMPDIR"), folder
            os.environ["TMPDIR"] = tempfile_dir
            try:
                with libcoord.Server():
                    self.assertEqual(len(os.listdir(folder)), 1)
            finally:
                if before is None:
                    del os.environ["TMPDIR"]
                else:
                    os.environ["TMPDIR"] = before
            self.assertEqual(os.listdir(folder), [])

    def test_wrong_settings_taken_ports_and_used_directories_are_refused(self):
        for settings in ({"no.such.key": 1}, {"session.tick_ms": "soon"}):
            with self.assertRaises(libcoord.InvalidError) as caught:
                libcoord.Server(settings=settings)
            self.assertIn(next(iter(settings)), str(caught.exception))
        with tempfile.TemporaryDirectory() as folder:
            with libcoord.Server(data_dir=folder) as server:
                with self.assertRaisesRegex(libcoord.CoordError, server.zk):
                    libcoord.Server(zk=server.zk)
                with self.assertRaises(ValueError):
                    libcoord.Server(data_dir=folder)

    def test_two_servers_may_come_and_go_fifty_times_without_a_trace(self):
        def once():
            with libcoord.Server() as one, libcoord.Server() as two:
                with ZK(one.zk) as zk, consul_of(two.http) as consul:
                    zk.create("/a")
                    zk.get("/a", watch=Events())
                    consul.kv.put("a", "1")
                return [one.zk, one.http, two.zk, two.http]

        once()
        before = process()
        for _ in range(50):
            addresses = once()
        for host, port in (address.rsplit(":", 1) for address in addresses):
            with socket.create_server((host, int(port))):
                pass
        eventually(f"threads and files are {before} again", lambda: process() == before, 10)

    def test_a_client_that_is_dropped_leaves_no_thread(self):
        with libcoord.Server() as server:
            before = process()[0]
            zk = ZK(server.zk)
            zk.create("/e", ephemeral=True)
            zk.get("/e", watch=Events())
            consul = consul_of(server.http)
            consul.status.leader()
            self.assertGreater(process()[0], before)
            del zk, consul
            eventually("its threads are gone", lambda: process()[0] == before)
            with ZK(server.zk) as other:
                self.assertIsNone(other.exists("/e"))


class Handler(logging.Handler):
    """Remembers what it was handed."""

    def __init__(self):
        super().__init__()
        self.records = []

    def emit(self, record):
        self.records.append(record)

    def texts(self):
        return [record.getMessage() for record in self.records]


class TheLog(unittest.TestCase):
    def setUp(self):
        self.logger, self.handler = logging.getLogger("libcoord"), Handler()
        self.logger.addHandler(self.handler)
        self.addCleanup(self.logger.removeHandler, self.handler)
        self.addCleanup(self.logger.setLevel, logging.NOTSET)

    def test_what_a_member_logs_reaches_logging_before_it_is_stopped(self):
        self.logger.setLevel(logging.DEBUG)
        before = time.time()
        with libcoord.Server():
            pass
        self.assertTrue(self.handler.records)
        for record in self.handler.records:
            self.assertRegex(record.name, r"^libcoord\.[a-z_]+$")
            self.assertIn(record.levelno, (logging.DEBUG, logging.INFO, logging.WARNING))
            self.assertTrue(before - 1 < record.created < time.time() + 1)
        self.assertFalse([t for t in threading.enumerate() if t.name == "libcoord-log"])

    def test_why_a_member_does_not_start_is_told_while_it_tries(self):
        settings = {"members": {1: "127.0.0.1:0", 2: "127.0.0.1:1", 3: "127.0.0.1:2"}}
        self.logger.setLevel(logging.INFO)
        with self.assertRaises(libcoord.UnavailableError):
            libcoord.Server(settings=settings, timeout=2)
        self.assertTrue(self.handler.records)

    def test_the_level_of_the_loggers_decides_and_may_change(self):
        def bother(server):
            """What is worth a word to those who look for a fault."""
            host, port = server.http.split(":")
            with socket.create_connection((host, int(port))) as connection:
                connection.sendall(b"\0 is no HTTP\r\n\r\n")
                connection.recv(1)
            return self.handler.records

        self.logger.setLevel(logging.INFO)
        with libcoord.Server() as server:
            bother(server)
            self.assertFalse([r for r in self.handler.records if r.levelno == logging.DEBUG])
            self.handler.records.clear()
            self.logger.setLevel(logging.DEBUG)
            eventually("it is detailed", lambda: bother(server))
            self.assertEqual({r.levelno for r in self.handler.records}, {logging.DEBUG})

    def test_a_cluster_logs_too_and_no_secret_is_in_it(self):
        self.logger.setLevel(logging.DEBUG - 5)
        secret = "hush-hush-hush-hush"
        settings = {"peers.secret": secret, "auth.super_digest": "super:" + secret}
        with libcoord.Cluster(3, settings=settings) as cluster:
            with ZK(cluster.zk, auth_data=[("digest", "user:" + secret)]) as client:
                client.create("/a")
        self.assertTrue(self.handler.records)
        self.assertFalse([text for text in self.handler.texts() if "hush" in text])

    def test_a_program_that_sets_up_no_logging_sees_nothing(self):
        program = (
            "import libcoord\n"
            "try: libcoord.Server(settings={'members': {1: '127.0.0.1:0', 2: '127.0.0.1:1',"
            " 3: '127.0.0.1:2'}}, timeout=1)\n"
            "except libcoord.UnavailableError: print('refused')\n"
        )
        done = run_python(program)
        self.assertEqual((done.stdout, done.stderr), ("refused\n", ""))

    def test_a_handler_that_fails_or_waits_holds_nobody_up(self):
        self.handler.emit = lambda record: 1 / 0
        self.logger.setLevel(logging.DEBUG)
        raised, logging.raiseExceptions = logging.raiseExceptions, False
        try:
            with libcoord.Server() as server, ZK(server.zk) as client:
                client.create("/a")
        finally:
            logging.raiseExceptions = raised


class ACluster(unittest.TestCase):
    def test_the_client_goes_on_when_the_leader_stops(self):
        with libcoord.Cluster(3) as cluster:
            self.assertEqual(len(cluster.members), 3)
            zk = ZK(cluster.zk)
            self.addCleanup(zk.close)
            zk.create("/kept", b"1", ephemeral=True)
            session = zk.client_id
            leader = cluster.leader
            cluster.stop_member(leader)
            self.assertEqual(zk.get("/kept")[0], b"1")
            zk.set("/kept", b"2")
            self.assertEqual(zk.client_id, session)
            eventually("another leads", lambda: cluster.leader not in (None, leader))
            rest = [member for i, member in enumerate(cluster.members) if i != leader]
            for member in rest:
                with ZK(member.zk) as other:
                    other.sync("/")
                    self.assertEqual(other.get("/kept")[0], b"2")
            zk.close()

    def test_a_size_that_is_none_is_refused(self):
        for size in (0, 8):
            with self.assertRaises(libcoord.InvalidError):
                libcoord.Cluster(size)
        with libcoord.Cluster(1) as cluster, self.assertRaises(libcoord.InvalidError):
            cluster.stop_member(5)


class Threads(unittest.TestCase):
    def test_a_waiting_call_lets_other_threads_run(self):
        with libcoord.Server() as server, consul_of(server.http) as consul:
            consul.kv.put("key", "1")
            index, _ = consul.kv.get("key")
            answers = []
            waiting = threading.Thread(
                target=lambda: answers.append(consul.kv.get("key", index=index, wait="60s"))
            )
            waiting.start()
            deadline, counted = time.monotonic() + 0.3, 0
            while time.monotonic() < deadline:
                counted += 1
            self.assertTrue(waiting.is_alive())
            self.assertGreater(counted, 1000)
            consul.kv.put("key", "2")
            waiting.join(30)
            self.assertEqual(answers[0][1]["Value"], b"2")

    def test_closing_ends_a_waiting_call(self):
        with libcoord.Server() as server:
            consul = consul_of(server.http)
            index, _ = consul.kv.get("key")
            failed = []

            def wait():
                try:
                    consul.kv.get("key", index=index, wait="60s")
                except libcoord.CoordError as error:
                    failed.append(error)

            waiting = threading.Thread(target=wait)
            waiting.start()
            eventually("the call waits", lambda: blocking_queries(server.http))
            consul.close()
            waiting.join(10)
            self.assertFalse(waiting.is_alive())
            self.assertEqual(len(failed), 1)

    def test_one_client_serves_many_threads(self):
        with libcoord.Server() as server, ZK(server.zk) as zk:
            def work(number):
                for step in range(20):
                    zk.create(f"/{number}-{step}", b"x")

            threads = [threading.Thread(target=work, args=(number,)) for number in range(8)]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join()
            self.assertEqual(len([n for n in zk.get_children("/") if "-" in n]), 160)


if __name__ == "__main__":
    unittest.main()
