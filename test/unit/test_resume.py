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
from tidemill.errors import OutputUnusable
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
    earlier = resume.read(results, dead) if is_resumed else None
    with results.open("ab") as first, dead.open("ab") as second:
        predict(
            ROUTES,
            io.BytesIO(content(kinds)),
            first,
            second,
            load=lambda _: Upper(),
            at_once=at_once,
            is_done=earlier.is_done if earlier else lambda _: False,
        )
    if earlier:
        earlier.check_input()
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
        size = least + int(share * (most - least))
        # The beginning of the first line tells nothing, so that such a file is refused.
        os.truncate(folder / name, size if size >= len(b"".join(written[:1])) else 0)
    assert run(folder, kinds, at_once=later_at_once, is_resumed=True) == expected


def test_new(tmp_path: Path) -> None:
    """Without files, everything is left to do."""
    assert run(tmp_path, ["good", "bad"], is_resumed=True) == ([1], [2])


@pytest.mark.parametrize("name", ["results", "dead"])
@pytest.mark.parametrize(
    "text", ["{}\n", "text\n", '{"headers": {}}\n{"cut', '{"n": 1}', "precious"]
)
def test_other_file(tmp_path: Path, name: str, text: str) -> None:
    """A file of something else is refused, and neither file is cut."""
    run(tmp_path, ["good", "bad"])
    for each in ("results", "dead"):
        with (tmp_path / each).open("a") as file:
            file.write("{")
    (tmp_path / name).write_text(text)
    before = [path.read_bytes() for path in sorted(tmp_path.iterdir())]
    with pytest.raises(OutputUnusable, match=r"are not|no whole line"):
        run(tmp_path, ["good", "bad"], is_resumed=True)
    assert [path.read_bytes() for path in sorted(tmp_path.iterdir())] == before


@pytest.mark.parametrize("name", ["results", "dead"])
def test_one_missing(tmp_path: Path, name: str) -> None:
    """If one of the two files is missing, no line is repeated or lost: the run is refused."""
    run(tmp_path, ["good", "bad"])
    (tmp_path / name).unlink()
    with pytest.raises(OutputUnusable, match="missing"):
        run(tmp_path, ["good", "bad"], is_resumed=True)


@pytest.mark.parametrize("shorter", [[], ["good"], ["bad"], ["", "good"]])
def test_other_input(tmp_path: Path, shorter: list[str]) -> None:
    """An input with fewer lines than there are outcomes is an error."""
    run(tmp_path, ["good", "bad", "good"])
    with pytest.raises(OutputUnusable, match="more outcomes than the input has lines"):
        run(tmp_path, shorter, is_resumed=True)
