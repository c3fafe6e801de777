"""Random ZooKeeper requests: what clients send, and what they should not.

A request is (operation, body, description). Its zxids are not known here:
setWatches carries WATERMARK, which each server's side replaces.
"""

import struct

from jute import text

CREATE, DELETE, EXISTS, GET_DATA, SET_DATA, GET_ACL, SET_ACL = 1, 2, 3, 4, 5, 6, 7
GET_CHILDREN, SYNC, PING, GET_CHILDREN2, CHECK, MULTI, CREATE2 = 8, 9, 11, 12, 13, 14, 15
CHECK_WATCHES, REMOVE_WATCHES, CREATE_CONTAINER, CREATE_TTL, MULTI_READ = 17, 18, 19, 21, 22
AUTH, SET_WATCHES, GET_EPHEMERALS, GET_ALL_CHILDREN_NUMBER = 100, 101, 103, 104
SET_WATCHES2, ADD_WATCH, WHO_AM_I, CLOSE = 105, 106, 107, -11

TOP = "/t"
WATERMARK = b"\x7fWATERMK"
WORDS = ["a", "b", "c", "d"]
ODD_PATHS = [
    "t", "/t/", "/t//a", "/t/./a", "/t/../a", "/t/a\0b", "/t/\u0001", "/t/\ue000", "/t/...",
    "/t/a/", "/nowhere/x", "/", "/zookeeper", "/zookeeper/quota", "/t/\u00e4\u20ac",
]
# Whoever is locked out of a znode, alice is not, so that no subtree is lost.
ALICE = (31, "digest", "alice:aYXlLOpEooaV1cRAvUL1fp9Qt7E=")
ACLS = [
    [(31, "world", "anyone")],
    [(1, "world", "anyone"), ALICE],
    [(30, "world", "anyone"), ALICE],
    [(31, "auth", ""), ALICE],
    [(5, "ip", "127.0.0.0/8"), ALICE],
    [(31, "ip", "10.0.0.1"), ALICE],
    [ALICE, ALICE, (1, "world", "anyone")],
    [(0, "world", "anyone"), ALICE],
    [(17, "digest", "bob:ikIaKsbtGweaHnb/jKn7OHqbunM="), ALICE],
]
BAD_ACLS = [
    None, [], [(31, "nope", "x")], [(31, "world", "someone")], [(31, "digest", "nocolon")],
    [(31, "ip", "not an address")], [(31, "digest", "a:b:c")], [(31, "ip", "10.0.0.1/33")],
]


def integer(value):
    return struct.pack(">i", value)


def buffer(value):
    return integer(-1) if value is None else text(value)


def texts(values):
    return integer(len(values)) + b"".join(text(value) for value in values)


def access_list(acl):
    if acl is None:
        return integer(-1)
    return integer(len(acl)) + b"".join(
        integer(perms) + text(scheme) + text(who) for perms, scheme, who in acl
    )


