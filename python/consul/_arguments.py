"""Validation of arguments.

A number in a path or a list as a value would be sent in its printed form, so
arguments of the wrong type are refused immediately.
"""

from __future__ import annotations

from typing import Any, Iterable


class WrongType(TypeError, AssertionError):
    """An argument has the wrong type. Also an ``AssertionError``, which is what
    py-consul raises."""


def text(value: Any, name: str) -> str:
    """Text such as a key; the encoding of bytes would be a guess."""
    if isinstance(value, str):
        return value
    raise WrongType(f"{name} must be str, not {type(value).__name__}")


def optional_text(value: Any, name: str) -> str | None:
    """Like :func:`text`, or ``None``."""
    return None if value is None else text(value, name)


def below(prefix: str, value: Any, name: str) -> str:
    """The path of one object below a prefix."""
    return f"{prefix}/{text(value, name)}"


def payload(value: Any, name: str) -> bytes:
    """Bytes unchanged, text as UTF-8, ``None`` as empty."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise WrongType(f"{name} should be None or str or bytes, not {type(value).__name__}")


def integer(value: Any, name: str) -> str:
    """A number for a query, also if it is passed as text."""
    if isinstance(value, (int, str)):
        return str(int(value)) if isinstance(value, bool) else str(value)
    raise WrongType(f"{name} must be int, not {type(value).__name__}")


def texts(values: Iterable[Any], name: str) -> list[str]:
    """A list such as tags. A single string would be read as a list of letters."""
    if isinstance(values, (str, bytes)):
        raise WrongType(f"{name} must be a list of str, not {type(values).__name__}")
    return [text(value, f"each of {name}") for value in values]


def require(holds: object, message: str) -> None:
    """Raises ``AssertionError``, as py-consul does, also under ``python -O``."""
    if not holds:
        raise AssertionError(message)
