"""Tests of V2 requests in JSON, with the binary data extension."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from tidemill.errors import InvalidRequest
from tidemill.serving import tensors, v2_json
from tidemill.serving.tensors import Tensor
from tidemill.serving.v2_messages import InferRequest, InferResponse, RequestedOutput

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=9),
    lambda each: st.lists(each, max_size=3) | st.dictionaries(st.text(max_size=9), each),
    max_leaves=9,
)
NUMBERS = Tensor(name="n", datatype="INT64", shape=[2], data=[1, -2])
TEXTS = Tensor(name="t", datatype="BYTES", shape=[2], data=["é", ""])
FLOATS = Tensor(name="f", datatype="FP64", shape=[1], data=[0.5])


def request(inputs: object, **fields: object) -> bytes:
    """Return a body."""
    return json.dumps({"inputs": inputs} | fields).encode()


def written(tensor: Tensor, *, binary: bool) -> tuple[dict[str, Any], bytes]:
    """Return a tensor of a request as JSON and as the binary data after it."""
    head: dict[str, Any] = {
        "name": tensor.name,
        "datatype": tensor.datatype,
        "shape": tensor.shape,
    }
    if not binary:
        return head | {"data": tensor.data}, b""
    content = tensors.pack(tensor)
    return head | {"parameters": {"binary_data_size": len(content)}}, content


def body_of(*parts: tuple[dict[str, Any], bytes]) -> tuple[bytes, str]:
    """Return a body with some tensors, and the length of its JSON."""
    head = request([each for each, _ in parts])
    return head + b"".join(content for _, content in parts), str(len(head))


def read(encoded: tuple[bytes, int | None]) -> list[tuple[str, list[Any]]]:
    """Return the tensors of a response, as a client reads them."""
    body, length = encoded
    head, rest = (body, b"") if length is None else (body[:length], body[length:])
    found = []
    for each in json.loads(head)["outputs"]:
        size = each.get("parameters", {}).get("binary_data_size")
        if size is None:
            found.append((each["name"], each["data"]))
        else:
            assert "data" not in each
            found.append((each["name"], tensors.unpack(each["datatype"], rest[:size])))
            rest = rest[size:]
    assert not rest
    return found


def response(*outputs: Tensor) -> InferResponse:
    """Return a response."""
    copies = [msgspec.structs.replace(each) for each in outputs]
    return InferResponse(model_name="m", model_version="1", outputs=copies)


class TestDecode:
    """A body becomes a request."""

    @given(st.lists(st.sampled_from([NUMBERS, TEXTS, FLOATS])), st.data())
    def test_mixed(self, some: list[Tensor], data: st.DataObject) -> None:
        """Tensors in JSON and binary ones may be mixed."""
        binary = [data.draw(st.booleans()) for _ in some]
        parts = [written(each, binary=flag) for each, flag in zip(some, binary, strict=True)]
        decoded = v2_json.decode(*body_of(*parts))
        assert [each.data for each in decoded.inputs] == [each.data for each in some]

    def test_fields(self) -> None:
        """A request has an id, parameters and requested outputs; nested data is flattened."""
        decoded = v2_json.decode(
            request(
                [{"name": "x", "datatype": "INT8", "shape": [2, 2], "data": [[1, 2], [3, 4]]}],
                id="7",
                parameters={"key": "k"},
                outputs=[{"name": "y", "parameters": {"binary_data": True}}],
            )
        )
        assert decoded == InferRequest(
            id="7",
            parameters={"key": "k"},
            inputs=[Tensor(name="x", datatype="INT8", shape=[2, 2], data=[1, 2, 3, 4])],
            outputs=[RequestedOutput(name="y", parameters={"binary_data": True})],
        )

    @pytest.mark.parametrize(
        "body",
        [
            b"",
            b"null",
            b"[]",
            b"{}",
            b'{"inputs": 7}',
            b'{"inputs": [{"name": "x"}]}',
            b'{"inputs": [{"name": "x", "datatype": "INT8", "shape": [NaN], "data": []}]}',
            b'{"inputs": [{"name": "x", "datatype": "FP64", "shape": [1], "data": [NaN]}]}',
            b'{"inputs": [], "id": 7}',
            b'{"inputs": [], "parameters": []}',
            b'{"inputs": []',
            b'{"inputs": []} x',
            b'\xff{"inputs": []}',
            '{"inputs": []}'.encode("utf-16"),
        ],
    )
    def test_malformed(self, body: bytes) -> None:
        """Anything else is refused."""
        with pytest.raises(InvalidRequest):
            v2_json.decode(body)

    @pytest.mark.parametrize("depth", [10, 400, 700, 950, 10_000, 1_000_000])
    @pytest.mark.parametrize("place", ["data", "parameters"])
    def test_depth(self, depth: int, place: str) -> None:
        """Nesting never exhausts the stack."""
        value = '{"a":' * depth + "1" + "}" * depth if place == "parameters" else ""
        data = value or "[" * depth + "1" + "]" * depth
        body = f'{{"inputs":[{{"name":"x","datatype":"INT8","shape":[1],"{place}":{data}}}]}}'
        try:
            (one,) = v2_json.decode(body.encode()).inputs
        except InvalidRequest:
            assert depth > 100
        else:
            assert one.data == ([1] if place == "data" else [])

    @pytest.mark.parametrize(
        "length", ["", "-1", "1e3", " 1", "²", "\u0663", "0", "1000000", "9" * 5000]
    )
    def test_wrong_header_length(self, length: str) -> None:
        """The length of the JSON is a number within the body."""
        with pytest.raises(InvalidRequest):
            v2_json.decode(request([]), length)

    @pytest.mark.parametrize("size", [-1, 17, 10**30, "16", 16.0, True, [], {}])
    def test_wrong_size(self, size: object) -> None:
        """A size that is not a number, or exceeds what is left, is refused."""
        head, content = written(NUMBERS, binary=True)
        head["parameters"]["binary_data_size"] = size
        with pytest.raises(InvalidRequest, match="binary_data_size"):
            v2_json.decode(*body_of((head, content)))

    def test_cut(self) -> None:
        """A body that is cut off anywhere is refused."""
        body, length = body_of(written(NUMBERS, binary=True), written(TEXTS, binary=True))
        for end in range(len(body)):
            with pytest.raises(InvalidRequest):
                v2_json.decode(body[:end], length)

    def test_trailing(self) -> None:
        """Bytes after the last tensor are refused."""
        body, length = body_of(written(NUMBERS, binary=True))
        with pytest.raises(InvalidRequest, match="1 bytes of binary data belong to no tensor"):
            v2_json.decode(body + b"x", length)

    def test_size_splits_an_element(self) -> None:
        """Binary data that is not a whole number of elements is refused."""
        head, content = written(NUMBERS, binary=True)
        head["parameters"]["binary_data_size"] = 15
        with pytest.raises(InvalidRequest, match="binary data is not valid INT64"):
            v2_json.decode(*body_of((head, content[:15])))

    @given(st.binary(max_size=99), st.none() | st.integers(0, 120).map(str) | st.text(max_size=4))
    def test_any_bytes(self, body: bytes, length: str | None) -> None:
        """Any bytes are a request or malformed."""
        with suppress(InvalidRequest):
            v2_json.decode(body, length)

    @given(
        st.fixed_dictionaries(
            {},
            optional={
                "name": st.just("x") | JSON,
                "datatype": st.sampled_from(["INT64", "BYTES", "BOOL", "FP16", "X"]) | JSON,
                "shape": st.lists(st.integers(-1, 3), max_size=3) | JSON,
                "data": JSON,
                "parameters": st.fixed_dictionaries(
                    {}, optional={"binary_data_size": st.integers(-1, 20) | JSON}
                )
                | JSON,
            },
        ),
        st.binary(max_size=20),
    )
    def test_any_tensor(self, tensor: dict[str, Any], rest: bytes) -> None:
        """Any tensor is decoded and checked, or the request is malformed."""
        head = msgspec.json.encode({"inputs": [tensor]})
        with suppress(InvalidRequest):
            for one in v2_json.decode(head + rest, str(len(head))).inputs:
                tensors.check(one)


class TestEncode:
    """A response becomes a body."""

    def test_json(self) -> None:
        """By default it is JSON."""
        body, length = v2_json.encode(InferRequest(inputs=[]), response(NUMBERS, TEXTS))
        assert length is None
        assert json.loads(body) == {
            "model_name": "m",
            "model_version": "1",
            "outputs": [
                {"name": "n", "datatype": "INT64", "shape": [2], "data": [1, -2]},
                {"name": "t", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
            ],
        }

    @given(st.none() | st.booleans(), st.none() | st.booleans(), st.none() | st.booleans())
    def test_binary(
        self, everything: bool | None, numbers: bool | None, texts: bool | None
    ) -> None:
        """An output is binary if it is asked for so, or if all are and it is not excepted."""
        asked = InferRequest(
            inputs=[],
            parameters={} if everything is None else {"binary_data_output": everything},
            outputs=[
                RequestedOutput(name=name, parameters={} if flag is None else {"binary_data": flag})
                for name, flag in (("n", numbers), ("t", texts))
            ],
        )
        body, length = encoded = v2_json.encode(asked, response(NUMBERS, TEXTS))
        assert read(encoded) == [("n", [1, -2]), ("t", ["é", ""])]
        heads = json.loads(body if length is None else body[:length])["outputs"]
        for head, own in zip(heads, (numbers, texts), strict=True):
            assert ("data" not in head) == bool(everything if own is None else own)

    def test_empty(self) -> None:
        """A tensor without rows has data, or a size of 0."""
        empty = Tensor(name="e", datatype="BYTES", shape=[0], data=[])
        assert read(v2_json.encode(InferRequest(inputs=[]), response(empty))) == [("e", [])]
        asked = InferRequest(inputs=[], parameters={"binary_data_output": True})
        assert read(v2_json.encode(asked, response(empty))) == [("e", [])]
