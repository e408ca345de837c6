from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tidemill.spark.java import spark_home

SCRIPT = Path(__file__).parents[4] / "deploy" / "kubernetes" / "entrypoint.sh"
# Programs of the environment in which Spark is installed.
BIN = Path(sys.executable).parent
# Variables that Spark's Kubernetes scheduler sets in an executor's container.
EXECUTOR = {
    "SPARK_DRIVER_URL": "spark://CoarseGrainedScheduler@10.0.0.7:1",
    "SPARK_EXECUTOR_ID": "3",
    "SPARK_EXECUTOR_CORES": "2",
    "SPARK_EXECUTOR_MEMORY": "2048m",
    "SPARK_APPLICATION_ID": "spark-1",
    "SPARK_EXECUTOR_POD_IP": "10.0.0.8",
    "SPARK_EXECUTOR_POD_NAME": "tidemill-exec-3",
    "SPARK_RESOURCE_PROFILE_ID": "0",
    "SPARK_CONF_DIR": "/opt/spark/conf",
    "SPARK_JAVA_OPT_0": "-Da=b c",
    "SPARK_JAVA_OPT_1": "-Xss2m",
}

MAY_LACK = {"SPARK_CONF_DIR", "SPARK_JAVA_OPT_0", "SPARK_JAVA_OPT_1"}


@pytest.fixture
def commands(tmp_path: Path) -> Path:
    """A folder of commands that print their arguments, one per line."""
    for name in ("java", "spark-submit", "tidemill"):
        script = tmp_path / name
        script.write_text(f'#!/bin/sh\nprintf "%s\\n" {name} "$@"\n')
        script.chmod(0o755)
    return tmp_path


def run(commands: Path, *arguments: str, **environ: str) -> subprocess.CompletedProcess[str]:
    """Run the image's entry point."""
    return subprocess.run(
        [str(SCRIPT), *arguments],
        env={"PATH": f"{commands}:{BIN}:{os.environ['PATH']}"} | environ,
        capture_output=True,
        text=True,
        check=False,
    )


def jars() -> Path:
    """Return the folder of Spark's jars, which include its Kubernetes scheduler."""
    folder = Path(spark_home()) / "jars"
    assert list(folder.glob("spark-kubernetes_*.jar"))
    return folder.resolve()


class TestCommands:
    """The first argument selects the program."""

    def test_driver(self, commands: Path) -> None:
        """`driver` runs spark-submit with Spark's arguments and the pod's address."""
        done = run(commands, "driver", "--class", "x y", SPARK_DRIVER_BIND_ADDRESS="10.0.0.7")
        assert done.stdout.splitlines() == [
            "spark-submit", "--deploy-mode", "client",
            "--conf", "spark.driver.bindAddress=10.0.0.7", "--class", "x y",
        ]  # fmt: skip

    def test_executor(self, commands: Path) -> None:
        """`executor` runs Spark's program with options from variables; spaces are kept."""
        said = run(commands, "executor", **EXECUTOR).stdout.splitlines()
        assert said == [
            "java", "-Da=b c", "-Xss2m", "-Xms2048m", "-Xmx2048m",
            "-cp", f"/opt/spark/conf:{jars()}/*",
            "org.apache.spark.scheduler.cluster.k8s.KubernetesExecutorBackend",
            "--driver-url", "spark://CoarseGrainedScheduler@10.0.0.7:1", "--executor-id", "3",
            "--cores", "2", "--app-id", "spark-1", "--hostname", "10.0.0.8",
            "--resourceProfileId", "0", "--podName", "tidemill-exec-3",
        ]  # fmt: skip

    def test_no_options(self, commands: Path) -> None:
        """Java options are optional, and a classpath can be added."""
        environ = {k: v for k, v in EXECUTOR.items() if "JAVA_OPT" not in k}
        said = run(commands, "executor", **environ, SPARK_CLASSPATH="/a.jar").stdout.splitlines()
        assert said[1:5] == [
            "-Xms2048m",
            "-Xmx2048m",
            "-cp",
            f"/opt/spark/conf:/a.jar:{jars()}/*",
        ]

    @pytest.mark.parametrize("name", [n for n in EXECUTOR if n not in MAY_LACK])
    def test_unknown(self, name: str, commands: Path) -> None:
        """An executor without a required variable does not start."""
        done = run(commands, "executor", **{k: v for k, v in EXECUTOR.items() if k != name})
        assert done.returncode != 0
        assert name in done.stderr

    @pytest.mark.parametrize("arguments", [[], ["stream", "--config", "/a b"], ["lag"]])
    def test_tidemill(self, arguments: list[str], commands: Path) -> None:
        """Any other argument is a command of tidemill."""
        assert run(commands, *arguments).stdout.splitlines() == ["tidemill", *arguments]
