"""What callers hand in, looked at before anything is made of it.

A number in a path or a list as a value would be sent as whatever Python prints
for it. What is not what a call takes is refused where it is handed in.
"""

from __future__ import annotations

from typing import Any, Iterable


class WrongType(TypeError, AssertionError):
    """An argument of a type the call does not take. Also an ``AssertionError``,
    which is what py-consul raises."""


def text(value: Any, name: str) -> str:
    """Such as a key: bytes would have to be guessed at."""
    if isinstance(value, str):
        return value
    raise WrongType(f"{name} must be str, not {type(value).__name__}")


def optional_text(value: Any, name: str) -> str | None:
    """As :func:`text`, where ``None`` is none."""
    return None if value is None else text(value, name)


def below(prefix: str, value: Any, name: str) -> str:
    """The path of one thing, named by the caller."""
    return f"{prefix}/{text(value, name)}"


def payload(value: Any, name: str) -> bytes:
    """Bytes as they are, text as UTF-8, ``None`` as nothing."""
    if value is None:
        return b""
    if isinstance(value, str):
        return value.encode()
    if isinstance(value, bytes):
        return value
    raise WrongType(f"{name} should be None or str or bytes, not {type(value).__name__}")


def integer(value: Any, name: str) -> str:
    """A number for a query, also if it is given as text."""
    if isinstance(value, (int, str)):
        return str(int(value)) if isinstance(value, bool) else str(value)
    raise WrongType(f"{name} must be int, not {type(value).__name__}")


def texts(values: Iterable[Any], name: str) -> list[str]:
    """A list such as tags. One text would be taken for its letters."""
    if isinstance(values, (str, bytes)):
        raise WrongType(f"{name} must be a list of str, not {type(values).__name__}")
    return [text(value, f"each of {name}") for value in values]


def require(holds: object, message: str) -> None:
    """Raises ``AssertionError``, as py-consul does, also under ``python -O``."""
    if not holds:
        raise AssertionError(message)
