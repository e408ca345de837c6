"""Triton's client over HTTP, synchronous and asyncio."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import pytest_asyncio
from tritonclient.http import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.http.aio import InferenceServerClient as AsyncClient
from tritonclient.utils import InferenceServerException

from dev.peers.server import addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def client() -> Iterator[InferenceServerClient]:
    """Return a client."""
    with InferenceServerClient(addresses().http.removeprefix("http://")) as one:
        yield one


@pytest_asyncio.fixture
async def async_client() -> AsyncIterator[AsyncClient]:
    """Return a client for asyncio."""
    async with AsyncClient(addresses().http.removeprefix("http://")) as one:
        yield one


def tensor(name: str, datatype: str, values: np.ndarray, *, binary: bool = True) -> InferInput:
    """Return an input."""
    one = InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values, binary_data=binary)
    return one


def texts(*values: str) -> np.ndarray:
    """Return an array of texts."""
    return np.array([value.encode() for value in values], dtype=np.object_)


def test_health(client: InferenceServerClient) -> None:
    """The server and a model are ready; a model that does not load is not."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("upper")
    assert client.is_model_ready("upper", "1")
    assert not client.is_model_ready("down")
    assert not client.is_model_ready("no-model")


def test_metadata(client: InferenceServerClient) -> None:
    """The server and a model describe themselves."""
    assert client.get_server_metadata()["name"] == "tidemill"
    found = client.get_model_metadata("score")
    assert (found["name"], found["versions"]) == ("score", ["1"])
    assert found["inputs"] == [
        {"name": "x", "datatype": "FP64", "shape": [-1]},
        {"name": "name", "datatype": "BYTES", "shape": [-1]},
    ]
    assert client.get_model_metadata("echo")["outputs"] == [
        {"name": "prediction", "datatype": "INT64", "shape": [-1, -1]}
    ]


def test_repository_index(client: InferenceServerClient) -> None:
    """All models are listed with their states."""
    states = {each["name"]: each["state"] for each in client.get_model_repository_index()}
    assert states["upper"] == "READY"
    assert states["down"] == "UNAVAILABLE"


@pytest.mark.parametrize("binary", [True, False])
def test_text(client: InferenceServerClient, binary: bool) -> None:
    """Texts go in and out, as binary data or as JSON; the id comes back."""
    inputs = [tensor("text", "BYTES", texts("é", "b"), binary=binary)]
    outputs = [InferRequestedOutput("prediction", binary_data=binary)]
    answer = client.infer("upper", inputs, request_id="7", outputs=outputs)
    got = [value.decode() if binary else value for value in answer.as_numpy("prediction")]
    assert got == ["É", "B"]
    assert answer.get_response()["id"] == "7"


@pytest.mark.parametrize(
    ("datatype", "kind"), [("FP32", np.float32), ("FP16", np.float16), ("INT64", np.int64)]
)
def test_numbers(client: InferenceServerClient, datatype: str, kind: type) -> None:
    """Numbers are columns; outputs have the types of the schema."""
    inputs = [
        tensor("x", datatype, np.array([4, 6], dtype=kind)),
        tensor("name", "BYTES", texts("a", "b")),
    ]
    answer = client.infer("score", inputs)
    assert answer.as_numpy("p").tolist() == [0.5, 0.75]
    assert answer.as_numpy("label").tolist() == [b"a", b"b"]


def test_array(client: InferenceServerClient) -> None:
    """An array of integers comes back with its shape."""
    values = np.array([[1, 2, 3], [4, 5, 6]], dtype=np.int64)
    answer = client.infer("echo", [tensor("input", "INT64", values)])
    assert np.array_equal(answer.as_numpy("prediction"), values)


def test_requested_output(client: InferenceServerClient) -> None:
    """Only the outputs that the client asks for are sent."""
    inputs = [
        tensor("x", "INT64", np.array([8])),
        tensor("name", "BYTES", texts("a")),
    ]
    answer = client.infer("score", inputs, outputs=[InferRequestedOutput("label")])
    assert answer.as_numpy("label").tolist() == [b"a"]
    assert answer.as_numpy("p") is None


def test_async_infer(client: InferenceServerClient) -> None:
    """A request of another greenlet is answered."""
    pending = client.async_infer("upper", [tensor("text", "BYTES", texts("a"))])
    assert pending.get_result().as_numpy("prediction").tolist() == [b"A"]


@pytest.mark.parametrize(
    ("model", "text", "status", "words"),
    [
        ("no-model", "a", "404", "there is no model 'no-model'"),
        ("upper", "bad", "500", "a bad text"),
        ("down", "a", "503", "this model never loads"),
    ],
)
def test_errors(
    client: InferenceServerClient, model: str, text: str, status: str, words: str
) -> None:
    """An error has its status, and says what is wrong."""
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, [tensor("text", "BYTES", texts(text))])
    assert error.value.status() == status
    assert words in error.value.message()
    assert "decoding" not in error.value.message()  # the client's own complaint


def test_wrong_type(client: InferenceServerClient) -> None:
    """A tensor that does not suit the model is refused."""
    with pytest.raises(InferenceServerException, match="takes texts") as error:
        client.infer("upper", [tensor("text", "INT64", np.array([1]))])
    assert error.value.status() == "400"


def test_compressed(client: InferenceServerClient) -> None:
    """A compressed request is refused, with the remedy; an answer may be asked for compressed."""
    inputs = [tensor("text", "BYTES", texts("a"))]
    with pytest.raises(InferenceServerException, match="content encoding 'gzip'"):
        client.infer("upper", inputs, request_compression_algorithm="gzip")
    answer = client.infer("upper", inputs, response_compression_algorithm="gzip")
    assert answer.as_numpy("prediction").tolist() == [b"A"]


async def test_asyncio(async_client: AsyncClient) -> None:
    """The client for asyncio does the same."""
    assert await async_client.is_server_ready()
    assert await async_client.is_model_ready("upper")
    inputs = [tensor("text", "BYTES", texts("a"))]
    answer = await async_client.infer("upper", inputs)
    assert answer.as_numpy("prediction").tolist() == [b"A"]
    with pytest.raises(InferenceServerException, match="no model"):
        await async_client.infer("no-model", inputs)
    assert len(await async_client.get_model_repository_index()) == 5
