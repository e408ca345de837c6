"""Requests to a server, and what they got, stand in topics as if a stream had answered them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest
import server_process
from server_process import infer_message

from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable
    from pathlib import Path

    from pyspark.sql import SparkSession
    from server_process import Server

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline
    from dev.pipeline.records import Record

MODELS = """
models:
  - {{name: upper, version: 1, adapter: "served_models:Upper", sample: a, payload: text,
      match: {{to: upper}}, limits: {{chars: 100}}}}
  - {{name: score, version: 1, adapter: "served_models:Score", match: {{to: score}},
      id_field: id}}
  - name: ab
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: ab}}
    payload: input
    variants:
      one: {{weight: 30}}
      two: {{weight: 70, version: 2, options: {{suffix: "!"}}}}
  - name: by-user
    version: 1
    adapter: served_models:Upper
    sample: a
    match: {{to: by-user}}
    payload: input
    split_by: user
    variants:
      one: {{weight: 50}}
      two: {{weight: 50, version: 2, options: {{suffix: "?"}}}}
"""
TIMES = {"ts_start", "ts_end", "process_time"}


def ask(server: Server) -> int:
    """Send requests over both protocols; return how many inputs a model was chosen for."""
    asked = 0
    for number in range(20):
        texts = [f"text {number}", "é 😀", "bad", "x" * 101]
        server.ask("upper", *texts)
        server.ask("ab", f"text {number}")
        server.ask("ab", f"text {number}", key=f"user {number}")
        server.ask("ab", "forced", variant="one")
        server.ask("by-user", f"text {number}", key=f"user {number}")
        server.stub.ModelInfer(infer_message("ab:2", f"grpc {number}"), timeout=120)
        asked += len(texts) + 5
    server.ask("score", {"x": 1.5, "name": "a", "id": 7}, {"x": "1", "name": "a", "to": "score"})
    server.ask("upper", 1)  # never an input of the model
    assert server.ask("by-user", "without a key").status == 400
    return asked + 2


def by_source(records: Iterable[Record]) -> dict[tuple[int, int], Any]:
    """Return outcomes without their times: key, value and headers, by partition and offset."""
    outcomes = {}
    for record in records:
        value = json.loads(record.value or b"")
        kept = {name: each for name, each in value.items() if name not in TIMES}
        outcomes[record.source] = record.key, kept, record.headers
    return outcomes


@pytest.fixture
def served(
    pipeline: Pipeline, make_topic: Callable[..., str], monkeypatch: pytest.MonkeyPatch
) -> dict[str, str]:
    """The settings of a server that writes to the pipeline's input and to topics of its own."""
    servers = pipeline.broker.bootstrap_servers
    monkeypatch.setenv("TIDEMILL__KAFKA__BOOTSTRAP_SERVERS", servers)
    return {
        "request_topic": pipeline.source,
        "result_topic": make_topic("served"),
        "dead_letter_topic": make_topic("served-dead"),
    }


def test_replayed(
    spark: SparkSession,
    pipeline: Pipeline,
    served: dict[str, str],
    read_topic: Callable[[str], list[Record]],
    tmp_path: Path,
) -> None:
    """A stream that reads the served requests writes what the server wrote, times excluded."""
    (tmp_path / "models.yaml").write_text(MODELS.format())
    with server_process.running(models=MODELS, **served) as server:
        asked = ask(server)
        assert server.stop() == 0
    results, letters = (
        by_source(read_topic(served[name])) for name in ("result_topic", "dead_letter_topic")
    )
    assert len(pipeline.inputs()) == asked == len(results) + len(letters)
    errors = {dict(headers)["tidemill.error.class"] for _, _, headers in letters.values()}
    assert errors == {b"PredictionFailed", b"InputTooLong", b"InvalidInput"}
    pipeline.answer_all(spark, catalogue.load_models(tmp_path / "models.yaml"))
    assert by_source(pipeline.results()) == results
    assert by_source(pipeline.dead_letters()) == letters


def test_without_a_broker(broker: Broker, monkeypatch: pytest.MonkeyPatch) -> None:
    """If Kafka refuses or does not answer, requests are answered, and losses are counted."""
    monkeypatch.setenv("TIDEMILL__KAFKA__BOOTSTRAP_SERVERS", "127.0.0.1:1")
    with server_process.running(models=MODELS, request_topic="nowhere") as server:
        assert server.ask("upper", "a", "b").json["outputs"] == ["A", "B"]
        assert server.stop() == 0
        (lost,) = [line for line in server.log if "loses records" in line["event"]]
        assert lost["reason"] == "the server has stopped"
