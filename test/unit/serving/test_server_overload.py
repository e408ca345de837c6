"""Tests of a server under overload: full queues, deadlines, and clients that leave."""

from __future__ import annotations

import json
import select
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING, Any, TypeVar

import grpc
import pytest
import server_process
from pool_processes import wait_until
from server_process import TIMEOUT, infer_message

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from server_process import Response, Server

    # A future of a thread or of gRPC, or a client.
    Call = TypeVar("Call", bound=Any)


class Client:
    """A client over HTTP that does not wait for its answer."""

    def __init__(self, server: Server) -> None:
        """Send a request."""
        self.connection = server.connect()
        self.connection.request("POST", "/gate", json.dumps({"inputs": ["left"]}))

    def done(self) -> bool:
        """Tell whether there is an answer."""
        return bool(select.select([self.connection.sock], [], [], 0)[0])


@pytest.fixture
def server() -> Iterator[Server]:
    """Return a server with one process, which waits for the gate, and room for one input more."""
    settings = {"max_batch_size": 1, "max_queue": 1, "max_items": 1}
    with server_process.running(processes=1, **settings) as one, ThreadPoolExecutor(1) as thread:
        first = thread.submit(one.ask, "gate", "wait first")
        wait_until(lambda: "wait first" in one.seen)
        yield one
        one.open_gate()
        assert first.result(TIMEOUT).json["outputs"] == ["wait first"]


def probe(server: Server) -> Response:
    """Send a request that gives up soon."""
    return server.send("/gate", {"inputs": ["probe"]}, tidemill_timeout="0.05")


def queued(server: Server, send: Callable[[], Call]) -> Call:
    """Send a request whose input waits; send it again if a probe took its place."""
    call = send()
    while probe(server).status != 429:
        if call.done():
            call = send()
    return call


class TestFull:
    """If a model's queue is full, further requests are refused until there is room."""

    def test_refused(self, server: Server) -> None:
        """Both protocols say after which time to try again; another model's queue has room."""
        with ThreadPoolExecutor(2) as threads:
            second = queued(server, partial(threads.submit, server.ask, "gate", "second"))

            response = server.ask("gate", "third")
            assert (response.status, response.json["title"]) == (429, "QueueFull")
            assert int(response.headers["retry-after"]) >= 1
            assert "Try again in" in response.json["hint"]
            assert server.infer("gate", "third").status == 429

            with pytest.raises(grpc.RpcError) as caught:
                server.infer_grpc("gate", "third")
            assert caught.value.code() is grpc.StatusCode.RESOURCE_EXHAUSTED
            metadata = dict(caught.value.trailing_metadata())
            assert int(metadata["grpc-retry-pushback-ms"]) >= 1
            assert json.loads(metadata["tidemill-problem-bin"]) == response.json

            metrics = server.send("/metrics").body.decode()
            assert 'tidemill_queue_length{model="gate",version="1"} 1.0' in metrics

            other = threads.submit(server.ask, "upper", "a")
            server.open_gate()
            assert second.result(TIMEOUT).json["outputs"] == ["second"]
            assert other.result(TIMEOUT).json["outputs"] == ["A"]
            assert server.ask("gate", "fourth").json["outputs"] == ["fourth"]
        assert not {"third", "probe"} & {*server.seen}


class TestDeadline:
    """A request is answered within the time that its client allows."""

    def test_http(self, server: Server) -> None:
        """An input that waits too long gets 504, and is never predicted."""
        tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["late"]}
        for path, inputs in (("/gate", ["late"]), ("/v2/models/gate/infer", [tensor])):
            response = server.send(path, {"inputs": inputs}, tidemill_timeout="0.2")
            assert (response.status, response.json["title"]) == (504, "DeadlineExceeded")
            assert response.json["detail"] == "no answer within 0.2 s"
        server.open_gate()
        assert server.ask("gate", "last").json["outputs"] == ["last"]
        assert server.seen[-2:] == ["wait first", "last"]

    def test_grpc(self, server: Server) -> None:
        """A call's deadline is the server's, too."""
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ModelInfer(infer_message("gate", "late"), timeout=0.5)
        assert caught.value.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        server.open_gate()
        assert server.ask("gate", "last").json["outputs"] == ["last"]
        assert server.seen[-2:] == ["wait first", "last"]

    def test_not_loaded(self) -> None:
        """A model that no process is free to load takes no longer."""
        with server_process.running(processes=1, preload="none") as one:
            with ThreadPoolExecutor(1) as thread:
                first = thread.submit(one.ask, "gate", "wait")
                wait_until(lambda: "wait" in one.seen)
                tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["late"]}
                for _ in range(9):  # more than there are threads for questions
                    response = one.send(
                        "/v2/models/upper/infer", {"inputs": [tensor]}, tidemill_timeout="0.1"
                    )
                    assert (response.status, response.json["title"]) == (504, "DeadlineExceeded")
                one.open_gate()
                assert first.result(TIMEOUT).status == 200
            assert one.infer("upper", "a").status == 200

    @pytest.mark.parametrize("value", ["", "x", "0", "-1", "nan", "1 s"])
    def test_wrong_header(self, server: Server, value: str) -> None:
        """The header is a number of seconds."""
        response = server.send("/gate", {"inputs": ["a"]}, tidemill_timeout=value)
        assert response.status == 400
        assert "tidemill-timeout must be a number of seconds" in response.json["detail"]


class TestLeaves:
    """The inputs of a client that leaves are not predicted if they still wait."""

    def test_http(self, server: Server) -> None:
        """It closes its connection."""
        client = queued(server, partial(Client, server))
        client.connection.close()
        wait_until(lambda: "499" in [line["status"] for line in server.access_log])
        self.check(server)

    def test_grpc(self, server: Server) -> None:
        """It cancels its call."""
        infer = server.stub.ModelInfer.future
        queued(server, partial(infer, infer_message("gate", "left"))).cancel()
        wait_until(lambda: "CANCELLED" in [line["status"] for line in server.access_log])
        self.check(server)

    @staticmethod
    def check(server: Server) -> None:
        """Check that there is room again, and that the input never runs."""
        assert probe(server).status == 504
        server.open_gate()
        assert server.ask("gate", "last").json["outputs"] == ["last"]
        assert server.seen[-2:] == ["wait first", "last"]
        assert not [line for line in server.log if line["level"] in {"error", "critical"}]
