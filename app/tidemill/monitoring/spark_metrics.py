"""Read Spark's own metrics from the driver's UI, and give them stable names."""

from __future__ import annotations

import re
from collections import Counter
from typing import TYPE_CHECKING

import requests
import structlog
from prometheus_client.core import Metric
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.registry import Collector

from tidemill.monitoring.reason import reason

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from prometheus_client.samples import Sample

log = structlog.get_logger(__name__)

# The executors' metrics as reported to the driver, and those of the driver's PrometheusServlet.
PAGES = ("/metrics/executors/prometheus/", "/metrics/prometheus/")
TIMEOUT_S = 5
# Report a page after so many failures, because a starting driver may be slow.
MISSES = 3
# The id of an unnamed query in the same session, which is new at each of its starts.
UUID = re.compile("[0-9a-f]{8}(_[0-9a-f]{4}){3}_[0-9a-f]{12}")


class SparkMetrics(Collector):
    """Spark's metrics with the prefix `spark_`; each collection reads the driver's UI.

    If a page is missing repeatedly, that is logged once; the other page is still read.
    """

    def __init__(self, ui_url: str | None, app: str, namespace: str) -> None:
        """Store SparkContext's uiWebUrl (None: no UI), its name, and `spark.metrics.namespace`."""
        self._ui_url = ui_url
        self._app = app
        self._namespace = namespace
        self._misses: Counter[str] = Counter()

    def collect(self) -> Iterator[Metric]:
        """Return the current metrics of the pages."""
        if self._ui_url is not None:
            pages = [self._read(self._ui_url, page) for page in PAGES]
            yield from families(pages, self._app, self._namespace)

    def _read(self, ui_url: str, page: str) -> str:
        try:
            with requests.Session() as session:
                session.trust_env = False  # the driver is this machine; use no proxy
                response = session.get(ui_url.rstrip("/") + page, timeout=TIMEOUT_S)
                response.raise_for_status()
        except requests.RequestException as error:
            self._misses[page] += 1
            if self._misses[page] == MISSES:
                log.warning("cannot read Spark's metrics", page=page, error=reason(error))
            return ""
        self._misses[page] = 0
        return response.text


def families(pages: Iterable[str], app: str, namespace: str) -> list[Metric]:
    """Return the metrics of pages, with the labels `app` and `executor`.

    Their type is unknown, because Spark declares none, and a guess from values or names could
    change. Skip lines that cannot be parsed or renamed, and duplicates.
    """
    by_name: dict[str, Metric] = {}
    seen: set[tuple[str, frozenset[tuple[str, str]]]] = set()
    for line in (line for page in pages for line in page.splitlines()):
        for sample in _samples(line):
            name = stable_name(sample, namespace)
            labels = (
                sample.labels
                if name == "spark_info"
                else {"app": app, "executor": sample.labels.get("executor_id", "driver")}
            )
            key = name, frozenset(labels.items())
            if name and key not in seen:
                seen.add(key)
                family = by_name.setdefault(name, Metric(name, "Measured by Spark.", "unknown"))
                family.add_sample(name, labels, sample.value)
    return list(by_name.values())


def stable_name(sample: Sample, namespace: str) -> str:
    """Return a metric's name without ids of application or executor, or "" to skip the metric.

    Spark writes `metrics_executor_NAME` for executors' metrics, and `metrics_NAMESPACE_driver_NAME`
    for the driver's. The namespace is the application's id if none is set, or if the cluster was
    running before the job started.
    """
    if sample.name == "spark_info":
        return sample.name
    if "executor_id" in sample.labels:
        _, prefix, rest = sample.name.partition("metrics_executor_")
        return f"spark_executor_{rest}" if prefix else ""
    known = re.sub("[^a-zA-Z0-9]", "_", namespace)
    match = re.match(rf"metrics_(?:{known}_|\w*?_|)driver_(\w+)", sample.name)
    # Spark writes each gauge twice, as a Number and as a Value.
    if match is None or match[1].endswith("_Number") or UUID.search(match[1]):
        return ""
    return f"spark_{match[1].removeprefix('spark_')}"


def _samples(line: str) -> list[Sample]:
    """Parse a line into a sample, or none if that fails: a gauge may hold any object."""
    try:
        return [s for family in text_string_to_metric_families(line) for s in family.samples]
    except (ValueError, IndexError):  # the parser's errors for another format
        return []
