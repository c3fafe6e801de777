"""zk.ZK: every call, what it gives and what it raises."""

import contextlib
import threading
import time
import unittest

import zk
from support import Events, Relay, WithServer, eventually
from zk import exceptions


class Znodes(WithServer):
    def setUp(self):
        self.client = self.zk()
        self.top = "/" + self.id().rsplit(".", 1)[1]
        self.client.create(self.top, b"top")

    def test_a_znode_is_created_read_changed_and_deleted(self):
        path = self.top + "/a"
        self.assertEqual(self.client.create(path, b"one"), path)
        data, stat = self.client.get(path)
        self.assertEqual((data, stat.version, stat.dataLength), (b"one", 0, 3))
        self.assertEqual(self.client.set(path, b"two", version=0).version, 1)
        self.assertEqual(self.client.get_children(self.top), ["a"])
        names, stat = self.client.get_children(self.top, include_data=True)
        self.assertEqual((names, stat.numChildren), (["a"], 1))
        self.assertIs(self.client.delete(path, version=1), True)
        self.assertIsNone(self.client.exists(path))

    def test_a_stat_has_kazoos_names_too(self):
        stat = self.client.exists(self.top)
        self.assertEqual(stat.creation_transaction_id, stat.czxid)
        self.assertEqual(stat.last_modified_transaction_id, stat.mzxid)
        self.assertEqual((stat.data_length, stat.children_count), (3, 0))
        self.assertEqual((stat.acl_version, stat.children_version), (0, 0))
        self.assertIsNone(stat.owner_session_id)
        self.assertEqual(stat.created, stat.ctime / 1000)
        self.assertEqual(stat.last_modified, stat.mtime / 1000)

    def test_sequence_numbers_grow_and_include_data_gives_the_stat(self):
        first = self.client.create(self.top + "/n-", sequence=True)
        second, stat = self.client.create(self.top + "/n-", b"12", sequence=True, include_data=True)
        self.assertEqual((first[-12:], second[-12:]), ("n-0000000000", "n-0000000001"))
        self.assertEqual(stat.dataLength, 2)

    def test_makepath_and_ensure_path_create_the_parents(self):
        deep = self.top + "/x/y/z"
        self.assertEqual(self.client.create(deep, b"d", makepath=True), deep)
        self.assertIs(self.client.ensure_path(self.top + "/p/q"), True)
        self.assertIs(self.client.ensure_path(self.top + "/p/q"), True)
        self.assertIsNotNone(self.client.exists(self.top + "/p/q"))

    def test_a_znode_is_changed_only_if_its_content_is_as_read(self):
        path = self.client.create(self.top + "/h", b"one")
        seen = self.client.get_hash(path)
        self.assertEqual((type(seen), len(seen)), (bytes, 16))
        self.assertEqual(self.client.set(path, b"two", if_hash=seen).version, 1)
        for late in (
            lambda: self.client.set(path, b"three", if_hash=seen),
            lambda: self.client.delete(path, if_hash=seen),
        ):
            with self.assertRaises(exceptions.BadVersionError):
                late()
        self.client.set(path, b"one")
        self.assertEqual(self.client.get_hash(path), seen, "the content is what counts")
        self.assertIs(self.client.delete(path, if_hash=seen), True)
        with self.assertRaises(exceptions.NoNodeError):
            self.client.get_hash(path)
        for wrong in ({"version": 1}, {"recursive": True}):
            with self.assertRaises(exceptions.BadArgumentsError):
                self.client.delete(path, if_hash=seen, **wrong)
        with self.assertRaises(ValueError):
            self.client.set(path, b"", if_hash=b"too short")

    def test_a_transaction_acts_only_on_the_subtree_it_was_made_for(self):
        for name in ("a", "b"):
            self.client.create(f"{self.top}/{name}")
        seen, zxid = self.client.get_hash(self.top, recursive=True, include_zxid=True)
        self.assertEqual(zxid, self.client.exists(self.top).pzxid)

        def change():
            transaction = self.client.transaction()
            transaction.check_hash(self.top, seen, recursive=True)
            transaction.set_data(self.top + "/a", b"new")
            return transaction.commit()

        self.assertIs(change()[0], True)
        late = change()
        self.assertIsInstance(late[0], exceptions.BadVersionError)
        self.assertIsInstance(late[1], exceptions.RuntimeInconsistency)
        self.assertEqual(self.client.exists(self.top + "/a").version, 1)

    def test_a_recursive_delete_takes_what_is_below(self):
        self.client.create(self.top + "/x/y", makepath=True)
        self.assertIs(self.client.delete(self.top, recursive=True), True)
        self.assertIsNone(self.client.exists(self.top))

    def test_data_may_be_empty_absent_or_large(self):
        for name, data, read in (("e", b"", b""), ("t", "ä", "ä".encode()), ("l", b"x" * 900_000, None)):
            path = f"{self.top}/{name}"
            self.client.create(path, data)
            self.assertEqual(self.client.get(path)[0], data if read is None else read)
        self.client.create(self.top + "/none", None)
        self.assertFalse(self.client.get(self.top + "/none")[0])

    def test_containers_and_ttl_znodes_are_made_as_such(self):
        self.client.create(self.top + "/c", container=True)
        self.assertIsNotNone(self.client.exists(self.top + "/c"))
        for wrong in ({"ephemeral": True, "ttl": 1}, {"container": True, "sequence": True}):
            with self.assertRaises(exceptions.BadArgumentsError):
                self.client.create(self.top + "/w", **wrong)

    def test_ephemerals_belong_to_the_session_and_go_with_it(self):
        with self.zk() as other:
            other.create(self.top + "/e", ephemeral=True)
            owner = self.client.exists(self.top + "/e").owner_session_id
            self.assertEqual(owner, other.client_id[0])
        self.assertIsNone(self.client.exists(self.top + "/e"))

    def test_a_chroot_is_in_front_of_every_path(self):
        below = self.zk(hosts=self.server.zk + self.top)
        self.assertEqual(below.create("/in", b"1"), "/in")
        self.assertEqual(self.client.get(self.top + "/in")[0], b"1")
        self.assertEqual(below.get_children("/"), ["in"])

    def test_start_session_and_sync(self):
        self.client.start()
        self.assertEqual((self.client.state, self.client.connected), ("connected", True))
        session, password = self.client.client_id
        self.assertEqual((session != 0, len(password)), (True, 16))
        self.assertEqual(self.client.session_timeout, 10.0)
        self.assertEqual(self.client.sync(self.top), self.top)

    def test_access_lists_are_kept_and_enforced(self):
        owner = self.zk(auth_data=[("digest", "ann:secret")])
        path = owner.create(self.top + "/mine", acl=zk.CREATOR_ALL_ACL)
        with self.assertRaises(exceptions.NoAuthError):
            self.client.get(path)
        acl, stat = owner.get_acls(path)
        self.assertEqual(acl, [zk.make_digest_acl("ann", "secret", all=True)])
        owner.set_acls(path, [*acl, *zk.READ_ACL_UNSAFE], version=stat.aversion)
        self.assertEqual(self.client.get(path)[0], b"")
        with self.assertRaises(exceptions.NoAuthError):
            self.client.set(path, b"")
        self.assertIs(self.client.add_auth("digest", "ann:secret"), True)
        self.client.set(path, b"now")

    def test_a_closed_client_says_so(self):
        client = self.zk()
        client.start()
        client.close()
        client.close()
        self.assertEqual(client.state, "closed")
        with self.assertRaises(exceptions.ConnectionClosedError):
            client.get("/")