class Requests:
    """Requests drawn from one seeded generator."""

    def __init__(self, random):
        self.random = random
        self.sequential = []

    def created(self, path):
        """Remembers a sequential name, so that it is used and deleted, too."""
        self.sequential.append(path)

    def path(self):
        random = self.random
        chance = random.random()
        if chance < 0.04:
            return random.choice(ODD_PATHS)
        if chance < 0.15 and self.sequential:
            return random.choice(self.sequential)
        return TOP + "".join("/" + random.choice(WORDS) for _ in range(random.choice([0, 1, 1, 1, 2, 2, 3])))

    def version(self):
        return self.random.choice([-1] * 8 + [0, 0, 1, 2, 3, -2])

    def data(self):
        return self.random.choice([None, b"", b"x", b"some data", b"\0" * 40])

    def acl(self):
        if self.random.random() < 0.05:
            return self.random.choice(BAD_ACLS)
        return self.random.choice(ACLS + ACLS[:1] * 30)

    def watched(self, path, slot):
        """Which kind of watch this connection has on a path: one kind only."""
        return ["standard", "standard", "persistent", "recursive"][
            (sum(path.encode()) + slot) % 4
        ]

    def request(self, slot):
        draw = self.random.random()
        for share, make in (
            (0.22, self.create), (0.10, self.delete), (0.10, self.set_data), (0.13, self.multi),
            (0.20, self.read), (0.04, self.set_acl), (0.04, self.get_acl), (0.03, self.count),
            (0.02, self.ephemerals), (0.05, self.add_watch), (0.03, self.remove_watch),
            (0.02, self.multi_read), (0.01, self.who_am_i),
        ):
            draw -= share
            if draw < 0:
                return make(slot)
        return SYNC, buffer(self.random.choice([None, "", "/t"])), "sync"

    def create_record(self, in_multi=False):
        random = self.random
        path, acl = self.path(), self.acl()
        op = random.choice([CREATE] * 3 + [CREATE2] * 3 + [CREATE_CONTAINER, CREATE_TTL])
        flags = random.choice([0] * 6 + [1] * 4 + [2, 2, 3, 3])
        ttl = b""
        if op == CREATE_CONTAINER:
            flags = 4
        elif op == CREATE_TTL:
            flags = random.choice([5, 5, 6])
            ttl = struct.pack(">q", 3_600_000)
        if not in_multi and random.random() < 0.02:
            flags = random.choice([7, -1, 5, 4, 0])
            if op == CREATE_TTL:
                ttl = struct.pack(">q", random.choice([0, -1, 1 << 40, (1 << 40) - 1]))
        if flags in (2, 3, 6) and random.random() < 0.3:
            path += "/"
        body = text(path) + buffer(self.data()) + access_list(acl) + integer(flags) + ttl
        return op, body, f"create({op}) {path!r} flags {flags} acl {acl}"

    def create(self, _):
        return self.create_record()

    def delete(self, _):
        path, version = self.path(), self.version()
        if self.sequential and self.random.random() < 0.4:
            path = self.sequential.pop(self.random.randrange(len(self.sequential)))
        return DELETE, text(path) + integer(version), f"delete {path!r} {version}"

    def set_data(self, _):
        path, version = self.path(), self.version()
        body = text(path) + buffer(self.data()) + integer(version)
        return SET_DATA, body, f"setData {path!r} {version}"

    def check(self):
        path, version = self.path(), self.version()
        return CHECK, text(path) + integer(version), f"check {path!r} {version}"

    def multi(self, slot):
        parts = []
        for _ in range(self.random.choice([0, 1, 1, 2, 2, 3, 4, 5])):
            make = self.random.choice(
                [lambda: self.create_record(True)] * 4
                + [lambda: self.delete(slot)] * 2
                + [lambda: self.set_data(slot)] * 2
                + [self.check]
            )
            parts.append(make())
        if self.random.random() < 0.01:
            parts.append(self.get_data(False))
        return MULTI, framed(parts), "multi [" + "; ".join(part[2] for part in parts) + "]"

    def get_data(self, watch):
        path = self.path()
        return GET_DATA, text(path) + bytes([watch]), f"getData {path!r} {watch}"

    def multi_read(self, _):
        parts = []
        for _ in range(self.random.randrange(4)):
            op, path = self.random.choice([GET_DATA, GET_CHILDREN]), self.path()
            parts.append((op, text(path) + b"\1", f"{op} {path!r}"))
        return MULTI_READ, framed(parts), f"multiRead {[part[2] for part in parts]}"

    def read(self, slot):
        path = self.path()
        op = self.random.choice([EXISTS, GET_DATA, GET_CHILDREN, GET_CHILDREN2])
        watch = self.random.random() < 0.5 and self.watched(path, slot) == "standard"
        return op, text(path) + bytes([watch]), f"read({op}) {path!r} watch {watch}"

    def set_acl(self, _):
        path, acl, version = self.path(), self.acl(), self.version()
        while path in ("/", TOP) or path.startswith("/zookeeper"):
            path = self.path()
        return SET_ACL, text(path) + access_list(acl) + integer(version), f"setACL {path!r} {acl} {version}"

    def get_acl(self, _):
        path = self.path()
        return GET_ACL, text(path), f"getACL {path!r}"

    def count(self, _):
        path = self.path()
        return GET_ALL_CHILDREN_NUMBER, text(path), f"getAllChildrenNumber {path!r}"

    def ephemerals(self, _):
        prefix = self.random.choice([None, "", "/", "/t", "/t/a", "/t/b/"])
        return GET_EPHEMERALS, buffer(prefix), f"getEphemerals {prefix!r}"

    def add_watch(self, slot):
        path = self.path()
        mode = {"standard": None, "persistent": 0, "recursive": 1}[self.watched(path, slot)]
        if mode is None:
            return self.read(slot)
        if self.random.random() < 0.02:
            mode = 7
        return ADD_WATCH, text(path) + integer(mode), f"addWatch {path!r} {mode}"

    def remove_watch(self, slot):
        path, kind = self.path(), 3
        if self.watched(path, slot) == "standard":
            kind = self.random.choice([1, 2, 3, 3, 0, 9])
        op = self.random.choice([CHECK_WATCHES, REMOVE_WATCHES, REMOVE_WATCHES])
        return op, text(path) + integer(kind), f"watches({op}) {path!r} {kind}"

    def who_am_i(self, _):
        return WHO_AM_I, b"", "whoAmI"

    def set_watches(self, slot):
        """Watches of an earlier connection, as a client sends them after it."""
        lists = {"standard": [], "persistent": [], "recursive": []}
        for _ in range(8):
            path = self.path()
            lists[self.watched(path, slot)].append(path)
        standard = lists["standard"]
        body = WATERMARK + texts(standard[::3]) + texts(standard[1::3]) + texts(standard[2::3])
        if self.random.random() < 0.5:
            return SET_WATCHES, body, f"setWatches {standard}"
        body += texts(lists["persistent"]) + texts(lists["recursive"])
        return SET_WATCHES2, body, f"setWatches2 {lists}"


def create2_in(description):
    """Which operations of a multi, as it describes itself, are create2."""
    parts = description[len("multi [") : -1].split("; ")
    return [index for index, part in enumerate(parts) if part.startswith(f"create({CREATE2})")]


def framed(parts):
    """The operations of a multi."""
    out = b"".join(struct.pack(">i?i", op, False, -1) + body for op, body, _ in parts)
    return out + struct.pack(">i?i", -1, True, -1)
