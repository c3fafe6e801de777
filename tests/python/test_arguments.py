"""What the modules refuse where it is handed in, and what they take."""

import unittest

import consul as consul_module
import libcoord
from support import WithServer, run_python
from zk import make_acl, make_digest_acl, make_digest_acl_credential

#: Neither bytes nor str, though Python would make bytes of most of them.
NO_DATA = [0, 5, True, 1.5, [72, 105], (1, 2), {1: 2}, bytearray(b"x"), memoryview(b"x"), object()]
#: No paths and no names.
NO_TEXT = [b"/a", 5, True, 1.5, ["/a"], None, object()]


class Zookeeper(WithServer):
    def setUp(self):
        self.client = self.zk()
        self.client.create("/n", b"before", makepath=True)
        self.addCleanup(self.client.delete, "/n", recursive=True)

    def test_a_value_is_bytes_or_str_and_nothing_else(self):
        for value in NO_DATA:
            for call in (
                lambda: self.client.create("/n/new", value),
                lambda: self.client.set("/n", value),
                lambda: self.client.set("/n", value, if_hash=self.client.get_hash("/n")),
                lambda: self.client.transaction().create("/n/new", value),
                lambda: self.client.transaction().set_data("/n", value),
                lambda: self.client.add_auth("digest", value),
            ):
                with self.assertRaisesRegex(TypeError, "bytes or str"):
                    call()
            with self.assertRaisesRegex(TypeError, "bytes or str"):
                self.zk(auth_data=[("digest", value)])
        self.assertIsNone(self.client.exists("/n/new"))
        self.assertEqual((self.client.get("/n")[0], self.client.get("/n")[1].version), (b"before", 0))

    def test_text_is_stored_as_utf8_everywhere(self):
        self.client.create("/n/a", "é")
        self.client.set("/n", "ü")
        with self.client.transaction() as change:
            change.create("/n/b", "ö")
            change.set_data("/n/a", "ä")
        seen = [self.client.get(path)[0].decode() for path in ("/n", "/n/a", "/n/b")]
        self.assertEqual(seen, ["ü", "ä", "ö"])

    def test_a_path_is_str_and_nothing_else(self):
        for path in NO_TEXT:
            change = self.client.transaction()
            for call in (
                self.client.exists,
                self.client.get,
                self.client.get_children,
                self.client.get_acls,
                self.client.create,
                self.client.ensure_path,
                self.client.delete,
                self.client.sync,
                self.client.get_hash,
                lambda p: self.client.set(p, b""),
                lambda p: self.client.add_watch(p, print),
                lambda p: self.client.get(p, watch=print),
                change.create,
                change.delete,
                lambda p: change.set_data(p, b""),
                lambda p: change.check(p, 0),
                lambda p: change.check_hash(p, b"0" * 16),
            ):
                with self.assertRaises(TypeError, msg=repr(path)):
                    call(path)
            self.assertEqual(change.commit(), [])

    def test_versions_hashes_and_identities_are_what_they_should_be(self):
        change = self.client.transaction()
        for wrong in ("0", 1.0, None, b"0"):
            with self.assertRaises(TypeError):
                self.client.set("/n", b"", wrong)
            with self.assertRaises(TypeError):
                change.check("/n", wrong)
        with self.assertRaises(OverflowError):
            change.delete("/n", 2**31)
        for wrong in ([1] * 16, "0" * 16, 5):
            with self.assertRaises(TypeError):
                self.client.delete("/n", if_hash=wrong)
            with self.assertRaises(TypeError):
                change.check_hash("/n", wrong)
        with self.assertRaises(TypeError):
            self.client.create("/n/new", acl=[make_acl("world", 5, all=True)])
        with self.assertRaises(TypeError):
            change.create("/n/new", acl=[make_acl(5, "anyone", all=True)])
        for wrong in (("user", 5), (b"user", "password")):
            with self.assertRaises(TypeError):
                make_digest_acl_credential(*wrong)
            with self.assertRaises(TypeError):
                make_digest_acl(*wrong)
            with self.assertRaises(TypeError):
                self.zk(sasl=wrong)

    def test_a_transaction_committed_inside_its_block_is_applied_once(self):
        with self.client.transaction() as change:
            change.set_data("/n", b"once")
            self.assertEqual([stat.version for stat in change.commit()], [1])
        self.assertEqual(self.client.get("/n")[1].version, 1)

    def test_a_transaction_that_failed_inside_its_block_is_not_tried_again(self):
        with self.client.transaction() as change:
            change.check("/n", 7)
            change.set_data("/n", b"never")
            self.assertIsInstance(change.commit()[0], Exception)
            self.client.set("/n", b"x")
        self.assertEqual(self.client.get("/n")[1].version, 1)

    def test_a_committed_transaction_takes_nothing_more(self):
        change = self.client.transaction()
        change.set_data("/n", b"once")
        change.commit()
        for late in (change.commit, lambda: change.set_data("/n", b"2"), lambda: change.delete("/n")):
            with self.assertRaisesRegex(ValueError, "committed already"):
                late()
        self.assertEqual(self.client.get("/n"), (b"once", self.client.get("/n")[1]))

    def test_a_block_that_raises_applies_nothing(self):
        with self.assertRaises(KeyError), self.client.transaction() as change:
            change.set_data("/n", b"never")
            raise KeyError
        self.assertEqual(self.client.get("/n")[0], b"before")


