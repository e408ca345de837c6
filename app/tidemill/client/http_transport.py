"""Send requests over HTTP/1.1, on connections that stay open."""

from __future__ import annotations

import socket
import ssl
from http import HTTPStatus
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import aiohttp
import msgspec

from tidemill.client import v2_texts
from tidemill.client.call import MODEL
from tidemill.client.replies import Source, answers, unreadable, untrusted, whole
from tidemill.errors import CannotConnect

if TYPE_CHECKING:
    from tidemill.client.answer import Answer
    from tidemill.client.call import Call
    from tidemill.client.endpoints import Endpoint

# Shorter than the server's `idle_timeout`, so that no request meets a connection that just closes.
IDLE_S = 30.0
# A peer that is gone is found after about 25 s, also while an answer is awaited.
KEEPALIVE = {
    "TCP_KEEPIDLE": 10,
    "TCP_KEEPINTVL": 5,
    "TCP_KEEPCNT": 3,
    "TCP_USER_TIMEOUT": 25_000,  # also while data is on the way
}


class PlainResponse(msgspec.Struct):
    """The outputs of a plain request, and the model of all, or of each."""

    outputs: list[msgspec.Raw]
    model: str = ""
    version: str = ""
    variant: str | None = None
    models: list[OneModel] | None = None


class OneModel(msgspec.Struct):
    """The model of one output; empty if none was chosen."""

    model: str = ""
    version: str = ""
    variant: str | None = None


class Tensor(msgspec.Struct):
    """A tensor of texts."""

    name: str
    data: list[str]


class V2Response(msgspec.Struct):
    """A V2 response with JSON texts."""

    model_name: str
    model_version: str
    outputs: list[Tensor]
    parameters: dict[str, Any] = {}


_PLAIN = msgspec.json.Decoder(PlainResponse)
_V2 = msgspec.json.Decoder(V2Response)


class HttpTransport:
    """A pool of connections to all servers."""

    def __init__(
        self, *, token: str | None, authorities: str | None, connect_timeout: float
    ) -> None:
        """Open the pool; this needs a running event loop."""
        self._headers = {"Content-Type": "application/json"}
        if token is not None:
            self._headers["Authorization"] = f"Bearer {token}"
        self._session = aiohttp.ClientSession(
            connector=aiohttp.TCPConnector(
                limit=0,
                keepalive_timeout=IDLE_S,
                ssl=ssl.create_default_context(cadata=authorities),
                socket_factory=_socket,
            ),
            timeout=aiohttp.ClientTimeout(total=None, sock_connect=connect_timeout),
            auto_decompress=False,
            cookie_jar=aiohttp.DummyCookieJar(),
        )

    async def send(self, endpoint: Endpoint, call: Call, seconds: float) -> list[Answer]:
        """Return a server's answers to a request that may take some seconds.

        Raises:
            RequestError: There are none.

        """
        name = f"[{endpoint.name}]" if ":" in endpoint.name else endpoint.name
        headers = {
            "Host": f"{name}:{endpoint.port}",
            "Tidemill-Timeout": f"{seconds:.3f}",
            MODEL: call.path.lstrip("/"),
        }
        path, body = _v2(call) if call.is_v2 else (call.path, _plain(call))
        try:
            async with self._session.post(
                endpoint.url + path,
                data=BytesIO(body),  # which aiohttp sends piece by piece
                headers=self._headers | headers,
                allow_redirects=False,
                server_hostname=endpoint.name if endpoint.is_encrypted else None,
            ) as response:
                content = await response.read()
        except (aiohttp.ClientSSLError, ssl.SSLError) as error:
            raise untrusted(endpoint.url, error) from None
        except (aiohttp.ClientError, OSError) as error:
            raise CannotConnect(endpoint.url, error or type(error).__name__) from None
        if response.status != HTTPStatus.OK:
            wait = _seconds(response.headers.get("Retry-After"))
            raise whole(content, response.status, retry_after=wait)
        try:
            return (_read_v2 if call.is_v2 else _read_plain)(content, len(call.inputs))
        except (msgspec.MsgspecError, UnicodeDecodeError) as error:
            raise unreadable(error) from None

    def forget(self, endpoint: Endpoint) -> None:
        """Do nothing: connections that are not used close soon."""

    async def close(self) -> None:
        """Close all connections."""
        await self._session.close()


def _plain(call: Call) -> bytes:
    fields = msgspec.json.encode({"errors": "each"} | call.choice)
    return b'{"inputs":[' + b",".join(call.inputs) + b"]," + fields[1:]


def _v2(call: Call) -> tuple[str, bytes]:
    tensor = {
        "name": "inputs",
        "datatype": "BYTES",
        "shape": [len(call.inputs)],
        "data": [text.decode() for text in call.inputs],
    }
    body = {"parameters": {v2_texts.JSON: True} | call.choice, "inputs": [tensor]}
    version = f"/versions/{quote(call.version, safe='')}" if call.version is not None else ""
    return f"/v2/models{call.path}{version}/infer", msgspec.json.encode(body)


def _read_plain(content: bytes, count: int) -> list[Answer]:
    response = _PLAIN.decode(content)
    texts = [bytes(each).decode() for each in response.outputs]
    one = Source(response.model, response.version, response.variant)
    each = response.models
    sources = [Source(m.model, m.version, m.variant) for m in each] if each else [one] * len(texts)
    return answers(texts, sources, count)


def _read_v2(content: bytes, count: int) -> list[Answer]:
    response = _V2.decode(content)
    variant = response.parameters.get("variant")
    one = Source(response.model_name, response.model_version, variant)
    return v2_texts.read({each.name: each.data for each in response.outputs}, one, count)


def _seconds(header: str | None) -> float | None:
    """Return a header's seconds; a date counts as none."""
    return float(header) if header is not None and header.isdecimal() else None


def _socket(address: Any) -> socket.socket:  # noqa: ANN401 - as getaddrinfo returns it
    """Return a socket that finds out whether its peer is still there."""
    family, kind, protocol, *_ = address
    made = socket.socket(family, kind, protocol)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_KEEPALIVE, 1)
    for option, value in KEEPALIVE.items():
        if (number := getattr(socket, option, None)) is not None:
            made.setsockopt(socket.IPPROTO_TCP, number, value)
    return made
