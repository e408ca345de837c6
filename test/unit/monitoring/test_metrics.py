from __future__ import annotations

from typing import TYPE_CHECKING

import pytest
from prometheus_client import CollectorRegistry, generate_latest
from prometheus_client.parser import text_string_to_metric_families
from specs import make_spec

from tidemill.inference.route import single_routes
from tidemill.kafka.lag import LagSnapshot, PartitionLag
from tidemill.models.host import Usage
from tidemill.monitoring.metrics import JobMetrics
from tidemill.monitoring.totals import BEFORE_A_MODEL
from tidemill.streaming.progress import LATENCY_BUCKETS, Latencies, Progress

if TYPE_CHECKING:
    from collections.abc import Callable

ROUTES = single_routes(make_spec(name=name, version="1.2") for name in ("ner-en", "ner-fr"))


@pytest.fixture
def metrics() -> JobMetrics:
    """The metrics of a job with two models, at time 5000."""
    return JobMetrics("group", ROUTES, lambda: True, lambda: 5000.0)


@pytest.fixture
def sample(metrics: JobMetrics) -> Callable[..., float | None]:
    """Return a function that reads the value of a series, as a scrape would."""
    registry = CollectorRegistry()
    registry.register(metrics)
    return lambda name, **labels: registry.get_sample_value(name, labels)


class TestModels:
    """The workers report what the pools do with the models."""

    def test_usage(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """Each model of the job has its series from the start."""
        english = {"model": "ner-en", "version": "1.2", "variant": "1.2"}
        assert sample("tidemill_model_loads_total", **english) == 0
        metrics.set_usage(lambda: {"ner-en:1.2": Usage(3, 2, 0.5, 4096)})
        assert sample("tidemill_model_loads_total", **english) == 3
        assert sample("tidemill_model_evictions_total", **english) == 2
        assert sample("tidemill_model_load_seconds_total", **english) == 0.5
        assert sample("tidemill_model_memory_bytes", **english) == 4096
        french = english | {"model": "ner-fr"}
        assert sample("tidemill_model_loads_total", **french) == 0


class TestCounts:
    """Messages and outcomes are added up over the micro-batches."""

    def test_sums(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """Results are counted by model and version, dead letters also by error class."""
        for _ in range(2):
            metrics.record(
                Progress(
                    0,
                    messages=10,
                    outcomes={
                        ("ner-en:1.2", None): 6,
                        ("ner-en:1.2", "PredictionFailed"): 3,
                        (None, "NoModel"): 1,
                    },
                )
            )
        assert sample("tidemill_messages_total") == 20
        assert sample("tidemill_uncounted_total") == 0
        english = {"model": "ner-en", "version": "1.2", "variant": "1.2"}
        assert sample("tidemill_results_total", **english) == 12
        failed = {"error": "PredictionFailed"} | english
        assert sample("tidemill_dead_letters_total", **failed) == 6
        unrouted = {"error": "NoModel", "model": "", "version": "", "variant": ""}
        assert sample("tidemill_dead_letters_total", **unrouted) == 2

    def test_what_spark_did_not_count(
        self, metrics: JobMetrics, sample: Callable[..., float | None]
    ) -> None:
        """Messages answered earlier, or by a killed worker, count as uncounted."""
        metrics.record(Progress(0, messages=10, outcomes={("ner-en:1.2", None): 6}))
        assert sample("tidemill_messages_total") == 10
        assert sample("tidemill_uncounted_total") == 4

    def test_there_from_the_start(self, sample: Callable[..., float | None]) -> None:
        """Known series start at 0, because a rate misses the first value of a series."""
        assert sample("tidemill_results_total", model="ner-fr", version="1.2", variant="1.2") == 0
        for error in BEFORE_A_MODEL:
            labels = {"error": error.__name__, "model": "", "version": "", "variant": ""}
            assert sample("tidemill_dead_letters_total", **labels) == 0


class TestTimes:
    """Durations and latencies are histograms."""

    def test_durations(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """Each stage has a histogram."""
        metrics.record(Progress(0, durations={"addBatch": 0.3, "walCommit": 0.01}))
        metrics.record(Progress(1, durations={"addBatch": 7.0}))
        name = "tidemill_batch_duration_seconds"
        assert sample(f"{name}_bucket", stage="addBatch", le="0.5") == 1
        assert sample(f"{name}_bucket", stage="addBatch", le="+Inf") == 2
        assert sample(f"{name}_sum", stage="addBatch") == 7.3
        assert sample(f"{name}_count", stage="walCommit") == 1

    def test_latencies(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """Latencies add up; quantiles are those of the last micro-batch that had messages."""
        counts = tuple(int(bound >= 1) for bound in LATENCY_BUCKETS)
        metrics.record(Progress(0, latencies=Latencies(2, 1.4, counts, (0.7, 0.8, 0.9))))
        metrics.record(Progress(1, latencies=Latencies(1, 0.6, counts, (0.6, 0.61, 0.62))))
        metrics.record(Progress(2))
        assert sample("tidemill_latency_seconds_bucket", le="1.0") == 2
        assert sample("tidemill_latency_seconds_bucket", le="+Inf") == 3
        assert sample("tidemill_latency_seconds_sum") == 2.0
        assert sample("tidemill_batch_latency_seconds", quantile="0.95") == 0.61


class TestNow:
    """Gauges show the current state."""

    def test_progress(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """Rates and the time of the last progress come from the last micro-batch."""
        assert sample("tidemill_last_progress_timestamp_seconds") is None
        metrics.record(Progress(0, arriving=5.0, processed=9.0))
        assert sample("tidemill_last_progress_timestamp_seconds") == 5000
        assert sample("tidemill_input_rows_per_second") == 5
        assert sample("tidemill_processed_rows_per_second") == 9

    def test_idle(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """An idle job makes progress too, at rate 0."""
        metrics.record(Progress(0, arriving=5.0, processed=9.0))
        metrics.idle()
        assert sample("tidemill_last_progress_timestamp_seconds") == 5000
        assert sample("tidemill_processed_rows_per_second") == 0

    def test_lag(self, metrics: JobMetrics, sample: Callable[..., float | None]) -> None:
        """The lag is the last one read; an unknown lag has no series."""
        lags = PartitionLag("in", 0, 0, 10, 3, held_back=51), PartitionLag("in", 10, 0, 5, 5)
        metrics.set_lag(LagSnapshot(0.0, lags))
        assert sample("tidemill_lag_messages", topic="in", partition="0") == 7
        assert sample("tidemill_lag_messages", topic="in", partition="10") == 0
        assert sample("tidemill_held_back_messages", topic="in", partition="0") == 51
        assert sample("tidemill_held_back_messages", topic="in", partition="10") == 0
        metrics.set_lag(None)
        assert sample("tidemill_lag_messages", topic="in", partition="0") is None

    def test_models(self, sample: Callable[..., float | None]) -> None:
        """The job's models are listed, and whether it is ready."""
        assert sample("tidemill_model_info", model="ner-en", version="1.2", variant="1.2") == 1
        assert sample("tidemill_ready") == 1


class TestExposition:
    """The metrics are valid for Prometheus."""

    def test_parses(self, metrics: JobMetrics) -> None:
        """In the text format, every name has the prefix, a help text and one type."""
        metrics.record(Progress(0, 1, durations={"addBatch": 1.0}))
        registry = CollectorRegistry()
        registry.register(metrics)
        families = list(text_string_to_metric_families(generate_latest(registry).decode()))
        assert len({family.name for family in families}) == len(families)
        for family in families:
            assert family.name.startswith("tidemill_")
            assert family.documentation
            assert family.type != "unknown"
