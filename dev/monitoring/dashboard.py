"""The dashboard's queries, as Grafana sends them, and the metrics that they may use."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from dev.monitoring.promtool import MONITORING

if TYPE_CHECKING:
    from collections.abc import Iterator

DASHBOARD = MONITORING / "grafana-dashboard.json"
# Of `tidemill task work`, too.
TASK_METRICS = {
    "tidemill_tasks_ended_total",
    "tidemill_tasks_heartbeat_timestamp_seconds",
    "tidemill_tasks_oldest_waiting_timestamp_seconds",
    "tidemill_tasks_read_timestamp_seconds",
    "tidemill_tasks_running",
    "tidemill_tasks_seconds_total",
    "tidemill_tasks_waiting",
}
# The metrics of `tidemill serve` that the dashboard and the alerts use.
SERVE_METRICS = {
    "tidemill_requests_total",
    "tidemill_request_seconds",
    "tidemill_queue_seconds",
    "tidemill_batch_size",
    "tidemill_answer_errors_total",
    "tidemill_lookup_keys_total",
    "tidemill_features_seconds",
    "tidemill_lookup_seconds",
    "tidemill_table_generation",
    "tidemill_table_newest_row_timestamp_seconds",
    "tidemill_table_rows",
    "tidemill_table_swapped_timestamp_seconds",
} | TASK_METRICS
# The job's own metrics, and the suffixes of histograms.
METRICS = {
    "tidemill_info",
    "tidemill_messages_total",
    "tidemill_results_total",
    "tidemill_dead_letters_total",
    "tidemill_model_info",
    "tidemill_batch_duration_seconds",
    "tidemill_latency_seconds",
    "tidemill_batch_latency_seconds",
    "tidemill_input_rows_per_second",
    "tidemill_processed_rows_per_second",
    "tidemill_lag_messages",
    "tidemill_last_progress_timestamp_seconds",
    "tidemill_ready",
} | SERVE_METRICS
PARTS = re.compile(r"(?<=_seconds|tch_size)_(?:bucket|count|sum)$")
# The pushed metrics of Spark that the dashboard shows.
SPARK_METRICS = {
    "spark_executor_memoryUsed_bytes",
    "spark_executor_maxMemory_bytes",
    "spark_executor_completedTasks_total",
    "spark_executor_totalGCTime_seconds_total",
}


@dataclass(frozen=True, slots=True)
class Query:
    """A query of a panel; `expression` is PromQL without variables."""

    panel: str
    expression: str


def panels() -> list[dict[str, Any]]:
    """Return the dashboard's panels, including rows."""
    every: list[dict[str, Any]] = json.loads(DASHBOARD.read_text(encoding="utf-8"))["panels"]
    return every


def queries(job: str = ".+", instance: str = ".+", rate_interval: str = "1m") -> Iterator[Query]:
    """Yield every query of every panel.

    `job` and `instance` are the values of these variables, regular expressions. `rate_interval`
    replaces the value that Grafana computes: at least four times the scrape interval.
    """
    variables = {"job": job, "instance": instance, "__rate_interval": rate_interval}
    for panel in panels():
        for target in panel.get("targets", ()):
            expression = re.sub(r"\$\{?(\w+)\}?", lambda match: variables[match[1]], target["expr"])
            yield Query(panel["title"], expression)


def metrics(expression: str) -> set[str]:
    """Return the metrics that an expression uses; histograms without suffix."""
    unquoted = re.sub(r'"[^"]*"', "", expression)
    names = re.findall(r"(?<![\w:])(?:tidemill|spark|push|up)(?:_\w+)?(?![\w:(])", unquoted)
    return {PARTS.sub("", name) for name in names}