class Errors(WithServer):
    def setUp(self):
        self.client = self.zk()
        self.top = "/" + self.id().rsplit(".", 1)[1]
        self.client.create(self.top, b"top")

    def test_each_refusal_has_its_class_and_code(self):
        client, top = self.client, self.top
        client.create(top + "/e", ephemeral=True)
        client.create(top + "/locked", acl=[zk.make_digest_acl("x", "y", all=True)])
        cases = [
            (exceptions.NoNodeError, -101, lambda: client.get(top + "/no")),
            (exceptions.NodeExistsError, -110, lambda: client.create(top)),
            (exceptions.BadVersionError, -103, lambda: client.set(top, b"", version=9)),
            (exceptions.NotEmptyError, -111, lambda: client.delete(top)),
            (exceptions.NoAuthError, -102, lambda: client.get(top + "/locked")),
            (exceptions.NoChildrenForEphemeralsError, -108, lambda: client.create(top + "/e/x")),
            (exceptions.InvalidACLError, -114, lambda: client.create(top + "/a", acl=[])),
            (exceptions.BadArgumentsError, -8, lambda: client.create("no-slash")),
        ]
        for expected, code, call in cases:
            with self.subTest(expected.__name__):
                with self.assertRaises(exceptions.ZookeeperError) as caught:
                    call()
                self.assertIs(type(caught.exception), expected)
                self.assertEqual(caught.exception.code, code)
                self.assertTrue(str(caught.exception))

    def test_every_code_has_one_class_and_unknown_ones_the_base(self):
        for code, expected in exceptions.BY_CODE.items():
            self.assertIs(type(exceptions.from_code(code)), expected)
        odd = exceptions.from_code(-999, "odd")
        self.assertEqual((type(odd), odd.code), (exceptions.ZookeeperError, -999))

    def test_builtin_classes_match_where_they_mean_the_same(self):
        self.assertTrue(issubclass(exceptions.ConnectionLoss, ConnectionError))
        self.assertTrue(issubclass(exceptions.OperationTimeoutError, TimeoutError))
        self.assertTrue(issubclass(exceptions.BadArgumentsError, ValueError))

    def test_hosts_that_are_none_are_refused(self):
        with self.assertRaises(ValueError):
            zk.ZK("localhost:not-a-port")

    def test_nobody_listening_is_an_error_after_the_limit_that_tells_who_was_tried(self):
        client = self.zk(hosts="127.0.0.1:1,127.0.0.1:2", request_timeout=0.5)
        for call in (lambda: client.get("/"), lambda: client.set("/", b""), lambda: client.start(0.2)):
            with self.assertRaises(exceptions.NotConnectedError) as caught:
                call()
            # Whoever expects either of what it was before catches it.
            self.assertIsInstance(caught.exception, exceptions.ConnectionLoss)
            self.assertIsInstance(caught.exception, exceptions.OperationTimeoutError)
            for host in ("127.0.0.1:1", "127.0.0.1:2"):
                self.assertIn(f"connection refused by {host}", str(caught.exception))

    def test_nobody_listening_anywhere_is_told_long_before_the_limit(self):
        client = self.zk(hosts="127.0.0.1:1", request_timeout=300)
        started = time.monotonic()
        with self.assertRaisesRegex(exceptions.NotConnectedError, "connection refused by 127.0.0.1:1"):
            client.get("/")
        self.assertLess(time.monotonic() - started, 60)


