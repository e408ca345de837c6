from __future__ import annotations

import io

from rich.console import Console

from tidemill.batch.summary import Summary
from tidemill.terminal.batch import show_summary

SUMMARY = Summary(
    input="jsonl:in", output="csv:[bold]out", engine="local", messages=1_234_567,
    results=1_234_000, dead_letters=567, skipped=0, models={"m:1": 1_234_000},
    errors={"InvalidJson": 67, "MissingField": 500}, continued=0, first_seconds=1.0, seconds=100.0,
)  # fmt: skip


def drawn(summary: Summary) -> str:
    """Return the output on a terminal with 80 columns."""
    console = Console(file=io.StringIO(), width=80, highlight=False)
    show_summary(console, summary)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def test_numbers() -> None:
    """The numbers, the speed, and the most frequent error first; nothing is wider than 80."""
    lines = drawn(SUMMARY).splitlines()
    assert " ".join(lines[:2]) == (
        "1,234,567 messages = 1,234,000 results + 567 dead letters, in csv:[bold]out "
        "local engine, 1 min, 12,346 rows/s"
    )
    assert lines[2:] == [
        "  dead letters by MissingField: 500",
        "  dead letters by InvalidJson: 67",
    ]
    assert max(map(len, lines)) <= 80


def test_nothing_but_dead_letters() -> None:
    """A batch without any result is pointed out, and so are skipped and continued messages."""
    summary = Summary(
        "jsonl:in", "jsonl:out", "spark", 9, 0, 7, 2, {}, {}, 3, None, 3.0, ["[odd] input"]
    )
    text = " ".join(drawn(summary).split())
    assert "+ 2 skipped" in text
    assert "2.0 rows/s; an earlier run had answered 3" in text
    assert "[odd] input" in text
    assert "no message got a result" in text
