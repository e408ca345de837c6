"""Tests of V2 requests in protocol buffers."""

from __future__ import annotations

import struct
from contextlib import suppress
from typing import Any

import pytest
from google.protobuf.message import DecodeError
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InvalidRequest
from tidemill.protocol import open_inference_grpc_pb2 as pb
from tidemill.serving import tensors, v2_grpc
from tidemill.serving.tensors import BYTES, FORMATS, Tensor
from tidemill.serving.v2_messages import InferResponse

CASES: dict[str, list[Any]] = {
    "BOOL": [True, False],
    "UINT8": [0, 255],
    "UINT16": [0, 2**16 - 1],
    "UINT32": [0, 2**32 - 1],
    "UINT64": [0, 2**64 - 1],
    "INT8": [-128, 127],
    "INT16": [-(2**15), 2**15 - 1],
    "INT32": [-(2**31), 2**31 - 1],
    "INT64": [-(2**63), 2**63 - 1],
    "FP16": [0.5, -2.0],
    "FP32": [0.5, -2.0],
    "FP64": [0.1, 1e300],
    BYTES: ["é", ""],
}


def tensor(datatype: str) -> Tensor:
    """Return a tensor of a data type, with its extreme values."""
    return Tensor(name="x", datatype=datatype, shape=[2], data=CASES[datatype])


def message(*some: Tensor, raw: bool) -> pb.ModelInferRequest:
    """Return a request, as a client writes it."""
    request = pb.ModelInferRequest(model_name="m")
    for each in some:
        added = request.inputs.add(name=each.name, datatype=each.datatype, shape=each.shape)
        if raw:
            request.raw_input_contents.append(tensors.pack(each))
        else:
            data = [e.encode() for e in each.data] if each.datatype == BYTES else each.data
            getattr(added.contents, v2_grpc.CONTENTS[each.datatype]).extend(data)
    return request


class TestDecode:
    """A message becomes a request."""

    # The protocol has no contents for FP16.
    @pytest.mark.parametrize(
        ("datatype", "raw"), [(d, r) for d in CASES for r in (True, False) if r or d != "FP16"]
    )
    def test_types(self, datatype: str, raw: bool) -> None:
        """Each data type is read, in binary form or not."""
        (one,) = v2_grpc.decode(message(tensor(datatype), raw=raw)).inputs
        assert tensors.check(one) == tensor(datatype)

    def test_all(self) -> None:
        """A request has several tensors, parameters of each kind, an id, and outputs."""
        request = message(*map(tensor, CASES), raw=True)
        request.id = "7"
        request.outputs.add(name="y")
        request.parameters["key"].string_param = "k"
        request.parameters["b"].bool_param = False
        request.parameters["i"].int64_param = 0
        request.parameters["d"].double_param = 0.5
        request.parameters["u"].uint64_param = 2**64 - 1
        request.parameters["none"].SetInParent()
        decoded = v2_grpc.decode(request)
        assert [each.data for each in decoded.inputs] == [*CASES.values()]
        assert (decoded.id, [each.name for each in decoded.outputs]) == ("7", ["y"])
        assert decoded.parameters == {
            "key": "k",
            "b": False,
            "i": 0,
            "d": 0.5,
            "u": 2**64 - 1,
            "none": None,
        }

    def test_raw_count(self) -> None:
        """There is a raw content for each tensor, or none at all."""
        request = message(tensor("INT8"), tensor("INT8"), raw=True)
        del request.raw_input_contents[0]
        with pytest.raises(InvalidRequest, match="1 raw contents for 2 tensors"):
            v2_grpc.decode(request)

    def test_raw_and_contents(self) -> None:
        """A tensor is in binary form or not: `contents` beside raw contents are refused."""
        request = message(tensor("INT8"), tensor("INT8"), raw=True)
        request.inputs[1].contents.int_contents.append(1)
        with pytest.raises(InvalidRequest, match="tensor 'x' has `contents` besides"):
            v2_grpc.decode(request)

    @pytest.mark.parametrize("raw", [True, False])
    def test_no_utf8(self, raw: bool) -> None:
        """Text is UTF-8."""
        request = pb.ModelInferRequest()
        one = request.inputs.add(name="x", datatype=BYTES, shape=[1])
        if raw:
            request.raw_input_contents.append(struct.pack("<I", 1) + b"\xff")
        else:
            one.contents.bytes_contents.append(b"\xff")
        with pytest.raises(InvalidRequest, match=r"(?i)utf-8"):
            v2_grpc.decode(request)

    @given(
        st.lists(
            st.tuples(
                st.sampled_from([*FORMATS, BYTES, "X"]) | st.text(max_size=5),
                st.lists(st.integers(-2, 4), max_size=3),
                st.lists(st.binary(max_size=5), max_size=3),
            ),
            max_size=3,
        ),
        st.lists(st.binary(max_size=20), max_size=3),
    )
    def test_any(self, some: list[tuple[str, list[int], list[bytes]]], raw: list[bytes]) -> None:
        """Any message is decoded and checked, or the request is malformed."""
        request = pb.ModelInferRequest(raw_input_contents=raw)
        for datatype, shape, contents in some:
            added = request.inputs.add(datatype=datatype, shape=shape)
            added.contents.bytes_contents.extend(contents)
            added.contents.int_contents.extend(map(len, contents))
        with suppress(InvalidRequest):
            for one in v2_grpc.decode(request).inputs:
                tensors.check(one)

    @given(st.binary(max_size=60))
    def test_any_bytes(self, content: bytes) -> None:
        """Any bytes that are a message are a request, or malformed."""
        with suppress(DecodeError, InvalidRequest):
            v2_grpc.decode(pb.ModelInferRequest.FromString(content))


class TestEncode:
    """A response becomes a message."""

    @pytest.mark.parametrize("raw", [True, False])
    def test_types(self, raw: bool) -> None:
        """Each data type of outputs is written, in binary form if its request was."""
        some = [tensor(each) for each in ("BOOL", "INT64", "FP64", BYTES)]
        parameters = {"variant": "a", "failed": 1, "variant_forced": True}
        response = InferResponse(
            model_name="m", model_version="1", id="7", parameters=parameters, outputs=some
        )
        got = v2_grpc.encode(response, raw=raw)
        assert (got.model_name, got.model_version, got.id) == ("m", "1", "7")
        for index, (one, output) in enumerate(zip(some, got.outputs, strict=True)):
            assert (output.name, output.datatype, output.shape) == ("x", one.datatype, [2])
            if raw:
                assert tensors.unpack(one.datatype, got.raw_output_contents[index]) == one.data
                assert not output.HasField("contents")
            else:
                data = [*getattr(output.contents, v2_grpc.CONTENTS[one.datatype])]
                texts = [each.decode() if isinstance(each, bytes) else each for each in data]
                assert texts == one.data
        assert got.parameters["variant"].string_param == "a"
        assert got.parameters["failed"].int64_param == 1
        assert got.parameters["variant_forced"].bool_param is True