class Transactions(WithServer):
    def setUp(self):
        self.client = self.zk()
        self.top = "/" + self.id().rsplit(".", 1)[1]
        self.client.create(self.top, b"top")

    def test_each_operation_has_its_result(self):
        transaction = self.client.transaction()
        transaction.check(self.top, 0)
        transaction.create(self.top + "/a", b"1")
        transaction.set_data(self.top, b"new")
        transaction.delete(self.top + "/a")
        checked, created, stat, deleted = transaction.commit()
        self.assertEqual((checked, created, deleted), (True, self.top + "/a", True))
        self.assertEqual(stat.version, 1)

    def test_a_failure_undoes_all_and_every_result_tells(self):
        transaction = self.client.transaction()
        transaction.create(self.top + "/a")
        transaction.delete(self.top + "/no")
        transaction.set_data(self.top, b"x")
        before, failed, behind = transaction.commit()
        self.assertIs(type(before), exceptions.RolledBackError)
        self.assertIs(type(failed), exceptions.NoNodeError)
        self.assertIs(type(behind), exceptions.RuntimeInconsistency)
        self.assertIsNone(self.client.exists(self.top + "/a"))
        self.assertEqual(self.client.get(self.top)[0], b"top")

    def test_the_block_commits_unless_it_raises(self):
        with self.client.transaction() as transaction:
            transaction.create(self.top + "/a")
        self.assertIsNotNone(self.client.exists(self.top + "/a"))
        with self.assertRaises(KeyError), self.client.transaction() as transaction:
            transaction.create(self.top + "/b")
            raise KeyError
        self.assertIsNone(self.client.exists(self.top + "/b"))


