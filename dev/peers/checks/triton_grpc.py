"""Triton's client over gRPC, synchronous and asyncio."""

from __future__ import annotations

import queue
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
import pytest_asyncio
from tritonclient.grpc import InferenceServerClient, InferInput, InferRequestedOutput
from tritonclient.grpc.aio import InferenceServerClient as AsyncClient
from tritonclient.utils import InferenceServerException

from dev.peers.server import addresses

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator


@pytest.fixture
def client() -> Iterator[InferenceServerClient]:
    """Return a client."""
    with InferenceServerClient(addresses().grpc) as one:
        yield one


@pytest_asyncio.fixture
async def async_client() -> AsyncIterator[AsyncClient]:
    """Return a client for asyncio."""
    async with AsyncClient(addresses().grpc) as one:
        yield one


def tensor(name: str, datatype: str, values: np.ndarray) -> InferInput:
    """Return an input."""
    one = InferInput(name, list(values.shape), datatype)
    one.set_data_from_numpy(values)
    return one


def texts(*values: str) -> np.ndarray:
    """Return an array of texts."""
    return np.array([value.encode() for value in values], dtype=np.object_)


def test_health(client: InferenceServerClient) -> None:
    """The server and a model are ready; a model that does not load is not."""
    assert client.is_server_live()
    assert client.is_server_ready()
    assert client.is_model_ready("upper", "1")
    assert not client.is_model_ready("down")


def test_metadata(client: InferenceServerClient) -> None:
    """The server and a model describe themselves."""
    assert client.get_server_metadata().name == "tidemill"
    found = client.get_model_metadata("score", as_json=True)
    assert (found["name"], found["versions"]) == ("score", ["1"])
    assert [each["datatype"] for each in found["inputs"]] == ["FP64", "BYTES"]


def test_repository_index(client: InferenceServerClient) -> None:
    """All models are listed with their states."""
    states = {each.name: each.state for each in client.get_model_repository_index().models}
    assert (states["upper"], states["down"]) == ("READY", "UNAVAILABLE")


def test_text(client: InferenceServerClient) -> None:
    """Texts go in and out; the id comes back."""
    answer = client.infer("upper", [tensor("text", "BYTES", texts("é", "b"))], request_id="7")
    assert [value.decode() for value in answer.as_numpy("prediction")] == ["É", "B"]
    assert answer.get_response().id == "7"


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
    inputs = [tensor("x", "INT64", np.array([8])), tensor("name", "BYTES", texts("a"))]
    answer = client.infer("score", inputs, outputs=[InferRequestedOutput("label")])
    assert answer.as_numpy("label").tolist() == [b"a"]
    assert answer.as_numpy("p") is None


def test_async_infer(client: InferenceServerClient) -> None:
    """A request with a callback is answered."""
    answers: queue.Queue[Any] = queue.Queue()
    client.async_infer(
        "upper",
        [tensor("text", "BYTES", texts("a"))],
        callback=lambda result, error: answers.put((result, error)),
    )
    result, error = answers.get(timeout=60)
    assert error is None
    assert result.as_numpy("prediction").tolist() == [b"A"]


@pytest.mark.parametrize(
    ("model", "text", "status", "words"),
    [
        ("no-model", "a", "NOT_FOUND", "there is no model 'no-model'"),
        ("upper", "bad", "INTERNAL", "a bad text"),
        ("down", "a", "UNAVAILABLE", "this model never loads"),
    ],
)
def test_errors(
    client: InferenceServerClient, model: str, text: str, status: str, words: str
) -> None:
    """An error has its status, and says what is wrong."""
    with pytest.raises(InferenceServerException) as error:
        client.infer(model, [tensor("text", "BYTES", texts(text))])
    assert error.value.status() == f"StatusCode.{status}"
    assert words in error.value.message()


def test_streaming(client: InferenceServerClient) -> None:
    """Triton's streams are no part of V2: the error says that there are none."""
    answers: queue.Queue[Any] = queue.Queue()
    client.start_stream(lambda result, error: answers.put((result, error)))
    _, error = answers.get(timeout=60)
    assert "Method not found" in str(error)


def test_compressed(client: InferenceServerClient) -> None:
    """A request compressed by gRPC is answered."""
    inputs = [tensor("text", "BYTES", texts("a"))]
    answer = client.infer("upper", inputs, compression_algorithm="gzip")
    assert answer.as_numpy("prediction").tolist() == [b"A"]


def test_deadline(client: InferenceServerClient) -> None:
    """A request has a deadline."""
    with pytest.raises(InferenceServerException) as error:
        client.infer("upper", [tensor("text", "BYTES", texts("a"))], client_timeout=1e-6)
    assert error.value.status() == "StatusCode.DEADLINE_EXCEEDED"


async def test_asyncio(async_client: AsyncClient) -> None:
    """The client for asyncio does the same."""
    assert await async_client.is_server_ready()
    assert await async_client.is_model_ready("upper")
    inputs = [tensor("text", "BYTES", texts("a"))]
    answer = await async_client.infer("upper", inputs)
    assert answer.as_numpy("prediction").tolist() == [b"A"]
    with pytest.raises(InferenceServerException, match="no model"):
        await async_client.infer("no-model", inputs)
    assert len((await async_client.get_model_repository_index()).models) == 5
