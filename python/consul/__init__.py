"""A Consul client with py-consul's calls.

>>> from consul import Consul
>>> consul = Consul()                                                 # doctest: +SKIP
>>> consul.agent.service.register('test', '127.0.0.1:8500')           # doctest: +SKIP
>>> index, instances = consul.health.service('test', passing=True)    # doctest: +SKIP

Works with libcoord and with the original Consul.
"""

from __future__ import annotations

import os
from types import TracebackType

from libcoord import _native
from libcoord._closing import close_at_exit, is_forked

from ._agent import Agent
from ._arguments import text
from ._catalog import Catalog, Health
from ._check import Check
from ._coord import Coord, Graph
from ._kv import KV, Txn
from ._session import Event, Session, Status
from ._transport import Transport
from .exceptions import (
    ACLDisabled,
    ACLPermissionDenied,
    BadRequest,
    ClientError,
    ConsulException,
    NotFound,
    Timeout,
    translate,
)


class Consul:
    """A client of one agent.

    ``host`` and ``port``: the agent, 127.0.0.1:8500 if neither is given and
    ``CONSUL_HTTP_ADDR`` is not set. ``token``: sent with every call;
    ``CONSUL_HTTP_TOKEN`` overrides it. ``scheme``: ``http`` or ``https``; default
    from ``CONSUL_HTTP_SSL``. ``verify``: for https, whether to verify the agent's
    certificate, or a file or directory of CAs (PEM) to use instead of the system's;
    default from ``CONSUL_HTTP_SSL_VERIFY``. ``cert``: the client certificate, a
    file that also contains its key, or a pair of files. ``CONSUL_CACERT``,
    ``CONSUL_CAPATH``, ``CONSUL_CLIENT_CERT``, ``CONSUL_CLIENT_KEY`` and
    ``CONSUL_TLS_SERVER_NAME`` are the defaults for them. ``consistency``:
    ``default``, ``consistent`` or ``stale``, the default for reads. ``dc``: the
    default datacenter. ``strict``: make ``agent.service`` behave exactly as in
    py-consul (also ``COORD_STRICT=1``).

    Connects when first used. Thread-safe. A context manager. It works in the
    process that created it: in a forked child its methods raise
    ``libcoord.ForkedError``, and leaving the block does nothing.

    Values are ``bytes``, or ``str``, which is encoded as UTF-8; keys and names are
    ``str``. Anything else raises ``TypeError`` (also an ``AssertionError``).
    """

    def __init__(
        self,
        host: str | None = None,
        port: int | None = None,
        token: str | None = None,
        scheme: str | None = None,
        consistency: str = "default",
        dc: str | None = None,
        verify: bool | str | None = None,
        cert: str | tuple[str, str] | None = None,
        connections_timeout: float | None = None,
        *,
        strict: bool | None = None,
    ) -> None:
        if scheme not in (None, "http", "https"):
            raise ConsulException(f"scheme {scheme!r} is not supported: only http and https are")
        address = _address(host, port)
        https = None if scheme is None else scheme == "https"
        try:
            native = _native.ConsulClient(address, token, strict, https, _options(verify, cert))
        except _native.Failure as failure:
            raise translate(failure) from None
        transport = Transport(native, consistency, dc)
        self.scheme = "https" if native.is_secured else "http"
        self.token, self.dc, self.consistency = token, dc, consistency
        self._native = native
        self.event = Event(transport)
        self.kv = KV(transport)
        self.txn = Txn(transport)
        self.agent = Agent(transport)
        self.catalog = Catalog(transport)
        self.health = Health(transport)
        self.coord = Coord(transport)
        self.session = Session(transport)
        self.status = Status(transport)
        close_at_exit(self)

    def close(self) -> None:
        """Cancels calls in progress and closes all connections. Closing twice is
        allowed."""
        try:
            self._native.close()
        except _native.Failure as failure:
            raise translate(failure) from None

    def __enter__(self) -> Consul:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        if not is_forked(self._native):
            self.close()


def _address(host: str | None, port: int | None) -> str | None:
    """The address from the arguments; ``None`` to use the environment."""
    if host is None and port is None:
        return None
    host = text(host, "host") if host else "127.0.0.1"
    bracketed = f"[{host}]" if ":" in host and not host.startswith("[") else host
    return f"{bracketed}:{port or 8500}"


def _options(
    verify: bool | str | None, cert: str | tuple[str, str] | None
) -> list[tuple[str, str]]:
    """The TLS options, under the names of the native client."""
    options: list[tuple[str, str]] = []
    if isinstance(verify, str):
        options.append(("tls.ca_path" if os.path.isdir(verify) else "tls.ca_file", verify))
    if verify is not None:
        options.append(("tls.verify", "full" if verify else "nothing"))
    if isinstance(cert, str):
        options.append(("tls.cert_file", cert))
    elif cert is not None:
        options += [("tls.cert_file", cert[0]), ("tls.key_file", cert[1])]
    return options


__all__ = [
    "ACLDisabled",
    "ACLPermissionDenied",
    "BadRequest",
    "Check",
    "ClientError",
    "Consul",
    "ConsulException",
    "Graph",
    "NotFound",
    "Timeout",
]