class Watches(WithServer):
    def setUp(self):
        self.client, self.other = self.zk(), self.zk()
        self.top = "/" + self.id().rsplit(".", 1)[1]
        self.client.create(self.top, b"top")

    def test_a_watch_fires_once(self):
        events = Events()
        self.client.get(self.top, watch=events)
        self.other.set(self.top, b"1")
        self.other.set(self.top, b"2")
        self.client.get(self.top, watch=events)
        self.other.set(self.top, b"3")
        self.assertEqual(events.wait_for(2), [("CHANGED", self.top)] * 2)
        self.assertEqual(events.seen[0].state, "CONNECTED")

    def test_each_read_watches_what_it_read(self):
        exists, data, children = Events(), Events(), Events()
        path = self.top + "/a"
        self.assertIsNone(self.client.exists(path, watch=exists))
        self.client.get_children(self.top, watch=children)
        self.other.create(path)
        self.assertEqual(exists.wait_for(1), [("CREATED", path)])
        self.assertEqual(children.wait_for(1), [("CHILD", self.top)])
        self.client.get(path, watch=data)
        self.other.delete(path)
        self.assertEqual(data.wait_for(1), [("DELETED", path)])

    def test_a_read_that_fails_leaves_no_watch(self):
        events = Events()
        path = self.top + "/later"
        with self.assertRaises(exceptions.NoNodeError):
            self.client.get(path, watch=events)
        self.assertEqual(self.client._dispatcher._functions, {})

    def test_a_persistent_watch_goes_on(self):
        events = Events()
        self.client.add_watch(self.top, events)
        self.other.set(self.top, b"1")
        self.other.create(self.top + "/a")
        self.other.set(self.top + "/a", b"not seen")
        self.other.set(self.top, b"2")
        expected = [("CHANGED", self.top), ("CHILD", self.top), ("CHANGED", self.top)]
        self.assertEqual(events.wait_for(3), expected)

    def test_a_recursive_watch_sees_what_is_below(self):
        events = Events()
        self.client.add_watch(self.top, events, recursive=True)
        self.other.create(self.top + "/a/b", makepath=True)
        self.other.set(self.top + "/a/b", b"1")
        self.other.delete(self.top + "/a", recursive=True)
        a, b = self.top + "/a", self.top + "/a/b"
        expected = [("CREATED", a), ("CREATED", b), ("CHANGED", b), ("DELETED", b), ("DELETED", a)]
        self.assertEqual(events.wait_for(5), expected)

    def test_a_watch_function_may_call_the_client_and_may_fail(self):
        seen = []

        def read(event):
            seen.append(self.client.get(event.path)[0])
            raise ValueError("a fault of the program")

        with self.assertLogs("zk", "ERROR"):
            self.client.get(self.top, watch=read)
            self.other.set(self.top, b"new")
            eventually("the watch function ran", lambda: seen)
            events = Events()
            self.client.get(self.top, watch=events)
            self.other.set(self.top, b"newer")
            events.wait_for(1)
        self.assertEqual(seen, [b"new"])

    def test_the_client_may_be_closed_by_a_watch_function(self):
        self.client.get(self.top, watch=lambda event: self.client.close())
        self.other.set(self.top, b"new")
        eventually("the client is closed", lambda: self.client.state == "closed")


