"""Set up measurements: a broker, topics for each run, and the shipped job."""

from __future__ import annotations

import itertools
import sys
import tempfile
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING

import yaml

from dev import PYTHONPATH, ROOT
from dev.kafka.broker import Broker
from dev.kafka.distribution import fetch_kafka
from dev.kafka.topics import create_topic
from dev.pipeline.pipeline import Pipeline
from faults.campaign import OUTPUT_LIMIT

if TYPE_CHECKING:
    from collections.abc import Iterator

PARTITIONS = 4
# For every measured process: otherwise libraries start threads on all cores.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_numbers = itertools.count()


@contextmanager
def broker() -> Iterator[tuple[Broker, Path]]:
    """Yield a broker and a temporary folder."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as running,
    ):
        yield running, Path(folder)


def make_pipeline(
    broker: Broker, folder: Path, source: str | None = None, partitions: int = PARTITIONS
) -> Pipeline:
    """Create topics for one run; the broker sets the timestamps of outcomes.

    With `source`, use that existing topic as the input.
    """
    number = next(_numbers)
    servers = broker.bootstrap_servers
    if source is None:
        source = f"in-{number}"
        create_topic(servers, source, partitions=partitions)
    output = {"message.timestamp.type": "LogAppendTime", **OUTPUT_LIMIT}
    for name in ("out", "dead"):
        create_topic(servers, f"{name}-{number}", partitions=partitions, configs=output)
    run = folder / f"run-{number}"
    run.mkdir()
    return Pipeline(broker, source, f"out-{number}", f"dead-{number}", run)


def shipped(pipeline: Pipeline, delivery: str = "at-least-once", **settings: str) -> dict[str, str]:
    """Return the environment of the shipped job, with the models of models.yaml."""
    named = {"MODELS": str(ROOT / "models.yaml"), "STREAM__DELIVERY": delivery, **settings}
    environment = pipeline.environment("Upper", STREAM__GROUP_ID=pipeline.output, **named)
    if "SPARK" not in settings:
        del environment["TIDEMILL__SPARK"]  # that of the tests
    return {**environment, **THREADS, "PYTHONPATH": PYTHONPATH, "PYSPARK_PYTHON": sys.executable}


def sleeping(pipeline: Pipeline, options: dict[str, float], **settings: str) -> dict[str, str]:
    """Return the environment of a job whose model sleeps."""
    environment = shipped(pipeline, **settings)
    models = pipeline.folder / "models.yaml"
    document = yaml.safe_load(models.read_text("utf-8"))
    document["models"][0] |= {"adapter": "bench.sleeping_models:SleepingModel", "options": options}
    models.write_text(yaml.safe_dump(document), "utf-8")
    return environment | {"TIDEMILL__MODELS": str(models)}
