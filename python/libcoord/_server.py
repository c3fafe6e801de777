"""Members inside this process."""

from __future__ import annotations

import json
import os
from types import TracebackType
from typing import Any, Callable, Mapping, NamedTuple

from . import _native
from ._closing import close_at_exit, is_forked
from ._logging import MemberLog
from .errors import ClosedError, InternalError, UnavailableError, from_failure

_LOOPBACK = "127.0.0.1:0"


def _settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the native library takes them: names to text."""
    return {key: _text(key, value) for key, value in values.items() if value is not None}


def _text(key: str, value: Any) -> str:
    """Text unchanged; other values as JSON, which the library also accepts."""
    if isinstance(value, (str, os.PathLike)):
        return os.fsdecode(value)
    return json.dumps(_plain(key, value))


def _plain(key: str, value: Any) -> Any:
    if isinstance(value, (bool, int, float, str)):
        return value
    if isinstance(value, os.PathLike):
        return os.fsdecode(value)
    if isinstance(value, Mapping):
        return {str(k): _plain(key, v) for k, v in value.items() if v is not None}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [_plain(key, each) for each in value]
    raise TypeError(f"the setting {key} cannot be {type(value).__name__}")


def _addressed(name: str, value: str | None) -> str | None:
    if value is None or isinstance(value, str):
        return value
    raise TypeError(f"{name} must be str, such as '127.0.0.1:0', not {type(value).__name__}")


def _folder(value: str | os.PathLike[str] | None) -> str | None:
    """Refuses numbers, which would become the name of a directory."""
    if value is None or isinstance(value, (str, os.PathLike)):
        return None if value is None else os.fsdecode(value)
    raise TypeError(f"data_dir must be str or a path, not {type(value).__name__}")


def _call(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except _native.Failure as failure:
        raise from_failure(failure) from None


class ServerStatus(NamedTuple):
    """The state of a member."""

    state: str
    """``serving``: healthy. ``waiting``: it knows no leader, or is not in the
    cluster. ``refusing writes``: its disk is almost full. ``stalled``: it cannot
    write its log, and serves almost nothing. ``failed``: it failed permanently.
    ``stopped``. It recovers by itself from all but the last two."""
    reason: str
    """The problem in words; empty if there is none."""


class Server:
    """One member with its servers, running inside this process.

    ``data_dir``: its data directory; ``None`` means a temporary one, removed when
    the server stops. ``zk``, ``http``, ``dns``: listen addresses, ``host:port``
    (port 0 for a free one) or ``off``. ``timeout``: seconds to wait until it is
    ready. ``settings``: any other settings by name, such as
    ``settings={"session.tick_ms": 500}``; maps and lists may be passed as Python
    objects (``{"members": {1: "10.0.0.1:7001", 2: "10.0.0.2:7001"}}``) or as text
    (``{"members": "1=10.0.0.1:7001,2=10.0.0.2:7001"}``).

    A context manager: leaving the block stops it. Raises ``InvalidError`` if a port
    or the directory is in use, ``CorruptError`` if the directory is damaged. Ctrl-C
    ends the wait and stops what was started.

    It logs to the loggers below ``libcoord`` in Python's ``logging``, from a thread
    of this class; the log contains no secrets. About a thousand records are queued
    for slow handlers; further ones are dropped, and their number is logged. Without
    handlers nothing is printed.

    It runs in the process that created it: in a forked child its methods raise
    ``ForkedError``, and leaving the block does nothing. Clients in the child can
    connect to its addresses.

    >>> with Server() as server:           # doctest: +SKIP
    ...     zk = ZK(server.zk)
    """

    def __init__(
        self,
        data_dir: str | os.PathLike[str] | None = None,
        zk: str = _LOOPBACK,
        http: str = _LOOPBACK,
        dns: str = _LOOPBACK,
        *,
        timeout: float = 60.0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        named = {
            "data_dir": _folder(data_dir),
            "zk_addr": _addressed("zk", zk),
            "http_addr": _addressed("http", http),
            "dns_addr": _addressed("dns", dns),
        }
        values = _settings({**(settings or {}), **named})
        self._log = MemberLog()
        try:
            self._native = _call(_native.NativeServer, values, timeout, self._log.native)
        except BaseException:
            self._log.close()
            raise
        addresses = self._native.addresses()
        self._zk, self._http, self._dns, self._peer, self._https = addresses
        close_at_exit(self)

    @property
    def zk(self) -> str | None:
        """The address for ZooKeeper clients, ``host:port``; ``None`` if off."""
        return self._zk

    @property
    def http(self) -> str | None:
        """The address of Consul's HTTP API, ``host:port``; ``None`` if off."""
        return self._http

    @property
    def https(self) -> str | None:
        """The address of Consul's HTTP API over TLS, ``host:port``; ``None`` if
        off."""
        return self._https

    @property
    def dns(self) -> str | None:
        """The address of the DNS server, ``host:port``; ``None`` if off."""
        return self._dns

    @property
    def peer(self) -> str | None:
        """The address for other members, ``host:port``; ``None`` if off."""
        return self._peer

    @property
    def status(self) -> ServerStatus:
        """Its current state."""
        return ServerStatus(*_call(self._native.status))

    def check(self) -> None:
        """Raises ``UnavailableError`` if it does not serve all clients now, and
        ``InternalError`` if it failed permanently."""
        state, reason = _call(self._native.status)
        if state == "stopped":
            raise ClosedError(reason)
        if state == "failed":
            raise InternalError(f"this member failed: {reason}")
        if state != "serving":
            raise UnavailableError(f"this member is {state}: {reason}")

    def wait_failed(self, timeout: float | None = None) -> str | None:
        """Waits until it fails permanently, and returns why; ``None`` if it does
        not within ``timeout`` seconds. For a monitoring thread. Raises
        ``ClosedError`` once it is stopped."""
        return _call(self._native.wait_failed, timeout)

    def stop(self) -> None:
        """Stops it: closes ports, flushes data, joins threads. Stopping twice is
        allowed."""
        _call(self._native.stop)
        self._log.close()

    close = stop

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not is_forked(self._native):
            self.stop()

    def __repr__(self) -> str:
        return f"<libcoord.Server zk={self._zk} http={self._http} dns={self._dns}>"


