"""Send requests over gRPC, on one channel for each server."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

import grpc

from tidemill.client import v2_texts
from tidemill.client.call import MODEL
from tidemill.client.replies import NOT_TLS, Source, unreadable, untrusted, whole
from tidemill.errors import CannotConnect
from tidemill.protocol import open_inference_grpc_pb2 as pb
from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc

if TYPE_CHECKING:
    from tidemill.client.answer import Answer
    from tidemill.client.call import Call
    from tidemill.client.endpoints import Endpoint
    from tidemill.errors import RequestError

# Metadata after an error: the milliseconds until the next try (gRPC's proposal A6), and the problem
# details as JSON.
PUSHBACK, PROBLEM = "grpc-retry-pushback-ms", "tidemill-problem-bin"
# The HTTP status of an error without problem details.
STATUSES = {
    "INVALID_ARGUMENT": 400,
    "UNAUTHENTICATED": 401,
    "PERMISSION_DENIED": 403,
    "NOT_FOUND": 404,
    "UNIMPLEMENTED": 404,
    "RESOURCE_EXHAUSTED": 429,
    "UNAVAILABLE": 503,
    "DEADLINE_EXCEEDED": 504,
}
# The call or its connection ended without an answer.
BROKEN = {"UNAVAILABLE", "CANCELLED"}
# gRPC's own words.
UNTRUSTED = "CERTIFICATE_VERIFY_FAILED", "Hostname Verification", NOT_TLS
TOO_LARGE = "larger than max"
GRACE_S = 30.0  # for the calls to a server that is no longer listed


class GrpcTransport:
    """A channel to each server, opened at its first request."""

    def __init__(
        self, *, token: str | None, authorities: str | None, connect_timeout: float
    ) -> None:
        """Take what a channel needs; this needs a running event loop."""
        self._metadata = () if token is None else (("authorization", f"Bearer {token}"),)
        self._roots = None if authorities is None else authorities.encode()
        self._options = [
            ("grpc.enable_retries", 0),
            ("grpc.max_send_message_length", -1),
            ("grpc.max_receive_message_length", -1),
            ("grpc.use_local_subchannel_pool", 1),
            # A hung or vanished peer is found after 15 s.
            ("grpc.keepalive_time_ms", 10_000),
            ("grpc.keepalive_timeout_ms", 5_000),
            ("grpc.http2.ping_timeout_ms", 5_000),
            ("grpc.min_reconnect_backoff_ms", round(1000 * connect_timeout)),
            ("grpc.initial_reconnect_backoff_ms", 100),
            ("grpc.max_reconnect_backoff_ms", 1_000),
            ("grpc.enable_http_proxy", 0),
        ]
        self._channels: dict[str, grpc.aio.Channel] = {}
        self._closing: set[asyncio.Task[None]] = set()

    async def send(self, endpoint: Endpoint, call: Call, seconds: float) -> list[Answer]:
        """Return a server's answers to a request that may take some seconds.

        Raises:
            RequestError: There are none.
            TimeoutError: The server does not answer in time, not even that it has none.

        """
        channel = self._channels.get(endpoint.url) or self._open(endpoint)
        stub = pb_grpc.GRPCInferenceServiceStub(channel)
        metadata = (*self._metadata, (MODEL, call.path.lstrip("/")))
        try:
            response = await stub.ModelInfer(_message(call), timeout=seconds, metadata=metadata)
        except grpc.aio.AioRpcError as error:
            if error.code() is grpc.StatusCode.DEADLINE_EXCEEDED and not _problem(error):
                raise TimeoutError from None
            raise _error(endpoint, error) from None
        try:
            return _read(response, len(call.inputs))
        except UnicodeDecodeError as error:
            raise unreadable(error) from None

    def forget(self, endpoint: Endpoint) -> None:
        """Close a server's channel once its calls have ended."""
        if channel := self._channels.pop(endpoint.url, None):
            task = asyncio.ensure_future(channel.close(GRACE_S))
            self._closing.add(task)
            task.add_done_callback(self._closing.discard)

    async def close(self) -> None:
        """Close all channels."""
        channels, self._channels = self._channels, {}
        await asyncio.gather(*(channel.close() for channel in channels.values()))

    def _open(self, endpoint: Endpoint) -> grpc.aio.Channel:
        options: list[tuple[str, int | str]] = [*self._options]
        if endpoint.name != endpoint.host:
            options.append(("grpc.default_authority", f"{endpoint.name}:{endpoint.port}"))
        if endpoint.is_encrypted:
            if endpoint.name != endpoint.host:
                options.append(("grpc.ssl_target_name_override", endpoint.name))
            credentials = grpc.ssl_channel_credentials(self._roots)
            channel = grpc.aio.secure_channel(endpoint.address, credentials, options)
        else:
            channel = grpc.aio.insecure_channel(endpoint.address, options)
        self._channels[endpoint.url] = channel
        return channel


def _message(call: Call) -> pb.ModelInferRequest:
    message = pb.ModelInferRequest(model_name=call.model, model_version=call.version or "")
    tensor = message.inputs.add(name="inputs", datatype="BYTES", shape=[len(call.inputs)])
    tensor.contents.bytes_contents.extend(call.inputs)
    message.parameters[v2_texts.JSON].bool_param = True
    for name, value in call.choice.items():
        message.parameters[name].string_param = value
    return message


def _read(response: pb.ModelInferResponse, count: int) -> list[Answer]:
    columns = {
        tensor.name: [text.decode() for text in tensor.contents.bytes_contents]
        for tensor in response.outputs
    }
    variant = response.parameters["variant"].string_param or None
    one = Source(response.model_name, response.model_version, variant)
    return v2_texts.read(columns, one, count)


def _error(endpoint: Endpoint, error: grpc.aio.AioRpcError) -> RequestError:
    """Return the error of a call."""
    code, details, problem = error.code().name, error.details() or "", _problem(error)
    if not problem and code in BROKEN:
        if any(words in details for words in UNTRUSTED):
            return untrusted(endpoint.url, details)
        return CannotConnect(endpoint.url, details)
    status = 413 if TOO_LARGE in details else STATUSES.get(code, 500)
    return whole(problem, status, details, _pushback(_metadata(error).get(PUSHBACK)))


def _metadata(error: grpc.aio.AioRpcError) -> dict[str, Any]:
    return dict(error.trailing_metadata() or ())


def _problem(error: grpc.aio.AioRpcError) -> bytes:
    problem: bytes = _metadata(error).get(PROBLEM, b"")
    return problem


def _pushback(value: str | None) -> float | None:
    """Return the seconds in metadata; what is no number means no other try (gRPC's A6)."""
    if value is None:
        return None
    try:
        return int(value) / 1000
    except ValueError:
        return -1.0
