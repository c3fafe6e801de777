"""A ZooKeeper client with kazoo's calls.

>>> from zk import ZK
>>> zk = ZK('localhost:2181')                              # doctest: +SKIP
>>> zk.create('/test', b'data', ephemeral=True)            # doctest: +SKIP
'/test'
>>> data, stat = zk.get('/test')                           # doctest: +SKIP

Works with libcoord and with the original ZooKeeper.
"""

from __future__ import annotations

import os
import warnings
from types import TracebackType
from typing import Any, Callable, Iterable, Optional, Sequence, Union

from libcoord import _native
from libcoord._closing import close_at_exit, is_forked

from . import exceptions
from ._arguments import aces, content_hash, data, optional_data, text
from ._transaction import Transaction
from ._types import (
    ACL,
    CREATOR_ALL_ACL,
    OPEN_ACL_UNSAFE,
    READ_ACL_UNSAFE,
    EventType,
    Id,
    Permissions,
    Stat,
    WatchedEvent,
    make_acl,
    make_digest_acl,
    make_digest_acl_credential,
)
from ._watching import Dispatcher, WatchFunction
from .exceptions import translate

Acl = Optional[Iterable[ACL]]


def _mode(
    ephemeral: bool, sequence: bool, container: bool, ttl: Optional[float]
) -> tuple[str, bool, int]:
    if sum((ephemeral, container, ttl is not None)) > 1:
        raise exceptions.BadArgumentsError("only one of ephemeral, container and ttl")
    if container and sequence:
        raise exceptions.BadArgumentsError("a container cannot be sequential")
    kind = "ephemeral" if ephemeral else "container" if container else "persistent"
    if ttl is not None:
        return ("ttl", sequence, int(ttl * 1000))
    return (kind, sequence, 0)


def _options(
    use_ssl: bool,
    ca: Optional[str],
    cert: Optional[str],
    key: Optional[str],
    verify_certs: bool,
    check_hostname: bool,
) -> list[tuple[str, str]]:
    """The TLS options, under the names of the native client."""
    files = [("tls.ca_file", ca), ("tls.cert_file", cert), ("tls.key_file", key)]
    options = [(name, os.fsdecode(path)) for name, path in files if path is not None]
    if not use_ssl and not options:
        return []
    verify = "nothing" if not verify_certs else "full" if check_hostname else "any_name"
    return [*options, ("tls", "on"), ("tls.verify", verify)]


