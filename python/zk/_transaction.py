"""Atomic transactions."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Iterable, Optional, Union

from libcoord import _native

from . import exceptions
from ._arguments import aces, content_hash, number, optional_data, text
from ._types import ACL, Stat

_Fields = tuple[
    str,
    str,
    Optional[bytes],
    int,
    Optional[list[tuple[int, str, str]]],
    Optional[tuple[str, bool, int]],
]


class Transaction:
    """Collects operations; :meth:`commit` applies them, once. As a context manager
    it commits when the block ends without an exception, unless it was committed
    inside. Afterwards it accepts nothing more (``BadArgumentsError``, a
    ``ValueError``), even if :meth:`commit` raised: a transaction without a reply
    may have been applied, and must not be applied again by accident."""

    def __init__(self, native: _native.ZkClient) -> None:
        self._native = native
        self._operations: list[_Fields] = []
        self._committed = False

    def create(
        self,
        path: str,
        value: Union[bytes, str, None] = b"",
        acl: Optional[Iterable[ACL]] = None,
        ephemeral: bool = False,
        sequence: bool = False,
    ) -> None:
        """Creates a znode; the result is its path."""
        mode = ("ephemeral" if ephemeral else "persistent", bool(sequence), 0)
        self._add("create", path, data=optional_data(value), acl=aces(acl), mode=mode)

    def delete(self, path: str, version: int = -1) -> None:
        """Deletes a znode; the result is ``True``."""
        self._add("delete", path, version)

    def set_data(self, path: str, value: Union[bytes, str, None], version: int = -1) -> None:
        """Sets a znode's data; the result is the stat."""
        self._add("set", path, version, optional_data(value))

    def check(self, path: str, version: int) -> None:
        """Fails the transaction unless the znode has this version; the result is
        ``True``."""
        self._add("check", path, version)

    def check_hash(self, path: str, hash: bytes, recursive: bool = False) -> None:
        """Fails the transaction with ``BadVersionError`` unless the content has
        this hash, from :meth:`zk.ZK.get_hash` with the same ``recursive``; the
        result is ``True``."""
        kind = "check_subtree_hash" if recursive else "check_hash"
        self._add(kind, path, data=content_hash(hash, "hash"))

    def commit(self) -> list[Any]:
        """Applies all operations and returns one result for each. If one fails,
        none is applied, and every result is an exception: the error of the failed
        operation, ``RolledBackError`` before it, ``RuntimeInconsistency`` after it."""
        self._still_open()
        self._committed = True
        try:
            results = self._native.multi(self._operations)
        except _native.Failure as failure:
            return self._failed(failure)
        return [_result(path, stat) for path, stat in results]

    def _failed(self, failure: _native.Failure) -> list[Any]:
        kind, message, detail = failure.args
        if kind != "zookeeper" or detail[1] is None:
            raise exceptions.translate(failure) from None
        code, index = detail
        before = [exceptions.RolledBackError(message) for _ in range(index)]
        behind = len(self._operations) - index - 1
        after = [exceptions.RuntimeInconsistency(message) for _ in range(behind)]
        return [*before, exceptions.from_code(code, message), *after]

    def __enter__(self) -> Transaction:
        return self

    def __exit__(
        self,
        kind: Optional[type[BaseException]],
        error: Optional[BaseException],
        trace: Optional[TracebackType],
    ) -> None:
        if kind is None and not self._committed:
            self.commit()

    def _add(
        self,
        kind: str,
        path: str,
        version: int = -1,
        data: Optional[bytes] = None,
        acl: Optional[list[tuple[int, str, str]]] = None,
        mode: Optional[tuple[str, bool, int]] = None,
    ) -> None:
        self._still_open()
        version = number(version, "version")
        self._operations.append((kind, text(path, "path"), data, version, acl, mode))

    def _still_open(self) -> None:
        if self._committed:
            raise exceptions.BadArgumentsError(
                "this transaction was committed already: begin another one"
            )


def _result(path: Optional[str], stat: Optional[tuple[int, ...]]) -> Any:
    if path is not None:
        return path
    return True if stat is None else Stat(*stat)
