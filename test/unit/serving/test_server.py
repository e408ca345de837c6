"""Tests of what a server answers, over HTTP and gRPC."""

from __future__ import annotations

import json
import struct
from typing import TYPE_CHECKING, Any

import grpc
import pytest
from server_process import infer_message

from tidemill.inference.route import Route, Variant
from tidemill.models.catalogue import load_models
from tidemill.protocol import open_inference_grpc_pb2 as pb

if TYPE_CHECKING:
    from server_process import Response, Server


def error(rpc: grpc.RpcError) -> dict[str, Any]:
    """Return the problem details of a call that failed."""
    details: dict[str, Any] = json.loads(dict(rpc.trailing_metadata())["tidemill-problem-bin"])
    return details


def refused(server: Server, model: str, *texts: str, **parameters: str) -> tuple[str, Any]:
    """Return the status and the problem details of a call over gRPC that fails."""
    with pytest.raises(grpc.RpcError) as caught:
        server.infer_grpc(model, *texts, **parameters)
    return caught.value.code().name, error(caught.value)


def outputs(response: Response) -> list[Any]:
    """Return the outputs of a V2 response, which are JSON texts."""
    assert response.status == 200
    (tensor,) = response.json["outputs"]
    assert (tensor["datatype"], tensor["shape"]) == ("BYTES", [len(tensor["data"])])
    return [json.loads(text) for text in tensor["data"]]


def grpc_outputs(message: pb.ModelInferResponse) -> list[Any]:
    """Return the outputs of a response over gRPC, which are JSON texts."""
    (tensor,) = message.outputs
    return [json.loads(text) for text in tensor.contents.bytes_contents]


