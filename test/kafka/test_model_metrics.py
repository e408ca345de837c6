"""The metrics of the models' pool reach the driver of a streaming job."""

from __future__ import annotations

import re
import time
from typing import TYPE_CHECKING

import pytest
import requests
from prometheus_client.parser import text_string_to_metric_families

from dev.pipeline.pipeline import message

if TYPE_CHECKING:
    from dev.pipeline.job_process import JobProcess
    from dev.pipeline.pipeline import Pipeline

PATIENCE_S = 240.0


def model_metrics(port: int) -> dict[str, float]:
    """Return the sum of each metric of models over all models."""
    with requests.Session() as session:
        session.trust_env = False  # no proxy stands between processes of this machine
        page = session.get(f"http://127.0.0.1:{port}/metrics", timeout=PATIENCE_S).text
    sums: dict[str, float] = {}
    for family in text_string_to_metric_families(page):
        for sample in family.samples:
            sums[sample.name] = sums.get(sample.name, 0) + sample.value
    return sums


def metrics_port(program: JobProcess) -> int:
    """Return the port that a job has chosen for its metrics, from its log."""
    found = re.search(r"serving metrics .*address=\('127\.0\.0\.1', (\d+)\)", program.output)
    assert found, program.output
    return int(found[1])


@pytest.mark.parametrize("delivery", ["at-least-once", "exactly-once"])
def test_loads(pipeline: Pipeline, delivery: str) -> None:
    """A model that was loaded when it was needed is counted soon after its first micro-batch."""
    environment = pipeline.environment(
        "Upper",
        POOL__PRELOAD="none",
        STREAM__DELIVERY=delivery,
    )
    with pipeline.program(environment) as program:
        program.wait_for("stream started")
        port = metrics_port(program)
        assert model_metrics(port)["tidemill_model_loads_total"] == 0
        pipeline.produce(*(message(number) for number in range(20)))
        deadline = time.monotonic() + PATIENCE_S
        while not (found := model_metrics(port))["tidemill_model_loads_total"]:
            assert time.monotonic() < deadline
            time.sleep(0.2)
        assert found["tidemill_model_evictions_total"] == 0
        assert found["tidemill_model_load_seconds_total"] > 0
        assert found["tidemill_model_memory_bytes"] >= 0
