"""What a broken or hostile client sends gets its answer, and the member goes on."""

import http.client
import pathlib
import random
import socket
import struct
import unittest

import jute
from member import Cluster


class BadInput(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.cluster = Cluster().__enter__()
        cls.member = cls.cluster.members[0]
        # A client that does nothing wrong must not notice the others.
        cls.bystander = jute.Connection(cls.member.zk_address)

    @classmethod
    def tearDownClass(cls):
        cls.bystander.close()
        cls.cluster.__exit__()

    def tearDown(self):
        self.assertIsNone(self.member.process.poll(), self.member.said())
        self.assertEqual(0, self.bystander.ping())
        self.assertEqual(200, self.request("GET", "/v1/status/leader")[0])

    def request(self, method, path, body=None):
        connection = http.client.HTTPConnection(*self.member.http_address, timeout=10)
        try:
            connection.request(method, path, body)
            answer = connection.getresponse()
            return answer.status, answer.read().decode()
        finally:
            connection.close()

    def is_closed(self, connection):
        """The server closes without sending anything, soon."""
        with self.assertRaises(jute.Closed):
            connection.frame()
        connection.close()

    def resident_kib(self):
        status = pathlib.Path(f"/proc/{self.member.process.pid}/status").read_text()
        return int(status.split("VmRSS:")[1].split()[0])

    def test_a_length_of_two_gib_closes_the_connection_and_takes_no_memory(self):
        before = self.resident_kib()
        for opened in (False, True):
            connection = jute.Connection(self.member.zk_address, connect=opened)
            connection.socket.sendall(struct.pack(">i", 0x7FFF_FFFF) + b"x" * 1000)
            self.is_closed(connection)
        self.assertLess(self.resident_kib() - before, 64 * 1024)

    def test_a_negative_length_closes_the_connection(self):
        for length in (-1, -0x8000_0000):
            for opened in (False, True):
                connection = jute.Connection(self.member.zk_address, connect=opened)
                connection.socket.sendall(struct.pack(">i", length))
                self.is_closed(connection)

    def test_a_frame_that_ends_early_ends_with_its_connection(self):
        connection = jute.Connection(self.member.zk_address)
        connection.socket.sendall(struct.pack(">iii", 100, 1, jute.GET_DATA))
        connection.socket.shutdown(socket.SHUT_WR)
        self.is_closed(connection)

    def test_a_request_shorter_than_its_record_is_a_marshalling_error(self):
        connection = jute.Connection(self.member.zk_address)
        error, body = connection.call(jute.GET_DATA, struct.pack(">i", 50) + b"/short")
        self.assertEqual((-5, b""), (error, body))
        self.assertEqual(0, connection.ping())
        connection.close()

    def test_an_unknown_operation_is_refused_and_closes(self):
        connection = jute.Connection(self.member.zk_address)
        connection.send(999)
        _, zxid, error, _ = connection.reply()
        self.assertEqual((-1, -6), (zxid, error))
        self.is_closed(connection)

    def test_random_bytes_stop_nobody(self):
        chance = random.Random(20261122)
        for turn in range(200):
            connection = jute.Connection(self.member.zk_address, connect=turn % 2 == 1)
            noise = chance.randbytes(chance.randrange(1, 4000))
            if turn % 4 >= 2:
                # A believable frame reaches deeper than its length.
                noise = struct.pack(">i", len(noise)) + noise
            try:
                connection.socket.sendall(noise)
                connection.socket.shutdown(socket.SHUT_WR)
                while connection.socket.recv(65536):
                    pass
            except OSError:
                # The member hung up first, or was done before we were.
                pass
            connection.close()

    def test_a_value_of_one_mib_is_too_large(self):
        status, body = self.request("PUT", "/v1/kv/large", b"v" * (1 << 20))
        self.assertEqual(413, status)
        wanted = "Request body(1048576 bytes) too large, max size: 524288 bytes."
        self.assertEqual(wanted, body[: len(wanted)])
        self.assertEqual(404, self.request("GET", "/v1/kv/large")[0])

    def test_broken_json_is_a_bad_request(self):
        for body in ('{"Name": "web"', "nonsense", '{"Name": 1e}'):
            status, text = self.request("PUT", "/v1/agent/service/register", body)
            self.assertEqual(400, status, text)
            self.assertTrue(text.startswith("Request decode failed: "), text)

    def test_an_unknown_field_is_named(self):
        body = '{"Name": "web", "bogus": 1}'
        status, text = self.request("PUT", "/v1/agent/service/register", body)
        self.assertEqual((400, 'Request decode failed: json: unknown field "bogus"'), (status, text))

    def test_random_bytes_for_http_stop_nobody(self):
        chance = random.Random(7)
        for _ in range(100):
            with socket.create_connection(self.member.http_address, 5) as connection:
                connection.settimeout(5)
                try:
                    connection.sendall(chance.randbytes(chance.randrange(1, 2000)) + b"\r\n\r\n")
                    connection.shutdown(socket.SHUT_WR)
                    while connection.recv(65536):
                        pass
                except ConnectionError:
                    pass


if __name__ == "__main__":
    unittest.main()
