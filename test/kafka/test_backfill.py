"""A backfill runs beside the stream, and says how its answers differ from the stream's."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import yaml
from rich.console import Console

from dev.kafka.topics import committed_offsets, create_topic, delete_topic
from dev.pipeline.models import model_entry
from dev.pipeline.pipeline import message
from dev.pipeline.records import produce
from tidemill.batch import run as runs
from tidemill.bootstrap.backfill import backfill
from tidemill.bootstrap.batch import batch
from tidemill.bootstrap.places import Bounds
from tidemill.errors import InvalidSelection, OutputUnusable, TopicMissing, UnknownModel
from tidemill.kafka.group_commit import GroupCommitter
from tidemill.settings import Settings
from tidemill.terminal.differences import show_differences

if TYPE_CHECKING:
    from collections.abc import Callable

    from dev.kafka.broker import Broker
    from dev.pipeline.pipeline import Pipeline
    from dev.pipeline.records import Record
    from tidemill.batch.differences import Differences
    from tidemill.batch.summary import Summary

EVERYTHING = Bounds("earliest", "latest")
# Each message by its text: the model m has answered those that are not late.
TEXTS = {"SAME": "en", "changed": "en", "raise": "en", "gone": "de", "late": "en", "other": "fr"}
COUNTS = {"SAME": 7, "changed": 6, "raise": 2, "gone": 3, "late": 4}


@pytest.fixture
def live(pipeline: Pipeline, monkeypatch: pytest.MonkeyPatch) -> Pipeline:
    """Topics as after a stream that has answered most of its input, some of it twice.

    A batch writes the same records as the stream, without Spark.
    """
    monkeypatch.chdir(pipeline.folder)
    early = [text for text, count in COUNTS.items() if text != "late" for _ in range(count)]
    pipeline.produce(*(message(i, text, TEXTS[text]) for i, text in enumerate(early)))
    german = {"version": "0", "match": {"lang": "de"}}
    entries = [model_entry("Upper", name="m"), model_entry("Upper", name="m") | german]
    write_models(pipeline, *entries)
    target = f"kafka:{pipeline.output}"
    batch(settings(pipeline), f"kafka:{pipeline.source}", target, quietly, engine="local")
    repeated = pipeline.results()[:3]
    produce(
        pipeline.broker.bootstrap_servers,
        pipeline.output,
        *({"value": record.value, "headers": record.headers} for record in repeated),
    )
    pipeline.produce(*(message(i, "late") for i in range(COUNTS["late"])))
    french = {"name": "french", "match": {"lang": "fr"}}
    write_models(
        pipeline, model_entry("Echo", name="m") | {"version": "2"}, model_entry("Upper") | french
    )
    return pipeline


def quietly(*_: object, **__: object) -> None:
    """Show no progress."""


def write_models(live: Pipeline, *entries: dict[str, Any]) -> None:
    """Write models.yaml."""
    (live.folder / "models.yaml").write_text(yaml.safe_dump({"models": list(entries)}))


def settings(live: Pipeline, **stream: Any) -> Settings:  # noqa: ANN401 - settings
    """Return the settings of the stream."""
    return Settings(
        models=live.folder / "models.yaml",
        kafka={"bootstrap_servers": live.broker.bootstrap_servers},
        pool={"processes": 1},
        stream={
            "input_topics": [live.source],
            "output_topic": live.output,
            "dead_letter_topic": live.dead,
            "group_id": live.source,
            **stream,
        },
    )


def run(
    live: Pipeline,
    target: str = "out",
    bounds: Bounds = EVERYTHING,
    **options: Any,  # noqa: ANN401 - options
) -> tuple[Summary, Differences | None]:
    """Run a backfill of the stream's input."""
    chosen: dict[str, Any] = {"model": "m", "engine": "local", "part_rows": 10} | options
    return backfill(settings(live), live.source, target, quietly, bounds=bounds, **chosen)


