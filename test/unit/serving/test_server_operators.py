"""Tests of what a server offers to operators and tools: health, metrics, logs and descriptions."""

from __future__ import annotations

import json
import re
import warnings
from typing import TYPE_CHECKING, Any

import grpc
import pytest
import server_process
from google.protobuf.json_format import MessageToDict
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)
from jsonschema import Draft202012Validator
from pool_processes import wait_until
from prometheus_client.parser import text_string_to_metric_families

from tidemill import __version__
from tidemill.protocol import open_inference_grpc_pb2 as pb

if TYPE_CHECKING:
    from server_process import Server

SERVICES = [
    "grpc.health.v1.Health",
    "grpc.reflection.v1alpha.ServerReflection",
    "inference.GRPCInferenceService",
]


class TestHealth:
    """Whether the server and its models are live and ready."""

    @pytest.mark.parametrize("path", ["/healthz", "/v2/health/live"])
    def test_live(self, server: Server, path: str) -> None:
        """A server that answers is live."""
        assert server.send(path).json == {"live": True}
        assert server.stub.ServerLive(pb.ServerLiveRequest()).live

    @pytest.mark.parametrize("path", ["/readyz", "/v2/health/ready"])
    def test_ready(self, server: Server, path: str) -> None:
        """A server is ready once its models are loaded."""
        assert server.send(path).json == {"ready": True, "reason": None}
        assert server.stub.ServerReady(pb.ServerReadyRequest()).ready

    def test_grpc(self, server: Server) -> None:
        """GRPC's own health protocol knows the server and V2."""
        stub = health_pb2_grpc.HealthStub(server.channel)
        for service in ("", "inference.GRPCInferenceService"):
            request = health_pb2.HealthCheckRequest(service=service)
            assert stub.Check(request).status == health_pb2.HealthCheckResponse.SERVING
            watch = stub.Watch(request)
            assert next(watch).status == health_pb2.HealthCheckResponse.SERVING
            watch.cancel()
        unknown = health_pb2.HealthCheckRequest(service="none")
        with pytest.raises(grpc.RpcError) as caught:
            stub.Check(unknown)
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND
        service_unknown = health_pb2.HealthCheckResponse.SERVICE_UNKNOWN
        assert [each.status for each in stub.Watch(unknown)] == [service_unknown]

    def test_model(self, server: Server) -> None:
        """Each model is ready or not."""
        assert server.send("/v2/models/upper/ready").json == {"name": "upper", "ready": True}
        assert server.send("/v2/models/versions/versions/2/ready").status == 200
        assert server.stub.ModelReady(pb.ModelReadyRequest(name="ab", version="2")).ready
        assert server.send("/v2/models/none/ready").status == 404
        with pytest.raises(grpc.RpcError) as caught:
            server.stub.ModelReady(pb.ModelReadyRequest(name="none"))
        assert caught.value.code() is grpc.StatusCode.NOT_FOUND


class TestDescriptions:
    """What the server says about itself and its models."""

    def test_server(self, server: Server) -> None:
        """Its name, version and extensions are the same over both protocols."""
        described = server.send("/v2").json
        assert (described["name"], described["version"]) == ("tidemill", __version__)
        assert "binary_tensor_data" in described["extensions"]
        over_grpc = server.stub.ServerMetadata(pb.ServerMetadataRequest())
        assert MessageToDict(over_grpc) == described

    @pytest.mark.parametrize(
        ("name", "inputs", "outputs"),
        [
            ("upper", {"input": "BYTES"}, {"prediction": "BYTES"}),
            ("sum", {"input": "BYTES"}, {"prediction": "FP64"}),
            ("score", {"x": "FP64", "name": "BYTES"}, {"p": "FP64", "label": "BYTES"}),
        ],
    )
    def test_model(
        self, server: Server, name: str, inputs: dict[str, str], outputs: dict[str, str]
    ) -> None:
        """A model's metadata lists its tensors, the same over both protocols."""
        described = server.send(f"/v2/models/{name}").json
        assert (described["name"], described["versions"]) == (name, ["1"])
        for side, expected in (("inputs", inputs), ("outputs", outputs)):
            assert {each["name"]: each["datatype"] for each in described[side]} == expected
            assert all(each["shape"] == [-1] for each in described[side])
            for each in described[side]:
                each["shape"] = ["-1"]  # as JSON of protocol buffers writes 64 bits
        over_grpc = server.stub.ModelMetadata(pb.ModelMetadataRequest(name=name))
        assert MessageToDict(over_grpc) == described

    def test_versions(self, server: Server) -> None:
        """All versions of a name are listed."""
        assert server.send("/v2/models/ab").json["versions"] == ["1", "2"]
        assert server.send("/v2/models/versions/versions/2").json["versions"] == ["1", "2"]
        assert server.send("/v2/models/none").status == 404

    def test_index(self, server: Server) -> None:
        """All models are listed with their states."""
        listed = server.send("/v2/repository/index", b"").json
        assert {"name": "ab", "version": "2", "state": "READY", "reason": ""} in listed
        assert {each["state"] for each in listed} == {"READY"}
        over_grpc = server.stub.RepositoryIndex(pb.RepositoryIndexRequest(ready=True)).models
        assert [(each.name, each.version) for each in over_grpc] == [
            (each["name"], each["version"]) for each in listed
        ]
        assert server.send("/v2/repository/index", b"[").status == 400

    def test_reflection(self, server: Server) -> None:
        """A tool such as grpcurl finds the services and their messages."""
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", DeprecationWarning)  # of protobuf, in grpcio-reflection
            database = ProtoReflectionDescriptorDatabase(server.channel)
            assert sorted(database.get_services()) == SERVICES
            file = database.FindFileContainingSymbol("inference.GRPCInferenceService")
        assert "ModelInferRequest" in [each.name for each in file.message_type]


