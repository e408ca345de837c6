from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import ArtifactsUnavailable
from tidemill.spark.ivy import (
    IVY_SETTINGS,
    MARKER,
    failure_reason,
    file_lock,
    is_complete,
    ivy_module,
    retrieve,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WANTED = ["org.a:one:1.0", "org.b:two:2.0"]
# A fake Ivy: it fills the folder `jars` of its working folder.
DOWNLOAD = """
echo '	found org.a#one;1.0 in central'
echo 'downloading https://jars.example/maven2/org/a/one/1.0/one-1.0.jar ...'
echo one > jars/one-1.0.jar
echo two > jars/two-2.0.jar
"""
REFUSED = """
echo ':: resolving dependencies :: tidemill#jars;working'
echo '	Server access error at url https://jars.example/maven2/a (java.net.ConnectException)'
exit 1
"""


@pytest.fixture(autouse=True)
def ivy(spark_jars: Path) -> Path:
    """Create the jar of Ivy."""
    jar = spark_jars / "ivy-2.5.3.jar"
    jar.touch()
    return jar


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Return the target folder, which does not exist yet."""
    return tmp_path / "cache" / "jars"


class TestRetrieve:
    """Artifacts are downloaded once into a folder of their own."""

    def test_fetched(self, make_java: Callable[..., Path], into: Path) -> None:
        """The jars are in the folder, and each step is reported."""
        make_java(script=DOWNLOAD)
        steps: list[str] = []
        jars = retrieve(WANTED, into, report=steps.append)
        assert jars == [into / "one-1.0.jar", into / "two-2.0.jar"]
        assert steps == ["one 1.0", "one-1.0.jar"]

    def test_once(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """The second time, Ivy is not run."""
        make_java(script=DOWNLOAD)
        assert retrieve(WANTED, into) == retrieve(WANTED, into)
        assert runs() == 1

    def test_no_java_needed(
        self, make_java: Callable[..., Path], into: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        """A complete folder needs no Java."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        monkeypatch.setenv("JAVA_HOME", str(into))
        assert len(retrieve(WANTED, into)) == 2

    @pytest.mark.parametrize("lost", ["one-1.0.jar", MARKER])
    def test_incomplete(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path, lost: str
    ) -> None:
        """A folder that lacks a file is replaced."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        (into / lost).unlink()
        assert len(retrieve(WANTED, into)) == 2
        assert runs() == 2

    def test_other_coordinates(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """A folder with other artifacts is replaced."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        retrieve(WANTED[:1], into)
        assert runs() == 2

    def test_staging_is_removed(self, make_java: Callable[..., Path], into: Path) -> None:
        """After a download, only the folder and its lock remain."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        assert {path.name for path in into.parent.iterdir()} == {"jars", ".jars.lock"}

    def test_concurrent(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """Concurrent callers download once."""
        make_java(script=f"sleep 0.1\n{DOWNLOAD}")
        counts: list[int] = []
        threads = [
            threading.Thread(target=lambda: counts.append(len(retrieve(WANTED, into))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert counts == [2] * 4
        assert runs() == 1


class TestFailure:
    """A failed download names the artifacts and the reason."""

    def test_second_attempt(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """A failed download is retried once."""
        make_java(script=f'if [ $(wc -l < "$here/runs") -lt 2 ]; then {REFUSED} fi\n{DOWNLOAD}')
        assert len(retrieve(WANTED, into)) == 2
        assert runs() == 2

    def test_refused(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """A second failure is an error, and leaves no incomplete folder."""
        make_java(script=REFUSED)
        with pytest.raises(ArtifactsUnavailable) as caught:
            retrieve(WANTED, into)
        assert "org.a:one:1.0, org.b:two:2.0" in str(caught.value)
        assert "Server access error (java.net.ConnectException)" in str(caught.value)
        assert runs() == 2
        assert not into.exists()

    def test_after_a_failure(self, make_java: Callable[..., Path], into: Path) -> None:
        """The next call succeeds."""
        make_java(script=REFUSED)
        with pytest.raises(ArtifactsUnavailable):
            retrieve(WANTED, into)
        make_java(script=DOWNLOAD)
        assert len(retrieve(WANTED, into)) == 2

    def test_no_ivy(self, make_java: Callable[..., Path], into: Path, ivy: Path) -> None:
        """A Spark without Ivy is reported."""
        make_java()
        ivy.unlink()
        with pytest.raises(ArtifactsUnavailable, match=f"no ivy-.*jar in {ivy.parent}"):
            retrieve(WANTED, into)

    def test_interrupted(self, make_java: Callable[..., Path], into: Path) -> None:
        """An interrupt does not wait for the downloads."""
        make_java(script=f"{DOWNLOAD}\nexec sleep 600")

        def interrupt(_: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            retrieve(WANTED, into, report=interrupt)
        assert not into.exists()


class TestIsComplete:
    """A folder is complete only with a list of its jars."""

    @pytest.mark.parametrize("marker", ["", "org.a:one:1.0", "other\none.jar", "w\nnone.jar"])
    def test_incomplete(self, tmp_path: Path, marker: str) -> None:
        """The list is empty or of other artifacts, or a jar is missing."""
        (tmp_path / MARKER).write_text(marker, "utf-8")
        assert not is_complete(tmp_path, ["w"])

    def test_broken_marker(self, tmp_path: Path) -> None:
        """The list is not UTF-8."""
        (tmp_path / MARKER).write_bytes(b"\xff\xfe")
        assert not is_complete(tmp_path, ["w"])


class TestIvyFiles:
    """The files that Ivy reads are valid."""

    def test_module(self) -> None:
        """Each coordinate is a dependency, and excluded modules are left out."""
        root = ET.fromstring(ivy_module(WANTED, ["spark-core_2.13"]))  # noqa: S314 - made here
        dependencies = [
            (d.get("org"), d.get("name"), d.get("rev")) for d in root.iter("dependency")
        ]
        assert dependencies == [("org.a", "one", "1.0"), ("org.b", "two", "2.0")]
        assert [e.get("module") for e in root.iter("exclude")] == ["spark-core_2.13"]

    def test_settings(self) -> None:
        """The settings are XML, and set timeouts."""
        root = ET.fromstring(IVY_SETTINGS.strip())  # noqa: S314 - made here
        (constraint,) = root.iter("timeout-constraint")
        assert int(constraint.get("readTimeout", 0)) > 0
        assert int(constraint.get("connectionTimeout", 0)) > 0


class TestFailureReason:
    """The reason is picked from Ivy's output."""

    OUTAGE = "Host jars.example not found. url=https://jars.example/maven2/{}.pom"
    MISSING = ":: org.a#{};1.0: not found"

    def test_outage(self) -> None:
        """A missing network is reported once, without the artifacts missing because of it."""
        output = [
            ":: resolving dependencies :: tidemill#jars;working",
            self.OUTAGE.format("a"),
            self.OUTAGE.format("b"),
            self.MISSING.format("one"),
        ]
        assert failure_reason(output) == "Host jars.example not found"

    def test_missing(self) -> None:
        """With a network, the last three missing artifacts are reported."""
        output = [":: problems summary ::", *(self.MISSING.format(name) for name in "abcd")]
        assert failure_reason(output) == "; ".join(f"org.a#{name};1.0: not found" for name in "bcd")

    def test_unknown(self) -> None:
        """If no line is a known problem, the last lines are reported."""
        assert failure_reason(["::::", "", "something odd"]) == "something odd"

    def test_silence(self) -> None:
        """Without output, the reason says so."""
        assert failure_reason([]) == "Ivy failed without any output"


class TestFileLock:
    """Only one process holds the lock."""

    def test_waits(self, tmp_path: Path) -> None:
        """The next waits until the lock is released."""
        inside = threading.Event()

        def wait() -> None:
            with file_lock(tmp_path / "lock"):
                inside.set()

        with file_lock(tmp_path / "lock"):
            thread = threading.Thread(target=wait)
            thread.start()
            assert not inside.wait(0.1)
        assert inside.wait(60)
        thread.join()

    def test_released_by_an_error(self, tmp_path: Path) -> None:
        """An error releases the lock."""
        with pytest.raises(ValueError, match="x"), file_lock(tmp_path / "lock"):
            raise ValueError("x")
        with file_lock(tmp_path / "lock"):
            pass
