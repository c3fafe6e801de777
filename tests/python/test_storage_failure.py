"""A member as a process whose disk fills up, whose descriptors run out, or whose
files go away."""

import contextlib
import os
import resource
import shutil
import socket
import subprocess
import tempfile
import threading
import unittest
import urllib.error
import urllib.request

from support import LONG, eventually
from zk import ZK
from zk.exceptions import NoNodeError, NotReadOnlyCallError

COORD = os.environ.get("COORD_BIN")
VALUE = b"d" * 100_000
SMALL_SEGMENTS = {"storage.segment_bytes": 1 << 20}


class Member:
    """`coord server` on a directory, until the block ends."""

    def __init__(self, directory, settings=SMALL_SEGMENTS, preexec=None):
        any_port = "127.0.0.1:0"
        command = [COORD, "server", "--data-dir", directory, "--dns-addr", "off"]
        command += ["--zk-addr", any_port, "--http-addr", any_port]
        for key, value in settings.items():
            command += ["--set", f"{key}={value}"]
        self.log = tempfile.TemporaryFile()
        self.process = subprocess.Popen(
            command, stdout=subprocess.PIPE, stderr=self.log, text=True, preexec_fn=preexec
        )
        words = self.process.stdout.readline().split()
        assert words[:2] == ["coord", "ready"], self.said()
        addresses = dict(word.split("=", 1) for word in words[2:])
        self.zk, self.http = addresses["zk"], addresses["http"]

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.process.kill()
        self.process.communicate()
        self.log.close()

    def limit(self, which, value):
        _, hard = resource.prlimit(self.process.pid, which)
        resource.prlimit(self.process.pid, which, (hard if value is None else value, hard))

    def word(self, word):
        host, port = self.zk.rsplit(":", 1)
        with socket.create_connection((host, int(port)), LONG) as connection:
            connection.sendall(word)
            answer = b""
            with contextlib.suppress(ConnectionError):
                while piece := connection.recv(4096):
                    answer += piece
            return answer

    def ask(self, method, path, body=None):
        request = urllib.request.Request(f"http://{self.http}{path}", body, method=method)
        try:
            with urllib.request.urlopen(request, timeout=LONG) as answer:
                return answer.status, answer.read()
        except urllib.error.HTTPError as refused:
            return refused.code, refused.read()

    def client(self):
        return ZK(self.zk, timeout=10)

    def said(self):
        self.log.seek(0)
        return self.log.read().decode()


def settled(change):
    """What a change came to, tried until it is known."""
    with contextlib.suppress(ConnectionError):
        change()
        return True
    return False


@unittest.skipUnless(COORD, "COORD_BIN names no coord command")
class AFailingDisk(unittest.TestCase):
    def setUp(self):
        self.directory = tempfile.mkdtemp()
        self.addCleanup(shutil.rmtree, self.directory, ignore_errors=True)

    def test_a_file_size_limit_turns_clients_away_until_it_is_gone(self):
        with Member(self.directory) as member, member.client() as client:
            client.create("/before", VALUE)
            host, port = member.zk.rsplit(":", 1)
            member.limit(resource.RLIMIT_FSIZE, 1000)
            with contextlib.suppress(ConnectionError):
                client.create("/unknown", VALUE)
            eventually("it serves nobody", lambda: member.word(b"isro") == b"null")
            self.assertIn(b"not currently serving", member.word(b"ruok"))
            self.assertEqual(member.ask("GET", "/v1/status/leader"), (200, b'""'))
            status, why = member.ask("PUT", "/v1/kv/key", b"value")
            self.assertEqual(status, 503)
            self.assertIn(b"the log cannot be written", why)
            with socket.create_connection((host, int(port)), LONG) as refused:
                refused.sendall(b"\0\0\0\x2c" + bytes(16) + b"\0\0\x27\x10" + bytes(11) + b"\x10" + bytes(16))
                self.assertEqual(refused.recv(1), b"", "a handshake is refused at once")
            member.limit(resource.RLIMIT_FSIZE, None)
            eventually("it serves again", lambda: member.word(b"isro") == b"rw")
            with member.client() as again:
                self.assertEqual(again.get("/before")[0], VALUE)
                again.create("/after", VALUE)
            self.assertLess(member.said().count("\n"), 60, "the log is not flooded")

    def test_idle_connections_do_not_end_the_log(self):
        few = lambda: resource.setrlimit(resource.RLIMIT_NOFILE, (160, 160))
        host_of = lambda member: (member.zk.rsplit(":", 1)[0], int(member.zk.rsplit(":", 1)[1]))
        with Member(self.directory, preexec=few) as member, member.client() as client:
            client.ensure_path("/many")
            with contextlib.ExitStack() as idle:
                for _ in range(400):
                    idle.enter_context(socket.create_connection(host_of(member), LONG))
                for number in range(60):
                    client.create(f"/many/{number}", VALUE)
            self.assertEqual(len(client.get_children("/many")), 60)
            eventually("others are let in again", lambda: settled(member.client().close))

    def test_a_member_that_fails_ends_with_a_status_of_its_own(self):
        with Member(self.directory) as member:
            shutil.rmtree(os.path.join(self.directory, "log"))
            with contextlib.suppress(ConnectionError), member.client() as client:
                for number in range(200):
                    client.create(f"/{number}", VALUE)
            self.assertEqual(member.process.wait(LONG), 3)
            self.assertIn("coord: this member failed: ", member.said())

    @unittest.skipUnless(os.geteuid() == 0, "mounting needs root")
    def test_a_full_file_system_refuses_writes_and_answers_reads(self):
        mounted = subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=24m", "tmpfs", self.directory],
            capture_output=True,
        )
        if mounted.returncode:
            self.skipTest("this system mounts nothing")
        self.addCleanup(subprocess.run, ["umount", "-l", self.directory])
        with Member(os.path.join(self.directory, "data"), {}) as member, member.client() as client:
            written = self.fill(member, client)
            self.assertEqual(member.word(b"isro"), b"ro")
            self.assertEqual(client.get(written[0])[0], VALUE)
            self.assertEqual(member.ask("PUT", "/v1/kv/key", b"value")[0], 503)
            with member.client() as late:
                self.assertEqual(late.get(written[-1])[0], VALUE)
            os.remove(os.path.join(self.directory, "filler"))
            eventually("it takes writes", lambda: member.word(b"isro") == b"rw")
            client.create("/after", VALUE)
            for path in written:
                self.assertEqual(client.get(path)[0], VALUE)

    def fill(self, member, client):
        """Writes until that is refused, while another program takes all room."""
        written = []

        def filler():
            with open(os.path.join(self.directory, "filler"), "wb") as file:
                with contextlib.suppress(OSError):
                    while True:
                        file.write(bytes(65536))
                        file.flush()

        thread = threading.Thread(target=filler)
        thread.start()
        try:
            for number in range(1000):
                client.create(f"/{number}", VALUE)
                written.append(f"/{number}")
        except NotReadOnlyCallError:
            pass
        thread.join()
        with self.assertRaises(NotReadOnlyCallError):
            client.create("/refused", VALUE)
        with self.assertRaises(NoNodeError):
            client.get("/refused")
        self.assertTrue(written)
        return written


if __name__ == "__main__":
    unittest.main()
