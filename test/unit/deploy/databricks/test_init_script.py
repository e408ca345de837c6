from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[4] / "deploy" / "databricks" / "init-script.sh"
WANTED = [
    "*.sink.prometheusServlet.class=org.apache.spark.metrics.sink.PrometheusServlet",
    "*.sink.prometheusServlet.path=/metrics/prometheus",
    "master.sink.prometheusServlet.path=/metrics/master/prometheus",
    "applications.sink.prometheusServlet.path=/metrics/applications/prometheus",
]


def run(folder: Path) -> subprocess.CompletedProcess[str]:
    """Run the script on a folder, as a cluster's node does."""
    return subprocess.run(
        ["bash", str(SCRIPT)],
        env={**os.environ, "SPARK_CONF_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that it writes; not there yet."""
    return tmp_path / "metrics.properties"


class TestLines:
    """The sink is turned on for all instances, once."""

    def test_new_file(self, file: Path) -> None:
        """Where there is no file, one is made, of these lines alone."""
        done = run(file.parent)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert file.read_text() == "".join(f"{line}\n" for line in WANTED)

    @pytest.mark.parametrize("before", ["", "a=1\n", "# ours\n\na=1", WANTED[1] + "\n", WANTED[0]])
    def test_twice(self, before: str, file: Path) -> None:
        """A second run changes nothing, whatever was there before the first."""
        file.write_text(before)
        run(file.parent)
        once = file.read_bytes()
        assert run(file.parent).returncode == 0
        assert file.read_bytes() == once
        assert sorted(set(WANTED)) == sorted(set(file.read_text().splitlines()) & set(WANTED))

    @pytest.mark.parametrize("end", ["\n", ""])
    def test_other_lines(self, end: str, file: Path) -> None:
        """Other lines stay as they are, the last one too where it has no end."""
        others = r"# a \ comment", "*.sink.graphite.host=away", "", "driver.source.jvm.class=X"
        file.write_text("\n".join(others) + end)
        run(file.parent)
        assert file.read_text().splitlines() == [*others, *WANTED]

    def test_similar_line(self, file: Path) -> None:
        """A line that only holds one of these, or is a pattern for it, is another."""
        similar = [f"#{WANTED[0]}", WANTED[1].replace("*", "driver"), WANTED[2] + "/more"]
        file.write_text("\n".join(similar) + "\n")
        run(file.parent)
        assert file.read_text().splitlines() == [*similar, *WANTED]


class TestFailure:
    """What goes wrong is said, with an exit code that stops the cluster's start."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """There is no such folder."""
        done = run(tmp_path / "none")
        assert done.returncode == 1
        assert f"there is no folder {tmp_path}/none" in done.stderr
        assert "SPARK_CONF_DIR" in done.stderr

    def test_not_writable(self, file: Path) -> None:
        """The file cannot be written."""
        file.mkdir()
        done = run(file.parent)
        assert done.returncode != 0
        assert str(file) in done.stderr
