"""Exceptions, with py-consul's names."""

from __future__ import annotations

from libcoord import _native
from libcoord.errors import CoordError, from_failure


class ConsulException(CoordError):
    """Base class; also any response with status 500 and above."""


class ACLDisabled(ConsulException):
    """401: access control is off."""


class ACLPermissionDenied(ConsulException):
    """403: the token does not allow it."""


class NotFound(ConsulException):
    """404, where the call requires the object."""


class BadRequest(ConsulException):
    """400: the arguments are wrong."""


class ClientError(ConsulException):
    """Any other status from 400 to 499."""


class Timeout(ConsulException, TimeoutError):
    """No response in time."""


def from_status(status: int, body: str) -> ConsulException:
    """The exception for a response that is not a success."""
    by_body = {401: ACLDisabled, 403: ACLPermissionDenied, 404: NotFound}
    if status in by_body:
        return by_body[status](body)
    text = f"{status} {body}"
    if status == 400:
        return BadRequest(text)
    return ClientError(text) if status < 500 else ConsulException(text)


def translate(failure: _native.Failure) -> Exception:
    """The exception for a failure of the native library."""
    kind, message, detail = failure.args
    if kind == "http":
        return from_status(*detail)
    if kind == "timeout":
        return Timeout(message)
    if kind == "invalid":
        return ConsulException(message)
    return from_failure(failure)
