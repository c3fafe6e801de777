"""Connects the endpoint classes with the native client."""

from __future__ import annotations

import base64
import json
from typing import Any, Callable, Iterable, Optional, Union

from libcoord import _native

from ._arguments import text
from .exceptions import ConsulException, from_status, translate

#: A query parameter; ``None`` as its value sends the bare name.
Param = tuple[str, Optional[str]]

_READ_TIMEOUT = 30.0


class Response:
    """A complete response."""

    def __init__(self, status: int, headers: list[tuple[str, str]], body: bytes) -> None:
        self.status = status
        self.headers = dict(headers)
        self.body = body

    @property
    def text(self) -> str:
        return self.body.decode("utf-8", "replace")

    def json(self) -> Any:
        return json.loads(self.body)

    @property
    def index(self) -> str:
        """The index to wait on; a blocking-capable read always has one."""
        try:
            return self.headers["x-consul-index"]
        except KeyError:
            raise ConsulException("the response has no X-Consul-Index header") from None

    def require(self, *tolerated: int) -> Response:
        """Returns itself on success or with a tolerated status; otherwise raises."""
        if 200 <= self.status < 300 or self.status in tolerated:
            return self
        raise from_status(self.status, self.text)


class Transport:
    """One native client, with the defaults of one ``Consul`` object."""

    def __init__(self, native: _native.ConsulClient, consistency: str, dc: str | None) -> None:
        self.native = native
        self.consistency = consistency
        self.dc = dc

    def call(
        self,
        method: str,
        path: str,
        params: Iterable[Param] = (),
        body: bytes | None = None,
        token: str | None = None,
        read_timeout: float | None = None,
    ) -> Response:
        try:
            answer = self.native.request(method, path, list(params), body, token, read_timeout)
        except _native.Failure as failure:
            raise translate(failure) from None
        return Response(*answer)

    def get(
        self,
        path: str,
        params: Iterable[Param] = (),
        token: str | None = None,
        read_timeout: float | None = None,
    ) -> Response:
        return self.call("GET", path, params, None, token, read_timeout)

    def put(
        self,
        path: str,
        params: Iterable[Param] = (),
        data: Any = None,
        token: str | None = None,
    ) -> Response:
        return self.call("PUT", path, params, None if data is None else encode(data), token)

    def read_params(
        self,
        index: str | int | None = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
    ) -> list[Param]:
        """The common parameters of blocking reads."""
        params: list[Param] = []
        if index is not None:
            params.append(("index", str(index)))
            if wait is not None:
                params.append(("wait", wait))
        mode = consistency or self.consistency
        if mode in ("consistent", "stale"):
            params.append((mode, "1"))
        return params + self.dc_params(dc)

    def dc_params(self, dc: str | None) -> list[Param]:
        datacenter = dc or self.dc
        return [("dc", datacenter)] if datacenter else []

    def read(
        self,
        path: str,
        params: list[Param],
        index: str | int | None,
        wait: str | None,
        consistency: str | None,
        dc: str | None,
        token: str | None,
        extract: Callable[[Any], Any] = lambda body: body,
    ) -> tuple[str, Any]:
        """Reads with an index: returns ``(index, data)``; data is ``None`` for 404."""
        shared = self.read_params(index, wait, consistency, dc)
        response = self.get(path, shared + params, token, read_timeout(index, wait)).require(404)
        if response.status == 404:
            return response.index, None
        return response.index, extract(response.json())


def encode(data: Any) -> bytes:
    """A request body: bytes unchanged, anything else as JSON."""
    return data if isinstance(data, bytes) else json.dumps(data).encode()


def read_timeout(index: Union[str, int, None], wait: str | None) -> float:
    """Response timeout in seconds: the server may wait 1/16 longer than requested."""
    if index is None:
        return _READ_TIMEOUT
    seconds = _seconds(wait) if wait is not None else 300.0
    return _READ_TIMEOUT + seconds + seconds / 16


def _seconds(duration: str) -> float:
    text(duration, "wait")
    units = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0}
    for unit in ("ms", "s", "m", "h"):
        if duration.endswith(unit):
            try:
                return float(duration[: -len(unit)]) * units[unit]
            except ValueError:
                break
    return 600.0


def decode_value(entry: dict[str, Any], field: str = "Value") -> dict[str, Any]:
    """The entry with its base64 field as bytes."""
    if entry.get(field) is not None:
        entry[field] = base64.b64decode(entry[field])
    return entry


__all__ = ["Param", "Response", "Transport", "decode_value", "encode", "read_timeout"]
