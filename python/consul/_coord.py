"""The service graph, which libcoord has and the original Consul does not."""

from __future__ import annotations

from typing import Any, Iterable, Mapping, Optional, Union

from libcoord import _native

from ._arguments import WrongType, below, text, texts
from ._transport import Param, Response, Transport, read_timeout
from .exceptions import ConsulException, NotFound, Timeout, translate

Json = dict[str, Any]
Index = Union[str, int, None]
#: A name, ``"cache?"`` for what can be done without, or an object with
#: ``Name``, ``Optional`` and ``Tag``.
Dependency = Union[str, Mapping[str, Any]]

_PATH = "/v1/coord/graph"


class Graph(Json):
    """The response of the server, with the ``index`` to wait on."""

    index: str

    def __init__(self, told: Mapping[str, Any], index: str) -> None:
        super().__init__(told)
        self.index = index


class Coord:
    """Dependencies between services, their effective state, and their start order.

    >>> consul.agent.service.register('db', port=5432)               # doctest: +SKIP
    >>> consul.agent.service.register('web', port=80, depends_on=['db', 'cache?'])  # doctest: +SKIP
    >>> consul.coord.start_order()                                   # doctest: +SKIP
    ['db', 'web']
    >>> consul.coord.wait_ready('web', timeout=60)                   # doctest: +SKIP
    True
    """

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def graph(
        self,
        name: str | None = None,
        index: Index = None,
        wait: str | None = None,
        filter_expr: str | None = None,
        consistency: str | None = None,
        token: str | None = None,
    ) -> Optional[Graph]:
        """Returns all services: ``Services`` with the dependencies, the status, the
        effective status and its causes of each; ``Waves`` in which to start them;
        ``Missing``, dependencies that are not registered. With ``name`` only that
        service, with all direct and indirect dependencies (``Needs``) and
        dependents (``NeededBy``); ``None`` if it is neither registered nor a
        dependency.

        The result is a ``dict`` with an attribute ``index``: pass that as ``index``
        to wait for a change, at most ``wait`` (such as ``"30s"``)."""
        params: list[Param] = [("filter", filter_expr)] if filter_expr else []
        response = self._read(name, params, index, wait, consistency, token)
        if response.status == 404:
            return None
        return Graph(response.json(), response.index)

    def draw(
        self,
        format: str = "dot",
        name: str | None = None,
        filter_expr: str | None = None,
        consistency: str | None = None,
        token: str | None = None,
    ) -> str:
        """Returns the graph as text, of all services or around one: ``"dot"`` for
        Graphviz, ``"mermaid"`` for documents and wikis."""
        params: list[Param] = [("format", text(format, "format"))]
        if filter_expr:
            params.append(("filter", filter_expr))
        response = self._read(name, params, None, None, consistency, token)
        if response.status == 404:
            raise NotFound(response.text)
        return response.text

    def wait_ready(self, name: str, timeout: float | None = None, token: str | None = None) -> bool:
        """Waits until all requirements of a service are passing, and returns
        ``True``. Raises ``consul.Timeout``, a ``TimeoutError`` that names those
        that are not, after ``timeout`` seconds; without ``timeout`` it waits
        forever."""
        try:
            waiting = self._transport.native.wait_ready(text(name, "name"), timeout, token)
        except _native.Failure as failure:
            raise translate(failure) from None
        if waiting is not None:
            raise Timeout(waiting)
        return True

    def start_order(self, names: Iterable[str] | None = None, token: str | None = None) -> list[str]:
        """Returns ``names`` sorted so that each comes after all its direct and
        indirect dependencies; without ``names``, all registered services. Names in
        one wave are in alphabetical order."""
        wanted = None if names is None else texts(names, "names")
        try:
            return self._transport.native.start_order(wanted, token)
        except _native.Failure as failure:
            raise translate(failure) from None

    def _read(
        self,
        name: str | None,
        params: list[Param],
        index: Index,
        wait: str | None,
        consistency: str | None,
        token: str | None,
    ) -> Response:
        if name == "":
            raise ConsulException("the service name is missing")
        path = _PATH if name is None else below(_PATH, name, "name")
        shared = self._transport.read_params(index, wait, consistency)
        response = self._transport.get(path, shared + params, token, read_timeout(index, wait))
        about_the_name = name is not None and "x-consul-index" in response.headers
        if response.status == 404 and not about_the_name:
            raise ConsulException(_native.NO_GRAPH)
        return response.require(404)


def dependencies(values: Iterable[Dependency]) -> list[Any]:
    """Dependencies as they are sent. A single string would be read as a list of
    letters."""
    if isinstance(values, (str, bytes, Mapping)):
        raise WrongType(f"depends_on must be a list, not {type(values).__name__}")
    return [_dependency(value) for value in values]


def _dependency(value: Dependency) -> Any:
    if isinstance(value, str):
        return value
    if isinstance(value, Mapping):
        return dict(value)
    raise WrongType(f"each of depends_on must be str or dict, not {type(value).__name__}")


__all__ = ["Coord", "Dependency", "Graph", "dependencies"]
