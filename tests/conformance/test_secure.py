"""TLS and SASL: kazoo and Java's client, unchanged, against members of ours,
and the same against a genuine ZooKeeper."""

import pathlib
import socket
import ssl
import tempfile
import unittest

from kazoo.client import KazooClient
from kazoo.exceptions import (
    AuthFailedError,
    ConnectionClosedError,
    KazooException,
    NoAuthError,
)
from kazoo.security import CREATOR_ALL_ACL, make_acl

from certificates import Authority
from member import Cluster, free_ports
from peers import GenuineZookeeper, java_client

JAAS = """
Server {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    user_super="top"
    user_bob="bob, \\"secret\\"";
};
Client {
    org.apache.zookeeper.server.auth.DigestLoginModule required
    username="bob"
    password="bob, \\"secret\\"";
};
"""
PASSWORD = 'bob, "secret"'
NETTY = "serverCnxnFactory=org.apache.zookeeper.server.NettyServerCnxnFactory"


class Secure(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.jaas = self.folder / "jaas.conf"
        self.jaas.write_text(JAAS)

    def enter(self, context):
        value = context.__enter__()
        self.addCleanup(context.__exit__, None, None, None)
        return value

    def client(self, hosts, seconds=20, **options):
        client = KazooClient(hosts=hosts, **options)
        self.addCleanup(client.close)
        self.addCleanup(client.stop)
        client.start(timeout=seconds)
        return client

    def certified(self):
        """An authority, a server's files, and settings for ours and the genuine one."""
        authority = Authority(self.folder)
        cert, key, both = authority.issue("server")
        ours = [
            f"tls.cert_file={cert}", f"tls.key_file={key}", f"tls.ca_file={authority.ca}",
            "zk_tls_addr=127.0.0.1:0",
        ]
        genuine = [
            NETTY,
            f"ssl.keyStore.location={both}", "ssl.keyStore.type=PEM",
            f"ssl.trustStore.location={authority.ca}", "ssl.trustStore.type=PEM",
        ]
        return authority, ours, genuine

    def over_tls(self, hosts, authority, name, **more):
        cert, key, _ = authority.issue(name)
        files = {"ca": str(authority.ca), "certfile": str(cert), "keyfile": str(key)}
        return self.client(hosts, use_ssl=True, **files, **more)

    def test_certificates_decide_as_in_a_genuine_zookeeper(self):
        authority, ours, lines = self.certified()
        superuser = "CN=root,OU=tests,O=Example\\, Inc."
        [port] = free_ports(1)
        lines = [*lines, f"secureClientPort={port}", "secureClientPortAddress=127.0.0.1"]
        # In Java's files of properties a backslash begins an escape.
        escaped = superuser.replace("\\", "\\\\")
        lines.append(f"X509AuthenticationProvider.superUser={escaped}")
        self.enter(GenuineZookeeper(lines=lines))
        wanted = self.certificate_talk(f"127.0.0.1:{port}", authority)
        cluster = self.enter(Cluster(settings=[*ours, f"auth.super_x509={superuser}"]))
        heard = self.certificate_talk(cluster.members[0].zk_tls, authority)
        self.assertEqual(wanted, heard)
        self.assertEqual("CN=alice,OU=tests,O=Example\\, Inc.", heard[0])

    def certificate_talk(self, hosts, authority):
        alice = self.over_tls(hosts, authority, "alice")
        eve = self.over_tls(hosts, authority, "eve")
        root = self.over_tls(hosts, authority, "root")
        alice.create("/mine", b"x", acl=CREATOR_ALL_ACL)
        [entry] = alice.get_acls("/mine")[0]
        heard = [entry.id.id, entry.id.scheme, alice.get("/mine")[0], root.get("/mine")[0]]
        with self.assertRaises(NoAuthError):
            eve.get("/mine")
        alice.create("/named", b"y", acl=[make_acl("x509", entry.id.id, read=True)])
        heard.append(alice.get("/named")[0])
        for bad in ("CN=a,OU", "nonsense", "foo=bar"):
            try:
                alice.create("/bad", acl=[make_acl("x509", bad, all=True)])
                heard.append(f"{bad} is taken")
            except KazooException as error:
                heard.append(type(error).__name__)
        large = bytes(900_000)
        alice.create("/large", large)
        heard.append(alice.get("/large")[0] == large)
        heard.append(self.stranger_is_turned_away(hosts, authority))
        return heard

    def stranger_is_turned_away(self, hosts, authority):
        """Without a certificate, or with one of somebody else's authority."""
        other = Authority(self.folder, "other")
        cert, key, _ = other.issue("mallory")
        for files in ({}, {"certfile": str(cert), "keyfile": str(key)}):
            with self.assertRaises(Exception):
                self.client(hosts, 3, use_ssl=True, ca=str(authority.ca), **files)
        return True

    def test_one_port_takes_both_as_in_a_genuine_zookeeper(self):
        authority, ours, lines = self.certified()
        # 3.8.0 knows who a certificate is for only beside a secure port, or if told so.
        lines += [
            "client.portUnification=true",
            "ssl.clientAuth=want",
            "authProvider.x509=org.apache.zookeeper.server.auth.X509AuthenticationProvider",
        ]
        genuine = self.enter(GenuineZookeeper(lines=lines))
        cluster = self.enter(
            Cluster(settings=[*ours, "tls.one_port=true", "tls.client_auth=want"])
        )
        for hosts in (genuine.hosts, cluster.hosts):
            plain = self.client(hosts)
            plain.create("/plain", b"1")
            secure = self.over_tls(hosts, authority, "carol")
            self.assertEqual(b"1", secure.get("/plain")[0])
            self.assertEqual("imok", plain.command(b"ruok"))

    def test_old_versions_of_tls_are_not_spoken(self):
        _, ours, _ = self.certified()
        cluster = self.enter(
            Cluster(settings=[*ours, "tls.client_auth=none", "tls.version_min=1.3"])
        )
        host, port = cluster.members[0].zk_tls.rsplit(":", 1)
        for version, spoken in ((ssl.TLSVersion.TLSv1_2, False), (ssl.TLSVersion.TLSv1_3, True)):
            context = ssl.create_default_context()
            context.check_hostname, context.verify_mode = False, ssl.CERT_NONE
            context.maximum_version = version
            with socket.create_connection((host, int(port)), 10) as connection:
                try:
                    context.wrap_socket(connection).close()
                    heard = True
                except (ssl.SSLError, OSError):
                    heard = False
            self.assertEqual(spoken, heard, version)

    def test_passwords_decide_as_in_a_genuine_zookeeper(self):
        genuine = self.enter(
            GenuineZookeeper(
                lines=[
                    "authProvider.1=org.apache.zookeeper.server.auth.SASLAuthenticationProvider",
                    "letAnySaslUserDoX=anybody",
                ],
                java=f"-Djava.security.auth.login.config={self.jaas}",
            )
        )
        wanted = self.password_talk(genuine.hosts)
        cluster = self.enter(
            Cluster(settings=[f"auth.sasl_file={self.jaas}", "auth.sasl_any_user=anybody"])
        )
        heard = self.password_talk(cluster.hosts)
        self.assertEqual(wanted, heard)
        self.assertEqual(["bob", "sasl"], heard[:2])
        self.assertNotIn(PASSWORD, cluster.logs())

    def password_talk(self, hosts):
        def user(name, password, seconds=20):
            options = {"mechanism": "DIGEST-MD5", "username": name, "password": password}
            return self.client(hosts, seconds, sasl_options=options)

        bob, top, stranger = user("bob", PASSWORD), user("super", "top"), self.client(hosts)
        bob.create("/mine", b"x", acl=CREATOR_ALL_ACL)
        [entry] = bob.get_acls("/mine")[0]
        heard = [entry.id.id, entry.id.scheme, bob.get("/mine")[0], top.get("/mine")[0]]
        with self.assertRaises(NoAuthError):
            stranger.get("/mine")
        stranger.create("/any", b"y", acl=[make_acl("sasl", "anybody", read=True)])
        with self.assertRaises(NoAuthError):
            stranger.get("/any")
        heard.append(bob.get("/any")[0])
        for name, password in (("bob", "guess"), ("nobody", PASSWORD)):
            # kazoo's start says nothing of it. Whether it is closed then or goes on
            # as nobody is not the same every time; it is never served as that user.
            with self.assertRaises((AuthFailedError, ConnectionClosedError, NoAuthError)):
                user(name, password, 3).get("/mine")
        return heard

    def test_javas_client_proves_a_user_and_shows_a_certificate(self):
        authority, ours, _ = self.certified()
        _, _, both = authority.issue("java")
        # Fetches the packages that Java's client is in.
        with GenuineZookeeper():
            pass
        cluster = self.enter(Cluster(settings=[*ours, f"auth.sasl_file={self.jaas}"]))
        login = f"-Djava.security.auth.login.config={self.jaas}"
        said = java_client(cluster.hosts, ["whoami"], login)
        self.assertIn("sasl: bob", said)
        secure = [
            "-Dzookeeper.client.secure=true",
            "-Dzookeeper.clientCnxnSocket=org.apache.zookeeper.ClientCnxnSocketNetty",
            f"-Dzookeeper.ssl.keyStore.location={both}",
            "-Dzookeeper.ssl.keyStore.type=PEM",
            f"-Dzookeeper.ssl.trustStore.location={authority.ca}",
            "-Dzookeeper.ssl.trustStore.type=PEM",
        ]
        said = java_client(cluster.members[0].zk_tls, ["whoami"], *secure)
        self.assertIn("x509: CN=java,OU=tests,O=Example\\, Inc.", said)


if __name__ == "__main__":
    unittest.main()
