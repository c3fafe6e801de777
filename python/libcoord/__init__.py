"""libcoord: ZooKeeper and Consul in one library, inside your process.

>>> import libcoord
>>> with libcoord.Server() as server:
...     print(server.zk, server.http)          # doctest: +SKIP
127.0.0.1:40123 127.0.0.1:40124

``Server`` is one member, ``Cluster`` several. Any ZooKeeper or Consul client can
connect to them; ``zk.ZK`` and ``consul.Consul`` come with libcoord.
"""

from __future__ import annotations

from ._server import Cluster, Server, ServerStatus
from .errors import (
    CallTimeoutError,
    ClosedError,
    CoordError,
    CorruptError,
    ForkedError,
    IndeterminateError,
    InternalError,
    InvalidError,
    NotLeaderError,
    UnavailableError,
)

__all__ = [
    "CallTimeoutError",
    "ClosedError",
    "Cluster",
    "CoordError",
    "CorruptError",
    "ForkedError",
    "IndeterminateError",
    "InternalError",
    "InvalidError",
    "NotLeaderError",
    "Server",
    "ServerStatus",
    "UnavailableError",
]
