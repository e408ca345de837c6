"""KServe's clients for REST and gRPC, and the requests of its tests whose answers differ."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from kserve import (
    InferenceGRPCClient,
    InferenceRESTClient,
    InferInput,
    InferRequest,
    InferResponse,
    RESTConfig,
)
from kserve.protocol.infer_type import RequestedOutput

from dev.peers.server import addresses

VALUES = np.array([[6.8, 2.8, 4.8, 1.4], [6.0, 3.4, 4.5, 1.6]])


def rest() -> InferenceRESTClient:
    """Return a client for REST."""
    return InferenceRESTClient(RESTConfig(protocol="v2"))


def texts(*values: str) -> InferInput:
    """Return a tensor of texts."""
    return InferInput("text", [len(values)], "BYTES", data=[*values])


async def test_rest_health() -> None:
    """The server and a model are ready; a model that does not load is not."""
    async with rest() as client:
        assert await client.is_server_live(addresses().http)
        assert await client.is_server_ready(addresses().http)
        assert await client.is_model_ready(addresses().http, "upper")
        assert not await client.is_model_ready(addresses().http, "down")


async def test_rest_text() -> None:
    """Texts go in and out; the id comes back."""
    request = InferRequest("upper", [texts("é", "b")], request_id="7")
    async with rest() as client:
        answer = await client.infer(addresses().http, request, model_name="upper")
    assert (answer.id, answer.outputs[0].data) == ("7", ["É", "B"])


async def test_rest_error() -> None:
    """An error has its status and reason."""
    request = InferRequest("no-model", [texts("a")])
    async with rest() as client:
        with pytest.raises(Exception, match="404") as error:
            await client.infer(addresses().http, request, model_name="no-model")
    assert error.type.__name__ == "HTTPStatusError"
    assert "there is no model 'no-model'" in str(error.value)


async def test_grpc_health() -> None:
    """The server and a model are ready; a model that does not load is not."""
    async with InferenceGRPCClient(addresses().grpc) as client:
        assert await client.is_server_live()
        assert await client.is_server_ready()
        assert await client.is_model_ready("upper")
        assert not await client.is_model_ready("down")


async def test_grpc_text() -> None:
    """Texts go in and out; the id comes back."""
    request = InferRequest(
        "upper", [InferInput("text", [2], "BYTES", data=[b"\xc3\xa9", b"b"])], request_id="7"
    )
    async with InferenceGRPCClient(addresses().grpc) as client:
        answer = await client.infer(request)
    assert answer.id == "7"
    assert [value.decode() for value in answer.outputs[0].data] == ["É", "B"]


async def test_grpc_numbers() -> None:
    """Columns of each type go in; outputs have the types of the schema."""
    x = InferInput("x", [2], "FP32")
    x.set_data_from_numpy(np.array([4, 6], dtype=np.float32), binary_data=True)
    name = InferInput("name", [2], "BYTES")
    name.set_data_from_numpy(np.array([b"a", b"b"], dtype=np.object_), binary_data=True)
    async with InferenceGRPCClient(addresses().grpc) as client:
        answer = await client.infer(InferRequest("score", [x, name]))
    assert answer.get_output_by_name("p").as_numpy().tolist() == [0.5, 0.75]


async def test_grpc_error() -> None:
    """An error has its status and reason."""
    async with InferenceGRPCClient(addresses().grpc) as client:
        with pytest.raises(Exception, match="there is no model 'no-model'") as error:
            await client.infer(InferRequest("no-model", [texts("a")]))
    assert error.type.__name__ == "AioRpcError"
    assert "StatusCode.NOT_FOUND" in str(error.value)


@pytest.mark.parametrize(
    ("outputs", "all_binary", "expected"),
    [
        ({"fp16_output": True, "fp32_output": False}, None, ["fp16_output", "fp32_output"]),
        ({"fp32_output": False}, None, ["fp32_output"]),
        ({}, True, ["fp16_output", "fp32_output"]),
        ({"fp16_output": True, "fp32_output": False}, True, ["fp16_output", "fp32_output"]),
    ],
)
async def test_binary_outputs(
    outputs: dict[str, bool], all_binary: bool | None, expected: list[str]
) -> None:
    """What test_server.py asks of FP16OutputModel: outputs in binary form, alone or all."""
    column = InferInput("fp32_input", [2, 4], "FP32", data=VALUES.astype(np.float32).tolist())
    parameters: dict[str, Any] = {"binary_data_output": True} if all_binary else {}
    request = InferRequest(
        "FP16OutputModel",
        [column],
        request_id="123",
        parameters=parameters,
        request_outputs=[
            RequestedOutput(name, parameters={"binary_data": binary})
            for name, binary in outputs.items()
        ],
    )
    async with rest() as client:
        answer = await client.infer(addresses().http, request, model_name="FP16OutputModel")
    assert isinstance(answer, InferResponse)
    assert [each.name for each in answer.outputs] == expected
    for each in answer.outputs:
        assert (each.datatype, each.shape) == ("FP64", [2, 4])
        assert np.array_equal(each.as_numpy(), VALUES.astype(np.float32))


@pytest.mark.parametrize("binary", [True, False])
async def test_fp16_input(binary: bool) -> None:
    """What test_server.py asks of FP16InputModel: FP16 goes in, as binary data and as JSON."""
    values = VALUES.astype(np.float16)
    column = InferInput("fp16_input", [2, 4], "FP16")
    if binary:
        column.set_data_from_numpy(values, binary_data=True)
        body: Any = InferRequest("FP16InputModel", [column])
    else:
        tensor = {"name": "fp16_input", "shape": [2, 4], "datatype": "FP16"}
        body = {"inputs": [{**tensor, "data": values.tolist()}]}
    async with rest() as client:
        answer = await client.infer(addresses().http, body, model_name="FP16InputModel")
    (output,) = answer.outputs
    assert output.datatype == "BYTES"  # its schema does not say what the values are
    assert str(float(values[1, 3])) in output.data[1]
