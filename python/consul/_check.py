"""Definitions of health checks."""

from __future__ import annotations

from typing import Any, Mapping, Sequence


def _without_none(**fields: Any) -> dict[str, Any]:
    return {name: value for name, value in fields.items() if value is not None}


class Check:
    """Creates the definitions that ``register`` takes as ``check``. Durations are
    strings such as ``"10s"``."""

    @classmethod
    def script(
        cls, args: Sequence[str], interval: str, deregister: str | None = None
    ) -> dict[str, Any]:
        """Runs ``args``: exit 0 passes, 1 warns, anything else is critical."""
        return _without_none(
            args=list(args), interval=interval, DeregisterCriticalServiceAfter=deregister
        )

    @classmethod
    def http(
        cls,
        url: str,
        interval: str,
        timeout: str | None = None,
        deregister: str | None = None,
        header: Mapping[str, Sequence[str]] | None = None,
        tls_skip_verify: bool | None = None,
    ) -> dict[str, Any]:
        """Requests ``url``: 2xx passes, 429 warns, anything else is critical."""
        return _without_none(
            http=url,
            interval=interval,
            timeout=timeout,
            DeregisterCriticalServiceAfter=deregister,
            header=header,
            TLSSkipVerify=tls_skip_verify,
        )

    @classmethod
    def tcp(
        cls,
        host: str,
        port: int,
        interval: str,
        timeout: str | None = None,
        deregister: str | None = None,
    ) -> dict[str, Any]:
        """Connects to ``host:port``: a connection passes."""
        return _without_none(
            tcp=f"{host}:{port}",
            interval=interval,
            timeout=timeout,
            DeregisterCriticalServiceAfter=deregister,
        )

    @classmethod
    def grpc(
        cls,
        url: str,
        interval: str,
        use_tls: bool | None = None,
        tls_skip_verify: bool | None = None,
        timeout: str | None = None,
        deregister: str | None = None,
    ) -> dict[str, Any]:
        """Calls a gRPC health service."""
        return _without_none(
            grpc=url,
            interval=interval,
            grpc_use_tls=use_tls,
            tls_skip_verify=tls_skip_verify,
            timeout=timeout,
            DeregisterCriticalServiceAfter=deregister,
        )

    @classmethod
    def ttl(cls, ttl: str) -> dict[str, Any]:
        """Critical unless ``ttl_pass`` is called at least this often."""
        return {"ttl": ttl}

    @classmethod
    def docker(
        cls,
        container_id: str,
        shell: str,
        script: str,
        interval: str,
        deregister: str | None = None,
    ) -> dict[str, Any]:
        """Runs ``script`` inside a container."""
        return _without_none(
            docker_container_id=container_id,
            shell=shell,
            script=script,
            interval=interval,
            DeregisterCriticalServiceAfter=deregister,
        )
