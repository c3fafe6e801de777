"""Programs that find services over DNS, unchanged: HAProxy and dnsmasq."""

import contextlib
import getpass
import json
import pathlib
import re
import socket
import subprocess
import tempfile
import unittest
import urllib.request

from consul_server import consul_server
from debian import dig_command, dnsmasq_command, haproxy_command
from member import eventually, free_ports

INSTANCES = 120
# HAProxy asks twice a second.
ANSWERS_WITHOUT_A_CHANGE = 20

HAPROXY = """
global
    stats socket {folder}/admin mode 600 level admin
defaults
    mode http
    timeout connect 1s
    timeout client 5s
    timeout server 5s
resolvers consul
    nameserver consul {dns}
    accepted_payload_size 8192
    hold valid 1s
    hold obsolete 0s
    timeout resolve 500ms
    timeout retry 500ms
frontend web
    bind 127.0.0.1:{port}
    default_backend web
backend web
    server-template web {places} {service} resolvers consul resolve-prefer ipv4
"""


class DnsUsers(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.server = consul_server(dns=True).__enter__()
        cls.member = cls.server.members[0]
        for number in range(INSTANCES):
            cls.external(f"web-node-{number:03}", f"10.50.0.{number + 1}", {"Service": "web", "Port": 8000 + number})

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    @classmethod
    def put(cls, path, body):
        url = "http://%s:%d" % cls.member.http_address + path
        request = urllib.request.Request(url, json.dumps(body).encode(), method="PUT")
        urllib.request.urlopen(request, timeout=30).read()

    @classmethod
    def external(cls, node, address, service):
        cls.put("/v1/catalog/register", {"Node": node, "Address": address, "Service": service})

    @contextlib.contextmanager
    def running(self, command, environment, *arguments):
        """The program, and the file with what it says."""
        with tempfile.TemporaryFile() as log:
            process = subprocess.Popen([str(command), *arguments], env=environment, stdin=subprocess.DEVNULL,
                                       stdout=log, stderr=subprocess.STDOUT)

            def said():
                log.seek(0)
                return log.read().decode(errors="replace")

            try:
                yield said
            except BaseException:
                print(said(), flush=True)
                raise
            finally:
                process.kill()
                process.wait()

    def test_haproxy_fills_its_servers_from_srv_records_and_keeps_them(self):
        command, environment = haproxy_command()
        (port,) = free_ports(1)
        with tempfile.TemporaryDirectory(prefix="haproxy-") as folder:
            admin = str(pathlib.Path(folder) / "admin")
            settings = pathlib.Path(folder) / "haproxy.cfg"
            settings.write_text(HAPROXY.format(
                folder=folder, dns="%s:%d" % self.member.dns_address, port=port,
                places=INSTANCES + 30, service="_web._tcp.service.consul",
            ))

            def ask(what):
                with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX) as connection:
                    connection.settimeout(10)
                    connection.connect(admin)
                    connection.sendall(what.encode() + b"\n")
                    return b"".join(iter(lambda: connection.recv(65536), b"")).decode()
                return ""

            def servers():
                """(address, port) of each that has one."""
                rows = [line.split() for line in ask("show servers state web").splitlines()[2:] if line]
                return {(row[4], row[18]) for row in rows if row[4] != "-"}

            def answers():
                found = re.search(r"nameserver consul:.*?valid: +(\d+)", ask("show resolvers"), re.S)
                return int(found.group(1)) if found else 0

            wanted = {(f"10.50.0.{number + 1}", str(8000 + number)) for number in range(INSTANCES)}
            with self.running(command, environment, "-db", "-f", str(settings)) as said:
                eventually("every instance is a server", lambda: servers() == wanted)
                before, heard = answers(), len(said())

                def still_the_same():
                    self.assertEqual(wanted, servers())
                    return answers() >= before + ANSWERS_WITHOUT_A_CHANGE

                eventually("it was answered often enough", still_the_same, 60)
                self.assertNotIn("DOWN", said()[heard:])
                # What does change is seen.
                self.put("/v1/catalog/deregister", {"Node": "web-node-007"})
                eventually("the one that left is no server", lambda: servers() == wanted - {("10.50.0.8", "8007")})
                self.external("web-node-007", "10.50.0.8", {"Service": "web", "Port": 8007})
                eventually("it is again", lambda: servers() == wanted)

    def test_dnsmasq_hands_the_zone_on(self):
        command, environment = dnsmasq_command()
        host, dns = self.member.dns_address
        (port,) = free_ports(1)
        arguments = [
            "--keep-in-foreground", "--conf-file=/dev/null", "--pid-file", f"--user={getpass.getuser()}",
            "--no-resolv", "--no-hosts", "--listen-address=127.0.0.1", "--bind-interfaces", f"--port={port}",
            f"--server=/consul/{host}#{dns}", f"--rev-server=10.0.0.0/8,{host}#{dns}", "--cache-size=100",
        ]
        self.external("Mixed-Node", "10.60.0.1", {"Service": "mixed", "Port": 80})
        with self.running(command, environment, *arguments):
            eventually("it answers", lambda: self.dig(port, "mixed-node.node.consul", "A") == ["10.60.0.1"])
            self.assertEqual(["10.60.0.1"], self.dig(port, "MIXED.Service.consul", "A"))
            self.assertEqual(["1 1 80 Mixed-Node.node.dc1.consul."], self.dig(port, "_mixed._tcp.service.consul", "SRV"))
            self.assertEqual(["Mixed-Node.node.dc1.consul."], self.dig(port, "1.0.60.10.in-addr.arpa", "PTR"))
            # More than fit into the datagram that it asks for: it comes back over TCP.
            self.assertEqual(INSTANCES, len(self.dig(port, "web.service.consul", "A")))
            self.assertEqual(INSTANCES, len(self.dig(port, "web.service.consul", "SRV")))
            self.assertEqual([], self.dig(port, "nobody.node.consul", "A"))
            # Nothing is kept: answers live for no time.
            self.external("Mixed-Node", "10.60.0.2", {"Service": "mixed", "Port": 80})
            eventually("the change is told", lambda: self.dig(port, "mixed.service.consul", "A") == ["10.60.0.2"])

    @staticmethod
    def dig(port, name, kind):
        command, environment = dig_command()
        arguments = [str(command), "@127.0.0.1", "-p", str(port), "+short", "+tries=1", "+time=5", name, kind]
        done = subprocess.run(arguments, env=environment, capture_output=True, text=True, timeout=30)
        return sorted(done.stdout.split("\n")[:-1]) if done.returncode == 0 else None


if __name__ == "__main__":
    unittest.main()
