"""Vault's storage and its service on Consul, unchanged: its own tests of the former,
its exercises for every storage, and its lock while members die. See `go-vault`."""

import unittest

from go_users import GoUser, built, python_name


class Vault(GoUser, unittest.TestCase):
    folder = "go-vault"


class VaultsOwnTests(GoUser, unittest.TestCase):
    """Its storage's tests, as Vault ships them. Left out are that of its settings,
    which asks no server; that an old Consul lacks something; and that of values too
    large, which waits for the words of Consul 1.4 and failed on a genuine 1.16 too."""

    names = [
        "TestConsulBackend", "TestConsul_ExpandedCapabilitiesAvailable/1.14.3",
        "TestConsul_TransactionalBackend_GetTransactionsForNonExistentValues",
        "TestConsul_TransactionalBackend_GetTransactions", "TestConsulHABackend",
    ]  # fmt: skip

    @classmethod
    def setUpClass(cls):
        cls.program = built("go-vault", "github.com/hashicorp/vault/physical/consul")

    @classmethod
    def add_tests(cls):
        for name in cls.names:
            setattr(cls, python_name(name), lambda self, name=name: self.run_one(self.program, name))


Vault.add_tests()
VaultsOwnTests.add_tests()

if __name__ == "__main__":
    unittest.main()
