"""Paths of clients stay within the folder of a job."""

from __future__ import annotations

import os
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from tidemill.batch.formats import parse
from tidemill.batch.paths import local_path
from tidemill.errors import InputUnreadable, OutputUnusable
from tidemill.jobs import confined
from tidemill.jobs.place import Place, split

if TYPE_CHECKING:
    from pathlib import Path

PLACE: TypeAdapter[str] = TypeAdapter(Place)
# Parts that lead somewhere in the folder of `tree`, or try to lead out of it.
PARTS = st.sampled_from(
    """in a.jsonl sub inner out circle up new . .. ... ~ / C:\\ \\.. %2e%2e
    file: s3: kafka: jsonl: csv:""".split()  # noqa: SIM905 - shorter
) | st.sampled_from(["", "\0", "x" * 300])
PATHS = st.lists(PARTS, max_size=6).map("/".join) | st.lists(PARTS, max_size=4).map("".join)


@pytest.fixture(scope="module")
def tree(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with files, links within, links out of it, and a circle."""
    outside = tmp_path_factory.mktemp("outside")
    (outside / "secret.jsonl").write_text("secret\n")
    folder = tmp_path_factory.mktemp("job") / "data"
    (folder / "in" / "sub").mkdir(parents=True)
    (folder / "in" / "a.jsonl").write_text("a\n")
    (folder / "sub").mkdir()
    (folder / "sub" / "out").symlink_to(outside)
    (folder / "inner").symlink_to("in")
    (folder / "out").symlink_to(outside)
    (folder / "up").symlink_to("..")
    (folder / "circle").symlink_to("circle")
    (folder / "linked").mkdir()
    (folder / "linked" / "a.jsonl").symlink_to(outside / "secret.jsonl")
    (folder / "table" / "_delta_log").mkdir(parents=True)
    (folder / "table" / "a.parquet").write_text("")
    (folder / "table" / "_delta_log" / "0.json").symlink_to(outside / "secret.jsonl")
    return folder


@given(PATHS | st.text(max_size=20))
@example("up/data/in/a.jsonl")
@example("in/../../x")
@example("jsonl:/etc/passwd")
@example("jsonl:..")
def test_inside(tree: Path, place: str) -> None:
    """Whatever is accepted is a path on this machine, within the folder, whatever links it has."""
    try:
        accepted = PLACE.validate_python(place)
    except ValidationError:
        return
    _, path = split(accepted)
    root = os.path.realpath(tree)
    for find, error in (
        (confined.readable, InputUnreadable),
        (confined.writable, OutputUnusable),
    ):
        with suppress(error):
            found = find(str(tree), path)
            assert os.path.commonpath([os.path.realpath(found), root]) == root
            assert local_path(str(found)) == found
            if error is OutputUnusable:  # what collects the output lies beside it
                assert os.path.commonpath([os.path.realpath(found.parent), root]) == root


@given(st.text(max_size=20) | PATHS)
def test_split(place: str) -> None:
    """A place has the same parts as on the command line, except that it cannot be a topic."""
    if not place.startswith("kafka:"):
        assert split(place) == parse(place)


@pytest.mark.parametrize(
    ("place", "reason"),
    [
        ("", "printable"),
        ("jsonl:", "printable"),
        ("a\nb", "printable"),
        ("/etc/passwd", "relative"),
        ("csv:/etc/passwd", "relative"),
        ("../x", "relative"),
        ("a/../../x", "relative"),
        (".hidden", "relative"),
        ("a/.scored.tidemill/x", "relative"),
        ("kafka:topic", "format must be jsonl, csv, parquet or delta"),
        ("s3://bucket/x", "format must be"),
        ("jsonl:file:/etc/passwd", "format must be"),
        ("x" * 1001, "at most 1000"),
    ],
)
def test_refused(place: str, reason: str) -> None:
    """A path that leads elsewhere is refused before the task is accepted, and it is said why."""
    with pytest.raises(ValidationError, match=reason):
        PLACE.validate_python(place)


@pytest.mark.parametrize("place", ["a.jsonl", "in/sub", "csv:12:30.csv", "./in", "jsonl:.", "été"])
def test_accepted(place: str) -> None:
    """Ordinary paths are accepted as they are."""
    assert PLACE.validate_python(place) == place


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("out/secret.jsonl", "leads out"),
        ("sub/out", "leads out"),
        ("up/outside", "leads out"),
        ("circle", "circle"),
        ("in/a.jsonl/x", "no such file"),
        ("linked", "a link in it leads out"),
        ("table", "a link in it leads out"),
        ("in/missing.jsonl", "no such file"),
        ("x" * 300, "too long"),
    ],
)
def test_unreadable(tree: Path, path: str, reason: str) -> None:
    """A link that leads out is no input, nor is a folder or table that holds one."""
    with pytest.raises(InputUnreadable, match=reason) as error:
        confined.readable(str(tree), path)
    assert str(tree.parent) not in error.value.message


def test_links_within(tree: Path) -> None:
    """A link to another place within the folder is followed."""
    assert confined.readable(str(tree), "inner/a.jsonl") == tree.resolve() / "in" / "a.jsonl"


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("out/new", "leads out"),
        ("up/new", "leads out"),
        (".", "folder itself"),
        ("up/data", "folder itself"),
        ("circle/new", "circle"),
        ("x" * 300, "too long"),
    ],
)
def test_unwritable(tree: Path, path: str, reason: str) -> None:
    """No output lies outside the folder, nor is it the folder itself."""
    with pytest.raises(OutputUnusable, match=reason):
        confined.writable(str(tree), path)


def test_within_output(tmp_path: Path) -> None:
    """No output lies within another, whose readers would take it for a part of that."""
    (tmp_path / "scored" / "results").mkdir(parents=True)
    (tmp_path / "scored" / "summary.json").write_text("{}")
    with pytest.raises(OutputUnusable, match="within the output of another run"):
        confined.writable(str(tmp_path), "scored/results/more")
    assert confined.writable(str(tmp_path), "scored") == tmp_path / "scored"  # to continue


def test_new_folders(tmp_path: Path) -> None:
    """An output may be in folders that do not exist yet."""
    assert confined.writable(str(tmp_path / "new"), "a/b") == tmp_path / "new" / "a" / "b"
