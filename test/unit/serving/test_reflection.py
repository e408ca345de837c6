"""Tests of reflection and health: a client that knows no definition of the protocol."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest
from google.protobuf.descriptor_pool import DescriptorPool
from google.protobuf.json_format import MessageToDict, ParseDict
from google.protobuf.message_factory import GetMessageClass
from grpc_reflection.v1alpha.proto_reflection_descriptor_database import (
    ProtoReflectionDescriptorDatabase,
)

if TYPE_CHECKING:
    import grpc
    from server_process import Server


class Reflected:
    """Call methods that the server describes; requests and responses are JSON."""

    def __init__(self, channel: grpc.Channel) -> None:
        """Take a channel, whose server answers reflection."""
        self._channel = channel
        self.database = ProtoReflectionDescriptorDatabase(channel)
        self._pool = DescriptorPool(self.database)

    def call(self, service: str, method: str, request: dict[str, Any]) -> dict[str, Any]:
        """Return a response."""
        described = self._pool.FindServiceByName(service).FindMethodByName(method)
        send = self._channel.unary_unary(
            f"/{service}/{method}",
            request_serializer=lambda message: message.SerializeToString(),
            response_deserializer=GetMessageClass(described.output_type).FromString,
        )
        message = ParseDict(request, GetMessageClass(described.input_type)())
        answered: dict[str, Any] = MessageToDict(send(message, timeout=60))
        return answered


@pytest.fixture(scope="module")
def reflected(server: Server) -> Reflected:
    """Return a client that knows nothing but an address."""
    return Reflected(server.channel)


def test_services(reflected: Reflected) -> None:
    """The server lists its services."""
    assert sorted(reflected.database.get_services()) == [
        "grpc.health.v1.Health",
        "grpc.reflection.v1alpha.ServerReflection",
        "inference.GRPCInferenceService",
    ]


def test_infer(reflected: Reflected) -> None:
    """A model predicts for a client that learned the protocol by reflection."""
    tensor = {"name": "x", "datatype": "BYTES", "shape": [1]}
    request = {
        "modelName": "upper",
        "inputs": [{**tensor, "contents": {"bytesContents": ["YWRh"]}}],
    }
    answer = reflected.call("inference.GRPCInferenceService", "ModelInfer", request)
    assert answer["outputs"][0]["contents"] == {"bytesContents": ["IkFEQSI="]}


@pytest.mark.parametrize("service", ["", "inference.GRPCInferenceService"])
def test_health(reflected: Reflected, service: str) -> None:
    """The server's health is told for all of it and for its service."""
    assert reflected.call("grpc.health.v1.Health", "Check", {"service": service}) == {
        "status": "SERVING"
    }
