"""Sessions, status and events."""

from __future__ import annotations

from typing import Any, Sequence, Union

from ._arguments import below, payload, require, text, texts
from ._transport import Param, Transport, decode_value

Json = dict[str, Any]
Index = Union[str, int, None]


class Session:
    """Sessions, which hold locks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def create(
        self,
        name: str | None = None,
        node: str | None = None,
        checks: Sequence[str] | None = None,
        lock_delay: int = 15,
        behavior: str = "release",
        ttl: int | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> str:
        """Creates a session and returns its id. ``lock_delay`` and ``ttl`` are
        seconds (ttl 10 to 86400); ``behavior`` is applied to its keys when it ends:
        ``release`` or ``delete``."""
        require(behavior in ("release", "delete"), "behavior must be release or delete")
        data: Json = {}
        if name:
            data["name"] = text(name, "name")
        if node:
            data["node"] = text(node, "node")
        if checks is not None:
            data["checks"] = texts(checks, "checks")
        if lock_delay != 15:
            data["lockdelay"] = f"{lock_delay}s"
        if behavior != "release":
            data["behavior"] = behavior
        if ttl:
            require(10 <= ttl <= 86400, "ttl must be between 10 and 86400")
            data["ttl"] = f"{ttl}s"
        params = self._transport.dc_params(dc)
        response = self._transport.put("/v1/session/create", params, data or None, token)
        return response.require().json()["ID"]

    def destroy(self, session_id: str, dc: str | None = None, token: str | None = None) -> bool:
        """Ends a session; also ``True`` if it does not exist."""
        path = below("/v1/session/destroy", session_id, "session_id")
        params = self._transport.dc_params(dc)
        return bool(self._transport.put(path, params, None, token).require().json())

    def renew(self, session_id: str, dc: str | None = None, token: str | None = None) -> Json:
        """Restarts the TTL of a session. Raises ``NotFound`` if it does not exist."""
        path = below("/v1/session/renew", session_id, "session_id")
        params = self._transport.dc_params(dc)
        return self._transport.put(path, params, None, token).require().json()[0]

    def info(
        self,
        session_id: str,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> tuple[str, Json | None]:
        """One session; ``None`` if it does not exist."""
        path = below("/v1/session/info", session_id, "session_id")
        first = lambda body: body[0] if body else None  # noqa: E731
        return self._transport.read(path, [], index, wait, consistency, dc, token, first)

    def list(
        self,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> tuple[str, Any]:
        """All sessions."""
        return self._transport.read("/v1/session/list", [], index, wait, consistency, dc, token)

    def node(
        self,
        node: str,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> tuple[str, Any]:
        """All sessions of one node."""
        path = below("/v1/session/node", node, "node")
        return self._transport.read(path, [], index, wait, consistency, dc, token)


class Status:
    """The servers."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def leader(self) -> str:
        """The leader's address, or an empty string."""
        return self._transport.get("/v1/status/leader").require().json()

    def peers(self) -> Any:
        """All servers' addresses."""
        return self._transport.get("/v1/status/peers").require().json()


class Event:
    """User events."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def fire(
        self,
        name: str,
        body: str | bytes = "",
        node: str | None = None,
        service: str | None = None,
        tag: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> Json:
        """Fires an event; ``node``, ``service`` and ``tag`` are regular expressions."""
        path = below("/v1/event/fire", name, "name")
        require(not name.startswith("/"), "keys should not start with a forward slash")
        filters = (("node", node), ("service", service), ("tag", tag))
        params: list[Param] = [(field, value) for field, value in filters if value is not None]
        params += self._transport.dc_params(dc)
        return self._transport.put(path, params, payload(body, "body"), token).require().json()

    def list(
        self,
        name: str | None = None,
        index: Index = None,
        wait: str | None = None,
    ) -> tuple[str, Any]:
        """Events the agent has seen, payloads as bytes."""
        params: list[Param] = [("name", name)] if name else []
        decode = lambda body: [decode_value(event, "Payload") for event in body]  # noqa: E731
        return self._transport.read(
            "/v1/event/list", params, index, wait, None, None, None, decode
        )