class TestOpenApi:
    """The OpenAPI document."""

    def test_document(self, server: Server) -> None:
        """The document has each path, with a schema and an example that the server answers."""
        document = server.send("/openapi.json").json
        assert document["openapi"] == "3.1.0"
        assert document["info"].keys() >= {"title", "version"}
        paths = document["paths"].keys()
        assert {"/upper", "/score", "/ab", "/fares/2/TAXI"} <= paths
        assert {path for path in paths if "versions" in path} == {
            f"/v2/models/versions/versions/{version}/infer" for version in (1, 2)
        }
        for path, operations in document["paths"].items():
            operation = operations["post"]
            assert operation["responses"].keys() == {"200", "default"}
            content = operation["requestBody"]["content"]["application/json"]
            Draft202012Validator.check_schema(content["schema"])
            Draft202012Validator(content["schema"]).validate(content["example"])
            answered = server.send(path, content["example"])
            assert answered.status == 200
            kind = "Inference" if path.startswith("/v2/") else "Outputs"
            schema = document["components"]["schemas"][kind]
            Draft202012Validator(schema).validate(answered.json)
        failed = server.ask("none", "a").json
        Draft202012Validator(document["components"]["schemas"]["Problem"]).validate(failed)

    def test_references(self, server: Server) -> None:
        """Each reference leads to a schema."""
        document = server.send("/openapi.json").json
        for reference in re.findall(r'"\$ref": "#/([^"]+)"', json.dumps(document)):
            found: Any = document
            for part in reference.split("/"):
                found = found[part]

    def test_without_asking(self) -> None:
        """A model whose entry says what it takes need not load for the document."""
        models = """
models:
  - {{name: late, version: 1, adapter: "served_models:Loading", sample: abc, match: {{a: 1}},
      options: {{folder: "{folder}"}}}}
"""
        with server_process.running(processes=1, models=models, preload="none") as one:
            (path,) = one.send("/openapi.json").json["paths"].values()
            content = path["post"]["requestBody"]["content"]["application/json"]
            assert content["example"] == {"inputs": ["abc"]}
            assert one.send("/v2/repository/index", {}).json[0]["state"] == "UNAVAILABLE"


class TestMetrics:
    """Metrics for Prometheus."""

    def test_counted(self) -> None:
        """Requests, answers, errors and batches are counted by model, version and variant."""
        with server_process.running(processes=1) as one:
            one.ask("upper", "a", "bad", "b")
            one.ask("ab", "x", variant="two")
            one.ask("none", "a")
            one.infer_grpc("upper", "a")
            text = one.send("/metrics").body.decode()
        samples = {
            (sample.name, *sorted(sample.labels.items())): sample.value
            for family in text_string_to_metric_families(text)
            for sample in family.samples
        }

        def value(name: str, **labels: str) -> float:
            return samples[(name, *sorted(labels.items()))]

        upper = {"model": "upper", "version": "1"}
        assert value("tidemill_requests_total", protocol="http", status="200") == 2
        assert value("tidemill_requests_total", protocol="http", status="404") == 1
        assert value("tidemill_requests_total", protocol="grpc", status="OK") == 1
        assert value("tidemill_request_seconds_count", protocol="http") == 3
        assert value("tidemill_answers_total", **upper, variant="") == 3
        two = {"model": "ab", "version": "2", "variant": "two"}
        assert value("tidemill_answers_total", **two) == 1
        failed = {"error": "PredictionFailed", "variant": "", **upper}
        assert value("tidemill_answer_errors_total", **failed) == 1
        assert value("tidemill_batch_size_sum", **upper) == 4
        assert value("tidemill_queue_seconds_count", **upper) == 4


class TestAccessLog:
    """One line of JSON for each request."""

    def test_lines(self) -> None:
        """It has what was asked and how it ended, and no inputs; probes are left out."""
        with server_process.running() as one:
            one.ask("upper", "secret")
            one.send("/upper?key=secret", b'{"inputs": ["secret"')
            one.infer_grpc("upper", "secret")
            one.ask("upper", "bad", key="secret")
            one.send("/healthz")
            with pytest.raises(grpc.RpcError):
                one.infer_grpc("none", "secret")
            assert one.stop() == 0
            lines = [(line["protocol"], line["request"], line["status"]) for line in one.access_log]
            assert lines == [
                ("http", "POST /upper", "200"),
                ("http", "POST /upper", "400"),
                ("grpc", "ModelInfer upper", "OK"),
                ("http", "POST /upper", "500"),
                ("grpc", "ModelInfer none", "NOT_FOUND"),
            ]
            keys = {"time", "protocol", "request", "status", "seconds", "client"}
            assert all(line.keys() == keys for line in one.access_log)
            for name in ("stdout", "stderr"):
                assert "secret" not in (one.folder / name).read_text()

    def test_off(self) -> None:
        """A setting turns it off."""
        with server_process.running(access_log=False) as one:
            one.ask("upper", "a")
            one.infer_grpc("upper", "a")
            assert one.stop() == 0
            assert not one.access_log

    def test_long_path(self, server: Server) -> None:
        """A long path is cut, and a strange one stays one line."""
        server.send("/" + "x" * 5000, {"inputs": []})
        server.send("/%0a%22%00%ff", {"inputs": []})
        wait_until(lambda: any('/\n"\0' in line["request"] for line in server.access_log))
        assert 200 < len(server.access_log[-2]["request"]) <= 300
