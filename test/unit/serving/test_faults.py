"""Tests of faults of the server itself, which no request should be able to cause."""

from __future__ import annotations

import asyncio
import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, NoReturn

import grpc
import pytest
from server_process import infer_message
from structlog.testing import capture_logs

from tidemill.protocol import open_inference_grpc_pb2_grpc as pb_grpc
from tidemill.serving import grpc_server
from tidemill.serving.access_log import AccessLog
from tidemill.serving.http_app import HttpApp
from tidemill.serving.metrics import ServingMetrics
from tidemill.serving.parts import Parts
from tidemill.serving.tracing import Tracing
from tidemill.settings.serving import ServingSettings

if TYPE_CHECKING:
    from collections.abc import MutableMapping


class Broken:
    """Models that cannot be found because of a fault."""

    def find_served(self, *_: object) -> NoReturn:
        """Raise."""
        raise RuntimeError("no luck")


@pytest.fixture
def parts() -> Parts:
    """Return the parts of a server that fails at every request."""
    service: Any = None
    models: Any = None
    access: Any = SimpleNamespace(models=lambda _: Broken())
    settings = ServingSettings(access_log=False)
    return Parts(
        settings, access, service, models, ServingMetrics(), AccessLog(), Tracing(settings)
    )


def test_http(parts: Parts) -> None:
    """A request gets 500 with problem details, and the log has the reason."""
    sent: list[MutableMapping[str, Any]] = []

    async def send(message: MutableMapping[str, Any]) -> None:
        sent.append(message)

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b'{"inputs": []}'}

    path = "/v2/models/m/infer"
    scope = {"type": "http", "method": "POST", "path": path, "headers": []}
    with capture_logs() as logs:
        asyncio.run(HttpApp(parts)(scope, receive, send))
    assert sent[0]["status"] == 500
    assert json.loads(sent[1]["body"])["title"] == "ServerFault"
    assert (logs[0]["path"], logs[0]["error"]) == (path, "RuntimeError: no luck")


def test_grpc(parts: Parts) -> None:
    """A call gets INTERNAL with problem details, which do not name the reason."""

    async def call() -> grpc.aio.AioRpcError:
        server = grpc_server.server(parts)
        port = server.add_insecure_port("127.0.0.1:0")
        await server.start()
        async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
            with pytest.raises(grpc.aio.AioRpcError) as caught:
                await pb_grpc.GRPCInferenceServiceStub(channel).ModelInfer(infer_message("m", "a"))
        await server.stop(None)
        return caught.value

    with capture_logs() as logs:
        error = asyncio.run(call())
    assert error.code() is grpc.StatusCode.INTERNAL
    assert "no luck" not in str(error)
    assert json.loads(dict(error.trailing_metadata())["tidemill-problem-bin"])["status"] == 500
    assert (logs[0]["call"], logs[0]["error"]) == ("ModelInfer m", "RuntimeError: no luck")
