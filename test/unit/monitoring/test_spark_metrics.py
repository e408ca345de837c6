from __future__ import annotations

import threading
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from structlog.testing import capture_logs

from tidemill.monitoring.spark_metrics import MISSES, PAGES, SparkMetrics, families

if TYPE_CHECKING:
    from collections.abc import Iterator

    from prometheus_client.core import Metric

EXECUTORS, DRIVER = PAGES
# Pages of Spark 4.2.0, shortened.
EXECUTORS_PAGE = """\
spark_info{version="4.2.0", revision="32f7299601108917fb01920a54e084595b7b3bf8"} 1.0
metrics_executor_rddBlocks{application_id="ID", application_name="tidemill-g", executor_id="driver"} 0
metrics_executor_rddBlocks{application_id="ID", application_name="tidemill-g", executor_id="1"} 3
metrics_executor_completedTasks_total{application_id="ID", application_name="tidemill-g", executor_id="1"} 2
metrics_executor_totalGCTime_seconds_total{application_id="ID", application_name="tidemill-g", executor_id="1"} 0.394
"""  # noqa: E501 - as they are
DRIVER_PAGE = """\
metrics_NS_driver_BlockManager_memory_memUsed_MB_Number{type="gauges"} 7
metrics_NS_driver_BlockManager_memory_memUsed_MB_Value{type="gauges"} 7
metrics_NS_driver_executor_cpuTime_Count{type="counters"} 747744161
metrics_NS_driver_spark_streaming_tidemill_latency_Number{type="gauges"} 4
metrics_NS_driver_spark_streaming_tidemill_latency_Value{type="gauges"} 4
metrics_NS_driver_LiveListenerBus_queue_streams_listenerProcessingTime_Max{type="timers"} 1.75522878E8
"""  # noqa: E501 - as they are


def pages(application: str = "local-1795510130843", namespace: str = "tidemill") -> list[str]:
    """Return both pages of an application."""
    known = namespace.replace("-", "_").replace(" ", "_")
    return [EXECUTORS_PAGE.replace("ID", application), DRIVER_PAGE.replace("NS", known)]


def samples(metrics: list[Metric]) -> dict[tuple[str, str], float]:
    """Return the values by metric name and executor."""
    return {
        (sample.name, sample.labels.get("executor", "")): sample.value
        for metric in metrics
        for sample in metric.samples
    }


@contextmanager
def ui(served: dict[str, str | int]) -> Iterator[str]:
    """Serve pages, or an HTTP status instead of a page, like the driver's UI; yield the URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            page = served.get(self.path, 404)
            self.send_response(page if isinstance(page, int) else 200)
            self.end_headers()
            self.wfile.write(str(page).encode())

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.server_address[1]}"
    finally:
        server.shutdown()
        server.server_close()
        thread.join()


class TestNames:
    """Names and labels are the same in every run."""

    def test_all(self) -> None:
        """Each metric occurs once, under its stable name."""
        assert samples(families(pages(), "tidemill-g", "tidemill")) == {
            ("spark_info", ""): 1,
            ("spark_executor_rddBlocks", "driver"): 0,
            ("spark_executor_rddBlocks", "1"): 3,
            ("spark_executor_completedTasks_total", "1"): 2,
            ("spark_executor_totalGCTime_seconds_total", "1"): 0.394,
            ("spark_BlockManager_memory_memUsed_MB_Value", "driver"): 7,
            ("spark_executor_cpuTime_Count", "driver"): 747744161,
            ("spark_streaming_tidemill_latency_Value", "driver"): 4,
            (
                "spark_LiveListenerBus_queue_streams_listenerProcessingTime_Max",
                "driver",
            ): 175522878,
        }

    def test_labels(self) -> None:
        """The labels are application and executor; `spark_info` has Spark's version."""
        for metric in families(pages(), "tidemill-g", "tidemill"):
            for sample in metric.samples:
                if sample.name == "spark_info":
                    assert set(sample.labels) == {"version", "revision"}
                else:
                    assert set(sample.labels) == {"app", "executor"}
                    assert sample.labels["app"] == "tidemill-g"

    @pytest.mark.parametrize(
        "namespace",
        [
            "local-1795510130843",
            "app-20261123081530-0001",
            "application_1795510130843_0007",
            "spark-4b1e8b3a9c5d4e6f8a7b6c5d4e3f2a1b",
            "Databricks Shell",
            "",
        ],
    )
    def test_other_namespaces(self, namespace: str) -> None:
        """A cluster that was already running gives the same names as the job's namespace."""
        running = [page.replace("__", "_") for page in pages("other", namespace)]
        assert samples(families(running, "a", "tidemill")) == samples(
            families(pages(), "a", "tidemill")
        )

    def test_two_runs(self) -> None:
        """Two runs of a job on such a cluster give the same output."""
        first, second = (
            generate_latest(collected(families(pages(run, run), "a", "tidemill")))
            for run in ("local-1", "local-2")
        )
        assert first == second

    def test_awkward_namespace(self) -> None:
        """A namespace that looks like an executor's name is recognised from the setting."""
        name = "my_driver_job"
        assert samples(families(pages(namespace=name), "a", name)) == samples(
            families(pages(), "a", "tidemill")
        )

    def test_query_without_a_name(self) -> None:
        """An unnamed query that shares the session is skipped."""
        of = "metrics_tidemill_driver_spark_streaming_{}_latency_Value 4"
        unnamed = of.format("0b5e7a52_5a0e_4c3f_9f6b_5a0e7c3f9f6b")
        assert families([unnamed], "a", "tidemill") == []
        assert len(families([of.format("other")], "a", "tidemill")) == 1


