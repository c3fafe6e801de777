"""Members inside the process."""

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
    """Settings as the library reads them: names to text."""
    return {key: _text(key, value) for key, value in values.items() if value is not None}


def _text(key: str, value: Any) -> str:
    """Text as it is; a table or a list as JSON, which the library reads, too."""
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
    """A number would be made into the name of a folder."""
    if value is None or isinstance(value, (str, os.PathLike)):
        return None if value is None else os.fsdecode(value)
    raise TypeError(f"data_dir must be str or a path, not {type(value).__name__}")


def _call(call: Callable[..., Any], *arguments: Any) -> Any:
    try:
        return call(*arguments)
    except _native.Failure as failure:
        raise from_failure(failure) from None


class ServerStatus(NamedTuple):
    """How a member stands."""

    state: str
    """``serving``: all is well. ``waiting``: it knows no leader, or is not in the
    cluster. ``refusing writes``: its disk has too little room. ``stalled``: its
    log cannot be written, so it serves hardly anybody. ``failed``: it can take
    part no more. ``stopped``. From all but the last two it recovers by itself."""
    reason: str
    """What is wrong, for people; empty if nothing is."""


class Server:
    """One member with its servers, running inside this process.

    ``data_dir``: where it keeps its data; ``None`` is a temporary directory,
    removed when the server stops. ``zk``, ``http``, ``dns``: where it listens,
    ``host:port`` (port 0 takes a free one) or ``off``. ``timeout``: seconds to
    wait until it serves. ``settings``: any other setting by its name, as in
    ``settings={"session.tick_ms": 500}``; tables and lists may be given as such
    (``{"members": {1: "10.0.0.1:7001", 2: "10.0.0.2:7001"}}``) or as text
    (``{"members": "1=10.0.0.1:7001,2=10.0.0.2:7001"}``).

    A context manager: leaving the block stops it. Raises ``InvalidError`` for
    a taken port or a directory in use, ``CorruptError`` for a damaged one.
    Ctrl-C ends the wait, and what was started is stopped again.

    What it logs goes to the loggers below ``libcoord`` of Python's ``logging``,
    from a thread of this class; secrets are not in it. A thousand records wait for
    slow handlers; what is dropped then is counted, and said. Without handlers
    nothing is printed.

    It runs in the process that made it: in a forked child its calls raise
    ``ForkedError``, and leaving the block does nothing. Clients of the child
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
        """Where ZooKeeper clients connect, ``host:port``; ``None`` if off."""
        return self._zk

    @property
    def http(self) -> str | None:
        """Where Consul's HTTP API is, ``host:port``; ``None`` if off."""
        return self._http

    @property
    def https(self) -> str | None:
        """Where Consul's HTTP API is over TLS, ``host:port``; ``None`` if off."""
        return self._https

    @property
    def dns(self) -> str | None:
        """Where DNS is, ``host:port``; ``None`` if off."""
        return self._dns

    @property
    def peer(self) -> str | None:
        """Where other members connect, ``host:port``; ``None`` if off."""
        return self._peer

    @property
    def status(self) -> ServerStatus:
        """How it stands now."""
        return ServerStatus(*_call(self._native.status))

    def check(self) -> None:
        """Raises ``UnavailableError`` if it does not serve all its clients now,
        and ``InternalError`` if it never will again."""
        state, reason = _call(self._native.status)
        if state == "stopped":
            raise ClosedError(reason)
        if state == "failed":
            raise InternalError(f"this member failed: {reason}")
        if state != "serving":
            raise UnavailableError(f"this member is {state}: {reason}")

    def wait_failed(self, timeout: float | None = None) -> str | None:
        """Waits until it failed and can take part no more, and says why; ``None``
        if it did not within ``timeout`` seconds. For a thread that watches over
        it. Raises ``ClosedError`` once it is stopped."""
        return _call(self._native.wait_failed, timeout)

    def stop(self) -> None:
        """Stops it: ports closed, data flushed, threads joined. Twice is fine."""
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
    """Where one member of a :class:`Cluster` listens."""

    def __init__(self, addresses: list[str | None]) -> None:
        self.zk, self.http, self.dns, self.peer, self.https = addresses

    def __repr__(self) -> str:
        return f"<libcoord.Member zk={self.zk} http={self.http} dns={self.dns}>"


class Cluster:
    """Several members inside this process, each with its own threads, free
    loopback ports and temporary directory.

    ``size``: 1 to 7. ``timeout``: seconds to wait until all serve. A context
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
        """All members' ZooKeeper addresses, as a client takes them."""
        return ",".join(member.zk for member in self.members if member.zk)

    @property
    def leader(self) -> int | None:
        """The position of the member that leads, if one does."""
        return _call(self._native.leader)

    def stop_member(self, position: int) -> None:
        """Stops one member, by its position in ``members``."""
        _call(self._native.stop_member, position)

    def stop(self) -> None:
        """Stops all of them. Twice is fine."""
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
