"""Keys and transactions."""

from __future__ import annotations

from typing import Any, Sequence

from ._arguments import below, integer, payload, require, text
from ._transport import Param, Transport, decode_value


class KV:
    """The key-value store."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def get(
        self,
        key: str,
        index: str | int | None = None,
        recurse: bool = False,
        wait: str | None = None,
        token: str | None = None,
        consistency: str | None = None,
        keys: bool = False,
        separator: str | None = None,
        dc: str | None = None,
        connections_timeout: float | None = None,
    ) -> tuple[str, Any]:
        """Returns ``(index, entry)``; the entry is ``None`` if the key does not
        exist, otherwise a dict with ``Value`` as bytes. ``recurse`` returns a list
        of all entries with the prefix, ``keys`` a list of key names. With ``index``
        it waits for a change after that index, at most ``wait`` (such as ``"30s"``;
        default 5 minutes).

        >>> index, entry = consul.kv.get('app/limit')          # doctest: +SKIP
        >>> index, entry = consul.kv.get('app/limit', index=index, wait='30s')  # doctest: +SKIP
        """
        path = _path(key)
        params: list[Param] = []
        if recurse:
            params.append(("recurse", "1"))
        if keys:
            params.append(("keys", "True"))
        if separator:
            params.append(("separator", separator))

        def extract(body: Any) -> Any:
            if keys:
                return body
            entries = [decode_value(entry) for entry in body]
            return entries if recurse else entries[0]

        return self._transport.read(path, params, index, wait, consistency, dc, token, extract)

    def put(
        self,
        key: str,
        value: str | bytes | None,
        cas: int | str | None = None,
        flags: int | None = None,
        acquire: str | None = None,
        release: str | None = None,
        token: str | None = None,
        dc: str | None = None,
        connections_timeout: float | None = None,
    ) -> bool:
        """Sets a key; returns ``False`` if ``cas`` (the expected ModifyIndex, 0 for
        a missing key), ``acquire`` or ``release`` (a session id) did not allow it."""
        path, body = _path(key), payload(value, "value")
        params: list[Param] = []
        for name, number in (("cas", cas), ("flags", flags)):
            if number is not None and number != "":
                params.append((name, integer(number, name)))
        for name, session in (("acquire", acquire), ("release", release)):
            if session is not None and session != "":
                params.append((name, text(session, name)))
        params += self._transport.dc_params(dc)
        return bool(self._transport.put(path, params, body, token).require().json())

    def delete(
        self,
        key: str,
        recurse: bool | None = None,
        cas: int | str | None = None,
        token: str | None = None,
        dc: str | None = None,
        connections_timeout: float | None = None,
    ) -> bool:
        """Deletes a key, or with ``recurse`` every key with the prefix."""
        path = _path(key)
        params: list[Param] = []
        if recurse:
            params.append(("recurse", "1"))
        if cas is not None:
            params.append(("cas", integer(cas, "cas")))
        params += self._transport.dc_params(dc)
        response = self._transport.call("DELETE", path, params, None, token)
        return bool(response.require().json())


class Txn:
    """Atomic transactions."""

    def __init__(self, transport: Transport) -> None:
        self._transport = transport

    def put(self, payload: Sequence[dict[str, Any]]) -> dict[str, Any]:
        """Applies a list of operations in the format of Consul's API (values in
        base64) and returns ``{"Results": …, "Errors": …}``. Raises ``ClientError``
        (409) if one failed; then nothing was applied."""
        return self._transport.put("/v1/txn", (), list(payload)).require().json()


def _path(key: str) -> str:
    path = below("/v1/kv", key, "key")
    require(not key.startswith("/"), "keys should not start with a forward slash")
    return path


__all__ = ["KV", "Txn"]
