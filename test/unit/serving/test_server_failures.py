"""Tests of a server whose processes are killed, and of its start and end."""

from __future__ import annotations

import os
import signal
import socket
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from functools import partial
from typing import TYPE_CHECKING

import grpc
import pytest
import server_process
from grpc_health.v1 import health_pb2, health_pb2_grpc
from pool_processes import processes, server_of, wait_until
from server_process import TIMEOUT, infer_message

from tidemill.protocol import open_inference_grpc_pb2 as pb

if TYPE_CHECKING:
    from collections.abc import Callable

    from server_process import Server

KILLS = 5


def under_load(server: Server, disturb: Callable[[], None]) -> None:
    """Send requests over both protocols all the while; each must be answered correctly."""
    stop = threading.Event()

    def ask(number: int) -> int:
        count = 0
        while not stop.is_set():
            text = f"x{number}-{count}"
            if number % 2:
                assert server.ask("upper-cased", text).json["outputs"] == [text.upper()]
            else:
                (tensor,) = server.infer_grpc("upper-cased", text).outputs
                assert [*tensor.contents.bytes_contents] == [f'"{text.upper()}"'.encode()]
            count += 1
        return count

    with ThreadPoolExecutor(4) as threads:
        asking = [threads.submit(ask, number) for number in range(4)]
        try:
            disturb()
            wait_until(lambda: server.ask("upper-cased", "x").status == 200)
        finally:
            stop.set()
        assert all(future.result() for future in asking)


def members(server: Server) -> set[int]:
    """Return the model processes."""
    leader = server_of(server.folder)
    return {pid for pid, parent in processes(server.folder).items() if parent == leader}


def is_gone(server: Server, pid: int) -> bool:
    """Tell whether a process of the pool has ended."""
    return pid not in processes(server.folder)


class TestKills:
    """Whatever is killed, no request fails."""

    def test_model_process(self, server: Server) -> None:
        """A model process that is killed is replaced, and its batch is tried again."""

        def disturb() -> None:
            for _ in range(KILLS):
                wait_until(lambda: len(members(server)) == 2)
                victim = min(members(server))
                os.kill(victim, signal.SIGKILL)
                wait_until(partial(is_gone, server, victim))

        under_load(server, disturb)

    def test_pool(self, server: Server) -> None:
        """If the pool's server is killed, another one starts."""

        def disturb() -> None:
            victim = server_of(server.folder)
            os.kill(victim, signal.SIGKILL)
            wait_until(partial(is_gone, server, victim))

        under_load(server, disturb)

    def test_ends_with_server(self) -> None:
        """If the server is killed, its pool ends."""
        with server_process.running() as one:
            assert processes(one.folder)
            one.process.kill()
            wait_until(lambda: not processes(one.folder))


