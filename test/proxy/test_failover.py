"""The proxy of `make up-serving` in front of two real servers, which are killed and restarted."""

from __future__ import annotations

import signal
import warnings
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import TYPE_CHECKING

import grpc
import proxied_servers
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from proxied_servers import CLIENTS, NAMES, Pair, load
from server_process import TIMEOUT

if TYPE_CHECKING:
    from collections.abc import Iterator

BOTH = pytest.mark.parametrize("protocol", ["http", "grpc"])


@pytest.fixture(scope="module")
def pair() -> Iterator[Pair]:
    """Return two servers, both of which run before and after each test."""
    with proxied_servers.running() as one:
        yield one


def homes(pair: Pair) -> dict[str, str]:
    """Return the server that gets each model's requests."""
    return {name: pair.taken_by(partial(pair.client.ask, name, "x")) for name in NAMES}


class TestAffinity:
    """Requests for one model go to one server, and different models to both."""

    def test_spread(self, pair: Pair) -> None:
        """Both servers have models."""
        assert set(homes(pair).values()) == {"one", "two"}

    @pytest.mark.parametrize("name", NAMES[:4])
    def test_every_protocol(self, pair: Pair, name: str) -> None:
        """Plain, V2, MLflow's and gRPC's requests for a model go to the same server."""
        client, path = pair.client, f"/v2/models/{name}"
        with pair.grpc_client() as call:
            servers = {
                pair.taken_by(lambda: client.ask(name, "x")),
                pair.taken_by(lambda: client.infer(name, "x")),
                pair.taken_by(lambda: client.send(f"{path}/versions/1/ready")),
                pair.taken_by(lambda: client.send(path)),
                pair.taken_by(lambda: client.send(f"/{name}/invocations", {"inputs": ["x"]})),
                pair.taken_by(lambda: call(name), "grpc"),
            }
        assert len(servers) == 1

    def test_without_metadata(self, pair: Pair) -> None:
        """Both servers answer gRPC calls that do not name their model."""
        with pair.grpc_client() as call:
            servers = [pair.taken_by(lambda: call(""), "grpc") for _ in range(20)]
        assert set(servers) == {"one", "two"}

    def test_metrics(self, pair: Pair) -> None:
        """The servers' metrics are not mixed: the proxy refuses them."""
        assert pair.client.send("/metrics").status == 404


class TestKilled:
    """A server is killed with SIGKILL while clients never pause."""

    @BOTH
    def test_requests(self, pair: Pair, protocol: str) -> None:
        """At most the requests that were being answered fail; the other server answers all else."""
        before = homes(pair)
        with load(pair, protocol) as seen:
            pair.servers["one"].process.kill()
            pair.wait_for("two")
            seen.wait_for_each(1)  # which may be the one that was being answered
            at_once = len(seen.failed)
            seen.wait_for_more(20 * CLIENTS)
        print(f"{protocol}: {len(seen.statuses)} requests, failed: {seen.failed}")  # noqa: T201
        assert len(seen.failed) == at_once <= CLIENTS
        assert set(homes(pair).values()) == {"two"}
        pair.start("one")
        pair.wait_for("one", "two")
        assert homes(pair) == before, "a server that is back gets its models back"


class TestRestarted:
    """Both servers are restarted with SIGTERM, one after the other."""

    @BOTH
    def test_requests(self, pair: Pair, protocol: str) -> None:
        """No request fails."""
        with load(pair, protocol) as seen:
            for name in ("one", "two"):
                assert pair.servers[name].stop() == 0
                pair.start(name)
                pair.wait_for("one", "two")
        print(f"{protocol}: {len(seen.statuses)} requests, failed: {seen.failed}")  # noqa: T201
        assert seen.failed == []


class TestFrozen:
    """A server stops with SIGSTOP: it accepts connections and answers nothing."""

    @BOTH
    def test_requests(self, pair: Pair, protocol: str) -> None:
        """Once the proxy has noticed, the other answers; what waits is answered in the end."""
        frozen = pair.servers["one"].process
        name = next(name for name, server in homes(pair).items() if server == "one")
        with ThreadPoolExecutor(1) as thread, pair.grpc_client() as call:
            frozen.send_signal(signal.SIGSTOP)
            try:
                if protocol == "http":
                    waiting = thread.submit(lambda: str(pair.client.ask(name, "x").status))
                else:
                    waiting = thread.submit(call, name)
                pair.wait_for("two")
                assert set(homes(pair).values()) == {"two"}
            finally:
                frozen.send_signal(signal.SIGCONT)
            assert waiting.result(TIMEOUT) == "200"
        pair.wait_for("one", "two")


class TestGrpc:
    """What gRPC's tools need works through the proxy."""

    def test_reflection(self, pair: Pair) -> None:
        """Reflection, a stream in both directions, lists the services."""
        with warnings.catch_warnings(), grpc.insecure_channel(pair.grpc_address) as channel:
            warnings.simplefilter("ignore", DeprecationWarning)  # of protobuf, in grpcio-reflection
            services = ProtoReflectionDescriptorDatabase(channel).get_services()
        assert "inference.GRPCInferenceService" in services

    def test_health(self, pair: Pair) -> None:
        """The health protocol answers."""
        with grpc.insecure_channel(pair.grpc_address) as channel:
            answer = health_pb2_grpc.HealthStub(channel).Check(health_pb2.HealthCheckRequest())
        assert answer.status == health_pb2.HealthCheckResponse.SERVING
