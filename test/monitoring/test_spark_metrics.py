"""Read the pages of real Spark applications, with and without the job's namespace."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
from structlog.testing import capture_logs

from dev.kafka.process import spawn, stop, wait_for_line
from dev.monitoring import spark_program
from dev.monitoring.servers import TIMEOUT_S
from dev.monitoring.spark_program import APP
from tidemill.monitoring import spark_metrics
from tidemill.monitoring.pushgateway import PushgatewayExporter
from tidemill.monitoring.spark_metrics import SparkMetrics
from tidemill.settings import MonitoringSettings

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from dev.monitoring.servers import Prometheus, Pushgateway

ROOT = Path(__file__).parents[2]
NAMESPACE = "tidemill"
QUICK = {
    "spark.master": "local[1]",
    "spark.ui.port": "0",
    "spark.ui.prometheus.enabled": "true",
    "spark.driver.extraJavaOptions": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC",
}


@contextmanager
def running(folder: Path, **conf: str) -> Iterator[str]:
    """Run Spark with the file that the Databricks init script writes; yield the UI's URL."""
    folder.mkdir()
    script = ROOT / "deploy" / "databricks" / "init-script.sh"
    subprocess.run([script], env={**os.environ, "SPARK_CONF_DIR": str(folder)}, check=True)
    named = QUICK | {"spark.metrics.conf": str(folder / "metrics.properties")} | conf
    command = [sys.executable, spark_program.__file__, json.dumps(named)]
    log = folder / "spark.log"
    process = spawn(command, log, cwd=folder, env={**os.environ, "SPARK_LOCAL_IP": "127.0.0.1"})
    try:
        wait_for_line(process, log, "UI http", name="Spark", timeout=300)
        yield next(line for line in log.read_text().splitlines() if line.startswith("UI "))[3:]
    finally:
        stop(process, 10)


@pytest.fixture(autouse=True)
def _patient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Wait longer for a page, because Spark needs seconds for the first one."""
    monkeypatch.setattr(spark_metrics, "TIMEOUT_S", TIMEOUT_S)


@pytest.fixture(scope="module")
def ours(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI of an application with the job's namespace."""
    folder = tmp_path_factory.mktemp("spark") / "ours"
    with running(folder, **{"spark.metrics.namespace": NAMESPACE}) as url:
        yield url


@pytest.fixture(scope="module")
def clusters(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The UI of an application whose metric names contain its id, as on a running cluster."""
    with running(tmp_path_factory.mktemp("spark") / "clusters") as url:
        yield url


def series(url: str) -> set[tuple[str, frozenset[tuple[str, str]]]]:
    """Return the names and labels of all metrics read from a UI."""
    return {
        (sample.name, frozenset(sample.labels.items()))
        for metric in SparkMetrics(url, APP, NAMESPACE).collect()
        for sample in metric.samples
    }


class TestPages:
    """After the init script, both pages exist and are read."""

    def test_names(self, ours: str) -> None:
        """They contain metrics of the driver and the executors, and the version."""
        with capture_logs() as logs:
            names = {name for name, _ in series(ours)}
        assert logs == []
        assert names > {
            "spark_info",
            "spark_executor_completedTasks_total",
            "spark_BlockManager_memory_memUsed_MB_Value",
            "spark_executor_cpuTime_Count",
            "spark_LiveListenerBus_queue_appStatus_listenerProcessingTime_Max",
        }
        assert len(names) > 150
        assert all(name.startswith("spark_") for name in names)

    def test_two_runs(self, ours: str, clusters: str) -> None:
        """Names and labels are the same in two runs, although the application's id differs."""
        assert series(ours) == series(clusters)


class TestPushed:
    """A Pushgateway accepts all of the metrics, and Prometheus scrapes them."""

    def test_nothing_refused(
        self,
        ours: str,
        clusters: str,
        gateway: Pushgateway,
        prometheus: Callable[..., Prometheus],
    ) -> None:
        """The next run continues the same series."""
        scraper = prometheus(gateway.url)
        settings = MonitoringSettings(
            pushgateway_url=gateway.url, pushgateway_interval=0.2, instance="here"
        )
        with capture_logs() as logs:
            for url in (ours, clusters):
                metrics = SparkMetrics(url, APP, NAMESPACE)
                exporter = PushgatewayExporter(settings, APP, metrics).start()
                gateway.wait_for_groups(1)
                scraper.wait_for("spark_info")
                exporter.close(TIMEOUT_S)
                gateway.wait_for_groups(0)
        assert logs == []
        found = scraper.query('count by (__name__) (last_over_time({__name__=~"spark_.*"}[10m]))')
        assert len(found) > 150
        assert {value for _, value in found} == {1}
        ((labels, _),) = scraper.query("last_over_time(spark_executor_totalCores[10m])")
        wanted = {"app": APP, "executor": "driver", "job": APP, "instance": "here"}
        assert labels.items() >= wanted.items()
