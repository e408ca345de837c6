"""A batch on Spark gives the answers of a batch on this machine."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from batch_runs import dead_letters, in_process, on_spark, results, run_batch, write_rows
from example_models import Upper
from py4j.protocol import Py4JError
from pyspark.errors import PySparkException

from tidemill.errors import InputUnreadable, ModelUnavailable
from tidemill.inference.route import single_routes
from tidemill.spark.failures import translate

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from pyspark.sql import SparkSession

    from tidemill.batch.answer import Work
    from tidemill.batch.meter import Meter
    from tidemill.inference.model import ModelSpec

TIMES = {"ts_start", "ts_end", "process_time"}
ROWS = [
    {"text": "raise" if i % 50 == 7 else f'"{i}",\né', "lang": "en", "n": i} for i in range(2000)
]


@pytest.fixture(autouse=True)
def _folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder."""
    monkeypatch.chdir(tmp_path)


def answers(folder: str) -> list[Any]:
    """Return the results and dead letters of an output without times, by their rows."""
    rows = [
        {name: value for name, value in row.items() if name not in TIMES}
        for row in results(Path(folder))
    ]
    return sorted(map(str, rows)) + sorted(map(str, dead_letters(Path(folder))))


class TestSameAnswers:
    """Both engines read, predict and write the same."""

    @pytest.mark.parametrize(
        ("source", "target"),
        [("jsonl", "parquet"), ("csv", "csv"), ("parquet", "delta"), ("delta", "jsonl")],
    )
    def test_formats(
        self, spark: SparkSession, model: Callable[..., ModelSpec], source: str, target: str
    ) -> None:
        """The results, the dead letters and the numbers are equal, whatever the format."""
        routes = single_routes([model("Upper")])
        if source == "delta":
            write_rows(source, Path("in"), ROWS)
        else:
            Path("in").mkdir()
            for number in range(3):
                write_rows(source, Path(f"in/{number}"), ROWS[number::3])
        given = f"{source}:{Path('in').absolute()}"
        here = run_batch(routes, given, f"{target}:here", in_process(routes, Upper()))
        there = run_batch(
            routes, given, f"{target}:there", on_spark(routes, spark), part_rows=600, name="spark"
        )
        assert (here.messages, here.dead_letters) == (2000, 40)
        assert answers("there") == answers("here")
        for name in ("messages", "results", "dead_letters", "models", "errors"):
            assert getattr(there, name) == getattr(here, name)

    def test_split_file(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A large file is read by several tasks, with the right line numbers."""
        lines = [json.dumps({"text": "x" * 3000, "lang": "en"})] * 1500
        Path("in.jsonl").write_text("\n".join(lines))
        routes = single_routes([model("Upper")])
        run_batch(routes, "in.jsonl", "out", on_spark(routes, spark), name="spark")
        splits = {path.name[:10] for path in Path("out/results").iterdir()}
        assert len(splits) > 2
        numbers = [row["tidemill.source"]["line"] for row in results(Path("out"))]
        assert numbers == list(range(1, 1501))


class TestFailures:
    """A run on Spark that fails continues on either engine."""

    def test_broken_split(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A file that cannot be read is named; what others have answered stays."""
        Path("in").mkdir()
        for number in range(4):
            lines = [json.dumps({"text": str(i), "lang": "en"}) for i in range(1000)]
            Path(f"in/{number}.jsonl").write_text("\n".join(lines) + "\n" + " " * 1_100_000)
        broken = Path("in/3.jsonl")
        content = broken.read_bytes()
        modified = broken.stat().st_mtime_ns

        def engine(work: Work, splits: Sequence[int], meter: Meter) -> None:
            broken.unlink()
            on_spark(routes, spark)(work, splits, meter)

        routes = single_routes([model("Upper")])
        with pytest.raises((PySparkException, Py4JError)) as caught:
            run_batch(routes, "in", "out", engine, name="spark")
        error = translate(caught.value, "checkpoint")
        assert isinstance(error, InputUnreadable)
        assert re.search(r"cannot read .*3\.jsonl", str(error))
        assert not Path("out").exists()
        broken.write_bytes(content)
        os.utime(broken, ns=(modified, modified))
        summary = run_batch(routes, "in", "out", in_process(routes, Upper()))
        assert summary.continued >= 1000
        assert summary.results == 4000

    def test_model_is_down(self, spark: SparkSession, model: Callable[..., ModelSpec]) -> None:
        """A model that is down is named, and there are no dead letters."""
        Path("in.jsonl").write_text(json.dumps({"text": "a", "lang": "en"}))
        routes = single_routes([model("Broken")])
        with pytest.raises((ModelUnavailable, PySparkException, Py4JError)) as caught:
            run_batch(routes, "in.jsonl", "out", on_spark(routes, spark), name="spark")
        assert "ModelUnavailable" in f"{type(caught.value)} {caught.value}"
        assert not Path("out").exists()
        assert not list(Path(".out.tidemill/dead-letters").iterdir())
