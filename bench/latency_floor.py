"""Measure the latency of single messages, and what each of our settings takes off it."""

from __future__ import annotations

import random
import statistics
import time
from typing import TYPE_CHECKING
from unittest import mock

from confluent_kafka import Producer

from bench import testbed
from bench.open_loop import ArrivalReader
from faults.figures import percentile
from tidemill.inference.model import ModelSpec
from tidemill.inference.route import single_routes
from tidemill.settings import KafkaSettings, PoolSettings, Settings, StreamSettings
from tidemill.spark import session
from tidemill.streaming import job, preflight, source, startup
from tidemill.streaming.delivery import choose

if TYPE_CHECKING:
    from pathlib import Path

    from pyspark.sql import SparkSession
    from rich.console import Console

    from dev.kafka.broker import Broker

WARM_UP, MESSAGES = 30, 60
TIMEOUT_S = 60
AT_LEAST_ONCE = "at-least-once"
SOCKET = "spark.python.unix.domain.socket.enabled"
FILES = "spark.sql.streaming.checkpointFileManagerClass"
SPARK_FILES = (
    "org.apache.spark.sql.execution.streaming.checkpointing.FileContextBasedCheckpointFileManager"
)
KAFKA_WAIT_MS = 500
# Cumulative steps: the fetch wait, Spark settings that undo ours, and the delivery.
STEPS = {
    "Spark's and Kafka's defaults": (
        KAFKA_WAIT_MS,
        {FILES: SPARK_FILES, SOCKET: "false"},
        AT_LEAST_ONCE,
    ),
    "+ fetch.max.wait.ms": (
        source.FETCH_MAX_WAIT_MS,
        {FILES: SPARK_FILES, SOCKET: "false"},
        AT_LEAST_ONCE,
    ),
    "+ checkpoint files": (source.FETCH_MAX_WAIT_MS, {SOCKET: "false"}, AT_LEAST_ONCE),
    "+ Unix socket": (source.FETCH_MAX_WAIT_MS, {}, AT_LEAST_ONCE),
    "the same, exactly-once": (source.FETCH_MAX_WAIT_MS, {}, "exactly-once"),
}
# The phases of a micro-batch in Spark's progress.
PHASES = ("latestOffset", "queryPlanning", "walCommit", "addBatch", "commitOffsets")
MODEL = ModelSpec(
    name="none",
    version="1",
    adapter="bench.sleeping_models:SleepingModel",
    result="ner",
    sample="{}",
)


def one_by_one(
    spark: SparkSession, broker: Broker, folder: Path, delivery: str, messages: int
) -> dict[str, float]:
    """Send messages one by one; return their latency and the phases, in milliseconds."""
    pipeline = testbed.make_pipeline(broker, folder)
    kafka = KafkaSettings(bootstrap_servers=broker.bootstrap_servers)
    stream = StreamSettings(
        input_topics=(pipeline.source,),
        output_topic=pipeline.output,
        dead_letter_topic=pipeline.dead,
        group_id=pipeline.source,
        delivery=delivery,
        checkpoint_location=str(pipeline.folder / "checkpoint"),
    )
    limits, _ = preflight.check(kafka, stream)
    chosen = choose(kafka, stream)
    run = startup.take_over(chosen, stream.checkpoint_location)
    query = job.start(
        spark, kafka, stream, single_routes([MODEL]), run, pool=PoolSettings(), limits=limits
    )
    producer = Producer({"bootstrap.servers": broker.bootstrap_servers, "linger.ms": 0})
    rng = random.Random(7)  # noqa: S311 - no secret
    with ArrivalReader(broker.bootstrap_servers, pipeline.output) as arrivals:
        for number in range(messages):
            time.sleep(rng.uniform(0.1, 0.3))  # until the last micro-batch has ended
            producer.produce(pipeline.source, b"{}", key=str(number).encode())
            producer.flush()
            arrivals.wait(number + 1, TIMEOUT_S)
    waits = [1000 * (received - sent) for sent, received in arrivals.times[-MESSAGES:]]
    phases = [p["durationMs"] for p in query.recentProgress if p["numInputRows"]][-MESSAGES:]
    query.stop()
    return {
        "p50": round(percentile(waits, 0.5), 1),
        "p95": round(percentile(waits, 0.95), 1),
        **{name: statistics.median(phase.get(name, 0) for phase in phases) for name in PHASES},
    }


def measure(console: Console) -> dict[str, dict[str, float]]:
    """Measure each step, with a model that does nothing."""
    steps = {}
    with testbed.broker() as (broker, folder):
        for name, (wait, conf, delivery) in {
            "Java compiles": (1, {}, AT_LEAST_ONCE),
            **STEPS,
        }.items():
            with (
                session.running(Settings(spark=conf)) as spark,
                mock.patch.object(source, "FETCH_MAX_WAIT_MS", wait),
            ):
                steps[name] = one_by_one(spark, broker, folder, delivery, WARM_UP + MESSAGES)
            console.print(f"{name}: {steps[name]}", highlight=False)
    return steps
