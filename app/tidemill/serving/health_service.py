"""Answer gRPC's health protocol: https://github.com/grpc/grpc/blob/master/doc/health-checking.md."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, TypeAlias

import grpc
from grpc_health.v1 import health_pb2, health_pb2_grpc

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from tidemill.serving.parts import Parts

Context: TypeAlias = Any  # grpc.aio.ServicerContext: gRPC ships no types
NAME: str = health_pb2.DESCRIPTOR.services_by_name["Health"].full_name
WATCH_S = 1.0


class Health(health_pb2_grpc.HealthServicer):  # type: ignore[misc]
    """gRPC's own health protocol: for the server as a whole, and for V2."""

    def __init__(self, parts: Parts, service: str) -> None:
        """Take what knows whether the server is ready, and the name of its service."""
        self._parts = parts
        self._names = {"", service}

    async def Check(  # noqa: N802
        self, request: health_pb2.HealthCheckRequest, context: Context
    ) -> health_pb2.HealthCheckResponse:
        """Return the health now."""
        if request.service not in self._names:
            await context.abort(grpc.StatusCode.NOT_FOUND, "unknown service")
        return self._health()

    async def Watch(  # noqa: N802
        self,
        request: health_pb2.HealthCheckRequest,
        context: Context,  # noqa: ARG002 - gRPC's
    ) -> AsyncIterator[health_pb2.HealthCheckResponse]:
        """Yield the health now, and whenever it changes, until the server stops."""
        if request.service not in self._names:
            unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
            yield health_pb2.HealthCheckResponse(status=unknown)
            return
        last = None
        while True:
            is_draining = self._parts.service.is_draining  # before the last health
            if (health := self._health()) != last:
                yield health
                last = health
            if is_draining:
                return  # the stop waits for all calls
            await asyncio.sleep(WATCH_S)

    def _health(self) -> health_pb2.HealthCheckResponse:
        kinds = health_pb2.HealthCheckResponse
        ready = self._parts.readiness_problem() is None
        return kinds(status=kinds.SERVING if ready else kinds.NOT_SERVING)
