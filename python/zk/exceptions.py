"""Exceptions, one per ZooKeeper code, with kazoo's names."""

from __future__ import annotations

from libcoord import _native
from libcoord.errors import CallTimeoutError, ClosedError, CoordError, from_failure


class ZookeeperError(CoordError):
    """Base class. ``code`` is ZooKeeper's error code."""

    code: int = 0


class RolledBackError(ZookeeperError):
    """In a transaction: rolled back because a later operation failed."""


class SystemZookeeperError(ZookeeperError):
    code = -1


class RuntimeInconsistency(ZookeeperError):
    """In a transaction: not executed because an earlier operation failed."""

    code = -2


class DataInconsistency(ZookeeperError):
    code = -3


class ConnectionLoss(ZookeeperError, ConnectionError):
    """The connection broke; a write may or may not have been applied."""

    code = -4


class MarshallingError(ZookeeperError):
    code = -5


class UnimplementedError(ZookeeperError):
    code = -6


class OperationTimeoutError(ZookeeperError, TimeoutError):
    code = -7


class NotConnectedError(ConnectionLoss, OperationTimeoutError):
    """Not connected, so nothing was sent. The message contains the reason for each
    server that was tried."""


class BadArgumentsError(ZookeeperError, ValueError):
    code = -8


class APIError(ZookeeperError):
    code = -100


class NoNodeError(ZookeeperError):
    code = -101


class NoAuthError(ZookeeperError):
    code = -102


class BadVersionError(ZookeeperError):
    code = -103


class NoChildrenForEphemeralsError(ZookeeperError):
    code = -108


class NodeExistsError(ZookeeperError):
    code = -110


class NotEmptyError(ZookeeperError):
    code = -111


class SessionExpiredError(ZookeeperError):
    code = -112


class InvalidCallbackError(ZookeeperError):
    code = -113


class InvalidACLError(ZookeeperError):
    code = -114


class AuthFailedError(ZookeeperError):
    code = -115


class ConnectionClosedError(ZookeeperError, ClosedError):
    """The client was closed."""

    code = -116


class SessionMovedError(ZookeeperError):
    code = -118


class NotReadOnlyCallError(ZookeeperError):
    code = -119


class EphemeralOnLocalSessionError(ZookeeperError):
    code = -120


class NoWatcherError(ZookeeperError):
    code = -121


class RequestTimeoutError(OperationTimeoutError):
    """No response within ``request_timeout``."""

    code = -122


class ReconfigDisabledError(ZookeeperError):
    code = -123


class SessionClosedRequireSaslError(ZookeeperError):
    code = -124


class QuotaExceededError(ZookeeperError):
    code = -125


class ThrottledOpError(ZookeeperError):
    code = -127


def _all(base: type[ZookeeperError]) -> list[type[ZookeeperError]]:
    return [each for sub in base.__subclasses__() for each in (sub, *_all(sub))]


#: The class for each code.
BY_CODE = {each.code: each for each in _all(ZookeeperError) if "code" in vars(each)}


def translate(failure: _native.Failure) -> Exception:
    """The exception for a failure of the native library."""
    kind, message, detail = failure.args
    if kind == "unreached":
        return NotConnectedError(message)
    if kind == "zookeeper":
        return from_code(detail[0], message)
    error = from_failure(failure)
    if isinstance(error, CallTimeoutError):
        return OperationTimeoutError(message)
    return error


def from_code(code: int, message: str = "") -> ZookeeperError:
    """The exception for a ZooKeeper error code."""
    known = BY_CODE.get(code)
    if known is not None:
        return known(message)
    error = ZookeeperError(message)
    error.code = code
    return error