class Member:
    """The addresses of one member of a :class:`Cluster`."""

    def __init__(self, addresses: list[str | None]) -> None:
        self.zk, self.http, self.dns, self.peer, self.https = addresses

    def __repr__(self) -> str:
        return f"<libcoord.Member zk={self.zk} http={self.http} dns={self.dns}>"


class Cluster:
    """Several members inside this process, each with its own threads, free
    loopback ports and temporary directory.

    ``size``: 1 to 7. ``timeout``: seconds to wait until all are ready. A context
    manager: leaving the block stops them.

    >>> with Cluster(3) as cluster:        # doctest: +SKIP
    ...     zk = ZK(cluster.zk)
    """

    def __init__(
        self,
        size: int = 3,
        *,
        timeout: float = 60.0,
        settings: Mapping[str, Any] | None = None,
    ) -> None:
        values = _settings(settings or {})
        self._log = MemberLog()
        try:
            self._native = _call(_native.NativeCluster, size, values, timeout, self._log.native)
        except BaseException:
            self._log.close()
            raise
        self.members = [Member(addresses) for addresses in self._native.addresses()]
        close_at_exit(self)

    @property
    def zk(self) -> str:
        """The ZooKeeper addresses of all members, as a connect string."""
        return ",".join(member.zk for member in self.members if member.zk)

    @property
    def leader(self) -> int | None:
        """The position of the leader, if there is one."""
        return _call(self._native.leader)

    def stop_member(self, position: int) -> None:
        """Stops one member, by its position in ``members``."""
        _call(self._native.stop_member, position)

    def stop(self) -> None:
        """Stops all members. Stopping twice is allowed."""
        _call(self._native.stop)
        self._log.close()

    close = stop

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not is_forked(self._native):
            self.stop()
