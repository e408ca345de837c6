"""A batch as a job: what an attempt does about those before it, without any model process."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from dev.pipeline.models import model_entry
from tidemill.batch.staging import Staging
from tidemill.errors import (
    InvalidParameters,
    ModelNotChosen,
    OutputExists,
    OutputInUse,
    UnknownModel,
)
from tidemill.jobs import Batch, Predict
from tidemill.jobs.chosen import every_row, load, one_model
from tidemill.tasks.job import Job
from tidemill.tasks.report import Report

SUMMARY = {
    "input": "jsonl:/in", "output": "jsonl:/out", "engine": "local", "messages": 2, "results": 2,
    "dead_letters": 0, "skipped": 0, "models": {"a:1": 2}, "errors": {}, "continued": 0,
    "first_seconds": 0.1, "seconds": 0.2, "id": "r1",
}  # fmt: skip


@pytest.fixture(autouse=True)
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The working folder of a worker, with settings, two models and an input."""
    monkeypatch.chdir(tmp_path)
    french = model_entry("Upper") | {"name": "french", "match": {"lang": "fr"}}
    entries = [model_entry("Upper"), french]
    Path("models.yaml").write_text(yaml.safe_dump({"models": entries}))
    Path("config.yaml").write_text("models: models.yaml")
    Path("in").mkdir()
    Path("in/a.jsonl").write_text('{"text": "a", "lang": "en"}\n')
    return tmp_path


def run(report: Report, **parameters: str) -> dict[str, Any]:
    """Run the job with parameters as a client sends them."""
    job = Job("score", "tidemill.jobs:Batch")
    batch = Batch("config.yaml", inputs="in", outputs="out")
    return batch.run(job.parse(json.dumps({"input": "a.jsonl"} | parameters)), report)


def reporter(run: str, attempt: int, on_told: Any = lambda _: None) -> Report:  # noqa: ANN401
    """Return the report of an attempt."""
    return Report(run, attempt, on_told, 1000)


def publish(name: str, summary: dict[str, Any] | None) -> None:
    """Make an output appear."""
    Path("out", name).mkdir(parents=True)
    if summary:
        Path("out", name, "summary.json").write_text(json.dumps(summary))


def test_published() -> None:
    """If the output of an earlier attempt appeared just before its end, its summary is returned."""
    publish("r1", SUMMARY)
    publish("scored", SUMMARY)
    assert run(reporter("r1", 2))["messages"] == 2
    named = run(reporter("r1", 2), output="csv:scored")
    assert (named["input"], named["output"]) == ("jsonl:a.jsonl", "csv:scored")


@pytest.mark.parametrize("summary", [SUMMARY, None, {"id": "r2"}])
def test_of_another(summary: dict[str, Any] | None) -> None:
    """The output of another run is neither replaced nor returned, whatever the attempt."""
    publish("scored", summary)
    for attempt in (1, 2):
        with pytest.raises(OutputExists, match=r"^scored exists already"):
            run(reporter("r2", attempt), output="scored")


def test_in_use() -> None:
    """A first attempt does not wait for another run's output; a later one waits for its own."""
    phrases = []

    def end_the_other(told: dict[str, Any]) -> None:
        phrases.append(told["phrase"])
        if told["phrase"].startswith("waiting") and not Path("out/r1").exists():
            publish("r1", SUMMARY)

    with Staging.beside("out/r1").locked():
        with pytest.raises(OutputInUse):
            run(reporter("r1", 1))
        assert run(reporter("r1", 2, end_the_other))["messages"] == 2
    assert phrases == ["waiting until an earlier attempt ends"]


def test_models() -> None:
    """A named model answers every row; a name must be that of one entry, if one is needed."""
    _, routes = load("config.yaml")
    assert every_row(routes, None) == routes
    (route,) = every_row(routes, "french")
    assert (route.name, route.match) == ("french", {})
    assert one_model(routes[:1], None) == routes[0].variants[0].spec
    with pytest.raises(ModelNotChosen, match="needs one model, but there are 2: ") as error:
        one_model(routes, None)
    assert "`model`" in error.value.hint
    with pytest.raises(ModelNotChosen):
        every_row(routes, "*")
    with pytest.raises(UnknownModel, match="german"):
        every_row(routes, "german")


def test_refused() -> None:
    """A path that leads elsewhere is refused with the parameters, in plain words."""
    with pytest.raises(InvalidParameters, match="input: the path must be relative"):
        Job("score", "tidemill.jobs:Batch").parse('{"input": "../a.jsonl"}')


def test_schemas() -> None:
    """Clients see what the parameters mean, and which may be left out."""
    schema = Job("score", "tidemill.jobs:Batch").schema
    assert schema["required"] == ["input"]
    assert all(field["description"] for field in schema["properties"].values())
    assert Job("answer", "tidemill.jobs:Predict").schema["required"] == ["inputs"]
    assert Predict("config.yaml")
