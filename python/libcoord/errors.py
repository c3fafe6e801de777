"""Exceptions of libcoord: a base class, and one class for each kind of reaction."""

from __future__ import annotations

from . import _native


class CoordError(Exception):
    """Base class. ``str(error)`` says what went wrong and what to do."""


class NotLeaderError(CoordError):
    """This member is not the leader: retry there."""


class UnavailableError(CoordError, ConnectionError):
    """Nothing was applied; retry later."""


class IndeterminateError(CoordError, ConnectionError):
    """The call may or may not have taken effect: read again before retrying."""


class ClosedError(CoordError):
    """The object was closed."""


class InvalidError(CoordError, ValueError):
    """The call itself is invalid; it fails again if unchanged."""


class ForkedError(CoordError):
    """The object was created before fork(), and works only in the parent: create a
    new one in this process."""


class CorruptError(CoordError):
    """Stored or received data is damaged: stop and repair."""


class InternalError(CoordError):
    """A bug in libcoord: please report it."""


class CallTimeoutError(CoordError, TimeoutError):
    """No response in time."""


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
    """The exception for a failure of the native library."""
    kind, message, _detail = failure.args
    return _BY_KIND.get(kind, CoordError)(message)
