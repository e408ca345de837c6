"""A plugin for pytest that points the tests of KServe's SDK at a running server.

Their tests call KServe's server within their own process. The plugin puts real connections in the
place of these calls, and leaves the tests themselves as they are.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import fastapi.testclient
import grpc
import grpc_testing
import httpx
import pytest
from kserve.errors import InvalidInput

from dev.peers import kserve_differences
from dev.peers.server import addresses

if TYPE_CHECKING:
    from collections.abc import Awaitable

TIMEOUT_S = 60.0


class Server:
    """Stand in for KServe's server, with which tests register models: ours has them already."""

    def __init__(self) -> None:
        """Be its own repository of models."""
        self.model_repository_extension = self

    def register_model(self, model: object) -> None:
        """Register nothing."""

    async def unload(self, name: str) -> None:
        """Unload nothing."""


class Forward(httpx.AsyncBaseTransport):
    """Send requests to our server, whatever host they name."""

    def __init__(self, app: object) -> None:
        """Ignore KServe's application."""

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        """Send a request, over a connection of its own: each test has another event loop."""
        to = httpx.URL(addresses().http)
        request.url = request.url.copy_with(scheme=to.scheme, host=to.host, port=to.port)
        async with httpx.AsyncHTTPTransport() as transport:
            response = await transport.handle_async_request(request)
            await response.aread()
        return response


class Calls:
    """Stand in for gRPC's test server: call ours."""

    def __init__(self, *_: object) -> None:
        """Open a channel."""
        self._channel = grpc.insecure_channel(addresses().grpc)

    def invoke_unary_unary(
        self,
        method_descriptor: Any,  # noqa: ANN401 - protobuf ships no types
        invocation_metadata: object,  # noqa: ARG002 - grpc_testing's
        request: Any,  # noqa: ANN401
        timeout: float,
    ) -> Calls:
        """Call a method; `termination` has its answer."""
        self._method, self._request, self._timeout = method_descriptor, request, timeout
        return self

    def termination(self) -> tuple[Awaitable[Any], None, grpc.StatusCode, str]:
        """Return a response, no metadata, the status and its details.

        Raises:
            InvalidInput: The status is INVALID_ARGUMENT, which KServe's server makes of this error.

        """
        method = self._method
        call = self._channel.unary_unary(
            f"/{method.containing_service.full_name}/{method.name}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=method.output_type._concrete_class.FromString,  # noqa: SLF001
        )
        try:
            response = call(self._request, timeout=self._timeout)
        except grpc.RpcError as error:
            if error.code() == grpc.StatusCode.INVALID_ARGUMENT:
                raise InvalidInput(error.details()) from None
            raise

        async def answer() -> Any:  # noqa: ANN401
            return response

        return answer(), None, grpc.StatusCode.OK, ""


def client(_: object, **options: Any) -> httpx.Client:  # noqa: ANN401 - of httpx
    """Return a client of our server."""
    return httpx.Client(base_url=addresses().http, timeout=TIMEOUT_S, **options)


@pytest.fixture(scope="session")
def server() -> Server:
    """Return what stands in for KServe's server; their repository's conftest.py has another."""
    return Server()


def pytest_configure() -> None:
    """Put our connections in the place of calls within the process, before tests import them."""
    fastapi.testclient.TestClient = client  # type: ignore[assignment,misc,unused-ignore]
    httpx.ASGITransport = Forward  # type: ignore[assignment,misc,unused-ignore]
    grpc_testing.server_from_dictionary = Calls


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark tests that cannot apply, and those whose difference is known."""
    for item in items:
        found = kserve_differences.find(item.nodeid.rpartition("/")[2])
        if found is None:
            continue
        kind, reason = found
        if kind == kserve_differences.CANNOT:
            item.add_marker(pytest.mark.skip(reason=reason))
        else:
            # Another exception, such as that of a broken connection, is no such difference.
            raises = (AssertionError, InvalidInput)
            item.add_marker(pytest.mark.xfail(raises=raises, strict=True, reason=reason))