class TestEnd:
    """SIGTERM ends the server once its requests are answered."""

    @pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
    def test_running(self, number: signal.Signals) -> None:
        """Running requests of both protocols are answered; new ones are refused; exit code 0."""
        with server_process.running() as one, ThreadPoolExecutor(1) as thread:
            over_http = thread.submit(one.ask, "gate", "wait 1")
            over_grpc = one.stub.ModelInfer.future(infer_message("gate", "wait 2"))
            wait_until(lambda: {*one.seen} >= {"wait 1", "wait 2"})
            one.process.send_signal(number)
            wait_until(lambda: any("stopping" in line["event"] for line in one.log))
            wait_until(lambda: not can_connect(one.port))
            one.open_gate()
            assert over_http.result(TIMEOUT).json["outputs"] == ["wait 1"]
            assert over_grpc.result(TIMEOUT).outputs
            assert one.process.wait(TIMEOUT) == 0
            assert not [line for line in one.log if line["level"] == "error"]

    def test_drain_delay(self) -> None:
        """While a proxy may still send requests, they are answered, but the server is not ready."""
        with server_process.running(drain_delay=600) as one:
            one.process.send_signal(signal.SIGTERM)
            wait_until(lambda: one.send("/readyz").status == 503)
            assert one.ask("upper", "a").status == 200
            assert one.infer_grpc("upper", "a").outputs

    def test_too_slow(self) -> None:
        """After the time to drain, requests that still run fail, and the server ends."""
        with server_process.running(drain_timeout=1) as one, ThreadPoolExecutor(1) as thread:
            over_http = thread.submit(one.ask, "gate", "wait 1")
            over_grpc = one.stub.ModelInfer.future(infer_message("gate", "wait 2"))
            wait_until(lambda: {*one.seen} >= {"wait 1", "wait 2"})
            assert one.stop() == 0
            response = over_http.result(TIMEOUT)
            assert (response.status, response.json["title"]) == (503, "ServerStopping")
            assert over_grpc.exception().code() is grpc.StatusCode.UNAVAILABLE
            wait_until(lambda: not processes(one.folder))

    def test_idle_connection(self) -> None:
        """A connection without a request does not delay the end."""
        with server_process.running() as one:
            connection = one.connect()
            connection.request("GET", "/healthz")
            assert connection.getresponse().read()
            assert one.stop() == 0
            connection.close()

    def test_watched_health(self) -> None:
        """A client that watches the health is told, and does not delay the end."""
        kinds = health_pb2.HealthCheckResponse
        with server_process.running(drain_timeout=600) as one:
            watch = health_pb2_grpc.HealthStub(one.channel).Watch(health_pb2.HealthCheckRequest())
            assert next(watch).status == kinds.SERVING
            assert one.stop() == 0
            assert [each.status for each in watch] == [kinds.NOT_SERVING]

    def test_client_leaves(self) -> None:
        """A client that leaves meanwhile is not a failure of the server."""
        with server_process.running() as one, one.connect_and_ask("gate", "wait") as client:
            wait_until(lambda: "wait" in one.seen)
            one.process.send_signal(signal.SIGTERM)
            wait_until(lambda: any("stopping" in line["event"] for line in one.log))
            client.close()
            one.open_gate()
            assert one.process.wait(TIMEOUT) == 0
            (line,) = [line for line in one.access_log if line["request"] == "POST /gate"]
            assert line["status"] == "499"

    def test_client_does_not_read(self) -> None:
        """A client that does not read its answer is cut off when its time is over."""
        texts = ["x" * 90_000] * 100  # more than the system keeps for a connection
        settings = {"idle_timeout": 1, "drain_timeout": 600}
        with server_process.running(**settings) as one, one.connect_and_ask("upper", *texts):
            wait_until(lambda: "200" in [line["status"] for line in one.access_log])
            assert one.stop() == 0

    def test_while_loading(self) -> None:
        """A server that is still loading answers probes, is not ready, and ends at once."""
        models = """
models:
  - {{name: late, version: 1, adapter: "served_models:Loading", sample: a,
      options: {{folder: "{folder}"}}}}
"""
        with server_process.launched(models=models) as one:
            wait_until(lambda: "answering HTTP" in str(one.log), TIMEOUT)
            address = next(line["address"] for line in one.log if "address" in line)
            one.port = int(address.rpartition(":")[2])
            assert one.send("/healthz").status == 200
            assert one.send("/readyz").json == {
                "ready": False,
                "reason": "the models are being loaded",
            }
            assert one.stop() == 0
            wait_until(lambda: not processes(one.folder))

    def test_just_started(self) -> None:
        """A server that has just been started ends at once."""
        with server_process.launched() as one:
            wait_until(lambda: "loading the models" in str(one.log), TIMEOUT)
            assert one.stop() in {0, -signal.SIGTERM}
            wait_until(lambda: not processes(one.folder))


def can_connect(port: int) -> bool:
    """Tell whether something listens on a port."""
    with suppress(OSError), socket.create_connection(("127.0.0.1", port), TIMEOUT):
        return True
    return False