class TestText:
    """The pushed metrics are valid, and their types never change."""

    def test_untyped(self) -> None:
        """No metric declares a type, not even counters; names stay, timestamps do not."""
        text = generate_latest(collected(families(pages(), "a", "tidemill"))).decode()
        types = [line.split() for line in text.splitlines() if line.startswith("# TYPE")]
        assert {kind for *_, kind in types} == {"untyped"}
        assert 'spark_executor_completedTasks_total{app="a",executor="1"} 2.0\n' in text

    def test_duplicates(self) -> None:
        """If two samples get the same name and labels, the first one is kept."""
        twice = [
            "metrics_tidemill_driver_a_Count 1\nmetrics_local_1_driver_a_Count 2\n",
            "metrics_tidemill_driver_spark_a_Count 3",
        ]
        assert samples(families(twice, "a", "tidemill")) == {("spark_a_Count", "driver"): 1}

    def test_timestamp(self) -> None:
        """Timestamps are dropped, because a Pushgateway refuses them."""
        (metric,) = families(["metrics_x_driver_a_Value 1 1795510130843"], "a", "tidemill")
        assert metric.samples[0].timestamp is None

    @pytest.mark.parametrize(
        "line",
        [
            "metrics_x_driver_a_Value{} null",
            "metrics_x_driver_a_Value [a, b]",
            "metrics_x_driver_a_Value",
            "<html><body>Sign in</body></html>",
            "Sign in",
            "up 1",
            "metrics_executor_",
            'metrics_x{executor_id="1"} 1',
            "# TYPE x",
            "{",
        ],
    )
    def test_garbage(self, line: str) -> None:
        """An invalid line does not affect the others."""
        good = "metrics_x_driver_a_Value 1"
        assert len(families([f"{line}\n{good}\n{line}"], "a", "tidemill")) == 1

    @given(st.text(), st.text())
    def test_any_text(self, page: str, app: str) -> None:
        """The output is valid, whatever a page contains."""
        whole = [page, f"metrics_x_driver_{page}_Value 1", *pages()]
        text = generate_latest(collected(families(whole, app, "tidemill"))).decode()
        assert len(list(text_string_to_metric_families(text))) >= 8


def collected(metrics: list[Metric]) -> CollectorRegistry:
    """Return a registry with these metrics."""

    class Fixed:
        def collect(self) -> list[Metric]:
            return metrics

    registry = CollectorRegistry()
    registry.register(Fixed())
    return registry


class TestReading:
    """Each available page is read."""

    def test_both(self) -> None:
        """Each collection reads both pages again."""
        served: dict[str, str | int] = dict(zip(PAGES, pages(), strict=True))
        with ui(served) as url:
            metrics = SparkMetrics(url, "a", "tidemill")
            assert samples(list(metrics.collect())) == samples(families(pages(), "a", "tidemill"))
            served[EXECUTORS] = ""
            assert ("spark_info", "") not in samples(list(metrics.collect()))

    @pytest.mark.parametrize("page", PAGES)
    @pytest.mark.parametrize("instead", [404, 500, 403])
    def test_one_missing(self, page: str, instead: int) -> None:
        """A missing page is logged once, and the other page is still read."""
        served: dict[str, str | int] = dict(zip(PAGES, pages(), strict=True)) | {page: instead}
        with ui(served) as url, capture_logs() as logs:
            metrics = SparkMetrics(url, "a", "tidemill")
            for _ in range(3):
                assert len(list(metrics.collect())) >= 4
        assert [(line["log_level"], line["page"]) for line in logs] == [("warning", page)]
        assert str(instead) in logs[0]["error"]

    def test_missing_again(self) -> None:
        """A page that was available in between is logged again; a short outage is not logged."""
        served: dict[str, str | int] = {DRIVER: ""}
        answers: list[str | int] = [404, 404, "", *[404] * 9, "", *[404] * MISSES]
        with ui(served) as url, capture_logs() as logs:
            metrics = SparkMetrics(url, "a", "tidemill")
            for answer in answers:
                served[EXECUTORS] = answer
                list(metrics.collect())
        assert len(logs) == 2

    def test_gone(self) -> None:
        """A UI that does not answer gives no metrics, and raises no error."""
        with ui({}) as url:
            pass
        metrics = SparkMetrics(url, "a", "tidemill")
        with capture_logs() as logs:
            assert [list(metrics.collect()) for _ in range(MISSES)] == [[]] * MISSES
        assert logs[0]["error"].endswith("Connection refused")

    def test_no_ui(self) -> None:
        """Without a UI, no request is made."""
        assert list(SparkMetrics(None, "a", "tidemill").collect()) == []

    def test_proxy(self, monkeypatch: pytest.MonkeyPatch) -> None:
        """Requests to the driver bypass a configured proxy."""
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        with ui({DRIVER: pages()[1]}) as url:
            assert len(list(SparkMetrics(url, "a", "tidemill").collect())) == 4
