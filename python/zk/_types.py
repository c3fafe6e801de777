"""Arguments and results of calls."""

from __future__ import annotations

import base64
import hashlib
from typing import NamedTuple, Optional


class Stat(NamedTuple):
    """The stat of a znode, with ZooKeeper's field names. Times are milliseconds
    since the epoch."""

    czxid: int
    mzxid: int
    ctime: int
    mtime: int
    version: int
    cversion: int
    aversion: int
    ephemeralOwner: int
    dataLength: int
    numChildren: int
    pzxid: int

    @property
    def acl_version(self) -> int:
        return self.aversion

    @property
    def children_version(self) -> int:
        return self.cversion

    @property
    def children_count(self) -> int:
        return self.numChildren

    @property
    def created(self) -> float:
        """Seconds since the epoch."""
        return self.ctime / 1000.0

    @property
    def last_modified(self) -> float:
        """Seconds since the epoch."""
        return self.mtime / 1000.0

    @property
    def owner_session_id(self) -> Optional[int]:
        return self.ephemeralOwner or None

    @property
    def creation_transaction_id(self) -> int:
        return self.czxid

    @property
    def last_modified_transaction_id(self) -> int:
        return self.mzxid

    @property
    def data_length(self) -> int:
        return self.dataLength


class Id(NamedTuple):
    """An identity of an authentication scheme."""

    scheme: str
    id: str


class ACL(NamedTuple):
    """One entry of an ACL."""

    perms: int
    id: Id


class Permissions:
    """Bits of ``ACL.perms``."""

    READ = 1
    WRITE = 2
    CREATE = 4
    DELETE = 8
    ADMIN = 16
    ALL = 31


def make_acl(
    scheme: str,
    credential: str,
    read: bool = False,
    write: bool = False,
    create: bool = False,
    delete: bool = False,
    admin: bool = False,
    all: bool = False,
) -> ACL:
    """An ACL entry from named permissions."""
    given = {1: read, 2: write, 4: create, 8: delete, 16: admin}
    perms = Permissions.ALL if all else sum(bit for bit, wanted in given.items() if wanted)
    return ACL(perms, Id(scheme, credential))


def make_digest_acl_credential(username: str, password: str) -> str:
    """The id of ``add_auth('digest', 'username:password')``."""
    for name, value in (("username", username), ("password", password)):
        if not isinstance(value, str):
            raise TypeError(f"{name} must be str, not {type(value).__name__}")
    digest = hashlib.sha1(f"{username}:{password}".encode()).digest()
    return f"{username}:{base64.b64encode(digest).decode()}"


def make_digest_acl(username: str, password: str, **permissions: bool) -> ACL:
    """An ACL entry for a user with a password."""
    return make_acl("digest", make_digest_acl_credential(username, password), **permissions)


OPEN_ACL_UNSAFE = [ACL(Permissions.ALL, Id("world", "anyone"))]
CREATOR_ALL_ACL = [ACL(Permissions.ALL, Id("auth", ""))]
READ_ACL_UNSAFE = [ACL(Permissions.READ, Id("world", "anyone"))]


class EventType:
    """Kinds of :class:`WatchedEvent`."""

    #: Not a change of a znode: the session has ended (see ``state``).
    NONE = "NONE"
    CREATED = "CREATED"
    DELETED = "DELETED"
    CHANGED = "CHANGED"
    CHILD = "CHILD"
    #: Events were dropped because the queue was full: read again.
    MISSED = "MISSED"


EVENT_BY_CODE = {
    1: EventType.CREATED,
    2: EventType.DELETED,
    3: EventType.CHANGED,
    4: EventType.CHILD,
    -1: EventType.MISSED,
}


class WatchedEvent(NamedTuple):
    """An event of a watch."""

    type: str
    state: str
    path: str
