"""Read an HTTP request's body and time limit, and notice that its client has left."""

from __future__ import annotations

import asyncio
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, cast

from tidemill.errors import BodyTimedOut, InvalidRequest, RequestTooLarge, UnsupportedMediaType

if TYPE_CHECKING:
    from collections.abc import Iterator

    from starlette.requests import Request
    from starlette.types import Message

    from tidemill.settings.serving import ServingSettings

# curl sends x-www-form-urlencoded by default; V2 requests with binary data are octet-streams.
MEDIA_TYPES = {
    "",
    "application/json",
    "application/octet-stream",
    "application/x-www-form-urlencoded",
}

# A header: how many seconds the client allows.
TIMEOUT = "tidemill-timeout"
# If a body is too long, the server reads and drops the rest for this many seconds.
LINGER_S = 2.0


class ClientLeft(Exception):
    """A client has closed its connection before its request was answered."""


async def read(request: Request, settings: ServingSettings) -> bytes:
    """Return a request's body.

    Raises:
        RequestTooLarge: It is longer than `serving.max_body`.
        UnsupportedMediaType, BodyTimedOut, ClientLeft: See `read_up_to`.

    """
    body = await read_up_to(settings.max_body, request, settings.body_timeout)
    if body is None:
        raise RequestTooLarge("bytes", settings.max_body, "max_body")
    return body


async def read_up_to(limit: int, request: Request, seconds: float) -> bytes | None:
    """Return a request's body; None if it has more bytes than a limit.

    Raises:
        UnsupportedMediaType: The body is not JSON, or it is compressed.
        BodyTimedOut: The client takes longer than some seconds to send it.
        ClientLeft: The client has closed the connection.

    """
    _check_media_type(request)
    message: Message = {"type": "http.request", "more_body": True}
    chunks, size = [], 0
    try:
        async with asyncio.timeout(seconds):
            while message.get("more_body") and size <= limit:
                message = await request.receive()
                chunks.append(message.get("body", b""))
                size += len(chunks[-1])
    except TimeoutError:
        raise BodyTimedOut(seconds) from None
    if message["type"] == "http.disconnect":
        raise ClientLeft
    if size > limit:
        if message.get("more_body"):
            await _discard(request)
        return None
    return b"".join(chunks)


def seconds(request: Request) -> float | None:
    """Return the time that a request's client allows.

    Raises:
        InvalidRequest: The header is not a number of seconds.

    """
    value = request.headers.get(TIMEOUT)
    try:
        allowed = None if value is None else float(value)
    except ValueError:
        allowed = 0.0
    if allowed is not None and not allowed > 0:
        raise InvalidRequest(f"the header {TIMEOUT} must be a number of seconds, such as 2.5")
    return allowed


@contextmanager
def cancelled_if_client_leaves(request: Request) -> Iterator[None]:
    """Cancel what runs in the context if the client closes its connection before it ends.

    Raises:
        ClientLeft: It did.

    """
    task = cast("asyncio.Task[object]", asyncio.current_task())
    # Once the body has been read, the only event left to receive is that the client has gone.
    watcher = asyncio.ensure_future(request.receive())

    def cancel(_: object) -> None:
        task.cancel()

    watcher.add_done_callback(cancel)
    try:
        yield
    except asyncio.CancelledError:
        if watcher.done():
            task.uncancel()
            raise ClientLeft from None
        raise
    finally:
        watcher.remove_done_callback(cancel)
        watcher.cancel()


def _check_media_type(request: Request) -> None:
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type not in MEDIA_TYPES and not media_type.endswith("+json"):
        remedy = "Send JSON with `Content-Type: application/json`."
        raise UnsupportedMediaType(f"the content type {media_type[:60]!r}", remedy)
    encoding = request.headers.get("content-encoding", "identity")
    if encoding != "identity":
        remedy = "Send the body without `Content-Encoding`."
        raise UnsupportedMediaType(f"the content encoding {encoding[:60]!r}", remedy)


async def _discard(request: Request) -> None:
    """Read and drop the rest of a body; many clients read an answer only after sending it all."""
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGER_S):
            while (await request.receive()).get("more_body"):
                pass
