"""The native half: what ``libcoord``, ``zk`` and ``consul`` are made of. Not
for programs; its names change without notice.

Every call releases the interpreter while it waits and raises
``KeyboardInterrupt`` on Ctrl-C. ``Failure`` is what failed calls raise, of kind
``forked`` in a child of the process that made the object.
"""

from typing import Any, final

_Addresses = list[str | None]
_Stat = tuple[int, int, int, int, int, int, int, int, int, int, int]
_Ace = tuple[int, str, str]
_Mode = tuple[str, bool, int]
_Operation = tuple[str, str, bytes | None, int, list[_Ace] | None, _Mode | None]

#: The error message if a server has no service graph.
NO_GRAPH: str

class Failure(Exception):
    """``args`` is ``(kind, message, detail)``: the kind as in ``libcoord.errors``, or
    ``zookeeper`` or ``unreached`` with ``(code, index)``, or ``http`` with ``(status, body)``."""

    args: tuple[str, str, Any]

def forked() -> None:
    """Must be called in the child process after a fork."""

@final
class NativeLog:
    """The log of members. Levels are 1 for errors to 5 for everything."""

    def __new__(cls, level: int) -> NativeLog: ...
    def set_level(self, level: int) -> None: ...
    def next(self, limit: float) -> tuple[int, str, str, int] | None:
        """Level, target, message, milliseconds since 1970; ``None`` if there is
        none within ``limit``. Fails with ``closed`` at the end."""

    def close(self) -> None: ...

@final
class NativeServer:
    """One member."""

    def __new__(
        cls, settings: dict[str, str], timeout: float, log: NativeLog
    ) -> NativeServer: ...
    def require_here(self) -> None: ...
    def addresses(self) -> _Addresses: ...
    def status(self) -> tuple[str, str]: ...
    def wait_failed(self, timeout: float | None) -> str | None: ...
    def stop(self) -> None: ...

@final
class NativeCluster:
    """Several members."""

    def __new__(
        cls, size: int, settings: dict[str, str], timeout: float, log: NativeLog
    ) -> NativeCluster: ...
    def require_here(self) -> None: ...
    def addresses(self) -> list[_Addresses]: ...
    def leader(self) -> int | None: ...
    def stop_member(self, position: int) -> None: ...
    def stop(self) -> None: ...

@final
class ZkClient:
    """A ZooKeeper client with one thread; times are seconds."""

    def __new__(
        cls,
        hosts: str,
        session_timeout: float,
        request_timeout: float,
        credentials: list[tuple[str, bytes]],
        read_only: bool,
        shuffle: bool,
        options: list[tuple[str, str]],
    ) -> ZkClient: ...
    def require_here(self) -> None: ...
    def wait_connected(self, limit: float) -> None: ...
    def create(
        self,
        path: str,
        data: bytes | None,
        acl: list[_Ace] | None,
        mode: _Mode,
        make_parents: bool,
    ) -> tuple[str, _Stat]: ...
    def ensure_path(self, path: str, acl: list[_Ace] | None) -> None: ...
    def delete(self, path: str, version: int, recursive: bool) -> None: ...
    def exists(self, path: str, token: int | None) -> _Stat | None: ...
    def get(self, path: str, token: int | None) -> tuple[bytes | None, _Stat]: ...
    def set(self, path: str, data: bytes | None, version: int) -> _Stat: ...
    def children(self, path: str, token: int | None) -> tuple[list[str], _Stat]: ...
    def get_acl(self, path: str) -> tuple[list[_Ace], _Stat]: ...
    def set_acl(self, path: str, acl: list[_Ace], version: int) -> _Stat: ...
    def hash(self, path: str, subtree: bool) -> tuple[bytes, int]: ...
    def set_if_hash(self, path: str, data: bytes | None, hash: bytes) -> _Stat: ...
    def delete_if_hash(self, path: str, hash: bytes) -> None: ...
    def sync(self, path: str) -> None: ...
    def add_auth(self, scheme: str, proof: bytes) -> None: ...
    def multi(
        self, operations: list[_Operation]
    ) -> list[tuple[str | None, _Stat | None]]: ...
    def add_watch(self, path: str, recursive: bool, token: int) -> None: ...
    def next_event(self, limit: float) -> tuple[int, int, str, int | None] | None:
        """Token, ZooKeeper's number of the kind (-1 missed events, -2 session lost),
        path, zxid; ``None`` if there is none within ``limit``."""

    def state(self) -> str: ...
    def session(self) -> tuple[int, bytes, float]: ...
    def last_zxid(self) -> int: ...
    def close(self) -> bool: ...

@final
class ConsulClient:
    """A Consul client with one thread."""

    def __new__(
        cls,
        address: str | None,
        token: str | None,
        strict: bool | None,
        https: bool | None,
        options: list[tuple[str, str]],
    ) -> ConsulClient: ...
    def require_here(self) -> None: ...
    @property
    def is_secured(self) -> bool: ...
    def request(
        self,
        method: str,
        path: str,
        params: list[tuple[str, str | None]],
        body: bytes | None,
        token: str | None,
        read_timeout: float | None,
    ) -> tuple[int, list[tuple[str, str]], bytes]: ...
    def resolve_registration(
        self,
        name: str,
        positional_id: str | None,
        keyword_id: str | None,
        address: str | None,
        port: int | None,
    ) -> tuple[str | None, str | None, int | None]:
        """Id, address, port."""

    def registered(
        self, name: str, id: str | None, address: str | None, port: int | None
    ) -> None: ...
    def deregister_service(self, id_or_name: str, token: str | None) -> bool: ...
    def wait_ready(self, name: str, timeout: float | None, token: str | None) -> str | None:
        """Why it is not ready after the timeout; ``None`` once it is ready."""

    def start_order(self, names: list[str] | None, token: str | None) -> list[str]: ...
    def close(self) -> None: ...
