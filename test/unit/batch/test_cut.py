from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from tidemill.batch.formats import json_lines
from tidemill.batch.formats.json_lines import cut, read
from tidemill.batch.plan import Piece, Source, in_splits
from tidemill.batch.storage import File, Storage
from tidemill.lines import is_blank

CONTENT = st.lists(st.sampled_from([b"a", b"bcd", b" ", b"\r", b"\n", b"\r\n"])).map(b"".join)


class TestCut:
    """Whatever a file contains, its pieces have the lines of the whole file, with their numbers."""

    @given(CONTENT, st.integers(1, 12), st.integers(1, 5))
    @example(b"a\r\nb\rc\n\nd", 1, 1)
    def test_lines(self, content: bytes, size: int, buffer: int) -> None:
        """No line is lost, read twice, or numbered wrongly, with any sizes of pieces and reads."""
        with tempfile.NamedTemporaryFile() as file, pytest.MonkeyPatch.context() as patch:
            patch.setattr(json_lines, "BUFFER_BYTES", buffer)
            Path(file.name).write_bytes(content)
            storage = Storage(file.name)
            pieces = list(cut(storage, File(file.name, len(content), 0), size))
            messages = [
                message
                for piece in pieces
                for block in read(Source("jsonl", file.name), piece)
                for message in block.messages
            ]
        assert sum(piece.size for piece in pieces) == len(content)
        assert [(message.value, int(message.headers[1][1] or b"")) for message in messages] == [
            (line, number)
            for number, line in enumerate(content.splitlines(), 1)
            if not is_blank(line)
        ]

    @given(st.lists(st.integers(0, 20)), st.integers(1, 30))
    def test_splits(self, sizes: list[int], most: int) -> None:
        """Pieces keep their order in splits, which are as full as possible."""
        pieces = [Piece(str(number), size=size) for number, size in enumerate(sizes)]
        splits = list(in_splits(pieces, most))
        assert [piece for split in splits for piece in split] == pieces
        totals = [sum(piece.size for piece in split) for split in splits]
        assert all(total <= most or len(s) == 1 for total, s in zip(totals, splits, strict=True))
        for total, following in zip(totals, splits[1:], strict=False):
            assert total + following[0].size > most
