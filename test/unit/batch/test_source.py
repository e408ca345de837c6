from __future__ import annotations

import os
from pathlib import Path

import pytest

from tidemill.batch.source import check_output, find_source, is_hidden, local
from tidemill.errors import InputUnreadable, OutputExists, OutputUnusable

not_as_root = pytest.mark.skipif(os.geteuid() == 0, reason="root may read and write everything")


@pytest.fixture(autouse=True)
def _local_paths(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Work in an empty folder, without a Hadoop that has paths of its own."""
    monkeypatch.chdir(tmp_path)
    for variable in ("HADOOP_CONF_DIR", "YARN_CONF_DIR", "DATABRICKS_RUNTIME_VERSION"):
        monkeypatch.delenv(variable, raising=False)


def make(*names: str) -> None:
    """Make files, with the folders that they are in."""
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).write_text("a line\n")


class TestLocal:
    """Only paths on this machine can be looked at before Spark starts."""

    @pytest.mark.parametrize(
        ("given", "path"),
        [
            ("/a/b", "/a/b"),
            ("/a/x/../b", "/a/b"),
            ("file:/a/b", "/a/b"),
            ("file:///a/b", "/a/b"),
            ("file:/a/b%20[c]", "/a/b%20[c]"),
        ],
    )
    def test_here(self, given: str, path: str) -> None:
        """A path, or a `file:` URI, which Hadoop does not decode."""
        assert local(given) == Path(path)

    def test_relative(self, tmp_path: Path) -> None:
        """A relative path starts at the working folder, also if it looks like a URI."""
        assert local("a:b.jsonl") == tmp_path / "a:b.jsonl"

    @pytest.mark.parametrize("given", ["s3a://bucket/x", "hdfs:///x", "dbfs:/x", "file://host/x"])
    def test_elsewhere(self, given: str) -> None:
        """Other file systems are left to Spark."""
        assert local(given) is None
        assert find_source(given).path is None

    def test_other_default(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """With Hadoop's configuration a plain path may lie anywhere."""
        monkeypatch.setenv("HADOOP_CONF_DIR", "/etc/hadoop")
        assert local("/a") is None
        assert local("file:/a") == Path("/a")


class TestRefusals:
    """An input that Spark cannot read, or not whole, is refused by name."""

    @pytest.mark.parametrize("given", ["", "none.jsonl", "file:///none"])
    def test_missing(self, given: str) -> None:
        """It is not there."""
        with pytest.raises(InputUnreadable, match="no such file or folder"):
            find_source(given)

    def test_no_files(self) -> None:
        """A folder has folders only, or hidden files."""
        Path("in/a").mkdir(parents=True)
        with pytest.raises(InputUnreadable, match=r"there are no files$"):
            find_source("in")
        make("in/a/_b.jsonl", "in/_SUCCESS")
        with pytest.raises(InputUnreadable, match=r"no files but hidden ones \(.*_b.jsonl\)"):
            find_source("in")

    def test_two_kinds(self) -> None:
        """Parquet lies beside lines."""
        make("in/a.parquet", "in/b/c.jsonl")
        with pytest.raises(InputUnreadable, match="give one kind"):
            find_source("in")

    @pytest.mark.parametrize("given", ["link", "in"])
    def test_dangling_link(self, given: str) -> None:
        """A link leads nowhere: in a folder Spark would skip it."""
        make("in/a.jsonl")
        for link in ("link", "in/link"):
            Path(link).symlink_to("nowhere")
        with pytest.raises(InputUnreadable, match="link: it links to nothing that exists"):
            find_source(given)

    @pytest.mark.parametrize("target", [".", "../in", "b"])
    def test_endless_links(self, target: str) -> None:
        """A folder links to one above it: Spark would read every file about 40 times."""
        make("in/b/a.jsonl")
        Path("in/b/link").symlink_to(Path("in", target).resolve())
        with pytest.raises(InputUnreadable, match="link: it links to a folder that contains it"):
            find_source("in")

    def test_pipe(self) -> None:
        """Spark cannot read what is no file, wherever it is."""
        make("in/a.jsonl")
        os.mkfifo("in/pipe")
        for given in ("in", "in/pipe", "/dev/null"):
            with pytest.raises(InputUnreadable, match="neither a file nor a folder"):
                find_source(given)

    def test_name_with_colon(self) -> None:
        """Hadoop cannot read it in a folder; by its own name it is read through a link."""
        make("in/2026-11-28T10:00.jsonl")
        with pytest.raises(InputUnreadable, match=r"10:00.jsonl: Hadoop reads no file with ':'"):
            find_source("in")
        assert find_source("in/2026-11-28T10:00.jsonl").path

    def test_name_not_utf8(self) -> None:
        """Java cannot open it."""
        make("in/a.jsonl")
        with open(b"in/\xff.jsonl", "wb"):  # noqa: PTH123 - a path in bytes
            pass
        with pytest.raises(InputUnreadable, match=r"\ufffd.jsonl: .* not UTF-8"):
            find_source("in")

    @not_as_root
    @pytest.mark.parametrize("closed", ["in/b/a.jsonl", "in/b", "in"])
    def test_permission(self, closed: str) -> None:
        """A file or folder may not be read."""
        make("in/b/a.jsonl")
        Path(closed).chmod(0)
        try:
            with pytest.raises(InputUnreadable, match=r"(?i)permission denied"):
                find_source("in")
        finally:
            Path(closed).chmod(0o700)


class TestHidden:
    """What Spark skips is counted; a file that is named is read."""

    @pytest.mark.parametrize(
        ("name", "hidden"),
        [("_a", True), (".a", True), ("a._COPYING_", True), ("_k=v", False), ("a_.b", False)],
    )
    def test_names(self, name: str, hidden: bool) -> None:
        """By Spark's rule."""
        assert is_hidden(name) is hidden

    def test_skipped(self, tmp_path: Path) -> None:
        """Markers of Spark and Hadoop, which hold no data, are not counted."""
        make("in/a.jsonl", "in/_b.jsonl", "in/.git/config", "in/c/.d", "in/_k=v/a.jsonl")
        make("in/_SUCCESS", "in/.a.jsonl.crc", "in/_committed_1", "in/_metadata", "in/_SUCCESS.crc")
        skipped = {Path(name).name for name in find_source("in").hidden}
        assert skipped == {"_b.jsonl", ".git", ".d", "_SUCCESS.crc"}

    @pytest.mark.parametrize(
        ("name", "seen"),
        [
            ("_a.jsonl.gz", "a.jsonl.gz"),
            (".a", "a"),
            ("_", "input"),
            ("a.parquet._COPYING_", "a.parquet"),
            ("1:2.jsonl", "1-2.jsonl"),
        ],
    )
    def test_named(self, name: str, seen: str) -> None:
        """Spark gets a link whose name it reads, with the same ending, and the link goes again."""
        make(name)
        with find_source(name).readable() as path:
            link = Path(path.removeprefix("file:"))
            assert link.name == seen
            assert link.read_text() == "a line\n"
        assert not link.exists()

    @pytest.mark.parametrize("name", ["a[b].jsonl", "in"])
    def test_as_it_is(self, name: str, tmp_path: Path) -> None:
        """Any other file or folder needs none."""
        make("a[b].jsonl", "in/a.jsonl")
        with find_source(name).readable() as path:
            assert path == f"file:{tmp_path / name}"


class TestOutput:
    """An output that cannot be written is refused before the work, not after it."""

    @pytest.mark.parametrize("target", ["out", "file:", "link", ""])
    def test_exists(self, target: str, tmp_path: Path) -> None:
        """Something is there already, even a link that leads nowhere."""
        make("in.jsonl", "out/x")
        Path("link").symlink_to("nowhere")
        given = f"file:{tmp_path}/out" if target == "file:" else target
        with pytest.raises(OutputExists):
            check_output("in.jsonl", given)

    @pytest.mark.parametrize("target", ["in/out", "in/a/../b/c", "link/out"])
    def test_within_the_input(self, target: str) -> None:
        """The next run would take the results for messages."""
        make("in/a.jsonl")
        Path("link").symlink_to("in")
        with pytest.raises(OutputUnusable, match="within the input"):
            check_output("in", target)

    def test_beside_the_input(self) -> None:
        """Beside a file, or a folder whose name begins alike, is fine; so are new folders."""
        make("in/a.jsonl")
        check_output("in/a.jsonl", "in/out")
        check_output("in", "in-out/a/b")

    def test_below_a_file(self) -> None:
        """A file can hold no output."""
        make("in.jsonl")
        with pytest.raises(OutputUnusable, match=r"in.jsonl is no folder"):
            check_output("in.jsonl", "in.jsonl/out")

    @not_as_root
    def test_permission(self) -> None:
        """A folder may not be written."""
        make("in.jsonl")
        Path("closed").mkdir(mode=0o500)
        with pytest.raises(OutputUnusable, match="no permission to write"):
            check_output("in.jsonl", "closed/a/b")

    def test_elsewhere(self) -> None:
        """Spark looks at other file systems."""
        check_output("in.jsonl", "s3a://bucket/out")