class TestSame:
    """Plain requests, V2 over HTTP and V2 over gRPC give the same answers."""

    @pytest.mark.parametrize(
        "texts", [["a"], ["é", "", "x\ny", "\0", "🎈"], [str(number) for number in range(50)]]
    )
    def test_texts(self, server: Server, texts: list[str]) -> None:
        """Texts are answered in their order."""
        expected = [text.upper() for text in texts]
        plain = server.ask("upper", *texts)
        assert plain.json == {"outputs": expected, "model": "upper", "version": "1"}
        over_http = server.infer("upper", *texts, id="7")
        assert outputs(over_http) == expected
        assert over_http.json["model_name"] == "upper"
        assert over_http.json["model_version"] == "1"
        assert over_http.json["id"] == "7"
        over_grpc = server.infer_grpc("upper", *texts)
        assert grpc_outputs(over_grpc) == expected
        assert (over_grpc.model_name, over_grpc.model_version) == ("upper", "1")

    def test_columns(self, server: Server) -> None:
        """An object's fields are tensors, and typed outputs too."""
        plain = server.ask("score", {"x": 1, "name": "é"}, {"x": 0.5, "name": ""})
        expected = [{"p": 0.125, "label": "é"}, {"p": 0.0625, "label": ""}]
        assert plain.json["outputs"] == expected

        columns = [
            {"name": "x", "datatype": "FP64", "shape": [2], "data": [1, 0.5]},
            {"name": "name", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
        ]
        response = server.send("/v2/models/score/infer", {"inputs": columns})
        assert response.json["outputs"] == [
            {"name": "p", "datatype": "FP64", "shape": [2], "data": [0.125, 0.0625]},
            {"name": "label", "datatype": "BYTES", "shape": [2], "data": ["é", ""]},
        ]

        message = pb.ModelInferRequest(model_name="score")
        x = message.inputs.add(name="x", datatype="FP64", shape=[2])
        x.contents.fp64_contents.extend([1, 0.5])
        name = message.inputs.add(name="name", datatype="BYTES", shape=[2])
        name.contents.bytes_contents.extend(["é".encode(), b""])
        p, label = server.stub.ModelInfer(message).outputs
        assert [*p.contents.fp64_contents] == [0.125, 0.0625]
        assert [*label.contents.bytes_contents] == ["é".encode(), b""]

    def test_matrix(self, server: Server) -> None:
        """A tensor's rows are inputs; binary data gives binary outputs over gRPC."""
        assert server.ask("sum", [1, 2], [3, 4]).json["outputs"] == [3, 7]
        matrix = {"name": "x", "datatype": "INT8", "shape": [2, 2], "data": [[1, 2], [3, 4]]}
        response = server.send("/v2/models/sum/infer", {"inputs": [matrix]})
        assert response.json["outputs"][0]["data"] == [3, 7]
        message = pb.ModelInferRequest(
            model_name="sum", raw_input_contents=[struct.pack("<4b", 1, 2, 3, 4)]
        )
        message.inputs.add(name="x", datatype="INT8", shape=[2, 2])
        assert server.stub.ModelInfer(message).raw_output_contents == [struct.pack("<2d", 3, 7)]

    def test_binary_over_http(self, server: Server) -> None:
        """The binary extension takes binary inputs, and returns binary outputs."""
        content = struct.pack("<2h", 5, 6)
        size = {"binary_data_size": len(content)}
        tensor = {"name": "x", "datatype": "INT16", "shape": [1, 2], "parameters": size}
        asked = {"inputs": [tensor], "parameters": {"binary_data_output": True}}
        head = json.dumps(asked).encode()
        response = server.send(
            "/v2/models/sum/infer",
            head + content,
            Inference_Header_Content_Length=str(len(head)),
            Content_Type="application/octet-stream",
        )
        length = int(response.headers["inference-header-content-length"])
        assert json.loads(response.body[:length])["outputs"][0]["datatype"] == "FP64"
        assert struct.unpack("<d", response.body[length:]) == (11,)

    def test_requested_outputs(self, server: Server) -> None:
        """A request names the outputs that it wants, and in which order."""
        inputs = [
            {"name": "x", "datatype": "FP64", "shape": [1], "data": [1]},
            {"name": "name", "datatype": "BYTES", "shape": [1], "data": ["a"]},
        ]
        for wanted in (["label"], ["label", "p"]):
            asked = {"inputs": inputs, "outputs": [{"name": name} for name in wanted]}
            response = server.send("/v2/models/score/infer", asked)
            assert [each["name"] for each in response.json["outputs"]] == wanted
        asked = {"inputs": inputs, "outputs": [{"name": "none"}]}
        response = server.send("/v2/models/score/infer", asked)
        assert response.status == 400
        assert "there is no output 'none', but p, label" in response.json["detail"]

    def test_empty(self, server: Server) -> None:
        """A request without inputs has no outputs."""
        assert server.ask("upper").json["outputs"] == []
        assert outputs(server.infer("upper")) == []
        assert grpc_outputs(server.infer_grpc("upper")) == []

    def test_parameters(self, server: Server) -> None:
        """A model with parameters has them in its path, percent-encoded."""
        assert server.ask("fares/2/TAXI", "x").json["outputs"] == ["X 2-TAXI"]
        assert server.ask("fares/3/TAXI", "x").json["outputs"] == ["X 3-TAXI"]
        for path in ("fares/2/a%20b%2F%C3%A9", "fares/2/a%20b%2f%c3%a9"):
            assert server.ask(path, "x").json["model"] == "other-fare"

    def test_names(self, server: Server) -> None:
        """The names of the models, each once, are at /v2/models, and the server's at /v2/ too."""
        names = server.send("/v2/models").json["models"]
        assert names[:3] == ["upper", "upper-cased", "versions"]
        assert len(names) == len(set(names))
        assert server.send("/v2/").json == server.send("/v2").json


class TestVariants:
    """An A/B test over all protocols."""

    def test_key(self, server: Server) -> None:
        """A key decides the variant, the same over all protocols."""
        (route,) = [
            route for route in load_models(server.folder / "models.yaml") if route.name == "ab"
        ]
        assert isinstance(route, Route)
        found = set()
        for key in map(str, range(20)):
            variant = route.choose(key)
            assert isinstance(variant, Variant)
            found.add(variant.name)
            answer = "X!" if variant.name == "two" else "X"
            plain = server.ask("ab", "x", key=key).json
            assert plain == {
                "outputs": [answer],
                "model": "ab",
                "version": variant.spec.version,
                "variant": variant.name,
            }
            over_http = server.infer("ab", "x", parameters={"key": key})
            assert outputs(over_http) == [answer]
            assert over_http.json["parameters"] == {"variant": variant.name}
            over_grpc = server.infer_grpc("ab", "x", key=key)
            assert grpc_outputs(over_grpc) == [answer]
            assert over_grpc.parameters["variant"].string_param == variant.name
        assert found == {"one", "two"}

    def test_forced(self, server: Server) -> None:
        """A request forces a variant, by its name or by its version."""
        plain = server.ask("ab", "x", variant="two").json
        assert (plain["outputs"], plain["variant_forced"]) == (["X!"], True)
        assert outputs(server.infer("ab", "x", parameters={"variant": "two"})) == ["X!"]
        assert outputs(server.infer("ab/versions/2", "x")) == ["X!"]
        by_version = server.infer_grpc("ab:2", "x")
        assert grpc_outputs(by_version) == ["X!"]
        assert by_version.parameters["variant_forced"].bool_param is True

    def test_each(self, server: Server) -> None:
        """Without a key each input decides, and the response names the model of each."""
        texts = [str(number) for number in range(10)]
        plain = server.ask("ab", *texts).json
        models = [f"{each['model']}:{each['version']}" for each in plain["models"]]
        assert set(models) == {"ab:1", "ab:2"}
        over_http = server.infer("ab", *texts).json
        assert over_http["model_version"] == ""
        predictions, named = over_http["outputs"]
        assert named["name"] == "tidemill.model"
        assert named["data"] == models
        assert [json.loads(text) for text in predictions["data"]] == plain["outputs"]

    def test_unknown(self, server: Server) -> None:
        """A variant that does not exist is refused."""
        assert server.ask("ab", "x", variant="none").status == 400
        assert refused(server, "ab", "x", variant="none")[0] == "INVALID_ARGUMENT"
        response = server.infer("ab", "x", parameters={"variant": 7})
        assert response.status == 400
        assert "must be text" in response.json["detail"]


class TestErrors:
    """If some inputs fail, their errors stand in their places; if all fail, the request does."""

    @pytest.mark.parametrize(
        ("text", "name", "status"),
        [
            ("bad", "PredictionFailed", 500),
            ("few", "WrongOutputCount", 500),
            ("crash", "ModelCrashed", 500),
            ("hang", "ModelTimedOut", 504),
        ],
    )
    def test_mixed(self, server: Server, text: str, name: str, status: int) -> None:
        """Good inputs are answered beside one that fails, over all protocols."""
        model = "hasty" if text == "hang" else "upper"
        plain = server.ask(model, "a", text, "b").json["outputs"]
        assert (plain[0], plain[2]) == ("A", "B")
        details = plain[1]["error"]
        assert (details["title"], details["status"]) == (name, status)
        assert details["type"] == f"urn:tidemill:error:{name}"
        over_http = server.infer(model, "a", text, "b")
        assert outputs(over_http) == plain
        assert over_http.json["parameters"] == {"failed": 1}
        over_grpc = server.infer_grpc(model, "a", text, "b")
        assert grpc_outputs(over_grpc) == plain
        assert over_grpc.parameters["failed"].int64_param == 1

    @pytest.mark.parametrize(
        ("text", "status", "code"),
        [("bad", 500, "INTERNAL"), ("hang", 504, "DEADLINE_EXCEEDED")],
    )
    def test_all(self, server: Server, text: str, status: int, code: str) -> None:
        """If every input fails, the response has the status of the first error."""
        model = "hasty" if text == "hang" else "upper"
        for response in (server.ask(model, text, text), server.infer(model, text)):
            assert response.status == response.json["status"] == status
        details = response.json
        assert details.pop("error") == details["detail"]
        assert refused(server, model, text) == (code, details)

    def test_media_types(self, server: Server) -> None:
        """Errors are problem details, and plain JSON over V2, as its clients expect."""
        for path, status, media_type in (
            ("/upper", 400, "problem+json"),
            ("/v2/models/upper/infer", 400, "json"),
            ("/v2/models/upper/config", 404, "json"),
            ("/v2", 405, "json"),
            ("/v2x", 404, "problem+json"),
        ):
            response = server.send(path, b"no JSON")
            assert response.status == status, path
            assert response.headers["content-type"] == f"application/{media_type}", path
            assert ("error" in response.json) == (media_type == "json"), path

    def test_schema(self, server: Server) -> None:
        """An input that violates its schema gets 400."""
        response = server.ask("score", {"x": "1", "name": "a"})
        assert (response.status, response.json["title"]) == (400, "InvalidInput")
        mixed = server.ask("score", {"x": 8, "name": "a"}, {"x": 1}, 7).json["outputs"]
        assert mixed[0] == {"p": 1, "label": "a"}
        assert [each["error"]["title"] for each in mixed[1:]] == ["InvalidInput"] * 2

    @pytest.mark.parametrize(
        ("path", "status", "words"),
        [
            ("/none", 404, "there is no path '/none'"),
            ("/uper", 404, "Did you mean /upper"),
            ("/versions", 404, "there is no path"),
            ("/fares/4/TAXI", 404, "Did you mean /fares/"),
            ("/v2/models/none/infer", 404, "there is no model 'none'"),
            ("/v2/models/upper/versions/9/infer", 404, "Did you mean upper:1?"),
            ("/v2/models/versions/infer", 400, "several versions, such as 1, 2: name one"),
        ],
    )
    def test_unknown(self, server: Server, path: str, status: int, words: str) -> None:
        """Unknown paths, models and versions are refused, and the hint names near ones."""
        tensor = {"name": "x", "datatype": "BYTES", "shape": [1], "data": ["a"]}
        body = {"inputs": [tensor] if "v2" in path else ["a"]}
        response = server.send(path, body)
        assert response.status == status
        assert words in f"{response.json['detail']} {response.json.get('hint')}"

    @pytest.mark.parametrize(
        ("model", "code"),
        [("none", "NOT_FOUND"), ("upper:9", "NOT_FOUND"), ("versions", "INVALID_ARGUMENT")],
    )
    def test_unknown_over_grpc(self, server: Server, model: str, code: str) -> None:
        """A call is refused with the same details."""
        name, _, version = model.partition(":")
        path = f"{name}/versions/{version}" if version else name
        over_http = server.infer(path, "a").json
        assert over_http.pop("error") == over_http["detail"]
        assert refused(server, model, "a") == (code, over_http)

    def test_methods(self, server: Server) -> None:
        """Another method of a path is refused with 405."""
        for path in ("/upper", "/v2/models/upper/infer"):
            assert server.send(path).status == 405
        assert server.send("/healthz", {}).status == 405
        head = server.send("/healthz", method="HEAD")
        assert (head.status, head.body) == (200, b"")

    def test_not_text(self, server: Server) -> None:
        """An input that is not text has an error in its place if the model takes texts."""
        first, second = server.ask("upper", "a", 7).json["outputs"]
        assert first == "A"
        assert second["error"]["title"] == "InvalidInput"
        assert second["error"]["detail"] == "must be text, not number"

    def test_others_are_answered(self, server: Server) -> None:
        """While an input hangs, other requests are answered."""
        hanging = server.stub.ModelInfer.future(infer_message("hasty", "hang"))
        for number in range(20):
            assert server.ask("upper-cased", f"x{number}").json["outputs"] == [f"X{number}"]
        assert hanging.exception().code().name == "DEADLINE_EXCEEDED"
