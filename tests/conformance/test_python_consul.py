"""python-consul 1.1, the generation before py-consul, unchanged."""

import unittest

import consul

from consul_calls import Calls


class PythonConsul(Calls, unittest.TestCase):
    # Its CONSUL_HTTP_ADDR takes no scheme.
    only_plain_addresses = True

    def made_by_environment(self):
        return consul.Consul()


if __name__ == "__main__":
    unittest.main()
