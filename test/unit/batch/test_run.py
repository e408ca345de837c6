"""Refuse, stop and continue batches."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import structlog
from batch_runs import dead_letters, in_process, results, run_batch
from example_models import Broken, Upper
from specs import make_spec

from dev import ROOT
from tidemill.batch import block
from tidemill.batch import run as runs
from tidemill.batch.run import digest
from tidemill.batch.staging import Staging
from tidemill.errors import (
    InputChanged,
    ModelUnavailable,
    OutputExists,
    OutputInUse,
)
from tidemill.inference.route import single_routes
from tidemill.models import catalogue

if TYPE_CHECKING:
    from collections.abc import Callable

    from tidemill.batch.summary import Summary

ROUTES = single_routes([make_spec(payload="text", id_field=None)])
ROWS = 20
OUT = Path("out")


class Acting(Upper):
    """Answer in capitals; do something at a call."""

    def __init__(self, act: Callable[[], object], at: int = 3) -> None:
        self._act, self._left = act, at

    def predict_all(self, inputs: list[str]) -> list[str]:
        """Answer every input."""
        self._left -= 1
        if self._left == 0:
            self._act()
        return super().predict_all(inputs)


@pytest.fixture(autouse=True)
def _input(monkeypatch: pytest.MonkeyPatch) -> None:
    """Write an input, and make every two rows a part."""
    monkeypatch.setattr(block, "BLOCK_ROWS", 2)
    write_input()


def write_input(text: str = "text", rows: int = ROWS) -> None:
    """Write lines."""
    lines = [json.dumps({"text": f"{text} {i}"}) for i in range(rows)]
    Path("in.jsonl").write_text("\n".join(lines))


def append() -> None:
    """Append a line."""
    with Path("in.jsonl").open("a") as file:
        file.write("\n{}")


def rewrite() -> None:
    """Write other lines of the same length."""
    write_input("news")


def replace() -> None:
    """Put another file in the place of the input."""
    Path("new").write_bytes(Path("in.jsonl").read_bytes())
    Path("new").rename("in.jsonl")


def run(model: Any = None, **options: Any) -> Summary:  # noqa: ANN401
    """Run the batch, from lines to lines."""
    engine = in_process(ROUTES, model or Upper())
    return run_batch(ROUTES, "in.jsonl", "out", engine, part_rows=2, **options)


def outputs() -> list[str]:
    """Return the outputs of the results."""
    return [row["out"] for row in results(OUT)]


class TestFailures:
    """A run that fails publishes nothing, and continues once the reason is gone."""

    def test_model_is_down(self) -> None:
        """A model that fails on its sample, too, is not the fault of the rows: no dead letters."""
        with pytest.raises(ModelUnavailable):
            run(Broken())
        assert not OUT.exists()
        assert not list(Path(".out.tidemill/dead-letters").iterdir())
        assert run().results == ROWS

    def test_model_goes_down(self) -> None:
        """What was answered before is not answered again."""

        class GoesDown(Upper):
            calls = 0

            def predict_all(self, inputs: list[str]) -> list[str]:
                GoesDown.calls += 1
                if GoesDown.calls > 5:
                    raise ConnectionError("no route")
                return super().predict_all(inputs)

        with pytest.raises(ModelUnavailable):
            run(GoesDown())
        assert not OUT.exists()
        summary = run()
        assert (summary.messages, summary.results) == (ROWS, ROWS)
        assert 0 < summary.continued < ROWS
        assert outputs() == [f"TEXT {i}" for i in range(ROWS)]

    def test_other_outcome_the_second_time(self) -> None:
        """A dead letter of a part that was not committed is not published."""
        staging = Staging.beside("out")
        with pytest.raises(ModelUnavailable):
            run(Broken())
        staging.write("dead-letters/part-00000-00000.jsonl", b"of a killed run\n")
        assert run().dead_letters == 0
        assert not (OUT / "dead-letters").exists()

    def test_some_rows(self) -> None:
        """A model that fails on some rows, but not on its sample, makes dead letters of them."""
        lines = [json.dumps({"text": text}) for text in ("a", "raise", "b")]
        Path("in.jsonl").write_text("\n".join(lines))
        summary = run()
        assert (summary.results, summary.errors) == (2, {"PredictionFailed": 1})
        (letter,) = dead_letters(OUT)
        assert letter["headers"]["tidemill.source.line"] == "2"

    def test_file_size_limit(self) -> None:
        """A disk that takes no more is named; the run continues when it does."""
        write_input("x" * 2000, 200)
        program = f"""
import resource, sys
sys.path[:0] = [{str(ROOT / "test/doubles")!r}]
resource.setrlimit(resource.RLIMIT_FSIZE, (100_000, resource.RLIM_INFINITY))
import signal; signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
from batch_runs import *; from example_models import Upper; from specs import make_spec
from tidemill.inference.route import single_routes
routes = single_routes([make_spec(payload="text", id_field=None)])
run_batch(routes, "in.jsonl", "out", in_process(routes, Upper()))
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=False
        )
        assert "/.out.tidemill: " in done.stderr
        assert not OUT.exists()
        engine = in_process(ROUTES, Upper())
        assert run_batch(ROUTES, "in.jsonl", "out", engine).results == 200


