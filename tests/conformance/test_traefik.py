"""Traefik's providers on Consul, unchanged: the catalog, watched and polled, and
its keys. See `go-traefik`."""

import unittest

from go_users import GoUser


class Traefik(GoUser, unittest.TestCase):
    folder = "go-traefik"


Traefik.add_tests()

if __name__ == "__main__":
    unittest.main()
