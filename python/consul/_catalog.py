"""The catalog and its health."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Union

from ._arguments import below, require, text, texts
from ._transport import Param, Transport

Json = dict[str, Any]
Index = Union[str, int, None]
Tags = Union[str, Iterable[str], None]


def _filters(
    node_meta: Mapping[str, str] | None,
    near: str | None = None,
    filter_expr: str | None = None,
    tag: Tags = None,
) -> list[Param]:
    params: list[Param] = []
    if near:
        params.append(("near", near))
    if filter_expr:
        params.append(("filter", filter_expr))
    params += [("tag", each) for each in texts([tag] if isinstance(tag, str) else tag or (), "tag")]
    params += [("node-meta", f"{key}:{value}") for key, value in (node_meta or {}).items()]
    return params


class Catalog:
    """All nodes and services of the cluster. Reads return ``(index, data)``; with
    ``index`` they block, at most ``wait`` (such as ``"30s"``)."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def register(
        self,
        node: str,
        address: str,
        service: Mapping[str, Any] | None = None,
        check: Mapping[str, Any] | None = None,
        dc: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        skip_node_update: bool | None = None,
        tagged_addresses: Mapping[str, str] | None = None,
    ) -> bool:
        """Registers a node, optionally with a service or check, in the catalog."""
        data: Json = {"node": text(node, "node"), "address": text(address, "address")}
        optional = {
            "datacenter": dc or self._transport.dc,
            "service": service,
            "check": check,
            "nodemeta": node_meta,
            "skipnodeupdate": skip_node_update,
            "taggedaddresses": tagged_addresses,
        }
        data.update({field: value for field, value in optional.items() if value})
        return bool(self._transport.put("/v1/catalog/register", (), data, token).require().json())

    def deregister(
        self,
        node: str,
        service_id: str | None = None,
        check_id: str | None = None,
        dc: str | None = None,
        token: str | None = None,
    ) -> bool:
        """Deregisters a service or a check, or without either the whole node."""
        require(not (service_id and check_id), "only one of service_id and check_id")
        data: Json = {"node": text(node, "node")}
        optional = {
            "datacenter": dc or self._transport.dc,
            "serviceid": service_id,
            "checkid": check_id,
        }
        data.update({field: value for field, value in optional.items() if value})
        return bool(self._transport.put("/v1/catalog/deregister", (), data, token).require().json())

    def datacenters(self) -> list[str]:
        """The names of all datacenters."""
        return self._transport.get("/v1/catalog/datacenters").require().json()

    def nodes(
        self,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, list[Json]]:
        """All nodes."""
        params = _filters(node_meta, near, filter_expr)
        return self._transport.read(
            "/v1/catalog/nodes", params, index, wait, consistency, dc, token
        )

    def services(
        self,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, dict[str, list[str]]]:
        """All service names, each with the tags of its instances."""
        params = _filters(node_meta, None, filter_expr)
        return self._transport.read(
            "/v1/catalog/services", params, index, wait, consistency, dc, token
        )

    def node(
        self,
        node: str,
        index: Index = None,
        wait: str | None = None,
        consistency: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, Json | None]:
        """One node and its services; ``None`` if it is unknown."""
        params = _filters(None, None, filter_expr)
        path = below("/v1/catalog/node", node, "node")
        return self._transport.read(path, params, index, wait, consistency, dc, token)

    def service(
        self,
        service: str,
        index: Index = None,
        wait: str | None = None,
        tag: Tags = None,
        consistency: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, list[Json]]:
        """All instances of a service."""
        params = _filters(node_meta, near, filter_expr, tag)
        path = below("/v1/catalog/service", service, "service")
        return self._transport.read(path, params, index, wait, consistency, dc, token)


class Health:
    """Health of nodes and services. Reads return ``(index, data)``; with ``index``
    they block."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def service(
        self,
        service: str,
        index: Index = None,
        wait: str | None = None,
        passing: bool | None = None,
        tag: Tags = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
        consistency: str | None = None,
    ) -> tuple[str, list[Json]]:
        """All instances of a service with their nodes and checks; with
        ``passing`` only those whose checks all pass."""
        params: list[Param] = [("passing", "1")] if passing else []
        params += _filters(node_meta, near, filter_expr, tag)
        path = below("/v1/health/service", service, "service")
        return self._transport.read(path, params, index, wait, consistency, dc, token)

    def checks(
        self,
        service: str,
        index: Index = None,
        wait: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, list[Json]]:
        """The checks of a service's instances."""
        params = _filters(node_meta, near, filter_expr)
        path = below("/v1/health/checks", service, "service")
        return self._transport.read(path, params, index, wait, None, dc, token)

    def state(
        self,
        name: str,
        index: Index = None,
        wait: str | None = None,
        dc: str | None = None,
        near: str | None = None,
        token: str | None = None,
        node_meta: Mapping[str, str] | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, list[Json]]:
        """All checks in a state: any, unknown, passing, warning or critical."""
        require(name in ("any", "unknown", "passing", "warning", "critical"), f"no state {name!r}")
        params = _filters(node_meta, near, filter_expr)
        path = f"/v1/health/state/{name}"
        return self._transport.read(path, params, index, wait, None, dc, token)

    def node(
        self,
        node: str,
        index: Index = None,
        wait: str | None = None,
        dc: str | None = None,
        token: str | None = None,
        filter_expr: str | None = None,
    ) -> tuple[str, list[Json]]:
        """The checks of a node and of its services."""
        params = _filters(None, None, filter_expr)
        return self._transport.read(
            below("/v1/health/node", node, "node"), params, index, wait, None, dc, token
        )
