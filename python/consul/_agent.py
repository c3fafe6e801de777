"""The agent: this member's own services and checks."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Sequence

from libcoord import _native

from ._arguments import below, optional_text, require, text, texts
from ._check import Check
from ._coord import Dependency, dependencies
from ._transport import Param, Response, Transport
from .exceptions import translate

Json = dict[str, Any]


def _ok(response: Response) -> bool:
    response.require()
    return True


class Agent:
    """The agent; its parts are ``service`` and ``check``."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport
        self.service = Service(transport)
        self.check = AgentCheck(transport)

    def self(self) -> Json:
        """The agent's configuration and state."""
        return self._transport.get("/v1/agent/self").require().json()

    def services(self, filter_expr: str | None = None, token: str | None = None) -> Json:
        """The agent's services, by id."""
        params: list[Param] = [("filter", filter_expr)] if filter_expr else []
        return self._transport.get("/v1/agent/services", params, token).require().json()

    def service_definition(self, service_id: str) -> Json | None:
        """One of the agent's services; ``None`` if there is none with that id."""
        response = self._transport.get(
            below("/v1/agent/service", service_id, "service_id")
        ).require(404)
        return None if response.status == 404 else response.json()

    def checks(self, filter_expr: str | None = None, token: str | None = None) -> Json:
        """The agent's checks, by id."""
        params: list[Param] = [("filter", filter_expr)] if filter_expr else []
        return self._transport.get("/v1/agent/checks", params, token).require().json()

    def members(self, wan: bool = False) -> list[Json]:
        """The members that the agent knows."""
        params: list[Param] = [("wan", "1")] if wan else []
        return self._transport.get("/v1/agent/members", params).require().json()

    def maintenance(self, enable: bool, reason: str | None = None, token: str | None = None) -> bool:
        """Enables or disables maintenance mode of the node."""
        params: list[Param] = [("enable", "true" if enable else "false")]
        if reason:
            params.append(("reason", reason))
        return _ok(self._transport.put("/v1/agent/maintenance", params, None, token))

    def join(self, address: str, wan: bool = False, token: str | None = None) -> bool:
        """Makes the agent join another."""
        params: list[Param] = [("wan", "1")] if wan else []
        path = below("/v1/agent/join", address, "address")
        return _ok(self._transport.put(path, params, None, token))

    def leave(self, token: str | None = None) -> bool:
        """Makes the agent leave and stop."""
        return _ok(self._transport.put("/v1/agent/leave", (), None, token))

    def reload(self, token: str | None = None) -> bool:
        """Makes the agent reload its configuration."""
        return _ok(self._transport.put("/v1/agent/reload", (), None, token))

    def force_leave(self, node: str, prune: bool = False, token: str | None = None) -> bool:
        """Removes a failed node."""
        params: list[Param] = [("prune", None)] if prune else []
        path = below("/v1/agent/force-leave", node, "node")
        return _ok(self._transport.put(path, params, None, token))


