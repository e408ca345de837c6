"""Where it is measured: a broker of its own, topics for each run, the shipped job on them."""

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
# Of every process that is measured: what a library would otherwise start on all cores.
THREADS = dict.fromkeys(
    ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1"
)
_numbers = itertools.count()


@contextmanager
def broker() -> Iterator[tuple[Broker, Path]]:
    """Yield a broker, and a folder that goes away with it."""
    with (
        tempfile.TemporaryDirectory() as folder,
        Broker(Path(folder, "broker"), fetch_kafka()) as running,
    ):
        yield running, Path(folder)


def pipeline(
    running: Broker, folder: Path, source: str | None = None, partitions: int = PARTITIONS
) -> Pipeline:
    """Make topics for one run; the broker stamps what is written with its own clock.

    `source`: a topic that is there, instead of a new one.
    """
    number = next(_numbers)
    servers = running.bootstrap_servers
    if source is None:
        source = f"in-{number}"
        create_topic(servers, source, partitions=partitions)
    stamped = {"message.timestamp.type": "LogAppendTime", **OUTPUT_LIMIT}
    for name in ("out", "dead"):
        create_topic(servers, f"{name}-{number}", partitions=partitions, configs=stamped)
    made = folder / f"run-{number}"
    made.mkdir()
    return Pipeline(running, source, f"out-{number}", f"dead-{number}", made)


def shipped(at: Pipeline, delivery: str = "at-least-once", **settings: str) -> dict[str, str]:
    """Return the environment of the job as it is shipped, with the models of models.yaml."""
    named = {"MODELS": str(ROOT / "models.yaml"), "STREAM__DELIVERY": delivery, **settings}
    environment = at.environment("Upper", STREAM__GROUP_ID=at.output, **named)
    if "SPARK" not in settings:
        del environment["TIDEMILL__SPARK"]  # the tests' own
    return {**environment, **THREADS, "PYTHONPATH": PYTHONPATH, "PYSPARK_PYTHON": sys.executable}


def waiting(at: Pipeline, options: dict[str, float], **settings: str) -> dict[str, str]:
    """Return the environment of a job whose model waits."""
    environment = shipped(at, **settings)
    models = at.folder / "models.yaml"
    document = yaml.safe_load(models.read_text("utf-8"))
    document["models"][0] |= {"adapter": "bench.sleeping_models:Waits", "options": options}
    models.write_text(yaml.safe_dump(document), "utf-8")
    return environment | {"TIDEMILL__MODELS": str(models)}
