from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from tidemill.streaming.progress import LATENCY_BUCKETS, NO_COUNTS, Latencies, read

if TYPE_CHECKING:
    from tidemill.streaming.progress import Offsets


def end_offsets(report: str) -> Offsets:
    """Return the offsets to commit according to a report."""
    return read(report).offsets


def progress(*sources: dict[str, Any], **changes: object) -> str:
    """Return a report in Spark's format, with the given sources."""
    return json.dumps(
        {
            "id": "6f3e9bd8-52b0-4cd7-9fd7-7fb43d3a7a35",
            "runId": "ab2d4b43-7e54-4a75-8a3e-0f7c6ad2d1f5",
            "name": "tidemill",
            "timestamp": "2026-01-05T10:00:00.000Z",
            "batchId": 3,
            "batchDuration": 812,
            "numInputRows": 6,
            "durationMs": {"addBatch": 700, "triggerExecution": 812},
            "stateOperators": [],
            "sources": sources,
            "sink": {
                "description": "org.apache.spark.sql.kafka010.KafkaSourceProvider$KafkaTable@3",
                "numOutputRows": 6,
            },
            **changes,
        }
    )


def source(end: object, kind: str = "KafkaV2[Subscribe[in]]") -> dict[str, Any]:
    """Return one source's part of a report."""
    return {
        "description": kind,
        "startOffset": {"in": {"1": 0, "0": 0}},
        "endOffset": end,
        "latestOffset": {"in": {"1": 99, "0": 99}},
        "numInputRows": 6,
        "metrics": {"maxOffsetsBehindLatest": "0"},
    }


class TestMicroBatch:
    """A report describes its micro-batch."""

    def test_numbers(self) -> None:
        """It contains the batch's number, its messages and the seconds of each stage."""
        report = read(progress(inputRowsPerSecond=3.5, processedRowsPerSecond=7.0))
        assert (report.batch, report.messages) == (3, 6)
        assert report.durations == {"addBatch": 0.7, "triggerExecution": 0.812}
        assert (report.arriving, report.processed) == (3.5, 7.0)

    @pytest.mark.parametrize("missing", ["durationMs", "inputRowsPerSecond", "observedMetrics"])
    def test_missing(self, missing: str) -> None:
        """A field that Spark omits or does not know is empty."""
        report = read(progress(**{missing: None}))
        assert (report.arriving, report.outcomes, report.latencies) == (0.0, {}, Latencies())

    def test_outcomes(self) -> None:
        """Outcomes are counted by model and error class; those with a class are dead letters."""
        kinds = [
            {"item": '{"model":"ner:1"}', "count": 4},
            {"item": '{"model":"ner:1","error":"PredictionFailed"}', "count": 2},
            {"item": '{"error":"NoModel"}', "count": 1},
        ]
        report = read(progress(observedMetrics={"tidemill": {"kinds": kinds}}))
        assert report.outcomes == {
            ("ner:1", None): 4,
            ("ner:1", "PredictionFailed"): 2,
            (None, "NoModel"): 1,
        }
        assert (report.results, report.dead_letters) == (4, 3)

    def test_latencies(self) -> None:
        """Latencies are reported as count, sum, buckets and quantiles."""
        buckets = [1, *(2 for _ in LATENCY_BUCKETS[1:])]
        observed = {
            "latency_count": 2,
            "latency_sum": 0.3,
            "latency_buckets": buckets,
            "latency_quantiles": [0.1, 0.2, 0.2],
        }
        report = read(progress(observedMetrics={"tidemill": observed}))
        assert report.latencies == Latencies(2, 0.3, tuple(buckets), (0.1, 0.2, 0.2))

    def test_no_timestamps(self) -> None:
        """Messages without timestamps have no latencies."""
        observed = {"latency_count": 0, "latency_sum": None, "latency_quantiles": None}
        report = read(progress(observedMetrics={"tidemill": observed}))
        assert report.latencies == Latencies(0, 0.0, NO_COUNTS, ())


class TestEndOffsets:
    """The offsets to commit are the batch's end offsets."""

    def test_object(self) -> None:
        """Java's report contains the offsets as an object; they stay unchanged."""
        assert end_offsets(progress(source({"in": {"1": 2, "0": 4}}))) == {
            ("in", 0): 4,
            ("in", 1): 2,
        }

    def test_text(self) -> None:
        """Python's report contains them as JSON in a string."""
        assert end_offsets(progress(source('{"in":{"1":2,"0":4}}'))) == {
            ("in", 0): 4,
            ("in", 1): 2,
        }

    def test_many_sources(self) -> None:
        """All Kafka sources and topics count."""
        report = progress(
            source({"a": {"0": 1}, "b.c": {"0": 2}}),
            source('{"d":{"10":3}}', "KafkaV2[SubscribePattern[d.*]]"),
        )
        assert end_offsets(report) == {("a", 0): 1, ("b.c", 0): 2, ("d", 10): 3}

    @pytest.mark.parametrize("end", [None, {}, "{}", {"in": {}}])
    def test_no_end_yet(self, end: object) -> None:
        """A source that has read nothing has nothing to commit."""
        assert end_offsets(progress(source(end))) == {}

    def test_other_sources(self) -> None:
        """Other kinds of sources are ignored."""
        rate = source(12, "RateStreamV2[rowsPerSecond=1]")
        files = source({"logOffset": 3}, "FileStreamSource[file:/tmp/in]")
        assert end_offsets(progress(rate, files, source({"in": {"0": 1}}))) == {("in", 0): 1}

    def test_no_sources(self) -> None:
        """A report without sources has no offsets."""
        assert end_offsets(progress()) == {}

    def test_large_offset(self) -> None:
        """The largest offset of Kafka is kept exactly."""
        assert end_offsets(progress(source({"in": {"0": 2**63 - 1}}))) == {("in", 0): 2**63 - 1}
