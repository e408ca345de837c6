"""Serve models over gRPC: V2, health and reflection."""

from __future__ import annotations

import asyncio
import time
from functools import partial
from typing import TYPE_CHECKING, Any, TypeAlias, TypeVar

import grpc
import msgspec
import structlog
from grpc_health.v1 import health_pb2_grpc
from grpc_reflection.v1alpha import reflection

from tidemill.errors import ServerFault, TidemillError, describe
from tidemill.protocol import open_inference_grpc_pb2 as pb
from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc
from tidemill.serving import health_service, offload, v2_grpc, v2_models, v2_served
from tidemill.serving.parts import MAX_REQUEST
from tidemill.serving.status import MAX_DETAIL, problem, retry_after, status

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from tidemill.serving.catalogue import Catalogue
    from tidemill.serving.parts import Parts

    T = TypeVar("T")

log = structlog.get_logger(__name__)

Context: TypeAlias = Any  # grpc.aio.ServicerContext: gRPC ships no types

SERVICE: str = pb.DESCRIPTOR.services_by_name["GRPCInferenceService"].full_name
# Metadata after an error: the milliseconds until the next try (gRPC's proposal A6), and the problem
# details as JSON.
PUSHBACK, PROBLEM = "grpc-retry-pushback-ms", "tidemill-problem-bin"


def server(parts: Parts) -> grpc.aio.Server:
    """Return a server without a port, which is not started."""
    settings = parts.settings
    options = [
        ("grpc.max_receive_message_length", int(settings.max_body)),
        ("grpc.max_send_message_length", -1),
        ("grpc.max_connection_idle_ms", round(1000 * settings.idle_timeout)),
        ("grpc.so_reuseport", 0),
        # Clients may ask every few seconds whether this machine is still there.
        ("grpc.http2.min_ping_interval_without_data_ms", 5_000),
        ("grpc.keepalive_permit_without_calls", 1),
    ]
    answering = grpc.aio.server(options=options)
    pb_grpc.add_GRPCInferenceServiceServicer_to_server(Inference(parts), answering)
    health_pb2_grpc.add_HealthServicer_to_server(health_service.Health(parts, SERVICE), answering)
    reflection.enable_server_reflection(
        (SERVICE, health_service.NAME, reflection.SERVICE_NAME), answering
    )
    return answering


class Inference(pb_grpc.GRPCInferenceServiceServicer):
    """The methods of V2."""

    def __init__(self, parts: Parts) -> None:
        """Take what answers."""
        self._parts = parts

    async def ModelInfer(  # noqa: N802 - the protocol's name
        self, request: pb.ModelInferRequest, context: Context
    ) -> pb.ModelInferResponse:
        """Answer a request. If its client leaves, this is cancelled."""

        async def answer(catalogue: Catalogue) -> pb.ModelInferResponse:
            target = catalogue.find_served(request.model_name, request.model_version or None)
            is_large = request.ByteSize() >= offload.LARGE_BYTES
            with self._parts.one_more():
                decoded = await offload.call(is_large, v2_grpc.decode, request)
                response = await v2_served.infer(
                    self._parts, target, decoded, context.time_remaining()
                )
            encode = partial(v2_grpc.encode, raw=bool(request.raw_input_contents))
            return await offload.call(response.is_large, encode, response)

        return await self._answer(f"ModelInfer {request.model_name}", context, answer)

    async def ModelMetadata(  # noqa: N802
        self, request: pb.ModelMetadataRequest, context: Context
    ) -> pb.ModelMetadataResponse:
        """Describe a model."""

        async def answer(catalogue: Catalogue) -> pb.ModelMetadataResponse:
            described = await v2_served.metadata(
                self._parts,
                catalogue,
                request.name,
                request.version or None,
                context.time_remaining(),
            )
            return pb.ModelMetadataResponse(**described)

        return await self._answer(f"ModelMetadata {request.name}", context, answer)

    async def ModelReady(  # noqa: N802
        self, request: pb.ModelReadyRequest, context: Context
    ) -> pb.ModelReadyResponse:
        """Tell whether a model is ready."""

        async def answer(catalogue: Catalogue) -> pb.ModelReadyResponse:
            target = catalogue.find_served(request.name, request.version or None)
            problem = await v2_served.readiness_problem(
                self._parts, target, context.time_remaining()
            )
            return pb.ModelReadyResponse(ready=problem is None)

        return await self._answer(f"ModelReady {request.name}", context, answer)

    async def RepositoryIndex(  # noqa: N802
        self, request: pb.RepositoryIndexRequest, context: Context
    ) -> pb.RepositoryIndexResponse:
        """List the models."""

        async def answer(catalogue: Catalogue) -> pb.RepositoryIndexResponse:
            listed = v2_served.index(self._parts, catalogue, only_ready=request.ready)
            return pb.RepositoryIndexResponse(
                models=[pb.RepositoryIndexResponse.ModelIndex(**each) for each in listed]
            )

        return await self._answer("RepositoryIndex", context, answer)

    async def ServerLive(self, *_: object) -> pb.ServerLiveResponse:  # noqa: N802
        """Answer that the server is live."""
        return pb.ServerLiveResponse(live=True)

    async def ServerReady(self, *_: object) -> pb.ServerReadyResponse:  # noqa: N802
        """Tell whether the server takes requests."""
        return pb.ServerReadyResponse(ready=self._parts.readiness_problem() is None)

    async def ServerMetadata(self, *_: object) -> pb.ServerMetadataResponse:  # noqa: N802
        """Describe the server."""
        return pb.ServerMetadataResponse(**v2_models.SERVER)

    async def _answer(
        self, request: str, context: Context, answer: Callable[[Catalogue], Awaitable[T]]
    ) -> T:
        """Return an answer, or end the call with the status of its error; count and log it.

        `answer` takes the models that the client may use.
        """
        start, code, request = time.monotonic(), "OK", request[:MAX_REQUEST]
        headers = dict(context.invocation_metadata() or ())
        try:
            with self._parts.tracing.span(request, headers):
                answered = await answer(self._parts.access.models(headers.get("authorization")))
        except asyncio.CancelledError:
            remaining = context.time_remaining()
            if self._parts.service.is_draining:
                code = "UNAVAILABLE"
            else:
                is_late = remaining is not None and remaining <= 0
                code = "DEADLINE_EXCEEDED" if is_late else "CANCELLED"
            raise
        except Exception as error:
            failure = error if isinstance(error, TidemillError) else ServerFault()
            if failure is not error:
                log.exception("a call failed", call=request, error=describe(error))
            code = status(failure).grpc
            metadata: list[tuple[str, str | bytes]] = [
                (PROBLEM, msgspec.json.encode(problem(failure)))
            ]
            if (seconds := retry_after(failure)) is not None:
                metadata.append((PUSHBACK, str(max(1, round(1000 * seconds)))))
            message = failure.message[:MAX_DETAIL]
            await context.abort(grpc.StatusCode[code], message, tuple(metadata))
            raise  # not reached: `abort` raises
        finally:
            seconds = time.monotonic() - start
            self._parts.note("grpc", request, code, seconds, context.peer())
        return answered
