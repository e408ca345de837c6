"""Tests of a server's limits: what is too long, too slow, too many or malformed."""

from __future__ import annotations

import json
import socket
import struct
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, contextmanager, suppress
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import server_process
from hypothesis import given, settings
from hypothesis import strategies as st
from pool_processes import wait_until
from server_process import TIMEOUT, infer_message

from tidemill.protocol import open_inference_grpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Iterator

    from server_process import Server

MAX_BODY = 100_000
HEAD = b"POST /upper HTTP/1.1\r\nHost: x\r\n"
BODY = b'{"inputs": ["a"]}'
VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=5),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=3), each),
    max_leaves=5,
)
TENSORS = st.lists(
    st.fixed_dictionaries(
        {
            "name": st.sampled_from(["x", "y"]),
            "datatype": st.sampled_from(["INT64", "INT8", "FP64", "BYTES", "BOOL", "X"]),
            "shape": st.lists(st.integers(-1, 2), max_size=2),
            "data": st.lists(VALUES, max_size=3),
        },
        optional={"parameters": st.fixed_dictionaries({"binary_data_size": st.integers(-1, 3)})},
    ),
    max_size=2,
)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """Return a server with low limits."""
    with server_process.running(max_body=MAX_BODY, max_items=100) as one:
        yield one


@pytest.fixture(scope="module")
def hasty() -> Iterator[Server]:
    """Return a server that waits for no client: only for tests of clients that it gives up."""
    limits = {"header_timeout": 1, "body_timeout": 1, "idle_timeout": 2}
    with server_process.running(processes=1, **limits) as one:
        yield one


@contextmanager
def connected(server: Server) -> Iterator[socket.socket]:
    """Open a connection."""
    with socket.create_connection(("127.0.0.1", server.port), TIMEOUT) as client:
        yield client


def exchange(server: Server, *parts: bytes) -> tuple[int, bytes]:
    """Send parts of a request; return the status and everything until the server closes."""
    with connected(server) as client:
        for part in parts:
            with suppress(ConnectionError):  # the server may have answered already
                client.sendall(part)
        answer = receive(client)
    return int(answer.split()[1]) if answer else 0, answer


def receive(client: socket.socket) -> bytes:
    """Return what a server sends until it closes the connection."""
    content = b""
    with suppress(ConnectionError):
        while chunk := client.recv(65536):
            content += chunk
    return content


def chunked(*chunks: bytes) -> bytes:
    """Return a chunked body."""
    return b"".join(b"%x\r\n%s\r\n" % (len(each), each) for each in (*chunks, b""))


class TestLong:
    """A body or a message that is too long is refused."""

    def test_content_length(self, server: Server) -> None:
        """A body of just the limit is taken, and one byte more is not."""
        fits = BODY.ljust(MAX_BODY)
        assert server.send("/upper", fits).json["outputs"] == ["A"]
        for path in ("/upper", "/v2/models/upper/infer"):
            response = server.send(path, fits + b" ")
            assert (response.status, response.json["title"]) == (413, "RequestTooLarge")
            assert response.json["detail"] == f"the request has more than {MAX_BODY} bytes"
            assert response.headers["connection"] == "close"

    def test_chunked(self, server: Server) -> None:
        """Chunks are counted while they arrive."""
        close = HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
        status, answer = exchange(server, close, chunked(BODY[:5], BODY[5:]))
        assert (status, b'"A"' in answer) == (200, True)
        part = b" " * 10_000
        status, answer = exchange(server, close, *[b"2710\r\n%s\r\n" % part] * 50)
        assert (status, b"RequestTooLarge" in answer) == (413, True)

    def test_hundred_megabytes(self, server: Server) -> None:
        """A very long body is not kept."""
        before = memory(server)
        with connected(server) as client:
            client.sendall(HEAD + b"Content-Length: 100000000\r\n\r\n")
            with suppress(ConnectionError):  # the server may close the connection early
                for _ in range(100):
                    client.sendall(b" " * 1_000_000)
            receive(client)
        assert memory(server) - before < 50 * 2**20
        assert server.ask("upper", "a").status == 200

    def test_grpc(self, server: Server) -> None:
        """A message over the limit is refused, and the connection stays."""
        assert server.infer_grpc("upper", "x" * (MAX_BODY - 200)).outputs
        with pytest.raises(grpc.RpcError) as caught:
            server.infer_grpc("upper", "x" * MAX_BODY)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert server.infer_grpc("upper", "a").outputs

    def test_items(self, server: Server) -> None:
        """A request has at most `max_items` inputs."""
        assert server.ask("upper", *["a"] * 100).status == 200
        for response in (server.ask("upper", *["a"] * 101), server.infer("upper", *["a"] * 101)):
            assert response.status == 413
            assert response.json["detail"] == "the request has more than 100 inputs"
        with pytest.raises(grpc.RpcError) as caught:
            server.infer_grpc("upper", *["a"] * 101)
        assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED

    def test_headers(self, server: Server) -> None:
        """Endless headers are refused, or the connection is closed."""
        status, _ = exchange(server, HEAD, *[b"X-Y: " + b"z" * 60_000 + b"\r\n"] * 20)
        assert status in {0, 400, 431}


