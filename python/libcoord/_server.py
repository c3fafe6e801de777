"""Members inside the process."""

from __future__ import annotations

import os
from types import TracebackType
from typing import Any, Mapping, NamedTuple

from . import _native
from ._closing import close_at_exit
from .errors import ClosedError, InternalError, UnavailableError, from_failure

_LOOPBACK = "127.0.0.1:0"


def _settings(values: Mapping[str, Any]) -> dict[str, str]:
    """Settings as the library reads them: names to text."""

    def text(value: Any) -> str:
        if isinstance(value, bool):
            return "true" if value else "false"
        return os.fspath(value) if isinstance(value, os.PathLike) else str(value)

    return {key: text(value) for key, value in values.items() if value is not None}


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
    ``settings={"session.tick_ms": 500}``.

    A context manager: leaving the block stops it. Raises ``InvalidError`` for
    a taken port or a directory in use, ``CorruptError`` for a damaged one.

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
        named = {"data_dir": data_dir, "zk_addr": zk, "http_addr": http, "dns_addr": dns}
        try:
            self._native = _native.NativeServer(_settings({**(settings or {}), **named}), timeout)
        except _native.Failure as failure:
            raise from_failure(failure) from None
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
        return ServerStatus(*self._native.status())

    def check(self) -> None:
        """Raises ``UnavailableError`` if it does not serve all its clients now,
        and ``InternalError`` if it never will again."""
        state, reason = self._native.status()
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
        try:
            return self._native.wait_failed(timeout)
        except _native.Failure as failure:
            raise from_failure(failure) from None

    def stop(self) -> None:
        """Stops it: ports closed, data flushed, threads joined. Twice is fine."""
        self._native.stop()

    close = stop

    def __enter__(self) -> Server:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
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
        try:
            self._native = _native.NativeCluster(size, _settings(settings or {}), timeout)
        except _native.Failure as failure:
            raise from_failure(failure) from None
        self.members = [Member(addresses) for addresses in self._native.addresses()]
        close_at_exit(self)

    @property
    def zk(self) -> str:
        """All members' ZooKeeper addresses, as a client takes them."""
        return ",".join(member.zk for member in self.members if member.zk)

    @property
    def leader(self) -> int | None:
        """The position of the member that leads, if one does."""
        return self._native.leader()

    def stop_member(self, position: int) -> None:
        """Stops one member, by its position in ``members``."""
        try:
            self._native.stop_member(position)
        except _native.Failure as failure:
            raise from_failure(failure) from None

    def stop(self) -> None:
        """Stops all of them. Twice is fine."""
        self._native.stop()

    close = stop

    def __enter__(self) -> Cluster:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.stop()
