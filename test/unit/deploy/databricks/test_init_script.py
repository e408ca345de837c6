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
    """Run the script on a folder, like a cluster's node."""
    return subprocess.run(
        ["bash", str(SCRIPT)],
        env={**os.environ, "SPARK_CONF_DIR": str(folder)},
        capture_output=True,
        text=True,
        check=False,
    )


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """The file that the script writes; it does not exist yet."""
    return tmp_path / "metrics.properties"


class TestLines:
    """The script enables the sink for all instances, once."""

    def test_new_file(self, file: Path) -> None:
        """A missing file is created with only these lines."""
        done = run(file.parent)
        assert (done.returncode, done.stdout + done.stderr) == (0, "")
        assert file.read_text() == "".join(f"{line}\n" for line in WANTED)

    @pytest.mark.parametrize("before", ["", "a=1\n", "# ours\n\na=1", WANTED[1] + "\n", WANTED[0]])
    def test_twice(self, before: str, file: Path) -> None:
        """A second run changes nothing, whatever the file contained before the first."""
        file.write_text(before)
        run(file.parent)
        once = file.read_bytes()
        assert run(file.parent).returncode == 0
        assert file.read_bytes() == once
        assert sorted(set(WANTED)) == sorted(set(file.read_text().splitlines()) & set(WANTED))

    @pytest.mark.parametrize("end", ["\n", ""])
    def test_other_lines(self, end: str, file: Path) -> None:
        """Other lines are kept, even a last line without a line break."""
        others = r"# a \ comment", "*.sink.graphite.host=away", "", "driver.source.jvm.class=X"
        file.write_text("\n".join(others) + end)
        run(file.parent)
        assert file.read_text().splitlines() == [*others, *WANTED]

    def test_similar_line(self, file: Path) -> None:
        """A line that only contains one of these, or matches it as a pattern, does not count."""
        similar = [f"#{WANTED[0]}", WANTED[1].replace("*", "driver"), WANTED[2] + "/more"]
        file.write_text("\n".join(similar) + "\n")
        run(file.parent)
        assert file.read_text().splitlines() == [*similar, *WANTED]


class TestFailure:
    """A failure has a message, and an exit code that stops the cluster's start."""

    def test_no_folder(self, tmp_path: Path) -> None:
        """The folder does not exist."""
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
