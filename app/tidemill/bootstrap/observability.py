"""What watches a streaming job: probes, metrics, the lag, the summary in the log."""

from __future__ import annotations

import time
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

import structlog
from prometheus_client import CollectorRegistry

from tidemill.kafka.lag_reader import LagReader
from tidemill.monitoring.health import Health
from tidemill.monitoring.metrics import JobMetrics
from tidemill.monitoring.pushgateway import PushgatewayExporter
from tidemill.monitoring.server import metrics_server
from tidemill.monitoring.spark_metrics import SparkMetrics
from tidemill.monitoring.summary import Summary
from tidemill.periodic import PeriodicTask
from tidemill.spark import model_usage

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from pyspark import Accumulator
    from pyspark.sql import SparkSession

    from tidemill.inference.route import Route
    from tidemill.settings import Settings
    from tidemill.streaming.progress import Progress

log = structlog.get_logger(__name__)

LAG_INTERVAL_S = 15.0


class Observers:
    """Pass on what a job reports: to the probes, the metrics and the summary."""

    def __init__(self, settings: Settings, routes: Sequence[Route]) -> None:
        """Create the observers; `serve` and `export` start them."""
        self._settings = settings
        # Spark reports progress, or that the query is idle, once per trigger interval at most.
        self.health = Health(settings.monitoring.progress_limit + settings.stream.trigger_seconds)
        self._metrics = JobMetrics(
            settings.stream.group_id, routes, lambda: self.health.readiness_problem() is None
        )
        self._summary = Summary()
        self._usage: Accumulator[model_usage.Usages] | None = None

    def record(self, report: Progress) -> None:
        """Take the progress of a finished micro-batch."""
        self._metrics.record(report)
        self._summary.record(report)
        self.health.progressed()

    def idle(self) -> None:
        """Note that the query has nothing to do."""
        self._metrics.idle()
        self._summary.flush()
        self.health.progressed()

    def flush(self) -> None:
        """Log the summary of what it does not cover yet."""
        self._summary.flush()

    @contextmanager
    def serve(self) -> Iterator[None]:
        """Serve /metrics and the probes, if the settings name a port."""
        monitoring, group_id = self._settings.monitoring, self._settings.stream.group_id
        if monitoring.metrics_port is None:
            yield
            return
        registry = CollectorRegistry()
        registry.register(self._metrics)
        host, port = monitoring.metrics_host, monitoring.metrics_port
        with metrics_server(host, port, registry, self.health, group_id) as address:
            log.info("serving metrics and probes", address=address)
            yield

    @contextmanager
    def export(self, spark: SparkSession) -> Iterator[Accumulator[model_usage.Usages]]:
        """Read the lag in the background, and push metrics if the settings name a Pushgateway.

        Yield what takes the workers' reports about models. It is the same for every query, because
        a worker reports only changes.
        """
        usage = self._usage = self._usage or model_usage.accumulator(spark)
        self._metrics.set_usage(lambda: model_usage.totals(usage.value))
        reader = LagReader(self._settings.kafka, self._settings.stream)

        def read_lag() -> None:
            lag = None  # report no lag rather than an outdated one
            try:
                lag = reader.read(time.time(), ages=False)
            finally:
                self._metrics.set_lag(lag)

        with ExitStack() as stack:
            stack.enter_context(
                PeriodicTask(
                    LAG_INTERVAL_S, read_lag, description="read the lag", on_close=reader.close
                )
            )
            if self._settings.monitoring.pushgateway_url:
                stack.enter_context(self._pushgateway_exporter(spark))
            yield usage

    def _pushgateway_exporter(self, spark: SparkSession) -> PushgatewayExporter:
        context = spark.sparkContext
        namespace = context.getConf().get("spark.metrics.namespace", context.applicationId)
        name = f"tidemill-{self._settings.stream.group_id}"
        spark_metrics = SparkMetrics(context.uiWebUrl, name, str(namespace))
        return PushgatewayExporter(self._settings.monitoring, name, self._metrics, spark_metrics)
