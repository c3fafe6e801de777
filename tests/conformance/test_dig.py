"""dig, unchanged: every form of a name that Consul answers, over UDP and TCP."""

import json
import re
import subprocess
import unittest
import urllib.request

from consul_server import consul_server, is_genuine
from debian import dig_command

HEADER = re.compile(r"opcode: QUERY, status: (\w+), id: \d+\n;; flags: ([\w ]*);")


class Heard:
    """One answer as dig prints it."""

    def __init__(self, text):
        self.text = text
        found = HEADER.search(text)
        self.status, flags = found.groups() if found else (None, "")
        self.flags = set(flags.split())
        self.answer, self.authority, self.additional = (
            self.section(text, name) for name in ("ANSWER", "AUTHORITY", "ADDITIONAL")
        )

    @staticmethod
    def section(text, name):
        """(name, type, data) of each record."""
        found = re.search(rf";; {name} SECTION:\n(.*?)\n\n", text + "\n\n", re.S)
        lines = found.group(1).splitlines() if found else []
        split = [line.split(None, 4) for line in lines if not line.startswith(";")]
        return [(owner, kind, data) for owner, _, _, kind, data in split]

    def data(self, kind):
        return sorted(data for _, found, data in self.answer if found == kind)


class Dig(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.command, cls.environment = dig_command()
        cls.server = consul_server(dns=True).__enter__()
        cls.member = cls.server.members[0]
        cls.node = cls.http("GET", "/v1/agent/self")["Config"]["NodeName"]
        cls.external("ext", "10.1.0.1", {"Service": "db", "ID": "db-1", "Port": 5432, "Tags": ["main", "v1.0"]},
                     NodeMeta={"rack": "7"})
        cls.external("ext2", "10.1.0.2", {"Service": "db", "ID": "db-2", "Port": 5433, "Address": "10.9.0.2",
                                          "Weights": {"Passing": 5, "Warning": 2}},
                     Check={"Name": "c", "Status": "warning", "ServiceID": "db-2"})
        cls.external("ext3", "10.1.0.3", {"Service": "db", "ID": "db-3"},
                     Check={"Name": "c", "Status": "critical", "ServiceID": "db-3"})
        cls.external("ext6", "fd00::6", {"Service": "six", "Port": 6})
        cls.external("named", "somewhere.example.com", {"Service": "alias", "Port": 80})
        for number in range(40):
            cls.external(f"many-{number}", f"10.2.0.{number}", {"Service": "many", "Port": 1000 + number})

    @classmethod
    def tearDownClass(cls):
        cls.server.__exit__()

    @classmethod
    def http(cls, method, path, body=None):
        request = urllib.request.Request(
            "http://%s:%d" % cls.member.http_address + path, method=method,
            data=None if body is None else json.dumps(body).encode(),
        )
        with urllib.request.urlopen(request, timeout=10) as answer:
            return json.loads(answer.read() or "null")

    @classmethod
    def external(cls, node, address, service, **more):
        body = {"Node": node, "Address": address, "Service": service, **more}
        cls.http("PUT", "/v1/catalog/register", body)

    def dig(self, *asked):
        host, port = self.member.dns_address
        arguments = [self.command, f"@{host}", "-p", str(port), "+tries=1", "+time=5", *asked]
        done = subprocess.run(arguments, env=self.environment, capture_output=True, text=True, timeout=20)
        self.assertEqual(0, done.returncode, done.stdout + done.stderr)
        return Heard(done.stdout)

    def both(self, *asked):
        """The answer over UDP, which must be that over TCP."""
        udp, tcp = self.dig(*asked), self.dig("+tcp", *asked)
        # The serial of a zone's head is the time in seconds, which goes on meanwhile.
        seen = [sorted((*entry[:2], re.sub(r"(?<=hostmaster\.consul\. )\d+", "N", entry[2]))
                       for entry in reply.answer) for reply in (udp, tcp)]
        self.assertEqual((udp.status, seen[0]), (tcp.status, seen[1]))
        self.assertIn("aa", udp.flags)
        self.assertIn("aa", tcp.flags)
        return udp

    def is_denied(self, heard, status):
        """Nothing there, said by the zone's head; of a node Consul leaves that out."""
        self.assertEqual((status, []), (heard.status, heard.answer), heard.text)
        if is_genuine() and status == "NOERROR" and not heard.authority:
            return
        self.assertEqual([("consul.", "SOA")], [(n, kind) for n, kind, _ in heard.authority], heard.text)

    def test_nodes(self):
        for name in ("ext.node.consul", "ext.node.dc1.consul", "EXT.Node.CONSUL"):
            heard = self.both(name, "A")
            self.assertEqual([(name + ".", "A", "10.1.0.1")], heard.answer)
        self.assertEqual(["fd00::6"], self.both("ext6.node.consul", "AAAA").data("AAAA"))
        self.assertEqual(["somewhere.example.com."], self.both("named.node.consul", "A").data("CNAME"))
        self.assertEqual(['"rack=7"'], self.both("ext.node.consul", "TXT").data("TXT"))
        self.assertEqual(["10.1.0.1"], self.both("ext.node.consul", "ANY").data("A"))
        self.is_denied(self.both("ext2.node.consul", "AAAA"), "NOERROR")
        self.is_denied(self.both("nobody.node.consul", "A"), "NXDOMAIN")
        self.is_denied(self.both("ext.node.elsewhere.consul", "A"), "NXDOMAIN")

    def test_services(self):
        for name in ("db.service.consul", "db.service.dc1.consul", "DB.SERVICE.consul"):
            self.assertEqual(["10.1.0.1", "10.9.0.2"], self.both(name, "A").data("A"))
        for name in ("main.db.service.consul", "v1.0.db.service.consul"):
            self.assertEqual(["10.1.0.1"], self.both(name, "A").data("A"))
        self.assertEqual(["fd00::6"], self.both("six.service.consul", "AAAA").data("AAAA"))
        self.assertEqual(["somewhere.example.com."], self.both("alias.service.consul", "A").data("CNAME"))
        self.is_denied(self.both("six.service.consul", "A"), "NOERROR")
        self.is_denied(self.both("db.service.consul", "MX"), "NOERROR")
        for name in ("nothing.service.consul", "other.db.service.consul", "db.service.dc9.consul"):
            self.is_denied(self.both(name, "A"), "NXDOMAIN")

    def test_srv_names_ports_weights_and_targets(self):
        for name in ("db.service.consul", "_db._tcp.consul", "_db._tcp.service.consul",
                     "_db._tcp.service.dc1.consul"):
            heard = self.both(name, "SRV")
            wanted = ["1 1 5432 ext.node.dc1.consul.", "1 2 5433 0a090002.addr.dc1.consul."]
            self.assertEqual(wanted, heard.data("SRV"))
            glue = {(owner, data) for owner, kind, data in heard.additional if kind == "A"}
            self.assertEqual(
                {("ext.node.dc1.consul.", "10.1.0.1"), ("0a090002.addr.dc1.consul.", "10.9.0.2")}, glue
            )
        for name in ("_db._main.consul", "_db._main.service.consul", "main.db.service.consul"):
            self.assertEqual(["1 1 5432 ext.node.dc1.consul."], self.both(name, "SRV").data("SRV"))
        heard = self.both("consul.service.consul", "SRV")
        self.assertEqual([f"{self.node}.node.dc1.consul."], [d.split()[3] for d in heard.data("SRV")])

    def test_addresses_in_names(self):
        self.assertEqual(["10.9.0.2"], self.both("0a090002.addr.consul", "A").data("A"))
        self.assertEqual(["10.9.0.2"], self.both("0a090002.addr.dc1.consul", "A").data("A"))
        six = "fd000000000000000000000000000006.addr.consul"
        self.assertEqual(["fd00::6"], self.both(six, "AAAA").data("AAAA"))
        self.assertEqual("NXDOMAIN", self.both("zzzzzzzz.addr.consul", "A").status)

    def test_addresses_have_names(self):
        self.assertEqual(["ext.node.dc1.consul."], self.dig("-x", "10.1.0.1").data("PTR"))
        self.assertEqual(["db.service.dc1.consul."], self.dig("-x", "10.9.0.2").data("PTR"))
        self.assertEqual(["ext6.node.dc1.consul."], self.dig("-x", "fd00::6").data("PTR"))

    def test_the_zone_has_a_head_and_servers(self):
        soa = self.both("consul", "SOA").data("SOA")
        self.assertEqual("ns.consul. hostmaster.consul.", " ".join(soa[0].split()[:2]))
        self.assertEqual("3600 600 86400 0", " ".join(soa[0].split()[3:]))
        heard = self.both("consul", "NS")
        self.assertEqual([f"{self.node}.node.dc1.consul."], heard.data("NS"))
        self.assertIn("A", [kind for _, kind, _ in heard.additional])
        self.is_denied(self.both("nonsense.consul", "A"), "NXDOMAIN")

    def test_large_answers_are_cut_by_transport(self):
        name = "many.service.consul"
        self.assertEqual(40, len(self.dig("+tcp", name, "A").data("A")))
        self.assertEqual(40, len(self.dig("+tcp", name, "SRV").data("SRV")))
        plain = self.dig("+noedns", "+ignore", name, "A")
        self.assertEqual(3, len(plain.data("A")))
        wide = self.dig("+bufsize=4096", "+ignore", name, "A")
        self.assertEqual(40, len(wide.data("A")))
        self.assertIn("EDNS: version: 0", wide.text)
        some = self.dig("+bufsize=1232", "+ignore", name, "SRV")
        self.assertIn(len(some.data("SRV")), range(10, 40))
        size = int(re.search(r"MSG SIZE  rcvd: (\d+)", some.text).group(1))
        self.assertLessEqual(size, 1232)
        asked = self.dig("+subnet=192.0.2.0/24", "+bufsize=4096", name, "A")
        self.assertRegex(asked.text, r"CLIENT-SUBNET: 192\.0\.2\.0/24/")
        # Not always the same three: the order changes from answer to answer.
        seen = {data for _ in range(12) for data in self.dig("+noedns", "+ignore", name, "A").data("A")}
        self.assertGreater(len(seen), 3)

    def test_names_outside_are_refused_without_forwarding(self):
        heard = self.dig("example.com", "A")
        self.assertEqual(("REFUSED", []), (heard.status, heard.answer))
        self.assertNotIn("ra", heard.flags)
        transfer = self.dig("consul", "AXFR", "+tcp")
        self.assertIn("Transfer failed", transfer.text)


if __name__ == "__main__":
    unittest.main()