class TestModelDown:
    """A model that is down."""

    def test_first_variant(self) -> None:
        """If the first variant does not load, the others answer, over all doors."""
        models = """
models:
  - name: ab
    version: 1
    sample: a
    match: {{to: ab}}
    variants:
      one: {{weight: 50, version: 1, adapter: "served_models:None"}}
      two: {{weight: 50, version: 2, adapter: "served_models:Upper"}}
"""
        with server_process.running(models=models) as one:
            assert one.ask("ab", "a", variant="two").json["outputs"] == ["A"]
            assert one.infer("ab", "a", parameters={"variant": "two"}).json["outputs"]
            assert one.infer_grpc("ab", "a", variant="two").outputs
            assert one.infer("ab", "a", parameters={"variant": "one"}).status == 503
            assert one.send("/v2/models/ab").json["versions"] == ["1", "2"]
            assert one.send("/v2/models/ab/ready").status == 503

    def test_comes_back(self) -> None:
        """A model that was down is tried again when somebody asks whether it is ready."""
        models = """
models:
  - {{name: late, version: 1, adapter: "served_models:Late", sample: a, match: {{to: late}},
      options: {{folder: "{folder}"}}}}
"""
        with server_process.running(models=models) as one:
            ready = pb.ModelReadyRequest(name="late")
            assert one.send("/v2/models/late/ready").status == 503
            assert not one.stub.ModelReady(ready).ready
            one.open_gate()
            wait_until(lambda: one.send("/v2/models/late/ready").status == 200)
            assert one.stub.ModelReady(ready).ready


class TestStart:
    """A server that cannot start says why, in one line, and exits."""

    @pytest.mark.parametrize("setting", ["http_port", "grpc_port"])
    def test_port_taken(self, setting: str) -> None:
        """A port that another program uses is named, with the setting; the exit code is 2."""
        with ExitStack() as stack:
            taken = stack.enter_context(socket.create_server(("127.0.0.1", 0)))
            port = taken.getsockname()[1]
            one = stack.enter_context(server_process.launched(**{setting: port}))
            assert one.process.wait(TIMEOUT) == 2
            (line,) = [each for each in one.log if each["level"] == "error"]
            assert line["event"] == f"another program listens on 127.0.0.1:{port}"
            assert line["hint"] == f"End it, or set `serving.{setting}` to another port."
            wait_until(lambda: not processes(one.folder))

    @pytest.mark.parametrize("host", ["192.0.2.1", "no.such.host.invalid"])
    def test_host(self, host: str) -> None:
        """A host that is not this machine is a wrong configuration."""
        with server_process.launched(host=host) as one:
            assert one.process.wait(TIMEOUT) == 2
            (line,) = [each for each in one.log if each["level"] == "error"]
            assert line["event"].startswith(f"cannot listen on {host}:0: ")

    def test_no_grpc(self) -> None:
        """Without a port for gRPC there is only HTTP."""
        with server_process.launched(grpc_port=None) as one:
            wait_until(lambda: "'ready'" in str(one.log), TIMEOUT)
            events = [line["event"] for line in one.log]
            assert "answering HTTP" in events
            assert "answering gRPC" not in events
            assert one.stop() == 0

    def test_broken_model(self) -> None:
        """A model that does not work is logged, and has an error; the others are answered."""
        models = """
models:
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, match: {{to: u}}}}
  - {{name: broken, version: 1, adapter: "served_models:Upper", sample: bad, match: {{to: b}}}}
  - {{name: missing, version: 1, adapter: "served_models:None", sample: a, match: {{to: m}}}}
"""
        with server_process.running(models=models) as one:
            assert one.ask("upper", "a").json["outputs"] == ["A"]
            for model in ("broken", "missing"):
                response = one.ask(model, "bad")
                assert (response.status, response.json["status"]) == (503, 503)
                assert model in response.json["detail"]
                assert one.send(f"/v2/models/{model}/ready").status == 503
            assert one.send("/v2/models/upper/ready").json == {"name": "upper", "ready": True}
            errors = [line["event"] for line in one.log if line["level"] == "error"]
            assert len(errors) == 2
            index = one.send("/v2/repository/index", {}).json
            states = {each["name"]: each["state"] for each in index}
            assert states == {"upper": "READY", "broken": "UNAVAILABLE", "missing": "UNAVAILABLE"}
            assert [
                each["name"] for each in one.send("/v2/repository/index", {"ready": True}).json
            ] == ["upper"]