def memory(server: Server) -> int:
    """Return how many bytes the server's process takes."""
    with open(f"/proc/{server.process.pid}/statm") as file:  # noqa: PTH123 - no file on a disk
        return int(file.read().split()[1]) * 4096


class TestSlow:
    """A client that is too slow loses its connection."""

    @pytest.mark.parametrize("body", [b"", b"{", b'{"inputs": ["a"]'])
    def test_body(self, hasty: Server, body: bytes) -> None:
        """A body that does not arrive in time gets 408."""
        status, answer = exchange(hasty, HEAD + b"Content-Length: 17\r\n\r\n" + body)
        assert (status, b"BodyTimedOut" in answer) == (408, True)
        assert b"connection: close" in answer.lower()

    def test_trickle(self, hasty: Server) -> None:
        """A body that arrives byte by byte has no more time."""
        with connected(hasty) as client:
            client.sendall(HEAD + b"Content-Length: 100000\r\n\r\n")
            start = time.monotonic()
            with suppress(ConnectionError):
                while time.monotonic() < start + TIMEOUT:
                    client.sendall(b" ")
                    time.sleep(0.05)
            assert time.monotonic() - start < TIMEOUT

    @pytest.mark.parametrize("start", [b"", b"POST", HEAD, HEAD + b"Content-Length: 5\r\n"])
    def test_headers(self, hasty: Server, start: bytes) -> None:
        """A connection is closed if its headers do not arrive in time."""
        assert exchange(hasty, start) == (0, b"")

    def test_second_headers(self, hasty: Server) -> None:
        """So is one whose next headers take too long, after a request that was answered."""
        request = b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n"
        status, answer = exchange(hasty, request, b"GET /healthz")
        assert (status, answer.count(b"HTTP/1.1")) == (200, 1)

    @pytest.mark.parametrize(
        ("request_", "rest"),
        [
            (b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n", b"\r\n"),
            (b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n", b"abc"),
        ],
    )
    def test_after_an_answer(self, hasty: Server, request_: bytes, rest: bytes) -> None:
        """So is one that sends no headers, but an empty line or half a body that nobody reads."""
        with connected(hasty) as client:
            client.sendall(request_)
            assert client.recv(65536).startswith(b"HTTP/1.1")
            client.sendall(rest)
            assert b"HTTP/1.1" not in receive(client)  # at most the rest of the answer

    def test_body_after_an_answer(self, server: Server) -> None:
        """The next request is answered if the last one's body comes after its answer."""
        with connected(server) as client:
            client.sendall(b"POST /none HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n\r\n")
            assert client.recv(65536).startswith(b"HTTP/1.1 404")
            client.sendall(b"abcGET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
            assert b"HTTP/1.1 200" in receive(client)

    def test_idle(self, hasty: Server) -> None:
        """A connection without a further request is closed."""
        status, answer = exchange(hasty, b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n")
        assert (status, answer.count(b"HTTP/1.1")) == (200, 1)

    def test_many(self, hasty: Server) -> None:
        """Hundreds of silent connections hold up nobody, and are closed."""
        with ExitStack() as stack:
            clients = [stack.enter_context(connected(hasty)) for _ in range(300)]
            for client in clients[::2]:
                with suppress(ConnectionError):  # the server may have closed the first ones
                    client.sendall(HEAD)
            assert hasty.ask("upper", "a").json["outputs"] == ["A"]
            assert [receive(client) for client in clients] == [b""] * 300


class TestMany:
    """There are at most `max_requests` requests at a time."""

    def test_refused(self) -> None:
        """Another request gets 503, probes do not, and once one ends there is room again."""
        with server_process.running(max_requests=2) as one, ThreadPoolExecutor(1) as thread:
            over_http = thread.submit(one.ask, "gate", "wait 1")
            over_grpc = one.stub.ModelInfer.future(infer_message("gate", "wait 2"))
            wait_until(lambda: {*one.seen} >= {"wait 1", "wait 2"})
            response = one.ask("upper", "a")
            assert (response.status, response.json["title"]) == (503, "ServerBusy")
            assert response.headers["retry-after"] == "1"
            with pytest.raises(grpc.RpcError) as caught:
                one.infer_grpc("upper", "a")
            assert caught.value.code() is grpc.StatusCode.UNAVAILABLE
            for probe in ("/healthz", "/readyz", "/metrics", "/v2/models/upper/ready"):
                assert one.send(probe).status == 200
            assert one.stub.ModelReady(pb.ModelReadyRequest(name="upper")).ready
            one.open_gate()
            assert over_http.result(TIMEOUT).status == 200
            assert over_grpc.result(TIMEOUT).outputs
            assert one.ask("upper", "a").status == 200
            wait_until(lambda: "503" in [line["status"] for line in one.access_log])


class TestMalformed:
    """Whatever is not a proper request is refused, and the server goes on."""

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b'"a"',
            b"{}",
            b'{"inputs": "a"}',
            b'{"inputs": ["a"]',
            b'{"inputs": ["a"}',
            b'{"inputs": [NaN]}',
            b'{"inputs": [Infinity]}',
            b'{"inputs": ["a"], "more": 1}',
            b'{"inputs": ["a"], "key": 1}',
            b'{"inputs": ["a"]} {}',
            b'{"inputs": ["\xff"]}',
            b'{"inputs": ["\\ud800"]}',
            b'{"inputs": ["a\n"]}',
            '{"inputs": ["a"]}'.encode("utf-16"),
            b'{"inputs": [' + b"[" * 10_000 + b"]" * 10_000 + b"]}",
            b'{"inputs": ' * 9_000,
            b"\0" * 1000,
            b"inputs=a",
        ],
        ids=lambda body: str(body[:24]),
    )
    def test_plain(self, server: Server, body: bytes) -> None:
        """A plain request has a list of inputs."""
        for path in ("/upper", "/sum"):
            response = server.send(path, body)
            assert (response.status, response.json["title"]) == (400, "InvalidRequest")
            assert len(response.body) < 1000

    @pytest.mark.parametrize("depth", [100, 500, 900, 10_000])
    def test_depth(self, server: Server, depth: int) -> None:
        """An input nested too deeply is refused, or its model gets it and fails."""
        nested = b"[" * depth + b"1" + b"]" * depth
        tensor = b'{"name":"x","datatype":"INT8","shape":[1],"data":%s}' % nested
        text = json.dumps(
            {"name": "x", "datatype": "BYTES", "shape": [1], "data": [nested.decode()]}
        )
        for path, body in (
            ("/sum", b'{"inputs": [%s]}' % nested),
            ("/v2/models/sum/infer", b'{"inputs": [%s]}' % text.encode()),
            ("/v2/models/sum/infer", b'{"inputs": [%s]}' % tensor),
        ):
            response = server.send(path, body)
            titles = {"InvalidRequest", "InvalidInput", "PredictionFailed"}
            assert response.json["title"] in titles

    @pytest.mark.parametrize(
        ("headers", "words"),
        [
            ({"content_type": "text/csv"}, "the content type 'text/csv'"),
            ({"content_type": "multipart/form-data; boundary=x"}, "'multipart/form-data'"),
            ({"content_encoding": "gzip"}, "the content encoding 'gzip'"),
        ],
    )
    def test_media_type(self, server: Server, headers: dict[str, str], words: str) -> None:
        """A body in another form gets 415."""
        for path in ("/upper", "/v2/models/upper/infer"):
            response = server.send(path, BODY, **headers)
            assert (response.status, response.json["title"]) == (415, "UnsupportedMediaType")
            assert words in response.json["detail"]

    @pytest.mark.parametrize(
        "media_type", ["Application/JSON; charset=utf-8", "application/vnd.x+json", ""]
    )
    def test_json(self, server: Server, media_type: str) -> None:
        """JSON has several names."""
        assert server.send("/upper", BODY, content_type=media_type).status == 200

    @pytest.mark.parametrize(
        "headers",
        [
            b"Content-Length: 17\r\nContent-Length: 18\r\n",
            b"Content-Length: 17\r\nContent-Length: 17\r\n",
            b"Content-Length: 17\r\nTransfer-Encoding: chunked\r\n",
            b"Content-Length: -1\r\n",
            b"Content-Length: x\r\n",
            b"Content-Length: 99999999999999999999999\r\n",
            b"Transfer-Encoding: gzip\r\n",
            b"No colon\r\n",
            b"X: \0\r\n",
        ],
    )
    def test_headers(self, server: Server, headers: bytes) -> None:
        """Headers that contradict each other are refused: two programs could differ on them."""
        status, _ = exchange(server, HEAD + headers + b"Connection: close\r\n\r\n" + BODY)
        assert status == 400

    def test_repeated_headers(self, server: Server) -> None:
        """Of a header of ours that occurs twice, one counts."""
        twice = b"Tidemill-Timeout: 60\r\nTidemill-Timeout: 50\r\nConnection: close\r\n"
        length = b"Content-Length: %d\r\n\r\n" % len(BODY)
        assert exchange(server, HEAD + twice + length + BODY)[0] == 200

    def test_cut(self, server: Server) -> None:
        """A client that leaves in the middle of its body does no harm."""
        for end in range(0, len(BODY), 4):
            with connected(server) as client:
                client.sendall(HEAD + b"Content-Length: 17\r\n\r\n" + BODY[:end])
                # Closing with RST, as a client does that is killed.
                client.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        assert server.ask("upper", "a").status == 200
        wait_until(lambda: "499" in [line["status"] for line in server.access_log])

    @pytest.mark.parametrize(
        "content",
        [b"\0" * 99, b"\x16\x03\x01\x02\x00\x01\x00", b"GET /\xff HTTP/1.1\r\n\r\n", b"x\r\n"],
    )
    def test_no_http(self, server: Server, content: bytes) -> None:
        """Something that is not HTTP is refused."""
        assert exchange(server, content)[0] == 400

    def test_grpc(self, server: Server) -> None:
        """A call whose tensors do not fit is refused, and one of other bytes too."""
        message = infer_message("upper", "a")
        message.inputs[0].shape[:] = [2]
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ModelInfer(message)
        assert caught.value.code() is grpc.StatusCode.INVALID_ARGUMENT
        assert "1 elements do not fill [2]" in caught.value.details()
        send_bytes = server.channel.unary_unary("/inference.GRPCInferenceService/ModelInfer")
        with pytest.raises(grpc.RpcError) as caught:
            send_bytes(b"\xff\xff\xff")
        assert caught.value.code() in {grpc.StatusCode.INTERNAL, grpc.StatusCode.UNKNOWN}
        assert server.infer_grpc("upper", "a").outputs

    @given(
        st.sampled_from(["/upper", "/sum", "/ab", "/v2/models/sum/infer", "/v2/repository/index"]),
        st.binary(max_size=60)
        | st.dictionaries(st.sampled_from(["inputs", "key", "variant", "id"]), VALUES).map(
            lambda value: json.dumps(value).encode()
        )
        | TENSORS.map(lambda value: json.dumps({"inputs": value}).encode()),
    )
    @settings(max_examples=300)
    def test_any(self, server: Server, path: str, body: bytes) -> None:
        """Any body is answered, or refused with problem details; none is a fault of the server."""
        response = server.send(path, body)
        if response.status != 200:
            assert response.json["title"] in {
                "InvalidInput",
                "InvalidRequest",
                "PredictionFailed",
                "RequestTooLarge",
                "UnknownVariant",
            }

    @given(TENSORS, st.lists(st.binary(max_size=16), max_size=2))
    @settings(max_examples=150)
    def test_any_call(self, server: Server, tensors: list[Any], raw: list[bytes]) -> None:
        """Any message is answered, or refused with problem details."""
        message = pb.ModelInferRequest(model_name="sum", raw_input_contents=raw)
        for each in tensors:
            added = message.inputs.add(
                name=each["name"], datatype=each["datatype"], shape=each["shape"]
            )
            texts = [json.dumps(value).encode() for value in each["data"]]
            added.contents.bytes_contents.extend(texts)
            added.contents.int64_contents.extend(map(len, texts))
        if error := server.stub.ModelInfer.future(message).exception():
            assert "tidemill-problem-bin" in dict(error.trailing_metadata())
            expected = {grpc.StatusCode.INVALID_ARGUMENT, grpc.StatusCode.INTERNAL}
            assert error.code() in expected | {grpc.StatusCode.RESOURCE_EXHAUSTED}

    def test_log(self, server: Server) -> None:
        """None of all this is an error of the server; gRPC itself logs malformed messages."""
        errors = [line for line in server.log if line["level"] in {"error", "critical"}]
        assert not [line for line in errors if not line["logger"].startswith("grpc.")]
