"""The client's answers are those of the models, over both protocols, with and without `await`."""

from __future__ import annotations

import asyncio
import json
import time
from typing import TYPE_CHECKING, Any

import pytest
from served_models import MODELS

from tidemill.client import Answer, AsyncClient, Client
from tidemill.errors import InputFailed, MessageError
from tidemill.inference.engine import local_engine
from tidemill.inference.request import Request
from tidemill.models import catalogue, host

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from server_process import Server

    Ask = Callable[..., list[Answer]]

# Models with inputs and options of requests, some of which fail.
CASES: dict[str, tuple[str, list[Any], dict[str, Any]]] = {
    "text": ("upper", ["a", "é\n\u2028\0", ""], {}),
    "a bad text": ("upper", ["a", "bad", "b"], {}),
    "bad texts": ("upper", ["bad", "bad"], {}),
    "one bad text": ("upper", ["bad"], {}),
    "no text": ("upper", ["a", 1, None], {}),
    "no text at all": ("upper", [{"a": 1}], {}),
    "crash": ("upper", ["crash", "a"], {}),
    "JSON": ("score", [{"x": 1, "name": "é"}, {"x": 0.1, "name": ""}], {}),
    "bad JSON": ("score", [{"x": 1}, {"x": 1, "name": "a"}, [], "text", None], {}),
    "numbers": ("sum", [[1, 2], [0.5]], {}),
    "A/B": ("ab", [f"text {n}" for n in range(9)], {}),
    "A/B with a key": ("ab", ["a", "b"], {"key": "user 1"}),
    "A/B with a variant": ("ab", ["a", "bad"], {"variant": "two"}),
    "A/B with a bad text": ("ab", ["bad", "a", "b", "bad"], {}),
    "no such variant": ("ab", ["a", "b"], {"variant": "three"}),
    "path": ("/fares/2/TAXI", ["a"], {}),
    "quoted path": ("/fares/2/a%20b%2F%C3%A9", ["a"], {}),
    "unquoted path": ("/fares/2/a b%2Fé", ["a"], {}),
    "version": ("versions", ["a"], {"version": "2"}),
    "a version that fails": ("ab", ["bad", "a"], {"version": "2"}),
    "nothing": ("upper", [], {}),
}


def ask_http(server: Server) -> Ask:
    """Return what asks over HTTP."""
    return ask_sync(f"http://127.0.0.1:{server.port}")


def ask_grpc(server: Server) -> Ask:
    """Return what asks over gRPC."""
    return ask_sync(f"grpc://{server.address}")


def ask_http_async(server: Server) -> Ask:
    """Return what asks over HTTP on an event loop."""
    return ask_async(f"http://127.0.0.1:{server.port}")


def ask_grpc_async(server: Server) -> Ask:
    """Return what asks over gRPC on an event loop."""
    return ask_async(f"grpc://{server.address}")


def ask_sync(url: str) -> Ask:
    """Return what asks a server."""

    def ask(model: str, inputs: list[Any], **options: Any) -> list[Answer]:  # noqa: ANN401
        with Client(url) as client:
            return client.predict(model, inputs, **options)

    return ask


def ask_async(url: str) -> Ask:
    """Return what asks a server on an event loop."""

    def ask(model: str, inputs: list[Any], **options: Any) -> list[Answer]:  # noqa: ANN401
        async def call() -> list[Answer]:
            async with AsyncClient(url) as client:
                return await client.predict(model, inputs, **options)

        return asyncio.run(call())

    return ask


def plain(answers: list[Answer]) -> list[tuple[Any, ...]]:
    """Return answers as values that can be compared."""
    return [
        (
            *(each.text, each.model, each.version, each.variant),
            each.error and (type(each.error), each.error.title, each.error.detail, each.error.hint),
        )
        for each in answers
    ]


class TestEveryWay:
    """Each way to ask gives the same answers."""

    @pytest.mark.parametrize("case", CASES)
    def test_same(self, server: Server, case: str) -> None:
        """Outputs, errors, models, versions and variants are equal, one for each input."""
        model, inputs, options = CASES[case]
        ways = (ask_http, ask_http_async, ask_grpc, ask_grpc_async)
        first, *others = [plain(way(server)(model, inputs, **options)) for way in ways]
        assert [first] * 3 == others
        assert len(first) == len(inputs)

    @pytest.mark.parametrize("case", ["text", "a bad text", "bad texts", "JSON", "bad JSON"])
    @pytest.mark.parametrize("way", [ask_http, ask_grpc])
    def test_local(
        self, server: Server, way: Callable[[Server], Ask], case: str, tmp_path: Path
    ) -> None:
        """They are those of the model in this process."""
        file = tmp_path / "models.yaml"
        file.write_text(MODELS.format(folder=tmp_path))
        model, inputs, _ = CASES[case]
        routes = {route.name: route for route in catalogue.load_models(file)}
        spec = routes[model].variants[0].spec
        texts = inputs if spec.is_text else [json.dumps(each) for each in inputs]
        requests = [Request(spec, text) for text in texts]
        expected = [each.result for each in local_engine(host.load, clock=time.time).run(requests)]
        answers = way(server)(model, inputs)
        for answer, result in zip(answers, expected, strict=True):
            if isinstance(result, MessageError):
                assert isinstance(answer.error, InputFailed)
                assert answer.error.title == type(result).__name__
                assert (answer.error.detail, answer.error.hint) == (str(result), result.hint)
            else:
                assert answer.text == result
            assert (answer.model, answer.version) == (spec.name, spec.version)

    def test_output(self, server: Server) -> None:
        """An output is the JSON value, or raises the error that the answer has."""
        good, bad = ask_http(server)("score", [{"x": 4, "name": "é"}, {}])
        assert good.output == {"p": 0.5, "label": "é"}
        assert good.error is None
        with pytest.raises(InputFailed, match="is missing") as caught:
            _ = bad.output
        assert caught.value is bad.error
        assert (caught.value.title, caught.value.status) == ("InvalidInput", 400)