class Connections(WithServer):
    settings = {"session.tick_ms": 100}

    def setUp(self):
        self.relay = Relay(self.server.zk)
        self.addCleanup(self.relay.close)

    def test_a_lost_connection_is_made_again_with_session_and_watches(self):
        client, other = self.zk(hosts=self.relay.address, timeout=2), self.zk()
        client.create("/kept", ephemeral=True)
        session, events = client.client_id, Events()
        client.get("/kept", watch=events)
        self.relay.drop()
        other.set("/kept", b"changed meanwhile")
        self.assertEqual(events.wait_for(1), [("CHANGED", "/kept")])
        self.assertEqual(client.get("/kept")[0], b"changed meanwhile")
        self.assertEqual(client.client_id, session)

    def test_closing_says_whether_a_server_confirmed_it(self):
        client = self.zk(hosts=self.relay.address)
        client.create("/owned", ephemeral=True)
        self.assertIs(client.close(), True)
        self.assertIs(client.close(), True)
        self.assertIsNone(self.zk().exists("/owned"))
        client = self.zk(hosts=self.relay.address)
        client.create("/owned", ephemeral=True)
        self.relay.cut()
        eventually("the client knows", lambda: client.state == "suspended")
        self.assertIs(client.close(), False)
        self.assertIs(client.close(), False)
        self.relay.mend()
        with self.zk(hosts=self.relay.address) as client:
            client.start()
        with self.assertWarnsRegex(RuntimeWarning, "may live until"):
            with self.zk(hosts=self.relay.address) as client:
                client.start()
                self.relay.cut()
                eventually("the client knows", lambda: client.state == "suspended")
        self.relay.mend()
        with self.assertRaises(KeyError), self.zk(hosts=self.relay.address) as client:
            client.start()
            self.relay.cut()
            raise KeyError

    def test_closing_while_large_answers_are_on_their_way_is_confirmed(self):
        other = self.zk()
        other.create("/big", b"x" * 1_000_000)
        client = self.zk()
        client.create("/owned-by-a-reader", ephemeral=True)
        seen, ended = [], []

        def read():
            with contextlib.suppress(exceptions.ZookeeperError):
                try:
                    while True:
                        seen.append(len(client.get("/big")[0]))
                except exceptions.ZookeeperError as error:
                    ended.append(type(error))
                    raise

        readers = [threading.Thread(target=read) for _ in range(8)]
        for reader in readers:
            reader.start()
        eventually("they read", lambda: len(seen) > 8)
        self.assertIs(client.close(), True)
        self.assertIsNone(other.exists("/owned-by-a-reader"))
        for reader in readers:
            reader.join()
        # Nothing is in doubt about a read.
        self.assertEqual(ended, [exceptions.ConnectionClosedError] * 8)

    def test_an_expired_session_says_so_and_tells_its_watches(self):
        client, other = self.zk(hosts=self.relay.address, timeout=0.4), self.zk()
        client.create("/gone", ephemeral=True)
        events = Events()
        client.get("/gone", watch=events)
        self.relay.cut()
        eventually("the session has expired", lambda: other.exists("/gone") is None)
        self.relay.mend()
        eventually("the client knows", lambda: client.state == "lost")
        with self.assertRaises(exceptions.SessionExpiredError):
            client.get("/")
        self.assertEqual(events.wait_for(1), [("NONE", "/gone")])
        self.assertEqual(events.seen[0].state, "EXPIRED_SESSION")


class Secured(WithServer):
    settings = {"auth.sasl_users": "bob:secret"}

    def test_a_user_is_proven_by_a_password(self):
        bob = self.zk(sasl=("bob", "secret"))
        bob.create("/bob", b"x", acl=[zk.make_acl("sasl", "bob", all=True)])
        self.assertEqual(bob.get("/bob")[0], b"x")
        with self.assertRaises(exceptions.NoAuthError):
            self.zk().get("/bob")
        with self.assertRaises(exceptions.AuthFailedError):
            self.zk(sasl=("bob", "guess")).start()

    def test_a_file_that_is_not_there_is_told_before_anything_is_sent(self):
        with self.assertRaisesRegex(Exception, "/nowhere.pem"):
            self.zk(ca="/nowhere.pem")


if __name__ == "__main__":
    unittest.main()
