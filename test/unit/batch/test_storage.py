from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from tidemill.batch.formats import detect, parse
from tidemill.batch.storage import abbreviate, is_hidden, list_files
from tidemill.errors import InputUnreadable

if TYPE_CHECKING:
    from collections.abc import Callable


class TestRefusals:
    """An input that cannot be read completely is refused, and the error names it."""

    @pytest.mark.parametrize("given", ["", "none.jsonl", "file:///none"])
    def test_missing(self, given: str) -> None:
        """The path does not exist."""
        with pytest.raises(InputUnreadable, match="no such file or folder"):
            list_files(given)

    def test_no_files(self, make: Callable[..., None]) -> None:
        """A folder contains only folders or hidden files."""
        Path("in/a").mkdir(parents=True)
        with pytest.raises(InputUnreadable, match=r"there are no files\n"):
            list_files("in")
        make("in/a/_b.jsonl", "in/_SUCCESS")
        with pytest.raises(InputUnreadable, match=r"no files but hidden ones \(.*_b.jsonl\)"):
            list_files("in")

    @pytest.mark.parametrize("given", ["link", "in"])
    def test_dangling_link(self, make: Callable[..., None], given: str) -> None:
        """A link leads nowhere; in a folder it would be missed."""
        make("in/a.jsonl")
        for link in ("link", "in/link"):
            Path(link).symlink_to("nowhere")
        with pytest.raises(InputUnreadable, match="link: it links to nothing that exists"):
            list_files(given)

    @pytest.mark.parametrize("target", [".", "../in", "b"])
    def test_endless_links(self, make: Callable[..., None], target: str) -> None:
        """A folder contains a link to itself, so that every file would be read many times."""
        make("in/b/a.jsonl")
        Path("in/b/link").symlink_to(Path("in", target).resolve())
        with pytest.raises(InputUnreadable, match="link: it links to a folder that contains it"):
            list_files("in")

    def test_pipe(self, make: Callable[..., None]) -> None:
        """A pipe or a device could not be read a second time."""
        make("in/a.jsonl")
        os.mkfifo("in/pipe")
        for given in ("in", "in/pipe", "/dev/null"):
            with pytest.raises(InputUnreadable, match="neither a file nor a folder"):
                list_files(given)

    def test_name_not_utf8(self, make: Callable[..., None]) -> None:
        """A result could not name a file whose name is not UTF-8."""
        make("in/a.jsonl")
        with open(b"in/\xff.jsonl", "wb"):  # noqa: PTH123 - a path in bytes
            pass
        with pytest.raises(InputUnreadable, match=r"\ufffd.jsonl: .* not UTF-8"):
            list_files("in")

    @pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")
    @pytest.mark.parametrize("closed", ["in/b/a.jsonl", "in/b", "in"])
    def test_permission(self, make: Callable[..., None], closed: str) -> None:
        """A file or folder denies read access."""
        make("in/b/a.jsonl")
        Path(closed).chmod(0)
        try:
            with pytest.raises(InputUnreadable, match=r"(?i)permission denied"):
                list_files("in")
        finally:
            Path(closed).chmod(0o700)


class TestListed:
    """All files below a folder are read, except for hidden ones."""

    @pytest.mark.parametrize(
        ("name", "hidden"), [("_a", True), (".a", True), ("_k=v", False), ("a_.b", False)]
    )
    def test_hidden_names(self, name: str, hidden: bool) -> None:
        """The rule is that of Spark and pyarrow."""
        assert is_hidden(name) is hidden

    def test_skipped(self, make: Callable[..., None]) -> None:
        """Markers of Spark and Hadoop, which contain no data, are not listed."""
        make("in/a.jsonl", "in/_b.jsonl", "in/.git/config", "in/c/.d", "in/_k=v/a.jsonl")
        make("in/_SUCCESS", "in/.a.jsonl.crc", "in/_committed_1", "in/_metadata", "in/_SUCCESS.crc")
        files, hidden = list_files("in")
        assert {Path(name).name for name in hidden} == {"_b.jsonl", ".git", ".d", "_SUCCESS.crc"}
        assert [Path(file.path).name for file in files] == ["a.jsonl", "a.jsonl"]

    def test_names_are_literal(self, make: Callable[..., None]) -> None:
        """No character has a special meaning in a path, and a hidden file may be given by name."""
        names = ["in/_2026-11-28T10:00", "in/a [b]{c,d}*?\\+%20#é\N{CJK UNIFIED IDEOGRAPH-65E5}\n"]
        make(*names)
        for name in names:
            (file,), _ = list_files(name)
            assert file.path == str(Path(name).absolute())

    @pytest.mark.parametrize(
        ("count", "text"), [(1, "0"), (3, "0, 1, 2"), (5, "0, 1, 2 and 2 more")]
    )
    def test_abbreviate(self, count: int, text: str) -> None:
        """Only three names are listed."""
        assert abbreviate([str(number) for number in range(count)]) == text


class TestFormat:
    """The format comes from the names of the files, unless it is given."""

    @pytest.mark.parametrize(
        ("name", "found"),
        [("a", "jsonl"), ("a.txt", "jsonl"), ("a.json.gz", "jsonl"), ("a.CSV", "csv"),
         ("a.tsv.zst", "csv"), ("a.csv.bz2", "csv"), ("a.snappy.parquet", "parquet")],
    )  # fmt: skip
    def test_by_name(self, make: Callable[..., None], name: str, found: str) -> None:
        """The end of the name decides, without that of the compression."""
        make(f"in/{name}")
        assert detect("in") == detect(f"in/{name}") == found

    def test_table(self, make: Callable[..., None]) -> None:
        """A folder with a log of a Delta table is one."""
        make("in/_delta_log/00000000000000000000.json", "in/a.parquet")
        assert detect("in") == "delta"

    def test_two_formats(self, make: Callable[..., None]) -> None:
        """A folder with files of two formats is refused, unless one is named."""
        make("in/a.csv", "in/b/c.jsonl")
        with pytest.raises(InputUnreadable, match="files of csv and jsonl"):
            detect("in")

    @pytest.mark.parametrize(
        ("text", "parsed"),
        [("csv:a", ("csv", "a")), ("a:b", (None, "a:b")), ("s3://a/b", (None, "s3://a/b")),
         ("delta:s3://a", ("delta", "s3://a")), ("csv", (None, "csv"))],
    )  # fmt: skip
    def test_given(self, text: str, parsed: tuple[str | None, str]) -> None:
        """A known format before a colon is one; anything else belongs to the path."""
        assert parse(text) == parsed