def kinds(folder: str) -> dict[str, list[str]]:
    """Return the text of each difference by its kind: the answers of the stream or the backfill."""
    found: dict[str, list[str]] = {}
    for line in Path(folder, "differences.jsonl").read_text().splitlines():
        each = json.loads(line)
        sides = [each[side] and each[side].get("result") for side in ("backfill", "live")]
        answers = [side["answer"] for side in sides if side]
        found.setdefault(each["kind"], []).append(answers[0])
    return {kind: sorted(answers) for kind, answers in found.items()}


class TestBackfill:
    """Every message of the range is the same, changed, new, missing, or of another model."""

    def test_folder(self, live: Pipeline) -> None:
        """The counts add up, all differences are in a file, and the stream is left alone."""
        group = GroupCommitter(settings(live).kafka, live.source)
        group({(live.source, 0): 1, (live.source, 2): 2})
        before = live.results(), live.dead_letters()
        summary, found = run(live)
        assert found is not None
        assert (summary.messages, summary.results, summary.skipped) == (22, 19, 3)
        assert (found.same, found.changed, found.new, found.missing) == (7, 8, 4, 3)
        assert kinds("out") == {
            "changed": ["changed"] * 6 + ["raise"] * 2,
            "new": ["late"] * 4,
            "missing": ["GONE"] * 3,
        }
        assert len(found.sample) == 5 + 4 + 3
        assert (live.results(), live.dead_letters()) == before
        assert committed_offsets(live.broker.bootstrap_servers, live.source, live.source) == {
            0: 1,
            2: 2,
        }
        shown = Console(width=120, record=True)
        show_differences(shown, found)
        text = shown.export_text()
        assert f"compared with {live.output}: 7 same, 8 changed, 4 new, 3 missing" in text
        assert '{"answer":"changed"}' in text
        assert '{"answer":"CHANGED"}' in text

    def test_topic(
        self,
        live: Pipeline,
        broker: Broker,
        read_topic: Callable[[str], list[Record]],
        monkeypatch: pytest.MonkeyPatch,
    ) -> None:
        """The results may go to a topic of their own; a run that ended after that continues."""
        topic = f"{live.output}-again"
        for name in (topic, f"{topic}.dlq"):
            create_topic(broker.bootstrap_servers, name)
        with monkeypatch.context() as patched:
            patched.setattr(runs, "publish", lambda *_: 1 / 0)
            with pytest.raises(ZeroDivisionError):
                run(live, f"kafka:{topic}", model=None)
        summary, found = run(live, f"kafka:{topic}", model=None)
        assert found is not None
        assert (summary.results, summary.dead_letters) == (19, 3)
        assert (found.same, found.changed, found.new, found.missing) == (7, 11, 4, 0)
        assert len(read_topic(topic)) == 19
        assert {r.header("tidemill.error.class") for r in read_topic(f"{topic}.dlq")} == {"NoModel"}

    def test_range(self, live: Pipeline) -> None:
        """What the stream has answered outside of the range is not missing."""
        _, found = run(live, bounds=Bounds("0", "0"))
        assert found is not None
        assert (found.same, found.changed, found.new, found.missing) == (0, 0, 0, 0)

    def test_refused(self, live: Pipeline) -> None:
        """A backfill writes to no topic of the stream, and needs something to compare with."""
        for topic in (live.output, live.dead, live.source):
            with pytest.raises(OutputUnusable, match="the stream uses it"):
                run(live, f"kafka:{topic}")
        with pytest.raises(OutputUnusable, match="writes no parquet"):
            run(live, "parquet:out")
        with pytest.raises(UnknownModel):
            run(live, model="nobody")
        with pytest.raises(InvalidSelection):
            run(live, bounds=Bounds("yesterday", "latest"))
        delete_topic(live.broker.bootstrap_servers, live.dead)
        with pytest.raises(TopicMissing) as missing:
            run(live)
        assert "--no-compare" in missing.value.hint
        summary, found = run(live, with_live=False)
        assert (summary.results, found) == (19, None)
        assert not Path("out/differences.json").exists()
