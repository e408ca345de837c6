from __future__ import annotations

import threading
import xml.etree.ElementTree as ET
from typing import TYPE_CHECKING

import pytest

from tidemill.errors import ArtifactsUnavailable
from tidemill.spark.ivy import (
    IVY_SETTINGS,
    MARKER,
    is_complete,
    ivy_module,
    locked,
    reason,
    retrieve,
)

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

WANTED = ["org.a:one:1.0", "org.b:two:2.0"]
# What Ivy does, seen from here: it fills the folder `jars` of where it is started.
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
    """Return the jar that Java is to run."""
    jar = spark_jars / "ivy-2.5.3.jar"
    jar.touch()
    return jar


@pytest.fixture
def into(tmp_path: Path) -> Path:
    """Return the folder to fetch into, which is not there yet."""
    return tmp_path / "cache" / "jars"


class TestRetrieve:
    """Artifacts are fetched once into a folder of their own."""

    def test_fetched(self, make_java: Callable[..., Path], into: Path) -> None:
        """The jars are there, and each step was reported."""
        make_java(script=DOWNLOAD)
        steps: list[str] = []
        jars = retrieve(WANTED, into, report=steps.append)
        assert jars == [into / "one-1.0.jar", into / "two-2.0.jar"]
        assert steps == ["one 1.0", "one-1.0.jar"]

    def test_once(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """The second time nothing is started."""
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
        """A folder that lost a file is made anew."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        (into / lost).unlink()
        assert len(retrieve(WANTED, into)) == 2
        assert runs() == 2

    def test_other_coordinates(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """A folder of other artifacts is replaced."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        retrieve(WANTED[:1], into)
        assert runs() == 2

    def test_nothing_left_beside(self, make_java: Callable[..., Path], into: Path) -> None:
        """After success only the folder and its lock are there."""
        make_java(script=DOWNLOAD)
        retrieve(WANTED, into)
        assert {path.name for path in into.parent.iterdir()} == {"jars", ".jars.lock"}

    def test_at_once(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """Those who want the same at once fetch it once."""
        make_java(script=f"sleep 0.1\n{DOWNLOAD}")
        found: list[int] = []
        threads = [
            threading.Thread(target=lambda: found.append(len(retrieve(WANTED, into))))
            for _ in range(4)
        ]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert found == [2] * 4
        assert runs() == 1


class TestFailure:
    """What cannot be fetched is named, with the reason."""

    def test_second_attempt(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """A dropped connection is tried once more, unseen."""
        make_java(script=f'if [ $(wc -l < "$here/runs") -lt 2 ]; then {REFUSED} fi\n{DOWNLOAD}')
        assert len(retrieve(WANTED, into)) == 2
        assert runs() == 2

    def test_refused(
        self, make_java: Callable[..., Path], runs: Callable[[], int], into: Path
    ) -> None:
        """After that it is an error; no half folder is taken for a whole one."""
        make_java(script=REFUSED)
        with pytest.raises(ArtifactsUnavailable) as caught:
            retrieve(WANTED, into)
        assert "org.a:one:1.0, org.b:two:2.0" in str(caught.value)
        assert "Server access error (java.net.ConnectException)" in str(caught.value)
        assert runs() == 2
        assert not into.exists()

    def test_afterwards(self, make_java: Callable[..., Path], into: Path) -> None:
        """A later attempt succeeds."""
        make_java(script=REFUSED)
        with pytest.raises(ArtifactsUnavailable):
            retrieve(WANTED, into)
        make_java(script=DOWNLOAD)
        assert len(retrieve(WANTED, into)) == 2

    def test_no_ivy(self, make_java: Callable[..., Path], into: Path, ivy: Path) -> None:
        """A Spark without Ivy is named."""
        make_java()
        ivy.unlink()
        with pytest.raises(ArtifactsUnavailable, match=f"no ivy-.*jar in {ivy.parent}"):
            retrieve(WANTED, into)

    def test_interrupted(self, make_java: Callable[..., Path], into: Path) -> None:
        """Whoever interrupts does not wait for the downloads."""
        make_java(script=f"{DOWNLOAD}\nexec sleep 600")

        def interrupt(_: str) -> None:
            raise KeyboardInterrupt

        with pytest.raises(KeyboardInterrupt):
            retrieve(WANTED, into, report=interrupt)
        assert not into.exists()


class TestIsComplete:
    """Only a folder with a list of what was fetched is complete."""

    @pytest.mark.parametrize("marker", ["", "org.a:one:1.0", "other\none.jar", "w\nnone.jar"])
    def test_not(self, tmp_path: Path, marker: str) -> None:
        """Neither with another list nor with a jar that is not there."""
        (tmp_path / MARKER).write_text(marker, "utf-8")
        assert not is_complete(tmp_path, ["w"])

    def test_broken_marker(self, tmp_path: Path) -> None:
        """Nor with a list that cannot be read."""
        (tmp_path / MARKER).write_bytes(b"\xff\xfe")
        assert not is_complete(tmp_path, ["w"])


class TestIvyFiles:
    """What Ivy reads."""

    def test_module(self) -> None:
        """Each coordinate is a dependency; unwanted modules are left out."""
        root = ET.fromstring(ivy_module(WANTED, ["spark-core_2.13"]))  # noqa: S314 - made here
        found = [(d.get("org"), d.get("name"), d.get("rev")) for d in root.iter("dependency")]
        assert found == [("org.a", "one", "1.0"), ("org.b", "two", "2.0")]
        assert [e.get("module") for e in root.iter("exclude")] == ["spark-core_2.13"]

    def test_settings(self) -> None:
        """The settings are XML, and no download waits for ever."""
        root = ET.fromstring(IVY_SETTINGS.strip())  # noqa: S314 - made here
        (constraint,) = root.iter("timeout-constraint")
        assert int(constraint.get("readTimeout", 0)) > 0
        assert int(constraint.get("connectionTimeout", 0)) > 0


class TestReason:
    """Of Ivy's output only what went wrong is told."""

    OUTAGE = "Host jars.example not found. url=https://jars.example/maven2/{}.pom"
    MISSING = ":: org.a#{};1.0: not found"

    def test_outage(self) -> None:
        """Without a network that is told, once, not what is then missing."""
        output = [
            ":: resolving dependencies :: tidemill#jars;working",
            self.OUTAGE.format("a"),
            self.OUTAGE.format("b"),
            self.MISSING.format("one"),
        ]
        assert reason(output) == "Host jars.example not found"

    def test_missing(self) -> None:
        """With one, the artifacts that are missing are told, the last three."""
        output = [":: problems summary ::", *(self.MISSING.format(name) for name in "abcd")]
        assert reason(output) == "; ".join(f"org.a#{name};1.0: not found" for name in "bcd")

    def test_unknown(self) -> None:
        """Where nothing is known as a problem the last lines are told."""
        assert reason(["::::", "", "something odd"]) == "something odd"

    def test_silence(self) -> None:
        """No output is told too."""
        assert reason([]) == "Ivy failed and said nothing"


class TestLocked:
    """Only one holds the lock."""

    def test_waits(self, tmp_path: Path) -> None:
        """The next waits until it is free."""
        inside = threading.Event()

        def wait() -> None:
            with locked(tmp_path / "lock"):
                inside.set()

        with locked(tmp_path / "lock"):
            thread = threading.Thread(target=wait)
            thread.start()
            assert not inside.wait(0.1)
        assert inside.wait(60)
        thread.join()

    def test_freed_by_an_error(self, tmp_path: Path) -> None:
        """An error frees it."""
        with pytest.raises(ValueError, match="x"), locked(tmp_path / "lock"):
            raise ValueError("x")
        with locked(tmp_path / "lock"):
            pass
