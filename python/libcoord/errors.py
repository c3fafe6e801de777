"""Exceptions of libcoord: one base, one class per thing to do next."""

from __future__ import annotations

from . import _native


class CoordError(Exception):
    """Base of all. ``str(error)`` says what went wrong and what to do."""


class NotLeaderError(CoordError):
    """This member is not the leader: ask again there."""


class UnavailableError(CoordError, ConnectionError):
    """Nothing was applied; try again later."""


class IndeterminateError(CoordError, ConnectionError):
    """It may or may not have been applied: read again before retrying."""


class ClosedError(CoordError):
    """The object was closed."""


class InvalidError(CoordError, ValueError):
    """The call itself is wrong and will fail again as it is."""


class ForkedError(CoordError):
    """The object was made before the process was forked, and works only in the
    parent: make a new one here."""


class CorruptError(CoordError):
    """Stored or received data is damaged: stop and repair."""


class InternalError(CoordError):
    """A fault of libcoord: please report it."""


class CallTimeoutError(CoordError, TimeoutError):
    """No answer in time."""


_BY_KIND = {
    "not_leader": NotLeaderError,
    "unavailable": UnavailableError,
    "indeterminate": IndeterminateError,
    "closed": ClosedError,
    "forked": ForkedError,
    "invalid": InvalidError,
    "corrupt": CorruptError,
    "internal": InternalError,
    "timeout": CallTimeoutError,
}


def from_failure(failure: _native.Failure) -> CoordError:
    """The exception for what the native half reported."""
    kind, message, _detail = failure.args
    return _BY_KIND.get(kind, CoordError)(message)
