"""What the time of one message alone is made of, and what each setting takes off it."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING
from unittest import mock

from confluent_kafka import Producer

from bench import testbed
from bench.open_loop import Arrivals
from faults.figures import percentile
from tidemill.inference.model import ModelSpec
from tidemill.settings import KafkaSettings, Settings, StreamSettings
from tidemill.spark import session
from tidemill.streaming import job, preflight, source, startup

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession
    from rich.console import Console

    from dev.kafka.broker import Broker

WARM_UP, MESSAGES = 30, 60
PATIENCE_S = 60
LEAST = "at-least-once"
SOCKET = "spark.python.unix.domain.socket.enabled"
FILES = "spark.sql.streaming.checkpointFileManagerClass"
SPARKS_FILES = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileContextBasedCheckpointFileManager"
)
KAFKAS_WAIT_MS = 500
# Cumulative: Kafka's wait or ours, what of Spark's is its default, the way of delivery.
STEPS = {
    "Spark's and Kafka's defaults": (KAFKAS_WAIT_MS, {FILES: SPARKS_FILES, SOCKET: "false"}, LEAST),
    "+ fetch.max.wait.ms": (source.FETCH_WAIT_MS, {FILES: SPARKS_FILES, SOCKET: "false"}, LEAST),
    "+ checkpoint files": (source.FETCH_WAIT_MS, {SOCKET: "false"}, LEAST),
    "+ Unix socket": (source.FETCH_WAIT_MS, {}, LEAST),
    "the same, exactly-once": (source.FETCH_WAIT_MS, {}, "exactly-once"),
}
# Of a micro-batch, as Spark's progress tells them.
PHASES = ("latestOffset", "queryPlanning", "walCommit", "addBatch", "commitOffsets")
MODEL = ModelSpec(
    name="none", version="1", adapter="bench.sleeping_models:Waits", result="ner", sample="{}"
)


def one_by_one(
    spark: SparkSession, running: Broker, folder: Path, delivery: str, messages: int
) -> dict[str, float]:
    """Send messages one at a time; return milliseconds from sent to arrived, and by phase."""
    at = testbed.pipeline(running, folder)
    kafka = KafkaSettings(bootstrap_servers=running.bootstrap_servers)
    stream = StreamSettings(
        input_topics=(at.source,),
        output_topic=at.output,
        dead_letter_topic=at.dead,
        group_id=at.source,
        delivery=delivery,
        checkpoint_location=str(at.folder / "checkpoint"),
    )
    limits, _ = preflight.check(kafka, stream)
    query = job.start(
        spark, kafka, stream, [MODEL], startup.take_over(kafka, stream), limits=limits
    )
    producer = Producer({"bootstrap.servers": running.bootstrap_servers, "linger.ms": 0})
    rng = random.Random(7)  # noqa: S311 - no secret
    with Arrivals(running.bootstrap_servers, at.output) as arrivals:
        for number in range(messages):
            time.sleep(rng.uniform(0.1, 0.3))  # the last micro-batch is over
            producer.produce(at.source, b"{}", key=str(number).encode())
            producer.flush()
            arrivals.wait(number + 1, PATIENCE_S)
    waits = [1000 * (came - sent) for sent, came in arrivals.times[-MESSAGES:]]
    phases = [p["durationMs"] for p in query.recentProgress if p["numInputRows"]][-MESSAGES:]
    query.stop()
    return {
        "p50": round(percentile(waits, 0.5), 1),
        "p95": round(percentile(waits, 0.95), 1),
        **{name: statistics.median(phase.get(name, 0) for phase in phases) for name in PHASES},
    }


def measure(console: Console) -> dict[str, dict[str, float]]:
    """Measure each step, with a model that does nothing."""
    found = {}
    with testbed.broker() as (running, folder):
        for name, (wait, own, delivery) in {"Java compiles": (1, {}, LEAST), **STEPS}.items():
            with (
                session.running(Settings(spark=own)) as spark,
                mock.patch.object(source, "FETCH_WAIT_MS", wait),
            ):
                found[name] = one_by_one(spark, running, folder, delivery, WARM_UP + MESSAGES)
            console.print(f"{name}: {found[name]}", highlight=False)
    return found
