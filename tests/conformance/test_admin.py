"""What operators ask for: four-letter words, the config znode, quotas."""

import http.client
import json
import re
import socket
import struct
import tempfile
import unittest

import jute
from member import Cluster, Member, eventually

QUOTA_EXCEEDED = -125
UNIMPLEMENTED = -6
RECONFIG = 16
CONFIG = "/zookeeper/config"


def ask(member, word):
    """The whole answer to a four-letter word."""
    with socket.create_connection(member.zk_address, 5) as connection:
        connection.settimeout(10)
        connection.sendall(word)
        out = b""
        while chunk := connection.recv(65536):
            out += chunk
        return out.decode()


def page(member, path):
    """A page of the HTTP port: status, content type, body."""
    connection = http.client.HTTPConnection(*member.http_address, timeout=10)
    try:
        connection.request("GET", path)
        answer = connection.getresponse()
        return answer.status, answer.getheader("Content-Type"), answer.read().decode()
    finally:
        connection.close()


def command(member, name):
    status, content_type, body = page(member, f"/commands/{name}")
    assert (status, content_type) == (200, "application/json"), (status, content_type)
    return json.loads(body)


class Alone(unittest.TestCase):
    def start(self, *settings):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        member = Member(folder.name, settings=settings)
        self.addCleanup(member.stop)
        return member.start().wait_ready()

    def test_watches_are_told_by_session_and_by_path(self):
        member = self.start()
        with jute.connect(member.zk_address) as connection:
            connection.create("/a", b"")
            connection.call(jute.GET_DATA, jute.text("/a") + b"\1")
            session = f"0x{connection.session:x}"
            self.assertEqual(ask(member, b"wchc"), f"{session}\n\t/a\n\n")
            self.assertEqual(ask(member, b"wchp"), f"/a\n\t{session}\n\n")

    def test_dump_tells_when_sessions_end(self):
        member = self.start()
        with jute.connect(member.zk_address) as connection:
            # The leader knows a session's end once it looked at it.
            dump = eventually(
                "the session is in the dump",
                lambda: (d := ask(member, b"dump")).count("Sets (1)/(1)") == 1 and d,
            )
            session = f"0x{connection.session:x}"
            self.assertRegex(
                dump,
                r"\ASessionTracker dump:\nSession Sets \(1\)/\(1\):\n"
                r"1 expire at \w{3} \w{3} \d\d \d\d:\d\d:\d\d UTC \d{4}:\n"
                rf"\t{session}\nephemeral nodes dump:\nSessions with Ephemerals \(0\):\n"
                r"Connections dump:\n",
            )
            self.assertIn(f"sessionId: {session}\n", dump)

    def test_the_digest_is_told_every_128_revisions(self):
        member = self.start()
        with jute.connect(member.zk_address) as connection:
            for number in range(300):
                connection.create(f"/{number}")
        lines = ask(member, b"hash").splitlines()
        self.assertEqual(2, len(lines))
        for line in lines:
            self.assertRegex(line, r"\A[0-9a-f]+: \d+\Z")

    def test_the_trace_mask_is_zookeepers_default(self):
        member = self.start()
        self.assertEqual(ask(member, b"gtmk"), "306\n")
        self.assertEqual(ask(member, b"stmk" + struct.pack(">q", 7)), "306\n")

    def test_a_word_that_is_not_in_the_whitelist_is_not_executed(self):
        member = self.start("zk_four_letter_words=srvr, ruok")
        self.assertEqual(ask(member, b"ruok"), "imok")
        self.assertEqual(
            ask(member, b"wchc"), "wchc is not executed because it is not in the whitelist.\n"
        )

    def test_a_member_alone_has_no_config_and_cannot_be_reconfigured(self):
        member = self.start("zk.reconfig=true")
        with jute.connect(member.zk_address) as connection:
            self.assertEqual((0, b""), connection.get(CONFIG))
            body = jute.text("server.2=h:1:2;3") + struct.pack(">iiq", -1, -1, -1)
            self.assertEqual(UNIMPLEMENTED, connection.call(RECONFIG, body)[0])

    def test_the_admin_pages_are_on_the_http_port(self):
        member = self.start()
        self.assertEqual({"command": "ruok", "error": None}, command(member, "ruok"))
        with jute.connect(member.zk_address) as connection:
            connection.create("/a")
            connection.call(jute.GET_DATA, jute.text("/a") + b"\1")
            session = f"0x{connection.session:x}"
            stats = command(member, "stat")
            self.assertEqual("stats", stats["command"])
            self.assertEqual("standalone", stats["server_stats"]["server_state"])
            self.assertEqual(connection.session, stats["connections"][0]["session_id"])
            self.assertEqual(
                {session: ["/a"]}, command(member, "wchc")["session_id_to_watched_paths"]
            )
            self.assertEqual(1, command(member, "watch_summary")["num_total_watches"])
        self.assertEqual(
            member.zk_address[1], command(member, "configuration")["client_port"]
        )
        self.assertEqual(6, command(member, "monitor")["znode_count"])
        for name in (
            "cons", "dump", "env", "hash", "gtmk", "icfg", "isro", "srvr", "stmk", "sysp", "wchp"
        ):
            self.assertIsNone(command(member, name)["error"], name)
        self.assertEqual("Unknown command: fly", command(member, "fly")["error"])
        self.assertIsNotNone(command(member, "leader")["error"])
        self.assertIn('href="/commands/ruok"', page(member, "/commands")[2])

    def test_pages_tell_about_the_member_and_begin_counting_anew(self):
        member = self.start("auth.super_digest=super:hash", "storage.snapshot_log_bytes=20000")
        with jute.connect(member.zk_address) as connection:
            connection.create("/a")
            connection.call(jute.GET_DATA, jute.text("/a") + b"\1")
            connection.create("/a/b")
            connection.call(jute.GET_DATA, jute.text("/a") + b"\0")
            monitor = command(member, "mntr")
            for name in ("bytes_received_count", "response_bytes", "connection_request_count"):
                self.assertGreater(monitor[name], 0, name)
            self.assertEqual((2, 2), (monitor["cnt_updatelatency"], monitor["cnt_readlatency"]))
            self.assertIsNone(command(member, "stat_reset")["error"])
            self.assertIsNone(command(member, "connection_stat_reset")["error"])
            self.assertEqual(0, command(member, "mntr")["cnt_updatelatency"])
            self.assertEqual(0, command(member, "cons")["connections"][0]["packets_received"])
            state = command(member, "zabstate")
            self.assertEqual((1, True, True, "broadcast"), (
                state["myid"], state["is_leader"], state["voting"], state["zabstate"]
            ))
            snapshot = command(member, "last_snapshot")
            self.assertEqual(("0xffffffffffffffff", -1), (snapshot["zxid"], snapshot["timestamp"]))
            for number in range(100):
                connection.create(f"/{number}", b"x" * 1000)
            snapshot = eventually(
                "there is a snapshot",
                lambda: (page := command(member, "lsnp"))["timestamp"] > 0 and page,
            )
            self.assertGreater(int(snapshot["zxid"], 16), 0)
        self.assertGreater(command(member, "dirs")["datadir_size"], 0)
        configuration = command(member, "icfg")["initial_configuration"]
        self.assertIn("tick_ms = 2000", configuration)
        self.assertNotIn("super:hash", configuration)
        self.assertEqual("2000", command(member, "sysp")["coord.session.tick_ms"])

    def test_the_metrics_have_zookeepers_names(self):
        member = self.start()
        status, content_type, body = page(member, "/metrics")
        self.assertEqual(200, status)
        self.assertTrue(content_type.startswith("text/plain; version=0.0.4"))
        self.assertIn("# TYPE znode_count gauge\nznode_count 5\n", body)
        for line in body.splitlines():
            self.assertRegex(line, r"\A(# TYPE \w+ gauge|\w+ -?[0-9.]+)\Z")

    def test_hard_limits_of_a_quota_are_enforced(self):
        member = self.start()
        with jute.connect(member.zk_address) as connection:
            connection.create("/q", b"abc")
            connection.create("/zookeeper/quota/q")
            limits = b"count=-1,bytes=-1=;byteHardLimit=-1;countHardLimit=2"
            connection.create("/zookeeper/quota/q/zookeeper_limits", limits)
            connection.create("/zookeeper/quota/q/zookeeper_stats", b"")
            self.assertEqual(0, connection.create("/q/1", b"abcd"))
            self.assertEqual(QUOTA_EXCEEDED, connection.create("/q/2"))
            self.assertEqual(
                (0, b"count=2,bytes=7"), connection.get("/zookeeper/quota/q/zookeeper_stats")
            )


class Together(unittest.TestCase):
    def test_every_member_shows_the_whole_membership(self):
        with Cluster(3) as cluster:
            expected = "".join(
                f"server.{member.number}={host}:{port}:{port}:participant;{member.zk}\n"
                for member in cluster.members
                for host, port in [member.peer.rsplit(":", 1)]
            )
            for member in cluster.members:
                with jute.connect(member.zk_address) as connection:
                    text = eventually(
                        f"member {member.number} shows the members",
                        lambda: (t := connection.get(CONFIG)[1].decode()).startswith(expected)
                        and t,
                    )
                self.assertTrue(re.fullmatch(r"version=[0-9a-f]+", text[len(expected) :]), text)
                self.assertIn(f"membership: \n{text}\n", ask(member, b"conf"))


if __name__ == "__main__":
    unittest.main()
