from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidemill.batch.source import abbreviate, find_source, is_hidden
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable


class TestRefusals:
    """An input that Spark cannot read completely is refused, and the error names it."""

    @pytest.mark.parametrize("given", ["", "none.jsonl", "file:///none"])
    def test_missing(self, given: str) -> None:
        """The path does not exist."""
        with pytest.raises(InputUnreadable, match="no such file or folder"):
            find_source(given)

    def test_no_files(self, make: Callable[..., None]) -> None:
        """A folder contains only folders or hidden files."""
        Path("in/a").mkdir(parents=True)
        with pytest.raises(InputUnreadable, match=r"there are no files\n"):
            find_source("in")
        make("in/a/_b.jsonl", "in/_SUCCESS")
        with pytest.raises(InputUnreadable, match=r"no files but hidden ones \(.*_b.jsonl\)"):
            find_source("in")

    def test_two_formats(self, make: Callable[..., None]) -> None:
        """A folder contains Parquet and JSON lines."""
        make("in/a.parquet", "in/b/c.jsonl")
        with pytest.raises(InputUnreadable, match="give one kind"):
            find_source("in")

    @pytest.mark.parametrize("given", ["link", "in"])
    def test_dangling_link(self, make: Callable[..., None], given: str) -> None:
        """A link leads nowhere; in a folder Spark would skip it."""
        make("in/a.jsonl")
        for link in ("link", "in/link"):
            Path(link).symlink_to("nowhere")
        with pytest.raises(InputUnreadable, match="link: it links to nothing that exists"):
            find_source(given)

    @pytest.mark.parametrize("target", [".", "../in", "b"])
    def test_endless_links(self, make: Callable[..., None], target: str) -> None:
        """A folder contains a link to itself; Spark would read every file about 40 times."""
        make("in/b/a.jsonl")
        Path("in/b/link").symlink_to(Path("in", target).resolve())
        with pytest.raises(InputUnreadable, match="link: it links to a folder that contains it"):
            find_source("in")

    def test_pipe(self, make: Callable[..., None]) -> None:
        """Spark can read neither a pipe nor a device."""
        make("in/a.jsonl")
        os.mkfifo("in/pipe")
        for given in ("in", "in/pipe", "/dev/null"):
            with pytest.raises(InputUnreadable, match="neither a file nor a folder"):
                find_source(given)

    def test_name_with_colon(self, make: Callable[..., None]) -> None:
        """Hadoop cannot read such a file in a folder; given by name, it is read through a link."""
        make("in/2026-11-28T10:00.jsonl")
        with pytest.raises(InputUnreadable, match=r"10:00.jsonl: Hadoop cannot read .* ':'"):
            find_source("in")
        assert find_source("in/2026-11-28T10:00.jsonl").local

    def test_name_not_utf8(self, make: Callable[..., None]) -> None:
        """Java cannot open a file whose name is not UTF-8."""
        make("in/a.jsonl")
        with open(b"in/\xff.jsonl", "wb"):  # noqa: PTH123 - a path in bytes
            pass
        with pytest.raises(InputUnreadable, match=r"\ufffd.jsonl: .* not UTF-8"):
            find_source("in")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
    @pytest.mark.parametrize("closed", ["in/b/a.jsonl", "in/b", "in"])
    def test_permission(self, make: Callable[..., None], closed: str) -> None:
        """A file or folder denies read access."""
        make("in/b/a.jsonl")
        Path(closed).chmod(0)
        try:
            with pytest.raises(InputUnreadable, match=r"(?i)permission denied"):
                find_source("in")
        finally:
            Path(closed).chmod(0o700)


class TestHidden:
    """Files that Spark skips in a folder are listed; a file given by name is always read."""

    @pytest.mark.parametrize(
        ("name", "hidden"),
        [("_a", True), (".a", True), ("a._COPYING_", True), ("_k=v", False), ("a_.b", False)],
    )
    def test_names(self, name: str, hidden: bool) -> None:
        """The rule is Spark's."""
        assert is_hidden(name) is hidden

    def test_skipped(self, make: Callable[..., None]) -> None:
        """Markers of Spark and Hadoop, which contain no data, are not listed."""
        make("in/a.jsonl", "in/_b.jsonl", "in/.git/config", "in/c/.d", "in/_k=v/a.jsonl")
        make("in/_SUCCESS", "in/.a.jsonl.crc", "in/_committed_1", "in/_metadata", "in/_SUCCESS.crc")
        skipped = {Path(name).name for name in find_source("in").hidden}
        assert skipped == {"_b.jsonl", ".git", ".d", "_SUCCESS.crc"}

    @pytest.mark.parametrize(
        ("name", "link_name"),
        [
            ("_a.jsonl.gz", "a.jsonl.gz"),
            (".a", "a"),
            ("_", "input"),
            ("a.parquet._COPYING_", "a.parquet"),
            ("1:2.jsonl", "1-2.jsonl"),
        ],
    )
    def test_link(self, make: Callable[..., None], name: str, link_name: str) -> None:
        """Spark gets a temporary link with a readable name and the same suffix."""
        make(name)
        with find_source(name).readable() as path:
            link = Path(path.removeprefix("file:"))
            assert link.name == link_name
            assert link.read_text() == "a line\n"
        assert not link.exists()

    @pytest.mark.parametrize("name", ["a[b].jsonl", "in"])
    def test_no_link(self, make: Callable[..., None], name: str, tmp_path: Path) -> None:
        """Any other file or folder needs no link."""
        make("a[b].jsonl", "in/a.jsonl")
        with find_source(name).readable() as path:
            assert path == f"file:{tmp_path / name}"


@pytest.mark.parametrize(("count", "text"), [(1, "0"), (3, "0, 1, 2"), (5, "0, 1, 2 and 2 more")])
def test_abbreviate(count: int, text: str) -> None:
    """Only three names are listed."""
    assert abbreviate([str(number) for number in range(count)]) == text
