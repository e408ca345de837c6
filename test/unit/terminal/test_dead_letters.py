from __future__ import annotations

import io
import json
import shlex
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from rich.console import Console

from tidemill.dead_letters.letters import DeadLetter
from tidemill.dead_letters.replay import Report
from tidemill.dead_letters.summary import ErrorClassCount
from tidemill.terminal import dead_letters as view
from tidemill.terminal import replay as replay_view
from tidemill.terminal.escape import pretty, visible

if TYPE_CHECKING:
    from rich.console import RenderableType

EVIL = "\x1b]0;owned\x07\x1b[2J\r\x9b31m\u202e[bold]\x00\x7f"
TEXT = st.text(st.characters(codec="utf-8"), max_size=20)


def evil(text: str, value: bytes | None = None) -> DeadLetter:
    """Return a letter in which every part that a stranger can write is this text."""
    content = text.encode() if value is None else value
    return DeadLetter(
        partition=0,
        offset=1,
        timestamp=2**63 - 1,
        key=content,
        value=content,
        headers=((text, content), ("null", None)),
        error=text,
        message=text,
        source_topic=text,
        model=text,
        omitted=None,
    )


def drawn(*parts: RenderableType) -> str:
    """Return the output for a terminal without colours."""
    console = Console(file=io.StringIO(), width=400, color_system=None, highlight=False)
    for part in parts:
        console.print(part, soft_wrap=True)
    assert isinstance(console.file, io.StringIO)
    return console.file.getvalue()


def steers(output: str) -> set[str]:
    """Return the characters of an output that could control a terminal, or hide something."""
    return {c for c in output if not c.isprintable() and c != "\n"}


class TestHostile:
    """Only printable characters of a letter reach the terminal."""

    @given(TEXT)
    @example(EVIL)
    @example("two\nlines")
    def test_everything(self, text: str) -> None:
        """Tables, the view of one letter, JSON lines and reports are all safe."""
        letter = evil(text)
        report = Report(
            Counter({(text, text): 1}), Counter({text: 1}), Counter({text: 2}), Counter({text: 3})
        )
        output = drawn(
            view.classes_table({text: ErrorClassCount(1, 0, 0)}),
            view.letters_table([letter]),
            *view.letter_view(letter),
            *replay_view.report_tables(report, sent=True),
        )
        assert steers(output + view.json_line(letter)) == set()

    def test_visible(self) -> None:
        """A control character is shown as an escape, and markup is not interpreted."""
        assert visible("a\x1b[2J\u202eé🚀\n") == "a\\x1b[2J\\u202eé🚀\\n"
        assert "[bold]" in drawn(view.letters_table([evil("[bold]x")]))

    @given(st.binary(max_size=30))
    @example(b'{"a": "\xc2\x9b31m"}')
    def test_bytes(self, value: bytes) -> None:
        """Values that are not text are safe too."""
        letter = evil("x", value)
        output = drawn(view.letters_table([letter]), *view.letter_view(letter))
        assert steers(output + view.json_line(letter)) == set()


class TestValue:
    """A value is shown according to its content."""

    @pytest.mark.parametrize(
        ("value", "expected"),
        [
            (None, "null"),
            (b"", "empty"),
            (b'{"a":[1,"\\u001b"]}', '{\n  "a": [\n    1,\n    "\\u001b"\n  ]\n}'),
            (b'{"a"', '{"a"'),
            (b"\xff\x00", "\\xff\\x00"),
            (b"[" * 100_000, "[" * 100_000),
        ],
    )
    def test_pretty(self, value: bytes | None, expected: str) -> None:
        """JSON is indented, text is unchanged, and other bytes are escaped."""
        assert pretty(value).plain == expected

    def test_short(self) -> None:
        """A table truncates a long value."""
        output = drawn(view.letters_table([evil("x", b"v" * 1000)]))
        assert 0 < output.count("v") <= view.SHORT + len("value")

    def test_whole(self) -> None:
        """The view of one letter shows the whole value, and distinguishes null from empty."""
        output = drawn(*view.letter_view(evil("x", b"v" * 1000)))
        assert "v" * 1000 in output
        assert "null" in output


class TestJsonLine:
    """Other programs can read a letter as JSON."""

    @given(TEXT, st.none() | st.binary(max_size=20))
    def test_read_back(self, text: str, value: bytes | None) -> None:
        """Text is kept unchanged; other bytes are base64."""
        fields = json.loads(view.json_line(evil(text, value)))
        assert fields["error"] == fields["source"]["topic"] == text
        try:
            expected = text if value is None else value.decode()
        except UnicodeDecodeError:
            assert "value" not in fields
            assert isinstance(fields["value_base64"], str)
        else:
            assert fields["value"] == fields["headers"][0]["value"] == expected
        assert fields["headers"][1] == {"name": "null", "value": None}

    def test_readable(self) -> None:
        """Printable characters are not escaped."""
        assert '"value": "é🚀"' in view.json_line(evil("é🚀"))


class TestMoment:
    """Kafka's timestamps are shown in UTC."""

    @pytest.mark.parametrize(
        ("timestamp", "expected"),
        [
            (None, None),
            (0, "1970-01-01T00:00:00.000Z"),
            (1_700_000_000_123, "2023-11-14T22:13:20.123Z"),
            (-1, "1969-12-31T23:59:59.999Z"),
            (2**63 - 1, str(2**63 - 1)),
        ],
    )
    def test_written(self, timestamp: int | None, expected: str | None) -> None:
        """A timestamp out of range stays a number."""
        assert view.time_of(timestamp) == expected


class TestCommand:
    """The command that sends has the same options, quoted for a shell."""

    def test_words(self) -> None:
        """Each given option is included, and quoted if necessary."""
        command = replay_view.sending_command(
            Path("my c.yaml"),
            ["0/1"],
            {"error": ["A", "B"], "source": None, "max-tries": 3, "again": True},
        )
        assert shlex.split(command) == [
            *("tidemill", "dlq", "replay", "0/1", "--error", "A", "--error", "B"),
            *("--max-tries", "3", "--again", "--config", "my c.yaml", "--send"),
        ]

    def test_bare(self) -> None:
        """Options that were not given are left out."""
        command = replay_view.sending_command(None, [], {"error": None, "again": False})
        assert command == "tidemill dlq replay --send"