class Service:
    """The agent's services."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(
        self,
        name: str,
        *arguments: Any,
        token: str | None = None,
        replace_existing_checks: bool = False,
        depends_on: Iterable[Dependency] | None = None,
        **named: Any,
    ) -> bool:
        """Registers a service on the agent; registering the same id again
        replaces it.

        Arguments, in py-consul's order, by position or by name: ``service_id,
        address, port, tags, check, token, meta, weights, script, interval, ttl,
        http, timeout, enable_tag_override, extra_checks, replace_existing_checks,
        tagged_addresses, connect, kind, proxy, socket_path, locality``.

        If the first one is passed by position, has the form ``host:port``, and
        neither ``address`` nor ``port`` is given, it is the address of the service
        and the id is its name; otherwise it is the id, as in py-consul.
        ``service_id=`` is always the id.

        ``depends_on``, which py-consul does not have, lists the dependencies of the
        service: names, ``'cache?'`` for an optional one, or objects ``{'Name':
        'db', 'Tag': 'primary'}``. A registration that would close a cycle raises
        ``BadRequest``. See ``coord``.

        >>> consul.agent.service.register('web', '10.0.0.1:80')      # doctest: +SKIP
        >>> consul.agent.service.register('web', service_id='web-2', port=81)  # doctest: +SKIP
        >>> consul.agent.service.register('web', depends_on=['db', 'cache?'])  # doctest: +SKIP
        """
        given = _bind(arguments, named)
        token = token if token is not None else given.pop("token", None)
        replace = replace_existing_checks or bool(given.pop("replace_existing_checks", False))
        positional = optional_text(arguments[0] if arguments else None, "service_id")
        keyword = optional_text(named.get("service_id"), "service_id")
        optional_text(given.get("address"), "address")
        try:
            service_id, address, port = self._transport.native.resolve_registration(
                text(name, "name"), positional, keyword, given.get("address"), given.get("port")
            )
        except _native.Failure as failure:
            raise translate(failure) from None
        given.update(service_id=service_id, address=address, port=port)
        params: list[Param] = [("replace-existing-checks", "true")] if replace else []
        payload = _service_definition(name, given)
        if depends_on is not None:
            payload["dependson"] = dependencies(depends_on)
        _ok(self._transport.put("/v1/agent/service/register", params, payload, token))
        self._transport.native.registered(name, service_id, address, port)
        return True

    def deregister(self, service_id: str, token: str | None = None) -> bool:
        """Deregisters by id; if there is no such id, the only service with that
        name. Returns ``False`` if there is neither. Raises ``ConsulException`` if
        several services have the name."""
        try:
            return self._transport.native.deregister_service(text(service_id, "service_id"), token)
        except _native.Failure as failure:
            raise translate(failure) from None

    def maintenance(
        self,
        service_id: str,
        enable: bool,
        reason: str | None = None,
        token: str | None = None,
    ) -> bool:
        """Enables or disables maintenance mode of a service."""
        params: list[Param] = [("enable", "true" if enable else "false")]
        if reason:
            params.append(("reason", reason))
        path = below("/v1/agent/service/maintenance", service_id, "service_id")
        return _ok(self._transport.put(path, params, None, token))


class AgentCheck:
    """The agent's checks."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(
        self,
        name: str,
        check: Mapping[str, Any] | None = None,
        check_id: str | None = None,
        notes: str | None = None,
        service_id: str | None = None,
        token: str | None = None,
        script: str | None = None,
        interval: str | None = None,
        ttl: str | None = None,
        http: str | None = None,
        timeout: str | None = None,
    ) -> bool:
        """Registers a check of the node, or with ``service_id`` of a service."""
        definition: Json = {"name": text(name, "name")}
        definition.update(_check_of(check, script, interval, ttl, http, timeout) or {})
        named = (("id", check_id), ("notes", notes), ("serviceid", service_id), ("token", token))
        definition.update({field: text(value, field) for field, value in named if value})
        return _ok(self._transport.put("/v1/agent/check/register", (), definition, token))

    def deregister(self, check_id: str, token: str | None = None) -> bool:
        """Deregisters a check."""
        path = below("/v1/agent/check/deregister", check_id, "check_id")
        return _ok(self._transport.put(path, (), None, token))

    def ttl_pass(self, check_id: str, notes: str | None = None, token: str | None = None) -> bool:
        """Marks a TTL check as passing, and restarts its TTL."""
        return self._report("pass", check_id, notes, token)

    def ttl_warn(self, check_id: str, notes: str | None = None, token: str | None = None) -> bool:
        """Marks a TTL check as warning, and restarts its TTL."""
        return self._report("warn", check_id, notes, token)

    def ttl_fail(self, check_id: str, notes: str | None = None, token: str | None = None) -> bool:
        """Marks a TTL check as critical."""
        return self._report("fail", check_id, notes, token)

    def _report(self, verdict: str, check_id: str, notes: str | None, token: str | None) -> bool:
        params: list[Param] = [("note", notes)] if notes else []
        path = below(f"/v1/agent/check/{verdict}", check_id, "check_id")
        return _ok(self._transport.put(path, params, None, token))


#: What follows the name, in py-consul's order.
_ARGUMENTS = (
    "service_id",
    "address",
    "port",
    "tags",
    "check",
    "token",
    "meta",
    "weights",
    "script",
    "interval",
    "ttl",
    "http",
    "timeout",
    "enable_tag_override",
    "extra_checks",
    "replace_existing_checks",
    "tagged_addresses",
    "connect",
    "kind",
    "proxy",
    "socket_path",
    "locality",
)

#: Arguments that are sent as they are, with the names they are sent under.
_SENT = {
    "service_id": "id",
    "address": "address",
    "port": "port",
    "tags": "tags",
    "meta": "meta",
    "weights": "weights",
    "tagged_addresses": "taggedAddresses",
    "connect": "connect",
    "kind": "kind",
    "proxy": "proxy",
    "socket_path": "socketPath",
    "locality": "locality",
}


def _bind(arguments: Sequence[Any], named: Mapping[str, Any]) -> Json:
    """Binds arguments by name, with Python's own errors."""
    if len(arguments) > len(_ARGUMENTS):
        raise TypeError(f"register() takes at most {len(_ARGUMENTS) + 1} arguments")
    given = dict(zip(_ARGUMENTS, arguments))
    for argument, value in named.items():
        if argument not in _ARGUMENTS:
            raise TypeError(f"register() got an unexpected keyword argument {argument!r}")
        if argument in given:
            raise TypeError(f"register() got multiple values for argument {argument!r}")
        given[argument] = value
    return given


def _service_definition(name: str, given: Json) -> Json:
    definition: Json = {"name": name}
    definition["enabletagoverride"] = bool(given.get("enable_tag_override", False))
    for argument, field in _SENT.items():
        value = given.get(argument)
        if value is not None and value != "":
            definition[field] = texts(value, "tags") if argument == "tags" else value
    older = (given.get(each) for each in ("check", "script", "interval", "ttl", "http", "timeout"))
    check = _check_of(*older)
    if check:
        definition["check"] = check
    if given.get("extra_checks"):
        definition["checks"] = [dict(extra) for extra in given["extra_checks"]]
    return definition


def _check_of(
    check: Mapping[str, Any] | None,
    script: str | None,
    interval: str | None,
    ttl: str | None,
    http: str | None,
    timeout: str | None,
) -> Json | None:
    """The check from py-consul's older separate arguments."""
    if check is not None:
        return dict(check)
    if ttl:
        require(not (interval or script or http), "ttl excludes interval, script and http")
        return Check.ttl(ttl)
    if http:
        require(interval and not script, "http needs an interval and excludes script")
        return Check.http(http, interval, timeout)
    if script:
        require(interval, "script needs an interval")
        return Check.script(["/bin/sh", "-c", script], interval)
    return None