class ZK:
    """A client with one session.

    ``hosts``: ``host:port,host:port``, optionally followed by a chroot path.
    ``timeout``: the session timeout to request, in seconds. ``auth_data``: pairs
    such as ``('digest', 'user:password')`` to authenticate with on every
    connection. ``request_timeout``: maximum duration of a call in seconds,
    including reconnections.

    TLS, with PEM files: ``ca`` contains the CAs for the server's certificate,
    ``cert`` and ``key`` are the client certificate, if the server requests one;
    ``use_ssl`` alone trusts the system's CAs. ``check_hostname=False`` accepts a
    valid certificate of any host, ``verify_certs=False`` any certificate. ``sasl``
    is a pair of user and password, for DIGEST-MD5 on every connection.

    >>> zk = ZK('host:2281', ca='ca.pem', sasl=('bob', 'secret'))  # doctest: +SKIP

    Connects automatically, and resumes its session after a lost connection; calls
    wait for the connection up to ``request_timeout``, and then raise
    ``NotConnectedError`` with the reason for each server. A client that was never
    connected gives up after about 5 seconds if no server is listening;
    :meth:`start` waits for its own timeout. Thread-safe. A context manager: leaving
    the block ends the session and its ephemeral znodes, and warns
    (``RuntimeWarning``) if no server confirmed that.

    Values and credentials are ``bytes``, or ``str``, which is encoded as UTF-8;
    paths are ``str``. Anything else raises ``TypeError``.

    A client works in the process that created it: in a forked child its methods
    raise ``libcoord.ForkedError``, and leaving the block does nothing.

    Errors are those of :mod:`zk.exceptions`, one class per ZooKeeper code. A write
    that was sent but not answered raises ``ConnectionLoss``: it may or may not have
    been applied.
    """

    def __init__(
        self,
        hosts: str = "127.0.0.1:2181",
        timeout: float = 10.0,
        *,
        auth_data: Optional[Sequence[tuple[str, Union[str, bytes]]]] = None,
        read_only: bool = False,
        randomize_hosts: bool = True,
        request_timeout: float = 30.0,
        use_ssl: bool = False,
        ca: Optional[str] = None,
        cert: Optional[str] = None,
        key: Optional[str] = None,
        verify_certs: bool = True,
        check_hostname: bool = True,
        sasl: Optional[tuple[str, str]] = None,
    ) -> None:
        options = _options(use_ssl, ca, cert, key, verify_certs, check_hostname)
        if sasl is not None:
            user, password = (text(part, "sasl") for part in sasl)
            options.append(("sasl", f"{user}:{password}"))
        credentials = [(scheme, data(proof, "auth_data")) for scheme, proof in auth_data or ()]
        try:
            self._native = _native.ZkClient(
                hosts, timeout, request_timeout, credentials, read_only, randomize_hosts, options
            )
        except _native.Failure as failure:
            raise translate(failure) from None
        self._dispatcher = Dispatcher(self._native)
        close_at_exit(self)

    # Connection and session

    def start(self, timeout: float = 15.0) -> None:
        """Waits until connected, at most ``timeout`` seconds. Optional: every call
        waits for the connection."""
        self._call(self._native.wait_connected, timeout)

    def close(self) -> bool:
        """Ends the session and its ephemeral znodes. Closing twice is allowed.

        Returns whether the server confirmed it. If not, the client is closed
        anyway, but the session, its ephemeral znodes and its locks may live until
        the session timeout.
        """
        self._call(self._native.require_here)
        self._dispatcher.close()
        return bool(self._call(self._native.close))

    stop = close

    @property
    def state(self) -> str:
        """``connecting``, ``connected``, ``suspended`` (the session may be alive),
        ``lost`` (it has ended) or ``closed``."""
        return self._call(self._native.state)

    @property
    def connected(self) -> bool:
        """Whether the client is connected now."""
        return self.state == "connected"

    @property
    def client_id(self) -> Optional[tuple[int, bytes]]:
        """Session id and password; ``None`` before the first connection."""
        session, password, _timeout = self._call(self._native.session)
        return (session, bytes(password)) if session else None

    @property
    def session_timeout(self) -> float:
        """The timeout granted by the server, in seconds; 0 before the first
        connection."""
        return self._call(self._native.session)[2]

    def add_auth(self, scheme: str, credential: Union[str, bytes]) -> bool:
        """Authenticates, now and after every reconnection."""
        self._call(self._native.add_auth, scheme, data(credential, "credential"))
        return True

    def sync(self, path: str = "/") -> str:
        """Returns once this client's server has applied everything that was
        committed before the call."""
        self._call(self._native.sync, path)
        return path

    # Znodes

    def create(
        self,
        path: str,
        value: Union[bytes, str, None] = b"",
        acl: Acl = None,
        ephemeral: bool = False,
        sequence: bool = False,
        makepath: bool = False,
        include_data: bool = False,
        *,
        container: bool = False,
        ttl: Optional[float] = None,
    ) -> Union[str, tuple[str, Stat]]:
        """Creates a znode and returns its path, which with ``sequence`` ends in a
        number. ``ephemeral``: deleted when the session ends. ``container``: deleted
        after its last child. ``ttl``: deleted when it has no children and was not
        written for that many seconds. ``makepath``: creates missing parents.
        ``include_data``: returns ``(path, stat)``.

        Raises ``NodeExistsError``, ``NoNodeError`` (no parent), ``NoAuthError``,
        ``NoChildrenForEphemeralsError``, ``BadArgumentsError``.
        """
        mode = _mode(ephemeral, sequence, container, ttl)
        content = optional_data(value)
        created, stat = self._call(self._native.create, path, content, aces(acl), mode, makepath)
        return (created, Stat(*stat)) if include_data else created

    def ensure_path(self, path: str, acl: Acl = None) -> bool:
        """Creates a znode and its parents if they do not exist."""
        self._call(self._native.ensure_path, path, aces(acl))
        return True

    def exists(self, path: str, watch: Optional[WatchFunction] = None) -> Optional[Stat]:
        """Returns the stat, or ``None`` if the znode does not exist. ``watch`` is
        called once, with a :class:`WatchedEvent`, when it is created, changed or
        deleted."""
        stat = self._watched(self._native.exists, path, watch)
        return None if stat is None else Stat(*stat)

    def get(
        self, path: str, watch: Optional[WatchFunction] = None
    ) -> tuple[Optional[bytes], Stat]:
        """Returns data and stat. ``watch`` is called once, when it is changed or
        deleted.

        Raises ``NoNodeError``, ``NoAuthError``.
        """
        content, stat = self._watched(self._native.get, path, watch)
        return content, Stat(*stat)

    def get_children(
        self,
        path: str,
        watch: Optional[WatchFunction] = None,
        include_data: bool = False,
    ) -> Union[list[str], tuple[list[str], Stat]]:
        """Returns the names of the children, in no particular order. ``watch`` is
        called once, when a child is created or deleted. ``include_data``: returns
        ``(names, stat)``."""
        names, stat = self._watched(self._native.children, path, watch)
        return (names, Stat(*stat)) if include_data else names

    def get_hash(
        self, path: str, recursive: bool = False, include_zxid: bool = False
    ) -> Union[bytes, tuple[bytes, int]]:
        """Returns a hash of the content: path, data, ACL and lifetime (owner or
        TTL); with ``recursive`` also of all descendants. It does not cover versions
        and times. Pass it as ``if_hash`` or to :meth:`Transaction.check_hash`.
        ``include_zxid``: returns ``(hash, zxid)``, with the zxid at which it was
        computed.

        Raises ``NoNodeError``, ``NoAuthError`` (a descendant may not be read),
        ``UnimplementedError`` (the original ZooKeeper has no content hashes).
        """
        hash, zxid = self._call(self._native.hash, path, recursive)
        return (hash, zxid) if include_zxid else hash

    def set(
        self,
        path: str,
        value: Union[bytes, str, None],
        version: int = -1,
        *,
        if_hash: Optional[bytes] = None,
    ) -> Stat:
        """Sets the data if ``version`` is the current one (-1: any), or if the
        content has the hash ``if_hash``.

        Raises ``BadVersionError``, ``NoNodeError``, ``NoAuthError``.
        """
        content = optional_data(value)
        if if_hash is not None:
            _only_one_condition(version)
            hash = content_hash(if_hash, "if_hash")
            return Stat(*self._call(self._native.set_if_hash, path, content, hash))
        return Stat(*self._call(self._native.set, path, content, version))

    def delete(
        self,
        path: str,
        version: int = -1,
        recursive: bool = False,
        *,
        if_hash: Optional[bytes] = None,
    ) -> bool:
        """Deletes a znode, with ``recursive`` also its descendants; with
        ``if_hash`` only if its content has that hash.

        Raises ``BadVersionError``, ``NoNodeError``, ``NotEmptyError``, ``NoAuthError``.
        """
        if if_hash is not None:
            _only_one_condition(version, recursive)
            self._call(self._native.delete_if_hash, path, content_hash(if_hash, "if_hash"))
            return True
        self._call(self._native.delete, path, version, recursive)
        return True

    def get_acls(self, path: str) -> tuple[list[ACL], Stat]:
        """Returns the ACL and the stat."""
        acl, stat = self._call(self._native.get_acl, path)
        return [ACL(perms, Id(scheme, id)) for perms, scheme, id in acl], Stat(*stat)

    def set_acls(self, path: str, acls: Iterable[ACL], version: int = -1) -> Stat:
        """Sets the ACL if ``version`` is its current version (-1: any)."""
        return Stat(*self._call(self._native.set_acl, path, aces(acls) or [], version))

    def transaction(self) -> Transaction:
        """Returns a transaction: operations that are applied atomically."""
        return Transaction(self._native)

    def add_watch(self, path: str, watch: WatchFunction, recursive: bool = False) -> None:
        """Calls ``watch`` for every change of a znode and its list of children;
        with ``recursive`` for every change of it and its descendants. Lasts until
        the client is closed."""
        self._call(self._native.require_here)
        token = self._dispatcher.expect(watch, lasting=True)
        try:
            self._call(self._native.add_watch, path, recursive, token)
        except BaseException:
            self._dispatcher.forget(token)
            raise

    # Helpers

    def _watched(
        self, call: Callable[[str, Optional[int]], Any], path: str, watch: Optional[WatchFunction]
    ) -> Any:
        # Before the dispatcher's lock, which another thread may have held when
        # the process was forked.
        self._call(self._native.require_here)
        token = self._dispatcher.expect(watch)
        try:
            return self._call(call, path, token)
        except BaseException:
            self._dispatcher.forget(token)
            raise

    @staticmethod
    def _call(call: Callable[..., Any], *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except _native.Failure as failure:
            raise translate(failure) from None

    def __del__(self) -> None:
        # Otherwise the thread would keep the session of a client without references
        # alive.
        dispatcher = getattr(self, "_dispatcher", None)
        if dispatcher is not None:
            dispatcher.abandon()

    def __enter__(self) -> ZK:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        # In a forked child the session belongs to the parent and stays open.
        if is_forked(self._native):
            return
        if not self.close() and kind is None:
            warnings.warn(
                "no server confirmed the end of a ZooKeeper session: it and its ephemeral znodes "
                f"may live until its timeout of {self.session_timeout:g} s",
                RuntimeWarning,
                stacklevel=2,
            )


def _only_one_condition(version: int, recursive: bool = False) -> None:
    if version != -1 or recursive:
        raise exceptions.BadArgumentsError("if_hash is for one znode and goes without a version")


__all__ = [
    "ACL",
    "CREATOR_ALL_ACL",
    "EventType",
    "Id",
    "OPEN_ACL_UNSAFE",
    "Permissions",
    "READ_ACL_UNSAFE",
    "Stat",
    "Transaction",
    "WatchedEvent",
    "ZK",
    "exceptions",
    "make_acl",
    "make_digest_acl",
    "make_digest_acl_credential",
]
