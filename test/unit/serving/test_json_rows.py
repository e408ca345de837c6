"""V2 requests whose rows are JSON texts, and plain requests for the error of each input."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
from server_process import infer_message

if TYPE_CHECKING:
    from server_process import Server


def over_http(server: Server, model: str, *texts: str, **parameters: str) -> dict[str, Any]:
    """Return the tensors of the response to JSON texts over HTTP."""
    response = server.infer(model, *texts, parameters={"json": True} | parameters)
    assert response.status == 200, response.body
    return {each["name"]: each["data"] for each in response.json["outputs"]}


def over_grpc(server: Server, model: str, *texts: str, **parameters: str) -> dict[str, Any]:
    """Return the same over gRPC."""
    message = infer_message(model, *texts, **parameters)
    message.parameters["json"].bool_param = True
    outputs = server.stub.ModelInfer(message).outputs
    return {each.name: [t.decode() for t in each.contents.bytes_contents] for each in outputs}


@pytest.mark.parametrize("ask", [over_http, over_grpc])
class TestJson:
    """With the parameter `json`, inputs and outputs are JSON texts, whatever the model takes."""

    def test_outputs(self, server: Server, ask: Any) -> None:  # noqa: ANN401
        """A model of texts gets the text, others the value; an output is one JSON text."""
        assert [*ask(server, "upper", '"a"', '"b"').values()] == [['"A"', '"B"']]
        (outputs,) = ask(server, "score", '{"x": 1, "name": "a"}').values()
        assert [json.loads(text) for text in outputs] == [{"p": 0.125, "label": "a"}]

    def test_errors(self, server: Server, ask: Any) -> None:  # noqa: ANN401
        """Each input has its own error, even if all fail."""
        outputs, *_ = ask(server, "upper", '"bad"', "1", "{", "", '"bad"').values()
        errors = [json.loads(text)["error"] for text in outputs]
        assert [each["title"] for each in errors] == [
            "PredictionFailed",
            *["InvalidInput"] * 3,
            "PredictionFailed",
        ]

    def test_models(self, server: Server, ask: Any) -> None:  # noqa: ANN401
        """If rows got different models, they are named, and so are the variants."""
        outputs = ask(server, "ab", *(f'"{n}"' for n in range(10)))
        plain = server.ask("ab", *map(str, range(10))).json["models"]
        assert outputs["tidemill.model"] == [f"ab:{each['version']}" for each in plain]
        assert outputs["tidemill.variant"] == [each["variant"] for each in plain]

    def test_path(self, server: Server, ask: Any) -> None:  # noqa: ANN401
        """GRPC takes a path in place of the name."""
        if ask is over_grpc:
            assert [*ask(server, "/fares/2/TAXI", '"a"').values()] == [['"A 2-TAXI"']]


@pytest.mark.parametrize(
    "tensor",
    [
        {"datatype": "INT8", "shape": [1], "data": [1]},
        {"datatype": "BYTES", "shape": [1, 2], "data": ["1", "2"]},
    ],
)
def test_other_tensors(server: Server, tensor: dict[str, Any]) -> None:
    """Tensors of other forms are refused."""
    body = {"parameters": {"json": True}, "inputs": [{"name": "x"} | tensor]}
    response = server.send("/v2/models/upper/infer", body)
    assert response.status == 400
    assert "a JSON text in each row" in response.json["detail"]


def test_plain(server: Server) -> None:
    """A plain request with `errors: each` has the error of each input, even if all fail."""
    assert server.ask("upper", "bad", 1).status == 500
    response = server.ask("upper", "bad", 1, errors="each")
    assert response.status == 200
    titles = [each["error"]["title"] for each in response.json["outputs"]]
    assert titles == ["PredictionFailed", "InvalidInput"]
    assert server.ask("upper", "a", errors="all").status == 400


def test_outage(server: Server) -> None:
    """An error that blames no input is that of the request."""
    response = server.send("/gate", {"inputs": ["wait"], "errors": "each"}, Tidemill_Timeout="0.05")
    assert (response.status, response.json["title"]) == (504, "DeadlineExceeded")
    server.open_gate()
