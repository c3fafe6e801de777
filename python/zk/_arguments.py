"""Validation of arguments.

Python converts almost anything: ``bytes(5)`` is five NULs, and a list of numbers is
accepted as data. Arguments of the wrong type raise ``TypeError`` immediately, as in
kazoo.
"""

from __future__ import annotations

from typing import Any, Iterable, Optional

from ._types import ACL

Aces = Optional[list[tuple[int, str, str]]]


def data(value: Any, name: str = "value") -> bytes:
    """Bytes unchanged, text as UTF-8."""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise TypeError(f"{name} must be bytes or str, not {_kind(value)}")


def optional_data(value: Any, name: str = "value") -> Optional[bytes]:
    """Like :func:`data`; ``None`` means no data."""
    return None if value is None else data(value, name)


def text(value: Any, name: str) -> str:
    """Text such as a path; the encoding of bytes would be a guess."""
    if isinstance(value, str):
        return value
    raise TypeError(f"{name} must be str, not {_kind(value)}")


def number(value: Any, name: str) -> int:
    """A version, which is a signed 32-bit number."""
    if not isinstance(value, int):
        raise TypeError(f"{name} must be int, not {_kind(value)}")
    if not -(2**31) <= value < 2**31:
        raise OverflowError(f"{name} is {value}, which does not fit into 32 bits")
    return value


def content_hash(value: Any, name: str) -> bytes:
    """A hash as returned by ``get_hash``."""
    if not isinstance(value, bytes):
        raise TypeError(f"{name} must be bytes, as from get_hash, not {_kind(value)}")
    return value


def aces(acl: Optional[Iterable[ACL]]) -> Aces:
    """An ACL as the native client takes it; ``None`` for the default."""
    if acl is None:
        return None
    return [
        (entry.perms, text(entry.id[0], "the scheme of acl"), text(entry.id[1], "the id of acl"))
        for entry in acl
    ]


def _kind(value: Any) -> str:
    return type(value).__name__
