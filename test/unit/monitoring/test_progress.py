from __future__ import annotations

import json
from typing import Any

import pytest

from app.monitoring.progress import batch_id, end_offsets


def progress(*sources: dict[str, Any]) -> str:
    """Return a report as Spark writes it, with the given sources."""
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


class TestBatchId:
    """A report is of one micro-batch."""

    def test_number(self) -> None:
        """Its number is read."""
        assert batch_id(progress()) == 3


class TestEndOffsets:
    """What to commit is where the batch ended."""

    def test_object(self) -> None:
        """Java's report holds the offsets as an object; they are taken as they are."""
        assert end_offsets(progress(source({"in": {"1": 2, "0": 4}}))) == {
            ("in", 0): 4,
            ("in", 1): 2,
        }

    def test_text(self) -> None:
        """Python's report holds them as JSON within JSON."""
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
        """Sources of other kinds have offsets of other kinds."""
        rate = source(12, "RateStreamV2[rowsPerSecond=1]")
        files = source({"logOffset": 3}, "FileStreamSource[file:/tmp/in]")
        assert end_offsets(progress(rate, files, source({"in": {"0": 1}}))) == {("in", 0): 1}

    def test_no_sources(self) -> None:
        """A report without sources has no offsets."""
        assert end_offsets(progress()) == {}

    def test_large_offset(self) -> None:
        """The largest offset of Kafka is kept exactly."""
        assert end_offsets(progress(source({"in": {"0": 2**63 - 1}}))) == {("in", 0): 2**63 - 1}
