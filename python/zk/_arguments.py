"""What callers hand in, looked at before anything is made of it.

Python would make something of nearly everything: ``bytes(5)`` is five NULs, and
a list of numbers passes for data. What is not what a call takes is refused with
``TypeError`` where it is handed in, as kazoo refuses it.
"""

from __future__ import annotations

from typing import Any, Iterable, Optional

from ._types import ACL

Aces = Optional[list[tuple[int, str, str]]]


def data(value: Any, name: str = "value") -> bytes:
    """Bytes as they are, text as UTF-8."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{name} must be bytes or str, not {_kind(value)}")


def optional_data(value: Any, name: str = "value") -> Optional[bytes]:
    """As :func:`data`, where ``None`` is no data."""
    return None if value is None else data(value, name)


def text(value: Any, name: str) -> str:
    """Such as a path: bytes would have to be guessed at."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{name} must be str, not {_kind(value)}")


def number(value: Any, name: str) -> int:
    """A version, which travels as 32 bits with a sign."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {_kind(value)}")
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f"{name} is {value}, which does not fit into 32 bits")
    return value


def content_hash(value: Any, name: str) -> bytes:
    """A hash as ``get_hash`` gives it."""
    if not isinstance(value, bytes):
        raise TypeError(f"{name} must be bytes, as from get_hash, not {_kind(value)}")
    return value


def aces(acl: Optional[Iterable[ACL]]) -> Aces:
    """An access list as the native client takes it; ``None`` for the default."""
    if acl is None:
        return None
    return [
        (entry.perms, text(entry.id[0], "the scheme of acl"), text(entry.id[1], "the id of acl"))
        for entry in acl
    ]


def _kind(value: Any) -> str:
    return type(value).__name__
