from __future__ import annotations

import io
import json
import os
from typing import TYPE_CHECKING

import pytest
from example_models import Upper
from hypothesis import given
from hypothesis import strategies as st
from specs import make_spec

from tidemill import resume
from tidemill.inference.route import single_routes
from tidemill.predict import predict

if TYPE_CHECKING:
    from pathlib import Path

ROUTES = single_routes([make_spec(payload="text", match={"lang": "en"}, id_field="n")])
# Lines with results, with dead letters, and blank ones.
LINES = st.lists(st.sampled_from(["good", "bad", ""]), max_size=20)


def content(kinds: list[str]) -> bytes:
    """Return lines of some kinds."""
    lines = {"good": '{"n": %d, "lang": "en", "text": "x"}', "bad": '{"n": %d, "lang": "de"}'}
    return b"".join(
        (lines[kind] % n if kind else "").encode() + b"\n" for n, kind in enumerate(kinds, 1)
    )


def run(
    folder: Path, kinds: list[str], *, at_once: int = 3, is_resumed: bool = False
) -> tuple[list[int], list[int]]:
    """Predict lines into the files of a folder; return the numbers of all lines in both files."""
    results, dead = folder / "results", folder / "dead"
    is_done = resume.done_before(results, dead) if is_resumed else lambda _: False
    with results.open("ab") as first, dead.open("ab") as second:
        predict(
            ROUTES,
            io.BytesIO(content(kinds)),
            first,
            second,
            load=lambda _: Upper(),
            at_once=at_once,
            is_done=is_done,
        )
    numbers = [json.loads(line)["n"] for line in results.read_bytes().splitlines()]
    letters = [json.loads(line)["headers"] for line in dead.read_bytes().splitlines()]
    return numbers, [int(letter["tidemill.source.line"]) for letter in letters]


SHARES = st.integers(0, 20).map(lambda part: part / 20)


@given(LINES, st.integers(1, 5), st.integers(1, 5), SHARES, SHARES, SHARES)
def test_any_end(
    tmp_path_factory: pytest.TempPathFactory,
    kinds: list[str],
    at_once: int,
    later_at_once: int,
    slices: float,
    letters: float,
    results: float,
) -> None:
    """Wherever an earlier run was killed, each line has one outcome in the end, in order."""
    folder = tmp_path_factory.mktemp("run")
    expected = run(folder, kinds, at_once=at_once)
    # A killed run has written some slices, and of the next one the dead letters, or a part of them,
    # or these and a part of the results.
    lines = [(n, kind) for n, kind in enumerate(kinds, 1) if kind]
    before = int(slices * (len(lines) // at_once)) * at_once
    until = before + at_once
    shares = {"dead": ("bad", letters), "results": ("good", results if letters == 1 else 0)}
    for name, (kind, share) in shares.items():
        written = (folder / name).read_bytes().splitlines(keepends=True)
        counts = [sum(each == kind for _, each in lines[:end]) for end in (before, until)]
        least, most = (len(b"".join(written[:count])) for count in counts)
        os.truncate(folder / name, least + int(share * (most - least)))
    assert run(folder, kinds, at_once=later_at_once, is_resumed=True) == expected


def test_new(tmp_path: Path) -> None:
    """Without files, everything is left to do."""
    assert run(tmp_path, ["good", "bad"], is_resumed=True) == ([1], [2])


def test_other_file(tmp_path: Path) -> None:
    """A file that is not one of dead letters is refused, and stays."""
    for text in ("{}\n", "text\n", '{"headers": {}}\n'):
        (tmp_path / "dead").write_text(text)
        with pytest.raises(ValueError, match="not dead letters"):
            run(tmp_path, ["good"], is_resumed=True)
        assert (tmp_path / "dead").read_text() == text
