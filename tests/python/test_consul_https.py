"""consul.Consul over TLS: arguments in py-consul's words, and the environment."""

import os
import pathlib
import shutil
import tempfile
import unittest
from unittest import mock

from consul import Consul, ConsulException
from support import WithServer

FOLDER = pathlib.Path(__file__).resolve().parents[1] / "fixtures" / "certificates"
CA, CLIENT = str(FOLDER / "ca.pem"), str(FOLDER / "client.pem")


class WithHttps(WithServer):
    settings = {
        "https_addr": "127.0.0.1:0",
        "tls.cert_file": str(FOLDER / "server.pem"),
        "tls.key_file": str(FOLDER / "server.key"),
        "tls.ca_file": CA,
    }

    def https(self, **options):
        host, port = self.server.https.rsplit(":", 1)
        client = Consul(host, int(port), **options)
        self.addCleanup(client.close)
        return client

    def in_environment(self, **variables):
        patch = mock.patch.dict(os.environ, variables)
        patch.start()
        self.addCleanup(patch.stop)


class Arguments(WithHttps):
    def test_verify_names_the_authorities(self):
        client = self.https(scheme="https", verify=CA)
        self.assertEqual(client.scheme, "https")
        self.assertIs(client.kv.put("a", "1"), True)
        self.assertEqual(client.kv.get("a")[1]["Value"], b"1")

    def test_verify_names_a_folder_of_authorities(self):
        with tempfile.TemporaryDirectory() as folder:
            shutil.copy(CA, folder)
            self.assertTrue(self.https(scheme="https", verify=folder).status.leader())
            # What is no authority is named.
            shutil.copy(FOLDER / "server.key", folder)
            with self.assertRaisesRegex(ConsulException, "server.key"):
                self.https(scheme="https", verify=folder)

    def test_verify_may_be_switched_off_and_is_on_by_default(self):
        self.assertTrue(self.https(scheme="https", verify=False).status.leader())
        for verify in (True, str(FOLDER / "server.pem")):
            with self.assertRaises(ConnectionError):
                self.https(scheme="https", verify=verify).status.leader()

    def test_a_file_that_is_not_there_is_named(self):
        with self.assertRaisesRegex(ConsulException, "/nowhere/ca.pem"):
            self.https(scheme="https", verify="/nowhere/ca.pem")

    def test_http_stays_http_whatever_else_is_named(self):
        client = self.consul(scheme="http", verify=CA, cert=CLIENT)
        self.assertEqual(client.scheme, "http")
        self.assertTrue(client.status.leader())


class OwnCertificate(WithHttps):
    settings = {**WithHttps.settings, "tls.https_client_auth": "need"}

    def test_a_certificate_is_shown_where_one_is_needed(self):
        for cert in (CLIENT, (CLIENT, CLIENT)):
            self.assertTrue(self.https(scheme="https", verify=CA, cert=cert).status.leader())
        with self.assertRaises(ConnectionError):
            self.https(scheme="https", verify=CA).status.leader()


class Environment(WithHttps):
    def test_it_says_whether_to_speak_tls_and_whom_to_trust(self):
        self.in_environment(CONSUL_HTTP_SSL="true", CONSUL_CACERT=CA)
        self.assertEqual(self.https().scheme, "https")
        self.assertTrue(self.https().status.leader())
        self.assertTrue(self.consul(scheme="http").status.leader())

    def test_its_address_may_name_the_scheme(self):
        self.in_environment(CONSUL_HTTP_ADDR=f"https://{self.server.https}", CONSUL_CACERT=CA)
        with Consul() as client:
            self.assertTrue(client.status.leader())

    def test_it_may_switch_the_verification_off_and_an_argument_on_again(self):
        self.in_environment(CONSUL_HTTP_SSL="true", CONSUL_HTTP_SSL_VERIFY="false")
        self.assertTrue(self.https().status.leader())
        with self.assertRaises(ConnectionError):
            self.https(verify=str(FOLDER / "server.pem")).status.leader()


if __name__ == "__main__":
    unittest.main()
