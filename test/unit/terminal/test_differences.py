from __future__ import annotations

from rich.console import Console

from tidemill.batch.differences import Answer, Difference, Differences
from tidemill.terminal.differences import show_differences


def shown(*sample: Difference) -> str:
    """Return what a person sees of differences."""
    console = Console(width=160, record=True)
    show_differences(console, Differences(["live", "live.dlq"], 3, len(sample), 0, 0, [*sample]))
    return console.export_text()


class TestShowDifferences:
    """A person sees the numbers, and both sides of some differences."""

    def test_same(self) -> None:
        """Without differences, there are only the numbers."""
        assert shown() == "compared with live: 3 same, 0 changed, 0 new, 0 missing\n"

    def test_fields(self) -> None:
        """Only the fields that differ are shown."""
        here, live = Answer({"id": 7, "out": "a", "ts_end": 1}), Answer({"id": 7, "out": "b"})
        text = shown(Difference("changed", 0, 12, here, live))
        assert '{"out":"a"}' in text
        assert '{"out":"b"}' in text
        assert "0:12" in text
        assert '"id"' not in text

    def test_one_side(self) -> None:
        """A missing side is a dash, and an error is its class and text."""
        text = shown(Difference("missing", 1, 2, None, Answer(error="E", message="why")))
        assert "- " in text
        assert "E: why" in text

    def test_escaped(self) -> None:
        """What strangers wrote does not control the terminal, nor its markup."""
        text = shown(Difference("new", 0, 0, Answer({"out": "\x1b[2J[red]x[/]"}), None))
        assert "\x1b" not in text
        assert "[red]x[/]" in text

    def test_long(self) -> None:
        """A long value is cut."""
        text = shown(Difference("new", 0, 0, Answer({"out": "x" * 1000}), None))
        assert "…" in text
        assert "x" * 70 not in text
