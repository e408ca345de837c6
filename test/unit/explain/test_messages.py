from __future__ import annotations

import gzip
import io
import json
from typing import TYPE_CHECKING

import pytest
from example_models import Upper
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill.dead_letters import letters
from tidemill.errors import InputUnreadable, MessageOmitted, NoLine, NullValue
from tidemill.explain.messages import message_within, open_lines, read_line
from tidemill.explain.origin import Origin
from tidemill.inference.headers import ERROR_CLASS, encode_headers, omitted_header
from tidemill.inference.message import Failure, Message
from tidemill.inference.route import single_routes
from tidemill.predict import LINE, predict, slices

if TYPE_CHECKING:
    from pathlib import Path

BYTES = st.lists(st.sampled_from([b"a", b"{}", b" ", b"\n", b"\r", b"\r\n", b"\xff"])).map(b"".join)


class TestLine:
    """A line of a file is the message that `tidemill predict` makes of it."""

    @given(BYTES)
    def test_same_messages(self, content: bytes) -> None:
        """Each line that is not blank is the same message; the others are errors."""
        lines = [content.splitlines()] if content else []
        expected = {m.headers: m for part in slices(lines) for m in part}
        for number in range(1, len(content) + 2):
            try:
                message, origin = read_line("f", io.BytesIO(content), number)
            except NoLine:
                assert ((LINE, b"%d" % number),) not in expected
            else:
                assert expected[((LINE, b"%d" % number),)] == message
                assert origin.place == {"file": "f", "line": number}

    def test_missing(self) -> None:
        """A line that is not there, or blank, has an error of its own."""
        for number, reason in ((2, "blank"), (4, "ends before it")):
            with pytest.raises(NoLine, match=reason):
                read_line("f", io.BytesIO(b"a\n\nb\n"), number)

    @pytest.mark.parametrize("name", ["a.csv", "a.TSV", "a.parquet", "a.csv.gz", "a.jsonl.zst"])
    def test_no_lines(self, tmp_path: Path, name: str) -> None:
        """A row of a file in another format is not explained as if it were a line of JSON."""
        (tmp_path / name).write_bytes(b"text\na\n")
        with pytest.raises(InputUnreadable, match="not a file of JSON lines"):
            open_lines(tmp_path / name)

    def test_gzip(self, tmp_path: Path) -> None:
        """A file whose name ends in .gz is decompressed; a damaged one is an error."""
        file = tmp_path / "f.jsonl.gz"
        file.write_bytes(gzip.compress(b"a\nb\n"))
        with open_lines(file) as lines:
            assert read_line("f", lines, 2)[0].value == b"b"
        for damaged in (b"a\nb\n", gzip.compress(b"a\nb\n" * 99)[:-9]):
            file.write_bytes(damaged)
            with open_lines(file) as lines, pytest.raises(InputUnreadable, match="cannot read f"):
                read_line("f", lines, 1000)

    def test_no_file(self, tmp_path: Path) -> None:
        """A file that does not exist is an error that names it."""
        with pytest.raises(InputUnreadable, match="absent"):
            open_lines(tmp_path / "absent")


class TestDeadLetter:
    """Of a dead letter, the message that it holds is explained."""

    def test_of_predict(self) -> None:
        """A line that `tidemill predict` wrote, whether or not its value is UTF-8."""
        source = b'{"text": "raise"}\n\xff\n'
        dead = io.BytesIO()
        routes = single_routes([make_spec(payload="text")])
        predict(routes, io.BytesIO(source), io.BytesIO(), dead, load=lambda _: Upper())
        for number, (value, error) in enumerate(
            [(b'{"text": "raise"}', "PredictionFailed"), (b"\xff", "InvalidUtf8")], 1
        ):
            message, origin = read_line("dead", io.BytesIO(dead.getvalue()), number)
            assert message == Message(value, headers=((LINE, b"%d" % number),))
            assert origin.letter
            assert origin.letter.error == error

    @pytest.mark.parametrize(
        "line",
        [
            {"value": "a", "headers": {"b": "c"}},
            {"value": "a"},
            {"value": "a", "headers": {ERROR_CLASS: "NoModel"}, "more": 1},
            {"headers": {ERROR_CLASS: 1}},
        ],
    )
    def test_similar(self, line: dict[str, object]) -> None:
        """Any other object is itself the message."""
        content = json.dumps(line).encode()
        message, origin = read_line("f", io.BytesIO(content), 1)
        assert (message.value, origin.letter) == (content, None)

    def test_record(self) -> None:
        """A dead letter of a topic holds the record that the job read."""
        record = Message(b"v", b"k", (("a", None),), "in", 3, 7, 1_700_000_000_000)
        headers = tuple(encode_headers(record, Failure(NullValue(), "m:1")))
        letter = letters.read(Message(b"v", b"k", headers, "in.dlq", 0, 1, 9))
        assert letter
        message, origin = message_within(letter, Origin("in.dlq/0/1"))
        assert (message, origin.letter) == (record, letter)

    def test_omitted(self) -> None:
        """A dead letter without its message leads to the record that it is for."""
        record = Message(b"v", b"k", (), "in", 3, 7, 9)
        headers = (*encode_headers(record, Failure(NullValue())), omitted_header(10))
        letter = letters.read(Message(None, None, headers))
        assert letter
        with pytest.raises(MessageOmitted) as raised:
            message_within(letter, Origin("in.dlq/0/1"))
        assert "tidemill explain --topic in --partition 3 --offset 7" in raised.value.hint
