"""A list of runs fits its terminal."""

from __future__ import annotations

import msgspec
import pytest
from rich.console import Console

from tidemill.tasks.runs import Run
from tidemill.terminal.tasks import phrase_of, runs_table

RUN = Run(
    id="0f0e0d0c0b0a09080706050403020100",
    job="simulate",
    state="failed",
    attempt=1,
    progress=0.5,
    phrase="half",
    cancelling=False,
    worker="here:1",
    submitted=1_000,
    started=2_000,
    ended=5_000,
    error="ValueError: no shelf is long enough for any of the products that were asked for",
    hint=None,
)


@pytest.mark.parametrize("width", [60, 80, 120, 160])
def test_ids_are_whole(width: int) -> None:
    """At any width the id of a run can be copied, and its error is there to its last word."""
    console = Console(width=width)
    with console.capture() as captured:
        console.print(runs_table([RUN]))
    printed = captured.get()
    assert RUN.id in printed
    assert "asked" in printed
    assert ("1970-01-01T00:00:01.000Z" in printed) == (width >= 160)


@pytest.mark.parametrize(
    ("state", "watched", "phrase"),
    [("waiting", 1, "half"), ("waiting", 10, "for a worker"), ("running", 10, "half")],
)
def test_no_worker(state: str, watched: float, phrase: str) -> None:
    """Whoever watches a run that nobody takes is told what to do."""
    run = msgspec.structs.replace(RUN, state=state)
    assert phrase_of(run, watched).startswith(phrase)