class TestInput:
    """The input of a run stays as it is."""

    @pytest.mark.parametrize("change", [append, rewrite, replace])
    def test_changed_while_read(self, change: Callable[[], object]) -> None:
        """The run fails and publishes nothing; the next one starts over."""
        with pytest.raises(InputChanged):
            run(Acting(change))
        assert not OUT.exists()
        with structlog.testing.capture_logs() as logs:
            summary = run()
        assert [(log["event"][:29], log["by"]) for log in logs] == [
            ("an earlier run did not end, b", "input")
        ]
        assert summary.continued == 0
        lines = Path("in.jsonl").read_text().splitlines()
        assert summary.messages == len(lines)

    def test_changed_between_runs(self) -> None:
        """A run does not continue with another input."""
        with pytest.raises(ModelUnavailable):
            run(Broken())
        write_input("other", 5)
        summary = run()
        assert (summary.messages, summary.continued) == (5, 0)
        assert outputs() == [f"OTHER {i}" for i in range(5)]


class TestOutput:
    """One run writes an output, and only a new one."""

    def test_exists(self) -> None:
        """An output that exists is not touched."""
        OUT.mkdir()
        with pytest.raises(OutputExists):
            run()
        assert not Path(".out.tidemill").exists()

    def test_appears_meanwhile(self) -> None:
        """An output that somebody else creates is not touched; the run can end elsewhere."""
        with pytest.raises(OutputExists):
            run(Acting(OUT.mkdir))
        assert not list(OUT.iterdir())
        OUT.rmdir()
        assert run().continued == ROWS

    def test_other_parts_after_all_are_answered(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Results that may have been sent already are not made again for other parts."""
        with pytest.raises(OutputExists):
            run(Acting(OUT.mkdir))
        OUT.rmdir()
        monkeypatch.setattr(runs, "__version__", "another")
        engine = in_process(ROUTES, Broken())
        assert run_batch(ROUTES, "in.jsonl", "out", engine, part_rows=5).continued == ROWS

    def test_two_at_once(self) -> None:
        """The second run of a command is refused."""

        def again() -> None:
            with pytest.raises(OutputInUse, match=r"\.out\.tidemill"):
                run()

        assert run(Acting(again)).results == ROWS

    def test_nothing_else_remains(self) -> None:
        """Only the output remains."""
        run()
        left = sorted(str(path) for folder in (".", "out") for path in Path(folder).iterdir())
        assert left == ["in.jsonl", "out", "out/results", "out/summary.json"]


class TestModels:
    """A run continues only with the models that it began with."""

    def test_changed(self) -> None:
        """Another version of a model answers all rows again."""
        with pytest.raises(ModelUnavailable):
            run(Broken())
        routes = single_routes([make_spec(payload="text", id_field=None, version="2")])
        engine = in_process(routes, Upper())
        with structlog.testing.capture_logs() as logs:
            summary = run_batch(routes, "in.jsonl", "out", engine, part_rows=2)
        assert [log["by"] for log in logs] == ["models"]
        assert summary.models == {"m:2": ROWS}

    def test_other_version(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Another version of Tidemill, which may cut other parts, answers all rows again."""
        with pytest.raises(ModelUnavailable):
            run(Broken())
        monkeypatch.setattr(runs, "__version__", "another")
        with structlog.testing.capture_logs() as logs:
            summary = run()
        assert [log["by"] for log in logs] == ["version of Tidemill"]
        assert (summary.messages, summary.continued) == (ROWS, 0)

    @pytest.mark.parametrize("models", ["models.yaml", "examples/cities/models.yaml"])
    def test_digest(self, models: str) -> None:
        """Models have the same digest in every process."""
        program = (
            "from tidemill.models import catalogue; from tidemill.batch.run import digest\n"
            f"print(digest(catalogue.load_models({str(ROOT / models)!r})))"
        )
        done = subprocess.run(
            [sys.executable, "-c", program],
            capture_output=True, text=True, check=True,
            env={**os.environ, "PYTHONHASHSEED": "7"},
        )  # fmt: skip
        assert done.stdout.strip() == digest(catalogue.load_models(ROOT / models))


class TestMemory:
    """The memory that a run takes does not grow with its input."""

    def test_peak(self) -> None:
        """Ten times as many lines take about as much memory."""
        peaks = [self.peak(number) for number in (5_000, 50_000)]
        assert peaks[1] < peaks[0] + 40_000, peaks

    def peak(self, number: int) -> int:
        """Return the most memory in KiB that a run with so many lines takes."""
        line = json.dumps({"text": "x" * 1500}).encode() + b"\n"
        Path("in.jsonl").write_bytes(line * number)
        program = f"""
import sys; from pathlib import Path
sys.path[:0] = [{str(ROOT / "test/doubles")!r}]
from batch_runs import *; from specs import make_spec
from tidemill.inference.route import single_routes
class Cheap:
    def predict_all(self, inputs): return ["1"] * len(inputs)
routes = single_routes([make_spec(payload="text", id_field=None)])
run_batch(routes, "in.jsonl", "out-{number}", in_process(routes, Cheap()))
print(Path("/proc/self/status").read_text().partition("VmHWM:")[2].split()[0])
"""
        done = subprocess.run(
            [sys.executable, "-c", program], capture_output=True, text=True, check=True
        )
        return int(done.stdout)


def test_times() -> None:
    """The summary's numbers add up, and its times are plausible."""
    begin = time.monotonic()
    summary = run()
    assert summary.messages == summary.results + summary.dead_letters + summary.skipped == ROWS
    assert summary.first_seconds is not None
    assert 0 < summary.first_seconds <= summary.seconds + 0.001
    assert summary.seconds <= time.monotonic() - begin + 0.001
    assert json.loads((OUT / "summary.json").read_text())["results"] == ROWS