class Consul(WithServer):
    def setUp(self):
        self.client = self.consul()

    def test_a_value_is_bytes_or_str_or_none_and_nothing_else(self):
        for value in NO_DATA:
            # py-consul's is an AssertionError.
            for kind in (TypeError, AssertionError):
                with self.assertRaises(kind):
                    self.client.kv.put("wrong", value)
            with self.assertRaises(TypeError):
                self.client.event.fire("wrong", value)
        self.assertIsNone(self.client.kv.get("wrong")[1])
        for value, stored in ((b"\x00", b"\x00"), ("é", "é".encode()), (None, None)):
            self.assertTrue(self.client.kv.put("right", value))
            self.assertEqual(self.client.kv.get("right")[1]["Value"], stored)

    def test_keys_ids_and_names_are_str_and_nothing_else(self):
        agent, kv, session = self.client.agent, self.client.kv, self.client.session
        for name in NO_TEXT:
            for call in (
                kv.get,
                kv.delete,
                lambda n: kv.put(n, "x"),
                agent.service.register,
                agent.service.deregister,
                lambda n: agent.service.maintenance(n, True),
                agent.check.deregister,
                agent.check.ttl_pass,
                lambda n: agent.check.register(n, ttl="10s"),
                agent.join,
                agent.force_leave,
                agent.service_definition,
                session.destroy,
                session.renew,
                session.info,
                session.node,
                self.client.event.fire,
                self.client.catalog.node,
                self.client.catalog.service,
                lambda n: self.client.catalog.register(n, "10.0.0.1"),
                lambda n: self.client.catalog.register("node", n),
                self.client.catalog.deregister,
                self.client.health.node,
                self.client.health.checks,
                self.client.health.service,
            ):
                with self.assertRaises(TypeError, msg=repr(name)):
                    call(name)
        for name in (b"x", 5, ["x"]):
            with self.assertRaises(TypeError):
                session.create(name=name)
            with self.assertRaises(TypeError):
                agent.service.register("web", service_id=name)
            with self.assertRaises(TypeError):
                kv.put("k", "v", acquire=name)
        self.assertEqual(agent.services(), {})

    def test_a_list_of_names_is_not_one_name(self):
        for tags in ("primary", b"primary", [1], [b"x"]):
            with self.assertRaises(TypeError):
                self.client.agent.service.register("web", tags=tags)
        with self.assertRaises(TypeError):
            self.client.session.create(checks="serfHealth")
        self.assertEqual(self.client.agent.services(), {})

    def test_what_py_consul_asserts_is_refused_without_assertions_too(self):
        program = (
            "import sys, consul; host, port = sys.argv[1].split(':')\n"
            "client = consul.Consul(host, int(port))\n"
            "for call in (lambda: client.kv.put('/a', 'x'), lambda: client.kv.put('a', 5),\n"
            "             lambda: client.session.create(ttl=5), lambda: client.health.state('well')):\n"
            "    try: print(call())\n"
            "    except AssertionError: print('refused')\n"
        )
        done = run_python(program, self.server.http, flags=("-O",))
        self.assertEqual((done.stdout, done.stderr), ("refused\n" * 4, ""))

    def test_a_host_is_str(self):
        with self.assertRaises(TypeError):
            consul_module.Consul(5)


class Settings(unittest.TestCase):
    def test_where_a_member_keeps_and_listens_is_text_or_a_path(self):
        for wrong in (5, b"/tmp", ["x"], True):
            with self.assertRaisesRegex(TypeError, "data_dir"):
                libcoord.Server(data_dir=wrong)
        for wrong in (2181, b"127.0.0.1:0", ("127.0.0.1", 0)):
            for name in ("zk", "http", "dns"):
                with self.assertRaisesRegex(TypeError, name):
                    libcoord.Server(**{name: wrong})
        for wrong in (b"x", object(), 1j):
            with self.assertRaisesRegex(TypeError, "node_name"):
                libcoord.Server(settings={"node_name": wrong})

    def test_members_are_given_as_a_table_or_as_text(self):
        own = "127.0.0.1:0"
        for members in ({1: own}, {"1": own}, f"1={own}", f"1 = {own}", f'{{"1": "{own}"}}'):
            with libcoord.Server(settings={"members": members}) as server:
                self.assertEqual(server.status.state, "serving", members)
        for members in ("127.0.0.1:7001", {"one": own}, "1"):
            with self.assertRaisesRegex(libcoord.InvalidError, "1=HOST:PORT,2=HOST:PORT"):
                libcoord.Server(settings={"members": members})

    def test_lists_and_tables_of_any_setting_are_given_as_such(self):
        settings = {
            "dns": {"recursors": ["127.0.0.1:1"]},
            "session": {"tick_ms": 500},
            "dns.service_ttl_s": {"web": 5},
        }
        with libcoord.Server(settings=settings) as server:
            self.assertEqual(server.status.state, "serving")
        with self.assertRaisesRegex(libcoord.InvalidError, "observers"):
            libcoord.Server(settings={"observers": ["two"]})


if __name__ == "__main__":
    unittest.main()
